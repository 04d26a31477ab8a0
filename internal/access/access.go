// Package access answers who somebody is and whether he may do this here:
// users and their roles, passwords, passkeys, recovery codes, sessions, API
// tokens, and the one-time links by which people come in.
//
// Begin with [Open]. A web frame calls [Access.Login] once, [Access.Session] or
// [Access.Bearer] on every request, and [May] before it shows or changes
// anything. Roles are given for a site, for an organisation with all below it,
// or everywhere.
//
// # What to know before it hurts
//
// Nothing here is kept in the clear: passwords are argon2id hashes, session
// and setup tokens are stored, if at all, as SHA-256 of 256 random bits.
// Whoever reads the database can log in as nobody.
//
// A login that fails tells nobody whether the account exists, takes as long as
// one that does, and is slowed by account and by source. Nothing locks for
// good: an attacker may slow an owner down, never shut him out.
package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/watchward/watchward/internal/db"
)

// User is an account.
type User struct {
	ID      string
	Name    string
	Grants  []Grant
	Created time.Time
	Closed  bool // shut out; the account stays, so that the log still means somebody

	only []Act // of a token: what it was made for; nil is no limit
}

// Administers reports whether the user is an administrator of the whole
// installation.
func (u User) Administers() bool { return May(u, ChangeUsers, Place{}) }

// Token is what a browser or a link carries. Printing it shows nothing.
type Token string

func (Token) String() string { return "redacted" }

// GoString keeps %#v quiet as well.
func (Token) GoString() string { return "redacted" }

// LogValue keeps structured logs quiet.
func (Token) LogValue() slog.Value { return slog.StringValue("redacted") }

// Reveal returns the token itself.
func (t Token) Reveal() string { return string(t) }

func newToken() Token {
	b := make([]byte, 32)
	rand.Read(b)
	return Token(base64.RawURLEncoding.EncodeToString(b))
}

func (t Token) hash() []byte {
	sum := sha256.Sum256([]byte(t))
	return sum[:]
}

// Session is a browser that is logged in.
type Session struct {
	Token   Token // set by what begins a session, not by [Access.Session]
	User    User
	Created time.Time
	Expires time.Time // whatever happens
}

// Errors a caller branches on.
var (
	ErrWrong     = errors.New("name or password is wrong")
	ErrNoSession = errors.New("not logged in")
	ErrSetupOver = errors.New("setup is over: an administrator exists")
	ErrSetupLink = errors.New("setup link is not valid")
	ErrNotLocal  = errors.New("only from this machine")
	ErrNotFound  = errors.New("not found")
	// ErrLink means that a one-time link was used, has run out, or never was.
	ErrLink = errors.New("link is not valid")
	// ErrForbidden means that who asks may not do this here.
	ErrForbidden = errors.New("not allowed for this user")
	// ErrLast means that nobody would be left to administer the installation.
	ErrLast = errors.New("the last administrator of everything must stay one")
)

// TooManyError means that logins come too fast; After says when to try again.
type TooManyError struct{ After time.Duration }

func (e *TooManyError) Error() string {
	return fmt.Sprintf("too many attempts: try again in %s", e.After.Round(time.Second))
}

// WeakError says why a password or name is refused. Code is a key for texts in
// people's languages: "password-short", "password-long", "password-common",
// "password-name", "password-differ", "name-missing", "name-long", "name-invisible", "name-taken".
type WeakError struct{ Code string }

func (e *WeakError) Error() string { return "refused: " + weakTexts[e.Code] }

var weakTexts = map[string]string{
	"password-short":  "password is too short: want at least 10 characters",
	"password-long":   "password is too long: want at most 512 bytes",
	"password-common": "password is one of the first an attacker tries",
	"password-name":   "password is the user's name",
	"password-differ": "password was not repeated the same",
	"name-missing":    "no name given",
	"name-long":       "name is too long: want at most 64 bytes",
	"name-invisible":  "name has invisible characters in it",
	"name-taken":      "name is taken",
}

// Options configures an [Access].
type Options struct {
	DB   *db.DB           // required
	Now  func() time.Time // nil means [time.Now]
	Cost Cost             // of hashing passwords; zero means [DefaultCost]

	// Idle ends a session not used for so long; zero means 12 h.
	Idle time.Duration
	// Life ends a session however it is used; zero means 7 days.
	Life time.Duration

	// SSO is the provider of single sign-on; nil means none.
	SSO *Provider
}

// Access is safe for use by many goroutines.
type Access struct {
	store  store
	now    func() time.Time
	idle   time.Duration
	life   time.Duration
	hasher *hasher
	limits *limits

	ceremonies waiting[ceremony]
	sso        *sso // nil: none is configured
	journeys   waiting[journey]

	mu      sync.Mutex
	setup   Token // "" when none is open
	welcome Token // "" unless the demo asked for one
	guest   string
}

// Open applies the room's schema and, when there is no administrator yet,
// makes a setup token.
func Open(ctx context.Context, o Options) (*Access, error) {
	if o.DB == nil {
		return nil, errors.New("open access: no database given")
	}
	if err := o.DB.Apply(ctx, "access", schema); err != nil {
		return nil, fmt.Errorf("open access: %w", err)
	}
	a := &Access{store: store{o.DB}, now: o.Now, idle: o.Idle, life: o.Life}
	if o.SSO != nil {
		if err := o.SSO.Check(); err != nil {
			return nil, fmt.Errorf("open access: single sign-on: %w", err)
		}
		a.sso = &sso{Provider: o.SSO}
	}
	if a.now == nil {
		a.now = time.Now
	}
	if a.idle == 0 {
		a.idle = 12 * time.Hour
	}
	if a.life == 0 {
		a.life = 7 * 24 * time.Hour
	}
	if o.Cost == (Cost{}) {
		o.Cost = DefaultCost()
	}
	a.hasher = newHasher(o.Cost)
	a.limits = newLimits(a.now)
	some, err := a.store.anyAdministrator(ctx)
	if err != nil {
		return nil, fmt.Errorf("open access: %w", err)
	}
	if !some {
		a.setup = newToken()
	}
	return a, nil
}

// SetupPending reports whether the first administrator is still to be made.
func (a *Access) SetupPending() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.setup != ""
}

// SetupToken is for the link printed at the first start. It holds until it has
// made the first administrator or the server stops, and is "" after.
func (a *Access) SetupToken() Token {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.setup
}

// CheckSetup tells whether a link is good without using it up.
func (a *Access) CheckSetup(t Token, remote string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.setup == "":
		return ErrSetupOver
	case subtle.ConstantTimeCompare(t.hash(), a.setup.hash()) != 1:
		return ErrSetupLink
	}
	return nil
}

// CreateFirst makes the first administrator and uses the setup token up. Also
// is called before the user is stored, for what has to exist first; its error
// leaves the token good.
func (a *Access) CreateFirst(ctx context.Context, t Token, name, password string, also func(context.Context) error) (User, error) {
	if err := a.CheckSetup(t, ""); err != nil {
		return User{}, err
	}
	u, hash, err := a.prepare(ctx, name, password, Administrator)
	if err != nil {
		return User{}, err
	}
	a.mu.Lock() // two who have the link: one gets in
	defer a.mu.Unlock()
	if a.setup == "" {
		return User{}, ErrSetupOver
	}
	if also != nil {
		if err := also(ctx); err != nil {
			return User{}, err
		}
	}
	if err := a.store.insertUser(ctx, u, hash); err != nil {
		return User{}, fmt.Errorf("create first administrator: %w", err)
	}
	a.setup = ""
	return u, nil
}

// CreateUser makes an account with a password and a role everywhere.
func (a *Access) CreateUser(ctx context.Context, name, password string, role Role) (User, error) {
	if err := checkGrants([]Grant{{Role: role}}); err != nil {
		return User{}, fmt.Errorf("create user %q: %w", name, err)
	}
	u, hash, err := a.prepare(ctx, name, password, role)
	if err != nil {
		return User{}, err
	}
	if err := a.store.insertUser(ctx, u, hash); err != nil {
		return User{}, fmt.Errorf("create user %q: %w", name, err)
	}
	return u, nil
}

func (a *Access) prepare(ctx context.Context, name, password string, role Role) (User, string, error) {
	name, err := checkName(name)
	if err != nil {
		return User{}, "", err
	}
	if err := CheckPassword(name, password); err != nil {
		return User{}, "", err
	}
	hash, err := a.hasher.hash(ctx, password)
	if err != nil {
		return User{}, "", err
	}
	return User{ID: newID(), Name: name, Grants: []Grant{{Role: role}}, Created: a.now().UTC()}, hash, nil
}

func newID() string {
	b := make([]byte, 10)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// Login checks a password and begins a session. Remote is the address of the
// one who asks, with or without port.
func (a *Access) Login(ctx context.Context, name, password, remote string) (Session, error) {
	key := fold(name)
	if after, ok := a.limits.take(key, source(remote)); !ok {
		return Session{}, &TooManyError{After: after}
	}
	if len(password) > maxPassword || len(name) > maxName {
		return Session{}, ErrWrong
	}
	u, hash, err := a.store.userByName(ctx, key)
	if err != nil && !errors.Is(err, errNoRow) {
		return Session{}, fmt.Errorf("log in: %w", err)
	}
	good, stale, err := a.hasher.verify(ctx, hash, password) // for nobody too: the same time passes
	if err != nil {
		return Session{}, fmt.Errorf("log in: %w", err)
	}
	if !good || u.Closed {
		return Session{}, ErrWrong
	}
	a.limits.forgive(key, source(remote))
	if stale {
		if hash, err := a.hasher.hash(ctx, password); err == nil {
			_ = a.store.setHash(ctx, u.ID, hash) // the old one is still good: next time again
		}
	}
	return a.begin(ctx, u)
}

// begin makes a new session with a new token: what a browser carried before a
// login is worth nothing after it.
func (a *Access) begin(ctx context.Context, u User) (Session, error) {
	now := a.now().UTC()
	s := Session{Token: newToken(), User: u, Created: now, Expires: now.Add(a.life)}
	if err := a.store.insertSession(ctx, s, now.Add(-a.idle)); err != nil {
		return Session{}, fmt.Errorf("begin session: %w", err)
	}
	return s, nil
}

// Session returns who a token belongs to, or [ErrNoSession].
func (a *Access) Session(ctx context.Context, t Token) (Session, error) {
	if len(t) != 43 { // base64 of 32 bytes; anything else was never ours
		return Session{}, ErrNoSession
	}
	s, seen, err := a.store.session(ctx, t.hash())
	if errors.Is(err, errNoRow) {
		return Session{}, ErrNoSession
	}
	if err != nil {
		return Session{}, fmt.Errorf("find session: %w", err)
	}
	now := a.now().UTC()
	if !now.Before(s.Expires) || now.Sub(seen) >= a.idle || s.User.Closed {
		_ = a.store.deleteSession(ctx, t.hash()) // it is void whether or not the row goes
		return Session{}, ErrNoSession
	}
	if now.Sub(seen) >= time.Minute { // not a write for every request
		if err := a.store.touch(ctx, t.hash(), now); err != nil {
			return Session{}, fmt.Errorf("keep session: %w", err)
		}
	}
	return s, nil
}

// Logout ends a session. Ending one that does not exist is no error.
func (a *Access) Logout(ctx context.Context, t Token) error {
	if err := a.store.deleteSession(ctx, t.hash()); err != nil {
		return fmt.Errorf("log out: %w", err)
	}
	return nil
}

// Welcome is for the demo: it makes, if need be, an administrator without a
// password, ends the setup, and returns a token that lets anybody on this
// machine in as him until the process ends.
func (a *Access) Welcome(ctx context.Context, name string) (Token, error) {
	name, err := checkName(name)
	if err != nil {
		return "", fmt.Errorf("prepare welcome: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	u, _, err := a.store.userByName(ctx, fold(name))
	if errors.Is(err, errNoRow) {
		u = User{ID: newID(), Name: name, Grants: []Grant{{Role: Administrator}}, Created: a.now().UTC()}
		err = a.store.insertUser(ctx, u, "") // no hash: no password opens it
	}
	if err != nil {
		return "", fmt.Errorf("prepare welcome: %w", err)
	}
	a.setup, a.guest = "", u.ID
	if a.welcome == "" {
		a.welcome = newToken()
	}
	return a.welcome, nil
}

// EnterWelcome begins a session with a welcome token, from loopback only.
func (a *Access) EnterWelcome(ctx context.Context, t Token, remote string) (Session, error) {
	if !loopback(remote) {
		return Session{}, ErrNotLocal
	}
	a.mu.Lock()
	good := a.welcome != "" && subtle.ConstantTimeCompare(t.hash(), a.welcome.hash()) == 1
	guest := a.guest
	a.mu.Unlock()
	if !good {
		return Session{}, ErrWrong
	}
	u, err := a.store.userByID(ctx, guest)
	if err != nil {
		return Session{}, fmt.Errorf("enter welcome: %w", err)
	}
	return a.begin(ctx, u)
}

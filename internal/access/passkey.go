package access

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

// Bounds of ceremonies: what the browser has to answer, between two requests.
const (
	ceremonyLife = 5 * time.Minute
	maxPasskeys  = 20 // of one user
)

var (
	// ErrNoPasskeys means that browsers use no passkeys for this address: they
	// are bound to a name, and an IP address is none.
	ErrNoPasskeys = errors.New("passkeys need a host name")
	// ErrCeremony means that the answer came too late, or to a question that
	// was not asked.
	ErrCeremony = errors.New("passkey request has run out")
	// ErrPasskey means that an answer does not prove what it should.
	ErrPasskey = errors.New("passkey is not good")
	// ErrTooManyPasskeys means that a user has as many as he may.
	ErrTooManyPasskeys = errors.New("too many passkeys")
)

// Passkey is one of a user's passkeys.
type Passkey struct {
	ID, Name      string
	Created, Used time.Time // Used is zero for never
}

// Question is what a browser is asked, and the token by which its answer finds
// its way back.
type Question struct {
	Ceremony string          `json:"ceremony"`
	Options  json.RawMessage `json:"options"`
}

// ceremony is a question that waits for its answer.
type ceremony struct {
	party *webauthn.WebAuthn
	data  webauthn.SessionData
	user  string // who is adding; "" for a login
	ends  time.Time
}

// party is us, as browsers at an origin know us. Only who shows his screen lock
// or PIN gets in: a stolen key alone opens nothing.
func party(origin string) (*webauthn.WebAuthn, error) {
	u, err := url.Parse(origin)
	if err != nil {
		return nil, fmt.Errorf("origin %q: %w", origin, err)
	}
	host := u.Hostname()
	if _, err := netip.ParseAddr(host); err == nil || host == "" {
		return nil, ErrNoPasskeys
	}
	resident := true
	return webauthn.New(&webauthn.Config{
		RPID: strings.ToLower(host), RPDisplayName: "Watchward", RPOrigins: []string{origin},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, RequireResidentKey: &resident, UserVerification: protocol.VerificationRequired,
		},
	})
}

// holder is a user as the library wants to see him.
type holder struct {
	User
	keys []webauthn.Credential
}

func (h holder) WebAuthnID() []byte                         { return []byte(h.ID) }
func (h holder) WebAuthnName() string                       { return h.Name }
func (h holder) WebAuthnDisplayName() string                { return h.Name }
func (h holder) WebAuthnCredentials() []webauthn.Credential { return h.keys }

// AskNewPasskey begins to add a passkey to a user's account, for browsers at an
// origin such as "https://cameras.example".
func (a *Access) AskNewPasskey(ctx context.Context, u User, origin string) (Question, error) {
	p, err := party(origin)
	if err != nil {
		return Question{}, err
	}
	h, err := a.holder(ctx, u)
	if err != nil {
		return Question{}, err
	}
	if len(h.keys) >= maxPasskeys {
		return Question{}, ErrTooManyPasskeys
	}
	known := make([]protocol.CredentialDescriptor, len(h.keys))
	for i, k := range h.keys {
		known[i] = k.Descriptor()
	}
	options, data, err := p.BeginRegistration(h, webauthn.WithExclusions(known))
	if err != nil {
		return Question{}, fmt.Errorf("ask for a new passkey: %w", err)
	}
	return a.ask(p, options.Response, *data, u.ID)
}

func (a *Access) ask(p *webauthn.WebAuthn, options any, data webauthn.SessionData, user string) (Question, error) {
	body, err := json.Marshal(options)
	if err != nil {
		return Question{}, err
	}
	now := a.now()
	c := ceremony{party: p, data: data, user: user, ends: now.Add(ceremonyLife)}
	id := a.ceremonies.put(c, now, func(c ceremony) time.Time { return c.ends })
	return Question{Ceremony: id, Options: body}, nil
}

// answered takes out the ceremony that an answer belongs to.
func (a *Access) answered(id, user string) (ceremony, error) {
	c, ok := a.ceremonies.take(id)
	if !ok || c.user != user || !a.now().Before(c.ends) {
		return ceremony{}, ErrCeremony
	}
	return c, nil
}

// AddPasskey takes the browser's answer to [Access.AskNewPasskey].
func (a *Access) AddPasskey(ctx context.Context, u User, id, name string, answer []byte) error {
	c, err := a.answered(id, u.ID)
	if err != nil {
		return err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPasskey, err)
	}
	h, err := a.holder(ctx, u)
	if err != nil {
		return err
	}
	made, err := c.party.CreateCredential(h, c.data, parsed)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPasskey, err)
	}
	if name = strings.Join(strings.Fields(name), " "); name == "" || len(name) > maxName {
		name = c.party.Config.RPID
	}
	body, err := json.Marshal(made)
	if err != nil {
		return err
	}
	_, err = a.store.db.Exec(ctx, `INSERT INTO access_passkeys (id, person, name, body, created, used) VALUES ($1, $2, $3, $4, $5, 0)`,
		keyID(made.ID), u.ID, name, string(body), a.now().UnixMicro())
	if err != nil {
		return fmt.Errorf("store passkey: %w", err)
	}
	return nil
}

func keyID(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

// AskPasskey begins a login with whichever passkey its owner chooses: nobody
// learns from the question who has an account.
func (a *Access) AskPasskey(origin string) (Question, error) {
	p, err := party(origin)
	if err != nil {
		return Question{}, err
	}
	options, data, err := p.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return Question{}, fmt.Errorf("ask for a passkey: %w", err)
	}
	return a.ask(p, options.Response, *data, "")
}

// LoginPasskey takes the browser's answer to [Access.AskPasskey] and begins a
// session. What is wrong with an answer is told to the log alone.
func (a *Access) LoginPasskey(ctx context.Context, id string, answer []byte) (Session, error) {
	c, err := a.answered(id, "")
	if err != nil {
		return Session{}, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return Session{}, fmt.Errorf("%w: %w", ErrPasskey, err)
	}
	var who User
	find := func(_, handle []byte) (webauthn.User, error) {
		u, err := a.User(ctx, string(handle))
		if err == nil && u.Closed {
			err = ErrNotFound
		}
		if err != nil {
			return nil, err
		}
		who = u
		return a.holder(ctx, u)
	}
	_, used, err := c.party.ValidatePasskeyLogin(find, c.data, parsed)
	if err != nil {
		return Session{}, fmt.Errorf("%w: %w", ErrPasskey, err)
	}
	if used.Authenticator.CloneWarning {
		return Session{}, fmt.Errorf("%w: its counter ran back: there may be a copy of it", ErrPasskey)
	}
	if err := a.keepPasskey(ctx, who, used); err != nil {
		return Session{}, err
	}
	return a.begin(ctx, who)
}

// keepPasskey stores the counter, which the next login is held against.
func (a *Access) keepPasskey(ctx context.Context, u User, k *webauthn.Credential) error {
	body, err := json.Marshal(k)
	if err == nil {
		_, err = a.store.db.Exec(ctx, `UPDATE access_passkeys SET body = $3, used = $4 WHERE id = $1 AND person = $2`,
			keyID(k.ID), u.ID, string(body), a.now().UnixMicro())
	}
	if err != nil {
		return fmt.Errorf("store passkey: %w", err)
	}
	return nil
}

func (a *Access) holder(ctx context.Context, u User) (holder, error) {
	h := holder{User: u}
	rows, err := a.store.db.Query(ctx, `SELECT body FROM access_passkeys WHERE person = $1 ORDER BY created`, u.ID)
	if err != nil {
		return h, fmt.Errorf("read passkeys: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var body string
		var k webauthn.Credential
		if err := rows.Scan(&body); err != nil {
			return h, fmt.Errorf("read passkeys: %w", err)
		}
		if err := json.Unmarshal([]byte(body), &k); err != nil {
			return h, fmt.Errorf("read passkeys: %w", err)
		}
		h.keys = append(h.keys, k)
	}
	return h, rows.Err()
}

// Passkeys lists a user's passkeys.
func (a *Access) Passkeys(ctx context.Context, u User) ([]Passkey, error) {
	rows, err := a.store.db.Query(ctx, `SELECT id, name, created, used FROM access_passkeys WHERE person = $1 ORDER BY created`, u.ID)
	if err != nil {
		return nil, fmt.Errorf("list passkeys: %w", err)
	}
	defer rows.Close()
	var all []Passkey
	for rows.Next() {
		var k Passkey
		var created, used int64
		if err := rows.Scan(&k.ID, &k.Name, &created, &used); err != nil {
			return nil, fmt.Errorf("list passkeys: %w", err)
		}
		k.Created = time.UnixMicro(created).UTC()
		if used > 0 {
			k.Used = time.UnixMicro(used).UTC()
		}
		all = append(all, k)
	}
	return all, rows.Err()
}

// DropPasskey makes one of the user's passkeys worthless.
func (a *Access) DropPasskey(ctx context.Context, u User, id string) error {
	_, err := a.store.db.Exec(ctx, `DELETE FROM access_passkeys WHERE id = $1 AND person = $2`, id, u.ID)
	if err != nil {
		return fmt.Errorf("drop passkey: %w", err)
	}
	return nil
}

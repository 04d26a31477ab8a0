package access

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchward/watchward/internal/db"
)

const goodPassword = "correct horse battery"

// cheap keeps tests quick; the real cost is checked in TestDefaultCost.
var cheap = Cost{Time: 1, Memory: 64, Threads: 1}

type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func openAccess(t *testing.T) (*Access, *clock) {
	t.Helper()
	d, err := db.Open(t.Context(), filepath.Join(t.TempDir(), "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	c := &clock{t: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}
	a, err := Open(t.Context(), Options{DB: d, Now: c.now, Cost: cheap})
	if err != nil {
		t.Fatal(err)
	}
	return a, c
}

func withAda(t *testing.T) (*Access, *clock) {
	t.Helper()
	a, c := openAccess(t)
	if _, err := a.CreateFirst(t.Context(), a.SetupToken(), "Ada", goodPassword, nil); err != nil {
		t.Fatal(err)
	}
	return a, c
}

func TestSetupLinkMakesOneAdministrator(t *testing.T) {
	a, _ := openAccess(t)
	token := a.SetupToken()
	if !a.SetupPending() || len(token) != 43 {
		t.Fatalf("pending %t, token of %d", a.SetupPending(), len(token))
	}
	if _, err := a.CreateFirst(t.Context(), "guess", "Eve", goodPassword, nil); !errors.Is(err, ErrSetupLink) {
		t.Errorf("guessed link: %v", err)
	}
	failed := errors.New("no site")
	if _, err := a.CreateFirst(t.Context(), token, "Ada", goodPassword, func(context.Context) error { return failed }); !errors.Is(err, failed) {
		t.Errorf("what must exist first: %v", err)
	}
	if !a.SetupPending() {
		t.Fatal("an attempt that failed used the link up")
	}
	u, err := a.CreateFirst(t.Context(), token, "Ada", goodPassword, nil)
	if err != nil || !u.Administers() {
		t.Fatalf("%+v, %v", u, err)
	}
	if a.SetupPending() || a.SetupToken() != "" {
		t.Error("setup still pending")
	}
	if _, err := a.CreateFirst(t.Context(), token, "Eve", goodPassword, nil); !errors.Is(err, ErrSetupOver) {
		t.Errorf("link used twice: %v", err)
	}
}

func TestSetupLinkInARace(t *testing.T) {
	a, _ := openAccess(t)
	token := a.SetupToken()
	var made sync.Map
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			if _, err := a.CreateFirst(t.Context(), token, fmt.Sprint("user ", i), goodPassword, nil); err == nil {
				made.Store(i, true)
			}
		})
	}
	all.Wait()
	n := 0
	made.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d administrators made with one link", n)
	}
}

func TestLogin(t *testing.T) {
	a, _ := withAda(t)
	if _, err := a.CreateUser(t.Context(), "Vic", goodPassword, Viewer); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, user, password string
		want                 error
	}{
		{"right", "Ada", goodPassword, nil},
		{"name in other letters and spaces", "  aDA ", goodPassword, nil},
		{"viewer", "Vic", goodPassword, nil},
		{"wrong password", "Ada", goodPassword + "!", ErrWrong},
		{"no password", "Ada", "", ErrWrong},
		{"nobody", "Nobody", goodPassword, ErrWrong},
		{"endless password", "Ada", strings.Repeat("x", 10_000), ErrWrong},
	} {
		s, err := a.Login(t.Context(), tt.user, tt.password, "192.0.2.1:5000")
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		if (err == nil) != (s.Token != "") {
			t.Errorf("%s: token with error %v", tt.name, err)
		}
	}
}

func TestSessions(t *testing.T) {
	a, c := withAda(t)
	login := func() Session {
		s, err := a.Login(t.Context(), "Ada", goodPassword, "192.0.2.1")
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	check := func(name string, s Session, want error) {
		t.Helper()
		got, err := a.Session(t.Context(), s.Token)
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
		if err == nil && (got.User.Name != "Ada" || got.Token != "") {
			t.Errorf("%s: %+v", name, got)
		}
	}
	first, second := login(), login()
	if first.Token == second.Token {
		t.Error("two logins, one token")
	}
	check("fresh", first, nil)
	c.add(11 * time.Hour)
	check("used within the day", first, nil)
	c.add(2 * time.Hour)
	check("idle for 13 h", second, ErrNoSession)
	check("the one in use", first, nil)
	for range 16 { // in use all the time
		c.add(10 * time.Hour)
		_, _ = a.Session(t.Context(), first.Token)
	}
	check("older than a week", first, ErrNoSession)
	third := login()
	if err := a.Logout(t.Context(), third.Token); err != nil {
		t.Fatal(err)
	}
	check("logged out", third, ErrNoSession)
	check("made up", Session{Token: newToken()}, ErrNoSession)
	check("nothing", Session{}, ErrNoSession)
	if err := a.Logout(t.Context(), "never was"); err != nil {
		t.Errorf("logout of nothing: %v", err)
	}
}

func TestSessionsOfOneUserAreBounded(t *testing.T) {
	a, c := withAda(t)
	u, _, err := a.store.userByName(t.Context(), "ada")
	if err != nil {
		t.Fatal(err)
	}
	var first Session
	for i := range sessionsPerUser + 5 {
		c.add(time.Second)
		s, err := a.begin(t.Context(), u)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = s
		}
	}
	var n int
	if err := a.store.db.QueryRow(t.Context(), `SELECT count(*) FROM access_sessions`).Scan(&n); err != nil || n != sessionsPerUser {
		t.Errorf("%d sessions, %v", n, err)
	}
	if _, err := a.Session(t.Context(), first.Token); !errors.Is(err, ErrNoSession) {
		t.Errorf("the oldest is still there: %v", err)
	}
}

func TestNothingUsableIsStored(t *testing.T) {
	a, _ := withAda(t)
	s, err := a.Login(t.Context(), "Ada", goodPassword, "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	var hash string
	var stored []byte
	if err := a.store.db.QueryRow(t.Context(), `SELECT hash FROM access_users`).Scan(&hash); err != nil {
		t.Fatal(err)
	}
	if err := a.store.db.QueryRow(t.Context(), `SELECT hash FROM access_sessions`).Scan(&stored); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(hash, "$argon2id$v=19$m=64,t=1,p=1$") || strings.Contains(string(stored), s.Token.Reveal()) {
		t.Errorf("stored %q and %x", hash, stored)
	}
	if text := fmt.Sprintf("%v %+v %#v %s", s, s, s, s.Token); strings.Contains(text, s.Token.Reveal()) {
		t.Errorf("printed %s", text)
	}
}

func TestLoginIsSlowedNeverLocked(t *testing.T) {
	a, c := withAda(t)
	try := func(user, password, from string) error {
		_, err := a.Login(t.Context(), user, password, from)
		return err
	}
	var many *TooManyError
	for range pairBurst {
		if err := try("Ada", "wrong", "192.0.2.1:1"); !errors.Is(err, ErrWrong) {
			t.Fatalf("%v", err)
		}
	}
	if err := try("ada", goodPassword, "192.0.2.1:2"); !errors.As(err, &many) || many.After <= 0 || many.After > time.Minute {
		t.Errorf("the sixth attempt: %v", err)
	}
	if err := try("Ada", goodPassword, "192.0.2.2:1"); err != nil {
		t.Errorf("the owner from elsewhere: %v", err)
	}
	c.add(many.After)
	if err := try("Ada", goodPassword, "192.0.2.1:3"); err != nil {
		t.Errorf("after the time told: %v", err)
	}
	// One source, many accounts.
	n := 0
	for i := range 100 {
		if errors.Is(try(fmt.Sprint("user", i), "wrong", "198.51.100.7"), ErrWrong) {
			n++
		}
	}
	if n != sourceBurst {
		t.Errorf("%d guesses from one source, want %d", n, sourceBurst)
	}
	// Many sources, one account.
	n = 0
	for i := range 200 {
		if errors.Is(try("Ada", "wrong", fmt.Sprintf("203.0.113.%d", i)), ErrWrong) {
			n++
		}
	}
	if n > accountBurst {
		t.Errorf("%d guesses at one account, want at most %d", n, accountBurst)
	}
	c.add(accountEvery)
	if err := try("Ada", goodPassword, "192.0.2.99"); err != nil {
		t.Errorf("the owner, soon after: %v", err)
	}
}

func TestLimitsAreBounded(t *testing.T) {
	now := time.Unix(1e9, 0)
	l := newLimits(func() time.Time { return now })
	for i := range 3 * limitEntries {
		l.take(fmt.Sprint("a", i), fmt.Sprint("s", i))
	}
	if len(l.pair.all) > limitEntries || len(l.source.all) > limitEntries || len(l.account.all) > limitEntries {
		t.Errorf("%d, %d, %d entries", len(l.pair.all), len(l.source.all), len(l.account.all))
	}
}

func TestSource(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.1:80": "192.0.2.1", "192.0.2.1": "192.0.2.1", "[::ffff:192.0.2.1]:1": "192.0.2.1",
		"[2001:db8:1:2:3::4]:1": "2001:db8:1:2::/64", "[::1]:1": "::1", "odd": "unknown",
	} {
		if got := source(remote); got != want {
			t.Errorf("source(%q) = %q, want %q", remote, got, want)
		}
	}
}

func TestWelcomeIsForThisMachine(t *testing.T) {
	a, _ := openAccess(t)
	token, err := a.Welcome(t.Context(), "demo")
	if err != nil {
		t.Fatal(err)
	}
	if a.SetupPending() {
		t.Error("a demo waits for its setup")
	}
	for range 2 { // reusable
		s, err := a.EnterWelcome(t.Context(), token, "127.0.0.1:4000")
		if err != nil || !s.User.Administers() {
			t.Errorf("%+v, %v", s.User, err)
		}
	}
	if _, err := a.EnterWelcome(t.Context(), token, "192.0.2.1:4000"); !errors.Is(err, ErrNotLocal) {
		t.Errorf("from elsewhere: %v", err)
	}
	if _, err := a.EnterWelcome(t.Context(), "guess", "[::1]:4000"); !errors.Is(err, ErrWrong) {
		t.Errorf("guessed: %v", err)
	}
	for _, password := range []string{"", "demo"} {
		if _, err := a.Login(t.Context(), "demo", password, "127.0.0.1"); !errors.Is(err, ErrWrong) {
			t.Errorf("password %q lets in: %v", password, err)
		}
	}
	b, _ := openAccess(t)
	if _, err := b.EnterWelcome(t.Context(), "", "127.0.0.1:1"); !errors.Is(err, ErrWrong) {
		t.Errorf("without a demo: %v", err)
	}
}

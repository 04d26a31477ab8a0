package access

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/watchward/watchward/internal/db"
)

var everywhere = []Grant{{Role: Viewer}}

// ada is the first administrator.
func ada(t *testing.T, a *Access) User {
	t.Helper()
	u, _, err := a.store.userByName(t.Context(), "ada")
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestInvitation(t *testing.T) {
	a, clock := withAda(t)
	ctx := t.Context()
	vic, link, err := a.Invite(ctx, ada(t, a), "Vic", []Grant{{Viewer, Scope{Site: "harbour"}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Login(ctx, "Vic", "", "192.0.2.1"); !errors.Is(err, ErrWrong) {
		t.Errorf("login without a password yet: %v", err)
	}
	if u, err := a.CheckLink(ctx, link); err != nil || u.ID != vic.ID {
		t.Errorf("check link: %+v, %v", u, err)
	}
	var weak *WeakError
	if _, err := a.UseLink(ctx, link, "short"); !errors.As(err, &weak) {
		t.Errorf("short password: %v", err)
	}
	s, err := a.UseLink(ctx, link, goodPassword)
	if err != nil || s.User.ID != vic.ID || len(s.User.Grants) != 1 || s.User.Grants[0].Site != "harbour" {
		t.Fatalf("use link: %+v, %v", s, err)
	}
	if _, err := a.UseLink(ctx, link, goodPassword+"2"); !errors.Is(err, ErrLink) {
		t.Errorf("link used twice: %v", err)
	}
	if _, err := a.Login(ctx, "Vic", goodPassword, "192.0.2.1"); err != nil {
		t.Errorf("login: %v", err)
	}
	late, err := a.Link(ctx, ada(t, a), vic.ID)
	if err != nil {
		t.Fatal(err)
	}
	clock.add(LinkLife)
	if _, err := a.CheckLink(ctx, late); !errors.Is(err, ErrLink) {
		t.Errorf("link after its time: %v", err)
	}
}

func TestNewLinkVoidsTheOldAndEndsSessions(t *testing.T) {
	a, _ := withAda(t)
	ctx := t.Context()
	vic, first, err := a.Invite(ctx, ada(t, a), "Vic", everywhere)
	if err != nil {
		t.Fatal(err)
	}
	second, err := a.LinkFor(ctx, " vic ")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.CheckLink(ctx, first); !errors.Is(err, ErrLink) {
		t.Errorf("old link: %v", err)
	}
	s, err := a.UseLink(ctx, second, goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	third, err := a.Link(ctx, ada(t, a), vic.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Session(ctx, s.Token); err != nil {
		t.Errorf("session before the link was used: %v", err)
	}
	if _, err := a.UseLink(ctx, third, goodPassword+"2"); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Session(ctx, s.Token); !errors.Is(err, ErrNoSession) {
		t.Errorf("session of who knew the old password: %v", err)
	}
}

func TestOnlyAnAdministratorOfEverythingChangesUsers(t *testing.T) {
	a, _ := withAda(t)
	ctx := t.Context()
	vic, _, err := a.Invite(ctx, ada(t, a), "Vic", []Grant{{Administrator, Scope{Organisation: "port"}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, do := range map[string]func() error{
		"invites": func() error { _, _, err := a.Invite(ctx, vic, "Eve", everywhere); return err },
		"links":   func() error { _, err := a.Link(ctx, vic, ada(t, a).ID); return err },
		"grants":  func() error { return a.SetGrants(ctx, vic, vic.ID, []Grant{{Role: Administrator}}) },
		"closes":  func() error { return a.SetClosed(ctx, vic, ada(t, a).ID, true) },
	} {
		if err := do(); !errors.Is(err, ErrForbidden) {
			t.Errorf("an administrator of one organisation %s: %v", name, err)
		}
	}
}

func TestTheLastAdministratorStays(t *testing.T) {
	a, _ := withAda(t)
	ctx := t.Context()
	me := ada(t, a)
	if err := a.SetClosed(ctx, me, me.ID, true); !errors.Is(err, ErrLast) {
		t.Errorf("shut out: %v", err)
	}
	if err := a.SetGrants(ctx, me, me.ID, everywhere); !errors.Is(err, ErrLast) {
		t.Errorf("made a viewer: %v", err)
	}
	if err := a.SetGrants(ctx, me, me.ID, []Grant{{Administrator, Scope{Site: "harbour"}}}); !errors.Is(err, ErrLast) {
		t.Errorf("made an administrator of one site: %v", err)
	}
	bob, _, err := a.Invite(ctx, me, "Bob", []Grant{{Role: Administrator}})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.SetGrants(ctx, me, me.ID, everywhere); err != nil {
		t.Errorf("with a second administrator: %v", err)
	}
	if err := a.SetClosed(ctx, bob, bob.ID, true); !errors.Is(err, ErrLast) {
		t.Errorf("the second is the last now: %v", err)
	}
}

func TestClosedAccount(t *testing.T) {
	a, _ := withAda(t)
	ctx := t.Context()
	vic, link, err := a.Invite(ctx, ada(t, a), "Vic", everywhere)
	if err != nil {
		t.Fatal(err)
	}
	s, err := a.UseLink(ctx, link, goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	token, err := a.MakeToken(ctx, vic, "script", []Act{SeeLive}, a.now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	codes, err := a.MakeCodes(ctx, vic)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.SetClosed(ctx, ada(t, a), vic.ID, true); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Session(ctx, s.Token); !errors.Is(err, ErrNoSession) {
		t.Errorf("session: %v", err)
	}
	if _, err := a.Bearer(ctx, token); !errors.Is(err, ErrNoSession) {
		t.Errorf("token: %v", err)
	}
	if _, err := a.Login(ctx, "Vic", goodPassword, "192.0.2.1"); !errors.Is(err, ErrWrong) {
		t.Errorf("login: %v", err)
	}
	if _, err := a.Recover(ctx, "Vic", codes[0].Reveal(), "192.0.2.1"); !errors.Is(err, ErrWrong) {
		t.Errorf("recovery code: %v", err)
	}
	if err := a.SetClosed(ctx, ada(t, a), vic.ID, false); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Login(ctx, "Vic", goodPassword, "192.0.2.1"); err != nil {
		t.Errorf("login after being let in again: %v", err)
	}
}

func TestChangePassword(t *testing.T) {
	a, _ := withAda(t)
	ctx := t.Context()
	here, err := a.Login(ctx, "Ada", goodPassword, "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	there, err := a.Login(ctx, "Ada", goodPassword, "192.0.2.2")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := a.Sessions(ctx, here.User); err != nil || n != 2 {
		t.Errorf("%d sessions, %v", n, err)
	}
	if err := a.ChangePassword(ctx, here, "guess", goodPassword+"2", "192.0.2.1"); !errors.Is(err, ErrWrong) {
		t.Errorf("wrong password of today: %v", err)
	}
	if err := a.ChangePassword(ctx, here, goodPassword, goodPassword+"2", "192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Session(ctx, here.Token); err != nil {
		t.Errorf("the session he sits in: %v", err)
	}
	if _, err := a.Session(ctx, there.Token); !errors.Is(err, ErrNoSession) {
		t.Errorf("the other session: %v", err)
	}
	var many *TooManyError
	for range 20 {
		if err = a.ChangePassword(ctx, here, "guess", goodPassword+"3", "192.0.2.1"); errors.As(err, &many) {
			return
		}
	}
	t.Error("guessing the password within a session is not slowed")
}

func TestAPIToken(t *testing.T) {
	a, clock := withAda(t)
	ctx := t.Context()
	me := ada(t, a)
	for _, tt := range []struct {
		name, label string
		acts        []Act
		life        time.Duration
		code        string
	}{
		{"no name", " ", []Act{SeeLive}, time.Hour, "name-missing"},
		{"no act", "script", nil, time.Hour, "acts-none"},
		{"unknown act", "script", []Act{"fly"}, time.Hour, "act-unknown"},
		{"over already", "script", []Act{SeeLive}, 0, "life"},
		{"too long", "script", []Act{SeeLive}, MaxTokenLife + time.Hour, "life"},
	} {
		_, err := a.MakeToken(ctx, me, tt.label, tt.acts, a.now().Add(tt.life))
		var refused *TokenError
		if !errors.As(err, &refused) || refused.Code != tt.code {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.code)
		}
	}
	token, err := a.MakeToken(ctx, me, "script", []Act{SeeEstate}, a.now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if token.String() != "redacted" || !strings.HasPrefix(token.Reveal(), tokenMark) {
		t.Errorf("token shows as %s", token)
	}
	u, err := a.Bearer(ctx, token)
	if err != nil || !May(u, SeeEstate, Place{}) || May(u, ChangeUsers, Place{}) || u.Administers() {
		t.Errorf("bearer %+v, %v", u, err)
	}
	for _, wrong := range []Token{"", tokenMark, token[:len(token)-1] + "!", token[len(tokenMark):]} {
		if _, err := a.Bearer(ctx, wrong); !errors.Is(err, ErrNoSession) {
			t.Errorf("token %q: %v", wrong.Reveal(), err)
		}
	}
	if _, err := a.Session(ctx, token); !errors.Is(err, ErrNoSession) {
		t.Errorf("a token used as a session: %v", err)
	}
	list, err := a.Tokens(ctx, me)
	if err != nil || len(list) != 1 || list[0].Used.IsZero() || list[0].Acts[0] != SeeEstate {
		t.Errorf("tokens %+v, %v", list, err)
	}
	other, _, err := a.Invite(ctx, me, "Vic", everywhere)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.DropToken(ctx, other, list[0].ID); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Bearer(ctx, token); err != nil {
		t.Errorf("token after somebody else dropped it: %v", err)
	}
	clock.add(time.Hour)
	if _, err := a.Bearer(ctx, token); !errors.Is(err, ErrNoSession) {
		t.Errorf("token after its end: %v", err)
	}
}

func TestRecoveryCodes(t *testing.T) {
	a, _ := withAda(t)
	ctx := t.Context()
	me := ada(t, a)
	old, err := a.MakeCodes(ctx, me)
	if err != nil {
		t.Fatal(err)
	}
	codes, err := a.MakeCodes(ctx, me)
	if err != nil || len(codes) != codeCount {
		t.Fatalf("%d codes, %v", len(codes), err)
	}
	if _, err := a.Recover(ctx, "Ada", old[0].Reveal(), "192.0.2.1"); !errors.Is(err, ErrWrong) {
		t.Errorf("code of an older sheet: %v", err)
	}
	typed := strings.ToLower(strings.ReplaceAll(codes[3].Reveal(), "-", " "))
	if s, err := a.Recover(ctx, "ada", strings.ReplaceAll(typed, "o", "0"), "192.0.2.1"); err != nil || s.User.ID != me.ID {
		t.Errorf("code as people type it: %v", err)
	}
	if _, err := a.Recover(ctx, "Ada", codes[3].Reveal(), "192.0.2.1"); !errors.Is(err, ErrWrong) {
		t.Errorf("code used twice: %v", err)
	}
	if n, err := a.Codes(ctx, me); err != nil || n != codeCount-1 {
		t.Errorf("%d codes left, %v", n, err)
	}
	if _, err := a.Recover(ctx, "nobody", codes[4].Reveal(), "192.0.2.2"); !errors.Is(err, ErrWrong) {
		t.Errorf("code of another: %v", err)
	}
}

// A database of before there were grants keeps everybody's role, everywhere.
func TestOldRolesHoldEverywhere(t *testing.T) {
	d, err := db.Open(t.Context(), filepath.Join(t.TempDir(), "old.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	if err := d.Apply(t.Context(), "access", schema[:3]); err != nil {
		t.Fatal(err)
	}
	err = d.Tx(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(context.Background(), `INSERT INTO access_users (id, name, name_key, role, hash, created)
			VALUES ('1', 'Ada', 'ada', 'administrator', '', 0), ('2', 'Vic', 'vic', 'viewer', '', 0)`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	a, err := Open(t.Context(), Options{DB: d, Cost: cheap})
	if err != nil {
		t.Fatal(err)
	}
	users, err := a.Users(t.Context())
	if err != nil || len(users) != 2 || !users[0].Administers() || !May(users[1], SeeLive, Place{Site: "gate"}) || May(users[1], Export, Place{}) {
		t.Errorf("users %+v, %v", users, err)
	}
	if a.SetupPending() {
		t.Error("there is an administrator, and a setup link")
	}
}

package access

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/coreos/go-oidc/v3/oidc/oidctest"

	"github.com/watchward/watchward/internal/db"
)

// provider is a provider whose tokens a test writes.
type provider struct {
	*httptest.Server
	key    *rsa.PrivateKey
	claims map[string]any // of the next token
	codes  []url.Values   // what was asked for tokens
	down   bool
}

// providerKey is made once: that takes half a second.
var providerKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func newProvider(t *testing.T) *provider {
	t.Helper()
	key, err := providerKey()
	if err != nil {
		t.Fatal(err)
	}
	p := &provider{key: key}
	standard := &oidctest.Server{PublicKeys: []oidctest.PublicKey{{PublicKey: key.Public(), KeyID: "k", Algorithm: oidc.RS256}}}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case p.down:
			http.Error(w, "down", http.StatusServiceUnavailable)
		case r.URL.Path == "/token":
			_ = r.ParseForm()
			p.codes = append(p.codes, r.PostForm)
			claims, _ := json.Marshal(p.claims)
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"access_token":"x","token_type":"Bearer","id_token":%q}`, oidctest.SignIDToken(key, "k", oidc.RS256, string(claims)))
		default:
			standard.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(p.Close)
	standard.SetIssuer(p.URL)
	return p
}

func openWith(t *testing.T, p *provider) *Access {
	t.Helper()
	d, err := db.Open(t.Context(), filepath.Join(t.TempDir(), "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	a, err := Open(t.Context(), Options{DB: d, Cost: cheap, SSO: &Provider{
		Issuer: p.URL, ClientID: "watchward", ClientSecret: "s3cret", Client: p.Client(),
		Roles: []GroupGrant{{"cctv", Grant{Role: Viewer}}, {"harbour-masters", Grant{Operator, Scope{Site: "harbour"}}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

const comeBack = "https://cameras.example/login/sso/back"

// travel begins a login and returns what the browser holds and the provider was told.
func travel(t *testing.T, a *Access, p *provider) (state, nonce string, browser Token) {
	t.Helper()
	where, browser, err := a.StartSSO(t.Context(), comeBack, "/cameras")
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(where)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if q.Get("redirect_uri") != comeBack || q.Get("code_challenge_method") != "S256" || q.Get("state") == "" || q.Get("nonce") == "" {
		t.Fatalf("sent to %s", where)
	}
	return q.Get("state"), q.Get("nonce"), browser
}

func (p *provider) vouch(nonce string, change map[string]any) {
	p.claims = map[string]any{
		"iss": p.URL, "aud": "watchward", "sub": "42", "nonce": nonce, "preferred_username": "Grace",
		"exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(), "groups": []string{"cctv", "chess"},
	}
	for k, v := range change {
		p.claims[k] = v
	}
}

func TestSSOLogin(t *testing.T) {
	p := newProvider(t)
	a := openWith(t, p)
	state, nonce, browser := travel(t, a, p)
	p.vouch(nonce, nil)
	s, next, err := a.FinishSSO(t.Context(), state, "code", browser)
	if err != nil || next != "/cameras" || s.User.Name != "Grace" || len(s.User.Grants) != 1 || s.User.Grants[0].Role != Viewer {
		t.Fatalf("%+v to %q, %v", s.User, next, err)
	}
	if form := p.codes[0]; form.Get("code_verifier") == "" || form.Get("code") != "code" {
		t.Errorf("asked for a token with %v", form)
	}
	if _, err := a.LinkFor(t.Context(), "Grace"); !errors.Is(err, ErrExternal) {
		t.Errorf("a password for her: %v", err)
	}
	// Groups of the next login replace those of before; the name may change.
	state, nonce, browser = travel(t, a, p)
	p.vouch(nonce, map[string]any{"groups": "harbour-masters", "preferred_username": "Grace H."})
	again, _, err := a.FinishSSO(t.Context(), state, "code", browser)
	if err != nil || again.User.ID != s.User.ID || len(again.User.Grants) != 1 || again.User.Grants[0] != (Grant{Operator, Scope{Site: "harbour"}}) {
		t.Errorf("%+v, %v", again.User, err)
	}
	if old, err := a.Session(t.Context(), s.Token); err != nil || May(old.User, SeeLive, Place{Site: "school"}) {
		t.Errorf("her older session may still see a site her groups no longer name: %v", err)
	}
}

func TestSSORefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change map[string]any
		spoil  func(state *string, browser *Token)
		want   error
	}{
		{"a token for another program", map[string]any{"aud": "chess"}, nil, ErrProvider},
		{"a token of another provider", map[string]any{"iss": "https://evil.example"}, nil, ErrProvider},
		{"a token that ran out", map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}, nil, ErrProvider},
		{"a token to another question", map[string]any{"nonce": "other"}, nil, ErrProvider},
		{"somebody in none of the groups", map[string]any{"groups": []string{"chess"}}, nil, ErrNoRole},
		{"somebody without groups", map[string]any{"groups": nil}, nil, ErrNoRole},
		{"groups that are no list", map[string]any{"groups": map[string]any{"cctv": true}}, nil, ErrNoRole},
		{"another browser", nil, func(_ *string, b *Token) { *b = newToken() }, ErrLink},
		{"a state nobody began", nil, func(s *string, _ *Token) { *s = "guess" }, ErrLink},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newProvider(t)
			a := openWith(t, p)
			state, nonce, browser := travel(t, a, p)
			p.vouch(nonce, tt.change)
			if tt.spoil != nil {
				tt.spoil(&state, &browser)
			}
			if _, _, err := a.FinishSSO(t.Context(), state, "code", browser); !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
			if users, _ := a.Users(t.Context()); len(users) > 0 {
				t.Errorf("an account was made: %+v", users)
			}
		})
	}
}

func TestSSOStateCountsOnce(t *testing.T) {
	p := newProvider(t)
	a := openWith(t, p)
	state, nonce, browser := travel(t, a, p)
	p.vouch(nonce, nil)
	if _, _, err := a.FinishSSO(t.Context(), state, "code", browser); err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.FinishSSO(t.Context(), state, "code", browser); !errors.Is(err, ErrLink) {
		t.Errorf("second time: %v", err)
	}
}

// A name at the provider is not the account of that name here.
func TestSSODoesNotTakeOverAccounts(t *testing.T) {
	p := newProvider(t)
	a := openWith(t, p)
	local, err := a.CreateUser(t.Context(), "Grace", goodPassword, Administrator)
	if err != nil {
		t.Fatal(err)
	}
	state, nonce, browser := travel(t, a, p)
	p.vouch(nonce, nil)
	s, _, err := a.FinishSSO(t.Context(), state, "code", browser)
	if err != nil || s.User.ID == local.ID || s.User.Name == local.Name || s.User.Administers() {
		t.Errorf("%+v, %v", s.User, err)
	}
	if err := a.SetClosed(t.Context(), local, s.User.ID, true); err != nil {
		t.Fatal(err)
	}
	state, nonce, browser = travel(t, a, p)
	p.vouch(nonce, nil)
	if _, _, err := a.FinishSSO(t.Context(), state, "code", browser); !errors.Is(err, ErrWrong) {
		t.Errorf("shut out here, vouched for there: %v", err)
	}
}

func TestSSOWhileTheProviderIsDown(t *testing.T) {
	p := newProvider(t)
	p.down = true
	a := openWith(t, p) // the server starts all the same
	if _, _, err := a.StartSSO(t.Context(), comeBack, "/"); !errors.Is(err, ErrProvider) {
		t.Errorf("while down: %v", err)
	}
	p.down = false
	if _, _, err := a.StartSSO(context.WithoutCancel(t.Context()), comeBack, "/"); err != nil {
		t.Errorf("when it is back: %v", err)
	}
}

func TestProviderCheck(t *testing.T) {
	good := func() Provider {
		return Provider{Issuer: "https://login.example", ClientID: "w", Roles: []GroupGrant{{"cctv", Grant{Role: Viewer}}}}
	}
	for name, spoil := range map[string]func(*Provider){
		"plain http":  func(p *Provider) { p.Issuer = "http://login.example" },
		"no address":  func(p *Provider) { p.Issuer = "login" },
		"no client":   func(p *Provider) { p.ClientID = "" },
		"no roles":    func(p *Provider) { p.Roles = nil },
		"no group":    func(p *Provider) { p.Roles[0].Group = "" },
		"an odd role": func(p *Provider) { p.Roles[0].Role = "king" },
		"two scopes":  func(p *Provider) { p.Roles[0].Scope = Scope{Site: "a", Organisation: "b"} },
	} {
		p := good()
		spoil(&p)
		if p.Check() == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if p := good(); p.Check() != nil {
		t.Errorf("a good one: %v", p.Check())
	}
}

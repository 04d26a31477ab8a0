package access

import (
	"context"
	"crypto/subtle"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

var (
	// ErrNoSSO means that no provider is configured.
	ErrNoSSO = errors.New("single sign-on is not set up")
	// ErrProvider means that the provider could not be asked, or said nothing
	// that could be believed.
	ErrProvider = errors.New("single sign-on failed")
	// ErrNoRole means that the provider knows somebody whom none of his groups
	// gives a role.
	ErrNoRole = errors.New("no role for this person")
	// ErrExternal means that an account has no password here: its owner logs in
	// at the provider.
	ErrExternal = errors.New("the account is the single sign-on's")
)

// GroupGrant is what members of a group may do, and where.
type GroupGrant struct {
	Group string `json:"group"`
	Grant
}

// Provider is where people log in for many programs at once (OpenID Connect
// Core 1.0, authorization code flow with PKCE).
type Provider struct {
	Issuer       string // https; also plain http, on loopback
	ClientID     string
	ClientSecret string // empty for a public client
	// GroupsClaim names the claim that lists groups; empty means "groups".
	GroupsClaim string
	// Roles are by group. At every login they replace what the person had.
	Roles []GroupGrant
	// Client is how the provider is asked; required.
	Client *http.Client
}

// Check says what cannot work.
func (p *Provider) Check() error {
	u, err := url.Parse(p.Issuer)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())):
		return fmt.Errorf("issuer %q: want an https address", p.Issuer)
	case p.ClientID == "":
		return errors.New("client_id: nothing given")
	case len(p.Roles) == 0:
		return errors.New("roles: nobody would be let in: want at least one group")
	}
	for _, r := range p.Roles {
		if r.Group == "" {
			return errors.New("roles: a group without a name")
		}
		if err := checkGrants([]Grant{r.Grant}); err != nil {
			return fmt.Errorf("roles of group %q: %w", r.Group, err)
		}
	}
	return nil
}

// sso is the provider, asked for its addresses when they are first needed: a
// server that starts while the provider is down works with passwords.
type sso struct {
	*Provider

	mu    sync.Mutex
	known *oidc.Provider
}

// askTime bounds what the provider may take.
const askTime = 15 * time.Second

// found returns the provider's addresses and keys.
func (s *sso) found(ctx context.Context) (*oidc.Provider, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		// The keys are fetched again later: not with a context that ends now.
		p, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), s.Client), s.Issuer)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrProvider, err)
		}
		s.known = p
	}
	return s.known, nil
}

func (s *sso) config(p *oidc.Provider, redirect string) *oauth2.Config {
	return &oauth2.Config{
		ClientID: s.ClientID, ClientSecret: s.ClientSecret, Endpoint: p.Endpoint(), RedirectURL: redirect,
		Scopes: []string{oidc.ScopeOpenID, "profile", "email"},
	}
}

// journey is somebody on his way to the provider and back.
type journey struct {
	redirect, nonce, verifier string
	browser                   []byte // hash of the token only his browser holds
	next                      string
	ends                      time.Time
}

// StartSSO begins a login at the provider. The browser is sent to where; what
// it has to come back with is in the token, which it keeps in a cookie:
// nobody can finish a login that somebody else began. Redirect is our own
// address that it comes back to.
func (a *Access) StartSSO(ctx context.Context, redirect, next string) (where string, browser Token, err error) {
	if a.sso == nil {
		return "", "", ErrNoSSO
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	p, err := a.sso.found(ctx)
	if err != nil {
		return "", "", err
	}
	browser = newToken()
	now := a.now()
	j := journey{
		redirect: redirect, nonce: newToken().Reveal(), verifier: oauth2.GenerateVerifier(),
		browser: browser.hash(), next: next, ends: now.Add(10 * time.Minute),
	}
	state := a.journeys.put(j, now, func(j journey) time.Time { return j.ends })
	return a.sso.config(p, redirect).AuthCodeURL(state, oidc.Nonce(j.nonce), oauth2.S256ChallengeOption(j.verifier)), browser, nil
}

// FinishSSO takes what the browser came back with and begins a session.
func (a *Access) FinishSSO(ctx context.Context, state, code string, browser Token) (s Session, next string, err error) {
	if a.sso == nil {
		return Session{}, "", ErrNoSSO
	}
	j, ok := a.journeys.take(state)
	if !ok || !a.now().Before(j.ends) || subtle.ConstantTimeCompare(browser.hash(), j.browser) != 1 {
		return Session{}, "", ErrLink
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	claims, err := a.sso.exchange(ctx, j, code, a.now)
	if err != nil {
		return Session{}, "", err
	}
	grants := a.sso.grants(claims.groups)
	if len(grants) == 0 {
		return Session{}, "", fmt.Errorf("%w: %q is in none of the groups", ErrNoRole, claims.name)
	}
	u, err := a.external(ctx, a.sso.Issuer, claims, grants)
	if err != nil {
		return Session{}, "", err
	}
	s, err = a.begin(ctx, u)
	return s, j.next, err
}

// claims are what we want to know of a person.
type claims struct {
	subject, name string
	groups        []string
}

// exchange asks the provider what the code is worth and checks the answer:
// signature, issuer, audience, time, and that it is to our question.
func (s *sso) exchange(ctx context.Context, j journey, code string, now func() time.Time) (claims, error) {
	p, err := s.found(ctx)
	if err != nil {
		return claims{}, err
	}
	got, err := s.config(p, j.redirect).Exchange(oidc.ClientContext(ctx, s.Client), code, oauth2.VerifierOption(j.verifier))
	if err != nil {
		return claims{}, fmt.Errorf("%w: %w", ErrProvider, err)
	}
	raw, _ := got.Extra("id_token").(string)
	token, err := p.VerifierContext(oidc.ClientContext(ctx, s.Client), &oidc.Config{ClientID: s.ClientID, Now: now}).Verify(ctx, raw)
	if err != nil {
		return claims{}, fmt.Errorf("%w: %w", ErrProvider, err)
	}
	if subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(j.nonce)) != 1 {
		return claims{}, fmt.Errorf("%w: the answer is to another question", ErrProvider)
	}
	var all map[string]json.RawMessage
	if err := token.Claims(&all); err != nil {
		return claims{}, fmt.Errorf("%w: %w", ErrProvider, err)
	}
	c := claims{subject: token.Subject, name: firstText(all, "preferred_username", "email", "name")}
	if c.name == "" {
		c.name = token.Subject
	}
	name := s.GroupsClaim
	if name == "" {
		name = "groups"
	}
	if json.Unmarshal(all[name], &c.groups) != nil { // some send one group as a text
		c.groups = []string{firstText(all, name)}
	}
	return c, nil
}

func firstText(all map[string]json.RawMessage, names ...string) string {
	for _, n := range names {
		var s string
		if json.Unmarshal(all[n], &s) == nil && strings.TrimSpace(s) != "" {
			return s
		}
	}
	return ""
}

func (s *sso) grants(groups []string) []Grant {
	var grants []Grant
	for _, r := range s.Roles {
		if slices.Contains(groups, r.Group) && !slices.Contains(grants, r.Grant) {
			grants = append(grants, r.Grant)
		}
	}
	return grants
}

// external finds the account of somebody whom the provider vouches for, or
// makes it, and gives it the roles of today. A local account of the same name
// is another person's: the new one gets a name of its own.
func (a *Access) external(ctx context.Context, issuer string, c claims, grants []Grant) (User, error) {
	id, err := a.store.externalID(ctx, issuer, c.subject)
	if err != nil {
		return User{}, err
	}
	if id == "" {
		return a.newExternal(ctx, issuer, c, grants)
	}
	u, err := a.User(ctx, id)
	if err != nil {
		return User{}, err
	}
	if u.Closed {
		return User{}, ErrWrong
	}
	err = a.store.db.Tx(ctx, func(tx *sql.Tx) error {
		if err := forget(ctx, tx, id, "access_grants"); err != nil {
			return err
		}
		return insertGrants(ctx, tx, id, grants)
	})
	if err != nil {
		return User{}, fmt.Errorf("give %q the roles of today: %w", u.Name, err)
	}
	u.Grants = grants
	return u, nil
}

func (a *Access) newExternal(ctx context.Context, issuer string, c claims, grants []Grant) (User, error) {
	name, err := checkName(c.name)
	if err != nil {
		name = "sso-" + newID()
	}
	u := User{ID: newID(), Name: name, Grants: grants, Created: a.now().UTC()}
	for n := 2; ; n++ {
		err := a.store.insertExternal(ctx, u, issuer, c.subject)
		var weak *WeakError
		if !errors.As(err, &weak) || n > 100 {
			return u, err
		}
		u.Name = fmt.Sprintf("%.*s (%d)", maxName-6, name, n)
	}
}

// SSO reports whether a provider is configured.
func (a *Access) SSO() bool { return a.sso != nil }

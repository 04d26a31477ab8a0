package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/access"
)

// SSOConfig is where people log in for many programs at once (OpenID Connect).
type SSOConfig struct {
	// Name is what the login page calls it. Default: OpenID Connect.
	Name string `json:"name"`
	// Issuer is the provider's address, https. The server asks it for its keys and
	// tokens, and nobody else. Default: none, no single sign-on.
	Issuer string `json:"issuer"`
	// ClientID is what the provider calls this server. Register
	// https://HOST/login/sso/back there as the redirect address.
	ClientID string `json:"client_id"`
	// ClientSecretFile holds the secret that the provider gave, on one line.
	// Default: none, for a public client.
	ClientSecretFile string `json:"client_secret_file"`
	// GroupsClaim is the claim that lists a person's groups. Default: groups.
	GroupsClaim string `json:"groups_claim"`
	// Roles are what members of a group may do, and where. At every login they
	// replace what the person had.
	Roles []SSORole `json:"roles"`
}

// SSORole is a role for a group.
type SSORole struct {
	Group string `json:"group"`
	// Role is viewer, operator, investigator, auditor or administrator.
	Role string `json:"role"`
	// Site or Organisation, by ID, is where the role holds. Default: everywhere.
	Site         string `json:"site"`
	Organisation string `json:"organisation"`
}

// provider says the configuration in access's words; nil where there is none.
// The secret is left out: it is read when the server starts.
func (c SSOConfig) provider() *access.Provider {
	if c.Issuer == "" {
		return nil
	}
	p := &access.Provider{Issuer: c.Issuer, ClientID: c.ClientID, GroupsClaim: c.GroupsClaim, Client: newSSOClient()}
	for _, r := range c.Roles {
		g := access.Grant{Role: access.Role(r.Role), Scope: access.Scope{Organisation: r.Organisation, Site: r.Site}}
		p.Roles = append(p.Roles, access.GroupGrant{Group: r.Group, Grant: g})
	}
	return p
}

func (c SSOConfig) validate() error {
	p := c.provider()
	if p == nil {
		if c.ClientID != "" || len(c.Roles) > 0 {
			return fmt.Errorf("sso.issuer: nothing given, but other fields of sso are")
		}
		return nil
	}
	if err := p.Check(); err != nil {
		return fmt.Errorf("sso: %w", err)
	}
	return nil
}

// open reads the secret.
func (c SSOConfig) open() (*access.Provider, error) {
	p := c.provider()
	if p == nil || c.ClientSecretFile == "" {
		return p, nil
	}
	f, err := os.Open(c.ClientSecretFile)
	if err != nil {
		return nil, fmt.Errorf("read sso.client_secret_file: %w", err)
	}
	defer f.Close()
	secret, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return nil, fmt.Errorf("read sso.client_secret_file: %w", err)
	}
	p.ClientSecret = strings.TrimSpace(string(secret))
	return p, nil
}

// newSSOClient asks the provider: not through a proxy that some environment
// names, not for ever, and for answers of bounded size.
func newSSOClient() *http.Client {
	return &http.Client{
		Timeout: 15 * time.Second,
		Transport: bounded{&http.Transport{
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			TLSHandshakeTimeout: 5 * time.Second, MaxIdleConns: 2, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
			MaxResponseHeaderBytes: 64 << 10,
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// bounded cuts answers at a megabyte.
type bounded struct{ inner http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.inner.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, 1<<20), resp.Body}
	}
	return resp, err
}

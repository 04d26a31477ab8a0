package web

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/watchward/watchward/internal/access"
)

// withHarbour offers one organisation and a site in it.
func withHarbour(o *Options) {
	o.Scopes = func(context.Context) ([]Scope, error) {
		return []Scope{
			{access.Scope{Organisation: "port"}, "Port <authority>", 0},
			{access.Scope{Site: "harbour"}, "Harbour", 1},
		}, nil
	}
}

var linkPath = regexp.MustCompile(`/invitation/[A-Za-z0-9_-]{43}`)

// invite makes an account through the pages and returns its link's path and its
// page's.
func inviteVera(t *testing.T, w *Server, ada func(*http.Request), role, scope string) (link, page string) {
	t.Helper()
	resp := serve(w, request("POST", "/users", url.Values{"name": {"Vera"}, "role": {role}, "scope": {scope}}, ada))
	body := bodyOf(t, resp)
	link = linkPath.FindString(body)
	page = regexp.MustCompile(`/users/[A-Za-z0-9_-]+`).FindString(body[strings.Index(body, "<form method=\"post\" action=\"/users/"):])
	if resp.StatusCode != http.StatusCreated || link == "" || page == "" {
		t.Fatalf("invite: %s, link %q, page %q", resp.Status, link, page)
	}
	return link, page
}

func TestInvitedUserComesIn(t *testing.T) {
	w := newServer(t, withHarbour)
	link, page := inviteVera(t, w, login(t, w, "Ada"), "operator", "organisation:port")
	if resp := serve(w, request("GET", link, nil)); resp.StatusCode != http.StatusOK {
		t.Fatalf("page of the link: %s", resp.Status)
	}
	for _, tt := range []struct {
		name, one, two string
		status         int
	}{
		{"not the same", password, password + "x", 422},
		{"too short", "short", "short", 422},
		{"good", password, password, 303},
		{"link used up", password, password, 403},
	} {
		resp := serve(w, request("POST", link, url.Values{"password": {tt.one}, "password_again": {tt.two}}))
		if resp.StatusCode != tt.status {
			t.Errorf("%s: %s, want %d", tt.name, resp.Status, tt.status)
		}
	}
	vera := login(t, w, "Vera")
	account := bodyOf(t, serve(w, request("GET", "/account", nil, vera)))
	if !strings.Contains(account, "Operator") || !strings.Contains(account, "Port &lt;authority&gt;") {
		t.Error("the account page does not say what she may do, and where")
	}
	for _, path := range []string{"/users", page} {
		if resp := serve(w, request("GET", path, nil, vera)); resp.StatusCode != http.StatusForbidden {
			t.Errorf("operator reads %s: %s", path, resp.Status)
		}
	}
}

func TestRolesAndDoor(t *testing.T) {
	w := newServer(t, withHarbour)
	ada := login(t, w, "Ada")
	link, page := inviteVera(t, w, ada, "viewer", "")
	serve(w, request("POST", link, url.Values{"password": {password}, "password_again": {password}}))
	vera := login(t, w, "Vera")
	post := func(path string, form url.Values) int {
		return serve(w, request("POST", path, form, ada)).StatusCode
	}
	for _, tt := range []struct {
		name, path string
		form       url.Values
		status     int
	}{
		{"two roles", page + "/roles", url.Values{"role": {"auditor", "viewer", ""}, "scope": {"", "site:harbour", ""}}, 303},
		{"no role", page + "/roles", url.Values{"role": {""}, "scope": {""}}, 422},
		{"unknown role", page + "/roles", url.Values{"role": {"king"}, "scope": {""}}, 422},
		{"unknown place", page + "/roles", url.Values{"role": {"viewer"}, "scope": {"site:nowhere"}}, 400},
		{"role without place", page + "/roles", url.Values{"role": {"viewer"}}, 400},
		{"nobody's page", "/users/nobody/roles", url.Values{"role": {"viewer"}, "scope": {""}}, 404},
		{"nobody's door", "/users/nobody/close", url.Values{}, 404},
	} {
		if got := post(tt.path, tt.form); got != tt.status {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.status)
		}
	}
	list := bodyOf(t, serve(w, request("GET", "/users", nil, ada)))
	if !strings.Contains(list, "Auditor") || !strings.Contains(list, "Harbour") {
		t.Error("the list does not show roles and places")
	}
	if got := post(page+"/close", nil); got != 303 {
		t.Errorf("shut out: %d", got)
	}
	if resp := serve(w, request("GET", "/account", nil, vera)); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("her browser afterwards: %s", resp.Status)
	}
	if got := post(page+"/open", nil); got != 303 {
		t.Errorf("let in: %d", got)
	}
	login(t, w, "Vera")
}

func TestLastAdministratorIsTold(t *testing.T) {
	w := newServer(t)
	ada := login(t, w, "Ada")
	list := bodyOf(t, serve(w, request("GET", "/users", nil, ada)))
	page := regexp.MustCompile(`/users/[A-Za-z0-9_-]+">Ada<`).FindString(list)
	page, _, _ = strings.Cut(page, `"`)
	resp := serve(w, request("POST", page+"/close", nil, ada))
	if body := bodyOf(t, resp); resp.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(body, "somebody must stay administrator") {
		t.Errorf("%s: %s", resp.Status, resp.Header)
	}
}

var tokenText = regexp.MustCompile(`watchward-[A-Za-z0-9_-]{43}`)

func TestAPITokenWorksForTheAPIAlone(t *testing.T) {
	w := newServer(t)
	w.Handle("GET /api/estate", For(access.SeeEstate), func(rw http.ResponseWriter, _ *http.Request) error { return JSON(rw, "ok") })
	w.Handle("GET /api/cameras", For(access.SeeLive), func(rw http.ResponseWriter, _ *http.Request) error { return JSON(rw, "ok") })
	w.Handle("GET /estate", For(access.SeeEstate), func(rw http.ResponseWriter, _ *http.Request) error { return JSON(rw, "ok") })
	ada := login(t, w, "Ada")
	for _, tt := range []struct {
		name string
		form url.Values
	}{
		{"nothing chosen", url.Values{"name": {"script"}, "days": {"30"}}},
		{"ends today", url.Values{"name": {"script"}, "days": {"0"}, "act": {"see-estate"}}},
		{"no number", url.Values{"name": {"script"}, "days": {"many"}, "act": {"see-estate"}}},
		{"no name", url.Values{"name": {" "}, "days": {"30"}, "act": {"see-estate"}}},
	} {
		if resp := serve(w, request("POST", "/account/tokens", tt.form, ada)); resp.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%s: %s", tt.name, resp.Status)
		}
	}
	resp := serve(w, request("POST", "/account/tokens", url.Values{"name": {"script"}, "days": {"30"}, "act": {"see-estate"}}, ada))
	token := tokenText.FindString(bodyOf(t, resp))
	if resp.StatusCode != http.StatusCreated || token == "" {
		t.Fatalf("make token: %s", resp.Status)
	}
	bearer := header("Authorization", "Bearer "+token)
	for _, tt := range []struct {
		name, path string
		as         func(*http.Request)
		status     int
	}{
		{"what it was made for", "/api/estate", bearer, 200},
		{"another act", "/api/cameras", bearer, 403},
		{"a page", "/estate", bearer, 303},
		{"the account", "/account", bearer, 303},
		{"a wrong token", "/api/estate", header("Authorization", "Bearer "+token[:len(token)-1]+"!"), 401},
	} {
		if resp := serve(w, request("GET", tt.path, nil, tt.as)); resp.StatusCode != tt.status {
			t.Errorf("%s: %s, want %d", tt.name, resp.Status, tt.status)
		}
	}
	account := bodyOf(t, serve(w, request("GET", "/account", nil, ada)))
	if strings.Contains(account, token) {
		t.Error("the token is shown a second time")
	}
	id := regexp.MustCompile(`name="id" value="([^"]+)"`).FindStringSubmatch(account)
	if id == nil {
		t.Fatal("the token is not listed")
	}
	serve(w, request("POST", "/account/tokens/drop", url.Values{"id": {id[1]}}, ada))
	if resp := serve(w, request("GET", "/api/estate", nil, bearer)); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("withdrawn token: %s", resp.Status)
	}
}

func TestRecoveryCodesThroughPages(t *testing.T) {
	w := newServer(t)
	ada := login(t, w, "Ada")
	page := bodyOf(t, serve(w, request("POST", "/account/codes", nil, ada)))
	codes := regexp.MustCompile(`[A-Z2-7]{4}-[A-Z2-7]{4}-[A-Z2-7]{4}-[A-Z2-7]{4}`).FindAllString(page, -1)
	if len(codes) != 10 {
		t.Fatalf("%d codes", len(codes))
	}
	for _, tt := range []struct {
		name, user, code string
		status           int
	}{
		{"wrong", "Ada", "AAAA-AAAA-AAAA-AAAA", 403},
		{"right", "Ada", codes[2], 303},
		{"again", "Ada", codes[2], 403},
		{"another's", "Vic", codes[3], 403},
	} {
		if resp := serve(w, request("POST", "/recover", url.Values{"name": {tt.user}, "code": {tt.code}})); resp.StatusCode != tt.status {
			t.Errorf("%s: %s, want %d", tt.name, resp.Status, tt.status)
		}
	}
}

func TestOwnPassword(t *testing.T) {
	w := newServer(t)
	ada := login(t, w, "Ada")
	other := login(t, w, "Ada")
	change := func(now, one, two string) *http.Response {
		return serve(w, request("POST", "/account/password", url.Values{"current": {now}, "password": {one}, "password_again": {two}}, ada))
	}
	for name, resp := range map[string]*http.Response{
		"wrong now":    change("guess", password+"2", password+"2"),
		"not the same": change(password, password+"2", password+"3"),
		"weak":         change(password, "short", "short"),
	} {
		if resp.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%s: %s", name, resp.Status)
		}
	}
	if resp := change(password, password+"2", password+"2"); resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("change: %s", resp.Status)
	}
	if resp := serve(w, request("GET", "/account", nil, ada)); resp.StatusCode != http.StatusOK {
		t.Errorf("this browser: %s", resp.Status)
	}
	if resp := serve(w, request("GET", "/account", nil, other)); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("the other browser: %s", resp.Status)
	}
}

// Every page about people, in both languages, has all its texts.
func TestPeoplePagesHaveTheirTexts(t *testing.T) {
	w := newServer(t, withHarbour)
	ada := login(t, w, "Ada")
	link, page := inviteVera(t, w, ada, "auditor", "site:harbour")
	bare := regexp.MustCompile(`>\s*(users|role|account|act|invitation|recover|grant|token|weak)\.[a-z.-]+\s*<`)
	for _, lang := range []string{"en", "fr"} {
		for _, path := range []string{"/users", page, "/account", "/recover", link, "/login"} {
			body := bodyOf(t, serve(w, request("GET", path, nil, ada, header("Accept-Language", lang))))
			if key := bare.FindString(body); key != "" {
				t.Errorf("%s in %q shows %q", path, lang, key)
			}
		}
	}
}

func TestSSORoutesWithoutAProvider(t *testing.T) {
	w := newServer(t)
	if body := bodyOf(t, serve(w, request("GET", "/login", nil))); strings.Contains(body, "/login/sso") {
		t.Error("the login page offers what there is not")
	}
	for _, path := range []string{"/login/sso", "/login/sso/back?state=x&code=y"} {
		if resp := serve(w, request("GET", path, nil)); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
}

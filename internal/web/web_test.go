package web

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/watchward/watchward/internal/access"
	"github.com/watchward/watchward/internal/db"
)

const password = "correct horse battery"

func openAccess(t *testing.T) *access.Access {
	t.Helper()
	d, err := db.Open(t.Context(), filepath.Join(t.TempDir(), "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	a, err := access.Open(t.Context(), access.Options{DB: d, Cost: access.Cost{Time: 1, Memory: 64, Threads: 1}})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func newServer(t *testing.T, change ...func(*Options)) *Server {
	t.Helper()
	o := Options{Access: openAccess(t), Listen: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)}
	for _, f := range change {
		f(&o)
	}
	w, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if o.Access.SetupPending() {
		if _, err := o.Access.CreateFirst(t.Context(), o.Access.SetupToken(), "Ada", password, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := o.Access.CreateUser(t.Context(), "Vic", password, access.Viewer); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

const site = "http://127.0.0.1:8433"

func request(method, path string, form url.Values, change ...func(*http.Request)) *http.Request {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r := httptest.NewRequest(method, site+path, body)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, f := range change {
		f(r)
	}
	return r
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func serve(w *Server, r *http.Request) *http.Response {
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, r)
	return rec.Result()
}

func bodyOf(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func login(t *testing.T, w *Server, name string) func(*http.Request) {
	t.Helper()
	resp := serve(w, request("POST", "/login", url.Values{"name": {name}, "password": {password}}))
	if resp.StatusCode != http.StatusSeeOther || len(resp.Cookies()) != 1 {
		t.Fatalf("login of %s: %s", name, resp.Status)
	}
	c := resp.Cookies()[0]
	return func(r *http.Request) { r.AddCookie(c) }
}

func TestLoginPage(t *testing.T) {
	w := newServer(t)
	for _, tt := range []struct {
		name     string
		form     url.Values
		status   int
		location string
	}{
		{"right", url.Values{"name": {"Ada"}, "password": {password}}, 303, "/"},
		{"goes on", url.Values{"name": {"Ada"}, "password": {password}, "next": {"/cameras?x=1"}}, 303, "/cameras?x=1"},
		{"goes nowhere else", url.Values{"name": {"Ada"}, "password": {password}, "next": {"https://evil.example/"}}, 303, "/"},
		{"nor there", url.Values{"name": {"Ada"}, "password": {password}, "next": {"//evil.example"}}, 303, "/"},
		{"wrong", url.Values{"name": {"Ada"}, "password": {"wrong"}}, 403, ""},
		{"nobody", url.Values{"name": {"<b>"}, "password": {"wrong"}}, 403, ""},
	} {
		resp := serve(w, request("POST", "/login", tt.form))
		if resp.StatusCode != tt.status || resp.Header.Get("Location") != tt.location {
			t.Errorf("%s: %s to %q", tt.name, resp.Status, resp.Header.Get("Location"))
		}
		if body := bodyOf(t, resp); strings.Contains(body, "<b>") || strings.Contains(body, password) {
			t.Errorf("%s: the page repeats what it should not", tt.name)
		}
	}
}

func TestSessionCookie(t *testing.T) {
	for _, secure := range []bool{false, true} {
		w := newServer(t, func(o *Options) {
			if secure {
				o.Listen, o.TLS.Dir = ":0", t.TempDir()
			}
		})
		old := &http.Cookie{Name: w.cookieName(request("GET", "/", nil)), Value: "fixed-by-an-attacker-aaaaaaaaaaaaaaaaaaaaaaaa"}
		resp := serve(w, request("POST", "/login", url.Values{"name": {"Ada"}, "password": {password}}, func(r *http.Request) { r.AddCookie(old) }))
		c := resp.Cookies()[0]
		if c.Value == old.Value || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" || c.Secure != secure {
			t.Errorf("secure %t: %+v", secure, c)
		}
		if strings.HasPrefix(c.Name, "__Host-") != secure {
			t.Errorf("secure %t: called %q", secure, c.Name)
		}
	}
}

func TestLogoutEndsTheSession(t *testing.T) {
	w := newServer(t)
	w.Handle("GET /secret", View, func(rw http.ResponseWriter, _ *http.Request) error { return JSON(rw, "seen") })
	ada := login(t, w, "Ada")
	if resp := serve(w, request("GET", "/secret", nil, ada)); resp.StatusCode != 200 {
		t.Fatal(resp.Status)
	}
	if resp := serve(w, request("POST", "/logout", nil, ada)); resp.StatusCode != 303 {
		t.Fatal(resp.Status)
	}
	if resp := serve(w, request("GET", "/secret", nil, ada)); resp.StatusCode != 303 {
		t.Errorf("after logout: %s", resp.Status)
	}
	// A new login ends the session the browser came with.
	ada = login(t, w, "Ada")
	serve(w, request("POST", "/login", url.Values{"name": {"Vic"}, "password": {password}}, ada))
	if resp := serve(w, request("GET", "/secret", nil, ada)); resp.StatusCode != 303 {
		t.Errorf("the session before: %s", resp.Status)
	}
}

func TestBruteForce(t *testing.T) {
	w := newServer(t)
	var resp *http.Response
	for range 6 {
		resp = serve(w, request("POST", "/login", url.Values{"name": {"Ada"}, "password": {"wrong"}}))
	}
	if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") == "" {
		t.Errorf("the sixth: %s, retry after %q", resp.Status, resp.Header.Get("Retry-After"))
	}
}

func TestNeeds(t *testing.T) {
	w := newServer(t)
	for name, need := range map[string]Need{"anyone": Anyone, "view": View, "change": Change} {
		h := func(rw http.ResponseWriter, _ *http.Request) error { return JSON(rw, "ok") }
		w.Handle("GET /"+name, need, h)
		w.Handle("POST /"+name, need, h)
		w.Handle("GET /api/"+name, need, h)
	}
	nobody := func(*http.Request) {}
	ada, vic := login(t, w, "Ada"), login(t, w, "Vic")
	for _, tt := range []struct {
		who          string
		as           func(*http.Request)
		method, path string
		status       int
	}{
		{"nobody", nobody, "GET", "/anyone", 200},
		{"nobody", nobody, "GET", "/view", 303},
		{"nobody", nobody, "POST", "/view", 401},
		{"nobody", nobody, "GET", "/api/view", 401},
		{"nobody", nobody, "GET", "/api/change", 401},
		{"viewer", vic, "GET", "/view", 200},
		{"viewer", vic, "GET", "/change", 403},
		{"viewer", vic, "POST", "/change", 403},
		{"viewer", vic, "GET", "/api/change", 403},
		{"administrator", ada, "POST", "/change", 200},
		{"nobody", nobody, "GET", "/not/there", 303},
		{"nobody", nobody, "GET", "/api/not/there", 401},
		{"administrator", ada, "GET", "/not/there", 404},
		{"administrator", ada, "PATCH", "/view", 404},
	} {
		if resp := serve(w, request(tt.method, tt.path, nil, tt.as)); resp.StatusCode != tt.status {
			t.Errorf("%s, %s %s: %s, want %d", tt.who, tt.method, tt.path, resp.Status, tt.status)
		}
	}
	if (Need{}) != Change {
		t.Error("a forgotten need is not the strictest")
	}
}

func TestOtherSitesAreRefused(t *testing.T) {
	w := newServer(t)
	h := func(rw http.ResponseWriter, _ *http.Request) error { return JSON(rw, "ok") }
	w.Handle("GET /page", View, h)
	w.Handle("POST /page", Change, h)
	w.Handle("GET /api/data", View, h)
	ada := login(t, w, "Ada")
	for _, tt := range []struct {
		name, method, path string
		headers            []string
		status             int
	}{
		{"own form", "POST", "/page", []string{"Sec-Fetch-Site", "same-origin"}, 200},
		{"form elsewhere", "POST", "/page", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"form on a sister host", "POST", "/page", []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"old browser, form elsewhere", "POST", "/page", []string{"Origin", "https://evil.example"}, 403},
		{"old browser, own form", "POST", "/page", []string{"Origin", site}, 200},
		{"no browser", "POST", "/page", nil, 200},
		{"link elsewhere", "GET", "/page", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, 200},
		{"frame elsewhere", "GET", "/page", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}, 403},
		{"picture elsewhere", "GET", "/api/data", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"}, 403},
		{"own script", "GET", "/api/data", []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "cors"}, 200},
		{"socket elsewhere", "GET", "/api/data", []string{"Upgrade", "websocket", "Origin", "https://evil.example"}, 403},
		{"own socket", "GET", "/api/data", []string{"Upgrade", "websocket", "Origin", site}, 200},
	} {
		r := request(tt.method, tt.path, nil, ada)
		for i := 0; i < len(tt.headers); i += 2 {
			r.Header.Set(tt.headers[i], tt.headers[i+1])
		}
		if resp := serve(w, r); resp.StatusCode != tt.status {
			t.Errorf("%s: %s, want %d", tt.name, resp.Status, tt.status)
		}
	}
}

func TestHosts(t *testing.T) {
	local := newServer(t)
	tlsServer := newServer(t, func(o *Options) {
		o.Listen, o.TLS.Dir, o.Hosts = "0.0.0.0:0", t.TempDir(), []string{"cams.example"}
	})
	for _, tt := range []struct {
		w      *Server
		host   string
		status int
	}{
		{local, "127.0.0.1:8433", 200},
		{local, "localhost:1", 200},
		{local, "[::1]:1", 200},
		{local, "evil.example", 421},
		{local, "192.0.2.1", 421},
		{local, "", 421},
		{tlsServer, "192.0.2.1:8433", 200},
		{tlsServer, "cams.example", 200},
		{tlsServer, "CAMS.example:1", 200},
		{tlsServer, "evil.example", 421},
	} {
		r := request("GET", "/login", nil)
		r.Host = tt.host
		if resp := serve(tt.w, r); resp.StatusCode != tt.status {
			t.Errorf("host %q: %s, want %d", tt.host, resp.Status, tt.status)
		}
	}
}

func TestHeaders(t *testing.T) {
	w := newServer(t)
	for _, path := range []string{"/login", "/assets/app.css", "/api/x", "/nowhere"} {
		h := serve(w, request("GET", path, nil)).Header
		csp := h.Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("%s: policy %q", path, csp)
		}
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cross-Origin-Resource-Policy") != "same-origin" || h.Get("Cache-Control") == "" || h.Get("X-Request-Id") == "" {
			t.Errorf("%s: %v", path, h)
		}
	}
}

func TestErrorsAreTold(t *testing.T) {
	w := newServer(t)
	fails := map[string]error{
		"secret": errors.New("password of camera is hunter2"), "missing": ErrNotFound, "bad": errors.Join(ErrBadRequest, errors.New("x")),
		"large": &http.MaxBytesError{Limit: 1}, "own": Problem{Status: 418, Code: "not-found", Detail: "<teapot>"},
	}
	for name, err := range fails {
		w.Handle("GET /api/"+name, Anyone, func(http.ResponseWriter, *http.Request) error { return err })
		w.Handle("GET /"+name, Anyone, func(http.ResponseWriter, *http.Request) error { return err })
	}
	w.Handle("GET /api/panics", Anyone, func(http.ResponseWriter, *http.Request) error { panic("hunter2") })
	for path, status := range map[string]int{"secret": 500, "missing": 404, "bad": 400, "large": 413, "own": 418, "panics": 500} {
		resp := serve(w, request("GET", "/api/"+path, nil, header("Accept-Language", "fr")))
		var p struct {
			Type, Title, Hint, Request string
			Status                     int
		}
		body := bodyOf(t, resp)
		if err := json.Unmarshal([]byte(body), &p); err != nil || p.Status != status || resp.StatusCode != status || p.Title == "" || p.Hint == "" || p.Request == "" {
			t.Errorf("%s: %s %s %v", path, resp.Status, body, err)
		}
		if resp.Header.Get("Content-Type") != "application/problem+json" || strings.Contains(body, "hunter2") {
			t.Errorf("%s: %s", path, body)
		}
		if path == "panics" {
			continue
		}
		page := serve(w, request("GET", "/"+path, nil))
		if text := bodyOf(t, page); page.StatusCode != status || !strings.Contains(text, "<h1>") || strings.Contains(text, "hunter2") || strings.Contains(text, "<teapot>") {
			t.Errorf("page %s: %s", path, page.Status)
		}
	}
}

func TestBodiesAreCapped(t *testing.T) {
	w := newServer(t)
	resp := serve(w, request("POST", "/login", url.Values{"name": {strings.Repeat("x", maxForm)}}))
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Error(resp.Status)
	}
}

func TestAssets(t *testing.T) {
	w := newServer(t)
	resp := serve(w, request("GET", "/assets/app.css", nil, header("Accept-Encoding", "gzip")))
	if resp.StatusCode != 200 || resp.Header.Get("Content-Encoding") != "gzip" || resp.Header.Get("Cache-Control") != "no-cache" {
		t.Fatalf("%s %v", resp.Status, resp.Header)
	}
	z, err := gzip.NewReader(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	packed, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if plain := bodyOf(t, serve(w, request("GET", "/assets/app.css", nil))); plain != string(packed) || !strings.Contains(plain, "@layer") {
		t.Error("packed and plain differ")
	}
	tag := resp.Header.Get("ETag")
	if again := serve(w, request("GET", "/assets/app.css", nil, header("If-None-Match", tag))); again.StatusCode != 304 {
		t.Errorf("known already: %s", again.Status)
	}
	fixed := serve(w, request("GET", w.Asset("app.css"), nil))
	if !strings.Contains(fixed.Header.Get("Cache-Control"), "immutable") {
		t.Errorf("by hash: %v", fixed.Header)
	}
	if byV := serve(w, request("GET", "/assets/app.css?v="+tag[1:13], nil)); !strings.Contains(byV.Header.Get("Cache-Control"), "immutable") {
		t.Errorf("by v: %v", byV.Header)
	}
	if stale := serve(w, request("GET", "/assets/app.css?v=000000000000", nil)); stale.Header.Get("Cache-Control") != "no-cache" {
		t.Errorf("by another v: %v", stale.Header)
	}
	for _, path := range []string{"/assets/", "/assets/../web.go", "/assets/%2e%2e/web.go", "/assets/nothing.js", "/assets/dist/app.css"} {
		if resp := serve(w, request("GET", path, nil)); resp.StatusCode == 200 {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
	if w.Asset("nothing.js") != "" {
		t.Error("an address of nothing")
	}
}

func TestPreferences(t *testing.T) {
	w := newServer(t)
	resp := serve(w, request("POST", "/preferences", url.Values{"lang": {"fr"}, "theme": {"dark"}, "next": {"/login"}}))
	if resp.StatusCode != 303 || resp.Header.Get("Location") != "/login" || len(resp.Cookies()) != 2 {
		t.Fatalf("%s %v", resp.Status, resp.Cookies())
	}
	r := request("GET", "/login", nil, header("Accept-Language", "en"))
	for _, c := range resp.Cookies() {
		r.AddCookie(c)
	}
	if body := bodyOf(t, serve(w, r)); !strings.Contains(body, `<html lang="fr" data-theme="dark">`) || !strings.Contains(body, "Se connecter") {
		t.Error("the choice does not hold")
	}
	if resp := serve(w, request("POST", "/preferences", url.Values{"lang": {"xx"}})); resp.StatusCode != 400 {
		t.Errorf("a language there is not: %s", resp.Status)
	}
}

func TestWelcome(t *testing.T) {
	a := openAccess(t)
	token, err := a.Welcome(t.Context(), "demo")
	if err != nil {
		t.Fatal(err)
	}
	w := newServer(t, func(o *Options) { o.Access = a })
	here := func(r *http.Request) { r.RemoteAddr = "127.0.0.1:5000" }
	if resp := serve(w, request("GET", "/welcome/"+token.Reveal(), nil, here)); resp.StatusCode != 303 || len(resp.Cookies()) != 1 || strings.Contains(resp.Header.Get("Location"), "#") {
		t.Errorf("from here: %s", resp.Status)
	}
	if resp := serve(w, request("GET", "/welcome/"+token.Reveal(), nil)); resp.StatusCode != 403 { // from 192.0.2.1
		t.Errorf("from elsewhere: %s", resp.Status)
	}
	if resp := serve(w, request("GET", "/welcome/guess", nil, here)); resp.StatusCode != 403 {
		t.Errorf("guessed: %s", resp.Status)
	}
}

func TestTokensStayOutOfTheLog(t *testing.T) {
	var log bytes.Buffer
	w := newServer(t, func(o *Options) {
		o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	serve(w, request("GET", "/welcome/topsecrettoken", nil))
	serve(w, request("POST", "/login", url.Values{"name": {"Ada"}, "password": {"topsecrettoken"}}))
	if strings.Contains(log.String(), "topsecrettoken") {
		t.Error(log.String())
	}
}

func TestSecurityTxt(t *testing.T) {
	w := newServer(t, func(o *Options) { o.Contact = "mailto:security@example.org" })
	body := bodyOf(t, serve(w, request("GET", "/.well-known/security.txt", nil)))
	if !strings.Contains(body, "Contact: mailto:security@example.org\n") || !strings.Contains(body, "Expires: 2") {
		t.Error(body)
	}
	if resp := serve(newServer(t), request("GET", "/.well-known/security.txt", nil)); resp.StatusCode != 404 {
		t.Errorf("without a contact: %s", resp.Status)
	}
}

func TestLocalPath(t *testing.T) {
	for next, want := range map[string]string{
		"/cameras": "/cameras", "/a?b=c": "/a?b=c", "": "/", "cameras": "/", "//evil": "/", "/\\evil": "/", "https://evil/": "/", "/\tx": "/", "javascript:x": "/",
	} {
		if got := localPath(next); got != want {
			t.Errorf("localPath(%q) = %q, want %q", next, got, want)
		}
	}
}

func TestScheme(t *testing.T) {
	for _, tt := range []struct {
		name, listen string
		tls          TLS
		want         scheme
		refused      bool
	}{
		{"loopback", "127.0.0.1:80", TLS{}, plain, false},
		{"IPv6 loopback", "[::1]:80", TLS{}, plain, false},
		{"localhost", "localhost:80", TLS{}, plain, false},
		{"all interfaces", ":80", TLS{Dir: "x"}, generated, false},
		{"an address", "192.0.2.1:80", TLS{Dir: "x"}, generated, false},
		{"nowhere to keep it", ":80", TLS{}, 0, true},
		{"own files", "127.0.0.1:80", TLS{Cert: "c", Key: "k"}, ownFiles, false},
		{"half of them", ":80", TLS{Cert: "c", Dir: "x"}, 0, true},
		{"ACME", ":443", TLS{Domains: []string{"cams.example"}, Dir: "x"}, byACME, false},
		{"both", ":443", TLS{Domains: []string{"cams.example"}, Cert: "c", Key: "k"}, 0, true},
		{"no port", "127.0.0.1", TLS{}, 0, true},
	} {
		got, err := chooseScheme(tt.listen, tt.tls)
		if got != tt.want || (err != nil) != tt.refused {
			t.Errorf("%s: %v, %v", tt.name, got, err)
		}
	}
}

func TestGeneratedCertificateStays(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	first, err := localCertificate(dir, now)
	if err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(filepath.Join(dir, "local.pem")); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	again, err := localCertificate(dir, now.Add(700*24*time.Hour))
	if err != nil || fingerprint(first.Certificate[0]) != fingerprint(again.Certificate[0]) {
		t.Errorf("another one: %v", err)
	}
	late, err := localCertificate(dir, now.Add(800*24*time.Hour))
	if err != nil || fingerprint(first.Certificate[0]) == fingerprint(late.Certificate[0]) {
		t.Errorf("not renewed: %v", err)
	}
	if err := late.Leaf.VerifyHostname("127.0.0.1"); err != nil {
		t.Error(err)
	}
}

func TestRunOverTLS(t *testing.T) {
	w := newServer(t, func(o *Options) { o.Listen, o.TLS.Dir = "0.0.0.0:0", t.TempDir() })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	select {
	case <-w.Ready():
	case err := <-done:
		t.Fatal(err)
	}
	if !strings.HasPrefix(w.URL(), "https://") || !strings.HasSuffix(w.URL(), "/") || len(w.Fingerprint()) != 95 {
		t.Errorf("%q, %q", w.URL(), w.Fingerprint())
	}
	u, err := url.Parse(w.URL())
	if err != nil {
		t.Fatal(err)
	}
	var seen string
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
		InsecureSkipVerify: true,
		VerifyConnection:   func(s tls.ConnectionState) error { seen = fingerprint(s.PeerCertificates[0].Raw); return nil },
	}}}
	resp, err := client.Get("https://" + net.JoinHostPort("127.0.0.1", u.Port()) + "/login")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 || seen != w.Fingerprint() {
		t.Errorf("%s, certificate %s", resp.Status, seen)
	}
	client.CloseIdleConnections()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

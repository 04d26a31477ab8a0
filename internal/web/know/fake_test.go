package know

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/watchward/watchward/internal/access"
	"github.com/watchward/watchward/internal/db"
	"github.com/watchward/watchward/internal/policy"
	"github.com/watchward/watchward/internal/web"
)

const (
	password = "correct horse battery"
	site     = "http://127.0.0.1:8433"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// bench is a whole wing.
type bench struct {
	know   *Know
	web    *web.Server
	access *access.Access
}

// newBench has an administrator Ada and a viewer Vic.
func newBench(t testing.TB) *bench {
	t.Helper()
	d, err := db.Open(t.Context(), filepath.Join(t.TempDir(), "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	b := new(bench)
	if b.access, err = access.Open(t.Context(), access.Options{DB: d, Cost: access.Cost{Time: 1, Memory: 64, Threads: 1}}); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	now := func() time.Time { return noon }
	if b.web, err = web.New(web.Options{Access: b.access, Log: log}); err != nil {
		t.Fatal(err)
	}
	rules, err := policy.Load()
	if err != nil {
		t.Fatal(err)
	}
	if b.know, err = New(Options{Web: b.web, Rules: rules, Log: log, Now: now}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.access.CreateFirst(t.Context(), b.access.SetupToken(), "Ada", password, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := b.access.CreateUser(t.Context(), "Vic", password, access.Viewer); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) serve(r *http.Request) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	b.web.Handler().ServeHTTP(rec, r)
	return rec
}

func ask(method, path, body string, change ...func(*http.Request)) *http.Request {
	r := httptest.NewRequest(method, site+path, strings.NewReader(body))
	for _, f := range change {
		f(r)
	}
	return r
}

func form(path string, values url.Values, change ...func(*http.Request)) *http.Request {
	r := ask("POST", path, values.Encode(), change...)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

func with(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func (b *bench) login(t testing.TB, name string) func(*http.Request) {
	t.Helper()
	rec := b.serve(form("/login", url.Values{"name": {name}, "password": {password}}))
	cookies := rec.Result().Cookies()
	if rec.Code != http.StatusSeeOther || len(cookies) != 1 {
		t.Fatalf("login of %s: %d", name, rec.Code)
	}
	return func(r *http.Request) { r.AddCookie(cookies[0]) }
}

// page is the answer's body, which must have the status.
func (b *bench) page(t testing.TB, status int, r *http.Request) string {
	t.Helper()
	rec := b.serve(r)
	if rec.Code != status {
		t.Fatalf("%s %s: %d, want %d: %s", r.Method, r.URL, rec.Code, status, words(parse(t, rec.Body.String())))
	}
	return rec.Body.String()
}

func parse(t testing.TB, page string) *html.Node {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// words is all text of a node.
func words(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode && d.Parent.Data != "script" {
			b.WriteString(d.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

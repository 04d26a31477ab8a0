package know

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/watchward/watchward/internal/access"
	"github.com/watchward/watchward/internal/db"
	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/identify/makers"
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
	estate *estate.Estate
	book   *policy.Book
	town   *town
	device map[string]estate.DeviceID // by address
	clock  time.Time                  // moved by hand
}

// newBench has an administrator Ada, an auditor Vic, Wim who may watch cameras
// only, and Cora who operates the council's estate; a department with a
// sensitive and an unclassed site, a council with an ordinary one; and devices
// of all kinds of certainty.
func newBench(t testing.TB) *bench {
	t.Helper()
	b := emptyBench(t)
	b.fill(t)
	return b
}

func emptyBench(t testing.TB) *bench {
	t.Helper()
	d, err := db.Open(t.Context(), filepath.Join(t.TempDir(), "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	b := &bench{town: &town{hold: make(chan struct{})}}
	if b.access, err = access.Open(t.Context(), access.Options{DB: d, Cost: access.Cost{Time: 1, Memory: 64, Threads: 1}}); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	b.clock = noon
	now := func() time.Time { return b.clock }
	if b.web, err = web.New(web.Options{Access: b.access, Log: log}); err != nil {
		t.Fatal(err)
	}
	if b.estate, err = estate.Open(t.Context(), estate.Options{DB: d, Key: make([]byte, 32), Now: now, Gate: estate.NoRules{}}); err != nil {
		t.Fatal(err)
	}
	graph, err := makers.Load()
	if err != nil {
		t.Fatal(err)
	}
	rules, err := policy.Load()
	if err != nil {
		t.Fatal(err)
	}
	key := must(policy.WaiverKey(make([]byte, 32)))(t)
	b.book = must(policy.Open(t.Context(), policy.Options{DB: d, Estate: b.estate, Catalogue: rules, Key: key, Now: now}))(t)
	if b.know, err = New(Options{Web: b.web, Estate: b.estate, Book: b.book, Makers: graph, Network: b.town, Import: b.town.Import, Town: []string{"127.0.10.0/24"}, Log: log, Now: now}); err != nil {
		t.Fatal(err)
	}
	ada := must(b.access.CreateFirst(t.Context(), b.access.SetupToken(), "Ada", password, nil))(t)
	for name, grant := range map[string]access.Grant{
		"Vic":  {Role: access.Auditor},
		"Wim":  {Role: access.Viewer},
		"Cora": {Role: access.Operator, Scope: access.Scope{Organisation: "harbour-council"}},
	} {
		u := must(b.access.CreateUser(t.Context(), name, password, grant.Role))(t)
		if err := b.access.SetGrants(t.Context(), ada, u.ID, []access.Grant{grant}); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// must stops the test at an error of what it only prepares.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (b *bench) fill(t testing.TB) {
	t.Helper()
	ctx := t.Context()
	dept := must(b.estate.AddOrganisation(ctx, estate.Organisation{Name: "Department of Examples", Body: "uk.central-department"}, "Ada"))(t)
	council := must(b.estate.AddOrganisation(ctx, estate.Organisation{Name: "Harbour Council", Body: "uk.local-authority", Region: "South"}, "Ada"))(t)
	must(b.estate.AddOrganisation(ctx, estate.Organisation{Name: "Agency", Parent: dept.ID}, "Ada"))(t)
	for _, s := range []struct {
		name, of string
		class    estate.SiteClass
	}{{"Ministry", dept.ID, estate.Sensitive}, {"Depot", dept.ID, ""}, {"Town hall", council.ID, estate.Ordinary}} {
		site := must(b.estate.AddSite(ctx, s.name))(t)
		site.Organisation = s.of
		must(b.estate.UpdateSite(ctx, site, "Ada", ""))(t)
		if s.class != "" {
			must(b.estate.ClassSite(ctx, site.ID, s.class, "Ada", "Ministers work there."))(t)
		}
	}
	scan := must(b.estate.BeginScan(ctx, estate.Scan{By: "Ada", Ranges: []string{"10.0.0.0/24"}, Rate: 50}))(t)
	b.device = map[string]estate.DeviceID{}
	seen := sightings()
	for i, o := range must(b.estate.Propose(ctx, scan.ID, seen))(t) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		b.device[seen[i].Addresses[0].String()] = o.Device
	}
	for address, site := range map[string]string{"10.0.0.1": "ministry", "10.0.0.3": "town-hall", "10.0.0.4": "depot"} {
		must(b.estate.Adopt(ctx, b.device[address], site, "Ada", "inventory"))(t)
	}
	b.estate.SetGate(b.book) // what hung there already does
	must(b.book.Refresh(ctx))(t)
}

// sightings are a rebrand that is settled, one that the gate refuses, a maker
// that is very likely, a badge's word, nothing at all, and a liar.
func sightings() []estate.Sighting {
	realm := `Digest realm="IP Camera(C1234)"`
	settled := estate.Identification{
		Brand: "LTS", Maker: "hikvision", MakerName: "Hikvision", Model: "CMIP7043", Kind: estate.KindCamera, Confidence: estate.Identified, Data: "2026-11-25",
		Because: []estate.Reason{
			{Evidence: "1", Fingerprint: "hikvision/rtsp-realm-model", Family: "realm", Grade: "A", Maker: "hikvision", Saw: realm},
			{Evidence: "2", Fingerprint: "generic/server", Family: "http", Grade: "F", Saw: "App-webs/"},
		},
	}
	likely := estate.Identification{
		Brand: "Amcrest", Maker: "dahua", MakerName: "Dahua", Kind: estate.KindRecorder, Confidence: estate.VeryLikely, Data: "2026-11-25",
		Because: []estate.Reason{
			{Evidence: "1", Fingerprint: "dahua/realm", Family: "realm", Grade: "B", Maker: "dahua", Saw: "Login to 3X"},
			{Evidence: "2", Fingerprint: "dahua/page", Family: "page", Grade: "B", Maker: "dahua", Saw: "<title>WEB SERVICE</title>"},
		},
		Conflicts: []estate.Reason{{Evidence: "1", Fingerprint: "axis/page", Family: "page", Grade: "C", Maker: "axis", Saw: "AXIS"}},
	}
	badge := estate.Identification{Brand: "Axis", Maker: "axis", MakerName: "Axis", Kind: estate.KindCamera, Confidence: estate.Hint, BadgeOnly: true, Data: "2026-11-25"}
	liar := estate.Identification{Brand: "<script>alert(1)</script>", Model: "x\u202egnp.exe", Kind: estate.KindCamera, Confidence: estate.Unknown, Data: "2026-11-25"}
	var all []estate.Sighting
	for n, i := range []estate.Identification{settled, settled, likely, badge, {Confidence: estate.Unknown}, liar} {
		all = append(all, estate.Sighting{
			Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, byte(n + 1)})}, MACs: []string{fmt.Sprintf("00:40:8c:00:00:%02x", n)}, Identification: i, At: noon,
			Evidence: []estate.Evidence{
				{ID: "1", Kind: "rtsp-response", Port: 554, Value: "RTSP/1.0 401 Unauthorized\r\nWWW-Authenticate: " + realm + "\r\n", At: noon, Source: "scan"},
				{ID: "2", Kind: "http-response", Port: 80, Value: "HTTP/1.1 200 OK\r\nServer: App-webs/\x1b[31m\r\n\r\n<script>alert(1)</script>\xff", At: noon, Source: "scan"},
			},
		})
	}
	return all
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

func scanOf(what string) estate.Scan {
	return estate.Scan{By: "Ada", Ranges: []string{what}, Site: "ministry", Rate: 50}
}

// bulk are devices of several makers, named after their number.
func bulk(from, to int) []estate.Sighting {
	kinds := []estate.Identification{
		{Brand: "Hikvision", Maker: "hikvision", MakerName: "Hikvision", Kind: estate.KindCamera, Confidence: estate.Identified},
		{Brand: "Axis", Maker: "axis", MakerName: "Axis", Kind: estate.KindCamera, Confidence: estate.VeryLikely},
		{Confidence: estate.Unknown},
	}
	var all []estate.Sighting
	for n := from; n < to; n++ {
		all = append(all, estate.Sighting{
			Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, byte(1 + n>>16), byte(n >> 8), byte(n)})}, MACs: []string{fmt.Sprintf("00:40:8d:%02x:%02x:%02x", n>>16, n>>8&255, n&255)},
			Hostname: fmt.Sprintf("bulk-%05d", n), Identification: kinds[n%3], At: noon,
		})
	}
	return all
}

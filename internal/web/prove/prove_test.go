package prove

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/watchward/watchward/internal/access"
	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/db"
	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/ledger"
	"github.com/watchward/watchward/internal/policy"
	"github.com/watchward/watchward/internal/seal"
	"github.com/watchward/watchward/internal/web"
)

const (
	password = "correct horse battery"
	site     = "http://127.0.0.1:8433"
)

// rooms stands for the archive and the keys.
type rooms struct{ timeline archive.Timeline }

func (r *rooms) Timeline(context.Context, archive.StreamID, time.Time, time.Time) (archive.Timeline, error) {
	return r.timeline, nil
}
func (r *rooms) Holds(context.Context) ([]archive.Hold, error)   { return nil, nil }
func (r *rooms) Health() archive.Health                          { return archive.Health{} }
func (r *rooms) Sealed(site, camera, day string) ([]byte, error) { return []byte("sealed"), nil }

type bench struct {
	web    *web.Server
	ledger *ledger.Ledger
	estate *estate.Estate
	access *access.Access
	in     map[string][]*http.Cookie // who is logged in
	*rooms
}

// must ends the test at an error.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// newBench has an administrator Ada, an auditor Vic, a viewer Wim of the
// harbour; a camera at the harbour and one at the school; and a log of 250
// entries.
func newBench(t *testing.T) *bench {
	t.Helper()
	dir, ctx := t.TempDir(), t.Context()
	now := func() time.Time { return noon }
	log := slog.New(slog.DiscardHandler)
	d := must(db.Open(ctx, filepath.Join(dir, "test.db")))(t)
	t.Cleanup(func() { d.Close() })
	b := &bench{in: map[string][]*http.Cookie{}, rooms: &rooms{timeline: wellKept().timeline}}
	b.access = must(access.Open(ctx, access.Options{DB: d, Cost: access.Cost{Time: 1, Memory: 64, Threads: 1}}))(t)
	b.estate = must(estate.Open(ctx, estate.Options{DB: d, Key: make([]byte, 32), Gate: estate.NoRules{}}))(t)
	rules := must(policy.Load())(t)
	key := must(policy.WaiverKey(make([]byte, 32)))(t)
	book := must(policy.Open(ctx, policy.Options{DB: d, Estate: b.estate, Catalogue: rules, Key: key, Now: now}))(t)
	b.ledger = must(ledger.Open(ctx, ledger.Options{Dir: filepath.Join(dir, "ledger"), Key: filepath.Join(dir, "key"), Log: log, Every: time.Millisecond}))(t)
	b.web = must(web.New(web.Options{Access: b.access, Log: log, Now: now}))(t)
	must(New(Options{Web: b.web, Estate: b.estate, Book: book, Archive: b.rooms, Keys: b.rooms, Ledger: b.ledger, Log: log, Now: now}))(t)
	b.fill(t)
	return b
}

func (b *bench) fill(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	ada := must(b.access.CreateFirst(ctx, b.access.SetupToken(), "Ada", password, nil))(t)
	must(b.access.CreateUser(ctx, "Vic", password, access.Auditor))(t)
	wim := must(b.access.CreateUser(ctx, "Wim", password, access.Viewer))(t)
	if err := b.access.SetGrants(ctx, ada, wim.ID, []access.Grant{{Role: access.Viewer, Scope: access.Scope{Site: "harbour"}}}); err != nil {
		t.Fatal(err)
	}
	id := must(seal.GenerateIdentity(seal.Classic))(t)
	for i, name := range []string{"Harbour", "School"} {
		s := must(b.estate.AddSite(ctx, name))(t)
		if err := b.estate.SetReaders(ctx, s.ID, []estate.Reader{{Recipient: id.Recipient(), Name: "Grace", Added: noon.Add(-time.Hour)}}); err != nil {
			t.Fatal(err)
		}
		must(b.estate.AddCamera(ctx, estate.Camera{
			Site: s.ID, Name: name + " gate", Enabled: true,
			Streams: []estate.StreamConfig{{Name: "main", URL: fmt.Sprintf("rtsp://10.0.0.%d/main", i+1), Record: true}},
		}))(t)
	}
	running, stop := context.WithCancel(ctx)
	ran := make(chan error, 1)
	go func() { ran <- b.ledger.Run(running) }()
	var entries []ledger.Entry
	for i := range 249 {
		entries = append(entries, ledger.Segment{
			Name: fmt.Sprintf("harbour/harbour-gate/2026-11-25/10-%02d-%02d.000Z_1000.mp4.age", i/60, i%60), Bytes: 1000, State: "sealed", Entered: "written",
		}.Entry())
	}
	entries[248] = ledger.Hold{ID: "h1", Site: "harbour", Camera: "harbour-gate", From: noon.Add(-time.Hour), To: noon, Who: "Ada <b>", Why: "case 7"}.Entry()
	must(b.ledger.Append(ctx, entries...))(t)
	stop() // Run ends when all that was appended is in the tree
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.ledger.Close() })
}

func (b *bench) get(t *testing.T, path, as string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest("GET", site+path, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	if as != "" && b.in[as] == nil {
		form := url.Values{"name": {as}, "password": {password}}
		in := httptest.NewRequest("POST", site+"/login", strings.NewReader(form.Encode()))
		in.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		rec := httptest.NewRecorder()
		b.web.Handler().ServeHTTP(rec, in)
		b.in[as] = rec.Result().Cookies()
	}
	for _, c := range b.in[as] {
		r.AddCookie(c)
	}
	rec := httptest.NewRecorder()
	b.web.Handler().ServeHTTP(rec, r)
	return rec
}

// TestPages asks one bench everything: to fill a log takes a second. What changes
// it comes last.
func TestPages(t *testing.T) {
	b := newBench(t)
	for _, tt := range []struct {
		name string
		test func(*testing.T, *bench)
	}{
		{"who may see", testWhoMaySee},
		{"assurance shows own sites only", testAssuranceShowsOwnSitesOnly},
		{"signed assurance", testSignedAssurance},
		{"log is paged from its end", testLogIsPagedFromItsEnd},
		{"proof for strangers", testProofForStrangers},
		{"every claim can be said", testEveryClaimCanBeSaid},
		{"every text is there", testEveryTextIsThere},
		{"leaf of a person", testLeafOfAPerson},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, b) })
	}
}

func testWhoMaySee(t *testing.T, b *bench) {
	for _, tt := range []struct {
		as, path string
		status   int
	}{
		{"", "/assurance", 303},
		{"", "/api/log", 401},
		{"Wim", "/assurance", 200},
		{"Wim", "/log", 403},
		{"Wim", "/api/log/0/proof", 403},
		{"Vic", "/assurance", 200},
		{"Vic", "/log", 200},
		{"Vic", "/log/0", 200},
		{"Vic", "/log/249", 200},
		{"Vic", "/log/250", 404},
		{"Vic", "/log/-1", 404},
		{"Vic", "/log/99999999999999999999", 404},
		{"Vic", "/log?before=0", 400},
		{"Vic", "/log?before=x", 400},
		{"Vic", "/log?before=9000000000", 200},
	} {
		if rec := b.get(t, tt.path, tt.as); rec.Code != tt.status {
			t.Errorf("%s as %q: %d, want %d", tt.path, tt.as, rec.Code, tt.status)
		}
	}
}

func testAssuranceShowsOwnSitesOnly(t *testing.T, b *bench) {
	body := b.get(t, "/assurance", "Wim").Body.String()
	if !strings.Contains(body, "Harbour gate") || strings.Contains(body, "School gate") {
		t.Error("a viewer of the harbour sees another site, or not his own")
	}
	if body = b.get(t, "/assurance", "Ada").Body.String(); !strings.Contains(body, "School gate") {
		t.Error("an administrator does not see all")
	}
}

// The signed form is what a stranger can check with the log's key alone.
func testSignedAssurance(t *testing.T, b *bench) {
	rec := b.get(t, "/api/assurance", "Vic")
	var s statement
	if err := json.Unmarshal(rec.Body.Bytes(), &s); err != nil {
		t.Fatal(err)
	}
	if err := ledger.VerifyStatement([]byte(s.Note), b.ledger.VerifierKey(), "assurance", s.Document); err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(s.Document), `"unknown"`, `"good"`, 1)
	if err := ledger.VerifyStatement([]byte(s.Note), b.ledger.VerifierKey(), "assurance", []byte(changed)); err == nil {
		t.Error("a changed document is still signed")
	}
	var d assuranceDocument
	if err := json.Unmarshal(s.Document, &d); err != nil || len(d.Cameras) != 2 || len(d.Cameras[0].Claims) != len(Promises()) {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := ledger.ParseCheckpoint([]byte(d.Checkpoint), b.ledger.VerifierKey()); err != nil {
		t.Errorf("the checkpoint in it: %v", err)
	}
}

func testLogIsPagedFromItsEnd(t *testing.T, b *bench) {
	seen := 0
	path := "/log"
	for path != "" {
		body := b.get(t, path, "Vic").Body.String()
		seen += strings.Count(body, `<td class="number"><a href="/log/`)
		next := regexp.MustCompile(`href="(/log\?before=\d+)">Older`).FindStringSubmatch(body)
		if path = ""; next != nil {
			path = next[1]
		}
	}
	if seen != 250 {
		t.Errorf("%d entries on all pages, want 250", seen)
	}
}

func testLeafOfAPerson(t *testing.T, b *bench) {
	body := b.get(t, "/log/249", "Vic").Body.String()
	if !strings.Contains(body, "Ada &lt;b&gt;") || !strings.Contains(body, "case 7") {
		t.Error("the words beside the leaf are not shown, or not escaped")
	}
	if _, err := b.ledger.Forget(t.Context(), "Ada <b>", "asked for"); err != nil {
		t.Fatal(err)
	}
	body = b.get(t, "/log/249", "Vic").Body.String()
	if strings.Contains(body, "Ada") || !strings.Contains(body, "forgotten") {
		t.Error("what was forgotten is still shown, or not said to be")
	}
}

func testProofForStrangers(t *testing.T, b *bench) {
	var proof struct {
		Leaf       string
		Index      uint64
		Hashes     [][]byte
		Checkpoint string
	}
	if err := json.Unmarshal(b.get(t, "/api/log/17/proof", "Vic").Body.Bytes(), &proof); err != nil {
		t.Fatal(err)
	}
	p := ledger.Proof{Leaf: []byte(proof.Leaf), Index: proof.Index, Hashes: proof.Hashes, Checkpoint: []byte(proof.Checkpoint)}
	if _, _, err := p.Verify(b.ledger.VerifierKey()); err != nil {
		t.Error(err)
	}
	p.Index++
	if _, _, err := p.Verify(b.ledger.VerifierKey()); err == nil {
		t.Error("the proof is good for another place, too")
	}
}

func testEveryTextIsThere(t *testing.T, b *bench) {
	bare := regexp.MustCompile(`>\s*(assurance|promise|claim|tone|log|leaf)\.[a-z.-]+`)
	b.timeline.Gaps = []archive.Gap{gap(time.Hour, time.Minute, "connection-lost")}
	for _, lang := range []string{"en", "fr"} {
		for _, path := range []string{"/assurance", "/log", "/log/249"} {
			rec := b.get(t, path, "Ada", "Accept-Language", lang)
			if key := bare.FindString(rec.Body.String()); rec.Code != http.StatusOK || key != "" {
				t.Errorf("%s in %s: %d, shows %q", path, lang, rec.Code, key)
			}
		}
	}
}

// Each code that a claim can have has its text, in its forms.
func testEveryClaimCanBeSaid(t *testing.T, b *bench) {
	texts := b.web.Texts()
	codes := regexp.MustCompile(`c\.Code(?:, c\.[A-Za-z\["\]]+)* = [A-Za-z]+, "([a-z-]+)"`)
	body := mustRead(t, "assurance.go")
	found := codes.FindAllStringSubmatch(body, -1)
	if len(found) < 15 {
		t.Fatalf("found only %d codes in assurance.go", len(found))
	}
	for _, m := range append(found, []string{"", "not-observed"}) {
		for _, lang := range []string{"en", "fr"} {
			if key := "claim." + m[1]; !texts.Has(lang, key) && !texts.Has(lang, key+".other") {
				t.Errorf("no text %s in %s", key, lang)
			}
		}
	}
}

func mustRead(t *testing.T, name string) string {
	t.Helper()
	return string(must(os.ReadFile(name))(t))
}

package watch

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/watchward/watchward/internal/access"
	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/camera"
	"github.com/watchward/watchward/internal/db"
	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/live"
	"github.com/watchward/watchward/internal/media"
	"github.com/watchward/watchward/internal/seal"
	"github.com/watchward/watchward/internal/web"
)

const (
	password = "correct horse battery"
	site     = "http://127.0.0.1:8433"
)

var noon = time.Date(2030, 6, 1, 12, 0, 0, 0, time.UTC)

// rooms stands in for archive, keys, live and recorders.
type rooms struct {
	dir string

	mu     sync.Mutex
	list   []archive.Segment
	line   archive.Timeline
	open   map[string]OpenSegment // by camera/stream
	state  map[string]camera.State
	record Recording
	health archive.Health
	asked  []string // of live
}

func (f *rooms) Timeline(context.Context, archive.StreamID, time.Time, time.Time) (archive.Timeline, error) {
	return f.line, nil
}

func (f *rooms) List(_ context.Context, id archive.StreamID, from, to time.Time, limit int) ([]archive.Segment, error) {
	var out []archive.Segment
	for _, s := range f.list {
		if s.StreamID == id && s.Start.Before(to) && s.End().After(from) && len(out) < limit {
			out = append(out, s)
		}
	}
	return out, nil
}

func (f *rooms) OpenFile(_ context.Context, id archive.StreamID, start time.Time) (archive.File, archive.Segment, error) {
	for _, s := range f.list {
		if s.StreamID == id && s.Start.Equal(start) {
			file, err := os.Open(filepath.Join(f.dir, "sealed"))
			return file, s, err
		}
	}
	return nil, archive.Segment{}, archive.ErrNotFound
}

func (f *rooms) OpenPart(archive.StreamID, time.Time) (archive.File, error) {
	return os.Open(filepath.Join(f.dir, "part"))
}

func (f *rooms) Health() archive.Health { return f.health }

func (f *rooms) Sealed(site, camera, day string) ([]byte, error) {
	if day != "2030-06-01" {
		return nil, seal.ErrNotFound
	}
	return []byte("sealed key of " + site + "/" + camera), nil
}

func (f *rooms) Open(camera, stream string) (OpenSegment, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	o, ok := f.open[camera+"/"+stream]
	return o, ok
}

func (f *rooms) State(id, stream string) (camera.State, Recording, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, ok := f.state[id+"/"+stream]
	return s, f.record, ok
}

func (f *rooms) Choose(camera, want string, can live.Can) live.Choice {
	if !can.H264 && !can.WebRTC {
		return live.Choice{Way: live.WayNone, Stream: want, Why: live.WhyNoH264}
	}
	return live.Choice{Way: live.WayWebRTC, Stream: want, Codec: "avc1.64001f"}
}

func (f *rooms) ask(what string, rw http.ResponseWriter) {
	f.asked = append(f.asked, what)
	rw.WriteHeader(http.StatusTeapot)
}

func (f *rooms) WHEP(rw http.ResponseWriter, _ *http.Request, camera, stream string) {
	f.ask("whep "+camera+" "+stream, rw)
}

func (f *rooms) WHEPDelete(rw http.ResponseWriter, _ *http.Request, id string) {
	f.ask("end "+id, rw)
}

func (f *rooms) Socket(rw http.ResponseWriter, _ *http.Request, camera, stream string) {
	f.ask("socket "+camera+" "+stream, rw)
}
func (f *rooms) Viewers() int { return 2 }

// bench is a whole wing over stand-ins.
type bench struct {
	*rooms
	book   *book
	watch  *Watch
	web    *web.Server
	access *access.Access
	estate *estate.Estate
	reader string // a recipient
	secret string // its identity
}

// newBench has an administrator Ada, a viewer Vic, a site, and the camera
// "gate", live and recorded.
func newBench(t *testing.T) *bench {
	t.Helper()
	b := emptyBench(t)
	if _, err := b.access.CreateFirst(t.Context(), b.access.SetupToken(), "Ada", password, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := b.access.CreateUser(t.Context(), "Vic", password, access.Viewer); err != nil {
		t.Fatal(err)
	}
	s, err := b.estate.AddSite(t.Context(), "Harbour")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.estate.SetReaders(t.Context(), s.ID, []estate.Reader{{Recipient: b.reader, Name: "Grace"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.estate.AddCamera(t.Context(), estate.Camera{
		Site: s.ID, Name: "Gate", Enabled: true, Username: "admin", Password: "hunter2hunter2",
		Streams: []estate.StreamConfig{{Name: "main", URL: "rtsp://10.0.0.1/main", Record: true}, {Name: "sub", URL: "rtsp://10.0.0.1/sub"}},
	}); err != nil {
		t.Fatal(err)
	}
	b.fill()
	return b
}

func (b *bench) fill() {
	id := archive.StreamID{Site: "harbour", Camera: "gate", Stream: "main"}
	b.list = []archive.Segment{
		{StreamID: id, Start: noon.Add(-3 * time.Minute), Duration: time.Minute, Bytes: 1000, State: archive.Sealed, SHA256: sha256.Sum256([]byte("x"))},
		{StreamID: id, Start: noon.Add(-2 * time.Minute), Duration: 30 * time.Second, Bytes: 1000, State: archive.Torn},
		{StreamID: id, Start: noon.Add(-90 * time.Second), Duration: time.Second, Bytes: 10, State: archive.Expiring},
	}
	b.line = archive.Timeline{
		First: noon.Add(-3 * time.Minute), Last: noon.Add(-time.Minute),
		Gaps:  []archive.Gap{{StreamID: id, Start: noon.Add(-90 * time.Second), End: noon.Add(-60 * time.Second), Reason: "connection-lost"}},
		Marks: []archive.Mark{{Start: noon.Add(-2 * time.Minute), End: noon.Add(-90 * time.Second), State: archive.Torn}},
	}
	b.open = map[string]OpenSegment{"gate/main": {
		Start: noon.Add(-time.Minute), Bytes: 600, Codecs: "avc1.64001f",
		Parts: []OpenPart{{0, 700, true}, {200 * time.Millisecond, 900, false}},
	}}
	b.state = map[string]camera.State{
		"gate/main": {
			Phase: camera.Live, Since: noon.Add(-time.Hour), FPS: 25, Kbps: 4000.04, Transport: "tcp",
			Video: &media.Format{Codec: media.H264, Width: 1920, Height: 1080}, Audio: &media.Format{Codec: media.AAC},
		},
		"gate/sub": {Phase: camera.Waiting, Reason: media.WrongPassword, Detail: "401 Unauthorized", Since: noon.Add(-time.Minute)},
	}
	b.record = Recording{On: true}
	b.health = archive.Health{Disk: archive.DiskOK, Free: 4e9, Total: 1e10, Segments: 3, Bytes: 2000, Synced: noon}
}

func emptyBench(t *testing.T) *bench {
	t.Helper()
	dir := t.TempDir()
	d, err := db.Open(t.Context(), filepath.Join(dir, "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	b := &bench{rooms: &rooms{dir: dir}, book: &book{}}
	for name, n := range map[string]int{"sealed": 1000, "part": 1000} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Repeat("0123456789", n/10)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if b.access, err = access.Open(t.Context(), access.Options{DB: d, Cost: access.Cost{Time: 1, Memory: 64, Threads: 1}}); err != nil {
		t.Fatal(err)
	}
	if b.estate, err = estate.Open(t.Context(), estate.Options{DB: d, Key: make([]byte, 32), Gate: estate.NoRules{}}); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	if b.web, err = web.New(web.Options{Access: b.access, Log: log}); err != nil {
		t.Fatal(err)
	}
	if b.watch, err = New(Options{
		Web: b.web, Access: b.access, Estate: b.estate, Archive: b.rooms, Keys: b.rooms, Live: b.rooms,
		Recorders: b.rooms, Viewings: b.book, DataDir: "/srv/watchward", Log: log, Now: func() time.Time { return noon },
	}); err != nil {
		t.Fatal(err)
	}
	id, err := seal.GenerateIdentity(seal.Classic)
	if err != nil {
		t.Fatal(err)
	}
	b.reader, b.secret = id.Recipient(), id.Reveal()
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

func (b *bench) login(t *testing.T, name string) func(*http.Request) {
	t.Helper()
	rec := b.serve(form("/login", url.Values{"name": {name}, "password": {password}}))
	cookies := rec.Result().Cookies()
	if rec.Code != http.StatusSeeOther || len(cookies) != 1 {
		t.Fatalf("login of %s: %d", name, rec.Code)
	}
	return func(r *http.Request) { r.AddCookie(cookies[0]) }
}

// find returns the elements a simple selector names: "tag", "tag[attr]" or
// "tag[attr=value]".
func find(t *testing.T, page, selector string) []*html.Node {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	tag, rest, _ := strings.Cut(selector, "[")
	attr, value, exact := strings.Cut(strings.TrimSuffix(rest, "]"), "=")
	var out []*html.Node
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode || n.Data != tag {
			continue
		}
		hit := attr == ""
		for _, a := range n.Attr {
			hit = hit || a.Key == attr && (!exact || a.Val == value)
		}
		if hit {
			out = append(out, n)
		}
	}
	return out
}

// words is all text of a node.
func words(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

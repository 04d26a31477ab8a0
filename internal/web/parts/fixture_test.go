package parts

import (
	"bytes"
	"embed"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/coder/websocket"
)

//go:embed islands.css
var styles embed.FS

// contentPolicy is as strict as the frame's.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self' blob:; connect-src 'self'; worker-src 'self'"

type segment struct {
	Start  int64  `json:"start"`
	MS     int64  `json:"ms"`
	Bytes  int64  `json:"bytes"`
	State  string `json:"state"`
	Day    string `json:"day"`
	URL    string `json:"url"`
	Codecs string `json:"codecs"`
	Open   bool   `json:"open,omitempty"`
	Parts  []part `json:"parts,omitempty"`

	sealed []byte
}

type gap struct {
	Start  int64  `json:"start"`
	End    int64  `json:"end"`
	Reason string `json:"reason"`
}

type track struct {
	segments []segment
	gaps     []gap
}

// town serves the HTTP door of 0001-spine.md for a few cameras, from memory.
type town struct {
	t   testing.TB
	srv *httptest.Server

	reader *age.HybridIdentity
	days   map[string]*age.HybridIdentity // of camera/day

	mu      sync.Mutex
	tracks  map[string]*track // of camera/stream
	cameras []map[string]any
	ways    map[string]map[string]string // live answers
	clips   map[string][][]byte          // what a socket sends: first the announcement
	ranges  int                          // requests for sealed bytes
	leaked  []string                     // requests that held something secret
}

func newTown(t testing.TB) *town {
	f := &town{t: t, reader: identity(t), days: map[string]*age.HybridIdentity{}, tracks: map[string]*track{}, ways: map[string]map[string]string{}, clips: map[string][][]byte{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /assets/{name}", f.asset)
	mux.HandleFunc("GET /page/{what}", f.page)
	mux.HandleFunc("GET /api/cameras", func(w http.ResponseWriter, _ *http.Request) { answer(w, f.cameras) })
	mux.HandleFunc("GET /api/cameras/{id}/timeline", f.timeline)
	mux.HandleFunc("GET /api/cameras/{id}/segments", f.list)
	mux.HandleFunc("GET /api/cameras/{id}/segments/{stream}/{start}", f.bytes)
	mux.HandleFunc("GET /api/cameras/{id}/days/{day}/key", f.key)
	mux.HandleFunc("GET /api/cameras/{id}/live", f.live)
	mux.HandleFunc("GET /api/cameras/{id}/live/{stream}/socket", f.socket)
	mux.HandleFunc("GET /api/events", f.events)
	f.srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if text := fmt.Sprint(r.URL, r.Header); strings.Contains(strings.ToUpper(text), "AGE-SECRET-KEY") {
			f.mu.Lock()
			f.leaked = append(f.leaked, text)
			f.mu.Unlock()
		}
		w.Header().Set("Content-Security-Policy", contentPolicy)
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(f.srv.Close)
	return f
}

func (f *town) addCamera(id, name string, streams ...map[string]any) {
	f.cameras = append(f.cameras, map[string]any{"id": id, "name": name, "site": "home", "enabled": true, "streams": streams})
}

func stream(name, codec, state, reason string) map[string]any {
	return map[string]any{"name": name, "codec": codec, "width": 1280, "height": 720, "fps": 25, "kbps": 900, "audio": "", "state": state, "since": time.Now().Add(-95 * time.Second).UnixMilli(), "reason": reason, "recording": true}
}

func (f *town) day(camera, day string) *age.HybridIdentity {
	k := camera + "/" + day
	if f.days[k] == nil {
		f.days[k] = identity(f.t)
	}
	return f.days[k]
}

// record adds a segment; sealed may be given to save the sealing.
func (f *town) record(camera, stream string, start int64, m movie, ms int64, state string) *segment {
	day := time.UnixMilli(start).UTC().Format(time.DateOnly)
	sealed := seal(f.t, m.plain, f.day(camera, day).Recipient())
	s := segment{
		Start: start, MS: ms, State: state, Day: day, Codecs: m.codecs, sealed: sealed, Open: state == "open",
		URL: fmt.Sprintf("/api/cameras/%s/segments/%s/%d", camera, stream, start),
	}
	switch state {
	case "torn": // a crash left whole chunks only
		header := headerSize(sealed)
		s.sealed = sealed[:header+(len(sealed)-header)/chunk*chunk]
	case "open":
		s.Parts = m.parts
	}
	s.Bytes = int64(len(s.sealed))
	k := camera + "/" + stream
	if f.tracks[k] == nil {
		f.tracks[k] = &track{}
	}
	tr := f.tracks[k]
	tr.segments = append(tr.segments, s)
	return &tr.segments[len(tr.segments)-1]
}

// begin closes the open segment and opens one that has nothing on disk yet.
func (f *town) begin(camera, stream string, start int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	tr := f.tracks[camera+"/"+stream]
	last := &tr.segments[len(tr.segments)-1]
	last.State, last.Open, last.Parts = "sealed", false, nil
	tr.segments = append(tr.segments, segment{
		Start: start, State: "open", Open: true, Day: last.Day, Codecs: last.Codecs,
		URL: fmt.Sprintf("/api/cameras/%s/segments/%s/%d", camera, stream, start), Parts: []part{},
	})
}

// grow gives the open segment what a movie holds.
func (f *town) grow(camera, stream string, m movie) {
	f.mu.Lock()
	defer f.mu.Unlock()
	tr := f.tracks[camera+"/"+stream]
	s := &tr.segments[len(tr.segments)-1]
	s.sealed = seal(f.t, m.plain, f.day(camera, s.Day).Recipient())
	s.Bytes, s.MS, s.Parts = int64(len(s.sealed)), m.ms, m.parts
}

const chunk = 64<<10 + 16

func headerSize(sealed []byte) int {
	i := bytes.Index(sealed, []byte("\n--- "))
	return i + 5 + bytes.IndexByte(sealed[i+5:], '\n') + 1 + 16
}

func (f *town) gap(camera, stream string, from, to int64, reason string) {
	tr := f.tracks[camera+"/"+stream]
	tr.gaps = append(tr.gaps, gap{from, to, reason})
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func (f *town) asset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if name == "islands.css" {
		b, _ := styles.ReadFile("islands.css")
		w.Header().Set("Content-Type", "text/css")
		_, _ = w.Write(append(b, "body{margin:1rem;font-family:sans-serif;background:Canvas;color:CanvasText}:root{color-scheme:light}:root.dark{color-scheme:dark}.wall{display:grid;grid-template-columns:repeat(2,1fr);gap:1rem}"...))
		return
	}
	http.ServeFile(w, r, filepath.Join("..", "assets", "dist", filepath.Base(name)))
}

// page is one of the elements on an otherwise empty page.
func (f *town) page(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	body := map[string]string{
		"player": fmt.Sprintf(`<watch-player camera=%q name=%q></watch-player>`, q.Get("camera"), q.Get("camera")),
		"tiles":  `<div class=wall><watch-tile camera=gate stream=sub name="Front gate"></watch-tile><watch-tile camera=yard name=Yard></watch-tile><watch-tile camera=dead name="Back door"></watch-tile><watch-tile camera=old name="Old camera"></watch-tile></div>`,
		"setup":  `<form action=/nowhere><watch-identity mode=setup></watch-identity><button>Go on</button></form>`,
		"unlock": `<watch-identity mode=button></watch-identity><watch-identity mode=unlock></watch-identity>`,
	}[r.PathValue("what")]
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, `<!doctype html><html lang=%q class=%q><title>parts</title><link rel=stylesheet href=/assets/islands.css><script src=/assets/app.js type=module></script>%s</html>`, q.Get("lang"), q.Get("theme"), body)
}

func (f *town) track(r *http.Request) *track {
	f.mu.Lock()
	defer f.mu.Unlock()
	if tr := f.tracks[r.PathValue("id")+"/"+r.FormValue("stream")]; tr != nil {
		return &track{slices.Clone(tr.segments), slices.Clone(tr.gaps)}
	}
	return &track{}
}

func number(r *http.Request, name string) int64 {
	n, _ := strconv.ParseInt(r.FormValue(name), 10, 64)
	return n
}

func (f *town) timeline(w http.ResponseWriter, r *http.Request) {
	tr := f.track(r)
	a := map[string]any{"first": 0, "last": 0, "now": time.Now().UnixMilli(), "gaps": []gap{}, "marks": []any{}, "open": nil}
	var marks []map[string]any
	for i, s := range tr.segments {
		if i == 0 {
			a["first"] = s.Start
		}
		a["last"] = s.Start + s.MS
		if s.State == "torn" || s.State == "damaged" {
			marks = append(marks, map[string]any{"start": s.Start, "end": s.Start + s.MS, "state": s.State})
		}
		if s.Open {
			a["open"] = map[string]any{"start": s.Start, "end": s.Start + s.MS}
		}
	}
	if tr.gaps != nil {
		a["gaps"] = tr.gaps
	}
	if marks != nil {
		a["marks"] = marks
	}
	answer(w, a)
}

func (f *town) list(w http.ResponseWriter, r *http.Request) {
	from, to := number(r, "from"), number(r, "to")
	list := []segment{}
	for _, s := range f.track(r).segments {
		if s.Start < to && (s.Open || s.Start+s.MS > from) && len(list) < 120 {
			list = append(list, s)
		}
	}
	answer(w, list)
}

func (f *town) bytes(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.ranges++
	var body []byte
	if tr := f.tracks[r.PathValue("id")+"/"+r.PathValue("stream")]; tr != nil {
		for _, s := range tr.segments {
			if strconv.FormatInt(s.Start, 10) == r.PathValue("start") {
				body = s.sealed
			}
		}
	}
	f.mu.Unlock()
	if body == nil {
		http.Error(w, "{}", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

func (f *town) key(w http.ResponseWriter, r *http.Request) {
	id, ok := f.days[r.PathValue("id")+"/"+r.PathValue("day")]
	if !ok {
		http.Error(w, "{}", http.StatusNotFound)
		return
	}
	to := f.reader.Recipient()
	if r.PathValue("id") == "foreign" {
		to = identity(f.t).Recipient()
	}
	_, _ = w.Write(seal(f.t, []byte("# day\n"+id.String()+"\n"), to))
}

func (f *town) live(w http.ResponseWriter, r *http.Request) {
	a, ok := f.ways[r.PathValue("id")]
	if !ok {
		a = map[string]string{"way": "none", "why": "offline", "stream": r.FormValue("stream")}
	}
	answer(w, a)
}

// socket sends a clip's parts in its own time, over and over by new announcements.
func (f *town) socket(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = c.CloseNow() }()
	ctx := c.CloseRead(r.Context())
	clip := f.clips[r.PathValue("id")]
	for {
		for i, b := range clip {
			kind := websocket.MessageBinary
			if i == 0 {
				kind = websocket.MessageText
			}
			if c.Write(ctx, kind, b) != nil {
				return
			}
			if i > 1 {
				select {
				case <-ctx.Done():
					return
				case <-time.After(200 * time.Millisecond):
				}
			}
		}
	}
}

func (f *town) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprint(w, ": hello\n\n")
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

// asClip splits a movie into announcement, init and parts.
func asClip(m movie, codecs string) [][]byte {
	clip := [][]byte{[]byte(`{"kind":"fmp4","codecs":"` + codecs + `"}`)}
	b := m.plain
	first := int(m.parts[0].Offset)
	clip = append(clip, b[:first])
	for at := first; at < len(b); {
		moof := int(binary.BigEndian.Uint32(b[at:]))
		if string(b[at+4:at+8]) != "moof" {
			break
		}
		end := at + moof + int(binary.BigEndian.Uint32(b[at+moof:]))
		clip = append(clip, b[at:end])
		at = end
	}
	return clip
}

// pictures makes a clip of JPEGs out of one folder of frames.
func pictures(t testing.TB, dir string) [][]byte {
	names, _ := filepath.Glob(filepath.Join(dir, "*.jpg"))
	clip := [][]byte{[]byte(`{"kind":"pictures"}`), nil}
	for i, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			clip[1] = b
		}
		clip = append(clip, b)
	}
	return clip
}

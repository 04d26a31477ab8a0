package watch

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchward/watchward/internal/access"
	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/web"
)

// Every route there is, asked without a session: none may answer but those
// that say "anyone".
func TestNothingIsOpen(t *testing.T) {
	b := newBench(t)
	anyone := map[string]bool{
		"GET /assets/{name...}": true, "GET /favicon.ico": true, "GET /.well-known/security.txt": true, "GET /login": true, "POST /login": true,
		"POST /logout": true, "GET /welcome/{token}": true, "POST /preferences": true, "GET /setup": true, "GET /setup/{token}": true, "POST /setup/{token}": true,
		"GET /invitation/{token}": true, "POST /invitation/{token}": true, "GET /recover": true, "POST /recover": true, "POST /api/passkeys/ask": true, "POST /api/passkeys/login": true, "GET /login/sso": true, "GET /login/sso/back": true,
	}
	fill := strings.NewReplacer("{id}", "gate", "{stream}", "main", "{start}", fmt.Sprint(noon.Add(-3*time.Minute).UnixMilli()),
		"{day}", "2030-06-01", "{session}", "x", "{$}", "")
	vic, ada := b.login(t, "Vic"), b.login(t, "Ada")
	for _, route := range b.web.Routes() {
		if (route.Need == web.Anyone) != anyone[route.Pattern] {
			t.Errorf("%s needs %+v: list it here if anyone may", route.Pattern, route.Need)
		}
		if route.Need == web.Anyone {
			continue
		}
		method, path, _ := strings.Cut(fill.Replace(route.Pattern), " ")
		rec := b.serve(ask(method, path, ""))
		if !(rec.Code == http.StatusUnauthorized || rec.Code == http.StatusSeeOther && strings.HasPrefix(rec.Header().Get("Location"), "/login")) {
			t.Errorf("%s without a session: %d", route.Pattern, rec.Code)
		}
		if act := route.Need.Act(); route.Need == web.Change || act != "" && !slices.Contains(access.Viewer.Acts(), act) {
			if rec := b.serve(ask(method, path, "", vic)); rec.Code != http.StatusForbidden {
				t.Errorf("%s as viewer: %d", route.Pattern, rec.Code)
			}
		}
		if method != "GET" {
			if rec := b.serve(ask(method, path, "", ada, with("Sec-Fetch-Site", "cross-site"))); rec.Code != http.StatusForbidden {
				t.Errorf("%s from another site: %d", route.Pattern, rec.Code)
			}
		}
	}
	if len(b.asked) > 0 {
		t.Errorf("reached live: %v", b.asked)
	}
}

func get[T any](t *testing.T, b *bench, path string, as func(*http.Request)) T {
	t.Helper()
	rec := b.serve(ask("GET", path, "", as))
	var v T
	if rec.Code != 200 {
		t.Fatalf("GET %s: %d %s", path, rec.Code, rec.Body)
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &v); err != nil {
		t.Fatalf("GET %s: %v in %s", path, err, rec.Body)
	}
	return v
}

func TestAPICameras(t *testing.T) {
	b := newBench(t)
	vic := b.login(t, "Vic")
	rec := b.serve(ask("GET", "/api/cameras", "", vic))
	const want = `[{"id":"gate","name":"Gate","site":"harbour","enabled":true,"streams":[` +
		`{"name":"main","codec":"H.264","width":1920,"height":1080,"fps":25,"kbps":4000,"audio":"AAC","state":"live","since":1906542000000,"reason":"","recording":true},` +
		`{"name":"sub","codec":"","width":0,"height":0,"fps":0,"kbps":0,"audio":"","state":"waiting","since":1906545540000,"reason":"wrong-password","recording":true}]}]`
	if rec.Body.String() != want {
		t.Errorf("got  %s\nwant %s", rec.Body, want)
	}
	b.record = Recording{Reason: "disk-full"}
	if c := get[cameraInfo](t, b, "/api/cameras/gate", vic); c.Streams[0].Reason != "disk-full" || c.Streams[0].Recording {
		t.Errorf("disk full: %+v", c.Streams[0])
	}
	b.state = nil
	if c := get[cameraInfo](t, b, "/api/cameras/gate", vic); c.Streams[0].State != "connecting" {
		t.Errorf("not yet running: %+v", c.Streams[0])
	}
}

func TestAPITimeline(t *testing.T) {
	b := newBench(t)
	vic := b.login(t, "Vic")
	at := func(d time.Duration) int64 { return noon.Add(d).UnixMilli() }
	path := fmt.Sprintf("/api/cameras/gate/timeline?stream=main&from=%d&to=%d", at(-time.Hour), at(0))
	got := get[timelineInfo](t, b, path, vic)
	if got.First != at(-3*time.Minute) || got.Last != at(-time.Minute) || got.Now != at(0) || len(got.Gaps) != 1 || got.Gaps[0].Reason != "connection-lost" ||
		len(got.Marks) != 1 || got.Marks[0].State != "torn" || got.Open == nil || got.Open.Start != at(-time.Minute) || got.Open.End != at(-time.Minute)+200 {
		t.Errorf("%+v", got)
	}
	b.line = archive.Timeline{}
	if got := get[timelineInfo](t, b, path, vic); got.First != at(-time.Minute) || got.Gaps == nil || got.Marks == nil {
		t.Errorf("the first minute: %+v", got)
	}
	b.open = nil
	if got := get[timelineInfo](t, b, path, vic); got.First != 0 || got.Open != nil {
		t.Errorf("nothing yet: %+v", got)
	}
}

func TestTimelineOfAMonthIsSmall(t *testing.T) {
	b := newBench(t)
	b.line.Gaps = nil
	for i := range 43_200 { // a gap each minute of 30 days
		start := noon.Add(time.Duration(i-43_200) * time.Minute)
		b.line.Gaps = append(b.line.Gaps, archive.Gap{Start: start, End: start.Add(time.Second), Reason: "packet-loss"})
	}
	rec := b.serve(ask("GET", fmt.Sprintf("/api/cameras/gate/timeline?from=%d&to=%d", noon.AddDate(0, 0, -30).UnixMilli(), noon.UnixMilli()), "", b.login(t, "Vic")))
	if rec.Code != 200 || rec.Body.Len() > 150_000 {
		t.Errorf("%d, %d bytes", rec.Code, rec.Body.Len())
	}
}

func TestCoarsen(t *testing.T) {
	var gaps []gapInfo
	for i := range int64(3 * maxGaps) {
		gaps = append(gaps, gapInfo{i * 100, i*100 + 10 + i%2, "packet-loss"})
	}
	gaps[7] = gapInfo{700, 790, "disk-full"}
	last := gaps[len(gaps)-1].End
	got := coarsen(gaps, 50)
	if len(got) > maxGaps || got[0].Start != 0 || got[len(got)-1].End != last {
		t.Errorf("%d gaps from %d to %d", len(got), got[0].Start, got[len(got)-1].End)
	}
	for i := range got[1:] {
		if got[i].End > got[i+1].Start {
			t.Fatalf("%v overlaps %v", got[i], got[i+1])
		}
	}
}

func TestSpanIsChecked(t *testing.T) {
	b := newBench(t)
	vic := b.login(t, "Vic")
	for _, query := range []string{"", "?from=1", "?from=2&to=1", "?from=1&to=1", "?from=x&to=2", "?from=-1&to=2", "?from=1&to=99999999999999999999", "?from=1&to=253402300800000"} {
		for _, what := range []string{"timeline", "segments"} {
			if rec := b.serve(ask("GET", "/api/cameras/gate/"+what+query, "", vic)); rec.Code != 400 {
				t.Errorf("%s%s: %d", what, query, rec.Code)
			}
		}
	}
}

func TestAPISegments(t *testing.T) {
	b := newBench(t)
	got := get[[]segmentInfo](t, b, fmt.Sprintf("/api/cameras/gate/segments?from=%d&to=%d", noon.Add(-time.Hour).UnixMilli(), noon.UnixMilli()), b.login(t, "Vic"))
	if len(got) != 3 {
		t.Fatalf("%+v", got)
	}
	if s := got[0]; s.State != "sealed" || s.MS != 60_000 || s.Day != "2030-06-01" || s.Open || s.URL != fmt.Sprintf("/api/cameras/gate/segments/main/%d", s.Start) {
		t.Errorf("%+v", s)
	}
	if s := got[1]; s.State != "torn" {
		t.Errorf("%+v", s)
	}
	if s := got[2]; s.State != "open" || !s.Open || s.Bytes != 600 || s.Codecs != "avc1.64001f" || len(s.Parts) != 2 || s.Parts[1] != (partInfo{200, 900, false}) {
		t.Errorf("%+v", s)
	}
}

func TestSegmentBytes(t *testing.T) {
	b := newBench(t)
	vic := b.login(t, "Vic")
	sealed := fmt.Sprintf("/api/cameras/gate/segments/main/%d", noon.Add(-3*time.Minute).UnixMilli())
	open := fmt.Sprintf("/api/cameras/gate/segments/main/%d", noon.Add(-time.Minute).UnixMilli())
	for _, tt := range []struct {
		name, path, ranges string
		status, length     int
		contentRange       string
	}{
		{"whole", sealed, "", 200, 1000, ""},
		{"beginning", sealed, "bytes=0-99", 206, 100, "bytes 0-99/1000"},
		{"middle", sealed, "bytes=500-500", 206, 1, "bytes 500-500/1000"},
		{"to the end", sealed, "bytes=990-", 206, 10, "bytes 990-999/1000"},
		{"last bytes", sealed, "bytes=-16", 206, 16, "bytes 984-999/1000"},
		{"more than there is", sealed, "bytes=990-5000", 206, 10, "bytes 990-999/1000"},
		{"beyond", sealed, "bytes=1000-", 416, -1, "bytes */1000"},
		{"turned round", sealed, "bytes=9-3", 416, -1, ""},
		{"nonsense", sealed, "bytes=a-b", 416, -1, ""},
		{"many at once", sealed, "bytes=0-1,2-3,4-5", 200, 1000, ""},
		{"open: whole chunks only", open, "", 200, 600, ""},
		{"open: range", open, "bytes=590-", 206, 10, "bytes 590-599/600"},
		{"open: beyond", open, "bytes=600-", 416, -1, "bytes */600"},
	} {
		r := ask("GET", tt.path, "", vic)
		if tt.ranges != "" {
			r.Header.Set("Range", tt.ranges)
		}
		rec := b.serve(r)
		if rec.Code != tt.status || tt.length >= 0 && rec.Body.Len() != tt.length || tt.contentRange != "" && rec.Header().Get("Content-Range") != tt.contentRange {
			t.Errorf("%s: %d, %d bytes, %q", tt.name, rec.Code, rec.Body.Len(), rec.Header().Get("Content-Range"))
		}
		cache := rec.Header().Get("Cache-Control")
		if rec.Code < 300 && strings.Contains(cache, "immutable") != (tt.path == sealed) {
			t.Errorf("%s: cached %q", tt.name, cache)
		}
		if strings.Contains(cache, "public") {
			t.Errorf("%s: cached for all", tt.name)
		}
	}
	tag := b.serve(ask("GET", sealed, "", vic)).Header().Get("ETag")
	if rec := b.serve(ask("GET", sealed, "", vic, with("If-None-Match", tag))); len(tag) != 66 || rec.Code != 304 {
		t.Errorf("known already, tag %q: %d", tag, rec.Code)
	}
	torn := b.serve(ask("GET", fmt.Sprintf("/api/cameras/gate/segments/main/%d", noon.Add(-2*time.Minute).UnixMilli()), "", vic))
	if torn.Code != 200 || torn.Header().Get("ETag") == "" {
		t.Errorf("without a hash: %d, tag %q", torn.Code, torn.Header().Get("ETag"))
	}
}

func TestWhatDoesNotExist(t *testing.T) {
	b := newBench(t)
	vic := b.login(t, "Vic")
	for _, path := range []string{
		"/api/cameras/nobody", "/api/cameras/GATE", "/api/cameras/-", "/api/cameras/..%2fgate", "/api/cameras/gate%00", "/api/cameras/" + strings.Repeat("a", 200),
		"/api/cameras/gate/segments/main/123", "/api/cameras/gate/segments/main/-1", "/api/cameras/gate/segments/main/x", "/api/cameras/gate/segments/main/..%2f..%2fserver.key",
		"/api/cameras/gate/segments/..%2f../1", "/api/cameras/gate/segments/MAIN/1", "/api/cameras/gate/days/2030-06-02/key", "/api/cameras/gate/days/2030-6-1/key",
		"/api/cameras/gate/days/..%2f..%2f..%2fserver/key", "/api/cameras/gate/days/2030-02-31/key", "/api/cameras/gate/live/third/socket", "/api/cameras/nobody/live?can=h264",
		"/cameras/nobody", "/cameras/..%2f..",
	} {
		if rec := b.serve(ask("GET", path, "", vic)); rec.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, rec.Code)
		}
	}
}

func TestDayKey(t *testing.T) {
	b := newBench(t)
	vic := b.login(t, "Vic")
	rec := b.serve(ask("GET", "/api/cameras/gate/days/2030-06-01/key", "", vic))
	if rec.Code != 200 || rec.Body.String() != "sealed key of harbour/gate" || rec.Header().Get("Content-Type") != "application/age" || !strings.Contains(rec.Header().Get("Cache-Control"), "no-cache") {
		t.Errorf("%d %s %v", rec.Code, rec.Body, rec.Header())
	}
	if rec := b.serve(ask("GET", "/api/cameras/gate/days/2030-06-01/key", "", vic, with("If-None-Match", rec.Header().Get("ETag")))); rec.Code != 304 {
		t.Errorf("known already: %d", rec.Code)
	}
}

func TestAPILive(t *testing.T) {
	b := newBench(t)
	vic := b.login(t, "Vic")
	if got := get[map[string]string](t, b, "/api/cameras/gate/live?stream=sub&can=webrtc,h264", vic); got["way"] != "webrtc" || got["url"] != "/api/cameras/gate/live/sub/whep" {
		t.Error(got)
	}
	if got := get[map[string]string](t, b, "/api/cameras/gate/live", vic); got["way"] != "none" || got["url"] != "" || got["why"] != "no-h264" {
		t.Error(got)
	}
	b.serve(ask("POST", "/api/cameras/gate/live/main/whep", "v=0", vic))
	b.serve(ask("DELETE", "/api/cameras/gate/live/main/whep/abc", "", vic))
	b.serve(ask("GET", "/api/cameras/gate/live/sub/socket", "", vic))
	if got := strings.Join(b.asked, ", "); got != "whep gate main, end abc, socket gate sub" {
		t.Error(got)
	}
}

func TestAPIChanges(t *testing.T) {
	b := newBench(t)
	ada := b.login(t, "Ada")
	rec := b.serve(ask("POST", "/api/cameras", `{"name":"Yard","url":"rtsp://u:topsecret@10.0.0.2/a","audio":true}`, ada))
	if rec.Code != http.StatusCreated || rec.Header().Get("Location") != "/api/cameras/yard" || strings.Contains(rec.Body.String(), "topsecret") {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	if rec := b.serve(ask("PUT", "/api/cameras/yard", `{"name":"Back yard","sub_url":"rtsp://10.0.0.2/b"}`, ada)); rec.Code != 200 {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	c, err := b.estate.Camera(t.Context(), "yard")
	if err != nil || c.Name != "Back yard" || c.Password.Reveal() != "topsecret" || !c.RecordAudio || len(c.Streams) != 2 {
		t.Errorf("%+v, %v", c, err)
	}
	for _, tt := range []struct {
		name, body string
		status     int
		field      string
	}{
		{"not JSON", `{`, 400, ""},
		{"unknown field", `{"name":"x","colour":"red"}`, 400, ""},
		{"no address", `{"name":"x"}`, 422, "url"},
		{"someone else's address", `{"name":"x","url":"rtsp://10.0.0.1/main"}`, 422, "url"},
		{"too much", `{"name":"` + strings.Repeat("x", 70_000) + `"}`, 413, ""},
	} {
		rec := b.serve(ask("POST", "/api/cameras", tt.body, ada))
		var p struct{ Field string }
		_ = json.Unmarshal(rec.Body.Bytes(), &p)
		if rec.Code != tt.status || p.Field != tt.field {
			t.Errorf("%s: %d %s", tt.name, rec.Code, rec.Body)
		}
	}
	if rec := b.serve(ask("DELETE", "/api/cameras/yard", "", ada)); rec.Code != http.StatusNoContent {
		t.Errorf("remove: %d", rec.Code)
	}
	if rec := b.serve(ask("DELETE", "/api/cameras/yard", "", ada)); rec.Code != http.StatusNotFound {
		t.Errorf("remove again: %d", rec.Code)
	}
}

func TestAPIHealth(t *testing.T) {
	b := newBench(t)
	got := get[healthInfo](t, b, "/api/health", b.login(t, "Vic"))
	if got.Disk != "ok" || got.Cameras != 1 || got.Streams != 2 || got.Live != 1 || got.Recording != 2 || got.Viewers != 2 {
		t.Errorf("%+v", got)
	}
}

func TestEvents(t *testing.T) {
	b := newBench(t)
	server := httptest.NewServer(b.web.Handler())
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", server.URL+"/api/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := b.access.Login(t.Context(), "Vic", password, "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	r.AddCookie(&http.Cookie{Name: "watchward-" + r.URL.Port(), Value: s.Token.Reveal()})
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%s %v", resp.Status, resp.Header)
	}
	lines := bufio.NewScanner(resp.Body)
	next := func() (kind, data string) {
		for lines.Scan() {
			if v, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				kind = v
			}
			if v, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				return kind, v
			}
		}
		t.Fatal("the stream ended")
		return
	}
	if kind, _ := next(); kind != "health" {
		t.Errorf("begins with %q", kind)
	}
	b.watch.CameraChanged("gate")
	b.watch.CameraChanged("gate")
	b.watch.CameraChanged("removed")
	b.watch.SegmentClosed(b.list[0])
	if kind, data := next(); kind != "camera" || !strings.Contains(data, `"id":"gate"`) {
		t.Errorf("%s %s", kind, data)
	}
	if kind, data := next(); kind != "segment" || data != fmt.Sprintf(`{"camera":"gate","stream":"main","start":%d,"ms":60000}`, noon.Add(-3*time.Minute).UnixMilli()) {
		t.Errorf("%s %s", kind, data)
	}
}

func TestSlowListenersAreBounded(t *testing.T) {
	var w Watch
	l, _ := w.hub.join()
	for i := range 10_000 {
		w.SegmentClosed(archive.Segment{Start: time.UnixMilli(int64(i))})
		w.CameraChanged("gate")
	}
	cameras, segments, _ := l.take()
	if len(cameras) != 1 || len(segments) != maxPending || segments[maxPending-1].Start != 9_999 {
		t.Errorf("%d cameras, %d segments", len(cameras), len(segments))
	}
	for range maxListeners {
		w.hub.join()
	}
	if _, ok := w.hub.join(); ok {
		t.Error("one listener too many")
	}
}

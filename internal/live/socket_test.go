package live

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/watchward/watchward/internal/media"
	"github.com/watchward/watchward/internal/media/fmp4"
)

// listener is a viewer by WebSocket.
type listener struct{ conn *websocket.Conn }

func dial(t testing.TB, h *house, path string) *listener {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), strings.Replace(h.url, "http", "ws", 1)+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(16 << 20)
	l := &listener{conn}
	t.Cleanup(l.close)
	return l
}

func refused(t testing.TB, h *house, path string) (int, error) {
	t.Helper()
	conn, res, err := websocket.Dial(t.Context(), strings.Replace(h.url, "http", "ws", 1)+path, nil)
	if err == nil {
		_ = conn.CloseNow()
		t.Fatal("was let in")
	}
	return res.StatusCode, err
}

func (l *listener) close() { _ = l.conn.CloseNow() }

func (l *listener) next(t testing.TB) (websocket.MessageType, []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	kind, data, err := l.conn.Read(ctx)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return kind, data
}

func (l *listener) text(t testing.TB) message {
	t.Helper()
	kind, data := l.next(t)
	if kind != websocket.MessageText {
		t.Fatalf("got %d bytes, want a text", len(data))
	}
	var m message
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func (l *listener) binary(t testing.TB) []byte {
	t.Helper()
	kind, data := l.next(t)
	if kind != websocket.MessageBinary {
		t.Fatalf("got text %s, want bytes", data)
	}
	return data
}

// samplesOf walks what a viewer got, beginning with the initialization segment.
func samplesOf(t testing.TB, file []byte) ([]*media.Format, []fmp4.SampleInfo) {
	t.Helper()
	r, err := fmp4.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	var all []fmp4.SampleInfo
	for r.Whole() < int64(len(file)) {
		part, err := r.Next()
		if err != nil {
			t.Fatalf("after %d of %d bytes: %v", r.Whole(), len(file), err)
		}
		all = append(all, part.Samples...)
	}
	return r.Formats(), all
}

func video(samples []fmp4.SampleInfo) (v []fmp4.SampleInfo) {
	for _, s := range samples {
		if s.Track == 1 {
			v = append(v, s)
		}
	}
	return v
}

// until reads parts until n pictures have come.
func (l *listener) until(t testing.TB, file []byte, n int) []byte {
	t.Helper()
	for {
		_, samples := samplesOf(t, file)
		if len(video(samples)) >= n {
			return file
		}
		file = append(file, l.binary(t)...)
	}
}

func TestSocketJoinsBetweenKeyframes(t *testing.T) {
	noneLeft(t)
	src := newSource(t)
	src.audio = &media.Format{Codec: media.AAC, ClockRate: 16000, SampleRate: 16000, Channels: 1, Config: []byte{0x14, 0x08}}
	src.pictures(90) // 40 since the last keyframe
	h := run(t, Options{}, map[string]*media.Stream{"gate/main": &src.st})
	l := dial(t, h, "/gate/main/socket")
	if m := l.text(t); m.Kind != "fmp4" || m.Codecs != "avc1.42c01e,mp4a.40.2" || m.Width != 640 || m.Height != 360 || m.Why != "" {
		t.Errorf("announced %+v", m)
	}
	file := l.until(t, l.binary(t), 40)
	src.play(t)
	file = l.until(t, file, 70)
	formats, samples := samplesOf(t, file)
	if len(formats) != 2 || formats[0].Codec != media.H264 || formats[1].Codec != media.AAC {
		t.Errorf("tracks %v", formats)
	}
	pictures := video(samples)
	if !pictures[0].Key || pictures[0].DTS != 0 || pictures[0].PTS != 0 {
		t.Errorf("first picture %+v, want a keyframe at 0", pictures[0])
	}
	for i, s := range pictures[1:] {
		if before := pictures[i]; s.DTS != before.DTS+int64(before.Duration) {
			t.Fatalf("picture %d at %d, the one before ends at %d", i+1, s.DTS, before.DTS+int64(before.Duration))
		}
	}
	if at := float64(pictures[39].DTS) / 90000; at > 0.25 {
		t.Errorf("the present begins at %.3f s, want no more than 0.25", at)
	}
	if span := float64(pictures[69].DTS-pictures[39].DTS) / 90000; span < 1.1 || span > 1.3 {
		t.Errorf("30 pictures last %.3f s, want 1.2", span)
	}
	ends := map[uint32]int64{}
	sounds := 0
	for _, s := range samples {
		if s.Track == 2 {
			if sounds++; sounds > 1 && s.DTS != ends[2] {
				t.Fatalf("sound at %d, the one before ends at %d", s.DTS, ends[2])
			}
		}
		ends[s.Track] = s.DTS + int64(s.Duration)
	}
	if sounds < 15 {
		t.Errorf("%d pieces of sound with 30 pictures", sounds)
	}
}

func TestSocketLeavesOutSoundThatBrowsersCannotPlay(t *testing.T) {
	noneLeft(t)
	src := newSource(t)
	src.audio = &media.Format{Codec: media.PCMA, ClockRate: 8000, SampleRate: 8000, Channels: 1}
	src.pictures(2)
	h := run(t, Options{}, map[string]*media.Stream{"gate/main": &src.st})
	l := dial(t, h, "/gate/main/socket")
	if m := l.text(t); m.Why != WhyNoAudio || m.Codecs != "avc1.42c01e" {
		t.Errorf("announced %+v", m)
	}
	formats, _ := samplesOf(t, l.until(t, l.binary(t), 2))
	if len(formats) != 1 {
		t.Errorf("%d tracks, want the picture only", len(formats))
	}
}

func TestSocketAnnouncesNewParameterSets(t *testing.T) {
	noneLeft(t)
	src := newSource(t)
	src.gop = 3
	h := run(t, Options{}, map[string]*media.Stream{"gate/main": &src.st})
	l := dial(t, h, "/gate/main/socket")
	eventually(t, "the viewer watches", src.st.Watched)
	src.pictures(3)
	if m := l.text(t); m.Codecs != "avc1.42c01e" {
		t.Errorf("announced %+v", m)
	}
	file := l.until(t, l.binary(t), 3)
	src.st.Break(media.ConnectionLost, time.Now())
	src.mu.Lock()
	src.video = h264(t, highSPS, highPPS)
	src.mu.Unlock()
	src.pictures(3)
	if m := l.text(t); m.Kind != "break" || m.Reason != media.ConnectionLost {
		t.Errorf("after the break: %+v", m)
	}
	if m := l.text(t); m.Codecs != "avc1.64001e" {
		t.Errorf("announced %+v", m)
	}
	_, before := samplesOf(t, file)
	_, after := samplesOf(t, l.until(t, l.binary(t), 3))
	last := before[len(before)-1]
	if after[0].DTS != last.DTS+int64(last.Duration) {
		t.Errorf("goes on at %d, want %d", after[0].DTS, last.DTS+int64(last.Duration))
	}
}

func TestSocketPictures(t *testing.T) {
	noneLeft(t)
	src := newSource(t)
	src.video = &media.Format{Codec: media.MJPEG, ClockRate: 90000, Width: 640, Height: 360}
	src.picture()
	h := run(t, Options{}, map[string]*media.Stream{"gate/main": &src.st})
	l := dial(t, h, "/gate/main/socket")
	if m := l.text(t); m.Kind != "pictures" {
		t.Errorf("announced %+v", m)
	}
	for range 3 {
		if n := len(l.binary(t)); n != 4*4000 && n != 4000 {
			t.Errorf("picture of %d bytes", n)
		}
		src.picture()
	}
}

func TestSlowViewerSkipsAndSlowsNobody(t *testing.T) {
	noneLeft(t)
	src := newSource(t)
	src.size, src.gop = 100_000, 10
	src.picture()
	h := run(t, Options{}, map[string]*media.Stream{"gate/main": &src.st})
	l := dial(t, h, "/gate/main/socket")
	if m := l.text(t); m.Kind != "fmp4" {
		t.Errorf("announced %+v", m)
	}
	file := l.binary(t)
	begin := time.Now()
	src.pictures(300) // 39 MB, and nobody reads
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("publishing took %s while a viewer did not read", took)
	}
	eventually(t, "pictures are skipped", func() bool { s := h.Stats(); return len(s) == 1 && s[0].Skipped > 0 })
	done := make(chan struct{})
	go func() { defer close(done); time.Sleep(50 * time.Millisecond); src.pictures(20) }()
	defer func() { <-done }()
	// He reads on: what comes has no hole, and where pictures are missing it goes
	// on with a keyframe.
	last, end, skips := -1, int64(-1), 0
	for last < 319 {
		data := l.binary(t)
		_, samples := samplesOf(t, append(bytes.Clone(file), data...))
		for _, s := range samples {
			at := s.Offset - int64(len(file)) + 5
			n := int(binary.BigEndian.Uint32(data[at:]) ^ numberMask)
			if n != last+1 {
				skips++
				if !s.Key {
					t.Fatalf("picture %d after %d is no keyframe", n, last)
				}
			}
			if end >= 0 && s.DTS != end {
				t.Fatalf("picture %d at %d, the one before ends at %d", n, s.DTS, end)
			}
			last, end = n, s.DTS+int64(s.Duration)
		}
	}
	if skips == 0 {
		t.Error("nothing was skipped")
	}
}

func TestSocketRefuses(t *testing.T) {
	src := newSource(t)
	h := run(t, Options{}, map[string]*media.Stream{"gate/main": &src.st})
	if status, _ := refused(t, h, "/gate/third/socket"); status != http.StatusNotFound {
		t.Errorf("no such stream: status %d, want 404", status)
	}
	req := &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"https://elsewhere.example"}}}
	conn, res, err := websocket.Dial(t.Context(), strings.Replace(h.url, "http", "ws", 1)+"/gate/main/socket", req)
	if err == nil {
		_ = conn.CloseNow()
		t.Fatal("a page of another server was let in")
	}
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("other origin: status %d, want 403", res.StatusCode)
	}
}

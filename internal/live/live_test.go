package live

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/watchward/watchward/internal/media"
)

// Parameter sets of 640x360 pictures, 25 a second, as x264 writes them.
const (
	baseSPS = "6742c01ed900a02ff97011000003000100000300320f162e48"
	basePPS = "68cb83cb20"
	highSPS = "6764001eacb201405ff2e022000003000200000300641e2c5c90"
	highPPS = "68ebc3cb22c0"
)

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func h264(t testing.TB, sps, pps string) *media.Format {
	return &media.Format{
		Codec: media.H264, ClockRate: 90000, Width: 640, Height: 360,
		ParameterSets: [][]byte{unhex(t, sps), unhex(t, pps)},
	}
}

// source publishes made-up samples as a camera would: 25 pictures a second, a
// keyframe every gop of them, contents that no decoder would take.
type source struct {
	st    media.Stream
	video *media.Format
	audio *media.Format // nil: none
	gop   int
	size  int // bytes of a picture; a keyframe has four times as many

	mu sync.Mutex // publishes one at a time
	n  int        // pictures so far
}

func newSource(t testing.TB) *source {
	return &source{video: h264(t, baseSPS, basePPS), gop: 50, size: 4000}
}

// numberMask keeps the number 1 from looking like a start code.
const numberMask = 0xa5a5a5a5

// picture publishes the next picture, and the sound of its time.
func (c *source) picture() {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := c.n%c.gop == 0
	size, nal := c.size, byte(0x41)
	if key {
		size, nal = 4*size, 0x65
	}
	data := bytes.Repeat([]byte{0x55}, 4+size)
	binary.BigEndian.PutUint32(data, uint32(size))
	data[4] = nal
	binary.BigEndian.PutUint32(data[5:], uint32(c.n)^numberMask) // to tell pictures apart
	if c.video.Codec == media.MJPEG {
		data = data[4:]
		key = true
	}
	s := media.NewSample(data)
	s.Format, s.Keyframe, s.Received = c.video, key, time.Now()
	s.DTS = int64(c.n) * int64(c.video.ClockRate) / 25
	s.PTS = s.DTS
	c.st.Publish(s)
	c.n++
	if c.audio == nil {
		return
	}
	a := media.NewSample(make([]byte, 160))
	a.Track, a.Format, a.Keyframe, a.Received = 1, c.audio, true, time.Now()
	a.DTS = int64(c.n-1) * int64(c.audio.ClockRate) / 25
	a.PTS = a.DTS
	c.st.Publish(a)
}

// pictures publishes n pictures at once.
func (c *source) pictures(n int) {
	for range n {
		c.picture()
	}
}

// play publishes in real time until the test ends.
func (c *source) play(t testing.TB) {
	done := make(chan struct{})
	var playing sync.WaitGroup
	playing.Go(func() {
		tick := time.NewTicker(40 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				c.picture()
			}
		}
	})
	t.Cleanup(func() { close(done); playing.Wait() })
}

// house is a running Live behind an HTTP server.
type house struct {
	*Live
	url  string
	mux  *http.ServeMux
	stop func()
}

func run(t testing.TB, o Options, streams map[string]*media.Stream) *house {
	t.Helper()
	o.Streams = func(camera, stream string) (*media.Stream, bool) {
		st, ok := streams[camera+"/"+stream]
		return st, ok
	}
	o.LoopbackOnly = true
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := contextWithCancel(t)
	ran := make(chan error, 1)
	go func() { ran <- l.Run(ctx) }()
	for !l.up() {
		time.Sleep(time.Millisecond)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{camera}/{stream}/whep", func(w http.ResponseWriter, r *http.Request) {
		l.WHEP(w, r, r.PathValue("camera"), r.PathValue("stream"))
	})
	mux.HandleFunc("DELETE /{camera}/{stream}/whep/{id}", func(w http.ResponseWriter, r *http.Request) {
		l.WHEPDelete(w, r, r.PathValue("id"))
	})
	mux.HandleFunc("GET /{camera}/{stream}/socket", func(w http.ResponseWriter, r *http.Request) {
		l.Socket(w, r, r.PathValue("camera"), r.PathValue("stream"))
	})
	srv := httptest.NewServer(mux)
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Errorf("Run = %v", err)
		}
		srv.Close()
	})
	t.Cleanup(stop)
	return &house{Live: l, url: srv.URL, mux: mux, stop: stop}
}

func (l *Live) up() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.running
}

// eventually waits for what others bring about; the tests know no better sign.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

// noneLeft fails the test if it leaves a goroutine behind.
func noneLeft(t *testing.T) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		goleak.VerifyNone(t, before)
	})
}

func TestNew(t *testing.T) {
	streams := func(string, string) (*media.Stream, bool) { return nil, false }
	for _, tt := range []struct {
		name string
		o    Options
		ok   bool
	}{
		{"only what is required", Options{Streams: streams}, true},
		{"no streams", Options{}, false},
		{"port out of range", Options{Streams: streams, UDPPort: 70000}, false},
	} {
		if _, err := New(tt.o); (err == nil) != tt.ok {
			t.Errorf("%s: New = %v", tt.name, err)
		}
	}
}

func TestViewersAreCapped(t *testing.T) {
	noneLeft(t)
	src := newSource(t)
	src.picture()
	h := run(t, Options{MaxViewers: 1}, map[string]*media.Stream{"gate/main": &src.st})
	c := dial(t, h, "/gate/main/socket")
	c.text(t)
	if status, _ := refused(t, h, "/gate/main/socket"); status != http.StatusServiceUnavailable {
		t.Errorf("second viewer: status %d, want 503", status)
	}
	c.close()
	eventually(t, "the first viewer leaves", func() bool { return h.Viewers() == 0 })
	dial(t, h, "/gate/main/socket").close()
}

func TestRunEndsEverybody(t *testing.T) {
	noneLeft(t)
	src := newSource(t)
	src.picture()
	h := run(t, Options{}, map[string]*media.Stream{"gate/main": &src.st})
	src.play(t)
	socket := dial(t, h, "/gate/main/socket")
	defer socket.close()
	peer := join(t, h, "/gate/main/whep")
	defer peer.close()
	peer.frame(t)
	peer.frame(t) // the first is counted by now
	if n := h.Viewers(); n != 2 {
		t.Errorf("Viewers = %d, want 2", n)
	}
	if all := h.Stats(); len(all) != 2 || all[0].Way != WayFMP4 || all[1].Way != WayWebRTC || all[1].Frames == 0 {
		t.Errorf("Stats = %+v", all)
	}
	h.stop()
	if n := h.Viewers(); n != 0 {
		t.Errorf("after Run: Viewers = %d, want 0", n)
	}
	if src.st.Watched() {
		t.Error("after Run: a viewer is still attached to the stream")
	}
	if _, _, err := h.enter(WayFMP4, "gate", "main", ""); err != errStopped {
		t.Errorf("after Run: enter = %v, want %v", err, errStopped)
	}
}

func TestRunRefusesAPortThatIsTaken(t *testing.T) {
	noneLeft(t)
	var taken []net.PacketConn
	port := 0
	for _, host := range []string{"127.0.0.1", "::1"} {
		conn, err := net.ListenPacket("udp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			t.Skipf("cannot take the port: %v", err)
		}
		defer conn.Close()
		port = conn.LocalAddr().(*net.UDPAddr).Port
		taken = append(taken, conn)
	}
	l, err := New(Options{
		Streams: func(string, string) (*media.Stream, bool) { return nil, false },
		UDPPort: port, LoopbackOnly: true, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Run(t.Context()); err == nil || !strings.Contains(err.Error(), taken[0].LocalAddr().String()) {
		t.Errorf("Run = %v, want an error that names %s", err, taken[0].LocalAddr())
	}
}

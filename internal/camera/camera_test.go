package camera

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchward/watchward/internal/camera/rtsp/rtsptest"
	"github.com/watchward/watchward/internal/media"
)

// describe is the SDP of a small H.264 camera.
const describe = "v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:trackID=0\r\n" +
	"a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z2QAFqyyAYBvTUGBgZAAAAMAEAAAAwFA8WLkgA==,aOvBMsiw\r\n"

var (
	idr   = []byte{0x65, 0x88, 0x84, 0x21}
	inter = []byte{0x41, 0x9a, 0x02, 0x03}
)

// pictures sends n pictures, 5 ms apart, a keyframe every tenth.
func pictures(n int) func(*rtsptest.Conn) {
	return func(c *rtsptest.Conn) {
		for i := range n {
			nal := inter
			if i%10 == 0 {
				nal = idr
			}
			if _, err := c.Write(rtsptest.Frame(0, rtsptest.Packet(96, true, uint16(i), uint32(i*450), 1, nal))); err != nil {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// watcher collects states and breaks.
type watcher struct {
	collector
	states []State
}

func (w *watcher) report(s State) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.states = append(w.states, s)
}

// waitFor waits until a state satisfies ok, and returns it.
func (w *watcher) waitFor(t *testing.T, what string, ok func(State) bool) State {
	t.Helper()
	for end := time.Now().Add(8 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		w.mu.Lock()
		i := slices.IndexFunc(w.states, ok)
		var s State
		if i >= 0 {
			s = w.states[i]
		}
		w.mu.Unlock()
		if i >= 0 {
			return s
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	t.Fatalf("never %s; states %+v", what, w.states)
	return State{}
}

// start runs a camera until the test ends.
func start(t *testing.T, o Options) *watcher {
	t.Helper()
	w := &watcher{}
	o.Stream = new(media.Stream)
	o.Stream.Attach(w)
	o.Report = w.report
	o.Log = slog.New(slog.DiscardHandler)
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if last := w.states[len(w.states)-1]; last.Phase != Halted {
			t.Errorf("the last state is %+v", last)
		}
		if n := len(w.breaks); n == 0 || w.breaks[n-1] != media.Stopped {
			t.Errorf("breaks %v: want the last to be stopped", w.breaks)
		}
	})
	return w
}

func is(p Phase, r media.Reason) func(State) bool {
	return func(s State) bool { return s.Phase == p && s.Reason == r }
}

func TestWhyNotLive(t *testing.T) {
	refuse := func(method, status string, lines ...string) rtsptest.Script {
		cam := rtsptest.Camera{SDP: describe, Answer: func(c *rtsptest.Conn, r *rtsptest.Request) bool {
			if r.Method == method {
				c.Reply(r, status, "", lines...)
			}
			return r.Method == method
		}}
		return cam.Script
	}
	noKeyframes := func(c *rtsptest.Conn) {
		for i := range 1000 {
			if _, err := c.Write(rtsptest.Frame(0, rtsptest.Packet(96, true, uint16(i), uint32(i*450), 1, inter))); err != nil {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	rows := []struct {
		name   string
		script rtsptest.Script
		want   media.Reason
		detail string // part of it
		pause  time.Duration
	}{
		{"wrong password", refuse("DESCRIBE", "401 Unauthorized", `WWW-Authenticate: Digest realm="r", nonce="n"`), media.WrongPassword, `wrong user name or password for user "admin"`, 40 * time.Second},
		{"no such stream", refuse("DESCRIBE", "404 Not Found"), media.NotFound, "404", 0},
		{"too many clients", refuse("SETUP", "453 Not Enough Bandwidth"), media.Refused, "453", 0},
		{"hangs up", func(*rtsptest.Conn) {}, media.Refused, "OPTIONS", 0},
		{"no video offered", (&rtsptest.Camera{SDP: "m=audio 0 RTP/AVP 8\r\n"}).Script, media.Unsupported, "want H.264, H.265 or MJPEG", 0},
		{"plays nothing", (&rtsptest.Camera{SDP: describe}).Script, media.NoVideo, "no", 0},
		{"never a keyframe", (&rtsptest.Camera{SDP: describe, Play: noKeyframes}).Script, media.NoKeyframe, "keyframe interval", 0},
		{"speaks no RTSP", func(c *rtsptest.Conn) { _, _ = c.Write(bytes.Repeat([]byte("SSH-2.0 "), 20000)) }, media.Corrupt, "cannot be read", 0},
	}
	watchers := make([]*watcher, len(rows)) // all at once: the time goes in waiting
	for i, tt := range rows {
		s := rtsptest.Serve(t, tt.script)
		watchers[i] = start(t, Options{URL: s.URL("/x"), Username: "admin", Password: "hunter2", Transport: TCP, NoVideoAfter: 300 * time.Millisecond, Batch: 10 * time.Millisecond})
	}
	for i, tt := range rows {
		t.Run(tt.name, func(t *testing.T) {
			w := watchers[i]
			got := w.waitFor(t, "waiting", func(s State) bool { return s.Phase == Waiting })
			if got.Reason != tt.want || !strings.Contains(got.Detail, tt.detail) || strings.Contains(got.Detail, "hunter2") {
				t.Errorf("%s: %q, want %s with %q", got.Reason, got.Detail, tt.want, tt.detail)
			}
			if pause := got.Next.Sub(got.Since); pause < tt.pause || pause > 2*tt.pause+2*time.Second {
				t.Errorf("next try after %s", pause)
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			if len(w.breaks) == 0 || w.breaks[len(w.breaks)-1] != tt.want {
				t.Errorf("breaks %v", w.breaks)
			}
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		t.Parallel()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_ = l.Close()
		start(t, Options{URL: "rtsp://" + l.Addr().String() + "/x"}).waitFor(t, "refused", is(Waiting, media.Refused))
	})
}

func TestComesBack(t *testing.T) {
	t.Parallel()
	cam := rtsptest.Camera{SDP: describe}
	cam.Play = func(c *rtsptest.Conn) {
		pictures(30)(c)
		if c.N == 0 {
			_ = c.Close()
		}
	}
	s := rtsptest.Serve(t, cam.Script)
	w := start(t, Options{URL: s.URL("/x"), Batch: 10 * time.Millisecond})
	w.waitFor(t, "live", is(Live, ""))
	lost := w.waitFor(t, "lost", is(Waiting, media.ConnectionLost))
	if lost.Frames != 30 {
		t.Errorf("%d pictures before, want 30", lost.Frames)
	}
	w.waitFor(t, "live again", func(s State) bool { return s.Phase == Live && s.Frames > 30 })
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.video[0].key || len(w.breaks) != 1 || w.breaks[0] != media.ConnectionLost || !w.video[30].key {
		t.Errorf("breaks %v", w.breaks)
	}
	if f := w.video[0].format; f.Width != 768 || f.Height != 432 {
		t.Errorf("format %+v", f)
	}
}

func TestFallsBackToUDP(t *testing.T) {
	t.Parallel()
	cam := rtsptest.Camera{SDP: describe}
	to := make(chan int, 1)
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	cam.Answer = func(c *rtsptest.Conn, r *rtsptest.Request) bool {
		if r.Method != "SETUP" {
			return false
		}
		_, ports, udp := strings.Cut(r.Header.Get("Transport"), "client_port=")
		if !udp {
			c.Reply(r, "461 Unsupported Transport", "")
			return true
		}
		var a, b int
		_, _ = fmt.Sscanf(ports, "%d-%d", &a, &b)
		if a&1 != 0 || b != a+1 {
			t.Errorf("ports %d and %d", a, b)
		}
		to <- a
		c.Reply(r, "200 OK", "", fmt.Sprintf("Transport: RTP/AVP;unicast;client_port=%d-%d;server_port=1-2", a, b), "Session: 1")
		return true
	}
	cam.Play = func(c *rtsptest.Conn) {
		a := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: <-to}
		stranger, err := net.ListenPacket("udp", "127.0.0.2:0")
		if err == nil {
			defer stranger.Close()
			_, _ = stranger.WriteTo(rtsptest.Packet(96, true, 999, 0, 66, idr), a)
		}
		for i := range 400 {
			n := i ^ 1 // each pair swapped
			nal := inter
			if n%10 == 0 {
				nal = idr
			}
			if i < 2 {
				n = i
			}
			_, _ = conn.WriteTo(rtsptest.Packet(96, true, uint16(n), uint32(n*450), 1, nal), a)
			time.Sleep(3 * time.Millisecond)
		}
	}
	s := rtsptest.Serve(t, cam.Script)
	w := start(t, Options{URL: s.URL("/x"), Batch: 10 * time.Millisecond})
	w.waitFor(t, "live by UDP", func(s State) bool { return s.Phase == Live && s.Transport == "udp" && s.Frames > 100 })
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.breaks) != 1 { // the 461 itself
		t.Errorf("breaks %v", w.breaks)
	}
	for i, g := range w.video[1:] {
		if d := g.dts - w.video[i].dts; d != 450 {
			t.Fatalf("picture %d comes %d ticks after the one before", i+1, d)
		}
	}
}

func TestWatchedIsReadAtOnce(t *testing.T) {
	t.Parallel()
	cam := rtsptest.Camera{SDP: describe, Play: pictures(1000)}
	s := rtsptest.Serve(t, cam.Script)
	st := new(media.Stream)
	var w watcher
	st.Watch(&w)
	c, err := New(Options{URL: s.URL("/x"), Stream: st, Batch: time.Second, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { _ = c.Run(ctx) })
	for n := 0; n < 50; n, _ = w.counts() {
		time.Sleep(5 * time.Millisecond)
	}
	cancel()
	run.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	batches := 1
	for i, g := range w.video[1:50] {
		if !g.received.Equal(w.video[i].received) {
			batches++
		}
	}
	if batches < 15 {
		t.Errorf("50 pictures came in %d batches", batches)
	}
}

// TestStalledReader: a disk that holds up the publisher is no silence of the
// camera's, and costs nothing over TCP.
func TestStalledReader(t *testing.T) {
	t.Parallel()
	cam := rtsptest.Camera{SDP: describe, Play: pictures(400)}
	s := rtsptest.Serve(t, cam.Script)
	st := new(media.Stream)
	var w watcher
	st.Attach(&stalling{w: &w})
	o := Options{URL: s.URL("/x"), Stream: st, Batch: 10 * time.Millisecond, NoVideoAfter: 200 * time.Millisecond, Log: slog.New(slog.DiscardHandler)}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
	defer cancel()
	var run sync.WaitGroup
	run.Go(func() { _ = c.Run(ctx) })
	for n := 0; n < 300 && ctx.Err() == nil; n, _ = w.counts() {
		time.Sleep(5 * time.Millisecond)
	}
	cancel()
	run.Wait()
	if len(w.video) < 300 || len(w.breaks) != 1 {
		t.Errorf("%d pictures, breaks %v", len(w.video), w.breaks)
	}
}

// stalling holds up the publisher once.
type stalling struct {
	w    *watcher
	done bool
}

func (s *stalling) Sample(m *media.Sample) {
	s.w.Sample(m)
	if !s.done && len(s.w.video) > 50 {
		s.done = true
		time.Sleep(700 * time.Millisecond)
	}
}
func (s *stalling) Break(r media.Reason, at time.Time) { s.w.Break(r, at) }

// TestHostileMediaIsBounded: cameras that send what never ends or makes no sense
// cost little memory and no other camera anything.
func TestHostileMediaIsBounded(t *testing.T) {
	big := make([]byte, 60000)
	big[0], big[1] = 0x7c, 0x05
	rows := []func(i int) []byte{
		func(i int) []byte { // a fragment that never ends
			b := bytes.Clone(big)
			if i == 0 {
				b[1] |= 0x80
			}
			return rtsptest.Packet(96, false, uint16(i), 0, 1, b)
		},
		func(i int) []byte {
			return rtsptest.Packet(96, false, uint16(i), 0, 1, []byte{0x68, byte(i), byte(i >> 8), 1})
		},
		func(i int) []byte { return rtsptest.Packet(96, false, uint16(i), 0, 1, []byte{0x41, 0x9a}) },
		func(i int) []byte { return bytes.Repeat([]byte{0xff}, 3000) },
		func(i int) []byte { return nil },
		func(i int) []byte {
			return rtsptest.Packet(96, true, uint16(i*7919), uint32(i)*0x7fffffff, uint32(i), idr)
		},
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for _, row := range rows {
		cam := rtsptest.Camera{SDP: describe}
		cam.Play = func(c *rtsptest.Conn) {
			for i := range 1 << 20 {
				if _, err := c.Write(rtsptest.Frame(0, row(i))); err != nil {
					return
				}
			}
		}
		s := rtsptest.Serve(t, cam.Script)
		start(t, Options{URL: s.URL("/x"), Transport: TCP, Batch: 10 * time.Millisecond, NoVideoAfter: time.Second})
	}
	var most uint64
	for range 15 {
		time.Sleep(100 * time.Millisecond)
		runtime.ReadMemStats(&after)
		most = max(most, after.HeapInuse)
	}
	if grown := int64(most) - int64(before.HeapInuse); grown > int64(len(rows))*50<<20 {
		t.Errorf("grown by %d MB with %d cameras", grown>>20, len(rows))
	}
}

func TestSplitURL(t *testing.T) {
	for _, tt := range []struct{ raw, clean, user, password string }{
		{"rtsp://cam/x", "rtsp://cam/x", "", ""},
		{" RTSP://cam:8554/x?a=b ", "rtsp://cam:8554/x?a=b", "", ""},
		{"rtsps://admin:secret@10.0.0.1:322/x", "rtsps://10.0.0.1:322/x", "admin", "secret"},
		{"rtsp://admin:p%40ss@cam", "rtsp://cam", "admin", "p@ss"},
		{"rtsp://admin:p@ss#1?@cam/x", "rtsp://cam/x", "admin", "p@ss#1?"},
		{"rtsp://admin:100%@cam/x", "rtsp://cam/x", "admin", "100%"},
		{"rtsp://[fe80::1]:554/x", "rtsp://[fe80::1]:554/x", "", ""},
		{"rtsp://cam/user=a&password=b@c", "rtsp://cam/user=a&password=b@c", "", ""},
		{"http://cam/", "", "", ""},
		{"rtsp://", "", "", ""},
		{"rtsp://cam:99999/", "", "", ""},
		{"rtsp://a b/", "", "", ""},
		{"rtsp://cam/a\r\nb", "", "", ""},
	} {
		clean, user, password, err := SplitURL(tt.raw)
		if (err == nil) != (tt.clean != "") || clean != tt.clean || user != tt.user || password.Reveal() != tt.password {
			t.Errorf("SplitURL(%q) = %q, %q, %q, %v", tt.raw, clean, user, password.Reveal(), err)
		}
	}
}

func TestSecretIsNotPrinted(t *testing.T) {
	o := Options{Password: "hunter2"}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "o", o.Password)
	j, _ := json.Marshal(o.Password)
	for _, s := range []string{fmt.Sprint(o), fmt.Sprintf("%+v %#v %q", o.Password, o.Password, o.Password), log.String(), string(j)} {
		if strings.Contains(s, "hunter2") {
			t.Errorf("printed: %s", s)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	st := new(media.Stream)
	for _, o := range []Options{
		{URL: "rtsp://cam/"},
		{URL: "rtsp://a:b@cam/", Stream: st},
		{URL: "cam", Stream: st},
		{URL: "rtsp://cam/", Stream: st, Transport: "pigeon"},
		{URL: "rtsp://cam/", Stream: st, Batch: time.Hour},
		{URL: "rtsps://cam/", Stream: st, TLS: TLS{Pin: "abc"}},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("New(%q) took it", o.URL)
		}
	}
}

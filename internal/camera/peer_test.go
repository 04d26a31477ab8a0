package camera

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"image/jpeg"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchward/watchward/internal/media"
)

// shared is the folder of shared material, or skips the test.
func shared(t *testing.T, name string) string {
	t.Helper()
	root := os.Getenv("WATCHWARD_SHARED")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared")
	}
	p := filepath.Join(root, name)
	if _, err := os.Stat(p); err != nil {
		t.Skipf("no shared material: %v", err)
	}
	return p
}

// peer starts GStreamer's RTSP server; port waits until it listens.
func peer(t *testing.T, auth, pipeline string, more ...string) (port func() string) {
	t.Helper()
	cmd := exec.Command(python(t), append([]string{"testdata/peer.py", auth, pipeline}, more...)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return func() string {
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil && err != io.EOF {
			t.Fatal(err)
		}
		return strings.TrimSpace(line)
	}
}

// python is a Python that has GStreamer's RTSP server, or skips the test.
func python(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"/usr/bin/python3", "python3"} {
		probe := exec.Command(name, "-c", "import gi; gi.require_version('GstRtspServer','1.0'); from gi.repository import GstRtspServer")
		if probe.Run() == nil {
			return name
		}
	}
	t.Skip("python3 with gi and GstRtspServer is not installed")
	return ""
}

// collector is a reader that keeps what matters of each sample.
type collector struct {
	mu     sync.Mutex
	video  []got
	audio  []got
	breaks []media.Reason
}

type got struct {
	format   *media.Format
	key      bool
	dts, pts int64
	size     int
	received time.Time
	data     []byte // of the first few
}

func (c *collector) Sample(s *media.Sample) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := got{s.Format, s.Keyframe, s.DTS, s.PTS, len(s.Data), s.Received, nil}
	if len(c.video) < 50 {
		g.data = append([]byte(nil), s.Data...)
	}
	if s.Track == 0 {
		c.video = append(c.video, g)
	} else {
		c.audio = append(c.audio, g)
	}
}

func (c *collector) Break(r media.Reason, _ time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.breaks = append(c.breaks, r)
}

func (c *collector) counts() (video, audio int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.video), len(c.audio)
}

// record runs a camera until want pictures have come.
func record(t *testing.T, o Options, want int, limit time.Duration) (*collector, State) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	var c collector
	o.Stream = new(media.Stream)
	o.Stream.Attach(&c)
	var mu sync.Mutex
	var last State
	o.Report = func(s State) {
		mu.Lock()
		defer mu.Unlock()
		if s.Phase == Live {
			last = s
		}
		if testing.Verbose() {
			t.Logf("%s %s %s %.1f fps %.0f kbit/s lost %d", s.Phase, s.Reason, s.Detail, s.FPS, s.Kbps, s.Lost)
		}
	}
	cam, err := New(o)
	if err != nil {
		t.Error(err)
		return &c, last
	}
	done := make(chan error, 1)
	go func() { done <- cam.Run(ctx) }()
	for ctx.Err() == nil {
		if n, _ := c.counts(); n >= want {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run = %v", err)
	}
	mu.Lock()
	defer mu.Unlock()
	return &c, last
}

func TestPeer(t *testing.T) {
	video := shared(t, "video")
	const h264 = "qtdemux ! h264parse config-interval=-1 ! rtph264pay name=pay0 pt=96"
	rows := []struct {
		name, auth, launch string
		transport          Transport
		codec              media.Codec
		audio              media.Codec // 0 none
		clip               string
		want               int
	}{
		{"H.264, digest", "digest", h264, Auto, media.H264, 0, "road-traffic.mp4", 25},
		{"H.264, basic, sets in the description only", "basic", "qtdemux ! h264parse ! rtph264pay name=pay0 pt=96", TCP, media.H264, 0, "road-traffic.mp4", 20},
		{"H.264, UDP", "digest", h264, UDP, media.H264, 0, "road-traffic.mp4", 25},
		{"H.264, HTTP tunnel", "none", h264, HTTP, media.H264, 0, "road-traffic.mp4", 25},
		{"H.264, RTSPS, pinned", "tls", h264, Auto, media.H264, 0, "road-traffic.mp4", 25},
		{"H.265", "none", "qtdemux ! h265parse config-interval=-1 ! rtph265pay name=pay0 pt=96", TCP, media.H265, 0, "carpark-h265.mp4", 14},
		{"MJPEG", "none", "avidemux ! jpegparse ! rtpjpegpay name=pay0 pt=26", TCP, media.MJPEG, 0, "plaza-mjpeg.avi", 11},
		{"AAC", "none", "qtdemux name=d d. ! queue ! h264parse ! rtph264pay name=pay0 pt=96 d. ! queue ! aacparse ! rtpmp4gpay name=pay1 pt=97", TCP, media.H264, media.AAC, "road-aac.mp4", 25},
		{"G.711", "none", "matroskademux name=d d. ! queue ! h264parse ! rtph264pay name=pay0 pt=96 d. ! queue ! rtppcmapay name=pay1 pt=8", TCP, media.H264, media.PCMA, "room-pcma.mkv", 11},
	}
	// All at once: the time goes in waiting for pictures.
	options := make([]Options, len(rows))
	ports := make([]func() string, len(rows))
	for i, tt := range rows {
		options[i] = Options{Username: "cam", Password: "watch-test", Transport: tt.transport}
		var more []string
		if tt.auth == "tls" {
			cert, key, pin := certificate(t)
			options[i].TLS.Pin, more = pin, []string{cert, key}
		}
		ports[i] = peer(t, tt.auth, fmt.Sprintf("( filesrc location=%s ! %s )", filepath.Join(video, tt.clip), tt.launch), more...)
	}
	collectors := make([]*collector, len(rows))
	states := make([]State, len(rows))
	var all sync.WaitGroup
	for i, tt := range rows {
		scheme := "rtsp"
		if tt.auth == "tls" {
			scheme = "rtsps"
		}
		options[i].URL = scheme + "://127.0.0.1:" + ports[i]() + "/cam"
		all.Go(func() { collectors[i], states[i] = record(t, options[i], tt.want, 20*time.Second) })
	}
	all.Wait()
	for i, tt := range rows {
		t.Run(tt.name, func(t *testing.T) {
			check(t, collectors[i], tt.want, tt.codec, tt.audio)
			compare(t, collectors[i], filepath.Join(video, tt.clip), tt.codec)
			if states[i].Lost > 0 {
				t.Errorf("%d packets lost", states[i].Lost)
			}
		})
	}
}

// certificate makes one for 127.0.0.1 and returns its files and its pin.
func certificate(t *testing.T) (cert, key, pin string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key, fmt.Sprintf("%x", sha256.Sum256(der))
}

// compare wants the pictures to be those of the clip, byte for byte, none missing
// and none twice. JPEGs get new headers on the way, so only their scans count.
func compare(t *testing.T, c *collector, clip string, codec media.Codec) {
	t.Helper()
	probe, err := exec.LookPath("ffprobe")
	if err != nil {
		t.Log("ffprobe is not installed: bytes not compared")
		return
	}
	if codec == media.MJPEG {
		for i, g := range c.video {
			if _, err := jpeg.Decode(bytes.NewReader(g.data)); err != nil && g.data != nil {
				t.Errorf("picture %d: %v", i, err)
			}
		}
		return
	}
	out, err := exec.Command(probe, "-v", "error", "-select_streams", "v", "-show_entries", "packet=data_hash", "-show_data_hash", "md5", "-of", "csv=p=0", clip).Output()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for line := range strings.Lines(string(out)) {
		want = append(want, strings.TrimPrefix(strings.Trim(line, ",\n\r "), "MD5:"))
	}
	at := -1 // where in the clip the first picture compared lies
	for i, g := range c.video {
		// The H.265 clip repeats its parameter sets in keyframes, samples do not.
		if g.data == nil || codec == media.H265 && g.key {
			continue
		}
		sum := fmt.Sprintf("%x", md5.Sum(g.data))
		if at < 0 {
			if at = slices.Index(want, sum) - i; at < -i {
				t.Fatalf("picture %d, of %d bytes, is none of the clip's %d", i, g.size, len(want))
			}
		}
		if want[(at+i)%len(want)] != sum {
			t.Fatalf("picture %d is not picture %d of the clip", i, at+i)
		}
	}
}

// check verifies what every good run has.
func check(t *testing.T, c *collector, want int, codec, audio media.Codec) {
	t.Helper()
	if len(c.video) < want {
		t.Fatalf("got %d pictures, want %d; breaks %v", len(c.video), want, c.breaks)
	}
	for i, g := range c.video {
		if g.format.Codec != codec || g.format.Width == 0 || g.format.Height == 0 {
			t.Fatalf("picture %d: format %+v", i, g.format)
		}
		if i == 0 && !g.key {
			t.Error("the first picture is no keyframe")
		}
		if i > 0 && g.dts <= c.video[i-1].dts {
			t.Errorf("picture %d: DTS %d after %d", i, g.dts, c.video[i-1].dts)
		}
		if g.format != c.video[0].format {
			t.Errorf("picture %d: a new format", i)
		}
	}
	if audio == 0 {
		return
	}
	if len(c.audio) == 0 {
		t.Fatal("no audio")
	}
	for i, g := range c.audio {
		if g.format.Codec != audio || i > 0 && g.dts <= c.audio[i-1].dts {
			t.Fatalf("audio %d: %+v", i, g)
		}
	}
}

package simulate

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchward/watchward/internal/media"
	"github.com/watchward/watchward/internal/simulate/faces"
)

// find is the first camera for which ok holds.
func find(t *testing.T, town *Town, ok func(*camera) bool) CameraInfo {
	t.Helper()
	for _, c := range town.cameras {
		if ok(c) {
			return c.Info()
		}
	}
	t.Fatal("the town has no such camera")
	return CameraInfo{}
}

func first(t *testing.T, town *Town) CameraInfo {
	return find(t, town, func(*camera) bool { return true })
}

func TestTheTownAsPromised(t *testing.T) {
	t.Parallel()
	town := startTown(t, Options{})
	cameras := town.Cameras()
	if len(cameras) < 9 {
		t.Errorf("%d cameras, want at least 9", len(cameras))
	}
	sites, hosts, codecs, audio := map[string]bool{}, map[string]bool{}, map[media.Codec]int{}, map[media.Codec]int{}
	for _, c := range cameras {
		sites[c.Site], hosts[c.Host] = true, true
		codecs[c.Codec]++
		audio[c.Audio]++
		if c.SubURL == "" || c.Password == "" || strings.Contains(c.MainURL, c.Password) {
			t.Errorf("%s: incomplete, or the password is in the address: %+v", c.ID, c)
		}
		if town.byID[c.ID].sub.video.format.Codec != media.H264 {
			t.Errorf("%s: sub stream is not H.264", c.ID)
		}
	}
	if len(sites) < 2 || len(hosts) != len(cameras) {
		t.Errorf("%d sites, %d addresses for %d cameras", len(sites), len(hosts), len(cameras))
	}
	if codecs[media.H264] < 5 || codecs[media.H265] < 1 || audio[media.AAC] < 1 || audio[media.PCMU]+audio[media.PCMA] < 1 {
		t.Errorf("codecs %v, audio %v: want H.264, H.265, AAC and G.711", codecs, audio)
	}
}

func TestOwnAddresses(t *testing.T) {
	t.Parallel()
	town := startTown(t, Options{Cameras: 2, Addr: "127.0.0.1:0"})
	ln, err := net.Listen("tcp", "127.0.10.1:0")
	if err != nil {
		t.Skipf("one loopback address only: %v", err)
	}
	ln.Close()
	if a, b := town.Cameras()[0].Host, town.Cameras()[1].Host; a == b {
		t.Errorf("both cameras at %s", a)
	}
}

func TestLogins(t *testing.T) {
	t.Parallel()
	town := startTownAt(t, Options{}, 8)
	for _, kind := range []loginKind{digestMD5, digestSHA256, basicAndDigest} {
		info := find(t, town, func(c *camera) bool { return slices.Equal(c.login.Challenges, kind.challenges()) })
		t.Run(fmt.Sprint(info.ID), func(t *testing.T) {
			c := dial(t, info, info.SubURL)
			c.play(false)
			c.next(0)

			wrong := info
			wrong.Password = "guess"
			c = dial(t, wrong, info.SubURL)
			c.auth = c.try("DESCRIBE", c.url).get("WWW-Authenticate")
			if a := c.try("DESCRIBE", c.url); a.status != 401 {
				t.Errorf("wrong password: status %d, want 401", a.status)
			}
			if kind == basicAndDigest {
				c = dial(t, info, info.SubURL)
				c.auth = "Basic"
				c.do("DESCRIBE", c.url)
			}
		})
	}
}

// TestLoopsJoin plays over the end of a loop: packets count on, timestamps
// keep their distance.
func TestLoopsJoin(t *testing.T) {
	t.Parallel()
	const loop = 16 * time.Second // of the first scene
	town := startTown(t, Options{Cameras: 1, Epoch: time.Now().Add(800*time.Millisecond - loop)})
	info := first(t, town)
	if info.Loop != loop {
		t.Fatalf("the first scene lasts %v, want %v", info.Loop, loop)
	}
	c := dial(t, info, info.MainURL)
	start := c.play(true)
	frame, lastSeq, lastTime, keys := 0, uint16(0), uint32(0), 0
	for range 4000 {
		p := c.next(0)
		if lastSeq == 0 && !strings.Contains(start.get("RTP-Info"), fmt.Sprintf("seq=%d;rtptime=%d", p.seq(), p.time())) {
			t.Errorf("first packet %d at %d, announced %q", p.seq(), p.time(), start.get("RTP-Info"))
		}
		if lastSeq != 0 && p.seq() != lastSeq+1 {
			t.Fatalf("packet %d after %d", p.seq(), lastSeq)
		}
		if frame > 0 && p.time() != lastTime && p.time()-lastTime != 6000 {
			t.Fatalf("timestamp %d after %d: want 6000 between frames", p.time(), lastTime)
		}
		if p.kind264() == 7 {
			keys++
		}
		lastSeq, lastTime = p.seq(), p.time()
		if p.marker() {
			frame++
		}
		if frame == 10 {
			break
		}
	}
	if frame < 10 || keys == 0 {
		t.Errorf("%d frames, %d keyframes", frame, keys)
	}
}

func TestAudioAndReports(t *testing.T) {
	t.Parallel()
	town := startTown(t, Options{})
	for _, codec := range []media.Codec{media.AAC, media.PCMU} {
		info := find(t, town, func(c *camera) bool { return c.info.Audio == codec })
		c := dial(t, info, info.MainURL)
		c.play(true)
		step := map[media.Codec]uint32{media.AAC: 1024, media.PCMU: 160}[codec]
		if sr := c.next(3); sr.data[1] != 200 {
			t.Errorf("%v: RTCP packet type %d, want a sender report before anything else", codec, sr.data[1])
		}
		last := c.next(2)
		for range 5 {
			p := c.next(2)
			if p.time()-last.time() != step || p.seq() != last.seq()+1 {
				t.Errorf("%v: %d at %d after %d at %d", codec, p.seq(), p.time(), last.seq(), last.time())
			}
			last = p
		}
	}
}

func TestUDP(t *testing.T) {
	t.Parallel()
	town := startTownAt(t, Options{Cameras: 1}, 8)
	info := first(t, town)
	sock, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer sock.Close()
	port := sock.LocalAddr().(*net.UDPAddr).Port
	c := dial(t, info, info.SubURL)
	c.do("DESCRIBE", c.url)
	a := c.do("SETUP", c.url+"/trackID=0", fmt.Sprintf("Transport: RTP/AVP;unicast;client_port=%d-%d", port, port+1))
	if !strings.Contains(a.get("Transport"), "server_port=") {
		t.Errorf("Transport %q", a.get("Transport"))
	}
	c.do("PLAY", c.url)
	buf := make([]byte, 2000)
	_ = sock.SetReadDeadline(time.Now().Add(5 * time.Second))
	for range 40 {
		if n, err := sock.Read(buf); err != nil || n < 13 || buf[0] != 0x80 {
			t.Fatalf("packet of %d bytes, %v", n, err)
		}
	}
	v, _ := town.Viewers(info.ID)
	if len(v) != 1 || v[0].Transport != "udp" || v[0].Frames == 0 {
		t.Errorf("viewers %+v", v)
	}
	c.do("TEARDOWN", c.url)
	if v, _ := town.Viewers(info.ID); len(v) != 0 {
		t.Errorf("viewers after TEARDOWN: %+v", v)
	}
}

func TestSecureAndTunnel(t *testing.T) {
	t.Parallel()
	town := startTownAt(t, Options{}, 8)
	info := find(t, town, func(c *camera) bool { return c.cert != nil })
	c := dial(t, info, info.SecureURL)
	c.play(false)
	c.next(0)

	info = find(t, town, func(c *camera) bool { return c.httpTunnel })
	get, post := dial(t, info, info.SubURL), dial(t, info, info.SubURL)
	fmt.Fprintf(get.c, "GET /sub HTTP/1.0\r\nx-sessioncookie: abc\r\nAccept: %s\r\n\r\n", tunnelType)
	if line, err := get.r.ReadString('\n'); err != nil || !strings.Contains(line, "200") {
		t.Fatalf("GET answered %q, %v", line, err)
	}
	for line := ""; line != "\r\n"; {
		line, _ = get.r.ReadString('\n')
	}
	fmt.Fprintf(post.c, "POST /sub HTTP/1.0\r\nx-sessioncookie: abc\r\nContent-Type: %s\r\nContent-Length: 32767\r\n\r\n", tunnelType)
	get.c, get.tunnel = post.c, true
	get.play(false)
	get.next(0)
	if v, _ := town.Viewers(info.ID); len(v) != 1 || v[0].Transport != "http" {
		t.Errorf("viewers %+v", v)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	town := startTown(t, Options{Cameras: 1})
	info := first(t, town)
	for _, tt := range []struct {
		name, method, path, header string
		want                       int
	}{
		{"no such stream", "DESCRIBE", "/third", "", 404},
		{"no such track", "SETUP", "/main/trackID=7", "Transport: RTP/AVP/TCP;interleaved=0-1", 404},
		{"multicast", "SETUP", "/main/trackID=0", "Transport: RTP/AVP;multicast", 461},
		{"play before setup", "PLAY", "/main", "", 455},
		{"foreign session", "PLAY", "/main", "Session: nobody", 454},
		{"unknown method", "RECORD", "/main", "", 405},
	} {
		c := dial(t, info, "rtsp://"+info.Host)
		c.do("DESCRIBE", c.url+"/main")
		if a := c.try(tt.method, c.url+tt.path, tt.header); a.status != tt.want {
			t.Errorf("%s: status %d (%v), want %d", tt.name, a.status, a.problem, tt.want)
		}
	}
}

func TestKeepalive(t *testing.T) {
	t.Parallel()
	town := startTown(t, Options{Cameras: 1, Timeout: 400 * time.Millisecond})
	info := first(t, town)
	kept, left := dial(t, info, info.SubURL), dial(t, info, info.SubURL)
	kept.play(false)
	left.play(false)
	for range 6 {
		time.Sleep(150 * time.Millisecond)
		kept.do("GET_PARAMETER", kept.url)
	}
	kept.packets = nil
	kept.next(0)
	if _, err := io.Copy(io.Discard, left.r); err != nil {
		t.Errorf("the session nobody kept alive ended with %v, want end of file", err)
	}
}

func TestControlAPI(t *testing.T) {
	t.Parallel()
	town := startTown(t, Options{Cameras: 2, Control: "127.0.0.1:0"})
	id := town.Cameras()[1].ID
	call := func(method, path, body string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), method, town.ControlURL()+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(b)
	}
	var all []cameraStatus
	_, body := call("GET", "/cameras", "")
	if err := json.Unmarshal([]byte(body), &all); err != nil || len(all) != 2 || all[1].Password == "" {
		t.Fatalf("GET /cameras: %v, %s", err, body)
	}
	for _, tt := range []struct {
		method, path, body string
		want               int
	}{
		{"POST", "/cameras/" + id + "/fault", `{"kind":"stall","for":"1m"}`, 204},
		{"POST", "/cameras/" + id + "/fault", `{"kind":"loss","amount":20}`, 204},
		{"POST", "/cameras/" + id + "/fault", `{"kind":"loss","amount":200}`, 400},
		{"POST", "/cameras/" + id + "/fault", `{"kind":"gremlins"}`, 400},
		{"POST", "/cameras/" + id + "/fault", `{"kind":"stall","fro":"1s"}`, 400},
		{"POST", "/cameras/nobody/fault", `{"kind":"stall"}`, 404},
		{"DELETE", "/cameras/" + id + "/fault?kind=stall", "", 204},
	} {
		if got, body := call(tt.method, tt.path, tt.body); got != tt.want {
			t.Errorf("%s %s %s = %d %s, want %d", tt.method, tt.path, tt.body, got, body, tt.want)
		}
	}
	_, body = call("GET", "/cameras/"+id, "")
	if strings.Contains(body, `"stall"`) || !strings.Contains(body, `"loss"`) {
		t.Errorf("faults after clearing one: %s", body)
	}
	if _, err := New(Options{Control: "0.0.0.0:80"}); err == nil {
		t.Error("a control API on every address was allowed")
	}
}

// TestFFmpegPlays lets a stranger judge: every frame decodes without a complaint.
func TestFFmpegPlays(t *testing.T) {
	t.Parallel()
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("ffmpeg is not installed")
	}
	town := startTown(t, Options{})
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	var players sync.WaitGroup
	for _, tt := range []struct {
		name, transport string
		ok              func(*camera) bool
	}{
		{"H.264 and AAC over TCP", "tcp", func(c *camera) bool { return c.info.Audio == media.AAC }},
		{"H.265 over UDP", "udp", func(c *camera) bool { return c.info.Codec == media.H265 }},
		{"G.711 through a tunnel", "http", func(c *camera) bool { return c.info.Audio == media.PCMU && c.httpTunnel }},
	} {
		info := find(t, town, tt.ok)
		url := strings.Replace(info.MainURL, "rtsp://", "rtsp://"+info.Username+":"+info.Password+"@", 1)
		// All at once: ffmpeg mostly waits, however few processors there are.
		players.Go(func() {
			out, err := exec.CommandContext(ctx, ffmpeg, "-v", "warning", "-rtsp_transport", tt.transport, "-i", url,
				"-frames:v", "15", "-f", "null", "-").CombinedOutput()
			if err != nil || len(bytes.TrimSpace(out)) > 0 {
				t.Errorf("%s: ffmpeg: %v\n%s", tt.name, err, out)
			}
		})
	}
	players.Wait()
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte("DESCRIBE rtsp://h/main RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 3\r\n\r\nabcOPTIONS * RTSP/1.0\r\n\r\n"))
	f.Add([]byte("SETUP rtsp://h/main/trackID=0 RTSP/1.0\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\nAuthorization: Digest a=\"b\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bufio.NewReaderSize(bytes.NewReader(data), 8<<10)
		for {
			q, err := readRequest(r)
			if err != nil {
				break
			}
			urlPath(q.url)
			faces.Login{Challenges: digestMD5.challenges()}.Allows(q.method, q.header["authorization"], "")
		}
		s := &base64Stream{r: bufio.NewReader(bytes.NewReader(data))}
		_, _ = io.Copy(io.Discard, s)
	})
}

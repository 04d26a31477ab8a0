package rtsp

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/watchward/watchward/internal/camera/rtsp/rtsptest"
)

const plainSDP = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\na=control:*\r\n" +
	"m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:trackID=0\r\n" +
	"m=audio 0 RTP/AVP 8\r\na=control:trackID=1\r\n"

// play does everything up to PLAY, with audio where the camera has it.
func play(t *testing.T, c Config, h Handler) (*Client, error) {
	t.Helper()
	cl, err := Connect(t.Context(), c)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { cl.Close(false) })
	d, err := cl.Describe(t.Context())
	if err != nil {
		return cl, err
	}
	video, audio := d.Tracks()
	if video == nil {
		return cl, errors.New("no video")
	}
	if err := cl.Setup(t.Context(), video.Media); err != nil {
		return cl, err
	}
	if audio != nil {
		if err := cl.Setup(t.Context(), audio.Media); err != nil {
			return cl, err
		}
	}
	return cl, cl.Play(t.Context(), h)
}

// pollUntil polls until ok, for two seconds at most.
func pollUntil(t *testing.T, c *Client, ok func() bool) error {
	t.Helper()
	for start := time.Now(); time.Since(start) < 2*time.Second; time.Sleep(2 * time.Millisecond) {
		if err := c.Poll(); err != nil {
			return err
		}
		if ok() {
			return nil
		}
	}
	return errors.New("did not happen within 2 s")
}

// digestOK checks an Authorization header as a server does.
func digestOK(header, method, user, password string) bool {
	c := Challenge{}
	var uri, response, nc, cnonce, algorithm string
	for part := range strings.SplitSeq(strings.TrimPrefix(header, "Digest "), ", ") {
		name, value, _ := strings.Cut(part, "=")
		value = strings.Trim(value, `"`)
		switch name {
		case "uri":
			uri = value
		case "response":
			response = value
		case "nc":
			nc = value
		case "cnonce":
			cnonce = value
		case "realm":
			c.Realm = value
		case "nonce":
			c.Nonce = value
		case "algorithm":
			algorithm = value
		}
	}
	h := func(s string) string {
		if algorithm == "SHA-256" {
			sum := sha256.Sum256([]byte(s))
			return hex.EncodeToString(sum[:])
		}
		sum := md5.Sum([]byte(s))
		return hex.EncodeToString(sum[:])
	}
	a1, a2 := h(user+":"+c.Realm+":"+password), h(method+":"+uri)
	want := h(a1 + ":" + c.Nonce + ":" + a2)
	if nc != "" {
		want = h(a1 + ":" + c.Nonce + ":" + nc + ":" + cnonce + ":auth:" + a2)
	}
	return response == want && !strings.Contains(uri, "@")
}

func TestLogin(t *testing.T) {
	const md5Offer = `WWW-Authenticate: Digest realm="cam", nonce="n1"`
	const shaOffer = `WWW-Authenticate: Digest realm="cam", nonce="n1", qop="auth", algorithm=SHA-256`
	const basicOffer = `WWW-Authenticate: Basic realm="cam"`
	for _, tt := range []struct {
		name, password string
		offers         []string
		want           string // how the accepted Authorization begins, or "" for refusal
		most           int    // DESCRIBEs with a login at most
	}{
		{"digest MD5", "secret", []string{md5Offer}, "Digest", 1},
		{"digest SHA-256 with qop", "secret", []string{shaOffer}, "Digest", 1},
		{"strongest of several headers", "secret", []string{basicOffer, md5Offer, shaOffer}, "Digest", 1},
		{"several in one line", "secret", []string{`WWW-Authenticate: Basic realm="cam, of course", Digest realm="cam", nonce="n1"`}, "Digest", 1},
		{"basic where nothing else is offered", "secret", []string{basicOffer}, "Basic", 1},
		{"wrong password, digest", "wrong", []string{md5Offer}, "", 1},
		// Basic after a refused digest would hand the password to whoever asks.
		{"wrong password, no step down to basic", "wrong", []string{md5Offer, basicOffer}, "", 1},
		{"wrong password, basic", "wrong", []string{basicOffer}, "", 1},
		{"unknown scheme", "secret", []string{`WWW-Authenticate: Hawk id="x"`}, "", 0},
		{"1,000 realms", "secret", []string{"WWW-Authenticate: " + strings.Repeat(`Digest realm="r", nonce="n", `, 250)}, "Digest", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tries := 0
			cam := rtsptest.Camera{SDP: plainSDP}
			cam.Answer = func(c *rtsptest.Conn, r *rtsptest.Request) bool {
				a := r.Header.Get("Authorization")
				if r.Method == "DESCRIBE" && a != "" {
					tries++
				}
				if r.Method == "OPTIONS" || digestOK(a, r.Method, "admin", "secret") || a == "Basic YWRtaW46c2VjcmV0" {
					return false
				}
				c.Reply(r, "401 Unauthorized", "", tt.offers...)
				return true
			}
			s := rtsptest.Serve(t, cam.Script)
			_, err := play(t, Config{URL: s.URL("/x"), Username: "admin", Password: tt.password, Patience: 2 * time.Second}, &counting{})
			if tt.want == "" {
				if !errors.Is(err, ErrLogin) {
					t.Errorf("err = %v, want ErrLogin", err)
				}
				if err != nil && strings.Contains(err.Error(), tt.password) && tt.password != "wrong" {
					t.Errorf("err tells the password: %v", err)
				}
			} else if err != nil {
				t.Error(err)
			}
			if tries > tt.most {
				t.Errorf("%d logins tried, want at most %d: cameras lock people out", tries, tt.most)
			}
			for _, r := range s.Requests() {
				if a := r.Header.Get("Authorization"); a != "" && !strings.HasPrefix(a, tt.want) {
					t.Errorf("%s with %q", r.Method, a[:10])
				}
			}
		})
	}
}

func TestStaleNonce(t *testing.T) {
	nonce := 0
	cam := rtsptest.Camera{SDP: plainSDP}
	cam.Answer = func(c *rtsptest.Conn, r *rtsptest.Request) bool {
		if strings.Contains(r.Header.Get("Authorization"), fmt.Sprintf(`nonce="n%d"`, nonce)) {
			nonce++ // good for one request only
			return false
		}
		c.Reply(r, "401 Unauthorized", "", fmt.Sprintf(`WWW-Authenticate: Digest realm="cam", nonce="n%d", stale=true`, nonce))
		return true
	}
	s := rtsptest.Serve(t, cam.Script)
	if _, err := play(t, Config{URL: s.URL("/x"), Username: "admin", Password: "p", Patience: 2 * time.Second}, &counting{}); err != nil {
		t.Error(err)
	}
}

func TestChannelsOfTheServersChoice(t *testing.T) {
	cam := rtsptest.Camera{SDP: plainSDP}
	cam.Answer = func(c *rtsptest.Conn, r *rtsptest.Request) bool {
		if r.Method != "SETUP" {
			return false
		}
		channels := "4-5"
		if strings.HasSuffix(r.URI, "1") {
			channels = "0-1"
		}
		c.Reply(r, "200 OK", "", "Transport: RTP/AVP/TCP;unicast;interleaved="+channels, "Session: 1")
		return true
	}
	cam.Play = func(c *rtsptest.Conn) {
		for _, ch := range []byte{4, 0, 5, 255, 0} {
			_, _ = c.Write(rtsptest.Frame(ch, rtsptest.Packet(96, true, 1, 1, 1, []byte("x"))))
		}
	}
	s := rtsptest.Serve(t, cam.Script)
	var h counting
	c, err := play(t, Config{URL: s.URL("/x"), Patience: 2 * time.Second}, &h)
	if err != nil {
		t.Fatal(err)
	}
	if err := pollUntil(t, c, func() bool { return h.rtp[1] == 2 }); err != nil {
		t.Error(err)
	}
	if h.rtp != [2]int{1, 2} || h.rtcp != [2]int{1, 0} {
		t.Errorf("RTP %v, RTCP %v", h.rtp, h.rtcp)
	}
}

func TestSessionForEachTrack(t *testing.T) {
	cam := rtsptest.Camera{SDP: plainSDP}
	played := map[string]string{}
	cam.Answer = func(c *rtsptest.Conn, r *rtsptest.Request) bool {
		track := r.URI[len(r.URI)-1:]
		switch r.Method {
		case "SETUP":
			c.Reply(r, "200 OK", "", "Transport: "+r.Header.Get("Transport"), "Session: s"+track+";timeout=60")
		case "PLAY":
			if session := r.Header.Get("Session"); session != "s"+track {
				c.Reply(r, "454 Session Not Found", "")
				return true
			}
			played[track] = r.Header.Get("Session")
			c.Reply(r, "200 OK", "")
		default:
			return false
		}
		return true
	}
	s := rtsptest.Serve(t, cam.Script)
	if _, err := play(t, Config{URL: s.URL("/x"), Patience: 2 * time.Second}, &counting{}); err != nil {
		t.Fatal(err)
	}
	if played["0"] != "s0" || played["1"] != "s1" {
		t.Errorf("played %v", played)
	}
}

func TestAddressesStayOnTheCamera(t *testing.T) {
	for _, tt := range []struct {
		name, base, control string
		want                string // the path that SETUP asks for
	}{
		{"no Content-Base", "", "trackID=0", "/x/trackID=0"},
		{"Content-Base on another host", "rtsp://10.0.0.1:8000/y/", "trackID=0", "/y/trackID=0"},
		{"control on another camera", "", "rtsp://192.168.1.99/z/track1", "/z/track1"},
		{"control is a file", "", "file:///etc/passwd", "/x"},
		{"control is our own web page", "", "http://127.0.0.1:80/admin", "/x"},
		{"Content-Base is a web page", "http://127.0.0.1/", "trackID=0", "/x/trackID=0"},
		{"Content-Base without scheme", "10.0.0.1:554/stream0/", "trackID=1", "/stream0/trackID=1"},
		{"control of nothing", "", "*", "/x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sdp := "v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:" + tt.control + "\r\n"
			cam := rtsptest.Camera{}
			cam.Answer = func(c *rtsptest.Conn, r *rtsptest.Request) bool {
				if r.Method != "DESCRIBE" {
					return false
				}
				lines := []string{"Content-Type: application/sdp"}
				if tt.base != "" {
					lines = append(lines, "Content-Base: "+tt.base)
				}
				c.Reply(r, "200 OK", sdp, lines...)
				return true
			}
			s := rtsptest.Serve(t, cam.Script)
			if _, err := play(t, Config{URL: s.URL("/x"), Patience: 2 * time.Second}, &counting{}); err != nil {
				t.Fatal(err)
			}
			for _, r := range s.Requests() {
				if !strings.HasPrefix(r.URI, "rtsp://127.0.0.1") {
					t.Errorf("%s %s leaves the camera", r.Method, r.URI)
				}
				if a, _ := parseAddress(r.URI); r.Method == "SETUP" && a.rest != tt.want {
					t.Errorf("SETUP %q, want %q", a.rest, tt.want)
				}
			}
		})
	}
}

func TestRedirect(t *testing.T) {
	other := rtsptest.Serve(t, (&rtsptest.Camera{SDP: plainSDP}).Script)
	for _, tt := range []struct {
		name, to string
		ok, away bool
	}{
		{"another path", "rtsp://SELF/new", true, false},
		{"another host keeps the path only", "rtsp://10.255.255.1/new", true, false},
		{"another port of the same host", "rtsp://OTHER/new", true, true},
		{"in a circle", "rtsp://SELF/x", false, false},
		{"to a file", "file:///etc/passwd", false, false},
		{"to nothing", "", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cam := rtsptest.Camera{SDP: plainSDP}
			var s *rtsptest.Server
			cam.Answer = func(c *rtsptest.Conn, r *rtsptest.Request) bool {
				if r.Method != "DESCRIBE" || strings.HasSuffix(r.URI, "/new") {
					return false
				}
				to := strings.NewReplacer("SELF", s.Addr, "OTHER", other.Addr).Replace(tt.to)
				c.Reply(r, "302 Moved", "", "Location: "+to)
				return true
			}
			s = rtsptest.Serve(t, cam.Script)
			before := other.Connections()
			_, err := play(t, Config{URL: s.URL("/x"), Patience: 2 * time.Second}, &counting{})
			if (err == nil) != tt.ok {
				t.Errorf("err = %v", err)
			}
			if (other.Connections() > before) != tt.away {
				t.Errorf("%d connections to the other port", other.Connections()-before)
			}
		})
	}
}

// TestHostile plays cameras that want to crash, stall or fill us. Each costs its
// own session, soon, and little memory.
func TestHostile(t *testing.T) {
	flood := func(c *rtsptest.Conn, b []byte, n int) {
		for range n {
			if _, err := c.Write(b); err != nil {
				return
			}
		}
	}
	answer := func(text string) rtsptest.Script {
		return func(c *rtsptest.Conn) {
			if _, err := c.Next(); err != nil {
				return
			}
			_, _ = c.Write([]byte(text))
			_, _ = c.Next() // wait for the client to go
		}
	}
	camera := func(sdp string, after func(*rtsptest.Conn)) rtsptest.Script {
		cam := rtsptest.Camera{SDP: sdp, Play: after}
		return cam.Script
	}
	for _, tt := range []struct {
		name   string
		script rtsptest.Script
		ok     bool // the session holds
	}{
		{"endless header line", func(c *rtsptest.Conn) {
			_, _ = c.Next()
			_, _ = c.Write([]byte("RTSP/1.0 200 OK\r\nX: "))
			flood(c, make([]byte, 64<<10), 1000)
		}, false},
		{"endless status line", func(c *rtsptest.Conn) { _, _ = c.Next(); flood(c, []byte("RTSP/1.0 200 OKOKOKOK"), 1<<16) }, false},
		{"10,000 headers", answer("RTSP/1.0 200 OK\r\n" + strings.Repeat("A: b\r\n", 10000) + "\r\n"), false},
		{"negative length", answer("RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: -1\r\n\r\n"), false},
		{"length 2^63", answer("RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 9223372036854775808\r\n\r\n"), false},
		{"body never sent", answer("RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 1000\r\n\r\n"), false},
		{"silence", func(c *rtsptest.Conn) { _, _ = c.Next(); _, _ = c.Next() }, false},
		{"one byte now and then", func(c *rtsptest.Conn) {
			for range 1000 {
				if _, err := c.Write([]byte("R")); err != nil {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
		}, false},
		{"status of letters", answer("RTSP/1.0 OK\r\nCSeq: 1\r\n\r\n"), false},
		{"rubbish for ever", func(c *rtsptest.Conn) { flood(c, make([]byte, 1<<16), 1<<12) }, false},
		{"frames before SETUP", func(c *rtsptest.Conn) {
			flood(c, rtsptest.Frame(0, make([]byte, 65535)), 20)
			camera(plainSDP, nil)(c)
		}, true},
		{"frames on channel 255", camera(plainSDP, func(c *rtsptest.Conn) { flood(c, rtsptest.Frame(255, make([]byte, 65535)), 20) }), true},
		{"empty frames", camera(plainSDP, func(c *rtsptest.Conn) { flood(c, rtsptest.Frame(0, nil), 10000) }), true},
		{"session id of a megabyte", func(c *rtsptest.Conn) {
			cam := rtsptest.Camera{SDP: plainSDP, Answer: func(c *rtsptest.Conn, r *rtsptest.Request) bool {
				if r.Method == "SETUP" {
					c.Reply(r, "200 OK", "", "Session: "+strings.Repeat("s", 1<<20))
				}
				return r.Method == "SETUP"
			}}
			cam.Script(c)
		}, false},
		{"answers nobody asked for", func(c *rtsptest.Conn) { flood(c, []byte("RTSP/1.0 200 OK\r\nCSeq: 77\r\n\r\n"), 10000) }, false},
		{"requests without end", func(c *rtsptest.Conn) { flood(c, []byte("OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"), 10000) }, false},
		{"10,000 medias", camera("v=0\r\n"+strings.Repeat("m=a\r\n", 10000), nil), false},
		{"no media", camera("v=0\r\n", nil), false},
		{"parameter sets of 100 kB", camera("m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/0\r\na=fmtp:96 sprop-parameter-sets="+strings.Repeat("Z", 100000)+"\r\n", nil), true},
		{"bad base64, empty fmtp", camera("m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/-1\r\na=fmtp:96\r\na=fmtp:96 sprop-parameter-sets=%%%,!!!\r\n", nil), true},
		{"hang-up", func(c *rtsptest.Conn) {}, false},
		{"401 for ever", func(c *rtsptest.Conn) {
			n := 0
			cam := rtsptest.Camera{Answer: func(c *rtsptest.Conn, r *rtsptest.Request) bool {
				n++
				c.Reply(r, "401 Unauthorized", "", fmt.Sprintf(`WWW-Authenticate: Digest realm="a", nonce="%d", stale=true`, n))
				return true
			}}
			cam.Script(c)
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := rtsptest.Serve(t, tt.script)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			var h counting
			c, err := play(t, Config{URL: s.URL("/x"), Username: "u", Password: "p", Patience: 300 * time.Millisecond}, &h)
			for end := time.Now().Add(100 * time.Millisecond); err == nil && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
				err = c.Poll()
			}
			if (err == nil) != tt.ok {
				t.Errorf("err = %v", err)
			}
			if err != nil && strings.ContainsAny(err.Error(), "\n\r\x1b") {
				t.Errorf("error would forge a log line: %q", err)
			}
			if d := time.Since(start); d > 3*time.Second {
				t.Errorf("took %s", d)
			}
			runtime.ReadMemStats(&after)
			if c != nil && cap(c.stream.rest) > 128<<10 {
				t.Errorf("holds %d bytes", cap(c.stream.rest))
			}
		})
	}
}

func TestTransportRefused(t *testing.T) {
	cam := rtsptest.Camera{SDP: plainSDP}
	cam.Answer = func(c *rtsptest.Conn, r *rtsptest.Request) bool {
		if r.Method == "SETUP" {
			c.Reply(r, "461 Unsupported Transport", "")
		}
		return r.Method == "SETUP"
	}
	s := rtsptest.Serve(t, cam.Script)
	if _, err := play(t, Config{URL: s.URL("/x"), Patience: time.Second}, &counting{}); !errors.Is(err, ErrTransport) {
		t.Errorf("err = %v, want ErrTransport", err)
	}
}

func TestRubbishBetweenPackets(t *testing.T) {
	cam := rtsptest.Camera{SDP: plainSDP}
	cam.Play = func(c *rtsptest.Conn) {
		p := rtsptest.Frame(0, rtsptest.Packet(96, true, 1, 1, 1, []byte("xyz")))
		for range 10 {
			_, _ = c.Write(p)
			_, _ = c.Write([]byte("\r\n\x01$\x09rubb$ish"))
		}
		_, _ = c.Write(p)
	}
	s := rtsptest.Serve(t, cam.Script)
	var h counting
	c, err := play(t, Config{URL: s.URL("/x"), Patience: 2 * time.Second}, &h)
	if err != nil {
		t.Fatal(err)
	}
	if err := pollUntil(t, c, func() bool { return h.rtp[0] >= 11 }); err != nil {
		t.Errorf("%v; %d packets", err, h.rtp[0])
	}
}

func TestOrder(t *testing.T) {
	packet := func(seq uint16) []byte { return rtsptest.Packet(96, false, seq, 1, 1, nil) }
	for _, tt := range []struct {
		name     string
		in, want []uint16
	}{
		{"in order", []uint16{1, 2, 3}, []uint16{1, 2, 3}},
		{"two swapped", []uint16{1, 3, 2, 4}, []uint16{1, 2, 3, 4}},
		{"across the wrap", []uint16{65534, 0, 65535, 1}, []uint16{65534, 65535, 0, 1}},
		{"duplicates", []uint16{1, 2, 2, 1, 3}, []uint16{1, 2, 3}},
		{"duplicates of what waits", []uint16{1, 3, 3, 2}, []uint16{1, 2, 3}},
		{"one lost", []uint16{1, 3, 4}, []uint16{1, 3, 4}},
		{"numbering anew", []uint16{1, 2, 30000, 30001}, []uint16{1, 2, 30000, 30001}},
	} {
		var o order
		var got []uint16
		out := func(p []byte) { got = append(got, uint16(p[2])<<8|uint16(p[3])) }
		now := time.Now()
		for _, seq := range tt.in {
			o.push(packet(seq), now, out)
		}
		o.expire(now.Add(time.Second), out)
		if fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

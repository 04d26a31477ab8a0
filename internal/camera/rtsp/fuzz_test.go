package rtsp

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// seeds adds the collected quirks to a fuzz target.
func seeds(f *testing.F) {
	f.Add([]byte("RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 2\r\n\r\nhi"))
	f.Add([]byte(`Digest realm="a", nonce="b", qop="auth", Basic realm="c\""`))
	root := os.Getenv("WATCHWARD_SHARED")
	if root == "" {
		root = filepath.Join("..", "..", "..", "..", "shared")
	}
	for _, pattern := range []string{"*.rtsp", "*.sdp", "servers/*.rtsp"} {
		files, _ := filepath.Glob(filepath.Join(root, "rtsp-quirks", pattern))
		for _, name := range files {
			if b, err := os.ReadFile(name); err == nil {
				f.Add(b)
			}
		}
	}
}

func FuzzMessage(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, _, err := ParseMessage(b)
		if err != nil {
			return
		}
		if len(m.Header) > maxHeaders || len(m.Body) > maxBody {
			t.Fatal("over the limit")
		}
		// In pieces of any size the meaning is the same.
		a := newAssembler()
		for i := 0; i < len(b); {
			used, done, err := a.feed(b[i : i+1])
			if err != nil || done {
				break
			}
			i += used
		}
		if a.msg.Code != m.Code || len(a.msg.Header) != len(m.Header) || string(a.msg.Body) != string(m.Body) {
			t.Fatalf("%+v in pieces, %+v in one", a.msg, m)
		}
	})
}

func FuzzDescription(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := ParseDescription(b)
		if err != nil {
			return
		}
		base, _ := parseAddress("rtsp://cam/base")
		for _, m := range d.Medias {
			if a := base.join(m.Control); a.host != "cam" {
				t.Fatalf("control leads to %q", a.host)
			}
		}
		for range 2 {
			d.Tracks()
		}
	})
}

func FuzzHeaders(f *testing.F) {
	for _, s := range []string{
		"RTP/AVP/TCP;unicast;interleaved=4-5;ssrc=     D93FF", "708345999;timeout=60",
		"url=rtsp://a/b?c=d&e;seq=1;rtptime=2, url=x;", `Digest realm="a,\"b", nonce="c", stale="FALSE",Basic realm="x"`,
		"rtsp://user:pass@[::1]:554/x?y", "192.168.1.10:554/stream0/",
	} {
		f.Add(s)
	}
	base, _ := parseAddress("rtsp://cam:554/base?x")
	f.Fuzz(func(t *testing.T, s string) {
		ParseTransport(s)
		if h, ok := ParseSession(s); ok && len(h.ID) > maxSession {
			t.Fatal("session id over the limit")
		}
		ParseRTPInfo(s)
		for _, c := range ParseChallenges([]string{s, s}) {
			l := login{user: "u", password: "p", use: &c}
			for _, b := range []byte(l.authorization("GET", "rtsp://cam/")) {
				if b == '\r' || b == '\n' {
					t.Fatal("a challenge breaks our header")
				}
			}
		}
		if a, ok := base.at(s); ok && a.host != "cam" {
			t.Fatalf("address leads to %q", a.host)
		}
		for _, b := range []byte(base.join(s).String()) {
			if b <= ' ' || b == 0x7f {
				t.Fatal("an address breaks our request line")
			}
		}
	})
}

func FuzzStream(f *testing.F) {
	seeds(f)
	f.Add([]byte("$\x00\x00\x04abcd$\x01\x00\x01xRTSP/1.0 200 OK\r\n\r\n$\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		frames := func(sizes []int) (n int, err error) {
			var h counting
			s := &stream{channels: map[byte]int{0: 0, 1: 1}, handler: &h, messages: func(*Message) error { return nil }}
			var rest []byte
			for i, k := 0, 0; i < len(b); k++ {
				end := min(len(b), i+sizes[k%len(sizes)])
				rest = append(rest, b[i:end]...)
				used, err := s.parse(rest, time.Time{})
				if err != nil {
					return h.rtp[0], err
				}
				rest = rest[used:]
				i = end
			}
			return h.rtp[0], nil
		}
		whole, err1 := frames([]int{len(b) + 1})
		pieces, err2 := frames([]int{7, 1, 100})
		if (err1 == nil) != (err2 == nil) {
			t.Fatalf("in one %v, in pieces %v", err1, err2)
		}
		_ = whole + pieces
		var o order
		for i := 0; i+12 <= len(b) && i < 2000; i++ {
			p := append([]byte(nil), b[i:i+12]...)
			o.push(p, time.Unix(int64(i), 0), func(p []byte) { binary.BigEndian.Uint16(p) })
			if o.early < 0 || o.early > orderSize {
				t.Fatal("more packets wait than there are places")
			}
		}
	})
}

package discover

import (
	"bufio"
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchward/watchward/internal/estate"
)

func TestParseRanges(t *testing.T) {
	for _, tt := range []struct {
		text, first, last string
		n                 int
		err               string
	}{
		{"10.0.0.0/24", "10.0.0.1", "10.0.0.254", 254, ""},
		{"10.0.0.7/24", "10.0.0.1", "10.0.0.254", 254, ""},
		{"10.0.0.4/31", "10.0.0.4", "10.0.0.5", 2, ""},
		{"10.0.0.4/32", "10.0.0.4", "10.0.0.4", 1, ""},
		{"10.0.0.1 - 10.0.1.2", "10.0.0.1", "10.0.1.2", 258, ""},
		{"10.0.0.5-99", "10.0.0.5", "10.0.0.99", 95, ""},
		{"2001:db8::5", "2001:db8::5", "2001:db8::5", 1, ""},
		{"2001:db8::/120", "2001:db8::", "2001:db8::ff", 256, ""},
		{"fe80::1%eth0", "fe80::1%eth0", "fe80::1%eth0", 1, ""},
		{"10.0.0.0/8", "", "", 0, "more than 65536"},
		{"0.0.0.0/0", "", "", 0, "more than 65536"},
		{"2001:db8::/64", "", "", 0, "more than 65536"},
		{"::/0", "", "", 0, "more than 65536"},
		{"::-fe00::", "", "", 0, "more than 65536"},
		{"::", "", "", 0, "no devices live there"},
		{"10.0.0.9-10.0.0.1", "", "", 0, "ends before it begins"},
		{"10.0.0.1-2001:db8::1", "", "", 0, "ends before it begins"},
		{"239.255.255.250", "", "", 0, "no devices live there"},
		{"camera.example", "", "", 0, "neither an address nor a range"},
		{"10.0.0.1-x", "", "", 0, "behind the dash"},
		{"", "", "", 0, "neither"},
	} {
		all, err := ParseRanges([]string{tt.text}, 0)
		if tt.err != "" {
			var bad *RangeError
			if !errors.As(err, &bad) || !strings.Contains(err.Error(), tt.err) || bad.Hint() == "" {
				t.Errorf("%q: error %v, want %q with a hint", tt.text, err, tt.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", tt.text, err)
			continue
		}
		r := all[0]
		if r.First.String() != tt.first || r.Last.String() != tt.last || r.Len() != tt.n || r.At(r.Len()-1) != r.Last || !r.Contains(r.At(r.Len()/2)) {
			t.Errorf("%q: %s to %s, %d", tt.text, r.First, r.Last, r.Len())
		}
	}
	if _, err := ParseRanges([]string{"10.0.0.0/17", "10.0.128.0/17", "10.1.0.0/17"}, 0); err == nil {
		t.Error("three ranges that are too many together were taken")
	}
}

// dead is a network where nobody lives; it keeps the moments of attempts.
type dead struct {
	mu sync.Mutex
	at []time.Time
}

func (d *dead) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	d.mu.Lock()
	d.at = append(d.at, time.Now())
	d.mu.Unlock()
	<-ctx.Done()
	return nil, ctx.Err()
}

func (d *dead) ListenPacket(context.Context, netip.Addr, *net.Interface) (net.PacketConn, error) {
	return nil, errors.New("none")
}

func (d *dead) ListenGroup(context.Context, *net.Interface, netip.AddrPort) (net.PacketConn, error) {
	return nil, errors.New("none")
}

// severed is a network that cannot be reached, but for the last of its addresses.
type severed struct {
	dead
	open string
}

func (n *severed) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	if strings.HasPrefix(address, n.open+":") {
		return nil, syscall.ECONNREFUSED
	}
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ENETUNREACH)}
}

// A scan that could ask nothing has not found out that nobody is there.
func TestScanSaysWhatItCouldNotAsk(t *testing.T) {
	ranges, err := ParseRanges([]string{"192.0.2.1-2"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	var last Record
	o := Options{Ranges: ranges, Ports: []int{80}, Rate: 1000, NoMulticast: true, Neighbours: func() map[netip.Addr]string { return nil }, Record: func(r Record) { last = r }}
	o.Dialer = &severed{open: "none"}
	unsent := (*UnsentError)(nil)
	if err := Scan(t.Context(), o, func(Found) {}); !errors.As(err, &unsent) || unsent.Hint() == "" || last.State != estate.ScanFailed || !strings.Contains(last.Trouble, "unreachable") {
		t.Errorf("nothing could be asked: %v, record %+v", err, last)
	}
	o.Dialer = &severed{open: "192.0.2.2"}
	if err := Scan(t.Context(), o, func(Found) {}); err != nil || last.State != estate.ScanDone || last.Answered != 1 || !strings.HasPrefix(last.Trouble, "1 of 2 attempts") {
		t.Errorf("one of two could be asked: %v, record %+v", err, last)
	}
}

// What is about to be done is on record before it is.
func TestScanIsOnRecordBeforeItBegins(t *testing.T) {
	ranges, err := ParseRanges([]string{"192.0.2.1"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	var records []Record
	network := &severed{open: "192.0.2.1"}
	if err := Scan(t.Context(), Options{Ranges: ranges, By: "ada", Dialer: network, NoMulticast: true, Record: func(r Record) { records = append(records, r) }}, func(Found) {}); err != nil {
		t.Fatal(err)
	}
	if first := records[0]; first.By != "ada" || first.State != estate.ScanRunning || len(first.Sent) != 0 || first.Addresses != 1 || len(first.Next) != 1 {
		t.Errorf("first record %+v", first)
	}
}

// No second of a scan sees more packets than a range is allowed, beyond the
// second's worth with which it begins; and no address is asked twice as often.
func TestScanKeepsItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &dead{}
		ranges, err := ParseRanges([]string{"192.0.2.0/24"}, 0)
		if err != nil {
			t.Fatal(err)
		}
		var last Record
		err = Scan(t.Context(), Options{
			Ranges: ranges, Dialer: network, NoMulticast: true, Neighbours: func() map[netip.Addr]string { return nil },
			Record: func(r Record) { last = r },
		}, func(f Found) { t.Errorf("found %v", f) })
		if err != nil {
			t.Fatal(err)
		}
		if len(network.at) != 2*254 || last.Sent["tcp"] != len(network.at) {
			t.Errorf("%d attempts, %d on record, want 508", len(network.at), last.Sent["tcp"])
		}
		for i, at := range network.at {
			n := 0
			for _, other := range network.at[i:] {
				if other.Sub(at) < time.Second {
					n++
				}
			}
			if most := 2 * DefaultRate; n > most {
				t.Fatalf("%d attempts in a second, want at most %d", n, most)
			}
		}
		if took := network.at[len(network.at)-1].Sub(network.at[0]); took < 9*time.Second {
			t.Errorf("took %v, which is faster than %d a second", took, DefaultRate)
		}
	})
}

// A scan that is stopped says where to go on, and what goes on asks the rest.
func TestScanStopsAndGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ranges, err := ParseRanges([]string{"192.0.2.0-192.0.3.255", "198.51.100.9"}, 0)
		if err != nil {
			t.Fatal(err)
		}
		network := &dead{}
		var last Record
		o := Options{Ranges: ranges, Dialer: network, NoMulticast: true, Record: func(r Record) { last = r }}
		ctx, cancel := context.WithTimeout(t.Context(), 14*time.Second)
		defer cancel()
		if err := Scan(ctx, o, func(Found) {}); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("error %v", err)
		}
		if last.State != "stopped" || last.Done == 0 || last.Done >= last.Addresses {
			t.Fatalf("record %+v", last)
		}
		first := last
		o.Resume = &first
		if err := Scan(t.Context(), o, func(Found) {}); err != nil {
			t.Fatal(err)
		}
		if last.State != "done" || last.Done != last.Addresses || last.Sent["tcp"] < 2*last.Addresses || last.Started != first.Started {
			t.Errorf("record %+v", last)
		}
		o.Ranges = ranges[:1]
		if err := Scan(t.Context(), o, func(Found) {}); err == nil {
			t.Error("a scan of other ranges went on")
		}
	})
}

// hostile answers every connection in one bad way.
type hostile struct {
	dead
	answer func(net.Conn)
	sent   atomic.Int64
}

func (h *hostile) DialContext(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	go func() {
		defer theirs.Close()
		go func() { _, _ = io.Copy(io.Discard, theirs) }()
		h.answer(countingConn{theirs, &h.sent})
	}()
	return ours, nil
}

type countingConn struct {
	net.Conn
	n *atomic.Int64
}

func (c countingConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.n.Add(int64(n))
	return n, err
}

// Whatever a device does, it costs bounded time and bytes, and the scan ends.
func TestScanSurvivesHostileDevices(t *testing.T) {
	forever := func(c net.Conn, s string) {
		for {
			if _, err := io.WriteString(c, s); err != nil {
				return
			}
		}
	}
	for _, tt := range []struct {
		name   string
		answer func(net.Conn)
	}{
		{"says nothing", func(c net.Conn) { time.Sleep(time.Hour) }},
		{"a byte a second", func(c net.Conn) {
			for {
				if _, err := io.WriteString(c, "H"); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}},
		{"a header a second", func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			for {
				if _, err := io.WriteString(c, "A: b\r\n"); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}},
		{"headers without end", func(c net.Conn) { forever(c, "HTTP/1.1 200 OK\r\nA: b\r\n") }},
		{"RTSP without end", func(c net.Conn) { forever(c, "RTSP/1.0 200 OK\r\nContent-Length: 999999999999999999999\r\n") }},
		{"a title without end", func(c net.Conn) { forever(c, "HTTP/1.1 200 OK\r\n\r\n<title>"+strings.Repeat("x", 1<<16)) }},
		{"interim answers without end", func(c net.Conn) { forever(c, "HTTP/1.1 100 Continue\r\n\r\n") }},
		{"redirects to itself", func(c net.Conn) { forever(c, "HTTP/1.1 302 Found\r\nLocation: /a\r\nContent-Length: 0\r\n\r\n") }},
		{"garbage", func(c net.Conn) { forever(c, "\x16\x03\x01\xff\xff\x00\xfe\n") }},
		{"invalid UTF-8", func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 \xff\xfe\r\nServer: \xff\r\n\r\n<title>\xff\xfe</title>")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := &hostile{answer: tt.answer}
				ranges, err := ParseRanges([]string{"192.0.2.7"}, 0)
				if err != nil {
					t.Fatal(err)
				}
				began, found := time.Now(), 0
				err = Scan(t.Context(), Options{
					Ranges: ranges, Rate: 1000, Dialer: network, NoMulticast: true, Neighbours: func() map[netip.Addr]string { return nil },
				}, func(f Found) {
					found++
					total := 0
					for _, e := range f.Evidence {
						total += len(e.Value)
					}
					if total > maxBytes {
						t.Errorf("kept %d bytes", total)
					}
				})
				if err != nil || found != 1 {
					t.Errorf("found %d, %v", found, err)
				}
				if took := time.Since(began); took > maxTime+5*time.Second {
					t.Errorf("took %v", took)
				}
				if n := network.sent.Load(); n > maxBytes+(64<<10)*16 {
					t.Errorf("took %d bytes from it", n)
				}
				time.Sleep(2 * time.Hour) // let it find out that nobody listens
			})
		})
	}
}

// The hash of a known icon is what the lists have: the vectors are the hash's
// own, the lines those of base64 as MIME writes it.
func TestIconHash(t *testing.T) {
	for text, want := range map[string]uint32{"": 0, "test": 0xba6bd213, "Hello, world!": 0xc0363e43, "The quick brown fox jumps over the lazy dog": 0x2e4ff723} {
		if got := murmur3([]byte(text)); got != want {
			t.Errorf("murmur3(%q) = %#x, want %#x", text, got, want)
		}
	}
	sum := md5.Sum(nil)
	if got := hex.EncodeToString(sum[:]); got != "d41d8cd98f00b204e9800998ecf8427e" {
		t.Error(got)
	}
	if got, want := iconHash(bytes.Repeat([]byte{0}, 58)), int32(murmur3([]byte(strings.Repeat("A", 76)+"\nAA==\n"))); got != want {
		t.Errorf("iconHash = %d, want %d", got, want)
	}
}

func TestIconOf(t *testing.T) {
	for page, want := range map[string]string{
		`<link rel="shortcut icon" href="/a.ico">`:                       "/a.ico",
		`<LINK href='b.png' REL='icon'>`:                                 "b.png",
		`<link rel="stylesheet" href="x.css"><link rel=icon href=c.ico>`: "c.ico",
		`<link rel="icon">`:                                              "", `no page`: "",
	} {
		if got := iconOf([]byte(page)); got != want {
			t.Errorf("iconOf(%q) = %q, want %q", page, got, want)
		}
	}
}

// A link never leads to another device.
func TestLinksStayHere(t *testing.T) {
	h := &host{addr: netip.MustParseAddr("192.0.2.7")}
	for link, want := range map[string]string{
		"/a?b=1": "/a?b=1", "a.ico": "/a.ico", "http://192.0.2.7:8080/x": "/x", "//192.0.2.7:8080/y": "/y",
		"http://192.0.2.8:8080/x": "", "http://192.0.2.7/x": "", "https://192.0.2.7:8080/x": "", "http://evil.example:8080/": "", "": "", "file:///etc/passwd": "", "http://[::1": "",
	} {
		got, ok := h.within(8080, false, link)
		if got != want || ok != (want != "") {
			t.Errorf("within(%q) = %q, %t, want %q", link, got, ok, want)
		}
	}
}

// Recorded answers of discovery protocols are taken for answers, and nothing else is.
func TestInquiriesKnowTheirAnswers(t *testing.T) {
	own := map[string][]byte{}
	for _, q := range inquiries() {
		for _, p := range q.payloads() {
			if q.answers(p) {
				t.Errorf("%s takes its own question for an answer", q.name)
			}
		}
		own[q.kind] = nil
	}
	shared := os.Getenv("WATCHWARD_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "..", "..", "shared")
	}
	index, err := os.ReadFile(filepath.Join(shared, "samples", "index.csv"))
	if err != nil {
		t.Skip("no recorded answers: ", err)
	}
	for line := range strings.Lines(string(index)) {
		f := strings.Split(line, ",")
		for _, q := range inquiries() {
			if len(f) < 3 || f[2] != q.kind || !strings.HasPrefix(f[1], "discovery_vectors/") {
				continue
			}
			b, err := os.ReadFile(filepath.Join(shared, "samples", f[1]))
			if err != nil {
				t.Fatal(err)
			}
			if !q.answers(b) {
				t.Errorf("%s is not taken for an answer of %s", f[1], q.name)
			}
		}
	}
}

func TestReadNeighbours(t *testing.T) {
	got := readNeighbours("IP address       HW type     Flags       HW address            Mask     Device\n10.0.0.5 0x1 0x2 44:19:b6:00:00:01 * eth0\n10.0.0.6 0x1 0x0 00:00:00:00:00:00 * eth0\nrubbish\n")
	if len(got) != 1 || got[netip.MustParseAddr("10.0.0.5")] != "44:19:b6:00:00:01" {
		t.Errorf("got %v", got)
	}
}

func FuzzReadRTSP(f *testing.F) {
	f.Add([]byte("RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 3\r\n\r\nabc"))
	f.Add([]byte("RTSP/1.0 200 OK\r\nContent-Length: -1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if answer, _, _ := readRTSP(bufio.NewReader(bytes.NewReader(b))); len(answer) > maxRTSPHead+maxRTSPBody {
			t.Errorf("%d bytes", len(answer))
		}
	})
}

func FuzzDatagrams(f *testing.F) {
	for _, q := range inquiries() {
		for _, p := range q.payloads() {
			f.Add(p)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, q := range inquiries() {
			q.answers(b)
		}
		iconOf(b)
		_, _ = parseRange(string(b))
	})
}

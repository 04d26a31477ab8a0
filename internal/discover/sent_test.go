package discover

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/sent.golden")

// tap is a network of one address that says yes to everything, so that whatever
// could be asked is, and keeps every byte of it.
type tap struct {
	mu   sync.Mutex
	sent []string
}

func (t *tap) note(what string, b []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sent = append(t.sent, what+"\n"+string(b))
}

func (t *tap) DialContext(_ context.Context, network, address string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil || network != "tcp" {
		return nil, errors.New("unexpected dial " + network + " " + address)
	}
	ours, theirs := net.Pipe()
	go t.serve(port, theirs)
	return ours, nil
}

// serve answers RTSP and HTTP so that the scanner goes on as far as it can.
func (t *tap) serve(port string, c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	for {
		head, err := r.Peek(1)
		if err != nil || head[0] == 0x16 { // TLS: its hello is the standard library's
			return
		}
		var request bytes.Buffer
		q, err := http.ReadRequest(bufio.NewReader(io.TeeReader(oneRequest(r), &request)))
		if err != nil {
			t.note("tcp "+port, request.Bytes())
			return
		}
		body, _ := io.ReadAll(q.Body)
		t.note("tcp "+port, request.Bytes())
		if _, err := io.WriteString(c, reply(q, string(body))); err != nil {
			return
		}
	}
}

// oneRequest cuts one request off a stream, turning RTSP's first line into
// something that the standard library reads; what was sent is noted as it was.
func oneRequest(r *bufio.Reader) io.Reader {
	var b bytes.Buffer
	length := 0
	for {
		line, err := r.ReadString('\n')
		b.WriteString(line)
		if v, ok := strings.CutPrefix(line, "Content-Length: "); ok {
			for _, d := range strings.TrimSpace(v) {
				length = length*10 + int(d-'0')
			}
		}
		if err != nil || strings.TrimSpace(line) == "" {
			break
		}
	}
	_, _ = io.CopyN(&b, r, int64(length))
	return bytes.NewReader(bytes.Replace(b.Bytes(), []byte(" RTSP/1.0\r\n"), []byte(" HTTP/1.0\r\n"), 1))
}

func reply(q *http.Request, body string) string {
	answer := func(protocol, status, body string) string {
		return protocol + " " + status + "\r\nCSeq: 1\r\nContent-Length: " + itoa(len(body)) + "\r\n\r\n" + body
	}
	switch {
	case q.Header.Get("CSeq") != "" && strings.HasSuffix(q.RequestURI, nobodysPath):
		return answer("RTSP/1.0", "404 Not Found", "")
	case q.Header.Get("CSeq") != "":
		return answer("RTSP/1.0", "403 Forbidden", "")
	case q.Method == "POST":
		_, operation, _ := strings.Cut(body, "<s:Body><")
		operation, _, _ = strings.Cut(operation, " ")
		if operation == "GetServices" {
			operation = "Fault" // so that the older form is asked for as well
		}
		return answer("HTTP/1.1", "200 OK", "<Envelope><Body><"+operation+"Response/></Body></Envelope>")
	case q.RequestURI == "/":
		return answer("HTTP/1.1", "200 OK", `<link rel="icon" href="/icon.png">`)
	}
	return answer("HTTP/1.1", "401 Unauthorized", "")
}

func itoa(n int) string {
	b := []byte{}
	for ; n > 0 || len(b) == 0; n /= 10 {
		b = append([]byte{byte('0' + n%10)}, b...)
	}
	return string(b)
}

func (t *tap) ListenPacket(context.Context, netip.Addr, *net.Interface) (net.PacketConn, error) {
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	return &tapPacket{c, t}, err
}

func (t *tap) ListenGroup(context.Context, *net.Interface, netip.AddrPort) (net.PacketConn, error) {
	return nil, errors.New("none")
}

type tapPacket struct {
	net.PacketConn
	t *tap
}

func (p *tapPacket) WriteTo(b []byte, to net.Addr) (int, error) {
	_, port, _ := net.SplitHostPort(to.String())
	p.t.note("udp "+port, b)
	return len(b), nil
}

var (
	uuids  = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)
	counts = regexp.MustCompile(`CSeq: \d+`)
	// Which of the ports comes first is nobody's promise.
	places = regexp.MustCompile(`192\.0\.2\.7:\d+|^tcp \d+`)
)

// TestEveryByteSent holds everything that a scan can send to one address against
// a list that a person has read. A new request is a change of that list.
func TestEveryByteSent(t *testing.T) {
	network := &tap{}
	ranges, err := ParseRanges([]string{"192.0.2.7"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	err = Scan(t.Context(), Options{
		Ranges: ranges, Rate: 100_000, Ports: append(DefaultPorts(), 8443, 10554), Dialer: network, NoMulticast: true,
		Neighbours: func() map[netip.Addr]string { return nil },
	}, func(Found) {})
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range network.sent {
		s = strings.ReplaceAll(counts.ReplaceAllString(uuids.ReplaceAllString(s, "{uuid}"), "CSeq: {n}"), "HTTP/1.0\r\nCSeq", "RTSP/1.0\r\nCSeq")
		network.sent[i] = printableBytes(places.ReplaceAllStringFunc(s, func(s string) string { return withoutPort(s) }))
	}
	slices.Sort(network.sent)
	got := strings.Join(slices.Compact(network.sent), "\n--\n") + "\n"
	checkForbidden(t, got)
	const file = "testdata/sent.golden"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("what a scan sends is not what %s allows; run with -update and read the difference.\n%s", file, got)
	}
}

func withoutPort(s string) string { return s[:strings.LastIndexAny(s, ": ")] }

func printableBytes(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c == '\n' || c >= ' ' && c < 0x7f {
			b.WriteByte(c)
		} else if c != '\r' {
			b.WriteString(`\x` + string("0123456789abcdef"[c>>4]) + string("0123456789abcdef"[c&15]))
		}
	}
	return b.String()
}

// checkForbidden is what no list may ever hold.
func checkForbidden(t *testing.T, sent string) {
	for _, word := range []string{"Authorization", "Password", "password", "PUT ", "DELETE ", "SETUP ", "PLAY ", "Set", "Reboot", "Reset", "reset", "update", "activate", "exchangecode", "DHDiscover.setConfig"} {
		if strings.Contains(sent, word) {
			t.Errorf("a scan sends %q", word)
		}
	}
}

// The groups hear the same payloads as one device does.
func TestInquiriesAreAllThatGoesOverUDP(t *testing.T) {
	for _, q := range inquiries() {
		for _, p := range q.payloads() {
			checkForbidden(t, string(p))
			if len(p) > 1200 {
				t.Errorf("%s: %d bytes do not fit a packet", q.name, len(p))
			}
		}
	}
}

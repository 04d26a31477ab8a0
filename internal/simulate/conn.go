package simulate

import (
	"bufio"
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchward/watchward/internal/simulate/faces"
)

// conn is one RTSP connection and its session, of which it has at most one. A
// connection may turn out to be half of an HTTP tunnel.
type conn struct {
	cam     *camera
	nc      net.Conn
	out     *outbox
	nonce   string
	session string
	tunnel  bool // answers and packets go to a GET request's body

	heard atomic.Int64 // when the last request came, Unix nanoseconds
	gone  atomic.Bool  // no feed of ours is to send any more
	count counters

	mu      sync.Mutex
	source  *source // of the first SETUP
	feeds   []*feed // by track; nil where not set up
	started bool
}

// counters are what a session was sent.
type counters struct {
	frames, leftOut, discarded, bytes atomic.Uint64
	first, last                       atomic.Int64 // Unix nanoseconds
}

func newConn(c *camera, nc net.Conn) *conn {
	k := &conn{cam: c, nc: nc, out: newOutbox(nc), nonce: faces.Nonce(c.habits.Nonce), session: randomWord(12)}
	k.heard.Store(time.Now().UnixNano())
	return k
}

// hangUp closes the connection from any goroutine; serve then comes to its end.
func (k *conn) hangUp() {
	k.gone.Store(true)
	k.out.close()
	k.nc.Close()
}

// end lets go of everything the session held.
func (k *conn) end() {
	k.hangUp()
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, f := range k.feeds {
		f.close()
	}
	k.feeds = nil
}

func (k *conn) playing() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.started
}

// serve answers requests until the connection ends.
func (k *conn) serve() {
	go k.out.drain()
	r := bufio.NewReaderSize(k.nc, 8<<10)
	if t, ok := k.nc.(*tls.Conn); ok {
		_ = t.SetDeadline(time.Now().Add(10 * time.Second))
		if t.Handshake() != nil {
			return
		}
		_ = t.SetDeadline(time.Time{})
	}
	start, err := r.Peek(5)
	if err != nil {
		return
	}
	switch string(start) {
	case "GET /":
		err = k.tunnelGet(r)
	case "POST ":
		err = k.tunnelPost(r)
	default:
		err = k.requests(r)
	}
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
		k.cam.log.Debug("camera connection ended", "remote", k.nc.RemoteAddr(), "error", err)
	}
}

// requests serves RTSP from r, which is the connection or a tunnel's way in.
func (k *conn) requests(r *bufio.Reader) error {
	for {
		first, err := r.Peek(1)
		if err != nil {
			return err
		}
		switch first[0] {
		case '$': // RTCP of the client
			head, err := r.Peek(4)
			if err != nil {
				return err
			}
			if _, err := r.Discard(4 + int(head[2])<<8 + int(head[3])); err != nil {
				return err
			}
			continue
		case '\r', '\n':
			_, _ = r.Discard(1)
			continue
		}
		req, err := readRequest(r)
		if err != nil {
			return err
		}
		k.heard.Store(time.Now().UnixNano())
		if err := k.answer(req); err != nil {
			return err
		}
	}
}

// request is one RTSP request. Header names are in lower case.
type request struct {
	method, url string
	header      map[string]string
}

const (
	maxLine    = 4096
	maxHeaders = 64
	maxBody    = 64 << 10
)

func readRequest(r *bufio.Reader) (*request, error) {
	line, err := readLine(r)
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(line)
	if len(fields) != 3 || !strings.HasPrefix(fields[2], "RTSP/") && !strings.HasPrefix(fields[2], "HTTP/") {
		return nil, fmt.Errorf("request line %q: want METHOD URL RTSP/1.0", line)
	}
	q := &request{method: fields[0], url: fields[1], header: map[string]string{}}
	for {
		line, err := readLine(r)
		if err != nil {
			return nil, err
		}
		if line == "" {
			break
		}
		if len(q.header) == maxHeaders {
			return nil, fmt.Errorf("more than %d headers", maxHeaders)
		}
		key, value, _ := strings.Cut(line, ":")
		q.header[strings.ToLower(strings.TrimSpace(key))] = strings.TrimSpace(value)
	}
	if fields[2][0] == 'H' {
		return q, nil // a tunnel's body is endless, whatever its length says
	}
	if s := q.header["content-length"]; s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 || n > maxBody {
			return nil, fmt.Errorf("content length %q: want up to %d", s, maxBody)
		}
		if _, err := r.Discard(n); err != nil {
			return nil, err
		}
	}
	return q, nil
}

func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return "", err
	}
	if len(line) > maxLine {
		return "", fmt.Errorf("line of more than %d bytes", maxLine)
	}
	return strings.TrimRight(string(line), "\r\n"), nil
}

// reply is an answer under construction.
type reply struct {
	status  string
	headers []string
	body    string
}

func ok(headers ...string) reply { return reply{status: "200 OK", headers: headers} }

// answer handles one request and sends the reply.
func (k *conn) answer(q *request) error {
	a := k.handle(q)
	var b strings.Builder
	fmt.Fprintf(&b, "RTSP/1.0 %s\r\n%s: %s\r\n", a.status, cmp.Or(k.cam.habits.CSeq, "CSeq"), q.header["cseq"])
	before, after := k.cam.ownHeaders()
	for _, h := range slices.Concat(before, a.headers, after) {
		b.WriteString(h + "\r\n")
	}
	if a.body != "" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(a.body))
	}
	b.WriteString("\r\n" + a.body)
	if !k.out.send([]byte(b.String())) {
		return net.ErrClosed
	}
	if q.method == "PLAY" && strings.HasPrefix(a.status, "200") {
		k.start() // after the answer, so that no packet comes before it
	}
	return nil
}

// ownHeaders are those of every answer.
func (c *camera) ownHeaders() (before, after []string) {
	if c.headers != nil {
		return c.headers()
	}
	return c.habits.Headers, c.habits.After
}

const methods = "OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, TEARDOWN, GET_PARAMETER, SET_PARAMETER"

func (k *conn) handle(q *request) reply {
	refuse := k.cam.faults.on(RefusePassword, time.Now())
	if q.method == "OPTIONS" && !refuse {
		return ok("Public: " + k.cam.habits.Public)
	}
	if refuse || !k.cam.login.Allows(q.method, q.header["authorization"], k.nonce) {
		a := reply{status: "401 Unauthorized"}
		for _, c := range k.cam.login.Ask(k.nonce) {
			a.headers = append(a.headers, "WWW-Authenticate: "+c)
		}
		return a
	}
	path := urlPath(q.url)
	if id := q.header["session"]; id != "" && strings.TrimSpace(strings.Split(id, ";")[0]) != k.session {
		return reply{status: "454 Session Not Found"}
	}
	switch q.method {
	case "DESCRIBE":
		s := k.cam.source(path)
		if s == nil {
			return reply{status: "404 Not Found"}
		}
		a := ok("Content-Type: application/sdp", "Content-Base: "+strings.TrimRight(q.url, "/")+"/")
		a.body = k.cam.describe(s)
		return a
	case "SETUP":
		return k.setup(q, path)
	case "PLAY":
		return k.play(q)
	case "PAUSE":
		k.stop()
		return ok("Session: " + k.session)
	case "TEARDOWN":
		k.stop()
		return ok()
	case "GET_PARAMETER", "SET_PARAMETER":
		return ok("Session: " + k.session)
	}
	return reply{status: "405 Method Not Allowed", headers: []string{"Allow: " + k.cam.habits.Public}}
}

// urlPath is the path of an RTSP URL with its query.
func urlPath(u string) string {
	if _, rest, ok := strings.Cut(u, "://"); ok {
		_, u, _ = strings.Cut(rest, "/")
	}
	return u
}

// setup prepares one track.
func (k *conn) setup(q *request, path string) reply {
	s := k.cam.source(path)
	if s == nil {
		return reply{status: "404 Not Found"}
	}
	n := 0
	if _, id, found := strings.Cut(path, "trackID="); found {
		id, _, _ = strings.Cut(id, "?")
		var err error
		if n, err = strconv.Atoi(id); err != nil || n < 0 || n >= len(s.plans()) {
			return reply{status: "404 Not Found"}
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.started || k.source != nil && k.source != s {
		return reply{status: "455 Method Not Valid in This State"}
	}
	if k.feeds == nil {
		k.source, k.feeds = s, make([]*feed, len(s.plans()))
	}
	f := newFeed(k, s, n)
	transport, err := k.transport(f, q.header["transport"])
	if err != nil {
		k.cam.log.Debug("camera refuses a transport", "asked", q.header["transport"], "error", err)
		return reply{status: "461 Unsupported Transport"}
	}
	if old := k.feeds[n]; old != nil {
		old.close()
	}
	k.feeds[n] = f
	return ok("Transport: "+transport, fmt.Sprintf("Session: %s;timeout=%d", k.session, int(k.cam.timeout.Seconds())))
}

// transport takes the first of the offered transports that we can do.
func (k *conn) transport(f *feed, offered string) (string, error) {
	for spec := range strings.SplitSeq(offered, ",") {
		fields := strings.Split(spec, ";")
		params := map[string]string{}
		for _, p := range fields[1:] {
			key, value, _ := strings.Cut(strings.TrimSpace(p), "=")
			params[strings.ToLower(key)] = value
		}
		if _, found := params["multicast"]; found {
			continue
		}
		switch strings.ToUpper(strings.TrimSpace(fields[0])) {
		case "RTP/AVP/TCP":
			channel := 2 * f.track
			if lo, _, _ := strings.Cut(params["interleaved"], "-"); lo != "" {
				var err error
				if channel, err = strconv.Atoi(lo); err != nil || channel < 0 || channel > 254 {
					continue
				}
			}
			f.rtp.channel = byte(channel)
			return fmt.Sprintf("RTP/AVP/TCP;unicast;interleaved=%d-%d;ssrc=%08X", channel, channel+1, f.rtp.ssrc), nil
		case "RTP/AVP", "RTP/AVP/UDP":
			lo, _, _ := strings.Cut(params["client_port"], "-")
			port, err := strconv.ParseUint(lo, 10, 16)
			if err != nil || port == 0 || k.tunnel {
				continue
			}
			if err := k.openUDP(f, uint16(port)); err != nil {
				return "", err
			}
			return fmt.Sprintf("RTP/AVP;unicast;client_port=%d-%d;server_port=%d-%d;ssrc=%08X",
				port, port+1, f.udp.port, f.udp.port+1, f.rtp.ssrc), nil
		}
	}
	return "", fmt.Errorf("transport %q: want RTP/AVP/TCP or RTP/AVP, unicast", offered)
}

// openUDP binds a pair of ports, the lower one even, for one track.
func (k *conn) openUDP(f *feed, client uint16) error {
	local, err := netip.ParseAddrPort(k.nc.LocalAddr().String())
	if err != nil {
		return err
	}
	remote, err := netip.ParseAddrPort(k.nc.RemoteAddr().String())
	if err != nil {
		return err
	}
	for range 20 {
		rtp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(local.Addr(), 0)))
		if err != nil {
			return err
		}
		port := rtp.LocalAddr().(*net.UDPAddr).Port
		rtcp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(local.Addr(), uint16(port+1))))
		if port%2 != 0 || err != nil {
			rtp.Close()
			if err == nil {
				rtcp.Close()
			}
			continue
		}
		f.udp = &udpPair{
			port: port, rtp: rtp, rtcp: rtcp,
			rtpTo:  netip.AddrPortFrom(remote.Addr(), client),
			rtcpTo: netip.AddrPortFrom(remote.Addr(), client+1),
		}
		return nil
	}
	return errors.New("no pair of free UDP ports")
}

// play answers PLAY; the packets begin with start, behind the answer.
func (k *conn) play(q *request) reply {
	k.mu.Lock()
	defer k.mu.Unlock()
	var info []string
	base := strings.TrimRight(q.url, "/")
	for _, f := range k.feeds {
		if f != nil {
			ts := f.seek(time.Now())
			info = append(info, fmt.Sprintf("url=%s/trackID=%d;seq=%d;rtptime=%d", base, f.track, f.rtp.seq, ts))
		}
	}
	if len(info) == 0 {
		return reply{status: "455 Method Not Valid in This State"}
	}
	return ok("Session: "+k.session, "Range: npt=now-", "RTP-Info: "+strings.Join(info, ","))
}

// start hands the feeds to the pacer.
func (k *conn) start() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.started {
		return
	}
	k.started = true
	for _, f := range k.feeds {
		if f != nil {
			k.cam.pace.add(f)
		}
	}
}

// stop takes the feeds from the pacer and forgets the session.
func (k *conn) stop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, f := range k.feeds {
		f.close()
	}
	k.feeds, k.source, k.started = nil, nil, false
}

func (k *conn) viewer() (Viewer, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.started {
		return Viewer{}, false
	}
	v := Viewer{
		Remote: k.nc.RemoteAddr().String(), Stream: k.source.path, Transport: "tcp",
		Frames: k.count.frames.Load(), LeftOut: k.count.leftOut.Load(),
		Discarded: k.count.discarded.Load(), Bytes: k.count.bytes.Load(),
	}
	if ns := k.count.last.Load(); ns != 0 {
		v.FirstFrame, v.LastFrame = time.Unix(0, k.count.first.Load()), time.Unix(0, ns)
	}
	switch {
	case k.tunnel:
		v.Transport = "http"
	case k.feeds[0] != nil && k.feeds[0].udp != nil:
		v.Transport = "udp"
	}
	return v, true
}

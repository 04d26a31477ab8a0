// Package rtsptest is a camera for tests that says exactly what a test wants,
// right or wrong. It reads requests with the standard library, so that it shares
// no parsing with what it tests.
//
// Begin with [Serve] and a [Camera], whose fields bend what an ordinary camera
// would do; or give Serve a script of your own.
package rtsptest

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"testing"
)

// Script plays one client's connection. When it returns, the connection closes.
type Script func(c *Conn)

// Server is a listening camera.
type Server struct {
	Addr string // host:port

	mu       sync.Mutex
	requests []*Request
	conns    int
}

// Request is what a client asked.
type Request struct {
	Method, URI string
	Header      textproto.MIMEHeader
}

// Conn is a client's connection.
type Conn struct {
	net.Conn
	server *Server
	r      *bufio.Reader
	N      int      // how many connections came before
	RTCP   [][]byte // interleaved frames the client sent
}

// Serve listens on a port of its own until the test ends.
func Serve(t testing.TB, script Script) *Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ServeOn(t, l, script)
}

// ServeOn is Serve on a listener of the test's.
func ServeOn(t testing.TB, l net.Listener, script Script) *Server {
	t.Helper()
	s := &Server{Addr: l.Addr().String()}
	var all sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	all.Go(func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns++
			s.mu.Unlock()
			mu.Lock()
			open[c] = true
			mu.Unlock()
			all.Go(func() {
				defer c.Close()
				script(&Conn{Conn: c, server: s, r: bufio.NewReader(c), N: n})
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return s
}

// URL is the camera's address with path behind it.
func (s *Server) URL(path string) string { return "rtsp://" + s.Addr + path }

// Requests returns what was asked so far, on all connections.
func (s *Server) Requests() []*Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*Request(nil), s.requests...)
}

// Connections returns how many clients connected so far.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns
}

// Next reads the next request; interleaved frames before it go to c.RTCP.
func (c *Conn) Next() (*Request, error) {
	for {
		b, err := c.r.Peek(1)
		if err != nil {
			return nil, err
		}
		if b[0] != '$' {
			break
		}
		var head [4]byte
		if _, err := io.ReadFull(c.r, head[:]); err != nil {
			return nil, err
		}
		p := make([]byte, binary.BigEndian.Uint16(head[2:]))
		if _, err := io.ReadFull(c.r, p); err != nil {
			return nil, err
		}
		c.RTCP = append(c.RTCP, p)
	}
	tr := textproto.NewReader(c.r)
	line, err := tr.ReadLine()
	if err != nil {
		return nil, err
	}
	h, err := tr.ReadMIMEHeader()
	if err != nil && len(h) == 0 {
		return nil, err
	}
	f := strings.Fields(line)
	if len(f) < 2 {
		return nil, fmt.Errorf("request line %q", line)
	}
	r := &Request{f[0], f[1], h}
	c.server.mu.Lock()
	c.server.requests = append(c.server.requests, r)
	c.server.mu.Unlock()
	return r, nil
}

// Reply answers r. Lines are header lines without their ends; a body gets its
// Content-Length.
func (c *Conn) Reply(r *Request, status string, body string, lines ...string) {
	var b strings.Builder
	fmt.Fprintf(&b, "RTSP/1.0 %s\r\nCSeq: %s\r\n", status, r.Header.Get("CSeq"))
	for _, l := range lines {
		b.WriteString(l + "\r\n")
	}
	if body != "" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	_, _ = io.WriteString(c, b.String()+"\r\n"+body)
}

// Frame is an interleaved frame.
func Frame(channel byte, packet []byte) []byte {
	b := []byte{'$', channel, byte(len(packet) >> 8), byte(len(packet))}
	return append(b, packet...)
}

// Packet is an RTP packet.
func Packet(kind byte, marker bool, seq uint16, timestamp, ssrc uint32, payload []byte) []byte {
	if marker {
		kind |= 0x80
	}
	b := []byte{0x80, kind}
	b = binary.BigEndian.AppendUint16(b, seq)
	b = binary.BigEndian.AppendUint32(b, timestamp)
	b = binary.BigEndian.AppendUint32(b, ssrc)
	return append(b, payload...)
}

// Camera is an ordinary camera whose answers a test may bend.
type Camera struct {
	SDP  string
	Play func(c *Conn) // sends media after PLAY; nil sends none
	// Answer, where it returns true, has answered r itself.
	Answer func(c *Conn, r *Request) bool
}

// Script plays the camera.
func (cam *Camera) Script(c *Conn) {
	var playing sync.WaitGroup
	defer playing.Wait()
	defer c.Close()
	for {
		r, err := c.Next()
		if err != nil {
			return
		}
		if cam.Answer != nil && cam.Answer(c, r) {
			continue
		}
		switch r.Method {
		case "OPTIONS":
			c.Reply(r, "200 OK", "", "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER")
		case "DESCRIBE":
			c.Reply(r, "200 OK", cam.SDP, "Content-Type: application/sdp")
		case "SETUP":
			c.Reply(r, "200 OK", "", "Transport: "+r.Header.Get("Transport"), "Session: 12345678;timeout=60")
		case "PLAY":
			c.Reply(r, "200 OK", "", "Session: 12345678")
			if cam.Play != nil {
				playing.Go(func() { cam.Play(c) })
			}
		case "TEARDOWN":
			c.Reply(r, "200 OK", "")
			return
		default:
			c.Reply(r, "200 OK", "")
		}
	}
}

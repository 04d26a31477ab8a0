// Package exchange asks a device one question over HTTP and takes its answer as
// it came, within bounds.
//
// Begin with [Dial] and [Conn.Do]. It is no general HTTP client, and that is its
// point: every byte that leaves is in [Request.Bytes], nothing is added,
// followed, retried or unpacked behind the caller's back, and what a device
// sends costs at most what the caller allowed, in bytes and in time.
package exchange

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"strconv"
	"strings"
	"time"
)

// Request is one question.
type Request struct {
	Method, Target, Host string
	Header               []string // lines beyond those that every request has
	Body                 []byte
}

// Bytes is what goes over the wire.
func (r Request) Bytes() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: Watchward\r\nAccept: */*\r\nAccept-Encoding: identity\r\n", oneWord(r.Method), oneWord(r.Target), oneWord(r.Host))
	for _, h := range r.Header {
		b.WriteString(strings.NewReplacer("\r", "", "\n", "").Replace(h) + "\r\n")
	}
	if r.Body != nil {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(r.Body))
	}
	b.WriteString("\r\n")
	b.Write(r.Body)
	return b.Bytes()
}

// oneWord keeps what a device told us from ending a line of ours.
func oneWord(s string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
}

// Limits bound an answer. Zero values are the defaults.
type Limits struct {
	Head, Body int           // bytes; 16 KiB and 64 KiB
	Time       time.Duration // of one exchange as a whole, however the bytes drip; 3 s
}

func (l Limits) or() Limits {
	if l.Head == 0 {
		l.Head = 16 << 10
	}
	if l.Body == 0 {
		l.Body = 64 << 10
	}
	if l.Time == 0 {
		l.Time = 3 * time.Second
	}
	return l
}

// Answer is what a device said.
type Answer struct {
	Status int    // 0 where there was no status line
	Head   []byte // status line and headers as they came, with the empty line
	Body   []byte // without chunks; at most what was allowed
	Cut    bool   // there was more of it
	last   bool
}

// Get returns the value of the first header of that name, and Values all.
func (a *Answer) Get(name string) string {
	if v := a.Values(name); len(v) > 0 {
		return v[0]
	}
	return ""
}

// Values returns the values of all headers of a name.
func (a *Answer) Values(name string) []string {
	var out []string
	for line := range strings.Lines(string(a.Head)) {
		n, v, ok := strings.Cut(line, ":")
		if ok && strings.EqualFold(strings.TrimSpace(n), name) {
			out = append(out, strings.TrimSpace(v))
		}
	}
	return out
}

// Text is the body as text: unpacked where the device packed it although nobody
// had asked for that, never to more than max bytes.
func (a *Answer) Text(limit int) []byte {
	if !strings.EqualFold(a.Get("Content-Encoding"), "gzip") {
		return a.Body[:min(len(a.Body), limit)]
	}
	z, err := gzip.NewReader(bytes.NewReader(a.Body))
	if err != nil {
		return nil
	}
	out, _ := io.ReadAll(io.LimitReader(z, int64(limit)))
	return out
}

// ErrNotHTTP means that what came is no answer of HTTP; the answer's Head holds
// its beginning.
var ErrNotHTTP = errors.New("no answer of HTTP")

// Conn is a connection on which questions are asked one after the other.
type Conn struct {
	c      net.Conn
	r      *bufio.Reader
	limits Limits
	done   bool
}

// New takes over a connection, which Close closes.
func New(c net.Conn, l Limits) *Conn {
	return &Conn{c: c, r: bufio.NewReaderSize(c, 4<<10), limits: l.or()}
}

// Dialer opens connections.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Dial connects to a device over TCP.
func Dial(ctx context.Context, d Dialer, address string, l Limits) (*Conn, error) {
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return New(c, l), nil
}

// Close ends the connection.
func (c *Conn) Close() error { return c.c.Close() }

// Done reports whether the device will take no more questions here.
func (c *Conn) Done() bool { return c.done }

// Do asks. An error with an answer that is not nil is one that came in part.
func (c *Conn) Do(ctx context.Context, r Request) (*Answer, error) {
	until := time.Now().Add(c.limits.Time)
	if d, ok := ctx.Deadline(); ok && d.Before(until) {
		until = d
	}
	if err := c.c.SetDeadline(until); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := c.c.Write(r.Bytes()); err != nil {
		c.done = true
		return nil, err
	}
	a, err := Read(c.r, r.Method, c.limits)
	if err != nil || a.last || a.Cut {
		c.done = true
	}
	return a, err
}

// Read reads one answer. What it returns beside an error is what had come.
func Read(r *bufio.Reader, method string, l Limits) (*Answer, error) {
	l = l.or()
	a := &Answer{}
	if err := a.readHead(r, l.Head); err != nil {
		return a, err
	}
	for a.Status >= 100 && a.Status < 200 { // an interim answer
		n := len(a.Head)
		a.Head, a.Status = nil, 0
		if l.Head -= n; l.Head <= 0 {
			return a, fmt.Errorf("%w: only interim ones", ErrNotHTTP)
		}
		if err := a.readHead(r, l.Head); err != nil {
			return a, err
		}
	}
	return a, a.readBody(r, method, l.Body)
}

func (a *Answer) readHead(r *bufio.Reader, limit int) error {
	for {
		line, err := r.ReadSlice('\n')
		room := limit - len(a.Head)
		a.Head = append(a.Head, line[:min(len(line), room)]...)
		if first := len(a.Head) == len(line); first && !bytes.HasPrefix(line, []byte("HTTP/")) {
			return ErrNotHTTP
		}
		switch {
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return err
		case len(line) > room:
			return fmt.Errorf("head of more than %d bytes", limit)
		case a.Status == 0 && bytes.HasPrefix(a.Head, []byte("HTTP/")):
			a.Status = status(string(a.Head))
		}
		if err == nil && len(bytes.TrimRight(line, "\r\n")) == 0 {
			if a.Status == 0 {
				return ErrNotHTTP
			}
			return nil
		}
	}
}

func status(line string) int {
	f := strings.Fields(line)
	if len(f) < 2 {
		return 0
	}
	n, err := strconv.Atoi(f[1])
	if err != nil || n < 100 || n > 999 {
		return 0
	}
	return n
}

func (a *Answer) readBody(r *bufio.Reader, method string, limit int) error {
	a.last = strings.EqualFold(a.Get("Connection"), "close") || bytes.HasPrefix(a.Head, []byte("HTTP/1.0"))
	if method == "HEAD" || a.Status == 204 || a.Status == 304 {
		return nil
	}
	var body io.Reader = r
	length, err := strconv.ParseInt(a.Get("Content-Length"), 10, 64)
	switch {
	case strings.EqualFold(a.Get("Transfer-Encoding"), "chunked"):
		body = httputil.NewChunkedReader(r)
	case err == nil && length >= 0:
		body = io.LimitReader(r, length)
	default:
		a.last = true
		length = -1
	}
	a.Body, err = io.ReadAll(io.LimitReader(body, int64(limit)+1))
	if len(a.Body) > limit {
		a.Body, a.Cut = a.Body[:limit], true
		return nil
	}
	if err == nil && length > int64(len(a.Body)) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		a.Cut = true
		if a.last && !isTimeout(err) { // it ended as it pleased; what came counts
			err = nil
		}
	}
	return err
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

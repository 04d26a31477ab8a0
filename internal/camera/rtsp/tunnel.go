package rtsp

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"time"
)

// tunnel is an RTSP connection inside two HTTP requests: what the camera says
// comes as the endless answer to a GET, what we say goes as the endless body of
// a POST, in base64.
type tunnel struct {
	net.Conn // of the GET
	post     net.Conn
	scratch  []byte
}

// openTunnel makes both requests. The camera ties them together by a cookie.
func openTunnel(ctx context.Context, c *Client) (*tunnel, error) {
	to := c.address.dial()
	if c.address.port == "" {
		port := "80"
		if c.address.secure {
			port = "443"
		}
		to = net.JoinHostPort(c.address.host, port)
	}
	var seed [11]byte
	_, _ = rand.Read(seed[:]) // never fails, see crypto/rand
	cookie := hex.EncodeToString(seed[:])
	path := c.address.rest
	if path == "" || path[0] != '/' {
		path = "/" + path
	}
	get, err := c.openGet(ctx, to, path, cookie)
	if err != nil {
		return nil, err
	}
	post, err := c.connect(ctx, to)
	if err != nil {
		_ = get.Close()
		return nil, err
	}
	request := c.tunnelRequest("POST", path, cookie,
		"Content-Type: application/x-rtsp-tunnelled\r\nContent-Length: 32767\r\nExpires: Sun, 9 Jan 1972 00:00:00 GMT\r\n")
	if _, err := post.Write(request); err != nil {
		_ = get.Close()
		_ = post.Close()
		return nil, fmt.Errorf("open HTTP tunnel: %w", err)
	}
	return &tunnel{Conn: get, post: post}, nil
}

// openGet opens the way from the camera, logging in where it wants that already.
func (c *Client) openGet(ctx context.Context, to, path, cookie string) (net.Conn, error) {
	for range 3 {
		conn, err := c.connect(ctx, to)
		if err != nil {
			return nil, err
		}
		m, err := c.get(ctx, conn, path, cookie)
		if err == nil && m.Code == 200 {
			return conn, nil
		}
		_ = conn.Close()
		if err != nil {
			return nil, fmt.Errorf("open HTTP tunnel: %w", err)
		}
		status := &StatusError{"GET", m.Code, m.Status}
		if m.Code != 401 {
			return nil, fmt.Errorf("%w: %w", ErrTransport, status)
		}
		if !c.login.challenged(ParseChallenges(m.Header.Values("WWW-Authenticate"))) {
			return nil, c.refused(status)
		}
	}
	return nil, fmt.Errorf("%w: it asks again and again", ErrLogin)
}

func (c *Client) tunnelRequest(method, path, cookie, extra string) []byte {
	b := fmt.Appendf(nil, "%s %s HTTP/1.0\r\nHost: %s\r\nUser-Agent: %s\r\nx-sessioncookie: %s\r\nPragma: no-cache\r\nCache-Control: no-cache\r\n%s",
		method, path, c.address.authority(), c.c.UserAgent, cookie, extra)
	if a := c.login.authorization(method, path); a != "" {
		b = fmt.Appendf(b, "Authorization: %s\r\n", a)
	}
	return append(b, "\r\n"...)
}

// get sends the GET and reads the header of its answer, byte by byte: what
// follows belongs to RTSP.
func (c *Client) get(ctx context.Context, conn net.Conn, path, cookie string) (*Message, error) {
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := conn.Write(c.tunnelRequest("GET", path, cookie, "Accept: application/x-rtsp-tunnelled\r\n")); err != nil {
		return nil, err
	}
	a := newAssembler()
	for b := make([]byte, 1); ; {
		if _, err := conn.Read(b); err != nil {
			return nil, err
		}
		if _, _, err := a.feed(b); err != nil {
			return nil, err
		}
		if a.body >= 0 {
			return &a.msg, nil // whatever length it claims, the body never ends
		}
	}
}

func (t *tunnel) Write(p []byte) (int, error) {
	t.scratch = base64.StdEncoding.AppendEncode(t.scratch[:0], p)
	if _, err := t.post.Write(t.scratch); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (t *tunnel) quiet() error {
	for _, c := range []net.Conn{t.Conn, t.post} {
		if q, ok := c.(interface{ quiet() error }); ok {
			if err := q.quiet(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *tunnel) Close() error { return errors.Join(t.Conn.Close(), t.post.Close()) }

func (t *tunnel) SetDeadline(at time.Time) error {
	return errors.Join(t.Conn.SetDeadline(at), t.post.SetDeadline(at))
}

package simulate

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// RTSP through HTTP, as QuickTime began it: the answers and packets come in the
// endless body of a GET, the requests go in base 64 in that of a POST; a cookie
// ties the two. Only a camera with tunnels allows it.

const tunnelType = "application/x-rtsp-tunnelled"

func (k *conn) tunnelGet(r *bufio.Reader) error {
	q, err := readRequest(r)
	if err != nil {
		return err
	}
	cookie := q.header["x-sessioncookie"]
	if !k.cam.httpTunnel || cookie == "" {
		k.out.send([]byte("HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n"))
		return errors.New("HTTP GET that is no tunnel")
	}
	k.cam.mu.Lock()
	k.tunnel = true
	k.cam.tunnels[cookie] = k
	k.cam.mu.Unlock()
	defer func() {
		k.cam.mu.Lock()
		delete(k.cam.tunnels, cookie)
		k.cam.mu.Unlock()
	}()
	k.out.send([]byte("HTTP/1.0 200 OK\r\nConnection: close\r\nCache-Control: no-store\r\nContent-Type: " + tunnelType + "\r\n\r\n"))
	_, err = io.Copy(io.Discard, r)
	return err
}

func (k *conn) tunnelPost(r *bufio.Reader) error {
	q, err := readRequest(r)
	if err != nil {
		return err
	}
	k.cam.mu.Lock()
	get := k.cam.tunnels[q.header["x-sessioncookie"]]
	k.cam.mu.Unlock()
	if get == nil {
		k.out.send([]byte("HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n"))
		return fmt.Errorf("HTTP POST with a cookie nobody knows")
	}
	return get.requests(bufio.NewReaderSize(&base64Stream{r: r}, 8<<10))
}

// base64Stream decodes base 64 that goes on after padding, because every
// request is encoded by itself.
type base64Stream struct {
	r    *bufio.Reader
	bits uint32
	n    int // characters of the open group of four
}

func (s *base64Stream) Read(p []byte) (int, error) {
	if len(p) < 3 {
		return 0, io.ErrShortBuffer
	}
	out := 0
	for out+3 <= len(p) {
		if out > 0 && s.r.Buffered() == 0 {
			return out, nil // do not wait while there is something to hand over
		}
		c, err := s.r.ReadByte()
		if err != nil {
			return out, err
		}
		v, pad := sextet(c)
		switch {
		case pad && s.n >= 2: // the group ends early
			full := s.bits << (6 * (4 - s.n))
			for i := range s.n - 1 {
				p[out] = byte(full >> (16 - 8*i))
				out++
			}
			s.bits, s.n = 0, 0
		case pad || v == 0xff:
			// white space, or the second sign of padding
		default:
			s.bits = s.bits<<6 | uint32(v)
			if s.n++; s.n == 4 {
				p[out], p[out+1], p[out+2] = byte(s.bits>>16), byte(s.bits>>8), byte(s.bits)
				out += 3
				s.bits, s.n = 0, 0
			}
		}
	}
	return out, nil
}

func sextet(c byte) (v byte, pad bool) {
	switch {
	case c >= 'A' && c <= 'Z':
		return c - 'A', false
	case c >= 'a' && c <= 'z':
		return c - 'a' + 26, false
	case c >= '0' && c <= '9':
		return c - '0' + 52, false
	case c == '+':
		return 62, false
	case c == '/':
		return 63, false
	}
	return 0xff, c == '='
}

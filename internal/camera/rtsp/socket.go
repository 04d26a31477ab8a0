package rtsp

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// readSize is the size of a read buffer: two of the largest interleaved frames.
const readSize = 128 << 10

// readBuffers are shared by all cameras. One is held only while a camera's
// packets are being read and parsed, never while waiting.
var readBuffers = sync.Pool{New: func() any { return new([readSize]byte) }}

// errNothing means that there is nothing to read just now. It is temporary in the
// sense of net.Error, so that crypto/tls can go on after it.
var errNothing error = nothing{}

type nothing struct{}

func (nothing) Error() string   { return "nothing to read yet" }
func (nothing) Timeout() bool   { return true }
func (nothing) Temporary() bool { return true }

// socket is a connection that can be taken away from the runtime's poller, see
// [socket.quiet]. Until then it is the connection it was made of.
type socket struct {
	net.Conn
	fd   int  // -1 until quiet
	slow bool // quiet, but with no descriptor to be had: reads wait a little
}

func newSocket(c net.Conn) *socket { return &socket{Conn: c, fd: -1} }

// quiet takes the socket away from the poller: an edge-triggered poll wakes a
// thread for each segment that arrives, whether or not anybody waits for it.
// From then on reads return [errNothing] at once where they would wait.
func (s *socket) quiet() error {
	sc, ok := s.Conn.(syscall.Conn)
	if !ok {
		s.slow = true // a pipe, or wrapped by the dialer
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return fmt.Errorf("take over socket: %w", err)
	}
	fd := -1
	var dupErr error
	if err := raw.Control(func(p uintptr) { fd, dupErr = dup(int(p)) }); err != nil {
		return fmt.Errorf("take over socket: %w", err)
	}
	if dupErr != nil {
		return fmt.Errorf("take over socket: %w", dupErr)
	}
	// Closing deregisters the runtime's descriptor; the connection lives on in ours.
	_ = s.Conn.Close()
	s.fd = fd
	return nil
}

// slowRead is how long a read of a connection without a descriptor may wait.
const slowRead = 2 * time.Millisecond

func (s *socket) Read(p []byte) (int, error) {
	if s.fd < 0 {
		if s.slow {
			_ = s.Conn.SetReadDeadline(time.Now().Add(slowRead))
		}
		return s.Conn.Read(p)
	}
	for {
		n, err := syscall.Read(s.fd, p)
		switch {
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			return 0, errNothing
		case err != nil:
			return 0, fmt.Errorf("read from camera: %w", err)
		case n == 0 && len(p) > 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// writePatience bounds how long a camera that reads nothing may hold us up.
const writePatience = 2 * time.Second

func (s *socket) Write(p []byte) (int, error) {
	if s.fd < 0 {
		return s.Conn.Write(p)
	}
	done := 0
	for waited := time.Duration(0); done < len(p); {
		n, err := syscall.Write(s.fd, p[done:])
		switch {
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			if waited >= writePatience {
				return done, fmt.Errorf("write to camera: %w", os.ErrDeadlineExceeded)
			}
			time.Sleep(5 * time.Millisecond)
			waited += 5 * time.Millisecond
		case err != nil:
			return done, fmt.Errorf("write to camera: %w", err)
		default:
			done += n
		}
	}
	return done, nil
}

func (s *socket) Close() error {
	if s.fd < 0 {
		return s.Conn.Close()
	}
	fd := s.fd
	s.fd = -1
	return syscall.Close(fd)
}

// SetDeadline does nothing once the socket is quiet: nothing blocks then.
func (s *socket) SetDeadline(t time.Time) error {
	if s.fd >= 0 {
		return nil
	}
	return s.Conn.SetDeadline(t)
}

func (s *socket) SetReadDeadline(t time.Time) error {
	if s.fd >= 0 {
		return nil
	}
	return s.Conn.SetReadDeadline(t)
}

func (s *socket) SetWriteDeadline(t time.Time) error {
	if s.fd >= 0 {
		return nil
	}
	return s.Conn.SetWriteDeadline(t)
}

// isNothing reports whether a read found nothing, now or until its deadline.
func isNothing(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

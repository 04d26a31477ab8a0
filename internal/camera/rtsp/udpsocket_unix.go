//go:build unix

package rtsp

import (
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// datagramSocket is a UDP socket outside the runtime's poller. Packets from
// others than the camera are thrown away; once the camera's port is known, by
// the kernel.
type datagramSocket struct {
	fd     int
	camera netip.Addr
	known  bool
}

func quietDatagrams(c *net.UDPConn, camera netip.Addr) (*datagramSocket, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("take over UDP socket: %w", err)
	}
	s := &datagramSocket{fd: -1, camera: camera}
	var dupErr error
	if err := raw.Control(func(p uintptr) { s.fd, dupErr = dup(int(p)) }); err != nil {
		return nil, fmt.Errorf("take over UDP socket: %w", err)
	}
	if dupErr != nil {
		return nil, fmt.Errorf("take over UDP socket: %w", dupErr)
	}
	_ = c.Close()
	return s, nil
}

func (s *datagramSocket) read(p []byte) (int, error) {
	for range maxDatagrams {
		n, err := s.next(p)
		switch {
		case err == unix.EINTR, err == unix.ECONNREFUSED: // an ICMP error of an earlier send
			continue
		case err == unix.EAGAIN:
			return 0, errNothing
		case err != nil:
			return 0, fmt.Errorf("read UDP from camera: %w", err)
		case n > 0:
			return n, nil
		}
	}
	return 0, errNothing
}

// next reads one datagram; 0 means it was not the camera's.
func (s *datagramSocket) next(p []byte) (int, error) {
	if s.known {
		return unix.Read(s.fd, p)
	}
	n, from, err := unix.Recvfrom(s.fd, p, 0)
	if err != nil {
		return 0, err
	}
	if addressOf(from) != s.camera {
		return 0, nil
	}
	// Cameras send from other ports than they say, so the port is learnt.
	s.known = unix.Connect(s.fd, from) == nil
	return n, nil
}

func addressOf(from unix.Sockaddr) netip.Addr {
	switch a := from.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrFrom4(a.Addr)
	case *unix.SockaddrInet6:
		return netip.AddrFrom16(a.Addr).Unmap()
	}
	return netip.Addr{}
}

func (s *datagramSocket) writeTo(p []byte, to netip.AddrPort) error {
	if s.known {
		_, _ = unix.Write(s.fd, p) // a lost report costs nothing
		return nil
	}
	var sa unix.Sockaddr = &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}
	if to.Addr().Is4() {
		sa = &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	}
	_ = unix.Sendto(s.fd, p, 0, sa)
	return nil
}

func (s *datagramSocket) close() {
	if s != nil && s.fd >= 0 {
		_ = unix.Close(s.fd)
		s.fd = -1
	}
}

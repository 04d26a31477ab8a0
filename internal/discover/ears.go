package discover

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/ipv4"
)

// Bounds on what is kept of datagrams.
const (
	maxDatagram       = 16 << 10
	maxDatagramsOfOne = 16
)

// System is the [Dialer] of this machine.
type System struct{}

// DialContext connects.
func (System) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{KeepAlive: -1}
	return d.DialContext(ctx, network, address)
}

// ListenPacket opens a UDP socket.
func (System) ListenPacket(ctx context.Context, address netip.Addr, on *net.Interface) (net.PacketConn, error) {
	var lc net.ListenConfig
	c, err := lc.ListenPacket(ctx, "udp", netip.AddrPortFrom(address, 0).String())
	if err != nil || on == nil {
		return c, err
	}
	p := ipv4.NewPacketConn(c)
	// One hop: not even a router that would pass it on does.
	if err := errors.Join(p.SetMulticastInterface(on), p.SetMulticastTTL(1)); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// ListenGroup joins a multicast group.
func (System) ListenGroup(_ context.Context, on *net.Interface, group netip.AddrPort) (net.PacketConn, error) {
	return net.ListenMulticastUDP("udp4", on, net.UDPAddrFromAddrPort(group))
}

// datagram is one answer over UDP.
type datagram struct {
	inquiry inquiry
	value   []byte
}

// ears hear answers over UDP until closed.
type ears struct {
	dialer  Dialer
	keep    func(netip.Addr) bool // whether an address was typed
	running sync.WaitGroup

	mu    sync.Mutex // guards what follows
	heard map[netip.Addr][]datagram
	conns map[string]net.PacketConn // by inquiry and where it is bound
}

func newEars(d Dialer, keep func(netip.Addr) bool) *ears {
	return &ears{dialer: d, keep: keep, heard: map[netip.Addr][]datagram{}, conns: map[string]net.PacketConn{}}
}

func (e *ears) close() {
	e.mu.Lock()
	for _, c := range e.conns {
		c.Close()
	}
	e.mu.Unlock()
	e.running.Wait()
}

// socket returns the one from which an inquiry is sent, and hears its answers.
func (e *ears) socket(ctx context.Context, q inquiry, at netip.Addr, on *net.Interface) (net.PacketConn, error) {
	key := q.name + " " + at.String()
	e.mu.Lock()
	defer e.mu.Unlock()
	if c := e.conns[key]; c != nil {
		return c, nil
	}
	c, err := e.dialer.ListenPacket(ctx, at, on)
	if err != nil {
		return nil, err
	}
	e.conns[key] = c
	e.running.Go(func() { e.hear(c, q) })
	if q.joined && on != nil {
		// Without the group the port may be another program's; then what comes to
		// who asked is heard, and nothing more.
		if g, err := e.dialer.ListenGroup(ctx, on, netip.AddrPortFrom(q.group, q.port)); err == nil {
			e.conns[key+" group"] = g
			e.running.Go(func() { e.hear(g, q) })
		}
	}
	return c, nil
}

func (e *ears) hear(c net.PacketConn, q inquiry) {
	buf := make([]byte, maxDatagram)
	for {
		n, from, err := c.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // such as a device that refused
			var ne net.Error
			if !errors.As(err, &ne) {
				return
			}
			continue
		}
		if u, ok := from.(*net.UDPAddr); ok {
			e.take(u.AddrPort().Addr().Unmap(), q, buf[:n])
		}
	}
}

func (e *ears) take(from netip.Addr, q inquiry, b []byte) {
	if !e.keep(from) || !q.answers(b) {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	all := e.heard[from]
	if len(all) >= maxDatagramsOfOne {
		return
	}
	e.heard[from] = append(all, datagram{q, append([]byte(nil), b...)})
}

// of returns what an address has said so far.
func (e *ears) of(a netip.Addr) []datagram {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]datagram(nil), e.heard[a.WithZone("")]...)
}

// segment is a network that this machine is in.
type segment struct {
	on *net.Interface
	at netip.Prefix // our address in it
}

// segments are the networks in which multicast may be sent for a range: those
// that hold all of it.
func (s *scan) segments(r Range) []segment {
	if s.o.NoMulticast || !r.First.Is4() {
		return nil
	}
	all, err := net.Interfaces()
	if err != nil {
		return nil
	}
	var out []segment
	for i, on := range all {
		if len(s.o.Interfaces) > 0 && !named(s.o.Interfaces, on.Name) || on.Flags&net.FlagUp == 0 {
			continue
		}
		addresses, err := on.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addresses {
			p, err := netip.ParsePrefix(a.String())
			if err == nil && p.Addr().Is4() && p.Masked().Contains(r.First) && p.Masked().Contains(r.Last) {
				out = append(out, segment{&all[i], p})
			}
		}
	}
	return out
}

func named(names []string, name string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

// listenFor is how long a multicast inquiry is given before addresses are asked
// one by one. WS-Discovery lets a device wait half a second (1.1, 3.1.3).
const listenFor = 700 * time.Millisecond

// callAll sends every inquiry to the groups of a range's own segment, and
// reports whether it did.
func (s *scan) callAll(ctx context.Context, r *stretch) (bool, error) {
	called := false
	for _, seg := range s.segments(r.Range) {
		for _, q := range inquiries() {
			c, err := s.ears.socket(ctx, q, seg.at.Addr(), seg.on)
			if err != nil {
				continue // an interface without multicast; the addresses are asked one by one
			}
			for _, p := range q.payloads() {
				if err := r.pace.wait(ctx); err != nil {
					return called, err
				}
				s.sent(q.name)
				if _, err := c.WriteTo(p, net.UDPAddrFromAddrPort(netip.AddrPortFrom(q.group, q.port))); err == nil {
					called = true
				}
			}
		}
	}
	if !called {
		return false, nil
	}
	select {
	case <-ctx.Done():
		return true, ctx.Err()
	case <-time.After(listenFor):
	}
	return true, nil
}

// call sends the inquiries to one address.
func (s *scan) call(ctx context.Context, r *stretch, a netip.Addr) error {
	at := netip.IPv4Unspecified()
	if a.Is6() {
		at = netip.IPv6Unspecified()
	}
	for _, q := range inquiries() {
		c, err := s.ears.socket(ctx, q, at, nil)
		if err != nil {
			continue
		}
		for _, p := range q.payloads() {
			if err := r.pace.wait(ctx); err != nil {
				return err
			}
			s.sent(q.name)
			_, _ = c.WriteTo(p, net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, q.port)))
		}
	}
	return nil
}

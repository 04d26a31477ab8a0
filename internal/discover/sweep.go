package discover

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Bounds on how much goes on at once.
const (
	maxAttempts = 128 // addresses of which it is not known whether they answer
	maxHosts    = 16  // devices being asked
)

// run scans: every range is first called by multicast where it is our own
// segment, then swept, and what answers is asked in full meanwhile.
func (s *scan) run(ctx context.Context) (err error) {
	defer func() { s.end(err) }()
	s.ears = newEars(s.o.Dialer, s.typed)
	defer s.ears.close()
	hosts := make(chan struct{}, maxHosts)
	var running sync.WaitGroup
	for _, r := range s.ranges {
		running.Go(func() { s.sweep(ctx, r, hosts) })
	}
	running.Wait()
	return ctx.Err()
}

func (s *scan) typed(a netip.Addr) bool {
	for _, r := range s.ranges {
		if r.Contains(a) {
			return true
		}
	}
	return false
}

// sweep goes through a range in order. It returns after its last address.
func (s *scan) sweep(ctx context.Context, r *stretch, hosts chan struct{}) {
	called, err := s.callAll(ctx, r)
	if err != nil {
		return
	}
	attempts := make(chan struct{}, maxAttempts)
	var running sync.WaitGroup
	defer running.Wait()
	for i := r.from; i < r.Len(); i++ {
		select {
		case <-ctx.Done():
			return
		case attempts <- struct{}{}:
		}
		running.Go(func() {
			h := newHost(s, r, r.At(i))
			here := s.answers(ctx, h)
			<-attempts
			var f *Found
			if here {
				select {
				case <-ctx.Done():
				case hosts <- struct{}{}:
					f = h.ask(ctx, called)
					<-hosts
				}
			}
			h.hangUp()
			// What was cut short is asked again on resuming.
			if ctx.Err() == nil {
				s.finished(r, i, f)
			}
		})
	}
}

// answers reports whether anything is at an address: it was heard, or takes or
// refuses a connection at one of the first two ports. What connects is kept.
func (s *scan) answers(ctx context.Context, h *host) bool {
	if len(s.ears.of(h.addr)) > 0 {
		return true
	}
	for _, port := range s.o.Ports[:min(2, len(s.o.Ports))] {
		c, err := h.dial(ctx, port)
		switch {
		case err == nil:
			h.connected[port] = c
			return true
		case ctx.Err() != nil:
			return false
		case errors.Is(err, syscall.ECONNREFUSED) && !h.addr.IsLoopback():
			// Somebody is there to refuse. On loopback that is this machine, which
			// refuses for addresses at which nobody lives.
			h.refused[port] = true
			return true
		case errors.Is(err, syscall.ECONNREFUSED):
			h.refused[port] = true
		}
	}
	return false
}

// dial connects to a port, when the pace allows.
func (h *host) dial(ctx context.Context, port int) (net.Conn, error) {
	if err := h.r.pace.wait(ctx); err != nil {
		return nil, err
	}
	h.s.sent("tcp")
	ctx, cancel := context.WithTimeout(ctx, h.s.o.Timeout)
	defer cancel()
	c, err := h.s.o.Dialer.DialContext(ctx, "tcp", net.JoinHostPort(h.addr.String(), strconv.Itoa(port)))
	if err != nil {
		return nil, err
	}
	return &meteredConn{Conn: c, h: h}, nil
}

// meteredConn counts what a device sends against what one may cost.
type meteredConn struct {
	net.Conn
	h *host
}

// errEnough ends the asking of a device that sent more than one may.
var errEnough = errors.New("device sent more than it may cost")

func (c *meteredConn) Read(b []byte) (int, error) {
	left := maxBytes - c.h.bytes.Load()
	if left <= 0 {
		return 0, errEnough
	}
	n, err := c.Conn.Read(b[:min(int64(len(b)), left)])
	c.h.bytes.Add(int64(n))
	return n, err
}

// SetDeadline never allows more than the device has left.
func (c *meteredConn) SetDeadline(t time.Time) error {
	if u := c.h.until; !u.IsZero() && u.Before(t) {
		t = u
	}
	return c.Conn.SetDeadline(t)
}

package discover

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
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
	s.begin()
	s.ears = newEars(s.o.Dialer, s.typed)
	defer s.ears.close()
	hosts := make(chan struct{}, maxHosts)
	var running sync.WaitGroup
	for _, r := range s.ranges {
		running.Go(func() { s.sweep(ctx, r, hosts) })
	}
	running.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return s.unsentTrouble()
}

func (s *scan) typed(a netip.Addr) bool {
	for _, r := range s.ranges {
		if r.Contains(a) {
			return true
		}
	}
	return false
}

// block is how many addresses are tried at the first port before those that
// kept silent are tried at the second: whoever is there is asked meanwhile.
const block = 256

// sweep goes through a range in order. It returns after its last address.
func (s *scan) sweep(ctx context.Context, r *stretch, hosts chan struct{}) {
	called, err := s.callAll(ctx, r)
	if err != nil {
		return
	}
	var asking sync.WaitGroup
	defer asking.Wait()
	for from := r.from; from < r.Len() && ctx.Err() == nil; from += block {
		var silent []*host
		for i := from; i < min(from+block, r.Len()); i++ {
			silent = append(silent, newHost(s, r, i))
		}
		for n, port := range s.o.Ports[:min(2, len(s.o.Ports))] {
			here := s.try(ctx, silent, port, n == 0)
			silent = slices.DeleteFunc(silent, func(h *host) bool { return here[h] })
			for h := range here {
				asking.Go(func() { s.visit(ctx, h, called, hosts) })
			}
		}
		for _, h := range silent {
			// What was cut short is asked again on resuming.
			if ctx.Err() == nil {
				s.finished(r, h.n, nil)
			}
		}
	}
}

// try finds out who of them is there, by what was heard or by one port.
func (s *scan) try(ctx context.Context, all []*host, port int, first bool) map[*host]bool {
	var mu sync.Mutex
	here := map[*host]bool{}
	attempts := make(chan struct{}, maxAttempts)
	var running sync.WaitGroup
	for _, h := range all {
		if first && len(s.ears.of(h.addr)) > 0 {
			mu.Lock()
			here[h] = true
			mu.Unlock()
			continue
		}
		attempts <- struct{}{}
		running.Go(func() {
			defer func() { <-attempts }()
			if s.answers(ctx, h, port) {
				mu.Lock()
				here[h] = true
				mu.Unlock()
			}
		})
	}
	running.Wait()
	return here
}

// visit asks a device when it is its turn.
func (s *scan) visit(ctx context.Context, h *host, called bool, hosts chan struct{}) {
	defer h.hangUp()
	select {
	case <-ctx.Done():
		return
	case hosts <- struct{}{}:
	}
	f := h.ask(ctx, called)
	<-hosts
	if ctx.Err() == nil {
		s.finished(h.r, h.n, f)
	}
}

// answers reports whether somebody takes or refuses a connection. What connects
// is kept.
func (s *scan) answers(ctx context.Context, h *host, port int) bool {
	c, err := h.dial(ctx, port)
	switch {
	case err == nil:
		h.connected[port] = c
		return true
	case errors.Is(err, syscall.ECONNREFUSED):
		h.refused[port] = true
		// Somebody is there to refuse. On loopback that is this machine, which
		// refuses for addresses at which nobody lives.
		return !h.addr.IsLoopback()
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
	h.s.dialled(err)
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

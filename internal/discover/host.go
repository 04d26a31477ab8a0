package discover

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchward/watchward/internal/camera/exchange"
	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/identify"
)

// What one device may cost, whatever it does.
const (
	maxBytes    = 1 << 20          // received over TCP
	maxTime     = 25 * time.Second // from its first question to its last
	maxValue    = 64 << 10         // of one piece of evidence
	maxEvidence = 64               // pieces

	portsAtOnce = 3 // connections to one device
)

// host is one address being asked.
type host struct {
	s    *scan
	r    *stretch
	n    int // which of r
	addr netip.Addr

	bytes     atomic.Int64
	until     time.Time
	connected map[int]net.Conn // by the sweep, not yet used
	refused   map[int]bool

	mu       sync.Mutex // guards what follows
	evidence []estate.Evidence
	cert     string
	web      bool // a web server was asked for its pages
	onvif    bool // ONVIF was found
	full     bool
}

func newHost(s *scan, r *stretch, n int) *host {
	return &host{s: s, r: r, n: n, addr: r.At(n), connected: map[int]net.Conn{}, refused: map[int]bool{}}
}

// hangUp closes what was not used.
func (h *host) hangUp() {
	for _, c := range h.connected {
		c.Close()
	}
}

// keep adds evidence: what came, as it came.
func (h *host) keep(kind string, port int, value []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.evidence) >= maxEvidence {
		h.full = true
		return
	}
	v := string(value[:min(len(value), maxValue)])
	for _, e := range h.evidence {
		if e.Kind == kind && e.Port == port && e.Value == v {
			return
		}
	}
	h.evidence = append(h.evidence, estate.Evidence{Kind: kind, Port: port, Value: v, At: h.s.o.Now().UTC(), Source: h.s.o.Source})
}

// ask gathers everything of a device. called says that its segment was asked by
// multicast: then who kept silent has nothing to say over UDP.
func (h *host) ask(ctx context.Context, called bool) *Found {
	h.until = time.Now().Add(maxTime)
	ctx, cancel := context.WithDeadline(ctx, h.until)
	defer cancel()
	if !called && h.s.call(ctx, h.r, h.addr) != nil {
		return nil
	}
	h.askPorts(ctx, func(p int) bool { return !isTLS(p) && !onlyONVIF(p) })
	if h.first(&h.onvif) { // not found elsewhere
		h.onvif = false
		h.askPorts(ctx, onlyONVIF)
	}
	// Behind TLS the pages are mostly the same; then the certificate is enough.
	h.askPorts(ctx, isTLS)
	h.askDescription(ctx)
	return h.sum(ctx)
}

// onlyONVIF are ports where some makers keep ONVIF and nothing else.
func onlyONVIF(port int) bool { return port == 8899 || port == 2020 }

func isTLS(port int) bool { return port == 443 || port == 8443 }

func (h *host) askPorts(ctx context.Context, which func(int) bool) {
	var running sync.WaitGroup
	room := make(chan struct{}, portsAtOnce)
	for _, port := range h.s.o.Ports {
		if !which(port) || h.refused[port] {
			continue
		}
		room <- struct{}{}
		c := h.connected[port]
		delete(h.connected, port)
		running.Go(func() {
			defer func() { <-room }()
			h.askPort(ctx, port, c)
		})
	}
	running.Wait()
}

// askPort finds out what speaks at a port and asks it.
func (h *host) askPort(ctx context.Context, port int, c net.Conn) {
	if c == nil {
		var err error
		if c, err = h.dial(ctx, port); err != nil {
			return
		}
	}
	h.keep(identify.KindPort, port, []byte(strconv.Itoa(port)))
	switch {
	case quiet(port):
		c.Close()
	case isTLS(port):
		h.askTLS(ctx, port, c)
	case port == 554 || port == 8554:
		h.askRTSP(ctx, port, c)
	default:
		h.askUnknown(ctx, port, c)
	}
}

// askUnknown asks for a page; what answers otherwise shows what it speaks.
func (h *host) askUnknown(ctx context.Context, port int, c net.Conn) {
	head := h.askWeb(ctx, port, exchange.New(c, exchange.Limits{}), false)
	again := h.askTLS
	switch {
	case strings.HasPrefix(head, "RTSP/"):
		again = h.askRTSP
	case !strings.HasPrefix(head, "\x15\x03") && !strings.Contains(head, "HTTPS port") && !strings.Contains(head, "HTTPS server"):
		return
	}
	if c, err := h.dial(ctx, port); err == nil {
		again(ctx, port, c)
	}
}

// sum is what was found.
func (h *host) sum(ctx context.Context) *Found {
	for _, d := range h.s.ears.of(h.addr) {
		h.keep(d.inquiry.kind, int(d.inquiry.port), d.value)
	}
	f := &Found{Address: h.addr, CertSHA256: h.cert, At: h.s.o.Now().UTC()}
	if mac := h.s.neighbour(h.addr); mac != "" {
		f.MACs = []string{mac}
		h.keep(identify.KindMAC, 0, []byte(mac))
	}
	switch {
	case h.bytes.Load() >= maxBytes:
		f.Partial = "it sent more than a device may"
	case ctx.Err() != nil:
		f.Partial = "it took longer than a device may"
	case h.full:
		f.Partial = "it showed more than is kept"
	}
	f.Evidence = h.evidence
	number(f.Evidence)
	return f
}

// number orders evidence and gives each piece its name.
func number(all []estate.Evidence) {
	slices.SortStableFunc(all, func(a, b estate.Evidence) int {
		if a.Port != b.Port {
			return a.Port - b.Port
		}
		return strings.Compare(a.Kind, b.Kind)
	})
	for i := range all {
		all[i].ID = "e" + strconv.Itoa(i+1)
	}
}

// neighbour looks up a hardware address; the table is read anew now and then.
func (s *scan) neighbour(a netip.Addr) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mac == nil || time.Since(s.macAt) > time.Second {
		s.mac, s.macAt = s.o.Neighbours(), time.Now()
		if s.mac == nil {
			s.mac = map[netip.Addr]string{}
		}
	}
	return s.mac[a]
}

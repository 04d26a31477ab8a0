package live

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/logging"
)

const (
	udpBuffer = 1 << 20   // bytes; a keyframe for several viewers at once
	tcpBuffer = 512 << 10 // bytes for each viewer by TCP, above which packets are dropped

	closing = time.Second // for the TCP port at the end
)

// ports is the one UDP port, on each of the machine's addresses, and the one TCP
// port that all WebRTC viewers share. It is an [ice.UDPMux]: ICE tells viewers
// apart by the user fragment of their first packet.
//
// A socket for each address, and not one for all, so that answers leave from
// the address that was asked. Addresses that appear later (a lease, a VPN)
// get their socket when the next viewer comes.
type ports struct {
	o   Options
	log logging.LoggerFactory

	mu     sync.Mutex
	port   int // 0 until the first socket is open
	muxes  map[netip.Addr]*ice.UDPMuxDefault
	tcp    *ice.TCPMuxDefault  // nil if it cannot be had
	tried  bool                // to open the TCP port
	failed map[netip.Addr]bool // addresses without a port, said once
	closed bool
}

func openPorts(o Options) (*ports, error) {
	p := &ports{o: o, log: iceLog(o.Log), port: o.UDPPort, muxes: map[netip.Addr]*ice.UDPMuxDefault{}, failed: map[netip.Addr]bool{}}
	if err := p.refresh(); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func (p *ports) openTCP() {
	p.tried = true
	host := ""
	if p.o.LoopbackOnly {
		host = "127.0.0.1"
	}
	ln, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(p.port)))
	if err != nil {
		// Hardly anybody needs it: say so and go on with UDP.
		p.o.Log.Warn("live: no TCP port for viewers whose network lets no UDP through", "port", p.port, "err", err)
		return
	}
	p.tcp = ice.NewTCPMuxDefault(ice.TCPMuxParams{
		Listener: ln, Logger: p.log.NewLogger("ice"), ReadBufferSize: 64, WriteBufferSize: tcpBuffer,
	})
}

// refresh opens a socket on each address that has none and closes those of
// addresses that are gone.
func (p *ports) refresh() error {
	addrs, err := addresses(p.o)
	if err != nil {
		return fmt.Errorf("list addresses of this machine: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return net.ErrClosed
	}
	for addr, mux := range p.muxes {
		if !slices.Contains(addrs, addr) {
			_ = mux.Close() // its address is gone: nothing can be lost any more
			delete(p.muxes, addr)
		}
	}
	var failed error
	for _, addr := range addrs {
		if p.muxes[addr] != nil {
			continue
		}
		err := p.open(addr)
		if err != nil {
			failed = errors.Join(failed, err)
		}
		if err != nil && !p.failed[addr] {
			p.o.Log.Warn("live: address without a port for WebRTC", "err", err)
		}
		p.failed[addr] = err != nil
	}
	if len(p.muxes) == 0 {
		return failed // nil on a machine that starts before its network
	}
	// One address that cannot be had (an IPv6 address still being checked for
	// duplicates) does not keep the others from being used.
	if !p.tried {
		p.openTCP()
	}
	return nil
}

// byTCP is the TCP port, nil if there is none.
func (p *ports) byTCP() *ice.TCPMuxDefault {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tcp
}

func (p *ports) open(addr netip.Addr) error {
	at := netip.AddrPortFrom(addr, uint16(p.port))
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return fmt.Errorf("open UDP port %q for WebRTC: %w", at, err)
	}
	// Best effort: the kernel's own sizes do, with more resending.
	_ = conn.SetWriteBuffer(udpBuffer)
	_ = conn.SetReadBuffer(udpBuffer)
	if local, ok := conn.LocalAddr().(*net.UDPAddr); ok && p.port == 0 {
		p.port = local.Port
	}
	p.muxes[addr] = ice.NewUDPMuxDefault(ice.UDPMuxParams{Logger: p.log.NewLogger("ice"), UDPConn: conn})
	return nil
}

// addresses lists those that viewers may reach us by. Link-local ones are left
// out: they mean nothing without a zone, which browsers cannot be told.
func addresses(o Options) ([]netip.Addr, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var addrs []netip.Addr
	for _, a := range all {
		ipnet, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		addr, ok := netip.AddrFromSlice(ipnet.IP)
		addr = addr.Unmap()
		switch {
		case !ok, addr.IsLinkLocalUnicast(), addr.IsMulticast(), addr.IsUnspecified():
		case addr.IsLoopback() && !o.Loopback, !addr.IsLoopback() && o.LoopbackOnly:
		default:
			addrs = append(addrs, addr)
		}
	}
	return addrs, nil
}

// networked reports whether this machine has a network. Without one the only
// browser that can reach us runs on it, and browsers do not use loopback alone
// for WebRTC: Chromium then finds no address of its own and waits forever.
func networked() bool {
	all, err := net.Interfaces()
	if err != nil {
		return true // not known: let the browser try
	}
	return slices.ContainsFunc(all, func(i net.Interface) bool {
		if i.Flags&net.FlagUp == 0 || i.Flags&net.FlagLoopback != 0 {
			return false
		}
		addrs, err := i.Addrs()
		return err == nil && len(addrs) > 0
	})
}

// offered reports whether ip may be named to viewers as a TCP candidate.
func (p *ports) offered(ip net.IP) bool {
	addr, ok := netip.AddrFromSlice(ip)
	addr = addr.Unmap()
	return ok && !addr.IsLinkLocalUnicast() && (!p.o.LoopbackOnly || addr.Is4() && addr.IsLoopback())
}

// GetConn is for package ice: the packets of one viewer at one address.
func (p *ports) GetConn(ufrag string, addr net.Addr) (net.PacketConn, error) {
	udp, ok := addr.(*net.UDPAddr)
	if !ok {
		return nil, fmt.Errorf("address %q: want UDP", addr)
	}
	p.mu.Lock()
	mux := p.muxes[udp.AddrPort().Addr().Unmap()]
	p.mu.Unlock()
	if mux == nil {
		return nil, fmt.Errorf("no UDP port at %q", addr)
	}
	return mux.GetConn(ufrag, addr)
}

// RemoveConnByUfrag is for package ice: the viewer is gone.
func (p *ports) RemoveConnByUfrag(ufrag string) {
	for _, mux := range p.all() {
		mux.RemoveConnByUfrag(ufrag)
	}
}

// GetListenAddresses is for package ice: where viewers can reach us.
func (p *ports) GetListenAddresses() []net.Addr {
	var addrs []net.Addr
	for _, mux := range p.all() {
		addrs = append(addrs, mux.GetListenAddresses()...)
	}
	return addrs
}

func (p *ports) all() []*ice.UDPMuxDefault {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]*ice.UDPMuxDefault, 0, len(p.muxes))
	for _, mux := range p.muxes {
		all = append(all, mux)
	}
	return all
}

// Close closes all ports.
func (p *ports) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	var err error
	for _, mux := range p.all() {
		err = errors.Join(err, mux.Close())
	}
	if tcp := p.byTCP(); tcp != nil {
		// The library waits for every viewer's connection and now and then has
		// forgotten one. By then listener and sockets are closed: nothing is
		// lost by going on, and the server must stop.
		done := make(chan error, 1)
		go func() { done <- tcp.Close() }()
		select {
		case e := <-done:
			err = errors.Join(err, e)
		case <-time.After(closing):
		}
	}
	return err
}

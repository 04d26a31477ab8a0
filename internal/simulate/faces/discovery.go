package faces

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// protocols are those of discovery over UDP, with their ports.
func protocols() map[string]int {
	return map[string]int{"wsdiscovery": 3702, "sadp": 37020, "dhip": 37810, "ssdp": 1900, "mdns": 5353}
}

// group is the multicast group of a protocol.
func group(name string) netip.Addr {
	switch name {
	case "dhip":
		return netip.AddrFrom4([4]byte{239, 255, 255, 251})
	case "mdns":
		return netip.AddrFrom4([4]byte{224, 0, 0, 251})
	}
	return netip.AddrFrom4([4]byte{239, 255, 255, 250})
}

// answer is what turns an inquiry of a protocol into an answer, nil bytes being
// silence. It is nil itself where the face does not speak the protocol.
func (d *Device) answer(name string) func([]byte) []byte {
	switch {
	case name == "wsdiscovery" && d.face.ProbeMatch != "":
		return d.probeMatch
	case name == "sadp" && d.face.SADP != "":
		return d.sadp
	case name == "dhip" && d.face.DHIP != "":
		return d.dhip
	case name == "ssdp" && d.face.SSDP != "":
		return d.ssdp
	case name == "mdns" && d.face.MDNS.Service != "":
		return d.mdns
	}
	return nil
}

const maxPacket = 8 << 10

// listenUDP opens a port for unicast. The multicast listeners of the town, and
// of another one, have the same port at other addresses.
func (d *Device) listenUDP(ctx context.Context, port int) (*net.UDPConn, error) {
	tries := []int{port, 0}
	if d.o.Shared {
		tries = []int{0}
	}
	var err error
	for _, p := range tries {
		var lc net.ListenConfig
		if p != 0 { // a free port must be nobody else's
			lc.Control = reusePort
		}
		var c net.PacketConn
		if c, err = lc.ListenPacket(ctx, "udp4", netip.AddrPortFrom(d.o.Host, uint16(p)).String()); err == nil {
			return c.(*net.UDPConn), nil
		}
	}
	return nil, err
}

func reusePort(_, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) { failed = reuseAddress(fd) })
	if err != nil {
		return err
	}
	return failed
}

// hear answers unicast inquiries until conn is closed.
func (d *Device) hear(name string, conn *net.UDPConn) {
	answer := d.answer(name)
	buf := make([]byte, maxPacket)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		d.reply(conn, from, answer, buf[:n])
	}
}

func (d *Device) reply(conn *net.UDPConn, from netip.AddrPort, answer func([]byte) []byte, inquiry []byte) {
	if d.o.Down() || !from.Addr().Unmap().IsLoopback() {
		return
	}
	if out := answer(inquiry); out != nil {
		_, _ = conn.WriteToUDPAddrPort(out, from)
	}
}

// Crowd answers multicast inquiries for many devices, each from its own address.
// It hears loopback only.
type Crowd struct {
	devices []*Device
	conns   map[string]*net.UDPConn
}

// Gather joins the multicast groups on the loopback interface. Where that is
// not to be had, the crowd is deaf to multicast and says so by an error; it can
// be run all the same.
func Gather(devices []*Device) (*Crowd, error) {
	c := &Crowd{devices: devices, conns: map[string]*net.UDPConn{}}
	lo, err := loopback()
	if err != nil {
		return c, err
	}
	for name, port := range protocols() {
		conn, e := net.ListenMulticastUDP("udp4", lo, &net.UDPAddr{IP: group(name).AsSlice(), Port: port})
		if e != nil {
			err = e
			continue
		}
		c.conns[name] = conn
	}
	return c, err
}

func loopback() (*net.Interface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(i net.Interface) bool { return i.Flags&net.FlagLoopback != 0 })
	if i < 0 {
		return nil, &net.OpError{Op: "find", Net: "loopback interface", Err: syscall.ENODEV}
	}
	return &all[i], nil
}

// Run answers until ctx ends.
func (c *Crowd) Run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() {
		for _, conn := range c.conns {
			conn.Close()
		}
	})
	defer stop()
	var running sync.WaitGroup
	for name, conn := range c.conns {
		running.Go(func() { c.hear(name, conn) })
	}
	<-ctx.Done()
	running.Wait()
}

func (c *Crowd) hear(name string, conn *net.UDPConn) {
	buf := make([]byte, maxPacket)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		for _, d := range c.devices {
			if own := d.packets[name]; own != nil {
				d.reply(own, from, d.answer(name), buf[:n])
			}
		}
	}
}

// probeMatch answers a WS-Discovery Probe for types that the device has.
func (d *Device) probeMatch(b []byte) []byte {
	m, err := readMessage(b)
	if err != nil || m.op.Local != "Probe" {
		return nil
	}
	asked := strings.Fields(m.text["Types"])
	if d.face.ONVIF.SingleType && len(asked) > 1 {
		return nil
	}
	for _, t := range asked {
		if !slices.Contains(strings.Fields(d.face.ONVIF.Types), m.qualified(t)) {
			return nil
		}
	}
	fill := strings.NewReplacer("{relates}", escape(m.text["MessageID"]), "{message}", d.uuid)
	text := strings.ReplaceAll(d.face.ProbeMatch, "{scopes}", d.scopes())
	return []byte(fill.Replace(d.fill(text)))
}

// qualified writes prefix:name as a face's types line has it: by the usual
// prefix of its namespace.
func (m *message) qualified(t string) string {
	prefix, local, ok := strings.Cut(t, ":")
	if !ok {
		return t
	}
	usual := map[string]string{
		"http://www.onvif.org/ver10/network/wsdl": "dn",
		deviceNS: "tds",
		"http://schemas.xmlsoap.org/ws/2006/02/devprof":          "wsdp",
		"http://schemas.microsoft.com/windows/2006/08/wdp/print": "wprt",
	}[m.prefixes[prefix]]
	return usual + ":" + local
}

// sadp answers the inquiry, and nothing else: the protocol's other requests
// change devices.
func (d *Device) sadp(b []byte) []byte {
	m, err := readMessage(b)
	if err != nil || m.op.Local != "Probe" || !strings.HasPrefix(m.text["Types"], "inquiry") {
		return nil
	}
	fill := strings.NewReplacer("{probe}", escape(m.text["Uuid"]), "{types}", escape(m.text["Types"]))
	return []byte(fill.Replace(d.fill(d.face.SADP)))
}

// dhipHead is the length of the head of a DHIP packet: its own length, the
// magic word, two zeros, the length of the body twice, each with a word of zeros.
const dhipHead = 32

// dhip answers the search, and nothing else.
func (d *Device) dhip(b []byte) []byte {
	if len(b) < dhipHead || binary.LittleEndian.Uint32(b) != dhipHead || string(b[4:8]) != "DHIP" {
		return nil
	}
	n := binary.LittleEndian.Uint32(b[16:])
	if int64(n) != int64(len(b)-dhipHead) || n != binary.LittleEndian.Uint32(b[24:]) {
		return nil
	}
	var q struct {
		Method string `json:"method"`
	}
	if json.Unmarshal([]byte(strings.TrimRight(string(b[dhipHead:]), "\x00\n")), &q) != nil || q.Method != "DHDiscover.search" {
		return nil
	}
	body := d.fill(d.face.DHIP)
	out := make([]byte, dhipHead, dhipHead+len(body))
	binary.LittleEndian.PutUint32(out, dhipHead)
	copy(out[4:], "DHIP")
	binary.LittleEndian.PutUint32(out[16:], uint32(len(body)))
	binary.LittleEndian.PutUint32(out[24:], uint32(len(body)))
	return append(out, body...)
}

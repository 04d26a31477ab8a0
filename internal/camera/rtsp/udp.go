package rtsp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// datagrams are the two sockets of a track over UDP: RTP on an even port, RTCP
// on the next. Only the camera's own address is listened to. All methods may be
// called on nil, which does nothing: a track over TCP.
type datagrams struct {
	rtp, rtcp *net.UDPConn
	port      int
	camera    netip.Addr
	ports     [2]int // the camera's, 0 where it has not said
	quietRTP  *datagramSocket
	quietRTCP *datagramSocket
	order     order
	polls     int
	bytes     uint64
}

// receiveBuffer is what the kernel may hold of a track: a keyframe of several
// hundred kilobytes comes in one burst.
const receiveBuffer = 2 << 20

// newDatagrams opens a pair of ports on the address that control uses.
func newDatagrams(control net.Conn) (*datagrams, error) {
	local, ok1 := control.LocalAddr().(*net.TCPAddr)
	remote, ok2 := control.RemoteAddr().(*net.TCPAddr)
	if !ok1 || !ok2 {
		return nil, fmt.Errorf("%w: no IP address to receive UDP on", ErrTransport)
	}
	for range 32 {
		a, err := net.ListenUDP("udp", &net.UDPAddr{IP: local.IP, Zone: local.Zone})
		if err != nil {
			return nil, fmt.Errorf("open UDP port: %w", err)
		}
		port := a.LocalAddr().(*net.UDPAddr).Port
		if port&1 != 0 || port == 65534 {
			_ = a.Close()
			continue
		}
		b, err := net.ListenUDP("udp", &net.UDPAddr{IP: local.IP, Zone: local.Zone, Port: port + 1})
		if err != nil {
			_ = a.Close()
			continue
		}
		_ = a.SetReadBuffer(receiveBuffer) // as much as the system allows
		return &datagrams{rtp: a, rtcp: b, port: port, camera: remote.AddrPort().Addr().Unmap()}, nil
	}
	return nil, errors.New("open UDP ports: no even port with a free one after it")
}

// server is told which ports the camera says it sends from.
func (d *datagrams) server(ports [2]int) { d.ports = ports }

// punch sends a packet from each port to the camera's, so that address
// translation and firewalls between us let its packets through.
func (d *datagrams) punch() {
	if d == nil || d.ports[0] == 0 {
		return
	}
	rtp := [12]byte{0x80}
	rtcp := [8]byte{0x80, 201, 0, 1}
	_, _ = d.rtp.WriteToUDPAddrPort(rtp[:], netip.AddrPortFrom(d.camera, uint16(d.ports[0])))
	_, _ = d.rtcp.WriteToUDPAddrPort(rtcp[:], netip.AddrPortFrom(d.camera, uint16(d.ports[1])))
}

// quiet takes both sockets away from the poller, see [socket.quiet].
func (d *datagrams) quiet() (err error) {
	if d == nil {
		return nil
	}
	if d.quietRTP, err = quietDatagrams(d.rtp, d.camera); err != nil {
		return err
	}
	d.quietRTCP, err = quietDatagrams(d.rtcp, d.camera)
	return err
}

// maxDatagrams bounds one poll: a flood must not hold the camera's goroutine.
const maxDatagrams = 4096

// poll hands over everything that has come, in order.
func (d *datagrams) poll(track int, h Handler) error {
	if d == nil {
		return nil
	}
	buf := readBuffers.Get().(*[readSize]byte)
	defer readBuffers.Put(buf)
	now := time.Now()
	for range maxDatagrams {
		n, err := d.quietRTP.read(buf[:])
		if isNothing(err) {
			break
		}
		if err != nil {
			return err
		}
		d.bytes += uint64(n)
		d.order.push(buf[:n], now, func(p []byte) { h.RTP(track, p, now) })
	}
	d.order.expire(now, func(p []byte) { h.RTP(track, p, now) })
	if d.polls++; d.polls%8 != 0 { // reports come every few seconds
		return nil
	}
	for range 16 {
		n, err := d.quietRTCP.read(buf[:])
		if isNothing(err) {
			break
		}
		if err != nil {
			return err
		}
		h.RTCP(track, buf[:n], now)
	}
	return nil
}

func (d *datagrams) size() uint64 {
	if d == nil {
		return 0
	}
	return d.bytes
}

func (d *datagrams) sendRTCP(p []byte) error {
	if d.ports[1] == 0 {
		return nil
	}
	return d.quietRTCP.writeTo(p, netip.AddrPortFrom(d.camera, uint16(d.ports[1])))
}

func (d *datagrams) close() {
	if d == nil {
		return
	}
	_ = d.rtp.Close()
	_ = d.rtcp.Close()
	d.quietRTP.close()
	d.quietRTCP.close()
}

// order puts datagrams back into the order in which they were sent. What is in
// order passes through uncopied; what came early waits for what is missing, but
// neither long nor in great number.
type order struct {
	started bool
	next    uint16
	early   int // packets waiting
	slots   [orderSize][]byte
	since   time.Time // when the first of them came
}

const (
	orderSize = 64 // packets, a power of two
	orderWait = 150 * time.Millisecond
)

// push takes one datagram; out gets what is due, valid during the call.
func (o *order) push(p []byte, now time.Time, out func([]byte)) {
	if len(p) < 12 {
		return
	}
	seq := binary.BigEndian.Uint16(p[2:])
	if !o.started {
		o.started, o.next = true, seq
	}
	switch d := int16(seq - o.next); {
	case d == 0:
		out(p)
		o.next++
		o.flush(out)
	case d < 0 && d > -1000:
		// Late or a duplicate; what waited for it is gone.
	case d < 0 || d >= orderSize:
		o.drain(out) // numbering began anew, or far too much is missing
		out(p)
		o.next = seq + 1
	default:
		slot := &o.slots[seq%orderSize]
		if len(*slot) == 0 {
			if o.early == 0 {
				o.since = now
			}
			*slot = append((*slot)[:0], p...)
			o.early++
		}
	}
}

// flush hands out what is now in order.
func (o *order) flush(out func([]byte)) {
	for o.early > 0 {
		slot := &o.slots[o.next%orderSize]
		if len(*slot) == 0 {
			return
		}
		out(*slot)
		*slot = (*slot)[:0]
		o.early--
		o.next++
	}
}

// expire stops waiting for what is missing for too long.
func (o *order) expire(now time.Time, out func([]byte)) {
	if o.early > 0 && now.Sub(o.since) > orderWait {
		o.drain(out)
	}
}

// drain hands out everything that waits and lets go of its memory.
func (o *order) drain(out func([]byte)) {
	for o.early > 0 {
		slot := &o.slots[o.next%orderSize]
		if len(*slot) > 0 {
			out(*slot)
			o.early--
		}
		*slot = nil
		o.next++
	}
}

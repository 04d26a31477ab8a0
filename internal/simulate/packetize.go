package simulate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/watchward/watchward/internal/media"
)

const (
	maxPayload  = 1400 // bytes of RTP payload in a packet
	frameHeader = 4    // '$', channel, length: RFC 2326, 10.12
	rtpHeader   = 12
)

// plan is a track cut into packets once, to be sent over and over. It never
// changes, so any number of cameras and viewers share one.
type plan struct {
	format *media.Format
	frames []frame
	dur    int64 // length of the loop in units of the clock
	clock  int64
}

// frame is what is sent at one moment: packets one behind the other, each with
// room for its headers, of which length, marker and the interleaving's
// dollar sign are filled in.
type frame struct {
	dts, pts int64
	key      bool
	buf      []byte
	packets  int
	filler   int // bytes of filler data to send behind the packets, see appendFiller
}

// newPlan packetizes a track. Bitrate, where positive, is what the stream is
// filled up to, in bit/s.
func newPlan(t *track, bitrate int) (*plan, error) {
	p := &plan{format: t.format, dur: t.dur, clock: int64(t.format.ClockRate)}
	if p.clock <= 0 {
		return nil, errors.New("track without a clock rate")
	}
	for _, u := range t.units {
		var w packetWriter
		if err := w.unit(t.format, u); err != nil {
			return nil, err
		}
		if w.packets == 0 {
			continue
		}
		w.mark()
		p.frames = append(p.frames, frame{dts: u.dts, pts: u.pts, key: u.key, buf: w.buf, packets: w.packets})
	}
	if len(p.frames) == 0 {
		return nil, errors.New("track without frames")
	}
	if bitrate > 0 && (t.format.Codec == media.H264 || t.format.Codec == media.H265) {
		p.fill(int64(bitrate))
	}
	return p, nil
}

// maxFiller bounds the filler of one frame, for footage with long pauses.
const maxFiller = 1 << 20

// fill decides how much filler each frame carries so that the stream keeps to
// its rate. A large keyframe is made up for by the frames behind it.
func (p *plan) fill(bitrate int64) {
	sent := int64(0)
	for i := range p.frames {
		end := p.dur
		if i+1 < len(p.frames) {
			end = p.frames[i+1].dts
		}
		sent += int64(len(p.frames[i].buf))
		if due := scale(end, bitrate/8, p.clock); due > sent+64 {
			p.frames[i].filler = int(min(due-sent, maxFiller))
			sent = due
		}
	}
}

// loop is the plan's length in time.
func (p *plan) loop() time.Duration {
	return time.Duration(scale(p.dur, int64(time.Second), p.clock))
}

// bitrate is what the track sends, in bit/s.
func (p *plan) bitrate() int {
	total := 0
	for _, f := range p.frames {
		total += len(f.buf) + f.filler
	}
	return int(float64(total) * 8 / max(p.loop().Seconds(), 1))
}

// packetWriter collects the packets of one frame.
type packetWriter struct {
	buf     []byte
	packets int
	last    int // where the last packet begins
}

// packet opens a packet with a payload of n bytes in pieces.
func (w *packetWriter) packet(pieces ...[]byte) {
	n := rtpHeader
	for _, p := range pieces {
		n += len(p)
	}
	w.last = len(w.buf)
	w.buf = append(w.buf, '$', 0, byte(n>>8), byte(n))
	w.buf = append(w.buf, make([]byte, rtpHeader)...)
	w.buf[w.last+frameHeader] = 0x80 // version 2
	for _, p := range pieces {
		w.buf = append(w.buf, p...)
	}
	w.packets++
}

// mark sets the marker bit of the frame's last packet.
func (w *packetWriter) mark() { w.buf[w.last+frameHeader+1] |= 0x80 }

func (w *packetWriter) unit(f *media.Format, u unit) error {
	switch f.Codec {
	case media.H264, media.H265:
		w.video(f, u)
	case media.MJPEG:
		return w.jpeg(u.data)
	case media.AAC:
		// RFC 3640, 3.3.6: one access unit, its size in 13 bits, no index.
		if len(u.data) > maxPayload-4 {
			return fmt.Errorf("AAC frame of %d bytes: too large", len(u.data))
		}
		head := []byte{0, 16, byte(len(u.data) >> 5), byte(len(u.data) << 3)}
		w.packet(head, u.data)
	default:
		if len(u.data) > maxPayload {
			return fmt.Errorf("%v frame of %d bytes: too large", f.Codec, len(u.data))
		}
		w.packet(u.data)
	}
	return nil
}

// video sends parameter sets before each keyframe, whether or not the file has
// them there, as nearly every camera does; access unit delimiters are left out.
func (w *packetWriter) video(f *media.Format, u unit) {
	h265 := f.Codec == media.H265
	if u.key {
		for _, n := range f.ParameterSets {
			w.nal(n, h265)
		}
	}
	for _, n := range nals(u.data) {
		kind := n[0] & 31
		skip := kind == 7 || kind == 8 || kind == 9
		if h265 {
			kind = n[0] >> 1 & 63
			skip = kind >= 32 && kind <= 35
		}
		if !skip {
			w.nal(n, h265)
		}
	}
}

// nal sends one NAL unit: whole, or in fragments (RFC 6184, 5.8; RFC 7798, 4.4.3).
func (w *packetWriter) nal(n []byte, h265 bool) {
	if len(n) <= maxPayload {
		w.packet(n)
		return
	}
	head, kind := []byte{n[0]&0xe0 | 28}, n[0]&31
	rest := n[1:]
	if h265 {
		head, kind = []byte{n[0]&0x81 | 49<<1, n[1]}, n[0]>>1&63
		rest = n[2:]
	}
	size := maxPayload - len(head) - 1
	for first := true; len(rest) > 0; first = false {
		piece := rest[:min(len(rest), size)]
		rest = rest[len(piece):]
		fu := kind
		if first {
			fu |= 0x80
		}
		if len(rest) == 0 {
			fu |= 0x40
		}
		w.packet(head, []byte{fu}, piece)
	}
}

// appendFiller adds packets with one filler data NAL unit (H.264 7.3.2.7 type
// 12, H.265 7.3.2.8 type 38) of about n bytes, and moves the marker bit to the
// last of them. Last is where the frame's last packet begins in buf; ones is
// room that is used again.
func appendFiller(buf []byte, n int, h265 bool, last int, ones *[]byte) []byte {
	w := packetWriter{buf: buf, last: last}
	w.buf[last+frameHeader+1] &^= 0x80
	n = max(n-frameHeader-rtpHeader, 3)
	for len(*ones) < n {
		*ones = append(*ones, 0xff)
	}
	nal := (*ones)[:n]
	nal[0], nal[1], nal[n-1] = 12, 0xff, 0x80
	if h265 {
		nal[0], nal[1] = 38<<1, 1
	}
	w.nal(nal, h265)
	w.mark()
	nal[0], nal[1], nal[n-1] = 0xff, 0xff, 0xff
	return w.buf
}

// rtpStream is what makes a plan's packets those of one session.
type rtpStream struct {
	channel byte
	payload byte
	seq     uint16
	ssrc    uint32
	base    uint32 // timestamp at the epoch
	sent    uint32 // packets, for sender reports
	octets  uint32
}

// stamp writes the headers of the packets in buf.
func (s *rtpStream) stamp(buf []byte, ts uint32) {
	for len(buf) >= frameHeader+rtpHeader {
		n := frameHeader + int(buf[2])<<8 + int(buf[3])
		buf[1] = s.channel
		h := buf[frameHeader:]
		h[1] = h[1]&0x80 | s.payload
		binary.BigEndian.PutUint16(h[2:], s.seq)
		binary.BigEndian.PutUint32(h[4:], ts)
		binary.BigEndian.PutUint32(h[8:], s.ssrc)
		s.seq++
		s.sent++
		s.octets += uint32(n - frameHeader - rtpHeader)
		buf = buf[n:]
	}
}

// senderReport appends an RTCP sender report (RFC 3550, 6.4.1) with CNAME,
// framed for interleaving on the channel behind that of the packets.
func (s *rtpStream) senderReport(buf []byte, now time.Time, ts uint32) []byte {
	const cname = "watchward"
	report := make([]byte, 0, 64)
	report = append(report, 0x80, 200, 0, 6)
	report = binary.BigEndian.AppendUint32(report, s.ssrc)
	report = binary.BigEndian.AppendUint32(report, uint32(now.Unix()+2208988800))
	report = binary.BigEndian.AppendUint32(report, uint32(uint64(now.Nanosecond())<<32/1e9))
	report = binary.BigEndian.AppendUint32(report, ts)
	report = binary.BigEndian.AppendUint32(report, s.sent)
	report = binary.BigEndian.AppendUint32(report, s.octets)
	report = append(report, 0x81, 202, 0, 4)
	report = binary.BigEndian.AppendUint32(report, s.ssrc)
	report = append(report, 1, byte(len(cname)))
	report = append(report, cname...)
	report = append(report, 0) // end of the item, and to a multiple of four bytes
	buf = append(buf, '$', s.channel+1, 0, byte(len(report)))
	return append(buf, report...)
}

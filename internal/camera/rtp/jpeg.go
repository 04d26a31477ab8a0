package rtp

import (
	"encoding/binary"
	"time"

	"github.com/watchward/watchward/internal/media"
)

// jpeg builds JPEG pictures of RFC 2435: the packets carry the scan, this adds
// the headers that were left out.
type jpeg struct {
	output
	config    Config
	format    *media.Format
	open      bool
	bad       bool // the open picture misses something
	timestamp uint32
	scan      int             // where the scan begins in the open sample
	tables    map[byte][]byte // quantisation tables sent in band, by Q
	table     [128]byte       // room for computed ones
}

// maxTables is how many sets of quantisation tables are remembered.
const maxTables = 8

func newJPEG(r *Receiver, c Config) *jpeg {
	v := &jpeg{config: c, tables: make(map[byte][]byte)}
	v.r = r
	r.line.setup(c.ClockRate, 0, 0, 0)
	return v
}

func (v *jpeg) close() { v.arena.Reset() }

// lose drops the open picture. Each picture stands alone, so a loss ends no run;
// time that stepped does.
func (v *jpeg) lose(reason media.Reason, now time.Time) {
	v.bad = v.open
	if reason != media.PacketLoss {
		v.drop()
		v.lost(reason, now)
	}
}

func (v *jpeg) drop() {
	if v.open {
		v.r.stats.Dropped++
	}
	v.open, v.bad = false, false
	v.arena.Truncate(0)
}

// jpegHeader is the main header (RFC 2435, 3.1) with what follows it.
type jpegHeader struct {
	offset        int
	kind, q       byte
	width, height int
	restart       int
	precision     byte
	tables        []byte
}

func (v *jpeg) push(p *packet, now time.Time) {
	if v.open && p.timestamp != v.timestamp {
		v.finish(now)
	}
	h, data, ok := v.header(p.payload)
	if !ok {
		v.r.stats.Bad++
		v.bad = true
		return
	}
	if h.offset == 0 {
		if v.open {
			v.finish(now)
		}
		v.open, v.bad, v.timestamp = true, false, p.timestamp
		v.bad = !v.start(h)
	}
	if !v.open {
		return // its beginning is missing
	}
	switch at := len(v.arena.Open()) - v.scan; {
	case v.bad:
	case h.offset != at, at+len(data) > maxSample:
		v.bad = true
	default:
		v.arena.Append(data)
	}
	if p.marker {
		v.finish(now)
	}
}

// header reads the headers of one payload.
func (v *jpeg) header(b []byte) (h jpegHeader, data []byte, ok bool) {
	if len(b) < 8 {
		return h, nil, false
	}
	h.offset = int(binary.BigEndian.Uint32(b) & 0xffffff)
	h.kind, h.q = b[4], b[5]
	h.width, h.height = int(b[6])*8, int(b[7])*8
	b = b[8:]
	if h.kind >= 64 && h.kind < 128 {
		if len(b) < 4 {
			return h, nil, false
		}
		h.restart, b = int(binary.BigEndian.Uint16(b)), b[4:]
	}
	if h.q >= 128 && h.offset == 0 {
		if len(b) < 4 {
			return h, nil, false
		}
		n := int(binary.BigEndian.Uint16(b[2:]))
		h.precision, b = b[1], b[4:]
		if n > len(b) {
			return h, nil, false
		}
		h.tables, b = b[:n], b[n:]
	}
	return h, b, true
}

// start writes everything up to the scan.
func (v *jpeg) start(h jpegHeader) bool {
	tables, ok := v.quantisation(h)
	if !ok || h.kind&0x3f > 1 || h.kind >= 128 {
		v.r.stats.Bad++
		return false
	}
	if h.width == 0 || h.height == 0 { // above 2040 pixels the header has no room
		h.width, h.height = v.config.Width, v.config.Height
	}
	if h.width == 0 || h.height == 0 {
		v.r.stats.Bad++
		return false
	}
	if v.format == nil || v.format.Width != h.width || v.format.Height != h.height {
		v.jumped = v.format != nil // a new size begins a run
		v.format = &media.Format{Codec: media.MJPEG, ClockRate: v.config.ClockRate, Width: h.width, Height: h.height}
	}
	v.arena.Truncate(0)
	v.frameHeader(h, tables)
	v.scan = len(v.arena.Open())
	return true
}

// quantisation finds the two tables of a picture, luminance first.
func (v *jpeg) quantisation(h jpegHeader) ([]byte, bool) {
	switch {
	case h.q == 0:
		return nil, false
	case h.q < 128:
		scaleTables(&v.table, int(h.q))
		return v.table[:], true
	case len(h.tables) == 0 && h.q < 255:
		t, ok := v.tables[h.q]
		return t, ok
	}
	size := 64
	if h.precision&1 != 0 {
		size = 128
	}
	if h.precision&2 != 0 {
		size += 128
	} else {
		size += 64
	}
	t := h.tables
	if h.precision == 0 && len(t) == 64 { // one for both
		t = append(t[:64:64], t...)
	}
	if len(t) < size || h.precision > 3 {
		return nil, false
	}
	t = t[:size]
	if h.q < 255 && (len(v.tables) < maxTables || v.tables[h.q] != nil) {
		v.tables[h.q] = append(v.tables[h.q][:0], t...)
	}
	return t, true
}

// frameHeader writes the headers of ITU-T T.81, annex B.
func (v *jpeg) frameHeader(h jpegHeader, tables []byte) {
	a := &v.arena
	a.Append([]byte{0xff, 0xd8})
	split := len(tables) / 2
	if h.precision == 1 {
		split = 128
	} else if h.precision == 2 {
		split = 64
	}
	for i, t := range [][]byte{tables[:split], tables[split:]} {
		precision := byte(len(t)/128) << 4
		a.Append([]byte{0xff, 0xdb, 0, byte(3 + len(t)), precision | byte(i)})
		a.Append(t)
	}
	if h.restart > 0 {
		a.Append([]byte{0xff, 0xdd, 0, 4, byte(h.restart >> 8), byte(h.restart)})
	}
	sampling := byte(0x21) // 4:2:2
	if h.kind&0x3f == 1 {
		sampling = 0x22 // 4:2:0
	}
	a.Append([]byte{
		0xff, 0xc0, 0, 17, 8, byte(h.height >> 8), byte(h.height), byte(h.width >> 8), byte(h.width),
		3, 1, sampling, 0, 2, 0x11, 1, 3, 0x11, 1,
	})
	for _, t := range huffman {
		a.Append([]byte{0xff, 0xc4, 0, byte(3 + len(t.counts) + len(t.values)), t.class})
		a.Append([]byte(t.counts))
		a.Append([]byte(t.values))
	}
	a.Append([]byte{0xff, 0xda, 0, 12, 3, 1, 0, 2, 0x11, 3, 0x11, 0, 63, 0})
}

func (v *jpeg) finish(now time.Time) {
	scan := v.arena.Open()
	if v.bad || len(scan) <= v.scan {
		v.drop()
		return
	}
	if n := len(scan); scan[n-2] != 0xff || scan[n-1] != 0xd9 {
		v.arena.Append([]byte{0xff, 0xd9})
	}
	v.open = false
	v.publish(v.format, true, v.timestamp, now)
}

// scaleTables computes the tables for Q from 1 to 99 (RFC 2435, 4.2 and A).
func scaleTables(dst *[128]byte, q int) {
	q = min(max(q, 1), 99)
	factor := 200 - 2*q
	if q < 50 {
		factor = 5000 / q
	}
	for i := range 128 {
		base := int(luminance[zigzag[i&63]])
		if i >= 64 {
			base = int(chrominance[zigzag[i&63]])
		}
		dst[i] = byte(min(max((base*factor+50)/100, 1), 255))
	}
}

package rtp

import "encoding/binary"

// payload264 takes one payload of RFC 6184.
func (v *pictures) payload264(b []byte) {
	if len(b) < 1 {
		return
	}
	switch t := b[0] & 31; t {
	case 24: // STAP-A
		v.aggregate(b[1:])
	case 25: // STAP-B: the same behind a decoding order number
		if len(b) > 3 {
			v.aggregate(b[3:])
		}
	case 28: // FU-A
		v.fragment264(b)
	case 26, 27, 29, 30, 31: // interleaved mode, which no camera uses
		v.r.stats.Bad++
		v.spoiled = true
	default: // 0 is no NAL unit, but how a start code begins
		v.whole(b)
	}
}

// aggregate takes NAL units after 16-bit lengths.
func (v *pictures) aggregate(b []byte) {
	for len(b) >= 2 {
		n := int(binary.BigEndian.Uint16(b))
		if n > len(b)-2 {
			v.r.stats.Bad++
			v.spoiled = true
			return
		}
		v.whole(b[2 : 2+n])
		b = b[2+n:]
		if v.don && v.codec != 0 && len(b) > 0 {
			b = b[1:] // H.265: DOND before each NAL unit but the first
		}
	}
}

// fragment264 takes an FU-A. Start and end bit may both be set, which the
// standard forbids and CostarHD does.
func (v *pictures) fragment264(b []byte) {
	if len(b) < 2 {
		return
	}
	start, end := b[1]&0x80 != 0, b[1]&0x40 != 0
	if start {
		v.begin()
		v.arena.Extend(1)[0] = b[0]&0xe0 | b[1]&31
	}
	v.middle(b[2:], end)
}

// middle takes a piece of the open NAL unit.
func (v *pictures) middle(b []byte, end bool) {
	if v.nal < 0 {
		v.r.stats.Bad++
		v.spoiled, v.pictured = true, true // its beginning is missing
		return
	}
	v.arena.Append(b)
	if end {
		v.endNAL()
	}
}

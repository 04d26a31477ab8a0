package rtp

// payload265 takes one payload of RFC 7798.
func (v *pictures) payload265(b []byte) {
	if len(b) < 3 {
		return
	}
	switch t := b[0] >> 1 & 63; t {
	case 48: // AP
		b = b[2:]
		if v.don && len(b) > 2 {
			b = b[2:]
		}
		v.aggregate(b)
	case 49: // FU
		v.fragment265(b)
	case 50: // PACI: nobody sends it
		v.r.stats.Bad++
		v.spoiled = true
	default:
		if v.don && len(b) > 4 {
			v.begin()
			v.arena.Append(b[:2])
			v.middle(b[4:], true)
			return
		}
		v.whole(b)
	}
}

func (v *pictures) fragment265(b []byte) {
	fu, rest := b[2], b[3:]
	start, end := fu&0x80 != 0, fu&0x40 != 0
	if v.don && start {
		if len(rest) < 2 {
			return
		}
		rest = rest[2:]
	}
	if start {
		v.begin()
		h := v.arena.Extend(2)
		h[0], h[1] = b[0]&0x81|fu&63<<1, b[1]
	}
	v.middle(rest, end)
}

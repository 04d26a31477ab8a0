package h26x

// maxNAL is the longest parameter set that is read, in bytes. Real ones have
// 20 to 200; full scaling lists and 255 POC offsets stay under 3,000.
const maxNAL = 8 << 10

// unescape drops emulation prevention bytes (H.264 7.4.1, H.265 7.4.2.1): in
// 00 00 03 the 03 is not part of the payload.
func unescape(nal []byte) []byte {
	out := make([]byte, 0, len(nal))
	zeros := 0
	for _, c := range nal {
		if zeros >= 2 && c == 3 {
			zeros = 0
			continue
		}
		if c == 0 {
			zeros++
		} else {
			zeros = 0
		}
		out = append(out, c)
	}
	return out
}

// reader reads a raw byte sequence payload. Past the end it returns zeros and
// remembers that it did, so that parsers need not check each field.
type reader struct {
	b   []byte
	pos int  // in bits
	bad bool // read past the end, or a code too long
}

func (r *reader) u(n int) (v uint32) {
	for range n {
		v <<= 1
		if i := r.pos >> 3; i < len(r.b) {
			v |= uint32(r.b[i]>>(7-r.pos&7)) & 1
		} else {
			r.bad = true
		}
		r.pos++
	}
	return v
}

func (r *reader) flag() bool { return r.u(1) == 1 }

func (r *reader) skip(n int) {
	if r.pos += n; r.pos > len(r.b)*8 {
		r.bad = true
	}
}

// ue reads an Exp-Golomb code (9.1). One longer than 32 bits is an error.
func (r *reader) ue() uint32 {
	zeros := 0
	for !r.flag() {
		if zeros++; zeros > 31 || r.bad {
			r.bad = true
			return 0
		}
	}
	return 1<<zeros - 1 + r.u(zeros)
}

// upTo reads an Exp-Golomb code that the standard limits to most.
func (r *reader) upTo(most uint32) int {
	v := r.ue()
	if v > most {
		r.bad = true
		return 0
	}
	return int(v)
}

// se reads a signed Exp-Golomb code (9.1.1).
func (r *reader) se() int {
	v := r.ue()
	if v&1 == 1 {
		return int(v/2) + 1
	}
	return -int(v / 2)
}

package discover

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
)

// DefaultMaxAddresses is how many addresses may be scanned unless somebody asks
// for more.
const DefaultMaxAddresses = 1 << 16

// MaxAddresses is how many may be scanned at all: a /8.
const MaxAddresses = 1 << 24

// Range is a run of addresses that somebody typed.
type Range struct {
	Text        string // as typed
	First, Last netip.Addr
}

// Len is how many addresses it has.
func (r Range) Len() int { return int(distance(r.First, r.Last)) + 1 }

// At is the i-th address.
func (r Range) At(i int) netip.Addr { return plus(r.First, uint64(i)) }

// Contains reports whether an address is in it.
func (r Range) Contains(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return a.BitLen() == r.First.BitLen() && !a.Less(r.First.WithZone("")) && !r.Last.WithZone("").Less(a)
}

// RangeError is a range that is not scanned, with the way out.
type RangeError struct {
	Text, Why, hint string
}

func (e *RangeError) Error() string { return fmt.Sprintf("range %q: %s", e.Text, e.Why) }

// Hint says what to do about it.
func (e *RangeError) Hint() string { return e.hint }

const rangeForms = "write 10.0.0.0/24, 10.0.0.1-10.0.0.99, 10.0.0.1-99, one address, or an IPv6 address or short range"

// ParseRanges reads ranges as people type them. Together they may have at most
// limit addresses; zero means [DefaultMaxAddresses].
func ParseRanges(texts []string, limit int) ([]Range, error) {
	if limit <= 0 {
		limit = DefaultMaxAddresses
	}
	var all []Range
	total := uint64(0)
	for _, text := range texts {
		r, err := parseRange(strings.TrimSpace(text))
		if err != nil {
			return nil, err
		}
		n := distance(r.First, r.Last)
		if total += min(n, MaxAddresses) + 1; n >= MaxAddresses || total > uint64(limit) {
			return nil, tooMany(text, limit)
		}
		all = append(all, r)
	}
	return all, nil
}

func tooMany(text string, limit int) error {
	hint := "scan the networks that you run one after the other, or name those that hold cameras"
	if limit < MaxAddresses {
		hint = fmt.Sprintf("at the usual rate that takes %d minutes or more; %s; --max-addresses allows up to %d", limit/DefaultRate/60, hint, MaxAddresses)
	}
	return &RangeError{text, fmt.Sprintf("with it there are more than %d addresses", limit), hint}
}

func parseRange(text string) (Range, error) {
	r := Range{Text: text}
	bad := func(why string) (Range, error) { return Range{}, &RangeError{text, why, rangeForms} }
	switch first, last, dash := strings.Cut(text, "-"); {
	case strings.Contains(text, "/"):
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return bad("no network")
		}
		r.First, r.Last = ends(p.Masked())
	case dash:
		var err error
		if r.First, err = netip.ParseAddr(strings.TrimSpace(first)); err != nil {
			return bad("no address before the dash")
		}
		if r.Last, err = lastAddr(r.First, strings.TrimSpace(last)); err != nil {
			return bad("no address behind the dash")
		}
	default:
		a, err := netip.ParseAddr(text)
		if err != nil {
			return bad("neither an address nor a range")
		}
		r.First, r.Last = a, a
	}
	r.First, r.Last = r.First.Unmap(), r.Last.Unmap()
	if r.First.BitLen() != r.Last.BitLen() || r.Last.Less(r.First) {
		return bad("it ends before it begins")
	}
	for _, a := range []netip.Addr{r.First, r.Last} {
		if a.IsMulticast() || a.IsUnspecified() && r.First == r.Last || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
			return bad("no devices live there")
		}
	}
	return r, nil
}

// lastAddr reads the end of a range: an address, or the last number of one.
func lastAddr(first netip.Addr, text string) (netip.Addr, error) {
	a, err := netip.ParseAddr(text)
	if err == nil || !first.Is4() {
		return a, err
	}
	s := first.String()
	return netip.ParseAddr(s[:strings.LastIndexByte(s, '.')+1] + text)
}

// ends are the first and last address of a network that can be a device's: of
// IPv4, neither the network's own nor the broadcast address.
func ends(p netip.Prefix) (first, last netip.Addr) {
	first = p.Addr()
	host := first.BitLen() - p.Bits()
	if host >= 64 {
		return first, plus(first, 1<<63) // far too many, and refused for that
	}
	last = plus(first, 1<<host-1)
	if first.Is4() && p.Bits() <= 30 {
		return plus(first, 1), plus(first, 1<<host-2)
	}
	return first, last
}

// plus adds to an address, below its last 64 bits.
func plus(a netip.Addr, n uint64) netip.Addr {
	if a.Is4() {
		b := a.As4()
		binary.BigEndian.PutUint32(b[:], binary.BigEndian.Uint32(b[:])+uint32(n))
		return netip.AddrFrom4(b)
	}
	b := a.As16()
	binary.BigEndian.PutUint64(b[8:], binary.BigEndian.Uint64(b[8:])+n)
	return netip.AddrFrom16(b).WithZone(a.Zone())
}

// distance is how far b is behind a; what does not fit is the largest number.
func distance(a, b netip.Addr) uint64 {
	if a.BitLen() != b.BitLen() {
		return 1<<64 - 1
	}
	x, y := a.As16(), b.As16()
	if binary.BigEndian.Uint64(x[:8]) != binary.BigEndian.Uint64(y[:8]) {
		return 1<<64 - 1
	}
	return binary.BigEndian.Uint64(y[8:]) - binary.BigEndian.Uint64(x[8:])
}

// stretch is a range being scanned.
type stretch struct {
	Range
	pace *pace
	done []bool
	next int // the first that is not done
	from int // where this run began
}

func newStretch(r Range, rate int) *stretch {
	return &stretch{Range: r, pace: newPace(rate), done: make([]bool, r.Len())}
}

// skip leaves out the first n, and returns how many those are.
func (s *stretch) skip(n int) int {
	n = min(max(n, 0), len(s.done))
	for i := range n {
		s.done[i] = true
	}
	s.next, s.from = n, n
	return n
}

func (s *stretch) finish(i int) {
	s.done[i] = true
	for s.next < len(s.done) && s.done[s.next] {
		s.next++
	}
}

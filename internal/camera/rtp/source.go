package rtp

import "time"

// source follows the numbering of one track's packets.
type source struct {
	kind    uint8 // payload type expected
	matched bool  // a packet of that type has come
	others  int   // packets of other types before the first that matched

	started bool
	ssrc    uint32
	foreign int // packets in a row from another source
	next    uint16
	cycles  uint32 // wraps of the sequence number, in the upper 16 bits
	first   uint32 // extended number of the first packet
	repeats int    // packets in a row with a number already seen
	blind   bool   // the camera's numbering means nothing

	received, lost uint64

	// For receiver reports.
	reportedExpected, reportedReceived uint64
	lastSR                             uint32 // middle 32 bits of its NTP time
	lastSRAt                           time.Time
}

// What accept makes of a packet.
type verdict int

const (
	take    verdict = iota // the next one
	gap                    // packets before it are missing
	drop                   // a duplicate, late, or not ours
	restart                // another source took over
)

// patience with packets that do not fit, before believing them.
const (
	foreignLimit = 3  // packets in a row from another source
	repeatLimit  = 64 // numbers in a row that were seen before
	otherLimit   = 50 // packets of an unannounced payload type
	lateLimit    = 1000
)

// accept judges a packet by its numbers; missing is how many were lost before it.
func (s *source) accept(p *packet) (v verdict, missing int) {
	if p.kind != s.kind {
		// Some cameras announce one payload type and send another.
		if s.matched || p.kind >= 72 && p.kind <= 76 {
			return drop, 0
		}
		if s.others++; s.others < otherLimit {
			return drop, 0
		}
		s.kind = p.kind
	}
	s.matched = true
	if !s.started {
		s.begin(p)
		return take, 0
	}
	if p.ssrc != s.ssrc {
		// A stray packet, or the camera began anew: three in a row decide.
		if s.foreign++; s.foreign < foreignLimit {
			return drop, 0
		}
		s.begin(p)
		return restart, 0
	}
	s.foreign = 0
	return s.number(p.seq)
}

func (s *source) begin(p *packet) {
	s.started, s.ssrc, s.foreign, s.repeats = true, p.ssrc, 0, 0
	s.next, s.cycles = p.seq+1, 0
	if p.seq == 65535 {
		s.cycles = 1 << 16
	}
	s.first = uint32(p.seq)
	s.received, s.reportedExpected, s.reportedReceived = s.received+1, 0, 0
}

func (s *source) number(seq uint16) (verdict, int) {
	d := int(int16(seq - s.next))
	if d < 0 && d > -lateLimit && !s.blind {
		if s.repeats++; s.repeats < repeatLimit {
			return drop, 0
		}
		s.blind = true // numbers stand still or run backwards: do without
	}
	s.repeats = 0
	if seq < s.next && d >= 0 || seq == 65535 {
		s.cycles += 1 << 16
	}
	s.next = seq + 1
	s.received++
	if d == 0 || s.blind {
		return take, 0
	}
	if d < 0 {
		d = 1 // the numbering began anew: at least one is missing
	}
	s.lost += uint64(d)
	return gap, d
}

// highest is the extended highest sequence number (RFC 3550, 6.4.1).
func (s *source) highest() uint32 {
	n := s.cycles | uint32(s.next)
	return n - 1
}

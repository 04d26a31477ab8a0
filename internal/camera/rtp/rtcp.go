package rtp

import (
	"encoding/binary"
	"time"
)

// senderReport is a camera's word on which of its timestamps belongs to which
// time (RFC 3550, 6.4.1).
type senderReport struct {
	known     bool
	ntp       uint64 // seconds since 1900 in the upper 32 bits, fraction below
	timestamp uint32
}

// ntpEpoch is 1900 in Unix seconds.
const ntpEpoch = -2208988800

func (s senderReport) time() time.Time {
	sec := int64(s.ntp>>32) + ntpEpoch
	if s.ntp>>63 == 0 { // the era after 7 February 2036
		sec += 1 << 32
	}
	return time.Unix(sec, int64(s.ntp&0xffffffff)*1e9>>32)
}

// RTCP takes a compound packet of track i that arrived at now. Hanwha sends SDES
// without its terminator beside a valid report, so what cannot be read ends the
// packet without making the rest bad.
func (r *Receiver) RTCP(i int, b []byte, now time.Time) {
	t := r.track(i)
	if t == nil {
		return
	}
	for len(b) >= 4 && b[0]>>6 == 2 {
		size := 4 + 4*int(binary.BigEndian.Uint16(b[2:]))
		if size > len(b) {
			return
		}
		switch part := b[:size]; b[1] {
		case 200:
			r.report(t, part, now)
		case 203:
			if r.goodbye.IsZero() || r.lastData.After(r.goodbye) {
				r.goodbye = now
			}
		}
		b = b[size:]
	}
}

func (r *Receiver) report(t *track, b []byte, now time.Time) {
	if len(b) < 28 {
		return
	}
	ntp := binary.BigEndian.Uint64(b[8:])
	if ntp == 0 { // the camera has no clock
		return
	}
	t.sr = senderReport{true, ntp, binary.BigEndian.Uint32(b[16:])}
	t.lastSR, t.lastSRAt = uint32(ntp>>16), now
	if t == r.video {
		r.offset = t.sr.time().Sub(now)
	}
	r.align()
}

// AppendReport appends a receiver report and a source description for track i,
// or nothing while it has sent none.
func (r *Receiver) AppendReport(dst []byte, i int, now time.Time) []byte {
	t := r.track(i)
	if t == nil || !t.started {
		return dst
	}
	const us = 0x57617463 // our SSRC; we send no media, so nobody can mix it up
	expected := uint64(t.highest()-t.first) + 1
	fraction := t.fraction(expected)
	dst = append(dst, 0x81, 201, 0, 7)
	dst = binary.BigEndian.AppendUint32(dst, us)
	dst = binary.BigEndian.AppendUint32(dst, t.ssrc)
	dst = binary.BigEndian.AppendUint32(dst, uint32(fraction)<<24|uint32(min(t.source.lost, 0x7fffff)))
	dst = binary.BigEndian.AppendUint32(dst, t.highest())
	dst = binary.BigEndian.AppendUint32(dst, 0) // jitter: packets are read in batches, so we do not know it
	dst = binary.BigEndian.AppendUint32(dst, t.lastSR)
	var delay uint32
	if !t.lastSRAt.IsZero() {
		delay = uint32(min(now.Sub(t.lastSRAt), time.Hour) * 65536 / time.Second)
	}
	dst = binary.BigEndian.AppendUint32(dst, delay)
	dst = append(dst, 0x81, 202, 0, 3)
	dst = binary.BigEndian.AppendUint32(dst, us)
	return append(dst, 1, 5, 'w', 'a', 't', 'c', 'h', 0)
}

// fraction is the share of packets lost since the last report, in 1/256.
func (s *source) fraction(expected uint64) uint8 {
	e, got := expected-s.reportedExpected, s.received-s.reportedReceived
	s.reportedExpected, s.reportedReceived = expected, s.received
	if e == 0 || got >= e || e > 1<<32 {
		return 0
	}
	return uint8(min((e-got)*256/e, 255))
}

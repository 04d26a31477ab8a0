// Package rtp turns a camera's packets into samples: RTP and RTCP (RFC 3550)
// and the payload formats of H.264 (RFC 6184), H.265 (RFC 7798), JPEG (RFC
// 2435), AAC (RFC 3640, RFC 6416), Opus (RFC 7587) and G.711 (RFC 3551).
//
// Begin with [NewReceiver]; give it every packet with [Receiver.RTP] and
// [Receiver.RTCP]. It knows no sockets and no clock: time comes with the
// packets. A payload is copied once, into the arena its sample lies in, and
// nothing is allocated for a packet.
//
// # After a loss
//
// Pictures depend on those before them, so a missing packet costs all pictures
// up to the next keyframe: they are counted, and [Sink.Break] is told once. JPEG
// and audio lose only what was lost.
//
// # Time
//
// Cameras' timestamps step, restart and carry single errors of hours. See clock
// for what is corrected and what ends a run.
package rtp

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/watchward/watchward/internal/media"
)

// Limits on what a camera may make us hold.
const (
	MaxParameterSet  = 16 << 10 // bytes in one
	MaxParameterSets = 16       // of one stream

	maxSample = 8 << 20  // bytes in a picture
	maxAudio  = 64 << 10 // bytes in an audio sample
)

// ErrPacket means that a packet is no RTP.
var ErrPacket = errors.New("not an RTP packet")

// Config describes a track as the camera announced it.
type Config struct {
	Codec       media.Codec
	PayloadType uint8
	ClockRate   int // Hz, of RTP timestamps

	// Video.
	Width, Height int      // as announced; parameter sets know better
	ParameterSets [][]byte // as announced; those in the stream know better
	Reordered     bool     // pictures were found to be reordered though nothing says so
	DON           bool     // H.265 with decoding order numbers (sprop-max-don-diff > 0)

	// Audio.
	SampleRate, Channels int
	Config               []byte // AudioSpecificConfig
	LATM                 bool   // AAC by RFC 6416
	FrameLength          int    // audio samples in an AAC access unit
	SizeBits             int    // RFC 3640: sizeLength, indexLength, indexDeltaLength
	IndexBits            int
	IndexDeltaBits       int
}

// Sink takes what a [Receiver] makes, in the goroutine that gives it packets.
type Sink interface {
	// Sample hands over a sample with its one reference.
	Sample(s *media.Sample)
	// Break ends a run: the next video sample is a keyframe.
	Break(reason media.Reason, at time.Time)
}

// packet is an RTP packet, read in place.
type packet struct {
	payload   []byte
	timestamp uint32
	ssrc      uint32
	seq       uint16
	kind      uint8 // payload type
	marker    bool
}

// parse reads an RTP packet (RFC 3550, 5.1) without copying.
func (p *packet) parse(b []byte) error {
	if len(b) < 12 || b[0]>>6 != 2 {
		return ErrPacket
	}
	start := 12 + 4*int(b[0]&15)
	if b[0]&0x10 != 0 { // header extension
		if len(b) < start+4 {
			return ErrPacket
		}
		start += 4 + 4*int(binary.BigEndian.Uint16(b[start+2:]))
	}
	end := len(b)
	if b[0]&0x20 != 0 { // padding; its last byte counts it
		end -= int(b[len(b)-1])
	}
	if start > end {
		return ErrPacket
	}
	p.payload = b[start:end]
	p.marker, p.kind = b[1]&0x80 != 0, b[1]&0x7f
	p.seq = binary.BigEndian.Uint16(b[2:])
	p.timestamp = binary.BigEndian.Uint32(b[4:])
	p.ssrc = binary.BigEndian.Uint32(b[8:])
	return nil
}

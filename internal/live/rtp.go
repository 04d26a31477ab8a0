package live

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"github.com/watchward/watchward/internal/media"
)

// payloadSize is the most a packet carries, in bytes: what is left of an Ethernet
// frame through a tunnel or two, as browsers themselves use it.
const payloadSize = 1200

// outTrack is one track of one viewer: it takes payloads, numbers them and gives
// them to the connection. It is a [webrtc.TrackLocal].
type outTrack struct {
	id    string
	kind  webrtc.RTPCodecType
	codec webrtc.RTPCodecParameters

	mu     sync.Mutex
	writer webrtc.TrackLocalWriter // nil while not negotiated
	header rtp.Header
}

func newOutTrack(id string, kind webrtc.RTPCodecType, codec webrtc.RTPCodecParameters) *outTrack {
	return &outTrack{id: id, kind: kind, codec: codec, header: rtp.Header{Version: 2, SequenceNumber: uint16(rand.Uint32())}}
}

// Bind is for package webrtc: the format is negotiated.
func (t *outTrack) Bind(c webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	for _, codec := range c.CodecParameters() {
		if codec.PayloadType != t.codec.PayloadType {
			continue
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		t.writer = c.WriteStream()
		t.header.SSRC, t.header.PayloadType = uint32(c.SSRC()), uint8(codec.PayloadType)
		return codec, nil
	}
	return webrtc.RTPCodecParameters{}, webrtc.ErrUnsupportedCodec
}

// Unbind is for package webrtc: the connection is closing.
func (t *outTrack) Unbind(webrtc.TrackLocalContext) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.writer = nil
	return nil
}

// ID names the track in the answer.
func (t *outTrack) ID() string { return t.id }

// RID is for simulcast, which there is none of.
func (t *outTrack) RID() string { return "" }

// StreamID is the same for the tracks of a viewer, so that sound follows the picture.
func (t *outTrack) StreamID() string { return "watchward" }

// Kind is video or audio.
func (t *outTrack) Kind() webrtc.RTPCodecType { return t.kind }

// write sends one packet. Payload is copied before write returns.
func (t *outTrack) write(payload []byte, stamp uint32, marker bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.writer == nil {
		return nil
	}
	t.header.SequenceNumber++
	t.header.Timestamp, t.header.Marker = stamp, marker
	_, err := t.writer.WriteRTP(&t.header, payload)
	return err
}

// NAL unit types of H.264 (ISO/IEC 14496-10, table 7-1) and packets (RFC 6184, 5.2).
const (
	nalSEI    = 6
	nalSPS    = 7
	nalPPS    = 8
	nalAUD    = 9
	nalFiller = 12
	nalLast   = 23 // types above this are packets, not NAL units
	stapA     = 24
	fuA       = 28
)

// packer cuts H.264 samples into RTP payloads (RFC 6184, packetization mode 1).
type packer struct {
	nals [][]byte
	buf  [payloadSize]byte
}

// pack gives the payloads of one sample to emit, with last set on the last. A
// keyframe is preceded by the parameter sets of its format, unless it brings
// its own. Payloads are valid until emit returns.
func (p *packer) pack(s *media.Sample, emit func(payload []byte, last bool) error) error {
	p.collect(s)
	defer clear(p.nals)
	for i := 0; i < len(p.nals); {
		n := p.group(p.nals[i:])
		last := i+n == len(p.nals)
		var err error
		switch nal := p.nals[i]; {
		case n > 1:
			err = emit(p.aggregate(p.nals[i:i+n]), last)
		case len(nal) <= payloadSize:
			err = emit(nal, last)
		default:
			err = p.fragment(nal, last, emit)
		}
		if err != nil {
			return err
		}
		i += n
	}
	return nil
}

// collect lists the NAL units to send. Data that does not add up ends the list:
// what came before may still be shown.
func (p *packer) collect(s *media.Sample) {
	p.nals = p.nals[:0]
	hasSPS := false
	for data := s.Data; len(data) > 4; {
		n := int64(binary.BigEndian.Uint32(data))
		if n > int64(len(data)-4) {
			break
		}
		nal := data[4 : 4+n]
		data = data[4+n:]
		if len(nal) == 0 {
			continue
		}
		switch t := nal[0] & 0x1f; {
		case t == 0, t == nalAUD, t == nalFiller, t > nalLast:
			continue
		case t == nalSPS:
			hasSPS = true
		}
		p.nals = append(p.nals, nal)
	}
	if s.Keyframe && !hasSPS && len(p.nals) > 0 {
		p.nals = slices.Insert(p.nals, 0, s.Format.ParameterSets...)
		p.nals = slices.DeleteFunc(p.nals, func(nal []byte) bool { return len(nal) == 0 })
	}
}

// group counts the NAL units at the head of nals that go into one packet:
// parameter sets and the like, as many as fit; of all else one.
func (p *packer) group(nals [][]byte) int {
	size, n := 1, 0
	for _, nal := range nals {
		t := nal[0] & 0x1f
		if t != nalSPS && t != nalPPS && t != nalSEI {
			break
		}
		if size += 2 + len(nal); size > payloadSize {
			break
		}
		n++
	}
	return max(n, 1)
}

// aggregate makes a STAP-A (RFC 6184, 5.7.1). Its header has the highest
// importance of its units, and the error bit if one of them has.
func (p *packer) aggregate(nals [][]byte) []byte {
	b := append(p.buf[:0], stapA)
	for _, nal := range nals {
		b[0] = b[0]&0x9f | max(b[0]&0x60, nal[0]&0x60) | nal[0]&0x80
		b = binary.BigEndian.AppendUint16(b, uint16(len(nal)))
		b = append(b, nal...)
	}
	return b
}

// fragment makes FU-As of near to equal size (RFC 6184, 5.8).
func (p *packer) fragment(nal []byte, last bool, emit func([]byte, bool) error) error {
	header, rest := nal[0], nal[1:]
	count := (len(rest) + payloadSize - 3) / (payloadSize - 2)
	for i := range count {
		n := (len(rest) + count - i - 1) / (count - i)
		fu := header & 0x1f
		if i == 0 {
			fu |= 0x80
		}
		if i == count-1 {
			fu |= 0x40
		}
		b := append(p.buf[:0], header&0xe0|fuA, fu)
		b = append(b, rest[:n]...)
		rest = rest[n:]
		if err := emit(b, last && i == count-1); err != nil {
			return err
		}
	}
	return nil
}

// rtpClock turns sample times into RTP timestamps that never run backwards,
// over skips, breaks and clocks of cameras that jump.
type rtpClock struct {
	rate   int64 // ticks in a second
	base   uint32
	begun  bool
	adrift bool // the next sample's time continues nothing
	offset int64
	last   int64 // given out last, before base
	lastAt time.Time
}

func newRTPClock(rate int) rtpClock { return rtpClock{rate: int64(rate), base: rand.Uint32()} }

// tick is the least time between two samples.
func (c *rtpClock) tick() int64 { return max(c.rate/1000, 1) }

// align makes sample time in come lead ticks from now; or, in a clock just
// begun, lead ticks after its begin.
func (c *rtpClock) align(in, lead int64, now time.Time) {
	if !c.begun {
		c.begun, c.last, c.lastAt = true, -c.tick(), now
		c.offset = lead - in
	} else if at := in + c.offset - c.last; c.adrift || at < -c.rate || at > 10*c.rate {
		elapsed := int64(now.Sub(c.lastAt).Seconds() * float64(c.rate))
		c.offset = c.last + max(elapsed, c.tick()) + lead - in
	}
	c.adrift = false
}

// live is the stamp of a sample that has just arrived.
func (c *rtpClock) live(in int64, now time.Time) uint32 {
	c.align(in, 0, now)
	return c.give(in+c.offset, now)
}

func (c *rtpClock) give(out int64, now time.Time) uint32 {
	c.last, c.lastAt = max(out, c.last+c.tick()), now
	return c.base + uint32(c.last)
}

// burst is the stamps of samples of the past, the last of them the newest there
// is: as far apart as they can be sent (steps, in ticks), and the last where
// it belongs. The viewer runs through them and is in the present.
func (c *rtpClock) burst(newest int64, steps []int64, now time.Time) []uint32 {
	span := int64(0)
	for _, s := range steps[1:] {
		span += s
	}
	c.align(newest, span, now)
	out := max(newest+c.offset-span, c.last+c.tick())
	stamps := make([]uint32, len(steps))
	for i, s := range steps {
		if i > 0 {
			out += s
		}
		stamps[i] = c.give(out, now)
	}
	return stamps
}

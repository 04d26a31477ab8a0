package rtp

import (
	"encoding/binary"
	"time"

	"github.com/watchward/watchward/internal/media"
)

// sound makes samples of audio. Its times lie along the picture's: by sender
// reports where the camera sends them for both, else by arrival.
type sound struct {
	r      *Receiver
	arena  media.Arena
	config Config
	format *media.Format
	rate   int64

	want int // bytes of an AAC access unit that comes in pieces; 0 none open

	started bool
	prev    uint32 // timestamp of the last unit
	ext     int64  // the same without wrap-around
	shift   int64  // time = ext + shift
	last    int64  // time of the last sample
	aligned bool   // by sender reports

	windowEnd time.Time
	windowMin int64
}

func newSound(r *Receiver, c Config) *sound {
	if c.SampleRate == 0 {
		c.SampleRate = c.ClockRate
	}
	c.Channels = max(c.Channels, 1)
	return &sound{r: r, config: c, rate: int64(c.ClockRate), last: -1 << 62, format: &media.Format{
		Codec: c.Codec, ClockRate: c.ClockRate, SampleRate: c.SampleRate, Channels: c.Channels, Config: c.Config,
	}}
}

func (s *sound) close() { s.arena.Reset() }

func (s *sound) lose(media.Reason, time.Time) {
	s.want = 0
	s.arena.Truncate(0)
}

func (s *sound) push(p *packet, now time.Time) {
	switch {
	case len(p.payload) == 0:
	case s.config.LATM:
		s.latm(p, now)
	case s.config.Codec == media.AAC:
		s.aac(p, now)
	default:
		s.publish(p.payload, p.timestamp, now)
	}
}

// publish hands over one unit. Audio belongs to a run of pictures: while there
// is none it is dropped.
func (s *sound) publish(b []byte, timestamp uint32, now time.Time) {
	if len(b) == 0 || len(b) > maxAudio {
		return
	}
	s.arena.Truncate(0)
	s.arena.Append(b)
	s.finish(timestamp, now)
}

func (s *sound) finish(timestamp uint32, now time.Time) {
	if !s.r.line.started || !s.r.runs() {
		s.arena.Truncate(0)
		return
	}
	at := s.stamp(timestamp, now)
	if at <= s.last { // after the clock was set back there is a little too much
		s.arena.Truncate(0)
		return
	}
	s.last = at
	m := s.arena.Take()
	m.Track, m.Format, m.Keyframe = 1, s.format, true
	m.PTS, m.DTS, m.Received = at, at, now
	s.r.sink.Sample(m)
}

// runs reports whether a run of pictures is going on.
func (r *Receiver) runs() bool {
	switch d := r.video.depacketizer.(type) {
	case *pictures:
		return d.running
	case *jpeg:
		return d.running
	}
	return false
}

// stamp gives the unit with timestamp ts that arrived at now its time.
func (s *sound) stamp(ts uint32, now time.Time) int64 {
	arrived := s.r.line.at(now, s.rate)
	d := int64(int32(ts - s.prev))
	limit := 3 * s.rate
	if off := s.ext + d + s.shift - arrived; !s.started || off > limit || off < -4*limit {
		// The first unit, or the camera's clock stepped: lay it where it arrived.
		s.started, s.aligned = true, false
		s.ext, d, s.shift = 0, 0, max(arrived, s.last+1)
		s.windowEnd, s.windowMin = now.Add(window), 1<<62
		s.prev = ts
		s.r.align()
		return s.ext + s.shift
	}
	s.prev, s.ext = ts, s.ext+d
	s.follow(arrived, now)
	return s.ext + s.shift
}

// follow corrects what arrival said of the first unit: it may have come late,
// and the camera's two clocks may drift apart.
func (s *sound) follow(arrived int64, now time.Time) {
	s.windowMin = min(s.windowMin, arrived-s.ext-s.shift)
	if now.Before(s.windowEnd) {
		return
	}
	if off := s.windowMin; !s.aligned && (off > s.rate/10 || off < -s.rate/10) {
		s.shift += off
	}
	s.windowEnd, s.windowMin = now.Add(window), 1<<62
}

// align lays audio along the pictures by what both tracks' sender reports say.
// A report that contradicts arrival by seconds is not believed.
func (r *Receiver) align() {
	if r.audio == nil || r.video == nil || !r.audio.sr.known || !r.video.sr.known {
		return
	}
	s := r.audio.depacketizer.(*sound)
	l := &r.line
	if !s.started || !l.started || l.byArrival {
		return
	}
	between := r.audio.sr.time().Sub(r.video.sr.time())
	if between > time.Minute || between < -time.Minute {
		return
	}
	video := l.pts + int64(int32(r.video.sr.timestamp-l.prev))
	want := video*s.rate/l.rate + int64(between/time.Microsecond)*s.rate/1e6
	have := s.ext + int64(int32(r.audio.sr.timestamp-s.prev)) + s.shift
	off := want - have
	if off > 3*s.rate || off < -3*s.rate {
		return
	}
	// The first time to the point; later only what an ear or eye would notice.
	if !s.aligned || off > s.rate/10 || off < -s.rate/10 {
		s.shift += off
	}
	s.aligned = true
}

// aac takes one payload of RFC 3640.
func (s *sound) aac(p *packet, now time.Time) {
	b := p.payload
	if len(b) < 2 {
		return
	}
	bits := int(binary.BigEndian.Uint16(b))
	head := (bits + 7) / 8
	if b = b[2:]; head > len(b) || bits == 0 {
		s.r.stats.Bad++
		return
	}
	r := bitReader{b: b[:head]}
	b = b[head:]
	ts := p.timestamp
	for i := 0; bits >= s.config.SizeBits+s.config.IndexBits && bits > 0; i++ {
		size := r.read(s.config.SizeBits)
		index := s.config.IndexDeltaBits
		if i == 0 {
			index = s.config.IndexBits
		}
		r.read(index)
		bits -= s.config.SizeBits + index
		if size > len(b) {
			if i == 0 { // a piece of a unit too large for a packet
				s.piece(b, size, p, now)
			}
			return
		}
		if s.want = 0; size > 0 {
			s.publish(b[:size], ts, now)
		}
		b = b[size:]
		ts += uint32(s.unit())
		if s.config.SizeBits == 0 || i > 256 {
			return
		}
	}
}

// piece takes a part of an access unit of size bytes.
func (s *sound) piece(b []byte, size int, p *packet, now time.Time) {
	if size > maxAudio {
		s.r.stats.Bad++
		return
	}
	if s.want != size {
		s.want = size
		s.arena.Truncate(0)
	}
	s.arena.Append(b)
	switch n := len(s.arena.Open()); {
	case n > size:
		s.lose(media.Corrupt, now)
	case n == size:
		s.want = 0
		s.finish(p.timestamp, now)
	case p.marker:
		s.lose(media.Corrupt, now)
	}
}

// unit is the length of an AAC access unit in ticks of the RTP clock.
func (s *sound) unit() int64 {
	return int64(s.config.FrameLength) * s.rate / int64(max(s.config.SampleRate, 1))
}

// latm takes one payload of RFC 6416: units each after its length, in bytes of
// which 255 means that more follow.
func (s *sound) latm(p *packet, now time.Time) {
	ts := p.timestamp
	for b := p.payload; len(b) > 0; {
		size := 0
		for len(b) > 0 && b[0] == 255 {
			size, b = size+255, b[1:]
		}
		if len(b) == 0 {
			return
		}
		size, b = size+int(b[0]), b[1:]
		if size > len(b) {
			s.r.stats.Bad++ // in pieces; no camera was seen to do so
			return
		}
		s.publish(b[:size], ts, now)
		b, ts = b[size:], ts+uint32(s.unit())
	}
}

package live

import (
	"math"
	"time"

	"github.com/watchward/watchward/internal/media"
	"github.com/watchward/watchward/internal/media/fmp4"
)

const (
	// head is how far the live edge is ahead of the first picture when a viewer
	// joins between keyframes: what he has to play through before he is in the
	// present, and then what he has in reserve.
	head = 200 * time.Millisecond
	// partLimit is the payload at which a part is closed, in bytes.
	partLimit = 128 << 10
	// stretch is how far the times sent may be off the camera's before they are
	// set anew: a viewer whose camera stalled waits no longer than the camera.
	stretch = 300 * time.Millisecond
	// slack is how far sound may be off before it is stretched or dropped.
	slack = 100 * time.Millisecond
)

// muxer makes parts of fragmented MP4 for one viewer, on a timeline of his own
// that begins at 0 and has no holes: Media Source Extensions stop at a hole, and
// drop what follows one until the next keyframe.
//
// So that a part can leave with the sample it carries, and not when the next
// sample tells how long that was, each picture is said to last as long as the one
// before, and the error is made good in the next.
type muxer struct {
	sound bool // wanted

	w        fmp4.PartWriter
	sequence uint32
	video    *media.Format // as announced; nil: nothing yet
	audio    *media.Format // nil: no sound
	buf      []byte
	pictures []*media.Sample // of the open part
	sounds   []*media.Sample

	adrift bool     // the next picture's time continues nothing
	renew  bool     // announce again at the next keyframe: the sound has changed
	offset int64    // from camera time to ours, in units of the video's clock
	end    int64    // of the pictures so far, in ours
	last   int64    // the last picture's time, in the camera's
	steps  [2]int64 // the last times between two pictures, in the camera's
	lead   int64    // from decoding to showing of the first picture, taken off
	ending int64    // of the sound so far, in units of the audio's clock

	// Times up to knee run only slope times as fast: the past, hurried through.
	knee  int64
	slope float64
}

// changed reports whether the picture with format f needs an announcement first.
func (m *muxer) changed(f *media.Format) bool {
	if m.renew || m.video == nil {
		return true
	}
	if f == m.video {
		return false
	}
	if m.video.Equal(f) {
		m.video = f
		return false
	}
	return true
}

// begin sets the muxer up for video, and audio where it can be sent, and makes
// the announcement and the initialization segment. Items are what comes next.
func (m *muxer) begin(video, audio *media.Format, items []item) ([]byte, message, error) {
	first := m.video == nil
	note := message{Kind: WayFMP4, Width: video.Width, Height: video.Height}
	m.renew = false
	m.audio = nil
	if m.sound && audio != nil {
		if audio.Codec == media.AAC || audio.Codec == media.Opus {
			m.audio = audio
		} else {
			note.Why = WhyNoAudio
		}
	}
	formats := []*media.Format{video}
	if m.audio != nil {
		formats = append(formats, m.audio)
	}
	if m.video != nil && m.video.ClockRate != video.ClockRate {
		m.end = m.end * int64(video.ClockRate) / int64(max(m.video.ClockRate, 1))
		m.drift()
	}
	m.video = video
	m.ending = scale(m.end, video, m.audio)
	note.Codecs = codecs(video, m.audio)
	init, err := fmp4.Init(formats)
	if first {
		m.hurry(items)
	}
	return init, note, err
}

// scale turns a time of the video's clock into the audio's.
func scale(t int64, video, audio *media.Format) int64 {
	if audio == nil || video.ClockRate <= 0 {
		return 0
	}
	return t * int64(audio.ClockRate) / int64(video.ClockRate)
}

func (m *muxer) ticks(d time.Duration, f *media.Format) int64 {
	return int64(d.Seconds() * float64(f.ClockRate))
}

// hurry bends the timeline so that the samples of the past take no longer than head.
func (m *muxer) hurry(items []item) {
	usual := int64(m.video.ClockRate / 25)
	m.adrift, m.slope, m.steps = true, 1, [2]int64{usual, usual}
	first := items[0].sample
	m.knee = first.DTS
	count := int64(0)
	for _, it := range items {
		if it.cached {
			m.knee = it.sample.DTS
			count++
		}
	}
	span, want := m.knee-first.DTS, max(m.ticks(head, m.video), count*m.ticks(2*time.Millisecond, m.video))
	if count > 0 && span > want {
		m.slope = float64(want) / float64(span)
	}
	m.lead = m.bend(first.PTS) - m.bend(first.DTS)
}

func (m *muxer) bend(t int64) int64 {
	if t < m.knee && m.slope < 1 {
		return m.knee - int64(float64(m.knee-t)*m.slope)
	}
	return t
}

// drift says that the camera's time goes on elsewhere than it was.
func (m *muxer) drift() { m.adrift, m.knee, m.slope = true, math.MinInt64, 1 }

// add puts a sample into the open part. Rest is what is known to follow.
func (m *muxer) add(it item, rest []item) {
	if m.video == nil {
		return
	}
	if it.gap {
		m.drift()
	}
	if it.sample.Format.Codec.Video() {
		m.picture(it.sample, rest)
	} else {
		m.hear(it.sample)
	}
}

func (m *muxer) picture(s *media.Sample, rest []item) {
	dts := m.bend(s.DTS)
	if !m.adrift && s.DTS > m.last {
		m.steps = [2]int64{s.DTS - m.last, m.steps[0]}
	}
	m.last = s.DTS
	step := min(m.steps[0], m.steps[1]) // one picture late makes no habit
	off := dts + m.offset - m.end       // how far the camera is ahead of what we said
	if far := max(m.ticks(stretch, m.video), 2*step); m.adrift || off > far || off < -far {
		if !m.adrift {
			m.drift()
			dts = s.DTS
		}
		m.adrift = false
		m.offset, off = m.end-dts, 0
	}
	if next, ok := m.next(rest); ok && next > s.DTS {
		if far := 2*step + m.ticks(stretch, m.video); next <= m.knee || next-s.DTS < far {
			step = next - s.DTS
		}
	}
	m.w.Add(0, m.shadow(s, m.end, m.end+m.bend(s.PTS)-dts-m.lead))
	m.end += max(m.bend(s.DTS+step)-dts+off, m.ticks(time.Millisecond, m.video))
	m.w.Follow(0, m.end)
	m.pictures = append(m.pictures, s)
}

// next is the decoding time of the next picture of the same run, if it is known.
func (m *muxer) next(rest []item) (int64, bool) {
	for _, it := range rest {
		if it.sample != nil && it.sample.Format.Codec.Video() {
			return it.sample.DTS, !it.gap
		}
	}
	return 0, false
}

// shadow is a sample with other times, for the part's header only.
func (m *muxer) shadow(s *media.Sample, dts, pts int64) *media.Sample {
	return &media.Sample{Track: s.Track, Format: s.Format, Keyframe: s.Keyframe, DTS: dts, PTS: pts, Data: s.Data}
}

// hear puts sound into the open part, beside the pictures of its time.
func (m *muxer) hear(s *media.Sample) {
	if m.audio == nil || !m.audio.Equal(s.Format) {
		// Sound that is new or other than announced is taken up with the next keyframe.
		if c := s.Format.Codec; m.sound && (c == media.AAC || c == media.Opus) && (m.audio == nil || !m.audio.Equal(s.Format)) {
			m.renew = true
		}
		return
	}
	if m.adrift {
		return // until a picture has set the time
	}
	length := int64(fmp4.Duration(s))
	at := s.DTS + scale(m.offset, m.video, m.audio)
	// A camera whose tracks do not share a time gets one: the present.
	edge := scale(m.end, m.video, m.audio)
	if far := m.ticks(10*time.Second, m.audio); at-edge > far || edge-at > far {
		at = edge
	}
	off := at - m.ending
	switch limit := m.ticks(slack, m.audio); {
	case off < -limit:
		return
	case off > limit:
		// Something is missing. The sample is stretched over the hole, since
		// at a hole in the sound the picture would stop, too.
		length += off
	}
	m.w.Add(1, m.shadow(s, m.ending, m.ending))
	m.ending += length
	m.w.Follow(1, m.ending)
	m.sounds = append(m.sounds, s)
}

func (m *muxer) empty() bool { return len(m.pictures)+len(m.sounds) == 0 }

func (m *muxer) full() bool { return m.w.Payload() >= partLimit }

// part closes the part: its header, valid until the next part, and the samples
// whose data follow, in order.
func (m *muxer) part() ([]byte, []*media.Sample) {
	m.sequence++
	m.buf = m.w.AppendPart(m.buf[:0], m.sequence)
	m.w.Reset()
	samples := append(m.pictures, m.sounds...)
	m.pictures, m.sounds = m.pictures[:0], m.sounds[:0]
	return m.buf, samples
}

package record

import (
	"time"

	"github.com/watchward/watchward/internal/media"
)

// misfit is how far apart the times of sound and picture may be, against their
// arrival, before they are taken to count from different moments.
const misfit = 2 * time.Second

// sound is what the intake knows of a run's audio track. Sound that was taken
// before a cut may arrive after it: until it has caught up, or the first part of the
// new segment is complete, the old segment stays open for it.
type sound struct {
	format *media.Format // as last heard
	shift  int64         // added to its DTS makes it count from where the picture's does
	known  bool          // shift was judged

	late   *part   // of the segment before plan; with it finish, and open once known
	finish *finish // ends that segment
	open   *plan   // begins the next
}

// zero is the DTS of sound at the moment of a picture with this DTS.
func (a *sound) zero(dts int64, video, f *media.Format) int64 {
	return units(span(dts, int64(video.ClockRate)), int64(f.ClockRate)) - a.shift
}

// hold keeps the end of a segment back until its sound is complete.
func (a *sound) hold(f *finish) {
	a.late, a.finish, a.open = partPool.Get().(*part), f, nil
}

// flush ends the segment that waited for its sound, if one does.
func (a *sound) flush(in *intake) {
	if a.late == nil {
		return
	}
	if p := a.late; len(p.samples) > 0 {
		in.queue.mustPut(item{part: p}) // small: at most what came during one part
	} else {
		p.release()
	}
	in.queue.mustPut(item{finish: a.finish})
	if a.open != nil {
		in.queue.mustPut(item{open: a.open})
	}
	a.late, a.finish, a.open = nil, nil, nil
}

// judge finds, once a run, whether sound and picture count from the same moment.
func (a *sound) judge(s *media.Sample, last picture) {
	if a.known || last.step == 0 {
		return
	}
	a.known = true
	apart := span(s.DTS, int64(s.Format.ClockRate)) - span(last.dts, last.rate) - s.Received.Sub(last.received)
	if apart.Abs() > misfit {
		a.shift = -units(apart, int64(s.Format.ClockRate))
	}
}

// soundFormat is the format of the sound to record, nil where none was heard.
func (in *intake) soundFormat() *media.Format {
	if in.sound.format != nil {
		return in.sound.format
	}
	if f := in.o.Stream.Formats(); len(f) > 1 && f[1] != nil && f[1].ClockRate > 0 && !f[1].Codec.Video() {
		return f[1]
	}
	return nil
}

// audio takes a sample of sound.
func (in *intake) audio(s *media.Sample) {
	in.sound.format = s.Format
	if in.plan == nil {
		return
	}
	before := in.sound.shift
	in.sound.judge(s, in.last)
	if p := in.unsent; p != nil { // the first sound, soon enough for the segment that has just begun
		p.tracks, p.audio = append(p.tracks, s.Format), in.sound.zero(p.dts, p.tracks[0], s.Format)
		before = in.sound.shift
		in.order()
	}
	if len(in.plan.tracks) < 2 || !in.plan.tracks[1].Equal(s.Format) || in.sound.shift != before {
		in.cutSoon = true // the segment cannot hold it: the next will
		in.discard(s)
		return
	}
	if in.cutSoon {
		in.discard(s)
		return
	}
	rate := int64(s.Format.ClockRate)
	if s.DTS < in.plan.audio {
		if late := in.sound.late; late != nil && len(late.samples) < maxPartSamples {
			s.Retain()
			late.samples = append(late.samples, s)
			late.bytes += len(s.Data)
		}
		return // from before the first picture
	}
	in.sound.flush(in)
	in.keep(s, span(s.DTS-in.plan.audio, rate))
	if in.part.full() || s.Received.Sub(in.part.samples[0].Received) > 2*in.o.Part {
		in.flush()
	}
}

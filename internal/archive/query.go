package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// maxGaps and maxMarks bound a timeline: a page shows no more than this
// anyway, and a camera that flaps for a month must not make it megabytes.
const (
	maxGaps  = 600
	maxMarks = 300
)

// Timeline says what was recorded of a stream. It does not walk the segments,
// so a month costs what its gaps cost. Where there are very many gaps, near
// ones are shown as one of the same length together: ask for a shorter span to
// see each.
func (a *Archive) Timeline(ctx context.Context, id StreamID, from, to time.Time) (Timeline, error) {
	var t Timeline
	n, ok, err := a.x.find(ctx, id)
	if err != nil {
		return t, wrap("timeline of", id, err)
	}
	if !ok {
		return t, nil
	}
	if t.First, t.Last, _, err = a.x.bounds(ctx, id); err != nil {
		return t, wrap("timeline of", id, err)
	}
	gaps, err := a.x.gapsBetween(ctx, id, from, to)
	if err != nil {
		return t, wrap("timeline of", id, err)
	}
	t.Gaps = coarsen(joinGaps(gaps))
	// What ends in the span began at most a day earlier: a segment belongs to
	// one day.
	odd, err := a.x.segments(ctx, id, `SELECT `+segmentColumns+` FROM archive_segments
		WHERE stream_id = $1 AND mark <> '' AND start_us > $2 AND start_us < $3 ORDER BY start_us`,
		n, from.Add(-24*time.Hour).UnixMicro(), to.UnixMicro())
	if err != nil {
		return t, wrap("timeline of", id, err)
	}
	for _, s := range odd {
		if s.End().After(from) {
			t.Marks = append(t.Marks, Mark{s.Start, s.End(), s.State})
		}
	}
	t.Marks = joinMarks(t.Marks)
	return t, nil
}

// joinGaps makes one of gaps that touch and have the same reason.
func joinGaps(in []Gap) []Gap {
	var out []Gap
	for _, g := range in {
		if n := len(out); n > 0 && out[n-1].Reason == g.Reason && !g.Start.After(out[n-1].End) {
			out[n-1].End = g.End
			continue
		}
		out = append(out, g)
	}
	return out
}

// coarsen shows gaps that begin near each other as one, as long as they are
// together, when there are very many: so a flapping camera is still seen to
// have recorded as much as it did. The longest lends its reason.
func coarsen(in []Gap) []Gap {
	if len(in) <= maxGaps {
		return in
	}
	width := in[len(in)-1].Start.Sub(in[0].Start)/maxGaps + 1
	var out []Gap
	var longest time.Duration
	var of time.Duration // which stretch of that width the last one stands for
	for _, g := range in {
		d, n := g.End.Sub(g.Start), len(out)-1
		stretch := g.Start.Sub(in[0].Start) / width
		if n < 0 || stretch != of {
			out, longest, of = append(out, g), d, stretch
			continue
		}
		out[n].End = out[n].End.Add(d)
		if d > longest {
			out[n].Reason, longest = g.Reason, d
		}
	}
	return out
}

func joinMarks(in []Mark) []Mark {
	for near := time.Duration(0); ; near = max(2*near, time.Second) {
		var out []Mark
		for _, m := range in {
			if n := len(out); n > 0 && out[n-1].State == m.State && m.Start.Sub(out[n-1].End) <= near {
				out[n-1].End = m.End
				continue
			}
			out = append(out, m)
		}
		if in = out; len(in) <= maxMarks || near > maxSpan/2 {
			return in
		}
	}
}

// List returns the segments of a stream that touch a span, in order, at most
// limit of them.
func (a *Archive) List(ctx context.Context, id StreamID, from, to time.Time, limit int) ([]Segment, error) {
	s, err := a.x.between(ctx, id, from, to, max(limit, 0))
	if err != nil {
		return nil, wrap("list segments of", id, err)
	}
	return s, nil
}

// OpenFile opens the segment of a stream that begins at start. The error wraps
// [ErrNotFound] if there is none, or its file is gone.
func (a *Archive) OpenFile(ctx context.Context, id StreamID, start time.Time) (File, Segment, error) {
	s, ok, err := a.x.one(ctx, id, start)
	if err != nil {
		return nil, Segment{}, wrap("open segment of", id, err)
	}
	if !ok {
		return nil, Segment{}, fmt.Errorf("open segment of %s at %s: %w", id, start.UTC().Format(time.RFC3339Nano), ErrNotFound)
	}
	f, err := a.fs.Open(a.path(s.Name()))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, s, fmt.Errorf("open segment %q: %w: its file is gone", s.Name(), ErrNotFound)
	}
	if err != nil {
		return nil, s, fmt.Errorf("open segment %q: %w", s.Name(), err)
	}
	return f, s, nil
}

// OpenPart opens a segment that is being written. It grows while it is read.
// The error wraps [ErrNotFound] when it was committed meanwhile: see
// [Archive.OpenFile].
func (a *Archive) OpenPart(id StreamID, start time.Time) (File, error) {
	if err := id.Valid(); err != nil {
		return nil, fmt.Errorf("open part: %w: %w", ErrNotFound, err)
	}
	name := partName(id, ms(start))
	f, err := a.fs.Open(a.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open part %q: %w", name, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("open part %q: %w", name, err)
	}
	return f, nil
}

package archive

import (
	"context"
	"database/sql"
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
	if t.Gaps, err = a.x.gapsToShow(ctx, id, from, to); err != nil {
		return t, wrap("timeline of", id, err)
	}
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

// gapsToShow are the gaps of a span. When there are very many, those that
// begin near each other are one, as long as they are together: so a flapping camera
// is still seen to have recorded as much as it did. The longest lends its reason.
func (x *index) gapsToShow(ctx context.Context, id StreamID, from, to time.Time) ([]Gap, error) {
	n, ok, err := x.find(ctx, id)
	if !ok || err != nil {
		return nil, err
	}
	args := []any{n, from.UnixMicro(), to.UnixMicro()}
	var count int
	var first, last sql.NullInt64
	if err := x.db.QueryRow(ctx, `SELECT count(*), min(start_us), max(start_us) FROM archive_gaps WHERE `+gapsNear, args...).
		Scan(&count, &first, &last); err != nil {
		return nil, err
	}
	if count <= maxGaps {
		gaps, err := x.gapsBetween(ctx, id, from, to)
		return joinGaps(gaps), err
	}
	// The database adds up: ten thousand rows cost more to fetch than to add.
	rows, err := x.db.Query(ctx, `SELECT (start_us - $4) / $5 AS stretch, min(start_us), sum(end_us - start_us), max(end_us - start_us), reason
		FROM archive_gaps WHERE `+gapsTouching+` GROUP BY stretch, reason ORDER BY 1, 2`,
		append(args, first.Int64, (last.Int64-first.Int64)/maxGaps+1)...)
	if err != nil {
		return nil, err
	}
	return coarsen(id, rows)
}

// coarsen makes one gap of all reasons of a stretch.
func coarsen(id StreamID, rows *sql.Rows) ([]Gap, error) {
	defer rows.Close()
	var out []Gap
	current, longest := int64(-1), int64(0)
	for rows.Next() {
		var stretch, start, together, most int64
		var reason string
		if err := rows.Scan(&stretch, &start, &together, &most, &reason); err != nil {
			return nil, err
		}
		if stretch != current {
			begin := time.UnixMicro(start).UTC()
			out = append(out, Gap{StreamID: id, Start: begin, End: begin})
			current, longest = stretch, -1
		}
		g := &out[len(out)-1]
		g.End = g.End.Add(time.Duration(together) * time.Microsecond)
		if most > longest {
			g.Reason, longest = reason, most
		}
	}
	return out, rows.Err()
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

package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"
)

// AddGap notes that a stretch of time was not recorded. What segments and
// other gaps of the stream cover already is left out, so it may be called
// again with the same gap or a longer one. A gap of less than a millisecond
// is none.
//
// The error wraps [ErrUnfinished] when the archive will go on trying, as on a
// disk that is full: then the caller is done with it as well.
func (a *Archive) AddGap(ctx context.Context, g Gap) error {
	g.Start, g.End = ms(g.Start), ms(g.End)
	if err := g.Valid(); err != nil {
		return fmt.Errorf("add gap: %w", err)
	}
	if !nameRE.MatchString(g.Reason) {
		return fmt.Errorf("add gap: reason %q: want a word of a-z, 0-9 and -", g.Reason)
	}
	if g.End.Sub(g.Start) > maxSpan {
		return fmt.Errorf("add gap: %s from %s on: want at most %s", g.End.Sub(g.Start), g.Start, maxSpan)
	}
	if !g.End.After(g.Start) {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	if err := a.addGap(ctx, g); err != nil {
		err = fmt.Errorf("add gap %q: %w: %w", g.Name(), ErrUnfinished, a.noteError(err))
		a.log.Error("gap cannot be noted yet", "gap", g.Name(), "err", err)
		a.postpone(work{step: stepGap, gap: g})
		return err
	}
	return nil
}

func (a *Archive) addGap(ctx context.Context, g Gap) error {
	if !a.taken() {
		return errors.New("the archive was not recovered yet")
	}
	parts, err := a.uncovered(ctx, g)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if err := a.writeGap(ctx, p); err != nil {
			return err
		}
		if err := a.x.insertGap(ctx, p, EnteredRecorded); err != nil {
			return err
		}
	}
	return nil
}

// writeGap makes the gap's empty file. One that is there already will do: its
// name is all that it says.
func (a *Archive) writeGap(ctx context.Context, g Gap) error {
	f, err := a.createFile(ctx, g.StreamID, g.Start, g.Name())
	switch {
	case err == nil:
		if err := f.Close(); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrExist):
		return err
	}
	if err := a.fs.SyncDir(a.path(path.Dir(g.Name()))); err != nil {
		a.noteSync(fmt.Errorf("sync folder of %q: %w", g.Name(), err))
		return err
	}
	return nil
}

// uncovered are the pieces of a gap of which nothing is known yet.
func (a *Archive) uncovered(ctx context.Context, g Gap) ([]Gap, error) {
	segments, err := a.x.between(ctx, g.StreamID, g.Start, g.End, noLimit)
	if err != nil {
		return nil, err
	}
	gaps, err := a.x.gapsBetween(ctx, g.StreamID, g.Start, g.End)
	if err != nil {
		return nil, err
	}
	var out []Gap
	at := g.Start
	for at.Before(g.End) {
		next := g.End // where the next known thing begins
		until := at   // how far what covers at reaches
		look := func(start, end time.Time) {
			if !start.After(at) && end.After(until) {
				until = end
			}
			if start.After(at) && start.Before(next) {
				next = start
			}
		}
		for _, s := range segments {
			look(s.Start, s.End())
		}
		for _, o := range gaps {
			look(o.Start, o.End)
		}
		if until.After(at) {
			at = until
			continue
		}
		piece := g
		piece.Start, piece.End = at, next
		out, at = append(out, piece), next
	}
	return out, nil
}

// Last is how far the stream is known: the end of its last segment or gap. A
// recorder that starts calls the time since then a gap.
func (a *Archive) Last(ctx context.Context, id StreamID) (end time.Time, ok bool, err error) {
	_, end, ok, err = a.x.bounds(ctx, id)
	if err != nil {
		return end, false, wrap("find end of", id, err)
	}
	gap, gok, err := a.x.lastGap(ctx, id)
	if err != nil {
		return end, false, wrap("find end of", id, err)
	}
	if gok && (!ok || gap.After(end)) {
		return gap, true, nil
	}
	return end, ok, nil
}

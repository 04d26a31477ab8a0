package record

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/media"
)

const (
	// padAfter is how old a byte may get that sealing holds back.
	padAfter = 2 * time.Second
	// gapPiece is the longest gap kept in memory only: after a crash the rest
	// would be "recorder-stopped".
	gapPiece = time.Hour
	// gapSplit is how long one reason must have lasted before another begins a
	// gap of its own.
	gapSplit = 10 * time.Second
)

// writer is the recorder's own goroutine: it turns items into segments and gaps.
type writer struct {
	r     *Recorder
	queue *queue
	in    *intake

	segment *segment  // open, or nil
	end     time.Time // up to where the archive holds segments and gaps; zero: nothing ever
	reason  string    // why nothing was recorded since end

	aside sync.WaitGroup
	tail  chan struct{} // closed when the last thing done aside is done; nil: nothing was
	idle  *time.Timer
}

func newWriter(r *Recorder, q *queue, in *intake) *writer {
	return &writer{r: r, queue: q, in: in}
}

// run takes items until the queue is closed and empty, and returns when all is
// committed. The context only carries values: stopping goes through the queue.
func (w *writer) run(ctx context.Context) {
	w.idle = time.NewTimer(padAfter)
	defer w.idle.Stop()
	for {
		it, ok, closed := w.queue.take()
		switch {
		case ok:
			w.do(ctx, it)
			w.queue.done(it)
			if it.part != nil {
				it.part.release()
			}
		case closed:
			w.stop(ctx)
			return
		default:
			select {
			case <-w.queue.ready:
			case <-w.idle.C:
				w.tick(ctx)
			}
		}
	}
}

func (w *writer) do(ctx context.Context, it item) {
	switch {
	case it.open != nil:
		w.open(ctx, it.open)
	case it.part != nil:
		w.write(ctx, it.part)
	case it.finish != nil:
		w.finish(ctx, it.finish)
	case it.note != nil:
		w.note(ctx, it.note)
	}
}

// open begins a segment, or says why not.
func (w *writer) open(ctx context.Context, p *plan) {
	s, err := w.r.newSegment(p, w.end)
	if err != nil {
		w.fault(ctx, p.start, err)
		return
	}
	w.gap(ctx, s.start)
	w.segment, w.reason = s, ""
	w.in.retry.Store(false)
	w.r.update(func(st *State) { st.Recording, st.Reason = true, "" })
}

// write puts a part into the segment. Without one it is lost, and the gap that is
// open tells so.
func (w *writer) write(ctx context.Context, p *part) {
	s := w.segment
	if s == nil {
		w.lose(p)
		return
	}
	err := s.write(p)
	if err == nil {
		_, err = s.pad(w.r.o.Part)
	}
	if err != nil {
		w.lose(p)
		w.tear(ctx, err)
		return
	}
	if err := s.keepTail(); err != nil {
		w.r.o.Log.Warn("a kill may cost more than half a second: no tail is kept", "err", err)
	}
	w.r.update(func(st *State) {
		st.Samples += uint64(len(p.samples))
		st.Bytes += uint64(p.bytes)
		w.account(st)
	})
	w.r.grow(s)
}

func (w *writer) lose(p *part) {
	w.in.lost.Add(uint64(len(p.samples)))
	w.in.lostBytes.Add(uint64(p.bytes))
}

// account brings the intake's counters into the state.
func (w *writer) account(st *State) {
	st.Lost, st.LostSize, st.Stalls = w.in.lost.Load(), w.in.lostBytes.Load(), w.in.stalls.Load()
}

// finish ends the segment and commits it aside.
func (w *writer) finish(ctx context.Context, f *finish) {
	s := w.segment
	if s == nil {
		if f.reason != "" && f.reason != ClockStep { // it never began, or was torn
			w.note(ctx, &note{f.end, f.reason})
		}
		return
	}
	clockErr := f.clockErr + w.r.o.ClockError()
	if s.parts == 0 { // nothing was written: the gap, if any, covers its time
		w.drop(s)
		if w.reason == "" {
			w.reason = f.reason
		}
		return
	}
	if err := s.finish(); err != nil {
		w.tear(ctx, err)
		return
	}
	if span := f.end.Sub(s.start).Seconds(); span > 1 {
		w.r.rate = float64(s.sealed.Plain()) / span
	}
	w.segment, w.end, w.reason = nil, f.end.Truncate(time.Millisecond), f.reason
	w.r.close()
	w.in.floor(w.end)
	w.later(func() { w.r.commit(ctx, s, f.end, clockErr) })
	if f.reason != "" && f.reason != ClockStep {
		w.r.update(func(st *State) { st.Recording, st.Reason = false, f.reason; w.account(st) })
	}
}

// drop gives up a segment into which nothing was written.
func (w *writer) drop(s *segment) {
	w.segment = nil
	w.r.close()
	w.later(func() {
		if err := s.discard(); err != nil {
			w.r.o.Log.Warn("empty segment could not be removed", "err", err)
		}
	})
}

// fault says that nothing can be recorded from a moment on. The intake then begins
// a segment at each keyframe until one is taken.
func (w *writer) fault(ctx context.Context, at time.Time, err error) {
	reason := reasonOf(err)
	if w.r.State().Detail != err.Error() {
		w.r.o.Log.Error("recording fails", "reason", reason, "err", err)
	}
	w.note(ctx, &note{at, reason})
	w.in.retry.Store(true)
	w.r.update(func(st *State) { st.Recording, st.Reason, st.Detail = false, reason, err.Error(); w.account(st) })
}

// tear ends a segment that cannot be written any further: what lies in whole
// chunks is kept.
func (w *writer) tear(ctx context.Context, err error) {
	s := w.segment
	w.segment = nil
	w.r.close()
	end, kept := s.reach()
	if !kept {
		end = s.start
		w.later(func() { _ = s.discard() }) // recovery removes what stays
	} else {
		clockErr := w.r.o.ClockError()
		w.later(func() { w.r.torn(ctx, s, end, clockErr) })
	}
	w.end, w.reason = end, ""
	w.fault(ctx, end, err)
}

// note says why nothing is being recorded. A reason that comes while another
// holds begins a gap of its own only after a while, so that a camera that fails in
// turns does not fill the archive with slivers.
func (w *writer) note(ctx context.Context, n *note) {
	if w.segment != nil || n.reason == w.reason {
		return
	}
	switch {
	case w.reason == "" || w.end.IsZero():
		w.reason = n.reason
	case n.at.Sub(w.end) >= gapSplit || w.reason == RecorderStopped && n.at.After(w.end):
		w.gap(ctx, n.at)
		w.reason = n.reason
	}
	reason := w.reason
	w.r.update(func(st *State) { st.Recording, st.Reason = false, reason; w.account(st) })
}

// gap fills the archive from its end to a moment.
func (w *writer) gap(ctx context.Context, to time.Time) {
	from := w.end
	if from.IsZero() || to.Sub(from) < time.Millisecond {
		return
	}
	reason := w.reason
	if reason == "" {
		reason = ClockStep
	}
	g := archive.Gap{StreamID: w.r.o.ID, Start: from, End: to, Reason: reason}
	w.end = to
	w.in.floor(to)
	w.later(func() {
		if err := w.r.store.addGap(ctx, g); err != nil {
			w.r.o.Log.Error("gap could not be stored", "start", g.Start, "end", g.End, "reason", g.Reason, "err", err)
			w.r.update(func(st *State) { st.Detail = err.Error() })
		}
	})
}

// tick does what is due when nothing comes: push out what sealing holds back,
// store a piece of a long gap.
func (w *writer) tick(ctx context.Context) {
	next := padAfter
	if s := w.segment; s != nil {
		var err error
		if next, err = s.pad(w.r.o.Part); err != nil {
			w.tear(ctx, err)
		} else {
			w.r.grow(s)
		}
	} else {
		next = gapPiece / 60
		if now := w.r.o.Now().Round(0).UTC(); !w.end.IsZero() && now.Sub(w.end) > gapPiece && w.reason != RecorderStopped {
			w.gap(ctx, w.end.Add(gapPiece))
		}
	}
	w.idle.Reset(max(next, 100*time.Millisecond))
}

// stop ends everything: an open gap is stored as far as it is known. What
// follows a recording that was told to stop is for the next start to tell.
func (w *writer) stop(ctx context.Context) {
	told := w.reason == "" || w.reason == RecorderStopped || w.reason == string(media.Stopped)
	if w.segment == nil && !told && !w.end.IsZero() {
		if now := w.r.o.Now().Round(0).UTC(); now.After(w.end) {
			w.gap(ctx, now)
		}
	}
	w.aside.Wait()
}

// later does something with the archive aside, after all that was given to it
// before: rows keep the order of time, and no sync delays the next segment.
func (w *writer) later(fn func()) {
	before, done := w.tail, make(chan struct{})
	w.tail = done
	w.aside.Go(func() {
		defer close(done)
		if before != nil {
			<-before
		}
		fn()
	})
}

// commit makes a segment durable and tells of it. It runs aside.
func (r *Recorder) commit(ctx context.Context, s *segment, end time.Time, clockErr time.Duration) {
	got, err := s.pending.Commit(ctx, end, clockErr)
	if s.tail != nil {
		s.tail.remove()
	}
	r.kept(got, err)
}

// torn keeps the whole chunks of a segment. It runs aside.
func (r *Recorder) torn(ctx context.Context, s *segment, end time.Time, clockErr time.Duration) {
	got, err := s.pending.Tear(ctx, end, clockErr)
	if s.tail != nil {
		s.tail.close()
	}
	if errors.Is(err, archive.ErrEmpty) { // then this time was not recorded after all
		g := archive.Gap{StreamID: r.o.ID, Start: s.start, End: end, Reason: DiskFailing}
		err = r.store.addGap(ctx, g)
		if err == nil {
			return
		}
	}
	r.kept(got, err)
}

// kept accounts for a segment that the archive took.
func (r *Recorder) kept(got archive.Segment, err error) {
	if err != nil {
		r.o.Log.Error("segment is not committed", "start", got.Start, "err", err)
		r.update(func(st *State) { st.Detail = err.Error() })
		return
	}
	r.update(func(st *State) {
		st.Segments++
		if got.State == archive.Damaged {
			st.Damaged++
		}
	})
	if got.State == archive.Damaged {
		r.o.Log.Error("segment is damaged: the disk did not take all of it", "segment", got.Name())
	}
	if r.o.Closed != nil {
		r.o.Closed(got)
	}
}

package archive

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"path"
	"sync/atomic"
	"time"

	"github.com/watchward/watchward/internal/archive/disk"
	"github.com/watchward/watchward/internal/seal"
)

// Pending is a segment that is being written. It belongs to one goroutine,
// but for Size and Start.
type Pending struct {
	a    *Archive
	id   StreamID
	at   time.Time
	file disk.File
	sum  hash.Hash
	size atomic.Int64
	// damaged is set by the archive when a sync failed while this was open.
	damaged atomic.Bool
	failed  error // of the first write that failed
	done    bool
}

// Create begins a segment. The error wraps [ErrExists] when the stream has one
// with this start, or one that reaches beyond it; [ErrFull] or [ErrReadOnly]
// when the disk takes nothing.
func (a *Archive) Create(id StreamID, start time.Time) (*Pending, error) {
	p, err := a.create(context.Background(), id, ms(start))
	if err != nil {
		return nil, fmt.Errorf("create segment %s: %w", id, a.noteError(err))
	}
	return p, nil
}

func (a *Archive) create(ctx context.Context, id StreamID, start time.Time) (*Pending, error) {
	if err := id.Valid(); err != nil {
		return nil, err
	}
	if !a.taken() {
		return nil, errors.New("the archive was not recovered yet")
	}
	_, last, ok, err := a.x.bounds(ctx, id)
	if err != nil {
		return nil, err
	}
	if ok && start.Before(last) {
		return nil, fmt.Errorf("%w: the stream is recorded until %s", ErrExists, last.Format(time.RFC3339Nano))
	}
	f, err := a.createFile(ctx, id, start, partName(id, start))
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%w: %w", ErrExists, err)
	}
	if err != nil {
		return nil, err
	}
	p := &Pending{a: a, id: id, at: start, file: f, sum: sha256.New()}
	a.mu.Lock()
	a.open[partFile{id, start}] = p
	a.mu.Unlock()
	return p, nil
}

// createFile makes a file in a camera's day. Retention may have removed the
// folder a moment ago, so it looks twice.
func (a *Archive) createFile(ctx context.Context, id StreamID, start time.Time, name string) (disk.File, error) {
	for again := false; ; again = true {
		if err := a.folder(ctx, id, start); err != nil {
			return nil, err
		}
		f, err := a.fs.Create(a.path(name))
		if again || !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
		a.forgetFolder(folder{id.Site, id.Camera, start.Format(time.DateOnly)})
	}
}

// Start is where the segment begins, cut to the millisecond.
func (p *Pending) Start() time.Time { return p.at }

// Size is how many sealed bytes were written so far.
func (p *Pending) Size() int64 { return p.size.Load() }

// Write takes sealed bytes. After an error the segment can only be torn or
// discarded; [Pending.Commit] then does what [Pending.Tear] does.
func (p *Pending) Write(b []byte) (int, error) {
	if p.failed != nil {
		return 0, p.failed
	}
	n, err := p.file.Write(b)
	p.sum.Write(b[:n])
	p.size.Add(int64(n))
	if !p.a.dirty.Load() {
		p.a.dirty.Store(true)
	}
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		p.failed = fmt.Errorf("write segment %s: %w", p.id, p.a.noteError(err))
		return n, p.failed
	}
	return n, nil
}

// Touch says that what was written reaches to now although the file has not
// grown: its time is what a recovery goes by. See package record, tails.
func (p *Pending) Touch() error {
	if err := p.a.fs.SetTime(p.a.path(partName(p.id, p.at)), p.a.now()); err != nil {
		return fmt.Errorf("touch segment %s: %w", p.id, p.a.noteError(err))
	}
	return nil
}

// Commit makes the segment durable, then findable: when it returns without
// error, the file, its name and its row are there. It may be called in a
// goroutine of its own, and is finished even when ctx ends.
//
// The segment's State is [Damaged] if a sync failed: that is no error, but
// loud in [Health]. An error that wraps [ErrUnfinished] means that the archive
// will go on trying. In neither case is there a gap to write.
func (p *Pending) Commit(ctx context.Context, end time.Time, clockErr time.Duration) (Segment, error) {
	if p.failed != nil {
		return p.Tear(ctx, end, clockErr)
	}
	return p.a.finish(context.WithoutCancel(ctx), p.take(end, clockErr, Sealed, stepSync))
}

// Tear keeps a segment that cannot be written to its end: it is trimmed to
// whole chunks and named torn. End is how far the caller knows whole chunks
// to reach. The error wraps [ErrEmpty] when there was nothing to keep; then
// all the time from Start on is the caller's to call a gap.
func (p *Pending) Tear(ctx context.Context, end time.Time, clockErr time.Duration) (Segment, error) {
	return p.a.finish(context.WithoutCancel(ctx), p.take(end, clockErr, Torn, stepTrim))
}

// Discard removes what was written.
func (p *Pending) Discard() error {
	w := p.take(p.at, 0, Sealed, stepSync)
	err := errors.Join(w.file.Close(), p.a.fs.Remove(p.a.path(w.part)))
	p.a.closed(w)
	if err != nil {
		return fmt.Errorf("discard segment %s: %w", p.id, p.a.noteError(err))
	}
	return nil
}

// take turns the pending segment into work to finish.
func (p *Pending) take(end time.Time, clockErr time.Duration, s State, first step) work {
	if p.done {
		panic("archive: segment finished twice")
	}
	p.done = true
	w := work{
		step: first, part: partName(p.id, p.at), file: p.file, pending: p,
		seg: Segment{
			StreamID: p.id, Start: p.at, Duration: max(ms(end).Sub(p.at), time.Millisecond),
			Bytes: p.size.Load(), State: s, ClockError: clockErr,
		},
	}
	p.sum.Sum(w.seg.SHA256[:0])
	return w
}

// step is how far a piece of work has come: what is to be done next.
type step int

const (
	stepTrim   step = iota // cut to whole chunks
	stepSync               // put the data on the disk, once
	stepRename             // give the file its name, put that on the disk
	stepRow                // add the row
	stepGap                // a gap: make its file, then its row
)

// work is a segment or a gap that was accepted and is not yet findable.
type work struct {
	step    step
	seg     Segment
	gap     Gap
	part    string    // the file's name so far
	file    disk.File // nil when closed
	pending *Pending  // nil for gaps and after a restart
}

// finish does what is left of a segment, and keeps what fails for later.
func (a *Archive) finish(ctx context.Context, w work) (Segment, error) {
	err := a.advance(ctx, &w)
	if err == nil || errors.Is(err, ErrEmpty) {
		a.closed(w)
		return w.seg, err
	}
	err = fmt.Errorf("finish segment %q: %w: %w", w.seg.Name(), ErrUnfinished, a.noteError(err))
	a.log.Error("segment is written but cannot be finished yet", "segment", w.seg.Name(), "err", err)
	a.postpone(w)
	return w.seg, err
}

func (a *Archive) advance(ctx context.Context, w *work) error {
	if w.step == stepTrim {
		if err := a.trim(w); err != nil {
			return err
		}
		w.step = stepSync
	}
	if w.step == stepSync {
		a.sync(w)
		w.step = stepRename
	}
	if w.step == stepRename {
		if err := a.rename(w); err != nil {
			return err
		}
		w.step = stepRow
	}
	if err := a.x.insert(ctx, w.seg, EnteredRecorded); err != nil {
		return err
	}
	return nil
}

// trim cuts a file to whole chunks, so that what is left of it reads without
// looking like tampering.
func (a *Archive) trim(w *work) error {
	header, err := seal.HeaderSize(io.NewSectionReader(w.file, 0, w.seg.Bytes))
	if err != nil && !errors.Is(err, seal.ErrDamaged) {
		return err
	}
	plain, size := seal.Whole(header, w.seg.Bytes)
	if err != nil || plain == 0 {
		if err := errors.Join(w.file.Close(), a.fs.Remove(a.path(w.part))); err != nil {
			a.log.Error("cannot remove an empty segment", "segment", w.part, "err", a.noteError(err))
		}
		w.file = nil
		return fmt.Errorf("segment %q: %w", w.part, ErrEmpty)
	}
	if err := w.file.Truncate(size); err != nil {
		return err
	}
	if size == w.seg.Bytes {
		return nil
	}
	sum, err := hashOf(io.NewSectionReader(w.file, 0, size))
	if err == nil {
		w.seg.Bytes, w.seg.SHA256 = size, sum
	}
	return err
}

func hashOf(r io.Reader) (sum [32]byte, err error) {
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return sum, err
	}
	h.Sum(sum[:0])
	return sum, nil
}

// sync puts the file's data on the disk, once. After a failure nobody knows
// what is there: the kernel may have marked lost pages clean, so that a second
// try would succeed and mean nothing.
func (a *Archive) sync(w *work) {
	err := w.file.Sync()
	err = errors.Join(err, w.file.Close())
	w.file = nil
	if err != nil {
		a.noteSync(fmt.Errorf("sync segment %q: %w", w.part, err))
		w.seg.State = Damaged
	}
	if w.pending != nil && w.pending.damaged.Load() {
		w.seg.State = Damaged
	}
	if w.seg.State == Damaged {
		a.log.Error("segment is damaged: a sync failed while it was written", "segment", w.part, "err", err)
	}
}

// rename gives the file the name that makes it a segment.
func (a *Archive) rename(w *work) error {
	if err := a.move(w.part, w.seg.Name()); err != nil {
		return err
	}
	w.part = w.seg.Name()
	if err := a.fs.SyncDir(a.path(path.Dir(w.part))); err != nil {
		a.noteSync(fmt.Errorf("sync folder of %q: %w", w.part, err))
		a.log.Error("segment is damaged: its folder could not be synced", "segment", w.part, "err", err)
		damaged := w.seg
		damaged.State = Damaged
		// The name is a help for whoever loses the index; the row says it too.
		if err := a.move(w.part, damaged.Name()); err == nil {
			w.part, w.seg = damaged.Name(), damaged
		} else {
			w.seg.State, w.seg.named = Damaged, w.seg.kind()
		}
	}
	return nil
}

// move renames, and finds out when only the answer was lost.
func (a *Archive) move(from, to string) error {
	if from == to {
		return nil
	}
	err := a.fs.Rename(a.path(from), a.path(to))
	if err == nil {
		return nil
	}
	if _, serr := a.fs.Stat(a.path(from)); !errors.Is(serr, fs.ErrNotExist) {
		return err
	}
	if _, serr := a.fs.Stat(a.path(to)); serr == nil {
		return nil
	}
	return err
}

// closed ends what is remembered of an open segment.
func (a *Archive) closed(w work) {
	a.mu.Lock()
	delete(a.open, partFile{w.seg.StreamID, w.seg.Start})
	a.mu.Unlock()
	if w.seg.State == Damaged {
		a.recount(context.Background())
	}
}

func (a *Archive) postpone(w work) {
	a.mu.Lock()
	a.unfinished = append(a.unfinished, w)
	a.mu.Unlock()
	a.refresh()
}

// retry goes on with what could not be finished.
func (a *Archive) retry(ctx context.Context) {
	a.turn.Lock()
	defer a.turn.Unlock()
	a.mu.Lock()
	list := a.unfinished
	a.unfinished = nil
	a.mu.Unlock()
	for _, w := range list {
		if w.step == stepGap {
			if err := a.addGap(ctx, w.gap); err != nil {
				a.postpone(w)
			}
			continue
		}
		err := a.there(w)
		if err == nil {
			err = a.advance(ctx, &w)
		}
		switch {
		case err == nil:
			a.closed(w)
			a.log.Info("segment finished after all", "segment", w.seg.Name())
		case errors.Is(err, ErrEmpty), a.vanished(w, err):
			a.closed(w)
			a.log.Error("segment is lost", "segment", w.seg.Name(), "err", err)
			g := Gap{StreamID: w.seg.StreamID, Start: w.seg.Start, End: w.seg.End(), Reason: Lost}
			if err := a.addGap(ctx, g); err != nil {
				a.postpone(work{step: stepGap, gap: g})
			}
		default:
			a.postpone(w)
		}
	}
	if len(list) > 0 {
		a.refresh()
	}
}

// there refuses to add a row for a file that is gone: when only the answer of
// the insert was lost, retention may have deleted the segment since.
func (a *Archive) there(w work) error {
	if w.step != stepRow {
		return nil
	}
	_, err := a.fs.Stat(a.path(w.part))
	return err
}

// vanished reports whether there is no file any more to finish.
func (a *Archive) vanished(w work, err error) bool {
	if !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	_, e1 := a.fs.Stat(a.path(w.part))
	_, e2 := a.fs.Stat(a.path(w.seg.Name()))
	return errors.Is(e1, fs.ErrNotExist) && errors.Is(e2, fs.ErrNotExist)
}

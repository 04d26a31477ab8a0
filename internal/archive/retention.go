package archive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"
)

// Policy is the retention of everything.
type Policy struct {
	Default   Retention
	PerCamera map[string]Retention // key: site/camera
	Total     int64                // bytes of the whole archive; 0 means no limit
	// LowWater is the free room to keep, in bytes: below it the oldest
	// segments go. Zero means a fiftieth of the disk, at most 1 GiB.
	LowWater int64
}

// Retention is how long recordings of a camera are kept. Zero means no limit.
type Retention struct {
	MaxAge   time.Duration // from the end of a segment
	MaxBytes int64         // all streams of the camera together
}

func (p Policy) of(id StreamID) Retention {
	if r, ok := p.PerCamera[id.Site+"/"+id.Camera]; ok {
		return r
	}
	return p.Default
}

// SetPolicy changes the retention, at once if Run runs.
func (a *Archive) SetPolicy(p Policy) {
	a.mu.Lock()
	a.policy = p
	a.mu.Unlock()
	a.hurry()
}

// batch is how many segments are deleted in one go. It bounds how long others
// wait for the database.
const batch = 64

// keep deletes what the policy no longer keeps, the oldest first, never what
// a hold covers.
func (a *Archive) keep(ctx context.Context) {
	a.turn.Lock()
	defer a.turn.Unlock()
	if err := a.retain(ctx); err != nil && ctx.Err() == nil {
		a.log.Error("retention did not finish", "err", a.noteError(err))
	}
	a.recount(ctx)
	a.look()
}

func (a *Archive) retain(ctx context.Context) error {
	a.mu.Lock()
	policy := a.policy
	a.mu.Unlock()
	if err := a.finishDeletions(ctx); err != nil {
		return err
	}
	streams, err := a.x.streams(ctx)
	if err != nil {
		return err
	}
	for _, s := range streams {
		if age := policy.of(s.StreamID).MaxAge; age > 0 {
			if err := a.deleteBefore(ctx, s, a.now().Add(-age)); err != nil {
				return err
			}
		}
	}
	for camera := range slices.Values(cameras(streams)) {
		if most := policy.of(camera[0].StreamID).MaxBytes; most > 0 {
			if err := a.shrink(ctx, camera, most); err != nil {
				return err
			}
		}
	}
	if policy.Total > 0 {
		if err := a.shrink(ctx, streams, policy.Total); err != nil {
			return err
		}
	}
	if err := a.makeRoom(ctx, streams); err != nil {
		return err
	}
	return a.dropGaps(ctx, policy)
}

// cameras splits streams, which are in order, by camera.
func cameras(in []stream) [][]stream {
	var out [][]stream
	for i, s := range in {
		if i == 0 || s.Site != in[i-1].Site || s.Camera != in[i-1].Camera {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], s)
	}
	return out
}

// deleteBefore deletes what ends before a time.
func (a *Archive) deleteBefore(ctx context.Context, s stream, t time.Time) error {
	for {
		list, err := a.x.deletable(ctx, s, t, batch)
		if err != nil || len(list) == 0 {
			return err
		}
		if err := a.expire(ctx, s, list, OutAge); err != nil {
			return err
		}
	}
}

// shrink deletes the oldest segments of streams until they take at most so
// many bytes together.
func (a *Archive) shrink(ctx context.Context, streams []stream, most int64) error {
	now, err := a.x.streams(ctx) // counts as they are after what was deleted before
	if err != nil {
		return err
	}
	var have int64
	for _, s := range now {
		if slices.ContainsFunc(streams, func(o stream) bool { return o.id == s.id }) {
			have += s.bytes
		}
	}
	if have <= most {
		return nil
	}
	_, err = a.free(ctx, streams, have-most, OutSize)
	return err
}

// makeRoom deletes the oldest segments when the disk is too full.
func (a *Archive) makeRoom(ctx context.Context, streams []stream) error {
	a.look()
	a.mu.Lock()
	d := a.disk
	a.mu.Unlock()
	need := int64(0)
	switch {
	case d.below:
		need = max(d.low+d.low/8-d.free, 1)
	case d.noRoom:
		// Free blocks, and yet no room: a quota, or no inodes. A little goes,
		// and look tries again; the whole archive must not go for somebody
		// else's files.
		need = 16 << 20
	default:
		return nil
	}
	freed, err := a.free(ctx, streams, need, OutRoom)
	if err == nil && freed < need && d.below {
		a.log.Warn("disk is low and nothing more may be deleted", "free", d.free, "low water", d.low)
	}
	return err
}

// free deletes the oldest segments of all these streams until so many bytes
// are free, and says how many it freed.
func (a *Archive) free(ctx context.Context, streams []stream, need int64, why string) (freed int64, err error) {
	for freed < need {
		n, err := a.freeBatch(ctx, streams, need-freed, why)
		if n == 0 || err != nil {
			return freed, err
		}
		freed += n
	}
	return freed, nil
}

func (a *Archive) freeBatch(ctx context.Context, streams []stream, need int64, why string) (freed int64, err error) {
	type candidate struct {
		Segment
		of int
	}
	var all []candidate
	for i, s := range streams {
		list, err := a.x.deletable(ctx, s, time.UnixMicro(1<<62), batch)
		if err != nil {
			return 0, err
		}
		for _, seg := range list {
			all = append(all, candidate{seg, i})
		}
	}
	slices.SortStableFunc(all, func(x, y candidate) int { return x.Start.Compare(y.Start) })
	chosen := map[int][]Segment{}
	for _, c := range all[:min(len(all), batch)] {
		if freed >= need {
			break
		}
		chosen[c.of], freed = append(chosen[c.of], c.Segment), freed+max(c.Bytes, 1)
	}
	for i, list := range chosen {
		if err := a.expire(ctx, streams[i], list, why); err != nil {
			return 0, err
		}
	}
	return freed, nil
}

// expire marks rows, then deletes. A crash in between leaves rows that say
// what was meant: the next start goes on.
func (a *Archive) expire(ctx context.Context, s stream, list []Segment, why string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	marked, err := a.x.expire(ctx, s, list, why)
	if err != nil {
		return err
	}
	if err := a.noted(ctx); err != nil {
		return err
	}
	return a.delete(ctx, s, marked)
}

// finishDeletions goes on with deletions that were begun.
func (a *Archive) finishDeletions(ctx context.Context) error {
	if err := a.noted(ctx); err != nil {
		return err
	}
	streams, err := a.x.streams(ctx)
	if err != nil {
		return err
	}
	for _, s := range streams {
		for {
			list, err := a.x.expiring(ctx, s)
			if err != nil {
				return err
			}
			if len(list) == 0 {
				break
			}
			if err := a.delete(ctx, s, list); err != nil {
				return err
			}
		}
	}
	return nil
}

// delete removes files, puts that on the disk, then removes the rows: as long
// as a file may come back after a power cut, its row is there.
func (a *Archive) delete(ctx context.Context, s stream, list []Segment) error {
	var days []string
	for _, seg := range list {
		err := a.fs.Remove(a.path(seg.Name()))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("delete segment %q: %w", seg.Name(), err)
		}
		if day := path.Dir(seg.Name()); !slices.Contains(days, day) {
			days = append(days, day)
		}
	}
	for _, day := range days {
		err := a.fs.SyncDir(a.path(day))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("sync folder %q: %w", day, err)
			a.noteSync(err)
			return err
		}
	}
	holes, err := a.holes(ctx, s, list)
	if err != nil {
		return err
	}
	if err := a.x.remove(ctx, s.StreamID, list, holes); err != nil {
		return err
	}
	a.log.Debug("deleted segments", "stream", s.StreamID.String(), "count", len(list), "first", list[0].Name())
	for _, day := range days {
		a.dayOver(ctx, folder{s.Site, s.Camera, path.Base(day)})
	}
	return nil
}

// holes are the gaps that deleting segments makes because something older is
// kept. Their files are made; the rows come in the transaction that removes
// the segments.
func (a *Archive) holes(ctx context.Context, s stream, list []Segment) ([]Gap, error) {
	if len(list) == 0 {
		return nil, nil
	}
	list = slices.SortedFunc(slices.Values(list), func(x, y Segment) int { return cmp.Compare(x.Start.UnixMicro(), y.Start.UnixMicro()) })
	kept, err := a.x.older(ctx, s, list[0].Start)
	if err != nil {
		return nil, err
	}
	var gaps []Gap
	for i, seg := range list {
		// What lies between two held segments leaves a hole as well.
		if !kept && i > 0 {
			if kept, err = a.x.older(ctx, s, seg.Start); err != nil {
				return nil, err
			}
		}
		if kept {
			gaps = append(gaps, Gap{s.StreamID, seg.Start, seg.End(), Expired})
		}
	}
	gaps = joinGaps(gaps)
	for _, g := range gaps {
		if err := a.writeGap(ctx, g); err != nil {
			return nil, err
		}
	}
	return gaps, nil
}

// dropGaps removes gaps from before the first segment of their stream: nobody
// can ask for them any more.
func (a *Archive) dropGaps(ctx context.Context, policy Policy) error {
	streams, err := a.x.streams(ctx)
	if err != nil {
		return err
	}
	for _, s := range streams {
		first, _, ok, err := a.x.bounds(ctx, s.StreamID)
		if err != nil {
			return err
		}
		if age := policy.of(s.StreamID).MaxAge; !ok && age > 0 {
			first, ok = a.now().Add(-age), true
		}
		if !ok {
			continue
		}
		if err := a.dropGapsBefore(ctx, s, a.firstOpen(s.StreamID, first)); err != nil {
			return err
		}
	}
	return nil
}

// firstOpen is when the first segment of a stream begins that has no row yet,
// or t if that is earlier: a gap after it is still needed.
func (a *Archive) firstOpen(id StreamID, t time.Time) time.Time {
	for _, p := range a.pendings() {
		if p.id == id && p.at.Before(t) {
			t = p.at
		}
	}
	return t
}

func (a *Archive) dropGapsBefore(ctx context.Context, s stream, t time.Time) error {
	for ctx.Err() == nil {
		list, err := a.x.oldGaps(ctx, s, t)
		if err != nil || len(list) == 0 {
			return err
		}
		if err := a.removeGaps(ctx, list, OutNothingBefore); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// dayOver tells of a day that has no segment left and no more to come, and
// removes its folder if nothing at all is in it.
func (a *Archive) dayOver(ctx context.Context, f folder) {
	day, err := time.Parse(time.DateOnly, f.day)
	// Two hours of patience: a recorder may still be about to write to
	// yesterday, and its key must not go before.
	if err != nil || a.now().Before(day.Add(26*time.Hour)) {
		return
	}
	for _, p := range a.pendings() {
		if p.id.Site == f.site && p.id.Camera == f.camera && p.at.Format(time.DateOnly) == f.day {
			return
		}
	}
	if some, err := a.x.segmentsOn(ctx, f, day); some || err != nil {
		return
	}
	if a.dayGone != nil {
		a.dayGone(f.site, f.camera, f.day)
	}
	if names, err := a.fs.ReadDir(a.path(f.path())); err != nil || len(names) > 0 {
		return
	}
	a.forgetFolder(f)
	if err := a.fs.Remove(a.path(f.path())); err != nil {
		a.log.Debug("day folder stays", "folder", f.path(), "err", err)
	}
}

// tidy looks for days that are over, in case a crash hid the end of one.
func (a *Archive) tidy(ctx context.Context) {
	list, err := a.days()
	if err != nil {
		a.log.Warn("cannot list day folders", "err", err)
		return
	}
	for _, f := range list {
		if ctx.Err() != nil {
			return
		}
		a.dayOver(ctx, f)
	}
}

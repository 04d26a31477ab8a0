package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"time"

	"github.com/watchward/watchward/internal/archive/disk"
	"github.com/watchward/watchward/internal/seal"
)

// Recovery says what was found after a crash and what became of it.
type Recovery struct {
	Folders  int // day folders looked through
	Adopted  int // segments that had a file and no row
	Torn     int // segments cut short, trimmed and kept
	Removed  int // segments cut short before their first whole chunk: nothing readable, removed
	Gaps     int // gaps that had a file and no row
	Restored int // gaps that had a row and no file
	Missing  int // segments that have a row and no file: marked, never forgotten
	Deleted  int // segments whose deletion was begun before the crash
	Strange  int // names in the archive that are not ours: left alone
}

// Recover makes the archive whole after whatever ended the last server, and
// takes its lock. It comes before anybody records. The error wraps [ErrInUse]
// when another process has the archive.
//
// It looks through the folders in which something may be unfinished, not the
// whole archive, unless the index is empty. Files that vanished elsewhere are
// found by [Archive.Check].
func (a *Archive) Recover(ctx context.Context) (Recovery, error) {
	var r Recovery
	if err := a.take(); err != nil {
		return r, fmt.Errorf("recover archive %q: %w", a.root, a.noteError(err))
	}
	fresh, err := a.x.empty(ctx)
	if err != nil {
		return r, fmt.Errorf("recover archive %q: %w", a.root, err)
	}
	if fresh {
		r, err = a.rebuild(ctx)
	} else {
		err = a.mend(ctx, &r)
	}
	if err != nil {
		return r, fmt.Errorf("recover archive %q: %w", a.root, a.noteError(err))
	}
	a.recount(ctx)
	a.look()
	a.log.Info("archive recovered", "folders", r.Folders, "adopted", r.Adopted, "torn", r.Torn, "removed", r.Removed,
		"gaps", r.Gaps, "missing", r.Missing, "deleted", r.Deleted)
	return r, nil
}

// Reindex throws the index away and makes it again from the names on disk,
// gaps included. Hashes come back with the next [Archive.Check] that computes
// them; holds stay. Clock errors and marks of missing segments are lost.
func (a *Archive) Reindex(ctx context.Context) (Recovery, error) {
	if err := a.take(); err != nil {
		return Recovery{}, fmt.Errorf("reindex archive %q: %w", a.root, err)
	}
	if len(a.pendings()) > 0 {
		return Recovery{}, fmt.Errorf("reindex archive %q: it is being recorded to", a.root)
	}
	r, err := a.rebuild(ctx)
	if err != nil {
		return r, fmt.Errorf("reindex archive %q: %w", a.root, err)
	}
	a.recount(ctx)
	return r, nil
}

// mend goes through the folders that may hold unfinished business.
func (a *Archive) mend(ctx context.Context, r *Recovery) error {
	marks, err := a.x.marked(ctx)
	if err != nil {
		return err
	}
	if err := a.finishDeletions(ctx); err != nil {
		return err
	}
	r.Deleted = int(marks[Expiring])
	list, err := a.suspects(ctx)
	if err != nil {
		return err
	}
	for _, f := range list {
		if err := a.mendDay(ctx, f, r); err != nil {
			return fmt.Errorf("folder %q: %w", f.path(), err)
		}
	}
	return a.x.clearFolders(ctx, list)
}

// suspects are the folders noted in the index, and the last two of each
// camera in case a power cut took that note.
func (a *Archive) suspects(ctx context.Context) ([]folder, error) {
	list, err := a.x.folders(ctx)
	if err != nil {
		return nil, err
	}
	all, err := a.days()
	if err != nil {
		return nil, err
	}
	for i, f := range all {
		last := i+2 >= len(all) || all[i+2].site != f.site || all[i+2].camera != f.camera
		if last && !slices.Contains(list, f) {
			list = append(list, f)
		}
	}
	return list, nil
}

func (a *Archive) mendDay(ctx context.Context, f folder, r *Recovery) error {
	r.Folders++
	files, err := a.read(f)
	if err != nil {
		return err
	}
	day, err := time.Parse(time.DateOnly, f.day)
	if err != nil {
		return nil // not a day: nothing of ours
	}
	streams, err := a.x.streams(ctx)
	if err != nil {
		return err
	}
	streams = slices.DeleteFunc(streams, func(s stream) bool { return s.Site != f.site || s.Camera != f.camera })
	for _, name := range files.strange {
		r.Strange++
		a.log.Warn("strange file in the archive", "folder", f.path(), "name", name)
	}
	if err := a.mendSegments(ctx, streams, day, files.segments, r); err != nil {
		return err
	}
	if err := a.mendGaps(ctx, streams, day, files.gaps, r); err != nil {
		return err
	}
	for _, p := range files.parts {
		if err := a.adoptPart(ctx, p, r); err != nil {
			return err
		}
	}
	return nil
}

// mendSegments brings files and rows of a day together.
func (a *Archive) mendSegments(ctx context.Context, streams []stream, day time.Time, files []found, r *Recovery) error {
	rows := map[partFile]Segment{}
	for _, s := range streams {
		list, err := a.x.startingIn(ctx, s, day)
		if err != nil {
			return err
		}
		for _, seg := range list {
			rows[partFile{seg.StreamID, seg.Start}] = seg
		}
	}
	for _, f := range files {
		key := partFile{f.StreamID, f.Start}
		row, ok := rows[key]
		if ok && row.Name() == f.Name() {
			delete(rows, key)
			if row.State == Missing {
				if err := a.x.setMark(ctx, row, row.kind()); err != nil {
					return err
				}
			}
			continue
		}
		if ok { // a row for another name: what lies on the disk is right
			if err := a.x.addEvents(ctx, Event{What: SegmentOut, Segment: row, Why: OutRenamed}); err != nil {
				return err
			}
			if err := a.x.remove(ctx, f.StreamID, []Segment{row}, nil); err != nil {
				return err
			}
			delete(rows, key)
		}
		if err := a.adopt(ctx, f.Segment, r); err != nil {
			return err
		}
	}
	for _, row := range rows {
		r.Missing++
		if row.State == Missing {
			continue
		}
		a.log.Error("segment's file is missing", "segment", row.Name())
		if err := a.x.setMark(ctx, row, Missing); err != nil {
			return err
		}
	}
	return nil
}

// adopt gives a row to a segment that has none.
func (a *Archive) adopt(ctx context.Context, s Segment, r *Recovery) error {
	f, err := a.fs.OpenWrite(a.path(s.Name()))
	if err != nil {
		return err
	}
	defer func() {
		if f != nil {
			f.Close()
		}
	}()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	s.Bytes = st.Size()
	if s.State == Torn {
		// The name comes before the trimming, so this may be half done.
		if err = a.trimFile(f, &s); errors.Is(err, ErrEmpty) {
			f.Close()
			f = nil
			return a.removeEmpty(s.Name(), r)
		}
		if err != nil {
			return err
		}
	}
	if s.SHA256, err = hashOf(io.NewSectionReader(f, 0, s.Bytes)); err != nil {
		return err
	}
	if s.State == Sealed && !possible(f, s.Bytes) {
		a.log.Error("segment is not what was written: its size cannot be", "segment", s.Name(), "bytes", s.Bytes)
		s.State, s.named = Damaged, Sealed
	}
	if err := a.syncDir(path.Dir(s.Name())); err != nil {
		return err
	}
	if err := a.x.insert(ctx, s, EnteredRecovered); err != nil {
		return err
	}
	if s.State == Torn {
		r.Torn++
	} else {
		r.Adopted++
	}
	a.log.Info("segment adopted", "segment", s.Name(), "bytes", s.Bytes)
	return a.clearGaps(ctx, s)
}

// trimFile cuts a torn segment to whole chunks and syncs it.
func (a *Archive) trimFile(f disk.File, s *Segment) error {
	header, err := seal.HeaderSize(io.NewSectionReader(f, 0, s.Bytes))
	if err != nil && !errors.Is(err, seal.ErrDamaged) {
		return err
	}
	plain, size := seal.Whole(header, s.Bytes)
	if err != nil || plain == 0 {
		return ErrEmpty
	}
	if size != s.Bytes {
		if err := f.Truncate(size); err != nil {
			return err
		}
		s.Bytes = size
	}
	return f.Sync()
}

// possible reports whether a finished age file can have this size.
func possible(f io.ReaderAt, size int64) bool {
	header, err := seal.HeaderSize(io.NewSectionReader(f, 0, size))
	return err == nil && seal.Possible(header, size)
}

func (a *Archive) removeEmpty(name string, r *Recovery) error {
	a.log.Warn("segment was cut short before its first whole chunk: nothing readable is lost with it", "segment", name)
	if err := a.fs.Remove(a.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	r.Removed++
	return nil
}

func (a *Archive) syncDir(rel string) error {
	err := a.fs.SyncDir(a.path(rel))
	if err != nil {
		a.noteSync(fmt.Errorf("sync folder %q: %w", rel, err))
	}
	return err
}

// adoptPart keeps what can be read of a segment that was being written. It
// gets its name first and is trimmed after: trimming changes the time of the
// last write, which is all that says how long it is.
func (a *Archive) adoptPart(ctx context.Context, p partFile, r *Recovery) error {
	name := partName(p.StreamID, p.Start)
	f, err := a.fs.Open(a.path(name))
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	header, err := seal.HeaderSize(io.NewSectionReader(f, 0, st.Size()))
	if cerr := f.Close(); cerr != nil || err != nil && !errors.Is(err, seal.ErrDamaged) {
		return errors.Join(err, cerr)
	}
	if plain, _ := seal.Whole(header, st.Size()); err != nil || plain == 0 {
		return a.removeEmpty(name, r)
	}
	s := Segment{StreamID: p.StreamID, Start: p.Start, State: Torn}
	if s.Duration, err = a.tornLength(ctx, p, st.ModTime()); err != nil {
		return err
	}
	if s.Duration < time.Millisecond {
		// Another segment begins where this one does: which is right cannot be
		// known without an identity, so both stay, this one under its own name.
		r.Strange++
		a.log.Error("a segment cut short lies where another one is: left as it is", "part", name)
		return nil
	}
	if err := a.move(name, s.Name()); err != nil {
		return err
	}
	return a.adopt(ctx, s, r)
}

// tornLength is the time from the start to the last write, kept within reason
// when the clock was stepped, and off the next segment.
func (a *Archive) tornLength(ctx context.Context, p partFile, written time.Time) (time.Duration, error) {
	d := min(max(ms(written).Sub(p.Start), time.Millisecond), a.maxSegment)
	near, err := a.x.between(ctx, p.StreamID, p.Start, p.Start.Add(d), 2)
	for _, s := range near {
		d = min(d, max(s.Start.Sub(p.Start), 0))
	}
	return d, err
}

// clearGaps takes back gaps where an adopted segment lies: what was recorded
// is worth more than a note that it was not.
func (a *Archive) clearGaps(ctx context.Context, s Segment) error {
	gaps, err := a.x.gapsBetween(ctx, s.StreamID, s.Start, s.End())
	if err != nil {
		return err
	}
	if err := a.removeGaps(ctx, gaps, OutRecorded); err != nil {
		return err
	}
	for _, g := range gaps {
		if err := a.addGap(ctx, g); err != nil { // what the segment leaves of it
			return err
		}
	}
	return nil
}

// mendGaps brings gap files and rows of a day together.
func (a *Archive) mendGaps(ctx context.Context, streams []stream, day time.Time, files []Gap, r *Recovery) error {
	rows := map[string]Gap{}
	for _, s := range streams {
		list, err := a.x.gapsStartingIn(ctx, s, day)
		if err != nil {
			return err
		}
		for _, g := range list {
			rows[g.Name()] = g
		}
	}
	for _, g := range files {
		if _, ok := rows[g.Name()]; ok {
			delete(rows, g.Name())
			continue
		}
		if err := a.adoptGap(ctx, g, r); err != nil {
			return err
		}
	}
	for _, g := range rows {
		// clearGaps may have taken the row meanwhile.
		if still, err := a.x.hasGap(ctx, g); err != nil || !still {
			if err != nil {
				return err
			}
			continue
		}
		r.Restored++
		if err := a.writeGap(ctx, g); err != nil {
			return err
		}
	}
	return nil
}

// adoptGap gives a row to a gap that has none, as far as nothing else is known
// of its time.
func (a *Archive) adoptGap(ctx context.Context, g Gap, r *Recovery) error {
	if has, err := a.x.hasGap(ctx, g); err != nil || has {
		return err
	}
	pieces, err := a.uncovered(ctx, g)
	if err != nil {
		return err
	}
	r.Gaps++
	if len(pieces) == 1 && pieces[0] == g {
		if err := a.syncDir(path.Dir(g.Name())); err != nil {
			return err
		}
		return a.x.insertGap(ctx, g, EnteredRecovered)
	}
	if err := a.addGap(ctx, g); err != nil {
		return err
	}
	if err := a.fs.Remove(a.path(g.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

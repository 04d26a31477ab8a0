package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/archive/disk"
)

// CheckOptions configures [Archive.Check].
type CheckOptions struct {
	// Hash reads every file and compares, or notes for the first time, its
	// hash; it also looks through the database file.
	Hash bool
	// Progress, if set, is called after each day of a camera.
	Progress func(done, total int)
}

// Kinds of problems.
const (
	ProblemMissing  = "missing-file" // a row without its file
	ProblemUnknown  = "missing-row"  // a file without its row
	ProblemSize     = "size"         // a file of another size than its row says
	ProblemHash     = "hash"         // a file with other contents than were written
	ProblemOverlap  = "overlap"      // two things claim the same time
	ProblemHole     = "hole"         // time without segment and without gap
	ProblemName     = "name"         // not a name of the archive
	ProblemPart     = "part"         // left by a crash: start the server, or recover
	ProblemGap      = "gap"          // a gap without its file or its row
	ProblemKey      = "key"          // segments whose day key is missing
	ProblemExpiring = "expiring"     // a deletion that was begun and not finished
	ProblemCount    = "count"        // the index's own sums are wrong
	ProblemDatabase = "database"     // the database file is damaged
)

// Problem is something that should not be.
type Problem struct {
	What   string // one of the kinds above
	Where  string // the file's name, or the stream and time
	Detail string // for a person
}

// Report is what a check found.
type Report struct {
	Problems       []Problem
	Segments, Gaps int
	Bytes          int64
	Torn, Damaged  int // known and marked, so no problem
	Hashed         int // files read
	NoHash         int // segments whose hash is not known yet
	Erased         int // segments whose day key was erased on purpose: nobody can open them
	Running        bool
}

// OK reports whether nothing is wrong.
func (r Report) OK() bool { return len(r.Problems) == 0 }

// Check compares everything that lies in the archive with everything that the
// index says, and changes nothing but two things: a row whose file vanished is
// marked, and with Hash a hash that was not known is noted.
//
// It may be called while a server records, by the server or by another
// process: what is about to change is looked at again before it is called a
// problem.
func (a *Archive) Check(ctx context.Context, o CheckOptions) (Report, error) {
	c := &checker{a: a, o: o, ends: map[StreamID]time.Time{}, sums: map[StreamID]stream{}}
	if err := c.run(ctx); err != nil {
		return c.r, fmt.Errorf("check archive %q: %w", a.root, err)
	}
	return c.r, nil
}

// running finds out whether somebody holds the archive's lock.
func (a *Archive) running() (bool, error) {
	if a.taken() {
		return true, nil
	}
	if _, err := a.fs.Stat(a.root); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	l, err := a.fs.Lock(filepath.Join(a.root, lockName))
	if errors.Is(err, disk.ErrLocked) {
		return true, nil
	}
	if err != nil {
		return false, nil // a disk that takes no writes can still be checked
	}
	return false, l.Close()
}

type checker struct {
	a    *Archive
	o    CheckOptions
	r    Report
	ends map[StreamID]time.Time // how far each stream's time is accounted for
	sums map[StreamID]stream
}

func (c *checker) add(what, where, format string, args ...any) {
	c.r.Problems = append(c.r.Problems, Problem{what, where, fmt.Sprintf(format, args...)})
}

func (c *checker) run(ctx context.Context) (err error) {
	if c.r.Running, err = c.a.running(); err != nil {
		return err
	}
	if c.o.Hash {
		if err := c.a.x.db.Check(ctx); err != nil {
			c.add(ProblemDatabase, filepath.Base(c.a.x.db.Path()), "%v", err)
		}
	}
	names, err := c.a.strangers()
	if err != nil {
		return err
	}
	for _, n := range names {
		c.add(ProblemName, n, "not a name of the archive")
	}
	days, err := c.days(ctx)
	if err != nil {
		return err
	}
	for i, f := range days {
		if err := c.day(ctx, f); err != nil {
			return err
		}
		if c.o.Progress != nil {
			c.o.Progress(i+1, len(days))
		}
	}
	return c.counts(ctx)
}

// days are all camera days that have a folder or a row, in order.
func (c *checker) days(ctx context.Context) ([]folder, error) {
	list, err := c.a.days()
	if err != nil {
		return nil, err
	}
	streams, err := c.a.x.streams(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range streams {
		days, err := c.a.x.daysOf(ctx, s)
		if err != nil {
			return nil, err
		}
		for _, d := range days {
			list = append(list, folder{s.Site, s.Camera, d})
		}
	}
	slices.SortFunc(list, func(a, b folder) int { return strings.Compare(a.path(), b.path()) })
	return slices.Compact(list), nil
}

// again is how often a day is looked at before what is found counts, when a
// server may just be changing it.
const again = 3

// day checks one camera's day.
func (c *checker) day(ctx context.Context, f folder) error {
	d, err := c.look(ctx, f)
	for try := 1; err == nil && c.r.Running && len(d.problems) > 0 && try < again; try++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(300 * time.Millisecond):
		}
		d, err = c.look(ctx, f)
	}
	if err != nil {
		return err
	}
	c.r.Problems = append(c.r.Problems, d.problems...)
	for id, end := range d.ends {
		c.ends[id] = end
	}
	for _, s := range d.rows {
		c.r.Segments++
		c.r.Bytes += s.Bytes
		sum := c.sums[s.StreamID]
		sum.segments, sum.bytes = sum.segments+1, sum.bytes+s.Bytes
		c.sums[s.StreamID] = sum
		switch s.kind() {
		case Torn:
			c.r.Torn++
		case Damaged:
			c.r.Damaged++
		}
		if s.SHA256 == ([32]byte{}) {
			c.r.NoHash++
		}
	}
	c.r.Gaps += len(d.gaps)
	for _, s := range d.vanished {
		if err := c.a.x.setMark(ctx, s, Missing); err != nil {
			return err
		}
	}
	c.key(f, d)
	if c.o.Hash {
		return c.hashes(ctx, d)
	}
	return nil
}

// dayCheck is what one look at a day found.
type dayCheck struct {
	problems []Problem
	rows     []Segment
	gaps     []Gap
	vanished []Segment // rows without file, not marked yet
	ends     map[StreamID]time.Time
}

func (d *dayCheck) add(what, where, format string, args ...any) {
	d.problems = append(d.problems, Problem{what, where, fmt.Sprintf(format, args...)})
}

func (c *checker) look(ctx context.Context, f folder) (*dayCheck, error) {
	d := &dayCheck{ends: map[StreamID]time.Time{}}
	day, err := time.Parse(time.DateOnly, f.day)
	if err != nil {
		return nil, err
	}
	streams, err := c.a.x.streams(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range streams {
		if s.Site != f.site || s.Camera != f.camera {
			continue
		}
		rows, err := c.a.x.startingIn(ctx, s, day)
		if err != nil {
			return nil, err
		}
		gaps, err := c.a.x.gapsStartingIn(ctx, s, day)
		if err != nil {
			return nil, err
		}
		d.rows, d.gaps = append(d.rows, rows...), append(d.gaps, gaps...)
		d.time(s.StreamID, c.ends[s.StreamID], rows, gaps)
	}
	files, err := c.a.read(f)
	if err != nil {
		return nil, err
	}
	d.compare(f, files, c.r.Running)
	return d, nil
}

// time walks a stream's day: each thing begins where the one before ended.
func (d *dayCheck) time(id StreamID, end time.Time, rows []Segment, gaps []Gap) {
	type span struct {
		start, end time.Time
		name       string
	}
	var all []span
	for _, s := range rows {
		all = append(all, span{s.Start, s.End(), s.Name()})
	}
	for _, g := range gaps {
		all = append(all, span{g.Start, g.End, g.Name()})
	}
	slices.SortStableFunc(all, func(a, b span) int { return a.start.Compare(b.start) })
	for _, s := range all {
		switch {
		case end.IsZero():
		case s.start.Before(end):
			d.add(ProblemOverlap, s.name, "begins %s before the end of what comes before it", end.Sub(s.start))
		case s.start.After(end):
			d.add(ProblemHole, id.String(), "nothing is known of %s from %s on", s.start.Sub(end), end.Format(time.RFC3339Nano))
		}
		if s.end.After(end) {
			end = s.end
		}
	}
	if len(all) > 0 {
		d.ends[id] = end
	}
}

// compare matches a day's rows with its files.
func (d *dayCheck) compare(f folder, files dayFiles, running bool) {
	sizes := map[string]int64{}
	for _, s := range files.segments {
		st, err := s.entry.Info()
		if err != nil {
			continue // deleted in this moment; the row says so too, or is looked at again
		}
		sizes[s.Name()] = st.Size()
	}
	for _, s := range d.rows {
		name := s.Name()
		size, ok := sizes[name]
		delete(sizes, name)
		switch {
		case s.State == Expiring && !running:
			d.add(ProblemExpiring, name, "its deletion was begun: starting the server finishes it")
		case s.State == Expiring:
		case !ok:
			d.add(ProblemMissing, name, "the index knows it, and its file is gone")
			if s.State != Missing {
				d.vanished = append(d.vanished, s)
			}
		case size != s.Bytes:
			d.add(ProblemSize, name, "%d bytes: want %d", size, s.Bytes)
		}
	}
	for name := range sizes {
		d.add(ProblemUnknown, name, "the index does not know it: reindex finds it")
	}
	known := map[string]bool{}
	for _, g := range d.gaps {
		known[g.Name()] = true
	}
	for _, g := range files.gaps {
		if !known[g.Name()] {
			d.add(ProblemGap, g.Name(), "the index does not know this gap")
		}
		delete(known, g.Name())
	}
	for name := range known {
		d.add(ProblemGap, name, "the gap has no file, and would be lost with the index")
	}
	for _, p := range files.parts {
		if !running {
			d.add(ProblemPart, partName(p.StreamID, p.Start), "left by a crash: starting the server keeps what can be read")
		}
	}
	for _, n := range files.strange {
		d.add(ProblemName, f.path()+"/"+n, "not a name of the archive")
	}
	slices.SortFunc(d.problems, func(a, b Problem) int {
		return strings.Compare(a.Where+a.What, b.Where+b.What)
	})
}

// key looks whether the day's segments can be opened at all.
func (c *checker) key(f folder, d *dayCheck) {
	if c.a.keys == "" || len(d.rows) == 0 {
		return
	}
	_, err := c.a.fs.Stat(filepath.Join(c.a.keys, f.site, f.camera, f.day+".key.age"))
	if err == nil {
		return
	}
	if _, gone := c.a.fs.Stat(filepath.Join(c.a.keys, f.site, f.camera, f.day+".erased")); errors.Is(err, fs.ErrNotExist) && gone == nil {
		c.r.Erased += len(d.rows)
		return
	}
	c.add(ProblemKey, f.path(), "its %d segments cannot be opened without the day key: %v", len(d.rows), err)
}

func (c *checker) hashes(ctx context.Context, d *dayCheck) error {
	for _, s := range d.rows {
		if err := ctx.Err(); err != nil {
			return err
		}
		if s.State == Missing || s.State == Expiring {
			continue
		}
		f, err := c.a.fs.Open(c.a.path(s.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // named above, or deleted meanwhile
		}
		if err != nil {
			return err
		}
		sum, err := hashOf(f)
		if err := errors.Join(err, f.Close()); err != nil {
			c.add(ProblemHash, s.Name(), "cannot be read: %v", err)
			continue
		}
		c.r.Hashed++
		switch {
		case s.SHA256 == [32]byte{}:
			c.r.NoHash--
			if err := c.a.x.setHash(ctx, s, sum); err != nil {
				return err
			}
		case s.SHA256 != sum && s.kind() != Damaged:
			c.add(ProblemHash, s.Name(), "its contents are not what was written")
		}
	}
	return nil
}

// counts compares the sums that the index keeps with what was counted. A
// server that records changes them all the time.
func (c *checker) counts(ctx context.Context) error {
	if c.r.Running {
		return nil
	}
	streams, err := c.a.x.streams(ctx)
	if err != nil {
		return err
	}
	for _, s := range streams {
		if sum := c.sums[s.StreamID]; sum.segments != s.segments || sum.bytes != s.bytes {
			c.add(ProblemCount, s.StreamID.String(), "the index counts %d segments and %d bytes: there are %d and %d",
				s.segments, s.bytes, sum.segments, sum.bytes)
		}
	}
	return nil
}

// Package archive keeps sealed segments and answers, for any stream and any
// time, which exist, where they lie and when they may be deleted. Stretches
// without recording are kept as carefully: a gap has a reason and a file.
//
// A recorder asks [Archive.Space], then [Archive.Create], [Pending.Write] and
// [Pending.Commit]; what it could not record it gives to [Archive.AddGap]. A
// page asks [Archive.Timeline] and [Archive.List], then [Archive.OpenFile].
// The server calls [Open], [Archive.Recover] before anybody records,
// [Archive.Run] while it lives, and [Archive.Close].
// Plain video never passes through here: opening a segment takes an identity, see package seal.
//
// # Durability
//
// File before row: a file is synced, renamed to a name that says all, its
// folder synced, and only then gets a row in the index. So a crash leaves at
// most files without a row, which [Archive.Recover] adopts, and a segment cut
// short, which it trims to whole chunks. The index can be thrown away:
// [Archive.Reindex] makes it again from the names.
//
// A sync that failed is never tried again: after the first failure a kernel
// may count the lost pages as clean. The segment is kept under a name that
// says "damaged", and [Health] says "failing".
//
// # What hurts
//
// Names and the index are exact to the millisecond. Times given are cut to it,
// ends like beginnings.
//
// After [Pending.Commit], whatever it returned, the time between start and end
// is the archive's: it tries again, and writes the gap itself if all is lost.
package archive

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"time"

	"github.com/watchward/watchward/internal/archive/disk"
	"github.com/watchward/watchward/internal/db"
)

var (
	// ErrNotFound means that no such segment exists. A gap is not an error: see
	// [Archive.Timeline].
	ErrNotFound = errors.New("segment not found")
	// ErrExists means that a segment of this stream with this start exists: the
	// recorder tries a millisecond later.
	ErrExists = errors.New("segment exists")
	// ErrFull means that there is no room to record.
	ErrFull = errors.New("disk is full")
	// ErrReadOnly means that the disk takes no writes.
	ErrReadOnly = errors.New("disk is read-only")
	// ErrEmpty means that a segment cut short holds not one whole chunk: there
	// is nothing to keep, and its whole time is the caller's to call a gap.
	ErrEmpty = errors.New("nothing readable was written")
	// ErrUnfinished means that a segment's bytes are in the archive but not yet
	// findable. The archive finishes it; the caller writes no gap.
	ErrUnfinished = errors.New("segment will be finished later")
	// ErrInUse means that another process works on the archive.
	ErrInUse = errors.New("archive is in use by another process")
)

// State says how whole a segment is.
type State string

// The states.
const (
	Sealed   State = "sealed"   // as it should be
	Torn     State = "torn"     // cut short by a crash or a full disk; readable to its last whole chunk
	Damaged  State = "damaged"  // a sync failed while it was written: parts may be lost
	Expiring State = "expiring" // being deleted
	Missing  State = "missing"  // its file vanished; the row stays until retention takes it
)

// Segment is one sealed file.
type Segment struct {
	StreamID
	Start    time.Time // UTC, to the millisecond
	Duration time.Duration
	Bytes    int64
	SHA256   [32]byte // of the sealed bytes; zero when not computed yet
	State    State
	// ClockError is how far Start and end may be from true time, as the
	// recorder knew; 0 when unknown.
	ClockError time.Duration

	named State // how the file is named, when State says something else
}

// End is where the segment ends: the next may begin there.
func (s Segment) End() time.Time { return s.Start.Add(s.Duration) }

func (s Segment) kind() State {
	if s.named != "" {
		return s.named
	}
	return s.State
}

// Gap is time that was not recorded.
type Gap struct {
	StreamID
	Start, End time.Time
	Reason     string // a word as of package media or record, or [Expired]
}

// Gap reasons of the archive's own.
const (
	Expired = "expired"      // retention deleted it, while something older is held
	Lost    = "disk-failing" // was written, and the disk did not keep it
)

// Timeline is what was recorded of a stream: from First to Last without Gaps.
type Timeline struct {
	First, Last time.Time // of all that the stream has; zero when nothing
	Gaps        []Gap     // that touch the span asked for, in order
	Marks       []Mark    // segments that are not [Sealed], in order
}

// Mark is a stretch of segments with the same state, which is not [Sealed].
type Mark struct {
	Start, End time.Time
	State      State
}

// Options configures an [Archive].
type Options struct {
	Root string // required: the archive's folder
	DB   *db.DB // required

	FS     disk.FS          // nil means the real file system
	Log    *slog.Logger     // nil means [slog.Default]
	Policy Policy           // may be changed later
	Now    func() time.Time // nil means [time.Now]

	// Journal is told of everything that happens, and of deletions before they
	// do. Nil means that events wait in the index for one.
	Journal Journal
	// Keys is the keys folder, for [Archive.Check] alone. Empty means that day
	// keys are not looked at.
	Keys string
	// Changed is called after Health changed in a way that a person should
	// see. It must return soon and not call the archive.
	Changed func(Health)
	// DayGone is called when the last segment of a camera's day was deleted by
	// retention: its key opens nothing any more. It may be called again for
	// the same day.
	DayGone func(site, camera, day string)
	// MaxSegment bounds the length given to a segment that a crash cut short,
	// should the clock be of no use. Zero means an hour.
	MaxSegment time.Duration
}

// File is an open sealed file.
type File interface {
	io.ReadSeekCloser
	io.ReaderAt
	Stat() (fs.FileInfo, error)
}

package archive

import (
	"context"
	"errors"
	"time"
)

var errLater = errors.New("not yet")

type Archive struct{ o Options }
type Pending struct{}
type Recovery struct {
	Adopted, Torn, Removed, Gaps, Finished, Missing int
}
type Hold struct {
	ID       string
	StreamID // Stream "" means all streams of the camera
	From, To time.Time
	By, Why  string
	Created  time.Time
}
type DiskState string

const (
	DiskOK       DiskState = "ok"
	DiskLow      DiskState = "low"
	DiskFull     DiskState = "full"
	DiskReadOnly DiskState = "read-only"
	DiskFailing  DiskState = "failing"
)

type Health struct {
	Disk        DiskState
	Since       time.Time
	Free, Total int64 // bytes of the file system
	Segments    int64
	Bytes       int64
	Damaged     int64
	Unfinished  int
	SyncError   string
	SyncErrorAt time.Time
	Synced      time.Time
}
type CheckOptions struct {
	Hash     bool
	Progress func(done, total int)
}
type Problem struct{ What, Where, Detail string }
type Report struct {
	Problems       []Problem
	Segments, Gaps int
	Bytes          int64
	Hashed         int
	Running        bool
}

func (r Report) OK() bool { return len(r.Problems) == 0 }

func Open(ctx context.Context, o Options) (*Archive, error)              { return &Archive{o}, nil }
func (a *Archive) Close() error                                          { return nil }
func (a *Archive) Recover(ctx context.Context) (Recovery, error)         { return Recovery{}, errLater }
func (a *Archive) Create(id StreamID, start time.Time) (*Pending, error) { return nil, errLater }
func (p *Pending) Write(b []byte) (int, error)                           { return 0, errLater }

// Size is the ciphertext written so far; any goroutine.
func (p *Pending) Size() int64 { return 0 }
func (p *Pending) Commit(ctx context.Context, end time.Time, clockErr time.Duration) (Segment, error) {
	return Segment{}, errLater
}

// Tear keeps a segment that cannot be written to its end (disk full, write error): trims to whole chunks, names it torn.
// end: up to where the whole chunks reach. ErrEmpty: nothing was kept.
func (p *Pending) Tear(ctx context.Context, end time.Time, clockErr time.Duration) (Segment, error) {
	return Segment{}, errLater
}
func (p *Pending) Discard() error                          { return errLater }
func (a *Archive) AddGap(ctx context.Context, g Gap) error { return errLater }
func (a *Archive) Last(ctx context.Context, id StreamID) (time.Time, bool, error) {
	return time.Time{}, false, errLater
}
func (a *Archive) Timeline(ctx context.Context, id StreamID, from, to time.Time) (Timeline, error) {
	return Timeline{}, errLater
}
func (a *Archive) List(ctx context.Context, id StreamID, from, to time.Time, limit int) ([]Segment, error) {
	return nil, errLater
}
func (a *Archive) OpenFile(ctx context.Context, id StreamID, start time.Time) (File, Segment, error) {
	return nil, Segment{}, errLater
}
func (a *Archive) OpenPart(id StreamID, start time.Time) (File, error) { return nil, errLater }
func (a *Archive) SetPolicy(p Policy)                                  {}
func (a *Archive) Hold(ctx context.Context, id StreamID, from, to time.Time, by, why string) (string, error) {
	return "", errLater
}
func (a *Archive) Release(ctx context.Context, id string) error { return errLater }
func (a *Archive) Holds(ctx context.Context) ([]Hold, error)    { return nil, errLater }
func (a *Archive) Run(ctx context.Context) error                { <-ctx.Done(); return nil }
func (a *Archive) Health() Health                               { return Health{} }
func (a *Archive) Space() error                                 { return nil }
func (a *Archive) Check(ctx context.Context, o CheckOptions) (Report, error) {
	return Report{}, errLater
}
func (a *Archive) Reindex(ctx context.Context) (Recovery, error) { return Recovery{}, errLater }

package archive

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"time"
)

// DiskState says in a word how the archive's disk does.
type DiskState string

// The states, from well to worst.
const (
	DiskOK       DiskState = "ok"
	DiskLow      DiskState = "low"       // under the low-water mark: the oldest segments go
	DiskFailing  DiskState = "failing"   // something could not be synced or finished lately
	DiskFull     DiskState = "full"      // nothing is recorded until there is room
	DiskReadOnly DiskState = "read-only" // nothing is recorded until it takes writes
)

// Health is how the archive does.
type Health struct {
	Disk        DiskState
	Since       time.Time // since when it is so
	Free, Total int64     // bytes of the file system; 0 until looked at
	LowWater    int64     // bytes that are kept free
	Segments    int64
	Bytes       int64
	Torn        int64     // segments that a crash cut short
	Damaged     int64     // segments written while a sync failed
	Missing     int64     // segments whose file vanished
	Unfinished  int       // segments and gaps that the archive still tries to finish
	SyncError   string    // the last one
	SyncErrorAt time.Time // zero if there was none
	Synced      time.Time // when all that was written was last put on the disk
}

// diskWatch is what makes the state. It is guarded by Archive.mu.
type diskWatch struct {
	free, total, low    int64
	below, full         bool // with hysteresis, by free room
	noRoom, readOnly    bool // a write said so; until one succeeds
	syncErr             error
	syncErrAt, syncedAt time.Time
}

// failingFor is how long a failed sync stays loud after all is well again.
const failingFor = time.Minute

// Health is how the archive does, as of a few seconds ago.
func (a *Archive) Health() Health {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.health
}

// Space is nil when there is room to record. Otherwise the error wraps
// [ErrFull] or [ErrReadOnly]. Recorders ask before they begin a segment; it
// costs next to nothing.
func (a *Archive) Space() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.disk.readOnly:
		return ErrReadOnly
	case a.disk.full, a.disk.noRoom:
		return ErrFull
	}
	return nil
}

// noteError recognises a disk that takes nothing, makes that known, and says
// it in the archive's words.
func (a *Archive) noteError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		a.mu.Lock()
		a.disk.noRoom = true
		a.mu.Unlock()
		a.hurry()
		err = fmt.Errorf("%w: %w", ErrFull, err)
	case errors.Is(err, syscall.EROFS):
		a.mu.Lock()
		a.disk.readOnly = true
		a.mu.Unlock()
		err = fmt.Errorf("%w: %w", ErrReadOnly, err)
	default:
		return err
	}
	a.refresh()
	return err
}

// noteSync makes a failed sync known.
func (a *Archive) noteSync(err error) {
	a.log.Error("sync failed", "err", err)
	a.mu.Lock()
	a.disk.syncErr, a.disk.syncErrAt = err, a.now()
	a.mu.Unlock()
	a.noteError(err)
	a.refresh()
}

// hurry asks for retention soon.
func (a *Archive) hurry() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// state must be called with mu held.
func (a *Archive) state() DiskState {
	d := &a.disk
	switch {
	case d.readOnly:
		return DiskReadOnly
	case d.full, d.noRoom:
		return DiskFull
	case len(a.unfinished) > 0, !d.syncErrAt.IsZero() && a.now().Sub(d.syncErrAt) < failingFor:
		return DiskFailing
	case d.below:
		return DiskLow
	}
	return DiskOK
}

// refresh makes Health anew and tells of what a person should see.
func (a *Archive) refresh() {
	a.mu.Lock()
	old, h := a.health, a.health
	h.Disk = a.state()
	if h.Disk != old.Disk || h.Since.IsZero() {
		h.Since = a.now()
	}
	h.Free, h.Total, h.LowWater = a.disk.free, a.disk.total, a.disk.low
	h.Unfinished = len(a.unfinished)
	h.Synced, h.SyncErrorAt = a.disk.syncedAt, a.disk.syncErrAt
	if a.disk.syncErr != nil {
		h.SyncError = a.disk.syncErr.Error()
	}
	a.health = h
	a.mu.Unlock()
	if h.Disk != old.Disk {
		level := a.log.Info
		if h.Disk != DiskOK && h.Disk != DiskLow {
			level = a.log.Error
		}
		level("disk state changed", "from", string(old.Disk), "to", string(h.Disk), "free", h.Free)
	}
	if a.changed != nil && (h.Disk != old.Disk || h.Damaged != old.Damaged || h.Missing != old.Missing ||
		h.Unfinished != old.Unfinished || h.SyncErrorAt != old.SyncErrorAt) {
		a.changed(h)
	}
}

// recount takes the counts from the index.
func (a *Archive) recount(ctx context.Context) {
	streams, err := a.x.streams(ctx)
	var marks map[State]int64
	if err == nil {
		marks, err = a.x.marked(ctx)
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return // the server stops
	case err != nil:
		a.log.Warn("cannot count segments", "err", err)
		return
	}
	var segments, bytes int64
	for _, s := range streams {
		segments, bytes = segments+s.segments, bytes+s.bytes
	}
	a.mu.Lock()
	old := a.health
	a.health.Segments, a.health.Bytes = segments, bytes
	a.health.Torn, a.health.Damaged, a.health.Missing = marks[Torn], marks[Damaged], marks[Missing]
	h := a.health
	a.mu.Unlock()
	if a.changed != nil && (h.Damaged != old.Damaged || h.Missing != old.Missing) {
		a.changed(h)
	}
}

// look measures the free room and tries whether a disk that took nothing does
// again.
func (a *Archive) look() {
	free, total, err := a.fs.Free(a.root)
	if err != nil {
		a.log.Warn("cannot measure free room", "root", a.root, "err", err)
		return
	}
	a.mu.Lock()
	d := &a.disk
	d.free, d.total, d.low = free, total, a.policy.LowWater
	if d.low <= 0 {
		d.low = min(total/50, 1<<30)
	}
	// Two marks each, so that the state does not flutter: room is made until an
	// eighth more than asked is free, and recording stops at half of it. The
	// rest keeps the database writable.
	d.below = free < d.low || d.below && free < d.low+d.low/8
	d.full = free < d.low/2 || d.full && free < d.low/2+d.low/8
	try := d.readOnly || d.noRoom && !d.full
	a.mu.Unlock()
	if try {
		a.probe()
	}
	a.refresh()
}

const probeName = ".probe"

// probe writes a small file and so finds out whether the disk takes writes.
func (a *Archive) probe() {
	name := filepath.Join(a.root, probeName)
	f, err := a.fs.Create(name)
	if errors.Is(err, syscall.EEXIST) { // left by an earlier try
		if err = a.fs.Remove(name); err == nil {
			f, err = a.fs.Create(name)
		}
	}
	if err == nil {
		_, err = f.Write(make([]byte, 64<<10))
		err = errors.Join(err, f.Close(), a.fs.Remove(name))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	full := errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
	switch {
	case err == nil:
		a.disk.readOnly, a.disk.noRoom = false, false
	case full:
		a.disk.readOnly, a.disk.noRoom = false, true
	}
}

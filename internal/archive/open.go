package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchward/watchward/internal/archive/disk"
)

// Archive is an open archive. Its methods may be called from any goroutine.
type Archive struct {
	root       string
	keys       string
	fs         disk.FS
	x          *index
	log        *slog.Logger
	now        func() time.Time
	changed    func(Health)
	dayGone    func(site, camera, day string)
	maxSegment time.Duration
	journal    Journal
	noting     sync.Mutex // held by who hands events to the journal

	// dirty says that something was written since the last syncfs. Writers only
	// look at it, mostly: it is the one word that cameras share.
	dirty atomic.Bool
	wake  chan struct{} // asks for retention soon; holds one

	// turn is held by those who finish segments and those who delete them.
	turn sync.Mutex

	mu         sync.Mutex // guards all below
	lock       io.Closer  // nil until Recover
	policy     Policy
	open       map[partFile]*Pending
	unfinished []work
	folders    map[folder]bool // made, and noted in the index
	disk       diskWatch
	health     Health // as last made
}

// Open checks the options and prepares the index. It does not touch the
// archive's files, so that tools may look at an archive that a server uses.
func Open(ctx context.Context, o Options) (*Archive, error) {
	if o.Root == "" || o.DB == nil {
		return nil, errors.New("open archive: Root and DB are required")
	}
	root, err := filepath.Abs(o.Root)
	if err != nil {
		return nil, fmt.Errorf("open archive %q: %w", o.Root, err)
	}
	x, err := openIndex(ctx, o.DB)
	if err != nil {
		return nil, fmt.Errorf("open archive %q: %w", o.Root, err)
	}
	a := &Archive{
		root: root, keys: o.Keys, fs: o.FS, x: x, log: o.Log, now: o.Now, policy: o.Policy,
		changed: o.Changed, dayGone: o.DayGone, maxSegment: o.MaxSegment, journal: o.Journal,
		wake: make(chan struct{}, 1), open: map[partFile]*Pending{}, folders: map[folder]bool{},
	}
	if a.fs == nil {
		a.fs = disk.OS{}
	}
	if a.log == nil {
		a.log = slog.Default()
	}
	if a.now == nil {
		a.now = time.Now
	}
	if a.maxSegment <= 0 {
		a.maxSegment = time.Hour
	}
	a.health.Disk = DiskOK
	return a, nil
}

// Close gives up the lock. Segments that are still being written stay as they
// are, and are trimmed by the next Recover.
func (a *Archive) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.lock == nil {
		return nil
	}
	err := a.lock.Close()
	a.lock = nil
	return err
}

const lockName = ".lock"

// take makes the archive's folder and takes its lock, once.
func (a *Archive) take() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.lock != nil {
		return nil
	}
	if err := a.fs.MkdirAll(a.root); err != nil {
		return err
	}
	l, err := a.fs.Lock(filepath.Join(a.root, lockName))
	if errors.Is(err, disk.ErrLocked) {
		return fmt.Errorf("%w: stop the server first", ErrInUse)
	}
	a.lock = l
	return err
}

func (a *Archive) taken() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lock != nil
}

// path is where a name of the archive lies.
func (a *Archive) path(rel string) string { return filepath.Join(a.root, filepath.FromSlash(rel)) }

// folder makes a camera's day folder and notes in the index that files
// without rows may be found in it.
func (a *Archive) folder(ctx context.Context, id StreamID, start time.Time) error {
	f := folder{id.Site, id.Camera, start.UTC().Format(time.DateOnly)}
	a.mu.Lock()
	known := a.folders[f]
	a.mu.Unlock()
	if known {
		return nil
	}
	if err := a.fs.MkdirAll(a.path(f.path())); err != nil {
		return err
	}
	if err := a.x.addFolder(ctx, f); err != nil {
		return err
	}
	a.mu.Lock()
	a.folders[f] = true
	a.mu.Unlock()
	return nil
}

// forgetFolder makes the next file look whether the folder is there.
func (a *Archive) forgetFolder(f folder) {
	a.mu.Lock()
	delete(a.folders, f)
	a.mu.Unlock()
}

package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"
)

const (
	// syncEvery bounds what a power cut costs: what was written before is on
	// the disk. One syncfs serves all cameras; on a spinning disk a sync of each
	// open file would not end in time.
	syncEvery = 2 * time.Second
	keepEvery = 10 * time.Second // retention, when nothing asks for it sooner
	tidyEvery = time.Hour        // folders and keys of days without segments
	noteEvery = time.Second      // what the journal has not heard of
)

// Run puts what is written on the disk every two seconds, watches the free
// room, finishes what could not be finished, and deletes what the policy no
// longer keeps. It returns nil after ctx ended and all that is synced.
func (a *Archive) Run(ctx context.Context) error {
	if !a.taken() {
		return errors.New("run archive: it was not recovered yet")
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		every(ctx, syncEvery, nil, func() {
			a.syncAll()
			a.look()
		})
	})
	wg.Go(func() {
		every(ctx, syncEvery, nil, func() { a.retry(ctx) })
	})
	wg.Go(func() {
		every(ctx, keepEvery, a.wake, func() { a.keep(ctx) })
	})
	wg.Go(func() {
		every(ctx, tidyEvery, nil, func() { a.tidy(ctx) })
	})
	wg.Go(func() {
		every(ctx, noteEvery, nil, func() { a.note(ctx) })
	})
	wg.Wait()
	a.syncAll()
	a.retry(context.WithoutCancel(ctx))
	a.note(context.WithoutCancel(ctx))
	return nil
}

// every calls f at once, then every d and whenever asked, until ctx ends.
func every(ctx context.Context, d time.Duration, asked <-chan struct{}, f func()) {
	t := time.NewTicker(d)
	defer t.Stop()
	for {
		f()
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-asked:
		}
	}
}

// syncAll puts what was written since the last call on the disk. If that
// fails, nobody knows which of the open segments lost something.
func (a *Archive) syncAll() {
	if !a.dirty.Swap(false) {
		return
	}
	err := a.fs.SyncFS(a.root)
	if errors.Is(err, errors.ErrUnsupported) {
		a.syncEach()
		return
	}
	if err != nil {
		for _, p := range a.pendings() {
			p.damaged.Store(true)
		}
		a.noteSync(fmt.Errorf("sync file system of %q: %w", a.root, err))
		return
	}
	a.synced()
}

// syncEach is for systems that have no syncfs.
func (a *Archive) syncEach() {
	failed := false
	for _, p := range a.pendings() {
		err := p.file.Sync()
		if err == nil || errors.Is(err, fs.ErrClosed) {
			continue
		}
		failed = true
		p.damaged.Store(true)
		a.noteSync(fmt.Errorf("sync segment of %s: %w", p.id, err))
	}
	if !failed {
		a.synced()
	}
}

func (a *Archive) synced() {
	a.mu.Lock()
	a.disk.syncedAt = a.now()
	a.mu.Unlock()
}

func (a *Archive) pendings() []*Pending {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]*Pending, 0, len(a.open))
	for _, p := range a.open {
		out = append(out, p)
	}
	return out
}

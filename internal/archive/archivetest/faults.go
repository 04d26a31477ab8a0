// Package archivetest makes an archive's disk fail, and knows what must be
// true of an archive afterwards.
//
// Wrap a store in [Faults], run a story once to count its calls, then run it
// again for each call with a [Fault] on it. [Verify] is the oracle.
package archivetest

import (
	"io"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/watchward/watchward/internal/archive/disk"
)

// Fault is what goes wrong.
type Fault struct {
	Op string // the kind of call, see [Ops]; "" means any
	N  int    // which call of that kind, from 1 on; 0 means each
	// Err is what the call answers. Nil means that it only takes Stall.
	Err error
	// Done means that the call is carried out and its answer lost.
	Done  bool
	Stall time.Duration // how long the call takes
}

// Ops are the kinds of calls that can fail.
var Ops = []string{
	"create", "open", "write", "read", "sync", "close", "truncate", "rename", "remove", "mkdir", "syncdir",
	"readdir", "stat", "syncfs", "free", "lock",
}

// Faults is a store some of whose calls go wrong. It counts all of them. All is
// well until [Faults.Set].
type Faults struct {
	disk.FS // the store behind, required
	// Quick leaves out the syncs that should succeed: a test cuts no power.
	Quick bool

	mu     sync.Mutex
	faults []Fault
	counts map[string]int
	free   func() (free, total int64)
}

var _ disk.FS = (*Faults)(nil)

// Set replaces the faults and counts from zero again.
func (f *Faults) Set(faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults, f.counts = slices.Clone(faults), map[string]int{}
}

// Counts says how many calls of each kind there were since Set.
func (f *Faults) Counts() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[string]int{}
	for k, v := range f.counts {
		out[k] = v
	}
	return out
}

// SetFree makes the store answer for the room left.
func (f *Faults) SetFree(answer func() (free, total int64)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.free = answer
}

// meet counts a call and says what becomes of it.
func (f *Faults) meet(op string) (err error, done bool) {
	f.mu.Lock()
	if f.counts == nil {
		f.counts = map[string]int{}
	}
	f.counts[op]++
	f.counts[""]++
	var stall time.Duration
	for _, x := range f.faults {
		if x.Op != "" && x.Op != op || x.N != 0 && x.N != f.counts[x.Op] {
			continue
		}
		stall += x.Stall
		if x.Err != nil {
			err, done = x.Err, x.Done
		}
	}
	f.mu.Unlock()
	if stall > 0 {
		time.Sleep(stall)
	}
	return err, done
}

// do carries a call out, or not, and loses its answer, or not.
func (f *Faults) do(op, path string, call func() error) error {
	err, done := f.meet(op)
	if err == nil {
		return call()
	}
	if done {
		if real := call(); real != nil {
			return real
		}
	}
	return &fs.PathError{Op: op, Path: path, Err: err}
}

func (f *Faults) quick(sync func() error) func() error {
	if f.Quick {
		return func() error { return nil }
	}
	return sync
}

func (f *Faults) opening(op, name string, call func() (disk.File, error)) (out disk.File, err error) {
	err = f.do(op, name, func() error {
		real, err := call()
		if err == nil {
			out = &file{real, f, name}
		}
		return err
	})
	if err != nil && out != nil {
		_ = out.(*file).File.Close() // its answer was lost
		out = nil
	}
	return out, err
}

func (f *Faults) Create(name string) (disk.File, error) {
	return f.opening("create", name, func() (disk.File, error) { return f.FS.Create(name) })
}

func (f *Faults) Open(name string) (disk.File, error) {
	return f.opening("open", name, func() (disk.File, error) { return f.FS.Open(name) })
}

func (f *Faults) OpenWrite(name string) (disk.File, error) {
	return f.opening("open", name, func() (disk.File, error) { return f.FS.OpenWrite(name) })
}

func (f *Faults) Rename(from, to string) error {
	return f.do("rename", from, func() error { return f.FS.Rename(from, to) })
}

func (f *Faults) Remove(name string) error {
	return f.do("remove", name, func() error { return f.FS.Remove(name) })
}

func (f *Faults) MkdirAll(dir string) error {
	return f.do("mkdir", dir, func() error { return f.FS.MkdirAll(dir) })
}

func (f *Faults) SyncDir(dir string) error {
	return f.do("syncdir", dir, f.quick(func() error { return f.FS.SyncDir(dir) }))
}

func (f *Faults) SyncFS(dir string) error {
	return f.do("syncfs", dir, f.quick(func() error { return f.FS.SyncFS(dir) }))
}

func (f *Faults) ReadDir(dir string) (out []fs.DirEntry, err error) {
	err = f.do("readdir", dir, func() (err error) { out, err = f.FS.ReadDir(dir); return err })
	return out, err
}

func (f *Faults) Stat(name string) (out fs.FileInfo, err error) {
	err = f.do("stat", name, func() (err error) { out, err = f.FS.Stat(name); return err })
	return out, err
}

func (f *Faults) Free(dir string) (free, total int64, err error) {
	f.mu.Lock()
	answer := f.free
	f.mu.Unlock()
	err = f.do("free", dir, func() (err error) {
		if answer != nil {
			free, total = answer()
			return nil
		}
		free, total, err = f.FS.Free(dir)
		return err
	})
	return free, total, err
}

func (f *Faults) Lock(name string) (out io.Closer, err error) {
	err = f.do("lock", name, func() (err error) { out, err = f.FS.Lock(name); return err })
	if err != nil && out != nil {
		_ = out.Close() // its answer was lost
		out = nil
	}
	return out, err
}

// file is an open file of a faulty store.
type file struct {
	disk.File
	fs   *Faults
	name string
}

func (f *file) Write(p []byte) (n int, err error) {
	err = f.fs.do("write", f.name, func() (err error) { n, err = f.File.Write(p); return err })
	return n, err
}

func (f *file) Read(p []byte) (n int, err error) {
	if err, _ := f.fs.meet("read"); err != nil {
		return 0, &fs.PathError{Op: "read", Path: f.name, Err: err}
	}
	return f.File.Read(p)
}

func (f *file) ReadAt(p []byte, off int64) (n int, err error) {
	if err, _ := f.fs.meet("read"); err != nil {
		return 0, &fs.PathError{Op: "read", Path: f.name, Err: err}
	}
	return f.File.ReadAt(p, off)
}

func (f *file) Sync() error { return f.fs.do("sync", f.name, f.fs.quick(f.File.Sync)) }

func (f *file) Truncate(n int64) error {
	return f.fs.do("truncate", f.name, func() error { return f.File.Truncate(n) })
}

// Close always closes: a close that fails leaves no descriptor behind either.
func (f *file) Close() error {
	err, _ := f.fs.meet("close")
	if real := f.File.Close(); real != nil {
		return real
	}
	if err != nil {
		return &fs.PathError{Op: "close", Path: f.name, Err: err}
	}
	return nil
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/archive/disk"
	"github.com/watchward/watchward/internal/camera"
	"github.com/watchward/watchward/internal/db"
	"github.com/watchward/watchward/internal/media"
	"github.com/watchward/watchward/internal/record"
	"github.com/watchward/watchward/internal/seal"
)

// recordAll is the recorder's process: it prints a result and ends.
func recordAll(ctx context.Context, c config) error {
	n, err := strconv.Atoi(c.counts)
	if err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50) // as "watchward run" does
	}
	var disk freezer
	rooms, err := openRooms(ctx, c, &disk)
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	var intake sync.WaitGroup
	recorders := make([]*record.Recorder, n)
	for i := range n {
		if recorders[i], err = rooms.watch(running, &intake, c, i); err != nil {
			stop()
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
	keep, finish := context.WithCancel(context.WithoutCancel(ctx))
	var keeping sync.WaitGroup
	keeping.Go(func() { _ = rooms.archive.Run(keep) })
	r, err := window(ctx, c, recorders, &disk)
	stop()
	intake.Wait()
	finish()
	keeping.Wait()
	for _, rec := range recorders {
		r.Dropped += rec.State().Lost
	}
	if err != nil {
		return err
	}
	if err := errors.Join(rooms.archive.Close(), rooms.db.Close()); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

type rooms struct {
	db      *db.DB
	archive *archive.Archive
	keys    *seal.DayKeys
}

func openRooms(ctx context.Context, c config, fs *freezer) (*rooms, error) {
	text, err := os.ReadFile(c.control)
	if err != nil {
		return nil, err
	}
	readers, err := seal.ParseReaders(strings.Fields(string(text)))
	if err != nil {
		return nil, err
	}
	r := &rooms{}
	if r.db, err = db.Open(ctx, filepath.Join(c.dir, "watchward.db")); err != nil {
		return nil, err
	}
	keys := filepath.Join(c.dir, "keys")
	if r.keys, err = seal.NewDayKeys(seal.Options{Dir: keys, Readers: readers, Log: c.logger()}); err != nil {
		return nil, err
	}
	r.archive, err = archive.Open(ctx, archive.Options{Root: filepath.Join(c.dir, "archive"), DB: r.db, Keys: keys, FS: fs, Log: c.logger()})
	if err != nil {
		return nil, err
	}
	_, err = r.archive.Recover(ctx)
	return r, err
}

// watch starts one camera and its recorder.
func (r *rooms) watch(ctx context.Context, all *sync.WaitGroup, c config, i int) (*record.Recorder, error) {
	stream := &media.Stream{}
	rec, err := record.New(record.Options{
		Stream: stream, ID: archive.StreamID{Site: "bench", Camera: fmt.Sprintf("cam-%d", i), Stream: archive.Main},
		Archive: r.archive, Keys: r.keys, Tails: filepath.Join(c.dir, "tails"), Log: c.logger(),
	})
	if err != nil {
		return nil, err
	}
	cam, err := camera.New(camera.Options{
		URL: fmt.Sprintf("rtsp://%s/cam-%d", c.address, i), Stream: stream, Transport: camera.TCP, Log: c.logger(),
		Dial: (&net.Dialer{}).DialContext,
	})
	if err != nil {
		return nil, err
	}
	// The recorder outlives its camera, so that what the camera published last is recorded.
	after, done := context.WithCancel(context.WithoutCancel(ctx))
	all.Go(func() { _ = rec.Run(after) })
	all.Go(func() {
		defer done()
		_ = cam.Run(ctx)
	})
	return rec, nil
}

// window measures this process between two moments.
func window(ctx context.Context, c config, recorders []*record.Recorder, disk *freezer) (r result, err error) {
	if !sleep(ctx, c.warm) {
		return r, ctx.Err()
	}
	if c.profile != "" {
		f, err := os.Create(c.profile)
		if err != nil {
			return r, err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return r, err
		}
		defer pprof.StopCPUProfile()
	}
	bytes := func() (n int64) {
		for _, rec := range recorders {
			n += int64(rec.State().Bytes)
		}
		return n
	}
	before, had, began := usageOf(os.Getpid()), bytes(), time.Now()
	if c.stall > 0 {
		time.AfterFunc(c.window/3, func() { disk.freeze(c.stall) })
	}
	for time.Since(began) < c.window {
		if !sleep(ctx, min(2*time.Second, max(c.window-time.Since(began), time.Millisecond))) {
			return r, ctx.Err()
		}
		r.Peak = max(r.Peak, statusField("/proc/self/status", "VmRSS:")*1024)
	}
	after := usageOf(os.Getpid())
	r.Seconds, r.Bytes = time.Since(began).Seconds(), bytes()-had
	r.CPU, r.Wakes, r.RSS = (after.CPU - before.CPU).Seconds(), after.Wakes-before.Wakes, after.RSS
	return r, nil
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// freezer is the real disk, until it is told to take nothing for a while: then
// every call that changes or syncs something waits.
type freezer struct {
	disk.OS
	until atomic.Int64 // Unix nanoseconds
}

func (f *freezer) freeze(d time.Duration) { f.until.Store(time.Now().Add(d).UnixNano()) }

func (f *freezer) wait() {
	if until := f.until.Load(); until != 0 {
		time.Sleep(time.Until(time.Unix(0, until)))
	}
}

func (f *freezer) Create(name string) (disk.File, error) {
	f.wait()
	file, err := f.OS.Create(name)
	if err != nil {
		return nil, err
	}
	return frozen{file, f}, nil
}

func (f *freezer) Rename(from, to string) error { f.wait(); return f.OS.Rename(from, to) }
func (f *freezer) MkdirAll(dir string) error    { f.wait(); return f.OS.MkdirAll(dir) }
func (f *freezer) SyncDir(dir string) error     { f.wait(); return f.OS.SyncDir(dir) }
func (f *freezer) SyncFS(dir string) error      { f.wait(); return f.OS.SyncFS(dir) }

type frozen struct {
	disk.File
	fs *freezer
}

func (f frozen) Write(p []byte) (int, error) { f.fs.wait(); return f.File.Write(p) }
func (f frozen) Sync() error                 { f.fs.wait(); return f.File.Sync() }

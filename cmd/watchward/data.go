package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/db"
	"github.com/watchward/watchward/internal/seal"
)

// DataFlag names the data folder of a command that works on what is there.
type DataFlag struct {
	Data string `short:"d" placeholder:"DIR" help:"Data folder: the one that holds archive, keys and watchward.db. Default: the one of run."`
}

// DataArg takes the data folder as an argument too.
type DataArg struct {
	Dir string `arg:"" optional:"" help:"Data folder; the same as --data."`
	DataFlag
}

// folder returns the data folder, which must be there: a tool that makes an
// empty one after a slip of the finger would find everything in order.
func (d DataArg) folder() (dataFolder, error) {
	switch {
	case d.Dir == "":
		d.Dir = d.Data
	case d.Data != "" && d.Data != d.Dir:
		return "", usage("give the folder once", "two data folders: %q and %q", d.Dir, d.Data)
	}
	if d.Dir == "" {
		d.Dir = DefaultConfig().Data
	}
	f := dataFolder(d.Dir)
	for _, sub := range []string{"archive", "keys"} {
		info, err := os.Stat(f.path(sub))
		if err == nil && info.IsDir() {
			return f, nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("open data folder: %w", err)
		}
	}
	return "", withHint(fmt.Errorf("open data folder %q: neither archive nor keys are in it", d.Dir),
		"give the folder that run or demo was given with --data")
}

func (d DataFlag) folder() (dataFolder, error) { return DataArg{DataFlag: d}.folder() }

// dataFolder is a data folder that is there.
type dataFolder string

func (f dataFolder) path(name string) string { return filepath.Join(string(f), name) }

// keys opens the keys folder without readers: nothing can be sealed through it.
func (f dataFolder) keys() (*seal.DayKeys, error) {
	return seal.NewDayKeys(seal.Options{Dir: f.path("keys"), Log: slog.New(slog.DiscardHandler)})
}

// dayKeys opens the keys folder and lists what is in it.
func (d DataArg) dayKeys() (*seal.DayKeys, []seal.DayKey, error) {
	f, err := d.folder()
	if err != nil {
		return nil, nil, err
	}
	keys, err := f.keys()
	if err != nil {
		return nil, nil, err
	}
	found, err := keys.List()
	return keys, found, err
}

// open opens archive and index. A running server does not mind.
func (f dataFolder) open(ctx context.Context) (_ *archive.Archive, done func() error, err error) {
	path := f.path("watchward.db")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil, withHint(fmt.Errorf("open index %q: it is not there", path),
			"\"watchward archive reindex --data %s\" makes it again from the names of the files", string(f))
	}
	return f.openOrMake(ctx)
}

// openOrMake is open for reindex, which needs no index to begin with.
func (f dataFolder) openOrMake(ctx context.Context) (_ *archive.Archive, done func() error, err error) {
	database, err := db.Open(ctx, f.path("watchward.db"))
	if err != nil {
		return nil, nil, err
	}
	a, err := archive.Open(ctx, archive.Options{
		Root: f.path("archive"), Keys: f.path("keys"), DB: database,
		Log: slog.New(slog.DiscardHandler), // what a person should know is in the result
	})
	if err != nil {
		return nil, nil, errors.Join(err, database.Close())
	}
	return a, func() error { return errors.Join(a.Close(), database.Close()) }, nil
}

// streams finds the streams that have files on a day from first to last, from
// the names alone.
func (f dataFolder) streams(which streamFilter, first, last time.Time) ([]archive.StreamID, error) {
	var found []archive.StreamID
	seen := make(map[archive.StreamID]bool)
	root := f.path("archive")
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // retention took it meanwhile
			}
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		parts := strings.Split(filepath.ToSlash(rel), "/")
		if e.IsDir() {
			if rel != "." && !which.enter(parts, first, last) {
				return filepath.SkipDir
			}
			return nil
		}
		s, err := archive.ParseName(filepath.ToSlash(rel))
		if err == nil && which.takes(s.StreamID) && !seen[s.StreamID] {
			seen[s.StreamID] = true
			found = append(found, s.StreamID)
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("walk archive: %w", err)
	}
	return found, nil
}

// streamFilter is SITE, SITE/CAMERA or SITE/CAMERA/STREAM; empty means all.
type streamFilter struct{ site, camera, stream string }

// UnmarshalText reads the filter from the command line.
func (w *streamFilter) UnmarshalText(text []byte) error {
	parts := strings.Split(string(text), "/")
	if len(parts) > 3 {
		return fmt.Errorf("%q: want SITE, SITE/CAMERA or SITE/CAMERA/STREAM", text)
	}
	for i, p := range parts {
		// The same letters are allowed everywhere; "x" stands for what is not given.
		if err := (archive.StreamID{Site: p, Camera: "x", Stream: "x"}).Valid(); err != nil {
			return fmt.Errorf("%q: want SITE, SITE/CAMERA or SITE/CAMERA/STREAM of a-z, 0-9 and -", text)
		}
		*[]*string{&w.site, &w.camera, &w.stream}[i] = p
	}
	return nil
}

func (w streamFilter) takes(id archive.StreamID) bool {
	return (w.site == "" || w.site == id.Site) &&
		(w.camera == "" || w.camera == id.Camera) &&
		(w.stream == "" || w.stream == id.Stream)
}

// enter says whether a folder of the archive can hold what is looked for.
func (w streamFilter) enter(parts []string, first, last time.Time) bool {
	switch len(parts) {
	case 1:
		return w.site == "" || w.site == parts[0]
	case 2:
		return w.camera == "" || w.camera == parts[1]
	case 3:
		day, err := time.Parse(time.DateOnly, parts[2])
		// A segment that began before midnight reaches into the next day.
		return err == nil && !day.AddDate(0, 0, 2).Before(first) && !day.After(last)
	}
	return false
}

// moment is a time on the command line, UTC unless it says otherwise.
type moment struct{ time.Time }

var momentLayouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly}

// UnmarshalText reads the time.
func (m *moment) UnmarshalText(text []byte) error {
	for _, layout := range momentLayouts {
		if t, err := time.Parse(layout, string(text)); err == nil {
			m.Time = t.UTC()
			return nil
		}
	}
	return fmt.Errorf("time %q: want 2026-11-24, 2026-11-24T10:15 or 2026-11-24T10:15:00Z; UTC unless it says otherwise", text)
}

// SpanFlags narrow a list.
type SpanFlags struct {
	From moment `placeholder:"TIME" help:"Only from this time on (2026-11-24, 2026-11-24T10:15, UTC). Default: the beginning."`
	To   moment `placeholder:"TIME" help:"Only before this time. Default: now."`
}

// span returns both ends; an absent one is far away.
func (f SpanFlags) span() (from, to time.Time, err error) {
	from, to = f.From.Time, f.To.Time
	if from.IsZero() {
		from = time.Unix(0, 0).UTC()
	}
	if to.IsZero() {
		to = time.Now().UTC().Add(24 * time.Hour) // clocks differ
	}
	if !from.Before(to) {
		return from, to, usage("", "--from %s is not before --to %s", from.Format(time.RFC3339), to.Format(time.RFC3339))
	}
	return from, to, nil
}

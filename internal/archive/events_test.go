package archive_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/watchward/watchward/internal/archive"
)

// journal remembers what it is told, and what follows from it.
type journal struct {
	root string

	mu    sync.Mutex
	list  []archive.Event
	in    map[string][32]byte // what is in the archive, by what it was told
	fails error
	early []string // deletions noted when the file was gone already
}

func (j *journal) Note(_ context.Context, events []archive.Event) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.fails != nil {
		return j.fails
	}
	for _, e := range events {
		j.list = append(j.list, e)
		switch e.What {
		case archive.SegmentIn, archive.GapIn:
			j.in[e.Name()] = e.Segment.SHA256
		case archive.SegmentOut, archive.GapOut:
			if _, err := os.Stat(filepath.Join(j.root, filepath.FromSlash(e.Name()))); err != nil {
				j.early = append(j.early, e.Name())
			}
			delete(j.in, e.Name())
		}
	}
	return nil
}

func (j *journal) Known(_ context.Context, name string) ([32]byte, bool, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	sum, ok := j.in[name]
	return sum, ok, nil
}

func (j *journal) told() (out []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range j.list {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s", e.What, filepath.Base(e.Name()), e.Why)))
	}
	return out
}

// agrees compares what the journal was told with what lies in the archive.
func (h *house) agrees() {
	h.t.Helper()
	if err := h.a.NoteAll(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	files := map[string]bool{}
	list, err := filepath.Glob(filepath.Join(h.o.Root, "*", "*", "*", "*"))
	if err != nil {
		h.t.Fatal(err)
	}
	for _, path := range list {
		name, _ := filepath.Rel(h.o.Root, path)
		if !strings.HasSuffix(name, ".part") {
			files[filepath.ToSlash(name)] = true
		}
	}
	for name := range files {
		if _, ok := h.journal.in[name]; !ok {
			h.t.Errorf("the journal was not told of %q", name)
		}
	}
	for name := range h.journal.in {
		if !files[name] {
			h.t.Errorf("the journal was told of %q, and not that it went", name)
		}
	}
}

func TestEverythingIsNoted(t *testing.T) {
	h := newHouse(t)
	h.record(gate, noon, time.Minute, 1000)
	h.gap(noon.Add(time.Minute), noon.Add(2*time.Minute), "no-video")
	s := h.record(gate, noon.Add(2*time.Minute), time.Minute, 1000)
	id, err := h.a.Hold(t.Context(), gate, s.Start, s.End(), "inspector", "case 7")
	if err != nil {
		t.Fatal(err)
	}
	h.later(24 * time.Hour)
	h.a.SetPolicy(archive.Policy{Default: archive.Retention{MaxAge: time.Hour}})
	h.a.Keep(t.Context())
	if err := h.a.Release(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if err := h.a.NoteAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"segment 12-00-00.000Z_60000.mp4.age recorded", "gap 12-01-00.000Z_60000.no-video.gap recorded",
		"segment 12-02-00.000Z_60000.mp4.age recorded", "held .", "deleted 12-00-00.000Z_60000.mp4.age age",
		"gap-deleted 12-01-00.000Z_60000.no-video.gap nothing-before", "released .",
	}
	if got := h.journal.told(); !slices.Equal(got, want) {
		t.Errorf("told\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	held := h.journal.list[3].Hold
	if held.By != "inspector" || held.Why != "case 7" || !held.From.Equal(s.Start) || held.ID != id {
		t.Errorf("hold %+v", held)
	}
	if first := h.journal.list[2].Segment; first.SHA256 != s.SHA256 || first.Bytes != s.Bytes || first.ClockError != s.ClockError {
		t.Errorf("segment %+v, want %+v", first, s)
	}
	if len(h.journal.early) > 0 {
		t.Errorf("noted after the file was gone: %q", h.journal.early)
	}
	h.agrees()
}

func TestDeletionWaitsForTheJournal(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fails error
		left  []string
	}{
		{"the journal fails", syscall.EIO, []string{"06T12", "06T13"}},
		// The event waits in the index: a full disk must not stay full for want
		// of a line in a journal on the same disk.
		{"the disk is full", fmt.Errorf("append: %w", syscall.ENOSPC), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			h.hours(gate, noon, 2, 1000)
			if err := h.a.NoteAll(t.Context()); err != nil {
				t.Fatal(err)
			}
			h.later(48 * time.Hour)
			h.journal.fails = tt.fails
			h.a.SetPolicy(archive.Policy{Default: archive.Retention{MaxAge: time.Hour}})
			h.a.Keep(t.Context())
			left, err := filepath.Glob(filepath.Join(h.o.Root, "*", "*", "*", "*.age"))
			if err != nil || len(left) != len(tt.left) {
				t.Errorf("left %q, %v, want %d", left, err, len(tt.left))
			}
			if waiting, err := h.a.Waiting(t.Context()); err != nil || len(waiting) != 2 {
				t.Errorf("waiting %v, %v", waiting, err)
			}
			h.journal.fails = nil
			h.a.Keep(t.Context())
			h.agrees()
			if len(h.journal.in) != 0 {
				t.Errorf("the journal still has %v", h.journal.in)
			}
		})
	}
}

// TestLostIndexAsksTheJournal makes the index again from names: what the
// journal knows is not told anew, and gives the rows their hashes.
func TestLostIndexAsksTheJournal(t *testing.T) {
	h := newHouse(t)
	known := h.record(gate, noon, time.Minute, 1000)
	h.gap(noon.Add(time.Minute), noon.Add(2*time.Minute), "no-video")
	if err := h.a.NoteAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	told := len(h.journal.told())
	unknown := h.record(gate, noon.Add(2*time.Minute), time.Minute, 1000)
	h.leave()
	for _, name := range []string{"", "-wal", "-shm"} {
		_ = os.Remove(filepath.Join(h.dir, "watchward.db"+name))
	}
	h.open()
	h.recover()
	h.agrees()
	if got := h.journal.told()[told:]; !slices.Equal(got, []string{"segment 12-02-00.000Z_60000.mp4.age recovered"}) {
		t.Errorf("told %q", got)
	}
	list, err := h.a.List(t.Context(), gate, noon, noon.Add(time.Hour), 10)
	if err != nil || len(list) != 2 || list[0].SHA256 != known.SHA256 || list[1].SHA256 != unknown.SHA256 {
		t.Errorf("rows %+v, %v", list, err)
	}
}

// TestEventsWaitForAJournal is an archive of before there was one.
func TestEventsWaitForAJournal(t *testing.T) {
	h := newHouse(t, func(o *archive.Options) { o.Journal = nil })
	h.record(gate, noon, time.Minute, 1000)
	h.later(48 * time.Hour)
	h.a.SetPolicy(archive.Policy{Default: archive.Retention{MaxAge: time.Hour}})
	h.record(gate, noon.Add(time.Minute), time.Minute, 1000)
	if err := h.a.NoteAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.o.Journal = h.journal
	h.reenter()
	h.agrees()
	if got := h.journal.told(); len(got) != 2 {
		t.Errorf("told %q", got)
	}
}

func TestHoldRefusesTimesNoRecordCanHold(t *testing.T) {
	h := newHouse(t)
	if _, err := h.a.Hold(t.Context(), gate, noon, noon.AddDate(9000, 0, 0), "x", "y"); err == nil || errors.Is(err, archive.ErrNoHold) {
		t.Errorf("Hold until the year 11031 = %v", err)
	}
}

package archive_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/archive/archivetest"
)

// answer is what was promised to a recorder while things went wrong.
type answer struct {
	committed []archive.Segment // Commit returned no error, and the segment is not damaged
	end       time.Time         // how far the story's time reached
}

// story is a recorder's life: two streams, a gap, retention that deletes the
// first segment, a torn one. It behaves as the archive's doc asks.
func story(t *testing.T, h *house) (ans answer) {
	at := noon
	for i, size := range []int{100_000, 10, 140_000} {
		s, err := tryRecord(t, h.a, gate, at, time.Minute, sealed(t, size))
		end := at.Add(time.Minute)
		switch {
		case err == nil && s.State == archive.Sealed:
			ans.committed, end = append(ans.committed, s), s.End()
		case err == nil: // torn or damaged: kept, and said so
			end = s.End()
		case errors.Is(err, archive.ErrUnfinished):
		default: // nothing was kept: the recorder's gap
			_ = h.a.AddGap(t.Context(), archive.Gap{StreamID: gate, Start: at, End: end, Reason: "disk-failing"})
		}
		at = end
		if i == 0 {
			_ = h.a.AddGap(t.Context(), archive.Gap{StreamID: gate, Start: at, End: at.Add(10 * time.Second), Reason: "no-video"})
			at = at.Add(10 * time.Second)
		}
	}
	h.a.SetPolicy(archive.Policy{Default: archive.Retention{MaxBytes: 150_000}})
	h.a.Keep(t.Context())
	h.a.SyncAll()
	h.a.Retry(t.Context())
	if p, err := h.a.Create(gate, at); err == nil { // open when the crash comes
		p.Write(sealed(t, 200_000))
		part := filepath.Join(h.o.Root, "harbour/gate", at.Format("2006-01-02/15-04-05.000Z")+".part")
		_ = os.Chtimes(part, time.Time{}, at.Add(time.Minute)) // the story's clock, not ours
	}
	ans.end = at.Add(time.Minute)
	return ans
}

// aftermath is the next start: recovery, then the recorder calls the time
// since then a gap, and the oracle has its word.
func aftermath(t *testing.T, h *house, ans answer) {
	t.Helper()
	h.a.SetIndexFault(nil)
	h.reenter()
	last, ok, err := h.a.Last(t.Context(), gate)
	if err != nil {
		t.Fatal(err)
	}
	if ok {
		h.gap(last, ans.end.Add(time.Minute), "recorder-stopped")
		h.record(gate, ans.end.Add(time.Minute), time.Minute, 10)
	}
	for _, s := range ans.committed {
		if s.Start.Equal(noon) {
			continue // the one that retention may have taken
		}
		got, err := h.a.List(t.Context(), gate, s.Start, s.End(), 5)
		if err != nil || len(got) != 1 || !got[0].Start.Equal(s.Start) || got[0].SHA256 != s.SHA256 {
			t.Errorf("committed segment %q is lost: %+v, %v", s.Name(), got, err)
		}
	}
	h.agrees()
	h.leave()
	h.open()
	archivetest.Verify(t, h.a)
}

// Every call to the disk fails once, or is carried out and its answer lost.
func TestEveryDiskCallMayFail(t *testing.T) {
	counting := newHouse(t)
	counting.faults.Set()
	story(t, counting)
	counts := counting.faults.Counts()
	for _, op := range archivetest.Ops {
		for n := 1; n <= counts[op]; n += stride {
			for _, done := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s %d done=%t", op, n, done), func(t *testing.T) {
					t.Parallel()
					h := newHouse(t)
					h.faults.Set(archivetest.Fault{Op: op, N: n, Err: syscall.EIO, Done: done})
					aftermath(t, h, story(t, h))
				})
			}
		}
	}
}

// Every change of the index fails once, or is made and its answer lost.
func TestEveryIndexCallMayFail(t *testing.T) {
	counting := newHouse(t)
	calls := 0
	counting.a.SetIndexFault(func(op string, done bool) error {
		if !done {
			calls++
		}
		return nil
	})
	story(t, counting)
	if calls < 8 {
		t.Fatalf("%d index calls in the story: the walk would show little", calls)
	}
	for n := 1; n <= calls; n += stride {
		for _, done := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d done=%t", n, done), func(t *testing.T) {
				t.Parallel()
				h := newHouse(t)
				count := 0
				h.a.SetIndexFault(func(op string, after bool) error {
					if !after {
						count++
					}
					if count == n && after == done {
						count += 1 << 20 // once
						return errors.New("index " + op + " fails")
					}
					return nil
				})
				aftermath(t, h, story(t, h))
			})
		}
	}
}

// Nothing works from one call on, as on a disk that was pulled; then the
// process dies.
func TestDiskGoneFromSomeCallOn(t *testing.T) {
	counting := newHouse(t)
	counting.faults.Set()
	story(t, counting)
	total := counting.faults.Counts()[""]
	for n := 1; n <= total; n += 7 * stride {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			var all []archivetest.Fault
			for i := n; i <= 4*total; i++ {
				all = append(all, archivetest.Fault{N: i, Err: syscall.EIO})
			}
			h.faults.Set(all...)
			ans := story(t, h)
			aftermath(t, h, ans)
		})
	}
}

// Recovery itself may fail at every call: the next one finishes.
func TestRecoverMayFail(t *testing.T) {
	prepare := func(t *testing.T) (*house, answer) {
		h := newHouse(t)
		ans := story(t, h)
		// Beside the part: a file and a gap whose rows never came.
		h.gap(ans.end, ans.end.Add(time.Minute), "no-video")
		dir := filepath.Join(h.o.Root, "harbour/gate/2031-05-06")
		for name, body := range map[string][]byte{
			"13-00-00.000Z_60000.mp4.age":      sealed(t, 1000),
			"13-01-00.000Z_60000.torn.mp4.age": sealed(t, 100_000),
		} {
			if err := os.WriteFile(filepath.Join(dir, name), body, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		h.gap(ans.end.Add(time.Minute), noon.Add(time.Hour), "stopped")
		h.leave()
		h.faults.Set()
		h.open()
		ans.end = noon.Add(62 * time.Minute)
		return h, ans
	}
	h, _ := prepare(t)
	h.recover()
	counts := h.faults.Counts()
	for _, op := range archivetest.Ops {
		for n := 1; n <= counts[op]; n += stride {
			t.Run(fmt.Sprintf("%s %d", op, n), func(t *testing.T) {
				t.Parallel()
				for _, done := range []bool{false, true} {
					h, ans := prepare(t)
					h.faults.Set(archivetest.Fault{Op: op, N: n, Err: syscall.EIO, Done: done})
					_, _ = h.a.Recover(t.Context())
					aftermath(t, h, ans)
				}
			})
		}
	}
}

func TestFailedSyncMarksDamagedLoudly(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault archivetest.Fault
	}{
		{"of the file", archivetest.Fault{Op: "sync", N: 1, Err: syscall.EIO}},
		{"of the folder", archivetest.Fault{Op: "syncdir", N: 1, Err: syscall.EIO}},
		{"of the file system, while it was open", archivetest.Fault{Op: "syncfs", N: 1, Err: syscall.EIO}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var told []archive.Health
			h := newHouse(t, func(o *archive.Options) { o.Changed = func(h archive.Health) { told = append(told, h) } })
			p, err := h.a.Create(gate, noon)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.Write(sealed(t, 1000)); err != nil {
				t.Fatal(err)
			}
			h.faults.Set(tt.fault)
			if tt.fault.Op == "syncfs" {
				h.a.SyncAll()
			}
			s, err := p.Commit(t.Context(), noon.Add(time.Minute), 0)
			if err != nil || s.State != archive.Damaged {
				t.Fatalf("Commit = %+v, %v, want it damaged", s, err)
			}
			health := h.a.Health()
			if health.Disk != archive.DiskFailing || health.Damaged != 1 || health.SyncError == "" || len(told) == 0 {
				t.Errorf("health %+v, told %d times: want it failing, and told", health, len(told))
			}
			if counts := h.faults.Counts(); counts["sync"] > 1 {
				t.Errorf("%d syncs of the file: a failed one is never repeated", counts["sync"])
			}
			h.later(2 * time.Minute)
			h.a.Look()
			if health := h.a.Health(); health.Disk != archive.DiskOK || health.Damaged != 1 {
				t.Errorf("health %+v two minutes later, want it ok, still with a damaged segment", health)
			}
			h.leave()
			h.open()
			archivetest.Verify(t, h.a)
			if r, err := h.a.Reindex(t.Context()); err != nil || r.Adopted != 1 {
				t.Fatalf("Reindex = %+v, %v", r, err)
			}
			if list, _ := h.a.List(t.Context(), gate, noon, noon.Add(time.Hour), 1); len(list) != 1 || list[0].State != archive.Damaged {
				t.Errorf("after a reindex %+v, want it still damaged by its name", list)
			}
		})
	}
}

// A disk that fills while a segment is written: what was whole is kept, and
// recording resumes by itself.
func TestFullDisk(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want error
		disk archive.DiskState
	}{
		{syscall.ENOSPC, archive.ErrFull, archive.DiskFull},
		{syscall.EROFS, archive.ErrReadOnly, archive.DiskReadOnly},
	} {
		t.Run(tt.err.Error(), func(t *testing.T) {
			h := newHouse(t)
			body := sealed(t, 200_000)
			p, err := h.a.Create(gate, noon)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.Write(body[:100_000]); err != nil {
				t.Fatal(err)
			}
			h.faults.Set(archivetest.Fault{Op: "write", Err: tt.err}, archivetest.Fault{Op: "create", Err: tt.err})
			if _, err := p.Write(body[100_000:]); !errors.Is(err, tt.want) {
				t.Errorf("Write: %v, want %v", err, tt.want)
			}
			if err := h.a.Space(); !errors.Is(err, tt.want) {
				t.Errorf("Space: %v, want %v", err, tt.want)
			}
			if s := h.a.Health().Disk; s != tt.disk {
				t.Errorf("disk %q, want %q", s, tt.disk)
			}
			s, err := p.Commit(t.Context(), noon.Add(30*time.Second), 0)
			if err != nil || s.State != archive.Torn {
				t.Errorf("Commit = %+v, %v, want it torn", s, err)
			}
			gap := archive.Gap{StreamID: gate, Start: s.End(), End: noon.Add(time.Minute), Reason: "disk-full"}
			if err := h.a.AddGap(t.Context(), gap); !errors.Is(err, archive.ErrUnfinished) {
				t.Errorf("AddGap: %v, want it accepted for later", err)
			}
			h.a.Look()
			if err := h.a.Space(); !errors.Is(err, tt.want) {
				t.Errorf("Space while it lasts: %v, want %v", err, tt.want)
			}
			h.faults.Set()
			h.a.Retry(t.Context())
			h.a.Look()
			if err := h.a.Space(); err != nil {
				t.Errorf("Space after it is over: %v", err)
			}
			h.record(gate, noon.Add(time.Minute), time.Minute, 10)
			if st := h.a.Health(); st.Disk != archive.DiskOK || st.Unfinished != 0 {
				t.Errorf("health %+v, want ok", st)
			}
			h.leave()
			h.open()
			archivetest.Verify(t, h.a)
		})
	}
}

func TestNothingReadableIsNotKept(t *testing.T) {
	h := newHouse(t)
	p, err := h.a.Create(gate, noon)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Write(sealed(t, 1000)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Tear(t.Context(), noon.Add(time.Second), 0); !errors.Is(err, archive.ErrEmpty) {
		t.Errorf("Tear: %v, want %v", err, archive.ErrEmpty)
	}
	h.gap(noon, noon.Add(time.Minute), "disk-full")
	h.leave()
	h.open()
	archivetest.Verify(t, h.a)
}

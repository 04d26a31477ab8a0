package archive_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/archive/archivetest"
)

// hours records a segment an hour, each with about size bytes.
func (h *house) hours(id archive.StreamID, from time.Time, n, size int) {
	h.t.Helper()
	for i := range n {
		h.record(id, from.Add(time.Duration(i)*time.Hour), time.Hour, size)
	}
}

func (h *house) starts(id archive.StreamID) (out []string) {
	h.t.Helper()
	list, err := h.a.List(h.t.Context(), id, noon.AddDate(-1, 0, 0), noon.AddDate(1, 0, 0), 1000)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, s := range list {
		out = append(out, s.Start.Format("02T15"))
	}
	return out
}

func TestRetention(t *testing.T) {
	sub := archive.StreamID{Site: "harbour", Camera: "gate", Stream: "sub"}
	yard := archive.StreamID{Site: "harbour", Camera: "yard", Stream: "main"}
	one := int64(len(sealed(t, 1000)))
	for _, tt := range []struct {
		name                string
		policy              archive.Policy
		gate, gateSub, yard []string
	}{
		{
			"no limit",
			archive.Policy{},
			[]string{"06T12", "06T13", "06T14"},
			[]string{"06T12", "06T13"},
			[]string{"06T12", "06T13"},
		},
		{
			"by age",
			archive.Policy{Default: archive.Retention{MaxAge: 90 * time.Minute}},
			[]string{"06T13", "06T14"},
			[]string{"06T13"},
			[]string{"06T13"},
		},
		{
			"by bytes of a camera, all its streams",
			archive.Policy{Default: archive.Retention{MaxBytes: 3 * one}},
			[]string{"06T13", "06T14"},
			[]string{"06T13"},
			[]string{"06T12", "06T13"},
		},
		{"one camera is kept longer", archive.Policy{
			Default:   archive.Retention{MaxAge: time.Hour},
			PerCamera: map[string]archive.Retention{"harbour/yard": {MaxAge: 24 * time.Hour}},
		}, []string{"06T14"}, nil, []string{"06T12", "06T13"}},
		{
			"in all, the oldest of any camera first",
			archive.Policy{Total: 4 * one},
			[]string{"06T13", "06T14"},
			[]string{"06T13"},
			[]string{"06T13"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			h.hours(gate, noon, 3, 1000)
			h.hours(sub, noon, 2, 1000)
			h.hours(yard, noon, 2, 1000)
			h.later(130 * time.Minute) // 15:10
			h.a.SetPolicy(tt.policy)
			h.a.Keep(t.Context())
			for _, s := range []struct {
				id   archive.StreamID
				want []string
			}{{gate, tt.gate}, {sub, tt.gateSub}, {yard, tt.yard}} {
				if got := h.starts(s.id); !slices.Equal(got, s.want) {
					t.Errorf("%s: %v are left, want %v", s.id, got, s.want)
				}
			}
			h.leave()
			h.open()
			archivetest.Verify(t, h.a)
		})
	}
}

func TestHoldKeeps(t *testing.T) {
	h := newHouse(t)
	h.hours(gate, noon, 6, 1000)
	h.later(24 * time.Hour)
	id, err := h.a.Hold(t.Context(), archive.StreamID{Site: "harbour", Camera: "gate"},
		noon.Add(90*time.Minute), noon.Add(100*time.Minute), "inspector", "case 7")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.a.Hold(t.Context(), gate, noon, noon.Add(time.Hour), "inspector", ""); err == nil {
		t.Error("a hold without a reason was taken")
	}
	h.a.SetPolicy(archive.Policy{Default: archive.Retention{MaxAge: 20 * time.Hour}})
	h.a.Keep(t.Context())
	if got, want := h.starts(gate), []string{"06T13", "06T17"}; !slices.Equal(got, want) {
		t.Errorf("%v are left, want %v", got, want)
	}
	tl, err := h.a.Timeline(t.Context(), gate, noon, noon.Add(24*time.Hour))
	if err != nil || len(tl.Gaps) != 1 || tl.Gaps[0].Reason != archive.Expired || tl.Gaps[0].End.Sub(tl.Gaps[0].Start) != 3*time.Hour {
		t.Errorf("timeline %+v, %v, want 3 h expired", tl, err)
	}
	if holds, err := h.a.Holds(t.Context()); err != nil || len(holds) != 1 || holds[0].Why != "case 7" || holds[0].ID != id {
		t.Errorf("holds %+v, %v", holds, err)
	}
	h.reenter()
	h.leave()
	h.open()
	archivetest.Verify(t, h.a)
	h.recover()
	h.a.SetPolicy(archive.Policy{Default: archive.Retention{MaxAge: 20 * time.Hour}})
	if err := h.a.Release(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if err := h.a.Release(t.Context(), id); !errors.Is(err, archive.ErrNoHold) {
		t.Errorf("released twice: %v, want %v", err, archive.ErrNoHold)
	}
	h.a.Keep(t.Context())
	if got := h.starts(gate); !slices.Equal(got, []string{"06T17"}) {
		t.Errorf("%v are left after the release, want the last", got)
	}
	if left, _ := filepath.Glob(filepath.Join(h.o.Root, "harbour/gate/*/*.gap")); len(left) != 0 {
		t.Errorf("gaps of before the first segment are left: %v", left)
	}
	h.leave()
	h.open()
	archivetest.Verify(t, h.a)
}

func TestDayGone(t *testing.T) {
	h := newHouse(t)
	h.hours(gate, noon, 14, 100) // until 02:00 of the next day
	h.later(48 * time.Hour)
	h.a.SetPolicy(archive.Policy{Default: archive.Retention{MaxAge: 36 * time.Hour}})
	h.a.Keep(t.Context())
	if len(h.gone) != 1 || h.gone[0] != "harbour/gate/2031-05-06" {
		t.Errorf("told that %v are gone, want the first day", h.gone)
	}
	if _, err := os.Stat(filepath.Join(h.o.Root, "harbour/gate/2031-05-06")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its folder: %v, want it gone", err)
	}
	// Today's key must stay even when all of today's segments went.
	h.now = noon.Add(14 * time.Hour)
	h.a.SetPolicy(archive.Policy{Default: archive.Retention{MaxBytes: 1}})
	h.a.Keep(t.Context())
	if len(h.starts(gate)) != 0 || len(h.gone) != 1 {
		t.Errorf("left %v, gone %v: want nothing left and no more told", h.starts(gate), h.gone)
	}
	h.later(48 * time.Hour)
	h.a.Tidy(t.Context())
	if len(h.gone) != 2 {
		t.Errorf("gone %v: want the second day told once it is over", h.gone)
	}
}

func TestLowWaterFreesTheOldest(t *testing.T) {
	h := newHouse(t)
	h.hours(gate, noon, 6, 1000)
	one := int64(len(sealed(t, 1000)))
	room := func() (free, total int64) { // a disk that holds exactly seven
		var used int64
		files, _ := filepath.Glob(filepath.Join(h.o.Root, "harbour/gate/*/*.age"))
		for _, f := range files {
			if st, err := os.Stat(f); err == nil {
				used += st.Size()
			}
		}
		return 7*one - used, 7 * one
	}
	h.faults.SetFree(room)
	h.a.SetPolicy(archive.Policy{LowWater: 3 * one})
	h.a.Look()
	if s := h.a.Health().Disk; s != archive.DiskFull {
		t.Errorf("disk %q with one of three free, want %q", s, archive.DiskFull)
	}
	if err := h.a.Space(); !errors.Is(err, archive.ErrFull) {
		t.Errorf("Space: %v, want %v", err, archive.ErrFull)
	}
	h.a.Keep(t.Context())
	if got, want := h.starts(gate), []string{"06T15", "06T16", "06T17"}; !slices.Equal(got, want) {
		t.Errorf("%v are left, want %v: an eighth more than asked is freed", got, want)
	}
	if err := h.a.Space(); err != nil {
		t.Errorf("Space after room was made: %v", err)
	}
	if s := h.a.Health().Disk; s != archive.DiskOK {
		t.Errorf("disk %q, want ok", s)
	}
	if _, err := h.a.Hold(t.Context(), gate, noon, noon.Add(24*time.Hour), "inspector", "all of it"); err != nil {
		t.Fatal(err)
	}
	h.record(gate, noon.Add(6*time.Hour), time.Hour, 1000)
	h.record(gate, noon.Add(7*time.Hour), time.Hour, 1000)
	h.record(gate, noon.Add(8*time.Hour), time.Hour, 1000)
	h.a.Keep(t.Context())
	if len(h.starts(gate)) != 6 {
		t.Error("a held segment was deleted to make room")
	}
	if err := h.a.Space(); !errors.Is(err, archive.ErrFull) {
		t.Errorf("Space when all is held: %v, want %v", err, archive.ErrFull)
	}
}

package archive_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/archive/archivetest"
	"github.com/watchward/watchward/internal/db"
)

// named makes an archive of empty files, which is all that an index needs.
func named(t testing.TB, root string, segments int, gapEvery int) {
	t.Helper()
	made := map[string]bool{}
	touch := func(name string) {
		path := filepath.Join(root, name)
		if dir := filepath.Dir(path); !made[dir] {
			made[dir] = true
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	at := noon
	for i := range segments {
		s := archive.Segment{StreamID: gate, Start: at, Duration: time.Minute, State: archive.Sealed}
		touch(s.Name())
		at = at.Add(time.Minute)
		if gapEvery > 0 && i%gapEvery == 0 {
			g := archive.Gap{StreamID: gate, Start: at, End: at.Add(7 * time.Second), Reason: "connection-lost"}
			touch(g.Name())
			at = g.End
		}
	}
}

func indexed(t testing.TB, segments, gapEvery int) *archive.Archive {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "archive")
	if err != nil {
		dir = t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	root := filepath.Join(dir, "archive")
	named(t, root, segments, gapEvery)
	d, err := db.Open(context.Background(), filepath.Join(dir, "watchward.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	a, err := archive.Open(context.Background(), archive.Options{Root: root, DB: d, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	start := time.Now()
	r, err := a.Reindex(context.Background())
	if err != nil || r.Adopted != segments {
		t.Fatalf("Reindex = %+v, %v, want %d", r, err, segments)
	}
	t.Logf("%d names reindexed in %s", r.Adopted+r.Gaps, time.Since(start).Round(time.Millisecond))
	return a
}

const month = 43_200 // minutes of 30 days

// page is a timeline as the HTTP door gives it (docs/design/0001-spine.md).
func page(t testing.TB, tl archive.Timeline) []byte {
	t.Helper()
	type span struct {
		Start  int64  `json:"start"`
		End    int64  `json:"end"`
		Reason string `json:"reason,omitempty"`
		State  string `json:"state,omitempty"`
	}
	var out struct {
		First, Last int64
		Gaps, Marks []span
	}
	for _, g := range tl.Gaps {
		out.Gaps = append(out.Gaps, span{Start: g.Start.UnixMilli(), End: g.End.UnixMilli(), Reason: g.Reason})
	}
	for _, m := range tl.Marks {
		out.Marks = append(out.Marks, span{Start: m.Start.UnixMilli(), End: m.End.UnixMilli(), State: string(m.State)})
	}
	b, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func BenchmarkTimeline30Days(b *testing.B) {
	for _, every := range []int{100, 4} { // a gap after so many segments
		b.Run(fmt.Sprintf("gap_every_%d", every), func(b *testing.B) {
			a := indexed(b, month, every)
			var tl archive.Timeline
			for b.Loop() {
				var err error
				if tl, err = a.Timeline(b.Context(), gate, noon, noon.AddDate(0, 0, 31)); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(page(b, tl))), "page-bytes")
			b.ReportMetric(float64(len(tl.Gaps)), "gaps")
		})
	}
}

func BenchmarkList(b *testing.B) {
	a := indexed(b, month, 100)
	for b.Loop() {
		list, err := a.List(b.Context(), gate, noon.AddDate(0, 0, 17), noon.AddDate(0, 0, 18), 120)
		if err != nil || len(list) != 120 {
			b.Fatal(len(list), err)
		}
	}
}

func BenchmarkReindex100k(b *testing.B) {
	a := indexed(b, 100_000, 0)
	for b.Loop() {
		if _, err := a.Reindex(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkWrite is the hot path: what one more sealed chunk costs.
func BenchmarkWrite(b *testing.B) {
	dir := b.TempDir()
	d, err := db.Open(b.Context(), filepath.Join(dir, "watchward.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	a, err := archive.Open(b.Context(), archive.Options{Root: filepath.Join(dir, "archive"), DB: d, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer a.Close()
	if _, err := a.Recover(b.Context()); err != nil {
		b.Fatal(err)
	}
	p, err := a.Create(gate, noon)
	if err != nil {
		b.Fatal(err)
	}
	defer p.Discard()
	chunk := make([]byte, 64<<10+16)
	b.SetBytes(int64(len(chunk)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Write(chunk); err != nil {
			b.Fatal(err)
		}
	}
}

// However a camera flaps, a page stays small.
func TestTimelineStaysSmall(t *testing.T) {
	a := indexed(t, 5000, 1)
	tl, err := a.Timeline(t.Context(), gate, noon, noon.AddDate(0, 0, 31))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(page(t, tl)); n > 100_000 || len(tl.Gaps) < 10 {
		t.Errorf("%d bytes and %d gaps, want under 100000 and still some gaps", n, len(tl.Gaps))
	}
	var lost time.Duration
	for _, g := range tl.Gaps {
		lost += g.End.Sub(g.Start)
	}
	if want := 5000 * 7 * time.Second; lost != want {
		t.Errorf("%s lost, want %s", lost, want)
	}
	for i, g := range tl.Gaps {
		if i > 0 && g.Start.Before(tl.Gaps[i-1].End) || !g.End.After(g.Start) {
			t.Fatalf("gap %d is %+v after %+v", i, g, tl.Gaps[i-1])
		}
	}
	// A day of the same is shown as it was.
	if tl, err = a.Timeline(t.Context(), gate, noon, noon.Add(10*time.Hour)); err != nil || len(tl.Gaps) < 530 {
		t.Errorf("%d gaps in ten hours, %v, want each", len(tl.Gaps), err)
	}
}

// Recorders, retention, checks and pages at the same time; then the oracle.
func TestManyAtOnce(t *testing.T) {
	h := newHouse(t)
	ctx, stop := context.WithCancel(t.Context())
	h.a.SetPolicy(archive.Policy{Default: archive.Retention{MaxBytes: 60_000}})
	var running, recording sync.WaitGroup
	running.Go(func() {
		if err := h.a.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	for c := range 4 {
		id := archive.StreamID{Site: "harbour", Camera: fmt.Sprintf("cam-%d", c), Stream: "main"}
		body := sealed(t, 5000)
		recording.Go(func() {
			var commits sync.WaitGroup
			for i := range 20 {
				start := noon.Add(time.Duration(i) * time.Minute)
				p, err := h.a.Create(id, start)
				if err != nil {
					t.Error(err)
					return
				}
				p.Write(body)
				commits.Go(func() {
					if _, err := p.Commit(t.Context(), start.Add(50*time.Second), 0); err != nil {
						t.Error(err)
					}
				})
				g := archive.Gap{StreamID: id, Start: start.Add(50 * time.Second), End: start.Add(time.Minute), Reason: "no-video"}
				if err := h.a.AddGap(t.Context(), g); err != nil {
					t.Error(err)
				}
				if i%5 == 0 {
					h.a.Keep(t.Context())
					if _, err := h.a.Timeline(t.Context(), id, noon, noon.Add(time.Hour)); err != nil {
						t.Error(err)
					}
					h.a.SyncAll()
				}
			}
			commits.Wait()
		})
	}
	recording.Wait()
	if r, err := h.a.Check(t.Context(), archive.CheckOptions{Hash: true}); err != nil || !r.OK() {
		t.Errorf("check beside a server: %+v, %v", r.Problems, err)
	}
	stop()
	running.Wait()
	h.a.Keep(t.Context())
	h.leave()
	h.open()
	archivetest.Verify(t, h.a)
}

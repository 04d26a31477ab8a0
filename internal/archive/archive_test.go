package archive_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/archive/archivetest"
	"github.com/watchward/watchward/internal/archive/disk"
	"github.com/watchward/watchward/internal/db"
	"github.com/watchward/watchward/internal/seal"
)

var gate = archive.StreamID{Site: "harbour", Camera: "gate", Stream: "main"}

// noon is when the stories of these tests begin.
var noon = time.Date(2031, 5, 6, 12, 0, 0, 0, time.UTC)

// house is an archive in a folder of its own, which can be left and entered
// again as after a crash.
type house struct {
	t      *testing.T
	dir    string
	faults *archivetest.Faults
	db     *db.DB
	a      *archive.Archive
	o      archive.Options
	now    time.Time
	mu     sync.Mutex
	gone   []string
	// journal is told what happens, unless a test takes it away.
	journal *journal
}

func newHouse(t *testing.T, change ...func(*archive.Options)) *house {
	t.Helper()
	h := &house{t: t, dir: memory(t), faults: &archivetest.Faults{FS: disk.OS{}, Quick: true}, now: noon.Add(time.Hour)}
	h.o = archive.Options{
		Root: filepath.Join(h.dir, "archive"), FS: h.faults, Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { h.mu.Lock(); defer h.mu.Unlock(); return h.now },
		DayGone: func(site, camera, day string) {
			h.mu.Lock()
			h.gone = append(h.gone, site+"/"+camera+"/"+day)
			h.mu.Unlock()
		},
	}
	h.journal = &journal{root: h.o.Root, in: map[string][32]byte{}}
	h.o.Journal = h.journal
	for _, f := range change {
		f(&h.o)
	}
	h.open()
	t.Cleanup(func() { h.leave() })
	h.recover()
	return h
}

// memory is a folder that syncs quickly where the system has one: these tests
// sync often and cut no power.
func memory(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "archive")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func (h *house) open() {
	h.t.Helper()
	var err error
	if h.db, err = db.Open(context.Background(), filepath.Join(h.dir, "watchward.db")); err != nil {
		h.t.Fatal(err)
	}
	h.o.DB = h.db
	if h.a, err = archive.Open(context.Background(), h.o); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) recover() archive.Recovery {
	h.t.Helper()
	r, err := h.a.Recover(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

// leave ends as a crash does, as far as one process can: nothing is finished.
func (h *house) leave() {
	if h.a != nil {
		h.a.Close()
		h.db.Close()
	}
}

// reenter is what the next start does.
func (h *house) reenter() archive.Recovery {
	h.t.Helper()
	h.leave()
	h.faults.Set()
	h.open()
	return h.recover()
}

func (h *house) later(d time.Duration) {
	h.mu.Lock()
	h.now = h.now.Add(d)
	h.mu.Unlock()
}

var reader = sync.OnceValue(func() *age.X25519Identity {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		panic(err)
	}
	return id
})

// sealed is a whole age file with so many bytes inside.
func sealed(t testing.TB, plain int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := seal.NewWriter(&b, reader().Recipient())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(bytes.Repeat([]byte("video "), plain/6+1)[:plain]); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// record commits one segment.
func (h *house) record(id archive.StreamID, start time.Time, d time.Duration, plain int) archive.Segment {
	h.t.Helper()
	s, err := tryRecord(h.t, h.a, id, start, d, sealed(h.t, plain))
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

func tryRecord(t *testing.T, a *archive.Archive, id archive.StreamID, start time.Time, d time.Duration, body []byte) (archive.Segment, error) {
	p, err := a.Create(id, start)
	if err != nil {
		return archive.Segment{}, err
	}
	for len(body) > 0 {
		n := min(len(body), 65552)
		if _, err := p.Write(body[:n]); err != nil {
			break // Commit then keeps what can be read
		}
		body = body[n:]
	}
	return p.Commit(t.Context(), start.Add(d), 5*time.Millisecond)
}

func (h *house) gap(start, end time.Time, reason string) {
	h.t.Helper()
	if err := h.a.AddGap(h.t.Context(), archive.Gap{StreamID: gate, Start: start, End: end, Reason: reason}); err != nil {
		h.t.Fatal(err)
	}
}

func TestRecordAndFind(t *testing.T) {
	h := newHouse(t)
	one := h.record(gate, noon, time.Minute, 200_000)
	two := h.record(gate, one.End(), 90*time.Second+700*time.Microsecond, 70_000)
	h.gap(two.End(), two.End().Add(10*time.Second), "connection-lost")
	h.gap(two.End(), two.End().Add(20*time.Second), "connection-lost") // longer than was thought
	three := h.record(gate, two.End().Add(20*time.Second), time.Minute, 10)

	if want := "harbour/gate/2031-05-06/12-00-00.000Z_60000.mp4.age"; one.Name() != want {
		t.Errorf("name %q, want %q", one.Name(), want)
	}
	list, err := h.a.List(t.Context(), gate, noon.Add(30*time.Second), noon.Add(2*time.Minute), 10)
	if err != nil || len(list) != 2 || list[0] != one || list[1] != two {
		t.Errorf("List = %+v, %v, want the first two: %+v %+v", list, err, one, two)
	}
	if list, _ := h.a.List(t.Context(), gate, noon.Add(time.Minute), noon.Add(time.Hour), 1); len(list) != 1 || list[0] != two {
		t.Errorf("List from a border = %+v, want the second alone", list)
	}
	tl, err := h.a.Timeline(t.Context(), gate, noon.Add(-time.Hour), noon.Add(time.Hour))
	if err != nil || !tl.First.Equal(noon) || !tl.Last.Equal(three.End()) || len(tl.Marks) != 0 {
		t.Errorf("Timeline = %+v, %v", tl, err)
	}
	if len(tl.Gaps) != 1 || !tl.Gaps[0].Start.Equal(two.End()) || tl.Gaps[0].End.Sub(tl.Gaps[0].Start) != 20*time.Second {
		t.Errorf("gaps %+v, want one of 20 s", tl.Gaps)
	}
	f, s, err := h.a.OpenFile(t.Context(), gate, two.Start)
	if err != nil || s != two {
		t.Fatalf("OpenFile = %+v, %v", s, err)
	}
	defer f.Close()
	r, err := age.Decrypt(f, reader())
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r); err != nil || len(b) != 70_000 {
		t.Errorf("%d bytes inside, %v, want 70000", len(b), err)
	}
	if _, _, err := h.a.OpenFile(t.Context(), gate, noon.Add(time.Second)); !errors.Is(err, archive.ErrNotFound) {
		t.Errorf("OpenFile of nothing: %v, want %v", err, archive.ErrNotFound)
	}
	if last, ok, err := h.a.Last(t.Context(), gate); !ok || err != nil || !last.Equal(three.End()) {
		t.Errorf("Last = %v %v %v, want %v", last, ok, err, three.End())
	}
	if h := h.a.Health(); h.Disk != archive.DiskOK {
		t.Errorf("health %+v", h)
	}
	h.leave()
	h.open()
	archivetest.Verify(t, h.a)
}

func TestCreateRefuses(t *testing.T) {
	h := newHouse(t)
	h.record(gate, noon, time.Minute, 10)
	p, err := h.a.Create(gate, noon.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Discard()
	for _, tt := range []struct {
		name string
		id   archive.StreamID
		at   time.Time
		want error
	}{
		{"same start as one committed", gate, noon, archive.ErrExists},
		{"within one committed", gate, noon.Add(time.Second), archive.ErrExists},
		{"same start as one being written", gate, noon.Add(time.Minute), archive.ErrExists},
		{"path in a name", archive.StreamID{Site: "..", Camera: "gate", Stream: "main"}, noon, nil},
		{"capital", archive.StreamID{Site: "harbour", Camera: "Gate", Stream: "main"}, noon, nil},
		{"word with a meaning", archive.StreamID{Site: "harbour", Camera: "gate", Stream: "torn"}, noon, nil},
	} {
		_, err := h.a.Create(tt.id, tt.at)
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	h := newHouse(t)
	o := h.o
	b, err := archive.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Recover(t.Context()); !errors.Is(err, archive.ErrInUse) {
		t.Errorf("Recover beside a server: %v, want %v", err, archive.ErrInUse)
	}
	if _, err := b.Reindex(t.Context()); !errors.Is(err, archive.ErrInUse) {
		t.Errorf("Reindex beside a server: %v, want %v", err, archive.ErrInUse)
	}
	p, err := h.a.Create(gate, noon)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Discard()
	r, err := b.Check(t.Context(), archive.CheckOptions{})
	if err != nil || !r.OK() || !r.Running {
		t.Errorf("Check beside a server: %+v, %v", r, err)
	}
}

// What a kill leaves: a part with whole chunks, one without, a file whose row
// never came, a gap whose row never came, a gap whose file vanished.
func TestRecoverAfterCrash(t *testing.T) {
	h := newHouse(t)
	first := h.record(gate, noon, time.Minute, 100)
	body := sealed(t, 300_000)
	p, err := h.a.Create(gate, first.End())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Write(body[:200_000]); err != nil {
		t.Fatal(err)
	}
	part := filepath.Join(h.o.Root, "harbour/gate/2031-05-06/12-01-00.000Z.part")
	if err := os.Chtimes(part, time.Time{}, first.End().Add(42*time.Second)); err != nil {
		t.Fatal(err)
	}
	sub := archive.StreamID{Site: "harbour", Camera: "gate", Stream: "sub"}
	if _, err := h.a.Create(sub, noon); err != nil {
		t.Fatal(err)
	}
	write := func(name string, b []byte) {
		if err := os.WriteFile(filepath.Join(h.o.Root, "harbour/gate/2031-05-06", name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("12-05-00.000Z_60000.mp4.age", body)
	write("12-01-42.000Z_198000.recorder-stopped.gap", nil)
	write("12-06-00.000Z_60000.damaged.mp4.age", body[:100])

	r := h.reenter()
	if r.Torn != 1 || r.Removed != 1 || r.Adopted != 2 || r.Gaps != 1 {
		t.Errorf("recovery %+v, want 1 torn, 1 removed, 2 adopted, 1 gap", r)
	}
	list, err := h.a.List(t.Context(), gate, noon, noon.Add(time.Hour), 10)
	if err != nil || len(list) != 4 {
		t.Fatalf("List = %+v, %v, want 4", list, err)
	}
	torn := list[1]
	if torn.State != archive.Torn || torn.Duration != 42*time.Second {
		t.Errorf("torn %+v, want 42 s", torn)
	}
	f, _, err := h.a.OpenFile(t.Context(), gate, torn.Start)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	in, err := age.Decrypt(f, reader())
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(in)
	if !errors.Is(err, io.ErrUnexpectedEOF) || len(b) != 3<<16 {
		t.Errorf("torn: %d bytes, %v: want 3 chunks, then the end", len(b), err)
	}
	h.leave()
	h.open()
	archivetest.Verify(t, h.a)
	if err := os.Remove(filepath.Join(h.o.Root, "harbour/gate/2031-05-06/12-01-42.000Z_198000.recorder-stopped.gap")); err != nil {
		t.Fatal(err)
	}
	if r := h.reenter(); r.Restored != 1 {
		t.Errorf("recovery %+v, want the gap's file restored", r)
	}
	h.leave()
	h.open()
	archivetest.Verify(t, h.a)
}

// A clock that was stepped must not make a torn segment reach into others.
func TestTornLengthIsBounded(t *testing.T) {
	for _, tt := range []struct {
		name    string
		written time.Time
		want    time.Duration
	}{
		{"as it was", noon.Add(20 * time.Second), 20 * time.Second},
		{"clock stepped back", noon.Add(-time.Hour), time.Millisecond},
		{"clock stepped on by a day", noon.Add(24 * time.Hour), time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			p, err := h.a.Create(gate, noon)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.Write(sealed(t, 100_000)); err != nil {
				t.Fatal(err)
			}
			part := filepath.Join(h.o.Root, "harbour/gate/2031-05-06/12-00-00.000Z.part")
			if err := os.Chtimes(part, time.Time{}, tt.written); err != nil {
				t.Fatal(err)
			}
			h.reenter()
			list, err := h.a.List(t.Context(), gate, noon, noon.Add(48*time.Hour), 10)
			if err != nil || len(list) != 1 || list[0].Duration != tt.want {
				t.Errorf("List = %+v, %v, want one of %s", list, err, tt.want)
			}
		})
	}
}

func TestReindexFromNamesAlone(t *testing.T) {
	h := newHouse(t)
	h.record(gate, noon, time.Minute, 100_000)
	h.gap(noon.Add(time.Minute), noon.Add(2*time.Minute), "no-video")
	h.record(gate, noon.Add(2*time.Minute), time.Minute, 10)
	want, err := h.a.Timeline(t.Context(), gate, noon, noon.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	h.leave()
	for _, end := range []string{"", "-wal", "-shm"} {
		os.Remove(filepath.Join(h.dir, "watchward.db"+end))
	}
	h.open()
	if r, err := h.a.Check(t.Context(), archive.CheckOptions{}); err != nil || r.OK() {
		t.Errorf("check without an index: %+v, %v, want problems", r, err)
	}
	r, err := h.a.Reindex(t.Context())
	if err != nil || r.Adopted != 2 || r.Gaps != 1 {
		t.Errorf("Reindex = %+v, %v, want 2 segments and a gap", r, err)
	}
	got, err := h.a.Timeline(t.Context(), gate, noon, noon.Add(time.Hour))
	if err != nil || len(got.Gaps) != 1 || got.Gaps[0] != want.Gaps[0] || !got.First.Equal(want.First) || !got.Last.Equal(want.Last) {
		t.Errorf("Timeline = %+v, %v, want %+v", got, err, want)
	}
	h.leave()
	h.open()
	c, err := h.a.Check(t.Context(), archive.CheckOptions{})
	if err != nil || !c.OK() || c.NoHash != 2 {
		t.Errorf("check = %+v, %v, want 2 without hash", c, err)
	}
	archivetest.Verify(t, h.a) // computes the hashes
	if c, _ := h.a.Check(t.Context(), archive.CheckOptions{}); c.NoHash != 0 {
		t.Errorf("%d segments without hash after they were computed", c.NoHash)
	}
}

func TestCheckNamesProblems(t *testing.T) {
	dir := "harbour/gate/2031-05-06/"
	for _, tt := range []struct {
		name  string
		spoil func(t *testing.T, root string)
		want  []string
	}{
		{"segment file vanished", func(t *testing.T, root string) {
			os.Remove(filepath.Join(root, dir, "12-00-00.000Z_60000.mp4.age"))
		}, []string{archive.ProblemMissing}},
		{"gap file vanished", func(t *testing.T, root string) {
			os.Remove(filepath.Join(root, dir, "12-01-00.000Z_60000.no-video.gap"))
		}, []string{archive.ProblemGap}},
		{"a byte changed", func(t *testing.T, root string) {
			name := filepath.Join(root, dir, "12-00-00.000Z_60000.mp4.age")
			b, _ := os.ReadFile(name)
			b[len(b)/2] ^= 1
			os.WriteFile(name, b, 0o600)
		}, []string{archive.ProblemHash}},
		{"cut short", func(t *testing.T, root string) {
			os.Truncate(filepath.Join(root, dir, "12-00-00.000Z_60000.mp4.age"), 10)
		}, []string{archive.ProblemSize, archive.ProblemHash}},
		{"a stranger", func(t *testing.T, root string) {
			os.WriteFile(filepath.Join(root, dir, "holiday.jpg"), nil, 0o600)
		}, []string{archive.ProblemName}},
		{"a strange folder", func(t *testing.T, root string) {
			os.Mkdir(filepath.Join(root, "lost+found"), 0o700)
		}, []string{archive.ProblemName}},
		{"a segment from nowhere", func(t *testing.T, root string) {
			os.WriteFile(filepath.Join(root, dir, "12-10-00.000Z_60000.mp4.age"), nil, 0o600)
		}, []string{archive.ProblemUnknown}},
		{"left by a crash", func(t *testing.T, root string) {
			os.WriteFile(filepath.Join(root, dir, "12-10-00.000Z.part"), nil, 0o600)
		}, []string{archive.ProblemPart}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			h.record(gate, noon, time.Minute, 1000)
			h.gap(noon.Add(time.Minute), noon.Add(2*time.Minute), "no-video")
			h.record(gate, noon.Add(2*time.Minute), time.Minute, 10)
			h.leave()
			h.open()
			archivetest.Verify(t, h.a)
			tt.spoil(t, h.o.Root)
			r, err := h.a.Check(t.Context(), archive.CheckOptions{Hash: true})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range r.Problems {
				got = append(got, p.What)
			}
			if strings.Join(got, " ") != strings.Join(tt.want, " ") {
				t.Errorf("problems %v, want %v", r.Problems, tt.want)
			}
		})
	}
}

func TestCheckFindsHolesOverlapsAndLostKeys(t *testing.T) {
	h := newHouse(t, func(o *archive.Options) { o.Keys = filepath.Join(t.TempDir(), "keys") })
	h.record(gate, noon, time.Minute, 10)
	h.record(gate, noon.Add(time.Minute+time.Second), time.Minute, 10)
	name := filepath.Join(h.o.Root, "harbour/gate/2031-05-06/12-01-30.000Z_60000.mp4.age")
	if err := os.WriteFile(name, sealed(t, 10), 0o600); err != nil {
		t.Fatal(err)
	}
	h.reenter()
	h.leave()
	h.open()
	r, err := h.a.Check(t.Context(), archive.CheckOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, p := range r.Problems {
		got[p.What]++
	}
	if len(r.Problems) != 3 || got[archive.ProblemHole] != 1 || got[archive.ProblemOverlap] != 1 || got[archive.ProblemKey] != 1 {
		t.Errorf("problems %v, want a hole, an overlap and a missing key", r.Problems)
	}
}

func TestVanishedFileIsMarkedAndComesBack(t *testing.T) {
	h := newHouse(t)
	s := h.record(gate, noon, time.Minute, 1000)
	name := filepath.Join(h.o.Root, s.Name())
	if err := os.Rename(name, name+".away"); err != nil {
		t.Fatal(err)
	}
	if r := h.reenter(); r.Missing != 1 {
		t.Errorf("recovery %+v, want 1 missing", r)
	}
	tl, err := h.a.Timeline(t.Context(), gate, noon, noon.Add(time.Hour))
	if err != nil || len(tl.Marks) != 1 || tl.Marks[0].State != archive.Missing {
		t.Errorf("Timeline = %+v, %v, want the mark", tl, err)
	}
	if h := h.a.Health(); h.Missing != 1 {
		t.Errorf("health %+v, want 1 missing", h)
	}
	if err := os.Rename(name+".away", name); err != nil {
		t.Fatal(err)
	}
	h.reenter()
	if tl, _ := h.a.Timeline(t.Context(), gate, noon, noon.Add(time.Hour)); len(tl.Marks) != 0 {
		t.Errorf("marks %+v after the file came back", tl.Marks)
	}
}

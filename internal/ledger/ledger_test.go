package ledger

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	LogTo(slog.New(slog.DiscardHandler))
	if dir := os.Getenv(appenderEnv); dir != "" {
		appender(dir)
		return
	}
	os.Exit(m.Run())
}

// house is a ledger and the archive it speaks of.
type house struct {
	t       *testing.T
	dir     string
	o       Options
	l       *Ledger
	cancel  context.CancelFunc
	done    chan error
	clock   time.Time
	mu      sync.Mutex // guards clock
	fault   func(op, name string, done bool) error
	stopped bool
}

func newHouse(t *testing.T) *house {
	h := &house{t: t, dir: scratch(t), clock: time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)}
	h.o = Options{
		Dir: h.ledgerDir(), Key: filepath.Join(h.dir, "ledger.key"), Log: slog.New(slog.DiscardHandler), Now: h.now,
		Every: 5 * time.Millisecond, batchAge: 20 * time.Millisecond, publishEvery: 100 * time.Millisecond,
	}
	return h
}

// scratch is a folder in memory where there is such a place: nothing here looks
// at what a power cut leaves, and a thousand syncs of a busy disk take long.
func scratch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "ledger-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (h *house) ledgerDir() string  { return filepath.Join(h.dir, "ledger") }
func (h *house) archiveDir() string { return filepath.Join(h.dir, "archive") }

func (h *house) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.clock
}

func (h *house) step(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clock = h.clock.Add(d)
}

// open opens the ledger without running it.
func (h *house) open() {
	h.t.Helper()
	l, err := open(h.t.Context(), h.o, &files{fault: h.fault})
	if err != nil {
		h.t.Fatal(err)
	}
	h.l = l
}

// start opens and runs it.
func (h *house) start() {
	h.t.Helper()
	h.open()
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel, h.done, h.stopped = cancel, make(chan error, 1), false
	go func() { h.done <- h.l.Run(ctx) }()
	h.t.Cleanup(func() {
		if !h.stopped {
			h.crash()
		}
	})
}

// stop ends it in good order: everything is in a checkpoint.
func (h *house) stop() {
	h.t.Helper()
	h.stopped = true
	h.cancel()
	if err := <-h.done; err != nil {
		h.t.Fatal(err)
	}
	if err := h.l.Close(); err != nil {
		h.t.Fatal(err)
	}
}

// crash drops it: nothing more is written.
func (h *house) crash() {
	h.stopped = true
	h.cancel()
	<-h.done
	_ = h.l.Close()
}

// segment puts a file into the archive and notes it.
func (h *house) segment(minute int) string {
	h.t.Helper()
	name := fmt.Sprintf("town/gate/2026-11-25/%02d-%02d-00.000Z_60000.mp4.age", minute/60, minute%60)
	body := fmt.Appendf(nil, "sealed bytes of minute %d", minute)
	h.put(name, body)
	h.append(Segment{Name: name, Bytes: int64(len(body)), SHA256: sha256.Sum256(body), State: "sealed", Entered: EnteredRecorded}.Entry())
	return name
}

func (h *house) gap(minute int) string {
	h.t.Helper()
	name := fmt.Sprintf("town/gate/2026-11-25/%02d-%02d-00.000Z_60000.connection-lost.gap", minute/60, minute%60)
	h.put(name, nil)
	h.append(Gap(name, EnteredRecorded))
	return name
}

func (h *house) put(name string, body []byte) {
	h.t.Helper()
	path := filepath.Join(h.archiveDir(), filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(path, body, 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) append(e ...Entry) uint64 {
	h.t.Helper()
	n, err := h.l.Append(h.t.Context(), e...)
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

func (h *house) verify(change ...func(*VerifyOptions)) Report {
	h.t.Helper()
	o := VerifyOptions{Dir: h.ledgerDir(), Archive: h.archiveDir(), Read: true, Settle: time.Millisecond}
	for _, f := range change {
		f(&o)
	}
	r, err := Verify(h.t.Context(), o)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

func (h *house) clean(r Report) Report {
	h.t.Helper()
	for _, lie := range r.Lies {
		h.t.Errorf("lie: %s: %s: %s", lie.What, lie.Where, lie.Detail)
	}
	return r
}

func viewing() Entry {
	at := time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)
	return Entry{
		Kind:   Viewed,
		Fields: spanFields("town", "gate", "", at, at.Add(time.Hour), Field{"what", ViewRecording}, Field{"session", strings.Repeat("ab", 32)}),
		Private: []Field{
			{"who", "Ada Lovelace"},
			{"why", "theft of a bicycle"},
		},
	}
}

func TestWhatIsAppendedIsInTheTree(t *testing.T) {
	h := newHouse(t)
	h.start()
	name := h.segment(1)
	h.gap(2)
	n := h.append(viewing())
	if n != 3 { // began, segment, gap
		t.Errorf("the viewing is leaf %d, want 3", n)
	}
	found, err := h.l.Find(t.Context(), Recorded, name)
	if err != nil || found.Seq != 1 {
		t.Errorf("Find = %+v, %v", found, err)
	}
	h.stop()

	r := h.clean(h.verify())
	if r.Leaves != 4 || r.Segments != 1 || r.Gaps != 1 || r.Checkpoint.Size != 4 || r.Read == 0 {
		t.Errorf("report %+v", r)
	}
	log, err := OpenLog(h.ledgerDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	leaves, err := log.Leaves(t.Context(), 2, 10)
	if err != nil || len(leaves) != 2 || leaves[0].Kind != NoVideo || leaves[1].Kind != Viewed {
		t.Errorf("Leaves = %+v, %v", leaves, err)
	}
	for _, f := range leaves[1].Fields {
		if strings.Contains(f.Value, "Ada") || strings.Contains(f.Value, "bicycle") {
			t.Errorf("a leaf names a person: %+v", f)
		}
	}
	words, err := log.Secrets(leaves[1])
	if err != nil || len(words) != 2 || words[0].Value != "Ada Lovelace" {
		t.Errorf("Secrets = %+v, %v", words, err)
	}
	proof, err := log.Prove(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	leaf, c, err := proof.Verify(log.VerifierKey())
	if err != nil || leaf.Get("name") != name || c.Size != 4 {
		t.Errorf("proof: %+v, %v", leaf, err)
	}
	proof.Index = 2
	if _, _, err := proof.Verify(log.VerifierKey()); err == nil {
		t.Error("the proof holds for another leaf")
	}
}

func TestReopenGoesOn(t *testing.T) {
	h := newHouse(t)
	for i := range 5 {
		h.start()
		h.segment(i)
		h.stop()
	}
	if r := h.clean(h.verify()); r.Leaves != 6 {
		t.Errorf("%d leaves, want 6", r.Leaves)
	}
	st, err := os.Stat(h.o.Key)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("key: %v %v", st.Mode(), err)
	}
}

// TestNothingAcknowledgedIsLost drops a ledger that never moved its spool.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	h := newHouse(t)
	h.open()
	for i := range 20 {
		h.segment(i)
	}
	_ = h.l.Close()
	h.start()
	if leaf, err := h.l.Find(t.Context(), Recorded, "town/gate/2026-11-25/00-07-00.000Z_60000.mp4.age"); err != nil || leaf.Seq != 8 {
		t.Errorf("Find in the spool = %+v, %v", leaf, err)
	}
	h.stop()
	if r := h.clean(h.verify()); r.Segments != 20 {
		t.Errorf("%d segments, want 20", r.Segments)
	}
}

// TestFaultAtEachWrite fails each write of ours once, before it happens or after
// with its answer lost, then lets the process die there or go on.
func TestFaultAtEachWrite(t *testing.T) {
	ops := recordOps(t)
	if len(ops) < 8 {
		t.Fatalf("only %d writes: %q", len(ops), ops)
	}
	var at crowd
	for i, op := range ops {
		for _, done := range []bool{false, true} {
			for _, dies := range []bool{false, true} {
				at.run(t, fmt.Sprintf("%02d %s done=%t dies=%t", i, op, done, dies), func(t *testing.T) { faultAt(t, i, done, dies) })
			}
		}
	}
	at.wg.Wait()
}

// crowd runs subtests beside each other, more of them than there are
// processors: they wait for a checkpoint, mostly.
type crowd struct {
	wg   sync.WaitGroup
	once sync.Once
	room chan struct{}
}

func (c *crowd) run(t *testing.T, name string, f func(*testing.T)) {
	c.once.Do(func() { c.room = make(chan struct{}, 16) })
	c.room <- struct{}{}
	c.wg.Go(func() {
		defer func() { <-c.room }()
		t.Run(name, f)
	})
}

// story is what is done while something fails.
func story(h *house, acknowledged *[]string) {
	note := func(e Entry, name string) {
		if _, err := h.l.Append(context.Background(), e); err == nil {
			*acknowledged = append(*acknowledged, name)
		}
	}
	for i := range 2 {
		name := fmt.Sprintf("town/gate/2026-11-25/00-%02d-00.000Z_60000.connection-lost.gap", i)
		h.put(name, nil)
		note(Gap(name, EnteredRecorded), name)
	}
	note(viewing(), "")
}

func recordOps(t *testing.T) []string {
	h := newHouse(t)
	var ops []string
	h.fault = func(op, name string, done bool) error {
		if !done {
			ops = append(ops, op+" "+filepath.Base(name))
		}
		return nil
	}
	h.open()
	var names []string
	story(h, &names)
	if err := h.l.integrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	_ = h.l.Close()
	return ops
}

func faultAt(t *testing.T, nth int, done, dies bool) {
	h := newHouse(t)
	n, failed := 0, false
	h.fault = func(_, _ string, after bool) error {
		if failed && dies {
			return syscall.EIO // dead: nothing more reaches the disk
		}
		if !after {
			n++
		}
		if n == nth+1 && after == done && !failed {
			failed = true
			return syscall.EIO
		}
		return nil
	}
	var acknowledged []string
	l, err := open(t.Context(), h.o, &files{fault: h.fault})
	if err == nil {
		h.l = l
		story(h, &acknowledged)
		_ = h.l.integrate(t.Context())
		if !dies {
			if err := h.l.integrate(t.Context()); err != nil {
				t.Errorf("it does not get over it: %v", err)
			}
		}
		_ = h.l.Close()
	}
	h.fault = nil
	h.start()
	for _, name := range acknowledged {
		if name == "" {
			continue
		}
		if _, err := h.l.Find(t.Context(), NoVideo, name); err != nil {
			t.Errorf("acknowledged and lost: %v", err)
		}
	}
	for i := range 2 { // what was not acknowledged is noted again, as the archive does
		name := fmt.Sprintf("town/gate/2026-11-25/00-%02d-00.000Z_60000.connection-lost.gap", i)
		h.put(name, nil)
		if !slices.Contains(acknowledged, name) {
			h.append(Gap(name, EnteredRecovered))
		}
	}
	h.stop()
	h.clean(h.verify())
}

// TestCrashAtEachWriteOfTheTree rebuilds the folder as it was after each of the
// files that one batch writes, and opens it again with the spool as it was.
func TestCrashAtEachWriteOfTheTree(t *testing.T) {
	h := newHouse(t)
	h.start()
	for i := range 3 {
		h.segment(i)
	}
	h.stop()
	h.open()
	for i := 3; i < 7; i++ {
		h.segment(i)
	}
	_ = h.l.Close()
	before := snapshot(t, h.dir)
	h.start()
	h.stop()
	after := snapshot(t, h.dir)
	changed := changedTreeFiles(t, before, after)
	if len(changed) < 4 {
		t.Fatalf("a batch wrote only %q", changed)
	}
	for n := range len(changed) + 1 {
		c := newHouse(t)
		restore(t, c.dir, before)
		for _, name := range changed[:n] {
			restore(t, c.dir, map[string][]byte{name: after[name]})
		}
		c.start()
		c.stop()
		if r := c.clean(c.verify()); r.Segments != 7 || r.Leaves != 8 {
			t.Errorf("after %q: %d leaves, %d segments", changed[:n], r.Leaves, r.Segments)
		}
	}
}

// TestEachWriteOfTheTreeMayFail puts a folder where each file of a batch has
// to go, so that writing it fails; then takes it away.
func TestEachWriteOfTheTreeMayFail(t *testing.T) {
	for _, name := range []string{"log/tile/0/000.p/4"} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.start()
			h.segment(1)
			h.stop()
			h.open()
			h.segment(2)
			h.segment(3)
			path := filepath.Join(h.ledgerDir(), filepath.FromSlash(name))
			if err := os.MkdirAll(path, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := h.l.integrate(t.Context()); err == nil {
				t.Error("it says that it wrote what it could not write")
			}
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
			if err := h.l.integrate(t.Context()); err != nil {
				t.Errorf("it does not get over it: %v", err)
			}
			_ = h.l.Close()
			h.start()
			h.stop()
			if r := h.clean(h.verify()); r.Segments != 3 {
				t.Errorf("%d segments, want 3", r.Segments)
			}
		})
	}
}

func snapshot(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		b, err := os.ReadFile(path)
		out[rel] = b
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func restore(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	for name, b := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// changedTreeFiles are the files of the tree that differ, in the order in which
// they were written.
func changedTreeFiles(t *testing.T, before, after map[string][]byte) []string {
	t.Helper()
	var out []string
	for name, b := range after {
		if strings.HasPrefix(name, filepath.Join("ledger", "log")) && string(before[name]) != string(b) {
			out = append(out, name)
		}
	}
	// Leaves, then hashes, then the state, then the checkpoint: file times are
	// too coarse to tell.
	rank := func(name string) int {
		return slices.IndexFunc([]string{"entries", "tile", ".state", "checkpoint"}, func(part string) bool { return strings.Contains(name, part) })
	}
	slices.SortFunc(out, func(a, b string) int { return cmp.Or(rank(a)-rank(b), strings.Compare(a, b)) })
	return out
}

func TestManyAppendAtOnce(t *testing.T) {
	h := newHouse(t)
	h.start()
	const callers, each = 16, 20
	var wg sync.WaitGroup
	var mu sync.Mutex
	got := map[uint64]bool{}
	for range callers {
		wg.Go(func() {
			for range each {
				n, err := h.l.Append(context.Background(), viewing())
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				got[n] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	h.stop()
	if r := h.clean(h.verify()); r.Leaves != callers*each+1 || len(got) != callers*each {
		t.Errorf("%d leaves, %d numbers", r.Leaves, len(got))
	}
}

func TestClockSetBack(t *testing.T) {
	h := newHouse(t)
	h.start()
	h.segment(1)
	h.step(-time.Hour)
	n := h.append(viewing())
	h.step(time.Minute)
	h.append(viewing())
	h.stop()
	if n != 3 { // 2 says that the clock was set back
		t.Errorf("the viewing is leaf %d, want 3", n)
	}
	r := h.clean(h.verify())
	if len(r.Notes) != 1 || r.Notes[0].Where != "leaf 2" || !strings.Contains(r.Notes[0].Detail, "1h0m0s") {
		t.Errorf("notes %+v", r.Notes)
	}
}

func TestForget(t *testing.T) {
	h := newHouse(t)
	h.start()
	n := h.append(viewing())
	other := viewing()
	other.Private[0].Value = "Charles Babbage"
	h.append(other)
	got, err := h.l.Forget(t.Context(), "Ada Lovelace", "asked to")
	if err != nil || got != 1 {
		t.Fatalf("Forget = %d, %v", got, err)
	}
	leaf, err := h.l.leaf(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	h.stop()
	h.clean(h.verify())
	for name, b := range snapshot(t, h.dir) {
		if strings.Contains(string(b), "Ada Lovelace") {
			t.Errorf("the name is still in %s", name)
		}
	}
	words, err := h.l.Secrets(leaf)
	if err != nil || len(words) != 1 || words[0].Key != "why" {
		t.Errorf("left beside the leaf: %+v, %v", words, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	begun := func(t *testing.T) *house {
		h := newHouse(t)
		h.start()
		h.segment(1)
		h.stop()
		return h
	}
	for _, tt := range []struct {
		name string
		do   func(*house)
		want error
	}{
		{"a second process", func(h *house) {
			h.open()
			h.t.Cleanup(func() { _ = h.l.Close() })
		}, ErrInUse},
		{"a key without its tree", func(h *house) { _ = os.RemoveAll(h.ledgerDir()) }, ErrBroken},
		{"a tree without its key", func(h *house) { _ = os.Remove(h.o.Key) }, ErrBroken},
		{"a tree of another key", func(h *house) {
			_ = os.Remove(h.o.Key)
			if _, err := MakeKey(h.o.Key, ""); err != nil {
				h.t.Fatal(err)
			}
		}, ErrBroken},
		{"a tree older than its spool", func(h *house) {
			old := snapshot(h.t, h.ledgerDir())
			h.start()
			h.segment(2)
			h.stop()
			h.open()
			h.segment(3)
			_ = h.l.Close()
			spool, err := spoolNames(filepath.Join(h.ledgerDir(), spoolDir))
			if err != nil {
				h.t.Fatal(err)
			}
			for _, name := range spool[:len(spool)-1] {
				_ = os.Remove(filepath.Join(h.ledgerDir(), spoolDir, name))
			}
			for name := range snapshot(h.t, h.ledgerDir()) {
				if strings.HasPrefix(name, "log") {
					_ = os.Remove(filepath.Join(h.ledgerDir(), name))
				}
			}
			for name, b := range old {
				if strings.HasPrefix(name, "log") {
					restore(h.t, h.ledgerDir(), map[string][]byte{name: b})
				}
			}
		}, ErrBroken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := begun(t)
			tt.do(h)
			l, err := Open(t.Context(), h.o)
			if !errors.Is(err, tt.want) {
				t.Errorf("Open = %v, want %v", err, tt.want)
			}
			if err == nil {
				_ = l.Close()
			}
		})
	}
	h := begun(t)
	if err := os.Chmod(h.o.Key, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), h.o); err == nil || !strings.Contains(err.Error(), "others may read") {
		t.Errorf("a key that others may read: %v", err)
	}
}

func TestViewingsAreCoalesced(t *testing.T) {
	h := newHouse(t)
	h.start()
	v := NewViewings(h.l)
	at := time.Date(2026, 11, 25, 9, 10, 0, 0, time.UTC)
	see := func(session, what string, at time.Time) {
		t.Helper()
		if err := v.Note(t.Context(), Viewing{Who: "Ada", Session: session, What: what, Site: "town", Camera: "gate", Stream: "main", At: at}); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for range 50 { // a player asks for many ranges at once
		wg.Go(func() { see("s1", ViewRecording, at) })
	}
	wg.Wait()
	see("s1", ViewRecording, at.Add(time.Hour)) // another hour of video
	see("s2", ViewRecording, at)                // another login
	see("s1", ViewKey, at)
	h.step(2 * time.Hour)
	see("s1", ViewRecording, at) // the same, much later
	h.stop()
	if r := h.clean(h.verify()); r.Leaves != 6 {
		t.Errorf("%d leaves, want 6", r.Leaves)
	}
}

func TestViewingThatCannotBeNoted(t *testing.T) {
	h := newHouse(t)
	broken := false
	h.fault = func(op, _ string, done bool) error {
		if broken && op == "sync" && !done {
			return syscall.ENOSPC
		}
		return nil
	}
	h.start()
	v := NewViewings(h.l)
	w := Viewing{Who: "Ada", Session: "s", What: ViewRecording, Site: "town", Camera: "gate", At: h.now()}
	broken = true
	if err := v.Note(t.Context(), w); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Note on a full disk = %v", err)
	}
	broken = false
	if err := v.Note(t.Context(), w); err != nil {
		t.Errorf("Note once there is room: %v", err)
	}
	h.stop()
	h.clean(h.verify())
}

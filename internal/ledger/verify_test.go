package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/transparency-dev/tessera/api/layout"
)

// crime is something done to a ledger of began, 300 segments, a gap (leaf 301),
// a deletion of minute 0 (302) and a viewing (303).
type crime struct {
	name   string
	commit func(t *testing.T, h *house)
	what   string // the first lie
	where  string
	with   func(h *house) func(*VerifyOptions)
}

const crimeSegments = 300

// scene is the folder on which crimes are committed, made once: making it takes
// a moment.
func scene(t *testing.T) (files map[string][]byte, checkpoint []byte) {
	h := newHouse(t)
	h.start()
	var all []Entry
	for i := range crimeSegments {
		body := fmt.Appendf(nil, "sealed bytes of minute %d", i)
		h.put(minute(i), body)
		all = append(all, Segment{Name: minute(i), Bytes: int64(len(body)), SHA256: sha256.Sum256(body), State: "sealed", Entered: EnteredRecorded}.Entry())
	}
	h.append(all...)
	h.gap(900)
	first := minute(0)
	h.append(Deletion(first, "age", sha256.Sum256([]byte("sealed bytes of minute 0"))))
	if err := os.Remove(filepath.Join(h.archiveDir(), filepath.FromSlash(first))); err != nil {
		t.Fatal(err)
	}
	h.append(viewing())
	h.stop()
	h.clean(h.verify())
	c, err := h.l.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return snapshot(t, h.dir), c.Note
}

func minute(n int) string {
	return fmt.Sprintf("town/gate/2026-11-25/%02d-%02d-00.000Z_60000.mp4.age", n/60, n%60)
}

func (h *house) edit(name string, f func([]byte) []byte) {
	h.t.Helper()
	path := filepath.Join(h.dir, filepath.FromSlash(name))
	b, err := os.ReadFile(path)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(path, f(b), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) remove(name string) {
	h.t.Helper()
	if err := os.Remove(filepath.Join(h.dir, filepath.FromSlash(name))); err != nil {
		h.t.Fatal(err)
	}
}

// forge writes leaves as a thief of the key and of the program would: past
// everything that checks them.
func (h *house) forge(leaves ...func(*Leaf)) {
	h.t.Helper()
	h.open()
	base := h.l.lastTime
	seq := h.l.spool.next()
	var recs []record
	for i, f := range leaves {
		l := Leaf{Seq: seq + uint64(i), Time: base, Kind: NoVideo, Fields: []Field{{"entered", "recorded"}, {"name", "town/gate/2026-11-25/23-00-00.000Z_1.stopped.gap"}}}
		f(&l)
		recs = append(recs, record{seq: seq + uint64(i), leaf: l.Marshal()})
	}
	h.put("town/gate/2026-11-25/23-00-00.000Z_1.stopped.gap", nil)
	end, err := h.l.spool.write(recs)
	if err == nil {
		err = h.l.spool.sync(end)
	}
	if err == nil {
		err = h.l.integrate(h.t.Context())
	}
	if err == nil {
		err = h.l.tree.publish(h.t.Context())
	}
	if err != nil {
		h.t.Fatal(err)
	}
	_ = h.l.Close()
}

// rewrite makes another history with the same key: the first leaves are kept.
func (h *house) rewrite(keep int) {
	h.t.Helper()
	log, err := OpenLog(h.ledgerDir(), "")
	if err != nil {
		h.t.Fatal(err)
	}
	c, err := log.Checkpoint(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	raw, err := log.raw(h.t.Context(), 0, c.Size, c.Size)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := os.RemoveAll(h.ledgerDir()); err != nil {
		h.t.Fatal(err)
	}
	if err := os.Rename(h.o.Key, h.o.Key+newKeySuffix); err != nil {
		h.t.Fatal(err)
	}
	h.open() // its own first leaf stands for the old one's
	var recs []record
	for i := 1; i < keep; i++ {
		recs = append(recs, record{seq: uint64(i), leaf: raw[i]})
	}
	end, err := h.l.spool.write(recs)
	if err == nil {
		err = h.l.spool.sync(end)
	}
	if err == nil {
		err = h.l.integrate(h.t.Context())
	}
	if err == nil {
		err = h.l.tree.publish(h.t.Context())
	}
	if err != nil {
		h.t.Fatal(err)
	}
	_ = h.l.Close()
}

func bundleFile(n, size uint64) string {
	return "ledger/log/" + layout.EntriesPath(n, layout.PartialTileSize(0, n, size))
}

const sceneSize = crimeSegments + 4

func crimes(shown []byte) []crime {
	remembered := func(*house) func(*VerifyOptions) {
		return func(o *VerifyOptions) { o.Checkpoints = [][]byte{shown} }
	}
	return []crime{
		{name: "one byte of a segment", what: LieFile, where: minute(7), commit: func(_ *testing.T, h *house) {
			h.edit("archive/"+minute(7), func(b []byte) []byte { b[3] ^= 1; return b })
		}},
		{name: "a segment cut short", what: LieSize, where: minute(8), commit: func(_ *testing.T, h *house) {
			h.edit("archive/"+minute(8), func(b []byte) []byte { return b[:5] })
		}},
		{name: "a segment removed", what: LieMissing, where: minute(9), commit: func(_ *testing.T, h *house) { h.remove("archive/" + minute(9)) }},
		{name: "a gap removed", what: LieGap, where: "town/gate/2026-11-25/15-00-00.000Z_60000.connection-lost.gap", commit: func(_ *testing.T, h *house) {
			h.remove("archive/town/gate/2026-11-25/15-00-00.000Z_60000.connection-lost.gap")
		}},
		{name: "a file added", what: LieAdded, where: minute(1000), commit: func(_ *testing.T, h *house) { h.put(minute(1000), []byte("sealed to the same recipient")) }},
		{name: "a deleted file put back", what: LieReturned, where: minute(0), commit: func(_ *testing.T, h *house) { h.put(minute(0), []byte("sealed bytes of minute 0")) }},
		{name: "one byte of a leaf", what: LieChanged, where: "leaf 42", commit: func(_ *testing.T, h *house) {
			h.edit(bundleFile(0, sceneSize), func(b []byte) []byte {
				return bytes.Replace(b, []byte("00-41-00.000Z"), []byte("00-41-01.000Z"), 1)
			})
		}},
		{name: "a leaf and its hash", what: LieChanged, where: "leaf 0", commit: func(_ *testing.T, h *house) {
			h.edit(bundleFile(0, sceneSize), func(b []byte) []byte {
				return bytes.Replace(b, []byte("00-41-00.000Z"), []byte("00-41-01.000Z"), 1)
			})
			rehash(h, 0)
		}},
		{name: "a hash of the tree", what: LieTile, where: "tile 0/0", commit: func(_ *testing.T, h *house) {
			h.edit("ledger/log/tile/0/000", func(b []byte) []byte { b[32*17] ^= 1; return b })
		}},
		{name: "the last leaves removed", what: LieRemoved, where: "leaf 303", commit: func(_ *testing.T, h *house) {
			h.edit(bundleFile(1, sceneSize), func(b []byte) []byte { return firstLeaves(b, 303-256) })
		}},
		{name: "a whole file of leaves removed", what: LieRemoved, where: "leaf 0", commit: func(_ *testing.T, h *house) { h.remove(bundleFile(0, sceneSize)) }},
		{name: "the checkpoint changed", what: LieSignature, where: "checkpoint", commit: func(_ *testing.T, h *house) {
			h.edit("ledger/log/checkpoint", func(b []byte) []byte { return bytes.Replace(b, []byte("\n304\n"), []byte("\n303\n"), 1) })
		}},
		{name: "the checkpoint removed", what: LieCheckpoint, where: "checkpoint", commit: func(_ *testing.T, h *house) { h.remove("ledger/log/checkpoint") }},
		{name: "a leaf dated back, with the stolen key", what: LieBackDated, where: "leaf 304", commit: func(_ *testing.T, h *house) {
			h.forge(func(l *Leaf) { l.Time = l.Time.Add(-3 * time.Hour) })
		}},
		{name: "a leaf in another's place, with the stolen key", what: LieOrder, where: "leaf 304", commit: func(_ *testing.T, h *house) {
			h.forge(func(l *Leaf) { l.Seq = 17 })
		}},
		{name: "a segment exchanged and noted again, with the stolen key", what: LieTwice, where: "leaf 304", commit: func(_ *testing.T, h *house) {
			body := []byte("another minute seven, sealed")
			h.put(minute(7), body)
			h.forge(func(l *Leaf) {
				*l = Leaf{Seq: l.Seq, Time: l.Time, Kind: Recorded, Fields: []Field{
					{"bytes", fmt.Sprint(len(body))},
					{"entered", "recorded"},
					{"name", minute(7)},
					{"sha256", fmt.Sprintf("%x", sha256.Sum256(body))},
					{"state", "sealed"},
				}}
			})
		}},
		{name: "the log rolled back to an older disk image", what: LieRolledBack, where: "checkpoint", with: remembered, commit: func(_ *testing.T, h *house) {
			h.rewrite(100)
		}},
		{name: "another history shown to another reader", what: LieFork, where: "checkpoint", with: remembered, commit: func(t *testing.T, h *house) {
			h.step(time.Second)
			h.rewrite(sceneSize)
		}},
		{name: "another ledger in its place", what: LieKey, where: "checkpoint", with: remembered, commit: func(t *testing.T, h *house) {
			h.remove("ledger.key")
			if err := os.RemoveAll(h.ledgerDir()); err != nil {
				t.Fatal(err)
			}
			h.start()
			h.stop()
		}},
		{name: "another ledger than the key's", what: LieSignature, where: "checkpoint", with: func(*house) func(*VerifyOptions) {
			return func(o *VerifyOptions) { o.Key = vectorKey }
		}, commit: func(*testing.T, *house) {}},
		{name: "words exchanged beside a leaf", what: LieWords, where: "leaf 303", commit: func(_ *testing.T, h *house) {
			h.edit(strings.TrimPrefix(privateName("ledger", 303), "/"), func(b []byte) []byte {
				return bytes.Replace(b, []byte("Ada Lovelace"), []byte("Ada Lovelyce"), 1)
			})
		}},
		{name: "a row of the index without a leaf", what: LieRow, where: minute(1001), commit: func(*testing.T, *house) {}, with: rows(Row{Name: minute(1001), Bytes: 5})},
		{name: "a row with another hash", what: LieRowHash, where: minute(7), commit: func(*testing.T, *house) {}, with: rows(Row{Name: minute(7), Bytes: 24, SHA256: [32]byte{1}})},
	}
}

func rows(list ...Row) func(*house) func(*VerifyOptions) {
	return func(*house) func(*VerifyOptions) {
		return func(o *VerifyOptions) {
			o.Rows = func(_ context.Context, f func(Row) error) error {
				for _, r := range list {
					if err := f(r); err != nil {
						return err
					}
				}
				return nil
			}
		}
	}
}

// rehash makes the hashes of a bundle's leaves fit what they say now.
func rehash(h *house, n uint64) {
	h.t.Helper()
	log, err := OpenLog(h.ledgerDir(), "")
	if err != nil {
		h.t.Fatal(err)
	}
	leaves, err := log.bundle(h.t.Context(), n, sceneSize)
	if err != nil {
		h.t.Fatal(err)
	}
	var tile []byte
	for _, l := range leaves {
		sum := sha256.Sum256(append([]byte{0}, l...))
		tile = append(tile, sum[:]...)
	}
	h.edit("ledger/log/"+layout.TilePath(0, n, 0), func([]byte) []byte { return tile })
}

func firstLeaves(b []byte, n int) []byte {
	at := 0
	for range n {
		at += 2 + int(binary.BigEndian.Uint16(b[at:]))
	}
	return b[:at]
}

func TestVerifyNamesTheCrime(t *testing.T) {
	files, shown := scene(t)
	var all crowd
	for _, c := range crimes(shown) {
		all.run(t, c.name, func(t *testing.T) {
			h := newHouse(t)
			restore(t, h.dir, files)
			c.commit(t, h)
			var with []func(*VerifyOptions)
			if c.with != nil {
				with = append(with, c.with(h))
			}
			r := h.verify(with...)
			if len(r.Lies) == 0 {
				t.Fatal("verify finds everything in order")
			}
			if first := r.Lies[0]; first.What != c.what || first.Where != c.where {
				t.Errorf("first lie %+v, want %s at %s", first, c.what, c.where)
			}
		})
	}
	all.wg.Wait()
}

func TestVerifyOfTheUntouched(t *testing.T) {
	files, shown := scene(t)
	h := newHouse(t)
	restore(t, h.dir, files)
	r := h.clean(h.verify(func(o *VerifyOptions) { o.Checkpoints = [][]byte{shown} }))
	if r.Segments != crimeSegments || r.Gaps != 1 || r.Deleted != 1 || r.Leaves != sceneSize {
		t.Errorf("report %+v", r)
	}
	// The same after it grew: what was shown is its beginning.
	h.start()
	h.segment(1100)
	h.stop()
	h.clean(h.verify(func(o *VerifyOptions) { o.Checkpoints = [][]byte{shown} }))
}

// TestVerifyWhileItIsWritten looks at a ledger that others write meanwhile.
func TestVerifyWhileItIsWritten(t *testing.T) {
	h := newHouse(t)
	h.start()
	h.segment(1)
	if err := h.l.integrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := h.l.tree.publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := 2; i < 6; i++ {
		h.segment(i)
		h.clean(h.verify(func(o *VerifyOptions) { o.Live, o.Settle = true, 50*time.Millisecond }))
	}
	// Committed, and the ledger was not told yet.
	h.put(minute(9), []byte("x"))
	h.clean(h.verify(func(o *VerifyOptions) {
		o.Live = true
		o.Waiting = func(context.Context) (map[string]bool, error) { return map[string]bool{minute(9): true}, nil }
	}))
	h.stop()
}

func TestRemembered(t *testing.T) {
	r, err := ParseRemembered([]byte(rememberedVersion + "\n" + vectorKey + "\n\n" + vectorCheckpoint))
	if err != nil || r.Key != vectorKey || string(r.Checkpoint) != vectorCheckpoint {
		t.Errorf("remembered %+v, %v", r, err)
	}
	file := filepath.Join(t.TempDir(), "remembered")
	if err := r.Save(file); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(file); err != nil || !bytes.Equal(b, r.Marshal()) {
		t.Errorf("saved %q, %v", b, err)
	}
	forged := strings.Replace(vectorCheckpoint, "\n1\n", "\n2\n", 1)
	for _, bad := range []string{"", rememberedVersion + "\n", rememberedVersion + "\n" + vectorKey + "\n\n" + forged, "other\n" + vectorKey + "\n\n" + vectorCheckpoint} {
		if _, err := ParseRemembered([]byte(bad)); err == nil {
			t.Errorf("took %q", bad)
		}
	}
}

package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// nameKey stands for a name of the archive: a month of a hundred cameras has
// millions of them.
type nameKey [16]byte

func keyOf(name string) nameKey {
	sum := sha256.Sum256([]byte(name))
	return nameKey(sum[:16])
}

// kept is what the ledger says is in the archive.
type kept struct {
	leaf    uint64
	bytes   int64
	sum     [32]byte
	gap     bool
	damaged bool // a sync failed while it was written
	seen    bool
}

// say takes in what a leaf says of the archive.
func (v *verifying) say(seq uint64, l Leaf) {
	name := l.Get("name")
	key := keyOf(name)
	switch l.Kind {
	case Recorded:
		k := kept{leaf: seq, damaged: l.Get("state") == "damaged"}
		k.bytes, _ = strconv.ParseInt(l.Get("bytes"), 10, 64) // Check has read both
		_, _ = hex.Decode(k.sum[:], []byte(l.Get("sha256")))
		// After a crash a segment may be noted twice, alike.
		if old, ok := v.kept[key]; ok && (old.sum != k.sum || old.bytes != k.bytes) {
			v.leafLie(LieTwice, seq, "%s was leaf %d with other bytes", name, old.leaf)
			return
		}
		v.kept[key] = k
		v.r.Segments++
	case NoVideo:
		v.kept[key] = kept{leaf: seq, gap: true}
		v.r.Gaps++
	case Deleted:
		delete(v.kept, key)
		v.r.Deleted++
	}
}

// suspects are what did not fit at first sight.
type suspects struct {
	files []string // with no leaf
	rows  []Row    // likewise
	gone  []nameKey
}

func (s suspects) none() bool { return len(s.files)+len(s.rows)+len(s.gone) == 0 }

// archive compares what the leaves say with what lies in the archive and in
// its index. While a server works, what does not fit is looked at again once
// the ledger has had time to hear of it.
func (v *verifying) archive(ctx context.Context) error {
	var s suspects
	var err error
	if s.rows, err = v.rows(ctx); err != nil {
		return err
	}
	if s.files, err = v.walk(ctx); err != nil {
		return err
	}
	for key, k := range v.kept {
		if !k.seen {
			s.gone = append(s.gone, key)
		}
	}
	for try := 0; ; try++ {
		if err := v.catchUp(ctx); err != nil {
			return err
		}
		if s = v.remaining(s); s.none() || !v.o.Live || try == 2 {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(v.o.Settle):
		}
	}
	return v.accuse(ctx, s)
}

// rows compares the index's rows, and returns those that the ledger does not know.
func (v *verifying) rows(ctx context.Context) (odd []Row, err error) {
	if v.o.Rows == nil {
		return nil, nil
	}
	n := int64(0)
	err = v.o.Rows(ctx, func(row Row) error {
		if n++; n%4096 == 0 {
			v.progress("index", n, n)
		}
		k, ok := v.kept[keyOf(row.Name)]
		switch {
		case row.Expiring:
			v.expiring[row.Name] = true
		case !ok:
			odd = append(odd, row)
		case !row.Gap && (row.Bytes != k.bytes || row.SHA256 != ([32]byte{}) && row.SHA256 != k.sum):
			v.lie(LieRowHash, row.Name, int64(k.leaf), "the index says %d bytes, %x; leaf %d says %d bytes, %x", row.Bytes, row.SHA256[:4], k.leaf, k.bytes, k.sum[:4])
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the archive's index: %w", err)
	}
	return odd, nil
}

// walk looks at every file of the archive, and returns those that the ledger
// does not know.
func (v *verifying) walk(ctx context.Context) (unknown []string, err error) {
	var toRead []readJob
	var total int64
	err = filepath.WalkDir(v.o.Archive, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // retention was faster, or there is no archive yet
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(v.o.Archive, path)
		if err != nil || e.IsDir() || strings.HasPrefix(e.Name(), ".") || strings.HasSuffix(e.Name(), ".part") {
			return err
		}
		name := filepath.ToSlash(rel)
		k, ok := v.kept[keyOf(name)]
		if !ok {
			unknown = append(unknown, name)
			return nil
		}
		k.seen = true
		v.kept[keyOf(name)] = k
		if k.gap {
			return nil
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		switch {
		case info.Size() != k.bytes && !k.damaged:
			v.lie(LieSize, name, int64(k.leaf), "%d bytes; leaf %d says %d", info.Size(), k.leaf, k.bytes)
		case v.o.Read:
			toRead = append(toRead, readJob{name, k})
			total += info.Size()
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("walk archive: %w", err)
	}
	return unknown, v.read(ctx, toRead, total)
}

type readJob struct {
	name string
	kept
}

// read compares contents, as fast as disk and processors allow.
func (v *verifying) read(ctx context.Context, jobs []readJob, total int64) error {
	var mu sync.Mutex // guards what the report says while files are read
	var g errgroup.Group
	g.SetLimit(max(2, runtime.GOMAXPROCS(0)))
	for _, job := range jobs {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			sum, n, err := hashFile(filepath.Join(v.o.Archive, filepath.FromSlash(job.name)))
			mu.Lock()
			defer mu.Unlock()
			v.r.Read += n
			v.progress("archive", v.r.Read, total)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil // retention was faster
			case err != nil:
				v.lie(LieFile, job.name, int64(job.leaf), "it cannot be read: %v", err)
			case sum == job.sum:
			case job.damaged:
				v.note(job.name, "the disk reported an error while it was written, and it is not what was meant to be written")
			default:
				v.lie(LieFile, job.name, int64(job.leaf), "its SHA-256 is %x…, leaf %d says %x…", sum[:8], job.leaf, job.sum[:8])
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

func hashFile(name string) (sum [32]byte, n int64, err error) {
	f, err := os.Open(name)
	if err != nil {
		return sum, 0, err
	}
	defer f.Close()
	h := sha256.New()
	n, err = io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{f}, make([]byte, 256<<10))
	h.Sum(sum[:0])
	return sum, n, err
}

// catchUp takes in what the ledger was told since the checkpoint was read.
func (v *verifying) catchUp(ctx context.Context) error {
	head, err := v.l.Checkpoint(ctx)
	if err != nil {
		return err
	}
	if v.size < v.r.Checkpoint.Size {
		return nil // the tree itself is broken, and that was said
	}
	size := v.size
	for size < head.Size {
		raw, err := v.l.raw(ctx, size, min(head.Size, size+256-size%256), head.Size)
		if err != nil {
			return err
		}
		for _, b := range raw {
			v.later(b)
			size++
		}
	}
	v.size = size
	// The spool is not signed, but what is in it will be.
	dir := filepath.Join(v.o.Dir, spoolDir)
	names, err := spoolNames(dir)
	if err != nil {
		return err
	}
	recs, err := readSpool(dir, names)
	if errors.Is(err, fs.ErrNotExist) { // moved into the tree just now: the next look sees it
		err = nil
	}
	v.r.Waiting = 0
	for _, r := range recs {
		if r.seq >= size {
			v.later(r.leaf)
			v.r.Waiting++
		}
	}
	if err == nil && v.o.Waiting != nil {
		v.waiting, err = v.o.Waiting(ctx)
		v.r.Waiting += len(v.waiting)
	}
	return err
}

// later takes in a leaf that no checkpoint read at the beginning covers.
func (v *verifying) later(b []byte) {
	l, err := ParseLeaf(b)
	if err != nil || l.Check() != nil {
		return // the next verification will judge it
	}
	name := l.Get("name")
	old := v.kept[keyOf(name)]
	v.say(l.Seq, l)
	if k, ok := v.kept[keyOf(name)]; ok {
		k.seen = old.seen
		v.kept[keyOf(name)] = k
	}
}

// remaining are the suspects that what came since does not explain.
func (v *verifying) remaining(s suspects) (out suspects) {
	for _, name := range s.files {
		if _, known := v.kept[keyOf(name)]; !known && !v.waiting[name] && v.there(name) {
			out.files = append(out.files, name)
		}
	}
	for _, row := range s.rows {
		if _, known := v.kept[keyOf(row.Name)]; !known && !v.waiting[row.Name] {
			out.rows = append(out.rows, row)
		}
	}
	for _, key := range s.gone {
		if k, still := v.kept[key]; still && !k.seen {
			out.gone = append(out.gone, key)
		}
	}
	return out
}

func (v *verifying) there(name string) bool {
	_, err := os.Stat(filepath.Join(v.o.Archive, filepath.FromSlash(name)))
	return err == nil
}

// accuse says what the suspects are.
func (v *verifying) accuse(ctx context.Context, s suspects) error {
	for _, key := range s.gone {
		k := v.kept[key]
		name := fmt.Sprintf("leaf %d", k.leaf)
		if raw, err := v.l.raw(ctx, k.leaf, k.leaf+1, max(v.size, k.leaf+1)); err == nil {
			if l, err := ParseLeaf(raw[0]); err == nil {
				name = l.Get("name")
			}
		}
		what := LieMissing
		if k.gap {
			what = LieGap
		}
		if v.waiting[name] {
			continue // its deletion waits for its leaf
		}
		v.lie(what, name, int64(k.leaf), "leaf %d says that it is there, and no leaf that it was deleted", k.leaf)
	}
	gone, err := v.deletions(ctx, s.files)
	if err != nil {
		return err
	}
	for _, name := range s.files {
		if leaf, ok := gone[name]; ok {
			if v.o.Live || v.expiring[name] {
				v.note(name, "leaf %d notes its deletion, which is not finished yet", leaf)
				continue
			}
			v.lie(LieReturned, name, int64(leaf), "leaf %d says that it was deleted", leaf)
			continue
		}
		v.lie(LieAdded, name, -1, "no leaf knows it")
	}
	for _, row := range s.rows {
		v.lie(LieRow, row.Name, -1, "the index has it, no leaf does")
	}
	return nil
}

// deletions finds which of these names some leaf says were deleted.
func (v *verifying) deletions(ctx context.Context, names []string) (map[string]uint64, error) {
	if len(names) == 0 {
		return nil, nil
	}
	want := make(map[string]bool, len(names))
	for _, n := range names {
		want[n] = true
	}
	out := map[string]uint64{}
	for from := uint64(0); from < v.size; from += 256 {
		raw, err := v.l.raw(ctx, from, min(v.size, from+256), v.size)
		if err != nil {
			continue // said already
		}
		for i, b := range raw {
			if l, err := ParseLeaf(b); err == nil && l.Kind == Deleted && want[l.Get("name")] {
				out[l.Get("name")] = from + uint64(i)
			}
		}
	}
	return out, ctx.Err()
}

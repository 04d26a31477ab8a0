package ledger

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"sync"
)

// index finds leaves by kind and name. Every 65,536 leaves it writes a sorted
// file that never changes; what came after the last is in memory. All of it
// can be made again from the tree.
type index struct {
	dir   string
	files *files
	log   *slog.Logger

	mu     sync.Mutex
	recent map[uint64]uint64 // hash of kind and name → newest leaf not in a file
	runs   uint64            // how many files there are
}

const (
	runLeaves = 1 << 16
	runHead   = "watchward/index/v1\n"
	runEntry  = 12 // 8 bytes of hash, 4 of place
)

// openIndex reads and, where files are missing, makes the index of a tree.
func openIndex(ctx context.Context, l *Log, size uint64, fl *files, log *slog.Logger) (*index, error) {
	x := &index{dir: filepath.Join(l.home, indexDir), files: fl, log: log, recent: map[uint64]uint64{}}
	if err := fl.mkdirAll(x.dir); err != nil {
		return nil, err
	}
	for x.runs < size/runLeaves {
		if st, err := os.Stat(x.name(x.runs)); err != nil || (st.Size()-int64(len(runHead)))%runEntry != 0 {
			break
		}
		x.runs++
	}
	if missing := size/runLeaves - x.runs; missing > 4 {
		log.Info("making the ledger's index again", "leaves", missing*runLeaves)
	}
	for from := x.runs * runLeaves; from < size; {
		to := min(size, from+256-from%256)
		raw, err := l.raw(ctx, from, to, size)
		if err != nil {
			return nil, fmt.Errorf("make index: %w", err)
		}
		for _, b := range raw {
			x.add(b)
		}
		if from = to; from%runLeaves == 0 {
			if err := x.advance(from); err != nil {
				return nil, err
			}
		}
	}
	return x, nil
}

func (x *index) name(run uint64) string { return filepath.Join(x.dir, fmt.Sprintf("%06d", run)) }

func indexKey(kind Kind, name string) uint64 {
	sum := sha256.Sum256([]byte(string(kind) + "\n" + name))
	return binary.BigEndian.Uint64(sum[:])
}

// add notes a leaf that has a name.
func (x *index) add(b []byte) {
	leaf, err := ParseLeaf(b)
	if err != nil {
		return // Verify says what is wrong with it
	}
	if name := leaf.Get("name"); name != "" {
		x.mu.Lock()
		x.recent[indexKey(leaf.Kind, name)] = leaf.Seq
		x.mu.Unlock()
	}
}

// advance writes files for what a tree of this size holds entirely.
func (x *index) advance(size uint64) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	for x.runs < size/runLeaves {
		type entry struct {
			key uint64
			at  uint32
		}
		var list []entry
		for key, seq := range x.recent {
			if seq/runLeaves == x.runs {
				list = append(list, entry{key, uint32(seq % runLeaves)})
			}
		}
		slices.SortFunc(list, func(a, b entry) int { return cmp.Compare(a.key, b.key) })
		b := []byte(runHead)
		for _, e := range list {
			b = binary.BigEndian.AppendUint64(b, e.key)
			b = binary.BigEndian.AppendUint32(b, e.at)
		}
		if err := x.files.replace(x.name(x.runs), b, 0o600); err != nil {
			return err
		}
		for _, e := range list {
			delete(x.recent, e.key)
		}
		x.runs++
	}
	return nil
}

// find returns the newest leaf that may have this kind and name. Whoever asks
// looks into it: hashes may collide.
func (x *index) find(kind Kind, name string) (uint64, bool, error) {
	key := indexKey(kind, name)
	x.mu.Lock()
	seq, ok := x.recent[key]
	runs := x.runs
	x.mu.Unlock()
	if ok {
		return seq, true, nil
	}
	for run := runs; run > 0; run-- {
		at, ok, err := searchRun(x.name(run-1), key)
		if err != nil || ok {
			return (run-1)*runLeaves + at, ok, err
		}
	}
	return 0, false, nil
}

// searchRun looks for a key in one file.
func searchRun(name string, key uint64) (uint64, bool, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return 0, false, err
	}
	n := int((st.Size() - int64(len(runHead))) / runEntry)
	var e [runEntry]byte
	read := func(i int) error {
		_, rerr := f.ReadAt(e[:], int64(len(runHead))+int64(i)*runEntry)
		if errors.Is(rerr, io.EOF) {
			rerr = nil
		}
		return rerr
	}
	i := sort.Search(n, func(i int) bool {
		if err == nil {
			err = read(i)
		}
		return binary.BigEndian.Uint64(e[:]) >= key
	})
	if err != nil || i == n {
		return 0, false, err
	}
	if err := read(i); err != nil || binary.BigEndian.Uint64(e[:]) != key {
		return 0, false, err
	}
	return uint64(binary.BigEndian.Uint32(e[8:])), true, nil
}

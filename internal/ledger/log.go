package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/api/layout"
	"github.com/transparency-dev/tessera/client"
	"golang.org/x/mod/sumdb/note"
)

// Log reads a ledger's tree. It needs no lock and no secret, and may read while
// a server writes. Everything it reads is hostile until proven.
type Log struct {
	dir   string // of the tiles
	home  string // the ledger's folder
	key   string // verifier key
	v     note.Verifier
	tiles client.FileFetcher
}

// OpenLog opens a ledger's folder for reading. Key is the verifier key by which
// checkpoints are judged; empty means the one that lies in the folder, which
// proves nothing against whoever can write there.
func OpenLog(dir, key string) (*Log, error) {
	if key == "" {
		b, err := readSmall(filepath.Join(dir, publicKeyName), 1024)
		if err != nil {
			return nil, fmt.Errorf("open ledger %q: %w", dir, err)
		}
		key = strings.TrimSpace(string(b))
	}
	l, err := openLog(dir, key)
	if err != nil {
		return nil, fmt.Errorf("open ledger %q: %w", dir, err)
	}
	return l, nil
}

func openLog(dir, key string) (*Log, error) {
	v, err := verifier(key)
	if err != nil {
		return nil, err
	}
	tiles := filepath.Join(dir, logDir)
	return &Log{dir: tiles, home: dir, key: key, v: v, tiles: client.FileFetcher{Root: tiles}}, nil
}

// Origin is the log's name, the first line of its checkpoints.
func (l *Log) Origin() string { return l.v.Name() }

// VerifierKey is the public key, for whoever wants to check.
func (l *Log) VerifierKey() string { return l.key }

// Checkpoint reads the newest published checkpoint and checks its signature.
func (l *Log) Checkpoint(context.Context) (Checkpoint, error) {
	b, err := readSmall(checkpointPath(l.dir), maxCheckpoint)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("read checkpoint: %w", err)
	}
	return ParseCheckpoint(b, l.key)
}

// raw reads the bytes of leaves [from, to) of a tree of a size.
func (l *Log) raw(ctx context.Context, from, to, size uint64) ([][]byte, error) {
	out := make([][]byte, 0, min(to-from, 4096))
	for i := from; i < to; {
		b, err := l.bundle(ctx, i/layout.EntryBundleWidth, size)
		if err != nil {
			return nil, err
		}
		first := i % layout.EntryBundleWidth
		last := min(layout.EntryBundleWidth, first+to-i)
		if uint64(len(b)) < last {
			return nil, fmt.Errorf("leaf %d: %w: its bundle ends before", i, ErrNotFound)
		}
		out = append(out, b[first:last]...)
		i += last - first
	}
	return out, nil
}

// maxBundle bounds a bundle file: 256 leaves and their lengths.
const maxBundle = layout.EntryBundleWidth * (maxLeaf + 2)

// bundle reads the leaves of one bundle file: the one that a tree of a size
// has, or the full one that replaced it.
func (l *Log) bundle(_ context.Context, n, size uint64) ([][]byte, error) {
	b, err := l.partialOrFull(layout.EntriesPath(n, layout.PartialTileSize(0, n, size)), layout.EntriesPath(n, 0), maxBundle)
	if err != nil {
		return nil, fmt.Errorf("read leaves from %d: %w", n*layout.EntryBundleWidth, err)
	}
	var e api.EntryBundle
	if err := e.UnmarshalText(b); err != nil {
		return nil, fmt.Errorf("read leaves from %d: %w", n*layout.EntryBundleWidth, err)
	}
	return e.Entries, nil
}

// tile reads the hashes of a tile.
func (l *Log) tile(level, n, size uint64) ([][]byte, error) {
	b, err := l.tileBytes(level, n, layout.PartialTileSize(level, n, size))
	if err != nil {
		return nil, fmt.Errorf("read tile %d/%d: %w", level, n, err)
	}
	var t api.HashTile
	if err := t.UnmarshalText(b); err != nil {
		return nil, fmt.Errorf("read tile %d/%d: %w", level, n, err)
	}
	return t.Nodes, nil
}

func (l *Log) tileBytes(level, n uint64, p uint8) ([]byte, error) {
	return l.partialOrFull(layout.TilePath(level, n, p), layout.TilePath(level, n, 0), layout.TileWidth*rfc6962.DefaultHasher.Size())
}

func (l *Log) partialOrFull(partial, full string, most int) ([]byte, error) {
	b, err := readSmall(filepath.Join(l.dir, filepath.FromSlash(partial)), int64(most))
	if errors.Is(err, fs.ErrNotExist) && partial != full {
		b, err = readSmall(filepath.Join(l.dir, filepath.FromSlash(full)), int64(most))
	}
	return b, err
}

func (l *Log) fetchTile(_ context.Context, level, n uint64, p uint8) ([]byte, error) {
	return l.tileBytes(level, n, p)
}

// maxLeaves is how many leaves one answer holds.
const maxLeaves = 1000

// Leaves reads leaves of the published tree, from the number from on, at most
// n and at most 1000. It reads only the files they lie in, however large the
// log. An empty answer means that there are none from there on.
func (l *Log) Leaves(ctx context.Context, from uint64, n int) ([]Leaf, error) {
	c, err := l.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	if from >= c.Size || n <= 0 {
		return nil, nil
	}
	raw, err := l.raw(ctx, from, from+min(c.Size-from, uint64(n), maxLeaves), c.Size)
	if err != nil {
		return nil, err
	}
	out := make([]Leaf, len(raw))
	for i, b := range raw {
		if out[i], err = ParseLeaf(b); err != nil {
			return nil, fmt.Errorf("leaf %d: %w", from+uint64(i), err)
		}
	}
	return out, nil
}

// Proof shows that a leaf is in the tree that a checkpoint signs.
type Proof struct {
	Leaf       []byte // its bytes: see [ParseLeaf]
	Index      uint64
	Hashes     [][]byte // RFC 6962, 2.1.1
	Checkpoint []byte   // the signed note, with cosignatures where they cover it
}

// Prove builds the proof of a leaf against the newest checkpoint; one that
// witnesses cosigned is preferred if it covers the leaf. The error wraps
// [ErrNotFound] if no checkpoint covers it yet.
func (l *Log) Prove(ctx context.Context, index uint64) (Proof, error) {
	c, err := l.best(ctx, index)
	if err != nil {
		return Proof{}, err
	}
	if index >= c.Size {
		return Proof{}, fmt.Errorf("prove leaf %d: %w: the checkpoint ends at %d", index, ErrNotFound, c.Size)
	}
	raw, err := l.raw(ctx, index, index+1, c.Size)
	if err != nil {
		return Proof{}, fmt.Errorf("prove leaf %d: %w", index, err)
	}
	b, err := client.NewProofBuilder(ctx, c.Size, l.fetchTile)
	if err != nil {
		return Proof{}, fmt.Errorf("prove leaf %d: %w", index, err)
	}
	hashes, err := b.InclusionProof(ctx, index)
	if err != nil {
		return Proof{}, fmt.Errorf("prove leaf %d: %w", index, err)
	}
	return Proof{Leaf: raw[0], Index: index, Hashes: hashes, Checkpoint: c.Note}, nil
}

// best is the cosigned checkpoint if it covers the leaf, else the newest.
func (l *Log) best(ctx context.Context, index uint64) (Checkpoint, error) {
	if c, err := l.Cosigned(ctx); err == nil && c.Size > index {
		return c, nil
	}
	return l.Checkpoint(ctx)
}

// Cosigned reads the newest checkpoint that a witness cosigned. The error wraps
// [fs.ErrNotExist] if there is none.
func (l *Log) Cosigned(context.Context) (Checkpoint, error) {
	b, err := readSmall(filepath.Join(l.home, cosignedDir, "checkpoint"), maxCheckpoint)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("read cosigned checkpoint: %w", err)
	}
	return ParseCheckpoint(b, l.key)
}

// consistency proves that a tree of size small is the beginning of one of size large.
func (l *Log) consistency(ctx context.Context, small, large uint64) ([][]byte, error) {
	if small == 0 || small == large {
		return nil, nil
	}
	b, err := client.NewProofBuilder(ctx, large, l.fetchTile)
	if err != nil {
		return nil, err
	}
	return b.ConsistencyProof(ctx, small, large)
}

// Verify checks the proof offline. Key is the log's verifier key, from whoever
// is trusted to know it. It returns the leaf and the checkpoint it is in.
func (p Proof) Verify(key string) (Leaf, Checkpoint, error) {
	c, err := ParseCheckpoint(p.Checkpoint, key)
	if err != nil {
		return Leaf{}, c, fmt.Errorf("proof of leaf %d: %w", p.Index, err)
	}
	if len(p.Hashes) > 64 {
		return Leaf{}, c, fmt.Errorf("proof of leaf %d: %d hashes: want at most 64", p.Index, len(p.Hashes))
	}
	h := rfc6962.DefaultHasher
	if err := proof.VerifyInclusion(h, p.Index, c.Size, h.HashLeaf(p.Leaf), p.Hashes, c.Root[:]); err != nil {
		return Leaf{}, c, fmt.Errorf("proof of leaf %d: %w", p.Index, err)
	}
	leaf, err := ParseLeaf(p.Leaf)
	if err == nil && leaf.Seq != p.Index {
		err = fmt.Errorf("it calls itself number %d", leaf.Seq)
	}
	if err != nil {
		return leaf, c, fmt.Errorf("proof of leaf %d: %w", p.Index, err)
	}
	return leaf, c, nil
}

// Exists reports whether a data folder's ledger has ever been begun.
func Exists(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, publicKeyName))
	return err == nil
}

package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api/layout"
	"golang.org/x/mod/sumdb/note"
)

// bigLog writes the files of a tile log as they are after years, without the
// syncs that would make that last as long.
type bigLog struct {
	dir    string
	levels [][]byte // hashes of the tile that is being filled, by level
	counts []uint64 // full tiles written, by level
	root   *compact.Range
}

// makeLog makes a log of a size and returns its verifier key.
func makeLog(ctx context.Context, dir string, size uint64) (key string, err error) {
	b := &bigLog{dir: filepath.Join(dir, "log"), root: (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)}
	var bundle []byte
	for seq := range size {
		leaf := leafText(seq)
		bundle = binary.BigEndian.AppendUint16(bundle, uint16(len(leaf)))
		bundle = append(bundle, leaf...)
		h := rfc6962.DefaultHasher.HashLeaf(leaf)
		if err := b.root.Append(h, nil); err != nil {
			return "", err
		}
		if err := b.add(0, h); err != nil {
			return "", err
		}
		n := seq / layout.EntryBundleWidth
		if seq%layout.EntryBundleWidth == layout.EntryBundleWidth-1 || seq == size-1 {
			if err := b.write(layout.EntriesPath(n, layout.PartialTileSize(0, n, size)), bundle); err != nil {
				return "", err
			}
			bundle = bundle[:0]
		}
		if seq%65536 == 0 && ctx.Err() != nil {
			return "", ctx.Err()
		}
	}
	for level, hashes := range b.levels {
		if len(hashes) > 0 {
			if err := b.write(layout.TilePath(uint64(level), b.counts[level], uint8(len(hashes)/32)), hashes); err != nil {
				return "", err
			}
		}
	}
	return b.sign(size)
}

// add puts a hash into the tile of a level, and a full tile's root into the one above.
func (b *bigLog) add(level int, h []byte) error {
	if level == len(b.levels) {
		b.levels, b.counts = append(b.levels, nil), append(b.counts, 0)
	}
	b.levels[level] = append(b.levels[level], h...)
	if len(b.levels[level]) < layout.TileWidth*32 {
		return nil
	}
	if err := b.write(layout.TilePath(uint64(level), b.counts[level], 0), b.levels[level]); err != nil {
		return err
	}
	full := b.levels[level]
	b.levels[level], b.counts[level] = nil, b.counts[level]+1
	for len(full) > 32 {
		var up []byte
		for i := 0; i < len(full); i += 64 {
			up = append(up, rfc6962.DefaultHasher.HashChildren(full[i:i+32], full[i+32:i+64])...)
		}
		full = up
	}
	return b.add(level+1, full)
}

func (b *bigLog) write(name string, body []byte) error {
	path := filepath.Join(b.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, body, 0o600)
}

func (b *bigLog) sign(size uint64) (string, error) {
	secret, key, err := note.GenerateKey(rand.Reader, "watchward/bench")
	if err != nil {
		return "", err
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		return "", err
	}
	root, err := b.root.GetRootHash(nil)
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("watchward/bench\n%d\n%s\n", size, base64.StdEncoding.EncodeToString(root))
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		return "", err
	}
	return key, b.write(layout.CheckpointPath, signed)
}

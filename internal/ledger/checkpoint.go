package ledger

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	f_note "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

// Checkpoint is the signed head of a tree (C2SP tlog-checkpoint).
type Checkpoint struct {
	Origin string
	Size   uint64
	Root   [32]byte
	Note   []byte // as signed, signatures included
}

// Cosignature is a witness's word that it saw no other history.
type Cosignature struct {
	Witness string // the name of its key
	Time    time.Time
}

const (
	maxCheckpoint = 16 << 10
	maxSignatures = 64
)

var (
	errCheckpoint = errors.New("not a checkpoint")
	// ErrSignature means that a checkpoint is not signed by the key it should be.
	ErrSignature = errors.New("checkpoint is not signed by this key")
)

// ParseCheckpoint reads a checkpoint and checks the log's signature. Signatures
// of others are kept and mean nothing: see [Checkpoint.Cosignatures].
func ParseCheckpoint(b []byte, key string) (Checkpoint, error) {
	v, err := verifier(key)
	if err != nil {
		return Checkpoint{}, err
	}
	c, err := parseCheckpointUnsigned(b)
	if err != nil {
		return Checkpoint{}, err
	}
	if c.Origin != v.Name() {
		return Checkpoint{}, fmt.Errorf("%w: it is of the log %q, the key of %q", ErrSignature, clip(c.Origin), v.Name())
	}
	if _, err := note.Open(b, note.VerifierList(v)); err != nil {
		return Checkpoint{}, fmt.Errorf("%w: %q: %w", ErrSignature, v.Name(), err)
	}
	return c, nil
}

// parseCheckpointUnsigned reads the text; whoever wrote it.
func parseCheckpointUnsigned(b []byte) (Checkpoint, error) {
	if len(b) > maxCheckpoint {
		return Checkpoint{}, fmt.Errorf("%w: %d bytes: want at most %d", errCheckpoint, len(b), maxCheckpoint)
	}
	text, signatures, ok := strings.Cut(string(b), "\n\n")
	lines := strings.Split(text, "\n")
	if !ok || len(lines) < 3 || strings.Count(signatures, "\n") > maxSignatures {
		return Checkpoint{}, fmt.Errorf("%w: want three lines or more, an empty one, and signatures", errCheckpoint)
	}
	if slices.Contains(lines, "") {
		return Checkpoint{}, fmt.Errorf("%w: an empty line", errCheckpoint)
	}
	size, err := readUint(lines[1])
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: size: %w", errCheckpoint, err)
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != 32 || base64.StdEncoding.EncodeToString(root) != lines[2] {
		return Checkpoint{}, fmt.Errorf("%w: root: want 32 bytes in base64", errCheckpoint)
	}
	c := Checkpoint{Origin: lines[0], Size: size, Note: slices.Clone(b)}
	copy(c.Root[:], root)
	return c, nil
}

// Cosignatures returns the cosignatures that are good under the witnesses' keys.
func (c Checkpoint) Cosignatures(keys []string) ([]Cosignature, error) {
	var out []Cosignature
	for _, key := range keys {
		v, err := witnessVerifier(key)
		if err != nil {
			return nil, err
		}
		n, err := note.Open(c.Note, note.VerifierList(v))
		if err != nil {
			continue // not cosigned by this one
		}
		at, err := f_note.CoSigV1Timestamp(n.Sigs[0])
		if err != nil {
			return nil, err
		}
		out = append(out, Cosignature{Witness: v.Name(), Time: at.UTC()})
	}
	return out, nil
}

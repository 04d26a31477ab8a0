package ledger

import (
	"bytes"
	"errors"
	"fmt"
)

const rememberedVersion = "watchward/remembered/v1"

var errRemembered = errors.New("not a remembered checkpoint")

// Remembered is what a reader keeps of a ledger, to find out the next time
// whether it still says the same: in a file of his own, elsewhere.
type Remembered struct {
	Key        string // the log's verifier key
	Checkpoint []byte // the signed note
}

// Marshal returns the file's bytes.
func (r Remembered) Marshal() []byte {
	return fmt.Appendf(nil, "%s\n%s\n\n%s", rememberedVersion, r.Key, r.Checkpoint)
}

// ParseRemembered reads the file. The checkpoint is checked against the key.
func ParseRemembered(b []byte) (Remembered, error) {
	head, note, ok := bytes.Cut(b, []byte("\n\n"))
	version, key, two := bytes.Cut(head, []byte("\n"))
	if !ok || !two || string(version) != rememberedVersion || len(b) > 2*maxCheckpoint {
		return Remembered{}, errRemembered
	}
	r := Remembered{Key: string(key), Checkpoint: bytes.Clone(note)}
	if _, err := ParseCheckpoint(r.Checkpoint, r.Key); err != nil {
		return Remembered{}, fmt.Errorf("%w: %w", errRemembered, err)
	}
	return r, nil
}

// Save writes the file, whole or not at all.
func (r Remembered) Save(name string) error { return replaceFile(name, r.Marshal(), 0o644) }

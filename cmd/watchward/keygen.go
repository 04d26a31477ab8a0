package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/watchward/watchward/internal/seal"
)

// KeygenCmd is "watchward keygen".
type KeygenCmd struct {
	Output  string `short:"o" placeholder:"FILE" help:"Write the identity to FILE (mode 0600, never over another file) and only the recipient to standard output."`
	Classic bool   `help:"Make an X25519 identity, which any age opens with, instead of a hybrid post-quantum one, which needs age 1.3."`
}

// Help is shown by --help.
func (KeygenCmd) Help() string {
	return `An identity has two halves. The recipient (it begins with age1) goes to the recorder, which can
then seal to it and no more. The secret half (AGE-SECRET-KEY-…) opens recordings: keep it away
from the recorder, and keep a second copy. If all copies are lost, so are the recordings.

An archive is either hybrid or classic; age does not mix the two in one file.

Examples

    watchward keygen -o me.key
    watchward keygen --classic -o me.key
    watchward keygen -o deputy.key >> readers.txt`
}

// Run makes the identity.
func (c *KeygenCmd) Run(s *streams) error {
	kind := seal.Hybrid
	if c.Classic {
		kind = seal.Classic
	}
	id, err := seal.GenerateIdentity(kind)
	if err != nil {
		return err
	}
	if c.Output == "" {
		s.notef("recipient: %s\n", id.Recipient())
		return writeIdentity(s.Out, id, time.Now())
	}
	if err := writeIdentityFile(c.Output, id); err != nil {
		return err
	}
	s.notef("identity written to %s; keep it away from the recorder, and keep a second copy\n", c.Output)
	s.printf("%s\n", id.Recipient())
	return nil
}

// writeIdentityFile makes a file that only its owner can read.
func writeIdentityFile(path string, id seal.Identity) error {
	// O_EXCL: an identity overwritten is an archive lost.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return withHint(fmt.Errorf("write identity: %q exists", path),
			"choose another name; an identity is never written over another file")
	}
	if err != nil {
		return fmt.Errorf("write identity: %w", err)
	}
	err = writeIdentity(f, id, time.Now())
	// Synced before the recipient is handed out: somebody may seal to it at once.
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write identity %q: %w", path, err)
	}
	return nil
}

// writeIdentity writes what age-keygen writes, so that age -d -i takes it.
func writeIdentity(w io.Writer, id seal.Identity, now time.Time) error {
	_, err := fmt.Fprintf(w, "# created: %s\n# public key: %s\n%s\n",
		now.UTC().Format(time.RFC3339), id.Recipient(), id.Reveal())
	return err
}

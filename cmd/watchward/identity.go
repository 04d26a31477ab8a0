package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/watchward/watchward/internal/seal"
)

// maxIdentity caps an identity file: a hybrid one has under 3 KB.
const maxIdentity = 64 << 10

// IdentityFlag names the identity file of a command that opens recordings.
type IdentityFlag struct {
	Identity string `short:"i" env:"WATCHWARD_IDENTITY" placeholder:"FILE" help:"Identity file, as keygen or the setup page made it; - reads it from standard input."`
}

// load reads the identity. Its text is in no error.
func (f IdentityFlag) load(s *streams) (seal.Identity, error) {
	if f.Identity == "" {
		return seal.Identity{}, usage("the identity is the file that keygen or the setup page made (AGE-SECRET-KEY-…)",
			"no identity given: want --identity FILE")
	}
	src := s.In
	if f.Identity != "-" {
		file, err := os.Open(f.Identity)
		if err != nil {
			return seal.Identity{}, fmt.Errorf("read identity: %w", err)
		}
		defer file.Close()
		src = file
	}
	b, err := io.ReadAll(io.LimitReader(src, maxIdentity+1))
	defer clear(b)
	if err == nil && len(b) > maxIdentity {
		err = errors.New("file is too large for an identity")
	}
	if err != nil {
		return seal.Identity{}, fmt.Errorf("read identity %q: %w", f.Identity, err)
	}
	id, err := seal.ParseIdentity(string(b))
	if err != nil {
		return seal.Identity{}, withHint(fmt.Errorf("%q: %w", f.Identity, err),
			"an identity file is made by %q or downloaded from the setup page", "watchward keygen -o FILE")
	}
	return id, nil
}

// openDay opens a sealed day key, and is kind about the wrong identity.
func openDay(sealed []byte, id seal.Identity, path string) (seal.Identity, error) {
	day, err := seal.OpenDay(sealed, id)
	if errors.Is(err, seal.ErrWrongIdentity) {
		return day, withHint(fmt.Errorf("open day key %q: %w", path, err),
			"the identity given is the one of %s; the day key is sealed to other readers: use one of theirs, or have one of them run \"watchward keys reseal\"",
			shortRecipient(id.Recipient()))
	}
	if err != nil {
		return day, fmt.Errorf("open day key %q: %w", path, err)
	}
	return day, nil
}

// shortRecipient makes a recipient fit for a sentence: a hybrid one has about
// 1960 characters.
func shortRecipient(r string) string {
	if len(r) <= 64 {
		return r
	}
	return r[:16] + "…" + r[len(r)-8:]
}

package ledger

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	f_note "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

// Key signs checkpoints, of a log or of a witness. It prints as "redacted".
type Key struct {
	secret string // as golang.org/x/mod/sumdb/note writes it
	public string
}

// Public is the verifier key: name, hash and Ed25519 key (C2SP signed-note).
func (k Key) Public() string { return k.public }

// String hides the key.
func (Key) String() string { return "redacted" }

// LogValue hides the key.
func (Key) LogValue() slog.Value { return slog.StringValue("redacted") }

const maxKeyFile = 4 << 10

// MakeKey makes a key in a new file of mode 0600. Name is the origin of a log or
// the name of a witness; empty means one made by chance.
func MakeKey(file, name string) (Key, error) {
	if name == "" {
		b := make([]byte, 8)
		rand.Read(b)
		name = "watchward/" + hex.EncodeToString(b)
	}
	secret, public, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		return Key{}, fmt.Errorf("make ledger key: %w", err)
	}
	k, err := newKey(secret, public)
	if err != nil {
		return Key{}, fmt.Errorf("make ledger key: name %q: %w", clip(name), err)
	}
	text := "# Signs the ledger's checkpoints. Whoever has it can write another history: keep it apart.\n" + secret + "\n"
	if _, err := os.Stat(file); err == nil {
		return Key{}, fmt.Errorf("make ledger key %q: %w", file, fs.ErrExist)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return Key{}, fmt.Errorf("make ledger key: %w", err)
	}
	if err := replaceFile(file, []byte(text), 0o600); err != nil {
		return Key{}, fmt.Errorf("make ledger key: %w", err)
	}
	return k, nil
}

// LoadKey reads a key. One that others may read is refused.
func LoadKey(file string) (Key, error) {
	st, err := os.Stat(file)
	if err != nil {
		return Key{}, err
	}
	if st.Mode().Perm()&0o077 != 0 {
		return Key{}, hintf(fmt.Errorf("ledger key %q: others may read it (mode %04o)", file, st.Mode().Perm()), "chmod 600 %s", file)
	}
	b, err := readSmall(file, maxKeyFile)
	if err != nil {
		return Key{}, err
	}
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		public, err := publicOf(line)
		if err != nil {
			return Key{}, fmt.Errorf("ledger key %q: %w", file, err)
		}
		return newKey(line, public)
	}
	return Key{}, fmt.Errorf("ledger key %q: no key in it", file)
}

// newKey checks that the halves belong together.
func newKey(secret, public string) (Key, error) {
	s, err := note.NewSigner(secret)
	if err != nil {
		return Key{}, errors.New("not a signing key")
	}
	v, err := note.NewVerifier(public)
	if err != nil {
		return Key{}, errors.New("not a verifier key")
	}
	if s.Name() != v.Name() || s.KeyHash() != v.KeyHash() {
		return Key{}, errors.New("the key's hash is not that of its name and bytes")
	}
	return Key{secret: secret, public: public}, nil
}

// verifier reads a log's verifier key.
func verifier(public string) (note.Verifier, error) {
	if len(public) > 1024 {
		return nil, errors.New("verifier key: too long")
	}
	v, err := note.NewVerifier(public)
	if err != nil {
		return nil, fmt.Errorf("verifier key %q: want NAME+HASH+KEY: %w", clip(public), err)
	}
	return v, nil
}

// witnessVerifier reads a witness's verifier key, of type 1 or 4.
func witnessVerifier(public string) (note.Verifier, error) {
	if len(public) > 1024 {
		return nil, errors.New("witness key: too long")
	}
	v, err := f_note.NewVerifierForCosignatureV1(public)
	if err != nil {
		return nil, fmt.Errorf("witness key %q: want NAME+HASH+KEY: %w", clip(public), err)
	}
	return v, nil
}

// publicOf makes the verifier key of a signing key.
func publicOf(secret string) (string, error) {
	name, seed, err := seedOf(secret)
	if err != nil {
		return "", err
	}
	return note.NewEd25519VerifierKey(name, ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey))
}

// seedOf takes PRIVATE+KEY+NAME+HASH+BASE64 apart; the first byte of the last
// part is the algorithm, 1 for Ed25519.
func seedOf(secret string) (name string, seed []byte, err error) {
	parts := strings.SplitN(secret, "+", 5)
	if len(parts) != 5 || parts[0] != "PRIVATE" || parts[1] != "KEY" {
		return "", nil, errors.New("want PRIVATE+KEY+…")
	}
	b, err := base64.StdEncoding.DecodeString(parts[4])
	if err != nil || len(b) != 1+ed25519.SeedSize || b[0] != 1 {
		return "", nil, errors.New("want an Ed25519 key")
	}
	return parts[2], b[1:], nil
}

package estate

import (
	"bytes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/crypto/chacha20poly1305"
)

// LoadKey reads the server's key file and makes it the first time. The file
// holds 32 random bytes and must be readable by its owner alone.
func LoadKey(path string) ([]byte, error) {
	key, err := readKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err := createKey(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("create server key %q: %w", path, err)
	}
	return readKey(path) // whoever made it, the file is now what counts
}

func readKey(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read server key: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("read server key %q: others may read it (mode %04o): run chmod 600 on it", path, mode)
	}
	if info.Size() != chacha20poly1305.KeySize {
		return nil, fmt.Errorf("read server key %q: %d bytes: want %d", path, info.Size(), chacha20poly1305.KeySize)
	}
	key, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read server key: %w", err)
	}
	return key, nil
}

// createKey writes under another name and links, so that a crash leaves either
// no key or a whole one, and two processes agree on one.
func createKey(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".server-key-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	key := make([]byte, chacha20poly1305.KeySize)
	rand.Read(key)
	_, err = f.Write(key)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// box seals camera passwords at rest:
//
//	1 byte version | 4 bytes key ID | 24 bytes nonce | XChaCha20-Poly1305
//
// with the camera's ID as associated data, so that a sealed password moved to
// another camera's row (whose address an attacker chose) does not open.
type box struct {
	aead cipher.AEAD
	id   [4]byte
}

const boxVersion = 1

func newBox(key []byte) (box, error) {
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return box{}, fmt.Errorf("server key of %d bytes: want %d", len(key), chacha20poly1305.KeySize)
	}
	sum := sha256.Sum256(append([]byte("watchward server key id\x00"), key...))
	return box{aead: aead, id: [4]byte(sum[:4])}, nil
}

func associated(camera string) []byte { return []byte("watchward camera password\x00" + camera) }

func (b box) seal(camera string, p Secret) []byte {
	if p == "" {
		return nil
	}
	out := make([]byte, 5+chacha20poly1305.NonceSizeX, 5+chacha20poly1305.NonceSizeX+len(p)+chacha20poly1305.Overhead)
	out[0] = boxVersion
	copy(out[1:5], b.id[:])
	rand.Read(out[5:])
	return b.aead.Seal(out, out[5:], []byte(p.Reveal()), associated(camera))
}

func (b box) open(camera string, sealed []byte) (Secret, error) {
	const head = 5 + chacha20poly1305.NonceSizeX
	switch {
	case len(sealed) == 0:
		return "", nil
	case len(sealed) < head || sealed[0] != boxVersion:
		return "", fmt.Errorf("open password of camera %q: unknown form", camera)
	case !bytes.Equal(sealed[1:5], b.id[:]):
		return "", fmt.Errorf("open password of camera %q: sealed with key %x, ours is %x: %w", camera, sealed[1:5], b.id, ErrKey)
	}
	p, err := b.aead.Open(nil, sealed[5:head], sealed[head:], associated(camera))
	if err != nil {
		return "", fmt.Errorf("open password of camera %q: %w", camera, err)
	}
	return Secret(p), nil
}

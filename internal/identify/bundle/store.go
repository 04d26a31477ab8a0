package bundle

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Store is the folder where an operator keeps pinned keys, the bundle in use
// and what he imported himself. It need not exist.
//
//	trusted          a pinned key a line, and a name for it
//	bundles/VERSION  bundles as they came, checked
//	current          the version in use
//	imports          what "watchward data import" made of other sources
type Store struct{ dir string }

// OpenStore returns the store in a folder. It reads nothing yet.
func OpenStore(dir string) Store { return Store{dir} }

// Imports is the folder of the operator's own imports.
func (s Store) Imports() string { return filepath.Join(s.dir, "imports") }

func (s Store) path(name ...string) string { return filepath.Join(append([]string{s.dir}, name...)...) }

// Trusted lists the pinned keys.
func (s Store) Trusted() ([]PublicKey, error) {
	text, err := os.ReadFile(s.path("trusted"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read trusted keys: %w", err)
	}
	var keys []PublicKey
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		word, _, _ := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		if word == "" || strings.HasPrefix(word, "#") {
			continue
		}
		k, err := ParseKey(word)
		if err != nil {
			return nil, fmt.Errorf("read trusted keys, line %d: %w", n, err)
		}
		keys = append(keys, k)
	}
	return keys, lines.Err()
}

// Trust pins a key, with a name to know it by. A key that is pinned stays as it
// is.
func (s Store) Trust(k PublicKey, name string) error {
	keys, err := s.Trusted()
	if err != nil {
		return err
	}
	if slices.Contains(keys, k) {
		return nil
	}
	text, err := os.ReadFile(s.path("trusted"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read trusted keys: %w", err)
	}
	name = strings.Join(strings.Fields(name), " ")
	return s.write("trusted", append(text, []byte(strings.TrimSpace(string(k)+" "+name)+"\n")...))
}

// Current returns the bundle in use, checked anew, or nil where there is none.
func (s Store) Current() (*Bundle, error) {
	version, err := s.version()
	if version == "" || err != nil {
		return nil, err
	}
	keys, err := s.Trusted()
	if err != nil {
		return nil, err
	}
	b, err := Check(os.DirFS(s.path("bundles", version)), keys)
	if err != nil {
		return nil, fmt.Errorf("open data bundle %q: %w", version, err)
	}
	if b.Version != version {
		return nil, fmt.Errorf("open data bundle %q: it says that it is %q", version, b.Version)
	}
	return b, nil
}

func (s Store) version() (string, error) {
	text, err := os.ReadFile(s.path("current"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read version in use: %w", err)
	}
	version := strings.TrimSpace(string(text))
	if !versionForm.MatchString(version) {
		return "", fmt.Errorf("read version in use: %q: want a date", version)
	}
	return version, nil
}

// Install puts a checked bundle into use. One that is older than that in use is
// refused with [ErrOlder] unless older is set.
//
// The folder is complete before the file current names it, so a crash leaves
// the old bundle in use.
func (s Store) Install(b *Bundle, older bool) error {
	now, err := s.version()
	if err != nil {
		return err
	}
	if newer(now, b.Version) && !older {
		return fmt.Errorf("install data bundle %q: %w, %q", b.Version, ErrOlder, now)
	}
	if err := os.MkdirAll(s.path("bundles"), 0o700); err != nil {
		return fmt.Errorf("install data bundle: %w", err)
	}
	temp, err := os.MkdirTemp(s.path("bundles"), ".new-")
	if err != nil {
		return fmt.Errorf("install data bundle: %w", err)
	}
	defer os.RemoveAll(temp)
	files := map[string][]byte{manifestFile: b.raw, signatureFile: b.sig}
	for name, content := range b.files {
		files[name] = content
	}
	for name, content := range files {
		to := filepath.Join(temp, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return fmt.Errorf("install data bundle: %w", err)
		}
		if err := writeSynced(to, content); err != nil {
			return fmt.Errorf("install data bundle: %w", err)
		}
	}
	if err := s.place(b, temp); err != nil {
		return err
	}
	return s.write("current", []byte(b.Version+"\n"))
}

// place gives a complete folder its name. What is there under it already stays
// if it is the same, and is replaced only if it is of no use.
func (s Store) place(b *Bundle, temp string) error {
	to := s.path("bundles", b.Version)
	if there, err := Check(os.DirFS(to), []PublicKey{b.Key}); err == nil {
		if !bytes.Equal(there.raw, b.raw) {
			return fmt.Errorf("install data bundle %q: another of that version is here: want a version of its own", b.Version)
		}
		return nil
	}
	if err := os.RemoveAll(to); err != nil {
		return fmt.Errorf("install data bundle: %w", err)
	}
	if err := os.Rename(temp, to); err != nil {
		return fmt.Errorf("install data bundle: %w", err)
	}
	return nil
}

// write replaces a file of the store in one step.
func (s Store) write(name string, content []byte) error {
	to := s.path(name)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return fmt.Errorf("write %q: %w", name, err)
	}
	if err := writeSynced(to+".new", content); err != nil {
		return fmt.Errorf("write %q: %w", name, err)
	}
	if err := os.Rename(to+".new", to); err != nil {
		return fmt.Errorf("write %q: %w", name, err)
	}
	return nil
}

func writeSynced(to string, content []byte) error {
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}

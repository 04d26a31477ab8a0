// Package bundle replaces, offline, the data that conclusions rest on:
// fingerprints, makers and restrictions.
//
// A bundle is a folder or a zip file with manifest.json, which lists every other
// file with its SHA-256, and manifest.sig, an Ed25519 signature of the manifest.
// Begin with [Check], which reads and verifies one, and [Store], the folder in
// which an operator keeps what he took in.
//
// # Before it hurts
//
// The operator pins keys: a bundle whose signature is of no pinned key is
// refused, and so is one that is older than the one in use, unless he says that
// it may be. Nothing of a bundle is used before all of it was checked, and it is
// checked again each time it is read.
package bundle

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// sections are the folders that a bundle may have.
var sections = []string{Fingerprints, Makers, Restrictions}

// The sections of a bundle. One that is missing leaves the data in use.
const (
	Fingerprints = "fingerprints"
	Makers       = "makers"
	Restrictions = "restrictions"
)

const (
	// format names the layout; a program refuses one that it does not know.
	format = "watchward-data 1"
	// context keeps a signature from meaning anything else.
	context = "watchward data bundle 1\n"

	manifestFile  = "manifest.json"
	signatureFile = "manifest.sig"

	maxFiles = 2000
	maxFile  = 4 << 20
	maxTotal = 64 << 20
)

// Errors that a caller tells apart.
var (
	// ErrUntrusted: the signature is of no key that the operator pinned.
	ErrUntrusted = errors.New("signed by no key that is trusted here")
	// ErrOlder: the bundle in use is newer.
	ErrOlder = errors.New("older than the bundle in use")
)

// Manifest says what is in a bundle.
type Manifest struct {
	Format string `json:"format"`
	// Version is a date, and a number where there are several of a day:
	// "2026-12-01", "2026-12-01.2".
	Version string `json:"version"`
	// Files has the SHA-256 of each file, in hexadecimal, by its path:
	// "fingerprints/hikvision.txt".
	Files map[string]string `json:"files"`
}

// Bundle is one whose signature and files are in order.
type Bundle struct {
	Manifest
	Key   PublicKey // who signed it
	raw   []byte    // manifest.json
	sig   []byte    // manifest.sig
	files map[string][]byte
}

// Section returns the files of a section, and whether the bundle has it.
func (b *Bundle) Section(name string) (fs.FS, bool) {
	section := memory{}
	for file, content := range b.files {
		if rest, ok := strings.CutPrefix(file, name+"/"); ok {
			section[rest] = content
		}
	}
	return section, len(section) > 0
}

// PublicKey verifies bundles: "ed25519:" and base64.
type PublicKey string

const keyPrefix = "ed25519:"

// ParseKey checks a public key as a person pasted it.
func ParseKey(text string) (PublicKey, error) {
	k := PublicKey(strings.TrimSpace(text))
	if _, err := k.bytes(); err != nil {
		return "", err
	}
	return k, nil
}

func (k PublicKey) bytes() (ed25519.PublicKey, error) {
	rest, ok := strings.CutPrefix(string(k), keyPrefix)
	raw, err := base64.StdEncoding.DecodeString(rest)
	if !ok || err != nil || len(raw) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("key %.60q: want %q and %d characters of base64", string(k), keyPrefix, base64.StdEncoding.EncodedLen(ed25519.PublicKeySize))
	}
	return raw, nil
}

// Check reads a bundle and holds it to its manifest, and the manifest to the
// keys. It returns nothing of a bundle that is not in order.
func Check(dir fs.FS, trusted []PublicKey) (*Bundle, error) {
	raw, err := readFile(dir, manifestFile)
	if err != nil {
		return nil, err
	}
	sig, err := readFile(dir, signatureFile)
	if err != nil {
		return nil, err
	}
	key, err := verify(raw, sig, trusted)
	if err != nil {
		return nil, err
	}
	b := &Bundle{Key: key, raw: raw, sig: sig, files: map[string][]byte{}}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&b.Manifest); err != nil {
		return nil, fmt.Errorf("read %s: %w", manifestFile, err)
	}
	if err := b.check(); err != nil {
		return nil, err
	}
	if err := b.read(dir); err != nil {
		return nil, err
	}
	return b, nil
}

func verify(manifest, sig []byte, trusted []PublicKey) (PublicKey, error) {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(sig)))
	if err != nil || len(raw) != ed25519.SignatureSize {
		return "", fmt.Errorf("read %s: want %d bytes in base64", signatureFile, ed25519.SignatureSize)
	}
	for _, k := range trusted {
		if pub, err := k.bytes(); err == nil && ed25519.Verify(pub, signed(manifest), raw) {
			return k, nil
		}
	}
	return "", fmt.Errorf("verify bundle: %w", ErrUntrusted)
}

func signed(manifest []byte) []byte { return append([]byte(context), manifest...) }

var versionForm = regexp.MustCompile(`^\d{4}-[01]\d-[0-3]\d(?:\.\d{1,4})?$`)

// check holds the manifest to the rules.
func (m Manifest) check() error {
	switch {
	case m.Format != format:
		return fmt.Errorf("read %s: format %q: this program reads %q", manifestFile, m.Format, format)
	case !versionForm.MatchString(m.Version):
		return fmt.Errorf("read %s: version %q: want a date such as 2026-12-01, or 2026-12-01.2", manifestFile, m.Version)
	case len(m.Files) == 0 || len(m.Files) > maxFiles:
		return fmt.Errorf("read %s: %d files: want 1 to %d", manifestFile, len(m.Files), maxFiles)
	}
	for name := range m.Files {
		if err := checkName(name); err != nil {
			return fmt.Errorf("read %s: %w", manifestFile, err)
		}
	}
	return nil
}

// checkName refuses what could leave the folder it is written to.
func checkName(name string) error {
	section, file, ok := strings.Cut(name, "/")
	if !fs.ValidPath(name) || !ok || !slices.Contains(sections, section) || !fileForm.MatchString(file) {
		return fmt.Errorf("file %q: want a plain name in %s", name, strings.Join(sections, "/, ")+"/")
	}
	return nil
}

var fileForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// read takes in every file of the manifest, and refuses any other.
func (b *Bundle) read(dir fs.FS) error {
	total := 0
	for name, want := range b.Files {
		content, err := readFile(dir, name)
		if err != nil {
			return err
		}
		if total += len(content); total > maxTotal {
			return fmt.Errorf("read bundle: more than %d MiB", maxTotal>>20)
		}
		sum := sha256.Sum256(content)
		if got := hex.EncodeToString(sum[:]); got != want {
			return fmt.Errorf("verify %q: its SHA-256 is %s, the manifest says %.64q", name, got, want)
		}
		b.files[name] = content
	}
	seen := 0
	return fs.WalkDir(dir, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if seen++; seen > 2*maxFiles {
			return fmt.Errorf("read bundle: more than %d files", maxFiles)
		}
		if _, listed := b.files[name]; !e.IsDir() && !listed && name != manifestFile && name != signatureFile {
			return fmt.Errorf("read bundle: %q is not in the manifest", name)
		}
		return nil
	})
}

// readFile reads a regular file, within bounds: a compressed bomb ends at them.
func readFile(dir fs.FS, name string) ([]byte, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read bundle: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read %q: want a regular file", name)
	}
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", name, err)
	}
	if len(content) > maxFile {
		return nil, fmt.Errorf("read %q: more than %d MiB", name, maxFile>>20)
	}
	return content, nil
}

// newer says whether version a is newer than b.
func newer(a, b string) bool {
	dayA, nA := splitVersion(a)
	dayB, nB := splitVersion(b)
	if dayA != dayB {
		return dayA > dayB
	}
	return nA > nB
}

func splitVersion(v string) (day string, n int) {
	day, count, _ := strings.Cut(v, ".")
	for _, c := range count {
		n = n*10 + int(c-'0')
	}
	return day, n
}

// Make signs what lies in a folder's sections, and returns the bundle's files by
// path: manifest.json and manifest.sig among them.
func Make(dir fs.FS, version string, key ed25519.PrivateKey) (map[string][]byte, error) {
	m := Manifest{Format: format, Version: version, Files: map[string]string{}}
	files := map[string][]byte{}
	for _, section := range sections {
		entries, err := fs.ReadDir(dir, section)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read %q: %w", section, err)
		}
		for _, e := range entries {
			name := path.Join(section, e.Name())
			content, err := readFile(dir, name)
			if err != nil {
				return nil, err
			}
			sum := sha256.Sum256(content)
			m.Files[name], files[name] = hex.EncodeToString(sum[:]), content
		}
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	raw, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write manifest: %w", err)
	}
	files[manifestFile] = raw
	files[signatureFile] = []byte(base64.StdEncoding.EncodeToString(ed25519.Sign(key, signed(raw))) + "\n")
	return files, nil
}

// Public is the public half of a key, as an operator pins it.
func Public(key ed25519.PrivateKey) PublicKey {
	return PublicKey(keyPrefix + base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey)))
}

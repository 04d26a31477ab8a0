package main

import (
	"archive/zip"
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/watchward/watchward/internal/identify"
	"github.com/watchward/watchward/internal/identify/bundle"
	"github.com/watchward/watchward/internal/identify/imports"
	"github.com/watchward/watchward/internal/policy"
)

// KnowledgeFlag names the data folder whose bundle and imports a command uses.
type KnowledgeFlag struct {
	Data string `short:"d" placeholder:"DIR" help:"Data folder whose imported data is used as well. Default: what this program carries."`
}

// store is the folder of imported data within a data folder.
func (k KnowledgeFlag) store() bundle.Store {
	return bundle.OpenStore(filepath.Join(k.Data, "knowledge"))
}

// data is what to conclude from: what this program carries, or what the data
// folder replaces of it.
func (k KnowledgeFlag) data() (identify.Data, error) {
	if k.Data == "" {
		return (*bundle.Bundle)(nil).Data()
	}
	// A slip of the finger must not judge by other data than was meant.
	if info, err := os.Stat(k.Data); err != nil || !info.IsDir() {
		return identify.Data{}, withHint(fmt.Errorf("open data folder %q: no such folder", k.Data), "give the folder that run was given with --data, or leave --data out for what this program carries")
	}
	data, err := k.store().Data()
	return data, k.wayOut(err)
}

// restrictions are those of the bundle in use, or what this program carries.
func (k KnowledgeFlag) restrictions() (*policy.Catalogue, error) {
	if k.Data == "" {
		return policy.Load()
	}
	data, err := k.data()
	if err != nil {
		return nil, err
	}
	b, err := k.store().Current()
	if err != nil {
		return nil, k.wayOut(err)
	}
	return loadRestrictions(b, data)
}

// wayOut says how to get rid of imported data that is not what was signed.
func (k KnowledgeFlag) wayOut(err error) error {
	if err == nil {
		return nil
	}
	return withHint(err, "import the bundle again, or remove %q to use what this program carries", filepath.Join(k.Data, "knowledge", "current"))
}

// engine makes an engine of that data.
func (k KnowledgeFlag) engine() (*identify.Engine, error) {
	data, err := k.data()
	if err != nil {
		return nil, err
	}
	return identify.New(data)
}

// DataCmd is "watchward data".
type DataCmd struct {
	Import DataImportCmd `cmd:"" help:"Take in a signed bundle, the IEEE's list, or recog's XML."`
	Show   DataShowCmd   `cmd:"" help:"Say which data is in use, and whose keys are trusted."`
	Trust  DataTrustCmd  `cmd:"" help:"Trust bundles signed with a key."`
	Keygen DataKeygenCmd `cmd:"" help:"Make a key that signs bundles."`
	Sign   DataSignCmd   `cmd:"" help:"Make a signed bundle of a folder."`
}

// StoreFlag names the data folder that data is imported into.
type StoreFlag struct {
	Data string `short:"d" placeholder:"DIR" help:"Data folder. Default: the one of run."`
}

// store returns the folder of imported data. The data folder must be there: a
// slip of the finger must not make one.
func (f StoreFlag) store() (bundle.Store, error) {
	dir := f.Data
	if dir == "" {
		dir = DefaultConfig().Data
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return bundle.Store{}, withHint(fmt.Errorf("open data folder %q: no such folder", dir), "give the folder that run was given with --data, or make it first")
	}
	return KnowledgeFlag{Data: dir}.store(), nil
}

// DataImportCmd is "watchward data import".
type DataImportCmd struct {
	File       []string `arg:"" placeholder:"FILE" help:"A bundle (zip or folder), the IEEE's oui.txt or oui.csv, or recog's XML."`
	AllowOlder bool     `help:"Take a bundle that is older than the one in use."`
	StoreFlag
}

// Help is shown by --help.
func (DataImportCmd) Help() string {
	return `A bundle replaces fingerprints, makers or restrictions as one; it must be signed with a trusted key
(see "watchward data trust"), and is read whole and tried before anything changes. The IEEE's list adds
hardware address blocks of makers that are known; recog's XML adds fingerprints that hint and no more.

What is imported is used by commands with --data DIR, and by the server.

Examples

    watchward data import bundle-2026-12-01.zip --data /srv/watchward/data
    watchward data import oui.csv mam.csv http_servers.xml`
}

// Run takes in each file, and goes on where one is refused.
func (c *DataImportCmd) Run(s *streams) error {
	store, err := c.store()
	if err != nil {
		return err
	}
	refused := 0
	for _, name := range c.File {
		if err := c.take(s, store, name); err != nil {
			if len(c.File) == 1 {
				return err
			}
			s.notef("watchward: error: %s\n", oneLine(err.Error()))
			refused++
		}
	}
	if refused > 0 {
		return fmt.Errorf("%d of %d files were refused", refused, len(c.File))
	}
	return nil
}

func (c *DataImportCmd) take(s *streams, store bundle.Store, name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return fmt.Errorf("import: %w", err)
	}
	if info.IsDir() {
		return c.takeBundle(s, store, os.DirFS(name))
	}
	if info.Size() > 2*imports.MaxFile {
		return fmt.Errorf("import %q: %d MiB: want at most %d", name, info.Size()>>20, 2*imports.MaxFile>>20)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("import: %w", err)
	}
	if bytes.HasPrefix(text, []byte("PK\x03\x04")) {
		files, err := zip.NewReader(bytes.NewReader(text), int64(len(text)))
		if err != nil {
			return fmt.Errorf("import %q: %w", name, err)
		}
		return c.takeBundle(s, store, files)
	}
	return c.takeForeign(s, store, name, text)
}

func (c *DataImportCmd) takeBundle(s *streams, store bundle.Store, dir fs.FS) error {
	keys, err := store.Trusted()
	if err != nil {
		return err
	}
	b, err := bundle.Check(dir, keys)
	if errors.Is(err, bundle.ErrUntrusted) {
		return withHint(err, `ask who made it for the public key, compare it by another way, then "watchward data trust KEY"`)
	}
	if err != nil {
		return err
	}
	if err := tryBundle(b); err != nil {
		return fmt.Errorf("try data bundle %q: %w", b.Version, err)
	}
	if err := store.Install(b, c.AllowOlder); errors.Is(err, bundle.ErrOlder) {
		return withHint(err, "if the newer one is wrong, give --allow-older")
	} else if err != nil {
		return err
	}
	s.printf("data bundle %s, %d files, is in use\n", b.Version, len(b.Files))
	return nil
}

// tryBundle loads all of a bundle as it will be used.
func tryBundle(b *bundle.Bundle) error {
	data, err := b.Data()
	if err != nil {
		return err
	}
	if _, err := identify.New(data); err != nil {
		return err
	}
	if section, ok := b.Section(bundle.Restrictions); ok {
		if _, err := policy.LoadFrom(section, policy.Graph(data.Makers)); err != nil {
			return err
		}
	}
	return nil
}

func (c *DataImportCmd) takeForeign(s *streams, store bundle.Store, name string, text []byte) error {
	data, err := store.Data()
	if err != nil {
		return err
	}
	r, err := imports.Read(filepath.Base(name), text, data.Fingerprints, data.Makers)
	if err != nil {
		return err
	}
	for _, why := range r.Skipped {
		s.notef("%s: left out: %s\n", oneLine(name), oneLine(why))
	}
	if len(r.Prints)+len(r.Prefixes) == 0 {
		return withHint(fmt.Errorf("import %q: nothing in it is of a maker that is known here", name), `"watchward makers list" shows who is`)
	}
	if err := store.Keep(r, filepath.Base(name)); err != nil {
		return err
	}
	if _, err := store.Engine(); err != nil {
		return fmt.Errorf("import %q: %w", name, err)
	}
	s.printf("%s: %d fingerprints and %d address blocks; %d of %d entries are of makers that are not known here\n", r.What, len(r.Prints), len(r.Prefixes), r.Foreign, r.Read)
	return nil
}

// DataShowCmd is "watchward data show".
type DataShowCmd struct {
	JSON bool `help:"Print JSON."`
	StoreFlag
}

// dataShown is what data show says.
type dataShown struct {
	Fingerprints string             `json:"fingerprints"`
	Makers       string             `json:"makers"`
	Restrictions string             `json:"restrictions"`
	Bundle       string             `json:"bundle,omitempty"`
	SignedBy     bundle.PublicKey   `json:"signed_by,omitempty"`
	Trusted      []bundle.PublicKey `json:"trusted"`
}

// Run prints it.
func (c *DataShowCmd) Run(s *streams) error {
	store, err := c.store()
	if err != nil {
		return err
	}
	v, err := showData(store)
	if err != nil {
		return KnowledgeFlag{Data: either(c.Data, DefaultConfig().Data)}.wayOut(err)
	}
	if c.JSON {
		return printJSON(s, v)
	}
	s.printf("fingerprints %s\nmakers       %s\nrestrictions %s\n", v.Fingerprints, v.Makers, v.Restrictions)
	if v.Bundle != "" {
		s.printf("bundle       %s, signed by %s\n", v.Bundle, v.SignedBy)
	}
	for _, k := range v.Trusted {
		s.printf("trusted      %s\n", k)
	}
	return nil
}

func showData(store bundle.Store) (dataShown, error) {
	v := dataShown{Trusted: []bundle.PublicKey{}}
	keys, err := store.Trusted()
	if err != nil {
		return v, err
	}
	v.Trusted = append(v.Trusted, keys...)
	data, err := store.Data()
	if err != nil {
		return v, err
	}
	v.Fingerprints, v.Makers = data.Fingerprints.Version(), data.Makers.Version()
	b, err := store.Current()
	if err != nil {
		return v, err
	}
	catalogue, err := loadRestrictions(b, data)
	if err != nil {
		return v, err
	}
	v.Restrictions = catalogue.Version()
	if b != nil {
		v.Bundle, v.SignedBy = b.Version, b.Key
	}
	return v, nil
}

// loadRestrictions loads those of a bundle, or what this program carries.
func loadRestrictions(b *bundle.Bundle, data identify.Data) (*policy.Catalogue, error) {
	if b != nil {
		if section, ok := b.Section(bundle.Restrictions); ok {
			return policy.LoadFrom(section, policy.Graph(data.Makers))
		}
	}
	return policy.LoadWith(policy.Graph(data.Makers))
}

// DataTrustCmd is "watchward data trust".
type DataTrustCmd struct {
	Key  string `arg:"" help:"The public key: ed25519:… as \"data keygen\" prints it."`
	Name string `help:"Whose key it is, to know it by."`
	StoreFlag
}

// Run pins the key.
func (c *DataTrustCmd) Run(s *streams) error {
	k, err := bundle.ParseKey(c.Key)
	if err != nil {
		return err
	}
	store, err := c.store()
	if err != nil {
		return err
	}
	if err := store.Trust(k, c.Name); err != nil {
		return err
	}
	s.printf("bundles signed with %s are trusted\n", k)
	return nil
}

// DataKeygenCmd is "watchward data keygen".
type DataKeygenCmd struct {
	Out string `short:"o" required:"" placeholder:"FILE" help:"Where the secret half goes; it must not exist."`
}

// signingKeyHead begins a file with a signing key.
const signingKeyHead = "WATCHWARD-DATA-SIGNING-KEY "

// Run makes a key. Whoever has its file can replace what others conclude from.
func (c *DataKeygenCmd) Run(s *streams) error {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return fmt.Errorf("make signing key: %w", err)
	}
	f, err := os.OpenFile(c.Out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return withHint(fmt.Errorf("write signing key: %w", err), "give a name that is not taken")
	}
	_, err = io.WriteString(f, signingKeyHead+base64.StdEncoding.EncodeToString(key.Seed())+"\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write signing key: %w", err)
	}
	s.printf("%s\n", bundle.Public(key))
	s.notef("keep %q secret: whoever has it can change what others conclude\n", oneLine(c.Out))
	return nil
}

func readSigningKey(name string) (ed25519.PrivateKey, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read signing key: %w", err)
	}
	rest, ok := strings.CutPrefix(strings.TrimSpace(string(text)), strings.TrimSpace(signingKeyHead))
	seed, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest))
	if !ok || err != nil || len(seed) != ed25519.SeedSize {
		return nil, withHint(fmt.Errorf("read signing key %q: it is none", name), `"watchward data keygen -o FILE" makes one`)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// DataSignCmd is "watchward data sign".
type DataSignCmd struct {
	Dir     string `arg:"" placeholder:"FOLDER" help:"Folder with fingerprints, makers or restrictions."`
	Key     string `required:"" placeholder:"FILE" help:"Signing key, of data keygen."`
	Version string `required:"" placeholder:"DATE" help:"The bundle's version: 2026-12-01, or 2026-12-01.2."`
	Out     string `short:"o" required:"" placeholder:"FILE" help:"The zip file to write; it must not exist."`
}

// Run signs a folder, after it was tried as an operator will use it.
func (c *DataSignCmd) Run(s *streams) error {
	key, err := readSigningKey(c.Key)
	if err != nil {
		return err
	}
	files, err := bundle.Make(os.DirFS(c.Dir), c.Version, key)
	if err != nil {
		return withHint(err, "DIR holds fingerprints, makers or restrictions, each a folder of files; a version is a date such as 2026-12-01")
	}
	zipped, err := zipFiles(files)
	if err != nil {
		return err
	}
	dir, err := zip.NewReader(bytes.NewReader(zipped), int64(len(zipped)))
	if err != nil {
		return fmt.Errorf("read back bundle: %w", err)
	}
	b, err := bundle.Check(dir, []bundle.PublicKey{bundle.Public(key)})
	if err != nil {
		return err
	}
	if err := tryBundle(b); err != nil {
		return fmt.Errorf("try data bundle %q: %w", b.Version, err)
	}
	f, err := os.OpenFile(c.Out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return withHint(fmt.Errorf("write bundle: %w", err), "give a name that is not taken")
	}
	_, err = f.Write(zipped)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write bundle: %w", err)
	}
	s.printf("%s: version %s, %d files, signed with %s\n", c.Out, b.Version, len(b.Files), b.Key)
	return nil
}

// zipFiles packs files in order, without times, so that the same files make the
// same bytes.
func zipFiles(files map[string][]byte) ([]byte, error) {
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, name := range names {
		to, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate})
		if err != nil {
			return nil, fmt.Errorf("write bundle: %w", err)
		}
		if _, err := to.Write(files[name]); err != nil {
			return nil, fmt.Errorf("write bundle: %w", err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("write bundle: %w", err)
	}
	return out.Bytes(), nil
}

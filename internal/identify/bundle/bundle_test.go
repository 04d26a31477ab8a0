package bundle

import (
	"archive/zip"
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/identify/fingerprints"
	"github.com/watchward/watchward/internal/identify/imports"
)

// key is the same in every run: its seed is zeros.
func key() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)) }

func other() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
}

const prints = `[server]
look http.server
match ^Acme
grade A
family web
source a page
yes http-server Acme
no http-server Other
`

func source(version string) fstest.MapFS {
	return fstest.MapFS{
		"fingerprints/axis.txt":     {Data: []byte(prints)},
		"fingerprints/prefixes.csv": {Data: []byte("prefix,maker,owner,mixed\n00408C,axis,Axis,no\n")},
		"fingerprints/version.txt":  {Data: []byte(version + "\n")},
	}
}

// made is a signed bundle as a folder.
func made(t testing.TB, version string, k ed25519.PrivateKey) fstest.MapFS {
	t.Helper()
	files, err := Make(source(version[:len("2006-01-02")]), version, k)
	if err != nil {
		t.Fatal(err)
	}
	dir := fstest.MapFS{}
	for name, content := range files {
		dir[name] = &fstest.MapFile{Data: content}
	}
	return dir
}

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(dir fstest.MapFS)
		want   string
	}{
		{"as it was signed", func(fstest.MapFS) {}, ""},
		{"a changed file", func(d fstest.MapFS) {
			d["fingerprints/axis.txt"] = &fstest.MapFile{Data: []byte(prints + "#")}
		}, "SHA-256"},
		{"a changed manifest", func(d fstest.MapFS) {
			d[manifestFile] = &fstest.MapFile{Data: append(d[manifestFile].Data, '\n')}
		}, "signed by no key"},
		{"no signature", func(d fstest.MapFS) { delete(d, signatureFile) }, "manifest.sig"},
		{"a signature that is none", func(d fstest.MapFS) { d[signatureFile] = &fstest.MapFile{Data: []byte("x")} }, "want 64 bytes"},
		{"a file that is missing", func(d fstest.MapFS) { delete(d, "fingerprints/axis.txt") }, "axis.txt"},
		{"a file too many", func(d fstest.MapFS) { d["fingerprints/more.txt"] = &fstest.MapFile{Data: []byte("x")} }, "not in the manifest"},
		{"a link", func(d fstest.MapFS) {
			d["fingerprints/axis.txt"] = &fstest.MapFile{Data: []byte("/etc/passwd"), Mode: fs.ModeSymlink}
		}, "axis.txt"},
		{"a file of 5 MiB", func(d fstest.MapFS) {
			d["fingerprints/axis.txt"] = &fstest.MapFile{Data: make([]byte, 5<<20)}
		}, "more than 4 MiB"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := maps.Clone(made(t, "2026-12-01", key()))
			tt.change(dir)
			b, err := Check(dir, []PublicKey{Public(other()), Public(key())})
			if tt.want == "" && (err != nil || b.Version != "2026-12-01" || b.Key != Public(key())) {
				t.Errorf("Check = %+v, %v", b, err)
			}
			if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("Check says %v, want %q", err, tt.want)
			}
		})
	}
}

func TestCheckWantsATrustedKey(t *testing.T) {
	for _, keys := range [][]PublicKey{nil, {Public(other())}, {"ed25519:AAAA"}} {
		if _, err := Check(made(t, "2026-12-01", key()), keys); !errors.Is(err, ErrUntrusted) {
			t.Errorf("with the keys %q: %v, want ErrUntrusted", keys, err)
		}
	}
}

// TestManifestRules signs what no honest program would.
func TestManifestRules(t *testing.T) {
	for _, tt := range []struct {
		name string
		m    Manifest
		want string
	}{
		{"a path that leaves the folder", Manifest{format, "2026-12-01", map[string]string{"fingerprints/../../x": "0"}}, "want a plain name"},
		{"an absolute path", Manifest{format, "2026-12-01", map[string]string{"/etc/passwd": "0"}}, "want a plain name"},
		{"a backslash", Manifest{format, "2026-12-01", map[string]string{`fingerprints\x`: "0"}}, "want a plain name"},
		{"a hidden file", Manifest{format, "2026-12-01", map[string]string{"fingerprints/.x": "0"}}, "want a plain name"},
		{"a section that nobody knows", Manifest{format, "2026-12-01", map[string]string{"programs/x": "0"}}, "want a plain name"},
		{"another format", Manifest{"watchward-data 2", "2026-12-01", map[string]string{"makers/x": "0"}}, "format"},
		{"a version that is a path", Manifest{format, "../..", map[string]string{"makers/x": "0"}}, "version"},
		{"nothing in it", Manifest{format, "2026-12-01", nil}, "0 files"},
	} {
		raw, err := json.Marshal(tt.m)
		if err != nil {
			t.Fatal(err)
		}
		if err := tt.m.check(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %s is checked with %v, want %q", tt.name, raw, err, tt.want)
		}
	}
}

// TestZipBomb checks a zip file whose one file grows to 100 MiB.
func TestZipBomb(t *testing.T) {
	good := made(t, "2026-12-01", key())
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for name, f := range good {
		content := f.Data
		if name == "fingerprints/axis.txt" {
			content = make([]byte, 100<<20)
		}
		to, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := to.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := zip.NewReader(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Check(r, []PublicKey{Public(key())}); err == nil || !strings.Contains(err.Error(), "more than 4 MiB") {
		t.Errorf("Check says %v", err)
	}
}

func install(t *testing.T, s Store, version string, older bool) error {
	t.Helper()
	b, err := Check(made(t, version, key()), []PublicKey{Public(key())})
	if err != nil {
		t.Fatal(err)
	}
	return s.Install(b, older)
}

func TestStore(t *testing.T) {
	s := OpenStore(filepath.Join(t.TempDir(), "knowledge"))
	if b, err := s.Current(); b != nil || err != nil {
		t.Fatalf("an empty store has %v, %v", b, err)
	}
	if data, err := s.Data(); err != nil || len(data.Fingerprints.All()) < 100 {
		t.Fatalf("an empty store gives %v, %v: want what this program carries", data, err)
	}
	for range 2 {
		if err := s.Trust(Public(key()), "a\nfriend"); err != nil {
			t.Fatal(err)
		}
	}
	if keys, err := s.Trusted(); err != nil || len(keys) != 1 {
		t.Fatalf("trusts %q, %v", keys, err)
	}
	if err := install(t, s, "2026-12-01.2", false); err != nil {
		t.Fatal(err)
	}
	if err := install(t, s, "2026-12-01.2", false); err != nil {
		t.Errorf("the same again: %v", err)
	}
	if err := install(t, s, "2026-12-01", false); !errors.Is(err, ErrOlder) {
		t.Errorf("an older one: %v, want ErrOlder", err)
	}
	if err := install(t, s, "2026-12-01.10", false); err != nil {
		t.Errorf("the tenth of a day is newer than the second: %v", err)
	}
	if err := install(t, s, "2026-12-01", true); err != nil {
		t.Errorf("an older one by leave: %v", err)
	}
	if b, err := s.Current(); err != nil || b.Version != "2026-12-01" {
		t.Errorf("in use is %v, %v", b, err)
	}
	e, err := s.Engine()
	if err != nil {
		t.Fatal(err)
	}
	got := e.From([]estate.Evidence{{ID: "1", Kind: "http-server", Value: "Acme 1.0"}}, time.Time{})
	if got.MakerName != "Axis" || got.Confidence != estate.Identified || !strings.Contains(got.Data, "2026-12-01") {
		t.Errorf("by the bundle's fingerprint: %+v", got)
	}
}

func TestStoreRefusesWhatWasChangedInPlace(t *testing.T) {
	s := OpenStore(t.TempDir())
	if err := s.Trust(Public(key()), ""); err != nil {
		t.Fatal(err)
	}
	if err := install(t, s, "2026-12-01", false); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.path("bundles", "2026-12-01", "fingerprints", "axis.txt"), []byte("[x]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Engine(); err == nil || !strings.Contains(err.Error(), "SHA-256") {
		t.Errorf("Engine says %v", err)
	}
	if err := install(t, s, "2026-12-01", false); err != nil {
		t.Errorf("importing it again mends it: %v", err)
	}
	if _, err := s.Engine(); err != nil {
		t.Error(err)
	}
}

func TestStoreKeepsImports(t *testing.T) {
	s := OpenStore(t.TempDir())
	data, err := s.Data()
	if err != nil {
		t.Fatal(err)
	}
	r, err := imports.Read("oui.txt", []byte("AA-BB-CC   (hex)\t\tAxis Communications AB\nAABBCC     (base 16)\n"), data.Fingerprints, data.Makers)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Keep(r, "oui.txt"); err != nil {
		t.Fatal(err)
	}
	again, err := s.Data()
	if err != nil {
		t.Fatal(err)
	}
	if p, ok := again.Fingerprints.Prefix("AABBCC001122"); !ok || p.Maker != "axis" {
		t.Errorf("Prefix = %+v, %t", p, ok)
	}
	if !strings.Contains(again.Fingerprints.Version(), "imported") {
		t.Errorf("version %q does not say that something was imported", again.Fingerprints.Version())
	}
}

func TestSectionIsAFolder(t *testing.T) {
	b, err := Check(made(t, "2026-12-01", key()), []PublicKey{Public(key())})
	if err != nil {
		t.Fatal(err)
	}
	section, ok := b.Section(Fingerprints)
	if !ok {
		t.Fatal("no fingerprints")
	}
	if err := fstest.TestFS(section, "axis.txt", "prefixes.csv", "version.txt"); err != nil {
		t.Error(err)
	}
	if _, ok := b.Section(Makers); ok {
		t.Error("makers came from nowhere")
	}
	if _, err := fingerprints.LoadFS(section); err != nil {
		t.Error(err)
	}
}

// FuzzCheck reads manifests that anybody may have written, signed by nobody and
// by somebody.
func FuzzCheck(f *testing.F) {
	for name, file := range made(f, "2026-12-01", key()) {
		f.Add(name, file.Data)
	}
	f.Add(manifestFile, []byte(`{"format":"watchward-data 1","version":"2026-12-01","files":{"../x":"0"}}`))
	f.Fuzz(func(t *testing.T, name string, content []byte) {
		if !fs.ValidPath(name) || name == "." {
			t.Skip()
		}
		good := made(t, "2026-12-01", key())
		dir := maps.Clone(good)
		dir[name] = &fstest.MapFile{Data: content}
		b, err := Check(dir, []PublicKey{Public(key())})
		if err == nil && (good[name] == nil || !bytes.Equal(good[name].Data, content)) && name != signatureFile {
			t.Fatalf("%q was changed, and the bundle is in order: %+v", name, b.Manifest)
		}
	})
}

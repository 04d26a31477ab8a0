package parts

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"filippo.io/age"
)

// bundle runs the build of the scripts, or skips where the machine lacks what
// only those who change them need.
func bundle(t *testing.T, args ...string) {
	t.Helper()
	if _, err := os.Stat("../node_modules/age-encryption"); err != nil {
		t.Skip("no node_modules: run npm ci in internal/web")
	}
	tools := filepath.Join("..", "..", "..", "tools")
	cmd := exec.Command("go", append([]string{"run", "./bundle"}, args...)...)
	cmd.Dir = tools
	// A module that is not there already is a reason to skip, not to fetch.
	cmd.Env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=-mod=readonly")
	if out, err := cmd.CombinedOutput(); err != nil {
		if bytes.Contains(out, []byte("module lookup disabled")) {
			t.Skip("esbuild is not in the module cache: run go mod download in tools")
		}
		t.Fatalf("bundle: %v\n%s", err, out)
	}
}

// TestBundleIsBuiltFromSource keeps the committed files what the sources make.
func TestBundleIsBuiltFromSource(t *testing.T) {
	dir := t.TempDir()
	bundle(t, "-out", dir)
	for _, name := range []string{"app.js", "worker.js", "licences.txt"} {
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join("..", "assets", "dist", name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("assets/dist/%s is not what the sources make (%v): run go generate ./internal/web/parts", name, err)
		}
	}
}

// TestScripts runs parts/*.test.ts in Node, with files that age sealed in Go.
func TestScripts(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed")
	}
	dir := t.TempDir()
	bundle(t, "-tests", dir)
	fixtures := filepath.Join(dir, "fixtures")
	sealFixtures(t, fixtures)
	names, err := filepath.Glob(filepath.Join(dir, "*.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(node, append([]string{"--test"}, names...)...)
	cmd.Env = append(os.Environ(), "AGE_FIXTURES="+fixtures)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("node --test: %v\n%s", err, out)
	}
}

// TestTypes checks the types, where the compiler is installed.
func TestTypes(t *testing.T) {
	tsc := filepath.Join("..", "node_modules", ".bin", "tsc")
	if _, err := os.Stat(tsc); err != nil {
		t.Skip("no TypeScript: run npm ci in internal/web")
	}
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not installed")
	}
	if out, err := exec.Command(tsc, "--noEmit", "-p", filepath.Join("..", "tsconfig.json")).CombinedOutput(); err != nil {
		t.Errorf("tsc: %v\n%s", err, out)
	}
}

// sealFixtures writes sealed files of sizes around the borders of chunks, and
// one as a crash leaves it.
func sealFixtures(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	day := identity(t)
	index := map[string]any{"identity": day.String()}
	var files []map[string]any
	add := func(name string, plain int, torn bool) {
		b := make([]byte, plain)
		for i := range b {
			b[i] = byte(i*7 + i>>8*13)
		}
		sealed := seal(t, b, age.Recipient(day.Recipient()))
		if torn {
			header := headerSize(sealed)
			sealed = sealed[:header+(len(sealed)-header)/chunk*chunk]
			plain = plain / (64 << 10) * (64 << 10)
		}
		if err := os.WriteFile(filepath.Join(dir, name), sealed, 0o644); err != nil {
			t.Fatal(err)
		}
		files = append(files, map[string]any{"name": name, "plain": plain, "whole": !torn})
	}
	add("small", 1000, false)
	add("one-chunk", 64<<10, false)
	add("a-byte-more", 64<<10+1, false)
	add("big", 700_001, false)
	add("torn", 700_001, true)
	index["files"] = files
	b, err := json.Marshal(index)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "index.json"), b, 0o644); err != nil {
		t.Fatal(err)
	}
}

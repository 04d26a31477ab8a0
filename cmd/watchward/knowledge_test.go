package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestOwnDataAsBundle signs all that this program carries, as somebody who wants
// to change it would begin, and uses it from a data folder.
func TestOwnDataAsBundle(t *testing.T) {
	src, data := t.TempDir(), t.TempDir()
	for section, from := range map[string]string{
		"fingerprints": "../../internal/identify/fingerprints/data",
		"makers":       "../../internal/identify/makers/data",
		"restrictions": "../../internal/policy/restrictions",
	} {
		if err := os.CopyFS(filepath.Join(src, section), os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(src, "fingerprints", "version.txt"), []byte("2031-01-01\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		if code := execute(t.Context(), args, &streams{In: strings.NewReader(""), Out: &out, Err: &errs}); code != 0 {
			t.Fatalf("%q ends with %d: %s", args, code, errs.String())
		}
		return out.String()
	}
	key, zipped := filepath.Join(src, "..", filepath.Base(src)+".key"), filepath.Join(data, "bundle.zip")
	public := strings.TrimSpace(run("data", "keygen", "-o", key))
	defer os.Remove(key)
	run("data", "sign", src, "--key", key, "--version", "2031-01-01", "-o", zipped)
	run("data", "trust", public, "--data", data)
	run("data", "import", zipped, "--data", data)
	for _, section := range []string{"fingerprints", "makers", "restrictions"} {
		if err := os.RemoveAll(filepath.Join(src, section)); err != nil {
			t.Fatal(err)
		}
	}
	if got := run("data", "show", "--data", data); !strings.Contains(got, "fingerprints 2031-01-01") || !strings.Contains(got, "bundle       2031-01-01") {
		t.Errorf("data show says %q", got)
	}
	if got, want := run("rules", "list", "--data", data), run("rules", "list"); got != want {
		t.Errorf("rules list --data says\n%s\nwant\n%s", got, want)
	}
	if got, want := run("makers", "list", "--data", data), run("makers", "list"); got != want {
		t.Error("makers list --data says something else than without it")
	}
}

// TestIdentifyReadsNoMoreThanItMust feeds an answer without end.
func TestIdentifyReadsNoMoreThanItMust(t *testing.T) {
	done := make(chan int, 1)
	go func() {
		done <- execute(t.Context(), []string{"identify", "--kind", "http-title"}, &streams{In: endless{}, Out: io.Discard, Err: io.Discard})
	}()
	select {
	case code := <-done:
		if code != 0 {
			t.Errorf("ends with %d", code)
		}
	case <-time.After(time.Minute):
		t.Fatal("still reading")
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

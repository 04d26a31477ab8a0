package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/db"
)

// demoProcess is "watchward demo" as a user runs it: other processes, real
// sockets, a data folder and an identity file.
type demoProcess struct {
	cmd      *exec.Cmd
	dir      string // data folder
	identity string // file
	url      string // the address it prints, with the key
	said     bytes.Buffer
	done     chan struct{} // closed when it ended; err then holds why
	err      error
}

// startDemo runs the demo until the test ends.
func startDemo(t testing.TB, args ...string) *demoProcess {
	t.Helper()
	root := t.TempDir()
	d := &demoProcess{dir: filepath.Join(root, "data"), identity: filepath.Join(root, "identity"), done: make(chan struct{})}
	d.start(t, args...)
	t.Cleanup(func() { d.stop(t) })
	return d
}

// start runs the program on the data folder, for the first time or again.
func (d *demoProcess) start(t testing.TB, args ...string) {
	t.Helper()
	base := []string{"demo", "--listen", "127.0.0.1:0", "--data", d.dir, "--identity-out", d.identity}
	d.cmd = exec.Command("watchward", append(base, args...)...)
	d.said.Reset()
	d.cmd.Stderr = &d.said
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d.done = make(chan struct{})
	address := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if url, ok := strings.CutPrefix(lines.Text(), "ready "); ok {
				address <- url
			}
		}
		_, _ = io.Copy(io.Discard, out)
		d.err = d.cmd.Wait()
		close(d.done)
	}()
	select {
	case d.url = <-address:
	case <-d.done:
		t.Fatalf("demo ended at once: %v\n%s", d.err, &d.said)
	case <-time.After(30 * time.Second):
		t.Fatalf("demo said no address\n%s", &d.said)
	}
}

// stop ends the demo in good order, if it still runs.
func (d *demoProcess) stop(t testing.TB) {
	t.Helper()
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.done:
	case <-time.After(30 * time.Second):
		_ = d.cmd.Process.Kill()
		<-d.done
		t.Errorf("demo did not stop\n%s", &d.said)
	}
}

// child is the recorder's process.
func (d *demoProcess) child(t testing.TB) int {
	t.Helper()
	lists, _ := filepath.Glob(filepath.Join("/proc", itoa(d.cmd.Process.Pid), "task", "*", "children"))
	if len(lists) == 0 {
		t.Skip("this system does not list a process's children")
	}
	var pid int
	for _, list := range lists { // the child belongs to the thread that started it
		b, err := os.ReadFile(list)
		if err != nil {
			continue // the thread is gone
		}
		for _, f := range strings.Fields(string(b)) {
			pid = atoi(f)
		}
	}
	if pid == 0 {
		t.Fatal("the demo has no recorder process")
	}
	return pid
}

// check is "watchward archive check" and "watchward verify" on the stopped
// archive: index and ledger agree with what lies there.
func (d *demoProcess) check(t testing.TB) {
	t.Helper()
	for _, args := range [][]string{{"archive", "check", "--hash", "--data", d.dir}, {"verify", "--data", d.dir}} {
		out, err := exec.Command("watchward", args...).CombinedOutput()
		if err != nil {
			t.Errorf("%q: %v\n%s", args, err, out)
		}
	}
}

// open reads the archive's index after the recorder has stopped.
func (d *demoProcess) open(t testing.TB) *archive.Archive {
	t.Helper()
	database, err := db.Open(t.Context(), filepath.Join(d.dir, "watchward.db"))
	if err != nil {
		t.Fatal(err)
	}
	a, err := archive.Open(t.Context(), archive.Options{Root: filepath.Join(d.dir, "archive"), DB: database, Keys: filepath.Join(d.dir, "keys")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = a.Close()
		_ = database.Close()
	})
	return a
}

// everything is a span that holds all of a test.
func everything(t testing.TB, a *archive.Archive, id archive.StreamID) archive.Timeline {
	t.Helper()
	tl, err := a.Timeline(context.Background(), id, time.Unix(0, 0), time.Now().Add(24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return tl
}

var secretKey = regexp.MustCompile(`AGE-SECRET-KEY-[A-Z0-9-]+`)

func TestDemoKeepsItsPromises(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a town for ten seconds")
	}
	d := startDemo(t, "--cameras", "9", "--for", "9s")
	if !strings.Contains(d.url, "#key=AGE-SECRET-KEY-PQ-1") {
		t.Errorf("address %q carries no key for the browser", secretKey.ReplaceAllString(d.url, "…"))
	}
	secret := secretKey.FindString(d.url)
	pid := d.child(t)
	for _, f := range []string{"cmdline", "environ"} {
		b, err := os.ReadFile(filepath.Join("/proc", itoa(pid), f))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte(secret)) {
			t.Errorf("the recorder's %s holds the identity", f)
		}
	}
	if found := searchMemory(t, pid, secret); found {
		t.Error("the recorder's memory holds the identity")
	}
	<-d.done
	if d.err != nil {
		t.Errorf("demo ended: %v\n%s", d.err, &d.said)
	}
	d.check(t)
	segments, _ := filepath.Glob(filepath.Join(d.dir, "archive", "*", "*", "*", "*.mp4.age"))
	if len(segments) < 9 {
		t.Errorf("%d segments, want one for each of 9 cameras at least", len(segments))
	}
	for _, s := range segments {
		b, err := os.ReadFile(s)
		if err != nil {
			t.Fatal(err)
		}
		for _, mark := range []string{"ftyp", "moof", "avcC"} {
			if bytes.Contains(b, []byte(mark)) {
				t.Errorf("%q is readable in %s", mark, filepath.Base(s))
			}
		}
	}
	out, err := exec.Command("watchward", "unseal", "-i", d.identity, "-o", filepath.Join(t.TempDir(), "clip.mp4"), segments[0]).CombinedOutput()
	if err != nil {
		t.Errorf("unseal: %v\n%s", err, out)
	}
}

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/watchward/watchward/internal/seal"
	"github.com/watchward/watchward/internal/simulate"
)

// mostLostPower is what a power cut may cost a stream: one round of syncfs and
// what a kill costs.
const mostLostPower = 2500 * time.Millisecond

// TestPowerCut stops the file system under a recorder as a power cut does:
// what was not on the device is gone (EXT4_IOC_SHUTDOWN without a flush of the
// log, as xfstests does it). It needs root and loop devices, and runs where
// WATCHWARD_FAULT_ROUNDS is set.
func TestPowerCut(t *testing.T) {
	rounds, err := strconv.Atoi(os.Getenv("WATCHWARD_FAULT_ROUNDS"))
	if err != nil {
		t.Skip("WATCHWARD_FAULT_ROUNDS is not set")
	}
	if os.Getuid() != 0 {
		t.Skip("mounting needs root")
	}
	dir := t.TempDir()
	img, mnt := filepath.Join(dir, "img"), filepath.Join(dir, "mnt")
	for _, c := range [][]string{{"mkdir", mnt}, {"truncate", "-s", "8G", img}, {"mkfs.ext4", "-q", "-F", img}, {"mount", "-o", "loop", img, mnt}} {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			t.Skipf("%v: %v: %s", c, err, out)
		}
	}
	t.Cleanup(func() { _ = exec.Command("umount", mnt).Run() })
	r := newRig(t, simulate.Options{Cameras: 4})
	id, err := seal.GenerateIdentity(seal.Hybrid)
	if err != nil {
		t.Fatal(err)
	}
	r.seed.Recipient, r.cfg.Data = id.Recipient(), filepath.Join(mnt, "data")
	d := demoProcess{dir: r.cfg.Data}
	seen := map[string]bool{}
	var worst time.Duration
	for round := range min(rounds, 20) {
		p := startKillable(t, r)
		time.Sleep(7*time.Second + time.Duration(round%5)*450*time.Millisecond)
		cut := time.Now()
		shutDown(t, mnt)
		_ = p.cmd.Process.Kill()
		<-p.exited
		remount(t, img, mnt)
		p = startKillable(t, r)
		for _, name := range tornSegments(t, d.dir) {
			if seen[name] {
				continue
			}
			seen[name] = true
			lost := cut.Sub(tornEnd(t, name, id))
			worst = max(worst, lost)
			if lost > mostLostPower {
				t.Errorf("round %d: %s lost by a power cut in %s, want at most %s", round, lost, filepath.Base(name), mostLostPower)
			}
		}
		_ = p.stdin.Close()
		if err := <-p.exited; err != nil {
			t.Errorf("round %d: recorder ended: %v", round, err)
		}
		d.check(t)
	}
	if len(seen) == 0 {
		t.Error("no segment was cut short")
	}
	t.Logf("%d segments cut short, at most %s lost", len(seen), worst)
}

func shutDown(t *testing.T, mnt string) {
	t.Helper()
	f, err := os.Open(mnt)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const ext4Shutdown, noLogFlush = 0x8004587d, 2
	if err := unix.IoctlSetPointerInt(int(f.Fd()), ext4Shutdown, noLogFlush); err != nil {
		t.Skipf("this file system cannot be cut off: %v", err)
	}
}

func remount(t *testing.T, img, mnt string) {
	t.Helper()
	var out []byte
	var err error
	for range 100 { // the last references take a moment to go
		if out, err = exec.Command("umount", mnt).CombinedOutput(); err == nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if err != nil {
		t.Fatalf("umount: %v: %s", err, out)
	}
	if out, err := exec.Command("mount", "-o", "loop", img, mnt).CombinedOutput(); err != nil {
		t.Fatalf("mount: %v: %s", err, out)
	}
}

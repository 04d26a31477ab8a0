package main

import (
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/media/fmp4"
	"github.com/watchward/watchward/internal/seal"
	"github.com/watchward/watchward/internal/simulate"
)

// mostLost is what a kill may cost a stream.
const mostLost = 500 * time.Millisecond

// TestKill kills a recorder at random moments, again and again, and opens what
// it leaves. WATCHWARD_FAULT_ROUNDS says how often, as "make fault" does: its
// bound holds of a disk that nobody else keeps busy.
func TestKill(t *testing.T) {
	rounds, err := strconv.Atoi(os.Getenv("WATCHWARD_FAULT_ROUNDS"))
	if err != nil {
		t.Skip("WATCHWARD_FAULT_ROUNDS is not set")
	}
	r := newRig(t, simulate.Options{Cameras: 4})
	id, err := seal.GenerateIdentity(seal.Hybrid)
	if err != nil {
		t.Fatal(err)
	}
	r.seed.Recipient = id.Recipient()
	d := demoProcess{dir: r.cfg.Data}
	seen := map[string]bool{}
	var worst time.Duration
	torn := 0
	for round := range rounds {
		_ = exec.Command("sync").Run() // what others wrote before would stall the disk
		p := startKillable(t, r)
		time.Sleep(2500*time.Millisecond + rand.N(3*time.Second))
		killed := time.Now()
		if err := p.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-p.exited
		restart := startKillable(t, r) // recovers what the other left
		for _, name := range tornSegments(t, d.dir) {
			if seen[name] {
				continue
			}
			seen[name] = true
			torn++
			lost := killed.Sub(tornEnd(t, name, id))
			worst = max(worst, lost)
			if lost > mostLost {
				t.Errorf("round %d: %s lost by a kill in %s, want at most %s", round, lost, filepath.Base(name), mostLost)
			}
		}
		_ = restart.stdin.Close()
		if err := <-restart.exited; err != nil {
			t.Errorf("round %d: recorder ended: %v", round, err)
		}
		d.check(t)
	}
	if torn < rounds {
		t.Errorf("%d torn segments in %d rounds, want one each at least", torn, rounds)
	}
	t.Logf("%d rounds, %d segments cut short, at most %s lost", rounds, torn, worst)
}

// startKillable runs the recorder as the demo does.
func startKillable(t *testing.T, r *rig) *recorderProcess {
	t.Helper()
	p, _, err := startRecorder("127.0.0.1:0", r.cfg.Data, r.seed)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	return p
}

func tornSegments(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "archive", "*", "*", "*", "*.torn.mp4.age"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// tornEnd opens a segment as "watchward unseal --salvage" does and returns up to
// when it shows pictures.
func tornEnd(t *testing.T, name string, id seal.Identity) time.Time {
	t.Helper()
	o, err := openSegment(name, "", id, true)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	r, err := fmp4.NewReader(o.at, o.size)
	if err != nil {
		t.Fatal(err)
	}
	var reached time.Duration
	for {
		p, err := r.Next()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range p.Samples {
			if s.Track == 1 {
				rate := int64(r.Formats()[0].ClockRate)
				reached = max(reached, time.Duration((s.DTS+int64(s.Duration))*int64(time.Second)/rate))
			}
		}
	}
	root := filepath.Join(filepath.Dir(name), "..", "..", "..")
	rel, err := filepath.Rel(root, name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := archive.ParseName(filepath.ToSlash(rel))
	if err != nil {
		t.Fatal(err)
	}
	return s.Start.Add(reached)
}

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a child that answers in lines of JSON and ends when its standard
// input does.
type process struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
	stdin interface{ Close() error }
	ended bool
}

func start(ctx context.Context, name string, args ...string) (*process, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &process{cmd: cmd, lines: bufio.NewScanner(out), stdin: in}, nil
}

// answer reads the next line.
func (p *process) answer(v any) error {
	if !p.lines.Scan() {
		return fmt.Errorf("ended without an answer: %w", p.wait())
	}
	return json.Unmarshal(p.lines.Bytes(), v)
}

func (p *process) wait() error {
	p.ended = true
	return p.cmd.Wait()
}

// stop ends the child and waits for it.
func (p *process) stop() {
	if p.ended {
		return
	}
	_ = p.stdin.Close()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	_ = p.wait()
}

// usage is what a process has used so far.
type usage struct {
	CPU   time.Duration // user and system
	Wakes int64         // voluntary context switches of all its threads
	RSS   int64         // bytes
}

// usageOf reads /proc. A process that is gone counts as nothing.
func usageOf(pid int) (u usage) {
	base := filepath.Join("/proc", strconv.Itoa(pid))
	if b, err := os.ReadFile(filepath.Join(base, "stat")); err == nil {
		f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		user, _ := strconv.ParseInt(f[11], 10, 64)
		system, _ := strconv.ParseInt(f[12], 10, 64)
		u.CPU = time.Duration(user+system) * (time.Second / 100) // USER_HZ is 100 on every Linux that Go runs on
	}
	u.RSS = statusField(filepath.Join(base, "status"), "VmRSS:") * 1024
	tasks, _ := filepath.Glob(filepath.Join(base, "task", "*", "status"))
	for _, t := range tasks {
		u.Wakes += statusField(t, "voluntary_ctxt_switches:")
	}
	return u
}

func statusField(path, name string) int64 {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return n
		}
	}
	return 0
}

// machine says on what the numbers were made.
func machine() string {
	cpu := "unknown processor"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if rest, ok := strings.CutPrefix(line, "model name"); ok {
				cpu = strings.TrimSpace(strings.TrimLeft(rest, "\t :"))
				break
			}
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	load, _ := os.ReadFile("/proc/loadavg")
	return fmt.Sprintf("# %s, %d cores, Linux %s, %s, load before %s", cpu, runtime.NumCPU(), strings.TrimSpace(string(kernel)),
		runtime.Version(), strings.Join(strings.Fields(string(load))[:3], " "))
}

// result is one line of the table.
type result struct {
	Label   string
	N       int
	Seconds float64 // of the window
	CPU     float64 // CPU seconds in it
	Bytes   int64   // of media written in it
	RSS     int64   // at its end
	Peak    int64   // at most
	Wakes   int64
	Dropped uint64 // pictures that the recorder itself says it discarded
	Gaps    int

	recorded, lost, unsent int64
	counted                bool
}

const header = "recorder\tN\tcpu_s/cam-min\tcpu_s/GB\tMbit/s/cam\tRSS_MB\tRSS_MB/cam\tpeak_MB\twakes/s\twakes/s/cam\trecorded\tlost\tgaps"

func (r result) String() string {
	gb := float64(r.Bytes) / 1e9
	lost, recorded := "-", "-"
	if r.counted {
		lost, recorded = strconv.FormatInt(r.lost, 10), strconv.FormatInt(r.recorded, 10)
	}
	n := float64(r.N)
	return fmt.Sprintf("%s\t%d\t%.4f\t%.2f\t%.2f\t%.1f\t%.2f\t%.1f\t%.0f\t%.1f\t%s\t%s\t%d", r.Label, r.N,
		r.CPU*60/r.Seconds/n, r.CPU/gb, float64(r.Bytes)*8e-6/r.Seconds/n, float64(r.RSS)/1e6, float64(r.RSS)/1e6/n,
		float64(r.Peak)/1e6, float64(r.Wakes)/r.Seconds, float64(r.Wakes)/r.Seconds/n, recorded, lost, r.Gaps)
}

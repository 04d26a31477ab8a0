// Command play measures how long a person waits for a recorded picture: from a
// click on the timeline to the first decrypted frame on the screen, in headless
// Chromium, on the real server with an hour of sealed 1080p footage that ended ten
// minutes ago and another of 30 days ago. It also measures the timeline of a
// camera with 30 days of one-minute segments.
//
//	go run ./bench/play             an hour each, 50 clicks each
//	go run ./bench/play -short      ten minutes each, 15 clicks each
//
// It needs Chromium, and ffmpeg to make the footage once. The footage is muxed,
// sealed and committed by the rooms that do so for a camera. Afterwards it compares with
// the bar; the exit code is 1 when a click was never answered, and only then,
// because how fast a frame comes depends on what else the machine does.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// barSeek is what 95 of 100 clicks may take.
const barSeek = 300 * time.Millisecond

// The bars of a timeline of 43,200 segments.
const (
	barTimeline = 20 * time.Millisecond
	barPage     = 100_000 // bytes, before compression
)

type config struct {
	short bool
	seeks int
	out   string
	keep  bool
	seed  uint64
}

func main() {
	var c config
	flag.BoolVar(&c.short, "short", false, "ten minutes of footage and 15 clicks instead of an hour and 50")
	flag.IntVar(&c.seeks, "seeks", 0, "clicks for each age; 0 means 50, or 15 with -short")
	flag.StringVar(&c.out, "out", "bench-out", "folder for the sample, the program and the archive")
	flag.BoolVar(&c.keep, "keep", false, "keep the archive")
	flag.Uint64Var(&c.seed, "seed", 1, "chooses the places to click at")
	flag.Parse()
	if c.seeks == 0 {
		c.seeks = 50
		if c.short {
			c.seeks = 15
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := bench(ctx, c); err != nil {
		fmt.Fprintln(os.Stderr, "bench-play:", err)
		stop()
		os.Exit(1)
	}
}

func bench(ctx context.Context, c config) (err error) {
	if err := os.MkdirAll(c.out, 0o755); err != nil {
		return err
	}
	clip, err := makeClip(ctx, c.out)
	if err != nil {
		return err
	}
	dir := filepath.Join(c.out, "play")
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if !c.keep {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	length := time.Hour
	if c.short {
		length = 10 * time.Minute
	}
	now := time.Now().UTC().Truncate(time.Minute)
	spans := []span{
		{"30 days", now.AddDate(0, 0, -30).Add(-length), length},
		{"10 minutes", now.Add(-10 * time.Minute).Add(-length), length},
	}
	began := time.Now()
	h, err := furnish(ctx, dir, clip, spans)
	if err != nil {
		return fmt.Errorf("make the archive: %w", err)
	}
	fmt.Fprintf(os.Stderr, "%d segments sealed and %d named in %.0f s\n", h.segments, month, time.Since(began).Seconds())
	server, err := serve(ctx, c.out, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	page, leave, err := openBrowser(ctx)
	if err != nil {
		return err
	}
	defer leave()
	fmt.Println(machine())
	return measure(page, c, server.url, h, spans)
}

// measure prints both tables.
func measure(p page, c config, url string, h *house, spans []span) error {
	if err := p.login(url, h); err != nil {
		return err
	}
	if err := p.open(url, h); err != nil {
		return err
	}
	fmt.Println("footage\tclicks\tp50_ms\tp95_ms\tmax_ms\tbar_p95_ms\tverdict")
	for i := len(spans) - 1; i >= 0; i-- { // the newest first, as people do
		took, err := p.seeks(spans[i], c)
		if err != nil {
			return fmt.Errorf("footage of %s ago: %w", spans[i].age, err)
		}
		slices.Sort(took)
		p95 := took[(len(took)*95+99)/100-1]
		fmt.Printf("%s old\t%d\t%.0f\t%.0f\t%.0f\t%d\t%s\n", spans[i].age, len(took), took[len(took)/2], p95, took[len(took)-1],
			barSeek.Milliseconds(), verdict(p95 < float64(barSeek.Milliseconds())))
	}
	t, err := p.timeline(h)
	if err != nil {
		return err
	}
	fmt.Println("timeline\tsegments\tquery_p50_ms\tquery_max_ms\tbytes\tbytes_sent\tverdict")
	fmt.Printf("30 days\t%d\t%.1f\t%.1f\t%d\t%d\t%s\n", month, t.P50, t.Max, t.Bytes, t.Sent,
		verdict(t.P50 < float64(barTimeline.Milliseconds()) && t.Bytes < barPage))
	return nil
}

func verdict(ok bool) string {
	if ok {
		return "under the bar"
	}
	return "OVER THE BAR"
}

// machine says on what the numbers were made.
func machine() string {
	cpu := runtime.GOARCH
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if rest, ok := strings.CutPrefix(line, "model name"); ok {
				cpu = strings.TrimSpace(strings.TrimLeft(rest, "\t :"))
				break
			}
		}
	}
	said := fmt.Sprintf("# %s, %d cores, %s, %s", cpu, runtime.NumCPU(), runtime.GOOS, runtime.Version())
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		said += ", load before " + strings.Join(strings.Fields(string(load))[:3], " ")
	}
	return said
}

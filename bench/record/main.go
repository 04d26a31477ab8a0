// Command record measures what recording costs: N cameras (1080p, 25 pictures a
// second, about 4 Mbit/s, RTSP over TCP on loopback), received, muxed, sealed,
// hashed and written to disk as "watchward run" does it, beside one ffmpeg a camera
// and any recorder named by PEER, on the same source.
//
//	go run ./bench/record                     N = 10, 50, 100, 200, a minute each
//	go run ./bench/record -n 50 -window 10s   short
//	go run ./bench/record -stall 5s -n 50     the disk takes nothing for five seconds
//	PEER=/path/to/mediamtx go run ./bench/record
//
// It needs ffmpeg, to make the sample once and as a peer. The source is a process
// of its own and is not counted. Afterwards every segment is opened with the reader's
// identity and every picture counted: recorded must be all from the first to the last.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// config is everything the flags say. Child processes get the same flags.
type config struct {
	role    string
	counts  string
	window  time.Duration
	warm    time.Duration
	out     string
	readers int
	kind    string
	stall   time.Duration
	peers   bool
	verify  bool
	keep    bool
	profile string
	address string
	dir     string
	control string
	log     bool
}

func main() {
	var c config
	flag.StringVar(&c.role, "role", "", "internal: source or recorder")
	flag.StringVar(&c.counts, "n", "10,50,100,200", "numbers of cameras")
	flag.DurationVar(&c.window, "window", time.Minute, "how long to measure")
	flag.DurationVar(&c.warm, "warm", 15*time.Second, "how long to wait before")
	flag.StringVar(&c.out, "out", "bench-out", "folder for the sample and for what is recorded")
	flag.IntVar(&c.readers, "readers", 1, "how many identities the day keys are sealed to")
	flag.StringVar(&c.kind, "kind", "hybrid", "hybrid or classic identities")
	flag.DurationVar(&c.stall, "stall", 0, "freeze the disk for so long in the middle of the window")
	flag.BoolVar(&c.peers, "peers", true, "measure ffmpeg, and the recorder that PEER names, too")
	flag.BoolVar(&c.verify, "verify", true, "open what was recorded and count the pictures")
	flag.BoolVar(&c.keep, "keep", false, "keep what was recorded")
	flag.StringVar(&c.profile, "cpuprofile", "", "write a profile of the recorder over the window")
	flag.StringVar(&c.address, "address", "", "internal: of the source")
	flag.StringVar(&c.dir, "dir", "", "internal: the data folder")
	flag.StringVar(&c.control, "recipients", "", "internal: file of recipients")
	flag.BoolVar(&c.log, "log", false, "let the recorder log to standard error")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	run := map[string]func(context.Context, config) error{"": bench, "source": serveSource, "recorder": recordAll}[c.role]
	if run == nil {
		run = func(context.Context, config) error { return fmt.Errorf("role %q: want none", c.role) }
	}
	if err := run(ctx, c); err != nil {
		fmt.Fprintln(os.Stderr, "bench-record:", err)
		os.Exit(1)
	}
}

func (c config) logger() *slog.Logger {
	if c.log {
		return slog.Default()
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// bench runs everything, one after the other.
func bench(ctx context.Context, c config) error {
	var counts []int
	for _, s := range strings.Split(c.counts, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || n < 1 {
			return fmt.Errorf("-n %q: want numbers of cameras", c.counts)
		}
		counts = append(counts, n)
	}
	if err := os.MkdirAll(c.out, 0o755); err != nil {
		return err
	}
	sample, err := makeSample(ctx, c.out)
	if err != nil {
		return err
	}
	fmt.Println(machine())
	fmt.Println(header)
	failed := false
	for _, n := range counts {
		r, err := measure(ctx, c, sample, n)
		if err != nil {
			return fmt.Errorf("%d cameras: %w", n, err)
		}
		fmt.Println(r)
		failed = failed || r.lost > 0
	}
	if c.peers && c.stall == 0 {
		if err := measurePeers(ctx, c, sample); err != nil {
			return err
		}
	}
	if failed {
		return fmt.Errorf("pictures were lost")
	}
	return nil
}

// child starts this program again in another role.
func child(ctx context.Context, c config, role string, args ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args = append([]string{
		"-role", role, "-window", c.window.String(), "-warm", c.warm.String(), "-stall", c.stall.String(),
		"-out", c.out, "-log=" + strconv.FormatBool(c.log),
	}, args...)
	return start(ctx, self, args...)
}

// measure records n cameras for the window and counts what was lost.
func measure(ctx context.Context, c config, sample string, n int) (result, error) {
	dir := filepath.Join(c.out, "data")
	if err := os.RemoveAll(dir); err != nil {
		return result{}, err
	}
	if !c.keep {
		defer os.RemoveAll(dir)
	}
	who, err := makeReaders(dir, c)
	if err != nil {
		return result{}, err
	}
	source, address, err := startSource(ctx, c, sample)
	if err != nil {
		return result{}, err
	}
	defer source.stop()
	args := []string{"-n", strconv.Itoa(n), "-address", address, "-dir", dir, "-recipients", filepath.Join(dir, "recipients")}
	if c.profile != "" {
		args = append(args, "-cpuprofile", fmt.Sprintf("%s.%d", c.profile, n))
	}
	rec, err := child(ctx, c, "recorder", args...)
	if err != nil {
		return result{}, err
	}
	defer rec.stop()
	var r result
	if err := rec.answer(&r); err != nil {
		return result{}, fmt.Errorf("recorder: %w", err)
	}
	if err := rec.wait(); err != nil {
		return result{}, fmt.Errorf("recorder: %w", err)
	}
	r.Label, r.N = fmt.Sprintf("watchward, %d %s reader(s)", c.readers, c.kind), n
	if c.stall > 0 {
		r.Label += fmt.Sprintf(", disk stalled %v", c.stall)
	}
	if c.verify {
		sent, err := sentFrames(address)
		if err != nil {
			return result{}, err
		}
		if err := r.count(dir, who, sent); err != nil {
			return result{}, err
		}
	}
	return r, nil
}

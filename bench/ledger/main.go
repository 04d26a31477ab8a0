// Command ledger measures what the ledger costs, and says whether it keeps what
// is promised: 10,000 leaves noted and in a checkpoint, a proof built and checked,
// a day of a hundred cameras verified without reading its files, a page of a log
// of ten million leaves.
//
//	go run ./bench/ledger                  all of it; 4 GB of disk, some minutes
//	go run ./bench/ledger -big 1000000     a smaller log for the pages
//
// Figures of time are of the disk as much as of the program.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"time"

	"github.com/watchward/watchward/internal/ledger"
)

func main() {
	out := flag.String("out", "", "folder to work in, emptied afterwards; empty means a temporary one")
	big := flag.Uint64("big", 10_000_000, "leaves of the large log")
	day := flag.Int("day", 144_000, "segments of the day that is verified")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ledger.LogTo(slog.New(slog.DiscardHandler))
	kept, err := measure(ctx, *out, *day, *big)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/ledger:", err)
		os.Exit(1)
	}
	if !kept {
		os.Exit(3)
	}
}

// table prints rows and remembers whether every bar was kept.
type table struct{ kept bool }

func (t *table) row(what string, took, bar time.Duration) {
	mark := "ok"
	if bar > 0 && took > bar {
		mark, t.kept = "MISSED", false
	}
	limit := ""
	if bar > 0 {
		limit = "< " + bar.String()
	} else {
		mark = ""
	}
	fmt.Printf("| %-66s | %12s | %8s | %s\n", what, took.Round(time.Microsecond), limit, mark)
}

func measure(ctx context.Context, out string, day int, big uint64) (bool, error) {
	dir, err := os.MkdirTemp(out, "ledger-bench-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	t := &table{kept: true}
	for _, part := range []func() error{
		func() error { return appending(ctx, t, filepath.Join(dir, "append")) },
		func() error { return verifying(ctx, t, filepath.Join(dir, "day"), day) },
		func() error { return paging(ctx, t, filepath.Join(dir, "big"), big) },
	} {
		if err := part(); err != nil {
			return false, err
		}
	}
	return t.kept, nil
}

// running is a ledger and its Run.
type running struct {
	*ledger.Ledger
	stop context.CancelFunc
	done chan error
}

func begin(ctx context.Context, dir string, every time.Duration) (*running, error) {
	l, err := ledger.Open(ctx, ledger.Options{
		Dir: filepath.Join(dir, "ledger"), Key: filepath.Join(dir, "ledger.key"), Log: slog.New(slog.DiscardHandler), Every: every,
	})
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	r := &running{l, stop, make(chan error, 1)}
	go func() { r.done <- l.Run(ctx) }()
	return r, nil
}

func (r *running) end() error {
	r.stop()
	err := <-r.done
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	return err
}

// published waits until a checkpoint has so many leaves.
func (r *running) published(ctx context.Context, size uint64) error {
	for ctx.Err() == nil {
		if c, err := r.Checkpoint(ctx); err == nil && c.Size >= size {
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	return ctx.Err()
}

func segment(i int) ledger.Segment {
	at := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC).Add(time.Duration(i/100) * time.Minute)
	return ledger.Segment{
		Name:   fmt.Sprintf("town/camera-%02d/%s_60000.mp4.age", i%100, at.Format("2006-01-02/15-04-05.000Z")),
		SHA256: sha256.Sum256([]byte{byte(i), byte(i >> 8), byte(i >> 16)}), State: "sealed", Entered: ledger.EnteredRecorded,
	}
}

// noteSegments appends segments as the archive does, 256 at a time.
func noteSegments(ctx context.Context, l *running, from, to int) error {
	for ; from < to; from += 256 {
		var batch []ledger.Entry
		for i := from; i < min(to, from+256); i++ {
			batch = append(batch, segment(i).Entry())
		}
		if _, err := l.Append(ctx, batch...); err != nil {
			return err
		}
	}
	return nil
}

func appending(ctx context.Context, t *table, dir string) error {
	l, err := begin(ctx, dir, 50*time.Millisecond)
	if err != nil {
		return err
	}
	const n = 10_000
	began := time.Now()
	if err := noteSegments(ctx, l, 0, n); err != nil {
		return err
	}
	t.row("10,000 leaves: on the disk, numbered", time.Since(began), 0)
	if err := l.published(ctx, n+1); err != nil {
		return err
	}
	t.row("10,000 leaves: in the tree, in a signed checkpoint", time.Since(began), time.Second)
	var one []time.Duration
	for i := range 100 {
		began := time.Now()
		if err := noteSegments(ctx, l, n+i, n+i+1); err != nil {
			return err
		}
		one = append(one, time.Since(began))
	}
	t.row("one entry: on the disk, as before a viewing (median)", median(one), 0)
	if err := l.end(); err != nil {
		return err
	}
	return proving(ctx, t, filepath.Join(dir, "ledger"), "", n, "10,000")
}

func proving(ctx context.Context, t *table, dir, key string, size uint64, name string) error {
	log, err := ledger.OpenLog(dir, key)
	if err != nil {
		return err
	}
	var all []time.Duration
	for range 200 {
		began := time.Now()
		p, err := log.Prove(ctx, rand.Uint64N(size))
		if err != nil {
			return err
		}
		if _, _, err := p.Verify(log.VerifierKey()); err != nil {
			return err
		}
		all = append(all, time.Since(began))
	}
	t.row("proof of a leaf of "+name+", built and checked (median)", median(all), 5*time.Millisecond)
	t.row("the slowest of 200", slices.Max(all), 0)
	return nil
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

func verifying(ctx context.Context, t *table, dir string, n int) error {
	l, err := begin(ctx, dir, 50*time.Millisecond)
	if err != nil {
		return err
	}
	for from := 0; from < n; from += 20_000 {
		if err := noteSegments(ctx, l, from, min(n, from+20_000)); err != nil {
			return err
		}
		if err := l.published(ctx, uint64(min(n, from+20_000))+1); err != nil {
			return err
		}
	}
	if err := l.end(); err != nil {
		return err
	}
	for i := range n {
		name := filepath.Join(dir, "archive", filepath.FromSlash(segment(i).Name))
		if i < 100 {
			if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
				return err
			}
		}
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			return err
		}
	}
	began := time.Now()
	r, err := ledger.Verify(ctx, ledger.VerifyOptions{
		Dir: filepath.Join(dir, "ledger"), Archive: filepath.Join(dir, "archive"),
		Rows: func(_ context.Context, row func(ledger.Row) error) error {
			for i := range n {
				if err := row(ledger.Row{Name: segment(i).Name, SHA256: segment(i).SHA256}); err != nil {
					return err
				}
			}
			return nil
		},
	})
	if err != nil {
		return err
	}
	if !r.OK() || r.Segments != int64(n) {
		return fmt.Errorf("verify found %d lies and %d segments, want 0 and %d", len(r.Lies), r.Segments, n)
	}
	t.row(fmt.Sprintf("verify %d segments: tree, names, sizes, hashes of the index", n), time.Since(began), 30*time.Second)
	return nil
}

func paging(ctx context.Context, t *table, dir string, size uint64) error {
	began := time.Now()
	key, err := makeLog(ctx, dir, size)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "made a log of %d leaves in %s\n", size, time.Since(began).Round(time.Second))
	name := fmt.Sprintf("%d leaves", size)
	var all []time.Duration
	for i := range 300 {
		log, err := ledger.OpenLog(dir, key)
		if err != nil {
			return err
		}
		from := rand.Uint64N(size - 100)
		if i%3 == 0 {
			from = size - 100 // the newest, which a page shows first
		}
		began := time.Now()
		leaves, err := log.Leaves(ctx, from, 100)
		if err != nil {
			return err
		}
		all = append(all, time.Since(began))
		if len(leaves) != 100 || leaves[0].Seq != from {
			return fmt.Errorf("a page of %d leaves, want 100 from %d on", len(leaves), from)
		}
	}
	t.row("page of 100 of "+name+", any place (median)", median(all), 200*time.Millisecond)
	t.row("the slowest of 300", slices.Max(all), 200*time.Millisecond)
	return proving(ctx, t, dir, key, size, name)
}

// leafText is a leaf of the large log, as the ledger would write it.
func leafText(seq uint64) []byte {
	s := segment(int(seq % 144_000))
	return ledger.Leaf{
		Seq: seq, Time: time.Unix(1764000000+int64(seq/100), 0), Kind: ledger.Recorded,
		Fields: []ledger.Field{
			{Key: "bytes", Value: "7340032"},
			{Key: "entered", Value: s.Entered},
			{Key: "name", Value: s.Name},
			{Key: "sha256", Value: hex.EncodeToString(s.SHA256[:])},
			{Key: "state", Value: s.State},
		},
	}.Marshal()
}

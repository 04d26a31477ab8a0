package record

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/media"
	"github.com/watchward/watchward/internal/seal"
)

// open is an envelope that seals nothing, to measure what sealing costs. It
// gathers chunks like the real one.
type open struct {
	dst   io.Writer
	buf   []byte
	plain int64
}

func (o *open) Write(p []byte) (int, error) {
	o.plain += int64(len(p))
	n := len(p)
	for len(p) > 0 {
		if len(o.buf) == chunk {
			if _, err := o.dst.Write(o.buf[:chunk+16]); err != nil {
				return 0, err
			}
			o.buf = o.buf[:0]
		}
		k := min(len(p), chunk-len(o.buf))
		o.buf, p = append(o.buf, p[:k]...), p[k:]
	}
	return n, nil
}

func (o *open) Close() error {
	_, err := o.dst.Write(o.buf)
	return err
}

func (o *open) Plain() int64 { return o.plain }
func (o *open) Held() int    { return len(o.buf) }
func (o *open) Pad() int     { return max(chunk-len(o.buf)+1, 8) }

func noSeal(dst io.Writer, _ age.Recipient) (sealed, error) {
	if _, err := dst.Write(make([]byte, 200)); err != nil { // a header
		return nil, err
	}
	return &open{dst: dst, buf: make([]byte, 0, chunk+16)}, nil
}

// BenchmarkRecorder is the recorder's own part of the path, from samples to
// committed files: a minute of 1080p25 at 4 Mbit/s an operation, with and without
// sealing. Receiving is not in it.
func BenchmarkRecorder(b *testing.B) {
	for _, bb := range []struct {
		name   string
		sealer sealer
	}{{"sealed", realSealer}, {"unsealed", noSeal}} {
		for _, readers := range []int{1, 20} {
			if bb.name == "unsealed" && readers > 1 {
				continue
			}
			b.Run(fmt.Sprintf("%s/readers=%d", bb.name, readers), func(b *testing.B) {
				h := newHouse(b, seal.Hybrid)
				var lines []string
				for range readers {
					id, err := seal.GenerateIdentity(seal.Hybrid)
					if err != nil {
						b.Fatal(err)
					}
					lines = append(lines, id.Recipient())
				}
				set, err := seal.ParseReaders(lines)
				if err != nil {
					b.Fatal(err)
				}
				if err := h.keys.SetReaders(set); err != nil {
					b.Fatal(err)
				}
				samples := numbered(h264(1920, 1080), 1500, 50, 20_000)
				for _, s := range samples {
					s.Retain()
				}
				b.SetBytes(1500 * 20_000)
				began := cpuTime()
				i := 0
				for b.Loop() {
					i++
					base := time.Now()
					o := Options{
						Stream: &media.Stream{}, ID: archive.StreamID{Site: "home", Camera: fmt.Sprint("cam-", i), Stream: archive.Main},
						Archive: h.archive, Keys: h.keys, Log: slog.New(slog.DiscardHandler),
					}
					r, err := build(o, realStore{h.archive}, h.keys, bb.sealer)
					if err != nil {
						b.Fatal(err)
					}
					runOnce(b, r, func() {
						for _, s := range samples {
							s.Retain()
						}
						feed(o.Stream, base, samples)
					})
				}
				b.ReportMetric((cpuTime()-began).Seconds()/float64(b.N), "CPU-s/camera-min")
			})
		}
	}
}

// runOnce runs a recorder for as long as publish takes.
func runOnce(b *testing.B, r *Recorder, publish func()) {
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	for !r.o.Stream.Attached() {
		time.Sleep(100 * time.Microsecond)
	}
	publish()
	stop()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}

// cpuTime is what this process has used so far.
func cpuTime() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

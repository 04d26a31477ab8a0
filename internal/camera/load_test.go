package camera

import (
	"context"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/watchward/watchward/internal/media"
)

// counter is the cheapest reader there is.
type counter struct{ frames, bytes, breaks atomic.Int64 }

func (c *counter) Sample(s *media.Sample) {
	c.frames.Add(1)
	c.bytes.Add(int64(len(s.Data)))
}

func (c *counter) Break(media.Reason, time.Time) { c.breaks.Add(1) }

// BenchmarkLoad measures receiving alone, against a camera server in another
// process: set WATCHWARD_LOAD_URL to its address and WATCHWARD_LOAD_CAMERAS to
// how many connections to make. Not a timed test: it prints what it cost.
func BenchmarkLoad(b *testing.B) {
	url := os.Getenv("WATCHWARD_LOAD_URL")
	if url == "" {
		b.Skip("WATCHWARD_LOAD_URL is not set")
	}
	n, _ := strconv.Atoi(os.Getenv("WATCHWARD_LOAD_CAMERAS"))
	n = max(n, 1)
	ctx, cancel := context.WithCancel(b.Context())
	var all sync.WaitGroup
	var c counter
	for range n {
		st := new(media.Stream)
		st.Attach(&c)
		cam, err := New(Options{URL: url, Stream: st, Transport: TCP, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			b.Fatal(err)
		}
		all.Go(func() { _ = cam.Run(ctx) })
		time.Sleep(2 * time.Millisecond)
	}
	time.Sleep(4 * time.Second)
	frames, bytes, breaks := c.frames.Load(), c.bytes.Load(), c.breaks.Load()
	before, wakes := usage()
	start := time.Now()
	for b.Loop() {
		time.Sleep(10 * time.Second)
	}
	after, wakesAfter := usage()
	took := time.Since(start)
	frames, bytes, breaks = c.frames.Load()-frames, c.bytes.Load()-bytes, c.breaks.Load()-breaks
	cpu := (after - before).Seconds()
	b.ReportMetric(cpu/(took.Minutes()*float64(n)), "CPU-s/camera-min")
	b.ReportMetric(cpu/(float64(bytes)/1e9), "CPU-s/GB")
	b.ReportMetric(float64(frames)/took.Seconds()/float64(n), "fps/camera")
	b.ReportMetric(float64(breaks), "breaks")
	b.ReportMetric(float64(wakesAfter-wakes)/took.Seconds(), "switches/s")
	b.ReportMetric(rss()/float64(n), "MB-RSS/camera")
	cancel()
	all.Wait()
}

func usage() (cpu time.Duration, switches int64) {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()), r.Nvcsw + r.Nivcsw
}

// rss is the resident memory in MB, where /proc says.
func rss() float64 {
	runtime.GC()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var pages float64
	for i, field := 0, 0; i < len(b) && field < 2; i++ {
		if b[i] == ' ' {
			field++
		} else if field == 1 {
			pages = pages*10 + float64(b[i]-'0')
		}
	}
	return pages * float64(os.Getpagesize()) / 1e6
}

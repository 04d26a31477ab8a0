package record

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/archive/archivetest"
	"github.com/watchward/watchward/internal/archive/disk"
	"github.com/watchward/watchward/internal/db"
	"github.com/watchward/watchward/internal/media"
	"github.com/watchward/watchward/internal/media/fmp4"
	"github.com/watchward/watchward/internal/seal"
)

// house is an archive and keys on a real disk.
type house struct {
	dir     string
	archive *archive.Archive
	keys    *seal.DayKeys
	me      seal.Identity
	faults  *archivetest.Faults
}

func newHouse(t testing.TB, kind seal.Kind) *house {
	t.Helper()
	h := &house{dir: t.TempDir(), faults: &archivetest.Faults{FS: disk.OS{}}}
	quiet := slog.New(slog.DiscardHandler)
	database, err := db.Open(t.Context(), filepath.Join(h.dir, "watchward.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { database.Close() })
	keys := filepath.Join(h.dir, "keys")
	if h.archive, err = archive.Open(t.Context(), archive.Options{Root: filepath.Join(h.dir, "archive"), DB: database, FS: h.faults, Log: quiet, Keys: keys}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.archive.Close() })
	if _, err := h.archive.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if h.me, err = seal.GenerateIdentity(kind); err != nil {
		t.Fatal(err)
	}
	readers, err := seal.ParseReaders([]string{h.me.Recipient()})
	if err != nil {
		t.Fatal(err)
	}
	if h.keys, err = seal.NewDayKeys(seal.Options{Dir: keys, Readers: readers, Log: quiet}); err != nil {
		t.Fatal(err)
	}
	return h
}

// record runs a recorder for as long as publish takes.
func (h *house) record(t testing.TB, o Options, publish func(*media.Stream)) State {
	t.Helper()
	o.Stream, o.ID, o.Archive, o.Keys = &media.Stream{}, gate, h.archive, h.keys
	o.Log = slog.New(slog.DiscardHandler)
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	for !o.Stream.Attached() {
		time.Sleep(time.Millisecond)
	}
	publish(o.Stream)
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return r.State()
}

// feed publishes samples as if they came at their own pace from start on,
// without waiting for it.
func feed(st *media.Stream, start time.Time, samples []*media.Sample) {
	for _, s := range samples {
		s.Received = start.Add(span(s.DTS-samples[0].DTS, int64(s.Format.ClockRate)))
		if s.Track == 1 {
			s.Received = start.Add(span(s.DTS, int64(s.Format.ClockRate)) - span(samples[0].DTS, int64(samples[0].Format.ClockRate)))
		}
		st.Publish(s)
	}
}

func (h *house) segments(t testing.TB) []archive.Segment {
	t.Helper()
	list, err := h.archive.List(t.Context(), gate, time.Unix(0, 0), time.Now().AddDate(50, 0, 0), 1000)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// plain opens a segment as its reader.
func (h *house) plain(t testing.TB, s archive.Segment) []byte {
	t.Helper()
	sealedDay, err := h.keys.Sealed(s.Site, s.Camera, s.Start.Format(time.DateOnly))
	if err != nil {
		t.Fatal(err)
	}
	day, err := seal.OpenDay(sealedDay, h.me)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(h.dir, "archive", s.Name()))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b bytes.Buffer
	if _, _, err := seal.Salvage(&b, f, day); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// numbered makes pictures whose data is their number.
func numbered(f *media.Format, n, gop, size int) []*media.Sample {
	var out []*media.Sample
	for i := range n {
		s := media.NewSample(bytes.Repeat(binary.BigEndian.AppendUint32(nil, uint32(i)), size/4))
		s.Format, s.DTS, s.PTS, s.Keyframe = f, int64(i)*3600, int64(i)*3600, i%gop == 0
		out = append(out, s)
	}
	return out
}

// frames are the numbers of the pictures in what a segment holds.
func frames(t testing.TB, plain []byte) (out []int) {
	t.Helper()
	r, err := fmp4.NewReader(bytes.NewReader(plain), int64(len(plain)))
	if err != nil {
		t.Fatal(err)
	}
	for {
		p, err := r.Next()
		if err != nil {
			return out
		}
		for _, s := range p.Samples {
			data, err := r.Data(s)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, int(binary.BigEndian.Uint32(data)))
		}
	}
}

func TestRealArchive(t *testing.T) {
	for _, kind := range []seal.Kind{seal.Hybrid, seal.Classic} {
		h := newHouse(t, kind)
		start := time.Date(2031, 5, 6, 23, 59, 30, 0, time.UTC)
		base := time.Now()
		o := Options{Target: 10 * time.Second, Now: func() time.Time { return start.Add(time.Since(base)) }}
		st := h.record(t, o, func(s *media.Stream) { feed(s, base, numbered(h264(640, 360), 1500, 50, 20_000)) })
		if st.Lost != 0 || st.Samples != 1500 {
			t.Errorf("%v: state %+v", kind, st)
		}
		next := 0
		days := map[string]bool{}
		for _, seg := range h.segments(t) {
			days[seg.Start.Format(time.DateOnly)] = true
			for _, n := range frames(t, h.plain(t, seg)) {
				if n != next {
					t.Fatalf("%v: picture %d where %d should be", kind, n, next)
				}
				next++
			}
		}
		if next != 1500 || len(days) != 2 {
			t.Errorf("%v: %d pictures of 1500, on %d days, want 2", kind, next, len(days))
		}
		archivetest.Verify(t, h.archive)
	}
}

// Whatever call fails, what is recorded plus what is a gap is all the time
// there was, and the archive is whole.
func TestDiskFaults(t *testing.T) {
	io := syscall.EIO
	for _, tt := range []struct {
		fault   archivetest.Fault
		damaged bool
	}{
		{fault: archivetest.Fault{Op: "write", N: 20, Err: io}},
		{fault: archivetest.Fault{Op: "write", N: 20, Err: io, Done: true}},
		{fault: archivetest.Fault{Op: "write", N: 2, Err: io}},
		{fault: archivetest.Fault{Op: "write", N: 1, Err: io}},
		{fault: archivetest.Fault{Op: "create", N: 1, Err: io}},
		{fault: archivetest.Fault{Op: "create", N: 2, Err: io, Done: true}},
		{fault: archivetest.Fault{Op: "sync", N: 1, Err: io}, damaged: true},
		{fault: archivetest.Fault{Op: "rename", N: 1, Err: io}},
		{fault: archivetest.Fault{Op: "rename", N: 1, Err: io, Done: true}},
		{fault: archivetest.Fault{Op: "syncdir", N: 3, Err: io}},
		{fault: archivetest.Fault{Op: "write", N: 30, Stall: 300 * time.Millisecond}},
	} {
		t.Run(fmt.Sprintf("%s %d done=%t", tt.fault.Op, tt.fault.N, tt.fault.Done), func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, seal.Classic)
			base := time.Now()
			var closed atomic.Int32
			h.faults.Set(tt.fault)
			o := Options{Target: 4 * time.Second, Closed: func(archive.Segment) { closed.Add(1) }}
			st := h.record(t, o, func(s *media.Stream) { feed(s, base, numbered(h264(640, 360), 500, 50, 10_000)) })
			h.faults.Set()
			ctx, stop := context.WithCancel(t.Context())
			stop() // one round: finishes what could not be finished
			if err := h.archive.Run(ctx); err != nil {
				t.Fatal(err)
			}
			archivetest.Verify(t, h.archive)
			got := 0
			for _, seg := range h.segments(t) {
				got += len(frames(t, h.plain(t, seg)))
				if seg.State == archive.Damaged != tt.damaged && tt.damaged && st.Damaged == 0 {
					t.Errorf("no segment is called damaged: %+v", st)
				}
			}
			if tt.fault.Err == nil && got != 500 {
				t.Errorf("%d pictures of 500 after a stall", got)
			}
			// At most the segment that was hit, up to the next keyframe, may lack.
			if got < 500-150 || uint64(got)+st.Lost > 500 {
				t.Errorf("%d pictures of 500 are recorded, state %+v", got, st)
			}
		})
	}
}

func TestStallOfARealDisk(t *testing.T) {
	h := newHouse(t, seal.Classic)
	base := time.Now()
	h.faults.Set(archivetest.Fault{Op: "write", N: 10, Stall: time.Second})
	st := h.record(t, Options{Queue: 300_000}, func(s *media.Stream) { feed(s, base, numbered(h264(640, 360), 500, 50, 10_000)) })
	if st.Lost != 0 || st.Samples != 500 {
		t.Errorf("state %+v", st)
	}
}

// need finds a program or skips the test.
func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("%s is not installed", program)
	}
	return path
}

// TestPeersOpenIt records real clips and lets age, ffprobe and ffmpeg, none of
// which knows us, open what was recorded.
func TestPeersOpenIt(t *testing.T) {
	ageTool, ffprobe, ffmpeg := need(t, "age"), need(t, "ffprobe"), need(t, "ffmpeg")
	for _, clip := range footage(t) {
		t.Run(filepath.Base(clip), func(t *testing.T) {
			t.Parallel()
			samples := demux(t, ffmpeg, clip)
			var want [2]int
			for _, s := range samples {
				want[s.Track]++
			}
			h := newHouse(t, seal.Classic)
			base := time.Now()
			h.record(t, Options{Target: time.Second, Audio: true}, func(s *media.Stream) { feed(s, base, samples) })
			me := filepath.Join(h.dir, "me")
			if err := os.WriteFile(me, []byte(h.me.Reveal()+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			run := func(name string, args ...string) string {
				t.Helper()
				var complaints bytes.Buffer
				cmd := exec.Command(name, args...)
				cmd.Stderr = &complaints
				out, err := cmd.Output()
				if err != nil || complaints.Len() > 0 {
					t.Errorf("%s %q: %v\n%s", name, args, err, complaints.String())
				}
				return strings.TrimSpace(string(out))
			}
			var got [2]int
			segments := h.segments(t)
			if len(segments) < 2 {
				t.Errorf("%d segments", len(segments))
			}
			for i, seg := range segments {
				day, mp4 := filepath.Join(h.dir, "day"), filepath.Join(h.dir, strconv.Itoa(i)+".mp4")
				run(ageTool, "-d", "-i", me, "-o", day, filepath.Join(h.dir, "keys", seg.Site, seg.Camera, seg.Start.Format(time.DateOnly)+".key.age"))
				run(ageTool, "-d", "-i", day, "-o", mp4, filepath.Join(h.dir, "archive", seg.Name()))
				for track, kind := range []string{"v", "a"} {
					if want[track] == 0 {
						continue
					}
					n, _ := strconv.Atoi(strings.Trim(run(ffprobe, "-v", "error", "-select_streams", kind, "-count_packets",
						"-show_entries", "stream=nb_read_packets", "-of", "csv=p=0", mp4), ","))
					got[track] += n
				}
				run(ffmpeg, "-v", "error", "-i", mp4, "-f", "null", "-")
			}
			// ffmpeg joins G.711 packets as it likes; sound from before the first picture has no place.
			if got[0] != want[0] || want[1] > 0 && got[1] == 0 {
				t.Errorf("%d pictures and %d sounds, want %v", got[0], got[1], want)
			}
			archivetest.Verify(t, h.archive)
		})
	}
}

// footage lists the clips of the shared folder that its index names.
func footage(t *testing.T) []string {
	t.Helper()
	root := cmp.Or(os.Getenv("WATCHWARD_SHARED"), filepath.Join("..", "..", "..", "shared"))
	f, err := os.Open(filepath.Join(root, "video", "motion.csv"))
	if err != nil {
		t.Skipf("no shared footage: %v", err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, row := range rows[1:] {
		if path := filepath.Join(root, "video", row[0]); !slices.Contains(out, path) {
			out = append(out, path)
		}
	}
	return out
}

// demux lets ffmpeg repackage three seconds of a clip and reads the samples, in
// the order of their times.
func demux(t *testing.T, ffmpeg, clip string) (out []*media.Sample) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "clip.mp4")
	container := "mp4"
	if strings.Contains(clip, "pcm") {
		container = "mov" // ffmpeg puts G.711 into no other
	}
	text, err := exec.Command(ffmpeg, "-v", "error", "-i", clip, "-t", "3", "-c", "copy",
		"-movflags", "frag_keyframe+empty_moov+default_base_moof", "-f", container, file).CombinedOutput()
	if err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, text)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r, err := fmp4.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	formats := r.Formats()
	for {
		p, err := r.Next()
		if err != nil {
			break
		}
		for _, info := range p.Samples {
			data, err := r.Data(info)
			if err != nil {
				t.Fatal(err)
			}
			s := media.NewSample(data)
			s.Track, s.Format, s.DTS, s.PTS, s.Keyframe = int(info.Track-1), formats[info.Track-1], info.DTS, info.PTS, info.Key
			out = append(out, s)
		}
	}
	slices.SortStableFunc(out, func(a, b *media.Sample) int {
		return cmp.Compare(a.DTS*int64(b.Format.ClockRate), b.DTS*int64(a.Format.ClockRate))
	})
	if len(out) == 0 {
		t.Fatal(errors.New("no samples"))
	}
	return out
}

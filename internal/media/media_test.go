package media

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

// keeper is a reader that keeps everything, as a recorder does.
type keeper struct {
	samples []*Sample
	breaks  []Reason
}

func (k *keeper) Sample(s *Sample) {
	s.Retain()
	k.samples = append(k.samples, s)
}

func (k *keeper) Break(r Reason, _ time.Time) { k.breaks = append(k.breaks, r) }

func (k *keeper) numbers() (out []int64) {
	for _, s := range k.samples {
		out = append(out, s.DTS)
	}
	return out
}

func (k *keeper) release() {
	for _, s := range k.samples {
		s.Release()
	}
	k.samples = nil
}

func TestArena(t *testing.T) {
	for _, tt := range []struct {
		name   string
		pieces []int
	}{
		{"nothing", nil},
		{"one byte", []int{1}},
		{"packets", []int{1400, 1400, 37}},
		{"a whole block", []int{blockSize}},
		{"a byte more than a block", []int{blockSize, 1}},
		{"far more than a block, in packets", slices.Repeat([]int{1400}, 500)},
		{"one huge piece", []int{5 * blockSize}},
	} {
		var a Arena
		a.Append([]byte("before"))
		first := a.Take()
		var want []byte
		for i, n := range tt.pieces {
			p := bytes.Repeat([]byte{byte(i + 1)}, n)
			want = append(want, p...)
			a.Append(p)
			if !bytes.Equal(a.Open(), want) {
				t.Fatalf("%s: after piece %d Open is wrong", tt.name, i)
			}
		}
		s := a.Take()
		a.Append([]byte("after"))
		if !bytes.Equal(s.Data, want) || string(first.Data) != "before" || string(a.Open()) != "after" {
			t.Errorf("%s: samples run into each other", tt.name)
		}
		s.Release()
		first.Release()
		a.Reset()
		if len(a.Open()) != 0 {
			t.Errorf("%s: Reset leaves something", tt.name)
		}
	}
}

func TestArenaTruncate(t *testing.T) {
	var a Arena
	a.Append([]byte("kept, dropped"))
	a.Truncate(4)
	a.Truncate(100) // longer than what is there: nothing happens
	a.Append([]byte("!"))
	s := a.Take()
	if string(s.Data) != "kept!" {
		t.Errorf("%q", s.Data)
	}
	s.Release()
	a.Reset()
}

// Whatever is held keeps its bytes while everything around it is used again.
func TestSamplesKeepTheirBytes(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var a Arena
	held := map[*Sample]byte{}
	for i := range 5000 {
		mark := byte(i)
		a.Append(bytes.Repeat([]byte{mark}, 1+rng.IntN(30_000)))
		held[a.Take()] = mark
		for s, mark := range held {
			if len(held) < 40 {
				break
			}
			if i := slices.IndexFunc(s.Data, func(b byte) bool { return b != mark }); i >= 0 {
				t.Fatalf("byte %d of a held sample was overwritten", i)
			}
			s.Release()
			delete(held, s)
		}
	}
}

func TestReleaseTooOften(t *testing.T) {
	s := NewSample([]byte("x"))
	s.Release()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	s.Release()
}

var video = &Format{Codec: H264, ClockRate: 90000}

// publish sends samples numbered from, from+1, ...; each tenth is a keyframe.
func publish(st *Stream, from, n int64, size int) {
	for i := from; i < from+n; i++ {
		s := NewSample(make([]byte, size))
		s.Format, s.DTS, s.Keyframe = video, i, i%10 == 0
		st.Publish(s)
	}
}

func TestStream(t *testing.T) {
	var st Stream
	var recorder, viewer, late keeper
	detach := st.Attach(&recorder)
	publish(&st, 0, 14, 100)
	unwatch := st.Watch(&viewer)
	if !st.Watched() || !st.Attached() {
		t.Error("nobody watches")
	}
	publish(&st, 14, 4, 100)
	unwatch()
	unwatch() // once more does nothing
	publish(&st, 18, 2, 100)
	if st.Watched() {
		t.Error("still watched")
	}
	st.Break(NoVideo, time.Now())
	defer st.Watch(&late)()
	detach()
	publish(&st, 20, 1, 100)
	for _, tt := range []struct {
		name string
		k    *keeper
		want string
	}{
		{"recorder", &recorder, "[0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19] [no-video]"},
		{"viewer", &viewer, "[10 11 12 13 14 15 16 17] []"}, // from the last keyframe on
		{"after the break", &late, "[20] []"},
	} {
		if got := fmt.Sprint(tt.k.numbers(), tt.k.breaks); got != tt.want {
			t.Errorf("%s got %s, want %s", tt.name, got, tt.want)
		}
		tt.k.release()
	}
	if f := st.Formats(); len(f) != 1 || f[0] != video {
		t.Errorf("formats %v", f)
	}
}

// A group of pictures too large to keep is not kept, and costs nobody else.
func TestGroupTooLarge(t *testing.T) {
	var st Stream
	var recorder, viewer keeper
	st.Attach(&recorder)
	publish(&st, 0, 8, 1<<20)
	st.Watch(&viewer)
	publish(&st, 8, 3, 1<<10)
	if got := fmt.Sprint(viewer.numbers()); got != "[8 9 10]" || len(recorder.samples) != 11 {
		t.Errorf("viewer got %s, recorder %d", got, len(recorder.samples))
	}
	if st.gopSize != 1<<10 || len(st.gop) != 1 {
		t.Errorf("%d bytes in %d samples are kept", st.gopSize, len(st.gop))
	}
	recorder.release()
	viewer.release()
}

func TestStreamFromManyGoroutines(t *testing.T) {
	var st Stream
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				var k keeper
				detach := st.Watch(&k)
				st.Formats()
				detach()
			}
		})
	}
	publish(&st, 0, 500, 200)
	all.Wait()
	if st.Watched() || st.Attached() {
		t.Error("somebody is left")
	}
}

func TestFormatEqual(t *testing.T) {
	base := Format{Codec: H264, ClockRate: 90000, Width: 640, Height: 480, ParameterSets: [][]byte{{1}, {2}}}
	for name, change := range map[string]func(*Format){
		"codec": func(f *Format) { f.Codec = H265 }, "clock": func(f *Format) { f.ClockRate++ }, "width": func(f *Format) { f.Width++ },
		"height": func(f *Format) { f.Height++ }, "sets": func(f *Format) { f.ParameterSets = [][]byte{{1}, {3}} },
		"fewer sets": func(f *Format) { f.ParameterSets = f.ParameterSets[:1] }, "rate": func(f *Format) { f.SampleRate++ },
		"channels": func(f *Format) { f.Channels++ }, "configuration": func(f *Format) { f.Config = []byte{1} },
	} {
		other := base
		if !base.Equal(&other) {
			t.Fatal("a copy differs")
		}
		change(&other)
		if base.Equal(&other) {
			t.Errorf("another %s makes no difference", name)
		}
	}
	var none *Format
	if none.Equal(&base) || base.Equal(nil) || !none.Equal(nil) {
		t.Error("nil")
	}
}

func TestCodecNames(t *testing.T) {
	if H265.String() != "H.265" || Codec(99).String() != "unknown" || PCMU.Video() || !MJPEG.Video() || Codec(0).Video() {
		t.Error("names or kinds are wrong")
	}
}

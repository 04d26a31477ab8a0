package record

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/media"
	"github.com/watchward/watchward/internal/media/fmp4"
)

var gate = archive.StreamID{Site: "home", Camera: "gate", Stream: archive.Main}

// shelf is an archive in memory whose disk does what a test wants.
type shelf struct {
	mu       sync.Mutex
	segments []*leaf
	gaps     []archive.Gap
	before   time.Time // end of what an earlier process recorded
	full     error     // what space says
	write    error     // what a write says
	commit   error
	stall    chan struct{} // writes wait until it is closed
	exists   int           // so many creates find the name taken
	creates  int
}

type leaf struct {
	shelf      *shelf
	start, end time.Time
	err        time.Duration
	buf        bytes.Buffer
	state      string // "", sealed, torn, discarded
}

func (s *shelf) set(fn func(*shelf)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn(s)
}

func (s *shelf) space() error { s.mu.Lock(); defer s.mu.Unlock(); return s.full }

func (s *shelf) create(_ archive.StreamID, start time.Time) (pending, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.exists > 0 {
		s.exists--
		return nil, archive.ErrExists
	}
	s.creates++
	l := &leaf{shelf: s, start: start}
	s.segments = append(s.segments, l)
	return l, nil
}

func (s *shelf) addGap(_ context.Context, g archive.Gap) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gaps = append(s.gaps, g)
	return nil
}

func (s *shelf) last(context.Context, archive.StreamID) (time.Time, bool, error) {
	return s.before, !s.before.IsZero(), nil
}

func (l *leaf) Write(p []byte) (int, error) {
	l.shelf.mu.Lock()
	stall, err := l.shelf.stall, l.shelf.write
	l.shelf.mu.Unlock()
	if stall != nil {
		<-stall
	}
	if err != nil {
		return 0, err
	}
	l.shelf.mu.Lock()
	defer l.shelf.mu.Unlock()
	return l.buf.Write(p)
}

func (l *leaf) Size() int64 { l.shelf.mu.Lock(); defer l.shelf.mu.Unlock(); return int64(l.buf.Len()) }

func (l *leaf) Commit(_ context.Context, end time.Time, clockErr time.Duration) (archive.Segment, error) {
	return l.keep("sealed", end, clockErr)
}

func (l *leaf) Tear(_ context.Context, end time.Time, clockErr time.Duration) (archive.Segment, error) {
	return l.keep("torn", end, clockErr)
}

func (l *leaf) keep(state string, end time.Time, clockErr time.Duration) (archive.Segment, error) {
	l.shelf.mu.Lock()
	defer l.shelf.mu.Unlock()
	if l.shelf.commit != nil {
		return archive.Segment{}, l.shelf.commit
	}
	l.state, l.end, l.err = state, end.Truncate(time.Millisecond), clockErr
	return archive.Segment{StreamID: gate, Start: l.start, Duration: l.end.Sub(l.start), State: archive.State(state)}, nil
}

func (l *leaf) Touch() error { return nil }

func (l *leaf) Discard() error {
	l.shelf.mu.Lock()
	defer l.shelf.mu.Unlock()
	l.state = "discarded"
	return nil
}

// oneKey seals everything to one identity.
type oneKey struct {
	mu   sync.Mutex
	id   *age.X25519Identity
	err  error
	days []string
}

func (k *oneKey) Recipient(_, _, day string) (age.Recipient, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err != nil {
		return nil, k.err
	}
	if !slices.Contains(k.days, day) {
		k.days = append(k.days, day)
	}
	return k.id.Recipient(), nil
}

// rig is a recorder with a camera and a shelf, in a bubble of synctest.
type rig struct {
	t      testing.TB
	stream *media.Stream
	shelf  *shelf
	keys   *oneKey
	rec    *Recorder
	step   time.Duration // the wall clock is off by this much
	stepMu sync.Mutex

	video, audio *media.Format
	frame        int // number of the next picture, which is its data
	chirp        int // of the next sample of sound
	dts          int64
	gop          int // pictures from keyframe to keyframe
	size         int // bytes of a picture
	stop         func()
}

func newRig(t testing.TB, change func(*Options), shelf *shelf) *rig {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	g := &rig{
		t: t, stream: &media.Stream{}, shelf: shelf, keys: &oneKey{id: id}, gop: 50, size: 4000,
		video: h264(640, 360),
	}
	o := Options{Stream: g.stream, ID: gate, Log: slog.New(slog.DiscardHandler), Now: func() time.Time {
		g.stepMu.Lock()
		defer g.stepMu.Unlock()
		return time.Now().Add(g.step)
	}}
	if change != nil {
		change(&o)
	}
	if g.rec, err = build(o, shelf, g.keys, realSealer); err != nil {
		t.Fatal(err)
	}
	g.start()
	return g
}

func (g *rig) start() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.rec.Run(ctx) }()
	g.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			g.t.Error(err)
		}
	})
	time.Sleep(time.Microsecond) // in a bubble: Run has attached
}

func (g *rig) setClock(step time.Duration) {
	g.stepMu.Lock()
	defer g.stepMu.Unlock()
	g.step = step
}

func h264(w, h int) *media.Format {
	sps := []byte{0x67, 0x42, 0xc0, 0x16, 0xda, 0x02, 0x80, 0xbf, 0xe5, 0xc0, 0x44, 0, 0, 3, 0, 4, 0, 0, 3, 0, 0x78, 0x3c, 0x58, 0xba, 0x80}
	return &media.Format{Codec: media.H264, ClockRate: 90000, Width: w, Height: h, ParameterSets: [][]byte{sps, {0x68, 0xce, 0x0f, 0x2c, 0x80}}}
}

// picture publishes one, and lets the time of one pass at 25 a second.
func (g *rig) picture() {
	s := media.NewSample(bytes.Repeat(binary.BigEndian.AppendUint32(nil, uint32(g.frame)), g.size/4))
	s.Format, s.Received, s.DTS, s.PTS = g.video, time.Now(), g.dts, g.dts
	s.Keyframe = g.frame%g.gop == 0
	g.frame++
	g.stream.Publish(s)
	g.dts += 3600
	time.Sleep(40 * time.Millisecond)
}

func (g *rig) pictures(n int) {
	for range n {
		g.picture()
	}
}

// chirps publishes sound, 20 ms each, at two moments.
func (g *rig) chirps(at ...int64) {
	for _, dts := range at {
		s := media.NewSample(bytes.Repeat(binary.BigEndian.AppendUint32(nil, uint32(g.chirp)), 40))
		s.Track, s.Format, s.Received, s.DTS, s.PTS, s.Keyframe = 1, g.audio, time.Now(), dts, dts, true
		g.chirp++
		g.stream.Publish(s)
	}
}

// seconds of pictures.
func (g *rig) seconds(n int) { g.pictures(25 * n) }

// quiet lets time pass without pictures after a break.
func (g *rig) quiet(reason media.Reason, d time.Duration) {
	g.stream.Break(reason, time.Now())
	time.Sleep(d)
	g.frame += (g.gop - g.frame%g.gop) % g.gop
	g.dts = 0
}

// span is a segment or gap as a test reads it.
type spanned struct {
	start, end time.Time
	what       string // "sealed", "torn" or the reason of a gap
	frames     []int
	chirps     []int
	clockErr   time.Duration
}

// timeline opens everything on the shelf and checks what must always hold.
func (g *rig) timeline() []spanned {
	g.t.Helper()
	g.shelf.mu.Lock()
	defer g.shelf.mu.Unlock()
	var out []spanned
	for _, l := range g.shelf.segments {
		switch l.state {
		case "sealed", "torn":
			v, a := g.read(l)
			out = append(out, spanned{l.start, l.end, l.state, v, a, l.err})
		case "":
			g.t.Errorf("segment of %v was left open", l.start)
		}
	}
	for _, gap := range g.shelf.gaps {
		out = append(out, spanned{start: gap.Start, end: gap.End, what: gap.Reason})
	}
	slices.SortFunc(out, func(a, b spanned) int { return a.start.Compare(b.start) })
	for i, s := range out {
		if !s.start.Before(s.end) {
			g.t.Errorf("%v: from %v to %v", s.what, s.start, s.end)
		}
		if i > 0 && !out[i-1].end.Truncate(time.Millisecond).Equal(s.start.Truncate(time.Millisecond)) {
			g.t.Errorf("%s ends at %v, %s begins at %v", out[i-1].what, out[i-1].end, s.what, s.start)
		}
	}
	return out
}

// read opens a segment and returns the numbers of its pictures and sounds.
func (g *rig) read(l *leaf) (frames, chirps []int) {
	g.t.Helper()
	r, err := age.Decrypt(bytes.NewReader(l.buf.Bytes()), g.keys.id)
	if err != nil {
		g.t.Fatal(err)
	}
	plain, err := io.ReadAll(r)
	if err != nil && l.state == "sealed" {
		g.t.Errorf("segment of %v: %v", l.start, err)
	}
	mp4, err := fmp4.NewReader(bytes.NewReader(plain), int64(len(plain)))
	if err != nil {
		g.t.Errorf("segment of %v: %v", l.start, err)
		return nil, nil
	}
	keys := map[int64]bool{}
	first := true
	for {
		p, err := mp4.Next()
		if err != nil {
			if l.state == "sealed" && !errors.Is(err, io.EOF) {
				g.t.Errorf("segment of %v: %v", l.start, err)
			}
			break
		}
		for _, s := range p.Samples {
			data, _ := mp4.Data(s)
			n := int(binary.BigEndian.Uint32(data))
			if s.Track == 2 {
				chirps = append(chirps, n)
				continue
			}
			if first && (!s.Key || s.DTS != 0) {
				g.t.Errorf("segment of %v begins with picture %d at %d, keyframe %t", l.start, n, s.DTS, s.Key)
			}
			first = false
			frames = append(frames, n)
			if s.Key && p.Samples[0].Offset == s.Offset {
				keys[p.Offset] = true
			}
		}
	}
	if l.state == "sealed" {
		index, err := mp4.Index()
		if err != nil || len(index) != len(keys) {
			g.t.Errorf("segment of %v: index of %d, %v, want %d keyframes", l.start, len(index), err, len(keys))
		}
		for _, e := range index {
			if !keys[int64(e.Offset)] {
				g.t.Errorf("segment of %v: index names offset %d, where no keyframe is", l.start, e.Offset)
			}
		}
	}
	return frames, chirps
}

// story is the timeline in words: what, how long, which pictures.
func story(spans []spanned) string {
	var b strings.Builder
	for _, s := range spans {
		fmt.Fprintf(&b, "%s %.2fs", s.what, s.end.Sub(s.start).Seconds())
		if n := len(s.frames); n > 0 {
			fmt.Fprintf(&b, " %d-%d", s.frames[0], s.frames[n-1])
			if s.frames[n-1]-s.frames[0] != n-1 {
				fmt.Fprintf(&b, " (%d)", n)
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

func wantStory(t testing.TB, got []spanned, want string) {
	t.Helper()
	trim := func(s string) string {
		var lines []string
		for line := range strings.Lines(s) {
			if line = strings.TrimSpace(line); line != "" {
				lines = append(lines, line)
			}
		}
		return strings.Join(lines, "\n")
	}
	if g := trim(story(got)); g != trim(want) {
		t.Errorf("recorded:\n%s\nwant:\n%s", g, trim(want))
	}
}

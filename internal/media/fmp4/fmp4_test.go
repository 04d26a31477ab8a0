package fmp4

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/watchward/watchward/internal/media"
)

var update = flag.Bool("update", false, "write the golden files anew")

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func h264() *media.Format {
	return &media.Format{
		Codec: media.H264, ClockRate: 90000, Width: 640, Height: 360,
		ParameterSets: [][]byte{unhex("6742c016da0280bfe5c044000003000400000300783c58ba80"), unhex("68ce0f2c80")},
	}
}

func h265() *media.Format {
	return &media.Format{Codec: media.H265, ClockRate: 90000, Width: 1920, Height: 1080, ParameterSets: [][]byte{
		unhex("40010c01ffff01600000030090000003000003007895980900"),
		unhex("420101016000000300900000030000030078a003c0801107cb96e92930bc05a02000000300200000030321"),
		unhex("4401c172b46240"),
	}}
}

func aac() *media.Format {
	return &media.Format{Codec: media.AAC, ClockRate: 16000, SampleRate: 16000, Channels: 1, Config: unhex("1408")}
}

func opus() *media.Format {
	return &media.Format{Codec: media.Opus, ClockRate: 48000, SampleRate: 48000, Channels: 2}
}

func mulaw() *media.Format {
	return &media.Format{Codec: media.PCMU, ClockRate: 8000, SampleRate: 8000, Channels: 1}
}

func alaw() *media.Format {
	return &media.Format{Codec: media.PCMA, ClockRate: 8000, SampleRate: 8000, Channels: 1}
}

func mjpeg() *media.Format {
	return &media.Format{Codec: media.MJPEG, ClockRate: 90000, Width: 320, Height: 240}
}

// sample makes a sample whose bytes tell which it is.
func sample(f *media.Format, dts, pts int64, key bool, size int) *media.Sample {
	s := media.NewSample(bytes.Repeat([]byte{byte(dts), byte(dts >> 8)}, size)[:size])
	s.Format, s.DTS, s.PTS, s.Keyframe = f, dts, pts, key
	return s
}

// movie writes parts of samples by track, as a recorder does, and ends with an index.
func movie(t testing.TB, tracks []*media.Format, parts [][][]*media.Sample) []byte {
	t.Helper()
	file, err := Init(tracks)
	if err != nil {
		t.Fatal(err)
	}
	file = append(file, PRFT(1, time.Date(2031, 2, 3, 4, 5, 6, 500e6, time.UTC), 0)...)
	var w PartWriter
	var index []RandomAccess
	origin := map[int]bool{}
	for n, part := range parts {
		w.Reset()
		for track, samples := range part {
			for _, s := range samples {
				if !origin[track] {
					w.Origin(track, s.DTS, s.PTS)
					origin[track] = true
				}
				w.Add(track, s)
			}
			if n+1 < len(parts) && len(parts[n+1][track]) > 0 {
				w.Follow(track, parts[n+1][track][0].DTS)
			}
		}
		if first := part[0]; len(first) > 0 && first[0].Keyframe {
			index = append(index, RandomAccess{1, uint64(first[0].DTS - parts[0][0][0].DTS), uint64(len(file))})
		}
		file = w.AppendPart(file, uint32(n+1))
		for _, samples := range part {
			for _, s := range samples {
				file = append(file, s.Data...)
			}
		}
	}
	file = append(file, Free(9)...)
	return append(file, Mfra(index)...)
}

// short is a small film of video and audio: two groups of pictures, three parts,
// reordered pictures in the first, an uneven pace in the second.
func short(video, sound *media.Format) ([]*media.Format, [][][]*media.Sample) {
	v := func(dts, pts int64, key bool) *media.Sample { return sample(video, dts, pts, key, 40+int(dts%7)) }
	a := func(dts int64) *media.Sample { return sample(sound, dts, dts, true, 20) }
	return []*media.Format{video, sound}, [][][]*media.Sample{
		{{v(9000, 16200, true), v(12600, 27000, false), v(16200, 19800, false), v(19800, 23400, false)}, {a(5000), a(6024), a(7048)}},
		{{v(23400, 30600, false), v(27000, 34200, false), v(30700, 37900, false)}, {a(8072)}},
		{{v(34200, 41400, true), v(37800, 45000, false)}, {}},
	}
}

func TestGolden(t *testing.T) {
	for name, tracks := range map[string][2]*media.Format{
		"h264-aac": {h264(), aac()}, "h265-opus": {h265(), opus()}, "mjpeg-mulaw": {mjpeg(), mulaw()}, "h264-alaw": {h264(), alaw()},
	} {
		path := filepath.Join("testdata", name+".mp4")
		f, parts := short(tracks[0], tracks[1])
		got := movie(t, f, parts)
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: what is written has changed: compare the boxes, then run with -update", name)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	for _, tracks := range [][2]*media.Format{{h264(), aac()}, {h265(), opus()}, {mjpeg(), mulaw()}, {h264(), alaw()}} {
		formats, parts := short(tracks[0], tracks[1])
		file := movie(t, formats, parts)
		r, err := NewReader(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range r.Formats() {
			want := *formats[i]
			if want.Codec == media.H264 || want.Codec == media.H265 {
				want.Width, want.Height = pictureSize(&want)
			}
			if !f.Equal(&want) {
				t.Errorf("track %d: %+v, want %+v", i+1, f, want)
			}
		}
		wantTimes := [][]string{
			{"0+0=3600 key", "3600+10800=3600", "7200+3600=3600", "10800+7200=3600"}, // shown at 0, then as decoded less the first delay
			{"14400+14400=3600", "18000+18000=3700", "21700+21700=3500"},
			{"25200+25200=3600 key", "28800+28800=3600"},
		}
		var keys []RandomAccess
		for n, part := range parts {
			p, err := r.Next()
			if err != nil {
				t.Fatalf("part %d: %v", n, err)
			}
			if int(p.Sequence) != n+1 {
				t.Errorf("part %d has sequence %d", n, p.Sequence)
			}
			if p.Samples[0].Key {
				keys = append(keys, RandomAccess{1, uint64(p.Samples[0].PTS), uint64(p.Offset)})
			}
			checkSamples(t, r, p, slices.Concat(part...))
			var got []string
			for _, s := range p.Samples {
				if s.Track == 1 {
					key := ""
					if s.Key {
						key = " key"
					}
					got = append(got, fmt.Sprintf("%d+%d=%d%s", s.DTS, s.PTS, s.Duration, key))
				}
			}
			if !slices.Equal(got, wantTimes[n]) {
				t.Errorf("part %d: %v, want %v", n, got, wantTimes[n])
			}
		}
		if _, err := r.Next(); !errors.Is(err, io.EOF) {
			t.Errorf("after the last part: %v", err)
		}
		if r.Whole() != int64(len(file)) {
			t.Errorf("whole = %d of %d", r.Whole(), len(file))
		}
		index, err := r.Index()
		if err != nil || !slices.Equal(index, keys) {
			t.Errorf("index %v, %v, want %v", index, err, keys)
		}
		if at, zero, ok := r.Prft(); !ok || zero != 0 || at>>32 != 1927857906+2208988800 {
			t.Errorf("prft %x %d %t", at, zero, ok)
		}
	}
}

func checkSamples(t *testing.T, r *Reader, p *Part, want []*media.Sample) {
	t.Helper()
	if len(p.Samples) != len(want) {
		t.Fatalf("%d samples, want %d", len(p.Samples), len(want))
	}
	for i, s := range p.Samples {
		data, err := r.Data(s)
		if err != nil || !bytes.Equal(data, want[i].Data) {
			t.Errorf("sample %d: %x, %v, want %x", i, data, err, want[i].Data)
		}
	}
}

// A file cut anywhere reads as far as its last whole part.
func TestTorn(t *testing.T) {
	file := movie(t, []*media.Format{h264()}, [][][]*media.Sample{
		{{sample(h264(), 0, 0, true, 300)}}, {{sample(h264(), 3600, 3600, false, 100)}}, {{sample(h264(), 7200, 7200, false, 100)}},
	})
	var ends []int64
	r, _ := NewReader(bytes.NewReader(file), int64(len(file)))
	for header := r.Whole(); ; {
		ends = append(ends, header)
		if _, err := r.Next(); err != nil {
			break
		}
		header = r.Whole()
	}
	for n := range file {
		r, err := NewReader(bytes.NewReader(file[:n]), int64(n))
		if int64(n) < ends[0] {
			if err == nil {
				t.Fatalf("cut at %d: header read", n)
			}
			continue
		}
		if err != nil {
			t.Fatalf("cut at %d: %v", n, err)
		}
		parts := 0
		for err == nil {
			if _, err = r.Next(); err == nil {
				parts++
			}
		}
		want := 0
		for _, e := range ends[1:4] {
			if int64(n) >= e {
				want++
			}
		}
		if parts != want || r.Whole() < ends[want] || !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut at %d: %d parts, whole %d, %v, want %d parts", n, parts, r.Whole(), err, want)
		}
	}
}

func TestFree(t *testing.T) {
	if got := Free(9); !bytes.Equal(got, append([]byte{0, 0, 0, 9}, "free\x00"...)) {
		t.Errorf("Free(9) = %q", got)
	}
	defer func() {
		if recover() == nil {
			t.Error("Free(7) did not panic")
		}
	}()
	Free(7)
}

func TestNTP(t *testing.T) {
	// RFC 5905, figure 4: 1970-01-01 is 2,208,988,800 seconds into the era.
	if got := ntp(time.Unix(0, 500e6)); got != 2208988800<<32|1<<31 {
		t.Errorf("ntp = %x", got)
	}
}

func TestDurations(t *testing.T) {
	for _, tt := range []struct {
		name string
		f    *media.Format
		data []byte
		want uint32
	}{
		{"AAC", aac(), []byte{1}, 1024},
		{"G.711, 20 ms", mulaw(), make([]byte, 160), 160},
		{"Opus CELT 20 ms", opus(), []byte{31 << 3}, 960},
		{"Opus SILK 60 ms", opus(), []byte{3 << 3}, 2880},
		{"Opus two of 10 ms", opus(), []byte{12<<3 | 1}, 960},
		{"Opus of 63 frames", opus(), []byte{31<<3 | 3, 63}, 5760},
		{"Opus, nothing", opus(), nil, 0},
		{"picture", h264(), []byte{1}, 3600},
	} {
		s := media.NewSample(tt.data)
		s.Format = tt.f
		if got := Duration(s); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestInitRefuses(t *testing.T) {
	bad := h264()
	bad.ParameterSets = bad.ParameterSets[:1]
	vast := h264()
	vast.ParameterSets = [][]byte{unhex("674d001ef40040000800100000000000"), {0x68, 1}}
	for name, tracks := range map[string][]*media.Format{
		"nothing": nil, "nil": {nil}, "no clock": {{Codec: media.Opus}}, "no PPS": {bad}, "unreadable SPS": {vast},
		"AAC without configuration": {{Codec: media.AAC, ClockRate: 8000}}, "unknown codec": {{ClockRate: 1}},
		"too many": make([]*media.Format, maxTracks+1),
	} {
		if b, err := Init(tracks); err == nil {
			t.Errorf("%s: %d bytes, want an error", name, len(b))
		}
	}
}

func FuzzReader(f *testing.F) {
	for _, tracks := range [][2]*media.Format{{h264(), aac()}, {h265(), opus()}, {mjpeg(), mulaw()}} {
		formats, parts := short(tracks[0], tracks[1])
		f.Add(movie(f, formats, parts))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := NewReader(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			return
		}
		r.Formats()
		for last := r.Whole(); ; last = r.Whole() {
			p, err := r.Next()
			if err != nil {
				break
			}
			if r.Whole() <= last {
				t.Fatal("a part of no bytes")
			}
			for _, s := range p.Samples {
				if data, err := r.Data(s); err != nil || len(data) != s.Size {
					t.Fatalf("sample %+v: %d bytes, %v", s, len(data), err)
				}
				if len(p.Samples) > 100 {
					break
				}
			}
		}
		_, _ = r.Index()
	})
}

func BenchmarkAppendPart(b *testing.B) {
	f := h264()
	var samples []*media.Sample
	for i := range 5 {
		samples = append(samples, sample(f, int64(i)*3600, int64(i)*3600, i == 0, 20000))
	}
	var w PartWriter
	var buf []byte
	for b.Loop() {
		w.Reset()
		for _, s := range samples {
			w.Add(0, s)
		}
		w.Follow(0, 5*3600)
		buf = w.AppendPart(buf[:0], 1)
	}
}

package h26x

import (
	"encoding/hex"
	"errors"
	"math"
	"testing"

	"github.com/watchward/watchward/internal/media"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sets are parameter sets that x264 and x265 wrote; what they must read as was
// checked with ffprobe.
var sets = []struct {
	name, nal string
	codec     media.Codec
	w, h      int
	fps       float64
	mime      string
	reorder   int
	chroma    int
	luma      int
}{
	{"constrained baseline, cropped to 1080 lines", "6742c028da01e0089f97011000000300100000030320f1832a", media.H264, 1920, 1080, 25, "avc1.42c028", 0, 1, 8},
	{"baseline, 360 lines", "6742c016da0280bfe5c044000003000400000300783c58ba80", media.H264, 640, 360, 15, "avc1.42c016", 0, 1, 8},
	{"main with B pictures", "674d401feca02802dd8088000003000800000301e078c18cb0", media.H264, 1280, 720, 30, "avc1.4d401f", 2, 1, 8},
	{"interlaced with HRD", "674d4028f403c0227ef01100000300010000030032648000f424001e84e4c200f8b175", media.H264, 1920, 1080, 25, "avc1.4d4028", 0, 1, 8},
	{"high with scaling matrix", "6764001eacb405a0936022000003000200000300641e2c5d40", media.H264, 720, 576, 25, "avc1.64001e", 0, 1, 8},
	{"4:2:2, 10 bit", "677a001fb6cb40501ed808800000030080000032078c1950", media.H264, 640, 480, 50, "avc1.7a001f", 0, 2, 10},
	{"4:4:4, odd size", "67f4000d91968150878f8fc044000003000400000300c83c50aa80", media.H264, 322, 242, 25, "avc1.f4000d", 0, 3, 8},
	{"H.265 main", "420101016000000300900000030000030078a003c0801107cb96e92930bc05a02000000300200000030321", media.H265, 1920, 1080, 25, "hvc1.1.6.L120.90", 0, 1, 8},
	{"H.265 main 10", "42010102200000030090000003000003005da00280802d136595952930bc05a020000003002000000303c1", media.H265, 1280, 720, 30, "hvc1.2.4.L93.90", 2, 1, 10},
	{"H.265 with HRD and display window", "42010101600000030090000003000003005aa0050201e16595952930bc06d404080838913000000300200000030196014944e000f424001e8488", media.H265, 640, 480, 12.5, "hvc1.1.6.L90.90", 2, 1, 8},
	{"H.265 range extensions, 4:4:4, scaling lists", "4201010408000003009e0800000300005a9000a4403e38f8fcb2b2a5270bc05a020000030002000003002810", media.H265, 642, 482, 20, "hvc1.4.10.L90.9E.8", 2, 3, 8},
}

func TestParameterSets(t *testing.T) {
	for _, tt := range sets {
		f := &media.Format{Codec: tt.codec, ParameterSets: [][]byte{unhex(t, tt.nal)}}
		got, err := ParseFormat(f)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got.Width != tt.w || got.Height != tt.h || math.Abs(got.FPS-tt.fps) > 1e-6 {
			t.Errorf("%s: %dx%d at %v, want %dx%d at %v", tt.name, got.Width, got.Height, got.FPS, tt.w, tt.h, tt.fps)
		}
		if got.Reorder != tt.reorder || !got.ReorderStated || got.Chroma != tt.chroma || got.LumaBits != tt.luma {
			t.Errorf("%s: reorder %d (stated %t), chroma %d, bits %d, want %d, %d, %d",
				tt.name, got.Reorder, got.ReorderStated, got.Chroma, got.LumaBits, tt.reorder, tt.chroma, tt.luma)
		}
		if s := CodecString(f); s != tt.mime {
			t.Errorf("%s: CodecString = %q, want %q", tt.name, s, tt.mime)
		}
		// No prefix may panic, and none without the picture size may pass.
		nal := f.ParameterSets[0]
		for n := range nal {
			cut := &media.Format{Codec: tt.codec, ParameterSets: [][]byte{nal[:n]}}
			if i, err := ParseFormat(cut); err == nil && (i.Width != tt.w || i.Height != tt.h) {
				t.Errorf("%s cut to %d bytes: %dx%d", tt.name, n, i.Width, i.Height)
			}
		}
	}
}

// writer makes parameter sets that no encoder at hand makes.
type writer struct {
	b []byte
	n int
}

func (w *writer) u(n int, v uint64) *writer {
	for i := n - 1; i >= 0; i-- {
		if w.n%8 == 0 {
			w.b = append(w.b, 0)
		}
		w.b[w.n/8] |= byte(v>>i&1) << (7 - w.n%8)
		w.n++
	}
	return w
}

func (w *writer) ue(vs ...uint64) *writer {
	for _, v := range vs {
		n := 0
		for (v+1)>>(n+1) > 0 {
			n++
		}
		w.u(n, 0).u(n+1, v+1)
	}
	return w
}

func (w *writer) se(vs ...int) *writer {
	for _, v := range vs {
		if v > 0 {
			w.ue(uint64(2*v - 1))
		} else {
			w.ue(uint64(-2 * v))
		}
	}
	return w
}

// nal ends the payload and escapes it.
func (w *writer) nal(head ...byte) []byte {
	w.u(1, 1)
	out, zeros := head, 0
	for _, c := range w.b {
		if zeros >= 2 && c <= 3 {
			out, zeros = append(out, 3), 0
		}
		if zeros++; c != 0 {
			zeros = 0
		}
		out = append(out, c)
	}
	return out
}

// tail264 is everything from max_num_ref_frames to the cropping of a 640x480 picture.
func (w *writer) tail264(refs uint64) *writer {
	return w.ue(refs).u(1, 0).ue(39, 29).u(3, 0b110).u(1, 0)
}

func TestRareH264(t *testing.T) {
	poc1 := new(writer).u(24, 0x4d001e).ue(0, 0, 1).u(1, 0).se(-2, 3).ue(3).se(1, -1, 70000).tail264(1).u(1, 0).nal(0x67)
	lists := new(writer).u(24, 0x64001e).ue(0, 1, 0, 0).u(1, 0).u(1, 1)
	for i := range 8 {
		size := 16
		if i >= 6 {
			size = 64
		}
		lists.u(1, 1)
		for range size {
			lists.se(1)
		}
	}
	lists.ue(0, 0, 4).tail264(4).u(1, 0)
	early := new(writer).u(24, 0x64001e).ue(0, 1, 0, 0).u(1, 0).u(1, 1).u(1, 1).se(-8).u(7, 0).ue(0, 2).tail264(4).u(1, 0)
	broken := new(writer).u(24, 0x4d001e).ue(0, 0, 0, 0).tail264(4).u(1, 1).u(8, 0xff)
	odd := new(writer).u(24, 0x4d001e).ue(0, 0, 0, 0).tail264(4).u(1, 1).u(4, 0).u(1, 1).u(32, 0).u(32, 90000).u(1, 1).u(4, 0)
	for _, tt := range []struct {
		name    string
		nal     []byte
		reorder int
	}{
		{"picture order type 1, one reference", poc1, 0},
		{"explicit scaling lists, four references, level 3", lists.nal(0x67), 6},
		{"scaling list that ends at its first value, order type 2", early.nal(0x67), 0},
		{"usability cut short", broken.nal(0x67), 6},
		{"timing without units", odd.nal(0x67), 6},
	} {
		got, err := ParseSPS264(tt.nal)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got.Width != 640 || got.Height != 480 || got.FPS != 0 || got.Reorder != tt.reorder || got.ReorderStated {
			t.Errorf("%s: %+v, want 640x480, no rate, reorder %d unstated", tt.name, got, tt.reorder)
		}
	}
}

// head265 is an H.265 SPS of a 640x480 picture as far as the list of short-term sets.
func head265(layers uint64) *writer {
	w := new(writer).u(4, 0).u(3, layers).u(1, 1).u(8, 1).u(32, 0x60000000).u(48, 0xb<<44).u(8, 93)
	if layers > 0 {
		for range layers {
			w.u(2, 3)
		}
		w.u(int(2*(8-layers)), 0)
		for range layers {
			w.u(44, 0).u(44, 0).u(8, 90)
		}
	}
	w.ue(0, 1, 640, 480).u(1, 0).ue(0, 0, 4).u(1, 1)
	for range layers + 1 {
		w.ue(4, 2, 0)
	}
	return w.ue(0, 3, 0, 3, 0, 0).u(1, 0).u(2, 0).u(1, 0)
}

// timing265 is the rest of an SPS with 10 pictures a second in its VUI.
func (w *writer) timing265() *writer {
	return w.u(1, 0).u(2, 0).u(1, 1).u(4, 0).u(3, 0).u(1, 0).u(1, 1).u(32, 1).u(32, 10).u(1, 0)
}

func TestRareH265(t *testing.T) {
	predicted := head265(2).ue(3)
	predicted.ue(2, 1).ue(0).u(1, 1).ue(1).u(1, 1).ue(0).u(1, 1)        // -1 -3 +1
	predicted.u(1, 1).u(1, 1).ue(0).u(1, 1).u(1, 1).u(2, 1).u(2, 0)     // shifted by -1: -2 -4, 0 kept unused and dropped, not -1
	predicted.u(1, 1).u(1, 0).ue(1).u(1, 1).u(1, 1).u(1, 1).timing265() // two entries and the shift itself
	long := head265(0).ue(0).u(1, 1).ue(2).u(9, 5).u(9, 7)
	long.u(2, 0).u(1, 0)
	for _, tt := range []struct {
		name string
		nal  []byte
		fps  float64
	}{
		{"sets told as differences, three sub-layers", predicted.nal(0x42, 1), 10},
		{"long-term sets, no usability", long.nal(0x42, 1), 0},
	} {
		got, err := ParseSPS265(tt.nal)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got.Width != 640 || got.Height != 480 || got.FPS != tt.fps || got.Reorder != 2 || got.Codec != "hvc1.1.6.L93.B0" {
			t.Errorf("%s: %+v, want 640x480 at %v, reorder 2, hvc1.1.6.L93.B0", tt.name, got, tt.fps)
		}
	}
}

func TestRefusals(t *testing.T) {
	huge264 := new(writer).u(24, 0x4d001e).ue(0, 0, 0, 0).ue(1).u(1, 0).ue(4095, 4095).u(3, 0b110).u(1, 0).u(1, 0)
	vast264 := new(writer).u(24, 0x4d001e).ue(0, 0, 0, 0).ue(1).u(1, 0).ue(1<<32-2, 1<<32-2).u(3, 0b110).u(1, 0).u(1, 0)
	cropped := new(writer).u(24, 0x4d001e).ue(0, 0, 0, 0).ue(1).u(1, 0).ue(39, 29).u(2, 0b11).u(1, 1).ue(0, 320, 0, 0).u(1, 0)
	huge265 := new(writer).u(4, 0).u(3, 0).u(1, 1).u(48, 0).u(48, 0).ue(0, 1, 65535, 65535).u(1, 0)
	for _, tt := range []struct {
		name  string
		codec media.Codec
		nal   []byte
	}{
		{"empty", media.H264, nil},
		{"one byte", media.H264, []byte{0x67}},
		{"a PPS", media.H264, unhex(t, "68ce3c80")},
		{"65,536 a side", media.H264, huge264.nal(0x67)},
		{"2^36 a side", media.H264, vast264.nal(0x67)},
		{"cropped to nothing", media.H264, cropped.nal(0x67)},
		{"too long", media.H264, append(unhex(t, sets[0].nal), make([]byte, maxNAL)...)},
		{"endless zeros", media.H264, append([]byte{0x67, 100, 0, 30}, make([]byte, 100)...)},
		{"H.265 of 65,535 a side", media.H265, huge265.nal(0x42, 1)},
		{"H.265 zeros", media.H265, append([]byte{0x42, 1}, make([]byte, 100)...)},
	} {
		got, err := ParseFormat(&media.Format{Codec: tt.codec, ParameterSets: [][]byte{tt.nal}})
		if !errors.Is(err, ErrParameterSet) {
			t.Errorf("%s: %+v, %v, want a refusal", tt.name, got, err)
		}
	}
}

func TestCodecString(t *testing.T) {
	for _, tt := range []struct {
		f    *media.Format
		want string
	}{
		{&media.Format{Codec: media.AAC, Config: unhex(t, "1408")}, "mp4a.40.2"},
		{&media.Format{Codec: media.AAC, Config: unhex(t, "2b11")}, "mp4a.40.5"},
		{&media.Format{Codec: media.AAC, Config: unhex(t, "f942")}, "mp4a.40.42"},
		{&media.Format{Codec: media.AAC}, ""},
		{&media.Format{Codec: media.Opus}, "opus"},
		{&media.Format{Codec: media.PCMU}, ""},
		{&media.Format{Codec: media.MJPEG}, ""},
		{&media.Format{Codec: media.H264}, ""},
		{nil, ""},
	} {
		if got := CodecString(tt.f); got != tt.want {
			t.Errorf("CodecString(%+v) = %q, want %q", tt.f, got, tt.want)
		}
	}
	video := &media.Format{Codec: media.H264, ParameterSets: [][]byte{unhex(t, sets[0].nal)}}
	if got := CodecStrings([]*media.Format{video, {Codec: media.PCMA}, {Codec: media.Opus}}); got != "avc1.42c028,opus" {
		t.Errorf("CodecStrings = %q", got)
	}
}

func TestKeyframe(t *testing.T) {
	for _, tt := range []struct {
		name  string
		codec media.Codec
		data  string
		want  bool
	}{
		{"IDR after SEI", media.H264, "0000000206050000000365b800", true},
		{"P slice", media.H264, "0000000341e000", false},
		{"H.265 CRA", media.H265, "000000032a0100", true},
		{"H.265 IDR", media.H265, "00000003260100", true},
		{"H.265 trailing", media.H265, "00000003020100", false},
		{"length past the end", media.H264, "ffffffff65b800", false},
		{"empty NAL units", media.H264, "000000000000000065", false},
		{"nothing", media.H264, "", false},
	} {
		if got := Keyframe(tt.codec, unhex(t, tt.data)); got != tt.want {
			t.Errorf("%s: Keyframe = %t", tt.name, got)
		}
	}
}

func FuzzSPS264(f *testing.F) { fuzz(f, media.H264) }
func FuzzSPS265(f *testing.F) { fuzz(f, media.H265) }

func fuzz(f *testing.F, c media.Codec) {
	for _, s := range sets {
		if s.codec == c {
			f.Add(unhex(f, s.nal))
		}
	}
	f.Fuzz(func(t *testing.T, nal []byte) {
		i, err := ParseFormat(&media.Format{Codec: c, ParameterSets: [][]byte{nal}})
		if err != nil {
			return
		}
		if i.Width < 1 || i.Height < 1 || i.Width > maxSide || i.Height > maxSide || i.Width*i.Height > maxArea {
			t.Errorf("picture of %d x %d", i.Width, i.Height)
		}
		if i.FPS < 0 || i.FPS > 1000 || i.Reorder < 0 || i.Reorder > 16 || i.Chroma > 3 || i.LumaBits > 16 {
			t.Errorf("out of range: %+v", i)
		}
	})
}

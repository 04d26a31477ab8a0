package rtp

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	imagejpeg "image/jpeg"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchward/watchward/internal/media"
)

// Parameter sets of real encoders: 768x432 at 10 and 960x540 at 25.
var (
	sps264  = decode("Z2QAFqyyAYBvTUGBgZAAAAMAEAAAAwFA8WLkgA==")
	pps264  = decode("aOvBMsiw")
	sps720  = decode("Z01AH9kA8BF+8BagICAoAAADAAgAAAMBkHjBkkA=")
	pps720  = decode("aOvMsg==")
	vps265  = decode("QAEMAf//AWAAAAMAkAAAAwAAAwBakoCQ")
	sps265  = decode("QgEBAWAAAAMAkAAAAwAAAwBaoAYCAbFlkqSTK5qDAwNwgAAAAwEAAAMADIQ=")
	pps265  = decode("RAHBcrRiQA==")
	idr     = []byte{0x65, 0x88, 0x84, 0x21}
	inter   = []byte{0x41, 0x9a, 0x02, 0x03}
	second  = []byte{0x41, 0x0a, 0x02, 0x03} // a slice that is not the first of its picture
	sei     = []byte{0x06, 0x05, 0x01, 0xaa, 0x80}
	idr265  = []byte{0x26, 0x01, 0xaf, 0x11}
	inter65 = []byte{0x02, 0x01, 0xd0, 0x22}
)

func decode(s string) []byte {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// step is one packet of a script.
type step struct {
	payload []byte
	ts      uint32
	marker  bool
	skip    int // packets lost before it
}

// sink notes what a receiver says, in order.
type sink struct {
	notes   []string
	samples []*media.Sample
}

func (s *sink) Sample(m *media.Sample) {
	kind := "p"
	if m.Keyframe {
		kind = "key"
	}
	s.notes = append(s.notes, fmt.Sprintf("%s %x", kind, m.Data))
	s.samples = append(s.samples, m)
}

func (s *sink) Break(r media.Reason, _ time.Time) { s.notes = append(s.notes, "break "+string(r)) }

var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// feed plays packets to a receiver, each 40 ms after the one before.
func feed(r *Receiver, track int, kind byte, steps []step) {
	seq := uint16(65530)
	for i, st := range steps {
		seq += uint16(st.skip) + 1
		r.RTP(track, rtp(kind, st.marker, seq, st.ts, st.payload), epoch.Add(time.Duration(i)*40*time.Millisecond))
	}
}

func rtp(kind byte, marker bool, seq uint16, ts uint32, payload []byte) []byte {
	if marker {
		kind |= 0x80
	}
	b := []byte{0x80, kind}
	b = binary.BigEndian.AppendUint16(b, seq)
	b = binary.BigEndian.AppendUint32(b, ts)
	b = binary.BigEndian.AppendUint32(b, 7)
	return append(b, payload...)
}

// avcc is NAL units as samples hold them.
func avcc(nals ...[]byte) string {
	var b []byte
	for _, n := range nals {
		b = binary.BigEndian.AppendUint32(b, uint32(len(n)))
		b = append(b, n...)
	}
	return hex.EncodeToString(b)
}

func join(parts ...[]byte) []byte { return slices.Concat(parts...) }

// fu cuts a NAL unit into FU-A of two payload bytes.
func fu(nal []byte) [][]byte {
	var out [][]byte
	rest := nal[1:]
	for first := true; len(rest) > 0; first = false {
		n := min(2, len(rest))
		h := nal[0] & 31
		if first {
			h |= 0x80
		}
		if n == len(rest) {
			h |= 0x40
		}
		out = append(out, join([]byte{nal[0]&0xe0 | 28, h}, rest[:n]))
		rest = rest[n:]
	}
	return out
}

func stap(nals ...[]byte) []byte {
	b := []byte{24}
	for _, n := range nals {
		b = binary.BigEndian.AppendUint16(b, uint16(len(n)))
		b = append(b, n...)
	}
	return b
}

func TestH264(t *testing.T) {
	announced := Config{Codec: media.H264, PayloadType: 96, ClockRate: 90000, ParameterSets: [][]byte{sps264, pps264}}
	silent := announced
	silent.ParameterSets = nil
	pieces := fu(idr)
	start := []byte{0, 0, 0, 1}
	for _, tt := range []struct {
		name   string
		config Config
		steps  []step
		want   []string
	}{
		{"single NAL units", announced, []step{{idr, 0, true, 0}, {inter, 3600, true, 0}}, []string{"key " + avcc(idr), "p " + avcc(inter)}},
		{"pictures before the first keyframe are dropped", announced, []step{{inter, 0, true, 0}, {idr, 3600, true, 0}}, []string{"key " + avcc(idr)}},
		{"FU-A", announced, []step{{pieces[0], 0, false, 0}, {pieces[1], 0, true, 0}}, []string{"key " + avcc(idr)}},
		{"FU-A with start and end both set", announced, []step{{join([]byte{0x7c, 0xc5}, idr[1:]), 0, true, 0}}, []string{"key " + avcc(idr)}},
		{"FU-A without its end bit", announced, []step{{pieces[0], 0, false, 0}, {join(pieces[1][:1], []byte{5}, pieces[1][2:]), 0, true, 0}}, []string{"key " + avcc(idr)}},
		{"FU-A without its start", announced, []step{{idr, 0, true, 0}, {pieces[1], 3600, true, 0}, {idr, 7200, true, 0}}, []string{"key " + avcc(idr), "break corrupt", "key " + avcc(idr)}},
		{"STAP-A; parameter sets are no part of the sample", silent, []step{{stap(sps264, pps264, sei, idr), 0, true, 0}}, []string{"key " + avcc(sei, idr)}},
		{"STAP-A longer than the packet", announced, []step{{idr, 0, true, 0}, {join(stap(inter), []byte{0xff, 0xff, 1}), 3600, true, 0}, {idr, 7200, true, 0}}, []string{"key " + avcc(idr), "break corrupt", "key " + avcc(idr)}},
		{"several slices a picture", announced, []step{{idr, 0, false, 0}, {second, 0, true, 0}, {inter, 3600, false, 0}, {second, 3600, true, 0}}, []string{"key " + avcc(idr, second), "p " + avcc(inter, second)}},
		{"no marker: a new timestamp ends the picture", announced, []step{{idr, 0, false, 0}, {inter, 3600, false, 0}, {inter, 7200, false, 0}}, []string{"key " + avcc(idr), "p " + avcc(inter)}},
		{"marker on SEI and parameter sets", silent, []step{{sps264, 0, true, 0}, {pps264, 0, true, 0}, {sei, 0, true, 0}, {idr, 0, true, 0}}, []string{"key " + avcc(sei, idr)}},
		{"parameter sets with a timestamp of their own", silent, []step{{sps264, 0, true, 0}, {pps264, 1, true, 0}, {idr, 3600, true, 0}}, []string{"key " + avcc(idr)}},
		{
			"markers on each slice: learnt at the first, then right", announced,
			[]step{{idr, 0, true, 0}, {second, 0, true, 0}, {idr, 3600, true, 0}, {second, 3600, true, 0}, {inter, 7200, true, 0}},
			[]string{"key " + avcc(idr), "break corrupt", "key " + avcc(idr, second)},
		},
		{"delimiters and filler are dropped", announced, []step{{[]byte{9, 0xf0}, 0, false, 0}, {[]byte{12, 0xff, 0xff}, 0, false, 0}, {idr, 0, true, 0}}, []string{"key " + avcc(idr)}},
		{"Annex B inside a NAL unit", silent, []step{{join(sps264, start, pps264, start, idr), 0, true, 0}}, []string{"key " + avcc(idr)}},
		{"Annex B with start codes in front", silent, []step{{join(start, sps264, start, pps264, start[1:], idr), 0, true, 0}}, []string{"key " + avcc(idr)}},
		{"empty and one-byte payloads", announced, []step{{nil, 0, false, 0}, {[]byte{28}, 0, false, 0}, {[]byte{24}, 0, false, 0}, {idr, 0, true, 0}}, []string{"key " + avcc(idr)}},
		{"a lost packet costs everything to the next keyframe", announced, []step{{idr, 0, true, 0}, {inter, 3600, true, 1}, {inter, 7200, true, 1}, {idr, 10800, true, 0}, {inter, 14400, true, 0}}, []string{"key " + avcc(idr), "break packet-loss", "key " + avcc(idr), "p " + avcc(inter)}},
		{"loss before the first keyframe breaks nothing", announced, []step{{inter, 0, true, 0}, {idr, 3600, true, 5}}, []string{"key " + avcc(idr)}},
		{"recovery point instead of IDR", announced, []step{{[]byte{6, 6, 1, 0xc4, 0x80}, 0, false, 0}, {[]byte{0x61, 0x88, 0x80, 0x11}, 0, true, 0}}, []string{"key " + avcc([]byte{6, 6, 1, 0xc4, 0x80}, []byte{0x61, 0x88, 0x80, 0x11})}},
		{"a keyframe nobody can decode", silent, []step{{idr, 0, true, 0}, {inter, 3600, true, 0}}, nil},
		{"parameter sets that cannot be read", silent, []step{{[]byte{0x67, 0xff}, 0, false, 0}, {pps264, 0, false, 0}, {idr, 0, true, 0}}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s sink
			r := NewReceiver(&tt.config, nil, &s)
			feed(r, 0, 96, tt.steps)
			if !slices.Equal(s.notes, tt.want) {
				t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(s.notes, "\n\t"), strings.Join(tt.want, "\n\t"))
			}
			for _, m := range s.samples {
				if m.Format == nil || m.Format.Width != 768 || m.Format.Height != 432 || len(m.Format.ParameterSets) != 2 {
					t.Errorf("format %+v", m.Format)
				}
			}
		})
	}
}

func TestH265(t *testing.T) {
	c := Config{Codec: media.H265, PayloadType: 96, ClockRate: 90000}
	ap := []byte{48 << 1, 1}
	for _, n := range [][]byte{vps265, sps265, pps265} {
		ap = join(binary.BigEndian.AppendUint16(ap, uint16(len(n))), n)
	}
	fus := [][]byte{join([]byte{49 << 1, 1, 0x80 | 19}, idr265[2:3]), join([]byte{49 << 1, 1, 0x40 | 19}, idr265[3:])}
	for _, tt := range []struct {
		name  string
		don   bool
		steps []step
	}{
		{"single, AP", false, []step{{ap, 0, false, 0}, {idr265, 0, true, 0}, {inter65, 3600, true, 0}}},
		{"FU", false, []step{{ap, 0, true, 0}, {fus[0], 0, false, 0}, {fus[1], 0, true, 0}, {inter65, 3600, true, 0}}},
		{"decoding order numbers", true, []step{
			{join(vps265[:2], []byte{0, 0}, vps265[2:]), 0, false, 0},
			{join(sps265[:2], []byte{0, 1}, sps265[2:]), 0, false, 0},
			{join(pps265[:2], []byte{0, 2}, pps265[2:]), 0, false, 0},
			{join(fus[0][:3], []byte{0, 3}, fus[0][3:]), 0, false, 0},
			{fus[1], 0, true, 0},
			{join(inter65[:2], []byte{0, 4}, inter65[2:]), 3600, true, 0},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := c
			c.DON = tt.don
			var s sink
			r := NewReceiver(&c, nil, &s)
			feed(r, 0, 96, tt.steps)
			if want := []string{"key " + avcc(idr265), "p " + avcc(inter65)}; !slices.Equal(s.notes, want) {
				t.Fatalf("got %v, want %v", s.notes, want)
			}
			if f := s.samples[0].Format; f.Width != 768 || f.Height != 432 || len(f.ParameterSets) != 3 || !bytes.Equal(f.ParameterSets[0], vps265) {
				t.Errorf("format %+v", f)
			}
		})
	}
}

func TestFormatChanges(t *testing.T) {
	c := Config{Codec: media.H264, PayloadType: 96, ClockRate: 90000, ParameterSets: [][]byte{sps264, pps264}}
	var s sink
	r := NewReceiver(&c, nil, &s)
	feed(r, 0, 96, []step{
		{stap(sps264, pps264, idr), 0, true, 0},
		{inter, 3600, true, 0},
		{stap(sps264, pps264, idr), 7200, true, 0},
		{stap(sps720, pps720, idr), 10800, true, 0},
		{inter, 14400, true, 0},
	})
	if len(s.samples) != 5 {
		t.Fatalf("notes %v", s.notes)
	}
	f := func(i int) *media.Format { return s.samples[i].Format }
	if f(0) != f(1) || f(1) != f(2) {
		t.Error("a new format though nothing changed")
	}
	if f(3) == f(2) || f(3) != f(4) || f(3).Width != 960 || f(0).Width != 768 || len(f(3).ParameterSets) != 2 {
		t.Errorf("after the change: %+v, then %+v", f(3), f(4))
	}
}

// TestTime gives each picture's timestamp and arrival, both in seconds.
func TestTime(t *testing.T) {
	even := func(n int) (all []float64) {
		for i := range n {
			all = append(all, float64(i)*0.04)
		}
		return all
	}
	with := func(n, at int, shift float64, only bool) []float64 {
		all := even(n)
		for i := at; i < n; i++ {
			if all[i] += shift; only {
				break
			}
		}
		return all
	}
	for _, tt := range []struct {
		name   string
		ts     []float64
		keys   int // every so many
		breaks int
	}{
		{"steady", even(60), 10, 0},
		{"wraps at 2^32", with(60, 0, 47721.8, false), 10, 0},
		{"one picture hours back (Intelbras)", with(60, 25, -9800, true), 10, 0},
		{"one picture hours ahead (Intelbras)", with(60, 25, 37600, true), 10, 0},
		{"restart at 0 (Tapo)", with(60, 25, -1, false), 10, 1},
		{"a step ahead by an hour", with(60, 25, 3600, false), 10, 1},
		{"a step back by a minute", with(60, 25, -60, false), 10, 1},
		{"standing still", make([]float64, 60), 10, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := Config{Codec: media.H264, PayloadType: 96, ClockRate: 90000, ParameterSets: [][]byte{sps264, pps264}}
			var s sink
			r := NewReceiver(&c, nil, &s)
			for i, ts := range tt.ts {
				nal := inter
				if i%tt.keys == 0 {
					nal = idr
				}
				r.RTP(0, rtp(96, true, uint16(i), uint32(int64(ts*90000)), nal), epoch.Add(time.Duration(i)*40*time.Millisecond))
			}
			if len(s.samples) != len(tt.ts) {
				t.Errorf("%d pictures, want all %d", len(s.samples), len(tt.ts))
			}
			breaks := 0
			for _, n := range s.notes {
				if n == "break time-jump" {
					breaks++
				} else if strings.HasPrefix(n, "break") {
					t.Error(n)
				}
			}
			if breaks != tt.breaks {
				t.Errorf("%d breaks, want %d", breaks, tt.breaks)
			}
			for i, m := range s.samples[1:] {
				d := m.DTS - s.samples[i].DTS
				if d <= 0 || d > 3*3600 || m.PTS != m.DTS {
					t.Fatalf("picture %d: %d after %d", i+1, m.DTS, s.samples[i].DTS)
				}
			}
			last := s.samples[len(s.samples)-1].PTS - s.samples[0].PTS
			if off := last - int64(len(tt.ts)-1)*3600; tt.name != "standing still" && (off > 7200 || off < -7200) {
				t.Errorf("the whole takes %d ticks too long", off)
			}
		})
	}
}

func TestReorderedPictures(t *testing.T) {
	l := timeline{}
	l.setup(90000, 25, 2, 0)
	// I P B b P B b: shown at 0 3 1 2 6 4 5.
	var before int64 = -1 << 60
	for i, shown := range []int64{0, 3, 1, 2, 6, 4, 5, 7, 10, 8, 9} {
		pts, dts, kind := l.stamp(uint32(4000000000+shown*3600), epoch.Add(time.Duration(i)*40*time.Millisecond))
		if kind != steady || dts <= before || dts > pts {
			t.Errorf("picture %d: PTS %d DTS %d after %d", i, pts, dts, before)
		}
		if want := 2*3600 + shown*3600; pts != want {
			t.Errorf("picture %d: PTS %d, want %d", i, pts, want)
		}
		before = dts
	}
}

func TestUnannouncedReordering(t *testing.T) {
	l := timeline{}
	l.setup(90000, 25, 0, 4)
	kinds := ""
	for i, shown := range []int64{0, 3, 1, 2, 6} {
		_, _, kind := l.stamp(uint32(shown*3600), epoch.Add(time.Duration(i)*40*time.Millisecond))
		kinds += fmt.Sprint(int(kind))
		if kind == reordered {
			l.endRun()
		}
	}
	if kinds != "00200" || l.depth != 4 {
		t.Errorf("kinds %s, depth %d", kinds, l.depth)
	}
}

func TestAAC(t *testing.T) {
	c, ok := CompleteAAC(Config{Codec: media.AAC, PayloadType: 97, ClockRate: 16000, SizeBits: 13, IndexBits: 3, IndexDeltaBits: 3, Config: []byte{0x14, 0x08}})
	if !ok || c.SampleRate != 16000 || c.Channels != 1 || c.FrameLength != 1024 {
		t.Fatalf("config %+v", c)
	}
	header := func(sizes ...int) []byte {
		b := binary.BigEndian.AppendUint16(nil, uint16(16*len(sizes)))
		for _, n := range sizes {
			b = binary.BigEndian.AppendUint16(b, uint16(n<<3))
		}
		return b
	}
	video := Config{Codec: media.H264, PayloadType: 96, ClockRate: 90000, ParameterSets: [][]byte{sps264, pps264}}
	for _, tt := range []struct {
		name  string
		steps []step
		want  []string
		times []int64 // distance from the first
	}{
		{"one unit", []step{{join(header(3), []byte("abc")), 1, true, 0}, {join(header(2), []byte("de")), 1025, true, 0}}, []string{"key 616263", "key 6465"}, []int64{0, 1024}},
		{"several units a packet", []step{{join(header(3, 2), []byte("abcde")), 1, true, 0}}, []string{"key 616263", "key 6465"}, []int64{0, 1024}},
		{"a unit in pieces", []step{{join(header(5), []byte("abc")), 1, false, 0}, {join(header(5), []byte("de")), 1, true, 0}}, []string{"key 6162636465"}, []int64{0}},
		{"a lost piece costs its unit", []step{{join(header(5), []byte("abc")), 1, false, 0}, {join(header(5), []byte("de")), 1, true, 1}, {join(header(2), []byte("de")), 1025, true, 0}}, []string{"key 6465"}, []int64{0}},
		{"header longer than the packet", []step{{[]byte{0xff, 0xff, 1}, 1, true, 0}, {join(header(2), []byte("de")), 1025, true, 0}}, []string{"key 6465"}, []int64{0}},
		{"wraps at 2^32", []step{{join(header(1), []byte("a")), 0xffffff00, true, 0}, {join(header(1), []byte("b")), 0x300, true, 0}}, []string{"key 61", "key 62"}, []int64{0, 1024}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s sink
			r := NewReceiver(&video, &c, &s)
			r.RTP(0, rtp(96, true, 1, 0, idr), epoch)
			s.notes, s.samples = nil, nil
			feed(r, 1, 97, tt.steps)
			if !slices.Equal(s.notes, tt.want) {
				t.Fatalf("got %v, want %v", s.notes, tt.want)
			}
			for i, m := range s.samples {
				if m.Track != 1 || m.PTS-s.samples[0].PTS != tt.times[i] {
					t.Errorf("unit %d: track %d at %d, want %d", i, m.Track, m.PTS-s.samples[0].PTS, tt.times[i])
				}
			}
		})
	}
}

func TestLATM(t *testing.T) {
	// A StreamMuxConfig around 14 08 (AAC-LC, 16 kHz, mono), as ffmpeg writes it.
	mux, _ := hex.DecodeString("40002810" + "3fc0")
	config, ok := LATMConfig(mux)
	if !ok || !bytes.Equal(config, []byte{0x14, 0x08}) {
		t.Fatalf("config %x, %t", config, ok)
	}
	c, _ := CompleteAAC(Config{Codec: media.AAC, PayloadType: 97, ClockRate: 16000, LATM: true, Config: config})
	video := Config{Codec: media.H264, PayloadType: 96, ClockRate: 90000, ParameterSets: [][]byte{sps264, pps264}}
	var s sink
	r := NewReceiver(&video, &c, &s)
	r.RTP(0, rtp(96, true, 1, 0, idr), epoch)
	feed(r, 1, 97, []step{{[]byte("\x03abc\x02de"), 1, true, 0}, {[]byte("\xff"), 2049, true, 0}})
	if want := []string{"key 616263", "key 6465"}; !slices.Equal(s.notes[1:], want) {
		t.Errorf("got %v, want %v", s.notes[1:], want)
	}
}

// TestAudioAlongPictures: sender reports say that audio was captured half a
// second before the pictures that it arrived with.
func TestAudioAlongPictures(t *testing.T) {
	video := Config{Codec: media.H264, PayloadType: 96, ClockRate: 90000, ParameterSets: [][]byte{sps264, pps264}}
	audio := Config{Codec: media.PCMA, PayloadType: 8, ClockRate: 8000, Channels: 1}
	report := func(ntp uint64, ts uint32) []byte {
		b := []byte{0x80, 200, 0, 6, 0, 0, 0, 7}
		b = binary.BigEndian.AppendUint64(b, ntp)
		b = binary.BigEndian.AppendUint32(b, ts)
		return append(b, make([]byte, 8)...)
	}
	var s sink
	r := NewReceiver(&video, &audio, &s)
	r.RTP(0, rtp(96, true, 1, 900000, idr), epoch)
	r.RTP(1, rtp(8, true, 1, 50000, make([]byte, 160)), epoch)
	if got := s.samples[1].PTS; got != 0 {
		t.Errorf("by arrival audio begins at %d, want 0", got)
	}
	const noon = uint64(4133980800) << 32 // 2031
	r.RTCP(0, report(noon, 900000), epoch)
	r.RTCP(1, report(noon+1<<31, 50000), epoch) // half a second later
	r.RTP(1, rtp(8, true, 2, 50160, make([]byte, 160)), epoch.Add(20*time.Millisecond))
	if got := s.samples[2].PTS; got != 4000+160 {
		t.Errorf("by sender reports the next unit lies at %d, want 4160", got)
	}
	if r.ClockOffset() < 300*24*time.Hour {
		t.Errorf("clock offset %s", r.ClockOffset())
	}
	rr := r.AppendReport(nil, 0, epoch.Add(time.Second))
	if len(rr) != 48 || rr[1] != 201 || binary.BigEndian.Uint32(rr[8:]) != 7 || binary.BigEndian.Uint32(rr[16:]) != 1 {
		t.Errorf("receiver report %x", rr)
	}
}

func TestNumbering(t *testing.T) {
	for _, tt := range []struct {
		name string
		seqs []uint16
		want string // T take, G gap, D drop, per packet
		lost uint64
	}{
		{"in order across the wrap", []uint16{65534, 65535, 0, 1}, "TTTT", 0},
		{"duplicate", []uint16{1, 2, 2, 3}, "TTDT", 0},
		{"late", []uint16{1, 3, 2, 4}, "TGDT", 1},
		{"gap across the wrap", []uint16{65534, 2}, "TG", 3},
		{"numbering anew", []uint16{40000, 5}, "TG", 25540},
		{"numbering anew, far back", []uint16{10000, 5}, "TG", 1},
	} {
		s := source{kind: 96}
		got := ""
		for _, n := range tt.seqs {
			v, _ := s.accept(&packet{seq: n, kind: 96, ssrc: 1})
			got += string("TGDR"[v])
		}
		if got != tt.want || s.lost != tt.lost {
			t.Errorf("%s: %s and %d lost, want %s and %d", tt.name, got, s.lost, tt.want, tt.lost)
		}
	}
	t.Run("numbers that stand still", func(t *testing.T) {
		s := source{kind: 96}
		taken := 0
		for range 200 {
			if v, _ := s.accept(&packet{seq: 5, kind: 96}); v == take {
				taken++
			}
		}
		if taken < 100 {
			t.Errorf("%d of 200 packets taken", taken)
		}
	})
	t.Run("two sources on one channel", func(t *testing.T) {
		s := source{kind: 96}
		for i := range 100 {
			v, _ := s.accept(&packet{seq: uint16(i), kind: 96, ssrc: uint32(i & 1), timestamp: 1})
			if i&1 == 1 && v != drop {
				t.Fatalf("packet %d of the second source: %v", i, v)
			}
		}
	})
	t.Run("another payload type than announced", func(t *testing.T) {
		s := source{kind: 96}
		taken := 0
		for i := range 200 {
			if v, _ := s.accept(&packet{seq: uint16(i), kind: 98}); v == take {
				taken++
			}
		}
		if taken < 100 {
			t.Errorf("%d of 200 packets taken", taken)
		}
	})
}

func TestParsePacket(t *testing.T) {
	base := rtp(96, false, 1, 1, []byte("abcd"))
	change := func(f func(b []byte) []byte) []byte { return f(bytes.Clone(base)) }
	for _, tt := range []struct {
		name string
		b    []byte
		want string // payload, or "bad"
	}{
		{"plain", base, "abcd"},
		{"empty", nil, "bad"},
		{"short", base[:11], "bad"},
		{"version 1", change(func(b []byte) []byte { b[0] = 0x40; return b }), "bad"},
		{"padding", change(func(b []byte) []byte { b[0] |= 0x20; b[15] = 3; return b }), "a"},
		{"padding longer than the packet", change(func(b []byte) []byte { b[0] |= 0x20; b[15] = 200; return b }), "bad"},
		{"contributing sources beyond the end", change(func(b []byte) []byte { b[0] |= 15; return b }), "bad"},
		{"one contributing source", change(func(b []byte) []byte { b[0] |= 1; return b }), ""},
		{"extension beyond the end", change(func(b []byte) []byte { b[0] |= 0x10; return b }), "bad"},
		{"extension", change(func(b []byte) []byte { b[0] |= 0x10; b[14], b[15] = 0, 1; return append(b, "wxyzdata"...) }), "data"},
	} {
		var p packet
		got := "bad"
		if p.parse(tt.b) == nil {
			got = string(p.payload)
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestJPEG(t *testing.T) {
	c := Config{Codec: media.MJPEG, PayloadType: 26, ClockRate: 90000}
	// One 16x16 block row of nothing but end-of-block codes would do for a
	// decoder; here the bytes only have to come back between the headers.
	head := func(offset int, kind, q byte) []byte {
		return []byte{0, byte(offset >> 16), byte(offset >> 8), byte(offset), kind, q, 2, 2}
	}
	scan := bytes.Repeat([]byte{0x28, 0xa2, 0x80}, 10)
	for _, tt := range []struct {
		name  string
		steps []step
		want  int // pictures
	}{
		{"two fragments", []step{{join(head(0, 1, 50), scan[:10]), 0, false, 0}, {join(head(10, 1, 50), scan[10:]), 0, true, 0}}, 1},
		{"a fragment missing", []step{{join(head(0, 1, 50), scan[:10]), 0, false, 0}, {join(head(20, 1, 50), scan[20:]), 0, true, 1}, {join(head(0, 1, 50), scan), 3600, true, 0}}, 1},
		{"beginning missing", []step{{join(head(20, 1, 50), scan[20:]), 0, true, 0}}, 0},
		{"tables in band, then by reference", []step{
			{join(head(0, 1, 200), []byte{0, 0, 0, 128}, bytes.Repeat([]byte{1}, 128), scan), 0, true, 0},
			{join(head(0, 1, 200), []byte{0, 0, 0, 0}, scan), 3600, true, 0},
		}, 2},
		{"tables that never came", []step{{join(head(0, 1, 200), []byte{0, 0, 0, 0}, scan), 0, true, 0}}, 0},
		{"restart intervals", []step{{join(head(0, 65, 50), []byte{0, 4, 0xff, 0xff}, scan), 0, true, 0}}, 1},
		{"table length beyond the packet", []step{{join(head(0, 1, 255), []byte{0, 0, 0xff, 0xff}, scan), 0, true, 0}}, 0},
		{"unknown type", []step{{join(head(0, 5, 50), scan), 0, true, 0}}, 0},
		{"no marker", []step{{join(head(0, 1, 50), scan), 0, false, 0}, {join(head(0, 1, 50), scan), 3600, false, 0}}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s sink
			r := NewReceiver(&c, nil, &s)
			feed(r, 0, 26, tt.steps)
			if len(s.samples) != tt.want {
				t.Fatalf("%d pictures, want %d", len(s.samples), tt.want)
			}
			for _, m := range s.samples {
				cfg, err := imagejpeg.DecodeConfig(bytes.NewReader(m.Data))
				if err != nil || cfg.Width != 16 || cfg.Height != 16 || !m.Keyframe {
					t.Errorf("config %+v, %v", cfg, err)
				}
			}
		})
	}
}

// TestNeverEndingPicture: a fragment that goes on and on may not fill memory.
func TestNeverEndingPicture(t *testing.T) {
	c := Config{Codec: media.H264, PayloadType: 96, ClockRate: 90000, ParameterSets: [][]byte{sps264, pps264}}
	var s sink
	r := NewReceiver(&c, nil, &s)
	b := make([]byte, 60000)
	b[0], b[1] = 0x7c, 0x85
	for i := range 1000 {
		r.RTP(0, rtp(96, false, uint16(i), 0, b), epoch)
		b[1] = 5
		if v := r.video.depacketizer.(*pictures); len(v.arena.Open()) > maxSample+1<<16 {
			t.Fatalf("holds %d bytes", len(v.arena.Open()))
		}
	}
	if r.Stats().Dropped == 0 {
		t.Error("nothing was given up")
	}
}

func FuzzReceiver(f *testing.F) {
	for _, n := range [][]byte{idr, inter, sei, stap(sps264, pps264, idr), fu(idr)[0], vps265, sps265, idr265} {
		f.Add(uint8(0), n)
	}
	f.Add(uint8(2), join([]byte{0, 0, 0, 0, 65, 200, 2, 2, 0, 1, 0, 0, 0, 0, 0, 128}, make([]byte, 140)))
	f.Add(uint8(3), []byte("\x00\x10\x00\x18abc"))
	f.Add(uint8(4), []byte("\x03abc\x02de"))
	aac, _ := CompleteAAC(Config{Codec: media.AAC, PayloadType: 96, ClockRate: 16000, SizeBits: 13, IndexBits: 3, IndexDeltaBits: 3, Config: []byte{0x14, 0x08}})
	latm := aac
	latm.LATM = true
	configs := []Config{
		{Codec: media.H264, PayloadType: 96, ClockRate: 90000, ParameterSets: [][]byte{sps264, pps264}},
		{Codec: media.H265, PayloadType: 96, ClockRate: 90000, ParameterSets: [][]byte{vps265, sps265, pps265}},
		{Codec: media.MJPEG, PayloadType: 96, ClockRate: 90000},
		aac, latm,
		{Codec: media.H265, PayloadType: 96, ClockRate: 90000, DON: true, ParameterSets: [][]byte{vps265, sps265, pps265}},
		{Codec: media.Opus, PayloadType: 96, ClockRate: 48000, Channels: 2},
	}
	// Every byte 0xfe begins another packet; the two before its payload steer
	// its header.
	f.Fuzz(func(t *testing.T, which uint8, script []byte) {
		video := configs[int(which)%len(configs)]
		var audio *Config
		if !video.Codec.Video() {
			a := video
			video, audio = configs[0], &a
		}
		var s sink
		r := NewReceiver(&video, audio, &s)
		now, ts, seq := epoch, uint32(0), uint16(0)
		for i, p := range bytes.Split(script, []byte{0xfe}) {
			var steer [2]byte
			p = p[copy(steer[:], p):]
			seq += 1 + uint16(steer[0]>>6)
			ts += uint32(steer[1]&15) * 900 << (steer[1] >> 5)
			now = now.Add(time.Duration(steer[0]&31) * time.Millisecond)
			track := 0
			if audio != nil && i > 0 {
				track = 1
			}
			b := rtp(96, steer[0]&32 != 0, seq, ts, p)
			r.RTP(track, b, now)
			r.RTCP(track, p, now)
			_ = r.AppendReport(nil, track, now)
		}
		last := [2]int64{-1 << 62, -1 << 62}
		next := 0
		for _, n := range s.notes {
			if strings.HasPrefix(n, "break") {
				last[0] = -1 << 62
				continue
			}
			m := s.samples[next]
			next++
			if m.DTS <= last[m.Track] || m.PTS < m.DTS || m.Format == nil {
				t.Fatalf("sample %d: PTS %d DTS %d after %d", next, m.PTS, m.DTS, last[m.Track])
			}
			last[m.Track] = m.DTS
			if c := m.Format.Codec; c == media.H264 || c == media.H265 {
				for d := m.Data; len(d) > 0; {
					n := int(binary.BigEndian.Uint32(d[:4]))
					if n == 0 || n > len(d)-4 {
						t.Fatalf("NAL unit of %d bytes in %d", n, len(d))
					}
					d = d[4+n:]
				}
			}
			m.Release()
		}
		r.Close()
	})
}

// BenchmarkReceive turns 25 pictures of 20 kB, in packets of 1,400 bytes, into
// samples: one camera's second at 4 Mbit/s.
func BenchmarkReceive(b *testing.B) {
	c := Config{Codec: media.H264, PayloadType: 96, ClockRate: 90000, ParameterSets: [][]byte{sps264, pps264}}
	var packets [][]byte
	for i := range 25 {
		h := byte(1)
		if i == 0 {
			h = 5
		}
		for j := range 15 {
			p := make([]byte, 1400)
			p[0], p[1], p[2] = 0x7c, h, 0x88
			if j == 0 {
				p[1] |= 0x80
			} else if j == 14 {
				p[1] |= 0x40
			}
			packets = append(packets, rtp(96, j == 14, 0, uint32(i*3600), p))
		}
	}
	r := NewReceiver(&c, nil, discard{})
	seq, now, ts := uint16(0), epoch, uint32(0)
	b.SetBytes(int64(len(packets) * 1412))
	b.ReportAllocs()
	for b.Loop() {
		for i, p := range packets {
			binary.BigEndian.PutUint16(p[2:], seq)
			binary.BigEndian.PutUint32(p[4:], ts+uint32(i/15*3600))
			seq++
			r.RTP(0, p, now)
		}
		ts += 90000
		now = now.Add(time.Second)
	}
}

type discard struct{}

func (discard) Sample(m *media.Sample)        { m.Release() }
func (discard) Break(media.Reason, time.Time) {}

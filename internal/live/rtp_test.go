package live

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	rtpcodecs "github.com/pion/rtp/codecs"

	"github.com/watchward/watchward/internal/media"
)

// sampleOf makes a sample of NAL units.
func sampleOf(f *media.Format, key bool, nals ...[]byte) *media.Sample {
	var data []byte
	for _, nal := range nals {
		data = binary.BigEndian.AppendUint32(data, uint32(len(nal)))
		data = append(data, nal...)
	}
	s := media.NewSample(data)
	s.Format, s.Keyframe = f, key
	return s
}

func unit(kind byte, size int) []byte {
	return append([]byte{kind}, bytes.Repeat([]byte{kind ^ 0x5a}, size-1)...)
}

func TestPack(t *testing.T) {
	f := h264(t, baseSPS, basePPS)
	sps, pps := f.ParameterSets[0], f.ParameterSets[1]
	small, large, sei := unit(0x41, 900), unit(0x65, 5000), unit(0x06, 40)
	for _, tt := range []struct {
		name    string
		key     bool
		nals    [][]byte
		packets int
		want    [][]byte
	}{
		{"one slice", false, [][]byte{small}, 1, [][]byte{small}},
		{"two slices", false, [][]byte{small, small}, 2, [][]byte{small, small}},
		{"exactly full", false, [][]byte{unit(0x41, payloadSize)}, 1, [][]byte{unit(0x41, payloadSize)}},
		{"one byte more", false, [][]byte{unit(0x41, payloadSize+1)}, 2, [][]byte{unit(0x41, payloadSize+1)}},
		{"keyframe gets its parameter sets", true, [][]byte{large}, 1 + 5, [][]byte{sps, pps, large}},
		{"keyframe that brings its own", true, [][]byte{sps, pps, sei, large}, 1 + 5, [][]byte{sps, pps, sei, large}},
		{"delimiters and filler go", false, [][]byte{{0x09, 0xf0}, small, unit(0x0c, 300)}, 1, [][]byte{small}},
		{"what would pass for a packet goes", false, [][]byte{unit(0x78, 30), unit(0x7c, 30), small}, 1, [][]byte{small}},
		{"long parameter sets", false, [][]byte{unit(0x67, 700), unit(0x68, 700), small}, 3, [][]byte{unit(0x67, 700), unit(0x68, 700), small}},
		{"nothing", true, nil, 0, nil},
	} {
		s := sampleOf(f, tt.key, tt.nals...)
		var p packer
		var back rtpcodecs.H264Packet
		var got []byte
		packets, lasts := 0, 0
		err := p.pack(s, func(payload []byte, last bool) error {
			if packets++; last {
				lasts++
			}
			if len(payload) > payloadSize {
				t.Errorf("%s: packet of %d bytes", tt.name, len(payload))
			}
			data, err := back.Unmarshal(bytes.Clone(payload))
			got = append(got, data...)
			return err
		})
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		var want []byte
		for _, nal := range tt.want {
			want = append(append(want, 0, 0, 0, 1), nal...)
		}
		if !bytes.Equal(got, want) || packets != tt.packets || lasts != min(packets, 1) {
			t.Errorf("%s: %d packets (%d last), %d bytes; want %d packets, %d bytes", tt.name, packets, lasts, len(got), tt.packets, len(want))
		}
		s.Release()
	}
}

func FuzzPack(f *testing.F) {
	f.Add([]byte{0, 0, 0, 2, 0x65, 1, 0, 0, 0, 1, 0x41}, []byte{0x67, 1, 2}, true)
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x65}, []byte{}, true)
	f.Add(append([]byte{0, 0, 0x10, 0}, make([]byte, 0x1000)...), []byte(nil), false)
	f.Fuzz(func(t *testing.T, data, sps []byte, key bool) {
		s := media.NewSample(data)
		s.Format, s.Keyframe = &media.Format{Codec: media.H264, ParameterSets: [][]byte{sps}}, key
		var p packer
		packets, last := 0, false
		if err := p.pack(s, func(payload []byte, l bool) error {
			if len(payload) == 0 || len(payload) > payloadSize || last {
				t.Fatalf("packet %d of %d bytes, after the last: %t", packets, len(payload), last)
			}
			packets, last = packets+1, l
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if packets > 0 && !last {
			t.Fatal("no packet was the last")
		}
	})
}

func TestRTPClock(t *testing.T) {
	at := func(ms int) time.Time { return time.Unix(0, 0).Add(time.Duration(ms) * time.Millisecond) }
	c := newRTPClock(90000)
	first := c.live(5000, at(0))
	for _, tt := range []struct {
		name   string
		in     int64
		now    int
		adrift bool
		want   uint32 // after first
	}{
		{"next picture", 5000 + 3600, 40, false, 3600},
		{"skipped some", 5000 + 5*3600, 200, false, 5 * 3600},
		{"same time again", 5000 + 5*3600, 201, false, 5*3600 + 90},
		{"a new run two seconds later", 77, 2200, true, 5*3600 + 90 + 179910},
		{"and on", 77 + 3600, 2240, false, 5*3600 + 90 + 179910 + 3600},
		{"camera jumped an hour ahead", 77 + 3600*90000, 2280, false, 5*3600 + 90 + 179910 + 3600 + 3600},
		{"and back", 77, 2320, false, 5*3600 + 90 + 179910 + 3600 + 3600 + 3600},
	} {
		c.adrift = c.adrift || tt.adrift
		if got := c.live(tt.in, at(tt.now)) - first; got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
	past := newRTPClock(90000)
	steps := []int64{900, 90, 90, 90}
	stamps := past.burst(100_000, steps, at(0))
	if got := past.live(103_600, at(40)) - stamps[3]; got != 3600 {
		t.Errorf("first of the present is %d after the past, want 3600", got)
	}
	for i, s := range stamps[1:] {
		if s-stamps[i] != 90 {
			t.Errorf("past: step %d is %d, want 90", i+1, s-stamps[i])
		}
	}
}

func TestPacer(t *testing.T) {
	var p pacer
	begin := time.Now()
	const sent = 1 << 20
	for range sent / payloadSize {
		if err := p.wait(t.Context(), payloadSize); err != nil {
			t.Fatal(err)
		}
	}
	took, want := time.Since(begin), time.Second*sent/sendRate
	if took < want/2 || took > 3*want {
		t.Errorf("1 MiB took %s, want about %s", took, want)
	}
}

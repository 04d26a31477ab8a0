package simulate

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/watchward/watchward/internal/media"
	"github.com/watchward/watchward/internal/simulate/scenes"
)

// shared is the folder of shared material, or skips the test.
func shared(t testing.TB, sub string) string {
	t.Helper()
	root := os.Getenv("WATCHWARD_SHARED")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared")
	}
	dir := filepath.Join(root, sub)
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no shared material: %v", err)
	}
	return dir
}

func TestSharedFootageDemuxes(t *testing.T) {
	dir := shared(t, "video")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		switch filepath.Ext(e.Name()) {
		case ".mp4", ".mkv", ".avi":
		default:
			continue
		}
		t.Run(e.Name(), func(t *testing.T) {
			s, err := footageSource(filepath.Join(dir, e.Name()), -1)
			if err != nil {
				t.Fatal(err)
			}
			v := s.video
			if v.loop() <= 0 || len(v.frames) < 10 || v.format.Width < 64 || !v.frames[0].key {
				t.Errorf("%d frames in %v, %d pixels wide, first a keyframe: %t", len(v.frames), v.loop(), v.format.Width, v.frames[0].key)
			}
			for name, codec := range map[string]media.Codec{"h265": media.H265, "mjpeg": media.MJPEG} {
				if strings.Contains(e.Name(), name) != (v.format.Codec == codec) {
					t.Errorf("video codec %v", v.format.Codec)
				}
			}
			for name, codec := range map[string]media.Codec{"aac": media.AAC, "pcma": media.PCMA} {
				if strings.Contains(e.Name(), name) && (s.audio == nil || s.audio.format.Codec != codec) {
					t.Errorf("audio %+v, want %v", s.audio, codec)
				}
			}
		})
	}
}

func TestFootageNamesWhatItCannotPlay(t *testing.T) {
	for _, tt := range []struct{ name, file, text, want string }{
		{"no files", "readme.txt", "x", "found none"},
		{"not a video", "holiday.mp4", "not a video at all", `"holiday.mp4": neither MP4, MKV nor AVI`},
		{"cut short", "cut.mp4", "\x00\x00\x00\x10ftypisom\x00\x00\x00\x00", `"cut.mp4": no moov box`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, tt.file), []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := New(Options{Footage: dir})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New = %v, want %q in it", err, tt.want)
			}
		})
	}
}

// box makes an MP4 box of its pieces.
func box(kind string, pieces ...[]byte) []byte {
	body := bytes.Join(pieces, nil)
	b := binary.BigEndian.AppendUint32(nil, uint32(8+len(body)))
	return append(append(b, kind...), body...)
}

// u32s is a run of 32-bit numbers.
func u32s(v ...uint32) []byte {
	var b []byte
	for _, x := range v {
		b = binary.BigEndian.AppendUint32(b, x)
	}
	return b
}

// fragmented is a file of two fragments of H.264, two frames each.
func fragmented() []byte {
	avcC := append([]byte{1, 0x64, 0, 31, 0xff, 0xe1, 0, 4, 0x67, 0x64, 0, 31, 1, 0, 4}, 0x68, 0xee, 0x3c, 0x80)
	entry := make([]byte, 78)
	binary.BigEndian.PutUint16(entry[24:], 640)
	binary.BigEndian.PutUint16(entry[26:], 360)
	stbl := box("stbl", box("stsd", u32s(0, 1), box("avc1", entry, box("avcC", avcC))),
		box("stts", u32s(0, 0)), box("stsc", u32s(0, 0)), box("stsz", u32s(0, 0, 0)), box("stco", u32s(0, 0)))
	trak := box("trak", box("tkhd", u32s(0, 0, 0, 1, 0, 0)),
		box("mdia", box("mdhd", u32s(0, 0, 0, 1000, 0, 0)), box("hdlr", u32s(0, 0), []byte("vide")), box("minf", stbl)))
	file := append(box("ftyp", []byte("iso6")), box("moov", trak, box("mvex", box("trex", u32s(0, 1, 1, 100, 0, 0))))...)
	frame := []byte{0, 0, 0, 3, 0x65, 1, 2, 0, 0, 0, 2, 0x41, 9}
	for i := range uint32(2) {
		size := uint32(len(box("moof", box("traf", box("tfhd", u32s(0x20020, 1, 0)), box("tfdt", u32s(0, 0)),
			box("trun", u32s(0x205, 2, 0, 0, 7, 6))))))
		file = append(file, box("moof", box("traf", box("tfhd", u32s(0x20020, 1, 0x10000)), box("tfdt", u32s(0, i*200)),
			box("trun", u32s(0x205, 2, size+8, 0, 7, 6))))...)
		file = append(file, box("mdat", frame)...)
	}
	return file
}

func TestFragmentedMP4(t *testing.T) {
	c, err := demux("frag.mp4", fragmented())
	if err != nil {
		t.Fatal(err)
	}
	var got []int64
	for _, u := range c.video.units {
		k := int64(0)
		if u.key {
			k = 1
		}
		got = append(got, u.dts, k, int64(len(u.data)))
	}
	want := []int64{0, 1, 7, 9000, 0, 6, 18000, 1, 7, 27000, 0, 6}
	if !slices.Equal(got, want) || c.video.dur != 36000 {
		t.Errorf("frames %v, loop %d; want %v, 36000", got, c.video.dur, want)
	}
	// A recording that was cut off plays up to there.
	cut := fragmented()
	if c, err = demux("cut.mp4", cut[:len(cut)-3]); err != nil || len(c.video.units) < 2 {
		t.Errorf("cut file: %v", err)
	}
}

func TestFillerKeepsTheRate(t *testing.T) {
	for _, h265 := range []bool{false, true} {
		for _, n := range []int{3, 20, 1400, 1500, 30000} {
			w := packetWriter{}
			w.nal([]byte{0x65, 1, 2}, false)
			w.mark()
			buf := appendFiller(w.buf, n, h265, 0, new([]byte))
			if got := len(buf) - len(w.buf); got < n-40 || got > n+40+n/70 {
				t.Errorf("h265=%t: filler of %d bytes sends %d", h265, n, got)
			}
			if markers := countMarkers(buf); markers != 1 || buf[lastPacket(buf)+5]&0x80 == 0 {
				t.Errorf("h265=%t, %d bytes: %d markers, last set: %t", h265, n, markers, buf[lastPacket(buf)+5]&0x80 != 0)
			}
		}
	}
	s, err := sceneSource("high-street", "main", 3_000_000)
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, f := range s.video.frames {
		total += len(f.buf) + f.filler
	}
	if rate := float64(total*8) / s.video.loop().Seconds(); rate < 2.95e6 || rate > 3.1e6 {
		t.Errorf("rate = %.0f bit/s, want 3 Mbit/s", rate)
	}
}

func countMarkers(buf []byte) (n int) {
	for len(buf) > 0 {
		if buf[5]&0x80 != 0 {
			n++
		}
		buf = buf[4+int(buf[2])<<8+int(buf[3]):]
	}
	return n
}

func FuzzDemux(f *testing.F) {
	f.Add(fragmented())
	f.Add([]byte("RIFF\x00\x00\x00\x00AVI LIST\x10\x00\x00\x00hdrl"))
	f.Add([]byte{0x1a, 0x45, 0xdf, 0xa3, 0x80, 0x18, 0x53, 0x80, 0x67, 0x81, 0})
	for _, name := range []string{"media/lobby-sub.mp4", "media/corridor-main.mkv"} {
		if data, err := scenes.Media.ReadFile(name); err == nil {
			f.Add(data[:min(len(data), 20<<10)])
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := demux("fuzz", data)
		if err != nil {
			return
		}
		for _, tr := range []*track{c.video, c.audio} {
			if tr == nil {
				continue
			}
			p, err := newPlan(tr, 1_000_000)
			if err != nil {
				continue
			}
			last := int64(-1)
			for _, fr := range p.frames {
				if fr.dts <= last || fr.dts >= p.dur {
					t.Fatalf("frame at %d after %d in a loop of %d", fr.dts, last, p.dur)
				}
				last = fr.dts
			}
		}
	})
}

func FuzzJPEG(f *testing.F) {
	f.Add([]byte{0xff, 0xd8, 0xff, 0xdb, 0, 4, 0, 0, 0xff, 0xda, 0, 2, 1, 2, 3})
	f.Fuzz(func(t *testing.T, data []byte) {
		var w packetWriter
		if err := w.jpeg(data); err != nil && !errors.Is(err, errJPEG) {
			t.Fatal(err)
		}
	})
}

package parts

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"filippo.io/age"
)

// movie is a segment before it is sealed: fMP4 with parts of 200 ms and the
// keyframe table that the recorder writes.
type movie struct {
	plain  []byte
	ms     int64
	codecs string
	parts  []part
}

type part struct {
	At     int64 `json:"at"`
	Offset int64 `json:"offset"`
	Key    bool  `json:"key"`
}

// makeMovie asks ffmpeg to encode or copy, and writes the keyframe table anew:
// ffmpeg's own lists every part.
func makeMovie(t testing.TB, codecs string, args ...string) movie {
	t.Helper()
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("ffmpeg is not installed: it makes the footage of this test")
	}
	name := filepath.Join(t.TempDir(), "movie.mp4")
	args = append([]string{"-v", "error", "-nostdin"}, args...)
	if !slices.Contains(args, "-f:out") {
		args = append(args, "-f", "mp4")
	}
	for i, a := range args {
		if a == "-f:out" {
			args[i] = "-f"
		}
	}
	args = append(args, "-movflags", "empty_moov+default_base_moof+frag_keyframe", "-frag_duration", "200000", name)
	if out, err := exec.Command(ffmpeg, args...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, out)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	m := movie{codecs: codecs}
	m.index(t, b)
	return m
}

// index keeps everything before ffmpeg's mfra and finds the parts.
func (m *movie) index(t testing.TB, b []byte) {
	t.Helper()
	scale := videoTimescale(t, b)
	end := len(b)
	for at := 0; at+8 <= len(b); {
		size := int(binary.BigEndian.Uint32(b[at:]))
		switch string(b[at+4 : at+8]) {
		case "moof":
			if p, last, ok := readPart(b[at:at+size], scale); ok {
				p.Offset = int64(at)
				m.parts = append(m.parts, p)
				m.ms = max(m.ms, last)
			}
		case "mfra":
			end = at
		}
		at += size
	}
	m.plain = append(b[:end:end], mfra(m.parts, scale)...)
}

func videoTimescale(t testing.TB, b []byte) int64 {
	t.Helper()
	// The fixture's video is always the first track.
	i := bytes.Index(b, []byte("mdhd"))
	if i < 0 {
		t.Fatal("no mdhd")
	}
	return int64(binary.BigEndian.Uint32(b[i+16:]))
}

// readPart reads the first traf of a moof as ffmpeg writes it.
func readPart(moof []byte, scale int64) (p part, last int64, ok bool) {
	traf := bytes.Index(moof, []byte("traf"))
	tfhd, tfdt, trun := bytes.Index(moof, []byte("tfhd")), bytes.Index(moof, []byte("tfdt")), bytes.Index(moof, []byte("trun"))
	if traf < 0 || tfdt < 0 || trun < 0 || binary.BigEndian.Uint32(moof[tfhd+8:]) != 1 {
		return p, 0, false
	}
	time := int64(binary.BigEndian.Uint64(moof[tfdt+8:]))
	flags := binary.BigEndian.Uint32(moof[trun+4:])
	count := int64(binary.BigEndian.Uint32(moof[trun+8:]))
	tf := binary.BigEndian.Uint32(moof[tfhd+4:])
	duration := int64(0)
	if tf&8 != 0 {
		duration = int64(binary.BigEndian.Uint32(moof[tfhd+12:]))
	}
	first := uint32(0x10000)
	if flags&4 != 0 {
		first = binary.BigEndian.Uint32(moof[trun+16:])
	} else if flags&0x400 != 0 {
		at := trun + 16
		for _, bit := range []uint32{0x100, 0x200} {
			if flags&bit != 0 {
				at += 4
			}
		}
		first = binary.BigEndian.Uint32(moof[at:])
	} else if tf&0x20 != 0 {
		first = binary.BigEndian.Uint32(moof[tfhd+20:])
	}
	p.At, p.Key = time*1000/scale, first&0x10000 == 0
	return p, (time + count*duration) * 1000 / scale, true
}

// mfra is ISO/IEC 14496-12, 8.8.9 to 8.8.11, keyframes only.
func mfra(parts []part, scale int64) []byte {
	var table []byte
	n := uint32(0)
	for _, p := range parts {
		if !p.Key {
			continue
		}
		n++
		table = binary.BigEndian.AppendUint64(table, uint64(p.At*scale/1000))
		table = binary.BigEndian.AppendUint64(table, uint64(p.Offset))
		table = append(table, 1, 1, 1)
	}
	tfra := binary.BigEndian.AppendUint32(nil, uint32(24+len(table)))
	tfra = append(tfra, "tfra\x01\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00"...)
	tfra = binary.BigEndian.AppendUint32(tfra, n)
	tfra = append(tfra, table...)
	size := uint32(8 + len(tfra) + 16)
	b := binary.BigEndian.AppendUint32(nil, size)
	b = append(append(b, "mfra"...), tfra...)
	b = append(b, "\x00\x00\x00\x10mfro\x00\x00\x00\x00"...)
	return binary.BigEndian.AppendUint32(b, size)
}

func seal(t testing.TB, plain []byte, to age.Recipient) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := age.Encrypt(&b, to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func identity(t testing.TB) *age.HybridIdentity {
	t.Helper()
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// scene draws a moving test picture with sound.
func scene(t testing.TB, seconds int, size string, rate, group int) movie {
	t.Helper()
	return makeMovie(t, "avc1.4d401f,mp4a.40.2",
		"-f", "lavfi", "-i", fmt.Sprintf("testsrc2=size=%s:rate=%d:duration=%d", size, rate, seconds),
		"-f", "lavfi", "-i", fmt.Sprintf("sine=frequency=440:sample_rate=48000:duration=%d", seconds),
		"-c:v", "libx264", "-preset", "ultrafast", "-profile:v", "main", "-level", "3.1", "-bf", "0", "-g", fmt.Sprint(group), "-sc_threshold", "0", "-pix_fmt", "yuv420p",
		"-c:a", "aac", "-b:a", "48k")
}

func millis(t time.Time) int64 { return t.UnixMilli() }

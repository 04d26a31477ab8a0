package fmp4

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/watchward/watchward/internal/media"
	"github.com/watchward/watchward/internal/media/h26x"
)

// need finds a program or skips the test.
func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("%s is not installed", program)
	}
	return path
}

// footage lists the clips of the shared folder that its index names.
func footage(t *testing.T) []string {
	t.Helper()
	root := cmp.Or(os.Getenv("WATCHWARD_SHARED"), filepath.Join("..", "..", "..", "..", "shared"))
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
		path := filepath.Join(root, "video", row[0])
		if found, _ := filepath.Glob(path + "*"); len(found) > 0 && !slices.Contains(out, found[0]) {
			out = append(out, found[0])
		}
	}
	return out
}

// remux lets ffmpeg turn a clip into a fragmented file that Reader takes.
func remux(t *testing.T, args ...string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "clip.mp4")
	args = append([]string{"-v", "error", "-y"}, args...)
	container := "mp4"
	if line := strings.Join(args, " "); strings.Contains(line, "pcm") {
		container = "mov" // ffmpeg puts G.711 into no other
	}
	args = append(args, "-movflags", "frag_keyframe+empty_moov+default_base_moof", "-f", container, out)
	if text, err := exec.Command(need(t, "ffmpeg"), args...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg %q: %v\n%s", args, err, text)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// demux reads all samples of a file in the order of their times.
func demux(t *testing.T, file []byte) ([]*media.Format, []*media.Sample) {
	t.Helper()
	r, err := NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	formats := r.Formats()
	var out []*media.Sample
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
			s.Track, s.Format = int(info.Track-1), formats[info.Track-1]
			s.DTS, s.PTS, s.Keyframe = info.DTS, info.PTS, info.Key
			out = append(out, s)
		}
	}
	slices.SortStableFunc(out, func(a, b *media.Sample) int {
		return cmp.Compare(a.DTS*int64(b.Format.ClockRate), b.DTS*int64(a.Format.ClockRate))
	})
	return formats, out
}

// cut puts samples into parts of at most 200 ms that begin with each keyframe.
func cut(formats []*media.Format, samples []*media.Sample) (parts [][][]*media.Sample) {
	var start int64
	for _, s := range samples {
		key := s.Track == 0 && s.Keyframe && s.Format.Codec != media.MJPEG
		if s.Track == 0 && (len(parts) == 0 || key || s.DTS-start >= int64(s.Format.ClockRate)/5) {
			parts = append(parts, make([][]*media.Sample, len(formats)))
			start = s.DTS
		}
		if len(parts) > 0 {
			last := parts[len(parts)-1]
			last[s.Track] = append(last[s.Track], s)
		}
	}
	return parts
}

// packets counts what ffprobe reads of one kind of stream, and demands silence.
func packets(t *testing.T, path, kind string) int {
	t.Helper()
	cmd := exec.Command(need(t, "ffprobe"), "-v", "warning", "-select_streams", kind, "-count_packets",
		"-show_entries", "stream=nb_read_packets", "-of", "csv=p=0", path)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil || complaints.Len() > 0 {
		t.Errorf("ffprobe: %v\n%s", err, complaints.String())
	}
	n, _ := strconv.Atoi(strings.Trim(strings.TrimSpace(string(out)), ","))
	return n
}

// What is written plays in ffmpeg without a word, every packet of it, and
// mediaconch finds nothing to implement better.
func TestPeersReadIt(t *testing.T) {
	ffmpeg := need(t, "ffmpeg")
	clips := map[string][]string{
		"reordered": {"-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=2", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "25"},
		"made-aac":  {"-f", "lavfi", "-i", "sine=duration=2", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=2", "-map", "1", "-map", "0", "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac"},
		"pcm-mulaw": {"-f", "lavfi", "-i", "sine=duration=2", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=2", "-map", "1", "-map", "0", "-c:v", "libx264", "-preset", "ultrafast", "-ar", "8000", "-c:a", "pcm_mulaw"},
		"opus":      {"-f", "lavfi", "-i", "sine=duration=2", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=2", "-map", "1", "-map", "0", "-c:v", "libx264", "-preset", "ultrafast", "-ar", "48000", "-c:a", "libopus"},
	}
	for _, path := range footage(t) {
		clips[filepath.Base(path)] = []string{"-i", path, "-t", "3", "-c", "copy"}
	}
	for name, args := range clips {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			formats, samples := demux(t, remux(t, args...))
			if i, err := h26x.ParseFormat(formats[0]); formats[0].Codec != media.MJPEG && (err != nil || i.Width != formats[0].Width || i.Height != formats[0].Height) {
				t.Errorf("parameter sets say %dx%d, %v, the file %dx%d", i.Width, i.Height, err, formats[0].Width, formats[0].Height)
			}
			out := filepath.Join(t.TempDir(), "ours.mp4")
			if err := os.WriteFile(out, movie(t, formats, cut(formats, samples)), 0o644); err != nil {
				t.Fatal(err)
			}
			var want [2]int
			for _, s := range samples {
				want[s.Track]++
			}
			if got := packets(t, out, "v"); got != want[0] || got == 0 {
				t.Errorf("ffprobe reads %d pictures, want %d", got, want[0])
			}
			if len(formats) > 1 {
				if got := packets(t, out, "a"); got < want[1]-8 && formats[1].Codec == media.AAC {
					t.Errorf("ffprobe reads %d packets of sound, want %d", got, want[1])
				}
			}
			if text, err := exec.Command(ffmpeg, "-v", "error", "-i", out, "-f", "null", "-").CombinedOutput(); err != nil || len(text) > 0 {
				t.Errorf("ffmpeg: %v\n%s", err, text)
			}
			conch(t, out)
			mp4box(t, out, want[0])
		})
	}
}

// conch asks MediaConch's implementation checker about a file.
func conch(t *testing.T, path string) {
	t.Helper()
	tool, err := exec.LookPath("mediaconch")
	if err != nil {
		return
	}
	cmd := exec.Command(tool, "-mc", "-fx", path)
	home := t.TempDir() // it keeps a database there, which one process at a time may use
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home)
	text, err := cmd.CombinedOutput()
	if err != nil || bytes.Contains(text, []byte(`outcome="fail"`)) {
		t.Errorf("mediaconch: %v\n%s", err, text)
	}
}

// mp4box lets MP4Box.js read a file and compares the number of pictures.
func mp4box(t *testing.T, path string, want int) {
	t.Helper()
	modules, err := filepath.Abs(filepath.Join("..", "..", "web", "node_modules"))
	if err != nil {
		t.Fatal(err)
	}
	node, err := exec.LookPath("node")
	if _, missing := os.Stat(filepath.Join(modules, "mp4box")); err != nil || missing != nil {
		return
	}
	out, err := exec.Command(node, filepath.Join("testdata", "mp4box.cjs"), modules, path).CombinedOutput()
	first, _, _ := strings.Cut(strings.TrimSpace(string(out)), ",")
	if got, _ := strconv.Atoi(first); err != nil || got != want {
		t.Errorf("MP4Box.js: %v, reads %q, want %d pictures and no complaint", err, out, want)
	}
}

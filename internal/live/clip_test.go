package live

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/watchward/watchward/internal/media"
	"github.com/watchward/watchward/internal/media/fmp4"
)

// encoded lets ffmpeg draw and encode a clip of some seconds, 25 pictures each, a
// keyframe every two seconds, and returns its samples.
func encoded(t testing.TB, seconds int, args ...string) (*media.Format, []*media.Sample) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "clip.mp4")
	all := append([]string{
		"-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-t", strconv.Itoa(seconds),
		"-pix_fmt", "yuv420p", "-g", "50", "-keyint_min", "50",
	}, args...)
	all = append(all, "-video_track_timescale", "90000", "-movflags", "frag_keyframe+empty_moov+default_base_moof", name)
	if out, err := exec.CommandContext(t.Context(), "ffmpeg", all...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, out)
	}
	file, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	r, err := fmp4.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	format := r.Formats()[0]
	var samples []*media.Sample
	for len(samples) < 25*seconds {
		part, err := r.Next()
		if err != nil {
			t.Fatalf("clip: %v after %d samples", err, len(samples))
		}
		for _, info := range part.Samples {
			data, err := r.Data(info)
			if err != nil {
				t.Fatal(err)
			}
			s := media.NewSample(data)
			s.Format, s.Keyframe, s.DTS, s.PTS = format, info.Key, info.DTS, info.PTS
			samples = append(samples, s)
		}
	}
	return format, samples
}

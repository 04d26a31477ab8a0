package live

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/watchward/watchward/internal/media"
	"github.com/watchward/watchward/internal/media/fmp4"
)

// muxed runs pictures of the given decoding and showing times through a muxer,
// cached of them at hand at the start, and reads back what comes out.
func muxed(t *testing.T, f *media.Format, dts, pts []int64, cached int) []fmp4.SampleInfo {
	t.Helper()
	var items []item
	for i := range dts {
		s := sampleOf(f, i == 0, unit(0x41, 20))
		s.DTS, s.PTS = dts[i], pts[i]
		items = append(items, item{sample: s, cached: i < cached})
	}
	m := muxer{}
	file, _, err := m.begin(f, nil, items[:max(cached, 1)])
	if err != nil {
		t.Fatal(err)
	}
	for i, it := range items {
		m.add(it, items[i+1:max(cached, i+1)])
		if i >= cached-1 {
			header, samples := m.part()
			file = append(file, header...)
			for _, s := range samples {
				file = append(file, s.Data...)
			}
		}
	}
	release(items)
	_, samples := samplesOf(t, file)
	if len(samples) != len(dts) {
		t.Fatalf("%d samples, want %d", len(samples), len(dts))
	}
	for i, s := range samples[1:] {
		if before := samples[i]; s.DTS != before.DTS+int64(before.Duration) {
			t.Fatalf("hole before sample %d", i+1)
		}
	}
	return samples
}

func TestMuxerTimes(t *testing.T) {
	f := h264(t, baseSPS, basePPS)
	every := func(step int64, n int) (ts []int64) {
		for i := range n {
			ts = append(ts, 1_000_000+int64(i)*step)
		}
		return ts
	}
	stalled := append(every(3600, 10), 1_000_000+90000*3, 1_000_000+90000*3+3600, 1_000_000+90000*3+7200)
	jumped := append(every(3600, 10), 5, 3605, 7205)
	for _, tt := range []struct {
		name   string
		dts    []int64
		cached int
		last   float64 // seconds at which the last sample begins
	}{
		{"25 a second, live", every(3600, 26), 0, 1},
		{"one a second, live", every(90000, 11), 0, 9.04}, // it takes two to learn the pace
		{"half a second at hand", every(45000, 2), 2, 0.2},
		{"two seconds at hand", every(3600, 51), 51, 0.2},
		{"two seconds at hand, one live", every(3600, 76), 51, 1.2},
		{"camera stalled for three seconds", stalled, 0, 0.48},
		{"camera's clock jumped back", jumped, 0, 0.48},
		{"two seconds at hand, then another run", append(every(3600, 51), 5, 3605, 7205, 10805), 51, 0.36},
	} {
		samples := muxed(t, f, tt.dts, tt.dts, tt.cached)
		if at := float64(samples[len(samples)-1].DTS) / 90000; at < tt.last-0.02 || at > tt.last+0.06 {
			t.Errorf("%s: last sample at %.3f s, want %.3f", tt.name, at, tt.last)
		}
	}
}

func TestMuxerKeepsTheOrderOfPictures(t *testing.T) {
	f := h264(t, highSPS, highPPS)
	var dts, pts []int64
	for i, shown := range []int64{0, 3, 1, 2, 6, 4, 5, 9, 7, 8, 12, 10, 11} {
		dts, pts = append(dts, int64(i)*3600), append(pts, (shown+2)*3600)
	}
	for _, cached := range []int{0, 7, 13} {
		samples := muxed(t, f, dts, pts, cached)
		if samples[0].PTS != 0 {
			t.Errorf("%d at hand: first picture is shown at %d, want 0", cached, samples[0].PTS)
		}
		for i := range samples {
			for j := range samples {
				if pts[i] < pts[j] && samples[i].PTS >= samples[j].PTS {
					t.Errorf("%d at hand: picture %d is shown at %d, not before picture %d at %d", cached, i, samples[i].PTS, j, samples[j].PTS)
				}
			}
		}
	}
}

// TestSocketByFFprobe lets another implementation read what a viewer gets.
func TestSocketByFFprobe(t *testing.T) {
	for _, tool := range []string{"ffmpeg", "ffprobe"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	for _, tt := range []struct {
		name string
		args []string
	}{
		{"H.264", []string{"-c:v", "libx264", "-preset", "ultrafast", "-bf", "0"}},
		{"H.264 with B-frames", []string{"-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-b_strategy", "0"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := newSource(t)
			var clip []*media.Sample
			src.video, clip = encoded(t, 2, tt.args...)
			h := run(t, Options{}, map[string]*media.Stream{"gate/main": &src.st})
			for _, s := range clip[:30] {
				src.st.Publish(s)
			}
			l := dial(t, h, "/gate/main/socket")
			l.text(t)
			file := l.until(t, l.binary(t), 30)
			for _, s := range clip[30:] {
				src.st.Publish(s)
			}
			file = l.until(t, file, len(clip))
			name := filepath.Join(t.TempDir(), "live.mp4")
			if err := os.WriteFile(name, file, 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-count_frames", "-select_streams", "v",
				"-show_entries", "stream=codec_name,width,height,nb_read_frames", "-of", "csv=p=0", name).CombinedOutput()
			if got := strings.TrimSpace(string(out)); err != nil || got != "h264,320,180,50" {
				t.Errorf("ffprobe: %s, %v; want h264,320,180,50", got, err)
			}
		})
	}
}

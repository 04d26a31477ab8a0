package record

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchward/watchward/internal/media"
)

// Sound that begins a little after the first picture, or that was announced,
// has a track in the very first segment.
func TestSoundFromTheFirstSegment(t *testing.T) {
	for _, tt := range []struct {
		name     string
		announce bool
		after    int // pictures before the first sound
	}{
		{"soon after the picture", false, 3},
		{"announced", true, 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t, func(o *Options) { o.Audio = true; o.Target = 4 * time.Second }, &shelf{})
				g.audio = &media.Format{Codec: media.PCMU, ClockRate: 8000, SampleRate: 8000, Channels: 1}
				if tt.announce {
					g.stream.Announce(1, g.audio)
				}
				g.pictures(tt.after)
				for range 90 - tt.after {
					g.chirps(g.dts*8000/90000, g.dts*8000/90000+160)
					g.picture()
				}
				g.stop()
				got := g.timeline()
				if len(got) != 1 || len(got[0].frames) != 90 || len(got[0].chirps) < 2*(90-tt.after)-1 {
					t.Errorf("%s, want one segment with %d of sound", story(got), 2*(90-tt.after))
				}
			})
		})
	}
}

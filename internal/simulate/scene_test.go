package simulate

import (
	"testing"
	"time"

	"github.com/watchward/watchward/internal/simulate/scenes"
)

// TestScenes reads every scene, and its movements against its length: at every
// moment there is either motion or the list says that there is none.
func TestScenes(t *testing.T) {
	moves, err := scenes.Movements()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, p := range posts() {
		known[p.scene] = true
		t.Run(p.scene, func(t *testing.T) {
			main, err := sceneSource(p.scene, "main", 0)
			if err != nil {
				t.Fatal(err)
			}
			sub, err := sceneSource(p.scene, "sub", 0)
			if err != nil {
				t.Fatal(err)
			}
			loop := main.video.loop()
			if sub.video.loop() != loop || loop < 15*time.Second || loop > 25*time.Second {
				t.Errorf("main lasts %v, sub %v", loop, sub.video.loop())
			}
			if main.audio != nil && main.audio.loop() != loop {
				t.Errorf("the sound lasts %v, the pictures %v", main.audio.loop(), loop)
			}
			if w, h := main.video.format.Width, main.video.format.Height; w != 1280 || h != 720 {
				t.Errorf("main is %d by %d", w, h)
			}
			keyframes(t, main.video, 2*time.Second)
			keyframes(t, sub.video, time.Second)
			for at := time.Duration(0); at < loop; at += 100 * time.Millisecond {
				seen := map[string]int{}
				for _, m := range moves {
					if m.Scene == p.scene && at >= m.Start && at < m.End {
						seen[m.Label]++
					}
				}
				if (seen["motion"] > 0) == (seen["none"] > 0) || seen["none"] > 1 {
					t.Fatalf("at %v: %v", at, seen)
				}
			}
		})
	}
	for _, m := range moves {
		if !known[m.Scene] || m.Label != "motion" && m.Label != "minor" && m.Label != "none" || m.What == "" {
			t.Errorf("row %+v", m)
		}
	}
}

func keyframes(t *testing.T, p *plan, every time.Duration) {
	t.Helper()
	last := int64(0)
	for _, f := range append(p.frames[:len(p.frames):len(p.frames)], frame{dts: p.dur, key: true}) {
		if f.key {
			if gap := time.Duration(scale(f.dts-last, int64(time.Second), p.clock)); gap > every {
				t.Errorf("%v between keyframes, want %v", gap, every)
			}
			last = f.dts
		}
	}
}

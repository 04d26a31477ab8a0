package parts

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// browser starts Chromium, or skips: these tests run where
// WATCHWARD_BROWSER_TESTS is set, as in .ci/run.
func browser(t testing.TB) context.Context {
	t.Helper()
	if os.Getenv("WATCHWARD_BROWSER_TESTS") == "" {
		t.Skip("WATCHWARD_BROWSER_TESTS is not set")
	}
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed")
	}
	dir := t.TempDir()
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(dir), chromedp.WindowSize(1280, 900),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"), chromedp.Flag("disable-features", "WebRtcHideLocalIpsWithMdns"),
	)
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(cancel)
	ctx, stop := chromedp.NewContext(ctx, chromedp.WithListener(func(ev any) {
		switch ev := ev.(type) {
		case *runtime.EventConsoleAPICalled:
			for _, a := range ev.Args {
				t.Logf("console: %s %s", a.Value, a.Description)
			}
		case *runtime.EventExceptionThrown:
			t.Logf("exception: %+v", ev.ExceptionDetails)
		}
	}))
	t.Cleanup(stop)
	ctx, cut := context.WithTimeout(ctx, 3*time.Minute)
	t.Cleanup(cut)
	return ctx
}

func visit(t testing.TB, ctx context.Context, url string) {
	t.Helper()
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		t.Fatal(err)
	}
}

func js[T any](t testing.TB, ctx context.Context, expr string) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expr, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	return v
}

func eventually(t testing.TB, ctx context.Context, expr string) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); ; {
		if js[bool](t, ctx, "!!("+expr+")") {
			return
		}
		if time.Now().After(end) {
			shot(t, ctx, "failed-"+strings.ReplaceAll(t.Name(), "/", "-"))
			state := js[string](t, ctx, `[...document.querySelectorAll("video")].map(v => [v.currentTime, v.paused, v.seeking, v.readyState, v.error?.message, ...Array.from({length: v.buffered.length}, (_, i) => v.buffered.start(i) + "-" + v.buffered.end(i))].join(" ")).join("\n") + "\n" + performance.getEntriesByType("mark").slice(-12).map(e => [e.name, e.startTime.toFixed(), JSON.stringify(e.detail)].join(" ")).join("\n") + "\nnow " + performance.now() + " wall " + document.querySelector("watch-player")?.wall`)
			t.Fatalf("never: %s\npage says: %s\nvideos: %s", expr, js[string](t, ctx, "document.body.innerText"), state)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// shot writes a screenshot for people to look at.
func shot(t testing.TB, ctx context.Context, name string) {
	t.Helper()
	dir := os.Getenv("WATCHWARD_SCREENSHOTS")
	if dir == "" {
		return
	}
	b, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// recorded is a town with five minutes of the gate, a hole in the middle, a
// torn segment and one that is being written.
func recorded(t testing.TB) (f *town, start int64, m movie) {
	t.Helper()
	f = newTown(t)
	m = scene(t, 10, "640x360", 25, 50)
	f.addCamera("gate", "Gate", stream("main", "H.264", "live", ""), stream("sub", "H.264", "live", ""))
	f.addCamera("foreign", "Foreign", stream("main", "H.264", "live", ""))
	start = millis(time.Now().Add(-4 * time.Minute).Truncate(time.Second))
	for i := range int64(9) {
		jitter := (i%3 - 1) * 40 // starts are when packets came
		f.record("gate", "main", start+i*10_000+jitter, m, 10_000, "sealed")
	}
	hole := start + 9*10_000
	f.gap("gate", "main", hole, hole+40_000, "connection-lost")
	f.record("gate", "main", hole+40_000, m, 10_000, "torn")
	for i := range int64(7) {
		f.record("gate", "main", hole+50_000+i*10_000, m, 10_000, "sealed")
	}
	open := m
	f.record("gate", "main", hole+120_000, open, 10_000, "open")
	f.record("foreign", "main", start, m, 10_000, "sealed")
	return f, start, m
}

func (f *town) url(path string) string { return f.srv.URL + path }

const player = `document.querySelector("watch-player")`

// shown waits for a frame of a time to be painted, and tells the milliseconds since the click.
func seek(t testing.TB, ctx context.Context, wall int64) float64 {
	t.Helper()
	js[any](t, ctx, fmt.Sprintf(`performance.clearMeasures(), %s.seek(%d), true`, player, wall))
	eventually(t, ctx, `performance.getEntriesByName("watch:seek-to-frame").length > 0`)
	return js[float64](t, ctx, `performance.getEntriesByName("watch:seek-to-frame").at(-1).duration`)
}

func TestPlayback(t *testing.T) {
	ctx := browser(t)
	f, start, m := recorded(t)

	visit(t, ctx, f.url("/page/player?camera=gate&lang=en")+"#key="+f.reader.String())
	eventually(t, ctx, `location.hash === ""`)
	eventually(t, ctx, player+`?.querySelector("watch-timeline").data`)
	shot(t, ctx, "player-live-light")

	t.Run("first picture", func(t *testing.T) {
		ms := seek(t, ctx, start+33_000)
		t.Logf("first seek: %.0f ms", ms)
		shot(t, ctx, "player-playback-light")
	})
	t.Run("frame is the one asked for", func(t *testing.T) {
		js[any](t, ctx, player+`.toggle()`)
		seek(t, ctx, start+45_500)
		wall := js[float64](t, ctx, player+".wall")
		if d := wall - float64(start+45_500); d > 1 || d < -60 {
			t.Errorf("asked for %d, got a frame %v ms away", start+45_500, d)
		}
	})
	t.Run("steps", func(t *testing.T) {
		before := js[float64](t, ctx, player+".wall")
		for i, by := range []string{"1", "1", "-1"} {
			js[any](t, ctx, player+".step("+by+").then(()=>true)")
			want := before + []float64{40, 80, 40}[i]
			eventually(t, ctx, fmt.Sprintf("Math.abs(%s.wall - %f) < 5", player, want))
		}
	})
	t.Run("across a segment border", func(t *testing.T) {
		seek(t, ctx, start+18_500)
		js[any](t, ctx, player+`.toggle()`)
		eventually(t, ctx, fmt.Sprintf("%s.wall > %d", player, start+22_000))
	})
	t.Run("over the gap", func(t *testing.T) {
		seek(t, ctx, start+88_500)
		eventually(t, ctx, fmt.Sprintf("%s.wall > %d", player, start+131_000))
		eventually(t, ctx, `document.querySelector(".ww-notice:not([hidden])")?.textContent.includes("broke")`)
		shot(t, ctx, "player-gap-light")
	})
	t.Run("torn segment", func(t *testing.T) { seek(t, ctx, start+134_000) })
	t.Run("open segment", func(t *testing.T) { seek(t, ctx, start+214_000) })
	t.Run("segment that has only just begun", func(t *testing.T) {
		f.begin("gate", "main", start+220_000)
		js[any](t, ctx, fmt.Sprintf("%s.seek(%d), true", player, start+220_100))
		time.Sleep(time.Second)
		f.grow("gate", "main", m)
		eventually(t, ctx, fmt.Sprintf("%s.wall > %d", player, start+220_000))
	})
	t.Run("fast", func(t *testing.T) {
		seek(t, ctx, start+2000)
		js[any](t, ctx, player+`.setRate(16), true`)
		eventually(t, ctx, fmt.Sprintf("%s.wall > %d", player, start+60_000))
		js[any](t, ctx, player+`.setRate(-8), true`)
		eventually(t, ctx, fmt.Sprintf("%s.wall < %d", player, start+40_000))
		js[any](t, ctx, player+`.setRate(1), true`)
	})
	t.Run("lock", func(t *testing.T) {
		js[any](t, ctx, `document.querySelector("watch-identity[mode=button] button").click(), true`)
		eventually(t, ctx, `document.querySelector(".ww-panel watch-identity")`)
		shot(t, ctx, "player-locked-light")
		js[any](t, ctx, `document.documentElement.className = "dark", true`)
		shot(t, ctx, "player-locked-dark")
		js[any](t, ctx, fmt.Sprintf(`(document.querySelector(".ww-panel textarea").value = %q, document.querySelector(".ww-panel form").requestSubmit(), true)`, f.reader.String()))
		eventually(t, ctx, `document.querySelector(".ww-panel").hidden`)
		seek(t, ctx, start+12_000)
		shot(t, ctx, "player-playback-dark")
	})
	t.Run("reload keeps the session", func(t *testing.T) {
		visit(t, ctx, f.url("/page/player?camera=gate&lang=fr&theme=dark"))
		eventually(t, ctx, player+`?.querySelector("watch-timeline").data`)
		seek(t, ctx, start+52_000)
		shot(t, ctx, "player-french-dark")
	})
	t.Run("wrong key", func(t *testing.T) {
		visit(t, ctx, f.url("/page/player?camera=foreign&lang=en"))
		eventually(t, ctx, player+`?.querySelector("watch-timeline").data`)
		js[any](t, ctx, fmt.Sprintf("%s.seek(%d), true", player, start+3000))
		eventually(t, ctx, `document.querySelector(".ww-message")?.dataset.code === "wrong-key"`)
		shot(t, ctx, "player-wrong-key")
	})
	if len(f.leaked) > 0 {
		t.Errorf("a secret reached the server: %q", f.leaked)
	}
}

func TestPlaybackOfWhatTheBrowserLacks(t *testing.T) {
	ctx := browser(t)
	f := newTown(t)
	start := millis(time.Now().Add(-2 * time.Minute).Truncate(time.Second))
	source := []string{"-f", "lavfi", "-i", "testsrc2=size=320x180:rate=10:duration=10", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=8000:duration=10"}
	h264 := []string{"-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "20", "-pix_fmt", "yuv420p"}
	h265 := makeMovie(t, "", append(source[:4:4], "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:bframes=0:keyint=20", "-tag:v", "hvc1")...)
	alaw := makeMovie(t, "", append(append(slices.Clone(source), h264...), "-c:a", "pcm_alaw", "-f:out", "mov")...)
	f.addCamera("new", "New", stream("main", "H.265", "live", ""), stream("sub", "H.264", "live", ""))
	f.addCamera("loud", "Loud", stream("main", "H.264", "live", ""))
	f.record("new", "main", start, h265, 10_000, "sealed")
	f.record("new", "sub", start, alaw, 10_000, "sealed")
	f.record("loud", "main", start, alaw, 10_000, "sealed")

	visit(t, ctx, f.url("/page/player?camera=loud&lang=en")+"#key="+f.reader.String())
	eventually(t, ctx, player+`?.querySelector("watch-timeline").data`)
	seek(t, ctx, start+4300)
	eventually(t, ctx, `document.querySelector(".ww-notice").innerText.includes("sound")`)

	if js[bool](t, ctx, `MediaSource.isTypeSupported('video/mp4; codecs="hvc1.1.6.L93.B0"')`) {
		t.Skip("this browser has H.265")
	}
	visit(t, ctx, f.url("/page/player?camera=new&lang=en"))
	eventually(t, ctx, player+`?.querySelector("watch-timeline").data`)
	seek(t, ctx, start+4300)
	eventually(t, ctx, player+`.dataset.stream === "sub" && document.querySelector(".ww-notice").innerText.includes("smaller stream")`)
}

func TestTimelineByKeyboard(t *testing.T) {
	ctx := browser(t)
	f, start, _ := recorded(t)
	visit(t, ctx, f.url("/page/player?camera=gate&lang=en")+"#key="+f.reader.String())
	eventually(t, ctx, player+`?.querySelector("watch-timeline").data`)
	slider := `document.querySelector("[role=slider]")`
	now := func() int64 { return int64(js[float64](t, ctx, `Number(`+slider+`.getAttribute("aria-valuenow"))`)) }
	js[any](t, ctx, slider+`.focus(), `+player+`.toggle(), true`)
	press := func(key string) {
		t.Helper()
		if err := chromedp.Do(ctx, chromedp.KeyEvent(key)); err != nil {
			t.Fatal(err)
		}
	}
	press(kb.Home)
	if got := now(); got-start/1000 > 1 {
		t.Errorf("Home goes to %d, want %d", got, start/1000)
	}
	press(kb.ArrowRight)
	if got := now(); got <= start/1000 {
		t.Errorf("the right arrow does not move: %d", got)
	}
	span := func() float64 {
		return js[float64](t, ctx, `(v => v.to - v.from)(document.querySelector("watch-timeline").view)`)
	}
	before := span()
	press("+")
	if after := span(); after >= before {
		t.Errorf("+ zooms from %v to %v", before, after)
	}
	js[any](t, ctx, fmt.Sprintf(`document.querySelector("watch-timeline").seek(%d, false), true`, start+100_000))
	eventually(t, ctx, slider+`.getAttribute("aria-valuetext").includes("broke")`)
	// Paused, the first picture after the gap is shown.
	eventually(t, ctx, fmt.Sprintf("Math.abs(%s.wall - %d) < 100", player, start+130_000))
	for range 16 {
		press("-")
	}
	if days := span() / 86_400_000; days < 15 {
		t.Errorf("zoomed out, the strip shows %v days", days)
	}
	shot(t, ctx, "timeline-month")
}

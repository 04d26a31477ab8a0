package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/watchward/watchward/internal/seal"
)

// tab is a page in Debian's Chromium.
type tab struct {
	testing.TB
	ctx context.Context
}

// newTab starts Chromium, or skips: browser tests run where
// WATCHWARD_BROWSER_TESTS is set, as in .ci/run.
func newTab(t testing.TB, options ...chromedp.ExecAllocatorOption) tab {
	t.Helper()
	if os.Getenv("WATCHWARD_BROWSER_TESTS") == "" {
		t.Skip("WATCHWARD_BROWSER_TESTS is not set")
	}
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1440, 1000),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), append(opts, options...)...)
	t.Cleanup(cancel)
	ctx, stop := chromedp.NewContext(ctx, chromedp.WithListener(func(ev any) {
		switch ev := ev.(type) {
		case *runtime.EventConsoleAPICalled:
			for _, a := range ev.Args {
				t.Logf("console: %s %s", a.Value, a.Description)
			}
		case *runtime.EventExceptionThrown:
			t.Errorf("script error: %+v", ev.ExceptionDetails)
		}
	}))
	t.Cleanup(stop)
	ctx, cut := context.WithTimeout(ctx, 4*time.Minute)
	t.Cleanup(cut)
	return tab{t, ctx}
}

func (p tab) visit(url string) {
	p.Helper()
	if err := chromedp.Do(p.ctx, chromedp.Navigate(url)); err != nil {
		p.Fatal(err)
	}
}

func (p tab) press(keys string) {
	p.Helper()
	if err := chromedp.Do(p.ctx, chromedp.KeyEvent(keys)); err != nil {
		p.Fatal(err)
	}
}

// eval runs an expression in the page.
func eval[T any](p tab, expr string) T {
	p.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expr, chromedp.EvalAwaitPromise))
	if err != nil {
		p.Fatalf("%s: %v", expr, err)
	}
	return v
}

// eventually waits until an expression is true. Between two pages it cannot be
// asked, which is no answer.
func (p tab) eventually(expr string) {
	p.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		yes, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool]("!!("+expr+")", chromedp.EvalAwaitPromise))
		if err == nil && yes {
			return
		}
		if time.Now().After(end) {
			p.shot("failed-" + strings.ReplaceAll(p.Name(), "/", "-"))
			p.Fatalf("never: %s (%v)\npage says: %s", expr, err, eval[string](p, "document.body?.innerText ?? ''"))
		}
	}
}

// shot writes a screenshot for people to look at.
func (p tab) shot(name string) {
	p.Helper()
	dir := os.Getenv("WATCHWARD_SCREENSHOTS")
	if dir == "" {
		return
	}
	b, err := chromedp.Run(p.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		p.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		p.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), b, 0o644); err != nil {
		p.Fatal(err)
	}
}

const thePlayer = `document.querySelector("watch-player")`

// seek goes to a time, in Unix milliseconds as an expression, and returns how
// long it took until the first decrypted frame was painted.
func (p tab) seek(wall string) float64 {
	p.Helper()
	eval[bool](p, fmt.Sprintf(`(performance.clearMeasures(), %s.seek(%s), true)`, thePlayer, wall))
	p.eventually(`performance.getEntriesByName("watch:seek-to-frame").length > 0`)
	return eval[float64](p, `performance.getEntriesByName("watch:seek-to-frame").at(-1).duration`)
}

// TestNewcomer is what somebody sees who starts the demo and opens its address.
func TestNewcomer(t *testing.T) {
	p := newTab(t)
	d := startDemo(t)
	p.visit(d.url)
	p.eventually(`location.hash === "" && document.querySelectorAll("watch-tile").length >= 9`)
	p.eventually(`[...document.querySelectorAll("watch-tile")].every(t => t.dataset.phase === "playing")`)

	moved := eval[float64](p, `(async () => {
		const look = v => { const c = new OffscreenCanvas(64, 36).getContext("2d"); c.drawImage(v, 0, 0, 64, 36); return c.getImageData(0, 0, 64, 36).data; };
		const tiles = [...document.querySelectorAll("watch-tile video")];
		const moved = tiles.map(() => false);
		for (let n = 0; n < 40 && !moved.every(Boolean); n++) {
			const before = tiles.map(look);
			await new Promise(r => setTimeout(r, 250));
			tiles.forEach((v, i) => { const now = look(v); if (now.some((x, k) => Math.abs(x - before[i][k]) > 12)) moved[i] = true; });
		}
		return moved.filter(Boolean).length;
	})()`)
	if moved < 9 {
		t.Errorf("%v pictures of the wall move, want 9 at least", moved)
	}
	p.shot("wall-light")

	t.Run("camera", func(t *testing.T) {
		p := tab{t, p.ctx}
		eval[bool](p, `(document.querySelector("a:has(watch-tile), watch-tile a, a[href^='/cameras/']").click(), true)`)
		p.eventually(thePlayer + `?.querySelector("watch-timeline")?.data`)
		p.eventually(thePlayer + `.querySelector("video").readyState >= 2`)
		p.shot("camera-live-light")
		edge := thePlayer + `.querySelector("watch-timeline").data`
		before := eval[float64](p, `(d => d.open ? d.open.end : d.last)(`+edge+`)`)
		p.eventually(fmt.Sprintf(`(d => d.open ? d.open.end : d.last)(%s) > %f + 1000`, edge, before))
		ms := p.seek(`(d => d.first + 3000)(` + edge + `)`)
		t.Logf("first decrypted frame after %.0f ms", ms)
		p.shot("camera-playback-light")
	})
	t.Run("keyboard", func(t *testing.T) {
		p := tab{t, p.ctx}
		eval[bool](p, `(document.activeElement?.blur(), true)`)
		for range 60 {
			p.press(kb.Tab)
			if eval[bool](p, `document.activeElement?.getAttribute("role") === "slider"`) {
				break
			}
		}
		if !eval[bool](p, `document.activeElement?.getAttribute("role") === "slider"`) {
			t.Fatal("Tab never reaches the timeline")
		}
		before := eval[float64](p, thePlayer+`.wall`)
		p.press(kb.ArrowRight)
		p.eventually(fmt.Sprintf(`%s.wall > %f`, thePlayer, before))
	})
	t.Run("every camera", func(t *testing.T) {
		p := tab{t, p.ctx}
		for _, id := range eval[[]string](p, `fetch("/api/cameras").then(r => r.json()).then(l => l.map(c => c.id))`) {
			p.visit(eval[string](p, `location.origin`) + "/cameras/" + id)
			p.eventually(thePlayer + `?.querySelector("watch-timeline")?.data`)
			p.eventually(thePlayer + `.querySelector("video").videoWidth > 0`)
			ms := p.seek(`(d => d.first + 4000)(` + thePlayer + `.querySelector("watch-timeline").data)`)
			t.Logf("%s: first decrypted frame after %.0f ms; %s", id, ms, eval[string](p, `document.querySelector(".ww-notice:not([hidden])")?.textContent ?? "no notice"`))
			if id == "car-park" { // H.265, which this browser lacks
				p.shot("camera-" + id)
			}
		}
	})
	t.Run("French and dark", func(t *testing.T) {
		p := tab{t, p.ctx}
		eval[bool](p, `(document.cookie = "lang=fr; path=/", true)`)
		eval[bool](p, `(document.querySelector("[name=lang][value=fr], a[hreflang=fr], button[value=fr]")?.click(), true)`)
		p.eventually(`document.documentElement.lang === "fr"`)
		for _, page := range []string{"/", "/cameras", "/archive"} {
			p.visit(eval[string](p, `location.origin`) + page)
			p.eventually(`document.documentElement.lang === "fr" && document.readyState === "complete"`)
			time.Sleep(time.Second) // for tiles to have a picture on the screenshot
			p.shot("fr" + strings.ReplaceAll(page, "/", "-"))
		}
	})
}

// TestWrongKey opens the recordings with somebody else's identity.
func TestWrongKey(t *testing.T) {
	p := newTab(t)
	d := startDemo(t, "--cameras", "2")
	other, err := seal.GenerateIdentity(seal.Hybrid)
	if err != nil {
		t.Fatal(err)
	}
	address, _, _ := strings.Cut(d.url, "#")
	p.visit(address + "#key=" + other.Reveal())
	p.eventually(`location.hash === "" && document.querySelector("watch-identity")?.dataset.state === "unlocked"`)
	eval[bool](p, `(document.querySelector("a:has(watch-tile), watch-tile a, a[href^='/cameras/']").click(), true)`)
	p.eventually(thePlayer + `?.querySelector("watch-timeline")?.data?.first`)
	eval[bool](p, `(`+thePlayer+`.seek((d => d.first + 500)(`+thePlayer+`.querySelector("watch-timeline").data)), true)`)
	p.eventually(`document.querySelector(".ww-message")?.dataset.code === "wrong-key"`)
	p.shot("wrong-key")
}

package parts

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

func TestTiles(t *testing.T) {
	ctx := browser(t)
	f := newTown(t)
	m := scene(t, 8, "640x360", 25, 25)
	f.addCamera("gate", "Front gate", stream("sub", "H.264", "live", ""))
	f.addCamera("yard", "Yard", stream("sub", "MJPEG", "live", ""))
	f.addCamera("dead", "Back door", stream("sub", "H.264", "waiting", "wrong-password"))
	f.addCamera("old", "Old camera", stream("main", "H.265", "live", ""))
	f.ways["gate"] = map[string]string{"way": "fmp4", "stream": "sub", "codec": m.codecs, "why": ""}
	f.ways["old"] = map[string]string{"way": "none", "stream": "main", "why": "no-h265"}
	f.ways["yard"] = map[string]string{"way": "pictures", "stream": "sub", "codec": "jpeg", "why": "pictures"}
	f.clips["gate"] = asClip(m, m.codecs)
	dir := t.TempDir()
	if out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=5:duration=3", dir+"/%03d.jpg").CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, out)
	}
	f.clips["yard"] = pictures(t, dir)

	visit(t, ctx, f.url("/page/tiles?lang=en&theme=dark"))
	tile := func(id string) string { return fmt.Sprintf(`document.querySelector("watch-tile[camera=%s]")`, id) }
	eventually(t, ctx, tile("gate")+`.dataset.phase === "playing"`)
	eventually(t, ctx, tile("yard")+`.dataset.phase === "playing"`)
	eventually(t, ctx, tile("dead")+`.innerText.includes("password")`)
	eventually(t, ctx, tile("old")+`.innerText.includes("H.265")`)
	lag := `(v => v.buffered.end(v.buffered.length-1) - v.currentTime)(` + tile("gate") + `.querySelector("video"))`
	time.Sleep(1500 * time.Millisecond)
	if l := js[float64](t, ctx, lag); l > 1.3 {
		t.Errorf("fMP4 plays %.2f s behind", l)
	}
	before := js[float64](t, ctx, tile("gate")+`.querySelector("video").currentTime`)
	// The clip begins anew after eight seconds: new parameters are announced.
	time.Sleep(8 * time.Second)
	after := js[float64](t, ctx, tile("gate")+`.querySelector("video").currentTime`)
	if before == after {
		t.Error("the picture stands still after new parameters")
	}
	shot(t, ctx, "tiles-dark")
}

func TestSetup(t *testing.T) {
	ctx := browser(t)
	f := newTown(t)
	visit(t, ctx, f.url("/page/setup?lang=en"))
	eventually(t, ctx, `document.querySelector("input[name=recipient]")?.value.startsWith("age1pq1")`)
	shot(t, ctx, "setup-light")
	if !js[bool](t, ctx, `document.querySelector("form > button").disabled`) {
		t.Error("the form can be sent before the identity was kept")
	}
	js[any](t, ctx, `window.print = () => { window.sheet = document.querySelector(".ww-sheet").innerText; dispatchEvent(new Event("afterprint")) }, true`)
	js[any](t, ctx, `document.querySelectorAll("watch-identity .ww-row button")[1].click(), true`)
	if sheet := js[string](t, ctx, "window.sheet ?? document.querySelector('.ww-sheet')?.innerText ?? ''"); sheet == "" {
		t.Error("no recovery sheet was printed")
	}
	js[any](t, ctx, `document.querySelector("watch-identity input[type=checkbox]").click(), true`)
	eventually(t, ctx, `!document.querySelector("form > button").disabled`)
	js[any](t, ctx, `document.documentElement.className = "dark", true`)
	shot(t, ctx, "setup-dark")
	if len(f.leaked) > 0 {
		t.Errorf("a secret reached the server: %q", f.leaked)
	}
}

func TestKeptIdentity(t *testing.T) {
	ctx := browser(t)
	f := newTown(t)
	visit(t, ctx, f.url("/page/unlock?lang=en"))
	eventually(t, ctx, `document.querySelector("watch-identity[mode=unlock] textarea")`)
	shot(t, ctx, "unlock-light")
	form := `document.querySelector("watch-identity[mode=unlock] form")`
	state := `document.querySelector("watch-identity[mode=button]").dataset.state`

	js[any](t, ctx, fmt.Sprintf(`(%s.querySelector("textarea").value = "AGE-SECRET-KEY-PQ-1NOTONE", %s.requestSubmit(), true)`, form, form))
	eventually(t, ctx, `document.querySelector(".ww-error:not([hidden])")?.innerText.includes("not an identity")`)

	js[any](t, ctx, fmt.Sprintf(`(() => { const f = %s, s = f.querySelector("select"); s.value = "passphrase"; s.dispatchEvent(new Event("change"));
		f.querySelector("input[type=password]").value = "seven wet otters"; f.querySelector("textarea").value = %q; f.requestSubmit(); return true })()`, form, f.reader.String()))
	eventually(t, ctx, state+` === "unlocked"`)
	eventually(t, ctx, `document.querySelector("watch-identity[mode=unlock] textarea").value === ""`)
	// Keeping takes the work of scrypt; only then is there something to come back to.
	time.Sleep(2 * time.Second)
	js[any](t, ctx, `document.querySelector("watch-identity[mode=button] button").click(), true`)
	eventually(t, ctx, state+` === "locked"`)

	visit(t, ctx, f.url("/page/unlock?lang=fr"))
	eventually(t, ctx, form+`?.querySelector("input[type=password]")`)
	js[any](t, ctx, fmt.Sprintf(`(%s.querySelector("input").value = "wrong", %s.requestSubmit(), true)`, form, form))
	eventually(t, ctx, `document.querySelector(".ww-error:not([hidden])")?.innerText.includes("conserv")`)
	js[any](t, ctx, fmt.Sprintf(`(%s.querySelector("input").value = "seven wet otters", %s.requestSubmit(), true)`, form, form))
	eventually(t, ctx, state+` === "unlocked"`)
	if len(f.leaked) > 0 {
		t.Errorf("a secret reached the server: %q", f.leaked)
	}
}

// BenchmarkSeek clicks at 50 random places of an hour of 1080p at about 4
// Mbit/s, sealed, and tells how long it took until a frame was painted.
func BenchmarkSeek(b *testing.B) {
	ctx := browser(b)
	f := newTown(b)
	m := makeMovie(b, "avc1.640028", "-f", "lavfi", "-i", "testsrc2=size=1920x1080:rate=25:duration=60",
		"-vf", "noise=alls=6:allf=t", "-c:v", "libx264", "-preset", "ultrafast", "-profile:v", "high", "-level", "4.0", "-bf", "0", "-g", "50", "-sc_threshold", "0",
		"-b:v", "4M", "-maxrate", "4M", "-bufsize", "4M", "-pix_fmt", "yuv420p")
	b.Logf("%d bytes a minute", len(m.plain))
	f.addCamera("gate", "Gate", stream("main", "H.264", "live", ""))
	start := millis(time.Now().Add(-61 * time.Minute).Truncate(time.Second))
	for i := range int64(60) {
		f.record("gate", "main", start+i*60_000, m, 60_000, "sealed")
	}
	visit(b, ctx, f.url("/page/player?camera=gate&lang=en")+"#key="+f.reader.String())
	eventually(b, ctx, player+`?.querySelector("watch-timeline").data`)
	js[any](b, ctx, `document.querySelectorAll(".ww-timeline-bar button")[1].click(), true`)
	time.Sleep(500 * time.Millisecond)
	box := js[[]float64](b, ctx, `(r => [r.left, r.top, r.width, r.height])(document.querySelector(".ww-slider").getBoundingClientRect())`)
	var took []float64
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 50 {
		at := start + 5*60_000 + random.Int64N(54*60_000) // what the strip shows of the hour
		x := js[float64](b, ctx, fmt.Sprintf(`document.querySelector("watch-timeline").xOf(%d)`, at))
		js[any](b, ctx, `performance.clearMeasures(), true`)
		if err := chromedp.Do(ctx, chromedp.MouseClickXY(box[0]+x, box[1]+15)); err != nil {
			b.Fatal(err)
		}
		eventually(b, ctx, `performance.getEntriesByName("watch:seek-to-frame").length > 0`)
		ms := js[float64](b, ctx, `performance.getEntriesByName("watch:seek-to-frame").at(-1).duration`)
		phases := js[string](b, ctx, `(n => n("watch:indexed") + " indexed, " + n("watch:appended") + " appended")(name => (performance.getEntriesByName(name).find(e => e.startTime > performance.getEntriesByName("watch:seek").at(-1).startTime)?.startTime - performance.getEntriesByName("watch:seek").at(-1).startTime).toFixed(0))`)
		b.Logf("%d: %.0f ms (%s)", i, ms, phases)
		took = append(took, ms)
		time.Sleep(200 * time.Millisecond)
	}
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2], "p50-ms")
	b.ReportMetric(took[len(took)*95/100], "p95-ms")
	b.ReportMetric(took[len(took)-1], "max-ms")
}

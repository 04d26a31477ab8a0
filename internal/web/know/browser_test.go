package know

import (
	"bytes"
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// tab is a page in Debian's Chromium, logged in.
type tab struct {
	testing.TB
	ctx context.Context
	url string
}

// newTab starts Chromium, or skips: browser tests run where
// WATCHWARD_BROWSER_TESTS is set, as in .ci/run.
func newTab(t testing.TB, b *bench, name string) tab {
	t.Helper()
	if os.Getenv("WATCHWARD_BROWSER_TESTS") == "" {
		t.Skip("WATCHWARD_BROWSER_TESTS is not set")
	}
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed")
	}
	server := httptest.NewServer(b.web.Handler())
	t.Cleanup(server.Close)
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1280, 900),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(cancel)
	ctx, stop := chromedp.NewContext(ctx, chromedp.WithListener(func(ev any) {
		if ev, ok := ev.(*runtime.EventExceptionThrown); ok {
			t.Errorf("script error: %+v", ev.ExceptionDetails)
		}
	}))
	t.Cleanup(stop)
	ctx, cut := context.WithTimeout(ctx, 3*time.Minute)
	t.Cleanup(cut)
	p := tab{t, ctx, server.URL}
	p.visit("/login")
	value[bool](p, `(document.querySelector("[name=name]").value = "`+name+`", document.querySelector("[name=password]").value = "`+password+`", document.querySelector("main form").submit(), true)`)
	p.eventually(`!document.querySelector("[name=password]") && document.querySelector("nav")`)
	return p
}

func (p tab) visit(path string) {
	p.Helper()
	if err := chromedp.Do(p.ctx, chromedp.Navigate(p.url+path)); err != nil {
		p.Fatal(err)
	}
}

func (p tab) press(keys string) {
	p.Helper()
	if err := chromedp.Do(p.ctx, chromedp.KeyEvent(keys)); err != nil {
		p.Fatal(err)
	}
}

// value is the value of an expression.
func value[T any](p tab, expr string) T {
	p.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expr))
	if err != nil {
		p.Fatalf("%s: %v", expr, err)
	}
	return v
}

// eventually waits until an expression is true. Between two pages it cannot be
// asked, which is no answer.
func (p tab) eventually(expr string) {
	p.Helper()
	for end := time.Now().Add(15 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		yes, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool]("!!("+expr+")"))
		if err == nil && yes {
			return
		}
		if time.Now().After(end) {
			p.Fatalf("never: %s (%v)\npage says: %s", expr, err, value[string](p, "document.body?.innerText ?? ''"))
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
	if err := os.WriteFile(filepath.Join(dir, "know-"+name+".png"), b, 0o644); err != nil {
		p.Fatal(err)
	}
}

// looks are the ways in which people see a page.
var looks = []struct {
	name, lang, theme string
	width             int64
}{
	{"light", "en", "light", 1280},
	{"dark-fr", "fr", "dark", 1280},
	{"phone", "en", "light", 390},
	{"phone-dark-fr", "fr", "dark", 360},
}

// No page is wider than the window that shows it, in any look.
func TestPagesFitTheirWindow(t *testing.T) {
	b := newBench(t)
	fill(t, b, 300)
	b.season(t)
	b.disputed(t)
	p := newTab(t, b, "Ada")
	pages := map[string]string{
		"estate": "/estate", "organisation": "/estate/organisations/harbour-council", "site": "/estate/sites/depot", "place": "/estate/sites/-/new",
		"devices": "/estate/devices", "device": "/estate/devices/" + string(b.device["10.0.0.1"]), "device-likely": "/estate/devices/" + string(b.device["10.0.0.3"]),
		"device-unknown": "/estate/devices/" + string(b.device["10.0.0.5"]), "scans": "/estate/scans", "scan": "/estate/scans/1", "new-scan": "/estate/scans/-/new", "change": "/estate/devices/" + string(b.device["10.0.0.1"]) + "/edit",
		"findings": "/findings?state=all", "finding": "/findings/" + b.waived(t).ID, "decisions": "/findings/-/decisions", "plan": "/plan", "sheet": "/plan/sheet",
		"what-if": "/what-if", "what-if-ordinary": "/what-if?ordinary=yes&as-if=US-889A&as-if=US-889B&purpose=government-facilities",
		"rules": "/rules", "rule": "/rules/UK-WMS-386",
	}
	for _, look := range looks {
		if err := chromedp.Do(p.ctx, chromedp.EmulateViewport(look.width, 900)); err != nil {
			t.Fatal(err)
		}
		value[string](p, `(document.cookie = "lang=`+look.lang+`; path=/", document.cookie = "theme=`+look.theme+`; path=/")`)
		for name, path := range pages {
			p.visit(path)
			if over := value[float64](p, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
				p.Errorf("%s in %s is %v pixels too wide: %s", name, look.name, over, value[string](p, tooWide))
			}
			if out := value[string](p, outOfCard); out != "" {
				p.Errorf("%s in %s: sticks out of its card: %s", name, look.name, out)
			}
			p.shot(name + "-" + look.name)
		}
	}
	if lang := value[string](p, `document.documentElement.lang`); !strings.HasPrefix(lang, "fr") {
		t.Errorf("the last look is in %q", lang)
	}
}

// The sheet is made for A4: nothing is cut off at the right, and the rows that
// follow on another page stand under the table's head again.
func TestSheetIsPrintedOnA4(t *testing.T) {
	b := newBench(t)
	fill(t, b, 100)
	b.season(t)
	p := newTab(t, b, "Ada")
	p.visit("/plan/sheet")
	if _, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"}); err != nil {
		t.Fatal(err)
	}
	// 210 mm less the margins are 186 mm: 703 pixels of 1/96 inch.
	if err := chromedp.Do(p.ctx, chromedp.EmulateViewport(703, 1000)); err != nil {
		t.Fatal(err)
	}
	if over := value[float64](p, `Math.max(...[...document.querySelectorAll("main *")].map(e => e.getBoundingClientRect().right)) - innerWidth`); over > 0 {
		t.Errorf("the sheet is %v pixels too wide for A4: %s", over, value[string](p, tooWide))
	}
	if shown := value[bool](p, `[...document.querySelectorAll("nav, form, header")].some(e => e.offsetParent)`); shown {
		t.Error("the sheet prints what only a screen needs")
	}
	printed, err := chromedp.Call(p.ctx, page.PrintToPDF, page.PrintToPDFParams{PaperWidth: 8.27, PaperHeight: 11.69})
	if err != nil || !bytes.HasPrefix(printed.Data, []byte("%PDF-")) {
		t.Fatalf("print: %v", err)
	}
	if dir := os.Getenv("WATCHWARD_SCREENSHOTS"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, "know-sheet.pdf"), printed.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// tooWide names the innermost elements that stick out.
const tooWide = `[...document.querySelectorAll("main *, header *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".scroll")).map(e => e.tagName + "." + e.className).slice(-4).join(" ")`

// outOfCard names what a card does not hold.
const outOfCard = `[...document.querySelectorAll(".card :is(button, input, select, textarea, a)")].filter(e => e.checkVisibility() && !e.closest(".scroll") && e.getBoundingClientRect().right > e.closest(".card").getBoundingClientRect().right + 1).map(e => e.tagName + " " + (e.name || e.innerText)).slice(0, 3).join(", ")`

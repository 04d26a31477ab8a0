package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/chromedp/chromedp"
)

// server is "watchward run" as a person runs it.
type server struct {
	cmd    *exec.Cmd
	url    string // with a slash at the end
	exited chan error
}

// serve builds the program and starts it on the data folder.
func serve(ctx context.Context, out, dir string) (*server, error) {
	program, err := filepath.Abs(filepath.Join(out, "watchward"))
	if err != nil {
		return nil, err
	}
	if text, err := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", program, "./cmd/watchward").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build watchward (run this from the top of the repository): %w: %s", err, text)
	}
	s := &server{cmd: exec.Command(program, "run", "--data", dir, "--listen", "127.0.0.1:0"), exited: make(chan error, 1)}
	var said strings.Builder
	s.cmd.Stderr = &said
	lines, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	ready := make(chan string, 1)
	go func() {
		r := bufio.NewReader(lines)
		line, _ := r.ReadString('\n')
		ready <- line
		_, _ = io.Copy(io.Discard, r)
		s.exited <- s.cmd.Wait()
	}()
	select {
	case line := <-ready:
		url, ok := strings.CutPrefix(strings.TrimSpace(line), "ready ")
		if !ok {
			return nil, fmt.Errorf("start watchward: %w: %s", errors.Join(s.stop()), said.String())
		}
		s.url = url
		return s, nil
	case <-time.After(time.Minute):
		return nil, errors.Join(errors.New("watchward is not ready after a minute"), s.stop())
	}
}

func (s *server) stop() error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-s.exited:
		return err
	case <-time.After(30 * time.Second):
		_ = s.cmd.Process.Kill()
		return errors.Join(errors.New("watchward did not stop"), <-s.exited)
	}
}

// page is a tab of Chromium.
type page struct{ ctx context.Context }

func openBrowser(ctx context.Context) (page, func(), error) {
	path, err := exec.LookPath("chromium")
	if err != nil {
		return page{}, nil, fmt.Errorf("find a browser: %w", err)
	}
	profile, err := os.MkdirTemp("", "bench-play-")
	if err != nil {
		return page{}, nil, err
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(profile), chromedp.WindowSize(1440, 1000),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"))
	ctx, cancel := chromedp.NewExecAllocator(ctx, opts...)
	ctx, leave := chromedp.NewContext(ctx)
	return page{ctx}, func() { leave(); cancel(); _ = os.RemoveAll(profile) }, nil
}

func (p page) visit(url string) error { return chromedp.Do(p.ctx, chromedp.Navigate(url)) }

// eval runs an expression in the page.
func eval[T any](p page, expr string) (T, error) {
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expr, chromedp.EvalAwaitPromise))
	if err != nil {
		return v, fmt.Errorf("in the page: %w", err) // the expression may hold the identity
	}
	return v, nil
}

// eventually waits until an expression is true, if need be on the next page.
func (p page) eventually(expr string) error {
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		yes, err := eval[bool](p, "!!("+expr+")")
		if err == nil && yes {
			return nil
		}
		if p.ctx.Err() != nil {
			return p.ctx.Err()
		}
		if time.Now().After(end) {
			text, _ := eval[string](p, "document.body.innerText")
			return errors.Join(fmt.Errorf("never: %s; the page says: %q", expr, text), err)
		}
	}
}

func (p page) login(url string, h *house) error {
	if err := p.visit(url + "login"); err != nil {
		return err
	}
	if _, err := eval[bool](p, fmt.Sprintf(`(f => (f.elements.name.value = %q, f.elements.password.value = %q, f.requestSubmit(), true))(document.querySelector("form[action='/login']"))`,
		userName, password)); err != nil {
		return err
	}
	return p.eventually(`!location.pathname.startsWith("/login") && document.readyState === "complete"`)
}

const (
	thePlayer   = `document.querySelector("watch-player")`
	theTimeline = `document.querySelector("watch-timeline")`
)

// open shows the camera's page and gives it the identity, in the part of the
// address that is not sent.
func (p page) open(url string, h *house) error {
	if err := p.visit(url + "cameras/" + h.gate.Camera + "#key=" + h.identity.Reveal()); err != nil {
		return err
	}
	return p.eventually(`location.hash === "" && ` + theTimeline + `?.data?.first`)
}

// pause and play do so if need be. While it plays, the timeline's view stays
// where playback is, so whoever wants to look elsewhere pauses first.
const (
	picture = thePlayer + `.querySelector("video.ww-picture:not(.ww-away)")`
	pause   = `(` + thePlayer + `.mode === "playback" && !` + picture + `.paused && ` + thePlayer + `.toggle(), true)`
	play    = `(` + picture + `.paused && ` + thePlayer + `.toggle(), true)`
)

// seeks clicks at random places of a span and tells the milliseconds until the
// first frame of each was painted. The first click finds a day whose key the browser
// has not opened yet, the others find a playing picture.
func (p page) seeks(s span, c config) (took []float64, err error) {
	from, to := s.start.UnixMilli(), s.start.Add(s.length).UnixMilli()
	margin := s.length.Milliseconds() / 50
	show := fmt.Sprintf(`(%s.view = {from: %d, to: %d}, true)`, theTimeline, from-margin, to+margin)
	random := rand.New(rand.NewPCG(c.seed, uint64(s.length)))
	if _, err := eval[bool](p, pause); err != nil {
		return nil, err
	}
	for range c.seeks {
		if _, err := eval[bool](p, show); err != nil {
			return nil, err
		}
		time.Sleep(300 * time.Millisecond)       // what the view asks for comes; a person aims for longer
		at := from + random.Int64N(to-from-5000) // playback should not reach the end
		where, err := eval[[]float64](p, fmt.Sprintf(`(performance.clearMeasures(), document.querySelector(".ww-slider").scrollIntoView({block: "center"}), (r => [r.left + %s.xOf(%d), r.top + 15])(document.querySelector(".ww-slider").getBoundingClientRect()))`,
			theTimeline, at))
		if err != nil {
			return nil, err
		}
		if err := chromedp.Do(p.ctx, chromedp.MouseClickXY(where[0], where[1])); err != nil {
			return nil, err
		}
		if err := p.eventually(`performance.getEntriesByName("watch:seek-to-frame").length > 0`); err != nil {
			return nil, fmt.Errorf("a click at %s: %w", time.UnixMilli(at).UTC().Format(time.DateTime), err)
		}
		answer, err := eval[[]float64](p, `(e => [e.duration, e.detail.time])(performance.getEntriesByName("watch:seek-to-frame")[0])`)
		if err != nil {
			return nil, err
		}
		// A click hits a pixel, not a millisecond.
		if off := int64(answer[1]) - at; max(off, -off) > s.length.Milliseconds()/200 {
			return nil, fmt.Errorf("a click at %d was understood as %.0f", at, answer[1])
		}
		took = append(took, answer[0])
		if _, err := eval[bool](p, play); err != nil {
			return nil, err
		}
	}
	return took, nil
}

// answered is what the browser saw of the timeline's requests.
type answered struct {
	P50, Max    float64 // milliseconds from request to last byte
	Bytes, Sent int     // before and after compression
}

// timeline asks 30 times for the month, as the page does.
func (p page) timeline(h *house) (answered, error) {
	return eval[answered](p, fmt.Sprintf(`(async () => {
		const took = []; let last;
		for (let i = 0; i < 30; i++) {
			const url = "/api/cameras/%s/timeline?stream=main&from=" + (Date.now() - 32 * 86400e3 - i) + "&to=" + Date.now();
			const r = await fetch(url); const text = await r.text();
			if (!r.ok || JSON.parse(text).gaps.length < 400) throw new Error(r.status + " " + text.slice(0, 200));
			await new Promise(d => setTimeout(d, 20));
			last = performance.getEntriesByName(location.origin + url).at(-1);
			took.push(last.responseEnd - last.requestStart);
		}
		took.sort((a, b) => a - b);
		return {P50: took[15], Max: took[29], Bytes: last.decodedBodySize, Sent: last.encodedBodySize};
	})()`, h.month.Camera))
}

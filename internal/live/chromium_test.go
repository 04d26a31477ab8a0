package live

import (
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/watchward/watchward/internal/media"
)

// page is what a tile does, in short: by WHEP and by WebSocket. Each function
// resolves to times in milliseconds since it began and what the decoder counted.
const page = `<!doctype html><meta charset="utf-8"><title>live</title>
<video id="v" muted autoplay playsinline></video>
<script>
const one = document.getElementById('v');
const wait = ms => new Promise(r => setTimeout(r, ms));
const first = v => new Promise(r => v.requestVideoFrameCallback(() => r(performance.now())));
async function whep(url, watch, v = one) {
  const begin = performance.now(), pc = new RTCPeerConnection(), log = {};
  pc.addTransceiver('video', {direction: 'recvonly'});
  pc.addTransceiver('audio', {direction: 'recvonly'});
  pc.ontrack = e => { if (e.track.kind === 'video') v.srcObject = new MediaStream([e.track]); };
  pc.onicecandidate = e => { if (e.candidate) log.candidates = (log.candidates || 0) + 1; };
  pc.onconnectionstatechange = () => log[pc.connectionState] ??= performance.now() - begin;
  await pc.setLocalDescription();
  const res = await fetch(url, {method: 'POST', headers: {'Content-Type': 'application/sdp'}, body: pc.localDescription.sdp});
  if (res.status !== 201) throw new Error(await res.text());
  log.answer = performance.now() - begin;
  const shown = first(v);
  await pc.setRemoteDescription({type: 'answer', sdp: await res.text()});
  log.first = await Promise.race([shown, wait(8000).then(() => NaN)]) - begin;
  await wait(watch);
  for (const s of (await pc.getStats()).values()) if (s.type === 'inbound-rtp' && s.kind === 'video') {
    log.decoded = s.framesDecoded; log.dropped = s.framesDropped; log.lost = s.packetsLost;
    log.delay = 1000 * s.jitterBufferDelay / s.jitterBufferEmittedCount; log.plis = s.pliCount;
    log.freezes = s.freezeCount;
  }
  log.width = v.videoWidth;
  await fetch(res.headers.get('Location'), {method: 'DELETE'});
  pc.close();
  v.srcObject = null;
  return log;
}
// wall shows n at once and tells of the last.
async function wall(n, how, url, watch) {
  const all = Array.from({length: n}, () => {
    const v = document.createElement('video');
    v.muted = v.autoplay = v.playsInline = true;
    document.body.append(v);
    return how(url, watch, v).finally(() => v.remove());
  });
  return (await Promise.all(all)).reduce((a, b) => a.first > b.first ? a : b);
}
async function socket(url, watch, v = one) {
  const begin = performance.now(), log = {}, queue = [];
  const source = new MediaSource();
  v.srcObject = null;
  v.src = URL.createObjectURL(source);
  await new Promise(r => source.onsourceopen = r);
  const ws = new WebSocket(url);
  ws.binaryType = 'arraybuffer';
  let buffer;
  const feed = () => { if (buffer && !buffer.updating && queue.length) buffer.appendBuffer(queue.shift()); };
  const shown = first(v);
  ws.onmessage = e => {
    if (typeof e.data === 'string') {
      const m = JSON.parse(e.data);
      log.codecs = m.codecs;
      buffer = source.addSourceBuffer('video/mp4; codecs="' + m.codecs + '"');
      buffer.onupdateend = feed;
      buffer.onerror = () => log.error = 'buffer';
      return;
    }
    log.init ??= performance.now() - begin;
    queue.push(e.data);
    feed();
  };
  ws.onclose = () => log.closed = performance.now() - begin;
  v.onwaiting = () => { if (log.first) log.waits = (log.waits || 0) + 1; };
  v.play();
  log.first = await Promise.race([shown, wait(8000).then(() => NaN)]) - begin;
  await wait(watch);
  const q = v.getVideoPlaybackQuality();
  log.decoded = q.totalVideoFrames; log.dropped = q.droppedVideoFrames;
  log.ranges = v.buffered.length;
  log.delay = 1000 * (v.buffered.end(v.buffered.length - 1) - v.currentTime);
  log.width = v.videoWidth;
  ws.close();
  v.removeAttribute('src');
  v.load();
  return log;
}
</script>`

// seen is what a page function resolves to.
type seen struct {
	Answer, Init, Connected, First float64 // ms
	Decoded, Dropped, Lost, Width  float64
	Plis, Freezes, Waits, Ranges   float64
	Candidates                     float64 // of the browser's own
	Delay                          float64 // ms from arrival to show, or held in reserve
	Codecs, Error                  string
}

// TestChromium watches a real stream in a real browser by both ways.
func TestChromium(t *testing.T) {
	if os.Getenv("WATCHWARD_BROWSER_TESTS") == "" {
		t.Skip("WATCHWARD_BROWSER_TESTS is not set")
	}
	const chromium = "/usr/bin/chromium"
	if _, err := os.Stat(chromium); err != nil {
		t.Skipf("no browser: %v", err)
	}
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed")
	}
	src := newSource(t)
	var clip []*media.Sample
	src.video, clip = encoded(t, 24, "-c:v", "libx264", "-preset", "ultrafast", "-profile:v", "main", "-bf", "0", "-b:v", "2M")
	h := run(t, Options{}, map[string]*media.Stream{"gate/main": &src.st})
	h.pages(page)
	for _, s := range clip[:45] { // the last keyframe is 45 pictures old
		s.Received = time.Now()
		src.st.Publish(s)
	}
	forward(t, &src.st, clip[45:])

	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"), chromedp.UserDataDir(t.TempDir()))
	alloc, stop := chromedp.NewExecAllocator(t.Context(), opts...)
	defer stop()
	ctx, done := chromedp.NewContext(alloc)
	defer done()
	if err := chromedp.Do(ctx, chromedp.Navigate(h.url+"/")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, script string
		first        float64 // ms in which the first picture is to be there
	}{
		{"WHEP", `whep('/gate/main/whep', 2000)`, 1000},
		{"WebSocket", `socket('/gate/main/socket', 2000)`, 1000},
		{"WHEP, nine at once", `wall(9, whep, '/gate/main/whep', 2000)`, 3000},
		{"WebSocket, nine at once", `wall(9, socket, '/gate/main/socket', 2000)`, 3000},
	} {
		if strings.HasPrefix(tt.name, "WHEP") && !networked() {
			t.Logf("%s: left out, browsers have no WebRTC on a machine without a network", tt.name)
			continue
		}
		bounded, over := context.WithTimeout(ctx, 20*time.Second)
		got, err := chromedp.Run(bounded, chromedp.Evaluate[seen](tt.script, chromedp.EvalAwaitPromise))
		over()
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		t.Logf("%s: %+v", tt.name, got)
		if got.First == 0 || got.First > tt.first {
			t.Errorf("%s: first picture after %.0f ms, want less than %.0f", tt.name, got.First, tt.first)
		}
		if got.Decoded < 40 || got.Width != 320 {
			t.Errorf("%s: %.0f pictures %.0f wide, want 40 or more, 320 wide", tt.name, got.Decoded, got.Width)
		}
		eventually(t, "the viewer is gone", func() bool { return h.Viewers() == 0 })
	}
}

// pages serves one page at the root.
func (h *house) pages(html string) {
	h.mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, html)
	})
}

// forward publishes samples, 25 a second, until they or the test are over.
func forward(t testing.TB, st *media.Stream, clip []*media.Sample) {
	done, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		tick := time.NewTicker(40 * time.Millisecond)
		defer tick.Stop()
		for _, s := range clip {
			select {
			case <-done:
				return
			case <-tick.C:
				s.Received = time.Now()
				st.Publish(s)
			}
		}
	}()
	t.Cleanup(func() { close(done); <-over })
}

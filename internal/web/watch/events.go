package watch

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/web"
)

// Bounds of the event streams.
const (
	maxListeners   = 256
	maxPending     = 256                    // segments one listener may lag behind
	eventPause     = 500 * time.Millisecond // between bunches: states change faster than people read
	heartbeat      = 15 * time.Second       // shorter than what proxies on the way put up with
	eventWriteTime = 10 * time.Second
)

// hub tells listeners what happened. What happens twice before a listener has
// read it is told once, so a slow one holds a bounded amount.
type hub struct {
	mu  sync.Mutex
	all map[*listener]struct{}
}

type listener struct {
	wake chan struct{}

	mu       sync.Mutex
	cameras  map[string]bool
	segments []segmentEvent
	health   bool
}

type segmentEvent struct {
	Camera string `json:"camera"`
	Stream string `json:"stream"`
	Start  int64  `json:"start"`
	MS     int64  `json:"ms"`
}

// CameraChanged says that a camera's state, or a recorder's of it, changed.
func (w *Watch) CameraChanged(camera string) {
	w.hub.tell(func(l *listener) { l.cameras[camera] = true })
}

// SegmentClosed says that a segment was committed.
func (w *Watch) SegmentClosed(s archive.Segment) {
	e := segmentEvent{Camera: s.Camera, Stream: s.Stream, Start: milli(s.Start), MS: s.Duration.Milliseconds()}
	w.hub.tell(func(l *listener) {
		if len(l.segments) == maxPending {
			l.segments = l.segments[1:] // the page asks for the timeline anew when it matters
		}
		l.segments = append(l.segments, e)
	})
}

// HealthChanged says that the archive's health changed.
func (w *Watch) HealthChanged() { w.hub.tell(func(l *listener) { l.health = true }) }

func (h *hub) tell(f func(*listener)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for l := range h.all {
		l.mu.Lock()
		f(l)
		l.mu.Unlock()
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

func (h *hub) join() (*listener, bool) {
	l := &listener{wake: make(chan struct{}, 1), cameras: map[string]bool{}, health: true}
	l.wake <- struct{}{} // begins with the health
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.all) >= maxListeners {
		return nil, false
	}
	if h.all == nil {
		h.all = map[*listener]struct{}{}
	}
	h.all[l] = struct{}{}
	return l, true
}

func (h *hub) leave(l *listener) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.all, l)
}

func (l *listener) take() (cameras map[string]bool, segments []segmentEvent, health bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	cameras, segments, health = l.cameras, l.segments, l.health
	l.cameras, l.segments, l.health = map[string]bool{}, nil, false
	return cameras, segments, health
}

// apiEvents is a stream of server-sent events.
func (w *Watch) apiEvents(rw http.ResponseWriter, r *http.Request) error {
	l, ok := w.hub.join()
	if !ok {
		return web.Problem{Status: http.StatusServiceUnavailable, Code: "busy", After: 10 * time.Second}
	}
	defer w.hub.leave(l)
	rw.Header().Set("Content-Type", "text/event-stream")
	rw.Header().Set("X-Accel-Buffering", "no") // nginx would hold events back
	out := &eventWriter{rw: rw, control: http.NewResponseController(rw)}
	out.line("retry: 2000\n\n")
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for out.err == nil {
		select {
		case <-r.Context().Done():
			return nil
		case <-beat.C:
			// A heartbeat that nobody may hear any more ends the stream.
			if err := w.o.Web.Still(r); err != nil {
				return nil
			}
			out.line(": still here\n\n")
			continue
		case <-l.wake:
		}
		w.sendEvents(out, r, l)
		select {
		case <-r.Context().Done():
			return nil
		case <-time.After(eventPause):
		}
	}
	return nil
}

func (w *Watch) sendEvents(out *eventWriter, r *http.Request, l *listener) {
	cameras, segments, health := l.take()
	visible, err := w.visible(r)
	if err != nil {
		w.log.Warn("list cameras for events", "err", err)
		return // what is missed here, the page asks for when it matters
	}
	sees := make(map[string]bool, len(visible))
	for _, c := range visible {
		if sees[c.ID] = true; cameras[c.ID] {
			out.event("camera", w.info(c))
		}
	}
	for _, s := range segments {
		if sees[s.Camera] {
			out.event("segment", s)
		}
	}
	if health {
		out.event("health", w.health(visible))
	}
	out.flush()
}

// eventWriter writes events; the first error stays.
type eventWriter struct {
	rw      http.ResponseWriter
	control *http.ResponseController
	err     error
}

func (o *eventWriter) event(kind string, v any) {
	body, err := json.Marshal(v)
	if err == nil && o.err == nil {
		web.LongAnswer(o.rw, eventWriteTime)
		_, o.err = fmt.Fprintf(o.rw, "event: %s\ndata: %s\n\n", kind, body)
	}
}

func (o *eventWriter) line(s string) {
	if o.err == nil {
		web.LongAnswer(o.rw, eventWriteTime)
		_, o.err = o.rw.Write([]byte(s))
		o.flush()
	}
}

func (o *eventWriter) flush() {
	if o.err == nil {
		o.err = o.control.Flush()
	}
}

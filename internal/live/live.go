// Package live shows a camera's stream to people, now: by WebRTC (WHEP), as
// fragmented MP4 over a WebSocket, or picture by picture.
//
// Begin with [Live.Choose], which says by which way a given browser can show a
// given stream; then [Live.WHEP] and [Live.Socket] serve it. A viewer reads a
// [media.Stream] through a queue of his own (see queue.go) and never slows the
// camera: whoever cannot follow skips to the next keyframe.
//
// # What to know before it hurts
//
// Nothing is decoded or encoded here. Browsers show H.264 with pictures in
// another order than they are coded (B-frames) by fMP4 only; they have no
// H.265 in WebRTC that could be relied on; and G.711 is not to be had in fMP4.
//
// No connection is ever opened from here: there is no STUN or TURN server, we
// are an ICE-lite agent (RFC 8445, 2.5), candidates in offers are not even
// read. All viewers share one UDP and one TCP port of the same number.
package live

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchward/watchward/internal/media"
)

// Options configures [Live]. Zero is a usable value unless the comment says
// required.
type Options struct {
	// Streams finds a camera's stream by name; required. A stream is there as
	// soon as it is configured, long before its camera answers.
	Streams func(camera, stream string) (*media.Stream, bool)
	Log     *slog.Logger // nil means [slog.Default]

	// UDPPort takes the media of all WebRTC viewers, and the TCP port of the
	// same number that of those whose network lets no UDP through. Zero means
	// any free one.
	UDPPort int
	// Loopback offers loopback addresses too, for a browser on this machine.
	Loopback bool
	// LoopbackOnly opens the ports on loopback and nowhere else.
	LoopbackOnly bool
	// MaxViewers bounds the viewers by all ways together. Zero means 256.
	MaxViewers int
}

// The ways of showing a stream.
const (
	WayWebRTC   = "webrtc"
	WayFMP4     = "fmp4"
	WayPictures = "pictures"
	WayNone     = "none"
)

var (
	errFull    = errors.New("too many viewers")
	errStopped = errors.New("live view is stopped")
	errEnded   = errors.New("ended by the viewer")
	errOffline = errors.New("camera sends nothing yet")
)

// Live serves all viewers of all streams.
type Live struct {
	o         Options
	patience  patience
	networked func() bool // any address but loopback
	orders    orders

	mu      sync.Mutex
	viewers map[string]*viewer // by id
	ports   *ports             // nil unless running
	running bool
	serving sync.WaitGroup // one for each viewer; Add only with mu held and running
}

// New checks the options and starts nothing.
func New(o Options) (*Live, error) {
	if o.Streams == nil {
		return nil, errors.New("live: option Streams is required")
	}
	if o.UDPPort < 0 || o.UDPPort > 65535 {
		return nil, fmt.Errorf("live: UDP port %d: want 0 to 65535", o.UDPPort)
	}
	if o.LoopbackOnly {
		o.Loopback = true
	}
	o.Log = cmp.Or(o.Log, slog.Default())
	o.MaxViewers = cmp.Or(o.MaxViewers, 256)
	return &Live{o: o, patience: usualPatience(), networked: networked, viewers: map[string]*viewer{}}, nil
}

// Run opens the ports and serves viewers until ctx ends. It returns when the
// last of them is gone; before and after Run viewers are refused.
func (l *Live) Run(ctx context.Context) error {
	p, err := openPorts(l.o)
	if err != nil {
		return fmt.Errorf("live: %w", err)
	}
	l.mu.Lock()
	l.ports, l.running = p, true
	l.mu.Unlock()

	<-ctx.Done()

	l.mu.Lock()
	l.running, l.ports = false, nil
	for _, v := range l.viewers {
		v.end(errStopped)
	}
	l.mu.Unlock()
	l.serving.Wait()
	if err := p.Close(); err != nil {
		l.o.Log.Warn("live: close ports", "err", err)
	}
	return nil
}

// Viewers counts those who watch, by all ways.
func (l *Live) Viewers() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.viewers)
}

// Stats is what one viewer has had so far.
type Stats struct {
	Way, Camera, Stream string
	Remote              string // address as the HTTP request gave it
	Since               time.Time

	Frames  uint64  // video samples sent
	Bytes   uint64  // of samples sent, audio too
	Skipped uint64  // video samples left out because the viewer was too slow
	Resent  uint64  // times the group of pictures was sent anew for a viewer who lost something
	Loss    float64 // share of packets lost as last reported, 0 to 1; WebRTC only
}

// Stats lists the viewers, the longest watching first.
func (l *Live) Stats() []Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]Stats, 0, len(l.viewers))
	for _, v := range l.viewers {
		all = append(all, v.stats())
	}
	slices.SortFunc(all, func(a, b Stats) int { return a.Since.Compare(b.Since) })
	return all
}

// viewer is one open picture in one browser.
type viewer struct {
	id, way, camera, stream, remote string

	since time.Time
	ctx   context.Context // ends with the viewer; its cause says why
	end   context.CancelCauseFunc

	frames, bytes, skipped, resent atomic.Uint64
	loss                           atomic.Uint32 // of 256
}

func (v *viewer) stats() Stats {
	return Stats{
		Way: v.way, Camera: v.camera, Stream: v.stream, Remote: v.remote, Since: v.since,
		Frames: v.frames.Load(), Bytes: v.bytes.Load(), Skipped: v.skipped.Load(), Resent: v.resent.Load(),
		Loss: float64(v.loss.Load()) / 256,
	}
}

func (v *viewer) count(s *media.Sample) {
	if s.Format.Codec.Video() {
		v.frames.Add(1)
	}
	v.bytes.Add(uint64(len(s.Data)))
}

// enter admits a viewer. Who calls it calls leave, or lets the viewer's own
// goroutine do so.
func (l *Live) enter(way, camera, stream, remote string) (*viewer, *ports, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case !l.running:
		return nil, nil, errStopped
	case len(l.viewers) >= l.o.MaxViewers:
		return nil, nil, errFull
	}
	v := &viewer{id: rand.Text(), way: way, camera: camera, stream: stream, remote: remote, since: time.Now()}
	v.ctx, v.end = context.WithCancelCause(context.Background())
	l.viewers[v.id] = v
	l.serving.Add(1)
	return v, l.ports, nil
}

func (l *Live) leave(v *viewer) {
	v.end(errEnded)
	l.mu.Lock()
	delete(l.viewers, v.id)
	l.mu.Unlock()
	l.o.Log.Debug("viewer gone", "way", v.way, "camera", v.camera, "stream", v.stream, "why", context.Cause(v.ctx))
	l.serving.Done()
}

package camera

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/watchward/watchward/internal/camera/rtsp"
	"github.com/watchward/watchward/internal/media"
)

// Camera keeps one stream of one camera coming. All its fields belong to the
// goroutine of Run.
type Camera struct {
	o     Options
	tls   tlsChoice
	log   *slog.Logger
	state State

	ways      []rtsp.Transport // still to be tried, the first is next
	proven    bool             // the first of ways has worked
	broken    media.Reason     // the reason last given to readers; "" while live
	reordered bool             // see rtp.Config
	failure   int              // connections in a row that brought nothing
}

// How long to wait before connecting again.
const (
	firstWait = 500 * time.Millisecond
	lastWait  = 30 * time.Second
	// A camera counts wrong passwords and locks us, and everybody else, out.
	loginWait = 60 * time.Second
	// forgetAfter is how many failures in a row make us forget which transport
	// used to work.
	forgetAfter = 5
)

// New checks the options and starts nothing.
func New(o Options) (*Camera, error) {
	if o.Stream == nil {
		return nil, errors.New("camera: want a stream to publish to")
	}
	clean, user, password, err := SplitURL(o.URL)
	if err != nil {
		return nil, err
	}
	if user != "" || password != "" {
		return nil, errors.New("camera address: want the login in Username and Password, not in the address")
	}
	o.URL = clean
	o.Transport = cmp.Or(o.Transport, Auto)
	o.NoVideoAfter = cmp.Or(o.NoVideoAfter, 10*time.Second)
	o.Batch = cmp.Or(o.Batch, 80*time.Millisecond)
	o.UserAgent = cmp.Or(o.UserAgent, "Watchward")
	if o.Batch < time.Millisecond || o.Batch > time.Second {
		return nil, fmt.Errorf("batch %s: want 1ms to 1s", o.Batch)
	}
	c := &Camera{o: o, log: cmp.Or(o.Log, slog.Default())}
	if c.tls, err = o.TLS.choice(); err != nil {
		return nil, err
	}
	if c.ways, err = o.Transport.ways(); err != nil {
		return nil, err
	}
	return c, nil
}

// ways lists the transports to try, in order.
func (t Transport) ways() ([]rtsp.Transport, error) {
	switch t {
	case Auto:
		return []rtsp.Transport{rtsp.TCP, rtsp.UDP, rtsp.HTTP}, nil
	case TCP, UDP, HTTP:
		return []rtsp.Transport{rtsp.Transport(t)}, nil
	}
	return nil, fmt.Errorf("transport %q: want auto, tcp, udp or http", string(t))
}

// Run keeps the camera's samples coming until ctx ends; then it says goodbye to
// the camera and returns nil.
func (c *Camera) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		c.enter(Dialing, c.state.Reason, c.state.Detail)
		err := c.session(ctx)
		if ctx.Err() != nil {
			break
		}
		c.wait(ctx, err)
	}
	c.breakRun(media.Stopped)
	c.enter(Halted, media.Stopped, "")
	return nil
}

// wait says why the connection ended and sleeps before the next.
func (c *Camera) wait(ctx context.Context, err error) {
	reason := c.reasonOf(err)
	c.state.Certificate = refused(err)
	c.breakRun(reason)
	if c.otherWay(err) {
		return
	}
	pause := c.pause(reason)
	c.state.Next = time.Now().Add(pause)
	c.log.Warn("camera is away", "reason", reason, "detail", err, "next", pause.Round(time.Millisecond))
	c.enter(Waiting, reason, err.Error())
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	c.state.Next = time.Time{}
}

// otherWay reports whether another transport may help where this one brought
// nothing, and makes it the next.
func (c *Camera) otherWay(err error) bool {
	if c.o.Transport == Auto && c.proven && c.failure >= forgetAfter {
		c.proven = false // perhaps another camera stands there by now
		c.ways, _ = Auto.ways()
	}
	if c.o.Transport != Auto || c.proven || !errors.Is(err, rtsp.ErrTransport) && !errors.Is(err, errNoData) {
		return false
	}
	if c.ways = c.ways[1:]; len(c.ways) > 0 {
		return true
	}
	c.ways, _ = Auto.ways()
	return false
}

// pause is the time until the next connection, spread so that cameras behind one
// switch do not all come back in the same moment.
func (c *Camera) pause(reason media.Reason) time.Duration {
	d := firstWait << min(c.failure, 10)
	c.failure++
	if d = min(d, lastWait); reason == media.WrongPassword {
		d = loginWait
	}
	return d*3/4 + rand.N(d/2)
}

// enter changes the phase and tells.
func (c *Camera) enter(p Phase, reason media.Reason, detail string) {
	if p != c.state.Phase {
		c.state.Since = time.Now()
	}
	c.state.Phase, c.state.Reason, c.state.Detail = p, reason, detail
	if p == Live {
		c.state.Certificate = nil
	}
	if p != Live {
		c.state.FPS, c.state.Kbps = 0, 0
	}
	c.report()
}

func (c *Camera) report() {
	if c.o.Report != nil {
		c.o.Report(c.state)
	}
}

// breakRun tells the readers that a run is over, or that the reason for having
// none has changed.
func (c *Camera) breakRun(reason media.Reason) {
	if c.broken == reason {
		return
	}
	c.broken = reason
	c.o.Stream.Break(reason, time.Now())
}

// What ends a session besides what package rtsp says.
var (
	errNoVideo     = errors.New("connected, but no video came")
	errNoData      = errors.New("connected, but nothing came at all")
	errNoKeyframe  = errors.New("pictures come, but no keyframe to begin with: set a shorter keyframe interval in the camera")
	errUnreadable  = errors.New("pictures come, but their parameter sets or packets cannot be read")
	errUnsupported = errors.New("camera offers no video that can be carried: want H.264, H.265 or MJPEG")
)

// reasonOf turns an error into the word that gaps and people are given.
func (c *Camera) reasonOf(err error) media.Reason {
	var status *rtsp.StatusError
	switch {
	case refused(err) != nil:
		return media.Untrusted
	case errors.Is(err, rtsp.ErrLogin):
		return media.WrongPassword
	case errors.Is(err, errUnsupported), errors.Is(err, rtsp.ErrTransport):
		return media.Unsupported
	case errors.Is(err, errNoVideo), errors.Is(err, errNoData):
		return media.NoVideo
	case errors.Is(err, errNoKeyframe):
		return media.NoKeyframe
	case errors.Is(err, rtsp.ErrMessage), errors.Is(err, errUnreadable):
		return media.Corrupt
	case errors.As(err, &status):
		if status.Code == 404 || status.Code == 410 {
			return media.NotFound
		}
		return media.Refused
	case c.state.Phase == Live:
		return media.ConnectionLost
	}
	return media.Refused
}

// Package simulate is a town of cameras for whoever has none at hand: the demo,
// the tests and the benchmarks.
//
// Each camera is a real RTSP server with an address, a password and habits of
// its own, and shows a loop of drawn pictures (see package scenes) or the
// user's own footage. With [Options.Faces] it looks like a real maker's device
// to who scans for it, see package faces and docs/reference/town.md. Begin with
// [New], [Town.Run] and [Town.Cameras]:
//
//	town, err := simulate.New(simulate.Options{Cameras: 10})
//	go town.Run(ctx)
//	<-town.Ready()
//	for _, c := range town.Cameras() { … c.MainURL … }
//
// A camera sends pictures by the clock on the wall: loops join without a jump of
// timestamps, a slow reader finds them waiting, and viewers of one camera see
// the same moment. Who plays gets pictures from the next keyframe on.
//
// [NewStreet] is many such devices without video, for measuring scans.
//
// # Faults
//
// Any camera can be told to misbehave for a while, by [Town.Fault] or, from
// another process, by the control API ([Options.Control]):
//
//	GET    /devices                 every device with a face: ports, and what it really is
//	GET    /cameras                 every camera: addresses, login, faults, viewers
//	GET    /cameras/{id}            one
//	POST   /cameras/{id}/fault      {"kind":"stall","for":"5s","amount":0}
//	DELETE /cameras/{id}/fault      ends every fault, or with ?kind=stall that one
//
// [FaultKind] lists what they do.
//
// # What hurts
//
// The package shares no parser with what it is used to test, so that the two
// cannot agree on a mistake: it has its own demuxers, packetizers and RTSP.
// The control API has no login. It is for loopback, and refuses other addresses.
package simulate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/watchward/watchward/internal/media"
)

// Options configures a [Town]. Zero is a usable value.
type Options struct {
	// Cameras is how many cameras there are. Zero means one for each scene, or
	// one for each file of Footage; more than that repeats them.
	Cameras int

	// Footage is a folder whose MP4, MKV and AVI files are played instead of
	// the town's own scenes: one camera a file, in order of name.
	Footage string

	// Addr is where every camera listens, for example "127.0.0.1:0". Empty
	// means a loopback address of its own for each, 127.0.10.N:8554, and where
	// that is not to be had, a free port of 127.0.0.1.
	Addr string

	// Faces makes every camera look like one of a real maker's from the network,
	// and adds devices without video: a recorder, a liar, a printer, a router
	// and silent ones. See package faces. Ports are the real ones where this
	// process may bind them, and 8080, 8443 and 8554 where not.
	Faces bool

	// Control is the address of the control API, for example "127.0.0.1:0".
	// Empty means none.
	Control string

	// Bitrate is what a main stream sends, in bit/s: filler data makes up for
	// what a drawn picture lacks, as cameras with a constant bit rate do. Zero
	// means 3 Mbit/s; negative sends no filler.
	Bitrate int

	// Epoch is the moment at which every loop is at its beginning. Zero means
	// the moment at which Run begins.
	Epoch time.Time

	// Timeout ends a session in which no request came for that long (and a
	// quarter of it), as strict cameras do: RTCP does not count. Zero means 60 s.
	Timeout time.Duration

	Log *slog.Logger // nil means [slog.Default]
}

// CameraInfo is what somebody needs to know to use a camera. The addresses are
// empty before the town is ready, and hold no password.
type CameraInfo struct {
	ID, Name, Site     string
	MainURL, SubURL    string // SubURL is empty for a camera with one stream
	SecureURL          string // the main stream over RTSPS (self-signed), if the camera has it
	Username, Password string
	Codec              media.Codec // of the main stream's video
	Audio              media.Codec // zero for none
	Host               string      // address and port
	Scene              string      // name of the scene or file shown
	Loop               time.Duration
	Truth              Truth     // what it is under its face; zero without [Options.Faces]
	Epoch              time.Time // what is shown at t is (t - Epoch) modulo Loop into the loop
}

// Town is a number of cameras and what makes them tick.
type Town struct {
	o         Options
	cameras   []*camera
	residents []*resident // cameras and other devices, with faces; the cameras first
	byID      map[string]*camera
	pace      *pacer
	ready     chan struct{}
	control   string // address of the control API, set before ready is closed
}

// New loads what the cameras show and checks the options. It listens to nothing yet.
func New(o Options) (*Town, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Bitrate == 0 {
		o.Bitrate = 3_000_000
	}
	if o.Cameras < 0 || o.Cameras > maxCameras {
		return nil, fmt.Errorf("%d cameras: want 0 to %d", o.Cameras, maxCameras)
	}
	if o.Control != "" {
		if err := loopbackOnly("control address", o.Control, "it asks for no login"); err != nil {
			return nil, err
		}
	}
	if o.Faces && o.Addr != "" {
		if err := loopbackOnly("address", o.Addr, "cameras with faces must not pose as real ones on a network"); err != nil {
			return nil, err
		}
	}
	t := &Town{o: o, byID: map[string]*camera{}, pace: newPacer(), ready: make(chan struct{})}
	var err error
	if o.Footage != "" {
		t.cameras, err = footageCameras(o)
	} else {
		t.cameras, err = sceneCameras(o)
	}
	if err != nil {
		return nil, err
	}
	for _, c := range t.cameras {
		c.pace, c.log, c.timeout = t.pace, o.Log.With("camera", c.info.ID), cmp.Or(o.Timeout, time.Minute)
		t.byID[c.info.ID] = c
	}
	if o.Faces {
		if err := t.dress(); err != nil {
			return nil, fmt.Errorf("dress town: %w", err)
		}
	}
	return t, nil
}

const maxCameras = 2000

// loopbackOnly refuses an address that others could reach.
func loopbackOnly(what, addr, why string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%s %q: %w", what, addr, err)
	}
	if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return fmt.Errorf("%s %q: want a loopback address, because %s", what, addr, why)
	}
	return nil
}

// Run opens every camera and serves until ctx ends.
func (t *Town) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	epoch := t.o.Epoch
	if epoch.IsZero() {
		epoch = time.Now()
	}
	for i, c := range t.cameras {
		// Staggered, so that not every camera sends its keyframe at once.
		c.epoch = epoch.Add(-time.Duration(i) * 370 * time.Millisecond)
		c.info.Epoch = c.epoch
		if err := c.listen(ctx, t.o.Addr, i); err != nil {
			for _, open := range t.cameras[:i] {
				open.close()
			}
			return fmt.Errorf("open camera %q: %w", c.info.ID, err)
		}
	}
	if err := settle(ctx, t.residents, t.address, t.o.Log); err != nil {
		for _, c := range t.cameras {
			c.close()
		}
		return err
	}
	if len(t.residents) > 0 {
		crowd := gather(t.residents, t.o.Log)
		running.Go(func() { crowd.Run(ctx) })
	}
	for _, r := range t.residents {
		running.Go(func() { r.run(ctx) })
	}
	var errs []error
	if t.o.Control != "" {
		serve, err := t.listenControl(ctx)
		if err != nil {
			errs = append(errs, err)
		} else {
			running.Go(serve)
		}
	}
	running.Go(func() { t.pace.run(ctx) })
	for _, c := range t.cameras {
		running.Go(func() { c.run(ctx) })
	}
	if len(errs) == 0 {
		close(t.ready)
		<-ctx.Done()
	}
	stop()
	running.Wait()
	return errors.Join(errs...)
}

// address is that of the i-th device; not valid if it must share one.
func (t *Town) address(i int) netip.Addr {
	if t.o.Addr != "" || i+1 >= 250 {
		return netip.Addr{}
	}
	return netip.AddrFrom4([4]byte{127, 0, 10, byte(i + 1)})
}

// Ready is closed when every camera listens.
func (t *Town) Ready() <-chan struct{} { return t.ready }

// ControlURL is the address of the control API, valid once the town is ready.
func (t *Town) ControlURL() string {
	if t.control == "" {
		return ""
	}
	return "http://" + t.control
}

// Cameras lists the cameras in order. Addresses are there once the town is ready.
func (t *Town) Cameras() []CameraInfo {
	out := make([]CameraInfo, len(t.cameras))
	for i, c := range t.cameras {
		out[i] = c.Info()
	}
	return out
}

// Devices lists the town's devices with faces: the cameras in order, then those
// without video. It is empty without [Options.Faces]; addresses are there once
// the town is ready.
func (t *Town) Devices() []DeviceInfo { return infos(t.residents) }

// ErrNoCamera means that the town has no camera of that id.
var ErrNoCamera = errors.New("no such camera")

// Fault makes a camera misbehave, from now on for f.For.
func (t *Town) Fault(id string, f Fault) error {
	c, ok := t.byID[id]
	if !ok {
		return fmt.Errorf("camera %q: %w", id, ErrNoCamera)
	}
	return c.fault(f)
}

// Clear ends a camera's faults: those of the kinds given, or all.
func (t *Town) Clear(id string, kinds ...FaultKind) error {
	c, ok := t.byID[id]
	if !ok {
		return fmt.Errorf("camera %q: %w", id, ErrNoCamera)
	}
	c.faults.clear(kinds)
	return nil
}

// Viewers tells, for every session that plays, what it was sent.
func (t *Town) Viewers(id string) ([]Viewer, error) {
	c, ok := t.byID[id]
	if !ok {
		return nil, fmt.Errorf("camera %q: %w", id, ErrNoCamera)
	}
	return c.viewers(), nil
}

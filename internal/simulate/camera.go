package simulate

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base32"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/watchward/watchward/internal/simulate/faces"
)

// camera is one camera of the town: its streams, its listener and those
// connected to it.
type camera struct {
	info  CameraInfo // addresses guarded by mu until the town is ready
	main  *source    // nil for a device with nothing to show
	sub   *source    // nil for none
	login faces.Login
	epoch time.Time // when every loop is at its beginning; set before serving
	cert  *tls.Certificate
	pace  *pacer
	log   *slog.Logger

	habits  faces.RTSP                      // the town's own where it wears no face
	headers func() (before, after []string) // those of habits, filled in; nil for none to fill

	httpTunnel bool
	timeout    time.Duration // of a session nobody keeps alive

	faults faultSet

	mu       sync.Mutex
	addr     string           // where it listens; the same again after a reboot
	listener net.Listener     // nil while it reboots
	secure   net.Listener     // RTSPS, nil for none
	usual    net.Listener     // the port that RTSP usually has, nil where it may not be bound
	conns    map[*conn]bool   // guarded by mu
	tunnels  map[string]*conn // HTTP tunnels by cookie, guarded by mu
	rebooted chan struct{}    // told when a reboot begins
	serving  sync.WaitGroup
}

// source is one stream of a camera: plans for video and, maybe, audio.
type source struct {
	path  string // "main" or "sub"
	video *plan
	audio *plan // nil for none
}

// plans lists the tracks in the order of the description.
func (s *source) plans() []*plan {
	if s.audio == nil {
		return []*plan{s.video}
	}
	return []*plan{s.video, s.audio}
}

func newCamera(info CameraInfo, main, sub *source, kind loginKind) *camera {
	info.Username = "watch"
	info.Password = randomWord(16)
	info.Codec = main.video.format.Codec
	info.Loop = main.video.loop()
	if main.audio != nil {
		info.Audio = main.audio.format.Codec
	}
	c := bareCamera(info)
	c.main, c.sub = main, sub
	c.login = faces.Login{User: info.Username, Password: info.Password, Realm: "watchward " + info.ID, Challenges: kind.challenges()}
	return c
}

// bareCamera is one with nothing to show.
func bareCamera(info CameraInfo) *camera {
	return &camera{
		info:     info,
		habits:   faces.RTSP{Public: methods, Headers: []string{"Server: Watchward town"}},
		conns:    map[*conn]bool{},
		tunnels:  map[string]*conn{},
		timeout:  time.Minute,
		rebooted: make(chan struct{}, 1),
	}
}

// randomWord is n characters of the base 32 alphabet, in lower case.
func randomWord(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return strings.ToLower(base32.StdEncoding.EncodeToString(b))[:n]
}

// Info returns a copy of what the camera tells about itself.
func (c *camera) Info() CameraInfo {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.info
}

// listen opens the camera's door: on addr if given, else on an address of its own.
func (c *camera) listen(ctx context.Context, addr string, index int) error {
	tries := []string{addr}
	if addr == "" {
		tries = []string{"127.0.0.1:0"}
		if own := index + 1; own < 250 {
			tries = []string{fmt.Sprintf("127.0.10.%d:8554", own), "127.0.0.1:0"}
		}
	}
	var ln net.Listener
	var err error
	for _, a := range tries {
		if ln, err = new(net.ListenConfig).Listen(ctx, "tcp", a); err == nil {
			break
		}
	}
	if err != nil {
		return err
	}
	return c.listening(ctx, ln)
}

// listenAt opens the door of a device beside the cameras, at ip if that can be
// had, without the fallbacks of [camera.listen]: nobody was told its address yet.
func (c *camera) listenAt(ctx context.Context, ip netip.Addr) error {
	if !bindable(ctx, ip) {
		ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	ln, err := faces.ListenTCP(ctx, ip, 8554, ip == netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	if err != nil {
		return err
	}
	return c.listening(ctx, ln)
}

// listenUsual opens the port that RTSP usually has beside the camera's own,
// where it may.
func (c *camera) listenUsual(ctx context.Context, shared bool) {
	host, _, err := net.SplitHostPort(c.addr)
	if err != nil || shared {
		return
	}
	if ln, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(host, "554")); err == nil {
		c.usual = ln
	}
}

// listening notes where the camera listens.
func (c *camera) listening(ctx context.Context, ln net.Listener) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listener, c.addr = ln, ln.Addr().String()
	c.info.Host = c.addr
	c.info.MainURL = "rtsp://" + c.addr + "/main"
	if c.sub != nil {
		c.info.SubURL = "rtsp://" + c.addr + "/sub"
	}
	if c.cert != nil {
		if err := c.listenSecure(ctx); err != nil {
			ln.Close()
			return err
		}
	}
	return nil
}

// listenSecure opens a second door with TLS on a free port of the same host.
func (c *camera) listenSecure(ctx context.Context) error {
	host, _, err := net.SplitHostPort(c.addr)
	if err != nil {
		return err
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return err
	}
	c.secure = tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{*c.cert}})
	c.info.SecureURL = "rtsps://" + ln.Addr().String() + "/main"
	return nil
}

// close shuts the door and hangs up on everybody.
func (c *camera) close() {
	c.mu.Lock()
	for _, ln := range []net.Listener{c.listener, c.secure, c.usual} {
		if ln != nil {
			ln.Close()
		}
	}
	c.mu.Unlock()
	c.hangUp(func(*conn) bool { return true })
}

// run accepts connections, and stays away for a while when told to reboot.
func (c *camera) run(ctx context.Context) {
	if c.secure != nil {
		c.serving.Go(func() { c.accept(c.secure) })
	}
	if c.usual != nil {
		c.serving.Go(func() { c.accept(c.usual) })
	}
	defer c.serving.Wait()
	defer c.close()
	for {
		ln := c.listener
		c.serving.Go(func() { c.accept(ln) })
		select {
		case <-ctx.Done():
			return
		case <-c.rebooted:
		}
		ln.Close()
		c.hangUp(func(*conn) bool { return true })
		for c.faults.on(Reboot, time.Now()) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
		if !c.relisten(ctx) {
			return
		}
	}
}

// relisten opens the same address again after a reboot. Somebody else may have
// it for a moment, since connections that linger hold it too.
func (c *camera) relisten(ctx context.Context) bool {
	for {
		ln, err := new(net.ListenConfig).Listen(ctx, "tcp", c.addr)
		if err == nil {
			c.mu.Lock()
			c.listener = ln
			c.mu.Unlock()
			return true
		}
		c.log.Warn("camera cannot listen again after its reboot", "address", c.addr, "error", err)
		select {
		case <-ctx.Done():
			return false
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (c *camera) accept(ln net.Listener) {
	for {
		nc, err := ln.Accept()
		if err != nil {
			return // closed: the town ends or the camera reboots
		}
		if c.faults.on(Reboot, time.Now()) {
			nc.Close()
			continue
		}
		k := newConn(c, nc)
		c.mu.Lock()
		c.conns[k] = true
		c.mu.Unlock()
		c.serving.Go(func() {
			defer func() {
				k.end()
				c.mu.Lock()
				delete(c.conns, k)
				c.mu.Unlock()
			}()
			k.serve()
		})
	}
}

// hangUp closes the connections that which picks.
func (c *camera) hangUp(which func(*conn) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k := range c.conns {
		if which(k) {
			k.hangUp()
		}
	}
}

// fault begins a fault.
func (c *camera) fault(f Fault) error {
	f, err := f.check()
	if err != nil {
		return err
	}
	if f.Kind == Drop {
		c.hangUp(func(*conn) bool { return true })
		return nil
	}
	c.faults.set(f, time.Now())
	switch f.Kind {
	case RefusePassword:
		c.hangUp((*conn).playing)
	case Reboot:
		select {
		case c.rebooted <- struct{}{}:
		default:
		}
	}
	return nil
}

// source finds a stream by the path of a request, with its query: the town's
// own name of it, or the longest of the maker's names that the path begins with.
func (c *camera) source(path string) *source {
	if c.main == nil {
		return nil
	}
	path = strings.Trim(path, "/")
	var found *source
	longest := 0
	for _, s := range []*source{c.main, c.sub} {
		names := c.habits.Main
		if s == c.sub {
			names = c.habits.Sub
		}
		for _, name := range names {
			name = strings.TrimPrefix(name, "/")
			rest, ok := strings.CutPrefix(path, name)
			if ok && len(name) > longest && (rest == "" || strings.ContainsRune("/?&", rune(rest[0]))) && s != nil {
				found, longest = s, len(name)
			}
		}
	}
	if found != nil {
		return found
	}
	path, _, _ = strings.Cut(path, "/")
	path, _, _ = strings.Cut(path, "?")
	switch {
	case path == c.main.path:
		return c.main
	case c.sub != nil && path == c.sub.path:
		return c.sub
	}
	return nil
}

// other is what a Resolution fault shows instead of s: the camera's other
// stream if that has the same codec.
func (c *camera) other(s *source) *source {
	o := c.sub
	if s == c.sub {
		o = c.main
	}
	if o == nil || o.video.format.Codec != s.video.format.Codec {
		return nil
	}
	return o
}

// streams are what ONVIF tells of the camera, by the maker's names for them.
func (c *camera) streams() []faces.Stream {
	if c.main == nil {
		return nil
	}
	at := c.addr
	if c.usual != nil {
		at = c.usual.Addr().String()
	}
	var out []faces.Stream
	for _, s := range []*source{c.main, c.sub} {
		if s == nil {
			continue
		}
		path := "/" + s.path
		if names := map[bool][]string{true: c.habits.Main, false: c.habits.Sub}[s == c.main]; len(names) > 0 {
			path = names[0]
		}
		f := s.video.format
		out = append(out, faces.Stream{Codec: f.Codec, Width: f.Width, Height: f.Height, Bitrate: s.video.bitrate(), URL: "rtsp://" + at + path})
	}
	return out
}

// Viewer is one session that plays, and what it was sent.
type Viewer struct {
	Remote     string    `json:"remote"`
	Stream     string    `json:"stream"`
	Transport  string    `json:"transport"`   // "tcp", "udp", "http"
	Frames     uint64    `json:"frames"`      // video frames sent since PLAY
	LeftOut    uint64    `json:"left_out"`    // video frames not sent, or not whole, because of a fault
	Discarded  uint64    `json:"discarded"`   // video frames thrown away because the viewer did not read
	Bytes      uint64    `json:"bytes"`       // of all tracks, with headers
	LastFrame  time.Time `json:"last_frame"`  // when the last video frame was sent
	FirstFrame time.Time `json:"first_frame"` // when the first was
}

func (c *camera) viewers() []Viewer {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []Viewer
	for k := range c.conns {
		if v, ok := k.viewer(); ok {
			out = append(out, v)
		}
	}
	return out
}

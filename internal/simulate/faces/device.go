package faces

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/watchward/watchward/internal/media"
)

// Stream is one stream of a device, as ONVIF tells of it.
type Stream struct {
	Codec         media.Codec
	Width, Height int
	Bitrate       int // bit/s
	URL           string
}

// Options dresses a device.
type Options struct {
	Face  *Face // required
	N     int   // which device of this face it is
	Place string
	Host  netip.Addr // address of its own, or a shared one

	// Shared: others live at Host, too, so that every port is a free one.
	Shared bool

	User, Password string

	// Streams are the main and the sub stream, or none. It is asked each time,
	// because addresses are known late.
	Streams func() []Stream

	// Down reports whether the device is rebooting, Refuse whether it refuses
	// every password. Nil means never.
	Down, Refuse func() bool

	Log *slog.Logger // nil means [slog.Default]
}

// Device is one face at one address.
type Device struct {
	o     Options
	face  *Face
	truth Truth
	began time.Time
	uuid  string
	nonce string // of the pages
	web   Login

	// Set by Listen, read only after it.
	ports     []Port
	listeners []net.Listener
	handlers  []func(net.Conn)
	packets   map[string]*net.UDPConn

	mu      sync.Mutex
	conns   map[net.Conn]bool // guarded by mu
	serving sync.WaitGroup
}

// maxConns bounds what one device serves at once; more are hung up on.
const maxConns = 64

// Dress puts a face on a device. It listens to nothing yet.
func Dress(o Options) (*Device, error) {
	if o.Face == nil || !o.Host.IsValid() {
		return nil, errors.New("dress device: want a face and an address")
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	never := func() bool { return false }
	if o.Down == nil {
		o.Down = never
	}
	if o.Refuse == nil {
		o.Refuse = never
	}
	if o.Streams == nil {
		o.Streams = func() []Stream { return nil }
	}
	d := &Device{
		o: o, face: o.Face, truth: o.Face.Truth(o.N), began: time.Now(),
		conns: map[net.Conn]bool{}, packets: map[string]*net.UDPConn{},
	}
	mac := strings.ReplaceAll(d.truth.MAC, ":", "")
	d.uuid = digits("########-####-11b4-82##-", "uuid"+d.truth.Face, o.N, "0123456789abcdef") + mac
	d.nonce = Nonce(o.Face.Web.Nonce)
	d.web = Login{User: o.User, Password: o.Password, Realm: d.fill(o.Face.Web.Realm), Challenges: o.Face.Web.Challenges}
	return d, nil
}

// Truth is what the device really is.
func (d *Device) Truth() Truth { return d.truth }

// RTSPLogin is how its RTSP server asks for the password.
func (d *Device) RTSPLogin() Login {
	return Login{User: d.o.User, Password: d.o.Password, Realm: d.fill(d.face.RTSP.Realm), Challenges: d.face.RTSP.Challenges}
}

// RTSPHeaders are those of every answer of its RTSP server: before and behind
// what the answer is about.
func (d *Device) RTSPHeaders() (before, after []string) {
	for _, h := range d.face.RTSP.Headers {
		before = append(before, d.fill(h))
	}
	for _, h := range d.face.RTSP.After {
		after = append(after, d.fill(h))
	}
	return before, after
}

// Ports lists what the device opened. It is empty before Listen.
func (d *Device) Ports() []Port { return append([]Port{}, d.ports...) }

// fallback is the port taken where a real one may not be bound: below 1024
// takes root, or a lower net.ipv4.ip_unprivileged_port_start.
func fallback(port int) int {
	switch port {
	case 80:
		return 8080
	case 443:
		return 8443
	case 554:
		return 8554
	}
	return 0
}

// Listen opens the device's ports. Those of RTSP are left to who has the video:
// see [ListenTCP].
func (d *Device) Listen(ctx context.Context) error {
	var secure *tls.Config
	for _, p := range d.face.Ports {
		if p.Name == "rtsp" {
			continue
		}
		ln, err := ListenTCP(ctx, d.o.Host, p.Number, d.o.Shared)
		if err != nil {
			d.Close()
			return fmt.Errorf("open %s of %q: %w", p.Name, d.face.Name, err)
		}
		handle := d.serveHTTP
		switch p.Name {
		case "quiet":
			handle = quiet
		case "drip":
			handle = drip
		case "flood":
			handle = flood
		case "https":
			if secure == nil {
				cert, err := d.certificate()
				if err != nil {
					ln.Close()
					d.Close()
					return fmt.Errorf("make certificate of %q: %w", d.face.Name, err)
				}
				secure = &tls.Config{Certificates: []tls.Certificate{*cert}}
			}
			ln = tls.NewListener(ln, secure)
		}
		d.listeners = append(d.listeners, ln)
		d.handlers = append(d.handlers, handle)
		d.ports = append(d.ports, Port{Name: p.Name, Number: portOf(ln.Addr())})
	}
	for name, port := range protocols() {
		if d.answer(name) == nil {
			continue
		}
		conn, err := d.listenUDP(ctx, port)
		if err != nil {
			d.Close()
			return fmt.Errorf("open %s of %q: %w", name, d.face.Name, err)
		}
		d.packets[name] = conn
		d.ports = append(d.ports, Port{Name: name, Number: portOf(conn.LocalAddr())})
	}
	return nil
}

func portOf(a net.Addr) int {
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return 0
	}
	return int(ap.Port())
}

// ListenTCP opens a port of a device: the real one where it may, else the usual
// high one, else any. At an address shared with others it is any.
func ListenTCP(ctx context.Context, host netip.Addr, port int, shared bool) (net.Listener, error) {
	tries := []int{port, fallback(port), 0}
	if shared {
		tries = []int{0}
	}
	var ln net.Listener
	var err error
	for _, p := range tries {
		if ln, err = new(net.ListenConfig).Listen(ctx, "tcp4", netip.AddrPortFrom(host, uint16(p)).String()); err == nil {
			return ln, nil
		}
	}
	return nil, err
}

// Run serves until ctx ends, and returns when nobody is served any more.
func (d *Device) Run(ctx context.Context) {
	for i, ln := range d.listeners {
		d.serving.Go(func() { d.accept(ln, d.handlers[i]) })
	}
	for name, conn := range d.packets {
		d.serving.Go(func() { d.hear(name, conn) })
	}
	<-ctx.Done()
	d.Close()
	d.serving.Wait()
}

// Close shuts every port and hangs up.
func (d *Device) Close() {
	for _, ln := range d.listeners {
		ln.Close()
	}
	for _, c := range d.packets {
		c.Close()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.conns {
		c.Close()
	}
}

func (d *Device) accept(ln net.Listener, handle func(net.Conn)) {
	for {
		c, err := ln.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			time.Sleep(20 * time.Millisecond) // out of descriptors: give others time to close some
			continue
		}
		d.mu.Lock()
		full := len(d.conns) >= maxConns
		if !full {
			d.conns[c] = true
		}
		d.mu.Unlock()
		if full || d.o.Down() {
			d.forget(c)
			continue
		}
		d.serving.Go(func() {
			defer d.forget(c)
			_ = c.SetDeadline(time.Now().Add(patience))
			handle(c)
		})
	}
}

func (d *Device) forget(c net.Conn) {
	c.Close()
	d.mu.Lock()
	delete(d.conns, c)
	d.mu.Unlock()
}

// patience is how long a device waits for who connected and says nothing.
const patience = 15 * time.Second

// quiet is a service whose protocol nobody here speaks: it listens.
func quiet(c net.Conn) {
	buf := make([]byte, 512)
	for range 128 {
		if _, err := c.Read(buf); err != nil {
			return
		}
	}
}

// words are what may stand in braces in a face.
func (d *Device) words() []string {
	t := d.truth
	mac12 := strings.ReplaceAll(t.MAC, ":", "")
	dashed := strings.ReplaceAll(t.MAC, ":", "-")
	now := time.Now().UTC()
	clock := now.Add(d.face.ONVIF.Clock)
	return []string{
		"{brand}", t.Brand, "{model}", t.Model, "{serial}", t.Serial, "{firmware}", d.face.Firmware,
		"{mac}", t.MAC, "{MAC}", strings.ToUpper(t.MAC),
		"{mac12}", mac12, "{MAC12}", strings.ToUpper(mac12),
		"{mac-dash}", dashed, "{MAC-DASH}", strings.ToUpper(dashed),
		"{ip}", d.o.Host.String(), "{place}", d.o.Place, "{uuid}", d.uuid, "{uuid4}", digits("########-####-4###-8###-############", "uuid4"+t.Face, d.o.N, "0123456789abcdef"),
		"{http}", strconv.Itoa(d.port("http", 80)), "{https}", strconv.Itoa(d.port("https", 443)),
		"{host}", d.hostPort("http"), "{onvif}", d.base() + d.face.ONVIF.Device,
		"{date}", now.Format("Mon, 02 Jan 2006 15:04:05 GMT"),
		"{junk}", junk, "{rtspdate}", now.Format("Mon, Jan 02 2006 15:04:05 GMT"),
		"{boot}", clock.Add(-time.Since(d.began)).Format(time.DateTime),
	}
}

func (d *Device) fill(s string) string {
	if !strings.Contains(s, "{") {
		return s
	}
	return strings.NewReplacer(d.words()...).Replace(s)
}

// port is the number of an open port by name, or usual.
func (d *Device) port(name string, usual int) int {
	for _, p := range d.ports {
		if p.Name == name {
			return p.Number
		}
	}
	return usual
}

// hostPort is the address of a web port, without a port that goes without saying.
func (d *Device) hostPort(name string) string {
	p := d.port(name, 80)
	if p == 80 {
		return d.o.Host.String()
	}
	return netip.AddrPortFrom(d.o.Host, uint16(p)).String()
}

// base is the address of its ONVIF services, without a path.
func (d *Device) base() string {
	name := "http"
	if d.face.Has("onvif") {
		name = "onvif"
	}
	return "http://" + d.hostPort(name)
}

// scopes are its ONVIF scopes as WS-Discovery lists them.
func (d *Device) scopes() string {
	var out []string
	for _, line := range d.face.ONVIF.Scopes {
		_, uri, _ := strings.Cut(line, " ")
		out = append(out, uri)
	}
	return strings.Join(out, " ")
}

// own is a field of GetDeviceInformation: what the face says, else the truth.
func (d *Device) own(said, truth string) string { return d.fill(cmp.Or(said, truth)) }

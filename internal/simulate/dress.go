package simulate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/watchward/watchward/internal/simulate/faces"
)

// Truth is what a device really is, whatever it says about itself.
type Truth = faces.Truth

// Port is one that a device opens.
type Port = faces.Port

// DeviceInfo is a device of the town, whether or not it shows video.
type DeviceInfo struct {
	ID, Name, Site     string
	Camera             string // its [CameraInfo.ID] if it shows video, else ""
	IP                 netip.Addr
	Ports              []Port // what it opened, by what it speaks there
	Username, Password string
	Truth              Truth
}

// resident is a device with a face: a camera of the town, or one beside them
// that shows no video.
type resident struct {
	info   DeviceInfo
	face   *faces.Face
	n      int     // which device of its face it is
	cam    *camera // its RTSP server; nil for none
	device *faces.Device
}

// wardrobe is every face by name.
type wardrobe map[string]*faces.Face

func openWardrobe() (wardrobe, error) {
	all, err := faces.All()
	if err != nil {
		return nil, err
	}
	w := wardrobe{}
	for _, f := range all {
		w[f.Name] = f
	}
	return w, nil
}

// others are the town's devices without video, by face, with a name and a site.
func others() [][3]string {
	return [][3]string{
		{"dahua-recorder", "Office recorder", "town-hall"},
		{"liar", "Depot camera", "harbour"},
		{"printer", "Office printer", "town-hall"},
		{"router", "Branch router", "harbour"},
		{"mute", "Cellar camera", "school"},
		{"nobody", "Attic camera", "school"},
	}
}

// dress gives every camera a face, and the town its other devices.
func (t *Town) dress() error {
	w, err := openWardrobe()
	if err != nil {
		return err
	}
	posts := posts()
	for i, c := range t.cameras {
		r, err := newResident(w, posts[i%len(posts)].face, i/len(posts), c)
		if err != nil {
			return err
		}
		r.info.ID, r.info.Name, r.info.Site, r.info.Camera = c.info.ID, c.info.Name, c.info.Site, c.info.ID
		t.residents = append(t.residents, r)
	}
	for _, o := range others() {
		r, err := newResident(w, o[0], 0, nil)
		if err != nil {
			return err
		}
		r.info.ID, r.info.Name, r.info.Site = "dev-"+o[0], o[1], o[2]
		t.residents = append(t.residents, r)
	}
	return nil
}

// newResident makes the n-th device of a face. Without a camera it gets an RTSP
// server that has nothing to show, if its face has one.
func newResident(w wardrobe, face string, n int, c *camera) (*resident, error) {
	f, ok := w[face]
	if !ok {
		return nil, fmt.Errorf("face %q: no such face", face)
	}
	r := &resident{face: f, n: n, cam: c}
	if c == nil && f.Has("rtsp") {
		r.cam = bareCamera(CameraInfo{Username: "watch", Password: randomWord(16)})
	}
	if r.cam != nil {
		r.cam.habits = f.RTSP
		r.cam.info.Truth = f.Truth(n)
		r.info.Username, r.info.Password = r.cam.info.Username, r.cam.info.Password
	} else {
		r.info.Username, r.info.Password = "watch", randomWord(16)
	}
	r.info.Truth = f.Truth(n)
	return r, nil
}

// listen opens every port of the device. Its own address is ip; where that is
// not to be had it shares 127.0.0.1.
func (r *resident) listen(ctx context.Context, ip netip.Addr, log *slog.Logger) error {
	host := ip
	if r.cam != nil {
		at, err := netip.ParseAddrPort(r.cam.addr)
		if err != nil {
			return err
		}
		host = at.Addr()
	} else if !bindable(ctx, ip) {
		host = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	o := faces.Options{
		Face: r.face, N: r.n, Place: r.info.Name, Host: host, Shared: host != ip,
		User: r.info.Username, Password: r.info.Password, Log: log,
	}
	if c := r.cam; c != nil {
		o.Down = func() bool { return c.faults.on(Reboot, time.Now()) }
		o.Refuse = func() bool { return c.faults.on(RefusePassword, time.Now()) }
		o.Streams = c.streams
	}
	d, err := faces.Dress(o)
	if err != nil {
		return err
	}
	if err := d.Listen(ctx); err != nil {
		return err
	}
	r.device = d
	r.info.IP = host
	r.info.Ports = d.Ports() // never nil: who has none has an empty list
	if r.cam != nil {
		r.cam.login, r.cam.headers = d.RTSPLogin(), d.RTSPHeaders
		r.cam.listenUsual(ctx, o.Shared)
		for _, ln := range []net.Listener{r.cam.usual, r.cam.listener} {
			if ln != nil {
				r.info.Ports = append(r.info.Ports, Port{Name: "rtsp", Number: ln.Addr().(*net.TCPAddr).Port})
			}
		}
	}
	slices.SortFunc(r.info.Ports, func(a, b Port) int {
		if a.Number != b.Number {
			return a.Number - b.Number
		}
		return strings.Compare(a.Name, b.Name)
	})
	return nil
}

// bindable reports whether an address can be a device's own. macOS has one
// loopback address unless somebody adds more.
func bindable(ctx context.Context, ip netip.Addr) bool {
	if !ip.IsValid() {
		return false
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp4", netip.AddrPortFrom(ip, 0).String())
	if err != nil {
		return false
	}
	ln.Close()
	return true
}

func (r *resident) close() {
	if r.device != nil {
		r.device.Close()
	}
	if r.cam != nil {
		r.cam.close()
	}
}

// run serves until ctx ends. A camera of the town is run by the town.
func (r *resident) run(ctx context.Context) {
	var running sync.WaitGroup
	if r.cam != nil && r.info.Camera == "" {
		running.Go(func() { r.cam.run(ctx) })
	}
	r.device.Run(ctx)
	running.Wait()
}

// settle opens the residents one after the other, each at the address that
// address names, or none of them.
func settle(ctx context.Context, all []*resident, address func(int) netip.Addr, log *slog.Logger) error {
	for i, r := range all {
		err := r.open(ctx, address(i), log)
		if err != nil {
			for _, open := range all[:i+1] {
				open.close()
			}
			return fmt.Errorf("open device %q: %w", r.info.ID, err)
		}
	}
	return nil
}

func (r *resident) open(ctx context.Context, ip netip.Addr, log *slog.Logger) error {
	if r.cam != nil && r.info.Camera == "" {
		r.cam.log = log
		if err := r.cam.listenAt(ctx, ip); err != nil {
			return err
		}
	}
	return r.listen(ctx, ip, log)
}

// gather is the residents' ear for multicast. A machine without multicast on
// loopback still has a town.
func gather(all []*resident, log *slog.Logger) *faces.Crowd {
	var devices []*faces.Device
	for _, r := range all {
		devices = append(devices, r.device)
	}
	crowd, err := faces.Gather(devices)
	if err != nil {
		log.Info("town does not hear multicast discovery", "error", err)
	}
	return crowd
}

// errNoNetwork refuses a street anywhere but on loopback.
var errNoNetwork = errors.New("want a loopback network such as 127.0.20.0/24")

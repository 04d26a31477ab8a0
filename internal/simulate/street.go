package simulate

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
)

// StreetOptions configures a [Street].
type StreetOptions struct {
	// Network is where the devices live, on loopback, such as 127.0.20.0/24:
	// spread over it evenly, the other addresses dead. Required.
	Network netip.Prefix

	// Faces are what they wear in turn, by name: see package faces. Empty means
	// those of the town, without the one that opens no port. "drip" and
	// "hostile" are for tests of who must not fall for them.
	Faces []string

	// Devices is how many there are; faces repeat. Zero means 24.
	Devices int

	Log *slog.Logger // nil means [slog.Default]
}

// Street is many devices with faces and no video, on a network of their own, for
// measuring a scan: they cost a few sockets each.
type Street struct {
	o         StreetOptions
	residents []*resident
	ready     chan struct{}
}

// NewStreet checks the options. It listens to nothing yet.
func NewStreet(o StreetOptions) (*Street, error) {
	if !o.Network.IsValid() || !o.Network.Addr().Is4() || !o.Network.Addr().IsLoopback() || o.Network.Bits() < 16 || o.Network.Bits() > 30 {
		return nil, fmt.Errorf("street at %q: %w", o.Network, errNoNetwork)
	}
	if o.Devices == 0 {
		o.Devices = 24
	}
	room := 1<<(32-o.Network.Bits()) - 2 // without the network's own address and broadcast
	if o.Devices < 0 || o.Devices > min(room, maxCameras) {
		return nil, fmt.Errorf("%d devices on %s: want 1 to %d", o.Devices, o.Network, min(room, maxCameras))
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	w, err := openWardrobe()
	if err != nil {
		return nil, err
	}
	s := &Street{o: o, ready: make(chan struct{})}
	names := o.Faces
	if len(names) == 0 {
		names = streetFaces(w)
	}
	for i := range o.Devices {
		r, err := newResident(w, names[i%len(names)], i/len(names), nil)
		if err != nil {
			return nil, err
		}
		r.info.ID = fmt.Sprintf("dev-%03d-%s", i+1, r.face.Name)
		r.info.Name, r.info.Site = fmt.Sprintf("Street %d", i+1), "street"
		s.residents = append(s.residents, r)
	}
	return s, nil
}

// streetFaces are those of the town that open a port: who opens none cannot be
// told from a dead address.
func streetFaces(w wardrobe) []string {
	var names []string
	for _, p := range posts() {
		names = append(names, p.face)
	}
	for _, o := range others() {
		if len(w[o[0]].Ports) > 0 {
			names = append(names, o[0])
		}
	}
	return names
}

// address is where the i-th device lives.
func (s *Street) address(i int) netip.Addr {
	room := 1<<(32-s.o.Network.Bits()) - 2
	base := s.o.Network.Masked().Addr().As4()
	n := 1 + i*room/s.o.Devices + int(base[2])<<8 + int(base[3])
	return netip.AddrFrom4([4]byte{base[0], base[1], byte(n >> 8), byte(n)})
}

// Run opens every device and serves until ctx ends.
func (s *Street) Run(ctx context.Context) error {
	if err := settle(ctx, s.residents, s.address, s.o.Log); err != nil {
		return err
	}
	crowd := gather(s.residents, s.o.Log)
	var running sync.WaitGroup
	running.Go(func() { crowd.Run(ctx) })
	for _, r := range s.residents {
		running.Go(func() { r.run(ctx) })
	}
	close(s.ready)
	running.Wait()
	return nil
}

// Ready is closed when every device listens.
func (s *Street) Ready() <-chan struct{} { return s.ready }

// Devices lists the devices in order. Addresses are there once it is ready.
func (s *Street) Devices() []DeviceInfo { return infos(s.residents) }

func infos(all []*resident) []DeviceInfo {
	out := make([]DeviceInfo, len(all))
	for i, r := range all {
		out[i] = r.info
	}
	return out
}

package estate

import (
	"context"
	"net/netip"
	"net/url"
	"slices"
)

// attach gives a new camera the device that it streams from: the one named;
// else the one that was adopted on its site, has its address and no camera;
// else a new one of unknown maker, which the person who adds the camera adopts,
// if the [Gate] allows it.
func (e *Estate) attach(ctx context.Context, tx querier, c *Camera) error {
	d, known, err := e.deviceFor(ctx, tx, *c)
	if err != nil {
		return err
	}
	if known {
		old := d
		d.Camera = c.ID
		c.Device = d.ID
		return e.store(ctx, tx, old, &d, "", "camera added")
	}
	d = Device{
		ID: DeviceID("dev-" + c.ID), Site: c.Site, Name: c.Name, Kind: KindCamera, Camera: c.ID, State: Adopted,
		Identification: Identification{Confidence: Unknown},
	}
	d.Addresses, d.Hostname = hostOf(*c)
	d, err = e.insert(ctx, tx, d, "", "camera added")
	c.Device = d.ID
	return err
}

func (e *Estate) deviceFor(ctx context.Context, tx querier, c Camera) (Device, bool, error) {
	free := func(d Device) bool { return d.State == Adopted && d.Site == c.Site && d.Camera == "" }
	if c.Device != "" {
		d, err := oneDevice(ctx, tx, c.Device)
		if err != nil || !free(d) {
			return d, false, invalid("device", "not-adopted", or(d.Name, clip(string(c.Device))))
		}
		return d, true, nil
	}
	addresses, _ := hostOf(c)
	if len(addresses) == 0 {
		return Device{}, false, nil
	}
	ids, err := devicesByKey(ctx, tx, key{ByAddress, addresses[0].String()})
	if err != nil {
		return Device{}, false, err
	}
	var fits []Device
	for _, id := range ids {
		d, err := oneDevice(ctx, tx, id)
		if err != nil {
			return d, false, err
		}
		if free(d) {
			fits = append(fits, d)
		}
	}
	if len(fits) != 1 {
		return Device{}, false, nil
	}
	return fits[0], true, nil
}

// readdress follows a camera to the new address that a person gave it.
func (e *Estate) readdress(ctx context.Context, tx querier, old, c Camera) error {
	was, _ := hostOf(old)
	is, host := hostOf(c)
	if slices.Equal(was, is) {
		return nil
	}
	d, err := deviceOfCamera(ctx, tx, c.ID)
	if err != nil {
		return err
	}
	before := d
	d.Addresses = mergeLists(slices.DeleteFunc(slices.Clone(d.Addresses), func(a netip.Addr) bool { return slices.Contains(was, a) }), is)
	d.Hostname = or(host, d.Hostname)
	return e.store(ctx, tx, before, &d, "", "camera's address changed")
}

// detach leaves the device of a removed camera where it hangs.
func (e *Estate) detach(ctx context.Context, tx querier, camera string) error {
	d, err := deviceOfCamera(ctx, tx, camera)
	if err != nil {
		return err
	}
	old := d
	d.Camera = ""
	return e.store(ctx, tx, old, &d, "", "camera removed")
}

// hostOf is where a camera's main stream comes from: an address or a name.
func hostOf(c Camera) ([]netip.Addr, string) {
	main, _ := c.Stream("main")
	u, err := url.Parse(main.URL)
	if err != nil {
		return nil, ""
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil {
		return []netip.Addr{a.Unmap().WithZone("")}, ""
	}
	return nil, cut(u.Hostname(), maxSerial)
}

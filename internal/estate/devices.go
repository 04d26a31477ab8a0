package estate

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Device returns one device, or [ErrNotFound]. Removed ones are kept.
func (e *Estate) Device(ctx context.Context, id DeviceID) (Device, error) {
	d, err := oneDevice(ctx, pool{e.db}, id)
	if err != nil {
		return d, fmt.Errorf("device %q: %w", id, err)
	}
	return d, nil
}

// DeviceOf returns the device that a camera streams from, or [ErrNotFound].
func (e *Estate) DeviceOf(ctx context.Context, camera string) (Device, error) {
	d, err := deviceOfCamera(ctx, pool{e.db}, camera)
	if err != nil {
		return Device{}, fmt.Errorf("device of camera %q: %w", camera, err)
	}
	return d, nil
}

// AddDevice puts a device into the estate that a person writes down, as a
// proposal or, with State Adopted, through the [Gate]. One that is known by MAC
// address, serial number or certificate already is refused: see
// [Estate.Propose] for sightings, which find their device.
func (e *Estate) AddDevice(ctx context.Context, d Device, by, why string) (Device, error) {
	err := e.tx(ctx, func(tx querier) (err error) {
		if d.State == Removed || d.Camera != "" {
			return invalid("state", "word", string(d.State))
		}
		known, err := e.match(ctx, tx, d, "")
		if err != nil {
			return err
		}
		if known.device != nil && known.by.strong() {
			return invalid("device", "known", known.device.Name)
		}
		d, err = e.insert(ctx, tx, d, by, why)
		return err
	})
	if err != nil {
		return Device{}, fmt.Errorf("add device %q: %w", d.Name, err)
	}
	return d, nil
}

// UpdateDevice lets change edit what a person says of a device: name, kind,
// addresses, network, exposure, purpose, tag, cost, when it was deployed. State,
// site and camera have doors of their own and cannot be changed here; what was
// concluded is [Estate.Observe]'s, and stays as it is.
func (e *Estate) UpdateDevice(ctx context.Context, id DeviceID, change func(*Device), by, why string) (Device, error) {
	return e.alter(ctx, "update", id, by, why, func(d *Device) error {
		old := *d
		change(d)
		if d.ID != old.ID || d.State != old.State || d.Site != old.Site || d.Camera != old.Camera {
			return invalid("device", "own-door", "")
		}
		d.Adopted, d.Removed, d.WhyRemoved = old.Adopted, old.Removed, old.WhyRemoved
		d.Identification, d.FirstSeen, d.LastSeen, d.LastScan = old.Identification, old.FirstSeen, old.LastSeen, old.LastScan
		return nil
	})
}

// Adopt says that a device belongs to a site, or moves one that was adopted
// before to another. The [Gate] may refuse: the error then wraps [ErrRefused].
func (e *Estate) Adopt(ctx context.Context, id DeviceID, site, by, why string) (Device, error) {
	return e.alter(ctx, "adopt", id, by, why, func(d *Device) error {
		if d.Camera != "" && d.Site != site {
			// The archive's folders are by site: a camera stays where it was made.
			return invalid("site", "camera-stays", d.Camera)
		}
		if d.State != Adopted {
			d.Adopted = time.Time{} // it begins anew
		}
		d.Site, d.State = site, Adopted
		d.Removed, d.WhyRemoved = time.Time{}, ""
		return nil
	})
}

// SetSite says where a device that nobody has adopted hangs; "" is not known.
func (e *Estate) SetSite(ctx context.Context, id DeviceID, site, by, why string) (Device, error) {
	return e.alter(ctx, "place", id, by, why, func(d *Device) error {
		if d.State != Proposed {
			return invalid("device", "own-door", "")
		}
		d.Site = site
		return nil
	})
}

// RemoveDevice takes a device out of the estate, and the camera that streamed
// from it. Its row, evidence and history stay, as do its recordings until
// retention takes them.
func (e *Estate) RemoveDevice(ctx context.Context, id DeviceID, by, why string) (Device, error) {
	var d Device
	err := e.tx(ctx, func(tx querier) error {
		old, err := oneDevice(ctx, tx, id)
		if err != nil {
			return err
		}
		if strings.TrimSpace(why) == "" {
			return invalid("reason", "missing", "")
		}
		d = old
		if d.State == Removed {
			return nil // when and why stay what they were
		}
		if d.Camera != "" {
			if _, err := removeCamera(ctx, tx, d.Camera, e.now()); err != nil {
				return err
			}
			d.Camera = ""
		}
		d.State, d.Removed, d.WhyRemoved = Removed, e.now().UTC(), why
		return e.store(ctx, tx, old, &d, by, why)
	})
	if err != nil {
		return Device{}, fmt.Errorf("remove device %q: %w", id, err)
	}
	return d, nil
}

// Observe adds evidence to a device that is known, such as what its own login
// shows, and replaces what was concluded from it. The reasons cite evidence by
// the IDs given here.
func (e *Estate) Observe(ctx context.Context, id DeviceID, evidence []Evidence, concluded Identification, by string) (Device, error) {
	var d Device
	err := e.tx(ctx, func(tx querier) error {
		old, err := oneDevice(ctx, tx, id)
		if err != nil {
			return err
		}
		d = old
		ids, err := keepEvidence(ctx, tx, id, evidence, e.now())
		if err != nil {
			return err
		}
		d.Identification = cite(concluded, ids)
		if d.Kind == KindUnknown {
			d.Kind = concluded.Kind
		}
		if d.Serial == "" {
			d.Serial = printable(concluded.Serial, maxSerial)
		}
		if len(evidence) > 0 {
			d.LastSeen = e.now().UTC()
		}
		return e.store(ctx, tx, old, &d, by, "evidence")
	})
	if err != nil {
		return Device{}, fmt.Errorf("observe device %q: %w", id, err)
	}
	return d, nil
}

// alter changes one device in a transaction.
func (e *Estate) alter(ctx context.Context, verb string, id DeviceID, by, why string, change func(*Device) error) (Device, error) {
	var d Device
	err := e.tx(ctx, func(tx querier) error {
		old, err := oneDevice(ctx, tx, id)
		if err != nil {
			return err
		}
		d = old
		d.Addresses, d.MACs = slices.Clone(old.Addresses), slices.Clone(old.MACs)
		if err := change(&d); err != nil {
			return err
		}
		return e.store(ctx, tx, old, &d, by, why)
	})
	if err != nil {
		return Device{}, fmt.Errorf("%s device %q: %w", verb, id, err)
	}
	return d, nil
}

// insert makes a device. It takes d.ID when it is given, free and an ID.
func (e *Estate) insert(ctx context.Context, q querier, d Device, by, why string) (Device, error) {
	if strings.TrimSpace(d.Name) == "" {
		d.Name = described(d)
	}
	var err error
	if d.ID, err = deviceID(ctx, q, d.ID); err != nil {
		return d, err
	}
	if d.FirstSeen.IsZero() {
		d.FirstSeen = e.now().UTC()
	}
	if d.LastSeen.IsZero() {
		d.LastSeen = d.FirstSeen
	}
	return d, e.store(ctx, q, Device{}, &d, by, why)
}

func deviceID(ctx context.Context, q querier, wanted DeviceID) (DeviceID, error) {
	if wanted == "" || !idShape.MatchString(string(wanted)) {
		wanted = DeviceID("dev-" + strings.ToLower(rand.Text()[:10]))
	}
	for {
		taken, err := idTaken(ctx, q, "estate_devices", string(wanted))
		if err != nil || !taken {
			return wanted, err
		}
		wanted = DeviceID("dev-" + strings.ToLower(rand.Text()[:10]))
	}
}

// store is the one way to write a device: it checks it, asks the gate when it
// becomes adopted or moves, and keeps keys, words, tallies and history in step.
// A zero old means a new device.
func (e *Estate) store(ctx context.Context, q querier, old Device, d *Device, by, why string) error {
	var err error
	if *d, err = checkDevice(ctx, q, *d); err != nil {
		return err
	}
	now := e.now().UTC()
	moved := d.State == Adopted && (old.State != Adopted || old.Site != d.Site)
	if moved {
		s, err := oneSite(ctx, q, d.Site)
		if err != nil {
			return err
		}
		if err := e.ask(ctx, *d, s); err != nil {
			return err
		}
		if old.State != Adopted && d.Adopted.IsZero() {
			d.Adopted = now
		}
	}
	if old.ID == "" {
		err = insertDevice(ctx, q, *d)
	} else {
		err = updateDevice(ctx, q, *d)
	}
	if err != nil {
		return err
	}
	if err := index(ctx, q, old, *d); err != nil {
		return err
	}
	if err := e.tally(ctx, q, old, *d); err != nil {
		return err
	}
	return e.noteDevice(ctx, q, old, *d, by, why)
}

// noteDevice writes what changed between two states of a device.
func (e *Estate) noteDevice(ctx context.Context, q querier, old, d Device, by, why string) error {
	for _, f := range []struct{ what, was, became string }{
		{"state", string(old.State), string(d.State)},
		{"site", old.Site, d.Site},
		{"name", old.Name, d.Name},
		{"kind", string(old.Kind), string(d.Kind)},
		{"camera", old.Camera, d.Camera},
		{"addresses", addressText(old), addressText(d)},
		{"MAC addresses", strings.Join(old.MACs, " "), strings.Join(d.MACs, " ")},
		{"serial number", old.Serial, d.Serial},
		{"certificate", old.CertSHA256, d.CertSHA256},
		{"host name", old.Hostname, d.Hostname},
		{"identification", summary(old.Identification), summary(d.Identification)},
		{"network", string(old.Network), string(d.Network)},
		{"exposure", string(old.Exposure), string(d.Exposure)},
		{"purpose", old.Purpose, d.Purpose},
		{"tag", old.Tag, d.Tag},
		{"cost", costText(old), costText(d)},
		{"deployed", day(old.Deployed), day(d.Deployed)},
	} {
		if old.ID == "" && f.what != "state" && f.what != "site" && f.what != "identification" {
			continue // a new device is its own first description
		}
		if err := e.note(ctx, q, Change{Subject: "device", ID: string(d.ID), What: f.what, From: f.was, To: f.became, By: by, Why: why}); err != nil {
			return err
		}
	}
	return nil
}

func addressText(d Device) string {
	var b strings.Builder
	for i, a := range d.Addresses {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(a.String())
	}
	return b.String()
}

// summary is an identification in a few words.
func summary(i Identification) string {
	if i.Maker == "" && i.Brand == "" && i.Model == "" {
		return ""
	}
	return strings.Join(strings.Fields(fmt.Sprintf("%s %s, badge %q, %s", i.Maker, i.Model, i.Brand, i.Confidence)), " ")
}

func costText(d Device) string {
	if d.Cost == 0 {
		return ""
	}
	// History is read by people: as they write it, not in hundredths.
	return fmt.Sprintf("%d.%02d %s", d.Cost/100, d.Cost%100, d.Currency)
}

func day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.DateOnly)
}

// index writes by what a device is known again, and by what words it is found.
func index(ctx context.Context, q querier, old, d Device) error {
	if was, is := keysOf(old), keysOf(d); !slices.Equal(was, is) {
		if err := replaceKeys(ctx, q, old, d.ID, is); err != nil {
			return err
		}
	}
	if was, is := wordsOf(old), wordsOf(d); !slices.Equal(was, is) {
		return replaceWords(ctx, q, old, d.ID, is)
	}
	return nil
}

// tally keeps the counts in step with the row.
func (e *Estate) tally(ctx context.Context, q querier, old, d Device) error {
	if old.ID == "" {
		if err := addDay(ctx, q, d.FirstSeen, d.Place, "seen"); err != nil {
			return err
		}
	}
	if old.State != d.State {
		switch d.State {
		case Adopted:
			if err := addDay(ctx, q, e.now(), d.Place, "adopted"); err != nil {
				return err
			}
		case Removed:
			if err := addDay(ctx, q, e.now(), d.Place, "removed"); err != nil {
				return err
			}
		}
	}
	was, is := facetOf(old), facetOf(d)
	if old.ID != "" {
		if was == is {
			return nil
		}
		if err := addTally(ctx, q, was, -1); err != nil {
			return err
		}
	}
	return addTally(ctx, q, is, 1)
}

func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and numbers only
	}
	return string(b)
}

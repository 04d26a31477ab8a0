package estate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// Cameras returns all cameras by site and name, passwords opened.
func (e *Estate) Cameras(ctx context.Context) ([]Camera, error) {
	cameras, err := e.box.selectCameras(ctx, pool{e.db}, "")
	if err != nil {
		return nil, fmt.Errorf("list cameras: %w", err)
	}
	return cameras, nil
}

// Camera returns one camera, or [ErrNotFound].
func (e *Estate) Camera(ctx context.Context, id string) (Camera, error) {
	var found []Camera
	var err error
	if id != "" { // "" would select all
		found, err = e.box.selectCameras(ctx, pool{e.db}, id)
	}
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Camera{}, fmt.Errorf("camera %q: %w", id, err)
	}
	return found[0], nil
}

// AddCamera checks a camera and stores it. ID, Created and Updated are ours to
// set; a login within an address is taken out of it. Errors that a person can
// mend are [Invalid].
//
// Only an adopted device streams. Device names it; where it names none, it is
// the one that was adopted on the site and has the camera's address, else a new
// one of unknown maker is adopted with the camera, through the [Gate]: the
// error may wrap [ErrRefused].
func (e *Estate) AddCamera(ctx context.Context, c Camera) (Camera, error) {
	err := e.tx(ctx, func(tx querier) (err error) {
		c, err = e.add(ctx, tx, c)
		return err
	})
	if err != nil {
		return Camera{}, fmt.Errorf("add camera: %w", err)
	}
	return c, nil
}

func (e *Estate) add(ctx context.Context, tx querier, c Camera) (Camera, error) {
	c.ID = ""
	c, err := e.check(ctx, tx, c)
	if err != nil {
		return Camera{}, err
	}
	if c.ID, err = freeID(ctx, tx, "estate_cameras", slug(c.Name, "camera")); err != nil {
		return Camera{}, err
	}
	c.Created = e.now().UTC()
	c.Updated = c.Created
	if err := e.box.insertCamera(ctx, tx, c); err != nil {
		return c, err
	}
	return c, e.attach(ctx, tx, &c)
}

// UpdateCamera replaces a camera's configuration; Created stays. A camera
// whose password is lost keeps it sealed as it is until a new one is given.
func (e *Estate) UpdateCamera(ctx context.Context, c Camera) (Camera, error) {
	err := e.tx(ctx, func(tx querier) error {
		old, err := e.box.selectCameras(ctx, tx, c.ID)
		if err != nil {
			return err
		}
		if c.ID == "" || len(old) == 0 {
			return ErrNotFound
		}
		// The archive's folders are by site: a camera stays where it was made.
		c.Site = old[0].Site
		if c, err = e.check(ctx, tx, c); err != nil {
			return err
		}
		c.Created, c.Updated = old[0].Created, e.now().UTC()
		c.Device = old[0].Device
		c.PasswordLost = old[0].PasswordLost && c.Password == ""
		if err := e.box.updateCamera(ctx, tx, c); err != nil {
			return err
		}
		return e.readdress(ctx, tx, old[0], c)
	})
	if err != nil {
		return Camera{}, fmt.Errorf("update camera %q: %w", c.ID, err)
	}
	return c, nil
}

// RemoveCamera forgets a camera and its password. What it recorded stays until
// retention takes it; the device still hangs where it hung, see
// [Estate.RemoveDevice].
func (e *Estate) RemoveCamera(ctx context.Context, id string) error {
	err := e.tx(ctx, func(tx querier) error {
		found, err := removeCamera(ctx, tx, id, e.now())
		if err == nil && !found {
			err = ErrNotFound
		}
		if err != nil {
			return err
		}
		return e.detach(ctx, tx, id)
	})
	if err != nil {
		return fmt.Errorf("remove camera %q: %w", id, err)
	}
	return nil
}

var streamNames = []string{"main", "sub"}

// check returns c cleaned, or an [Invalid].
func (e *Estate) check(ctx context.Context, q querier, c Camera) (Camera, error) {
	var err error
	if c.Name, err = cleanName("name", c.Name); err != nil {
		return c, err
	}
	if known, err := idTaken(ctx, q, "estate_sites", c.Site); err != nil {
		return c, err
	} else if !known {
		return c, invalid("site", "unknown", c.Site)
	}
	switch c.Transport {
	case "":
		c.Transport = "auto"
	case "auto", "tcp", "udp", "http":
	default:
		return c, invalid("transport", "transport", c.Transport)
	}
	if err := checkRetention(c.Retention); err != nil {
		return c, err
	}
	if c, err = splitStreams(c); err != nil {
		return c, err
	}
	if err := checkLogin(c); err != nil {
		return c, err
	}
	if c.Pin, err = cleanPin(c.Pin); err != nil {
		return c, err
	}
	for _, s := range c.Streams {
		owner, taken, err := addressOwner(ctx, q, s.URL, c.ID)
		if err != nil {
			return c, err
		}
		if taken {
			return c, invalid(streamField(s.Name), "duplicate", owner)
		}
	}
	return c, nil
}

// splitStreams takes logins out of the addresses. One given apart wins over
// one pasted.
func splitStreams(c Camera) (Camera, error) {
	c.Streams = slices.Clone(c.Streams)
	c.Streams = slices.DeleteFunc(c.Streams, func(s StreamConfig) bool { return s.Name != "main" && strings.TrimSpace(s.URL) == "" })
	slices.SortFunc(c.Streams, func(a, b StreamConfig) int { return strings.Compare(a.Name, b.Name) })
	if _, ok := c.Stream("main"); !ok {
		return c, invalid("url", "missing", "")
	}
	seen := map[string]bool{}
	for i := range c.Streams {
		s := &c.Streams[i]
		field := streamField(s.Name)
		if !slices.Contains(streamNames, s.Name) || i > 0 && c.Streams[i-1].Name == s.Name {
			return c, invalid(field, "unknown", s.Name)
		}
		clean, user, password, err := SplitAddress(s.URL)
		if err != nil {
			return c, inField(err, field)
		}
		if seen[clean] {
			return c, invalid(field, "same-as-main", "")
		}
		seen[clean] = true
		s.URL = clean
		if c.Username == "" {
			c.Username = user
		}
		if c.Password == "" {
			c.Password = password
		}
	}
	return c, nil
}

func streamField(name string) string {
	if name == "main" {
		return "url"
	}
	return name + "_url"
}

func checkLogin(c Camera) error {
	for field, value := range map[string]string{"username": c.Username, "password": c.Password.Reveal()} {
		if len(value) > 256 {
			return invalid(field, "too-long", "256")
		}
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return invalid(field, "invisible", "")
		}
	}
	return nil
}

// cleanPin reads a fingerprint as people paste it, with colons, spaces or
// capitals.
func cleanPin(text string) (string, error) {
	pin := strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(strings.TrimSpace(text)))
	if raw, err := hex.DecodeString(pin); err != nil || len(raw) != 0 && len(raw) != sha256.Size {
		return "", invalid("pin", "certificate", clip(text))
	}
	return pin, nil
}

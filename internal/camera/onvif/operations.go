package onvif

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds of lists that a device sends.
const (
	maxServices = 64
	maxProfiles = 64
	maxScopes   = 256
)

// Clock asks the device for its time, which needs no login, and remembers how
// far it is off: a login is judged by it. A device that does not tell is taken
// to be right.
func (c *Client) Clock(ctx context.Context) (time.Time, error) {
	user := c.o.User
	c.o.User = ""
	e, _, err := c.ask(ctx, Device, "GetSystemDateAndTime")
	c.o.User = user
	if err != nil {
		return time.Time{}, err
	}
	at, err := readClock(e)
	if err != nil {
		return time.Time{}, err
	}
	c.skew = time.Until(at)
	return at, nil
}

func readClock(e *element) (time.Time, error) {
	utc := e.child("SystemDateAndTime", "UTCDateTime")
	var n [6]int
	for i, path := range [][]string{{"Date", "Year"}, {"Date", "Month"}, {"Date", "Day"}, {"Time", "Hour"}, {"Time", "Minute"}, {"Time", "Second"}} {
		v, err := strconv.Atoi(utc.value(path...))
		if err != nil || v < 0 || v > 9999 {
			return time.Time{}, errors.New("read device's clock: no UTC time in it")
		}
		n[i] = v
	}
	return time.Date(n[0], time.Month(n[1]), n[2], n[3], n[4], n[5], 0, time.UTC), nil
}

// Information is what a device says of itself. All of it is the device's word.
type Information struct {
	Manufacturer, Model, Firmware, Serial, Hardware string
	Raw                                             []byte // the answer as it came
}

// Information asks for it. Most devices want a login.
func (c *Client) Information(ctx context.Context) (Information, error) {
	e, raw, err := c.ask(ctx, Device, "GetDeviceInformation")
	if err != nil {
		return Information{}, err
	}
	return Information{
		Manufacturer: e.value("Manufacturer"), Model: e.value("Model"), Firmware: e.value("FirmwareVersion"),
		Serial: e.value("SerialNumber"), Hardware: e.value("HardwareId"), Raw: raw,
	}, nil
}

// Scopes are the words that a device is found by.
func (c *Client) Scopes(ctx context.Context) (scopes []string, raw []byte, err error) {
	e, raw, err := c.ask(ctx, Device, "GetScopes")
	if err != nil {
		return nil, nil, err
	}
	for _, s := range e.all("Scopes") {
		if len(scopes) < maxScopes {
			scopes = append(scopes, s.value("ScopeItem"))
		}
	}
	return scopes, raw, nil
}

// NetworkInterfaces asks for the hardware addresses of a device.
func (c *Client) NetworkInterfaces(ctx context.Context) (macs []string, raw []byte, err error) {
	e, raw, err := c.ask(ctx, Device, "GetNetworkInterfaces")
	if err != nil {
		return nil, nil, err
	}
	for _, i := range e.all("NetworkInterfaces") {
		if mac := i.value("Info", "HwAddress"); mac != "" && len(macs) < maxServices {
			macs = append(macs, mac)
		}
	}
	return macs, raw, nil
}

// Services learns where the device's services are, by GetServices or, of an old
// device, GetCapabilities, and remembers their paths.
func (c *Client) Services(ctx context.Context) (map[string]string, error) {
	e, _, err := c.ask(ctx, Device, "GetServices", "IncludeCapability=false")
	if err == nil {
		for i, s := range e.all("Service") {
			if path, ok := c.pathOf(s.value("XAddr")); ok && i < maxServices {
				c.services[s.value("Namespace")] = path
			}
		}
	}
	if c.services[Media] == "" && c.services[Media2] == "" {
		if err2 := c.capabilities(ctx); err2 != nil {
			return nil, errors.Join(err, err2)
		}
	}
	return c.services, nil
}

func (c *Client) capabilities(ctx context.Context) error {
	e, _, err := c.ask(ctx, Device, "GetCapabilities", "Category=All")
	if err != nil {
		return err
	}
	if path, ok := c.pathOf(e.value("Capabilities", "Media", "XAddr")); ok {
		c.services[Media] = path
	}
	return nil
}

// Profile is one way in which a camera encodes its picture.
type Profile struct {
	Token, Name   string
	Codec         string // "H264", "H265", "JPEG", as the camera spells it
	Width, Height int
	media2        bool
}

// Profiles lists them, by media2 where the device has it: older calls do not
// know H.265. Services is asked first where it was not yet.
func (c *Client) Profiles(ctx context.Context) ([]Profile, error) {
	if c.services[Media] == "" && c.services[Media2] == "" {
		if _, err := c.Services(ctx); err != nil {
			return nil, err
		}
	}
	if c.services[Media2] != "" {
		// Some programs die of it; the old call then still works.
		if e, _, err := c.ask(ctx, Media2, "GetProfiles", "Type=VideoEncoder"); err == nil && len(e.all("Profiles")) > 0 {
			return readProfiles(e, true), nil
		} else if errors.Is(err, ErrLogin) {
			return nil, err
		}
	}
	e, _, err := c.ask(ctx, Media, "GetProfiles")
	if err != nil {
		return nil, err
	}
	return readProfiles(e, false), nil
}

func readProfiles(e *element, media2 bool) []Profile {
	var out []Profile
	for _, p := range e.all("Profiles") {
		if len(out) == maxProfiles {
			break
		}
		video := p.child("VideoEncoderConfiguration")
		if media2 {
			video = p.child("Configurations", "VideoEncoder")
		}
		width, _ := strconv.Atoi(video.value("Resolution", "Width"))
		height, _ := strconv.Atoi(video.value("Resolution", "Height"))
		out = append(out, Profile{
			Token: p.attribute("token"), Name: p.value("Name"), Codec: video.value("Encoding"),
			Width: max(0, width), Height: max(0, height), media2: media2,
		})
	}
	return out
}

// StreamURI is where a profile's stream is, at the host that was asked.
func (c *Client) StreamURI(ctx context.Context, p Profile) (string, error) {
	return c.uri(ctx, p, "GetStreamUri")
}

// SnapshotURI is where a still picture is, at the host that was asked.
func (c *Client) SnapshotURI(ctx context.Context, p Profile) (string, error) {
	return c.uri(ctx, p, "GetSnapshotUri")
}

func (c *Client) uri(ctx context.Context, p Profile, operation string) (string, error) {
	service, arguments := Media, []string{"ProfileToken=" + p.Token}
	switch {
	case p.media2:
		service = Media2
		if operation == "GetStreamUri" {
			arguments = []string{"Protocol=RTSP", "ProfileToken=" + p.Token}
		}
	case operation == "GetStreamUri":
		arguments = []string{streamSetup, "ProfileToken=" + p.Token}
	}
	e, _, err := c.ask(ctx, service, operation, arguments...)
	if err != nil {
		return "", err
	}
	return c.here(readURI(e))
}

// streamSetup asks for RTP over RTSP's own connection.
const streamSetup = `<StreamSetup><Stream xmlns="http://www.onvif.org/ver10/schema">RTP-Unicast</Stream><Transport xmlns="http://www.onvif.org/ver10/schema"><Protocol>RTSP</Protocol></Transport></StreamSetup>`

func readURI(e *element) string {
	if uri := e.value("MediaUri", "Uri"); uri != "" {
		return uri
	}
	return e.value("Uri") // media2
}

// Stream is a proposal for a camera's form.
type Stream struct {
	URL           string // rtsp://, at the host that was asked, without a login
	Name, Codec   string
	Width, Height int
}

// Streams proposes the addresses of a camera's streams, the largest picture
// first. Profiles whose address the camera does not tell are left out.
func Streams(ctx context.Context, o Options) ([]Stream, error) {
	c, err := New(o)
	if err != nil {
		return nil, err
	}
	_, _ = c.Clock(ctx) // a device that does not tell is taken to be right
	profiles, err := c.Profiles(ctx)
	if err != nil {
		return nil, fmt.Errorf("streams of %s: %w", o.Address, err)
	}
	var out []Stream
	for _, p := range profiles {
		address, e := c.StreamURI(ctx, p)
		if e != nil {
			err = e
			continue
		}
		if !strings.HasPrefix(address, "rtsp://") && !strings.HasPrefix(address, "rtsps://") {
			continue
		}
		out = append(out, Stream{URL: address, Name: p.Name, Codec: p.Codec, Width: p.Width, Height: p.Height})
	}
	if len(out) == 0 && err != nil {
		return nil, fmt.Errorf("streams of %s: %w", o.Address, err)
	}
	sortStreams(out)
	return out, nil
}

func sortStreams(all []Stream) {
	slices.SortStableFunc(all, func(a, b Stream) int { return b.Width*b.Height - a.Width*a.Height })
}

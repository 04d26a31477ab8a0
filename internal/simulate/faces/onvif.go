package faces

import (
	_ "embed"
	"encoding/xml"
	"net/http"
	"slices"
	"strings"
	"text/template"

	"github.com/watchward/watchward/internal/media"
)

const (
	deviceNS = "http://www.onvif.org/ver10/device/wsdl"
	mediaNS  = "http://www.onvif.org/ver10/media/wsdl"
	media2NS = "http://www.onvif.org/ver20/media/wsdl"
)

// operation is something that can be asked over ONVIF.
type operation struct {
	name   string
	open   bool // needs no login (access class PRE_AUTH of the ONVIF core specification)
	media2 bool
	token  bool // names a profile
	body   string
}

// operations are those that a face answers, by the request's element. Each is
// answered by the template of its name, with a 2 behind it for media2.
func operations() map[xml.Name]operation {
	out := map[xml.Name]operation{}
	add := func(ns string, o operation, names ...string) {
		for _, name := range names {
			o.name, o.body = name, name
			if ns == media2NS {
				o.media2, o.body = true, name+"2"
			}
			o.token = name == "GetStreamUri" || name == "GetSnapshotUri"
			out[xml.Name{Space: ns, Local: name}] = o
		}
	}
	add(deviceNS, operation{open: true}, "GetSystemDateAndTime", "GetServices", "GetCapabilities", "GetHostname")
	add(deviceNS, operation{}, "GetDeviceInformation", "GetScopes", "GetNetworkInterfaces")
	add(mediaNS, operation{}, "GetProfiles", "GetVideoSources", "GetStreamUri", "GetSnapshotUri")
	add(media2NS, operation{}, "GetProfiles", "GetStreamUri", "GetSnapshotUri")
	return out
}

//go:embed onvif.tmpl
var onvifTemplates string

// profile is a stream under its token.
type profile struct {
	Stream
	Token, Name string
	N           int
	Encoding    string // "" where the schema of the first media service has no word for it
	Encoding2   string
	Kbps        int
}

// answerData is what the templates see.
type answerData struct {
	*Device
	ONVIF    ONVIF
	Time     timeParts
	Scopes   [][2]string
	Profiles []profile
	Profile  profile
}

type timeParts struct{ Year, Month, Day, Hour, Minute, Second int }

func (d *Device) call(op operation, m *message) (string, *fault) {
	now := d.clock()
	a := answerData{Device: d, ONVIF: d.face.ONVIF, Profiles: d.profiles()}
	a.Time = timeParts{now.Year(), int(now.Month()), now.Day(), now.Hour(), now.Minute(), now.Second()}
	for _, line := range a.ONVIF.Scopes {
		def, uri, _ := strings.Cut(line, " ")
		a.Scopes = append(a.Scopes, [2]string{def, d.fill(uri)})
	}
	if op.token {
		i := slices.IndexFunc(a.Profiles, func(p profile) bool { return p.Token == m.text["ProfileToken"] })
		if i < 0 {
			return "", &fault{http.StatusBadRequest, "Sender", []string{"ter:InvalidArgVal", "ter:NoProfile"}, "The requested profile token does not exist"}
		}
		a.Profile = a.Profiles[i]
	}
	if op.name == "GetSnapshotUri" && a.ONVIF.NoSnapshot {
		return "", &fault{http.StatusInternalServerError, "Receiver", []string{"ter:ActionNotSupported"}, "Optional Action Not Implemented"}
	}
	var b strings.Builder
	if err := d.templates().ExecuteTemplate(&b, op.body, a); err != nil {
		d.o.Log.Error("face cannot answer", "face", d.face.Name, "operation", op.name, "error", err)
		return "", &fault{http.StatusInternalServerError, "Receiver", []string{"ter:Action"}, "Action failed"}
	}
	return b.String(), nil
}

// templates reads the answers' templates. Asked seldom, they are not kept.
func (d *Device) templates() *template.Template {
	t := template.New("onvif").Funcs(template.FuncMap{
		"x": func(s string) string {
			var b strings.Builder
			_ = xml.EscapeText(&b, []byte(s))
			return b.String()
		},
	})
	return template.Must(t.Parse(onvifTemplates))
}

func (d *Device) profiles() []profile {
	var out []profile
	names := []string{"mainStream", "subStream"}
	for i, s := range d.o.Streams() {
		if i == len(d.face.ONVIF.Tokens) || i == len(names) {
			break
		}
		p := profile{Stream: s, Token: d.face.ONVIF.Tokens[i], Name: names[i], N: i, Kbps: max(1, s.Bitrate/1000), Encoding2: "H264"}
		switch s.Codec {
		case media.H264:
			p.Encoding = "H264"
		case media.H265:
			p.Encoding2 = "H265"
		case media.MJPEG:
			p.Encoding, p.Encoding2 = "JPEG", "JPEG"
		}
		out = append(out, p)
	}
	return out
}

// What follows is for the templates.

// Info is a field of GetDeviceInformation.
func (a answerData) Info(field string) string {
	t := a.truth
	switch field {
	case "manufacturer":
		return a.own(a.ONVIF.Manufacturer, t.Brand)
	case "model":
		return a.own(a.ONVIF.Model, t.Model)
	case "firmware":
		return a.own(a.ONVIF.Firmware, a.face.Firmware)
	case "serial":
		return a.own(a.ONVIF.Serial, t.Serial)
	}
	return a.own(a.ONVIF.Hardware, t.Model)
}

// Base is the address of the services, Web that of the pages.
func (a answerData) Base() string { return a.base() }

// Web is the address of the pages.
func (a answerData) Web() string { return "http://" + a.hostPort("http") }

// MAC is the hardware address as ONVIF writes it.
func (a answerData) MAC() string { return a.truth.MAC }

// IP is the address of the device.
func (a answerData) IP() string { return a.o.Host.String() }

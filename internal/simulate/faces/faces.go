// Package faces is what the devices of the simulated town show to a network
// beside their video: web pages, certificates, ONVIF, and answers to the
// makers' own discovery protocols, in the shapes that real makers' devices
// leave on the wire.
//
// A face is a file, data/NN-NAME.face, that reads like a recording: begin with
// any of them, then with [All], [Dress] and [Device.Run]. Everything in them was
// invented here; models, serial numbers and addresses only have the right shape.
//
//	-- truth --        what the device really is; tests and benchmarks compare with it
//	-- ports --        http, https, onvif, rtsp, and quiet ports that accept and say nothing;
//	                   drip and flood answer without end
//	-- rtsp --         realm, challenges, Public and headers of its RTSP server
//	-- sdp --          lines that it adds to a description; sdp-video: to the video's
//	-- web --          how its pages ask for a password
//	-- http GET /x --  one answer, as it goes over the wire; "login" behind the path
//	                   asks for the password first; * ends a path that begins so
//	-- onvif --        paths, names, tolerance and quirks; scopes and xmlns: lines
//	-- probematch --   answer to WS-Discovery; sadp, dhip, ssdp: to those inquiries
//	-- mdns --         what it announces over multicast DNS
//
// Words in braces are filled in for each device: {serial}, {mac}, {ip} and so on,
// see [Device.words]. Each # in a serial number or an address is a digit that
// differs from device to device.
//
// # What hurts
//
// Nothing here is shared with the programs that find and judge devices, so that
// the two cannot agree on a mistake. A favicon's hash is never a real maker's,
// since that would take the maker's own picture. Discovery is answered on
// loopback only: a demo must not pose as somebody's cameras on a real network.
package faces

import (
	"hash/fnv"
	"strings"
	"time"
)

// Truth is what a device really is, whatever it says about itself.
type Truth struct {
	Face   string `json:"face"`             // name of the face it wears, "" for none
	Brand  string `json:"brand"`            // on the badge, "" for none
	Maker  string `json:"maker"`            // who made it, "" where nobody could tell
	Model  string `json:"model"`            // on the badge
	Serial string `json:"serial"`           // where it has one
	MAC    string `json:"mac"`              // lower case, with colons
	Kind   string `json:"kind"`             // "camera", "recorder", "other"
	Says   string `json:"says,omitempty"`   // the brand that its names claim falsely
	Silent bool   `json:"silent,omitempty"` // answers nothing that identifies it
}

// Port is one that a device opens, by what it speaks there: "http", "https",
// "onvif" (HTTP on a port of its own), "rtsp", "quiet", "drip" and "flood" (see
// hostile.go), and over UDP "wsdiscovery", "sadp", "dhip", "ssdp", "mdns".
type Port struct {
	Name   string `json:"name"`
	Number int    `json:"number"`
}

// Face is how a device looks from the network.
type Face struct {
	Name                         string
	Brand, Maker, Model, Kind    string
	Says                         string // the brand that its names claim falsely, "" for none
	Serial, MAC, Firmware        string // # stands for a digit of the device's own
	Ports                        []Port
	Subject, Issuer              string // of the HTTPS certificate, "CN=…,O=…"
	RTSP                         RTSP
	Web                          Web
	ONVIF                        ONVIF
	ProbeMatch, SADP, DHIP, SSDP string // "" answers nothing
	MDNS                         MDNS
}

// RTSP is the habits of a maker's RTSP server. Zero values are the town's own.
type RTSP struct {
	Realm, Nonce string
	Challenges   []string // see [Login]
	Public       string   // methods, in the maker's order
	CSeq         string   // how it spells the header; "" is CSeq
	Headers      []string // of every answer, before what it is about
	After        []string // and behind
	Main, Sub    []string // paths of the streams, the first is told over ONVIF
	Session      []string // lines of a description
	Video        []string // of its video
}

// Web is a device's pages.
type Web struct {
	Realm, Nonce string
	Challenges   []string
	Pages        []Page // the first that fits answers
}

// Page is one answer over HTTP.
type Page struct {
	Method, Path string // path with its query where that matters; * at its end is anything
	Login        bool
	Head         []string // status line and headers
	Body         string   // {favicon} and {jpeg} alone are pictures
}

// ONVIF is a device's dialect.
type ONVIF struct {
	Manufacturer, Model, Firmware, Serial, Hardware string // as GetDeviceInformation has them
	Device, Media, Media2                           string // paths; no Media2 is none
	Types                                           string // of WS-Discovery
	Envelope                                        string // prefix of the SOAP namespace
	Header                                          string // what stands in the header of every answer
	Server                                          string // HTTP header of that name
	Namespaces                                      []string
	Scopes                                          []string      // "Fixed URI" or "Configurable URI"
	Tokens                                          []string      // of the two profiles
	Open                                            []string      // operations that need no login, beyond those of the standard
	Skew                                            time.Duration // how far a login's clock may be off; 0 is any
	Clock                                           time.Duration // how far its own clock is off
	Refused                                         int           // HTTP status of a refused login

	NoMustUnderstand bool // refuses a security header that must be understood, as gSOAP without its plugin does
	SingleType       bool // ignores a probe for more than one type at once
	HangUp           bool // closes the connection on an operation it does not know
	NoSnapshot       bool // has none
	HTTPDigest       bool // takes HTTP digest instead of WS-Security, too
	NoLogin          bool // never asks for one
}

// Has reports whether the face opens a port of that name.
func (f *Face) Has(name string) bool {
	for _, p := range f.Ports {
		if p.Name == name {
			return true
		}
	}
	return false
}

// Truth is what the n-th device of this face really is.
func (f *Face) Truth(n int) Truth {
	t := Truth{
		Face: f.Name, Brand: f.Brand, Maker: f.Maker, Model: f.Model, Kind: f.Kind, Says: f.Says,
		Serial: digits(f.Serial, "serial"+f.Name, n, "0123456789"), MAC: digits(f.MAC, "mac"+f.Name, n, "0123456789abcdef"),
	}
	t.Serial = strings.NewReplacer("{model}", t.Model, "{MAC12}", strings.ToUpper(strings.ReplaceAll(t.MAC, ":", ""))).Replace(t.Serial)
	t.Silent = len(f.Ports) == 0 || len(f.Web.Pages) == 0 && f.RTSP.Realm == ""
	return t
}

// digits replaces every # with a digit that depends on salt and n only.
func digits(pattern, salt string, n int, alphabet string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte{byte(n), byte(n >> 8), byte(n >> 16)})
	_, _ = h.Write([]byte(salt + pattern))
	v := h.Sum64()
	var b strings.Builder
	for _, r := range pattern {
		if r == '#' {
			b.WriteByte(alphabet[v%uint64(len(alphabet))])
			v = v/uint64(len(alphabet)) ^ v<<7
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

package rtsp

import (
	"fmt"
	"strconv"
	"strings"
)

// Description is what a camera says of its stream (SDP, RFC 8866), as far as we
// need it.
type Description struct {
	Name    string // s=
	Tool    string // a=tool
	Control string // of the whole stream
	Medias  []*Media
}

// Media is one m= section.
type Media struct {
	Kind      string // "video", "audio", "application" or what the camera makes up
	Control   string
	Direction string // "sendonly", "recvonly", "sendrecv", "inactive" or ""
	Width     int    // from x-dimensions, framesize or cliprect; 0 where not said
	Height    int
	Payloads  []*Payload
}

// Payload is one payload type of a media section.
type Payload struct {
	Type     uint8
	Encoding string // in capitals, such as H264; "" where nobody says
	Clock    int    // Hz; 0 where not said
	Channels int    // 0 where not said
	Params   Params // of its fmtp
}

// Params are the parameters of an fmtp attribute; names in lower case.
type Params map[string]string

// maxPayloads is how many payload types one media section may list.
const maxPayloads = 32

// static are the payload types of RFC 3551 that need no rtpmap.
var static = map[uint8]Payload{
	0:  {Encoding: "PCMU", Clock: 8000, Channels: 1},
	8:  {Encoding: "PCMA", Clock: 8000, Channels: 1},
	10: {Encoding: "L16", Clock: 44100, Channels: 2},
	11: {Encoding: "L16", Clock: 44100, Channels: 1},
	14: {Encoding: "MPA", Clock: 90000},
	26: {Encoding: "JPEG", Clock: 90000},
	32: {Encoding: "MPV", Clock: 90000},
	33: {Encoding: "MP2T", Clock: 90000},
}

// ParseDescription reads an SDP as cameras write it. Only m= and a= lines count,
// in whatever order; lines that make no sense say nothing. It fails where there
// is no media section at all.
func ParseDescription(b []byte) (*Description, error) {
	if len(b) > maxBody {
		return nil, fmt.Errorf("%w: description of %d bytes: want at most %d", ErrMessage, len(b), maxBody)
	}
	d := &Description{}
	var m *Media
	for line := range strings.FieldsFuncSeq(string(b), func(r rune) bool { return r == '\n' || r == '\r' }) {
		kind, value, ok := strings.Cut(line, "=")
		if !ok {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(kind) {
		case "m":
			if len(d.Medias) == maxMedias {
				return nil, fmt.Errorf("%w: description with more than %d media sections", ErrMessage, maxMedias)
			}
			m = parseMedia(value)
			d.Medias = append(d.Medias, m)
		case "s":
			if m == nil {
				d.Name = value
			}
		case "a":
			name, value, _ := strings.Cut(value, ":")
			d.attribute(m, strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value))
		}
	}
	if len(d.Medias) == 0 {
		return nil, fmt.Errorf("%w: description without a media section", ErrMessage)
	}
	for _, m := range d.Medias {
		m.complete()
	}
	return d, nil
}

// parseMedia reads "video 0 RTP/AVP 96 97". TP-Link puts a word where a payload
// type belongs; such a section is kept, without payloads.
func parseMedia(s string) *Media {
	fields := strings.Fields(s)
	m := &Media{}
	if len(fields) > 0 {
		m.Kind = strings.ToLower(fields[0])
	}
	for _, f := range fields[min(3, len(fields)):] {
		n, err := strconv.ParseUint(f, 10, 7)
		if err != nil || len(m.Payloads) == maxPayloads {
			continue
		}
		if m.payload(uint8(n)) == nil {
			m.Payloads = append(m.Payloads, &Payload{Type: uint8(n)})
		}
	}
	return m
}

func (m *Media) payload(t uint8) *Payload {
	for _, p := range m.Payloads {
		if p.Type == t {
			return p
		}
	}
	return nil
}

func (d *Description) attribute(m *Media, name, value string) {
	if m == nil {
		switch name {
		case "control":
			d.Control = value
		case "tool":
			d.Tool = value
		}
		return
	}
	switch name {
	case "control":
		m.Control = value
	case "sendonly", "recvonly", "sendrecv", "inactive":
		m.Direction = name
	case "rtpmap":
		m.rtpmap(value)
	case "fmtp":
		d.fmtp(m, value)
	case "x-dimensions": // "1280,720"
		m.size(strings.Split(value, ","))
	case "framesize": // "96 640-480"
		if _, size, ok := strings.Cut(value, " "); ok && m.Width == 0 {
			m.size(strings.Split(size, "-"))
		}
	case "cliprect": // "0,0,1080,1920": top, left, bottom, right
		if f := strings.Split(value, ","); len(f) == 4 && m.Width == 0 {
			m.size([]string{f[3], f[2]})
		}
	}
}

func (m *Media) size(f []string) {
	if len(f) != 2 {
		return
	}
	w, _ := strconv.Atoi(strings.TrimSpace(f[0]))
	h, _ := strconv.Atoi(strings.TrimSpace(f[1]))
	if w > 0 && h > 0 && w <= 1<<14 && h <= 1<<14 {
		m.Width, m.Height = w, h
	}
}

// rtpmap reads "97 MPEG4-GENERIC/48000/2". It overrules the static types: GW
// sends PCMU on type 8.
func (m *Media) rtpmap(s string) {
	number, rest, _ := strings.Cut(s, " ")
	n, err := strconv.ParseUint(number, 10, 7)
	if err != nil {
		return
	}
	p := m.payload(uint8(n))
	if p == nil {
		return
	}
	f := strings.Split(strings.TrimSpace(rest), "/")
	p.Encoding = strings.ToUpper(strings.TrimSpace(f[0]))
	if len(f) > 1 {
		p.Clock = atMost(f[1], 1<<24)
	}
	if len(f) > 2 {
		p.Channels = atMost(f[2], 64)
	}
}

// atMost reads a number; what is none, negative or above most is 0, unknown.
func atMost(s string, most int) int {
	n, err := strconv.Atoi(strings.TrimSpace(s))
	if err != nil || n < 0 || n > most {
		return 0
	}
	return n
}

// fmtp reads "96 a=b; c=d". Some cameras put it into another section than its
// payload type.
func (d *Description) fmtp(m *Media, s string) {
	number, rest, _ := strings.Cut(s, " ")
	n, err := strconv.ParseUint(number, 10, 7)
	if err != nil {
		return
	}
	p := m.payload(uint8(n))
	for _, other := range d.Medias {
		if p == nil {
			p = other.payload(uint8(n))
		}
	}
	if p == nil {
		return
	}
	if p.Params == nil {
		p.Params = make(Params)
	}
	for part := range strings.SplitSeq(rest, ";") {
		name, value, _ := strings.Cut(part, "=")
		if name = strings.ToLower(strings.TrimSpace(name)); name != "" && len(p.Params) < 64 {
			p.Params[name] = strings.TrimSpace(value)
		}
	}
}

// complete fills in what the static types say where the camera says nothing. A
// picture of a type that nobody explains is H.265 if it has its parameters, else
// taken for H.264: what comes will tell.
func (m *Media) complete() {
	for _, p := range m.Payloads {
		if p.Encoding == "" && p.Type >= 96 && m.Kind == "video" {
			p.Encoding = "H264"
			if p.Params["sprop-sps"] != "" {
				p.Encoding = "H265"
			}
		}
		known, ok := static[p.Type]
		if !ok || p.Encoding != "" && p.Encoding != known.Encoding {
			continue
		}
		p.Encoding = known.Encoding
		if p.Clock == 0 {
			p.Clock = known.Clock
		}
		if p.Channels == 0 {
			p.Channels = known.Channels
		}
	}
}

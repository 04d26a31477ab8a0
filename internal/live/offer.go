package live

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pion/sdp/v3"

	"github.com/watchward/watchward/internal/media"
)

const (
	offerLimit    = 64 << 10 // bytes of an offer
	sectionLimit  = 4        // media sections
	attrLimit     = 512      // attributes of one section
	valueLimit    = 1 << 10  // bytes of one attribute
	payloadsLimit = 128      // formats of one section; seven bits name them
)

// offer is an SDP offer of a viewer, read and found sane. What is handed on to
// the WebRTC library is not the viewer's text but one written anew from the few
// things that we need, see [offer.reduce].
type offer struct {
	session  []sdp.Attribute
	sections []section
}

type section struct {
	kind     string // "video" or "audio"
	protos   []string
	attrs    []sdp.Attribute // that we understand, without those of single formats
	payloads []payload
}

// payload is one format of a section (RFC 8866, 6.6 and 6.15).
type payload struct {
	number   uint8
	name     string // as offered, "H264"
	clock    uint32
	channels uint16
	fmtp     string
	feedback []string
}

var errOffer = errors.New("offer cannot be read")

// The attributes that we hand on. Candidates are not among them: viewers come
// to us, we never go to an address that somebody has written into an offer.
var (
	sessionAttrs = []string{"group", "ice-ufrag", "ice-pwd", "fingerprint", "setup"}
	mediaAttrs   = []string{"mid", "ice-ufrag", "ice-pwd", "fingerprint", "setup", "rtcp-mux", "rtcp-rsize", "sendrecv", "recvonly", "sendonly", "inactive"}
)

// readOffer reads an SDP offer (RFC 8866, RFC 9429).
func readOffer(text string) (*offer, error) {
	if len(text) > offerLimit {
		return nil, fmt.Errorf("%w: longer than %d bytes", errOffer, offerLimit)
	}
	var d sdp.SessionDescription
	if err := d.UnmarshalString(text); err != nil {
		return nil, fmt.Errorf("%w: %w", errOffer, err)
	}
	if n := len(d.MediaDescriptions); n == 0 || n > sectionLimit {
		return nil, fmt.Errorf("%w: %d media sections: want 1 to %d", errOffer, n, sectionLimit)
	}
	o := &offer{}
	var err error
	if o.session, err = keep(d.Attributes, sessionAttrs); err != nil {
		return nil, err
	}
	for _, m := range d.MediaDescriptions {
		s, err := readSection(m)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(o.sections, func(other section) bool { return other.kind == s.kind }) {
			return nil, fmt.Errorf("%w: two %s sections: want one", errOffer, s.kind)
		}
		o.sections = append(o.sections, s)
	}
	return o, nil
}

func keep(attrs []sdp.Attribute, names []string) ([]sdp.Attribute, error) {
	if len(attrs) > attrLimit {
		return nil, fmt.Errorf("%w: more than %d attributes in a section", errOffer, attrLimit)
	}
	var kept []sdp.Attribute
	for _, a := range attrs {
		if !slices.Contains(names, a.Key) {
			continue
		}
		if len(a.Value) > valueLimit || strings.ContainsAny(a.Value, "\r\n\x00") {
			return nil, fmt.Errorf("%w: attribute %q too long", errOffer, a.Key)
		}
		kept = append(kept, a)
	}
	return kept, nil
}

func readSection(m *sdp.MediaDescription) (section, error) {
	s := section{kind: strings.ToLower(m.MediaName.Media), protos: m.MediaName.Protos}
	if s.kind != "video" && s.kind != "audio" {
		return s, fmt.Errorf("%w: section %.20q: want audio or video", errOffer, s.kind)
	}
	if !slices.Contains(s.protos, "SAVPF") || len(s.protos) > 4 {
		return s, fmt.Errorf("%w: %s section without UDP/TLS/RTP/SAVPF", errOffer, s.kind)
	}
	if len(m.MediaName.Formats) > payloadsLimit {
		return s, fmt.Errorf("%w: more than %d formats", errOffer, payloadsLimit)
	}
	var err error
	if s.attrs, err = keep(m.Attributes, mediaAttrs); err != nil {
		return s, err
	}
	for _, f := range m.MediaName.Formats {
		// Numbers of formats that cannot be one are left aside, as is all we do not know.
		n, err := strconv.ParseUint(f, 10, 7)
		if err != nil || slices.ContainsFunc(s.payloads, func(p payload) bool { return p.number == uint8(n) }) {
			continue
		}
		s.payloads = append(s.payloads, payload{number: uint8(n)})
	}
	for _, a := range m.Attributes {
		if len(a.Value) <= valueLimit {
			s.describe(a)
		}
	}
	// Static numbers need no rtpmap (RFC 3551, 6).
	for i := range s.payloads {
		switch p := &s.payloads[i]; {
		case p.name != "":
		case p.number == 0:
			p.name, p.clock, p.channels = "PCMU", 8000, 1
		case p.number == 8:
			p.name, p.clock, p.channels = "PCMA", 8000, 1
		}
	}
	return s, nil
}

// describe takes up an attribute that is about one format: "rtpmap:96 H264/90000".
func (s *section) describe(a sdp.Attribute) {
	number, rest, ok := strings.Cut(a.Value, " ")
	if !ok {
		return
	}
	n, err := strconv.ParseUint(number, 10, 7)
	if err != nil {
		return
	}
	i := slices.IndexFunc(s.payloads, func(p payload) bool { return p.number == uint8(n) })
	if i < 0 {
		return
	}
	p := &s.payloads[i]
	switch a.Key {
	case "rtpmap":
		parts := strings.Split(rest, "/")
		if len(parts) < 2 {
			return
		}
		clock, err := strconv.ParseUint(parts[1], 10, 32)
		if err != nil {
			return
		}
		p.name, p.clock, p.channels = parts[0], uint32(clock), 1
		if len(parts) > 2 {
			if c, err := strconv.ParseUint(parts[2], 10, 8); err == nil {
				p.channels = uint16(c)
			}
		}
	case "fmtp":
		p.fmtp = rest
	case "rtcp-fb":
		if len(p.feedback) < 16 {
			p.feedback = append(p.feedback, rest)
		}
	}
}

func (p payload) parameter(name string) (string, bool) {
	for part := range strings.SplitSeq(p.fmtp, ";") {
		if k, v, ok := strings.Cut(strings.TrimSpace(part), "="); ok && strings.EqualFold(k, name) {
			return v, true
		}
	}
	return "", false
}

// h264Level is a profile-level-id: profile_idc, the constraint flags and
// level_idc (RFC 6184, 8.1), which are also bytes 1 to 3 of an SPS.
type h264Level [3]byte

// parseLevel reads six hexadecimal digits. Without the parameter a viewer takes
// Baseline, level 1.
func parseLevel(text string, ok bool) (h264Level, bool) {
	if !ok {
		return h264Level{0x42, 0x00, 0x0a}, true
	}
	v, err := strconv.ParseUint(text, 16, 24)
	return h264Level{byte(v >> 16), byte(v >> 8), byte(v)}, err == nil && len(text) == 6
}

// family groups profiles by what a decoder needs (RFC 6184, table 5), simplest first.
type family int

const (
	constrainedBaseline family = iota
	baseline
	mainProfile
	constrainedHigh
	high
	beyond // more bits or colours than browsers show
)

func (l h264Level) family() family {
	set := func(n int) bool { return l[1]>>(7-n)&1 == 1 }
	switch {
	case l[0] == 0x42 && set(1), l[0] == 0x4d && set(0), l[0] == 0x58 && set(0) && set(1):
		return constrainedBaseline
	case l[0] == 0x42, l[0] == 0x58:
		return baseline
	case l[0] == 0x4d:
		return mainProfile
	case l[0] == 0x64 && set(4) && set(5):
		return constrainedHigh
	case l[0] == 0x64:
		return high
	}
	return beyond
}

// rank says how well an offered decoder fits a stream, less is better: the same
// profile, then the next one that includes it. One that does not include it
// comes last and is still taken: browsers name one profile and decode all.
func rank(stream, offered family) int {
	switch {
	case stream == offered:
		return 0
	case stream == baseline && offered == constrainedBaseline:
		// What Baseline has more than that (FMO, ASO) no camera uses.
		return 1
	case offered > stream:
		return 1 + int(offered-stream)
	default:
		return 10 + int(stream-offered)
	}
}

// pickVideo finds the offered H.264 format that fits the stream best.
func (o *offer) pickVideo(f *media.Format) (payload, bool) {
	var stream h264Level
	if len(f.ParameterSets) > 0 && len(f.ParameterSets[0]) >= 4 {
		stream = h264Level(f.ParameterSets[0][1:4])
	}
	var best payload
	bestRank, bestLevel := -1, byte(0)
	for _, p := range o.payloads("video") {
		if !strings.EqualFold(p.name, "H264") || p.clock != 90000 {
			continue
		}
		if mode, _ := p.parameter("packetization-mode"); mode != "1" {
			continue // fragments are needed, RFC 6184, 6.3
		}
		level, ok := parseLevel(p.parameter("profile-level-id"))
		if !ok {
			continue
		}
		r := rank(stream.family(), level.family())
		if bestRank < 0 || r < bestRank || r == bestRank && level[2] > bestLevel {
			best, bestRank, bestLevel = p, r, level[2]
		}
	}
	return best, bestRank >= 0
}

// pickAudio finds the offered format that takes the stream's sound as it is.
func (o *offer) pickAudio(f *media.Format) (payload, bool) {
	if f == nil || !byRTP(f) {
		return payload{}, false
	}
	name := map[media.Codec]string{media.Opus: "opus", media.PCMU: "PCMU", media.PCMA: "PCMA"}[f.Codec]
	for _, p := range o.payloads("audio") {
		if strings.EqualFold(p.name, name) && p.clock == uint32(f.ClockRate) {
			return p, true
		}
	}
	return payload{}, false
}

// anyAudio is a format that keeps the audio section alive while nothing is sent in it.
func (o *offer) anyAudio() (payload, bool) {
	for _, p := range o.payloads("audio") {
		if strings.EqualFold(p.name, "opus") || p.name == "PCMU" {
			return p, true
		}
	}
	return payload{}, false
}

func (o *offer) payloads(kind string) []payload {
	for _, s := range o.sections {
		if s.kind == kind {
			return s.payloads
		}
	}
	return nil
}

// reduce writes the offer anew with one format for each section, the audio
// section closed when nothing will be sent in it.
func (o *offer) reduce(video, audio payload, heard bool) (string, error) {
	d := sdp.SessionDescription{
		Origin:           sdp.Origin{Username: "-", SessionID: 1, SessionVersion: 1, NetworkType: "IN", AddressType: "IP4", UnicastAddress: "0.0.0.0"},
		SessionName:      "-",
		TimeDescriptions: []sdp.TimeDescription{{}},
		Attributes:       o.session,
	}
	for _, s := range o.sections {
		p, attrs := video, slices.Clone(s.attrs)
		if s.kind == "audio" {
			p = audio
			if !heard {
				attrs = slices.DeleteFunc(attrs, func(a sdp.Attribute) bool {
					return slices.Contains([]string{"sendrecv", "recvonly", "sendonly"}, a.Key)
				})
				attrs = append(attrs, sdp.NewPropertyAttribute("inactive"))
			}
		}
		number := strconv.Itoa(int(p.number))
		attrs = append(attrs, sdp.NewAttribute("rtpmap", fmt.Sprintf("%s %s/%d%s", number, p.name, p.clock, channelSuffix(p.channels))))
		if p.fmtp != "" {
			attrs = append(attrs, sdp.NewAttribute("fmtp", number+" "+p.fmtp))
		}
		for _, fb := range p.feedback {
			attrs = append(attrs, sdp.NewAttribute("rtcp-fb", number+" "+fb))
		}
		d.MediaDescriptions = append(d.MediaDescriptions, &sdp.MediaDescription{
			MediaName:             sdp.MediaName{Media: s.kind, Port: sdp.RangedPort{Value: 9}, Protos: s.protos, Formats: []string{number}},
			ConnectionInformation: &sdp.ConnectionInformation{NetworkType: "IN", AddressType: "IP4", Address: &sdp.Address{Address: "0.0.0.0"}},
			Attributes:            attrs,
		})
	}
	text, err := d.Marshal()
	return string(text), err
}

func channelSuffix(n uint16) string {
	if n > 1 {
		return "/" + strconv.Itoa(int(n))
	}
	return ""
}

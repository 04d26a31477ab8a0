package simulate

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"strings"

	"github.com/watchward/watchward/internal/media"
)

// payloadType is the RTP payload type of a track: the static one where there
// is one (RFC 3551, 6), else 96 and up.
func payloadType(f *media.Format, track int) byte {
	mono8k := f.ClockRate == 8000 && f.Channels <= 1
	switch {
	case f.Codec == media.MJPEG:
		return 26
	case f.Codec == media.PCMU && mono8k:
		return 0
	case f.Codec == media.PCMA && mono8k:
		return 8
	}
	return 96 + byte(track)
}

// describe is the session description of a stream (RFC 8866).
func (c *camera) describe(s *source) string {
	host, _, _ := net.SplitHostPort(c.Info().Host)
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	line("v=0")
	line("o=- %d 1 IN IP4 %s", c.epoch.Unix(), host)
	name := "s=" + c.info.Name
	var about, attributes []string
	for _, own := range c.habits.Session {
		switch own[0] {
		case 's':
			name = own
		case 'a':
			attributes = append(attributes, own)
		default:
			about = append(about, own)
		}
	}
	for _, own := range append([]string{name}, about...) {
		line("%s", own)
	}
	line("c=IN IP4 0.0.0.0")
	line("t=0 0")
	line("a=control:*")
	line("a=range:npt=now-")
	for _, own := range attributes {
		line("%s", own)
	}
	for i, p := range s.plans() {
		describeTrack(line, p, i)
		if p.format.Codec.Video() {
			for _, own := range c.habits.Video {
				line("%s", own)
			}
		}
	}
	return b.String()
}

func describeTrack(line func(string, ...any), p *plan, track int) {
	f := p.format
	pt := payloadType(f, track)
	kind := "audio"
	if f.Codec.Video() {
		kind = "video"
	}
	line("m=%s 0 RTP/AVP %d", kind, pt)
	line("a=control:trackID=%d", track)
	b64 := base64.StdEncoding.EncodeToString
	switch f.Codec {
	case media.H264:
		line("a=rtpmap:%d H264/90000", pt)
		if sets := f.ParameterSets; len(sets) > 1 && len(sets[0]) > 3 {
			var all []string
			for _, s := range sets {
				all = append(all, b64(s))
			}
			line("a=fmtp:%d packetization-mode=1;profile-level-id=%X;sprop-parameter-sets=%s", pt, sets[0][1:4], strings.Join(all, ","))
		}
	case media.H265:
		line("a=rtpmap:%d H265/90000", pt)
		var props []string
		for _, s := range f.ParameterSets {
			if name := map[byte]string{32: "sprop-vps", 33: "sprop-sps", 34: "sprop-pps"}[s[0]>>1&63]; name != "" {
				props = append(props, name+"="+b64(s))
			}
		}
		line("a=fmtp:%d %s", pt, strings.Join(props, ";"))
	case media.MJPEG:
		line("a=rtpmap:%d JPEG/90000", pt)
	case media.AAC:
		line("a=rtpmap:%d mpeg4-generic/%d/%d", pt, f.ClockRate, max(1, f.Channels))
		line("a=fmtp:%d streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=%s", pt, hex.EncodeToString(f.Config))
	case media.Opus:
		line("a=rtpmap:%d opus/48000/2", pt) // RFC 7587, 4.1: always two
	case media.PCMU:
		line("a=rtpmap:%d PCMU/%d/%d", pt, f.ClockRate, max(1, f.Channels))
	case media.PCMA:
		line("a=rtpmap:%d PCMA/%d/%d", pt, f.ClockRate, max(1, f.Channels))
	}
	if f.Codec.Video() {
		line("a=framerate:%.2f", float64(len(p.frames))/p.loop().Seconds())
	}
}

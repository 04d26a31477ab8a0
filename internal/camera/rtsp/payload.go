package rtsp

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/watchward/watchward/internal/camera/rtp"
	"github.com/watchward/watchward/internal/media"
)

// Track is a media section that we can carry.
type Track struct {
	Media   *Media
	Payload *Payload
	Config  rtp.Config
}

// Tracks picks the first video track and the first audio track that we can
// carry; either may be nil. A sendonly audio track beside another one is the
// way back to the camera's loudspeaker (ONVIF backchannel, Reolink, Avigilon)
// and is never set up; a camera that marks its video, or its only audio,
// sendonly means that it sends (IDS).
func (d *Description) Tracks() (video, audio *Track) {
	recv := 0
	for _, m := range d.Medias {
		if m.Kind == "audio" && m.Direction != "sendonly" {
			recv++
		}
	}
	sends := false
	for _, m := range d.Medias {
		sends = sends || m.Kind == "video" && m.Direction == "sendonly"
	}
	for _, m := range d.Medias {
		back := m.Kind == "audio" && m.Direction == "sendonly" && (recv > 0 || !sends)
		if m.Direction == "inactive" || back {
			continue
		}
		t := m.track()
		switch {
		case t == nil:
		case t.Config.Codec.Video() && video == nil:
			video = t
		case !t.Config.Codec.Video() && audio == nil:
			audio = t
		}
	}
	return video, audio
}

// track is the first payload type of m that we can carry.
func (m *Media) track() *Track {
	for _, p := range m.Payloads {
		c, ok := p.config()
		if !ok || c.Codec.Video() != (m.Kind == "video") {
			continue
		}
		c.Width, c.Height = m.Width, m.Height
		return &Track{Media: m, Payload: p, Config: c}
	}
	return nil
}

// config is what package rtp needs to know of p; false where we cannot carry it.
func (p *Payload) config() (rtp.Config, bool) {
	c := rtp.Config{PayloadType: p.Type, ClockRate: p.Clock, Channels: p.Channels}
	switch p.Encoding {
	case "H264":
		c.Codec = media.H264
		c.ParameterSets = p.sets264()
	case "H265", "HEVC":
		c.Codec = media.H265
		c.ParameterSets = p.sets265()
		c.DON = atMost(p.Params["sprop-max-don-diff"], 1<<15) > 0
	case "JPEG":
		c.Codec = media.MJPEG
	case "MPEG4-GENERIC":
		return p.aac(c)
	case "MP4A-LATM":
		return p.latm(c)
	case "OPUS":
		c.Codec, c.ClockRate, c.Channels = media.Opus, 48000, 2
		return c, true
	case "PCMU", "PCMA":
		c.Codec = media.PCMU
		if p.Encoding == "PCMA" {
			c.Codec = media.PCMA
		}
		if c.ClockRate == 0 {
			c.ClockRate = 8000
		}
		c.Channels = max(c.Channels, 1)
		return c, c.Channels <= 2
	default:
		return c, false
	}
	if c.ClockRate == 0 {
		c.ClockRate = 90000 // RFC 6184, 7798 and 2435 allow no other
	}
	return c, true
}

// sets264 reads sprop-parameter-sets (RFC 6184, 8.1).
func (p *Payload) sets264() [][]byte {
	return decodeSets(strings.Split(p.Params["sprop-parameter-sets"], ","))
}

// sets265 reads sprop-vps, -sps and -pps (RFC 7798, 7.1), in that order whatever
// the camera's.
func (p *Payload) sets265() [][]byte {
	var text []string
	for _, name := range []string{"sprop-vps", "sprop-sps", "sprop-pps"} {
		text = append(text, strings.Split(p.Params[name], ",")...)
	}
	return decodeSets(text)
}

func decodeSets(text []string) [][]byte {
	var sets [][]byte
	for _, s := range text {
		s = strings.TrimRight(strings.TrimSpace(s), "=")
		if s == "" || len(s) > 2*rtp.MaxParameterSet || len(sets) == rtp.MaxParameterSets {
			continue
		}
		b, err := base64.RawStdEncoding.DecodeString(s)
		if err != nil {
			continue
		}
		if b = trimSet(b); len(b) > 1 && len(b) <= rtp.MaxParameterSet {
			sets = append(sets, b)
		}
	}
	return sets
}

// trimSet drops start codes in front of and behind a parameter set (GW).
func trimSet(b []byte) []byte {
	for _, code := range [][]byte{{0, 0, 0, 1}, {0, 0, 1}} {
		b = bytes.TrimPrefix(b, code)
	}
	if i := bytes.Index(b, []byte{0, 0, 1}); i >= 0 {
		b = b[:i]
	}
	return bytes.TrimRight(b, "\x00")
}

// aac reads the parameters of RFC 3640. Cameras leave out mode and lengths; then
// those of AAC-hbr, which all of them send, are meant.
func (p *Payload) aac(c rtp.Config) (rtp.Config, bool) {
	c.Codec = media.AAC
	if m := strings.ToLower(p.Params["mode"]); m != "" && m != "aac-hbr" && m != "aac-lbr" {
		return c, false
	}
	c.SizeBits = p.bits("sizelength", 13)
	c.IndexBits = p.bits("indexlength", 3)
	c.IndexDeltaBits = p.bits("indexdeltalength", 3)
	config, err := hex.DecodeString(p.Params["config"])
	if err == nil && len(config) >= 2 && len(config) <= 64 {
		c.Config = config
	}
	return rtp.CompleteAAC(c)
}

func (p *Payload) bits(name string, otherwise int) int {
	n, err := strconv.Atoi(p.Params[name])
	if err != nil || n < 0 || n > 32 {
		return otherwise
	}
	return n
}

// latm reads the parameters of RFC 6416 with the configuration out of band.
func (p *Payload) latm(c rtp.Config) (rtp.Config, bool) {
	c.Codec, c.LATM = media.AAC, true
	mux, err := hex.DecodeString(p.Params["config"])
	if err != nil || p.Params["cpresent"] == "1" {
		return c, false
	}
	config, ok := rtp.LATMConfig(mux)
	if !ok {
		return c, false
	}
	c.Config = config
	return rtp.CompleteAAC(c)
}

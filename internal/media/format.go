package media

import (
	"bytes"
	"slices"
)

// Codec names how a track's samples are coded.
type Codec uint8

// The codecs that Watchward carries. None is ever decoded by the recorder.
const (
	H264  Codec = iota + 1 // ITU-T H.264, ISO/IEC 14496-10
	H265                   // ITU-T H.265, ISO/IEC 23008-2
	MJPEG                  // a JPEG a sample, RFC 2435
	AAC                    // ISO/IEC 14496-3, raw access units
	Opus                   // RFC 6716
	PCMU                   // ITU-T G.711 µ-law
	PCMA                   // ITU-T G.711 A-law
)

var codecNames = [...]string{"unknown", "H.264", "H.265", "MJPEG", "AAC", "Opus", "G.711 µ-law", "G.711 A-law"}

func (c Codec) String() string {
	if int(c) < len(codecNames) {
		return codecNames[c]
	}
	return codecNames[0]
}

// Video reports whether the codec makes pictures.
func (c Codec) Video() bool { return c >= H264 && c <= MJPEG }

// Format describes how the samples of one track are coded. It is immutable
// once a sample carries it: a camera that changes its parameter sets in
// mid-stream publishes samples with a new Format.
type Format struct {
	Codec     Codec
	ClockRate int // units of Sample.DTS and PTS in a second; for RTP its clock rate

	// Width and Height are in pixels after cropping; video only.
	Width, Height int
	// ParameterSets are NAL units without start code or length: H.264 SPS then
	// PPS, H.265 VPS, SPS, PPS.
	ParameterSets [][]byte

	// SampleRate is in Hz; audio only.
	SampleRate, Channels int
	// Config is the AudioSpecificConfig of AAC (ISO/IEC 14496-3, 1.6.2.1).
	Config []byte
}

// Equal reports whether a decoder set up for f can go on with g.
func (f *Format) Equal(g *Format) bool {
	if f == g {
		return true
	}
	if f == nil || g == nil {
		return false
	}
	return f.Codec == g.Codec && f.ClockRate == g.ClockRate &&
		f.Width == g.Width && f.Height == g.Height &&
		f.SampleRate == g.SampleRate && f.Channels == g.Channels &&
		bytes.Equal(f.Config, g.Config) &&
		slices.EqualFunc(f.ParameterSets, g.ParameterSets, bytes.Equal)
}

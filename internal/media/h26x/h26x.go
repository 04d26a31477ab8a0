// Package h26x reads the parameter sets of H.264 and H.265: picture size,
// frame rate, reordering, and the codec string by which a browser decides
// whether it can play a stream (RFC 6381).
//
// Begin with [ParseSPS264], [ParseSPS265] and [CodecString]. What is read comes
// from cameras and is hostile: lengths, counts and picture sizes are capped, and
// a usability description (VUI) that makes no sense is left out rather than
// believed.
package h26x

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/watchward/watchward/internal/media"
)

// Largest picture that is believed. Level 6.2 of both codecs ends at 36
// megapixels; a camera that claims more wants our memory.
const (
	maxSide = 16384
	maxArea = 64 << 20
)

// ErrParameterSet is what every refusal of a parameter set wraps.
var ErrParameterSet = errors.New("parameter set cannot be read")

// Info is what a sequence parameter set says that others need.
type Info struct {
	Width, Height int     // pixels after cropping
	FPS           float64 // frames a second by the stream's own word; 0 is unknown
	Codec         string  // RFC 6381, such as avc1.64001f or hvc1.1.6.L93.B0

	// Reorder is how many pictures may come before one that is shown
	// earlier; 0 means that decoding and presentation order are the same.
	Reorder int
	// ReorderStated is false where the stream says nothing and Reorder is the
	// worst that its profile and level allow.
	ReorderStated bool

	// The rest is for decoder configuration records (ISO/IEC 14496-15).
	Chroma               int // chroma_format_idc: 0 grey, 1 4:2:0, 2 4:2:2, 3 4:4:4
	LumaBits, ChromaBits int // bit depths, 8 to 16

	ProfileTierLevel [12]byte // H.265: general profile to level, as in the SPS
	SubLayers        int      // H.265: temporal sub-layers, 1 to 7
	Nested           bool     // H.265: sps_temporal_id_nesting_flag
}

// size checks and stores the picture size.
func (i *Info) size(w, h int64) error {
	if w < 1 || h < 1 || w > maxSide || h > maxSide || w*h > maxArea {
		return fmt.Errorf("%w: picture of %d x %d: want at most %d a side and %d in all", ErrParameterSet, w, h, maxSide, maxArea)
	}
	i.Width, i.Height = int(w), int(h)
	return nil
}

// fps is rate/units where that is a frame rate a camera can have, else 0.
func fps(rate, units float64) float64 {
	if units <= 0 || rate <= 0 {
		return 0
	}
	if f := rate / units; f >= 0.01 && f <= 1000 {
		return f
	}
	return 0
}

// NAL unit types that matter to those who carry H.264 (table 7-1) and H.265
// (table 7-1 there).
const (
	SPS264, PPS264, IDR264, AUD264 = 7, 8, 5, 9

	VPS265, SPS265, PPS265, AUD265 = 32, 33, 34, 35
)

// NALType is the type of the NAL unit that begins with first.
func NALType(c media.Codec, first byte) int {
	if c == media.H265 {
		return int(first>>1) & 0x3f
	}
	return int(first) & 0x1f
}

// KeyNAL reports whether a NAL unit of this type is a slice of a picture at
// which decoding can begin: H.264 IDR, H.265 IRAP (BLA, IDR, CRA).
func KeyNAL(c media.Codec, nalType int) bool {
	if c == media.H265 {
		return nalType >= 16 && nalType <= 23
	}
	return nalType == IDR264
}

// Keyframe reports whether data, NAL units each after its length in four
// bytes, is a picture at which decoding can begin.
func Keyframe(c media.Codec, data []byte) bool {
	for len(data) > 4 {
		n := int64(binary.BigEndian.Uint32(data))
		if n > int64(len(data)-4) {
			return false
		}
		if n > 0 && KeyNAL(c, NALType(c, data[4])) {
			return true
		}
		data = data[4+n:]
	}
	return false
}

// ParseFormat reads the SPS among a format's parameter sets.
func ParseFormat(f *media.Format) (Info, error) {
	for _, nal := range f.ParameterSets {
		switch {
		case len(nal) == 0:
		case f.Codec == media.H264 && NALType(f.Codec, nal[0]) == SPS264:
			return ParseSPS264(nal)
		case f.Codec == media.H265 && NALType(f.Codec, nal[0]) == SPS265:
			return ParseSPS265(nal)
		}
	}
	return Info{}, fmt.Errorf("%w: no sequence parameter set", ErrParameterSet)
}

// CodecString is the name under which a browser's Media Source Extensions know
// the format (RFC 6381), or "" where they know none: G.711, MJPEG, and streams
// whose parameters cannot be read.
func CodecString(f *media.Format) string {
	if f == nil {
		return ""
	}
	switch f.Codec {
	case media.H264, media.H265:
		i, err := ParseFormat(f)
		if err != nil {
			return ""
		}
		return i.Codec
	case media.AAC:
		return aacString(f.Config)
	case media.Opus:
		return "opus"
	}
	return ""
}

// CodecStrings is the codecs parameter for several tracks, those without a
// name left out.
func CodecStrings(tracks []*media.Format) string {
	var names []string
	for _, f := range tracks {
		if s := CodecString(f); s != "" {
			names = append(names, s)
		}
	}
	return strings.Join(names, ",")
}

// aacString names the audio object type (ISO/IEC 14496-3, 1.6.2.1).
func aacString(config []byte) string {
	if len(config) < 2 {
		return ""
	}
	r := reader{b: config}
	kind := r.u(5)
	if kind == 31 {
		kind = 32 + r.u(6)
	}
	if kind == 0 || r.bad {
		return ""
	}
	return fmt.Sprintf("mp4a.40.%d", kind)
}

package fmp4

import (
	"errors"
	"fmt"

	"github.com/watchward/watchward/internal/media"
	"github.com/watchward/watchward/internal/media/h26x"
)

// maxTracks bounds what is written and what is believed when read.
const maxTracks = 8

var errConfig = errors.New("no configuration of the codec")

// sampleEntry describes how a track is coded (8.5.2).
func sampleEntry(f *media.Format) ([]byte, error) {
	switch f.Codec {
	case media.H264:
		return avc1(f)
	case media.H265:
		return hvc1(f)
	case media.MJPEG:
		// As ffmpeg writes it; object type 0x6C is ISO/IEC 10918-1 at the MP4 registration authority.
		return visual("mp4v", f, esds(0x6c, 0x11, nil)), nil
	case media.AAC:
		if len(f.Config) < 2 || len(f.Config) > 64 {
			return nil, fmt.Errorf("AAC: %w: %d bytes", errConfig, len(f.Config))
		}
		return audio("mp4a", f, 16, esds(0x40, 0x15, f.Config)), nil
	case media.Opus:
		// Encapsulation of Opus in ISO BMFF, 4.3.2: version, channels, pre-skip, input rate, gain, mapping family.
		ch := min(max(f.Channels, 1), 2)
		return audio("Opus", f, 16, box("dOps", []byte{0, byte(ch)}, u16(nil, 0), u32(nil, 48000), u16(nil, 0), []byte{0})), nil
	case media.PCMU:
		return audio("ulaw", f, 16, nil), nil
	case media.PCMA:
		return audio("alaw", f, 16, nil), nil
	}
	return nil, fmt.Errorf("codec %v cannot be written", f.Codec)
}

// visual is a VisualSampleEntry (12.1.3) around its configuration.
func visual(kind string, f *media.Format, config []byte) []byte {
	w, h := pictureSize(f)
	return box(kind, zeros(6), u16(nil, 1), zeros(16), u16(nil, uint16(w), uint16(h)),
		u32(nil, 0x480000, 0x480000, 0), u16(nil, 1), zeros(32), u16(nil, 0x18, 0xffff), config)
}

// audio is an AudioSampleEntry (12.2.3) around its configuration.
func audio(kind string, f *media.Format, bits uint16, config []byte) []byte {
	rate := f.SampleRate
	if rate <= 0 {
		rate = f.ClockRate
	}
	if rate > 0xffff {
		rate = 0 // does not fit 16.16; the codec's own configuration says it
	}
	return box(kind, zeros(6), u16(nil, 1), zeros(8), u16(nil, uint16(min(max(f.Channels, 1), 8)), bits, 0, 0),
		u32(nil, uint32(rate)<<16), config)
}

// esds is an elementary stream descriptor (ISO/IEC 14496-14, 3.1.2).
func esds(objectType, streamType byte, config []byte) []byte {
	decoder := append([]byte{objectType, streamType}, zeros(11)...) // buffer size and bit rates unknown
	if config != nil {
		decoder = append(decoder, descriptor(5, config)...)
	}
	es := append([]byte{0, 0, 0}, descriptor(4, decoder)...)
	es = append(es, descriptor(6, []byte{2})...)
	return full("esds", 0, 0, descriptor(3, es))
}

// descriptor is one of ISO/IEC 14496-1, 8.3.3; all of ours are under 128 bytes.
func descriptor(tag byte, body []byte) []byte {
	return append([]byte{tag, byte(len(body))}, body...)
}

// sets groups a format's parameter sets by NAL unit type.
func sets(f *media.Format, types ...int) (groups [][][]byte, err error) {
	groups = make([][][]byte, len(types))
	for _, nal := range f.ParameterSets {
		if len(nal) == 0 || len(nal) > 0xffff {
			return nil, fmt.Errorf("%v: parameter set of %d bytes", f.Codec, len(nal))
		}
		for i, t := range types {
			if h26x.NALType(f.Codec, nal[0]) == t {
				groups[i] = append(groups[i], nal)
			}
		}
	}
	for i := range groups {
		if len(groups[i]) == 0 || len(groups[i]) > 31 {
			return nil, fmt.Errorf("%v: %w: %d parameter sets of type %d: want 1 to 31", f.Codec, errConfig, len(groups[i]), types[i])
		}
	}
	return groups, nil
}

func appendSets(b []byte, nals [][]byte) []byte {
	for _, n := range nals {
		b = append(u16(b, uint16(len(n))), n...)
	}
	return b
}

// avc1 holds an AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1).
func avc1(f *media.Format) ([]byte, error) {
	groups, err := sets(f, h26x.SPS264, h26x.PPS264)
	if err != nil {
		return nil, err
	}
	sps := groups[0][0]
	info, err := h26x.ParseSPS264(sps)
	if err != nil {
		return nil, err
	}
	b := []byte{1, sps[1], sps[2], sps[3], 0xff, 0xe0 | byte(len(groups[0]))}
	b = appendSets(b, groups[0])
	b = append(b, byte(len(groups[1])))
	b = appendSets(b, groups[1])
	switch sps[1] {
	case 66, 77, 88:
	default:
		b = append(b, 0xfc|byte(info.Chroma), 0xf8|byte(info.LumaBits-8), 0xf8|byte(info.ChromaBits-8), 0)
	}
	return visual("avc1", f, box("avcC", b)), nil
}

// hvc1 holds an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15, 8.3.3.1).
func hvc1(f *media.Format) ([]byte, error) {
	types := []int{h26x.VPS265, h26x.SPS265, h26x.PPS265}
	groups, err := sets(f, types...)
	if err != nil {
		return nil, err
	}
	info, err := h26x.ParseSPS265(groups[1][0])
	if err != nil {
		return nil, err
	}
	b := append([]byte{1}, info.ProfileTierLevel[:]...)
	b = append(b, 0xf0, 0, 0xfc) // segmentation and parallelism unknown
	b = append(b, 0xfc|byte(info.Chroma), 0xf8|byte(info.LumaBits-8), 0xf8|byte(info.ChromaBits-8), 0, 0)
	nested := byte(0)
	if info.Nested {
		nested = 4
	}
	b = append(b, byte(info.SubLayers)<<3|nested|3, byte(len(types))) // lengths of four bytes
	for i, t := range types {
		b = u16(append(b, 0x80|byte(t)), uint16(len(groups[i]))) // array_completeness
		b = appendSets(b, groups[i])
	}
	return visual("hvc1", f, box("hvcC", b)), nil
}

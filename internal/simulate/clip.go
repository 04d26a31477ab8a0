package simulate

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/watchward/watchward/internal/media"
)

// clip is a loop: what a file holds, ready to be packetized.
type clip struct {
	name  string
	video *track
	audio *track // nil for none
}

// track is one track of a clip. Times are in units of format.ClockRate from
// the start of the loop.
type track struct {
	format *media.Format
	units  []unit
	dur    int64 // length of the loop
}

// unit is one coded frame as a container holds it: for H.264 and H.265 NAL
// units each behind its length.
type unit struct {
	dts, pts int64
	key      bool
	data     []byte
}

// Limits of what a file may make us hold. A user's file is no more to be
// trusted than a camera.
const (
	maxFile   = 1 << 30
	maxUnits  = 1_000_000
	maxParams = 64 << 10
	maxUnit   = 16 << 20
	maxLoop   = 24 * 3600 // seconds
)

var errNoVideo = errors.New("no video that can be played: want H.264, H.265 or MJPEG")

// demux reads an MP4, MKV or AVI file, told by its first bytes. Frames point
// into data.
func demux(name string, data []byte) (*clip, error) {
	if len(data) > maxFile {
		return nil, fmt.Errorf("%q: larger than %d MB: cut a shorter piece", name, maxFile>>20)
	}
	var tracks []*track
	var err error
	switch {
	case bytes.HasPrefix(data, []byte{0x1a, 0x45, 0xdf, 0xa3}):
		tracks, err = demuxMKV(data)
	case len(data) > 12 && string(data[4:8]) == "ftyp":
		tracks, err = demuxMP4(data)
	case len(data) > 12 && string(data[:4]) == "RIFF" && string(data[8:12]) == "AVI ":
		tracks, err = demuxAVI(data)
	default:
		err = errors.New("neither MP4, MKV nor AVI")
	}
	if err != nil {
		return nil, fmt.Errorf("%q: %w", name, err)
	}
	c := &clip{name: name}
	for _, t := range tracks {
		t.tidy()
		if len(t.units) == 0 || t.dur <= 0 || t.format.ClockRate <= 0 {
			continue
		}
		if t.dur/int64(t.format.ClockRate) > maxLoop {
			return nil, fmt.Errorf("%q: lasts longer than %d hours", name, maxLoop/3600)
		}
		switch {
		case t.format.Codec.Video() && c.video == nil:
			c.video = t
		case !t.format.Codec.Video() && c.audio == nil:
			c.audio = t
		}
	}
	if c.video == nil {
		return nil, fmt.Errorf("%q: %w", name, errNoVideo)
	}
	if c.audio != nil {
		c.audio.trim(scale(c.video.dur, int64(c.audio.format.ClockRate), int64(c.video.format.ClockRate)))
	}
	return c, nil
}

// trim leaves out what begins at or after end. Sound that ends before the
// pictures loops by itself: better out of step than with a hole.
func (t *track) trim(end int64) {
	if i := slices.IndexFunc(t.units, func(u unit) bool { return u.dts >= end }); i > 0 {
		t.dur = t.units[i].dts
		t.units = t.units[:i]
	}
}

// tidy makes the times of a track fit for looping: the first frame is a
// keyframe at 0, DTS rises, dur is past the last.
func (t *track) tidy() {
	i := slices.IndexFunc(t.units, func(u unit) bool { return u.key })
	if i < 0 {
		t.units = nil
		return
	}
	t.units = t.units[i:]
	base := t.units[0].dts
	last := int64(-1)
	for i := range t.units {
		u := &t.units[i]
		u.pts -= base
		u.dts -= base
		if u.dts <= last {
			u.dts = last + 1
		}
		last = u.dts
	}
	t.dur -= base
	if n := int64(len(t.units)); t.dur <= last {
		t.dur = last + max(1, last/max(1, n-1))
	}
}

// nals splits length-prefixed NAL units. It stops at the first length that
// cannot be right.
func nals(data []byte) [][]byte {
	var out [][]byte
	for len(data) > 4 {
		n := int(binary.BigEndian.Uint32(data))
		if n <= 0 || n > len(data)-4 {
			break
		}
		out = append(out, data[4:4+n])
		data = data[4+n:]
	}
	return out
}

// fourByteLengths rewrites NAL units with lengths of size bytes as ones with four.
func fourByteLengths(data []byte, size int) []byte {
	if size == 4 {
		return data
	}
	out := make([]byte, 0, len(data)+16)
	for len(data) > size {
		n := 0
		for _, b := range data[:size] {
			n = n<<8 | int(b)
		}
		data = data[size:]
		if n > len(data) {
			break
		}
		out = binary.BigEndian.AppendUint32(out, uint32(n))
		out = append(out, data[:n]...)
		data = data[n:]
	}
	return out
}

// avcConfig reads an AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1).
func avcConfig(b []byte) (params [][]byte, lengthSize int, err error) {
	bad := errors.New("H.264 configuration is cut short")
	if len(b) < 7 || len(b) > maxParams {
		return nil, 0, bad
	}
	lengthSize = int(b[4]&3) + 1
	counts := []int{int(b[5] & 31)}
	rest := b[6:]
	for i := 0; i < len(counts); i++ {
		for range counts[i] {
			if len(rest) < 2 {
				return nil, 0, bad
			}
			n := int(binary.BigEndian.Uint16(rest))
			if n == 0 || len(rest) < 2+n {
				return nil, 0, bad
			}
			params, rest = append(params, rest[2:2+n]), rest[2+n:]
		}
		if i == 0 { // picture parameter sets follow the sequence parameter sets
			if len(rest) < 1 {
				return nil, 0, bad
			}
			counts, rest = append(counts, int(rest[0])), rest[1:]
		}
	}
	return params, lengthSize, nil
}

// hevcConfig reads an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15, 8.3.3.1).
func hevcConfig(b []byte) (params [][]byte, lengthSize int, err error) {
	bad := errors.New("H.265 configuration is cut short")
	if len(b) < 23 || len(b) > maxParams {
		return nil, 0, bad
	}
	lengthSize = int(b[21]&3) + 1
	arrays, rest := int(b[22]), b[23:]
	for range arrays {
		if len(rest) < 3 {
			return nil, 0, bad
		}
		kind, count := rest[0]&63, int(binary.BigEndian.Uint16(rest[1:]))
		rest = rest[3:]
		for range count {
			if len(rest) < 2 {
				return nil, 0, bad
			}
			n := int(binary.BigEndian.Uint16(rest))
			if n == 0 || len(rest) < 2+n {
				return nil, 0, bad
			}
			if kind >= 32 && kind <= 34 { // not SEI
				params = append(params, rest[2:2+n])
			}
			rest = rest[2+n:]
		}
	}
	return params, lengthSize, nil
}

// regroup makes frames of 20 ms out of G.711 samples, which containers hold in
// runs of any length.
func (t *track) regroup() {
	var all []byte
	for _, u := range t.units {
		all = append(all, u.data...)
	}
	channels := max(1, t.format.Channels)
	step := int64(t.format.ClockRate / 50)
	size := int(step) * channels
	t.units = nil
	if size == 0 {
		return
	}
	for i := int64(0); len(all) >= size; i++ {
		t.units = append(t.units, unit{dts: i * step, pts: i * step, key: true, data: all[:size]})
		all = all[size:]
	}
	t.dur = int64(len(t.units)) * step
}

// rescale converts the times of a track from one clock to that of its format.
func (t *track) rescale(from int64) {
	to := int64(t.format.ClockRate)
	if from == to || from <= 0 {
		return
	}
	for i := range t.units {
		t.units[i].dts = scale(t.units[i].dts, to, from)
		t.units[i].pts = scale(t.units[i].pts, to, from)
	}
	t.dur = scale(t.dur, to, from)
}

// scale is v*to/from without overflow for what fits in 63 bits, rounded.
func scale(v, to, from int64) int64 {
	return v/from*to + (v%from*to+from/2)/from
}

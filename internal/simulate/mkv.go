package simulate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/watchward/watchward/internal/media"
)

// Elements of Matroska that matter here (RFC 9559, 5).
const (
	mkvSegment     = 0x18538067
	mkvInfo        = 0x1549a966
	mkvScale       = 0x2ad7b1
	mkvTracks      = 0x1654ae6b
	mkvEntry       = 0xae
	mkvNumber      = 0xd7
	mkvCodecID     = 0x86
	mkvPrivate     = 0x63a2
	mkvDefault     = 0x23e383
	mkvVideo       = 0xe0
	mkvWidth       = 0xb0
	mkvHeight      = 0xba
	mkvAudio       = 0xe1
	mkvRate        = 0xb5
	mkvChannels    = 0x9f
	mkvCluster     = 0x1f43b675
	mkvTime        = 0xe7
	mkvSimpleBlock = 0xa3
	mkvBlockGroup  = 0xa0
	mkvBlock       = 0xa1
	mkvReference   = 0xfb
)

// mkvTrack is what a TrackEntry says.
type mkvTrack struct {
	track
	number        uint64
	codec         string
	private       []byte
	width, height int
	rate          float64
	channels      int
	frame         int64 // duration of a frame in ns, 0 unknown
	lengthSize    int
}

// mkvFile is the state of reading a file.
type mkvFile struct {
	tracks  []*mkvTrack
	scale   int64 // ns in a tick
	cluster int64 // ticks
	units   int
}

// demuxMKV reads Matroska and WebM (RFC 8794, RFC 9559). Encrypted,
// compressed and laced blocks are refused or, if laced by equal sizes, split.
func demuxMKV(data []byte) ([]*track, error) {
	f := &mkvFile{scale: 1_000_000}
	err := f.walk(data, 0)
	if err != nil && (!errors.Is(err, errShort) || len(f.tracks) == 0) {
		return nil, err
	}
	var out []*track
	for _, t := range f.tracks {
		if t.format == nil || len(t.units) == 0 {
			continue
		}
		t.finish()
		out = append(out, &t.track)
	}
	return out, nil
}

// element reads the head of one element: its id, where its body begins in b,
// and how long that is; what says "unknown" reaches to the end.
func element(b []byte) (id uint64, head, size int, err error) {
	n := vintLength(b, 4)
	if n == 0 {
		return 0, 0, 0, errShort
	}
	for _, c := range b[:n] {
		id = id<<8 | uint64(c)
	}
	m := vintLength(b[n:], 8)
	if m == 0 {
		return 0, 0, 0, errShort
	}
	v := vint(b[n : n+m])
	head = n + m
	if v == 1<<(7*m)-1 {
		v = uint64(len(b) - head)
	}
	if v > uint64(len(b)-head) {
		return id, head, len(b) - head, errShort
	}
	return id, head, int(v), nil
}

// vintLength is the length of the variable-size number at the start of b, or 0.
func vintLength(b []byte, most int) int {
	for n := 1; n <= most && n <= len(b); n++ {
		if b[0]&(0x80>>(n-1)) != 0 {
			return n
		}
	}
	return 0
}

// vint is the value of a variable-size number without its length marker.
func vint(b []byte) uint64 {
	v := uint64(b[0]) & (0xff >> len(b))
	for _, c := range b[1:] {
		v = v<<8 | uint64(c)
	}
	return v
}

func mkvUint(b []byte) uint64 {
	if len(b) > 8 {
		return 0
	}
	var v uint64
	for _, c := range b {
		v = v<<8 | uint64(c)
	}
	return v
}

func (f *mkvFile) walk(b []byte, depth int) error {
	for len(b) > 0 {
		id, head, size, err := element(b)
		if err != nil && id != mkvSegment && id != mkvCluster {
			return err
		}
		body := b[head : head+size]
		b = b[head+size:]
		switch id {
		case mkvSegment, mkvInfo, mkvTracks, mkvCluster:
			if depth > 3 {
				return errors.New("elements nested too deep")
			}
			// A file that was cut off ends in the middle of its cluster.
			if err := f.walk(body, depth+1); err != nil {
				return err
			}
		case mkvScale:
			if f.scale = int64(mkvUint(body)); f.scale <= 0 || f.scale > 1e9 {
				return errors.New("time scale out of range")
			}
		case mkvEntry:
			if len(f.tracks) == 16 {
				return errors.New("more than 16 tracks")
			}
			t := &mkvTrack{rate: 8000, channels: 1}
			if err := t.entry(body, 0); err != nil {
				return err
			}
			if err := t.describe(); err != nil {
				return fmt.Errorf("track %d: %w", t.number, err)
			}
			f.tracks = append(f.tracks, t)
		case mkvTime:
			f.cluster = int64(mkvUint(body) & (1<<40 - 1))
		case mkvSimpleBlock:
			if err := f.block(body, len(body) > 3 && body[3]&0x80 != 0); err != nil {
				return err
			}
		case mkvBlockGroup:
			if err := f.group(body); err != nil {
				return err
			}
		}
	}
	return nil
}

// group reads a BlockGroup: a block without a reference is a keyframe.
func (f *mkvFile) group(b []byte) error {
	var block []byte
	key := true
	for len(b) > 0 {
		id, head, size, err := element(b)
		if err != nil {
			return err
		}
		switch id {
		case mkvBlock:
			block = b[head : head+size]
		case mkvReference:
			key = false
		}
		b = b[head+size:]
	}
	if block == nil {
		return nil
	}
	return f.block(block, key)
}

func (f *mkvFile) block(b []byte, key bool) error {
	n := vintLength(b, 8)
	if n == 0 || len(b) < n+3 {
		return errShort
	}
	number := vint(b[:n])
	at := f.cluster + int64(int16(binary.BigEndian.Uint16(b[n:])))
	lacing, data := b[n+2]>>1&3, b[n+3:]
	i := slices.IndexFunc(f.tracks, func(t *mkvTrack) bool { return t.number == number })
	if i < 0 || f.tracks[i].format == nil {
		return nil
	}
	t := f.tracks[i]
	frames := [][]byte{data}
	switch lacing {
	case 0:
	case 2: // fixed size
		if len(data) < 1 || (len(data)-1)%(int(data[0])+1) != 0 {
			return errShort
		}
		frames = slices.Collect(slices.Chunk(data[1:], max(1, (len(data)-1)/(int(data[0])+1))))
	default:
		return errors.New("laced blocks: remux the file, for example with ffmpeg -c copy")
	}
	for i, d := range frames {
		if len(d) == 0 || len(d) > maxUnit {
			continue
		}
		if f.units++; f.units > maxUnits {
			return fmt.Errorf("more than %d frames", maxUnits)
		}
		ns := at*f.scale + int64(i)*t.frame
		t.units = append(t.units, unit{pts: ns, key: key || !t.format.Codec.Video(), data: d})
	}
	return nil
}

func (t *mkvTrack) entry(b []byte, depth int) error {
	for len(b) > 0 {
		id, head, size, err := element(b)
		if err != nil {
			return err
		}
		body := b[head : head+size]
		b = b[head+size:]
		switch id {
		case mkvNumber:
			t.number = mkvUint(body)
		case mkvCodecID:
			t.codec = string(body[:min(len(body), 32)])
		case mkvPrivate:
			t.private = body[:min(len(body), maxParams)]
		case mkvDefault:
			t.frame = int64(min(mkvUint(body), 10e9))
		case mkvVideo, mkvAudio:
			if depth > 0 {
				return errors.New("elements nested too deep")
			}
			if err := t.entry(body, 1); err != nil {
				return err
			}
		case mkvWidth:
			t.width = int(min(mkvUint(body), 1<<16))
		case mkvHeight:
			t.height = int(min(mkvUint(body), 1<<16))
		case mkvChannels:
			t.channels = int(min(mkvUint(body), 8))
		case mkvRate:
			switch len(body) {
			case 4:
				t.rate = float64(math.Float32frombits(binary.BigEndian.Uint32(body)))
			case 8:
				t.rate = math.Float64frombits(binary.BigEndian.Uint64(body))
			}
		}
	}
	return nil
}

// describe makes the format; a codec we do not know leaves it nil.
func (t *mkvTrack) describe() (err error) {
	if !(t.rate >= 1 && t.rate <= 384000) {
		return fmt.Errorf("sample rate %v out of range", t.rate)
	}
	video := &media.Format{ClockRate: 90000, Width: t.width, Height: t.height}
	audio := &media.Format{ClockRate: int(t.rate), SampleRate: int(t.rate), Channels: t.channels}
	switch t.codec {
	case "V_MPEG4/ISO/AVC":
		video.Codec, t.format = media.H264, video
		video.ParameterSets, t.lengthSize, err = avcConfig(t.private)
	case "V_MPEGH/ISO/HEVC":
		video.Codec, t.format = media.H265, video
		video.ParameterSets, t.lengthSize, err = hevcConfig(t.private)
	case "V_MJPEG":
		video.Codec, t.format = media.MJPEG, video
	case "A_AAC":
		audio.Codec, audio.Config, t.format = media.AAC, t.private, audio
	case "A_OPUS":
		audio.Codec, audio.ClockRate, audio.SampleRate, t.format = media.Opus, 48000, 48000, audio
	case "A_MS/ACM": // a WAVEFORMATEX
		if len(t.private) < 16 {
			return nil
		}
		t.format = waveFormat(t.private)
	}
	return err
}

// waveFormat reads the head of a WAVEFORMATEX; nil for what is not G.711.
func waveFormat(b []byte) *media.Format {
	if len(b) < 16 {
		return nil
	}
	f := &media.Format{
		Channels:   int(binary.LittleEndian.Uint16(b[2:])),
		SampleRate: int(binary.LittleEndian.Uint32(b[4:])),
	}
	f.ClockRate = f.SampleRate
	switch binary.LittleEndian.Uint16(b) {
	case 6:
		f.Codec = media.PCMA
	case 7:
		f.Codec = media.PCMU
	default:
		return nil
	}
	if f.Channels < 1 || f.Channels > 8 || f.SampleRate < 1000 || f.SampleRate > 192000 {
		return nil
	}
	return f
}

// finish gives frames their decoding times: a file of this kind knows only
// when they are shown, and in order of decoding the times of showing, sorted,
// are the times of decoding.
func (t *mkvTrack) finish() {
	switch t.format.Codec {
	case media.PCMU, media.PCMA:
		t.regroup()
		return
	case media.AAC:
		t.audioTimes(1024)
		return
	case media.H264, media.H265:
		for i := range t.units {
			t.units[i].data = fourByteLengths(t.units[i].data, t.lengthSize)
		}
	}
	t.snap()
	shown := make([]int64, len(t.units))
	for i, u := range t.units {
		shown[i] = u.pts
	}
	slices.Sort(shown)
	for i := range t.units {
		t.units[i].dts = shown[i]
	}
	last := shown[len(shown)-1]
	step := t.frame
	if step == 0 && len(shown) > 1 {
		step = (last - shown[0]) / int64(len(shown)-1)
	}
	t.dur = last + max(step, 1_000_000)
	t.rescale(1e9)
}

// snap undoes the rounding to whole milliseconds where the file says how long
// a frame lasts and every time is near a multiple of that.
func (t *mkvTrack) snap() {
	if t.frame < 1_000_000 {
		return
	}
	first := t.units[0].pts
	near := func(ns int64) int64 { return (ns - first + t.frame/2) / t.frame * t.frame }
	for _, u := range t.units {
		if d := u.pts - first - near(u.pts); d < -2_000_000 || d > 2_000_000 {
			return
		}
	}
	for i := range t.units {
		t.units[i].pts = near(t.units[i].pts)
	}
}

// audioTimes counts frames of n samples instead of trusting times in whole
// milliseconds.
func (t *mkvTrack) audioTimes(n int64) {
	for i := range t.units {
		t.units[i].dts, t.units[i].pts = int64(i)*n, int64(i)*n
	}
	t.dur = int64(len(t.units)) * n
}

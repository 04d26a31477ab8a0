package fmp4

import (
	"encoding/binary"
	"fmt"

	"github.com/watchward/watchward/internal/media"
	"github.com/watchward/watchward/internal/media/h26x"
)

// fields reads big-endian numbers. Past the end it returns zeros and remembers
// that it did.
type fields struct {
	b   []byte
	bad bool
}

func (f *fields) take(n int) []byte {
	if n < 0 || n > len(f.b) {
		f.bad, f.b = true, nil
		return nil
	}
	p := f.b[:n]
	f.b = f.b[n:]
	return p
}

func (f *fields) skip(n int) { f.take(n) }

func (f *fields) u8() byte {
	if p := f.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (f *fields) u16() uint16 {
	if p := f.take(2); p != nil {
		return binary.BigEndian.Uint16(p)
	}
	return 0
}

func (f *fields) u32() uint32 {
	if p := f.take(4); p != nil {
		return binary.BigEndian.Uint32(p)
	}
	return 0
}

func (f *fields) u64() uint64 {
	if p := f.take(8); p != nil {
		return binary.BigEndian.Uint64(p)
	}
	return 0
}

// children calls fn for each box in body.
func children(body []byte, fn func(kind string, body []byte) error) error {
	for len(body) > 0 {
		if len(body) < 8 {
			return fmt.Errorf("%w: %d bytes after the last box", ErrFormat, len(body))
		}
		n := binary.BigEndian.Uint32(body)
		if n < 8 || uint64(n) > uint64(len(body)) {
			return fmt.Errorf("%w: box %q of %d bytes in %d", ErrFormat, body[4:8], n, len(body))
		}
		if err := fn(string(body[4:8]), body[8:n]); err != nil {
			return err
		}
		body = body[n:]
	}
	return nil
}

func (r *Reader) track(id uint32) *readTrack {
	for _, t := range r.tracks {
		if t.id == id {
			return t
		}
	}
	return nil
}

func (r *Reader) movie(body []byte) error {
	err := children(body, func(kind string, body []byte) error {
		if kind != "trak" {
			return nil
		}
		t, err := readTrak(body)
		if err != nil {
			return err
		}
		if t.id == 0 || t.id > maxTracks || r.track(t.id) != nil {
			return fmt.Errorf("%w: track id %d: want 1 to %d, each once", ErrFormat, t.id, maxTracks)
		}
		r.tracks = append(r.tracks, t)
		return nil
	})
	if err != nil {
		return err
	}
	if len(r.tracks) == 0 {
		return fmt.Errorf("%w: no tracks", ErrFormat)
	}
	return children(body, func(kind string, body []byte) error {
		if kind != "mvex" {
			return nil
		}
		return children(body, func(kind string, body []byte) error {
			f := fields{b: body}
			f.skip(4)
			if t := r.track(f.u32()); kind == "trex" && t != nil {
				f.skip(4)
				t.duration, t.bytes, t.flags = f.u32(), f.u32(), f.u32()
			}
			return nil
		})
	})
}

func readTrak(body []byte) (*readTrack, error) {
	t, clock := &readTrack{}, uint32(0)
	var walk func(kind string, body []byte) error
	walk = func(kind string, body []byte) error {
		f := fields{b: body}
		switch kind {
		case "tkhd":
			f.skip(12 + 8*int(body0(body)&1))
			t.id = f.u32()
		case "mdhd":
			f.skip(12 + 8*int(body0(body)&1))
			clock = f.u32()
		case "stsd":
			f.skip(8)
			return children(f.b, func(kind string, body []byte) error {
				if t.format == nil {
					t.format = readEntry(kind, body)
				}
				return nil
			})
		case "mdia", "minf", "stbl":
			return children(body, walk)
		}
		return nil
	}
	if err := children(body, walk); err != nil {
		return nil, err
	}
	if t.format != nil {
		t.format.ClockRate = int(clock)
	}
	return t, nil
}

func body0(b []byte) byte {
	if len(b) == 0 {
		return 0
	}
	return b[0]
}

// readEntry turns a sample entry into a format, nil where it is none of ours.
func readEntry(kind string, body []byte) *media.Format {
	f := fields{b: body}
	switch kind {
	case "avc1", "avc3", "hvc1", "hev1", "mp4v", "jpeg":
		f.skip(24)
		m := &media.Format{Width: int(f.u16()), Height: int(f.u16())}
		f.skip(50)
		return readConfig(m, kind, f.b)
	case "mp4a", "Opus", "ulaw", "alaw":
		f.skip(16)
		m := &media.Format{Channels: int(f.u16())}
		f.skip(6)
		m.SampleRate = int(f.u32() >> 16)
		return readConfig(m, kind, f.b)
	}
	return nil
}

func readConfig(m *media.Format, kind string, boxes []byte) *media.Format {
	switch kind {
	case "ulaw":
		m.Codec = media.PCMU
	case "alaw":
		m.Codec = media.PCMA
	case "jpeg": // QuickTime's
		m.Codec = media.MJPEG
	case "Opus":
		m.Codec, m.SampleRate = media.Opus, 48000
	}
	_ = children(boxes, func(kind string, body []byte) error { // what cannot be read leaves the codec unknown
		switch kind {
		case "avcC":
			m.Codec, m.ParameterSets = media.H264, readAvcC(body)
		case "hvcC":
			m.Codec, m.ParameterSets = media.H265, readHvcC(body)
		case "esds":
			readEsds(m, body)
		}
		return nil
	})
	if m.Codec == 0 {
		return nil
	}
	return m
}

func readSets(f *fields, n int) (out [][]byte) {
	for range n {
		if p := f.take(int(f.u16())); len(p) > 0 {
			out = append(out, p)
		}
	}
	return out
}

func readAvcC(body []byte) (out [][]byte) {
	f := fields{b: body}
	f.skip(5)
	out = readSets(&f, int(f.u8()&31))
	return append(out, readSets(&f, int(f.u8()))...)
}

func readHvcC(body []byte) (out [][]byte) {
	f := fields{b: body}
	f.skip(22)
	for range f.u8() {
		t := int(f.u8() & 0x3f)
		nals := readSets(&f, int(f.u16()))
		if t == h26x.VPS265 || t == h26x.SPS265 || t == h26x.PPS265 {
			out = append(out, nals...)
		}
	}
	return out
}

// readEsds finds the object type and the decoder's configuration.
func readEsds(m *media.Format, body []byte) {
	f := fields{b: body}
	f.skip(4)
	for !f.bad && len(f.b) > 0 {
		tag, n := f.u8(), 0
		for range 4 { // sizes come in groups of seven bits
			c := f.u8()
			n = n<<7 | int(c&0x7f)
			if c&0x80 == 0 {
				break
			}
		}
		switch tag {
		case 3:
			f.skip(3)
		case 4:
			if kind := f.u8(); kind == 0x6c {
				m.Codec = media.MJPEG
			} else if kind == 0x40 {
				m.Codec = media.AAC
			}
			f.skip(12)
		case 5:
			m.Config = f.take(n)
		default:
			f.skip(n)
		}
	}
}

// fragment reads a moof's body.
func (r *Reader) fragment(p *Part, body []byte, data topBox) error {
	return children(body, func(kind string, body []byte) error {
		switch kind {
		case "mfhd":
			f := fields{b: body}
			f.skip(4)
			p.Sequence = f.u32()
		case "traf":
			return r.readTraf(p, body, data)
		}
		return nil
	})
}

// traf is what a track fragment says before its runs.
type traf struct {
	track                  *readTrack
	base                   int64
	duration, bytes, flags uint32
	next                   int64 // where the next run's data begins unless it says so
}

func (r *Reader) readTraf(p *Part, body []byte, data topBox) error {
	var t traf
	return children(body, func(kind string, body []byte) error {
		f := fields{b: body}
		switch kind {
		case "tfhd":
			flags := f.u32() & 0xffffff
			track := r.track(f.u32())
			if track == nil {
				return fmt.Errorf("%w: part of an unknown track", ErrFormat)
			}
			t = traf{track: track, base: p.Offset, duration: track.duration, bytes: track.bytes, flags: track.flags}
			t.header(&f, flags)
			t.next = data.start + data.head
		case "tfdt":
			if t.track == nil {
				return fmt.Errorf("%w: tfdt before tfhd", ErrFormat)
			}
			if f.u32()>>24 == 1 {
				t.track.dts = int64(f.u64() & (1<<62 - 1))
			} else {
				t.track.dts = int64(f.u32())
			}
		case "trun":
			if t.track == nil {
				return fmt.Errorf("%w: trun before tfhd", ErrFormat)
			}
			return t.run(p, &f, data)
		}
		if f.bad {
			return fmt.Errorf("%w: %s ends early", ErrFormat, kind)
		}
		return nil
	})
}

func (t *traf) header(f *fields, flags uint32) {
	if flags&0x1 != 0 {
		t.base = int64(f.u64() & (1<<62 - 1))
	}
	if flags&0x2 != 0 {
		f.skip(4)
	}
	if flags&0x8 != 0 {
		t.duration = f.u32()
	}
	if flags&0x10 != 0 {
		t.bytes = f.u32()
	}
	if flags&0x20 != 0 {
		t.flags = f.u32()
	}
}

// run reads a trun (8.8.8).
func (t *traf) run(p *Part, f *fields, data topBox) error {
	flags, n := f.u32()&0xffffff, f.u32()
	if n > maxSamples || len(p.Samples)+int(n) > maxSamples {
		return fmt.Errorf("%w: %d samples in a part: want at most %d", ErrFormat, n, maxSamples)
	}
	if flags&0x1 != 0 {
		t.next = t.base + int64(int32(f.u32()))
	}
	first := t.flags
	if flags&0x4 != 0 {
		first = f.u32()
	}
	for i := range n {
		s := SampleInfo{Track: t.track.id, DTS: t.track.dts, PTS: t.track.dts, Duration: t.duration, Offset: t.next}
		bytes, kind := t.bytes, t.flags
		if i == 0 {
			kind = first
		}
		if flags&0x100 != 0 {
			s.Duration = f.u32()
		}
		if flags&0x200 != 0 {
			bytes = f.u32()
		}
		if flags&0x400 != 0 {
			kind = f.u32()
		}
		if flags&0x800 != 0 {
			s.PTS += int64(int32(f.u32()))
		}
		if f.bad {
			return fmt.Errorf("%w: trun ends early", ErrFormat)
		}
		s.Size, s.Key = int(bytes), kind&0x10000 == 0
		if s.Offset < data.start+data.head || s.Offset+int64(s.Size) > data.end {
			return fmt.Errorf("%w: sample outside its part", ErrFormat)
		}
		t.track.dts += int64(s.Duration)
		t.next += int64(s.Size)
		p.Samples = append(p.Samples, s)
	}
	return nil
}

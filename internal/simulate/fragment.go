package simulate

import (
	"encoding/binary"
	"fmt"
)

// readMoof adds the samples of one movie fragment (ISO/IEC 14496-12, 8.8) to
// its tracks. At is where the moof begins in data.
func readMoof(tracks []*mp4Track, b, data []byte, at int64) error {
	return eachBox(b, 0, func(kind string, traf []byte, _ int64) error {
		if kind != "traf" {
			return nil
		}
		f := fragment{base: at, data: data}
		return eachBox(traf, 0, func(kind string, body []byte, _ int64) error {
			switch kind {
			case "tfhd":
				return f.header(tracks, body)
			case "tfdt":
				return f.time(body)
			case "trun":
				return f.run(body)
			}
			return nil
		})
	})
}

// fragment is the state of reading one traf box.
type fragment struct {
	t                     *mp4Track
	base                  int64 // data offsets count from here
	at                    int64 // where the next sample lies
	data                  []byte
	duration, size, flags uint32
}

func (f *fragment) header(tracks []*mp4Track, b []byte) error {
	if len(b) < 8 {
		return errShort
	}
	flags, id := be32(b)&0xffffff, be32(b[4:])
	for _, t := range tracks {
		if t.id == id {
			f.t = t
		}
	}
	if f.t == nil {
		return nil
	}
	f.duration, f.size, f.flags = f.t.defaults[0], f.t.defaults[1], f.t.defaults[2]
	r := words{b: b[8:]}
	if flags&1 != 0 {
		f.base = int64(r.next())<<32 | int64(r.next())
	}
	if flags&2 != 0 {
		r.next()
	}
	for _, field := range []struct {
		bit uint32
		to  *uint32
	}{{8, &f.duration}, {16, &f.size}, {32, &f.flags}} {
		if flags&field.bit != 0 {
			*field.to = r.next()
		}
	}
	f.at = f.base
	return r.err
}

func (f *fragment) time(b []byte) error {
	if f.t == nil {
		return nil
	}
	switch {
	case len(b) >= 12 && b[0] == 1:
		f.t.next = int64(binary.BigEndian.Uint64(b[4:]) & (1<<62 - 1))
	case len(b) >= 8:
		f.t.next = int64(be32(b[4:]))
	default:
		return errShort
	}
	return nil
}

func (f *fragment) run(b []byte) error {
	if f.t == nil {
		return nil
	}
	if len(b) < 8 {
		return errShort
	}
	flags, count := be32(b)&0xffffff, int(be32(b[4:]))
	if count > maxUnits {
		return fmt.Errorf("more than %d frames", maxUnits)
	}
	r := words{b: b[8:]}
	if flags&1 != 0 {
		f.at = f.base + int64(int32(r.next()))
	}
	first, hasFirst := uint32(0), flags&4 != 0
	if hasFirst {
		first = r.next()
	}
	for i := range count {
		duration, size, sf := f.duration, f.size, f.flags
		if flags&0x100 != 0 {
			duration = r.next()
		}
		if flags&0x200 != 0 {
			size = r.next()
		}
		if flags&0x400 != 0 {
			sf = r.next()
		} else if i == 0 && hasFirst {
			sf = first
		}
		offset := int64(0)
		if flags&0x800 != 0 {
			offset = int64(int32(r.next()))
		}
		if r.err != nil {
			return r.err
		}
		if err := f.add(duration, size, sf, offset); err != nil {
			return err
		}
	}
	return nil
}

func (f *fragment) add(duration, size, flags uint32, offset int64) error {
	t := f.t
	if f.at < 0 || int64(size) > maxUnit || f.at > int64(len(f.data))-int64(size) {
		return errShort
	}
	if len(t.units) >= maxUnits {
		return fmt.Errorf("more than %d frames", maxUnits)
	}
	t.units = append(t.units, unit{
		dts: t.next, pts: t.next + offset, key: flags&0x10000 == 0, // sample_is_non_sync_sample
		data: f.data[f.at : f.at+int64(size)],
	})
	f.at += int64(size)
	t.next += int64(duration)
	t.dur = t.next
	return nil
}

// words reads 32-bit numbers until there are no more.
type words struct {
	b   []byte
	err error
}

func (w *words) next() uint32 {
	if len(w.b) < 4 {
		w.err = errShort
		return 0
	}
	v := be32(w.b)
	w.b = w.b[4:]
	return v
}

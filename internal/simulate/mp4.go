package simulate

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/watchward/watchward/internal/media"
)

var errShort = errors.New("file is cut short or damaged")

// mp4Track is what a trak box says.
type mp4Track struct {
	track
	id         uint32
	timescale  int64
	handler    string
	lengthSize int // of NAL units
	known      bool

	sizes    []uint32
	sameSize uint32
	count    int
	stts     [][2]uint32
	ctts     [][2]uint32
	chunks   []int64
	stsc     [][3]uint32
	sync     []uint32
	hasSync  bool

	defaults [3]uint32 // trex: duration, size, flags
	next     int64     // decode time of the next fragment's first sample
}

// demuxMP4 reads ISO base media files, whole or fragmented (ISO/IEC 14496-12).
func demuxMP4(data []byte) ([]*track, error) {
	var tracks []*mp4Track
	err := eachBox(data, 0, func(kind string, body []byte, at int64) error {
		switch kind {
		case "moov":
			if tracks != nil {
				return errors.New("two moov boxes")
			}
			var err error
			tracks, err = readMoov(body)
			return err
		case "moof":
			return readMoof(tracks, body, data, at)
		}
		return nil
	})
	// A recording that was cut off is still good for what came before.
	if err != nil && (!errors.Is(err, errShort) || len(tracks) == 0) {
		return nil, err
	}
	if len(tracks) == 0 {
		return nil, errors.New("no moov box: the file is incomplete")
	}
	var out []*track
	for _, t := range tracks {
		if !t.known {
			continue
		}
		if err := t.samples(data); err != nil {
			return nil, err
		}
		t.finish()
		out = append(out, &t.track)
	}
	return out, nil
}

// eachBox calls f for each box in b, with the offset of the box. A box that
// goes past the end ends the walk with errShort.
func eachBox(b []byte, base int64, f func(kind string, body []byte, at int64) error) error {
	for at := int64(0); at < int64(len(b)); {
		rest := b[at:]
		if len(rest) < 8 {
			return errShort
		}
		size, head := int64(binary.BigEndian.Uint32(rest)), int64(8)
		switch size {
		case 0:
			size = int64(len(rest))
		case 1:
			if len(rest) < 16 {
				return errShort
			}
			size, head = int64(binary.BigEndian.Uint64(rest[8:])), 16
		}
		if size < head || size > int64(len(rest)) {
			return errShort
		}
		if err := f(string(rest[4:8]), rest[head:size], base+at); err != nil {
			return err
		}
		at += size
	}
	return nil
}

func readMoov(b []byte) ([]*mp4Track, error) {
	var tracks []*mp4Track
	trex := map[uint32][3]uint32{}
	err := eachBox(b, 0, func(kind string, body []byte, _ int64) error {
		switch kind {
		case "trak":
			if len(tracks) == 16 {
				return errors.New("more than 16 tracks")
			}
			t := &mp4Track{timescale: 1}
			if err := t.readBox(body); err != nil {
				return err
			}
			tracks = append(tracks, t)
		case "mvex":
			return eachBox(body, 0, func(kind string, b []byte, _ int64) error {
				if kind == "trex" && len(b) >= 24 {
					trex[be32(b[4:])] = [3]uint32{be32(b[12:]), be32(b[16:]), be32(b[20:])}
				}
				return nil
			})
		}
		return nil
	})
	for _, t := range tracks {
		t.defaults = trex[t.id]
	}
	return tracks, err
}

func be32(b []byte) uint32 { return binary.BigEndian.Uint32(b) }

// readBox walks a trak box and what is nested in it.
func (t *mp4Track) readBox(b []byte) error {
	return eachBox(b, 0, func(kind string, body []byte, _ int64) error {
		switch kind {
		case "mdia", "minf", "stbl":
			return t.readBox(body)
		case "tkhd":
			return t.readHeader(body)
		case "mdhd":
			if len(body) < 24 {
				return errShort
			}
			t.timescale = int64(be32(body[12:]))
			if body[0] == 1 {
				t.timescale = int64(be32(body[20:]))
			}
			if t.timescale == 0 {
				return errors.New("track with a time scale of 0")
			}
		case "hdlr":
			if len(body) >= 12 {
				t.handler = string(body[8:12])
			}
		case "stsd":
			if len(body) < 16 {
				return errShort
			}
			return eachBox(body[8:], 0, func(kind string, entry []byte, _ int64) error {
				if t.format != nil || t.known {
					return nil // the first description is the one we take
				}
				return t.readEntry(kind, entry)
			})
		default:
			return t.readTable(kind, body)
		}
		return nil
	})
}

func (t *mp4Track) readHeader(b []byte) error {
	at := 12
	if len(b) > 0 && b[0] == 1 {
		at = 20
	}
	if len(b) < at+4 {
		return errShort
	}
	t.id = be32(b[at:])
	return nil
}

// readTable reads the sample tables (ISO/IEC 14496-12, 8.6 and 8.7).
func (t *mp4Track) readTable(kind string, b []byte) error {
	switch kind {
	case "stsz":
		if len(b) < 12 {
			return errShort
		}
		t.sameSize, t.count = be32(b[4:]), int(be32(b[8:]))
		if t.count > maxUnits && t.sameSize != 1 || t.count > maxFile {
			return fmt.Errorf("more than %d frames", maxUnits)
		}
		if t.sameSize == 0 {
			rows, err := table(b[4:], 1)
			for _, r := range rows {
				t.sizes = append(t.sizes, r[0])
			}
			return err
		}
	case "stts", "ctts":
		rows, err := table(b, 2)
		for _, r := range rows {
			pair := [2]uint32{r[0], r[1]}
			if kind == "stts" {
				t.stts = append(t.stts, pair)
			} else {
				t.ctts = append(t.ctts, pair)
			}
		}
		return err
	case "stsc":
		rows, err := table(b, 3)
		for _, r := range rows {
			t.stsc = append(t.stsc, [3]uint32{r[0], r[1], r[2]})
		}
		return err
	case "stss":
		rows, err := table(b, 1)
		t.hasSync = true
		for _, r := range rows {
			t.sync = append(t.sync, r[0])
		}
		return err
	case "stco", "co64":
		width := 1
		if kind == "co64" {
			width = 2
		}
		rows, err := table(b, width)
		for _, r := range rows {
			at := int64(r[0])
			if width == 2 {
				at = at<<32 | int64(r[1])
			}
			t.chunks = append(t.chunks, at)
		}
		return err
	}
	return nil
}

// table reads a full box of a count and rows of n 32-bit words.
func table(b []byte, n int) ([][]uint32, error) {
	if len(b) < 8 {
		return nil, errShort
	}
	count := int(be32(b[4:]))
	if count > maxUnits {
		return nil, fmt.Errorf("table of %d rows: want at most %d", count, maxUnits)
	}
	if len(b)-8 < count*n*4 {
		return nil, errShort
	}
	words := make([]uint32, count*n)
	for i := range words {
		words[i] = be32(b[8+i*4:])
	}
	rows := make([][]uint32, count)
	for i := range rows {
		rows[i] = words[i*n : i*n+n]
	}
	return rows, nil
}

// readEntry reads a sample entry: how the samples are coded.
func (t *mp4Track) readEntry(kind string, b []byte) error {
	f := &media.Format{}
	switch kind {
	case "avc1", "avc3", "hvc1", "hev1", "jpeg", "mjpg", "mp4v":
		if len(b) < 78 {
			return errShort
		}
		f.ClockRate = 90000
		f.Width, f.Height = int(binary.BigEndian.Uint16(b[24:])), int(binary.BigEndian.Uint16(b[26:]))
		f.Codec = media.MJPEG
		t.known = kind == "jpeg" || kind == "mjpg"
		t.format = f
		return t.readConfig(b[78:])
	case "mp4a", "ulaw", "alaw", "Opus":
		if len(b) < 28 {
			return errShort
		}
		f.Channels = int(binary.BigEndian.Uint16(b[16:]))
		f.SampleRate = int(be32(b[24:]) >> 16)
		head := 28
		if v := binary.BigEndian.Uint16(b[8:]); v == 1 { // QuickTime
			head += 16
		}
		if len(b) < head {
			return errShort
		}
		switch kind {
		case "ulaw":
			f.Codec, t.known = media.PCMU, true
		case "alaw":
			f.Codec, t.known = media.PCMA, true
		case "Opus":
			f.Codec, f.SampleRate, t.known = media.Opus, 48000, true
		}
		f.ClockRate = f.SampleRate
		t.format = f
		return t.readConfig(b[head:])
	}
	return nil
}

// readConfig reads the boxes inside a sample entry.
func (t *mp4Track) readConfig(b []byte) error {
	f := t.format
	err := eachBox(b, 0, func(kind string, body []byte, _ int64) (err error) {
		switch kind {
		case "avcC":
			f.Codec, t.known = media.H264, true
			f.ParameterSets, t.lengthSize, err = avcConfig(body)
		case "hvcC":
			f.Codec, t.known = media.H265, true
			f.ParameterSets, t.lengthSize, err = hevcConfig(body)
		case "esds":
			t.readESDS(body)
		case "wave": // QuickTime keeps esds one deeper
			return t.readConfig(body)
		}
		return err
	})
	if errors.Is(err, errShort) { // some writers leave four zero bytes here
		return nil
	}
	return err
}

// readESDS finds the object type and the AudioSpecificConfig in an ES
// descriptor (ISO/IEC 14496-1, 7.2.6.5).
func (t *mp4Track) readESDS(b []byte) {
	if len(b) < 4 {
		return
	}
	for rest := b[4:]; len(rest) > 2; {
		tag := rest[0]
		n, head := 0, 1
		for head < len(rest) && head < 5 {
			c := rest[head]
			n = n<<7 | int(c&0x7f)
			head++
			if c < 0x80 {
				break
			}
		}
		body := rest[head:]
		if n > len(body) {
			return
		}
		switch tag {
		case 3: // ES: id, flags, then nested descriptors
			if n < 3 {
				return
			}
			skip := 3
			if body[2]&0x80 != 0 {
				skip += 2
			}
			if body[2]&0x20 != 0 {
				skip += 2
			}
			if skip > n {
				return
			}
			rest = body[skip:]
		case 4: // decoder configuration
			if n < 13 {
				return
			}
			switch body[0] {
			case 0x40:
				t.format.Codec, t.known = media.AAC, true
			case 0x6c:
				t.format.Codec, t.known = media.MJPEG, true
			}
			rest = body[13:]
		case 5:
			if t.format.Codec == media.AAC {
				t.format.Config = body[:min(n, 64)]
			}
			return
		default:
			rest = body[n:]
		}
	}
}

// samples turns the tables into frames. Frames of fragments are there already.
func (t *mp4Track) samples(data []byte) error {
	times, offsets := &runs{rows: t.stts}, &runs{rows: t.ctts}
	count := t.count
	if t.sameSize == 0 {
		count = len(t.sizes)
	}
	n, dts := 0, int64(0)
	for chunk, at := range t.chunks {
		for range t.inChunk(chunk + 1) {
			if n >= count {
				return nil
			}
			size := int64(t.sameSize)
			if t.sameSize == 0 {
				size = int64(t.sizes[n])
			}
			if at < 0 || size > maxUnit || at+size > int64(len(data)) {
				return errShort
			}
			u := unit{dts: dts, pts: dts + int64(int32(offsets.next())), key: !t.hasSync, data: data[at : at+size]}
			if len(t.units) > maxUnits {
				// One byte a frame, as QuickTime does for G.711: join them.
				return fmt.Errorf("more than %d frames", maxUnits)
			}
			t.units = append(t.units, u)
			dts += int64(times.next())
			at += size
			n++
		}
	}
	for _, s := range t.sync {
		if s >= 1 && int(s) <= len(t.units) {
			t.units[s-1].key = true
		}
	}
	if n > 0 {
		t.dur = dts
	}
	return nil
}

// inChunk is the number of samples in a chunk, counted from 1.
func (t *mp4Track) inChunk(chunk int) int {
	for len(t.stsc) > 1 && int(t.stsc[1][0]) <= chunk {
		t.stsc = t.stsc[1:]
	}
	if len(t.stsc) == 0 {
		return 0
	}
	return int(min(t.stsc[0][1], maxFile))
}

// runs walks a table of (count, value).
type runs struct {
	rows [][2]uint32
	used uint32
}

func (r *runs) next() uint32 {
	for len(r.rows) > 0 && r.used >= r.rows[0][0] {
		r.rows, r.used = r.rows[1:], 0
	}
	if len(r.rows) == 0 {
		return 0
	}
	r.used++
	return r.rows[0][1]
}

// finish brings a track to the clock and the frame form of the town.
func (t *mp4Track) finish() {
	if t.format.Codec == media.PCMU || t.format.Codec == media.PCMA {
		t.regroup()
		return
	}
	if t.format.Codec == media.H264 || t.format.Codec == media.H265 {
		for i := range t.units {
			t.units[i].data = fourByteLengths(t.units[i].data, t.lengthSize)
		}
	}
	t.rescale(t.timescale)
}

package simulate

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/watchward/watchward/internal/media"
)

// demuxAVI reads Motion JPEG and G.711 from AVI files, the form in which many
// cameras and cutting programs leave them. Other codecs are passed over.
func demuxAVI(data []byte) ([]*track, error) {
	f := &aviFile{}
	err := f.walk(data[12:], 0)
	if err != nil && !errors.Is(err, errShort) {
		return nil, err
	}
	var out []*track
	for _, t := range f.tracks {
		if t.format == nil || len(t.units) == 0 {
			continue
		}
		if t.format.Codec == media.MJPEG {
			t.dur = int64(len(t.units)) * t.step
			t.rescale(t.unitsPerSecond)
		} else {
			t.regroup()
		}
		out = append(out, &t.track)
	}
	return out, nil
}

type aviTrack struct {
	track
	step, unitsPerSecond int64 // a frame lasts step/unitsPerSecond seconds
}

type aviFile struct {
	tracks []*aviTrack
	units  int
}

func (f *aviFile) walk(b []byte, depth int) error {
	for len(b) >= 8 {
		id, size := string(b[:4]), int64(binary.LittleEndian.Uint32(b[4:]))
		if size > int64(len(b)-8) {
			return errShort
		}
		body := b[8 : 8+size]
		b = b[min(int64(len(b)), 8+size+size%2):]
		var err error
		switch id {
		case "LIST":
			if len(body) >= 4 && depth < 4 {
				err = f.walk(body[4:], depth+1)
			}
		case "strh":
			err = f.header(body)
		case "strf":
			f.format(body)
		default:
			err = f.chunk(id, body)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *aviFile) header(b []byte) error {
	if len(b) < 28 {
		return errShort
	}
	if len(f.tracks) == 16 {
		return errors.New("more than 16 tracks")
	}
	t := &aviTrack{
		step:           int64(binary.LittleEndian.Uint32(b[20:])),
		unitsPerSecond: int64(binary.LittleEndian.Uint32(b[24:])),
	}
	if t.step < 1 || t.unitsPerSecond < 1 || t.unitsPerSecond/t.step > 1000 && string(b[:4]) == "vids" {
		return errors.New("frame rate out of range")
	}
	f.tracks = append(f.tracks, t)
	return nil
}

func (f *aviFile) format(b []byte) {
	if len(f.tracks) == 0 {
		return
	}
	t := f.tracks[len(f.tracks)-1]
	switch {
	case len(b) >= 40 && string(b[16:20]) == "MJPG":
		t.format = &media.Format{
			Codec: media.MJPEG, ClockRate: 90000,
			Width: int(binary.LittleEndian.Uint16(b[4:])), Height: int(binary.LittleEndian.Uint16(b[8:])),
		}
	case len(b) < 40:
		t.format = waveFormat(b)
	}
}

// chunk takes one chunk of the movie: two digits of the track, then a kind.
func (f *aviFile) chunk(id string, body []byte) error {
	n := int(id[0]-'0')*10 + int(id[1]-'0')
	if id[0] < '0' || id[0] > '9' || id[1] < '0' || id[1] > '9' || n >= len(f.tracks) || len(body) == 0 {
		return nil
	}
	t := f.tracks[n]
	if t.format == nil {
		return nil
	}
	if f.units++; f.units > maxUnits {
		return fmt.Errorf("more than %d frames", maxUnits)
	}
	if len(body) > maxUnit {
		return fmt.Errorf("frame of %d bytes: too large", len(body))
	}
	at := int64(len(t.units)) * t.step
	t.units = append(t.units, unit{dts: at, pts: at, key: true, data: body})
	return nil
}

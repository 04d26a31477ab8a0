package fmp4

import (
	"fmt"

	"github.com/watchward/watchward/internal/media"
	"github.com/watchward/watchward/internal/media/h26x"
)

// Init is the header of a file with these tracks: ftyp and moov (8.2).
func Init(tracks []*media.Format) ([]byte, error) {
	if len(tracks) == 0 || len(tracks) > maxTracks {
		return nil, fmt.Errorf("header for %d tracks: want 1 to %d", len(tracks), maxTracks)
	}
	moov := [][]byte{movieHeader(len(tracks))}
	var extends []byte
	for i, f := range tracks {
		if f == nil || f.ClockRate <= 0 {
			return nil, fmt.Errorf("track %d: no format or no clock rate", i+1)
		}
		trak, err := track(uint32(i+1), f)
		if err != nil {
			return nil, fmt.Errorf("track %d: %w", i+1, err)
		}
		moov = append(moov, trak)
		// Defaults of a sample: description 1; duration, size and flags come with each part.
		extends = append(extends, full("trex", 0, 0, u32(nil, uint32(i+1), 1, 0, 0, 0))...)
	}
	ftyp := box("ftyp", []byte("iso6"), u32(nil, 0), []byte("iso6mp41"))
	return append(ftyp, box("moov", append(moov, box("mvex", extends))...)...), nil
}

// zeros is a run of reserved bytes.
func zeros(n int) []byte { return make([]byte, n) }

// matrix is the transformation that changes nothing (8.2.2).
func matrix() []byte { return u32(nil, 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000) }

func movieHeader(tracks int) []byte {
	return full("mvhd", 0, 0, u32(nil, 0, 0, 1000, 0), u32(nil, 0x10000), u16(nil, 0x100, 0), zeros(8),
		matrix(), zeros(24), u32(nil, uint32(tracks+1)))
}

func track(id uint32, f *media.Format) ([]byte, error) {
	entry, err := sampleEntry(f)
	if err != nil {
		return nil, err
	}
	handler, name, header := "soun", "audio\x00", full("smhd", 0, 0, zeros(4))
	volume, width, height := uint16(0x100), uint32(0), uint32(0)
	if f.Codec.Video() {
		handler, name, header = "vide", "video\x00", full("vmhd", 0, 1, zeros(8))
		w, h := pictureSize(f)
		volume, width, height = 0, uint32(w)<<16, uint32(h)<<16
	}
	tkhd := full("tkhd", 0, 3, u32(nil, 0, 0, id, 0, 0), zeros(8), u16(nil, 0, 0, volume, 0), matrix(), u32(nil, width, height))
	stbl := box("stbl", full("stsd", 0, 0, u32(nil, 1), entry), full("stts", 0, 0, u32(nil, 0)),
		full("stsc", 0, 0, u32(nil, 0)), full("stsz", 0, 0, u32(nil, 0, 0)), full("stco", 0, 0, u32(nil, 0)))
	dinf := box("dinf", full("dref", 0, 0, u32(nil, 1), full("url ", 0, 1)))
	mdia := box("mdia",
		full("mdhd", 0, 0, u32(nil, 0, 0, uint32(f.ClockRate), 0), u16(nil, 0x55c4, 0)), // language "und"
		full("hdlr", 0, 0, u32(nil, 0), []byte(handler), zeros(12), []byte(name)),
		box("minf", header, dinf, stbl))
	return box("trak", tkhd, mdia), nil
}

// pictureSize trusts the parameter sets before the format's own fields.
func pictureSize(f *media.Format) (w, h int) {
	if i, err := h26x.ParseFormat(f); err == nil {
		return i.Width, i.Height
	}
	return min(max(f.Width, 0), 0xffff), min(max(f.Height, 0), 0xffff)
}

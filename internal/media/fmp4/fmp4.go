// Package fmp4 writes and reads fragmented MP4 (ISO/IEC 14496-12): one header,
// then parts of a moof and an mdat box, then an index of keyframes.
//
// A writer calls [Init] once, then for each part gathers samples in a
// [PartWriter], writes what [PartWriter.AppendPart] makes, and after it the Data of
// the samples themselves, which are never copied. [Mfra] ends the file. [Reader]
// walks such a file, whole or torn.
//
// Track n of a file (counted from 1) is index n-1 of the formats given to Init,
// its timescale the format's clock rate.
//
// # What hurts
//
// A part's samples lie track by track: all of the first track, then all of the
// second. Writing them in another order shifts every sample silently.
package fmp4

import (
	"encoding/binary"
	"errors"
)

// ErrFormat is what every refusal of bytes as MP4 wraps.
var ErrFormat = errors.New("not a fragmented MP4 that can be read")

// Boxes are built front to back in one buffer: begin leaves room for the size,
// end fills it in.
func begin(b []byte, kind string) ([]byte, int) {
	return append(append(b, 0, 0, 0, 0), kind...), len(b)
}

func end(b []byte, at int) { binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at)) }

// box is a box around its parts, for headers, where copies do not matter.
func box(kind string, parts ...[]byte) []byte {
	b, at := begin(nil, kind)
	for _, p := range parts {
		b = append(b, p...)
	}
	end(b, at)
	return b
}

// full is a box with version and flags (4.2).
func full(kind string, version uint8, flags uint32, parts ...[]byte) []byte {
	return box(kind, append([][]byte{u32(nil, uint32(version)<<24|flags)}, parts...)...)
}

func u16(b []byte, vs ...uint16) []byte {
	for _, v := range vs {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return b
}

func u32(b []byte, vs ...uint32) []byte {
	for _, v := range vs {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

func u64(b []byte, vs ...uint64) []byte {
	for _, v := range vs {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return b
}

package fmp4

import (
	"encoding/binary"
	"fmt"
	"time"
)

// RandomAccess is a keyframe's entry in the index: the part that begins with it.
type RandomAccess struct {
	Track  uint32
	Time   uint64 // presentation time in the track's timescale
	Offset uint64 // of the part's moof box from the beginning of the file
}

// Mfra is the index that ends a file: movie fragment random access (8.8.9) with
// a table for each track and, last, its own size, so that it is found from the end.
// Entries of a track are in order of time.
func Mfra(entries []RandomAccess) []byte {
	b, mfra := begin(nil, "mfra")
	for id := uint32(1); id <= maxTracks; id++ {
		n := uint32(0)
		for _, e := range entries {
			if e.Track == id {
				n++
			}
		}
		if n == 0 {
			continue
		}
		var tfra int
		b, tfra = begin(b, "tfra")
		b = u32(b, 1<<24, id, 0, n) // numbers of one byte each
		for _, e := range entries {
			if e.Track == id {
				b = append(u64(b, e.Time, e.Offset), 1, 1, 1) // first sample of first run of first traf
			}
		}
		end(b, tfra)
	}
	b, mfro := begin(b, "mfro")
	b = u32(b, 0, uint32(len(b)-mfra+8))
	end(b, mfro)
	end(b, mfra)
	return b
}

// Free is a box of n bytes that players skip (8.1.2). It cannot be shorter than 8.
func Free(n int) []byte { return AppendFree(nil, n) }

// AppendFree appends a free box of n bytes to dst.
func AppendFree(dst []byte, n int) []byte {
	if n < 8 {
		panic(fmt.Sprintf("fmp4: free box of %d bytes: want at least 8", n))
	}
	at := len(dst)
	dst = append(dst, make([]byte, n)...)
	binary.BigEndian.PutUint32(dst[at:], uint32(n))
	copy(dst[at+4:], "free")
	return dst
}

// ntpEpoch is 1900-01-01, from which NTP counts, in Unix seconds.
const ntpEpoch = -2208988800

// PRFT is a producer reference time (8.16.5): the sample of the track whose media
// time this is was received at the given wall-clock time. Flag 8: the event that is
// timed is the same for all tracks and all along, but none of those the standard names.
func PRFT(track uint32, at time.Time, mediaTime uint64) []byte {
	return full("prft", 1, 8, u32(nil, track), u64(nil, ntp(at), mediaTime))
}

// ntp is a time as 32.32 seconds since 1900.
func ntp(t time.Time) uint64 {
	return uint64(t.Unix()-ntpEpoch)<<32 | uint64(t.Nanosecond())<<32/1e9
}

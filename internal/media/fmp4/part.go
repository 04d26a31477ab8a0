package fmp4

import (
	"encoding/binary"

	"github.com/watchward/watchward/internal/media"
)

// Sample flags (8.8.3.1): a keyframe depends on no other sample; anything else
// does and is not a sync sample.
const (
	flagsKey   = 0x02000000
	flagsOther = 0x01010000
)

// PartWriter gathers the samples of one part and writes its header. The zero
// value is ready; Reset makes it ready for the next part. It keeps no data, only
// times and sizes.
type PartWriter struct {
	tracks []run
}

// run is one track's samples in the part.
type run struct {
	id               uint32
	dtsZero, ptsZero int64 // what counts as 0 in the file
	entries          []entry
	step             uint32 // last known duration of a sample, kept from part to part
}

type entry struct {
	dts  int64
	cts  int32  // composition offset
	step uint32 // duration; 0 until the next sample tells
	size uint32
	key  bool
}

// Reset forgets the samples, not the origins.
func (w *PartWriter) Reset() {
	for i := range w.tracks {
		w.tracks[i].entries = w.tracks[i].entries[:0]
	}
}

// Origin says which times of a track are 0 in the file. A first keyframe shown
// later than decoded (pts over dts) is then shown at 0, pictures decoded after but
// shown before their neighbours get negative composition offsets.
func (w *PartWriter) Origin(track int, dts, pts int64) {
	r := w.run(track)
	r.dtsZero, r.ptsZero = dts, pts
}

func (w *PartWriter) run(track int) *run {
	for len(w.tracks) <= track {
		w.tracks = append(w.tracks, run{id: uint32(len(w.tracks) + 1)})
	}
	return &w.tracks[track]
}

// Add takes note of the next sample of a track (counted from 0: its index in
// the formats given to [Init]).
func (w *PartWriter) Add(track int, s *media.Sample) {
	r := w.run(track)
	w.Follow(track, s.DTS)
	if r.step == 0 {
		r.step = Duration(s)
	}
	if !s.Format.Codec.Video() {
		if d := Duration(s); d > 0 {
			r.step = d
		}
	}
	cts := (s.PTS - r.ptsZero) - (s.DTS - r.dtsZero)
	if cts != int64(int32(cts)) {
		cts = 0
	}
	r.entries = append(r.entries, entry{dts: s.DTS, cts: int32(cts), size: uint32(len(s.Data)), key: s.Keyframe})
}

// Follow tells when the sample after the last one begins, which is how long
// the last one lasts. Without it the last sample lasts as long as the one before.
func (w *PartWriter) Follow(track int, dts int64) {
	r := w.run(track)
	if n := len(r.entries); n > 0 && r.entries[n-1].step == 0 {
		if step := dts - r.entries[n-1].dts; step > 0 && step <= 1<<31 {
			r.entries[n-1].step = uint32(step)
			r.step = uint32(step)
		}
	}
}

// Len is the number of samples in the part.
func (w *PartWriter) Len() (n int) {
	for i := range w.tracks {
		n += len(w.tracks[i].entries)
	}
	return n
}

// Payload is the size of the samples' data in bytes.
func (w *PartWriter) Payload() (n int64) {
	for i := range w.tracks {
		for _, e := range w.tracks[i].entries {
			n += int64(e.size)
		}
	}
	return n
}

// AppendPart appends to dst everything of the part but the samples' data: moof and
// the head of mdat. After it the caller writes the Data of all samples of the first
// track as they were added, then of the second. Sequence counts parts from 1.
func (w *PartWriter) AppendPart(dst []byte, sequence uint32) []byte {
	moof := len(dst)
	b, _ := begin(dst, "moof")
	b, mfhd := begin(b, "mfhd")
	b = u32(b, 0, sequence)
	end(b, mfhd)
	var offsets [maxTracks]int // where each trun's data offset is to be filled in
	for i := range w.tracks {
		if r := &w.tracks[i]; len(r.entries) > 0 && i < maxTracks {
			b, offsets[i] = r.appendTraf(b)
		}
	}
	end(b, moof)
	data := int64(len(b)-moof) + 8
	for i := range w.tracks {
		if i < maxTracks && offsets[i] > 0 {
			binary.BigEndian.PutUint32(b[offsets[i]:], uint32(data))
		}
		for _, e := range w.tracks[i].entries {
			data += int64(e.size)
		}
	}
	b = u32(b, uint32(w.Payload()+8))
	return append(b, "mdat"...)
}

// appendTraf writes the track fragment and returns where its data offset lies.
// What all samples have in common is said once (8.8.7).
func (r *run) appendTraf(b []byte) (_ []byte, offset int) {
	flags, sameStep, sameKind, composed := r.common()
	b, traf := begin(b, "traf")
	b, tfhd := begin(b, "tfhd")
	head, perSample := uint32(0x020000|0x20), uint32(0x1|0x200) // default-base-is-moof, default flags; offset, sizes
	if sameStep {
		head |= 0x8
	} else {
		perSample |= 0x100
	}
	switch {
	case !sameKind:
		perSample |= 0x400
	case r.entries[0].key && flags == flagsOther:
		perSample |= 0x4 // the first sample is the exception
	}
	if composed {
		perSample |= 0x800
	}
	b = u32(b, head, r.id)
	if sameStep {
		b = u32(b, r.duration(0))
	}
	b = u32(b, flags)
	end(b, tfhd)
	b, tfdt := begin(b, "tfdt")
	b = u64(u32(b, 1<<24), uint64(max(r.entries[0].dts-r.dtsZero, 0)))
	end(b, tfdt)
	b, trun := begin(b, "trun")
	b = u32(b, 1<<24|perSample, uint32(len(r.entries))) // version 1: signed composition offsets
	offset = len(b)
	b = u32(b, 0)
	if perSample&0x4 != 0 {
		b = u32(b, flagsKey)
	}
	for i, e := range r.entries {
		if !sameStep {
			b = u32(b, r.duration(i))
		}
		b = u32(b, e.size)
		if !sameKind {
			b = u32(b, e.flags())
		}
		if composed {
			b = u32(b, uint32(e.cts))
		}
	}
	end(b, trun)
	end(b, traf)
	return b, offset
}

// common finds what the samples share: the flags of all but the first, whether
// all durations are alike, whether the flags are, and whether any sample is composed
// at another time than decoded.
func (r *run) common() (flags uint32, sameStep, sameKind, composed bool) {
	sameStep, sameKind = true, true
	flags = r.entries[len(r.entries)-1].flags()
	for i, e := range r.entries {
		sameStep = sameStep && r.duration(i) == r.duration(0)
		sameKind = sameKind && (i == 0 || e.flags() == flags)
		composed = composed || e.cts != 0
	}
	if sameKind && r.entries[0].flags() != flags && !r.entries[0].key {
		sameKind = false
	}
	return flags, sameStep, sameKind, composed
}

func (r *run) duration(i int) uint32 {
	if s := r.entries[i].step; s != 0 {
		return s
	}
	return r.step
}

func (e entry) flags() uint32 {
	if e.key {
		return flagsKey
	}
	return flagsOther
}

// Duration is how long a sample lasts by its own content, in units of its clock
// rate: audio knows, a picture is taken to last a 25th of a second.
func Duration(s *media.Sample) uint32 {
	f := s.Format
	rate := f.SampleRate
	if rate <= 0 {
		rate = f.ClockRate
	}
	switch f.Codec {
	case media.AAC:
		return uint32(1024 * int64(f.ClockRate) / int64(max(rate, 1)))
	case media.PCMU, media.PCMA:
		return uint32(int64(len(s.Data)) / int64(max(f.Channels, 1)) * int64(f.ClockRate) / int64(max(rate, 1)))
	case media.Opus:
		return opusDuration(s.Data, f.ClockRate)
	}
	return uint32(f.ClockRate / 25)
}

// opusDuration reads the table of contents byte (RFC 6716, 3.1 and 3.2.5).
func opusDuration(p []byte, clock int) uint32 {
	if len(p) == 0 {
		return 0
	}
	config, frames := p[0]>>3, 1
	switch p[0] & 3 {
	case 1, 2:
		frames = 2
	case 3:
		if len(p) < 2 {
			return 0
		}
		frames = int(p[1] & 63)
	}
	var units int // of 2.5 ms
	switch {
	case config < 12:
		units = [...]int{4, 8, 16, 24}[config&3]
	case config < 16:
		units = [...]int{4, 8}[config&1]
	default:
		units = 1 << (config & 3)
	}
	if units *= frames; units > 48 { // 120 ms at most
		units = 48
	}
	return uint32(units * clock / 400)
}

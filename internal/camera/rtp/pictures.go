package rtp

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"

	"github.com/watchward/watchward/internal/media"
	"github.com/watchward/watchward/internal/media/h26x"
)

// pictures builds the access units of H.264 and H.265. Its arena's open sample
// is the open access unit, each NAL unit after its length.
type pictures struct {
	output
	codec   media.Codec
	don     bool // H.265 payloads carry decoding order numbers
	format  *media.Format
	clock   int
	sets    []set
	changed bool // sets differ from format's
	broken  bool // the last sets could not be read

	nal       int // where the open NAL unit's length lies, or -1
	timestamp uint32
	pictured  bool // the open unit has picture data
	key       bool
	recovery  bool // it has a recovery point
	spoiled   bool // something of it is missing

	done       uint32 // timestamp of the last unit ended by a marker
	doneByMark bool
	markerLies bool // markers end slices, not pictures
	startCodes bool // the camera puts Annex B into its packets
	inspected  int  // keyframes looked through for start codes
}

// set is a parameter set in force.
type set struct {
	kind, id int
	data     []byte
	fresh    bool // came with the open access unit
}

// inspect is how many keyframes are searched whole for start codes before the
// camera is trusted to send none. Small NAL units are always searched.
const inspect = 2

func newPictures(r *Receiver, c Config) *pictures {
	v := &pictures{codec: c.Codec, don: c.DON, clock: c.ClockRate, nal: -1}
	v.r, v.waiting = r, true
	for _, s := range c.ParameterSets {
		if k := v.kindOf(s); k == parameterSet {
			v.keepSet(s)
		}
	}
	for i := range v.sets {
		v.sets[i].fresh = false
	}
	r.line.setup(c.ClockRate, 0, 0, 0)
	if v.complete() {
		v.renew()
	}
	return v
}

func (v *pictures) close() { v.arena.Reset() }

func (v *pictures) lose(reason media.Reason, now time.Time) {
	if v.pictured {
		v.r.stats.Dropped++
	}
	v.clear()
	v.lost(reason, now)
}

// clear forgets the open access unit.
func (v *pictures) clear() {
	v.arena.Truncate(0)
	v.nal, v.pictured, v.key, v.recovery, v.spoiled = -1, false, false, false, false
}

func (v *pictures) push(p *packet, now time.Time) {
	if p.timestamp != v.timestamp && v.pictured {
		v.end(now) // no marker came
		v.doneByMark = false
	}
	v.timestamp = p.timestamp
	if len(v.arena.Open()) > maxSample {
		v.r.stats.Dropped++
		v.clear()
		v.lost(media.Corrupt, now)
	}
	if v.codec == media.H264 {
		v.payload264(p.payload)
	} else {
		v.payload265(p.payload)
	}
	if v.split(now) {
		return
	}
	if p.marker && v.nal >= 0 {
		v.endNAL() // some never set the end bit
	}
	// A marker on an SEI or a parameter set ends nothing.
	if p.marker && v.pictured && !v.markerLies {
		v.done, v.doneByMark = p.timestamp, true
		v.end(now)
	}
}

// split notices that a marker ended only a part of a picture: the next slice has
// the same timestamp and is not the first. From then on only a new timestamp
// ends a picture.
func (v *pictures) split(now time.Time) bool {
	if !v.doneByMark || v.timestamp != v.done {
		return false
	}
	open := v.arena.Open()
	header := 4 + 1
	if v.codec == media.H265 {
		header = 4 + 2
	}
	if len(open) <= header || v.kindOf(open[4:]) < slice || open[header]&0x80 != 0 {
		return false
	}
	v.doneByMark, v.markerLies = false, true
	v.clear()
	v.lost(media.Corrupt, now)
	return true
}

// begin opens a NAL unit.
func (v *pictures) begin() {
	if v.nal >= 0 {
		v.endNAL()
	}
	v.nal = len(v.arena.Open())
	v.arena.Extend(4)
}

// whole takes a complete NAL unit.
func (v *pictures) whole(nal []byte) {
	if len(nal) == 0 {
		return
	}
	v.begin()
	v.arena.Append(nal)
	v.endNAL()
}

// Classes of NAL units. Slices are the greatest.
type class int

const (
	// Delimiters and filler, which ISO/IEC 14496-15 keeps out of files, and what
	// nobody knows.
	unwanted class = iota
	carried        // SEI and the like
	parameterSet
	slice
	keySlice
)

func (v *pictures) kindOf(nal []byte) class {
	if len(nal) == 0 {
		return unwanted
	}
	t := h26x.NALType(v.codec, nal[0])
	if v.codec == media.H264 {
		switch {
		case t == 5:
			return keySlice
		case t >= 1 && t <= 4:
			return slice
		case t == 7 || t == 8:
			return parameterSet
		case t == 6 || t == 13 || t >= 15 && t <= 20:
			return carried
		}
		return unwanted
	}
	switch {
	case len(nal) < 2:
		return unwanted
	case t >= 16 && t <= 21:
		return keySlice
	case t < 10:
		return slice
	case t >= 32 && t <= 34:
		return parameterSet
	case t == 39 || t == 40:
		return carried
	}
	return unwanted
}

// endNAL closes the open NAL unit and sorts it.
func (v *pictures) endNAL() {
	at := v.nal
	v.nal = -1
	nal := v.arena.Open()[at+4:]
	kind := v.kindOf(nal)
	if kind < slice || v.startCodes || v.inspected < inspect {
		if i := bytes.Index(nal, []byte{0, 0, 1}); i >= 0 {
			v.cut(at, bytes.Clone(nal))
			return
		}
	}
	switch kind {
	case unwanted:
		v.arena.Truncate(at)
		return
	case parameterSet:
		v.keepSet(nal)
		v.arena.Truncate(at)
		return
	case carried:
		v.recovery = v.recovery || v.codec == media.H264 && recoveryPoint(nal)
	case slice:
		v.pictured = true
		v.key = v.key || v.recovery && intra(nal)
	case keySlice:
		v.pictured, v.key = true, true
	}
	binary.BigEndian.PutUint32(v.arena.Open()[at:], uint32(len(nal)))
}

// cut takes a NAL unit apart at its start codes, which no NAL unit may hold:
// some cameras put a byte stream (Annex B) into their packets.
func (v *pictures) cut(at int, nal []byte) {
	v.startCodes = true
	v.arena.Truncate(at)
	for len(nal) > 0 {
		piece, rest, _ := bytes.Cut(nal, []byte{0, 0, 1})
		v.whole(bytes.TrimRight(piece, "\x00"))
		nal = rest
	}
}

// keepSet makes a parameter set the one in force.
func (v *pictures) keepSet(nal []byte) {
	if len(nal) < 2 || len(nal) > MaxParameterSet {
		return
	}
	kind := h26x.NALType(v.codec, nal[0])
	id := setID(v.codec, kind, nal)
	i := slices.IndexFunc(v.sets, func(s set) bool { return s.kind == kind && s.id == id })
	switch {
	case i >= 0 && bytes.Equal(v.sets[i].data, nal):
		v.sets[i].fresh = true
	case i >= 0:
		v.sets[i].data, v.sets[i].fresh, v.changed = bytes.Clone(nal), true, true
	case len(v.sets) < MaxParameterSets:
		v.sets = append(v.sets, set{kind, id, bytes.Clone(nal), true})
		// VPS, SPS, PPS: the order in which decoders want them.
		slices.SortStableFunc(v.sets, func(a, b set) int { return a.kind - b.kind })
		v.changed = true
	}
}

// setID is the id of a picture parameter set; of the others only one is in force.
func setID(c media.Codec, kind int, nal []byte) int {
	switch {
	case c == media.H264 && kind == h26x.PPS264:
		return expGolomb(nal[1:])
	case c == media.H265 && kind == h26x.PPS265 && len(nal) > 2:
		return expGolomb(nal[2:])
	}
	return 0
}

// complete reports whether a decoder could be set up.
func (v *pictures) complete() bool {
	want := []int{h26x.SPS264, h26x.PPS264}
	if v.codec == media.H265 {
		want = []int{h26x.VPS265, h26x.SPS265, h26x.PPS265}
	}
	for _, kind := range want {
		if !slices.ContainsFunc(v.sets, func(s set) bool { return s.kind == kind }) {
			return false
		}
	}
	return true
}

// renew makes a format of the sets in force. It reports false where they cannot
// be read; then there is nothing a keyframe could be shown with.
func (v *pictures) renew() bool {
	f := &media.Format{Codec: v.codec, ClockRate: v.clock}
	var info h26x.Info
	for _, s := range v.sets {
		var err error
		switch {
		case v.codec == media.H264 && s.kind == h26x.SPS264:
			info, err = h26x.ParseSPS264(s.data)
		case v.codec == media.H265 && s.kind == h26x.SPS265:
			info, err = h26x.ParseSPS265(s.data)
		}
		if err != nil {
			v.broken = true
			return false
		}
		f.ParameterSets = append(f.ParameterSets, s.data)
	}
	f.Width, f.Height = info.Width, info.Height
	depth, possible := 0, info.Reorder
	if info.ReorderStated {
		depth, possible = info.Reorder, 0
	}
	v.r.line.setup(v.clock, info.FPS, min(depth, 16), min(possible, 16))
	v.changed, v.broken = false, false
	if v.format == nil || !v.format.Equal(f) {
		v.format = f
	}
	return true
}

// end closes the open access unit and publishes it.
func (v *pictures) end(now time.Time) {
	if v.nal >= 0 {
		v.endNAL()
	}
	if v.spoiled {
		v.r.stats.Dropped++
		v.clear()
		v.lost(media.Corrupt, now)
		return
	}
	key := v.key
	if key {
		v.inspected++
		if !v.adopt() {
			v.r.stats.Dropped++
			v.clear()
			v.lost(media.Corrupt, now)
			return
		}
	}
	v.publish(v.format, key, v.timestamp, now)
	v.clear()
}

// adopt makes a keyframe's parameter sets those of the stream. Old picture
// parameter sets do not outlive the sequence's.
func (v *pictures) adopt() bool {
	if v.changed {
		fresh := func(kind int) bool {
			return slices.ContainsFunc(v.sets, func(s set) bool { return s.kind == kind && s.fresh })
		}
		sps, pps := h26x.SPS264, h26x.PPS264
		if v.codec == media.H265 {
			sps, pps = h26x.SPS265, h26x.PPS265
		}
		if fresh(sps) && fresh(pps) {
			v.sets = slices.DeleteFunc(v.sets, func(s set) bool { return s.kind == pps && !s.fresh })
		}
	}
	for i := range v.sets {
		v.sets[i].fresh = false
	}
	if v.changed || v.format == nil {
		return v.complete() && v.renew()
	}
	return !v.broken
}

// recoveryPoint reports whether an SEI says that decoding may begin with this
// very picture (ITU-T H.264, D.2.8: recovery_frame_cnt 0).
func recoveryPoint(nal []byte) bool {
	for b := nal[1:]; len(b) > 2; {
		kind, size := 0, 0
		for len(b) > 0 && b[0] == 0xff {
			kind, b = kind+255, b[1:]
		}
		if len(b) == 0 {
			return false
		}
		kind, b = kind+int(b[0]), b[1:]
		for len(b) > 0 && b[0] == 0xff {
			size, b = size+255, b[1:]
		}
		if len(b) == 0 {
			return false
		}
		size, b = size+int(b[0]), b[1:]
		if kind == 6 && len(b) > 0 {
			return b[0]&0x80 != 0
		}
		b = b[min(size, len(b)):]
	}
	return false
}

// intra reports whether a slice says that it and all others of its picture use
// no other picture (slice_type 7; 2 speaks for itself only, but is what cameras
// with one slice send).
func intra(nal []byte) bool {
	if len(nal) < 3 {
		return false
	}
	var r golomb
	r.b = nal[1:min(len(nal), 16)]
	r.next() // first_mb_in_slice
	t := r.next()
	return t == 7 || t == 2
}

// golomb reads Exp-Golomb codes (ITU-T H.264, 9.1).
type golomb struct {
	b   []byte
	pos int
}

func (r *golomb) bit() int {
	if r.pos>>3 >= len(r.b) {
		return 1
	}
	v := int(r.b[r.pos>>3]>>(7-r.pos&7)) & 1
	r.pos++
	return v
}

func (r *golomb) next() int {
	zeros := 0
	for r.bit() == 0 && zeros < 24 {
		zeros++
	}
	v := 1
	for range zeros {
		v = v<<1 | r.bit()
	}
	return v - 1
}

func expGolomb(b []byte) int {
	r := golomb{b: b}
	return r.next()
}

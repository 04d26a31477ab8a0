package fmp4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/watchward/watchward/internal/media"
)

// Caps on what a file can claim.
const (
	maxHeader  = 1 << 20 // bytes of a moov, moof or mfra box
	maxSamples = 1 << 16 // in one part
	maxIndex   = 1 << 16 // keyframes in the index
)

// Part is a movie fragment as read.
type Part struct {
	Offset   int64 // of the moof box
	Size     int64 // to the end of the mdat box
	Sequence uint32
	Samples  []SampleInfo // in the order in which they lie
}

// SampleInfo is a sample's place and time.
type SampleInfo struct {
	Track    uint32
	Key      bool
	DTS, PTS int64
	Duration uint32
	Offset   int64 // of its data from the beginning of the file
	Size     int
}

// Reader walks a fragmented MP4. It belongs to one goroutine.
type Reader struct {
	src    io.ReaderAt
	size   int64
	next   int64 // where the next top-level box begins
	tracks []*readTrack
	prft   []byte
}

type readTrack struct {
	id       uint32
	format   *media.Format
	duration uint32 // defaults of trex
	bytes    uint32
	flags    uint32
	dts      int64 // where the next sample without tfdt begins
}

// NewReader reads the header of a file of size bytes and stops before its first part.
func NewReader(src io.ReaderAt, size int64) (*Reader, error) {
	r := &Reader{src: src, size: size}
	for {
		b, err := r.box()
		if err != nil {
			return nil, noEOF(err)
		}
		switch b.kind {
		case "moof", "mdat":
			return nil, fmt.Errorf("%w: %s before moov", ErrFormat, b.kind)
		case "moov":
			body, err := r.load(b)
			if err != nil {
				return nil, err
			}
			if err := r.movie(body); err != nil {
				return nil, err
			}
			r.next = b.end
			return r, nil
		}
		r.next = b.end
	}
}

// Formats describes the tracks: index n-1 is the track with id n, nil where the
// codec is none of ours.
func (r *Reader) Formats() []*media.Format {
	var out []*media.Format
	for _, t := range r.tracks {
		for len(out) < int(t.id) {
			out = append(out, nil)
		}
		out[t.id-1] = t.format
	}
	return out
}

// Whole is how many bytes from the beginning are whole parts (or the header), as
// far as Next has gone: what a salvage of a torn file keeps.
func (r *Reader) Whole() int64 { return r.next }

// Next reads the next part. At the end of the parts it is [io.EOF], in a file that
// ends within a part [io.ErrUnexpectedEOF].
func (r *Reader) Next() (*Part, error) {
	for {
		b, err := r.box()
		if err != nil {
			return nil, err
		}
		switch b.kind {
		case "moof":
			return r.part(b)
		case "prft":
			if r.prft, err = r.load(b); err != nil {
				return nil, err
			}
		}
		r.next = b.end
	}
}

// Data reads a sample's bytes.
func (r *Reader) Data(s SampleInfo) ([]byte, error) {
	if s.Size < 0 || s.Offset < 0 || s.Offset > r.size-int64(s.Size) {
		return nil, io.ErrUnexpectedEOF
	}
	p := make([]byte, s.Size)
	if _, err := r.src.ReadAt(p, s.Offset); err != nil && (!errors.Is(err, io.EOF) || s.Offset+int64(s.Size) != r.size) {
		return nil, err
	}
	return p, nil
}

// topBox is a box at the top level.
type topBox struct {
	kind       string
	start, end int64
	head       int64 // size of its header
}

// box reads the header of the box at r.next and checks that all of it is there.
func (r *Reader) box() (topBox, error) {
	if r.next >= r.size {
		return topBox{}, io.EOF
	}
	var h [16]byte
	n := min(16, r.size-r.next)
	if n < 8 {
		return topBox{}, io.ErrUnexpectedEOF
	}
	if _, err := r.src.ReadAt(h[:n], r.next); err != nil && !errors.Is(err, io.EOF) {
		return topBox{}, err
	}
	b := topBox{kind: string(h[4:8]), start: r.next, head: 8}
	size := uint64(binary.BigEndian.Uint32(h[:]))
	switch {
	case size == 1 && n == 16:
		size, b.head = binary.BigEndian.Uint64(h[8:]), 16
	case size == 1:
		return topBox{}, io.ErrUnexpectedEOF
	case size == 0: // to the end of the file
		size = uint64(r.size - r.next)
	}
	if size < uint64(b.head) {
		return topBox{}, fmt.Errorf("%w: box %q of %d bytes", ErrFormat, b.kind, size)
	}
	if size > uint64(r.size-r.next) {
		return topBox{}, io.ErrUnexpectedEOF
	}
	b.end = r.next + int64(size)
	return b, nil
}

// load reads the body of a box that is small by nature.
func (r *Reader) load(b topBox) ([]byte, error) {
	n := b.end - b.start - b.head
	if n > maxHeader {
		return nil, fmt.Errorf("%w: box %q of %d bytes: want at most %d", ErrFormat, b.kind, n, maxHeader)
	}
	p := make([]byte, n)
	if _, err := r.src.ReadAt(p, b.start+b.head); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return p, nil
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// part reads a moof and finds the mdat after it.
func (r *Reader) part(b topBox) (*Part, error) {
	body, err := r.load(b)
	if err != nil {
		return nil, err
	}
	p := &Part{Offset: b.start}
	from := r.next
	r.next = b.end
	data, err := r.box()
	for err == nil && data.kind == "free" {
		r.next = data.end
		data, err = r.box()
	}
	if err != nil || data.kind != "mdat" {
		r.next = from
		if err == nil {
			err = fmt.Errorf("%w: moof followed by %q", ErrFormat, data.kind)
		}
		return nil, noEOF(err)
	}
	if err := r.fragment(p, body, data); err != nil {
		r.next = from
		return nil, err
	}
	p.Size = data.end - p.Offset
	r.next = data.end
	return p, nil
}

// Prft is the wall-clock time of the last producer reference box passed, in NTP
// 32.32 seconds, and the media time it belongs to.
func (r *Reader) Prft() (ntp, mediaTime uint64, ok bool) {
	if len(r.prft) < 24 || r.prft[0] != 1 {
		return 0, 0, false
	}
	return binary.BigEndian.Uint64(r.prft[8:]), binary.BigEndian.Uint64(r.prft[16:]), true
}

// Index reads the keyframe table at the end of the file.
func (r *Reader) Index() ([]RandomAccess, error) {
	var h [16]byte
	if r.size < 16 {
		return nil, io.ErrUnexpectedEOF
	}
	if _, err := r.src.ReadAt(h[:], r.size-16); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if string(h[4:8]) != "mfro" {
		return nil, fmt.Errorf("%w: no index at the end", ErrFormat)
	}
	n := int64(binary.BigEndian.Uint32(h[12:]))
	if n < 24 || n > maxHeader || n > r.size {
		return nil, fmt.Errorf("%w: index of %d bytes", ErrFormat, n)
	}
	p := make([]byte, n)
	if _, err := r.src.ReadAt(p, r.size-n); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if string(p[4:8]) != "mfra" || int64(binary.BigEndian.Uint32(p)) != n {
		return nil, fmt.Errorf("%w: index does not begin where its end says", ErrFormat)
	}
	var out []RandomAccess
	err := children(p[8:], func(kind string, body []byte) error {
		if kind != "tfra" {
			return nil
		}
		entries, err := readTfra(body)
		out = append(out, entries...)
		return err
	})
	return out, err
}

func readTfra(body []byte) ([]RandomAccess, error) {
	f := fields{b: body}
	version := f.u32() >> 24
	id, widths, n := f.u32(), f.u32(), f.u32()
	if n > maxIndex {
		return nil, fmt.Errorf("%w: index of %d keyframes: want at most %d", ErrFormat, n, maxIndex)
	}
	numbers := int(widths>>4&3) + int(widths>>2&3) + int(widths&3) + 3
	var out []RandomAccess
	for range n {
		e := RandomAccess{Track: id}
		if version == 1 {
			e.Time, e.Offset = f.u64(), f.u64()
		} else {
			e.Time, e.Offset = uint64(f.u32()), uint64(f.u32())
		}
		f.skip(numbers)
		if f.bad {
			return nil, fmt.Errorf("%w: index ends early", ErrFormat)
		}
		out = append(out, e)
	}
	return out, nil
}

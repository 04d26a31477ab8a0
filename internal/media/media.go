// Package media is what cameras make and everybody else takes: streams of
// samples, video and audio, each with its time.
//
// A camera publishes samples to a [Stream]; recorders and live viewers attach
// to it as [Reader]s. Neither side knows the other. Samples are views into
// counted blocks (see [Arena]): whoever keeps one after the call in which he
// got it calls [Sample.Retain], and [Sample.Release] when done.
//
// Subpackage fmp4 writes and reads fragmented MP4, h26x reads the parameter
// sets of H.264 and H.265.
package media

import (
	"sync"
	"sync/atomic"
	"time"
)

// Sample is one timestamped unit of a track: a coded picture or a run of audio.
type Sample struct {
	Track    int     // index of the track in its stream: 0 is video, 1 audio
	Format   *Format // how Data is coded; a changed pointer means a changed format
	Keyframe bool    // can be decoded without any sample before it; true for all audio

	// DTS and PTS are decoding and presentation times in units of
	// Format.ClockRate, without wrap-around, from an origin of the run's own.
	// DTS rises strictly within a track and a run.
	DTS, PTS int64

	// Received is when the sample's last byte arrived, with monotonic reading.
	Received time.Time

	// Data is, for H.264 and H.265, NAL units each after its length in four
	// bytes, big endian (ISO/IEC 14496-15, 5.3.4.2) without access unit
	// delimiters; for all else the coded bytes. It is read-only.
	Data []byte

	refs  atomic.Int32
	block *block
}

var samplePool = sync.Pool{New: func() any { return new(Sample) }}

// Retain keeps the sample alive until a further Release.
func (s *Sample) Retain() { s.refs.Add(1) }

// Release gives up one reference. After the last one Data is used again.
func (s *Sample) Release() {
	switch n := s.refs.Add(-1); {
	case n > 0:
		return
	case n < 0:
		panic("media: sample released once too often")
	}
	if s.block != nil {
		s.block.release()
	}
	s.Format, s.Data, s.block = nil, nil, nil
	samplePool.Put(s)
}

const blockSize = 128 << 10

// block is a piece of memory that samples share. It goes back to the pool when
// its arena and all its samples have let go.
type block struct {
	data []byte
	refs atomic.Int32
}

var blockPool = sync.Pool{New: func() any { return &block{data: make([]byte, blockSize)} }}

func newBlock(size int) *block {
	if size > blockSize {
		b := &block{data: make([]byte, size)}
		b.refs.Store(1)
		return b
	}
	b := blockPool.Get().(*block)
	b.refs.Store(1)
	return b
}

func (b *block) release() {
	if b.refs.Add(-1) == 0 && len(b.data) == blockSize {
		blockPool.Put(b)
	}
}

// Arena builds samples byte by byte, each contiguous, many to a block. It
// belongs to one goroutine. The zero value is ready.
type Arena struct {
	cur   *block
	start int // where the open sample begins in cur
	end   int // where it ends so far
}

// Append adds p to the open sample.
func (a *Arena) Append(p []byte) { copy(a.Extend(len(p)), p) }

// Extend adds n bytes to the open sample and returns them for the caller to fill.
func (a *Arena) Extend(n int) []byte {
	if a.cur == nil || a.end+n > len(a.cur.data) {
		a.move(n)
	}
	p := a.cur.data[a.end : a.end+n : a.end+n]
	a.end += n
	return p
}

// move takes the open sample to a block with room for n more bytes. A sample
// larger than a block gets one of its own, doubled as it grows.
func (a *Arena) move(n int) {
	open := a.Open()
	need := len(open) + n
	if need > blockSize {
		need = max(need, 2*len(open))
	}
	next := newBlock(need)
	copy(next.data, open)
	if a.cur != nil {
		a.cur.release()
	}
	a.cur, a.start, a.end = next, 0, len(open)
}

// Open is the open sample so far. It is valid until the next Append or Extend.
func (a *Arena) Open() []byte {
	if a.cur == nil {
		return nil
	}
	return a.cur.data[a.start:a.end]
}

// Truncate cuts the open sample to its first n bytes.
func (a *Arena) Truncate(n int) { a.end = a.start + min(n, a.end-a.start) }

// Take closes the open sample and returns it with one reference, its Data and
// nothing else set. The next Append begins another.
func (a *Arena) Take() *Sample {
	s := samplePool.Get().(*Sample)
	s.refs.Store(1)
	s.Track, s.Keyframe, s.DTS, s.PTS, s.Received = 0, false, 0, 0, time.Time{}
	s.Data, s.block = a.Open(), a.cur
	if a.cur != nil {
		a.cur.refs.Add(1)
		a.start = a.end
	}
	return s
}

// Reset drops the open sample and lets go of the arena's block.
func (a *Arena) Reset() {
	if a.cur != nil {
		a.cur.release()
	}
	*a = Arena{}
}

// NewSample returns a sample with a copy of data, for those who have no arena.
func NewSample(data []byte) *Sample {
	var a Arena
	a.Append(data)
	s := a.Take()
	a.Reset()
	return s
}

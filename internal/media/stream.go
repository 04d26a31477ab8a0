package media

import (
	"slices"
	"sync"
	"time"
)

// Reason says why video stopped or time was not recorded. It is a word of the
// archive's file names and a key of the texts people read, so the set is small
// and never reused with another meaning.
type Reason string

// Reasons a camera gives. Recorders add their own, see package record.
const (
	Connecting     Reason = "connecting"      // no connection yet, or again
	Refused        Reason = "refused"         // the address does not answer, or refuses
	WrongPassword  Reason = "wrong-password"  // the camera does not take the login
	Untrusted      Reason = "untrusted"       // the camera shows a certificate that nobody said is its own
	NotFound       Reason = "not-found"       // the camera knows no such stream
	Unsupported    Reason = "unsupported"     // nothing in the stream that we can carry
	ConnectionLost Reason = "connection-lost" // the connection broke
	NoVideo        Reason = "no-video"        // connected, but nothing came for too long
	NoKeyframe     Reason = "no-keyframe"     // pictures come, none that can begin a segment
	PacketLoss     Reason = "packet-loss"     // packets missing; pictures until the next keyframe given up
	Corrupt        Reason = "corrupt"         // what the camera sent cannot be read
	TimeJump       Reason = "time-jump"       // the camera's own clock jumped
	Stopped        Reason = "stopped"         // we were told to stop
)

// Reader takes samples as a [Stream] publishes them. Its methods are called in
// the publisher's goroutine, one at a time.
type Reader interface {
	// Sample hands over one sample, in decoding order. The reader calls
	// s.Retain to keep it after returning. A reader that blocks here slows
	// the camera: recorders may, for a bounded time; viewers never.
	Sample(s *Sample)

	// Break ends a run: nothing that follows continues what came before, and
	// the next video sample is a keyframe. At is when the last good sample
	// was received or, if later, when the trouble was noticed.
	Break(reason Reason, at time.Time)
}

// gopLimit bounds the samples kept for those who join between keyframes.
const gopLimit = 6 << 20

// Stream is one encoded output of a camera: one publisher, many readers. All
// methods may be called from any goroutine; Publish and Break from one at a time.
type Stream struct {
	mu      sync.Mutex
	readers []Reader
	formats []*Format // by track, as last seen
	gop     []*Sample // from the last video keyframe on, retained
	gopSize int
	viewers int // readers that are not recorders
}

// Publish hands s to every reader and lets go of the publisher's reference.
func (st *Stream) Publish(s *Sample) {
	st.mu.Lock()
	for len(st.formats) <= s.Track {
		st.formats = append(st.formats, nil)
	}
	st.formats[s.Track] = s.Format
	st.cache(s)
	readers := st.readers // replaced, never changed in place
	st.mu.Unlock()
	for _, r := range readers {
		r.Sample(s)
	}
	s.Release()
}

// cache keeps the samples since the last keyframe. A group too large to keep
// is dropped whole: a viewer then waits for the next keyframe.
func (st *Stream) cache(s *Sample) {
	if s.Format != nil && s.Format.Codec.Video() && s.Keyframe {
		st.dropGOP()
	} else if len(st.gop) == 0 {
		return
	}
	if st.gopSize += len(s.Data); st.gopSize > gopLimit {
		st.dropGOP()
		return
	}
	s.Retain()
	st.gop = append(st.gop, s)
}

func (st *Stream) dropGOP() {
	for i, s := range st.gop {
		s.Release()
		st.gop[i] = nil
	}
	st.gop, st.gopSize = st.gop[:0], 0
}

// Break ends the run for every reader.
func (st *Stream) Break(reason Reason, at time.Time) {
	st.mu.Lock()
	st.dropGOP()
	readers := st.readers
	st.mu.Unlock()
	for _, r := range readers {
		r.Break(reason, at)
	}
}

// Attach adds a recorder: from the next sample on it gets everything.
func (st *Stream) Attach(r Reader) (detach func()) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.readers = append(slices.Clone(st.readers), r)
	return sync.OnceFunc(func() { st.detach(r, false) })
}

// Watch adds a live viewer. It is first given, in the caller's goroutine, the
// samples since the last keyframe, so that a picture is at hand at once.
// Watched then tells the camera that somebody cares about latency.
func (st *Stream) Watch(r Reader) (detach func()) {
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, s := range st.gop {
		r.Sample(s)
	}
	st.readers = append(slices.Clone(st.readers), r)
	st.viewers++
	return sync.OnceFunc(func() { st.detach(r, true) })
}

func (st *Stream) detach(r Reader, viewer bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if i := slices.Index(st.readers, r); i >= 0 {
		st.readers = slices.Delete(slices.Clone(st.readers), i, i+1)
	}
	if viewer {
		st.viewers--
	}
}

// Watched reports whether a live viewer is attached.
func (st *Stream) Watched() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.viewers > 0
}

// Attached reports whether anybody takes samples: what is published before is
// only kept for those who join at a keyframe.
func (st *Stream) Attached() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return len(st.readers) > 0
}

// Announce says what a track will be of which something has come, though
// nothing that could be published yet.
func (st *Stream) Announce(track int, f *Format) {
	st.mu.Lock()
	defer st.mu.Unlock()
	for len(st.formats) <= track {
		st.formats = append(st.formats, nil)
	}
	st.formats[track] = f
}

// Formats returns the tracks as last published or announced, nil where none was
// yet.
func (st *Stream) Formats() []*Format {
	st.mu.Lock()
	defer st.mu.Unlock()
	return slices.Clone(st.formats)
}

// Package record turns a camera's samples into sealed segments of the archive,
// and what it could not record into gaps with a reason.
//
// Begin with [New] and [Recorder.Run]; [Recorder.Open] tells a player what of the
// segment being written can be read already, [Recorder.State] whether recording
// goes on and why not.
//
// # The path of a sample
//
// The camera's goroutine calls the intake, which takes a reference, gathers
// parts of 200 ms, and decides where segments begin and end. Whole parts go through
// a queue to the recorder's own goroutine, which writes a header, the samples' own
// bytes, and nothing else: sealing makes the only copy. Committing a segment (syncs,
// rename, row) happens aside and never delays the next one.
//
// # What hurts
//
// The queue is bounded in bytes and in seconds. When it is full the camera's
// goroutine waits, which slows a camera on TCP; only after [Options.Stall] is video
// discarded, up to a keyframe, and the time becomes a gap. Live viewers of the same
// camera wait with it.
//
// Times: see timeline.go. They never run backwards, whatever the clock does.
package record

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/media"
	"github.com/watchward/watchward/internal/media/h26x"
	"github.com/watchward/watchward/internal/seal"
)

// Reasons for a gap that are the recorder's own, beside those of package media.
const (
	RecorderStopped = "recorder-stopped" // no recorder ran
	DiskFull        = "disk-full"
	DiskReadOnly    = "disk-read-only"
	DiskFailing     = "disk-failing" // writes or syncs fail
	DiskStalled     = "disk-stalled" // the disk took nothing for longer than the queue could hold
	ClockStep       = "clock-step"   // nothing is missing: the clock was set forward
	NoReader        = "no-reader"    // nobody could open what would be sealed
	KeyFailing      = "key-failing"  // the day key cannot be made or read
)

// Options configures a [Recorder]. Zero is a usable value unless the comment says
// required.
type Options struct {
	Stream  *media.Stream    // required: what to record
	ID      archive.StreamID // required: its name in the archive
	Archive *archive.Archive // required
	Keys    *seal.DayKeys    // required: what to seal to

	// Target is the age at which a segment closes, at its next keyframe.
	// Zero means one minute.
	Target time.Duration
	// Part is the length of the pieces that are written at once; what is in
	// memory when the process is killed is lost. Zero means 200 ms.
	Part time.Duration
	// Queue is how many bytes may wait for the disk. Zero means 8 MiB.
	Queue int
	// QueueSpan is how much time may wait for the disk. Zero means 30 s.
	QueueSpan time.Duration
	// Stall is how long a full queue holds up the camera before video is
	// discarded. Zero means 10 s.
	Stall time.Duration
	// Tails is a folder beside the archive, DIR/tails, for what sealing holds
	// back of quiet streams, so that a kill costs them no more than others.
	// Empty means that nothing of the kind is kept.
	Tails string
	// Audio records sound too. Without it sound is never written.
	Audio bool

	Log *slog.Logger     // nil means [slog.Default]
	Now func() time.Time // the wall clock; nil means [time.Now]
	// ClockError is how far the wall clock may be from true time, as the
	// kernel knows; nil means unknown, counted as 0.
	ClockError func() time.Duration

	// Closed is told of each segment committed, Changed of each change of
	// state. Both must return soon.
	Closed  func(archive.Segment)
	Changed func(State)
}

// State is what a recorder does now and did so far.
type State struct {
	Recording bool
	Reason    string    // why not recording; "" while recording
	Since     time.Time // of Recording and Reason
	Detail    string    // the last trouble with disk or keys, for the log page

	Queued   int    // bytes that wait for the disk
	Segments uint64 // committed
	Bytes    uint64 // plain bytes written
	Samples  uint64 // written
	Lost     uint64 // samples discarded, for whatever reason, after recording began
	LostSize uint64 // their bytes
	Stalls   uint64 // times the queue stayed full for too long
	Damaged  uint64 // segments of which a sync failed
}

// Recorder records one stream. Its methods may be called from any goroutine.
type Recorder struct {
	o      Options
	store  store
	keys   keys
	sealer sealer
	rate   float64 // of the last segment, in bytes a second, 0 if not known; the writer's

	mu    sync.Mutex
	state State
	open  *OpenSegment // of the segment being written; Parts only grows
	queue *queue
}

// New checks the options and starts nothing.
func New(o Options) (*Recorder, error) {
	switch {
	case o.Stream == nil:
		return nil, errors.New("recorder: Stream is required")
	case o.Archive == nil:
		return nil, errors.New("recorder: Archive is required")
	case o.Keys == nil:
		return nil, errors.New("recorder: Keys is required")
	}
	return build(o, realStore{o.Archive}, o.Keys, realSealer)
}

// build is New with the doors to other rooms as arguments.
func build(o Options, st store, k keys, s sealer) (*Recorder, error) {
	if err := o.ID.Valid(); err != nil {
		return nil, fmt.Errorf("recorder: %w", err)
	}
	if o.Target < 0 || o.Part < 0 || o.Queue < 0 || o.Stall < 0 || o.QueueSpan < 0 {
		return nil, errors.New("recorder: negative duration or size")
	}
	setDefault(&o.Target, time.Minute)
	setDefault(&o.Part, 200*time.Millisecond)
	setDefault(&o.Queue, 8<<20)
	setDefault(&o.QueueSpan, 30*time.Second)
	setDefault(&o.Stall, 10*time.Second)
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.ClockError == nil {
		o.ClockError = func() time.Duration { return 0 }
	}
	o.Log = o.Log.With("camera", o.ID.Camera, "stream", o.ID.Stream)
	r := &Recorder{o: o, store: st, keys: k, sealer: s}
	r.state = State{Reason: string(media.Connecting), Since: o.Now()}
	return r, nil
}

func setDefault[T int | time.Duration](v *T, to T) {
	if *v == 0 {
		*v = to
	}
}

// Run records until ctx ends. It returns only after the open segment has been
// closed and committed, so what it writes to may be shut as soon as Run is back.
// It may be called once.
func (r *Recorder) Run(ctx context.Context) error {
	last, ok, err := r.store.last(ctx, r.o.ID)
	if err != nil {
		return fmt.Errorf("record %q: %w", r.o.ID, err)
	}
	q := newQueue(r.o.Queue, r.o.QueueSpan)
	in := newIntake(r.o, q)
	w := newWriter(r, q, in)
	if ok {
		w.end, w.reason = last.UTC(), RecorderStopped
		in.floor(last)
	}
	r.mu.Lock()
	r.queue = q
	r.mu.Unlock()
	detach := r.o.Stream.Attach(in)
	stop := context.AfterFunc(ctx, func() {
		detach()
		in.close()
	})
	defer stop()
	w.run(context.WithoutCancel(ctx))
	return nil
}

// State is what the recorder does now.
func (r *Recorder) State() State {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.state
	if r.queue != nil {
		s.Queued = r.queue.held()
	}
	return s
}

// OpenSegment is the segment being written.
type OpenSegment struct {
	Start  time.Time
	Codecs string // RFC 6381, "" where none is known
	Bytes  int64  // of the file so far: its header and whole chunks
	Plain  int64  // plain bytes in those whole chunks
	Parts  []Part
}

// Part is a piece of the open segment. It can be read once the next part begins at
// or before [OpenSegment.Plain].
type Part struct {
	At     time.Duration // from the segment's start
	Offset int64         // plain bytes before its moof box
	Key    bool          // begins with a keyframe
}

// Open describes the segment being written, if there is one.
func (r *Recorder) Open() (OpenSegment, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open == nil {
		return OpenSegment{}, false
	}
	return *r.open, true // Parts shares memory that is only appended to
}

// update changes the state and tells whoever wants to know when it matters.
func (r *Recorder) update(fn func(*State)) {
	r.mu.Lock()
	before := r.state
	fn(&r.state)
	after := r.state
	if before.Recording != after.Recording || before.Reason != after.Reason {
		r.state.Since = r.o.Now()
		after.Since = r.state.Since
	}
	r.mu.Unlock()
	if r.o.Changed != nil && (before.Recording != after.Recording || before.Reason != after.Reason || before.Damaged != after.Damaged || before.Stalls != after.Stalls) {
		r.o.Changed(after)
	}
}

// codecs names the tracks of a segment for a browser.
func codecs(tracks []*media.Format) string { return h26x.CodecStrings(tracks) }

package record

import (
	"hash/fnv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/media"
	"github.com/watchward/watchward/internal/media/fmp4"
)

// Bounds of a part beside its length: what a camera can make us hold.
const (
	maxPartSamples = 512
	maxPartBytes   = 1 << 20
)

// jump is how far a sample's own time may be from its arrival: earlier, or later
// beyond any wait for the disk. A camera whose clock does that has broken its run.
const (
	jumpAhead  = 3 * time.Second
	jumpBehind = time.Minute
)

// item is one order to the writer, in the order of time. Exactly one of open,
// part, finish and note is set.
type item struct {
	open   *plan
	part   *part
	finish *finish
	note   *note
}

// plan is a segment that begins.
type plan struct {
	start  time.Time
	ahead  time.Duration // of the wall clock
	tracks []*media.Format
	dts    int64 // of the first keyframe
	pts    int64
	audio  int64 // of sound at the same moment, in its own units and count
}

// part is a run of samples, retained until it has been written.
type part struct {
	samples []*media.Sample
	at      time.Duration // of the first sample from the segment's start
	bytes   int
	span    time.Duration // of its pictures
	key     bool          // its first picture is a keyframe
	next    int64         // DTS of the picture after it, 0 where not known yet
}

// finish ends the open segment.
type finish struct {
	end      time.Time
	clockErr time.Duration // without what the kernel says
	reason   string        // of the gap that follows, "" where the next segment follows at once
}

// note says why nothing is being recorded.
type note struct {
	at     time.Time
	reason string
}

var partPool = sync.Pool{New: func() any { return new(part) }}

// release lets go of the samples and of the part.
func (p *part) release() {
	for i, s := range p.samples {
		s.Release()
		p.samples[i] = nil
	}
	*p = part{samples: p.samples[:0]}
	partPool.Put(p)
}

// intake is the [media.Reader]: it runs in the camera's goroutine, gathers
// samples into parts and decides where segments begin and end.
type intake struct {
	o     Options
	queue *queue
	quit  chan struct{} // closed before mu is taken to stop: wakes a waiting camera
	once  sync.Once

	retry     atomic.Bool  // set by the writer: it has no open segment, begin one at the next keyframe
	floorUnix atomic.Int64 // set by the writer: the archive is full up to here, Unix microseconds
	lost      atomic.Uint64
	lostBytes atomic.Uint64
	stalls    atomic.Uint64

	mu       sync.Mutex // all below
	closed   bool
	line     timeline
	arrival  arrival
	running  bool // arrival belongs to the run that goes on
	plan     *plan
	unsent   *plan         // plan while the writer has not been told: sound heard before its first part is complete gets a track
	target   time.Duration // of the segment being gathered
	part     *part         // of plan, may be empty
	last     picture       // the newest
	cutSoon  bool          // the tracks changed: cut at the next keyframe
	dropping bool          // discarding until there is a keyframe and room
	sound    sound
	began    time.Time // when plan began, by arrival; for retries
}

// picture remembers what is needed of a video sample that may be gone.
type picture struct {
	dts      int64
	step     int64 // how long it lasts, as far as is known; 0 before the first
	rate     int64
	key      bool
	received time.Time
}

func newIntake(o Options, q *queue) *intake {
	in := &intake{o: o, queue: q, quit: make(chan struct{})}
	in.line.wallNow = o.Now
	in.target = firstTarget(o.ID, o.Target)
	return in
}

// firstTarget spreads the first cut of many cameras over the target, and with it
// all their commits from then on.
func firstTarget(id archive.StreamID, target time.Duration) time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id.String())) // never fails
	return target/8 + time.Duration(int64(target-target/8)*int64(h.Sum32()%1000)/1000)
}

// floor tells the intake up to where the archive is full.
func (in *intake) floor(t time.Time) { in.floorUnix.Store(t.UnixMicro()) }

// Sample takes one sample.
func (in *intake) Sample(s *media.Sample) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed || s.Format == nil || s.Format.ClockRate <= 0 {
		return
	}
	switch {
	case s.Track == 0 && s.Format.Codec.Video():
		in.video(s)
	case s.Track == 1 && in.o.Audio && !s.Format.Codec.Video():
		in.audio(s)
	}
}

func (in *intake) video(s *media.Sample) {
	if in.running {
		late := in.arrival.observe(s.DTS, s.Received)
		if late < -jumpAhead || late > jumpBehind+in.o.Stall {
			in.breakUp(string(media.TimeJump), s.Received)
		}
	}
	if in.plan == nil {
		in.await(s)
		return
	}
	changed := !s.Format.Equal(in.plan.tracks[0])
	switch {
	case s.Keyframe && (changed || in.due(s)):
		if !in.cut(s) {
			return
		}
	case changed: // no decoder can go on, and none can begin
		in.pause(string(media.NoKeyframe), s.Received)
		in.discard(s)
		return
	case s.Keyframe && in.part.span > 0 && !in.last.key, in.overdue(s):
		if in.part.next = s.DTS; !in.flush() {
			in.discard(s)
			return
		}
	}
	in.add(s)
}

// await begins a segment where nothing is being recorded, if it can.
func (in *intake) await(s *media.Sample) {
	if !s.Keyframe || in.dropping && !in.queue.roomy() {
		if in.dropping {
			in.discard(s)
		}
		return
	}
	in.dropping = false
	if !in.running {
		in.arrival, in.running = newArrival(s.Received, s.DTS, s.Format.ClockRate), true
		in.arrival.observe(s.DTS, s.Received)
	}
	if full := time.UnixMicro(in.floorUnix.Load()).UTC(); full.After(in.line.floor) {
		in.line.floor = full
	}
	start, ahead := in.line.start(in.arrival.at(s.DTS), false)
	in.begin(s, start, ahead)
	in.add(s)
}

// begin orders a new segment whose first sample is s.
func (in *intake) begin(s *media.Sample, start time.Time, ahead time.Duration) {
	p := &plan{start: start, ahead: ahead, tracks: []*media.Format{s.Format}, dts: s.DTS, pts: s.PTS}
	if in.o.Audio {
		if f := in.soundFormat(); f != nil {
			p.tracks = append(p.tracks, f)
			p.audio = in.sound.zero(s.DTS, s.Format, f)
		} else {
			in.unsent = p
		}
	}
	in.plan, in.part, in.cutSoon, in.began = p, partPool.Get().(*part), false, s.Received
	if in.sound.late != nil {
		in.sound.open = p
		return
	}
	if in.unsent == nil {
		in.queue.mustPut(item{open: p})
	}
}

// order tells the writer of a segment that waited to hear whether there is sound.
func (in *intake) order() {
	if in.unsent != nil {
		in.queue.mustPut(item{open: in.unsent})
		in.unsent = nil
	}
}

// due reports whether the segment ends before this keyframe.
func (in *intake) due(s *media.Sample) bool {
	if in.cutSoon || in.retry.Load() && s.Received.Sub(in.began) >= time.Second {
		return true
	}
	at := in.line.at(in.arrival.at(s.DTS))
	return at.Sub(in.plan.start) >= in.target || at.Truncate(24*time.Hour).After(in.plan.start)
}

// cut ends the segment where s begins the next.
func (in *intake) cut(s *media.Sample) bool {
	in.part.next = s.DTS
	if len(in.part.samples) > 0 && !in.flush() {
		in.discard(s)
		return false
	}
	jitter, ahead := in.arrival.jitter(), in.plan.ahead
	in.arrival.correct()
	m := in.arrival.at(s.DTS)
	end := in.line.at(m)
	if min := in.plan.start.Add(time.Millisecond); end.Before(min) {
		end = min
	}
	in.line.floor = end
	start, nextAhead := in.line.start(m, true)
	f := &finish{end: end, clockErr: jitter + ahead}
	if start.After(end) {
		f.reason = ClockStep
	}
	in.end(f)
	in.target = in.o.Target
	in.begin(s, start, nextAhead)
	return true
}

// end orders the end of the segment. One with sound that is followed at once
// stays open for what of its sound is still to come.
func (in *intake) end(f *finish) {
	in.order()
	sound := len(in.plan.tracks) > 1
	if in.part != nil {
		in.part.release()
	}
	in.part, in.plan = nil, nil
	in.sound.flush(in)
	if sound && f.reason == "" {
		in.sound.hold(f)
		return
	}
	in.queue.mustPut(item{finish: f})
}

// add takes a picture into the part, and sends the part off when another one
// would make it too long. It does not wait for that other: what is in memory is
// what a kill costs.
func (in *intake) add(s *media.Sample) {
	rate := int64(s.Format.ClockRate)
	step := int64(fmp4.Duration(s))
	if in.last.step > 0 {
		step = in.last.step
		if d := s.DTS - in.last.dts; d > 0 && d < 60*rate {
			step = d
		}
	}
	p := in.part
	if p.span == 0 {
		p.key = s.Keyframe
	}
	in.keep(s, span(s.DTS-in.plan.dts, rate))
	p.span += span(step, rate)
	in.last = picture{dts: s.DTS, step: step, rate: rate, key: s.Keyframe, received: s.Received}
	if p.span+span(step, rate)*3/4 > in.o.Part || p.full() {
		in.flush()
	}
}

func (p *part) full() bool { return p.bytes >= maxPartBytes || len(p.samples) >= maxPartSamples }

// keep takes a sample into the part, at a time from the segment's start.
func (in *intake) keep(s *media.Sample, at time.Duration) {
	s.Retain()
	if len(in.part.samples) == 0 {
		in.part.at = at
	}
	in.part.samples = append(in.part.samples, s)
	in.part.bytes += len(s.Data)
}

// overdue reports that the part has waited too long for s, whose camera is
// slower than its last pictures promised.
func (in *intake) overdue(s *media.Sample) bool {
	p := in.part
	return len(p.samples) > 0 && s.Received.Sub(p.samples[0].Received) > 2*in.o.Part
}

// flush hands the part to the writer, waiting for room. False means that it had
// to be discarded, and that the segment ended before it.
func (in *intake) flush() bool {
	in.order()
	in.sound.flush(in)
	p := in.part
	if in.queue.wait(item{part: p}, in.o.Stall, in.quit) {
		in.part = partPool.Get().(*part)
		return true
	}
	in.stalls.Add(1)
	end := in.plan.start.Add(max(p.at, time.Millisecond))
	f := &finish{end: end, clockErr: in.arrival.jitter() + in.plan.ahead, reason: DiskStalled}
	in.lost.Add(uint64(len(p.samples)))
	in.lostBytes.Add(uint64(p.bytes))
	p.release()
	in.part, in.plan = nil, nil
	in.line.floor = end
	in.queue.mustPut(item{finish: f})
	in.dropping = true
	return false
}

// discard counts a sample that cannot be kept.
func (in *intake) discard(s *media.Sample) {
	in.lost.Add(1)
	in.lostBytes.Add(uint64(len(s.Data)))
}

// pause ends the segment, if there is one, after its last sample.
func (in *intake) pause(reason string, at time.Time) {
	if in.plan == nil {
		in.queue.mustPut(item{note: &note{in.now(at), reason}})
		return
	}
	if len(in.part.samples) > 0 && !in.flush() {
		return
	}
	end := in.line.at(in.arrival.at(in.last.dts)).Add(span(in.last.step, in.last.rate))
	if min := in.plan.start.Add(time.Millisecond); end.Before(min) {
		end = min
	}
	in.line.floor = end
	in.end(&finish{end: end, clockErr: in.arrival.jitter() + in.plan.ahead, reason: reason})
}

// now is the point of the timeline at a moment at which nothing is recorded.
func (in *intake) now(at time.Time) time.Time {
	if in.line.wall.IsZero() {
		return in.line.real(at)
	}
	return in.line.at(at)
}

// Break ends the run.
func (in *intake) Break(reason media.Reason, at time.Time) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed {
		return
	}
	in.breakUp(string(reason), at)
	in.dropping = false
}

// breakUp ends the run: times begin anew.
func (in *intake) breakUp(reason string, at time.Time) {
	in.pause(reason, at)
	in.running, in.last, in.sound = false, picture{}, sound{format: in.sound.format}
}

// close ends everything: the open segment is finished, no sample is taken any more.
func (in *intake) close() {
	in.once.Do(func() { close(in.quit) })
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.closed {
		in.pause(string(media.Stopped), time.Now())
		in.closed = true
		in.queue.close()
	}
}

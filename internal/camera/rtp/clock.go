package rtp

import (
	"slices"
	"time"
)

// timeline turns a video track's 32-bit timestamps into times of a run. It is
// the receiver's clock: audio is laid along it.
//
// Timestamps are believed as long as they keep step with the arrival of the
// pictures. One picture hours away from its neighbours (Intelbras) is put
// between them. When the next ones agree with it instead, the camera's clock
// stepped: time goes on without a leap, and a new run begins at the next
// keyframe, so that no picture is lost. A clock that steps again and again, or
// does not move at the rate announced, is no longer asked: arrival is the time.
type timeline struct {
	rate    int64 // Hz
	started bool

	anchor time.Time // arrival, by the most punctual pictures of late, of time 0
	prev   uint32    // timestamp of the last picture, or where it should have been
	pts    int64     // of the last picture
	step   int64     // usual distance of pictures

	suspect   bool // the last picture did not fit
	suspectTS uint32
	suspectAt time.Time

	jumps     int
	byArrival bool

	windowEnd time.Time
	windowMin int64 // the least lag behind arrival in this window
	slow      int   // windows in a row in which the clock fell behind

	depth    int     // pictures of reordering
	learnt   bool    // that pictures are reordered though the stream does not say so
	possible int     // what the profile would allow where the stream says nothing
	seen     []int64 // presentation times not yet used for decoding times, sorted
	dts      int64
	running  bool // dts is of this run
	count    int  // pictures in this run
}

// What became of the clock with a picture.
type stepKind int

const (
	steady    stepKind = iota
	stepped            // the camera's clock stepped; a new run should begin
	reordered          // unannounced B-frames; a new run must begin
)

const (
	aheadLimit = 3 * time.Second // how far a picture's time may lie before its arrival
	window     = 5 * time.Second
	jumpLimit  = 3 // steps in a session before the camera's clock is given up
)

// setup says how fast timestamps run and how pictures may be reordered.
func (l *timeline) setup(rate int, fps float64, depth, possible int) {
	l.rate = int64(rate)
	if !l.started {
		l.step = l.rate / 25
		if fps >= 1 && fps <= 240 {
			l.step = int64(float64(l.rate) / fps)
		}
		l.step = max(l.step, 1)
	}
	if l.learnt {
		depth = max(depth, possible)
	}
	l.depth, l.possible = max(l.depth, depth), possible
}

func (l *timeline) ticks(d time.Duration) int64 {
	return int64(d/time.Microsecond) * l.rate / 1e6
}

// endRun forgets what the decoding times of a run depend on.
func (l *timeline) endRun() {
	l.running, l.count, l.seen = false, 0, l.seen[:0]
}

// stamp gives the picture with timestamp ts that arrived at now its times.
func (l *timeline) stamp(ts uint32, now time.Time) (pts, dts int64, kind stepKind) {
	if !l.started {
		l.started, l.prev = true, ts
		l.pts = int64(l.depth) * l.step
		l.anchor = now.Add(-time.Duration(l.pts * 1e9 / l.rate))
		l.windowEnd = now.Add(window)
		l.windowMin = 1 << 62
	} else {
		kind = l.advance(ts, now)
	}
	l.follow(now)
	if kind == reordered {
		return 0, 0, kind
	}
	return l.pts, l.decoding(), kind
}

// advance moves pts on by one picture.
func (l *timeline) advance(ts uint32, now time.Time) stepKind {
	arrived := l.ticks(now.Sub(l.anchor))
	if l.byArrival {
		l.prev, l.pts = ts, max(l.pts+1, arrived)
		return steady
	}
	d := int64(int32(ts - l.prev))
	back := min(l.rate/2, 17*l.step)
	if l.depth > 0 {
		back = min(2*l.rate, 17*l.step)
	}
	ahead := l.ticks(aheadLimit)
	if d >= -back && l.pts+d-arrived <= ahead {
		l.suspect = false
		if d < 0 && l.depth == 0 && l.possible > 0 && l.running {
			l.depth, l.learnt = l.possible, true
			l.prev, l.pts = ts, l.pts+d
			return reordered
		}
		if d > 0 && d < l.rate {
			l.step = max(1, (3*l.step+d)/4)
		}
		if l.depth == 0 {
			d = max(d, 1)
		}
		l.prev, l.pts = ts, l.pts+d
		return steady
	}
	if l.suspect {
		// Does it fit with the misfit before it?
		d := int64(int32(ts - l.suspectTS))
		if d >= -back && d <= l.ticks(now.Sub(l.suspectAt))+ahead {
			l.suspect = false
			l.prev, l.pts = ts, l.pts+max(d, 1)
			if l.jumps++; l.jumps >= jumpLimit {
				l.byArrival = true
			}
			return stepped
		}
	}
	// Put it where the next picture was due.
	l.suspect, l.suspectTS, l.suspectAt = true, ts, now
	l.prev += uint32(l.step)
	l.pts += l.step
	return steady
}

// follow compares the camera's clock with ours. Jitter only delays, so the most
// punctual picture of a window tells how far the two have drifted apart.
func (l *timeline) follow(now time.Time) {
	l.windowMin = min(l.windowMin, l.ticks(now.Sub(l.anchor))-l.pts)
	if now.Before(l.windowEnd) {
		return
	}
	if l.windowMin > l.ticks(aheadLimit) {
		if l.slow++; l.slow >= 2 {
			l.byArrival = true
		}
	} else {
		l.slow = 0
	}
	if !l.byArrival {
		l.anchor = l.anchor.Add(time.Duration(l.windowMin * 1e9 / l.rate))
	}
	l.windowEnd, l.windowMin = now.Add(window), 1<<62
}

// decoding finds the decoding time of the picture just stamped. With pictures
// reordered by at most n, the n-th last of the presentation times seen, in
// order, can no longer be undercut; handed out one a picture they rise strictly
// and never lie after the picture's own.
func (l *timeline) decoding() int64 {
	if l.depth == 0 {
		if l.running && l.pts <= l.dts {
			l.pts = l.dts + 1
		}
		l.dts, l.running = l.pts, true
		return l.dts
	}
	i, _ := slices.BinarySearch(l.seen, l.pts)
	l.seen = slices.Insert(l.seen, i, l.pts)
	next := l.seen[0] - int64(l.depth-l.count)*l.step
	if l.count >= l.depth {
		next = l.seen[0]
		l.seen = slices.Delete(l.seen, 0, 1)
	}
	l.count++
	if l.running && next <= l.dts {
		next = l.dts + 1
	}
	l.dts, l.running = next, true
	l.pts = max(l.pts, l.dts)
	return l.dts
}

// at is the time, in units of rate, of what arrives at now.
func (l *timeline) at(now time.Time, rate int64) int64 {
	return int64(now.Sub(l.anchor)/time.Microsecond) * rate / 1e6
}

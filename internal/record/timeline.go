package record

import "time"

// tolerance is how far the wall clock may move forward before that becomes a
// gap; small corrections of a disciplined clock stay below it.
const tolerance = 500 * time.Millisecond

// timeline gives points of time to what arrives. It follows the wall clock at its
// first point and the monotonic one from there, and never runs backwards:
//
//   - wall clock set forward: the next segment begins at the new time;
//   - wall clock set back: the timeline goes on, ahead of the clock, until a
//     pause in the recording lets it join the clock again;
//   - what the archive already holds is never begun again.
//
// Reception times carry a monotonic reading; they are the axis here.
type timeline struct {
	wallNow    func() time.Time
	floor      time.Time // nothing may begin before it
	wall, mono time.Time // a wall-clock time and the monotonic one it belongs to; zero before the first
}

// at is the point of the timeline at which something arrived at m.
func (t *timeline) at(m time.Time) time.Time { return t.wall.Add(m.Sub(t.mono)) }

// real is what the wall clock showed, or would have shown as it is set now, at m.
func (t *timeline) real(m time.Time) time.Time {
	return t.wallNow().Round(0).UTC().Add(-time.Since(m))
}

// start is where a segment begins whose first sample arrived at m, and by how
// much that is ahead of the wall clock. Going on means that no time was lost since
// the last segment.
func (t *timeline) start(m time.Time, goingOn bool) (at time.Time, ahead time.Duration) {
	real := t.real(m)
	switch {
	case t.wall.IsZero(), !goingOn, real.Sub(t.at(m)) > tolerance:
		t.wall, t.mono = real, m
	}
	if at = t.at(m); at.Before(t.floor) {
		t.wall, t.mono = t.floor, m
		at = t.floor
	}
	return at, max(at.Sub(real), 0)
}

// arrival smooths the times at which samples arrive: they come in bursts, but
// the camera's own clock says how far apart they were taken. It belongs to one run.
type arrival struct {
	anchor   time.Time // when the sample with DTS zero is taken to have arrived
	zero     int64
	rate     int64
	least    time.Duration // smallest delay seen against the anchor since the last correction
	sum      time.Duration
	observed int64
}

// Corrections: small ones are spread, a few milliseconds a segment, so that
// segments join without a visible seam; beyond the limit the camera's clock is simply
// wrong and is corrected at once.
const (
	correction      = 20 * time.Millisecond
	correctionLimit = 250 * time.Millisecond
)

func newArrival(at time.Time, dts int64, rate int) arrival {
	return arrival{anchor: at, zero: dts, rate: int64(max(rate, 1))}
}

// at is when a sample is taken to have arrived.
func (a *arrival) at(dts int64) time.Time { return a.anchor.Add(span(dts-a.zero, a.rate)) }

// observe notes how late a sample arrived against its place, and returns that.
func (a *arrival) observe(dts int64, received time.Time) time.Duration {
	late := received.Sub(a.at(dts))
	if a.observed == 0 || late < a.least {
		a.least = late
	}
	a.sum += late
	a.observed++
	return late
}

// jitter is how uncertain the smoothed times are: the pending correction and the
// mean delay over the smallest.
func (a *arrival) jitter() time.Duration {
	if a.observed == 0 {
		return 0
	}
	return a.least.Abs() + a.sum/time.Duration(a.observed) - a.least
}

// correct moves the anchor towards the least delayed arrivals and begins to
// observe anew.
func (a *arrival) correct() {
	step := a.least
	if step.Abs() <= correctionLimit {
		step = min(max(step, -correction), correction)
	}
	a.anchor = a.anchor.Add(step)
	a.least, a.sum, a.observed = 0, 0, 0
}

// span is n units of a clock rate as a duration, without overflow for any run a
// camera can have.
func span(n, rate int64) time.Duration {
	return time.Duration(n/rate)*time.Second + time.Duration(n%rate*int64(time.Second)/rate)
}

// units is the opposite of span.
func units(d time.Duration, rate int64) int64 {
	return int64(d/time.Second)*rate + int64(d%time.Second)*rate/int64(time.Second)
}

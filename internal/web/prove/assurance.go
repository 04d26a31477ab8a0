package prove

import (
	"time"

	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/ledger"
	"github.com/watchward/watchward/internal/policy"
)

// Tone is how a promise stands.
type Tone string

// The tones. Unknown is not between the others: it says that nobody looked.
const (
	Good    Tone = "good"    // fresh evidence bears it out
	Unknown Tone = "unknown" // no evidence, or none that is fresh
	Bad     Tone = "bad"     // evidence speaks against it
)

// The promises, in the order of the pages.
const (
	Sealed   = "sealed"    // nobody can watch but the readers
	PassedOn = "passed-on" // nothing leaves the camera network
	Logged   = "logged"    // who did what cannot be hidden
	Kept     = "kept"      // all was recorded, and is kept as the rule says
	MadeBy   = "made-by"   // who made the camera, and what the law asks of it
)

// Promises lists them in order.
func Promises() []string { return []string{Sealed, PassedOn, Logged, Kept, MadeBy} }

// Claim is how one promise stands for one camera. Code names the text that says
// why, and Args fill it in.
type Claim struct {
	Promise string         `json:"promise"`
	Tone    Tone           `json:"tone"`
	Code    string         `json:"code"`
	Args    map[string]any `json:"args,omitempty"`
	Since   time.Time      `json:"since,omitzero"` // from when on the evidence holds
	Seen    time.Time      `json:"seen,omitzero"`  // when it was last renewed
}

// facts are what is known of a camera at a moment.
type facts struct {
	now      time.Time
	readers  []estate.Reader
	dayKey   bool // today's is there, sealed
	timeline archive.Timeline
	from     time.Time // from when on gaps were looked for
	limit    estate.Retention
	held     int
	log      ledger.Status
	device   *estate.Device // nil: none is known for the camera
	findings []policy.Finding
}

// Bounds of fresh.
const (
	freshSegment = 5 * time.Minute  // a segment of a minute, committed late
	freshLog     = 5 * time.Minute  // a checkpoint a second where there is news
	freshWitness = 30 * time.Minute // asked every ten minutes without news
	freshDevice  = 400 * 24 * time.Hour
)

// claims judges all promises of one camera.
func (f facts) claims() []Claim {
	return []Claim{f.sealed(), f.passedOn(), f.logged(), f.kept(), f.madeBy()}
}

func (f facts) sealed() Claim {
	c := Claim{Promise: Sealed, Seen: f.timeline.Last}
	switch {
	case len(f.readers) == 0:
		c.Tone, c.Code = Bad, "no-readers"
	case f.timeline.Last.IsZero() || f.now.Sub(f.timeline.Last) > freshSegment:
		c.Tone, c.Code = Unknown, "sealed-nothing-new"
	case !f.dayKey:
		c.Tone, c.Code = Bad, "no-day-key"
	default:
		c.Tone, c.Code, c.Args = Good, "sealed-to", map[string]any{"n": len(f.readers)}
		for _, r := range f.readers {
			if r.Added.After(c.Since) {
				c.Since = r.Added
			}
		}
	}
	return c
}

// passedOn is never good yet: no guard of ours stands between the camera's wire
// and the world, so nobody looked.
func (f facts) passedOn() Claim { return Claim{Promise: PassedOn, Tone: Unknown, Code: "not-observed"} }

func (f facts) logged() Claim {
	c := Claim{Promise: Logged, Seen: f.log.Published}
	var newest time.Time
	for _, w := range f.log.Witnesses {
		if w.Alarm {
			c.Tone, c.Code, c.Args = Bad, "witness-alarm", map[string]any{"name": w.Name}
			return c
		}
		if w.At.After(newest) {
			newest = w.At
		}
	}
	switch {
	case f.log.Trouble != "":
		c.Tone, c.Code = Bad, "log-trouble"
	case f.log.Checkpoint.Size == 0 || f.log.Pending > 0 && f.now.Sub(f.log.Published) > freshLog:
		c.Tone, c.Code = Bad, "log-behind"
	case len(f.log.Witnesses) == 0:
		c.Tone, c.Code = Unknown, "no-witness"
	case f.now.Sub(newest) > freshWitness:
		c.Tone, c.Code = Unknown, "witness-silent"
	default:
		c.Tone, c.Code, c.Args, c.Seen = Good, "cosigned", map[string]any{"n": len(f.log.Witnesses)}, newest
	}
	return c
}

func (f facts) kept() Claim {
	c := Claim{Promise: Kept, Since: f.from, Seen: f.timeline.Last}
	var lost time.Duration
	reasons := map[string]bool{}
	for _, g := range f.timeline.Gaps {
		if g.Reason == archive.Expired { // deleted as the rule says
			continue
		}
		start, end := g.Start, g.End
		if start.Before(f.from) {
			start = f.from
		}
		if lost += max(end.Sub(start), 0); end.After(f.from) {
			reasons[g.Reason] = true
		}
	}
	switch {
	case f.timeline.Last.IsZero():
		c.Tone, c.Code = Unknown, "nothing-recorded"
	case f.now.Sub(f.timeline.Last) > freshSegment:
		c.Tone, c.Code = Bad, "stopped"
	case lost > 0:
		c.Tone, c.Code, c.Args = Bad, "gaps", map[string]any{"lost": lost, "reasons": sorted(reasons)}
	default:
		c.Tone, c.Code = Good, "no-gap"
		if f.timeline.First.After(c.Since) {
			c.Since = f.timeline.First
		}
	}
	if c.Args == nil {
		c.Args = map[string]any{}
	}
	c.Args["keep"], c.Args["held"] = f.limit.MaxAge, f.held
	return c
}

func (f facts) madeBy() Claim {
	c := Claim{Promise: MadeBy}
	if f.device == nil {
		c.Tone, c.Code = Unknown, "no-device"
		return c
	}
	i := f.device.Identification
	c.Seen = f.device.LastSeen
	c.Args = map[string]any{"maker": i.MakerName, "brand": i.Brand, "device": string(f.device.ID)}
	broken, open := 0, 0
	for _, x := range f.findings {
		if x.State != policy.StateOpen {
			continue
		}
		if open++; x.Force == policy.Must {
			broken++
		}
	}
	switch {
	case broken > 0:
		c.Tone, c.Code, c.Args["n"] = Bad, "finding-must", broken
	case i.Confidence.Rank() < estate.VeryLikely.Rank():
		c.Tone, c.Code = Unknown, "maker-unknown"
	case f.now.Sub(f.device.LastSeen) > freshDevice:
		c.Tone, c.Code = Unknown, "seen-long-ago"
	case open > 0:
		c.Tone, c.Code, c.Args["n"] = Unknown, "finding-open", open
	default:
		c.Tone, c.Code = Good, "made-by"
	}
	return c
}

// tally counts how one promise stands over many cameras.
type tally struct {
	Promise            string
	Good, Unknown, Bad int
}

// All is how many were counted.
func (t tally) All() int { return t.Good + t.Unknown + t.Bad }

// NotBad is where the bad ones begin in a bar.
func (t tally) NotBad() int { return t.Good + t.Unknown }

// Tone is the gravest of them; good only when all are.
func (t tally) Tone() Tone {
	switch {
	case t.Bad > 0:
		return Bad
	case t.Unknown > 0 || t.All() == 0:
		return Unknown
	}
	return Good
}

// tallies counts promise by promise.
func tallies(rows []cameraRow) []tally {
	out := make([]tally, 0, len(Promises()))
	for i, promise := range Promises() {
		t := tally{Promise: promise}
		for _, r := range rows {
			switch r.Claims[i].Tone {
			case Good:
				t.Good++
			case Bad:
				t.Bad++
			default:
				t.Unknown++
			}
		}
		out = append(out, t)
	}
	return out
}

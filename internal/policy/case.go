package policy

import (
	"time"

	"github.com/watchward/watchward/internal/estate"
)

// Case is one device on one site of one body on one day. Empty fields are not
// known, and not knowing never clears a device and never accuses one.
type Case struct {
	Maker      string            // ID in the graph of makers
	Brand      string            // name on the badge
	Confidence estate.Confidence // of Maker
	BadgeOnly  bool              // Maker rests on the badge's word alone
	Model      string
	Kind       estate.Kind
	Body       string // body type, such as "uk.central-department"
	SiteClass  SiteClass
	Network    Network
	// Purposes the device serves, such as "government-facilities". Nil is not
	// known; empty but not nil is none of those that rules speak of.
	Purposes []string
	// Certificates the device has, such as "in-stqc". Nil is not known.
	Certificates []string
	// Deployed is when the device was put there; zero: it is not there yet, and
	// the question is whether it may be.
	Deployed time.Time
	// There says that the device is there though nobody knows since when:
	// whether it came after a rule is then an open question.
	There bool
	On    time.Time // required: the day that is judged
}

// Verdict is what one clause asks of one device on one day.
type Verdict struct {
	Restriction string `json:"restriction"` // [Restriction.ID]
	Clause      string `json:"clause"`      // [Clause.ID]
	Action      Action `json:"action"`
	Force       Force  `json:"force"`
	// Broken: as things are on that day, what is asked is not done. With a
	// must it is a breach, with a should an open question.
	Broken bool      `json:"broken"`
	Since  time.Time `json:"since"`        // first day of the clause
	Due    time.Time `json:"due,omitzero"` // by when it must be done
	Source string    `json:"source"`       // name of the source, with its address where it is known
	Why    []Reason  `json:"why"`          // one for each condition of the clause
	// WouldChange is what would make the answer another one.
	WouldChange []Change `json:"would_change,omitempty"`
}

// Reason is why, as a code and what it speaks of; [Say] puts it into words.
type Reason struct {
	Code string            `json:"code"`
	Args map[string]string `json:"args,omitempty"`
	// Holds: this condition of the clause is met ("yes"), not met ("no"), or
	// not known ("unknown"). Empty for remarks.
	Holds Truth `json:"holds,omitempty"`
}

// Truth is yes, no, or not known.
type Truth string

// The three truths.
const (
	Yes      Truth = "yes"
	No       Truth = "no"
	NotKnown Truth = "unknown"
)

// Change is one thing that would make a verdict another one.
type Change struct {
	Code string            `json:"code"`
	Args map[string]string `json:"args,omitempty"`
	// Then is the force afterwards; empty where it takes the other changes too.
	Then Force `json:"then,omitempty"`
}

// Broken returns those verdicts that are broken with a given force.
func Broken(verdicts []Verdict, f Force) []Verdict {
	var out []Verdict
	for _, v := range verdicts {
		if v.Broken && v.Force == f {
			out = append(out, v)
		}
	}
	return out
}

// Gravest returns the highest force among verdicts.
func Gravest(verdicts []Verdict) Force {
	top := None
	for _, v := range verdicts {
		if v.Force.Rank() > top.Rank() {
			top = v.Force
		}
	}
	return top
}

package makers

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// ChinaIntelligenceLaw is the PRC National Intelligence Law of 2017, whose
// articles 7 and 14 the United Kingdom's instruction points at.
const ChinaIntelligenceLaw = "CN-NIL"

// law is one that [Graph.Subject] can be asked about.
type law struct {
	id, jurisdiction, name string
	since                  time.Time
}

func lawNamed(id string) (law, bool) {
	known := []law{{ChinaIntelligenceLaw, "CN", "National Intelligence Law of the PRC", time.Date(2017, 6, 28, 0, 0, 0, 0, time.UTC)}}
	i := slices.IndexFunc(known, func(l law) bool { return strings.EqualFold(l.id, id) })
	if i < 0 {
		return law{}, false
	}
	return known[i], true
}

// Subjection says how closely a maker is bound to a country's law. The grades
// are tests, not a list: nobody publishes one.
type Subjection struct {
	// Grade 1: seated in that country. 2: a company abroad that such a one
	// controls. 3: a badge from abroad on a device that such a one made.
	// 4: a company abroad that only has its factory there: not caught by this
	// test. 5: who owns it is disputed. 0: none of these.
	Grade int    `json:"grade"`
	Why   string `json:"why"`
	// Verified: each fact that the answer rests on has been read somewhere.
	Verified bool     `json:"verified"`
	Sources  []string `json:"sources"`
	// NeedsDecision: no program may answer this alone. A person does, and is on
	// record.
	NeedsDecision bool `json:"needs_decision"`
}

// Subject says whether a maker was subject to a law on a day. A maker or a law
// that nobody described needs a decision: not knowing never clears. The zero
// time asks about what is known last.
func (g *Graph) Subject(maker, law string, on time.Time) Subjection {
	l, ok := lawNamed(law)
	if !ok {
		return Subjection{Why: fmt.Sprintf("law %q is not described here", law), NeedsDecision: true}
	}
	m, ok := g.Maker(maker)
	switch {
	case !ok:
		return Subjection{Why: fmt.Sprintf("maker %q is not described here", maker), NeedsDecision: true}
	case !on.IsZero() && on.Before(l.since):
		return Subjection{Why: fmt.Sprintf("the %s was not in force before %s", l.name, l.since.Format(time.DateOnly)), Verified: true, Sources: []string{"reference, section 4.1, CN-NIL"}}
	case !m.disputed.IsZero() && (on.IsZero() || !on.Before(m.disputed)):
		return Subjection{Grade: 5, Why: m.Note, Verified: m.Verified, Sources: m.Sources, NeedsDecision: true}
	case m.Jurisdiction == l.jurisdiction:
		return Subjection{Grade: 1, Why: fmt.Sprintf("%s has its seat in %s", m.Legal, m.Jurisdiction), Verified: m.Verified, Sources: m.Sources}
	}
	return g.subjectByOwner(m, l.jurisdiction, on)
}

// subjectByOwner looks up the chain of owners.
func (g *Graph) subjectByOwner(m Maker, jurisdiction string, on time.Time) Subjection {
	type step struct {
		id       string
		why      string
		sources  []string
		verified bool
	}
	seen := map[string]bool{m.ID: true}
	owners := on
	for queue := []step{{id: m.ID, verified: true}}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		for _, o := range g.Owners(at.id, owners) {
			// Of all of history, only what still holds answers "what is known last".
			if on.IsZero() && !o.Until.IsZero() || seen[o.Owner] {
				continue
			}
			seen[o.Owner] = true
			owner, _ := g.Maker(o.Owner)
			next := step{id: o.Owner, why: at.why + fmt.Sprintf("%s is controlled by %s (%s)", g.name(at.id), owner.Legal, owner.Jurisdiction), sources: append(slices.Clone(at.sources), o.Sources...), verified: at.verified && o.Verified}
			if owner.Jurisdiction == jurisdiction {
				return Subjection{Grade: 2, Why: next.why, Verified: next.verified, Sources: next.sources, NeedsDecision: true}
			}
			next.why += ", "
			queue = append(queue, next)
		}
	}
	return Subjection{Why: fmt.Sprintf("%s has its seat in %s", m.Legal, m.Jurisdiction), Verified: m.Verified, Sources: m.Sources}
}

func (g *Graph) name(id string) string {
	m, _ := g.Maker(id)
	return m.Name
}

// SubjectDevice answers for a device: its maker's grade, but 3 where the badge
// is another company's from abroad and the maker has its seat there. What bears
// a law's consequences is who made the device, so a rule that asks for makers
// of grade 1 counts 3 as well.
func (g *Graph) SubjectDevice(brand, maker, law string, on time.Time) Subjection {
	s := g.Subject(maker, law, on)
	if s.Grade != 1 || brand == "" {
		return s
	}
	m, _ := g.Maker(maker)
	own := g.Relations(brand, time.Time{})
	foreign := len(own) > 0
	for _, r := range own {
		if r.Maker == maker && (r.Kind == Own || r.Kind == Former) {
			return s
		}
		seat, _ := g.Maker(r.Maker)
		foreign = foreign && (r.Kind == OEMMost || r.Kind == OEMSome || seat.Jurisdiction != m.Jurisdiction)
	}
	if !foreign {
		return s
	}
	s.Grade = 3
	s.Why = fmt.Sprintf("sold as %s, made by %s: %s", brand, m.Name, s.Why)
	return s
}

package policy

import (
	"slices"
	"time"

	"github.com/watchward/watchward/internal/identify/makers"
)

// Makers is what judging must know of who makes devices: the graph of
// identify/makers by [Graph], or a few made-up companies in a test.
type Makers interface {
	// Facts returns what is known on a day of a maker, and of what it makes under
	// a badge; false where the ID is of none. It asks about the given laws.
	Facts(maker, brand string, laws []string, on time.Time) (MakerFacts, bool)
	// Name is a maker's usual name, "" where the ID is of none.
	Name(maker string) string
	// Sellers are the makers that sell what they make under a name of their own,
	// and whose seat was verified, by ID.
	Sellers(on time.Time) []string
	// Named finds a maker by its ID or name, however written.
	Named(text string) (id string, ok bool)
	// Badge says who makes what is sold under a badge on a day, and whether
	// nobody else does, so that the badge settles it as far as a name can.
	Badge(brand string, on time.Time) (maker string, alone, ok bool)
	// Version names the data.
	Version() string
}

// MakerFacts is one maker on one day.
type MakerFacts struct {
	ID, Name      string
	Jurisdiction  string   // seat: ISO 3166 code; "" where nobody verified it
	Owners        []string // IDs, nearest first
	Affiliates    []string // IDs of other companies of the group, owners included
	Unverified    []string // IDs that belong to the group by general knowledge only
	Jurisdictions []string // its own seat and those of its owners
	Subject       map[string]Subjection
}

// Subjection says whether a maker is subject to a law, and by which grade of
// the test: docs/reference/restrictions.md lists them.
type Subjection struct {
	Grade  int // 1 seat, 2 foreign subsidiary, 3 made by such a one, 4 factory only, 5 disputed; 0 no test met
	Holds  Truth
	Why    string // in a sentence of the data
	Source string
	// Open says why Holds is [NotKnown]: "decision" or "verify".
	Open string
	// Decision is by whom a question that needs a decision was decided here.
	Decision *Decision
}

// Graph makes the graph of makers answer.
func Graph(g *makers.Graph) Makers { return graph{g} }

type graph struct{ *makers.Graph }

// Name returns a maker's usual name.
func (g graph) Name(maker string) string {
	m, _ := g.Maker(maker)
	return m.Name
}

// Sellers lists makers with a brand of their own.
func (g graph) Sellers(on time.Time) []string {
	var ids []string
	for _, brand := range g.Brands() {
		for _, r := range g.Relations(brand, on) {
			m, _ := g.Maker(r.Maker)
			if r.Kind == makers.Own && r.Verified && m.Verified && !slices.Contains(ids, m.ID) {
				ids = append(ids, m.ID)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

// Named finds a maker.
func (g graph) Named(text string) (string, bool) {
	if m, ok := g.Maker(text); ok {
		return m.ID, true
	}
	m, ok := g.MakerNamed(text)
	return m.ID, ok
}

// Badge prefers who makes most of it to who owns the name: a name is no proof
// that its owner builds anything.
func (g graph) Badge(brand string, on time.Time) (maker string, alone, ok bool) {
	relations := g.Relations(brand, on)
	alone = true
	for _, r := range relations {
		if maker == "" || r.Kind == makers.OEMMost {
			maker = r.Maker
		}
		alone = alone && r.Maker == relations[0].Maker && (r.Kind == makers.Own || r.Kind == makers.Subsidiary)
	}
	return maker, alone && maker != "", maker != ""
}

// Facts asks the graph.
func (g graph) Facts(maker, brand string, laws []string, on time.Time) (MakerFacts, bool) {
	m, ok := g.Maker(maker)
	if !ok {
		return MakerFacts{}, false
	}
	f := MakerFacts{ID: m.ID, Name: m.Name, Subject: make(map[string]Subjection, len(laws))}
	if m.Verified {
		f.Jurisdiction = m.Jurisdiction
		f.Jurisdictions = []string{m.Jurisdiction}
	}
	f.Owners = g.chain(maker, on)
	sure := g.sure(maker, on)
	for _, a := range g.Affiliates(maker, on) {
		if sure[a.ID] {
			f.Affiliates = append(f.Affiliates, a.ID)
		} else {
			f.Unverified = append(f.Unverified, a.ID)
		}
	}
	for _, o := range f.Owners {
		if owner, _ := g.Maker(o); owner.Verified && !slices.Contains(f.Jurisdictions, owner.Jurisdiction) {
			f.Jurisdictions = append(f.Jurisdictions, owner.Jurisdiction)
		}
	}
	for _, law := range laws {
		f.Subject[law] = subjection(g.SubjectDevice(brand, maker, law, on))
	}
	return f, true
}

// subjection reads the graph's answer. What it rests on general knowledge for
// must neither bind nor clear.
func subjection(s makers.Subjection) Subjection {
	out := Subjection{Grade: s.Grade, Holds: No, Why: s.Why}
	if len(s.Sources) > 0 {
		out.Source = s.Sources[0]
	}
	switch {
	case s.NeedsDecision:
		out.Holds, out.Open = NotKnown, "decision"
	case !s.Verified:
		out.Holds, out.Open = NotKnown, "verify"
	case s.Grade == 1 || s.Grade == 3:
		out.Holds = Yes
	}
	return out
}

// chain lists verified owners, nearest first.
func (g graph) chain(maker string, on time.Time) []string {
	var found []string
	for queue := []string{maker}; len(queue) > 0; queue = queue[1:] {
		for _, o := range g.Owners(queue[0], on) {
			if o.Verified && o.Owner != maker && !slices.Contains(found, o.Owner) {
				found = append(found, o.Owner)
				queue = append(queue, o.Owner)
			}
		}
	}
	return found
}

// sure is the part of the group that verified owners alone hold together.
func (g graph) sure(maker string, on time.Time) map[string]bool {
	links := map[string][]string{}
	all := []string{maker}
	for _, a := range g.Affiliates(maker, on) {
		all = append(all, a.ID)
	}
	for _, id := range all {
		for _, o := range g.Owners(id, on) {
			if o.Verified {
				links[id] = append(links[id], o.Owner)
				links[o.Owner] = append(links[o.Owner], id)
			}
		}
	}
	seen := map[string]bool{maker: true}
	for queue := []string{maker}; len(queue) > 0; queue = queue[1:] {
		for _, next := range links[queue[0]] {
			if !seen[next] {
				seen[next] = true
				queue = append(queue, next)
			}
		}
	}
	return seen
}

// Decision is what a body decided of a maker whose subjection is disputed, or
// needs a legal view. It is the body's, not ours: it says who, when and why.
type Decision struct {
	Maker   string `json:"maker"`
	Law     string `json:"law"`
	Subject bool   `json:"subject"`
	By      string `json:"by"`
	On      Date   `json:"on"`
	Until   Date   `json:"until,omitzero"` // the last day it holds
	Reason  string `json:"reason"`
}

// holds says whether the decision was made by a day, and still holds on it.
func (d Decision) holds(on time.Time) bool {
	return !on.Before(d.On.Time) && (d.Until.IsZero() || !on.After(d.Until.Time))
}

func (m *MakerFacts) parent() string {
	if len(m.Owners) == 0 {
		return ""
	}
	return m.Owners[0]
}

func (m *MakerFacts) group() []string {
	return slices.Concat([]string{m.ID}, m.Affiliates)
}

// decide applies the decisions that hold on a day to what needs one. The last
// is the one that holds.
func (m *MakerFacts) decide(decisions []Decision, on time.Time) {
	for _, d := range decisions {
		s, ok := m.Subject[d.Law]
		if !ok || d.Maker != m.ID || s.Open != "decision" || !d.holds(on) {
			continue
		}
		if s.Decision == nil || !d.On.Before(s.Decision.On.Time) {
			s.Decision, s.Holds = &d, No
			if d.Subject {
				s.Holds = Yes
			}
			m.Subject[d.Law] = s
		}
	}
}

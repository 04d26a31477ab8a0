package identify

import (
	"slices"
	"strings"

	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/identify/fingerprints"
)

// weight is what speaks for one maker.
type weight struct {
	maker string
	// A, and the families that speak for it with grade B.
	settles  bool
	families []string
	// hint is the best of what is left: 2 for a C, 1 for a badge; hints are the
	// families of C.
	hint   int
	hints  []string
	badges int
	oui    bool // its own hardware address
	// names are the observations with its badge, or that of a brand that it makes
	// most of; strong those with grade A or B.
	names, strong []string
	reasons       []estate.Reason
}

// confidence is how far this goes, were there no other maker.
func (w *weight) confidence() estate.Confidence {
	switch {
	case w.settles:
		return estate.Identified
	case w.strength() >= 2:
		return estate.VeryLikely
	case len(w.families) > 0 || w.hint > 0:
		return estate.Hint
	}
	return estate.Unknown
}

// strength counts the independent families. A hardware address or a badge is too
// weak to stand, and strong enough to confirm one that stands.
func (w *weight) strength() int {
	n := len(w.families)
	if n == 0 {
		return 0
	}
	if w.oui && !slices.Contains(w.families, fingerprints.FamilyOUI) {
		n++
	}
	if w.named() {
		n++
	}
	return n
}

// named says whether a badge confirms: one that stands elsewhere than in the
// bytes that it is to confirm.
func (w *weight) named() bool {
	return slices.ContainsFunc(w.names, func(name string) bool {
		return slices.ContainsFunc(w.strong, func(s string) bool { return s != name })
	})
}

// rank orders makers by what speaks for them.
func (w *weight) rank() int {
	switch {
	case w.settles:
		return 1000
	case len(w.families) > 0:
		return 20 * w.strength()
	case w.hint == 2:
		// What hints twice, or agrees with the badge, hints more.
		return 2*min(len(w.hints), 9) + min(w.badges, 1)
	}
	return w.hint
}

// weigh sorts the findings by maker, the best first, and by name where they are
// equal, so that the order of evidence does not matter.
func (c *conclusion) weigh() []*weight {
	var weights []*weight
	for _, f := range c.findings {
		r := f.reason
		if r.Maker == "" || r.Grade == string(fingerprints.F) || f.mixed && !c.video {
			continue
		}
		i := slices.IndexFunc(weights, func(w *weight) bool { return w.maker == r.Maker })
		if i < 0 {
			weights = append(weights, &weight{maker: r.Maker})
			i = len(weights) - 1
		}
		weights[i].add(f, c.engine.badges)
	}
	slices.SortFunc(weights, func(a, b *weight) int {
		if d := b.rank() - a.rank(); d != 0 {
			return d
		}
		return strings.Compare(a.maker, b.maker)
	})
	return weights
}

func (w *weight) add(f finding, b badges) {
	r := f.reason
	w.reasons = append(w.reasons, r)
	switch fingerprints.Grade(r.Grade) {
	case fingerprints.A, fingerprints.B:
		w.settles = w.settles || r.Grade == string(fingerprints.A)
		w.strong = append(w.strong, f.value)
		w.family(r.Family)
	case fingerprints.C:
		w.hint = max(w.hint, 2)
		if !slices.Contains(w.hints, r.Family) {
			w.hints = append(w.hints, r.Family)
		}
		w.oui = w.oui || r.Family == fingerprints.FamilyOUI
	case fingerprints.Badge:
		w.hint = max(w.hint, 1)
		w.badges++
		w.oui = w.oui || r.Family == fingerprints.FamilyOUI && b.own(r.Brand, w.maker)
		if b.confirms(r.Brand, w.maker) {
			w.names = append(w.names, f.value)
		}
	}
}

func (w *weight) family(name string) {
	if !slices.Contains(w.families, name) {
		w.families = append(w.families, name)
	}
}

// conclude weighs all and answers.
func (c *conclusion) conclude() estate.Identification {
	weights := c.weigh()
	id := estate.Identification{
		Brand: c.brand(), Model: c.plain.Model, Firmware: c.plain.Firmware, Serial: c.plain.Serial,
		Kind: c.kind(), Confidence: estate.Unknown, Because: []estate.Reason{}, Data: c.engine.version,
	}
	c.details(&id)
	if len(weights) > 0 && !(id.Kind == estate.KindOther && !weights[0].settles) {
		c.decide(&id, weights)
	}
	// What misleads, and what says that it is no camera, is listed as well.
	for _, f := range c.findings {
		if f.reason.Maker == "" {
			id.Because = append(id.Because, f.reason)
		}
	}
	return id
}

// decide names the maker, unless two claim it with equal right.
func (c *conclusion) decide(id *estate.Identification, weights []*weight) {
	best := weights[0]
	rivals := weights[1:]
	tie := len(rivals) > 0 && (best.settles && rivals[0].settles ||
		!best.settles && rivals[0].rank() == best.rank() ||
		!best.settles && best.strength() >= 2 && rivals[0].strength() >= 2)
	if tie {
		id.Because = best.reasons
		for _, r := range rivals {
			if r.rank() == best.rank() || r.settles || r.strength() >= 2 {
				id.Conflicts = append(id.Conflicts, r.reasons...)
			}
		}
		return
	}
	id.Maker = best.maker
	m, _ := c.engine.data.Makers.Maker(best.maker)
	id.MakerName = m.Name
	id.Confidence = best.confidence()
	id.Because = best.reasons
	id.BadgeOnly = len(best.families) == 0 && best.hint == 1
	for _, r := range rivals {
		// A badge that is another's is the usual case of a rebrand, no conflict.
		if len(r.families) > 0 {
			id.Conflicts = append(id.Conflicts, r.reasons...)
		}
	}
	// Two strong signals of one maker against one of another are shown, and do
	// not decide.
	if id.Confidence == estate.VeryLikely && len(id.Conflicts) > 0 {
		id.Confidence = estate.Hint
	}
	slices.SortStableFunc(id.Because, func(a, b estate.Reason) int { return gradeRank(a.Grade) - gradeRank(b.Grade) })
}

func gradeRank(grade string) int {
	return slices.Index([]string{"A", "B", "C", "badge", "F"}, grade)
}

// brand is the name on the badge: what the manufacturer's field says, or else
// the name that a fingerprint knows or saw.
func (c *conclusion) brand() string {
	best, at := "", 99
	for _, f := range c.findings {
		r := f.reason
		if r.Brand == "" || r.Grade == string(fingerprints.F) {
			continue
		}
		rank := 2
		switch {
		case r.Fingerprint == badgeManufacturer:
			rank = 0
		case r.Family != fingerprints.FamilyOUI && r.Grade != string(fingerprints.Badge):
			rank = 1
		case r.Family == fingerprints.FamilyOUI:
			rank = 4
		case c.engine.badges.past(r.Brand):
			// Firmware keeps old names: Samsung's stand in today's Hanwha.
			rank = 3
		}
		if rank < at {
			best, at = r.Brand, rank
		}
	}
	return best
}

// kind is what the best fingerprint that knows says the device is for. That it
// is no video equipment counts only where nothing strong says that it is.
func (c *conclusion) kind() estate.Kind {
	best, at := "", 99
	other := false
	for _, f := range c.findings {
		switch {
		case f.kind == "other":
			other = true
		case f.kind != "":
			if rank := gradeRank(f.reason.Grade); rank < at {
				best, at = f.kind, rank
			}
		}
	}
	strong := slices.ContainsFunc(c.findings, func(f finding) bool {
		return f.kind != "other" && (f.reason.Grade == string(fingerprints.A) || f.reason.Grade == string(fingerprints.B) && f.kind != "")
	})
	if other && !strong {
		return estate.KindOther
	}
	return estate.Kind(best)
}

// details fills in what fingerprints captured, the best first.
func (c *conclusion) details(id *estate.Identification) {
	for _, f := range c.findings {
		for _, pair := range []struct {
			to   *string
			from string
		}{{&id.Model, f.model}, {&id.Firmware, f.firmware}, {&id.Serial, f.serial}} {
			if *pair.to == "" {
				*pair.to = pair.from
			}
		}
	}
	if id.Model == "" {
		id.Model = c.hardware
	}
}

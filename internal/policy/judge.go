package policy

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/estate"
)

// Judge returns what each clause of the catalogue asks of a device, in the
// order of [Catalogue.Restrictions]: also [None], with why not. It is pure: the
// same case and catalogue give the same verdicts. Who judges many devices uses
// a [Cache].
func (c *Catalogue) Judge(cs Case) []Verdict {
	cs = cs.normal()
	verdicts := c.judge(cs, c.frame(cs), c.maker(cs))
	c.setBroken(verdicts, cs)
	return verdicts
}

// frame is what can be said of all clauses without looking at maker, site,
// purpose and network: by far most are settled by whom they oblige, and since
// when.
type frame struct {
	verdicts []Verdict
	live     []openClause
}

// openClause is a clause that a frame leaves open.
type openClause struct {
	at      int // in verdicts
	force   Force
	reasons []Reason
}

func (c *Catalogue) frame(cs Case) *frame {
	j := judging{c: c, cs: cs}
	f := &frame{verdicts: make([]Verdict, len(c.clauses))}
	for i, cl := range c.clauses {
		force, body := j.body(cl)
		reasons := []Reason{j.time(cl), body}
		if r := j.equipment(cl); r.Code != "" {
			reasons = append(reasons, r)
		}
		if !asksOwner(cl) {
			reasons = append(reasons, Reason{Code: "asks-no-owner-" + string(cl.of.Concerns), Holds: No})
		}
		f.verdicts[i] = Verdict{
			Restriction: cl.of.ID, Clause: cl.ID, Action: cl.Action, Force: None,
			Since: cl.since, Due: cl.Due.Time, Source: cl.of.Source.String(), Why: reasons,
		}
		if settle(reasons, force) == None {
			f.verdicts[i].WouldChange = j.changes(cl, None, reasons, "")
			continue
		}
		f.live = append(f.live, openClause{i, force, reasons})
	}
	return f
}

// maker looks up who made the device; nil where nobody knows.
func (c *Catalogue) maker(cs Case) *MakerFacts {
	if cs.Maker == "" {
		return nil
	}
	m, ok := c.makers.Facts(cs.Maker, cs.Brand, c.laws, cs.On)
	if !ok {
		return nil
	}
	m.decide(c.decisions, cs.On)
	return &m
}

// judge settles what the frame leaves open; Broken is set by [Catalogue.setBroken].
func (c *Catalogue) judge(cs Case, f *frame, m *MakerFacts) []Verdict {
	j := judging{c: c, cs: cs, maker: m}
	verdicts := slices.Clone(f.verdicts)
	for _, open := range f.live {
		j.clause(c.clauses[open.at], open, &verdicts[open.at])
	}
	return verdicts
}

// setBroken compares with when the device was put there.
func (c *Catalogue) setBroken(verdicts []Verdict, cs Case) {
	p := presence{network: cs.Network, deployed: cs.Deployed, on: cs.On}
	p.unknown = cs.There && cs.Deployed.IsZero()
	p.isNew = !p.unknown && (cs.Deployed.IsZero() || cs.Deployed.After(cs.On))
	for i := range verdicts {
		v := &verdicts[i]
		if v.Force != Must && v.Force != Should {
			continue
		}
		v.Broken = c.clauses[i].broken(p)
		if p.unknown && actions[v.Action] == byComing {
			v.Why = append(slices.Clone(v.Why), Reason{Code: "deployed-unknown"})
			v.WouldChange = append(slices.Clone(v.WouldChange), Change{Code: "give-deployed"})
		}
	}
}

// normal brings a case to whole days, and what it cannot mean to not known.
func (cs Case) normal() Case {
	cs.On = day(cs.On)
	if !cs.Deployed.IsZero() {
		cs.Deployed = day(cs.Deployed)
	}
	if cs.SiteClass != SiteSensitive && cs.SiteClass != SiteOrdinary {
		cs.SiteClass = SiteUndetermined
	}
	if cs.Network != NetworkCore && cs.Network != NetworkIsolated {
		cs.Network = NetworkUnknown
	}
	if cs.Maker == "" {
		cs.Confidence = estate.Unknown
	}
	return cs
}

func day(t time.Time) time.Time {
	y, m, d := t.UTC().Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// judging is one case while it is judged.
type judging struct {
	c     *Catalogue
	cs    Case
	maker *MakerFacts // nil: not known
	facts [2]*facts   // of a maker that is not known well enough, and of one that is
}

// known gathers the facts of the case for an instrument, most of them once.
func (j *judging) known(sure bool, names []string) facts {
	i := 0
	if sure {
		i = 1
	}
	if j.facts[i] == nil {
		f := factsOf(j.cs, j.maker, sure)
		j.facts[i] = &f
	}
	return j.facts[i].named(names)
}

// clause judges one clause: each condition is met, not met, or not known. One
// that is not met settles it; else one that is not known leaves it open.
func (j *judging) clause(cl *Clause, open openClause, v *Verdict) {
	reasons := append(slices.Clone(open.reasons), j.site(cl))
	if r := j.purpose(cl); r.Code != "" {
		reasons = append(reasons, r)
	}
	reasons = append(reasons, j.match(cl)...)
	if cl.Action == NotOnCoreNetwork {
		reasons = append(reasons, j.network())
	}
	v.Force, v.Why = settle(reasons, open.force), reasons
	v.WouldChange = j.changes(cl, v.Force, reasons, open.force)
}

// asksOwner is false for what only regulates exports: whoever has such a camera
// is asked nothing by it, whatever else it does.
func asksOwner(cl *Clause) bool { return cl.of.Concerns != ConcernsExport }

func settle(reasons []Reason, force Force) Force {
	open := false
	for _, r := range reasons {
		switch r.Holds {
		case No:
			return None
		case NotKnown:
			open = true
		}
	}
	if open {
		return Undetermined
	}
	return force
}

// String names the source, with its address where it is known.
func (s Source) String() string {
	if s.URL == "" {
		return s.Name
	}
	return s.Name + ", " + s.URL
}

func (j *judging) time(cl *Clause) Reason {
	r := cl.of
	since, until := cl.since.Format(time.DateOnly), cl.until.Format(time.DateOnly)
	switch {
	case !r.Verified.Binds():
		return Reason{Code: "unverified", Holds: No}
	case r.Status == Proposal:
		return Reason{Code: "proposal", Holds: No}
	case j.cs.On.Before(cl.since):
		return Reason{Code: "not-yet-in-force", Holds: No, Args: args("since", since)}
	case !cl.until.IsZero() && j.cs.On.After(cl.until) && r.Superseded != "":
		return Reason{Code: "superseded", Holds: No, Args: args("until", until, "by", r.Superseded)}
	case !cl.until.IsZero() && j.cs.On.After(cl.until):
		return Reason{Code: "ended", Holds: No, Args: args("until", until)}
	}
	return Reason{Code: "in-force", Holds: Yes, Args: args("since", since)}
}

// body returns the force for the case's body, too.
func (j *judging) body(cl *Clause) (Force, Reason) {
	b := j.c.words.bodies[j.cs.Body]
	switch {
	case b == nil && j.cs.Body == "":
		return cl.Force, Reason{Code: "body-not-given", Holds: NotKnown, Args: args("known", j.c.bodyList())}
	case b == nil:
		return cl.Force, Reason{Code: "body-unknown", Holds: NotKnown, Args: args("body", clipped(j.cs.Body), "known", j.c.bodyList())}
	case j.c.asIf[cl.of.ID]:
		return cl.Force, Reason{Code: "body-as-if", Holds: Yes, Args: args("body", b.ID)}
	case cl.obliged[b.ID]:
		return cl.Force, Reason{Code: "body-obliged", Holds: Yes, Args: args("body", b.ID)}
	case cl.follow[b.ID]:
		return May, Reason{Code: "body-may-follow", Holds: Yes, Args: args("body", b.ID)}
	}
	return cl.Force, Reason{Code: "body-not-addressed", Holds: No, Args: args("body", b.ID)}
}

func (c *Catalogue) bodyList() string {
	ids := make([]string, 0, len(c.header.Bodies))
	for _, b := range c.header.Bodies {
		ids = append(ids, b.ID)
	}
	return strings.Join(ids, ", ")
}

func (j *judging) equipment(cl *Clause) Reason {
	if len(cl.of.Equipment) == 0 {
		return Reason{}
	}
	truth := No
	for _, e := range cl.of.Equipment {
		switch equipment[e][j.cs.Kind] {
		case Yes:
			return Reason{Code: "equipment", Holds: Yes, Args: args("kind", string(j.cs.Kind), "class", e)}
		case No:
		default: // kinds nobody has listed are not known either
			truth = NotKnown
		}
	}
	class := cl.of.Equipment[0]
	switch {
	case truth == No:
		return Reason{Code: "equipment-other", Holds: No, Args: args("kind", string(j.cs.Kind), "class", class)}
	case j.cs.Kind == estate.KindUnknown:
		return Reason{Code: "equipment-unknown", Holds: NotKnown, Args: args("class", class)}
	}
	return Reason{Code: "equipment-open", Holds: NotKnown, Args: args("kind", string(j.cs.Kind), "class", class)}
}

func (j *judging) site(cl *Clause) Reason {
	class := string(j.cs.SiteClass)
	switch {
	case len(cl.Site) == 0:
		return Reason{Code: "site-any", Holds: Yes}
	case j.cs.SiteClass == SiteUndetermined:
		return Reason{Code: "site-undetermined", Holds: NotKnown, Args: args("want", strings.Join(cl.Site, ", "))}
	case slices.Contains(cl.Site, class):
		return Reason{Code: "site", Holds: Yes, Args: args("site", class)}
	}
	return Reason{Code: "site-other", Holds: No, Args: args("site", class, "want", strings.Join(cl.Site, ", "))}
}

func (j *judging) purpose(cl *Clause) Reason {
	if len(cl.Purposes) == 0 {
		return Reason{}
	}
	want := strings.Join(cl.Purposes, ", ")
	if j.cs.Purposes == nil {
		return Reason{Code: "purpose-unknown", Holds: NotKnown, Args: args("want", want)}
	}
	for _, p := range j.cs.Purposes {
		if slices.Contains(cl.Purposes, p) {
			return Reason{Code: "purpose", Holds: Yes, Args: args("purpose", p)}
		}
	}
	return Reason{Code: "purpose-other", Holds: No, Args: args("want", want)}
}

func (j *judging) network() Reason {
	switch j.cs.Network {
	case NetworkCore:
		return Reason{Code: "network-core", Holds: Yes}
	case NetworkIsolated:
		return Reason{Code: "network-isolated", Holds: Yes}
	}
	return Reason{Code: "network-unknown", Holds: NotKnown}
}

// match asks the instrument's predicate, and says which facts decided.
func (j *judging) match(cl *Clause) []Reason {
	r := cl.of
	sure := j.cs.Confidence.Rank() >= max(r.Evidence.Rank(), 1)
	truth, missing, err := r.matches.ask(j.known(sure, r.Names))
	if err != nil {
		return []Reason{{Code: "predicate-failed", Holds: NotKnown, Args: args("error", clipped(err.Error()))}}
	}
	if truth == NotKnown {
		return j.open(cl, missing)
	}
	if !usesMaker(r.matches) {
		if truth == Yes {
			return []Reason{{Code: "match-any", Holds: Yes}}
		}
		return []Reason{{Code: "match-not", Holds: No}}
	}
	if j.maker == nil || !sure { // decided by something else than the maker
		return []Reason{{Code: "match-not", Holds: truth}}
	}
	if truth == No && len(j.maker.Unverified) > 0 && r.matches.uses["group"] {
		wide := *j.maker
		wide.Affiliates = slices.Concat(wide.Affiliates, wide.Unverified)
		if t, _, err := r.matches.ask(factsOf(j.cs, &wide, sure).named(r.Names)); err != nil || t != No {
			return []Reason{j.about("affiliate-unverified", NotKnown, "of", strings.Join(among(r.Names, wide.Unverified), ", "))}
		}
	}
	return []Reason{j.decided(cl, truth)}
}

// about is a reason that names the maker.
func (j *judging) about(code string, holds Truth, more ...string) Reason {
	a := args(more...)
	if a == nil {
		a = map[string]string{}
	}
	a["maker"] = j.maker.Name
	if j.cs.Brand != "" {
		a["brand"] = clipped(j.cs.Brand)
	}
	return Reason{Code: code, Holds: holds, Args: a}
}

// decided says by which fact of the maker a predicate was decided.
func (j *judging) decided(cl *Clause, truth Truth) Reason {
	r, m := cl.of, j.maker
	if r.matches.uses["subject"] || r.matches.uses["grade"] {
		law := r.Laws[0]
		s := m.Subject[law]
		a := []string{"law", law, "grade", strconv.Itoa(s.Grade), "jurisdiction", m.Jurisdiction, "why", s.Why, "source", s.Source}
		if truth == Yes && s.Decision == nil && (s.Grade == 1 || s.Grade == 3) {
			return j.about("subject-yes-"+strconv.Itoa(s.Grade), truth, a...)
		}
		if s.Decision != nil {
			a = append(a, "by", s.Decision.By, "on", s.Decision.On.Text, "reason", s.Decision.Reason)
			return j.about("decided-"+string(truth), truth, a...)
		}
		return j.about("subject-"+string(truth), truth, a...)
	}
	if r.matches.uses["names"] {
		switch hit := among(r.Names, m.group()); {
		case truth == No:
			return j.about("named-no", No)
		case slices.Contains(r.Names, m.ID):
			return j.about("named-yes", Yes)
		case len(hit) > 0:
			return j.about("affiliate-yes", Yes, "of", strings.Join(hit, ", "))
		}
	}
	return j.about("match-"+string(truth), truth, "jurisdiction", m.Jurisdiction)
}

// open says what is not known, and what would settle it.
func (j *judging) open(cl *Clause, missing []string) []Reason {
	var out []Reason
	if slices.ContainsFunc(missing, func(v string) bool { return slices.Contains(ofMaker, v) }) {
		out = append(out, j.openMaker(cl))
	}
	if slices.Contains(missing, "certificates") {
		out = append(out, Reason{Code: "certificate-unknown", Holds: NotKnown})
	}
	for _, v := range missing {
		if slices.Contains([]string{"kind", "body", "site", "network", "purposes"}, v) {
			out = append(out, Reason{Code: "fact-unknown", Holds: NotKnown, Args: args("fact", v)})
		}
	}
	if len(out) == 0 {
		out = append(out, Reason{Code: "fact-unknown", Holds: NotKnown, Args: args("fact", strings.Join(missing, ", "))})
	}
	return out
}

func (j *judging) openMaker(cl *Clause) Reason {
	want := string(cl.of.Evidence)
	switch have := j.cs.Confidence; {
	case j.cs.Maker == "":
		return Reason{Code: "maker-unknown", Holds: NotKnown, Args: args("want", want, "brand", clipped(j.cs.Brand))}
	case j.maker == nil:
		return Reason{Code: "maker-not-in-graph", Holds: NotKnown, Args: args("maker", clipped(j.cs.Maker))}
	case have.Rank() < cl.of.Evidence.Rank() && j.cs.BadgeOnly:
		return j.about("badge-only", NotKnown, "want", want)
	case have.Rank() < cl.of.Evidence.Rank():
		return j.about("evidence-short", NotKnown, "have", string(have), "want", want)
	}
	for _, law := range cl.of.Laws {
		switch s := j.maker.Subject[law]; {
		case s.Holds != NotKnown:
		case s.Open == "decision":
			code := "needs-decision"
			if s.Grade == 2 || s.Grade == 5 {
				code += "-" + strconv.Itoa(s.Grade)
			}
			return j.about(code, NotKnown, "law", law, "grade", strconv.Itoa(s.Grade), "why", s.Why)
		default:
			return j.about("maker-unverified", NotKnown, "law", law, "why", s.Why)
		}
	}
	return j.about("seat-unverified", NotKnown)
}

func among(names, group []string) []string {
	var out []string
	for _, n := range names {
		if slices.Contains(group, n) {
			out = append(out, n)
		}
	}
	return out
}

// args makes a map of pairs, leaving out what is empty.
func args(pairs ...string) map[string]string {
	var m map[string]string
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			continue
		}
		if m == nil {
			m = make(map[string]string, len(pairs)/2)
		}
		m[pairs[i]] = pairs[i+1]
	}
	return m
}

const maxShown = 120 // runes of what came from outside

func clipped(s string) string {
	r := []rune(strings.ToValidUTF8(s, "?"))
	if len(r) > maxShown {
		return string(r[:maxShown]) + "…"
	}
	return string(r)
}

package policy

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/watchward/watchward/internal/estate"
)

// words are what the files of a catalogue may use.
type words struct {
	bodies       map[string]*BodyType
	purposes     map[string]bool
	certificates map[string]bool
}

var (
	idForm   = regexp.MustCompile(`^[A-Z]{2}(-[A-Za-z0-9]+)+$`)
	wordForm = regexp.MustCompile(`^[a-z0-9]+([.-][a-z0-9]+)*$`)
	landForm = regexp.MustCompile(`^[A-Z]{2}$`)
)

// equipment says which kinds of device a class of equipment means. A kind that
// may or may not be of the class is not known.
var equipment = map[string]map[estate.Kind]Truth{
	"visual-surveillance": {
		estate.KindCamera: Yes, estate.KindRecorder: Yes, estate.KindEncoder: Yes, estate.KindIntercom: Yes, estate.KindOther: No,
	},
	"thermal-camera": {
		estate.KindCamera: NotKnown, estate.KindRecorder: No, estate.KindEncoder: No, estate.KindIntercom: No, estate.KindOther: No,
	},
}

func checkHeader(s *sourceFile, h *header) *words {
	w := &words{bodies: map[string]*BodyType{}}
	if h.Released.IsZero() {
		s.problem(s.at("released"), "released: nothing given; want the day of this catalogue")
	}
	for i := range h.Bodies {
		b := &h.Bodies[i]
		at := s.at("bodies", i)
		switch {
		case !wordForm.MatchString(b.ID):
			s.problem(at, "body %q: want a word like uk.local-authority", b.ID)
		case w.bodies[b.ID] != nil:
			s.problem(at, "body %q is there twice", b.ID)
		}
		s.wantText(at, "name", b.Name)
		w.bodies[b.ID] = b
	}
	for i, b := range h.Bodies {
		for _, wider := range b.Is {
			if w.bodies[wider] == nil || wider == b.ID {
				s.problem(s.at("bodies", i, "is"), "body %q is %q, which is no other body", b.ID, wider)
			}
		}
	}
	w.purposes = s.things("purposes", h.Purposes)
	w.certificates = s.things("certificates", h.Certificates)
	return w
}

func (s *sourceFile) things(list string, all []NamedThing) map[string]bool {
	found := make(map[string]bool)
	for i, t := range all {
		at := s.at(list, i)
		if !wordForm.MatchString(t.ID) || found[t.ID] {
			s.problem(at, "%s: %q is no word, or is there twice", list, t.ID)
		}
		s.wantText(at, "name", t.Name)
		found[t.ID] = true
	}
	return found
}

func (s *sourceFile) wantText(line int, what string, t Text) {
	if strings.TrimSpace(t.EN) == "" || strings.TrimSpace(t.FR) == "" {
		s.problem(line, "%s: want a text in English (en) and in French (fr)", what)
	}
}

func oneOf[T ~string](s *sourceFile, line int, what string, got T, allowed ...T) {
	if !slices.Contains(allowed, got) {
		var names []string
		for _, a := range allowed {
			names = append(names, string(a))
		}
		s.problem(line, "%s %q: want %s", what, got, strings.Join(names, ", "))
	}
}

// check says what is wrong with an instrument.
func (r *Restriction) check(s *sourceFile, w *words, l *language) {
	if !idForm.MatchString(r.ID) {
		s.problem(s.at("id"), "id %q: want one like UK-WMS-386", r.ID)
	} else if want := strings.ToLower(r.ID) + ".yaml"; r.file != want {
		s.problem(s.at("id"), "id %q stands in %q: want %q", r.ID, r.file, want)
	}
	s.wantText(s.at("title"), "title", r.Title)
	s.wantText(s.at("summary"), "summary", r.Summary)
	s.wantText(s.at("issuer"), "issuer", r.Issuer)
	if !landForm.MatchString(r.Jurisdiction) {
		s.problem(s.at("jurisdiction"), "jurisdiction %q: want two capitals, such as GB", r.Jurisdiction)
	}
	oneOf(s, s.at("form"), "form", r.Form, Statute, Regulation, Order, Instruction, DecisionForm, Listing, Guidance, Definition, Clarification, Announcement)
	oneOf(s, s.at("status"), "status", r.Status, InForce, Superseded, Closed, Proposal)
	oneOf(s, s.at("concerns"), "concerns", r.Concerns, ConcernsUse, ConcernsMarket, ConcernsExport, ConcernsContract, ConcernsMeaning)
	oneOf(s, s.at("verified", "by"), "verified by", r.Verified.By, "stored-page", "secondary", "mention", "person", "nobody")
	if r.Verified.Binds() && r.Verified.On.IsZero() {
		s.problem(s.at("verified"), "verified by %q: want the day (on)", r.Verified.By)
	}
	if strings.TrimSpace(r.Source.Name) == "" {
		s.problem(s.at("source"), "source: want its name")
	}
	if r.Source.URL != "" && !strings.HasPrefix(r.Source.URL, "https://") {
		s.problem(s.at("source", "url"), "url %q: want https://", r.Source.URL)
	}
	r.checkDates(s)
	r.checkWords(s, w)
	r.checkMatch(s, l)
	r.checkClauses(s, w)
}

func (r *Restriction) checkDates(s *sourceFile) {
	if r.Issued.IsZero() {
		s.problem(s.at("issued"), "issued: nothing given")
	}
	if len(r.Clauses) > 0 && r.InForce.IsZero() {
		s.problem(1, "in-force: nothing given, but it has clauses")
	}
	if !r.Until.IsZero() && r.Until.Before(r.InForce.Time) {
		s.problem(s.at("until"), "until %s is before in-force %s", r.Until, r.InForce)
	}
	if (r.Status == Closed || r.Status == Superseded) && r.Until.IsZero() {
		s.problem(s.at("status"), "status %s: want until, the last day", r.Status)
	}
}

func (r *Restriction) checkWords(s *sourceFile, w *words) {
	s.known("obliged", r.Obliged, keys(w.bodies), "obliged")
	s.known("may-follow", r.MayFollow, keys(w.bodies), "may-follow")
	s.known("equipment", r.Equipment, keys(equipment), "equipment")
	for i, n := range r.Names {
		if !wordForm.MatchString(n) {
			s.problem(s.at("names", i), "names %q: want the ID of a maker, such as hikvision", n)
		}
	}
}

func keys[V any](m map[string]V) map[string]bool {
	out := make(map[string]bool, len(m))
	for k := range m {
		out[k] = true
	}
	return out
}

// known checks the words of a list, which stands at a path.
func (s *sourceFile) known(what string, got []string, allowed map[string]bool, path ...any) {
	for i, g := range got {
		if !allowed[g] {
			s.problem(s.at(append(slices.Clone(path), i)...), "%s %q is not known: want one of %s", what, g,
				strings.Join(sortedKeys(allowed), ", "))
		}
	}
}

func (r *Restriction) checkMatch(s *sourceFile, l *language) {
	if strings.TrimSpace(r.Match) == "" {
		if len(r.Clauses) > 0 {
			s.problem(1, `match: nothing given; want an expression ("true" for any maker)`)
		}
		return
	}
	p, err := l.compile(r.Match)
	if err != nil {
		s.problem(s.at("match"), "match: %v", err)
		return
	}
	r.matches = p
	if p.uses["names"] && len(r.Names) == 0 && r.Verified.Binds() {
		s.problem(s.at("match"), "match speaks of names, but none are given")
	}
	if (p.uses["subject"] || p.uses["grade"]) && len(r.Laws) == 0 {
		s.problem(s.at("match"), "match speaks of a law: name it under laws")
	}
	if len(r.Clauses) > 0 && usesMaker(p) {
		oneOf(s, s.at("evidence-needed"), "evidence-needed", r.Evidence, estate.Identified, estate.VeryLikely, estate.Hint)
	}
}

func usesMaker(p *predicate) bool {
	return slices.ContainsFunc(ofMaker, func(v string) bool { return p.uses[v] })
}

func (r *Restriction) checkClauses(s *sourceFile, w *words) {
	seen := map[string]bool{}
	for i, c := range r.Clauses {
		at := s.at("clauses", i)
		switch {
		case !strings.HasPrefix(c.ID, r.ID):
			s.problem(at, "clause %q: want an ID that begins with %q", c.ID, r.ID)
		case seen[c.ID]:
			s.problem(at, "clause %q is there twice", c.ID)
		}
		seen[c.ID] = true
		s.wantText(at, "says", c.Says)
		s.wantText(at, "asks", c.Asks)
		if _, ok := actions[c.Action]; !ok {
			s.problem(s.at("clauses", i, "action"), "action %q: want %s", c.Action, strings.Join(actionNames(), ", "))
		}
		oneOf(s, s.at("clauses", i, "force"), "force", c.Force, Must, Should, May)
		s.known("site", c.Site, map[string]bool{string(SiteSensitive): true, string(SiteOrdinary): true}, "clauses", i, "site")
		s.known("purposes", c.Purposes, w.purposes, "clauses", i, "purposes")
		s.known("obliged", c.Obliged, keys(w.bodies), "clauses", i, "obliged")
		if c.MayFollow != nil {
			s.known("may-follow", *c.MayFollow, keys(w.bodies), "clauses", i, "may-follow")
		}
		if len(r.Obliged)+len(c.Obliged) == 0 {
			s.problem(at, "clause %q obliges nobody", c.ID)
		}
		if c.Within < 0 || c.Within > 1000 {
			s.problem(s.at("clauses", i, "within"), "within %d: want business days, 0 to 1000", c.Within)
		}
		if r.Concerns == ConcernsMeaning {
			s.problem(at, "an instrument that concerns meaning has no clauses")
		}
	}
}

func actionNames() []string {
	var names []string
	for a := range actions {
		names = append(names, string(a))
	}
	slices.Sort(names)
	return names
}

// checkAll looks at what only the files together can show.
func checkAll(all []*Restriction, files map[string]*sourceFile) {
	at := map[string]string{}
	for _, r := range all {
		for _, id := range r.ids() {
			if other, ok := at[id]; ok && other != r.file {
				files[r.file].problem(1, "ID %q is in %s as well", id, other)
			}
			at[id] = r.file
		}
	}
	for _, r := range all {
		for i, law := range r.Laws {
			if at[law] == "" {
				s := files[r.file]
				s.problem(s.at("laws", i), "laws %q: there is no such instrument", law)
			}
		}
		if r.Superseded != "" && at[r.Superseded] == "" {
			s := files[r.file]
			s.problem(s.at("superseded-by"), "superseded-by %q: there is no such instrument", r.Superseded)
		}
	}
}

func (r *Restriction) ids() []string {
	ids := []string{r.ID}
	for _, c := range r.Clauses {
		if c.ID != r.ID {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

func sortProblems(all []Problem) []Problem {
	slices.SortFunc(all, func(a, b Problem) int {
		if c := strings.Compare(a.File, b.File); c != 0 {
			return c
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return strings.Compare(a.Text, b.Text)
	})
	return slices.CompactFunc(all, func(a, b Problem) bool { return fmt.Sprint(a) == fmt.Sprint(b) })
}

func sortedKeys(m map[string]bool) []string { return slices.Sorted(maps.Keys(m)) }

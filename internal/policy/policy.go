// Package policy says what the law asks of a device: of this maker, on this
// site, of this body, on this day. It keeps what follows from it: findings,
// waivers, decisions and the plan.
//
// Begin with [Load] and [Catalogue.Judge], which need neither clock nor network
// nor database; many cases are judged through a [Cache]. [Open] is the door to
// what is kept: [Book.Gate] says whether a device may be adopted.
//
// # What to know before it hurts
//
// Instruments are data, a file each in policy/restrictions, in the format of
// docs/reference/restrictions.md. [Lint] says what is wrong with them.
//
// Not knowing is an answer. A maker that is unknown, or known less well than
// the instrument needs, a site nobody has classed, a body of an unknown type:
// each gives [Undetermined], with what would settle it. It never clears a
// device and never accuses its maker. A condition that is certainly not met
// gives [None] even so: on an ordinary site a rule for sensitive ones asks
// nothing, whoever made the camera.
//
// What nobody verified may stand in the catalogue, and never binds.
package policy

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"slices"

	"github.com/watchward/watchward/internal/identify/makers"
)

//go:embed restrictions/*.yaml
var embedded embed.FS

// Catalogue is a set of instruments, and the makers it is judged with. It does
// not change; its methods may be called from any goroutine.
type Catalogue struct {
	restrictions []*Restriction
	clauses      []*Clause
	byID         map[string]*Restriction // by instrument and by clause
	words        *words
	header       header
	version      string
	makers       Makers
	decisions    []Decision
	asIf         map[string]bool // instruments that oblige every body, for what-if
	uses         map[string]bool // variables that any predicate names
	laws         []string
}

// Load reads the catalogue and the graph of makers that this program carries.
func Load() (*Catalogue, error) {
	g, err := makers.Load()
	if err != nil {
		return nil, fmt.Errorf("load makers: %w", err)
	}
	return LoadWith(Graph(g))
}

// LoadWith reads the catalogue that this program carries, with other makers than
// its own: those that a data bundle brings.
func LoadWith(makers Makers) (*Catalogue, error) {
	files, err := fs.Sub(embedded, "restrictions")
	if err != nil {
		return nil, fmt.Errorf("load restrictions: %w", err)
	}
	return LoadFrom(files, makers)
}

// LoadFrom reads a catalogue from the files of a folder, as policy/restrictions
// has them: what a data bundle brings. Nothing is taken if anything is wrong;
// the error is then a [ProblemsError].
func LoadFrom(files fs.FS, makers Makers) (*Catalogue, error) {
	c, problems, err := load(files, makers)
	if err != nil {
		return nil, fmt.Errorf("load restrictions: %w", err)
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("load restrictions: %w", ProblemsError(problems))
	}
	return c, nil
}

// Lint says what is wrong with the files of a folder; nothing, if they can be
// loaded.
func Lint(files fs.FS) ([]Problem, error) {
	_, problems, err := load(files, nil)
	if err != nil {
		return nil, fmt.Errorf("lint restrictions: %w", err)
	}
	return problems, nil
}

func load(files fs.FS, makers Makers) (*Catalogue, []Problem, error) {
	texts, names, err := readFiles(files)
	if err != nil {
		return nil, nil, err
	}
	l, err := newLanguage()
	if err != nil {
		return nil, nil, err
	}
	c := &Catalogue{makers: makers, byID: map[string]*Restriction{}, uses: map[string]bool{}}
	head := &sourceFile{name: headerFile}
	if texts[headerFile] == nil {
		return nil, []Problem{{headerFile, 0, "is missing: it lists bodies, purposes and laws"}}, nil
	}
	if !head.decode(texts[headerFile], &c.header) {
		return nil, sortProblems(head.problems), nil
	}
	c.words = checkHeader(head, &c.header)
	problems := head.problems
	read := map[string]*sourceFile{}
	for _, name := range names {
		if name == headerFile {
			continue
		}
		r, s := parseRestriction(name, texts[name])
		read[name] = s
		if r != nil {
			r.check(s, c.words, l)
			c.restrictions = append(c.restrictions, r)
		}
	}
	checkAll(c.restrictions, read)
	for _, s := range read {
		problems = append(problems, s.problems...)
	}
	if len(problems) > 0 {
		return nil, sortProblems(problems), nil
	}
	c.index()
	c.version = versionOf(c.header.Released, texts, names)
	return c, nil, nil
}

// index prepares what judging looks up.
func (c *Catalogue) index() {
	slices.SortFunc(c.restrictions, func(a, b *Restriction) int {
		return slices.Compare([]string{a.Jurisdiction, a.Issued.Text, a.ID}, []string{b.Jurisdiction, b.Issued.Text, b.ID})
	})
	for _, r := range c.restrictions {
		c.byID[r.ID] = r
		for _, law := range r.Laws {
			if !slices.Contains(c.laws, law) {
				c.laws = append(c.laws, law)
			}
		}
		if r.matches != nil {
			for v := range r.matches.uses {
				c.uses[v] = true
			}
		}
		for _, cl := range r.Clauses {
			c.byID[cl.ID] = r
			cl.prepare(c.words)
			c.clauses = append(c.clauses, cl)
		}
	}
}

// prepare fills in what the clause takes from its instrument.
func (c *Clause) prepare(w *words) {
	obliged, follow := c.of.Obliged, c.of.MayFollow
	if len(c.Obliged) > 0 {
		obliged = c.Obliged
	}
	if c.MayFollow != nil {
		follow = *c.MayFollow
	}
	c.obliged, c.follow = w.widen(obliged), w.widen(follow)
	c.since, c.until = c.of.InForce.Time, c.of.Until.Time
	if !c.InForce.IsZero() {
		c.since = c.InForce.Time
	}
}

// widen returns all body types that are one of those given.
func (w *words) widen(types []string) map[string]bool {
	out := map[string]bool{}
	for id := range w.bodies {
		if w.isOne(id, types, 0) {
			out[id] = true
		}
	}
	return out
}

func (w *words) isOne(id string, types []string, depth int) bool {
	if slices.Contains(types, id) {
		return true
	}
	b := w.bodies[id]
	return b != nil && depth < maxDepth && slices.ContainsFunc(b.Is, func(wider string) bool { return w.isOne(wider, types, depth+1) })
}

// versionOf names the files: the day they were released, and what is in them.
func versionOf(released Date, texts map[string][]byte, names []string) string {
	h := sha256.New()
	for _, name := range names {
		fmt.Fprintf(h, "%d %s %d ", len(name), name, len(texts[name]))
		h.Write(texts[name])
	}
	return released.Text + "+" + hex.EncodeToString(h.Sum(nil))[:12]
}

// Version names the catalogue on every answer: the day of its release and the
// beginning of the SHA-256 of its files.
func (c *Catalogue) Version() string { return c.version }

// MakersVersion names the graph of makers that it judges with.
func (c *Catalogue) MakersVersion() string { return c.makers.Version() }

// Restrictions returns all instruments, by jurisdiction and date. They may not
// be changed.
func (c *Catalogue) Restrictions() []*Restriction { return c.restrictions }

// Restriction finds an instrument by its ID or by that of one of its clauses.
func (c *Catalogue) Restriction(id string) (*Restriction, bool) {
	r, ok := c.byID[id]
	return r, ok
}

// Clause finds a clause by its ID.
func (c *Catalogue) Clause(id string) (*Clause, bool) {
	for _, cl := range c.clauses {
		if cl.ID == id {
			return cl, true
		}
	}
	return nil, false
}

// Bodies returns the types of bodies that rules tell apart.
func (c *Catalogue) Bodies() []BodyType { return c.header.Bodies }

// Body finds a body type.
func (c *Catalogue) Body(id string) (BodyType, bool) {
	if b := c.words.bodies[id]; b != nil {
		return *b, true
	}
	return BodyType{}, false
}

// Purposes returns the purposes that rules tell apart.
func (c *Catalogue) Purposes() []NamedThing { return c.header.Purposes }

// Laws returns the IDs of the instruments that predicates point to.
func (c *Catalogue) Laws() []string { return c.laws }

// Certificates returns the certificates that rules ask for.
func (c *Catalogue) Certificates() []NamedThing { return c.header.Certificates }

// Decisions returns the local decisions that it judges with.
func (c *Catalogue) Decisions() []Decision { return c.decisions }

// WithDecisions returns the same catalogue that judges with these decisions on
// disputed makers instead.
func (c *Catalogue) WithDecisions(decisions []Decision) *Catalogue {
	d := *c
	d.decisions = slices.Clone(decisions)
	return &d
}

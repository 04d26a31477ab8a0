// Package makers is the graph of who makes what is sold under which name, who
// owns whom, and where they sit: dated, and each fact with its source.
//
// Begin with [Load], then [Graph.Relations] for what a badge can mean and
// [Graph.Subject] for whether a maker is subject to a country's law.
//
// # Before it hurts
//
// A brand has several relations as a rule: Lorex had three owners, and most of
// what bears its name was made by a fourth company. A relation is never proof
// about one device: only evidence from the device is, see package identify.
//
// Dates are as coarse as the sources are. A year or a month alone holds from its
// first day when it begins something and to its last day when it ends something,
// so in the month of a change both sides hold: which day it was is not known.
//
// IDs of makers are contracts: stored evidence and restrictions cite them. One
// is retired, never given to another company.
package makers

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
	"unicode"
)

// data is the graph as it stood when this program was built: a table a file.
//
//go:embed data
var data embed.FS

// Kind says what a brand is to a maker.
type Kind string

// How a badge and a maker hang together.
const (
	Own        Kind = "own"        // the brand is this company's own
	Subsidiary Kind = "subsidiary" // the brand is a company of its own that this owner's group controls
	Former     Kind = "former"     // was so, and ended
	OEMMost    Kind = "oem-most"   // most devices under this badge are made by this maker
	OEMSome    Kind = "oem-some"   // some are
)

// Maker is a company that makes devices, owns brands, or owns those who do.
type Maker struct {
	ID           string `json:"id"`               // a slug such as "hikvision"
	Name         string `json:"name"`             // the usual short name: "Hikvision"
	Legal        string `json:"legal"`            // the company's name
	Jurisdiction string `json:"jurisdiction"`     // ISO 3166-1 alpha-2 of its seat, "CN"
	Parent       string `json:"parent,omitempty"` // ID of its latest owner, "" where none is known
	// Verified: somebody read the source. What is not verified is general
	// knowledge, and must bind nobody.
	Verified bool     `json:"verified"`
	Note     string   `json:"note,omitempty"`
	Sources  []string `json:"sources"`

	disputed time.Time // since when its ownership is disputed; zero if not
}

// Relation is one thing that a badge can mean.
type Relation struct {
	Brand      string    `json:"brand"`
	Lines      string    `json:"lines,omitempty"` // which of its products, or under whom: "some models", "owned by FLIR"
	Maker      string    `json:"maker"`           // ID
	MakerName  string    `json:"maker_name"`
	Kind       Kind      `json:"kind"`
	Since      time.Time `json:"since,omitzero"` // first day it may have held; zero where unknown
	Until      time.Time `json:"until,omitzero"` // first day it no longer held; zero where it still holds, or the end is unknown
	Confidence string    `json:"confidence"`     // "high", "medium", "low"
	Verified   bool      `json:"verified"`
	Sources    []string  `json:"sources"`
}

// On says whether the relation held on a day. The zero time is always.
func (r Relation) On(on time.Time) bool {
	return on.IsZero() || !on.Before(r.Since) && (r.Until.IsZero() || on.Before(r.Until))
}

// Owner says who controlled a maker, and when.
type Owner struct {
	Maker    string    `json:"maker"`
	Owner    string    `json:"owner"`
	Since    time.Time `json:"since,omitzero"`
	Until    time.Time `json:"until,omitzero"`
	Verified bool      `json:"verified"`
	Sources  []string  `json:"sources"`
}

func (o Owner) on(on time.Time) bool {
	return on.IsZero() || !on.Before(o.Since) && (o.Until.IsZero() || on.Before(o.Until))
}

// Graph holds makers, brands and owners. It does not change once loaded, so any
// number of goroutines may ask it.
type Graph struct {
	version   string
	makers    []Maker // by ID
	byID      map[string]int
	relations []Relation // by brand, then since
	byBrand   map[string][]int
	brands    []string // as written, sorted
	aliases   map[string][]string
	owners    map[string][]Owner
	owned     map[string][]Owner
}

// Load reads the graph that this program carries.
func Load() (*Graph, error) {
	sub, err := fs.Sub(data, "data")
	if err != nil {
		return nil, err
	}
	return LoadFS(sub)
}

// Version is the day the data was last changed, as its file says: "2026-11-25".
func (g *Graph) Version() string { return g.version }

// Maker returns the maker with this ID.
func (g *Graph) Maker(id string) (Maker, bool) {
	i, ok := g.byID[id]
	if !ok {
		return Maker{}, false
	}
	return g.makers[i], true
}

// MakerNamed returns the maker whose short or legal name this is, however
// written: "HIKVISION", "d link".
func (g *Graph) MakerNamed(name string) (Maker, bool) {
	want := fold(name)
	for _, m := range g.makers {
		if want != "" && (fold(m.Name) == want || fold(m.Legal) == want || fold(m.ID) == want) {
			return m, true
		}
	}
	return Maker{}, false
}

// Makers lists all, by ID.
func (g *Graph) Makers() []Maker { return slices.Clone(g.makers) }

// Brands lists all brands, as they are usually written.
func (g *Graph) Brands() []string { return slices.Clone(g.brands) }

// Brand returns how a brand is usually written, however it was written here:
// "CPPLUS" is "CP Plus". It answers to aliases as well.
func (g *Graph) Brand(written string) (string, bool) {
	rows := g.byBrand[fold(written)]
	if len(rows) == 0 {
		return "", false
	}
	return g.relations[rows[0]].Brand, true
}

// Relations says what a badge can mean on a day, most binding first: what its
// owner makes, then most, then some. The zero time asks for all of history,
// which is the right question about a device of unknown age. It returns nothing
// for a brand that nobody described.
func (g *Graph) Relations(brand string, on time.Time) []Relation {
	var found []Relation
	for _, i := range g.byBrand[fold(brand)] {
		if g.relations[i].On(on) {
			found = append(found, g.relations[i])
		}
	}
	slices.SortStableFunc(found, func(a, b Relation) int { return rank(a.Kind) - rank(b.Kind) })
	return found
}

func rank(k Kind) int {
	return slices.Index([]Kind{Own, Subsidiary, OEMMost, OEMSome, Former}, k)
}

// Rebadges says whether somebody else than its owner makes, or made, devices
// sold under this brand, so that its name alone says little.
func (g *Graph) Rebadges(brand string) bool {
	for _, i := range g.byBrand[fold(brand)] {
		if k := g.relations[i].Kind; k == OEMMost || k == OEMSome {
			return true
		}
	}
	return false
}

// Owners says who controlled a maker on a day, directly. The zero time asks for
// all of history.
func (g *Graph) Owners(maker string, on time.Time) []Owner {
	var found []Owner
	for _, o := range g.owners[maker] {
		if o.on(on) {
			found = append(found, o)
		}
	}
	return found
}

// Affiliates are the makers in the same hands on a day: its owners and theirs,
// and whom it and they control. Rules of the United States reach "any subsidiary
// or affiliate". Sorted, without the maker itself. The zero time asks for all of
// history.
func (g *Graph) Affiliates(maker string, on time.Time) []Maker {
	seen := map[string]bool{maker: true}
	for queue := []string{maker}; len(queue) > 0; queue = queue[1:] {
		reach := func(id string) {
			if !seen[id] {
				seen[id] = true
				queue = append(queue, id)
			}
		}
		for _, o := range g.Owners(queue[0], on) {
			reach(o.Owner)
		}
		for _, o := range g.owned[queue[0]] {
			if o.on(on) {
				reach(o.Maker)
			}
		}
	}
	var found []Maker
	for _, m := range g.makers {
		if seen[m.ID] && m.ID != maker {
			found = append(found, m)
		}
	}
	return found
}

// fold makes spellings of one name equal.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == 'ü':
			return 'u'
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '&':
			return unicode.ToLower(r)
		}
		return -1
	}, strings.ToLower(name))
}

// String names the maker for people: "Hikvision (Hangzhou Hikvision Digital Technology, CN)".
func (m Maker) String() string {
	if m.Legal == m.Name {
		return fmt.Sprintf("%s (%s)", m.Name, m.Jurisdiction)
	}
	return fmt.Sprintf("%s (%s, %s)", m.Name, m.Legal, m.Jurisdiction)
}

// Aliases are other spellings and names under which a brand is found.
func (g *Graph) Aliases(brand string) []string { return slices.Clone(g.aliases[brand]) }

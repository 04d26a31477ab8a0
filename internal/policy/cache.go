package policy

import (
	"slices"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/estate"
)

// Cache judges many cases, each distinct one once: an estate has far fewer
// makers, classes and days than devices. It belongs to one goroutine. Verdicts
// that it returns are shared and may not be changed.
type Cache struct {
	c       *Catalogue
	frames  map[frameKey]*frame
	makers  map[makerKey]*MakerFacts
	entries map[key]*entry
	lists   map[string]uint32 // purposes and certificates, by their words
}

// maxCached bounds what a stream of ever new cases can hold in memory; beyond
// it the cache begins anew.
const maxCached = 20_000

// NewCache makes an empty cache of a catalogue.
func (c *Catalogue) NewCache() *Cache {
	return &Cache{c: c, frames: map[frameKey]*frame{}, makers: map[makerKey]*MakerFacts{}, entries: map[key]*entry{}, lists: map[string]uint32{}}
}

// frameKey is what a frame depends on.
type frameKey struct {
	body string
	kind estate.Kind
	on   int32 // days of Unix time
}

// makerKey is what the facts of a maker depend on.
type makerKey struct {
	maker, brand string
	on           int32
}

// maker looks up who made the device, once.
func (c *Cache) maker(cs Case, on int32) *MakerFacts {
	k := makerKey{cs.Maker, cs.Brand, on}
	m, ok := c.makers[k]
	if !ok {
		if len(c.makers) >= maxCached {
			clear(c.makers)
		}
		m = c.c.maker(cs)
		c.makers[k] = m
	}
	return m
}

// key is what verdicts depend on, but for whether they are broken.
type key struct {
	frameKey
	maker, brand, model    string
	confidence             estate.Confidence
	site                   SiteClass
	network                Network
	purposes, certificates uint32
	badgeOnly              bool
}

// entry is one distinct case. Of the day of deployment only matters which
// clauses were in force by then.
type entry struct {
	bounds   []int32 // first days of the clauses that it matters to
	base     []Verdict
	variants [][]Verdict // new; by bounds; there since nobody knows when
}

// Judge is [Catalogue.Judge].
func (c *Cache) Judge(cs Case) []Verdict {
	k := key{
		frameKey: frameKey{cs.Body, cs.Kind, dayNumber(cs.On)}, maker: cs.Maker, brand: cs.Brand,
		confidence: cs.Confidence, site: cs.SiteClass, network: cs.Network, badgeOnly: cs.BadgeOnly,
		purposes: c.list(cs.Purposes), certificates: c.list(cs.Certificates),
	}
	if c.c.uses["model"] {
		k.model = cs.Model
	}
	e := c.entries[k]
	if e == nil {
		e = c.judge(cs.normal(), k)
	}
	variant := 0
	if cs.There && cs.Deployed.IsZero() {
		variant = len(e.variants) - 1
	} else if deployed := dayNumber(cs.Deployed); len(e.variants) > 1 && !cs.Deployed.IsZero() && deployed <= k.on {
		for variant = 1; variant <= len(e.bounds) && e.bounds[variant-1] <= deployed; variant++ {
		}
	}
	if e.variants[variant] == nil {
		verdicts := slices.Clone(e.base)
		c.c.setBroken(verdicts, cs.normal())
		e.variants[variant] = verdicts
	}
	return e.variants[variant]
}

// judge makes the entry of a case.
func (c *Cache) judge(cs Case, k key) *entry {
	f := c.frames[k.frameKey]
	if f == nil {
		if len(c.frames) >= maxCached {
			clear(c.frames)
		}
		f = c.c.frame(cs)
		c.frames[k.frameKey] = f
	}
	verdicts := c.c.judge(cs, f, c.maker(cs, k.on))
	e := &entry{}
	asks := false
	for i, v := range verdicts {
		if v.Force != Must && v.Force != Should {
			continue
		}
		asks = true
		if actions[v.Action] == byComing {
			e.bounds = append(e.bounds, dayNumber(c.c.clauses[i].since))
		}
	}
	slices.Sort(e.bounds)
	e.bounds = slices.Compact(e.bounds)
	e.base = verdicts
	e.variants = [][]Verdict{verdicts}
	if asks {
		e.variants = make([][]Verdict, len(e.bounds)+3)
	}
	if len(c.entries) >= maxCached {
		clear(c.entries)
	}
	c.entries[k] = e
	return e
}

// Len is how many distinct cases are held.
func (c *Cache) Len() int { return len(c.entries) }

// dayNumber counts days of Unix time, downwards before it.
func dayNumber(t time.Time) int32 {
	seconds := t.Unix()
	d := seconds / (24 * 60 * 60)
	if seconds%(24*60*60) < 0 {
		d--
	}
	return int32(d)
}

// list numbers a list of words: 0 for none known.
func (c *Cache) list(words []string) uint32 {
	if words == nil {
		return 0
	}
	if len(words) == 0 {
		return 1
	}
	text := words[0]
	if len(words) > 1 {
		text = strings.Join(words, "\x00")
	}
	n, ok := c.lists[text]
	if !ok {
		n = uint32(len(c.lists)) + 2
		c.lists[text] = n
	}
	return n
}

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
	c        *Catalogue
	verdicts map[key][]Verdict
	lists    map[string]uint32 // purposes and certificates, by their words
}

// maxCached bounds what a stream of ever new cases can hold in memory; beyond
// it the cache begins anew.
const maxCached = 50_000

// NewCache makes an empty cache of a catalogue.
func (c *Catalogue) NewCache() *Cache {
	return &Cache{c: c, verdicts: map[key][]Verdict{}, lists: map[string]uint32{}}
}

// key is what verdicts depend on. Of the day of deployment only matters which
// clauses were in force by then.
type key struct {
	maker, brand, model, body string
	confidence                estate.Confidence
	kind                      estate.Kind
	site                      SiteClass
	network                   Network
	purposes, certificates    uint32
	on                        int32 // days of Unix time
	deployed                  int32 // -1: not there yet
	badgeOnly                 bool
}

// Judge is [Catalogue.Judge].
func (c *Cache) Judge(cs Case) []Verdict {
	k := key{
		maker: cs.Maker, brand: cs.Brand, body: cs.Body, confidence: cs.Confidence, kind: cs.Kind, site: cs.SiteClass,
		network: cs.Network, on: dayNumber(cs.On), deployed: -1, badgeOnly: cs.BadgeOnly,
		purposes: c.list(cs.Purposes), certificates: c.list(cs.Certificates),
	}
	if c.c.uses["model"] {
		k.model = cs.Model
	}
	if !cs.Deployed.IsZero() && !cs.Deployed.After(cs.On) {
		k.deployed = c.bound(cs.Deployed)
	}
	if found, ok := c.verdicts[k]; ok {
		return found
	}
	if len(c.verdicts) >= maxCached {
		clear(c.verdicts)
	}
	verdicts := c.c.Judge(cs)
	c.verdicts[k] = verdicts
	return verdicts
}

// Len is how many distinct cases are held.
func (c *Cache) Len() int { return len(c.verdicts) }

func dayNumber(t time.Time) int32 { return int32(t.Unix() / (24 * 60 * 60)) }

// bound counts the clauses' first days up to a day.
func (c *Cache) bound(t time.Time) int32 {
	n, found := slices.BinarySearchFunc(c.c.bounds, day(t), time.Time.Compare)
	if found {
		n++
	}
	return int32(n)
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

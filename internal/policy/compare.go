package policy

import (
	"context"
	"fmt"
	"time"

	"github.com/watchward/watchward/internal/estate"
)

// WhatIf is what to change before judging again. Zero fields change nothing.
type WhatIf struct {
	On   time.Time // another day
	Body string    // another type of body
	// AsIf names instruments that are judged as if they obliged the body: "as if
	// the US rule bound us".
	AsIf []string
	// Only names the instruments that count; empty: all.
	Only []string
	// OrdinaryToo judges ordinary sites as if they were sensitive: what the
	// United Kingdom's statement asks departments to consider.
	OrdinaryToo bool
	// Purposes, where a case has none known.
	Purposes []string
	// Catalogue to judge by; nil: the same.
	Catalogue *Catalogue
}

// Compared is one device's difference. It is in the order of the cases.
type Compared struct {
	Before, After             Force // the gravest
	BrokenBefore, BrokenAfter bool  // a must is broken
	// Changed are the clauses whose answer is another one.
	Changed []ComparedClause
}

// ComparedClause is one clause before and after.
type ComparedClause struct {
	Clause        string
	Before, After Verdict
}

// Comparison is the difference for many devices.
type Comparison struct {
	Before, After map[Force]int // devices by what is gravest for them
	// BrokenBefore and BrokenAfter count devices that break a must.
	BrokenBefore, BrokenAfter int
	Changed                   int // devices with any other answer
	Devices                   []Compared
}

// Compare judges cases as they are, and with a change.
func (c *Catalogue) Compare(cases []Case, w WhatIf) Comparison {
	other := c
	if w.Catalogue != nil {
		other = w.Catalogue
	}
	other = other.judgedAsIf(w.AsIf)
	before, after := c.NewCache(), other.NewCache()
	counts := c.only(w.Only)
	out := Comparison{Before: map[Force]int{}, After: map[Force]int{}, Devices: make([]Compared, len(cases))}
	for i, cs := range cases {
		d := compare(counts(before.Judge(cs)), counts(after.Judge(w.change(cs))))
		out.Devices[i] = d
		out.Before[d.Before]++
		out.After[d.After]++
		out.BrokenBefore += one(d.BrokenBefore)
		out.BrokenAfter += one(d.BrokenAfter)
		out.Changed += one(len(d.Changed) > 0)
	}
	return out
}

// change makes the other case.
func (w WhatIf) change(cs Case) Case {
	if !w.On.IsZero() {
		cs.On = w.On
	}
	if w.Body != "" {
		cs.Body = w.Body
	}
	if w.OrdinaryToo && cs.SiteClass == SiteOrdinary {
		cs.SiteClass = SiteSensitive
	}
	if cs.Purposes == nil {
		cs.Purposes = w.Purposes
	}
	return cs
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// judgedAsIf returns a catalogue in which these instruments oblige everybody.
func (c *Catalogue) judgedAsIf(ids []string) *Catalogue {
	if len(ids) == 0 {
		return c
	}
	d := *c
	d.asIf = make(map[string]bool, len(ids))
	for _, id := range ids {
		if r, ok := c.byID[id]; ok {
			d.asIf[r.ID] = true
		}
	}
	return &d
}

// only keeps the verdicts of some instruments.
func (c *Catalogue) only(ids []string) func([]Verdict) []Verdict {
	if len(ids) == 0 {
		return func(v []Verdict) []Verdict { return v }
	}
	keep := map[string]bool{}
	for _, id := range ids {
		if r, ok := c.byID[id]; ok {
			keep[r.ID] = true
		}
	}
	return func(all []Verdict) []Verdict {
		var out []Verdict
		for _, v := range all {
			if keep[v.Restriction] {
				out = append(out, v)
			}
		}
		return out
	}
}

// compare pairs verdicts by clause: two catalogues may differ.
func compare(before, after []Verdict) Compared {
	d := Compared{
		Before: Gravest(before), After: Gravest(after),
		BrokenBefore: len(Broken(before, Must)) > 0, BrokenAfter: len(Broken(after, Must)) > 0,
	}
	was := make(map[string]Verdict, len(before))
	for _, v := range before {
		was[v.Clause] = v
	}
	for _, v := range after {
		old, ok := was[v.Clause]
		if !ok {
			old = Verdict{Clause: v.Clause, Restriction: v.Restriction, Force: None}
		}
		delete(was, v.Clause)
		if old.Force != v.Force || old.Broken != v.Broken {
			d.Changed = append(d.Changed, ComparedClause{v.Clause, old, v})
		}
	}
	for _, old := range before {
		if _, gone := was[old.Clause]; gone && old.Force != None {
			d.Changed = append(d.Changed, ComparedClause{old.Clause, old, Verdict{Clause: old.Clause, Restriction: old.Restriction, Force: None}})
		}
	}
	return d
}

// Placed is a device where it hangs, ready to be judged.
type Placed struct {
	Device, Name, Site string
	Case               Case
}

// Cases returns the devices of the estate as cases of today, in the order of
// its lists; only those at sites, where that is not nil.
func (b *Book) Cases(ctx context.Context, sites map[string]bool) ([]Placed, error) {
	known, bodies, err := b.places(ctx)
	if err != nil {
		return nil, fmt.Errorf("gather cases: %w", err)
	}
	now := b.now().UTC()
	var all []Placed
	err = b.eachDevice(ctx, func(d estate.Device) {
		if sites == nil || sites[d.Site] {
			all = append(all, Placed{string(d.ID), d.Name, d.Site, CaseOf(d, known[d.Site], bodies[d.Site], now)})
		}
	})
	if err != nil {
		return nil, fmt.Errorf("gather cases: %w", err)
	}
	return all, nil
}

// Compare judges the devices of the estate as they are, and with a change:
// Comparison.Devices is in the order of what is returned beside it.
func (b *Book) Compare(ctx context.Context, sites map[string]bool, w WhatIf) ([]Placed, Comparison, error) {
	placed, err := b.Cases(ctx, sites)
	if err != nil {
		return nil, Comparison{}, err
	}
	cases := make([]Case, len(placed))
	for i, p := range placed {
		cases[i] = p.Case
	}
	return placed, b.Catalogue().Compare(cases, w), nil
}

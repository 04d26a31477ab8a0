package policy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/estate"
)

// Gating says whether a device may hang at a site.
type Gating struct {
	Allowed  bool
	Verdicts []Verdict // of all clauses, as for a new device there
	Refusing []Verdict // those that refuse it
	Waived   []Verdict // those that would, but for a waiver
	Waivers  []Waiver  // those that hold
	// BodyOpen: whose site it is could not be read, and some rule would refuse
	// the device if it obliged them.
	BodyOpen bool
}

// Refusal is the error of an adoption that a rule forbids. It wraps
// [estate.ErrRefused].
type Refusal struct {
	Device, Site string
	Gating       Gating
}

func (r *Refusal) Error() string {
	if len(r.Gating.Refusing) == 0 {
		return "whose site it is cannot be read yet, so no rule can be asked"
	}
	var parts []string
	for _, v := range r.Gating.Refusing {
		parts = append(parts, fmt.Sprintf("%s says must %s, since %s (%s)", v.Clause, v.Action, v.Since.Format(time.DateOnly), v.Source))
	}
	return strings.Join(parts, "; ")
}

// Unwrap lets callers branch on [estate.ErrRefused].
func (r *Refusal) Unwrap() error { return estate.ErrRefused }

// Hint names the only way through.
func (r *Refusal) Hint() string {
	if len(r.Gating.Refusing) == 0 {
		return "store the organisation and its site first, then adopt the device"
	}
	return "only a waiver, signed by a named person, with a reason and an end date, lets it through; \"watchward rules show " + r.Gating.Refusing[0].Restriction + "\" says what would change the answer"
}

// Gate says whether a device may be adopted at a site, or moved there: not
// where a rule that must be obeyed forbids a new device, whoever says that it
// has hung there for long.
func (b *Book) Gate(ctx context.Context, d estate.Device, s estate.Site) (Gating, error) {
	o, err := b.organisation(ctx, s)
	missing := errors.Is(err, estate.ErrNotFound)
	if err != nil && !missing {
		return Gating{}, fmt.Errorf("ask the rules about device %q: %w", d.Name, err)
	}
	now := b.now().UTC()
	cs := CaseOf(d, s, o, now)
	cs.Deployed, cs.There = time.Time{}, false
	g := Gating{Verdicts: b.Catalogue().Judge(cs)}
	waivers, err := b.holding(ctx, string(d.ID), s.ID)
	if err != nil {
		return Gating{}, fmt.Errorf("ask the rules about device %q: %w", d.Name, err)
	}
	for _, v := range g.Verdicts {
		switch {
		case v.Force == Must && v.Broken && waivedBy(waivers, v.Clause, now) != nil:
			g.Waived = append(g.Waived, v)
			g.Waivers = append(g.Waivers, *waivedBy(waivers, v.Clause, now))
		case v.Force == Must && v.Broken:
			g.Refusing = append(g.Refusing, v)
		case missing && onlyBodyOpen(v):
			g.BodyOpen = true
		}
	}
	g.Allowed = len(g.Refusing) == 0 && !g.BodyOpen
	return g, nil
}

// onlyBodyOpen: the clause waits for nothing but to know whose device it is.
func onlyBodyOpen(v Verdict) bool {
	if v.Force != Undetermined || actions[v.Action] != byComing && actions[v.Action] != byBeing {
		return false
	}
	for _, r := range v.Why {
		if r.Holds == NotKnown && r.Code != "body-not-given" {
			return false
		}
	}
	return true
}

// holding reads the waivers of a device at a site. What was altered is among
// them, and holds nothing.
func (b *Book) holding(ctx context.Context, device, site string) ([]Waiver, error) {
	if device == "" {
		return nil, nil
	}
	rows, err := selectWaivers(ctx, pool{b.db}, `WHERE device = $1 AND site = $2`, device, site)
	if err != nil {
		return nil, err
	}
	all := make([]Waiver, len(rows))
	for i, r := range rows {
		all[i] = b.read(r)
	}
	return all, nil
}

func waivedBy(waivers []Waiver, clause string, now time.Time) *Waiver {
	for i := range waivers {
		if waivers[i].Holds(clause, now) {
			return &waivers[i]
		}
	}
	return nil
}

// Allow is the estate's gate: see [estate.Gate].
func (b *Book) Allow(ctx context.Context, d estate.Device, s estate.Site) error {
	g, err := b.Gate(ctx, d, s)
	if err != nil {
		return err
	}
	if !g.Allowed {
		return &Refusal{Device: d.Name, Site: s.Name, Gating: g}
	}
	return nil
}

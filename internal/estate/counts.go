package estate

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Count is how many devices have one value.
type Count struct {
	Value string `json:"value"` // "" is not known
	N     int    `json:"n"`
}

// By what [Estate.Counts] can count.
const (
	CountMaker        = "maker"
	CountConfidence   = "confidence"
	CountKind         = "kind"
	CountState        = "state"
	CountSite         = "site"
	CountClass        = "class" // of the site
	CountOrganisation = "organisation"
)

// Counts returns how many devices there are of each value of by, largest
// first. Of the filter it heeds Site, Organisation, State, Maker, Confidence
// and Kind.
func (e *Estate) Counts(ctx context.Context, by string, f Filter) ([]Count, error) {
	tallies, err := e.tallies(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("count devices: %w", err)
	}
	value, err := e.grouping(ctx, by)
	if err != nil {
		return nil, fmt.Errorf("count devices: %w", err)
	}
	n := map[string]int{}
	for _, t := range tallies {
		n[value(t.facet)] += t.n
	}
	counts := make([]Count, 0, len(n))
	for v, k := range n {
		if k != 0 {
			counts = append(counts, Count{v, k})
		}
	}
	slices.SortFunc(counts, func(a, b Count) int {
		if a.N != b.N {
			return b.N - a.N
		}
		return strings.Compare(a.Value, b.Value)
	})
	return counts, nil
}

// Total is how many devices a filter's list has, without Text.
func (e *Estate) Total(ctx context.Context, f Filter) (int, error) {
	tallies, err := e.tallies(ctx, f)
	if err != nil {
		return 0, fmt.Errorf("count devices: %w", err)
	}
	n := 0
	for _, t := range tallies {
		n += t.n
	}
	return n, nil
}

// grouping says which value of a tally counts.
func (e *Estate) grouping(ctx context.Context, by string) (func(facet) string, error) {
	switch by {
	case CountMaker:
		return func(t facet) string { return t.maker }, nil
	case CountConfidence:
		return func(t facet) string { return t.confidence }, nil
	case CountKind:
		return func(t facet) string { return t.kind }, nil
	case CountState:
		return func(t facet) string { return t.state }, nil
	case CountSite:
		return func(t facet) string { return siteOf(t.place) }, nil
	case CountClass, CountOrganisation:
	default:
		return nil, invalid("by", "word", clip(by))
	}
	sites, err := selectSites(ctx, pool{e.db})
	if err != nil {
		return nil, err
	}
	of := map[string]string{}
	for _, s := range sites {
		of[s.ID] = s.Organisation
		if by == CountClass {
			of[s.ID] = string(s.Class)
		}
	}
	return func(t facet) string {
		v, known := of[siteOf(t.place)]
		if !known && by == CountClass {
			return string(Undetermined)
		}
		return v
	}, nil
}

// siteOf is the site's ID in a place.
func siteOf(place string) string { return place[strings.LastIndexByte(place, ':')+1:] }

type tallied struct {
	facet
	n int
}

func (e *Estate) tallies(ctx context.Context, f Filter) ([]tallied, error) {
	var c conditions
	c.add(`n <> 0`)
	if err := c.place(ctx, pool{e.db}, f, ""); err != nil {
		return nil, err
	}
	rows, err := pool{e.db}.QueryContext(ctx, `SELECT place, state, maker, confidence, kind, n FROM estate_tallies`+c.where(), c.args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []tallied
	for rows.Next() {
		var t tallied
		if err := rows.Scan(&t.place, &t.state, &t.maker, &t.confidence, &t.kind, &t.n); err != nil {
			return nil, err
		}
		if f.takes(t.facet) {
			all = append(all, t)
		}
	}
	return all, rows.Err()
}

func (f Filter) takes(t facet) bool {
	return (f.State == "" && (f.WithRemoved || t.state != string(Removed)) || string(f.State) == t.state) &&
		(f.Maker == "" || f.Maker == t.maker || f.Maker == "-" && t.maker == "") &&
		(f.Confidence == "" || string(f.Confidence) == t.confidence) &&
		(f.Kind == "" || string(f.Kind) == t.kind)
}

// Day is what happened on one day, in UTC.
type Day struct {
	Day     string `json:"day"` // "2026-11-25"
	Seen    int    `json:"seen"`
	Adopted int    `json:"adopted"`
	Removed int    `json:"removed"`
}

// Days returns the days on which devices were first seen, adopted or removed,
// oldest first. Of the filter it heeds Site and Organisation: where the devices
// were then.
func (e *Estate) Days(ctx context.Context, f Filter) ([]Day, error) {
	var c conditions
	c.add(`n > 0`)
	if err := c.place(ctx, pool{e.db}, f, ""); err != nil {
		return nil, fmt.Errorf("count days: %w", err)
	}
	rows, err := pool{e.db}.QueryContext(ctx, `SELECT day, event, sum(n) FROM estate_days`+c.where()+` GROUP BY day, event ORDER BY day, event`, c.args...)
	if err != nil {
		return nil, fmt.Errorf("count days: %w", err)
	}
	defer rows.Close()
	var days []Day
	for rows.Next() {
		var day, event string
		var n int
		if err := rows.Scan(&day, &event, &n); err != nil {
			return nil, fmt.Errorf("count days: %w", err)
		}
		if len(days) == 0 || days[len(days)-1].Day != day {
			days = append(days, Day{Day: day})
		}
		d := &days[len(days)-1]
		switch event {
		case "seen":
			d.Seen = n
		case "adopted":
			d.Adopted = n
		case "removed":
			d.Removed = n
		}
	}
	return days, rows.Err()
}

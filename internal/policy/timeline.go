package policy

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Moment is how findings stood at the end of a week.
type Moment struct {
	Until    time.Time `json:"until"` // the first moment of the next week, a Monday; the last one is now
	Open     int       `json:"open"`
	Waived   int       `json:"waived"`
	Resolved int       `json:"resolved"` // since the beginning, and not open again
	Opened   int       `json:"opened"`   // in that week, or opened again
	Closed   int       `json:"closed"`   // in that week
}

// timeline is what happened to findings, added up by site and week.
type timeline struct {
	made  time.Time
	steps []timelineStep
}

// timelineStep is n findings of a site that went from one state to another in a
// week.
type timelineStep struct {
	week      int64
	site      string
	was, what string // lines of the history: was is "" for a new finding
	n         int
}

// Weeks begin on Mondays: the first of Unix time is the fifth of January 1970.
const (
	week       = 7 * 24 * time.Hour
	firstWeek  = 4 * 24 * time.Hour
	maxMoments = 520 // ten years
)

// Timeline says how findings stood at the end of each week since the first one
// was opened; of some sites, where that is not nil.
func (b *Book) Timeline(ctx context.Context, sites map[string]bool) ([]Moment, error) {
	t, err := b.timeline(ctx)
	if err != nil {
		return nil, fmt.Errorf("timeline of findings: %w", err)
	}
	now := b.now().UTC()
	last := weekOf(now)
	first := last
	for _, s := range t.steps {
		first = min(first, s.week)
	}
	first = max(first, last-maxMoments+1)
	moments := make([]Moment, last-first+1)
	for _, s := range t.steps {
		if s.week > last || sites != nil && !sites[s.site] {
			continue
		}
		at := max(s.week-first, 0)
		moments[at].take(s)
	}
	for n := range moments {
		moments[n].Until = time.Unix(0, 0).UTC().Add(firstWeek + time.Duration(first+int64(n)+1)*week)
		if n > 0 {
			moments[n].Open += moments[n-1].Open
			moments[n].Waived += moments[n-1].Waived
			moments[n].Resolved += moments[n-1].Resolved
		}
	}
	moments[len(moments)-1].Until = now
	return moments, nil
}

func weekOf(t time.Time) int64 {
	return (t.UnixMicro() - firstWeek.Microseconds()) / week.Microseconds()
}

// take counts a step as a difference to the week before.
func (m *Moment) take(s timelineStep) {
	switch s.was {
	case "opened", "reopened":
		m.Open -= s.n
	case "waived":
		m.Waived -= s.n
	case "resolved":
		m.Resolved -= s.n
	}
	switch s.what {
	case "opened", "reopened":
		m.Open += s.n
		m.Opened += s.n
	case "waived":
		m.Waived += s.n
	case "resolved":
		m.Resolved += s.n
		m.Closed += s.n
	}
}

// timeline returns the kept one, or makes it anew.
func (b *Book) timeline(ctx context.Context) (*timeline, error) {
	b.plans.Lock()
	defer b.plans.Unlock()
	now := b.now().UTC()
	if b.times != nil && fresh(b.times.made, now) {
		return b.times, nil
	}
	rows, err := b.db.Query(ctx, `SELECT week, site, was, what, count(*) FROM (
			SELECT (h.at - $1) / $2 AS week, f.site AS site, h.what AS what,
				coalesce(lag(h.what) OVER (PARTITION BY h.finding ORDER BY h.n), '') AS was
			FROM policy_finding_history h JOIN policy_findings f ON f.id = h.finding
			WHERE h.what <> 'changed'
		) AS steps GROUP BY week, site, was, what`, firstWeek.Microseconds(), week.Microseconds())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	t := &timeline{made: now}
	for rows.Next() {
		var s timelineStep
		if err := rows.Scan(&s.week, &s.site, &s.was, &s.what, &s.n); err != nil {
			return nil, err
		}
		t.steps = append(t.steps, s)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	slices.SortFunc(t.steps, func(a, b timelineStep) int { return int(a.week - b.week) })
	b.times = t
	return t, nil
}

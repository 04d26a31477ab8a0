package policy

import (
	"database/sql"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/watchward/watchward/internal/estate"
)

// TestManyDevices measures the book on an estate of many devices. It runs when
// WATCHWARD_SCALE says how many.
func TestManyDevices(t *testing.T) {
	var n int
	if _, err := fmt.Sscan(os.Getenv("WATCHWARD_SCALE"), &n); err != nil {
		t.Skip("WATCHWARD_SCALE says how many devices")
	}
	w := newTown(t)
	makers := []string{"hikvision", "axis", "dahua", "bosch", "", "hanwha", "axis", "axis", "axis", "uniview"}
	sites := []estate.Site{w.ministry, w.depot, w.hall}
	seed := w.hang(cam("first", "axis"), w.ministry)
	err := w.db.Tx(t.Context(), func(tx *sql.Tx) error {
		for i := range n {
			m, s := makers[i%len(makers)], sites[i%3]
			_, err := tx.ExecContext(t.Context(), `INSERT INTO estate_devices SELECT $1, place, $2, $3, $3, kind, '', state, '[]', '[]', '', '', '',
				'', $4, confidence, replace(identification, 'axis', $4), 'core', exposure, '', '', 0, '', first_seen, last_seen, 0, 0, 0, '', ''
				FROM estate_devices WHERE id = $5`, fmt.Sprintf("d%07d", i), s.ID, fmt.Sprintf("cam %07d", i), m, string(seed.ID))
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	took := func(what string, f func() string) {
		start := time.Now()
		said := f()
		t.Logf("%-22s %8v  %s", what, time.Since(start).Round(time.Millisecond), said)
	}
	took("refresh", func() string { return fmt.Sprintf("%+v", w.refresh()) })
	took("refresh again", func() string { return fmt.Sprintf("%+v", w.refresh()) })
	took("page of findings", func() string {
		all, err := w.book.Findings(t.Context(), FindingFilter{Limit: 50})
		return fmt.Sprint(len(all), err)
	})
	took("counts", func() string {
		all, err := w.book.FindingCounts(t.Context())
		return fmt.Sprint(len(all), err)
	})
	took("plan", func() string {
		p, err := w.book.Plan(t.Context(), PlanFilter{})
		return fmt.Sprint(len(p.Items), err)
	})
	took("plan again", func() string {
		p, err := w.book.Plan(t.Context(), PlanFilter{Site: w.ministry.ID})
		return fmt.Sprint(len(p.Items), err)
	})
	took("compare", func() string {
		_, c, err := w.book.Compare(t.Context(), nil, WhatIf{OrdinaryToo: true})
		return fmt.Sprint(c.Changed, err)
	})
}

package policy

import (
	"testing"
	"time"
)

func TestTimelineFollowsTheHistory(t *testing.T) {
	w := newTown(t) // a Wednesday
	old := cam("one", "hikvision")
	old.Deployed = on(2020, 1, 1)
	one := w.hang(old, w.ministry)
	old.Name = "two"
	w.hang(old, w.depot)
	w.refresh()
	w.now = w.now.AddDate(0, 0, 7)
	w.waive(one, w.ministry, NewDate(2026, 12, 20), "UK-WMS-386c")
	w.now = w.now.AddDate(0, 0, 7)
	if _, err := w.estate.RemoveDevice(t.Context(), one.ID, "ada", "replaced"); err != nil {
		t.Fatal(err)
	}
	w.refresh()
	all, err := w.book.Timeline(t.Context(), map[string]bool{w.ministry.ID: true})
	if err != nil || len(all) != 3 {
		t.Fatalf("%d weeks, %v", len(all), err)
	}
	for n, want := range []Moment{
		{Until: on(2026, 11, 30), Open: 1, Opened: 1},
		{Until: on(2026, 12, 7), Waived: 1},
		{Until: w.now, Resolved: 1, Closed: 1},
	} {
		if all[n] != want {
			t.Errorf("week %d: %+v, want %+v", n, all[n], want)
		}
	}
	if none, err := w.book.Timeline(t.Context(), map[string]bool{}); err != nil || none[len(none)-1] != (Moment{Until: w.now}) {
		t.Errorf("of no site: %+v, %v", none, err)
	}
}

func TestPlanIsShownInParts(t *testing.T) {
	w := newTown(t)
	gone := cam("gone", "hikvision")
	gone.Deployed = on(2020, 1, 1)
	first := w.hang(gone, w.ministry)
	w.refresh()
	if err := w.book.PlanStep(t.Context(), Step{Device: string(first.ID), Cost: 700, Currency: "GBP", By: "ada"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.estate.RemoveDevice(t.Context(), first.ID, "ada", "replaced"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b", "c"} {
		d := cam(name, "hikvision")
		d.Deployed, d.Cost, d.Currency = on(2020, 1, 1), 100, "GBP"
		d = w.hang(d, w.ministry)
		planned := map[string]time.Time{"a": on(2027, 1, 1), "b": on(2026, 11, 1)}[name]
		if err := w.book.PlanStep(t.Context(), Step{Device: string(d.ID), Planned: planned, By: "ada"}); err != nil {
			t.Fatal(err)
		}
	}
	w.refresh()
	p, err := w.book.Plan(t.Context(), PlanFilter{Skip: 1, Limit: 1})
	if err != nil || len(p.Items) != 1 || p.Items[0].Name != "b" || p.Items[0].Rank != 2 || p.Devices != 3 {
		t.Fatalf("%+v, %v", p, err)
	}
	for stage, n := range map[Stage]int{StageDone: 1, StagePlanned: 1, StageOverdue: 1, StageUnplanned: 1} {
		if p.Stages[stage].Devices != n {
			t.Errorf("%d devices are %s, want %d", p.Stages[stage].Devices, stage, n)
		}
	}
	if got := p.Stages[StageDone].Costs; len(got) != 1 || got[0] != (Cost{"GBP", 700}) {
		t.Errorf("done at %v", got)
	}
	if p, err = w.book.Plan(t.Context(), PlanFilter{Stage: StageOverdue}); err != nil || len(p.Items) != 1 || p.Items[0].Name != "b" || p.Items[0].Rank != 2 {
		t.Errorf("overdue: %+v, %v", p.Items, err)
	}
}

func TestFindingsByMakerAndAge(t *testing.T) {
	w := newTown(t)
	for name, maker := range map[string]string{"h": "hikvision", "d": "dahua"} {
		d := cam(name, maker)
		d.Deployed = on(2020, 1, 1)
		w.hang(d, w.ministry)
	}
	w.refresh()
	for _, tt := range []struct {
		name string
		f    FindingFilter
		want int
	}{
		{"all", FindingFilter{}, 2},
		{"of one maker", FindingFilter{Maker: "dahua"}, 1},
		{"of no known maker", FindingFilter{Maker: "-"}, 0},
		{"older than a day", FindingFilter{Before: w.now.AddDate(0, 0, -1)}, 0},
		{"of today", FindingFilter{Since: w.now.AddDate(0, 0, -1)}, 2},
		{"at no site", FindingFilter{Sites: map[string]bool{}}, 0},
	} {
		if all, err := w.book.Findings(t.Context(), tt.f); err != nil || len(all) != tt.want {
			t.Errorf("%s: %d, want %d, %v", tt.name, len(all), tt.want, err)
		}
	}
	groups, err := w.book.Groups(t.Context(), map[string]bool{w.ministry.ID: true})
	if err != nil || len(groups) != 2 || len(groups[0].Devices) != 1 {
		t.Errorf("%d groups, %v", len(groups), err)
	}
}

package policy

import "testing"

func TestCompare(t *testing.T) {
	c := loaded(t)
	council := of("hikvision", body("uk.local-authority"), site(SiteOrdinary), deployed(2020, 1, 1))
	department := of("hikvision", site(SiteOrdinary), deployed(2024, 1, 1))
	swedish := of("axis", site(SiteOrdinary), deployed(2024, 1, 1))
	for _, tt := range []struct {
		name          string
		cs            Case
		w             WhatIf
		before, after Force
		broken        bool
		clause        string // among those changed
	}{
		{"nothing changed", department, WhatIf{}, Must, Must, true, ""},
		{"before there was a rule", department, WhatIf{On: on(2022, 11, 1)}, Must, None, false, "UK-WMS-386b"},
		{"ordinary sites included", department, WhatIf{OrdinaryToo: true}, Must, Must, true, "UK-WMS-386"},
		{"a council as a department", council, WhatIf{Body: "uk.central-department", OrdinaryToo: true}, May, Must, true, "UK-WMS-386c"},
		{"as if the US rule bound us", council, WhatIf{AsIf: []string{"US-889B"}, Purposes: []string{"public-safety"}}, May, Must, true, "US-889B"},
		{"as if it bound us, and another maker", swedish, WhatIf{AsIf: []string{"US-889B"}, Purposes: []string{"public-safety"}}, None, None, false, ""},
		{"only the Australian rule counts", council, WhatIf{AsIf: []string{"AU-2023"}, Only: []string{"AU-2023"}}, None, Must, true, "AU-2023"},
	} {
		got := c.Compare([]Case{tt.cs}, tt.w)
		d := got.Devices[0]
		if d.Before != tt.before || d.After != tt.after || d.BrokenAfter != tt.broken {
			t.Errorf("%s: %s to %s, broken %t; want %s to %s, %t", tt.name, d.Before, d.After, d.BrokenAfter, tt.before, tt.after, tt.broken)
		}
		found := tt.clause == "" && len(d.Changed) == 0
		for _, ch := range d.Changed {
			found = found || ch.Clause == tt.clause
		}
		if !found {
			t.Errorf("%s: changed %v, want %q among them", tt.name, d.Changed, tt.clause)
		}
		if got.Before[tt.before] != 1 || got.After[tt.after] != 1 {
			t.Errorf("%s: totals %v to %v", tt.name, got.Before, got.After)
		}
	}
}

func TestDeviceThatIsThereSinceNobodyKnows(t *testing.T) {
	c := loaded(t)
	cs := of("hikvision", func(c *Case) { c.There = true })
	for name, judge := range map[string]func(Case) []Verdict{"catalogue": c.Judge, "cache": c.NewCache().Judge} {
		verdicts := judge(cs)
		if v := verdict(t, verdicts, "UK-WMS-386"); v.Force != Must || v.Broken || v.WouldChange[len(v.WouldChange)-1].Code != "give-deployed" {
			t.Errorf("%s: whether it came after the rule is open, got %+v", name, v)
		}
		if v := verdict(t, verdicts, "UK-WMS-386c"); v.Force != Should || !v.Broken {
			t.Errorf("%s: it is there, so its removal is to be considered: %+v", name, v)
		}
	}
}

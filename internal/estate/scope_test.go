package estate

import (
	"errors"
	"net/netip"
	"testing"
)

func TestMakeSiteIsWholeOrNothing(t *testing.T) {
	e := openEstate(t)
	o, err := e.AddOrganisation(t.Context(), Organisation{Name: "Council"}, "Ada")
	if err != nil {
		t.Fatal(err)
	}
	if s, err := e.MakeSite(t.Context(), Site{Name: "Quay", Organisation: o.ID, Address: "Quay 1", Class: Sensitive}, "Ada"); err != nil || s.ID != "quay" || s.Address != "Quay 1" || s.Class != Undetermined {
		t.Errorf("%+v, %v", s, err)
	}
	var inv *Invalid
	if _, err := e.MakeSite(t.Context(), Site{Name: "Pier", Organisation: "nobody"}, "Ada"); !errors.As(err, &inv) || inv.Field != "organisation" {
		t.Errorf("a site of nobody there is: %v", err)
	}
	if sites, err := e.Sites(t.Context()); err != nil || len(sites) != 1 {
		t.Errorf("%d sites, %v", len(sites), err)
	}
}

func TestListsOfSomeSitesAndOfAScan(t *testing.T) {
	e := openEstate(t)
	for _, name := range []string{"A", "B", "C"} {
		if _, err := e.AddSite(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	for i, site := range []string{"a", "b", "c", ""} {
		scan, err := e.BeginScan(t.Context(), Scan{By: "Ada", Site: site, Ranges: []string{"10.0.0.0/24"}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Propose(t.Context(), scan.ID, []Sighting{{Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})}, Serial: string(rune('a' + i))}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name string
		f    Filter
		n    int
	}{
		{"no filter", Filter{}, 4},
		{"two sites", Filter{Sites: []string{"a", "c"}}, 2},
		{"one of them, and a site", Filter{Sites: []string{"a", "c"}, Site: "b"}, 0},
		{"no site at all", Filter{Sites: []string{}}, 0},
		{"a site that is none", Filter{Sites: []string{"nowhere"}}, 0},
	} {
		page, err := e.Devices(t.Context(), tt.f)
		if err != nil || len(page.Devices) != tt.n {
			t.Errorf("%s: %d devices, %v", tt.name, len(page.Devices), err)
		}
		if n, err := e.Total(t.Context(), tt.f); err != nil || n != tt.n {
			t.Errorf("%s: counts %d, %v", tt.name, n, err)
		}
	}
	for scan, n := range map[string]int{"2": 1, "9": 0} {
		if page, err := e.Devices(t.Context(), Filter{Scan: scan}); err != nil || len(page.Devices) != n {
			t.Errorf("scan %s: %d devices, %v", scan, len(page.Devices), err)
		}
	}
}

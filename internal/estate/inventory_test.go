package estate

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/watchward/watchward/internal/db"
)

// listed makes records of "site name address mac=… serial=… maker=… state=…".
func listed(t *testing.T, lines ...string) Inventory {
	t.Helper()
	var inv Inventory
	for i, line := range lines {
		site, rest, _ := strings.Cut(line, " ")
		name, rest, _ := strings.Cut(rest, " ")
		rest, state, _ := strings.Cut(rest, "state=")
		s := sighted(t, rest)
		r := Record{Line: i + 2, SiteName: site, Device: Device{
			Name: name, Addresses: s.Addresses, Serial: s.Serial, CertSHA256: s.CertSHA256, Identification: s.Identification, State: State(state),
		}}
		for _, e := range s.Evidence {
			r.Device.MACs = append(r.Device.MACs, e.Value)
		}
		inv.Records = append(inv.Records, r)
	}
	return inv
}

func problems(r DeviceReport) []string {
	var all []string
	for _, l := range r.Errors {
		if errors.Is(l.Err, ErrRefused) {
			all = append(all, fmt.Sprint(l.Line, " refused"))
		} else if inv := asInvalid(l.Err); inv != nil {
			all = append(all, fmt.Sprint(l.Line, " ", inv.Field, " ", inv.Code))
		}
	}
	return all
}

func TestImportIsAllOrNothing(t *testing.T) {
	lines := []string{
		"Harbour A 10.0.0.1 mac=00:40:8c:00:00:01",
		"Harbour B 10.0.0.2 mac=00:40:8c:00:00:02 maker=acme state=adopted", // the gate's
		"Mill C 10.0.0.3 mac=xx",
		"Mill D 10.0.0.4 mac=00:40:8c:00:00:01",
		"Quay E 10.0.0.5 maker=borealis state=adopted",
		"Tower F 10.0.0.6 state=odd",
	}
	lines[2] = "Mill \u202e 10.0.0.3"
	want := []string{"3 refused", "4 name invisible", "5 device same-line", "7 state word"}
	for _, tt := range []struct {
		name          string
		how           Import
		done          bool
		devices       int
		sites         []string
		organisations int
	}{
		{"one bad line stops all", Import{}, false, 0, []string{"Harbour", "School"}, 0},
		{"good ones are kept when a person chose so", Import{KeepGood: true}, true, 2, []string{"Harbour", "Quay", "School"}, 1},
		{"only tried", Import{KeepGood: true, DryRun: true}, false, 0, []string{"Harbour", "School"}, 0},
	} {
		e, _, _, _ := withGate(t)
		inv := listed(t, lines...)
		inv.Records[4].OrganisationName = "Trust"
		inv.Records[2].OrganisationName = "Lost with its line"
		tt.how.By, tt.how.Source = "ada", "list.csv"
		r, err := e.ImportInventory(t.Context(), inv, tt.how)
		if err != nil || !slices.Equal(problems(r), want) || r.Done != tt.done || r.Added != 2 {
			t.Errorf("%s: %+v, %v", tt.name, r, err)
		}
		p, _ := e.Devices(t.Context(), Filter{})
		var sites []string
		all, _ := e.Sites(t.Context())
		for _, s := range all {
			sites = append(sites, s.Name)
		}
		organisations, _ := e.Organisations(t.Context())
		if len(p.Devices) != tt.devices || !slices.Equal(sites, tt.sites) || len(organisations) != tt.organisations {
			t.Errorf("%s: left %d devices, sites %q, %d organisations", tt.name, len(p.Devices), sites, len(organisations))
		}
		checkTallies(t, e)
	}
}

func TestImportAgainUpdates(t *testing.T) {
	e, a, b, _ := withGate(t)
	how := Import{By: "ada", Source: "list.csv"}
	first := listed(t, "Harbour A 10.0.0.1 mac=00:40:8c:00:00:01", "Harbour B 10.0.0.2")
	if r, err := e.ImportInventory(t.Context(), first, how); err != nil || r.Added != 2 {
		t.Fatal(r, err)
	}
	if r, err := e.ImportInventory(t.Context(), first, how); err != nil || r.Same != 2 {
		t.Errorf("the same again: %+v, %v", r, err)
	}
	second := listed(t, "Harbour A2 10.0.0.1 mac=00:40:8c:00:00:01 maker=borealis", "Harbour B 10.0.0.2 mac=00:40:8c:00:00:02", "School A 10.0.0.1")
	r, err := e.ImportInventory(t.Context(), second, how)
	if err != nil || r.Updated != 1 || r.Added != 2 || r.Links != 1 {
		t.Errorf("with more in it: %+v, %v", r, err)
	}
	p, _ := e.Devices(t.Context(), Filter{Site: a.ID, Text: "a2"})
	if len(p.Devices) != 1 || p.Devices[0].Identification.Maker != "borealis" {
		t.Errorf("A is %+v", p.Devices)
	}
	if p, _ := e.Devices(t.Context(), Filter{Site: b.ID}); len(p.Devices) != 1 {
		t.Errorf("the school has %d", len(p.Devices))
	}
}

// TestImportWithoutGate: an import is no way around it.
func TestImportWithoutGate(t *testing.T) {
	e, _, _, _ := withGate(t)
	e.SetGate(nil)
	if _, err := e.ImportInventory(t.Context(), listed(t, "Harbour A 10.0.0.1 state=adopted"), Import{KeepGood: true}); !errors.Is(err, ErrNoGate) {
		t.Errorf("imported: %v", err)
	}
	if p, _ := e.Devices(t.Context(), Filter{}); len(p.Devices) != 0 {
		t.Error("it is there")
	}
}

func TestImportNamesSitesOfOthers(t *testing.T) {
	e, a := withSite(t)
	o, err := e.AddOrganisation(t.Context(), Organisation{Name: "Trust"}, "ada")
	if err != nil {
		t.Fatal(err)
	}
	a.Organisation = o.ID
	if _, err := e.UpdateSite(t.Context(), a, "ada", ""); err != nil {
		t.Fatal(err)
	}
	inv := listed(t, "harbour A 10.0.0.1", "Harbour B 10.0.0.2", "New C 10.0.0.3")
	inv.Records[1].OrganisationName, inv.Records[1].Body = "Council", "uk.local-authority"
	inv.Records[2].OrganisationName = "trust"
	r, err := e.ImportInventory(t.Context(), inv, Import{By: "ada", KeepGood: true})
	if err != nil || !slices.Equal(problems(r), []string{"3 organisation site-elsewhere"}) || r.Added != 2 || r.Sites != 1 || r.Organisations != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestIDsOfAnotherEstate: both made "dev-front-gate", and mean two devices.
func TestIDsOfAnotherEstate(t *testing.T) {
	e, a := withSite(t)
	c, err := e.AddCamera(t.Context(), gate(a.ID))
	if err != nil {
		t.Fatal(err)
	}
	inv := listed(t, "School Front 10.7.0.1 mac=00:40:8c:00:00:07")
	inv.Records[0].Device.ID = c.Device
	r, err := e.ImportInventory(t.Context(), inv, Import{By: "ada"})
	if err != nil || r.Added != 1 || r.Updated != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if d, _ := e.Device(t.Context(), c.Device); d.Name != "Front gate" || len(d.MACs) != 0 {
		t.Errorf("the camera's device is now %+v", d)
	}
}

// BenchmarkImport takes 100,000 devices into an empty estate.
func BenchmarkImport(b *testing.B) {
	var inv Inventory
	for i := range 100_000 {
		inv.Records = append(inv.Records, Record{
			Line: i + 2, SiteName: fmt.Sprint("Site ", i/100), OrganisationName: fmt.Sprint("Council ", i/10_000),
			Device: Device{
				Name: fmt.Sprint("Camera ", i), Kind: KindCamera, Serial: fmt.Sprintf("SN%08d", i), State: Proposed,
				Addresses:      []netip.Addr{netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})},
				MACs:           []string{fmt.Sprintf("00:40:8c:%02x:%02x:%02x", i>>16&255, i>>8&255, i&255)},
				Identification: Identification{Brand: "Acme", Maker: "acme", Model: "M1", Confidence: Hint},
			},
		})
	}
	for b.Loop() {
		d, err := db.Open(b.Context(), filepath.Join(b.TempDir(), "test.db"))
		if err != nil {
			b.Fatal(err)
		}
		e, err := Open(b.Context(), Options{DB: d, Key: testKey, Gate: NoRules{}})
		if err != nil {
			b.Fatal(err)
		}
		r, err := e.ImportInventory(b.Context(), inv, Import{By: "ada", Source: "bench"})
		if err != nil || r.Added != len(inv.Records) {
			b.Fatal(r.Added, len(r.Errors), err)
		}
		d.Close()
	}
}

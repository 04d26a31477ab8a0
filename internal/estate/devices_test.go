package estate

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchward/watchward/internal/db"
)

// refuser is a gate that refuses a maker at a site, and counts how often it
// was asked.
type refuser struct {
	maker, site string
	asked       int
}

func (g *refuser) Allow(_ context.Context, d Device, s Site) error {
	g.asked++
	if d.Identification.Maker == g.maker && s.ID == g.site {
		return fmt.Errorf("rule XX-1 says must not deploy: %w", ErrRefused)
	}
	return nil
}

func addr(s string) []netip.Addr { return []netip.Addr{netip.MustParseAddr(s)} }

func made(by string) Identification {
	return Identification{Maker: by, Brand: by, Confidence: Identified}
}

// withGate opens an estate with two sites and a gate that refuses maker
// "acme" at the first.
func withGate(t *testing.T) (*Estate, Site, Site, *refuser) {
	t.Helper()
	e, a := withSite(t)
	b, err := e.AddSite(t.Context(), "School")
	if err != nil {
		t.Fatal(err)
	}
	g := &refuser{maker: "acme", site: a.ID}
	e.SetGate(g)
	return e, a, b, g
}

// TestNothingIsAdoptedWithoutTheGate tries every door by which a device could
// become adopted or move.
func TestNothingIsAdoptedWithoutTheGate(t *testing.T) {
	for _, tt := range []struct {
		name string
		try  func(e *Estate, a, b Site) error
	}{
		{"adopt", func(e *Estate, a, _ Site) error {
			d, err := e.AddDevice(t.Context(), Device{Name: "Cam", Identification: made("acme")}, "ada", "")
			if err == nil {
				_, err = e.Adopt(t.Context(), d.ID, a.ID, "ada", "")
			}
			return err
		}},
		{"move", func(e *Estate, a, b Site) error {
			d, err := e.AddDevice(t.Context(), Device{Name: "Cam", Site: b.ID, State: Adopted, Identification: made("acme")}, "ada", "")
			if errors.Is(err, ErrNoGate) {
				return err
			}
			if err != nil {
				t.Fatal(err)
			}
			_, err = e.Adopt(t.Context(), d.ID, a.ID, "ada", "")
			return err
		}},
		{"add adopted", func(e *Estate, a, _ Site) error {
			_, err := e.AddDevice(t.Context(), Device{Name: "Cam", Site: a.ID, State: Adopted, Identification: made("acme")}, "ada", "")
			return err
		}},
	} {
		e, a, b, g := withGate(t)
		if err := tt.try(e, a, b); !errors.Is(err, ErrRefused) || g.asked == 0 {
			t.Errorf("%s: %v after %d questions, want a refusal", tt.name, err, g.asked)
		}
		if p, _ := e.Devices(t.Context(), Filter{Site: a.ID, State: Adopted}); len(p.Devices) != 0 {
			t.Errorf("%s: it was adopted all the same", tt.name)
		}
		e, a, b, _ = withGate(t)
		e.SetGate(nil)
		if err := tt.try(e, a, b); !errors.Is(err, ErrNoGate) {
			t.Errorf("%s without a gate: %v", tt.name, err)
		}
	}
}

func TestCamerasGoThroughTheGate(t *testing.T) {
	e, a, _, _ := withGate(t)
	e.SetGate(&refuser{maker: "", site: a.ID}) // refuses what is unknown
	if _, err := e.AddCamera(t.Context(), gate(a.ID)); !errors.Is(err, ErrRefused) {
		t.Errorf("camera added: %v", err)
	}
	report, err := e.ImportCSV(t.Context(), strings.NewReader("name,site,url\nGate,Harbour,rtsp://10.0.0.1/a\n"))
	if err != nil || len(report.Errors) != 1 || !errors.Is(report.Errors[0].Err, ErrRefused) {
		t.Errorf("camera imported: %+v, %v", report, err)
	}
	if all, _ := e.Cameras(t.Context()); len(all) != 0 {
		t.Errorf("%d cameras stream", len(all))
	}
}

func TestOtherDoorsDoNotAdopt(t *testing.T) {
	e, a, b, _ := withGate(t)
	d, err := e.AddDevice(t.Context(), Device{Name: "Cam", Addresses: addr("10.0.0.1")}, "ada", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.UpdateDevice(t.Context(), d.ID, func(d *Device) { d.State, d.Site = Adopted, b.ID }, "ada", ""); asInvalid(err) == nil {
		t.Errorf("update adopted: %v", err)
	}
	if _, err := e.AddDevice(t.Context(), Device{Name: "Cam", State: Adopted}, "ada", ""); asInvalid(err) == nil {
		t.Errorf("adopted nowhere: %v", err)
	}
	if _, err := e.AddDevice(t.Context(), Device{Name: "Cam", Site: b.ID, Camera: "gate"}, "ada", ""); asInvalid(err) == nil {
		t.Errorf("a camera was claimed: %v", err)
	}
	cam := gate(b.ID)
	cam.Device = d.ID
	if _, err := e.AddCamera(t.Context(), cam); asInvalid(err) == nil {
		t.Errorf("a proposal streams: %v", err)
	}
	if _, err := e.Adopt(t.Context(), d.ID, b.ID, "ada", "seen on the wall"); err != nil {
		t.Fatal(err)
	}
	if _, err := e.SetSite(t.Context(), d.ID, a.ID, "ada", ""); asInvalid(err) == nil {
		t.Errorf("an adopted device was moved past the gate: %v", err)
	}
	got, _ := e.Device(t.Context(), d.ID)
	if got.Site != b.ID || got.State != Adopted || got.Adopted.IsZero() {
		t.Errorf("adopted: %+v", got)
	}
}

func TestCameraAndItsDevice(t *testing.T) {
	e, a := withSite(t)
	c, err := e.AddCamera(t.Context(), gate(a.ID))
	if err != nil {
		t.Fatal(err)
	}
	d, err := e.Device(t.Context(), c.Device)
	if err != nil || d.State != Adopted || d.Camera != c.ID || d.Identification.Confidence != Unknown || !slices.Equal(d.Addresses, addr("10.0.0.1")) {
		t.Fatalf("device %+v, %v", d, err)
	}
	if _, err := e.Adopt(t.Context(), d.ID, "elsewhere", "ada", ""); asInvalid(err) == nil {
		t.Errorf("moved away from its recordings: %v", err)
	}
	c.Streams[0].URL, c.Streams[1].URL = "rtsp://10.0.0.7/main", "rtsp://10.0.0.7/sub"
	if _, err := e.UpdateCamera(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if d, _ = e.Device(t.Context(), d.ID); !slices.Equal(d.Addresses, addr("10.0.0.7")) {
		t.Errorf("after a new address: %v", d.Addresses)
	}
	if err := e.RemoveCamera(t.Context(), c.ID); err != nil {
		t.Fatal(err)
	}
	if d, _ = e.Device(t.Context(), d.ID); d.Camera != "" || d.State != Adopted {
		t.Errorf("after the camera is gone: %+v", d)
	}
	c.ID = ""
	c.Device = ""
	again, err := e.AddCamera(t.Context(), c)
	if err != nil || again.Device != d.ID {
		t.Errorf("added again on device %q, %v, want %q", again.Device, err, d.ID)
	}
	if _, err := e.RemoveDevice(t.Context(), d.ID, "ada", "scrapped"); err != nil {
		t.Fatal(err)
	}
	if all, _ := e.Cameras(t.Context()); len(all) != 0 {
		t.Error("a removed device streams")
	}
}

// TestCameraOfUnadoptedDeviceIsOff breaks a row as no door can.
func TestCameraOfUnadoptedDeviceIsOff(t *testing.T) {
	e, a := withSite(t)
	c, err := e.AddCamera(t.Context(), gate(a.ID))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.db.Exec(t.Context(), `UPDATE estate_devices SET state = 'proposed' WHERE id = $1`, string(c.Device)); err != nil {
		t.Fatal(err)
	}
	if c, _ = e.Camera(t.Context(), c.ID); c.Enabled {
		t.Error("it streams")
	}
}

// TestOldEstateIsTakenOver opens a file from before devices were kept.
func TestOldEstateIsTakenOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	d, err := db.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Apply(t.Context(), "estate", schema[:5]); err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{
		`INSERT INTO estate_sites (id, name, created) VALUES ('harbour', 'Harbour', 1000)`,
		`INSERT INTO estate_cameras (id, site, name, enabled, username, transport, record_audio, max_age, max_bytes, created, updated)
			VALUES ('gate', 'harbour', 'Gate', 1, '', 'auto', 0, 0, 0, 2000, 2000)`,
		`INSERT INTO estate_streams (camera, name, url, record) VALUES ('gate', 'main', 'rtsp://10.0.0.1/', 1)`,
		`INSERT INTO estate_cameras (id, site, name, enabled, username, transport, record_audio, max_age, max_bytes, created, updated, removed)
			VALUES ('old', 'harbour', 'Old', 0, '', 'auto', 0, 0, 0, 2000, 2000, 3000)`,
	} {
		if _, err := d.Exec(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	d.Close()
	e := openAt(t, path, testKey)
	c, err := e.Camera(t.Context(), "gate")
	if err != nil || !c.Enabled || c.Device != "dev-gate" {
		t.Fatalf("camera %+v, %v", c, err)
	}
	p, err := e.Devices(t.Context(), Filter{Organisation: "default"})
	if err != nil || len(p.Devices) != 1 || p.Devices[0].State != Adopted || p.Devices[0].Identification.Confidence != Unknown {
		t.Errorf("devices %+v, %v", p, err)
	}
	if s, err := e.Site(t.Context(), "harbour"); err != nil || s.Organisation != "default" || s.Class != Undetermined {
		t.Errorf("site %+v, %v", s, err)
	}
	checkTallies(t, e)
	if _, err := e.UpdateCamera(t.Context(), c); err != nil {
		t.Error(err)
	}
}

func TestHistoryTellsWhoAndWhy(t *testing.T) {
	e, a, b, _ := withGate(t)
	d, err := e.AddDevice(t.Context(), Device{Name: "Cam", Site: b.ID}, "ada", "on the list of 2019")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Adopt(t.Context(), d.ID, a.ID, "grace", "moved in spring"); err != nil {
		t.Fatal(err)
	}
	if _, err := e.UpdateDevice(t.Context(), d.ID, func(d *Device) { d.Network = NetworkCore }, "ada", ""); err != nil {
		t.Fatal(err)
	}
	cam := gate(a.ID)
	cam.Device = d.ID
	if _, err := e.AddCamera(ActingAs(t.Context(), "hedy"), cam); err != nil {
		t.Fatal(err)
	}
	got, err := e.History(t.Context(), "device", string(d.ID), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, c := range got {
		lines = append(lines, fmt.Sprintf("%d %s: %s > %s, %s: %s", c.N, c.What, c.From, c.To, c.By, c.Why))
	}
	want := []string{
		"6 camera:  > front-gate, hedy: camera added",
		"5 network: unknown > core, ada: ", "4 site: school > harbour, grace: moved in spring", "3 state: proposed > adopted, grace: moved in spring",
		"2 site:  > school, ada: on the list of 2019", "1 state:  > proposed, ada: on the list of 2019",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("history\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	if older, _ := e.History(t.Context(), "device", string(d.ID), 3, 1); len(older) != 1 || older[0].N != 2 {
		t.Errorf("a page of it: %+v", older)
	}
}

func TestDeviceIsRefused(t *testing.T) {
	e, a := withSite(t)
	for _, tt := range []struct {
		name        string
		change      func(*Device)
		field, code string
	}{
		{"name that turns writing round", func(d *Device) { d.Name = "a\u202eb" }, "name", "invisible"},
		{"no such site", func(d *Device) { d.Site = "nowhere" }, "site", "unknown"},
		{"kind", func(d *Device) { d.Kind = "toaster" }, "kind", "word"},
		{"network", func(d *Device) { d.Network = "outer" }, "network", "word"},
		{"purpose", func(d *Device) { d.Purpose = "Public Safety" }, "purpose", "purpose"},
		{"MAC address", func(d *Device) { d.MACs = []string{"00:11"} }, "mac", "mac"},
		{"certificate", func(d *Device) { d.CertSHA256 = "abc" }, "certificate", "certificate"},
		{"no address", func(d *Device) { d.Addresses = []netip.Addr{{}} }, "addresses", "address"},
		{"cost without currency", func(d *Device) { d.Cost = 5 }, "cost", "cost"},
		{"cost below nothing", func(d *Device) { d.Cost, d.Currency = -5, "GBP" }, "cost", "cost"},
		{"endless serial number", func(d *Device) { d.Serial = strings.Repeat("1", 200) }, "serial", "too-long"},
	} {
		d := Device{Name: "Cam", Site: a.ID}
		tt.change(&d)
		_, err := e.AddDevice(t.Context(), d, "ada", "")
		inv := asInvalid(err)
		if inv == nil || inv.Field != tt.field || inv.Code != tt.code {
			t.Errorf("%s: %v, want %s of %s", tt.name, err, tt.code, tt.field)
		}
		if inv != nil && strings.Contains(inv.Error(), "%!") {
			t.Errorf("%s: badly written: %s", tt.name, inv)
		}
	}
}

// checkTallies compares the counts that are kept with the rows.
func checkTallies(t *testing.T, e *Estate) {
	t.Helper()
	rows, err := e.db.Query(t.Context(), `SELECT place, state, maker, confidence, kind, count(*) FROM estate_devices GROUP BY 1, 2, 3, 4, 5`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	want := map[facet]int{}
	for rows.Next() {
		var f facet
		var n int
		if err := rows.Scan(&f.place, &f.state, &f.maker, &f.confidence, &f.kind, &n); err != nil {
			t.Fatal(err)
		}
		want[f] = n
	}
	for _, state := range []State{"", Removed} {
		got, err := e.tallies(t.Context(), Filter{State: state})
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range got {
			if want[g.facet] != g.n {
				t.Errorf("tally of %+v is %d, rows are %d", g.facet, g.n, want[g.facet])
			}
			delete(want, g.facet)
		}
	}
	if len(want) > 0 {
		t.Errorf("no tally of %+v", want)
	}
}

func TestRemovedSeenAgain(t *testing.T) {
	e, a, _, _ := withGate(t)
	scan, err := e.BeginScan(t.Context(), Scan{By: "ada", Site: a.ID, Ranges: []string{"10.0.0.0/24"}})
	if err != nil {
		t.Fatal(err)
	}
	s := Sighting{Addresses: addr("10.0.0.5"), MACs: []string{"00-40-8C-00-00-05"}, Identification: made("acme"), At: time.Unix(1000, 0)}
	out, err := e.Propose(t.Context(), scan.ID, []Sighting{s})
	if err != nil || out[0].What != "new" {
		t.Fatal(out, err)
	}
	if _, err := e.RemoveDevice(t.Context(), out[0].Device, "ada", "scrapped"); err != nil {
		t.Fatal(err)
	}
	again, err := e.Propose(t.Context(), scan.ID, []Sighting{s})
	if err != nil || again[0].What != "back" || again[0].Device != out[0].Device {
		t.Errorf("%+v, %v", again, err)
	}
	if d, _ := e.Device(t.Context(), out[0].Device); d.State != Proposed {
		t.Errorf("state %s", d.State)
	}
	checkTallies(t, e)
}

func TestHistoryTellsMoneyAsPeopleWriteIt(t *testing.T) {
	for want, d := range map[string]Device{"": {}, "420.00 GBP": {Cost: 42000, Currency: "GBP"}, "0.05 EUR": {Cost: 5, Currency: "EUR"}} {
		if got := costText(d); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

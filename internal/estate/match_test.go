package estate

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// sighted reads "10.0.0.1 mac=… serial=… cert=… maker=…".
func sighted(t *testing.T, text string) Sighting {
	t.Helper()
	var s Sighting
	for _, f := range strings.Fields(text) {
		k, v, named := strings.Cut(f, "=")
		switch {
		case !named:
			s.Addresses = append(s.Addresses, netip.MustParseAddr(f))
		case k == "mac":
			s.Evidence = append(s.Evidence, Evidence{ID: "m", Kind: "mac", Value: v})
		case k == "serial":
			s.Serial = v
		case k == "cert":
			s.CertSHA256 = strings.Repeat(v, 64)
		case k == "maker":
			s.Identification = made(v)
		default:
			t.Fatalf("what is %q?", f)
		}
	}
	return s
}

// TestKnownAgain runs scans of one site one after the other. A line is what was
// seen and, after ">", what became of it: devices are numbered as they appear.
func TestKnownAgain(t *testing.T) {
	for _, tt := range []struct {
		name  string
		scans []string // lines
	}{
		{"by MAC address, wherever it is", []string{
			"10.0.0.1 mac=00:40:8c:00:00:01 > new 1",
			"10.0.0.1 mac=00:40:8c:00:00:01 > seen 1 by mac",
			"10.0.0.9 mac=0040.8c00.0001 > moved 1 by mac",
		}},
		{"by serial number of one maker", []string{
			"10.0.0.1 serial=AB123456 maker=acme > new 1",
			"10.0.0.9 serial=ab123456 maker=acme > moved 1 by serial",
			"10.0.0.8 serial=AB123456 maker=borealis > new 2",
		}},
		{"by certificate", []string{
			"10.0.0.1 cert=a > new 1",
			"10.0.0.2 cert=a > moved 1 by certificate",
		}},
		{"an address alone never joins what has a number of its own", []string{
			"10.0.0.1 mac=00:40:8c:00:00:01 > new 1",
			"10.0.0.1 mac=00:40:8c:00:00:02 > new 2 like 1 address-only",
			"10.0.0.1 mac=00:40:8c:00:00:01 > seen 1 by mac",
		}},
		{"what has nothing but an address is what was there", []string{
			"10.0.0.1 maker=acme > new 1",
			"10.0.0.1 maker=acme > seen 1 by address",
			"10.0.0.1 > seen 1 by address",
		}},
		{"unless it is another maker's", []string{
			"10.0.0.1 maker=acme > new 1",
			"10.0.0.1 maker=borealis > new 2 like 1 maker-differs",
			"10.0.0.1 maker=borealis > seen 2 by address",
		}},
		{"two claim one serial number", []string{
			"10.0.0.1 mac=00:40:8c:00:00:01 serial=AB123456 maker=acme > new 1",
			"10.0.0.2 mac=00:40:8c:00:00:02 serial=AB123456 maker=acme > new 2 like 1 mac-differs",
			"10.0.0.2 mac=00:40:8c:00:00:02 serial=AB123456 maker=acme > seen 2 by mac",
			"10.0.0.1 serial=AB123456 maker=acme > seen 1 by serial",
			"10.0.0.3 serial=AB123456 maker=acme > new 3 like 1 several 2 several",
		}},
		{"a router answers for many with one MAC address", []string{
			"10.0.0.1 mac=00:40:8c:00:00:01 & 10.0.0.2 mac=00:40:8c:00:00:01 > new 1, new 2 like 1 both-present",
		}},
		{"one device, two kinds of address", []string{
			"10.0.0.1 mac=00:40:8c:00:00:01 & 2001:db8::1 mac=00:40:8c:00:00:01 > new 1, seen 1 by mac",
		}},
		{"MAC address kept, other serial number", []string{
			"10.0.0.1 mac=00:40:8c:00:00:01 serial=AB123456 maker=acme > new 1",
			"10.0.0.1 mac=00:40:8c:00:00:01 serial=CD123456 maker=acme > new 2 like 1 serial-differs",
		}},
		{"what firmware writes for no number is none", []string{
			"10.0.0.1 mac=00:00:00:00:00:00 serial=123456789 maker=acme > new 1",
			"10.0.0.2 mac=00:00:00:00:00:00 serial=123456789 maker=acme > new 2",
			"10.0.0.3 serial=00000000 maker=acme > new 3",
			"10.0.0.4 serial=00000000 maker=acme > new 4",
		}},
		{"nothing to know it by", []string{"maker=acme > refused"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, a, _, _ := withGate(t)
			number := map[DeviceID]int{}
			for i, line := range tt.scans {
				saw, want, _ := strings.Cut(line, " > ")
				scan, err := e.BeginScan(t.Context(), Scan{By: "ada", Site: a.ID, Ranges: []string{"10.0.0.0/24"}})
				if err != nil {
					t.Fatal(err)
				}
				var sightings []Sighting
				for one := range strings.SplitSeq(saw, " & ") {
					s := sighted(t, one)
					s.At = time.Unix(int64(1000+i), 0)
					sightings = append(sightings, s)
				}
				out, err := e.Propose(t.Context(), scan.ID, sightings)
				if err != nil {
					t.Fatal(err)
				}
				if got := told(out, number); got != want {
					t.Errorf("scan %d: %s: got %q, want %q", i+1, saw, got, want)
				}
			}
			checkTallies(t, e)
		})
	}
}

func told(out []Outcome, number map[DeviceID]int) string {
	var lines []string
	for _, o := range out {
		if o.Err != nil {
			lines = append(lines, "refused")
			continue
		}
		if number[o.Device] == 0 {
			number[o.Device] = len(number) + 1
		}
		line := fmt.Sprintf("%s %d", o.What, number[o.Device])
		if o.By != "" {
			line += " by " + string(o.By)
		}
		if len(o.Links) > 0 {
			line += " like"
		}
		slices.SortFunc(o.Links, func(a, b Link) int { return number[a.Other] - number[b.Other] })
		for _, l := range o.Links {
			line += fmt.Sprintf(" %d %s", number[l.Other], l.Why)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, ", ")
}

// TestAddressesOfOtherSites: every school has its 192.168.1.64.
func TestAddressesOfOtherSites(t *testing.T) {
	e, a, b, _ := withGate(t)
	for _, site := range []string{a.ID, b.ID, ""} {
		scan, err := e.BeginScan(t.Context(), Scan{By: "ada", Site: site, Ranges: []string{"192.168.1.0/24"}})
		if err != nil {
			t.Fatal(err)
		}
		for _, saw := range []string{"192.168.1.64", "192.168.1.65 cert=b"} {
			out, err := e.Propose(t.Context(), scan.ID, []Sighting{sighted(t, saw)})
			if err != nil || out[0].What != "new" {
				t.Errorf("site %q, %s: %+v, %v", site, saw, out, err)
			}
		}
	}
}

func TestMergeAndKeepApart(t *testing.T) {
	e, a, _, _ := withGate(t)
	e.SetGate(NoRules{})
	cam, err := e.AddCamera(t.Context(), gate(a.ID)) // at 10.0.0.1, by hand
	if err != nil {
		t.Fatal(err)
	}
	scan, _ := e.BeginScan(t.Context(), Scan{By: "ada", Site: a.ID, Ranges: []string{"10.0.0.0/24"}})
	s := sighted(t, "10.0.0.1 mac=00:40:8c:00:00:01 maker=acme")
	s.Identification.Because = []Reason{{Evidence: "m", Fingerprint: "acme/oui"}}
	out, err := e.Propose(t.Context(), scan.ID, []Sighting{s})
	if err != nil || len(out[0].Links) != 1 || out[0].Links[0].Other != cam.Device {
		t.Fatalf("%+v, %v", out, err)
	}
	if links, _ := e.Links(t.Context(), cam.Device); len(links) != 1 || links[0].Device != cam.Device || links[0].Other != out[0].Device {
		t.Fatalf("the camera's device has links %+v", links)
	}
	d, err := e.Merge(t.Context(), cam.Device, out[0].Device, "ada", "same box")
	if err != nil || d.State != Adopted || d.Camera != cam.ID || d.Identification.Maker != "acme" || len(d.MACs) != 1 {
		t.Fatalf("merged %+v, %v", d, err)
	}
	evidence, _ := e.Evidence(t.Context(), d.ID, false)
	if len(evidence) != 1 || d.Identification.Because[0].Evidence != evidence[0].ID {
		t.Errorf("reasons %+v cite none of %+v", d.Identification.Because, evidence)
	}
	if links, _ := e.OpenLinks(t.Context(), 0); len(links) != 0 {
		t.Errorf("still open: %+v", links)
	}
	if _, err := e.Merge(t.Context(), out[0].Device, d.ID, "ada", ""); asInvalid(err) == nil {
		t.Errorf("an adopted device was merged away: %v", err)
	}
	again, err := e.Propose(t.Context(), scan.ID, []Sighting{sighted(t, "10.0.0.1 mac=00:40:8c:00:00:01")})
	if err != nil || again[0].Device != d.ID {
		t.Errorf("seen again as %+v, %v", again, err)
	}
	other, err := e.Propose(t.Context(), scan.ID, []Sighting{sighted(t, "10.0.0.1 mac=00:40:8c:00:00:02")})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.KeepApart(t.Context(), d.ID, other[0].Device, "ada", "two on one switch"); err != nil {
		t.Error(err)
	}
	if links, _ := e.Links(t.Context(), d.ID); len(links) != 0 {
		t.Errorf("still linked: %+v", links)
	}
	checkTallies(t, e)
}

// A device gives several answers of a kind at one port. They are kept side by
// side until it is seen again, when two records of it become one as well.
func TestEvidenceSeenTogetherStaysTogether(t *testing.T) {
	e := openEstate(t)
	add := func(name string) DeviceID {
		d, err := e.AddDevice(t.Context(), Device{Name: name}, "ada", "")
		if err != nil {
			t.Fatal(err)
		}
		return d.ID
	}
	observe := func(id DeviceID, second int, values ...string) {
		t.Helper()
		var seen []Evidence
		for i, v := range values {
			seen = append(seen, Evidence{ID: v, Kind: "http-response", Port: 80, Value: v, At: time.Unix(int64(second), int64(i)*1000)})
		}
		if _, err := e.Observe(t.Context(), id, seen, Identification{}, "ada"); err != nil {
			t.Fatal(err)
		}
	}
	shows := func(id DeviceID, when, newest, all string) {
		t.Helper()
		for _, tt := range []struct {
			all  bool
			want string
		}{{false, newest}, {true, all}} {
			found, err := e.Evidence(t.Context(), id, tt.all)
			if err != nil {
				t.Fatal(err)
			}
			var values []string
			for _, ev := range found {
				values = append(values, ev.Value)
			}
			slices.Sort(values)
			if got := strings.Join(values, " "); got != tt.want {
				t.Errorf("%s: %q, want %q (all %t)", when, got, tt.want, tt.all)
			}
		}
	}
	a, b := add("A"), add("B")
	observe(a, 10, "login", "page")
	shows(a, "seen once", "login page", "login page")
	observe(a, 20, "page", "secret")
	shows(a, "seen again", "page secret", "login page secret")
	observe(a, 15, "late")
	shows(a, "told later of something earlier", "page secret", "late login page secret")
	observe(b, 25, "icon")
	observe(b, 30, "new", "page")
	if _, err := e.Merge(t.Context(), a, b, "ada", "the same"); err != nil {
		t.Fatal(err)
	}
	shows(a, "with what was seen of another record of it", "new page", "icon late login new page secret")
}

func TestEvidenceIsBounded(t *testing.T) {
	e := openEstate(t)
	d, err := e.AddDevice(t.Context(), Device{Name: "Cam"}, "ada", "")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		at := time.Unix(int64(i+1), 0)
		d, err = e.Observe(t.Context(), d.ID, []Evidence{
			{ID: "title", Kind: "http-title", Port: 80, Value: fmt.Sprint("title ", i%150), At: at}, {ID: "port", Kind: "port", Port: 1000 + i, Value: "open", At: at},
		}, Identification{Maker: "acme", Confidence: Identified, Because: []Reason{{Evidence: "title", Saw: "a\x1b[31mb"}}}, "ada")
		if err != nil {
			t.Fatal(err)
		}
	}
	large := []Evidence{{Kind: "http-response", Port: 80, Value: strings.Repeat("\xff", 1<<20), At: time.Unix(5000, 0)}, {Kind: "", Value: "nothing"}}
	if d, err = e.Observe(t.Context(), d.ID, large, d.Identification, "ada"); err != nil {
		t.Fatal(err)
	}
	newest, _ := e.Evidence(t.Context(), d.ID, false)
	whole, _ := e.Evidence(t.Context(), d.ID, true)
	if len(newest) != maxEvidenceNewest || len(whole) != maxEvidenceNewest+maxEvidenceOlder {
		t.Errorf("kept %d, %d with older ones", len(newest), len(whole))
	}
	if newest[0].Kind != "http-response" || len(newest[0].Value) != maxValue {
		t.Errorf("newest is %s of %d bytes", newest[0].Kind, len(newest[0].Value))
	}
	i := d.Identification
	if i.Because[0].Saw != "a[31mb" || i.Because[0].Evidence == "title" {
		t.Errorf("reason %+v", i.Because[0])
	}
	for _, ev := range newest {
		if ev.Kind == "http-title" && (ev.Value != "title 49" || ev.ID != i.Because[0].Evidence) {
			t.Errorf("newest title is %q, ID %s", ev.Value, ev.ID)
		}
	}
}

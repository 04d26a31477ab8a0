package discover

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/identify"
	"github.com/watchward/watchward/internal/simulate"
)

// street runs devices with faces until the test ends; none named are the town's.
func street(t testing.TB, network string, devices int, faces ...string) []simulate.DeviceInfo {
	s, err := simulate.NewStreet(simulate.StreetOptions{Network: netip.MustParsePrefix(network), Devices: devices, Faces: faces, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	select {
	case <-s.Ready():
	case err := <-done:
		done <- nil
		t.Skip("no street here: ", err)
	}
	return s.Devices()
}

// Every device of a street is found, at its address, by what it shows; nothing
// is found where nobody lives; and the real maker of each is named or not known,
// never another.
func TestScanFindsAStreet(t *testing.T) {
	devices := street(t, "127.0.81.0/27", 15)
	if !slices.ContainsFunc(devices[0].Ports, func(p simulate.Port) bool { return p.Number == 80 }) {
		t.Skip("ports below 1024 are not ours")
	}
	ranges, err := ParseRanges([]string{"127.0.81.0/27"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	engine, err := identify.Default()
	if err != nil {
		t.Fatal(err)
	}
	found := map[netip.Addr]Found{}
	var record Record
	began := time.Now()
	err = Scan(t.Context(), Options{Ranges: ranges, Rate: 2000, By: "test", Record: func(r Record) { record = r }}, func(f Found) { found[f.Address] = f })
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("took %v, sent %v", time.Since(began), record.Sent)
	if record.State != estate.ScanDone || record.Done != 30 || record.Answered != len(found) || record.Next[0] != 30 {
		t.Errorf("record %+v", record)
	}
	lives := map[netip.Addr]bool{}
	for _, d := range devices {
		lives[d.IP] = true
		f, ok := found[d.IP]
		if !ok {
			t.Errorf("%s at %s was not found", d.Truth.Face, d.IP)
			continue
		}
		id := engine.From(f.Evidence, time.Time{})
		t.Logf("%-18s %3d pieces  brand %-10q maker %-12q model %-22q %s %s", d.Truth.Face, len(f.Evidence), id.Brand, id.MakerName, id.Model, id.Confidence, f.Partial)
		if id.Confidence.Rank() > estate.Hint.Rank() && id.MakerName != d.Truth.Maker {
			t.Errorf("%s: maker %q, want %q: %+v", d.Truth.Face, id.MakerName, d.Truth.Maker, id.Because)
		}
	}
	for a := range found {
		if !lives[a] {
			t.Errorf("found a device at %s, where nobody lives", a)
		}
	}
}

// Who drips, hurts or says nothing is found like others, holds nobody up, and
// accuses nobody.
func TestScanOfABadNeighbourhood(t *testing.T) {
	devices := street(t, "127.0.83.0/28", 6, "drip", "hostile", "mute")
	ranges, err := ParseRanges([]string{"127.0.83.0/28"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	engine, err := identify.Default()
	if err != nil {
		t.Fatal(err)
	}
	began, found := time.Now(), 0
	err = Scan(t.Context(), Options{Ranges: ranges, Rate: 2000, Timeout: 500 * time.Millisecond}, func(f Found) {
		found++
		if id := engine.From(f.Evidence, time.Time{}); id.Confidence.Rank() > estate.Hint.Rank() {
			t.Errorf("%s: %+v", f.Address, id)
		}
		if len(f.Evidence) > maxEvidence {
			t.Errorf("%s: %d pieces of evidence", f.Address, len(f.Evidence))
		}
	})
	if took := time.Since(began); err != nil || took > maxTime {
		t.Errorf("took %v: %v", took, err)
	}
	if !slices.ContainsFunc(devices[0].Ports, func(p simulate.Port) bool { return p.Number == 80 }) {
		t.Skip("ports below 1024 are not ours")
	}
	if found != len(devices) {
		t.Errorf("found %d of %d", found, len(devices))
	}
}

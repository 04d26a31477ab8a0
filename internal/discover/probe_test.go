package discover

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchward/watchward/internal/camera"
	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/identify"
	"github.com/watchward/watchward/internal/simulate"
)

// An adopted device tells its own login more than a scan sees: with it, each
// maker that a scan only guessed is known.
func TestProbeTellsTheMaker(t *testing.T) {
	devices := street(t, "127.0.82.0/27", 12)
	engine, err := identify.Default()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range devices {
		t.Run(d.Truth.Face, func(t *testing.T) {
			o := ProbeOptions{Address: d.IP, User: d.Username, Password: camera.Secret(d.Password)}
			for _, p := range d.Ports {
				if p.Name == "http" || p.Name == "https" && o.Web == 0 {
					o.Web, o.TLS = p.Number, p.Name == "https"
				}
			}
			if i := slices.IndexFunc(d.Ports, func(p simulate.Port) bool { return p.Name == "onvif" }); i >= 0 {
				o.ONVIF = []int{d.Ports[i].Number}
			}
			f, err := Probe(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(f.Evidence, func(e estate.Evidence) bool { return e.Login && e.Kind == identify.KindONVIFDeviceInformation }) {
				t.Errorf("no device information in %d pieces", len(f.Evidence))
			}
			id := engine.From(f.Evidence, time.Time{})
			if id.MakerName != d.Truth.Maker && id.Confidence.Rank() > estate.Hint.Rank() {
				t.Errorf("maker %q %s, want %q", id.MakerName, id.Confidence, d.Truth.Maker)
			}
			o.Password = "wrong"
			asks := d.Truth.Face != "xiongmai" && d.Truth.Face != "liar" // which tell everybody
			if _, err := Probe(t.Context(), o); asks && !errors.Is(err, ErrLogin) {
				t.Errorf("with a wrong password: %v, want %v", err, ErrLogin)
			}
		})
	}
}

func TestProbeWantsALogin(t *testing.T) {
	if _, err := Probe(t.Context(), ProbeOptions{Address: netip.MustParseAddr("192.0.2.7")}); err == nil || !strings.Contains(err.Error(), "login") {
		t.Errorf("error %v", err)
	}
}

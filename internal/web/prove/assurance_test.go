package prove

import (
	"testing"
	"time"

	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/ledger"
	"github.com/watchward/watchward/internal/policy"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// wellKept is a camera of which everything that can be is borne out.
func wellKept() facts {
	return facts{
		now: noon, from: noon.Add(-window),
		readers:  []estate.Reader{{Recipient: "age1…", Added: noon.Add(-100 * time.Hour)}},
		dayKey:   true,
		timeline: archive.Timeline{First: noon.Add(-90 * time.Hour), Last: noon.Add(-time.Minute)},
		limit:    estate.Retention{MaxAge: 72 * time.Hour},
		log: ledger.Status{
			Checkpoint: ledger.Checkpoint{Size: 1000}, Published: noon.Add(-time.Second),
			Witnesses: []ledger.WitnessStatus{{Name: "auditor", At: noon.Add(-time.Minute)}},
		},
		device: &estate.Device{LastSeen: noon.Add(-time.Hour), Identification: estate.Identification{
			Brand: "TRENDnet", MakerName: "Hikvision", Confidence: estate.Identified,
		}},
	}
}

func gap(ago, length time.Duration, reason string) archive.Gap {
	return archive.Gap{Start: noon.Add(-ago), End: noon.Add(-ago + length), Reason: reason}
}

func TestClaims(t *testing.T) {
	for _, tt := range []struct {
		name    string
		change  func(*facts)
		promise string
		tone    Tone
		code    string
	}{
		{"all is well", func(*facts) {}, Sealed, Good, "sealed-to"},
		{"nobody can open", func(f *facts) { f.readers = nil }, Sealed, Bad, "no-readers"},
		{"the day's key is gone", func(f *facts) { f.dayKey = false }, Sealed, Bad, "no-day-key"},
		{"sealed an hour ago is no evidence for now", func(f *facts) { f.timeline.Last = noon.Add(-time.Hour) }, Sealed, Unknown, "sealed-nothing-new"},

		{"nobody looks at the wire", func(*facts) {}, PassedOn, Unknown, "not-observed"},

		{"cosigned lately", func(*facts) {}, Logged, Good, "cosigned"},
		{"signed here alone", func(f *facts) { f.log.Witnesses = nil }, Logged, Unknown, "no-witness"},
		{"a witness that never answered", func(f *facts) { f.log.Witnesses[0].At = time.Time{} }, Logged, Unknown, "witness-silent"},
		{"a witness that is silent", func(f *facts) { f.log.Witnesses[0].At = noon.Add(-time.Hour) }, Logged, Unknown, "witness-silent"},
		{"a witness with another history", func(f *facts) { f.log.Witnesses[0].Alarm = true }, Logged, Bad, "witness-alarm"},
		{"one of two witnesses with another history", func(f *facts) {
			f.log.Witnesses = append(f.log.Witnesses, ledger.WitnessStatus{Name: "other", At: noon, Alarm: true})
		}, Logged, Bad, "witness-alarm"},
		{"the tree does not grow", func(f *facts) { f.log.Trouble = "disk full" }, Logged, Bad, "log-trouble"},
		{"what happened waits", func(f *facts) { f.log.Pending, f.log.Published = 5, noon.Add(-time.Hour) }, Logged, Bad, "log-behind"},
		{"an old head without news", func(f *facts) { f.log.Published = noon.Add(-time.Hour) }, Logged, Good, "cosigned"},
		{"an empty log", func(f *facts) { f.log.Checkpoint.Size = 0 }, Logged, Bad, "log-behind"},

		{"nothing missing", func(*facts) {}, Kept, Good, "no-gap"},
		{"a gap today", func(f *facts) { f.timeline.Gaps = []archive.Gap{gap(time.Hour, time.Minute, "connection-lost")} }, Kept, Bad, "gaps"},
		{"a gap before the window", func(f *facts) { f.timeline.Gaps = []archive.Gap{gap(30*time.Hour, time.Minute, "connection-lost")} }, Kept, Good, "no-gap"},
		{"deleted as the rule says", func(f *facts) { f.timeline.Gaps = []archive.Gap{gap(time.Hour, time.Minute, archive.Expired)} }, Kept, Good, "no-gap"},
		{"nothing yet", func(f *facts) { f.timeline = archive.Timeline{} }, Kept, Unknown, "nothing-recorded"},
		{"stopped", func(f *facts) { f.timeline.Last = noon.Add(-time.Hour) }, Kept, Bad, "stopped"},

		{"maker settled, nothing open", func(*facts) {}, MadeBy, Good, "made-by"},
		{"no device", func(f *facts) { f.device = nil }, MadeBy, Unknown, "no-device"},
		{"only the badge's word", func(f *facts) { f.device.Identification.Confidence = estate.Hint }, MadeBy, Unknown, "maker-unknown"},
		{"never identified", func(f *facts) { f.device.Identification = estate.Identification{} }, MadeBy, Unknown, "maker-unknown"},
		{"seen two years ago", func(f *facts) { f.device.LastSeen = noon.AddDate(-2, 0, 0) }, MadeBy, Unknown, "seen-long-ago"},
		{"a must is broken", func(f *facts) { f.findings = []policy.Finding{{Force: policy.Must, State: policy.StateOpen}} }, MadeBy, Bad, "finding-must"},
		{"a should is open", func(f *facts) { f.findings = []policy.Finding{{Force: policy.Should, State: policy.StateOpen}} }, MadeBy, Unknown, "finding-open"},
		{"a waived must is not open", func(f *facts) { f.findings = []policy.Finding{{Force: policy.Must, State: policy.StateWaived}} }, MadeBy, Good, "made-by"},
	} {
		f := wellKept()
		tt.change(&f)
		for i, c := range f.claims() {
			if c.Promise != Promises()[i] {
				t.Errorf("%s: claim %d is %s, want %s", tt.name, i, c.Promise, Promises()[i])
			}
			if c.Promise == tt.promise && (c.Tone != tt.tone || c.Code != tt.code) {
				t.Errorf("%s: %s is %s (%s), want %s (%s)", tt.name, tt.promise, c.Tone, c.Code, tt.tone, tt.code)
			}
		}
	}
}

// Of a camera nobody knows anything about, nothing is green.
func TestNothingKnownIsNeverGood(t *testing.T) {
	for _, c := range (facts{now: noon, from: noon.Add(-window)}).claims() {
		if c.Tone == Good {
			t.Errorf("%s is good without any evidence: %s", c.Promise, c.Code)
		}
	}
}

func TestOnlyTheWindowCounts(t *testing.T) {
	f := wellKept()
	f.timeline.Gaps = []archive.Gap{gap(25*time.Hour, 2*time.Hour, "no-video"), gap(time.Hour, time.Minute, "stalled")}
	c := f.kept()
	if got := c.Args["lost"]; got != time.Hour+time.Minute {
		t.Errorf("lost %v, want an hour of the first gap and the minute", got)
	}
}

func TestTallies(t *testing.T) {
	bad := wellKept()
	bad.readers = nil
	rows := []cameraRow{{Claims: wellKept().claims()}, {Claims: bad.claims()}}
	got := tallies(rows)
	if got[0] != (tally{Sealed, 1, 0, 1}) || got[0].Tone() != Bad || got[1].Tone() != Unknown || got[3].Tone() != Good {
		t.Errorf("%+v", got)
	}
	if (tally{}).Tone() != Unknown {
		t.Error("nothing counted is good")
	}
}

package archive_test

import (
	"strings"
	"testing"
	"time"

	"github.com/watchward/watchward/internal/archive"
)

func TestNames(t *testing.T) {
	at := time.Date(2031, 5, 6, 23, 59, 59, 7_000_000, time.UTC)
	sub := archive.StreamID{Site: "harbour", Camera: "gate-2", Stream: "sub"}
	for _, tt := range []struct {
		s    archive.Segment
		want string
	}{
		{
			archive.Segment{StreamID: gate, Start: at, Duration: time.Minute, State: archive.Sealed},
			"harbour/gate/2031-05-06/23-59-59.007Z_60000.mp4.age",
		},
		{
			archive.Segment{StreamID: sub, Start: at, Duration: time.Millisecond, State: archive.Sealed},
			"harbour/gate-2/2031-05-06/23-59-59.007Z_1.sub.mp4.age",
		},
		{
			archive.Segment{StreamID: gate, Start: at, Duration: time.Minute, State: archive.Torn},
			"harbour/gate/2031-05-06/23-59-59.007Z_60000.torn.mp4.age",
		},
		{
			archive.Segment{StreamID: sub, Start: at, Duration: time.Minute, State: archive.Torn},
			"harbour/gate-2/2031-05-06/23-59-59.007Z_60000.sub.torn.mp4.age",
		},
		{
			archive.Segment{StreamID: gate, Start: at, Duration: time.Minute, State: archive.Damaged},
			"harbour/gate/2031-05-06/23-59-59.007Z_60000.damaged.mp4.age",
		},
	} {
		if got := tt.s.Name(); got != tt.want {
			t.Errorf("Name = %q, want %q", got, tt.want)
		}
		if got, err := archive.ParseName(tt.want); err != nil || got != tt.s {
			t.Errorf("ParseName(%q) = %+v, %v, want %+v", tt.want, got, err, tt.s)
		}
	}
	for _, name := range []string{
		"harbour/gate/2031-05-06/12-00-00.000Z_1000.no-video.gap",
		"harbour/gate/2031-05-06/12-00-00.000Z_1000.sub.no-video.gap",
		"harbour/gate/2031-05-06/12-00-00.000Z.part",
		"harbour/gate/2031-05-06/12-00-00.000Z.sub.part",
	} {
		if got, err := archive.ParseAny(name); err != nil || got != name {
			t.Errorf("%q came back as %q, %v", name, got, err)
		}
		if _, err := archive.ParseName(name); err == nil {
			t.Errorf("%q was read as a segment", name)
		}
	}
}

var badNames = []string{
	"", "x", "harbour/gate/2031-05-06", "harbour/gate/2031-05-06/",
	"harbour/gate/2031-05-06/12-00-00.000Z_0.mp4.age",
	"harbour/gate/2031-05-06/12-00-00.000Z_-5.mp4.age",
	"harbour/gate/2031-05-06/12-00-00.000Z_007.mp4.age",
	"harbour/gate/2031-05-06/12-00-00.000Z_99999999999999999999.mp4.age",
	"harbour/gate/2031-05-06/12-00-00.000Z_1.main.mp4.age",
	"harbour/gate/2031-05-06/12-00-00.000Z_1.a.b.mp4.age",
	"harbour/gate/2031-05-06/12-00-00.000Z_1.torn.torn.mp4.age",
	"harbour/gate/2031-05-06/12-00-00Z_1.mp4.age",
	"harbour/gate/2031-05-06/24-00-00.000Z_1.mp4.age",
	"harbour/gate/2031-02-30/12-00-00.000Z_1.mp4.age",
	"harbour/gate/2031-05-06/12-00-00.000Z_1..gap",
	"harbour/gate/2031-05-06/12-00-00.000Z..part",
	"harbour/../2031-05-06/12-00-00.000Z_1.mp4.age",
	"../gate/2031-05-06/12-00-00.000Z_1.mp4.age",
	"harbour/gate/2031-05-06/12-00-00.000Z_1.mp4.age/x",
	"harbour/gate/2031-05-06/" + strings.Repeat("1", 500),
}

func TestBadNames(t *testing.T) {
	for _, name := range badNames {
		if got, err := archive.ParseAny(name); err == nil {
			t.Errorf("%q was read as %q", name, got)
		}
	}
}

func FuzzParseName(f *testing.F) {
	for _, name := range badNames {
		f.Add(name)
	}
	f.Add("harbour/gate/2031-05-06/12-00-00.000Z_60000.sub.torn.mp4.age")
	f.Add("harbour/gate/2031-05-06/12-00-00.000Z_60000.sub.no-video.gap")
	f.Add("harbour/gate/2031-05-06/12-00-00.000Z.part")
	f.Fuzz(func(t *testing.T, name string) {
		got, err := archive.ParseAny(name)
		if err == nil && got != name {
			t.Errorf("%q came back as %q", name, got)
		}
	})
}

package watch

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/watchward/watchward/internal/archive"
)

// book stands in for the ledger.
type book struct {
	noted []Viewing
	fails bool
}

func (b *book) Note(_ context.Context, v Viewing) error {
	if b.fails {
		return fmt.Errorf("%w: the disk is full", ErrNotNoted)
	}
	b.noted = append(b.noted, v)
	return nil
}

// given are the routes by which somebody is given something to see.
var given = []struct {
	name, method, path string
	code               int // when it is given
	want               Viewing
}{
	{
		"a segment", "GET", "/api/cameras/gate/segments/main/" + unix(-3*time.Minute), 200,
		Viewing{What: SeeRecording, Stream: gateMain, At: noon.Add(-3 * time.Minute)},
	},
	{
		"the open segment", "GET", "/api/cameras/gate/segments/main/" + unix(-time.Minute), 200,
		Viewing{What: SeeRecording, Stream: gateMain, At: noon.Add(-time.Minute)},
	},
	{
		"a day key", "GET", "/api/cameras/gate/days/2030-06-01/key", 200,
		Viewing{What: SeeKey, Stream: archive.StreamID{Site: "harbour", Camera: "gate"}, At: noon.Truncate(24 * time.Hour)},
	},
	{"live by WebRTC", "POST", "/api/cameras/gate/live/main/whep", http.StatusTeapot, Viewing{What: SeeLive, Stream: gateMain, At: noon}},
	{"live by socket", "GET", "/api/cameras/gate/live/main/socket", http.StatusTeapot, Viewing{What: SeeLive, Stream: gateMain, At: noon}},
}

var gateMain = archive.StreamID{Site: "harbour", Camera: "gate", Stream: "main"}

func unix(d time.Duration) string { return fmt.Sprint(noon.Add(d).UnixMilli()) }

func TestViewingIsNotedFirst(t *testing.T) {
	b := newBench(t)
	ada := b.login(t, "Ada")
	for _, g := range given {
		b.book.noted = nil
		r := ask(g.method, g.path, "", ada, with("Sec-Fetch-Site", "same-origin"), with(purposeHeader, "case 12"))
		if rec := b.serve(r); rec.Code != g.code {
			t.Errorf("%s: %d", g.name, rec.Code)
		}
		if len(b.book.noted) != 1 {
			t.Errorf("%s: noted %+v", g.name, b.book.noted)
			continue
		}
		got := b.book.noted[0]
		if got.Session == "" {
			t.Errorf("%s: no session", g.name)
		}
		got.Session, g.want.User, g.want.Why = "", "Ada", "case 12"
		if got != g.want {
			t.Errorf("%s: noted %+v, want %+v", g.name, got, g.want)
		}
	}
}

// TestNothingIsShownThatCannotBeNoted is the promise that nobody sees without
// leaving a trace.
func TestNothingIsShownThatCannotBeNoted(t *testing.T) {
	b := newBench(t)
	ada := b.login(t, "Ada")
	b.book.fails = true
	for _, g := range given {
		b.asked = nil
		rec := b.serve(ask(g.method, g.path, "", ada, with("Sec-Fetch-Site", "same-origin"), with("Accept", "application/json")))
		body := rec.Body.String()
		if rec.Code != http.StatusServiceUnavailable || !strings.Contains(body, "noted") {
			t.Errorf("%s: %d %s", g.name, rec.Code, body)
		}
		if strings.Contains(body, "0123456789") || strings.Contains(body, "sealed key") || len(b.asked) > 0 {
			t.Errorf("%s: something was given out: %s %q", g.name, body, b.asked)
		}
	}
}

// TestNothingIsNotedThatIsNotShown keeps refusals out of the list of viewings.
func TestNothingIsNotedThatIsNotShown(t *testing.T) {
	b := newBench(t)
	ada := b.login(t, "Ada")
	for _, path := range []string{
		"/api/cameras/gate/segments/main/5", "/api/cameras/nowhere/segments/main/" + unix(-3*time.Minute),
		"/api/cameras/gate/days/1999-01-01/key", "/api/cameras/gate/days/today/key",
	} {
		if rec := b.serve(ask("GET", path, "", ada)); rec.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, rec.Code)
		}
	}
	for _, g := range given { // nobody is logged in
		b.serve(ask(g.method, g.path, "", with("Sec-Fetch-Site", "same-origin")))
	}
	if len(b.book.noted) > 0 {
		t.Errorf("noted %+v", b.book.noted)
	}
}

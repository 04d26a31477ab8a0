package policy

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/watchward/watchward/internal/db"
	"github.com/watchward/watchward/internal/estate"
)

// town is an estate of a department and a council, with a book as its gate. Its
// clock is moved by hand.
type town struct {
	t               *testing.T
	db              *db.DB
	estate          *estate.Estate
	book            *Book
	now             time.Time
	ministry, depot estate.Site // the department's: sensitive, ordinary
	hall            estate.Site // the council's, sensitive
}

func newTown(t *testing.T) *town {
	t.Helper()
	ctx := t.Context()
	w := &town{t: t, now: on(2026, 11, 25).Add(10 * time.Hour)}
	clock := func() time.Time { return w.now }
	var err error
	if w.db, err = db.Open(ctx, filepath.Join(t.TempDir(), "w.db")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.db.Close() })
	secret := bytes.Repeat([]byte{7}, 32)
	if w.estate, err = estate.Open(ctx, estate.Options{DB: w.db, Key: secret, Now: clock}); err != nil {
		t.Fatal(err)
	}
	key, err := WaiverKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	if w.book, err = Open(ctx, Options{DB: w.db, Estate: w.estate, Catalogue: loaded(t), Key: key, Now: clock}); err != nil {
		t.Fatal(err)
	}
	w.estate.SetGate(w.book)
	w.ministry = w.site("Ministry", "uk.central-department", estate.Sensitive)
	w.depot = w.site("Depot", "uk.central-department", estate.Ordinary)
	w.hall = w.site("Town hall", "uk.local-authority", estate.Sensitive)
	return w
}

func (w *town) site(name, body string, class estate.SiteClass) estate.Site {
	w.t.Helper()
	ctx := w.t.Context()
	o, err := w.estate.AddOrganisation(ctx, estate.Organisation{Name: "Body of " + name, Body: body}, "ada")
	if err != nil {
		w.t.Fatal(err)
	}
	s, err := w.estate.AddSite(ctx, name)
	if err != nil {
		w.t.Fatal(err)
	}
	s.Organisation = o.ID
	if s, err = w.estate.UpdateSite(ctx, s, "ada", "it is theirs"); err != nil {
		w.t.Fatal(err)
	}
	if s, err = w.estate.ClassSite(ctx, s.ID, class, "ada", "looked at it"); err != nil {
		w.t.Fatal(err)
	}
	return s
}

func cam(name, maker string) estate.Device {
	return estate.Device{
		Name: name, Kind: estate.KindCamera, Network: estate.NetworkIsolated,
		Identification: estate.Identification{Maker: maker, MakerName: maker, Confidence: estate.Identified},
	}
}

// hang puts a device at a site as a proposal: seen there, adopted by nobody.
func (w *town) hang(d estate.Device, s estate.Site) estate.Device {
	w.t.Helper()
	d.Site = s.ID
	d, err := w.estate.AddDevice(w.t.Context(), d, "ada", "seen there")
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

func (w *town) waive(d estate.Device, s estate.Site, until Date, clauses ...string) Waiver {
	w.t.Helper()
	v, err := w.book.Waive(w.t.Context(), Waiver{
		Device: string(d.ID), Site: s.ID, Clauses: clauses, Reason: "the new ones come in spring", Measures: "no network but its own",
		ApprovedBy: "R. Okafor, Director of Security", MadeBy: "ada", Until: until,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

func (w *town) refresh() Refreshed {
	w.t.Helper()
	r, err := w.book.Refresh(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *town) states() string {
	w.t.Helper()
	all, err := w.book.Findings(w.t.Context(), FindingFilter{All: true})
	if err != nil {
		w.t.Fatal(err)
	}
	var parts []string
	for _, f := range all {
		parts = append(parts, f.Name+" "+f.Clause+" "+string(f.State))
	}
	return strings.Join(parts, ", ")
}

// TestNoWayAroundTheGate tries every door by which a device could come to hang,
// adopted, where a rule says must not.
func TestNoWayAroundTheGate(t *testing.T) {
	for _, tt := range []struct {
		name string
		try  func(context.Context, *town) error
	}{
		{"adopting a proposal", func(ctx context.Context, w *town) error {
			d := w.hang(cam("gate", "hikvision"), w.ministry)
			_, err := w.estate.Adopt(ctx, d.ID, w.ministry.ID, "ada", "")
			return err
		}},
		{"adopting what is said to have hung there for long", func(ctx context.Context, w *town) error {
			d := cam("gate", "hikvision")
			d.Deployed = on(2015, 1, 1)
			d = w.hang(d, w.ministry)
			_, err := w.estate.Adopt(ctx, d.ID, w.ministry.ID, "ada", "")
			return err
		}},
		{"adding it adopted", func(ctx context.Context, w *town) error {
			d := cam("gate", "hikvision")
			d.Site, d.State = w.ministry.ID, estate.Adopted
			_, err := w.estate.AddDevice(ctx, d, "ada", "")
			return err
		}},
		{"moving it from where it may be", func(ctx context.Context, w *town) error {
			d := w.hang(cam("gate", "hikvision"), w.depot)
			if _, err := w.estate.Adopt(ctx, d.ID, w.depot.ID, "ada", ""); err != nil {
				w.t.Errorf("at the depot: %v", err)
			}
			_, err := w.estate.Adopt(ctx, d.ID, w.ministry.ID, "ada", "")
			return err
		}},
		{"a waiver for another site", func(ctx context.Context, w *town) error {
			d := w.hang(cam("gate", "hikvision"), w.ministry)
			w.waive(d, w.depot, NewDate(2027, 5, 1), "UK-WMS-386")
			_, err := w.estate.Adopt(ctx, d.ID, w.ministry.ID, "ada", "")
			return err
		}},
		{"a waiver of another clause", func(ctx context.Context, w *town) error {
			d := w.hang(cam("gate", "hikvision"), w.ministry)
			w.waive(d, w.ministry, NewDate(2027, 5, 1), "UK-WMS-386c")
			_, err := w.estate.Adopt(ctx, d.ID, w.ministry.ID, "ada", "")
			return err
		}},
		{"a waiver that has ended", func(ctx context.Context, w *town) error {
			d := w.hang(cam("gate", "hikvision"), w.ministry)
			w.waive(d, w.ministry, NewDate(2026, 11, 30), "UK-WMS-386")
			w.now = on(2026, 12, 1)
			_, err := w.estate.Adopt(ctx, d.ID, w.ministry.ID, "ada", "")
			return err
		}},
		{"a waiver that was revoked", func(ctx context.Context, w *town) error {
			d := w.hang(cam("gate", "hikvision"), w.ministry)
			v := w.waive(d, w.ministry, NewDate(2027, 5, 1), "UK-WMS-386")
			if err := w.book.Revoke(ctx, v.ID, "ada", "a mistake"); err != nil {
				w.t.Error(err)
			}
			_, err := w.estate.Adopt(ctx, d.ID, w.ministry.ID, "ada", "")
			return err
		}},
		{"a waiver whose revocation was taken back in the database", func(ctx context.Context, w *town) error {
			d := w.hang(cam("gate", "hikvision"), w.ministry)
			v := w.waive(d, w.ministry, NewDate(2027, 5, 1), "UK-WMS-386")
			if err := w.book.Revoke(ctx, v.ID, "ada", "a mistake"); err != nil {
				w.t.Error(err)
			}
			w.exec(`UPDATE policy_waivers SET revoked = 0, revoked_by = '', revoked_why = ''`)
			_, err := w.estate.Adopt(ctx, d.ID, w.ministry.ID, "ada", "")
			return err
		}},
		{"a waiver whose end was moved in the database", func(ctx context.Context, w *town) error {
			d := w.hang(cam("gate", "hikvision"), w.ministry)
			w.waive(d, w.ministry, NewDate(2026, 11, 30), "UK-WMS-386")
			w.exec(`UPDATE policy_waivers SET until = $1, text = replace(text, '2026-11-30', '2027-11-30')`, on(2027, 11, 30).UnixMicro())
			w.now = on(2026, 12, 1)
			_, err := w.estate.Adopt(ctx, d.ID, w.ministry.ID, "ada", "")
			return err
		}},
		{"a waiver moved to another device in the database", func(ctx context.Context, w *town) error {
			a, d := w.hang(cam("gate", "hikvision"), w.ministry), w.hang(cam("door", "dahua"), w.ministry)
			w.waive(a, w.ministry, NewDate(2027, 5, 1), "UK-WMS-386")
			w.exec(`UPDATE policy_waivers SET device = $1`, string(d.ID))
			_, err := w.estate.Adopt(ctx, d.ID, w.ministry.ID, "ada", "")
			return err
		}},
		{"a waiver that nobody signed", func(ctx context.Context, w *town) error {
			d := w.hang(cam("gate", "hikvision"), w.ministry)
			w.waive(d, w.ministry, NewDate(2027, 5, 1), "UK-WMS-386")
			w.exec(`UPDATE policy_waivers SET signature = $1`, make([]byte, 64))
			_, err := w.estate.Adopt(ctx, d.ID, w.ministry.ID, "ada", "")
			return err
		}},
		{"a core network, on an ordinary site", func(ctx context.Context, w *town) error {
			d := cam("gate", "hikvision")
			d.Network = estate.NetworkCore
			d = w.hang(d, w.depot)
			_, err := w.estate.Adopt(ctx, d.ID, w.depot.ID, "ada", "")
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newTown(t)
			err := tt.try(t.Context(), w)
			var refusal *Refusal
			if !errors.Is(err, estate.ErrRefused) || !errors.As(err, &refusal) {
				t.Fatalf("got %v, want a refusal", err)
			}
			if len(refusal.Gating.Refusing) == 0 || !strings.Contains(err.Error(), "UK-WMS-386") || !strings.Contains(refusal.Hint(), "waiver") {
				t.Errorf("it does not say who refuses, and the way out: %v (%s)", err, refusal.Hint())
			}
		})
	}
}

func (w *town) exec(query string, args ...any) {
	w.t.Helper()
	if _, err := w.db.Exec(w.t.Context(), query, args...); err != nil {
		w.t.Fatal(err)
	}
}

func TestTheGateLetsThrough(t *testing.T) {
	for _, tt := range []struct {
		name, maker string
		site        func(*town) estate.Site
		waived      bool
	}{
		{"another maker", "axis", func(w *town) estate.Site { return w.ministry }, false},
		{"an ordinary site", "hikvision", func(w *town) estate.Site { return w.depot }, false},
		{"a council, which may and need not", "hikvision", func(w *town) estate.Site { return w.hall }, false},
		{"a maker nobody knows", "", func(w *town) estate.Site { return w.ministry }, false},
		{"a waiver", "hikvision", func(w *town) estate.Site { return w.ministry }, true},
	} {
		w := newTown(t)
		d := w.hang(cam("gate", tt.maker), tt.site(w))
		if tt.waived {
			w.waive(d, tt.site(w), NewDate(2027, 11, 25), "UK-WMS-386")
		}
		if _, err := w.estate.Adopt(t.Context(), d.ID, tt.site(w).ID, "ada", ""); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestWaiverWantsANameAReasonAndAnEnd(t *testing.T) {
	w := newTown(t)
	d := w.hang(cam("gate", "hikvision"), w.ministry)
	good := Waiver{Device: string(d.ID), Site: w.ministry.ID, Clauses: []string{"UK-WMS-386"}, Reason: "because", ApprovedBy: "R. Okafor", Until: NewDate(2027, 11, 25)}
	for name, change := range map[string]func(*Waiver){
		"approved_by": func(v *Waiver) { v.ApprovedBy = " " },
		"reason":      func(v *Waiver) { v.Reason = "" },
		"until":       func(v *Waiver) { v.Until = Date{} },
		"until ":      func(v *Waiver) { v.Until = NewDate(2026, 11, 24) },
		"until  ":     func(v *Waiver) { v.Until = NewDate(2027, 11, 27) },
		"clauses":     func(v *Waiver) { v.Clauses = []string{"XX"} },
		"clauses ":    func(v *Waiver) { v.Clauses = nil },
		"device":      func(v *Waiver) { v.Device = "" },
	} {
		v := good
		change(&v)
		_, err := w.book.Waive(t.Context(), v)
		var bad *Invalid
		if !errors.As(err, &bad) || bad.Field != strings.TrimSpace(name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := w.book.Waive(t.Context(), good); err != nil {
		t.Error(err)
	}
}

// TestFindingsFollowTheWorld walks a camera through its life.
func TestFindingsFollowTheWorld(t *testing.T) {
	w := newTown(t)
	ctx := t.Context()
	old := cam("gate", "hikvision")
	old.Deployed = on(2020, 1, 1)
	d := w.hang(old, w.ministry)
	w.hang(cam("lobby", "axis"), w.ministry)
	w.hang(cam("desk", "hikvision"), w.hall)

	step := func(what, want string) {
		t.Helper()
		first := w.refresh()
		if got := w.states(); got != want {
			t.Errorf("%s: %q, want %q (%+v)", what, got, want, first)
		}
		if again := w.refresh(); again.Opened+again.Reopened+again.Waived+again.Resolved > 0 {
			t.Errorf("%s: doing it again changed something: %+v", what, again)
		}
	}
	step("there since before the statement: to be considered", "gate UK-WMS-386c open")

	v := w.waive(d, w.ministry, NewDate(2026, 12, 31), "UK-WMS-386c")
	step("waived", "gate UK-WMS-386c waived")
	w.now = on(2026, 12, 31)
	step("the last day", "gate UK-WMS-386c waived")
	w.now = on(2027, 1, 1)
	if got := w.states(); got != "gate UK-WMS-386c open" {
		t.Errorf("before anybody refreshed: %q", got)
	}
	step("the waiver has ended", "gate UK-WMS-386c open")

	if _, err := w.estate.UpdateDevice(ctx, d.ID, func(d *estate.Device) { d.Network = estate.NetworkCore }, "ada", ""); err != nil {
		t.Fatal(err)
	}
	step("on the core network", "gate UK-WMS-386b open, gate UK-WMS-386c open")
	if _, err := w.estate.UpdateDevice(ctx, d.ID, func(d *estate.Device) { d.Network = estate.NetworkIsolated }, "ada", ""); err != nil {
		t.Fatal(err)
	}
	step("off it", "gate UK-WMS-386b resolved, gate UK-WMS-386c open")
	if _, err := w.estate.UpdateDevice(ctx, d.ID, func(d *estate.Device) { d.Network = estate.NetworkUnknown }, "ada", ""); err != nil {
		t.Fatal(err)
	}
	step("nobody knows any longer: nothing opens", "gate UK-WMS-386b resolved, gate UK-WMS-386c open")
	if _, err := w.estate.Observe(ctx, d.ID, nil, estate.Identification{Confidence: estate.Unknown}, "scan"); err != nil {
		t.Fatal(err)
	}
	step("not knowing the maker any longer clears nothing", "gate UK-WMS-386b resolved, gate UK-WMS-386c open")
	if _, err := w.estate.RemoveDevice(ctx, d.ID, "ada", "replaced"); err != nil {
		t.Fatal(err)
	}
	step("removed", "gate UK-WMS-386b resolved, gate UK-WMS-386c resolved")

	all, err := w.book.Findings(ctx, FindingFilter{State: StateResolved, Device: string(d.ID)})
	if err != nil || len(all) != 2 {
		t.Fatalf("%d resolved, %v", len(all), err)
	}
	f, history, err := w.book.Finding(ctx, all[len(all)-1].ID)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, h := range history {
		lines = append(lines, h.What+" "+h.Because[0].Code)
	}
	want := "opened in-force, waived waiver-made, reopened waiver-expired, resolved device-removed"
	if f.Clause != "UK-WMS-386c" || strings.Join(lines, ", ") != want {
		t.Errorf("history of %s: %q, want %q", f.Clause, lines, want)
	}
	waivers, err := w.book.Waivers(ctx, "")
	if err != nil || len(waivers) != 1 || waivers[0].ID != v.ID || waivers[0].Altered {
		t.Errorf("the waiver stays visible: %+v, %v", waivers, err)
	}
}

func TestFindingsComeInPages(t *testing.T) {
	w := newTown(t)
	for i := range 7 {
		d := cam(string(rune('a'+i)), "hikvision")
		d.Deployed = on(2020, 1, 1)
		if i%2 == 0 {
			d.Network = estate.NetworkCore
		}
		w.hang(d, w.ministry)
	}
	w.refresh()
	whole, err := w.book.Findings(t.Context(), FindingFilter{})
	if err != nil || len(whole) != 11 || whole[0].Force != Must || whole[10].Force != Should {
		t.Fatalf("%d findings, %v", len(whole), err)
	}
	var paged []string
	for after := ""; ; {
		page, err := w.book.Findings(t.Context(), FindingFilter{Limit: 3, After: after, Sites: map[string]bool{w.ministry.ID: true}})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range page {
			paged = append(paged, f.ID)
		}
		if len(page) < 3 {
			break
		}
		after = page[2].Cursor()
	}
	for i, f := range whole {
		if i >= len(paged) || paged[i] != f.ID {
			t.Fatalf("page by page %q, at once %+v", paged, whole)
		}
	}
	counts, err := w.book.FindingCounts(t.Context())
	if err != nil || len(counts) != 2 || counts[0] != (FindingCount{StateOpen, Must, w.ministry.ID, 4}) || counts[1].N != 7 {
		t.Errorf("counts %+v, %v", counts, err)
	}
	if none, err := w.book.Findings(t.Context(), FindingFilter{Sites: map[string]bool{}}); err != nil || len(none) > 0 {
		t.Errorf("who may see no site sees %d, %v", len(none), err)
	}
	if _, err := w.book.Findings(t.Context(), FindingFilter{After: "x"}); err == nil {
		t.Error("a cursor that is none was taken")
	}
}

func TestCompareTheEstate(t *testing.T) {
	w := newTown(t)
	d := cam("desk", "hikvision")
	d.Deployed = on(2024, 1, 1)
	w.hang(d, w.hall)
	w.hang(cam("lobby", "axis"), w.ministry)
	placed, c, err := w.book.Compare(t.Context(), nil, WhatIf{Body: "uk.central-department"})
	if err != nil || len(placed) != 2 || len(c.Devices) != 2 || c.Changed != 1 || c.BrokenBefore != 0 || c.BrokenAfter != 1 {
		t.Fatalf("%+v, %+v, %v", placed, c, err)
	}
	for i, p := range placed {
		if (p.Name == "desk") != c.Devices[i].BrokenAfter {
			t.Errorf("%s: %+v", p.Name, c.Devices[i])
		}
	}
}

func TestDecisionsSettleWhatIsDisputed(t *testing.T) {
	w := newTown(t)
	d := w.hang(cam("desk", "tp-link"), w.ministry)
	if r := w.refresh(); r.Undetermined != 1 || r.Opened != 0 {
		t.Errorf("disputed: %+v", r)
	}
	decide := func(subject bool, day Date) {
		t.Helper()
		err := w.book.Decide(t.Context(), Decision{Maker: "tp-link", Law: "CN-NIL", Subject: subject, By: "The board", On: day, Reason: "counsel's advice"})
		if err != nil {
			t.Fatal(err)
		}
	}
	decide(true, NewDate(2026, 11, 1))
	if r := w.refresh(); r.Opened != 1 || r.Undetermined != 0 {
		t.Errorf("decided: %+v, %s", r, w.states())
	}
	if _, err := w.estate.Adopt(t.Context(), d.ID, w.ministry.ID, "ada", ""); !errors.Is(err, estate.ErrRefused) {
		t.Errorf("adopted all the same: %v", err)
	}
	decide(false, NewDate(2026, 11, 2))
	if r := w.refresh(); r.Resolved != 1 {
		t.Errorf("decided anew: %+v, %s", r, w.states())
	}
	if n := len(w.book.Decisions()); n != 2 {
		t.Errorf("%d decisions on record, want both", n)
	}
	if err := w.book.Decide(t.Context(), Decision{Maker: "tp-link", Law: "CN-NIL", By: "me", On: NewDate(2026, 1, 1)}); err == nil {
		t.Error("a decision without a reason was taken")
	}
}

func TestPlanPutsTheGravestFirst(t *testing.T) {
	w := newTown(t)
	put := func(name string, s estate.Site, change func(*estate.Device)) estate.Device {
		d := cam(name, "hikvision")
		d.Deployed = on(2020, 1, 1)
		change(&d)
		return w.hang(d, s)
	}
	put("should, ministry", w.ministry, func(*estate.Device) {})
	put("must, depot", w.depot, func(d *estate.Device) { d.Network = estate.NetworkCore })
	put("must, ministry", w.ministry, func(d *estate.Device) { d.Network = estate.NetworkCore; d.Cost, d.Currency = 45000, "GBP" })
	put("must, ministry, exposed", w.ministry, func(d *estate.Device) { d.Network, d.Exposure = estate.NetworkCore, estate.ExposureInternet })
	waived := put("waived", w.ministry, func(d *estate.Device) { d.Network = estate.NetworkCore })
	w.waive(waived, w.ministry, NewDate(2027, 3, 1), "UK-WMS-386b", "UK-WMS-386c")
	w.refresh()
	p, err := w.book.Plan(t.Context(), PlanFilter{})
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, i := range p.Items {
		order = append(order, i.Name)
	}
	want := "must, ministry, exposed|must, ministry|must, depot|should, ministry|waived"
	if got := strings.Join(order, "|"); got != want {
		t.Errorf("order %q, want %q", got, want)
	}
	if p.Progress != (Progress{Open: 6, Waived: 2}) || p.Uncosted != 4 || len(p.Costs) != 1 || p.Costs[0] != (Cost{"GBP", 45000}) {
		t.Errorf("progress %+v, costs %+v, %d uncosted", p.Progress, p.Costs, p.Uncosted)
	}
	for _, m := range p.Items[0].Replace {
		if m == "hikvision" || m == "dahua" || m == "reolink" || m == "tp-link" {
			t.Errorf("%s is offered in place of hikvision, though the same rule may catch it", m)
		}
	}
	if !strings.Contains(strings.Join(p.Items[0].Replace, " "), "axis") {
		t.Errorf("replacements %q: axis is missing", p.Items[0].Replace)
	}
}

func TestPlanIsExported(t *testing.T) {
	w := newTown(t)
	d := cam("=gate; é, \\ "+strings.Repeat("äö", 14), "hikvision")
	d.Deployed = on(2020, 1, 1)
	d = w.hang(d, w.ministry)
	w.refresh()
	err := w.book.PlanStep(t.Context(), Step{Device: string(d.ID), Planned: on(2027, 2, 28), Cost: 12345, Currency: "GBP", Replacement: "dome", Note: "first\nsecond", By: "ada"})
	if err != nil {
		t.Fatal(err)
	}
	p, err := w.book.Plan(t.Context(), PlanFilter{Sites: map[string]bool{w.ministry.ID: true}})
	if err != nil || len(p.Items) != 1 {
		t.Fatalf("%d items, %v", len(p.Items), err)
	}
	texts, err := LoadTexts()
	if err != nil {
		t.Fatal(err)
	}
	var ics bytes.Buffer
	if err := p.Calendar(&ics, texts, "en", "watch.example"); err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(ics.String(), "\r\n"), "\r\n") {
		if len(line) > 75 || strings.ContainsAny(line, "\r\n") {
			t.Errorf("line of %d octets: %q", len(line), line)
		}
	}
	unfolded := strings.ReplaceAll(ics.String(), "\r\n ", "")
	for _, want := range []string{
		"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n", "DTSTART;VALUE=DATE:20270228\r\nDTEND;VALUE=DATE:20270301\r\n",
		`SUMMARY:=gate\; é\, \\ `, `UK-WMS-386c: should\, consider removing\nfirst\nsecond`, "END:VEVENT\r\nEND:VCALENDAR\r\n",
	} {
		if !strings.Contains(unfolded, want) {
			t.Errorf("calendar lacks %q:\n%s", want, unfolded)
		}
	}
	var table bytes.Buffer
	if err := p.CSV(&table, texts, "fr", w.book.Catalogue().MakerName); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&table).ReadAll()
	if err != nil || len(rows) != 2 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	if r := rows[1]; !strings.HasPrefix(r[2], "'=gate") || r[9] != "devrait" || r[15] != "123.45" || r[14] != "2027-02-28" {
		t.Errorf("row %q", r)
	}
	if _, err := w.estate.UpdateDevice(t.Context(), d.ID, func(d *estate.Device) { d.Network = estate.NetworkUnknown }, "ada", ""); err != nil {
		t.Fatal(err)
	}
	if p, err := w.book.Plan(t.Context(), PlanFilter{}); err != nil || p.Items[0].Network != estate.NetworkUnknown {
		t.Errorf("the plan is kept though the device changed: %+v, %v", p, err)
	}
	if none, err := w.book.Plan(t.Context(), PlanFilter{Sites: map[string]bool{}}); err != nil || len(none.Items)+none.Progress.Open > 0 {
		t.Errorf("who may see no site sees %d items, %v", len(none.Items), err)
	}
}

func TestReportIsDueWithinBusinessDays(t *testing.T) {
	w := newTown(t)
	w.now = on(2026, 11, 27).Add(9 * time.Hour) // a Friday
	s := w.site("Plant", "us.federal-contractor", estate.Ordinary)
	d := cam("gate", "dahua")
	d.Deployed, d.Purpose = on(2018, 1, 1), "public-safety"
	w.hang(d, s)
	w.refresh()
	all, err := w.book.Findings(t.Context(), FindingFilter{Site: s.ID})
	if err != nil || len(all) != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	for _, f := range all {
		if f.Clause == "US-889B-report" && !f.Due.Equal(on(2026, 11, 30)) {
			t.Errorf("due %s, want the Monday", f.Due)
		}
	}
}

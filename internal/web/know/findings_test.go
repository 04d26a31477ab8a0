package know

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/watchward/watchward/internal/access"
	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/policy"
)

// findings are all there are, the gravest first.
func (b *bench) findings(t testing.TB) []policy.Finding {
	t.Helper()
	return must(b.book.Findings(t.Context(), policy.FindingFilter{All: true}))(t)
}

// at is the first finding at a site.
func (b *bench) at(t testing.TB, site string) policy.Finding {
	t.Helper()
	for _, f := range b.findings(t) {
		if f.Site == site {
			return f
		}
	}
	t.Fatalf("no finding at %s", site)
	return policy.Finding{}
}

func TestFindingsBoard(t *testing.T) {
	b := newBench(t)
	ada := b.login(t, "Ada")
	f := b.at(t, "ministry")
	for _, tt := range []struct {
		name, query string
		there       bool
	}{
		{"all that stand", "", true},
		{"open", "?state=open", true},
		{"waived", "?state=waived", false},
		{"of the site", "?site=ministry", true},
		{"of another site", "?site=town-hall", false},
		{"of a site that is none", "?site=nowhere", false},
		{"of the organisation", "?organisation=department-of-examples", true},
		{"of another organisation", "?organisation=harbour-council", false},
		{"of the maker", "?maker=hikvision", true},
		{"of another maker", "?maker=axis", false},
		{"old", "?age=30", false},
		{"of this week", "?age=-7", true},
		{"of an age that is none", "?age=ever", true},
		{"of a state that is none", "?state=%3Cscript%3E", true},
	} {
		page := b.page(t, 200, ask("GET", "/findings"+tt.query, "", ada))
		if got := strings.Contains(page, `href="/findings/`+f.ID+`"`); got != tt.there {
			t.Errorf("%s: there is %t, want %t", tt.name, got, tt.there)
		}
	}
	if rec := b.serve(ask("GET", "/findings?after=nonsense", "", ada)); rec.Code != 422 {
		t.Errorf("a place in the list that is none: %d", rec.Code)
	}
	page := b.page(t, 200, ask("GET", "/findings", "", ada))
	for _, want := range []string{`href="/estate/devices/` + f.Device, `href="/rules/` + f.Restriction} {
		if !strings.Contains(page, want) {
			t.Errorf("no link %s", want)
		}
	}
}

// Who may not see a site hears nothing of its findings.
func TestFindingsOfAHiddenSiteDoNotExist(t *testing.T) {
	b := newBench(t)
	f := b.at(t, "ministry")
	cora, wim, vic := b.login(t, "Cora"), b.login(t, "Wim"), b.login(t, "Vic")
	for _, path := range []string{"/findings", "/findings?site=ministry", "/api/findings", "/findings/-/decisions"} {
		if page := b.page(t, 200, ask("GET", path, "", cora)); strings.Contains(page, f.ID) || strings.Contains(page, "Ministry") {
			t.Errorf("%s tells the council of the ministry", path)
		}
		if rec := b.serve(ask("GET", path, "", wim)); rec.Code != 403 {
			t.Errorf("%s for who sees no estate: %d", path, rec.Code)
		}
	}
	for _, path := range []string{"/findings/" + f.ID, "/api/findings/" + f.ID, "/findings/none"} {
		if rec := b.serve(ask("GET", path, "", cora)); rec.Code != 404 {
			t.Errorf("%s: %d, want 404", path, rec.Code)
		}
	}
	for _, path := range []string{"/findings/" + f.ID + "/waive", "/findings/" + f.ID + "/revoke", "/findings/-/decisions"} {
		if rec := b.serve(form(path, url.Values{"waiver": {"x"}}, vic)); rec.Code != 403 {
			t.Errorf("an auditor does %s: %d", path, rec.Code)
		}
	}
	if page := b.page(t, 200, ask("GET", "/findings/"+f.ID, "", vic)); strings.Contains(page, "/waive") {
		t.Error("an auditor is offered to sign a waiver")
	}
}

func TestWaivingAFinding(t *testing.T) {
	b := newBench(t)
	ada := b.login(t, "Ada")
	f := b.at(t, "ministry")
	path := "/findings/" + f.ID
	waiver := url.Values{"approved_by": {"Grace Hopper, head of security"}, "reason": {"The new ones come in spring."}, "measures": {"No network."}, "until": {"2027-03-01"}}
	for field, bad := range map[string]string{"until": "2020-01-01", "approved_by": "", "reason": ""} {
		broken := url.Values{}
		for k, v := range waiver {
			broken[k] = v
		}
		broken.Set(field, bad)
		page := b.page(t, 422, form(path+"/waive", broken, ada))
		checkMarkup(t, path, "en", page)
		if field != "reason" && !strings.Contains(page, "The new ones come in spring.") {
			t.Errorf("without %s: what was written is lost", field)
		}
		if strings.Contains(words(parse(t, page)), "waive.wrong") {
			t.Errorf("without %s: no words for it", field)
		}
	}
	b.page(t, 303, form(path+"/waive", waiver, ada))
	text := words(parse(t, b.page(t, 200, ask("GET", path, "", ada))))
	for _, want := range []string{"waived", "Grace Hopper, head of security answers for it until 2027-03-01", "signature verified", "No network.", "waived until 2027-03-01"} {
		if !strings.Contains(text, want) {
			t.Errorf("does not say %q: %s", want, text)
		}
	}
	waivers := must(b.book.Waivers(t.Context(), f.Device))(t)
	b.page(t, 422, form(path+"/revoke", url.Values{"waiver": {waivers[0].ID}, "why": {""}}, ada))
	b.page(t, 404, form(path+"/revoke", url.Values{"waiver": {"none"}, "why": {"x"}}, ada))
	b.page(t, 303, form(path+"/revoke", url.Values{"waiver": {waivers[0].ID}, "why": {"The network came back."}}, ada))
	var sent struct {
		State   string
		History []struct{ What, Who string }
		Waivers []struct{ State string }
	}
	if err := json.Unmarshal([]byte(b.page(t, 200, ask("GET", "/api"+path, "", ada))), &sent); err != nil {
		t.Fatal(err)
	}
	if sent.State != "open" || len(sent.History) != 3 || sent.History[2].Who != "Ada" || sent.Waivers[0].State != "revoked" {
		t.Errorf("the API says %+v", sent)
	}
	must(b.estate.RemoveDevice(t.Context(), estate.DeviceID(f.Device), "Ada", "scrapped"))(t)
	must(b.book.Refresh(t.Context()))(t)
	b.page(t, 409, form(path+"/waive", waiver, ada))
	if text := words(parse(t, b.page(t, 200, ask("GET", path, "", ada)))); !strings.Contains(text, "resolved") || !strings.Contains(text, "the device was removed") {
		t.Errorf("a resolved finding says %s", text)
	}
}

// A maker whose owner is disputed binds nobody until a person decides.
func TestDecisions(t *testing.T) {
	b := newBench(t)
	ada := b.login(t, "Ada")
	maker, law := b.disputed(t)
	page := b.page(t, 200, ask("GET", "/findings/-/decisions", "", ada))
	checkMarkup(t, "decisions", "en", page)
	if !strings.Contains(page, `value="`+maker+`"`) || !strings.Contains(page, "1 device waits for it") {
		t.Fatalf("does not ask about %s: %s", maker, words(parse(t, page)))
	}
	good := url.Values{"maker": {maker}, "law": {law}, "subject": {"yes"}, "by": {"Board of security"}, "reason": {"Legal advice of May."}}
	for field, bad := range map[string]string{"subject": "perhaps", "by": "", "reason": "", "until": "2020-01-01", "maker": "nobody", "law": "none"} {
		broken := url.Values{}
		for k, v := range good {
			broken[k] = v
		}
		broken.Set(field, bad)
		b.page(t, 422, form("/findings/-/decisions", broken, ada))
	}
	b.page(t, 303, form("/findings/-/decisions", good, ada))
	text := words(parse(t, b.page(t, 200, ask("GET", "/findings/-/decisions", "", ada))))
	if !strings.Contains(text, "Board of security") || strings.Contains(text, "waits for it") {
		t.Errorf("after the decision: %s", text)
	}
	// Who signs waivers at one site only decides nothing for all.
	u := must(b.access.CreateUser(t.Context(), "Sam", password, access.Viewer))(t)
	adas := must(b.access.Users(t.Context()))(t)[0]
	if err := b.access.SetGrants(t.Context(), adas, u.ID, []access.Grant{{Role: access.Administrator, Scope: access.Scope{Organisation: "harbour-council"}}}); err == nil {
		if rec := b.serve(form("/findings/-/decisions", good, b.login(t, "Sam"))); rec.Code != 403 {
			t.Errorf("who decides at one place decides for all: %d", rec.Code)
		}
	}
}

// season lets months go by: devices are found, waived, planned and removed. It
// ends at noon.
func (b *bench) season(t testing.TB) {
	t.Helper()
	makers := []string{"hikvision", "dahua", "hikvision", "uniview", "axis", "hikvision"}
	sites := []string{"ministry", "ministry", "depot", "ministry", "town-hall"}
	var hung []estate.DeviceID
	for n := range 22 {
		b.clock = noon.AddDate(0, 0, -7*(22-n))
		for i := range 1 + n%3 {
			m := makers[(n+i)%len(makers)]
			d := estate.Device{
				Name: fmt.Sprintf("%s %02d-%d", []string{"Gate", "Corridor", "Car park", "Lobby"}[(n+i)%4], n, i), Site: sites[(n+2*i)%len(sites)], Kind: estate.KindCamera,
				Network: []estate.Network{estate.NetworkCore, estate.NetworkIsolated}[n%2], Deployed: noon.AddDate(-5, 0, -n), Cost: int64(18000 + 1500*n), Currency: "GBP",
				Identification: estate.Identification{Maker: m, MakerName: m, Kind: estate.KindCamera, Confidence: estate.Identified},
			}
			if n%5 == 0 {
				d.Exposure = estate.ExposureInternet
			}
			hung = append(hung, must(b.estate.AddDevice(t.Context(), d, "Ada", "survey"))(t).ID)
		}
		if n > 8 {
			must(b.estate.RemoveDevice(t.Context(), hung[n-9], "Ada", "replaced"))(t)
		}
		must(b.book.Refresh(t.Context()))(t)
	}
	b.clock = noon
	must(b.book.Refresh(t.Context()))(t)
	p := must(b.book.Plan(t.Context(), policy.PlanFilter{}))(t)
	for n, i := range p.Items {
		s := policy.Step{Device: i.Device, By: "Ada", Cost: 24900, Currency: "GBP"}
		switch n % 4 {
		case 0:
			s.Planned, s.Replacement, s.Note = noon.AddDate(0, n, 0), "dome, indoor", "with the new cabling"
		case 1:
			s.Planned = noon.AddDate(0, 0, -10)
		case 2:
			b.waive(t, i.Findings[0])
			continue
		}
		if err := b.book.PlanStep(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
}

func (b *bench) waive(t testing.TB, f policy.Finding) policy.Waiver {
	t.Helper()
	return must(b.book.Waive(t.Context(), policy.Waiver{
		Device: f.Device, Site: f.Site, Clauses: []string{f.Clause}, Reason: "The new ones come in spring, with the new cabling.", Measures: "On a network of its own; nobody reaches it from outside.",
		ApprovedBy: "Grace Hopper, head of security", MadeBy: "Ada", Until: policy.NewDate(2027, 3, 1),
	}))(t)
}

// waived is a finding under a waiver.
func (b *bench) waived(t testing.TB) policy.Finding {
	t.Helper()
	all := must(b.book.Findings(t.Context(), policy.FindingFilter{State: policy.StateWaived, Limit: 1}))(t)
	if len(all) == 0 {
		t.Fatal("nothing is waived")
	}
	return all[0]
}

// disputed hangs a device of a maker that needs a decision at the ministry.
func (b *bench) disputed(t testing.TB) (maker, law string) {
	t.Helper()
	graph := b.know.o.Makers
	for _, law := range b.book.Catalogue().Laws() {
		for _, brand := range graph.Brands() {
			for _, relation := range graph.Relations(brand, noon) {
				if s := graph.Subject(relation.Maker, law, noon); s.NeedsDecision {
					d := estate.Device{Name: "Disputed", Site: "ministry", Kind: estate.KindCamera, Network: estate.NetworkCore, Identification: estate.Identification{
						Maker: relation.Maker, MakerName: relation.Maker, Kind: estate.KindCamera, Confidence: estate.Identified,
					}}
					must(b.estate.AddDevice(t.Context(), d, "Ada", ""))(t)
					return relation.Maker, law
				}
			}
		}
	}
	t.Fatal("the graph disputes nobody")
	return "", ""
}

func BenchmarkFindingPages(b *testing.B) {
	w := newBench(b)
	fill(b, w, 100_000)
	must(w.book.Refresh(b.Context()))(b)
	ada, cora := w.login(b, "Ada"), w.login(b, "Cora")
	found := w.at(b, "ministry")
	for _, bb := range []struct {
		name, path string
		who        func(*http.Request)
	}{
		{"findings", "/findings", ada},
		{"findings of all states", "/findings?state=all", ada},
		{"findings of a site", "/findings?site=ministry&force=must", ada},
		{"open findings of a site", "/findings?state=open&site=ministry", ada},
		{"waived findings of a site that has none", "/findings?state=waived&site=town-hall", ada},
		{"findings of a maker", "/findings?maker=hikvision", ada},
		{"findings of a maker that has none", "/findings?maker=axis", ada},
		{"findings of an age", "/findings?age=30", ada},
		{"findings of who sees one site", "/findings", cora},
		{"one finding", "/findings/" + found.ID, ada},
		{"decisions", "/findings/-/decisions", ada},
		{"plan", "/plan", ada},
		{"far in the plan", "/plan?skip=30000", ada},
		{"plan of a site", "/plan?site=ministry&stage=unplanned", ada},
		{"what if", "/what-if?ordinary=yes", ada},
		{"what if the US bound us", "/what-if?as-if=US-889A&as-if=US-889B&purpose=government-facilities", ada},
		{"what if of who sees one site", "/what-if?ordinary=yes", cora},
	} {
		w.page(b, 200, ask("GET", bb.path, "", bb.who)) // the first one reads the estate
		b.Run(bb.name, func(b *testing.B) {
			for b.Loop() {
				w.page(b, 200, ask("GET", bb.path, "", bb.who))
			}
		})
	}
}

package know

import (
	"encoding/csv"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestPlanningInPlace(t *testing.T) {
	b := newBench(t)
	ada := b.login(t, "Ada")
	f := b.at(t, "ministry")
	good := url.Values{"planned": {"2027-02-28"}, "cost": {"1 200,50"}, "currency": {"gbp"}, "replacement": {"dome, indoor"}, "note": {"needs a lift"}}
	for field, bad := range map[string]string{
		"planned": "soon", "cost": "much", "currency": "pounds", "replacement": strings.Repeat("x", 201), "note": strings.Repeat("x", 4001),
	} {
		broken := url.Values{}
		for k, v := range good {
			broken[k] = v
		}
		broken.Set(field, bad)
		page := b.page(t, 422, form("/plan/"+f.Device, broken, ada))
		checkMarkup(t, "plan with a bad "+field, "en", page)
		if !strings.Contains(page, `value="dome, indoor"`) && field != "replacement" {
			t.Errorf("with a bad %s: what was written is lost", field)
		}
	}
	rec := b.serve(form("/plan/"+f.Device+"?site=ministry", good, ada))
	if got, want := rec.Header().Get("Location"), "/plan?site=ministry#d-"+f.Device; rec.Code != 303 || got != want {
		t.Fatalf("%d to %q, want %q", rec.Code, got, want)
	}
	page := b.page(t, 200, ask("GET", "/plan", "", ada))
	for _, want := range []string{`value="2027-02-28"`, `value="1200.50"`, `value="GBP"`, "1,200.50\u00a0GBP", "needs a lift", `href="/findings/` + f.ID} {
		if !strings.Contains(page, want) {
			t.Errorf("the plan does not hold %q", want)
		}
	}
	var sent planJSON
	if err := json.Unmarshal([]byte(b.page(t, 200, ask("GET", "/api/plan?stage=planned", "", ada))), &sent); err != nil {
		t.Fatal(err)
	}
	if len(sent.Items) != 1 || sent.Items[0].Step.Planned != "2027-02-28" || sent.Items[0].Step.Cost != 120050 || sent.Stages["planned"].Costs[0].Amount != 120050 {
		t.Errorf("the API says %+v", sent)
	}
}

func TestPlanAsFiles(t *testing.T) {
	b := newBench(t)
	ada := b.login(t, "Ada")
	f := b.at(t, "ministry")
	rec := b.serve(ask("PUT", "/api/plan/"+f.Device, `{"planned":"2027-02-28","cost":5000,"currency":"EUR"}`, ada))
	if rec.Code != 200 {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	for body, status := range map[string]int{
		`{"planned":"soon"}`: 422, `{"cost":-1,"currency":"EUR"}`: 422, `{"cost":5}`: 422, `{"who":"x"}`: 400, `{`: 400,
	} {
		if rec := b.serve(ask("PUT", "/api/plan/"+f.Device, body, ada)); rec.Code != status {
			t.Errorf("%s: %d, want %d", body, rec.Code, status)
		}
	}
	rec = b.serve(ask("GET", "/plan.csv", "", ada, with("Accept-Language", "fr")))
	rows, err := csv.NewReader(rec.Body).ReadAll()
	if err != nil || len(rows) != len(b.devicesFound(t))+1 || rows[0][0] != "rang" || !strings.Contains(rec.Header().Get("Content-Disposition"), "watchward-plan-2026-11-25.csv") {
		t.Errorf("%d rows, %v, %v", len(rows), err, rec.Header())
	}
	ics := b.page(t, 200, ask("GET", "/plan.ics?stage=planned", "", ada))
	if !strings.HasPrefix(ics, "BEGIN:VCALENDAR\r\n") || strings.Count(ics, "BEGIN:VEVENT") != 1 || !strings.Contains(ics, "20270228") {
		t.Error(ics)
	}
}

// devicesFound are those with a finding that stands.
func (b *bench) devicesFound(t testing.TB) map[string]bool {
	all := map[string]bool{}
	for _, f := range b.findings(t) {
		if f.State != "resolved" {
			all[f.Device] = true
		}
	}
	return all
}

func TestPlanStaysWithinItsPlace(t *testing.T) {
	b := newBench(t)
	f := b.at(t, "ministry")
	cora, wim, vic := b.login(t, "Cora"), b.login(t, "Wim"), b.login(t, "Vic")
	for _, path := range []string{"/plan", "/plan?site=ministry", "/plan?device=" + f.Device, "/plan/sheet", "/plan.csv", "/plan.ics", "/api/plan"} {
		if page := b.page(t, 200, ask("GET", path, "", cora)); strings.Contains(page, `id="d-`+f.Device) || strings.Contains(page, f.ID) || strings.Contains(page, "Ministry") {
			t.Errorf("%s tells the council of the ministry", path)
		}
		if rec := b.serve(ask("GET", path, "", wim)); rec.Code != http.StatusForbidden {
			t.Errorf("%s for who sees no estate: %d", path, rec.Code)
		}
	}
	for _, tt := range []struct {
		name   string
		device string
		status int
		who    func(*http.Request)
	}{
		{"a device of the ministry", f.Device, 404, cora},
		{"a device that is none", "dev-none", 404, cora},
		{"an auditor", f.Device, 403, vic},
	} {
		if rec := b.serve(form("/plan/"+tt.device, url.Values{"planned": {"2027-01-01"}}, tt.who)); rec.Code != tt.status {
			t.Errorf("%s: %d, want %d", tt.name, rec.Code, tt.status)
		}
		if rec := b.serve(ask("PUT", "/api/plan/"+tt.device, `{"planned":"2027-01-01"}`, tt.who)); rec.Code != tt.status {
			t.Errorf("%s by the API: %d, want %d", tt.name, rec.Code, tt.status)
		}
	}
	if page := b.page(t, 200, ask("GET", "/plan", "", vic)); strings.Contains(page, `action="/plan/`) {
		t.Error("an auditor is offered to plan")
	}
}

package know

import (
	"net/url"
	"strings"
	"testing"
)

func TestEstatePage(t *testing.T) {
	b := newBench(t)
	vic := b.login(t, "Vic")
	page := b.page(t, 200, ask("GET", "/estate", "", vic))
	text := words(parse(t, page))
	for _, want := range []string{"Department of Examples", "UK central government department", "Town hall", "Hikvision", "maker not known", "2 of 6", "33.3%", "Sites nobody has classed 1"} {
		if !strings.Contains(text, want) {
			t.Errorf("does not say %q", want)
		}
	}
	if strings.Contains(page, "/new") {
		t.Error("a viewer is offered what he may not do")
	}
	council := words(parse(t, b.page(t, 200, ask("GET", "/estate/organisations/harbour-council", "", vic))))
	if strings.Contains(council, "Ministry") || !strings.Contains(council, "Dahua") {
		t.Errorf("the council's page shows another's: %s", council)
	}
}

func TestPlacesAreMade(t *testing.T) {
	b := newBench(t)
	ada := b.login(t, "Ada")
	steps := []struct {
		name, path string
		fields     url.Values
		status     int
		leads      string // address, or what the page says
	}{
		{"an organisation", "/estate/organisations/-/new", url.Values{"name": {"Port Police"}, "body": {"uk.police"}, "parent": {"harbour-council"}}, 303, "/estate/organisations/port-police"},
		{"the same again", "/estate/organisations/-/new", url.Values{"name": {"Port Police"}, "parent": {"harbour-council"}}, 422, "Port Police"},
		{"no name", "/estate/organisations/-/new", url.Values{"name": {"  "}}, 422, "Nothing was given."},
		{"a body that is no word", "/estate/organisations/-/new", url.Values{"name": {"X"}, "body": {"<b>"}}, 422, "Type of body"},
		{"a ring", "/estate/organisations/harbour-council/edit", url.Values{"name": {"Harbour Council"}, "parent": {"port-police"}}, 422, "Port Police"},
		{"a site", "/estate/sites/-/new", url.Values{"name": {"Quay"}, "organisation": {"port-police"}, "address": {"Quay 1"}}, 303, "/estate/sites/quay"},
		{"of nobody there is", "/estate/sites/-/new", url.Values{"name": {"Quay 2"}, "organisation": {"nobody"}}, 422, "nobody"},
		{"renamed", "/estate/sites/quay/edit", url.Values{"name": {"Quays"}, "organisation": {"port-police"}}, 303, "/estate/sites/quay"},
		{"classed", "/estate/sites/quay/class", url.Values{"class": {"sensitive"}, "reason": {"Protected under SOCPA."}}, 303, "/estate/sites/quay"},
		{"without a reason", "/estate/sites/quay/class", url.Values{"class": {"ordinary"}, "reason": {""}}, 422, "Reason"},
		{"a class that is none", "/estate/sites/quay/class", url.Values{"class": {"secret"}, "reason": {"x"}}, 422, "Class"},
		{"a site that is none", "/estate/sites/nowhere/class", url.Values{"class": {"ordinary"}, "reason": {"x"}}, 404, ""},
		{"an organisation that is none", "/estate/organisations/nobody/edit", url.Values{"name": {"x"}}, 404, ""},
	}
	for _, tt := range steps {
		rec := b.serve(form(tt.path, tt.fields, ada))
		if rec.Code != tt.status {
			t.Errorf("%s: %d, want %d", tt.name, rec.Code, tt.status)
		}
		if got := rec.Header().Get("Location"); tt.status == 303 && got != tt.leads {
			t.Errorf("%s: leads to %q", tt.name, got)
		}
		if text := words(parse(t, rec.Body.String())); tt.status == 422 && !strings.Contains(text, tt.leads) {
			t.Errorf("%s: does not say %q: %s", tt.name, tt.leads, text)
		}
	}
	text := words(parse(t, b.page(t, 200, ask("GET", "/estate/sites/quay", "", ada))))
	for _, want := range []string{"Quays", "sensitive by Ada on 2026-11-25", "Protected under SOCPA.", "Harbour Council", "routinely holds material classified SECRET"} {
		if !strings.Contains(text, want) {
			t.Errorf("the site's page does not say %q", want)
		}
	}
	if sites, err := b.estate.Sites(t.Context()); err != nil || len(sites) != 4 {
		t.Errorf("%d sites, %v: a refused form left something behind", len(sites), err)
	}
}

func TestWhoMayDoWhatWhere(t *testing.T) {
	b := newBench(t)
	hall, ministry, loose := "/estate/devices/"+string(b.device["10.0.0.3"]), "/estate/devices/"+string(b.device["10.0.0.1"]), "/estate/devices/"+string(b.device["10.0.0.5"])
	for name, rows := range map[string]map[string]int{
		"Wim": {"/estate": 403, "/estate/devices": 403, hall: 403, "/rules": 200}, // watches cameras only
		"Vic": {"/estate": 200, hall: 200, ministry: 200, loose: 200, "/estate/sites/-/new": 403, "/estate/sites/ministry/edit": 403},
		"Cora": { // the council's operator: what is another's does not exist
			"/estate": 200, hall: 200, ministry: 404, loose: 404, "/estate/sites/town-hall/edit": 200, "/estate/sites/ministry": 404, "/estate/sites/ministry/edit": 404,
			"/estate/organisations/harbour-council/edit": 200, "/estate/organisations/agency": 404,
		},
	} {
		in := b.login(t, name)
		for path, status := range rows {
			if rec := b.serve(ask("GET", path, "", in)); rec.Code != status {
				t.Errorf("%s at %s: %d, want %d", name, path, rec.Code, status)
			}
		}
	}
	cora := b.login(t, "Cora")
	for _, path := range []string{"/estate", "/estate/devices", "/estate/devices?site=ministry", "/estate/devices?organisation=department-of-examples"} {
		page := b.page(t, 200, ask("GET", path, "", cora))
		if strings.Contains(page, "Ministry") || strings.Contains(page, "Hikvision") || strings.Contains(page, "10.0.0.1<") {
			t.Errorf("%s shows Cora what is the ministry's", path)
		}
	}
	for _, tt := range []struct {
		path   string
		fields url.Values
		status int
	}{
		{"/estate/sites/-/new", url.Values{"name": {"Pool"}, "organisation": {"harbour-council"}}, 303},
		{"/estate/sites/-/new", url.Values{"name": {"Bunker"}, "organisation": {"department-of-examples"}}, 404},
		{"/estate/sites/-/new", url.Values{"name": {"Nobody's"}}, 404},
		{"/estate/sites/pool/edit", url.Values{"name": {"Pool"}, "organisation": {"department-of-examples"}}, 404},
		{"/estate/sites/ministry/class", url.Values{"class": {"ordinary"}, "reason": {"x"}}, 404},
	} {
		if rec := b.serve(form(tt.path, tt.fields, cora)); rec.Code != tt.status {
			t.Errorf("Cora posts %v to %s: %d, want %d", tt.fields, tt.path, rec.Code, tt.status)
		}
	}
}

func TestReadersChangeNothing(t *testing.T) {
	b := newBench(t)
	vic := b.login(t, "Vic")
	for _, route := range b.web.Routes() {
		method, path, _ := strings.Cut(route.Pattern, " ")
		if method == "GET" || !strings.HasPrefix(path, "/estate") && !strings.HasPrefix(path, "/api/estate") {
			continue
		}
		path = strings.NewReplacer("{id}", "ministry").Replace(path)
		if rec := b.serve(ask(method, path, "", vic)); rec.Code != 403 {
			t.Errorf("%s: %d, want 403", route.Pattern, rec.Code)
		}
	}
}

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

func TestViewersChangeNothing(t *testing.T) {
	b := newBench(t)
	vic := b.login(t, "Vic")
	for _, route := range b.web.Routes() {
		method, path, _ := strings.Cut(route.Pattern, " ")
		if method != "POST" || !strings.HasPrefix(path, "/estate") {
			continue
		}
		path = strings.NewReplacer("{id}", "ministry").Replace(path)
		if rec := b.serve(form(path, url.Values{"name": {"x"}}, vic)); rec.Code != 403 {
			t.Errorf("%s: %d, want 403", path, rec.Code)
		}
	}
}

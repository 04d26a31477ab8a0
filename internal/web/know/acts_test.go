package know

import (
	"net/url"
	"strings"
	"testing"

	"github.com/watchward/watchward/internal/estate"
)

func TestTheGateIsToldKindly(t *testing.T) {
	b := newBench(t)
	ada := b.login(t, "Ada")
	path := "/estate/devices/" + string(b.device["10.0.0.2"])
	for _, lang := range []string{"en", "fr"} {
		page := b.page(t, 409, form(path+"/adopt", url.Values{"site": {"ministry"}, "why": {"new entrance"}}, ada, with("Accept-Language", lang)))
		checkMarkup(t, path, lang, page)
		text := words(parse(t, page))
		for _, want := range map[string][]string{
			"en": {"A rule forbids this device at Ministry", "UK Cabinet Office", "HCWS386", "Since 2022-11-24", "What would change the answer", "a site that is ordinary", "Sign a waiver"},
			"fr": {"Une règle interdit cet appareil sur le site Ministry", "Cabinet Office du Royaume-Uni", "2022-11-24", "Ce qui changerait la réponse"},
		}[lang] {
			if !strings.Contains(text, want) {
				t.Errorf("in %s does not say %q: %s", lang, want, text)
			}
		}
	}
	if d, err := b.estate.Device(t.Context(), b.device["10.0.0.2"]); err != nil || d.State != estate.Proposed || d.Site != "" {
		t.Fatalf("a refused device is %s at %q, %v", d.State, d.Site, err)
	}
	waiver := url.Values{
		"site": {"ministry"}, "clause": {"UK-WMS-386"}, "approved_by": {"Grace Hopper, head of security"},
		"reason": {"The old one is broken."}, "measures": {"No network."}, "until": {"2027-03-01"},
	}
	for field, bad := range map[string]string{"until": "2020-01-01", "approved_by": "", "reason": "", "clause": ""} {
		broken := url.Values{}
		for k, v := range waiver {
			broken[k] = v
		}
		broken[field] = nil
		if bad != "" {
			broken[field] = []string{bad}
		}
		if text := words(parse(t, b.page(t, 422, form(path+"/waive", broken, ada)))); strings.Contains(text, "waive.wrong") {
			t.Errorf("without %s: no words for it", field)
		}
	}
	b.page(t, 303, form(path+"/waive", waiver, ada))
	b.page(t, 303, form(path+"/adopt", url.Values{"site": {"ministry"}}, ada))
	text := words(parse(t, b.page(t, 200, ask("GET", path, "", ada))))
	for _, want := range []string{"adopted", "Grace Hopper, head of security answers for it until 2027-03-01", "written down by Ada"} {
		if !strings.Contains(text, want) {
			t.Errorf("after the waiver does not say %q", want)
		}
	}
}

func TestDeviceActs(t *testing.T) {
	b := newBench(t)
	ada := b.login(t, "Ada")
	of := func(address, act string) string { return "/estate/devices/" + string(b.device[address]) + "/" + act }
	for _, tt := range []struct {
		name, path string
		fields     url.Values
		status     int
	}{
		{"adopted", of("10.0.0.5", "adopt"), url.Values{"site": {"depot"}}, 303},
		{"moved", of("10.0.0.5", "adopt"), url.Values{"site": {"town-hall"}, "why": {"reused"}}, 303},
		{"to no site", of("10.0.0.5", "adopt"), url.Values{"site": {""}}, 422},
		{"to a site that is none", of("10.0.0.5", "adopt"), url.Values{"site": {"nowhere"}}, 422},
		{"edited", of("10.0.0.5", "edit"), url.Values{"name": {"Box"}, "network": {"core"}, "exposure": {"internal"}, "purpose": {"public-safety"}, "cost": {"1200,50"}, "currency": {"gbp"}, "deployed": {"2019-05-01"}, "addresses": {"10.0.0.5, 10.9.9.9"}, "macs": {"00-40-8c-00-00-04"}}, 303},
		{"a cost that is none", of("10.0.0.5", "edit"), url.Values{"name": {"Box"}, "cost": {"much"}}, 422},
		{"a day that is none", of("10.0.0.5", "edit"), url.Values{"name": {"Box"}, "deployed": {"yesterday"}}, 422},
		{"an address that is none", of("10.0.0.5", "edit"), url.Values{"name": {"Box"}, "addresses": {"10.0.0.999"}}, 422},
		{"a network that is none", of("10.0.0.5", "edit"), url.Values{"name": {"Box"}, "network": {"fast"}}, 422},
		{"removed without a reason", of("10.0.0.5", "remove"), url.Values{"why": {" "}}, 422},
		{"removed", of("10.0.0.5", "remove"), url.Values{"why": {"scrapped"}}, 303},
		{"a waiver that is none", of("10.0.0.1", "revoke"), url.Values{"waiver": {"x"}, "why": {"x"}}, 404},
		{"joined to what is none", of("10.0.0.1", "link"), url.Values{"other": {"dev-none"}, "do": {"merge"}}, 404},
		{"a device that is none", "/estate/devices/dev-none/adopt", url.Values{"site": {"depot"}}, 404},
	} {
		page := b.page(t, tt.status, form(tt.path, tt.fields, ada))
		if tt.status == 422 {
			checkMarkup(t, tt.name, "en", page)
		}
	}
	text := words(parse(t, b.page(t, 200, ask("GET", strings.TrimSuffix(of("10.0.0.5", ""), "/"), "", ada))))
	for _, want := range []string{"Box", "removed", "scrapped", "1,200.50 GBP", "core network", "public safety", "2019-05-01", "10.9.9.9"} {
		if !strings.Contains(text, want) {
			t.Errorf("does not say %q: %s", want, text)
		}
	}
}

// An operator of the council takes nothing from the ministry, and brings
// nothing there.
func TestActsStayWithinTheirPlace(t *testing.T) {
	b := newBench(t)
	cora := b.login(t, "Cora")
	hall, ministry := "/estate/devices/"+string(b.device["10.0.0.3"]), "/estate/devices/"+string(b.device["10.0.0.1"])
	for path, fields := range map[string]url.Values{
		hall + "/adopt":      {"site": {"ministry"}},
		ministry + "/adopt":  {"site": {"town-hall"}},
		ministry + "/remove": {"why": {"x"}},
		ministry + "/edit":   {"name": {"x"}},
		hall + "/link":       {"other": {string(b.device["10.0.0.1"])}, "do": {"merge"}},
	} {
		if rec := b.serve(form(path, fields, cora)); rec.Code != 404 {
			t.Errorf("%s %v: %d, want 404", path, fields, rec.Code)
		}
	}
	if rec := b.serve(form(hall+"/waive", url.Values{}, cora)); rec.Code != 403 {
		t.Errorf("an operator signs a waiver: %d", rec.Code)
	}
}

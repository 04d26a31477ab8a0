package policy

import (
	"strings"
	"testing"
	"time"

	"github.com/watchward/watchward/internal/estate"
)

func on(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }

func loaded(t testing.TB) *Catalogue {
	t.Helper()
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func verdict(t testing.TB, verdicts []Verdict, clause string) Verdict {
	t.Helper()
	for _, v := range verdicts {
		if v.Clause == clause {
			return v
		}
	}
	t.Fatalf("no verdict of clause %q", clause)
	return Verdict{}
}

// of is a camera that was identified, to be put on a sensitive site of a
// department today.
func of(maker string, change ...func(*Case)) Case {
	cs := Case{
		Maker: maker, Confidence: estate.Identified, Kind: estate.KindCamera, Body: "uk.central-department",
		SiteClass: SiteSensitive, Network: NetworkCore, On: on(2026, 11, 25),
	}
	for _, f := range change {
		f(&cs)
	}
	return cs
}

func body(b string) func(*Case)                   { return func(c *Case) { c.Body = b } }
func site(s SiteClass) func(*Case)                { return func(c *Case) { c.SiteClass = s } }
func network(n Network) func(*Case)               { return func(c *Case) { c.Network = n } }
func date(y int, m time.Month, d int) func(*Case) { return func(c *Case) { c.On = on(y, m, d) } }
func deployed(y int, m time.Month, d int) func(*Case) {
	return func(c *Case) { c.Deployed = on(y, m, d) }
}
func kind(k estate.Kind) func(*Case)       { return func(c *Case) { c.Kind = k } }
func brand(b string) func(*Case)           { return func(c *Case) { c.Brand = b } }
func sure(k estate.Confidence) func(*Case) { return func(c *Case) { c.Confidence = k } }
func purposes(p ...string) func(*Case)     { return func(c *Case) { c.Purposes = p } }
func badge() func(*Case)                   { return func(c *Case) { c.Confidence, c.BadgeOnly = estate.Hint, true } }

func TestJudge(t *testing.T) {
	c := loaded(t)
	noPurpose := func(c *Case) { c.Purposes = []string{} }
	for _, tt := range []struct {
		name, clause string
		cs           Case
		want         Force
		broken       bool
		code         string // of one of the reasons
	}{
		{"a new camera of a subject maker on a sensitive site", "UK-WMS-386", of("hikvision"), Must, true, "subject-yes"},
		{"on the day of the statement", "UK-WMS-386", of("hikvision", date(2022, 11, 24)), Must, true, "in-force"},
		{"on its eve", "UK-WMS-386", of("hikvision", date(2022, 11, 23)), None, false, "not-yet-in-force"},
		{"long before there were rules", "UK-WMS-386", of("hikvision", date(1999, 1, 1)), None, false, "not-yet-in-force"},
		{"deployed before the statement", "UK-WMS-386", of("hikvision", deployed(2020, 1, 1)), Must, false, ""},
		{"deployed on the day of the statement", "UK-WMS-386", of("hikvision", deployed(2022, 11, 24)), Must, true, ""},
		{"planned for later than the day that is judged", "UK-WMS-386", of("hikvision", deployed(2027, 1, 1)), Must, true, ""},
		{"an ordinary site", "UK-WMS-386", of("hikvision", site(SiteOrdinary)), None, false, "site-other"},
		{"a site nobody classed", "UK-WMS-386", of("hikvision", site(SiteUndetermined)), Undetermined, false, "site-undetermined"},
		{"a council may follow", "UK-WMS-386", of("hikvision", body("uk.local-authority")), May, false, "body-may-follow"},
		{"a council's ordinary site meets nothing", "UK-WMS-386", of("hikvision", body("uk.local-authority"), site(SiteOrdinary)), None, false, ""},
		{"a private body", "UK-WMS-386", of("hikvision", body("uk.private")), None, false, "body-not-addressed"},
		{"a body of no known type", "UK-WMS-386", of("hikvision", body("xx.monastery")), Undetermined, false, "body-unknown"},
		{"no body given", "UK-WMS-386", of("hikvision", body("")), Undetermined, false, "body-not-given"},
		{"another maker", "UK-WMS-386", of("axis"), None, false, "subject-no"},
		{"a maker in no named list", "UK-WMS-386", of("reolink"), Must, true, "subject-yes"},
		{"a subsidiary with its seat in China", "UK-WMS-386", of("ezviz"), Must, true, "subject-yes"},
		{"a badge from abroad on a device of a subject maker", "UK-WMS-386", of("hikvision", brand("TRENDnet")), Must, true, "subject-yes-3"},
		{"a subsidiary abroad needs a legal view", "UK-WMS-386", of("prama"), Undetermined, false, "needs-decision"},
		{"disputed owners", "UK-WMS-386", of("tp-link"), Undetermined, false, "needs-decision"},
		{"before they were disputed", "UK-WMS-386", of("tp-link", date(2023, 1, 1)), Must, true, "subject-yes"},
		{"an unknown maker", "UK-WMS-386", of(""), Undetermined, false, "maker-unknown"},
		{"an unknown maker where no rule is", "UK-WMS-386", of("", site(SiteOrdinary)), None, false, "site-other"},
		{"a maker nobody described", "UK-WMS-386", of("nobody-knows"), Undetermined, false, "maker-not-in-graph"},
		{"only the badge's word", "UK-WMS-386", of("hikvision", badge()), Undetermined, false, "badge-only"},
		{"the badge does not clear either", "UK-WMS-386", of("axis", badge()), Undetermined, false, "badge-only"},
		{"very likely is not identified", "UK-WMS-386", of("hikvision", sure(estate.VeryLikely)), Undetermined, false, "evidence-short"},
		{"a printer", "UK-WMS-386", of("hikvision", kind(estate.KindOther)), None, false, "equipment-other"},
		{"a device of unknown kind", "UK-WMS-386", of("hikvision", kind(estate.KindUnknown)), Undetermined, false, "equipment-unknown"},
		{"a recorder is surveillance too", "UK-WMS-386", of("dahua", kind(estate.KindRecorder)), Must, true, "equipment"},

		{"on the core network", "UK-WMS-386b", of("hikvision", site(SiteOrdinary)), Must, true, "network-core"},
		{"off the core network", "UK-WMS-386b", of("hikvision", network(NetworkIsolated)), Must, false, "network-isolated"},
		{"on a network nobody knows", "UK-WMS-386b", of("hikvision", network(NetworkUnknown)), Undetermined, false, "network-unknown"},
		{"there already: consider", "UK-WMS-386c", of("hikvision", deployed(2020, 1, 1)), Should, true, ""},
		{"there already on an ordinary site", "UK-WMS-386c", of("hikvision", deployed(2020, 1, 1), site(SiteOrdinary)), None, false, ""},
		{"ordinary sites: consider the same", "UK-WMS-386d", of("hikvision", site(SiteOrdinary)), May, false, ""},
		{"ordinary sites of a council: not asked", "UK-WMS-386d", of("hikvision", site(SiteOrdinary), body("uk.local-authority")), None, false, "body-not-addressed"},

		{"nobody verified the timeline", "UK-2024-04", of("hikvision", deployed(2020, 1, 1)), None, false, "unverified"},

		{"a named maker", "US-889A", of("hikvision", body("us.federal-agency"), purposes("public-safety")), Must, true, "named-yes"},
		{"eve of 889", "US-889A", of("hikvision", body("us.federal-agency"), purposes("public-safety"), date(2019, 8, 12)), None, false, "not-yet-in-force"},
		{"a purpose that is not named", "US-889A", of("hikvision", body("us.federal-agency"), noPurpose), None, false, "purpose-other"},
		{"a purpose nobody said", "US-889A", of("hikvision", body("us.federal-agency")), Undetermined, false, "purpose-unknown"},
		{"a subsidiary of a named maker", "US-889A", of("ezviz", body("us.federal-agency"), purposes("public-safety")), Must, true, "affiliate-yes"},
		{"a badge on a named maker's device", "US-889A", of("dahua", brand("Amcrest"), body("us.federal-agency"), purposes("public-safety")), Must, true, "named-yes"},
		{"Lorex while Dahua owned it", "US-889A", of("lorex", body("us.federal-agency"), purposes("public-safety"), date(2020, 1, 1)), Must, true, "affiliate-yes"},
		{"Lorex after", "US-889A", of("lorex", body("us.federal-agency"), purposes("public-safety"), date(2024, 1, 1)), None, false, "named-no"},
		{"an owner by general knowledge only", "US-889A", of("imou", body("us.federal-agency"), purposes("public-safety")), Undetermined, false, "affiliate-unverified"},
		{"a maker that only the predicate of others catches", "US-889A", of("reolink", body("us.federal-agency"), purposes("public-safety")), None, false, "named-no"},
		{"889 and a British department", "US-889A", of("hikvision", purposes("public-safety")), None, false, "body-not-addressed"},
		{"bought before 889", "US-889A", of("hikvision", body("us.federal-agency"), purposes("public-safety"), deployed(2018, 1, 1)), Must, false, ""},
		{"a contractor that still uses it", "US-889B", of("dahua", body("us.federal-contractor"), purposes("public-safety"), deployed(2018, 1, 1)), Must, true, "named-yes"},
		{"eve of part B", "US-889B", of("dahua", body("us.federal-contractor"), purposes("public-safety"), date(2020, 8, 12)), None, false, "not-yet-in-force"},
		{"found by a contractor: report", "US-889B-report", of("dahua", body("us.federal-contractor"), purposes("public-safety"), deployed(2018, 1, 1)), Must, true, ""},

		{"the Entity List binds no owner", "US-EL-2019", of("hikvision", body("us.private")), None, false, "asks-no-owner-export"},
		{"nor an exporter's own camera", "US-EL-2019", of("hikvision", body("us.exporter")), None, false, "asks-no-owner-export"},
		{"nor Tiandy's", "US-EL-2022", of("tiandy", body("us.exporter")), None, false, "asks-no-owner-export"},
		{"nor what nobody verified", "US-EL-2024", of("uniview", body("us.exporter")), None, false, "unverified"},

		{"an importer of a listed maker", "US-FCC-22-84", of("hikvision", body("us.importer"), purposes("public-safety")), Must, false, "named-yes"},
		{"eve of the order", "US-FCC-22-84", of("hikvision", body("us.importer"), purposes("public-safety"), date(2023, 2, 5)), None, false, ""},
		{"an owner of a unit that runs", "US-FCC-22-84", of("hikvision", body("us.private"), purposes("public-safety")), None, false, "body-not-addressed"},
		{"the second order", "US-FCC-25-71", of("dahua", body("us.importer"), purposes("public-safety")), Must, false, "named-yes"},
		{"its eve", "US-FCC-25-71", of("dahua", body("us.importer"), purposes("public-safety"), date(2025, 12, 25)), None, false, ""},

		{"a Commonwealth site", "AU-2023", of("dahua", body("au.commonwealth-body"), deployed(2020, 1, 1)), Must, true, "named-yes"},
		{"Australia named two makers only", "AU-2023", of("uniview", body("au.commonwealth-body"), deployed(2020, 1, 1)), None, false, "named-no"},
		{"the month is not over", "AU-2023", of("dahua", body("au.commonwealth-body"), date(2023, 2, 27)), None, false, "not-yet-in-force"},
		{"a Canadian department buys", "CA-2025", of("hikvision", body("ca.federal-body")), Must, true, "named-yes"},
		{"a Canadian department's legacy", "CA-2025-review", of("hikvision", body("ca.federal-body"), deployed(2020, 1, 1)), Must, true, ""},
		{"eve of the Canadian order", "CA-2025", of("hikvision", body("ca.federal-body"), date(2025, 6, 26)), None, false, ""},
		{"Canada did not name Dahua", "CA-2025", of("dahua", body("ca.federal-body")), None, false, "named-no"},
		{"a Canadian province", "CA-2025", of("hikvision", body("other.public")), None, false, "body-not-addressed"},
		{"the Parliament's camera may be thermal", "EU-EP-2021", of("hikvision", body("eu.parliament"), deployed(2020, 1, 1)), Undetermined, false, "equipment-open"},
		{"the Parliament's recorder is not", "EU-EP-2021", of("hikvision", body("eu.parliament"), kind(estate.KindRecorder)), None, false, "equipment-other"},
		{"Amsterdam, before five years are over", "NL-AMS-2024", of("reolink", body("nl.amsterdam"), deployed(2020, 1, 1)), Must, false, "match-yes"},
		{"Amsterdam, after", "NL-AMS-2024", of("reolink", body("nl.amsterdam"), deployed(2020, 1, 1), date(2029, 7, 1)), Must, true, "match-yes"},
		{"Amsterdam and a Swedish maker", "NL-AMS-2024", of("axis", body("nl.amsterdam"), deployed(2020, 1, 1)), None, false, "match-no"},
		{"Scotland phases out", "UK-SCT", of("hikvision", body("uk.scottish-government"), deployed(2020, 1, 1)), Should, true, "named-yes"},
		{"Welsh police buy no more", "UK-WLS", of("hikvision", body("uk.welsh-police")), Should, true, "named-yes"},
		{"English police do not follow that", "UK-WLS", of("hikvision", body("uk.police")), None, false, ""},
		{"Welsh police are police", "UK-WMS-386", of("hikvision", body("uk.welsh-police")), May, false, "body-may-follow"},
		{"India asks for a certificate, of any maker", "IN-ER-2024", of("axis", body("in.government-buyer"), func(c *Case) { c.Certificates = []string{} }), Must, true, "match-any"},
		{"which one has", "IN-ER-2024", of("axis", body("in.government-buyer"), func(c *Case) { c.Certificates = []string{"in-stqc"} }), None, false, "match-not"},
		{"or nobody knows", "IN-ER-2024", of("axis", body("in.government-buyer")), Undetermined, false, "certificate-unknown"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := verdict(t, c.Judge(tt.cs), tt.clause)
			if v.Force != tt.want || v.Broken != tt.broken {
				t.Errorf("%s: %s, broken %t; want %s, %t: %+v", tt.clause, v.Force, v.Broken, tt.want, tt.broken, v.Why)
			}
			found := tt.code == ""
			for _, r := range v.Why {
				found = found || r.Code == tt.code || strings.HasPrefix(r.Code, tt.code+"-")
			}
			if !found {
				t.Errorf("%s: no reason %q among %+v", tt.clause, tt.code, v.Why)
			}
			if v.Force == Undetermined && len(v.WouldChange) == 0 {
				t.Errorf("%s: undetermined without a way out: %+v", tt.clause, v.Why)
			}
		})
	}
}

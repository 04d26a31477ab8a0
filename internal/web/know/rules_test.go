package know

import (
	"strings"
	"testing"
)

func TestEveryRuleCanBeRead(t *testing.T) {
	b := newBench(t)
	vic := b.login(t, "Vic")
	for _, rule := range b.know.rules().Restrictions() {
		for _, lang := range []string{"en", "fr"} {
			page := b.page(t, 200, ask("GET", "/rules/"+rule.ID, "", vic, with("Accept-Language", lang)))
			checkMarkup(t, rule.ID, lang, page)
			text := words(parse(t, page))
			want := []string{rule.ID, rule.Title.In(lang), rule.Issuer.In(lang), rule.Source.Name}
			for _, c := range rule.Clauses {
				want = append(want, c.ID, c.Asks.In(lang), b.know.words.Action(c.Action, lang))
			}
			for _, w := range want {
				if !strings.Contains(text, strings.Join(strings.Fields(w), " ")) {
					t.Errorf("%s in %s does not say %q", rule.ID, lang, w)
				}
			}
		}
	}
}

func TestRulesAreFound(t *testing.T) {
	b := newBench(t)
	vic := b.login(t, "Vic")
	for _, tt := range []struct {
		name, query string
		has, not    []string
	}{
		{"all", "", []string{"UK-WMS-386", "US-889A", "CN-NIL"}, nil},
		{"a department's", "body=uk.central-department", []string{"UK-WMS-386"}, []string{"US-889A"}},
		{"told that it may follow", "body=uk.local-authority", []string{"UK-WMS-386"}, []string{"US-889A"}},
		{"a wider type of body", "body=uk.welsh-police", []string{"UK-WMS-386"}, []string{"AU-2023"}},
		{"a body nobody knows", "body=xx.nobody", nil, []string{"UK-WMS-386"}},
		{"by a word", "q=HCWS386+statement", []string{"UK-WMS-386"}, []string{"US-889A"}},
		{"by a maker that is named", "q=hytera", []string{"US-889A"}, []string{"UK-WMS-386"}},
		{"not verified", "status=unverified", []string{"US-EL-2024"}, []string{"UK-WMS-386"}},
	} {
		page := b.page(t, 200, ask("GET", "/rules?"+tt.query, "", vic))
		for _, id := range tt.has {
			if !strings.Contains(page, `href="/rules/`+id+`"`) {
				t.Errorf("%s: %s is missing", tt.name, id)
			}
		}
		for _, id := range tt.not {
			if strings.Contains(page, `href="/rules/`+id+`"`) {
				t.Errorf("%s: %s is shown", tt.name, id)
			}
		}
	}
}

func TestWrongRules(t *testing.T) {
	b := newBench(t)
	vic := b.login(t, "Vic")
	b.page(t, 404, ask("GET", "/rules/XX-1", "", vic))
	rec := b.serve(ask("GET", "/rules/UK-WMS-386b", "", vic))
	if to := rec.Header().Get("Location"); rec.Code != 303 || to != "/rules/UK-WMS-386#UK-WMS-386b" {
		t.Errorf("a clause leads to %d %q", rec.Code, to)
	}
	if rec := b.serve(ask("GET", "/rules", "")); rec.Code != 303 {
		t.Errorf("a stranger gets %d", rec.Code)
	}
	hostile := b.page(t, 200, ask("GET", "/rules?q=%3Cscript%3Ealert(1)%3C/script%3E%FF", "", vic))
	if strings.Contains(hostile, "<script>alert") {
		t.Error("what was typed is not escaped")
	}
}

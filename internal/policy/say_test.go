package policy

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEveryCodeHasItsTexts reads the code itself: a code that nobody can say is
// found here and not by a person at a screen.
func TestEveryCodeHasItsTexts(t *testing.T) {
	texts, err := LoadTexts()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	reason := regexp.MustCompile(`(?:Reason\{Code: |\{\{Code: |j\.about\()"([a-z0-9-]+)"([ +,}])`)
	change := regexp.MustCompile(`Change\{Code: "([a-z-]+)"`)
	both := func(kind, code string, text Text) {
		if text.EN == "" || text.FR == "" {
			t.Errorf("%s %q has no text in English or in French", kind, code)
		}
	}
	seen := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		code, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range change.FindAllStringSubmatch(string(code), -1) {
			seen++
			both("change", m[1], texts.Changes[m[1]])
		}
		for _, m := range reason.FindAllStringSubmatch(string(code), -1) {
			if strings.HasSuffix(m[1], "-") {
				continue // the rest is worked out; below
			}
			seen++
			both("reason", m[1], texts.Reasons[m[1]])
		}
	}
	if seen < 50 {
		t.Errorf("%d codes found in the source: the pattern misses most", seen)
	}
	for _, code := range []string{
		"asks-no-owner-export", "subject-yes", "subject-no", "subject-yes-1", "subject-yes-3", "decided-yes", "decided-no",
		"match-yes", "match-no", "match-not", "needs-decision", "needs-decision-2", "needs-decision-5",
	} {
		both("reason", code, texts.Reasons[code])
	}
	for a := range actions {
		both("action", string(a), texts.Actions[a])
	}
	for _, f := range []Force{Must, Should, May, None, Undetermined} {
		both("force", string(f), texts.Forces[f])
	}
}

// TestNothingIsLeftUnsaid judges widely and looks for holes in what is said.
func TestNothingIsLeftUnsaid(t *testing.T) {
	texts, err := LoadTexts()
	if err != nil {
		t.Fatal(err)
	}
	c := loaded(t)
	for _, m := range []string{"", "hikvision", "axis", "prama", "tp-link", "imou", "hikmicro", "nobody"} {
		for _, b := range append(c.Bodies(), BodyType{ID: "xx.unknown"}, BodyType{}) {
			for _, s := range []SiteClass{SiteSensitive, SiteOrdinary, SiteUndetermined} {
				for _, v := range c.Judge(of(m, body(b.ID), site(s), brand("TRENDnet"))) {
					for _, lang := range []string{"en", "fr"} {
						for _, r := range v.Why {
							if text := texts.Reason(r, lang); strings.Contains(text, "–") || text == r.Code {
								t.Fatalf("%s of %q: %q", r.Code, m, text)
							}
						}
						for _, ch := range v.WouldChange {
							if text := texts.Change(ch, lang); strings.Contains(text, "–") || strings.HasPrefix(text, ch.Code) && strings.Contains(ch.Code, "-") {
								t.Fatalf("%s of %q: %q", ch.Code, m, text)
							}
						}
					}
				}
			}
		}
	}
}

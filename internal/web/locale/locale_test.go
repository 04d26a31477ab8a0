package locale

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

func load(t *testing.T) *Texts {
	t.Helper()
	texts, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

var inBraces = regexp.MustCompile(`\{\w+\}`)

func TestLanguagesSayTheSame(t *testing.T) {
	texts := load(t)
	for _, key := range append(texts.Keys("en"), texts.Keys("fr")...) {
		en, fr := texts.byLanguage["en"][key], texts.byLanguage["fr"][key]
		if strings.TrimSpace(en) == "" || strings.TrimSpace(fr) == "" {
			t.Errorf("%s: English %q, French %q", key, en, fr)
			continue
		}
		words := func(s string) []string {
			found := inBraces.FindAllString(s, -1)
			slices.Sort(found)
			return slices.Compact(found)
		}
		if !slices.Equal(words(en), words(fr)) {
			t.Errorf("%s: English fills in %v, French %v", key, words(en), words(fr))
		}
	}
}

// French sets a no-break space before high punctuation and within quotes, and
// a curly apostrophe.
func TestFrenchTypography(t *testing.T) {
	wrong := regexp.MustCompile(` [;:?!»]|« |'`)
	for _, name := range []string{"fr.json", "know.fr.json"} {
		body, err := files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(body)) {
			if _, text, ok := strings.Cut(line, `": "`); ok && wrong.MatchString(text) {
				t.Errorf("%s: %q", name, text)
			}
		}
	}
}

func TestFormsOfNumber(t *testing.T) {
	texts := load(t)
	for _, tt := range []struct {
		lang string
		n    int
		want string
	}{
		{"en", 0, "0 cameras"},
		{"en", 1, "1 camera"},
		{"en", 1234, "1,234 cameras"},
		{"fr", 0, "0 caméra"},
		{"fr", 1, "1 caméra"},
		{"fr", 1234, "1\u202f234 caméras"},
	} {
		if got := texts.N(tt.lang, "cameras.count", tt.n); got != tt.want {
			t.Errorf("%s %d: %q, want %q", tt.lang, tt.n, got, tt.want)
		}
	}
	if got := Number("en", -1234567); got != "-1,234,567" {
		t.Error(got)
	}
	if got := Decimal("fr", 2.25); got != "2,2" {
		t.Error(got)
	}
	if got := texts.T("xx", "no.such-key"); got != "no.such-key" {
		t.Error(got)
	}
}

func TestPick(t *testing.T) {
	texts := load(t)
	for _, tt := range []struct{ chosen, accept, want string }{
		{"", "", "en"},
		{"fr", "en", "fr"},
		{"xx", "fr", "fr"},
		{"", "fr-CA,fr;q=0.9,en;q=0.8", "fr"},
		{"", "de, en;q=0.5, fr;q=0.7", "fr"},
		{"", "de,nl", "en"},
		{"", "fr;q=0", "en"},
		{"", "fr;q=nonsense,en;q=0.1", "en"},
		{"", "fr;q=NaN", "en"},
		{"", strings.Repeat("xx,", 10_000) + "fr", "en"},
	} {
		if got := texts.Pick(tt.chosen, tt.accept); got != tt.want {
			t.Errorf("Pick(%q, %.40q) = %q, want %q", tt.chosen, tt.accept, got, tt.want)
		}
	}
}

func FuzzPick(f *testing.F) {
	f.Add("fr", "fr-CA,fr;q=0.9,en;q=0.8")
	f.Fuzz(func(t *testing.T, chosen, accept string) {
		texts, err := Load()
		if err != nil {
			t.Fatal(err)
		}
		if got := texts.Pick(chosen, accept); got != "en" && got != "fr" {
			t.Errorf("%q", got)
		}
	})
}

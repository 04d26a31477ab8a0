// Package locale holds every text a person reads in the browser, in English
// and in French. Begin with [Load].
//
// A text's key is page.name. "{n}" and other words in braces are filled in
// when the text is used; a key that counts something has ".one" and ".other"
// forms. All files share one key space: island.* belongs to the scripts, know.*
// to the wing of that name, which shows its texts from the server alone.
package locale

import (
	"embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

//go:embed *.json
var files embed.FS

// Languages lists those we speak; the first is the one of last resort.
var languages = []string{"en", "fr"}

// Texts is immutable.
type Texts struct {
	byLanguage map[string]map[string]string
	encoded    map[string][]byte
}

// Load reads the embedded files.
func Load() (*Texts, error) {
	t := &Texts{byLanguage: map[string]map[string]string{}, encoded: map[string][]byte{}}
	for _, lang := range languages {
		all, sent := map[string]string{}, map[string]string{}
		for _, name := range []string{lang + ".json", "island." + lang + ".json", "know." + lang + ".json"} {
			body, err := files.ReadFile(name)
			if err != nil {
				return nil, fmt.Errorf("load texts: %w", err)
			}
			var texts map[string]string
			if err := json.Unmarshal(body, &texts); err != nil {
				return nil, fmt.Errorf("load texts %q: %w", name, err)
			}
			for key := range texts {
				if _, twice := all[key]; twice {
					return nil, fmt.Errorf("load texts %q: %q is in another file too", name, key)
				}
			}
			maps.Copy(all, texts)
			if !strings.HasPrefix(name, "know.") {
				maps.Copy(sent, texts)
			}
		}
		t.byLanguage[lang] = all
		var err error
		if t.encoded[lang], err = json.Marshal(sent); err != nil {
			return nil, fmt.Errorf("load texts %q: %w", lang, err)
		}
	}
	return t, nil
}

// Languages lists the languages there are.
func (t *Texts) Languages() []string { return slices.Clone(languages) }

// Has reports whether a language has a text.
func (t *Texts) Has(lang, key string) bool { _, ok := t.byLanguage[lang][key]; return ok }

// Keys lists a language's keys in order.
func (t *Texts) Keys(lang string) []string { return slices.Sorted(maps.Keys(t.byLanguage[lang])) }

// JSON is the texts of a language that scripts may need.
func (t *Texts) JSON(lang string) []byte { return t.encoded[lang] }

// T returns a text. Args are pairs of a word in braces, without them, and its
// value. A missing text shows its key: ugly, but nobody is misled.
func (t *Texts) T(lang, key string, args ...any) string {
	text, ok := t.byLanguage[lang][key]
	if !ok {
		if text, ok = t.byLanguage[languages[0]][key]; !ok {
			return key
		}
	}
	if len(args) == 0 {
		return text
	}
	pairs := make([]string, 0, len(args))
	for i := 0; i+1 < len(args); i += 2 {
		pairs = append(pairs, fmt.Sprint("{", args[i], "}"), fmt.Sprint(args[i+1]))
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// N returns a text that counts: the form for n, with {n} filled in. French
// counts 0 and 1 as one, English only 1 (CLDR plural rules).
func (t *Texts) N(lang, key string, n int, args ...any) string {
	form := ".other"
	if n == 1 || n == 0 && lang == "fr" {
		form = ".one"
	}
	return t.T(lang, key+form, append(args, "n", Number(lang, int64(n)))...)
}

// Number writes n with the language's separators: 1,234 and 1 234 (with a
// narrow no-break space).
func Number(lang string, n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	sep := ","
	if lang == "fr" {
		sep = "\u202f"
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + sep + s[i:]
	}
	return sign + s
}

// Decimal writes x with one digit after the point, or the comma.
func Decimal(lang string, x float64) string {
	s := strconv.FormatFloat(x, 'f', 1, 64)
	if lang == "fr" {
		s = strings.Replace(s, ".", ",", 1)
	}
	return s
}

// Pick chooses a language: what the person chose, if anything, else the best
// of an Accept-Language header (RFC 9110, 12.5.4).
func (t *Texts) Pick(chosen, accept string) string {
	if _, ok := t.byLanguage[chosen]; ok {
		return chosen
	}
	best, weight := languages[0], 0.0
	for i, part := range strings.SplitN(accept, ",", 17) {
		if i == 16 {
			break
		}
		tag, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		lang, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(tag)), "-")
		q := 1.0
		if v, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			var err error
			if q, err = strconv.ParseFloat(v, 64); err != nil || !(q >= 0 && q <= 1) {
				continue
			}
		}
		if _, ok := t.byLanguage[lang]; ok && q > weight {
			best, weight = lang, q
		}
	}
	return best
}

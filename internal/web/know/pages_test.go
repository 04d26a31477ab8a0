package know

import (
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/net/html"
)

var allPages = []string{
	"/estate", "/estate/organisations/harbour-council", "/estate/organisations/-/new", "/estate/organisations/agency/edit", "/estate/sites/-/new",
	"/estate/sites/ministry", "/estate/sites/depot", "/estate/sites/depot/edit", "/estate/sites/town-hall/map", "/estate/scans", "/estate/scans/1", "/estate/scans/-/new?site=depot&ranges=10.0.0.0/24",
	"/estate/devices", "/estate/devices?maker=-&state=proposed", "/estate/devices?q=nothing",
	"/findings", "/findings?state=all&force=must&age=30&maker=hikvision&site=ministry", "/findings/-/decisions",
	"/plan", "/plan?site=ministry&stage=unplanned", "/plan?skip=1000", "/plan/sheet",
	"/what-if", "/what-if?ordinary=yes&on=2027-01-01", "/what-if?as-if=US-889A&as-if=US-889B&body=us.federal-agency", "/what-if?body=uk.central-department&only=UK-WMS-386",
	"/rules", "/rules?body=uk.local-authority", "/rules?q=nothing+like+it", "/rules/UK-WMS-386", "/rules/CN-NIL", "/rules/US-EL-2024",
}

func TestPagesAreWellMade(t *testing.T) {
	b := newBench(t)
	ada := b.login(t, "Ada")
	key := regexp.MustCompile(`\b[a-z]+(\.[a-z0-9-]+)+\b`)
	for _, lang := range []string{"en", "fr"} {
		paths := slices.Clone(allPages)
		for _, f := range b.findings(t) {
			paths = append(paths, "/findings/"+f.ID)
		}
		for _, id := range b.device {
			paths = append(paths, "/estate/devices/"+string(id), "/estate/devices/"+string(id)+"/edit")
		}
		for _, path := range paths {
			page := b.page(t, 200, ask("GET", path, "", ada, with("Accept-Language", lang)))
			checkMarkup(t, path, lang, page)
			// A key that has no text shows as itself.
			for _, word := range key.FindAllString(words(parse(t, page)), -1) {
				if prefix, _, _ := strings.Cut(word, "."); ours[prefix] {
					t.Errorf("%s in %s: shows the key %q", path, lang, word)
				}
			}
		}
	}
}

// ours are the first words of this wing's keys.
var ours = map[string]bool{
	"plot": true, "filter": true, "rules": true, "rule": true, "standing": true, "form": true, "concern": true, "verified": true, "country": true,
	"estate": true, "organisation": true, "place": true, "site": true, "device": true, "network": true, "exposure": true, "sure": true, "grade": true,
	"chain": true, "subject": true, "verdicts": true, "holds": true, "evidence": true, "history": true, "change": true, "link": true, "finding": true, "findings": true, "times": true, "decisions": true, "plan": true, "whatif": true, "waive": true, "waiver": true, "map": true, "scan": true, "scans": true, "list": true, "refused": true, "field": true, "invalid": true,
}

// checkMarkup looks for what the content-security policy forbids and what a
// keyboard or a screen reader would trip over.
func checkMarkup(t *testing.T, path, lang, page string) {
	t.Helper()
	doc := parse(t, page)
	ids, count := map[string]bool{}, map[string]int{}
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		attr := map[string]string{}
		for _, a := range n.Attr {
			attr[a.Key] = a.Val
			if strings.HasPrefix(a.Key, "on") || a.Key == "style" {
				t.Errorf("%s: inline %s on <%s>", path, a.Key, n.Data)
			}
			leads := a.Key == "href" || a.Key == "src" || a.Key == "action"
			if leads && !strings.HasPrefix(a.Val, "/") && !strings.HasPrefix(a.Val, "#") && !strings.HasPrefix(a.Val, "?") && attr["rel"] == "" && !strings.Contains(page, `href="`+a.Val+`" rel="external noreferrer noopener"`) {
				t.Errorf("%s: <%s %s=%q> leads away", path, n.Data, a.Key, a.Val)
			}
		}
		if n.Data != "title" || within(n, "head") { // a picture's parts have titles too
			count[n.Data]++
		}
		if id := attr["id"]; id != "" {
			if ids[id] {
				t.Errorf("%s: id %q twice", path, id)
			}
			ids[id] = true
		}
		checkElement(t, path, n, attr)
		if n.Data == "html" && attr["lang"] != lang {
			t.Errorf("%s: in %q, want %q", path, attr["lang"], lang)
		}
	}
	for tag, n := range map[string]int{"main": 1, "h1": 1, "title": 1, "header": 1, "style": 0, "iframe": 0} {
		if count[tag] != n {
			t.Errorf("%s: %d <%s>, want %d", path, count[tag], tag, n)
		}
	}
	for n := range doc.Descendants() {
		for _, a := range n.Attr {
			if a.Key == "aria-labelledby" || a.Key == "aria-describedby" {
				for _, id := range strings.Fields(a.Val) {
					if !ids[id] {
						t.Errorf("%s: %s points at %q, which is not there", path, a.Key, id)
					}
				}
			}
		}
	}
}

func checkElement(t *testing.T, path string, n *html.Node, attr map[string]string) {
	t.Helper()
	switch n.Data {
	case "script":
		if attr["src"] == "" {
			t.Errorf("%s: inline script", path)
		}
	case "button", "a":
		if words(n) == "" && attr["aria-label"] == "" {
			t.Errorf("%s: <%s> without a name", path, n.Data)
		}
	case "th":
		if attr["scope"] == "" {
			t.Errorf("%s: <th> without scope", path)
		}
	case "svg":
		if attr["aria-hidden"] != "true" && attr["role"] != "img" && attr["aria-label"] == "" {
			t.Errorf("%s: a picture that a screen reader can neither skip nor name", path)
		}
	case "input", "select", "textarea":
		if attr["type"] != "hidden" && attr["aria-label"] == "" && !within(n, "label") {
			t.Errorf("%s: %s %q without a label", path, n.Data, attr["name"])
		}
	}
}

func within(n *html.Node, tag string) bool {
	for p := range n.Ancestors() {
		if p.Data == tag {
			return true
		}
	}
	return false
}

// No template holds a word of its own: all come from package locale.
func TestTemplatesHaveNoBareText(t *testing.T) {
	action := regexp.MustCompile(`(?s)\{\{.*?\}\}`)
	for name, body := range templates(t) {
		z := html.NewTokenizer(strings.NewReader(action.ReplaceAllString(body, " ")))
		for kind := z.Next(); kind != html.ErrorToken; kind = z.Next() {
			token := z.Token()
			if kind == html.TextToken && strings.ContainsFunc(token.Data, unicode.IsLetter) {
				t.Errorf("%s: bare text %q", name, strings.TrimSpace(token.Data))
			}
			for _, a := range token.Attr {
				if (a.Key == "title" || a.Key == "alt" || a.Key == "aria-label") && strings.ContainsFunc(a.Val, unicode.IsLetter) {
					t.Errorf("%s: bare %s %q", name, a.Key, a.Val)
				}
			}
		}
	}
}

func templates(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, pattern := range []string{"*.tmpl", "*/page.tmpl"} {
		names, err := fs.Glob(files, pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			body, err := fs.ReadFile(files, name)
			if err != nil {
				t.Fatal(err)
			}
			all[name] = string(body)
		}
	}
	return all
}

// Every key that a template or the code names has a text in both languages.
func TestEveryKeyHasAText(t *testing.T) {
	texts := newBench(t).web.Texts()
	sources := templates(t)
	names, err := fs.Glob(os.DirFS("."), "*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !strings.HasSuffix(name, "_test.go") {
			body, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			sources[name] = string(body)
		}
	}
	named := regexp.MustCompile(`\b(T|N)(?: |\()"([a-z_]+\.[a-z0-9_.-]+)"`)
	n := 0
	for name, body := range sources {
		for _, m := range named.FindAllStringSubmatch(body, -1) {
			n++
			keys := []string{m[2]}
			if m[1] == "N" {
				keys = []string{m[2] + ".one", m[2] + ".other"}
			}
			for _, key := range keys {
				for _, lang := range texts.Languages() {
					if !texts.Has(lang, key) {
						t.Errorf("%s: %s has no text for %q", name, lang, key)
					}
				}
			}
		}
	}
	if n < 40 {
		t.Errorf("found %d keys only", n)
	}
}

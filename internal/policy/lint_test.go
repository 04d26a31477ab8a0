package policy

import (
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

func TestEmbeddedCatalogueHasNoProblems(t *testing.T) {
	problems, err := Lint(os.DirFS("restrictions"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("restrictions/%s", p)
	}
}

// changed is the embedded catalogue with something replaced in one file.
func changed(t testing.TB, file string, pairs ...string) fs.FS {
	t.Helper()
	out := fstest.MapFS{}
	dir := os.DirFS("restrictions")
	names, err := fs.Glob(dir, "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		if name == file {
			now := strings.NewReplacer(pairs...).Replace(string(text))
			if now == string(text) {
				t.Fatalf("%s has none of %q", file, pairs)
			}
			text = []byte(now)
		}
		out[name] = &fstest.MapFile{Data: text}
	}
	return out
}

func TestLint(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		pairs      []string
		want       string
	}{
		{"a key nobody knows", "au-2023.yaml", []string{"concerns: use", "concern: use"}, `au-2023.yaml:13: unknown key "concern"`},
		{"no such body", "au-2023.yaml", []string{"au.commonwealth-body", "au.state"}, `au-2023.yaml:14: obliged "au.state" is not known`},
		{"no such action", "au-2023.yaml", []string{"action: remove", "action: explode"}, `au-2023.yaml:23: action "explode": want`},
		{"no such force", "au-2023.yaml", []string{"force: must", "force: shall"}, `au-2023.yaml:24: force "shall": want must, should, may`},
		{"a predicate that does not read", "nl-ams-2024.yaml", []string{`jurisdiction == "CN"`, `jurisdiction = "CN"`}, `nl-ams-2024.yaml:16: match: column`},
		{"a predicate about what is no variable", "nl-ams-2024.yaml", []string{`jurisdiction == "CN"`, `country == "CN"`}, `undeclared reference to 'country'`},
		{"a predicate that is no question", "nl-ams-2024.yaml", []string{`jurisdiction == "CN"`, `jurisdiction + "CN"`}, `gives string, want bool`},
		{"a date that is none", "au-2023.yaml", []string{"in-force: 2023-02", "in-force: 2023-13"}, `au-2023.yaml:10: date "2023-13": want`},
		{"a file under another name", "au-2023.yaml", []string{"id: AU-2023\ntitle", "id: AU-2024\ntitle"}, `stands in "au-2023.yaml": want "au-2024.yaml"`},
		{"no French", "au-2023.yaml", []string{`, fr: "Le retirer."`, ""}, `asks: want a text in English (en) and in French (fr)`},
		{"an alias", "au-2023.yaml", []string{"jurisdiction: AU", "jurisdiction: &a AU"}, `au-2023.yaml:7: uses an anchor or an alias`},
		{"two documents", "au-2023.yaml", []string{"source: {", "---\nsource: {"}, `holds a second document`},
		{"a law nobody describes", "uk-wms-386.yaml", []string{"laws: [CN-NIL]", "laws: [CN-XXX]"}, `laws "CN-XXX": there is no such instrument`},
		{"ends before it begins", "au-2023.yaml", []string{"status: in-force", "until: 2020\nstatus: in-force"}, `until 2020 is before in-force 2023-02`},
		{"closed, but when", "au-2023.yaml", []string{"status: in-force", "status: closed"}, `status closed: want until`},
		{"not YAML", "au-2023.yaml", []string{"form: decision", "form: [decision"}, `au-2023.yaml:`},
		{"the same ID twice", "au-2023.yaml", []string{"- id: AU-2023", "- id: AU-2023\n    says: {en: \"a\", fr: \"a\"}\n    asks: {en: \"a\", fr: \"a\"}\n    action: remove\n    force: must\n  - id: AU-2023"}, `clause "AU-2023" is there twice`},
		{"bodies that go in circles", "catalogue.yaml", []string{"is: [uk.police]", "is: [uk.nobody]"}, `body "uk.welsh-police" is "uk.nobody", which is no other body`},
		{"a list too large", "au-2023.yaml", []string{"issued: 2023-02", "issued: 2023-02\n#" + strings.Repeat("x", MaxFileBytes)}, `au-2023.yaml: `},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files := changed(t, tt.file, tt.pairs...)
			problems, err := Lint(files)
			var all []string
			for _, p := range problems {
				all = append(all, p.String())
			}
			if err != nil {
				all = append(all, err.Error())
			}
			if !strings.Contains(strings.Join(all, "\n"), tt.want) {
				t.Errorf("problems:\n%s\nwant one that says %q", strings.Join(all, "\n"), tt.want)
			}
			if _, err := LoadFrom(files, nil); err == nil {
				t.Error("it was loaded all the same")
			}
		})
	}
}

func TestVersionFollowsTheFiles(t *testing.T) {
	a, err := LoadFrom(os.DirFS("restrictions"), nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := LoadFrom(changed(t, "au-2023.yaml", "Remove it.", "Remove it now."), nil)
	if err != nil {
		t.Fatal(err)
	}
	if a.Version() == b.Version() || !strings.HasPrefix(a.Version(), "2026-") {
		t.Errorf("versions %q and %q: want two that begin with the day of release", a.Version(), b.Version())
	}
	if c := loaded(t); c.Version() != a.Version() {
		t.Errorf("embedded version %q, of the folder %q", c.Version(), a.Version())
	}
}

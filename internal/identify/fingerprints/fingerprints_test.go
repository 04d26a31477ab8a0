package fingerprints

import (
	"bytes"
	"strings"
	"testing"
	"testing/fstest"
)

const good = `# a comment
[server]
only http-server http-response
look http.server
match ^Acme (\d+)
and http.title ^Acme
unless http.title Not
grade A
family web
kind camera
brand Acme
model $1
source a page
yes http-server Acme 1\x20"x"
no http-server Other \\ \n
`

func TestParse(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"as it should be", good, ""},
		{"no source", strings.Replace(good, "source a page\n", "", 1), "acme.txt line 2: acme/server: no source"},
		{"no example", strings.Replace(good, "yes http-server", "no http-server", 1), "no example that it must match"},
		{"grade A without a counter-example", strings.Replace(good, "no http-server Other \\\\ \\n\n", "", 1), "no example that it must not match"},
		{"a grade nobody knows", strings.Replace(good, "grade A", "grade D", 1), `grade "D"`},
		{"a family nobody knows", strings.Replace(good, "family web", "family tree", 1), `family "tree"`},
		{"a pattern that is none", strings.Replace(good, "match ^Acme (", "match ^Acme ((", 1), "line 5: acme/server: error parsing regexp"},
		{"a word nobody knows", good + "colour red\n", `word "colour"`},
		{"a word without a value", good + "kind\n", `"kind" says nothing`},
		{"a condition without a pattern", good + "and http.title\n", "want a field and a pattern"},
		{"an example without text", good + "yes http-server\n", "want a kind of evidence and its text"},
		{"a word before the first name", "grade A\n" + good, "stands before the first [name]"},
		{"an endless line", good + "source " + strings.Repeat("x", 1<<20), "token too long"},
	} {
		prints, err := Parse("acme", []byte(tt.text))
		if tt.want == "" && (err != nil || len(prints) != 1 || prints[0].ID != "acme/server" || prints[0].Yes[0].Value != `Acme 1 "x"` || prints[0].No[0].Value != "Other \\ \n") {
			t.Errorf("%s: Parse = %+v, %v", tt.name, prints, err)
		}
		if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: Parse says %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestLoadFSRefuses(t *testing.T) {
	const head = prefixHead + "\n"
	for _, tt := range []struct{ name, file, text, want string }{
		{"as it should be", "acme.txt", good, ""},
		{"the same twice", "acme.txt", good + good[strings.Index(good, "["):], "stands here twice"},
		{"a prefix that is none", prefixFile, head + "00-11-22,acme,x,no\n", `prefix "00-11-22"`},
		{"other columns", prefixFile, "a,b\n", "want the columns"},
		{"a version that is no date", versionFile, "new\n", `version "new"`},
	} {
		dir := fstest.MapFS{
			"acme.txt": {Data: []byte(good)}, prefixFile: {Data: []byte(head + "001122,acme,Acme,no\n0011223,acme,Acme,no\n")}, versionFile: {Data: []byte("2026-11-25\n")},
		}
		dir[tt.file] = &fstest.MapFile{Data: []byte(tt.text)}
		s, err := LoadFS(dir)
		if tt.want == "" {
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			} else if p, ok := s.Prefix("001122334455"); !ok || p.Bits != "0011223" {
				t.Errorf("Prefix = %+v, %t: want the longest", p, ok)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: LoadFS says %v, want %q", tt.name, err, tt.want)
		}
	}
}

// TestWrite writes all that we ship, and reads it back.
func TestWrite(t *testing.T) {
	s, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	byFile := map[string][]Fingerprint{}
	for _, f := range s.All() {
		file, _, _ := strings.Cut(f.ID, "/")
		byFile[file] = append(byFile[file], f)
	}
	for file, prints := range byFile {
		text := Write("a test", prints)
		again, err := Parse(file, text)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if !bytes.Equal(Write("a test", again), text) {
			t.Errorf("%s: written, read and written again, it is another", file)
		}
	}
	list, err := ParsePrefixes("x", WritePrefixes(s.Prefixes()))
	if err != nil || len(list) != len(s.Prefixes()) {
		t.Errorf("prefixes: %d, %v", len(list), err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("[\n]\nmatch (\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		prints, err := Parse("acme", text)
		if err != nil {
			return
		}
		if _, err := Parse("acme", Write("x", prints)); err != nil {
			t.Fatalf("%q is read, and what is written of it is not: %v", text, err)
		}
	})
}

package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/alecthomas/kong"
)

const (
	projectDir  = "../../"
	guideDir    = projectDir + "docs/guide/"
	frenchDir   = guideDir + "fr/"
	noBreak     = "\u00a0"
	toFrench    = "En français" + noBreak + ": "
	toEnglish   = "In English: "
	glossary    = projectDir + "docs/glossary.md"
	frenchWords = frenchDir + "glossaire.md"
)

// A doc is a page of ours, taken apart.
type doc struct {
	path   string
	lines  []string // without fenced blocks
	fenced []string // lines of fenced blocks
	fences int
}

func readDoc(t *testing.T, path string) doc {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d := doc{path: path}
	inside := false
	for line := range strings.Lines(string(b)) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "```"):
			if inside = !inside; inside {
				d.fences++
			}
		case inside:
			d.fenced = append(d.fenced, line)
		default:
			d.lines = append(d.lines, line)
		}
	}
	if inside {
		t.Errorf("%s: a block of code does not end", path)
	}
	return d
}

func (d doc) title() string { return strings.TrimPrefix(d.lines[0], "# ") }

// count says how many headings, blocks of code and rows of tables there are.
func (d doc) count() (headings, fences, rows int) {
	for _, line := range d.lines {
		switch {
		case strings.HasPrefix(line, "#"):
			headings++
		case strings.HasPrefix(line, "|"):
			rows++
		}
	}
	return headings, d.fences, rows
}

// twin is the page that a line "In English: [title](file)" names.
func (d doc) twin(t *testing.T, says string) (doc, bool) {
	t.Helper()
	for _, line := range d.lines {
		rest, ok := strings.CutPrefix(line, says)
		if !ok {
			continue
		}
		m := link.FindStringSubmatch(rest)
		if m == nil {
			break
		}
		other := readDoc(t, filepath.Join(filepath.Dir(d.path), m[2]))
		if m[1] != other.title() {
			t.Errorf("%s: calls its twin %q, which calls itself %q", d.path, m[1], other.title())
		}
		return other, true
	}
	t.Errorf("%s: has no line %q with a link to its twin", d.path, says)
	return doc{}, false
}

// TestGuidesHaveTwins wants each guide in both languages, linked both ways and
// with the same parts: what is added to one is missed in the other.
func TestGuidesHaveTwins(t *testing.T) {
	english, err := filepath.Glob(guideDir + "*.md")
	if err != nil || len(english) < 2 {
		t.Fatalf("guides: %q, %v", english, err)
	}
	contents := strings.Join(readDoc(t, guideDir+"README.md").lines, "\n")
	linked := map[string]bool{}
	for _, path := range append(english, glossary) {
		if filepath.Base(path) == "README.md" {
			continue
		}
		d := readDoc(t, path)
		french, ok := d.twin(t, toFrench)
		if !ok {
			continue
		}
		linked[filepath.Clean(french.path)] = true
		if back, ok := french.twin(t, toEnglish); ok && filepath.Clean(back.path) != filepath.Clean(path) {
			t.Errorf("%s: its twin %s links back to %s", path, french.path, back.path)
		}
		for _, name := range []string{filepath.Base(path), "fr/" + filepath.Base(french.path)} {
			if !strings.Contains(contents, name+")") {
				t.Errorf("docs/guide/README.md does not list %s", name)
			}
		}
		if path == glossary {
			continue // TestFrenchGlossary
		}
		h, f, r := d.count()
		if fh, ff, fr := french.count(); h != fh || f != ff || r != fr {
			t.Errorf("%s has %d headings, %d blocks of code, %d rows; %s has %d, %d, %d", path, h, f, r, french.path, fh, ff, fr)
		}
	}
	all, err := filepath.Glob(frenchDir + "*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		if !linked[filepath.Clean(path)] {
			t.Errorf("%s: no English page links to it", path)
		}
	}
}

// TestFrenchGlossary wants a French word for each of ours.
func TestFrenchGlossary(t *testing.T) {
	column := func(path, part string, n int) map[string]bool {
		words := map[string]bool{}
		ours := part == ""
		for _, line := range readDoc(t, path).lines {
			if strings.HasPrefix(line, "## ") {
				ours = line == part
			}
			if cells := strings.Split(line, "|"); ours && len(cells) > n {
				words[strings.TrimSpace(cells[n])] = true
			}
		}
		return words
	}
	french := column(frenchWords, "", 2)
	ours := column(glossary, "## Ours", 1)
	if len(ours) < 20 {
		t.Fatalf("%d words in %s", len(ours), glossary)
	}
	for word := range ours {
		if word != "word" && word != "---" && !french[word] {
			t.Errorf("%s has no French word for %q", frenchWords, word)
		}
	}
}

var (
	inlineCode = regexp.MustCompile("`[^`]*`")
	// A colon or the like after a plain space, or a straight apostrophe.
	wrongFrench = regexp.MustCompile(` [:;?!»]|« |[\pL]'`)
)

// TestFrenchTypography wants no-break spaces and curly apostrophes in prose.
func TestFrenchTypography(t *testing.T) {
	all, err := filepath.Glob(frenchDir + "*.md")
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	for _, path := range all {
		for _, line := range readDoc(t, path).lines {
			if strings.HasPrefix(line, toEnglish) {
				continue
			}
			prose := link.ReplaceAllString(inlineCode.ReplaceAllString(line, "`"), "$1")
			if at := wrongFrench.FindStringIndex(prose); at != nil {
				t.Errorf("%s: %q in: %s", path, prose[at[0]:at[1]], prose)
			}
		}
	}
}

// pages lists README.md and its neighbours, and everything below docs.
func pages(t *testing.T) []string {
	t.Helper()
	list, err := filepath.Glob(projectDir + "*.md")
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(projectDir+"docs", func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".md") {
			list = append(list, path)
		}
		return err
	})
	if err != nil || len(list) < 10 {
		t.Fatalf("pages: %q, %v", list, err)
	}
	return list
}

var link = regexp.MustCompile(`\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)`)

// TestLinksResolve follows each link of README.md and docs that stays within
// the project, to the heading.
func TestLinksResolve(t *testing.T) {
	n := 0
	for _, path := range pages(t) {
		for _, line := range readDoc(t, path).lines {
			for _, m := range link.FindAllStringSubmatch(inlineCode.ReplaceAllString(line, "`"), -1) {
				if strings.Contains(m[2], "://") || strings.HasPrefix(m[2], "mailto:") {
					continue
				}
				n++
				file, anchor, _ := strings.Cut(m[2], "#")
				target := path
				if file != "" {
					target = filepath.Join(filepath.Dir(path), file)
				}
				if _, err := os.Stat(target); err != nil {
					t.Errorf("%s: link to %q: there is no such file", path, m[2])
					continue
				}
				if anchor != "" && !anchors(readDoc(t, target))[anchor] {
					t.Errorf("%s: link to %q: there is no such heading", path, m[2])
				}
			}
		}
	}
	if n < 50 {
		t.Errorf("only %d links were followed", n)
	}
}

// anchors are the names that GitHub gives to the headings of a page.
func anchors(d doc) map[string]bool {
	names := map[string]bool{}
	for _, line := range d.lines {
		text := strings.TrimLeft(line, "#")
		if text == line || !strings.HasPrefix(text, " ") {
			continue
		}
		names[strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, strings.TrimSpace(text))] = true
	}
	return names
}

// TestThreatModelNamesTests wants every test that a row rests on to be there.
func TestThreatModelNamesTests(t *testing.T) {
	there := map[string]bool{}
	err := filepath.WalkDir(projectDir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git"):
			return fs.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		b, err := os.ReadFile(path)
		for _, m := range testFunc.FindAllSubmatch(b, -1) {
			there[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, line := range readDoc(t, projectDir+"docs/threat-model.md").lines {
		for _, m := range testName.FindAllStringSubmatch(line, -1) {
			n++
			if !there[m[1]] {
				t.Errorf("docs/threat-model.md rests on %s, which does not exist", m[1])
			}
		}
	}
	if n < 20 {
		t.Errorf("docs/threat-model.md names only %d tests", n)
	}
}

var (
	testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	testName = regexp.MustCompile("`((?:Test|Fuzz)\\w+)`")
)

// TestCommandsOfThePages gives every command that a guide or the README shows to
// the parser, which knows commands, flags, and what must be given.
func TestCommandsOfThePages(t *testing.T) {
	n := 0
	for _, path := range pages(t) {
		if filepath.Base(path) == "cli.md" || strings.Contains(path, "docs/design/") {
			continue // made from the parser; records of their day
		}
		d := readDoc(t, path)
		for _, line := range d.fenced {
			for _, args := range commandsIn(line) {
				n++
				if unknown := unknownWord(t, args); unknown != "" {
					t.Errorf("%s: watchward %s: %q does not exist", path, strings.Join(args, " "), unknown)
				} else if _, err := newTestParser(t).Parse(args); err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s: watchward %s: %v", path, strings.Join(args, " "), err)
				}
			}
		}
		for _, line := range d.lines {
			for _, code := range inlineCode.FindAllString(line, -1) {
				for _, args := range commandsIn(strings.Trim(code, "`")) {
					n++
					if unknown := unknownWord(t, args); unknown != "" {
						t.Errorf("%s: %s: %q does not exist", path, code, unknown)
					}
				}
			}
		}
	}
	if n < 50 {
		t.Errorf("only %d commands were tried", n)
	}
}

func newTestParser(t *testing.T) *kong.Kong {
	t.Helper()
	var cli CLI
	parser, err := newParser(t.Context(), &cli, &streams{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	return parser
}

// unknownWord is for what prose says of a command: not all that it needs, but
// nothing that it has not.
func unknownWord(t *testing.T, args []string) string {
	t.Helper()
	node := newTestParser(t).Model.Node
	for _, arg := range args {
		if strings.HasPrefix(arg, "-") {
			if !hasFlag(node, arg) {
				return arg
			}
			continue
		}
		if len(node.Children) == 0 {
			continue // an argument
		}
		next := node
		for _, child := range node.Children {
			if child.Name == arg {
				next = child
			}
		}
		if next == node {
			return arg
		}
		node = next
	}
	return ""
}

func hasFlag(node *kong.Node, arg string) bool {
	name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
	for _, group := range node.AllFlags(false) {
		for _, f := range group {
			negated := f.Tag.Negatable != "" && name == "no-"+f.Name
			if f.Name == name || string(f.Short) == name || negated {
				return true
			}
		}
	}
	return false
}

var aside = regexp.MustCompile(`\s{3,}|\s#|…`)

// commandsIn finds what a line of a shell gives to watchward: the words after
// its name, up to the end of the command or an explanation beside it.
func commandsIn(line string) [][]string {
	var found [][]string
	words := shellWords(line)
	for i := 0; i+1 < len(words); i++ {
		name, next := words[i], words[i+1]
		if name != "watchward" && name != "./watchward" && name != "./cmd/watchward" || !unicode.IsLower([]rune(next)[0]) || next == "watchward" {
			continue
		}
		args := words[i+1:]
		for j, w := range args {
			if strings.ContainsAny(w[:1], "|&;>#<") || w == "2>&1" {
				args = args[:j]
				break
			}
		}
		found = append(found, args)
	}
	return found
}

// shellWords splits a line as a shell does, as far as our pages need it.
func shellWords(line string) []string {
	if at := aside.FindStringIndex(strings.TrimLeft(line, " ")); at != nil {
		line = strings.TrimLeft(line, " ")[:at[0]] + strings.Repeat("…", strings.Count(line[at[0]:at[1]], "…"))
	}
	var words []string
	var word strings.Builder
	var quote rune
	started := false
	flush := func() {
		if started {
			words = append(words, word.String())
		}
		word.Reset()
		started = false
	}
	for _, r := range line {
		switch {
		case quote != 0:
			if r == quote {
				quote = 0
			} else {
				word.WriteRune(r)
			}
		case r == '\'' || r == '"':
			quote, started = r, true
		case r == ' ':
			flush()
		case r == ';':
			flush()
			words = append(words, ";")
		default:
			word.WriteRune(r)
			started = true
		}
	}
	flush()
	return words
}

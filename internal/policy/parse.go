package policy

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Bounds of a catalogue's files.
const (
	MaxFileBytes = 256 << 10
	maxFiles     = 2000
	maxDepth     = 20
)

// Problem is what is wrong with a file of the catalogue.
type Problem struct {
	File string `json:"file"`
	Line int    `json:"line"` // from 1; 0: the file as a whole
	Text string `json:"text"`
}

func (p Problem) String() string {
	if p.Line == 0 {
		return p.File + ": " + p.Text
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text)
}

// ProblemsError is that files of a catalogue are not as they must be.
type ProblemsError []Problem

func (e ProblemsError) Error() string {
	text := e[0].String()
	if len(e) > 1 {
		text += fmt.Sprintf(" (and %d more)", len(e)-1)
	}
	return text
}

// Hint names the tool that lists all of them.
func (ProblemsError) Hint() string {
	return `"watchward rules lint DIR" lists every problem with its line`
}

// source is one file while it is read.
type sourceFile struct {
	name     string
	root     *yaml.Node
	problems []Problem
}

func (s *sourceFile) problem(line int, format string, args ...any) {
	s.problems = append(s.problems, Problem{s.name, line, fmt.Sprintf(format, args...)})
}

// at returns the line of a value below the root, by keys and indexes; of the
// deepest part that is there.
func (s *sourceFile) at(keys ...any) int {
	n := s.root
	for _, k := range keys {
		next := child(n, k)
		if next == nil {
			break
		}
		n = next
	}
	if n == nil {
		return 1
	}
	return n.Line
}

func child(n *yaml.Node, key any) *yaml.Node {
	if n == nil {
		return nil
	}
	switch k := key.(type) {
	case string:
		for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == k {
				return n.Content[i+1]
			}
		}
	case int:
		if n.Kind == yaml.SequenceNode && k < len(n.Content) {
			return n.Content[k]
		}
	}
	return nil
}

// decode reads one document of YAML into v, strictly: no unknown key, no
// alias (they can make a small file huge), no second document.
func (s *sourceFile) decode(text []byte, v any) bool {
	if len(text) > MaxFileBytes {
		s.problem(0, "%d bytes: want at most %d", len(text), MaxFileBytes)
		return false
	}
	d := yaml.NewDecoder(strings.NewReader(string(text)))
	var doc yaml.Node
	if err := d.Decode(&doc); err != nil {
		s.yamlError(err)
		return false
	}
	if err := d.Decode(new(yaml.Node)); err == nil {
		s.problem(0, "holds a second document: want one")
		return false
	}
	if !s.plain(&doc, 0) || len(doc.Content) != 1 {
		return false
	}
	s.root = doc.Content[0]
	strict := yaml.NewDecoder(strings.NewReader(string(text)))
	strict.KnownFields(true)
	if err := strict.Decode(v); err != nil {
		s.yamlError(err)
		return false
	}
	return true
}

func (s *sourceFile) plain(n *yaml.Node, depth int) bool {
	if depth > maxDepth {
		s.problem(n.Line, "nested deeper than %d", maxDepth)
		return false
	}
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		s.problem(n.Line, "uses an anchor or an alias: write it out")
		return false
	}
	for _, c := range n.Content {
		if !s.plain(c, depth+1) {
			return false
		}
	}
	return true
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?line (\d+): (.*)$`)

// yamlError turns what the YAML reader says into problems with lines.
func (s *sourceFile) yamlError(err error) {
	texts := []string{err.Error()}
	var many *yaml.TypeError
	if errors.As(err, &many) {
		texts = many.Errors
	}
	for _, text := range texts {
		text = strings.TrimSpace(text)
		if m := yamlLine.FindStringSubmatch(text); m != nil {
			line, _ := strconv.Atoi(m[1])
			s.problem(line, "%s", notFound.ReplaceAllString(m[2], `unknown key "$1"`))
		} else {
			s.problem(0, "%s", strings.TrimPrefix(text, "yaml: "))
		}
	}
}

var notFound = regexp.MustCompile(`field (\S+) not found in type \S+`)

// header is catalogue.yaml: the words that the other files may use.
type header struct {
	Released     Date         `yaml:"released"`
	Bodies       []BodyType   `yaml:"bodies"`
	Purposes     []NamedThing `yaml:"purposes"`
	Certificates []NamedThing `yaml:"certificates"`
}

// BodyType is a type of body that a rule may address.
type BodyType struct {
	ID   string   `yaml:"id" json:"id"` // "uk.central-department"
	Name Text     `yaml:"name" json:"name"`
	Is   []string `yaml:"is" json:"is,omitempty"` // wider types that it belongs to
}

// NamedThing is a word of the catalogue, with what people call it.
type NamedThing struct {
	ID   string `yaml:"id" json:"id"`
	Name Text   `yaml:"name" json:"name"`
}

const headerFile = "catalogue.yaml"

// readFiles lists the YAML files of a folder, sorted.
func readFiles(files fs.FS) (map[string][]byte, []string, error) {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return nil, nil, err
	}
	texts := make(map[string][]byte)
	var names []string
	for _, e := range entries {
		if e.IsDir() || path.Ext(e.Name()) != ".yaml" {
			continue
		}
		if len(names) == maxFiles {
			return nil, nil, fmt.Errorf("more than %d files", maxFiles)
		}
		text, err := readCapped(files, e.Name())
		if err != nil {
			return nil, nil, err
		}
		texts[e.Name()] = text
		names = append(names, e.Name())
	}
	slices.Sort(names)
	return texts, names, nil
}

func readCapped(files fs.FS, name string) ([]byte, error) {
	info, err := fs.Stat(files, name)
	if err != nil {
		return nil, err
	}
	if info.Size() > MaxFileBytes {
		return nil, ProblemsError{{name, 0, fmt.Sprintf("%d bytes: want at most %d", info.Size(), MaxFileBytes)}}
	}
	return fs.ReadFile(files, name)
}

// parseRestriction reads one instrument. Words are checked later, against the
// header.
func parseRestriction(name string, text []byte) (*Restriction, *sourceFile) {
	s := &sourceFile{name: name}
	r := &Restriction{file: name}
	if !s.decode(text, r) {
		return nil, s
	}
	for _, c := range r.Clauses {
		if c == nil {
			s.problem(s.at("clauses"), "has an empty clause")
			return nil, s
		}
		c.of = r
	}
	return r, s
}

package fingerprints

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// Files that belong to no maker.
	falseFriends = "false-friends"
	notVideo     = "other"

	prefixFile  = "prefixes.csv"
	prefixHead  = "prefix,maker,owner,mixed"
	versionFile = "version.txt"

	maxFile  = 4 << 20
	maxLine  = 16 << 10
	maxFiles = 2000
)

// LoadFS reads a folder: a file NAME.txt for each maker, prefixes.csv and
// version.txt. It returns all that is wrong, with file and line.
func LoadFS(dir fs.FS) (*Set, error) {
	s := &Set{prefixes: map[string]Prefix{}}
	version, err := readAll(dir, versionFile)
	if err != nil {
		return nil, err
	}
	s.version = strings.TrimSpace(string(version))
	if _, err := time.Parse(time.DateOnly, s.version); err != nil {
		return nil, fmt.Errorf("%s: version %q: want a date such as 2026-11-25", versionFile, s.version)
	}
	names, err := fs.Glob(dir, "*.txt")
	if err != nil {
		return nil, err
	}
	if len(names) > maxFiles {
		return nil, fmt.Errorf("read fingerprints: %d files: want at most %d", len(names), maxFiles)
	}
	var errs []error
	for _, name := range names {
		if name == versionFile {
			continue
		}
		text, err := readAll(dir, name)
		if err != nil {
			return nil, err
		}
		prints, err := Parse(strings.TrimSuffix(name, path.Ext(name)), text)
		errs = append(errs, err)
		s.prints = append(s.prints, prints...)
	}
	errs = append(errs, s.readPrefixes(dir))
	slices.SortFunc(s.prints, func(a, b Fingerprint) int { return strings.Compare(a.ID, b.ID) })
	for i := 1; i < len(s.prints); i++ {
		if s.prints[i].ID == s.prints[i-1].ID {
			errs = append(errs, fmt.Errorf("fingerprint %q stands here twice", s.prints[i].ID))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return s, nil
}

func readAll(dir fs.FS, name string) ([]byte, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open fingerprints: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", name, err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("read %q: more than %d MiB", name, maxFile>>20)
	}
	return text, nil
}

// Parse reads one file. Its name is the ID of the maker, unless a fingerprint
// has a line "maker".
//
// A line "[name]" begins a fingerprint; the lines after it are a word, white
// space, and its value to the end of the line. "#" at a line's beginning is a
// comment.
func Parse(file string, text []byte) ([]Fingerprint, error) {
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, maxLine)
	var (
		prints []Fingerprint
		errs   []error
		at     *Fingerprint
		begun  int
	)
	finish := func() {
		if at == nil {
			return
		}
		if err := at.check(); err != nil {
			errs = append(errs, fmt.Errorf("%s.txt line %d: %s: %w", file, begun, at.ID, err))
		}
		prints = append(prints, *at)
	}
	n := 0
	for lines.Scan() {
		n++
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if name, ok := strings.CutPrefix(line, "["); ok {
			finish()
			at, begun = begin(file, strings.TrimSuffix(name, "]")), n
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		if at == nil {
			errs = append(errs, fmt.Errorf("%s.txt line %d: %q stands before the first [name]", file, n, word))
			continue
		}
		if err := at.set(word, strings.TrimSpace(rest)); err != nil {
			errs = append(errs, fmt.Errorf("%s.txt line %d: %s: %w", file, n, at.ID, err))
		}
	}
	if err := lines.Err(); err != nil {
		errs = append(errs, fmt.Errorf("%s.txt line %d: %w", file, n+1, err))
	}
	finish()
	return prints, errors.Join(errs...)
}

func begin(file, name string) *Fingerprint {
	f := &Fingerprint{ID: file + "/" + name, Maker: file}
	switch file {
	case falseFriends:
		f.Maker, f.Grade, f.Family = "", F, FamilyName
	case notVideo:
		f.Maker, f.Grade, f.Family, f.Kind = "", C, FamilyOther, "other"
	}
	return f
}

func (f *Fingerprint) set(word, value string) (err error) {
	if value == "" {
		return fmt.Errorf("%q says nothing", word)
	}
	switch word {
	case "maker":
		f.Maker = value
	case "only":
		f.Only = strings.Fields(value)
	case "look":
		f.Fields = strings.Fields(value)
	case "match":
		f.Match, err = regexp.Compile(value)
	case "and":
		f.And, err = condition(f.And, value)
	case "unless":
		f.Unless, err = condition(f.Unless, value)
	case "grade":
		f.Grade = Grade(value)
	case "family":
		f.Family = value
	case "kind":
		f.Kind = value
	case "brand":
		f.Brand = value
	case "model":
		f.Model = value
	case "firmware":
		f.Firmware = value
	case "serial":
		f.Serial = value
	case "source":
		f.Source = value
	case "yes":
		f.Yes, err = example(f.Yes, value)
	case "no":
		f.No, err = example(f.No, value)
	default:
		return fmt.Errorf("word %q: want maker, only, look, match, and, unless, grade, family, kind, brand, model, firmware, serial, source, yes or no", word)
	}
	return err
}

func condition(list []Condition, value string) ([]Condition, error) {
	field, pattern, _ := strings.Cut(value, " ")
	re, err := regexp.Compile(strings.TrimSpace(pattern))
	if err != nil || pattern == "" {
		return list, fmt.Errorf("condition %q: want a field and a pattern: %w", value, err)
	}
	return append(list, Condition{field, re}), nil
}

// example reads a kind of evidence and its value, in which \n, \t, \xNN and \\
// are written as in Go.
func example(list []Example, value string) ([]Example, error) {
	kind, text, _ := strings.Cut(value, " ")
	text, err := strconv.Unquote(`"` + strings.ReplaceAll(strings.TrimSpace(text), `"`, `\"`) + `"`)
	if err != nil || text == "" {
		return list, fmt.Errorf(`example %q: want a kind of evidence and its text, with \\ for a backslash`, value)
	}
	return append(list, Example{kind, text}), nil
}

var (
	grades   = []Grade{A, B, C, Badge, F}
	families = []string{FamilyNumbering, FamilyRealm, FamilyDiscovery, FamilyCertificate, FamilyWeb, FamilyBanner, FamilyDialect, FamilyMedia, FamilySNMP, FamilyURL, FamilyOUI, FamilyAPI, FamilyName, FamilyOther}
	kinds    = []string{"", "camera", "recorder", "encoder", "intercom", "other"}
)

// check holds a fingerprint to what each needs.
func (f *Fingerprint) check() error {
	var errs []error
	want := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	want(f.Match != nil, "no match")
	want(len(f.Fields) > 0, "no look: which fields?")
	want(slices.Contains(grades, f.Grade), "grade %q: want one of %q", f.Grade, grades)
	want(slices.Contains(families, f.Family), "family %q: want one of %q", f.Family, families)
	want(slices.Contains(kinds, f.Kind), "kind %q: want one of %q", f.Kind, kinds[1:])
	want(f.Source != "", "no source")
	want(len(f.Yes) > 0, "no example that it must match")
	want(f.Grade != A || len(f.No) > 0, "grade A, and no example that it must not match")
	return errors.Join(errs...)
}

func (s *Set) readPrefixes(dir fs.FS) error {
	text, err := readAll(dir, prefixFile)
	if err != nil {
		return err
	}
	list, err := ParsePrefixes(prefixFile, text)
	for _, p := range list {
		s.prefixes[p.Bits] = p
	}
	return err
}

// ParsePrefixes reads a table of prefixes; file is its name in errors.
func ParsePrefixes(file string, text []byte) ([]Prefix, error) {
	r := csv.NewReader(bytes.NewReader(text))
	rows, err := r.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", file, err)
	}
	if len(rows) == 0 || strings.Join(rows[0], ",") != prefixHead {
		return nil, fmt.Errorf("read %q: want the columns %q", file, prefixHead)
	}
	var (
		list []Prefix
		errs []error
	)
	for i, row := range rows[1:] {
		p := Prefix{Bits: row[0], Maker: row[1], Owner: row[2], Mixed: row[3] == "yes"}
		if !prefixDigits.MatchString(p.Bits) || p.Maker == "" {
			errs = append(errs, fmt.Errorf("%s line %d: prefix %q of maker %q: want 6, 7 or 9 digits 0-9 A-F, and a maker", file, i+2, p.Bits, p.Maker))
			continue
		}
		list = append(list, p)
	}
	return list, errors.Join(errs...)
}

var prefixDigits = regexp.MustCompile(`^([0-9A-F]{6}|[0-9A-F]{7}|[0-9A-F]{9})$`)

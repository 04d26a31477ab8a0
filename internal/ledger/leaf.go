package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Leaf is one line of the record, as it lies in the tree. Its bytes are text:
// see docs/reference/ledger-format.md.
type Leaf struct {
	Seq    uint64    // its place in the tree
	Time   time.Time // when it was noted, by the recorder's clock: UTC, to the millisecond
	Kind   Kind
	Fields []Field // in the order of their keys; each key once
}

// Field is one fact of a leaf.
type Field struct {
	Key   string // a-z, 0-9 and -, at most 32
	Value string // 1 to 1024 bytes of UTF-8 without control characters
}

// Kind says what a leaf is about.
type Kind string

const (
	leafVersion = "watchward/leaf/v1"
	maxLeaf     = 8 << 10 // bytes; a bundle of 256 stays below two megabytes
	maxFields   = 32
	maxKey      = 32
	maxValue    = 1024
	timeLayout  = "2006-01-02T15:04:05.000Z"
)

var errLeaf = errors.New("not a leaf")

// stamp writes a time as leaves do.
func stamp(t time.Time) string { return t.UTC().Format(timeLayout) }

// Get returns the value of a field, "" if the leaf has none.
func (l Leaf) Get(key string) string {
	for _, f := range l.Fields {
		if f.Key == key {
			return f.Value
		}
	}
	return ""
}

// Marshal returns the leaf's one and only bytes.
func (l Leaf) Marshal() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nseq %d\ntime %s\nkind %s\n", leafVersion, l.Seq, stamp(l.Time), l.Kind)
	for _, f := range l.Fields {
		b.WriteString(f.Key)
		b.WriteByte(' ')
		b.WriteString(f.Value)
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// ParseLeaf reads a leaf. It takes exactly what [Leaf.Marshal] writes, of any
// kind: one leaf has one form.
func ParseLeaf(b []byte) (Leaf, error) {
	l, err := parseLeaf(b)
	if err != nil {
		return Leaf{}, fmt.Errorf("%w: %w", errLeaf, err)
	}
	return l, nil
}

func parseLeaf(b []byte) (l Leaf, err error) {
	if len(b) > maxLeaf {
		return l, fmt.Errorf("%d bytes: want at most %d", len(b), maxLeaf)
	}
	lines := strings.Split(string(b), "\n")
	if n := len(lines); n < 5 || lines[n-1] != "" {
		return l, errors.New("want four lines or more, each ended")
	}
	lines = lines[:len(lines)-1]
	if len(lines) > 4+maxFields {
		return l, fmt.Errorf("%d fields: want at most %d", len(lines)-4, maxFields)
	}
	head := [3]string{}
	for i, key := range []string{"seq", "time", "kind"} {
		value, ok := strings.CutPrefix(lines[i+1], key+" ")
		if !ok {
			return l, fmt.Errorf("line %d: want %s", i+2, key)
		}
		head[i] = value
	}
	if lines[0] != leafVersion {
		return l, fmt.Errorf("version %q: want %s", clip(lines[0]), leafVersion)
	}
	if l.Seq, err = readUint(head[0]); err != nil {
		return l, fmt.Errorf("seq: %w", err)
	}
	if l.Time, err = readTime(head[1]); err != nil {
		return l, err
	}
	if l.Kind = Kind(head[2]); !isWord(head[2]) {
		return l, fmt.Errorf("kind %q: want a word", clip(head[2]))
	}
	for _, line := range lines[4:] {
		key, value, _ := strings.Cut(line, " ")
		l.Fields = append(l.Fields, Field{key, value})
	}
	return l, checkFields(l.Fields)
}

// checkFields wants fields that are in order and can be written on a line each.
func checkFields(fields []Field) error {
	if len(fields) > maxFields {
		return fmt.Errorf("%d fields: want at most %d", len(fields), maxFields)
	}
	for i, f := range fields {
		if !isWord(f.Key) {
			return fmt.Errorf("field %q: want a word of a-z, 0-9 and -, at most %d", clip(f.Key), maxKey)
		}
		if i > 0 && fields[i-1].Key >= f.Key {
			return fmt.Errorf("field %q: want keys in order, each once", f.Key)
		}
		if err := checkValue(f.Value); err != nil {
			return fmt.Errorf("field %q: %w", f.Key, err)
		}
	}
	return nil
}

func checkValue(v string) error {
	switch {
	case v == "" || len(v) > maxValue:
		return fmt.Errorf("%d bytes: want 1 to %d", len(v), maxValue)
	case !utf8.ValidString(v):
		return errors.New("want UTF-8")
	case strings.ContainsFunc(v, isControl):
		return errors.New("want no control characters")
	case v[0] == ' ' || v[len(v)-1] == ' ':
		return errors.New("want no space at either end")
	}
	return nil
}

// isControl is true of what breaks lines or moves a terminal's cursor, and of
// what turns the direction of text.
func isControl(r rune) bool {
	return r < 0x20 || r >= 0x7f && r < 0xa0 || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

func isWord(s string) bool {
	if s == "" || len(s) > maxKey || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-'
	})
}

func readUint(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil || strconv.FormatUint(n, 10) != s {
		return 0, fmt.Errorf("%q: want a number", clip(s))
	}
	return n, nil
}

func readTime(s string) (time.Time, error) {
	t, err := time.Parse(timeLayout, s)
	if err != nil || stamp(t) != s {
		return t, fmt.Errorf("time %q: want one such as %s", clip(s), timeLayout)
	}
	return t.UTC(), nil
}

// clip keeps what is shown of hostile bytes short.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}

func sortFields(fields []Field) {
	slices.SortFunc(fields, func(a, b Field) int { return strings.Compare(a.Key, b.Key) })
}

package fingerprints

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Write returns fingerprints in the form that [Parse] reads.
func Write(head string, prints []Fingerprint) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# %s\n", oneLine(head))
	for _, f := range prints {
		_, name, _ := strings.Cut(f.ID, "/")
		fmt.Fprintf(&b, "\n[%s]\n", name)
		line := func(word, value string) {
			if value != "" {
				fmt.Fprintf(&b, "%s %s\n", word, oneLine(value))
			}
		}
		line("maker", f.Maker)
		line("only", strings.Join(f.Only, " "))
		line("look", strings.Join(f.Fields, " "))
		fmt.Fprintf(&b, "match %s\n", quotePattern(f.Match))
		for _, c := range f.And {
			fmt.Fprintf(&b, "and %s %s\n", c.Field, quotePattern(c.Match))
		}
		for _, c := range f.Unless {
			fmt.Fprintf(&b, "unless %s %s\n", c.Field, quotePattern(c.Match))
		}
		line("grade", string(f.Grade))
		line("family", f.Family)
		line("kind", f.Kind)
		line("brand", f.Brand)
		line("model", f.Model)
		line("firmware", f.Firmware)
		line("serial", f.Serial)
		line("source", f.Source)
		for _, e := range f.Yes {
			line("yes", e.Kind+" "+quoteExample(e.Value))
		}
		for _, e := range f.No {
			line("no", e.Kind+" "+quoteExample(e.Value))
		}
	}
	return b.Bytes()
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// quotePattern keeps white space at the ends of a pattern, which a line would
// lose. A pattern has no line breaks: see [Writable].
func quotePattern(re *regexp.Regexp) string {
	p := re.String()
	if p != strings.TrimSpace(p) {
		return "(?:" + p + ")"
	}
	return p
}

// Writable says whether a pattern can be written in a file: it is not empty and
// has no control characters but as escapes.
func Writable(pattern string) bool {
	return pattern != "" && len(pattern) < maxLine/2 && !strings.ContainsFunc(pattern, unicode.IsControl)
}

// quoteExample is the reverse of what [Parse] does to an example.
func quoteExample(value string) string {
	q := strconv.Quote(value)
	q = strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
	// White space at the ends, and several blanks, would be lost on a line.
	return strings.ReplaceAll(q, " ", `\x20`)
}

// WritePrefixes returns a table in the form that [ParsePrefixes] reads.
func WritePrefixes(list []Prefix) []byte {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b Prefix) int { return strings.Compare(a.Bits, b.Bits) })
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.Write(strings.Split(prefixHead, ",")) // a buffer takes everything
	for _, p := range list {
		mixed := "no"
		if p.Mixed {
			mixed = "yes"
		}
		_ = w.Write([]string{p.Bits, p.Maker, p.Owner, mixed})
	}
	w.Flush()
	return b.Bytes()
}

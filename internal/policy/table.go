package policy

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// table reads CSV a record at a time and goes on after one that is broken:
// encoding/csv gives up there, and would take the rest of the file with it.
type table struct {
	rest  []byte
	line  int // of the next record, from 1
	comma byte
}

// record is one row.
type record struct {
	line   int
	fields []string
	bad    string // why it cannot be read
}

func (r record) blank() bool {
	return r.bad == "" && !slices.ContainsFunc(r.fields, func(f string) bool { return strings.TrimSpace(f) != "" })
}

// Bounds of a record that a quotation mark holds together.
const (
	maxRecordLines = 50
	maxRecordBytes = 1 << 20
	maxRecordCells = 1000
)

func newTable(body []byte) *table {
	body = plainText(body)
	t := &table{rest: body, line: 1, comma: ','}
	// "sep=;" is how a spreadsheet says its separator.
	if first, rest, _ := bytes.Cut(body, []byte("\n")); len(bytes.TrimSpace(first)) == 5 && bytes.HasPrefix(bytes.ToLower(first), []byte("sep=")) {
		t.comma, t.rest, t.line = first[4], rest, 2
		return t
	}
	first, _, _ := bytes.Cut(body, []byte("\n"))
	most := 0
	for _, c := range []byte(",;\t|") {
		if n := bytes.Count(first, []byte{c}); n > most {
			t.comma, most = c, n
		}
	}
	return t
}

// plainText turns UTF-16 with a mark into UTF-8 and drops marks.
func plainText(body []byte) []byte {
	switch {
	case bytes.HasPrefix(body, []byte("\xef\xbb\xbf")):
		return body[3:]
	case bytes.HasPrefix(body, []byte("\xff\xfe")):
		return fromUTF16(body[2:], 0)
	case bytes.HasPrefix(body, []byte("\xfe\xff")):
		return fromUTF16(body[2:], 1)
	}
	return body
}

// fromUTF16 reads units whose low byte is at low.
func fromUTF16(b []byte, low int) []byte {
	out := make([]byte, 0, len(b)/2)
	for i := 0; i+1 < len(b); i += 2 {
		r := rune(b[i+low]) | rune(b[i+1-low])<<8
		if utf16.IsSurrogate(r) && i+3 < len(b) {
			if pair := utf16.DecodeRune(r, rune(b[i+2+low])|rune(b[i+3-low])<<8); pair != utf8.RuneError {
				r = pair
				i += 2
			}
		}
		out = utf8.AppendRune(out, r)
	}
	return out
}

// next returns the next record; false at the end.
func (t *table) next() (record, bool) {
	if len(t.rest) == 0 {
		return record{}, false
	}
	r := record{line: t.line}
	used, lines, why := t.parse(&r)
	if why != "" {
		// Only this line is lost: what follows may well be whole.
		r.fields, r.bad = nil, why
		used = lineEnd(t.rest)
		lines = 1
	}
	t.rest = t.rest[used:]
	t.line += lines
	return r, true
}

// lineEnd is the length of the first line, its break included.
func lineEnd(b []byte) int {
	i := bytes.IndexAny(b, "\r\n")
	switch {
	case i < 0:
		return len(b)
	case b[i] == '\r' && i+1 < len(b) && b[i+1] == '\n':
		return i + 2
	}
	return i + 1
}

// parse reads one record and says how many bytes and lines it took, or why it
// cannot be read.
func (t *table) parse(r *record) (used, lines int, why string) {
	b := t.rest
	i := 0
	for {
		if len(r.fields) == maxRecordCells {
			return 0, 0, "more than 1000 fields"
		}
		field, n, breaks, why := t.field(b[i:])
		if why != "" {
			return 0, 0, why
		}
		if lines += breaks; lines >= maxRecordLines || i+n > maxRecordBytes {
			return 0, 0, "a quotation mark that nothing closes"
		}
		r.fields = append(r.fields, field)
		i += n
		if i < len(b) && b[i] == t.comma {
			i++
			continue
		}
		return i + lineEnd(b[i:]), lines + 1, ""
	}
}

// field reads to the next separator or end of line. Its text holds line breaks
// only within quotation marks.
func (t *table) field(b []byte) (text string, used, breaks int, why string) {
	start := 0
	for start < len(b) && (b[start] == ' ' || b[start] == '\t' && t.comma != '\t') {
		start++
	}
	if start == len(b) || b[start] != '"' {
		end := 0
		for end < len(b) && b[end] != t.comma && b[end] != '\n' && b[end] != '\r' {
			end++
		}
		return checked(b[:end], end, 0)
	}
	var out []byte
	for i := start + 1; i < len(b); i++ {
		switch {
		case b[i] == '"' && i+1 < len(b) && b[i+1] == '"':
			out = append(out, '"')
			i++
		case b[i] == '"':
			i++
			for i < len(b) && (b[i] == ' ' || b[i] == '\t' && t.comma != '\t') {
				i++
			}
			if i < len(b) && b[i] != t.comma && b[i] != '\n' && b[i] != '\r' {
				if breaks > 0 { // most likely it closed nothing, and began another field
					return "", 0, 0, "a quotation mark that nothing closes"
				}
				return "", 0, 0, "text after a closing quotation mark"
			}
			return checked(out, i, breaks)
		case breaks >= maxRecordLines || len(out) > maxField:
			return "", 0, 0, "a quotation mark that nothing closes"
		default:
			if b[i] == '\n' {
				breaks++
			}
			out = append(out, b[i])
		}
	}
	return "", 0, 0, "a quotation mark that nothing closes"
}

// checked turns a field into text: UTF-8, else Windows-1252, which old
// spreadsheets write. It decides field by field, for lists put together from
// several programs mix them.
func checked(b []byte, used, breaks int) (string, int, int, string) {
	switch {
	case len(b) > maxField:
		return "", 0, 0, "a field of more than 4 KiB"
	case bytes.IndexByte(b, 0) >= 0:
		return "", 0, 0, "has a zero byte in it"
	case utf8.Valid(b):
		return string(b), used, breaks, ""
	}
	var out strings.Builder
	for _, c := range b {
		if c >= 0x80 && c < 0xa0 {
			out.WriteRune(windows1252[c-0x80])
		} else {
			out.WriteRune(rune(c))
		}
	}
	return out.String(), used, breaks, ""
}

// windows1252 is where that encoding is not Latin-1: 0x80 to 0x9f.
var windows1252 = [32]rune{
	'€', '\ufffd', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\ufffd', 'Ž', '\ufffd',
	'\ufffd', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\ufffd', 'ž', 'Ÿ',
}

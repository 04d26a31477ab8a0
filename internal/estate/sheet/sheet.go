// Package sheet reads tables as spreadsheets and old programs write them, and
// writes tables that a spreadsheet cannot be hurt by.
//
// Begin with [Read]. It takes UTF-8 with or without a mark, UTF-16 with one,
// and Windows-1252 (of which Latin-1 is nearly a part); commas, semicolons and
// tabs; line ends of every system. What it cannot read it names by line, and
// goes on with the next.
package sheet

import (
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"io"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Row is one row of a table, as it stands in the file.
type Row struct {
	Line   int      // of the file, from 1
	Fields []string // trimmed
	// Err says why the row could not be read: [ErrQuotes], or that it is too
	// long.
	Err error
}

// ErrQuotes means that quotation marks do not match: what follows up to the
// next mark belongs to nobody.
var ErrQuotes = errors.New("quotation marks do not match")

// Read returns the rows of a table, empty ones left out, at most most of them;
// more says that there were more.
func Read(body []byte, most int) (rows []Row, more bool) {
	text := Text(body)
	cr := csv.NewReader(bytes.NewReader(text))
	cr.Comma = Separator(text)
	cr.FieldsPerRecord = -1
	cr.TrimLeadingSpace = true
	for {
		record, err := cr.Read()
		if errors.Is(err, io.EOF) {
			return rows, false
		}
		if len(rows) == most {
			return rows, true
		}
		var parse *csv.ParseError
		if errors.As(err, &parse) {
			rows = append(rows, Row{Line: parse.StartLine, Err: ErrQuotes})
			continue
		}
		if err != nil {
			return append(rows, Row{Line: len(rows) + 1, Err: err}), false
		}
		line, _ := cr.FieldPos(0)
		if r := (Row{Line: line, Fields: record}); r.trim() {
			rows = append(rows, r)
		}
	}
}

// trim trims the fields and says whether there is anything in them.
func (r Row) trim() bool {
	some := false
	for i := range r.Fields {
		r.Fields[i] = strings.TrimSpace(r.Fields[i])
		some = some || r.Fields[i] != ""
	}
	return some
}

// Text returns a file as UTF-8 with plain line ends and without a mark.
func Text(body []byte) []byte {
	switch {
	case bytes.HasPrefix(body, []byte{0xff, 0xfe}):
		body = fromUTF16(body[2:], binary.LittleEndian)
	case bytes.HasPrefix(body, []byte{0xfe, 0xff}):
		body = fromUTF16(body[2:], binary.BigEndian)
	default:
		body = bytes.TrimPrefix(body, []byte("\ufeff"))
		if !utf8.Valid(body) {
			body = fromWindows1252(body)
		}
	}
	body = bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n"))
	return bytes.ReplaceAll(body, []byte("\r"), []byte("\n"))
}

func fromUTF16(body []byte, order binary.ByteOrder) []byte {
	units := make([]uint16, len(body)/2) // half a unit at the end is nothing
	for i := range units {
		units[i] = order.Uint16(body[2*i:])
	}
	return []byte(string(utf16.Decode(units)))
}

// windows1252 is what that code page has where Latin-1 has control characters;
// its holes stay those.
var windows1252 = [32]rune{
	'€', 0x81, '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', 0x8d, 'Ž', 0x8f,
	0x90, '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', 0x9d, 'ž', 'Ÿ',
}

func fromWindows1252(body []byte) []byte {
	out := make([]byte, 0, len(body)+len(body)/8)
	for _, c := range body {
		r := rune(c)
		if c >= 0x80 && c < 0xa0 {
			r = windows1252[c-0x80]
		}
		out = utf8.AppendRune(out, r)
	}
	return out
}

// Separator is whichever of comma, semicolon and tab the first line that is
// not empty has most of: spreadsheets in much of Europe write semicolons.
func Separator(text []byte) rune {
	first, _, _ := bytes.Cut(bytes.TrimLeft(text, "\n"), []byte("\n"))
	best, most := ',', 0
	for _, r := range ",;\t" {
		if n := bytes.Count(first, []byte(string(r))); n > most {
			best, most = r, n
		}
	}
	return best
}

// Key is a column's name without what people write differently: capitals,
// accents, dashes, blanks.
func Key(name string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(strings.TrimSpace(name)) {
		switch {
		case strings.ContainsRune("éèêë", r):
			b.WriteByte('e')
		case strings.ContainsRune("àâ", r):
			b.WriteByte('a')
		case r == 'ô':
			b.WriteByte('o')
		case r == 'ç':
			b.WriteByte('c')
		case r == 'û' || r == 'ù':
			b.WriteByte('u')
		case r == 'î' || r == 'ï':
			b.WriteByte('i')
		case strings.ContainsRune(" -./\u00a0", r):
			b.WriteByte('_')
		case strings.ContainsRune("'’()°:", r):
		default:
			b.WriteRune(r)
		}
	}
	return strings.Trim(b.String(), "_")
}

// dangerous begin what a spreadsheet takes for a formula.
const dangerous = "=+-@\t\r"

// Harmless writes a cell so that a spreadsheet shows it and never runs it: an
// apostrophe stands before what would be a formula.
func Harmless(cell string) string {
	if cell != "" && strings.ContainsRune(dangerous, rune(cell[0])) {
		return "'" + cell
	}
	return cell
}

// Plain takes away what [Harmless] put before a cell.
func Plain(cell string) string {
	if len(cell) > 1 && cell[0] == '\'' && strings.ContainsRune(dangerous, rune(cell[1])) {
		return cell[1:]
	}
	return cell
}

package sheet

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

var tables = []struct {
	name, file string
	want       string // "line: a|b" for each row
}{
	{"commas", "a,b\n1,2\n", "1: a|b; 2: 1|2"},
	{"semicolons, mark, CRLF", "\ufeffa;b\r\n1;\"2,3\"\r\n", "1: a|b; 2: 1|2,3"},
	{"tabs", "a\tb\n1\t2", "1: a|b; 2: 1|2"},
	{"old Macintosh", "a,b\r1,2\r", "1: a|b; 2: 1|2"},
	{"empty rows are left out", "a,b\n\n , \n1,2\n", "1: a|b; 4: 1|2"},
	{"a row over two lines", "a,b\n\"x\ny\",2\n3,4\n", "1: a|b; 2: x\ny|2; 4: 3|4"},
	{"UTF-16, little end first", "\xff\xfea\x00,\x00\xe9\x00\n\x00", "1: a|é"},
	{"UTF-16, big end first", "\xfe\xff\x00a\x00,\x00\xe9\x00\n", "1: a|é"},
	{"UTF-16 cut short", "\xff\xfea\x00,\x00b", "1: a|"},
	{"Windows-1252", "caf\xe9,\x80 5 \x96 \x9cuvre\n", "1: café|€ 5 – œuvre"},
	{"quotes that do not match, then a good row", "a,b\nx\"y,2\n3,4\n", "1: a|b; 2: ! quotation marks do not match; 3: 3|4"},
	{"quote that never ends", "a,b\n\"x,2\n3,4\n", "1: a|b; 2: ! quotation marks do not match"},
	{"nothing", "", ""},
}

func TestRead(t *testing.T) {
	for _, tt := range tables {
		rows, more := Read([]byte(tt.file), 100)
		var got []string
		for _, r := range rows {
			text := strings.Join(r.Fields, "|")
			if r.Err != nil {
				text = "! " + r.Err.Error()
			}
			got = append(got, fmt.Sprintf("%d: %s", r.Line, text))
		}
		if strings.Join(got, "; ") != tt.want || more {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	if rows, more := Read([]byte("a\nb\nc\n"), 2); len(rows) != 2 || !more {
		t.Errorf("of three rows at most two: %d, more %t", len(rows), more)
	}
}

func TestKey(t *testing.T) {
	for name, want := range map[string]string{
		"Numéro de série": "numero_de_serie", " MAC-Address ": "mac_address", "Type d’organisme": "type_dorganisme", "N° de série": "n_de_serie", "IP Address": "ip_address", "Modèle": "modele",
	} {
		if got := Key(name); got != want {
			t.Errorf("Key(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestHarmless(t *testing.T) {
	for cell, want := range map[string]string{
		"=1+1": "'=1+1", "+44": "'+44", "-x": "'-x", "@SUM(A1)": "'@SUM(A1)", "plain": "plain", "": "", "'quoted": "'quoted", "a=b": "a=b",
	} {
		got := Harmless(cell)
		if got != want || Plain(got) != cell {
			t.Errorf("Harmless(%q) = %q, back %q", cell, got, Plain(got))
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, tt := range tables {
		f.Add([]byte(tt.file))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		rows, _ := Read(body, 50)
		last := 0
		for _, r := range rows {
			if r.Line < 1 || r.Err == nil && r.Line <= last {
				t.Errorf("line %d after %d", r.Line, last)
			}
			last = r.Line
			for _, cell := range r.Fields {
				if !utf8.ValidString(cell) {
					t.Errorf("cell %q", cell)
				}
			}
		}
	})
}

package estate

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestImportCSV(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		want       []string // "site/name user:password main sub", in order of the file
	}{
		{"fixed order", "Gate,Harbour,rtsp://10.0.0.1/a,rtsp://10.0.0.1/b,u,p,yes\n", []string{"Harbour/Gate u:p rtsp://10.0.0.1/a rtsp://10.0.0.1/b true"}},
		{"header in another order", "url,name\nrtsp://10.0.0.1/a,Gate\n", []string{"Home/Gate : rtsp://10.0.0.1/a  false"}},
		{"semicolons, mark, CRLF", "\ufeffname;site;url\r\nPortail;Port;rtsp://10.0.0.1/a\r\n\r\n", []string{"Port/Portail : rtsp://10.0.0.1/a  false"}},
		{"French header", "nom;adresse;utilisateur;mot de passe\nPortail;rtsp://10.0.0.1/a;u;p\n", []string{"Home/Portail u:p rtsp://10.0.0.1/a  false"}},
		{"tabs", "name\turl\nGate\trtsp://10.0.0.1/a\n", []string{"Home/Gate : rtsp://10.0.0.1/a  false"}},
		{"quotes", "name,site,url\n\"Gate, north\",\"The \"\"Yard\"\"\",rtsp://10.0.0.1/a\n", []string{"The \"Yard\"/Gate, north : rtsp://10.0.0.1/a  false"}},
		{"login in the address", "Gate,Home,rtsp://u:p@10.0.0.1/a\n", []string{"Home/Gate u:p rtsp://10.0.0.1/a  false"}},
		{"Latin-1", "name,url\nEntr\xe9e,rtsp://10.0.0.1/a\n", []string{"Home/Entrée : rtsp://10.0.0.1/a  false"}},
		{"old Macintosh line ends", "name,url\rGate,rtsp://10.0.0.1/a\r", []string{"Home/Gate : rtsp://10.0.0.1/a  false"}},
		{"camera called Camera", "Camera,Home,rtsp://10.0.0.1/a\n", []string{"Home/Camera : rtsp://10.0.0.1/a  false"}},
	} {
		e := openEstate(t)
		if _, err := e.AddSite(t.Context(), "Home"); err != nil {
			t.Fatal(err)
		}
		report, err := e.ImportCSV(t.Context(), strings.NewReader(tt.file))
		if err != nil || len(report.Errors) > 0 {
			t.Errorf("%s: %v %v", tt.name, err, report.Errors)
			continue
		}
		names := map[string]string{}
		sites, _ := e.Sites(t.Context())
		for _, s := range sites {
			names[s.ID] = s.Name
		}
		var got []string
		for _, c := range report.Added {
			main, _ := c.Stream("main")
			sub, _ := c.Stream("sub")
			got = append(got, fmt.Sprintf("%s/%s %s:%s %s %s %t", names[c.Site], c.Name, c.Username, c.Password.Reveal(), main.URL, sub.URL, c.RecordAudio))
		}
		if strings.Join(got, "\n") != strings.Join(tt.want, "\n") {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestImportCSVIsAllOrNothing(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		errors     []string // "line field code"
	}{
		{
			"three lines wrong", "name,url,audio\nGood,rtsp://10.0.0.1/a,\n,rtsp://10.0.0.2/a,\nBad,http://10.0.0.3/,\nOdd,rtsp://10.0.0.4/,perhaps\n",
			[]string{"3 name missing", "4 url scheme", "5 audio truth"},
		},
		{"same address twice in the file", "A,Home,rtsp://10.0.0.1/a\nB,Home,rtsp://10.0.0.1/a\n", []string{"2 url duplicate"}},
		{"quote that never ends", "name,url\n\"Gate,rtsp://10.0.0.1/a\n", []string{"2 file quotes"}},
		{"unknown column", "name,url,colour\nA,rtsp://10.0.0.1/a,red\n", []string{"1 file column"}},
		{"column twice", "name,url,url\nA,rtsp://10.0.0.1/a,x\n", []string{"1 file column-twice"}},
		{"no address column", "name,site\nA,B\n", []string{"1 file column-missing"}},
		{"too many fields", "A,Home,rtsp://10.0.0.1/a,,,,,extra\n", []string{"1 file columns"}},
		{"nothing", "", []string{"1 file missing"}},
		{"header only", "name,url\n", []string{"1 file missing"}},
		{"too many lines", "name,url\n" + strings.Repeat("A,rtsp://10.0.0.1/a\n", 0) + strings.Repeat("x,http://h/\n", MaxCSVLines+1), nil},
	} {
		e := openEstate(t)
		if _, err := e.AddSite(t.Context(), "Home"); err != nil {
			t.Fatal(err)
		}
		report, err := e.ImportCSV(t.Context(), strings.NewReader(tt.file))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if len(report.Added) > 0 || len(report.Errors) == 0 {
			t.Errorf("%s: added %d, errors %v", tt.name, len(report.Added), report.Errors)
		}
		if all, _ := e.Cameras(t.Context()); len(all) > 0 {
			t.Errorf("%s: left %d cameras behind", tt.name, len(all))
		}
		if sites, _ := e.Sites(t.Context()); len(sites) != 1 {
			t.Errorf("%s: left %d sites behind", tt.name, len(sites)-1)
		}
		var got []string
		for _, l := range report.Errors {
			var inv *Invalid
			if errors.As(l.Err, &inv) {
				got = append(got, fmt.Sprintf("%d %s %s", l.Line, inv.Field, inv.Code))
			}
		}
		if tt.errors != nil && strings.Join(got, "\n") != strings.Join(tt.errors, "\n") {
			t.Errorf("%s: errors %q, want %q", tt.name, got, tt.errors)
		}
	}
}

func TestImportCSVSizeIsCapped(t *testing.T) {
	e := openEstate(t)
	report, err := e.ImportCSV(t.Context(), strings.NewReader(strings.Repeat("x", MaxCSVBytes+1)))
	if err != nil || len(report.Errors) != 1 {
		t.Errorf("%v, %v", report.Errors, err)
	}
}

func FuzzReadCSV(f *testing.F) {
	f.Add([]byte("name;url\nGate;rtsp://h/\n"))
	f.Add([]byte("\ufeff\"a\"\"b\",c\r\n"))
	f.Add([]byte("A,Home,rtsp://h/,,,,yes"))
	f.Fuzz(func(t *testing.T, body []byte) {
		lines, _, err := readCSV(strings.NewReader(string(body)))
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range lines {
			if l.line < 1 || len(l.fields) == 0 {
				t.Errorf("line %d with %d fields", l.line, len(l.fields))
			}
		}
	})
}

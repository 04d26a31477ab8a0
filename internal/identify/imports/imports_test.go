package imports

import (
	"strings"
	"testing"

	"github.com/watchward/watchward/internal/identify/fingerprints"
	"github.com/watchward/watchward/internal/identify/makers"
)

const recog = `<?xml version="1.0"?>
<fingerprints matches="http_header.server" protocol="http">
  <fingerprint pattern="^Acme Cam (\d+)$" flags="REG_ICASE">
    <description>A camera</description>
    <example>acme cam 12</example>
    <param pos="0" name="hw.vendor" value="Axis"/>
    <param pos="0" name="hw.device" value="IP Camera"/>
  </fingerprint>
  <fingerprint pattern="^Acme Print$">
    <description>A printer</description>
    <example>Acme Print</example>
    <param pos="0" name="hw.vendor" value="Canon"/>
    <param pos="0" name="hw.device" value="Printer"/>
  </fingerprint>
  <fingerprint pattern="^(?=x)x$">
    <description>Another language</description>
    <example>x</example>
    <param pos="0" name="hw.vendor" value="Axis"/>
    <param pos="0" name="hw.device" value="IP Camera"/>
  </fingerprint>
  <fingerprint pattern="^Nobody$">
    <description>Nobody's</description>
    <example>Nobody</example>
    <param pos="0" name="hw.vendor" value="Nobody at all"/>
    <param pos="0" name="hw.device" value="IP Camera"/>
  </fingerprint>
</fingerprints>`

func base(t testing.TB) (*fingerprints.Set, *makers.Graph) {
	t.Helper()
	set, err := fingerprints.Load()
	if err != nil {
		t.Fatal(err)
	}
	graph, err := makers.Load()
	if err != nil {
		t.Fatal(err)
	}
	return set, graph
}

func TestRead(t *testing.T) {
	set, graph := base(t)
	for _, tt := range []struct {
		name, file, text         string
		prints, prefixes, others int
		skipped, err             string
	}{
		{"the IEEE's text", "oui.txt", "OUI/MA-L\n\nAA-BB-CC   (hex)\t\tHANGZHOU HIKVISION DIGITAL TECHNOLOGY CO., LTD.\nAABBCC     (base 16)\t\tx\nAA-BB-CD   (hex)\t\tNobody Ltd\nAABBCD     (base 16)\n", 0, 1, 1, "", ""},
		{"the IEEE's table", "oui.csv", "Registry,Assignment,Organization Name,Organization Address\nMA-L,AABBCC,Vivotek Inc,x\nMA-S,AABBCCDDE,\"Vivotek, Inc.\",x\nMA-L,xyz,Vivotek,x\n", 0, 2, 0, `assignment "xyz"`, ""},
		{"recog", "http_servers.xml", recog, 2, 0, 1, "another language", ""},
		{"recog of what is never seen here", "x.xml", `<fingerprints matches="mysql.error"></fingerprints>`, 0, 0, 0, "", "nothing here is seen"},
		{"recog cut short", "x.xml", recog[:300], 0, 0, 0, "", "read recog's XML"},
		{"entities that grow", "x.xml", `<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><fingerprints matches="ftp.banner"><fingerprint pattern="&b;"/></fingerprints>`, 0, 0, 0, "", "read recog's XML"},
		{"something else", "x.bin", "hello", 0, 0, 0, "", "want the IEEE's"},
		{"nothing", "x", "", 0, 0, 0, "", "want the IEEE's"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := Read(tt.file, []byte(tt.text), set, graph)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("Read says %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Prints) != tt.prints || len(r.Prefixes) != tt.prefixes || r.Foreign != tt.others || !strings.Contains(strings.Join(r.Skipped, "\n"), tt.skipped) {
				t.Errorf("Read = %+v", r)
			}
			for _, p := range r.Prints {
				if p.Grade == fingerprints.A || p.Grade == fingerprints.B {
					t.Errorf("%s came with grade %s: what is imported hints", p.ID, p.Grade)
				}
			}
		})
	}
}

// TestWhatIsImportedCanBeReadBack goes through the file that keeps it.
func TestWhatIsImportedCanBeReadBack(t *testing.T) {
	set, graph := base(t)
	r, err := Read("http_servers.xml", []byte(recog), set, graph)
	if err != nil {
		t.Fatal(err)
	}
	again, err := fingerprints.Parse("recog-http_servers", fingerprints.Write("a test", r.Prints))
	if err != nil {
		t.Fatal(err)
	}
	if len(again) != len(r.Prints) || again[0].Maker != "axis" || again[0].Match.String() != r.Prints[0].Match.String() || again[0].Yes[0] != r.Prints[0].Yes[0] || again[1].Kind != "other" {
		t.Errorf("read back %+v, was %+v", again, r.Prints)
	}
}

func FuzzRead(f *testing.F) {
	set, graph := base(f)
	f.Add("oui.txt", []byte("AA-BB-CC   (hex)\t\tAxis Communications AB\nAABBCC     (base 16)\n"))
	f.Add("oui.csv", []byte("Registry,Assignment,Organization Name,Organization Address\nMA-L,AABBCC,Vivotek Inc,x\n"))
	f.Add("http_servers.xml", []byte(recog))
	f.Fuzz(func(t *testing.T, name string, text []byte) {
		r, err := Read(name, text, set, graph)
		if err != nil || len(r.Prints) == 0 {
			return
		}
		file, _, _ := strings.Cut(r.Prints[0].ID, "/")
		if _, err := fingerprints.Parse(file, fingerprints.Write(name, r.Prints)); err != nil {
			t.Fatalf("what was imported cannot be read back: %v", err)
		}
	})
}

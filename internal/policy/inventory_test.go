package policy

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/watchward/watchward/internal/estate"
)

// read returns the rows and what is wrong with others.
func read(t testing.TB, c *Catalogue, o InventoryOptions, text string) ([]InventoryRow, []string, error) {
	t.Helper()
	if o.On.IsZero() {
		o.On = on(2026, 11, 25)
	}
	var rows []InventoryRow
	var bad []string
	err := c.ReadInventory(strings.NewReader(text), o, func(r InventoryRow) { rows = append(rows, r) }, func(e RowError) { bad = append(bad, e.Error()) })
	return rows, bad, err
}

func utf16le(s string) string {
	b := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return string(b)
}

func TestReadInventoryFindsMakers(t *testing.T) {
	c := loaded(t)
	for _, tt := range []struct {
		name, text, maker string
		basis             Basis
		confidence        estate.Confidence
	}{
		{"a maker's own brand", "brand\nHikvision\n", "hikvision", BasisStated, estate.Identified},
		{"however written", "Manufacturer\nHIKVISION\n", "hikvision", BasisStated, estate.Identified},
		{"a maker with its confidence", "brand,maker,confidence\nTRENDnet,hikvision,very-likely\n", "hikvision", BasisColumn, estate.VeryLikely},
		{"a maker by its legal name", "maker\nHangzhou Hikvision Digital Technology\n", "hikvision", BasisStated, estate.Identified},
		{"a badge of several makers", "brand\nLorex\n", "dahua", BasisBadge, estate.Hint},
		{"the same as a hint", "brand,confidence\nLorex,hint\n", "dahua", BasisBadge, estate.Hint},
		{"sure of a maker that it does not name", "brand,confidence\nLorex,identified\n", "dahua", BasisBadge, estate.Hint},
		{"nobody describes it", "brand\nNonesuch\n", "", BasisNotKnown, estate.Unknown},
		{"identification found nothing", "brand,confidence\nHikvision,unknown\n", "", BasisNotKnown, estate.Unknown},
		{"an empty cell is no confidence", "brand,confidence\nHikvision,\n", "hikvision", BasisStated, estate.Identified},
		{"French columns, semicolons", "Nom;Marque;Modèle;Confiance\nporte;Dahua;IPC;identifié\n", "dahua", BasisColumn, estate.Identified},
		{"UTF-16 of a spreadsheet", utf16le("brand\tmodel\r\nAxis\tP32\r\n"), "axis", BasisStated, estate.Identified},
		{"a byte order mark", "\ufeffbrand\nAxis\n", "axis", BasisStated, estate.Identified},
		{"lines that end as on an old Mac", "brand\rAxis\r", "axis", BasisStated, estate.Identified},
		{"the separator said first", "sep=;\nbrand;name\nAxis;gate\n", "axis", BasisStated, estate.Identified},
	} {
		rows, bad, err := read(t, c, InventoryOptions{}, tt.text)
		if err != nil || len(bad) > 0 || len(rows) != 1 {
			t.Errorf("%s: %d rows, bad %q, error %v", tt.name, len(rows), bad, err)
			continue
		}
		got := rows[0]
		if got.Case.Maker != tt.maker || got.Basis != tt.basis || got.Case.Confidence != tt.confidence {
			t.Errorf("%s: maker %q, basis %q, confidence %q; want %q, %q, %q", tt.name, got.Case.Maker, got.Basis, got.Case.Confidence, tt.maker, tt.basis, tt.confidence)
		}
	}
}

// TestReadInventoryInFrench: a column that is passed over changes an answer.
func TestReadInventoryInFrench(t *testing.T) {
	for _, deployed := range []string{"installé", "installé le", "posé", "mise en service"} {
		rows, bad, err := read(t, loaded(t), InventoryOptions{},
			"nom;marque;fait par;confiance;genre;lieu;classe;type d’organisme;réseau;finalités;état;"+deployed+"\n"+
				"Portail;TRENDnet;Hikvision;identifié;enregistreur;Mairie;sensible;uk.nhs;isolé;public-safety;adopté;2021-03-04\n")
		if err != nil || len(bad) > 0 || len(rows) != 1 {
			t.Fatalf("%s: %d rows, bad %q, error %v", deployed, len(rows), bad, err)
		}
		c := rows[0].Case
		if rows[0].Name != "Portail" || rows[0].Site != "Mairie" || c.Maker != "hikvision" || c.Confidence != estate.Identified || c.Kind != estate.KindRecorder ||
			c.SiteClass != SiteSensitive || c.Body != "uk.nhs" || c.Network != NetworkIsolated || len(c.Purposes) != 1 || !c.Deployed.Equal(on(2021, 3, 4)) {
			t.Errorf("%s: %+v", deployed, rows[0])
		}
	}
}

func TestReadInventoryFillsTheCase(t *testing.T) {
	rows, bad, err := read(t, loaded(t), InventoryOptions{Body: "uk.nhs", SiteClass: SiteOrdinary, Network: NetworkCore},
		"name,brand,site,network,purpose,deployed,kind,body\n"+
			"a,Axis,sensitive,isolated,public-safety; national-security,2021-03-04,NVR,uk.police\n"+
			"b,Axis,Town hall,,,,,\n"+
			"c,Axis,,,none,,fixed dome,\n")
	if err != nil || len(bad) > 0 || len(rows) != 3 {
		t.Fatalf("%d rows, bad %q, error %v", len(rows), bad, err)
	}
	a, b, cc := rows[0].Case, rows[1].Case, rows[2].Case
	if a.SiteClass != SiteSensitive || a.Network != NetworkIsolated || len(a.Purposes) != 2 || !a.Deployed.Equal(on(2021, 3, 4)) || a.Kind != estate.KindRecorder || a.Body != "uk.police" {
		t.Errorf("what the row says: %+v", a)
	}
	if rows[1].Site != "Town hall" || b.SiteClass != SiteOrdinary || b.Network != NetworkCore || b.Purposes != nil || b.Body != "uk.nhs" || b.Kind != estate.KindUnknown {
		t.Errorf("what the options say: %+v", b)
	}
	if cc.Purposes == nil || len(cc.Purposes) > 0 || cc.Kind != estate.KindCamera {
		t.Errorf("no purpose is not an unknown one: %+v", cc)
	}
}

func TestReadInventoryReadsOurOwnExport(t *testing.T) {
	rows, bad, err := read(t, loaded(t), InventoryOptions{},
		"id,organisation,body,site,site_class,name,kind,state,addresses,macs,hostname,serial,brand,maker,model,confidence,network,purpose,deployed\n"+
			"d1,Home Office,uk.central-department,HQ,sensitive,'=gate,camera,adopted,192.0.2.1 192.0.2.2,00:40:8c:00:00:01,,S1,TRENDnet,hikvision,TV,identified,core,,2023-01-02\n"+
			"d2,Home Office,uk.central-department,HQ,sensitive,old,camera,removed,,,,,,hikvision,,identified,core,,\n")
	if err != nil || len(bad) > 0 || len(rows) != 1 {
		t.Fatalf("%d rows, bad %q, error %v", len(rows), bad, err)
	}
	r := rows[0]
	if r.Name != "=gate" || r.Site != "HQ" || r.Case.Body != "uk.central-department" || r.Case.SiteClass != SiteSensitive || r.Case.Maker != "hikvision" || r.MAC == "" {
		t.Errorf("read as %+v", r)
	}
}

func TestReadInventoryNamesBadRowsAndKeepsTheGood(t *testing.T) {
	text := "name,brand,confidence,deployed\n" + // 1
		"a,Axis,identified,\n" + // 2
		"b,Axis,certain,\n" + // 3
		"c,\"Axis,identified,\n" + // 4: the quotation mark is never closed
		"d,Axis,,03/04/2021\n" + // 5: the third or the fourth month?
		"e,Axis,,,,more\n" + // 6
		"\n" + // 7
		"f,\"Ax\nis\",,\n" + // 8 and 9
		"caf\xe9,Axis,,\n" + // 10: Windows-1252 in between
		"g\x00,Axis,,\n" + // 11
		"h,\"Axis\"x,,\n" + // 12
		"café,Axis,,\n" // 13
	rows, bad, err := read(t, loaded(t), InventoryOptions{}, text)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, r := range rows {
		lines = append(lines, fmt.Sprintf("%d:%s", r.Line, r.Name))
	}
	if got, want := strings.Join(lines, " "), "2:a 8:f 10:café 13:café"; got != want {
		t.Errorf("kept %q, want %q", got, want)
	}
	want := []string{
		`line 3, column "confidence": "certain": want identified, very-likely, hint or unknown`,
		`line 4: a quotation mark`,
		`line 5, column "deployed": "03/04/2021": want a date`,
		`line 6: 6 fields, but the first row names 4 columns`,
		`line 11: has a zero byte`,
		`line 12: text after a closing quotation mark`,
	}
	for i, w := range want {
		if i >= len(bad) || !strings.HasPrefix(bad[i], w) {
			t.Errorf("bad rows:\n%s\nwant one that begins %q", strings.Join(bad, "\n"), w)
		}
	}
	if len(bad) != len(want) {
		t.Errorf("%d bad rows, want %d: %q", len(bad), len(want), bad)
	}
}

func TestReadInventoryRefusesWhatNamesNoMaker(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":               "",
		"wrong columns":         "colour,size\nred,4\n",
		"the same column twice": "brand,manufacturer\nAxis,Axis\n",
		"no header":             "gate,10.0.0.1\n",
	} {
		rows, _, err := read(t, loaded(t), InventoryOptions{}, text)
		var head HeaderError
		if !errors.As(err, &head) || len(rows) > 0 {
			t.Errorf("%s: %d rows, error %v; want a HeaderError and none", name, len(rows), err)
		}
	}
}

func TestReadInventoryOfManyRows(t *testing.T) {
	var text strings.Builder
	text.WriteString("name,brand\n")
	for i := range 100_000 {
		fmt.Fprintf(&text, "camera %d,Hikvision\n", i)
	}
	c := loaded(t)
	cache := c.NewCache()
	must := 0
	start := time.Now()
	err := c.ReadInventory(strings.NewReader(text.String()), InventoryOptions{Body: "uk.central-department", SiteClass: SiteSensitive, On: on(2026, 11, 25)},
		func(r InventoryRow) { must += len(Broken(cache.Judge(r.Case), Must)) }, func(e RowError) { t.Error(e) })
	if err != nil || must != 100_000 || cache.Len() != 1 {
		t.Errorf("%d broken musts of %d distinct cases in %v, error %v", must, cache.Len(), time.Since(start), err)
	}
}

func TestCacheAnswersAsTheCatalogue(t *testing.T) {
	c := loaded(t)
	cache := c.NewCache()
	for _, m := range []string{"hikvision", "axis", "", "tp-link"} {
		for _, d := range []time.Time{{}, on(2019, 1, 1), on(2022, 11, 23), on(2022, 11, 24), on(2026, 1, 1), on(2030, 1, 1)} {
			for _, p := range [][]string{nil, {}, {"public-safety"}} {
				cs := of(m, purposes(p...))
				cs.Purposes, cs.Deployed = p, d
				want, got := fmt.Sprint(c.Judge(cs)), fmt.Sprint(cache.Judge(cs))
				if got != want || fmt.Sprint(cache.Judge(cs)) != want {
					t.Errorf("maker %q, deployed %s, purposes %q:\ncache     %s\ncatalogue %s", m, d, p, got, want)
				}
			}
		}
	}
}

func FuzzReadInventory(f *testing.F) {
	c := loaded(f)
	for _, text := range []string{
		"brand\nHikvision\n", "name;marque\na;\"b\n", utf16le("brand\nAxis\n"), "sep=;\nbrand;x\n", "brand,maker,confidence,kind,site,site_class,body,network,purposes,certificates,deployed\n,,,,,,,,,,\n",
		"brand\n\"\"\"\n", "\xfe\xff\x00", "brand\r\n\"a\r\nb\"\r\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		last := 0
		_ = c.ReadInventory(bytes.NewReader(text), InventoryOptions{On: on(2026, 1, 1)}, func(r InventoryRow) {
			if r.Line <= last {
				t.Fatalf("line %d after %d", r.Line, last)
			}
			last = r.Line
			if r.Case.Maker != "" && r.Case.Confidence == "" {
				t.Fatalf("maker %q without a confidence", r.Case.Maker)
			}
		}, func(e RowError) {
			if e.Line <= last {
				t.Fatalf("line %d after %d", e.Line, last)
			}
			last = e.Line
		})
	})
}

func FuzzRestriction(f *testing.F) {
	for _, r := range loaded(f).Restrictions() {
		text, err := embedded.ReadFile("restrictions/" + r.File())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("a: &a [*a, *a]"))
	f.Add([]byte("clauses: [null]"))
	l, err := newLanguage()
	if err != nil {
		f.Fatal(err)
	}
	w := loaded(f).words
	f.Fuzz(func(t *testing.T, text []byte) {
		r, s := parseRestriction("x.yaml", text)
		if r == nil {
			if len(s.problems) == 0 {
				t.Fatal("refused without saying why")
			}
			return
		}
		r.check(s, w, l)
	})
}

package makers

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func day(s string) time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return t
}

func load(t *testing.T) *Graph {
	t.Helper()
	g, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestRelations(t *testing.T) {
	g := load(t)
	for _, tt := range []struct {
		name, brand string
		on          time.Time
		want        string
	}{
		{"a maker's own badge", "hikvision", time.Time{}, "own:hikvision"},
		{"all that Lorex ever meant", "Lorex", time.Time{}, "own:lorex oem-most:dahua former:lorex former:lorex"},
		{"Lorex while Dahua owned it", "LOREX", day("2020-01-01"), "oem-most:dahua former:lorex"},
		{"Lorex since its sale", "lorex", day("2024-01-01"), "own:lorex oem-most:dahua"},
		{"in the month of a change both hold", "Lorex", day("2018-02-10"), "oem-most:dahua former:lorex former:lorex"},
		{"an alias", "CPPLUS", day("2020-01-01"), "own:cp-plus oem-most:dahua"},
		{"an OEM contract that ended", "cp plus", day("2026-01-01"), "own:cp-plus"},
		{"before it began", "TRENDnet", day("2010-01-01"), "own:trendnet"},
		{"two makers behind one badge", "Swann", day("2020-01-01"), "own:swann oem-some:dahua oem-some:hikvision oem-some:raysharp"},
		{"renamed", "Samsung Techwin", day("2012-01-01"), "former:hanwha"},
		{"nobody described it", "Acme", time.Time{}, ""},
		{"no badge", "", time.Time{}, ""},
	} {
		var got []string
		for _, r := range g.Relations(tt.brand, tt.on) {
			got = append(got, string(r.Kind)+":"+r.Maker)
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%s: Relations(%q, %s) = %q, want %q", tt.name, tt.brand, tt.on.Format(time.DateOnly), s, tt.want)
		}
	}
}

func TestSubject(t *testing.T) {
	g := load(t)
	for _, tt := range []struct {
		name, maker, law string
		on               time.Time
		grade            int
		decide, verified bool
	}{
		{"seated in China", "hikvision", "CN-NIL", day("2024-05-01"), 1, false, true},
		{"the law's name in small letters", "dahua", "cn-nil", day("2024-05-01"), 1, false, true},
		{"the eve of the law", "hikvision", "CN-NIL", day("2017-06-27"), 0, false, true},
		{"its first day", "hikvision", "CN-NIL", day("2017-06-28"), 1, false, true},
		{"a company abroad in Chinese hands", "pyronix", "CN-NIL", day("2024-05-01"), 2, true, false},
		{"through two owners, while it lasted", "march-networks", "CN-NIL", day("2018-01-01"), 2, true, false},
		{"after it was sold", "march-networks", "CN-NIL", day("2024-01-01"), 0, false, true},
		{"Lorex while Dahua owned it", "lorex", "CN-NIL", day("2020-01-01"), 2, true, true},
		{"Lorex today", "lorex", "CN-NIL", time.Time{}, 0, false, false},
		{"Taiwan is not the mainland", "vivotek", "CN-NIL", day("2024-05-01"), 0, false, true},
		{"disputed", "tp-link", "CN-NIL", day("2025-01-01"), 5, true, true},
		{"before the dispute", "tp-link", "CN-NIL", day("2020-01-01"), 1, false, true},
		{"disputed today", "tp-link-systems", "CN-NIL", time.Time{}, 5, true, false},
		{"elsewhere", "axis", "CN-NIL", day("2024-05-01"), 0, false, true},
		{"a maker nobody described", "acme", "CN-NIL", day("2024-05-01"), 0, true, false},
		{"a law nobody described", "hikvision", "XX-1", day("2024-05-01"), 0, true, false},
	} {
		got := g.Subject(tt.maker, tt.law, tt.on)
		if got.Grade != tt.grade || got.NeedsDecision != tt.decide || got.Verified != tt.verified || got.Why == "" {
			t.Errorf("%s: Subject(%q, %q, %s) = %+v, want grade %d, decision %t, verified %t", tt.name, tt.maker, tt.law, tt.on.Format(time.DateOnly), got, tt.grade, tt.decide, tt.verified)
		}
	}
}

func TestSubjectDevice(t *testing.T) {
	g := load(t)
	for _, tt := range []struct {
		name, brand, maker string
		grade              int
	}{
		{"own badge", "Hikvision", "hikvision", 1},
		{"no badge seen", "", "hikvision", 1},
		{"an American badge", "TRENDnet", "hikvision", 3},
		{"a Canadian badge", "Lorex", "dahua", 3},
		{"its own second brand", "HiLook", "hikvision", 1},
		{"a badge nobody described", "Acme", "hikvision", 1},
		{"an honest badge", "Axis", "axis", 0},
	} {
		if got := g.SubjectDevice(tt.brand, tt.maker, ChinaIntelligenceLaw, day("2024-05-01")); got.Grade != tt.grade {
			t.Errorf("%s: SubjectDevice(%q, %q) = %+v, want grade %d", tt.name, tt.brand, tt.maker, got, tt.grade)
		}
	}
}

func TestAffiliates(t *testing.T) {
	g := load(t)
	for _, tt := range []struct {
		maker string
		on    time.Time
		want  string
	}{
		{"hikvision", day("2024-01-01"), "cetc ezviz hikmicro hikrobot prama pyronix"},
		{"ezviz", day("2024-01-01"), "cetc hikmicro hikrobot hikvision prama pyronix"},
		{"hikvision", day("2012-01-01"), "cetc prama"},
		{"dahua", day("2020-01-01"), "imou lorex"},
		{"dahua", day("2024-01-01"), "imou"},
		{"acme", day("2024-01-01"), ""},
	} {
		var got []string
		for _, m := range g.Affiliates(tt.maker, tt.on) {
			got = append(got, m.ID)
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("Affiliates(%q, %s) = %q, want %q", tt.maker, tt.on.Format(time.DateOnly), s, tt.want)
		}
	}
}

func TestNames(t *testing.T) {
	g := load(t)
	for written, want := range map[string]string{"HIKVISION": "hikvision", "d link": "d-link", "Zhejiang Dahua Technology": "dahua", "Geutebruck": "geutebrueck", "": "", "nobody": ""} {
		m, _ := g.MakerNamed(written)
		if m.ID != want {
			t.Errorf("MakerNamed(%q) = %q, want %q", written, m.ID, want)
		}
	}
	if m, _ := g.Maker("lorex"); m.Parent != "skywatch" || m.Jurisdiction != "CA" {
		t.Errorf("Maker(lorex) = %+v, want parent skywatch, jurisdiction CA", m)
	}
	if b, _ := g.Brand("cp-plus"); b != "CP Plus" {
		t.Errorf("Brand(cp-plus) = %q, want CP Plus", b)
	}
	if !g.Rebadges("TRENDnet") || g.Rebadges("Axis") {
		t.Error("Rebadges: want TRENDnet, and not Axis")
	}
}

// TestLint reads what we ship: LoadFS refuses what a table must not say.
func TestLint(t *testing.T) {
	g := load(t)
	for _, m := range g.Makers() {
		if strings.Contains(strings.Join(m.Sources, " "), "not verified") {
			t.Errorf("maker %q: sources %q", m.ID, m.Sources)
		}
	}
	for _, b := range g.Brands() {
		if len(g.Relations(b, time.Time{})) == 0 {
			t.Errorf("brand %q means nothing", b)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	good := map[string]string{
		makersFile:    makersHead + "\nacme,Acme,Acme Ltd,GB,yes,,,a page\nborealis,Borealis,Borealis SA,FR,no,,,general knowledge\n",
		relationsFile: relationsHead + "\nAcme,,,acme,own,2010,,high,yes,a page\n",
		ownersFile:    ownersHead + "\nacme,borealis,2012,,yes,a page\n",
		versionFile:   "2026-11-25\n",
	}
	for _, tt := range []struct {
		name, file, text, want string
	}{
		{"as it should be", makersFile, good[makersFile], ""},
		{"no jurisdiction", makersFile, makersHead + "\nacme,Acme,Acme Ltd,,yes,,,a page\n", `makers.csv line 2: maker "acme": jurisdiction ""`},
		{"no source", makersFile, makersHead + "\nacme,Acme,Acme Ltd,GB,yes,,,\n", "no source"},
		{"verified without a source that can be read", makersFile, makersHead + "\nacme,Acme,Acme Ltd,GB,yes,,,general knowledge\n", "only source is general knowledge"},
		{"twice", makersFile, good[makersFile] + "acme,Acme,Acme Ltd,GB,yes,,,a page\n", `maker "acme" stands here twice`},
		{"an ID with a space", makersFile, makersHead + "\nac me,Acme,Acme Ltd,GB,yes,,,a page\n", `ID "ac me"`},
		{"other columns", makersFile, "id,name\n", "columns"},
		{"ends before it begins", relationsFile, relationsHead + "\nAcme,,,acme,own,2010,2009,high,yes,a page\n", "before it begins"},
		{"former without an end", relationsFile, relationsHead + "\nAcme,,,acme,former,2010,,high,yes,a page\n", "needs the date it ended"},
		{"a relation nobody knows", relationsFile, relationsHead + "\nAcme,,,acme,friend,,,high,yes,a page\n", `relation "friend"`},
		{"a maker nobody knows", relationsFile, relationsHead + "\nAcme,,,nobody,own,,,high,yes,a page\n", `maker "nobody" is not in makers.csv`},
		{"a date nobody can read", relationsFile, relationsHead + "\nAcme,,,acme,own,May,,high,yes,a page\n", `date "May"`},
		{"an owner nobody knows", ownersFile, ownersHead + "\nacme,nobody,2012,,yes,a page\n", `maker "nobody"`},
		{"no version", versionFile, "", "version"},
	} {
		dir := fstest.MapFS{}
		for name, text := range good {
			dir[name] = &fstest.MapFile{Data: []byte(text)}
		}
		dir[tt.file] = &fstest.MapFile{Data: []byte(tt.text)}
		_, err := LoadFS(dir)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: LoadFS says %v, want %q", tt.name, err, tt.want)
		}
	}
}

package exchange

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchward/watchward/internal/db"
	"github.com/watchward/watchward/internal/estate"
)

var now = time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)

func open(t testing.TB) *estate.Estate {
	t.Helper()
	d, err := db.Open(t.Context(), filepath.Join(t.TempDir(), "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	e, err := estate.Open(t.Context(), estate.Options{DB: d, Key: bytes.Repeat([]byte{7}, 32), Gate: estate.NoRules{}, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// filled is an estate with something in every field.
func filled(t testing.TB) *estate.Estate {
	t.Helper()
	e := open(t)
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	dept, err := e.AddOrganisation(ctx, estate.Organisation{Name: "Dept", Body: "uk.central-department", Sector: "health", Region: "London"}, "ada")
	must(err)
	agency, err := e.AddOrganisation(ctx, estate.Organisation{Name: "Agency", Body: "uk.nhs", Parent: dept.ID}, "ada")
	must(err)
	site, err := e.AddSite(ctx, "Harbour")
	must(err)
	site.Organisation, site.Address = agency.ID, "1 Quay Street"
	_, err = e.UpdateSite(ctx, site, "ada", "")
	must(err)
	_, err = e.ClassSite(ctx, site.ID, estate.Sensitive, "ada", "ministers meet there")
	must(err)
	d, err := e.AddDevice(ctx, estate.Device{
		Site: site.ID, Name: "=Front gate", Kind: estate.KindCamera, State: estate.Adopted, Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("2001:db8::1")},
		MACs: []string{"00:40:8c:00:00:01"}, Serial: "DS-2CD2032-I20140101AAWR123456789", CertSHA256: strings.Repeat("ab", 32), Hostname: "gate.example",
		Network: estate.NetworkCore, Exposure: estate.ExposureInternal, Purpose: "public-safety", Tag: "A-17", Cost: 123450, Currency: "GBP",
		Deployed: now.AddDate(-3, 0, 0).Truncate(24 * time.Hour), FirstSeen: now.AddDate(0, -1, 0), LastSeen: now,
	}, "ada", "")
	must(err)
	_, err = e.Observe(ctx, d.ID, []estate.Evidence{
		{ID: "1", Kind: "rtsp-response", Port: 554, Value: "realm=\"IP Camera(C1214)\"", At: now, Source: "scan"},
		{ID: "2", Kind: "sadp-37020", Port: 37020, Value: "\xff\xfe bytes", At: now, Source: "scan"},
		{ID: "3", Kind: "rtsp-response", Port: 554, Value: "older", At: now.Add(-time.Hour), Source: "scan"},
	}, estate.Identification{
		Brand: "TRENDnet", Maker: "hikvision", MakerName: "Hikvision", Model: "TV-IP320PI", Firmware: "V5.3.0", Confidence: estate.Identified, Data: "2026-11",
		Because: []estate.Reason{{Evidence: "1", Fingerprint: "hikvision/rtsp-realm-model", Family: "realm", Grade: "A", Maker: "hikvision", Saw: "IP Camera(C1214)"}},
	}, "ada")
	must(err)
	gone, err := e.AddDevice(ctx, estate.Device{Name: "Printer", Kind: estate.KindOther, Serial: "X"}, "ada", "")
	must(err)
	_, err = e.RemoveDevice(ctx, gone.ID, "ada", "scrapped")
	must(err)
	_, err = e.AddDevice(ctx, estate.Device{Site: site.ID, Name: "Nobody knows"}, "ada", "")
	must(err)
	return e
}

func source(t testing.TB, e *estate.Estate, f estate.Filter) Source {
	t.Helper()
	s, err := Of(t.Context(), e, f, "v1", now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var everything = estate.Filter{WithRemoved: true}

// TestJSONComesBackExactly writes an estate, reads it into an empty one, and
// writes that.
func TestJSONComesBackExactly(t *testing.T) {
	var first, second bytes.Buffer
	if err := WriteJSON(t.Context(), &first, source(t, filled(t), everything)); err != nil {
		t.Fatal(err)
	}
	inv, errs, err := Read(first.Bytes(), "")
	if err != nil || len(errs) > 0 {
		t.Fatal(errs, err)
	}
	e := open(t)
	report, err := e.ImportInventory(t.Context(), inv, estate.Import{By: "ada", Source: "estate.json"})
	if err != nil || !report.Done || report.Added != 3 || report.Sites != 1 || report.Organisations != 2 {
		t.Fatalf("%+v, %v", report, err)
	}
	if err := WriteJSON(t.Context(), &second, source(t, e, everything)); err != nil {
		t.Fatal(err)
	}
	if first.String() != second.String() {
		t.Errorf("first\n%s\nsecond\n%s", first.String(), second.String())
	}
	// Again into the same: nothing is new.
	report, err = e.ImportInventory(t.Context(), inv, estate.Import{By: "ada", Source: "estate.json"})
	if err != nil || report.Same != 3 || report.Added+report.Updated+report.Sites+report.Organisations != 0 {
		t.Errorf("the second time: %+v, %v", report, err)
	}
}

func TestCSVComesBack(t *testing.T) {
	var first, second bytes.Buffer
	if err := WriteCSV(&first, source(t, filled(t), everything)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(first.String(), ",'=Front gate,") {
		t.Errorf("a formula is written as one:\n%s", first.String())
	}
	inv, errs, err := Read(first.Bytes(), "")
	if err != nil || len(errs) > 0 {
		t.Fatal(errs, err)
	}
	e := open(t)
	report, err := e.ImportInventory(t.Context(), inv, estate.Import{By: "ada", Source: "estate.csv"})
	if err != nil || !report.Done {
		t.Fatalf("%+v, %v", report, err)
	}
	if err := WriteCSV(&second, source(t, e, everything)); err != nil {
		t.Fatal(err)
	}
	if first.String() != second.String() {
		t.Errorf("first\n%s\nsecond\n%s", first.String(), second.String())
	}
}

// said is a record in a line.
func said(r estate.Record) string {
	d, i := r.Device, r.Device.Identification
	var addresses []string
	for _, a := range d.Addresses {
		addresses = append(addresses, a.String())
	}
	return strings.Join(slices.DeleteFunc([]string{
		fmt.Sprint(r.Line), r.OrganisationName, r.SiteName, d.Name, string(d.Kind), string(d.State), strings.Join(addresses, " "), strings.Join(d.MACs, " "),
		d.Serial, d.Tag, i.Brand, i.Maker, i.Model, string(i.Confidence),
	}, func(s string) bool { return s == "" }), "|")
}

var files = []struct {
	name   string
	format Format
	file   string
	want   []string // records, or "line field code"
}{
	{
		"a council's list", "", "Site,Device name,IP Address,MAC,Make,Model,Serial no\nTown hall,Door,10.0.0.5,00-40-8C-00-00-05,HiLook,IPC-B120H,C12345678\n",
		[]string{"2|Town hall|Door|10.0.0.5|00:40:8c:00:00:05|C12345678|HiLook|IPC-B120H|hint"},
	},
	{
		"en français", "", "Lieu;Nom;Adresse IP;Fabricant;Numéro de série;État;Type\nMairie;Entrée;10.0.0.5;Dahua;SN123456;adopté;Enregistreur\n",
		[]string{"2|Mairie|Entrée|recorder|adopted|10.0.0.5|SN123456|Dahua|hint"},
	},
	{"Windows-1252", "", "nom;mod\xe8le\nEntr\xe9e \x96 c\xf4t\xe9;X\n", []string{"2|Entrée – côté|X|unknown"}},
	{"two addresses in a cell", "", "name,ip\nA,\"10.0.0.1, 2001:db8::1\"\n", []string{"2|A|10.0.0.1 2001:db8::1|unknown"}},
	{
		"bad rows between good ones", "", "name,ip,mac,cost,deployed\nA,10.0.0.1,,,\nB,10.0.0.300,,,\nC,,xx,,\nD,,,many,\nE,,,,yesterday\nF,,,,2020-02-30\nG,,,\"1,5\",25/12/2020\n",
		[]string{"2|A|10.0.0.1|unknown", "3 addresses address", "4 mac mac", "5 cost cost", "6 deployed date", "7 deployed date", "8|G|unknown"},
	},
	{"unknown column", "", "name,colour\nA,red\n", []string{"1 file column-unknown"}},
	{"column twice", "", "name,ip,address\nA,10.0.0.1,10.0.0.2\n", []string{"1 file column-twice"}},
	{"no column to know devices by", "", "site,model\nA,B\n", []string{"1 file column-missing"}},
	{"too many fields", "", "name,ip\nA,10.0.0.1,x\n", []string{"2 file columns"}},
	{"nothing", CSV, "", []string{"1 file missing"}},
	{"header only", CSV, "name,ip\n", []string{"1 file missing"}},
	{"unknown words", "", "name,kind,state,network\nA,toaster,,\nB,,gone,\nC,,,outer\n", []string{"2 kind word", "3 state word", "4 network word"}},
	{
		"NetBox, an answer of its API", "", `{"count":2,"next":null,"results":[
		{"id":7,"name":"cam-7","display":"cam-7","device_type":{"model":"DS-2CD","manufacturer":{"name":"Hikvision","slug":"hikvision"}},"role":{"name":"CCTV Camera"},
		 "tenant":{"name":"Dept"},"site":{"name":"Harbour","slug":"harbour"},"serial":"SN123456","asset_tag":"A1","status":{"value":"active","label":"Active"},"primary_ip":{"address":"10.0.0.1/24"},"primary_ip4":null},
		{"id":8,"name":null,"display":"nvr","device_type":{"model":"X","manufacturer":{"name":"Dahua"}},"device_role":{"name":"NVR"},"site":{"name":"Harbour"},"serial":"","asset_tag":null,"status":"decommissioning","primary_ip6":{"address":"2001:db8::1/64"}}]}`,
		[]string{"1|Dept|Harbour|cam-7|camera|proposed|10.0.0.1|SN123456|A1|Hikvision|DS-2CD|hint", "2|Harbour|nvr|recorder|removed|2001:db8::1|Dahua|X|hint"},
	},
	{
		"NetBox, a bare list with one that is none", "", `[{"name":"a","serial":5},{"name":"b","primary_ip":{"address":"nowhere"}},{"name":"c"}]`,
		[]string{"1 device format", "2 addresses address", "3|c|proposed|unknown"},
	},
	{
		"NetBox, its CSV", NetBox, "Name,Status,Tenant,Site,Location,Rack,Role,Manufacturer,Type,IP Address\ncam-7,Active,Dept,Harbour,Room 1,,Camera,Axis,M3045-V,10.0.0.1/24\n",
		[]string{"2|Dept|Harbour|cam-7|camera|proposed|10.0.0.1|Axis|M3045-V|hint"},
	},
	{
		"our JSON with a field that does not exist", "", `{"format":"watchward-estate","version":1,"organisations":[],"sites":[],"devices":[{"name":"a","colour":"red"},{"name":"b"}]}`,
		[]string{"1 device format", "2|b"},
	},
	{"our JSON, later version", "", `{"format":"watchward-estate","version":2,"organisations":[],"sites":[],"devices":[]}`, []string{"error"}},
	{"JSON cut short", "", `{"format":"watchward-estate","version":1,`, []string{"error"}},
	{"JSON of something else", "", `{"hello":"world"}`, []string{"error"}},
	{"list of numbers", "", `[1,2]`, []string{"1 device format", "2 device format"}},
}

func TestRead(t *testing.T) {
	for _, tt := range files {
		inv, errs, err := Read([]byte(tt.file), tt.format)
		got := map[int]string{}
		for _, r := range inv.Records {
			got[r.Line] = said(r)
		}
		for _, e := range errs {
			var inv *estate.Invalid
			if !errors.As(e.Err, &inv) {
				t.Errorf("%s: %v", tt.name, e)
				continue
			}
			got[e.Line] = fmt.Sprintf("%d %s %s", e.Line, inv.Field, inv.Code)
			if strings.Contains(inv.Error(), "%!") || !slices.Contains(estate.InvalidCodes(), inv.Code) {
				t.Errorf("%s: badly written: %s", tt.name, inv)
			}
		}
		if err != nil {
			got[0] = "error"
		}
		var lines []string
		for n := range 20 {
			if got[n] != "" {
				lines = append(lines, got[n])
			}
		}
		if !slices.Equal(lines, tt.want) {
			t.Errorf("%s:\ngot  %q (%v)\nwant %q", tt.name, lines, err, tt.want)
		}
	}
	if _, _, err := Read(nil, CycloneDX); !errors.Is(err, ErrFormat) {
		t.Errorf("a format that is only written: %v", err)
	}
}

// TestReferenceNamesColumns keeps docs/reference/estate.md in step.
func TestReferenceNamesColumns(t *testing.T) {
	page, err := os.ReadFile("../../../docs/reference/estate.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range columns() {
		if !strings.Contains(string(page), "`"+c.name+"`") {
			t.Errorf("no column `%s` there", c.name)
		}
	}
}

// TestNetBoxTakesIt checks what NetBox's import form of devices checks.
func TestNetBoxTakesIt(t *testing.T) {
	var b bytes.Buffer
	e := filled(t)
	if _, err := e.AddDevice(t.Context(), estate.Device{Site: "harbour", Name: "nobody knows"}, "ada", ""); err != nil {
		t.Fatal(err)
	}
	if err := WriteNetBox(&b, source(t, e, estate.Filter{})); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(rows) != 4 {
		t.Fatal(rows, err)
	}
	names := map[string]bool{}
	for _, row := range rows[1:] {
		r := map[string]string{}
		for i, c := range rows[0] {
			r[c] = row[i]
		}
		for _, need := range []string{"name", "role", "manufacturer", "device_type", "status", "site"} {
			if r[need] == "" {
				t.Errorf("%q has no %s", r["name"], need)
			}
		}
		if !slices.Contains([]string{"active", "planned", "offline", "staged", "inventory", "decommissioning", "failed"}, r["status"]) {
			t.Errorf("status %q", r["status"])
		}
		if names[strings.ToLower(r["name"])] || len(r["name"]) > 64 {
			t.Errorf("name %q", r["name"])
		}
		names[strings.ToLower(r["name"])] = true
	}
	inv, errs, err := Read([]byte(strings.Join(rows[0], ",")+"\n"), NetBox)
	if err != nil || len(inv.Records) != 0 || len(errs) != 1 {
		t.Errorf("its header: %v %v", errs, err)
	}
}

var (
	uuidShape  = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	tokenShape = regexp.MustCompile(`^[\pL_][\pL\pN.\-_]*$`)
)

// readBOM is what a reader of CycloneDX sees.
type readBOM struct {
	BOMFormat, SpecVersion, SerialNumber string
	Version                              int
	Metadata                             struct{ Timestamp time.Time }
	Components                           []readComponent
}

type readComponent struct {
	Type, Name, Version, Publisher string
	Ref                            string `json:"bom-ref"`
	Manufacturer                   *struct{ Name string }
	Properties                     []readProperty
	Evidence                       *struct {
		Identity []struct {
			Field      string
			Confidence float64
			Methods    []struct {
				Technique  string
				Confidence float64
			}
		}
	}
}

type readProperty struct{ Name, Value string }

// TestCycloneDX checks the rules of the 1.6 schema for what is written.
func TestCycloneDX(t *testing.T) {
	var b, again bytes.Buffer
	e := filled(t)
	if err := errors.Join(WriteCycloneDX(&b, source(t, e, estate.Filter{})), WriteCycloneDX(&again, source(t, e, estate.Filter{}))); err != nil {
		t.Fatal(err)
	}
	if b.String() != again.String() {
		t.Error("two exports of one estate differ")
	}
	var doc readBOM
	if err := json.Unmarshal(b.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.BOMFormat != "CycloneDX" || doc.SpecVersion != "1.6" || doc.Version < 1 || !uuidShape.MatchString(strings.TrimPrefix(doc.SerialNumber, "urn:uuid:")) || !doc.Metadata.Timestamp.Equal(now) {
		t.Errorf("head %+v", doc)
	}
	refs := map[string]bool{}
	for _, c := range doc.Components {
		if c.Type != "device" || c.Name == "" || c.Ref == "" || refs[c.Ref] {
			t.Errorf("component %+v", c)
		}
		refs[c.Ref] = true
		if c.Evidence == nil {
			continue
		}
		for _, id := range c.Evidence.Identity {
			ok := slices.Contains([]string{"group", "name", "version", "purl", "cpe", "omniborId", "swhid", "swid", "hash"}, id.Field) && id.Confidence >= 0 && id.Confidence <= 1
			for _, m := range id.Methods {
				ok = ok && slices.Contains([]string{"source-code-analysis", "binary-analysis", "manifest-analysis", "ast-fingerprint", "hash-comparison", "instrumentation", "dynamic-analysis", "filename", "attestation", "other"}, m.Technique) && m.Confidence >= 0 && m.Confidence <= 1
			}
			if !ok {
				t.Errorf("identity %+v", id)
			}
		}
	}
	i := slices.IndexFunc(doc.Components, func(c readComponent) bool { return c.Name == "TV-IP320PI" })
	if i < 0 || doc.Components[i].Manufacturer.Name != "Hikvision" || doc.Components[i].Publisher != "TRENDnet" ||
		!slices.Contains(doc.Components[i].Properties, readProperty{"watchward:serial", "DS-2CD2032-I20140101AAWR123456789"}) {
		t.Errorf("the camera is %+v", doc.Components)
	}
}

// TestOSCAL checks the rules of the assessment results' schema for what is
// written.
func TestOSCAL(t *testing.T) {
	e := filled(t)
	p, err := e.Devices(t.Context(), estate.Filter{State: estate.Adopted})
	if err != nil {
		t.Fatal(err)
	}
	findings := []Finding{
		{ID: "f1", Device: p.Devices[0].ID, Rule: "UK-WMS-386", Title: "Security update", Clause: "2", Source: "HCWS386", Force: "must", Status: "open", Why: "made by Hikvision", Since: now},
		{ID: "f2", Device: p.Devices[0].ID, Rule: "889 (a)", Status: "waived", Due: now},
		{ID: "f3", Device: p.Devices[0].ID, Rule: "X", Status: "resolved"},
	}
	var b, again bytes.Buffer
	if err := errors.Join(WriteOSCAL(&b, source(t, e, estate.Filter{}), findings), WriteOSCAL(&again, source(t, e, estate.Filter{}), findings)); err != nil {
		t.Fatal(err)
	}
	if b.String() != again.String() {
		t.Error("two exports of one estate differ")
	}
	var doc any
	if err := json.Unmarshal(b.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	walk(doc, func(key string, v any) {
		if text, ok := v.(string); ok && text == "" {
			t.Errorf("%s is empty", key)
		}
		switch key {
		case "uuid":
			if !uuidShape.MatchString(v.(string)) || known[v.(string)] {
				t.Errorf("uuid %v", v)
			}
			known[v.(string)] = true
		case "target-id":
			if !tokenShape.MatchString(v.(string)) {
				t.Errorf("target-id %v", v)
			}
		case "state":
			if v != "satisfied" && v != "not-satisfied" {
				t.Errorf("state %v", v)
			}
		case "collected", "start", "last-modified", "deadline":
			if _, err := time.Parse(time.RFC3339, v.(string)); err != nil {
				t.Error(err)
			}
		}
	})
	walk(doc, func(key string, v any) {
		switch key {
		case "subject-uuid", "observation-uuid", "risk-uuid":
			if !known[v.(string)] {
				t.Errorf("%s %v is nowhere", key, v)
			}
		case "href":
			if !known[strings.TrimPrefix(v.(string), "#")] {
				t.Errorf("href %v is nowhere", v)
			}
		}
	})
	for _, want := range []string{`"deviation-approved"`, `"closed"`, `"target-id": "_89__a_"`, `"serial-number"`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %s in it", want)
		}
	}
	if err := WriteOSCAL(&b, source(t, e, estate.Filter{}), []Finding{{ID: "f", Device: "dev-none"}}); err == nil {
		t.Error("a finding of nothing was written")
	}
}

func walk(v any, see func(key string, v any)) {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			see(k, x)
			walk(x, see)
		}
	case []any:
		for _, x := range v {
			walk(x, see)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, tt := range files {
		f.Add([]byte(tt.file), string(tt.format))
	}
	f.Fuzz(func(t *testing.T, body []byte, format string) {
		inv, errs, err := Read(body, Format(format))
		if err != nil {
			return
		}
		for _, r := range inv.Records {
			if r.Line < 1 {
				t.Errorf("record of line %d", r.Line)
			}
		}
		for _, e := range errs {
			var inv *estate.Invalid
			if !errors.As(e.Err, &inv) || inv.Error() == "" {
				t.Errorf("line %d: %v", e.Line, e.Err)
			}
		}
	})
}

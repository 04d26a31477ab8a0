package estate

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchward/watchward/internal/db"
)

// fill makes an estate of n devices: a tree of organisations, sites of a
// hundred devices, makers and confidences in the uneven shares that estates
// have.
func fill(t testing.TB, n int) *Estate {
	t.Helper()
	d, err := db.Open(t.Context(), filepath.Join(t.TempDir(), "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	e, err := Open(t.Context(), Options{DB: d, Key: testKey, Gate: NoRules{}})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	var sites []Site
	err = e.tx(ctx, func(tx querier) error {
		if _, err := e.addOrganisation(ctx, tx, Organisation{Name: "Dept", Body: "uk.central-department"}, ""); err != nil {
			return err
		}
		for i := range max(n/1000, 1) {
			if _, err := e.addOrganisation(ctx, tx, Organisation{Name: fmt.Sprint("Agency ", i), Parent: "dept"}, ""); err != nil {
				return err
			}
		}
		for i := range max(n/100, 2) {
			s := Site{ID: fmt.Sprint("site-", i), Name: fmt.Sprint("Site ", i), Organisation: fmt.Sprint("agency-", i/10), Class: Undetermined}
			if i == 1 {
				s.Organisation = "dept"
			}
			if err := insertSite(ctx, tx, s, time.Now()); err != nil {
				return err
			}
			sites = append(sites, s)
		}
		for i := range n {
			maker, confidence := "hikvision", Identified
			switch {
			case i%10_000 == 7:
				maker = "rare"
			case i%3 == 1:
				maker, confidence = "axis", VeryLikely
			case i%5 == 2:
				maker, confidence = "", Unknown
			}
			state := Adopted
			switch {
			case i%20 == 3:
				state = Removed
			case i%4 == 2:
				state = Proposed
			}
			dev := Device{
				ID: DeviceID(fmt.Sprint("dev-", i)), Name: fmt.Sprintf("Camera %d of yard", i), Site: sites[i%len(sites)].ID, Kind: KindCamera, State: state,
				Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})},
				MACs:      []string{fmt.Sprintf("00:40:8c:%02x:%02x:%02x", i>>16&255, i>>8&255, i&255)}, Serial: fmt.Sprintf("SN%08d", i),
				Identification: Identification{Maker: maker, Confidence: confidence, Model: fmt.Sprint("M", i%40)},
			}
			if _, err := e.insert(ctx, tx, dev, "ada", "filled"); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// lists are those that the pages show.
var lists = []struct {
	name   string
	filter Filter
}{
	{"all", Filter{}},
	{"one site", Filter{Site: "site-1"}},
	{"a department and all below", Filter{Organisation: "dept"}},
	{"an agency", Filter{Organisation: "agency-0"}},
	{"proposals", Filter{State: Proposed}},
	{"removed", Filter{State: Removed}},
	{"with those removed", Filter{WithRemoved: true}},
	{"a maker", Filter{Maker: "hikvision"}},
	{"a rare maker", Filter{Maker: "rare"}},
	{"unknown maker", Filter{Maker: "-"}},
	{"confidence", Filter{Confidence: VeryLikely}},
	{"maker in an agency", Filter{Organisation: "agency-0", Maker: "axis", State: Adopted}},
	{"maker and a confidence that it never has", Filter{Maker: "hikvision", Confidence: VeryLikely}},
	{"kind that nothing is", Filter{Kind: KindIntercom}},
	{"a word in every name", Filter{Text: "camera"}},
	{"a rare word", Filter{Text: "sn00000042"}},
	{"two words", Filter{Text: "yard 10.0.0.4"}},
	{"no such word", Filter{Text: "nothing"}},
}

// TestListsUseIndexes asks the database how it would find each list's page: by
// an index that holds what is asked, never through all rows.
func TestListsUseIndexes(t *testing.T) {
	e := fill(t, 300)
	last := cursor{"dept/agency-0/:site-1", "camera 1", "dev-1"}.String()
	for _, l := range lists {
		for _, after := range []string{"", last} {
			f := l.filter
			f.After, f.Limit = after, 50
			query, args, err := e.listQuery(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			for _, step := range plan(t, e, query, args) {
				whole := strings.HasPrefix(step, "SCAN estate_devices") && !strings.Contains(step, "USING COVERING INDEX")
				if whole || strings.HasPrefix(step, "SCAN estate_words") {
					t.Errorf("%s, after %q: %s", l.name, after, step)
				}
			}
		}
	}
	for name, query := range map[string]string{
		"device":   `SELECT ` + deviceColumns + ` FROM estate_devices WHERE id = $1`,
		"key":      `SELECT device FROM estate_keys WHERE kind = $1 AND value = $2 ORDER BY device LIMIT $3`,
		"evidence": `SELECT id FROM estate_evidence WHERE device = $1 AND newest >= $2`,
		"history":  `SELECT n FROM estate_history WHERE subject = $1 AND id = $2 AND n < $3 ORDER BY n DESC LIMIT $4`,
		"scans":    `SELECT id FROM estate_scans WHERE started < $1 ORDER BY started DESC, id DESC LIMIT $2`,
	} {
		for _, step := range plan(t, e, query, []any{"a", "b", 1, 2}[:strings.Count(query, "$")]) {
			if strings.HasPrefix(step, "SCAN") || strings.Contains(step, "TEMP B-TREE") {
				t.Errorf("%s: %s", name, step)
			}
		}
	}
}

func plan(t *testing.T, e *Estate, query string, args []any) []string {
	t.Helper()
	rows, err := e.db.Query(t.Context(), `EXPLAIN QUERY PLAN `+query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var steps []string
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, detail)
	}
	if len(steps) == 0 {
		t.Fatal("no plan")
	}
	return steps
}

// TestListsAgreeWithRows walks every list page by page and compares it with
// what a plain look at all devices finds.
func TestListsAgreeWithRows(t *testing.T) {
	const n = 300
	e := fill(t, n)
	var all []Device
	for _, s := range []State{Proposed, Adopted, Removed} {
		p, err := e.Devices(t.Context(), Filter{State: s, Limit: MaxPage})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p.Devices...)
	}
	if len(all) != n {
		t.Fatalf("%d devices in all states", len(all))
	}
	for _, l := range lists {
		want := map[DeviceID]bool{}
		for _, d := range all {
			if naive(l.filter, d) {
				want[d.ID] = true
			}
		}
		f := l.filter
		f.Limit = 7
		var got []string
		for {
			p, err := e.Devices(t.Context(), f)
			if err != nil {
				t.Fatalf("%s: %v", l.name, err)
			}
			for _, d := range p.Devices {
				got = append(got, d.Place+"\x00"+strings.ToLower(d.Name))
				if !want[d.ID] {
					t.Errorf("%s: %s does not belong there, or was there before", l.name, d.ID)
				}
				delete(want, d.ID)
			}
			if f.After = p.Next; f.After == "" {
				break
			}
		}
		if len(want) > 0 || !slices.IsSorted(got) {
			t.Errorf("%s: %d missing, in order: %t", l.name, len(want), slices.IsSorted(got))
		}
		if f.Text == "" {
			if total, err := e.Total(t.Context(), l.filter); err != nil || total != len(got) {
				t.Errorf("%s: total %d, listed %d, %v", l.name, total, len(got), err)
			}
		}
	}
}

func naive(f Filter, d Device) bool {
	for _, w := range strings.Fields(f.Text) {
		if !slices.ContainsFunc(wordsOf(d), func(have string) bool { return strings.HasPrefix(have, w) }) {
			return false
		}
	}
	return f.takes(facetOf(d)) && (f.Site == "" || d.Site == f.Site) &&
		(f.Organisation == "" || strings.Contains("/"+d.Place, "/"+f.Organisation+"/"))
}

func TestCounts(t *testing.T) {
	e := fill(t, 300)
	checkTallies(t, e)
	if _, err := e.ClassSite(t.Context(), "site-1", Sensitive, "ada", "ministers meet there"); err != nil {
		t.Fatal(err)
	}
	total, _ := e.Total(t.Context(), Filter{})
	for by, want := range map[string]int{CountMaker: 4, CountConfidence: 3, CountKind: 1, CountState: 2, CountSite: 3, CountClass: 2, CountOrganisation: 2} {
		counts, err := e.Counts(t.Context(), by, Filter{})
		n := 0
		for _, c := range counts {
			n += c.N
		}
		if err != nil || len(counts) != want || n != total {
			t.Errorf("by %s: %+v, %v, want %d values of %d devices", by, counts, err, want, total)
		}
	}
	if _, err := e.Counts(t.Context(), "colour", Filter{}); asInvalid(err) == nil {
		t.Errorf("by colour: %v", err)
	}
	days, err := e.Days(t.Context(), Filter{Organisation: "dept"})
	if err != nil || len(days) != 1 || days[0].Seen != 300 || days[0].Removed == 0 {
		t.Errorf("days %+v, %v", days, err)
	}
}

func TestOrganisationsMoveWithTheirDevices(t *testing.T) {
	e := fill(t, 300)
	office, err := e.AddOrganisation(t.Context(), Organisation{Name: "Office", Body: "uk.police", Parent: "agency-0"}, "ada")
	if err != nil {
		t.Fatal(err)
	}
	s, _ := e.Site(t.Context(), "site-2")
	s.Organisation = office.ID
	if _, err := e.UpdateSite(t.Context(), s, "ada", ""); err != nil {
		t.Fatal(err)
	}
	whole, _ := e.Total(t.Context(), Filter{Organisation: "dept"})
	agency, err := e.Organisation(t.Context(), "agency-0")
	if err != nil {
		t.Fatal(err)
	}
	agency.Parent = ""
	if _, err := e.UpdateOrganisation(t.Context(), agency, "ada", "independent now"); err != nil {
		t.Fatal(err)
	}
	checkTallies(t, e)
	dept, _ := e.Total(t.Context(), Filter{Organisation: "dept"})
	below, _ := e.Total(t.Context(), Filter{Organisation: "agency-0"})
	if dept == 0 || below == 0 || dept+below != whole {
		t.Errorf("%d were in the department, now %d are and %d in the agency", whole, dept, below)
	}
	p, err := e.Devices(t.Context(), Filter{Organisation: office.ID})
	if err != nil || len(p.Devices) == 0 || p.Devices[0].Place != "agency-0/office/:site-2" {
		t.Errorf("office: %+v, %v", p, err)
	}
	for _, tt := range []struct {
		name   string
		change func(*Organisation)
		code   string
	}{
		{"ring", func(o *Organisation) { o.Parent = office.ID }, "ring"},
		{"no such parent", func(o *Organisation) { o.Parent = "nobody" }, "unknown"},
		{"body without a country", func(o *Organisation) { o.Body = "council" }, "body"},
		{"name of another", func(o *Organisation) { o.Name = "dept" }, "duplicate-site"},
	} {
		o := agency
		tt.change(&o)
		if _, err := e.UpdateOrganisation(t.Context(), o, "ada", ""); asInvalid(err) == nil || asInvalid(err).Code != tt.code {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestCursorFromOutside(t *testing.T) {
	e := fill(t, 10)
	for _, c := range []string{"x", "!!", "bnVsbA", strings.Repeat("A", 5000)} {
		if _, err := e.Devices(t.Context(), Filter{After: c}); err != nil && asInvalid(err) == nil {
			t.Errorf("%q: %v", c, err)
		}
	}
}

// BenchmarkLists reads each list's first page and one from its middle, of
// 100,000 devices.
func BenchmarkLists(b *testing.B) {
	e := fill(b, 100_000)
	middle := cursor{"dept/agency-50/:site-500", "camera", "dev"}.String()
	for _, l := range lists {
		for _, at := range []struct{ name, after string }{{"first", ""}, {"middle", middle}} {
			b.Run(strings.ReplaceAll(l.name, " ", "_")+"/"+at.name, func(b *testing.B) {
				f := l.filter
				f.After = at.after
				for b.Loop() {
					if _, err := e.Devices(b.Context(), f); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
	for _, by := range []string{CountMaker, CountConfidence, CountClass, CountOrganisation, CountSite} {
		b.Run("counts_by_"+by, func(b *testing.B) {
			for b.Loop() {
				if _, err := e.Counts(b.Context(), by, Filter{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

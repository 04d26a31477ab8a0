package know

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/access"
	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/policy"
	"github.com/watchward/watchward/internal/web"
)

func (k *Know) findingRoutes() {
	h := k.o.Web.Handle
	h("GET /findings", web.For(access.SeeEstate), k.showFindings)
	h("GET /findings/{id}", web.For(access.SeeEstate), k.showFinding)
	h("POST /findings/{id}/waive", web.For(access.Waive), k.waiveFinding)
	h("POST /findings/{id}/revoke", web.For(access.Waive), k.revokeFinding)
	h("GET /api/findings", web.For(access.SeeEstate), k.sendFindings)
	h("GET /api/findings/{id}", web.For(access.SeeEstate), k.sendFinding)
}

// pageOf is how many rows a page of findings or of the plan has.
const pageOf = 50

// ages are what the filter offers: how many days a finding is old at least, or
// with a minus at most.
var ages = []string{"-7", "30", "90", "365"}

// board is what a list of findings is narrowed to, as its address has it.
type board struct {
	State, Site, Organisation, Force, Maker, Age, After string
}

func boardOf(q url.Values) board {
	b := board{q.Get("state"), q.Get("site"), q.Get("organisation"), q.Get("force"), q.Get("maker"), q.Get("age"), q.Get("after")}
	if !slices.Contains([]string{"open", "waived", "resolved", "all"}, b.State) {
		b.State = ""
	}
	if !slices.Contains(ages, b.Age) {
		b.Age = ""
	}
	return b
}

// Narrowed reports whether any filter but the state is set.
func (b board) Narrowed() bool {
	return b.Site != "" || b.Organisation != "" || b.Force != "" || b.Maker != "" || b.Age != ""
}

// with is the address of the same list but for its state.
func (b board) with(state string) string {
	q := url.Values{}
	for name, value := range map[string]string{"state": state, "site": b.Site, "organisation": b.Organisation, "force": b.Force, "maker": b.Maker, "age": b.Age} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if len(q) == 0 {
		return "/findings"
	}
	return "/findings?" + q.Encode()
}

// scope is where the user may see findings, narrowed to a site or to an
// organisation and all below it; nil is everywhere.
func (w whereabouts) scope(r *http.Request, site, organisation string) map[string]bool {
	seen := w.visible(r, access.SeeEstate)
	if seen == nil && site == "" && organisation == "" {
		return nil
	}
	in := map[string]bool{}
	for id := range w.sites {
		if (site == "" || site == id) && (seen == nil || slices.Contains(seen, id)) &&
			(organisation == "" || slices.Contains(w.place(id).Organisations, organisation)) {
			in[id] = true
		}
	}
	return in
}

// filter asks the book for the board's page.
func (b board) filter(sites map[string]bool, now time.Time) policy.FindingFilter {
	f := policy.FindingFilter{Sites: sites, Force: policy.Force(b.Force), Maker: b.Maker, After: b.After, Limit: pageOf + 1}
	switch b.State {
	case "all":
		f.All = true
	default:
		f.State = policy.FindingState(b.State)
	}
	switch b.Age {
	case "":
	case "-7":
		f.Since = now.AddDate(0, 0, -7)
	default:
		days, _ := time.ParseDuration(b.Age + "h") // of [ages]
		f.Before = now.Add(-24 * days)
	}
	return f
}

// findingRow is a finding as a list shows it.
type findingRow struct {
	policy.Finding
	SiteName string
	Device   estate.Device // zero where it is not on record any longer
	Rule     *policy.Restriction
	Days     int // of age
	Overdue  bool
}

// findingsData is the board.
type findingsData struct {
	say
	places
	Board     board
	Rows      []findingRow
	Next      string
	FirstPage string
	Counts    map[string]int // by state, of what the filter's places and force leave
	Musts     int            // open ones
	Counted   bool           // the counts speak of this list: they know no makers and ages
	Makers    []choice
	Times     times
}

// places are what filters offer to narrow lists to.
type places struct {
	Sites         []estate.Site
	Organisations []estate.Organisation
}

// Ages and Forces list what the filter offers.
func (findingsData) Ages() []string { return ages }

func (findingsData) Forces() []policy.Force { return []policy.Force{policy.Must, policy.Should} }

// States are the lists there are, each with its address.
func (d findingsData) States() []choice {
	var all []choice
	for _, s := range []string{"", "open", "waived", "resolved", "all"} {
		all = append(all, choice{s, d.Board.with(s)})
	}
	return all
}

// Of is how many findings a list of [findingsData.States] has.
func (d findingsData) Of(state string) int {
	switch state {
	case "":
		return d.Counts["open"] + d.Counts["waived"]
	case "all":
		return d.Counts["open"] + d.Counts["waived"] + d.Counts["resolved"]
	}
	return d.Counts[state]
}

func (k *Know) showFindings(rw http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	d := findingsData{say: k.say(r), Board: boardOf(r.URL.Query())}
	where, err := k.whereabouts(ctx)
	if err != nil {
		return err
	}
	sites := where.scope(r, d.Board.Site, d.Board.Organisation)
	if d.Rows, d.Next, err = k.findings(r, where, d.Board, sites); err != nil {
		return err
	}
	if d.Board.After != "" {
		d.FirstPage = d.Board.with(d.Board.State)
	}
	d.places = where.offered(r)
	if err := k.countFindings(r, &d, sites); err != nil {
		return err
	}
	if d.Makers, err = k.makersOf(r, where); err != nil {
		return err
	}
	moments, err := k.o.Book.Timeline(ctx, sites)
	if err != nil {
		return err
	}
	d.Times = d.times(moments)
	return k.render(rw, r, "findings", http.StatusOK, d)
}

// findings is one page of the board, and the address of the next.
func (k *Know) findings(r *http.Request, where whereabouts, b board, sites map[string]bool) ([]findingRow, string, error) {
	now := k.now().UTC()
	page, err := k.o.Book.Findings(r.Context(), b.filter(sites, now))
	if err != nil {
		return nil, "", err
	}
	next := ""
	if len(page) > pageOf {
		page = page[:pageOf]
		next = b.with(b.State)
		separator := "?"
		if strings.Contains(next, "?") {
			separator = "&"
		}
		next += separator + "after=" + url.QueryEscape(page[pageOf-1].Cursor())
	}
	rows := make([]findingRow, len(page))
	for n, f := range page {
		if rows[n], err = k.findingRow(r, where, f, now); err != nil {
			return nil, "", err
		}
	}
	return rows, next, nil
}

func (k *Know) findingRow(r *http.Request, where whereabouts, f policy.Finding, now time.Time) (findingRow, error) {
	row := findingRow{Finding: f, SiteName: where.sites[f.Site].Name, Days: int(f.Age(now).Hours() / 24)}
	row.Overdue = f.State == policy.StateOpen && !f.Due.IsZero() && now.Truncate(24*time.Hour).After(f.Due)
	row.Rule, _ = k.rules().Restriction(f.Restriction)
	var err error
	row.Device, err = k.o.Estate.Device(r.Context(), estate.DeviceID(f.Device))
	if errors.Is(err, estate.ErrNotFound) { // merged into another since
		row.Device = estate.Device{Name: f.Name}
		err = nil
	}
	return row, err
}

func (k *Know) countFindings(r *http.Request, d *findingsData, sites map[string]bool) error {
	counts, err := k.o.Book.FindingCounts(r.Context())
	if err != nil {
		return err
	}
	d.Counts, d.Counted = map[string]int{}, d.Board.Maker == "" && d.Board.Age == ""
	for _, c := range counts {
		if sites != nil && !sites[c.Site] || d.Board.Force != "" && string(c.Force) != d.Board.Force {
			continue
		}
		d.Counts[string(c.State)] += c.N
		if c.State == policy.StateOpen && c.Force == policy.Must {
			d.Musts += c.N
		}
	}
	return nil
}

// offered are the places that the user may narrow lists to.
func (w whereabouts) offered(r *http.Request) places {
	var p places
	seen := w.visible(r, access.SeeEstate)
	for id, s := range w.sites {
		if seen == nil || slices.Contains(seen, id) {
			p.Sites = append(p.Sites, s)
		}
	}
	for _, o := range w.organisations {
		if hasSite(w, p.Sites, o) {
			p.Organisations = append(p.Organisations, o)
		}
	}
	slices.SortFunc(p.Sites, func(a, b estate.Site) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
	slices.SortFunc(p.Organisations, func(a, b estate.Organisation) int { return strings.Compare(a.Path, b.Path) })
	return p
}

// makersOf are the makers of the devices that the user may see.
func (k *Know) makersOf(r *http.Request, where whereabouts) ([]choice, error) {
	counts, err := k.o.Estate.Counts(r.Context(), estate.CountMaker, estate.Filter{Sites: where.visible(r, access.SeeEstate)})
	if err != nil {
		return nil, err
	}
	say := k.say(r)
	var all []choice
	for _, c := range counts {
		if c.Value != "" {
			all = append(all, choice{c.Value, say.Maker(c.Value)})
		}
	}
	slices.SortFunc(all, func(a, b choice) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
	return all, nil
}

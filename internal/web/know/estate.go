package know

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/watchward/watchward/internal/access"
	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/web"
)

func (k *Know) estateRoutes() {
	h := k.o.Web.Handle
	h("GET /estate", web.For(access.SeeEstate), k.showEstate)
	// IDs never begin with "-": these name no organisation and no site.
	h("GET /estate/organisations/-/new", web.For(access.ChangeEstate), k.showNewOrganisation)
	h("POST /estate/organisations/-/new", web.For(access.ChangeEstate), k.addOrganisation)
	h("GET /estate/organisations/{id}", web.For(access.SeeEstate), k.showOrganisation)
	h("GET /estate/organisations/{id}/edit", web.For(access.ChangeEstate), k.showEditOrganisation)
	h("POST /estate/organisations/{id}/edit", web.For(access.ChangeEstate), k.editOrganisation)
	h("GET /estate/sites/-/new", web.For(access.ChangeEstate), k.showNewSite)
	h("POST /estate/sites/-/new", web.For(access.ChangeEstate), k.addSite)
	h("GET /estate/sites/{id}", web.For(access.SeeEstate), k.showSite)
	h("GET /estate/sites/{id}/edit", web.For(access.ChangeEstate), k.showEditSite)
	h("POST /estate/sites/{id}/edit", web.For(access.ChangeEstate), k.editSite)
	h("POST /estate/sites/{id}/class", web.For(access.ChangeEstate), k.classSite)
}

// branch is an organisation with its sites, as the tree shows it.
type branch struct {
	estate.Organisation
	Depth int
	Sites []siteView
}

// Deep is the class that sets a branch in.
func (b branch) Deep() string { return "deep-" + string(rune('0'+min(b.Depth, 7))) }

// siteView is a site with how many devices hang there.
type siteView struct {
	estate.Site
	Devices int
}

// estateData is the estate, or what one organisation has of it.
type estateData struct {
	say
	Organisation *estate.Organisation // nil: all
	Above        []estate.Organisation
	Branches     []branch
	Loose        []siteView // sites of nobody
	Devices      int
	Proposed     int
	Sites        int
	Sensitive    int
	Undetermined int
	Unplaced     int // devices of no site
	Plots        []Bars
	History      []estate.Change
	May          bool // change it
}

// Scope is what the lists behind the numbers are narrowed to.
func (d estateData) Scope() string {
	if d.Organisation == nil {
		return ""
	}
	return "organisation=" + url.QueryEscape(d.Organisation.ID)
}

// Open reports whether the tree is short enough to be shown whole.
func (d estateData) Open() bool { return d.Sites <= 60 }

func (k *Know) showEstate(rw http.ResponseWriter, r *http.Request) error {
	d, err := k.estateData(r, "")
	if err != nil {
		return err
	}
	return k.render(rw, r, "estate", http.StatusOK, d)
}

func (k *Know) showOrganisation(rw http.ResponseWriter, r *http.Request) error {
	if err := k.allowOrganisation(r, access.SeeEstate, r.PathValue("id")); err != nil {
		return err
	}
	d, err := k.estateData(r, r.PathValue("id"))
	if err != nil {
		return err
	}
	if d.History, err = k.o.Estate.History(r.Context(), "organisation", d.Organisation.ID, 0, shownHistory); err != nil {
		return err
	}
	return k.render(rw, r, "estate", http.StatusOK, d)
}

// shownHistory is how many changes a page lists.
const shownHistory = 50

func (k *Know) estateData(r *http.Request, organisation string) (estateData, error) {
	ctx := r.Context()
	d := estateData{say: k.say(r)}
	where, err := k.whereabouts(ctx)
	if err != nil {
		return d, err
	}
	all, err := k.o.Estate.Organisations(ctx)
	if err != nil {
		return d, err
	}
	if organisation != "" {
		o, err := k.o.Estate.Organisation(ctx, organisation)
		if err != nil {
			return d, err
		}
		d.Organisation, d.Above = &o, above(all, o)
	}
	sites, err := k.o.Estate.Sites(ctx)
	if err != nil {
		return d, err
	}
	seen := where.visible(r, access.SeeEstate)
	if seen != nil {
		sites = slices.DeleteFunc(sites, func(s estate.Site) bool { return !slices.Contains(seen, s.ID) })
		all = slices.DeleteFunc(all, func(o estate.Organisation) bool { return !hasSite(where, sites, o) })
	}
	f := estate.Filter{Organisation: organisation, Sites: seen}
	counts, err := k.o.Estate.Counts(ctx, estate.CountSite, f)
	if err != nil {
		return d, err
	}
	d.grow(all, sites, counts)
	if d.Proposed, err = k.o.Estate.Total(ctx, estate.Filter{Organisation: organisation, Sites: seen, State: estate.Proposed}); err != nil {
		return d, err
	}
	var at access.Place
	if d.Organisation != nil {
		at.Organisations = where.above(*d.Organisation)
	}
	d.May = web.From(r).May(access.ChangeEstate, at)
	d.Plots, err = k.plots(ctx, d.say, f, sites, d.Scope())
	return d, err
}

// hasSite reports whether any of the sites is an organisation's or below it.
func hasSite(w whereabouts, sites []estate.Site, o estate.Organisation) bool {
	return slices.ContainsFunc(sites, func(s estate.Site) bool { return slices.Contains(w.place(s.ID).Organisations, o.ID) })
}

// above lists the organisations that an organisation belongs to, the root first.
func above(all []estate.Organisation, o estate.Organisation) []estate.Organisation {
	var out []estate.Organisation
	for _, other := range all {
		if strings.HasPrefix(o.Path, other.Path+"/") {
			out = append(out, other)
		}
	}
	return out
}

// grow puts sites on their branches and counts.
func (d *estateData) grow(all []estate.Organisation, sites []estate.Site, counts []estate.Count) {
	n := map[string]int{}
	for _, c := range counts {
		n[c.Value] = c.N
		d.Devices += c.N
	}
	d.Unplaced = n[""]
	of := map[string][]siteView{}
	for _, s := range sites {
		of[s.Organisation] = append(of[s.Organisation], siteView{s, n[s.ID]})
	}
	root := ""
	if d.Organisation != nil {
		root = d.Organisation.Path
	}
	for _, o := range all {
		if root != "" && o.Path != root && !strings.HasPrefix(o.Path, root+"/") {
			continue
		}
		depth := strings.Count(o.Path, "/") - strings.Count(root, "/")
		d.Branches = append(d.Branches, branch{o, depth, of[o.ID]})
		d.countSites(of[o.ID])
	}
	if root == "" {
		d.Loose = of[""]
		d.countSites(d.Loose)
	}
}

func (d *estateData) countSites(sites []siteView) {
	for _, s := range sites {
		d.Sites++
		switch s.Class {
		case estate.Sensitive:
			d.Sensitive++
		case estate.Undetermined:
			d.Undetermined++
		}
	}
}

// confidences are the parts of every stack, the surest first.
var confidences = []estate.Confidence{estate.Identified, estate.VeryLikely, estate.Hint, estate.Unknown}

const (
	shownMakers = 9
	shownSites  = 8
)

// plots are the pictures of a part of the estate: by maker, by confidence, by
// site. scope narrows the lists that they lead to.
func (k *Know) plots(ctx context.Context, s say, f estate.Filter, sites []estate.Site, scope string) ([]Bars, error) {
	total, err := k.o.Estate.Total(ctx, f)
	if err != nil || total == 0 {
		return nil, err
	}
	makers, err := k.makerBars(ctx, s, f, int64(total), scope)
	if err != nil {
		return nil, err
	}
	counts, err := k.o.Estate.Counts(ctx, estate.CountConfidence, f)
	if err != nil {
		return nil, err
	}
	sure := Bars{ID: "plot-confidence", Title: s.T("plot.confidence"), What: s.T("device.confidence"), Of: s.T("plot.devices"), Total: int64(total), Note: s.T("plot.confidence-note")}
	for _, c := range confidences {
		sure.Rows = append(sure.Rows, Bar{
			Name: s.Confidence(c), Href: listOf(scope, "confidence", string(c)),
			Parts: []Part{{Tone: "tone-" + string(c), Count: int64(countOf(counts, string(c)))}},
		})
	}
	plots := []Bars{s.bars(makers), s.bars(sure)}
	if f.Site == "" {
		at, err := k.siteBars(ctx, s, f, sites)
		if err != nil {
			return nil, err
		}
		plots = append(plots, s.bars(at))
	}
	return plots, nil
}

func (k *Know) makerBars(ctx context.Context, s say, f estate.Filter, total int64, scope string) (Bars, error) {
	b := Bars{ID: "plot-makers", Title: s.T("plot.makers"), What: s.T("device.maker"), Of: s.T("plot.devices"), Total: total, Note: s.T("plot.makers-note")}
	counts, err := k.o.Estate.Counts(ctx, estate.CountMaker, f)
	if err != nil {
		return b, err
	}
	for _, c := range counts {
		row := Bar{Name: s.Maker(c.Value), Href: listOf(scope, "maker", c.Value), Parts: []Part{{Tone: "tone-one", Count: int64(c.N)}}}
		if c.Value == "" {
			row.Name, row.Href, row.Parts[0].Tone = s.T("device.maker-unknown"), listOf(scope, "maker", "-"), "tone-unknown"
		}
		b.Rows = append(b.Rows, row)
	}
	b.Rows = fewest(b.Rows, shownMakers, s.T("plot.others"))
	return b, nil
}

// siteBars compares the largest sites by how much is known of their devices.
func (k *Know) siteBars(ctx context.Context, s say, f estate.Filter, sites []estate.Site) (Bars, error) {
	b := Bars{ID: "plot-sites", Title: s.T("plot.sites"), What: s.T("device.site"), Of: s.T("plot.devices")}
	for _, c := range confidences {
		b.Legend = append(b.Legend, Part{Tone: "tone-" + string(c), Name: s.Confidence(c)})
	}
	counts, err := k.o.Estate.Counts(ctx, estate.CountSite, f)
	if err != nil {
		return b, err
	}
	for i, c := range slices.DeleteFunc(counts, func(c estate.Count) bool { return c.Value == "" }) {
		if i == shownSites {
			b.Note = s.T("plot.sites-note", "n", shownSites)
			break
		}
		by, err := k.o.Estate.Counts(ctx, estate.CountConfidence, estate.Filter{Site: c.Value})
		if err != nil {
			return b, err
		}
		row := Bar{Name: siteName(sites, c.Value), Href: "/estate/sites/" + c.Value}
		for _, part := range b.Legend {
			part.Count = int64(countOf(by, strings.TrimPrefix(part.Tone, "tone-")))
			row.Parts = append(row.Parts, part)
		}
		b.Rows = append(b.Rows, row)
	}
	return b, nil
}

func countOf(counts []estate.Count, value string) int {
	for _, c := range counts {
		if c.Value == value {
			return c.N
		}
	}
	return 0
}

func siteName(sites []estate.Site, id string) string {
	for _, s := range sites {
		if s.ID == id {
			return s.Name
		}
	}
	return id
}

// listOf is the address of the devices that a bar counts.
func listOf(scope, field, value string) string {
	q := url.Values{field: {value}}.Encode()
	if scope != "" {
		q = scope + "&" + q
	}
	return "/estate/devices?" + q
}

// Confidence names how sure an identification is.
func (s say) Confidence(c estate.Confidence) string {
	return s.Word(string(cmp.Or(c, estate.Unknown)))
}

// Maker is the usual name of a maker; one that no data describes shows its ID.
func (s say) Maker(id string) string {
	if m, ok := s.k.o.Makers.Maker(id); ok {
		return m.Name
	}
	return id
}

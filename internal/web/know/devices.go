package know

import (
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

func (k *Know) deviceRoutes() {
	h := k.o.Web.Handle
	h("GET /estate/devices", web.For(access.SeeEstate), k.showDevices)
	h("GET /estate/devices/{id}", web.For(access.SeeEstate), k.showDevice)
}

// deviceRow is a device as a list shows it.
type deviceRow struct {
	estate.Device
	SiteName string
	Gravest  policy.Force // of what is asked, whether done or not
	Broken   bool         // something is asked and not done
}

// Address is where it was seen last.
func (d deviceRow) Address() string {
	if len(d.Addresses) == 0 {
		return ""
	}
	return d.Addresses[0].String()
}

// deviceList is one page of a list.
type deviceList struct {
	say
	Rows     []deviceRow
	Next     string // address of the next page, "" at the end
	OneSite  bool   // the site needs no column
	Pickable bool   // with a box to tick
	after    string // what comes next
}

// filterOf reads what a list is narrowed to from an address.
func filterOf(q url.Values) estate.Filter {
	return estate.Filter{
		Site: q.Get("site"), Organisation: q.Get("organisation"), State: estate.State(q.Get("state")), Maker: q.Get("maker"),
		Confidence: estate.Confidence(q.Get("confidence")), Kind: estate.Kind(q.Get("kind")), Text: clip(strings.TrimSpace(q.Get("q")), 100), After: q.Get("after"),
	}
}

// list is the page of devices that a filter leaves, judged as they are today.
func (k *Know) list(r *http.Request, f estate.Filter) (deviceList, error) {
	l := deviceList{say: k.say(r), OneSite: f.Site != ""}
	where, err := k.whereabouts(r.Context())
	if err != nil {
		return l, err
	}
	f.Sites = where.visible(r, access.SeeEstate)
	page, err := k.o.Estate.Devices(r.Context(), f)
	if err != nil {
		return l, err
	}
	cache := k.rules().NewCache()
	for _, d := range page.Devices {
		row := deviceRow{Device: d, SiteName: where.sites[d.Site].Name}
		verdicts := cache.Judge(where.caseOf(d, k.now()))
		row.Gravest = policy.Gravest(verdicts)
		row.Broken = slices.ContainsFunc(verdicts, func(v policy.Verdict) bool { return v.Broken && v.Force == row.Gravest })
		l.Rows = append(l.Rows, row)
	}
	if l.after = page.Next; page.Next != "" {
		q := r.URL.Query()
		q.Set("after", page.Next)
		if f.Site != "" {
			q.Set("site", f.Site)
		}
		l.Next = "/estate/devices?" + q.Encode()
	}
	return l, nil
}

// devicesData is the list of devices with its filters.
type devicesData struct {
	say
	List          deviceList
	Filter        estate.Filter
	Total         int // without the search's words
	Makers        []choice
	Sites         []estate.Site
	Organisations []estate.Organisation
	FirstPage     string // address, "" if this is it
}

// choice is one thing to choose in a filter.
type choice struct{ Value, Name string }

// Narrowed reports whether any filter is set.
func (d devicesData) Narrowed() bool {
	f := d.Filter
	return f.Site != "" || f.Organisation != "" || f.State != "" || f.Maker != "" || f.Confidence != "" || f.Kind != "" || f.Text != ""
}

// Confidences, States and Kinds list what the filters offer.
func (devicesData) Confidences() []estate.Confidence { return confidences }

func (devicesData) States() []estate.State {
	return []estate.State{estate.Proposed, estate.Adopted, estate.Removed}
}

func (devicesData) Kinds() []estate.Kind {
	return []estate.Kind{estate.KindCamera, estate.KindRecorder, estate.KindEncoder, estate.KindIntercom, estate.KindOther}
}

func (k *Know) showDevices(rw http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	d := devicesData{say: k.say(r), Filter: filterOf(r.URL.Query())}
	if d.Filter.After != "" {
		q := r.URL.Query()
		q.Del("after")
		d.FirstPage = "/estate/devices?" + q.Encode()
	}
	var err error
	if d.List, err = k.list(r, d.Filter); err != nil {
		return err
	}
	where, err := k.whereabouts(ctx)
	if err != nil {
		return err
	}
	seen := where.visible(r, access.SeeEstate)
	counted := d.Filter
	counted.Text, counted.Sites = "", seen
	if d.Total, err = k.o.Estate.Total(ctx, counted); err != nil {
		return err
	}
	makers, err := k.o.Estate.Counts(ctx, estate.CountMaker, estate.Filter{Site: d.Filter.Site, Organisation: d.Filter.Organisation, Sites: seen})
	if err != nil {
		return err
	}
	for _, c := range makers {
		if c.Value != "" {
			d.Makers = append(d.Makers, choice{c.Value, d.Maker(c.Value)})
		}
	}
	slices.SortFunc(d.Makers, func(a, b choice) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
	if d.Sites, err = k.o.Estate.Sites(ctx); err != nil {
		return err
	}
	if d.Organisations, err = k.o.Estate.Organisations(ctx); err != nil {
		return err
	}
	if seen != nil {
		d.Sites = slices.DeleteFunc(d.Sites, func(s estate.Site) bool { return !slices.Contains(seen, s.ID) })
		d.Organisations = slices.DeleteFunc(d.Organisations, func(o estate.Organisation) bool { return !hasSite(where, d.Sites, o) })
	}
	return k.render(rw, r, "devices", http.StatusOK, d)
}

// Day is when something is judged: the day it is.
func (k *Know) today() time.Time { return k.now().UTC().Truncate(24 * time.Hour) }

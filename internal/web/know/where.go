package know

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/access"
	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/policy"
	"github.com/watchward/watchward/internal/web"
)

// whereabouts is what judging must know of where a device hangs.
type whereabouts struct {
	sites         map[string]estate.Site
	organisations map[string]estate.Organisation
}

func (k *Know) whereabouts(ctx context.Context) (whereabouts, error) {
	w := whereabouts{map[string]estate.Site{}, map[string]estate.Organisation{}}
	sites, err := k.o.Estate.Sites(ctx)
	if err != nil {
		return w, err
	}
	for _, s := range sites {
		w.sites[s.ID] = s
	}
	all, err := k.o.Estate.Organisations(ctx)
	for _, o := range all {
		w.organisations[o.ID] = o
	}
	return w, err
}

// caseOf is a device as the rules ask about it, on a day.
func (w whereabouts) caseOf(d estate.Device, on time.Time) policy.Case {
	s := w.sites[d.Site]
	return policy.CaseOf(d, s, w.organisations[s.Organisation], on)
}

// place is where a site is, for [access.May]; the zero place for no site, which
// only a role given everywhere covers.
func (w whereabouts) place(site string) access.Place {
	if site == "" {
		return access.Place{}
	}
	at := access.Place{Site: site}
	if o, ok := w.organisations[w.sites[site].Organisation]; ok {
		at.Organisations = w.above(o)
	}
	return at
}

// above are the organisations that one belongs to, itself first.
func (w whereabouts) above(o estate.Organisation) []string {
	path := strings.Split(o.Path, "/")
	slices.Reverse(path)
	return path
}

// allow refuses what the user may not do at a site. A site that he may not even
// see is one that does not exist.
func (k *Know) allow(r *http.Request, act access.Act, site string) error {
	w, err := k.whereabouts(r.Context())
	if err != nil {
		return err
	}
	return w.allow(r, act, w.place(site), site)
}

// allowOrganisation is allow for an organisation; "" is the top of the tree.
func (k *Know) allowOrganisation(r *http.Request, act access.Act, id string) error {
	w, err := k.whereabouts(r.Context())
	if err != nil {
		return err
	}
	var at access.Place
	if id != "" {
		o, ok := w.organisations[id]
		if !ok {
			return web.ErrNotFound
		}
		at.Organisations = w.above(o)
	}
	return w.allow(r, act, at, id)
}

func (w whereabouts) allow(r *http.Request, act access.Act, at access.Place, id string) error {
	visit := web.From(r)
	switch {
	case visit.May(act, at):
		return nil
	case visit.May(access.SeeEstate, at):
		return web.ErrForbidden // he knows that it exists
	}
	return web.Hidden(act, id)
}

// visible are the sites where the user may do something; nil is everywhere,
// devices of no site included.
func (w whereabouts) visible(r *http.Request, act access.Act) []string {
	visit := web.From(r)
	if visit.May(act, access.Place{}) {
		return nil
	}
	sites := []string{}
	for id := range w.sites {
		if visit.May(act, w.place(id)) {
			sites = append(sites, id)
		}
	}
	slices.Sort(sites)
	return sites
}

// may reports whether the user may change what is at a site.
func (w whereabouts) may(r *http.Request, act access.Act, site string) bool {
	return web.From(r).May(act, w.place(site))
}

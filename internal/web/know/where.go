package know

import (
	"context"
	"time"

	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/policy"
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
	i := d.Identification
	c := policy.Case{
		Maker: i.Maker, Brand: i.Brand, Confidence: i.Confidence, BadgeOnly: i.BadgeOnly, Model: i.Model, Kind: d.Kind,
		Body: w.organisations[s.Organisation].Body, SiteClass: policy.SiteClass(s.Class), Deployed: d.Deployed, On: on,
	}
	if c.SiteClass == "" {
		c.SiteClass = policy.SiteUndetermined
	}
	if d.Network != estate.NetworkUnknown {
		c.Network = policy.Network(d.Network)
	}
	if d.Purpose != "" {
		c.Purposes = []string{d.Purpose}
	}
	if c.Deployed.IsZero() && d.State == estate.Adopted {
		c.Deployed = d.Adopted
	}
	return c
}

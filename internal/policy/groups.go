package policy

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// CaseGroup is the devices of a site that rules cannot tell apart today.
type CaseGroup struct {
	Case    Case
	Site    string
	Devices []Named // in the order of the estate's lists
}

// Named is a device by ID and name.
type Named struct{ Device, Name string }

// caseGroups is the estate as groups, kept while nothing changes: an estate has
// far fewer of them than devices.
type caseGroups struct {
	made   time.Time
	groups []CaseGroup
}

// Groups returns the devices of the estate, grouped; only those at sites, where
// that is not nil. The groups may not be changed.
func (b *Book) Groups(ctx context.Context, sites map[string]bool) ([]CaseGroup, error) {
	b.plans.Lock()
	defer b.plans.Unlock()
	b.lookAtEstate()
	now := b.now().UTC()
	if b.groups == nil || !fresh(b.groups.made, now) {
		placed, err := b.Cases(ctx, nil)
		if err != nil {
			return nil, fmt.Errorf("group devices: %w", err)
		}
		b.groups = &caseGroups{now, group(placed)}
	}
	if sites == nil {
		return b.groups.groups, nil
	}
	var out []CaseGroup
	for _, g := range b.groups.groups {
		if sites[g.Site] {
			out = append(out, g)
		}
	}
	return out, nil
}

// groupKey is what verdicts on a day depend on, and the site.
type groupKey struct {
	site, maker, brand, model, body, purposes string
	confidence, kind, network, class          string
	deployed                                  int32
	badgeOnly, there                          bool
}

func group(placed []Placed) []CaseGroup {
	at := map[groupKey]int{}
	var all []CaseGroup
	for _, p := range placed {
		cs := p.Case
		k := groupKey{
			site: p.Site, maker: cs.Maker, brand: cs.Brand, model: cs.Model, body: cs.Body, purposes: strings.Join(cs.Purposes, " "),
			confidence: string(cs.Confidence), kind: string(cs.Kind), network: string(cs.Network), class: string(cs.SiteClass),
			deployed: dayNumber(cs.Deployed), badgeOnly: cs.BadgeOnly, there: cs.There,
		}
		if cs.Purposes == nil {
			k.purposes = "?"
		}
		n, ok := at[k]
		if !ok {
			n = len(all)
			at[k] = n
			all = append(all, CaseGroup{Case: cs, Site: p.Site})
		}
		all[n].Devices = append(all[n].Devices, Named{p.Device, p.Name})
	}
	return all
}

package main

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/simulate"
	"github.com/watchward/watchward/internal/web/know"
)

// townRanges are the addresses of the town's devices, for a scan; none where
// they share one with this machine's own services.
func townRanges(devices []simulate.DeviceInfo) []string {
	var first, last netip.Addr
	for _, d := range devices {
		if !d.IP.IsValid() || d.IP == netip.AddrFrom4([4]byte{127, 0, 0, 1}) {
			continue
		}
		if !first.IsValid() || d.IP.Less(first) {
			first = d.IP
		}
		if !last.IsValid() || last.Less(d.IP) {
			last = d.IP
		}
	}
	if !first.IsValid() {
		return nil
	}
	return []string{first.String() + "-" + last.String()}
}

// demoBy is who did what the demo prepared, in every history.
const demoBy = "demo"

// plantBodies says whose the town's sites are: a department with one sensitive
// site, and a council. A folder used by an earlier demo has them already.
func plantBodies(ctx context.Context, e *estate.Estate, siteID map[string]string) error {
	all, err := e.Organisations(ctx)
	if err != nil {
		return err
	}
	of := map[string]string{}
	for _, o := range all {
		of[o.Name] = o.ID
	}
	for _, b := range []struct {
		organisation, body, region string
		sites                      []string
		class                      map[string]estate.SiteClass
		why                        string
	}{
		{"Department for Harbours", "uk.central-department", "", []string{"Harbour"}, map[string]estate.SiteClass{"Harbour": estate.Sensitive}, "Ministers use the harbour office routinely."},
		{"Harbour Town Council", "uk.local-authority", "Harbour Town", []string{"Town hall", "School"}, map[string]estate.SiteClass{"Town hall": estate.Ordinary}, "None of the four tests of UK-DEF is met."},
	} {
		if of[b.organisation] != "" {
			continue
		}
		o, err := e.AddOrganisation(ctx, estate.Organisation{Name: b.organisation, Body: b.body, Region: b.region}, demoBy)
		if err != nil {
			return fmt.Errorf("add organisation %q: %w", b.organisation, err)
		}
		for _, name := range b.sites {
			id := siteID[name]
			if id == "" {
				continue
			}
			s, err := e.Site(ctx, id)
			if err != nil {
				return err
			}
			s.Organisation = o.ID
			if _, err := e.UpdateSite(ctx, s, demoBy, ""); err != nil {
				return fmt.Errorf("give site %q to %q: %w", name, o.Name, err)
			}
			if class := b.class[name]; class != "" {
				if _, err := e.ClassSite(ctx, id, class, demoBy, b.why); err != nil {
					return fmt.Errorf("class site %q: %w", name, err)
				}
			}
		}
	}
	return nil
}

// surveyTown does what a person would do on the first day: scans the town and
// says which of what was found are the cameras that hang there already. What is
// left stays proposed.
func (h *house) surveyTown(ctx context.Context, ranges []string) error {
	select {
	case <-ctx.Done():
		return nil
	case <-h.web.Ready():
	}
	if len(ranges) == 0 {
		return nil
	}
	err := h.survey(ctx, ranges)
	if err != nil && ctx.Err() == nil {
		h.log.Error("scan the town", "err", err)
	}
	return nil
}

func (h *house) survey(ctx context.Context, ranges []string) error {
	scan, err := h.know.Scan(ctx, know.Request{By: demoBy, Ranges: ranges, Rate: townRate}, "")
	if err != nil || scan.State != estate.ScanDone {
		return err
	}
	there, err := h.estate.Devices(ctx, estate.Filter{State: estate.Adopted, Limit: estate.MaxPage})
	if err != nil {
		return err
	}
	at := map[netip.Addr]estate.DeviceID{}
	for _, d := range there.Devices {
		for _, a := range d.Addresses {
			at[a] = d.ID
		}
	}
	found, err := h.estate.Devices(ctx, estate.Filter{Scan: scan.ID, State: estate.Proposed, Limit: estate.MaxPage})
	if err != nil {
		return err
	}
	for _, d := range found.Devices {
		if len(d.Addresses) == 0 || at[d.Addresses[0]] == "" {
			continue
		}
		if _, err := h.estate.Merge(ctx, at[d.Addresses[0]], d.ID, demoBy, "the camera at this address"); err != nil {
			return err
		}
	}
	return h.tellAge(ctx)
}

// townRate is fast: the town is on this machine, and nobody else's.
const townRate = 500

// tellAge says of the harbour's cameras when they were put up, and which one
// hangs on the core network: so that something is asked of them.
func (h *house) tellAge(ctx context.Context) error {
	page, err := h.estate.Devices(ctx, estate.Filter{Site: "harbour", State: estate.Adopted})
	if err != nil {
		return err
	}
	for i, d := range page.Devices {
		if !d.Deployed.IsZero() {
			continue
		}
		_, err := h.estate.UpdateDevice(ctx, d.ID, func(d *estate.Device) {
			d.Network, d.Exposure = estate.NetworkIsolated, estate.ExposureInternal
			d.Deployed = time.Date(2021+2*(i%2), 3, 15, 0, 0, 0, 0, time.UTC)
			d.Cost, d.Currency = 42_000, "GBP"
			if i == 0 {
				d.Network = estate.NetworkCore
			}
		}, demoBy, "from the asset register")
		if err != nil {
			return err
		}
	}
	return nil
}

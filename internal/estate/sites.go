package estate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Site is a place with devices.
type Site struct {
	ID           string    `json:"id"`
	Name         string    `json:"name"`
	Organisation string    `json:"organisation,omitempty"` // ID; "": whose it is is not known
	Class        SiteClass `json:"class"`
	ClassReason  string    `json:"class_reason,omitempty"` // in the words of who classed it
	ClassedBy    string    `json:"classed_by,omitempty"`
	ClassedAt    time.Time `json:"classed_at,omitzero"`
	Address      string    `json:"address,omitempty"`
}

// SiteClass says whether rules for sensitive sites apply. The United Kingdom's
// definition is in a Minister's answer of 9 April 2024: a site that routinely
// holds material of SECRET or above, is a place of work of many officials with
// developed vetting, is routinely used by ministers, or is protected under the
// Serious Organised Crime and Police Act 2005.
type SiteClass string

// The classes. What nobody has decided is undetermined, never ordinary.
const (
	Sensitive    SiteClass = "sensitive"
	Ordinary     SiteClass = "ordinary"
	Undetermined SiteClass = "undetermined"
)

const (
	maxReason      = 2000 // bytes
	maxSiteAddress = 300
)

// Sites returns all sites by name.
func (e *Estate) Sites(ctx context.Context) ([]Site, error) {
	sites, err := selectSites(ctx, pool{e.db})
	if err != nil {
		return nil, fmt.Errorf("list sites: %w", err)
	}
	return sites, nil
}

// Site returns one site, or [ErrNotFound].
func (e *Estate) Site(ctx context.Context, id string) (Site, error) {
	s, err := oneSite(ctx, pool{e.db}, id)
	if err != nil {
		return s, fmt.Errorf("site %q: %w", id, err)
	}
	return s, nil
}

// AddSite makes a site. Its ID comes from its name and never changes. Where
// there is one organisation, the site is its.
func (e *Estate) AddSite(ctx context.Context, name string) (Site, error) {
	var site Site
	err := e.tx(ctx, func(tx querier) (err error) {
		site, err = e.addSite(ctx, tx, Site{Name: name}, "")
		return err
	})
	if err != nil {
		return Site{}, fmt.Errorf("add site %q: %w", name, err)
	}
	return site, nil
}

// MakeSite is [Estate.AddSite] with an organisation and an address. Its class
// has a door of its own, [Estate.ClassSite].
func (e *Estate) MakeSite(ctx context.Context, s Site, by string) (Site, error) {
	err := e.tx(ctx, func(tx querier) (err error) {
		s, err = e.addSite(ctx, tx, Site{Name: s.Name, Organisation: s.Organisation, Address: s.Address}, by)
		return err
	})
	if err != nil {
		return Site{}, fmt.Errorf("make site %q: %w", s.Name, err)
	}
	return s, nil
}

// addSite takes s.ID when it is given, free and an ID.
func (e *Estate) addSite(ctx context.Context, q querier, s Site, by string) (Site, error) {
	if s.Organisation == "" {
		all, err := selectOrganisations(ctx, q)
		if err != nil {
			return s, err
		}
		if len(all) == 1 {
			s.Organisation = all[0].ID
		}
	}
	wanted := s.ID
	s.ID = ""
	s, err := checkSite(ctx, q, s)
	if err != nil {
		return s, err
	}
	if s.ID, err = takeID(ctx, q, "estate_sites", wanted, slug(s.Name, "site")); err != nil {
		return s, err
	}
	if err := insertSite(ctx, q, s, e.now()); err != nil {
		return s, err
	}
	return s, e.note(ctx, q, Change{Subject: "site", ID: s.ID, What: "added", To: s.Name, By: by})
}

// UpdateSite changes a site's name, organisation and address. Its class has a
// door of its own, [Estate.ClassSite].
func (e *Estate) UpdateSite(ctx context.Context, s Site, by, why string) (Site, error) {
	err := e.tx(ctx, func(tx querier) error {
		old, err := oneSite(ctx, tx, s.ID)
		if err != nil {
			return err
		}
		s.Class, s.ClassReason, s.ClassedBy, s.ClassedAt = old.Class, old.ClassReason, old.ClassedBy, old.ClassedAt
		if s, err = checkSite(ctx, tx, s); err != nil {
			return err
		}
		if err := e.moveSite(ctx, tx, old, s); err != nil {
			return err
		}
		return e.storeSite(ctx, tx, old, s, by, why)
	})
	if err != nil {
		return Site{}, fmt.Errorf("update site %q: %w", s.ID, err)
	}
	return s, nil
}

// ClassSite says how sensitive a site is. Who decides gives the reason: others
// will be refused a camera because of it.
func (e *Estate) ClassSite(ctx context.Context, id string, class SiteClass, by, why string) (Site, error) {
	var s Site
	err := e.tx(ctx, func(tx querier) error {
		old, err := oneSite(ctx, tx, id)
		if err != nil {
			return err
		}
		s = old
		s.Class, s.ClassReason, s.ClassedBy, s.ClassedAt = class, why, by, e.now().UTC()
		if s, err = checkSite(ctx, tx, s); err != nil {
			return err
		}
		if s.ClassReason == "" {
			return invalid("reason", "missing", "")
		}
		return e.storeSite(ctx, tx, old, s, by, why)
	})
	if err != nil {
		return Site{}, fmt.Errorf("class site %q: %w", id, err)
	}
	return s, nil
}

func checkSite(ctx context.Context, q querier, s Site) (Site, error) {
	var err error
	if s.Name, err = cleanName("site", s.Name); err != nil {
		return s, err
	}
	if s.Address, err = cleanText("address", s.Address, maxSiteAddress); err != nil {
		return s, err
	}
	if s.ClassReason, err = cleanText("reason", s.ClassReason, maxReason); err != nil {
		return s, err
	}
	switch s.Class {
	case "":
		s.Class = Undetermined
	case Sensitive, Ordinary, Undetermined:
	default:
		return s, invalid("class", "class", clip(string(s.Class)))
	}
	if s.Organisation != "" {
		if known, err := idTaken(ctx, q, "estate_organisations", s.Organisation); err != nil {
			return s, err
		} else if !known {
			return s, invalid("organisation", "unknown", s.Organisation)
		}
	}
	sites, err := selectSites(ctx, q)
	if err != nil {
		return s, err
	}
	for _, other := range sites {
		if other.ID != s.ID && strings.EqualFold(other.Name, s.Name) {
			return s, invalid("site", "duplicate-site", other.Name)
		}
	}
	return s, nil
}

// moveSite takes a site's devices to another organisation.
func (e *Estate) moveSite(ctx context.Context, q querier, old, s Site) error {
	if old.Organisation == s.Organisation {
		return nil
	}
	was, err := sitePlace(ctx, q, old)
	if err != nil {
		return err
	}
	became, err := sitePlace(ctx, q, s)
	if err != nil {
		return err
	}
	return replace(ctx, q, was, became)
}

func sitePlace(ctx context.Context, q querier, s Site) (string, error) {
	if s.Organisation == "" {
		return placeOf("", s.ID), nil
	}
	o, err := oneOrganisation(ctx, q, s.Organisation)
	return placeOf(o.Path, s.ID), err
}

func (e *Estate) storeSite(ctx context.Context, q querier, old, s Site, by, why string) error {
	if err := updateSite(ctx, q, s); err != nil {
		return err
	}
	for _, f := range []struct{ what, was, became string }{
		{"name", old.Name, s.Name},
		{"organisation", old.Organisation, s.Organisation},
		{"address", old.Address, s.Address},
		{"class", string(old.Class), string(s.Class)},
		{"class reason", old.ClassReason, s.ClassReason},
	} {
		if err := e.note(ctx, q, Change{Subject: "site", ID: s.ID, What: f.what, From: f.was, To: f.became, By: by, Why: why}); err != nil {
			return err
		}
	}
	return nil
}

const siteColumns = `id, name, organisation, class, class_reason, classed_by, classed_at, address`

func selectSites(ctx context.Context, q querier) ([]Site, error) {
	rows, err := q.QueryContext(ctx, `SELECT `+siteColumns+` FROM estate_sites ORDER BY name, id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var sites []Site
	for rows.Next() {
		s, err := scanSite(rows)
		if err != nil {
			return nil, err
		}
		sites = append(sites, s)
	}
	return sites, rows.Err()
}

func oneSite(ctx context.Context, q querier, id string) (Site, error) {
	s, err := scanSite(q.QueryRowContext(ctx, `SELECT `+siteColumns+` FROM estate_sites WHERE id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return s, ErrNotFound
	}
	return s, err
}

func scanSite(row interface{ Scan(...any) error }) (Site, error) {
	var s Site
	var at int64
	err := row.Scan(&s.ID, &s.Name, &s.Organisation, &s.Class, &s.ClassReason, &s.ClassedBy, &at, &s.Address)
	s.ClassedAt = moment(at)
	return s, err
}

func insertSite(ctx context.Context, q querier, s Site, now time.Time) error {
	_, err := q.ExecContext(ctx, `INSERT INTO estate_sites (`+siteColumns+`, created) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		s.ID, s.Name, s.Organisation, string(s.Class), s.ClassReason, s.ClassedBy, stamp(s.ClassedAt), s.Address, micro(now))
	return err
}

func updateSite(ctx context.Context, q querier, s Site) error {
	_, err := q.ExecContext(ctx, `UPDATE estate_sites SET name = $2, organisation = $3, class = $4, class_reason = $5,
		classed_by = $6, classed_at = $7, address = $8 WHERE id = $1`,
		s.ID, s.Name, s.Organisation, string(s.Class), s.ClassReason, s.ClassedBy, stamp(s.ClassedAt), s.Address)
	return err
}

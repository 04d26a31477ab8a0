package estate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Organisation is a body that has sites: it is who a rule obliges. They form a
// tree; a site belongs to at most one.
type Organisation struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Body is the kind of body in law, such as "uk.central-department" or
	// "uk.local-authority"; package policy lists those it knows. "" is not
	// known, and then no rule can be said not to bind it.
	Body   string `json:"body,omitempty"`
	Parent string `json:"parent,omitempty"` // ID; "" at the top of the tree
	Path   string `json:"-"`                // IDs from the root to here: "dept/agency"
	Sector string `json:"sector,omitempty"` // in a person's words
	Region string `json:"region,omitempty"` // in a person's words
}

// maxDepth bounds the tree of organisations.
const maxDepth = 8

// bodyShape is a country or alliance, a dot, and what the body is there.
var bodyShape = regexp.MustCompile(`^[a-z]{2,8}(\.[a-z0-9]+(-[a-z0-9]+)*){1,4}$`)

// Organisations returns the tree, parents before their children.
func (e *Estate) Organisations(ctx context.Context) ([]Organisation, error) {
	all, err := selectOrganisations(ctx, pool{e.db})
	if err != nil {
		return nil, fmt.Errorf("list organisations: %w", err)
	}
	return all, nil
}

// Organisation returns one, or [ErrNotFound].
func (e *Estate) Organisation(ctx context.Context, id string) (Organisation, error) {
	o, err := oneOrganisation(ctx, pool{e.db}, id)
	if err != nil {
		return o, fmt.Errorf("organisation %q: %w", id, err)
	}
	return o, nil
}

// Above returns the organisations a site belongs to, its own first, then those
// above it; none for a site that belongs to nobody.
func (e *Estate) Above(ctx context.Context, site string) ([]string, error) {
	var path string
	err := e.db.QueryRow(ctx, `SELECT o.path FROM estate_sites s JOIN estate_organisations o ON o.id = s.organisation
		WHERE s.id = $1`, site).Scan(&path)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("organisations above site %q: %w", site, err)
	}
	steps := strings.Split(path, "/")
	slices.Reverse(steps)
	return steps, nil
}

// AddOrganisation makes an organisation. Its ID comes from its name and never
// changes.
func (e *Estate) AddOrganisation(ctx context.Context, o Organisation, by string) (Organisation, error) {
	err := e.tx(ctx, func(tx querier) (err error) {
		o, err = e.addOrganisation(ctx, tx, o, by)
		return err
	})
	if err != nil {
		return Organisation{}, fmt.Errorf("add organisation %q: %w", o.Name, err)
	}
	return o, nil
}

// addOrganisation takes o.ID when it is given, free and an ID.
func (e *Estate) addOrganisation(ctx context.Context, tx querier, o Organisation, by string) (Organisation, error) {
	wanted := o.ID
	o.ID = ""
	o, err := checkOrganisation(ctx, tx, o)
	if err != nil {
		return o, err
	}
	if o.ID, err = takeID(ctx, tx, "estate_organisations", wanted, slug(o.Name, "organisation")); err != nil {
		return o, err
	}
	if o.Path, err = pathUnder(ctx, tx, o); err != nil {
		return o, err
	}
	if err := insertOrganisation(ctx, tx, o, e.now()); err != nil {
		return o, err
	}
	return o, e.note(ctx, tx, Change{Subject: "organisation", ID: o.ID, What: "added", To: o.Name, By: by})
}

// UpdateOrganisation replaces everything but the ID. A new parent takes the
// sites and devices below along.
func (e *Estate) UpdateOrganisation(ctx context.Context, o Organisation, by, why string) (Organisation, error) {
	err := e.tx(ctx, func(tx querier) (err error) {
		o, err = e.updateOrganisation(ctx, tx, o, by, why)
		return err
	})
	if err != nil {
		return Organisation{}, fmt.Errorf("update organisation %q: %w", o.ID, err)
	}
	return o, nil
}

func (e *Estate) updateOrganisation(ctx context.Context, tx querier, o Organisation, by, why string) (Organisation, error) {
	old, err := oneOrganisation(ctx, tx, o.ID)
	if err != nil {
		return o, err
	}
	if o, err = checkOrganisation(ctx, tx, o); err != nil {
		return o, err
	}
	if o.Path, err = pathUnder(ctx, tx, o); err != nil {
		return o, err
	}
	if err := updateOrganisation(ctx, tx, o); err != nil {
		return o, err
	}
	if o.Path != old.Path {
		if err := e.repath(ctx, tx, old.Path, o.Path); err != nil {
			return o, err
		}
	}
	for _, f := range []struct{ what, was, became string }{
		{"name", old.Name, o.Name},
		{"body", old.Body, o.Body},
		{"parent", old.Parent, o.Parent},
		{"sector", old.Sector, o.Sector},
		{"region", old.Region, o.Region},
	} {
		if err := e.note(ctx, tx, Change{Subject: "organisation", ID: o.ID, What: f.what, From: f.was, To: f.became, By: by, Why: why}); err != nil {
			return o, err
		}
	}
	return o, nil
}

func checkOrganisation(ctx context.Context, q querier, o Organisation) (Organisation, error) {
	var err error
	if o.Name, err = cleanName("organisation", o.Name); err != nil {
		return o, err
	}
	for field, text := range map[string]*string{"sector": &o.Sector, "region": &o.Region} {
		if *text, err = cleanText(field, *text, maxName); err != nil {
			return o, err
		}
	}
	o.Body = strings.TrimSpace(o.Body)
	if o.Body != "" && (len(o.Body) > 64 || !bodyShape.MatchString(o.Body)) {
		return o, invalid("body", "body", clip(o.Body))
	}
	all, err := selectOrganisations(ctx, q)
	if err != nil {
		return o, err
	}
	for _, other := range all {
		if other.ID != o.ID && other.Parent == o.Parent && strings.EqualFold(other.Name, o.Name) {
			return o, invalid("organisation", "duplicate-site", other.Name)
		}
	}
	return o, nil
}

// pathUnder says where o stands, and refuses a ring.
func pathUnder(ctx context.Context, q querier, o Organisation) (string, error) {
	if o.Parent == "" {
		return o.ID, nil
	}
	parent, err := oneOrganisation(ctx, q, o.Parent)
	if err != nil {
		return "", invalid("parent", "unknown", o.Parent)
	}
	steps := strings.Split(parent.Path, "/")
	for _, s := range steps {
		if s == o.ID {
			return "", invalid("parent", "ring", parent.Name)
		}
	}
	if len(steps) >= maxDepth {
		return "", invalid("parent", "deep", strconv.Itoa(maxDepth))
	}
	return parent.Path + "/" + o.ID, nil
}

// repath moves what stands below an organisation to its new place.
func (e *Estate) repath(ctx context.Context, tx querier, was, became string) error {
	all, err := selectOrganisations(ctx, tx)
	if err != nil {
		return err
	}
	paths := map[string]string{}
	for _, o := range all {
		if rest, below := strings.CutPrefix(o.Path, was+"/"); below {
			o.Path = became + "/" + rest
			if n := strings.Count(o.Path, "/"); n >= maxDepth {
				return invalid("parent", "deep", strconv.Itoa(maxDepth))
			}
			if err := updateOrganisation(ctx, tx, o); err != nil {
				return err
			}
		}
		paths[o.ID] = o.Path
	}
	sites, err := selectSites(ctx, tx)
	if err != nil {
		return err
	}
	for _, s := range sites {
		if p := paths[s.Organisation]; p == became || strings.HasPrefix(p, became+"/") {
			if err := replace(ctx, tx, placeOf(strings.Replace(p, became, was, 1), s.ID), placeOf(p, s.ID)); err != nil {
				return err
			}
		}
	}
	return nil
}

// placeOf is where the devices of a site stand in lists.
func placeOf(path, site string) string {
	switch {
	case site == "":
		return ""
	case path == "":
		return ":" + site
	}
	return path + "/:" + site
}

const organisationColumns = `id, name, body, parent, path, sector, region`

func selectOrganisations(ctx context.Context, q querier) ([]Organisation, error) {
	rows, err := q.QueryContext(ctx, `SELECT `+organisationColumns+` FROM estate_organisations ORDER BY path`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Organisation
	for rows.Next() {
		o, err := scanOrganisation(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, rows.Err()
}

func oneOrganisation(ctx context.Context, q querier, id string) (Organisation, error) {
	o, err := scanOrganisation(q.QueryRowContext(ctx, `SELECT `+organisationColumns+` FROM estate_organisations WHERE id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return o, ErrNotFound
	}
	return o, err
}

func scanOrganisation(row interface{ Scan(...any) error }) (Organisation, error) {
	var o Organisation
	err := row.Scan(&o.ID, &o.Name, &o.Body, &o.Parent, &o.Path, &o.Sector, &o.Region)
	return o, err
}

func insertOrganisation(ctx context.Context, q querier, o Organisation, now time.Time) error {
	_, err := q.ExecContext(ctx, `INSERT INTO estate_organisations (`+organisationColumns+`, created) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		o.ID, o.Name, o.Body, o.Parent, o.Path, o.Sector, o.Region, micro(now))
	return err
}

func updateOrganisation(ctx context.Context, q querier, o Organisation) error {
	_, err := q.ExecContext(ctx, `UPDATE estate_organisations SET name = $2, body = $3, parent = $4, path = $5, sector = $6, region = $7 WHERE id = $1`,
		o.ID, o.Name, o.Body, o.Parent, o.Path, o.Sector, o.Region)
	return err
}

// idShape is what an ID that comes from outside must look like: it may become
// a folder's name.
var idShape = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// takeID returns the ID wanted, when it is one and free, else one like base.
func takeID(ctx context.Context, q querier, table, wanted, base string) (string, error) {
	if idShape.MatchString(wanted) {
		if taken, err := idTaken(ctx, q, table, wanted); err != nil || !taken {
			return wanted, err
		}
	}
	return freeID(ctx, q, table, base)
}

// tx runs f in a transaction whose statements are prepared once, and tells
// subscribers when it is committed.
func (e *Estate) tx(ctx context.Context, f func(querier) error) error {
	err := e.db.Tx(ctx, func(tx *sql.Tx) error {
		p := &prepared{tx: tx, statements: map[string]*sql.Stmt{}}
		defer p.close()
		return f(p)
	})
	if err == nil {
		e.subs.tell()
	}
	return err
}

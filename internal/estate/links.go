package estate

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Links returns the devices that may be the same as this one and that nobody
// has decided on.
func (e *Estate) Links(ctx context.Context, id DeviceID) ([]Link, error) {
	links, err := selectLinks(ctx, pool{e.db}, `(device = $1 OR other = $1)`, string(id))
	if err != nil {
		return nil, fmt.Errorf("links of device %q: %w", id, err)
	}
	for i := range links {
		if links[i].Other == id {
			links[i].Device, links[i].Other = links[i].Other, links[i].Device
		}
	}
	return links, nil
}

// OpenLinks returns at most limit links of the whole estate, newest first.
func (e *Estate) OpenLinks(ctx context.Context, limit int) ([]Link, error) {
	if limit <= 0 || limit > MaxPage {
		limit = MaxPage
	}
	links, err := selectLinks(ctx, pool{e.db}, `$1 = ''`, "")
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	return links[:min(len(links), limit)], nil
}

func selectLinks(ctx context.Context, q querier, where, arg string) ([]Link, error) {
	rows, err := q.QueryContext(ctx, `SELECT device, other, kind, value, why, at FROM estate_links
		WHERE settled = 0 AND `+where+` ORDER BY at DESC, device, other, kind LIMIT 1000`, arg)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var links []Link
	for rows.Next() {
		var l Link
		var at int64
		if err := rows.Scan(&l.Device, &l.Other, &l.By, &l.Value, &l.Why, &at); err != nil {
			return nil, err
		}
		l.At = moment(at)
		links = append(links, l)
	}
	return links, rows.Err()
}

func insertLink(ctx context.Context, q querier, l Link) error {
	_, err := q.ExecContext(ctx, `INSERT INTO estate_links (device, other, kind, value, why, at, settled) VALUES ($1, $2, $3, $4, $5, $6, 0)
		ON CONFLICT (device, other, kind) DO NOTHING`, string(l.Device), string(l.Other), string(l.By), l.Value, l.Why, stamp(l.At))
	return err
}

// KeepApart records that two linked devices are two.
func (e *Estate) KeepApart(ctx context.Context, a, b DeviceID, by, why string) error {
	err := e.tx(ctx, func(tx querier) error {
		res, err := tx.ExecContext(ctx, `UPDATE estate_links SET settled = $3 WHERE settled = 0
			AND (device = $1 AND other = $2 OR device = $2 AND other = $1)`, string(a), string(b), micro(e.now()))
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return orElse(err, ErrNotFound)
		}
		return e.note(ctx, tx, Change{Subject: "device", ID: string(a), What: "kept apart", To: string(b), By: by, Why: why})
	})
	if err != nil {
		return fmt.Errorf("keep devices %q and %q apart: %w", a, b, err)
	}
	return nil
}

// Merge joins a proposal to the device that it is: keep takes its addresses,
// numbers and evidence, and what was concluded of it where that is surer.
// Nothing moves and nothing is adopted by it.
func (e *Estate) Merge(ctx context.Context, keep, proposal DeviceID, by, why string) (Device, error) {
	var d Device
	err := e.tx(ctx, func(tx querier) (err error) {
		d, err = e.merge(ctx, tx, keep, proposal, by, why)
		return err
	})
	if err != nil {
		return Device{}, fmt.Errorf("merge device %q into %q: %w", proposal, keep, err)
	}
	return d, nil
}

func (e *Estate) merge(ctx context.Context, tx querier, keep, proposal DeviceID, by, why string) (Device, error) {
	old, err := oneDevice(ctx, tx, keep)
	if err != nil {
		return old, err
	}
	gone, err := oneDevice(ctx, tx, proposal)
	if err != nil {
		return old, err
	}
	if keep == proposal || gone.State != Proposed || old.State == Removed {
		return old, invalid("device", "merge", gone.Name)
	}
	after := gone
	after.State, after.Removed, after.WhyRemoved = Removed, e.now().UTC(), "is device "+string(keep)
	after.Addresses, after.MACs, after.Serial, after.CertSHA256 = nil, nil, "", "" // they are the other's now
	if err := e.store(ctx, tx, gone, &after, by, why); err != nil {
		return old, err
	}
	if err := moveEvidence(ctx, tx, proposal, keep); err != nil {
		return old, err
	}
	d := union(old, gone)
	if err := e.store(ctx, tx, old, &d, by, why); err != nil {
		return old, err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE estate_links SET settled = $2 WHERE settled = 0 AND (device = $1 OR other = $1)`, string(proposal), micro(e.now())); err != nil {
		return old, err
	}
	return d, e.note(ctx, tx, Change{Subject: "device", ID: string(keep), What: "merged", From: string(proposal), To: string(keep), By: by, Why: why})
}

// union is d with what other knows.
func union(d, other Device) Device {
	d.Addresses, d.MACs = mergeLists(other.Addresses, d.Addresses), mergeLists(d.MACs, other.MACs)
	d.Serial, d.CertSHA256, d.Hostname = or(d.Serial, other.Serial), or(d.CertSHA256, other.CertSHA256), or(d.Hostname, other.Hostname)
	d.Tag, d.Purpose, d.Kind = or(d.Tag, other.Tag), or(d.Purpose, other.Purpose), Kind(or(string(d.Kind), string(other.Kind)))
	if other.FirstSeen.Before(d.FirstSeen) {
		d.FirstSeen = other.FirstSeen
	}
	if other.LastSeen.After(d.LastSeen) {
		d.LastSeen, d.LastScan = other.LastSeen, other.LastScan
	}
	if other.Identification.Confidence.Rank() > d.Identification.Confidence.Rank() || d.Identification.Maker == "" && d.Identification.Brand == "" {
		d.Identification = other.Identification
	}
	return d
}

func moveEvidence(ctx context.Context, q querier, from, to DeviceID) error {
	newest, err := selectEvidence(ctx, q, from, false)
	if err != nil {
		return err
	}
	if err := upsertSeen(ctx, q, to, newest); err != nil {
		return err
	}
	all, err := selectEvidence(ctx, q, from, true)
	if err != nil {
		return err
	}
	for _, ev := range all {
		if slices.ContainsFunc(newest, func(n Evidence) bool { return n.ID == ev.ID }) {
			continue
		}
		// Whatever is not older than it replaced it.
		if err := upsertEvidence(ctx, q, to, ev, ev.At.Add(-time.Microsecond)); err != nil {
			return err
		}
	}
	if _, err := q.ExecContext(ctx, `DELETE FROM estate_evidence WHERE device = $1`, string(from)); err != nil {
		return err
	}
	return forgetEvidence(ctx, q, to)
}

func orElse(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

package estate

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const deviceColumns = `id, place, site, name, kind, camera, state, addresses, macs, serial, cert_sha256, hostname,
	identification, network, exposure, purpose, tag, cost, currency,
	first_seen, last_seen, deployed, adopted, removed, why_removed, last_scan`

func scanDevice(row interface{ Scan(...any) error }) (Device, error) {
	var d Device
	var addresses, macs, identification string
	var first, last, deployed, adopted, removed int64
	err := row.Scan(&d.ID, &d.Place, &d.Site, &d.Name, &d.Kind, &d.Camera, &d.State, &addresses, &macs, &d.Serial, &d.CertSHA256, &d.Hostname,
		&identification, &d.Network, &d.Exposure, &d.Purpose, &d.Tag, &d.Cost, &d.Currency,
		&first, &last, &deployed, &adopted, &removed, &d.WhyRemoved, &d.LastScan)
	if err != nil {
		return d, err
	}
	d.FirstSeen, d.LastSeen, d.Deployed, d.Adopted, d.Removed = moment(first), moment(last), moment(deployed), moment(adopted), moment(removed)
	for text, into := range map[string]any{addresses: &d.Addresses, macs: &d.MACs, identification: &d.Identification} {
		if err := json.Unmarshal([]byte(text), into); err != nil {
			return d, fmt.Errorf("read device %q: %w", d.ID, err)
		}
	}
	return d, nil
}

func oneDevice(ctx context.Context, q querier, id DeviceID) (Device, error) {
	d, err := scanDevice(q.QueryRowContext(ctx, `SELECT `+deviceColumns+` FROM estate_devices WHERE id = $1`, string(id)))
	if err == sql.ErrNoRows {
		return d, ErrNotFound
	}
	return d, err
}

// deviceOfCamera finds the device that a camera streams from.
func deviceOfCamera(ctx context.Context, q querier, camera string) (Device, error) {
	d, err := scanDevice(q.QueryRowContext(ctx, `SELECT `+deviceColumns+` FROM estate_devices WHERE camera = $1 AND camera <> ''`, camera))
	if err == sql.ErrNoRows {
		return d, ErrNotFound
	}
	return d, err
}

func deviceArgs(d Device) []any {
	i := d.Identification
	return []any{
		string(d.ID), d.Place, d.Site, d.Name, strings.ToLower(d.Name), string(d.Kind), d.Camera, string(d.State),
		encode(d.Addresses), encode(d.MACs), d.Serial, d.CertSHA256, d.Hostname,
		i.Brand, i.Maker, string(i.Confidence), encode(i), string(d.Network), string(d.Exposure), d.Purpose, d.Tag, d.Cost, d.Currency,
		stamp(d.FirstSeen), stamp(d.LastSeen), stamp(d.Deployed), stamp(d.Adopted), stamp(d.Removed), d.WhyRemoved, d.LastScan,
	}
}

func insertDevice(ctx context.Context, q querier, d Device) error {
	_, err := q.ExecContext(ctx, `INSERT INTO estate_devices (id, place, site, name, sorted, kind, camera, state, addresses, macs,
			serial, cert_sha256, hostname, brand, maker, confidence, identification, network, exposure, purpose, tag, cost, currency,
			first_seen, last_seen, deployed, adopted, removed, why_removed, last_scan)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23,
			$24, $25, $26, $27, $28, $29, $30)`, deviceArgs(d)...)
	return err
}

func updateDevice(ctx context.Context, q querier, d Device) error {
	_, err := q.ExecContext(ctx, `UPDATE estate_devices SET place = $2, site = $3, name = $4, sorted = $5, kind = $6, camera = $7,
			state = $8, addresses = $9, macs = $10, serial = $11, cert_sha256 = $12, hostname = $13, brand = $14, maker = $15,
			confidence = $16, identification = $17, network = $18, exposure = $19, purpose = $20, tag = $21, cost = $22, currency = $23,
			first_seen = $24, last_seen = $25, deployed = $26, adopted = $27, removed = $28, why_removed = $29, last_scan = $30
		WHERE id = $1`, deviceArgs(d)...)
	return err
}

// replace moves the devices of one place to another: their site has gone to
// another organisation.
func replace(ctx context.Context, q querier, was, became string) error {
	for _, table := range []string{"estate_devices", "estate_tallies", "estate_days"} {
		if _, err := q.ExecContext(ctx, `UPDATE `+table+` SET place = $2 WHERE place = $1`, was, became); err != nil {
			return err
		}
	}
	return nil
}

func replaceKeys(ctx context.Context, q querier, old Device, id DeviceID, keys []key) error {
	if old.ID != "" {
		if _, err := q.ExecContext(ctx, `DELETE FROM estate_keys WHERE device = $1`, string(id)); err != nil {
			return err
		}
	}
	rows := make([]any, 0, 3*len(keys))
	for _, k := range keys {
		rows = append(rows, string(k.kind), k.value, string(id))
	}
	return insertRows(ctx, q, `INSERT INTO estate_keys (kind, value, device) VALUES `, 3, rows)
}

func replaceWords(ctx context.Context, q querier, old Device, id DeviceID, words []string) error {
	if old.ID != "" {
		if _, err := q.ExecContext(ctx, `DELETE FROM estate_words WHERE device = $1`, string(id)); err != nil {
			return err
		}
	}
	rows := make([]any, 0, 2*len(words))
	for _, w := range words {
		rows = append(rows, w, string(id))
	}
	return insertRows(ctx, q, `INSERT INTO estate_words (word, device) VALUES `, 2, rows)
}

// insertRows inserts rows of some columns in one statement.
func insertRows(ctx context.Context, q querier, head string, columns int, values []any) error {
	if len(values) == 0 {
		return nil
	}
	var b strings.Builder
	b.WriteString(head)
	for i := range values {
		switch {
		case i > 0 && i%columns == 0:
			b.WriteString("), (")
		case i == 0:
			b.WriteByte('(')
		default:
			b.WriteString(", ")
		}
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(i + 1))
	}
	b.WriteByte(')')
	_, err := q.ExecContext(ctx, b.String(), values...)
	return err
}

// facet is what tallies tell apart.
type facet struct{ place, state, maker, confidence, kind string }

func facetOf(d Device) facet {
	return facet{d.Place, string(d.State), d.Identification.Maker, string(d.Identification.Confidence), string(d.Kind)}
}

func addTally(ctx context.Context, q querier, s facet, n int) error {
	_, err := q.ExecContext(ctx, `INSERT INTO estate_tallies (place, state, maker, confidence, kind, n) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (place, state, maker, confidence, kind) DO UPDATE SET n = estate_tallies.n + excluded.n`,
		s.place, s.state, s.maker, s.confidence, s.kind, n)
	return err
}

func addDay(ctx context.Context, q querier, at time.Time, place, event string) error {
	_, err := q.ExecContext(ctx, `INSERT INTO estate_days (day, place, event, n) VALUES ($1, $2, $3, 1)
		ON CONFLICT (day, place, event) DO UPDATE SET n = estate_days.n + 1`, day(at), place, event)
	return err
}

package policy

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/watchward/watchward/internal/db"
)

// schema is the room's, in order; a statement once released never changes.
// Devices and sites are named by ID, and not referred to: a finding outlives
// the device that it was of.
var schema = []string{
	`CREATE TABLE policy_findings (
		id          TEXT PRIMARY KEY,
		device      TEXT NOT NULL,
		site        TEXT NOT NULL,
		name        TEXT NOT NULL, -- of the device, when it was last judged
		restriction TEXT NOT NULL,
		clause      TEXT NOT NULL,
		action      TEXT NOT NULL,
		force       TEXT NOT NULL,
		state       TEXT NOT NULL, -- open, waived, resolved
		waiver      TEXT NOT NULL, -- while waived
		reasons     TEXT NOT NULL, -- JSON
		opened      BIGINT NOT NULL,
		changed     BIGINT NOT NULL,
		due         BIGINT NOT NULL,
		UNIQUE (device, clause)
	)`,
	`CREATE INDEX policy_findings_state ON policy_findings (state, site)`,
	// Written once, never changed.
	`CREATE TABLE policy_finding_history (
		finding TEXT NOT NULL REFERENCES policy_findings (id),
		n       BIGINT NOT NULL,
		at      BIGINT NOT NULL,
		what    TEXT NOT NULL,
		who     TEXT NOT NULL,
		because TEXT NOT NULL, -- JSON
		PRIMARY KEY (finding, n)
	)`,
	// text is what was signed: the other columns are there to be found by.
	`CREATE TABLE policy_waivers (
		id          TEXT PRIMARY KEY,
		device      TEXT NOT NULL,
		site        TEXT NOT NULL,
		until       BIGINT NOT NULL,
		made        BIGINT NOT NULL,
		text        TEXT NOT NULL,
		signature   BLOB NOT NULL,
		revoked     BIGINT NOT NULL,
		revoked_by  TEXT NOT NULL,
		revoked_why TEXT NOT NULL
	)`,
	`CREATE INDEX policy_waivers_device ON policy_waivers (device, site)`,
	// Kept when another takes their place: the last that holds is the one.
	`CREATE TABLE policy_decisions (
		id   TEXT PRIMARY KEY,
		made BIGINT NOT NULL,
		text TEXT NOT NULL -- JSON
	)`,
	`CREATE TABLE policy_steps (
		device      TEXT PRIMARY KEY,
		planned     BIGINT NOT NULL, -- 0: nobody said when
		cost        BIGINT NOT NULL, -- smallest unit of the currency
		currency    TEXT NOT NULL,
		replacement TEXT NOT NULL,
		note        TEXT NOT NULL,
		who         TEXT NOT NULL,
		changed     BIGINT NOT NULL
	)`,
	// rank is of the force: lists show the gravest first, a page at a time.
	`ALTER TABLE policy_findings ADD COLUMN rank BIGINT NOT NULL DEFAULT 0`,
	`UPDATE policy_findings SET rank = CASE force WHEN 'must' THEN 4 WHEN 'should' THEN 3 ELSE 0 END`,
	`CREATE INDEX policy_findings_list ON policy_findings (state, rank DESC, opened, id)`,
	`CREATE INDEX policy_findings_order ON policy_findings (rank DESC, opened, id, state, site)`,
	`CREATE INDEX policy_findings_counts ON policy_findings (state, force, site)`,
	// The maker, when it was last judged: filled in when next it is. Whatever a
	// list is narrowed to stands in the index that has its order, so that one
	// which finds little need not look at rows.
	`ALTER TABLE policy_findings ADD COLUMN maker TEXT NOT NULL DEFAULT ''`,
	`DROP INDEX policy_findings_state`,
	`DROP INDEX policy_findings_list`,
	`DROP INDEX policy_findings_order`,
	`CREATE INDEX policy_findings_by_state ON policy_findings (state, rank DESC, opened, id, site, maker)`,
	`CREATE INDEX policy_findings_in_order ON policy_findings (rank DESC, opened, id, state, site, maker)`,
}

// querier is what a transaction and the database have in common.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// pool reads outside a transaction, so that lists do not wait for writers.
type pool struct{ db *db.DB }

func (p pool) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return p.db.Query(ctx, query, args...)
}

func (p pool) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return p.db.QueryRow(ctx, query, args...)
}

// micro writes a time; none is 0.
func micro(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// moment reads one.
func moment(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

const findingColumns = `id, device, site, name, restriction, clause, action, force, state, waiver, reasons, opened, changed, due, maker`

func selectFindings(ctx context.Context, q querier, where string, args ...any) ([]Finding, error) {
	rows, err := q.QueryContext(ctx, `SELECT `+findingColumns+` FROM policy_findings `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Finding
	for rows.Next() {
		var f Finding
		var reasons string
		var opened, changed, due int64
		err := rows.Scan(&f.ID, &f.Device, &f.Site, &f.Name, &f.Restriction, &f.Clause, &f.Action, &f.Force, &f.State, &f.Waiver, &reasons, &opened, &changed, &due, &f.Maker)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(reasons), &f.Because); err != nil {
			return nil, err
		}
		f.Opened, f.Changed, f.Due = moment(opened), moment(changed), moment(due)
		all = append(all, f)
	}
	return all, rows.Err()
}

// upsertFinding writes a finding, and a line of its history if what is given.
func upsertFinding(ctx context.Context, tx *sql.Tx, f Finding, what, who string, because []Reason) error {
	reasons, err := json.Marshal(f.Because)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO policy_findings (`+findingColumns+`, rank)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
		ON CONFLICT (id) DO UPDATE SET rank = excluded.rank, site = excluded.site, name = excluded.name, maker = excluded.maker, force = excluded.force, state = excluded.state,
			waiver = excluded.waiver, reasons = excluded.reasons, opened = excluded.opened, changed = excluded.changed, due = excluded.due`,
		f.ID, f.Device, f.Site, f.Name, f.Restriction, f.Clause, f.Action, f.Force, f.State, f.Waiver, string(reasons),
		micro(f.Opened), micro(f.Changed), micro(f.Due), f.Maker, f.Force.Rank())
	if err != nil || what == "" {
		return err
	}
	text, err := json.Marshal(because)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO policy_finding_history (finding, n, at, what, who, because)
		SELECT $1, coalesce(max(n), 0) + 1, $2, $3, $4, $5 FROM policy_finding_history WHERE finding = $1`,
		f.ID, micro(f.Changed), what, who, string(text))
	return err
}

func selectHistory(ctx context.Context, q querier, finding string) ([]FindingChange, error) {
	rows, err := q.QueryContext(ctx, `SELECT at, what, who, because FROM policy_finding_history WHERE finding = $1 ORDER BY n`, finding)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []FindingChange
	for rows.Next() {
		var c FindingChange
		var at int64
		var because string
		if err := rows.Scan(&at, &c.What, &c.Who, &because); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(because), &c.Because); err != nil {
			return nil, err
		}
		c.At = moment(at)
		all = append(all, c)
	}
	return all, rows.Err()
}

func insertWaiver(ctx context.Context, tx *sql.Tx, w Waiver, text string, signature []byte) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO policy_waivers (id, device, site, until, made, text, signature, revoked, revoked_by, revoked_why)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 0, '', '')`,
		w.ID, w.Device, w.Site, micro(w.Until.Time), micro(w.Made), text, signature)
	return err
}

// waiverRow is a waiver as stored, before its signature was looked at.
type waiverRow struct {
	id, device, site, text, revokedBy, revokedWhy string
	until, made, revoked                          int64
	signature                                     []byte
}

func selectWaivers(ctx context.Context, q querier, where string, args ...any) ([]waiverRow, error) {
	rows, err := q.QueryContext(ctx, `SELECT id, device, site, until, made, text, signature, revoked, revoked_by, revoked_why FROM policy_waivers `+where+` ORDER BY made DESC, id`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []waiverRow
	for rows.Next() {
		var w waiverRow
		if err := rows.Scan(&w.id, &w.device, &w.site, &w.until, &w.made, &w.text, &w.signature, &w.revoked, &w.revokedBy, &w.revokedWhy); err != nil {
			return nil, err
		}
		all = append(all, w)
	}
	return all, rows.Err()
}

func revokeWaiver(ctx context.Context, tx *sql.Tx, w Waiver, text string, signature []byte) error {
	_, err := tx.ExecContext(ctx, `UPDATE policy_waivers SET revoked = $2, revoked_by = $3, revoked_why = $4, text = $5, signature = $6 WHERE id = $1`,
		w.ID, micro(w.Revoked), w.RevokedBy, w.RevokedWhy, text, signature)
	return err
}

func selectDecisions(ctx context.Context, q querier) ([]Decision, error) {
	rows, err := q.QueryContext(ctx, `SELECT text FROM policy_decisions ORDER BY made, id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Decision
	for rows.Next() {
		var text string
		var d Decision
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(text), &d); err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, rows.Err()
}

func insertDecision(ctx context.Context, tx *sql.Tx, id string, d Decision, made time.Time) error {
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO policy_decisions (id, made, text) VALUES ($1, $2, $3)`, id, micro(made), string(text))
	return err
}

func selectSteps(ctx context.Context, q querier) (map[string]Step, error) {
	rows, err := q.QueryContext(ctx, `SELECT device, planned, cost, currency, replacement, note, who, changed FROM policy_steps`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := map[string]Step{}
	for rows.Next() {
		var s Step
		var planned, changed int64
		if err := rows.Scan(&s.Device, &planned, &s.Cost, &s.Currency, &s.Replacement, &s.Note, &s.By, &changed); err != nil {
			return nil, err
		}
		s.Planned, s.Changed = moment(planned), moment(changed)
		all[s.Device] = s
	}
	return all, rows.Err()
}

func upsertStep(ctx context.Context, tx *sql.Tx, s Step) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO policy_steps (device, planned, cost, currency, replacement, note, who, changed)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (device) DO UPDATE SET planned = excluded.planned, cost = excluded.cost, currency = excluded.currency,
			replacement = excluded.replacement, note = excluded.note, who = excluded.who, changed = excluded.changed`,
		s.Device, micro(s.Planned), s.Cost, s.Currency, s.Replacement, s.Note, s.By, micro(s.Changed))
	return err
}

// oneFinding returns a finding, or [ErrNotFound].
func oneFinding(ctx context.Context, q querier, id string) (Finding, error) {
	all, err := selectFindings(ctx, q, `WHERE id = $1`, id)
	if err == nil && len(all) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Finding{}, err
	}
	return all[0], nil
}

// ErrNotFound means that there is no finding or waiver of this ID.
var ErrNotFound = errors.New("not found")

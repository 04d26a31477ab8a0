package estate

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// Scan is one search of a network, on record: who let it run, where, how fast,
// and what it found.
type Scan struct {
	ID      string         `json:"id"` // ours to set: a number
	By      string         `json:"by"`
	Site    string         `json:"site,omitempty"` // where what it finds hangs; "" is not known
	Ranges  []string       `json:"ranges"`         // as typed: "10.0.0.0/24", "import nmap.xml"
	Rate    int            `json:"rate,omitempty"` // packets a second for each range, at most
	State   string         `json:"state"`          // "running", "done", "stopped", "failed"
	Counts  map[string]int `json:"counts,omitempty"`
	Trouble string         `json:"trouble,omitempty"` // why it failed
	Started time.Time      `json:"started"`
	Ended   time.Time      `json:"ended,omitzero"`
}

// The states of a scan.
const (
	ScanRunning = "running"
	ScanDone    = "done"
	ScanStopped = "stopped"
	ScanFailed  = "failed"
)

const maxRanges = 1000

// BeginScan puts a scan on record, before its first packet. ID, State and
// Started are ours to set.
func (e *Estate) BeginScan(ctx context.Context, s Scan) (Scan, error) {
	err := e.tx(ctx, func(tx querier) error {
		if s.Site != "" {
			if known, err := idTaken(ctx, tx, "estate_sites", s.Site); err != nil {
				return err
			} else if !known {
				return invalid("site", "unknown", s.Site)
			}
		}
		switch {
		case len(s.Ranges) == 0:
			return invalid("ranges", "missing", "")
		case len(s.Ranges) > maxRanges:
			return invalid("ranges", "too-many", strconv.Itoa(maxRanges))
		}
		s.State, s.Started, s.Ended = ScanRunning, e.now().UTC(), time.Time{}
		var n int64
		if err := tx.QueryRowContext(ctx, `SELECT count(*) + 1 FROM estate_scans`).Scan(&n); err != nil {
			return err
		}
		s.ID = strconv.FormatInt(n, 10)
		return insertScan(ctx, tx, s)
	})
	if err != nil {
		return Scan{}, fmt.Errorf("begin scan: %w", err)
	}
	return s, nil
}

// UpdateScan writes how far a scan is: its State, Counts and Trouble. One that
// ended stays as it is.
func (e *Estate) UpdateScan(ctx context.Context, s Scan) (Scan, error) {
	err := e.tx(ctx, func(tx querier) error {
		old, err := oneScan(ctx, tx, s.ID)
		if err != nil {
			return err
		}
		switch s.State {
		case ScanRunning:
		case ScanDone, ScanStopped, ScanFailed:
			s.Ended = e.now().UTC()
		default:
			return invalid("state", "word", clip(s.State))
		}
		if old.State != ScanRunning {
			return invalid("state", "ended", old.ID)
		}
		old.State, old.Counts, old.Trouble, old.Ended = s.State, s.Counts, cut(s.Trouble, maxReason), s.Ended
		s = old
		_, err = tx.ExecContext(ctx, `UPDATE estate_scans SET state = $2, counts = $3, trouble = $4, ended = $5 WHERE id = $1`,
			s.ID, s.State, encode(s.Counts), s.Trouble, stamp(s.Ended))
		return err
	})
	if err != nil {
		return Scan{}, fmt.Errorf("update scan %q: %w", s.ID, err)
	}
	return s, nil
}

// Scan returns one scan, or [ErrNotFound].
func (e *Estate) Scan(ctx context.Context, id string) (Scan, error) {
	s, err := oneScan(ctx, pool{e.db}, id)
	if err != nil {
		return s, fmt.Errorf("scan %q: %w", id, err)
	}
	return s, nil
}

// Scans returns at most limit scans, newest first, that began before a time;
// the zero time is now.
func (e *Estate) Scans(ctx context.Context, before time.Time, limit int) ([]Scan, error) {
	if limit <= 0 || limit > MaxPage {
		limit = MaxPage
	}
	if before.IsZero() {
		before = time.Unix(1<<40, 0)
	}
	rows, err := pool{e.db}.QueryContext(ctx, `SELECT `+scanColumns+` FROM estate_scans WHERE started < $1 ORDER BY started DESC, id DESC LIMIT $2`, micro(before), limit)
	if err != nil {
		return nil, fmt.Errorf("list scans: %w", err)
	}
	defer rows.Close()
	var all []Scan
	for rows.Next() {
		s, err := readScan(rows)
		if err != nil {
			return nil, fmt.Errorf("list scans: %w", err)
		}
		all = append(all, s)
	}
	return all, rows.Err()
}

const scanColumns = `id, who, site, ranges, rate, state, counts, trouble, started, ended`

func readScan(row interface{ Scan(...any) error }) (Scan, error) {
	var s Scan
	var ranges, counts string
	var started, ended int64
	if err := row.Scan(&s.ID, &s.By, &s.Site, &ranges, &s.Rate, &s.State, &counts, &s.Trouble, &started, &ended); err != nil {
		return s, err
	}
	s.Started, s.Ended = moment(started), moment(ended)
	if err := json.Unmarshal([]byte(ranges), &s.Ranges); err != nil {
		return s, err
	}
	return s, json.Unmarshal([]byte(counts), &s.Counts)
}

func oneScan(ctx context.Context, q querier, id string) (Scan, error) {
	s, err := readScan(q.QueryRowContext(ctx, `SELECT `+scanColumns+` FROM estate_scans WHERE id = $1`, id))
	if err == sql.ErrNoRows {
		return s, ErrNotFound
	}
	return s, err
}

func insertScan(ctx context.Context, q querier, s Scan) error {
	_, err := q.ExecContext(ctx, `INSERT INTO estate_scans (`+scanColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		s.ID, cut(s.By, maxHistoryText), s.Site, encode(s.Ranges), s.Rate, s.State, encode(s.Counts), s.Trouble, stamp(s.Started), stamp(s.Ended))
	return err
}

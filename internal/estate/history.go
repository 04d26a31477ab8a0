package estate

import (
	"context"
	"fmt"
	"time"
)

// Change is one line of a history: written once, never edited.
type Change struct {
	Subject string    `json:"subject"` // "organisation", "site" or "device"
	ID      string    `json:"id"`
	N       int       `json:"n"` // 1 is the first of its subject
	At      time.Time `json:"at"`
	What    string    `json:"what"` // the field, such as "state" or "site"; "added", "merged"
	From    string    `json:"from,omitempty"`
	To      string    `json:"to,omitempty"`
	By      string    `json:"by"`
	Why     string    `json:"why,omitempty"`
}

// History returns what changed of an organisation, a site or a device, newest
// first, at most limit lines before number before; 0 begins at the newest.
func (e *Estate) History(ctx context.Context, subject, id string, before, limit int) ([]Change, error) {
	if before <= 0 {
		before = 1 << 40
	}
	if limit <= 0 || limit > MaxPage {
		limit = MaxPage
	}
	rows, err := pool{e.db}.QueryContext(ctx, `SELECT n, at, what, was, became, who, why FROM estate_history
		WHERE subject = $1 AND id = $2 AND n < $3 ORDER BY n DESC LIMIT $4`, subject, id, before, limit)
	if err != nil {
		return nil, fmt.Errorf("history of %s %q: %w", subject, id, err)
	}
	defer rows.Close()
	var all []Change
	for rows.Next() {
		c := Change{Subject: subject, ID: id}
		var at int64
		if err := rows.Scan(&c.N, &at, &c.What, &c.From, &c.To, &c.By, &c.Why); err != nil {
			return nil, fmt.Errorf("history of %s %q: %w", subject, id, err)
		}
		c.At = moment(at)
		all = append(all, c)
	}
	return all, rows.Err()
}

type actor struct{}

// ActingAs says who acts, for the history of changes whose door does not ask:
// cameras and their import.
func ActingAs(ctx context.Context, who string) context.Context {
	return context.WithValue(ctx, actor{}, who)
}

// maxHistoryText bounds a value in a history, in bytes.
const maxHistoryText = 1024

// note writes a line, unless nothing changed.
func (e *Estate) note(ctx context.Context, q querier, c Change) error {
	if c.From == c.To {
		return nil
	}
	if c.By == "" {
		c.By, _ = ctx.Value(actor{}).(string)
	}
	if c.By == "" {
		c.By = "watchward"
	}
	_, err := q.ExecContext(ctx, `INSERT INTO estate_history (subject, id, n, at, what, was, became, who, why)
		SELECT $1, $2, coalesce(max(n), 0) + 1, $3, $4, $5, $6, $7, $8 FROM estate_history WHERE subject = $1 AND id = $2`,
		c.Subject, c.ID, micro(e.now()), c.What, cut(c.From, maxHistoryText), cut(c.To, maxHistoryText), cut(c.By, maxHistoryText), cut(c.Why, maxHistoryText))
	return err
}

// cut shortens a text to at most n bytes, at a character's end.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}

// moment reads a stored time; 0 is none.
func moment(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// stamp writes a time; none is 0.
func stamp(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

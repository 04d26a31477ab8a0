package db

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Apply brings the tables of a room up to its schema: the statements that were
// not applied yet run, in order, in one transaction. A schema only grows at
// its end: a statement that was ever released is never changed or removed.
//
// The error wraps [ErrNewer] when the file knows more steps than the schema,
// [ErrChanged] when it knows another one in the same place.
func (d *DB) Apply(ctx context.Context, room string, schema []string) error {
	return d.Tx(ctx, func(tx *sql.Tx) error {
		done, err := applied(ctx, tx, room)
		if err != nil {
			return fmt.Errorf("read schema of %q: %w", room, err)
		}
		if len(done) > len(schema) {
			return fmt.Errorf("schema of %q has %d steps, the file %d: %w: use that version, or restore the backup made before it",
				room, len(schema), len(done), ErrNewer)
		}
		for i, statement := range schema {
			if i < len(done) {
				if done[i] != statement {
					return fmt.Errorf("schema of %q, step %d: %w", room, i+1, ErrChanged)
				}
				continue
			}
			if err := apply(ctx, tx, room, i+1, statement); err != nil {
				return fmt.Errorf("schema of %q, step %d: %w", room, i+1, err)
			}
		}
		return nil
	})
}

func applied(ctx context.Context, tx *sql.Tx, room string) ([]string, error) {
	rows, err := tx.QueryContext(ctx, `SELECT statement FROM db_schema WHERE room = $1 ORDER BY step`, room)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var done []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		done = append(done, s)
	}
	return done, rows.Err()
}

func apply(ctx context.Context, tx *sql.Tx, room string, step int, statement string) error {
	if _, err := tx.ExecContext(ctx, statement); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO db_schema (room, step, statement, applied_us) VALUES ($1, $2, $3, $4)`,
		room, step, statement, time.Now().UnixMicro())
	return err
}

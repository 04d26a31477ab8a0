// Package db opens the one database file of a Watchward and applies each
// room's tables to it.
//
// A room calls [DB.Apply] with its schema when it opens, then [DB.Tx] to change
// rows and [DB.Query], [DB.QueryRow] to read them. SQL is written so that it
// means the same to SQLite and PostgreSQL: $1 parameters, no vendor functions,
// times as BIGINT microseconds of Unix time, ids made by us.
//
// # What hurts
//
// There is one writer at a time: a transaction that waits for a disk or a
// camera stops everybody else's. Rows are the index of things that lie on disk
// elsewhere, so the file is opened with synchronous=NORMAL: a power cut may
// take the last rows back, never tear the file. Rooms that cannot bear that
// must be able to find their rows again, as package archive does.
package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"modernc.org/sqlite" // the SQLite driver, registered under the name "sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

var (
	// ErrNewer means that a newer Watchward has written the file.
	ErrNewer = errors.New("database was written by a newer version")
	// ErrChanged means that a step of a schema reads differently now than when
	// it was applied: schemas only ever grow at the end.
	ErrChanged = errors.New("schema step was changed after it had been applied")
	// ErrCorrupt means that the file is damaged or no database at all.
	ErrCorrupt = errors.New("database file is damaged")
)

// readers is how many connections may read at the same time, beside the one
// that writes.
const readers = 4

// DB is an open database. Its methods may be called from any goroutine.
type DB struct {
	path  string
	write *sql.DB // one connection
	read  *sql.DB // query_only
}

// Open opens the file at path, making it and its folder if need be.
func Open(ctx context.Context, path string) (*DB, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("open database %q: %w", path, err)
	}
	// The file holds password hashes; SQLite would make it readable to all.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open database %q: %w", path, err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("open database %q: %w", path, err)
	}
	d := &DB{path: path}
	if d.write, err = connect(path, 1); err != nil {
		return nil, fmt.Errorf("open database %q: %w", path, err)
	}
	if d.read, err = connect(path, readers, "query_only(1)"); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %q: %w", path, err), d.write.Close())
	}
	if err := d.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %q: %w", path, explain(err)), d.Close())
	}
	return d, nil
}

// connect makes a pool. The order of pragmas matters: the busy timeout first,
// so that the others wait for a writer in another process.
func connect(path string, conns int, pragmas ...string) (*sql.DB, error) {
	q := url.Values{"_txlock": {"immediate"}}
	for _, p := range append([]string{
		"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(NORMAL)", "foreign_keys(1)",
		"temp_store(MEMORY)", "journal_size_limit(16777216)",
	}, pragmas...) {
		q.Add("_pragma", p)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(abs), RawQuery: q.Encode()}
	pool, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	return pool, nil
}

func (d *DB) prepare(ctx context.Context) error {
	const table = `CREATE TABLE IF NOT EXISTS db_schema (
		room       TEXT   NOT NULL, -- whose tables
		step       BIGINT NOT NULL, -- 1 is the first statement
		statement  TEXT   NOT NULL, -- as applied
		applied_us BIGINT NOT NULL, -- Unix time
		PRIMARY KEY (room, step)
	)`
	_, err := d.write.ExecContext(ctx, table)
	return err
}

// explain turns what SQLite says of a broken file into ErrCorrupt.
func explain(err error) error {
	var e *sqlite.Error
	if errors.As(err, &e) {
		switch e.Code() & 0xff {
		case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
			return fmt.Errorf("%w: move it aside and start again: "+
				"the archive's index is rebuilt from file names, users and cameras come from a backup: %w", ErrCorrupt, err)
		}
	}
	return err
}

// Path is the file that was opened.
func (d *DB) Path() string { return d.path }

// Tx runs f in a transaction that holds the write lock from its beginning. It
// commits when f returns nil and rolls back otherwise.
func (d *DB) Tx(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := d.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin transaction: %w", explain(err))
	}
	defer tx.Rollback() // after a commit this does nothing
	if err := f(tx); err != nil {
		return explain(err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit transaction: %w", explain(err))
	}
	return nil
}

// Exec runs one statement that changes something.
func (d *DB) Exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	r, err := d.write.ExecContext(ctx, query, args...)
	return r, explain(err)
}

// Query reads rows as they were when it was called.
func (d *DB) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	r, err := d.read.QueryContext(ctx, query, args...)
	return r, explain(err)
}

// QueryRow reads at most one row.
func (d *DB) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	return d.read.QueryRowContext(ctx, query, args...)
}

// Check asks SQLite whether the file hangs together. It reads all of it.
func (d *DB) Check(ctx context.Context) error {
	var answer string
	if err := d.QueryRow(ctx, `PRAGMA quick_check(1)`).Scan(&answer); err != nil {
		return fmt.Errorf("check database %q: %w", d.path, explain(err))
	}
	if answer != "ok" {
		return fmt.Errorf("check database %q: %w: %s", d.path, ErrCorrupt, answer)
	}
	return nil
}

// Close waits for running queries. The write-ahead log is folded into the file.
func (d *DB) Close() error {
	return errors.Join(d.read.Close(), d.write.Close())
}

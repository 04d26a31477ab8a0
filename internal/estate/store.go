package estate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/watchward/watchward/internal/db"
)

// schema is the room's, in order; a statement once released never changes.
var schema = []string{
	`CREATE TABLE estate_sites (
		id      TEXT PRIMARY KEY,
		name    TEXT NOT NULL,
		created BIGINT NOT NULL
	)`,
	// Removed cameras keep their row: their ID names folders of the archive.
	`CREATE TABLE estate_cameras (
		id           TEXT PRIMARY KEY,
		site         TEXT NOT NULL REFERENCES estate_sites (id),
		name         TEXT NOT NULL,
		enabled      BIGINT NOT NULL,
		username     TEXT NOT NULL,
		password     BLOB,
		transport    TEXT NOT NULL,
		record_audio BIGINT NOT NULL,
		max_age      BIGINT NOT NULL,
		max_bytes    BIGINT NOT NULL,
		created      BIGINT NOT NULL,
		updated      BIGINT NOT NULL,
		removed      BIGINT NOT NULL DEFAULT 0
	)`,
	`CREATE TABLE estate_streams (
		camera TEXT NOT NULL REFERENCES estate_cameras (id),
		name   TEXT NOT NULL,
		url    TEXT NOT NULL,
		record BIGINT NOT NULL,
		PRIMARY KEY (camera, name)
	)`,
	`CREATE TABLE estate_readers (
		site      TEXT NOT NULL REFERENCES estate_sites (id),
		recipient TEXT NOT NULL,
		name      TEXT NOT NULL,
		added     BIGINT NOT NULL,
		PRIMARY KEY (site, recipient)
	)`,
	`CREATE TABLE estate_settings (
		name  TEXT PRIMARY KEY,
		value TEXT NOT NULL
	)`,
}

// querier is what a transaction and the database have in common.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// pool reads outside a transaction, so that lists do not wait for writers.
type pool struct{ db *db.DB }

func (p pool) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return p.db.Query(ctx, query, args...)
}

func (p pool) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return p.db.QueryRow(ctx, query, args...)
}

func (p pool) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return p.db.Exec(ctx, query, args...)
}

func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func micro(t time.Time) int64 { return t.UnixMicro() }

func selectSites(ctx context.Context, q querier) ([]Site, error) {
	rows, err := q.QueryContext(ctx, `SELECT id, name FROM estate_sites ORDER BY name, id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var sites []Site
	for rows.Next() {
		var s Site
		if err := rows.Scan(&s.ID, &s.Name); err != nil {
			return nil, err
		}
		sites = append(sites, s)
	}
	return sites, rows.Err()
}

func insertSite(ctx context.Context, q querier, s Site, now time.Time) error {
	_, err := q.ExecContext(ctx, `INSERT INTO estate_sites (id, name, created) VALUES ($1, $2, $3)`, s.ID, s.Name, micro(now))
	return err
}

// idTaken looks among removed cameras too.
func idTaken(ctx context.Context, q querier, table, id string) (bool, error) {
	var n int
	err := q.QueryRowContext(ctx, `SELECT count(*) FROM `+table+` WHERE id = $1`, id).Scan(&n)
	return n > 0, err
}

// freeID returns base, or base-2, base-3 … whichever was never used.
func freeID(ctx context.Context, q querier, table, base string) (string, error) {
	for n := 1; n < 100_000; n++ {
		id := base
		if n > 1 {
			id += "-" + strconv.Itoa(n)
		}
		if taken, err := idTaken(ctx, q, table, id); err != nil || !taken {
			return id, err
		}
	}
	return "", fmt.Errorf("find an ID like %q: all are taken", base)
}

const cameraColumns = `id, site, name, enabled, username, password, transport, record_audio, max_age, max_bytes, created, updated`

func (b box) selectCameras(ctx context.Context, q querier, id string) ([]Camera, error) {
	rows, err := q.QueryContext(ctx, `SELECT `+cameraColumns+` FROM estate_cameras
		WHERE removed = 0 AND ($1 = '' OR id = $1) ORDER BY site, name, id`, id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var cameras []Camera
	at := map[string]int{}
	for rows.Next() {
		c, err := b.scanCamera(rows)
		if err != nil {
			return nil, err
		}
		at[c.ID] = len(cameras)
		cameras = append(cameras, c)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return cameras, addStreams(ctx, q, id, cameras, at)
}

func (b box) scanCamera(rows *sql.Rows) (Camera, error) {
	var c Camera
	var enabled, audio, created, updated int64
	var sealed []byte
	err := rows.Scan(&c.ID, &c.Site, &c.Name, &enabled, &c.Username, &sealed, &c.Transport, &audio,
		&c.Retention.MaxAge, &c.Retention.MaxBytes, &created, &updated)
	if err != nil {
		return c, err
	}
	c.Enabled, c.RecordAudio = enabled != 0, audio != 0
	c.Created, c.Updated = time.UnixMicro(created).UTC(), time.UnixMicro(updated).UTC()
	// A password that does not open must not hide the camera.
	c.Password, err = b.open(c.ID, sealed)
	c.PasswordLost = err != nil
	return c, nil
}

func addStreams(ctx context.Context, q querier, id string, cameras []Camera, at map[string]int) error {
	rows, err := q.QueryContext(ctx, `SELECT camera, name, url, record FROM estate_streams
		WHERE $1 = '' OR camera = $1 ORDER BY camera, name`, id)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var camera string
		var s StreamConfig
		var record int64
		if err := rows.Scan(&camera, &s.Name, &s.URL, &record); err != nil {
			return err
		}
		s.Record = record != 0
		if i, ok := at[camera]; ok { // else of a removed camera
			cameras[i].Streams = append(cameras[i].Streams, s)
		}
	}
	return rows.Err()
}

func (b box) insertCamera(ctx context.Context, q querier, c Camera) error {
	_, err := q.ExecContext(ctx, `INSERT INTO estate_cameras (`+cameraColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		c.ID, c.Site, c.Name, number(c.Enabled), c.Username, b.seal(c.ID, c.Password), c.Transport, number(c.RecordAudio),
		int64(c.Retention.MaxAge), c.Retention.MaxBytes, micro(c.Created), micro(c.Updated))
	if err != nil {
		return err
	}
	return insertStreams(ctx, q, c)
}

// updateCamera writes all but the password, which it leaves as it is when the
// camera's says it is lost.
func (b box) updateCamera(ctx context.Context, q querier, c Camera) error {
	_, err := q.ExecContext(ctx, `UPDATE estate_cameras SET site = $2, name = $3, enabled = $4, username = $5,
		transport = $6, record_audio = $7, max_age = $8, max_bytes = $9, updated = $10 WHERE id = $1 AND removed = 0`,
		c.ID, c.Site, c.Name, number(c.Enabled), c.Username, c.Transport, number(c.RecordAudio),
		int64(c.Retention.MaxAge), c.Retention.MaxBytes, micro(c.Updated))
	if err != nil {
		return err
	}
	if !c.PasswordLost {
		if _, err := q.ExecContext(ctx, `UPDATE estate_cameras SET password = $2 WHERE id = $1`, c.ID, b.seal(c.ID, c.Password)); err != nil {
			return err
		}
	}
	if _, err := q.ExecContext(ctx, `DELETE FROM estate_streams WHERE camera = $1`, c.ID); err != nil {
		return err
	}
	return insertStreams(ctx, q, c)
}

func insertStreams(ctx context.Context, q querier, c Camera) error {
	for _, s := range c.Streams {
		_, err := q.ExecContext(ctx, `INSERT INTO estate_streams (camera, name, url, record) VALUES ($1, $2, $3, $4)`,
			c.ID, s.Name, s.URL, number(s.Record))
		if err != nil {
			return err
		}
	}
	return nil
}

// removeCamera forgets everything but that the ID was used.
func removeCamera(ctx context.Context, q querier, id string, now time.Time) (bool, error) {
	res, err := q.ExecContext(ctx, `UPDATE estate_cameras SET removed = $2, password = NULL, username = '', enabled = 0
		WHERE id = $1 AND removed = 0`, id, micro(now))
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	if err != nil || n == 0 {
		return false, err
	}
	_, err = q.ExecContext(ctx, `DELETE FROM estate_streams WHERE camera = $1`, id)
	return true, err
}

// addressOwner returns the name of another camera with the same address.
func addressOwner(ctx context.Context, q querier, url, except string) (string, bool, error) {
	var name string
	err := q.QueryRowContext(ctx, `SELECT c.name FROM estate_streams s JOIN estate_cameras c ON c.id = s.camera
		WHERE s.url = $1 AND c.id <> $2 AND c.removed = 0 LIMIT 1`, url, except).Scan(&name)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	return name, err == nil, err
}

func selectReaders(ctx context.Context, q querier, site string) ([]Reader, error) {
	rows, err := q.QueryContext(ctx, `SELECT recipient, name, added FROM estate_readers WHERE site = $1 ORDER BY added, recipient`, site)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var readers []Reader
	for rows.Next() {
		var r Reader
		var added int64
		if err := rows.Scan(&r.Recipient, &r.Name, &added); err != nil {
			return nil, err
		}
		r.Added = time.UnixMicro(added).UTC()
		readers = append(readers, r)
	}
	return readers, rows.Err()
}

func replaceReaders(ctx context.Context, q querier, site string, readers []Reader) error {
	if _, err := q.ExecContext(ctx, `DELETE FROM estate_readers WHERE site = $1`, site); err != nil {
		return err
	}
	for _, r := range readers {
		_, err := q.ExecContext(ctx, `INSERT INTO estate_readers (site, recipient, name, added) VALUES ($1, $2, $3, $4)`,
			site, r.Recipient, r.Name, micro(r.Added))
		if err != nil {
			return err
		}
	}
	return nil
}

func selectSetting(ctx context.Context, q querier, name string) (string, error) {
	var value string
	err := q.QueryRowContext(ctx, `SELECT value FROM estate_settings WHERE name = $1`, name).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return value, err
}

func upsertSetting(ctx context.Context, q querier, name, value string) error {
	_, err := q.ExecContext(ctx, `INSERT INTO estate_settings (name, value) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
	return err
}

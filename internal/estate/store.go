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

const cameraColumns = `id, site, name, enabled, username, password, transport, record_audio, max_age, max_bytes, created, updated, pin`

// A camera whose device is not adopted must not stream, however that came
// about.
const camerasAndDevices = `SELECT c.id, c.site, c.name, CASE WHEN d.state = 'adopted' THEN c.enabled ELSE 0 END, c.username, c.password,
	c.transport, c.record_audio, c.max_age, c.max_bytes, c.created, c.updated, c.pin, coalesce(d.id, '')
	FROM estate_cameras c LEFT JOIN estate_devices d ON d.camera = c.id AND d.camera <> '' `

func (b box) selectCameras(ctx context.Context, q querier, id string) ([]Camera, error) {
	rows, err := q.QueryContext(ctx, camerasAndDevices+`
		WHERE c.removed = 0 AND ($1 = '' OR c.id = $1) ORDER BY c.site, c.name, c.id`, id)
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
		&c.Retention.MaxAge, &c.Retention.MaxBytes, &created, &updated, &c.Pin, &c.Device)
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
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		c.ID, c.Site, c.Name, number(c.Enabled), c.Username, b.seal(c.ID, c.Password), c.Transport, number(c.RecordAudio),
		int64(c.Retention.MaxAge), c.Retention.MaxBytes, micro(c.Created), micro(c.Updated), c.Pin)
	if err != nil {
		return err
	}
	return insertStreams(ctx, q, c)
}

// updateCamera writes all but the password, which it leaves as it is when the
// camera's says it is lost.
func (b box) updateCamera(ctx context.Context, q querier, c Camera) error {
	_, err := q.ExecContext(ctx, `UPDATE estate_cameras SET site = $2, name = $3, enabled = $4, username = $5,
		transport = $6, record_audio = $7, max_age = $8, max_bytes = $9, updated = $10, pin = $11 WHERE id = $1 AND removed = 0`,
		c.ID, c.Site, c.Name, number(c.Enabled), c.Username, c.Transport, number(c.RecordAudio),
		int64(c.Retention.MaxAge), c.Retention.MaxBytes, micro(c.Updated), c.Pin)
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

// prepared runs statements in a transaction, each prepared once: an import
// runs the same few a hundred thousand times.
type prepared struct {
	tx         *sql.Tx
	statements map[string]*sql.Stmt
}

func (p *prepared) statement(ctx context.Context, query string) (*sql.Stmt, error) {
	if s := p.statements[query]; s != nil {
		return s, nil
	}
	s, err := p.tx.PrepareContext(ctx, query)
	if err == nil {
		p.statements[query] = s
	}
	return s, err
}

func (p *prepared) close() {
	for _, s := range p.statements {
		s.Close()
	}
}

func (p *prepared) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	s, err := p.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(ctx, args...)
}

func (p *prepared) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	s, err := p.statement(ctx, query)
	if err != nil {
		return p.tx.QueryRowContext(ctx, query, args...) // says the same error in its Scan
	}
	return s.QueryRowContext(ctx, args...)
}

func (p *prepared) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	s, err := p.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.ExecContext(ctx, args...)
}

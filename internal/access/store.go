package access

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/watchward/watchward/internal/db"
)

// schema is the room's, in order; a statement once released never changes.
var schema = []string{
	`CREATE TABLE access_users (
		id       TEXT PRIMARY KEY,
		name     TEXT NOT NULL,
		name_key TEXT NOT NULL UNIQUE,
		role     TEXT NOT NULL,
		hash     TEXT NOT NULL,
		created  BIGINT NOT NULL
	)`,
	`CREATE TABLE access_sessions (
		hash    BLOB PRIMARY KEY,
		person  TEXT NOT NULL REFERENCES access_users (id) ON DELETE CASCADE,
		created BIGINT NOT NULL,
		seen    BIGINT NOT NULL,
		expires BIGINT NOT NULL
	)`,
	`CREATE INDEX access_sessions_person ON access_sessions (person, seen)`,
}

// sessionsPerUser bounds the browsers one user is logged in with; the one
// unused for longest goes.
const sessionsPerUser = 32

var errNoRow = errors.New("no such row")

type store struct{ db *db.DB }

func row(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return errNoRow
	}
	return err
}

func (s store) anyAdministrator(ctx context.Context) (bool, error) {
	var n int
	err := s.db.QueryRow(ctx, `SELECT count(*) FROM access_users WHERE role = $1`, string(Administrator)).Scan(&n)
	return n > 0, err
}

func (s store) insertUser(ctx context.Context, u User, hash string) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		var n int
		err := tx.QueryRowContext(ctx, `SELECT count(*) FROM access_users WHERE name_key = $1`, fold(u.Name)).Scan(&n)
		if err != nil {
			return err
		}
		if n > 0 {
			return &WeakError{"name-taken"}
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO access_users (id, name, name_key, role, hash, created) VALUES ($1, $2, $3, $4, $5, $6)`,
			u.ID, u.Name, fold(u.Name), string(u.Role), hash, u.Created.UnixMicro())
		return err
	})
}

const userColumns = `id, name, role, created`

func (s store) userByName(ctx context.Context, key string) (u User, hash string, err error) {
	var created int64
	err = s.db.QueryRow(ctx, `SELECT `+userColumns+`, hash FROM access_users WHERE name_key = $1`, key).
		Scan(&u.ID, &u.Name, &u.Role, &created, &hash)
	u.Created = time.UnixMicro(created).UTC()
	return u, hash, row(err)
}

func (s store) userByID(ctx context.Context, id string) (u User, err error) {
	var created int64
	err = s.db.QueryRow(ctx, `SELECT `+userColumns+` FROM access_users WHERE id = $1`, id).
		Scan(&u.ID, &u.Name, &u.Role, &created)
	u.Created = time.UnixMicro(created).UTC()
	return u, row(err)
}

func (s store) setHash(ctx context.Context, id, hash string) error {
	_, err := s.db.Exec(ctx, `UPDATE access_users SET hash = $2 WHERE id = $1`, id, hash)
	return err
}

// insertSession also clears what has run out: idle is the time before which
// an unused session is void.
func (s store) insertSession(ctx context.Context, n Session, idle time.Time) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM access_sessions WHERE expires <= $1 OR seen <= $2`,
			n.Created.UnixMicro(), idle.UnixMicro())
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM access_sessions WHERE person = $1 AND hash NOT IN (
			SELECT hash FROM access_sessions WHERE person = $1 ORDER BY seen DESC LIMIT $2)`, n.User.ID, sessionsPerUser-1)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO access_sessions (hash, person, created, seen, expires) VALUES ($1, $2, $3, $4, $5)`,
			n.Token.hash(), n.User.ID, n.Created.UnixMicro(), n.Created.UnixMicro(), n.Expires.UnixMicro())
		return err
	})
}

func (s store) session(ctx context.Context, hash []byte) (found Session, seen time.Time, err error) {
	var created, expires, seenAt, userCreated int64
	err = s.db.QueryRow(ctx, `SELECT s.created, s.seen, s.expires, u.id, u.name, u.role, u.created
		FROM access_sessions s JOIN access_users u ON u.id = s.person WHERE s.hash = $1`, hash).
		Scan(&created, &seenAt, &expires, &found.User.ID, &found.User.Name, &found.User.Role, &userCreated)
	found.Created, found.Expires = time.UnixMicro(created).UTC(), time.UnixMicro(expires).UTC()
	found.User.Created = time.UnixMicro(userCreated).UTC()
	return found, time.UnixMicro(seenAt).UTC(), row(err)
}

func (s store) touch(ctx context.Context, hash []byte, now time.Time) error {
	_, err := s.db.Exec(ctx, `UPDATE access_sessions SET seen = $2 WHERE hash = $1`, hash, now.UnixMicro())
	return err
}

func (s store) deleteSession(ctx context.Context, hash []byte) error {
	_, err := s.db.Exec(ctx, `DELETE FROM access_sessions WHERE hash = $1`, hash)
	return err
}

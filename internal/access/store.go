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
	// Both empty: everywhere. A role of old held everywhere.
	`CREATE TABLE access_grants (
		person       TEXT NOT NULL REFERENCES access_users (id) ON DELETE CASCADE,
		role         TEXT NOT NULL,
		organisation TEXT NOT NULL,
		site         TEXT NOT NULL,
		PRIMARY KEY (person, role, organisation, site)
	)`,
	`INSERT INTO access_grants (person, role, organisation, site) SELECT id, role, '', '' FROM access_users`,
	`ALTER TABLE access_users DROP COLUMN role`,
	`ALTER TABLE access_users ADD COLUMN closed BIGINT NOT NULL DEFAULT 0`,
	`CREATE TABLE access_links (
		hash    BLOB PRIMARY KEY,
		person  TEXT NOT NULL REFERENCES access_users (id) ON DELETE CASCADE,
		expires BIGINT NOT NULL
	)`,
	`CREATE TABLE access_tokens (
		hash    BLOB PRIMARY KEY,
		id      TEXT NOT NULL UNIQUE,
		person  TEXT NOT NULL REFERENCES access_users (id) ON DELETE CASCADE,
		name    TEXT NOT NULL,
		acts    TEXT NOT NULL,
		created BIGINT NOT NULL,
		used    BIGINT NOT NULL,
		expires BIGINT NOT NULL
	)`,
	`CREATE TABLE access_codes (
		hash   BLOB PRIMARY KEY,
		person TEXT NOT NULL REFERENCES access_users (id) ON DELETE CASCADE
	)`,
	`CREATE TABLE access_passkeys (
		id      TEXT PRIMARY KEY,
		person  TEXT NOT NULL REFERENCES access_users (id) ON DELETE CASCADE,
		name    TEXT NOT NULL,
		body    TEXT NOT NULL,
		created BIGINT NOT NULL,
		used    BIGINT NOT NULL
	)`,
	`CREATE TABLE access_external (
		issuer  TEXT NOT NULL,
		subject TEXT NOT NULL,
		person  TEXT NOT NULL REFERENCES access_users (id) ON DELETE CASCADE,
		PRIMARY KEY (issuer, subject)
	)`,
}

// sessionsPerUser bounds the browsers one user is logged in with; the one
// unused for longest goes.
const sessionsPerUser = 32

var errNoRow = errors.New("no such row")

type store struct{ db *db.DB }

// querier is what a transaction and the database have in common.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

type pool struct{ db *db.DB }

func (p pool) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return p.db.QueryRow(ctx, query, args...)
}

func row(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return errNoRow
	}
	return err
}

// administratorsBut counts who administers everything, leaving out one person.
func administratorsBut(ctx context.Context, q querier, id string) (int, error) {
	var n int
	err := q.QueryRowContext(ctx, `SELECT count(DISTINCT g.person) FROM access_grants g JOIN access_users u ON u.id = g.person
		WHERE g.role = $1 AND g.organisation = '' AND g.site = '' AND u.closed = 0 AND u.id <> $2`, string(Administrator), id).Scan(&n)
	return n, err
}

func (s store) anyAdministrator(ctx context.Context) (bool, error) {
	n, err := administratorsBut(ctx, pool(s), "")
	return n > 0, err
}

func (s store) insertUser(ctx context.Context, u User, hash string) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error { return insertUser(ctx, tx, u, hash) })
}

func insertUser(ctx context.Context, tx *sql.Tx, u User, hash string) error {
	var n int
	err := tx.QueryRowContext(ctx, `SELECT count(*) FROM access_users WHERE name_key = $1`, fold(u.Name)).Scan(&n)
	if err != nil {
		return err
	}
	if n > 0 {
		return &WeakError{"name-taken"}
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO access_users (id, name, name_key, hash, created) VALUES ($1, $2, $3, $4, $5)`,
		u.ID, u.Name, fold(u.Name), hash, u.Created.UnixMicro())
	if err != nil {
		return err
	}
	return insertGrants(ctx, tx, u.ID, u.Grants)
}

func insertGrants(ctx context.Context, tx *sql.Tx, id string, grants []Grant) error {
	for _, g := range grants {
		_, err := tx.ExecContext(ctx, `INSERT INTO access_grants (person, role, organisation, site) VALUES ($1, $2, $3, $4)
			ON CONFLICT DO NOTHING`, id, string(g.Role), g.Organisation, g.Site)
		if err != nil {
			return err
		}
	}
	return nil
}

const userColumns = `u.id, u.name, u.created, u.closed`

// scanUser reads userColumns and what follows them.
func scanUser(scan func(...any) error, u *User, more ...any) error {
	var created, closed int64
	err := scan(append([]any{&u.ID, &u.Name, &created, &closed}, more...)...)
	u.Created, u.Closed = time.UnixMicro(created).UTC(), closed != 0
	return err
}

func (s store) userByName(ctx context.Context, key string) (u User, hash string, err error) {
	err = scanUser(s.db.QueryRow(ctx, `SELECT `+userColumns+`, u.hash FROM access_users u WHERE u.name_key = $1`, key).Scan, &u, &hash)
	if err != nil {
		return u, "", row(err)
	}
	u.Grants, err = s.grants(ctx, u.ID)
	return u, hash, err
}

func (s store) userByID(ctx context.Context, id string) (u User, err error) {
	err = scanUser(s.db.QueryRow(ctx, `SELECT `+userColumns+` FROM access_users u WHERE u.id = $1`, id).Scan, &u)
	if err != nil {
		return u, row(err)
	}
	u.Grants, err = s.grants(ctx, id)
	return u, err
}

func (s store) users(ctx context.Context) ([]User, error) {
	rows, err := s.db.Query(ctx, `SELECT `+userColumns+` FROM access_users u ORDER BY u.name_key`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []User
	for rows.Next() {
		var u User
		if err := scanUser(rows.Scan, &u); err != nil {
			return nil, err
		}
		all = append(all, u)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].Grants, err = s.grants(ctx, all[i].ID); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (s store) grants(ctx context.Context, id string) ([]Grant, error) {
	rows, err := s.db.Query(ctx, `SELECT role, organisation, site FROM access_grants WHERE person = $1 ORDER BY organisation, site, role`, id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Grant
	for rows.Next() {
		var g Grant
		if err := rows.Scan(&g.Role, &g.Organisation, &g.Site); err != nil {
			return nil, err
		}
		all = append(all, g)
	}
	return all, rows.Err()
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
	var created, expires, seenAt int64
	err = scanUser(s.db.QueryRow(ctx, `SELECT `+userColumns+`, s.created, s.seen, s.expires
		FROM access_sessions s JOIN access_users u ON u.id = s.person WHERE s.hash = $1`, hash).Scan,
		&found.User, &created, &seenAt, &expires)
	if err != nil {
		return found, seen, row(err)
	}
	found.Created, found.Expires = time.UnixMicro(created).UTC(), time.UnixMicro(expires).UTC()
	found.User.Grants, err = s.grants(ctx, found.User.ID)
	return found, time.UnixMicro(seenAt).UTC(), err
}

func (s store) touch(ctx context.Context, hash []byte, now time.Time) error {
	_, err := s.db.Exec(ctx, `UPDATE access_sessions SET seen = $2 WHERE hash = $1`, hash, now.UnixMicro())
	return err
}

func (s store) deleteSession(ctx context.Context, hash []byte) error {
	_, err := s.db.Exec(ctx, `DELETE FROM access_sessions WHERE hash = $1`, hash)
	return err
}

// forget removes a person's rows from tables of ours.
func forget(ctx context.Context, tx *sql.Tx, id string, tables ...string) error {
	for _, t := range tables {
		if _, err := tx.ExecContext(ctx, `DELETE FROM `+t+` WHERE person = $1`, id); err != nil {
			return err
		}
	}
	return nil
}

func replaceLink(ctx context.Context, tx *sql.Tx, id string, link Token, expires time.Time) error {
	if err := forget(ctx, tx, id, "access_links"); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO access_links (hash, person, expires) VALUES ($1, $2, $3)`,
		link.hash(), id, expires.UnixMicro())
	return err
}

func (s store) linkOwner(ctx context.Context, link Token, now time.Time) (string, error) {
	var id string
	err := s.db.QueryRow(ctx, `SELECT person FROM access_links WHERE hash = $1 AND expires > $2`, link.hash(), now.UnixMicro()).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", ErrLink
	}
	return id, err
}

// useLink sets a password by a link that is still there: of two who use it at
// once, one gets in.
func (s store) useLink(ctx context.Context, link Token, id, hash string) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `DELETE FROM access_links WHERE hash = $1`, link.hash())
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(ErrLink, err)
		}
		if _, err := tx.ExecContext(ctx, `UPDATE access_users SET hash = $2 WHERE id = $1`, id, hash); err != nil {
			return err
		}
		return forget(ctx, tx, id, "access_sessions")
	})
}

func (s store) setPassword(ctx context.Context, session Session, hash string) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `UPDATE access_users SET hash = $2 WHERE id = $1`, session.User.ID, hash); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM access_sessions WHERE person = $1 AND hash <> $2`,
			session.User.ID, session.Token.hash())
		return err
	})
}

// externalID is the account of who a provider calls subject, or "".
func (s store) externalID(ctx context.Context, issuer, subject string) (string, error) {
	var id string
	err := s.db.QueryRow(ctx, `SELECT person FROM access_external WHERE issuer = $1 AND subject = $2`, issuer, subject).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return id, err
}

func (s store) insertExternal(ctx context.Context, u User, issuer, subject string) error {
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		if err := insertUser(ctx, tx, u, ""); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO access_external (issuer, subject, person) VALUES ($1, $2, $3)`, issuer, subject, u.ID)
		return err
	})
}

func (s store) isExternal(ctx context.Context, id string) (bool, error) {
	var n int
	err := s.db.QueryRow(ctx, `SELECT count(*) FROM access_external WHERE person = $1`, id).Scan(&n)
	return n > 0, err
}

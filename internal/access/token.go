package access

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base32"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// MaxTokenLife bounds how long an API token may work.
const MaxTokenLife = 366 * 24 * time.Hour

// tokenMark begins every API token, so that scanners for leaked secrets and
// people know one when they see it.
const tokenMark = "watchward-"

// APIToken lets a program act for a user, within some acts and until an end.
type APIToken struct {
	ID, Name string
	Acts     []Act
	Created  time.Time
	Used     time.Time // zero: never
	Expires  time.Time
}

// TokenError says why an API token is refused: "acts-none", "act-unknown",
// "life", "name-missing".
type TokenError struct{ Code, Value string }

func (e *TokenError) Error() string {
	switch e.Code {
	case "acts-none":
		return "token: nothing it may do was chosen"
	case "act-unknown":
		return fmt.Sprintf("token: act %q is not known, or not yours to hand on", e.Value)
	case "life":
		return fmt.Sprintf("token: end %s: want one in the future, at most %d days ahead", e.Value, int(MaxTokenLife.Hours()/24))
	}
	return "token: no name given"
}

// MakeToken makes an API token of a user. It is shown once; we keep its hash.
// A token can do no more than its user, now or later.
func (a *Access) MakeToken(ctx context.Context, u User, name string, acts []Act, expires time.Time) (Token, error) {
	now := a.now().UTC()
	name = strings.Join(strings.Fields(name), " ")
	switch {
	case name == "" || len(name) > maxName:
		return "", &TokenError{Code: "name-missing"}
	case len(acts) == 0:
		return "", &TokenError{Code: "acts-none"}
	case !expires.After(now) || expires.Sub(now) > MaxTokenLife:
		return "", &TokenError{Code: "life", Value: expires.UTC().Format(time.DateOnly)}
	}
	words := make([]string, len(acts))
	for i, act := range acts {
		if !slices.Contains(everyAct, act) || !MayAnywhere(u, act) {
			return "", &TokenError{Code: "act-unknown", Value: string(act)}
		}
		words[i] = string(act)
	}
	t := tokenMark + newToken()
	_, err := a.store.db.Exec(ctx, `INSERT INTO access_tokens (hash, id, person, name, acts, created, used, expires)
		VALUES ($1, $2, $3, $4, $5, $6, 0, $7)`,
		t.hash(), newID(), u.ID, name, strings.Join(words, " "), now.UnixMicro(), expires.UnixMicro())
	if err != nil {
		return "", fmt.Errorf("make token: %w", err)
	}
	return t, nil
}

// Bearer returns the user an API token acts for, bounded to what it was made
// for, or [ErrNoSession].
func (a *Access) Bearer(ctx context.Context, t Token) (User, error) {
	if !strings.HasPrefix(string(t), tokenMark) || len(t) != len(tokenMark)+43 {
		return User{}, ErrNoSession
	}
	var id, acts string
	var used int64
	now := a.now()
	err := a.store.db.QueryRow(ctx, `SELECT person, acts, used FROM access_tokens WHERE hash = $1 AND expires > $2`,
		t.hash(), now.UnixMicro()).Scan(&id, &acts, &used)
	if errors.Is(err, sql.ErrNoRows) {
		return User{}, ErrNoSession
	}
	if err != nil {
		return User{}, fmt.Errorf("find token: %w", err)
	}
	u, err := a.User(ctx, id)
	if err != nil || u.Closed {
		return User{}, errors.Join(ErrNoSession, err)
	}
	if now.Sub(time.UnixMicro(used)) >= time.Minute { // not a write for every request
		if _, err := a.store.db.Exec(ctx, `UPDATE access_tokens SET used = $2 WHERE hash = $1`, t.hash(), now.UnixMicro()); err != nil {
			return User{}, fmt.Errorf("note use of token: %w", err)
		}
	}
	u.only = splitActs(acts)
	return u, nil
}

func splitActs(s string) []Act {
	acts := []Act{} // never nil: that would be no limit
	for _, w := range strings.Fields(s) {
		acts = append(acts, Act(w))
	}
	return acts
}

// Tokens lists a user's API tokens, those that ran out included.
func (a *Access) Tokens(ctx context.Context, u User) ([]APIToken, error) {
	rows, err := a.store.db.Query(ctx, `SELECT id, name, acts, created, used, expires FROM access_tokens WHERE person = $1 ORDER BY created`, u.ID)
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	defer rows.Close()
	var all []APIToken
	for rows.Next() {
		var t APIToken
		var acts string
		var created, used, expires int64
		if err := rows.Scan(&t.ID, &t.Name, &acts, &created, &used, &expires); err != nil {
			return nil, fmt.Errorf("list tokens: %w", err)
		}
		t.Acts = splitActs(acts)
		t.Created, t.Expires = time.UnixMicro(created).UTC(), time.UnixMicro(expires).UTC()
		if used > 0 {
			t.Used = time.UnixMicro(used).UTC()
		}
		all = append(all, t)
	}
	return all, rows.Err()
}

// DropToken makes one of the user's tokens worthless.
func (a *Access) DropToken(ctx context.Context, u User, id string) error {
	_, err := a.store.db.Exec(ctx, `DELETE FROM access_tokens WHERE id = $1 AND person = $2`, id, u.ID)
	if err != nil {
		return fmt.Errorf("drop token: %w", err)
	}
	return nil
}

// codes of a user: ten, of 80 bits, so that a fast hash is enough.
const (
	codeCount = 10
	codeBytes = 10
)

// MakeCodes makes new recovery codes, each of which lets its owner in once when
// password and passkey are gone. Older ones are void. They are shown once.
func (a *Access) MakeCodes(ctx context.Context, u User) ([]Token, error) {
	codes := make([]Token, codeCount)
	for i := range codes {
		b := make([]byte, codeBytes)
		rand.Read(b)
		s := base32.StdEncoding.EncodeToString(b)
		codes[i] = Token(s[:4] + "-" + s[4:8] + "-" + s[8:12] + "-" + s[12:])
	}
	err := a.store.db.Tx(ctx, func(tx *sql.Tx) error {
		if err := forget(ctx, tx, u.ID, "access_codes"); err != nil {
			return err
		}
		for _, c := range codes {
			if _, err := tx.ExecContext(ctx, `INSERT INTO access_codes (hash, person) VALUES ($1, $2)`, cleanCode(c).hash(), u.ID); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("make recovery codes: %w", err)
	}
	return codes, nil
}

// Codes counts the recovery codes left.
func (a *Access) Codes(ctx context.Context, u User) (int, error) {
	var n int
	if err := a.store.db.QueryRow(ctx, `SELECT count(*) FROM access_codes WHERE person = $1`, u.ID).Scan(&n); err != nil {
		return 0, fmt.Errorf("count recovery codes: %w", err)
	}
	return n, nil
}

// Recover begins a session with a recovery code, which is then used up.
func (a *Access) Recover(ctx context.Context, name, code, remote string) (Session, error) {
	key := fold(name)
	if after, ok := a.limits.take(key, source(remote)); !ok {
		return Session{}, &TooManyError{After: after}
	}
	if len(code) > 64 || len(name) > maxName {
		return Session{}, ErrWrong
	}
	u, _, err := a.store.userByName(ctx, key)
	if err != nil && !errors.Is(err, errNoRow) {
		return Session{}, fmt.Errorf("recover: %w", err)
	}
	if u.ID == "" || u.Closed {
		return Session{}, ErrWrong
	}
	res, err := a.store.db.Exec(ctx, `DELETE FROM access_codes WHERE hash = $1 AND person = $2`, cleanCode(Token(code)).hash(), u.ID)
	if err != nil {
		return Session{}, fmt.Errorf("recover: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return Session{}, errors.Join(ErrWrong, err)
	}
	a.limits.forgive(key, source(remote))
	return a.begin(ctx, u)
}

// cleanCode takes out what people put between the letters, and the digits that
// look like letters: base32 has neither 0 nor 1 nor 8.
func cleanCode(c Token) Token {
	return Token(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '2' && r <= '7':
			return r
		case r == '0':
			return 'O'
		case r == '1':
			return 'I'
		case r == '8':
			return 'B'
		}
		return -1
	}, string(c)))
}

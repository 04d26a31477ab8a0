package access

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"
)

// LinkLife is how long a one-time link lets somebody in.
const LinkLife = 72 * time.Hour

// GrantError says which role or scope cannot be given.
type GrantError struct{ Code, Value string } // "role-unknown", "scope-two", "grants-none"

func (e *GrantError) Error() string {
	switch e.Code {
	case "role-unknown":
		return fmt.Sprintf("role %q: want viewer, operator, investigator, auditor or administrator", e.Value)
	case "scope-two":
		return "a role holds for a site or for an organisation: want one of them"
	}
	return "no role given"
}

func checkGrants(grants []Grant) error {
	if len(grants) == 0 {
		return &GrantError{Code: "grants-none"}
	}
	for _, g := range grants {
		if !slices.Contains(Roles(), g.Role) {
			return &GrantError{Code: "role-unknown", Value: string(g.Role)}
		}
		if g.Site != "" && g.Organisation != "" {
			return &GrantError{Code: "scope-two"}
		}
	}
	return nil
}

// Users returns all accounts by name.
func (a *Access) Users(ctx context.Context) ([]User, error) {
	users, err := a.store.users(ctx)
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	return users, nil
}

// User returns one account, or [ErrNotFound].
func (a *Access) User(ctx context.Context, id string) (User, error) {
	u, err := a.store.userByID(ctx, id)
	if errors.Is(err, errNoRow) {
		err = ErrNotFound
	}
	if err != nil {
		return User{}, fmt.Errorf("user %q: %w", id, err)
	}
	return u, nil
}

// Invite makes an account without a password and a link, good once and for
// [LinkLife], by which its owner comes in and chooses one: nobody else ever
// knows it.
func (a *Access) Invite(ctx context.Context, by User, name string, grants []Grant) (User, Token, error) {
	if !by.Administers() {
		return User{}, "", ErrForbidden
	}
	name, err := checkName(name)
	if err == nil {
		err = checkGrants(grants)
	}
	if err != nil {
		return User{}, "", err
	}
	u := User{ID: newID(), Name: name, Grants: grants, Created: a.now().UTC()}
	link := newToken()
	err = a.store.db.Tx(ctx, func(tx *sql.Tx) error {
		if err := insertUser(ctx, tx, u, ""); err != nil {
			return err
		}
		return replaceLink(ctx, tx, u.ID, link, u.Created.Add(LinkLife))
	})
	if err != nil {
		return User{}, "", fmt.Errorf("invite %q: %w", name, err)
	}
	return u, link, nil
}

// Link makes a new link for an account whose owner cannot get in any more. The
// account is as it was until the link is used.
func (a *Access) Link(ctx context.Context, by User, id string) (Token, error) {
	if !by.Administers() {
		return "", ErrForbidden
	}
	return a.link(ctx, id)
}

// LinkFor is [Access.Link] for who has the machine itself, and so the database:
// the way back when the last administrator is locked out.
func (a *Access) LinkFor(ctx context.Context, name string) (Token, error) {
	u, _, err := a.store.userByName(ctx, fold(name))
	if errors.Is(err, errNoRow) {
		err = ErrNotFound
	}
	if err != nil {
		return "", fmt.Errorf("user %q: %w", name, err)
	}
	return a.link(ctx, u.ID)
}

func (a *Access) link(ctx context.Context, id string) (Token, error) {
	u, err := a.User(ctx, id)
	if err != nil {
		return "", err
	}
	// A password would go on letting in whom the provider no longer vouches for.
	if external, err := a.store.isExternal(ctx, id); err != nil || external {
		return "", errors.Join(err, ErrExternal)
	}
	link := newToken()
	err = a.store.db.Tx(ctx, func(tx *sql.Tx) error {
		return replaceLink(ctx, tx, u.ID, link, a.now().Add(LinkLife))
	})
	if err != nil {
		return "", fmt.Errorf("make link for %q: %w", u.Name, err)
	}
	return link, nil
}

// CheckLink returns whose link it is without using it up, or [ErrLink].
func (a *Access) CheckLink(ctx context.Context, link Token) (User, error) {
	id, err := a.store.linkOwner(ctx, link, a.now())
	if err != nil {
		return User{}, err
	}
	u, err := a.User(ctx, id)
	if err == nil && u.Closed {
		err = ErrLink
	}
	return u, err
}

// UseLink sets the password of the account a link is for, ends every session
// it had and begins one. The link is used up, unless the password was refused.
func (a *Access) UseLink(ctx context.Context, link Token, password string) (Session, error) {
	u, err := a.CheckLink(ctx, link)
	if err != nil {
		return Session{}, err
	}
	if err := CheckPassword(u.Name, password); err != nil {
		return Session{}, err
	}
	hash, err := a.hasher.hash(ctx, password)
	if err != nil {
		return Session{}, err
	}
	if err := a.store.useLink(ctx, link, u.ID, hash); err != nil {
		return Session{}, fmt.Errorf("use link of %q: %w", u.Name, err)
	}
	return a.begin(ctx, u)
}

// SetGrants replaces what a user may do and where.
func (a *Access) SetGrants(ctx context.Context, by User, id string, grants []Grant) error {
	if err := checkGrants(grants); err != nil {
		return err
	}
	stays := slices.Contains(grants, Grant{Role: Administrator})
	return a.change(ctx, by, id, stays, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM access_grants WHERE person = $1`, id); err != nil {
			return err
		}
		return insertGrants(ctx, tx, id, grants)
	})
}

// SetClosed shuts an account out, sessions, tokens and links included, or lets
// it in again. Accounts are never removed: the log speaks of them.
func (a *Access) SetClosed(ctx context.Context, by User, id string, closed bool) error {
	n := 0
	if closed {
		n = 1
	}
	return a.change(ctx, by, id, !closed, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE access_users SET closed = $2 WHERE id = $1`, id, n)
		if err != nil || !closed {
			return err
		}
		return forget(ctx, tx, id, "access_sessions", "access_tokens", "access_links")
	})
}

// change alters an account. Unless it stays an administrator of everything,
// another one has to be left.
func (a *Access) change(ctx context.Context, by User, id string, stays bool, f func(*sql.Tx) error) error {
	if !by.Administers() {
		return ErrForbidden
	}
	if _, err := a.User(ctx, id); err != nil {
		return err
	}
	return a.store.db.Tx(ctx, func(tx *sql.Tx) error {
		if !stays {
			if n, err := administratorsBut(ctx, tx, id); err != nil {
				return err
			} else if n == 0 {
				return ErrLast
			}
		}
		return f(tx)
	})
}

// ChangePassword is for the owner of an account. Every session but the one he
// sits in ends.
func (a *Access) ChangePassword(ctx context.Context, s Session, current, next, remote string) error {
	key := fold(s.User.Name)
	if after, ok := a.limits.take(key, source(remote)); !ok {
		return &TooManyError{After: after}
	}
	_, hash, err := a.store.userByName(ctx, key)
	if err != nil {
		return fmt.Errorf("change password: %w", err)
	}
	if hash != "" { // who came by a passkey alone may have none yet
		good, _, err := a.hasher.verify(ctx, hash, current)
		if err != nil {
			return fmt.Errorf("change password: %w", err)
		}
		if !good {
			return ErrWrong
		}
	}
	if err := CheckPassword(s.User.Name, next); err != nil {
		return err
	}
	if hash, err = a.hasher.hash(ctx, next); err != nil {
		return err
	}
	a.limits.forgive(key, source(remote))
	if err := a.store.setPassword(ctx, s, hash); err != nil {
		return fmt.Errorf("change password: %w", err)
	}
	return nil
}

// EndOthers ends every session of the user but the one he sits in.
func (a *Access) EndOthers(ctx context.Context, s Session) error {
	_, err := a.store.db.Exec(ctx, `DELETE FROM access_sessions WHERE person = $1 AND hash <> $2`, s.User.ID, s.Token.hash())
	if err != nil {
		return fmt.Errorf("end sessions: %w", err)
	}
	return nil
}

// Sessions counts the browsers a user is logged in with.
func (a *Access) Sessions(ctx context.Context, u User) (int, error) {
	var n int
	now := a.now()
	err := a.store.db.QueryRow(ctx, `SELECT count(*) FROM access_sessions WHERE person = $1 AND expires > $2 AND seen > $3`,
		u.ID, now.UnixMicro(), now.Add(-a.idle).UnixMicro()).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count sessions: %w", err)
	}
	return n, nil
}

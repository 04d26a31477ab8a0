package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/watchward/watchward/internal/access"
	"github.com/watchward/watchward/internal/db"
)

// UsersCmd is "watchward users": the way back for whoever has the machine.
type UsersCmd struct {
	List UsersListCmd `cmd:"" help:"List accounts, their roles and where these hold."`
	Link UsersLinkCmd `cmd:"" help:"Make a one-time link by which somebody locked out comes in and chooses a new password."`
}

// UsersListCmd is "watchward users list".
type UsersListCmd struct {
	DataFlag
	JSON bool `help:"Print JSON."`
}

// listedUser is one account in --json.
type listedUser struct {
	ID     string         `json:"id"`
	Name   string         `json:"name"`
	Closed bool           `json:"closed"`
	Roles  []access.Grant `json:"roles"`
}

// Run lists accounts. A running server does not mind.
func (c *UsersListCmd) Run(ctx context.Context, s *streams) (err error) {
	people, done, err := c.openPeople(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	users, err := people.Users(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		list := make([]listedUser, len(users))
		for i, u := range users {
			list[i] = listedUser{u.ID, u.Name, u.Closed, u.Grants}
		}
		out := json.NewEncoder(s.Out)
		out.SetIndent("", "  ")
		return out.Encode(list)
	}
	for _, u := range users {
		state := ""
		if u.Closed {
			state = "  (shut out)"
		}
		s.printf("%s%s  %s\n", oneLine(u.Name), state, describeGrants(u.Grants))
	}
	return nil
}

func describeGrants(grants []access.Grant) string {
	words := make([]string, len(grants))
	for i, g := range grants {
		switch {
		case g.Site != "":
			words[i] = fmt.Sprintf("%s of site %s", g.Role, g.Site)
		case g.Organisation != "":
			words[i] = fmt.Sprintf("%s of organisation %s", g.Role, g.Organisation)
		default:
			words[i] = string(g.Role)
		}
	}
	return strings.Join(words, ", ")
}

// UsersLinkCmd is "watchward users link".
type UsersLinkCmd struct {
	Name string `arg:"" help:"Whose account."`
	DataFlag
	URL string `default:"http://127.0.0.1:8470/" help:"Address of the pages, as run prints it." placeholder:"URL"`
}

// Help is shown by --help.
func (UsersLinkCmd) Help() string {
	return `The link works once and for three days. When it is used, every session of the
account ends. It opens no recording: for that an identity is needed.

    watchward users link ada --data /srv/watchward --url https://cameras.example/`
}

// Run makes the link. A running server takes it at once.
func (c *UsersLinkCmd) Run(ctx context.Context, s *streams) (err error) {
	people, done, err := c.openPeople(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	link, err := people.LinkFor(ctx, c.Name)
	if errors.Is(err, access.ErrNotFound) {
		return withHint(fmt.Errorf("make link: no user %q", c.Name), "\"watchward users list\" shows who there is")
	}
	if err != nil {
		return err
	}
	s.printf("%s/invitation/%s\n", strings.TrimRight(c.URL, "/"), link.Reveal())
	return nil
}

// openPeople opens the accounts of a data folder that is there.
func (d DataFlag) openPeople(ctx context.Context) (_ *access.Access, done func() error, err error) {
	f, err := d.folder()
	if err != nil {
		return nil, nil, err
	}
	path := f.path("watchward.db")
	if _, err := os.Stat(path); err != nil {
		return nil, nil, withHint(fmt.Errorf("open accounts: %w", err), "give the folder that run was given with --data")
	}
	database, err := db.Open(ctx, path)
	if err != nil {
		return nil, nil, err
	}
	people, err := access.Open(ctx, access.Options{DB: database})
	if err != nil {
		return nil, nil, errors.Join(err, database.Close())
	}
	return people, database.Close, nil
}

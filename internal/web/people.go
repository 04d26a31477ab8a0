package web

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/watchward/watchward/internal/access"
)

// peopleRoutes are those about who may come in, and what he may do there.
func (w *Server) peopleRoutes() {
	users := For(access.ChangeUsers)
	w.Handle("GET /users", users, w.showUsers)
	w.Handle("POST /users", users, w.invite)
	w.Handle("GET /users/{id}", users, w.showUser)
	w.Handle("POST /users/{id}/roles", users, w.setRoles)
	w.Handle("POST /users/{id}/link", users, w.makeLink)
	w.Handle("POST /users/{id}/close", users, w.setClosed(true))
	w.Handle("POST /users/{id}/open", users, w.setClosed(false))
	w.Handle("GET /invitation/{token}", Anyone, w.showInvitation)
	w.Handle("POST /invitation/{token}", Anyone, w.useInvitation)
	w.Handle("GET /recover", Anyone, w.showRecover)
	w.Handle("POST /recover", Anyone, w.recoverAccount)
	w.accountRoutes()
	w.passkeyRoutes()
	w.Handle("GET /login/sso", Anyone, w.startSSO)
	w.Handle("GET /login/sso/back", Anyone, w.finishSSO)
}

// scopeOption is a place in a list to choose from.
type scopeOption struct{ Scope }

// Value is what a form sends.
func (o scopeOption) Value() string { return scopeValue(o.Scope.Scope) }

// Indent shows what lies below what.
func (o scopeOption) Indent() string { return strings.Repeat("\u2003", max(o.Depth, 0)) }

func scopeValue(s access.Scope) string {
	switch {
	case s.Site != "":
		return "site:" + s.Site
	case s.Organisation != "":
		return "organisation:" + s.Organisation
	}
	return ""
}

// readScope reads what a form sends, and takes only places that there are.
func readScope(value string, known []scopeOption) (access.Scope, error) {
	if value == "" {
		return access.Scope{}, nil
	}
	i := slices.IndexFunc(known, func(o scopeOption) bool { return o.Value() == value })
	if i < 0 {
		return access.Scope{}, ErrBadRequest
	}
	return known[i].Scope.Scope, nil
}

func (w *Server) scopes(r *http.Request) ([]scopeOption, error) {
	if w.o.Scopes == nil {
		return nil, nil
	}
	all, err := w.o.Scopes(r.Context())
	options := make([]scopeOption, len(all))
	for i, s := range all {
		options[i] = scopeOption{s}
	}
	return options, err
}

// roleRow is a role and where it holds, in words.
type roleRow struct{ Role, Where string }

// roleRows names the places of grants. One that is gone shows its ID.
func roleRows(grants []access.Grant, known []scopeOption) []roleRow {
	rows := make([]roleRow, len(grants))
	for i, g := range grants {
		rows[i] = roleRow{Role: string(g.Role), Where: g.Site + g.Organisation}
		for _, o := range known {
			if o.Scope.Scope == g.Scope {
				rows[i].Where = o.Name
			}
		}
	}
	return rows
}

type userRow struct {
	access.User
	Roles []roleRow
}

type usersData struct {
	Users             []userRow
	Roles             []access.Role
	Scopes            []scopeOption
	Name, Role, Scope string // of the form
	Problem           string // key of a text
}

func (w *Server) usersData(r *http.Request) (usersData, error) {
	d := usersData{Roles: access.Roles(), Role: string(access.Viewer)}
	var err error
	if d.Scopes, err = w.scopes(r); err != nil {
		return d, err
	}
	users, err := w.o.Access.Users(r.Context())
	for _, u := range users {
		d.Users = append(d.Users, userRow{u, roleRows(u.Grants, d.Scopes)})
	}
	return d, err
}

func (w *Server) showUsers(rw http.ResponseWriter, r *http.Request) error {
	d, err := w.usersData(r)
	if err != nil {
		return err
	}
	return w.pages.users.Render(rw, r, http.StatusOK, d)
}

func (w *Server) invite(rw http.ResponseWriter, r *http.Request) error {
	if err := parseForm(rw, r); err != nil {
		return err
	}
	d, err := w.usersData(r)
	if err != nil {
		return err
	}
	d.Name, d.Role, d.Scope = r.PostForm.Get("name"), r.PostForm.Get("role"), r.PostForm.Get("scope")
	scope, err := readScope(d.Scope, d.Scopes)
	if err != nil {
		return err
	}
	u, link, err := w.o.Access.Invite(r.Context(), From(r).User(), d.Name, []access.Grant{{Role: access.Role(d.Role), Scope: scope}})
	if d.Problem = problemKey(err); d.Problem != "" {
		return w.pages.users.Render(rw, r, http.StatusUnprocessableEntity, d)
	}
	if err != nil {
		return err
	}
	w.log.Info("user invited", "user", u.Name, "role", d.Role, "scope", d.Scope, "by", From(r).User().Name)
	return w.renderUser(rw, r, http.StatusCreated, u.ID, func(d *userData) { d.Link = w.linkAddress(r, link) })
}

// problemKey is the text for what a person can mend, or "".
func problemKey(err error) string {
	var weak *access.WeakError
	var grant *access.GrantError
	var token *access.TokenError
	switch {
	case errors.As(err, &weak):
		return "weak." + weak.Code
	case errors.As(err, &grant):
		return "grant." + grant.Code
	case errors.As(err, &token):
		return "token." + token.Code
	case errors.Is(err, access.ErrLast):
		return "users.last"
	case errors.Is(err, access.ErrWrong):
		return "account.wrong"
	}
	return ""
}

// linkAddress is shown once, to who made the link, to be handed on.
func (w *Server) linkAddress(r *http.Request, link access.Token) string {
	return w.origin(r) + "/invitation/" + link.Reveal()
}

type userData struct {
	User    access.User
	Grants  []access.Grant // one more than there are, to add to
	Roles   []access.Role
	Scopes  []scopeOption
	Link    string
	Saved   bool
	Problem string
}

func (w *Server) renderUser(rw http.ResponseWriter, r *http.Request, status int, id string, change func(*userData)) error {
	u, err := w.o.Access.User(r.Context(), id)
	if err != nil {
		return err
	}
	d := userData{User: u, Roles: access.Roles(), Grants: append(slices.Clone(u.Grants), access.Grant{})}
	if d.Scopes, err = w.scopes(r); err != nil {
		return err
	}
	change(&d)
	return w.pages.user.Render(rw, r, status, d)
}

func (w *Server) showUser(rw http.ResponseWriter, r *http.Request) error {
	return w.renderUser(rw, r, http.StatusOK, r.PathValue("id"), func(d *userData) { d.Saved = r.URL.Query().Has("saved") })
}

func (w *Server) setRoles(rw http.ResponseWriter, r *http.Request) error {
	if err := parseForm(rw, r); err != nil {
		return err
	}
	known, err := w.scopes(r)
	if err != nil {
		return err
	}
	roles, scopes := r.PostForm["role"], r.PostForm["scope"]
	if len(roles) != len(scopes) || len(roles) > 100 {
		return ErrBadRequest
	}
	var grants []access.Grant
	for i, role := range roles {
		if role == "" {
			continue
		}
		scope, err := readScope(scopes[i], known)
		if err != nil {
			return err
		}
		grants = append(grants, access.Grant{Role: access.Role(role), Scope: scope})
	}
	id := r.PathValue("id")
	err = w.o.Access.SetGrants(r.Context(), From(r).User(), id, grants)
	return w.userChanged(rw, r, err, "roles changed", "grants", len(grants))
}

func (w *Server) setClosed(closed bool) Handler {
	return func(rw http.ResponseWriter, r *http.Request) error {
		err := w.o.Access.SetClosed(r.Context(), From(r).User(), r.PathValue("id"), closed)
		return w.userChanged(rw, r, err, "account changed", "closed", closed)
	}
}

// userChanged shows the page again: with what is wrong, or as it is now.
func (w *Server) userChanged(rw http.ResponseWriter, r *http.Request, err error, what string, more ...any) error {
	id := r.PathValue("id")
	if key := problemKey(err); key != "" {
		return w.renderUser(rw, r, http.StatusUnprocessableEntity, id, func(d *userData) { d.Problem = key })
	}
	if err != nil {
		return err
	}
	w.log.Info(what, append([]any{"user", id, "by", From(r).User().Name}, more...)...)
	http.Redirect(rw, r, "/users/"+id+"?saved", http.StatusSeeOther)
	return nil
}

func (w *Server) makeLink(rw http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	link, err := w.o.Access.Link(r.Context(), From(r).User(), id)
	if err != nil {
		return err
	}
	w.log.Info("link made", "user", id, "by", From(r).User().Name)
	return w.renderUser(rw, r, http.StatusCreated, id, func(d *userData) { d.Link = w.linkAddress(r, link) })
}

type invitationData struct{ Name, Problem string }

func (w *Server) showInvitation(rw http.ResponseWriter, r *http.Request) error {
	u, err := w.o.Access.CheckLink(r.Context(), access.Token(r.PathValue("token")))
	if err != nil {
		return err
	}
	return w.pages.invitation.Render(rw, r, http.StatusOK, invitationData{Name: u.Name})
}

func (w *Server) useInvitation(rw http.ResponseWriter, r *http.Request) error {
	if err := parseForm(rw, r); err != nil {
		return err
	}
	link := access.Token(r.PathValue("token"))
	u, err := w.o.Access.CheckLink(r.Context(), link)
	if err != nil {
		return err
	}
	d := invitationData{Name: u.Name}
	if r.PostForm.Get("password") != r.PostForm.Get("password_again") {
		d.Problem = "weak.password-differ"
		return w.pages.invitation.Render(rw, r, http.StatusUnprocessableEntity, d)
	}
	s, err := w.o.Access.UseLink(r.Context(), link, r.PostForm.Get("password"))
	if d.Problem = problemKey(err); d.Problem != "" {
		return w.pages.invitation.Render(rw, r, http.StatusUnprocessableEntity, d)
	}
	if err != nil {
		return err
	}
	w.log.Info("link used", "user", u.Name, "from", r.RemoteAddr)
	return w.enter(rw, r, s, "/")
}

func (w *Server) showRecover(rw http.ResponseWriter, r *http.Request) error {
	return w.pages.recover.Render(rw, r, http.StatusOK, loginForm{})
}

func (w *Server) recoverAccount(rw http.ResponseWriter, r *http.Request) error {
	if err := parseForm(rw, r); err != nil {
		return err
	}
	name := r.PostForm.Get("name")
	s, err := w.o.Access.Recover(r.Context(), name, r.PostForm.Get("code"), r.RemoteAddr)
	if err != nil {
		return w.refuseLogin(rw, r, w.pages.recover, loginForm{Name: name}, "recover.wrong", err)
	}
	w.log.Info("logged in with a recovery code", "user", s.User.Name, "from", r.RemoteAddr)
	return w.enter(rw, r, s, "/account")
}

package web

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/watchward/watchward/internal/access"
)

// accountRoutes are for one's own account. A program with an API token is not
// let in: its paths are not the API's.
func (w *Server) accountRoutes() {
	w.Handle("GET /account", View, w.showAccount)
	w.Handle("POST /account/password", View, w.changePassword)
	w.Handle("POST /account/sessions", View, w.endSessions)
	w.Handle("POST /account/codes", View, w.makeCodes)
	w.Handle("POST /account/tokens", View, w.makeToken)
	w.Handle("POST /account/tokens/drop", View, w.dropToken)
}

type accountData struct {
	Roles           []roleRow
	Acts            []access.Act // that can be handed on to a token
	Sessions, Codes int
	Tokens          []access.APIToken
	Passkeys        []access.Passkey
	TokenOpen       bool
	NewToken        string
	NewCodes        []string
	Saved           string // what the page says was done: a part of a key
	Problem, Value  string
	Wait            int
}

func (w *Server) accountData(r *http.Request) (d accountData, err error) {
	u := From(r).User()
	scopes, err := w.scopes(r)
	if err != nil {
		return d, err
	}
	d.Roles = roleRows(u.Grants, scopes)
	for _, act := range access.Administrator.Acts() {
		if access.MayAnywhere(u, act) {
			d.Acts = append(d.Acts, act)
		}
	}
	if d.Sessions, err = w.o.Access.Sessions(r.Context(), u); err != nil {
		return d, err
	}
	if d.Codes, err = w.o.Access.Codes(r.Context(), u); err != nil {
		return d, err
	}
	if d.Passkeys, err = w.o.Access.Passkeys(r.Context(), u); err != nil {
		return d, err
	}
	d.Tokens, err = w.o.Access.Tokens(r.Context(), u)
	return d, err
}

// renderAccount shows the account as it is now, with what change adds.
func (w *Server) renderAccount(rw http.ResponseWriter, r *http.Request, status int, change func(*accountData)) error {
	d, err := w.accountData(r)
	if err != nil {
		return err
	}
	change(&d)
	return w.pages.account.Render(rw, r, status, d)
}

func (w *Server) showAccount(rw http.ResponseWriter, r *http.Request) error {
	return w.renderAccount(rw, r, http.StatusOK, func(d *accountData) {
		switch saved := r.URL.Query().Get("saved"); saved {
		case "password", "sessions", "token", "passkey", "passkey-gone":
			d.Saved = saved
		}
	})
}

// accountProblem shows what a person can mend.
func (w *Server) accountProblem(rw http.ResponseWriter, r *http.Request, err error, change func(*accountData)) error {
	var many *access.TooManyError
	key, status := problemKey(err), http.StatusUnprocessableEntity
	if errors.As(err, &many) {
		key, status = "login.too-many", http.StatusTooManyRequests
	}
	if key == "" {
		return err
	}
	return w.renderAccount(rw, r, status, func(d *accountData) {
		d.Problem = key
		if many != nil {
			d.Wait = fault{Problem: w.Problem(err)}.Wait()
		}
		var token *access.TokenError
		if errors.As(err, &token) {
			d.Value = token.Value
		}
		change(d)
	})
}

func (w *Server) changePassword(rw http.ResponseWriter, r *http.Request) error {
	if err := parseForm(rw, r); err != nil {
		return err
	}
	var err error = &access.WeakError{Code: "password-differ"}
	if f := r.PostForm; f.Get("password") == f.Get("password_again") {
		err = w.o.Access.ChangePassword(r.Context(), From(r).Session, f.Get("current"), f.Get("password"), r.RemoteAddr)
	}
	if err != nil {
		return w.accountProblem(rw, r, err, func(*accountData) {})
	}
	w.log.Info("password changed", "user", From(r).User().Name, "from", r.RemoteAddr)
	return accountSaved(rw, r, "password")
}

func accountSaved(rw http.ResponseWriter, r *http.Request, what string) error {
	http.Redirect(rw, r, "/account?saved="+what, http.StatusSeeOther)
	return nil
}

func (w *Server) endSessions(rw http.ResponseWriter, r *http.Request) error {
	if err := w.o.Access.EndOthers(r.Context(), From(r).Session); err != nil {
		return err
	}
	return accountSaved(rw, r, "sessions")
}

func (w *Server) makeCodes(rw http.ResponseWriter, r *http.Request) error {
	codes, err := w.o.Access.MakeCodes(r.Context(), From(r).User())
	if err != nil {
		return err
	}
	w.log.Info("recovery codes made", "user", From(r).User().Name)
	return w.renderAccount(rw, r, http.StatusCreated, func(d *accountData) {
		for _, c := range codes {
			d.NewCodes = append(d.NewCodes, c.Reveal())
		}
	})
}

func (w *Server) makeToken(rw http.ResponseWriter, r *http.Request) error {
	if err := parseForm(rw, r); err != nil {
		return err
	}
	days, err := strconv.Atoi(r.PostForm.Get("days"))
	if err != nil || days < 0 || days > 10_000 {
		days = 0 // refused as an end that is no end
	}
	var acts []access.Act
	for _, act := range r.PostForm["act"] {
		acts = append(acts, access.Act(act))
	}
	ends := w.o.Now().Add(time.Duration(days) * 24 * time.Hour)
	token, err := w.o.Access.MakeToken(r.Context(), From(r).User(), r.PostForm.Get("name"), acts, ends)
	if err != nil {
		return w.accountProblem(rw, r, err, func(d *accountData) { d.TokenOpen = true })
	}
	w.log.Info("API token made", "user", From(r).User().Name, "name", r.PostForm.Get("name"), "ends", ends.UTC().Format(time.DateOnly))
	return w.renderAccount(rw, r, http.StatusCreated, func(d *accountData) { d.NewToken = token.Reveal() })
}

func (w *Server) dropToken(rw http.ResponseWriter, r *http.Request) error {
	if err := parseForm(rw, r); err != nil {
		return err
	}
	if err := w.o.Access.DropToken(r.Context(), From(r).User(), r.PostForm.Get("id")); err != nil {
		return err
	}
	return accountSaved(rw, r, "token")
}

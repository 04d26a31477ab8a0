package watch

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/watchward/watchward/internal/access"
	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/seal"
	"github.com/watchward/watchward/internal/web"
)

type setupData struct {
	Token  string // in the address already
	Name   string
	Site   string
	Ready  bool // readers exist: only the administrator is missing
	Secure bool

	Weak    string // code of what is wrong with name or password
	Problem *estate.Invalid
	Code    string // of the error table
}

// showSetupHint is for those who have no link.
func (w *Watch) showSetupHint(rw http.ResponseWriter, r *http.Request) error {
	if !w.o.Access.SetupPending() {
		http.Redirect(rw, r, "/login", http.StatusSeeOther)
		return nil
	}
	return w.render(rw, r, "setup", http.StatusOK, setupData{})
}

// showSetup needs no brake on guessing: a token has 256 bits.
func (w *Watch) showSetup(rw http.ResponseWriter, r *http.Request) error {
	token := r.PathValue("token")
	if err := w.o.Access.CheckSetup(access.Token(token), r.RemoteAddr); err != nil {
		return err
	}
	ready, err := w.readersExist(r.Context())
	if err != nil {
		return err
	}
	return w.render(rw, r, "setup", http.StatusOK, setupData{Token: token, Ready: ready})
}

// readersExist reports whether somebody can already open recordings: a
// database that lost its users only.
func (w *Watch) readersExist(ctx context.Context) (bool, error) {
	sites, err := w.readersBySite(ctx)
	for _, s := range sites {
		if len(s.Readers) > 0 {
			return true, err
		}
	}
	return false, err
}

// setup makes the first site with its first reader, then the administrator.
func (w *Watch) setup(rw http.ResponseWriter, r *http.Request) error {
	token := access.Token(r.PathValue("token"))
	if err := w.o.Access.CheckSetup(token, r.RemoteAddr); err != nil {
		return err
	}
	if err := web.ParseForm(rw, r); err != nil {
		return err
	}
	ready, err := w.readersExist(r.Context())
	if err != nil {
		return err
	}
	f := r.PostForm
	d := setupData{Token: token.Reveal(), Name: f.Get("name"), Site: f.Get("site"), Ready: ready}
	reader, err := firstReader(f.Get("recipient"), f.Get("recipient_typed"), ready)
	if err == nil && f.Get("password") != f.Get("password_again") {
		err = &access.WeakError{Code: "password-differs"}
	}
	if err == nil {
		_, err = w.o.Access.CreateFirst(r.Context(), token, d.Name, f.Get("password"), func(ctx context.Context) error {
			if ready {
				return nil
			}
			return w.firstSite(ctx, d.Site, reader)
		})
	}
	if err != nil {
		return w.setupProblem(rw, r, d, err)
	}
	w.log.Info("first administrator made", "user", d.Name)
	s, err := w.o.Access.Login(r.Context(), d.Name, f.Get("password"), r.RemoteAddr)
	if err != nil {
		return err
	}
	return w.o.Web.Enter(rw, r, s, "/cameras/-/new")
}

// firstReader checks what the browser sent as recipient: by the script that
// made the identity, or typed.
func firstReader(made, typed string, ready bool) (estate.Reader, error) {
	recipient := strings.TrimSpace(made)
	if recipient == "" {
		recipient = strings.TrimSpace(typed)
	}
	if ready {
		return estate.Reader{}, nil
	}
	reader := estate.Reader{Recipient: recipient}
	if recipient == "" {
		return reader, seal.ErrNoReaders
	}
	return reader, checkReaders([]estate.Reader{reader})
}

// firstSite may have been made by an attempt that failed later.
func (w *Watch) firstSite(ctx context.Context, name string, reader estate.Reader) error {
	sites, err := w.o.Estate.Sites(ctx)
	if err != nil {
		return err
	}
	var site estate.Site
	for _, s := range sites {
		if strings.EqualFold(s.Name, strings.TrimSpace(name)) {
			site = s
		}
	}
	if site.ID == "" {
		if site, err = w.o.Estate.AddSite(ctx, name); err != nil {
			return err
		}
	}
	return w.o.Estate.SetReaders(ctx, site.ID, []estate.Reader{reader})
}

func (w *Watch) setupProblem(rw http.ResponseWriter, r *http.Request, d setupData, err error) error {
	var weak *access.WeakError
	status := http.StatusUnprocessableEntity
	switch {
	case errors.As(err, &weak):
		d.Weak = weak.Code
	case errors.As(err, &d.Problem):
	default:
		p := w.o.Web.Problem(err)
		if p.Status != status {
			return err
		}
		if errors.Is(err, seal.ErrIdentityAsReader) {
			w.log.Warn("an identity was sent to the server during setup: treat it as exposed")
		}
		d.Code = p.Code
	}
	return w.render(rw, r, "setup", status, d)
}

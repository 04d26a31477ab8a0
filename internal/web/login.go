package web

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/watchward/watchward/internal/access"
)

// frameRoutes are those that every wing needs.
func (w *Server) frameRoutes() (err error) {
	for name, page := range map[string]**Page{
		"login": &w.pages.login, "fault": &w.pages.fault, "users": &w.pages.users, "user": &w.pages.user,
		"account": &w.pages.account, "invitation": &w.pages.invitation, "recover": &w.pages.recover, "entering": &w.pages.entering,
	} {
		if *page, err = w.Page(frameFiles, name+"/page.tmpl"); err != nil {
			return err
		}
	}
	w.peopleRoutes()
	w.Handle("GET /assets/{name...}", Anyone, w.serveAsset)
	w.Handle("GET /favicon.ico", Anyone, func(rw http.ResponseWriter, r *http.Request) error {
		http.Redirect(rw, r, "/assets/icon.svg", http.StatusSeeOther)
		return nil
	})
	w.Handle("GET /.well-known/security.txt", Anyone, w.securityTxt)
	w.Handle("GET /login", Anyone, w.showLogin)
	w.Handle("POST /login", Anyone, w.login)
	w.Handle("POST /logout", Anyone, w.logout)
	w.Handle("GET /welcome/{token}", Anyone, w.enterWelcome)
	w.Handle("POST /preferences", Anyone, w.setPreferences)
	// What nobody registered is not there, and strangers are not told so.
	for _, method := range []string{"GET", "POST", "PUT", "DELETE", "PATCH"} {
		w.Handle(method+" /", View, func(http.ResponseWriter, *http.Request) error { return ErrNotFound })
	}
	return nil
}

type loginForm struct {
	Name, Next string
	Problem    string // key of a text, "" if none
	Wait       int    // seconds
	SSO        string // name of the single sign-on, "" if there is none
}

func (w *Server) showLogin(rw http.ResponseWriter, r *http.Request) error {
	if w.o.Access.SetupPending() {
		http.Redirect(rw, r, "/setup", http.StatusSeeOther)
		return nil
	}
	return w.pages.login.Render(rw, r, http.StatusOK, loginForm{Next: localPath(r.URL.Query().Get("next")), SSO: w.ssoName()})
}

func (w *Server) login(rw http.ResponseWriter, r *http.Request) error {
	if err := parseForm(rw, r); err != nil {
		return err
	}
	form := loginForm{Name: r.PostForm.Get("name"), Next: localPath(r.PostForm.Get("next")), SSO: w.ssoName()}
	s, err := w.o.Access.Login(r.Context(), form.Name, r.PostForm.Get("password"), r.RemoteAddr)
	if err != nil {
		return w.refuseLogin(rw, r, w.pages.login, form, "login.wrong", err)
	}
	w.log.Info("logged in", "user", s.User.Name, "from", r.RemoteAddr)
	return w.enter(rw, r, s, form.Next)
}

// refuseLogin shows the form again to who did not get in, with the text of wrong
// or how long to wait.
func (w *Server) refuseLogin(rw http.ResponseWriter, r *http.Request, page *Page, form loginForm, wrong string, err error) error {
	var many *access.TooManyError
	switch {
	case errors.Is(err, access.ErrWrong):
		w.log.Warn("login refused", "from", r.RemoteAddr)
		form.Problem = wrong
		return page.Render(rw, r, http.StatusForbidden, form)
	case errors.As(err, &many):
		p := w.Problem(err)
		form.Problem, form.Wait = "login.too-many", fault{Problem: p}.Wait()
		rw.Header().Set("Retry-After", retryAfter(p))
		return page.Render(rw, r, p.Status, form)
	}
	return err
}

// enter ends the session the browser came with, if any, and gives it the new one.
func (w *Server) enter(rw http.ResponseWriter, r *http.Request, s access.Session, next string) error {
	if err := w.replaceSession(rw, r, s); err != nil {
		return err
	}
	http.Redirect(rw, r, next, http.StatusSeeOther)
	return nil
}

func (w *Server) replaceSession(rw http.ResponseWriter, r *http.Request, s access.Session) error {
	if old := cookieValue(r, w.cookieName(r)); old != "" {
		if err := w.o.Access.Logout(r.Context(), access.Token(old)); err != nil {
			return err
		}
	}
	w.setSession(rw, r, s)
	return nil
}

// Enter begins a session for who has just proved who he is by other means than
// the login page, and sends the browser on.
func (w *Server) Enter(rw http.ResponseWriter, r *http.Request, s access.Session, next string) error {
	return w.enter(rw, r, s, next)
}

func (w *Server) logout(rw http.ResponseWriter, r *http.Request) error {
	if token := cookieValue(r, w.cookieName(r)); token != "" {
		if err := w.o.Access.Logout(r.Context(), access.Token(token)); err != nil {
			return err
		}
	}
	w.setSession(rw, r, access.Session{})
	// Whoever sits here next finds nothing of what was seen. Not "storage":
	// an identity kept in this browser stays, wrapped.
	rw.Header().Set("Clear-Site-Data", `"cache"`)
	http.Redirect(rw, r, "/login", http.StatusSeeOther)
	return nil
}

// enterWelcome is the demo's address. What follows "#" in it, the identity,
// never gets here: browsers keep it, across the redirect too.
func (w *Server) enterWelcome(rw http.ResponseWriter, r *http.Request) error {
	s, err := w.o.Access.EnterWelcome(r.Context(), access.Token(r.PathValue("token")), r.RemoteAddr)
	if err != nil {
		return err
	}
	return w.enter(rw, r, s, "/")
}

// setPreferences keeps language and theme in this browser.
func (w *Server) setPreferences(rw http.ResponseWriter, r *http.Request) error {
	if err := parseForm(rw, r); err != nil {
		return err
	}
	allowed := map[string][]string{"lang": w.texts.Languages(), "theme": {"auto", "light", "dark"}}
	for name, values := range allowed {
		v := r.PostForm.Get(name)
		if v == "" {
			continue
		}
		if !slices.Contains(values, v) {
			return ErrBadRequest
		}
		http.SetCookie(rw, &http.Cookie{
			Name: name, Value: v, Path: "/", MaxAge: 365 * 24 * 3600,
			HttpOnly: true, Secure: w.Secure(), SameSite: http.SameSiteStrictMode,
		})
	}
	http.Redirect(rw, r, localPath(r.PostForm.Get("next")), http.StatusSeeOther)
	return nil
}

// maxForm bounds forms that hold no file.
const maxForm = 64 << 10

func parseForm(rw http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(rw, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	return nil
}

// ParseForm reads a form without files, of bounded size.
func ParseForm(rw http.ResponseWriter, r *http.Request) error { return parseForm(rw, r) }

func badForm(err error) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return err
	}
	return errors.Join(ErrBadRequest, err)
}

// localPath returns a path on this server, whatever it is given: a login must
// not send anybody elsewhere.
func localPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") ||
		u.Host != "" || u.Scheme != "" {
		return "/"
	}
	return next
}

// securityTxt tells finders of holes where to turn (RFC 9116).
func (w *Server) securityTxt(rw http.ResponseWriter, r *http.Request) error {
	if w.o.Contact == "" {
		return ErrNotFound
	}
	rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
	expires := w.o.Now().UTC().AddDate(0, 6, 0).Truncate(24 * 3600e9).Format("2006-01-02T15:04:05Z")
	_, _ = rw.Write([]byte("Contact: " + w.o.Contact + "\nExpires: " + expires + "\nPreferred-Languages: en, fr\n"))
	return nil
}

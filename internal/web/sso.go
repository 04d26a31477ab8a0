package web

import (
	"net/http"

	"github.com/watchward/watchward/internal/access"
)

// ssoCookie holds, while somebody is at the provider, what proves that the
// browser that comes back is the one that went. Lax, because it comes back by a
// link from another site.
const ssoCookie = "watchward-sso"

// ssoName is "" where there is no single sign-on.
func (w *Server) ssoName() string {
	if !w.o.Access.SSO() {
		return ""
	}
	if w.o.SSOName == "" {
		return "OpenID Connect"
	}
	return w.o.SSOName
}

func (w *Server) startSSO(rw http.ResponseWriter, r *http.Request) error {
	where, browser, err := w.o.Access.StartSSO(r.Context(), w.origin(r)+"/login/sso/back", localPath(r.URL.Query().Get("next")))
	if err != nil {
		return err
	}
	w.setSSOCookie(rw, browser.Reveal(), 600)
	http.Redirect(rw, r, where, http.StatusSeeOther)
	return nil
}

func (w *Server) setSSOCookie(rw http.ResponseWriter, value string, seconds int) {
	http.SetCookie(rw, &http.Cookie{
		Name: ssoCookie, Value: value, Path: "/login/sso", MaxAge: seconds,
		Secure: w.Secure(), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// finishSSO ends with a page and not with a redirect: the browser came from
// another site, and would not send our strict cookie along on a redirect. A page
// of our own that sends it on does.
func (w *Server) finishSSO(rw http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	browser := access.Token(cookieValue(r, ssoCookie))
	w.setSSOCookie(rw, "", -1)
	if reason := q.Get("error"); reason != "" {
		w.log.Warn("single sign-on refused", "reason", reason, "from", r.RemoteAddr)
		return access.ErrProvider
	}
	s, next, err := w.o.Access.FinishSSO(r.Context(), q.Get("state"), q.Get("code"), browser)
	if err != nil {
		w.log.Warn("login refused", "from", r.RemoteAddr, "err", err)
		return err
	}
	w.log.Info("logged in by single sign-on", "user", s.User.Name, "from", r.RemoteAddr)
	if err := w.replaceSession(rw, r, s); err != nil {
		return err
	}
	return w.pages.entering.Render(rw, r, http.StatusOK, next)
}

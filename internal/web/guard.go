package web

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/access"
)

// Visit is what the frame knows of a request.
type Visit struct {
	ID      string // of the request, in the log and on error pages
	Lang    string
	Theme   string         // "auto", "light" or "dark"
	Session access.Session // zero unless somebody is logged in
	Token   bool           // who asks is a program with an API token
}

// User is zero unless somebody is logged in.
func (v *Visit) User() access.User { return v.Session.User }

// LoggedIn reports whether anybody is.
func (v *Visit) LoggedIn() bool { return v.Session.User.ID != "" }

// MayChange reports whether who is logged in may change anything at all.
func (v *Visit) MayChange() bool { return v.User().Administers() }

// May answers whether who is logged in may do something at a place.
func (v *Visit) May(act access.Act, at access.Place) bool { return access.May(v.User(), act, at) }

// MayAnywhere reports whether there is a place where he may: whether a link to
// it is worth showing. Acts are given as in package access.
func (v *Visit) MayAnywhere(act access.Act) bool { return access.MayAnywhere(v.User(), act) }

type visitKey struct{}

// From returns the visit a request belongs to.
func From(r *http.Request) *Visit {
	if v, ok := r.Context().Value(visitKey{}).(*Visit); ok {
		return v
	}
	return &Visit{Lang: "en", Theme: "auto"}
}

// contentPolicy allows what comes from here as a file, and pictures and video
// the scripts make. Nothing inline, nothing from elsewhere, no frames.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; " +
	"media-src 'self' blob:; connect-src 'self'; worker-src 'self' blob:; manifest-src 'self'; " +
	"frame-ancestors 'none'; base-uri 'none'; form-action 'self'"

// maxBody bounds what a request may carry; routes may set less.
const maxBody = 4 << 20

// Handler is the whole web, with all guards before it.
func (w *Server) Handler() http.Handler {
	cross := http.NewCrossOriginProtection()
	cross.SetDenyHandler(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.fail(rw, r, errCrossSite)
	}))
	inner := cross.Handler(w.isolate(w.mux))
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		visit := &Visit{ID: requestID(), Theme: theme(r)}
		visit.Lang = w.texts.Pick(cookieValue(r, "lang"), r.Header.Get("Accept-Language"))
		r = r.WithContext(context.WithValue(r.Context(), visitKey{}, visit))
		defer w.recover(rw, r)
		w.headers(rw.Header(), visit)
		if !w.knownHost(r.Host) {
			w.fail(rw, r, errHost)
			return
		}
		r.Body = http.MaxBytesReader(rw, r.Body, maxBody)
		start := time.Now()
		inner.ServeHTTP(rw, r)
		w.log.LogAttrs(r.Context(), slog.LevelDebug, "request", slog.String("id", visit.ID), slog.String("method", r.Method),
			slog.String("path", redactPath(r.URL.Path)), slog.Duration("took", time.Since(start)))
	})
}

// redactPath hides the tokens of links.
func redactPath(path string) string {
	for _, p := range []string{"/setup/", "/welcome/", "/invitation/"} {
		if strings.HasPrefix(path, p) {
			return p + "…"
		}
	}
	return path
}

func requestID() string {
	b := make([]byte, 8)
	rand.Read(b)
	return hex.EncodeToString(b)
}

func (w *Server) recover(rw http.ResponseWriter, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler {
		panic(p) // the way to cut an answer short
	}
	w.log.Error("handler panicked", "request", From(r).ID, "path", redactPath(r.URL.Path), "panic", p, "stack", string(debug.Stack()))
	w.fail(rw, r, fmt.Errorf("panic: %v", p))
}

func (w *Server) headers(h http.Header, v *Visit) {
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=(), serial=(), bluetooth=(), midi=(), display-capture=()")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Request-Id", v.ID)
	if w.scheme == byACME || w.scheme == ownFiles {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// knownHost stops DNS rebinding: a page of another's whose name suddenly points
// at us still sends that name. An IP address cannot be rebound.
func (w *Server) knownHost(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if w.scheme == plain {
		return loopbackHost(host) || slices.Contains(w.o.Hosts, host)
	}
	if net.ParseIP(host) != nil || host == "localhost" {
		return true
	}
	m := machineName()
	listen, _, _ := net.SplitHostPort(w.o.Listen)
	return host == m || host == m+".local" || host != "" && host == strings.ToLower(listen) ||
		slices.Contains(w.o.TLS.Domains, host) || slices.Contains(w.o.Hosts, host) ||
		w.scheme == ownFiles // whatever name the owner's certificate speaks for
}

// isolate refuses what another site's page asks for in its visitor's name,
// reading included. Only a person following a link may come from elsewhere.
func (w *Server) isolate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		site, mode := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Sec-Fetch-Mode")
		link := mode == "navigate" && r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Dest") == "document"
		if (site == "cross-site" || site == "same-site") && !link {
			w.fail(rw, r, errCrossSite)
			return
		}
		// WebSockets are not bound by the same-origin policy.
		if r.Header.Get("Upgrade") != "" && !sameOrigin(r) {
			w.fail(rw, r, errCrossSite)
			return
		}
		next.ServeHTTP(rw, r)
	})
}

func sameOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true // not a browser
	}
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, r.Host)
}

// guard lets through who may.
func (w *Server) guard(need Need, h Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		visit := From(r)
		if err := w.recognise(r, visit); err != nil {
			w.fail(rw, r, err)
			return
		}
		switch {
		case need.who == world:
		case !visit.LoggedIn():
			w.turnAway(rw, r)
			return
		case need.who == administrator && !visit.MayChange(), need.who == allowed && !visit.MayAnywhere(need.act):
			w.fail(rw, r, ErrForbidden)
			return
		}
		if err := h(rw, r); err != nil {
			w.fail(rw, r, err)
		}
	})
}

// recognise finds out who asks: a browser by its cookie, a program by its API
// token. A token works for the API alone, and one that is not good is an error,
// not a stranger: a script should hear of it.
func (w *Server) recognise(r *http.Request, v *Visit) error {
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok && strings.HasPrefix(r.URL.Path, "/api/") {
		u, err := w.o.Access.Bearer(r.Context(), access.Token(strings.TrimSpace(bearer)))
		v.Session.User, v.Token = u, true
		return err
	}
	token := cookieValue(r, w.cookieName(r))
	if token == "" {
		return nil
	}
	s, err := w.o.Access.Session(r.Context(), access.Token(token))
	if err != nil && !errors.Is(err, access.ErrNoSession) {
		return err
	}
	if s.User.ID != "" {
		s.Token = access.Token(token)
	}
	v.Session = s
	return nil
}

// turnAway sends a person to the login and tells a script.
func (w *Server) turnAway(rw http.ResponseWriter, r *http.Request) {
	if isAPI(r) || r.Method != http.MethodGet {
		w.fail(rw, r, access.ErrNoSession)
		return
	}
	if w.o.Access.SetupPending() {
		http.Redirect(rw, r, "/setup", http.StatusSeeOther)
		return
	}
	to := "/login"
	if r.URL.Path != "/" {
		to += "?next=" + url.QueryEscape(r.URL.RequestURI())
	}
	http.Redirect(rw, r, to, http.StatusSeeOther)
}

func isAPI(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, "/api/") || strings.HasPrefix(r.Header.Get("Accept"), "application/json")
}

// cookieName has the port in it without TLS: cookies do not tell ports apart,
// and two demos on one machine would log each other out.
func (w *Server) cookieName(r *http.Request) string {
	if w.Secure() {
		return "__Host-watchward"
	}
	_, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		port = "80"
	}
	return "watchward-" + port
}

// setSession gives the browser its token, or with a zero session takes it.
func (w *Server) setSession(rw http.ResponseWriter, r *http.Request, s access.Session) {
	c := &http.Cookie{
		Name: w.cookieName(r), Value: s.Token.Reveal(), Path: "/",
		Secure: w.Secure(), HttpOnly: true, SameSite: http.SameSiteStrictMode, Expires: s.Expires,
	}
	if s.Token == "" {
		c.MaxAge, c.Expires = -1, time.Time{}
	}
	http.SetCookie(rw, c)
}

func cookieValue(r *http.Request, name string) string {
	c, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return c.Value
}

func theme(r *http.Request) string {
	switch t := cookieValue(r, "theme"); t {
	case "light", "dark":
		return t
	}
	return "auto"
}

// Still reports whether who a request began with may still be here, and keeps
// his session alive: for answers that last.
func (w *Server) Still(r *http.Request) error {
	var v Visit
	if err := w.recognise(r, &v); err != nil {
		return err
	}
	if !v.LoggedIn() {
		return access.ErrNoSession
	}
	return nil
}

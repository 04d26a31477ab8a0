package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/watchward/watchward/internal/access"
)

// Problem is an error as a person or a script is told it (RFC 9457). Title,
// detail and hint come from the texts: error.<code>.title and .hint.
type Problem struct {
	Status int
	Code   string
	Detail string        // more about this one case; may be empty
	Field  string        // of a form, if one is to blame
	After  time.Duration // when to try again; 0: not said
}

func (p Problem) Error() string { return p.Code + ": " + p.Detail }

// Errors of the frame itself. Wings return them too.
var (
	ErrForbidden  = access.ErrForbidden
	ErrNotFound   = errors.New("not found")
	ErrBadRequest = errors.New("bad request")
	errCrossSite  = errors.New("request of another site")
	errHost       = errors.New("unknown host name")
)

// Hidden is an answer to who asked for what he may not see: to him it does not
// exist, and the log says that he tried.
func Hidden(act access.Act, id string) error { return &hidden{act, id} }

type hidden struct {
	act access.Act
	id  string
}

func (h *hidden) Error() string { return fmt.Sprintf("%s of %q is not for this user", h.act, h.id) }
func (h *hidden) Unwrap() error { return ErrNotFound }

// table is the frame's part of what errors mean to the outside; wings add
// theirs with [Server.Explain]. Whatever is in none of them is "internal", and
// its cause is in the log.
func table(err error) (Problem, bool) {
	var p Problem
	var many *access.TooManyError
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &p):
		return p, true
	case errors.As(err, &many):
		return Problem{Status: http.StatusTooManyRequests, Code: "too-many", After: many.After}, true
	case errors.As(err, &large):
		return Problem{Status: http.StatusRequestEntityTooLarge, Code: "too-large"}, true
	}
	for _, row := range []struct {
		err    error
		status int
		code   string
	}{
		{access.ErrNoSession, http.StatusUnauthorized, "login"},
		{access.ErrSetupOver, http.StatusGone, "setup-over"},
		{access.ErrSetupLink, http.StatusForbidden, "setup-link"},
		{access.ErrNotLocal, http.StatusForbidden, "not-local"},
		{access.ErrWrong, http.StatusForbidden, "wrong-login"},
		{access.ErrNoPasskeys, http.StatusConflict, "no-passkeys"},
		{access.ErrCeremony, http.StatusGone, "passkey-late"},
		{access.ErrPasskey, http.StatusForbidden, "passkey"},
		{access.ErrTooManyPasskeys, http.StatusConflict, "passkeys-many"},
		{access.ErrNoSSO, http.StatusNotFound, "not-found"},
		{access.ErrProvider, http.StatusBadGateway, "sso"},
		{access.ErrNoRole, http.StatusForbidden, "sso-role"},
		{access.ErrExternal, http.StatusConflict, "sso-account"},
		{access.ErrLink, http.StatusForbidden, "link"},
		{access.ErrNotFound, http.StatusNotFound, "not-found"},
		{ErrForbidden, http.StatusForbidden, "forbidden"},
		{ErrNotFound, http.StatusNotFound, "not-found"},
		{ErrBadRequest, http.StatusBadRequest, "bad-request"},
		{errCrossSite, http.StatusForbidden, "cross-site"},
		{errHost, http.StatusMisdirectedRequest, "host"},
	} {
		if errors.Is(err, row.err) {
			return Problem{Status: row.status, Code: row.code}, true
		}
	}
	return Problem{}, false
}

// Problem finds what an error means to the outside.
func (w *Server) Problem(err error) Problem {
	if p, ok := table(err); ok {
		return p
	}
	for _, f := range w.explain {
		if p, ok := f(err); ok {
			return p
		}
	}
	return Problem{Status: http.StatusInternalServerError, Code: "internal"}
}

// fail tells the browser what went wrong, and the log why.
func (w *Server) fail(rw http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // nobody is listening any more
	}
	visit := From(r)
	p := w.Problem(err)
	w.logDenied(r, visit, err)
	if p.Status >= 500 {
		w.log.Error("request failed", "request", visit.ID, "method", r.Method, "path", redactPath(r.URL.Path), "err", err)
	}
	if p.After > 0 {
		rw.Header().Set("Retry-After", retryAfter(p))
	}
	rw.Header().Del("Content-Length")
	rw.Header().Del("ETag")
	rw.Header().Set("Cache-Control", "no-store")
	if isAPI(r) || p.Code == "host" {
		w.failJSON(rw, visit, p)
		return
	}
	if err := w.pages.fault.Render(rw, r, p.Status, fault{Problem: p, Request: visit.ID, Known: w.texts.Has("en", "error."+p.Code+".title")}); err != nil {
		w.failJSON(rw, visit, p)
	}
}

// logDenied keeps every try to do what one may not.
func (w *Server) logDenied(r *http.Request, v *Visit, err error) {
	var h *hidden
	switch {
	case errors.As(err, &h):
		w.log.Warn("denied", "request", v.ID, "user", v.User().Name, "act", h.act, "of", h.id, "from", r.RemoteAddr)
	case errors.Is(err, ErrForbidden):
		w.log.Warn("denied", "request", v.ID, "user", v.User().Name, "method", r.Method, "path", redactPath(r.URL.Path), "from", r.RemoteAddr)
	}
}

func retryAfter(p Problem) string { return strconv.Itoa(int(p.After.Seconds()) + 1) }

type fault struct {
	Problem
	Request string
	Known   bool
}

// Wait is how long to wait in whole seconds.
func (f fault) Wait() int { return int(f.After.Seconds()) + 1 }

func (w *Server) failJSON(rw http.ResponseWriter, v *Visit, p Problem) {
	body, _ := json.Marshal(map[string]any{ // of strings and numbers: cannot fail
		"type": "urn:watchward:problem:" + p.Code, "status": p.Status, "field": p.Field, "request": v.ID, "detail": p.Detail,
		"title": w.texts.T(v.Lang, "error."+p.Code+".title"),
		"hint":  w.texts.T(v.Lang, "error."+p.Code+".hint", "seconds", int(p.After.Seconds())+1),
	})
	rw.Header().Set("Content-Type", "application/problem+json")
	rw.WriteHeader(p.Status)
	_, _ = rw.Write(body) // whoever hung up will not read it
}

// JSON answers with v.
func JSON(rw http.ResponseWriter, v any) error { return JSONStatus(rw, http.StatusOK, v) }

// JSONStatus answers with v and a status.
func JSONStatus(rw http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(status)
	_, _ = rw.Write(body) // whoever hung up will not read it
	return nil
}

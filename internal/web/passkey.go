package web

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/watchward/watchward/internal/access"
)

func (w *Server) passkeyRoutes() {
	w.Handle("POST /api/passkeys/ask", Anyone, w.askPasskey)
	w.Handle("POST /api/passkeys/login", Anyone, w.loginPasskey)
	w.Handle("POST /api/passkeys/new/ask", View, w.askNewPasskey)
	w.Handle("POST /api/passkeys/new", View, w.addPasskey)
	w.Handle("POST /account/passkeys/drop", View, w.dropPasskey)
}

// origin is what the browser calls us; [Server.knownHost] has checked the name.
func (w *Server) origin(r *http.Request) string {
	if w.Secure() {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// passkeyAnswer is what a browser sends back.
type passkeyAnswer struct {
	Ceremony string          `json:"ceremony"`
	Name     string          `json:"name"`
	Next     string          `json:"next"`
	Answer   json.RawMessage `json:"answer"`
}

func readAnswer(rw http.ResponseWriter, r *http.Request) (a passkeyAnswer, err error) {
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, maxForm))
	if err != nil {
		return a, badForm(err)
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return a, errors.Join(ErrBadRequest, err)
	}
	return a, nil
}

func (w *Server) askPasskey(rw http.ResponseWriter, r *http.Request) error {
	q, err := w.o.Access.AskPasskey(w.origin(r))
	if err != nil {
		return err
	}
	return JSON(rw, q)
}

func (w *Server) loginPasskey(rw http.ResponseWriter, r *http.Request) error {
	a, err := readAnswer(rw, r)
	if err != nil {
		return err
	}
	s, err := w.o.Access.LoginPasskey(r.Context(), a.Ceremony, a.Answer)
	if err != nil {
		w.log.Warn("login refused", "from", r.RemoteAddr, "err", err)
		return err
	}
	w.log.Info("logged in with a passkey", "user", s.User.Name, "from", r.RemoteAddr)
	if err := w.replaceSession(rw, r, s); err != nil {
		return err
	}
	return JSON(rw, map[string]string{"next": localPath(a.Next)})
}

// owner is who sits at the browser. A program with a token makes no passkeys:
// that would be a way in that outlives the token.
func owner(r *http.Request) (access.User, error) {
	v := From(r)
	if v.Token {
		return access.User{}, ErrForbidden
	}
	return v.User(), nil
}

func (w *Server) askNewPasskey(rw http.ResponseWriter, r *http.Request) error {
	u, err := owner(r)
	if err != nil {
		return err
	}
	q, err := w.o.Access.AskNewPasskey(r.Context(), u, w.origin(r))
	if err != nil {
		return err
	}
	return JSON(rw, q)
}

func (w *Server) addPasskey(rw http.ResponseWriter, r *http.Request) error {
	u, err := owner(r)
	if err != nil {
		return err
	}
	a, err := readAnswer(rw, r)
	if err != nil {
		return err
	}
	if err := w.o.Access.AddPasskey(r.Context(), u, a.Ceremony, a.Name, a.Answer); err != nil {
		return err
	}
	w.log.Info("passkey added", "user", u.Name, "from", r.RemoteAddr)
	return JSON(rw, map[string]string{"next": "/account?saved=passkey"})
}

func (w *Server) dropPasskey(rw http.ResponseWriter, r *http.Request) error {
	if err := parseForm(rw, r); err != nil {
		return err
	}
	if err := w.o.Access.DropPasskey(r.Context(), From(r).User(), r.PostForm.Get("id")); err != nil {
		return err
	}
	return accountSaved(rw, r, "passkey-gone")
}

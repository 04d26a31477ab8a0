// Package web is the frame of everything Watchward shows in a browser: the
// listener and its TLS, who is logged in, the guards every request passes, the
// layout, the error table and the assets. Pages and API of a wing live in its
// own subpackage and hang themselves into a [Server] with [Server.Handle].
//
// # What to know before it hurts
//
// Nothing is open unless it says so: a route needs an administrator unless
// registered with [View] or [Anyone]. Plain HTTP is spoken on loopback only.
//
// No page holds a script or a style of its own: the content-security policy
// forbids it, and that is what stands between a camera named <script> and a
// person's key. Every text comes from package locale.
package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/watchward/watchward/internal/access"
	"github.com/watchward/watchward/internal/web/locale"
)

// Need says who may use a route. Its zero value is the strictest.
type Need struct {
	who who
	act access.Act
}

type who int

const (
	administrator who = iota
	allowed
	loggedIn
	world
)

// The needs that name no act.
var (
	Change = Need{who: administrator} // an administrator of everything
	View   = Need{who: loggedIn}      // anybody logged in; what he may see is the route's to ask
	Anyone = Need{who: world}
)

// For is for whoever may do something somewhere. Whether he may do it at the
// place the request is about is the route's to ask: see [Visit.May].
func For(act access.Act) Need { return Need{who: allowed, act: act} }

// Act is what a route made with [For] is about, else "".
func (n Need) Act() access.Act { return n.act }

// Handler answers a request or returns why it could not; see [Problem].
type Handler func(http.ResponseWriter, *http.Request) error

// Route is one line of what a [Server] answers to.
type Route struct {
	Pattern string // as for [http.ServeMux], with method
	Need    Need
}

// Demo is what the banner of a demo tells.
type Demo struct {
	Archive string // folder of the sealed video
	Keys    string // folder of the sealed day keys
}

// Scope is a place for which a role can be given, with its name for people.
type Scope struct {
	access.Scope
	Name  string
	Depth int // below its organisations
}

// Options configures a [Server].
type Options struct {
	Access *access.Access // required

	// Listen is host:port; empty means 127.0.0.1:8433.
	Listen string
	TLS    TLS
	// Hosts are names under which browsers may reach us, beside IP addresses,
	// localhost, this machine's own name and TLS.Domains.
	Hosts []string

	// Scopes lists the organisations and sites for which a role can be given.
	// Nil: roles hold everywhere.
	Scopes func(context.Context) ([]Scope, error)

	// SSOName is what people call the single sign-on that access has.
	SSOName string

	Demo    *Demo  // nil: not a demo
	Contact string // for security.txt: a mailto: or https: address; empty: none served
	Version string
	Log     *slog.Logger     // nil means [slog.Default]
	Now     func() time.Time // nil means [time.Now]
}

// Server serves pages and API.
type Server struct {
	o       Options
	log     *slog.Logger
	texts   *locale.Texts
	mux     *http.ServeMux
	routes  []Route
	explain []func(error) (Problem, bool)
	styles  []string
	assets  func() *assets
	pages   struct{ login, fault, users, user, account, invitation, recover, entering *Page }
	scheme  scheme

	ready chan struct{}
	mu    sync.Mutex
	url   string
	print string // fingerprint of a generated certificate
}

// New checks the options and starts nothing.
func New(o Options) (*Server, error) {
	if o.Access == nil {
		return nil, errors.New("new web: no access given")
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:8433"
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	texts, err := locale.Load()
	if err != nil {
		return nil, fmt.Errorf("new web: %w", err)
	}
	w := &Server{o: o, log: o.Log, texts: texts, mux: http.NewServeMux(), ready: make(chan struct{})}
	if w.scheme, err = chooseScheme(o.Listen, o.TLS); err != nil {
		return nil, fmt.Errorf("new web: %w", err)
	}
	w.assets = sync.OnceValue(w.buildAssets)
	if err := w.frameRoutes(); err != nil {
		return nil, fmt.Errorf("new web: %w", err)
	}
	return w, nil
}

// Handle adds a route. Patterns are those of [http.ServeMux] and must name a
// method, so that nothing is reachable by one nobody thought of.
func (w *Server) Handle(pattern string, need Need, h Handler) {
	method, _, ok := strings.Cut(pattern, " ")
	if !ok || method != strings.ToUpper(method) {
		panic(fmt.Sprintf("web: pattern %q names no method", pattern))
	}
	w.routes = append(w.routes, Route{Pattern: pattern, Need: need})
	w.mux.Handle(pattern, w.guard(need, h))
}

// Routes lists what was added.
func (w *Server) Routes() []Route { return slices.Clone(w.routes) }

// Styles adds a wing's style sheet to the one that is served. Call before
// [Server.Run].
func (w *Server) Styles(css string) { w.styles = append(w.styles, css) }

// Explain adds a wing's part of the error table.
func (w *Server) Explain(f func(error) (Problem, bool)) { w.explain = append(w.explain, f) }

// Texts are those of the pages.
func (w *Server) Texts() *locale.Texts { return w.texts }

// Demo is nil unless this is one.
func (w *Server) Demo() *Demo { return w.o.Demo }

// Ready is closed when browsers can connect.
func (w *Server) Ready() <-chan struct{} { return w.ready }

// URL is where browsers reach us, with a slash at the end; known once [Server.Ready] is closed.
func (w *Server) URL() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.url
}

// Fingerprint is the SHA-256 of the generated certificate, in hex with colons,
// for a person to compare; "" when there is none. Known once ready.
func (w *Server) Fingerprint() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.print
}

// Secure reports whether browsers talk TLS to us.
func (w *Server) Secure() bool { return w.scheme != plain }

const shutdownTime = 3 * time.Second

// Run listens and serves until ctx ends; then it lets answers under way finish
// for a short time. Live views and event streams end at once.
func (w *Server) Run(ctx context.Context) error {
	tlsConfig, print, err := w.o.TLS.config(w.scheme, w.o.Now)
	if err != nil {
		return fmt.Errorf("prepare TLS: %w", err)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", w.o.Listen)
	if err != nil {
		return fmt.Errorf("listen on %q: %w", w.o.Listen, err)
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	server := &http.Server{
		Handler:           w.Handler(),
		TLSConfig:         tlsConfig,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      2 * time.Minute, // routes that take longer move it, see [LongAnswer]
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		BaseContext:       func(net.Listener) context.Context { return serving },
		ErrorLog:          slog.NewLogLogger(w.log.Handler(), slog.LevelDebug), // other people's broken connections
	}
	server.RegisterOnShutdown(stop)
	w.announce(listener.Addr(), print)
	done := make(chan error, 1)
	go func() {
		if tlsConfig != nil {
			done <- server.ServeTLS(listener, "", "")
		} else {
			done <- server.Serve(listener)
		}
	}()
	select {
	case err := <-done:
		return fmt.Errorf("serve %q: %w", w.o.Listen, err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		server.Close()
	}
	<-done
	return nil
}

// announce makes the address known. An address for all interfaces is shown as
// this machine's name, which is what a person can type elsewhere.
func (w *Server) announce(addr net.Addr, print string) {
	host, port, _ := net.SplitHostPort(addr.String())
	if named, _, err := net.SplitHostPort(w.o.Listen); err == nil && named == "localhost" {
		host = named
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = machineName()
	}
	if len(w.o.TLS.Domains) > 0 {
		host = w.o.TLS.Domains[0]
	}
	url := "http://"
	if w.Secure() {
		url = "https://"
	}
	if url += net.JoinHostPort(host, port); w.Secure() {
		url = strings.TrimSuffix(url, ":443")
	}
	url += "/"
	w.mu.Lock()
	w.url, w.print = url, print
	w.mu.Unlock()
	close(w.ready)
}

// LongAnswer gives a route more time to write, or with zero all it wants: for
// event streams and large downloads.
func LongAnswer(rw http.ResponseWriter, d time.Duration) {
	var until time.Time
	if d > 0 {
		until = time.Now().Add(d)
	}
	_ = http.NewResponseController(rw).SetWriteDeadline(until) // a recorder in tests has none
}

// Package know is the wing of the web that shows what the estate is made of,
// who made it, and what the law asks of it: organisations, sites, devices,
// scans, findings, the plan, and the rules themselves. docs/design/0002-know.md
// is the way from a probe to a plan that the pages follow.
//
// [New] hangs everything into a [web.Server]; [Know.Run] runs the scans that
// people ask for there.
//
// # What to know before it hurts
//
// Whatever a device says of itself is hostile. Templates escape it; [shown]
// takes out what would turn a line around or hide in it. Nothing that a device
// said becomes an address, a class or the name of a text.
//
// The pages say what the rooms below concluded and never conclude themselves.
// Not knowing is shown as not knowing: no colour of it clears or accuses.
package know

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/identify/makers"
	"github.com/watchward/watchward/internal/policy"
	"github.com/watchward/watchward/internal/web"
)

//go:embed parts.tmpl plots.css */page.tmpl */page.css
var files embed.FS

// Options configures a [Know]. All are required but
// Network, Import, Town, Log and Now.
type Options struct {
	Web     *web.Server
	Estate  *estate.Estate
	Book    *policy.Book
	Makers  *makers.Graph
	Network Network // looks for devices; nil: this server does not
	Import  Import  // reads files of other scanners; nil: none
	// Town are the ranges of the demo's simulated town, to offer for a scan.
	Town []string

	Log *slog.Logger     // nil means [slog.Default]
	Now func() time.Time // nil means [time.Now]
}

// Know is the wing.
type Know struct {
	o     Options
	log   *slog.Logger
	now   func() time.Time
	words *policy.Texts
	pages map[string]*web.Page
	scans *scans
}

// New hangs the wing into o.Web.
func New(o Options) (*Know, error) {
	if o.Web == nil || o.Estate == nil || o.Book == nil || o.Makers == nil {
		return nil, errors.New("new know: want web, estate, book and makers")
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	words, err := policy.LoadTexts()
	if err != nil {
		return nil, fmt.Errorf("new know: %w", err)
	}
	k := &Know{o: o, log: o.Log, now: o.Now, words: words, pages: map[string]*web.Page{}}
	if err := k.loadPages(); err != nil {
		return nil, fmt.Errorf("new know: %w", err)
	}
	o.Web.Explain(explain)
	k.estateRoutes()
	k.deviceRoutes()
	k.actRoutes()
	k.mapRoutes()
	k.ruleRoutes()
	k.findingRoutes()
	k.decisionRoutes()
	k.planRoutes()
	k.whatIfRoutes()
	if o.Network != nil {
		k.scans = newScans(k)
		k.scanRoutes()
	}
	return k, nil
}

// loadPages reads a folder a page. What several pages draw is in parts.tmpl.
func (k *Know) loadPages() error {
	css, err := fs.ReadFile(files, "plots.css")
	if err != nil {
		return err
	}
	k.o.Web.Styles(string(css))
	names, err := fs.Glob(files, "*/page.tmpl")
	if err != nil {
		return err
	}
	for _, name := range names {
		page, err := k.o.Web.Page(files, name, "parts.tmpl")
		if err != nil {
			return err
		}
		folder := strings.TrimSuffix(name, "/page.tmpl")
		k.pages[folder] = page
		if css, err := fs.ReadFile(files, folder+"/page.css"); err == nil {
			k.o.Web.Styles(string(css))
		}
	}
	return nil
}

// rules is what is judged by, with the decisions made here.
func (k *Know) rules() *policy.Catalogue { return k.o.Book.Catalogue() }

// explain is this wing's part of the error table.
func explain(err error) (web.Problem, bool) {
	var inv *estate.Invalid
	var wrong *policy.Invalid
	switch {
	case errors.As(err, &wrong):
		return web.Problem{Status: http.StatusUnprocessableEntity, Code: "invalid", Field: wrong.Field, Detail: wrong.Want}, true
	case errors.Is(err, policy.ErrNotFound):
		return web.Problem{Status: http.StatusNotFound, Code: "not-found"}, true
	case errors.As(err, &inv):
		return web.Problem{Status: http.StatusUnprocessableEntity, Code: "invalid", Field: inv.Field, Detail: inv.Error()}, true
	case errors.Is(err, estate.ErrNotFound):
		return web.Problem{Status: http.StatusNotFound, Code: "not-found"}, true
	case errors.Is(err, estate.ErrRefused):
		return web.Problem{Status: http.StatusConflict, Code: "refused", Detail: err.Error()}, true
	}
	return web.Problem{}, false
}

func (k *Know) render(rw http.ResponseWriter, r *http.Request, page string, status int, data any) error {
	return k.pages[page].Render(rw, r, status, data)
}

// Package prove is the wing of the web that shows what is promised, and the
// evidence: the state of assurance of every camera, and the log of what was
// recorded, deleted, held and watched.
//
// [New] hangs everything into a [web.Server]. What is judged good is in
// assurance.go, apart from pages and rooms.
//
// # What to know before it hurts
//
// Good takes evidence that is fresh. What nobody observed is shown as not
// observed: absence of evidence is never good.
package prove

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/access"
	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/ledger"
	"github.com/watchward/watchward/internal/policy"
	"github.com/watchward/watchward/internal/web"
)

//go:embed */page.tmpl */page.css
var files embed.FS

// Archive is what the pages ask of the archive.
type Archive interface {
	Timeline(ctx context.Context, id archive.StreamID, from, to time.Time) (archive.Timeline, error)
	Holds(ctx context.Context) ([]archive.Hold, error)
	Health() archive.Health
}

// Keys gives out sealed day keys: that there is one is what the pages want to know.
type Keys interface {
	Sealed(site, camera, day string) ([]byte, error)
}

// Ledger is what the pages ask of the ledger.
type Ledger interface {
	Status(ctx context.Context) (ledger.Status, error)
	Leaves(ctx context.Context, from uint64, n int) ([]ledger.Leaf, error)
	Secrets(ledger.Leaf) ([]ledger.Field, error)
	Prove(ctx context.Context, index uint64) (ledger.Proof, error)
	Sign(about string, document []byte) ([]byte, error)
}

// Options configures a [Prove]. All are required but Log and Now.
type Options struct {
	Web     *web.Server
	Estate  *estate.Estate
	Book    *policy.Book
	Archive Archive
	Keys    Keys
	Ledger  Ledger

	Log *slog.Logger     // nil means [slog.Default]
	Now func() time.Time // nil means [time.Now]
}

// Prove is the wing.
type Prove struct {
	o     Options
	now   func() time.Time
	pages map[string]*web.Page
}

// New hangs the wing into o.Web.
func New(o Options) (*Prove, error) {
	if o.Web == nil || o.Estate == nil || o.Book == nil || o.Archive == nil || o.Keys == nil || o.Ledger == nil {
		return nil, errors.New("new prove: want web, estate, book, archive, keys and ledger")
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	p := &Prove{o: o, now: o.Now, pages: map[string]*web.Page{}}
	if err := p.loadPages(); err != nil {
		return nil, fmt.Errorf("new prove: %w", err)
	}
	o.Web.Explain(explain)
	h := o.Web.Handle
	h("GET /assurance", web.For(access.SeeArchive), p.showAssurance)
	h("GET /api/assurance", web.For(access.SeeArchive), p.apiAssurance)
	h("GET /log", web.For(access.SeeLog), p.showLog)
	h("GET /log/{index}", web.For(access.SeeLog), p.showLeaf)
	h("GET /api/log", web.For(access.SeeLog), p.apiLog)
	h("GET /api/log/{index}/proof", web.For(access.SeeLog), p.apiProof)
	return p, nil
}

func (p *Prove) loadPages() error {
	names, err := fs.Glob(files, "*/page.tmpl")
	if err != nil {
		return err
	}
	for _, name := range names {
		page, err := p.o.Web.Page(files, name)
		if err != nil {
			return err
		}
		folder := strings.TrimSuffix(name, "/page.tmpl")
		p.pages[folder] = page
		if css, err := fs.ReadFile(files, folder+"/page.css"); err == nil {
			p.o.Web.Styles(string(css))
		}
	}
	return nil
}

// explain is this wing's part of the error table.
func explain(err error) (web.Problem, bool) {
	if errors.Is(err, ledger.ErrNotFound) {
		return web.Problem{Status: http.StatusNotFound, Code: "not-found"}, true
	}
	return web.Problem{}, false
}

func (p *Prove) render(rw http.ResponseWriter, r *http.Request, page string, data any) error {
	return p.pages[page].Render(rw, r, http.StatusOK, data)
}

// Package watch is the wing of the web that shows cameras: the wall, a camera
// live and recorded, the list of cameras, the state of the archive, the first
// set-up; and the API behind them, as docs/design/0001-spine.md has it under
// "The HTTP door of the browser".
//
// [New] hangs everything into a [web.Server]. Whoever runs the recorders then
// tells what happens with [Watch.CameraChanged], [Watch.SegmentClosed] and
// [Watch.HealthChanged]; browsers hear of it from /api/events.
//
// # What to know before it hurts
//
// Every route that takes a camera's ID asks whether this user may see this
// camera; one he may not see is answered like one that does not exist.
//
// Nothing to see is given out before the viewing is noted: see viewing.go.
//
// Video passes through here sealed. Nothing in this package can open it, and
// an identity that somebody sends by mistake is refused with a warning, never
// stored or logged.
package watch

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/access"
	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/camera"
	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/live"
	"github.com/watchward/watchward/internal/seal"
	"github.com/watchward/watchward/internal/web"
)

//go:embed */page.tmpl */page.css
var files embed.FS

// OpenSegment is the segment a recorder is writing.
type OpenSegment struct {
	Start  time.Time
	Bytes  int64  // whole chunks on disk
	Codecs string // RFC 6381, or ""
	Parts  []OpenPart
}

// OpenPart is where a part of it begins.
type OpenPart struct {
	At     time.Duration // after Start
	Offset int64         // plain bytes before its moof
	Key    bool          // begins with a keyframe
}

// Recording is what a recorder says of a stream.
type Recording struct {
	On     bool
	Reason string // why not, "" if on or not asked to record
	Since  time.Time
}

// Recorders knows the streams that run.
type Recorders interface {
	// Open is the segment being written, if one is.
	Open(camera, stream string) (OpenSegment, bool)
	// State says how a stream is doing; ok is false for one that does not run.
	State(camera, stream string) (c camera.State, r Recording, ok bool)
}

// Archive is what pages ask of the archive.
type Archive interface {
	Timeline(ctx context.Context, id archive.StreamID, from, to time.Time) (archive.Timeline, error)
	List(ctx context.Context, id archive.StreamID, from, to time.Time, limit int) ([]archive.Segment, error)
	OpenFile(ctx context.Context, id archive.StreamID, start time.Time) (archive.File, archive.Segment, error)
	OpenPart(id archive.StreamID, start time.Time) (archive.File, error)
	Health() archive.Health
}

// Keys gives out sealed day keys.
type Keys interface {
	Sealed(site, camera, day string) ([]byte, error)
}

// Live shows streams as they come.
type Live interface {
	Choose(camera, want string, can live.Can) live.Choice
	WHEP(w http.ResponseWriter, r *http.Request, camera, stream string)
	WHEPDelete(w http.ResponseWriter, r *http.Request, id string)
	Socket(w http.ResponseWriter, r *http.Request, camera, stream string)
	Viewers() int
}

// Options configures a [Watch]. All are required but Log and Now.
type Options struct {
	Web       *web.Server
	Access    *access.Access
	Estate    *estate.Estate
	Archive   Archive
	Keys      Keys
	Live      Live
	Recorders Recorders
	Viewings  Viewings

	// DataDir is where archive and keys lie, for the page that says how to
	// check what is in them.
	DataDir string

	Log *slog.Logger     // nil means [slog.Default]
	Now func() time.Time // nil means [time.Now]
}

// Watch is the wing.
type Watch struct {
	o     Options
	log   *slog.Logger
	now   func() time.Time
	hub   hub
	pages map[string]*web.Page
}

// New hangs the wing into o.Web.
func New(o Options) (*Watch, error) {
	if o.Web == nil || o.Access == nil || o.Estate == nil || o.Archive == nil || o.Keys == nil || o.Live == nil || o.Recorders == nil || o.Viewings == nil {
		return nil, errors.New("new watch: want web, access, estate, archive, keys, live, recorders and viewings")
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	w := &Watch{o: o, log: o.Log, now: o.Now, pages: map[string]*web.Page{}}
	if err := w.loadPages(); err != nil {
		return nil, fmt.Errorf("new watch: %w", err)
	}
	o.Web.Explain(explain)
	w.apiRoutes()
	w.pageRoutes()
	return w, nil
}

func (w *Watch) loadPages() error {
	names, err := fs.Glob(files, "*/page.tmpl")
	if err != nil {
		return err
	}
	for _, name := range names {
		page, err := w.o.Web.Page(files, name)
		if err != nil {
			return err
		}
		folder := strings.TrimSuffix(name, "/page.tmpl")
		w.pages[folder] = page
		if css, err := fs.ReadFile(files, folder+"/page.css"); err == nil {
			w.o.Web.Styles(string(css))
		}
	}
	return nil
}

// explain is this wing's part of the error table.
func explain(err error) (web.Problem, bool) {
	var inv *estate.Invalid
	switch {
	case errors.As(err, &inv):
		return web.Problem{Status: http.StatusUnprocessableEntity, Code: "invalid", Field: inv.Field, Detail: inv.Error()}, true
	case errors.Is(err, ErrNotNoted):
		return web.Problem{Status: http.StatusServiceUnavailable, Code: "not-noted", After: 5 * time.Second}, true
	case errors.Is(err, estate.ErrRefused):
		return web.Problem{Status: http.StatusConflict, Code: "refused", Detail: err.Error()}, true
	case errors.Is(err, estate.ErrNotFound), errors.Is(err, archive.ErrNotFound), errors.Is(err, seal.ErrNotFound):
		return web.Problem{Status: http.StatusNotFound, Code: "not-found"}, true
	case errors.Is(err, seal.ErrIdentityAsReader):
		return web.Problem{Status: http.StatusUnprocessableEntity, Code: "identity-sent", Field: "recipient"}, true
	case errors.Is(err, seal.ErrMixedReaders):
		return web.Problem{Status: http.StatusUnprocessableEntity, Code: "mixed-readers", Field: "recipient"}, true
	case errors.Is(err, seal.ErrNoReaders):
		return web.Problem{Status: http.StatusUnprocessableEntity, Code: "no-readers", Field: "recipient"}, true
	}
	return web.Problem{}, false
}

// acting is a request's context that says who asks, for the estate's history.
func acting(r *http.Request) context.Context {
	return estate.ActingAs(r.Context(), web.From(r).User().Name)
}

// camera finds the camera of a request, if the user may do there what he wants.
func (w *Watch) camera(r *http.Request, act access.Act) (estate.Camera, error) {
	id := r.PathValue("id")
	if (archive.StreamID{Site: "x", Camera: id, Stream: "main"}).Valid() != nil {
		return estate.Camera{}, web.ErrNotFound
	}
	c, err := w.o.Estate.Camera(r.Context(), id)
	if err != nil {
		return estate.Camera{}, err
	}
	at, err := w.place(r.Context(), c.Site)
	if err != nil {
		return estate.Camera{}, err
	}
	switch visit := web.From(r); {
	case visit.May(act, at):
		return c, nil
	case visit.May(access.SeeLive, at):
		return estate.Camera{}, web.ErrForbidden // he knows that it exists
	}
	// A camera that may not be seen is one that does not exist.
	return estate.Camera{}, web.Hidden(act, id)
}

// allow refuses what the user may not do at a site; with no site, everywhere.
func (w *Watch) allow(r *http.Request, act access.Act, site string) error {
	var at access.Place
	if site != "" {
		var err error
		if at, err = w.place(r.Context(), site); err != nil {
			return err
		}
	}
	if !web.From(r).May(act, at) {
		return web.ErrForbidden
	}
	return nil
}

// place is where a site is, for [access.May].
func (w *Watch) place(ctx context.Context, site string) (access.Place, error) {
	return access.At(ctx, w.o.Estate, site)
}

// seen keeps the cameras of places where the user may do something.
func (w *Watch) seen(ctx context.Context, v *web.Visit, act access.Act, cameras []estate.Camera) ([]estate.Camera, error) {
	may := map[string]bool{}
	for _, c := range cameras {
		if _, asked := may[c.Site]; asked {
			continue
		}
		at, err := w.place(ctx, c.Site)
		if err != nil {
			return nil, err
		}
		may[c.Site] = v.May(act, at)
	}
	return slices.DeleteFunc(cameras, func(c estate.Camera) bool { return !may[c.Site] }), nil
}

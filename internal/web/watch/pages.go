package watch

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/access"
	"github.com/watchward/watchward/internal/camera"
	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/web"
)

func (w *Watch) pageRoutes() {
	h, change := w.o.Web.Handle, web.For(access.ChangeCameras)
	h("GET /{$}", web.View, w.showWall)
	h("GET /setup", web.Anyone, w.showSetupHint)
	h("GET /setup/{token}", web.Anyone, w.showSetup)
	h("POST /setup/{token}", web.Anyone, w.setup)
	h("GET /cameras", web.View, w.showCameras)
	h("GET /cameras/{id}", web.View, w.showCamera)
	// IDs never begin with "-": these name no camera.
	h("GET /cameras/-/new", change, w.showNew)
	h("POST /cameras/-/new", change, w.addCamera)
	h("GET /cameras/-/import", change, w.showImport)
	h("POST /cameras/-/import", change, w.importCameras)
	h("GET /cameras/{id}/edit", change, w.showEdit)
	h("POST /cameras/{id}/edit", change, w.editCamera)
	h("GET /cameras/{id}/check", change, w.showCheck)
	h("POST /cameras/{id}/trust", change, w.trustCertificate)
	h("GET /cameras/{id}/remove", change, w.showRemove)
	h("POST /cameras/{id}/remove", change, w.removeCamera)
	h("GET /archive", web.For(access.SeeArchive), w.showArchive)
	h("POST /archive/retention", web.For(access.ChangeArchive), w.setRetention)
	h("POST /archive/readers", web.For(access.ChangeArchive), w.addReader)
	h("POST /archive/readers/remove", web.For(access.ChangeArchive), w.removeReader)
}

func (w *Watch) render(rw http.ResponseWriter, r *http.Request, page string, status int, data any) error {
	return w.pages[page].Render(rw, r, status, data)
}

// siteCameras is a site with what a page shows of its cameras.
type siteCameras struct {
	estate.Site
	Cameras []cameraView
}

// cameraView is a camera with its state.
type cameraView struct {
	estate.Camera
	Main, Sub *streamInfo // nil where there is none
}

// Tile is the stream that the wall shows.
func (c cameraView) Tile() string {
	if c.Sub != nil {
		return "sub"
	}
	return "main"
}

// StreamNames is the list for the player.
func (c cameraView) StreamNames() string {
	var names []string
	for _, s := range c.Streams {
		names = append(names, s.Name)
	}
	return strings.Join(names, ",")
}

// SinceTime is when the state began.
func (s streamInfo) SinceTime() time.Time {
	if s.Since == 0 {
		return time.Time{}
	}
	return time.UnixMilli(s.Since)
}

// Detail is what the camera's connection says in its own words.
func (s streamInfo) Detail() string { return s.detail }

// Live reports whether pictures come.
func (s streamInfo) Live() bool { return s.State == string(camera.Live) }

// Tone is the colour of the state.
func (s streamInfo) Tone() string {
	switch {
	case s.Live() && s.Reason == "":
		return "good"
	case s.Live() || s.State == string(camera.Dialing):
		return "warn"
	case s.State == string(camera.Halted):
		return "off"
	}
	return "bad"
}

func (w *Watch) view(c estate.Camera) cameraView {
	v := cameraView{Camera: c}
	for _, s := range c.Streams {
		info := w.streamInfo(c, s)
		if s.Name == "main" {
			v.Main = &info
		} else {
			v.Sub = &info
		}
	}
	return v
}

func (w *Watch) bySite(r *http.Request) ([]siteCameras, error) {
	sites, err := w.o.Estate.Sites(r.Context())
	if err != nil {
		return nil, err
	}
	cameras, err := w.visible(r)
	if err != nil {
		return nil, err
	}
	out := make([]siteCameras, len(sites))
	for i, s := range sites {
		out[i].Site = s
		for _, c := range cameras {
			if c.Site == s.ID {
				out[i].Cameras = append(out[i].Cameras, w.view(c))
			}
		}
	}
	return slices.DeleteFunc(out, func(s siteCameras) bool { return len(s.Cameras) == 0 }), nil
}

type wallData struct {
	Sites  []siteCameras
	Count  int
	Health healthInfo
}

func (w *Watch) showWall(rw http.ResponseWriter, r *http.Request) error {
	sites, err := w.bySite(r)
	if err != nil {
		return err
	}
	d := wallData{Sites: gather(sites)}
	d.Health.Disk = string(w.o.Archive.Health().Disk)
	for _, s := range sites {
		d.Count += len(s.Cameras)
	}
	return w.render(rw, r, "wall", http.StatusOK, d)
}

// oneWall is how many cameras share one wall, whatever their sites: more are
// easier to find under their site's name.
const oneWall = 25

func gather(sites []siteCameras) []siteCameras {
	var all siteCameras
	for _, s := range sites {
		all.Cameras = append(all.Cameras, s.Cameras...)
	}
	if len(sites) < 2 || len(all.Cameras) > oneWall {
		return sites
	}
	return []siteCameras{all}
}

// Columns of a wall as wide as high; 0: as many as fit.
func (s siteCameras) Columns() int {
	for n := 1; n*n <= oneWall; n++ {
		if len(s.Cameras) <= n*n {
			return n
		}
	}
	return 0
}

type cameraData struct {
	Camera   cameraView
	Site     estate.Site
	Readers  []estate.Reader
	Timeline timelineInfo
	Gaps     []gapView
	MoreGaps int
	From, To time.Time
}

type gapView struct {
	Start, End time.Time
	Reason     string
}

// Length is how long nothing was recorded.
func (g gapView) Length() time.Duration { return g.End.Sub(g.Start) }

// First is when the recordings begin.
func (d cameraData) First() time.Time {
	if d.Timeline.First == 0 {
		return time.Time{}
	}
	return time.UnixMilli(d.Timeline.First)
}

const shownGaps = 50

func (w *Watch) showCamera(rw http.ResponseWriter, r *http.Request) error {
	c, err := w.camera(r, access.SeeLive)
	if err != nil {
		return err
	}
	d := cameraData{Camera: w.view(c), To: w.now().UTC()}
	d.From = d.To.Add(-24 * time.Hour)
	if d.Site, err = w.site(r.Context(), c.Site); err != nil {
		return err
	}
	if d.Readers, err = w.o.Estate.Readers(r.Context(), c.Site); err != nil {
		return err
	}
	id, err := streamID(c, "main")
	if err != nil {
		return err
	}
	if d.Timeline, err = w.timeline(r.Context(), id, d.From, d.To); err != nil {
		return err
	}
	for _, g := range slices.Backward(d.Timeline.Gaps) {
		if len(d.Gaps) == shownGaps {
			d.MoreGaps = len(d.Timeline.Gaps) - shownGaps
			break
		}
		d.Gaps = append(d.Gaps, gapView{time.UnixMilli(g.Start), time.UnixMilli(g.End), g.Reason})
	}
	return w.render(rw, r, "camera", http.StatusOK, d)
}

func (w *Watch) site(ctx context.Context, id string) (estate.Site, error) {
	sites, err := w.o.Estate.Sites(ctx)
	if err != nil {
		return estate.Site{}, err
	}
	for _, s := range sites {
		if s.ID == id {
			return s, nil
		}
	}
	return estate.Site{}, web.ErrNotFound
}

type camerasData struct {
	Sites   []siteCameras
	Count   int
	Added   int // by an import just now
	Removed string
}

func (w *Watch) showCameras(rw http.ResponseWriter, r *http.Request) error {
	sites, err := w.bySite(r)
	if err != nil {
		return err
	}
	d := camerasData{Sites: sites}
	for _, s := range sites {
		d.Count += len(s.Cameras)
	}
	d.Added, _ = strconv.Atoi(r.URL.Query().Get("added"))
	return w.render(rw, r, "cameras", http.StatusOK, d)
}

// editData is the form of one camera, new or changed.
type editData struct {
	ID      string // "" for a new one
	Sites   []estate.Site
	Form    map[string]string
	On      map[string]bool
	Lost    bool // the password
	Problem *estate.Invalid
}

func (d editData) Wrong(field string) bool { return d.Problem != nil && d.Problem.Field == field }

func (w *Watch) showNew(rw http.ResponseWriter, r *http.Request) error {
	d, err := w.newForm(r)
	if err != nil {
		return err
	}
	return w.render(rw, r, "edit", http.StatusOK, d)
}

func (w *Watch) newForm(r *http.Request) (editData, error) {
	sites, err := w.o.Estate.Sites(r.Context())
	return editData{
		Sites: sites, Form: map[string]string{"transport": "auto", "name": "", "site": "", "url": "", "sub_url": "", "username": "", "days": "", "gigabytes": "", "site_new": "", "pin": ""},
		On: map[string]bool{"enabled": true, "record": true, "record_sub": true},
	}, err
}

var (
	formTexts  = []string{"name", "site", "url", "sub_url", "username", "transport", "days", "gigabytes", "site_new", "pin"}
	formTicks  = []string{"enabled", "audio", "record", "record_sub"}
	transports = []string{"auto", "tcp", "udp", "http"}
)

// Transports lists what the form offers.
func (editData) Transports() []string { return transports }

// readCameraForm takes a camera from a form. An empty password leaves the old.
func readCameraForm(r *http.Request, c *estate.Camera) (texts map[string]string, on map[string]bool, err error) {
	texts, on = map[string]string{}, map[string]bool{}
	for _, k := range formTexts {
		texts[k] = r.PostForm.Get(k)
	}
	for _, k := range formTicks {
		on[k] = r.PostForm.Get(k) != ""
	}
	user := texts["username"]
	f := cameraForm{
		Name: new(texts["name"]), Username: &user, Audio: new(on["audio"]), Enabled: new(on["enabled"]), Record: new(on["record"]), RecordSub: new(on["record_sub"]),
		URL: new(texts["url"]), SubURL: new(texts["sub_url"]), Transport: new(texts["transport"]), Pin: new(texts["pin"]),
	}
	if c.ID == "" {
		f.Site = new(texts["site"])
	}
	if p := r.PostForm.Get("password"); p != "" {
		f.Password = &p
	}
	// What a person pasted with its login must not be echoed with it.
	for _, k := range []string{"url", "sub_url"} {
		if clean, u, p, err := estate.SplitAddress(texts[k]); err == nil {
			texts[k] = clean
			if user == "" && u != "" {
				user, texts["username"] = u, u
			}
			if f.Password == nil && p != "" {
				word := p.Reveal()
				f.Password = &word
			}
		} else if i := strings.LastIndexByte(texts[k], '@'); i >= 0 {
			scheme, _, _ := strings.Cut(texts[k], "://")
			texts[k] = scheme + "://" + texts[k][i+1:]
		}
	}
	f.apply(c)
	c.Retention, err = readRetention(texts["days"], texts["gigabytes"])
	return texts, on, err
}

package watch

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/watchward/watchward/internal/access"
	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/camera"
	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/live"
	"github.com/watchward/watchward/internal/web"
)

func (w *Watch) apiRoutes() {
	h := w.o.Web.Handle
	change := web.For(access.ChangeCameras)
	h("GET /api/cameras", web.View, w.apiCameras)
	h("GET /api/cameras/{id}", web.View, w.apiCamera)
	h("POST /api/cameras", change, w.apiAdd)
	h("PUT /api/cameras/{id}", change, w.apiUpdate)
	h("DELETE /api/cameras/{id}", change, w.apiRemove)
	h("GET /api/cameras/{id}/timeline", web.View, w.apiTimeline)
	h("GET /api/cameras/{id}/segments", web.View, w.apiSegments)
	h("GET /api/cameras/{id}/segments/{stream}/{start}", web.View, w.apiSegment)
	h("GET /api/cameras/{id}/days/{day}/key", web.View, w.apiDayKey)
	h("GET /api/cameras/{id}/live", web.View, w.apiLive)
	h("POST /api/cameras/{id}/live/{stream}/whep", web.View, w.apiWHEP)
	h("DELETE /api/cameras/{id}/live/{stream}/whep/{session}", web.View, w.apiWHEPEnd)
	h("GET /api/cameras/{id}/live/{stream}/socket", web.View, w.apiSocket)
	h("GET /api/events", web.View, w.apiEvents)
	h("GET /api/health", web.View, w.apiHealth)
}

// cameraInfo is a camera as the API tells it. Times are Unix milliseconds.
type cameraInfo struct {
	ID      string       `json:"id"`
	Name    string       `json:"name"`
	Site    string       `json:"site"`
	Enabled bool         `json:"enabled"`
	Pin     string       `json:"pin,omitempty"` // SHA-256 of the certificate that is trusted
	Streams []streamInfo `json:"streams"`
}

type streamInfo struct {
	Name      string  `json:"name"`
	Codec     string  `json:"codec"`
	Width     int     `json:"width"`
	Height    int     `json:"height"`
	FPS       float64 `json:"fps"`
	Kbps      float64 `json:"kbps"`
	Audio     string  `json:"audio"`
	State     string  `json:"state"`
	Since     int64   `json:"since"`
	Reason    string  `json:"reason"`
	Recording bool    `json:"recording"`

	Certificate *certificateInfo `json:"certificate,omitempty"` // that was refused

	detail    string
	next      time.Time
	transport string
	lost      uint64
}

// certificateInfo is a certificate that a camera showed and that is not trusted.
type certificateInfo struct {
	SHA256    string `json:"sha256"`
	Subject   string `json:"subject"`
	Issuer    string `json:"issuer"`
	NotBefore int64  `json:"not_before"`
	NotAfter  int64  `json:"not_after"`
}

func milli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func (w *Watch) info(c estate.Camera) cameraInfo {
	info := cameraInfo{ID: c.ID, Name: c.Name, Site: c.Site, Enabled: c.Enabled, Pin: c.Pin, Streams: []streamInfo{}}
	for _, s := range c.Streams {
		info.Streams = append(info.Streams, w.streamInfo(c, s))
	}
	return info
}

// streamInfo tells why there is no picture or, where there is one, why it is
// not recorded though it should be.
func (w *Watch) streamInfo(c estate.Camera, s estate.StreamConfig) streamInfo {
	state, rec, ok := w.o.Recorders.State(c.ID, s.Name)
	info := streamInfo{Name: s.Name, State: string(camera.Halted), Reason: "stopped"}
	if !ok {
		if c.Enabled { // told to run, not yet running
			info.State, info.Reason = string(camera.Dialing), "connecting"
		}
		return info
	}
	if info.State = string(state.Phase); info.State == "" {
		info.State = string(camera.Dialing)
	}
	info.Since, info.detail, info.next = milli(state.Since), state.Detail, state.Next
	info.FPS, info.Kbps, info.Recording, info.Reason = round1(state.FPS), round1(state.Kbps), rec.On, ""
	info.transport, info.lost = state.Transport, state.Lost
	if state.Video != nil {
		info.Codec, info.Width, info.Height = state.Video.Codec.String(), state.Video.Width, state.Video.Height
	}
	if state.Audio != nil {
		info.Audio = state.Audio.Codec.String()
	}
	if k := state.Certificate; k != nil {
		info.Certificate = &certificateInfo{k.SHA256, k.Subject, k.Issuer, milli(k.NotBefore), milli(k.NotAfter)}
	}
	switch {
	case state.Phase != camera.Live:
		info.Reason = string(state.Reason)
	case s.Record && !rec.On:
		info.Reason = rec.Reason
	}
	return info
}

func round1(x float64) float64 {
	if !(x > 0 && x < 1e9) {
		return 0
	}
	return float64(int64(x*10+0.5)) / 10
}

// visible returns the cameras a user may see.
func (w *Watch) visible(r *http.Request) ([]estate.Camera, error) {
	all, err := w.o.Estate.Cameras(r.Context())
	if err != nil {
		return nil, err
	}
	return w.seen(r.Context(), web.From(r), access.SeeLive, all)
}

func (w *Watch) apiCameras(rw http.ResponseWriter, r *http.Request) error {
	cameras, err := w.visible(r)
	if err != nil {
		return err
	}
	infos := make([]cameraInfo, len(cameras))
	for i, c := range cameras {
		infos[i] = w.info(c)
	}
	return web.JSON(rw, infos)
}

func (w *Watch) apiCamera(rw http.ResponseWriter, r *http.Request) error {
	c, err := w.camera(r, access.SeeLive)
	if err != nil {
		return err
	}
	return web.JSON(rw, w.info(c))
}

// cameraForm is a camera as the API is told it. Fields left out of a change
// keep their value.
type cameraForm struct {
	Name      *string `json:"name"`
	Site      *string `json:"site"`
	URL       *string `json:"url"`
	SubURL    *string `json:"sub_url"`
	Username  *string `json:"username"`
	Password  *string `json:"password"`
	Transport *string `json:"transport"`
	Audio     *bool   `json:"audio"`
	Enabled   *bool   `json:"enabled"`
	Record    *bool   `json:"record"`
	RecordSub *bool   `json:"record_sub"`
	Pin       *string `json:"pin"`
	MaxHours  *int64  `json:"max_age_hours"`
	MaxBytes  *int64  `json:"max_bytes"`
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

func (f cameraForm) apply(c *estate.Camera) {
	set(&c.Name, f.Name)
	set(&c.Site, f.Site)
	set(&c.Transport, f.Transport)
	set(&c.RecordAudio, f.Audio)
	set(&c.Enabled, f.Enabled)
	set(&c.Retention.MaxBytes, f.MaxBytes)
	set(&c.Pin, f.Pin)
	if f.MaxHours != nil {
		c.Retention.MaxAge = time.Duration(min(*f.MaxHours, 24*365*100)) * time.Hour
	}
	f.applyStream(c, "main", f.URL, f.Record)
	f.applyStream(c, "sub", f.SubURL, f.RecordSub)
	set(&c.Username, f.Username)
	if f.Password != nil {
		c.Password = estate.Secret(*f.Password)
	}
}

// applyStream changes or adds a stream; an empty address takes it away. A new
// address that carries a login of its own replaces the old login.
func (f cameraForm) applyStream(c *estate.Camera, name string, url *string, record *bool) {
	i := slices.IndexFunc(c.Streams, func(s estate.StreamConfig) bool { return s.Name == name })
	if i < 0 {
		if url == nil {
			return
		}
		c.Streams = append(slices.Clone(c.Streams), estate.StreamConfig{Name: name, Record: true})
		i = len(c.Streams) - 1
	} else {
		c.Streams = slices.Clone(c.Streams)
	}
	if url != nil {
		if _, user, password, err := estate.SplitAddress(*url); err == nil && user != "" {
			c.Username, c.Password = user, password
		}
		c.Streams[i].URL = *url
	}
	set(&c.Streams[i].Record, record)
}

func readJSON(rw http.ResponseWriter, r *http.Request, into any) error {
	d := json.NewDecoder(http.MaxBytesReader(rw, r.Body, 64<<10))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return err
		}
		return web.Problem{Status: http.StatusBadRequest, Code: "bad-request", Detail: err.Error()}
	}
	return nil
}

func (w *Watch) apiAdd(rw http.ResponseWriter, r *http.Request) error {
	var f cameraForm
	if err := readJSON(rw, r, &f); err != nil {
		return err
	}
	c := estate.Camera{Enabled: true}
	if sites, err := w.o.Estate.Sites(r.Context()); err == nil && len(sites) == 1 {
		c.Site = sites[0].ID
	}
	f.apply(&c)
	if err := w.allow(r, access.ChangeCameras, c.Site); err != nil {
		return err
	}
	c, err := w.o.Estate.AddCamera(acting(r), c)
	if err != nil {
		return err
	}
	w.log.Info("camera added", "camera", c.ID, "user", web.From(r).User().Name)
	rw.Header().Set("Location", "/api/cameras/"+c.ID)
	return web.JSONStatus(rw, http.StatusCreated, w.info(c))
}

func (w *Watch) apiUpdate(rw http.ResponseWriter, r *http.Request) error {
	c, err := w.camera(r, access.ChangeCameras)
	if err != nil {
		return err
	}
	var f cameraForm
	if err := readJSON(rw, r, &f); err != nil {
		return err
	}
	f.apply(&c)
	if c, err = w.o.Estate.UpdateCamera(acting(r), c); err != nil {
		return err
	}
	w.log.Info("camera changed", "camera", c.ID, "user", web.From(r).User().Name)
	return web.JSON(rw, w.info(c))
}

func (w *Watch) apiRemove(rw http.ResponseWriter, r *http.Request) error {
	c, err := w.camera(r, access.ChangeCameras)
	if err != nil {
		return err
	}
	if err := w.o.Estate.RemoveCamera(acting(r), c.ID); err != nil {
		return err
	}
	w.log.Info("camera removed", "camera", c.ID, "user", web.From(r).User().Name)
	rw.WriteHeader(http.StatusNoContent)
	return nil
}

// streamID checks a stream's name of a request and says where it is archived.
func streamID(c estate.Camera, stream string) (archive.StreamID, error) {
	if stream == "" {
		stream = "main"
	}
	id := archive.StreamID{Site: c.Site, Camera: c.ID, Stream: stream}
	if err := id.Valid(); err != nil {
		return id, errors.Join(web.ErrNotFound, err)
	}
	return id, nil
}

// Times a span may touch: what a Unix time in milliseconds can sensibly be.
const (
	minMilli = 0
	maxMilli = 253402300799999 // end of the year 9999
)

func readMilli(text string) (time.Time, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < minMilli || n > maxMilli {
		return time.Time{}, web.ErrBadRequest
	}
	return time.UnixMilli(n).UTC(), nil
}

// span reads from and to.
func span(r *http.Request) (from, to time.Time, err error) {
	q := r.URL.Query()
	from, err1 := readMilli(q.Get("from"))
	to, err2 := readMilli(q.Get("to"))
	if err1 != nil || err2 != nil || !from.Before(to) {
		return from, to, web.Problem{Status: http.StatusBadRequest, Code: "span"}
	}
	return from, to, nil
}

func (w *Watch) apiLive(rw http.ResponseWriter, r *http.Request) error {
	c, err := w.camera(r, access.SeeLive)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	id, err := streamID(c, q.Get("stream"))
	if err != nil {
		return err
	}
	choice := w.o.Live.Choose(c.ID, id.Stream, live.ParseCan(q.Get("can")))
	url := ""
	switch choice.Way {
	case live.WayWebRTC:
		url = fmt.Sprintf("/api/cameras/%s/live/%s/whep", c.ID, choice.Stream)
	case live.WayFMP4, live.WayPictures:
		url = fmt.Sprintf("/api/cameras/%s/live/%s/socket", c.ID, choice.Stream)
	}
	return web.JSON(rw, map[string]string{
		"way": choice.Way, "stream": choice.Stream, "url": url, "codec": choice.Codec, "why": string(choice.Why),
	})
}

// liveStream finds what a live route is about.
func (w *Watch) liveStream(r *http.Request) (archive.StreamID, error) {
	c, err := w.camera(r, access.SeeLive)
	if err != nil {
		return archive.StreamID{}, err
	}
	stream := r.PathValue("stream")
	if _, ok := c.Stream(stream); !ok {
		return archive.StreamID{}, web.ErrNotFound
	}
	return streamID(c, stream)
}

func (w *Watch) apiWHEP(rw http.ResponseWriter, r *http.Request) error {
	id, err := w.liveStream(r)
	if err != nil {
		return err
	}
	if err := w.noted(r, SeeLive, id, w.now()); err != nil {
		return err
	}
	w.o.Live.WHEP(rw, r, id.Camera, id.Stream)
	return nil
}

func (w *Watch) apiWHEPEnd(rw http.ResponseWriter, r *http.Request) error {
	if _, err := w.liveStream(r); err != nil {
		return err
	}
	w.o.Live.WHEPDelete(rw, r, r.PathValue("session"))
	return nil
}

func (w *Watch) apiSocket(rw http.ResponseWriter, r *http.Request) error {
	id, err := w.liveStream(r)
	if err != nil {
		return err
	}
	if err := w.noted(r, SeeLive, id, w.now()); err != nil {
		return err
	}
	w.o.Live.Socket(rw, r, id.Camera, id.Stream)
	return nil
}

// healthInfo is the archive's and the server's health.
type healthInfo struct {
	Disk       string `json:"disk"` // ok, low, full, read-only, failing
	Since      int64  `json:"since"`
	Free       int64  `json:"free"`
	Total      int64  `json:"total"`
	Segments   int64  `json:"segments"`
	Bytes      int64  `json:"bytes"`
	Damaged    int64  `json:"damaged"`
	Unfinished int    `json:"unfinished"`
	SyncError  string `json:"sync_error"`
	Synced     int64  `json:"synced"`
	Cameras    int    `json:"cameras"`
	Streams    int    `json:"streams"`
	Live       int    `json:"live"`      // streams that come
	Recording  int    `json:"recording"` // streams that are recorded
	Viewers    int    `json:"viewers"`
	Now        int64  `json:"now"`
}

func (w *Watch) health(cameras []estate.Camera) healthInfo {
	a := w.o.Archive.Health()
	h := healthInfo{
		Disk: string(a.Disk), Since: milli(a.Since), Free: a.Free, Total: a.Total, Segments: a.Segments, Bytes: a.Bytes,
		Damaged: a.Damaged, Unfinished: a.Unfinished, SyncError: a.SyncError, Synced: milli(a.Synced),
		Cameras: len(cameras), Viewers: w.o.Live.Viewers(), Now: milli(w.now()),
	}
	for _, c := range cameras {
		for _, s := range w.info(c).Streams {
			h.Streams++
			if s.State == string(camera.Live) {
				h.Live++
			}
			if s.Recording {
				h.Recording++
			}
		}
	}
	return h
}

func (w *Watch) apiHealth(rw http.ResponseWriter, r *http.Request) error {
	cameras, err := w.visible(r)
	if err != nil {
		return err
	}
	return web.JSON(rw, w.health(cameras))
}

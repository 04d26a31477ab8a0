package watch

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/access"
	"github.com/watchward/watchward/internal/camera"
	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/web"
)

// How long the test page waits for a camera to say something, and for a change
// of its settings to reach who talks to it.
const (
	checkTime  = 8 * time.Second
	changeTime = 2 * time.Second
)

// checkData is what a camera said to the test of its settings.
type checkData struct {
	cameraView
	Certificates []shownCertificate
}

// shownCertificate is one that the camera showed and that is not trusted.
type shownCertificate struct {
	certificateInfo
	Trusted string // the fingerprint of the one that is, or ""
}

// Fingerprint is written as certificates' are, in pairs.
func (c shownCertificate) Fingerprint() string { return fingerprint(c.SHA256) }

// From and Until bound its validity.
func (c shownCertificate) From() time.Time { return time.UnixMilli(c.NotBefore).UTC() }

// Until is when it runs out.
func (c shownCertificate) Until() time.Time { return time.UnixMilli(c.NotAfter).UTC() }

func fingerprint(hex string) string {
	var pairs []string
	for pair := range slices.Chunk([]byte(strings.ToUpper(hex)), 2) {
		pairs = append(pairs, string(pair))
	}
	return strings.Join(pairs, ":")
}

// showCheck waits until the camera has answered, one way or the other, and
// shows what it said: the test of an address somebody has just typed.
func (w *Watch) showCheck(rw http.ResponseWriter, r *http.Request) error {
	c, err := w.camera(r, access.ChangeCameras)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), checkTime)
	defer cancel()
	w.settle(ctx, c)
	d := checkData{cameraView: w.view(c)}
	for _, s := range []*streamInfo{d.Main, d.Sub} {
		if s == nil || s.Certificate == nil {
			continue
		}
		shown := shownCertificate{*s.Certificate, fingerprint(c.Pin)}
		if !slices.Contains(d.Certificates, shown) { // both streams come from one device
			d.Certificates = append(d.Certificates, shown)
		}
	}
	return w.render(rw, r, "check", http.StatusOK, d)
}

// settle waits while streams that should run are still connecting, or still
// say what they said before the last change.
func (w *Watch) settle(ctx context.Context, c estate.Camera) {
	if !c.Enabled {
		return
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		waiting := false
		for _, s := range c.Streams {
			info := w.streamInfo(c, s)
			settled := info.Live() && info.Codec != "" || info.State == string(camera.Waiting)
			// A change that concerns no connection leaves an old answer true.
			old := info.Since < milli(c.Updated) && w.now().Sub(c.Updated) < changeTime
			waiting = waiting || !settled || old
		}
		if !waiting {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// trustCertificate pins the certificate whose fingerprint the person has seen,
// whatever the camera shows by now: should that be another one again, it is
// refused again.
func (w *Watch) trustCertificate(rw http.ResponseWriter, r *http.Request) error {
	c, err := w.camera(r, access.ChangeCameras)
	if err != nil {
		return err
	}
	if err := web.ParseForm(rw, r); err != nil {
		return err
	}
	was := c.Pin
	if c.Pin = r.PostForm.Get("sha256"); strings.TrimSpace(c.Pin) == "" {
		return &estate.Invalid{Field: "pin", Code: "missing"} // an empty pin would trust every authority
	}
	if c, err = w.o.Estate.UpdateCamera(acting(r), c); err != nil {
		return err
	}
	w.log.Info("certificate of a camera trusted", "camera", c.ID, "sha256", c.Pin, "before", was, "user", web.From(r).User().Name)
	http.Redirect(rw, r, "/cameras/"+c.ID+"/check", http.StatusSeeOther)
	return nil
}

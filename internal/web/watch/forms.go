package watch

import (
	"context"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/access"
	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/seal"
	"github.com/watchward/watchward/internal/web"
)

// readRetention reads days and gigabytes as people write them; empty is no limit.
func readRetention(days, gigabytes string) (estate.Retention, error) {
	d, err1 := readAmount(days)
	g, err2 := readAmount(gigabytes)
	if err := errors.Join(err1, err2); err != nil {
		return estate.Retention{}, &estate.Invalid{Field: "retention", Code: "retention", Value: strings.TrimSpace(days + " " + gigabytes)}
	}
	return estate.Retention{MaxAge: time.Duration(d * 24 * float64(time.Hour)), MaxBytes: int64(g * 1e9)}, nil
}

func readAmount(s string) (float64, error) {
	s = strings.ReplaceAll(strings.TrimSpace(s), ",", ".")
	if s == "" {
		return 0, nil
	}
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || !(x >= 0 && x <= 100_000) {
		return 0, errors.New("no amount")
	}
	return x, nil
}

// amount writes what readAmount reads.
func amount(x float64) string {
	if x == 0 {
		return ""
	}
	return strconv.FormatFloat(x, 'f', -1, 64)
}

func days(d time.Duration) string { return amount(float64(d/time.Hour) / 24) }
func gigabytes(n int64) string    { return amount(float64(n/1e6) / 1e3) }

func (w *Watch) addCamera(rw http.ResponseWriter, r *http.Request) error {
	if err := web.ParseForm(rw, r); err != nil {
		return err
	}
	d, err := w.newForm(r)
	if err != nil {
		return err
	}
	var c estate.Camera
	d.Form, d.On, err = readCameraForm(r, &c)
	if name := d.Form["site_new"]; err == nil && strings.TrimSpace(name) != "" {
		c.Site, err = w.siteNamed(r, name)
	}
	if err == nil {
		err = w.allow(r, access.ChangeCameras, c.Site)
	}
	if err == nil {
		c, err = w.o.Estate.AddCamera(acting(r), c)
	}
	if errors.As(err, &d.Problem) {
		return w.render(rw, r, "edit", http.StatusUnprocessableEntity, d)
	}
	if err != nil {
		return err
	}
	w.log.Info("camera added", "camera", c.ID, "user", web.From(r).User().Name)
	http.Redirect(rw, r, "/cameras/"+c.ID+"/check", http.StatusSeeOther)
	return nil
}

// siteNamed finds a site by name, or makes it with the readers there are.
// To make one takes who may change every site.
func (w *Watch) siteNamed(r *http.Request, name string) (string, error) {
	ctx := r.Context()
	sites, err := w.o.Estate.Sites(ctx)
	if err != nil {
		return "", err
	}
	for _, s := range sites {
		if strings.EqualFold(s.Name, strings.Join(strings.Fields(name), " ")) {
			return s.ID, nil
		}
	}
	if err := w.allow(r, access.ChangeCameras, ""); err != nil {
		return "", err
	}
	site, err := w.o.Estate.AddSite(ctx, name)
	if err != nil {
		return "", err
	}
	return site.ID, w.shareReaders(ctx)
}

// shareReaders gives sites that nobody can open yet the readers of the first
// site that has some: without, they would not be recorded at all.
func (w *Watch) shareReaders(ctx context.Context) error {
	sites, err := w.readersBySite(ctx)
	if err != nil {
		return err
	}
	var shared []estate.Reader
	for _, s := range sites {
		if len(s.Readers) > 0 {
			shared = s.Readers
			break
		}
	}
	for _, s := range sites {
		if len(s.Readers) == 0 && len(shared) > 0 {
			if err := w.o.Estate.SetReaders(ctx, s.ID, shared); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *Watch) showEdit(rw http.ResponseWriter, r *http.Request) error {
	c, err := w.camera(r, access.ChangeCameras)
	if err != nil {
		return err
	}
	d, err := w.editForm(r, c)
	if err != nil {
		return err
	}
	return w.render(rw, r, "edit", http.StatusOK, d)
}

func (w *Watch) editForm(r *http.Request, c estate.Camera) (editData, error) {
	sites, err := w.o.Estate.Sites(r.Context())
	d := editData{
		ID: c.ID, Sites: sites, Lost: c.PasswordLost,
		Form: map[string]string{
			"name": c.Name, "site": c.Site, "username": c.Username, "transport": c.Transport, "pin": fingerprint(c.Pin),
			"days": days(c.Retention.MaxAge), "gigabytes": gigabytes(c.Retention.MaxBytes), "url": "", "sub_url": "",
		},
		On: map[string]bool{"enabled": c.Enabled, "audio": c.RecordAudio, "record": true, "record_sub": true},
	}
	if s, ok := c.Stream("main"); ok {
		d.Form["url"], d.On["record"] = s.URL, s.Record
	}
	if s, ok := c.Stream("sub"); ok {
		d.Form["sub_url"], d.On["record_sub"] = s.URL, s.Record
	}
	return d, err
}

func (w *Watch) editCamera(rw http.ResponseWriter, r *http.Request) error {
	c, err := w.camera(r, access.ChangeCameras)
	if err != nil {
		return err
	}
	if err := web.ParseForm(rw, r); err != nil {
		return err
	}
	d, err := w.editForm(r, c)
	if err != nil {
		return err
	}
	site := d.Form["site"]
	d.Form, d.On, err = readCameraForm(r, &c)
	d.Form["site"] = site
	if err == nil {
		_, err = w.o.Estate.UpdateCamera(acting(r), c)
	}
	if errors.As(err, &d.Problem) {
		return w.render(rw, r, "edit", http.StatusUnprocessableEntity, d)
	}
	if err != nil {
		return err
	}
	w.log.Info("camera changed", "camera", c.ID, "user", web.From(r).User().Name)
	http.Redirect(rw, r, "/cameras/"+c.ID+"/check", http.StatusSeeOther)
	return nil
}

func (w *Watch) showRemove(rw http.ResponseWriter, r *http.Request) error {
	c, err := w.camera(r, access.ChangeCameras)
	if err != nil {
		return err
	}
	return w.render(rw, r, "remove", http.StatusOK, w.view(c))
}

func (w *Watch) removeCamera(rw http.ResponseWriter, r *http.Request) error {
	c, err := w.camera(r, access.ChangeCameras)
	if err != nil {
		return err
	}
	if err := w.o.Estate.RemoveCamera(acting(r), c.ID); err != nil {
		return err
	}
	w.log.Info("camera removed", "camera", c.ID, "user", web.From(r).User().Name)
	http.Redirect(rw, r, "/cameras", http.StatusSeeOther)
	return nil
}

type importData struct {
	Text   string
	Errors []importError
}

type importError struct {
	Line    int
	Problem *estate.Invalid // nil: Other
	Other   string
}

func (w *Watch) showImport(rw http.ResponseWriter, r *http.Request) error {
	return w.render(rw, r, "import", http.StatusOK, importData{})
}

// importCameras takes a file or pasted text, all lines or none.
func (w *Watch) importCameras(rw http.ResponseWriter, r *http.Request) error {
	if err := w.allow(r, access.ChangeCameras, ""); err != nil {
		return err // a file may name any site, and make new ones
	}
	body, text, err := csvOf(rw, r)
	if err != nil {
		return err
	}
	defer body.Close()
	report, err := w.o.Estate.ImportCSV(acting(r), body)
	if err != nil {
		return err
	}
	if len(report.Errors) > 0 {
		d := importData{Text: text}
		for _, e := range report.Errors[:min(len(report.Errors), 200)] {
			line := importError{Line: e.Line}
			if !errors.As(e.Err, &line.Problem) {
				line.Other = e.Err.Error()
			}
			d.Errors = append(d.Errors, line)
		}
		return w.render(rw, r, "import", http.StatusUnprocessableEntity, d)
	}
	if err := w.shareReaders(r.Context()); err != nil {
		return err
	}
	w.log.Info("cameras imported", "count", len(report.Added), "user", web.From(r).User().Name)
	http.Redirect(rw, r, "/cameras?added="+strconv.Itoa(len(report.Added)), http.StatusSeeOther)
	return nil
}

// csvOf reads the form. Pasted text is given back for correction; it may hold
// passwords, but they are those this very browser has just sent.
func csvOf(rw http.ResponseWriter, r *http.Request) (io.ReadCloser, string, error) {
	r.Body = http.MaxBytesReader(rw, r.Body, estate.MaxCSVBytes+(64<<10))
	if err := r.ParseMultipartForm(estate.MaxCSVBytes); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return nil, "", err
		}
		return nil, "", errors.Join(web.ErrBadRequest, err)
	}
	file, _, err := r.FormFile("file")
	var f multipart.File
	if err == nil {
		f = file
		var probe [1]byte
		if n, _ := f.ReadAt(probe[:], 0); n == 1 {
			return f, "", nil
		}
		f.Close() // a browser sends an empty file when none was chosen
	}
	text := r.PostForm.Get("text")
	return io.NopCloser(strings.NewReader(text)), text, nil
}

type archiveData struct {
	Health healthInfo
	Sites  []siteReaders
	Gaps   []reasonCount
	Limits limitsForm
	Dir    string
	Sample struct{ Site, Camera, Day string }
	Saved  bool

	Problem *estate.Invalid
	Code    string // of the error table, where no field is to blame
}

type siteReaders struct {
	estate.Site
	Readers []estate.Reader
	Kind    string
}

// Only reports whether the site's last reader is left.
func (s siteReaders) Only() bool { return len(s.Readers) == 1 }

type limitsForm struct{ Days, Gigabytes, Total, LowWater string }

type reasonCount struct {
	Reason string
	Count  int
	Length time.Duration
}

func (d archiveData) UsedPercent() int {
	if d.Health.Total <= 0 {
		return 0
	}
	return int(100 - d.Health.Free*100/d.Health.Total)
}

func (d archiveData) Since() time.Time  { return time.UnixMilli(d.Health.Since) }
func (d archiveData) Synced() time.Time { return time.UnixMilli(d.Health.Synced) }

func (w *Watch) setRetention(rw http.ResponseWriter, r *http.Request) error {
	if err := w.allow(r, access.ChangeArchive, ""); err != nil {
		return err
	}
	if err := web.ParseForm(rw, r); err != nil {
		return err
	}
	f := limitsForm{Days: r.PostForm.Get("days"), Gigabytes: r.PostForm.Get("gigabytes"), Total: r.PostForm.Get("total"), LowWater: r.PostForm.Get("low_water")}
	each, err := readRetention(f.Days, f.Gigabytes)
	whole, err2 := readRetention("", f.Total)
	low, err3 := readRetention("", f.LowWater)
	if err = errors.Join(err, err2, err3); err == nil {
		err = w.o.Estate.SetLimits(r.Context(), estate.Limits{Default: each, Total: whole.MaxBytes, LowWater: low.MaxBytes})
	}
	if err != nil {
		return w.archiveProblem(rw, r, err, &f)
	}
	w.log.Info("retention changed", "user", web.From(r).User().Name)
	http.Redirect(rw, r, "/archive?saved", http.StatusSeeOther)
	return nil
}

// archiveProblem shows the archive page with what is wrong in a form of it.
func (w *Watch) archiveProblem(rw http.ResponseWriter, r *http.Request, err error, f *limitsForm) error {
	p := w.o.Web.Problem(err)
	if p.Status >= 500 {
		return err
	}
	d, fault := w.archiveData(r)
	if fault != nil {
		return fault
	}
	if f != nil {
		d.Limits = *f
	}
	if !errors.As(err, &d.Problem) {
		d.Code = p.Code
	}
	return w.render(rw, r, "archive", p.Status, d)
}

func (w *Watch) addReader(rw http.ResponseWriter, r *http.Request) error {
	if err := web.ParseForm(rw, r); err != nil {
		return err
	}
	site := r.PostForm.Get("site")
	if err := w.allow(r, access.ChangeArchive, site); err != nil {
		return err
	}
	readers, err := w.o.Estate.Readers(r.Context(), site)
	if err != nil {
		return err
	}
	readers = append(readers, estate.Reader{Recipient: strings.TrimSpace(r.PostForm.Get("recipient")), Name: r.PostForm.Get("name")})
	return w.storeReaders(rw, r, site, readers)
}

func (w *Watch) removeReader(rw http.ResponseWriter, r *http.Request) error {
	if err := web.ParseForm(rw, r); err != nil {
		return err
	}
	site := r.PostForm.Get("site")
	if err := w.allow(r, access.ChangeArchive, site); err != nil {
		return err
	}
	readers, err := w.o.Estate.Readers(r.Context(), site)
	if err != nil {
		return err
	}
	var rest []estate.Reader
	for _, reader := range readers {
		if reader.Recipient != r.PostForm.Get("recipient") {
			rest = append(rest, reader)
		}
	}
	return w.storeReaders(rw, r, site, rest)
}

func (w *Watch) storeReaders(rw http.ResponseWriter, r *http.Request, site string, readers []estate.Reader) error {
	err := checkReaders(readers)
	if err == nil {
		err = w.o.Estate.SetReaders(r.Context(), site, readers)
	}
	if errors.Is(err, seal.ErrIdentityAsReader) {
		// Only that it happened: what was sent is a secret.
		w.log.Warn("an identity was sent to the server: treat it as exposed", "user", web.From(r).User().Name)
	}
	if err != nil {
		return w.archiveProblem(rw, r, err, nil)
	}
	w.log.Info("readers changed", "site", site, "readers", len(readers), "user", web.From(r).User().Name)
	http.Redirect(rw, r, "/archive?saved", http.StatusSeeOther)
	return nil
}

// checkReaders asks what must be able to seal to all of them.
func checkReaders(readers []estate.Reader) error {
	lines := make([]string, len(readers))
	for i, reader := range readers {
		lines[i] = reader.Recipient
	}
	if _, err := seal.ParseReaders(lines); err != nil {
		for _, known := range []error{seal.ErrIdentityAsReader, seal.ErrMixedReaders, seal.ErrNoReaders} {
			if errors.Is(err, known) {
				return known
			}
		}
		return &estate.Invalid{Field: "recipient", Code: "recipient", Value: clipped(lines[len(lines)-1])}
	}
	return nil
}

func clipped(s string) string { return s[:min(len(s), 16)] }

func (w *Watch) showArchive(rw http.ResponseWriter, r *http.Request) error {
	d, err := w.archiveData(r)
	if err != nil {
		return err
	}
	d.Saved = r.URL.Query().Has("saved")
	return w.render(rw, r, "archive", http.StatusOK, d)
}

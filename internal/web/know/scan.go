package know

import (
	"cmp"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/access"
	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/policy"
	"github.com/watchward/watchward/internal/web"
)

func (k *Know) scanRoutes() {
	h := k.o.Web.Handle
	h("GET /estate/scans", web.For(access.SeeEstate), k.showScans)
	// IDs are numbers: these name no scan.
	h("GET /estate/scans/-/new", web.For(access.ChangeEstate), k.showNewScan)
	h("POST /estate/scans/-/new", web.For(access.ChangeEstate), k.startScan)
	if k.o.Import != nil {
		h("POST /estate/scans/-/import", web.For(access.ChangeEstate), k.importScan)
	}
	h("GET /estate/scans/{id}", web.For(access.SeeEstate), k.showScan)
	h("POST /estate/scans/{id}/stop", web.For(access.ChangeEstate), k.stopScan)
	h("POST /estate/scans/{id}/adopt", web.For(access.ChangeEstate), k.adoptScanned)
	h("GET /api/estate/scans/{id}", web.For(access.SeeEstate), k.getScan)
	h("POST /api/estate/scans", web.For(access.ChangeEstate), k.postScan)
}

// scanView is a scan with how far it is.
type scanView struct {
	estate.Scan
	Progress
	SiteName string
	Waits    bool
}

// Percent is how much of it is done.
func (v scanView) Percent() int {
	if v.Addresses == 0 {
		return 0
	}
	return 100 * v.Done / v.Addresses
}

// Running reports whether it is not over.
func (v scanView) Running() bool { return v.State == estate.ScanRunning }

// Tone is the class of its state.
func (v scanView) Tone() string {
	switch v.State {
	case estate.ScanRunning:
		return "warn"
	case estate.ScanDone:
		return "good"
	case estate.ScanFailed:
		return "bad"
	}
	return "off"
}

// Packets lists what was sent, by what; attempts to connect first.
func (v scanView) Packets() []choice {
	sent := maps.Clone(v.Sent)
	if len(sent) == 0 { // no longer running: as it is on record
		sent = map[string]int{}
		for name, n := range v.Counts {
			if what, ok := strings.CutPrefix(name, "sent-"); ok {
				sent[what] = n
			}
		}
	}
	var all []choice
	for _, what := range slices.SortedFunc(maps.Keys(sent), func(a, b string) int {
		switch {
		case a == "tcp":
			return -1
		case b == "tcp":
			return 1
		}
		return cmp.Compare(a, b)
	}) {
		if sent[what] > 0 {
			all = append(all, choice{what, strconv.Itoa(sent[what])})
		}
	}
	return all
}

func (k *Know) viewScan(s estate.Scan, where whereabouts) scanView {
	v := scanView{Scan: s, SiteName: where.sites[s.Site].Name}
	var running bool
	if v.Progress, v.Waits, running = k.scans.progress(s.ID); !running {
		v.Progress = Progress{Addresses: s.Counts["addresses"], Done: s.Counts["asked"], Answered: s.Counts["answered"]}
	}
	return v
}

// scansData is every scan on record.
type scansData struct {
	say
	Scans []scanView
	Next  string
	May   bool
}

const scansPage = 50

func (k *Know) showScans(rw http.ResponseWriter, r *http.Request) error {
	where, err := k.whereabouts(r.Context())
	if err != nil {
		return err
	}
	var before time.Time
	if us, err := strconv.ParseInt(r.URL.Query().Get("before"), 10, 64); err == nil && us > 0 {
		before = time.UnixMicro(us)
	}
	all, err := k.o.Estate.Scans(r.Context(), before, scansPage+1)
	if err != nil {
		return err
	}
	d := scansData{say: k.say(r), May: web.From(r).MayAnywhere(access.ChangeEstate)}
	if len(all) > scansPage {
		all = all[:scansPage]
		d.Next = "/estate/scans?before=" + strconv.FormatInt(all[scansPage-1].Started.UnixMicro(), 10)
	}
	for _, s := range all {
		if where.may(r, access.SeeEstate, s.Site) {
			d.Scans = append(d.Scans, k.viewScan(s, where))
		}
	}
	return k.render(rw, r, "scans", http.StatusOK, d)
}

// newScanData is the form of a scan.
type newScanData struct {
	say
	Sites     []estate.Site
	Anywhere  bool // a scan of no site may be asked for
	Form      map[string]string
	Ranges    []string
	Addresses int           // of the ranges, once they were read
	Takes     time.Duration // at most, about
	Problem   *estate.Invalid
	Town      []string // ranges of the demo's town
	Imports   bool     // files are taken, too
}

func (d newScanData) Wrong(field string) bool { return d.Problem != nil && d.Problem.Field == field }

func (k *Know) newScanForm(r *http.Request, form map[string]string) (newScanData, error) {
	d := newScanData{say: k.say(r), Form: form, Town: k.o.Town, Imports: k.o.Import != nil}
	where, err := k.whereabouts(r.Context())
	if err != nil {
		return d, err
	}
	d.Anywhere = where.may(r, access.ChangeEstate, "")
	sites, err := k.o.Estate.Sites(r.Context())
	if err != nil {
		return d, err
	}
	d.Sites = slices.DeleteFunc(sites, func(s estate.Site) bool { return !where.may(r, access.ChangeEstate, s.ID) })
	return d, nil
}

func (k *Know) showNewScan(rw http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	d, err := k.newScanForm(r, map[string]string{"site": q.Get("site"), "ranges": clip(q.Get("ranges"), 1000), "rate": strconv.Itoa(DefaultRate)})
	if err != nil {
		return err
	}
	return k.render(rw, r, "new-scan", http.StatusOK, d)
}

// startScan first says what would be sent, and begins when that was confirmed.
func (k *Know) startScan(rw http.ResponseWriter, r *http.Request) error {
	f, err := readForm(rw, r, "ranges", "rate", "site", "go")
	if err != nil {
		return err
	}
	d, err := k.newScanForm(r, f)
	if err != nil {
		return err
	}
	if err := k.allow(r, access.ChangeEstate, f["site"]); err != nil {
		return err
	}
	req, err := readRequest(f["ranges"], f["rate"], user(r))
	if err == nil {
		d.Addresses, err = k.o.Network.Addresses(req.Ranges)
	}
	if err == nil && f["go"] != "" {
		var s estate.Scan
		if s, err = k.scans.begin(r.Context(), req, f["site"]); err == nil {
			http.Redirect(rw, r, "/estate/scans/"+s.ID, http.StatusSeeOther)
			return nil
		}
	}
	status := http.StatusOK
	switch {
	case errors.As(err, &d.Problem):
		status = http.StatusUnprocessableEntity
	case err != nil:
		return err
	default:
		// Where nothing answers, an address costs two attempts.
		d.Ranges, d.Takes = req.Ranges, time.Duration(2*d.Addresses/req.Rate+5)*time.Second
	}
	return k.render(rw, r, "new-scan", status, d)
}

// readRequest reads ranges, separated as people separate them, and a rate.
func readRequest(ranges, rate, by string) (Request, error) {
	req := Request{By: by, Rate: DefaultRate}
	req.Ranges = strings.FieldsFunc(ranges, func(r rune) bool { return strings.ContainsRune(" \t\r\n,;", r) })
	if len(req.Ranges) == 0 {
		return req, &estate.Invalid{Field: "ranges", Code: "missing"}
	}
	if rate != "" {
		n, err := strconv.Atoi(rate)
		if err != nil || n < 1 || n > MaxRate {
			return req, &estate.Invalid{Field: "rate", Code: "rate", Value: strconv.Itoa(MaxRate)}
		}
		req.Rate = n
	}
	return req, nil
}

// maxImport bounds a file of another program's; the frame bounds it further.
const maxImport = 4 << 20

// importScan takes what another program found, as if a scan had.
func (k *Know) importScan(rw http.ResponseWriter, r *http.Request) error {
	body, err := readUpload(r, "file", maxImport)
	if err != nil {
		return err
	}
	site := r.PostFormValue("site")
	if err := k.allow(r, access.ChangeEstate, site); err != nil {
		return err
	}
	name := clip(shown(fileName(r)), 100)
	s, err := k.takeImport(r, name, body, site)
	if err == nil {
		http.Redirect(rw, r, "/estate/scans/"+s.ID, http.StatusSeeOther)
		return nil
	}
	d, formErr := k.newScanForm(r, map[string]string{"site": site, "ranges": "", "rate": strconv.Itoa(DefaultRate)})
	if formErr != nil {
		return formErr
	}
	if !errors.As(err, &d.Problem) {
		return err
	}
	return k.render(rw, r, "new-scan", http.StatusUnprocessableEntity, d)
}

func fileName(r *http.Request) string {
	if files := r.MultipartForm.File["file"]; len(files) > 0 {
		return files[0].Filename
	}
	return ""
}

func (k *Know) takeImport(r *http.Request, name string, body []byte, site string) (estate.Scan, error) {
	if len(body) == 0 {
		return estate.Scan{}, &estate.Invalid{Field: "file", Code: "missing"}
	}
	seen, bad, err := k.o.Import(name, body)
	if err != nil {
		return estate.Scan{}, err
	}
	s, err := k.o.Estate.BeginScan(r.Context(), estate.Scan{By: user(r), Site: site, Ranges: []string{"import " + name}})
	if err != nil {
		return s, err
	}
	counts := map[string]int{"answered": len(seen), "bad": len(bad)}
	for batch := range slices.Chunk(seen, 500) {
		if err := k.propose(r.Context(), s.ID, batch, counts); err != nil {
			return s, err
		}
	}
	s.State, s.Counts, s.Trouble = estate.ScanDone, counts, strings.Join(bad, "\n")
	return k.o.Estate.UpdateScan(r.Context(), s)
}

// scanData is one scan and what it found.
type scanData struct {
	say
	Scan    scanView
	Found   deviceList
	Sites   []estate.Site // where what it found may be adopted
	Adopted int
	Refused []refusedDevice
	May     bool
}

// refusedDevice is a device that a rule kept from being adopted.
type refusedDevice struct {
	Device estate.Device
	Rule   verdictView
}

func (k *Know) scan(r *http.Request, act access.Act) (estate.Scan, error) {
	s, err := k.o.Estate.Scan(r.Context(), r.PathValue("id"))
	if err != nil {
		return s, err
	}
	return s, k.allow(r, act, s.Site)
}

func (k *Know) scanData(r *http.Request) (scanData, error) {
	d := scanData{say: k.say(r)}
	s, err := k.scan(r, access.SeeEstate)
	if err != nil {
		return d, err
	}
	where, err := k.whereabouts(r.Context())
	if err != nil {
		return d, err
	}
	d.Scan = k.viewScan(s, where)
	d.May = where.may(r, access.ChangeEstate, s.Site)
	f := estate.Filter{Scan: s.ID, After: r.URL.Query().Get("after"), Limit: 200}
	if d.Found, err = k.list(r, f); err != nil {
		return d, err
	}
	if d.Found.Next != "" {
		d.Found.Next = "/estate/scans/" + s.ID + "?after=" + url.QueryEscape(d.Found.after)
	}
	d.Found.Pickable = d.May && !d.Scan.Running()
	sites, err := k.o.Estate.Sites(r.Context())
	d.Sites = slices.DeleteFunc(sites, func(s estate.Site) bool { return !where.may(r, access.ChangeEstate, s.ID) })
	return d, err
}

func (k *Know) showScan(rw http.ResponseWriter, r *http.Request) error {
	d, err := k.scanData(r)
	if err != nil {
		return err
	}
	d.Adopted, _ = strconv.Atoi(r.URL.Query().Get("adopted"))
	return k.render(rw, r, "scan", http.StatusOK, d)
}

func (k *Know) stopScan(rw http.ResponseWriter, r *http.Request) error {
	s, err := k.scan(r, access.ChangeEstate)
	if err != nil {
		return err
	}
	k.scans.end(s.ID)
	http.Redirect(rw, r, "/estate/scans/"+s.ID, http.StatusSeeOther)
	return nil
}

// adoptScanned adopts the devices that were ticked. Each is asked for at the
// gate; those that are refused are named, the others go through.
func (k *Know) adoptScanned(rw http.ResponseWriter, r *http.Request) error {
	s, err := k.scan(r, access.ChangeEstate)
	if err != nil {
		return err
	}
	f, err := readForm(rw, r, "site")
	if err != nil {
		return err
	}
	if err := k.allow(r, access.ChangeEstate, f["site"]); err != nil {
		return err
	}
	var refused []refusedDevice
	adopted := 0
	for _, id := range r.PostForm["device"] {
		d, err := k.o.Estate.Device(r.Context(), estate.DeviceID(id))
		if err != nil {
			return err
		}
		if err := k.allow(r, access.ChangeEstate, d.Site); err != nil {
			return err
		}
		_, err = k.o.Estate.Adopt(r.Context(), d.ID, f["site"], user(r), "scan "+s.ID)
		var no *policy.Refusal
		switch {
		case errors.As(err, &no):
			one := refusedDevice{Device: d}
			if len(no.Gating.Refusing) > 0 {
				one.Rule = k.view(no.Gating.Refusing[0])
			}
			refused = append(refused, one)
		case err != nil:
			return err
		default:
			adopted++
		}
	}
	k.log.Info("devices adopted", "scan", s.ID, "site", f["site"], "adopted", adopted, "refused", len(refused), "user", user(r))
	if len(refused) == 0 {
		http.Redirect(rw, r, "/estate/scans/"+s.ID+"?adopted="+strconv.Itoa(adopted), http.StatusSeeOther)
		return nil
	}
	d, err := k.scanData(r)
	if err != nil {
		return err
	}
	d.Adopted, d.Refused = adopted, refused
	return k.render(rw, r, "scan", http.StatusConflict, d)
}

// scanInfo is a scan for scripts.
type scanInfo struct {
	estate.Scan
	Addresses int  `json:"addresses"`
	Asked     int  `json:"asked"`
	Answered  int  `json:"answered"`
	Waits     bool `json:"waits,omitempty"`
}

func (k *Know) getScan(rw http.ResponseWriter, r *http.Request) error {
	s, err := k.scan(r, access.SeeEstate)
	if err != nil {
		return err
	}
	v := k.viewScan(s, whereabouts{})
	return web.JSON(rw, scanInfo{s, v.Addresses, v.Done, v.Answered, v.Waits})
}

func (k *Know) postScan(rw http.ResponseWriter, r *http.Request) error {
	var in struct {
		Ranges []string `json:"ranges"`
		Rate   int      `json:"rate"`
		Site   string   `json:"site"`
	}
	if err := readJSON(rw, r, &in); err != nil {
		return err
	}
	if err := k.allow(r, access.ChangeEstate, in.Site); err != nil {
		return err
	}
	rate := ""
	if in.Rate != 0 {
		rate = strconv.Itoa(in.Rate)
	}
	req, err := readRequest(strings.Join(in.Ranges, " "), rate, user(r))
	if err != nil {
		return err
	}
	s, err := k.scans.begin(r.Context(), req, in.Site)
	if err != nil {
		return err
	}
	return web.JSONStatus(rw, http.StatusCreated, scanInfo{Scan: s})
}

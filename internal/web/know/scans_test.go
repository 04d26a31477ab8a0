package know

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/watchward/watchward/internal/estate"
)

// town stands in for a network: what it shows, and a hold on scans.
type town struct {
	seen []estate.Sighting
	hold chan struct{} // closed: scans end

	mu    sync.Mutex
	asked []Request
}

func (n *town) Addresses(ranges []string) (int, error) {
	for _, r := range ranges {
		if !strings.HasPrefix(r, "10.") {
			return 0, &estate.Invalid{Field: "ranges", Code: "ranges", Value: r}
		}
	}
	return 256 * len(ranges), nil
}

func (n *town) Scan(ctx context.Context, r Request, found func(estate.Sighting), told func(Progress)) error {
	n.mu.Lock()
	n.asked = append(n.asked, r)
	n.mu.Unlock()
	for i, s := range n.seen {
		found(s)
		told(Progress{Addresses: 256, Done: i + 1, Answered: i + 1, Sent: map[string]int{"tcp": 2 * (i + 1)}})
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-n.hold:
		return nil
	}
}

func (n *town) Import(name string, body []byte) ([]estate.Sighting, []string, error) {
	if string(body) == "garbage" {
		return nil, nil, &estate.Invalid{Field: "file", Code: "import", Value: "no columns"}
	}
	return n.seen[:2], []string{"line 7: no address"}, nil
}

// running lets scans run until the test ends.
func (b *bench) running(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.know.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// until waits for a scan's state, by the estate's word that something changed.
func (b *bench) until(t *testing.T, id string, ok func(estate.Scan) bool) estate.Scan {
	t.Helper()
	changed, cancel := b.estate.Subscribe()
	defer cancel()
	for {
		s, err := b.estate.Scan(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if ok(s) {
			return s
		}
		<-changed
	}
}

// All that was sent is shown, whatever it is called, running or on record.
func TestScanShowsWhatWasSent(t *testing.T) {
	sent := map[string]int{"wsdiscovery": 2, "tcp": 7, "sadp": 1, "mdns": 0}
	record := map[string]int{"addresses": 4}
	for what, n := range sent {
		record["sent-"+what] = n
	}
	want := []choice{{"tcp", "7"}, {"sadp", "1"}, {"wsdiscovery", "2"}}
	for _, v := range []scanView{{Progress: Progress{Sent: sent}}, {Scan: estate.Scan{Counts: record}}} {
		if got := v.Packets(); !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
}

func TestScanFromStartToAdoption(t *testing.T) {
	b := newBench(t)
	b.town.seen = bulk(0, 6)
	b.running(t)
	ada := b.login(t, "Ada")
	ask1 := b.page(t, 200, form("/estate/scans/-/new", url.Values{"ranges": {"10.9.0.0/24, 10.8.0.0/24"}, "rate": {"20"}, "site": {"ministry"}}, ada))
	checkMarkup(t, "confirmation", "en", ask1)
	if text := words(parse(t, ask1)); !strings.Contains(text, "512") || !strings.Contains(text, "20 packets a second") || len(b.town.asked) != 0 {
		t.Errorf("before a scan it is not said what will be asked: %s", text)
	}
	rec := b.serve(form("/estate/scans/-/new", url.Values{"ranges": {"10.9.0.0/24, 10.8.0.0/24"}, "rate": {"20"}, "site": {"ministry"}, "go": {"1"}}, ada))
	at := rec.Header().Get("Location")
	if rec.Code != 303 {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	id := at[strings.LastIndex(at, "/")+1:]
	page := b.page(t, 200, ask("GET", at, "", ada))
	checkMarkup(t, at, "en", page)
	if !strings.Contains(page, `<watch-refresh id="scan" live>`) || strings.Contains(page, `type="checkbox"`) {
		t.Error("a running scan's page is not live, or lets people pick too early")
	}
	close(b.town.hold)
	s := b.until(t, id, func(s estate.Scan) bool { return s.State != estate.ScanRunning })
	if s.State != estate.ScanDone || s.Counts["new"] != 6 || s.Counts["sent-tcp"] != 12 || s.By != "Ada" || s.Rate != 20 || s.Site != "ministry" {
		t.Errorf("on record: %+v", s)
	}
	page = b.page(t, 200, ask("GET", at, "", ada))
	checkMarkup(t, at, "en", page)
	devices, err := b.estate.Devices(t.Context(), estate.Filter{Scan: id})
	if err != nil || len(devices.Devices) != 6 {
		t.Fatal(len(devices.Devices), err)
	}
	picked := url.Values{"site": {"ministry"}}
	for _, d := range devices.Devices {
		picked.Add("device", string(d.ID))
	}
	text := words(parse(t, b.page(t, 409, form(at+"/adopt", picked, ada))))
	for _, want := range []string{"2 devices were refused by a rule", "Security update on surveillance equipment", "4 devices adopted."} {
		if !strings.Contains(text, want) {
			t.Errorf("after adoption does not say %q", want)
		}
	}
}

func TestScansAreStoppedAndSwept(t *testing.T) {
	b := newBench(t)
	left := must(b.estate.BeginScan(t.Context(), estate.Scan{By: "Ada", Ranges: []string{"10.1.0.0/24"}}))(t)
	b.running(t)
	ada := b.login(t, "Ada")
	b.until(t, left.ID, func(s estate.Scan) bool { return s.State == estate.ScanStopped })
	var ids []string
	for range 2 {
		page := b.page(t, 201, ask("POST", "/api/estate/scans", `{"ranges": ["10.1.0.0/24"], "rate": 10, "site": "depot"}`, ada))
		var s estate.Scan
		if err := json.Unmarshal([]byte(page), &s); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, s.ID)
	}
	// The second waits: two at once would double the rate. It is stopped before it began.
	b.page(t, 303, form("/estate/scans/"+ids[1]+"/stop", nil, ada))
	b.page(t, 303, form("/estate/scans/"+ids[0]+"/stop", nil, ada))
	for _, id := range ids {
		b.until(t, id, func(s estate.Scan) bool { return s.State == estate.ScanStopped })
	}
	if n := len(b.town.asked); n > 1 {
		t.Errorf("%d scans ran, want at most the first", n)
	}
	var info scanInfo
	if err := json.Unmarshal([]byte(b.page(t, 200, ask("GET", "/api/estate/scans/"+ids[0], "", ada))), &info); err != nil || info.State != estate.ScanStopped {
		t.Errorf("%+v, %v", info, err)
	}
}

func TestImportBecomesProposals(t *testing.T) {
	b := newBench(t)
	b.town.seen = bulk(0, 2)
	ada := b.login(t, "Ada")
	rec := b.serve(upload(t, "/estate/scans/-/import", "file", []byte("<nmaprun/>"), ada))
	if rec.Code != 303 {
		t.Fatal(rec.Code, rec.Body)
	}
	text := words(parse(t, b.page(t, 200, ask("GET", rec.Header().Get("Location"), "", ada))))
	for _, want := range []string{"import file", "New 2", "Lines not read 1", "line 7: no address"} {
		if !strings.Contains(text, want) {
			t.Errorf("does not say %q: %s", want, text)
		}
	}
	for name, body := range map[string][]byte{"nothing": nil, "garbage": []byte("garbage")} {
		page := b.page(t, 422, upload(t, "/estate/scans/-/import", "file", body, ada))
		checkMarkup(t, name, "en", page)
	}
}

func TestWrongScans(t *testing.T) {
	b := newBench(t)
	ada, cora := b.login(t, "Ada"), b.login(t, "Cora")
	for name, fields := range map[string]url.Values{
		"nothing":                {"ranges": {" "}},
		"no range":               {"ranges": {"the town"}, "go": {"1"}},
		"too fast":               {"ranges": {"10.0.0.0/24"}, "rate": {"100000"}},
		"no rate":                {"ranges": {"10.0.0.0/24"}, "rate": {"fast"}},
		"a site that is none":    {"ranges": {"10.0.0.0/24"}, "site": {"nowhere"}, "go": {"1"}},
		"ranges like <b>markup>": {"ranges": {"<b>"}},
	} {
		page := b.page(t, 422, form("/estate/scans/-/new", fields, ada))
		checkMarkup(t, name, "en", page)
	}
	for path, status := range map[string]int{"/estate/scans/99": 404, "/estate/scans/x": 404, "/estate/scans?before=x": 200} {
		b.page(t, status, ask("GET", path, "", ada))
	}
	// A scan of no site is seen by who sees everything; an operator scans at his site.
	if rec := b.serve(ask("GET", "/estate/scans/1", "", cora)); rec.Code != 404 {
		t.Errorf("Cora sees another's scan: %d", rec.Code)
	}
	for where, status := range map[string]int{"": 404, "ministry": 404, "town-hall": 200} {
		if rec := b.serve(form("/estate/scans/-/new", url.Values{"ranges": {"10.0.0.0/24"}, "site": {where}}, cora)); rec.Code != status {
			t.Errorf("Cora scans at %q: %d, want %d", where, rec.Code, status)
		}
	}
	var inv *estate.Invalid
	if _, err := readRequest("10.0.0.0/24", "0", "Ada"); !errors.As(err, &inv) {
		t.Error(err)
	}
}

package know

import (
	"net/http"
	"time"

	"github.com/watchward/watchward/internal/access"
	"github.com/watchward/watchward/internal/policy"
	"github.com/watchward/watchward/internal/web"
)

// findingJSON is a finding as the API sends it.
type findingJSON struct {
	ID          string              `json:"id"`
	Device      string              `json:"device"`
	Name        string              `json:"name"`
	Maker       string              `json:"maker"`
	Site        string              `json:"site"`
	Restriction string              `json:"restriction"`
	Clause      string              `json:"clause"`
	Action      policy.Action       `json:"action"`
	Force       policy.Force        `json:"force"`
	State       policy.FindingState `json:"state"`
	Waiver      string              `json:"waiver,omitempty"`
	Because     []policy.Reason     `json:"because"`
	Opened      int64               `json:"opened"`
	Changed     int64               `json:"changed"`
	Due         string              `json:"due,omitempty"`
}

func sentFinding(f policy.Finding) findingJSON {
	return findingJSON{
		f.ID, f.Device, f.Name, f.Maker, f.Site, f.Restriction, f.Clause, f.Action, f.Force, f.State, f.Waiver, f.Because,
		f.Opened.UnixMilli(), f.Changed.UnixMilli(), dayText(f.Due),
	}
}

// changeJSON is a line of a finding's history.
type changeJSON struct {
	At      int64           `json:"at"`
	What    string          `json:"what"`
	Who     string          `json:"who"`
	Because []policy.Reason `json:"because"`
}

// waiverJSON is a waiver, with how it stands.
type waiverJSON struct {
	ID         string   `json:"id"`
	State      string   `json:"state"` // holds, ended, revoked, altered
	Clauses    []string `json:"clauses"`
	Reason     string   `json:"reason"`
	Measures   string   `json:"measures"`
	ApprovedBy string   `json:"approved_by"`
	MadeBy     string   `json:"made_by"`
	Made       int64    `json:"made"`
	Until      string   `json:"until"`
}

func sentWaiver(w policy.Waiver, on time.Time) waiverJSON {
	return waiverJSON{w.ID, waiverState(w, on), w.Clauses, w.Reason, w.Measures, w.ApprovedBy, w.MadeBy, w.Made.UnixMilli(), w.Until.Text}
}

func (k *Know) sendFindings(rw http.ResponseWriter, r *http.Request) error {
	where, err := k.whereabouts(r.Context())
	if err != nil {
		return err
	}
	b := boardOf(r.URL.Query())
	page, err := k.o.Book.Findings(r.Context(), b.filter(where.scope(r, b.Site, b.Organisation), k.now().UTC()))
	if err != nil {
		return err
	}
	sent := struct {
		Findings []findingJSON `json:"findings"`
		Next     string        `json:"next,omitempty"` // for after
	}{Findings: []findingJSON{}}
	if len(page) > pageOf {
		page = page[:pageOf]
		sent.Next = page[pageOf-1].Cursor()
	}
	for _, f := range page {
		sent.Findings = append(sent.Findings, sentFinding(f))
	}
	return web.JSON(rw, sent)
}

func (k *Know) sendFinding(rw http.ResponseWriter, r *http.Request) error {
	if _, _, err := k.finding(r, access.SeeEstate); err != nil {
		return err
	}
	d, err := k.findingData(r)
	if err != nil {
		return err
	}
	sent := struct {
		findingJSON
		History []changeJSON    `json:"history"`
		Waivers []waiverJSON    `json:"waivers"`
		Would   []policy.Change `json:"would_change"`
	}{findingJSON: sentFinding(d.Finding), Waivers: []waiverJSON{}, Would: d.Would}
	for _, c := range d.History {
		sent.History = append(sent.History, changeJSON{c.At.UnixMilli(), c.What, c.Who, c.Because})
	}
	for _, w := range d.Waivers {
		sent.Waivers = append(sent.Waivers, sentWaiver(w, d.On))
	}
	return web.JSON(rw, sent)
}

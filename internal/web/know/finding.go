package know

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/watchward/watchward/internal/access"
	"github.com/watchward/watchward/internal/policy"
	"github.com/watchward/watchward/internal/web"
)

// findingData is one finding.
type findingData struct {
	say
	findingRow
	Clause    *policy.Clause
	Would     []policy.Change // what would make the answer another one, today
	Waivers   []policy.Waiver // of its clause on this device, the newest first
	History   []policy.FindingChange
	Decided   [2]string // maker and law of a person's decision that it rests on
	MayWaive  bool
	MayChange bool
	MayDecide bool
	On        time.Time
	Form      map[string]string
	Wrong     string // field that cannot be taken
}

// WaiverState says whether a waiver still holds, and if not, why.
func (d findingData) WaiverState(w policy.Waiver) string { return waiverState(w, d.On) }

// Revocable reports whether a waiver can be ended before its day.
func (d findingData) Revocable(w policy.Waiver) bool {
	return d.MayWaive && w.Revoked.IsZero() && w.Site == d.Site
}

func waiverState(w policy.Waiver, on time.Time) string {
	switch {
	case w.Altered:
		return "altered"
	case !w.Revoked.IsZero():
		return "revoked"
	case on.After(w.Until.Time):
		return "ended"
	}
	return "holds"
}

// finding finds what a request names, if the user may do something with it. Of
// a site that he may not see there are no findings.
func (k *Know) finding(r *http.Request, act access.Act) (policy.Finding, []policy.FindingChange, error) {
	f, history, err := k.o.Book.Finding(r.Context(), r.PathValue("id"))
	if err != nil {
		return f, nil, err
	}
	return f, history, k.allow(r, act, f.Site)
}

func (k *Know) showFinding(rw http.ResponseWriter, r *http.Request) error {
	d, err := k.findingData(r)
	if err != nil {
		return err
	}
	return k.render(rw, r, "finding", http.StatusOK, d)
}

func (k *Know) findingData(r *http.Request) (findingData, error) {
	ctx := r.Context()
	d := findingData{say: k.say(r), On: k.today(), Form: map[string]string{}}
	f, history, err := k.finding(r, access.SeeEstate)
	if err != nil {
		return d, err
	}
	where, err := k.whereabouts(ctx)
	if err != nil {
		return d, err
	}
	if d.findingRow, err = k.findingRow(r, where, f, k.now().UTC()); err != nil {
		return d, err
	}
	d.History = history
	d.Clause, _ = k.rules().Clause(f.Clause)
	d.MayWaive, d.MayChange = where.may(r, access.Waive, f.Site), where.may(r, access.ChangeEstate, f.Site)
	d.MayDecide = web.From(r).May(access.Waive, access.Place{})
	for _, reason := range f.Because {
		if reason.Code == "decided-yes" {
			d.Decided = [2]string{d.Device.Identification.Maker, reason.Args["law"]}
		}
	}
	if d.Device.ID != "" && d.Device.Site == f.Site {
		for _, v := range k.rules().Judge(where.caseOf(d.Device, d.On)) {
			if v.Clause == f.Clause {
				d.Would = v.WouldChange
			}
		}
	}
	all, err := k.o.Book.Waivers(ctx, f.Device)
	for _, w := range all {
		// What was altered has no clauses that could be believed.
		if w.Altered || slices.Contains(w.Clauses, f.Clause) {
			d.Waivers = append(d.Waivers, w)
		}
	}
	return d, err
}

// findingDone goes back to the finding, or shows it with what went wrong.
func (k *Know) findingDone(rw http.ResponseWriter, r *http.Request, fields map[string]string, err error) error {
	if err == nil {
		http.Redirect(rw, r, "/findings/"+r.PathValue("id"), http.StatusSeeOther)
		return nil
	}
	var wrong *policy.Invalid
	if !errors.As(err, &wrong) {
		return err
	}
	d, err := k.findingData(r)
	if err != nil {
		return err
	}
	d.Form, d.Wrong = fields, wrong.Field
	return k.render(rw, r, "finding", http.StatusUnprocessableEntity, d)
}

// waiveFinding signs a waiver for the finding's clause.
func (k *Know) waiveFinding(rw http.ResponseWriter, r *http.Request) error {
	f, _, err := k.finding(r, access.Waive)
	if err != nil {
		return err
	}
	form, err := readForm(rw, r, "approved_by", "reason", "measures", "until")
	if err != nil {
		return err
	}
	if f.State == policy.StateResolved {
		return web.Problem{Status: http.StatusConflict, Code: "resolved"}
	}
	w := policy.Waiver{
		Device: f.Device, Site: f.Site, Clauses: []string{f.Clause}, Reason: form["reason"], Measures: form["measures"],
		ApprovedBy: form["approved_by"], MadeBy: user(r),
	}
	if day, err := time.Parse(time.DateOnly, form["until"]); err == nil {
		w.Until = policy.NewDate(day.Date())
	}
	w, err = k.o.Book.Waive(r.Context(), w)
	if err == nil {
		k.log.Info("waiver signed", "waiver", w.ID, "finding", f.ID, "site", f.Site, "until", w.Until, "user", user(r))
	}
	return k.findingDone(rw, r, form, err)
}

func (k *Know) revokeFinding(rw http.ResponseWriter, r *http.Request) error {
	f, _, err := k.finding(r, access.SeeEstate)
	if err != nil {
		return err
	}
	form, err := readForm(rw, r, "waiver", "why")
	if err != nil {
		return err
	}
	all, err := k.o.Book.Waivers(r.Context(), f.Device)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(all, func(w policy.Waiver) bool { return w.ID == form["waiver"] })
	if at < 0 {
		return web.ErrNotFound
	}
	if err := k.allow(r, access.Waive, all[at].Site); err != nil {
		return err
	}
	err = k.o.Book.Revoke(r.Context(), form["waiver"], user(r), form["why"])
	if err == nil {
		k.log.Info("waiver revoked", "waiver", form["waiver"], "finding", f.ID, "user", user(r))
	}
	return k.findingDone(rw, r, form, err)
}

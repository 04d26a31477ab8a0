package know

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/watchward/watchward/internal/access"
	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/policy"
	"github.com/watchward/watchward/internal/web"
)

func (k *Know) planRoutes() {
	h := k.o.Web.Handle
	h("GET /plan", web.For(access.SeeEstate), k.showPlan)
	h("GET /plan/sheet", web.For(access.SeeEstate), k.showSheet)
	h("GET /plan.csv", web.For(access.SeeEstate), k.sendPlanTable)
	h("GET /plan.ics", web.For(access.SeeEstate), k.sendPlanCalendar)
	h("POST /plan/{id}", web.For(access.ChangeEstate), k.planStep)
	h("GET /api/plan", web.For(access.SeeEstate), k.sendPlan)
	h("PUT /api/plan/{id}", web.For(access.ChangeEstate), k.putStep)
}

// stages are those of a plan, in the order of the picture.
var stages = []policy.Stage{policy.StageDone, policy.StagePlanned, policy.StageUnplanned, policy.StageOverdue, policy.StageWaived}

// planData is a part of the plan, with the sums of the whole.
type planData struct {
	say
	places
	Site, Organisation, Stage, Device string // what it is narrowed to
	Skip                              int
	Plan                              policy.Plan
	Rows                              []planRow
	Picture                           []stageRow
	All                               int // devices of all stages

	Problem *estate.Invalid // of the form that was tried
}

// planRow is a device of the plan as a page shows it.
type planRow struct {
	policy.PlanItem
	Stage policy.Stage
	Days  int  // since the oldest finding
	May   bool // plan it
	Tried bool // what its form holds could not be taken
	Form  map[string]string
}

// Candidates are makers to replace it by, and how many more there are.
func (r planRow) Candidates() []string { return r.Replace[:min(len(r.Replace), shownCandidates)] }
func (r planRow) More() int            { return len(r.Replace) - len(r.Candidates()) }

// shownCandidates is how many makers a row names.
const shownCandidates = 8

// Gravest is the finding that its place in the plan rests on.
func (r planRow) Gravest() policy.Finding { return r.Findings[0] }

// stageRow is a stage in the picture of progress.
type stageRow struct {
	Stage policy.Stage
	policy.Sum
	from, to float64 // in percent
}

// X and Width are where the stage stands, as SVG has it.
func (s stageRow) X() string     { return percent(s.from) }
func (s stageRow) Width() string { return percent(s.to - s.from) }

// address is that of a page of the plan, or of a file of it.
func (d planData) address(path, stage string, skip int) string {
	q := url.Values{}
	for name, value := range map[string]string{"site": d.Site, "organisation": d.Organisation, "stage": stage, "device": d.Device} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if skip > 0 {
		q.Set("skip", strconv.Itoa(skip))
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// File is the address of what is shown, as a file or a sheet.
func (d planData) File(path string) string { return d.address(path, d.Stage, 0) }

// Here is the address of the page itself; Next and First of others.
func (d planData) Here() string  { return d.address("/plan", d.Stage, d.Skip) }
func (d planData) First() string { return d.address("/plan", d.Stage, 0) }
func (d planData) Next() string {
	if d.Skip+len(d.Rows) >= d.Plan.Devices {
		return ""
	}
	return d.address("/plan", d.Stage, d.Skip+len(d.Rows))
}

// Query narrows the page that a form comes back to.
func (d planData) Query() string { return strings.TrimPrefix(d.Here(), "/plan") }

// To is the list of a stage; what is done is in the plan no longer.
func (d planData) To(s policy.Stage) string {
	if s == policy.StageDone {
		return ""
	}
	return d.address("/plan", string(s), 0)
}

// Stages lists what the filter offers.
func (planData) Stages() []policy.Stage { return stages[1:] }

// Value is what a field of a device's form holds.
func (r planRow) Value(field string) string { return r.Form[field] }

func (k *Know) showPlan(rw http.ResponseWriter, r *http.Request) error {
	d, err := k.planData(r, pageOf)
	if err != nil {
		return err
	}
	return k.render(rw, r, "plan", http.StatusOK, d)
}

// maxSheet is how many devices are printed at once.
const maxSheet = 1000

// showSheet is the plan to be printed and signed.
func (k *Know) showSheet(rw http.ResponseWriter, r *http.Request) error {
	d, err := k.planData(r, maxSheet)
	if err != nil {
		return err
	}
	return k.render(rw, r, "sheet", http.StatusOK, d)
}

func (k *Know) planData(r *http.Request, limit int) (planData, error) {
	q := r.URL.Query()
	d := planData{say: k.say(r), Site: q.Get("site"), Organisation: q.Get("organisation"), Stage: q.Get("stage"), Device: q.Get("device")}
	if !slices.Contains(stages, policy.Stage(d.Stage)) {
		d.Stage = ""
	}
	if n, err := strconv.Atoi(q.Get("skip")); err == nil && n > 0 {
		d.Skip = n
	}
	where, err := k.whereabouts(r.Context())
	if err != nil {
		return d, err
	}
	d.places = where.offered(r)
	d.Plan, err = k.o.Book.Plan(r.Context(), policy.PlanFilter{
		Sites: where.scope(r, d.Site, d.Organisation), Stage: policy.Stage(d.Stage), Device: d.Device, Skip: d.Skip, Limit: limit,
	})
	if err != nil {
		return d, err
	}
	for _, i := range d.Plan.Items {
		row := planRow{PlanItem: i, Stage: i.Stage(d.Plan.On), Days: int(d.Plan.On.Sub(i.Oldest).Hours() / 24), May: where.may(r, access.ChangeEstate, i.Site)}
		row.Form = stepForm(i)
		d.Rows = append(d.Rows, row)
	}
	d.picture()
	return d, nil
}

// stepForm is what a device's form begins with: what was planned, else what is
// known of its cost.
func stepForm(i policy.PlanItem) map[string]string {
	return map[string]string{
		"planned": dayText(i.Step.Planned), "cost": money(i.Cost.Amount), "currency": i.Cost.Currency,
		"replacement": i.Step.Replacement, "note": i.Step.Note,
	}
}

// picture lays out how far the plan has come.
func (d *planData) picture() {
	for _, s := range stages {
		d.All += d.Plan.Stages[s].Devices
	}
	at := 0.0
	for _, s := range stages {
		row := stageRow{Stage: s, Sum: d.Plan.Stages[s], from: at}
		if d.All > 0 {
			at += 100 * float64(row.Devices) / float64(d.All)
		}
		row.to = at
		d.Picture = append(d.Picture, row)
	}
}

// planStep records what a person plans for a device, and comes back to where it
// stands in the plan.
func (k *Know) planStep(rw http.ResponseWriter, r *http.Request) error {
	dev, err := k.device(r, access.ChangeEstate)
	if err != nil {
		return err
	}
	f, err := readForm(rw, r, "planned", "cost", "currency", "replacement", "note")
	if err != nil {
		return err
	}
	step, err := readStep(f)
	if err == nil {
		step.Device, step.By = string(dev.ID), user(r)
		err = k.o.Book.PlanStep(r.Context(), step)
	}
	d, pageErr := k.planData(r, pageOf)
	if pageErr != nil {
		return pageErr
	}
	if err == nil {
		http.Redirect(rw, r, d.Here()+"#d-"+string(dev.ID), http.StatusSeeOther)
		return nil
	}
	if !errors.As(err, &d.Problem) {
		return err
	}
	for n := range d.Rows {
		if d.Rows[n].Device == string(dev.ID) {
			d.Rows[n].Form, d.Rows[n].Tried = f, true
		}
	}
	return k.render(rw, r, "plan", http.StatusUnprocessableEntity, d)
}

// Bounds of what a person writes in a step, in bytes.
const (
	maxReplacement = 200
	maxNote        = 4000
)

func readStep(f map[string]string) (policy.Step, error) {
	s := policy.Step{Currency: strings.ToUpper(f["currency"]), Replacement: f["replacement"], Note: f["note"]}
	var err error
	if s.Planned, err = readDay("planned", f["planned"]); err != nil {
		return s, err
	}
	if s.Cost, err = readMoney(f["cost"]); err != nil {
		return s, err
	}
	switch {
	case s.Cost > 0 && !isCurrency(s.Currency):
		return s, &estate.Invalid{Field: "currency", Code: "currency", Value: clip(f["currency"], 40)}
	case len(s.Replacement) > maxReplacement:
		return s, &estate.Invalid{Field: "replacement", Code: "too-long", Value: strconv.Itoa(maxReplacement)}
	case len(s.Note) > maxNote:
		return s, &estate.Invalid{Field: "note", Code: "too-long", Value: strconv.Itoa(maxNote)}
	}
	if s.Cost == 0 {
		s.Currency = ""
	}
	return s, nil
}

// isCurrency reports whether a text is of the form of ISO 4217.
func isCurrency(s string) bool {
	return len(s) == 3 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// wholePlan is the plan that a request narrows, all of it.
func (k *Know) wholePlan(r *http.Request) (policy.Plan, error) {
	d, err := k.planData(r, 1) // reads what it is narrowed to
	if err != nil {
		return policy.Plan{}, err
	}
	where, err := k.whereabouts(r.Context())
	if err != nil {
		return policy.Plan{}, err
	}
	return k.o.Book.Plan(r.Context(), policy.PlanFilter{Sites: where.scope(r, d.Site, d.Organisation), Stage: policy.Stage(d.Stage), Device: d.Device})
}

func (k *Know) sendPlanTable(rw http.ResponseWriter, r *http.Request) error {
	p, err := k.wholePlan(r)
	if err != nil {
		return err
	}
	attach(rw, "text/csv; charset=utf-8", "watchward-plan-"+dayText(p.On)+".csv")
	return p.CSV(rw, k.words, web.From(r).Lang, k.rules().MakerName)
}

func (k *Know) sendPlanCalendar(rw http.ResponseWriter, r *http.Request) error {
	p, err := k.wholePlan(r)
	if err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	attach(rw, "text/calendar; charset=utf-8", "watchward-plan-"+dayText(p.On)+".ics")
	return p.Calendar(rw, k.words, web.From(r).Lang, host)
}

// attach names a file that is downloaded.
func attach(rw http.ResponseWriter, kind, name string) {
	rw.Header().Set("Content-Type", kind)
	rw.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
}

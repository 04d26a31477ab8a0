package policy

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/estate"
)

// Plan is the ordered way to no findings: what first, by when, at what cost.
type Plan struct {
	On       time.Time  `json:"on"`
	Rules    string     `json:"rules"`  // version of the catalogue
	Makers   string     `json:"makers"` // version of the graph
	Items    []PlanItem `json:"items"`
	Costs    []Cost     `json:"costs"`    // in all, by currency
	Uncosted int        `json:"uncosted"` // items of which nobody said a cost
	Progress Progress   `json:"progress"`
	// Devices is how many items there are, where Items holds some of them only.
	Devices int           `json:"devices"`
	Stages  map[Stage]Sum `json:"stages"`
}

// Stage is how far a device of the plan has come, on the plan's day.
type Stage string

// The stages. A device is done when all that was found of it is resolved.
const (
	StageDone      Stage = "done"
	StagePlanned   Stage = "planned"   // somebody said when, and that day is not over
	StageOverdue   Stage = "overdue"   // the day planned, or else due, is over
	StageUnplanned Stage = "unplanned" // nobody said when
	StageWaived    Stage = "waived"
)

// Sum adds up devices: how many, at what costs, and of how many nobody said a
// cost.
type Sum struct {
	Devices  int    `json:"devices"`
	Costs    []Cost `json:"costs,omitempty"`
	Uncosted int    `json:"uncosted,omitempty"`
}

func (s *Sum) add(c Cost) {
	s.Devices++
	if c.Amount == 0 {
		s.Uncosted++
		return
	}
	for n := range s.Costs {
		if s.Costs[n].Currency == c.Currency {
			s.Costs[n].Amount += c.Amount
			return
		}
	}
	s.Costs = append(s.Costs, c)
	slices.SortFunc(s.Costs, func(a, b Cost) int { return strings.Compare(a.Currency, b.Currency) })
}

// Stage says how far the item has come on a day.
func (i *PlanItem) Stage(on time.Time) Stage {
	switch {
	case i.Waived:
		return StageWaived
	case !i.By.IsZero() && day(on).After(i.By):
		return StageOverdue
	case !i.Step.Planned.IsZero():
		return StagePlanned
	}
	return StageUnplanned
}

// PlanItem is one device to be replaced, removed, moved or looked at.
type PlanItem struct {
	Rank     int             `json:"rank"` // from 1
	Device   string          `json:"device"`
	Name     string          `json:"name"`
	Kind     estate.Kind     `json:"kind,omitempty"`
	Maker    string          `json:"maker"`
	Site     string          `json:"site"`
	SiteName string          `json:"site_name"`
	Class    SiteClass       `json:"site_class"`
	Body     string          `json:"body,omitempty"`
	Network  Network         `json:"network"`
	Exposure estate.Exposure `json:"exposure"`
	Force    Force           `json:"force"`    // the gravest
	Findings []Finding       `json:"findings"` // the gravest first
	Waived   bool            `json:"waived"`   // all of them are: it can wait until the waiver ends
	Oldest   time.Time       `json:"oldest"`
	Due      time.Time       `json:"due,omitzero"`
	By       time.Time       `json:"by,omitzero"`  // planned, else due; zero: nobody said
	Step     Step            `json:"step"`         // what a person planned
	Cost     Cost            `json:"cost"`         // of the step, else of the device
	Replace  []string        `json:"replacements"` // IDs of makers that the same clauses do not catch
}

// Step is what a person planned for a device.
type Step struct {
	Device      string    `json:"device,omitempty"`
	Planned     time.Time `json:"planned,omitzero"`
	Cost        int64     `json:"cost,omitempty"` // smallest unit of the currency
	Currency    string    `json:"currency,omitempty"`
	Replacement string    `json:"replacement,omitempty"` // in a person's words
	Note        string    `json:"note,omitempty"`
	By          string    `json:"by,omitempty"`
	Changed     time.Time `json:"changed,omitzero"`
}

// Cost is an amount in the smallest unit of a currency (ISO 4217).
type Cost struct {
	Currency string `json:"currency,omitempty"`
	Amount   int64  `json:"amount"`
}

// Progress counts findings of all times.
type Progress struct {
	Open     int `json:"open"`
	Waived   int `json:"waived"`
	Resolved int `json:"resolved"`
	Overdue  int `json:"overdue"` // open, and the day is over
}

// PlanFilter narrows a plan. Zero fields do not.
type PlanFilter struct {
	Site string
	// Sites, where not nil, are those a person may see.
	Sites map[string]bool
	// Stage and Device leave out items, and nothing of the sums.
	Stage  Stage
	Device string

	Skip  int // leave out the first ones
	Limit int // 0: all. Sums are of the whole plan all the same
}

// wholePlan is the plan of all sites, kept while nothing changes: a page shows
// some rows of it, and making it reads every device.
type wholePlan struct {
	plan     Plan
	progress map[string]Progress // by site
	done     []doneDevice
}

// doneDevice is one of which all findings are resolved.
type doneDevice struct {
	site string
	cost Cost // as it was planned
}

// maxPlanAge bounds how long a plan is kept that another process, such as an
// import beside the server, may have made out of date.
const maxPlanAge = time.Minute

// Plan makes the plan of what is open and waived.
func (b *Book) Plan(ctx context.Context, f PlanFilter) (Plan, error) {
	w, err := b.wholePlan(ctx)
	if err != nil {
		return Plan{}, fmt.Errorf("make plan: %w", err)
	}
	p := w.plan
	p.Items, p.Stages = []PlanItem{}, map[Stage]Sum{}
	var all Sum
	for n := range w.plan.Items {
		i := &w.plan.Items[n]
		if !f.takes(i.Site) {
			continue
		}
		all.add(i.Cost)
		stage := i.Stage(p.On)
		sum := p.Stages[stage]
		sum.add(i.Cost)
		p.Stages[stage] = sum
		if f.Stage != "" && f.Stage != stage || f.Device != "" && f.Device != i.Device {
			continue
		}
		if p.Devices++; p.Devices > f.Skip && (f.Limit == 0 || len(p.Items) < f.Limit) {
			p.Items = append(p.Items, *i)
			p.Items[len(p.Items)-1].Rank = all.Devices
		}
	}
	p.Costs, p.Uncosted = all.Costs, all.Uncosted
	p.addDone(w, f)
	return p, nil
}

// addDone adds what the past has to say: devices that are done, and findings of
// all times.
func (p *Plan) addDone(w *wholePlan, f PlanFilter) {
	var done Sum
	for _, d := range w.done {
		if f.takes(d.site) {
			done.add(d.cost)
		}
	}
	if done.Devices > 0 {
		p.Stages[StageDone] = done
	}
	for site, g := range w.progress {
		if f.takes(site) {
			p.Progress.Open += g.Open
			p.Progress.Waived += g.Waived
			p.Progress.Resolved += g.Resolved
			p.Progress.Overdue += g.Overdue
		}
	}
}

func (f PlanFilter) takes(site string) bool {
	return (f.Site == "" || f.Site == site) && (f.Sites == nil || f.Sites[site])
}

// wholePlan returns the kept plan, or makes it anew.
func (b *Book) wholePlan(ctx context.Context) (*wholePlan, error) {
	b.plans.Lock()
	defer b.plans.Unlock()
	b.lookAtEstate()
	now := b.now().UTC()
	if w := b.whole; w != nil && fresh(w.plan.On, now) {
		return w, nil
	}
	w, err := b.makePlan(ctx, now)
	if err != nil {
		return nil, err
	}
	b.whole = w
	return w, nil
}

// lookAtEstate forgets what an estate that has changed makes out of date. The
// caller holds b.plans.
func (b *Book) lookAtEstate() {
	select {
	case <-b.estateChanged:
		b.whole, b.groups = nil, nil
	default:
	}
}

// fresh reports whether what was made at a time may be shown still.
func fresh(made, now time.Time) bool {
	return day(made).Equal(day(now)) && now.Sub(made) < maxPlanAge
}

func (b *Book) makePlan(ctx context.Context, now time.Time) (*wholePlan, error) {
	c := b.Catalogue()
	w := &wholePlan{plan: Plan{On: now, Rules: c.Version(), Makers: c.MakersVersion()}, progress: map[string]Progress{}}
	findings, err := b.Findings(ctx, FindingFilter{All: true})
	if err != nil {
		return nil, err
	}
	steps, err := selectSteps(ctx, pool{b.db})
	if err != nil {
		return nil, err
	}
	at := map[string]int{}
	past := map[string]string{} // devices with something resolved, and their sites
	var items []PlanItem
	for _, x := range findings {
		g := w.progress[x.Site]
		g.add(x, now)
		w.progress[x.Site] = g
		if x.State == StateResolved {
			past[x.Device] = x.Site
			continue
		}
		i, ok := at[x.Device]
		if !ok {
			i = len(items)
			at[x.Device] = i
			items = append(items, PlanItem{Device: x.Device, Name: x.Name, Site: x.Site, SiteName: x.Site, Class: SiteUndetermined, Waived: true, Step: steps[x.Device]})
		}
		items[i].take(x)
	}
	if err := b.describe(ctx, items, at); err != nil {
		return nil, err
	}
	for device, site := range past {
		if _, open := at[device]; !open {
			w.done = append(w.done, doneDevice{site, Cost{steps[device].Currency, steps[device].Cost}})
		}
	}
	slices.SortStableFunc(items, comparePlan)
	replacements := b.replacements(c)
	for n := range items {
		i := &items[n]
		if i.By = i.Step.Planned; i.By.IsZero() {
			i.By = i.Due
		}
		i.Replace = replacements(*i)
	}
	w.plan.Items = items
	return w, nil
}

// describe fills in what the estate knows of the items' devices.
func (b *Book) describe(ctx context.Context, items []PlanItem, at map[string]int) error {
	sites, bodies, err := b.places(ctx)
	if err != nil {
		return err
	}
	err = b.eachDevice(ctx, func(d estate.Device) {
		if n, ok := at[string(d.ID)]; ok {
			items[n].describe(d)
		}
	})
	for n := range items {
		i := &items[n]
		if s, ok := sites[i.Site]; ok {
			i.SiteName, i.Class, i.Body = s.Name, s.Class, bodies[s.ID].Body
		}
		if i.Step.Cost > 0 {
			i.Cost = Cost{i.Step.Currency, i.Step.Cost}
		}
	}
	return err
}

func (i *PlanItem) describe(d estate.Device) {
	i.Name, i.Kind, i.Maker, i.Network, i.Exposure = d.Name, d.Kind, d.Identification.Maker, d.Network, d.Exposure
	i.Cost = Cost{d.Currency, d.Cost}
}

func (g *Progress) add(f Finding, on time.Time) {
	switch f.State {
	case StateOpen:
		g.Open++
		g.Overdue += one(!f.Due.IsZero() && day(on).After(f.Due))
	case StateWaived:
		g.Waived++
	case StateResolved:
		g.Resolved++
	}
}

func (i *PlanItem) take(f Finding) {
	i.Findings = append(i.Findings, f)
	i.Waived = i.Waived && f.State == StateWaived
	if f.Force.Rank() > i.Force.Rank() {
		i.Force = f.Force
	}
	if i.Oldest.IsZero() || f.Opened.Before(i.Oldest) {
		i.Oldest = f.Opened
	}
	if !f.Due.IsZero() && (i.Due.IsZero() || f.Due.Before(i.Due)) {
		i.Due = f.Due
	}
}

// comparePlan says what comes first: what is not waived, then by force of the
// rule, sensitivity of the site, core network, exposure, day due, age.
func comparePlan(a, b PlanItem) int {
	for _, d := range []int{
		one(a.Waived) - one(b.Waived),
		b.Force.Rank() - a.Force.Rank(),
		classRank(b.Class) - classRank(a.Class),
		one(b.Network == NetworkCore) - one(a.Network == NetworkCore),
		one(b.Exposure == estate.ExposureInternet) - one(a.Exposure == estate.ExposureInternet),
		compareDue(a.Due, b.Due),
		a.Oldest.Compare(b.Oldest),
		strings.Compare(a.Name, b.Name),
		strings.Compare(a.Device, b.Device),
	} {
		if d != 0 {
			return d
		}
	}
	return 0
}

func classRank(c SiteClass) int {
	switch c {
	case SiteSensitive:
		return 2
	case SiteOrdinary:
		return 0
	}
	return 1
}

// compareDue puts what has a day before what has none.
func compareDue(a, b time.Time) int {
	if a.IsZero() != b.IsZero() {
		return one(a.IsZero()) - one(b.IsZero())
	}
	return a.Compare(b)
}

// replacements finds makers whose device the same clauses would not catch, in
// the same body's hands. It asks once for each set of clauses and body.
func (b *Book) replacements(c *Catalogue) func(PlanItem) []string {
	on := day(b.now())
	sellers := c.makers.Sellers(on)
	known := map[string][]string{}
	cache := c.NewCache()
	return func(i PlanItem) []string {
		var clauses []string
		for _, f := range i.Findings {
			clauses = append(clauses, f.Clause)
		}
		slices.Sort(clauses)
		k := i.Body + " " + strings.Join(clauses, " ")
		if found, ok := known[k]; ok {
			return found
		}
		found := []string{}
		for _, m := range sellers {
			if m != i.Maker && !catches(cache, m, i.Body, clauses, on) {
				found = append(found, m)
			}
		}
		known[k] = found
		return found
	}
}

// catches says whether any of the clauses asks, or may ask, something of a
// maker's device where it asks most.
func catches(cache *Cache, maker, body string, clauses []string, on time.Time) bool {
	for _, class := range []SiteClass{SiteSensitive, SiteOrdinary} {
		verdicts := cache.Judge(Case{
			Maker: maker, Confidence: estate.Identified, Kind: estate.KindCamera, Body: body, SiteClass: class, Network: NetworkCore,
			Purposes: purposesOf(cache.c), Certificates: []string{}, On: on,
		})
		for _, v := range verdicts {
			if v.Force != None && slices.Contains(clauses, v.Clause) {
				return true
			}
		}
	}
	return false
}

func purposesOf(c *Catalogue) []string {
	var all []string
	for _, p := range c.header.Purposes {
		all = append(all, p.ID)
	}
	return all
}

// PlanStep records what a person planned for a device: when, at what cost,
// what comes in its place. It replaces what was planned before.
func (b *Book) PlanStep(ctx context.Context, s Step) error {
	switch {
	case s.Device == "" || strings.TrimSpace(s.By) == "":
		return fmt.Errorf("plan step: %w", invalid("device", "want the device, and who plans"))
	case s.Cost < 0 || s.Cost > 1e14 || s.Cost > 0 && len(s.Currency) != 3:
		return fmt.Errorf("plan step: %w", invalid("cost", "want an amount that is not negative, with its currency"))
	case len(s.Replacement) > maxName || len(s.Note) > maxText:
		return fmt.Errorf("plan step: %w", invalid("note", "want at most 200 bytes of replacement and 4000 of note"))
	}
	if _, err := b.estate.Device(ctx, estate.DeviceID(s.Device)); err != nil {
		return fmt.Errorf("plan step: %w", err)
	}
	s.Changed = b.now().UTC()
	if err := b.db.Tx(ctx, func(tx *sql.Tx) error { return upsertStep(ctx, tx, s) }); err != nil {
		return fmt.Errorf("plan step: %w", err)
	}
	b.tell()
	return nil
}

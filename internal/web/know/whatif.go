package know

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/access"
	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/policy"
	"github.com/watchward/watchward/internal/web"
)

func (k *Know) whatIfRoutes() {
	h := k.o.Web.Handle
	h("GET /what-if", web.For(access.SeeEstate), k.showWhatIf)
	h("GET /what-if.csv", web.For(access.SeeEstate), k.sendWhatIfTable)
	h("GET /api/what-if", web.For(access.SeeEstate), k.sendWhatIf)
}

// supposition is what is asked: what to change before judging again, and where.
type supposition struct {
	On, Body, Only, Purpose string
	AsIf                    []string
	Ordinary                bool
	Site, Organisation      string
}

func suppositionOf(q url.Values) supposition {
	s := supposition{
		On: strings.TrimSpace(q.Get("on")), Body: q.Get("body"), Only: q.Get("only"), Purpose: q.Get("purpose"),
		Ordinary: q.Get("ordinary") == "yes", Site: q.Get("site"), Organisation: q.Get("organisation"),
	}
	for _, id := range q["as-if"] {
		if id != "" && !slices.Contains(s.AsIf, id) && len(s.AsIf) < maxAsIf {
			s.AsIf = append(s.AsIf, id)
		}
	}
	return s
}

// maxAsIf bounds how many instruments are supposed to bind at once.
const maxAsIf = 50

// Asked reports whether anything is supposed.
func (s supposition) Asked() bool {
	return s.On != "" || s.Body != "" || s.Only != "" || s.Purpose != "" || s.Ordinary || len(s.AsIf) > 0
}

// Supposes reports whether an instrument is supposed to bind.
func (s supposition) Supposes(id string) bool { return slices.Contains(s.AsIf, id) }

// query writes what [suppositionOf] reads.
func (s supposition) query() string {
	q := url.Values{}
	for name, value := range map[string]string{"on": s.On, "body": s.Body, "only": s.Only, "purpose": s.Purpose, "site": s.Site, "organisation": s.Organisation} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if s.Ordinary {
		q.Set("ordinary", "yes")
	}
	if len(s.AsIf) > 0 {
		q["as-if"] = s.AsIf
	}
	return q.Encode()
}

// File is the address of the same question's table.
func (s supposition) File() string { return "/what-if.csv?" + s.query() }

// suppose checks what is asked against what there is.
func (k *Know) suppose(s supposition) (policy.WhatIf, error) {
	w := policy.WhatIf{Body: s.Body, AsIf: s.AsIf, OrdinaryToo: s.Ordinary}
	var err error
	if w.On, err = readDay("on", s.On); err != nil {
		return w, err
	}
	if _, ok := k.rules().Body(s.Body); s.Body != "" && !ok {
		return w, &estate.Invalid{Field: "body", Code: "unknown", Value: clip(s.Body, 80)}
	}
	for _, id := range append(slices.Clone(s.AsIf), s.Only) {
		if _, ok := k.rules().Restriction(id); id != "" && !ok {
			return w, &estate.Invalid{Field: "rule", Code: "unknown", Value: clip(id, 80)}
		}
	}
	if s.Only != "" {
		w.Only = []string{s.Only}
	}
	if s.Purpose != "" {
		if !slices.ContainsFunc(k.rules().Purposes(), func(p policy.NamedThing) bool { return p.ID == s.Purpose }) {
			return w, &estate.Invalid{Field: "purpose", Code: "unknown", Value: clip(s.Purpose, 80)}
		}
		w.Purposes = []string{s.Purpose}
	}
	return w, nil
}

// difference is the answer to a supposition. It is worked out once for each
// group of devices that rules cannot tell apart.
type difference struct {
	Devices, Changed          int
	Before, After             map[policy.Force]int
	BrokenBefore, BrokenAfter int
	Rows                      []differenceRow // the most grave changes first
	groups                    []policy.CaseGroup
	compared                  []policy.Compared // in the order of groups
}

// differenceRow is devices of which the same is said, before and after.
type differenceRow struct {
	Maker     string
	Class     policy.SiteClass
	Body      string
	Compared  policy.Compared
	Devices   int
	Some      []policy.Named // a few of them
	SiteCount int
	sites     map[string]bool
}

// maxSome is how many devices a row names, maxDifferences how many rows a page
// has.
const (
	maxSome        = 12
	maxDifferences = 100
)

// More is how many devices the row does not name.
func (r differenceRow) More() int { return r.Devices - len(r.Some) }

// Worse reports whether something graver is asked than before.
func (r differenceRow) Worse() bool {
	c := r.Compared
	return c.After.Rank() > c.Before.Rank() || c.After == c.Before && c.BrokenAfter && !c.BrokenBefore
}

func (k *Know) difference(r *http.Request, s supposition, w policy.WhatIf) (difference, error) {
	var d difference
	where, err := k.whereabouts(r.Context())
	if err != nil {
		return d, err
	}
	if d.groups, err = k.o.Book.Groups(r.Context(), where.scope(r, s.Site, s.Organisation)); err != nil {
		return d, err
	}
	cases := make([]policy.Case, len(d.groups))
	for n, g := range d.groups {
		cases[n] = g.Case
	}
	d.compared = k.rules().Compare(cases, w).Devices
	d.Before, d.After = map[policy.Force]int{}, map[policy.Force]int{}
	at := map[string]int{}
	for n, c := range d.compared {
		g := d.groups[n]
		many := len(g.Devices)
		d.Devices += many
		d.Before[c.Before] += many
		d.After[c.After] += many
		d.BrokenBefore += when(c.BrokenBefore, many)
		d.BrokenAfter += when(c.BrokenAfter, many)
		if len(c.Changed) > 0 {
			d.Changed += many
			d.row(at, g, c)
		}
	}
	for n := range d.Rows {
		d.Rows[n].SiteCount = len(d.Rows[n].sites)
	}
	slices.SortStableFunc(d.Rows, func(a, b differenceRow) int {
		return cmp.Or(cmp.Compare(b.Compared.After.Rank(), a.Compared.After.Rank()), cmp.Compare(b.Devices, a.Devices))
	})
	return d, nil
}

func when(yes bool, n int) int {
	if yes {
		return n
	}
	return 0
}

// row adds a group to the row that says the same.
func (d *difference) row(at map[string]int, g policy.CaseGroup, c policy.Compared) {
	var key strings.Builder
	fmt.Fprintf(&key, "%s %s %s %s %s %t", g.Case.Maker, g.Case.SiteClass, g.Case.Body, c.Before, c.After, c.BrokenAfter)
	for _, clause := range c.Changed {
		fmt.Fprintf(&key, " %s %s %s %t", clause.Clause, clause.Before.Force, clause.After.Force, clause.After.Broken)
	}
	n, ok := at[key.String()]
	if !ok {
		n = len(d.Rows)
		at[key.String()] = n
		d.Rows = append(d.Rows, differenceRow{Maker: g.Case.Maker, Class: g.Case.SiteClass, Body: g.Case.Body, Compared: c, sites: map[string]bool{}})
	}
	row := &d.Rows[n]
	row.Devices += len(g.Devices)
	row.sites[g.Site] = true
	row.Some = append(row.Some, g.Devices[:min(len(g.Devices), maxSome-len(row.Some))]...)
}

// whatIfData is the page.
type whatIfData struct {
	say
	places
	Ask         supposition
	Bodies      []policy.BodyType
	Purposes    []policy.NamedThing
	Instruments []*policy.Restriction // that could bind
	Problem     *estate.Invalid
	Answer      *difference // nil: nothing asked yet
	Picture     Bars
	Total       int // rows
	Presets     []preset
	Today       time.Time
}

// preset is a question that many ask.
type preset struct{ Key, Href string }

// RuleTitle names the instrument of a clause.
func (d whatIfData) RuleTitle(clause string) string {
	if rule, ok := d.k.rules().Restriction(clause); ok {
		return d.In(rule.Title)
	}
	return clause
}

// Why are the reasons that tell the two answers apart: those that are not the
// same before.
func (d whatIfData) Why(c policy.ComparedClause) []policy.Reason {
	var out []policy.Reason
	for _, after := range c.After.Why {
		same := func(before policy.Reason) bool { return fmt.Sprint(before) == fmt.Sprint(after) }
		if !slices.ContainsFunc(c.Before.Why, same) {
			out = append(out, after)
		}
	}
	if len(out) == 0 {
		out = c.After.Why
	}
	return out
}

func (k *Know) showWhatIf(rw http.ResponseWriter, r *http.Request) error {
	d := whatIfData{say: k.say(r), Ask: suppositionOf(r.URL.Query()), Bodies: k.rules().Bodies(), Purposes: k.rules().Purposes(), Today: k.today()}
	where, err := k.whereabouts(r.Context())
	if err != nil {
		return err
	}
	d.places = where.offered(r)
	for _, rule := range k.rules().Restrictions() {
		if rule.Verified.Binds() && len(rule.Clauses) > 0 {
			d.Instruments = append(d.Instruments, rule)
		}
	}
	d.Presets = k.presets()
	status := http.StatusOK
	if d.Ask.Asked() {
		w, err := k.suppose(d.Ask)
		if errors.As(err, &d.Problem) {
			return k.render(rw, r, "what-if", http.StatusUnprocessableEntity, d)
		}
		answer, err := k.difference(r, d.Ask, w)
		if err != nil {
			return err
		}
		d.Picture = d.picture(answer)
		d.Total = len(answer.Rows)
		answer.Rows = answer.Rows[:min(len(answer.Rows), maxDifferences)]
		d.Answer = &answer
	}
	return k.render(rw, r, "what-if", status, d)
}

// presets are the questions that the texts themselves raise, where the
// catalogue has them.
func (k *Know) presets() []preset {
	all := []preset{{"ordinary", "/what-if?ordinary=yes"}}
	if _, ok := k.rules().Restriction("US-889A"); ok {
		all = append(all, preset{"us", "/what-if?as-if=US-889A&as-if=US-889B"})
	}
	year := k.today().AddDate(1, 0, 0).Format(time.DateOnly)
	return append(all, preset{"year", "/what-if?on=" + year}, preset{"department", "/what-if?body=uk.central-department"})
}

// forces in the order of the picture.
var forces = []policy.Force{policy.Must, policy.Should, policy.Undetermined, policy.May, policy.None}

// picture shows what is gravest for how many devices, today and then.
func (d whatIfData) picture(a difference) Bars {
	p := Bars{ID: "h-picture", Title: d.T("whatif.picture"), What: d.T("whatif.when"), Of: d.T("plot.devices"), Note: d.T("whatif.picture-note")}
	today, then := Bar{Name: d.T("whatif.now")}, Bar{Name: d.T("whatif.then")}
	for _, f := range forces {
		tone := "tone-" + string(f)
		p.Legend = append(p.Legend, Part{Tone: tone, Name: d.Force(f)})
		today.Parts = append(today.Parts, Part{Tone: tone, Name: d.Force(f), Count: int64(a.Before[f])})
		then.Parts = append(then.Parts, Part{Tone: tone, Name: d.Force(f), Count: int64(a.After[f])})
	}
	p.Rows = []Bar{today, then}
	return d.bars(p)
}

// answered works out the difference that a request asks for.
func (k *Know) answered(r *http.Request) (difference, error) {
	ask := suppositionOf(r.URL.Query())
	w, err := k.suppose(ask)
	if err != nil {
		return difference{}, err
	}
	return k.difference(r, ask, w)
}

// sendWhatIfTable lists each device whose answer changes.
func (k *Know) sendWhatIfTable(rw http.ResponseWriter, r *http.Request) error {
	d, err := k.answered(r)
	if err != nil {
		return err
	}
	say := k.say(r)
	attach(rw, "text/csv; charset=utf-8", "watchward-what-if-"+dayText(k.today())+".csv")
	out := csv.NewWriter(rw)
	_ = out.Write(strings.Split(say.T("whatif.columns"), ",")) // Error says what went wrong
	for n, c := range d.compared {
		if len(c.Changed) == 0 {
			continue
		}
		var clauses []string
		for _, x := range c.Changed {
			clauses = append(clauses, x.Clause)
		}
		g := d.groups[n]
		for _, dev := range g.Devices {
			_ = out.Write([]string{
				dev.Device, cell(dev.Name), g.Site, g.Case.Maker, say.Force(c.Before), say.Force(c.After),
				fmt.Sprint(c.BrokenBefore), fmt.Sprint(c.BrokenAfter), strings.Join(clauses, "; "),
			})
		}
	}
	out.Flush()
	return out.Error()
}

// cell keeps what a device says of itself from being a formula in a
// spreadsheet.
func cell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// whatIfJSON is the difference as the API sends it.
type whatIfJSON struct {
	Rules        string               `json:"rules"`
	Devices      int                  `json:"devices"`
	Changed      int                  `json:"changed"`
	Before       map[policy.Force]int `json:"before"`
	After        map[policy.Force]int `json:"after"`
	BrokenBefore int                  `json:"broken_before"`
	BrokenAfter  int                  `json:"broken_after"`
	Rows         []whatIfRowJSON      `json:"rows"`
}

type whatIfRowJSON struct {
	Maker   string             `json:"maker"`
	Class   policy.SiteClass   `json:"site_class"`
	Body    string             `json:"body"`
	Devices int                `json:"devices"`
	Some    []string           `json:"some"` // IDs of a few of them
	Before  policy.Force       `json:"before"`
	After   policy.Force       `json:"after"`
	Clauses []whatIfClauseJSON `json:"clauses"`
}

type whatIfClauseJSON struct {
	Clause string          `json:"clause"`
	Before policy.Force    `json:"before"`
	After  policy.Force    `json:"after"`
	Broken bool            `json:"broken"`
	Why    []policy.Reason `json:"why"`
}

func (k *Know) sendWhatIf(rw http.ResponseWriter, r *http.Request) error {
	d, err := k.answered(r)
	if err != nil {
		return err
	}
	sent := whatIfJSON{k.rules().Version(), d.Devices, d.Changed, d.Before, d.After, d.BrokenBefore, d.BrokenAfter, []whatIfRowJSON{}}
	for _, row := range d.Rows[:min(len(d.Rows), maxDifferences)] {
		out := whatIfRowJSON{Maker: row.Maker, Class: row.Class, Body: row.Body, Devices: row.Devices, Before: row.Compared.Before, After: row.Compared.After}
		for _, n := range row.Some {
			out.Some = append(out.Some, n.Device)
		}
		for _, c := range row.Compared.Changed {
			out.Clauses = append(out.Clauses, whatIfClauseJSON{c.Clause, c.Before.Force, c.After.Force, c.After.Broken, c.After.Why})
		}
		sent.Rows = append(sent.Rows, out)
	}
	return web.JSON(rw, sent)
}

package policy

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/estate"
)

// FindingState is how a finding stands.
type FindingState string

// The states.
const (
	StateOpen     FindingState = "open"
	StateWaived   FindingState = "waived"
	StateResolved FindingState = "resolved"
)

// Finding is a clause that a device at a site does not follow: with a must a
// breach, with a should an open question.
type Finding struct {
	ID          string       `json:"id"`
	Device      string       `json:"device"`
	Name        string       `json:"name"`  // of the device, when it was last judged
	Maker       string       `json:"maker"` // ID, of then too; "": not known
	Site        string       `json:"site"`
	Restriction string       `json:"restriction"`
	Clause      string       `json:"clause"`
	Action      Action       `json:"action"`
	Force       Force        `json:"force"`
	State       FindingState `json:"state"`
	Waiver      string       `json:"waiver,omitempty"` // while it is waived
	Because     []Reason     `json:"because"`
	Opened      time.Time    `json:"opened"` // the last time
	Changed     time.Time    `json:"changed"`
	Due         time.Time    `json:"due,omitzero"`
}

// Age is how long it has been open or waived.
func (f Finding) Age(now time.Time) time.Duration {
	if f.State == StateResolved {
		return f.Changed.Sub(f.Opened)
	}
	return now.Sub(f.Opened)
}

// FindingChange is one line of a finding's history: written once.
type FindingChange struct {
	At      time.Time `json:"at"`
	What    string    `json:"what"` // opened, waived, reopened, resolved, changed
	Who     string    `json:"who"`
	Because []Reason  `json:"because"`
}

// FindingFilter narrows a list. Zero fields do not.
type FindingFilter struct {
	State  FindingState // "": open and waived
	All    bool         // resolved ones too
	Site   string
	Device string
	Force  Force
	Clause string
	Maker  string    // ID; "-": of makers that nobody knows
	Since  time.Time // opened then or later
	Before time.Time // opened before
	// Sites, where not nil, are those a person may see.
	Sites map[string]bool

	After string // [Finding.Cursor] of the last one of the page before
	Limit int    // 0: all
}

// where writes the filter as SQL.
func (f FindingFilter) where() (string, []any, error) {
	var parts []string
	var values []any
	add := func(part string, more ...any) {
		for _, v := range more {
			values = append(values, v)
			part = strings.Replace(part, "?", "$"+strconv.Itoa(len(values)), 1)
		}
		parts = append(parts, part)
	}
	switch {
	case f.State != "":
		add(`state = ?`, string(f.State))
	case !f.All:
		add(`state <> ?`, string(StateResolved)) // written so, the list's own order is the index that is used
	}
	for _, c := range [][2]string{{"site", f.Site}, {"device", f.Device}, {"clause", f.Clause}} {
		if c[1] != "" {
			add(c[0]+` = ?`, c[1])
		}
	}
	if f.Force != "" {
		add(`rank = ?`, f.Force.Rank()) // of findings, a must or a should
	}
	if f.Maker != "" {
		add(`maker = ?`, strings.TrimPrefix(f.Maker, "-"))
	}
	if !f.Since.IsZero() {
		add(`opened >= ?`, micro(f.Since))
	}
	if !f.Before.IsZero() {
		add(`opened < ?`, micro(f.Before))
	}
	if f.Sites != nil {
		sites := []any{}
		for s := range f.Sites {
			sites = append(sites, s)
		}
		if len(sites) == 0 {
			sites = []any{""} // no site: PostgreSQL knows no empty list
		}
		add(`site IN (`+strings.TrimSuffix(strings.Repeat("?, ", len(sites)), ", ")+`)`, sites...)
	}
	if f.After != "" {
		rank, opened, id, err := parseCursor(f.After)
		if err != nil {
			return "", nil, err
		}
		add(`(rank < ? OR rank = ? AND (opened > ? OR opened = ? AND id > ?))`, rank, rank, opened, opened, id)
	}
	text := ` ORDER BY rank DESC, opened, id`
	if len(parts) > 0 {
		text = `WHERE ` + strings.Join(parts, ` AND `) + text
	}
	if f.Limit > 0 {
		text += ` LIMIT ` + strconv.Itoa(f.Limit)
	}
	return text, values, nil
}

// Cursor marks a finding's place in lists, see [FindingFilter.After].
func (f Finding) Cursor() string {
	return fmt.Sprintf("%d.%d.%s", f.Force.Rank(), micro(f.Opened), f.ID)
}

func parseCursor(s string) (rank int, opened int64, id string, err error) {
	parts := strings.SplitN(s, ".", 3)
	if len(parts) == 3 {
		rank, err = strconv.Atoi(parts[0])
		if err == nil {
			opened, err = strconv.ParseInt(parts[1], 10, 64)
		}
		if err == nil {
			return rank, opened, parts[2], nil
		}
	}
	return 0, 0, "", invalid("after", "want where a page ended")
}

// Findings lists findings: the gravest first, then the oldest. A waiver that
// has ended counts no longer, even before [Book.Refresh] has seen that.
func (b *Book) Findings(ctx context.Context, f FindingFilter) ([]Finding, error) {
	where, values, err := f.where()
	if err != nil {
		return nil, fmt.Errorf("list findings: %w", err)
	}
	all, err := selectFindings(ctx, pool{b.db}, where, values...)
	if err == nil {
		err = b.lookAtWaivers(ctx, all)
	}
	if err != nil {
		return nil, fmt.Errorf("list findings: %w", err)
	}
	return all, nil
}

// FindingCount is how many findings there are of one sort.
type FindingCount struct {
	State FindingState `json:"state"`
	Force Force        `json:"force"`
	Site  string       `json:"site"`
	N     int          `json:"n"`
}

// FindingCounts counts findings by state, force and site.
func (b *Book) FindingCounts(ctx context.Context) ([]FindingCount, error) {
	rows, err := b.db.Query(ctx, `SELECT state, force, site, count(*) FROM policy_findings GROUP BY state, force, site ORDER BY state, force, site`)
	if err != nil {
		return nil, fmt.Errorf("count findings: %w", err)
	}
	defer rows.Close()
	var all []FindingCount
	for rows.Next() {
		var c FindingCount
		if err := rows.Scan(&c.State, &c.Force, &c.Site, &c.N); err != nil {
			return nil, fmt.Errorf("count findings: %w", err)
		}
		all = append(all, c)
	}
	return all, rows.Err()
}

// Finding returns one finding and its history, the oldest line first.
func (b *Book) Finding(ctx context.Context, id string) (Finding, []FindingChange, error) {
	f, err := oneFinding(ctx, pool{b.db}, id)
	if err == nil {
		one := []Finding{f}
		err = b.lookAtWaivers(ctx, one)
		f = one[0]
	}
	if err != nil {
		return Finding{}, nil, fmt.Errorf("finding %q: %w", id, err)
	}
	history, err := selectHistory(ctx, pool{b.db}, id)
	if err != nil {
		return Finding{}, nil, fmt.Errorf("finding %q: %w", id, err)
	}
	return f, history, nil
}

// lookAtWaivers shows as open what a waiver covers no longer.
func (b *Book) lookAtWaivers(ctx context.Context, all []Finding) error {
	if !slices.ContainsFunc(all, func(f Finding) bool { return f.State == StateWaived }) {
		return nil
	}
	rows, err := selectWaivers(ctx, pool{b.db}, waiversOf(all))
	if err != nil {
		return err
	}
	waivers := b.byID(rows)
	now := b.now().UTC()
	for i := range all {
		if all[i].State != StateWaived {
			continue
		}
		if w, ok := waivers[all[i].Waiver]; !ok || !w.Holds(all[i].Clause, now) {
			all[i].State = StateOpen
		}
	}
	return nil
}

// waiversOf keeps to the waivers of a page: each costs a signature to verify.
func waiversOf(all []Finding) string {
	if len(all) > maxBatch {
		return ``
	}
	quoted := []string{}
	for _, f := range all {
		if f.State == StateWaived && isID(f.Waiver) {
			quoted = append(quoted, `'`+f.Waiver+`'`)
		}
	}
	return `WHERE id IN (` + strings.Join(quoted, `, `) + `)`
}

// isID reports whether a text is of the form that [newID] makes.
func isID(s string) bool { return s != "" && strings.Trim(s, "0123456789abcdef") == "" }

func (b *Book) byID(rows []waiverRow) map[string]Waiver {
	all := make(map[string]Waiver, len(rows))
	for _, r := range rows {
		all[r.id] = b.read(r)
	}
	return all
}

// Refreshed says what a refresh did.
type Refreshed struct {
	Devices      int // judged
	Opened       int
	Reopened     int
	Waived       int
	Resolved     int
	Undetermined int // devices of which some rule cannot say what it asks
}

// Refresh judges each device where it hangs, today, and brings the findings in
// step: after devices, sites, waivers, decisions or the catalogue changed, and
// each day, for rules begin and waivers end. Doing it again changes nothing.
func (b *Book) Refresh(ctx context.Context) (Refreshed, error) {
	b.refreshing.Lock()
	defer b.refreshing.Unlock()
	r, err := b.newRefresh(ctx)
	if err == nil {
		err = r.judgeAll(ctx)
	}
	if err == nil {
		err = r.store(ctx)
	}
	if err != nil {
		return Refreshed{}, fmt.Errorf("refresh findings: %w", err)
	}
	if r.done.Opened+r.done.Reopened+r.done.Waived+r.done.Resolved > 0 {
		b.tell()
	}
	return r.done, nil
}

// refresh is one run of [Book.Refresh].
type refresh struct {
	b       *Book
	now     time.Time
	cache   *Cache
	sites   map[string]estate.Site
	bodies  map[string]estate.Organisation // by site
	found   map[findingKey]Finding         // as stored
	seen    map[findingKey]bool            // broken now
	settled map[findingKey]Verdict         // of those stored, and broken no longer
	devices map[string]bool                // judged
	waivers map[string][]Waiver            // by device
	changes []findingWrite
	done    Refreshed
}

type findingKey struct{ device, clause string }

type findingWrite struct {
	f       Finding
	what    string
	because []Reason
}

func (b *Book) newRefresh(ctx context.Context) (*refresh, error) {
	r := &refresh{
		b: b, now: b.now().UTC().Truncate(time.Microsecond), cache: b.Catalogue().NewCache(),
		found: map[findingKey]Finding{}, seen: map[findingKey]bool{}, settled: map[findingKey]Verdict{}, devices: map[string]bool{}, waivers: map[string][]Waiver{},
	}
	stored, err := selectFindings(ctx, pool{b.db}, ``)
	if err != nil {
		return nil, err
	}
	for _, f := range stored {
		r.found[findingKey{f.Device, f.Clause}] = f
	}
	rows, err := selectWaivers(ctx, pool{b.db}, ``)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		r.waivers[row.device] = append(r.waivers[row.device], b.read(row))
	}
	r.sites, r.bodies, err = b.places(ctx)
	return r, err
}

// places reads sites and whose they are, by the sites' IDs.
func (b *Book) places(ctx context.Context) (map[string]estate.Site, map[string]estate.Organisation, error) {
	all, err := b.estate.Sites(ctx)
	if err != nil {
		return nil, nil, err
	}
	tree, err := b.estate.Organisations(ctx)
	if err != nil {
		return nil, nil, err
	}
	organisations := make(map[string]estate.Organisation, len(tree))
	for _, o := range tree {
		organisations[o.ID] = o
	}
	sites, bodies := make(map[string]estate.Site, len(all)), make(map[string]estate.Organisation, len(all))
	for _, s := range all {
		sites[s.ID] = s
		o, err := b.bodyOf(s.Organisation, func(id string) (estate.Organisation, error) {
			if o, ok := organisations[id]; ok {
				return o, nil
			}
			return estate.Organisation{}, estate.ErrNotFound
		})
		if err != nil && !errors.Is(err, estate.ErrNotFound) {
			return nil, nil, err
		}
		bodies[s.ID] = o
	}
	return sites, bodies, nil
}

// eachDevice calls f with each device that hangs somewhere.
func (b *Book) eachDevice(ctx context.Context, f func(estate.Device)) error {
	for after := ""; ; {
		page, err := b.estate.Devices(ctx, estate.Filter{After: after, Limit: estate.MaxPage})
		if err != nil {
			return err
		}
		for _, d := range page.Devices {
			if d.Site != "" {
				f(d)
			}
		}
		if after = page.Next; after == "" {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

func (r *refresh) judgeAll(ctx context.Context) error {
	if err := r.b.eachDevice(ctx, r.device); err != nil {
		return err
	}
	r.resolve()
	return nil
}

func (r *refresh) device(d estate.Device) {
	r.done.Devices++
	r.devices[string(d.ID)] = true
	verdicts := r.cache.Judge(CaseOf(d, r.sites[d.Site], r.bodies[d.Site], r.now))
	open := false
	for _, v := range verdicts {
		k := findingKey{string(d.ID), v.Clause}
		if v.Broken {
			r.seen[k] = true
			r.broken(d, v, k)
		} else if _, ok := r.found[k]; ok {
			r.settled[k] = v
		}
		open = open || v.Force == Undetermined
	}
	r.done.Undetermined += one(open)
}

// broken brings one finding in step with a clause that is not followed.
func (r *refresh) broken(d estate.Device, v Verdict, k findingKey) {
	f, known := r.found[k]
	was := f
	f.Name, f.Maker, f.Site, f.Force, f.Action, f.Because, f.Due = d.Name, d.Identification.Maker, d.Site, v.Force, v.Action, v.Why, v.Due
	what, because := "", v.Why
	switch {
	case !known:
		f.ID, f.Device, f.Restriction, f.Clause = newID(), k.device, v.Restriction, v.Clause
		f.State, f.Opened, what = StateOpen, r.now, "opened"
	case f.State == StateResolved:
		f.State, f.Opened, what = StateOpen, r.now, "reopened"
	}
	if f.Due.IsZero() {
		f.Due = r.b.within(v.Clause, f.Opened)
	}
	waiver := waivedBy(r.at(k.device, d.Site), k.clause, r.now)
	switch {
	case waiver != nil && (f.State != StateWaived || f.Waiver != waiver.ID):
		f.State, f.Waiver = StateWaived, waiver.ID
		what, because = "waived", []Reason{{Code: "waiver-made", Args: args("until", waiver.Until.Text, "by", waiver.ApprovedBy)}}
	case waiver == nil && f.State == StateWaived:
		what, because = "reopened", []Reason{r.endOf(f)}
		f.State, f.Waiver = StateOpen, ""
	}
	r.count(what)
	if what == "" && !changedFinding(was, f) {
		return
	}
	if what != "" {
		f.Changed = r.now
	}
	r.changes = append(r.changes, findingWrite{f, what, because})
}

// at keeps a device's waivers for a site: it holds where it was given.
func (r *refresh) at(device, site string) []Waiver {
	return slices.DeleteFunc(slices.Clone(r.waivers[device]), func(w Waiver) bool { return w.Site != site })
}

// endOf says why a waiver holds no longer.
func (r *refresh) endOf(f Finding) Reason {
	for _, w := range r.waivers[f.Device] {
		switch {
		case w.ID != f.Waiver:
		case w.Altered:
			return Reason{Code: "waiver-altered"}
		case !w.Revoked.IsZero():
			return Reason{Code: "waiver-revoked"}
		default:
			return Reason{Code: "waiver-expired", Args: args("until", w.Until.Text)}
		}
	}
	return Reason{Code: "waiver-altered"} // the row is gone
}

func (r *refresh) count(what string) {
	switch what {
	case "opened":
		r.done.Opened++
	case "reopened":
		r.done.Reopened++
	case "waived":
		r.done.Waived++
	case "resolved":
		r.done.Resolved++
	}
}

func changedFinding(a, b Finding) bool {
	return a.Name != b.Name || a.Maker != b.Maker || a.Site != b.Site || a.Force != b.Force || !a.Due.Equal(b.Due) || fmt.Sprint(a.Because) != fmt.Sprint(b.Because)
}

// resolve ends the findings of what is broken no longer, saying why.
func (r *refresh) resolve() {
	for k, f := range r.found {
		if f.State == StateResolved || r.seen[k] {
			continue
		}
		because := []Reason{{Code: "not-broken"}}
		v, judged := r.settled[k]
		if judged && v.Force == Undetermined && r.devices[k.device] {
			continue // not knowing any longer clears nothing
		}
		switch {
		case !r.devices[k.device]:
			because = []Reason{{Code: "device-removed"}}
		case !judged:
			because = []Reason{{Code: "rule-gone"}}
		default:
			for _, reason := range v.Why {
				if v.Force == None && reason.Holds == No {
					because = append(because, reason)
				}
			}
		}
		f.State, f.Waiver, f.Changed = StateResolved, "", r.now
		r.count("resolved")
		r.changes = append(r.changes, findingWrite{f, "resolved", because})
	}
	slices.SortFunc(r.changes, func(a, b findingWrite) int {
		return slices.Compare([]string{a.f.Device, a.f.Clause}, []string{b.f.Device, b.f.Clause})
	})
}

// maxBatch is how many findings one transaction writes: others wait meanwhile.
const maxBatch = 500

func (r *refresh) store(ctx context.Context) error {
	for batch := range slices.Chunk(r.changes, maxBatch) {
		err := r.b.db.Tx(ctx, func(tx *sql.Tx) error {
			for _, c := range batch {
				if err := upsertFinding(ctx, tx, c.f, c.what, "watchward", c.because); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// within is the last day of a clause that counts business days from when a
// device was found.
func (b *Book) within(clause string, opened time.Time) time.Time {
	c, ok := b.Catalogue().Clause(clause)
	if !ok || c.Within == 0 {
		return time.Time{}
	}
	d := day(opened)
	for n := 0; n < c.Within; {
		d = d.AddDate(0, 0, 1)
		if d.Weekday() != time.Saturday && d.Weekday() != time.Sunday {
			n++
		}
	}
	return d
}

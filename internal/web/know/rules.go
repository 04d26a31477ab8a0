package know

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/policy"
	"github.com/watchward/watchward/internal/web"
)

func (k *Know) ruleRoutes() {
	k.o.Web.Handle("GET /rules", web.View, k.showRules)
	k.o.Web.Handle("GET /rules/{id}", web.View, k.showRule)
}

// rulesData is the library of rules.
type rulesData struct {
	say
	Query  string
	Who    string // a type of body: rules that speak to it
	Stand  string // a status, "unverified", or "" for all
	Bodies []policy.BodyType
	Groups []ruleGroup
	Count  int
	All    int
}

// ruleGroup is the rules of one jurisdiction.
type ruleGroup struct {
	Country string
	Rules   []ruleView
}

// ruleView is an instrument as a page shows it.
type ruleView struct {
	*policy.Restriction
	on time.Time
}

// Binds reports whether somebody is bound by it on the day of the visit.
func (v ruleView) Binds() bool {
	return v.Verified.Binds() && v.Status != policy.Proposal && !v.Future() && !v.Past()
}

// Future and Past say where the day of the visit stands to it.
func (v ruleView) Future() bool {
	for _, c := range v.Clauses {
		if !c.Since().After(v.on) {
			return false
		}
	}
	return len(v.Clauses) > 0 || v.InForce.After(v.on)
}

// Past reports whether its last day is over.
func (v ruleView) Past() bool { return !v.Until.IsZero() && v.on.After(v.Until.AddDate(0, 0, 1)) }

// Tone is the class of its status.
func (v ruleView) Tone() string {
	if v.Binds() {
		return "good"
	}
	return "off"
}

// Standing is the code of where it stands: its status, or why it binds nobody.
func (v ruleView) Standing() string {
	switch {
	case !v.Verified.Binds():
		return "unverified"
	case v.Status != policy.Proposal && v.Future():
		return "future"
	case v.Past() && v.Status == policy.InForce:
		return "ended"
	}
	return string(v.Status)
}

// Speaks lists the forces of its clauses, the strongest first.
func (v ruleView) Speaks() []policy.Force {
	var all []policy.Force
	for _, c := range v.Clauses {
		if !slices.Contains(all, c.Force) {
			all = append(all, c.Force)
		}
	}
	slices.SortFunc(all, func(a, b policy.Force) int { return b.Rank() - a.Rank() })
	return all
}

func (k *Know) showRules(rw http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	d := rulesData{
		say: k.say(r), Query: strings.TrimSpace(clip(q.Get("q"), 100)), Who: q.Get("body"), Stand: q.Get("status"),
		Bodies: k.rules().Bodies(),
	}
	for _, rule := range k.rules().Restrictions() {
		d.All++
		v := ruleView{rule, k.now().UTC()}
		if !k.ruleMatches(v, d) {
			continue
		}
		d.Count++
		if n := len(d.Groups); n == 0 || d.Groups[n-1].Country != rule.Jurisdiction {
			d.Groups = append(d.Groups, ruleGroup{Country: rule.Jurisdiction})
		}
		g := &d.Groups[len(d.Groups)-1]
		g.Rules = append(g.Rules, v)
	}
	return k.render(rw, r, "rules", http.StatusOK, d)
}

func clip(s string, n int) string { return strings.ToValidUTF8(s[:min(len(s), n)], "") }

func (k *Know) ruleMatches(v ruleView, d rulesData) bool {
	if d.Stand != "" && d.Stand != v.Standing() {
		return false
	}
	if d.Who != "" && !k.speaksTo(v.Restriction, d.Who) {
		return false
	}
	text := strings.ToLower(strings.Join([]string{v.ID, d.In(v.Title), d.In(v.Summary), d.In(v.Issuer), strings.Join(v.Names, " "), v.Source.Name}, " "))
	for _, word := range strings.Fields(strings.ToLower(d.Query)) {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}

// speaksTo reports whether a rule obliges a type of body, or tells it that it
// may follow.
func (k *Know) speaksTo(rule *policy.Restriction, body string) bool {
	kinds := []string{body}
	if b, ok := k.rules().Body(body); ok {
		kinds = append(kinds, b.Is...)
	}
	named := slices.Concat(rule.Obliged, rule.MayFollow)
	for _, c := range rule.Clauses {
		named = append(named, c.Obliged...)
		if c.MayFollow != nil {
			named = append(named, *c.MayFollow...)
		}
	}
	return slices.ContainsFunc(kinds, func(kind string) bool { return slices.Contains(named, kind) })
}

// ruleData is one instrument.
type ruleData struct {
	say
	Rule    ruleView
	By      *policy.Restriction // what superseded it
	Clauses []clauseView
	Names   []string // of the makers it names
	Related []*policy.Restriction
}

// clauseView is a clause with whom it speaks to.
type clauseView struct {
	*policy.Clause
	Obliged, MayFollow []string
}

// Site classes that it is for.
func (c clauseView) Sites() []string { return c.Site }

func (k *Know) showRule(rw http.ResponseWriter, r *http.Request) error {
	rule, ok := k.rules().Restriction(r.PathValue("id"))
	if !ok {
		return web.ErrNotFound
	}
	if rule.ID != r.PathValue("id") { // a clause's ID
		http.Redirect(rw, r, "/rules/"+rule.ID+"#"+r.PathValue("id"), http.StatusSeeOther)
		return nil
	}
	d := ruleData{say: k.say(r), Rule: ruleView{rule, k.now().UTC()}, Names: rule.Names}
	d.By, _ = k.rules().Restriction(rule.Superseded)
	for _, c := range rule.Clauses {
		v := clauseView{Clause: c, Obliged: c.Obliged, MayFollow: rule.MayFollow}
		if len(v.Obliged) == 0 {
			v.Obliged = rule.Obliged
		}
		if c.MayFollow != nil {
			v.MayFollow = *c.MayFollow
		}
		d.Clauses = append(d.Clauses, v)
	}
	for _, law := range rule.Laws {
		if l, ok := k.rules().Restriction(law); ok && l.ID != rule.ID {
			d.Related = append(d.Related, l)
		}
	}
	return k.render(rw, r, "rule", http.StatusOK, d)
}

// Standings lists what the filter offers.
func (rulesData) Standings() []string {
	return []string{"in-force", "future", "proposal", "superseded", "closed", "ended", "unverified"}
}

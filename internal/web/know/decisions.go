package know

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/access"
	"github.com/watchward/watchward/internal/policy"
	"github.com/watchward/watchward/internal/web"
)

func (k *Know) decisionRoutes() {
	// IDs of findings are hexadecimal: "-" names none.
	k.o.Web.Handle("GET /findings/-/decisions", web.For(access.SeeEstate), k.showDecisions)
	k.o.Web.Handle("POST /findings/-/decisions", web.For(access.Waive), k.decide)
}

// question is what a person must decide before a rule can answer: whether a
// maker is subject to a law.
type question struct {
	Maker, Law string
	Reason     policy.Reason // as the rule says it
	Rule       *policy.Restriction
	Devices    int // that wait for it
}

// decisionsData is the questions that are open, and what was decided.
type decisionsData struct {
	say
	Questions []question
	Made      []policy.Decision // the newest first
	May       bool
	Form      map[string]string
	Wrong     bool
}

// Law names a law by the title of its instrument.
func (s say) Law(id string) string {
	if rule, ok := s.k.rules().Restriction(id); ok {
		return s.In(rule.Title)
	}
	return id
}

func (k *Know) showDecisions(rw http.ResponseWriter, r *http.Request) error {
	d, err := k.decisionsData(r)
	if err != nil {
		return err
	}
	return k.render(rw, r, "decisions", http.StatusOK, d)
}

func (k *Know) decisionsData(r *http.Request) (decisionsData, error) {
	d := decisionsData{say: k.say(r), Form: map[string]string{}}
	d.May = web.From(r).May(access.Waive, access.Place{})
	where, err := k.whereabouts(r.Context())
	if err != nil {
		return d, err
	}
	groups, err := k.o.Book.Groups(r.Context(), where.scope(r, "", ""))
	if err != nil {
		return d, err
	}
	d.Questions = k.questions(groups)
	d.Made = slices.Clone(k.o.Book.Decisions())
	slices.Reverse(d.Made)
	return d, nil
}

// questions are the decisions that devices wait for, the most first.
func (k *Know) questions(groups []policy.CaseGroup) []question {
	at := map[[2]string]int{}
	var all []question
	cache := k.rules().NewCache()
	for _, g := range groups {
		asked := map[[2]string]bool{} // counts a device once, however many clauses wait
		for _, v := range cache.Judge(g.Case) {
			for _, reason := range v.Why {
				key := [2]string{g.Case.Maker, reason.Args["law"]}
				if v.Force != policy.Undetermined || !strings.HasPrefix(reason.Code, "needs-decision") || asked[key] {
					continue
				}
				asked[key] = true
				n, ok := at[key]
				if !ok {
					n = len(all)
					at[key] = n
					rule, _ := k.rules().Restriction(key[1])
					all = append(all, question{Maker: key[0], Law: key[1], Reason: reason, Rule: rule})
				}
				all[n].Devices += len(g.Devices)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b question) int { return cmp.Compare(b.Devices, a.Devices) })
	return all
}

// decide records a decision. It holds for all sites, so only who may sign
// waivers everywhere makes one.
func (k *Know) decide(rw http.ResponseWriter, r *http.Request) error {
	if !web.From(r).May(access.Waive, access.Place{}) {
		return web.ErrForbidden
	}
	f, err := readForm(rw, r, "maker", "law", "subject", "by", "reason", "until")
	if err != nil {
		return err
	}
	today := k.today()
	made := policy.Decision{Maker: f["maker"], Law: f["law"], Subject: f["subject"] == "yes", By: f["by"], On: policy.NewDate(today.Date()), Reason: f["reason"]}
	until, badDay := readDay("until", f["until"])
	if !until.IsZero() {
		made.Until = policy.NewDate(until.Date())
	}
	err = badDay
	if err == nil && (f["subject"] != "yes" && f["subject"] != "no" || !until.IsZero() && until.Before(today)) {
		err = &policy.Invalid{Field: "decision", Want: "want yes or no, and a last day that is not over"}
	}
	if err == nil {
		err = k.o.Book.Decide(r.Context(), made)
	}
	var wrong *policy.Invalid
	switch {
	case err == nil:
		k.log.Info("decided", "maker", made.Maker, "law", made.Law, "subject", made.Subject, "user", user(r))
		// The server judges anew when the estate changes; this is no change of it.
		if _, err := k.o.Book.Refresh(r.Context()); err != nil {
			return err
		}
		http.Redirect(rw, r, "/findings/-/decisions", http.StatusSeeOther)
		return nil
	case !errors.As(err, &wrong) && badDay == nil:
		return err
	}
	d, err := k.decisionsData(r)
	if err != nil {
		return err
	}
	d.Form, d.Wrong = f, true
	return k.render(rw, r, "decisions", http.StatusUnprocessableEntity, d)
}

// Ended reports whether a decision holds no longer on a day.
func (d decisionsData) Ended(made policy.Decision) bool {
	return !made.Until.IsZero() && d.k.now().After(made.Until.Add(24*time.Hour))
}

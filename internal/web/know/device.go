package know

import (
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/watchward/watchward/internal/access"
	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/policy"
)

// deviceData is one device.
type deviceData struct {
	say
	Device   estate.Device
	Site     estate.Site // zero: of none
	Owner    estate.Organisation
	Chain    chain
	Asked    []verdictView // what rules ask of it, the gravest first
	Open     []verdictView // what nobody can say yet
	Nothing  []verdictView // rules that ask nothing, with why
	On       time.Time
	Evidence []evidenceView
	Links    []linkView
	Findings []policy.Finding // open and waived
	Waivers  []policy.Waiver  // all there ever were, the newest first
	History  []estate.Change
	Sites    []estate.Site // where it may be taken
	May      bool          // change it
	MayWaive bool
	actions
}

// verdictView is a verdict with the rule it comes from.
type verdictView struct {
	policy.Verdict
	Rule   *policy.Restriction
	Clause *policy.Clause
}

// evidenceView is a piece of evidence as a page may show it.
type evidenceView struct {
	estate.Evidence
	Text string
	Cut  bool // there is more of it
}

// linkView is another device that this one may be.
type linkView struct {
	estate.Link
	Other estate.Device
}

// SoldAs reports whether the badge is another's than the maker.
func (d deviceData) SoldAs() bool {
	i := d.Device.Identification
	return i.Brand != "" && i.MakerName != "" && i.Brand != i.MakerName
}

// device finds the device of a request, if the user may do something with it
// where it hangs.
func (k *Know) device(r *http.Request, act access.Act) (estate.Device, error) {
	d, err := k.o.Estate.Device(r.Context(), estate.DeviceID(r.PathValue("id")))
	if err != nil {
		return d, err
	}
	return d, k.allow(r, act, d.Site)
}

func (k *Know) showDevice(rw http.ResponseWriter, r *http.Request) error {
	d, err := k.deviceData(r)
	if err != nil {
		return err
	}
	return k.render(rw, r, "device", http.StatusOK, d)
}

func (k *Know) deviceData(r *http.Request) (deviceData, error) {
	ctx := r.Context()
	d := deviceData{say: k.say(r), On: k.today()}
	var err error
	if d.Device, err = k.device(r, access.SeeEstate); err != nil {
		return d, err
	}
	where, err := k.whereabouts(ctx)
	if err != nil {
		return d, err
	}
	d.Site = where.sites[d.Device.Site]
	d.Owner = where.organisations[d.Site.Organisation]
	d.May, d.MayWaive = where.may(r, access.ChangeEstate, d.Site.ID), where.may(r, access.Waive, d.Site.ID)
	evidence, err := k.o.Estate.Evidence(ctx, d.Device.ID, false)
	if err != nil {
		return d, err
	}
	for _, e := range evidence {
		d.Evidence = append(d.Evidence, showEvidence(e))
	}
	d.judge(k.rules(), where.caseOf(d.Device, d.On))
	d.Chain = k.chain(d, evidence)
	links, err := k.o.Estate.Links(ctx, d.Device.ID)
	if err != nil {
		return d, err
	}
	for _, l := range links {
		id := l.Other
		if id == d.Device.ID {
			id = l.Device
		}
		other, err := k.o.Estate.Device(ctx, id)
		if err != nil {
			return d, err
		}
		if !where.may(r, access.SeeEstate, other.Site) {
			continue
		}
		d.Links = append(d.Links, linkView{l, other})
	}
	if d.Findings, err = k.o.Book.Findings(ctx, policy.FindingFilter{Device: string(d.Device.ID)}); err != nil {
		return d, err
	}
	if d.Waivers, err = k.o.Book.Waivers(ctx, string(d.Device.ID)); err != nil {
		return d, err
	}
	for _, id := range slices.Sorted(maps.Keys(where.sites)) {
		if where.may(r, access.ChangeEstate, id) {
			d.Sites = append(d.Sites, where.sites[id])
		}
	}
	d.Form = map[string]string{}
	d.History, err = k.o.Estate.History(ctx, "device", string(d.Device.ID), 0, shownHistory)
	return d, err
}

// judge sorts the verdicts by what a person does with them.
func (d *deviceData) judge(rules *policy.Catalogue, c policy.Case) {
	for _, v := range rules.Judge(c) {
		view := verdictView{Verdict: v}
		view.Rule, _ = rules.Restriction(v.Restriction)
		view.Clause, _ = rules.Clause(v.Clause)
		switch v.Force {
		case policy.None:
			d.Nothing = append(d.Nothing, view)
		case policy.Undetermined:
			d.Open = append(d.Open, view)
		default:
			d.Asked = append(d.Asked, view)
		}
	}
	slices.SortStableFunc(d.Asked, func(a, b verdictView) int {
		if a.Broken != b.Broken && a.Force == b.Force {
			if a.Broken {
				return -1
			}
			return 1
		}
		return b.Force.Rank() - a.Force.Rank()
	})
}

// Evidence that is no text shows its first bytes.
const shownBytes = 600

func showEvidence(e estate.Evidence) evidenceView {
	v := evidenceView{Evidence: e}
	value := e.Value
	if len(value) > shownBytes {
		value, v.Cut = value[:shownBytes], true
	}
	v.Text = shown(value)
	return v
}

// WaiverState says whether a waiver still holds, and if not, why.
func (d deviceData) WaiverState(w policy.Waiver) string { return waiverState(w, d.On) }

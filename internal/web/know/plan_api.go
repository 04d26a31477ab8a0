package know

import (
	"net/http"

	"github.com/watchward/watchward/internal/access"
	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/policy"
	"github.com/watchward/watchward/internal/web"
)

// planJSON is a part of the plan as the API sends it.
type planJSON struct {
	On       string                      `json:"on"`
	Rules    string                      `json:"rules"`
	Makers   string                      `json:"makers"`
	Devices  int                         `json:"devices"`
	Stages   map[policy.Stage]policy.Sum `json:"stages"`
	Findings policy.Progress             `json:"findings"`
	Items    []itemJSON                  `json:"items"`
	Next     int                         `json:"next,omitempty"` // for skip
}

type itemJSON struct {
	Rank     int              `json:"rank"`
	Device   string           `json:"device"`
	Name     string           `json:"name"`
	Maker    string           `json:"maker"`
	Kind     estate.Kind      `json:"kind"`
	Site     string           `json:"site"`
	Class    policy.SiteClass `json:"site_class"`
	Network  policy.Network   `json:"network"`
	Exposure estate.Exposure  `json:"exposure"`
	Force    policy.Force     `json:"force"`
	Stage    policy.Stage     `json:"stage"`
	Findings []string         `json:"findings"` // IDs
	Oldest   int64            `json:"oldest"`
	Due      string           `json:"due,omitempty"`
	Step     stepJSON         `json:"step"`
	Cost     policy.Cost      `json:"cost"`
	Replace  []string         `json:"replacements"`
}

// stepJSON is what a person plans for a device.
type stepJSON struct {
	Planned     string `json:"planned"`
	Cost        int64  `json:"cost"` // smallest unit of the currency
	Currency    string `json:"currency"`
	Replacement string `json:"replacement"`
	Note        string `json:"note"`
}

func sentStep(s policy.Step) stepJSON {
	return stepJSON{dayText(s.Planned), s.Cost, s.Currency, s.Replacement, s.Note}
}

func (k *Know) sendPlan(rw http.ResponseWriter, r *http.Request) error {
	d, err := k.planData(r, pageOf)
	if err != nil {
		return err
	}
	sent := planJSON{dayText(d.Plan.On), d.Plan.Rules, d.Plan.Makers, d.Plan.Devices, d.Plan.Stages, d.Plan.Progress, []itemJSON{}, 0}
	if d.Next() != "" {
		sent.Next = d.Skip + len(d.Rows)
	}
	for _, i := range d.Rows {
		item := itemJSON{
			i.Rank, i.Device, i.Name, i.Maker, i.Kind, i.Site, i.Class, i.Network, i.Exposure, i.Force, i.Stage, nil,
			i.Oldest.UnixMilli(), dayText(i.Due), sentStep(i.Step), i.Cost, i.Replace,
		}
		for _, f := range i.Findings {
			item.Findings = append(item.Findings, f.ID)
		}
		sent.Items = append(sent.Items, item)
	}
	return web.JSON(rw, sent)
}

// putStep replaces what was planned for a device.
func (k *Know) putStep(rw http.ResponseWriter, r *http.Request) error {
	dev, err := k.device(r, access.ChangeEstate)
	if err != nil {
		return err
	}
	var in stepJSON
	if err := readJSON(rw, r, &in); err != nil {
		return err
	}
	if in.Cost < 0 || in.Cost >= 1e12 {
		return &estate.Invalid{Field: "cost", Code: "range", Value: "0–999999999999"}
	}
	step, err := readStep(map[string]string{"planned": in.Planned, "cost": money(in.Cost), "currency": in.Currency, "replacement": in.Replacement, "note": in.Note})
	if err != nil {
		return err
	}
	step.Device, step.By, step.Cost = string(dev.ID), user(r), in.Cost
	if err := k.o.Book.PlanStep(r.Context(), step); err != nil {
		return err
	}
	return web.JSON(rw, sentStep(step))
}

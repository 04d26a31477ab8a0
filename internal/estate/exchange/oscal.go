package exchange

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/estate"
)

// Finding is a restriction that a device breaks, for OSCAL: whoever has
// findings fills it in. Text is as a person may read it.
type Finding struct {
	ID     string // of ours; the UUIDs come from it
	Device estate.DeviceID
	Rule   string // ID of the restriction: "UK-WMS-386"
	Title  string // of the restriction
	Clause string
	Source string // where the text can be read
	Force  string // "must", "should", "may"
	// Status is "open", "waived" or "resolved".
	Status string
	Why    string    // the reasons, in a sentence
	Since  time.Time // since when it is known
	Due    time.Time // by when it must be closed, or the waiver ends; zero: not said
}

const oscalVersion = "1.1.3"

type oscalFile struct {
	Results oscalResults `json:"assessment-results"`
}

type oscalResults struct {
	UUID     string         `json:"uuid"`
	Metadata oscalMetadata  `json:"metadata"`
	Plan     oscalReference `json:"import-ap"`
	Results  []oscalResult  `json:"results"`
	Back     oscalBack      `json:"back-matter"`
}

type oscalBack struct {
	Resources []oscalResource `json:"resources"`
}

type oscalResource struct {
	UUID        string `json:"uuid"`
	Title       string `json:"title"`
	Description string `json:"description"`
}

type oscalMetadata struct {
	Title    string `json:"title"`
	Modified string `json:"last-modified"`
	Version  string `json:"version"`
	OSCAL    string `json:"oscal-version"`
}

type oscalReference struct {
	Href string `json:"href"`
}

type oscalResult struct {
	UUID         string             `json:"uuid"`
	Title        string             `json:"title"`
	Description  string             `json:"description"`
	Start        string             `json:"start"`
	Definitions  *oscalLocal        `json:"local-definitions,omitempty"`
	Controls     oscalControls      `json:"reviewed-controls"`
	Observations []oscalObservation `json:"observations,omitempty"`
	Risks        []oscalRisk        `json:"risks,omitempty"`
	Findings     []oscalFinding     `json:"findings,omitempty"`
}

type oscalLocal struct {
	Items []oscalItem `json:"inventory-items"`
}

type oscalItem struct {
	UUID        string      `json:"uuid"`
	Description string      `json:"description"`
	Props       []oscalProp `json:"props,omitempty"`
}

type oscalProp struct {
	Name  string `json:"name"`
	NS    string `json:"ns,omitempty"`
	Value string `json:"value"`
}

type oscalControls struct {
	Selections []oscalSelection `json:"control-selections"`
}

type oscalSelection struct {
	Description string   `json:"description,omitempty"`
	All         struct{} `json:"include-all"`
}

type oscalObservation struct {
	UUID        string         `json:"uuid"`
	Title       string         `json:"title,omitempty"`
	Description string         `json:"description"`
	Methods     []string       `json:"methods"`
	Types       []string       `json:"types,omitempty"`
	Subjects    []oscalSubject `json:"subjects,omitempty"`
	Collected   string         `json:"collected"`
}

type oscalSubject struct {
	UUID string `json:"subject-uuid"`
	Type string `json:"type"`
}

type oscalRisk struct {
	UUID        string           `json:"uuid"`
	Title       string           `json:"title"`
	Description string           `json:"description"`
	Statement   string           `json:"statement"`
	Props       []oscalProp      `json:"props,omitempty"`
	Status      string           `json:"status"`
	Deadline    string           `json:"deadline,omitempty"`
	Related     []oscalRelatedOb `json:"related-observations,omitempty"`
}

type oscalRelatedOb struct {
	UUID string `json:"observation-uuid"`
}

type oscalRelatedRisk struct {
	UUID string `json:"risk-uuid"`
}

type oscalFinding struct {
	UUID         string             `json:"uuid"`
	Title        string             `json:"title"`
	Description  string             `json:"description"`
	Target       oscalTarget        `json:"target"`
	Observations []oscalRelatedOb   `json:"related-observations"`
	Risks        []oscalRelatedRisk `json:"related-risks"`
}

type oscalTarget struct {
	Type   string      `json:"type"`
	ID     string      `json:"target-id"`
	Status oscalStatus `json:"status"`
}

type oscalStatus struct {
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
}

// namespace is of properties that OSCAL has no name for.
const namespace = "https://watchward.org/ns/oscal"

// WriteOSCAL writes OSCAL assessment results: each device an inventory item
// and an observation, each finding a finding with its risk. The same estate and
// findings give the same UUIDs.
func WriteOSCAL(w io.Writer, s Source, findings []Finding) error {
	at := stamp(s.At)
	r := oscalResult{
		UUID: uuid("result", at), Title: "Video equipment", Start: at,
		Description: "Which restriction each device breaks, as far as its maker is known.",
		Controls:    oscalControls{[]oscalSelection{{Description: "All restrictions of the catalogue"}}},
	}
	seen := map[estate.DeviceID]string{} // observation of each device
	sites := s.sites()
	for d, err := range s.Devices {
		if err != nil {
			return err
		}
		o := observation(d, at)
		seen[d.ID] = o.UUID
		if r.Definitions == nil {
			r.Definitions = &oscalLocal{}
		}
		r.Definitions.Items = append(r.Definitions.Items, item(d, sites[d.Site]))
		r.Observations = append(r.Observations, o)
	}
	for _, f := range findings {
		observed, ok := seen[f.Device]
		if !ok {
			return fmt.Errorf("finding %q is of device %q, which is not in the export", f.ID, f.Device)
		}
		risk, finding := f.oscal(observed)
		r.Risks, r.Findings = append(r.Risks, risk), append(r.Findings, finding)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", " ")
	return enc.Encode(oscalFile{oscalResults{
		UUID:     uuid("assessment-results", at),
		Metadata: oscalMetadata{Title: "Video equipment of the estate", Modified: at, Version: or(s.Version, "0"), OSCAL: oscalVersion},
		Plan:     oscalReference{Href: "#" + uuid("assessment-plan")},
		Results:  []oscalResult{r},
		Back: oscalBack{[]oscalResource{{
			uuid("assessment-plan"), "Assessment plan",
			"The whole estate is assessed against the whole catalogue of restrictions; there is no further document.",
		}}},
	}})
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func item(d estate.Device, s sited) oscalItem {
	i := oscalItem{UUID: uuid("device", string(d.ID)), Description: or(words(d.Name, s.Name, s.organisation.Name), string(d.ID))}
	prop := func(name, ns, value string) {
		// A value is one line without spaces around it.
		if value = strings.TrimSpace(value); value != "" {
			i.Props = append(i.Props, oscalProp{name, ns, value})
		}
	}
	prop("asset-id", "", string(d.ID))
	prop("asset-tag", "", d.Tag)
	prop("serial-number", "", d.Serial)
	prop("hardware-model", "", d.Identification.Model)
	prop("vendor-name", "", d.Identification.Brand)
	prop("firmware-version", namespace, d.Identification.Firmware)
	for _, a := range d.Addresses {
		if a.Is4() {
			prop("ipv4-address", "", a.String())
		} else {
			prop("ipv6-address", "", a.String())
		}
	}
	for _, m := range d.MACs {
		prop("mac-address", "", m)
	}
	prop("maker", namespace, d.Identification.Maker)
	prop("confidence", namespace, string(d.Identification.Confidence))
	prop("site-class", namespace, string(s.Class))
	prop("body", namespace, s.organisation.Body)
	return i
}

func observation(d estate.Device, at string) oscalObservation {
	i := d.Identification
	o := oscalObservation{
		UUID: uuid("observation", string(d.ID)), Title: d.Name, Methods: []string{"TEST"}, Types: []string{"discovery"}, Collected: at,
		Subjects:    []oscalSubject{{uuid("device", string(d.ID)), "inventory-item"}},
		Description: fmt.Sprintf("Badge %q, maker %q, %s.", i.Brand, i.Maker, i.Confidence),
	}
	if !d.LastSeen.IsZero() {
		o.Collected = stamp(d.LastSeen)
	}
	for _, r := range i.Because {
		o.Description += " " + r.Fingerprint + " saw " + fmt.Sprintf("%q", r.Saw) + "."
	}
	return o
}

func (f Finding) oscal(observed string) (oscalRisk, oscalFinding) {
	why := or(f.Why, f.Title)
	risk := oscalRisk{
		UUID: uuid("risk", f.ID), Title: or(f.Title, f.Rule), Description: or(why, f.Rule), Statement: or(words(f.Rule, f.Clause, f.Force, f.Source), f.ID),
		Status: map[string]string{"open": "open", "waived": "deviation-approved", "resolved": "closed"}[f.Status], Related: []oscalRelatedOb{{observed}},
	}
	if risk.Status == "" {
		risk.Status = "open"
	}
	if f.Force != "" {
		risk.Props = append(risk.Props, oscalProp{"force", namespace, f.Force})
	}
	if !f.Since.IsZero() {
		risk.Props = append(risk.Props, oscalProp{"since", namespace, stamp(f.Since)})
	}
	if !f.Due.IsZero() {
		risk.Deadline = stamp(f.Due)
	}
	status := oscalStatus{State: "not-satisfied", Reason: "fail"}
	if f.Status == "resolved" {
		status = oscalStatus{State: "satisfied", Reason: "pass"}
	}
	return risk, oscalFinding{
		UUID: uuid("finding", f.ID), Title: or(f.Title, f.Rule), Description: or(why, f.Rule),
		Target:       oscalTarget{Type: "objective-id", ID: token(f.Rule), Status: status},
		Observations: []oscalRelatedOb{{observed}}, Risks: []oscalRelatedRisk{{risk.UUID}},
	}
}

// token is a name as OSCAL allows it: a letter or "_", then letters, digits,
// "-", "_" and ".".
func token(s string) string {
	var b strings.Builder
	for i, r := range s {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_'
		switch {
		case letter, i > 0 && (r >= '0' && r <= '9' || r == '-' || r == '.'):
			b.WriteRune(r)
		default:
			b.WriteByte('_')
		}
	}
	if b.Len() == 0 {
		return "_"
	}
	return b.String()
}

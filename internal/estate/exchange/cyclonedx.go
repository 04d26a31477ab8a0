package exchange

import (
	"encoding/json"
	"io"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/estate"
)

// The part of CycloneDX 1.6 (ECMA-424) that is written. Devices are components
// of type "device"; what CycloneDX has no field for is a property whose name
// begins with "watchward:".
type bom struct {
	Schema       string         `json:"$schema"`
	Format       string         `json:"bomFormat"`
	SpecVersion  string         `json:"specVersion"`
	SerialNumber string         `json:"serialNumber"`
	Version      int            `json:"version"`
	Metadata     bomMetadata    `json:"metadata"`
	Components   []bomComponent `json:"components"`
}

type bomMetadata struct {
	Timestamp string       `json:"timestamp"`
	Lifecycle []bomPhase   `json:"lifecycles"`
	Tools     bomTools     `json:"tools"`
	Component bomComponent `json:"component"`
}

type bomPhase struct {
	Phase string `json:"phase"`
}

type bomTools struct {
	Components []bomComponent `json:"components"`
}

type bomComponent struct {
	Type         string        `json:"type"`
	Ref          string        `json:"bom-ref,omitempty"`
	Manufacturer *bomEntity    `json:"manufacturer,omitempty"`
	Publisher    string        `json:"publisher,omitempty"`
	Group        string        `json:"group,omitempty"`
	Name         string        `json:"name"`
	Version      string        `json:"version,omitempty"`
	Description  string        `json:"description,omitempty"`
	Properties   []bomProperty `json:"properties,omitempty"`
	Evidence     *bomEvidence  `json:"evidence,omitempty"`
}

type bomEntity struct {
	Name string `json:"name"`
}

type bomProperty struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type bomEvidence struct {
	Identity []bomIdentity `json:"identity"`
}

type bomIdentity struct {
	Field      string      `json:"field"`
	Confidence float64     `json:"confidence"`
	Methods    []bomMethod `json:"methods,omitempty"`
}

type bomMethod struct {
	Technique  string  `json:"technique"`
	Confidence float64 `json:"confidence"`
	Value      string  `json:"value,omitempty"`
}

// WriteCycloneDX writes devices as hardware components. Model is the name,
// firmware the version, the real maker the manufacturer, the badge the
// publisher. Dependency-Track reads it as a project's bill of materials.
func WriteCycloneDX(w io.Writer, s Source) error {
	at := s.At.UTC().Format(time.RFC3339)
	b := bom{
		Schema: "http://cyclonedx.org/schema/bom-1.6.schema.json", Format: "CycloneDX", SpecVersion: "1.6", Version: 1,
		Metadata: bomMetadata{
			Timestamp: at, Lifecycle: []bomPhase{{"operations"}},
			Tools:     bomTools{[]bomComponent{{Type: "application", Name: "watchward", Version: s.Version}}},
			Component: bomComponent{Type: "platform", Ref: "estate", Name: "estate", Description: "Video equipment of the estate"},
		},
		Components: []bomComponent{},
	}
	sites := s.sites()
	ids := []string{"cyclonedx", at}
	for d, err := range s.Devices {
		if err != nil {
			return err
		}
		ids = append(ids, string(d.ID))
		b.Components = append(b.Components, component(d, sites[d.Site]))
	}
	b.SerialNumber = "urn:uuid:" + uuid(ids...)
	enc := json.NewEncoder(w)
	enc.SetIndent("", " ")
	return enc.Encode(b)
}

func component(d estate.Device, s sited) bomComponent {
	i := d.Identification
	c := bomComponent{
		Type: "device", Ref: string(d.ID), Name: or(i.Model, d.Name), Version: i.Firmware, Publisher: i.Brand,
		Group: i.Maker, Description: words(d.Name, s.Name, s.organisation.Name),
	}
	if maker := or(i.MakerName, i.Maker); maker != "" {
		c.Manufacturer = &bomEntity{maker}
	}
	property := func(name, value string) {
		if value != "" {
			c.Properties = append(c.Properties, bomProperty{"watchward:" + name, value})
		}
	}
	property("name", d.Name)
	property("kind", string(d.Kind))
	property("state", string(d.State))
	property("serial", d.Serial)
	for _, m := range d.MACs {
		property("mac", m)
	}
	for _, a := range d.Addresses {
		property("address", a.String())
	}
	property("tag", d.Tag)
	property("site", s.Name)
	property("site-class", string(s.Class))
	property("organisation", s.organisation.Name)
	property("body", s.organisation.Body)
	property("network", string(d.Network))
	property("exposure", string(d.Exposure))
	property("brand", i.Brand)
	property("maker", i.Maker)
	property("confidence", string(i.Confidence))
	if i.BadgeOnly {
		property("badge-only", "true")
	}
	property("data", i.Data)
	if i.Maker != "" {
		c.Evidence = &bomEvidence{[]bomIdentity{identity(i)}}
	}
	return c
}

// identity says how sure the group, which is the maker, is.
func identity(i estate.Identification) bomIdentity {
	sure := map[estate.Confidence]float64{estate.Identified: 0.99, estate.VeryLikely: 0.97, estate.Hint: 0.5}[i.Confidence]
	id := bomIdentity{Field: "group", Confidence: sure}
	for _, r := range i.Because {
		grade := map[string]float64{"A": 0.99, "B": 0.8, "C": 0.4, "badge": 0.2}[r.Grade]
		id.Methods = append(id.Methods, bomMethod{"other", grade, strings.TrimSpace(r.Fingerprint + ": " + r.Saw)})
	}
	return id
}

package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Embedded returns the files of the catalogue that this program carries.
func Embedded() (fs.FS, error) { return fs.Sub(embedded, "restrictions") }

// MakerName returns the usual name of a maker, or its ID.
func (c *Catalogue) MakerName(id string) string {
	if c.makers != nil {
		if name := c.makers.Name(id); name != "" {
			return name
		}
	}
	return id
}

// ParsePurposes reads words such as "public-safety; national-security". "none"
// is a list of none, which is known; "" is not known.
func (c *Catalogue) ParsePurposes(text string) ([]string, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	return knownWords(text, c.words.purposes)
}

const maxDecisions = 10_000

// ParseDecisions reads decisions on makers: a JSON list of [Decision].
func ParseDecisions(text []byte) ([]Decision, error) {
	if len(text) > 4<<20 {
		return nil, errors.New("more than 4 MiB")
	}
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.DisallowUnknownFields()
	var all []Decision
	if err := d.Decode(&all); err != nil {
		return nil, err
	}
	if len(all) > maxDecisions {
		return nil, fmt.Errorf("more than %d decisions", maxDecisions)
	}
	for i, dec := range all {
		if err := dec.check(); err != nil {
			return nil, fmt.Errorf("decision %d: %w", i+1, err)
		}
	}
	return all, nil
}

// check says whether a decision can be held against anybody.
func (d Decision) check() error {
	switch {
	case d.Maker == "" || d.Law == "":
		return errors.New("want the maker and the law")
	case strings.TrimSpace(d.By) == "" || strings.TrimSpace(d.Reason) == "":
		return fmt.Errorf("on maker %q: want who decided (by) and why (reason)", d.Maker)
	case d.On.IsZero():
		return fmt.Errorf("on maker %q: want the day it was decided (on)", d.Maker)
	case !d.Until.IsZero() && d.Until.Before(d.On.Time):
		return fmt.Errorf("on maker %q: ends %s before it was decided %s", d.Maker, d.Until, d.On)
	}
	return nil
}

// Describe writes an instrument for people to read.
func (r *Restriction) Describe(t *Texts, lang string) string {
	var b strings.Builder
	say := func(en, fr string) string {
		if lang == "fr" {
			return fr
		}
		return en
	}
	row := func(label, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-14s %s\n", label, strings.ReplaceAll(strings.TrimSpace(value), "\n", "\n"+strings.Repeat(" ", 15)))
		}
	}
	fmt.Fprintf(&b, "%s  %s\n\n", r.ID, r.Title.In(lang))
	row(say("asks", "demande"), r.Summary.In(lang))
	row(say("issuer", "émetteur"), r.Issuer.In(lang)+", "+r.Jurisdiction)
	row(say("form", "forme"), string(r.Form))
	row(say("issued", "publié"), r.Issued.Text)
	row(say("in force", "en vigueur"), r.InForce.Text)
	row(say("until", "jusqu'au"), r.Until.Text)
	row(say("status", "statut"), string(r.Status))
	row(say("obliges", "oblige"), strings.Join(r.Obliged, ", "))
	row(say("may follow", "peut suivre"), strings.Join(r.MayFollow, ", "))
	row(say("equipment", "équipement"), strings.Join(r.Equipment, ", "))
	row(say("names", "nomme"), strings.Join(r.Names, ", "))
	row(say("predicate", "prédicat"), r.Match)
	row(say("evidence", "preuve"), string(r.Evidence))
	row("source", r.Source.String())
	row(say("seen at", "vu sur"), strings.Join(r.Source.Seen, "; "))
	row(say("verified", "vérifié"), strings.TrimSpace(r.Verified.By+" "+r.Verified.On.Text))
	row(say("not verified", "non vérifié"), r.Verified.Open.In(lang))
	row("notes", r.Notes.In(lang))
	for _, c := range r.Clauses {
		fmt.Fprintf(&b, "\n%s  %s: %s\n", c.ID, t.Force(c.Force, lang), t.Action(c.Action, lang))
		row(say("  says", "  dit"), c.Says.In(lang))
		row(say("  asks", "  demande"), c.Asks.In(lang))
		row(say("  sites", "  sites"), strings.Join(c.Site, ", "))
		row(say("  purposes", "  finalités"), strings.Join(c.Purposes, ", "))
		row(say("  obliges", "  oblige"), strings.Join(c.Obliged, ", "))
		row(say("  by", "  pour le"), c.Due.Text)
	}
	return b.String()
}

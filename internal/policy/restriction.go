package policy

import (
	"fmt"
	"time"

	"github.com/watchward/watchward/internal/estate"
	"go.yaml.in/yaml/v3"
)

// Restriction is one legal instrument as a file of the catalogue: what it is,
// who it addresses, and the clauses that ask something of a device. An
// instrument without clauses defines or clarifies; it is kept to be read.
type Restriction struct {
	ID           string     `yaml:"id" json:"id"`
	Title        Text       `yaml:"title" json:"title"`
	Summary      Text       `yaml:"summary" json:"summary"` // what it asks, in a sentence
	Issuer       Text       `yaml:"issuer" json:"issuer"`
	Jurisdiction string     `yaml:"jurisdiction" json:"jurisdiction"` // ISO 3166 code, or "EU"
	Form         Form       `yaml:"form" json:"form"`
	Issued       Date       `yaml:"issued" json:"issued"`
	InForce      Date       `yaml:"in-force" json:"in_force,omitzero"`
	Until        Date       `yaml:"until" json:"until,omitzero"` // the last day
	Superseded   string     `yaml:"superseded-by" json:"superseded_by,omitempty"`
	Status       Status     `yaml:"status" json:"status"`
	Verified     Verified   `yaml:"verified" json:"verified"`
	Concerns     Concern    `yaml:"concerns" json:"concerns"`
	Obliged      []string   `yaml:"obliged" json:"obliged,omitempty"`       // body types
	MayFollow    []string   `yaml:"may-follow" json:"may_follow,omitempty"` // body types told that they may, but need not
	Equipment    []string   `yaml:"equipment" json:"equipment,omitempty"`   // empty: any
	Names        []string   `yaml:"names" json:"names,omitempty"`           // makers' IDs, where companies are named
	Laws         []string   `yaml:"laws" json:"laws,omitempty"`             // laws that the predicate points to
	Match        string     `yaml:"match" json:"match,omitempty"`           // CEL: see docs/reference/restrictions.md
	Evidence     Confidence `yaml:"evidence-needed" json:"evidence_needed,omitempty"`
	Clauses      []*Clause  `yaml:"clauses" json:"clauses,omitempty"`
	Source       Source     `yaml:"source" json:"source"`
	Notes        Text       `yaml:"notes" json:"notes,omitzero"`

	file    string
	matches *predicate // of Match; nil without one
}

// File is the name of the file it was read from.
func (r *Restriction) File() string { return r.file }

// Clause is one thing that an instrument asks of a device. What it leaves empty
// is as its instrument says.
type Clause struct {
	ID        string    `yaml:"id" json:"id"`
	Says      Text      `yaml:"says" json:"says"` // the clause, paraphrased or quoted
	Asks      Text      `yaml:"asks" json:"asks"` // of whoever has the device, in a sentence
	Action    Action    `yaml:"action" json:"action"`
	Force     Force     `yaml:"force" json:"force"`
	Site      []string  `yaml:"site" json:"site,omitempty"`         // site classes; empty: any
	Purposes  []string  `yaml:"purposes" json:"purposes,omitempty"` // empty: any
	InForce   Date      `yaml:"in-force" json:"in_force,omitzero"`
	Due       Date      `yaml:"due" json:"due,omitzero"`       // by when it must be done
	Within    int       `yaml:"within" json:"within,omitzero"` // business days after it was found
	Obliged   []string  `yaml:"obliged" json:"obliged,omitempty"`
	MayFollow *[]string `yaml:"may-follow" json:"may_follow,omitempty"`

	of      *Restriction
	obliged map[string]bool
	follow  map[string]bool
	since   time.Time
	until   time.Time // zero: no end
}

// Restriction is the instrument that the clause is of.
func (c *Clause) Restriction() *Restriction { return c.of }

// Since is the first day of the clause.
func (c *Clause) Since() time.Time { return c.since }

// Text is in English and French.
type Text struct {
	EN string `yaml:"en" json:"en"`
	FR string `yaml:"fr" json:"fr"`
}

// In returns the text in a language; English where it has no other.
func (t Text) In(lang string) string {
	if lang == "fr" && t.FR != "" {
		return t.FR
	}
	return t.EN
}

// IsZero says that there is no text.
func (t Text) IsZero() bool { return t == Text{} }

// Confidence is estate's, as a rule writes it.
type Confidence = estate.Confidence

// Form is what kind of text an instrument is.
type Form string

// The forms of instruments.
const (
	Statute       Form = "statute"
	Regulation    Form = "regulation"
	Order         Form = "order"
	Instruction   Form = "instruction"
	DecisionForm  Form = "decision"
	Listing       Form = "listing"
	Guidance      Form = "guidance"
	Definition    Form = "definition"
	Clarification Form = "clarification"
	Announcement  Form = "announcement"
)

// Status is where an instrument stands.
type Status string

// The statuses. Only what is in force or closed binds anybody, and a closed
// instrument only to its last day.
const (
	InForce    Status = "in-force"
	Superseded Status = "superseded"
	Closed     Status = "closed"
	Proposal   Status = "proposal"
)

// Concern is what an instrument regulates. Export licences and approvals for
// sale ask nothing of whoever has a camera on a wall.
type Concern string

// The concerns.
const (
	ConcernsUse      Concern = "use" // having, using, buying
	ConcernsMarket   Concern = "market"
	ConcernsExport   Concern = "export"
	ConcernsContract Concern = "contracts"
	ConcernsMeaning  Concern = "meaning" // it defines or clarifies
)

// Verified says who saw the text an instrument was encoded from. What nobody
// saw is kept to be read and never binds.
type Verified struct {
	// By is "stored-page" (a copy of unknown age was read), "secondary" (a
	// report of it was read), "mention" (it was only mentioned), "person", or
	// "nobody".
	By string `yaml:"by" json:"by"`
	On Date   `yaml:"on" json:"on,omitzero"`
	// Open names facts of the file that are not verified.
	Open Text `yaml:"open" json:"open,omitzero"`
}

// Binds says whether what was verified is enough for a rule to bind.
func (v Verified) Binds() bool { return v.By != "nobody" && v.By != "" }

// Source is where the text can be read.
type Source struct {
	Name string `yaml:"name" json:"name"`
	// URL is the canonical address where it is known; else who looks for it has
	// the name alone.
	URL  string   `yaml:"url" json:"url,omitempty"`
	Seen []string `yaml:"seen" json:"seen,omitempty"` // where a copy or a report was read
}

// Date is a day of the calendar. Where only a month or a year is known it keeps
// that text, and counts as the last day of it: a rule must not bind earlier
// than is known.
type Date struct {
	time.Time
	Text string
}

// NewDate is a day.
func NewDate(year int, month time.Month, day int) Date {
	t := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	return Date{t, t.Format(time.DateOnly)}
}

// ParseDate reads 2022-11-24, 2022-11 or 2022.
func ParseDate(s string) (Date, error) {
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return Date{t, s}, nil
	}
	if t, err := time.Parse("2006-01", s); err == nil {
		return Date{t.AddDate(0, 1, -1), s}, nil
	}
	if t, err := time.Parse("2006", s); err == nil {
		return Date{t.AddDate(1, 0, -1), s}, nil
	}
	return Date{}, fmt.Errorf("date %q: want 2022-11-24, or 2022-11 or 2022 where no more is known", s)
}

func (d Date) String() string { return d.Text }

// MarshalText writes the date as it was written.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.Text), nil }

// MarshalJSON keeps time.Time's method from answering.
func (d Date) MarshalJSON() ([]byte, error) { return []byte(`"` + d.Text + `"`), nil }

// UnmarshalText reads a date.
func (d *Date) UnmarshalText(b []byte) (err error) {
	*d, err = ParseDate(string(b))
	return err
}

// UnmarshalJSON reads what [Date.MarshalJSON] wrote.
func (d *Date) UnmarshalJSON(b []byte) error {
	if len(b) < 2 || b[0] != '"' {
		return fmt.Errorf("date %.20q: want text", b)
	}
	if len(b) == 2 {
		*d = Date{}
		return nil
	}
	return d.UnmarshalText(b[1 : len(b)-1])
}

// UnmarshalYAML reads a date, whatever YAML takes it for.
func (d *Date) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode {
		return fmt.Errorf("line %d: want a date", n.Line)
	}
	v, err := ParseDate(n.Value)
	if err != nil {
		return fmt.Errorf("line %d: %w", n.Line, err)
	}
	*d = v
	return nil
}

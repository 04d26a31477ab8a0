package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/watchward/watchward/internal/identify/makers"
)

// MakersCmd is "watchward makers".
type MakersCmd struct {
	List MakersListCmd `cmd:"" help:"List makers, where they sit and who owns them."`
	Show MakersShowCmd `cmd:"" help:"Say what a badge can mean, and how its makers stand to the law."`
}

// MakersListCmd is "watchward makers list".
type MakersListCmd struct {
	JSON bool `help:"Print JSON."`
	KnowledgeFlag
}

// Run lists them.
func (c *MakersListCmd) Run(s *streams) error {
	data, err := c.data()
	if err != nil {
		return err
	}
	list := data.Makers.Makers()
	if c.JSON {
		return printJSON(s, list)
	}
	w := tabwriter.NewWriter(s.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tNAME\tSEAT\tOWNER\tVERIFIED\tSOURCE")
	for _, m := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", m.ID, m.Name, m.Jurisdiction, m.Parent, yesNo(m.Verified), strings.Join(m.Sources, "; "))
	}
	return w.Flush()
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// MakersShowCmd is "watchward makers show".
type MakersShowCmd struct {
	Brand string    `arg:"" help:"A brand or a maker, however written."`
	Date  time.Time `format:"2006-01-02" help:"As it was on this day. Default: all of history."`
	JSON  bool      `help:"Print JSON."`
	KnowledgeFlag
}

// Help is shown by --help.
func (MakersShowCmd) Help() string {
	return `A brand has several relations as a rule: which one holds for a device, only the device can show (see
"watchward identify"). Grades of being subject to the National Intelligence Law of the PRC: 1 by its
seat, 2 by its owner, 5 disputed; a person decides about 2 and 5.

Examples

    watchward makers show Lorex
    watchward makers show Lorex --date 2020-06-01
    watchward makers show "CP Plus" --json`
}

// makersShown is what makers show --json prints.
type makersShown struct {
	Brand     string            `json:"brand"`
	Relations []makers.Relation `json:"relations"`
	Makers    []makerShown      `json:"makers"`
	Data      string            `json:"data"`
}

type makerShown struct {
	makers.Maker
	Owners     []makers.Owner    `json:"owners"`
	Affiliates []string          `json:"affiliates"`
	Subject    makers.Subjection `json:"subject"`
	Law        string            `json:"law"`
}

// Run shows one.
func (c *MakersShowCmd) Run(s *streams) error {
	data, err := c.data()
	if err != nil {
		return err
	}
	v := c.gather(data.Makers)
	if v.Relations == nil && v.Makers == nil {
		err := fmt.Errorf("brand %q: nobody described it", c.Brand)
		if c.Date.IsZero() {
			return withHint(err, `"watchward makers list" shows who is known`)
		}
		return withHint(err, "it may be known on another day: leave out --date")
	}
	if c.JSON {
		return printJSON(s, v)
	}
	c.print(s, v)
	return nil
}

func (c *MakersShowCmd) gather(g *makers.Graph) makersShown {
	v := makersShown{Brand: c.Brand, Relations: g.Relations(c.Brand, c.Date), Data: "makers " + g.Version()}
	if written, ok := g.Brand(c.Brand); ok {
		v.Brand = written
	}
	seen := map[string]bool{}
	show := func(id string) {
		m, ok := g.Maker(id)
		if !ok || seen[id] {
			return
		}
		seen[id] = true
		shown := makerShown{Maker: m, Owners: g.Owners(id, c.Date), Affiliates: []string{}, Subject: g.Subject(id, makers.ChinaIntelligenceLaw, c.Date), Law: makers.ChinaIntelligenceLaw}
		for _, a := range g.Affiliates(id, c.Date) {
			shown.Affiliates = append(shown.Affiliates, a.ID)
		}
		v.Makers = append(v.Makers, shown)
	}
	for _, r := range v.Relations {
		show(r.Maker)
	}
	if m, ok := g.MakerNamed(c.Brand); ok {
		show(m.ID)
	}
	return v
}

func (c *MakersShowCmd) print(s *streams, v makersShown) {
	s.printf("%s\n", v.Brand)
	w := tabwriter.NewWriter(s.Out, 0, 0, 2, ' ', 0)
	for _, r := range v.Relations {
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\t%s\n", relationWord(r.Kind), r.MakerName, span(r.Since, r.Until), r.Lines, verifiedWord(r.Verified), strings.Join(r.Sources, "; "))
	}
	_ = w.Flush() // to streams that report nothing
	for _, m := range v.Makers {
		s.printf("\n%s\n", m.Maker)
		for _, o := range m.Owners {
			s.printf("  owned by     %s %s %s\n", o.Owner, span(o.Since, o.Until), verifiedWord(o.Verified))
		}
		if len(m.Affiliates) > 0 {
			s.printf("  in one hand  %s\n", strings.Join(m.Affiliates, ", "))
		}
		decide := ""
		if m.Subject.NeedsDecision {
			decide = "; a person decides"
		}
		s.printf("  %s       grade %d: %s%s (%s)\n", m.Law, m.Subject.Grade, m.Subject.Why, decide, verifiedWord(m.Subject.Verified))
	}
	s.printf("\ndata: %s\n", v.Data)
}

func relationWord(k makers.Kind) string {
	switch k {
	case makers.Own:
		return "its own"
	case makers.Subsidiary:
		return "subsidiary"
	case makers.Former:
		return "formerly"
	case makers.OEMMost:
		return "mostly made by"
	}
	return "some made by"
}

func verifiedWord(b bool) string {
	if b {
		return "verified"
	}
	return "not verified"
}

// span tells a time; until is the first day after it.
func span(since, until time.Time) string {
	from, to := "", ""
	if !since.IsZero() {
		from = since.Format(time.DateOnly)
	}
	if !until.IsZero() {
		to = until.AddDate(0, 0, -1).Format(time.DateOnly)
	}
	if from == "" && to == "" {
		return "undated"
	}
	return from + "…" + to
}

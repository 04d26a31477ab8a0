package main

import (
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/watchward/watchward/internal/policy"
)

// RulesCmd is "watchward rules".
type RulesCmd struct {
	List   RulesListCmd   `cmd:"" help:"List the instruments."`
	Show   RulesShowCmd   `cmd:"" help:"Show one instrument: what it asks of whom, since when, and its source."`
	Bodies RulesBodiesCmd `cmd:"" help:"List the types of bodies that rules tell apart."`
	Lint   RulesLintCmd   `cmd:"" help:"Say what is wrong with the files of a catalogue."`
}

// rulesFlags are common to what reads instruments.
type rulesFlags struct {
	Rules string `type:"existingdir" placeholder:"DIR" help:"Read the instruments in this folder instead of our own."`
	Lang  string `enum:"en,fr" default:"en" help:"Language of the texts: en or fr."`
	JSON  bool   `help:"Print JSON."`
	KnowledgeFlag
}

// loadRules loads a folder's catalogue, or that of the data in use.
func loadRules(dir string, k KnowledgeFlag) (*policy.Catalogue, error) {
	if dir == "" {
		return k.restrictions()
	}
	data, err := k.data()
	if err != nil {
		return nil, err
	}
	return policy.LoadFrom(os.DirFS(dir), policy.Graph(data.Makers))
}

// RulesListCmd is "watchward rules list".
type RulesListCmd struct{ rulesFlags }

// Help is shown by --help.
func (RulesListCmd) Help() string {
	return `What nobody has verified is listed, and binds nobody.

Examples

    watchward rules list
    watchward rules list --lang fr
    watchward rules list --json | jq -r '.restrictions[] | select(.jurisdiction == "GB") | .id'`
}

// listedRules is what --json prints.
type listedRules struct {
	Version      string                `json:"version"`
	Restrictions []*policy.Restriction `json:"restrictions"`
}

// Run lists.
func (c *RulesListCmd) Run(s *streams) error {
	catalogue, err := loadRules(c.Rules, c.KnowledgeFlag)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s, listedRules{catalogue.Version(), catalogue.Restrictions()})
	}
	w := tabwriter.NewWriter(s.Out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSINCE\tSTATUS\tVERIFIED\tOBLIGES\tTITLE")
	for _, r := range catalogue.Restrictions() {
		since := r.InForce.Text
		if since == "" {
			since = "–"
		}
		obliges := strings.Join(r.Obliged, ", ")
		if len(r.Clauses) == 0 {
			obliges = "–"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, since, r.Status, r.Verified.By, obliges, oneLine(r.Title.In(c.Lang)))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	s.printf("%s, version %s\n", count(int64(len(catalogue.Restrictions())), "instrument"), catalogue.Version())
	return nil
}

// RulesShowCmd is "watchward rules show".
type RulesShowCmd struct {
	ID string `arg:"" help:"ID of an instrument or of one of its clauses."`
	rulesFlags
}

// Help is shown by --help.
func (RulesShowCmd) Help() string {
	return `Examples

    watchward rules show UK-WMS-386
    watchward rules show US-889B --lang fr`
}

// Run shows.
func (c *RulesShowCmd) Run(s *streams) error {
	catalogue, err := loadRules(c.Rules, c.KnowledgeFlag)
	if err != nil {
		return err
	}
	r, ok := catalogue.Restriction(c.ID)
	if !ok {
		r, ok = catalogue.Restriction(strings.ToUpper(c.ID))
	}
	if !ok {
		return withHint(fmt.Errorf("show rule %q: there is none of this ID", c.ID), "\"watchward rules list\" lists them")
	}
	if c.JSON {
		return printJSON(s, r)
	}
	texts, err := policy.LoadTexts()
	if err != nil {
		return err
	}
	s.printf("%s", r.Describe(texts, c.Lang))
	return nil
}

// RulesBodiesCmd is "watchward rules bodies".
type RulesBodiesCmd struct{ rulesFlags }

// Help is shown by --help.
func (RulesBodiesCmd) Help() string {
	return `Example

    watchward rules bodies --lang fr`
}

// Run lists.
func (c *RulesBodiesCmd) Run(s *streams) error {
	catalogue, err := loadRules(c.Rules, c.KnowledgeFlag)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s, catalogue.Bodies())
	}
	w := tabwriter.NewWriter(s.Out, 0, 8, 2, ' ', 0)
	for _, b := range catalogue.Bodies() {
		fmt.Fprintf(w, "%s\t%s\n", b.ID, oneLine(b.Name.In(c.Lang)))
	}
	return w.Flush()
}

// RulesLintCmd is "watchward rules lint".
type RulesLintCmd struct {
	Dir  string `arg:"" optional:"" type:"existingdir" help:"Folder with catalogue.yaml and a file for each instrument. Default: our own."`
	JSON bool   `help:"Print JSON."`
}

// Help is shown by --help.
func (RulesLintCmd) Help() string {
	return `Names each problem with file and line. The format is in docs/reference/restrictions.md.

Example

    watchward rules lint ./restrictions

Exit codes: 0 all well, 1 could not read, 3 problems found.`
}

// Run lints.
func (c *RulesLintCmd) Run(s *streams) error {
	files, err := policy.Embedded()
	if c.Dir != "" {
		files = os.DirFS(c.Dir)
	} else if err != nil {
		return err
	}
	problems, err := policy.Lint(files)
	if err != nil {
		return err
	}
	if c.JSON {
		if problems == nil {
			problems = []policy.Problem{}
		}
		err = printJSON(s, problems)
	} else {
		for _, p := range problems {
			s.printf("%s\n", oneLine(p.String()))
		}
		s.notef("%s\n", count(int64(len(problems)), "problem"))
	}
	if err == nil && len(problems) > 0 {
		return errProblems
	}
	return err
}

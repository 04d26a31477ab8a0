package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/policy"
)

// JudgeCmd is "watchward judge".
type JudgeCmd struct {
	Inventory string   `arg:"" placeholder:"FILE" help:"List of devices (CSV); - for standard input."`
	Body      string   `placeholder:"TYPE" help:"Whose devices they are, such as uk.central-department. \"watchward rules bodies\" lists the types."`
	Site      string   `enum:"sensitive,ordinary,undetermined" default:"undetermined" help:"Class of the sites, where the list has none: sensitive, ordinary or undetermined."`
	Network   string   `enum:"core,isolated,unknown" default:"unknown" help:"Network of the devices, where the list has none: core, isolated or unknown."`
	Purpose   []string `placeholder:"WORD" help:"What they serve, where the list does not say: none, public-safety, government-facilities, critical-infrastructure, national-security."`
	Date      moment   `placeholder:"DAY" help:"Day that is judged. Default: today."`
	Deployed  moment   `placeholder:"DAY" help:"When they were put there, where the list does not say. Default: not yet, so the question is whether they may be."`
	Stated    string   `enum:"identified,very-likely,hint" default:"identified" help:"How far the list's own word for a maker is relied on, where it has no confidence: identified, very-likely or hint."`
	Decisions string   `type:"existingfile" placeholder:"FILE" help:"Decisions on disputed makers (JSON, see docs/guide/judge.md)."`
	Rules     string   `type:"existingdir" placeholder:"DIR" help:"Judge by the instruments in this folder instead of our own."`
	All       bool     `help:"Show what asks nothing as well, and why not; in JSON all that is said of it."`
	Lang      string   `enum:"en,fr" default:"en" help:"Language of the texts: en or fr."`
	JSON      bool     `help:"Print JSON, one document." xor:"form"`
	CSV       bool     `name:"csv" help:"Print CSV, a row for each device and clause." xor:"form"`
	KnowledgeFlag
}

// Help is shown by --help.
func (JudgeCmd) Help() string {
	return `Says what each rule asks of each device: must, should, may, none or undetermined, with clause, day,
source, and what would change the answer. Needs no server and no network.

The first row of the list names its columns, in any order: brand or maker, and where there are any
name, model, confidence, kind, site, site_class, body, network, purposes, certificates, deployed,
address, mac, serial. A row that cannot be read is named with its line and why; the others are judged.
Not knowing never clears a device: it is undetermined, with what would settle it.

Examples

    watchward judge inventory.csv --body uk.central-department --site sensitive
    watchward judge inventory.csv --body uk.central-department --date 2022-11-23 --all
    watchward judge inventory.csv --body us.federal-contractor --purpose public-safety --json | jq '.devices[] | select(.broken)'

Exit codes: 0 no must is broken, 1 rows or the file could not be read, 3 a must is broken.`
}

// Run judges.
func (c *JudgeCmd) Run(ctx context.Context, s *streams) error {
	catalogue, err := c.catalogue()
	if err != nil {
		return err
	}
	texts, err := policy.LoadTexts()
	if err != nil {
		return err
	}
	o, err := c.options(catalogue)
	if err != nil {
		return err
	}
	in, err := openInput(s, c.Inventory)
	if err != nil {
		return err
	}
	defer in.Close()
	if _, ok := catalogue.Body(c.Body); !ok {
		c.noteBody(s, catalogue)
	}
	w := bufio.NewWriterSize(s.Out, 1<<16)
	j := &judged{cmd: c, catalogue: catalogue, cache: catalogue.NewCache(), texts: texts, on: o.On, out: c.printer(w, texts)}
	if err := j.out.begin(j); err != nil {
		return err
	}
	err = catalogue.ReadInventory(in, o, func(row policy.InventoryRow) {
		if ctx.Err() == nil {
			j.device(row)
		}
	}, func(e policy.RowError) {
		j.bad = append(j.bad, e)
		s.notef("watchward: %s: %s\n", oneLine(c.Inventory), oneLine(e.Error()))
	})
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = errors.Join(j.out.end(j), w.Flush())
	}
	switch {
	case err != nil:
		return err
	case j.totals.MustBroken > 0:
		return errProblems
	case len(j.bad) > 0:
		return withHint(fmt.Errorf("judge %q: %s could not be read and are not judged", c.Inventory, count(int64(len(j.bad)), "row")),
			"mend the lines named above; the other rows were judged")
	}
	return nil
}

func (c *JudgeCmd) catalogue() (*policy.Catalogue, error) {
	catalogue, err := loadRules(c.Rules, c.KnowledgeFlag)
	if err != nil || c.Decisions == "" {
		return catalogue, err
	}
	text, err := os.ReadFile(c.Decisions)
	if err != nil {
		return nil, fmt.Errorf("read decisions: %w", err)
	}
	decisions, err := policy.ParseDecisions(text)
	if err != nil {
		return nil, fmt.Errorf("read decisions %q: %w", c.Decisions, err)
	}
	return catalogue.WithDecisions(decisions), nil
}

func (c *JudgeCmd) options(catalogue *policy.Catalogue) (policy.InventoryOptions, error) {
	o := policy.InventoryOptions{
		Body: c.Body, SiteClass: policy.SiteClass(c.Site), Network: policy.Network(c.Network), Deployed: c.Deployed.Time, On: c.Date.Time,
		Stated: estate.Confidence(c.Stated),
	}
	if o.On.IsZero() {
		o.On = time.Now().UTC()
	}
	if c.Network == "unknown" {
		o.Network = policy.NetworkUnknown
	}
	if len(c.Purpose) > 0 {
		var err error
		if o.Purposes, err = catalogue.ParsePurposes(strings.Join(c.Purpose, ";")); err != nil {
			return o, usage("see \"watchward judge --help\"", "--purpose %w", err)
		}
	}
	return o, nil
}

// noteBody says what follows from a body that no rule knows.
func (c *JudgeCmd) noteBody(s *streams, catalogue *policy.Catalogue) {
	if c.Body == "" {
		s.notef("watchward: no --body given: whom a rule obliges is undetermined where the list does not say either\n")
	} else {
		s.notef("watchward: type of body %q is not known: whom a rule obliges is undetermined\n", oneLine(c.Body))
	}
	var ids []string
	for _, b := range catalogue.Bodies() {
		ids = append(ids, b.ID)
	}
	s.notef("watchward: hint: known types: %s\n", strings.Join(ids, ", "))
}

// openInput opens a file, or standard input.
func openInput(s *streams, name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(s.In), nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, withHint(fmt.Errorf("open inventory: %w", err), "give a CSV file, or - for standard input")
	}
	return f, nil
}

// judged is the work of one run.
type judged struct {
	cmd       *JudgeCmd
	catalogue *policy.Catalogue
	cache     *policy.Cache
	texts     *policy.Texts
	on        time.Time
	totals    judgedTotals
	bad       []policy.RowError
	out       judgedPrinter
	err       error
}

// judgedTotals counts devices by what is gravest for them.
type judgedTotals struct {
	Devices      int `json:"devices"`
	Must         int `json:"must"`
	MustBroken   int `json:"must_broken"`
	Should       int `json:"should"`
	Undetermined int `json:"undetermined"`
	May          int `json:"may"`
	None         int `json:"none"`
	BadRows      int `json:"bad_rows"`
}

// judgedPrinter writes the answers in one form.
type judgedPrinter interface {
	begin(*judged) error
	device(*judged, judgedDevice, []policy.Verdict) error
	end(*judged) error
}

// judgedDevice is one device in --json.
type judgedDevice struct {
	Line       int               `json:"line"`
	Name       string            `json:"name,omitempty"`
	Address    string            `json:"address,omitempty"`
	MAC        string            `json:"mac,omitempty"`
	Serial     string            `json:"serial,omitempty"`
	Brand      string            `json:"brand,omitempty"`
	Maker      string            `json:"maker,omitempty"`
	MakerName  string            `json:"maker_name,omitempty"`
	Basis      policy.Basis      `json:"maker_basis,omitempty"` // column, stated, badge, no-maker
	Confidence estate.Confidence `json:"confidence,omitempty"`
	Model      string            `json:"model,omitempty"`
	Kind       estate.Kind       `json:"kind,omitempty"`
	Site       string            `json:"site,omitempty"`
	SiteClass  policy.SiteClass  `json:"site_class"`
	Network    policy.Network    `json:"network,omitempty"`
	Body       string            `json:"body,omitempty"`
	Deployed   string            `json:"deployed,omitempty"`
	Force      policy.Force      `json:"force"`  // the gravest
	Broken     bool              `json:"broken"` // a must is broken
}

func (j *judged) device(row policy.InventoryRow) {
	verdicts := j.cache.Judge(row.Case)
	cs := row.Case
	d := judgedDevice{
		Line: row.Line, Name: row.Name, Address: row.Address, MAC: row.MAC, Serial: row.Serial, Brand: cs.Brand, Maker: cs.Maker,
		MakerName: j.catalogue.MakerName(cs.Maker), Basis: row.Basis, Confidence: cs.Confidence, Model: cs.Model, Kind: cs.Kind,
		Site: row.Site, SiteClass: cs.SiteClass, Network: cs.Network, Body: cs.Body, Force: policy.Gravest(verdicts),
		Broken: len(policy.Broken(verdicts, policy.Must)) > 0,
	}
	if !cs.Deployed.IsZero() {
		d.Deployed = cs.Deployed.Format(time.DateOnly)
	}
	j.totals.add(d)
	if j.err == nil {
		j.err = j.out.device(j, d, verdicts)
	}
}

func (t *judgedTotals) add(d judgedDevice) {
	t.Devices++
	if d.Broken {
		t.MustBroken++
	}
	switch d.Force {
	case policy.Must:
		t.Must++
	case policy.Should:
		t.Should++
	case policy.Undetermined:
		t.Undetermined++
	case policy.May:
		t.May++
	default:
		t.None++
	}
}

func (c *JudgeCmd) printer(w *bufio.Writer, texts *policy.Texts) judgedPrinter {
	switch {
	case c.JSON:
		return &judgedJSON{w: w, known: map[*policy.Verdict][]byte{}}
	case c.CSV:
		return &judgedCSV{w: csv.NewWriter(w)}
	}
	return &judgedTable{w: w}
}

// judgedJSON writes one document, device by device: a hundred thousand do not
// fit into memory with all that is said of them.
type judgedJSON struct {
	w     *bufio.Writer
	known map[*policy.Verdict][]byte // by the first of a shared list
	any   bool
}

// judgedVerdict is one verdict in --json: codes for programs, words for people.
type judgedVerdict struct {
	policy.Verdict
	WhyText    []string `json:"why_text"`
	ChangeText []string `json:"would_change_text,omitempty"`
}

func (p *judgedJSON) begin(j *judged) error {
	head, err := json.Marshal(struct {
		Catalogue string `json:"catalogue"`
		Makers    string `json:"makers"`
		Date      string `json:"date"`
	}{j.catalogue.Version(), j.catalogue.MakersVersion(), j.on.Format(time.DateOnly)})
	if err != nil {
		return err
	}
	fmt.Fprintf(p.w, "%s,\n\"devices\":[", head[:len(head)-1])
	return nil
}

func (p *judgedJSON) device(j *judged, d judgedDevice, verdicts []policy.Verdict) error {
	head, err := json.Marshal(d)
	if err != nil {
		return err
	}
	list, err := p.verdicts(j, verdicts)
	if err != nil {
		return err
	}
	if p.any {
		p.w.WriteByte(',')
	}
	p.any = true
	fmt.Fprintf(p.w, "\n%s,\"verdicts\":", head[:len(head)-1])
	p.w.Write(list)
	return p.w.WriteByte('}')
}

func (p *judgedJSON) verdicts(j *judged, verdicts []policy.Verdict) ([]byte, error) {
	if len(verdicts) == 0 {
		return []byte("[]"), nil
	}
	if text, ok := p.known[&verdicts[0]]; ok {
		return text, nil
	}
	if len(p.known) > 10_000 {
		clear(p.known)
	}
	var list []judgedVerdict
	for _, v := range verdicts {
		if v.Force == policy.None && !j.cmd.All {
			v = telling(v) // most verdicts ask nothing: of those, why not is enough
			v.WouldChange = nil
		}
		list = append(list, judgedVerdict{v, j.reasons(v), j.changes(v)})
	}
	text, err := json.Marshal(list)
	p.known[&verdicts[0]] = text
	return text, err
}

func (p *judgedJSON) end(j *judged) error {
	j.totals.BadRows = len(j.bad)
	bad := j.bad
	if bad == nil {
		bad = []policy.RowError{}
	}
	tail, err := json.Marshal(struct {
		Bad    []policy.RowError `json:"bad_rows"`
		Totals judgedTotals      `json:"totals"`
	}{bad, j.totals})
	if err != nil {
		return err
	}
	fmt.Fprintf(p.w, "\n],\n%s\n", tail[1:])
	return j.err
}

func (j *judged) reasons(v policy.Verdict) []string {
	var out []string
	for _, r := range v.Why {
		out = append(out, j.texts.Reason(r, j.cmd.Lang))
	}
	return out
}

func (j *judged) changes(v policy.Verdict) []string {
	var out []string
	for _, c := range v.WouldChange {
		if c.Code == "give-body" {
			// All types at each clause would hide everything else; they are said once.
			c.Args = map[string]string{"known": "watchward rules bodies"}
		}
		out = append(out, j.texts.Change(c, j.cmd.Lang))
	}
	return out
}

// judgedCSV writes a row for each device and clause, also of those that ask
// nothing: an auditor wants to see that they were asked.
type judgedCSV struct{ w *csv.Writer }

func (p *judgedCSV) begin(*judged) error {
	return p.w.Write([]string{
		"line", "name", "address", "brand", "maker", "confidence", "site", "site_class", "body", "restriction", "clause",
		"force", "broken", "action", "since", "due", "source", "why", "would_change",
	})
}

func (p *judgedCSV) device(j *judged, d judgedDevice, verdicts []policy.Verdict) error {
	for _, v := range verdicts {
		due := ""
		if !v.Due.IsZero() {
			due = v.Due.Format(time.DateOnly)
		}
		err := p.w.Write([]string{
			strconv.Itoa(d.Line), sheetCell(d.Name), sheetCell(d.Address), sheetCell(d.Brand), d.Maker, string(d.Confidence), sheetCell(d.Site), string(d.SiteClass), sheetCell(d.Body),
			v.Restriction, v.Clause, string(v.Force), strconv.FormatBool(v.Broken), string(v.Action), v.Since.Format(time.DateOnly), due,
			v.Source, sheetCell(strings.Join(j.reasons(v), "; ")), sheetCell(strings.Join(j.changes(v), "; ")),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *judgedCSV) end(j *judged) error {
	p.w.Flush()
	return errors.Join(j.err, p.w.Error())
}

// sheetCell keeps what a device or a list says from being a formula in somebody's
// spreadsheet.
func sheetCell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

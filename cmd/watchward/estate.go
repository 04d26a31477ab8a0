package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/watchward/watchward/internal/db"
	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/estate/exchange"
	"github.com/watchward/watchward/internal/policy"
)

// EstateCmd is "watchward estate".
type EstateCmd struct {
	List   EstateListCmd   `cmd:"" help:"List devices."`
	Import EstateImportCmd `cmd:"" help:"Take in devices from a file."`
	Export EstateExportCmd `cmd:"" help:"Write devices for another program."`
}

// FilterFlags narrow a list of devices.
type FilterFlags struct {
	Site         string `placeholder:"ID" help:"Only devices of this site."`
	Organisation string `placeholder:"ID" help:"Only devices of this organisation and those below it."`
	State        string `placeholder:"STATE" enum:",proposed,adopted,removed" default:"" help:"Only devices that are proposed, adopted or removed. Default: all but removed."`
	Maker        string `placeholder:"ID" help:"Only devices of this maker; - is those of unknown maker."`
	Text         string `placeholder:"WORDS" help:"Only devices with these words in name, address or number."`
}

func (f FilterFlags) filter() estate.Filter {
	return estate.Filter{Site: f.Site, Organisation: f.Organisation, State: estate.State(f.State), Maker: f.Maker, Text: f.Text}
}

// openedEstate is the estate of a data folder, with the rules at its gate.
type openedEstate struct {
	*estate.Estate
	book *policy.Book
	rule *policy.Catalogue
	db   *db.DB
}

// openEstate opens the estate of a data folder that is there; with begin, it
// may be empty still. A running server does not mind.
func (d DataFlag) openEstate(ctx context.Context, begin bool) (_ *openedEstate, err error) {
	f := dataFolder(d.Data)
	if f == "" {
		f = dataFolder(DefaultConfig().Data)
	}
	needed := f.path("watchward.db")
	if begin {
		needed = string(f)
	}
	if _, err := os.Stat(needed); err != nil {
		return nil, withHint(fmt.Errorf("open estate: %w", err), "give the folder that run was given with --data; import begins an estate in an empty folder")
	}
	secret, err := estate.LoadKey(f.path("server.key"))
	if err != nil {
		return nil, err
	}
	o := &openedEstate{}
	if o.db, err = db.Open(ctx, f.path("watchward.db")); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, o.db.Close())
		}
	}()
	if o.Estate, err = estate.Open(ctx, estate.Options{DB: o.db, Key: secret}); err != nil {
		return nil, err
	}
	if o.rule, err = policy.Load(); err != nil {
		return nil, err
	}
	key, err := policy.WaiverKey(secret)
	if err != nil {
		return nil, err
	}
	if o.book, err = policy.Open(ctx, policy.Options{DB: o.db, Estate: o.Estate, Catalogue: o.rule, Key: key}); err != nil {
		return nil, err
	}
	o.SetGate(o.book)
	return o, nil
}

// EstateListCmd is "watchward estate list".
type EstateListCmd struct {
	DataFlag
	FilterFlags
	JSON bool `help:"Print JSON, one device a line."`
}

// Run lists devices.
func (c *EstateListCmd) Run(ctx context.Context, s *streams) (err error) {
	e, err := c.openEstate(ctx, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.db.Close()) }()
	table := tabwriter.NewWriter(s.Out, 0, 0, 2, ' ', 0)
	out := json.NewEncoder(s.Out)
	if !c.JSON {
		fmt.Fprintln(table, "ID\tSITE\tNAME\tADDRESS\tBADGE\tMAKER\tCONFIDENCE\tSTATE")
	}
	for d, err := range e.All(ctx, c.filter()) {
		if err != nil {
			return err
		}
		if c.JSON {
			if err := out.Encode(d); err != nil {
				return err
			}
			continue
		}
		i := d.Identification
		row := []string{string(d.ID), d.Site, d.Name, firstAddress(d), i.Brand, i.Maker, string(i.Confidence), string(d.State)}
		for k, cell := range row {
			if row[k] = oneLine(cell); row[k] == "" {
				row[k] = "-"
			}
		}
		fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	return table.Flush()
}

func firstAddress(d estate.Device) string {
	if len(d.Addresses) == 0 {
		return d.Hostname
	}
	return d.Addresses[0].String()
}

// EstateImportCmd is "watchward estate import".
type EstateImportCmd struct {
	File string `arg:"" help:"File to read; - is standard input."`
	DataFlag
	Format   string `placeholder:"FORMAT" enum:",csv,json,netbox" default:"" help:"Format: csv, json (Watchward's own) or netbox. Default: what the file looks like."`
	DryRun   bool   `help:"Say what would happen; change nothing."`
	KeepGood bool   `help:"Take the lines that are right though others are wrong. Default: all or nothing."`
	By       string `placeholder:"NAME" help:"Who imports, for the history. Default: the name of the login."`
}

// Help is shown by --help.
func (EstateImportCmd) Help() string {
	return `Columns and formats: docs/reference/estate.md. Devices that are known by MAC
address, serial number or certificate are updated, others become proposals; those
that the file says are adopted are adopted if no rule forbids it. Each line that is
wrong is named with why, and then nothing is changed (exit code 3), unless
--keep-good.`
}

// Run imports.
func (c *EstateImportCmd) Run(ctx context.Context, s *streams) (err error) {
	body, err := c.read(s.In)
	if err != nil {
		return err
	}
	inv, bad, err := exchange.Read(body, exchange.Format(c.Format))
	if err != nil {
		return withHint(fmt.Errorf("import %q: %w", c.File, err), "say what it is with --format csv, json or netbox")
	}
	e, err := c.openEstate(ctx, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.db.Close()) }()
	// What cannot be read is wrong as well: then the rest is only tried.
	how := estate.Import{By: c.who(), Source: filepath.Base(c.File), KeepGood: c.KeepGood, DryRun: c.DryRun || len(bad) > 0 && !c.KeepGood}
	report, err := e.ImportInventory(ctx, inv, how)
	if err != nil {
		return err
	}
	return c.tell(s, report, bad)
}

func (c *EstateImportCmd) read(in io.Reader) ([]byte, error) {
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	body, err := io.ReadAll(io.LimitReader(in, exchange.MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", c.File, err)
	}
	return body, nil
}

func (c *EstateImportCmd) who() string {
	if c.By != "" {
		return c.By
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "command line"
}

func (c *EstateImportCmd) tell(s *streams, r estate.DeviceReport, unread []estate.LineError) error {
	bad := append(unread, r.Errors...)
	for _, l := range bad {
		s.notef("%s\n", oneLine(l.Error()))
	}
	verb := "imported"
	switch {
	case c.DryRun:
		verb = "would import"
	case !r.Done:
		verb = "nothing imported; right were"
	}
	s.printf("%s: %s new, %d changed, %d the same; %s and %s new\n", verb, count(int64(r.Added), "device"), r.Updated, r.Same, count(int64(r.Sites), "site"), count(int64(r.Organisations), "organisation"))
	if r.Links > 0 {
		s.notef("%d of the new devices may be ones that are known: see their pages\n", r.Links)
	}
	if len(bad) == 0 {
		return nil
	}
	wrong := "lines are"
	if len(bad) == 1 {
		wrong = "line is"
	}
	s.notef("%d %s wrong\n", len(bad), wrong)
	if !c.KeepGood {
		s.notef("mend them, or take the others with --keep-good\n")
	}
	return errProblems
}

// EstateExportCmd is "watchward estate export".
type EstateExportCmd struct {
	DataFlag
	Format string `required:"" enum:"csv,json,netbox,cyclonedx,oscal" help:"Format: csv, json (Watchward's own, which import takes back exactly), netbox (its bulk import), cyclonedx (1.6, for Dependency-Track) or oscal (assessment results)."`
	FilterFlags
	Removed bool `help:"Removed devices too. The format json always has them."`
}

// Run exports.
func (c *EstateExportCmd) Run(ctx context.Context, s *streams) (err error) {
	e, err := c.openEstate(ctx, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.db.Close()) }()
	f := c.filter()
	format := exchange.Format(c.Format)
	f.WithRemoved = c.Removed || format == exchange.JSON
	source, err := exchange.Of(ctx, e.Estate, f, readVersion().Version, time.Now())
	if err != nil {
		return err
	}
	switch format {
	case exchange.CSV:
		return exchange.WriteCSV(s.Out, source)
	case exchange.JSON:
		return exchange.WriteJSON(ctx, s.Out, source)
	case exchange.NetBox:
		return exchange.WriteNetBox(s.Out, source)
	case exchange.CycloneDX:
		return exchange.WriteCycloneDX(s.Out, source)
	}
	findings, err := e.findings(ctx, f)
	if err != nil {
		return err
	}
	return exchange.WriteOSCAL(s.Out, source, findings)
}

// findings brings the book in step and returns what it finds of the devices
// that a filter takes.
func (e *openedEstate) findings(ctx context.Context, f estate.Filter) ([]exchange.Finding, error) {
	if _, err := e.book.Refresh(ctx); err != nil {
		return nil, err
	}
	texts, err := policy.LoadTexts()
	if err != nil {
		return nil, err
	}
	wanted := map[string]bool{}
	for d, err := range e.All(ctx, f) {
		if err != nil {
			return nil, err
		}
		wanted[string(d.ID)] = true
	}
	all, err := e.book.Findings(ctx, policy.FindingFilter{All: true})
	if err != nil {
		return nil, err
	}
	var found []exchange.Finding
	for _, x := range all {
		if !wanted[x.Device] {
			continue
		}
		var why []string
		for _, r := range x.Because {
			why = append(why, texts.Reason(r, "en"))
		}
		out := exchange.Finding{
			ID: x.ID, Device: estate.DeviceID(x.Device), Rule: x.Restriction, Clause: x.Clause, Force: string(x.Force), Status: string(x.State),
			Why: strings.Join(why, " "), Since: x.Opened, Due: x.Due,
		}
		if r, ok := e.rule.Restriction(x.Restriction); ok {
			out.Title, out.Source = r.Title.In("en"), strings.TrimSpace(r.Source.Name+" "+r.Source.URL)
		}
		found = append(found, out)
	}
	return found, nil
}

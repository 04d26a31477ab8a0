package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/discover"
	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/identify"
)

// ScanCmd is "watchward scan".
type ScanCmd struct {
	Ranges       []string      `arg:"" optional:"" placeholder:"RANGE" help:"Addresses to ask: 10.0.0.0/24, 10.0.0.1-10.0.0.99, 10.0.0.1-99, one address, or IPv6. Nothing else is asked."`
	From         []string      `placeholder:"FILE" help:"Read what another program found instead of asking the network: nmap's XML, CSV, NetBox's JSON, a table of hardware addresses, or the log of a scan; - for standard input."`
	Rate         int           `default:"50" placeholder:"N" help:"Packets and attempts to connect a second, at most, for each range."`
	Ports        []int         `placeholder:"PORT" help:"TCP ports to ask. Default: 80, 554, 443, 8080, 8554, 8899, 2020, 8000, 37777, 34567, 9000."`
	Timeout      time.Duration `default:"1500ms" placeholder:"DURATION" help:"How long an address may take to answer."`
	MaxAddresses int           `default:"65536" placeholder:"N" help:"Refuse ranges that hold more addresses than this."`
	Interface    []string      `placeholder:"NAME" help:"Send multicast only by these interfaces. Default: those in whose network a range lies."`
	NoMulticast  bool          `help:"Send no multicast."`
	Log          string        `placeholder:"FILE" type:"path" help:"Where what was asked and found is kept. Default: a file of its own in ~/.local/state/watchward/scans."`
	Resume       string        `placeholder:"FILE" type:"existingfile" help:"Go on with the scan whose log this is."`
	Why          string        `placeholder:"ADDRESS" help:"Show for this address the whole chain, from what was seen to what was concluded."`
	JSON         bool          `help:"Print JSON, a line for each device." xor:"form"`
	CSV          bool          `name:"csv" help:"Print CSV, a row for each device." xor:"form"`
	KnowledgeFlag
}

// Help is shown by --help.
func (ScanCmd) Help() string {
	return `Asks only the addresses you name, reads only, tries no password and changes nothing. Scan networks that
are yours, or whose owner allows it. Each scan keeps a log: who, where, when, how fast, what was sent, what was
found. Ctrl-C stops one; --resume goes on with it.

Examples

    watchward scan 10.20.0.0/24
    watchward scan 10.20.0.0/24 10.21.0.1-99 --csv > devices.csv
    watchward scan --from nmap.xml --json
    watchward scan --from LOG --why 10.20.0.7
    watchward scan --resume LOG

Exit codes: 0 done, 1 stopped, or rows of a file could not be read.`
}

// scanning is one run of the command.
type scanning struct {
	cmd    *ScanCmd
	s      *streams
	engine *identify.Engine
	why    func(discover.Found) bool // nil without --why
	shown  int
	print  func(discover.Found, estate.Identification) error
	log    *scanLog
	err    error
}

// Run scans or imports, and prints as it goes.
func (c *ScanCmd) Run(ctx context.Context, s *streams) error {
	r := &scanning{cmd: c, s: s}
	var err error
	if r.engine, err = c.engine(); err != nil {
		return err
	}
	if c.Why != "" {
		if r.why = whose(c.Why); r.why == nil {
			return usage("give one address, such as 10.0.0.7, or a hardware address", "--why %q: no address", c.Why)
		}
	}
	switch {
	case len(c.From) > 0 && (len(c.Ranges) > 0 || c.Resume != ""):
		return usage("give files with --from, or ranges, not both", "files and ranges at once")
	case len(c.Ranges) > 0 && c.Resume != "":
		return usage("--resume knows the ranges of its scan", "ranges and --resume at once")
	case len(c.From) == 0 && len(c.Ranges) == 0 && c.Resume == "":
		return usage("for example: watchward scan 10.0.0.0/24", "which addresses? None is asked that you do not name")
	case c.Rate < 1 || c.Rate > 100_000:
		return usage("see \"watchward scan --help\"", "--rate %d: want 1 to 100000 a second", c.Rate)
	}
	if err := r.begin(); err != nil {
		return err
	}
	if len(c.From) > 0 {
		err = r.imported()
	} else {
		err = r.scan(ctx)
	}
	if err = errors.Join(r.err, err); err == nil && r.why != nil && r.shown == 0 {
		return withHint(fmt.Errorf("nothing is known of %s", c.Why), "it did not answer, or is in none of the ranges or files")
	}
	return err
}

// whose says by which address a device is meant, its own or its hardware's; nil
// for neither.
func whose(text string) func(discover.Found) bool {
	if a, err := netip.ParseAddr(text); err == nil {
		return func(f discover.Found) bool { return f.Address == a.Unmap() }
	}
	mac, err := net.ParseMAC(text)
	if err != nil {
		return nil
	}
	return func(f discover.Found) bool {
		return slices.ContainsFunc(f.MACs, func(m string) bool { return strings.EqualFold(m, mac.String()) })
	}
}

func (r *scanning) imported() error {
	bad := 0
	for _, name := range r.cmd.From {
		err := r.importFile(name, func(e discover.RowError) {
			bad++
			r.s.notef("watchward: %s: %s\n", oneLine(name), oneLine(e.Error()))
		})
		if err != nil {
			return err
		}
	}
	if bad > 0 {
		return withHint(fmt.Errorf("%s could not be read", count(int64(bad), "row")), "mend the lines named above; the others were taken")
	}
	return nil
}

// importFile reads what was found before: the log of a scan, known by how it
// begins, or what another program wrote.
func (r *scanning) importFile(name string, bad func(discover.RowError)) error {
	in := r.s.In
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return withHint(fmt.Errorf("read what was found: %w", err), "give the file of another program or the log of a scan, or - for standard input")
		}
		defer f.Close()
		in = f
	}
	buffered := bufio.NewReader(in)
	head, _ := buffered.Peek(10) // what cannot be read fails below
	if !strings.HasPrefix(string(head), `{"record":`) && !strings.HasPrefix(string(head), `{"found":`) {
		return discover.Import(buffered, filepath.Base(name), time.Now(), r.show, bad)
	}
	last, err := readScanLog(buffered, r.show)
	if err == nil && last == nil {
		err = fmt.Errorf("read what was found: log %q: nothing in it says how far the scan was", name)
	}
	return err
}

// scan asks the network.
func (r *scanning) scan(ctx context.Context) error {
	c := r.cmd
	o := discover.Options{
		Rate: c.Rate, Ports: c.Ports, Timeout: c.Timeout, Interfaces: c.Interface, NoMulticast: c.NoMulticast, By: whoami(),
	}
	for _, p := range c.Ports {
		if p < 1 || p > 65535 {
			return usage("ports are 1 to 65535", "--ports %d", p)
		}
	}
	texts := c.Ranges
	if c.Resume != "" {
		old, err := r.resumed()
		if err != nil {
			return err
		}
		texts, o.Rate, o.Ports, o.Resume = old.Ranges, old.Rate, old.Ports, old
	}
	var err error
	if o.Ranges, err = discover.ParseRanges(texts, c.MaxAddresses); err != nil {
		return err
	}
	if r.log, err = openScanLog(either(c.Resume, c.Log)); err != nil {
		return err
	}
	progress := &scanProgress{s: r.s, live: isTerminal(r.s.Err)}
	o.Record = func(rec discover.Record) {
		r.err = errors.Join(r.err, r.log.write(logLine{Record: &rec}))
		progress.tell(rec)
	}
	err = discover.Scan(ctx, o, func(f discover.Found) {
		progress.clear()
		r.err = errors.Join(r.err, r.log.write(logFound(f)))
		r.show(f)
	})
	progress.clear()
	r.err = errors.Join(r.err, r.log.close())
	if errors.Is(err, context.Canceled) {
		r.s.notef("watchward: stopped; go on with: watchward scan --resume %s\n", r.log.name)
		return err
	}
	if err == nil {
		if trouble := progress.r.Trouble; trouble != "" {
			r.s.notef("watchward: %s\n", oneLine(trouble))
		}
		r.s.notef("watchward: %s\nwatchward: kept in %s\n", progress.last(), r.log.name)
	}
	return err
}

// resumed reads the log of a scan that stopped and shows what it had found.
func (r *scanning) resumed() (*discover.Record, error) {
	f, err := os.Open(r.cmd.Resume)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var before []discover.Found
	old, err := readScanLog(f, func(f discover.Found) { before = append(before, f) })
	switch {
	case err != nil:
		return nil, err
	case old == nil:
		return nil, withHint(fmt.Errorf("resume %q: not the log of a scan", r.cmd.Resume), "a scan that is stopped says how to go on")
	case old.State == estate.ScanDone:
		return nil, withHint(fmt.Errorf("resume %q: that scan came to its end", r.cmd.Resume), "show it with --from, or scan its ranges anew")
	}
	for _, f := range before {
		r.show(f)
	}
	return old, nil
}

func whoami() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// begin chooses how devices are printed.
func (r *scanning) begin() error {
	switch {
	case r.why != nil && !r.cmd.JSON && !r.cmd.CSV:
		r.print = r.chain
	case r.cmd.JSON:
		r.print = r.json
	case r.cmd.CSV:
		w := csv.NewWriter(r.s.Out)
		if err := w.Write([]string{"address", "mac", "hostname", "brand", "maker", "model", "firmware", "serial", "kind", "confidence", "because"}); err != nil {
			return err
		}
		r.print = func(f discover.Found, id estate.Identification) error {
			row := []string{
				addressOf(f), strings.Join(f.MACs, " "), f.Hostname, id.Brand, id.Maker, id.Model, id.Firmware, id.Serial,
				string(id.Kind), string(id.Confidence), because(id, 3),
			}
			for i := range row {
				row[i] = sheetCell(oneLine(row[i]))
			}
			if err := w.Write(row); err != nil {
				return err
			}
			w.Flush()
			return w.Error()
		}
	default:
		r.print = r.row
	}
	return nil
}

func addressOf(f discover.Found) string {
	if f.Address.IsValid() {
		return f.Address.String()
	}
	return strings.Join(f.MACs, " ")
}

// show identifies a device and prints it.
func (r *scanning) show(f discover.Found) {
	if r.err != nil || r.why != nil && !r.why(f) {
		return
	}
	r.shown++
	r.err = r.print(f, r.engine.From(f.Evidence, time.Time{}))
}

// column fits a text into a column.
func column(s string, width int) string {
	s = oneLine(s)
	if s == "" {
		s = "–"
	}
	runes := []rune(s)
	if len(runes) > width {
		return string(runes[:width-1]) + "…"
	}
	return s + strings.Repeat(" ", width-len(runes))
}

func (r *scanning) row(f discover.Found, id estate.Identification) error {
	write := func(address, badge, maker, model, confidence, why string) error {
		_, err := fmt.Fprintf(r.s.Out, "%s  %s  %s  %s  %s  %s\n", column(address, 15), column(badge, 12), column(maker, 12), column(model, 22), column(confidence, 11), strings.TrimRight(column(why, 90), " "))
		return err
	}
	if r.shown == 1 {
		if err := write("address", "badge", "real maker", "model", "confidence", "because"); err != nil {
			return err
		}
	}
	maker := id.MakerName
	if maker == "" {
		maker = id.Maker
	}
	return write(addressOf(f), id.Brand, maker, id.Model, string(id.Confidence), because(id, 2))
}

// because says in short what a conclusion rests on: each reason once, however
// often it was seen.
func because(id estate.Identification, most int) string {
	var words []string
	for _, why := range id.Because {
		if word := fmt.Sprintf("%s (%s)", why.Fingerprint, why.Grade); !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	if more := len(words) - most; more > 0 {
		words = append(words[:most], fmt.Sprintf("and %d more", more))
	}
	if len(id.Conflicts) > 0 {
		words = append(words, fmt.Sprintf("but %s", id.Conflicts[0].Fingerprint))
	}
	return strings.Join(words, ", ")
}

func (r *scanning) json(f discover.Found, id estate.Identification) error {
	line := struct {
		discover.Found
		Identification estate.Identification `json:"identification"`
	}{f, id}
	out := json.NewEncoder(r.s.Out)
	out.SetEscapeHTML(false) // much of the evidence is XML
	return out.Encode(line)
}

// chain prints everything about one device: the conclusion, its reasons, and
// what each rests on.
func (r *scanning) chain(f discover.Found, id estate.Identification) error {
	p := func(format string, args ...any) { r.s.printf(format+"\n", args...) }
	p("%s", addressOf(f))
	maker := "maker not known"
	if id.MakerName != "" {
		maker = fmt.Sprintf("made by %s (%s)", id.MakerName, id.Confidence)
	}
	p("  concluded   %s, %s", either(oneLine(id.Brand), "no badge"), maker)
	for _, v := range [][2]string{{"model", id.Model}, {"firmware", id.Firmware}, {"serial", id.Serial}, {"kind", string(id.Kind)}, {"hardware", strings.Join(f.MACs, " ")}, {"certificate", f.CertSHA256}} {
		if v[1] != "" {
			p("  %-11s %s", v[0], oneLine(v[1]))
		}
	}
	p("  with        %s", id.Data)
	if f.Partial != "" {
		p("  in part     %s", f.Partial)
	}
	reasons := map[string][]string{}
	for _, list := range []struct {
		word string
		of   []estate.Reason
	}{{"", id.Because}, {"against: ", id.Conflicts}} {
		for _, why := range list.of {
			reasons[why.Evidence] = append(reasons[why.Evidence], fmt.Sprintf("%s%s says %s (grade %s, %s): %s", list.word, why.Fingerprint, either(either(why.Maker, why.Brand), "nothing of a maker"), why.Grade, why.Family, oneLine(why.Saw)))
		}
	}
	p("  seen")
	for _, e := range f.Evidence {
		p("    %-4s %s %s", e.ID, e.Kind, place(e))
		for _, text := range reasons[e.ID] {
			p("         → %s", text)
		}
		n := 0
		for line := range strings.Lines(strings.ToValidUTF8(e.Value, "?")) {
			if n++; n > 12 {
				p("         | … %d bytes in all; --json shows them", len(e.Value))
				break
			}
			p("         | %s", strings.TrimRight(column(strings.TrimRight(line, "\r\n"), 140), " "))
		}
	}
	return nil
}

func place(e estate.Evidence) string {
	if e.Port == 0 {
		return "from " + oneLine(e.Source)
	}
	return fmt.Sprintf("at port %d, %s", e.Port, e.At.Format(time.RFC3339))
}

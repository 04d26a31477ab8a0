package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/identify"
	"github.com/watchward/watchward/internal/identify/makers"
	"github.com/watchward/watchward/internal/identify/samples"
)

// IdentifyCmd is "watchward identify".
type IdentifyCmd struct {
	File    string    `arg:"" optional:"" placeholder:"FILE" help:"What a device answered; \"-\" or nothing is standard input."`
	Kind    string    `help:"What it is: rtsp-response, http-response, onvif-getdeviceinformation, mac, … (see docs/reference/identify.md)."`
	Samples string    `placeholder:"INDEX.csv" help:"Identify each row of a table with the columns id, file and protocol; a line of JSON each."`
	Date    time.Time `format:"2006-01-02" help:"Brands and owners as they were on this day. Default: all that is known."`
	JSON    bool      `help:"Print JSON."`
	KnowledgeFlag
}

// Help is shown by --help.
func (IdentifyCmd) Help() string {
	return `Says who made a device, from what it answered, with every reason. Asks no network: what is not in the
file counts for nothing. "unknown" is an answer.

Examples

    watchward identify answer.txt --kind rtsp-response
    curl -si http://192.0.2.10/ | watchward identify --kind http-response
    echo 44:19:b6:00:00:01 | watchward identify --kind mac --json
    watchward identify --samples samples/index.csv | jq -r 'select(.confidence=="identified").maker'`
}

// Run identifies one thing, or a table of them.
func (c *IdentifyCmd) Run(s *streams) error {
	engine, err := c.engine()
	if err != nil {
		return err
	}
	if c.Samples != "" {
		if c.File != "" || c.Kind != "" {
			return usage("give --samples alone, or a FILE with --kind", "a table and a file at once")
		}
		return c.table(s, engine)
	}
	if c.Kind == "" {
		return usage("name it with --kind, such as rtsp-response; docs/reference/identify.md lists them", "what kind of answer is it?")
	}
	if !slices.Contains(identify.Kinds(), c.Kind) {
		s.notef("kind %q is none that is read by its form, so the answer is searched as text; docs/reference/identify.md lists them\n", oneLine(c.Kind))
	}
	value, err := c.read(s)
	if err != nil {
		return err
	}
	if strings.TrimSpace(value) == "" {
		return withHint(fmt.Errorf("read answer: it is empty"), "give what the device answered")
	}
	id := engine.From([]estate.Evidence{{ID: "1", Kind: c.Kind, Value: value, Source: "file"}}, c.Date)
	if c.JSON {
		return printJSON(s, id)
	}
	printIdentification(s, engine.Data().Makers, id)
	return nil
}

// maxAnswer bounds what is read of an answer; an engine looks at less.
const maxAnswer = 1 << 20

func (c *IdentifyCmd) read(s *streams) (string, error) {
	in := s.In
	if c.File != "" && c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return "", fmt.Errorf("read answer: %w", err)
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxAnswer))
	if err != nil {
		return "", fmt.Errorf("read answer: %w", err)
	}
	return string(text), nil
}

// sampleLine is what --samples prints of each row.
type sampleLine struct {
	ID         string            `json:"id"`
	Brand      string            `json:"brand"`
	Maker      string            `json:"maker"` // short name, or "unknown"
	Confidence estate.Confidence `json:"confidence"`
	BadgeOnly  bool              `json:"badge_only"`
	Because    []estate.Reason   `json:"because"`
	Conflicts  []estate.Reason   `json:"conflicts,omitempty"`
	Data       string            `json:"data"`
}

// table prints a line for each row that can be read, names the others, and goes
// on.
func (c *IdentifyCmd) table(s *streams, engine *identify.Engine) error {
	out := json.NewEncoder(s.Out)
	out.SetEscapeHTML(false)
	bad := 0
	dir, name := filepath.Split(c.Samples)
	if dir == "" {
		dir = "."
	}
	err := samples.Read(os.DirFS(dir), name, func(sample samples.Sample, err error) error {
		if err != nil {
			bad++
			s.notef("%s: %s\n", oneLine(c.Samples), oneLine(err.Error()))
			return nil
		}
		id := engine.From([]estate.Evidence{sample.Evidence}, c.Date)
		line := sampleLine{ID: sample.ID, Brand: id.Brand, Maker: id.MakerName, Confidence: id.Confidence, BadgeOnly: id.BadgeOnly, Because: id.Because, Conflicts: id.Conflicts, Data: id.Data}
		if line.Maker == "" {
			line.Maker = "unknown"
		}
		return out.Encode(line)
	})
	if err != nil {
		return withHint(err, "the index is a CSV file with the columns id, file and protocol; the files lie beside it")
	}
	if bad > 0 {
		s.notef("%d rows could not be read\n", bad)
		return errProblems
	}
	return nil
}

// printIdentification tells a person.
func printIdentification(s *streams, graph *makers.Graph, id estate.Identification) {
	switch m, known := graph.Maker(id.Maker); {
	case !known && len(id.Conflicts) > 0:
		s.printf("unknown: the reasons contradict each other\n")
	case !known:
		s.printf("unknown\n")
	case id.BadgeOnly:
		s.printf("perhaps made by %s: %s, by the badge's word alone\n", m, id.Confidence)
	default:
		s.printf("made by %s: %s\n", m, id.Confidence)
	}
	for _, field := range []struct{ name, value string }{{"sold as", id.Brand}, {"kind", string(id.Kind)}, {"model", id.Model}, {"firmware", id.Firmware}, {"serial", id.Serial}} {
		if field.value != "" {
			s.printf("%-9s %s\n", field.name, field.value)
		}
	}
	printReasons(s, "because", id.Because)
	printReasons(s, "against", id.Conflicts)
	s.printf("\ndata: %s\n", id.Data)
}

func printReasons(s *streams, head string, reasons []estate.Reason) {
	if len(reasons) == 0 {
		return
	}
	s.printf("\n%s\n", head)
	w := tabwriter.NewWriter(s.Out, 0, 0, 2, ' ', 0)
	for _, r := range reasons {
		fmt.Fprintf(w, "  %s\t%s\t%s\t%q\t%s\n", r.Grade, r.Family, r.Fingerprint, r.Saw, r.Source)
	}
	_ = w.Flush() // to streams that report nothing
}

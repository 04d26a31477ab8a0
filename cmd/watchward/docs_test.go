package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/watchward/watchward/internal/db"
	"github.com/watchward/watchward/internal/estate"
)

var update = flag.Bool("update", false, "write docs/reference/cli.md anew")

const cliPage = "../../docs/reference/cli.md"

// TestCommandPage keeps docs/reference/cli.md in step with the flags.
func TestCommandPage(t *testing.T) {
	var cli CLI
	parser, err := newParser(t.Context(), &cli, &streams{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	want := commandPage(parser.Model)
	if *update {
		if err := os.WriteFile(cliPage, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(cliPage)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("docs/reference/cli.md does not say what the flags are: run \"go test ./cmd/watchward -run TestCommandPage -update\" and read the difference")
	}
}

// TestConfigPage wants every field of the configuration on its page.
func TestConfigPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/reference/config.md")
	if err != nil {
		t.Fatal(err)
	}
	eachField(reflect.TypeFor[Config](), "", func(name string) {
		if !bytes.Contains(page, []byte("`"+name+"`")) {
			t.Errorf("docs/reference/config.md does not name `%s`", name)
		}
	})
}

func eachField(t reflect.Type, prefix string, do func(name string)) {
	for f := range t.Fields() {
		name := prefix + f.Tag.Get("json")
		if f.Type.Kind() == reflect.Struct {
			eachField(f.Type, name+".", do)
			continue
		}
		do(name)
	}
}

// TestExamples reads what the examples give people to copy.
func TestExamples(t *testing.T) {
	const dir = "../../examples/one-site/"
	c, err := LoadConfig(dir + "watchward.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	database, err := db.Open(t.Context(), filepath.Join(t.TempDir(), "watchward.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer database.Close()
	e, err := estate.Open(t.Context(), estate.Options{DB: database, Key: make([]byte, 32), Gate: estate.NoRules{}})
	if err != nil {
		t.Fatal(err)
	}
	cameras, err := os.Open(dir + "cameras.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer cameras.Close()
	report, err := e.ImportCSV(t.Context(), cameras)
	if err != nil || len(report.Errors) > 0 || len(report.Added) != 2 {
		t.Errorf("import cameras.csv: added %d, errors %v, %v", len(report.Added), report.Errors, err)
	}
}

// commandPage writes the page from the parser's model.
func commandPage(app *kong.Application) []byte {
	var b bytes.Buffer
	b.WriteString(`# Commands

This page is written by ` + "`go test ./cmd/watchward -run TestCommandPage -update`" + ` from the program itself; ` + "`watchward COMMAND --help`" + ` says the same.

Results go to standard output, everything said to a person to standard error. Errors are one line, with a hint below where a person can mend it:

` + "```" + `
watchward: error: write identity: "me.key" exists
watchward: hint: choose another name; an identity is never written over another file
` + "```" + `

| exit code | means |
| --- | --- |
| 0 | done |
| 1 | error: it could not be done, or was interrupted |
| 2 | wrong usage: the command line makes no sense, nothing was done |
| 3 | a check ran to its end and found problems |

Times on the command line are ` + "`2026-11-24`, `2026-11-24T10:15` or `2026-11-24T10:15:00Z`" + `, UTC unless they say otherwise.
`)
	for _, n := range app.Leaves(true) {
		writeCommand(&b, n)
	}
	return b.Bytes()
}

func writeCommand(b *bytes.Buffer, n *kong.Node) {
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n", strings.TrimSuffix(n.Path(), " "), n.Help)
	fmt.Fprintf(b, "```\nwatchward %s\n```\n", strings.ReplaceAll(n.Summary(), "watchward ", ""))
	if n.Detail != "" {
		fmt.Fprintf(b, "\n%s\n", n.Detail)
	}
	if len(n.Positional) == 0 && len(n.Flags) == 0 {
		return
	}
	fmt.Fprintf(b, "\n| argument or flag | |\n| --- | --- |\n")
	for _, p := range n.Positional {
		fmt.Fprintf(b, "| `%s` | %s |\n", p.Summary(), cell(p.Help))
	}
	for _, f := range n.Flags {
		if f.Hidden {
			continue
		}
		name := strings.TrimSpace(f.String())
		if f.Short != 0 {
			name = fmt.Sprintf("-%c, %s", f.Short, strings.TrimPrefix(strings.TrimPrefix(name, fmt.Sprintf("-%c", f.Short)), ", "))
		}
		help := f.Help
		if f.HasDefault && f.Default != "" {
			help += " Default: " + f.Default + "."
		}
		fmt.Fprintf(b, "| `%s` | %s |\n", name, cell(help))
	}
}

// cell keeps a text within its cell of a table.
func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }

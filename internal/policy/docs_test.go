package policy

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the generated part of docs/reference/restrictions.md anew")

const (
	instrumentsBegin = "<!-- instruments: written by go test ./internal/policy -run TestInstrumentsPage -update -->\n"
	instrumentsEnd   = "<!-- end -->\n"
)

// TestInstrumentsPage keeps the list of instruments in step with their files.
func TestInstrumentsPage(t *testing.T) {
	const page = "../../docs/reference/restrictions.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), instrumentsBegin)
	_, tail, closed := strings.Cut(rest, instrumentsEnd)
	if !ok || !closed {
		t.Fatalf("%s lacks the marks of its generated part", page)
	}
	want := head + instrumentsBegin + instruments(t) + instrumentsEnd + tail
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want != string(text) {
		t.Error("the list of instruments is not that of the files: go test ./internal/policy -run TestInstrumentsPage -update")
	}
}

func instruments(t *testing.T) string {
	texts, err := LoadTexts()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, r := range loaded(t).Restrictions() {
		fmt.Fprintf(&b, "\n### %s\n\n**%s.** %s\n\n", r.ID, r.Title.EN, r.Summary.EN)
		fmt.Fprintf(&b, "%s, %s; issued %s", r.Issuer.EN, r.Form, r.Issued)
		if !r.InForce.IsZero() {
			fmt.Fprintf(&b, ", in force since %s", r.InForce)
		}
		fmt.Fprintf(&b, ". Source: %s. Verified: %s", r.Source, r.Verified.By)
		if r.Verified.Open.EN != "" {
			fmt.Fprintf(&b, "; %s", strings.TrimSuffix(r.Verified.Open.EN, "."))
		}
		b.WriteString(".\n")
		if len(r.Clauses) == 0 {
			continue
		}
		fmt.Fprintf(&b, "Obliges %s", strings.Join(r.Obliged, ", "))
		if len(r.MayFollow) > 0 {
			fmt.Fprintf(&b, "; may be followed by %s", strings.Join(r.MayFollow, ", "))
		}
		fmt.Fprintf(&b, ". Predicate: `%s`\n\n| clause | force | action | sites | asks |\n| --- | --- | --- | --- | --- |\n", r.Match)
		for _, c := range r.Clauses {
			sites := strings.Join(c.Site, ", ")
			if sites == "" {
				sites = "any"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", c.ID, c.Force, texts.Action(c.Action, "en"), sites, c.Asks.EN)
		}
	}
	return b.String() + "\n"
}

// TestPageNamesEveryWord keeps the written part complete.
func TestPageNamesEveryWord(t *testing.T) {
	text, err := os.ReadFile("../../docs/reference/restrictions.md")
	if err != nil {
		t.Fatal(err)
	}
	for v := range variables {
		if !strings.Contains(string(text), "`"+v+"`") {
			t.Errorf("the variable %q is not described", v)
		}
	}
	for a := range actions {
		if !strings.Contains(string(text), "`"+string(a)+"`") {
			t.Errorf("the action %q is not described", a)
		}
	}
	for e := range equipment {
		if !strings.Contains(string(text), e) {
			t.Errorf("the equipment %q is not described", e)
		}
	}
}

// TestEveryClauseIsTried wants a row of TestJudge for each clause.
func TestEveryClauseIsTried(t *testing.T) {
	text, err := os.ReadFile("judge_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range loaded(t).Restrictions() {
		for _, c := range r.Clauses {
			if n := strings.Count(string(text), `"`+c.ID+`", of(`); n == 0 {
				t.Errorf("clause %q has no row in TestJudge", c.ID)
			}
		}
	}
}

// Command identify measures how right identifications are, on labelled answers
// of devices: see docs/reference/benchmarks.md.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/identify"
	"github.com/watchward/watchward/internal/identify/samples"
)

func main() {
	index := flag.String("samples", "../shared/samples/index.csv", "index of labelled samples")
	each := flag.Bool("rows", false, "print each row that was not answered right")
	flag.Parse()
	if err := run(*index, *each); err != nil {
		fmt.Fprintln(os.Stderr, "bench/identify:", err)
		os.Exit(1)
	}
}

// answer is one sample, what it truly is, and what was said.
type answer struct {
	samples.Sample
	got   estate.Identification
	maker string // the true one; "" where the right answer is unknown
	video bool   // a camera or recorder whose maker is known
	none  bool   // no camera at all
}

func run(index string, each bool) error {
	engine, err := identify.Default()
	if err != nil {
		return err
	}
	var answers []answer
	begun := time.Now()
	err = samples.Read(os.DirFS(filepath.Dir(index)), filepath.Base(index), func(s samples.Sample, err error) error {
		if err != nil {
			return err
		}
		a := answer{Sample: s, got: engine.From([]estate.Evidence{s.Evidence}, time.Time{})}
		class, maker := s.Row["device_class"], s.Row["true_maker"]
		a.none = class == "non-camera" || maker == "n/a"
		if maker != "unknown" && !a.none {
			a.maker, a.video = maker, true
		}
		answers = append(answers, a)
		return nil
	})
	if err != nil {
		return err
	}
	fmt.Printf("%s: %d rows in %s, %s\n\n", index, len(answers), time.Since(begun).Round(time.Millisecond), engine.Version())
	met := true
	for _, part := range parts() {
		met = report(part.name, keep(answers, part.keep), part.binding) && met
	}
	table("by protocol", keep(answers, scored), func(a answer) string { return a.Kind })
	table("by maker", keep(answers, scored), func(a answer) string { return a.maker })
	if each {
		rows(answers)
	}
	if !met {
		return fmt.Errorf("bars missed")
	}
	return nil
}

// part is a selection of rows to report on; a binding one decides.
type part struct {
	name    string
	keep    func(answer) bool
	binding bool
}

func parts() []part {
	return []part{
		{"all rows but the parser vectors", scored, true},
		{"without labels of low confidence", func(a answer) bool { return scored(a) && a.Row["label_confidence"] != "low" }, false},
		{"without the recog family", func(a answer) bool { return scored(a) && a.Row["family"] != "recog" }, false},
		{"the recog family alone", func(a answer) bool { return a.Row["family"] == "recog" }, false},
		{"odd rows", func(a answer) bool { return scored(a) && odd(a.ID) }, false},
		{"even rows", func(a answer) bool { return scored(a) && !odd(a.ID) }, false},
		{"parser vectors", func(a answer) bool { return !scored(a) }, false},
	}
}

func scored(a answer) bool { return a.Row["family"] != "discovery_vectors" }

func odd(id string) bool { return strings.ContainsAny(id[len(id)-1:], "13579") }

func keep(answers []answer, want func(answer) bool) []answer {
	var kept []answer
	for _, a := range answers {
		if want(a) {
			kept = append(kept, a)
		}
	}
	return kept
}

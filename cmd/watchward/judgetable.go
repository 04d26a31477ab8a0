package main

import (
	"bufio"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/policy"
)

// judgedTable writes for people: each device, then what is asked of it, the
// gravest first.
type judgedTable struct{ w *bufio.Writer }

func (p *judgedTable) begin(*judged) error { return nil }

func (p *judgedTable) device(j *judged, d judgedDevice, verdicts []policy.Verdict) error {
	fmt.Fprintf(p.w, "%s\n", p.title(j, d))
	shown := 0
	for _, v := range byForce(verdicts) {
		if v.Force == policy.None && !j.cmd.All {
			continue
		}
		shown++
		p.verdict(j, v)
	}
	if shown == 0 {
		fmt.Fprintf(p.w, "  %-13s %s\n", j.texts.Force(policy.None, j.cmd.Lang),
			j.say("%d clauses were judged, none asks anything of it", "%d clauses examinées, aucune ne demande rien", len(verdicts)))
	}
	fmt.Fprintln(p.w)
	return nil
}

// say chooses the language of the frame around the texts of policy.
func (j *judged) say(en, fr string, args ...any) string {
	if j.cmd.Lang == "fr" {
		return fmt.Sprintf(fr, args...)
	}
	return fmt.Sprintf(en, args...)
}

func (p *judgedTable) title(j *judged, d judgedDevice) string {
	name := d.Name
	for _, other := range []string{d.Address, d.MAC, d.Serial} {
		if name == "" {
			name = other
		}
	}
	head := j.say("line %d", "ligne %d", d.Line)
	if name != "" {
		head = name + " (" + head + ")"
	}
	lang := j.cmd.Lang
	maker := j.say("maker unknown", "fabricant inconnu")
	if d.Maker != "" {
		maker = j.say("made by %s (%s)", "fait par %s (%s)", d.MakerName, j.texts.Word(string(d.Confidence), lang))
	}
	switch {
	case d.Basis == policy.BasisBadge:
		maker = j.say("sold under a badge of several makers, perhaps %s", "vendu sous une marque de plusieurs fabricants, peut-être %s", d.MakerName)
	case d.Basis == policy.BasisStated:
		maker = j.say("made by %s (the list says so)", "fait par %s (selon la liste)", d.MakerName)
	}
	parts := []string{head}
	for _, part := range []string{d.Brand, maker, d.Model, d.Site, j.say("site: %s", "site : %s", j.texts.Word(string(d.SiteClass), lang))} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return oneLine(strings.Join(parts, " · "))
}

// byForce sorts the gravest first, what is broken before what is not.
func byForce(verdicts []policy.Verdict) []policy.Verdict {
	sorted := slices.Clone(verdicts)
	slices.SortStableFunc(sorted, func(a, b policy.Verdict) int {
		if a.Force != b.Force {
			return b.Force.Rank() - a.Force.Rank()
		}
		if a.Broken != b.Broken && a.Broken {
			return -1
		}
		return 0
	})
	return sorted
}

func (p *judgedTable) verdict(j *judged, v policy.Verdict) {
	lang := j.cmd.Lang
	state := ""
	switch {
	case v.Broken && v.Force == policy.Must:
		state = j.say("BROKEN", "ENFREINT")
	case v.Broken:
		state = j.say("open", "à faire")
	}
	fmt.Fprintf(p.w, "  %-13s %-8s %-15s %s, %s\n", j.texts.Force(v.Force, lang), state, v.Clause, j.texts.Action(v.Action, lang), j.dates(v))
	line := func(label, text string) { fmt.Fprintf(p.w, "  %22s %s: %s\n", "", label, oneLine(text)) }
	line(j.say("source", "source"), v.Source)
	line(j.say("why", "pourquoi"), strings.Join(j.reasons(telling(v)), "; "))
	if c := j.changes(v); len(c) > 0 {
		line(j.say("would change it", "changerait la réponse"), strings.Join(c, "; "))
	}
}

// telling keeps the reasons that decided: what is not met of a none, what is
// not known of an undetermined; else all but what goes without saying.
func telling(v policy.Verdict) policy.Verdict {
	want := map[policy.Force]policy.Truth{policy.None: policy.No, policy.Undetermined: policy.NotKnown}[v.Force]
	v.Why = slices.DeleteFunc(slices.Clone(v.Why), func(r policy.Reason) bool {
		switch r.Code {
		case "in-force", "equipment", "site-any":
			return true
		}
		return want != "" && r.Holds != want
	})
	return v
}

func (j *judged) dates(v policy.Verdict) string {
	text := j.say("since %s", "depuis le %s", v.Since.Format(time.DateOnly))
	if !v.Due.IsZero() {
		text += j.say(", by %s", ", pour le %s", v.Due.Format(time.DateOnly))
	}
	return text
}

// number counts things that take an s where they are several.
func (j *judged) number(n int, en, fr string) string {
	if n == 1 || n == 0 && j.cmd.Lang == "fr" {
		return j.say("%d "+en, "%d "+fr, n)
	}
	return j.say("%d "+en+"s", "%d "+fr+"s", n)
}

func (p *judgedTable) end(j *judged) error {
	t := j.totals
	fmt.Fprint(p.w, j.say(
		"%s on %s: a must is broken by %d; gravest: must %d, should %d, undetermined %d, may %d, none %d\n",
		"%s au %s : une obligation est enfreinte par %d ; au plus grave : doit %d, devrait %d, indéterminé %d, peut %d, rien %d\n",
		j.number(t.Devices, "device", "appareil"), j.on.Format(time.DateOnly), t.MustBroken, t.Must, t.Should, t.Undetermined, t.May, t.None))
	if len(j.bad) > 0 {
		fmt.Fprint(p.w, j.say("could not be read: %s\n", "n'ont pu être lues : %s\n", j.number(len(j.bad), "row", "ligne")))
	}
	fmt.Fprint(p.w, j.say("rules %s, makers %s; not legal advice\n", "règles %s, fabricants %s ; pas un avis juridique\n", j.catalogue.Version(), j.catalogue.MakersVersion()))
	return j.err
}

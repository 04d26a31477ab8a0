package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/watchward/watchward/internal/estate"
)

// score counts a selection of answers.
type score struct {
	rows, video                 int
	identified, identifiedRight int
	likely, likelyRight         int
	hints, hintsRight           int
	named, asserted             int // right maker on video rows: at hint or better, above hint
	accused                     int // above hint, of another maker's device or of no camera
	overclaimed                 int // above hint, where unknown was right
	abstain, abstainRight       int // rows whose right answer is unknown; answered so, or only hinted
	rebrands, rebrandsRight     int
}

func (a answer) right() bool { return a.maker != "" && a.got.MakerName == a.maker }

func (a answer) above() bool { return a.got.Confidence.Rank() > estate.Hint.Rank() }

func count(answers []answer) score {
	var s score
	for _, a := range answers {
		s.rows++
		right := a.right()
		tally := func(all, good *int) {
			*all++
			if right {
				*good++
			}
		}
		switch a.got.Confidence {
		case estate.Identified:
			tally(&s.identified, &s.identifiedRight)
		case estate.VeryLikely:
			tally(&s.likely, &s.likelyRight)
		case estate.Hint:
			tally(&s.hints, &s.hintsRight)
		}
		if a.video {
			s.video++
			if right {
				s.named++
				if a.above() {
					s.asserted++
				}
			}
		} else {
			s.abstain++
			if !a.above() {
				s.abstainRight++
			}
		}
		switch {
		case a.above() && (a.none || a.video && !right):
			s.accused++
		case a.above() && !a.video:
			s.overclaimed++
		}
		if a.Row["rebrand"] == "1" && a.video {
			tally(&s.rebrands, &s.rebrandsRight)
		}
	}
	return s
}

func ratio(n, of int) float64 {
	if of == 0 {
		return 1
	}
	return float64(n) / float64(of)
}

// report prints one selection and says whether each bar is met. Only a binding
// selection can miss.
func report(name string, answers []answer, binding bool) bool {
	s := count(answers)
	fmt.Printf("%s: %d rows, %d of cameras, recorders and encoders whose maker is known\n", name, s.rows, s.video)
	all := true
	bar := func(what string, n, of int, met bool) {
		word := "met"
		if !met {
			word, all = "MISSED", false
		}
		fmt.Printf("  %-62s %5.3f  (%d of %d)  %s\n", what, ratio(n, of), n, of, word)
	}
	bar("precision of identified, at least 0.99", s.identifiedRight, s.identified, ratio(s.identifiedRight, s.identified) >= 0.99)
	bar("precision of very likely, at least 0.97", s.likelyRight, s.likely, ratio(s.likelyRight, s.likely) >= 0.97)
	bar("false accusations, none", s.accused, s.rows, s.accused == 0)
	bar("unknown asserted above hint, none", s.overclaimed, s.abstain, s.overclaimed == 0)
	bar("right maker at hint or better, at least 0.90", s.named, s.video, ratio(s.named, s.video) >= 0.90)
	bar("right maker above hint, at least 0.60", s.asserted, s.video, ratio(s.asserted, s.video) >= 0.60)
	fmt.Printf("  hints right %d of %d; abstained where right %d of %d; rebrands named %d of %d\n\n", s.hintsRight, s.hints, s.abstainRight, s.abstain, s.rebrandsRight, s.rebrands)
	return all || !binding
}

// table prints scores by a key of the rows.
func table(name string, answers []answer, key func(answer) string) {
	groups := map[string][]answer{}
	for _, a := range answers {
		k := key(a)
		if k == "" {
			k = "(unknown or no camera)"
		}
		groups[k] = append(groups[k], a)
	}
	keys := make([]string, 0, len(groups))
	for k := range groups {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	fmt.Printf("%-30s %5s %6s %7s %9s %8s\n", name, "rows", "known", "named", "asserted", "accused")
	for _, k := range keys {
		s := count(groups[k])
		fmt.Printf("%-30s %5d %6d %7d %9d %8d\n", k, s.rows, s.video, s.named, s.asserted, s.accused+s.overclaimed)
	}
	fmt.Println()
}

// rows prints each answer that is not right, and each that only hints.
func rows(answers []answer) {
	for _, a := range answers {
		if a.right() && a.above() || !a.video && a.got.Confidence == estate.Unknown {
			continue
		}
		var because []string
		for _, r := range append(slices.Clone(a.got.Because), a.got.Conflicts...) {
			because = append(because, r.Grade+" "+r.Fingerprint)
		}
		fmt.Printf("%s %-28s true %-14q brand %-10q got %-14q %-11s %s\n", a.ID, a.Kind, a.maker, a.Row["true_brand"], a.got.MakerName, a.got.Confidence, strings.Join(because, ", "))
	}
}

package know

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/watchward/watchward/internal/web/locale"
)

// Bars is a plot of shares that is a table at the same time: a row a thing,
// each with its name, its bar, its count and the count it is a share of. So it
// reads the same with eyes, by a screen reader, on paper and without colour.
type Bars struct {
	ID     string // of its heading
	Title  string
	What   string // of the first column: "Maker"
	Of     string // of what the counts are: "devices"
	Note   string // how it was counted; may be empty
	Total  int64  // what the shares are of; 0: of each row's own sum, for stacks
	Legend []Part // for stacks: the tones in order
	Rows   []Bar
	lang   string
}

// Bar is a row.
type Bar struct {
	Name  string
	Href  string // "" where there is nowhere to go
	Parts []Part

	total int64
	lang  string
	texts *locale.Texts
}

// Part is a piece of a bar.
type Part struct {
	Tone  string // a class of plots.css
	Name  string
	Count int64

	from, to float64 // in percent
}

// X and Width are where the part stands, as SVG has it.
func (p Part) X() string     { return percent(p.from) }
func (p Part) Width() string { return percent(p.to - p.from) }

func percent(x float64) string { return strconv.FormatFloat(x, 'f', 2, 64) + "%" }

// Count is the sum of the parts.
func (b Bar) Count() int64 {
	var n int64
	for _, p := range b.Parts {
		n += p.Count
	}
	return n
}

// Numerator and Denominator are written in the visitor's language.
func (b Bar) Numerator() string   { return locale.Number(b.lang, b.Count()) }
func (b Bar) Denominator() string { return locale.Number(b.lang, b.total) }

// Share is what part of the whole the bar is, in percent.
func (b Bar) Share() string { return b.share(b.Count()) }

func (b Bar) share(n int64) string {
	if b.total == 0 {
		return "–"
	}
	return b.texts.T(b.lang, "plot.percent", "n", locale.Decimal(b.lang, 100*float64(n)/float64(b.total)))
}

// Number of a part.
func (b Bar) Number(n int64) string { return locale.Number(b.lang, n) }

// Stacked reports whether bars have several parts.
func (b Bars) Stacked() bool { return len(b.Legend) > 0 }

// Whole is what all shares are of.
func (b Bars) Whole() string { return locale.Number(b.lang, b.Total) }

// bars lays a plot out. Bars of shares begin at zero and end at the total;
// stacks fill the row, so that sites of different size can be compared.
func (s say) bars(b Bars) Bars {
	b.lang = s.lang
	for i := range b.Rows {
		row := &b.Rows[i]
		row.lang, row.texts, row.total = s.lang, s.k.o.Web.Texts(), b.Total
		if b.Stacked() {
			row.total = row.Count()
		}
		at := 0.0
		for k := range row.Parts {
			p := &row.Parts[k]
			p.from = at
			if row.total > 0 {
				at += 100 * float64(p.Count) / float64(row.total)
			}
			p.to = at
		}
	}
	return b
}

// fewest keeps the n longest bars, and the rest together under a name.
func fewest(rows []Bar, n int, rest string) []Bar {
	slices.SortStableFunc(rows, func(a, b Bar) int { return cmp.Compare(b.Count(), a.Count()) })
	if len(rows) <= n {
		return rows
	}
	var others Part
	others.Tone = "tone-rest"
	for _, r := range rows[n-1:] {
		others.Count += r.Count()
	}
	return append(slices.Clone(rows[:n-1]), Bar{Name: rest, Parts: []Part{others}})
}

package know

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/watchward/watchward/internal/policy"
	"github.com/watchward/watchward/internal/web/locale"
)

// times is the plot of findings over time: what was open and what was waived at
// the end of each week, as steps. The same numbers stand in a table.
type times struct {
	Moments      []policy.Moment // the newest first, for the table
	Open, Waived string          // paths in a square of 1000 by 100
	Marks        []mark          // of the axis upwards
	First, Last  policy.Moment
	lang         string
}

// mark is a line of the axis at a height of the square.
type mark struct {
	Y     string
	Label string
}

// Several reports whether there is anything to see.
func (t times) Several() bool { return len(t.Moments) > 1 }

// maxRows is how many weeks the table lists.
const maxRows = 52

func (s say) times(moments []policy.Moment) times {
	t := times{lang: s.lang}
	if len(moments) == 0 {
		return t
	}
	t.First, t.Last = moments[0], moments[len(moments)-1]
	top := 0
	for _, m := range moments {
		top = max(top, m.Open+m.Waived)
	}
	step := niceStep(top)
	height := float64(step)
	for height < float64(top) {
		height += float64(step)
	}
	open, both := make([]float64, len(moments)), make([]float64, len(moments))
	for n, m := range moments {
		open[n], both[n] = 100*float64(m.Open)/height, 100*float64(m.Open+m.Waived)/height
	}
	t.Open, t.Waived = area(open, make([]float64, len(open))), area(both, open)
	for at := 0; float64(at) <= height; at += step {
		t.Marks = append(t.Marks, mark{strconv.FormatFloat(100-100*float64(at)/height, 'f', 2, 64), locale.Number(s.lang, int64(at))})
	}
	for n := len(moments) - 1; n >= 0 && len(t.Moments) < maxRows; n-- {
		t.Moments = append(t.Moments, moments[n])
	}
	return t
}

// niceStep divides an axis into at most four steps of round numbers.
func niceStep(top int) int {
	for unit := 1; ; unit *= 10 {
		for _, n := range []int{1, 2, 5} {
			if n*unit*4 >= top {
				return n * unit
			}
		}
	}
}

// area is the path of what lies between two lines of steps, in percent.
func area(upper, lower []float64) string {
	var b strings.Builder
	x := func(n int) float64 { return 1000 * float64(n) / float64(len(upper)) }
	for n, y := range upper {
		verb := "V"
		if n == 0 {
			verb = "M0,"
		}
		fmt.Fprintf(&b, "%s%.2fH%.2f", verb, 100-y, x(n+1))
	}
	for n := len(lower) - 1; n >= 0; n-- {
		fmt.Fprintf(&b, "V%.2fH%.2f", 100-lower[n], x(n))
	}
	return b.String() + "Z"
}

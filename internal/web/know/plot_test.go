package know

import (
	"net/http/httptest"
	"testing"
)

func TestBarsAreShares(t *testing.T) {
	k := newBench(t).know
	say := k.say(httptest.NewRequest("GET", "/", nil))
	plot := say.bars(Bars{Total: 8, Rows: []Bar{
		{Name: "A", Parts: []Part{{Count: 6}}},
		{Name: "B", Parts: []Part{{Count: 1}}},
		{Name: "nothing", Parts: []Part{{Count: 0}}},
	}})
	for i, want := range []struct{ x, width, n, of, share string }{
		{"0.00%", "75.00%", "6", "8", "75.0%"},
		{"0.00%", "12.50%", "1", "8", "12.5%"},
		{"0.00%", "0.00%", "0", "8", "0.0%"},
	} {
		row := plot.Rows[i]
		if p := row.Parts[0]; p.X() != want.x || p.Width() != want.width || row.Numerator() != want.n || row.Denominator() != want.of || row.Share() != want.share {
			t.Errorf("%s: %s %s %s %s %s, want %v", row.Name, p.X(), p.Width(), row.Numerator(), row.Denominator(), row.Share(), want)
		}
	}
	empty := say.bars(Bars{Rows: []Bar{{Name: "none", Parts: []Part{{}}}}})
	if got := empty.Rows[0].Share(); got != "–" {
		t.Errorf("a share of nothing is %q", got)
	}
}

func TestStacksFillTheRow(t *testing.T) {
	say := newBench(t).know.say(httptest.NewRequest("GET", "/", nil))
	plot := say.bars(Bars{Legend: []Part{{}, {}}, Total: 1000, Rows: []Bar{{Parts: []Part{{Count: 1}, {Count: 3}}}}})
	a, b := plot.Rows[0].Parts[0], plot.Rows[0].Parts[1]
	if a.X() != "0.00%" || a.Width() != "25.00%" || b.X() != "25.00%" || b.Width() != "75.00%" {
		t.Errorf("%s+%s, %s+%s", a.X(), a.Width(), b.X(), b.Width())
	}
}

func TestFewestKeepsTheSum(t *testing.T) {
	var rows []Bar
	for n := range 10 {
		rows = append(rows, Bar{Parts: []Part{{Count: int64(n)}}})
	}
	kept := fewest(rows, 4, "others")
	var sum int64
	for _, r := range kept {
		sum += r.Count()
	}
	if len(kept) != 4 || kept[0].Count() != 9 || kept[3].Name != "others" || sum != 45 {
		t.Errorf("%d rows, sum %d: %+v", len(kept), sum, kept)
	}
}

func TestShownTakesOutWhatHides(t *testing.T) {
	for in, want := range map[string]string{
		"plain text":            "plain text",
		"two\r\nlines":          "two\nlines",
		"evil\u202etxt.exe":     "evil·txt.exe",
		"zero\u200bwidth":       "zero·width",
		"bell\x07 esc\x1b[31m":  "bell· esc·[31m",
		"latin \xe9":            "latin \ufffd",
		"caméra 監視":             "caméra 監視",
		"\u2066isolate\u2069 x": "·isolate· x",
	} {
		if got := shown(in); got != want {
			t.Errorf("shown(%q) = %q, want %q", in, got, want)
		}
	}
	long := make([]byte, 100_000)
	for i := range long {
		long[i] = 'x'
	}
	if got := []rune(shown(string(long))); len(got) != maxShown+1 {
		t.Errorf("a long text becomes %d long", len(got))
	}
}

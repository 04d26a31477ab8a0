package know

import (
	"net/http"
	"strings"
	"unicode"

	"github.com/watchward/watchward/internal/policy"
	"github.com/watchward/watchward/internal/web"
	"github.com/watchward/watchward/internal/web/locale"
)

// say puts the words of the rooms below into the visitor's language. Pages
// embed it in what they show.
type say struct {
	lang string
	k    *Know
}

func (k *Know) say(r *http.Request) say { return say{web.From(r).Lang, k} }

// Force names how strongly something is asked.
func (s say) Force(f policy.Force) string { return s.k.words.Force(f, s.lang) }

// Action names what a clause asks for.
func (s say) Action(a policy.Action) string { return s.k.words.Action(a, s.lang) }

// Reason says why a verdict is what it is.
func (s say) Reason(r policy.Reason) string { return s.k.words.Reason(r, s.lang) }

// Change says what would make a verdict another one.
func (s say) Change(c policy.Change) string { return s.k.words.Change(c, s.lang) }

// Word names a class of site, a kind of device, a confidence, a purpose.
func (s say) Word(w string) string { return s.k.words.Word(w, s.lang) }

// In is a text of the data in the visitor's language.
func (s say) In(t policy.Text) string { return t.In(s.lang) }

// Body names a type of body; one that no rule knows shows its ID.
func (s say) Body(id string) string {
	if b, ok := s.k.rules().Body(id); ok {
		return b.Name.In(s.lang)
	}
	return id
}

// T is a text of the pages.
func (s say) T(key string, args ...any) string { return s.k.o.Web.Texts().T(s.lang, key, args...) }

// Country names a jurisdiction by its code.
func (s say) Country(code string) string {
	if key := "country." + code; s.k.o.Web.Texts().Has(s.lang, key) {
		return s.T(key)
	}
	return code
}

// Rules names the catalogue that answers.
func (s say) Rules() string { return s.k.rules().Version() }

// maxShown bounds a hostile text in a page, in runes.
const maxShown = 2000

// shown is a text of a device's for a page: without what is invisible, turns
// the line around or moves the cursor, and not endless.
func shown(text string) string {
	var b strings.Builder
	n := 0
	for _, r := range text { // a byte that is no UTF-8 comes as U+FFFD
		if n++; n > maxShown {
			b.WriteRune('…')
			break
		}
		switch {
		case r == '\n' || r == '\t':
			b.WriteRune(r)
		case r == '\r':
		case !unicode.IsPrint(r):
			b.WriteRune('·')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Money is an amount in a currency's smallest unit, hundredths of it.
func (s say) Money(amount int64, currency string) string {
	text := locale.Number(s.lang, amount/100)
	if cents := amount % 100; cents != 0 {
		point := "."
		if s.lang == "fr" {
			point = ","
		}
		text += point + string([]byte{byte('0' + cents/10), byte('0' + cents%10)})
	}
	return text + "\u00a0" + currency
}

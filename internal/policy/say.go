package policy

import (
	_ "embed"
	"fmt"
	"regexp"

	"go.yaml.in/yaml/v3"
)

//go:embed texts.yaml
var textsFile []byte

// Texts puts codes into words, in English ("en") and French ("fr").
type Texts struct {
	Reasons map[string]Text `yaml:"reasons"`
	Changes map[string]Text `yaml:"changes"`
	Actions map[Action]Text `yaml:"actions"`
	Forces  map[Force]Text  `yaml:"forces"`
	Words   map[string]Text `yaml:"words"` // kinds, classes, confidences
}

// LoadTexts reads the texts that this program carries.
func LoadTexts() (*Texts, error) {
	t := new(Texts)
	if err := yaml.Unmarshal(textsFile, t); err != nil {
		return nil, fmt.Errorf("read texts of verdicts: %w", err)
	}
	return t, nil
}

// Reason says why, in a sentence without a full stop.
func (t *Texts) Reason(r Reason, lang string) string {
	return t.say(t.Reasons[r.Code], r.Code, r.Args, lang)
}

// Change says what would make the answer another one.
func (t *Texts) Change(c Change, lang string) string {
	text := t.say(t.Changes[c.Code], c.Code, c.Args, lang)
	if c.Then != "" {
		text += " → " + t.Force(c.Then, lang)
	}
	return text
}

// Action names an action.
func (t *Texts) Action(a Action, lang string) string { return orCode(t.Actions[a].In(lang), string(a)) }

// Force names a force.
func (t *Texts) Force(f Force, lang string) string { return orCode(t.Forces[f].In(lang), string(f)) }

// Word names a kind of device, a class of site, a confidence.
func (t *Texts) Word(w, lang string) string { return orCode(t.Words[w].In(lang), w) }

func orCode(text, code string) string {
	if text == "" {
		return code
	}
	return text
}

var placeholder = regexp.MustCompile(`\{[a-z]+\}`)

// say fills in the arguments. Those that are words of ours are said in the
// language as well.
func (t *Texts) say(text Text, code string, args map[string]string, lang string) string {
	return placeholder.ReplaceAllStringFunc(orCode(text.In(lang), code), func(name string) string {
		value, ok := args[name[1:len(name)-1]]
		if !ok {
			return "–"
		}
		return t.Word(value, lang)
	})
}

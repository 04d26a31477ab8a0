package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
)

// Bounds of what a file may ask of the expression language.
const (
	maxExpression     = 2000 // code points
	maxExpressionCost = 200_000
)

// predicate says whether a clause is about a device, as far as the facts go. It
// is compiled once. CEL's own logic of unknowns is what carries "not known":
// "false && unknown" is false, "true && unknown" is unknown.
type predicate struct {
	program cel.Program
	uses    map[string]bool // variables that it names
}

// language is the environment of predicates. docs/reference/restrictions.md
// lists the variables; names are contracts.
type language struct{ env *cel.Env }

var variables = map[string]*cel.Type{
	"maker":         cel.StringType,                            // ID of who made the device
	"brand":         cel.StringType,                            // name on the badge
	"model":         cel.StringType,                            //
	"kind":          cel.StringType,                            // camera, recorder, encoder, intercom, other
	"jurisdiction":  cel.StringType,                            // where the maker has its seat
	"parent":        cel.StringType,                            // ID of its nearest owner, "" without one
	"owners":        cel.ListType(cel.StringType),              // IDs of owners, nearest first
	"affiliates":    cel.ListType(cel.StringType),              // IDs of companies under the same owners, and of its subsidiaries
	"group":         cel.ListType(cel.StringType),              // maker, owners and affiliates
	"jurisdictions": cel.ListType(cel.StringType),              // seats of the maker and of its owners
	"subject":       cel.MapType(cel.StringType, cel.BoolType), // by law: is the maker subject to it?
	"grade":         cel.MapType(cel.StringType, cel.IntType),  // by law: the grade behind that
	"names":         cel.ListType(cel.StringType),              // makers that the instrument names
	"purposes":      cel.ListType(cel.StringType),              // what the device serves
	"certificates":  cel.ListType(cel.StringType),              // what the device was certified for
	"body":          cel.StringType,                            // type of whose site it is
	"site":          cel.StringType,                            // class of the site
	"network":       cel.StringType,                            // core, isolated
	"on":            cel.TimestampType,                         // the day that is judged
}

func newLanguage() (*language, error) {
	options := []cel.EnvOption{
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.ParserRecursionLimit(50),
	}
	for name, t := range variables {
		options = append(options, cel.Variable(name, t))
	}
	env, err := cel.NewEnv(options...)
	if err != nil {
		return nil, fmt.Errorf("make the language of predicates: %w", err)
	}
	return &language{env}, nil
}

// compile reads an expression. Its errors say where in it.
func (l *language) compile(text string) (*predicate, error) {
	ast, issues := l.env.Compile(text)
	if issues.Err() != nil {
		first := issues.Errors()[0]
		return nil, fmt.Errorf("column %d: %s", first.Location.Column()+1, strings.Join(strings.Fields(first.Message), " "))
	}
	if ast.OutputType() != cel.BoolType {
		return nil, fmt.Errorf("gives %s, want bool", ast.OutputType())
	}
	program, err := l.env.Program(ast, cel.EvalOptions(cel.OptOptimize|cel.OptPartialEval), cel.CostLimit(maxExpressionCost))
	if err != nil {
		return nil, err
	}
	p := &predicate{program: program, uses: make(map[string]bool)}
	for _, ref := range ast.NativeRep().ReferenceMap() {
		if _, ok := variables[ref.Name]; ok {
			p.uses[ref.Name] = true
		}
	}
	return p, nil
}

// facts are what a predicate may look at. Variables in unknown are not known,
// laws in disputed have no answer in subject.
type facts struct {
	vars     map[string]any
	unknown  []string
	disputed []string
}

// ask evaluates. For [NotKnown] it returns the variables that are missing.
func (p *predicate) ask(f facts) (Truth, []string, error) {
	var patterns []*cel.AttributePatternType
	for _, name := range f.unknown {
		patterns = append(patterns, cel.AttributePattern(name))
	}
	for _, law := range f.disputed {
		patterns = append(patterns, cel.AttributePattern("subject").QualString(law))
	}
	activation, err := cel.PartialVars(f.vars, patterns...)
	if err != nil {
		return NotKnown, nil, err
	}
	value, _, err := p.program.Eval(activation)
	if err != nil {
		return NotKnown, nil, err
	}
	switch v := value.(type) {
	case types.Bool:
		if v {
			return Yes, nil, nil
		}
		return No, nil, nil
	case *types.Unknown:
		return NotKnown, missing(v), nil
	}
	return NotKnown, nil, fmt.Errorf("gives %s, want bool", value.Type().TypeName())
}

func missing(u *types.Unknown) []string {
	var names []string
	for _, id := range u.IDs() {
		trails, _ := u.GetAttributeTrails(id)
		for _, t := range trails {
			if name := t.Variable(); name != "" && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// ofMaker are the variables that nobody can fill without knowing the maker.
var ofMaker = []string{"maker", "jurisdiction", "parent", "owners", "affiliates", "group", "jurisdictions", "subject", "grade"}

// factsOf gathers what is known of a case. A maker that is known less well
// than the instrument needs counts as not known.
func factsOf(c Case, m *MakerFacts, sure bool) facts {
	f := facts{vars: map[string]any{
		"brand": c.Brand, "model": c.Model, "on": c.On.UTC().Truncate(24 * time.Hour),
	}}
	put := func(name string, known bool, value any) {
		if known {
			f.vars[name] = value
		} else {
			f.unknown = append(f.unknown, name)
		}
	}
	put("kind", c.Kind != "", string(c.Kind))
	put("body", c.Body != "", c.Body)
	put("site", c.SiteClass == SiteSensitive || c.SiteClass == SiteOrdinary, string(c.SiteClass))
	put("network", c.Network == NetworkCore || c.Network == NetworkIsolated, string(c.Network))
	put("purposes", c.Purposes != nil, c.Purposes)
	put("certificates", c.Certificates != nil, c.Certificates)
	if m == nil || !sure {
		f.unknown = append(f.unknown, ofMaker...)
		return f
	}
	subject, grade := map[string]bool{}, map[string]int64{}
	for law, s := range m.Subject {
		grade[law] = int64(s.Grade)
		switch s.Holds {
		case NotKnown:
			f.disputed = append(f.disputed, law)
		default:
			subject[law] = s.Holds == Yes
		}
	}
	put("jurisdiction", m.Jurisdiction != "", m.Jurisdiction)
	f.vars["maker"], f.vars["parent"] = m.ID, m.parent()
	f.vars["owners"], f.vars["affiliates"], f.vars["group"] = m.Owners, m.Affiliates, m.group()
	f.vars["jurisdictions"], f.vars["subject"], f.vars["grade"] = m.Jurisdictions, subject, grade
	return f
}

// named are the same facts for an instrument that names makers.
func (f facts) named(names []string) facts {
	f.vars["names"] = names
	return f
}

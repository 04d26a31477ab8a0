// Package identify says who really made a device, from what was seen of it.
//
// Begin with [From], or with [New] for data of your own. Both are pure: no
// network, no clock, no randomness; the same evidence and data give the same
// answer, to the byte.
//
// # Before it hurts
//
// The name on the box is the weakest evidence there is: it is what a company
// that resells changes first. What survives is the shape that the firmware
// leaves: how serial numbers are built, how an RTSP realm is written, which
// extensions an ONVIF answer declares. So one signal that only one maker's
// firmware gives settles it; strong ones need a second of another family; and a
// name alone is never more than a hint.
//
// Not knowing is an answer. It never clears a device and never accuses one.
package identify

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/identify/fingerprints"
	"github.com/watchward/watchward/internal/identify/makers"
)

// Data is what an [Engine] knows.
type Data struct {
	Fingerprints *fingerprints.Set
	Makers       *makers.Graph
}

// Engine identifies devices. It does not change once made, so any number of
// goroutines may use one.
type Engine struct {
	data    Data
	byField map[string][]*fingerprints.Fingerprint
	badges  badges
	version string
	// sellsMore are makers whose hardware addresses say that they sell much else.
	sellsMore map[string]bool
}

// New makes an engine of data. Fingerprints must name makers of the graph.
func New(data Data) (*Engine, error) {
	if data.Fingerprints == nil || data.Makers == nil {
		return nil, fmt.Errorf("make engine: want fingerprints and makers")
	}
	e := &Engine{
		data:    data,
		byField: map[string][]*fingerprints.Fingerprint{}, sellsMore: map[string]bool{},
		version: "fingerprints " + data.Fingerprints.Version() + ", makers " + data.Makers.Version(),
	}
	prints := data.Fingerprints.All()
	for i := range prints {
		f := &prints[i]
		if _, ok := data.Makers.Maker(f.Maker); !ok && f.Maker != "" {
			return nil, fmt.Errorf("make engine: fingerprint %q: maker %q is not in the graph", f.ID, f.Maker)
		}
		for _, field := range f.Fields {
			e.byField[field] = append(e.byField[field], f)
		}
	}
	for _, p := range data.Fingerprints.Prefixes() {
		if _, ok := data.Makers.Maker(p.Maker); !ok {
			return nil, fmt.Errorf("make engine: prefix %s: maker %q is not in the graph", p.Bits, p.Maker)
		}
		e.sellsMore[p.Maker] = e.sellsMore[p.Maker] || p.Mixed
	}
	e.badges = newBadges(data.Makers)
	return e, nil
}

// Default makes an engine of the data that this program carries. It costs some
// milliseconds: make one and keep it.
func Default() (*Engine, error) {
	set, err := fingerprints.Load()
	if err != nil {
		return nil, err
	}
	graph, err := makers.Load()
	if err != nil {
		return nil, err
	}
	return New(Data{Fingerprints: set, Makers: graph})
}

// From identifies with the data that this program carries. Who identifies more
// than one device makes an engine with [Default].
func From(evidence []estate.Evidence) (estate.Identification, error) {
	e, err := Default()
	if err != nil {
		return estate.Identification{}, err
	}
	return e.From(evidence, time.Time{}), nil
}

// Version says which data the engine uses: what [estate.Identification] keeps in
// its field Data.
func (e *Engine) Version() string { return e.version }

// Data returns what the engine knows.
func (e *Engine) Data() Data { return e.data }

// mixed says whether a brand's owner sells much else than video equipment.
func (e *Engine) mixed(brand string) bool {
	return e.sellsMore[e.badges.maker(brand, time.Time{})]
}

// maxEvidence bounds the pieces of evidence of one device.
const maxEvidence = 500

// From says who made the device that the evidence is of. The date is that of the
// question: names and owners are told as they were then; the zero time asks
// about all of history, which is right for a device of unknown age.
func (e *Engine) From(evidence []estate.Evidence, on time.Time) estate.Identification {
	if len(evidence) > maxEvidence {
		evidence = evidence[:maxEvidence]
	}
	c := &conclusion{engine: e, on: on}
	for _, ev := range evidence {
		c.read(ev)
	}
	return c.conclude()
}

// finding is a fingerprint, prefix or badge that matched.
type finding struct {
	reason                        estate.Reason
	kind, model, firmware, serial string
	// value is the whole observation that matched, for a name that stands in it
	// confirms nothing.
	value string
	// mixed: whoever it names sells much else, so it counts only of a device that
	// shows video.
	mixed bool
}

// conclusion gathers findings and weighs them.
type conclusion struct {
	engine   *Engine
	on       time.Time
	findings []finding
	video    bool // something was seen that only video equipment shows
	// plain is what a device says of itself in fields whose meaning is fixed.
	plain    estate.Identification
	hardware string // as a scope says it: a model at best, where nothing says it better
}

func (c *conclusion) read(ev estate.Evidence) {
	list := observe(ev)
	c.video = c.video || showsVideo(ev.Kind)
	for _, o := range list {
		for _, f := range c.engine.byField[o.field] {
			c.match(ev, list, o, f)
		}
		switch o.field {
		case "mac":
			c.prefix(ev, o.value)
		default:
			c.badge(ev, o)
		}
		c.plainly(o)
	}
}

// match tries one fingerprint on one observation.
func (c *conclusion) match(ev estate.Evidence, list []observation, o observation, f *fingerprints.Fingerprint) {
	if len(f.Only) > 0 && !slices.Contains(f.Only, ev.Kind) {
		return
	}
	m := f.Match.FindStringSubmatchIndex(o.value)
	if m == nil {
		return
	}
	for _, and := range f.And {
		if !anyMatches(list, and) {
			return
		}
	}
	for _, unless := range f.Unless {
		if anyMatches(list, unless) {
			return
		}
	}
	say := func(template string) string {
		if !strings.Contains(template, "$") {
			return template
		}
		return clean(string(f.Match.ExpandString(nil, template, o.value, m)))
	}
	c.add(finding{
		reason: estate.Reason{
			Evidence: ev.ID, Fingerprint: f.ID, Family: f.Family, Grade: string(f.Grade), Maker: f.Maker,
			Brand: say(f.Brand), Saw: clean(around(o.value, m[0], m[1])), Source: f.Source,
		},
		kind: f.Kind, model: say(f.Model), firmware: say(f.Firmware), serial: say(f.Serial), value: o.value,
	})
}

func anyMatches(list []observation, c fingerprints.Condition) bool {
	return slices.ContainsFunc(list, func(o observation) bool { return o.field == c.Field && c.Match.MatchString(o.value) })
}

// maxFindings bounds what is kept of a device that says everything at once.
const maxFindings = 1000

// add keeps a finding, once for each fingerprint and piece of evidence.
func (c *conclusion) add(f finding) {
	if len(c.findings) >= maxFindings {
		return
	}
	for _, g := range c.findings {
		if g.reason.Evidence == f.reason.Evidence && g.reason.Fingerprint == f.reason.Fingerprint {
			return
		}
	}
	c.findings = append(c.findings, f)
}

// prefix looks up whose a hardware address is. A company that mostly sells what
// others make is only a badge.
func (c *conclusion) prefix(ev estate.Evidence, digits string) {
	p, ok := c.engine.data.Fingerprints.Prefix(digits)
	if !ok {
		return
	}
	reason := estate.Reason{
		Evidence: ev.ID, Fingerprint: "prefix/" + p.Bits, Family: fingerprints.FamilyOUI, Grade: string(fingerprints.C), Maker: p.Maker,
		Saw: digits, Source: "IEEE registry: " + p.Owner,
	}
	m, _ := c.engine.data.Makers.Maker(p.Maker)
	if c.engine.data.Makers.Rebadges(m.Name) {
		reason.Brand, reason.Grade = m.Name, string(fingerprints.Badge)
		reason.Maker = c.engine.badges.maker(m.Name, c.on)
	}
	c.add(finding{reason: reason, value: digits, mixed: p.Mixed})
}

// plainly keeps what standard fields say. The first of each stands.
func (c *conclusion) plainly(o observation) {
	keep := func(at *string) {
		if *at == "" {
			*at = clean(o.value)
		}
	}
	switch o.field {
	case "doc.model", "doc.root.brand.prodnbr":
		if !noModel.MatchString(o.value) {
			keep(&c.plain.Model)
		}
	case "doc.firmwareversion":
		keep(&c.plain.Firmware)
	case "doc.serialnumber", "doc.serialno", "doc.devicesn":
		keep(&c.plain.Serial)
	case "scope":
		if model, ok := strings.CutPrefix(o.value, "hardware/"); ok && c.hardware == "" && !noModel.MatchString(model) {
			c.hardware = clean(model)
		}
	}
}

// noModel is what firmware says where nobody filled in the model.
var noModel = regexp.MustCompile(`(?i)^\s*(model( ?name| ?number)?|unknown|none|null|n/?a|default|hardware|to be filled.*|[-_.?]*)\s*$`)

const maxSaw = 200

// clean makes what a device sent fit to be shown: one line, no control
// characters, at most 200 bytes.
func clean(s string) string {
	if len(s) > 4*maxSaw {
		s = s[:4*maxSaw]
	}
	s = strings.ToValidUTF8(s, "?")
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069':
			return -1
		}
		return r
	}, s)
	s = strings.TrimSpace(s)
	for len(s) > maxSaw {
		cut := maxSaw
		for cut > 0 && s[cut]&0xc0 == 0x80 {
			cut--
		}
		s = s[:cut]
	}
	return s
}

// around shows a match with a little of what stands beside it.
func around(value string, from, to int) string {
	if len(value) <= maxSaw {
		return value
	}
	return value[max(0, from-20):min(len(value), max(to, from+1)+20)]
}

// Package fingerprints holds the patterns by which makers are recognised: a file
// a maker, each pattern with its source, what it must match and what it must not.
//
// Begin with [Load]. Package identify runs the patterns and weighs what matched;
// here they are only data, and their rules: see docs/reference/identify.md for
// the format, and data/ for the files.
//
// # Before it hurts
//
// IDs are contracts: stored identifications cite them. A fingerprint may be made
// wider or narrower, or retired; its ID never comes to mean something else.
//
// Grade A settles a maker alone. It is for what only that maker's firmware does.
// A name is not that, unless it stands where only the firmware writes and nobody
// is known to put that name on another's devices.
package fingerprints

import (
	"embed"
	"io/fs"
	"regexp"
	"slices"
	"strings"
)

//go:embed data
var data embed.FS

// Grade says how far a fingerprint carries.
type Grade string

// From what settles to what misleads.
const (
	A     Grade = "A"     // settles the maker alone
	B     Grade = "B"     // strong: needs one more of another family
	C     Grade = "C"     // a hint
	Badge Grade = "badge" // the name that somebody put on it
	F     Grade = "F"     // a false friend: looks like a tell, is none
)

// Families group what comes from one root: two of one family do not confirm each
// other.
const (
	FamilyNumbering   = "numbering"   // serial numbers, models, build strings
	FamilyRealm       = "realm"       // how a login is asked for, over RTSP or HTTP
	FamilyDiscovery   = "discovery"   // a maker's own discovery protocol
	FamilyCertificate = "certificate" // the factory's TLS certificate
	FamilyWeb         = "web"         // the web server and its pages
	FamilyBanner      = "banner"      // what FTP, telnet, SSH, SIP or RTSP servers call themselves
	FamilyDialect     = "dialect"     // habits of an ONVIF or ISAPI stack
	FamilyMedia       = "media"       // habits of the stream's description
	FamilySNMP        = "snmp"        // enterprise numbers
	FamilyURL         = "url"         // paths of streams and pages
	FamilyOUI         = "oui"         // who owns the hardware address
	FamilyAPI         = "api"         // a maker's own programming interface
	FamilyName        = "name"        // the badge
	FamilyOther       = "other"       // not video equipment at all
)

// Fingerprint is a pattern and what it says where it matches.
type Fingerprint struct {
	ID     string   // "hikvision/rtsp-realm-model"
	Maker  string   // ID in the graph of makers; "" in the files "false-friends" and "other"
	Only   []string // kinds of evidence it looks at; none means any
	Fields []string // what it looks at in them: "rtsp.realm"
	Match  *regexp.Regexp
	// And must match as well, in the same evidence; Unless must not.
	And, Unless []Condition
	Grade       Grade
	Family      string
	// What it says. Each may name parts of what matched, as $1.
	Kind, Brand, Model, Firmware, Serial string
	Source                               string
	Yes, No                              []Example
}

// Condition is a field and a pattern for any one of its values.
type Condition struct {
	Field string
	Match *regexp.Regexp
}

// Example is a piece of evidence that a fingerprint must, or must not, match.
type Example struct {
	Kind, Value string
}

// Prefix says whose hardware addresses begin so.
type Prefix struct {
	Bits  string // upper-case hexadecimal digits, 6, 7 or 9 of them: "4419B6"
	Maker string
	Owner string // as the registry writes it
	// Mixed: the owner sells much else, so an address alone does not speak of cameras.
	Mixed bool
}

// Set is all fingerprints and prefixes of one version. It does not change once
// loaded.
type Set struct {
	version  string
	prints   []Fingerprint
	prefixes map[string]Prefix
}

// Load reads the fingerprints that this program carries.
func Load() (*Set, error) {
	sub, err := fs.Sub(data, "data")
	if err != nil {
		return nil, err
	}
	return LoadFS(sub)
}

// Version is the day they were last changed, as their file says.
func (s *Set) Version() string { return s.version }

// All lists the fingerprints by ID.
func (s *Set) All() []Fingerprint { return s.prints }

// Prefixes lists the hardware address prefixes in order.
func (s *Set) Prefixes() []Prefix {
	list := make([]Prefix, 0, len(s.prefixes))
	for _, p := range s.prefixes {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b Prefix) int { return strings.Compare(a.Bits, b.Bits) })
	return list
}

// Prefix returns the longest known prefix of an address given as hexadecimal
// digits in upper case, six at least.
func (s *Set) Prefix(digits string) (Prefix, bool) {
	for _, n := range []int{9, 7, 6} {
		if len(digits) >= n {
			if p, ok := s.prefixes[digits[:n]]; ok {
				return p, true
			}
		}
	}
	return Prefix{}, false
}

// With returns the set with more fingerprints and prefixes, which replace those
// of the same ID. Its version says what was added. It is how an operator's own
// imports come in.
func (s *Set) With(what string, prints []Fingerprint, prefixes []Prefix) *Set {
	next := &Set{version: s.version + " and " + what, prefixes: make(map[string]Prefix, len(s.prefixes)+len(prefixes))}
	replaced := make(map[string]bool, len(prints))
	for _, p := range prints {
		replaced[p.ID] = true
	}
	for _, p := range s.prints {
		if !replaced[p.ID] {
			next.prints = append(next.prints, p)
		}
	}
	next.prints = append(next.prints, prints...)
	slices.SortFunc(next.prints, func(a, b Fingerprint) int { return strings.Compare(a.ID, b.ID) })
	for k, p := range s.prefixes {
		next.prefixes[k] = p
	}
	for _, p := range prefixes {
		next.prefixes[p.Bits] = p
	}
	return next
}

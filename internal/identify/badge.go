package identify

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/identify/fingerprints"
	"github.com/watchward/watchward/internal/identify/makers"
)

// IDs of what a name alone says, by where it stood.
const (
	badgeManufacturer = "badge/manufacturer" // a field for the manufacturer's name
	badgeText         = "badge/text"         // a word in a banner, title or certificate
)

// badges finds brands in what devices say.
type badges struct {
	graph *makers.Graph
	words *regexp.Regexp
	// byWord is the brand of a word as it was found.
	byWord map[string]string
}

// tooCommon are brands that are words of the language, or parts of other names:
// in free text they say nothing.
var tooCommon = []string{"Ring", "Nest", "Hunt", "Hills", "DAS", "Orbit", "Revo", "Luma", "Alibi", "Turing", "NICE", "LG", "DM", "Sharp", "Lumens", "Safire", "Turing", "Fine", "Lorex Technology", "ADT", "Ganz", "UDP", "Indigo", "2N", "CBC", "Google", "Marshall", "Commend", "Apexis", "Moxa", "IC Realtime", "Arlo", "Genetec", "Milestone", "Salient", "Compro", "Planet", "Theia", "ELAN", "Netwave"}

func newBadges(graph *makers.Graph) badges {
	b := badges{graph: graph, byWord: map[string]string{}}
	var words []string
	for _, brand := range graph.Brands() {
		for _, word := range append([]string{brand}, graph.Aliases(brand)...) {
			if slices.Contains(tooCommon, word) || len(word) < 3 {
				continue
			}
			b.byWord[strings.ToLower(word)] = brand
			words = append(words, regexp.QuoteMeta(word))
		}
	}
	// Longer words first: "Digital Watchdog" before a shorter brand within it.
	slices.SortFunc(words, func(x, y string) int { return len(y) - len(x) })
	b.words = regexp.MustCompile(`(?i)(?:^|[^A-Za-z0-9.@])(` + strings.Join(words, "|") + `)(?:[^A-Za-z0-9.]|$)`)
	return b
}

// maker is whom a brand's name alone hints at: who makes most of what it is put
// on, or its owner; "" where it is no brand. A relation that had not begun on
// the day asked about counts for nothing; one that ended still does, for what
// was sold stays on the walls.
func (b badges) maker(brand string, on time.Time) string {
	relations := b.graph.Relations(brand, time.Time{})
	// Who is called like the brand is who it was all along: Bosch, before and
	// after its cameras were sold.
	slices.SortStableFunc(relations, func(x, y makers.Relation) int {
		if (x.MakerName == brand) == (y.MakerName == brand) {
			return 0
		}
		if x.MakerName == brand {
			return -1
		}
		return 1
	})
	for _, kinds := range [][]makers.Kind{{makers.OEMMost}, {makers.Own, makers.Subsidiary, makers.Former}} {
		for _, r := range relations {
			if slices.Contains(kinds, r.Kind) && (on.IsZero() || !on.Before(r.Since)) {
				return r.Maker
			}
		}
	}
	return ""
}

// own says whether a brand is the maker's own.
func (b badges) own(brand, maker string) bool {
	return slices.ContainsFunc(b.graph.Relations(brand, time.Time{}), func(r makers.Relation) bool {
		return r.Maker == maker && r.Kind != makers.OEMMost && r.Kind != makers.OEMSome
	})
}

// past says whether a brand is no longer put on devices: each of its relations
// has ended.
func (b badges) past(brand string) bool {
	relations := b.graph.Relations(brand, time.Time{})
	return len(relations) > 0 && !slices.ContainsFunc(relations, func(r makers.Relation) bool { return r.Until.IsZero() })
}

// confirms says whether a badge may confirm what the firmware's shape says of a
// maker: where nobody else is known to make devices of that name, or this maker
// makes most of them. What nobody verified confirms nothing: many a brand that
// seems to make its own is one whose maker nobody wrote down.
func (b badges) confirms(brand, maker string) bool {
	for _, r := range b.graph.Relations(brand, time.Time{}) {
		if r.Maker == maker && r.Verified && (r.Kind == makers.OEMMost || !b.graph.Rebadges(brand)) {
			return true
		}
	}
	return false
}

// manufacturerFields hold a manufacturer's name and nothing else; textFields may
// have a name among other words.
var (
	manufacturerFields = []string{"doc.manufacturer", "doc.vendor", "doc.root.brand.brand", "doc.manufacturername"}
	textFields         = []string{"http.title", "http.server", "http.realm", "rtsp.realm", "rtsp.server", "sdp.session", "tls.subject", "ftp", "telnet", "sip", "snmp.descr", "dhcp.vendor", "doc.friendlyname", "doc.modeldescription", "string", "ssdp.server", "hostname"}
)

// badge looks for a brand's name in one observation.
func (c *conclusion) badge(ev estate.Evidence, o observation) {
	b := c.engine.badges
	switch {
	case slices.Contains(manufacturerFields, o.field):
		c.manufacturer(ev, o.value)
	case o.field == "scope":
		c.scope(ev, o.value)
	case slices.Contains(textFields, o.field):
		for _, m := range b.words.FindAllStringSubmatch(o.value, 4) {
			brand := b.byWord[strings.ToLower(m[1])]
			c.addBadge(ev, badgeText, brand, o.value, c.engine.mixed(brand) && !videoWord.MatchString(o.value))
		}
	}
}

// scope reads the two places of ONVIF's scopes where a name stands.
func (c *conclusion) scope(ev estate.Evidence, value string) {
	head, rest, ok := strings.Cut(value, "/")
	if !ok {
		return
	}
	switch head {
	case "manufacturer", "mfr":
		c.manufacturer(ev, rest)
	case "name":
		if m := c.engine.badges.words.FindStringSubmatch(rest); m != nil {
			c.addBadge(ev, badgeText, c.engine.badges.byWord[strings.ToLower(m[1])], value, false)
		}
	case "acc":
		if name, ok := strings.CutPrefix(rest, "mfr/"); ok {
			c.manufacturer(ev, name)
		}
	}
}

// manufacturer reads a manufacturer's field: a brand that is known, or else the
// name as it stands, unless it is none.
func (c *conclusion) manufacturer(ev estate.Evidence, value string) {
	value = clean(value)
	brand, ok := c.engine.badges.graph.Brand(value)
	if !ok {
		if m := c.engine.badges.words.FindStringSubmatch(value); m != nil {
			brand, ok = c.engine.badges.byWord[strings.ToLower(m[1])], true
		}
	}
	if !ok {
		if noName.MatchString(value) {
			c.add(finding{reason: estate.Reason{Evidence: ev.ID, Fingerprint: "false-friends/no-name", Family: fingerprints.FamilyName, Grade: string(fingerprints.F), Saw: value, Source: "captures of rebranded cameras"}})
			return
		}
		brand = value
	}
	c.addBadge(ev, badgeManufacturer, brand, value, false)
}

// videoWord is said by video equipment, and by little else of those who sell both.
var videoWord = regexp.MustCompile(`(?i)camera|\bcam\b|video|\bdvr\b|\bnvr\b|surveillance|onvif|encoder|ipcam|\bipc\b`)

// showsVideo says whether evidence of this kind comes from video equipment alone.
func showsVideo(kind string) bool {
	for _, prefix := range []string{"rtsp", "onvif", "wsdiscovery", "isapi", "dahua", "sadp", "dhip", "axis", "oui+rtsp"} {
		if strings.HasPrefix(kind, prefix) {
			return true
		}
	}
	return false
}

// noName is what stands where the manufacturer's name was taken out: the name of
// a library, of a codec, or nothing.
var noName = regexp.MustCompile(`(?i)^(none|onvif\w*|h\.?26[45]\w*|general|ipc(am(era)?)?|ip[ _-]?cam(era)?|camera|nvr|dvr|std|network camera|unknown|n/?a|manufacturer|oem|null|private|default|ipnc|hd ?ipc|embedded.*)$`)

func (c *conclusion) addBadge(ev estate.Evidence, id, brand, saw string, mixed bool) {
	if brand == "" {
		return
	}
	c.add(finding{value: saw, mixed: mixed, reason: estate.Reason{
		Evidence: ev.ID, Fingerprint: id, Family: fingerprints.FamilyName, Grade: string(fingerprints.Badge),
		Maker: c.engine.badges.maker(brand, c.on), Brand: brand, Saw: clean(saw), Source: "the device's own word",
	}})
}

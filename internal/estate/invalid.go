package estate

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Invalid says which field cannot be taken and why. Code is a key for texts in
// people's languages; Error is for logs and the API.
type Invalid struct {
	Field string // as the column or the form calls it: "name", "site", "url", "mac", "organisation"
	Code  string
	Value string // what was given or what is allowed; never a secret
}

func (e *Invalid) Error() string {
	text := invalidTexts[e.Code]
	if strings.Contains(text, "%") {
		text = fmt.Sprintf(text, e.Value)
	}
	return fmt.Sprintf("%s: %s", strings.ReplaceAll(e.Field, "_", " "), text)
}

// InvalidCodes lists every code of [Invalid], for whoever holds the texts.
func InvalidCodes() []string {
	var codes []string
	for c := range invalidTexts {
		codes = append(codes, c)
	}
	return codes
}

var invalidTexts = map[string]string{
	"missing":        "nothing given",
	"too-long":       "too long: want at most %s bytes",
	"spaces":         "has spaces or invisible characters in it: want an address like rtsp://192.0.2.10/stream1",
	"scheme":         "begins with %q: want an address that begins with rtsp:// or rtsps://",
	"host":           "%q is no host name or address",
	"port":           "port %s: want 1 to 65535",
	"two-passwords":  "holds two different passwords",
	"duplicate":      "camera %q already has this address",
	"same-as-main":   "is the same as the main stream's",
	"invisible":      "has invisible characters in it",
	"letters":        "%q has no letter or digit in it",
	"transport":      "%q: want auto, tcp, udp or http",
	"retention":      "%s: want nothing, or at least one hour and 100 MB",
	"truth":          "%q: want yes or no",
	"unknown":        "%q does not exist",
	"duplicate-site": "%q exists already",
	"twice":          "%q is there twice",
	"columns":        "more than %s fields in the line",
	"column":         "column %q is not known: want name, site, url, sub_url, username, password, audio",
	"column-twice":   "column %q is there twice",
	"column-missing": "column %q is missing",
	"quotes":         "quotation marks do not match",
	"too-many-lines": "more than %s lines",
	"body":           "%q: want a country and a kind of body, such as uk.local-authority",
	"class":          "%q: want sensitive, ordinary or undetermined",
	"ring":           "%q stands below it",
	"deep":           "the tree of organisations has at most %s levels",
	"word":           "this is not among what can be chosen: %s",
	"purpose":        "%q: want small letters, digits and dashes, such as public-safety",
	"address":        "%q is no IP address",
	"too-many":       "more than %s",
	"certificate":    "%q: want the certificate's SHA-256, 64 hexadecimal digits",
	"cost":           "%s: want a whole number of the currency's smallest unit, and a currency of three letters such as GBP",
	"mac":            "%q: want a MAC address such as 00:40:8c:12:34:56",
	"known":          "device %q is the same: it has the same MAC address, serial number or certificate",
	"own-door":       "state, site and camera are not changed with the rest: adopt, move or remove the device",
	"camera-stays":   "camera %q streams from the device and its recordings belong to its site: remove the camera, move the device, add the camera there",
	"merge":          "%q cannot be merged: want a proposal, and a device that was not removed",
	"image":          "want a PNG, JPEG or WebP image of at most 20,000 pixels a side; SVG is not taken, because it can carry programs",
	"range":          "want %s",
	"column-unknown": "column %q is not known: docs/reference/estate.md lists them",
	"site-elsewhere": "site %q belongs to another",
	"same-line":      "it is the device of line %s again",
	"nothing-said":   "nothing in the line tells which device it is: want a name, an address, a MAC address, a serial number or a tag",
	"date":           "%q: want a date such as 2026-11-25, or with its time 2026-11-25T10:15:00Z",
	"format":         "%s",
	"ended":          "scan %s has ended",
	"cursor":         "this is no place in a list: begin at its first page",
	"not-adopted":    "device %q is not adopted on this site, or another camera streams from it",
	"recipient":      "%q is no age recipient",
	"identity":       "this is an identity, the secret half: it must never be given to the server. Treat it as exposed and make a new one",
}

// asInvalid returns the [Invalid] in err, or nil.
func asInvalid(err error) *Invalid {
	var i *Invalid
	errors.As(err, &i)
	return i
}

func invalid(field, code, value string) *Invalid {
	return &Invalid{Field: field, Code: code, Value: value}
}

// inField gives an error of a shared check the field it was about.
func inField(err error, field string) error {
	var i *Invalid
	if errors.As(err, &i) {
		return &Invalid{Field: field, Code: i.Code, Value: i.Value}
	}
	return err
}

const maxName = 80 // bytes

// cleanName trims a name that people read and checks it.
func cleanName(field, name string) (string, error) {
	name = strings.Join(strings.Fields(name), " ")
	switch {
	case name == "":
		return "", invalid(field, "missing", "")
	case len(name) > maxName:
		return "", invalid(field, "too-long", fmt.Sprint(maxName))
	case !utf8.ValidString(name) || strings.ContainsFunc(name, hidden):
		return "", invalid(field, "invisible", "")
	case !strings.ContainsFunc(name, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }):
		return "", invalid(field, "letters", name)
	}
	return name, nil
}

// hidden characters include those that turn the direction of writing: in a
// name they make one thing look like another.
func hidden(r rune) bool { return !unicode.IsPrint(r) }

// slug makes an ID of a name: [a-z0-9][a-z0-9-]{0,62} (see archive.StreamID),
// short enough to leave room for a number. A name without Latin letters gives
// what is in fallback.
func slug(name, fallback string) string {
	var b strings.Builder
	dash := false
	for _, r := range strings.ToLower(name) {
		word := fold(r)
		if word == "" {
			dash = b.Len() > 0
			continue
		}
		if b.Len()+len(word)+1 > 48 {
			break
		}
		if dash {
			b.WriteByte('-')
			dash = false
		}
		b.WriteString(word)
	}
	if b.Len() == 0 {
		return fallback
	}
	return b.String()
}

// fold writes a letter in a to z, or "" for what separates words.
func fold(r rune) string {
	if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
		return string(r)
	}
	return folded[r]
}

var folded = func() map[rune]string {
	m := map[rune]string{'ß': "ss", 'æ': "ae", 'œ': "oe", 'ø': "o", 'ł': "l", 'đ': "d", 'þ': "th"}
	for plain, accented := range map[string]string{
		"a": "àáâãäåāą", "c": "çćč", "e": "èéêëēęě", "i": "ìíîïī",
		"n": "ñńň", "o": "òóôõöōő", "s": "śšş", "u": "ùúûüūůű", "y": "ýÿ", "z": "źżž", "d": "ď", "g": "ğ", "r": "ř", "t": "ť",
	} {
		for _, r := range accented {
			m[r] = plain
		}
	}
	return m
}()

// cleanText trims a text that people read and may leave out.
func cleanText(field, text string, most int) (string, error) {
	text = strings.Join(strings.Fields(text), " ")
	switch {
	case len(text) > most:
		return "", invalid(field, "too-long", fmt.Sprint(most))
	case !utf8.ValidString(text) || strings.ContainsFunc(text, hidden):
		return "", invalid(field, "invisible", "")
	}
	return text, nil
}

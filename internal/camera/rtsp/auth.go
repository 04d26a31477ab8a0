package rtsp

import (
	"crypto/md5" //nolint:gosec // RFC 2617: most cameras know nothing else
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// maxChallenges is how many ways to log in a camera may offer.
const maxChallenges = 16

// Challenge is one way to log in that a camera offers (RFC 7616, RFC 7617).
type Challenge struct {
	Scheme    string // "basic" or "digest"
	Realm     string
	Nonce     string
	Opaque    string
	HasOpaque bool   // an empty opaque is echoed too (Axis)
	Algorithm string // as sent, "" if not
	QOP       bool   // qop=auth is offered
	Stale     bool
}

// hashName is the algorithm without "-sess", in capitals.
func (c *Challenge) hashName() (name string, session bool) {
	name = strings.ToUpper(c.Algorithm)
	if name == "" {
		return "MD5", false
	}
	name, session = strings.CutSuffix(name, "-SESS")
	return name, session
}

// strength orders challenges; 0 is one that we do not know.
func (c *Challenge) strength() int {
	if c.Scheme == "basic" {
		return 1
	}
	if c.Scheme != "digest" {
		return 0
	}
	switch name, _ := c.hashName(); name {
	case "MD5":
		return 2
	case "SHA-256":
		return 3
	case "SHA-512-256":
		return 4
	}
	return 0
}

// ParseChallenges reads WWW-Authenticate headers, each of which may hold several
// challenges (Basic realm="a", Digest realm="b", ...), strongest first.
func ParseChallenges(values []string) []Challenge {
	var all []Challenge
	for _, v := range values {
		all = appendChallenges(all, v)
	}
	all = slices.DeleteFunc(all, func(c Challenge) bool {
		return c.strength() == 0 || c.Scheme == "digest" && c.Nonce == ""
	})
	slices.SortStableFunc(all, func(a, b Challenge) int { return b.strength() - a.strength() })
	return all
}

func appendChallenges(all []Challenge, s string) []Challenge {
	for s != "" && len(all) <= maxChallenges {
		s = strings.TrimLeft(s, " \t,")
		end := strings.IndexAny(s, " \t,=")
		if end < 0 {
			end = len(s)
		}
		word := s[:end]
		rest := strings.TrimLeft(s[end:], " \t")
		if !strings.HasPrefix(rest, "=") { // a scheme; parameters follow
			if word != "" {
				all = append(all, Challenge{Scheme: strings.ToLower(word)})
			}
			if s = s[end:]; end == 0 && s != "" {
				s = s[1:]
			}
			continue
		}
		var value string
		value, s = cutValue(strings.TrimLeft(rest[1:], " \t"))
		if len(all) > 0 {
			all[len(all)-1].set(strings.ToLower(word), value)
		}
	}
	return all[:min(len(all), maxChallenges)]
}

// cutValue takes a token or a quoted string off the front of s.
func cutValue(s string) (value, rest string) {
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexAny(s, ",")
		if end < 0 {
			end = len(s)
		}
		return strings.TrimSpace(s[:end]), s[end:]
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case s[i] == '"':
			return b.String(), s[i+1:]
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), ""
}

func (c *Challenge) set(name, value string) {
	switch name {
	case "realm":
		c.Realm = value
	case "nonce":
		c.Nonce = value
	case "opaque":
		c.Opaque, c.HasOpaque = value, true
	case "algorithm":
		c.Algorithm = value
	case "stale":
		c.Stale = strings.EqualFold(value, "true")
	case "qop":
		for q := range strings.SplitSeq(value, ",") {
			c.QOP = c.QOP || strings.EqualFold(strings.TrimSpace(q), "auth")
		}
	}
}

// login answers challenges for one connection.
type login struct {
	user, password string
	use            *Challenge // what the camera was last found to want
	tried          []string   // what it has refused: scheme and algorithm
	count          uint32     // requests answered with use.Nonce
}

func (c *Challenge) kind() string { return c.Scheme + " " + strings.ToUpper(c.Algorithm) }

// challenged takes a 401 and reports whether it is worth asking again. It goes
// down the offers from the strongest, but never from Digest to Basic: that
// would let whoever stands between us and the camera ask for the password.
func (l *login) challenged(offers []Challenge) bool {
	if l.user == "" && l.password == "" {
		return false
	}
	if l.use != nil && !l.stale(offers) {
		l.tried = append(l.tried, l.use.kind())
	}
	for i, c := range offers {
		if slices.Contains(l.tried, c.kind()) {
			continue
		}
		if c.Scheme == "basic" && slices.ContainsFunc(l.tried, func(k string) bool { return strings.HasPrefix(k, "digest") }) {
			continue
		}
		l.use, l.count = &offers[i], 0
		return true
	}
	return false
}

// stale reports whether only the nonce is worn out, not the login wrong. Some
// cameras hand out a new nonce after each use of the old without saying stale,
// so an answer that was good before gets another chance, once.
func (l *login) stale(offers []Challenge) bool {
	for _, c := range offers {
		if c.kind() != l.use.kind() {
			continue
		}
		return c.Nonce != l.use.Nonce && (c.Stale || l.count > 1)
	}
	return false
}

// authorization is the header value for one request, or "" while none is wanted.
func (l *login) authorization(method, uri string) string {
	if l.use == nil {
		return ""
	}
	l.count++
	if l.use.Scheme == "basic" {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(l.user+":"+l.password))
	}
	var seed [16]byte
	_, _ = rand.Read(seed[:]) // never fails, see crypto/rand
	return l.use.digest(l.user, l.password, method, uri, l.count, hex.EncodeToString(seed[:]))
}

// Answer is the value of an Authorization header for one request, over RTSP or
// HTTP. Each request wants a challenge of its own, or its count would repeat.
func (c *Challenge) Answer(user, password, method, uri string) string {
	l := login{user: user, password: password, use: c}
	return l.authorization(method, uri)
}

// digest computes the answer of RFC 7616, 3.4.
func (c *Challenge) digest(user, password, method, uri string, count uint32, cnonce string) string {
	name, session := c.hashName()
	h := hasher(name)
	a1 := h(user + ":" + c.Realm + ":" + password)
	if session {
		a1 = h(a1 + ":" + c.Nonce + ":" + cnonce)
	}
	a2 := h(method + ":" + uri)
	nc := fmt.Sprintf("%08x", count)
	response := h(a1 + ":" + c.Nonce + ":" + a2)
	if c.QOP {
		response = h(a1 + ":" + c.Nonce + ":" + nc + ":" + cnonce + ":auth:" + a2)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s"`,
		quote(user), quote(c.Realm), quote(c.Nonce), quote(uri), response)
	if c.Algorithm != "" { // older cameras refuse what they did not ask for
		b.WriteString(", algorithm=" + token(c.Algorithm))
	}
	if c.HasOpaque {
		b.WriteString(`, opaque="` + quote(c.Opaque) + `"`)
	}
	if c.QOP {
		b.WriteString(`, qop=auth, nc=` + nc + `, cnonce="` + cnonce + `"`)
	} else if session {
		b.WriteString(`, cnonce="` + cnonce + `"`)
	}
	return b.String()
}

func hasher(name string) func(string) string {
	return func(s string) string {
		switch name {
		case "SHA-256":
			sum := sha256.Sum256([]byte(s))
			return hex.EncodeToString(sum[:])
		case "SHA-512-256":
			sum := sha512.Sum512_256([]byte(s))
			return hex.EncodeToString(sum[:])
		}
		sum := md5.Sum([]byte(s)) //nolint:gosec // see the import
		return hex.EncodeToString(sum[:])
	}
}

// quote makes s safe inside a quoted string.
func quote(s string) string {
	return strings.NewReplacer("\\", "\\\\", `"`, `\"`, "\r", "", "\n", "").Replace(s)
}

// token keeps of s what may stand in a token.
func token(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return -1
	}, s)
}

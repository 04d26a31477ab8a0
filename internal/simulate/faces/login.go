package faces

import (
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
	"time"
)

// Login is how a device asks for its password and judges the answer, over RTSP
// and HTTP alike (RFC 7616, RFC 7617).
type Login struct {
	User, Password string
	Realm          string

	// Challenges are the WWW-Authenticate headers of a refusal, as the maker
	// writes them, with {realm} and {nonce} to be filled in. Basic is accepted
	// where one of them offers it, and the hash is the one they name.
	Challenges []string
}

// Ask fills in the challenges of a refusal.
func (l Login) Ask(nonce string) []string {
	fill := strings.NewReplacer("{realm}", l.Realm, "{nonce}", nonce)
	out := make([]string, len(l.Challenges))
	for i, c := range l.Challenges {
		out[i] = fill.Replace(c)
	}
	return out
}

// offers reports whether a challenge of that scheme and hash was made.
func (l Login) offers(scheme string, sha bool) bool {
	for _, c := range l.Challenges {
		if strings.HasPrefix(c, scheme) && (scheme == "Basic" || strings.Contains(c, "SHA-256") == sha) {
			return true
		}
	}
	return false
}

// Allows judges an Authorization header, given the nonce that was asked with.
func (l Login) Allows(method, header, nonce string) bool {
	scheme, rest, _ := strings.Cut(header, " ")
	switch strings.ToLower(scheme) {
	case "basic":
		if !l.offers("Basic", false) {
			return false
		}
		got, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest))
		return err == nil && same(string(got), l.User+":"+l.Password)
	case "digest":
		p := authParams(rest)
		sha := strings.EqualFold(p["algorithm"], "SHA-256")
		if p["username"] != l.User || p["realm"] != l.Realm || p["nonce"] != nonce || !l.offers("Digest", sha) {
			return false
		}
		return same(strings.ToLower(p["response"]), l.response(method, nonce, p, sha))
	}
	return false
}

// response computes what the client should have sent.
func (l Login) response(method, nonce string, p map[string]string, sha bool) string {
	h := func(s string) string {
		var d hash.Hash = md5.New()
		if sha {
			d = sha256.New()
		}
		d.Write([]byte(s))
		return hex.EncodeToString(d.Sum(nil))
	}
	a1 := h(l.User + ":" + l.Realm + ":" + l.Password)
	a2 := h(method + ":" + p["uri"])
	if p["qop"] != "" {
		return h(strings.Join([]string{a1, nonce, p["nc"], p["cnonce"], p["qop"], a2}, ":"))
	}
	return h(a1 + ":" + nonce + ":" + a2)
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// authParams splits key="value", key=value lists. Commas inside quotes stay.
func authParams(s string) map[string]string {
	out := map[string]string{}
	for s != "" && len(out) < 32 {
		var key, value string
		var ok bool
		if key, s, ok = strings.Cut(s, "="); !ok {
			break
		}
		key = strings.ToLower(strings.Trim(key, " ,\t"))
		if strings.HasPrefix(s, `"`) {
			value, s, _ = strings.Cut(s[1:], `"`)
		} else {
			value, s, _ = strings.Cut(s, ",")
			value = strings.TrimSpace(value)
		}
		out[key] = value
	}
	return out
}

// Nonce makes a nonce of a shape: "hex" and "HEX" are 32 digits, "base64" is
// their text encoded once more, "decimal" is nine digits, "clock" begins with a
// counter and the time, anything else is a word.
func Nonce(shape string) string {
	b := make([]byte, 20)
	rand.Read(b)
	switch shape {
	case "hex":
		return hex.EncodeToString(b[:16])
	case "HEX":
		return strings.ToUpper(hex.EncodeToString(b[:16]))
	case "base64":
		return base64.StdEncoding.EncodeToString([]byte(hex.EncodeToString(b[:16])))
	case "decimal":
		return fmt.Sprintf("%09d", (uint32(b[0])<<24|uint32(b[1])<<16|uint32(b[2])<<8|uint32(b[3]))%1e9)
	case "clock":
		return fmt.Sprintf("%08xY%06d%s", 0x10000+int(b[0]), time.Now().UnixMicro()%1e6, hex.EncodeToString(b[:16]))
	}
	return strings.ToLower(base32.StdEncoding.EncodeToString(b))
}

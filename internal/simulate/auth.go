package simulate

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
)

// loginKind is how a camera asks for the password.
type loginKind int

const (
	digestMD5 loginKind = iota
	digestSHA256
	basicAndDigest
)

type login struct {
	kind           loginKind
	user, password string
	realm          string
}

// challenges are the WWW-Authenticate headers of a refusal (RFC 7616, RFC 7617).
func (l login) challenges(nonce string) []string {
	switch l.kind {
	case digestSHA256:
		return []string{fmt.Sprintf(`Digest realm=%q, nonce=%q, algorithm=SHA-256, qop="auth"`, l.realm, nonce)}
	case basicAndDigest:
		return []string{
			fmt.Sprintf(`Basic realm=%q`, l.realm),
			fmt.Sprintf(`Digest realm=%q, nonce=%q`, l.realm, nonce),
		}
	default:
		return []string{fmt.Sprintf(`Digest realm=%q, nonce=%q`, l.realm, nonce)}
	}
}

// allows judges an Authorization header. The nonce is the connection's.
func (l login) allows(method, header, nonce string) bool {
	scheme, rest, _ := strings.Cut(header, " ")
	switch strings.ToLower(scheme) {
	case "basic":
		if l.kind != basicAndDigest {
			return false
		}
		got, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest))
		return err == nil && same(string(got), l.user+":"+l.password)
	case "digest":
		p := authParams(rest)
		if p["username"] != l.user || p["realm"] != l.realm || p["nonce"] != nonce {
			return false
		}
		if (l.kind == digestSHA256) != strings.EqualFold(p["algorithm"], "SHA-256") {
			return false
		}
		return same(strings.ToLower(p["response"]), l.response(method, nonce, p))
	}
	return false
}

// response computes what the client should have sent.
func (l login) response(method, nonce string, p map[string]string) string {
	h := func(s string) string {
		var d hash.Hash = md5.New()
		if l.kind == digestSHA256 {
			d = sha256.New()
		}
		d.Write([]byte(s))
		return hex.EncodeToString(d.Sum(nil))
	}
	a1 := h(l.user + ":" + l.realm + ":" + l.password)
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

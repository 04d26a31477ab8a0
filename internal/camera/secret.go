package camera

import (
	"errors"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// Secret is a password. It prints as "redacted"; only Reveal gives it away.
type Secret string

func (Secret) String() string { return "redacted" }

// GoString keeps the secret out of %#v.
func (Secret) GoString() string { return "redacted" }

// LogValue keeps the secret out of logs.
func (Secret) LogValue() slog.Value { return slog.StringValue("redacted") }

// MarshalText keeps the secret out of JSON.
func (Secret) MarshalText() ([]byte, error) { return []byte("redacted"), nil }

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// SplitURL takes the login out of a pasted camera address. Its errors never hold
// the address, which may hold a password.
func SplitURL(raw string) (clean, user string, password Secret, err error) {
	scheme, rest, ok := strings.Cut(strings.TrimSpace(raw), "://")
	scheme = strings.ToLower(scheme)
	if !ok || scheme != "rtsp" && scheme != "rtsps" {
		return "", "", "", errors.New("camera address: want it to begin with rtsp:// or rtsps://")
	}
	// Only a slash ends the login: people put "?" and "#" into passwords.
	authority, path, slash := strings.Cut(rest, "/")
	if slash {
		path = "/" + path
	}
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		name, pass, _ := strings.Cut(authority[:i], ":")
		user, password = unescape(name), Secret(unescape(pass))
		authority = authority[i+1:]
	}
	if i := strings.IndexAny(authority, "?#"); i >= 0 && !slash {
		authority, path = authority[:i], authority[i:]
	}
	if !validAuthority(authority) {
		return "", "", "", errors.New("camera address: want a host name or IP address, with or without a port, after " + scheme + "://")
	}
	if strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", "", "", errors.New("camera address: want no control characters")
	}
	return scheme + "://" + authority + path, user, password, nil
}

// unescape decodes %40 and the like; a text that is not so encoded stays as it is.
func unescape(s string) string {
	if t, err := url.PathUnescape(s); err == nil {
		return t
	}
	return s
}

func validAuthority(s string) bool {
	host := s
	if h, port, err := net.SplitHostPort(s); err == nil {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return false
		}
		host = h
	} else if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		host = s[1 : len(s)-1]
	} else if strings.Contains(s, ":") {
		return false
	}
	return host != "" && !strings.ContainsFunc(host, func(r rune) bool {
		return r <= ' ' || r == 0x7f || strings.ContainsRune(`/\@?#"<>[]`, r)
	})
}

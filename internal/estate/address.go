package estate

import (
	"net"
	"net/url"
	"strconv"
	"strings"
	"unicode"
)

// maxAddress bounds a camera's address, in bytes.
const maxAddress = 2048

// passwordMark stands in a stored address where the camera wants its password.
const passwordMark = "{password}"

// SplitAddress takes the login out of an address as a person pastes it. It is
// forgiving where people are careless (a password with "@" or "/" in it that
// nobody escaped) and strict in what it returns: rtsp or rtsps, a host, no
// login, no spaces.
func SplitAddress(raw string) (clean, user string, password Secret, err error) {
	raw = strings.TrimSpace(raw)
	switch {
	case raw == "":
		return "", "", "", invalid("url", "missing", "")
	case len(raw) > maxAddress:
		return "", "", "", invalid("url", "too-long", strconv.Itoa(maxAddress))
	case strings.ContainsFunc(raw, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == unicode.ReplacementChar }):
		return "", "", "", invalid("url", "spaces", "")
	}
	scheme, rest, ok := strings.Cut(raw, "://")
	scheme = strings.ToLower(scheme)
	if !ok || scheme != "rtsp" && scheme != "rtsps" {
		return "", "", "", invalid("url", "scheme", schemeOf(raw))
	}
	login, rest := cutLogin(rest)
	user, word, _ := strings.Cut(login, ":")
	user, word = unescape(user), unescape(word)
	hostport, path := rest, ""
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		hostport, path = rest[:i], rest[i:]
	}
	hostport, err = checkHost(scheme, hostport)
	if err != nil {
		return "", "", "", err
	}
	path, inPath := cutPathPassword(path)
	if word == "" {
		word = inPath
	} else if inPath != "" && inPath != word {
		// Two passwords: the path's must stay what it is, or the camera refuses.
		return "", "", "", invalid("url", "two-passwords", "")
	}
	return scheme + "://" + hostport + path, user, Secret(word), nil
}

// schemeOf names what was there instead, without quoting a whole address that
// may hold a password.
func schemeOf(raw string) string {
	if s, _, ok := strings.Cut(raw, "://"); ok && len(s) < 12 {
		return s
	}
	return ""
}

// cutLogin splits "user:password@" from what follows. The login ends at the
// last "@" before the path; when what stands before the first "/" is no host
// and port, the "/" belongs to the password.
func cutLogin(rest string) (login, after string) {
	authority := rest
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		authority = rest[:i]
	}
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		return rest[:i], rest[i+1:]
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 && !plausibleHost(authority) {
		return rest[:i], rest[i+1:]
	}
	return "", rest
}

func plausibleHost(s string) bool {
	_, err := checkHost("rtsp", s)
	return err == nil
}

// unescape undoes percent escapes when the whole is well-formed; a bare "%"
// is part of a password.
func unescape(s string) string {
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}

// checkHost returns host and port in lower case, without the scheme's own port.
func checkHost(scheme, hostport string) (string, error) {
	u, err := url.Parse(scheme + "://" + hostport + "/")
	if err != nil || u.User != nil || u.Host != hostport {
		return "", invalid("url", "host", hostport)
	}
	host, port := strings.ToLower(u.Hostname()), u.Port()
	if !goodHost(host) || strings.HasSuffix(hostport, ":") {
		return "", invalid("url", "host", hostport)
	}
	if port != "" {
		n, err := strconv.Atoi(port)
		if err != nil || n < 1 || n > 65535 {
			return "", invalid("url", "port", port)
		}
		port = strconv.Itoa(n)
	}
	if scheme == "rtsp" && port == "554" || scheme == "rtsps" && port == "322" {
		port = ""
	}
	switch {
	case port != "":
		return net.JoinHostPort(host, port), nil
	case strings.Contains(host, ":"):
		return "[" + host + "]", nil
	default:
		return host, nil
	}
}

func goodHost(host string) bool {
	if host == "" || len(host) > 253 {
		return false
	}
	if strings.Contains(host, ":") {
		ip, _, _ := strings.Cut(host, "%")
		return net.ParseIP(ip) != nil
	}
	for _, r := range host {
		if !(r == '.' || r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r)) {
			return false
		}
	}
	return true
}

// cutPathPassword replaces a password that some cameras want in their path or
// query ("/user=admin_password=abc_channel=1", "?user=admin&pwd=abc") by a
// mark, so that it is sealed like any other.
func cutPathPassword(path string) (marked, password string) {
	lower := strings.ToLower(path)
	for _, key := range []string{"password=", "passwd=", "pwd="} {
		i := strings.Index(lower, key)
		if i < 0 || i > 0 && !strings.ContainsRune("/?&_;", rune(lower[i-1])) {
			continue
		}
		i += len(key)
		end := len(path)
		stops := "&;/"
		if strings.Contains(lower[:i], "user=") && strings.ContainsRune(lower[:i], '_') {
			stops = "&;/_"
		}
		if n := strings.IndexAny(path[i:], stops); n >= 0 {
			end = i + n
		}
		if end == i || path[i:end] == passwordMark {
			return path, ""
		}
		return path[:i] + passwordMark + path[end:], path[i:end]
	}
	return path, ""
}

package rtsp

import (
	"fmt"
	"net"
	"strings"
)

// address is the place of a stream. The part after the host is kept as text:
// cameras put into it what no URL parser takes, and want it back byte for byte.
type address struct {
	secure bool
	host   string // name or IP, without brackets
	port   string // "" where not said
	rest   string // path and query, "" or with a leading "/" or "?"
}

// parseAddress reads an rtsp or rtsps address. Credentials are dropped: TP-Link
// refuses a digest whose URI holds them, and they would be sent in the clear.
func parseAddress(s string) (address, error) {
	scheme, rest, ok := strings.Cut(strings.TrimSpace(s), "://")
	a := address{}
	switch strings.ToLower(scheme) {
	case "rtsp", "rtspu", "rtspt", "rtsph":
	case "rtsps":
		a.secure = true
	default:
		ok = false
	}
	if !ok {
		return a, fmt.Errorf("stream address: want it to begin with rtsp:// or rtsps://")
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority := rest[:end]
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		authority = authority[i+1:]
	}
	a.rest = strings.Map(printable, rest[end:])
	a.host, a.port = authority, ""
	if host, port, err := net.SplitHostPort(authority); err == nil {
		a.host, a.port = host, port
	}
	a.host = strings.Trim(a.host, "[]")
	if a.host == "" || strings.ContainsFunc(a.host, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return a, fmt.Errorf("stream address: want a host name or IP address after rtsp://")
	}
	return a, nil
}

// printable drops what would end a request line or its address.
func printable(r rune) rune {
	if r <= ' ' || r == 0x7f {
		return -1
	}
	return r
}

func (a address) String() string {
	scheme := "rtsp://"
	if a.secure {
		scheme = "rtsps://"
	}
	return scheme + a.authority() + a.rest
}

func (a address) authority() string {
	host := a.host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if a.port != "" {
		host += ":" + a.port
	}
	return host
}

// dial is what to connect to, with the scheme's port where none is said.
func (a address) dial() string {
	port := a.port
	if port == "" {
		port = "554"
		if a.secure {
			port = "322"
		}
	}
	return net.JoinHostPort(a.host, port)
}

// at takes path and query from what the camera calls s and leaves host, port
// and scheme ours. ok is false where s is no address of a stream. Where the
// camera names our host, its spelling is kept: some compare strings.
func (a address) at(s string) (address, bool) {
	s = strings.TrimSpace(s)
	b, err := parseAddress(s)
	if err != nil {
		// Anjvision leaves out the scheme: "192.168.1.10:554/stream0/".
		host, _, slash := strings.Cut(s, "/")
		if strings.Contains(s, "://") || !slash || !strings.ContainsAny(host, ".:") {
			return a, false
		}
		if b, err = parseAddress("rtsp://" + s); err != nil {
			return a, false
		}
	}
	if strings.EqualFold(b.host, a.host) {
		a.port = b.port
	}
	a.rest = b.rest
	return a, true
}

// join is the address of a control attribute below base a.
func (a address) join(control string) address {
	control = strings.TrimSpace(control)
	if control == "" || control == "*" {
		return a
	}
	if strings.Contains(control, "://") {
		b, ok := a.at(control)
		if !ok {
			return a
		}
		return b
	}
	control = strings.Map(printable, control)
	path, _, _ := strings.Cut(a.rest, "?")
	switch {
	case strings.HasPrefix(control, "/") && len(path) > 1 && strings.HasPrefix(control, path):
		a.rest = control // absolute path
	case strings.HasSuffix(a.rest, "/") || strings.HasPrefix(control, "?"):
		a.rest += strings.TrimPrefix(control, "/")
	default:
		// The track goes after the query too: Dahua, Hikvision and GW expect
		// it there, whatever RFC 3986 says.
		a.rest += "/" + strings.TrimPrefix(control, "/")
	}
	return a
}

package identify

import (
	"crypto/x509"
	"encoding/pem"
	"html"
	"regexp"
	"strings"
)

// maxHeaders bounds the headers of one answer.
const maxHeaders = 200

// readMessage reads an answer of HTTP, RTSP or SSDP: fields PROTOCOL.status,
// .server, .realm, .auth, .cookie, .location, .header and the body's own.
func readMessage(o *observations, protocol, value string) {
	head, body := cutHead(value)
	n := 0
	for line := range strings.Lines(head) {
		if line = strings.TrimRight(line, "\r\n"); line == "" {
			continue
		}
		if n++; n > maxHeaders {
			break
		}
		name, rest, ok := strings.Cut(line, ":")
		if !ok || n == 1 && strings.Contains(name, "/") && strings.Contains(name, " ") {
			o.add(protocol+".status", line)
			continue
		}
		o.add(protocol+".header", line)
		readHeader(o, protocol, strings.ToLower(strings.TrimSpace(name)), rest)
	}
	if protocol == "rtsp" {
		readSDP(o, body)
		return
	}
	readBody(o, body)
}

func readHeader(o *observations, protocol, name, value string) {
	switch name {
	case "server", "public", "location", "usn", "st", "nt":
		o.add(protocol+"."+name, value)
	case "www-authenticate":
		readAuthenticate(o, protocol, value)
	case "set-cookie":
		o.add(protocol+".cookie", value)
	case "date":
		// Blanks before the date are a habit of some servers.
		o.add(protocol+".date", "|"+strings.TrimRight(value, " \r\n"))
	case "content-base", "content-location", "rtp-info":
		readURI(o, value)
	}
}

// cutHead parts the headers from the body at the first empty line.
func cutHead(value string) (head, body string) {
	for _, gap := range []string{"\r\n\r\n", "\n\n"} {
		if head, body, ok := strings.Cut(value, gap); ok {
			return head, body
		}
	}
	return value, ""
}

var (
	realmPattern = regexp.MustCompile(`(?i)\brealm\s*=\s*(?:"([^"]*)"|([^\s,"]+))`)
	titlePattern = regexp.MustCompile(`(?is)<title[^>]*>(.{0,1000}?)(?:</title|$)`)
	hexMAC       = regexp.MustCompile(`(?i)^(?:AXIS_(?:WS_)?)?([0-9a-f]{12})$`)
)

// readAuthenticate reads one WWW-Authenticate header, its name before it or not.
// A realm that is a hardware address is one.
func readAuthenticate(o *observations, protocol, value string) {
	value = strings.TrimSpace(value)
	if name, rest, ok := strings.Cut(value, ":"); ok && strings.EqualFold(name, "WWW-Authenticate") {
		value = strings.TrimSpace(rest)
	}
	o.add(protocol+".auth", value)
	for _, m := range realmPattern.FindAllStringSubmatch(value, 8) {
		realm := m[1] + m[2]
		o.add(protocol+".realm", realm)
		if mac := hexMAC.FindStringSubmatch(realm); mac != nil {
			readMAC(o, mac[1])
		}
	}
}

// readBody reads the beginning of a page, or of a document.
func readBody(o *observations, body string) {
	trimmed := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(body), "\ufeff"))
	if trimmed == "" {
		return
	}
	o.add("http.body", trimmed)
	if m := titlePattern.FindStringSubmatch(trimmed); m != nil {
		o.add("http.title", html.UnescapeString(strings.Join(strings.Fields(m[1]), " ")))
	}
	low := strings.ToLower(trimmed[:min(len(trimmed), 200)])
	if strings.HasPrefix(low, "<?xml") || strings.HasPrefix(low, "{") {
		readDocument(o, trimmed)
	}
}

// readSDP reads a session description: fields sdp (the whole), sdp.session,
// sdp.origin, sdp.info and sdp.attribute.
func readSDP(o *observations, value string) {
	value = strings.TrimSpace(value)
	if value == "" {
		return
	}
	o.add("sdp", value)
	n := 0
	for line := range strings.Lines(value) {
		if n++; n > maxHeaders {
			break
		}
		line = strings.TrimSpace(line)
		if len(line) < 3 || line[1] != '=' {
			continue
		}
		switch rest := line[2:]; line[0] {
		case 's':
			o.add("sdp.session", rest)
		case 'o':
			o.add("sdp.origin", rest)
		case 'i':
			o.add("sdp.info", rest)
		case 'a':
			o.add("sdp.attribute", rest)
			if control, ok := strings.CutPrefix(rest, "control:"); ok && strings.Contains(control, "://") {
				readURI(o, control)
			}
		}
	}
}

// readFTP reads a greeting without its reply codes.
func readFTP(o *observations, value string) {
	var lines []string
	for line := range strings.Lines(value) {
		line = strings.TrimSpace(line)
		if len(line) >= 4 && isDigits(line[:3]) && (line[3] == ' ' || line[3] == '-') {
			line = strings.TrimSpace(line[4:])
		}
		if line != "" {
			lines = append(lines, line)
		}
		if len(lines) > maxHeaders {
			break
		}
	}
	o.add("ftp", strings.Join(lines, "\n"))
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// readCertificate reads PEM, DER, or text that names a subject and an issuer.
func readCertificate(o *observations, value string) {
	der := []byte(value)
	if block, _ := pem.Decode(der); block != nil {
		der = block.Bytes
	}
	cert, err := x509.ParseCertificate(der)
	if err == nil {
		o.add("tls.subject", cert.Subject.String())
		o.add("tls.issuer", cert.Issuer.String())
		return
	}
	for line := range strings.Lines(value) {
		name, rest, ok := strings.Cut(line, ":")
		switch {
		case ok && strings.EqualFold(strings.TrimSpace(name), "subject"):
			o.add("tls.subject", rest)
		case ok && strings.EqualFold(strings.TrimSpace(name), "issuer"):
			o.add("tls.issuer", rest)
		case strings.Contains(line, "CN=") || strings.Contains(line, "O="):
			o.add("tls.subject", line)
		}
	}
}

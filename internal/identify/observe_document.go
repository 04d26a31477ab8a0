package identify

import (
	"encoding/json"
	"html"
	"net/url"
	"regexp"
	"strings"
)

// readDocument reads XML or JSON, whole, cut short or a fragment. An element, an
// attribute or a member NAME becomes the field doc.name, and what stands in them
// is looked through for scopes, addresses and paths.
func readDocument(o *observations, value string) {
	trimmed := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(value), "\ufeff"))
	switch {
	case strings.HasPrefix(trimmed, "{"), strings.HasPrefix(trimmed, "["):
		readJSON(o, trimmed)
	case strings.Contains(trimmed, "<"):
		readXML(o, trimmed)
	default:
		readLines(o, trimmed)
	}
}

// document adds one named value of a document.
func document(o *observations, name, value string) {
	if value = strings.TrimSpace(value); value == "" {
		return
	}
	name = strings.ToLower(name)
	o.add("doc."+name, value)
	switch {
	case name == "scopes" || name == "scopeitem":
		readScopes(o, value)
	case name == "address" && uuidMAC.MatchString(value):
		readMAC(o, uuidMAC.FindStringSubmatch(value)[1])
	case name == "hwaddress" || name == "macaddress" || name == "mac" || name == "physaddress":
		readMAC(o, value)
	case strings.HasPrefix(value, "rtsp://"), strings.HasPrefix(value, "http://"), strings.HasPrefix(value, "https://"):
		if !strings.HasPrefix(name, "@xmlns") {
			readURI(o, value)
		}
	}
}

// readXML is no XML parser, and that is its point: devices send XML that no
// parser takes, and nothing here expands an entity or nests. It walks from tag
// to tag and takes the text between a tag and the next.
func readXML(o *observations, value string) {
	for len(o.list) < maxObservations {
		_, rest, ok := strings.Cut(value, "<")
		if !ok {
			return
		}
		switch {
		case strings.HasPrefix(rest, "!--"):
			_, value, _ = strings.Cut(rest, "-->")
			continue
		case strings.HasPrefix(rest, "![CDATA["), strings.HasPrefix(rest, "!"), strings.HasPrefix(rest, "?"), strings.HasPrefix(rest, "/"):
			_, value, _ = strings.Cut(rest, ">")
			continue
		}
		tag, after, ok := strings.Cut(rest, ">")
		if !ok {
			return
		}
		value = after
		readTag(o, tag, after)
	}
}

func readTag(o *observations, tag, after string) {
	name, attributes, _ := strings.Cut(tag, " ")
	name = strings.TrimRight(strings.TrimSpace(name), "/\r\n\t")
	if i := strings.IndexAny(name, "\r\n\t"); i >= 0 {
		name, attributes = name[:i], name[i:]+" "+attributes
	}
	for _, m := range attributePattern.FindAllStringSubmatch(attributes, 100) {
		if m[1] == "xmlns" || strings.HasPrefix(m[1], "xmlns:") {
			o.add("doc.namespace", m[2]+m[3])
			continue
		}
		document(o, "@"+local(m[1]), html.UnescapeString(m[2]+m[3]))
	}
	text, _, _ := strings.Cut(after, "<")
	if cdata, ok := strings.CutPrefix(after, "<![CDATA["); ok {
		text, _, _ = strings.Cut(cdata, "]]>")
	}
	if len(text) > maxObserved {
		text = text[:maxObserved]
	}
	o.add("doc.element", local(name))
	document(o, local(name), html.UnescapeString(text))
}

var attributePattern = regexp.MustCompile(`([A-Za-z_][\w:.-]*)\s*=\s*(?:"([^"]*)"|'([^']*)')`)

// uuidMAC is a UUID whose last part may be the device's address: of random ones
// hardly one in a thousand falls into a known prefix, and a prefix alone hints.
var uuidMAC = regexp.MustCompile(`(?i)^(?:urn:)?uuid:[0-9a-f]{8}-[0-9a-f]{4}-1[0-9a-f]{3}-[0-9a-f]{4}-([0-9a-f]{12})$`)

// local is a name without its prefix.
func local(name string) string {
	return name[strings.LastIndexByte(name, ':')+1:]
}

// readJSON walks the tokens, so that what is cut short is read as far as it goes,
// and depth costs nothing.
func readJSON(o *observations, value string) {
	d := json.NewDecoder(strings.NewReader(value))
	d.UseNumber()
	var (
		name string
		// inObject says for each open bracket whether it is an object's.
		inObject []bool
		wantName bool
	)
	for len(o.list) < maxObservations {
		token, err := d.Token()
		if err != nil {
			return
		}
		object := len(inObject) > 0 && inObject[len(inObject)-1]
		switch t := token.(type) {
		case json.Delim:
			switch t {
			case '{', '[':
				if len(inObject) > 64 {
					return
				}
				inObject = append(inObject, t == '{')
				wantName = t == '{'
				continue
			default:
				inObject = inObject[:len(inObject)-1]
				wantName = len(inObject) > 0 && inObject[len(inObject)-1]
				continue
			}
		case string:
			if object && wantName {
				name, wantName = t, false
				continue
			}
			jsonMember(o, name, t)
		case json.Number:
			jsonMember(o, name, t.String())
		case bool:
			if t {
				jsonMember(o, name, "true")
			} else {
				jsonMember(o, name, "false")
			}
		}
		wantName = object
	}
}

func jsonMember(o *observations, name, value string) {
	if strings.HasPrefix(name, "@xmlns") {
		o.add("doc.namespace", value)
		return
	}
	document(o, name, value)
}

// readScopes reads ONVIF scopes separated by white space: field scope, as
// "name/Dahua" where they are ONVIF's own, whole where they are not.
func readScopes(o *observations, value string) {
	for i, s := range strings.Fields(value) {
		if i > maxHeaders {
			return
		}
		if decoded, err := url.PathUnescape(s); err == nil {
			s = decoded
		}
		own, ok := strings.CutPrefix(s, "onvif://www.onvif.org/")
		if !ok {
			o.add("scope", s)
			continue
		}
		o.add("scope", own)
		if parts := strings.Split(own, "/"); len(parts) > 1 && strings.EqualFold(parts[len(parts)-2], "mac") {
			readMAC(o, parts[len(parts)-1])
		}
	}
}

// readLines reads "name=value" or "name: value" lines as a document's members.
func readLines(o *observations, value string) {
	n := 0
	for line := range strings.Lines(value) {
		if n++; n > maxHeaders {
			return
		}
		line = strings.TrimSpace(line)
		i := strings.IndexAny(line, "=:")
		if i <= 0 {
			continue
		}
		document(o, strings.TrimSpace(line[:i]), line[i+1:])
	}
}

// readURI reads an address, or a path alone: fields path, with the query, and
// uri.port.
func readURI(o *observations, value string) {
	value = strings.TrimSpace(html.UnescapeString(value))
	if i := strings.Index(value, "://"); i >= 0 {
		host := value[i+3:]
		at := strings.IndexAny(host, "/?")
		if at < 0 {
			at = len(host)
		}
		authority := host[strings.LastIndexByte(host[:at], '@')+1 : at]
		if j := strings.LastIndexByte(authority, ':'); j >= 0 {
			o.add("uri.port", authority[j+1:])
		}
		value = host[at:]
	}
	if value != "" && value != "/" {
		o.add("path", value)
	}
}

// Package imports turns other people's data into fingerprints and prefixes: the
// IEEE's list of hardware addresses, and recog's XML.
//
// Begin with [Read], which tells what a file is. What an operator imports hints
// and no more: neither source tells a badge from a maker.
package imports

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/watchward/watchward/internal/identify/fingerprints"
	"github.com/watchward/watchward/internal/identify/makers"
)

// MaxFile bounds a file: the IEEE's list has some 6 MiB.
const MaxFile = 32 << 20

// maxPrints bounds the fingerprints of one file; recog's largest has 700.
const maxPrints = 5000

// Result is what a file brought.
type Result struct {
	What     string // "IEEE list", "recog http_header.server"
	Prints   []fingerprints.Fingerprint
	Prefixes []fingerprints.Prefix
	// Read counts what stood in the file, Foreign what is of no maker in the
	// graph, and Skipped says of each other thing that was left out, why.
	Read, Foreign int
	Skipped       []string
}

// Read reads a file of a kind that it finds out. Name is the file's, without
// folders, and becomes part of the fingerprints' IDs.
func Read(name string, text []byte, set *fingerprints.Set, graph *makers.Graph) (Result, error) {
	head := string(text[:min(len(text), 4096)])
	switch {
	case strings.Contains(head, "Organization Name") && strings.Contains(head, "Assignment"):
		return readOUITable(text, set)
	case strings.Contains(head, "(hex)") && strings.Contains(head, "(base 16)"):
		return readOUIText(text, set), nil
	case strings.Contains(head, "<fingerprints"):
		return readRecog(name, text, graph)
	}
	return Result{}, fmt.Errorf("import %q: want the IEEE's oui.txt or oui.csv, recog's XML, or a data bundle", name)
}

// owners finds the maker of a company by how the registry writes it. A company
// that was never in the table is not guessed at.
type owners map[string]fingerprints.Prefix

func ownersOf(set *fingerprints.Set) owners {
	o := owners{}
	for _, p := range set.Prefixes() {
		o[foldCompany(p.Owner)] = p
	}
	return o
}

func (o owners) add(r *Result, bits, owner string) {
	r.Read++
	known, ok := o[foldCompany(owner)]
	if !ok {
		r.Foreign++
		return
	}
	r.Prefixes = append(r.Prefixes, fingerprints.Prefix{Bits: bits, Maker: known.Maker, Owner: strings.TrimSpace(owner), Mixed: known.Mixed})
}

// foldCompany makes spellings of one company equal: "Co.,Ltd." and "CO., LTD".
func foldCompany(s string) string {
	s = strings.Map(func(r rune) rune {
		if strings.ContainsRune(" .,()-_&'\"", r) {
			return -1
		}
		return r
	}, strings.ToLower(s))
	for _, ending := range []string{"ltd", "limited", "inc", "corp", "corporation", "co", "llc", "gmbh", "ag", "ab"} {
		if t := strings.TrimSuffix(s, ending); len(t) > 4 {
			s = t
		}
	}
	return s
}

var (
	hexLine = regexp.MustCompile(`^([0-9A-F]{2})-([0-9A-F]{2})-([0-9A-F]{2})\s+\(hex\)\s+(.+)$`)
	bits    = regexp.MustCompile(`^(?:[0-9A-F]{6}|[0-9A-F]{7}|[0-9A-F]{9})$`)
)

func readOUIText(text []byte, set *fingerprints.Set) Result {
	r := Result{What: "IEEE list"}
	known := ownersOf(set)
	for line := range bytes.Lines(text) {
		if m := hexLine.FindStringSubmatch(strings.TrimSpace(string(line))); m != nil {
			known.add(&r, m[1]+m[2]+m[3], m[4])
		}
	}
	return r
}

func readOUITable(text []byte, set *fingerprints.Set) (Result, error) {
	r := Result{What: "IEEE list"}
	known := ownersOf(set)
	rows := csv.NewReader(bytes.NewReader(text))
	rows.FieldsPerRecord = -1
	rows.LazyQuotes = true
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return r, nil
		}
		if err != nil {
			return r, fmt.Errorf("read IEEE list: %w", err)
		}
		line, _ := rows.FieldPos(0)
		switch {
		case len(row) < 3:
			r.Skipped = append(r.Skipped, fmt.Sprintf("line %d: %d columns: want at least 3", line, len(row)))
		case row[1] == "Assignment":
		case !bits.MatchString(strings.ToUpper(row[1])):
			r.Skipped = append(r.Skipped, fmt.Sprintf("line %d: assignment %.20q: want 6, 7 or 9 hexadecimal digits", line, row[1]))
		default:
			known.add(&r, strings.ToUpper(row[1]), row[2])
		}
	}
}

// recogFields says where each of recog's files looks, as kinds of evidence and
// fields of ours.
var recogFields = map[string][2]string{
	"http_header.server":           {"http-server", "http.server"},
	"html_title":                   {"http-title", "http.title"},
	"http_header.wwwauth":          {"http-www-authenticate", "http.auth"},
	"http_header.www-authenticate": {"http-www-authenticate", "http.auth"},
	"http_header.cookie":           {"http-cookie", "http.cookie"},
	"favicon.md5":                  {"http-favicon-md5", "favicon.md5"},
	"ftp.banner":                   {"ftp-banner", "ftp"},
	"telnet.banner":                {"telnet-banner", "telnet"},
	"ssh.banner":                   {"ssh-banner", "ssh"},
	"rtsp_header.server":           {"rtsp-server", "rtsp.server"},
	"sip_header.server":            {"sip-banner", "sip"},
	"sip_header.user_agent":        {"sip-user-agent", "sip"},
	"snmp.sys_description":         {"snmp-sysdescr", "snmp.descr"},
	"snmp.sys_object_id":           {"snmp-sysobjectid", "snmp.oid"},
	"x509.subject":                 {"tls-subject", "tls.subject"},
	"x509.issuer":                  {"tls-issuer", "tls.issuer"},
	"dhcp_vendor_class":            {"dhcp-vendor-class", "dhcp.vendor"},
}

// recogFile is what we read of recog's XML. The decoder knows no entity but
// XML's own five, so none can grow.
type recogFile struct {
	Matches string `xml:"matches,attr"`
	Prints  []struct {
		Pattern     string `xml:"pattern,attr"`
		Flags       string `xml:"flags,attr"`
		Description string `xml:"description"`
		Examples    []struct {
			Encoding string `xml:"_encoding,attr"`
			File     string `xml:"_filename,attr"`
			Text     string `xml:",chardata"`
		} `xml:"example"`
		Params []struct {
			Name  string `xml:"name,attr"`
			Value string `xml:"value,attr"`
		} `xml:"param"`
	} `xml:"fingerprint"`
}

func readRecog(name string, text []byte, graph *makers.Graph) (Result, error) {
	var file recogFile
	if err := xml.Unmarshal(text, &file); err != nil {
		return Result{}, fmt.Errorf("import %q: read recog's XML: %w", name, err)
	}
	where, ok := recogFields[file.Matches]
	switch {
	case !ok:
		return Result{}, fmt.Errorf("import %q: recog's %q: nothing here is seen of that", name, file.Matches)
	case len(file.Prints) > maxPrints:
		return Result{}, fmt.Errorf("import %q: %d fingerprints: want at most %d", name, len(file.Prints), maxPrints)
	}
	base := "recog-" + fileID(name)
	r := Result{What: "recog " + file.Matches, Read: len(file.Prints)}
	for i, p := range file.Prints {
		params := map[string]string{}
		for _, param := range p.Params {
			params[param.Name] = param.Value
		}
		vendor := first(params, "hw.vendor", "os.vendor", "service.vendor")
		kind := recogKind(first(params, "hw.device", "os.device", "service.device"))
		maker, brand := makerOf(graph, vendor)
		if maker == "" || kind == "" {
			r.Foreign++
			continue
		}
		fail := func(format string, args ...any) {
			r.Skipped = append(r.Skipped, fmt.Sprintf("fingerprint %d %.60q: ", i+1, strings.TrimSpace(p.Description))+fmt.Sprintf(format, args...))
		}
		pattern := p.Pattern
		if strings.Contains(p.Flags, "REG_ICASE") {
			pattern = "(?i)" + pattern
		}
		re, err := regexp.Compile(pattern)
		if err != nil || !fingerprints.Writable(pattern) {
			fail("its pattern is of another language: %v", err)
			continue
		}
		f := fingerprints.Fingerprint{
			ID: fmt.Sprintf("%s/%d", base, i+1), Maker: maker, Brand: brand, Only: []string{where[0]}, Fields: []string{where[1]}, Match: re,
			Grade: fingerprints.C, Family: fingerprints.FamilyName, Kind: kind, Source: "recog: " + strings.TrimSpace(p.Description),
		}
		if kind == "other" {
			f.Maker, f.Brand, f.Family = "", "", fingerprints.FamilyOther
		}
		for _, e := range p.Examples {
			value := strings.TrimSpace(e.Text)
			if e.Encoding == "" && e.File == "" && value != "" && len(value) < 4096 && re.MatchString(value) {
				f.Yes = append(f.Yes, fingerprints.Example{Kind: where[0], Value: value})
				break
			}
		}
		if len(f.Yes) == 0 {
			fail("no example that it matches")
			continue
		}
		r.Prints = append(r.Prints, f)
	}
	return r, nil
}

func first(params map[string]string, names ...string) string {
	for _, n := range names {
		if params[n] != "" {
			return params[n]
		}
	}
	return ""
}

// makerOf finds whom recog's vendor is, and the brand where that is another's.
func makerOf(graph *makers.Graph, vendor string) (maker, brand string) {
	if m, ok := graph.MakerNamed(vendor); ok {
		return m.ID, ""
	}
	if written, ok := graph.Brand(vendor); ok {
		for _, m := range graph.Makers() {
			if strings.EqualFold(m.Name, written) {
				return m.ID, written
			}
		}
	}
	return "", ""
}

// recogKind is what recog's device is here; "" where it says none.
func recogKind(device string) string {
	switch d := strings.ToLower(device); {
	case d == "":
		return ""
	case strings.Contains(d, "camera"), d == "web cam":
		return "camera"
	case d == "dvr", d == "nvr", strings.Contains(d, "video recorder"):
		return "recorder"
	case strings.Contains(d, "video encoder"), strings.Contains(d, "video decoder"):
		return "encoder"
	case strings.Contains(d, "intercom"):
		return "intercom"
	}
	return "other"
}

// fileID makes a file's name fit for an ID.
func fileID(name string) string {
	name = strings.TrimSuffix(strings.ToLower(name), ".xml")
	return strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' || r == '-' {
			return r
		}
		return '-'
	}, name[:min(len(name), 60)]), "-")
}

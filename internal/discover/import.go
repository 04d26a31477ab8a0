package discover

import (
	"bufio"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/estate/sheet"
	"github.com/watchward/watchward/internal/identify"
)

// Bounds of an import.
const (
	maxImport = 256 << 20 // bytes
	maxRows   = 1_000_000
)

// RowError is a row of an import that is left out; the others are taken.
type RowError struct {
	Line int
	Why  string
}

func (e RowError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Why) }

// ErrForm means that a file is of no form that [Import] reads.
var ErrForm = errors.New("want nmap's XML, a CSV file whose first row names its columns, NetBox's JSON, or a table of hardware addresses (arp -a, ip neigh, show ip arp)")

// Import reads what another program found, whichever form it has: its content
// tells. Good rows go to found, bad ones to bad, in the file's order. Source
// names the file in the evidence.
func Import(r io.Reader, source string, now time.Time, found func(Found), bad func(RowError)) error {
	b, err := io.ReadAll(io.LimitReader(r, maxImport+1))
	if err != nil {
		return fmt.Errorf("import %q: %w", source, err)
	}
	if len(b) > maxImport {
		return fmt.Errorf("import %q: more than %d bytes", source, maxImport)
	}
	i := &importer{source: "import " + source, now: now.UTC(), found: found, bad: bad}
	b = sheet.Text(b) // PowerShell and spreadsheets write no UTF-8
	head := string(bytes.TrimSpace(b[:min(len(b), 4096)]))
	switch {
	case strings.HasPrefix(head, "<") && strings.Contains(head, "<nmaprun"):
		err = i.nmap(b)
	case strings.HasPrefix(head, "{"), strings.HasPrefix(head, "["):
		err = i.netbox(b)
	case looksLikeTable(head):
		err = i.arp(b)
	case strings.ContainsAny(firstLine(head), ",;\t"):
		err = i.list(b)
	default:
		err = formError{ErrForm}
	}
	if err != nil {
		return fmt.Errorf("import %q: %w", source, err)
	}
	return nil
}

// formError is a file that cannot be read as a whole.
type formError struct{ error }

func (e formError) Unwrap() error { return e.error }

// Hint names the way out.
func (formError) Hint() string {
	return `a list needs a first row that names its columns: address or mac, and where there are any brand, model, firmware, serial, hostname`
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return strings.TrimSpace(line)
}

type importer struct {
	source string
	now    time.Time
	found  func(Found)
	bad    func(RowError)
}

func (i *importer) evidence(kind string, port int, value string) estate.Evidence {
	return estate.Evidence{Kind: kind, Port: port, Value: value[:min(len(value), maxValue)], At: i.now, Source: i.source}
}

func (i *importer) take(f Found) {
	f.At = i.now
	for _, m := range f.MACs {
		f.Evidence = append(f.Evidence, i.evidence(identify.KindMAC, 0, m))
	}
	number(f.Evidence)
	i.found(f)
}

// nmapHost is what is read of a host in nmap's XML.
type nmapHost struct {
	Status struct {
		State string `xml:"state,attr"`
	} `xml:"status"`
	Addresses []struct {
		Addr string `xml:"addr,attr"`
		Type string `xml:"addrtype,attr"`
	} `xml:"address"`
	Hostnames []struct {
		Name string `xml:"name,attr"`
	} `xml:"hostnames>hostname"`
	Ports []nmapPort `xml:"ports>port"`
}

type nmapPort struct {
	Protocol string `xml:"protocol,attr"`
	Number   int    `xml:"portid,attr"`
	State    struct {
		State string `xml:"state,attr"`
	} `xml:"state"`
	Service struct {
		Name    string `xml:"name,attr"`
		Product string `xml:"product,attr"`
	} `xml:"service"`
	Scripts []struct {
		ID     string `xml:"id,attr"`
		Output string `xml:"output,attr"`
	} `xml:"script"`
}

func (i *importer) nmap(b []byte) error {
	d := xml.NewDecoder(bytes.NewReader(b))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		line, _ := d.InputPos()
		if err != nil { // a scan that was stopped leaves its file cut short
			i.bad(RowError{line, "the rest is no XML: " + err.Error()})
			return nil
		}
		start, ok := token.(xml.StartElement)
		if !ok || start.Name.Local != "host" {
			continue
		}
		var h nmapHost
		if err := d.DecodeElement(&h, &start); err != nil {
			i.bad(RowError{line, "host: " + err.Error()})
			if syntax := (*xml.SyntaxError)(nil); errors.As(err, &syntax) {
				return nil
			}
			continue
		}
		i.nmapHost(line, h)
	}
}

func (i *importer) nmapHost(line int, h nmapHost) {
	if h.Status.State == "down" {
		return
	}
	var f Found
	for _, a := range h.Addresses {
		if a.Type == "mac" {
			f.MACs = append(f.MACs, a.Addr)
			continue
		}
		addr, err := netip.ParseAddr(a.Addr)
		if err != nil {
			i.bad(RowError{line, fmt.Sprintf("host: %q is no address", a.Addr)})
			return
		}
		if !f.Address.IsValid() {
			f.Address = addr
		}
	}
	if !f.Address.IsValid() {
		i.bad(RowError{line, "host without an address"})
		return
	}
	if len(h.Hostnames) > 0 {
		f.Hostname = h.Hostnames[0].Name
	}
	for _, p := range h.Ports {
		if p.State.State == "open" && p.Protocol == "tcp" && len(f.Evidence) < maxEvidence {
			f.Evidence = append(f.Evidence, i.evidence(identify.KindPort, p.Number, strconv.Itoa(p.Number)))
			f.Evidence = append(f.Evidence, i.scripts(p)...)
		}
	}
	i.take(f)
}

// scripts reads what nmap's scripts wrote. Their output is for people: only
// those are read that keep what came as it came.
func (i *importer) scripts(p nmapPort) []estate.Evidence {
	var out []estate.Evidence
	for _, s := range p.Scripts {
		text := strings.TrimSpace(s.Output)
		switch s.ID {
		case "http-title":
			title, _, _ := strings.Cut(text, "\n")
			if !strings.HasPrefix(title, "Site doesn't have a title") && !strings.HasPrefix(title, "Did not follow redirect") {
				out = append(out, i.evidence(identify.KindHTTPTitle, p.Number, title))
			}
		case "http-server-header":
			out = append(out, i.evidence(identify.KindHTTPServer, p.Number, text))
		case "http-headers":
			var lines []string
			for line := range strings.Lines(text) {
				if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "(Request type") {
					lines = append(lines, line)
				}
			}
			out = append(out, i.evidence(identify.KindHTTPResponse, p.Number, "HTTP/1.1 200 OK\r\n"+strings.Join(lines, "\r\n")+"\r\n\r\n"))
		case "ssl-cert":
			var lines []string
			for line := range strings.Lines(text) {
				line = strings.TrimSpace(line)
				if v, ok := strings.CutPrefix(line, "Subject: "); ok {
					lines = append(lines, "subject: "+nmapName(v))
				} else if v, ok := strings.CutPrefix(line, "Issuer: "); ok {
					lines = append(lines, "issuer: "+nmapName(v))
				}
			}
			out = append(out, i.evidence(identify.KindTLSCertificate, p.Number, strings.Join(lines, "\n")))
		}
	}
	return out
}

// nmapName writes a name as certificates' names are written: CN=…,O=….
func nmapName(s string) string {
	return strings.NewReplacer("commonName=", "CN=", "organizationName=", "O=", "organizationalUnitName=", "OU=",
		"countryName=", "C=", "stateOrProvinceName=", "ST=", "localityName=", "L=", "/", ",").Replace(s)
}

var (
	tableAddress = regexp.MustCompile(`\b(?:\d{1,3}\.){3}\d{1,3}\b|\b[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]*::?[0-9A-Fa-f:]+(?:%\w+)?`)
	tableMAC     = regexp.MustCompile(`(?i)\b(?:[0-9a-f]{1,2}[:-]){5}[0-9a-f]{1,2}\b|\b[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}\b`)
)

// looksLikeTable reports whether a text has a line with an address and a
// hardware address and is no CSV.
func looksLikeTable(head string) bool {
	first := firstLine(head)
	if strings.ContainsAny(first, ",;") {
		return false
	}
	for line := range strings.Lines(head) {
		if m := tableMAC.FindString(line); m != "" && tableAddress.MatchString(strings.ReplaceAll(line, m, " ")) {
			return true
		}
	}
	return false
}

// arp reads the tables of Linux, Cisco, Windows and macOS: a line is an address
// and a hardware address, in whatever order and company.
func (i *importer) arp(b []byte) error {
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(make([]byte, 0, 64<<10), 1<<20)
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		mac := tableMAC.FindString(line)
		address := tableAddress.FindString(strings.ReplaceAll(line, mac, " "))
		switch low := strings.ToLower(line); {
		case strings.TrimSpace(line) == "", strings.Contains(low, "incomplete"), strings.Contains(low, "failed"):
			continue
		case mac == "" || address == "":
			// Headings, and Windows' "Interface: 10.0.0.2 --- 0x4".
			if strings.Contains(low, "interface") || strings.Contains(low, "address") || strings.Contains(low, "entries") {
				continue
			}
			i.bad(RowError{n, "no address and hardware address in it"})
			continue
		}
		addr, err := netip.ParseAddr(address)
		if err != nil {
			i.bad(RowError{n, fmt.Sprintf("%q is no address", address)})
			continue
		}
		clean, err := parseMAC(mac)
		if err != nil {
			i.bad(RowError{n, err.Error()})
			continue
		}
		if first, _ := strconv.ParseUint(clean[:2], 16, 8); first&1 == 1 || addr.IsMulticast() {
			continue // a group's, as Windows lists them
		}
		i.take(Found{Address: addr, MACs: []string{clean}})
	}
	return lines.Err()
}

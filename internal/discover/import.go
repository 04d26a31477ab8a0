package discover

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/estate"
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
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	head := string(bytes.TrimSpace(b[:min(len(b), 4096)]))
	switch {
	case strings.HasPrefix(head, "<") && strings.Contains(head, "<nmaprun"):
		err = i.nmap(b)
	case strings.HasPrefix(head, "{"), strings.HasPrefix(head, "["):
		err = i.netbox(b)
	case looksLikeTable(head):
		err = i.arp(b)
	case strings.ContainsAny(firstLine(head), ",;\t"):
		err = i.csv(b)
	default:
		err = ErrForm
	}
	if err != nil {
		return fmt.Errorf("import %q: %w", source, err)
	}
	return nil
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

// columns of a CSV file, by the names that people give them.
func columns() map[string]string {
	return map[string]string{
		"address": "address", "ip": "address", "ip address": "address", "ip_address": "address", "ipv4": "address", "host": "address", "primary_ip4": "address",
		"mac": "mac", "mac address": "mac", "mac_address": "mac", "hostname": "hostname", "name": "hostname", "dns_name": "hostname",
		"brand": "brand", "manufacturer": "brand", "maker": "brand", "make": "brand", "model": "model", "device_type": "model",
		"firmware": "firmware", "firmware version": "firmware", "serial": "serial", "serial number": "serial", "serial_number": "serial",
	}
}

func (i *importer) csv(b []byte) error {
	r := csv.NewReader(bytes.NewReader(b))
	r.FieldsPerRecord, r.LazyQuotes, r.ReuseRecord = -1, true, true
	first := firstLine(string(b[:min(len(b), 4096)]))
	for _, c := range []rune{';', '\t'} {
		if strings.Count(first, string(c)) > strings.Count(first, ",") {
			r.Comma = c
		}
	}
	names, err := r.Read()
	if err != nil {
		return err
	}
	at := map[string]int{}
	for n, name := range names {
		if c, ok := columns()[strings.ToLower(strings.TrimSpace(name))]; ok {
			if _, twice := at[c]; !twice {
				at[c] = n
			}
		}
	}
	_, address := at["address"]
	_, mac := at["mac"]
	if !address && !mac {
		return errors.New(`no column "address" or "mac"`)
	}
	for range maxRows {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil { // such a row has no fields to stand anywhere
			line := 0
			var parse *csv.ParseError
			if errors.As(err, &parse) {
				line = parse.StartLine
			}
			i.bad(RowError{line, err.Error()})
			continue
		}
		line, _ := r.FieldPos(0)
		i.row(line, func(name string) string {
			if n, ok := at[name]; ok && n < len(row) {
				return strings.ToValidUTF8(strings.TrimSpace(row[n]), "?")
			}
			return ""
		})
	}
	return fmt.Errorf("more than %d rows", maxRows)
}

// row takes one row of a list.
func (i *importer) row(line int, get func(string) string) {
	f := Found{Hostname: get("hostname")}
	if text := get("address"); text != "" {
		text, _, _ = strings.Cut(text, "/")
		addr, err := netip.ParseAddr(text)
		if err != nil {
			i.bad(RowError{line, fmt.Sprintf("%q is no address", text)})
			return
		}
		f.Address = addr
	}
	if text := get("mac"); text != "" {
		mac, err := parseMAC(text)
		if err != nil {
			i.bad(RowError{line, err.Error()})
			return
		}
		f.MACs = []string{mac}
	}
	if !f.Address.IsValid() && len(f.MACs) == 0 {
		i.bad(RowError{line, "neither an address nor a hardware address"})
		return
	}
	var said []string
	for _, p := range [][2]string{{"Manufacturer", "brand"}, {"Model", "model"}, {"FirmwareVersion", "firmware"}, {"SerialNumber", "serial"}} {
		if v := get(p[1]); v != "" {
			said = append(said, p[0]+": "+strings.ReplaceAll(v, "\n", " "))
		}
	}
	if len(said) > 0 {
		f.Evidence = append(f.Evidence, i.evidence("list", 0, strings.Join(said, "\n")))
	}
	i.take(f)
}

// parseMAC reads a hardware address in the spellings of Linux, Windows and Cisco.
func parseMAC(s string) (string, error) {
	mac, err := net.ParseMAC(s)
	if err != nil {
		// macOS leaves out zeros: 0:1a:2b:…
		parts := strings.Split(s, ":")
		for n, p := range parts {
			if len(p) == 1 {
				parts[n] = "0" + p
			}
		}
		mac, err = net.ParseMAC(strings.Join(parts, ":"))
	}
	if err != nil || len(mac) != 6 {
		return "", fmt.Errorf("%q is no hardware address", s)
	}
	return mac.String(), nil
}

// netboxItem is a device or an address of NetBox's API.
type netboxItem struct {
	Name      string          `json:"name"`
	Address   string          `json:"address"`
	DNSName   string          `json:"dns_name"`
	Serial    string          `json:"serial"`
	MAC       string          `json:"mac_address"`
	PrimaryIP json.RawMessage `json:"primary_ip"`
	Type      struct {
		Model        string `json:"model"`
		Manufacturer struct {
			Name string `json:"name"`
		} `json:"manufacturer"`
	} `json:"device_type"`
}

func (i *importer) netbox(b []byte) error {
	var list []json.RawMessage
	var page struct {
		Results []json.RawMessage `json:"results"`
	}
	if err := json.Unmarshal(b, &list); err != nil {
		if err := json.Unmarshal(b, &page); err != nil {
			return fmt.Errorf("read JSON: %w", err)
		}
		if list = page.Results; list == nil {
			return errors.New(`no list, and no "results" with one`)
		}
	}
	for _, raw := range list {
		// Raw values are slices of copies; their line is found by their text.
		line := 1
		if at := bytes.Index(b, raw); at >= 0 {
			line += bytes.Count(b[:at], []byte("\n"))
		}
		var n netboxItem
		if err := json.Unmarshal(raw, &n); err != nil {
			i.bad(RowError{line, err.Error()})
			continue
		}
		var primary struct {
			Address string `json:"address"`
		}
		_ = json.Unmarshal(n.PrimaryIP, &primary) // null, and absent, are none
		values := map[string]string{
			"address": either(n.Address, primary.Address), "hostname": either(n.DNSName, n.Name), "mac": n.MAC,
			"brand": n.Type.Manufacturer.Name, "model": n.Type.Model, "serial": n.Serial,
		}
		i.row(line, func(name string) string { return values[name] })
	}
	return nil
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
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

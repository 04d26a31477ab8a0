package discover

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/watchward/watchward/internal/estate/sheet"
)

// columns of a list, by the names that people give them, as [sheet.Key] has them.
func columns() map[string]string {
	names := map[string]string{}
	for column, list := range map[string][]string{
		"address":  {"address", "addresses", "ip", "ip_address", "ipaddress", "ipv4", "ipv4_address", "host", "primary_ip", "primary_ip4", "adresse", "adresse_ip"},
		"mac":      {"mac", "macs", "mac_address", "macaddress", "hardware_address", "adresse_mac"},
		"hostname": {"hostname", "name", "dns_name", "nom"},
		"brand":    {"brand", "badge", "manufacturer", "maker", "make", "marque", "fabricant"},
		"model":    {"model", "modele", "device_type"},
		"firmware": {"firmware", "firmware_version", "version"},
		"serial":   {"serial", "serial_number", "numero_de_serie"},
	} {
		for _, name := range list {
			names[name] = column
		}
	}
	return names
}

// heads finds the columns of a list; the first of a meaning is the one.
func heads(first sheet.Row) (map[string]int, error) {
	if first.Err != nil {
		return nil, formError{fmt.Errorf("first row: %w", first.Err)}
	}
	at, known := map[string]int{}, columns()
	for n, name := range first.Fields {
		if c, ok := known[sheet.Key(name)]; ok {
			if _, twice := at[c]; !twice {
				at[c] = n
			}
		}
	}
	_, address := at["address"]
	_, mac := at["mac"]
	if !address && !mac {
		names := []rune(strings.Join(first.Fields, ", "))
		return nil, formError{fmt.Errorf(`no column "address" or "mac" in the first row (%q)`, string(names[:min(len(names), 200)]))}
	}
	return at, nil
}

func (i *importer) list(b []byte) error {
	if at := bytes.IndexByte(b, 0); at >= 0 {
		return formError{fmt.Errorf("line %d: has a zero byte in it, so it is no text", 1+bytes.Count(b[:at], []byte("\n")))}
	}
	rows, more := sheet.Read(b, maxRows+1)
	if len(rows) == 0 {
		return formError{ErrForm}
	}
	at, err := heads(rows[0])
	if err != nil {
		return err
	}
	seen := map[string]int{}
	for _, row := range rows[1:] {
		switch {
		case row.Err != nil:
			i.bad(RowError{row.Line, row.Err.Error()})
			continue
		case len(row.Fields) > len(rows[0].Fields):
			i.bad(RowError{row.Line, fmt.Sprintf("%d fields, but the first row names %d columns", len(row.Fields), len(rows[0].Fields))})
			continue
		}
		err := i.row(row.Line, seen, func(name string) string {
			if n, ok := at[name]; ok && n < len(row.Fields) {
				return sheet.Plain(row.Fields[n])
			}
			return ""
		})
		if err != nil {
			i.bad(RowError{row.Line, err.Error()})
		}
	}
	if more {
		return fmt.Errorf("more than %d rows", maxRows)
	}
	return nil
}

// row takes one row of a list, or says why not; seen are the lines of the
// devices before it.
func (i *importer) row(line int, seen map[string]int, get func(string) string) error {
	f := Found{Hostname: get("hostname")}
	var err error
	if f.Address, f.MACs, err = addressed(get); err != nil {
		return err
	}
	key := fmt.Sprint(f.Address, f.MACs)
	if first, ok := seen[key]; ok {
		return fmt.Errorf("%q stands in line %d already", either(get("address"), get("mac")), first)
	}
	seen[key] = line
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
	return nil
}

// addressed reads where a device of a list is to be found.
func addressed(get func(string) string) (address netip.Addr, macs []string, err error) {
	if text := get("address"); text != "" {
		bare, _, _ := strings.Cut(text, "/")
		if address, err = netip.ParseAddr(bare); err != nil {
			return address, nil, fmt.Errorf("%q is no address", bare)
		}
	}
	if text := get("mac"); text != "" {
		mac, err := parseMAC(text)
		if err != nil {
			return address, nil, err
		}
		macs = []string{mac}
	}
	if !address.IsValid() && len(macs) == 0 {
		return address, nil, errors.New("neither an address nor a hardware address")
	}
	return address, macs, nil
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
	Primary4  json.RawMessage `json:"primary_ip4"`
	Primary6  json.RawMessage `json:"primary_ip6"`
	Type      struct {
		Model        string `json:"model"`
		Manufacturer struct {
			Name string `json:"name"`
		} `json:"manufacturer"`
	} `json:"device_type"`
}

// primary is the address that NetBox holds for the device's own: an object, or
// none.
func (n netboxItem) primary() string {
	for _, raw := range []json.RawMessage{n.PrimaryIP, n.Primary4, n.Primary6} {
		var primary struct {
			Address string `json:"address"`
		}
		if err := json.Unmarshal(raw, &primary); err == nil && primary.Address != "" {
			return primary.Address
		}
	}
	return ""
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
			return formError{errors.New(`no list, and no "results" with one`)}
		}
	}
	seen := map[string]int{}
	line, rest := 1, b
	for at, raw := range list {
		// Raw values are slices of copies; their line is found by their text, each
		// behind the one before.
		if begins := bytes.Index(rest, raw); begins >= 0 {
			line += bytes.Count(rest[:begins], []byte("\n"))
			rest = rest[begins:]
		}
		var n netboxItem
		err := json.Unmarshal(raw, &n)
		if err == nil {
			values := map[string]string{
				"address": either(n.Address, n.primary()), "hostname": either(n.DNSName, n.Name), "mac": n.MAC,
				"brand": n.Type.Manufacturer.Name, "model": n.Type.Model, "serial": n.Serial,
			}
			err = i.row(line, seen, func(name string) string { return values[name] })
		}
		if err != nil { // NetBox writes all on one line, so it is named, too
			i.bad(RowError{line, fmt.Sprintf("item %d %q: %s", at+1, n.Name, err)})
		}
	}
	return nil
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

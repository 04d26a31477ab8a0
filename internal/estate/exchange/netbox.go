package exchange

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/estate/sheet"
)

// netboxDevice is what of NetBox's REST API (dcim/devices) means something
// here. Its versions differ in names: both are read.
type netboxDevice struct {
	Name        string      `json:"name"`
	Display     string      `json:"display"`
	Serial      string      `json:"serial"`
	AssetTag    string      `json:"asset_tag"`
	Site        netboxNamed `json:"site"`
	Tenant      netboxNamed `json:"tenant"`
	Role        netboxNamed `json:"role"`
	DeviceRole  netboxNamed `json:"device_role"` // before 3.6
	Status      netboxValue `json:"status"`
	PrimaryIP   netboxIP    `json:"primary_ip"`
	PrimaryIP4  netboxIP    `json:"primary_ip4"`
	PrimaryIP6  netboxIP    `json:"primary_ip6"`
	DeviceType  netboxType  `json:"device_type"`
	Description string      `json:"description"`
}

type netboxNamed struct {
	Name string `json:"name"`
	Slug string `json:"slug"`
}

type netboxIP struct {
	Address string `json:"address"`
}

type netboxType struct {
	Model        string      `json:"model"`
	Manufacturer netboxNamed `json:"manufacturer"`
}

// netboxValue is {"value": "active", "label": "Active"}, or the bare word.
type netboxValue struct{ Value string }

func (v *netboxValue) UnmarshalJSON(b []byte) error {
	if err := json.Unmarshal(b, &v.Value); err == nil {
		return nil
	}
	var object struct {
		Value string `json:"value"`
	}
	err := json.Unmarshal(b, &object)
	v.Value = object.Value
	return err
}

// readNetBoxJSON takes an answer of the API, or the bare list of devices.
func readNetBoxJSON(body []byte) (estate.Inventory, []estate.LineError, error) {
	var inv estate.Inventory
	var all []json.RawMessage
	if body[0] == '{' {
		var answer struct {
			Results []json.RawMessage `json:"results"`
		}
		if err := json.Unmarshal(body, &answer); err != nil {
			return inv, nil, fmt.Errorf("read NetBox's JSON: %w", err)
		}
		if answer.Results == nil {
			return inv, nil, fmt.Errorf("read NetBox's JSON: no results in it: %w", ErrFormat)
		}
		all = answer.Results
	} else if err := json.Unmarshal(body, &all); err != nil {
		return inv, nil, fmt.Errorf("read NetBox's JSON: %w", err)
	}
	if len(all) > MaxRecords {
		return inv, nil, fmt.Errorf("read NetBox's JSON: %d devices: want at most %d", len(all), MaxRecords)
	}
	var errs []estate.LineError
	for i, raw := range all {
		var n netboxDevice
		if err := json.Unmarshal(raw, &n); err != nil {
			errs = append(errs, estate.LineError{Line: i + 1, Err: &estate.Invalid{Field: "device", Code: "format", Value: err.Error()}})
			continue
		}
		r, err := n.record(i + 1)
		if err != nil {
			errs = append(errs, estate.LineError{Line: i + 1, Err: err})
			continue
		}
		inv.Records = append(inv.Records, r)
	}
	return inv, errs, nil
}

func (n netboxDevice) record(line int) (estate.Record, error) {
	r := estate.Record{
		Line: line, SiteName: or(n.Site.Name, n.Site.Slug), OrganisationName: n.Tenant.Name,
		Device: estate.Device{
			Name: or(n.Name, n.Display), Serial: n.Serial, Tag: n.AssetTag, Kind: roleKind(or(or(n.Role.Name, n.DeviceRole.Name), or(n.Role.Slug, n.DeviceRole.Slug))),
			State:          statusState(n.Status.Value),
			Identification: estate.Identification{Brand: n.DeviceType.Manufacturer.Name, Model: n.DeviceType.Model},
		},
	}
	for _, ip := range []netboxIP{n.PrimaryIP, n.PrimaryIP4, n.PrimaryIP6} {
		if err := readAddresses(&r, ip.Address); err != nil {
			return r, err
		}
	}
	return r, finish(&r)
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// roleKind reads a role, which every NetBox names as it likes.
func roleKind(role string) estate.Kind {
	key := sheet.Key(role)
	for _, w := range []struct {
		part string
		kind estate.Kind
	}{
		{"recorder", estate.KindRecorder},
		{"enregistreur", estate.KindRecorder},
		{"nvr", estate.KindRecorder},
		{"dvr", estate.KindRecorder},
		{"encoder", estate.KindEncoder},
		{"encodeur", estate.KindEncoder},
		{"intercom", estate.KindIntercom},
		{"interphone", estate.KindIntercom},
		{"camera", estate.KindCamera},
		{"cctv", estate.KindCamera},
	} {
		if strings.Contains(key, w.part) {
			return w.kind
		}
	}
	return estate.KindUnknown
}

// statusState: what NetBox says is decommissioned was removed; what it says is
// active is still only a proposal here, until a person adopts it.
func statusState(status string) estate.State {
	switch sheet.Key(status) {
	case "decommissioning", "decommissioned", "removed":
		return estate.Removed
	}
	return estate.Proposed
}

// netboxColumns are the columns of NetBox's own CSV exports, in which "type" is
// the model, and role and status are NetBox's words.
func netboxColumns(known []column) []column {
	known = slices.Clone(known)
	for i := range known {
		switch c := &known[i]; c.name {
		case "id":
			c.name, c.also = "watchward_id", nil // NetBox's own are numbers of its
		case "kind":
			c.also = []string{"role", "device_role"}
			c.read = func(r *estate.Record, v string) error {
				r.Device.Kind = roleKind(v)
				return nil
			}
		case "state":
			c.read = func(r *estate.Record, v string) error {
				r.Device.State = statusState(v)
				return nil
			}
		case "model":
			c.also = []string{"type", "device_type"}
		case "addresses":
			c.also = append(slices.Clone(c.also), "primary_ip4", "ipv4_address")
		case "site":
			c.also = []string{"site_name"} // a location is a room in NetBox
		}
	}
	return known
}

// WriteNetBox writes what NetBox's bulk import of devices takes (3.6 and
// later). Sites, manufacturers, device types and roles must be there before.
func WriteNetBox(w io.Writer, s Source) error {
	cw := csv.NewWriter(w)
	if err := cw.Write([]string{"name", "role", "tenant", "manufacturer", "device_type", "serial", "asset_tag", "status", "site", "description", "comments"}); err != nil {
		return err
	}
	sites := s.sites()
	taken := map[string]int{}
	for d, err := range s.Devices {
		if err != nil {
			return err
		}
		site := sites[d.Site]
		i := d.Identification
		row := []string{
			unique(taken, d.Name, site.Name), or(roleNames[d.Kind], "Device"), site.organisation.Name,
			or(or(i.MakerName, i.Maker), or(i.Brand, "Unknown")), or(i.Model, "Unknown"), d.Serial, d.Tag, statusOf(d), or(site.Name, "Unknown"),
			words(writeAddresses(d, site), strings.Join(d.MACs, " ")),
			words("watchward "+string(d.ID), "badge "+or(i.Brand, "none"), "maker "+or(i.Maker, "unknown")+" ("+string(i.Confidence)+")"),
		}
		for k := range row {
			row[k] = sheet.Harmless(row[k])
		}
		row[9] = cutRunes(row[9], 200)
		row[5] = cutRunes(row[5], 50)
		row[6] = cutRunes(row[6], 50)
		if err := cw.Write(row); err != nil {
			return err
		}
	}
	cw.Flush()
	return cw.Error()
}

var roleNames = map[estate.Kind]string{
	estate.KindCamera: "Camera", estate.KindRecorder: "Video recorder", estate.KindEncoder: "Video encoder", estate.KindIntercom: "Intercom",
}

func statusOf(d estate.Device) string {
	switch d.State {
	case estate.Removed:
		return "decommissioning"
	case estate.Adopted:
		return "active"
	}
	return "inventory"
}

// unique gives a device a name that NetBox takes: one name once on a site, at
// most 64 characters.
func unique(taken map[string]int, name, site string) string {
	name = cutRunes(name, 58)
	key := strings.ToLower(site + "\x00" + name)
	taken[key]++
	if n := taken[key]; n > 1 {
		return name + " " + strconv.Itoa(n)
	}
	return name
}

func cutRunes(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n])
	}
	return s
}

package exchange

import (
	"encoding/csv"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/estate/sheet"
)

// column is one column of the CSV format: how it is read into a record and
// written from a device.
type column struct {
	name  string
	also  []string // other names, as [sheet.Key] makes them
	read  func(r *estate.Record, v string) error
	write func(d estate.Device, s sited) string
}

func text(into func(*estate.Record) *string) func(*estate.Record, string) error {
	return func(r *estate.Record, v string) error {
		*into(r) = v
		return nil
	}
}

func moment(field string, into func(*estate.Record) *time.Time) func(*estate.Record, string) error {
	return func(r *estate.Record, v string) error {
		for _, layout := range []string{time.RFC3339Nano, time.DateTime, time.DateOnly, "02/01/2006", "02.01.2006"} {
			if t, err := time.Parse(layout, v); err == nil {
				*into(r) = t.UTC()
				return nil
			}
		}
		return invalid(field, "date", v)
	}
}

func written(t time.Time) string {
	switch {
	case t.IsZero():
		return ""
	case t.Equal(t.Truncate(24 * time.Hour)):
		return t.UTC().Format(time.DateOnly)
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// word reads a word of ours, or its French.
func word[T ~string](field string, into func(*estate.Record) *T, french map[string]T, allowed ...T) func(*estate.Record, string) error {
	return func(r *estate.Record, v string) error {
		key := sheet.Key(v)
		if t, ok := french[key]; ok {
			*into(r) = t
			return nil
		}
		for _, a := range allowed {
			if key == sheet.Key(string(a)) {
				*into(r) = a
				return nil
			}
		}
		return invalid(field, "word", v)
	}
}

// columns are in the order of an export.
func columns() []column {
	return slices.Concat(placeColumns(), deviceColumns(), makerColumns(), registerColumns(), timeColumns())
}

func placeColumns() []column {
	return []column{
		{"id", []string{"device_id"}, text(func(r *estate.Record) *string { return (*string)(&r.Device.ID) }), func(d estate.Device, _ sited) string { return string(d.ID) }},
		{"organisation", []string{"organization", "organisme", "tenant", "locataire"}, text(func(r *estate.Record) *string { return &r.OrganisationName }), func(_ estate.Device, s sited) string { return s.organisation.Name }},
		{"body", []string{"type_dorganisme", "body_type"}, text(func(r *estate.Record) *string { return &r.Body }), func(_ estate.Device, s sited) string { return s.organisation.Body }},
		{"site", []string{"site_name", "location", "lieu", "nom_du_site", "building", "batiment"}, text(func(r *estate.Record) *string { return &r.SiteName }), func(_ estate.Device, s sited) string { return s.Name }},
		{"site_class", []string{"classe", "classe_du_site", "class"}, word("class", func(r *estate.Record) *estate.SiteClass { return &r.SiteClass },
			map[string]estate.SiteClass{"sensible": estate.Sensitive, "ordinaire": estate.Ordinary, "indetermine": estate.Undetermined},
			estate.Sensitive, estate.Ordinary, estate.Undetermined), func(_ estate.Device, s sited) string { return string(s.Class) }},
	}
}

func deviceColumns() []column {
	return []column{
		{"name", []string{"nom", "device", "device_name", "appareil", "camera", "camera_name", "nom_de_lappareil"}, text(func(r *estate.Record) *string { return &r.Device.Name }), func(d estate.Device, _ sited) string { return d.Name }},
		{"kind", []string{"type", "genre", "device_kind", "type_dappareil"}, word("kind", func(r *estate.Record) *estate.Kind { return &r.Device.Kind },
			map[string]estate.Kind{
				"enregistreur": estate.KindRecorder, "nvr": estate.KindRecorder, "dvr": estate.KindRecorder, "encodeur": estate.KindEncoder,
				"interphone": estate.KindIntercom, "autre": estate.KindOther, "ip_camera": estate.KindCamera, "cctv_camera": estate.KindCamera,
			}, estate.KindCamera, estate.KindRecorder, estate.KindEncoder, estate.KindIntercom, estate.KindOther), func(d estate.Device, _ sited) string { return string(d.Kind) }},
		{"state", []string{"etat", "status", "statut"}, word("state", func(r *estate.Record) *estate.State { return &r.Device.State },
			map[string]estate.State{"active": estate.Proposed, "actif": estate.Proposed, "in_use": estate.Proposed, "en_service": estate.Proposed, "propose": estate.Proposed, "adopte": estate.Adopted, "retire": estate.Removed},
			estate.Proposed, estate.Adopted, estate.Removed), func(d estate.Device, _ sited) string { return string(d.State) }},
		{"addresses", []string{"address", "ip", "ip_address", "adresse", "adresses", "adresse_ip", "ipv4", "ipv4_address", "primary_ip", "host"}, readAddresses, writeAddresses},
		{"macs", []string{"mac", "mac_address", "mac_addresses", "adresse_mac", "adresses_mac"}, readMACs, func(d estate.Device, _ sited) string { return strings.Join(d.MACs, " ") }},
		{"hostname", []string{"host_name", "dns", "dns_name", "nom_dhote"}, text(func(r *estate.Record) *string { return &r.Device.Hostname }), func(d estate.Device, _ sited) string { return d.Hostname }},
		{"serial", []string{"serial_number", "serial_no", "numero_de_serie", "n_de_serie", "sn"}, text(func(r *estate.Record) *string { return &r.Device.Serial }), func(d estate.Device, _ sited) string { return d.Serial }},
		{"cert_sha256", []string{"certificate", "certificat"}, text(func(r *estate.Record) *string { return &r.Device.CertSHA256 }), func(d estate.Device, _ sited) string { return d.CertSHA256 }},
	}
}

func makerColumns() []column {
	return []column{
		{"brand", []string{"marque", "badge", "manufacturer", "fabricant", "vendor", "make"}, text(func(r *estate.Record) *string { return &r.Device.Identification.Brand }), func(d estate.Device, _ sited) string { return d.Identification.Brand }},
		{"maker", []string{"real_maker", "fabricant_reel"}, text(func(r *estate.Record) *string { return &r.Device.Identification.Maker }), func(d estate.Device, _ sited) string { return d.Identification.Maker }},
		{"maker_name", []string{"nom_du_fabricant"}, text(func(r *estate.Record) *string { return &r.Device.Identification.MakerName }), func(d estate.Device, _ sited) string { return d.Identification.MakerName }},
		{"model", []string{"modele", "device_type", "model_number"}, text(func(r *estate.Record) *string { return &r.Device.Identification.Model }), func(d estate.Device, _ sited) string { return d.Identification.Model }},
		{"firmware", []string{"micrologiciel", "firmware_version", "version"}, text(func(r *estate.Record) *string { return &r.Device.Identification.Firmware }), func(d estate.Device, _ sited) string { return d.Identification.Firmware }},
		{"confidence", []string{"confiance"}, word("confidence", func(r *estate.Record) *estate.Confidence { return &r.Device.Identification.Confidence },
			map[string]estate.Confidence{"inconnu": estate.Unknown, "indice": estate.Hint, "tres_probable": estate.VeryLikely, "identifie": estate.Identified},
			estate.Unknown, estate.Hint, estate.VeryLikely, estate.Identified), func(d estate.Device, _ sited) string { return string(d.Identification.Confidence) }},
	}
}

func registerColumns() []column {
	return []column{
		{"network", []string{"reseau"}, word("network", func(r *estate.Record) *estate.Network { return &r.Device.Network },
			map[string]estate.Network{"coeur": estate.NetworkCore, "cœur": estate.NetworkCore, "isole": estate.NetworkIsolated, "inconnu": estate.NetworkUnknown},
			estate.NetworkCore, estate.NetworkIsolated, estate.NetworkUnknown), func(d estate.Device, _ sited) string { return string(d.Network) }},
		{"exposure", []string{"exposition"}, word("exposure", func(r *estate.Record) *estate.Exposure { return &r.Device.Exposure },
			map[string]estate.Exposure{"interne": estate.ExposureInternal, "inconnu": estate.ExposureUnknown},
			estate.ExposureInternet, estate.ExposureInternal, estate.ExposureUnknown), func(d estate.Device, _ sited) string { return string(d.Exposure) }},
		{"purpose", []string{"finalite", "usage"}, text(func(r *estate.Record) *string { return &r.Device.Purpose }), func(d estate.Device, _ sited) string { return d.Purpose }},
		{"tag", []string{"asset_tag", "asset", "etiquette", "numero_dinventaire"}, text(func(r *estate.Record) *string { return &r.Device.Tag }), func(d estate.Device, _ sited) string { return d.Tag }},
		{"cost", []string{"cout"}, readCost, writeCost},
		{"currency", []string{"monnaie", "devise"}, text(func(r *estate.Record) *string { return &r.Device.Currency }), func(d estate.Device, _ sited) string { return d.Currency }},
	}
}

func timeColumns() []column {
	return []column{
		{"first_seen", []string{"vu_dabord"}, moment("first_seen", func(r *estate.Record) *time.Time { return &r.Device.FirstSeen }), func(d estate.Device, _ sited) string { return written(d.FirstSeen) }},
		{"last_seen", []string{"vu_en_dernier"}, moment("last_seen", func(r *estate.Record) *time.Time { return &r.Device.LastSeen }), func(d estate.Device, _ sited) string { return written(d.LastSeen) }},
		{"deployed", []string{"pose", "installed", "install_date", "date_de_pose"}, moment("deployed", func(r *estate.Record) *time.Time { return &r.Device.Deployed }), func(d estate.Device, _ sited) string { return written(d.Deployed) }},
		{"adopted", []string{"adopte_le"}, moment("adopted", func(r *estate.Record) *time.Time { return &r.Device.Adopted }), func(d estate.Device, _ sited) string { return written(d.Adopted) }},
		{"removed", []string{"retire_le"}, moment("removed", func(r *estate.Record) *time.Time { return &r.Device.Removed }), func(d estate.Device, _ sited) string { return written(d.Removed) }},
		{"why_removed", []string{"motif_du_retrait"}, text(func(r *estate.Record) *string { return &r.Device.WhyRemoved }), func(d estate.Device, _ sited) string { return d.WhyRemoved }},
	}
}

// several cuts a cell that holds a list.
func several(v string) []string {
	return strings.FieldsFunc(v, func(r rune) bool { return strings.ContainsRune(" ,;|\n", r) })
}

func readAddresses(r *estate.Record, v string) error {
	for _, one := range several(v) {
		host, _, _ := strings.Cut(one, "/") // NetBox writes the prefix's length
		a, err := netip.ParseAddr(host)
		if err != nil {
			return invalid("addresses", "address", one)
		}
		r.Device.Addresses = append(r.Device.Addresses, a.Unmap().WithZone(""))
	}
	return nil
}

func writeAddresses(d estate.Device, _ sited) string {
	all := make([]string, len(d.Addresses))
	for i, a := range d.Addresses {
		all[i] = a.String()
	}
	return strings.Join(all, " ")
}

func readMACs(r *estate.Record, v string) error {
	for _, one := range several(v) {
		m, err := estate.CleanMAC(one)
		if err != nil {
			return err
		}
		r.Device.MACs = append(r.Device.MACs, m)
	}
	return nil
}

// minor is how many digits currencies have behind the point (ISO 4217).
func minor(currency string) int {
	switch strings.ToUpper(currency) {
	case "JPY", "KRW", "ISK", "CLP", "VND", "XAF", "XOF", "XPF":
		return 0
	case "BHD", "IQD", "JOD", "KWD", "OMR", "TND":
		return 3
	}
	return 2
}

// readCost takes "1234.50" and "1234,50"; the currency's column may come after
// it, so hundredths are kept until [finish].
func readCost(r *estate.Record, v string) error {
	whole, part, _ := strings.Cut(strings.ReplaceAll(v, ",", "."), ".")
	part = (part + "000")[:max(3, len(part))]
	n, err := strconv.ParseInt(whole+part[:3], 10, 64)
	if err != nil || n < 0 || strings.Trim(part[3:], "0") != "" {
		return invalid("cost", "cost", v)
	}
	r.Device.Cost = n // thousandths
	return nil
}

func writeCost(d estate.Device, _ sited) string {
	if d.Cost == 0 {
		return ""
	}
	digits := minor(d.Currency)
	s := fmt.Sprintf("%0*d", digits+1, d.Cost)
	if digits == 0 {
		return s
	}
	return s[:len(s)-digits] + "." + s[len(s)-digits:]
}

// finish does what needs the whole row.
func finish(r *estate.Record) error {
	scale := int64(1)
	for range 3 - minor(r.Device.Currency) {
		scale *= 10
	}
	if r.Device.Cost%scale != 0 {
		return invalid("cost", "cost", strconv.FormatInt(r.Device.Cost, 10)+" / 1000 "+r.Device.Currency)
	}
	r.Device.Cost /= scale
	i := &r.Device.Identification
	switch {
	case i.Confidence != "":
	case i.Maker != "" || i.Brand != "":
		// A list's word is the badge's word until somebody has looked.
		i.Confidence, i.BadgeOnly = estate.Hint, true
	default:
		i.Confidence = estate.Unknown
	}
	return nil
}

func readCSV(body []byte, netbox bool) (estate.Inventory, []estate.LineError, error) {
	var inv estate.Inventory
	rows, more := sheet.Read(body, MaxRecords+1)
	if len(rows) == 0 {
		return inv, []estate.LineError{{Line: 1, Err: invalid("file", "missing", "")}}, nil
	}
	if rows[0].Err != nil {
		return inv, []estate.LineError{{Line: rows[0].Line, Err: invalid("file", "quotes", "")}}, nil
	}
	known := columns()
	if netbox {
		known = netboxColumns(known)
	}
	picked, err := pick(known, rows[0].Fields, netbox)
	if err != nil {
		return inv, []estate.LineError{{Line: rows[0].Line, Err: err}}, nil
	}
	var errs []estate.LineError
	for _, row := range rows[1:] {
		r, err := readRow(picked, row)
		if err != nil {
			errs = append(errs, estate.LineError{Line: row.Line, Err: err})
			continue
		}
		inv.Records = append(inv.Records, r)
	}
	if more {
		errs = append(errs, estate.LineError{Line: rows[len(rows)-1].Line, Err: invalid("file", "too-many-lines", strconv.Itoa(MaxRecords))})
	}
	if len(inv.Records) == 0 && len(errs) == 0 {
		errs = append(errs, estate.LineError{Line: 1, Err: invalid("file", "missing", "")})
	}
	return inv, errs, nil
}

func readRow(picked []*column, row sheet.Row) (estate.Record, error) {
	r := estate.Record{Line: row.Line}
	if row.Err != nil {
		return r, invalid("file", "quotes", "")
	}
	for i, cell := range row.Fields {
		if cell == "" {
			continue
		}
		if i >= len(picked) {
			return r, invalid("file", "columns", strconv.Itoa(len(picked)))
		}
		if picked[i] == nil {
			continue
		}
		if err := picked[i].read(&r, sheet.Plain(cell)); err != nil {
			return r, err
		}
	}
	return r, finish(&r)
}

// pick finds the columns that the header names. A column that is not known is
// refused, so that a slip of the finger loses nothing; NetBox has many that
// mean nothing here.
func pick(known []column, header []string, lenient bool) ([]*column, error) {
	picked := make([]*column, len(header))
	some := false
	for i, name := range header {
		key := sheet.Key(sheet.Plain(name))
		k := slices.IndexFunc(known, func(c column) bool { return c.name == key || slices.Contains(c.also, key) })
		switch {
		case k < 0 && (key == "" || lenient || key == "camera_id"):
			continue
		case k < 0:
			return nil, invalid("file", "column-unknown", name)
		case slices.Contains(picked, &known[k]) && !lenient:
			return nil, invalid("file", "column-twice", name)
		case slices.Contains(picked, &known[k]):
			continue
		}
		picked[i] = &known[k]
		some = some || slices.Contains([]string{"name", "addresses", "macs", "serial", "hostname", "tag"}, known[k].name)
	}
	if !some {
		return nil, invalid("file", "column-missing", "name")
	}
	return picked, nil
}

// WriteCSV writes one line for each device, as [Read] takes it back.
func WriteCSV(w io.Writer, s Source) error {
	cw := csv.NewWriter(w)
	all := columns()
	row := make([]string, len(all))
	for i, c := range all {
		row[i] = c.name
	}
	if err := cw.Write(row); err != nil {
		return err
	}
	sites := s.sites()
	for d, err := range s.Devices {
		if err != nil {
			return err
		}
		for i, c := range all {
			row[i] = sheet.Harmless(c.write(d, sites[d.Site]))
		}
		if err := cw.Write(row); err != nil {
			return err
		}
	}
	cw.Flush()
	return cw.Error()
}

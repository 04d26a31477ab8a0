package policy

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/estate"
)

// Bounds of an inventory.
const (
	MaxInventoryBytes = 256 << 20
	MaxInventoryRows  = 1_000_000
	maxField          = 4 << 10
)

// InventoryOptions say what the rows of a list of devices do not.
type InventoryOptions struct {
	Body      string // body type
	SiteClass SiteClass
	Network   Network
	Purposes  []string
	Deployed  time.Time
	On        time.Time // required
	// Stated is how far the list's own word for a maker is relied on where it
	// has no column of confidence; empty means identified: whoever wrote the
	// list stands for it. A badge under which several makers sell is a hint
	// whatever this says.
	Stated estate.Confidence
	// Kind of the devices where the list has no such column; empty means camera.
	Kind estate.Kind
}

// InventoryRow is one device of a list.
type InventoryRow struct {
	Line                       int // from 1
	Name, Address, MAC, Serial string
	Site                       string // its name, where one is given
	Case                       Case
	Basis                      Basis

	removed bool
}

// Basis says what the maker of a row rests on.
type Basis string

// The bases.
const (
	BasisNone     Basis = ""         // no maker
	BasisColumn   Basis = "column"   // maker and confidence stand in the row
	BasisStated   Basis = "stated"   // the list names it, with no word on how it is known
	BasisBadge    Basis = "badge"    // of a badge under which several makers sell
	BasisNotKnown Basis = "no-maker" // what the row names is described nowhere
)

// RowError is a row that could not be read, and why.
type RowError struct {
	Line   int    `json:"line"`
	Column string `json:"column,omitempty"` // as the file calls it
	Text   string `json:"text"`
}

func (e RowError) Error() string {
	if e.Column == "" {
		return fmt.Sprintf("line %d: %s", e.Line, e.Text)
	}
	return fmt.Sprintf("line %d, column %q: %s", e.Line, e.Column, e.Text)
}

// HeaderError is that the first row does not say what the columns are.
type HeaderError struct{ Text string }

func (e HeaderError) Error() string { return e.Text }

// Hint lists the columns.
func (HeaderError) Hint() string {
	return "the first row names the columns, in any order: brand or maker, and where there are any: name, model, confidence, kind, " +
		"site, site_class, body, network, purposes, certificates, deployed, address, mac, serial"
}

// ReadInventory reads a list of devices: CSV with commas, semicolons or tabs,
// in UTF-8, UTF-16 or what old spreadsheets write, even mixed. It calls row for
// each device that can be read and bad for each that cannot, in order, and
// goes on; devices that the list says were removed it passes over. An error is about the file as a whole; nothing was called then.
func (c *Catalogue) ReadInventory(r io.Reader, o InventoryOptions, row func(InventoryRow), bad func(RowError)) error {
	body, err := io.ReadAll(io.LimitReader(r, MaxInventoryBytes+1))
	if err != nil {
		return fmt.Errorf("read inventory: %w", err)
	}
	if len(body) > MaxInventoryBytes {
		return fmt.Errorf("read inventory: more than %d MB", MaxInventoryBytes>>20)
	}
	if o.On.IsZero() {
		return errors.New("read inventory: no date given")
	}
	t := newTable(body)
	head, ok := t.next()
	if !ok {
		return fmt.Errorf("read inventory: %w", HeaderError{"it is empty"})
	}
	if head.bad != "" {
		return fmt.Errorf("read inventory: %w", HeaderError{"first row: " + head.bad})
	}
	columns, err := inventoryColumns(head.fields)
	if err != nil {
		return fmt.Errorf("read inventory: %w", err)
	}
	in := &inventoryReader{c: c, o: o, columns: columns, head: slices.Clone(head.fields), named: map[string]string{}, badges: map[badgeOn]badgeMaker{}}
	for rows := 0; ; {
		record, ok := t.next()
		switch {
		case !ok:
			return nil
		case record.blank():
			continue
		case rows == MaxInventoryRows:
			bad(RowError{Line: record.line, Text: fmt.Sprintf("more than %d rows: this one and what follows is left out", MaxInventoryRows)})
			return nil
		}
		rows++
		switch device, problem := in.read(record); {
		case problem != nil:
			bad(*problem)
		case !device.removed:
			row(device)
		}
	}
}

// column is what a column of the file means.
type column int

const (
	colNone column = iota
	colName
	colID // stands for a name where there is none
	colAddress
	colMAC
	colSerial
	colBrand
	colMaker
	colModel
	colConfidence
	colBadgeOnly
	colKind
	colSite
	colSiteClass
	colBody
	colState
	colNetwork
	colPurposes
	colCertificates
	colDeployed
	colCount
)

// columnNames are how people call the columns, folded by [foldHeader].
var columnNames = map[string]column{
	"name": colName, "device": colName, "devicename": colName, "camera": colName, "cameraname": colName, "hostname": colName, "nom": colName, "appareil": colName,
	"id": colID, "deviceid": colID, "asset": colID, "assetid": colID, "tag": colID, "assettag": colID,
	"address": colAddress, "addresses": colAddress, "ip": colAddress, "ipaddress": colAddress, "host": colAddress, "adresse": colAddress, "adresseip": colAddress, "ipv4": colAddress,
	"mac": colMAC, "macs": colMAC, "macaddress": colMAC, "adressemac": colMAC,
	"serial": colSerial, "serialnumber": colSerial, "sn": colSerial, "numerodeserie": colSerial,
	"brand": colBrand, "badge": colBrand, "manufacturer": colBrand, "make": colBrand, "vendor": colBrand, "marque": colBrand, "fabricant": colBrand,
	"maker": colMaker, "realmaker": colMaker, "makerid": colMaker, "oem": colMaker, "madeby": colMaker, "faitpar": colMaker, "producer": colMaker,
	"model": colModel, "modelname": colModel, "modelnumber": colModel, "product": colModel, "modele": colModel, "devicetype": colModel,
	"confidence": colConfidence, "confiance": colConfidence,
	"badgeonly": colBadgeOnly,
	"kind":      colKind, "type": colKind, "genre": colKind, "role": colKind, "devicekind": colKind, "category": colKind,
	"site": colSite, "sitename": colSite, "location": colSite, "building": colSite, "lieu": colSite, "batiment": colSite,
	"siteclass": colSiteClass, "siteclassification": colSiteClass, "sensitivity": colSiteClass, "classification": colSiteClass, "classe": colSiteClass, "classedusite": colSiteClass,
	"body": colBody, "bodytype": colBody, "typedorganisme": colBody,
	"state": colState, "status": colState, "etat": colState, "statut": colState,
	"network": colNetwork, "segment": colNetwork, "reseau": colNetwork,
	"purpose": colPurposes, "purposes": colPurposes, "finalite": colPurposes, "finalites": colPurposes, "use": colPurposes,
	"certificates": colCertificates, "certificats": colCertificates,
	"deployed": colDeployed, "deployedon": colDeployed, "installed": colDeployed, "installedon": colDeployed, "installdate": colDeployed, "installationdate": colDeployed, "since": colDeployed, "installe": colDeployed, "installele": colDeployed, "pose": colDeployed, "miseenservice": colDeployed,
}

func foldHeader(s string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case 'é', 'è', 'ê':
			return 'e'
		case 'â', 'à':
			return 'a'
		}
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, strings.ToLower(s))
}

// inventoryColumns finds out what the columns are. Columns of other meaning
// are passed over.
func inventoryColumns(head []string) ([]column, error) {
	columns := make([]column, len(head))
	at := map[column]string{}
	for i, name := range head {
		col := columnNames[foldHeader(name)]
		if col == colNone {
			continue
		}
		if first, ok := at[col]; ok {
			if col == colName || col == colID || col == colSite { // of several names the first is the one
				continue
			}
			return nil, HeaderError{fmt.Sprintf("columns %q and %q mean the same", clipped(first), clipped(name))}
		}
		at[col] = name
		columns[i] = col
	}
	_, brand := at[colBrand]
	_, maker := at[colMaker]
	if !brand && !maker {
		return nil, HeaderError{fmt.Sprintf("no column of brands or makers in the first row (%s)", clipped(strings.Join(head, ", ")))}
	}
	return columns, nil
}

// inventoryReader turns records into devices.
type inventoryReader struct {
	c       *Catalogue
	o       InventoryOptions
	columns []column
	head    []string
	named   map[string]string // what was found of makers' names
	badges  map[badgeOn]badgeMaker
}

type badgeOn struct {
	brand string
	day   int32
}

type badgeMaker struct {
	maker     string
	alone, ok bool
}

func (in *inventoryReader) read(rec record) (InventoryRow, *RowError) {
	if rec.bad != "" {
		return InventoryRow{}, &RowError{Line: rec.line, Text: rec.bad}
	}
	var v [colCount]string
	for i, field := range rec.fields {
		switch {
		case i >= len(in.columns):
			if strings.TrimSpace(field) != "" {
				return InventoryRow{}, &RowError{Line: rec.line, Text: fmt.Sprintf("%d fields, but the first row names %d columns", len(rec.fields), len(in.columns))}
			}
		case in.columns[i] != colNone:
			v[in.columns[i]] = plainCell(field)
		}
	}
	row := InventoryRow{Line: rec.line, Name: v[colName], Address: v[colAddress], MAC: v[colMAC], Serial: v[colSerial]}
	switch fold(v[colState]) {
	case "removed", "retiré", "decommissioned":
		row.removed = true
	}
	if row.Name == "" {
		row.Name = v[colID]
	}
	col, err := in.fill(&row, &v)
	if err != nil {
		return InventoryRow{}, &RowError{Line: rec.line, Column: in.columnName(col), Text: err.Error()}
	}
	return row, nil
}

// plainCell takes away the apostrophe that keeps a spreadsheet from running a
// cell.
func plainCell(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > 1 && s[0] == '\'' && strings.ContainsRune("=+-@", rune(s[1])) {
		return s[1:]
	}
	return s
}

func (in *inventoryReader) columnName(col column) string {
	if i := slices.Index(in.columns, col); i >= 0 {
		return clipped(in.head[i])
	}
	return ""
}

func (in *inventoryReader) has(col column) bool { return slices.Contains(in.columns, col) }

// fill makes the case; its error is about one column.
func (in *inventoryReader) fill(row *InventoryRow, v *[colCount]string) (column, error) {
	cs := &row.Case
	*cs = Case{
		Body: in.o.Body, SiteClass: in.o.SiteClass, Network: in.o.Network, Purposes: in.o.Purposes,
		Deployed: in.o.Deployed, On: in.o.On, Model: v[colModel], Brand: v[colBrand],
	}
	if v[colBody] != "" {
		if _, ok := in.c.Body(v[colBody]); ok || in.o.Body == "" {
			cs.Body = v[colBody]
		}
	}
	var err error
	if cs.Kind, err = in.kind(v[colKind]); err != nil {
		return colKind, err
	}
	if col, err := in.place(row, v); err != nil {
		return col, err
	}
	if v[colPurposes] != "" {
		if cs.Purposes, err = knownWords(v[colPurposes], in.c.words.purposes); err != nil {
			return colPurposes, err
		}
	}
	if v[colCertificates] != "" {
		if cs.Certificates, err = knownWords(v[colCertificates], in.c.words.certificates); err != nil {
			return colCertificates, err
		}
	}
	if d := fold(v[colDeployed]); d == "unknown" || d == "inconnu" {
		cs.There, cs.Deployed = true, time.Time{}
	} else if d != "" {
		if cs.Deployed, err = readDay(v[colDeployed]); err != nil {
			return colDeployed, err
		}
	}
	return in.maker(row, v)
}

// place reads class of site and network.
func (in *inventoryReader) place(row *InventoryRow, v *[colCount]string) (column, error) {
	row.Site = v[colSite]
	if class, ok := siteClasses[fold(v[colSite])]; ok && v[colSiteClass] == "" {
		row.Case.SiteClass, row.Site = class, ""
	}
	if v[colSiteClass] != "" {
		class, ok := siteClasses[fold(v[colSiteClass])]
		if !ok {
			return colSiteClass, fmt.Errorf("%q: want sensitive, ordinary or undetermined", clipped(v[colSiteClass]))
		}
		row.Case.SiteClass = class
	}
	if v[colNetwork] != "" {
		n, ok := networks[fold(v[colNetwork])]
		if !ok {
			return colNetwork, fmt.Errorf("%q: want core, isolated or unknown", clipped(v[colNetwork]))
		}
		row.Case.Network = n
	}
	return colNone, nil
}

var siteClasses = map[string]SiteClass{
	"sensitive": SiteSensitive, "sensible": SiteSensitive,
	"ordinary": SiteOrdinary, "ordinaire": SiteOrdinary, "non-sensitive": SiteOrdinary, "not sensitive": SiteOrdinary, "non sensible": SiteOrdinary, "non-sensible": SiteOrdinary,
	"undetermined": SiteUndetermined, "unknown": SiteUndetermined, "indéterminé": SiteUndetermined, "inconnu": SiteUndetermined,
}

var networks = map[string]Network{
	"core": NetworkCore, "central": NetworkCore, "cœur": NetworkCore, "coeur": NetworkCore, "corporate": NetworkCore,
	"isolated": NetworkIsolated, "isolé": NetworkIsolated, "separate": NetworkIsolated, "segmented": NetworkIsolated, "none": NetworkIsolated,
	"unknown": NetworkUnknown, "inconnu": NetworkUnknown, "undetermined": NetworkUnknown,
}

var kinds = map[string]estate.Kind{
	"camera": estate.KindCamera, "caméra": estate.KindCamera, "cctv": estate.KindCamera, "ip camera": estate.KindCamera, "ipc": estate.KindCamera, "ptz": estate.KindCamera, "dome": estate.KindCamera, "bullet": estate.KindCamera,
	"recorder": estate.KindRecorder, "nvr": estate.KindRecorder, "dvr": estate.KindRecorder, "xvr": estate.KindRecorder, "enregistreur": estate.KindRecorder,
	"encoder": estate.KindEncoder, "encodeur": estate.KindEncoder,
	"intercom": estate.KindIntercom, "doorbell": estate.KindIntercom, "interphone": estate.KindIntercom,
	"other": estate.KindOther, "autre": estate.KindOther, "printer": estate.KindOther, "router": estate.KindOther, "switch": estate.KindOther,
	"unknown": estate.KindUnknown, "": estate.KindUnknown, "inconnu": estate.KindUnknown,
}

func (in *inventoryReader) kind(text string) (estate.Kind, error) {
	if !in.has(colKind) {
		if in.o.Kind == "" {
			return estate.KindCamera, nil
		}
		return in.o.Kind, nil
	}
	if k, ok := kinds[fold(text)]; ok {
		return k, nil
	}
	for word := range strings.FieldsSeq(fold(text)) { // "fixed dome camera"
		if k, ok := kinds[word]; ok {
			return k, nil
		}
	}
	return "", fmt.Errorf("%q: want camera, recorder, encoder, intercom, other or unknown", clipped(text))
}

var confidences = map[string]estate.Confidence{
	"identified": estate.Identified, "identifié": estate.Identified,
	"very-likely": estate.VeryLikely, "very likely": estate.VeryLikely, "very_likely": estate.VeryLikely, "très probable": estate.VeryLikely,
	"hint": estate.Hint, "indice": estate.Hint, "badge": estate.Hint, "badge only": estate.Hint, "badge-only": estate.Hint,
	"unknown": estate.Unknown, "inconnu": estate.Unknown,
}

// maker finds who made the device, and how sure that is.
func (in *inventoryReader) maker(row *InventoryRow, v *[colCount]string) (column, error) {
	cs := &row.Case
	given := estate.Confidence("")
	if v[colConfidence] != "" { // an empty cell says as little as no column
		var ok bool
		if given, ok = confidences[fold(v[colConfidence])]; !ok {
			return colConfidence, fmt.Errorf("%q: want identified, very-likely, hint or unknown", clipped(v[colConfidence]))
		}
	}
	switch fold(v[colBadgeOnly]) {
	case "true", "yes", "1", "oui", "x":
		cs.BadgeOnly = true
	}
	if strings.HasPrefix(fold(v[colConfidence]), "badge") {
		cs.BadgeOnly = true
	}
	stated := in.o.Stated
	if stated == "" {
		stated = estate.Identified
	}
	row.Basis = BasisStated
	settled := true
	if text := v[colMaker]; text != "" && fold(text) != "unknown" {
		if id := in.name(text); id != "" {
			cs.Maker = id
		} else {
			cs.Maker, settled = in.badge(text, cs)
		}
	} else if cs.Brand != "" && given != estate.Unknown {
		cs.Maker, settled = in.badge(cs.Brand, cs)
	}
	switch {
	case cs.Maker == "":
		row.Basis, cs.Confidence = BasisNone, estate.Unknown
		if v[colMaker]+cs.Brand != "" {
			row.Basis = BasisNotKnown
		}
	case !settled: // how sure the list is of a maker that it does not name says nothing
		row.Basis, cs.Confidence, cs.BadgeOnly = BasisBadge, estate.Hint, true
	case given != "":
		row.Basis, cs.Confidence = BasisColumn, given
	default:
		cs.Confidence = stated
	}
	return colNone, nil
}

// name finds a maker by its name, and remembers.
func (in *inventoryReader) name(text string) string {
	id, ok := in.named[text]
	if !ok {
		id, _ = in.c.makers.Named(text)
		in.named[text] = id
	}
	return id
}

// badge finds who makes what is sold under a badge, on the day the device was
// put there, else on the day that is judged.
func (in *inventoryReader) badge(brand string, cs *Case) (maker string, alone bool) {
	at := cs.On
	if !cs.Deployed.IsZero() {
		at = cs.Deployed
	}
	k := badgeOn{brand, dayNumber(at)}
	m, ok := in.badges[k]
	if !ok {
		m.maker, m.alone, m.ok = in.c.makers.Badge(brand, at)
		if len(in.badges) > maxCached {
			clear(in.badges)
		}
		in.badges[k] = m
	}
	return m.maker, m.alone
}

func fold(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// knownWords reads a list of words such as "public-safety; national-security".
// "none" is a list of none.
func knownWords(text string, known map[string]bool) ([]string, error) {
	out := []string{}
	for w := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ';' || r == ',' || r == '|' }) {
		w = fold(w)
		switch {
		case w == "" || w == "none" || w == "aucune":
		case !known[w]:
			return nil, fmt.Errorf("%q: want none, or of %s", clipped(w), strings.Join(sortedKeys(known), ", "))
		default:
			out = append(out, w)
		}
	}
	return out, nil
}

// readDay reads the dates that spreadsheets write. Those whose day and month
// cannot be told apart are refused: guessing would move a device across the
// day a rule began.
func readDay(text string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339, "2006-01-02T15:04", "2006-01-02 15:04:05", "2006/01/02", "2 Jan 2006", "2 January 2006", "20060102"} {
		if t, err := time.Parse(layout, text); err == nil {
			return day(t), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q: want a date like 2022-11-24", clipped(text))
}

package estate

import (
	"context"
	"encoding/hex"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// DeviceID names a device for ever; it is never used twice.
type DeviceID string

// State says how far a device belongs to the estate.
type State string

// The states of a device. Only an adopted one may stream.
const (
	Proposed State = "proposed" // seen or imported; nobody has said yes
	Adopted  State = "adopted"
	Removed  State = "removed"
)

// Network is what a device is connected to.
type Network string

// The networks that rules tell apart.
const (
	NetworkUnknown  Network = "unknown"
	NetworkCore     Network = "core"     // the organisation's core network
	NetworkIsolated Network = "isolated" // one of its own, without a way to the core
)

// Exposure is from where a device can be reached.
type Exposure string

// The exposures.
const (
	ExposureUnknown  Exposure = "unknown"
	ExposureInternet Exposure = "internet"
	ExposureInternal Exposure = "internal"
)

// Device is anything with an address in the estate.
type Device struct {
	ID     DeviceID `json:"id"`
	Site   string   `json:"site,omitempty"` // ID; "": where it hangs is not known
	Place  string   `json:"-"`              // where it stands in lists, see [Organisation.Path]
	Name   string   `json:"name"`
	Kind   Kind     `json:"kind,omitempty"`
	Camera string   `json:"camera,omitempty"` // ID of the [Camera] that streams from it
	State  State    `json:"state"`

	Addresses  []netip.Addr `json:"addresses,omitempty"`
	MACs       []string     `json:"macs,omitempty"` // "00:40:8c:12:34:56"
	Serial     string       `json:"serial,omitempty"`
	CertSHA256 string       `json:"cert_sha256,omitempty"` // of its TLS certificate, hexadecimal
	Hostname   string       `json:"hostname,omitempty"`

	Identification Identification `json:"identification"`

	Network  Network  `json:"network"`
	Exposure Exposure `json:"exposure"`
	// Purpose is what it is used for, a word that rules know, such as
	// "public-safety"; "" is not known.
	Purpose  string `json:"purpose,omitempty"`
	Tag      string `json:"tag,omitempty"`      // of the asset register
	Cost     int64  `json:"cost,omitempty"`     // to replace it, in the currency's smallest unit
	Currency string `json:"currency,omitempty"` // ISO 4217: "GBP"

	FirstSeen  time.Time `json:"first_seen,omitzero"`
	LastSeen   time.Time `json:"last_seen,omitzero"`
	Deployed   time.Time `json:"deployed,omitzero"` // when it was put up, as a person says
	Adopted    time.Time `json:"adopted,omitzero"`
	Removed    time.Time `json:"removed,omitzero"`
	WhyRemoved string    `json:"why_removed,omitempty"`
	LastScan   string    `json:"-"` // ID of the last [Scan] that saw it
}

// Bounds of a device's lists and texts.
const (
	maxAddresses = 32
	maxSerial    = 128 // bytes; also of a host name, a tag and a purpose
)

// checkDevice returns d cleaned, or an [Invalid].
func checkDevice(ctx context.Context, q querier, d Device) (Device, error) {
	var err error
	if d.Name, err = cleanName("name", d.Name); err != nil {
		return d, err
	}
	for field, text := range map[string]*string{"serial": &d.Serial, "hostname": &d.Hostname, "tag": &d.Tag} {
		if *text, err = cleanText(field, *text, maxSerial); err != nil {
			return d, err
		}
	}
	if d.WhyRemoved, err = cleanText("reason", d.WhyRemoved, maxReason); err != nil {
		return d, err
	}
	if d, err = checkWords(d); err != nil {
		return d, err
	}
	if d, err = checkNumbers(d); err != nil {
		return d, err
	}
	d.Identification = cleanIdentification(d.Identification)
	return checkPlace(ctx, q, d)
}

// checkWords fills in what "" stands for and refuses words that are none.
func checkWords(d Device) (Device, error) {
	for _, w := range []struct {
		field   string
		value   *string
		unknown string
		allowed []string
	}{
		{"kind", (*string)(&d.Kind), "", []string{"", string(KindCamera), string(KindRecorder), string(KindEncoder), string(KindIntercom), string(KindOther)}},
		{"state", (*string)(&d.State), string(Proposed), []string{string(Proposed), string(Adopted), string(Removed)}},
		{"network", (*string)(&d.Network), string(NetworkUnknown), []string{string(NetworkUnknown), string(NetworkCore), string(NetworkIsolated)}},
		{"exposure", (*string)(&d.Exposure), string(ExposureUnknown), []string{string(ExposureUnknown), string(ExposureInternet), string(ExposureInternal)}},
	} {
		if *w.value == "" {
			*w.value = w.unknown
		}
		if !slices.Contains(w.allowed, *w.value) {
			return d, invalid(w.field, "word", clip(*w.value)+": "+strings.Join(slices.DeleteFunc(slices.Clone(w.allowed), func(s string) bool { return s == "" }), ", "))
		}
	}
	if d.Purpose != "" && !idShape.MatchString(d.Purpose) {
		return d, invalid("purpose", "purpose", clip(d.Purpose))
	}
	return d, nil
}

func checkNumbers(d Device) (Device, error) {
	d.Addresses = slices.Clone(d.Addresses)
	for i, a := range d.Addresses {
		if !a.IsValid() {
			return d, invalid("addresses", "address", a.String())
		}
		d.Addresses[i] = a.Unmap()
	}
	slices.SortFunc(d.Addresses, netip.Addr.Compare)
	d.Addresses = slices.Compact(d.Addresses)
	macs := make([]string, 0, len(d.MACs))
	for _, m := range d.MACs {
		clean, err := CleanMAC(m)
		if err != nil {
			return d, err
		}
		macs = append(macs, clean)
	}
	slices.Sort(macs)
	d.MACs = slices.Compact(macs)
	if len(d.Addresses) > maxAddresses || len(d.MACs) > maxAddresses {
		return d, invalid("addresses", "too-many", strconv.Itoa(maxAddresses))
	}
	d.CertSHA256 = strings.ToLower(strings.ReplaceAll(strings.TrimSpace(d.CertSHA256), ":", ""))
	if b, err := hex.DecodeString(d.CertSHA256); err != nil || len(b) != 0 && len(b) != 32 {
		return d, invalid("certificate", "certificate", clip(d.CertSHA256))
	}
	d.Currency = strings.ToUpper(strings.TrimSpace(d.Currency))
	if d.Cost < 0 || d.Cost > 1e14 || d.Cost > 0 && d.Currency == "" || d.Currency != "" && (len(d.Currency) != 3 || strings.ContainsFunc(d.Currency, func(r rune) bool { return r < 'A' || r > 'Z' })) {
		return d, invalid("cost", "cost", strconv.FormatInt(d.Cost, 10)+" "+clip(d.Currency))
	}
	return d, nil
}

// CleanMAC writes a MAC address as "00:40:8c:12:34:56", however it was
// written; an [Invalid] otherwise.
func CleanMAC(s string) (string, error) {
	s = strings.TrimSpace(s)
	hw, err := net.ParseMAC(s)
	if err != nil && len(s) == 12 { // as label printers write it
		var b []byte
		b, err = hex.DecodeString(s)
		hw = b
	}
	if err != nil || len(hw) != 6 {
		return "", invalid("mac", "mac", clip(s))
	}
	return hw.String(), nil
}

func checkPlace(ctx context.Context, q querier, d Device) (Device, error) {
	d.Place = ""
	if d.Site == "" {
		if d.State == Adopted {
			return d, invalid("site", "missing", "")
		}
		return d, nil
	}
	s, err := oneSite(ctx, q, d.Site)
	if err != nil {
		return d, invalid("site", "unknown", d.Site)
	}
	d.Place, err = sitePlace(ctx, q, s)
	return d, err
}

// Bounds of what an identification says, in bytes and lines.
const (
	maxSaid    = 256
	maxReasons = 64
)

// cleanIdentification bounds what came from devices: a program that shows it
// must not be hurt by it.
func cleanIdentification(i Identification) Identification {
	if i.Confidence.Rank() == 0 {
		i.Confidence = Unknown
	}
	for _, s := range []*string{&i.Brand, &i.Maker, &i.MakerName, &i.Model, &i.Firmware, &i.Serial, &i.Data} {
		*s = printable(*s, maxSaid)
	}
	for _, list := range []*[]Reason{&i.Because, &i.Conflicts} {
		*list = slices.Clone((*list)[:min(len(*list), maxReasons)])
		for k := range *list {
			r := &(*list)[k]
			for _, s := range []*string{&r.Evidence, &r.Fingerprint, &r.Family, &r.Grade, &r.Maker, &r.Brand, &r.Saw, &r.Source} {
				*s = printable(*s, maxSaid)
			}
		}
	}
	return i
}

// printable drops what is no visible character.
func printable(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == unicode.ReplacementChar || !unicode.IsPrint(r):
			return -1
		default:
			return r
		}
	}, strings.ToValidUTF8(s, ""))
	return strings.TrimSpace(cut(s, most))
}

// described is a name for a device that nobody named.
func described(d Device) string {
	what := d.Identification.Brand
	if what == "" {
		what = d.Identification.MakerName
	}
	where := ""
	switch {
	case len(d.Addresses) > 0:
		where = d.Addresses[0].String()
	case len(d.MACs) > 0:
		where = d.MACs[0]
	case d.Hostname != "":
		where = d.Hostname
	default:
		where = d.Serial
	}
	name := printable(strings.Join(strings.Fields(what+" "+d.Identification.Model+" "+where), " "), maxName)
	if _, err := cleanName("name", name); err != nil {
		return "Device"
	}
	return name
}

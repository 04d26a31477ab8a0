// Package exchange reads and writes an estate in the formats of other programs:
// CSV for spreadsheets, its own JSON, NetBox's, CycloneDX for
// Dependency-Track, OSCAL for auditors.
//
// Begin with [Read], which tells the formats apart, and the Write functions.
// Nothing here touches a database or a clock: [Read] returns an
// [estate.Inventory] for [estate.Estate.ImportInventory], a Write function
// takes a [Source].
//
// # What to know before it hurts
//
// Files are hostile. Sizes are capped before anything is read, each record
// that is wrong is named by its line and the others are returned, and CSV cells
// that a spreadsheet would run are written so that it shows them.
package exchange

import (
	"bytes"
	"context"
	"crypto/sha1" // of names, not for security: RFC 9562, 5.5
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/estate"
)

// Bounds of a file.
const (
	MaxBytes   = 256 << 20
	MaxRecords = 200_000
)

// Format is a file format.
type Format string

// The formats. [Read] takes the first three.
const (
	CSV       Format = "csv"
	JSON      Format = "json"
	NetBox    Format = "netbox"
	CycloneDX Format = "cyclonedx"
	OSCAL     Format = "oscal"
)

// ErrFormat means that a file is in none of the formats that can be read.
var ErrFormat = errors.New("unknown format: want CSV, Watchward's JSON, or NetBox's JSON or CSV")

// Read reads a file. An empty format is found out from what the file looks
// like. What is wrong with single records is in the second result, by line; in
// JSON, where nobody counts lines, by the record's number.
func Read(body []byte, f Format) (estate.Inventory, []estate.LineError, error) {
	if len(body) > MaxBytes {
		return estate.Inventory{}, nil, fmt.Errorf("file of %d bytes: want at most %d", len(body), MaxBytes)
	}
	if f == "" {
		f = guess(body)
	}
	trimmed := bytes.TrimSpace(body)
	looksJSON := len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '[')
	switch {
	case f == CSV:
		return readCSV(body, false)
	case f == JSON:
		return readJSON(body)
	case f == NetBox && looksJSON:
		return readNetBoxJSON(trimmed)
	case f == NetBox:
		return readCSV(body, true)
	}
	return estate.Inventory{}, nil, ErrFormat
}

func guess(body []byte) Format {
	head := bytes.TrimSpace(bytes.TrimPrefix(body[:min(len(body), 4096)], []byte("\ufeff")))
	switch {
	case bytes.HasPrefix(head, []byte("{")) && bytes.Contains(head, []byte(formatName)):
		return JSON
	case bytes.HasPrefix(head, []byte("{")), bytes.HasPrefix(head, []byte("[")):
		return NetBox
	}
	return CSV
}

// Source is what the Write functions write.
type Source struct {
	Organisations []estate.Organisation
	Sites         []estate.Site
	Devices       iter.Seq2[estate.Device, error]
	// Evidence returns what was seen of a device; nil: none is written.
	Evidence func(ctx context.Context, id estate.DeviceID) ([]estate.Evidence, error)
	At       time.Time // when it was taken
	Version  string    // of Watchward
}

// Of takes an estate's devices, as a filter narrows them, for a Write function.
func Of(ctx context.Context, e *estate.Estate, f estate.Filter, version string, now time.Time) (Source, error) {
	s := Source{
		Devices: e.All(ctx, f), At: now.UTC(), Version: version,
		Evidence: func(ctx context.Context, id estate.DeviceID) ([]estate.Evidence, error) {
			return e.Evidence(ctx, id, true)
		},
	}
	var err error
	if s.Organisations, err = e.Organisations(ctx); err != nil {
		return s, err
	}
	s.Sites, err = e.Sites(ctx)
	return s, err
}

// sites finds a site and its organisation by the site's ID.
func (s Source) sites() map[string]sited {
	organisations := map[string]estate.Organisation{}
	for _, o := range s.Organisations {
		organisations[o.ID] = o
	}
	found := map[string]sited{}
	for _, site := range s.Sites {
		found[site.ID] = sited{site, organisations[site.Organisation]}
	}
	return found
}

type sited struct {
	estate.Site
	organisation estate.Organisation
}

// uuid names a thing for ever: the same parts give the same UUID (version 5),
// so that two exports of one estate can be compared.
func uuid(parts ...string) string {
	h := sha1.New()
	h.Write([]byte("watchward.org/estate"))
	for _, p := range parts {
		h.Write([]byte{0})
		h.Write([]byte(p))
	}
	u := h.Sum(nil)[:16]
	u[6] = u[6]&0x0f | 0x50
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

func invalid(field, code, value string) *estate.Invalid {
	if r := []rune(value); len(r) > 40 {
		value = string(r[:40]) + "…"
	}
	return &estate.Invalid{Field: field, Code: code, Value: value}
}

// words lists what is there, for a description.
func words(parts ...string) string {
	var some []string
	for _, p := range parts {
		if p != "" {
			some = append(some, p)
		}
	}
	return strings.Join(some, ", ")
}

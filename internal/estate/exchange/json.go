package exchange

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"github.com/watchward/watchward/internal/estate"
)

// formatName and formatVersion stand at the head of our own JSON. A version
// that is not ours is refused; a field once published keeps its meaning.
const (
	formatName    = "watchward-estate"
	formatVersion = 1
)

type document struct {
	Format        string                `json:"format"`
	Version       int                   `json:"version"`
	Organisations []estate.Organisation `json:"organisations"`
	Sites         []estate.Site         `json:"sites"`
	Devices       []json.RawMessage     `json:"devices"`
}

type jsonDevice struct {
	estate.Device
	Evidence []jsonEvidence `json:"evidence,omitempty"`
}

// jsonEvidence keeps bytes that are no text as they were.
type jsonEvidence struct {
	estate.Evidence
	Base64 string `json:"value_base64,omitempty"`
}

func readJSON(body []byte) (estate.Inventory, []estate.LineError, error) {
	var inv estate.Inventory
	var doc document
	if err := strict(bytes.TrimPrefix(body, []byte("\ufeff")), &doc); err != nil {
		return inv, nil, fmt.Errorf("read JSON: %w", err)
	}
	if doc.Format != formatName || doc.Version != formatVersion {
		return inv, nil, fmt.Errorf("read JSON: format %q, version %d: want %q, version %d", doc.Format, doc.Version, formatName, formatVersion)
	}
	if len(doc.Devices) > MaxRecords {
		return inv, nil, fmt.Errorf("read JSON: %d devices: want at most %d", len(doc.Devices), MaxRecords)
	}
	inv.Organisations, inv.Sites = doc.Organisations, doc.Sites
	var errs []estate.LineError
	for i, raw := range doc.Devices {
		r, err := readDevice(raw)
		if err != nil {
			errs = append(errs, estate.LineError{Line: i + 1, Err: err})
			continue
		}
		r.Line = i + 1
		inv.Records = append(inv.Records, r)
	}
	return inv, errs, nil
}

func readDevice(raw []byte) (estate.Record, error) {
	var d jsonDevice
	if err := strict(raw, &d); err != nil {
		return estate.Record{}, &estate.Invalid{Field: "device", Code: "format", Value: err.Error()}
	}
	r := estate.Record{Device: d.Device}
	for _, e := range d.Evidence {
		if e.Base64 != "" {
			b, err := base64.StdEncoding.DecodeString(e.Base64)
			if err != nil {
				return r, &estate.Invalid{Field: "evidence", Code: "format", Value: err.Error()}
			}
			e.Value = string(b)
		}
		r.Evidence = append(r.Evidence, e.Evidence)
	}
	return r, nil
}

// strict refuses fields that do not exist and anything after the value, so
// that nothing a person wrote is lost without a word.
func strict(body []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			line := 1 + bytes.Count(body[:min(int(syntax.Offset), len(body))], []byte("\n"))
			return errors.New("line " + strconv.Itoa(line) + ": " + err.Error())
		}
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("something stands after its end")
	}
	return nil
}

// WriteJSON writes all that [Read] can take back: reading the file into an
// empty estate gives the same file again. Streams are not part of it.
func WriteJSON(ctx context.Context, w io.Writer, s Source) error {
	head, err := json.Marshal(document{Format: formatName, Version: formatVersion, Organisations: orEmpty(s.Organisations), Sites: orEmpty(s.Sites)})
	if err != nil {
		return err
	}
	// The devices are written one by one: a large estate need not be in memory.
	head, _ = bytes.CutSuffix(head, []byte(`null}`))
	if _, err := w.Write(append(head, '[')); err != nil {
		return err
	}
	separator := "\n"
	for d, err := range s.Devices {
		if err != nil {
			return err
		}
		body, err := s.jsonDevice(ctx, d)
		if err != nil {
			return err
		}
		if _, err := w.Write(append([]byte(separator), body...)); err != nil {
			return err
		}
		separator = ",\n"
	}
	_, err = io.WriteString(w, "\n]}\n")
	return err
}

func (s Source) jsonDevice(ctx context.Context, d estate.Device) ([]byte, error) {
	d.Camera = ""
	out := jsonDevice{Device: d}
	if s.Evidence != nil {
		evidence, err := s.Evidence(ctx, d.ID)
		if err != nil {
			return nil, err
		}
		for _, e := range evidence {
			j := jsonEvidence{Evidence: e}
			if !utf8.ValidString(e.Value) {
				j.Value, j.Base64 = "", base64.StdEncoding.EncodeToString([]byte(e.Value))
			}
			out.Evidence = append(out.Evidence, j)
		}
	}
	return json.Marshal(out)
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

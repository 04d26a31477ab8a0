package estate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/watchward/watchward/internal/estate/sheet"
)

// Bounds of a CSV import.
const (
	MaxCSVBytes = 2 << 20
	MaxCSVLines = 5000
)

// ImportReport says what an import did. With any error, nothing was added.
type ImportReport struct {
	Added  []Camera
	Errors []LineError
}

// LineError is what is wrong in one line; lines count from 1.
type LineError struct {
	Line int
	Err  error // an [Invalid] where a person can mend it; may wrap [ErrRefused]
}

func (e LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }
func (e LineError) Unwrap() error { return e.Err }

// errReported rolls an import back; the report says why.
var errReported = errors.New("import has errors")

// csvColumns are in the order taken when the file has no header row.
var csvColumns = []string{"name", "site", "url", "sub_url", "username", "password", "audio"}

// ImportCSV adds the cameras of a CSV file, all or none. Columns are name,
// site, url and, optionally, sub_url, username, password, audio; in this order,
// or in any order under a header row. Sites that do not exist are made. Commas,
// semicolons and tabs, a byte order mark and CRLF are all understood.
func (e *Estate) ImportCSV(ctx context.Context, r io.Reader) (ImportReport, error) {
	lines, errs, err := readCSV(r)
	if err != nil {
		return ImportReport{}, fmt.Errorf("import cameras: %w", err)
	}
	report := ImportReport{Errors: errs}
	err = e.tx(ctx, func(tx querier) error { return e.importLines(ctx, tx, lines, &report) })
	if err != nil && !errors.Is(err, errReported) {
		return ImportReport{}, fmt.Errorf("import cameras: %w", err)
	}
	if len(report.Errors) > 0 {
		report.Added = nil
		slices.SortFunc(report.Errors, func(a, b LineError) int { return a.Line - b.Line })
		return report, nil
	}
	return report, nil
}

func (e *Estate) importLines(ctx context.Context, tx querier, lines []csvLine, report *ImportReport) error {
	sites, err := selectSites(ctx, tx)
	if err != nil {
		return err
	}
	for _, l := range lines {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		c, err := e.cameraOf(ctx, tx, l, &sites)
		if err == nil {
			c, err = e.add(ctx, tx, c)
		}
		switch {
		case err == nil:
			report.Added = append(report.Added, c)
		case asInvalid(err) != nil || errors.Is(err, ErrRefused):
			report.Errors = append(report.Errors, LineError{l.line, err})
		default:
			return err
		}
	}
	if len(report.Errors) > 0 {
		return errReported
	}
	return nil
}

// csvLine is one camera as written.
type csvLine struct {
	line   int
	fields map[string]string
}

func (e *Estate) cameraOf(ctx context.Context, tx querier, l csvLine, sites *[]Site) (Camera, error) {
	audio, err := truth(l.fields["audio"])
	if err != nil {
		return Camera{}, err
	}
	name, err := cleanName("site", l.fields["site"])
	if err != nil {
		if l.fields["site"] != "" || len(*sites) != 1 {
			return Camera{}, err
		}
		name = (*sites)[0].Name // the only site there is
	}
	i := slices.IndexFunc(*sites, func(s Site) bool { return strings.EqualFold(s.Name, name) || s.ID == name })
	if i < 0 {
		site, err := e.addSite(ctx, tx, Site{Name: name}, "")
		if err != nil {
			return Camera{}, err
		}
		*sites = append(*sites, site)
		i = len(*sites) - 1
	}
	return Camera{
		Site: (*sites)[i].ID, Name: l.fields["name"], Enabled: true, RecordAudio: audio,
		Username: l.fields["username"], Password: Secret(l.fields["password"]),
		Streams: []StreamConfig{
			{Name: "main", URL: l.fields["url"], Record: true},
			{Name: "sub", URL: l.fields["sub_url"], Record: true},
		},
	}, nil
}

func truth(s string) (bool, error) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "", "no", "n", "false", "0", "non", "off":
		return false, nil
	case "yes", "y", "true", "1", "oui", "o", "on", "x":
		return true, nil
	}
	return false, invalid("audio", "truth", clip(s))
}

func clip(s string) string {
	if utf8.RuneCountInString(s) > 40 {
		return string([]rune(s)[:40]) + "…"
	}
	return s
}

// readCSV reads the lines and finds the columns.
func readCSV(r io.Reader) ([]csvLine, []LineError, error) {
	body, err := io.ReadAll(io.LimitReader(r, MaxCSVBytes+1))
	if err != nil {
		return nil, nil, err
	}
	if len(body) > MaxCSVBytes {
		return nil, []LineError{{1, invalid("file", "too-long", fmt.Sprint(MaxCSVBytes))}}, nil
	}
	rows, more := sheet.Read(body, MaxCSVLines+1)
	return scanCSV(rows, more)
}

func scanCSV(rows []sheet.Row, more bool) (lines []csvLine, errs []LineError, err error) {
	columns := csvColumns
	for i, row := range rows {
		if row.Err != nil {
			errs = append(errs, LineError{row.Line, invalid("file", "quotes", "")})
			continue
		}
		if i == 0 {
			if named, err := header(row.Fields); err != nil {
				return nil, []LineError{{row.Line, err}}, nil
			} else if named != nil {
				columns = named
				continue
			}
		}
		if len(lines)+len(errs) >= MaxCSVLines {
			more = true
			break
		}
		l, err := takeFields(row.Line, columns, row.Fields)
		switch {
		case err != nil:
			errs = append(errs, LineError{row.Line, err})
		case l.fields != nil:
			lines = append(lines, l)
		}
	}
	switch {
	case more:
		errs = append(errs, LineError{rows[len(rows)-1].Line, invalid("file", "too-many-lines", fmt.Sprint(MaxCSVLines))})
	case len(lines) == 0 && len(errs) == 0:
		errs = append(errs, LineError{1, invalid("file", "missing", "")})
	}
	return lines, errs, nil
}

func takeFields(line int, columns, record []string) (csvLine, error) {
	l := csvLine{line: line}
	for i, field := range record {
		field = strings.TrimSpace(field)
		if field == "" {
			continue
		}
		if i >= len(columns) {
			return l, invalid("file", "columns", fmt.Sprint(len(columns)))
		}
		if l.fields == nil {
			l.fields = map[string]string{}
		}
		l.fields[columns[i]] = field
	}
	return l, nil // without fields: an empty line
}

// header returns the columns when the first row names any.
func header(record []string) ([]string, error) {
	known := map[string]string{
		"address": "url", "rtsp": "url", "main_url": "url", "main": "url", "sub": "sub_url", "user": "username",
		"login": "username", "adresse": "url", "nom": "name", "camera": "name", "utilisateur": "username", "mot_de_passe": "password", "son": "audio",
	}
	for _, c := range csvColumns {
		known[c] = c
	}
	var columns []string
	hits := 0
	for _, f := range record {
		key := strings.NewReplacer(" ", "_", "-", "_", "é", "e").Replace(strings.ToLower(strings.TrimSpace(f)))
		if known[key] != "" {
			hits++
		}
		columns = append(columns, known[key])
	}
	if hits == 0 || strings.Contains(strings.Join(record, " "), "://") {
		return nil, nil // a camera may be called "Camera"
	}
	for i, c := range columns {
		if c == "" && strings.TrimSpace(record[i]) != "" {
			return nil, invalid("file", "column", clip(record[i]))
		}
		if c != "" && slices.Index(columns, c) != i {
			return nil, invalid("file", "column-twice", c)
		}
	}
	for _, need := range []string{"name", "url"} {
		if !slices.Contains(columns, need) {
			return nil, invalid("file", "column-missing", need)
		}
	}
	return columns, nil
}

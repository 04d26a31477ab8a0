package main

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/watchward/watchward/internal/discover"
	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/identify"
	"github.com/watchward/watchward/internal/web/know"
)

// network lets the pages scan: discover looks, identify says who made what was
// seen.
type network struct{ engine *identify.Engine }

// Addresses counts the addresses of ranges.
func (n network) Addresses(ranges []string) (int, error) {
	all, err := readRanges(ranges)
	total := 0
	for _, r := range all {
		total += r.Len()
	}
	return total, err
}

func readRanges(texts []string) ([]discover.Range, error) {
	all, err := discover.ParseRanges(texts, 0)
	var bad *discover.RangeError
	if errors.As(err, &bad) {
		return nil, &estate.Invalid{Field: "ranges", Code: "ranges", Value: bad.Text}
	}
	return all, err
}

// Scan looks at each address once.
func (n network) Scan(ctx context.Context, r know.Request, found func(estate.Sighting), told func(know.Progress)) error {
	ranges, err := readRanges(r.Ranges)
	if err != nil {
		return err
	}
	o := discover.Options{Ranges: ranges, By: r.By, Rate: r.Rate, Record: func(rec discover.Record) {
		told(know.Progress{Addresses: rec.Addresses, Done: rec.Done, Answered: rec.Answered, Sent: rec.Sent})
	}}
	return discover.Scan(ctx, o, func(f discover.Found) { found(n.sighting(f)) })
}

// sighting is what was found, with who made it.
func (n network) sighting(f discover.Found) estate.Sighting {
	s := estate.Sighting{
		MACs: f.MACs, Hostname: f.Hostname, CertSHA256: f.CertSHA256, Evidence: f.Evidence, At: f.At,
		Identification: n.engine.From(f.Evidence, day(f.At)),
	}
	if f.Address.IsValid() {
		s.Addresses = []netip.Addr{f.Address}
	}
	return s
}

// day is what makers and owners are known for: a scan at midnight is of its day.
func day(t time.Time) time.Time {
	if t.IsZero() {
		t = time.Now()
	}
	return t.UTC().Truncate(24 * time.Hour)
}

// importFile reads what another program found.
func (n network) importFile(name string, body []byte) (seen []estate.Sighting, bad []string, err error) {
	err = discover.Import(bytes.NewReader(body), name, time.Now(),
		func(f discover.Found) { seen = append(seen, n.sighting(f)) },
		func(e discover.RowError) { bad = append(bad, e.Error()) })
	if err != nil {
		why := err.Error()
		if cause := errors.Unwrap(err); cause != nil {
			why = cause.Error()
		}
		return nil, nil, &estate.Invalid{Field: "file", Code: "import", Value: why}
	}
	return seen, bad, nil
}

package estate

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Readers returns who can open a site's recordings.
func (e *Estate) Readers(ctx context.Context, site string) ([]Reader, error) {
	readers, err := selectReaders(ctx, pool{e.db}, site)
	if err != nil {
		return nil, fmt.Errorf("list readers of site %q: %w", site, err)
	}
	return readers, nil
}

// ReaderRecipients returns the age recipients of a site's readers.
func (e *Estate) ReaderRecipients(ctx context.Context, site string) ([]string, error) {
	readers, err := e.Readers(ctx, site)
	if err != nil {
		return nil, err
	}
	recipients := make([]string, len(readers))
	for i, r := range readers {
		recipients[i] = r.Recipient
	}
	return recipients, nil
}

// SetReaders replaces a site's readers. It refuses what is plainly no
// recipient; whether all can be used together is seal.ParseReaders' to say,
// before.
func (e *Estate) SetReaders(ctx context.Context, site string, readers []Reader) error {
	clean := make([]Reader, len(readers))
	seen := map[string]bool{}
	for i, r := range readers {
		r.Recipient = strings.TrimSpace(r.Recipient)
		if err := checkRecipient(r.Recipient); err != nil {
			return fmt.Errorf("set readers of site %q: %w", site, err)
		}
		if seen[r.Recipient] {
			return fmt.Errorf("set readers of site %q: %w", site, invalid("recipient", "twice", r.Name))
		}
		seen[r.Recipient] = true
		r.Name = strings.Join(strings.Fields(r.Name), " ")
		if r.Added.IsZero() {
			r.Added = e.now()
		}
		clean[i] = r
	}
	err := e.db.Tx(ctx, func(tx *sql.Tx) error {
		if known, err := idTaken(ctx, tx, "estate_sites", site); err != nil {
			return err
		} else if !known {
			return ErrNotFound
		}
		return replaceReaders(ctx, tx, site, clean)
	})
	if err != nil {
		return fmt.Errorf("set readers of site %q: %w", site, err)
	}
	e.subs.tell()
	return nil
}

func checkRecipient(r string) error {
	switch {
	// Case is folded: bech32 allows all capitals.
	case strings.Contains(strings.ToUpper(r), "AGE-SECRET-KEY-") || strings.Contains(strings.ToUpper(r), "AGE-PLUGIN-"):
		return invalid("recipient", "identity", "")
	case len(r) < 20 || len(r) > 4096 || !strings.HasPrefix(strings.ToLower(r), "age1"):
		return invalid("recipient", "recipient", r[:min(len(r), 16)])
	}
	return nil
}

const limitsSetting = "limits"

// Limits returns the retention of the whole archive.
func (e *Estate) Limits(ctx context.Context) (Limits, error) {
	limits := DefaultLimits()
	text, err := selectSetting(ctx, pool{e.db}, limitsSetting)
	if err == nil && text != "" {
		err = json.Unmarshal([]byte(text), &limits)
	}
	if err != nil {
		return Limits{}, fmt.Errorf("read retention: %w", err)
	}
	return limits, nil
}

// SetLimits changes the retention of the whole archive.
func (e *Estate) SetLimits(ctx context.Context, l Limits) error {
	if err := checkRetention(l.Default); err != nil {
		return err
	}
	if l.Total < 0 || l.Total > 0 && l.Total < minBytes || l.LowWater < 0 {
		return invalid("retention", "retention", "bytes")
	}
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	err = e.db.Tx(ctx, func(tx *sql.Tx) error { return upsertSetting(ctx, tx, limitsSetting, string(text)) })
	if err != nil {
		return fmt.Errorf("store retention: %w", err)
	}
	e.subs.tell()
	return nil
}

// minBytes is the least that makes sense to keep: less would delete what has
// hardly been written.
const minBytes = 100_000_000

func checkRetention(r Retention) error {
	if r.MaxAge < 0 || r.MaxAge > 0 && r.MaxAge < time.Hour {
		return invalid("retention", "retention", r.MaxAge.String())
	}
	if r.MaxBytes < 0 || r.MaxBytes > 0 && r.MaxBytes < minBytes {
		return invalid("retention", "retention", fmt.Sprint(r.MaxBytes, " bytes"))
	}
	return nil
}

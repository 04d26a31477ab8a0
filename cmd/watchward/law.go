package main

import (
	"context"
	"fmt"
	"time"

	"github.com/watchward/watchward/internal/identify"
	"github.com/watchward/watchward/internal/policy"
	"github.com/watchward/watchward/internal/web/know"
	"github.com/watchward/watchward/internal/web/prove"
)

// openBook opens what is known of makers and rules, and lets the rules stand at
// the estate's gate. secret signs waivers.
func (h *house) openBook(ctx context.Context, secret []byte) error {
	data, rules, err := h.knowledge()
	if err != nil {
		return err
	}
	if h.engine, err = identify.New(data); err != nil {
		return err
	}
	h.makers = data.Makers
	key, err := policy.WaiverKey(secret)
	if err != nil {
		return err
	}
	if h.book, err = policy.Open(ctx, policy.Options{DB: h.database, Estate: h.estate, Catalogue: rules, Key: key}); err != nil {
		return fmt.Errorf("open findings: %w", err)
	}
	h.estate.SetGate(h.book)
	return nil
}

// knowledge is what the pages conclude from: the bundle and the imports of the
// data folder. A recorder must not stop because they were damaged: then it is
// what this program carries, and the log says so.
func (h *house) knowledge() (identify.Data, *policy.Catalogue, error) {
	k := KnowledgeFlag{Data: h.cfg.Data}
	data, err := k.data()
	if err == nil {
		var rules *policy.Catalogue
		if rules, err = k.restrictions(); err == nil {
			return data, rules, nil
		}
	}
	h.log.Error("imported data cannot be used, the program's own is", "error", err)
	if data, err = (KnowledgeFlag{}).data(); err != nil {
		return identify.Data{}, nil, err
	}
	rules, err := policy.Load()
	return data, rules, err
}

// settle is how long changes are waited for before all devices are judged
// again: an import makes many at once.
const settle = time.Second

// followRules keeps the findings in step with the estate, and with the day:
// rules begin and waivers end at midnight.
func (h *house) followRules(ctx context.Context) error {
	changed, cancel := h.estate.Subscribe()
	defer cancel()
	for {
		if _, err := h.book.Refresh(ctx); err != nil && ctx.Err() == nil {
			h.log.Error("judge devices", "err", err)
		}
		midnight := time.NewTimer(time.Until(time.Now().UTC().Truncate(24 * time.Hour).Add(24*time.Hour + time.Second)))
		select {
		case <-ctx.Done():
			midnight.Stop()
			return nil
		case <-midnight.C:
		case <-changed:
			midnight.Stop()
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(settle):
			}
			select { // what came in the meantime is judged at once
			case <-changed:
			default:
			}
		}
	}
}

// buildProve hangs in the pages of assurance and of the log.
func (h *house) buildProve() error {
	_, err := prove.New(prove.Options{
		Web: h.web, Estate: h.estate, Book: h.book, Archive: h.archive, Keys: h.keys, Ledger: h.ledger, Log: h.log,
	})
	return err
}

// buildKnow hangs in the pages of the estate and the rules. The demo offers its
// town for a scan.
func (h *house) buildKnow() (err error) {
	n := network{h.engine}
	o := know.Options{Web: h.web, Estate: h.estate, Book: h.book, Makers: h.makers, Network: n, Import: n.importFile, Town: h.town, Log: h.log}
	h.know, err = know.New(o)
	return err
}

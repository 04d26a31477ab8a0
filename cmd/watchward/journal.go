package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/ledger"
	"github.com/watchward/watchward/internal/web/watch"
)

// The ledger's places in the data folder. The key lies apart from what it signs.
const (
	ledgerName    = "ledger"
	ledgerKeyName = "ledger.key"
)

// buildLedger opens the ledger, before anything that has something to note.
func (h *house) buildLedger(ctx context.Context) (err error) {
	ledger.LogTo(h.log)
	o := ledger.Options{
		Dir: filepath.Join(h.cfg.Data, ledgerName), Key: filepath.Join(h.cfg.Data, ledgerKeyName), Log: h.log,
		Software: "watchward " + readVersion().Version,
	}
	for _, w := range h.cfg.Ledger.Witnesses {
		o.Witnesses = append(o.Witnesses, ledger.WitnessID(w))
	}
	if len(o.Witnesses) > 0 {
		o.HTTP = newWitnessClient()
	}
	h.ledger, err = ledger.Open(ctx, o)
	return err
}

// newWitnessClient reaches the witnesses that the operator named, and no others:
// an answer that points elsewhere is not followed.
func newWitnessClient() *http.Client {
	return &http.Client{
		Timeout:       15 * time.Second,
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 10 * time.Second, MaxResponseHeaderBytes: 16 << 10, IdleConnTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// journal notes in the ledger what happens to the archive.
type journal struct{ ledger *ledger.Ledger }

// Note says each event in the ledger's words.
func (j journal) Note(ctx context.Context, events []archive.Event) error {
	entries := make([]ledger.Entry, len(events))
	for i, e := range events {
		entries[i] = entryOf(e)
	}
	_, err := j.ledger.Append(ctx, entries...)
	return err
}

func entryOf(e archive.Event) ledger.Entry {
	switch e.What {
	case archive.SegmentIn:
		s := e.Segment
		return ledger.Segment{
			Name: s.Name(), Bytes: s.Bytes, SHA256: s.SHA256, State: string(s.State), Entered: e.Why, ClockError: s.ClockError,
		}.Entry()
	case archive.GapIn:
		return ledger.Gap(e.Gap.Name(), e.Why)
	case archive.HoldIn:
		h := e.Hold
		return ledger.Hold{ID: h.ID, Site: h.Site, Camera: h.Camera, Stream: h.Stream, From: h.From, To: h.To, Who: h.By, Why: h.Why}.Entry()
	case archive.HoldOut:
		return ledger.Release(e.Hold.ID, "")
	}
	return ledger.Deletion(e.Name(), e.Why, e.Segment.SHA256)
}

// Known finds what the ledger says of a segment or gap, unless it says that it
// was deleted since.
func (j journal) Known(ctx context.Context, name string) (sum [32]byte, known bool, err error) {
	kind := ledger.Recorded
	if strings.HasSuffix(name, ".gap") {
		kind = ledger.NoVideo
	}
	in, err := j.ledger.Find(ctx, kind, name)
	if errors.Is(err, ledger.ErrNotFound) {
		return sum, false, nil
	}
	if err != nil {
		return sum, false, err
	}
	out, err := j.ledger.Find(ctx, ledger.Deleted, name)
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return sum, false, err
	}
	if err == nil && out.Seq > in.Seq {
		return sum, false, nil
	}
	if kind == ledger.Recorded {
		if b, err := hex.DecodeString(in.Get("sha256")); err == nil {
			copy(sum[:], b)
		}
	}
	return sum, true, nil
}

// viewings notes in the ledger who is about to see what.
type viewings struct{ *ledger.Viewings }

// Note returns nil once it is noted.
func (v viewings) Note(ctx context.Context, w watch.Viewing) error {
	err := v.Viewings.Note(ctx, ledger.Viewing{
		Who: w.User, Why: w.Why, Session: w.Session, What: string(w.What),
		Site: w.Stream.Site, Camera: w.Stream.Camera, Stream: w.Stream.Stream, At: w.At,
	})
	if err != nil {
		return fmt.Errorf("%w: %w", watch.ErrNotNoted, err)
	}
	return nil
}

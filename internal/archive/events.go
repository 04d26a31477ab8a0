package archive

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"
)

// Event is something that happened to the archive and belongs into a record
// that cannot be bent. It is written down in the same transaction, so there is
// neither one without the other; the journal gets it within seconds.
type Event struct {
	What    EventKind
	Segment Segment // with SegmentIn and SegmentOut; with SHA256
	Gap     Gap     // with GapIn and GapOut
	Hold    Hold    // with HoldIn; with HoldOut its ID alone
	// Why is how a segment or gap came in, or why one goes: the words below.
	Why string

	id int64
}

// EventKind says what happened.
type EventKind string

// The kinds of events.
const (
	SegmentIn  EventKind = "segment"     // a segment is in the archive
	SegmentOut EventKind = "deleted"     // a segment is about to be deleted
	GapIn      EventKind = "gap"         // a gap was noted
	GapOut     EventKind = "gap-deleted" // a gap is about to be removed
	HoldIn     EventKind = "held"
	HoldOut    EventKind = "released"
)

// How segments and gaps come in.
const (
	EnteredRecorded  = "recorded"  // a recorder gave it to us
	EnteredRecovered = "recovered" // found without a row, after a crash or a lost index
	EnteredBefore    = "before"    // was there before there was a journal
)

// Why they go.
const (
	OutAge           = "age"            // older than retention keeps
	OutSize          = "size"           // the camera, or all, took more room than allowed
	OutRoom          = "room"           // the disk was nearly full
	OutRenamed       = "renamed"        // its file is there under a name that says more
	OutNothingBefore = "nothing-before" // a gap before the first segment
	OutRecorded      = "recorded-after-all"
)

// Name is the file that a segment or gap event is about, "" for holds.
func (e Event) Name() string {
	switch e.What {
	case SegmentIn, SegmentOut:
		return e.Segment.Name()
	case GapIn, GapOut:
		return e.Gap.Name()
	}
	return ""
}

// Journal is the record that events go to.
type Journal interface {
	// Note takes events, durably and in this order, before it returns nil. One
	// whose answer was lost comes again.
	Note(ctx context.Context, events []Event) error
	// Known reports whether the journal says that a segment or gap of this name
	// is in the archive, and the hash it gives a segment.
	Known(ctx context.Context, name string) (sum [32]byte, known bool, err error)
}

// eventBatch is how many events are handed over at once.
const eventBatch = 256

// addEvent writes an event in the transaction that makes it happen.
func addEvent(ctx context.Context, tx *sql.Tx, e Event) error {
	id, from, to, kind, why := e.Segment.StreamID, e.Segment.Start, e.Segment.End(), string(e.Segment.kind()), e.Why
	by := ""
	switch e.What {
	case GapIn, GapOut:
		id, from, to, kind = e.Gap.StreamID, e.Gap.Start, e.Gap.End, e.Gap.Reason
	case HoldIn, HoldOut:
		id, from, to, kind, why, by = e.Hold.StreamID, e.Hold.From, e.Hold.To, e.Hold.ID, e.Hold.Why, e.Hold.By
	}
	var sum []byte
	if e.Segment.SHA256 != ([32]byte{}) {
		sum = e.Segment.SHA256[:]
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO archive_events
		(id, what, site, camera, stream, start_us, end_us, kind, why, held_by, bytes, sha256, clock_error_us)
		VALUES ((SELECT coalesce(max(id), 0) + 1 FROM archive_events), $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		string(e.What), id.Site, id.Camera, id.Stream, from.UnixMicro(), to.UnixMicro(), kind, why, by,
		e.Segment.Bytes, sum, e.Segment.ClockError.Microseconds())
	return err
}

func (x *index) addEvents(ctx context.Context, events ...Event) error {
	return x.tx(ctx, "add-events", func(tx *sql.Tx) error {
		for _, e := range events {
			if err := addEvent(ctx, tx, e); err != nil {
				return err
			}
		}
		return nil
	})
}

// events are the oldest events that the journal does not have.
func (x *index) events(ctx context.Context, limit int) ([]Event, error) {
	rows, err := x.db.Query(ctx, `SELECT id, what, site, camera, stream, start_us, end_us, kind, why, held_by, bytes, sha256, clock_error_us
		FROM archive_events ORDER BY id LIMIT $1`, limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func() (Event, error) {
		var e Event
		var id StreamID
		var from, to, clock, bytes int64
		var kind, by string
		var sum []byte
		err := rows.Scan(&e.id, &e.What, &id.Site, &id.Camera, &id.Stream, &from, &to, &kind, &e.Why, &by, &bytes, &sum, &clock)
		start, end := time.UnixMicro(from).UTC(), time.UnixMicro(to).UTC()
		switch e.What {
		case GapIn, GapOut:
			e.Gap = Gap{id, start, end, kind}
		case HoldIn, HoldOut:
			e.Hold, e.Why = Hold{ID: kind, StreamID: id, From: start, To: end, By: by, Why: e.Why}, ""
		default:
			e.Segment = Segment{
				StreamID: id, Start: start, Duration: end.Sub(start), Bytes: bytes, State: State(kind),
				ClockError: time.Duration(clock) * time.Microsecond,
			}
			copy(e.Segment.SHA256[:], sum)
		}
		return e, err
	})
}

// dropEvents removes events that the journal has.
func (x *index) dropEvents(ctx context.Context, list []Event) error {
	return x.tx(ctx, "drop-events", func(tx *sql.Tx) error {
		for _, e := range list {
			if _, err := tx.ExecContext(ctx, `DELETE FROM archive_events WHERE id = $1`, e.id); err != nil {
				return err
			}
		}
		return nil
	})
}

// note hands over what happened, and tries again later if that fails.
func (a *Archive) note(ctx context.Context) {
	if err := a.noteAll(ctx); err != nil && ctx.Err() == nil {
		a.log.Error("the journal does not take events: they wait in the index", "err", a.noteError(err))
	}
}

// noteAll returns nil when the journal has all that happened before the call.
func (a *Archive) noteAll(ctx context.Context) error {
	if a.journal == nil {
		return nil
	}
	a.noting.Lock()
	defer a.noting.Unlock()
	for {
		list, err := a.x.events(ctx, eventBatch)
		if err != nil || len(list) == 0 {
			return err
		}
		news, err := a.news(ctx, list)
		if err == nil && len(news) > 0 {
			err = a.journal.Note(ctx, news)
		}
		if err != nil {
			return fmt.Errorf("note events: %w", err)
		}
		if err := a.x.dropEvents(ctx, list); err != nil {
			return err
		}
	}
}

// news leaves out what the journal knows already, as when an index was made
// again from names, and completes what names do not say.
func (a *Archive) news(ctx context.Context, list []Event) (out []Event, err error) {
	gone := map[string]bool{} // by an event that the journal has not heard of either
	for _, e := range list {
		if e.What == SegmentOut || e.What == GapOut {
			gone[e.Name()] = true
		}
		if e.What != SegmentIn && e.What != GapIn || e.Why == EnteredRecorded {
			out = append(out, e)
			continue
		}
		sum, known, err := a.journal.Known(ctx, e.Name())
		if err != nil {
			return nil, err
		}
		known = known && !gone[e.Name()]
		unhashed := e.What == SegmentIn && e.Segment.SHA256 == ([32]byte{})
		if known && (e.What == GapIn || unhashed || sum == e.Segment.SHA256) {
			if unhashed {
				// The row gets the hash that was noted, not that of what lies there
				// now: the next check compares.
				err = a.x.setHash(ctx, e.Segment, sum)
			}
			if err != nil {
				return nil, err
			}
			continue
		}
		if unhashed {
			if e.Segment.SHA256, err = a.hashFile(e.Name()); errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err == nil {
				err = a.x.setHash(ctx, e.Segment, e.Segment.SHA256)
			}
			if err != nil {
				return nil, err
			}
		}
		out = append(out, e)
	}
	return out, nil
}

func (a *Archive) hashFile(name string) ([32]byte, error) {
	f, err := a.fs.Open(a.path(name))
	if err != nil {
		return [32]byte{}, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return [32]byte{}, err
	}
	return hashOf(io.NewSectionReader(f, 0, st.Size()))
}

// noted is asked before anything is removed. A disk without room is the one
// reason to remove what the journal has not heard of: the event stays in the
// index and reaches it as soon as there is room again.
func (a *Archive) noted(ctx context.Context) error {
	err := a.noteError(a.noteAll(ctx))
	a.mu.Lock()
	low := a.disk.below || a.disk.noRoom
	a.mu.Unlock()
	if err != nil && (low || errors.Is(err, ErrFull)) {
		a.log.Error("deleting before the journal knows, to make room", "err", err)
		return nil
	}
	return err
}

// removeGaps removes gaps: their rows, then, once the journal knows, their files.
// A crash in between leaves files without rows, which the next start adopts and
// tells the journal of; a failure here puts the rows back at once.
func (a *Archive) removeGaps(ctx context.Context, gaps []Gap, why string) error {
	if len(gaps) == 0 {
		return nil
	}
	if err := a.x.removeGaps(ctx, gaps, why); err != nil {
		return err
	}
	err := a.noted(ctx)
	for err == nil && len(gaps) > 0 {
		if err = a.fs.Remove(a.path(gaps[0].Name())); err == nil || errors.Is(err, fs.ErrNotExist) {
			gaps, err = gaps[1:], nil
		}
	}
	if err == nil {
		return nil
	}
	err = fmt.Errorf("delete gap %q: %w", gaps[0].Name(), err)
	for _, g := range gaps {
		if _, serr := a.fs.Stat(a.path(g.Name())); serr != nil {
			continue // it went, and only the answer was lost
		}
		err = errors.Join(err, a.x.insertGap(ctx, g, EnteredRecovered))
	}
	return err
}

// Waiting names the segments and gaps of events that the journal does not have
// yet.
func (a *Archive) Waiting(ctx context.Context) (map[string]bool, error) {
	list, err := a.x.events(ctx, noLimit)
	if err != nil {
		return nil, fmt.Errorf("list waiting events: %w", err)
	}
	out := map[string]bool{}
	for _, e := range list {
		if name := e.Name(); name != "" {
			out[name] = true
		}
	}
	return out, nil
}

// Rows calls f with every segment and g with every gap of the index, stream by
// stream.
func (a *Archive) Rows(ctx context.Context, f func(Segment) error, g func(Gap) error) error {
	streams, err := a.x.streams(ctx)
	if err != nil {
		return fmt.Errorf("read index: %w", err)
	}
	for _, s := range streams {
		if err := a.rowsOf(ctx, s, f, g); err != nil {
			return fmt.Errorf("read index of %s: %w", s.StreamID, err)
		}
	}
	return nil
}

// rowsOf goes day by day, so that a long archive need not fit into memory.
func (a *Archive) rowsOf(ctx context.Context, s stream, f func(Segment) error, g func(Gap) error) error {
	days, err := a.x.daysOf(ctx, s)
	if err != nil {
		return err
	}
	for day := range slices.Values(days) {
		at, err := time.Parse(time.DateOnly, day)
		if err != nil {
			return err
		}
		segments, err := a.x.startingIn(ctx, s, at)
		if err != nil {
			return err
		}
		for _, seg := range segments {
			if err := f(seg); err != nil {
				return err
			}
		}
		gaps, err := a.x.gapsStartingIn(ctx, s, at)
		if err != nil {
			return err
		}
		for _, gap := range gaps {
			if err := g(gap); err != nil {
				return err
			}
		}
	}
	return nil
}

// Running reports whether a server holds the archive.
func (a *Archive) Running() (bool, error) { return a.running() }

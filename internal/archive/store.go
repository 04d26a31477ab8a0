package archive

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/watchward/watchward/internal/db"
)

// schema is applied in order; steps are only ever added. All times are Unix
// microseconds.
var schema = []string{
	`CREATE TABLE archive_streams (
		id       BIGINT NOT NULL PRIMARY KEY,
		site     TEXT   NOT NULL,
		camera   TEXT   NOT NULL,
		stream   TEXT   NOT NULL,
		segments BIGINT NOT NULL DEFAULT 0, -- how many rows the stream has below
		bytes    BIGINT NOT NULL DEFAULT 0, -- and their sum
		UNIQUE (site, camera, stream)
	)`,
	`CREATE TABLE archive_segments (
		stream_id      BIGINT NOT NULL REFERENCES archive_streams (id),
		start_us       BIGINT NOT NULL,
		end_us         BIGINT NOT NULL, -- where the next may begin
		bytes          BIGINT NOT NULL,
		sha256         BYTEA,           -- of the file; NULL until computed, after a reindex
		kind           TEXT   NOT NULL, -- how the file is named: sealed, torn, damaged
		mark           TEXT   NOT NULL, -- '' when all is well, else torn, damaged, expiring, missing
		clock_error_us BIGINT NOT NULL,
		PRIMARY KEY (stream_id, start_us)
	)`,
	// A timeline asks only for what is not well: it must not walk a month of
	// segments.
	`CREATE INDEX archive_segments_mark ON archive_segments (stream_id, start_us) WHERE mark <> ''`,
	`CREATE TABLE archive_gaps (
		stream_id BIGINT NOT NULL REFERENCES archive_streams (id),
		start_us  BIGINT NOT NULL,
		end_us    BIGINT NOT NULL,
		reason    TEXT   NOT NULL,
		PRIMARY KEY (stream_id, start_us)
	)`,
	`CREATE TABLE archive_holds (
		id         TEXT   NOT NULL PRIMARY KEY,
		site       TEXT   NOT NULL,
		camera     TEXT   NOT NULL,
		stream     TEXT   NOT NULL, -- '' means every stream of the camera
		from_us    BIGINT NOT NULL,
		to_us      BIGINT NOT NULL,
		held_by    TEXT   NOT NULL,
		why        TEXT   NOT NULL,
		created_us BIGINT NOT NULL
	)`,
	// Folders in which files may lie that have no row yet. Without it every
	// start would have to read every folder.
	`CREATE TABLE archive_folders (
		site   TEXT NOT NULL,
		camera TEXT NOT NULL,
		day    TEXT NOT NULL,
		PRIMARY KEY (site, camera, day)
	)`,
	// What happened and is not in the journal yet: written in the transaction
	// that makes it happen, removed when the journal has it.
	`CREATE TABLE archive_events (
		id             BIGINT NOT NULL PRIMARY KEY,
		what           TEXT   NOT NULL, -- segment, gap, deleted, gap-deleted, held, released
		site           TEXT   NOT NULL,
		camera         TEXT   NOT NULL,
		stream         TEXT   NOT NULL,
		start_us       BIGINT NOT NULL,
		end_us         BIGINT NOT NULL,
		kind           TEXT   NOT NULL, -- of a segment: how its file is named; of a gap: its reason; of a hold: its id
		why            TEXT   NOT NULL, -- how it came in; why it goes; what it is held for
		held_by        TEXT   NOT NULL DEFAULT '',
		bytes          BIGINT NOT NULL DEFAULT 0,
		sha256         BYTEA,
		clock_error_us BIGINT NOT NULL DEFAULT 0
	)`,
	// What was there before there was a journal.
	`INSERT INTO archive_events (id, what, site, camera, stream, start_us, end_us, kind, why, bytes, sha256, clock_error_us)
		SELECT row_number() OVER (ORDER BY s.start_us, s.stream_id), 'segment', t.site, t.camera, t.stream, s.start_us, s.end_us, s.kind,
			'before', s.bytes, s.sha256, s.clock_error_us
		FROM archive_segments s JOIN archive_streams t ON t.id = s.stream_id WHERE s.mark NOT IN ('expiring', 'missing')`,
	`INSERT INTO archive_events (id, what, site, camera, stream, start_us, end_us, kind, why)
		SELECT (SELECT coalesce(max(id), 0) FROM archive_events) + row_number() OVER (ORDER BY g.start_us, g.stream_id), 'gap',
			t.site, t.camera, t.stream, g.start_us, g.end_us, g.reason, 'before'
		FROM archive_gaps g JOIN archive_streams t ON t.id = g.stream_id`,
	`INSERT INTO archive_events (id, what, site, camera, stream, start_us, end_us, kind, why, held_by)
		SELECT (SELECT coalesce(max(id), 0) FROM archive_events) + row_number() OVER (ORDER BY created_us, id), 'held',
			site, camera, stream, from_us, to_us, id, why, held_by
		FROM archive_holds`,
}

// index is the archive's tables. It holds nothing that the names on disk do
// not, but hashes, clock errors and holds.
type index struct {
	db *db.DB
	// fault is asked before and after each change, in tests.
	fault func(op string, done bool) error

	mu  sync.RWMutex
	ids map[StreamID]int64
}

func openIndex(ctx context.Context, d *db.DB) (*index, error) {
	if err := d.Apply(ctx, "archive", schema); err != nil {
		return nil, err
	}
	return &index{db: d, ids: map[StreamID]int64{}}, nil
}

// tx runs one change of the index. Op names it for tests.
func (x *index) tx(ctx context.Context, op string, f func(*sql.Tx) error) error {
	if x.fault != nil {
		if err := x.fault(op, false); err != nil {
			return err
		}
	}
	if err := x.db.Tx(ctx, f); err != nil {
		return err
	}
	if x.fault != nil {
		return x.fault(op, true)
	}
	return nil
}

// find returns the number of a stream that has rows.
func (x *index) find(ctx context.Context, id StreamID) (int64, bool, error) {
	x.mu.RLock()
	n, ok := x.ids[id]
	x.mu.RUnlock()
	if ok {
		return n, true, nil
	}
	err := x.db.QueryRow(ctx, `SELECT id FROM archive_streams WHERE site = $1 AND camera = $2 AND stream = $3`,
		id.Site, id.Camera, id.Stream).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	x.mu.Lock()
	x.ids[id] = n
	x.mu.Unlock()
	return n, true, nil
}

// need returns the number of a stream, giving it one if it has none. It must
// not be called within a transaction: there is one writer.
func (x *index) need(ctx context.Context, id StreamID) (int64, error) {
	if n, ok, err := x.find(ctx, id); ok || err != nil {
		return n, err
	}
	err := x.tx(ctx, "add-stream", func(tx *sql.Tx) error { return insertStream(ctx, tx, id) })
	if err != nil {
		return 0, err
	}
	n, _, err := x.find(ctx, id)
	return n, err
}

func insertStream(ctx context.Context, tx *sql.Tx, id StreamID) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO archive_streams (id, site, camera, stream)
		VALUES ((SELECT coalesce(max(id), 0) + 1 FROM archive_streams), $1, $2, $3) ON CONFLICT DO NOTHING`,
		id.Site, id.Camera, id.Stream)
	return err
}

// stream is a row of archive_streams.
type stream struct {
	StreamID
	id              int64
	segments, bytes int64
}

func (x *index) streams(ctx context.Context) ([]stream, error) {
	rows, err := x.db.Query(ctx, `SELECT id, site, camera, stream, segments, bytes FROM archive_streams ORDER BY site, camera, stream`)
	if err != nil {
		return nil, err
	}
	return collect(rows, func() (s stream, err error) {
		return s, rows.Scan(&s.id, &s.Site, &s.Camera, &s.Stream, &s.segments, &s.bytes)
	})
}

// collect reads all rows and closes them.
func collect[T any](rows *sql.Rows, scan func() (T, error)) ([]T, error) {
	defer rows.Close()
	var out []T
	for rows.Next() {
		v, err := scan()
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

const segmentColumns = `start_us, end_us, bytes, sha256, kind, mark, clock_error_us`

// segments reads rows of one stream that a query selected by segmentColumns.
func (x *index) segments(ctx context.Context, id StreamID, query string, args ...any) ([]Segment, error) {
	rows, err := x.db.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, func() (Segment, error) {
		s := Segment{StreamID: id}
		var start, end, clock int64
		var sum []byte
		var kind, mark string
		err := rows.Scan(&start, &end, &s.Bytes, &sum, &kind, &mark, &clock)
		s.Start, s.Duration = time.UnixMicro(start).UTC(), time.Duration(end-start)*time.Microsecond
		s.ClockError, s.State, s.named = time.Duration(clock)*time.Microsecond, State(kind), ""
		copy(s.SHA256[:], sum)
		if mark != "" && mark != kind {
			s.State, s.named = State(mark), State(kind)
		}
		return s, err
	})
}

// noLimit is more rows than there are.
const noLimit = 1<<31 - 1

// between are the segments of a stream that touch a span, in order.
func (x *index) between(ctx context.Context, id StreamID, from, to time.Time, limit int) ([]Segment, error) {
	n, ok, err := x.find(ctx, id)
	if !ok || err != nil {
		return nil, err
	}
	// Segments of a stream do not overlap, so the last that begins before the
	// span is the only one before it that can reach into it.
	return x.segments(ctx, id, `SELECT `+segmentColumns+` FROM archive_segments
		WHERE stream_id = $1 AND end_us > $2 AND start_us < $3 AND start_us >= coalesce(
			(SELECT max(start_us) FROM archive_segments WHERE stream_id = $1 AND start_us <= $2), $2)
		ORDER BY start_us LIMIT $4`, n, from.UnixMicro(), to.UnixMicro(), limit)
}

// one is the segment of a stream that begins at start.
func (x *index) one(ctx context.Context, id StreamID, start time.Time) (Segment, bool, error) {
	n, ok, err := x.find(ctx, id)
	if !ok || err != nil {
		return Segment{}, false, err
	}
	s, err := x.segments(ctx, id, `SELECT `+segmentColumns+` FROM archive_segments WHERE stream_id = $1 AND start_us = $2`,
		n, start.UnixMicro())
	if len(s) == 0 || err != nil {
		return Segment{}, false, err
	}
	return s[0], true, nil
}

// gapsTouching selects the gaps of stream $1 that touch the span from $2 to $3.
// Gaps do not overlap: see between. GapsNear may also select the one before,
// and reads nothing but the table's key.
const (
	gapsNear = `stream_id = $1 AND start_us < $3 AND start_us >= coalesce(
		(SELECT max(start_us) FROM archive_gaps WHERE stream_id = $1 AND start_us <= $2), $2)`
	gapsTouching = gapsNear + ` AND end_us > $2`
)

// gapsBetween are the gaps of a stream that touch a span, in order.
func (x *index) gapsBetween(ctx context.Context, id StreamID, from, to time.Time) ([]Gap, error) {
	n, ok, err := x.find(ctx, id)
	if !ok || err != nil {
		return nil, err
	}
	return x.gaps(ctx, id, `SELECT start_us, end_us, reason FROM archive_gaps WHERE `+gapsTouching+` ORDER BY start_us`,
		n, from.UnixMicro(), to.UnixMicro())
}

func (x *index) gaps(ctx context.Context, id StreamID, query string, args ...any) ([]Gap, error) {
	rows, err := x.db.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, func() (Gap, error) {
		g := Gap{StreamID: id}
		var start, end int64
		err := rows.Scan(&start, &end, &g.Reason)
		g.Start, g.End = time.UnixMicro(start).UTC(), time.UnixMicro(end).UTC()
		return g, err
	})
}

// bounds are the first start and the last end of a stream's segments.
func (x *index) bounds(ctx context.Context, id StreamID) (first, last time.Time, ok bool, err error) {
	n, ok, err := x.find(ctx, id)
	if !ok || err != nil {
		return first, last, false, err
	}
	var a, b sql.NullInt64
	err = x.db.QueryRow(ctx, `SELECT
		(SELECT min(start_us) FROM archive_segments WHERE stream_id = $1),
		(SELECT end_us FROM archive_segments WHERE stream_id = $1 ORDER BY start_us DESC LIMIT 1)`, n).Scan(&a, &b)
	if err != nil || !a.Valid {
		return first, last, false, err
	}
	return time.UnixMicro(a.Int64).UTC(), time.UnixMicro(b.Int64).UTC(), true, nil
}

// lastGap is the end of a stream's last gap.
func (x *index) lastGap(ctx context.Context, id StreamID) (end time.Time, ok bool, err error) {
	n, ok, err := x.find(ctx, id)
	if !ok || err != nil {
		return end, false, err
	}
	var us int64
	err = x.db.QueryRow(ctx, `SELECT end_us FROM archive_gaps WHERE stream_id = $1 ORDER BY start_us DESC LIMIT 1`, n).Scan(&us)
	if errors.Is(err, sql.ErrNoRows) {
		return end, false, nil
	}
	return time.UnixMicro(us).UTC(), err == nil, err
}

// insert adds a segment's row. A row that is there already stays as it is: the
// answer to an earlier try was lost.
func (x *index) insert(ctx context.Context, s Segment, entered string) error {
	n, err := x.need(ctx, s.StreamID)
	if err != nil {
		return err
	}
	return x.tx(ctx, "insert-segment", func(tx *sql.Tx) error { return insertSegment(ctx, tx, n, s, entered) })
}

func insertSegment(ctx context.Context, tx *sql.Tx, stream int64, s Segment, entered string) error {
	var sum []byte
	if s.SHA256 != ([32]byte{}) {
		sum = s.SHA256[:]
	}
	mark := string(s.State)
	if s.State == Sealed {
		mark = ""
	}
	r, err := tx.ExecContext(ctx, `INSERT INTO archive_segments (stream_id, `+segmentColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
		stream, s.Start.UnixMicro(), s.End().UnixMicro(), s.Bytes, sum, string(s.kind()), mark, s.ClockError.Microseconds())
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); n == 0 || err != nil {
		return err
	}
	if err := addEvent(ctx, tx, Event{What: SegmentIn, Segment: s, Why: entered}); err != nil {
		return err
	}
	return count(ctx, tx, stream, 1, s.Bytes)
}

func count(ctx context.Context, tx *sql.Tx, stream, segments, bytes int64) error {
	_, err := tx.ExecContext(ctx, `UPDATE archive_streams SET segments = segments + $2, bytes = bytes + $3 WHERE id = $1`,
		stream, segments, bytes)
	return err
}

// setMark says what is the matter with a segment.
func (x *index) setMark(ctx context.Context, s Segment, mark State) error {
	n, err := x.need(ctx, s.StreamID)
	if err != nil {
		return err
	}
	m := string(mark)
	if mark == Sealed {
		m = ""
	}
	return x.tx(ctx, "mark", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE archive_segments SET mark = $3 WHERE stream_id = $1 AND start_us = $2`,
			n, s.Start.UnixMicro(), m)
		return err
	})
}

// setHash fills in a hash that was not known.
func (x *index) setHash(ctx context.Context, s Segment, sum [32]byte) error {
	n, err := x.need(ctx, s.StreamID)
	if err != nil {
		return err
	}
	return x.tx(ctx, "hash", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE archive_segments SET sha256 = $3
			WHERE stream_id = $1 AND start_us = $2 AND sha256 IS NULL`, n, s.Start.UnixMicro(), sum[:])
		return err
	})
}

// remove deletes the rows of segments, all of one stream, and puts gaps in
// their place.
func (x *index) remove(ctx context.Context, id StreamID, list []Segment, holes []Gap) error {
	n, err := x.need(ctx, id)
	if err != nil {
		return err
	}
	return x.tx(ctx, "delete-segments", func(tx *sql.Tx) error {
		for _, s := range list {
			r, err := tx.ExecContext(ctx, `DELETE FROM archive_segments WHERE stream_id = $1 AND start_us = $2`, n, s.Start.UnixMicro())
			if err != nil {
				return err
			}
			gone, err := r.RowsAffected()
			if err != nil {
				return err
			}
			if err := count(ctx, tx, n, -gone, -gone*s.Bytes); err != nil {
				return err
			}
		}
		for _, g := range holes {
			if err := insertGap(ctx, tx, n, g, EnteredRecorded); err != nil {
				return err
			}
		}
		return nil
	})
}

func (x *index) insertGap(ctx context.Context, g Gap, entered string) error {
	n, err := x.need(ctx, g.StreamID)
	if err != nil {
		return err
	}
	return x.tx(ctx, "insert-gap", func(tx *sql.Tx) error { return insertGap(ctx, tx, n, g, entered) })
}

func insertGap(ctx context.Context, tx *sql.Tx, stream int64, g Gap, entered string) error {
	r, err := tx.ExecContext(ctx, `INSERT INTO archive_gaps (stream_id, start_us, end_us, reason)
		VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`, stream, g.Start.UnixMicro(), g.End.UnixMicro(), g.Reason)
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); n == 0 || err != nil {
		return err
	}
	return addEvent(ctx, tx, Event{What: GapIn, Gap: g, Why: entered})
}

// removeGaps removes gaps' rows and says so.
func (x *index) removeGaps(ctx context.Context, gaps []Gap, why string) error {
	return x.tx(ctx, "delete-gaps", func(tx *sql.Tx) error {
		for _, g := range gaps {
			r, err := tx.ExecContext(ctx, `DELETE FROM archive_gaps WHERE start_us = $4 AND stream_id =
				(SELECT id FROM archive_streams WHERE site = $1 AND camera = $2 AND stream = $3)`, g.Site, g.Camera, g.Stream, g.Start.UnixMicro())
			if err != nil {
				return err
			}
			n, err := r.RowsAffected()
			if err != nil {
				return err
			}
			if n == 0 {
				continue
			}
			if err := addEvent(ctx, tx, Event{What: GapOut, Gap: g, Why: why}); err != nil {
				return err
			}
		}
		return nil
	})
}

// folder is a camera's day.
type folder struct{ site, camera, day string }

func (f folder) path() string { return f.site + "/" + f.camera + "/" + f.day }

func (x *index) addFolder(ctx context.Context, f folder) error {
	return x.tx(ctx, "add-folder", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO archive_folders (site, camera, day) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
			f.site, f.camera, f.day)
		return err
	})
}

func (x *index) folders(ctx context.Context) ([]folder, error) {
	rows, err := x.db.Query(ctx, `SELECT site, camera, day FROM archive_folders ORDER BY site, camera, day`)
	if err != nil {
		return nil, err
	}
	return collect(rows, func() (f folder, err error) { return f, rows.Scan(&f.site, &f.camera, &f.day) })
}

// clearFolders forgets folders that were looked through.
func (x *index) clearFolders(ctx context.Context, list []folder) error {
	return x.tx(ctx, "clear-folders", func(tx *sql.Tx) error {
		for _, f := range list {
			if _, err := tx.ExecContext(ctx, `DELETE FROM archive_folders WHERE site = $1 AND camera = $2 AND day = $3`,
				f.site, f.camera, f.day); err != nil {
				return err
			}
		}
		return nil
	})
}

// empty reports whether the index knows nothing: it is new, or was lost.
func (x *index) empty(ctx context.Context) (bool, error) {
	var n int
	err := x.db.QueryRow(ctx, `SELECT (SELECT count(*) FROM (SELECT 1 FROM archive_segments LIMIT 1) AS s)
		+ (SELECT count(*) FROM (SELECT 1 FROM archive_gaps LIMIT 1) AS g)`).Scan(&n)
	return n == 0, err
}

// marked counts segments by what is the matter with them.
func (x *index) marked(ctx context.Context) (map[State]int64, error) {
	rows, err := x.db.Query(ctx, `SELECT mark, count(*) FROM archive_segments WHERE mark <> '' GROUP BY mark`)
	if err != nil {
		return nil, err
	}
	type pair struct {
		mark State
		n    int64
	}
	list, err := collect(rows, func() (p pair, err error) { return p, rows.Scan(&p.mark, &p.n) })
	out := map[State]int64{}
	for _, p := range list {
		out[p.mark] = p.n
	}
	return out, err
}

func wrap(what string, name fmt.Stringer, err error) error {
	return fmt.Errorf("%s %s: %w", what, name, err)
}

// startingIn are the segments of a stream that belong to a day, in order.
func (x *index) startingIn(ctx context.Context, st stream, day time.Time) ([]Segment, error) {
	return x.segments(ctx, st.StreamID, `SELECT `+segmentColumns+` FROM archive_segments
		WHERE stream_id = $1 AND start_us >= $2 AND start_us < $3 ORDER BY start_us`,
		st.id, day.UnixMicro(), day.Add(24*time.Hour).UnixMicro())
}

// gapsStartingIn are the gaps of a stream whose files lie in a day's folder.
func (x *index) gapsStartingIn(ctx context.Context, st stream, day time.Time) ([]Gap, error) {
	return x.gaps(ctx, st.StreamID, `SELECT start_us, end_us, reason FROM archive_gaps
		WHERE stream_id = $1 AND start_us >= $2 AND start_us < $3 ORDER BY start_us`,
		st.id, day.UnixMicro(), day.Add(24*time.Hour).UnixMicro())
}

// hasGap reports whether a gap has its row.
func (x *index) hasGap(ctx context.Context, g Gap) (bool, error) {
	n, ok, err := x.find(ctx, g.StreamID)
	if !ok || err != nil {
		return false, err
	}
	var rows int
	err = x.db.QueryRow(ctx, `SELECT count(*) FROM archive_gaps WHERE stream_id = $1 AND start_us = $2 AND end_us = $3 AND reason = $4`,
		n, g.Start.UnixMicro(), g.End.UnixMicro(), g.Reason).Scan(&rows)
	return rows > 0, err
}

// daysOf are the days of a camera that have rows, as yyyy-mm-dd.
func (x *index) daysOf(ctx context.Context, st stream) ([]string, error) {
	rows, err := x.db.Query(ctx, `SELECT DISTINCT start_us / 86400000000 FROM archive_segments WHERE stream_id = $1
		UNION SELECT DISTINCT start_us / 86400000000 FROM archive_gaps WHERE stream_id = $1 ORDER BY 1`, st.id)
	if err != nil {
		return nil, err
	}
	return collect(rows, func() (string, error) {
		var n int64
		err := rows.Scan(&n)
		return time.Unix(n*86400, 0).UTC().Format(time.DateOnly), err
	})
}

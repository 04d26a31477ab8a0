package archive

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Hold keeps what touches a span from being deleted, whatever the policy says.
type Hold struct {
	ID       string
	StreamID // Stream "" means all streams of the camera
	From, To time.Time
	By, Why  string
	Created  time.Time
}

// ErrNoHold means that there is no hold with this id.
var ErrNoHold = errors.New("hold not found")

// Hold makes a hold. What was deleted before is not brought back. An empty
// Stream means all streams of the camera; nobody holds without saying why.
func (a *Archive) Hold(ctx context.Context, id StreamID, from, to time.Time, by, why string) (string, error) {
	check := id
	if check.Stream == "" {
		check.Stream = Main
	}
	switch err := check.Valid(); {
	case err != nil:
		return "", fmt.Errorf("hold: %w", err)
	case !to.After(from):
		return "", errors.New("hold: want an end after the beginning")
	case from.Year() < 1 || to.Year() > 9999:
		return "", errors.New("hold: want years 1 to 9999")
	case by == "" || why == "":
		return "", errors.New("hold: want who holds it, and why")
	case len(by) > 200 || len(why) > 2000:
		return "", errors.New("hold: want at most 200 characters of who and 2000 of why")
	}
	name := rand.Text()
	err := a.x.tx(ctx, "hold", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO archive_holds
			(id, site, camera, stream, from_us, to_us, held_by, why, created_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			name, id.Site, id.Camera, id.Stream, from.UnixMicro(), to.UnixMicro(), by, why, a.now().UnixMicro())
		if err != nil {
			return err
		}
		return addEvent(ctx, tx, Event{What: HoldIn, Hold: Hold{ID: name, StreamID: id, From: from, To: to, By: by, Why: why}})
	})
	if err != nil {
		return "", wrap("hold", id, err)
	}
	return name, nil
}

// Release ends a hold. What it kept goes when the policy says so.
func (a *Archive) Release(ctx context.Context, id string) error {
	var gone int64
	err := a.x.tx(ctx, "release", func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `DELETE FROM archive_holds WHERE id = $1`, id)
		if err != nil {
			return err
		}
		if gone, err = r.RowsAffected(); gone == 0 || err != nil {
			return err
		}
		return addEvent(ctx, tx, Event{What: HoldOut, Hold: Hold{ID: id}})
	})
	if err == nil && gone == 0 {
		err = ErrNoHold
	}
	if err != nil {
		return fmt.Errorf("release hold %q: %w", id, err)
	}
	return nil
}

// Holds lists the holds, the oldest first.
func (a *Archive) Holds(ctx context.Context) ([]Hold, error) {
	rows, err := a.x.db.Query(ctx, `SELECT id, site, camera, stream, from_us, to_us, held_by, why, created_us
		FROM archive_holds ORDER BY created_us, id`)
	if err != nil {
		return nil, fmt.Errorf("list holds: %w", err)
	}
	out, err := collect(rows, func() (Hold, error) {
		var h Hold
		var from, to, created int64
		err := rows.Scan(&h.ID, &h.Site, &h.Camera, &h.Stream, &from, &to, &h.By, &h.Why, &created)
		h.From, h.To, h.Created = time.UnixMicro(from).UTC(), time.UnixMicro(to).UTC(), time.UnixMicro(created).UTC()
		return h, err
	})
	if err != nil {
		return nil, fmt.Errorf("list holds: %w", err)
	}
	return out, nil
}

// notHeld is true of a row of archive_segments (as s) that no hold covers. Its
// parameters are site, camera and stream.
const notHeld = `NOT EXISTS (SELECT 1 FROM archive_holds h WHERE h.site = $2 AND h.camera = $3
	AND (h.stream = '' OR h.stream = $4) AND h.from_us < s.end_us AND h.to_us > s.start_us)`

// deletable are the oldest segments of a stream that no hold covers and that
// end before a time.
func (x *index) deletable(ctx context.Context, st stream, before time.Time, limit int) ([]Segment, error) {
	return x.segments(ctx, st.StreamID, `SELECT `+segmentColumns+` FROM archive_segments s
		WHERE s.stream_id = $1 AND s.mark <> 'expiring' AND s.end_us <= $5 AND `+notHeld+`
		ORDER BY s.start_us LIMIT $6`, st.id, st.Site, st.Camera, st.Stream, before.UnixMicro(), limit)
}

// expire marks segments as being deleted, unless a hold came in between, and
// returns those that it marked.
func (x *index) expire(ctx context.Context, st stream, list []Segment, why string) (marked []Segment, err error) {
	err = x.tx(ctx, "expire", func(tx *sql.Tx) error {
		marked = nil
		for _, seg := range list {
			r, err := tx.ExecContext(ctx, `UPDATE archive_segments AS s SET mark = 'expiring'
				WHERE s.stream_id = $1 AND s.start_us = $5 AND `+notHeld, st.id, st.Site, st.Camera, st.Stream, seg.Start.UnixMicro())
			if err != nil {
				return err
			}
			n, err := r.RowsAffected()
			if err != nil {
				return err
			}
			if n > 0 {
				seg.State, seg.named = Expiring, seg.kind()
				if err := addEvent(ctx, tx, Event{What: SegmentOut, Segment: seg, Why: why}); err != nil {
					return err
				}
				marked = append(marked, seg)
			}
		}
		return nil
	})
	return marked, err
}

// expiring are the segments of a stream whose deletion was begun.
func (x *index) expiring(ctx context.Context, st stream) ([]Segment, error) {
	return x.segments(ctx, st.StreamID, `SELECT `+segmentColumns+` FROM archive_segments
		WHERE stream_id = $1 AND mark <> '' AND mark = 'expiring' ORDER BY start_us LIMIT $2`, st.id, batch)
}

// older reports whether a stream keeps something from before a time.
func (x *index) older(ctx context.Context, st stream, t time.Time) (bool, error) {
	var n int
	err := x.db.QueryRow(ctx, `SELECT count(*) FROM (SELECT 1 FROM archive_segments
		WHERE stream_id = $1 AND start_us < $2 AND mark <> 'expiring' LIMIT 1) AS o`, st.id, t.UnixMicro()).Scan(&n)
	return n > 0, err
}

// segmentsOn reports whether a camera has a segment on a day.
func (x *index) segmentsOn(ctx context.Context, f folder, day time.Time) (bool, error) {
	var n int
	err := x.db.QueryRow(ctx, `SELECT count(*) FROM (SELECT 1 FROM archive_segments s JOIN archive_streams t ON t.id = s.stream_id
		WHERE t.site = $1 AND t.camera = $2 AND s.start_us >= $3 AND s.start_us < $4 LIMIT 1) AS o`,
		f.site, f.camera, day.UnixMicro(), day.Add(24*time.Hour).UnixMicro()).Scan(&n)
	return n > 0, err
}

// oldGaps are gaps of a stream that end by a time.
func (x *index) oldGaps(ctx context.Context, st stream, by time.Time) ([]Gap, error) {
	return x.gaps(ctx, st.StreamID, `SELECT start_us, end_us, reason FROM archive_gaps
		WHERE stream_id = $1 AND end_us <= $2 ORDER BY start_us LIMIT $3`, st.id, by.UnixMicro(), batch)
}

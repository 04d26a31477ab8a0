package archive

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"slices"
)

// rebuild makes the index from names, in one transaction: a crash leaves the
// old one. Then it goes through the folders again for what a crash left.
func (a *Archive) rebuild(ctx context.Context) (Recovery, error) {
	var r Recovery
	list, err := a.days()
	if err != nil {
		return r, err
	}
	var odd []folder
	err = a.x.tx(ctx, "rebuild", func(tx *sql.Tx) error {
		odd, r = nil, Recovery{}
		b, err := newBuilder(ctx, tx)
		if err != nil {
			return err
		}
		for _, f := range list {
			files, err := a.read(f)
			if err != nil {
				return err
			}
			r.Folders++
			torn := func(s found) bool { return s.State == Torn }
			if len(files.parts) > 0 || slices.ContainsFunc(files.segments, torn) {
				// A torn one may not be trimmed yet.
				odd, files.segments = append(odd, f), slices.DeleteFunc(files.segments, torn)
			}
			if err := b.add(ctx, files, &r); err != nil {
				return err
			}
		}
		return b.close(ctx)
	})
	if err != nil {
		return r, err
	}
	for _, f := range odd {
		// Only what is unfinished is left to do here.
		r.Folders--
		if err := a.mendDay(ctx, f, &r); err != nil {
			return r, err
		}
	}
	return r, nil
}

// builder fills the tables.
type builder struct {
	tx             *sql.Tx
	segment, gap   *sql.Stmt
	ids            map[StreamID]int64
	counts, volume map[int64]int64
}

func newBuilder(ctx context.Context, tx *sql.Tx) (*builder, error) {
	for _, q := range []string{
		`DELETE FROM archive_segments`, `DELETE FROM archive_gaps`, `DELETE FROM archive_folders`,
		`UPDATE archive_streams SET segments = 0, bytes = 0`,
	} {
		if _, err := tx.ExecContext(ctx, q); err != nil {
			return nil, err
		}
	}
	b := &builder{
		tx: tx, ids: map[StreamID]int64{},
		counts: map[int64]int64{}, volume: map[int64]int64{},
	}
	var err error
	if b.segment, err = tx.PrepareContext(ctx, `INSERT INTO archive_segments (stream_id, `+segmentColumns+`)
		VALUES ($1, $2, $3, $4, NULL, $5, $6, 0) ON CONFLICT DO NOTHING`); err != nil {
		return nil, err
	}
	b.gap, err = tx.PrepareContext(ctx, `INSERT INTO archive_gaps (stream_id, start_us, end_us, reason)
		VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`)
	return b, err
}

func (b *builder) id(ctx context.Context, id StreamID) (n int64, err error) {
	if n, ok := b.ids[id]; ok {
		return n, nil
	}
	if err := insertStream(ctx, b.tx, id); err != nil {
		return 0, err
	}
	err = b.tx.QueryRowContext(ctx, `SELECT id FROM archive_streams WHERE site = $1 AND camera = $2 AND stream = $3`,
		id.Site, id.Camera, id.Stream).Scan(&n)
	b.ids[id] = n
	return n, err
}

func (b *builder) add(ctx context.Context, files dayFiles, r *Recovery) error {
	r.Strange += len(files.strange)
	for _, f := range files.segments {
		st, err := f.entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		n, err := b.id(ctx, f.StreamID)
		if err != nil {
			return err
		}
		mark := string(f.State)
		if f.State == Sealed {
			mark = ""
		}
		done, err := b.segment.ExecContext(ctx, n, f.Start.UnixMicro(), f.End().UnixMicro(), st.Size(), string(f.State), mark)
		if err != nil {
			return err
		}
		if rows, err := done.RowsAffected(); rows == 0 || err != nil {
			if err != nil {
				return err
			}
			continue // two files with one beginning: the check names the other
		}
		seg := f.Segment
		seg.Bytes = st.Size()
		if err := addEvent(ctx, b.tx, Event{What: SegmentIn, Segment: seg, Why: EnteredRecovered}); err != nil {
			return err
		}
		b.counts[n]++
		b.volume[n] += st.Size()
		r.Adopted++
	}
	for _, g := range files.gaps {
		n, err := b.id(ctx, g.StreamID)
		if err != nil {
			return err
		}
		if _, err := b.gap.ExecContext(ctx, n, g.Start.UnixMicro(), g.End.UnixMicro(), g.Reason); err != nil {
			return err
		}
		if err := addEvent(ctx, b.tx, Event{What: GapIn, Gap: g, Why: EnteredRecovered}); err != nil {
			return err
		}
		r.Gaps++
	}
	return nil
}

// close writes the counts.
func (b *builder) close(ctx context.Context) error {
	for n := range b.counts {
		if err := count(ctx, b.tx, n, b.counts[n], b.volume[n]); err != nil {
			return err
		}
	}
	return errors.Join(b.segment.Close(), b.gap.Close())
}

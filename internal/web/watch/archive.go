package watch

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/seal"
)

// archiveData gathers what the archive page shows.
func (w *Watch) archiveData(r *http.Request) (archiveData, error) {
	ctx := r.Context()
	cameras, err := w.visible(r)
	if err != nil {
		return archiveData{}, err
	}
	d := archiveData{Health: w.health(cameras), Dir: w.o.DataDir}
	limits, err := w.o.Estate.Limits(ctx)
	if err != nil {
		return d, err
	}
	d.Limits = limitsForm{
		Days: days(limits.Default.MaxAge), Gigabytes: gigabytes(limits.Default.MaxBytes),
		Total: gigabytes(limits.Total), LowWater: gigabytes(limits.LowWater),
	}
	if d.Sites, err = w.readersBySite(ctx); err != nil {
		return d, err
	}
	if d.Gaps, err = w.gapsByReason(ctx, cameras); err != nil {
		return d, err
	}
	// An example for the commands that a person may copy.
	d.Sample.Site, d.Sample.Camera, d.Sample.Day = "SITE", "CAMERA", w.now().UTC().Format(time.DateOnly)
	if len(cameras) > 0 {
		d.Sample.Site, d.Sample.Camera = cameras[0].Site, cameras[0].ID
	}
	return d, nil
}

func (w *Watch) readersBySite(ctx context.Context) ([]siteReaders, error) {
	sites, err := w.o.Estate.Sites(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]siteReaders, len(sites))
	for i, s := range sites {
		out[i].Site = s
		if out[i].Readers, err = w.o.Estate.Readers(ctx, s.ID); err != nil {
			return nil, err
		}
		var lines []string
		for _, reader := range out[i].Readers {
			lines = append(lines, reader.Recipient)
		}
		if parsed, err := seal.ParseReaders(lines); err == nil {
			out[i].Kind = string(parsed.Kind())
		}
	}
	return out, nil
}

// gapsByReason adds up the last day's gaps of the main streams.
func (w *Watch) gapsByReason(ctx context.Context, cameras []estate.Camera) ([]reasonCount, error) {
	to := w.now().UTC()
	from := to.Add(-24 * time.Hour)
	byReason := map[string]*reasonCount{}
	for _, c := range cameras {
		line, err := w.o.Archive.Timeline(ctx, archive.StreamID{Site: c.Site, Camera: c.ID, Stream: "main"}, from, to)
		if err != nil {
			return nil, err
		}
		for _, g := range line.Gaps {
			n := byReason[g.Reason]
			if n == nil {
				n = &reasonCount{Reason: g.Reason}
				byReason[g.Reason] = n
			}
			start, end := g.Start, g.End
			if start.Before(from) {
				start = from
			}
			if end.After(to) {
				end = to
			}
			n.Count++
			n.Length += end.Sub(start)
		}
	}
	var out []reasonCount
	for _, n := range byReason {
		out = append(out, *n)
	}
	slices.SortFunc(out, func(a, b reasonCount) int {
		return cmp.Or(cmp.Compare(b.Length, a.Length), cmp.Compare(a.Reason, b.Reason))
	})
	return out, nil
}

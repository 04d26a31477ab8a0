package watch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/access"
	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/web"
)

// maxGaps bounds what a timeline answers with: more could not be told apart
// on any screen.
const maxGaps = 2000

// maxSegments is how many segments one answer lists.
const maxSegments = 120

type timelineInfo struct {
	First int64      `json:"first"`
	Last  int64      `json:"last"`
	Now   int64      `json:"now"`
	Gaps  []gapInfo  `json:"gaps"`
	Marks []markInfo `json:"marks"`
	Open  *openInfo  `json:"open"`
}

type gapInfo struct {
	Start  int64  `json:"start"`
	End    int64  `json:"end"`
	Reason string `json:"reason"`
}

type markInfo struct {
	Start int64  `json:"start"`
	End   int64  `json:"end"`
	State string `json:"state"`
}

type openInfo struct {
	Start int64 `json:"start"`
	End   int64 `json:"end"`
}

// asked reads of which stream, and of when, a request wants to know.
func (w *Watch) asked(r *http.Request, act access.Act) (id archive.StreamID, from, to time.Time, err error) {
	c, err := w.camera(r, act)
	if err != nil {
		return id, from, to, err
	}
	if id, err = streamID(c, r.URL.Query().Get("stream")); err != nil {
		return id, from, to, err
	}
	from, to, err = span(r)
	return id, from, to, err
}

func (w *Watch) apiTimeline(rw http.ResponseWriter, r *http.Request) error {
	id, from, to, err := w.asked(r, access.SeeArchive)
	if err != nil {
		return err
	}
	info, err := w.timeline(r.Context(), id, from, to)
	if err != nil {
		return err
	}
	return web.JSON(rw, info)
}

func (w *Watch) timeline(ctx context.Context, id archive.StreamID, from, to time.Time) (timelineInfo, error) {
	line, err := w.o.Archive.Timeline(ctx, id, from, to)
	if err != nil {
		return timelineInfo{}, err
	}
	info := timelineInfo{First: milli(line.First), Last: milli(line.Last), Now: milli(w.now()), Gaps: []gapInfo{}, Marks: []markInfo{}}
	for _, g := range line.Gaps {
		info.Gaps = append(info.Gaps, gapInfo{milli(g.Start), milli(g.End), g.Reason})
	}
	info.Gaps = coarsen(info.Gaps, to.Sub(from).Milliseconds()/maxGaps)
	for _, m := range line.Marks {
		if m.State != archive.Expiring && len(info.Marks) < maxGaps {
			info.Marks = append(info.Marks, markInfo{milli(m.Start), milli(m.End), string(m.State)})
		}
	}
	if open, ok := w.o.Recorders.Open(id.Camera, id.Stream); ok {
		info.Open = &openInfo{Start: milli(open.Start), End: milli(open.Start.Add(open.length()))}
		if info.First == 0 { // the very first segment is not committed yet
			info.First, info.Last = info.Open.Start, info.Open.Start
		}
	}
	return info, nil
}

// length is how far the written parts reach, as far as is known.
func (o OpenSegment) length() time.Duration {
	if len(o.Parts) == 0 {
		return 0
	}
	return o.Parts[len(o.Parts)-1].At
}

// coarsen joins gaps closer together than a point on a screen, when there are
// too many to send. The longest of those joined gives the reason.
func coarsen(gaps []gapInfo, point int64) []gapInfo {
	for len(gaps) > maxGaps {
		out := gaps[:1]
		longest := gaps[0].End - gaps[0].Start
		for _, g := range gaps[1:] {
			last := &out[len(out)-1]
			if g.Start-last.End > point {
				out, longest = append(out, g), g.End-g.Start
				continue
			}
			last.End = max(last.End, g.End)
			if n := g.End - g.Start; n > longest {
				last.Reason, longest = g.Reason, n
			}
		}
		gaps, point = out, 2*point+1
	}
	return gaps
}

type segmentInfo struct {
	Start  int64      `json:"start"`
	MS     int64      `json:"ms"`
	Bytes  int64      `json:"bytes"`
	State  string     `json:"state"`
	Day    string     `json:"day"`
	URL    string     `json:"url"`
	Codecs string     `json:"codecs"`
	Open   bool       `json:"open,omitempty"`
	Parts  []partInfo `json:"parts,omitempty"`
}

type partInfo struct {
	At     int64 `json:"at"`
	Offset int64 `json:"offset"`
	Key    bool  `json:"key"`
}

func segmentURL(id archive.StreamID, start time.Time) string {
	return fmt.Sprintf("/api/cameras/%s/segments/%s/%d", id.Camera, id.Stream, start.UnixMilli())
}

func (w *Watch) apiSegments(rw http.ResponseWriter, r *http.Request) error {
	id, from, to, err := w.asked(r, access.SeeRecorded)
	if err != nil {
		return err
	}
	// The open one first: should it be committed meanwhile, it is listed twice
	// and the second is dropped; the other way it could be missed.
	open, isOpen := w.o.Recorders.Open(id.Camera, id.Stream)
	list, err := w.o.Archive.List(r.Context(), id, from, to, maxSegments)
	if err != nil {
		return err
	}
	infos := make([]segmentInfo, 0, len(list)+1)
	for _, s := range list {
		if s.State == archive.Expiring || s.State == archive.Missing {
			continue
		}
		if isOpen && milli(s.Start) == milli(open.Start) {
			isOpen = false
		}
		infos = append(infos, segmentInfo{
			Start: milli(s.Start), MS: s.Duration.Milliseconds(), Bytes: s.Bytes, State: string(s.State),
			Day: s.Start.UTC().Format(time.DateOnly), URL: segmentURL(id, s.Start),
		})
	}
	if isOpen && len(infos) < maxSegments && open.Start.Before(to) && from.Before(open.Start.Add(open.length()+time.Second)) {
		infos = append(infos, openSegmentInfo(id, open))
	}
	return web.JSON(rw, infos)
}

func openSegmentInfo(id archive.StreamID, open OpenSegment) segmentInfo {
	info := segmentInfo{
		Start: milli(open.Start), MS: open.length().Milliseconds(), Bytes: open.Bytes, State: "open", Open: true,
		Day: open.Start.UTC().Format(time.DateOnly), URL: segmentURL(id, open.Start), Codecs: open.Codecs, Parts: []partInfo{},
	}
	for _, p := range open.Parts {
		info.Parts = append(info.Parts, partInfo{p.At.Milliseconds(), p.Offset, p.Key})
	}
	return info
}

// apiSegment serves sealed bytes, whole or in ranges.
func (w *Watch) apiSegment(rw http.ResponseWriter, r *http.Request) error {
	c, err := w.camera(r, access.SeeRecorded)
	if err != nil {
		return err
	}
	id, err := streamID(c, r.PathValue("stream"))
	if err != nil {
		return err
	}
	start, err := readMilli(r.PathValue("start"))
	if err != nil {
		return web.ErrNotFound
	}
	// Several ranges at once serve nobody here but those who want to make us
	// work: the whole is a valid answer to them.
	if strings.Contains(r.Header.Get("Range"), ",") {
		r.Header.Del("Range")
	}
	web.LongAnswer(rw, 15*time.Minute)
	return w.sendSegment(rw, r, id, start)
}

// commitTime is how long a segment may be neither open nor in the index while
// it is being committed.
const commitTime = 2 * time.Second

func (w *Watch) sendSegment(rw http.ResponseWriter, r *http.Request, id archive.StreamID, start time.Time) error {
	for wait := time.Duration(0); ; wait += 100 * time.Millisecond {
		if open, ok := w.o.Recorders.Open(id.Camera, id.Stream); ok && milli(open.Start) == start.UnixMilli() {
			file, err := w.o.Archive.OpenPart(id, open.Start)
			if err == nil {
				if err := w.noted(r, SeeRecording, id, start); err != nil {
					return errors.Join(err, file.Close())
				}
				return sendOpen(rw, r, file, open)
			}
		}
		file, segment, err := w.o.Archive.OpenFile(r.Context(), id, start)
		if err == nil {
			if err := w.noted(r, SeeRecording, id, start); err != nil {
				return errors.Join(err, file.Close())
			}
			return sendSealed(rw, r, file, segment)
		}
		recent := w.now().Sub(start) < 15*time.Minute
		if !errors.Is(err, archive.ErrNotFound) || !recent || wait >= commitTime {
			return err
		}
		select {
		case <-r.Context().Done():
			return r.Context().Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func sendOpen(rw http.ResponseWriter, r *http.Request, file archive.File, open OpenSegment) error {
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("open segment: %w", err)
	}
	rw.Header().Set("Content-Type", "application/octet-stream")
	// Only whole chunks: what follows them is still being written.
	body := io.NewSectionReader(file, 0, min(open.Bytes, info.Size()))
	http.ServeContent(rw, r, "", time.Time{}, body)
	return nil
}

func sendSealed(rw http.ResponseWriter, r *http.Request, file archive.File, s archive.Segment) error {
	defer file.Close()
	h := rw.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Cache-Control", "private, max-age=31536000, immutable")
	h.Set("ETag", segmentTag(s))
	if name := path.Base(s.Name()); r.URL.Query().Has("download") {
		h.Set("Content-Disposition", `attachment; filename="`+s.Camera+"_"+s.Start.UTC().Format(time.DateOnly)+"_"+name+`"`)
	}
	http.ServeContent(rw, r, "", time.Time{}, file)
	return nil
}

// segmentTag is the hash of the sealed bytes. A segment that recovery adopted
// has none yet: its name and size stand in, as it does not change either.
func segmentTag(s archive.Segment) string {
	if s.SHA256 == ([32]byte{}) {
		return fmt.Sprintf(`"%d-%d"`, s.Start.UnixMilli(), s.Bytes)
	}
	return `"` + hex.EncodeToString(s.SHA256[:]) + `"`
}

func (w *Watch) apiDayKey(rw http.ResponseWriter, r *http.Request) error {
	c, err := w.camera(r, access.SeeRecorded)
	if err != nil {
		return err
	}
	day := r.PathValue("day")
	at, err := time.Parse(time.DateOnly, day)
	if err != nil || at.Format(time.DateOnly) != day {
		return web.ErrNotFound
	}
	sealed, err := w.o.Keys.Sealed(c.Site, c.ID, day)
	if err != nil {
		return err
	}
	if err := w.noted(r, SeeKey, archive.StreamID{Site: c.Site, Camera: c.ID}, at); err != nil {
		return err
	}
	sum := sha256.Sum256(sealed)
	tag := `"` + hex.EncodeToString(sum[:16]) + `"`
	h := rw.Header()
	// It changes when it is sealed to other readers.
	h.Set("Cache-Control", "private, no-cache")
	h.Set("ETag", tag)
	if strings.Contains(r.Header.Get("If-None-Match"), tag) {
		rw.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Type", "application/age")
	h.Set("Content-Disposition", `attachment; filename="`+c.ID+"_"+day+`.key.age"`)
	_, _ = rw.Write(sealed) // whoever hung up will not read it
	return nil
}

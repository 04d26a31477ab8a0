package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os/user"
	"time"

	"github.com/watchward/watchward/internal/archive"
)

// ArchiveCmd is "watchward archive".
type ArchiveCmd struct {
	Check   ArchiveCheckCmd   `cmd:"" help:"Compare index and files: the fsck of the archive."`
	Reindex ArchiveReindexCmd `cmd:"" help:"Make the index again from the names of the files."`
	List    ArchiveListCmd    `cmd:"" help:"List streams, or the segments of some."`
	Gaps    ArchiveGapsCmd    `cmd:"" help:"List times that were not recorded, and why."`
	Hold    ArchiveHoldCmd    `cmd:"" help:"Keep recordings beyond retention, saying who wants it and why."`
	Release ArchiveReleaseCmd `cmd:"" help:"End a hold."`
	Holds   ArchiveHoldsCmd   `cmd:"" help:"List holds."`
}

// ArchiveCheckCmd is "watchward archive check".
type ArchiveCheckCmd struct {
	DataArg
	Hash bool `help:"Read every file and compare its SHA-256 with the index. Takes as long as reading the disk."`
	JSON bool `help:"Print JSON."`
}

// Help is shown by --help.
func (ArchiveCheckCmd) Help() string {
	return `Every row of the index must have its file with the right size (and hash, with --hash), every file
its row; segments may not overlap; time without recording must be a gap with a reason; every day
its key, unless it was erased. Needs no identity, changes nothing, and may run beside the server.

Examples

    watchward archive check /srv/watchward
    watchward archive check --hash --json /srv/watchward | jq .problems

Exit codes: 0 all well, 1 could not check, 3 problems found.`
}

// checkedArchive is what --json prints.
type checkedArchive struct {
	OK       bool             `json:"ok"`
	Segments int              `json:"segments"`
	Gaps     int              `json:"gaps"`
	Bytes    int64            `json:"bytes"`
	Hashed   int              `json:"hashed"`
	Erased   int              `json:"erased"`  // segments whose day key was erased on purpose
	Running  bool             `json:"running"` // a server was recording meanwhile
	Problems []archiveProblem `json:"problems"`
}

type archiveProblem struct {
	What   string `json:"what"`
	Where  string `json:"where"`
	Detail string `json:"detail,omitempty"`
}

// Run checks.
func (c *ArchiveCheckCmd) Run(ctx context.Context, s *streams) (err error) {
	a, done, err := c.openArchive(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	r, err := a.Check(ctx, archive.CheckOptions{Hash: c.Hash})
	if err != nil {
		return err
	}
	out := checkedArchive{
		OK: r.OK(), Segments: r.Segments, Gaps: r.Gaps, Bytes: r.Bytes, Hashed: r.Hashed, Erased: r.Erased,
		Running: r.Running, Problems: []archiveProblem{},
	}
	for _, p := range r.Problems {
		out.Problems = append(out.Problems, archiveProblem(p))
	}
	if c.JSON {
		err = printJSON(s, out)
	} else {
		out.print(s)
	}
	if err == nil && !out.OK {
		return errProblems
	}
	return err
}

func (r checkedArchive) print(s *streams) {
	for _, p := range r.Problems {
		s.printf("%s: %s", oneLine(p.What), oneLine(p.Where))
		if p.Detail != "" {
			s.printf(": %s", oneLine(p.Detail))
		}
		s.printf("\n")
	}
	s.printf("%s (%s), %s", count(int64(r.Segments), "segment"), bytesText(r.Bytes), count(int64(r.Gaps), "gap"))
	if r.Hashed > 0 {
		s.printf(", %s compared", count(int64(r.Hashed), "hash"))
	}
	if r.Erased > 0 {
		s.printf(", %s of erased days", count(int64(r.Erased), "segment"))
	}
	s.printf(": %s\n", count(int64(len(r.Problems)), "problem"))
}

func (d DataArg) openArchive(ctx context.Context) (*archive.Archive, func() error, error) {
	f, err := d.folder()
	if err != nil {
		return nil, nil, err
	}
	return f.open(ctx)
}

// ArchiveReindexCmd is "watchward archive reindex".
type ArchiveReindexCmd struct {
	DataArg
	JSON bool `help:"Print JSON."`
}

// Help is shown by --help.
func (ArchiveReindexCmd) Help() string {
	return `Use it when watchward.db is lost or damaged, or after files were put back from a backup. The names
of the files say everything but the hashes, which are computed later. Stop the server first.

Example

    watchward archive reindex /srv/watchward`
}

// reindexed is what --json prints.
type reindexed struct {
	Adopted int `json:"adopted"` // segments
	Torn    int `json:"torn"`    // of them cut short by a crash, and trimmed
	Removed int `json:"removed"` // cut short before anything readable was written
	Gaps    int `json:"gaps"`
	Strange int `json:"strange"` // names that are not ours, left alone
}

// Run rebuilds the index.
func (c *ArchiveReindexCmd) Run(ctx context.Context, s *streams) (err error) {
	f, err := c.folder()
	if err != nil {
		return err
	}
	a, done, err := f.openOrMake(ctx)
	if err != nil {
		return stopFirst(err)
	}
	defer func() { err = errors.Join(err, done()) }()
	r, err := a.Reindex(ctx)
	if err != nil {
		return stopFirst(err)
	}
	if c.JSON {
		return printJSON(s, reindexed{r.Adopted, r.Torn, r.Removed, r.Gaps, r.Strange})
	}
	s.printf("adopted %s and %s; %d torn, %d removed because nothing in them was readable, %d with names that are not ours\n",
		count(int64(r.Adopted), "segment"), count(int64(r.Gaps), "gap"), r.Torn, r.Removed, r.Strange)
	return nil
}

// stopFirst hints at the server that works on the archive.
func stopFirst(err error) error {
	if errors.Is(err, archive.ErrInUse) {
		return withHint(err, "stop the server that uses this folder first")
	}
	return err
}

// ArchiveListCmd is "watchward archive list".
type ArchiveListCmd struct {
	DataArg
	Camera streamFilter `short:"c" placeholder:"SITE/CAMERA" help:"List the segments of this camera (or SITE/CAMERA/STREAM) instead of all streams."`
	SpanFlags
	JSON bool `help:"Print JSON, one document."`
}

// Help is shown by --help.
func (ArchiveListCmd) Help() string {
	return `Examples

    watchward archive list /srv/watchward
    watchward archive list -d /srv/watchward -c town/gate --from 2026-11-24T10:00 --to 2026-11-24T11:00
    watchward archive list --json -c town/gate/main | jq -r '.[].file'`
}

// listedStream is one stream in --json.
type listedStream struct {
	Site   string     `json:"site"`
	Camera string     `json:"camera"`
	Stream string     `json:"stream"`
	First  *time.Time `json:"first"`
	Last   *time.Time `json:"last"`
	Gaps   int        `json:"gaps"`
}

// listedSegment is one segment in --json.
type listedSegment struct {
	Site         string    `json:"site"`
	Camera       string    `json:"camera"`
	Stream       string    `json:"stream"`
	Start        time.Time `json:"start"`
	Milliseconds int64     `json:"ms"`
	Bytes        int64     `json:"bytes"`
	State        string    `json:"state"`
	SHA256       string    `json:"sha256,omitempty"`
	ClockErrorMS int64     `json:"clock_error_ms"`
	File         string    `json:"file"` // below DIR/archive
}

// Run lists.
func (c *ArchiveListCmd) Run(ctx context.Context, s *streams) (err error) {
	from, to, err := c.span()
	if err != nil {
		return err
	}
	f, err := c.folder()
	if err != nil {
		return err
	}
	a, done, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	ids, err := f.streams(c.Camera, from, to)
	if err != nil {
		return err
	}
	if c.Camera == (streamFilter{}) {
		return c.streams(ctx, s, a, ids, from, to)
	}
	return c.segments(ctx, s, a, ids, from, to)
}

func (c *ArchiveListCmd) streams(ctx context.Context, s *streams, a *archive.Archive, ids []archive.StreamID, from, to time.Time) error {
	list := []listedStream{}
	for _, id := range ids {
		t, err := a.Timeline(ctx, id, from, to)
		if err != nil {
			return err
		}
		l := listedStream{Site: id.Site, Camera: id.Camera, Stream: id.Stream, Gaps: len(t.Gaps)}
		if !t.First.IsZero() {
			l.First, l.Last = &t.First, &t.Last
		}
		list = append(list, l)
		if !c.JSON {
			s.printf("%s  %s to %s, %s\n", id, stamp(t.First), stamp(t.Last), count(int64(len(t.Gaps)), "gap"))
		}
	}
	if c.JSON {
		return printJSON(s, list)
	}
	return nil
}

func (c *ArchiveListCmd) segments(ctx context.Context, s *streams, a *archive.Archive, ids []archive.StreamID, from, to time.Time) error {
	list := []listedSegment{}
	for _, id := range ids {
		err := eachSegment(ctx, a, id, from, to, func(g archive.Segment) {
			l := listedSegment{
				Site: g.Site, Camera: g.Camera, Stream: g.Stream, Start: g.Start, Milliseconds: g.Duration.Milliseconds(),
				Bytes: g.Bytes, State: string(g.State), ClockErrorMS: g.ClockError.Milliseconds(), File: g.Name(),
			}
			if g.SHA256 != [32]byte{} {
				l.SHA256 = hex.EncodeToString(g.SHA256[:])
			}
			if c.JSON {
				list = append(list, l)
				return
			}
			s.printf("%s  %7.3f s  %10d bytes  %-8s  %s\n", stamp(g.Start), g.Duration.Seconds(), g.Bytes, g.State, l.File)
		})
		if err != nil {
			return err
		}
	}
	if c.JSON {
		return printJSON(s, list)
	}
	return nil
}

// eachSegment pages through the index.
func eachSegment(ctx context.Context, a *archive.Archive, id archive.StreamID, from, to time.Time, do func(archive.Segment)) error {
	const page = 1000
	for {
		segments, err := a.List(ctx, id, from, to, page)
		if err != nil {
			return err
		}
		for _, g := range segments {
			if g.End().After(from) {
				do(g)
				from = g.End()
			}
		}
		if len(segments) < page {
			return nil
		}
	}
}

// ArchiveGapsCmd is "watchward archive gaps".
type ArchiveGapsCmd struct {
	DataArg
	Camera streamFilter `short:"c" placeholder:"SITE/CAMERA" help:"Only this site, camera or stream."`
	SpanFlags
	JSON bool `help:"Print JSON."`
}

// Help is shown by --help.
func (ArchiveGapsCmd) Help() string {
	return `A gap is a stretch of time that was not recorded, with the reason. The reasons are listed in
docs/reference/archive-format.md.

Examples

    watchward archive gaps /srv/watchward
    watchward archive gaps -d /srv/watchward -c town/gate --from 2026-11-24 --json`
}

// listedGap is one gap in --json.
type listedGap struct {
	Site   string    `json:"site"`
	Camera string    `json:"camera"`
	Stream string    `json:"stream"`
	Start  time.Time `json:"start"`
	End    time.Time `json:"end"`
	Reason string    `json:"reason"`
}

// Run lists gaps.
func (c *ArchiveGapsCmd) Run(ctx context.Context, s *streams) (err error) {
	from, to, err := c.span()
	if err != nil {
		return err
	}
	f, err := c.folder()
	if err != nil {
		return err
	}
	a, done, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	ids, err := f.streams(c.Camera, from, to)
	if err != nil {
		return err
	}
	list := []listedGap{}
	for _, id := range ids {
		t, err := a.Timeline(ctx, id, from, to)
		if err != nil {
			return err
		}
		for _, g := range t.Gaps {
			list = append(list, listedGap{id.Site, id.Camera, id.Stream, g.Start, g.End, g.Reason})
		}
	}
	if c.JSON {
		return printJSON(s, list)
	}
	for _, g := range list {
		s.printf("%s/%s/%s  %s to %s  %s  %s\n", g.Site, g.Camera, g.Stream, stamp(g.Start), stamp(g.End),
			g.End.Sub(g.Start).Round(time.Millisecond), oneLine(g.Reason))
	}
	s.printf("%s\n", count(int64(len(list)), "gap"))
	return nil
}

// ArchiveHoldCmd is "watchward archive hold".
type ArchiveHoldCmd struct {
	DataFlag
	Camera streamFilter `arg:"" placeholder:"SITE/CAMERA" help:"Camera, SITE/CAMERA, or one stream of it, SITE/CAMERA/STREAM."`
	From   moment       `required:"" placeholder:"TIME" help:"Beginning of what to keep."`
	To     moment       `required:"" placeholder:"TIME" help:"End of what to keep."`
	By     string       `placeholder:"NAME" help:"Who wants it kept. Default: the user who calls."`
	Why    string       `required:"" placeholder:"TEXT" help:"Why: a case number, a request."`
}

// Help is shown by --help.
func (ArchiveHoldCmd) Help() string {
	return `Retention never deletes a segment that a hold touches, nor may its day be erased. Prints the
hold's id, which "archive release" takes.

Example

    watchward archive hold town/gate --from 2026-11-24T10:00 --to 2026-11-24T11:00 --why "case 4711"`
}

// Run makes a hold.
func (c *ArchiveHoldCmd) Run(ctx context.Context, s *streams) (err error) {
	if c.Camera.camera == "" {
		return usage("", "hold %q: want SITE/CAMERA", c.Camera.site)
	}
	if !c.From.Before(c.To.Time) {
		return usage("", "--from is not before --to")
	}
	if c.By == "" {
		u, err := user.Current()
		if err != nil {
			return usage("", "no name for the user who calls: want --by NAME")
		}
		c.By = u.Username
	}
	a, done, err := DataArg{DataFlag: c.DataFlag}.openArchive(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	id := archive.StreamID{Site: c.Camera.site, Camera: c.Camera.camera, Stream: c.Camera.stream}
	hold, err := a.Hold(ctx, id, c.From.Time, c.To.Time, c.By, c.Why)
	if err != nil {
		return err
	}
	s.printf("%s\n", hold)
	return nil
}

// ArchiveReleaseCmd is "watchward archive release".
type ArchiveReleaseCmd struct {
	DataFlag
	ID string `arg:"" help:"The hold's id, as archive holds lists it."`
}

// Help is shown by --help.
func (ArchiveReleaseCmd) Help() string {
	return `After it, retention deletes what is over its age.

Example

    watchward archive release -d /srv/watchward 01JD0T0W6M`
}

// Run ends a hold.
func (c *ArchiveReleaseCmd) Run(ctx context.Context, s *streams) (err error) {
	a, done, err := DataArg{DataFlag: c.DataFlag}.openArchive(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	return a.Release(ctx, c.ID)
}

// ArchiveHoldsCmd is "watchward archive holds".
type ArchiveHoldsCmd struct {
	DataArg
	JSON bool `help:"Print JSON."`
}

// Help is shown by --help.
func (ArchiveHoldsCmd) Help() string {
	return `Example

    watchward archive holds /srv/watchward`
}

// listedHold is one hold in --json.
type listedHold struct {
	ID      string    `json:"id"`
	Site    string    `json:"site"`
	Camera  string    `json:"camera"`
	Stream  string    `json:"stream,omitempty"` // empty: all
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	By      string    `json:"by"`
	Why     string    `json:"why"`
	Created time.Time `json:"created"`
}

// Run lists holds.
func (c *ArchiveHoldsCmd) Run(ctx context.Context, s *streams) (err error) {
	a, done, err := c.openArchive(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	holds, err := a.Holds(ctx)
	if err != nil {
		return err
	}
	list := []listedHold{}
	for _, h := range holds {
		list = append(list, listedHold{h.ID, h.Site, h.Camera, h.Stream, h.From, h.To, h.By, h.Why, h.Created})
	}
	if c.JSON {
		return printJSON(s, list)
	}
	for _, h := range list {
		s.printf("%s  %s/%s  %s to %s  by %s: %s\n", h.ID, h.Site, h.Camera, stamp(h.From), stamp(h.To), oneLine(h.By), oneLine(h.Why))
	}
	s.printf("%s\n", count(int64(len(list)), "hold"))
	return nil
}

// stamp is a time for people and scripts alike.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

// count says "1 gap" and "2 gaps".
func count(n int64, what string) string {
	switch {
	case n == 1:
		return "1 " + what
	case what == "hash":
		what = "hashe"
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// bytesText says a size in decimal units, as disks are sold.
func bytesText(n int64) string {
	units := []string{"bytes", "kB", "MB", "GB", "TB", "PB"}
	f, i := float64(n), 0
	for f >= 1000 && i < len(units)-1 {
		f, i = f/1000, i+1
	}
	if i == 0 {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%.1f %s", f, units[i])
}

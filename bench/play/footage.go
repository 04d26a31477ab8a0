package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/watchward/watchward/internal/access"
	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/db"
	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/media"
	"github.com/watchward/watchward/internal/media/fmp4"
	"github.com/watchward/watchward/internal/seal"
)

const (
	userName = "bench"
	password = "only for this benchmark" // of a server on loopback that lives for a minute

	month    = 43_200 // minutes of 30 days
	gapEvery = 100    // segments of the month's camera
)

// span is a stretch of footage without holes.
type span struct {
	age    string // in words, as of its end
	start  time.Time
	length time.Duration
}

// house is a data folder, ready to be served.
type house struct {
	identity seal.Identity
	gate     archive.StreamID // has the spans
	month    archive.StreamID // has 43,200 names
	segments int
}

// makeClip has ffmpeg make the minute once: the same as bench/record's.
func makeClip(ctx context.Context, out string) (*clip, error) {
	whole, parts := filepath.Join(out, "sample.mp4"), filepath.Join(out, "sample-parts.mp4")
	if _, err := os.Stat(parts); err != nil {
		fmt.Fprintln(os.Stderr, "making the sample, once")
		for _, args := range [][]string{
			{
				"-f", "lavfi", "-i", "testsrc2=size=1920x1080:rate=25:duration=60,noise=alls=12:allf=t",
				"-c:v", "libx264", "-preset", "veryfast", "-profile:v", "high", "-pix_fmt", "yuv420p", "-bf", "0", "-g", "50",
				"-keyint_min", "50", "-sc_threshold", "0", "-b:v", "4M", "-minrate", "4M", "-maxrate", "4M", "-bufsize", "4M",
				"-x264-params", "nal-hrd=cbr:force-cfr=1", "-movflags", "+faststart", whole,
			},
			{"-i", whole, "-c", "copy", "-movflags", "frag_keyframe+empty_moov+default_base_moof", parts},
		} {
			cmd := exec.CommandContext(ctx, "ffmpeg", append([]string{"-hide_banner", "-loglevel", "error", "-y"}, args...)...)
			if text, err := cmd.CombinedOutput(); err != nil {
				return nil, fmt.Errorf("ffmpeg: %w: %s", err, text)
			}
		}
	}
	b, err := os.ReadFile(parts)
	if err != nil {
		return nil, err
	}
	return mux(b)
}

// clip is a minute as the recorder muxes it: what comes before the wall-clock
// time, and what after.
type clip struct {
	init, body []byte
}

// partLength is how many pictures a recorder puts in a part: 200 ms.
const partLength = 5

// mux cuts the minute into parts as the recorder does.
func mux(b []byte) (*clip, error) {
	r, err := fmp4.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, err
	}
	format := r.Formats()[0]
	samples, err := readSamples(r, format)
	if err != nil {
		return nil, err
	}
	c := &clip{}
	if c.init, err = fmp4.Init([]*media.Format{format}); err != nil {
		return nil, err
	}
	head := len(c.init) + len(fmp4.PRFT(1, time.Unix(0, 0), 0))
	var w fmp4.PartWriter
	var index []fmp4.RandomAccess
	w.Origin(0, samples[0].DTS, samples[0].PTS)
	for n := uint32(1); len(samples) > 0; n++ {
		part := samples[:min(partLength, len(samples))]
		samples = samples[len(part):]
		if part[0].Keyframe {
			index = append(index, fmp4.RandomAccess{Track: 1, Time: uint64(part[0].PTS), Offset: uint64(head + len(c.body))})
		}
		w.Reset()
		for _, s := range part {
			w.Add(0, s)
		}
		c.body = w.AppendPart(c.body, n)
		for _, s := range part {
			c.body = append(c.body, s.Data...)
		}
	}
	c.body = append(c.body, fmp4.Mfra(index)...)
	return c, nil
}

func readSamples(r *fmp4.Reader, format *media.Format) (all []*media.Sample, err error) {
	for {
		p, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		for _, s := range p.Samples {
			data, err := r.Data(s)
			if err != nil {
				return nil, err
			}
			all = append(all, &media.Sample{Format: format, Keyframe: s.Key, DTS: s.DTS, PTS: s.PTS, Data: data})
		}
	}
}

// furnish fills a data folder: an account, a reader, two cameras that are
// switched off, and what they recorded.
func furnish(ctx context.Context, dir string, c *clip, spans []span) (_ *house, err error) {
	h := &house{}
	if h.identity, err = seal.GenerateIdentity(seal.Hybrid); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	database, err := db.Open(ctx, filepath.Join(dir, "watchward.db"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, database.Close()) }()
	if err := h.people(ctx, dir, database); err != nil {
		return nil, err
	}
	root := filepath.Join(dir, "archive")
	if err := h.nameMonth(root, spans[len(spans)-1].start); err != nil {
		return nil, err
	}
	a, err := archive.Open(ctx, archive.Options{Root: root, DB: database, Keys: filepath.Join(dir, "keys"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	if _, err := a.Recover(ctx); err != nil { // an empty index: it takes up the month's names
		return nil, err
	}
	return h, h.record(ctx, dir, a, c, spans)
}

// people makes who logs in, who can read, and which cameras there are.
func (h *house) people(ctx context.Context, dir string, database *db.DB) error {
	who, err := access.Open(ctx, access.Options{DB: database})
	if err != nil {
		return err
	}
	if _, err := who.CreateUser(ctx, userName, password, access.Administrator); err != nil {
		return err
	}
	key, err := estate.LoadKey(filepath.Join(dir, "server.key"))
	if err != nil {
		return err
	}
	e, err := estate.Open(ctx, estate.Options{DB: database, Key: key, Gate: estate.NoRules{}})
	if err != nil {
		return err
	}
	site, err := e.AddSite(ctx, "Bench")
	if err != nil {
		return err
	}
	if err := e.SetReaders(ctx, site.ID, []estate.Reader{{Recipient: h.identity.Recipient(), Name: "Bench"}}); err != nil {
		return err
	}
	if err := e.SetLimits(ctx, estate.Limits{LowWater: 1 << 20}); err != nil { // nothing may expire
		return err
	}
	for name, id := range map[string]*archive.StreamID{"Gate": &h.gate, "Month": &h.month} {
		cam, err := e.AddCamera(ctx, estate.Camera{
			Site: site.ID, Name: name, Transport: "auto",
			Streams: []estate.StreamConfig{{Name: archive.Main, URL: "rtsp://127.0.0.1:9/" + name, Record: true}},
		})
		if err != nil {
			return err
		}
		*id = archive.StreamID{Site: site.ID, Camera: cam.ID, Stream: archive.Main}
	}
	return nil
}

// record seals and commits the spans, with a gap between them.
func (h *house) record(ctx context.Context, dir string, a *archive.Archive, c *clip, spans []span) error {
	readers, err := seal.ParseReaders([]string{h.identity.Recipient()})
	if err != nil {
		return err
	}
	keys, err := seal.NewDayKeys(seal.Options{Dir: filepath.Join(dir, "keys"), Readers: readers})
	if err != nil {
		return err
	}
	for i, s := range spans {
		if i > 0 {
			before := spans[i-1]
			g := archive.Gap{StreamID: h.gate, Start: before.start.Add(before.length), End: s.start, Reason: "camera-off"}
			if err := a.AddGap(ctx, g); err != nil {
				return err
			}
		}
		for at := s.start; at.Before(s.start.Add(s.length)); at = at.Add(time.Minute) {
			if err := h.segment(ctx, a, keys, c, at); err != nil {
				return err
			}
			h.segments++
		}
	}
	return nil
}

func (h *house) segment(ctx context.Context, a *archive.Archive, keys *seal.DayKeys, c *clip, at time.Time) error {
	day, err := keys.Recipient(h.gate.Site, h.gate.Camera, at.Format(time.DateOnly))
	if err != nil {
		return err
	}
	p, err := a.Create(h.gate, at)
	if err != nil {
		return err
	}
	w, err := seal.NewWriter(p, day)
	if err != nil {
		return errors.Join(err, p.Discard())
	}
	for _, b := range [][]byte{c.init, fmp4.PRFT(1, at, 0), c.body} {
		if _, err := w.Write(b); err != nil {
			return errors.Join(err, p.Discard())
		}
	}
	if err := w.Close(); err != nil {
		return errors.Join(err, p.Discard())
	}
	_, err = p.Commit(ctx, at.Add(time.Minute), time.Millisecond)
	return err
}

// nameMonth makes 30 days of segments that are names and nothing more, which
// is all that a timeline needs.
func (h *house) nameMonth(root string, end time.Time) error {
	touch := func(name string) error {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		return os.WriteFile(path, nil, 0o600)
	}
	at := end.Add(-(month + month/gapEvery) * time.Minute)
	for i := range month {
		s := archive.Segment{StreamID: h.month, Start: at, Duration: time.Minute, State: archive.Sealed}
		if err := touch(s.Name()); err != nil {
			return err
		}
		if at = s.End(); i%gapEvery == gapEvery-1 {
			g := archive.Gap{StreamID: h.month, Start: at, End: at.Add(time.Minute), Reason: "connection-lost"}
			if err := touch(g.Name()); err != nil {
				return err
			}
			at = g.End
		}
	}
	return nil
}

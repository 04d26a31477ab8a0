package prove

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/access"
	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/ledger"
	"github.com/watchward/watchward/internal/policy"
	"github.com/watchward/watchward/internal/web"
)

// cameraRow is a camera with its claims.
type cameraRow struct {
	ID     string  `json:"camera"`
	Name   string  `json:"name"`
	Site   string  `json:"site"`
	Claims []Claim `json:"claims"`
}

// siteRows is a site with the cameras of it that the reader may see.
type siteRows struct {
	Name string
	Rows []cameraRow
}

// Tallies counts over the site.
func (s siteRows) Tallies() []tally { return tallies(s.Rows) }

type assuranceData struct {
	At     time.Time
	Window time.Duration // how far back gaps were looked for
	Rows   []cameraRow
	Sites  []siteRows
	Log    ledger.Status
}

// Tallies counts over everything.
func (d assuranceData) Tallies() []tally { return tallies(d.Rows) }

// window is how far back gaps count: long enough to catch a bad night, short
// enough that a mended fault is forgiven.
const window = 24 * time.Hour

// assurance gathers the facts of every camera that the user may ask about.
func (p *Prove) assurance(r *http.Request) (d assuranceData, err error) {
	ctx := r.Context()
	d = assuranceData{At: p.now().UTC(), Window: window}
	if d.Log, err = p.o.Ledger.Status(ctx); err != nil {
		return d, err
	}
	holds, err := p.o.Archive.Holds(ctx)
	if err != nil {
		return d, err
	}
	limits, err := p.o.Estate.Limits(ctx)
	if err != nil {
		return d, err
	}
	findings, err := p.o.Book.Findings(ctx, policy.FindingFilter{})
	if err != nil {
		return d, err
	}
	cameras, err := p.o.Estate.Cameras(ctx)
	if err != nil {
		return d, err
	}
	sites, err := p.o.Estate.Sites(ctx)
	if err != nil {
		return d, err
	}
	for _, s := range sites {
		at, err := access.At(ctx, p.o.Estate, s.ID)
		if err != nil {
			return d, err
		}
		if !web.From(r).May(access.SeeArchive, at) {
			continue
		}
		readers, err := p.o.Estate.Readers(ctx, s.ID)
		if err != nil {
			return d, err
		}
		of := siteRows{Name: s.Name}
		for _, c := range cameras {
			if c.Site != s.ID {
				continue
			}
			f := facts{now: d.At, from: d.At.Add(-window), readers: readers, log: d.Log, limit: limits.Default}
			if err := p.look(ctx, &f, c, holds, findings); err != nil {
				return d, err
			}
			of.Rows = append(of.Rows, cameraRow{ID: c.ID, Name: c.Name, Site: s.ID, Claims: f.claims()})
		}
		if len(of.Rows) > 0 {
			d.Rows = append(d.Rows, of.Rows...)
			d.Sites = append(d.Sites, of)
		}
	}
	return d, nil
}

// look adds what is to be known of one camera.
func (p *Prove) look(ctx context.Context, f *facts, c estate.Camera, holds []archive.Hold, findings []policy.Finding) (err error) {
	id := archive.StreamID{Site: c.Site, Camera: c.ID, Stream: archive.Main}
	if f.timeline, err = p.o.Archive.Timeline(ctx, id, f.from, f.now); err != nil {
		return err
	}
	if c.Retention != (estate.Retention{}) {
		f.limit = c.Retention
	}
	for _, h := range holds {
		if h.Site == c.Site && h.Camera == c.ID {
			f.held++
		}
	}
	// A segment belongs to the day it began on: shortly after midnight that is yesterday.
	for _, day := range []time.Time{f.now, f.now.Add(-freshSegment)} {
		if _, err := p.o.Keys.Sealed(c.Site, c.ID, day.Format(time.DateOnly)); err == nil {
			f.dayKey = true
		}
	}
	switch device, err := p.o.Estate.DeviceOf(ctx, c.ID); {
	case errors.Is(err, estate.ErrNotFound):
	case err != nil:
		return err
	default:
		f.device = &device
		for _, x := range findings {
			if x.Device == string(device.ID) {
				f.findings = append(f.findings, x)
			}
		}
	}
	return nil
}

func sorted(words map[string]bool) []string { return slices.Sorted(maps.Keys(words)) }

func (p *Prove) showAssurance(rw http.ResponseWriter, r *http.Request) error {
	d, err := p.assurance(r)
	if err != nil {
		return err
	}
	return p.render(rw, r, "assurance", d)
}

// statement is the signed form: a document, and a note that signs its bytes.
type statement struct {
	Document json.RawMessage `json:"document"`
	Note     string          `json:"note"`
}

// assuranceDocument is what is signed. Fields are only ever added.
type assuranceDocument struct {
	Version    string      `json:"version"`
	At         time.Time   `json:"at"`
	Window     string      `json:"window"`
	Checkpoint string      `json:"checkpoint"` // the log's, as it was then
	Cameras    []cameraRow `json:"cameras"`
}

func (p *Prove) apiAssurance(rw http.ResponseWriter, r *http.Request) error {
	d, err := p.assurance(r)
	if err != nil {
		return err
	}
	document, err := json.Marshal(assuranceDocument{
		Version: "watchward/assurance/v1", At: d.At, Window: d.Window.String(), Checkpoint: string(d.Log.Checkpoint.Note), Cameras: d.Rows,
	})
	if err != nil {
		return err
	}
	note, err := p.o.Ledger.Sign("assurance", document)
	if err != nil {
		return err
	}
	rw.Header().Set("Content-Disposition", `attachment; filename="assurance-`+d.At.Format("2006-01-02T150405Z")+`.json"`)
	return web.JSON(rw, statement{Document: document, Note: string(note)})
}

// Say fills in the arguments of a claim's text.
func (c Claim) Say(s *web.Sight) string {
	args := []any{}
	for _, k := range slices.Sorted(maps.Keys(c.Args)) {
		switch v := c.Args[k].(type) {
		case time.Duration:
			args = append(args, k, s.Span(v))
		case []string:
			words := make([]string, len(v))
			for i, w := range v {
				words[i] = s.Code("reason", w)
			}
			args = append(args, k, strings.Join(words, ", "))
		case string:
			args = append(args, k, shown(v))
		default:
			args = append(args, k, v)
		}
	}
	key := "claim." + c.Code
	if n, ok := c.Args["n"].(int); ok {
		return s.N(key, n, args...)
	}
	return s.T(key, args...)
}

// Rebrand reports whether the badge names another than the maker.
func (c Claim) Rebrand() bool {
	brand, _ := c.Args["brand"].(string)
	maker, _ := c.Args["maker"].(string)
	return brand != "" && maker != "" && !strings.EqualFold(brand, maker)
}

// shown cleans what a device said of itself for a line that people read.
func shown(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0x200e || r == 0x200f {
			return -1
		}
		return r
	}, s)
	if r := []rune(s); len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return s
}

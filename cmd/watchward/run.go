package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/watchward/watchward/internal/access"
	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/db"
	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/identify"
	"github.com/watchward/watchward/internal/identify/makers"
	"github.com/watchward/watchward/internal/ledger"
	"github.com/watchward/watchward/internal/live"
	"github.com/watchward/watchward/internal/policy"
	"github.com/watchward/watchward/internal/record"
	"github.com/watchward/watchward/internal/seal"
	"github.com/watchward/watchward/internal/web"
	"github.com/watchward/watchward/internal/web/know"
	"github.com/watchward/watchward/internal/web/watch"
)

// RunCmd records cameras and serves the pages until it is told to stop.
type RunCmd struct {
	Config   string `short:"c" help:"Configuration file (JSON). None is needed to start." type:"existingfile" placeholder:"FILE"`
	Data     string `help:"Folder for recordings, keys and database; made if missing." placeholder:"DIR" type:"path"`
	Listen   string `help:"Address of the pages. Plain HTTP is served on loopback only." placeholder:"ADDRESS"`
	DemoSeed bool   `hidden:"" help:"Take cameras and readers from standard input and stop when it closes: how the demo runs the recorder."`
}

// Run serves until ctx ends or a signal comes.
func (c *RunCmd) Run(ctx context.Context, s *streams) error {
	cfg, err := LoadConfig(c.Config)
	if err != nil {
		return err
	}
	if c.Data != "" {
		cfg.Data = c.Data
	}
	if c.Listen != "" {
		cfg.Listen = c.Listen
	}
	if err := cfg.Validate(); err != nil {
		return err
	}
	var seed *demoSeed
	if c.DemoSeed {
		ctx, seed, err = followDemo(ctx, s.In)
		if err != nil {
			return err
		}
		cfg.Log.Level = "warn" // the terminal is the demo's
	}
	// Almost all of the heap is video that lives for seconds in pooled blocks:
	// collecting it early costs little and halves what a camera needs.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	h, err := build(ctx, cfg, seed)
	if err != nil {
		return err
	}
	return hintAtPort(h.serve(ctx, s.Out, seed != nil))
}

// followDemo reads the demo's seed and ends the context when its pipe closes.
func followDemo(ctx context.Context, stdin io.Reader) (context.Context, *demoSeed, error) {
	in := bufio.NewReader(stdin)
	seed, err := readSeed(in)
	if err != nil {
		return ctx, nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, in) // until the demo is gone, however it went
		stop()
	}()
	return ctx, &seed, nil
}

// house is a server built from the ground up, not yet running.
type house struct {
	cfg      Config
	log      *slog.Logger
	database *db.DB
	access   *access.Access
	estate   *estate.Estate
	book     *policy.Book // the estate's gate
	makers   *makers.Graph
	engine   *identify.Engine
	know     *know.Know
	ledger   *ledger.Ledger
	archive  *archive.Archive
	keys     *seal.DayKeys // reads and erases; each site has its own to seal with
	fleet    *fleet
	live     *live.Live
	health   atomic.Pointer[watch.Watch] // whom to tell of the archive's health, once there
	web      *web.Server
	welcome  access.Token // demo only
	town     []string     // demo only: ranges to survey
}

// build makes every room, lower ones first. Nothing runs yet.
func build(ctx context.Context, cfg Config, seed *demoSeed) (_ *house, err error) {
	h := &house{cfg: cfg, log: cfg.Logger()}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return nil, fmt.Errorf("make data folder %q: %w", cfg.Data, err)
	}
	key, err := estate.LoadKey(filepath.Join(cfg.Data, "server.key"))
	if err != nil {
		return nil, err
	}
	if h.database, err = db.Open(ctx, filepath.Join(cfg.Data, "watchward.db")); err != nil {
		return nil, err
	}
	sso, err := cfg.SSO.open()
	if err != nil {
		return nil, err
	}
	if h.access, err = access.Open(ctx, access.Options{DB: h.database, SSO: sso}); err != nil {
		return nil, err
	}
	if h.estate, err = estate.Open(ctx, estate.Options{DB: h.database, Key: key}); err != nil {
		return nil, err
	}
	if err := h.openBook(ctx, key); err != nil {
		return nil, err
	}
	if seed != nil {
		if h.welcome, err = seed.plant(ctx, h.estate, h.access); err != nil {
			return nil, fmt.Errorf("prepare demo: %w", err)
		}
		h.town = seed.Ranges
	}
	if err := h.buildLedger(ctx); err != nil {
		return nil, err
	}
	if err := h.buildArchive(ctx); err != nil {
		return nil, err
	}
	return h, h.buildPages(seed)
}

// buildArchive opens the archive and finishes what a crash cut short.
func (h *house) buildArchive(ctx context.Context) (err error) {
	keysDir := filepath.Join(h.cfg.Data, "keys")
	if h.keys, err = seal.NewDayKeys(seal.Options{Dir: keysDir, Log: h.log}); err != nil {
		return err
	}
	h.archive, err = archive.Open(ctx, archive.Options{
		Root: filepath.Join(h.cfg.Data, "archive"), DB: h.database, Log: h.log, Keys: keysDir, Journal: journal{h.ledger},
		Changed: func(archive.Health) {
			if pages := h.health.Load(); pages != nil {
				pages.HealthChanged()
			}
		},
		DayGone: func(site, camera, day string) {
			// A key without video opens nothing: it goes with the day's last segment.
			if err := h.keys.Drop(site, camera, day); err != nil {
				h.log.Error("remove day key", "site", site, "camera", camera, "day", day, "err", err)
			}
		},
	})
	if err != nil {
		return err
	}
	if _, err := h.archive.Recover(ctx); err != nil {
		return fmt.Errorf("recover archive: %w", err)
	}
	tailsDir := filepath.Join(h.cfg.Data, "tails")
	if err := record.SweepTails(tailsDir, filepath.Join(h.cfg.Data, "archive")); err != nil {
		return err
	}
	h.fleet = &fleet{
		estate: h.estate, archive: h.archive, keysDir: keysDir, tailsDir: tailsDir, log: h.log, clock: clockError,
		keys: make(map[string]*seal.DayKeys), readers: make(map[string]string),
		running: make(map[archive.StreamID]*channel),
	}
	return nil
}

// serve runs the house until ctx ends. Intake (pages, cameras, recorders)
// stops first; the archive runs on until all that intake gave it is committed,
// and the ledger until all of that is in a checkpoint.
func (h *house) serve(ctx context.Context, out io.Writer, demo bool) (err error) {
	defer func() { err = errors.Join(err, h.close()) }()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	keep, finish := context.WithCancel(context.WithoutCancel(ctx))
	defer finish()
	var keeping errgroup.Group
	keeping.Go(func() error {
		defer stop() // what cannot be kept may not be recorded
		return h.keep(keep)
	})
	intake, ctx := errgroup.WithContext(ctx)
	intake.Go(func() error { return h.fleet.Run(ctx) })
	intake.Go(func() error { return h.live.Run(ctx) })
	intake.Go(func() error { return h.followRules(ctx) })
	intake.Go(func() error { return h.know.Run(ctx) })
	if demo {
		intake.Go(func() error { return h.surveyTown(ctx, h.town) })
	}
	intake.Go(func() error { return h.web.Run(ctx) })
	intake.Go(func() error { return h.announce(ctx, out, demo) })
	err = intake.Wait()
	finish()
	return errors.Join(err, keeping.Wait())
}

// keep runs archive and ledger, the ledger longer: the archive's last act is to
// tell it what happened.
func (h *house) keep(ctx context.Context) error {
	noting, done := context.WithCancel(context.WithoutCancel(ctx))
	defer done()
	var book errgroup.Group
	book.Go(func() error { return h.ledger.Run(noting) })
	err := h.archive.Run(ctx)
	done()
	return errors.Join(err, book.Wait())
}

// announce says where the pages are, once they are.
func (h *house) announce(ctx context.Context, out io.Writer, demo bool) error {
	select {
	case <-ctx.Done():
		return nil
	case <-h.web.Ready():
	}
	address := h.web.URL()
	if demo {
		return json.NewEncoder(out).Encode(recorderReady{URL: address, Welcome: h.welcome.Reveal()})
	}
	if h.access.SetupPending() {
		fmt.Fprintf(out, "ready %ssetup/%s\n\n", address, h.access.SetupToken().Reveal())
		fmt.Fprintln(out, "Open this address once: it makes the first administrator and the key to your recordings.")
		return nil
	}
	fmt.Fprintf(out, "ready %s\n", address)
	return nil
}

// close lets go of what build opened.
func (h *house) close() error {
	var err error
	if h.archive != nil {
		err = h.archive.Close()
	}
	if h.ledger != nil {
		err = errors.Join(err, h.ledger.Close())
	}
	if h.database != nil {
		err = errors.Join(err, h.database.Close())
	}
	return err
}

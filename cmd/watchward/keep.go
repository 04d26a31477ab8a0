package main

import (
	"context"
	"fmt"
	"log/slog"
	"path"
	"sync"
	"time"

	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/camera"
	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/media"
	"github.com/watchward/watchward/internal/record"
	"github.com/watchward/watchward/internal/seal"
)

// assignment is what one channel is told to do: nothing but values, because
// camera, recorder and seal will move into confined worker processes.
type assignment struct {
	ID        archive.StreamID
	URL       string
	Username  string
	Password  camera.Secret
	Transport camera.Transport
	Pin       string // of the only certificate taken on rtsps; "": as the system's authorities say
	Record    bool
	Audio     bool
	// Readers are the recipients the site's day keys are sealed to, joined by
	// line breaks. None: nothing is recorded.
	Readers string
}

// channel is one running assignment: a camera's stream, who publishes it and
// who records it.
type channel struct {
	assignment
	stream *media.Stream
	camera *camera.Camera
	rec    *record.Recorder // nil where the stream is only watched
	cancel context.CancelFunc
	done   chan struct{}

	mu       sync.Mutex
	state    camera.State
	recState record.State
}

// fleet keeps a channel running for every stream that the estate lists, and
// stops those it lists no more.
type fleet struct {
	estate   *estate.Estate
	archive  *archive.Archive
	keysDir  string
	tailsDir string
	log      *slog.Logger
	changed  func(camera string)   // a camera's or recorder's state changed
	closed   func(archive.Segment) // a segment was committed
	clock    func() time.Duration  // how wrong our clock may be

	keys    map[string]*seal.DayKeys // by site; Run's goroutine alone
	readers map[string]string        // by site, what keys were made for; likewise

	mu      sync.Mutex // guards running
	running map[archive.StreamID]*channel
}

// Run follows the estate until ctx ends. It returns when every camera has been
// left and every open segment committed.
func (f *fleet) Run(ctx context.Context) error {
	changes, unsubscribe := f.estate.Subscribe()
	defer unsubscribe()
	defer f.stopAll()
	for {
		if err := f.reconcile(ctx); err != nil && ctx.Err() == nil {
			// The database may be busy for a moment; what runs goes on.
			f.log.Error("read assignments", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changes:
		case <-time.After(time.Minute):
		}
	}
}

// reconcile starts, replaces and stops channels until they match the estate.
func (f *fleet) reconcile(ctx context.Context) error {
	want, err := f.assignments(ctx)
	if err != nil {
		return err
	}
	if err := f.applyLimits(ctx); err != nil {
		return err
	}
	var stopped []*channel
	f.mu.Lock()
	for id, c := range f.running {
		if a, ok := want[id]; !ok || a != c.assignment {
			stopped = append(stopped, c)
			delete(f.running, id)
		}
	}
	f.mu.Unlock()
	stop(stopped)
	for id, a := range want {
		f.mu.Lock()
		_, ok := f.running[id]
		f.mu.Unlock()
		if ok {
			continue
		}
		c, err := f.start(a)
		if err != nil {
			f.log.Error("start camera", "camera", id.Camera, "stream", id.Stream, "err", err)
			continue
		}
		f.mu.Lock()
		f.running[id] = c
		f.mu.Unlock()
	}
	return nil
}

// assignments reads what should run.
func (f *fleet) assignments(ctx context.Context) (map[archive.StreamID]assignment, error) {
	cameras, err := f.estate.Cameras(ctx)
	if err != nil {
		return nil, fmt.Errorf("list cameras: %w", err)
	}
	want := make(map[archive.StreamID]assignment)
	for _, c := range cameras {
		if !c.Enabled {
			continue
		}
		readers, err := f.estate.ReaderRecipients(ctx, c.Site)
		if err != nil {
			return nil, fmt.Errorf("list readers of site %q: %w", c.Site, err)
		}
		for _, s := range c.Streams {
			id := archive.StreamID{Site: c.Site, Camera: c.ID, Stream: s.Name}
			want[id] = assignment{
				ID: id, URL: c.Address(s), Username: c.Username, Password: camera.Secret(c.Password.Reveal()),
				Transport: camera.Transport(c.Transport), Pin: c.Pin, Record: s.Record, Audio: c.RecordAudio,
				Readers: joinLines(readers),
			}
		}
	}
	return want, nil
}

// applyLimits hands the estate's retention to the archive.
func (f *fleet) applyLimits(ctx context.Context) error {
	limits, err := f.estate.Limits(ctx)
	if err != nil {
		return fmt.Errorf("read limits: %w", err)
	}
	cameras, err := f.estate.Cameras(ctx)
	if err != nil {
		return fmt.Errorf("list cameras: %w", err)
	}
	p := archive.Policy{
		Default:   archive.Retention{MaxAge: limits.Default.MaxAge, MaxBytes: limits.Default.MaxBytes},
		PerCamera: make(map[string]archive.Retention),
		Total:     limits.Total, LowWater: limits.LowWater,
	}
	for _, c := range cameras {
		if c.Retention != (estate.Retention{}) {
			p.PerCamera[path.Join(c.Site, c.ID)] = archive.Retention{MaxAge: c.Retention.MaxAge, MaxBytes: c.Retention.MaxBytes}
		}
	}
	f.archive.SetPolicy(p)
	return nil
}

// start makes a channel and runs it. The channel outlives the caller's
// context: stop ends it, in the right order.
func (f *fleet) start(a assignment) (*channel, error) {
	c := &channel{assignment: a, stream: new(media.Stream), done: make(chan struct{})}
	var err error
	c.camera, err = camera.New(camera.Options{
		URL: a.URL, Username: a.Username, Password: a.Password, Transport: a.Transport, Stream: c.stream,
		TLS: camera.TLS{Pin: a.Pin},
		Log: f.log.With("camera", a.ID.Camera, "stream", a.ID.Stream),
		Report: func(s camera.State) {
			c.mu.Lock()
			c.state = s
			c.mu.Unlock()
			f.changed(a.ID.Camera)
		},
	})
	if err != nil {
		return nil, err
	}
	if a.Record {
		if err := f.recorder(c); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	go func() {
		defer close(c.done)
		c.run(ctx, f.log)
	}()
	return c, nil
}

// recorder gives the channel its recorder.
func (f *fleet) recorder(c *channel) error {
	keys, err := f.dayKeys(c.ID.Site, c.Readers)
	if err != nil {
		return err
	}
	c.rec, err = record.New(record.Options{
		Stream: c.stream, ID: c.ID, Archive: f.archive, Keys: keys, Tails: f.tailsDir, Audio: c.Audio,
		Log: f.log, ClockError: f.clock,
		Closed: f.closed,
		Changed: func(s record.State) {
			c.mu.Lock()
			c.recState = s
			c.mu.Unlock()
			f.changed(c.ID.Camera)
		},
	})
	return err
}

// dayKeys returns the site's day keys, sealed from now on to readers. With no
// readers they seal nothing, and the recorder refuses, loudly.
func (f *fleet) dayKeys(site, readers string) (*seal.DayKeys, error) {
	if k := f.keys[site]; k != nil && f.readers[site] == readers {
		return k, nil
	}
	var rs seal.Readers
	if lines := splitLines(readers); len(lines) > 0 {
		var err error
		if rs, err = seal.ParseReaders(lines); err != nil {
			return nil, fmt.Errorf("readers of site %q: %w", site, err)
		}
	}
	k, err := seal.NewDayKeys(seal.Options{Dir: f.keysDir, Readers: rs, Log: f.log})
	if err != nil {
		return nil, err
	}
	f.keys[site], f.readers[site] = k, readers
	return k, nil
}

// run runs camera and recorder until ctx ends: the camera stops first, so that
// the recorder has everything it sent before it commits.
func (c *channel) run(ctx context.Context, log *slog.Logger) {
	recCtx, finish := context.WithCancel(context.Background())
	defer finish()
	var recording sync.WaitGroup
	if c.rec != nil {
		recording.Go(func() {
			if err := c.rec.Run(recCtx); err != nil && recCtx.Err() == nil { // told to stop before it began: no error
				log.Error("record", "camera", c.ID.Camera, "stream", c.ID.Stream, "err", err)
			}
		})
	}
	if err := c.camera.Run(ctx); err != nil && ctx.Err() == nil {
		log.Error("camera", "camera", c.ID.Camera, "stream", c.ID.Stream, "err", err)
	}
	<-ctx.Done()
	finish()
	recording.Wait()
}

func (f *fleet) stopAll() {
	f.mu.Lock()
	all := make([]*channel, 0, len(f.running))
	for id, c := range f.running {
		all = append(all, c)
		delete(f.running, id)
	}
	f.mu.Unlock()
	stop(all)
}

// stop ends channels together and waits for all of them.
func stop(channels []*channel) {
	for _, c := range channels {
		c.cancel()
	}
	for _, c := range channels {
		<-c.done
	}
}

// find returns the channel of a camera's stream. Camera ids are unique in the
// estate, whatever the site.
func (f *fleet) find(cameraID, stream string) (*channel, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, c := range f.running {
		if id.Camera == cameraID && id.Stream == stream {
			return c, true
		}
	}
	return nil, false
}

// Stream is where live viewers find a camera's samples.
func (f *fleet) Stream(cameraID, stream string) (*media.Stream, bool) {
	c, ok := f.find(cameraID, stream)
	if !ok {
		return nil, false
	}
	return c.stream, true
}

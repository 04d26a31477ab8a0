package main

import (
	"context"
	"errors"
	"path/filepath"
	"strings"

	"github.com/watchward/watchward/internal/access"
	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/camera"
	"github.com/watchward/watchward/internal/ledger"
	"github.com/watchward/watchward/internal/live"
	"github.com/watchward/watchward/internal/record"
	"github.com/watchward/watchward/internal/web"
	"github.com/watchward/watchward/internal/web/watch"
)

// recorders shows the fleet to the pages.
type recorders struct{ *fleet }

// Open describes the segment a stream is writing now.
func (r recorders) Open(cameraID, stream string) (watch.OpenSegment, bool) {
	c, ok := r.find(cameraID, stream)
	if !ok || c.rec == nil {
		return watch.OpenSegment{}, false
	}
	open, ok := c.rec.Open()
	if !ok {
		return watch.OpenSegment{}, false
	}
	o := watch.OpenSegment{Start: open.Start, Bytes: open.Bytes, Codecs: open.Codecs, Parts: make([]watch.OpenPart, len(open.Parts))}
	for i, p := range open.Parts {
		o.Parts[i] = watch.OpenPart(p)
	}
	return o, true
}

// State says how a stream and its recording are doing.
func (r recorders) State(cameraID, stream string) (camera.State, watch.Recording, bool) {
	c, ok := r.find(cameraID, stream)
	if !ok {
		return camera.State{}, watch.Recording{}, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state, recording(c.recState), true
}

func recording(s record.State) watch.Recording {
	return watch.Recording{On: s.Recording, Reason: s.Reason, Since: s.Since}
}

// buildPages hangs the pages on the rooms they show. What happens below is
// told to browsers through the same wing.
func (h *house) buildPages(seed *demoSeed) (err error) {
	h.live, err = live.New(live.Options{
		Streams: h.fleet.Stream, Log: h.log, UDPPort: h.cfg.Live.UDPPort,
		Loopback: true, LoopbackOnly: h.cfg.LoopbackOnly(),
	})
	if err != nil {
		return err
	}
	o := web.Options{
		Access: h.access, Listen: h.cfg.Listen, TLS: webTLS(h.cfg), Hosts: h.cfg.Hosts,
		Version: readVersion().Version, Log: h.log, Scopes: h.scopes, SSOName: h.cfg.SSO.Name,
	}
	if seed != nil {
		o.Demo = &web.Demo{Archive: filepath.Join(h.cfg.Data, "archive"), Keys: filepath.Join(h.cfg.Data, "keys")}
	}
	if h.web, err = web.New(o); err != nil {
		return err
	}
	pages, err := watch.New(watch.Options{
		Web: h.web, Access: h.access, Estate: h.estate, Archive: h.archive, Keys: h.keys, Live: h.live,
		Recorders: recorders{h.fleet}, Viewings: viewings{ledger.NewViewings(h.ledger)}, DataDir: h.cfg.Data, Log: h.log,
	})
	if err != nil {
		return err
	}
	if err := errors.Join(h.buildKnow(), h.buildProve()); err != nil {
		return err
	}
	h.health.Store(pages)
	h.fleet.changed = pages.CameraChanged
	h.fleet.closed = func(s archive.Segment) { pages.SegmentClosed(s) }
	return nil
}

// scopes lists where a role can hold: the tree of organisations, each with its
// sites below it, and then the sites of nobody.
func (h *house) scopes(ctx context.Context) ([]web.Scope, error) {
	organisations, err := h.estate.Organisations(ctx)
	if err != nil {
		return nil, err
	}
	sites, err := h.estate.Sites(ctx)
	if err != nil {
		return nil, err
	}
	var all []web.Scope
	addSites := func(organisation string, depth int) {
		for _, s := range sites {
			if s.Organisation == organisation {
				all = append(all, web.Scope{Scope: access.Scope{Site: s.ID}, Name: s.Name, Depth: depth})
			}
		}
	}
	for _, o := range organisations {
		depth := strings.Count(o.Path, "/")
		all = append(all, web.Scope{Scope: access.Scope{Organisation: o.ID}, Name: o.Name, Depth: depth})
		addSites(o.ID, depth+1)
	}
	addSites("", 0)
	return all, nil
}

// webTLS says the configuration's wishes in the frame's words.
func webTLS(c Config) web.TLS {
	t := web.TLS{Dir: filepath.Join(c.Data, "tls")}
	switch c.ResolveTLS() {
	case "files":
		t.Cert, t.Key = c.TLS.Cert, c.TLS.Key
	case "acme":
		t.Domains, t.Email = []string{c.TLS.Domain}, c.TLS.Email
	}
	return t
}

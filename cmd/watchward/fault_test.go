package main

import (
	"context"
	"io"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/camera"
	"github.com/watchward/watchward/internal/seal"
	"github.com/watchward/watchward/internal/simulate"
)

// rig is a house recording a town, both in this process.
type rig struct {
	town *simulate.Town
	cfg  Config
	seed demoSeed
	*house
	end func() // stops the house and waits
}

// newRig starts a town and a house that records it, streams' main alone.
func newRig(t *testing.T, o simulate.Options) *rig {
	t.Helper()
	town, err := simulate.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, leave := context.WithCancel(context.Background())
	gone := make(chan error, 1)
	go func() { gone <- town.Run(ctx) }()
	t.Cleanup(func() {
		leave()
		if err := <-gone; err != nil {
			t.Errorf("town: %v", err)
		}
	})
	<-town.Ready()
	id, err := seal.GenerateIdentity(seal.Hybrid)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{town: town, cfg: DefaultConfig(), seed: demoSeed{Recipient: id.Recipient()}}
	r.cfg.Data, r.cfg.Listen, r.cfg.Log.Level = filepath.Join(t.TempDir(), "data"), "127.0.0.1:0", "error"
	for _, c := range town.Cameras() {
		r.seed.Cameras = append(r.seed.Cameras, demoCamera{Site: c.Site, Name: c.Name, Main: c.MainURL, Username: c.Username, Password: c.Password})
	}
	return r
}

// start builds and serves the house, for the first time or again.
func (r *rig) start(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	h, err := build(ctx, r.cfg, &r.seed)
	if err != nil {
		stop()
		t.Fatal(err)
	}
	r.house = h
	done := make(chan error, 1)
	go func() { done <- h.serve(ctx, io.Discard, true) }()
	ended := false
	r.end = func() {
		if ended {
			return
		}
		ended = true
		stop()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	}
	t.Cleanup(r.end)
}

// await polls until f holds.
func await(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(40 * time.Second); !f(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func (r *rig) recording(camera string) bool {
	_, rec, ok := recorders{r.fleet}.State(camera, "main")
	return ok && rec.On
}

// TestEveryFault makes each camera of the town misbehave in a way of its own,
// all at once, and looks at what the archive says afterwards.
func TestEveryFault(t *testing.T) {
	if testing.Short() {
		t.Skip("cameras misbehave for twenty seconds")
	}
	rows := []struct {
		fault   simulate.Fault
		reasons []string // of gaps, any of them; none: no gap at all
		cut     bool     // at least two segments though the recorder never stopped
		whole   bool     // no picture need be lost: gaps for these reasons alone, or none
	}{
		{simulate.Fault{Kind: simulate.Drop}, []string{"connection-lost"}, true, false},
		{simulate.Fault{Kind: simulate.Stall, For: 12 * time.Second}, []string{"no-video"}, true, false},
		{simulate.Fault{Kind: simulate.RefusePassword}, []string{"wrong-password", "connection-lost"}, false, false},
		{simulate.Fault{Kind: simulate.Resolution, For: 4 * time.Second}, nil, true, false},
		// Time goes on without a leap, and the next keyframe begins a run: between
		// the two lies at most what pictures arrive early or late.
		{simulate.Fault{Kind: simulate.TimeJump, For: 3 * time.Second}, []string{"time-jump"}, true, true},
		{simulate.Fault{Kind: simulate.Loss, For: 4 * time.Second, Amount: 20}, []string{"packet-loss"}, true, false},
		{simulate.Fault{Kind: simulate.CorruptNAL, For: 4 * time.Second, Amount: 30}, []string{"corrupt", "packet-loss"}, false, false},
		// In mid-stream a missing keyframe cannot be told from a long group of
		// pictures: the camera is made to begin without one, see below.
		{simulate.Fault{Kind: simulate.NoKeyframe, For: 13 * time.Second}, []string{"no-keyframe"}, true, false},
		{simulate.Fault{Kind: simulate.Reboot, For: 5 * time.Second}, []string{"connection-lost", "refused"}, true, false},
		{}, // one behaves
	}
	r := newRig(t, simulate.Options{Cameras: len(rows)})
	r.start(t)
	cameras := r.town.Cameras()
	ids := make([]archive.StreamID, len(rows))
	for i, c := range r.estateCameras(t) {
		ids[i] = archive.StreamID{Site: c[0], Camera: c[1], Stream: "main"}
	}
	await(t, "all cameras record", func() bool {
		return !slices.ContainsFunc(ids, func(id archive.StreamID) bool { return !r.recording(id.Camera) })
	})
	time.Sleep(3 * time.Second)
	for i, row := range rows {
		if row.fault.Kind == "" {
			continue
		}
		if err := r.town.Fault(cameras[i].ID, row.fault); err != nil {
			t.Fatal(err)
		}
		if row.fault.Kind == simulate.NoKeyframe {
			if err := r.town.Fault(cameras[i].ID, simulate.Fault{Kind: simulate.Drop}); err != nil {
				t.Fatal(err)
			}
		}
	}
	time.Sleep(14 * time.Second)
	for i, row := range rows {
		if row.fault.Kind == simulate.RefusePassword {
			c, _, _ := recorders{r.fleet}.State(ids[i].Camera, "main")
			if c.Phase == camera.Live || c.Reason != "wrong-password" {
				t.Errorf("refused camera is %s because of %q, want waiting because of wrong-password", c.Phase, c.Reason)
			}
			continue // it tries again in a minute
		}
		await(t, string(row.fault.Kind)+" is over", func() bool { return r.recording(ids[i].Camera) })
	}
	time.Sleep(3 * time.Second)
	r.end()

	d := demoProcess{dir: r.cfg.Data}
	d.check(t)
	a := d.open(t)
	for i, row := range rows {
		tl := everything(t, a, ids[i])
		var reasons []string
		for _, g := range tl.Gaps {
			reasons = append(reasons, string(g.Reason))
		}
		name := string(row.fault.Kind)
		switch {
		case len(row.reasons) == 0 && len(reasons) > 0:
			t.Errorf("%s: gaps because of %q, want none", name, reasons)
		case row.whole:
			for _, g := range tl.Gaps {
				if !slices.Contains(row.reasons, string(g.Reason)) || g.End.Sub(g.Start) > time.Second {
					t.Errorf("%s: gap of %v because of %q, want at most a second because of one of %q", name, g.End.Sub(g.Start), g.Reason, row.reasons)
				}
			}
		case len(row.reasons) > 0 && !slices.ContainsFunc(reasons, func(r string) bool { return slices.Contains(row.reasons, r) }):
			t.Errorf("%s: gaps because of %q, want one of %q", name, reasons, row.reasons)
		}
		segments, err := a.List(t.Context(), ids[i], tl.First, tl.Last.Add(time.Second), 100)
		if err != nil {
			t.Fatal(err)
		}
		if row.cut && len(segments) < 2 {
			t.Errorf("%s: %d segment, want a new one after the fault", name, len(segments))
		}
		if tl.Last.Sub(tl.First) < 15*time.Second && name != string(simulate.RefusePassword) {
			t.Errorf("%s: archive reaches over %s, want all of the test", name, tl.Last.Sub(tl.First))
		}
	}
}

// estateCameras lists site and id in the town's order.
func (r *rig) estateCameras(t *testing.T) [][2]string {
	t.Helper()
	known, err := r.estate.Cameras(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var list [][2]string
	for _, c := range r.town.Cameras() {
		for _, k := range known {
			if k.Name == c.Name {
				list = append(list, [2]string{k.Site, k.ID})
			}
		}
	}
	return list
}

package camera

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/watchward/watchward/internal/media"
	"github.com/watchward/watchward/internal/simulate"
)

// TestTown takes every camera of the simulated town, whose RTSP shares nothing
// with ours, and then lets one misbehave in each way there is.
func TestTown(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	town, err := simulate.New(simulate.Options{Addr: "127.0.0.1:0", Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = town.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	<-town.Ready()
	cameras := town.Cameras()
	watch := func(t *testing.T, c simulate.CameraInfo) *watcher {
		return start(t, Options{
			URL: c.MainURL, Username: c.Username, Password: Secret(c.Password), Batch: 20 * time.Millisecond, NoVideoAfter: 1500 * time.Millisecond,
		})
	}
	var watchers []*watcher
	for _, c := range cameras {
		watchers = append(watchers, watch(t, c))
	}
	t.Run("all", func(t *testing.T) {
		for i, c := range cameras {
			live := watchers[i].waitFor(t, "live", func(s State) bool { return s.Phase == Live && s.Frames > 5 && (c.Audio == 0 || s.Audio != nil) })
			if live.Video.Codec != c.Codec || c.Audio != 0 && live.Audio.Codec != c.Audio || live.Lost > 0 {
				t.Errorf("%s: %+v", c.ID, live)
			}
		}
	})
	rows := []struct {
		fault simulate.Fault
		want  media.Reason // of a break
		ok    func(State) bool
	}{
		{simulate.Fault{Kind: simulate.Drop}, media.ConnectionLost, is(Waiting, media.ConnectionLost)},
		{simulate.Fault{Kind: simulate.Stall}, media.NoVideo, is(Waiting, media.NoVideo)},
		{simulate.Fault{Kind: simulate.RefusePassword}, media.WrongPassword, is(Waiting, media.WrongPassword)},
		{simulate.Fault{Kind: simulate.TimeJump}, media.TimeJump, is(Live, "")},
		{simulate.Fault{Kind: simulate.TimeJump, Amount: -1000}, media.TimeJump, is(Live, "")},
		{simulate.Fault{Kind: simulate.Loss, Amount: 20}, media.PacketLoss, func(s State) bool { return s.Phase == Live && s.Lost > 0 }},
		{simulate.Fault{Kind: simulate.Reboot, For: time.Second}, media.ConnectionLost, is(Waiting, media.ConnectionLost)},
		{simulate.Fault{Kind: simulate.CorruptNAL, Amount: 50}, media.Corrupt, is(Live, "")},
		{simulate.Fault{Kind: simulate.Resolution}, "", otherSize()},
	}
	if len(rows) > len(cameras) {
		t.Fatalf("%d ways to misbehave, %d cameras", len(rows), len(cameras))
	}
	// All misbehave at once, each in its own way: the time goes in waiting.
	for i, tt := range rows {
		if err := town.Fault(cameras[i].ID, tt.fault); err != nil {
			t.Fatal(err)
		}
	}
	for i, tt := range rows {
		t.Run(string(tt.fault.Kind), func(t *testing.T) {
			w := watchers[i]
			if tt.want != "" && !w.waitBreak(tt.want) {
				t.Fatalf("%s: no break %s", cameras[i].ID, tt.want)
			}
			w.waitFor(t, "as wanted", tt.ok)
		})
	}
}

// otherSize is true of a picture size other than the first it was asked about.
func otherSize() func(State) bool {
	first := 0
	return func(s State) bool {
		if s.Video == nil {
			return false
		}
		if first == 0 {
			first = s.Video.Width
		}
		return s.Video.Width != first
	}
}

// waitBreak waits until the readers were told of a break for that reason.
func (w *watcher) waitBreak(want media.Reason) bool {
	for end := time.Now().Add(8 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		w.mu.Lock()
		seen := slices.Contains(w.breaks, want)
		w.mu.Unlock()
		if seen {
			return true
		}
	}
	return false
}

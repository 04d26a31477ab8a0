package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"
	"time"
)

// What somebody is given.
const (
	ViewRecording = "recording" // sealed bytes of segments
	ViewKey       = "key"       // a sealed day key
	ViewLive      = "live"      // pictures as they come
)

// Viewing is somebody about to be given something to see.
type Viewing struct {
	Who, Why     string // a person, and what for: kept as commitments
	Session      string // the login's identity; only a hash of it is noted
	What         string // one of the words above
	Site, Camera string
	Stream       string    // "" means all
	At           time.Time // of what is seen, not of the seeing
}

// Viewings notes who is given what, before he is. One leaf stands for one
// session, camera and hour of video (a day for its key), so that a player which
// fetches a thousand ranges does not make a thousand leaves; after an hour a new
// one is written.
type Viewings struct {
	note func(ctx context.Context, e ...Entry) (uint64, error)
	now  func() time.Time

	mu   sync.Mutex // guards done
	done map[viewed]*noted
}

// viewed is what one leaf stands for.
type viewed struct {
	session, what, site, camera, stream, why string
	from                                     int64
}

// noted is a leaf that is written or being written.
type noted struct {
	ready chan struct{} // closed when err is set
	err   error
	until time.Time
}

const (
	viewingLasts = time.Hour
	maxViewings  = 1 << 14
)

// NewViewings notes into a ledger.
func NewViewings(l *Ledger) *Viewings {
	return &Viewings{note: l.Append, now: l.now, done: map[viewed]*noted{}}
}

// Note returns nil once the viewing is in the ledger, durably. Whoever gets an
// error must not give out a byte.
func (v *Viewings) Note(ctx context.Context, w Viewing) error {
	from, to := w.span()
	key := viewed{w.Session, w.What, w.Site, w.Camera, w.Stream, w.Why, from.UnixMilli()}
	v.mu.Lock()
	n := v.done[key]
	if n != nil && v.now().Before(n.until) {
		v.mu.Unlock()
		select {
		case <-n.ready:
			return n.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	n = &noted{ready: make(chan struct{}), until: v.now().Add(viewingLasts)}
	v.forgetOld()
	v.done[key] = n
	v.mu.Unlock()

	sum := sha256.Sum256([]byte("watchward/session/v1\n" + w.Session))
	e := Entry{Kind: Viewed, Private: who(w.Who, w.Why)}
	e.Fields = spanFields(w.Site, w.Camera, w.Stream, from, to, Field{"what", w.What}, Field{"session", hex.EncodeToString(sum[:])})
	// Others may wait for the same leaf: it is written even if this one leaves.
	if _, err := v.note(context.WithoutCancel(ctx), e); err != nil {
		n.err = fmt.Errorf("note viewing of %s/%s: %w", w.Site, w.Camera, err)
		v.mu.Lock()
		if v.done[key] == n {
			delete(v.done, key)
		}
		v.mu.Unlock()
	}
	close(n.ready)
	return n.err
}

// span is the hour or day that one leaf stands for.
func (w Viewing) span() (from, to time.Time) {
	d := time.Hour
	if w.What == ViewKey {
		d = 24 * time.Hour
	}
	from = w.At.UTC().Truncate(d)
	return from, from.Add(d)
}

// forgetOld keeps the table small. A viewing dropped too early is noted again.
func (v *Viewings) forgetOld() {
	if len(v.done) < maxViewings {
		return
	}
	for key, n := range v.done {
		if v.now().After(n.until) || len(v.done) >= maxViewings {
			delete(v.done, key)
		}
	}
}

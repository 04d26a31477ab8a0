package watch

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/web"
)

// ErrNotNoted means that a viewing could not be noted, so nothing was given out.
var ErrNotNoted = errors.New("the viewing could not be noted")

// Viewing is somebody about to be given something to see.
type Viewing struct {
	User    string // his name
	Why     string // what for, as he said; may be empty
	Session string // the same for all he does in one login
	What    Seen
	Stream  archive.StreamID // Stream "" for a day key
	At      time.Time        // of what is seen
}

// Seen is what somebody is given.
type Seen string

// What can be seen. The words are those of the ledger.
const (
	SeeRecording Seen = "recording" // sealed bytes of a segment
	SeeKey       Seen = "key"       // a sealed day key
	SeeLive      Seen = "live"      // pictures as they come
)

// Viewings notes who sees what.
type Viewings interface {
	// Note returns nil once the viewing is noted for good. Otherwise its error
	// wraps [ErrNotNoted].
	Note(ctx context.Context, v Viewing) error
}

// purposeHeader is where a program says what it looks for. Pages need not.
const purposeHeader = "Watchward-Purpose"

// noted notes a viewing. It comes after every reason to refuse, and before the
// first byte.
func (w *Watch) noted(r *http.Request, what Seen, stream archive.StreamID, at time.Time) error {
	s := web.From(r).Session
	return w.o.Viewings.Note(r.Context(), Viewing{
		User: s.User.Name, Why: r.Header.Get(purposeHeader),
		Session: s.User.ID + " " + strconv.FormatInt(s.Created.UnixMilli(), 10),
		What:    what, Stream: stream, At: at,
	})
}

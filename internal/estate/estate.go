// Package estate knows what there is: organisations, their sites, the devices
// on them and how they are known, the cameras that stream from devices, who can
// open a site's recordings, and how long they are kept. It is the vocabulary
// the other rooms share, and its tables.
//
// Begin with [Open]. A scan's sightings come in through [Estate.Propose], a
// person's decisions through [Estate.Adopt], [Estate.UpdateDevice],
// [Estate.Merge] and [Estate.RemoveDevice]; lists are [Estate.Devices] and
// [Estate.Counts]. Cameras are [Estate.AddCamera] and its neighbours. Learn of
// changes with [Estate.Subscribe].
//
// # What to know before it hurts
//
// Camera passwords are sealed at rest with the server's key file (see
// [LoadKey]). A database restored without its key file still lists every
// camera; their passwords are then gone, and [Camera.PasswordLost] says so.
//
// An address a person pastes may carry a login. It is taken out before
// anything is stored or shown (see [SplitAddress]); what recorders dial is
// [Camera.Address], which may hold the password again and must never be shown.
//
// A device may stream only once it is adopted, and adopting it or moving it
// asks the [Gate]. An estate without a gate adopts nothing: see
// [Options.Gate] and [Estate.SetGate].
//
// A device is known again by MAC address, serial number or certificate, never
// by its address alone when anything speaks against it: what may be one and was
// not joined is a [Link], for a person to decide.
//
// A camera's ID is a word of its archive's folder names. It is never used
// twice, not even after the camera was removed: recordings of two cameras may
// not mix.
package estate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/watchward/watchward/internal/db"
)

// Secret is a password. Printing it shows nothing.
type Secret string

func (Secret) String() string { return "redacted" }

// GoString keeps %#v quiet as well.
func (Secret) GoString() string { return "redacted" }

// LogValue keeps structured logs quiet.
func (Secret) LogValue() slog.Value { return slog.StringValue("redacted") }

// MarshalText keeps JSON quiet.
func (Secret) MarshalText() ([]byte, error) { return []byte("redacted"), nil }

// Reveal returns the password itself.
func (s Secret) Reveal() string { return string(s) }

// Camera is a device that makes video, and how we record it.
type Camera struct {
	ID, Site, Name string
	Device         DeviceID // what it streams from; see [Estate.AddCamera]
	Enabled        bool     // streams are pulled at all
	Streams        []StreamConfig
	Username       string
	Password       Secret
	PasswordLost   bool   // a password is stored, but not with a key we hold
	Transport      string // "auto", "tcp", "udp" or "http"
	RecordAudio    bool
	// Pin is the SHA-256 in hex of the only certificate that the camera may show
	// on rtsps; "": one that the system's authorities vouch for.
	Pin       string
	Retention Retention // zero: as the whole archive
	Created   time.Time
	Updated   time.Time
}

// StreamConfig is one encoded output of a camera.
type StreamConfig struct {
	Name   string // "main", "sub"
	URL    string // without login; may hold "{password}", see [Camera.Address]
	Record bool
}

// Shown is the address as a person may see it.
func (s StreamConfig) Shown() string {
	return strings.ReplaceAll(s.URL, passwordMark, "…")
}

// Stream finds a stream by name.
func (c Camera) Stream(name string) (StreamConfig, bool) {
	for _, s := range c.Streams {
		if s.Name == name {
			return s, true
		}
	}
	return StreamConfig{}, false
}

// Address is what to dial for a stream. Some cameras take their password in
// the path, so it may be secret: never show or log it.
func (c Camera) Address(s StreamConfig) string {
	return strings.ReplaceAll(s.URL, passwordMark, c.Password.Reveal())
}

// Retention bounds what is kept. Zero fields are no limit.
type Retention struct {
	MaxAge   time.Duration
	MaxBytes int64
}

// Limits is the retention of the whole archive.
type Limits struct {
	Default  Retention // of each camera that says nothing itself
	Total    int64     // bytes in all; zero: no limit
	LowWater int64     // bytes of the disk to keep free
}

// DefaultLimits hold until somebody chooses: three days, as data protection
// authorities take for justified without further reason (EDPB 3/2019, 121).
func DefaultLimits() Limits {
	return Limits{Default: Retention{MaxAge: 72 * time.Hour}, LowWater: 2_000_000_000}
}

// Reader is one who can open a site's recordings.
type Reader struct {
	Recipient string // age recipient: public
	Name      string // who that is, in a person's words
	Added     time.Time
}

// Errors a caller may branch on.
var (
	ErrNotFound = errors.New("not found")
	// ErrKey means that a password was sealed with another server key.
	ErrKey = errors.New("wrong server key")
)

// Options configures an [Estate].
type Options struct {
	DB  *db.DB           // required
	Key []byte           // required: 32 bytes, see [LoadKey]
	Now func() time.Time // nil means [time.Now]

	// Gate is asked before a device is adopted or moved. While it is nil, and
	// [Estate.SetGate] was not called, nothing can be.
	Gate Gate
}

// Estate is safe for use by many goroutines.
type Estate struct {
	db   *db.DB
	box  box
	now  func() time.Time
	subs subscribers

	gateMu sync.RWMutex
	gate   Gate // guarded by gateMu
}

// Open applies the room's schema.
func Open(ctx context.Context, o Options) (*Estate, error) {
	if o.DB == nil {
		return nil, errors.New("open estate: no database given")
	}
	b, err := newBox(o.Key)
	if err != nil {
		return nil, fmt.Errorf("open estate: %w", err)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := o.DB.Apply(ctx, "estate", schema); err != nil {
		return nil, fmt.Errorf("open estate: %w", err)
	}
	return &Estate{db: o.DB, box: b, now: o.Now, gate: o.Gate}, nil
}

// Subscribe returns a channel that has a value whenever something changed
// since it was last read. Call cancel when done.
func (e *Estate) Subscribe() (changed <-chan struct{}, cancel func()) { return e.subs.add() }

// subscribers tells many that something changed; a slow one misses nothing
// but repetitions.
type subscribers struct {
	mu  sync.Mutex
	all map[chan struct{}]struct{}
}

func (s *subscribers) add() (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[chan struct{}]struct{}{}
	}
	s.all[c] = struct{}{}
	return c, sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.all, c)
	})
}

func (s *subscribers) tell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.all {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

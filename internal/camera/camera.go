// Package camera is one camera as a peer: it connects, takes what comes and
// publishes it to a media.Stream, reconnects when that ends, and says at every
// moment how it is and why.
//
// Begin with [New] and [Camera.Run]. What a camera says on the wire is read in
// the subpackages: rtsp holds the conversation and the sockets, rtp turns
// packets into samples. Everything a camera sends is taken for hostile: it may
// cost its own session, never the process.
//
// # What hurts
//
// The whole of a camera is one goroutine. While nobody watches it sleeps, and
// wakes with all other cameras at multiples of [Options.Batch] on the wall clock:
// waking up for each burst costs more than everything done to its bytes.
package camera

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/media"
)

// Secret is a password. It prints as "redacted"; only Reveal gives it away.
type Secret string

func (Secret) String() string { return "redacted" }

// GoString keeps the secret out of %#v.
func (Secret) GoString() string { return "redacted" }

// LogValue keeps the secret out of logs.
func (Secret) LogValue() slog.Value { return slog.StringValue("redacted") }

// MarshalText keeps the secret out of JSON.
func (Secret) MarshalText() ([]byte, error) { return []byte("redacted"), nil }

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// Transport is how media travels.
type Transport string

// Transports. Auto tries TCP, then UDP, then HTTP, and remembers what worked.
const (
	Auto Transport = "auto"
	TCP  Transport = "tcp"  // interleaved in the RTSP connection
	UDP  Transport = "udp"  // RTP and RTCP in datagrams
	HTTP Transport = "http" // RTSP inside HTTP, for what stands behind proxies
)

// Options configures a [Camera]. Zero is a usable value unless the comment
// says required.
type Options struct {
	URL       string // required: rtsp:// or rtsps://, without credentials
	Username  string
	Password  Secret
	Transport Transport     // zero means Auto
	Stream    *media.Stream // required: where samples are published

	// Report is told every change of state, and about once a second how many
	// frames came. It is called in Run's goroutine and must not block.
	Report func(State)

	// Dial opens every connection to the camera. Nil means a plain net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	TLS TLS // for rtsps

	// NoVideoAfter is how long a connected camera may send no picture before
	// the connection is given up. Zero means 10 s.
	NoVideoAfter time.Duration
	// Batch is how long packets may gather in the socket while nobody watches
	// live. Zero means 80 ms.
	Batch time.Duration

	Log       *slog.Logger // nil means slog.Default
	UserAgent string       // zero means "Watchward"
}

// TLS says which certificate of an rtsps camera is accepted. Zero means one that
// the system's authorities vouch for.
type TLS struct {
	// Pin is the SHA-256 of the camera's certificate in hex; colons are allowed.
	// With a pin nothing else of the certificate is looked at.
	Pin string
	// Insecure accepts any certificate: what the camera sends can then be read
	// and changed on its way.
	Insecure bool
}

// Phase is what a camera is doing.
type Phase string

// Phases.
const (
	Dialing Phase = "connecting" // a connection is being made
	Live    Phase = "live"       // samples are coming
	Waiting Phase = "waiting"    // the last connection ended; Next says when the next is tried
	Halted  Phase = "stopped"    // Run is over
)

// State is how a camera is, as a value.
type State struct {
	Phase  Phase
	Reason media.Reason // why it is not live, or why the last run ended
	Detail string       // a sentence for people, without secrets
	Since  time.Time    // when Phase began
	Next   time.Time    // when the next connection is tried; only while Waiting

	Transport    string // how media travels: tcp, udp, http; with "+tls" over TLS
	Video, Audio *media.Format

	FPS, Kbps   float64 // over the last second or so
	Frames      uint64  // pictures since Run began
	Lost        uint64  // packets missing since Run began
	Bytes       uint64  // of media since Run began
	ClockOffset time.Duration // the camera's clock minus ours, by its RTCP sender reports; 0 unknown
}

// Camera keeps one stream of one camera coming.
type Camera struct {
	o Options
}

// New checks the options and starts nothing.
func New(o Options) (*Camera, error) {
	if o.Stream == nil {
		return nil, errors.New("camera: want a stream to publish to")
	}
	_, user, password, err := SplitURL(o.URL)
	if err != nil {
		return nil, err
	}
	if user != "" || password != "" {
		return nil, errors.New("camera address holds a login: want it in Username and Password")
	}
	return &Camera{o: o}, nil
}

// Run keeps the camera's samples coming until ctx ends; then it says goodbye to
// the camera and returns nil.
func (c *Camera) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// SplitURL takes the login out of a pasted camera address. The error never holds
// the address, which may hold a password.
func SplitURL(raw string) (clean, user string, password Secret, err error) {
	raw = strings.TrimSpace(raw)
	scheme, rest, ok := strings.Cut(raw, "://")
	scheme = strings.ToLower(scheme)
	if !ok || (scheme != "rtsp" && scheme != "rtsps") {
		return "", "", "", fmt.Errorf("camera address: want it to begin with rtsp:// or rtsps://")
	}
	return scheme + "://" + rest, "", "", nil
}

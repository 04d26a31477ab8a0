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
	"log/slog"
	"net"
	"time"

	"github.com/watchward/watchward/internal/media"
)

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

	// NoVideoAfter is how long a connected camera may send no picture, or none
	// that can be shown, before the connection is given up. Zero means 10 s.
	NoVideoAfter time.Duration
	// Batch is how long packets may gather in the socket while nobody watches
	// live. Zero means 80 ms.
	Batch time.Duration

	Log       *slog.Logger // nil means slog.Default
	UserAgent string       // zero means "Watchward"
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

	// Certificate is what was refused, while Reason is media.Untrusted.
	Certificate *Certificate

	Transport    string // how media travels: tcp, udp, http; with "+tls" over TLS
	Video, Audio *media.Format

	FPS, Kbps   float64       // over the last second or so
	Frames      uint64        // pictures since Run began
	Lost        uint64        // packets missing since Run began
	Bytes       uint64        // of media since Run began
	ClockOffset time.Duration // the camera's clock minus ours, by its RTCP sender reports; 0 unknown
}

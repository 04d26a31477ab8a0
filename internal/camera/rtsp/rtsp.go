// Package rtsp holds the conversation with a camera (RFC 2326, and the parts of
// RFC 7826 and RFC 7616 that cameras have taken up): it asks for a stream, keeps
// it alive and hands out its packets. What the packets mean is package rtp's.
//
// Begin with [Connect]; then [Client.Describe], [Client.Setup] for each track,
// [Client.Play], and [Client.Poll] again and again.
//
// # Cameras are not to be believed
//
// Every length is capped, every answer has a time limit, and no address that a
// camera names is ever dialled: Content-Base, control and redirect addresses
// keep their path and are turned to the camera's own host. Where a camera breaks
// the standard but its meaning is plain, it is understood; the oddities met so
// far are a table test.
//
// # What hurts
//
// After Play the socket is taken away from the runtime's poller: it would wake
// a thread for every segment that arrives. From then on nothing blocks and the
// caller decides when to look.
package rtsp

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Limits on what a camera may send. Each is far above what any camera was seen
// to need.
const (
	maxLine    = 8 << 10   // bytes in a line of a header
	maxHeaders = 100       // header lines in a message
	maxBody    = 128 << 10 // bytes in a body
	maxMedias  = 64        // media sections in a description
	maxSkip    = 64 << 10  // bytes of rubbish between messages
	maxSession = 1 << 10   // bytes in a session id
	maxStray   = 50        // answers nobody asked for, before an answer that somebody did

	patience = 10 * time.Second // for an answer, from its request to its last byte
)

// Errors that a caller tells apart.
var (
	// ErrLogin means that the camera does not take the login, or wants one.
	ErrLogin = errors.New("camera does not accept the login")
	// ErrTransport means that the camera does not offer the transport asked for.
	ErrTransport = errors.New("camera does not offer this transport")
	// ErrMessage means that what the camera sent cannot be read.
	ErrMessage = errors.New("camera sent what cannot be read")
	// ErrEnded means that the camera ended the session.
	ErrEnded = errors.New("camera ended the session")
)

// StatusError is an answer other than 200.
type StatusError struct {
	Method string
	Code   int
	Status string // the camera's words
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("camera answers %s with %d %q", e.Method, e.Code, clip(e.Status, 80))
}

// clip shortens s to n bytes at most and drops what could forge a line of a log
// or command a terminal.
func clip(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0xfffd {
			return -1
		}
		return r
	}, s[:min(len(s), n)])
	return s
}

package rtsp

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"
)

// Handler takes the packets of a session, in the goroutine that polls. A packet
// is valid during the call only. Track numbers count the calls of Setup.
type Handler interface {
	RTP(track int, packet []byte, now time.Time)
	RTCP(track int, packet []byte, now time.Time)
}

// stream reads what comes on a control connection: messages, and between them
// interleaved frames (RFC 2326, 10.12).
type stream struct {
	conn    net.Conn // a *socket, or TLS above one, or a tunnel
	records bool     // a read returns at most one TLS record
	rest    []byte   // the beginning of a frame that is not whole yet
	open    *assembler
	skipped int // bytes of rubbish since something made sense

	channels map[byte]int // channel -> 2*track, +1 for RTCP
	handler  Handler      // nil until Play
	bytes    uint64
	messages func(*Message) error // takes each message
}

// fill reads once what the connection holds and deals with everything whole in
// it. more reports that there may be more to read at once.
func (s *stream) fill() (more bool, err error) {
	buf := readBuffers.Get().(*[readSize]byte)
	defer readBuffers.Put(buf)
	kept := copy(buf[:], s.rest)
	n, err := s.conn.Read(buf[kept:])
	if n == 0 && err != nil {
		return false, err
	}
	s.bytes += uint64(n)
	b := buf[:kept+n]
	used, perr := s.parse(b, time.Now())
	s.rest = append(s.rest[:0], b[used:]...)
	if cap(s.rest) > 8<<10 && len(s.rest) < 2<<10 {
		s.rest = append(make([]byte, 0, 2<<10), s.rest...)
	}
	if perr != nil {
		return false, perr
	}
	if err == io.EOF {
		return false, err
	}
	// TLS hands out one record at a time, however much there is.
	return kept+n == len(buf) || s.records, nil
}

// parse deals with everything whole in b and returns how much that was.
func (s *stream) parse(b []byte, now time.Time) (used int, err error) {
	for used < len(b) {
		if s.open == nil && b[used] == '$' {
			if len(b)-used < 4 {
				return used, nil
			}
			end := used + 4 + int(binary.BigEndian.Uint16(b[used+2:]))
			if s.skipped > 0 && !s.plausible(b[used:]) {
				used++
				s.skipped++
				continue
			}
			if end > len(b) {
				return used, nil
			}
			s.skipped = 0
			s.frame(b[used+1], b[used+4:end], now)
			used = end
			continue
		}
		n, err := s.message(b[used:])
		if err != nil {
			return used, err
		}
		if n == 0 {
			return used, nil
		}
		used += n
	}
	return used, nil
}

func (s *stream) frame(channel byte, packet []byte, now time.Time) {
	if s.handler == nil {
		return
	}
	i, ok := s.channels[channel]
	switch {
	case !ok:
	case i&1 == 0:
		s.handler.RTP(i>>1, packet, now)
	default:
		s.handler.RTCP(i>>1, packet, now)
	}
}

// plausible reports whether a dollar sign in rubbish begins a frame.
func (s *stream) plausible(b []byte) bool {
	_, known := s.channels[b[1]]
	return known && (len(b) < 5 || b[4]>>6 == 2)
}

// message takes a piece of a message, or skips what is none. 0 means that more
// bytes are needed to tell.
func (s *stream) message(b []byte) (int, error) {
	if s.open == nil {
		if c := b[0]; c == '\r' || c == '\n' || c == ' ' || c == 0 {
			return 1, s.skip()
		}
		switch begins(b) {
		case maybe:
			return 0, nil
		case no:
			return 1, s.skip()
		}
		s.open, s.skipped = newAssembler(), 0
	}
	n, done, err := s.open.feed(b)
	if err != nil || !done {
		return n, err
	}
	m := &s.open.msg
	s.open = nil
	return n, s.messages(m)
}

// skip counts a byte that belongs to nothing.
func (s *stream) skip() error {
	if s.skipped++; s.skipped > maxSkip {
		return fmt.Errorf("%w: %d bytes in a row that are neither message nor packet", ErrMessage, s.skipped)
	}
	return nil
}

type answer int

const (
	no answer = iota
	maybe
	yes
)

// begins reports whether a message begins with b: "RTSP/", "HTTP/", or the name
// of a method and a blank.
func begins(b []byte) answer {
	for i, c := range b[:min(len(b), 20)] {
		switch {
		case c == ' ' && i >= 4, c == '/' && i == 4:
			return yes
		case c >= 'A' && c <= 'Z' || c == '_' && i > 0:
		default:
			return no
		}
	}
	if len(b) >= 20 {
		return no
	}
	return maybe
}

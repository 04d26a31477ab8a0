package rtsp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Poll reads everything that has come and returns without waiting. It must be
// called in short intervals after Play.
func (c *Client) Poll() error {
	for range 256 { // a camera faster than we read must not hold us for ever
		more, err := c.stream.fill()
		if err != nil {
			if isNothing(err) {
				break
			}
			if errors.Is(err, io.EOF) {
				return ErrEnded
			}
			return err
		}
		if !more {
			break
		}
	}
	for i, t := range c.tracks {
		if err := t.udp.poll(i, c.stream.handler); err != nil {
			return err
		}
	}
	return c.ended
}

// Bytes is how much was read since Connect, packets and all else.
func (c *Client) Bytes() uint64 {
	n := c.stream.bytes
	for _, t := range c.tracks {
		n += t.udp.size()
	}
	return n
}

// KeepAlive tells the camera that we are still here, at half of the time it
// gives us. It sends GET_PARAMETER where the camera lists it, else OPTIONS: some
// servers hang up on a method they did not list.
func (c *Client) KeepAlive(now time.Time) error {
	every := max(c.timeout/2, time.Second)
	if now.Sub(c.aliveAt) < every {
		return nil
	}
	c.aliveAt = now
	method := "OPTIONS"
	if !c.aliveOptions && strings.Contains(c.methods, "GET_PARAMETER") {
		method = "GET_PARAMETER"
	}
	n, err := c.send(method, c.control, nil)
	c.aliveSeq, c.stray = n, 0
	if err != nil {
		return fmt.Errorf("keep session alive: %w", err)
	}
	return nil
}

// alive takes the answer to a keepalive.
func (c *Client) alive(m *Message) {
	c.aliveSeq = -1
	switch {
	case m.Code == 401:
		// The nonce wore out: answer anew, at once.
		if c.login.challenged(ParseChallenges(m.Header.Values("WWW-Authenticate"))) {
			c.aliveAt = time.Time{}
		}
	case m.Code == 454:
		c.ended = fmt.Errorf("%w: it no longer knows our session", ErrEnded)
	case m.Code >= 400 && !c.aliveOptions:
		c.aliveOptions = true
		c.aliveAt = time.Time{}
	}
	if h, ok := ParseSession(m.Header.Get("Session")); ok && h.Timeout > 0 && m.Code == 200 {
		c.timeout = h.Timeout
	}
}

// SendRTCP sends a compound RTCP packet of a track.
func (c *Client) SendRTCP(track int, packet []byte) error {
	if track >= len(c.tracks) || len(packet) == 0 || len(packet) > 1<<10 {
		return nil
	}
	t := c.tracks[track]
	if t.udp != nil {
		return t.udp.sendRTCP(packet)
	}
	if t.rtcp == t.channel {
		return nil
	}
	c.scratch = append(c.scratch[:0], '$', t.rtcp)
	c.scratch = binary.BigEndian.AppendUint16(c.scratch, uint16(len(packet)))
	c.scratch = append(c.scratch, packet...)
	_, err := c.stream.conn.Write(c.scratch)
	return err
}

// Close ends the session. With polite the camera is told, without waiting for
// its answer: cameras serve few clients at a time, and those that are not told
// keep our place occupied until its timeout.
func (c *Client) Close(polite bool) {
	if polite && c.session != "" {
		_ = c.stream.conn.SetDeadline(time.Now().Add(time.Second))
		_, _ = c.send("TEARDOWN", c.control, nil)
	}
	_ = c.stream.conn.Close()
	for _, t := range c.tracks {
		t.udp.close()
	}
	c.stream.rest = nil
}

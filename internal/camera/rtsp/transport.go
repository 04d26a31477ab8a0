package rtsp

import (
	"strconv"
	"strings"
	"time"
)

// TransportHeader is what matters of a Transport header (RFC 2326, 12.39).
type TransportHeader struct {
	TCP         bool   // media comes interleaved
	Interleaved [2]int // channels of RTP and RTCP; -1 where not said
	ClientPort  [2]int // 0 where not said
	ServerPort  [2]int
	Source      string
	SSRC        uint32
	HasSSRC     bool
}

// ParseTransport reads a Transport header with its parameters in any order.
// What cannot be understood is left out.
func ParseTransport(s string) TransportHeader {
	t := TransportHeader{Interleaved: [2]int{-1, -1}}
	s, _, _ = strings.Cut(s, ",") // several offers: the first is the one that counts
	for part := range strings.SplitSeq(s, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		name = strings.ToLower(strings.TrimSpace(name))
		value = strings.Trim(strings.TrimSpace(value), `"`)
		switch name {
		case "rtp/avp/tcp", "rtp/avpf/tcp", "rtp/savp/tcp":
			t.TCP = true
		case "interleaved":
			if a, b, ok := pair(value, 255); ok {
				t.Interleaved, t.TCP = [2]int{a, b}, true
			}
		case "client_port":
			if a, b, ok := pair(value, 65535); ok {
				t.ClientPort = [2]int{a, b}
			}
		case "server_port":
			if a, b, ok := pair(value, 65535); ok {
				t.ServerPort = [2]int{a, b}
			}
		case "source":
			t.Source = value
		case "ssrc":
			t.SSRC, t.HasSSRC = parseSSRC(value)
		}
	}
	return t
}

// pair reads "4-5" or "4", which means 4 and 5.
func pair(s string, most int) (a, b int, ok bool) {
	first, second, two := strings.Cut(s, "-")
	a, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || a < 0 || a > most {
		return 0, 0, false
	}
	if b = a + 1; two {
		if n, err := strconv.Atoi(strings.TrimSpace(second)); err == nil {
			b = n
		}
	}
	if b < 0 || b > most {
		b = a
	}
	return a, b, true
}

// parseSSRC reads a source as cameras write it: hexadecimal by the standard, of
// any length, padded with blanks (Dahua); ten digits are decimal.
func parseSSRC(s string) (uint32, bool) {
	s = strings.TrimSpace(s)
	base := 16
	if len(s) > 8 {
		base = 10
	}
	n, err := strconv.ParseUint(s, base, 32)
	return uint32(n), err == nil
}

// SessionHeader is a Session header (RFC 2326, 12.37). The id is sent back bare:
// some servers answer 454 to an id with its timeout.
type SessionHeader struct {
	ID      string
	Timeout time.Duration // 0 where not said
}

// ParseSession reads a Session header. Blanks may stand anywhere.
func ParseSession(s string) (SessionHeader, bool) {
	id, rest, _ := strings.Cut(s, ";")
	h := SessionHeader{ID: strings.TrimSpace(id)}
	for part := range strings.SplitSeq(rest, ";") {
		name, value, _ := strings.Cut(part, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "timeout") {
			continue
		}
		if n, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil && n >= 1 && n <= 86400 {
			h.Timeout = time.Duration(n * float64(time.Second))
		}
	}
	return h, h.ID != "" && len(h.ID) <= maxSession && !strings.ContainsAny(h.ID, "\r\n")
}

// RTPInfo is one entry of an RTP-Info header (RFC 2326, 12.33).
type RTPInfo struct {
	URL       string
	Seq       uint16
	HasSeq    bool
	Timestamp uint32
	HasTime   bool
}

// ParseRTPInfo reads an RTP-Info header. Addresses hold queries with "&", "="
// and sometimes ";"; entries may end in ";" and lack either number.
func ParseRTPInfo(s string) []RTPInfo {
	var all []RTPInfo
	for part := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == ';' || r == ',' }) {
		part = strings.TrimSpace(part)
		name, value, ok := strings.Cut(part, "=")
		if !ok || len(all) > maxMedias {
			continue
		}
		name = strings.ToLower(strings.TrimSpace(name))
		if name == "url" {
			all = append(all, RTPInfo{URL: strings.TrimSpace(value)})
			continue
		}
		if len(all) == 0 {
			continue
		}
		e := &all[len(all)-1]
		switch name {
		case "seq":
			n, err := strconv.ParseUint(value, 10, 16)
			e.Seq, e.HasSeq = uint16(n), err == nil
		case "rtptime":
			n, err := strconv.ParseUint(value, 10, 32)
			e.Timestamp, e.HasTime = uint32(n), err == nil
		}
	}
	return all
}

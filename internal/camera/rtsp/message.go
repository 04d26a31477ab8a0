package rtsp

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// Header is the header of a message, in its order. Names are compared without
// regard to case: VLC and go2rtc answer with "Cseq".
type Header []Field

// Field is one line of a header.
type Field struct{ Name, Value string }

// Get returns the first value of name, or "".
func (h Header) Get(name string) string {
	for _, f := range h {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// Values returns all values of name.
func (h Header) Values(name string) []string {
	var all []string
	for _, f := range h {
		if strings.EqualFold(f.Name, name) {
			all = append(all, f.Value)
		}
	}
	return all
}

// Message is a request or an answer.
type Message struct {
	Method, URI string // of a request
	Code        int    // of an answer, else 0
	Status      string
	Header      Header
	Body        []byte
}

// Sequence is the number that ties an answer to its request, or -1.
func (m *Message) Sequence() int {
	n, err := strconv.Atoi(strings.TrimSpace(m.Header.Get("CSeq")))
	if err != nil || n < 0 {
		return -1
	}
	return n
}

// assembler builds one message from bytes that come in pieces of any size.
type assembler struct {
	msg     Message
	line    []byte // the open line
	started bool   // the first line has been read
	body    int    // bytes of body still to come; -1 while in the header
}

func newAssembler() *assembler { return &assembler{body: -1} }

// feed takes what it needs of b and reports how much that was and whether the
// message is whole.
func (a *assembler) feed(b []byte) (used int, done bool, err error) {
	for a.body < 0 {
		i := bytes.IndexByte(b[used:], '\n')
		piece := b[used:]
		if i >= 0 {
			piece = b[used : used+i]
		}
		if len(a.line)+len(piece) > maxLine {
			return used, false, fmt.Errorf("%w: header line of more than %d bytes", ErrMessage, maxLine)
		}
		a.line = append(a.line, piece...)
		used += len(piece)
		if i < 0 {
			return used, false, nil
		}
		used++
		if err := a.endLine(); err != nil {
			return used, false, err
		}
	}
	n := min(a.body, len(b)-used)
	a.msg.Body = append(a.msg.Body, b[used:used+n]...)
	a.body -= n
	return used + n, a.body == 0, nil
}

func (a *assembler) endLine() error {
	line := string(bytes.TrimRight(a.line, "\r \t"))
	a.line = a.line[:0]
	switch {
	case !a.started:
		if line == "" {
			return nil
		}
		a.started = true
		return a.first(line)
	case line == "":
		return a.endHeader()
	case line[0] == ' ' || line[0] == '\t': // a folded line goes on
		if n := len(a.msg.Header); n > 0 {
			f := &a.msg.Header[n-1]
			if len(f.Value)+len(line) > maxLine {
				return fmt.Errorf("%w: header line of more than %d bytes", ErrMessage, maxLine)
			}
			f.Value += " " + strings.TrimSpace(line)
		}
		return nil
	}
	if len(a.msg.Header) >= maxHeaders {
		return fmt.Errorf("%w: more than %d header lines", ErrMessage, maxHeaders)
	}
	name, value, ok := strings.Cut(line, ":")
	if !ok {
		return nil // a line that is no header says nothing
	}
	a.msg.Header = append(a.msg.Header, Field{strings.TrimSpace(name), strings.TrimSpace(value)})
	return nil
}

// first reads the line that begins a message.
func (a *assembler) first(line string) error {
	word, rest, _ := strings.Cut(line, " ")
	if strings.HasPrefix(word, "RTSP/") || strings.HasPrefix(word, "HTTP/") {
		code, status, _ := strings.Cut(strings.TrimSpace(rest), " ")
		n, err := strconv.Atoi(code)
		if err != nil || n < 100 || n > 999 {
			return fmt.Errorf("%w: status %q: want a number from 100 to 999", ErrMessage, clip(code, 40))
		}
		a.msg.Code, a.msg.Status = n, strings.TrimSpace(status)
		return nil
	}
	uri, version, ok := strings.Cut(strings.TrimSpace(rest), " ")
	if !ok || !strings.HasPrefix(strings.TrimSpace(version), "RTSP/") {
		return fmt.Errorf("%w: message begins with %q", ErrMessage, clip(line, 40))
	}
	a.msg.Method, a.msg.URI = word, uri
	return nil
}

func (a *assembler) endHeader() error {
	text := a.msg.Header.Get("Content-Length")
	if text == "" {
		a.body = 0
		return nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > maxBody {
		return fmt.Errorf("%w: Content-Length %q: want 0 to %d", ErrMessage, clip(text, 40), maxBody)
	}
	a.body = int(n)
	return nil
}

// ParseMessage reads one message and returns what follows it.
func ParseMessage(b []byte) (*Message, []byte, error) {
	a := newAssembler()
	used, done, err := a.feed(b)
	if err != nil {
		return nil, nil, err
	}
	if !done {
		return nil, nil, fmt.Errorf("%w: message cut short", ErrMessage)
	}
	return &a.msg, b[used:], nil
}

// appendRequest writes a request. Values were made by us, or were checked to
// hold no line break.
func appendRequest(dst []byte, method, uri string, header Header) []byte {
	dst = append(dst, method...)
	dst = append(dst, ' ')
	dst = append(dst, uri...)
	dst = append(dst, " RTSP/1.0\r\n"...)
	for _, f := range header {
		dst = append(dst, f.Name...)
		dst = append(dst, ": "...)
		dst = append(dst, f.Value...)
		dst = append(dst, "\r\n"...)
	}
	return append(dst, "\r\n"...)
}

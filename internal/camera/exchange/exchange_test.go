package exchange

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func TestRead(t *testing.T) {
	limits := Limits{Head: 200, Body: 20}
	for _, tt := range []struct {
		name, sent string
		status     int
		body       string
		cut        bool
		err        string
	}{
		{"by length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhello", 200, "he", false, ""},
		{"until it hangs up", "HTTP/1.0 200 OK\r\n\r\nhello", 200, "hello", false, ""},
		{"in chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", 200, "hello", false, ""},
		{"line feeds only", "HTTP/1.1 401 No\nServer: x\n\nhello", 401, "hello", false, ""},
		{"after an interim answer", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 None\r\n\r\n", 204, "", false, ""},
		{"longer than allowed", "HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("x", 1000), 200, strings.Repeat("x", 20), true, ""},
		{"a length that lies", "HTTP/1.1 200 OK\r\nContent-Length: 9999999999999\r\n\r\nhello", 200, "hello", true, "unexpected EOF"},
		{"a length below nothing", "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello", 200, "hello", false, ""},
		{"chunks of garbage", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello", 200, "", true, "invalid byte in chunk length"},
		{"headers without end", "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 1000), 200, "", false, "head of more than 200 bytes"},
		{"one header without end", "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("b", 10000), 200, "", false, "head of more than 200 bytes"},
		{"another protocol", "RTSP/1.0 400 Bad Request\r\n\r\n", 0, "", false, ErrNotHTTP.Error()},
		{"TLS", "\x15\x03\x01\x00\x02\x02\x0a", 0, "", false, ErrNotHTTP.Error()},
		{"no status", "HTTP/1.1\r\n\r\n", 0, "", false, ErrNotHTTP.Error()},
		{"nothing", "", 0, "", false, ErrNotHTTP.Error()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, err := Read(bufio.NewReader(strings.NewReader(tt.sent)), "GET", limits)
			if a.Status != tt.status || string(a.Body) != tt.body || a.Cut != tt.cut {
				t.Errorf("got %d %q cut %t, want %d %q cut %t", a.Status, a.Body, a.Cut, tt.status, tt.body, tt.cut)
			}
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
		})
	}
}

// A device that sends a byte now and then for ever costs no more than the time
// allowed for the whole.
func TestDoEndsASlowAnswer(t *testing.T) {
	ours, theirs := net.Pipe()
	go func() {
		_, _ = theirs.Read(make([]byte, 4096))
		_, _ = io.WriteString(theirs, "HTTP/1.1 200 OK\r\n")
		for {
			if _, err := io.WriteString(theirs, "A: b\r\n"); err != nil {
				return
			}
		}
	}()
	c := New(ours, Limits{Head: 1 << 30, Time: 50 * time.Millisecond})
	defer c.Close()
	if _, err := c.Do(context.Background(), Request{Method: "GET", Target: "/", Host: "x"}); !isTimeout(err) {
		t.Errorf("error %v, want a timeout", err)
	}
	if !c.Done() {
		t.Error("connection may be asked again")
	}
}

func TestTextUnpacksWithinBounds(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(make([]byte, 10<<20))
	_ = z.Close()
	a := &Answer{Head: []byte("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"), Body: packed.Bytes()}
	if got := len(a.Text(1000)); got != 1000 {
		t.Errorf("unpacked %d bytes, want 1000", got)
	}
}

func TestRequestCannotBeSplit(t *testing.T) {
	got := string(Request{Method: "GET", Target: "/a\r\nEvil: 1", Host: "h\r\nX: y", Header: []string{"A: b\r\nEvil: 2"}}.Bytes())
	if strings.Contains(got, "\nEvil") || strings.Contains(got, "\nX:") {
		t.Errorf("request %q", got)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n0\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 None\r\nContent-Length: 99\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := Read(bufio.NewReader(bytes.NewReader(b)), "GET", Limits{Head: 100, Body: 100})
		if len(a.Head) > 100 || len(a.Body) > 100 {
			t.Errorf("head %d, body %d", len(a.Head), len(a.Body))
		}
		if err == nil && a.Status == 0 {
			t.Error("no status and no error")
		}
		_ = errors.Unwrap(err)
		a.Text(100)
	})
}

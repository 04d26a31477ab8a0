package faces

import (
	"bytes"
	"compress/gzip"
	"io"
	"net"
	"strings"
	"time"
)

// drip answers a byte at a time, for as long as somebody waits.
func drip(c net.Conn) {
	_ = c.SetDeadline(time.Time{})
	text := "HTTP/1.1 200 OK\r\nX-Slow: "
	for i := 0; ; i++ {
		b := byte('z')
		if i < len(text) {
			b = text[i]
		}
		if _, err := c.Write([]byte{b}); err != nil {
			return
		}
		time.Sleep(200 * time.Millisecond) // being slow is what it is for
	}
}

// flood sends headers until who reads them hangs up, or does not read.
func flood(c net.Conn) {
	_, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n")
	block := []byte(strings.Repeat("X-Flood: "+strings.Repeat("0", 100)+"\r\n", 100))
	for err == nil {
		_ = c.SetWriteDeadline(time.Now().Add(patience))
		_, err = c.Write(block)
	}
}

const hugeTitle = 10 << 20

// bomb is what some pages hold instead of text, by the word in braces; nil for
// none of them.
func bomb(word string) []byte {
	switch word {
	case "{huge-title}":
		return []byte("<html><head><title>" + strings.Repeat("A", hugeTitle) + "</title></head></html>")
	case "{gzip-bomb}":
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write(make([]byte, 1<<20)) // to memory
		_ = w.Close()
		return bytes.Repeat(b.Bytes(), 100) // members of one file, RFC 1952, 2.2
	}
	return nil
}

// junk is neither UTF-8 nor fit for a terminal, a log or a page.
const junk = "\xff\xfe\x00\x1b[2J\x1b]0;title\x07<script>alert(1)</script>\xc3\x28\u202e"

package faces

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	maxRequest  = 64 << 10 // head and body together
	maxRequests = 100      // on one connection

	snapshotPath = "/onvif/snapshot"
)

// serveHTTP answers requests on one connection. Requests are read by the
// standard library; answers are written by hand, because the order and spelling
// of headers are part of a face.
func (d *Device) serveHTTP(c net.Conn) {
	if t, ok := c.(*tls.Conn); ok && t.Handshake() != nil {
		return
	}
	limit := &io.LimitedReader{R: c}
	r := bufio.NewReaderSize(limit, 4<<10)
	for range maxRequests {
		limit.N = maxRequest
		_ = c.SetDeadline(time.Now().Add(patience))
		q, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		body, err := io.ReadAll(io.LimitReader(q.Body, maxRequest))
		if err != nil || d.o.Down() {
			return
		}
		a := d.respond(q, body)
		if a == nil { // hangs up without a word
			return
		}
		if _, err := c.Write(a); err != nil || q.Close || closes(a) {
			return
		}
	}
}

// closes reports whether an answer says that it is the last.
func closes(answer []byte) bool {
	head, _, _ := bytes.Cut(answer, []byte("\r\n\r\n"))
	return bytes.Contains(bytes.ToLower(head), []byte("\r\nconnection: close"))
}

// respond makes the answer to one request; nil hangs up.
func (d *Device) respond(q *http.Request, body []byte) []byte {
	if d.isONVIF(q) {
		return d.soap(q, body)
	}
	if o := d.face.ONVIF; o.Device != "" && !o.NoSnapshot && q.URL.Path == snapshotPath {
		p := Page{Login: len(d.web.Challenges) > 0, Head: []string{"HTTP/1.1 200 OK", "Content-Type: image/jpeg"}, Body: "{jpeg}"}
		if p.Login && !d.allowed(q) {
			return d.refuse()
		}
		return d.page(p, q.Method == http.MethodHead)
	}
	for _, p := range d.face.Web.Pages {
		if !p.fits(q) {
			continue
		}
		if p.Login && !d.allowed(q) {
			return d.refuse()
		}
		return d.page(p, q.Method == http.MethodHead)
	}
	return finish([]string{"HTTP/1.1 404 Not Found", "Content-Type: text/html"}, []byte("<html><body><h1>404 Not Found</h1></body></html>"), false)
}

func (p Page) fits(q *http.Request) bool {
	if p.Method != q.Method && (p.Method != http.MethodGet || q.Method != http.MethodHead) {
		return false
	}
	got := q.URL.Path
	if strings.Contains(p.Path, "?") {
		got = q.RequestURI
	}
	if start, ok := strings.CutSuffix(p.Path, "*"); ok {
		return strings.HasPrefix(got, start)
	}
	return got == p.Path
}

// allowed judges a request's login.
func (d *Device) allowed(q *http.Request) bool {
	return !d.o.Refuse() && d.web.Allows(q.Method, q.Header.Get("Authorization"), d.nonce)
}

// refuse asks for the password: by the face's own page for that, if it has one.
func (d *Device) refuse() []byte {
	head, body := []string{"HTTP/1.1 401 Unauthorized", "Content-Type: text/html"}, "<html><body>401 Unauthorized</body></html>"
	for _, p := range d.face.Web.Pages {
		if p.Method == "401" {
			head, body = p.Head, p.Body
		}
	}
	var out []string
	for _, line := range head {
		out = append(out, d.fill(line))
	}
	for _, c := range d.web.Ask(d.nonce) {
		out = append(out, "WWW-Authenticate: "+c)
	}
	return finish(out, []byte(d.fill(body)), false)
}

func (d *Device) page(p Page, headOnly bool) []byte {
	var body []byte
	switch strings.TrimSpace(p.Body) {
	case "{favicon}":
		body = favicon(d.face.Name)
	case "{jpeg}":
		body = still(d.face.Name)
	default:
		if body = bomb(strings.TrimSpace(p.Body)); body == nil {
			body = []byte(d.fill(p.Body))
		}
	}
	head := make([]string, len(p.Head))
	for i, line := range p.Head {
		head[i] = d.fill(line)
	}
	return finish(head, body, headOnly)
}

// finish adds the length, unless the face tells one, and joins an answer.
func finish(head []string, body []byte, headOnly bool) []byte {
	var b bytes.Buffer
	b.WriteString(strings.Join(head, "\r\n"))
	if !strings.Contains(b.String(), "\r\nContent-Length:") {
		b.WriteString("\r\nContent-Length: " + strconv.Itoa(len(body)))
	}
	b.WriteString("\r\n\r\n")
	if !headOnly {
		b.Write(body)
	}
	return b.Bytes()
}

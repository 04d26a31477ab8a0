package faces

import (
	"bytes"
	"crypto/sha1" // WS-Security's UsernameToken knows no other
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// message is what is read of an XML message of any of the protocols.
type message struct {
	op       xml.Name          // first element of the SOAP body, or the root
	text     map[string]string // of elements without children, by local name; the first counts
	must     bool              // the security header must be understood
	prefixes map[string]string // to namespaces
}

const maxDepth = 24

var errXML = errors.New("message: want one XML document, not deep")

// readMessage reads a message. The caller bounds its length.
func readMessage(b []byte) (*message, error) {
	m := &message{text: map[string]string{}, prefixes: map[string]string{}}
	d := xml.NewDecoder(bytes.NewReader(b))
	var open []string
	var text strings.Builder
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, errXML
		}
		switch t := tok.(type) {
		case xml.StartElement:
			if open = append(open, t.Name.Local); len(open) > maxDepth {
				return nil, errXML
			}
			text.Reset()
			m.start(t, open)
		case xml.CharData:
			if len(open) > 0 && text.Len() < 4096 {
				text.Write(t)
			}
		case xml.EndElement:
			name := open[len(open)-1]
			open = open[:len(open)-1]
			if s := strings.TrimSpace(text.String()); s != "" && m.text[name] == "" {
				m.text[name] = s
			}
			text.Reset()
		}
	}
	if m.op.Local == "" {
		return nil, errXML
	}
	return m, nil
}

func (m *message) start(t xml.StartElement, open []string) {
	inBody := len(open) == 3 && open[1] == "Body"
	if len(open) == 1 && t.Name.Local != "Envelope" || inBody && m.op.Local == "" {
		m.op = t.Name
	}
	for _, a := range t.Attr {
		switch {
		case a.Name.Space == "xmlns" && len(m.prefixes) < 100:
			m.prefixes[a.Name.Local] = a.Value
		case a.Name.Local == "mustUnderstand" && t.Name.Local == "Security":
			m.must = a.Value == "1" || a.Value == "true"
		}
	}
}

// fault is a SOAP fault.
type fault struct {
	status   int
	code     string // Sender, Receiver, MustUnderstand
	subcodes []string
	reason   string
}

func (d *Device) isONVIF(q *http.Request) bool {
	o := d.face.ONVIF
	if o.Device == "" || q.Method != http.MethodPost {
		return false
	}
	return q.URL.Path == o.Device || q.URL.Path == o.Media || o.Media2 != "" && q.URL.Path == o.Media2
}

// soap answers one ONVIF request; nil hangs up.
func (d *Device) soap(q *http.Request, body []byte) []byte {
	m, err := readMessage(body)
	if err != nil {
		return d.fault(fault{http.StatusBadRequest, "Sender", []string{"ter:WellFormed"}, "Well-formed XML was expected"})
	}
	o := d.face.ONVIF
	if m.must && o.NoMustUnderstand {
		return d.fault(fault{http.StatusInternalServerError, "MustUnderstand", nil, "The data in element 'wsse:Security' must be understood but cannot be processed"})
	}
	op, known := operations()[m.op]
	if !known || op.media2 && o.Media2 == "" {
		if o.HangUp {
			return nil
		}
		return d.fault(fault{http.StatusInternalServerError, "Receiver", []string{"ter:ActionNotSupported"}, "Optional Action Not Implemented"})
	}
	if !d.mayCall(q, m, op) {
		if o.HTTPDigest && m.text["Username"] == "" {
			return d.refuse()
		}
		return d.fault(fault{o.Refused, "Sender", []string{"ter:NotAuthorized"}, "Sender not Authorized"})
	}
	out, f := d.call(op, m)
	if f != nil {
		return d.fault(*f)
	}
	return d.envelope(http.StatusOK, out)
}

// mayCall judges the login of a request against what the operation asks.
func (d *Device) mayCall(q *http.Request, m *message, op operation) bool {
	o := d.face.ONVIF
	if op.open || o.NoLogin {
		return true
	}
	for _, name := range o.Open {
		if name == op.name {
			return true
		}
	}
	if d.o.Refuse() {
		return false
	}
	if o.HTTPDigest && q.Header.Get("Authorization") != "" {
		return d.allowed(q)
	}
	return d.tokenFits(m)
}

// tokenFits checks a WS-Security UsernameToken with a digest: SHA-1 of nonce,
// time and password (OASIS UsernameToken Profile 1.0, 3.1). The time is judged
// by the device's own clock, which may be wrong.
func (d *Device) tokenFits(m *message) bool {
	nonce, err := base64.StdEncoding.DecodeString(m.text["Nonce"])
	if err != nil || len(nonce) == 0 || m.text["Username"] != d.o.User {
		return false
	}
	created := m.text["Created"]
	at, err := time.Parse(time.RFC3339, created)
	if err != nil {
		return false
	}
	if skew := d.face.ONVIF.Skew; skew > 0 && at.Sub(d.clock()).Abs() > skew {
		return false
	}
	h := sha1.New()
	h.Write(nonce)
	io.WriteString(h, created+d.o.Password)
	return same(base64.StdEncoding.EncodeToString(h.Sum(nil)), m.text["Password"])
}

// clock is what the device takes for the time.
func (d *Device) clock() time.Time { return time.Now().UTC().Add(d.face.ONVIF.Clock) }

const soapNS = "http://www.w3.org/2003/05/soap-envelope"

// envelope wraps a body as the face does, and makes an HTTP answer of it.
func (d *Device) envelope(status int, body string) []byte {
	o := d.face.ONVIF
	e := o.Envelope
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n<" + e + `:Envelope xmlns:` + e + `="` + soapNS + `"`)
	for _, ns := range [][2]string{
		{"tt", "http://www.onvif.org/ver10/schema"},
		{"tds", deviceNS},
		{"trt", mediaNS},
		{"tr2", media2NS},
		{"ter", "http://www.onvif.org/ver10/error"},
	} {
		b.WriteString(` xmlns:` + ns[0] + `="` + ns[1] + `"`)
	}
	for _, line := range o.Namespaces {
		b.WriteString(" " + line)
	}
	b.WriteString(">" + d.fill(o.Header) + "<" + e + ":Body>" + body + "</" + e + ":Body></" + e + ":Envelope>")
	head := []string{"HTTP/1.1 " + strconv.Itoa(status) + " " + http.StatusText(status)}
	if o.Server != "" {
		head = append(head, "Server: "+o.Server)
	}
	head = append(head, "Content-Type: application/soap+xml; charset=utf-8", "Connection: close")
	return finish(head, []byte(b.String()), false)
}

func (d *Device) fault(f fault) []byte {
	e := d.face.ONVIF.Envelope
	var b strings.Builder
	b.WriteString("<" + e + ":Fault><" + e + ":Code><" + e + ":Value>" + e + ":" + f.code + "</" + e + ":Value>")
	for _, s := range f.subcodes {
		b.WriteString("<" + e + ":Subcode><" + e + ":Value>" + s + "</" + e + ":Value>")
	}
	b.WriteString(strings.Repeat("</"+e+":Subcode>", len(f.subcodes)))
	b.WriteString("</" + e + ":Code><" + e + `:Reason><` + e + `:Text xml:lang="en">` + f.reason + "</" + e + ":Text></" + e + ":Reason></" + e + ":Fault>")
	status := f.status
	if status == 0 {
		status = http.StatusBadRequest
	}
	return d.envelope(status, b.String())
}

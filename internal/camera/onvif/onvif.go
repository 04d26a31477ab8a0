// Package onvif speaks the SOAP dialect by which cameras tell who they are and
// where their streams are. It asks only; nothing in it changes a device.
//
// Begin with [New] and [Client.Information], or with [Streams], which proposes
// the addresses of a camera's streams. [Get] builds a request for those who
// bring their own connection.
//
// # Before it hurts
//
// Cameras disagree about everything. A refused login is 401, or 400 with a
// fault, or 500; some judge a login by a clock that is years off, so the
// camera's own time is asked first; some refuse a header that must be
// understood; some name addresses that lead nowhere, or elsewhere. The last is
// the one that bites: an answer must not choose whom we talk to, so only the
// path and the port of an address that a camera names are used, never its host.
package onvif

import (
	"context"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // the UsernameToken profile knows no other
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/camera"
	"github.com/watchward/watchward/internal/camera/exchange"
	"github.com/watchward/watchward/internal/camera/rtsp"
)

// The services that are asked, by the namespaces of their operations.
const (
	Device = "http://www.onvif.org/ver10/device/wsdl"
	Media  = "http://www.onvif.org/ver10/media/wsdl"
	Media2 = "http://www.onvif.org/ver20/media/wsdl"
)

// Path is where a device's own service is, by the standard.
const Path = "/onvif/device_service"

// Errors that callers tell apart.
var (
	// ErrLogin means that the device wants a login, or refused the one given.
	ErrLogin = errors.New("device refused the login")
	// ErrUnsupported means that the device does not know the operation.
	ErrUnsupported = errors.New("device does not know this operation")
)

// Fault is a SOAP fault.
type Fault struct {
	Status  int    // of HTTP
	Code    string // "Sender", "Receiver", "MustUnderstand"
	Subcode string // the innermost, such as "NotAuthorized"
	Reason  string // as the device says; hostile
}

func (f *Fault) Error() string {
	return fmt.Sprintf("device answered %d, %s %s: %q", f.Status, f.Code, f.Subcode, f.Reason)
}

// Is makes a fault an [ErrLogin] or an [ErrUnsupported].
func (f *Fault) Is(target error) bool {
	switch target {
	case ErrLogin:
		return f.Status == 401 || strings.EqualFold(f.Subcode, "NotAuthorized") || strings.EqualFold(f.Subcode, "FailedAuthentication") || strings.EqualFold(f.Subcode, "FailedCheck")
	case ErrUnsupported:
		return strings.EqualFold(f.Subcode, "ActionNotSupported") || strings.EqualFold(f.Subcode, "OptionalActionNotImplemented") || f.Status == 404
	}
	return false
}

// Options configures a [Client].
type Options struct {
	Dialer   exchange.Dialer // required
	Address  string          // host:port of the device, required
	Path     string          // of its device service; "" means [Path]
	TLS      func(net.Conn) net.Conn
	User     string
	Password camera.Secret
	Limits   exchange.Limits
}

// Client asks one device. It is not for several goroutines at once.
type Client struct {
	o    Options
	host string
	// skew is how far the device's clock is ahead of ours.
	skew time.Duration
	// plain: a security header that must be understood was refused.
	plain bool
	// bare: the device takes HTTP digest, or nothing, and no security header.
	bare     bool
	services map[string]string // namespace to path
}

// New checks the options and asks nothing.
func New(o Options) (*Client, error) {
	host, port, err := net.SplitHostPort(o.Address)
	if err != nil || host == "" || port == "" {
		return nil, fmt.Errorf("ONVIF address %q: want host:port", o.Address)
	}
	if o.Dialer == nil {
		return nil, errors.New("ONVIF client: want a dialer")
	}
	if o.Path == "" {
		o.Path = Path
	}
	if o.Limits.Body == 0 {
		o.Limits.Body = 512 << 10
	}
	return &Client{o: o, host: host, services: map[string]string{Device: o.Path}}, nil
}

// Get is the body of an operation that asks: its name must begin with "Get".
// Arguments are elements "name=value" in the operation's own namespace.
func Get(service, operation string, arguments ...string) []byte {
	return envelope("", call(service, operation, arguments))
}

// call writes an operation. That it begins with Get is what keeps this package
// from ever changing a device.
func call(service, operation string, arguments []string) string {
	if !strings.HasPrefix(operation, "Get") {
		panic("onvif: operation " + operation + " does not ask")
	}
	var b strings.Builder
	b.WriteString(`<` + operation + ` xmlns="` + service + `">`)
	for _, a := range arguments {
		if strings.HasPrefix(a, "<") { // an element written here, never by a device
			b.WriteString(a)
			continue
		}
		name, value, _ := strings.Cut(a, "=")
		b.WriteString("<" + name + ">")
		_ = xml.EscapeText(&b, []byte(value))
		b.WriteString("</" + name + ">")
	}
	b.WriteString("</" + operation + ">")
	return b.String()
}

func envelope(header, body string) []byte {
	if header != "" {
		header = "<s:Header>" + header + "</s:Header>"
	}
	return []byte(`<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope">` + header + `<s:Body>` + body + `</s:Body></s:Envelope>`)
}

// ContentType is the header of every request.
const ContentType = "Content-Type: application/soap+xml; charset=utf-8"

// security is a UsernameToken with a digest (OASIS UsernameToken Profile 1.0, 3.1).
func security(user, password string, at time.Time, must bool) string {
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // never fails, see crypto/rand
	created := at.UTC().Format("2006-01-02T15:04:05.000Z")
	h := sha1.New() //nolint:gosec // see the import
	h.Write(nonce[:])
	h.Write([]byte(created + password))
	var name strings.Builder
	_ = xml.EscapeText(&name, []byte(user))
	understand := ""
	if must {
		understand = ` s:mustUnderstand="1"`
	}
	const wss = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
	return `<Security` + understand + ` xmlns="` + wss + `wssecurity-secext-1.0.xsd"><UsernameToken><Username>` + name.String() +
		`</Username><Password Type="` + wss + `username-token-profile-1.0#PasswordDigest">` + base64.StdEncoding.EncodeToString(h.Sum(nil)) +
		`</Password><Nonce EncodingType="` + wss + `soap-message-security-1.0#Base64Binary">` + base64.StdEncoding.EncodeToString(nonce[:]) +
		`</Nonce><Created xmlns="` + wss + `wssecurity-utility-1.0.xsd">` + created + `</Created></UsernameToken></Security>`
}

// ask calls an operation, in as many ways as the device may need, and returns
// the response element. Each way carries the login at most once.
func (c *Client) ask(ctx context.Context, service, operation string, arguments ...string) (*element, []byte, error) {
	path, ok := c.services[service]
	if !ok {
		return nil, nil, fmt.Errorf("ask %s: %w", operation, ErrUnsupported)
	}
	body := call(service, operation, arguments)
	for range 4 {
		a, err := c.post(ctx, path, body, "")
		if err != nil {
			return nil, nil, fmt.Errorf("ask %s: %w", operation, err)
		}
		if offers := rtsp.ParseChallenges(a.Values("WWW-Authenticate")); a.Status == 401 && len(offers) > 0 && offers[0].Scheme == "digest" && c.o.User != "" {
			a, err = c.post(ctx, path, body, "Authorization: "+offers[0].Answer(c.o.User, c.o.Password.Reveal(), "POST", path))
			if err != nil {
				return nil, nil, fmt.Errorf("ask %s: %w", operation, err)
			}
		}
		e, err := readAnswer(a.Status, a.Body, operation)
		var fault *Fault
		if errors.As(err, &fault) && fault.Code == "MustUnderstand" && c.o.User != "" && !c.bare {
			// Once without the demand, then without the header: gSOAP without its
			// plugin knows nothing of it, and asks for no login either.
			c.plain, c.bare = true, c.plain
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("ask %s: %w", operation, err)
		}
		return e, a.Body, nil
	}
	return nil, nil, fmt.Errorf("ask %s: %w", operation, ErrLogin)
}

func (c *Client) post(ctx context.Context, path, body, authorization string) (*exchange.Answer, error) {
	header := ""
	if c.o.User != "" && !c.bare {
		header = security(c.o.User, c.o.Password.Reveal(), time.Now().Add(c.skew), !c.plain)
	}
	conn, err := c.o.Dialer.DialContext(ctx, "tcp", c.o.Address)
	if err != nil {
		return nil, err
	}
	if c.o.TLS != nil {
		conn = c.o.TLS(conn)
	}
	x := exchange.New(conn, c.o.Limits)
	defer x.Close()
	r := exchange.Request{Method: "POST", Target: path, Host: c.o.Address, Header: []string{ContentType, "Connection: close"}, Body: envelope(header, body)}
	if authorization != "" {
		r.Header = append(r.Header, authorization)
	}
	a, err := x.Do(ctx, r)
	if err != nil && (a == nil || a.Status == 0 || len(a.Body) == 0) {
		return nil, err
	}
	return a, nil
}

// readAnswer reads the body of an answer to an operation and returns an error
// where it is none: a [Fault] where the device gave one.
func readAnswer(status int, body []byte, operation string) (*element, error) {
	root, err := parse(body)
	if err != nil {
		if status != 200 {
			return nil, &Fault{Status: status, Reason: string(body[:min(len(body), 200)])}
		}
		return nil, err
	}
	soap := root.child("Envelope", "Body")
	if f := soap.child("Fault"); f != nil {
		return nil, readFault(status, f)
	}
	if e := soap.child(operation + "Response"); e != nil {
		return e, nil
	}
	if status != 200 {
		return nil, &Fault{Status: status, Reason: "no SOAP"}
	}
	return nil, fmt.Errorf("read answer to %s: no %sResponse in it", operation, operation)
}

func readFault(status int, f *element) *Fault {
	fault := &Fault{Status: status, Code: local(f.value("Code", "Value")), Reason: f.value("Reason", "Text")}
	for sub := f.child("Code", "Subcode"); sub != nil; sub = sub.child("Subcode") {
		fault.Subcode = local(sub.value("Value"))
	}
	if fault.Code == "" { // SOAP 1.1
		fault.Code, fault.Reason = local(f.value("faultcode")), f.value("faultstring")
	}
	return fault
}

func local(s string) string { return s[strings.LastIndexByte(s, ':')+1:] }

// pathOf is the path of an address that the device named, where it is on the
// port that was asked. Its host is not followed: see the package doc.
func (c *Client) pathOf(address string) (string, bool) {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Path == "" {
		return "", false
	}
	return u.RequestURI(), true
}

// here puts the host that was asked into an address that the device named, and
// takes a login out of it.
func (c *Client) here(address string) (string, error) {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.Host == "" {
		return "", errors.New("device named no address")
	}
	u.User = nil
	if port := u.Port(); port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return "", errors.New("device named no address")
		}
		u.Host = net.JoinHostPort(c.host, port)
	} else if u.Host = c.host; strings.Contains(c.host, ":") {
		u.Host = "[" + c.host + "]"
	}
	return u.String(), nil
}

package discover

import (
	"context"
	"crypto/md5" //nolint:gosec // how favicons are listed everywhere
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"html"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/camera/exchange"
	"github.com/watchward/watchward/internal/camera/onvif"
	"github.com/watchward/watchward/internal/identify"
)

const maxRedirects = 2

// browser asks one port for pages. Where the device hung up, it is dialled again.
type browser struct {
	h    *host
	port int
	tls  bool
	x    *exchange.Conn
}

func (b *browser) do(ctx context.Context, r exchange.Request) (*exchange.Answer, error) {
	if b.x == nil || b.x.Done() {
		if b.x != nil {
			b.x.Close()
		}
		c, err := b.h.dial(ctx, b.port)
		if err != nil {
			b.x = nil
			return nil, err
		}
		if b.tls {
			c = tls.Client(c, tlsConfig())
		}
		b.x = exchange.New(c, exchange.Limits{})
	}
	r.Host = net.JoinHostPort(b.h.addr.String(), strconv.Itoa(b.port))
	if b.port == 80 && !b.tls || b.port == 443 && b.tls {
		r.Host = b.h.addr.String()
		if b.h.addr.Is6() {
			r.Host = "[" + r.Host + "]"
		}
	}
	return b.x.Do(ctx, r)
}

func (b *browser) get(ctx context.Context, target string) (*exchange.Answer, error) {
	return b.do(ctx, exchange.Request{Method: "GET", Target: target})
}

func (b *browser) close() {
	if b.x != nil {
		b.x.Close()
	}
}

// askWeb asks a web server for its first page, its icon and what makers' devices
// answer without a login. It returns the beginning of the first answer.
func (h *host) askWeb(ctx context.Context, port int, x *exchange.Conn, encrypted bool) string {
	b := &browser{h: h, port: port, tls: encrypted, x: x}
	defer b.close()
	a, err := b.get(ctx, "/")
	if a == nil || a.Status == 0 {
		if a != nil && errors.Is(err, exchange.ErrNotHTTP) {
			return string(a.Head)
		}
		return ""
	}
	first := string(a.Head) + string(a.Text(1<<10))
	h.keepPage(port, a)
	for range maxRedirects {
		target, ok := h.within(port, encrypted, a.Get("Location"))
		if a.Status/100 != 3 || !ok {
			break
		}
		if a, err = b.get(ctx, target); err != nil || a.Status == 0 {
			break
		}
		h.keepPage(port, a)
	}
	if !h.first(&h.web) {
		h.askONVIF(ctx, b)
		return first
	}
	h.askIcon(ctx, b, a)
	for _, target := range openPaths() {
		if a, err := b.get(ctx, target.path); err == nil && (a.Status == 200 || a.Status == 401) {
			if a.Status == 200 && looksLike(a.Text(512), target.looks) {
				h.keep(target.kind, port, a.Text(maxValue))
				continue
			}
			if a.Status == 401 {
				h.keepPage(port, a)
			}
		}
	}
	h.askONVIF(ctx, b)
	return first
}

// first reports whether a thing was not done before, and marks it as done.
func (h *host) first(done *bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	was := *done
	*done = true
	return !was
}

// openPath is a page by which a maker's device tells what it is. Without a login
// most answer 401, and the shape of that refusal is what tells.
type openPath struct{ path, kind, looks string }

func openPaths() []openPath {
	return []openPath{
		{"/ISAPI/System/deviceInfo", identify.KindISAPIDeviceInfo, "<DeviceInfo"},
		{"/cgi-bin/magicBox.cgi?action=getDeviceType", identify.KindMagicBox, "type="},
		{"/axis-cgi/param.cgi?action=list&group=root.Brand", identify.KindAxisParam, "root.Brand"},
	}
}

func looksLike(b []byte, word string) bool { return strings.Contains(string(b), word) }

func (h *host) keepPage(port int, a *exchange.Answer) {
	h.keep(identify.KindHTTPResponse, port, append(append([]byte(nil), a.Head...), a.Text(16<<10)...))
}

// within is the target of a link, where it stays at this device and port.
func (h *host) within(port int, encrypted bool, link string) (string, bool) {
	scheme := "http"
	if encrypted {
		scheme = "https"
	}
	base := &url.URL{Scheme: scheme, Host: net.JoinHostPort(h.addr.String(), strconv.Itoa(port)), Path: "/"}
	u, err := base.Parse(link)
	if err != nil || link == "" || len(link) > 1000 || u.Scheme != scheme {
		return "", false
	}
	at := u.Port()
	if at == "" {
		at = map[string]string{"http": "80", "https": "443"}[scheme]
	}
	if u.Hostname() != h.addr.WithZone("").String() || at != strconv.Itoa(port) {
		return "", false
	}
	return u.RequestURI(), true
}

var (
	linkTag  = regexp.MustCompile(`(?is)<link\s[^>]{0,500}>`)
	iconRel  = regexp.MustCompile(`(?i)\brel\s*=\s*["']?[^"'>]{0,40}icon`)
	linkHref = regexp.MustCompile(`(?i)\bhref\s*=\s*["']?([^"'\s>]{1,500})`)
)

// iconOf is the address of the icon that a page names, "" for none.
func iconOf(page []byte) string {
	for _, tag := range linkTag.FindAll(page, 50) {
		if !iconRel.Match(tag) {
			continue
		}
		if m := linkHref.FindSubmatch(tag); m != nil {
			return html.UnescapeString(string(m[1]))
		}
	}
	return ""
}

// askIcon hashes the icon of a page, or the one that browsers look for.
func (h *host) askIcon(ctx context.Context, b *browser, page *exchange.Answer) {
	target, ok := "", false
	if page != nil {
		target, ok = h.within(b.port, b.tls, iconOf(page.Text(16<<10)))
	}
	if !ok {
		target = "/favicon.ico"
	}
	a, err := b.get(ctx, target)
	if err != nil || a.Status != 200 || len(a.Body) == 0 || a.Cut || strings.HasPrefix(strings.TrimSpace(string(a.Body[:min(len(a.Body), 64)])), "<") {
		return
	}
	sum := md5.Sum(a.Body) //nolint:gosec // see the import
	h.keep(identify.KindFaviconMD5, b.port, []byte(hex.EncodeToString(sum[:])))
	h.keep(identify.KindFaviconMMH3, b.port, []byte(strconv.Itoa(int(iconHash(a.Body)))))
}

// iconHash is what Shodan lists icons by: the signed Murmur3 of their base64 in
// lines of 76.
func iconHash(icon []byte) int32 {
	text := base64.StdEncoding.EncodeToString(icon)
	var lines strings.Builder
	for len(text) > 76 {
		lines.WriteString(text[:76] + "\n")
		text = text[76:]
	}
	lines.WriteString(text + "\n")
	return int32(murmur3([]byte(lines.String())))
}

// murmur3 is the 32-bit hash of that name for x86, with seed 0.
func murmur3(b []byte) uint32 {
	const c1, c2 = 0xcc9e2d51, 0x1b873593
	mix := func(k uint32) uint32 { k *= c1; return (k<<15 | k>>17) * c2 }
	h, n := uint32(0), uint32(len(b))
	for ; len(b) >= 4; b = b[4:] {
		h ^= mix(binary.LittleEndian.Uint32(b))
		h = (h<<13|h>>19)*5 + 0xe6546b64
	}
	if len(b) > 0 {
		var tail [4]byte
		copy(tail[:], b)
		h ^= mix(binary.LittleEndian.Uint32(tail[:]))
	}
	h ^= n
	h = (h ^ h>>16) * 0x85ebca6b
	h = (h ^ h>>13) * 0xc2b2ae35
	return h ^ h>>16
}

// tlsConfig takes any certificate and old versions: what a device shows is what
// is wanted, and nothing secret is sent.
func tlsConfig() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10} //nolint:gosec // see the comment
}

// askTLS keeps the certificate, and asks for pages where none were had plainly.
func (h *host) askTLS(ctx context.Context, port int, c net.Conn) {
	t := tls.Client(c, tlsConfig())
	_ = t.SetDeadline(time.Now().Add(3 * time.Second))
	if t.HandshakeContext(ctx) != nil {
		c.Close()
		return
	}
	if certs := t.ConnectionState().PeerCertificates; len(certs) > 0 {
		sum := sha256.Sum256(certs[0].Raw)
		h.mu.Lock()
		h.cert = hex.EncodeToString(sum[:])
		h.mu.Unlock()
		h.keep(identify.KindTLSCertificate, port, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certs[0].Raw}))
	}
	h.mu.Lock()
	asked := h.web
	h.mu.Unlock()
	if asked {
		c.Close()
		return
	}
	h.askWeb(ctx, port, exchange.New(t, exchange.Limits{}), true)
}

// askONVIF asks what the standard, and many devices, answer without a login.
func (h *host) askONVIF(ctx context.Context, b *browser) {
	h.mu.Lock()
	known := h.onvif
	h.mu.Unlock()
	if known {
		return
	}
	for i, q := range []struct {
		kind, operation string
		arguments       []string
	}{
		{identify.KindONVIFDateAndTime, "GetSystemDateAndTime", nil},
		{identify.KindONVIFDeviceInformation, "GetDeviceInformation", nil},
		{identify.KindONVIFScopes, "GetScopes", nil},
		{identify.KindONVIFServices, "GetServices", []string{"IncludeCapability=false"}},
		{identify.KindONVIFCapabilities, "GetCapabilities", []string{"Category=All"}},
	} {
		a, err := b.do(ctx, exchange.Request{
			Method: "POST", Target: onvif.Path, Header: []string{onvif.ContentType}, Body: onvif.Get(onvif.Device, q.operation, q.arguments...),
		})
		if a == nil || err != nil && len(a.Body) == 0 || !strings.Contains(string(a.Text(4<<10)), "Envelope") {
			return
		}
		if i == 0 && !h.first(&h.onvif) {
			return
		}
		switch {
		case strings.Contains(string(a.Text(maxValue)), q.operation+"Response"):
			h.keep(q.kind, b.port, a.Text(maxValue))
			if q.operation == "GetServices" {
				return // who knows it needs no asking for the older form
			}
		case q.operation == "GetDeviceInformation":
			h.keepPage(b.port, a) // how it refuses is a habit, too
		}
	}
}

// askDescription fetches what an SSDP answer points at, where that is here.
func (h *host) askDescription(ctx context.Context) {
	for _, d := range h.s.ears.of(h.addr) {
		if d.inquiry.kind != identify.KindSSDP {
			continue
		}
		link := (&exchange.Answer{Head: d.value}).Get("Location")
		u, err := url.Parse(link)
		if err != nil || u.Scheme != "http" || u.Hostname() != h.addr.String() {
			continue
		}
		port, err := strconv.Atoi(u.Port())
		if u.Port() == "" {
			port, err = 80, nil
		}
		if err != nil || port < 1 || port > 65535 {
			continue
		}
		b := &browser{h: h, port: port}
		if a, err := b.get(ctx, u.RequestURI()); err == nil && a.Status == 200 {
			h.keep(identify.KindUPnPDescription, port, a.Text(maxValue))
		}
		b.close()
		return
	}
}

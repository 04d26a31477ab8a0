package faces

import (
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/watchward/watchward/internal/media"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	user     = "watch"
	password = "open sesame"
)

// wear runs the first device of a face at 127.0.0.1 until the test ends.
func wear(t testing.TB, f *Face) *Device {
	t.Helper()
	d, err := Dress(Options{
		Face: f, Place: "Harbour gate", Host: netip.MustParseAddr("127.0.0.1"), Shared: true,
		User: user, Password: password, Log: slog.New(slog.DiscardHandler),
		Streams: func() []Stream {
			if !f.Has("rtsp") {
				return nil
			}
			return []Stream{
				{Codec: media.H265, Width: 2560, Height: 1440, Bitrate: 4_000_000, URL: "rtsp://127.0.0.1:554" + f.RTSP.Main[0]},
				{Codec: media.H264, Width: 640, Height: 360, Bitrate: 500_000, URL: "rtsp://127.0.0.1:554" + f.RTSP.Sub[0]},
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { d.Run(ctx); close(done) }()
	t.Cleanup(func() { stop(); <-done })
	return d
}

func named(t testing.TB, name string) *Face {
	t.Helper()
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.Name == name {
			return f
		}
	}
	t.Fatalf("no face %q", name)
	return nil
}

func (d *Device) at(name string) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(d.port(name, 0)))
}

// say sends bytes to a port and returns all that comes until it closes.
func say(t testing.TB, d *Device, port, text string) string {
	t.Helper()
	c, err := net.Dial("tcp", d.at(port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if port == "https" {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true}) // a device's own certificate
	}
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return string(out)
}

// get is one raw HTTP request on a connection of its own.
func get(t testing.TB, d *Device, port, method, path string, headers ...string) string {
	t.Helper()
	head := append([]string{method + " " + path + " HTTP/1.1", "Host: " + d.at(port), "Connection: close"}, headers...)
	return say(t, d, port, strings.Join(head, "\r\n")+"\r\n\r\n")
}

// login is the Authorization header that answers a refusal.
func login(refusal, method, uri, password string) string {
	for line := range strings.Lines(refusal) {
		kind, rest, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "WWW-Authenticate: "), " ")
		if !strings.HasPrefix(line, "WWW-Authenticate: ") {
			continue
		}
		if kind == "Basic" {
			return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
		}
		p := authParams(rest)
		l := Login{User: user, Password: password, Realm: p["realm"]}
		a := map[string]string{"uri": uri}
		qop := ""
		if p["qop"] != "" {
			a["qop"], a["nc"], a["cnonce"] = "auth", "00000001", "c0ffee"
			qop = `, qop=auth, nc=00000001, cnonce="c0ffee"`
		}
		return fmt.Sprintf(`Authorization: Digest username=%q, realm=%q, nonce=%q, uri=%q, response=%q%s`,
			user, p["realm"], p["nonce"], uri, l.response(method, p["nonce"], a, false), qop)
	}
	return "X-None: no challenge"
}

// ask sends a packet to a UDP port and returns the answer, "" for none in time.
func ask(t testing.TB, d *Device, protocol string, packet []byte, patience time.Duration) string {
	t.Helper()
	c, err := net.Dial("udp", d.at(protocol))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write(packet); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(patience))
	buf := make([]byte, 9000)
	n, _ := c.Read(buf)
	return string(buf[:n])
}

func probe(types string) []byte {
	return []byte(`<?xml version="1.0"?><e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope" xmlns:w="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery" xmlns:net="http://www.onvif.org/ver10/network/wsdl" xmlns:dev="http://www.onvif.org/ver10/device/wsdl"><e:Header><w:MessageID>uuid:0f1e2d3c</w:MessageID></e:Header><e:Body><d:Probe><d:Types>` + types + `</d:Types></d:Probe></e:Body></e:Envelope>`)
}

func search(target string) []byte {
	return []byte("M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: " + target + "\r\n\r\n")
}

// question is an mDNS question for the pointers of a name.
func question(t testing.TB, name string) []byte {
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: 7}, Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: dnsmessage.TypePTR, Class: dnsmessage.ClassINET}}}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func dhip(body string) []byte {
	b := make([]byte, 32)
	b[0] = 32
	copy(b[4:], "DHIP")
	binary.LittleEndian.PutUint32(b[16:], uint32(len(body)))
	binary.LittleEndian.PutUint32(b[24:], uint32(len(body)))
	return append(b, body...)
}

// token is a WS-Security header.
func token(password string, at time.Time, must bool) string {
	nonce := []byte("sixteen bytes ..")
	created := at.UTC().Format(time.RFC3339)
	sum := sha1.Sum([]byte(string(nonce) + created + password))
	attr := ""
	if must {
		attr = ` s:mustUnderstand="1"`
	}
	return `<s:Header><Security` + attr + ` xmlns="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"><UsernameToken><Username>` + user + `</Username><Password>` +
		base64.StdEncoding.EncodeToString(sum[:]) + `</Password><Nonce>` + base64.StdEncoding.EncodeToString(nonce) + `</Nonce><Created>` + created + `</Created></UsernameToken></Security></s:Header>`
}

// soap posts one operation, such as "tds:GetScopes", with what is in it.
func soap(t testing.TB, d *Device, header, op, inner string, headers ...string) string {
	t.Helper()
	body := `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:tds="` + deviceNS + `" xmlns:trt="` + mediaNS + `" xmlns:tr2="` + media2NS + `">` + header +
		`<s:Body><` + op + `>` + inner + `</` + op + `></s:Body></s:Envelope>`
	port := "http"
	if d.face.Has("onvif") {
		port = "onvif"
	}
	head := append([]string{"POST " + d.face.ONVIF.Device + " HTTP/1.1", "Host: x", "Content-Length: " + strconv.Itoa(len(body)), "Connection: close"}, headers...)
	return say(t, d, port, strings.Join(head, "\r\n")+"\r\n\r\n"+body)
}

// signed is a login that the device takes, by its own clock.
func (d *Device) signed() string { return token(password, d.clock(), !d.face.ONVIF.NoMustUnderstand) }

// TestFacesOnTheWire compares everything that each face says with what it said
// when somebody last looked: testdata/NAME.golden, written anew by -update.
func TestFacesOnTheWire(t *testing.T) {
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 14 {
		t.Errorf("%d faces", len(all))
	}
	for _, f := range all {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			got := transcript(t, wear(t, f))
			path := filepath.Join("testdata", f.Name+".golden")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("differs from %s; see the difference by -update and git diff. Got:\n%s", path, got)
			}
		})
	}
}

func transcript(t *testing.T, d *Device) string {
	var b strings.Builder
	note := func(what, got string) { fmt.Fprintf(&b, "== %s\n%s\n", what, steady(d, got)) }
	for _, port := range []string{"http", "https"} {
		if !d.face.Has(port) {
			continue
		}
		for _, p := range d.face.Web.Pages {
			if p.Method == "401" || port == "https" && p.Path != "/" {
				continue
			}
			path := strings.ReplaceAll(p.Path, "*", "?x=1")
			got := get(t, d, port, p.Method, path)
			note(port+" "+p.Method+" "+path, got)
			if p.Login {
				note("with login", get(t, d, port, p.Method, path, login(got, p.Method, path, password)))
			}
		}
		note(port+" GET /nothing", get(t, d, port, "GET", "/nothing"))
	}
	if d.face.Has("https") {
		c, err := tls.Dial("tcp", d.at("https"), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		cert := c.ConnectionState().PeerCertificates[0]
		note("certificate", cert.Subject.String()+"\nissued by "+cert.Issuer.String())
		c.Close()
	}
	inquiries := map[string][]byte{
		"wsdiscovery": probe(""),
		"sadp":        []byte(`<?xml version="1.0"?><Probe><Uuid>13A888A9</Uuid><Types>inquiry</Types></Probe>`),
		"dhip":        dhip(`{"method":"DHDiscover.search","params":{"mac":"","uni":1}}`),
		"ssdp":        search("ssdp:all"),
	}
	for _, protocol := range []string{"wsdiscovery", "sadp", "dhip", "ssdp"} {
		packet := inquiries[protocol]
		if d.answer(protocol) == nil {
			continue
		}
		note(protocol, ask(t, d, protocol, packet, 5*time.Second))
	}
	if d.face.ONVIF.Device != "" {
		for _, op := range []string{
			"tds:GetSystemDateAndTime", "tds:GetServices", "tds:GetCapabilities", "tds:GetHostname", "tds:GetDeviceInformation", "tds:GetScopes",
			"tds:GetNetworkInterfaces", "trt:GetProfiles", "trt:GetVideoSources", "trt:GetStreamUri", "trt:GetSnapshotUri",
			"tr2:GetProfiles", "tr2:GetStreamUri", "tr2:GetSnapshotUri",
		} {
			note(op, soap(t, d, d.signed(), op, "<ProfileToken>"+d.face.ONVIF.Tokens[0]+"</ProfileToken>"))
		}
	}
	return b.String()
}

// steady replaces what differs from run to run.
func steady(d *Device, s string) string {
	if head, body, _ := strings.Cut(s, "\r\n\r\n"); len(body) > 64<<10 {
		return fmt.Sprintf("%q\n\n(%d bytes or so that begin %q)", head[:strings.Index(head, "Content-Length")], len(body)&^0xffff, body[:2])
	}
	for _, p := range d.ports {
		s = regexp.MustCompile(`\b`+strconv.Itoa(p.Number)+`\b`).ReplaceAllString(s, "PORT-"+p.Name)
	}
	for pattern, by := range map[string]string{
		`(nonce=")[^"]*"`: `${1}NONCE"`,
		`\w{3}, (\d\d \w{3}|\w{3} \d\d) \d{4} [\d:]{8} GMT`: "DATE",
		`(<BootTime>)[^<]*`:                             "${1}DATE",
		`(<tt:(Hour|Minute|Second|Year|Month|Day)>)\d+`: "${1}N",
		"\r\n": "\n",
	} {
		s = regexp.MustCompile(pattern).ReplaceAllString(s, by)
	}
	head, body, ok := strings.Cut(s, "\n\n")
	if ok && (strings.HasPrefix(body, "\x00\x00\x01\x00") || strings.HasPrefix(body, "\xff\xd8")) {
		s = head + fmt.Sprintf("\n\n(a picture that begins %x)", body[:4])
	}
	if strings.HasPrefix(s, "\x20\x00\x00\x00DHIP") {
		s = fmt.Sprintf("%x\n%s", s[:16], s[32:]) // the lengths change with the port's digits
	}
	s = regexp.MustCompile(`Content-Length: \d+`).ReplaceAllString(s, "Content-Length: N")
	if !utf8.ValidString(s) {
		return fmt.Sprintf("%q", s)
	}
	return s
}

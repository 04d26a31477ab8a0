package faces

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

func TestLogins(t *testing.T) {
	hik, xm, hanwha, axis := wear(t, named(t, "hikvision-rebrand")), wear(t, named(t, "xiongmai")), wear(t, named(t, "hanwha")), wear(t, named(t, "axis"))
	now := time.Now()
	behind := now.Add(-73 * time.Minute) // the clock of that camera
	for _, tt := range []struct {
		name, header, op string
		d                *Device
		status           int
		want             string
	}{
		{"no login", "", "tds:GetDeviceInformation", hik, 400, "ter:NotAuthorized"},
		{"wrong password", token("guess", behind, true), "tds:GetDeviceInformation", hik, 400, "ter:NotAuthorized"},
		{"wrong password, another maker's status", token("guess", now, true), "tds:GetDeviceInformation", hanwha, 401, "ter:NotAuthorized"},
		{"right by our clock, which is not the camera's", token(password, now, true), "tds:GetDeviceInformation", hik, 400, "ter:NotAuthorized"},
		{"right by the camera's clock", token(password, behind, true), "tds:GetDeviceInformation", hik, 200, "TV-IP1328PI"},
		{"the time needs no login", "", "tds:GetSystemDateAndTime", hik, 200, "UTCDateTime"},
		{"must understand what it cannot", token(password, now, true), "tds:GetDeviceInformation", xm, 500, ":MustUnderstand<"},
		{"need not understand", token(password, now, false), "tds:GetDeviceInformation", xm, 200, "XM530_80X50_8M"},
		{"asks for no login at all", "", "trt:GetStreamUri", xm, 200, "stream=0.sdp"},
		{"no snapshot", "", "trt:GetSnapshotUri", xm, 500, "ter:ActionNotSupported"},
		{"unknown operation", hanwha.signed(), "tds:GetUsers", hanwha, 500, "ter:ActionNotSupported"},
		{"no such media service", hik.signed(), "tr2:GetProfiles", hik, 500, "ter:ActionNotSupported"},
		{"HTTP digest is offered", "", "tds:GetDeviceInformation", axis, 401, `WWW-Authenticate: Digest realm="AXIS_`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := soap(t, tt.d, tt.header, tt.op, "<ProfileToken>"+tt.d.face.ONVIF.Tokens[0]+"</ProfileToken>")
			if !strings.HasPrefix(got, fmt.Sprintf("HTTP/1.1 %d ", tt.status)) || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want status %d and %q", got, tt.status, tt.want)
			}
		})
	}
	if got := soap(t, xm, "", "tds:GetUsers", ""); got != "" {
		t.Errorf("unknown operation: got %q, want the connection closed", got)
	}
	if got := soap(t, hanwha, hanwha.signed(), "trt:GetStreamUri", "<ProfileToken>nobody</ProfileToken>"); !strings.Contains(got, "ter:NoProfile") {
		t.Errorf("unknown profile: %q", got)
	}
	refusal := soap(t, axis, "", "tds:GetScopes", "")
	if got := soap(t, axis, "", "tds:GetScopes", "", login(refusal, "POST", "/onvif/device_service", password)); !strings.Contains(got, "AXIS%20P3275-LVE") {
		t.Errorf("with HTTP digest: %q", got)
	}
	page := get(t, axis, "http", "GET", "/axis-cgi/param.cgi?action=list")
	if got := get(t, axis, "http", "GET", "/axis-cgi/param.cgi?action=list", login(page, "GET", "/axis-cgi/param.cgi?action=list", "guess")); !strings.HasPrefix(got, "HTTP/1.1 401 ") {
		t.Errorf("page with a wrong password: %q", got)
	}
	snap := get(t, axis, "http", "GET", snapshotPath)
	if got := get(t, axis, "http", "GET", snapshotPath, login(snap, "GET", snapshotPath, password)); !strings.Contains(got, "\r\n\r\n\xff\xd8\xff") {
		t.Errorf("snapshot: %.200q", got)
	}
}

func TestProbes(t *testing.T) {
	const nvt, dev, both = "net:NetworkVideoTransmitter", "dev:Device", "net:NetworkVideoTransmitter dev:Device"
	for _, tt := range []struct {
		face, types string
		answers     bool
	}{
		{"hikvision", nvt, true},
		{"hikvision", dev, true},
		{"hikvision", both, true},
		{"hikvision", "", true},
		{"hikvision", "net:Printer", false},
		{"bosch", nvt, true},
		{"bosch", dev, true},
		{"bosch", both, false}, // refuses the joint form
		{"tp-link", nvt, true},
		{"tp-link", dev, false}, // is not that
		{"printer", dev, false},
		{"printer", "", true},
	} {
		d := wear(t, named(t, tt.face))
		got := d.probeMatch(probe(tt.types))
		if (got != nil) != tt.answers || got != nil && !strings.Contains(string(got), "uuid:0f1e2d3c") {
			t.Errorf("%s asked for %q: answers %q, want an answer: %t", tt.face, tt.types, got, tt.answers)
		}
	}
}

// TestOnlyInquiries: what changes a device gets no answer, nor does garbage.
func TestOnlyInquiries(t *testing.T) {
	hik, dahua := wear(t, named(t, "hikvision")), wear(t, named(t, "dahua"))
	short := dhip(`{"method":"DHDiscover.search"}`)
	for _, tt := range []struct {
		name, protocol string
		d              *Device
		packet         []byte
	}{
		{"SADP update", "sadp", hik, []byte(`<Probe><Uuid>1</Uuid><Types>update</Types><MAC>x</MAC><Password>x</Password></Probe>`)},
		{"SADP activate", "sadp", hik, []byte(`<Probe><Uuid>1</Uuid><Types>activate</Types></Probe>`)},
		{"SADP of no type", "sadp", hik, []byte(`<Probe><Uuid>1</Uuid></Probe>`)},
		{"not XML", "sadp", hik, []byte("\x00\x01\x02")},
		{"half of XML", "wsdiscovery", hik, probe("")[:200]},
		{"a Bye", "wsdiscovery", hik, []byte(strings.ReplaceAll(string(probe("")), "d:Probe", "d:Bye"))},
		{"DHIP configuration", "dhip", dahua, dhip(`{"method":"DHDiscover.setConfig","params":{}}`)},
		{"DHIP cut short", "dhip", dahua, short[:len(short)-1]},
		{"DHIP head alone", "dhip", dahua, short[:20]},
		{"DHIP of another magic", "dhip", dahua, append([]byte("\x20\x00\x00\x00XHIP"), short[8:]...)},
		{"nothing", "dhip", dahua, nil},
	} {
		if got := tt.d.answer(tt.protocol)(tt.packet); got != nil {
			t.Errorf("%s: answered %q", tt.name, got)
		}
	}
}

func TestAnnouncements(t *testing.T) {
	axis, router, printer := wear(t, named(t, "axis")), wear(t, named(t, "router")), wear(t, named(t, "printer"))
	for _, tt := range []struct {
		name, protocol string
		d              *Device
		packet         []byte
		want           string // "" is silence
	}{
		{"SSDP, everything", "ssdp", axis, search("ssdp:all"), "/rootdesc1.xml"},
		{"SSDP, its type", "ssdp", router, search("urn:schemas-upnp-org:device:InternetGatewayDevice:1"), "ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n"},
		{"SSDP, another type", "ssdp", router, search("urn:schemas-upnp-org:device:MediaServer:1"), ""},
		{"SSDP, a notice", "ssdp", router, []byte("NOTIFY * HTTP/1.1\r\nNTS: ssdp:alive\r\n\r\n"), ""},
		{"mDNS, its service", "mdns", axis, question(t, "_axis-video._tcp.local."), "macaddress=B8A44F"},
		{"mDNS, all services", "mdns", printer, question(t, "_services._dns-sd._udp.local."), "_ipp"},
		{"mDNS, another service", "mdns", printer, question(t, "_axis-video._tcp.local."), ""},
		{"mDNS, cut short", "mdns", axis, question(t, "_axis-video._tcp.local.")[:11], ""},
	} {
		got := string(tt.d.answer(tt.protocol)(tt.packet))
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s: answered %q, want %q", tt.name, got, tt.want)
		}
	}
	var m dnsmessage.Message
	if err := m.Unpack([]byte(ask(t, axis, "mdns", question(t, "_axis-video._tcp.local."), 5*time.Second))); err != nil || m.ID != 7 || len(m.Answers) != 1 || len(m.Additionals) != 3 {
		t.Errorf("%v: %+v", err, m)
	}
	if a, ok := m.Additionals[2].Body.(*dnsmessage.AResource); !ok || a.A != [4]byte{127, 0, 0, 1} {
		t.Errorf("address %+v", m.Additionals[2])
	}
	page := get(t, axis, "http", "GET", "/rootdesc1.xml")
	if !strings.Contains(page, "<manufacturer>AXIS</manufacturer>") {
		t.Errorf("description %q", page)
	}
}

// TestMulticast asks everybody at once, on loopback.
func TestMulticast(t *testing.T) {
	hik, dahua := wear(t, named(t, "hikvision")), wear(t, named(t, "dahua"))
	crowd, err := Gather([]*Device{hik, dahua})
	if err != nil {
		t.Skipf("no multicast on loopback: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { crowd.Run(ctx); close(done) }()
	defer func() { stop(); <-done }()
	for _, tt := range []struct {
		protocol string
		packet   []byte
		from     []*Device
	}{
		{"wsdiscovery", probe("dev:Device"), []*Device{hik, dahua}},
		{"sadp", []byte(`<Probe><Uuid>1</Uuid><Types>inquiry_v32</Types></Probe>`), []*Device{hik}},
		{"dhip", dhip(`{"method":"DHDiscover.search"}`), []*Device{dahua}},
		{"ssdp", search("upnp:rootdevice"), []*Device{hik}},
	} {
		// A socket of 127.0.0.1 sends multicast by the loopback interface.
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		to := netip.AddrPortFrom(group(tt.protocol), uint16(protocols()[tt.protocol]))
		if _, err := c.WriteToUDPAddrPort(tt.packet, to); err != nil {
			t.Skipf("cannot send multicast by loopback: %v", err)
		}
		want := map[string]bool{}
		for _, d := range tt.from {
			want[d.at(tt.protocol)] = true
		}
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		buf := make([]byte, 9000)
		for len(want) > 0 { // a town that runs beside the test may answer, too
			_, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				t.Fatalf("%s: no answer from %v: %v", tt.protocol, want, err)
			}
			delete(want, from.String())
		}
	}
}

// TestHostileRequests: whoever misbehaves is hung up on; the next is served.
func TestHostileRequests(t *testing.T) {
	d := wear(t, named(t, "hikvision"))
	for name, text := range map[string]string{
		"not HTTP":               "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
		"endless header":         "GET / HTTP/1.1\r\nX: " + strings.Repeat("a", 100<<10),
		"endless list of them":   "GET / HTTP/1.1\r\n" + strings.Repeat("X: a\r\n", 20<<10),
		"a length that lies":     "POST /onvif/device_service HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
		"a body without an end":  "POST /onvif/device_service HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n" + strings.Repeat("<a>", 30<<10),
		"many elements, nested":  "POST /onvif/device_service HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3000\r\n\r\n" + strings.Repeat("<a>", 1000),
		"entities that multiply": "POST /onvif/device_service HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 58\r\n\r\n" + `<!DOCTYPE a [<!ENTITY b "bbbbbbbbbbbbbbbbb">]><a>&b;&b;</a>`,
	} {
		c, err := net.Dial("tcp", d.at("http"))
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		_, _ = io.WriteString(c, text) // it may hang up first
		answer, err := io.ReadAll(c)
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			t.Errorf("%s: still connected after %q", name, answer)
		}
		if strings.HasPrefix(string(answer), "HTTP/1.1 2") {
			t.Errorf("%s: answered %q", name, answer)
		}
		c.Close()
	}
	if got := get(t, d, "http", "GET", "/"); !strings.HasPrefix(got, "HTTP/1.1 200 OK") {
		t.Errorf("afterwards: %q", got)
	}
}

// TestKeepAlive asks twice on one connection, as browsers do.
func TestKeepAlive(t *testing.T) {
	d := wear(t, named(t, "hikvision"))
	c, err := net.Dial("tcp", d.at("http"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	r := bufio.NewReader(c)
	for range 2 {
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		a, err := http.ReadResponse(r, nil)
		if err != nil || a.StatusCode != 200 || a.Header.Get("Server") != "App-webs/" {
			t.Fatalf("%+v, %v", a, err)
		}
		_, _ = io.Copy(io.Discard, a.Body)
	}
}

// TestWithoutEnd: slow and endless answers go on until one hangs up, and end
// with the device.
func TestWithoutEnd(t *testing.T) {
	d := wear(t, named(t, "drip"))
	c, err := net.Dial("tcp", d.at("flood"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, err := io.CopyN(io.Discard, c, 4<<20); err != nil {
		t.Errorf("flood of %d bytes: %v", n, err)
	}
	slow, err := net.Dial("tcp", d.at("drip"))
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	_ = slow.SetReadDeadline(time.Now().Add(5 * time.Second))
	start := time.Now()
	if _, err := io.ReadFull(slow, make([]byte, 4)); err != nil || time.Since(start) < 400*time.Millisecond {
		t.Errorf("4 bytes in %v, %v", time.Since(start), err)
	}
}

// TestEnd: a device that ends hangs up on who is connected, and waits for nobody.
func TestEnd(t *testing.T) {
	f := named(t, "mute")
	d, err := Dress(Options{Face: f, Host: netip.MustParseAddr("127.0.0.1"), Shared: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { d.Run(ctx); close(done) }()
	c, err := net.Dial("tcp", d.at("quiet"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "hello?"); err != nil {
		t.Fatal(err)
	}
	stop()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Fatal("Run did not return")
	}
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, err := c.Read(make([]byte, 1)); err == nil {
		t.Errorf("read %d bytes of a silent device", n)
	}
}

func TestTruthDiffers(t *testing.T) {
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for _, f := range all {
		for n := range 300 {
			tr := f.Truth(n)
			if other := seen[tr.MAC]; other != "" || strings.Contains(tr.Serial+tr.MAC, "#") {
				t.Errorf("%s %d: serial %q, address %s, which %q has too", f.Name, n, tr.Serial, tr.MAC, other)
			}
			seen[tr.MAC] = f.Name
			if again := f.Truth(n); again != tr {
				t.Errorf("%s %d is not itself: %+v, %+v", f.Name, n, tr, again)
			}
		}
	}
}

func TestParseNamesWhatIsWrong(t *testing.T) {
	const truth = "-- truth --\nkind: camera\nmac: 02:00:00:00:00:01\n"
	for text, want := range map[string]string{
		truth + "-- shoes --\n":                                      `section "shoes": no such section`,
		truth + "colour: red\n":                                      `key "colour"`,
		truth + "-- ports --\nhttp: eighty\n":                        `port "eighty"`,
		truth + "-- ports --\nhttps: 443\n":                          "without a certificate",
		truth + "-- ports --\nrtsp: 554\n":                           "RTSP port without",
		truth + "-- http GET --\n":                                   "want http METHOD PATH",
		truth + "-- http GET / --\nhello\n\n":                        "want a status line",
		truth + "-- http GET / login --\nHTTP/1.1 200 OK\n\nhello\n": "without a challenge",
		truth + "-- onvif --\nquirks: shy\n":                         `quirk "shy"`,
		truth + "-- onvif --\nskew: long\n":                          "invalid duration",
		truth + "-- onvif --\ndevice: /x\n":                          "without two tokens",
		"-- truth --\nbrand: Nobody\n":                               "want at least kind",
	} {
		if _, err := Parse("01-x", text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q) = %v, want %q in it", text, err, want)
		}
	}
}

func FuzzMessage(f *testing.F) {
	f.Add(probe("net:NetworkVideoTransmitter"))
	f.Add([]byte(`<Probe><Uuid>1</Uuid><Types>inquiry</Types></Probe>`))
	f.Add([]byte(`<s:Envelope xmlns:s="x"><s:Header>` + token(password, time.Unix(0, 0), true) + `</s:Header><s:Body><a/></s:Body></s:Envelope>`))
	f.Add(dhip(`{"method":"DHDiscover.search"}`))
	f.Add(search("ssdp:all"))
	f.Add(question(f, "_axis-video._tcp.local."))
	all, err := All()
	if err != nil {
		f.Fatal(err)
	}
	var devices []*Device
	for _, face := range all {
		d, err := Dress(Options{Face: face, Host: netip.MustParseAddr("127.0.0.1"), User: user, Password: password})
		if err != nil {
			f.Fatal(err)
		}
		devices = append(devices, d)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, d := range devices {
			for protocol := range protocols() {
				if answer := d.answer(protocol); answer != nil {
					answer(b)
				}
			}
			if d.face.ONVIF.Device != "" {
				d.soap(&http.Request{Header: http.Header{}}, b)
			}
		}
	})
}

func FuzzAuthorization(f *testing.F) {
	f.Add(`Digest username="watch", realm="r", nonce="n", uri="/", response="0", qop=auth, nc=1, cnonce="c"`)
	f.Add(`Basic d2F0Y2g6`)
	l := Login{User: user, Password: password, Realm: "r", Challenges: []string{`Basic realm="{realm}"`, `Digest realm="{realm}", nonce="{nonce}"`}}
	f.Fuzz(func(t *testing.T, header string) {
		if l.Allows("GET", header, "n") && !strings.HasPrefix(strings.ToLower(header), "basic ") {
			t.Errorf("%q gets in", header) // nobody guesses a digest
		}
	})
}

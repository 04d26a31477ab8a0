package identify

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/identify/fingerprints"
	"github.com/watchward/watchward/internal/identify/makers"
	"github.com/watchward/watchward/internal/identify/samples"
)

func seen(kind, value string) estate.Evidence {
	return estate.Evidence{ID: kind, Kind: kind, Value: value}
}

func TestFrom(t *testing.T) {
	e := defaultEngine(t)
	realm := seen(KindRTSPAuthenticate, `Digest realm="IP Camera(C1214)", nonce="0"`)
	dahua := seen(KindHTTPAuthenticate, `Digest realm="Login to 2A00559PAE00000", nonce="0"`)
	path := seen(KindRTSPPath, "/cam/realmonitor?channel=1&subtype=0")
	badge := seen(KindONVIFDeviceInformation, "<Manufacturer>TRENDnet</Manufacturer><Model>TV-IP100</Model>")
	for _, tt := range []struct {
		name             string
		evidence         []estate.Evidence
		maker, brand     string
		want             estate.Confidence
		badge, conflicts bool
	}{
		{"nothing was seen", nil, "", "", estate.Unknown, false, false},
		{"one signal that settles it", []estate.Evidence{realm}, "Hikvision", "", estate.Identified, false, false},
		{"one strong signal hints", []estate.Evidence{path}, "Dahua", "", estate.Hint, false, false},
		{"a second of another family makes it likely", []estate.Evidence{path, seen(KindWSDiscoveryScopes, "onvif://www.onvif.org/extension/unique_identifier")}, "Dahua", "", estate.VeryLikely, false, false},
		{"a second of the same family does not", []estate.Evidence{path, seen(KindONVIFStreamURI, "<Uri>rtsp://192.0.2.1/cam/realmonitor?channel=2</Uri>")}, "Dahua", "", estate.Hint, false, false},
		{"its own hardware address confirms", []estate.Evidence{path, seen(KindMAC, "38:AF:29:00:00:01")}, "Dahua", "", estate.VeryLikely, false, false},
		{"so does that of a brand that it makes most of", []estate.Evidence{path, seen(KindMAC, "9C:8E:CD:00:00:01")}, "Dahua", "Amcrest", estate.VeryLikely, false, false},
		{"a hardware address alone hints", []estate.Evidence{seen(KindMAC, "38:AF:29:00:00:01")}, "Dahua", "", estate.Hint, false, false},
		{"an address that software made up says nothing", []estate.Evidence{seen(KindMAC, "3A:AF:29:00:00:01")}, "", "", estate.Unknown, false, false},
		{"a badge alone", []estate.Evidence{seen(KindONVIFDeviceInformation, "<Manufacturer>AXIS</Manufacturer>")}, "Axis", "Axis", estate.Hint, true, false},
		{"a badge that another mostly makes", []estate.Evidence{seen(KindONVIFDeviceInformation, "<Manufacturer>Amcrest</Manufacturer>")}, "Dahua", "Amcrest", estate.Hint, true, false},
		{"such a badge confirms what the firmware says", []estate.Evidence{seen(KindWSDiscoveryScopes, "onvif://www.onvif.org/name/CPPLUS onvif://www.onvif.org/extension/unique_identifier/1")}, "Dahua", "CP Plus", estate.VeryLikely, false, false},
		{"the firmware outweighs the badge", []estate.Evidence{badge, realm}, "Hikvision", "TRENDnet", estate.Identified, false, false},
		{"a badge nobody knows is shown", []estate.Evidence{seen(KindONVIFDeviceInformation, "<Manufacturer>Acme Vision</Manufacturer>")}, "", "Acme Vision", estate.Unknown, false, false},
		{"a name that is none", []estate.Evidence{seen(KindONVIFDeviceInformation, "<Manufacturer>H264</Manufacturer>")}, "", "", estate.Unknown, false, false},
		{"the same bytes do not confirm themselves", []estate.Evidence{seen(KindHTTPTitle, "AXIS")}, "Axis", "Axis", estate.Hint, false, false},
		{"two makers' settling signals", []estate.Evidence{realm, dahua}, "", "", estate.Unknown, false, true},
		{"two makers' strong signals", []estate.Evidence{path, seen(KindRTSPPath, "/Streaming/Channels/101")}, "", "", estate.Unknown, false, true},
		{"a settling signal against a strong one", []estate.Evidence{realm, path}, "Hikvision", "", estate.Identified, false, true},
		{"a false friend", []estate.Evidence{seen(KindRTSPSDP, "v=0\r\na=Media_header:MEDIAINFO=494D4B48010100000400;\r\n")}, "", "", estate.Unknown, false, false},
		{"a printer of a maker of cameras", []estate.Evidence{seen(KindSNMPSysDescr, "Canon Network Printer Board-E1")}, "", "", estate.Unknown, false, false},
		{"a router of a maker of cameras", []estate.Evidence{seen(KindHTTPAuthenticate, `Basic realm="TP-LINK Wireless AP WR702N"`)}, "", "", estate.Unknown, false, false},
		{"a kind nobody described is searched as what it looks like", []estate.Evidence{seen("novel", "RTSP/1.0 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"IP Camera(C1214)\"\r\n\r\n")}, "Hikvision", "", estate.Identified, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := e.From(tt.evidence, time.Time{})
			if got.MakerName != tt.maker || got.Brand != tt.brand && tt.brand != "" || got.Confidence != tt.want || got.BadgeOnly != tt.badge || len(got.Conflicts) > 0 != tt.conflicts {
				t.Errorf("got %+v\nwant maker %q, brand %q, %s, badge only %t, conflicts %t", got, tt.maker, tt.brand, tt.want, tt.badge, tt.conflicts)
			}
			if got.Data == "" || got.Confidence != estate.Unknown && len(got.Because) == 0 {
				t.Errorf("got %+v without its data or reasons", got)
			}
			slices.Reverse(tt.evidence)
			if again := e.From(tt.evidence, time.Time{}); again.Maker != got.Maker || again.Confidence != got.Confidence {
				t.Errorf("in another order: %+v, was %+v", again, got)
			}
		})
	}
}

func TestFromTellsWhatTheDeviceSays(t *testing.T) {
	got := defaultEngine(t).From([]estate.Evidence{
		seen(KindONVIFDeviceInformation, "<Manufacturer>ONVIF</Manufacturer><Model>ENP1A14</Model><FirmwareVersion>V5.5.3 build 180822</FirmwareVersion><SerialNumber>ENP1A1420190430AAWRD14878498W</SerialNumber>"),
		seen(KindRTSPAuthenticate, `Digest realm="IP Camera(C1214)"`),
	}, time.Time{})
	if got.Model != "ENP1A14" || got.Firmware != "V5.5.3 build 180822" || got.Serial != "ENP1A1420190430AAWRD14878498W" || got.Kind != estate.KindCamera || got.Maker != "hikvision" {
		t.Errorf("got %+v", got)
	}
	if got.Because[0].Grade != "A" || got.Because[0].Evidence == "" || got.Because[0].Source == "" {
		t.Errorf("reasons %+v: want the strongest first, citing its evidence and source", got.Because)
	}
}

func TestFromPrefersWhatSaysTheModelBest(t *testing.T) {
	e := defaultEngine(t)
	scope := seen(KindWSDiscoveryScopes, "onvif://www.onvif.org/hardware/F0005A43")
	info := seen(KindONVIFDeviceInformation, "<Manufacturer>Bosch</Manufacturer><Model>DINION IP 6000i</Model>")
	if got := e.From([]estate.Evidence{scope, info}, time.Time{}); got.Model != "DINION IP 6000i" {
		t.Errorf("model %q", got.Model)
	}
	if got := e.From([]estate.Evidence{scope}, time.Time{}); got.Model != "F0005A43" || got.MakerName != "Bosch" {
		t.Errorf("model %q, maker %q", got.Model, got.MakerName)
	}
}

// TestFromTakesNoPlaceholderForAModel gives the scope that a maker left as its
// library has it.
func TestFromTakesNoPlaceholderForAModel(t *testing.T) {
	e := defaultEngine(t)
	for _, scopes := range []string{"onvif://www.onvif.org/name/TP-IPC onvif://www.onvif.org/hardware/MODEL", "onvif://www.onvif.org/hardware/unknown"} {
		if got := e.From([]estate.Evidence{seen(KindWSDiscoveryScopes, scopes)}, time.Time{}); got.Model != "" {
			t.Errorf("%s: model %q", scopes, got.Model)
		}
	}
	both := []estate.Evidence{seen(KindWSDiscoveryScopes, "onvif://www.onvif.org/hardware/MODEL"), seen(KindONVIFDeviceInformation, "<Model>Tapo C200</Model>")}
	if got := e.From(both, time.Time{}); got.Model != "Tapo C200" {
		t.Errorf("model %q", got.Model)
	}
}

// TestFromReadsTheBadgeOfToday gives a camera of Hanwha, whose realm is as old as
// the name Samsung.
func TestFromReadsTheBadgeOfToday(t *testing.T) {
	got := defaultEngine(t).From([]estate.Evidence{
		seen(KindRTSPAuthenticate, `Digest realm="iPOLiS", nonce="0"`),
		seen(KindHTTPTitle, "WISENET WEBVIEWER"),
		seen(KindWSDiscoveryScopes, "onvif://www.onvif.org/name/Hanwha%20Vision%20XNV-8083R"),
	}, time.Time{})
	if got.MakerName != "Hanwha" || got.Brand == "Samsung" || got.Brand == "" {
		t.Errorf("got %+v", got)
	}
}

// TestFromSeesThroughALiar gives a device whose every name says Axis, and whose
// firmware does not.
func TestFromSeesThroughALiar(t *testing.T) {
	got := defaultEngine(t).From([]estate.Evidence{
		seen(KindRTSPResponse, "RTSP/1.0 401 Unauthorized\r\nServer: AXIS Media Server\r\nWWW-Authenticate: Digest realm=\"IP Camera(J7713)\", nonce=\"0\", stale=\"FALSE\"\r\n\r\n"),
		seen(KindHTTPTitle, "AXIS P3265-LV"),
		seen(KindWSDiscoveryScopes, "onvif://www.onvif.org/hardware/P3265-LV onvif://www.onvif.org/name/AXIS%20P3265-LV"),
		seen(KindONVIFStreamURI, "<Uri>rtsp://192.0.2.1/axis-media/media.amp</Uri>"),
	}, time.Time{})
	if got.MakerName != "Hikvision" || got.Confidence != estate.Identified || got.Brand != "Axis" || len(got.Conflicts) == 0 {
		t.Errorf("got %+v", got)
	}
}

func TestFromKnowsDates(t *testing.T) {
	e := defaultEngine(t)
	badge := []estate.Evidence{seen(KindONVIFDeviceInformation, "<Manufacturer>Amcrest</Manufacturer>")}
	if got := e.From(badge, time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC)); got.Maker == "dahua" {
		t.Errorf("in 2010, before the contract: %+v", got)
	}
	if got := e.From(badge, time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)); got.Maker != "dahua" {
		t.Errorf("in 2020: %+v", got)
	}
}

func TestFromCleansWhatItShows(t *testing.T) {
	got := defaultEngine(t).From([]estate.Evidence{
		seen(KindONVIFDeviceInformation, "<Manufacturer>Ac\x1b[31mme\u202e</Manufacturer><Model>"+strings.Repeat("x", 5000)+"</Model>"),
		seen(KindHTTPServer, "uc-httpd\r\n\x00\x07 1.0"),
	}, time.Time{})
	for _, s := range []string{got.Brand, got.Model, got.Because[0].Saw} {
		if len(s) > 200 || strings.ContainsAny(s, "\x1b\r\n\x00\x07\u202e") {
			t.Errorf("shows %q", s)
		}
	}
}

func TestFromAlone(t *testing.T) {
	got, err := From([]estate.Evidence{seen(KindHTTPServer, "Hikvision-Webs")})
	if err != nil || got.MakerName != "Hikvision" || got.Confidence != estate.Identified {
		t.Errorf("From = %+v, %v", got, err)
	}
}

func TestNewRefuses(t *testing.T) {
	graph, err := makers.Load()
	if err != nil {
		t.Fatal(err)
	}
	set, err := fingerprints.Load()
	if err != nil {
		t.Fatal(err)
	}
	prints, err := fingerprints.Parse("nobody", []byte("[x]\nlook text\nmatch x\ngrade B\nfamily web\nsource s\nyes text x\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, data := range []Data{{}, {Makers: graph}, {Fingerprints: set}, {Fingerprints: set.With("x", prints, nil), Makers: graph}, {Fingerprints: set.With("x", nil, []fingerprints.Prefix{{Bits: "001122", Maker: "nobody"}}), Makers: graph}} {
		if _, err := New(data); err == nil {
			t.Errorf("New(%v) is content", data)
		}
	}
}

// TestEveryKindHasAReader holds each reader to silence about nothing.
func TestEveryKindHasAReader(t *testing.T) {
	for kind, read := range readers {
		o := &observations{}
		read(o, "")
		if len(o.list) != 0 {
			t.Errorf("%s: an empty value says %v", kind, o.list)
		}
	}
}

// TestReferenceNamesEveryKind keeps docs/reference/identify.md in step: its kinds
// and families are contracts.
func TestReferenceNamesEveryKind(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "reference", "identify.md"))
	if err != nil {
		t.Fatal(err)
	}
	for kind := range readers {
		_, rest, _ := strings.Cut(kind, "-")
		if !strings.Contains(string(page), "`"+kind+"`") && !strings.Contains(string(page), "`-"+rest+"`") {
			t.Errorf("docs/reference/identify.md does not name the kind %q", kind)
		}
	}
	for _, f := range defaultEngine(t).Data().Fingerprints.All() {
		if !strings.Contains(string(page), "`"+f.Family+"`") {
			t.Errorf("docs/reference/identify.md does not name the family %q", f.Family)
		}
	}
}

// TestSamples holds the promise of the issue on the shared samples. The numbers
// themselves are printed by make bench-identify.
func TestSamples(t *testing.T) {
	shared := os.Getenv("WATCHWARD_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "..", "..", "shared")
	}
	folder := filepath.Join(shared, "samples")
	if _, err := os.Stat(filepath.Join(folder, "index.csv")); err != nil {
		t.Skipf("no shared samples: %v", err)
	}
	e := defaultEngine(t)
	video, named, asserted := 0, 0, 0
	err := samples.Read(os.DirFS(folder), "index.csv", func(s samples.Sample, err error) error {
		if err != nil {
			t.Error(err)
			return nil
		}
		got := e.From([]estate.Evidence{s.Evidence}, time.Time{})
		truth := s.Row["true_maker"]
		above := got.Confidence.Rank() > estate.Hint.Rank()
		known := truth != "unknown" && truth != "n/a" && s.Row["device_class"] != "non-camera"
		if above && (!known || got.MakerName != truth) {
			t.Errorf("%s: %q asserted, is %q: %+v", s.ID, got.MakerName, truth, got.Because)
		}
		if known {
			video++
			if got.MakerName == truth {
				named++
				if above {
					asserted++
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if named*100 < video*90 || asserted*100 < video*60 {
		t.Errorf("of %d: %d named, %d asserted: want 90%% and 60%%", video, named, asserted)
	}
}

func TestObserve(t *testing.T) {
	for _, tt := range []struct{ kind, value, want string }{
		{KindRTSPResponse, "RTSP/1.0 401 Unauthorized\r\nServer: x\r\nWWW-Authenticate: Digest realm=\"a\"\r\nWWW-Authenticate: Basic realm=b\r\n\r\n", "rtsp.server=x rtsp.realm=a rtsp.realm=b"},
		{KindRTSPAuthenticate, `WWW-Authenticate: Digest realm="4419b6000001"`, "rtsp.realm=4419b6000001 mac=4419B6000001"},
		{KindHTTPResponse, "HTTP/1.1 200 OK\nServer: x\n\n\ufeff<html><TITLE lang=en>\n A &amp; B </TITLE>", "http.server=x http.title=A & B"},
		{KindFTPBanner, "220-One\r\n220 Two\r\n", "ftp=One\nTwo"},
		{KindONVIFScopes, "<a:ScopeItem>onvif://www.onvif.org/name/A%20B</a:ScopeItem><ScopeItem>x:y</ScopeItem>", "scope=name/A B scope=x:y"},
		{KindONVIFNetworkInterfaces, "<tt:HwAddress>00-40-8c-00-00-01</tt:HwAddress>", "mac=00408C000001"},
		{KindONVIFStreamURI, "<Uri>rtsp://u:p@192.0.2.1:8554/a?b=1&amp;c=2</Uri>", "uri.port=8554 path=/a?b=1&c=2"},
		{KindISAPIDeviceInfo, `{"DeviceInfo":{"@xmlns":"urn:x","model":"M","macAddress":"00:40:8c:00:00:01"`, "doc.namespace=urn:x doc.model=M mac=00408C000001"},
		{KindISAPIDeviceInfo, "<!DOCTYPE x [<!ENTITY e \"boom\">]><a><![CDATA[x]]><!-- <model>no</model> --><model>&e;M</model></a>", "doc.model=&e;M"},
		{KindMagicBox, "serialNumber=1\r\nvendor=Acme\r\n", "doc.serialnumber=1 doc.vendor=Acme"},
		{KindSNMPWalk, "1.3.6.1.2.1.1.1.0|4|Descr\n.1.3.6.1.2.1.1.2.0 = OID: .1.3.6.1.4.1.368.4.1\n", "snmp.descr=Descr snmp.oid=1.3.6.1.4.1.368.4.1"},
		{KindMAC, "0040.8C00.0001\n", "mac=00408C000001"},
		{KindMAC, "not one", ""},
		{KindOUIRTSPPath, `{"oui":["00:40:8C"],"rtsp_url":"rtsp://{{ip}}:{{port}}/a/{{n}}","default_rtsp_port":"554"}`, "mac=00408C path=/a/{{n}} uri.port=554"},
		{KindTLSCertificate, "subject: CN=a\nissuer: CN=b\n", "tls.subject=CN=a tls.issuer=CN=b"},
		{KindSony2380, "\x02MAC:00-40-8c-00-00-01\xffINFO:x\xffMODEL:M\xff\x03", "doc.model=M proto=sony-2380"},
		{KindUbiquiti10001, "\x01\x00\x00\x09\x14\x00\x06UVC-G3", "proto=ubiquiti-10001 doc.model=UVC-G3"},
		{KindUbiquiti10001, "\x01\x00\x00\x09\x14\xff\xffUVC-G3", "proto=ubiquiti-10001"},
	} {
		list := observe(seen(tt.kind, tt.value))
		at := 0
		for want := range strings.SplitSeq(tt.want, " ") {
			if !strings.Contains(want, "=") {
				continue
			}
			for at < len(list) && !strings.HasPrefix(list[at].field+"="+list[at].value, want) {
				at++
			}
			if at == len(list) {
				t.Errorf("observe(%s, %q) = %v, want %q in it, in order", tt.kind, tt.value, list, want)
				break
			}
		}
	}
}

// hostile are values that are meant to hurt.
func hostile() []string {
	return []string{
		"", "\x00", "<", "<a", "<a b=", "<![CDATA[", "<!--", "{", "[[[[", `{"a":`, "=", ":", "\xff\xfe\xfd",
		strings.Repeat("<a>", 100_000), strings.Repeat("[", 100_000), strings.Repeat(`{"a":`, 50_000),
		strings.Repeat("X: y\r\n", 50_000), "HTTP/1.1 200 OK\r\n\r\n<title>" + strings.Repeat("t", 10<<20),
		"<!DOCTYPE l [<!ENTITY a \"lol\"><!ENTITY b \"&a;&a;&a;\">]><l>&b;</l>",
		strings.Repeat("realm=\"", 20_000), strings.Repeat("a=", 50_000), strings.Repeat("\xff", 100_000),
		"\x01\x00\xff\xff", "\xb3" + strings.Repeat("\x00", 10), "\x99\x39\xa4\x27", "DHIP{", `{"oui":[` + strings.Repeat(`"00408C",`, 10_000),
	}
}

func TestHostileValuesAreBounded(t *testing.T) {
	e := defaultEngine(t)
	for kind := range readers {
		for i, value := range hostile() {
			if list := observe(seen(kind, value)); len(list) > maxObservations+1 {
				t.Errorf("%s: hostile value %d makes %d observations", kind, i, len(list))
			}
		}
	}
	begun := time.Now()
	for _, value := range hostile() {
		e.From([]estate.Evidence{seen(KindHTTPResponse, value), seen("novel", value)}, time.Time{})
	}
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("hostile values took %s", took)
	}
}

// FuzzObserve feeds each reader what nobody expects.
func FuzzObserve(f *testing.F) {
	kinds := make([]string, 0, len(readers))
	for kind := range readers {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	kinds = append(kinds, "novel")
	e := defaultEngine(f)
	for _, print := range e.Data().Fingerprints.All() {
		for _, ex := range append(slices.Clone(print.Yes), print.No...) {
			if i := slices.Index(kinds, ex.Kind); i >= 0 {
				f.Add(uint8(i), ex.Value)
			}
		}
	}
	for i := range kinds {
		f.Add(uint8(i), "<a>{\"b\":1}\r\n\x00")
	}
	f.Fuzz(func(t *testing.T, kind uint8, value string) {
		ev := seen(kinds[int(kind)%len(kinds)], value)
		if list := observe(ev); len(list) > maxObservations+1 {
			t.Fatalf("%d observations", len(list))
		}
		got := e.From([]estate.Evidence{ev}, time.Time{})
		if again := e.From([]estate.Evidence{ev}, time.Time{}); !reflect.DeepEqual(got, again) {
			t.Fatalf("two answers: %+v and %+v", got, again)
		}
		if (got.Maker == "") != (got.Confidence == estate.Unknown) {
			t.Fatalf("maker %q with confidence %s", got.Maker, got.Confidence)
		}
	})
}

package identify

import (
	"strings"
	"unicode/utf8"

	"github.com/watchward/watchward/internal/estate"
)

// Bounds on what one piece of evidence may cost. Each is far above what a device
// says and far below what hurts.
const (
	maxValue        = 64 << 10 // bytes read of a value
	maxObservations = 2000     // of one piece of evidence
	maxObserved     = 8 << 10  // bytes of one observation
)

// observation is one field of a piece of evidence: what fingerprints look at.
// Fields are named in docs/reference/identify.md.
type observation struct{ field, value string }

// observations collects them, within bounds.
type observations struct {
	list []observation
}

func (o *observations) add(field, value string) {
	value = strings.TrimSpace(value)
	if value == "" || len(o.list) >= maxObservations {
		return
	}
	if len(value) > maxObserved {
		value = value[:maxObserved]
	}
	if !utf8.ValidString(value) {
		// As Latin-1, so that patterns and people can read what is there.
		value = latin1(value)
	}
	o.list = append(o.list, observation{field, value})
}

func latin1(s string) string {
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}

// observe reads one piece of evidence. It never fails: what cannot be read in
// its form is still there as text.
func observe(e estate.Evidence) []observation {
	value := e.Value
	if len(value) > maxValue {
		value = value[:maxValue]
	}
	o := &observations{}
	if read, ok := readers[e.Kind]; ok {
		read(o, value)
	} else {
		readUnknown(o, value)
	}
	text := value
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		text = printable(text)
	}
	o.add("text", text)
	return o.list
}

// reader reads values of one kind.
type reader func(o *observations, value string)

// field returns a reader that takes the whole value as one field.
func field(name string) reader {
	return func(o *observations, value string) { o.add(name, value) }
}

// readers says how each kind is read. It does not change.
var readers = map[string]reader{
	KindRTSPResponse:     func(o *observations, v string) { readMessage(o, "rtsp", v) },
	KindRTSPSDP:          readSDP,
	KindRTSPServer:       field("rtsp.server"),
	KindRTSPAuthenticate: func(o *observations, v string) { readAuthenticate(o, "rtsp", v) },
	KindRTSPPath:         readURI,

	KindHTTPResponse:     func(o *observations, v string) { readMessage(o, "http", v) },
	KindHTTPServer:       field("http.server"),
	KindHTTPTitle:        field("http.title"),
	KindHTTPBody:         readBody,
	KindHTTPAuthenticate: func(o *observations, v string) { readAuthenticate(o, "http", v) },
	KindHTTPCookie:       field("http.cookie"),
	KindFaviconMD5:       func(o *observations, v string) { o.add("favicon.md5", strings.ToLower(v)) },
	KindFaviconMMH3:      field("favicon.mmh3"),

	KindTLSSubject:     field("tls.subject"),
	KindTLSIssuer:      field("tls.issuer"),
	KindTLSCertificate: readCertificate,

	KindFTPBanner:    readFTP,
	KindTelnetBanner: field("telnet"),
	KindSSHBanner:    field("ssh"),
	KindSMTPBanner:   field("smtp"),
	KindSIPBanner:    field("sip"),
	KindSIPUserAgent: field("sip"),

	KindSNMPSysDescr:    field("snmp.descr"),
	KindSNMPSysObjectID: readOID,
	KindSNMPWalk:        readWalk,

	KindONVIFDeviceInformation: readDocument,
	KindONVIFScopes:            readDocument,
	KindONVIFCapabilities:      readDocument,
	KindONVIFServices:          readDocument,
	KindONVIFNetworkInterfaces: readDocument,
	KindONVIFStreamURI:         readDocument,
	KindONVIFSnapshotURI:       readDocument,
	KindONVIFProfiles:          readDocument,
	KindONVIFDateAndTime:       readDocument,
	KindONVIFHostname:          readDocument,
	KindWSDiscoveryProbeMatch:  readDocument,
	KindWSDiscoveryHello:       readDocument,
	KindWSDiscoveryScopes:      readScopes,

	KindISAPIDeviceInfo: readDocument,
	KindMagicBox:        readLines,
	KindAxisParam:       readLines,
	KindVendorAPI:       readDocument,
	KindTPLink20002:     readDocument,
	KindUPnPDescription: readDocument,
	KindSSDP:            func(o *observations, v string) { readMessage(o, "ssdp", v) },

	KindSADP:          readSADP,
	KindDHIP:          readDHIP,
	KindDahua5050:     readDahua5050,
	KindHanwha7701:    readHanwha7701,
	KindBosch1757:     readBosch1757,
	KindVivotek10000:  readStrings,
	KindFoscam10000:   readFoscam10000,
	KindSony2380:      readSony2380,
	KindPanasonic:     readPanasonic,
	KindUbiquiti10001: readUbiquiti10001,
	KindXiongmai34569: readXiongmai34569,
	KindArecont:       readStrings,
	KindMDNS:          readStrings,

	KindMAC:             readMAC,
	KindDHCPVendorClass: field("dhcp.vendor"),
	KindHostname:        field("hostname"),
	KindOUIRTSPPath:     readOUIPath,
	KindPort:            field("port"),
}

// readUnknown searches a value of a kind that nobody described: as a document
// where it looks like one, as lines otherwise.
func readUnknown(o *observations, value string) {
	switch trimmed := strings.TrimSpace(value); {
	case strings.HasPrefix(trimmed, "<"), strings.HasPrefix(trimmed, "{"), strings.HasPrefix(trimmed, "["):
		readDocument(o, value)
	case strings.HasPrefix(trimmed, "RTSP/"):
		readMessage(o, "rtsp", value)
	case strings.HasPrefix(trimmed, "HTTP/"):
		readMessage(o, "http", value)
	default:
		readLines(o, value)
	}
}

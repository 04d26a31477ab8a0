package identify

import (
	"maps"
	"slices"
)

// Kinds lists the kinds that are read by their form, sorted.
func Kinds() []string { return slices.Sorted(maps.Keys(readers)) }

// Kinds of evidence: how [estate.Evidence.Value] is to be read. Stored evidence
// names them, so a word here is never given a new meaning. Evidence of a kind
// that is not listed is kept, and searched as plain text.
//
// A value is what came over the wire, as it came, at most 64 KiB of it. Where a
// comment says "or", both forms are read.
const (
	// KindRTSPResponse is a whole RTSP answer: status line, headers, and the SDP
	// where there is one.
	KindRTSPResponse = "rtsp-response"
	// KindRTSPSDP is a session description alone.
	KindRTSPSDP = "rtsp-sdp"
	// KindRTSPServer is the value of an RTSP Server header.
	KindRTSPServer = "rtsp-server"
	// KindRTSPAuthenticate is an RTSP WWW-Authenticate header, with or without
	// its name.
	KindRTSPAuthenticate = "rtsp-www-authenticate"
	// KindRTSPPath is the path of a stream that a device offers or accepts:
	// "/Streaming/Channels/101".
	KindRTSPPath = "rtsp-path"

	// KindHTTPResponse is a whole HTTP answer: status line, headers, and the
	// beginning of the body.
	KindHTTPResponse = "http-response"
	// KindHTTPServer is the value of a Server header.
	KindHTTPServer = "http-server"
	// KindHTTPTitle is the text of a page's title.
	KindHTTPTitle = "http-title"
	// KindHTTPBody is the beginning of a page.
	KindHTTPBody = "http-body"
	// KindHTTPAuthenticate is a WWW-Authenticate header, with or without its name.
	KindHTTPAuthenticate = "http-www-authenticate"
	// KindHTTPCookie is the value of a Set-Cookie header.
	KindHTTPCookie = "http-cookie"
	// KindFaviconMD5 is the MD5 of a favicon's bytes, in hexadecimal.
	KindFaviconMD5 = "http-favicon-md5"
	// KindFaviconMMH3 is the signed 32-bit Murmur3 of its base64 with a newline
	// after every 76 characters and at the end, in decimal: what Shodan computes.
	KindFaviconMMH3 = "http-favicon-mmh3"

	// KindTLSSubject is the subject of a certificate: "CN=…,O=…".
	KindTLSSubject = "tls-subject"
	// KindTLSIssuer is its issuer.
	KindTLSIssuer = "tls-issuer"
	// KindTLSCertificate is a certificate, in PEM or DER, or both names as text.
	KindTLSCertificate = "tls-certificate"

	// KindFTPBanner, KindTelnetBanner, KindSSHBanner and KindSMTPBanner are what
	// the server says first.
	KindFTPBanner    = "ftp-banner"
	KindTelnetBanner = "telnet-banner"
	KindSSHBanner    = "ssh-banner"
	KindSMTPBanner   = "smtp-banner"
	// KindSIPBanner and KindSIPUserAgent are Server and User-Agent of SIP.
	KindSIPBanner    = "sip-banner"
	KindSIPUserAgent = "sip-user-agent"

	// KindSNMPSysDescr is the text of sysDescr, KindSNMPSysObjectID its companion
	// in dotted form, KindSNMPWalk lines of "OID|type|value" or "OID = TYPE: value".
	KindSNMPSysDescr    = "snmp-sysdescr"
	KindSNMPSysObjectID = "snmp-sysobjectid"
	KindSNMPWalk        = "snmp-walk-extract"

	// The answers to ONVIF's calls, as SOAP.
	KindONVIFDeviceInformation = "onvif-getdeviceinformation"
	KindONVIFScopes            = "onvif-getscopes"
	KindONVIFCapabilities      = "onvif-getcapabilities"
	KindONVIFServices          = "onvif-getservices"
	KindONVIFNetworkInterfaces = "onvif-getnetworkinterfaces"
	KindONVIFStreamURI         = "onvif-getstreamuri"
	KindONVIFSnapshotURI       = "onvif-getsnapshoturi"
	KindONVIFProfiles          = "onvif-getprofiles"
	KindONVIFDateAndTime       = "onvif-getsystemdateandtime"
	KindONVIFHostname          = "onvif-gethostname"

	// What WS-Discovery brings, as SOAP; KindWSDiscoveryScopes is the list of
	// scopes alone, separated by white space.
	KindWSDiscoveryProbeMatch = "wsdiscovery-probematch"
	KindWSDiscoveryHello      = "wsdiscovery-hello"
	KindWSDiscoveryScopes     = "wsdiscovery-scopes"

	// KindISAPIDeviceInfo is Hikvision's deviceInfo, XML or JSON, whole or a part.
	KindISAPIDeviceInfo = "isapi-deviceinfo"
	// KindMagicBox is an answer of Dahua's magicBox.cgi: "name=value" lines.
	KindMagicBox = "dahua-magicbox"
	// KindAxisParam is an answer of Axis' param.cgi: "root.Brand.Brand=…" lines.
	KindAxisParam = "axis-param-cgi"
	// KindVendorAPI is JSON of a maker's own programming interface.
	KindVendorAPI = "vendor-api"

	// Answers to makers' own discovery protocols, each a datagram as it came.
	KindSADP          = "sadp-37020"             // Hikvision, UDP 37020: XML
	KindDHIP          = "dhip-37810"             // Dahua, UDP 37810: a head of 32 bytes and JSON
	KindDahua5050     = "dahua-5050"             // Dahua's older one, UDP 5050
	KindHanwha7701    = "hanwha-7701"            // Hanwha, UDP 7701
	KindBosch1757     = "bosch-1757"             // Bosch, UDP 1757: XML or binary
	KindVivotek10000  = "vivotek-10000"          // Vivotek, UDP 10000
	KindFoscam10000   = "foscam-10000"           // Foscam, UDP 10000: "MO_I"
	KindSony2380      = "sony-2380"              // Sony, UDP 2380
	KindPanasonic     = "panasonic-10670"        // Panasonic, UDP 10669 and 10670
	KindUbiquiti10001 = "ubiquiti-10001"         // Ubiquiti, UDP 10001
	KindTPLink20002   = "tplink-discovery-20002" // TP-Link, UDP 20002: JSON
	KindXiongmai34569 = "xiongmai-34569"         // Xiongmai, UDP 34569: a head and JSON
	KindArecont       = "mdns-arecont"           // Arecont's mDNS answer
	// KindMDNS is a DNS message, or its names and texts in lines.
	KindMDNS = "mdns"
	// KindSSDP is an SSDP answer, KindUPnPDescription the XML that it points at.
	KindSSDP            = "ssdp"
	KindUPnPDescription = "upnp-description"

	// KindMAC is a hardware address in any usual spelling, or its first three bytes.
	KindMAC = "mac"
	// KindDHCPVendorClass is option 60 of DHCP, KindHostname the name a device
	// gives itself (option 12, or in DNS).
	KindDHCPVendorClass = "dhcp-vendor-class"
	KindHostname        = "hostname"
	// KindOUIRTSPPath is JSON of "oui" (a list) and "rtsp_url": what an
	// integrator's table says of a device.
	KindOUIRTSPPath = "oui+rtsp-path"
	// KindPort is an open TCP port, in decimal.
	KindPort = "port"
)

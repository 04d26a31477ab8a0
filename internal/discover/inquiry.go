package discover

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"net/netip"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/watchward/watchward/internal/identify"
)

// inquiry is a discovery protocol over UDP: what is asked, and what an answer
// looks like. SADP and DHIP carry requests that change devices, too; neither has
// any way to be built here, since the payloads below are all there are.
type inquiry struct {
	name  string // counts under it
	kind  string // of the evidence
	port  uint16
	group netip.Addr
	// joined: answers come to the group, not to who asked.
	joined   bool
	payloads func() [][]byte
	answers  func([]byte) bool
}

func inquiries() []inquiry {
	wide := netip.AddrFrom4([4]byte{239, 255, 255, 250})
	return []inquiry{
		{"wsdiscovery", identify.KindWSDiscoveryProbeMatch, 3702, wide, false, probes, contains("ProbeMatches")},
		{"sadp", identify.KindSADP, 37020, wide, true, sadp, contains("<ProbeMatch>")},
		{"dhip", identify.KindDHIP, 37810, netip.AddrFrom4([4]byte{239, 255, 255, 251}), false, dhip, contains("client.notifyDevInfo")},
		{"ssdp", identify.KindSSDP, 1900, wide, false, ssdp, func(b []byte) bool { return bytes.HasPrefix(b, []byte("HTTP/1.1 200")) }},
		{"mdns", identify.KindMDNS, 5353, netip.AddrFrom4([4]byte{224, 0, 0, 251}), false, mdns, isDNSResponse},
	}
}

func contains(word string) func([]byte) bool {
	return func(b []byte) bool { return bytes.Contains(b, []byte(word)) }
}

// uuid is a random one (RFC 9562, 5.4).
func uuid() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// probes are two of WS-Discovery, one a type: some devices refuse a probe for
// both at once, and some know only one of them.
func probes() [][]byte {
	var out [][]byte
	for _, t := range [][2]string{
		{"NetworkVideoTransmitter", "http://www.onvif.org/ver10/network/wsdl"},
		{"Device", "http://www.onvif.org/ver10/device/wsdl"},
	} {
		out = append(out, []byte(`<?xml version="1.0" encoding="UTF-8"?>`+
			`<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery" xmlns:t="`+t[1]+`">`+
			`<s:Header><a:Action s:mustUnderstand="1">http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</a:Action>`+
			`<a:MessageID>uuid:`+uuid()+`</a:MessageID><a:ReplyTo><a:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo>`+
			`<a:To s:mustUnderstand="1">urn:schemas-xmlsoap-org:ws:2005:04:discovery</a:To></s:Header>`+
			`<s:Body><d:Probe><d:Types>t:`+t[0]+`</d:Types></d:Probe></s:Body></s:Envelope>`))
	}
	return out
}

// sadp is the inquiry of Hikvision's protocol.
func sadp() [][]byte {
	return [][]byte{[]byte(`<?xml version="1.0" encoding="utf-8"?><Probe><Uuid>` + uuid() + `</Uuid><Types>inquiry</Types></Probe>`)}
}

// dhip is the search of Dahua's: 32 bytes of head, little endian, and JSON.
func dhip() [][]byte {
	const body = `{"method":"DHDiscover.search","params":{"mac":"","uni":1}}` + "\n"
	head := make([]byte, 32, 32+len(body))
	binary.LittleEndian.PutUint32(head, 32)
	copy(head[4:], "DHIP")
	binary.LittleEndian.PutUint32(head[16:], uint32(len(body)))
	binary.LittleEndian.PutUint32(head[24:], uint32(len(body)))
	return [][]byte{append(head, body...)}
}

// ssdp asks for root devices (UPnP Device Architecture 1.1, 1.3.2).
func ssdp() [][]byte {
	return [][]byte{[]byte("M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: upnp:rootdevice\r\n\r\n")}
}

// mdns asks for the services that makers announce, and for the list of all
// (RFC 6763, 9), each to be answered to who asks (RFC 6762, 5.4).
func mdns() [][]byte {
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{})
	if b.StartQuestions() != nil {
		return nil
	}
	for _, name := range []string{"_axis-video._tcp.local.", "_axis-nvr._tcp.local.", "_arec._tcp.local.", "_services._dns-sd._udp.local."} {
		q := dnsmessage.Question{Name: dnsmessage.MustNewName(name), Type: dnsmessage.TypePTR, Class: dnsmessage.ClassINET | 1<<15}
		if b.Question(q) != nil {
			return nil
		}
	}
	out, err := b.Finish()
	if err != nil {
		return nil
	}
	return [][]byte{out}
}

func isDNSResponse(b []byte) bool {
	var p dnsmessage.Parser
	h, err := p.Start(b)
	return err == nil && h.Response
}

package faces

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// MDNS is what a device announces over multicast DNS (RFC 6762, RFC 6763).
type MDNS struct {
	Service  string   // "_axis-video._tcp"
	Instance string   // name of the service, for people
	Host     string   // without .local
	Port     string   // as the face's files write it, such as {http}
	Text     []string // key=value
}

// ssdp answers a search for everything, for root devices, or for the type that
// the face's answer names (UPnP Device Architecture 1.1, 1.3).
func (d *Device) ssdp(b []byte) []byte {
	q, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b)))
	if err != nil || q.Method != "M-SEARCH" || q.Header.Get("MAN") != `"ssdp:discover"` {
		return nil
	}
	target := q.Header.Get("ST")
	own := d.fill(d.face.SSDP)
	switch {
	case target == "ssdp:all", target == "upnp:rootdevice":
		target = "upnp:rootdevice"
	case target == "" || strings.ContainsAny(target, "\r\n") || !strings.Contains(own, "X-Type: "+target+"\n"):
		return nil
	}
	var lines []string
	for line := range strings.Lines(own) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "X-Type: ") {
			lines = append(lines, strings.ReplaceAll(line, "{target}", target))
		}
	}
	return []byte(strings.Join(lines, "\r\n") + "\r\n\r\n")
}

// mdns answers questions about the service, the list of services and the host.
// It answers who asked, not the group.
func (d *Device) mdns(b []byte) []byte {
	var p dnsmessage.Parser
	head, err := p.Start(b)
	if err != nil || head.Response {
		return nil
	}
	service, asked := d.fill(d.face.MDNS.Service)+".local.", false
	for range 16 {
		q, err := p.Question()
		if err != nil {
			break
		}
		name := strings.ToLower(q.Name.String())
		asked = asked || slices.Contains([]string{service, "_services._dns-sd._udp.local.", strings.ToLower(d.fill(d.face.MDNS.Host)) + ".local."}, name)
	}
	if !asked {
		return nil
	}
	out, err := d.announcement(head.ID, service)
	if err != nil {
		d.o.Log.Error("face cannot announce itself", "face", d.face.Name, "error", err)
		return nil
	}
	return out
}

// announcement is everything that mDNS says about the device.
func (d *Device) announcement(id uint16, service string) ([]byte, error) {
	m := d.face.MDNS
	names := []string{service, d.fill(m.Instance) + "." + service, d.fill(m.Host) + ".local."}
	var parsed [3]dnsmessage.Name
	for i, n := range names {
		var err error
		if parsed[i], err = dnsmessage.NewName(n); err != nil {
			return nil, fmt.Errorf("name %q: %w", n, err)
		}
	}
	var port uint16
	if _, err := fmt.Sscan(d.fill(m.Port), &port); err != nil {
		return nil, fmt.Errorf("port %q: %w", m.Port, err)
	}
	var text []string
	for _, t := range m.Text {
		text = append(text, d.fill(t))
	}
	record := func(name dnsmessage.Name, body dnsmessage.ResourceBody) dnsmessage.Resource {
		return dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: 120}, Body: body}
	}
	msg := dnsmessage.Message{
		Header:  dnsmessage.Header{ID: id, Response: true, Authoritative: true},
		Answers: []dnsmessage.Resource{record(parsed[0], &dnsmessage.PTRResource{PTR: parsed[1]})},
		Additionals: []dnsmessage.Resource{
			record(parsed[1], &dnsmessage.SRVResource{Port: port, Target: parsed[2]}),
			record(parsed[1], &dnsmessage.TXTResource{TXT: text}),
			record(parsed[2], &dnsmessage.AResource{A: d.o.Host.As4()}),
		},
	}
	return msg.Pack()
}

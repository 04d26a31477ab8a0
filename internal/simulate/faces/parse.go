package faces

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed data/*.face
var data embed.FS

// All reads every face, in order of their files' names.
func All() ([]*Face, error) {
	names, err := fs.Glob(data, "data/*.face")
	if err != nil {
		return nil, err
	}
	var out []*Face
	for _, name := range names {
		text, err := data.ReadFile(name)
		if err != nil {
			return nil, err
		}
		f, err := Parse(strings.TrimSuffix(path.Base(name), ".face"), string(text))
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

// Parse reads a face from its file: comments up to the first line of the form
// "-- section --", then sections. The package's description says which.
func Parse(name, text string) (*Face, error) {
	_, name, _ = cutDigits(name)
	f := &Face{Name: name}
	head := ""
	var body []string
	flush := func() error {
		err := f.section(head, body)
		if err != nil {
			return fmt.Errorf("face %q, section %q: %w", name, head, err)
		}
		body = nil
		return nil
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if strings.HasPrefix(line, "-- ") && strings.HasSuffix(line, " --") && len(line) > 6 {
			if err := flush(); err != nil {
				return nil, err
			}
			head = line[3 : len(line)-3]
			continue
		}
		body = append(body, line)
	}
	if err := flush(); err != nil {
		return nil, err
	}
	return f, f.check()
}

// cutDigits takes the number off a name that only orders the files.
func cutDigits(name string) (digits, rest string, found bool) {
	digits, rest, found = strings.Cut(name, "-")
	if _, err := strconv.Atoi(digits); !found || err != nil {
		return "", name, false
	}
	return digits, rest, true
}

func (f *Face) section(head string, body []string) error {
	words := strings.Fields(head)
	if len(words) == 0 {
		return nil // the comment
	}
	kv := func(into func(key, value string) error) error {
		for _, line := range body {
			if line == "" {
				continue
			}
			key, value, ok := strings.Cut(line, ": ")
			if !ok {
				return fmt.Errorf("line %q: want KEY: VALUE", line)
			}
			if err := into(key, strings.TrimSpace(value)); err != nil {
				return err
			}
		}
		return nil
	}
	lines := slices.DeleteFunc(slices.Clone(body), func(s string) bool { return s == "" })
	switch words[0] {
	case "truth":
		return kv(f.truth)
	case "ports":
		return kv(f.port)
	case "certificate":
		return kv(f.certificate)
	case "rtsp":
		return kv(f.rtsp)
	case "sdp":
		f.RTSP.Session = lines
	case "sdp-video":
		f.RTSP.Video = lines
	case "web":
		return kv(f.web)
	case "http":
		return f.page(words[1:], body)
	case "onvif":
		return kv(f.onvif)
	case "scopes":
		f.ONVIF.Scopes = lines
	case "xmlns":
		f.ONVIF.Namespaces = lines
	case "probematch":
		f.ProbeMatch = strings.Join(body, "\n")
	case "sadp":
		f.SADP = strings.Join(body, "\n")
	case "ssdp":
		f.SSDP = strings.Join(body, "\n") + "\n"
	case "mdns":
		return kv(f.mdns)
	case "dhip":
		f.DHIP = strings.Join(body, "\n")
	default:
		return fmt.Errorf("no such section")
	}
	return nil
}

// set stores a value under a known key, else says which keys there are.
func set(key, value string, known map[string]*string) error {
	p, ok := known[key]
	if !ok {
		return fmt.Errorf("key %q: no such key", key)
	}
	*p = value
	return nil
}

func (f *Face) truth(key, value string) error {
	return set(key, value, map[string]*string{
		"brand": &f.Brand, "maker": &f.Maker, "model": &f.Model, "serial": &f.Serial,
		"mac": &f.MAC, "kind": &f.Kind, "firmware": &f.Firmware, "says": &f.Says,
	})
}

func (f *Face) port(key, value string) error {
	for word := range strings.FieldsSeq(value) {
		n, err := strconv.ParseUint(word, 10, 16)
		if err != nil || n == 0 {
			return fmt.Errorf("port %q: want a number", word)
		}
		f.Ports = append(f.Ports, Port{Name: key, Number: int(n)})
	}
	if !slices.Contains([]string{"http", "https", "onvif", "rtsp", "quiet", "drip", "flood"}, key) {
		return fmt.Errorf("key %q: want http, https, onvif, rtsp, quiet, drip or flood", key)
	}
	return nil
}

func (f *Face) certificate(key, value string) error {
	return set(key, value, map[string]*string{"subject": &f.Subject, "issuer": &f.Issuer})
}

func (f *Face) rtsp(key, value string) error {
	if key == "challenge" {
		f.RTSP.Challenges = append(f.RTSP.Challenges, value)
		return nil
	}
	if key == "after" {
		f.RTSP.After = append(f.RTSP.After, value)
		return nil
	}
	if key == "header" {
		f.RTSP.Headers = append(f.RTSP.Headers, value)
		return nil
	}
	var main, sub string
	err := set(key, value, map[string]*string{
		"realm": &f.RTSP.Realm, "nonce": &f.RTSP.Nonce, "public": &f.RTSP.Public,
		"cseq": &f.RTSP.CSeq, "main": &main, "sub": &sub,
	})
	if main != "" {
		f.RTSP.Main = strings.Fields(main)
	}
	if sub != "" {
		f.RTSP.Sub = strings.Fields(sub)
	}
	return err
}

func (f *Face) mdns(key, value string) error {
	m := &f.MDNS
	if key == "text" {
		m.Text = append(m.Text, value)
		return nil
	}
	return set(key, value, map[string]*string{"service": &m.Service, "instance": &m.Instance, "host": &m.Host, "port": &m.Port})
}

func (f *Face) web(key, value string) error {
	if key == "challenge" {
		f.Web.Challenges = append(f.Web.Challenges, value)
		return nil
	}
	return set(key, value, map[string]*string{"realm": &f.Web.Realm, "nonce": &f.Web.Nonce})
}

// page reads "METHOD PATH [login]" and the answer, head and body.
func (f *Face) page(words []string, body []string) error {
	if len(words) < 2 || len(words) > 3 || len(words) == 3 && words[2] != "login" {
		return fmt.Errorf("want http METHOD PATH [login]")
	}
	p := Page{Method: words[0], Path: words[1], Login: len(words) == 3}
	gap := slices.Index(body, "")
	if gap < 1 || !strings.HasPrefix(body[0], "HTTP/") {
		return fmt.Errorf("want a status line, headers, an empty line and a body")
	}
	p.Head, p.Body = body[:gap], strings.Join(body[gap+1:], "\n")
	f.Web.Pages = append(f.Web.Pages, p)
	return nil
}

func (f *Face) onvif(key, value string) error {
	o := &f.ONVIF
	switch key {
	case "open":
		o.Open = strings.Fields(value)
		return nil
	case "tokens":
		o.Tokens = strings.Fields(value)
		return nil
	case "skew", "clock":
		d, err := time.ParseDuration(value)
		if key == "skew" {
			o.Skew = d
		} else {
			o.Clock = d
		}
		return err
	case "refused":
		n, err := strconv.Atoi(value)
		o.Refused = n
		return err
	case "quirks":
		for q := range strings.FieldsSeq(value) {
			switch q {
			case "no-must-understand":
				o.NoMustUnderstand = true
			case "single-type":
				o.SingleType = true
			case "hang-up":
				o.HangUp = true
			case "no-snapshot":
				o.NoSnapshot = true
			case "http-digest":
				o.HTTPDigest = true
			case "no-login":
				o.NoLogin = true
			default:
				return fmt.Errorf("quirk %q: no such quirk", q)
			}
		}
		return nil
	}
	return set(key, value, map[string]*string{
		"manufacturer": &o.Manufacturer, "model": &o.Model, "firmware": &o.Firmware, "serial": &o.Serial, "hardware": &o.Hardware,
		"device": &o.Device, "media": &o.Media, "media2": &o.Media2, "envelope": &o.Envelope, "header": &o.Header,
		"types": &o.Types, "server": &o.Server,
	})
}

// check refuses a face that could not be worn.
func (f *Face) check() error {
	bad := func(what string) error { return fmt.Errorf("face %q: %s", f.Name, what) }
	if f.Kind == "" || f.MAC == "" {
		return bad("want at least kind and mac in section truth")
	}
	if f.Has("rtsp") && (len(f.RTSP.Challenges) == 0 || f.RTSP.Realm == "" || f.RTSP.Public == "") {
		return bad("an RTSP port without challenge, realm or public")
	}
	if f.Has("https") && f.Subject == "" {
		return bad("an HTTPS port without a certificate")
	}
	if f.ONVIF.Device != "" && (len(f.ONVIF.Tokens) != 2 || f.ONVIF.Envelope == "") {
		return bad("ONVIF without two tokens or an envelope")
	}
	for _, p := range f.Web.Pages {
		if p.Login && len(f.Web.Challenges) == 0 {
			return bad("a page behind a login without a challenge")
		}
	}
	return nil
}

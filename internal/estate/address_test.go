package estate

import (
	"errors"
	"strings"
	"testing"
)

var addresses = []struct {
	name, raw             string
	clean, user, password string
	code                  string // of the refusal, else ""
}{
	{"plain", "rtsp://10.0.0.1/stream1", "rtsp://10.0.0.1/stream1", "", "", ""},
	{"login", "rtsp://admin:pw@10.0.0.1/s", "rtsp://10.0.0.1/s", "admin", "pw", ""},
	{"capitals, standard port", "RTSP://Cam.Local:554/S", "rtsp://cam.local/S", "", "", ""},
	{"other port", "rtsp://cam:8554/", "rtsp://cam:8554/", "", "", ""},
	{"TLS, standard port", "rtsps://cam:322/x", "rtsps://cam/x", "", "", ""},
	{"IPv6", "rtsp://u:p@[fe80::1]:8554/x", "rtsp://[fe80::1]:8554/x", "u", "p", ""},
	{"IPv6 without port", "rtsp://[2001:DB8::1]/x", "rtsp://[2001:db8::1]/x", "", "", ""},
	{"escaped password", "rtsp://u:p%40ss@h/x", "rtsp://h/x", "u", "p@ss", ""},
	{"at sign that nobody escaped", "rtsp://u:p@ss@h/x", "rtsp://h/x", "u", "p@ss", ""},
	{"slash in password", "rtsp://u:p/w@10.0.0.1/x", "rtsp://10.0.0.1/x", "u", "p/w", ""},
	{"percent in password", "rtsp://u:50%off@h/x", "rtsp://h/x", "u", "50%off", ""},
	{"colon in password", "rtsp://u:a:b@h/x", "rtsp://h/x", "u", "a:b", ""},
	{"at sign in path", "rtsp://h/x@y", "rtsp://h/x@y", "", "", ""},
	{"query stays", "rtsp://h/cam/realmonitor?channel=1&subtype=0", "rtsp://h/cam/realmonitor?channel=1&subtype=0", "", "", ""},
	{"password in query", "rtsp://h/s?user=a&pwd=secret&x=1", "rtsp://h/s?user=a&pwd={password}&x=1", "", "secret", ""},
	{"password in path", "rtsp://h/user=admin_password=tlJwpbo6_channel=1_stream=0.sdp", "rtsp://h/user=admin_password={password}_channel=1_stream=0.sdp", "", "tlJwpbo6", ""},
	{"no path", "rtsp://h", "rtsp://h", "", "", ""},
	{"spaces around", "  rtsp://h/x \n", "rtsp://h/x", "", "", ""},
	{"nothing", "", "", "", "", "missing"},
	{"web", "http://h/", "", "", "", "scheme"},
	{"file", "file:///etc/passwd", "", "", "", "scheme"},
	{"no scheme", "10.0.0.1/x", "", "", "", "scheme"},
	{"no host", "rtsp:///x", "", "", "", "host"},
	{"port 0", "rtsp://h:0/x", "", "", "", "port"},
	{"port 70000", "rtsp://h:70000/x", "", "", "", "port"},
	{"port without number", "rtsp://h:/x", "", "", "", "host"},
	{"host of signs", "rtsp://h$(id)/x", "", "", "", "host"},
	{"line break", "rtsp://h/x\r\nEvil: 1", "", "", "", "spaces"},
	{"two passwords", "rtsp://u:a@h/s?password=b", "", "", "", "two-passwords"},
	{"endless", "rtsp://h/" + strings.Repeat("x", 3000), "", "", "", "too-long"},
}

func TestSplitAddress(t *testing.T) {
	for _, tt := range addresses {
		clean, user, password, err := SplitAddress(tt.raw)
		var inv *Invalid
		switch {
		case tt.code != "":
			if !errors.As(err, &inv) || inv.Code != tt.code {
				t.Errorf("%s: %q gives %v, want %s", tt.name, tt.raw, err, tt.code)
			}
		case err != nil:
			t.Errorf("%s: %q: %v", tt.name, tt.raw, err)
		case clean != tt.clean || user != tt.user || password.Reveal() != tt.password:
			t.Errorf("%s: %q gives %q, %q, %q", tt.name, tt.raw, clean, user, password.Reveal())
		}
	}
}

func TestAddressForDialling(t *testing.T) {
	c := Camera{Password: "pw"}
	s := StreamConfig{URL: "rtsp://h/?pwd={password}"}
	if got := c.Address(s); got != "rtsp://h/?pwd=pw" {
		t.Errorf("to dial: %q", got)
	}
	if got := s.Shown(); got != "rtsp://h/?pwd=…" {
		t.Errorf("to show: %q", got)
	}
}

func FuzzSplitAddress(f *testing.F) {
	for _, tt := range addresses {
		f.Add(tt.raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		clean, _, _, err := SplitAddress(raw)
		if err != nil {
			return
		}
		again, user, password, err := SplitAddress(clean)
		if err != nil || again != clean || user != "" || password != "" {
			t.Errorf("%q cleans to %q, which cleans to %q (%q, %v)", raw, clean, again, user, err)
		}
		if !strings.HasPrefix(clean, "rtsp://") && !strings.HasPrefix(clean, "rtsps://") {
			t.Errorf("%q cleans to %q", raw, clean)
		}
	})
}

func TestSlug(t *testing.T) {
	for name, want := range map[string]string{
		"Front gate":             "front-gate",
		"  Étage n° 2 / Œuvre ":  "etage-n-2-oeuvre",
		"門":                      "camera",
		"../../etc":              "etc",
		"-":                      "camera",
		strings.Repeat("ab", 60): strings.Repeat("ab", 23) + "a",
	} {
		if got := slug(name, "camera"); got != want {
			t.Errorf("slug(%q) = %q, want %q", name, got, want)
		}
	}
}

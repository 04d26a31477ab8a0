package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDefaultConfigIsValid(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Errorf("Validate = %v", err)
	}
}

func TestDefaultData(t *testing.T) {
	for _, tt := range []struct {
		name, xdg, home, want string
	}{
		{"as the XDG specification says", "/x", "/home/me", "/x/watchward"},
		{"a relative XDG_DATA_HOME is ignored", "x", "/home/me", "/home/me/.local/share/watchward"},
		{"a service without a home", "", "", "watchward-data"},
	} {
		getenv := func(string) string { return tt.xdg }
		home := func() (string, error) {
			if tt.home == "" {
				return "", errors.New("no home")
			}
			return tt.home, nil
		}
		if got := defaultData(getenv, home); got != tt.want {
			t.Errorf("%s: defaultData = %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestParseConfigRefuses(t *testing.T) {
	for _, tt := range []struct{ name, text, want, hint string }{
		{"an unknown key", "{\n  \"datta\": \"x\"\n}", `:2:3: unknown key "datta"`, `did you mean "data"?`},
		{"one far from any", `{"frobnicate": 1}`, `:1:2: unknown key "frobnicate"`, "known here: data, hosts, ledger, listen, live, log, sso, tls"},
		{"one in a nested object", `{"log": {"levle": "info"}}`, `:1:10: unknown key "log.levle"`, `did you mean "log.level"?`},
		{"a key in other letters", `{"Listen": ":1"}`, `:1:2: unknown key "Listen"`, `did you mean "listen"?`},
		{"a key said twice", `{"data": "a", "data": "b"}`, `:1:15: key "data" is there twice`, "keep one of the two"},
		{"a number for a text", `{"data": 7}`, `: data: want a text, not number`, ""},
		{"a text for a number", `{"live": {"udp_port": "x"}}`, `: live.udp_port: want a whole number, not string`, ""},
		{"a comma too many", "{\n\"data\": \"x\",\n}", `no JSON`, "JSON has no comments"},
		{"half a file", `{"data": `, `the file ends too early`, ""},
		{"an empty file", ``, `:1:1: the file ends too early`, ""},
		{"a list", `[]`, `want an object`, ""},
		{"a text", `"data"`, `want an object`, ""},
		{"two documents", `{} {}`, `something follows`, ""},
		{"depth without end", strings.Repeat(`{"hosts":[`, 1) + strings.Repeat("[", 40), `nested too deeply`, ""},
	} {
		c := DefaultConfig()
		err := parseConfig([]byte(tt.text), &c)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: parseConfig = %v, want %q", tt.name, err, tt.want)
			continue
		}
		var hinter interface{ Hint() string }
		if errors.As(err, &hinter) && !strings.Contains(hinter.Hint(), tt.hint) {
			t.Errorf("%s: hint %q, want %q", tt.name, hinter.Hint(), tt.hint)
		}
	}
}

func TestLoadConfigTakesPathsFromTheFilesFolder(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "w.json")
	if err := os.WriteFile(file, []byte("\ufeff"+`{"data": "video", "tls": {"cert": "/etc/cert.pem", "key": "key.pem"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := LoadConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	if c.Data != filepath.Join(dir, "video") || c.TLS.Cert != "/etc/cert.pem" || c.TLS.Key != filepath.Join(dir, "key.pem") {
		t.Errorf("data %q, cert %q, key %q", c.Data, c.TLS.Cert, c.TLS.Key)
	}
	if c.Listen != DefaultConfig().Listen {
		t.Errorf("listen %q: want the default where the file says nothing", c.Listen)
	}
}

func TestResolveTLS(t *testing.T) {
	for _, tt := range []struct {
		listen string
		tls    TLSConfig
		want   string
		valid  bool
	}{
		{"127.0.0.1:1", TLSConfig{Mode: "auto"}, "off", true},
		{"[::1]:1", TLSConfig{Mode: "auto"}, "off", true},
		{"localhost:1", TLSConfig{Mode: "auto"}, "off", true},
		{":1", TLSConfig{Mode: "auto"}, "local", true},
		{"192.0.2.1:1", TLSConfig{Mode: "auto", Cert: "c", Key: "k"}, "files", true},
		{":443", TLSConfig{Mode: "auto", Domain: "example.org"}, "acme", true},
		{":443", TLSConfig{Mode: "auto", Domain: "https://example.org"}, "acme", false},
		{":1", TLSConfig{Mode: "local"}, "local", true},
		{"127.0.0.1:1", TLSConfig{Mode: "local"}, "local", false},
		{":1", TLSConfig{Mode: "off"}, "off", false},
		{":1", TLSConfig{Mode: "files", Cert: "c"}, "files", false},
		{":1", TLSConfig{Mode: "acme"}, "acme", false},
		{":1", TLSConfig{Mode: "auto", Cert: "c", Key: "k", Domain: "example.org"}, "files", false},
		{":1", TLSConfig{Mode: "sometimes"}, "sometimes", false},
	} {
		c := DefaultConfig()
		c.Listen, c.TLS = tt.listen, tt.tls
		if got := c.ResolveTLS(); got != tt.want {
			t.Errorf("%s %+v: mode %q, want %q", tt.listen, tt.tls, got, tt.want)
		}
		if err := c.Validate(); (err == nil) != tt.valid {
			t.Errorf("%s %+v: Validate = %v, want valid %t", tt.listen, tt.tls, err, tt.valid)
		}
	}
}

func TestOneLineTakesWhatACameraWrote(t *testing.T) {
	if got := oneLine("a\x1b[2Jb\nwatchward: error: c\td\u009b"); got != "a[2Jb; watchward: error: c d" {
		t.Errorf("oneLine = %q", got)
	}
}

func FuzzParseConfig(f *testing.F) {
	for _, s := range []string{`{}`, `{"data":"x","tls":{"mode":"off"}}`, `{"hosts":["a"],"live":{"udp_port":1}}`, `{"a":[{"b":1e999}]}`, `{"data":`, "\ufeff{}", `{"\u0064ata":"x"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c := DefaultConfig()
		if err := parseConfig(b, &c); err == nil {
			_ = c.Validate()
			_ = c.ResolveTLS()
		}
	})
}

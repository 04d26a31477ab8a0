package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/watchward/watchward/internal/ledger"
)

// maxConfig caps the configuration file: it is written by a person.
const maxConfig = 1 << 20

// Config is what needs a restart to change, and no more: cameras, users,
// readers and retention are data and change while the server runs. Every field
// has a working default, so no file is needed to start.
//
// Relative paths in a file are taken from the folder the file lies in.
type Config struct {
	// Data is the folder that holds everything: archive, day keys, database,
	// server key. It is made at the first start with mode 0700.
	// Default: $XDG_DATA_HOME/watchward, else ~/.local/share/watchward, else
	// ./watchward-data.
	Data string `json:"data"`

	// Listen is the address and port of pages and API. ":8470" listens on every
	// address of the machine and needs TLS. Default: 127.0.0.1:8470.
	Listen string `json:"listen"`

	// Hosts are the names under which browsers may reach the server, without
	// port. A request for another name is refused, so that no page elsewhere can
	// point a name of its own at the server (DNS rebinding). Names of the
	// machine itself, the listening address and tls.domain are always allowed.
	// Default: none more.
	Hosts []string `json:"hosts"`

	TLS    TLSConfig    `json:"tls"`
	SSO    SSOConfig    `json:"sso"`
	Ledger LedgerConfig `json:"ledger"`
	Live   LiveConfig   `json:"live"`
	Log    LogConfig    `json:"log"`
}

// TLSConfig says how browsers are sure whom they talk to.
type TLSConfig struct {
	// Mode is one of
	//
	//	auto   files where Cert is set, acme where Domain is set, off on a
	//	       loopback address, else local
	//	local  a certificate made by the server itself and kept in Data; browsers
	//	       warn once, the fingerprint to compare is printed at start; not for
	//	       a loopback address
	//	files  Cert and Key
	//	acme   a certificate for Domain from Let's Encrypt; port 443 of the domain
	//	       must reach this server
	//	off    plain HTTP; refused except on a loopback address
	//
	// Default: auto.
	Mode string `json:"mode"`
	// Cert and Key are PEM files of mode files. They are read again when they
	// change. Make them with any authority of yours. Default: none.
	Cert string `json:"cert"`
	Key  string `json:"key"`
	// Domain is the public name of mode acme. Default: none.
	Domain string `json:"domain"`
	// Email is told by the authority of mode acme when something is wrong with
	// the certificate. Default: none.
	Email string `json:"email"`
}

// LedgerConfig says who else vouches for the ledger.
type LedgerConfig struct {
	// Witnesses are asked to cosign what the ledger holds: machines of others,
	// each running "watchward witness" or any program that speaks C2SP
	// tlog-witness. Default: none, and nobody is asked.
	Witnesses []WitnessConfig `json:"witnesses"`
}

// WitnessConfig is one witness.
type WitnessConfig struct {
	// URL is where it takes checkpoints, such as https://witness.example.org.
	URL string `json:"url"`
	// Key is its verifier key, NAME+HASH+KEY: it prints it at its start.
	Key string `json:"key"`
}

// LiveConfig is for live view in the browser.
type LiveConfig struct {
	// UDPPort carries live video (WebRTC) of all viewers. Open it in the
	// firewall beside the port of Listen. 0 lets the system choose.
	// Default: 0.
	UDPPort int `json:"udp_port"`
}

// LogConfig says what the server writes to standard error.
type LogConfig struct {
	// Level is debug, info, warn or error. Default: info.
	Level string `json:"level"`
	// Format is text or json. Default: text.
	Format string `json:"format"`
}

var (
	tlsModes   = []string{"auto", "local", "files", "acme", "off"}
	logLevels  = []string{"debug", "info", "warn", "error"}
	logFormats = []string{"text", "json"}
)

// DefaultConfig is what runs without a file.
func DefaultConfig() Config {
	return Config{
		Data:   defaultData(os.Getenv, os.UserHomeDir),
		Listen: "127.0.0.1:8470",
		Hosts:  []string{},
		TLS:    TLSConfig{Mode: "auto"},
		Log:    LogConfig{Level: "info", Format: "text"},
	}
}

// defaultData chooses the data folder as the XDG base directory specification
// says: a relative XDG_DATA_HOME is to be ignored.
func defaultData(getenv func(string) string, home func() (string, error)) string {
	if dir := getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "watchward")
	}
	if dir, err := home(); err == nil && filepath.IsAbs(dir) {
		return filepath.Join(dir, ".local", "share", "watchward")
	}
	return "watchward-data" // a service without a home
}

// LoadConfig reads the file at path over the defaults. An empty path means the
// defaults alone. It does not judge the values: see [Config.Validate].
func LoadConfig(path string) (Config, error) {
	c := DefaultConfig()
	if path == "" {
		return c, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return c, withHint(fmt.Errorf("read configuration: %w", err),
			"no file is needed: without --config the defaults apply")
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return c, fmt.Errorf("read configuration %q: %w", path, err)
	}
	if len(b) > maxConfig {
		return c, fmt.Errorf("read configuration %q: more than %d bytes: this is no configuration", path, maxConfig)
	}
	if err := parseConfig(b, &c); err != nil {
		return c, fmt.Errorf("configuration %s%w", path, err)
	}
	dir := filepath.Dir(path)
	for _, p := range []*string{&c.Data, &c.TLS.Cert, &c.TLS.Key, &c.SSO.ClientSecretFile} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	return c, nil
}

// parseConfig decodes b over c. Its errors begin with ":line:column: ", so that
// the file's name in front makes what editors jump to.
func parseConfig(b []byte, c *Config) error {
	b = bytes.TrimPrefix(b, []byte("\ufeff")) // some editors put a mark there
	if err := checkKeys(b, Config{}); err != nil {
		return err
	}
	err := json.Unmarshal(b, c)
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return &configError{at: position(b, wrong.Offset-1), msg: fmt.Sprintf("%s: want %s, not %s", wrong.Field, kindName(wrong.Type), wrong.Value)}
	}
	return err
}

// Validate says everything that is wrong with the values, not only the first.
// It looks at nothing outside: whether files exist is for check and run.
func (c Config) Validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Data == "" {
		wrong("data: want a folder")
	}
	host, err := c.listenHost()
	if err != nil {
		errs = append(errs, err)
	}
	for _, h := range c.Hosts {
		if h == "" || strings.ContainsAny(h, "/:@ *") {
			wrong("hosts: %q: want a bare name such as cameras.example.org, without port or scheme", h)
		}
	}
	if p := c.Live.UDPPort; p < 0 || p > 65535 {
		wrong("live.udp_port: %d: want 0 to 65535", p)
	}
	if !slices.Contains(logLevels, c.Log.Level) {
		wrong("log.level: %q: want one of %s", c.Log.Level, strings.Join(logLevels, ", "))
	}
	if !slices.Contains(logFormats, c.Log.Format) {
		wrong("log.format: %q: want one of %s", c.Log.Format, strings.Join(logFormats, ", "))
	}
	for i, w := range c.Ledger.Witnesses {
		if err := ledger.WitnessID(w).Valid(); err != nil {
			wrong("ledger.witnesses[%d]: %w", i, err)
		}
	}
	errs = append(errs, c.TLS.validate(c.ResolveTLS(), isLoopback(host)), c.SSO.validate())
	return errors.Join(errs...)
}

// validate judges the TLS fields for the mode that will be used.
func (t TLSConfig) validate(mode string, loopback bool) error {
	switch {
	case !slices.Contains(tlsModes, t.Mode):
		return fmt.Errorf("tls.mode: %q: want one of %s", t.Mode, strings.Join(tlsModes, ", "))
	case mode == "off" && !loopback:
		return errors.New("tls.mode: off: plain HTTP is only for a loopback address; want local, files or acme")
	case mode == "local" && loopback:
		return errors.New("tls.mode: local: a loopback address is plain HTTP; want auto, or an address that others can reach")
	case mode == "files" && (t.Cert == "" || t.Key == ""):
		return errors.New("tls.mode: files: want tls.cert and tls.key")
	case mode == "acme" && t.Domain == "":
		return errors.New("tls.mode: acme: want tls.domain")
	case (t.Cert == "") != (t.Key == ""):
		return errors.New("tls: want tls.cert and tls.key together")
	case t.Cert != "" && t.Domain != "":
		return errors.New("tls: want certificate files or a domain, not both")
	case t.Domain != "" && strings.ContainsAny(t.Domain, "/:@ *"):
		return fmt.Errorf("tls.domain: %q: want a bare name such as cameras.example.org", t.Domain)
	}
	return nil
}

// ResolveTLS returns the mode in force: never auto.
func (c Config) ResolveTLS() string {
	if c.TLS.Mode != "auto" {
		return c.TLS.Mode
	}
	host, _ := c.listenHost() // an unreadable address is no loopback address
	switch {
	case c.TLS.Cert != "":
		return "files"
	case c.TLS.Domain != "":
		return "acme"
	case isLoopback(host):
		return "off"
	}
	return "local"
}

// LoopbackOnly reports whether only this machine can reach the server.
func (c Config) LoopbackOnly() bool {
	host, err := c.listenHost()
	return err == nil && isLoopback(host)
}

// Logger writes to standard error what Log asks for.
func (c Config) Logger() *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Log.Level)); err != nil {
		level = slog.LevelInfo // Validate has refused anything else
	}
	o := &slog.HandlerOptions{Level: level}
	if c.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, o))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, o))
}

// listenHost returns the host of Listen, "" for every address.
func (c Config) listenHost() (string, error) {
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return "", fmt.Errorf("listen: %q: want an address and a port, such as 127.0.0.1:8470 or :8470", c.Listen)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return host, fmt.Errorf("listen: port %q: want 0 to 65535", port)
	}
	return host, nil
}

// isLoopback reports whether only this machine can reach host.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

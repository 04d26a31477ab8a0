package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// CheckCmd is "watchward check".
type CheckCmd struct {
	File string `arg:"" optional:"" help:"Configuration file. Without it the defaults are checked."`
	JSON bool   `help:"Print JSON."`
}

// Help is shown by --help.
func (CheckCmd) Help() string {
	return `Reads the file as run would, and says what run would do with it. Nothing is started, made or
changed. The fields are in docs/reference/config.md.

Examples

    watchward check /etc/watchward.json
    watchward check --json watchward.json | jq .problems

Exit codes: 0 nothing to complain about, 1 the file cannot be read, 3 problems found.`
}

// checkReport is what --json prints.
type checkReport struct {
	File     string   `json:"file"` // empty: the defaults
	Config   *Config  `json:"config,omitempty"`
	Would    []string `json:"would"`    // what run would do
	Problems []string `json:"problems"` // why it would not, or would not well
	Hint     string   `json:"hint,omitempty"`
}

// Run checks the file and the places it names.
func (c *CheckCmd) Run(s *streams) error {
	r := checkReport{File: c.File, Would: []string{}, Problems: []string{}}
	config, err := LoadConfig(c.File)
	var pathError *fs.PathError
	switch {
	case errors.As(err, &pathError):
		return err // there is no file to say anything about
	case err != nil:
		r.Problems = append(r.Problems, err.Error())
		var hinter interface{ Hint() string }
		if errors.As(err, &hinter) {
			r.Hint = hinter.Hint()
		}
	default:
		r.Config = &config
		r.judge(config, time.Now())
	}
	if c.JSON {
		if err := printJSON(s, r); err != nil {
			return err
		}
	} else {
		r.print(s)
	}
	if len(r.Problems) > 0 {
		return errProblems
	}
	return nil
}

func (r *checkReport) print(s *streams) {
	for _, w := range r.Would {
		s.printf("would %s\n", w)
	}
	for _, p := range r.Problems {
		s.notef("watchward: problem: %s\n", oneLine(p))
	}
	if r.Hint != "" {
		s.notef("watchward: hint: %s\n", oneLine(r.Hint))
	}
	if len(r.Problems) == 0 {
		s.printf("no problems found\n")
	}
}

func (r *checkReport) would(format string, args ...any) {
	r.Would = append(r.Would, fmt.Sprintf(format, args...))
}

func (r *checkReport) problem(err error) {
	if err != nil {
		r.Problems = append(r.Problems, strings.Split(err.Error(), "\n")...)
	}
}

// judge fills the report for a configuration that could be read.
func (r *checkReport) judge(c Config, now time.Time) {
	if err := c.Validate(); err != nil {
		r.problem(err)
		return // what it would do makes no sense yet
	}
	r.judgeData(c.Data)
	scheme := "https"
	mode := c.ResolveTLS()
	if mode == "off" {
		scheme = "http"
	}
	r.would("listen at %s://%s", scheme, c.Listen)
	r.judgeTLS(c, mode, now)
	if len(c.Hosts) > 0 {
		r.would("also answer to the names %s", strings.Join(c.Hosts, ", "))
	}
	if c.Live.UDPPort == 0 {
		r.would("carry live video over a UDP port that the system chooses")
	} else {
		r.would("carry live video over UDP port %d", c.Live.UDPPort)
	}
	for _, w := range c.Ledger.Witnesses {
		r.would("have the witness at %s cosign the ledger", w.URL)
	}
	r.would("log %s and above as %s to standard error", c.Log.Level, c.Log.Format)
}

// judgeData says whether the data folder is there, or could be made.
func (r *checkReport) judgeData(dir string) {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		parent, err := existingParent(dir)
		if err == nil {
			err = writable(parent)
		}
		if err != nil {
			r.problem(fmt.Errorf("data: make folder %q: %w", dir, err))
			return
		}
		r.would("make the data folder %s and print a setup link", dir)
	case err != nil:
		r.problem(fmt.Errorf("data: %w", err))
	case !info.IsDir():
		r.problem(fmt.Errorf("data: %q is a file: want a folder", dir))
	default:
		if err := writable(dir); err != nil {
			r.problem(fmt.Errorf("data: %q cannot be written to: %w", dir, err))
			return
		}
		if info.Mode().Perm()&0o077 != 0 {
			r.problem(fmt.Errorf("data: %q can be read by others (mode %04o): want 0700", dir, info.Mode().Perm()))
		}
		if _, err := os.Stat(filepath.Join(dir, "watchward.db")); err != nil {
			r.would("begin in the empty data folder %s and print a setup link", dir)
			return
		}
		r.would("go on with the data folder %s", dir)
	}
}

// existingParent climbs to the first folder that is there.
func existingParent(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for {
		abs = filepath.Dir(abs)
		info, err := os.Stat(abs)
		switch {
		case err == nil && info.IsDir():
			return abs, nil
		case err == nil:
			return "", fmt.Errorf("%q is no folder", abs)
		case abs == filepath.Dir(abs) || !errors.Is(err, fs.ErrNotExist):
			return "", err
		}
	}
}

// judgeTLS says which certificate browsers would see.
func (r *checkReport) judgeTLS(c Config, mode string, now time.Time) {
	switch mode {
	case "off":
		r.would("use plain HTTP: only this machine can reach it")
	case "local":
		r.would("make a certificate of its own, once, and print its fingerprint to compare in the browser")
	case "acme":
		r.would("ask Let's Encrypt for a certificate for %s", c.TLS.Domain)
		if _, port, _ := net.SplitHostPort(c.Listen); port != "443" {
			r.would("need port 443 of %s to be passed on to port %s", c.TLS.Domain, port)
		}
	case "files":
		pair, err := tls.LoadX509KeyPair(c.TLS.Cert, c.TLS.Key)
		if err != nil {
			r.problem(fmt.Errorf("tls: read certificate %q and key %q: %w", c.TLS.Cert, c.TLS.Key, err))
			return
		}
		r.problem(judgeCertificate(pair.Leaf, now))
		r.would("show the certificate %s of %s, valid until %s", c.TLS.Cert,
			strings.Join(pair.Leaf.DNSNames, ", "), pair.Leaf.NotAfter.UTC().Format(time.DateOnly))
	}
}

// judgeCertificate complains about dates; browsers judge the rest.
func judgeCertificate(leaf *x509.Certificate, now time.Time) error {
	switch {
	case now.After(leaf.NotAfter):
		return fmt.Errorf("tls.cert: ended on %s", leaf.NotAfter.UTC().Format(time.DateOnly))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("tls.cert: begins on %s", leaf.NotBefore.UTC().Format(time.DateOnly))
	case leaf.NotAfter.Sub(now) < 14*24*time.Hour:
		return fmt.Errorf("tls.cert: ends on %s, in less than two weeks", leaf.NotAfter.UTC().Format(time.DateOnly))
	}
	return nil
}

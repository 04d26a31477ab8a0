package web

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// TLS says which certificate to show. The zero value means none on loopback
// and a generated one elsewhere.
type TLS struct {
	Cert, Key string   // PEM files of one's own; read again when they change
	Domains   []string // get certificates for these by ACME (RFC 8555)
	Email     string   // for the ACME account; optional
	Directory string   // ACME directory; empty means Let's Encrypt
	Dir       string   // folder for what we make ourselves: ACME account, generated certificate
}

type scheme int

const (
	plain scheme = iota
	ownFiles
	byACME
	generated
)

func chooseScheme(listen string, t TLS) (scheme, error) {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return 0, fmt.Errorf("listen address %q: want host:port: %w", listen, err)
	}
	switch {
	case (t.Cert == "") != (t.Key == ""):
		return 0, errors.New("TLS: want both a certificate and a key file, or neither")
	case t.Cert != "" && len(t.Domains) > 0:
		return 0, errors.New("TLS: want certificate files or domains for ACME, not both")
	case t.Cert != "":
		return ownFiles, nil
	case len(t.Domains) > 0 && t.Dir == "":
		return 0, errors.New("TLS: no folder given to keep the ACME account in")
	case len(t.Domains) > 0:
		return byACME, nil
	case loopbackHost(host):
		return plain, nil
	case t.Dir == "":
		return 0, fmt.Errorf("listen on %q: plain HTTP is spoken on loopback only: give certificate files, a domain, or a folder to generate a certificate in", listen)
	}
	return generated, nil
}

func loopbackHost(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// config returns nil for plain HTTP, and a generated certificate's fingerprint.
func (t TLS) config(s scheme, now func() time.Time) (*tls.Config, string, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	switch s {
	case plain:
		return nil, "", nil
	case ownFiles:
		f := &certFiles{cert: t.Cert, key: t.Key, now: now}
		if _, err := f.get(nil); err != nil {
			return nil, "", err
		}
		c.GetCertificate = f.get
	case byACME:
		m := &autocert.Manager{
			Prompt: autocert.AcceptTOS, Email: t.Email,
			Cache:      autocert.DirCache(filepath.Join(t.Dir, "acme")),
			HostPolicy: autocert.HostWhitelist(t.Domains...),
		}
		if t.Directory != "" {
			m.Client = &acme.Client{DirectoryURL: t.Directory}
		}
		c.GetCertificate = m.GetCertificate
		c.NextProtos = []string{"h2", "http/1.1", acme.ALPNProto}
	case generated:
		cert, err := localCertificate(t.Dir, now())
		if err != nil {
			return nil, "", err
		}
		c.Certificates = []tls.Certificate{cert}
		return c, fingerprint(cert.Certificate[0]), nil
	}
	return c, "", nil
}

func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	pairs := make([]string, len(sum))
	for i, b := range sum {
		pairs[i] = strings.ToUpper(hex.EncodeToString([]byte{b}))
	}
	return strings.Join(pairs, ":")
}

// certFiles reads a certificate again when its file was renewed.
type certFiles struct {
	cert, key string
	now       func() time.Time

	mu      sync.Mutex
	current *tls.Certificate
	written time.Time
	looked  time.Time
}

func (f *certFiles) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	if f.current != nil && now.Sub(f.looked) < 10*time.Second {
		return f.current, nil
	}
	f.looked = now
	info, err := os.Stat(f.cert)
	if err == nil && f.current != nil && info.ModTime().Equal(f.written) {
		return f.current, nil
	}
	var pair tls.Certificate
	if err == nil {
		pair, err = tls.LoadX509KeyPair(f.cert, f.key)
	}
	switch {
	case err == nil:
		f.current, f.written = &pair, info.ModTime()
	case f.current == nil:
		return nil, fmt.Errorf("read certificate %q: %w", f.cert, err)
	} // else half-written: the old one serves until the next look
	return f.current, nil
}

// Life of a generated certificate: browsers on Apple's systems take no more
// than 825 days. It is made anew at a start within the last month.
const (
	certLife  = 820 * 24 * time.Hour
	certRenew = 30 * 24 * time.Hour
)

// localCertificate reads the generated certificate, or makes one.
func localCertificate(dir string, now time.Time) (tls.Certificate, error) {
	path := filepath.Join(dir, "local.pem")
	body, err := os.ReadFile(path)
	if err == nil {
		if cert, err := tls.X509KeyPair(body, body); err == nil && now.Before(cert.Leaf.NotAfter.Add(-certRenew)) {
			return cert, nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return tls.Certificate{}, fmt.Errorf("read generated certificate: %w", err)
	}
	if body, err = generateCertificate(now); err != nil {
		return tls.Certificate{}, fmt.Errorf("generate certificate: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return tls.Certificate{}, fmt.Errorf("generate certificate: %w", err)
	}
	if err := writeSynced(path, body); err != nil {
		return tls.Certificate{}, fmt.Errorf("store generated certificate: %w", err)
	}
	return tls.X509KeyPair(body, body)
}

// writeSynced leaves either the old file or the whole new one.
func writeSynced(path string, body []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(body)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func generateCertificate(now time.Time) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	names, addresses := ownNames()
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: machineName(), Organization: []string{"Watchward"}},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(certLife - 24*time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, DNSNames: names, IPAddresses: addresses,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	body := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return append(body, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...), nil
}

func machineName() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "localhost"
	}
	return strings.ToLower(name)
}

// ownNames are what a generated certificate speaks for.
func ownNames() ([]string, []net.IP) {
	names := []string{"localhost"}
	if m := machineName(); m != "localhost" {
		names = append(names, m)
		if !strings.Contains(m, ".") {
			names = append(names, m+".local")
		}
	}
	addresses := []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	found, err := net.InterfaceAddrs()
	if err != nil {
		return names, addresses
	}
	for _, a := range found {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && !n.IP.IsLinkLocalUnicast() && len(addresses) < 32 {
			addresses = append(addresses, n.IP)
		}
	}
	return names, addresses
}

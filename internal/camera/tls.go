package camera

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
)

// TLS says which certificate of an rtsps camera is accepted. Zero means one that
// the system's authorities vouch for.
type TLS struct {
	// Pin is the SHA-256 of the camera's certificate in hex; colons are allowed.
	// With a pin nothing else of the certificate is looked at.
	Pin string
}

// Certificate is one that a camera showed and that was not accepted, for a
// person to judge. Its names are the camera's own words: hostile, but clipped
// and printable.
type Certificate struct {
	SHA256              string // of the whole certificate, in hex
	Subject, Issuer     string
	NotBefore, NotAfter time.Time
}

// untrustedError is a certificate other than the one pinned.
type untrustedError struct {
	shown  *x509.Certificate
	pinned []byte
}

func (e *untrustedError) Error() string {
	return fmt.Sprintf("camera shows another certificate than the one pinned: it has SHA-256 %x, pinned is %x; pin the new one only if the camera was renewed or replaced",
		sha256.Sum256(e.shown.Raw), e.pinned)
}

// refused returns the certificate over which a connection failed, or nil where
// it failed over something else.
func refused(err error) *Certificate {
	var other *untrustedError
	var unknown *tls.CertificateVerificationError
	var shown *x509.Certificate
	switch {
	case errors.As(err, &other):
		shown = other.shown
	case errors.As(err, &unknown) && len(unknown.UnverifiedCertificates) > 0:
		shown = unknown.UnverifiedCertificates[0]
	default:
		return nil
	}
	return &Certificate{
		SHA256:  fmt.Sprintf("%x", sha256.Sum256(shown.Raw)),
		Subject: printable(shown.Subject.String()), Issuer: printable(shown.Issuer.String()),
		NotBefore: shown.NotBefore.UTC(), NotAfter: shown.NotAfter.UTC(),
	}
}

// printable bounds a name and takes out what could make it look like another.
func printable(name string) string {
	clean := []rune(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, name))
	return string(clean[:min(len(clean), 200)])
}

// tlsChoice is a checked TLS.
type tlsChoice struct{ config *tls.Config }

func (t TLS) choice() (tlsChoice, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.Pin == "" {
		return tlsChoice{config}, nil
	}
	pin, err := hex.DecodeString(strings.NewReplacer(":", "", " ", "").Replace(t.Pin))
	if err != nil || len(pin) != sha256.Size {
		return tlsChoice{}, fmt.Errorf("certificate pin: want SHA-256 as %d hex digits", 2*sha256.Size)
	}
	config.InsecureSkipVerify = true //nolint:gosec // the pin decides instead
	config.VerifyConnection = func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 {
			return errors.New("camera shows no certificate")
		}
		sum := sha256.Sum256(s.PeerCertificates[0].Raw)
		if subtle.ConstantTimeCompare(sum[:], pin) != 1 {
			return &untrustedError{s.PeerCertificates[0], pin}
		}
		return nil
	}
	return tlsChoice{config}, nil
}

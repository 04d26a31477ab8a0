package camera

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// TLS says which certificate of an rtsps camera is accepted. Zero means one that
// the system's authorities vouch for.
type TLS struct {
	// Pin is the SHA-256 of the camera's certificate in hex; colons are allowed.
	// With a pin nothing else of the certificate is looked at.
	Pin string
	// Insecure accepts any certificate: what the camera sends can then be read
	// and changed on its way.
	Insecure bool
}

// tlsChoice is a checked TLS.
type tlsChoice struct{ config *tls.Config }

func (t TLS) choice() (tlsChoice, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.Pin == "" {
		config.InsecureSkipVerify = t.Insecure //nolint:gosec // asked for
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
			return fmt.Errorf("camera shows another certificate than the one pinned: it has SHA-256 %x; pin that if the camera was renewed", sum)
		}
		return nil
	}
	return tlsChoice{config}, nil
}

package seal

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"filippo.io/age"
)

const (
	hybridSecret  = "AGE-SECRET-KEY-PQ-1"
	classicSecret = "AGE-SECRET-KEY-1"
	pluginSecret  = "AGE-PLUGIN-"
)

// Identity is a secret that opens what was sealed to its recipient. It prints
// as "redacted" wherever it ends up; only [Identity.Reveal] gives it away.
type Identity struct {
	key       age.Identity
	text      string // one line
	recipient string
	kind      Kind
}

// GenerateIdentity makes a new identity.
func GenerateIdentity(kind Kind) (Identity, error) {
	switch kind {
	case Hybrid:
		id, err := age.GenerateHybridIdentity()
		if err != nil {
			return Identity{}, fmt.Errorf("make hybrid identity: %w", err)
		}
		return Identity{id, id.String(), id.Recipient().String(), Hybrid}, nil
	case Classic:
		id, err := age.GenerateX25519Identity()
		if err != nil {
			return Identity{}, fmt.Errorf("make classic identity: %w", err)
		}
		return Identity{id, id.String(), id.Recipient().String(), Classic}, nil
	default:
		return Identity{}, fmt.Errorf("make identity: kind %q: want %q or %q", kind, Hybrid, Classic)
	}
}

// ParseIdentity reads an identity from the text of a file as age-keygen writes
// it: one line, with empty lines and comments around it. Its errors never hold
// the text.
func ParseIdentity(text string) (Identity, error) {
	var found []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "#") {
			found = append(found, line)
		}
	}
	switch {
	case len(found) == 0:
		return Identity{}, errors.New("read identity: no line begins with " + classicSecret)
	case strings.HasPrefix(found[0], "age-encryption.org/") || strings.HasPrefix(found[0], "-----BEGIN AGE"):
		return Identity{}, errors.New("read identity: this is an age file: open it first, the identity is inside")
	case len(found) > 1:
		return Identity{}, fmt.Errorf("read identity: %d lines: want one", len(found))
	}
	return parseIdentity(found[0])
}

func parseIdentity(line string) (Identity, error) {
	switch upper := strings.ToUpper(line); {
	case strings.HasPrefix(upper, hybridSecret):
		id, err := age.ParseHybridIdentity(upper)
		if err != nil {
			return Identity{}, errors.New("read identity: mistyped or cut short: want the whole line that begins with " + hybridSecret)
		}
		return Identity{id, upper, id.Recipient().String(), Hybrid}, nil
	case strings.HasPrefix(upper, classicSecret):
		id, err := age.ParseX25519Identity(upper)
		if err != nil {
			return Identity{}, errors.New("read identity: mistyped or cut short: want the whole line that begins with " + classicSecret)
		}
		return Identity{id, upper, id.Recipient().String(), Classic}, nil
	case strings.HasPrefix(upper, pluginSecret):
		return Identity{}, errors.New("read identity: it needs an age plugin: open the day key with age, then give what came out")
	case strings.HasPrefix(line, "age1"):
		return Identity{}, errors.New("read identity: this is a recipient, the public half: want the line that begins with " + classicSecret)
	default:
		return Identity{}, errors.New("read identity: want a line that begins with " + classicSecret)
	}
}

// Recipient is the public half.
func (id Identity) Recipient() string { return id.recipient }

// Kind says how the identity was made.
func (id Identity) Kind() Kind { return id.kind }

// IsZero reports whether there is no identity.
func (id Identity) IsZero() bool { return id.key == nil }

// Reveal is the secret, one line, for whoever writes it where it belongs.
func (id Identity) Reveal() string { return id.text }

// String hides the secret.
func (Identity) String() string { return "redacted" }

// GoString hides the secret from %#v.
func (Identity) GoString() string { return "seal.Identity(redacted)" }

// LogValue hides the secret from logs.
func (Identity) LogValue() slog.Value { return slog.StringValue("redacted") }

// MarshalText hides the secret from encoders.
func (Identity) MarshalText() ([]byte, error) { return []byte("redacted"), nil }

// unlock gives the key to age, or one that fits nothing.
func (id Identity) unlock() age.Identity {
	if id.key == nil {
		return nothing{}
	}
	return id.key
}

// nothing is the key of the zero Identity.
type nothing struct{}

func (nothing) Unwrap([]*age.Stanza) ([]byte, error) { return nil, age.ErrIncorrectIdentity }

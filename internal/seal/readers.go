package seal

import (
	"fmt"
	"slices"
	"strings"

	"filippo.io/age"
)

// maxReaders keeps the header of a day key under headerLimit.
const maxReaders = 200

// Readers are those who can open an archive: at least one, all of one kind. The
// zero value is nobody, and seals nothing.
type Readers struct {
	kind  Kind
	texts []string
	keys  []age.Recipient
}

// ParseReaders reads recipients, one in each line. Empty lines and lines that
// begin with # are passed over, a recipient given twice counts once.
func ParseReaders(lines []string) (Readers, error) {
	var r Readers
	for i, line := range lines {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := r.add(line); err != nil {
			return Readers{}, fmt.Errorf("reader %d: %w", i+1, err)
		}
	}
	if len(r.keys) == 0 {
		return Readers{}, fmt.Errorf("%w: give at least one recipient, a line that begins with age1", ErrNoReaders)
	}
	return r, nil
}

func (r *Readers) add(line string) error {
	key, kind, err := parseRecipient(line)
	if err != nil {
		return err
	}
	if r.kind != "" && r.kind != kind {
		return fmt.Errorf("%w: this one is %s, those before are %s, and age seals no file to both: "+
			"make a new identity of the same kind for this reader", ErrMixedReaders, kind, r.kind)
	}
	r.kind = kind
	if slices.Contains(r.texts, line) {
		return nil
	}
	if len(r.keys) == maxReaders {
		return fmt.Errorf("too many: want at most %d", maxReaders)
	}
	r.texts, r.keys = append(r.texts, line), append(r.keys, key)
	return nil
}

func parseRecipient(s string) (age.Recipient, Kind, error) {
	switch {
	case strings.HasPrefix(strings.ToUpper(s), "AGE-SECRET-KEY-"), strings.HasPrefix(strings.ToUpper(s), pluginSecret):
		return nil, "", fmt.Errorf("%w: give its recipient, the line that begins with age1, and keep the identity to yourself", ErrIdentityAsReader)
	case strings.HasPrefix(s, "age1pq1"):
		r, err := age.ParseHybridRecipient(s)
		if err != nil {
			return nil, "", fmt.Errorf("recipient %q: mistyped or cut short: want the whole line, about 1960 characters", shorten(s))
		}
		return r, Hybrid, nil
	case strings.HasPrefix(s, "age1"):
		r, err := age.ParseX25519Recipient(s)
		if err != nil {
			return nil, "", fmt.Errorf("recipient %q: mistyped, cut short or of a plugin: want 62 characters that begin with age1", shorten(s))
		}
		return r, Classic, nil
	case strings.HasPrefix(s, "ssh-"):
		return nil, "", fmt.Errorf("recipient %q: SSH keys are not taken: make an identity with `watchward keygen`", shorten(s))
	default:
		return nil, "", fmt.Errorf("recipient %q: want a line that begins with age1", shorten(s))
	}
}

// shorten keeps errors readable: a hybrid recipient has about 1960 characters.
func shorten(s string) string {
	if len(s) <= 24 {
		return s
	}
	return s[:16] + "…" + s[len(s)-6:]
}

// Kind is the kind of all of them; "" for nobody.
func (r Readers) Kind() Kind { return r.kind }

// Len is how many there are.
func (r Readers) Len() int { return len(r.keys) }

// Strings are the recipients, in the order given.
func (r Readers) Strings() []string { return slices.Clone(r.texts) }

package seal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"filippo.io/age"
)

// stanzaType marks the extra stanza of a day key file. Its body is the day's
// recipient, in clear: age skips stanzas it does not know (C2SP age.md,
// "Recipient stanza"), so any age tool opens the file, and a recorder that was
// started again goes on with the same day key without any identity.
//
// The stanza is under the header's MAC, so a reader finds out if it was
// changed; a recorder cannot. Whoever can write the keys folder could as well
// replace the recorder.
const stanzaType = "watchward-day"

// dayLimit is the longest day key file that is read.
const dayLimit = headerLimit + 64<<10

// dayStanza puts the day's recipient into a header. It carries the labels of
// the readers, since age refuses to mix what is labelled "postquantum" with
// what is not.
type dayStanza struct {
	recipient string
	kind      Kind
}

func (d dayStanza) Wrap([]byte) ([]*age.Stanza, error) {
	return []*age.Stanza{{Type: stanzaType, Body: []byte(d.recipient)}}, nil
}

func (d dayStanza) WrapWithLabels(key []byte) ([]*age.Stanza, []string, error) {
	s, err := d.Wrap(key)
	if d.kind == Hybrid {
		return s, []string{"postquantum"}, err
	}
	return s, nil, err
}

// sealDay seals a day's identity to the readers.
func sealDay(id Identity, to Readers) ([]byte, error) {
	if to.Len() == 0 {
		return nil, fmt.Errorf("seal day key: %w", ErrNoReaders)
	}
	text := append(make([]byte, 0, len(id.text)+1), id.text...)
	text = append(text, '\n')
	defer clear(text)
	var out bytes.Buffer
	w, err := age.Encrypt(&out, append(slices.Clone(to.keys), dayStanza{id.recipient, to.kind})...)
	if err != nil {
		return nil, fmt.Errorf("seal day key: %w", err)
	}
	if _, err := w.Write(text); err != nil {
		return nil, fmt.Errorf("seal day key: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("seal day key: %w", err)
	}
	return out.Bytes(), nil
}

// newDay makes a day's identity, seals it and forgets it.
func newDay(to Readers) (sealed []byte, recipient string, err error) {
	secretly(func() {
		var id Identity
		if id, err = GenerateIdentity(to.Kind()); err != nil {
			return
		}
		// A copy: in a build that wipes, what was made in here does not last.
		recipient = strings.Clone(id.recipient)
		sealed, err = sealDay(id, to)
	})
	return slices.Clone(sealed), strings.Clone(recipient), err
}

// DayRecipient reads the recipient of a sealed day key. It needs no identity.
func DayRecipient(sealed []byte) (string, error) {
	var found recipientFinder
	_, err := age.Decrypt(io.LimitReader(bytes.NewReader(sealed), dayLimit), &found)
	if found.text == "" {
		var none *age.NoIdentityMatchError
		if err == nil || errors.As(err, &none) {
			return "", fmt.Errorf("read day key: %w: no %q in its header", ErrDamaged, stanzaType)
		}
		return "", fmt.Errorf("read day key: %w: %w", ErrDamaged, err)
	}
	if _, _, err := parseRecipient(found.text); err != nil {
		return "", fmt.Errorf("read day key: %w: %w", ErrDamaged, err)
	}
	return found.text, nil
}

// recipientFinder is given the stanzas of a header, as an identity is, and
// takes none.
type recipientFinder struct{ text string }

func (f *recipientFinder) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	for _, s := range stanzas {
		if s.Type == stanzaType && f.text == "" {
			f.text = string(s.Body)
		}
	}
	return nil, age.ErrIncorrectIdentity
}

// OpenDay opens a sealed day key with the identity of one of its readers.
func OpenDay(sealed []byte, id Identity) (Identity, error) {
	r, err := age.Decrypt(bytes.NewReader(sealed), id.unlock())
	if err != nil {
		return Identity{}, fmt.Errorf("open day key: %w", explain(err))
	}
	text, err := io.ReadAll(io.LimitReader(r, 64<<10))
	defer clear(text)
	if err != nil {
		return Identity{}, fmt.Errorf("open day key: %w: %w", ErrDamaged, err)
	}
	day, err := ParseIdentity(string(text))
	if err != nil {
		return Identity{}, fmt.Errorf("open day key: %w", err)
	}
	return day, nil
}

// Reseal seals a day key anew, to other readers, with the identity of one who
// can open it now. Video is not touched.
func Reseal(sealed []byte, id Identity, to Readers) ([]byte, error) {
	day, err := OpenDay(sealed, id)
	if err != nil {
		return nil, fmt.Errorf("reseal: %w", err)
	}
	out, err := sealDay(day, to)
	if err != nil {
		return nil, fmt.Errorf("reseal: %w", err)
	}
	return out, nil
}

package seal

import (
	"bytes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"filippo.io/age"
	"golang.org/x/crypto/chacha20poly1305"
)

// Tail seals what a [Writer] holds back, again and again, so that a crash does
// not cost it. Each [Tail.Seal] makes a whole age file: the one header, made
// once, then a payload of its own. The chunk that the Writer has open must
// never be written early, for it would be sealed twice under one nonce; a
// payload with a fresh random nonce has a fresh key (C2SP age.md, "Payload").
//
// Inside are eight bytes, big endian, for the place of the first byte in the
// segment's plain bytes, then those bytes.
type Tail struct {
	header []byte // with its MAC
	key    []byte // the file key
	plain  []byte // reused
	sealed []byte // reused
}

// tailPlace is the length of what comes before a tail's bytes.
const tailPlace = 8

// NewTail makes the header, sealed to the day.
func NewTail(day age.Recipient) (*Tail, error) {
	t := new(Tail)
	var buf bytes.Buffer
	if _, err := age.Encrypt(&buf, overhear{day, t}); err != nil {
		return nil, fmt.Errorf("begin tail: %w", err)
	}
	if buf.Len() <= nonceSize || len(t.key) == 0 {
		return nil, errors.New("begin tail: age wrote no header")
	}
	t.header = buf.Bytes()[:buf.Len()-nonceSize]
	return t, nil
}

// overhear keeps the file key that age makes for a header.
type overhear struct {
	age.Recipient
	t *Tail
}

func (o overhear) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	o.t.key = slices.Clone(fileKey)
	return o.Recipient.Wrap(fileKey)
}

// WrapWithLabels passes on which kinds of recipient may share a header.
func (o overhear) WrapWithLabels(fileKey []byte) ([]*age.Stanza, []string, error) {
	if r, ok := o.Recipient.(age.RecipientWithLabels); ok {
		o.t.key = slices.Clone(fileKey)
		return r.WrapWithLabels(fileKey)
	}
	s, err := o.Wrap(fileKey)
	return s, nil, err
}

// Seal returns the age file for the bytes that w holds back now. It is valid
// until the next call.
func (t *Tail) Seal(w *Writer) ([]byte, error) {
	open := w.open
	t.plain = binary.BigEndian.AppendUint64(t.plain[:0], uint64(w.plain-int64(len(open))))
	t.plain = append(t.plain, open...)
	nonce := make([]byte, nonceSize)
	rand.Read(nonce)
	aead, err := payloadCipher(t.key, nonce)
	if err != nil {
		return nil, fmt.Errorf("seal tail: %w", err)
	}
	t.sealed = append(append(t.sealed[:0], t.header...), nonce...)
	rest := t.plain
	for i := uint64(0); ; i++ {
		piece := rest[:min(len(rest), chunkSize)]
		rest = rest[len(piece):]
		t.sealed = aead.Seal(t.sealed, streamNonce(i, len(rest) == 0), piece, nil)
		if len(rest) == 0 {
			return t.sealed, nil
		}
	}
}

// payloadCipher is the cipher of a payload's chunks (C2SP age.md, "Payload").
func payloadCipher(fileKey, nonce []byte) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, fileKey, nonce, "payload", chacha20poly1305.KeySize)
	if err != nil {
		return nil, err
	}
	return chacha20poly1305.New(key)
}

// streamNonce is an 11 byte counter and a byte that marks the last chunk.
func streamNonce(i uint64, last bool) []byte {
	nonce := make([]byte, chacha20poly1305.NonceSize)
	binary.BigEndian.PutUint64(nonce[3:], i)
	if last {
		nonce[11] = 1
	}
	return nonce
}

// OpenTail returns the bytes of a tail that lie at and after a place in the
// segment's plain bytes. It returns none when they are not there: another tail
// of the segment may have them. The error wraps [ErrDamaged] for a tail that a
// crash caught half written.
func OpenTail(src io.Reader, day Identity, from int64) ([]byte, error) {
	r, err := Open(src, day)
	if err != nil {
		return nil, fmt.Errorf("open tail: %w", err)
	}
	b, err := io.ReadAll(io.LimitReader(r, tailPlace+chunkSize+1))
	if err != nil {
		return nil, fmt.Errorf("open tail: %w", err)
	}
	if len(b) < tailPlace || len(b) > tailPlace+chunkSize {
		return nil, fmt.Errorf("open tail: %w: %d bytes", ErrDamaged, len(b))
	}
	place, held := binary.BigEndian.Uint64(b), b[tailPlace:]
	if place > uint64(from) || uint64(from)-place > uint64(len(held)) {
		return nil, nil
	}
	return held[uint64(from)-place:], nil
}

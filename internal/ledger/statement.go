package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"
)

// statementHead begins the text that is signed for a statement. No origin of a
// log looks like it, so no statement can be passed off as a checkpoint.
const statementHead = "watchward/statement/v1"

// ErrStatement means that a signed note does not speak for a document.
var ErrStatement = errors.New("not a statement about this document")

// Sign signs a document, such as the state of assurance at one moment, with the
// ledger's key. What it returns is a signed note (C2SP signed-note) of three lines:
// the version, what the document is about, and its SHA-256. It proves who said
// so, not when: for that the document names a checkpoint.
func (l *Ledger) Sign(about string, document []byte) ([]byte, error) {
	key, err := LoadKey(l.o.Key)
	if err != nil {
		return nil, fmt.Errorf("sign statement: %w", err)
	}
	s, err := note.NewSigner(key.secret)
	if err != nil {
		return nil, errors.New("sign statement: not a signing key")
	}
	text, err := statementText(about, document)
	if err != nil {
		return nil, err
	}
	return note.Sign(&note.Note{Text: text}, s)
}

func statementText(about string, document []byte) (string, error) {
	if about == "" || len(about) > maxKey || bytes.ContainsAny([]byte(about), "\n\r\x00") {
		return "", fmt.Errorf("statement about %q: want one word of at most %d bytes", clip(about), maxKey)
	}
	sum := sha256.Sum256(document)
	return statementHead + "\n" + about + "\n" + hex.EncodeToString(sum[:]) + "\n", nil
}

// VerifyStatement checks that the holder of a log's key signed a document as
// being about something. Key is the verifier key, from whoever is trusted to
// know it.
func VerifyStatement(signed []byte, key, about string, document []byte) error {
	if len(signed) > maxCheckpoint {
		return fmt.Errorf("%w: note of %d bytes", ErrStatement, len(signed))
	}
	v, err := verifier(key)
	if err != nil {
		return err
	}
	n, err := note.Open(signed, note.VerifierList(v))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrStatement, err)
	}
	want, err := statementText(about, document)
	if err != nil {
		return err
	}
	if n.Text != want {
		return ErrStatement
	}
	return nil
}

package ledger

import (
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
)

func TestStatement(t *testing.T) {
	dir := t.TempDir()
	l, err := Open(t.Context(), Options{Dir: filepath.Join(dir, "ledger"), Key: filepath.Join(dir, "key"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	document := []byte(`{"cameras":10}`)
	signed, err := l.Sign("assurance", document)
	if err != nil {
		t.Fatal(err)
	}
	other, err := MakeKey(filepath.Join(dir, "other"), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, about, key string
		document         []byte
		signed           []byte
		good             bool
	}{
		{"as signed", "assurance", l.VerifierKey(), document, signed, true},
		{"another document", "assurance", l.VerifierKey(), []byte(`{"cameras":11}`), signed, false},
		{"about something else", "census", l.VerifierKey(), document, signed, false},
		{"another key", "assurance", other.Public(), document, signed, false},
		{"no note", "assurance", l.VerifierKey(), document, []byte("yes"), false},
		{"a note too long", "assurance", l.VerifierKey(), document, []byte(strings.Repeat("x", maxCheckpoint+1)), false},
	} {
		err := VerifyStatement(tt.signed, tt.key, tt.about, tt.document)
		if (err == nil) != tt.good || !tt.good && !errors.Is(err, ErrStatement) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if _, err := ParseCheckpoint(signed, l.VerifierKey()); err == nil {
		t.Error("a statement is taken for a checkpoint")
	}
	if _, err := l.Sign("two\nlines", document); err == nil {
		t.Error("a statement about two lines")
	}
}

package identify

import (
	"testing"
	"time"

	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/identify/fingerprints"
)

func defaultEngine(t testing.TB) *Engine {
	t.Helper()
	e, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestFingerprintExamples holds each fingerprint to what it must match and must
// not, through the parsers that real evidence goes through.
func TestFingerprintExamples(t *testing.T) {
	e := defaultEngine(t)
	for _, f := range e.Data().Fingerprints.All() {
		for _, ex := range f.Yes {
			if !matches(e, f, ex) {
				t.Errorf("%s does not match %s %q", f.ID, ex.Kind, ex.Value)
			}
		}
		for _, ex := range f.No {
			if matches(e, f, ex) {
				t.Errorf("%s matches %s %q, and must not", f.ID, ex.Kind, ex.Value)
			}
		}
	}
}

func matches(e *Engine, f fingerprints.Fingerprint, ex fingerprints.Example) bool {
	c := &conclusion{engine: e, on: time.Time{}}
	c.read(estate.Evidence{ID: "e", Kind: ex.Kind, Value: ex.Value})
	for _, found := range c.findings {
		if found.reason.Fingerprint == f.ID {
			return true
		}
	}
	return false
}

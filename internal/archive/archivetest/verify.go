package archivetest

import (
	"testing"

	"github.com/watchward/watchward/internal/archive"
)

// Verify fails the test unless the archive, to which nobody writes, is whole:
// rows and files tell the same story, hashes fit, no time is claimed twice and
// none is unaccounted for.
func Verify(t testing.TB, a *archive.Archive) {
	t.Helper()
	r, err := a.Check(t.Context(), archive.CheckOptions{Hash: true})
	if err != nil {
		t.Errorf("check: %v", err)
		return
	}
	for _, p := range r.Problems {
		t.Errorf("check: %s: %s: %s", p.What, p.Where, p.Detail)
	}
}

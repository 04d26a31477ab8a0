package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestFullDisk fills the disk under a ledger, and makes room again.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("needs root: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	h := newHouse(t)
	h.dir = dir
	h.o.Dir, h.o.Key = h.ledgerDir(), filepath.Join(dir, "ledger.key")
	for round := range 3 {
		h.open()
		filler := filepath.Join(dir, "filler")
		fill(t, filler)
		var acknowledged []string
		full := 0
		for i := 0; i < 300 && full < 3; i++ {
			name := fmt.Sprintf("town/gate/2026-11-25/00-00-00.000Z_%d.stopped.gap", round*1000+i+1)
			_, err := h.l.Append(t.Context(), Gap(name, EnteredRecorded), viewing())
			switch {
			case err == nil:
				acknowledged = append(acknowledged, name)
			case errors.Is(err, syscall.ENOSPC):
				full++
			default:
				t.Fatal(err)
			}
			_ = h.l.integrate(t.Context()) // fails when the disk is full: the spool keeps it
		}
		if full == 0 {
			t.Fatal("the disk never was full")
		}
		if round == 1 { // the process dies with its disk full
			_ = h.l.Close()
		}
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		if round == 1 {
			h.open()
		}
		if err := errors.Join(h.l.integrate(t.Context()), h.l.tree.publish(t.Context())); err != nil {
			t.Fatalf("with room again: %v", err)
		}
		for _, name := range acknowledged {
			if _, err := h.l.Find(t.Context(), NoVideo, name); err != nil {
				t.Errorf("acknowledged and lost: %v", err)
			}
		}
		_ = h.l.Close()
		r, err := Verify(t.Context(), VerifyOptions{Dir: h.ledgerDir()})
		if err != nil || !r.OK() {
			t.Errorf("round %d: %+v, %v", round, r.Lies, err)
		}
	}
}

// fill leaves next to no room.
func fill(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for {
		if _, err := f.Write(bytes.Repeat([]byte{1}, 4096)); err != nil {
			st, _ := f.Stat()
			_ = f.Truncate(st.Size() - 24<<10)
			return
		}
	}
}

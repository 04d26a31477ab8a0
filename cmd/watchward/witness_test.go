package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/watchward/watchward/internal/ledger"
)

// TestWitnessCommand is the guide's way: two machines, one key in each
// direction, a ledger cosigned, and a rollback that the witness shows to
// anybody who compares.
func TestWitnessCommand(t *testing.T) {
	dir := t.TempDir()
	server := func(witnesses ...WitnessConfig) {
		t.Helper()
		cfg := DefaultConfig()
		cfg.Data, cfg.Listen, cfg.Log.Level = dir, "127.0.0.1:0", "error"
		cfg.Ledger.Witnesses = witnesses
		h, err := build(t.Context(), cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		over, stop := context.WithCancel(t.Context())
		stop()
		if err := h.serve(over, io.Discard, false); err != nil {
			t.Fatal(err)
		}
	}
	server()
	log, err := ledger.OpenLog(filepath.Join(dir, ledgerName), "")
	if err != nil {
		t.Fatal(err)
	}

	ctx, stop := context.WithCancel(t.Context())
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() {
		c := WitnessCmd{Data: t.TempDir(), Log: []string{log.VerifierKey()}, Listen: "127.0.0.1:0", Name: "witness.example.org/w1"}
		done <- c.Run(ctx, &streams{Out: in, Err: io.Discard})
	}()
	said := map[string]string{}
	for lines := bufio.NewScanner(out); len(said) < 2 && lines.Scan(); {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		said[word] = rest
	}
	server(WitnessConfig{URL: said["ready"], Key: said["key"]})
	stop()
	if err := <-done; err != nil {
		t.Errorf("witness ended: %v", err)
	}

	answer, err := exec.Command("watchward", "verify", "--json", "--data", dir, "--key", log.VerifierKey(), "--witness", said["key"]).Output()
	if err != nil {
		t.Fatalf("verify: %v\n%s", err, answer)
	}
	var r verified
	if err := json.Unmarshal(answer, &r); err != nil {
		t.Fatal(err)
	}
	if !r.OK || len(r.Cosigned) != 1 || r.Cosigned[0].Witness != "witness.example.org/w1" || time.Since(r.Cosigned[0].At) > time.Minute {
		t.Errorf("verified %+v", r)
	}
}

package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// outsider is a witness that listens on loopback.
type outsider struct {
	*Witness
	o   WitnessOptions
	url string
}

func newOutsider(t *testing.T, logs ...string) *outsider {
	t.Helper()
	o := WitnessOptions{Dir: t.TempDir(), Name: "witness.example/w1", Logs: logs, Log: slog.New(slog.DiscardHandler)}
	w, err := OpenWitness(o)
	if err != nil {
		t.Fatal(err)
	}
	out := &outsider{Witness: w, o: o}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { out.ServeHTTP(rw, r) }))
	t.Cleanup(func() {
		server.Close()
		_ = out.Close()
	})
	out.url = server.URL
	return out
}

// witnessed gives a house a ledger and a witness that watches it.
func witnessedHouse(t *testing.T) (*house, *outsider) {
	t.Helper()
	h := newHouse(t)
	h.start()
	key := h.l.VerifierKey()
	h.stop()
	w := newOutsider(t, key)
	h.o.Witnesses = []WitnessID{{URL: w.url, Key: w.VerifierKey()}}
	h.o.HTTP = &http.Client{Timeout: 5 * time.Second}
	h.o.CosignEvery = 10 * time.Millisecond
	return h, w
}

func TestWitnessCosigns(t *testing.T) {
	h, w := witnessedHouse(t)
	h.start()
	for i := range 300 {
		h.segment(i)
	}
	h.stop() // asks once more
	latest, ok := w.Latest(h.l.Origin())
	if !ok || latest.Size != 301 {
		t.Fatalf("the witness has %d leaves", latest.Size)
	}
	s, err := h.l.Status(t.Context())
	if err != nil || len(s.Witnesses) != 1 || s.Witnesses[0].Size != 301 || s.Witnesses[0].Trouble != "" || time.Since(s.Witnesses[0].At) > time.Minute {
		t.Errorf("status %+v, %v", s.Witnesses, err)
	}
	r := h.clean(h.verify(func(o *VerifyOptions) { o.Witnesses = []string{w.VerifierKey()} }))
	if len(r.Cosigned) != 1 || r.Cosigned[0].Witness != "witness.example/w1" || r.CosignedAt != 301 {
		t.Errorf("cosigned %+v at %d", r.Cosigned, r.CosignedAt)
	}
	// A proof carries the cosignature to whoever checks it offline.
	p, err := h.l.Prove(t.Context(), 200)
	if err != nil {
		t.Fatal(err)
	}
	_, c, err := p.Verify(h.l.VerifierKey())
	if err != nil {
		t.Fatal(err)
	}
	if by, err := c.Cosignatures([]string{w.VerifierKey()}); err != nil || len(by) != 1 {
		t.Errorf("cosigned by %+v, %v", by, err)
	}
	// The witness says the same after a restart, and goes on.
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if w.Witness, err = OpenWitness(w.o); err != nil {
		t.Fatal(err)
	}
	h.start()
	h.segment(400)
	h.stop()
	if latest, _ := w.Latest(h.l.Origin()); latest.Size != 302 {
		t.Errorf("after a restart the witness has %d leaves", latest.Size)
	}
}

func TestWitnessRefusesAnotherHistory(t *testing.T) {
	for _, tt := range []struct {
		name  string
		crime func(h *house)
		want  error
		lie   string
	}{
		{"rolled back", func(h *house) { h.rewrite(5) }, errRollback, LieRolledBack},
		{"forked at the same size", func(h *house) { h.step(time.Second); h.rewrite(11) }, errFork, LieFork},
		{"forked, then grown", func(h *house) {
			h.step(time.Second)
			h.rewrite(11)
			h.o.Witnesses = nil
			h.start()
			h.segment(50)
			h.stop()
		}, errFork, LieFork},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, w := witnessedHouse(t)
			h.start()
			for i := range 10 {
				h.segment(i)
			}
			h.stop()
			witnesses := h.o.Witnesses
			h.o.Witnesses = nil
			tt.crime(h)
			h.o.Witnesses = witnesses
			h.start()
			h.l.cosign.round(t.Context())
			s, err := h.l.Status(t.Context())
			h.stop()
			if err != nil || !s.Witnesses[0].Alarm || !strings.Contains(s.Witnesses[0].Trouble, tt.want.Error()) {
				t.Errorf("status %+v, %v", s.Witnesses, err)
			}
			if latest, _ := w.Latest(h.l.Origin()); latest.Size != 11 {
				t.Errorf("the witness has %d leaves, want 11 as before", latest.Size)
			}
			// What the witness remembers shows it to anybody.
			latest, _ := w.Latest(h.l.Origin())
			r := h.verify(func(o *VerifyOptions) { o.Checkpoints = [][]byte{latest.Note} })
			if len(r.Lies) == 0 || r.Lies[0].What != tt.lie {
				t.Errorf("lies %+v, want %s first", r.Lies, tt.lie)
			}
		})
	}
}

func TestWitnessAnswers(t *testing.T) {
	h, w := witnessedHouse(t)
	h.o.Witnesses = nil
	h.start()
	h.segment(1)
	h.stop()
	first, err := h.l.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stranger := newHouse(t)
	stranger.start()
	stranger.stop()
	other, err := stranger.l.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ask := func(method, path string, body []byte) (int, string, string) {
		req := httptest.NewRequest(method, path, bytes.NewReader(body))
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, req)
		return rec.Code, rec.Body.String(), rec.Header().Get("Content-Type")
	}
	forged := bytes.Replace(first.Note, []byte("\n2\n"), []byte("\n3\n"), 1)
	for _, tt := range []struct {
		name string
		body []byte
		code int
		want string
	}{
		{"not a request", []byte("hello"), 400, "want"},
		{"too large", bytes.Repeat([]byte("x"), maxAddCheckpoint+1), 400, "large"},
		{"a log it does not know", addCheckpoint(0, nil, other.Note), 404, "does not know"},
		{"a forged checkpoint", addCheckpoint(0, nil, forged), 403, "not signed"},
		{"an old size beyond the new", addCheckpoint(9, nil, first.Note), 400, "larger"},
		{"an old size it never saw", addCheckpoint(1, nil, first.Note), 409, "0\n"},
		{"a proof of nothing", addCheckpoint(0, [][]byte{make([]byte, 32)}, first.Note), 422, "want no hashes"},
		{"the first checkpoint", addCheckpoint(0, nil, first.Note), 200, "— witness.example/w1 "},
		{"the same again", addCheckpoint(2, nil, first.Note), 200, "— witness.example/w1 "},
		{"the same from nothing", addCheckpoint(0, nil, first.Note), 409, "2\n"},
	} {
		code, body, kind := ask("POST", "/add-checkpoint", tt.body)
		if code != tt.code || !strings.Contains(body, tt.want) {
			t.Errorf("%s: %d %q, want %d %q", tt.name, code, body, tt.code, tt.want)
		}
		if code == 409 && kind != "text/x.tlog.size" {
			t.Errorf("%s: type %q", tt.name, kind)
		}
	}
	if code, _, _ := ask("GET", "/add-checkpoint", nil); code != 405 {
		t.Errorf("GET: %d", code)
	}
	code, body, _ := ask("GET", "/checkpoint?origin="+h.l.Origin(), nil)
	if c, err := ParseCheckpoint([]byte(body), h.l.VerifierKey()); code != 200 || err != nil || c.Size != 2 {
		t.Errorf("GET checkpoint: %d %q", code, body)
	}
	if code, _, _ := ask("GET", "/checkpoint?origin=x", nil); code != 404 {
		t.Errorf("GET of another log: %d", code)
	}
}

// TestWitnessRemembersBeforeItAnswers fails its one write.
func TestWitnessRemembersBeforeItAnswers(t *testing.T) {
	h, w := witnessedHouse(t)
	c, err := h.l.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, done := range []bool{false, true} {
		w.files.fault = func(op, _ string, after bool) error {
			if op == "replace" && after == done {
				return syscall.EIO
			}
			return nil
		}
		if lines, refused := w.cosign(addCheckpoint(0, nil, c.Note)); refused == nil || refused.status != 500 {
			t.Errorf("done=%t: it answers %q though it could not remember", done, lines)
		}
	}
	w.files.fault = nil
	if _, refused := w.cosign(addCheckpoint(0, nil, c.Note)); refused != nil {
		t.Errorf("afterwards: %+v", refused)
	}
}

func TestWitnessRefusesToForget(t *testing.T) {
	h, w := witnessedHouse(t)
	h.start()
	h.stop()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(w.o.Dir, "*", "checkpoint"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files %q, %v", files, err)
	}
	if err := os.WriteFile(files[0], []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	if again, err := OpenWitness(w.o); err == nil {
		_ = again.Close()
		t.Error("it begins anew where its memory is damaged")
	}
	w.Witness, _ = OpenWitness(WitnessOptions{Dir: t.TempDir(), Logs: w.o.Logs, Log: w.o.Log}) // for the clean-up
}

// TestHostileWitness is a witness that answers what it likes.
func TestHostileWitness(t *testing.T) {
	h, w := witnessedHouse(t)
	for _, tt := range []struct {
		name, want string
		answer     func(rw http.ResponseWriter)
	}{
		{"no cosignature", "not its cosignature", func(rw http.ResponseWriter) { fmt.Fprintln(rw, "thanks") }},
		{"a cosignature of somebody else", "not its cosignature", func(rw http.ResponseWriter) {
			fmt.Fprintln(rw, "— witness.example/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==")
		}},
		{"no end", "not its cosignature", func(rw http.ResponseWriter) { _, _ = rw.Write(bytes.Repeat([]byte("— x y\n"), 1<<16)) }},
		{"a size that is none", "without its size", func(rw http.ResponseWriter) { rw.WriteHeader(409); fmt.Fprint(rw, "-1\n") }},
		{"a larger size", errRollback.Error(), func(rw http.ResponseWriter) { rw.WriteHeader(409); fmt.Fprint(rw, "99999\n") }},
		{"an error with an escape in it", "500", func(rw http.ResponseWriter) { rw.WriteHeader(500); fmt.Fprint(rw, "\x1b[2J") }},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { tt.answer(rw) }))
		h.o.Witnesses = []WitnessID{{URL: server.URL, Key: w.VerifierKey()}}
		h.open()
		h.l.cosign.round(t.Context())
		if s := h.l.cosign.status()[0]; !strings.Contains(s.Trouble, tt.want) || s.Size != 0 {
			t.Errorf("%s: %+v, want trouble that says %q", tt.name, s, tt.want)
		}
		_ = h.l.Close()
		server.Close()
	}
	h.o.Witnesses = []WitnessID{{URL: "ftp://x", Key: w.VerifierKey()}}
	if _, err := Open(context.Background(), h.o); err == nil || errors.Is(err, ErrInUse) {
		t.Errorf("a witness that cannot be asked: %v", err)
	}
}

package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"

	f_note "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
)

// WitnessOptions configures a [Witness].
type WitnessOptions struct {
	Dir  string   // required: where it remembers; made if missing
	Name string   // of a key made at the first start; empty means by chance
	Logs []string // required: verifier keys of the logs it watches
	Log  *slog.Logger
}

// Witness cosigns checkpoints of logs that only ever grew (C2SP tlog-witness,
// cosignature/v1). It keeps the newest checkpoint of each log, on the disk
// before it answers, and refuses what does not continue it.
//
// It serves POST add-checkpoint to logs, and GET checkpoint?origin= to whoever
// wants to compare: with what it answers, [Verify] finds a fork or a rollback.
type Witness struct {
	dir    string
	key    Key
	signer note.Signer
	logs   map[string]*witnessed // by origin; not changed after opening
	log    *slog.Logger
	files  *files
	lock   io.Closer
	mux    *http.ServeMux
}

// witnessed is one log.
type witnessed struct {
	key string
	v   note.Verifier
	dir string

	mu     sync.Mutex // held from comparing to remembering
	latest Checkpoint // Size 0 and no Note before the first
}

const (
	maxAddCheckpoint = 16 << 10
	maxRefusals      = 16 // kept as evidence, for each log
)

// OpenWitness opens a witness's folder, and makes its key at the first start.
func OpenWitness(o WitnessOptions) (*Witness, error) {
	w, err := openWitness(o, &files{})
	if err != nil {
		return nil, fmt.Errorf("open witness %q: %w", o.Dir, err)
	}
	return w, nil
}

func openWitness(o WitnessOptions, fl *files) (_ *Witness, err error) {
	if o.Dir == "" || len(o.Logs) == 0 {
		return nil, errors.New("want a folder, and the keys of the logs to watch")
	}
	w := &Witness{dir: o.Dir, logs: map[string]*witnessed{}, log: o.Log, files: fl}
	if w.log == nil {
		w.log = slog.Default()
	}
	if err := fl.mkdirAll(o.Dir); err != nil {
		return nil, err
	}
	if w.lock, err = takeLock(filepath.Join(o.Dir, lockName)); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = w.lock.Close()
		}
	}()
	file := filepath.Join(o.Dir, "witness.key")
	if w.key, err = LoadKey(file); errors.Is(err, fs.ErrNotExist) {
		w.key, err = MakeKey(file, o.Name)
	}
	if err != nil {
		return nil, err
	}
	if w.signer, err = f_note.NewSignerForCosignatureV1(w.key.secret); err != nil {
		return nil, err
	}
	for _, key := range o.Logs {
		if err := w.watch(key); err != nil {
			return nil, err
		}
	}
	w.mux = http.NewServeMux()
	w.mux.HandleFunc("POST /add-checkpoint", w.add)
	w.mux.HandleFunc("GET /checkpoint", w.show)
	return w, nil
}

// watch reads what is remembered of a log. What cannot be read is no reason to
// begin anew: that is what an attacker would want.
func (w *Witness) watch(key string) error {
	v, err := verifier(key)
	if err != nil {
		return err
	}
	if w.logs[v.Name()] != nil {
		return fmt.Errorf("log %q: named twice", v.Name())
	}
	sum := sha256.Sum256([]byte(v.Name()))
	l := &witnessed{key: key, v: v, dir: filepath.Join(w.dir, hex.EncodeToString(sum[:16]))}
	if err := w.files.mkdirAll(l.dir); err != nil {
		return err
	}
	b, err := readSmall(filepath.Join(l.dir, "checkpoint"), maxCheckpoint)
	if err == nil {
		l.latest, err = ParseCheckpoint(b, key)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return hintf(fmt.Errorf("what is remembered of log %q: %w", v.Name(), err), "put %q back from a backup: without it this witness cannot vouch for the log", l.dir)
	}
	w.logs[v.Name()] = l
	return nil
}

// VerifierKey is what servers and verifiers are told, of signature type 4.
func (w *Witness) VerifierKey() string {
	key, err := f_note.VKeyToCosignatureV1(w.key.Public())
	if err != nil {
		return w.key.Public() // type 1: readers derive the other
	}
	return key
}

// Latest is the newest checkpoint cosigned for a log, with the cosignature.
func (w *Witness) Latest(origin string) (Checkpoint, bool) {
	l := w.logs[origin]
	if l == nil {
		return Checkpoint{}, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.latest, l.latest.Note != nil
}

// Close gives up the folder.
func (w *Witness) Close() error { return w.lock.Close() }

// ServeHTTP answers logs.
func (w *Witness) ServeHTTP(rw http.ResponseWriter, r *http.Request) { w.mux.ServeHTTP(rw, r) }

func (w *Witness) add(rw http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, maxAddCheckpoint))
	if err != nil {
		http.Error(rw, "request too large, or cut short", http.StatusBadRequest)
		return
	}
	lines, refused := w.cosign(b)
	if refused == nil {
		rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = rw.Write(lines) // whoever hung up asks again
		return
	}
	if refused.status == http.StatusConflict {
		rw.Header().Set("Content-Type", "text/x.tlog.size")
		rw.WriteHeader(http.StatusConflict)
		fmt.Fprintf(rw, "%d\n", refused.size)
		return
	}
	http.Error(rw, refused.why, refused.status)
}

// refusal is why a witness does not cosign.
type refusal struct {
	status int
	why    string
	size   uint64 // of the checkpoint it knows, with 409
}

// cosign judges a request and returns signature lines, or why not.
func (w *Witness) cosign(b []byte) ([]byte, *refusal) {
	old, hashes, raw, err := parseAddCheckpoint(b)
	if err != nil {
		return nil, &refusal{status: http.StatusBadRequest, why: err.Error()}
	}
	text, err := parseCheckpointUnsigned(raw)
	if err != nil {
		return nil, &refusal{status: http.StatusBadRequest, why: err.Error()}
	}
	l := w.logs[text.Origin]
	if l == nil {
		return nil, &refusal{status: http.StatusNotFound, why: "this witness does not know the log"}
	}
	c, err := ParseCheckpoint(raw, l.key)
	switch {
	case err != nil:
		return nil, &refusal{status: http.StatusForbidden, why: "not signed by the log"}
	case old > c.Size:
		return nil, &refusal{status: http.StatusBadRequest, why: "the old size is larger than the new"}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if refused := w.judge(l, c, old, hashes); refused != nil {
		return nil, refused
	}
	lines, err := w.remember(l, c)
	if err != nil {
		w.log.Error("cannot remember a checkpoint, so do not cosign it", "log", c.Origin, "size", c.Size, "err", err)
		return nil, &refusal{status: http.StatusInternalServerError, why: "cannot remember it"}
	}
	w.log.Debug("cosigned", "log", c.Origin, "size", c.Size)
	return lines, nil
}

// judge compares a signed checkpoint with the one remembered.
func (w *Witness) judge(l *witnessed, c Checkpoint, old uint64, hashes [][]byte) *refusal {
	h := rfc6962.DefaultHasher
	last := l.latest
	switch {
	case old != last.Size:
		if c.Size < last.Size {
			w.log.Warn("log shows a shorter history than it did", "log", c.Origin, "had", last.Size, "shows", c.Size)
		}
		return &refusal{status: http.StatusConflict, size: last.Size}
	case c.Size == 0 && !bytes.Equal(c.Root[:], h.EmptyRoot()):
		return &refusal{status: http.StatusUnprocessableEntity, why: "this is not the root of an empty tree"}
	case old == c.Size && last.Note != nil && c.Root != last.Root:
		w.evidence(l, c)
		return &refusal{status: http.StatusConflict, size: last.Size}
	case old == 0 || old == c.Size:
		if len(hashes) > 0 {
			return &refusal{status: http.StatusUnprocessableEntity, why: "nothing is to be proven, want no hashes"}
		}
		return nil
	}
	if err := proof.VerifyConsistency(h, old, c.Size, hashes, last.Root[:], c.Root[:]); err != nil {
		w.evidence(l, c)
		return &refusal{status: http.StatusUnprocessableEntity, why: "the log does not prove that it only grew"}
	}
	return nil
}

// remember writes the checkpoint with our cosignature, then gives the cosignature out.
func (w *Witness) remember(l *witnessed, c Checkpoint) ([]byte, error) {
	n, err := note.Open(c.Note, note.VerifierList(l.v))
	if err != nil {
		return nil, err
	}
	signed, err := note.Sign(&note.Note{Text: n.Text, Sigs: n.Sigs}, w.signer)
	if err != nil {
		return nil, err
	}
	if err := w.files.replace(filepath.Join(l.dir, "checkpoint"), signed, 0o600); err != nil {
		return nil, err
	}
	c.Note = signed
	l.latest = c
	own, err := note.Sign(&note.Note{Text: n.Text}, w.signer)
	if err != nil {
		return nil, err
	}
	_, lines, _ := bytes.Cut(own, []byte("\n\n"))
	return lines, nil
}

// evidence keeps what a log signed and should not have. It proves the fork,
// together with the checkpoint remembered.
func (w *Witness) evidence(l *witnessed, c Checkpoint) {
	w.log.Error("log signed a history that does not continue the one cosigned", "log", c.Origin, "cosigned", l.latest.Size, "refused", c.Size)
	for i := range maxRefusals {
		name := filepath.Join(l.dir, "refused-"+strconv.Itoa(i+1))
		old, err := readSmall(name, maxCheckpoint)
		if err == nil && bytes.Equal(old, c.Note) {
			return
		}
		if errors.Is(err, fs.ErrNotExist) {
			if err := w.files.replace(name, c.Note, 0o600); err != nil {
				w.log.Error("cannot keep evidence", "err", err)
			}
			return
		}
	}
}

func (w *Witness) show(rw http.ResponseWriter, r *http.Request) {
	c, ok := w.Latest(r.URL.Query().Get("origin"))
	if !ok {
		http.Error(rw, "this witness has cosigned nothing for such a log", http.StatusNotFound)
		return
	}
	rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = rw.Write(c.Note)
}

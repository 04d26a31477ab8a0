package ledger

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	f_note "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

// WitnessID is a witness that the operator chose.
type WitnessID struct {
	URL string // submission prefix (C2SP tlog-witness): /add-checkpoint is added
	Key string // its verifier key: NAME+HASH+KEY
}

// Valid refuses what no request could be sent to, or no answer be checked by.
func (w WitnessID) Valid() error {
	u, err := url.Parse(w.URL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("witness %q: want an address such as https://witness.example.org/watchward", clip(w.URL))
	}
	_, err = witnessVerifier(w.Key)
	return err
}

// WitnessStatus is what is known of a witness.
type WitnessStatus struct {
	Name string
	URL  string
	Size uint64    // leaves of the newest checkpoint it cosigned
	At   time.Time // when, by its clock; zero if never
	// Trouble says why it did not cosign the last time it was asked, "" if it did.
	Trouble string
	// Alarm is true when it refused because it knows another history: a fork,
	// or one that is longer than ours.
	Alarm bool
}

var (
	errFork     = errors.New("the witness knows another history of this ledger")
	errRollback = errors.New("the witness knows a longer history of this ledger")
)

// refreshEvery is how often witnesses are asked when nothing is new: a page can
// then tell a quiet ledger from a witness that is gone.
const refreshEvery = 10 * time.Minute

// cosigner asks witnesses for cosignatures and keeps them.
type cosigner struct {
	log   *slog.Logger
	l     *Log
	o     Options
	files *files
	dir   string

	mu    sync.Mutex // guards the state of all
	state []*witnessState
}

type witnessState struct {
	id      WitnessID
	v       note.Verifier
	status  WitnessStatus
	knows   uint64 // the tree size to prove from
	answers []byte // signature lines for the newest cosigned checkpoint
	asked   time.Time
}

func newCosigner(o Options, l *Log, fl *files) (*cosigner, error) {
	c := &cosigner{log: o.Log, l: l, o: o, files: fl, dir: filepath.Join(o.Dir, cosignedDir)}
	if len(o.Witnesses) == 0 {
		return c, nil
	}
	if err := fl.mkdirAll(c.dir); err != nil {
		return nil, err
	}
	for _, id := range o.Witnesses {
		if err := id.Valid(); err != nil {
			return nil, err
		}
		v, err := witnessVerifier(id.Key)
		if err != nil {
			return nil, err
		}
		w := &witnessState{id: id, v: v, status: WitnessStatus{Name: v.Name(), URL: id.URL}}
		c.load(w)
		c.state = append(c.state, w)
	}
	return c, nil
}

// file is where a witness's newest cosignature lies.
func (c *cosigner) file(w *witnessState) string {
	return filepath.Join(c.dir, fmt.Sprintf("by-%08x", w.v.KeyHash()))
}

// load remembers what a witness cosigned before the last stop. Without it, the
// witness itself says where it stands.
func (c *cosigner) load(w *witnessState) {
	b, err := readSmall(c.file(w), maxCheckpoint)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			c.log.Warn("cannot read a cosigned checkpoint", "witness", w.v.Name(), "err", err)
		}
		return
	}
	cp, err := ParseCheckpoint(b, c.l.key)
	if err != nil {
		return
	}
	if sigs, err := cp.Cosignatures([]string{w.id.Key}); err == nil && len(sigs) == 1 {
		w.status.Size, w.status.At, w.knows = cp.Size, sigs[0].Time, cp.Size
	}
}

func (c *cosigner) status() []WitnessStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]WitnessStatus, len(c.state))
	for i, w := range c.state {
		out[i] = w.status
	}
	return out
}

// run asks until ctx ends.
func (c *cosigner) run(ctx context.Context) {
	tick := time.NewTicker(c.o.CosignEvery)
	defer tick.Stop()
	for {
		c.round(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// round asks every witness that has not cosigned the newest checkpoint.
func (c *cosigner) round(ctx context.Context) {
	cp, err := c.l.Checkpoint(ctx)
	if err != nil {
		c.log.Error("no checkpoint to have cosigned", "err", err)
		return
	}
	var wg sync.WaitGroup
	for _, w := range c.state {
		c.mu.Lock()
		due := w.status.Size < cp.Size || w.status.Trouble != "" || time.Since(w.asked) > refreshEvery
		c.mu.Unlock()
		if due {
			wg.Go(func() { c.ask(ctx, w, cp) })
		}
	}
	wg.Wait()
	if err := c.keep(cp); err != nil {
		c.log.Error("keep cosigned checkpoint", "err", err)
	}
}

func (c *cosigner) ask(ctx context.Context, w *witnessState, cp Checkpoint) {
	lines, at, err := c.request(ctx, w, cp)
	c.mu.Lock()
	was := w.status
	w.asked = time.Now()
	w.status.Alarm = errors.Is(err, errFork) || errors.Is(err, errRollback)
	if w.status.Trouble = ""; err != nil {
		w.status.Trouble = err.Error()
	} else {
		w.status.Size, w.status.At, w.knows, w.answers = cp.Size, at, cp.Size, lines
	}
	now := w.status
	c.mu.Unlock()
	switch {
	case err == nil:
		if err := c.files.replace(c.file(w), append(bytes.Clone(signedBy(cp, c.l.v)), lines...), 0o600); err != nil {
			c.log.Warn("keep cosignature", "witness", now.Name, "err", err)
		}
	case now.Alarm && !was.Alarm:
		c.log.Error("A WITNESS REFUSES THIS LEDGER", "witness", now.Name, "err", err)
	case was.Trouble == "" && ctx.Err() == nil:
		c.log.Warn("witness does not cosign", "witness", now.Name, "err", err)
	}
}

// signedBy is the checkpoint with the log's own signature and no other.
func signedBy(cp Checkpoint, v note.Verifier) []byte {
	n, err := note.Open(cp.Note, note.VerifierList(v))
	if err != nil {
		return cp.Note
	}
	return fmt.Appendf(nil, "%s\n— %s %s\n", n.Text, n.Sigs[0].Name, n.Sigs[0].Base64)
}

// keep writes the newest checkpoint with all the cosignatures it has.
func (c *cosigner) keep(cp Checkpoint) error {
	b := bytes.Clone(signedBy(cp, c.l.v))
	some := false
	c.mu.Lock()
	for _, w := range c.state {
		if w.status.Size == cp.Size && len(w.answers) > 0 {
			b, some = append(b, w.answers...), true
		}
	}
	c.mu.Unlock()
	if !some {
		return nil
	}
	name := filepath.Join(c.dir, "checkpoint")
	if old, err := readSmall(name, maxCheckpoint); err == nil && bytes.Equal(old, b) {
		return nil
	}
	return c.files.replace(name, b, 0o600)
}

// request sends a checkpoint, and once more when the witness says that it
// stands elsewhere than we thought.
func (c *cosigner) request(ctx context.Context, w *witnessState, cp Checkpoint) ([]byte, time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	from := min(w.knows, cp.Size)
	for try := 0; ; try++ {
		proof, err := c.l.consistency(ctx, from, cp.Size)
		if err != nil {
			return nil, time.Time{}, fmt.Errorf("prove growth from %d: %w", from, err)
		}
		status, body, err := c.post(ctx, w.id.URL, addCheckpoint(from, proof, signedBy(cp, c.l.v)))
		if err != nil {
			return nil, time.Time{}, err
		}
		switch status {
		case http.StatusOK:
			return c.accept(w, cp, body)
		case http.StatusUnprocessableEntity:
			return nil, time.Time{}, fmt.Errorf("%w (422)", errFork)
		case http.StatusConflict:
		default:
			return nil, time.Time{}, fmt.Errorf("witness answered %d %s", status, clip(strings.TrimSpace(string(body))))
		}
		stands, err := readUint(strings.TrimSpace(string(body)))
		switch {
		case err != nil:
			return nil, time.Time{}, fmt.Errorf("witness answered 409 without its size: %w", err)
		case stands > cp.Size:
			return nil, time.Time{}, fmt.Errorf("%w: %d leaves, ours has %d", errRollback, stands, cp.Size)
		case stands == from:
			return nil, time.Time{}, fmt.Errorf("%w: another root of %d leaves", errFork, stands)
		case try > 2:
			return nil, time.Time{}, errors.New("the witness changes its mind")
		}
		from = stands
	}
}

func (c *cosigner) post(ctx context.Context, prefix string, body []byte) (int, []byte, error) {
	address := strings.TrimSuffix(prefix, "/") + "/add-checkpoint"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	resp, err := c.o.HTTP.Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("ask witness: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxCheckpoint))
	if err != nil {
		return 0, nil, fmt.Errorf("ask witness: %w", err)
	}
	return resp.StatusCode, answer, nil
}

// accept checks an answer: only a cosignature that verifies counts.
func (c *cosigner) accept(w *witnessState, cp Checkpoint, body []byte) ([]byte, time.Time, error) {
	n, err := note.Open(append(bytes.Clone(signedBy(cp, c.l.v)), body...), note.VerifierList(w.v))
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("the witness's answer is not its cosignature: %w", err)
	}
	at, err := f_note.CoSigV1Timestamp(n.Sigs[0])
	if err != nil {
		return nil, time.Time{}, err
	}
	return fmt.Appendf(nil, "— %s %s\n", n.Sigs[0].Name, n.Sigs[0].Base64), at.UTC(), nil
}

// addCheckpoint is the body of a request (C2SP tlog-witness).
func addCheckpoint(old uint64, proof [][]byte, checkpoint []byte) []byte {
	var b bytes.Buffer
	b.WriteString("old " + strconv.FormatUint(old, 10) + "\n")
	for _, h := range proof {
		b.WriteString(base64.StdEncoding.EncodeToString(h) + "\n")
	}
	b.WriteByte('\n')
	b.Write(checkpoint)
	return b.Bytes()
}

// parseAddCheckpoint reads such a body.
func parseAddCheckpoint(b []byte) (old uint64, proof [][]byte, checkpoint []byte, err error) {
	head, checkpoint, ok := bytes.Cut(b, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if !ok || len(lines) > 64 {
		return 0, nil, nil, errors.New("want an old size, at most 63 hashes, an empty line and a checkpoint")
	}
	value, ok := strings.CutPrefix(lines[0], "old ")
	if !ok {
		return 0, nil, nil, fmt.Errorf("line 1: %q: want old and a size", clip(lines[0]))
	}
	if old, err = readUint(value); err != nil {
		return 0, nil, nil, fmt.Errorf("line 1: %w", err)
	}
	for i, line := range lines[1:] {
		h, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(h) != 32 || base64.StdEncoding.EncodeToString(h) != line {
			return 0, nil, nil, fmt.Errorf("line %d: want 32 bytes in base64", i+2)
		}
		proof = append(proof, h)
	}
	return old, proof, checkpoint, nil
}

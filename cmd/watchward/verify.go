package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/ledger"
)

// VerifyCmd is "watchward verify".
type VerifyCmd struct {
	DataArg
	Files      bool     `default:"true" negatable:"" help:"Read every segment and compare its hash. With --no-files: names, sizes and the index's hashes only."`
	Key        string   `placeholder:"KEY" help:"The ledger's verifier key, or a file with it, from somebody you trust. Default: the one in the folder, or the remembered one."`
	Remember   string   `placeholder:"FILE" help:"Compare with the checkpoint in this file, and write the newest into it if nothing is wrong. Keep it elsewhere." type:"path"`
	Checkpoint []string `placeholder:"FILE" help:"Compare with a checkpoint somebody else was shown, such as a witness; may be given again." type:"existingfile"`
	Witness    []string `placeholder:"KEY" help:"A witness's verifier key: say when it cosigned; may be given again."`
	JSON       bool     `help:"Print JSON."`
}

// Help is shown by --help.
func (VerifyCmd) Help() string {
	return `Every leaf must be in the tree whose root is signed; every checkpoint shown before must be a
beginning of it; every segment and gap that was recorded and not deleted must lie in the archive as
it was, and nothing else. The first lie is named first. Needs no identity, changes nothing, and may
run beside the server.

Without --key, --remember or --checkpoint, whoever can exchange the whole folder, key and all, can
show you another history. With one of them he cannot.

Examples

    watchward verify /srv/watchward
    watchward verify --remember /mnt/usb/ledger.seen /srv/watchward
    curl -s 'https://witness.example.org/checkpoint?origin=watchward/0123456789abcdef' > seen
    watchward verify --checkpoint seen --no-files --json /srv/watchward | jq .lies

Exit codes: 0 no lie found, 1 could not look, 3 lies found.`
}

// verified is what --json prints.
type verified struct {
	OK       bool           `json:"ok"`
	Lies     []verifiedLie  `json:"lies"` // the first lie first
	More     int            `json:"more"` // lies beyond those
	Notes    []verifiedNote `json:"notes"`
	Origin   string         `json:"origin"`
	Key      string         `json:"key"`
	Leaves   int64          `json:"leaves"`
	Root     string         `json:"root"`
	Segments int64          `json:"segments"` // noted, deleted ones too
	Gaps     int64          `json:"gaps"`
	Deleted  int64          `json:"deleted"`
	Read     int64          `json:"read"`    // bytes of segments read
	Waiting  int            `json:"waiting"` // noted, in no checkpoint yet
	Cosigned []cosignedBy   `json:"cosigned"`
	Compared int            `json:"compared"` // checkpoints from elsewhere
	Files    bool           `json:"files"`
}

type verifiedLie struct {
	What   string `json:"what"`
	Where  string `json:"where"`
	Detail string `json:"detail"`
	Leaf   *int64 `json:"leaf,omitempty"`
}

type verifiedNote struct {
	Where  string `json:"where"`
	Detail string `json:"detail"`
}

type cosignedBy struct {
	Witness string    `json:"witness"`
	At      time.Time `json:"at"`
	Leaves  uint64    `json:"leaves"`
}

// Run verifies.
func (c *VerifyCmd) Run(ctx context.Context, s *streams) (err error) {
	f, err := c.folder()
	if err != nil {
		return err
	}
	if !ledger.Exists(f.path(ledgerName)) {
		return withHint(fmt.Errorf("verify %q: there is no ledger in it", string(f)), "the server begins one at its next start")
	}
	o := ledger.VerifyOptions{
		Dir: f.path(ledgerName), Archive: f.path("archive"), Read: c.Files, Witnesses: c.Witness, Progress: newProgress(s.Err, c.JSON).say,
	}
	if err := c.trust(&o); err != nil {
		return err
	}
	done, err := f.compareIndex(ctx, &o)
	if err != nil {
		return err
	}
	r, err := ledger.Verify(ctx, o)
	if err = errors.Join(err, done()); err != nil {
		return err
	}
	out := c.result(r, len(o.Checkpoints))
	if c.JSON {
		err = printJSON(s, out)
	} else {
		out.print(s)
	}
	switch {
	case err != nil:
		return err
	case !r.OK():
		return errProblems
	case c.Remember != "":
		return ledger.Remembered{Key: r.Key, Checkpoint: r.Checkpoint.Note}.Save(c.Remember)
	}
	return nil
}

// trust reads what the ledger is judged by.
func (c *VerifyCmd) trust(o *ledger.VerifyOptions) error {
	o.Key = c.Key
	if c.Key != "" && !strings.Contains(c.Key, "+") {
		b, err := readLimited(c.Key, 4<<10)
		if err != nil {
			return fmt.Errorf("read verifier key: %w", err)
		}
		o.Key = strings.TrimSpace(string(b))
	}
	for _, name := range c.Checkpoint {
		b, err := readLimited(name, 64<<10)
		if err != nil {
			return fmt.Errorf("read checkpoint: %w", err)
		}
		o.Checkpoints = append(o.Checkpoints, b)
	}
	if c.Remember == "" {
		return nil
	}
	b, err := readLimited(c.Remember, 64<<10)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the first time
	}
	var seen ledger.Remembered
	if err == nil {
		seen, err = ledger.ParseRemembered(b)
	}
	if err != nil {
		return withHint(fmt.Errorf("read remembered checkpoint %q: %w", c.Remember, err), "it is a file that an earlier verify wrote; name one that does not exist to begin")
	}
	o.Checkpoints = append(o.Checkpoints, seen.Checkpoint)
	if o.Key == "" {
		o.Key = seen.Key
	}
	return nil
}

// readLimited reads a small file.
func readLimited(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("%q is larger than %d bytes", name, most)
	}
	return b, err
}

// compareIndex adds the archive's index to what is compared, if there is one.
func (f dataFolder) compareIndex(ctx context.Context, o *ledger.VerifyOptions) (done func() error, err error) {
	none := func() error { return nil }
	if _, err := os.Stat(f.path("watchward.db")); errors.Is(err, fs.ErrNotExist) {
		return none, nil // files and leaves are enough
	}
	a, done, err := f.open(ctx)
	if err != nil {
		return none, err
	}
	if o.Live, err = a.Running(); err != nil {
		return none, errors.Join(err, done())
	}
	o.Waiting = a.Waiting
	o.Rows = func(ctx context.Context, row func(ledger.Row) error) error {
		return a.Rows(ctx, func(seg archive.Segment) error {
			return row(ledger.Row{Name: seg.Name(), Bytes: seg.Bytes, SHA256: seg.SHA256, Expiring: seg.State == archive.Expiring})
		}, func(g archive.Gap) error {
			return row(ledger.Row{Name: g.Name(), Gap: true})
		})
	}
	return done, nil
}

func (c *VerifyCmd) result(r ledger.Report, compared int) verified {
	out := verified{
		OK: r.OK(), Lies: []verifiedLie{}, More: r.More, Notes: []verifiedNote{}, Origin: r.Checkpoint.Origin, Key: r.Key, Leaves: r.Leaves,
		Root: fmt.Sprintf("%x", r.Checkpoint.Root), Segments: r.Segments, Gaps: r.Gaps, Deleted: r.Deleted, Read: r.Read,
		Waiting: r.Waiting, Cosigned: []cosignedBy{}, Compared: compared, Files: c.Files,
	}
	for _, l := range r.Lies {
		lie := verifiedLie{What: l.What, Where: l.Where, Detail: l.Detail}
		if l.Leaf >= 0 {
			lie.Leaf = &l.Leaf
		}
		out.Lies = append(out.Lies, lie)
	}
	for _, n := range r.Notes {
		out.Notes = append(out.Notes, verifiedNote(n))
	}
	for _, w := range r.Cosigned {
		out.Cosigned = append(out.Cosigned, cosignedBy{w.Witness, w.Time, r.CosignedAt})
	}
	return out
}

func (r verified) print(s *streams) {
	for _, l := range r.Lies {
		s.printf("%s: %s: %s\n", l.What, oneLine(l.Where), oneLine(l.Detail))
	}
	if r.More > 0 {
		s.printf("and %s more\n", count(int64(r.More), "lie"))
	}
	for _, n := range r.Notes {
		s.printf("note: %s: %s\n", oneLine(n.Where), oneLine(n.Detail))
	}
	for _, w := range r.Cosigned {
		s.printf("cosigned by %s at %s: the first %d leaves\n", oneLine(w.Witness), stamp(w.At), w.Leaves)
	}
	if r.Compared == 0 {
		s.notef("watchward: hint: compared with nothing from outside this folder: see --remember, --checkpoint and --key\n")
	}
	what := "names, sizes and hashes of the index"
	if r.Files {
		what = bytesText(r.Read) + " read"
	}
	s.printf("%s, %s, %s, %s; %s: %s\n", countLeaves(r.Leaves), count(r.Segments, "segment"), count(r.Gaps, "gap"), count(r.Deleted, "deletion"),
		what, count(int64(len(r.Lies)+r.More), "lie"))
}

func countLeaves(n int64) string {
	if n == 1 {
		return "1 leaf"
	}
	return fmt.Sprintf("%d leaves", n)
}

// progress tells a person at a terminal how far long work is.
type progress struct {
	out  io.Writer
	last time.Time
}

// newProgress is silent where nobody looks.
func newProgress(out io.Writer, quiet bool) *progress {
	if quiet || !isTerminal(out) {
		return &progress{}
	}
	return &progress{out: out, last: time.Now()}
}

func (p *progress) say(at ledger.Progress) {
	if p.out == nil || time.Since(p.last) < time.Second {
		return
	}
	p.last = time.Now()
	percent := 100.0
	if at.Total > 0 {
		percent = 100 * float64(at.Done) / float64(at.Total)
	}
	fmt.Fprintf(p.out, "\r%-8s %3.0f %%\r", at.Stage, percent)
}

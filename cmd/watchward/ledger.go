package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/ledger"
)

// LedgerCmd is "watchward ledger".
type LedgerCmd struct {
	Show   LedgerShowCmd   `cmd:"" help:"Print leaves, the newest last."`
	Keys   LedgerKeysCmd   `cmd:"" help:"Print what others need to check the ledger, and who cosigned it."`
	Proof  LedgerProofCmd  `cmd:"" help:"Print a proof of one leaf as JSON."`
	Forget LedgerForgetCmd `cmd:"" help:"Destroy the words behind commitments, such as a person's name."`
}

func (f dataFolder) log() (*ledger.Log, error) {
	l, err := ledger.OpenLog(f.path(ledgerName), "")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, withHint(err, "the server begins a ledger at its first start")
	}
	return l, err
}

// LedgerShowCmd is "watchward ledger show".
type LedgerShowCmd struct {
	DataArg
	From  int64  `default:"-1" placeholder:"N" help:"Begin with this leaf. Default: so that the newest are shown."`
	Count uint64 `short:"n" default:"20" placeholder:"N" help:"How many leaves."`
	Kind  string `placeholder:"KIND" help:"Only leaves of this kind, such as viewing."`
	Words bool   `help:"Also print the words behind commitments: who, and why."`
	JSON  bool   `help:"Print JSON, one document."`
}

// Help is shown by --help.
func (LedgerShowCmd) Help() string {
	return `Leaves are shown as they lie in the tree: docs/reference/ledger-format.md. Those of the last second
may be missing: they are in no checkpoint yet.

Examples

    watchward ledger show /srv/watchward
    watchward ledger show --kind viewing --words --count 100000 /srv/watchward
    watchward ledger show --from 0 --json /srv/watchward | jq '.[].kind'`
}

// shownLeaf is one leaf in --json.
type shownLeaf struct {
	Seq    uint64            `json:"seq"`
	Time   time.Time         `json:"time"`
	Kind   string            `json:"kind"`
	Fields map[string]string `json:"fields"`
	Words  map[string]string `json:"words,omitempty"`
}

// Run prints leaves.
func (c *LedgerShowCmd) Run(ctx context.Context, s *streams) error {
	f, err := c.folder()
	if err != nil {
		return err
	}
	l, err := f.log()
	if err != nil {
		return err
	}
	head, err := l.Checkpoint(ctx)
	if err != nil {
		return err
	}
	from := head.Size - min(head.Size, c.Count)
	if c.From >= 0 {
		from = uint64(c.From)
	}
	shown := []shownLeaf{}
	for left := c.Count; left > 0; {
		leaves, err := l.Leaves(ctx, from, int(min(left, 1000)))
		if err != nil {
			return err
		}
		if len(leaves) == 0 {
			break
		}
		for _, leaf := range leaves {
			if c.Kind != "" && string(leaf.Kind) != c.Kind {
				continue
			}
			one, err := c.leaf(l, leaf)
			if err != nil {
				return err
			}
			if c.JSON {
				shown = append(shown, one)
				continue
			}
			one.print(s, leaf)
		}
		from, left = from+uint64(len(leaves)), left-uint64(len(leaves))
	}
	if c.JSON {
		return printJSON(s, shown)
	}
	return nil
}

func (c *LedgerShowCmd) leaf(l *ledger.Log, leaf ledger.Leaf) (shownLeaf, error) {
	out := shownLeaf{Seq: leaf.Seq, Time: leaf.Time, Kind: string(leaf.Kind), Fields: map[string]string{}}
	for _, f := range leaf.Fields {
		out.Fields[f.Key] = f.Value
	}
	if !c.Words {
		return out, nil
	}
	words, err := l.Secrets(leaf)
	if err != nil {
		return out, err
	}
	for _, w := range words {
		if out.Words == nil {
			out.Words = map[string]string{}
		}
		out.Words[w.Key] = w.Value
	}
	return out, nil
}

func (o shownLeaf) print(s *streams, leaf ledger.Leaf) {
	var b strings.Builder
	for _, f := range leaf.Fields {
		if words := o.Words[strings.TrimPrefix(f.Key, "commit-")]; words != "" && strings.HasPrefix(f.Key, "commit-") {
			f = ledger.Field{Key: strings.TrimPrefix(f.Key, "commit-"), Value: fmt.Sprintf("%q", words)}
		}
		if len(f.Value) == 64 && !strings.Contains(f.Value, " ") {
			f.Value = f.Value[:8] + "…"
		}
		b.WriteString("  " + f.Key + " " + f.Value)
	}
	s.printf("%d  %s  %s%s\n", leaf.Seq, stamp(leaf.Time), leaf.Kind, oneLine(b.String()))
}

// LedgerKeysCmd is "watchward ledger keys".
type LedgerKeysCmd struct {
	DataArg
	Witness []string `placeholder:"KEY" help:"A witness's verifier key: say whether it cosigned; may be given again."`
	JSON    bool     `help:"Print JSON."`
}

// Help is shown by --help.
func (LedgerKeysCmd) Help() string {
	return `Give the verifier key to whoever should be able to check, by a way nobody else can change: on
paper, or to the witness (watchward witness --log KEY).

Example

    watchward ledger keys /srv/watchward`
}

// ledgerKeys is what --json prints.
type ledgerKeys struct {
	Origin     string       `json:"origin"`
	Key        string       `json:"key"`
	Leaves     uint64       `json:"leaves"`
	Root       string       `json:"root"`
	Checkpoint string       `json:"checkpoint"`
	Cosigned   []cosignedBy `json:"cosigned"`
}

// Run prints keys.
func (c *LedgerKeysCmd) Run(ctx context.Context, s *streams) error {
	f, err := c.folder()
	if err != nil {
		return err
	}
	l, err := f.log()
	if err != nil {
		return err
	}
	head, err := l.Checkpoint(ctx)
	if err != nil {
		return err
	}
	out := ledgerKeys{
		Origin: l.Origin(), Key: l.VerifierKey(), Leaves: head.Size, Root: fmt.Sprintf("%x", head.Root), Checkpoint: string(head.Note),
		Cosigned: []cosignedBy{},
	}
	if seen, err := l.Cosigned(ctx); err == nil {
		by, err := seen.Cosignatures(c.Witness)
		if err != nil {
			return err
		}
		for _, w := range by {
			out.Cosigned = append(out.Cosigned, cosignedBy{w.Witness, w.Time, seen.Size})
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if c.JSON {
		return printJSON(s, out)
	}
	s.printf("%s\n", out.Key)
	s.printf("%s, root %s\n", countLeaves(int64(out.Leaves)), out.Root)
	for _, w := range out.Cosigned {
		s.printf("cosigned by %s at %s: the first %d leaves\n", oneLine(w.Witness), stamp(w.At), w.Leaves)
	}
	return nil
}

// LedgerProofCmd is "watchward ledger proof".
type LedgerProofCmd struct {
	DataFlag
	Leaf uint64 `arg:"" help:"Number of the leaf."`
}

// Help is shown by --help.
func (LedgerProofCmd) Help() string {
	return `The leaf, its path to the root (RFC 6962), and the signed checkpoint, with cosignatures where they
cover it: enough to check without this server.

Example

    watchward ledger proof -d /srv/watchward 4711 > proof.json`
}

// leafProof is what it prints.
type leafProof struct {
	Index      uint64   `json:"index"`
	Leaf       string   `json:"leaf"`
	Hashes     [][]byte `json:"hashes"`
	Checkpoint string   `json:"checkpoint"`
	Key        string   `json:"key"`
}

// Run prints a proof, after checking it.
func (c *LedgerProofCmd) Run(ctx context.Context, s *streams) error {
	f, err := c.folder()
	if err != nil {
		return err
	}
	l, err := f.log()
	if err != nil {
		return err
	}
	p, err := l.Prove(ctx, c.Leaf)
	if err != nil {
		return err
	}
	if _, _, err := p.Verify(l.VerifierKey()); err != nil {
		return withHint(err, "run \"watchward verify\": the ledger was changed")
	}
	return printJSON(s, leafProof{p.Index, string(p.Leaf), p.Hashes, string(p.Checkpoint), l.VerifierKey()})
}

// LedgerForgetCmd is "watchward ledger forget".
type LedgerForgetCmd struct {
	DataFlag
	Words  string `arg:"" help:"The words, exactly as \"ledger show --words\" prints them: a name, a reason."`
	Reason string `placeholder:"TEXT" help:"Why, for the ledger; without names."`
	Yes    bool   `help:"Do it. Without, nothing is destroyed."`
}

// Help is shown by --help.
func (LedgerForgetCmd) Help() string {
	return `Leaves hold salted commitments to names and reasons. This destroys salt and words of all that are
exactly the words given, everywhere, and notes that it did; the tree stays whole and verify clean.
Nobody can find out afterwards what was committed to. Stop the server first. Backups keep what they
have: treat them likewise.

Example

    watchward ledger forget -d /srv/watchward --yes --reason "Art. 17 GDPR, request 12" "Ada Lovelace"`
}

// Run forgets.
func (c *LedgerForgetCmd) Run(ctx context.Context, s *streams) (err error) {
	f, err := c.folder()
	if err != nil {
		return err
	}
	if !c.Yes {
		return usage("add --yes to do it", "forgetting cannot be undone")
	}
	if _, err := os.Stat(f.path(ledgerKeyName)); err != nil {
		return withHint(fmt.Errorf("open ledger: %w", err), "the server begins a ledger at its first start")
	}
	quiet := slog.New(slog.DiscardHandler)
	ledger.LogTo(quiet)
	l, err := ledger.Open(ctx, ledger.Options{Dir: f.path(ledgerName), Key: f.path(ledgerKeyName), Log: quiet})
	if errors.Is(err, ledger.ErrInUse) {
		return withHint(err, "stop the server that uses this folder first")
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	n, err := l.Forget(ctx, c.Words, c.Reason)
	if err != nil {
		return err
	}
	s.printf("forgotten beside %s\n", countLeaves(int64(n)))
	// Run with its time over publishes what was noted.
	over, stop := context.WithCancel(ctx)
	stop()
	return l.Run(over)
}

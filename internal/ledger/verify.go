package ledger

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
)

// VerifyOptions says what to compare the ledger with.
type VerifyOptions struct {
	Dir string // required: the ledger's folder
	// Key is the log's verifier key as somebody trusted told it. Empty means the
	// one in the folder: then a ledger exchanged as a whole goes unnoticed,
	// unless Checkpoints show it.
	Key string
	// Checkpoints were seen before or elsewhere: remembered from an earlier
	// verification, shown to another reader, cosigned by a witness. Each is a
	// signed note.
	Checkpoints [][]byte
	// Witnesses are verifier keys of witnesses to look for.
	Witnesses []string

	// Archive is the folder of segments and gaps. Empty: the tree alone.
	Archive string
	// Read makes it read every segment and compare its hash. Without, names and
	// sizes are compared, and hashes with Rows.
	Read bool
	// Rows, if set, calls f with every row of the archive's index.
	Rows func(ctx context.Context, f func(Row) error) error
	// Waiting, if set, names what the archive committed and the ledger was not
	// given yet.
	Waiting func(ctx context.Context) (map[string]bool, error)
	// Live says that a server may be writing: what is odd is looked at again,
	// after Settle, before it is called a lie. Zero means two seconds.
	Live   bool
	Settle time.Duration

	// Progress, if set, is told now and then how far it is.
	Progress func(Progress)
}

// Row is what the archive's index says of a segment or gap.
type Row struct {
	Name     string
	Gap      bool
	Bytes    int64
	SHA256   [32]byte // zero when not known
	Expiring bool     // its deletion was begun
}

// Progress is how far a verification has come.
type Progress struct {
	Stage       string // tree, index, archive
	Done, Total int64  // leaves, rows, or bytes to read
}

// What a lie is about. A word keeps its meaning: scripts know it.
const (
	LieKey        = "key"              // the ledger is signed by another key than it should be
	LieSignature  = "signature"        // the newest checkpoint is not signed by the ledger's key
	LieCheckpoint = "checkpoint"       // the newest checkpoint is missing or unreadable
	LieRolledBack = "rolled-back"      // an older checkpoint than one shown before
	LieFork       = "fork"             // two histories, both signed
	LieRoot       = "root"             // the leaves are not those that the checkpoint signs
	LieChanged    = "leaf-changed"     // a leaf is not the one that was signed
	LieRemoved    = "leaf-removed"     // leaves are gone
	LieTile       = "tile"             // a hash of the tree was changed; the leaves are right
	LieLeaf       = "leaf"             // a leaf that no server writes
	LieOrder      = "leaf-order"       // a leaf that lies in another's place
	LieBackDated  = "back-dated"       // a leaf dated before the one before it
	LieWords      = "words"            // words beside a leaf that it did not commit to
	LieFile       = "segment-changed"  // a segment's bytes are not those that were recorded
	LieSize       = "segment-size"     // a segment of another length than was recorded
	LieMissing    = "segment-missing"  // a segment that was recorded and not deleted is not there
	LieGap        = "gap-missing"      // a gap that was noted is not there
	LieAdded      = "file-added"       // a file that the ledger knows nothing of
	LieReturned   = "file-returned"    // a file that the ledger says was deleted
	LieRow        = "row-without-leaf" // the index has something that the ledger does not know
	LieRowHash    = "row-changed"      // the index has another hash or size than the ledger
	LieTwice      = "recorded-twice"   // two leaves give one name different bytes
)

// Lie is something that is not as the ledger says, or as it must be.
type Lie struct {
	What   string // one of the words above
	Where  string // leaf N, or a file's name
	Detail string // for a person
	Leaf   int64  // the leaf it is about, -1 for none
}

// Note is something a person should know that is no lie.
type Note struct{ Where, Detail string }

// Report is what a verification found.
type Report struct {
	Lies  []Lie // in order: the tree by leaf, then the archive by name; at most 1000
	More  int   // lies beyond those
	Notes []Note

	Checkpoint Checkpoint    // the newest; zero when it could not be read
	Key        string        // it was judged by
	Cosigned   []Cosignature // of the newest checkpoint that has some
	CosignedAt uint64        // that checkpoint's size

	Leaves, Segments, Gaps, Deleted int64
	Read                            int64 // bytes of segments read and compared
	Waiting                         int   // committed, and not in the tree yet
}

// OK reports whether nothing is wrong.
func (r Report) OK() bool { return len(r.Lies) == 0 }

const maxLies = 1000

// Verify compares a ledger with itself, with what others saw of it, and with the
// archive. Its error means that it could not look; what it found is in the
// report. It writes nothing, and needs no secret.
//
// Memory is about 100 bytes for each segment that is in the archive.
func Verify(ctx context.Context, o VerifyOptions) (Report, error) {
	if o.Settle <= 0 {
		o.Settle = 2 * time.Second
	}
	l, err := OpenLog(o.Dir, o.Key)
	if err != nil {
		return Report{}, fmt.Errorf("verify: %w", err)
	}
	v := &verifying{o: o, l: l, kept: map[nameKey]kept{}, expiring: map[string]bool{}}
	v.r.Key = l.VerifierKey()
	if err := v.run(ctx); err != nil {
		return v.r, fmt.Errorf("verify ledger %q: %w", o.Dir, err)
	}
	return v.finish(), nil
}

// verifying is one run of Verify.
type verifying struct {
	o    VerifyOptions
	l    *Log
	r    Report
	lies []Lie

	seen []Checkpoint // shown before or elsewhere, signed by this key
	rng  *compact.Range
	odd  []uint64 // leaves whose hash is not the one in the tile
	// holes says that leaves are missing, so that the root cannot be computed.
	holes    bool
	lastTime time.Time
	size     uint64 // leaves taken in so far

	kept    map[nameKey]kept // what should be in the archive
	waiting map[string]bool
	// expiring are rows whose deletion was begun: a crash left their files.
	expiring map[string]bool
	words    struct { // the file of secrets read last
		name string
		all  []secretsOf
		err  error
	}
}

func (v *verifying) lie(what, where string, leaf int64, format string, args ...any) {
	v.lies = append(v.lies, Lie{What: what, Where: where, Leaf: leaf, Detail: fmt.Sprintf(format, args...)})
}

func (v *verifying) leafLie(what string, leaf uint64, format string, args ...any) {
	v.lie(what, fmt.Sprintf("leaf %d", leaf), int64(leaf), format, args...)
}

func (v *verifying) note(where, format string, args ...any) {
	if len(v.r.Notes) < maxLies {
		v.r.Notes = append(v.r.Notes, Note{where, fmt.Sprintf(format, args...)})
	}
}

func (v *verifying) progress(stage string, done, total int64) {
	if v.o.Progress != nil {
		v.o.Progress(Progress{stage, done, total})
	}
}

func (v *verifying) run(ctx context.Context) error {
	c, err := v.l.Checkpoint(ctx)
	switch {
	case errors.Is(err, ErrSignature):
		v.lie(LieSignature, "checkpoint", -1, "%v", err)
		return nil // nothing below it means anything
	case err != nil:
		v.lie(LieCheckpoint, "checkpoint", -1, "%v", err)
		return nil
	}
	v.r.Checkpoint = c
	if err := v.others(ctx, c); err != nil {
		return err
	}
	if err := v.tree(ctx, c); err != nil {
		return err
	}
	if v.o.Archive == "" {
		return nil
	}
	return v.archive(ctx)
}

// finish puts the lies in order.
func (v *verifying) finish() Report {
	slices.SortStableFunc(v.lies, func(a, b Lie) int {
		ra, rb := rank(a), rank(b)
		switch {
		case ra != rb:
			return cmp.Compare(ra, rb)
		case ra == rankLeaf:
			return cmp.Compare(a.Leaf, b.Leaf)
		case ra == rankFile:
			return strings.Compare(a.Where, b.Where)
		}
		return 0
	})
	v.r.Lies = v.lies
	if n := len(v.lies); n > maxLies {
		v.r.Lies, v.r.More = v.lies[:maxLies], n-maxLies
	}
	return v.r
}

const (
	rankWhole = iota
	rankLeaf
	rankFile
)

// rank puts what concerns the whole before leaves, and leaves before files.
func rank(l Lie) int {
	switch l.What {
	case LieKey, LieRolledBack, LieFork, LieSignature, LieCheckpoint:
		return rankWhole
	case LieRoot, LieChanged, LieRemoved, LieTile, LieLeaf, LieOrder, LieBackDated, LieWords, LieTwice:
		return rankLeaf
	}
	return rankFile
}

// others reads the checkpoints that were shown before or elsewhere, and the
// cosigned one that the server keeps.
func (v *verifying) others(ctx context.Context, head Checkpoint) error {
	for i, b := range v.o.Checkpoints {
		c, err := ParseCheckpoint(b, v.l.key)
		if errors.Is(err, ErrSignature) {
			v.lie(LieKey, "checkpoint", -1, "the one remembered is of another key: this is not the ledger it was: %v", err)
			continue
		}
		if err != nil {
			return fmt.Errorf("checkpoint %d to compare with: %w", i+1, err)
		}
		v.seen = append(v.seen, c)
	}
	if c, err := v.l.Cosigned(ctx); err == nil {
		v.seen = append(v.seen, c)
	} else if !errors.Is(err, fs.ErrNotExist) {
		v.lie(LieSignature, "cosigned checkpoint", -1, "%v", err)
	}
	for _, c := range append(slices.Clone(v.seen), head) {
		by, err := c.Cosignatures(v.o.Witnesses)
		if err != nil {
			return err
		}
		if len(by) > 0 && c.Size >= v.r.CosignedAt {
			v.r.Cosigned, v.r.CosignedAt = by, c.Size
		}
	}
	v.seen = slices.DeleteFunc(v.seen, func(c Checkpoint) bool {
		if c.Size <= head.Size {
			return false
		}
		v.lie(LieRolledBack, "checkpoint", -1, "it has %d leaves; one with %d was signed and shown before", head.Size, c.Size)
		return true
	})
	slices.SortFunc(v.seen, func(a, b Checkpoint) int { return cmp.Compare(a.Size, b.Size) })
	return nil
}

// tree reads all leaves, compares them with the tiles, and the whole with what
// is signed.
func (v *verifying) tree(ctx context.Context, head Checkpoint) error {
	v.rng = (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
	v.fork()
	for n := uint64(0); n*256 < head.Size; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := v.bundle(ctx, n, head.Size); err != nil {
			return err
		}
		if n%64 == 0 {
			v.progress("tree", int64(v.size), int64(head.Size))
		}
	}
	v.progress("tree", int64(v.size), int64(head.Size))
	return v.root(head)
}

// bundle takes in 256 leaves, or what the tree has of them.
func (v *verifying) bundle(ctx context.Context, n, size uint64) error {
	want := min(256, size-n*256)
	leaves, err := v.l.bundle(ctx, n, size)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		v.leafLie(LieChanged, n*256, "the file of leaves %d to %d cannot be read: %v", n*256, n*256+want-1, err)
	}
	tile, terr := v.l.tile(0, n, size)
	if terr != nil || uint64(len(tile)) < want {
		v.lie(LieTile, fmt.Sprintf("tile 0/%d", n), int64(n*256), "hashes of leaves %d to %d are gone or cannot be read", n*256, n*256+want-1)
		tile = nil
	}
	if have := uint64(len(leaves)); have < want {
		v.leafLie(LieRemoved, n*256+have, "leaves %d to %d are gone", n*256+have, n*256+want-1)
	}
	for i := range want {
		seq := n*256 + i
		var h []byte
		switch {
		case i < uint64(len(leaves)):
			h = rfc6962.DefaultHasher.HashLeaf(leaves[i])
			if tile != nil && !bytes.Equal(h, tile[i]) {
				v.odd = append(v.odd, seq)
			}
			v.leaf(seq, leaves[i])
		case tile != nil:
			h = tile[i] // the tree goes on without the leaf's words
		default:
			v.holes = true
			continue
		}
		if v.holes {
			continue
		}
		if err := v.rng.Append(h, nil); err != nil {
			return err
		}
		v.size = seq + 1
		v.fork()
	}
	return nil
}

// fork compares the tree so far with checkpoints of just this size.
func (v *verifying) fork() {
	for len(v.seen) > 0 && v.seen[0].Size == v.size {
		c := v.seen[0]
		v.seen = v.seen[1:]
		if root := v.rootNow(); !bytes.Equal(root, c.Root[:]) {
			v.lie(LieFork, "checkpoint", -1, "one of %d leaves was signed and shown before that these leaves do not make", c.Size)
		}
	}
}

func (v *verifying) rootNow() []byte {
	if v.size == 0 {
		return rfc6962.DefaultHasher.EmptyRoot()
	}
	root, err := v.rng.GetRootHash(nil)
	if err != nil {
		return nil
	}
	return root
}

// root judges leaves and tiles by the signed root, and names what differs.
func (v *verifying) root(head Checkpoint) error {
	right := !v.holes && v.size == head.Size && bytes.Equal(v.rootNow(), head.Root[:])
	for _, seq := range v.odd {
		if right {
			v.lie(LieTile, fmt.Sprintf("tile 0/%d", seq/256), int64(seq), "the hash of leaf %d was changed; the leaf itself is right", seq)
			continue
		}
		v.leafLie(LieChanged, seq, "it is not the leaf that the tree was made of")
	}
	if right || len(v.odd) > 0 || v.holes {
		return nil
	}
	if first, ok := v.firstDifference(head.Size); ok {
		v.leafLie(LieChanged, first, "leaves %d to %d, their hashes too, are not those that the tree was made of", first, min(first+255, head.Size-1))
		return nil
	}
	v.lie(LieRoot, "checkpoint", -1, "the %d leaves do not make the root that is signed", head.Size)
	return nil
}

// firstDifference compares the leaves' tiles with the tiles above them.
func (v *verifying) firstDifference(size uint64) (uint64, bool) {
	for n := uint64(0); (n+1)*256 <= size; n++ {
		below, err := v.l.tile(0, n, size)
		above, aerr := v.l.tile(1, n/256, size)
		if err != nil || aerr != nil || len(below) != 256 || uint64(len(above)) <= n%256 {
			continue
		}
		r := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
		for _, h := range below {
			if r.Append(h, nil) != nil {
				return 0, false
			}
		}
		if root, err := r.GetRootHash(nil); err == nil && !bytes.Equal(root, above[n%256]) {
			return n * 256, true
		}
	}
	return 0, false
}

// leaf takes in what one leaf says.
func (v *verifying) leaf(seq uint64, b []byte) {
	v.r.Leaves++
	l, err := ParseLeaf(b)
	if err == nil {
		err = l.Check()
	}
	if err != nil {
		v.leafLie(LieLeaf, seq, "%v", err)
		return
	}
	if l.Seq != seq {
		v.leafLie(LieOrder, seq, "it calls itself number %d", l.Seq)
	}
	v.time(seq, l)
	v.say(seq, l)
	v.checkWords(seq, l)
}

// time looks for leaves dated back. The order of the ledger never depends on it.
func (v *verifying) time(seq uint64, l Leaf) {
	back := v.lastTime.Sub(l.Time)
	switch {
	case back <= clockTolerance:
	case l.Kind == Clock:
		v.note(fmt.Sprintf("leaf %d", seq), "the recorder's clock was set back by %s, to %s", back.Round(time.Second), stamp(l.Time))
	default:
		v.leafLie(LieBackDated, seq, "it says %s, the one before it %s, and no leaf says that the clock was set back", stamp(l.Time), stamp(v.lastTime))
		return // judge those after it by the honest ones
	}
	v.lastTime = l.Time
}

// checkWords compares the words that lie beside a leaf with its commitments.
func (v *verifying) checkWords(seq uint64, l Leaf) {
	if !slices.ContainsFunc(l.Fields, func(f Field) bool { return strings.HasPrefix(f.Key, commitPrefix) }) {
		return
	}
	if name := privateName(v.l.home, seq); v.words.name != name {
		v.words.name = name
		if v.words.all, v.words.err = readSecrets(name); v.words.err != nil {
			v.lie(LieWords, filepath.Base(name), int64(seq), "%v", v.words.err)
		}
	}
	for _, s := range v.words.all {
		if s.Leaf != seq {
			continue
		}
		for _, secret := range s.Secrets {
			if sum, err := secret.Commitment(); err != nil || sum != l.Get(commitPrefix+secret.Key) {
				v.leafLie(LieWords, seq, "the words kept beside it as %q are not those it committed to", secret.Key)
			}
		}
	}
}

// Package ledger keeps the record that nobody can bend: what was recorded,
// deleted, held and watched, one leaf each, in a Merkle tree whose head is
// signed here and cosigned by witnesses elsewhere.
//
// The server calls [Open], [Ledger.Run] and [Ledger.Close]. Whoever has
// something to note calls [Ledger.Append]; pages ask [Log.Leaves], [Log.Prove]
// and [Ledger.Status]. A stranger calls [Verify]. Another machine runs a
// [Witness].
//
// # Durability
//
// When [Ledger.Append] returns without error, the entries are synced to the
// spool and have their numbers; a number is the leaf's place in the tree, for
// ever. [Ledger.Run] moves them into the tree about once a second, many at a
// time, and a crash at any point costs nothing: the next Open goes on from the
// spool, and an entry is in the tree exactly once.
//
// # What to know before it hurts
//
// Leaves are public to whoever may see the ledger, and for ever. What names a
// person goes into [Entry.Private]: the leaf then holds a salted commitment, and
// salt and words lie beside the tree, where [Ledger.Forget] can destroy them.
//
// The key file signs. Whoever has it can write a second history; only witnesses
// and remembered checkpoints show that he did. See docs/design/0003-ledger.md,
// and docs/reference/ledger-format.md for every byte.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

var (
	// ErrInUse means that another process writes this ledger.
	ErrInUse = errors.New("ledger is in use by another process")
	// ErrBehind means that so much waits to enter the tree that nothing more is
	// taken: the disk refuses writes, or is far too slow. Try again later.
	ErrBehind = errors.New("ledger is behind")
	// ErrNotFound means that the ledger has no such leaf.
	ErrNotFound = errors.New("leaf not found")
	// ErrBroken means that tree, spool and key do not belong together. Nothing
	// was changed.
	ErrBroken = errors.New("ledger does not fit together")
)

// Options configures a [Ledger].
type Options struct {
	Dir string // required: the ledger's folder, made if missing
	Key string // required: the signing key's file, made with mode 0600 if the folder is new

	Log *slog.Logger     // nil means [slog.Default]
	Now func() time.Time // nil means [time.Now]

	// Every is how often what was appended enters the tree. Zero means a second.
	Every time.Duration
	// Witnesses are asked to cosign. None: nobody is asked, nothing is sent.
	Witnesses []WitnessID
	// HTTP reaches the witnesses; required where there are any.
	HTTP *http.Client
	// CosignEvery is how often witnesses are asked when there is something new.
	// Zero means ten seconds. Without news they are asked every ten minutes.
	CosignEvery time.Duration
	// Software is noted in the first leaf. Empty means "watchward".
	Software string

	batchAge, publishEvery time.Duration // see tree.go; zero means as there
}

// Ledger is an open ledger. Its methods may be called from any goroutine.
type Ledger struct {
	*Log
	o      Options
	log    *slog.Logger
	now    func() time.Time
	files  *files
	lock   io.Closer
	tree   *tree
	spool  *spool
	index  *index
	wake   chan struct{} // asks for a batch soon; holds one
	cosign *cosigner

	moving sync.Mutex // held by whoever moves the spool into the tree

	mu       sync.Mutex // guards all below
	lastTime time.Time  // of the leaf appended last, as written in it
	trouble  error      // of the last try to move the spool into the tree; nil when it went well
}

// maxPending bounds what waits in memory for its place in the tree.
const maxPending = 1 << 16

// clockTolerance is how far a leaf's time may be behind the one before it
// without a leaf that says so.
const clockTolerance = 2 * time.Second

// Open opens a ledger, or begins one, and takes over what a crash left in the
// spool. It starts no work of its own but the tree's: see [Ledger.Run].
func Open(ctx context.Context, o Options) (*Ledger, error) { return open(ctx, o, &files{}) }

func open(ctx context.Context, o Options, fl *files) (_ *Ledger, err error) {
	if o.Dir == "" || o.Key == "" {
		return nil, errors.New("open ledger: Dir and Key are required")
	}
	if len(o.Witnesses) > 0 && o.HTTP == nil {
		return nil, errors.New("open ledger: HTTP is required where there are witnesses")
	}
	o = o.withDefaults()
	l := &Ledger{o: o, log: o.Log, now: o.Now, files: fl, wake: make(chan struct{}, 1)}
	defer func() {
		if err != nil {
			err = fmt.Errorf("open ledger %q: %w", o.Dir, err)
			l.abandon()
		}
	}()
	if err := fl.mkdirAll(o.Dir); err != nil {
		return nil, err
	}
	if l.lock, err = takeLock(filepath.Join(o.Dir, lockName)); err != nil {
		return nil, err
	}
	key, err := l.key()
	if err != nil {
		return nil, err
	}
	if l.Log, err = openLog(o.Dir, key.Public()); err != nil {
		return nil, err
	}
	if l.cosign, err = newCosigner(o, l.Log, fl); err != nil {
		return nil, err
	}
	if err := l.ours(ctx); err != nil {
		return nil, err
	}
	if l.tree, err = openTree(l.Log, key, o); err != nil {
		return nil, err
	}
	return l, l.resume(ctx)
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Every <= 0 {
		o.Every = time.Second
	}
	if o.CosignEvery <= 0 {
		o.CosignEvery = 10 * time.Second
	}
	if o.Software == "" {
		o.Software = "watchward"
	}
	if o.batchAge <= 0 {
		o.batchAge = batchAge
	}
	if o.publishEvery <= 0 {
		o.publishEvery = publishEvery
	}
	return o
}

// newKeySuffix marks a key whose tree may not exist yet: it gets its name when
// the first leaf is safe.
const newKeySuffix = ".new"

// key reads the signing key, or makes the first one. A key without its tree is
// not silently given a new, empty one: that is how a ledger would be made to
// forget.
func (l *Ledger) key() (Key, error) {
	_, err := os.Stat(filepath.Join(l.o.Dir, logDir))
	fresh := errors.Is(err, os.ErrNotExist)
	key, err := LoadKey(l.o.Key)
	if err == nil && fresh {
		return key, hintf(fmt.Errorf("%w: the key %q is there, the tree it signed is not", ErrBroken, l.o.Key),
			"put the folder back; or move the key away to begin a new ledger, which everybody will see to be a new one")
	}
	if errors.Is(err, os.ErrNotExist) {
		key, err = LoadKey(l.o.Key + newKeySuffix)
	}
	if errors.Is(err, os.ErrNotExist) {
		if !fresh {
			return key, hintf(fmt.Errorf("%w: the tree is there, the key %q that signs it is not", ErrBroken, l.o.Key),
				"put the key back; or move the folder %q away to begin a new ledger", l.o.Dir)
		}
		key, err = MakeKey(l.o.Key+newKeySuffix, "")
	}
	if err != nil {
		return key, err
	}
	return key, l.files.replace(filepath.Join(l.o.Dir, publicKeyName), []byte(key.Public()+"\n"), 0o644)
}

// ours refuses a tree that another key signed: what is signed next would be a
// second history of neither.
func (l *Ledger) ours(ctx context.Context) error {
	_, err := l.Checkpoint(ctx)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case errors.Is(err, ErrSignature), errors.Is(err, errCheckpoint):
		return hintf(fmt.Errorf("%w: %w", ErrBroken, err), "put back the key that signed this tree, or the tree that this key signed")
	}
	return err
}

// keepKey gives a new key its name.
func (l *Ledger) keepKey() error {
	return l.files.do("rename", l.o.Key, func() error {
		err := os.Rename(l.o.Key+newKeySuffix, l.o.Key)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return errors.Join(err, syncFolder(filepath.Dir(l.o.Key)))
	})
}

// resume brings tree, spool and index together.
func (l *Ledger) resume(ctx context.Context) error {
	size, err := l.tree.size(ctx)
	if err != nil {
		return err
	}
	if l.spool, err = openSpool(filepath.Join(l.o.Dir, spoolDir), size, l.files); err != nil {
		return err
	}
	for _, r := range l.spool.overlap {
		if err := l.same(ctx, r, size); err != nil {
			return err
		}
	}
	l.spool.overlap = nil
	if l.index, err = openIndex(ctx, l.Log, size, l.files, l.log); err != nil {
		return err
	}
	for _, r := range l.spool.waiting() {
		l.index.add(r.leaf)
	}
	l.lastTime, err = l.lastLeafTime(ctx, size)
	if err != nil {
		return err
	}
	if l.spool.next() == 0 {
		began := Entry{Kind: Began, Fields: []Field{{"origin", l.Origin()}, {"software", l.o.Software}}}
		if _, err := l.Append(ctx, began); err != nil {
			return err
		}
	}
	return l.keepKey()
}

// same checks that a record which the spool still has is the leaf that the
// tree has in its place.
func (l *Ledger) same(ctx context.Context, r record, size uint64) error {
	got, err := l.raw(ctx, r.seq, r.seq+1, size)
	if err != nil {
		return err
	}
	if string(got[0]) != string(r.leaf) {
		return fmt.Errorf("%w: leaf %d in the tree is not what the spool says", ErrBroken, r.seq)
	}
	return l.private(r)
}

func (l *Ledger) lastLeafTime(ctx context.Context, size uint64) (time.Time, error) {
	if w := l.spool.waiting(); len(w) > 0 {
		leaf, err := ParseLeaf(w[len(w)-1].leaf)
		return leaf.Time, err
	}
	if size == 0 {
		return time.Time{}, nil
	}
	got, err := l.raw(ctx, size-1, size, size)
	if err != nil {
		return time.Time{}, err
	}
	leaf, err := ParseLeaf(got[0])
	return leaf.Time, err
}

// Append notes entries, all or none, in this order. When it returns without
// error they are on the disk and the first has the number returned; the others
// follow. It takes as long as one sync of a small file, which many callers
// share, and never waits for the tree or a witness.
//
// After an error the entries may still appear, as after any crash: note them
// again under the same names.
func (l *Ledger) Append(ctx context.Context, entries ...Entry) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if len(entries) == 0 {
		return 0, errors.New("append to ledger: no entries")
	}
	drafts := make([]draft, len(entries))
	for i, e := range entries {
		var err error
		if drafts[i], err = e.draft(); err != nil {
			return 0, fmt.Errorf("append to ledger: %w", err)
		}
	}
	first, end, err := l.write(drafts)
	if err == nil {
		err = l.spool.sync(end)
	}
	if err != nil {
		return 0, fmt.Errorf("append to ledger: %w", err)
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return first, nil
}

// write numbers and dates the drafts and hands them to the spool. Numbers and
// times are given in one order, under the lock.
func (l *Ledger) write(drafts []draft) (first uint64, end int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.spool.pending()+len(drafts) > maxPending {
		return 0, 0, fmt.Errorf("%w: %d entries wait for the tree", ErrBehind, l.spool.pending())
	}
	now := l.now().UTC().Truncate(time.Millisecond)
	back := 0
	if now.Before(l.lastTime.Add(-clockTolerance)) {
		// Say so in a leaf of its own: a clock that is set back is no lie, a
		// leaf that is dated back is.
		c := Entry{Kind: Clock, Fields: []Field{{"now", stamp(now)}, {"was", stamp(l.lastTime)}}}
		d, err := c.draft()
		if err != nil {
			return 0, 0, err
		}
		drafts, back = append([]draft{d}, drafts...), 1
	}
	seq := l.spool.next()
	records := make([]record, len(drafts))
	for i, d := range drafts {
		d.leaf.Seq, d.leaf.Time = seq+uint64(i), now
		records[i] = record{seq: d.leaf.Seq, leaf: d.leaf.Marshal(), private: d.private}
	}
	if end, err = l.spool.write(records); err != nil {
		return 0, 0, err
	}
	l.lastTime = now
	for _, r := range records {
		l.index.add(r.leaf)
	}
	return seq + uint64(back), end, nil
}

// Find returns the newest leaf of a kind that carries this name, such as the
// segment leaf of a file of the archive. It sees appended entries at once. The
// error wraps [ErrNotFound].
func (l *Ledger) Find(ctx context.Context, kind Kind, name string) (Leaf, error) {
	seq, ok, err := l.index.find(kind, name)
	if err != nil {
		return Leaf{}, fmt.Errorf("find %s %q in ledger: %w", kind, name, err)
	}
	if ok {
		leaf, err := l.leaf(ctx, seq)
		if err != nil {
			return Leaf{}, fmt.Errorf("find %s %q in ledger: %w", kind, name, err)
		}
		if leaf.Kind == kind && leaf.Get("name") == name {
			return leaf, nil
		}
	}
	return Leaf{}, fmt.Errorf("find %s %q in ledger: %w", kind, name, ErrNotFound)
}

// leaf reads one leaf, whether it is in the tree already or not.
func (l *Ledger) leaf(ctx context.Context, seq uint64) (Leaf, error) {
	if raw, ok := l.spool.get(seq); ok {
		return ParseLeaf(raw)
	}
	// Its bundle's name depends on how large the tree is; a batch may come in
	// between, and takes no file away.
	size, err := l.tree.size(ctx)
	if err != nil {
		return Leaf{}, err
	}
	raw, err := l.raw(ctx, seq, seq+1, size)
	if err != nil {
		return Leaf{}, err
	}
	return ParseLeaf(raw[0])
}

// Run moves what is appended into the tree and asks the witnesses, until ctx
// ends. It returns nil after everything appended before is in a published
// checkpoint, or an error if that cannot be had: then the spool still has it.
func (l *Ledger) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	if len(l.o.Witnesses) > 0 {
		wg.Go(func() { l.cosign.run(ctx) })
	}
	tick := time.NewTicker(l.o.Every)
	defer tick.Stop()
	for ctx.Err() == nil {
		l.integrate(ctx)
		select {
		case <-ctx.Done():
		case <-tick.C:
			select { // a batch a tick, and none without news
			case <-ctx.Done():
			case <-l.wake:
			case <-tick.C:
			}
		}
	}
	wg.Wait()
	last := context.WithoutCancel(ctx)
	if err := l.integrate(last); err != nil {
		return fmt.Errorf("finish ledger: %w", err)
	}
	if err := l.tree.publish(last); err != nil {
		return fmt.Errorf("finish ledger: %w", err)
	}
	// Once more, shortly: what was recorded last should not wait for the next
	// start to be beyond our own reach.
	if len(l.o.Witnesses) > 0 {
		asking, cancel := context.WithTimeout(last, 2*time.Second)
		defer cancel()
		l.cosign.round(asking)
	}
	return nil
}

// integrate moves all that is synced into the tree.
func (l *Ledger) integrate(ctx context.Context) error {
	l.moving.Lock()
	defer l.moving.Unlock()
	err := l.integrateAll(ctx)
	l.mu.Lock()
	was := l.trouble
	l.trouble = err
	l.mu.Unlock()
	switch {
	case err != nil && was == nil:
		l.log.Error("ledger cannot grow: entries are kept in the spool", "err", err)
	case err == nil && was != nil:
		l.log.Info("ledger grows again")
	}
	return err
}

func (l *Ledger) integrateAll(ctx context.Context) error {
	for {
		batch := l.spool.ready(maxBatch)
		if len(batch) == 0 {
			return nil
		}
		// Salts and words go to their files before the tree has the leaf: the
		// spool, which holds them until now, goes after.
		for _, r := range batch {
			if err := l.private(r); err != nil {
				return err
			}
		}
		if err := l.tree.append(ctx, batch); err != nil {
			size, serr := l.tree.size(ctx)
			if serr == nil {
				l.spool.done(size) // the answer was lost, perhaps: the tree knows
			}
			return err
		}
		size := batch[len(batch)-1].seq + 1
		l.spool.done(size)
		if err := l.index.advance(size); err != nil {
			l.log.Warn("index of the ledger cannot be written; it is made again at the next start", "err", err)
		}
	}
}

// Status is how the ledger is doing, for pages.
type Status struct {
	Origin     string
	Key        string // verifier key, to be kept by whoever wants to check
	Checkpoint Checkpoint
	Published  time.Time // when the checkpoint was written
	Pending    int       // appended, not yet in the tree
	Trouble    string    // why the tree does not grow, "" when it does
	Witnesses  []WitnessStatus
}

// Status reports how the ledger is doing. It reads two small files.
func (l *Ledger) Status(ctx context.Context) (Status, error) {
	s := Status{Origin: l.Origin(), Key: l.VerifierKey(), Pending: l.spool.pending(), Witnesses: l.cosign.status()}
	l.mu.Lock()
	if l.trouble != nil {
		s.Trouble = l.trouble.Error()
	}
	l.mu.Unlock()
	var err error
	if s.Checkpoint, err = l.Checkpoint(ctx); err != nil {
		return s, err
	}
	s.Published = publishedAt(checkpointPath(l.dir))
	return s, nil
}

// Close lets go of the ledger. Run must have returned, or never have been
// called: what it did not move waits in the spool.
func (l *Ledger) Close() error {
	err := l.spool.close()
	l.tree.close()
	return errors.Join(err, l.lock.Close())
}

// abandon closes what a failed open has opened.
func (l *Ledger) abandon() {
	if l.spool != nil {
		_ = l.spool.close()
	}
	if l.tree != nil {
		l.tree.close()
	}
	if l.lock != nil {
		_ = l.lock.Close()
	}
}

// hinted is an error with a way out of it.
type hinted struct {
	error
	hint string
}

func (h *hinted) Unwrap() error { return h.error }

// Hint is what a person can do about it.
func (h *hinted) Hint() string { return h.hint }

func hintf(err error, format string, args ...any) error {
	return &hinted{err, fmt.Sprintf(format, args...)}
}

package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"path/filepath"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
	"k8s.io/klog/v2"
)

// tree is the one door to what writes tiles. One goroutine at a time appends.
type tree struct {
	add    tessera.AddFn
	reader tessera.LogReader
	log    *Log
	o      Options
	stop   context.CancelFunc
}

const (
	// maxBatch is how many leaves enter the tree at once.
	maxBatch = 8192
	// batchAge is how long the library waits for more before it writes a batch
	// that is not full: a batch must be handed over in less, see append.
	batchAge = 100 * time.Millisecond
	// publishEvery is how often a new checkpoint may be signed.
	publishEvery = 200 * time.Millisecond
)

// LogTo sends what the tree's library has to say to a log. It concerns the
// whole process: call it once, from main, before any ledger is opened.
func LogTo(log *slog.Logger) { klog.SetSlogLogger(log) }

func openTree(log *Log, key Key, o Options) (*tree, error) {
	signer, err := note.NewSigner(key.secret)
	if err != nil {
		return nil, err
	}
	// Nothing is fetched from anywhere: a client without a way out says so.
	nowhere := &http.Client{Transport: noTransport{}}
	driver, err := posix.New(context.Background(), posix.Config{Path: log.dir, HTTPClient: nowhere})
	if err != nil {
		return nil, err
	}
	opts := tessera.NewAppendOptions().
		WithCheckpointSigner(signer).
		WithBatching(maxBatch, o.batchAge).
		WithCheckpointInterval(o.publishEvery).
		WithCheckpointRepublishInterval(0)
	ctx, stop := context.WithCancel(context.Background())
	a, _, r, err := tessera.NewAppender(ctx, driver, opts)
	if err != nil {
		stop()
		return nil, fmt.Errorf("open tree: %w", err)
	}
	return &tree{add: a.Add, reader: r, log: log, o: o, stop: stop}, nil
}

type noTransport struct{}

func (noTransport) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("the ledger's tree reaches nobody")
}

// size is how many leaves the tree holds, published or not.
func (t *tree) size(ctx context.Context) (uint64, error) {
	n, err := t.reader.IntegratedSize(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	return n, err
}

// append puts records into the tree at the places their numbers say. After an
// error, size says how many got there.
//
// The library writes a batch when it is full or old. Were one split by age, its
// first half failing and its second not, leaves would lie in wrong places; so a
// batch is handed over whole in a fraction of that age or stops growing, and
// what got which place is looked at.
func (t *tree) append(ctx context.Context, batch []record) error {
	size, err := t.size(ctx)
	if err != nil {
		return err
	}
	if size != batch[0].seq {
		return fmt.Errorf("%w: the tree has %d leaves, the next is number %d", ErrBroken, size, batch[0].seq)
	}
	for len(batch) > 0 {
		began := time.Now()
		var places []tessera.IndexFuture
		for _, r := range batch {
			if len(places) > 0 && time.Since(began) > t.o.batchAge/4 {
				break
			}
			places = append(places, t.add(ctx, tessera.NewEntry(r.leaf)))
		}
		var failed error
		for i, place := range places {
			at, err := place()
			switch {
			case err != nil:
				failed = errors.Join(err)
			case at.Index != batch[i].seq:
				return fmt.Errorf("%w: leaf %d lies at %d", ErrBroken, batch[i].seq, at.Index)
			}
		}
		if failed != nil {
			return failed
		}
		batch = batch[len(places):]
	}
	return nil
}

// publish returns when a checkpoint covers all that is in the tree.
func (t *tree) publish(ctx context.Context) error {
	want, err := t.size(ctx)
	if err != nil {
		return err
	}
	tick := time.NewTicker(t.o.publishEvery / 10)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); ; <-tick.C {
		c, err := t.log.Checkpoint(ctx)
		if err == nil && c.Size >= want {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("no checkpoint covers leaf %d after 30 s: %w", want, errors.Join(err, errors.New("is the disk full?")))
		}
	}
}

func (t *tree) close() { t.stop() }

// checkpointPath is where the newest checkpoint lies.
func checkpointPath(dir string) string { return filepath.Join(dir, "checkpoint") }

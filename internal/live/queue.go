package live

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchward/watchward/internal/media"
)

const (
	// queueLimit bounds what waits for one viewer, in bytes. It is more than
	// the largest group of pictures a stream keeps for those who join.
	queueLimit = 8 << 20
	// queueLag is the age of the backlog at which a keyframe replaces it.
	queueLag = time.Second
)

// item is what a viewer is to be sent next.
type item struct {
	sample *media.Sample // nil: the run ended, for reason
	reason media.Reason
	cached bool // was at hand when the viewer joined; it is older than now
	gap    bool // what came before it was left out

	queued time.Time
}

// queue is the [media.Reader] between a stream and one viewer. It never blocks:
// when the viewer does not keep up, what waits is dropped and the queue goes on
// with the next keyframe. It holds samples, not copies.
type queue struct {
	wake    chan struct{} // has one element when there is something to take
	skipped *atomic.Uint64

	mu      sync.Mutex
	items   []item
	bytes   int
	joining bool // [media.Stream.Watch] is handing over what it has
	waiting bool // for a keyframe
	gap     bool // something was dropped before the next sample
	closed  bool

	detach func() // set by watch before anybody else knows the queue
}

// watch attaches a new queue to the stream. Close it to let go.
func watch(st *media.Stream, skipped *atomic.Uint64) *queue {
	q := &queue{wake: make(chan struct{}, 1), skipped: skipped, joining: true, waiting: true}
	detach := st.Watch(q)
	q.mu.Lock()
	q.joining, q.detach = false, detach
	q.mu.Unlock()
	return q
}

// Sample queues s, or drops it when it is of no use to this viewer.
func (q *queue) Sample(s *media.Sample) {
	q.mu.Lock()
	defer q.mu.Unlock()
	video := s.Format.Codec.Video()
	switch {
	case q.closed:
		return
	case !video && q.joining:
		return // sound of the past only delays the present
	case video && s.Keyframe:
		q.waiting = false
		if len(q.items) > 0 && time.Since(q.items[0].queued) > queueLag {
			q.drop()
		}
	case q.waiting:
		q.skip(video)
		return
	}
	if q.bytes+len(s.Data) > queueLimit {
		q.drop()
		if !s.Keyframe || !video || len(s.Data) > queueLimit {
			q.waiting = true
			q.skip(video)
			return
		}
	}
	s.Retain()
	q.bytes += len(s.Data)
	q.push(item{sample: s, cached: q.joining, gap: q.gap})
	q.gap = false
}

// Break queues the end of the run.
func (q *queue) Break(reason media.Reason, _ time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	q.waiting = true
	// A stream that breaks over and over without a sample says so once.
	if n := len(q.items); n > 0 && q.items[n-1].sample == nil {
		q.items[n-1].reason = reason
		return
	}
	q.push(item{reason: reason})
}

func (q *queue) push(it item) {
	it.queued = time.Now()
	q.items = append(q.items, it)
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *queue) skip(video bool) {
	if video && !q.joining {
		q.skipped.Add(1)
	}
	q.gap = true
}

// drop lets go of all that waits.
func (q *queue) drop() {
	for i, it := range q.items {
		if it.sample != nil {
			q.skip(it.sample.Format.Codec.Video())
			it.sample.Release()
		}
		q.items[i] = item{}
	}
	q.items, q.bytes = q.items[:0], 0
}

// take moves at most limit bytes, but at least one item and all that was at
// hand at the start, to the end of dst. Whoever takes an item releases its
// sample.
func (q *queue) take(dst []item, limit int) []item {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for n < len(q.items) {
		it := &q.items[n]
		if it.sample != nil {
			if limit -= len(it.sample.Data); limit < 0 && n > 0 && !it.cached {
				break
			}
			q.bytes -= len(it.sample.Data)
		}
		n++
	}
	dst = append(dst, q.items[:n]...)
	rest := copy(q.items, q.items[n:])
	clear(q.items[rest:])
	q.items = q.items[:rest]
	if rest > 0 {
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
	return dst
}

// close detaches from the stream and lets go of all that waits.
func (q *queue) close() {
	q.mu.Lock()
	detach := q.detach
	q.mu.Unlock()
	detach()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for _, it := range q.items {
		if it.sample != nil {
			it.sample.Release()
		}
	}
	q.items, q.bytes = nil, 0
}

func release(items []item) {
	for i, it := range items {
		if it.sample != nil {
			it.sample.Release()
		}
		items[i] = item{}
	}
}

package record

import (
	"sync"
	"time"
)

// queue carries items from the intake to the writer, bounded in bytes and in
// time. One goroutine puts, one takes.
type queue struct {
	limit int
	span  time.Duration
	ready chan struct{} // something was put, or the queue was closed
	space chan struct{} // something was taken

	mu     sync.Mutex
	items  []item
	bytes  int           // of parts in items
	time   time.Duration // of parts in items
	closed bool
}

func newQueue(limit int, span time.Duration) *queue {
	return &queue{limit: limit, span: span, ready: make(chan struct{}, 1), space: make(chan struct{}, 1)}
}

// full reports whether another part would have to wait. An empty queue takes
// any part, however large.
func (q *queue) full(bytes int) bool {
	return len(q.items) > 0 && (q.bytes+bytes > q.limit || q.time > q.span)
}

// tryPut puts an item unless that would exceed the bounds.
func (q *queue) tryPut(it item) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if it.part != nil && q.full(it.part.bytes) {
		return false
	}
	q.put(it)
	return true
}

// mustPut puts an item whatever the bounds say.
func (q *queue) mustPut(it item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.put(it)
}

func (q *queue) put(it item) {
	q.items = append(q.items, it)
	if it.part != nil {
		q.bytes += it.part.bytes
		q.time += it.part.span
	}
	notify(q.ready)
}

// wait puts an item as soon as there is room, or gives up after a time. When the
// recorder is told to stop it is put at once: one part more than allowed is better
// than one lost.
func (q *queue) wait(it item, most time.Duration, stop <-chan struct{}) bool {
	if q.tryPut(it) {
		return true
	}
	timer := time.NewTimer(most)
	defer timer.Stop()
	for {
		select {
		case <-q.space:
			if q.tryPut(it) {
				return true
			}
		case <-stop:
			q.mustPut(it)
			return true
		case <-timer.C:
			return q.tryPut(it)
		}
	}
}

// roomy reports whether at least half of the queue is free: before that, what
// was discarded is not begun again.
func (q *queue) roomy() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes <= q.limit/2 && q.time <= q.span/2
}

// take returns the oldest item. Its bytes count until done is called, so that the
// part being written is part of the bound.
func (q *queue) take() (it item, ok, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.items) == 0 {
		return item{}, false, q.closed
	}
	it = q.items[0]
	q.items[0] = item{}
	if q.items = q.items[1:]; len(q.items) == 0 {
		q.items = nil
	}
	return it, true, false
}

// done gives back the room of an item.
func (q *queue) done(it item) {
	if it.part == nil {
		return
	}
	q.mu.Lock()
	q.bytes -= it.part.bytes
	q.time -= it.part.span
	q.mu.Unlock()
	notify(q.space)
}

// close lets the writer end when it has taken everything.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	notify(q.ready)
}

func (q *queue) held() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

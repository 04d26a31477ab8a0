package access

import (
	"sync"
	"time"
)

// mostWaiting is how many questions of a kind may wait for their answer at
// once; of more, the oldest goes.
const mostWaiting = 1024

// waiting holds what we asked and whose answer has to come. An answer takes its
// question out: it counts once.
type waiting[T any] struct {
	mu  sync.Mutex
	all map[string]T
}

// put keeps a question until it is answered or ends, and returns its name,
// which cannot be guessed.
func (w *waiting[T]) put(question T, now time.Time, ends func(T) time.Time) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = map[string]T{}
	}
	oldest := ""
	for id, other := range w.all {
		if !now.Before(ends(other)) {
			delete(w.all, id)
		} else if oldest == "" || ends(other).Before(ends(w.all[oldest])) {
			oldest = id
		}
	}
	if len(w.all) >= mostWaiting {
		delete(w.all, oldest)
	}
	id := newToken().Reveal()
	w.all[id] = question
	return id
}

// take removes a question, ended or not, and returns it.
func (w *waiting[T]) take(id string) (T, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	q, ok := w.all[id]
	delete(w.all, id)
	return q, ok
}

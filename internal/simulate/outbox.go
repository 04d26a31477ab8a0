package simulate

import (
	"net"
	"sync"
	"syscall"
)

// maxBacklog is how much a connection may lag behind before frames are thrown
// away, as a camera does when its send buffer is full.
const maxBacklog = 8 << 20

// outbox writes to a connection without ever making the caller wait: what the
// kernel does not take at once is copied and written by a goroutine of its own.
// With a reader that keeps up that goroutine never wakes.
type outbox struct {
	nc  net.Conn
	raw syscall.RawConn // nil where every write goes through the queue

	mu     sync.Mutex
	more   *sync.Cond
	queue  []byte
	spare  []byte // the queue's other half, while one is being written
	busy   bool   // the goroutine is writing
	closed bool
}

func newOutbox(nc net.Conn) *outbox {
	o := &outbox{nc: nc}
	o.more = sync.NewCond(&o.mu)
	if t, ok := nc.(*net.TCPConn); ok {
		if raw, err := t.SyscallConn(); err == nil {
			o.raw = raw
		}
	}
	return o
}

// send writes b, now or soon. It reports false if b was thrown away because
// the connection is closed or too far behind.
func (o *outbox) send(b []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || len(o.queue)+len(b) > maxBacklog {
		return false
	}
	if !o.busy && len(o.queue) == 0 && o.raw != nil {
		n, err := writeNow(o.raw, b)
		if err != nil {
			o.closed = true
			o.nc.Close()
			o.more.Broadcast()
			return false
		}
		b = b[n:]
	}
	if len(b) > 0 {
		o.queue = append(o.queue, b...)
		o.more.Signal()
	}
	return true
}

// backlog is how many bytes wait.
func (o *outbox) backlog() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.queue)
}

// drain writes what waits until the outbox is closed.
func (o *outbox) drain() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		for len(o.queue) == 0 && !o.closed {
			o.more.Wait()
		}
		if o.closed {
			return
		}
		b := o.queue
		o.queue, o.spare, o.busy = o.spare[:0], nil, true
		o.mu.Unlock()
		_, err := o.nc.Write(b)
		o.mu.Lock()
		o.spare, o.busy = b, false
		if err != nil {
			o.closed = true
			return
		}
	}
}

func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.more.Broadcast()
}

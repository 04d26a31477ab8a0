package seal

import (
	"bytes"
	"fmt"
	"io"

	"filippo.io/age"
)

// Writer seals one segment while it is written. It belongs to one goroutine.
type Writer struct {
	dst   *gather
	enc   io.WriteCloser
	plain int64
	open  []byte // what is held back, for a [Tail]
}

// NewWriter begins an age file: its header is written to dst, in one call.
func NewWriter(dst io.Writer, day age.Recipient) (*Writer, error) {
	g := &gather{dst: dst, open: true}
	enc, err := age.Encrypt(g, day)
	if err != nil {
		return nil, fmt.Errorf("begin sealed file: %w", err)
	}
	if err := g.flush(); err != nil {
		return nil, fmt.Errorf("begin sealed file: %w", err)
	}
	return &Writer{dst: g, enc: enc}, nil
}

// Write takes plain bytes. What is sealed reaches the destination in chunks,
// one call each.
func (w *Writer) Write(p []byte) (int, error) {
	n, err := w.enc.Write(p)
	w.plain += int64(n)
	if held := w.Held(); n >= held {
		w.open = append(w.open[:0], p[n-held:n]...)
	} else {
		w.open = append(w.open, p[:n]...)
	}
	return n, err
}

// Close seals the last chunk. It does not close the destination.
func (w *Writer) Close() error { return w.enc.Close() }

// Plain is how many plain bytes were taken so far.
func (w *Writer) Plain() int64 { return w.plain }

// Held is how many of them are not in the destination yet: what a crash now
// would cost.
func (w *Writer) Held() int {
	held := int(w.plain % chunkSize)
	if held == 0 && w.plain > 0 {
		return chunkSize // a full chunk waits for the byte after it
	}
	return held
}

// Pad is the size of a filler, at least 8 as the smallest box of MP4 is, that
// pushes everything written so far into the destination. It is 0 when nothing
// is held. The filler reaches into the next chunk and so costs up to 64 KiB.
func (w *Writer) Pad() int {
	held := w.Held()
	if held == 0 {
		return 0
	}
	return max(chunkSize-held+1, 8)
}

// gather collects the many small writes of a header into one, then stands
// aside.
type gather struct {
	dst  io.Writer
	buf  bytes.Buffer
	open bool
}

func (g *gather) Write(p []byte) (int, error) {
	if g.open {
		return g.buf.Write(p)
	}
	return g.dst.Write(p)
}

func (g *gather) flush() error {
	g.open = false
	_, err := g.dst.Write(g.buf.Bytes())
	g.buf = bytes.Buffer{}
	return err
}

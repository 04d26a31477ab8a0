package seal

import (
	"crypto/cipher"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
)

// HeaderSize is the length of an age file's header, without the nonce after
// it. It needs no identity. The error wraps [ErrDamaged] if there is no whole
// header, and not if it was the reading that failed.
func HeaderSize(r io.Reader) (int64, error) {
	in := &endSeen{r: r}
	h, err := age.ExtractHeader(io.LimitReader(in, headerLimit))
	if in.err != nil {
		return 0, fmt.Errorf("read header: %w", in.err)
	}
	if err != nil {
		return 0, fmt.Errorf("read header: %w: %w", ErrDamaged, err)
	}
	return int64(len(h)), nil
}

// Whole says how many plain bytes lie in the whole chunks of a file with this
// header size that was cut to this size, and to which size to trim it. Both
// are 0 when the file ends before its first chunk begins.
func Whole(header, size int64) (plain, trim int64) {
	payload := size - header - nonceSize
	if header < 0 || payload < 0 {
		return 0, 0
	}
	n := payload / sealedSize
	return n * chunkSize, header + nonceSize + n*sealedSize
}

// Possible reports whether a finished age file with this header size can have
// this size.
func Possible(header, size int64) bool {
	payload := size - header - nonceSize
	if header < 0 || payload < 16 {
		return false
	}
	rest := payload % sealedSize
	// Only the empty file ends with an empty chunk.
	return rest == 0 || rest > 16 || payload == 16
}

// Open reads a sealed file from its beginning. A chunk that was changed or cut
// ends in an error that wraps [ErrDamaged]; nothing unverified is returned.
func Open(src io.Reader, day Identity) (io.Reader, error) {
	r, err := age.Decrypt(src, day.unlock())
	if err != nil {
		return nil, fmt.Errorf("open sealed file: %w", explain(err))
	}
	return &checked{r}, nil
}

// checked names what age finds in the payload.
type checked struct{ r io.Reader }

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if err != nil && err != io.EOF {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return n, err
}

func explain(err error) error {
	var none *age.NoIdentityMatchError
	if errors.As(err, &none) {
		return ErrWrongIdentity
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// OpenAt gives random access to a finished sealed file of a known size: only
// the chunks asked for are read. Plain is the size of what is inside.
func OpenAt(src io.ReaderAt, size int64, day Identity) (r io.ReaderAt, plain int64, err error) {
	r, plain, err = age.DecryptReaderAt(src, size, day.unlock())
	if err != nil {
		return nil, 0, fmt.Errorf("open sealed file: %w", explain(err))
	}
	return r, plain, nil
}

// OpenTornAt is [OpenAt] for a file that a crash cut short: it reaches to the
// end of the last whole chunk. Nothing proves that the file ended there.
func OpenTornAt(src io.ReaderAt, size int64, day Identity) (r io.ReaderAt, plain int64, err error) {
	header, err := age.ExtractHeader(io.NewSectionReader(src, 0, min(size, headerLimit)))
	if err != nil {
		return nil, 0, fmt.Errorf("open torn file: %w: %w", ErrDamaged, err)
	}
	key, err := age.DecryptHeader(header, day.unlock())
	if err != nil {
		return nil, 0, fmt.Errorf("open torn file: %w", explain(err))
	}
	plain, trim := Whole(int64(len(header)), size)
	if trim == 0 {
		return nil, 0, fmt.Errorf("open torn file: %w: nothing after the header", ErrDamaged)
	}
	t := &tornReader{src: src, start: int64(len(header)) + nonceSize, plain: plain}
	nonce := make([]byte, nonceSize)
	if _, err := src.ReadAt(nonce, int64(len(header))); err != nil {
		return nil, 0, fmt.Errorf("open torn file: %w", err)
	}
	if t.aead, err = payloadCipher(key, nonce); err != nil {
		return nil, 0, fmt.Errorf("open torn file: %w", err)
	}
	return t, plain, nil
}

// tornReader opens chunks that are not the last of their file (C2SP age.md,
// "Payload": STREAM with an 11 byte counter and a byte that marks the last).
type tornReader struct {
	src   io.ReaderAt
	aead  cipher.AEAD
	start int64 // of the first chunk
	plain int64
}

func (t *tornReader) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("read at %d: want at least 0", off)
	}
	buf := make([]byte, sealedSize)
	for n < len(p) && off < t.plain {
		i := off / chunkSize
		if _, err := t.src.ReadAt(buf, t.start+i*sealedSize); err != nil && err != io.EOF {
			return n, err
		}
		chunk, err := t.aead.Open(buf[:0], streamNonce(uint64(i), false), buf, nil)
		if err != nil {
			return n, fmt.Errorf("read chunk %d: %w", i, ErrDamaged)
		}
		c := copy(p[n:], chunk[off%chunkSize:])
		n, off = n+c, off+int64(c)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Salvage copies what can be read of a file, whole or torn, and says how many
// bytes that was. Torn means that the end is missing, whether the file was cut
// between two chunks or within one. An error that wraps [ErrDamaged] means a
// chunk before the end that cannot be opened; what came before it was copied.
func Salvage(dst io.Writer, src io.Reader, id Identity) (n int64, torn bool, err error) {
	end := &endSeen{r: src}
	r, err := age.Decrypt(end, id.unlock())
	if err != nil {
		return 0, false, fmt.Errorf("salvage: %w", explain(err))
	}
	in := &remember{r: r}
	n, err = io.Copy(dst, in)
	switch {
	case err == nil:
		return n, false, nil
	case in.err == nil: // it was the writing that failed
		return n, false, fmt.Errorf("salvage: %w", err)
	case errors.Is(in.err, io.ErrUnexpectedEOF), end.seen && end.err == nil:
		// age reads whole chunks, so the end of the file was met within the
		// one that could not be opened.
		return n, true, nil
	case end.err != nil:
		return n, false, fmt.Errorf("salvage: %w", end.err)
	default:
		return n, false, fmt.Errorf("salvage: %w after %d bytes: %w", ErrDamaged, n, in.err)
	}
}

// endSeen notes that the end of a file was met, or an error other than that.
type endSeen struct {
	r    io.Reader
	seen bool
	err  error
}

func (e *endSeen) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	switch {
	case err == io.EOF:
		e.seen = true
	case err != nil:
		e.err = err
	}
	return n, err
}

// remember keeps the error that a reader gave.
type remember struct {
	r   io.Reader
	err error
}

func (r *remember) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

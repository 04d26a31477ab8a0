package record

import (
	"context"
	"errors"
	"io"
	"syscall"
	"time"

	"filippo.io/age"

	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/seal"
)

// store is what a recorder needs of the archive.
type store interface {
	space() error
	create(id archive.StreamID, start time.Time) (pending, error)
	addGap(ctx context.Context, g archive.Gap) error
	last(ctx context.Context, id archive.StreamID) (time.Time, bool, error)
}

// pending is a segment that is being written, see [archive.Pending].
type pending interface {
	io.Writer
	Size() int64
	Commit(ctx context.Context, end time.Time, clockErr time.Duration) (archive.Segment, error)
	Tear(ctx context.Context, end time.Time, clockErr time.Duration) (archive.Segment, error)
	Touch() error
	Discard() error
}

type realStore struct{ a *archive.Archive }

func (s realStore) space() error { return s.a.Space() }

func (s realStore) create(id archive.StreamID, start time.Time) (pending, error) {
	p, err := s.a.Create(id, start)
	if err != nil {
		return nil, err // not p, which would be a nil pointer in a non-nil interface
	}
	return p, nil
}

func (s realStore) addGap(ctx context.Context, g archive.Gap) error { return s.a.AddGap(ctx, g) }

func (s realStore) last(ctx context.Context, id archive.StreamID) (time.Time, bool, error) {
	return s.a.Last(ctx, id)
}

// keys is what a recorder needs of [seal.DayKeys].
type keys interface {
	Recipient(site, camera, day string) (age.Recipient, error)
}

// sealed is the envelope of a segment, see [seal.Writer].
type sealed interface {
	io.WriteCloser
	Plain() int64
	Held() int
	Pad() int
}

type sealer func(dst io.Writer, day age.Recipient) (sealed, error)

func realSealer(dst io.Writer, day age.Recipient) (sealed, error) {
	w, err := seal.NewWriter(dst, day)
	if err != nil {
		return nil, err
	}
	return w, nil
}

// errKey marks trouble with the day key.
var errKey = errors.New("day key")

// reasonOf is the gap reason for an error of archive, keys or disk.
func reasonOf(err error) string {
	switch {
	case errors.Is(err, seal.ErrNoReaders):
		return NoReader
	case errors.Is(err, archive.ErrFull), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return DiskFull
	case errors.Is(err, archive.ErrReadOnly), errors.Is(err, syscall.EROFS):
		return DiskReadOnly
	case errors.Is(err, errKey):
		return KeyFailing
	}
	return DiskFailing
}

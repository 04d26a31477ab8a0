package record

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/media/fmp4"
	"github.com/watchward/watchward/internal/seal"
)

// chunk is what age seals at once, in plain bytes (C2SP age.md, Payload).
const chunk = 64 << 10

// segment is one sealed file while it is written. It belongs to the writer.
type segment struct {
	start    time.Time
	tracks   int
	rate     int64 // of the picture's clock
	pending  pending
	sealed   sealed
	mux      fmp4.PartWriter
	head     []byte // reused: boxes around the samples
	index    []fmp4.RandomAccess
	zeroDTS  int64
	parts    uint32
	table    []Part        // of all parts
	reached  time.Duration // to where the last part goes, from start
	oldest   time.Time     // arrival of the oldest byte that sealing holds back
	headSize int64         // of the sealed file's header and nonce
	tail     *tail         // nil for a stream that needs none
}

// newSegment makes the file and writes its header. It begins no earlier than
// what the archive holds.
func (r *Recorder) newSegment(p *plan, notBefore time.Time) (*segment, error) {
	if err := r.store.space(); err != nil {
		return nil, err
	}
	init, err := fmp4.Init(p.tracks)
	if err != nil {
		return nil, fmt.Errorf("begin segment: %w", err)
	}
	s := &segment{start: p.start.UTC().Truncate(time.Millisecond), tracks: len(p.tracks), zeroDTS: p.dts, rate: int64(p.tracks[0].ClockRate)}
	if s.start.Before(notBefore) {
		s.start = notBefore.UTC()
	}
	if err := r.create(s); err != nil {
		return nil, err
	}
	s.mux.Origin(0, p.dts, p.pts)
	if s.tracks > 1 {
		s.mux.Origin(1, p.audio, p.audio)
	}
	s.head = append(append(s.head, init...), fmp4.PRFT(1, s.start, 0)...)
	if _, err := s.sealed.Write(s.head); err != nil {
		return nil, errors.Join(fmt.Errorf("begin segment: %w", err), s.discard())
	}
	s.oldest = time.Now()
	r.mu.Lock()
	r.open = &OpenSegment{Start: s.start, Codecs: codecs(p.tracks), Bytes: s.pending.Size()}
	r.mu.Unlock()
	return s, nil
}

// create finds a name that is free, gets the day's recipient and begins to seal.
func (r *Recorder) create(s *segment) error {
	for try := 0; ; try++ {
		day, err := r.keys.Recipient(r.o.ID.Site, r.o.ID.Camera, s.start.Format(time.DateOnly))
		if err != nil {
			return fmt.Errorf("%w: %w", errKey, err)
		}
		s.pending, err = r.store.create(r.o.ID, s.start)
		if errors.Is(err, archive.ErrExists) && try < 100 {
			s.start = s.start.Add(time.Millisecond)
			if last, ok, err := r.store.last(context.Background(), r.o.ID); err == nil && ok && last.After(s.start) {
				s.start = last.UTC()
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("create segment: %w", err)
		}
		if s.sealed, err = r.sealer(s.pending, day); err != nil {
			return errors.Join(fmt.Errorf("create segment: %w", err), s.pending.Discard())
		}
		s.headSize = s.pending.Size()
		if r.o.Tails != "" && r.rate < tailRate {
			if s.tail, err = newTail(r.o.Tails, r.o.ID, s.start, day); err != nil {
				r.o.Log.Warn("a kill may cost more than half a second: no tail is kept", "err", err)
			}
		}
		return nil
	}
}

// write adds a part: its boxes, then the samples' own bytes, by track.
func (s *segment) write(p *part) error {
	offset := s.sealed.Plain()
	s.mux.Reset()
	for _, m := range p.samples {
		s.mux.Add(m.Track, m)
	}
	if p.next != 0 {
		s.mux.Follow(0, p.next)
	}
	s.parts++
	s.head = s.mux.AppendPart(s.head[:0], s.parts)
	if _, err := s.sealed.Write(s.head); err != nil {
		return fmt.Errorf("write part: %w", err)
	}
	for track := range s.tracks {
		for _, m := range p.samples {
			if m.Track != track {
				continue
			}
			if _, err := s.sealed.Write(m.Data); err != nil {
				return fmt.Errorf("write part: %w", err)
			}
		}
	}
	s.note(p, offset)
	return nil
}

// note enters a part that was written into table and index.
func (s *segment) note(p *part, offset int64) {
	s.table = append(s.table, Part{At: p.at, Offset: offset, Key: p.key})
	s.reached = max(s.reached, p.at+p.span)
	if p.key {
		s.index = append(s.index, fmp4.RandomAccess{Track: 1, Time: uint64(max(units(p.at, s.rate), 0)), Offset: uint64(offset)})
	}
	if offset/chunk != s.sealed.Plain()/chunk {
		s.oldest = p.samples[0].Received // the open chunk begins within this part
	}
	if s.tail != nil && s.parts == 1 {
		s.oldest = time.Time{} // push it out: a file without a whole chunk would not outlive a crash
	}
}

// keepTail puts beside the archive what sealing holds back.
func (s *segment) keepTail() error {
	w, ok := s.sealed.(*seal.Writer)
	if s.tail == nil || !ok {
		return nil
	}
	if s.reached > 2*time.Second && float64(s.sealed.Plain()) > tailRate*s.reached.Seconds() {
		s.tail.remove() // the first segment of a stream that turns out to be a busy one
		s.tail = nil
		return nil
	}
	if err := s.tail.keep(w); err != nil {
		s.tail.remove()
		s.tail = nil
		return err
	}
	return s.pending.Touch()
}

// pad pushes out what sealing holds back when it would be too old before the next
// part comes, and says when to look again.
func (s *segment) pad(part time.Duration) (again time.Duration, err error) {
	due := padAfter - part
	if s.sealed.Held() == 0 {
		return due, nil
	}
	if age := time.Since(s.oldest); age < due {
		return due - age, nil
	}
	if n := s.sealed.Pad(); n >= 8 {
		s.head = fmp4.AppendFree(s.head[:0], n)
		if _, err := s.sealed.Write(s.head); err != nil {
			return due, fmt.Errorf("write filler: %w", err)
		}
	}
	s.oldest = time.Now()
	return due, nil
}

// finish writes the index and seals the last chunk.
func (s *segment) finish() error {
	if _, err := s.sealed.Write(fmp4.Mfra(s.index)); err != nil {
		return fmt.Errorf("write index: %w", err)
	}
	if err := s.sealed.Close(); err != nil {
		return fmt.Errorf("seal segment: %w", err)
	}
	return nil
}

// reach is up to where the parts go that lie in whole chunks in the file, and
// whether there are any.
func (s *segment) reach() (end time.Time, kept bool) {
	whole := wholePlain(s.pending.Size() - s.headSize)
	at := time.Duration(0)
	for i := range s.table {
		next, until := s.sealed.Plain(), s.reached
		if i+1 < len(s.table) {
			next, until = s.table[i+1].Offset, s.table[i+1].At
		}
		if next > whole {
			break
		}
		at = until
	}
	return s.start.Add(at).Truncate(time.Millisecond), at >= time.Millisecond
}

// wholePlain is how many plain bytes lie in the whole chunks of a payload.
func wholePlain(payload int64) int64 { return max(payload, 0) / (chunk + 16) * chunk }

// grow tells [Recorder.Open] of what was written.
func (r *Recorder) grow(s *segment) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open.Bytes = s.pending.Size()
	r.open.Plain = wholePlain(r.open.Bytes - s.headSize)
	r.open.Parts = s.table
}

// close tells [Recorder.Open] that no segment is open.
func (r *Recorder) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open = nil
}

// discard gives the segment up, with all that was written of it.
func (s *segment) discard() error {
	if s.tail != nil {
		s.tail.remove()
	}
	return s.pending.Discard()
}

package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// record is an entry on its way into the tree.
type record struct {
	seq     uint64
	leaf    []byte
	private []byte // JSON of []Secret, or nil
	end     int64  // how far the spool was written with it; counts all files
}

// spool holds what was appended until the tree has it. A file is named by the
// number of its first record. Where two files have a number, the later file is
// right: after a write or sync that failed, nobody knows what of it is on the
// disk, so a new file begins with the first number that was not synced.
type spool struct {
	dir   string
	files *files

	mu      sync.Mutex // guards all below
	cond    sync.Cond  // a sync ended
	file    *os.File   // nil when a new one must be made before writing
	size    int64      // of file
	written int64      // bytes written to all files since opening
	synced  int64      // of them, synced
	syncing bool
	seq     uint64   // the next number
	recs    []record // in order; those not yet in the tree
	names   []string // of all files, in order
	overlap []record // found at opening, and in the tree already
}

const (
	spoolFile    = 4 << 20 // bytes; then a new file begins, once all is synced
	maxSpoolFile = 1 << 30 // what is written to one at most, and read back
	maxRecord    = maxLeaf + 64<<10
	recordHead   = 8 // length and checksum
	spoolEnding  = ".spool"
)

// castagnoli makes the table of the checksum that finds torn records. It is no
// protection against people: the tree is.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// openSpool reads what a tree of a size does not have yet.
func openSpool(dir string, size uint64, fl *files) (*spool, error) {
	s := &spool{dir: dir, files: fl, seq: size}
	s.cond.L = &s.mu
	if err := fl.mkdirAll(dir); err != nil {
		return nil, err
	}
	names, err := spoolNames(dir)
	if err != nil {
		return nil, err
	}
	all, err := readSpool(dir, names)
	if err != nil {
		return nil, err
	}
	for _, r := range all {
		switch {
		case r.seq < size:
			s.overlap = append(s.overlap, r)
		case r.seq == s.seq:
			s.recs = append(s.recs, r)
			s.seq++
		default:
			return nil, hintf(fmt.Errorf("%w: the tree ends at leaf %d, the spool goes on at %d", ErrBroken, s.seq, r.seq),
				"the tree is older than the spool, as from a backup: put the newest tree back")
		}
	}
	s.names = names
	// What is there was read back, but maybe from memory: sync it once before
	// anything builds on it.
	for _, n := range names {
		if err := s.syncName(n); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *spool) syncName(name string) error {
	f, err := os.Open(filepath.Join(s.dir, name))
	if err != nil {
		return err
	}
	return errors.Join(s.files.sync(f), f.Close())
}

// spoolNames lists the spool's files in order.
func spoolNames(dir string) ([]string, error) {
	list, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range list {
		if _, ok := spoolFirst(e.Name()); ok && e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, err
}

// spoolFirst reads the number and the try from a name.
func spoolFirst(name string) (uint64, bool) {
	base, ok := strings.CutSuffix(name, spoolEnding)
	first, try, cut := strings.Cut(base, "-")
	if !ok || !cut || len(first) != 20 || len(try) != 6 {
		return 0, false
	}
	n, err := strconv.ParseUint(first, 10, 63)
	return n, err == nil
}

// readSpool reads all records that count.
func readSpool(dir string, names []string) ([]record, error) {
	var all []record
	for _, name := range names {
		first, _ := spoolFirst(name)
		b, err := readSmall(filepath.Join(dir, name), maxSpoolFile)
		if err != nil {
			return nil, err
		}
		// A later file that begins within an earlier one takes over.
		all = slices.DeleteFunc(all, func(r record) bool { return r.seq >= first })
		for len(b) > 0 {
			r, rest, ok := readRecord(b)
			if !ok || r.seq != first {
				break // torn here: nothing after it was ever acknowledged
			}
			all, b, first = append(all, r), rest, first+1
		}
	}
	return all, nil
}

func (r record) marshal() []byte {
	b := make([]byte, recordHead, recordHead+10+len(r.leaf)+len(r.private))
	b = binary.BigEndian.AppendUint64(b, r.seq)
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.leaf)))
	b = append(append(b, r.leaf...), r.private...)
	binary.BigEndian.PutUint32(b, uint32(len(b)-recordHead))
	binary.BigEndian.PutUint32(b[4:], crc32.Checksum(b[recordHead:], castagnoli()))
	return b
}

// readRecord reads the first record of b. A torn or foreign one is not ok.
func readRecord(b []byte) (r record, rest []byte, ok bool) {
	if len(b) < recordHead+10 {
		return r, b, false
	}
	n := int64(binary.BigEndian.Uint32(b))
	if n < 10 || n > maxRecord || n > int64(len(b)-recordHead) {
		return r, b, false
	}
	body := b[recordHead : recordHead+n]
	if crc32.Checksum(body, castagnoli()) != binary.BigEndian.Uint32(b[4:]) {
		return r, b, false
	}
	leaf := int(binary.BigEndian.Uint16(body[8:]))
	if leaf > len(body)-10 {
		return r, b, false
	}
	r.seq, r.leaf = binary.BigEndian.Uint64(body), slices.Clone(body[10:10+leaf])
	if leaf < len(body)-10 {
		r.private = slices.Clone(body[10+leaf:])
	}
	return r, b[recordHead+n:], true
}

func (s *spool) next() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seq
}

func (s *spool) pending() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.recs)
}

func (s *spool) waiting() []record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.recs)
}

// get finds a record that waits.
func (s *spool) get(seq uint64) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.recs) == 0 || seq < s.recs[0].seq || seq-s.recs[0].seq >= uint64(len(s.recs)) {
		return nil, false
	}
	return s.recs[seq-s.recs[0].seq].leaf, true
}

// write puts records into the file and returns what to sync to. All are
// written or none counts.
func (s *spool) write(records []record) (end int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if records[0].seq != s.seq {
		return 0, fmt.Errorf("spool: number %d: want %d", records[0].seq, s.seq)
	}
	if s.file != nil && s.size > spoolFile && !s.syncing && s.synced == s.written {
		s.roll()
	}
	if s.file == nil {
		if err := s.begin(); err != nil {
			return 0, err
		}
	}
	var b []byte
	for i := range records {
		b = append(b, records[i].marshal()...)
		records[i].end = s.written + int64(len(b))
	}
	if s.size+int64(len(b)) > maxSpoolFile {
		return 0, ErrBehind
	}
	if err := s.files.write(s.file, b); err != nil {
		s.broken()
		return 0, err
	}
	s.size += int64(len(b))
	s.written += int64(len(b))
	s.seq += uint64(len(records))
	s.recs = append(s.recs, records...)
	return s.written, nil
}

// begin makes the next file.
func (s *spool) begin() error {
	for try := 0; ; try++ {
		name := fmt.Sprintf("%020d-%06d%s", s.seq, try, spoolEnding)
		if slices.Contains(s.names, name) {
			continue
		}
		f, err := s.files.create(filepath.Join(s.dir, name))
		if errors.Is(err, fs.ErrExist) && try < 999999 {
			// Made by a try whose answer was lost. It holds nothing that counts,
			// but its name is taken, and must be taken over by a later one.
			s.names = append(s.names, name)
			continue
		}
		if err != nil {
			return err
		}
		s.names = append(s.names, name)
		s.file, s.size = f, 0
		return nil
	}
}

// roll ends the file: the next write begins another.
func (s *spool) roll() {
	_ = s.file.Close() // all in it is synced
	s.file = nil
}

// broken gives up the file after a write or sync that failed, and takes back
// what was not synced. Whoever waits for it is told.
func (s *spool) broken() {
	if s.file != nil {
		_ = s.file.Close()
		s.file = nil
	}
	keep := slices.IndexFunc(s.recs, func(r record) bool { return r.end > s.synced })
	if keep >= 0 {
		s.seq = s.recs[keep].seq
		s.recs = s.recs[:keep]
	}
	s.written = s.synced
}

// sync returns when everything up to end is on the disk. Callers that come
// while a sync runs share the next one.
func (s *spool) sync(end int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.synced < end {
		if s.written < end {
			return fmt.Errorf("spool: %w", errLost)
		}
		if s.syncing {
			s.cond.Wait()
			continue
		}
		s.syncing = true
		file, upTo := s.file, s.written
		s.mu.Unlock()
		err := s.files.sync(file)
		s.mu.Lock()
		s.syncing = false
		s.cond.Broadcast()
		if err != nil {
			// A sync is never tried again: the kernel may have marked lost pages
			// clean, and the second try would mean nothing.
			s.broken()
			return err
		}
		s.synced = max(s.synced, upTo)
	}
	return nil
}

var errLost = errors.New("a write before this one failed")

// ready returns the first records that are synced, at most so many.
func (s *spool) ready(most int) []record {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for n < len(s.recs) && n < most && s.recs[n].end <= s.synced {
		n++
	}
	return slices.Clone(s.recs[:n])
}

// done forgets what a tree of this size has, and removes files that hold
// nothing else. A file that stays too long does no harm.
func (s *spool) done(size uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for n < len(s.recs) && s.recs[n].seq < size {
		n++
	}
	s.recs = slices.Clone(s.recs[n:])
	if s.file != nil && len(s.recs) == 0 && !s.syncing && s.seq <= size {
		s.roll() // words about people stay in it no longer than they must
	}
	for len(s.names) > 0 {
		last := len(s.names) == 1
		if last && (s.file != nil || s.seq > size) {
			return
		}
		if !last {
			if first, _ := spoolFirst(s.names[1]); first > size {
				return
			}
		}
		if err := s.files.remove(filepath.Join(s.dir, s.names[0])); err != nil {
			return
		}
		s.names = s.names[1:]
	}
}

func (s *spool) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}

package record

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/seal"
)

// tailRate is the rate, in bytes a second, below which tails are kept: a stream
// that fills a chunk sooner than a part lasts has nothing to gain.
const tailRate = chunk * 5

// tail keeps what sealing holds back of one segment in two small files beside
// the archive, written in turn: when the process is killed while it writes
// one, the other is whole. It is a help: trouble with it ends it and nothing else.
type tail struct {
	base   string // path without number and end
	sealed *seal.Tail
	files  [2]*os.File
	next   int
}

// tailBase is where the tails of a segment lie, without number and end.
func tailBase(dir string, id archive.StreamID, start time.Time) string {
	name := start.UTC().Format("15-04-05.000") + "Z"
	if id.Stream != archive.Main {
		name += "." + id.Stream
	}
	return filepath.Join(dir, id.Site, id.Camera, start.UTC().Format(time.DateOnly), name)
}

// tailFile is one of the two.
func tailFile(base string, n int) string { return fmt.Sprintf("%s.tail%d.age", base, n) }

func newTail(dir string, id archive.StreamID, start time.Time, day age.Recipient) (*tail, error) {
	t := &tail{base: tailBase(dir, id, start)}
	var err error
	if t.sealed, err = seal.NewTail(day); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(t.base), 0o700); err != nil {
		return nil, fmt.Errorf("begin tail: %w", err)
	}
	for n := range t.files {
		if t.files[n], err = os.OpenFile(tailFile(t.base, n), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600); err != nil {
			t.remove()
			return nil, fmt.Errorf("begin tail: %w", err)
		}
	}
	return t, nil
}

// keep writes what w holds back into the older of the two files.
func (t *tail) keep(w *seal.Writer) error {
	b, err := t.sealed.Seal(w)
	if err != nil {
		return err
	}
	f := t.files[t.next]
	t.next ^= 1
	// Cut first: what is killed between the two calls leaves a file that is
	// plainly not whole, and the other one.
	if err := f.Truncate(0); err != nil {
		return fmt.Errorf("keep tail: %w", err)
	}
	if _, err := f.WriteAt(b, 0); err != nil {
		return fmt.Errorf("keep tail: %w", err)
	}
	return nil
}

// close leaves the files: the segment was torn.
func (t *tail) close() {
	for _, f := range t.files {
		if f != nil {
			_ = f.Close() // nothing more was to be written
		}
	}
}

// remove takes the files away: all is in the segment.
func (t *tail) remove() {
	t.close()
	for n := range t.files {
		_ = os.Remove(tailFile(t.base, n)) // what stays is swept at the next start
	}
	_ = os.Remove(filepath.Dir(t.base)) // succeeds when it was the day's last
}

// TailsOf are the files that may hold what a crash kept out of a torn segment.
// Segment is its path DIR/archive/SITE/CAMERA/DAY/NAME; they need not exist.
func TailsOf(segment string) ([]string, error) {
	abs, err := filepath.Abs(segment)
	if err != nil {
		return nil, fmt.Errorf("find tails: %w", err)
	}
	day := filepath.Dir(abs)
	root := filepath.Dir(filepath.Dir(filepath.Dir(day)))
	rel, err := filepath.Rel(root, abs)
	if err != nil {
		return nil, fmt.Errorf("find tails: %w", err)
	}
	s, err := archive.ParseName(filepath.ToSlash(rel))
	if err != nil {
		return nil, fmt.Errorf("find tails: %w", err)
	}
	base := tailBase(filepath.Join(filepath.Dir(root), "tails"), s.StreamID, s.Start)
	return []string{tailFile(base, 0), tailFile(base, 1)}, nil
}

var tailName = regexp.MustCompile(`^(.*Z)((?:\.[a-z0-9-]+)?)\.tail[01]\.age$`)

// SweepTails removes the tails whose segment is not torn: it was committed, or
// is gone. Call it after the archive was recovered and before anybody records.
func SweepTails(dir, archiveRoot string) error {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		m := tailName.FindStringSubmatch(filepath.Base(rel))
		if m == nil || strings.ContainsAny(rel, "*?[\\") {
			return nil // not ours
		}
		torn, err := filepath.Glob(filepath.Join(archiveRoot, filepath.Dir(rel), m[1]+"_*"+m[2]+".torn.mp4.age"))
		if err != nil || len(torn) > 0 {
			return err
		}
		return os.Remove(path)
	})
	if err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("sweep tails %q: %w", dir, err)
	}
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/watchward/watchward/internal/media/fmp4"
	"github.com/watchward/watchward/internal/record"
	"github.com/watchward/watchward/internal/seal"
)

// maxDayKey caps a day key file: two hundred hybrid readers are 400 KB.
const maxDayKey = 2 << 20

// UnsealCmd is "watchward unseal".
type UnsealCmd struct {
	Segments []string `arg:"" name:"segment" help:"Sealed segments: archive/SITE/CAMERA/DAY/….mp4.age."`
	IdentityFlag
	Key     string `placeholder:"FILE" help:"Sealed day key (DAY.key.age). Default: found beside the archive, in keys/SITE/CAMERA."`
	Output  string `short:"o" placeholder:"OUT" help:"MP4 file to write, or a folder for several segments. Default: standard output, one segment only."`
	Salvage bool   `help:"Open torn and damaged segments too, up to the last whole part."`
	Force   bool   `help:"Write over files that are there."`
}

// Help is shown by --help.
func (UnsealCmd) Help() string {
	return `Opens segments to plain MP4. The day key is found by itself when the segment lies in
DIR/archive/SITE/CAMERA/DAY and the key in DIR/keys/SITE/CAMERA. An identity that is itself the
opened key of the day works too: it is what you hand over to give away one camera's one day.

A segment that a crash cut short has "torn" in its name; --salvage opens it to the end of its
last whole part. The same result without us:

    age -d -i me.key DIR/keys/SITE/CAMERA/DAY.key.age > day
    age -d -i day SEGMENT > out.mp4

Examples

    watchward unseal -i me.key -o out.mp4 DIR/archive/town/gate/2026-11-24/10-15-00.000Z_60000.mp4.age
    watchward unseal -i me.key SEGMENT | ffplay -
    watchward unseal -i me.key -o clips/ DIR/archive/town/gate/2026-11-24/10-*.age`
}

// Run opens the segments in order and stops at the first that it cannot open.
func (c *UnsealCmd) Run(ctx context.Context, s *streams) error {
	folder, err := c.folder()
	if err != nil {
		return err
	}
	if c.Output == "" && isTerminal(s.Out) {
		return usage("give -o FILE, or pipe it into a player", "not writing video to a terminal")
	}
	id, err := c.load(s)
	if err != nil {
		return err
	}
	for _, name := range c.Segments {
		if err := ctx.Err(); err != nil {
			return err
		}
		opened, err := openSegment(name, c.Key, id, c.Salvage)
		if err != nil {
			return err
		}
		err = c.write(s, opened, folder)
		if err = errors.Join(err, opened.Close()); err != nil {
			return err
		}
	}
	return nil
}

// folder says whether Output is a folder, and makes it if it should be one.
func (c *UnsealCmd) folder() (bool, error) {
	info, err := os.Stat(c.Output)
	switch {
	case c.Output == "" && len(c.Segments) > 1:
		return false, usage("give -o FOLDER", "%d segments cannot go to standard output", len(c.Segments))
	case c.Output == "":
		return false, nil
	case err == nil && info.IsDir():
		return true, nil
	case len(c.Segments) == 1 && !os.IsPathSeparator(c.Output[len(c.Output)-1]):
		return false, nil
	case err == nil:
		return false, usage("give a folder", "%q is a file, and there are %d segments", c.Output, len(c.Segments))
	}
	// 0700: what goes in there is no longer sealed.
	if err := os.MkdirAll(c.Output, 0o700); err != nil {
		return false, fmt.Errorf("make folder for the opened segments: %w", err)
	}
	return true, nil
}

// write copies one opened segment to where it belongs.
func (c *UnsealCmd) write(s *streams, o *opened, folder bool) error {
	if c.Output == "" {
		if _, err := io.Copy(s.Out, o.reader()); err != nil {
			return fmt.Errorf("open %q: %w", o.name, err)
		}
	} else {
		path := c.Output
		if folder {
			path = filepath.Join(c.Output, plainName(o.name))
		}
		if err := writeNew(path, o.reader(), c.Force); err != nil {
			return fmt.Errorf("open %q: %w", o.name, err)
		}
	}
	if o.lost != "" {
		s.notef("watchward: %s: %s\n", oneLine(filepath.Base(o.name)), o.lost)
	}
	return nil
}

// plainName is the name of an opened segment in a folder: with its camera and
// day, so that those of several cameras and days do not collide.
func plainName(segment string) string {
	base := strings.TrimSuffix(filepath.Base(segment), ".age")
	base = strings.TrimSuffix(base, ".part") // the open segment
	if !strings.HasSuffix(base, ".mp4") {
		base += ".mp4"
	}
	abs, err := filepath.Abs(segment)
	if err != nil {
		return base
	}
	day := filepath.Dir(abs)
	return filepath.Base(filepath.Dir(day)) + "_" + filepath.Base(day) + "_" + base
}

// writeNew writes a file of plain video: readable by its owner alone, never
// half there under its name, and over another file only by force.
func writeNew(path string, src io.Reader, force bool) error {
	if _, err := os.Lstat(path); err == nil && !force {
		return withHint(fmt.Errorf("write %q: %w", path, fs.ErrExist), "give --force to write over it")
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = io.Copy(f, src)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// opened is a segment that can be read in plain.
type opened struct {
	name string
	file *os.File
	at   io.ReaderAt
	size int64  // plain bytes worth having
	lost string // what a salvage could not save, "" for a whole segment
}

func (o *opened) reader() io.Reader { return io.NewSectionReader(o.at, 0, o.size) }
func (o *opened) Close() error      { return o.file.Close() }

// openSegment finds the key of a segment and opens it.
func openSegment(name, keyFile string, id seal.Identity, salvage bool) (*opened, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open segment: %w", err)
	}
	o, err := openFile(f, name, keyFile, id, salvage)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return o, nil
}

func openFile(f *os.File, name, keyFile string, id seal.Identity, salvage bool) (*opened, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("open segment: %w", err)
	}
	day, source, err := findDay(name, keyFile, id)
	if err != nil {
		return nil, err
	}
	o := &opened{name: name, file: f}
	o.at, o.size, err = seal.OpenAt(f, info.Size(), day)
	switch {
	case err == nil && !salvage:
		return o, nil
	case errors.Is(err, seal.ErrWrongIdentity):
		return nil, wrongDay(name, source, err)
	case err != nil && !salvage:
		return nil, withHint(fmt.Errorf("open segment %q: %w", name, err),
			"it was cut short or damaged, or is still being written; --salvage opens what is whole of it")
	case err != nil:
		o.at, o.size, err = seal.OpenTornAt(f, info.Size(), day)
		if err != nil {
			return nil, fmt.Errorf("salvage segment %q: %w", name, err)
		}
		o.addTail(day)
	}
	return o, o.salvage()
}

// addTail joins to a torn segment what was held back when its recorder was
// killed. There may be none: only quiet streams have tails.
func (o *opened) addTail(day seal.Identity) {
	files, err := record.TailsOf(o.name)
	if err != nil {
		return // copied out of the archive
	}
	var rest []byte
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			continue
		}
		// One of the two may have been caught half written.
		if b, err := seal.OpenTail(f, day, o.size); err == nil && len(b) > len(rest) {
			rest = b
		}
		_ = f.Close()
	}
	if len(rest) > 0 {
		o.at = &joined{o.at, o.size, rest}
		o.size += int64(len(rest))
	}
}

// joined is a torn segment with the bytes that follow it.
type joined struct {
	main io.ReaderAt
	size int64
	rest []byte
}

func (j *joined) ReadAt(p []byte, off int64) (n int, err error) {
	if off < j.size {
		n, err = j.main.ReadAt(p[:min(int64(len(p)), j.size-off)], off)
		if err != nil && !errors.Is(err, io.EOF) || n == len(p) {
			return n, err
		}
		off += int64(n)
	}
	if off < j.size || off > j.size+int64(len(j.rest)) {
		return n, io.EOF
	}
	m := copy(p[n:], j.rest[off-j.size:])
	if n += m; n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// wrongDay explains a segment that the day's identity does not open. Source is
// where that identity came from, "" when no day key was found.
func wrongDay(name, source string, err error) error {
	err = fmt.Errorf("open segment %q: %w", name, err)
	if source == "" {
		return withHint(err, "no day key was found for it: it was erased or not copied; give it with --key FILE")
	}
	return withHint(err, "the day key %s is of another camera or day: give the right one with --key FILE", source)
}

// salvage shortens o to the last whole part before the first byte that cannot
// be opened.
func (o *opened) salvage() error {
	readable, damage := firstDamage(o.at, o.size)
	if damage == nil && o.hasIndex(readable) {
		return nil // nothing is missing
	}
	r, err := fmp4.NewReader(o.at, readable)
	if err != nil {
		return fmt.Errorf("salvage segment %q: nothing to save: %w", o.name, err)
	}
	for err == nil {
		_, err = r.Next()
	}
	o.lost = fmt.Sprintf("saved %d whole bytes of %d sealed ones", r.Whole(), o.size)
	if damage != nil {
		o.lost += fmt.Sprintf("; damaged after byte %d", readable)
	}
	o.size = r.Whole()
	return nil
}

// hasIndex reports whether the segment was finished: the index of keyframes
// comes last.
func (o *opened) hasIndex(size int64) bool {
	r, err := fmp4.NewReader(o.at, size)
	if err != nil {
		return false
	}
	index, err := r.Index()
	return err == nil && len(index) > 0
}

// firstDamage says how many bytes from the beginning can be opened.
func firstDamage(r io.ReaderAt, size int64) (int64, error) {
	buf := make([]byte, 64<<10)
	for at := int64(0); at < size; {
		n, err := r.ReadAt(buf[:min(int64(len(buf)), size-at)], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return at, err
		}
		if n == 0 {
			return at, io.ErrUnexpectedEOF
		}
		at += int64(n)
	}
	return size, nil
}

// findDay returns the identity that opens a segment: the day key of source,
// opened with id, or id itself where no day key is to be found.
func findDay(segment, keyFile string, id seal.Identity) (day seal.Identity, source string, err error) {
	source = keyFile
	if source == "" {
		if source, err = dayKeyPath(segment); err != nil {
			return id, "", nil // not in an archive: id must be the day's own
		}
	}
	sealed, err := readDayKey(source)
	switch {
	case keyFile == "" && errors.Is(err, fs.ErrNotExist):
		return id, "", nil // erased, or only the segment was copied
	case err != nil:
		return id, "", fmt.Errorf("read day key: %w", err)
	}
	// Whoever was given one camera's one day holds that day's own identity.
	if recipient, err := seal.DayRecipient(sealed); err == nil && recipient == id.Recipient() {
		return id, source, nil
	}
	day, err = openDay(sealed, id, source)
	return day, source, err
}

// dayKeyPath maps DIR/archive/SITE/CAMERA/DAY/SEGMENT to
// DIR/keys/SITE/CAMERA/DAY.key.age.
func dayKeyPath(segment string) (string, error) {
	abs, err := filepath.Abs(segment)
	if err != nil {
		return "", err
	}
	day := filepath.Dir(abs)
	camera := filepath.Dir(day)
	site := filepath.Dir(camera)
	root := filepath.Dir(site)
	if filepath.Base(root) != "archive" {
		return "", fmt.Errorf("%q does not lie in an archive", segment)
	}
	return filepath.Join(filepath.Dir(root), "keys",
		filepath.Base(site), filepath.Base(camera), filepath.Base(day)+".key.age"), nil
}

func readDayKey(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxDayKey+1))
	if err == nil && len(b) > maxDayKey {
		err = fmt.Errorf("%q: larger than a day key can be", path)
	}
	return b, err
}

// isTerminal reports whether w is a screen.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && f.Name() != os.DevNull
}

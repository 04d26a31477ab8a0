package seal

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"filippo.io/age"
)

const (
	keySuffix    = ".key.age"
	erasedSuffix = ".erased" // says that a key is gone on purpose
	newPrefix    = ".new-"   // being written
)

// Options configures [DayKeys].
type Options struct {
	Dir     string  // required: the keys folder
	Readers Readers // those to whom new day keys are sealed; may be set later

	FS  FS           // nil means the real file system
	Log *slog.Logger // nil means slog.Default
}

// DayKeys are the files DIR/<site>/<camera>/<yyyy-mm-dd>.key.age. Its methods
// may be called from any goroutine.
type DayKeys struct {
	dir string
	fs  FS
	log *slog.Logger

	mu      sync.Mutex
	readers Readers
	known   map[string]*cameraKeys // by site/camera
}

// cameraKeys are the recipients of one camera's last days. Its mutex is held
// while a key is made, so that other cameras do not wait.
type cameraKeys struct {
	mu   sync.Mutex
	days []knownDay // at most three, the last used last
}

type knownDay struct {
	day       string
	recipient age.Recipient
}

// DayKey is one key file.
type DayKey struct {
	Site, Camera string
	Day          string // yyyy-mm-dd, UTC
	Bytes        int64
}

// NewDayKeys checks the options. Nothing is read or written yet.
func NewDayKeys(o Options) (*DayKeys, error) {
	if o.Dir == "" {
		return nil, errors.New("day keys: Dir is required")
	}
	d := &DayKeys{dir: o.Dir, fs: o.FS, log: o.Log, readers: o.Readers, known: map[string]*cameraKeys{}}
	if d.fs == nil {
		d.fs = osFS{}
	}
	if d.log == nil {
		d.log = slog.Default()
	}
	return d, nil
}

// SetReaders replaces the readers, from the next day key on. Day keys that
// exist stay as they are: see [Reseal] and [DayKeys.Replace].
func (d *DayKeys) SetReaders(r Readers) error {
	if r.Len() == 0 {
		return fmt.Errorf("set readers: %w", ErrNoReaders)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.readers = r
	return nil
}

// Readers are those to whom the next day key will be sealed.
func (d *DayKeys) Readers() Readers {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.readers
}

// Recipient is what the segments of a camera and a UTC day (yyyy-mm-dd) are
// sealed to. The first time it makes the day key: when it returns, the key is
// on disk, sealed to the readers. The error wraps [ErrNoReaders] if there are
// none.
func (d *DayKeys) Recipient(site, camera, day string) (age.Recipient, error) {
	if err := validKey(site, camera, day); err != nil {
		return nil, fmt.Errorf("day key: %w", err)
	}
	d.mu.Lock()
	c := d.known[site+"/"+camera]
	if c == nil {
		c = &cameraKeys{}
		d.known[site+"/"+camera] = c
	}
	readers := d.readers
	d.mu.Unlock()

	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.days {
		if k.day == day {
			return k.recipient, nil
		}
	}
	r, err := d.load(site, camera, day, readers)
	if err != nil {
		return nil, fmt.Errorf("day key %s/%s/%s: %w", site, camera, day, err)
	}
	if len(c.days) == 3 {
		c.days = c.days[1:]
	}
	c.days = append(c.days, knownDay{day, r})
	return r, nil
}

// load finds the recipient in the file, or makes the file.
func (d *DayKeys) load(site, camera, day string, to Readers) (age.Recipient, error) {
	path := d.path(site, camera, day)
	sealed, err := d.fs.ReadFile(path, dayLimit)
	if errors.Is(err, fs.ErrNotExist) {
		return d.create(path, to)
	}
	if err != nil {
		return nil, err
	}
	text, err := DayRecipient(sealed)
	if err != nil {
		// Recording goes on with a new key: the day must not be lost because
		// its key file is. What the readers can still get out of the old file
		// is kept.
		aside := fmt.Sprintf("%s.damaged-%d", path, time.Now().UnixMilli())
		if rerr := d.fs.Rename(path, aside); rerr != nil {
			return nil, errors.Join(err, rerr)
		}
		d.log.Error("day key cannot be read: it is kept aside and a new one made; "+
			"segments sealed earlier this day need the old file", "path", aside, "err", err)
		return d.create(path, to)
	}
	r, _, err := parseRecipient(text)
	return r, err
}

func (d *DayKeys) create(path string, to Readers) (age.Recipient, error) {
	if to.Len() == 0 {
		return nil, fmt.Errorf("%w: nobody could open the recording, so none is made", ErrNoReaders)
	}
	sealed, text, err := newDay(to)
	if err != nil {
		return nil, err
	}
	r, _, err := parseRecipient(text)
	if err != nil {
		return nil, err
	}
	if err := d.fs.MkdirAll(filepath.Dir(path)); err != nil {
		return nil, err
	}
	return r, d.write(path, sealed)
}

// write puts a file in place at once: a crash leaves the old state or the new.
func (d *DayKeys) write(path string, data []byte) error {
	dir, base := filepath.Split(path)
	tmp := filepath.Join(dir, newPrefix+base)
	err := d.fs.WriteNew(tmp, data)
	if errors.Is(err, fs.ErrExist) { // left by a crash, never used
		if err := d.fs.Remove(tmp); err != nil {
			return err
		}
		err = d.fs.WriteNew(tmp, data)
	}
	if err != nil {
		return err
	}
	if err := d.fs.Rename(tmp, path); err != nil {
		return err
	}
	return d.fs.SyncDir(filepath.Dir(path))
}

// Sealed is the small age file of a day, for those who hold an identity.
func (d *DayKeys) Sealed(site, camera, day string) ([]byte, error) {
	if err := validKey(site, camera, day); err != nil {
		return nil, fmt.Errorf("day key: %w", err)
	}
	b, err := d.fs.ReadFile(d.path(site, camera, day), dayLimit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("day key %s/%s/%s: %w", site, camera, day, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("day key %s/%s/%s: %w", site, camera, day, err)
	}
	return b, nil
}

// Replace puts a resealed file in the place of the old one. It refuses one
// that holds another day's key.
func (d *DayKeys) Replace(site, camera, day string, sealed []byte) error {
	old, err := d.Sealed(site, camera, day)
	if err != nil {
		return err
	}
	was, err := DayRecipient(old)
	if err != nil {
		return fmt.Errorf("replace: %w", err)
	}
	is, err := DayRecipient(sealed)
	if err != nil {
		return fmt.Errorf("replace: %w", err)
	}
	if was != is {
		return fmt.Errorf("replace day key %s/%s/%s: %w: it is the key of another day", site, camera, day, ErrDamaged)
	}
	if err := d.write(d.path(site, camera, day), sealed); err != nil {
		return fmt.Errorf("replace day key %s/%s/%s: %w", site, camera, day, err)
	}
	return nil
}

// Erase removes a day's key, and with it that day wherever copies of its video
// lie. There is no error if it is gone already. Whether the disk forgets the
// bytes is the disk's matter: they are sealed to the readers.
//
// A file DAY.erased stays in the key's place, so that nobody takes the sealed
// segments that are left for an accident. A recorder that starts again on that
// very day makes a new key for the rest of it; the file stays.
func (d *DayKeys) Erase(site, camera, day string) error {
	if err := validKey(site, camera, day); err != nil {
		return fmt.Errorf("erase day key: %w", err)
	}
	d.forget(site, camera, day)
	// The mark first: a crash between the two leaves a key that still works.
	err := d.markErased(d.path(site, camera, day), d.erasedPath(site, camera, day))
	if err == nil {
		err = d.remove(d.path(site, camera, day))
	}
	if err != nil {
		return fmt.Errorf("erase day key %s/%s/%s: %w", site, camera, day, err)
	}
	return nil
}

// markErased notes when a key that is there is erased.
func (d *DayKeys) markErased(key, mark string) error {
	if _, err := d.fs.ReadFile(key, dayLimit); errors.Is(err, fs.ErrNotExist) {
		return nil // gone already, and marked if it was erased
	}
	return d.write(mark, []byte(time.Now().UTC().Format(time.RFC3339)+"\n"))
}

// Drop removes the key of a day of which no segment is left, and the mark of
// its erasure. There is no error if they are gone already.
func (d *DayKeys) Drop(site, camera, day string) error {
	if err := validKey(site, camera, day); err != nil {
		return fmt.Errorf("drop day key: %w", err)
	}
	d.forget(site, camera, day)
	err := errors.Join(d.remove(d.path(site, camera, day)), d.remove(d.erasedPath(site, camera, day)))
	if err != nil {
		return fmt.Errorf("drop day key %s/%s/%s: %w", site, camera, day, err)
	}
	return nil
}

// remove removes a file for good, if it is there.
func (d *DayKeys) remove(path string) error {
	err := d.fs.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = d.fs.SyncDir(filepath.Dir(path))
	}
	return err
}

func (d *DayKeys) forget(site, camera, day string) {
	d.mu.Lock()
	c := d.known[site+"/"+camera]
	d.mu.Unlock()
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, k := range c.days {
		if k.day == day {
			c.days = append(c.days[:i:i], c.days[i+1:]...)
			return
		}
	}
}

// List names all day keys, in order of site, camera and day.
func (d *DayKeys) List() ([]DayKey, error) {
	var out []DayKey
	err := d.each("", func(site string) error {
		return d.each(site, func(sub string) error {
			camera := filepath.Base(sub)
			files, err := d.fs.ReadDir(filepath.Join(d.dir, sub))
			for _, f := range files {
				day, ok := strings.CutSuffix(f.Name(), keySuffix)
				if !ok || validKey(site, camera, day) != nil {
					continue
				}
				st, err := f.Info()
				if err != nil {
					continue // erased in this moment
				}
				out = append(out, DayKey{site, camera, day, st.Size()})
			}
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("list day keys: %w", err)
	}
	return out, nil
}

func (d *DayKeys) each(sub string, f func(name string) error) error {
	es, err := d.fs.ReadDir(filepath.Join(d.dir, sub))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range es {
		if !e.IsDir() || !nameRE.MatchString(e.Name()) {
			continue
		}
		if err := f(filepath.Join(sub, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func (d *DayKeys) path(site, camera, day string) string {
	return filepath.Join(d.dir, site, camera, day+keySuffix)
}

func (d *DayKeys) erasedPath(site, camera, day string) string {
	return filepath.Join(d.dir, site, camera, day+erasedSuffix)
}

var nameRE = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// validKey keeps names that a browser sends inside the folder.
func validKey(site, camera, day string) error {
	for _, n := range []string{site, camera} {
		if !nameRE.MatchString(n) {
			return fmt.Errorf("name %q: want 1 to 63 of a-z, 0-9 and -, not - first", n)
		}
	}
	if _, err := time.Parse(time.DateOnly, day); err != nil || len(day) != len(time.DateOnly) {
		return fmt.Errorf("day %q: want yyyy-mm-dd", day)
	}
	return nil
}

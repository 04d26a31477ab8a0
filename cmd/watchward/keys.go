package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/seal"
)

// KeysCmd is "watchward keys".
type KeysCmd struct {
	List   KeysListCmd   `cmd:"" help:"List day keys."`
	Show   KeysShowCmd   `cmd:"" help:"Say what can be told of one day key, and whether an identity opens it."`
	Open   KeysOpenCmd   `cmd:"" help:"Open one day key: what comes out opens that camera's that day, and nothing else."`
	Reseal KeysResealCmd `cmd:"" help:"Seal day keys to other readers. Video is not touched."`
	Erase  KeysEraseCmd  `cmd:"" help:"Erase one camera's one day for good, wherever copies of its video lie."`
}

// dayName is SITE/CAMERA/DAY on the command line.
type dayName struct{ site, camera, day string }

// UnmarshalText reads the name.
func (d *dayName) UnmarshalText(text []byte) error {
	parts := strings.Split(string(text), "/")
	if len(parts) != 3 {
		return fmt.Errorf("%q: want SITE/CAMERA/DAY, such as town/gate/2026-11-24", text)
	}
	id := archive.StreamID{Site: parts[0], Camera: parts[1], Stream: archive.Main}
	if err := id.Valid(); err != nil {
		return fmt.Errorf("%q: %w", text, err)
	}
	if _, err := time.Parse(time.DateOnly, parts[2]); err != nil {
		return fmt.Errorf("%q: day %q: want yyyy-mm-dd", text, parts[2])
	}
	*d = dayName{parts[0], parts[1], parts[2]}
	return nil
}

func (d dayName) String() string { return d.site + "/" + d.camera + "/" + d.day }

// KeysListCmd is "watchward keys list".
type KeysListCmd struct {
	DataArg
	JSON bool `help:"Print JSON."`
}

// Help is shown by --help.
func (KeysListCmd) Help() string {
	return `Examples

    watchward keys list /srv/watchward
    watchward keys list --json /srv/watchward | jq -r '.[].file'`
}

// listedKey is one day key in --json.
type listedKey struct {
	Site      string `json:"site"`
	Camera    string `json:"camera"`
	Day       string `json:"day"`
	Bytes     int64  `json:"bytes"`
	Kind      string `json:"kind,omitempty"`
	Readers   int    `json:"readers,omitempty"` // how many it is sealed to; age does not say who
	Recipient string `json:"recipient,omitempty"`
	File      string `json:"file"` // below DIR/keys
	Problem   string `json:"problem,omitempty"`
}

// Run lists day keys.
func (c *KeysListCmd) Run(s *streams) error {
	keys, found, err := c.dayKeys()
	if err != nil {
		return err
	}
	list := []listedKey{}
	for _, k := range found {
		l := listedKey{
			Site: k.Site, Camera: k.Camera, Day: k.Day, Bytes: k.Bytes,
			File: k.Site + "/" + k.Camera + "/" + k.Day + ".key.age",
		}
		sealed, err := keys.Sealed(k.Site, k.Camera, k.Day)
		if err == nil {
			err = l.describe(sealed)
		}
		if err != nil {
			l.Problem = err.Error()
		}
		list = append(list, l)
	}
	if c.JSON {
		return printJSON(s, list)
	}
	for _, l := range list {
		s.printf("%s/%s/%s  %s\n", l.Site, l.Camera, l.Day, l.text())
	}
	s.printf("%s\n", count(int64(len(list)), "day key"))
	return nil
}

func (l listedKey) text() string {
	if l.Problem != "" {
		return "damaged: " + oneLine(l.Problem)
	}
	return fmt.Sprintf("%s, sealed to %s, day %s", l.Kind, count(int64(l.Readers), "reader"), shortRecipient(l.Recipient))
}

// describe reads what the header of a sealed day key tells everybody.
func (l *listedKey) describe(sealed []byte) error {
	recipient, err := seal.DayRecipient(sealed)
	if err != nil {
		return err
	}
	l.Recipient, l.Kind = recipient, string(seal.Classic)
	if strings.HasPrefix(recipient, "age1pq1") {
		l.Kind = string(seal.Hybrid)
	}
	l.Readers, err = seal.CountReaders(sealed)
	return err
}

// KeyArg names one day key, in the data folder or as a file.
type KeyArg struct {
	Key string `arg:"" placeholder:"SITE/CAMERA/DAY" help:"Day key: SITE/CAMERA/DAY, or the path of a .key.age file."`
	DataFlag
}

// read returns the sealed day key and what to call it.
func (a KeyArg) read() (sealed []byte, name string, err error) {
	if strings.HasSuffix(a.Key, ".age") {
		sealed, err = readDayKey(a.Key)
		if err != nil {
			err = fmt.Errorf("read day key: %w", err)
		}
		return sealed, a.Key, err
	}
	var d dayName
	if err := d.UnmarshalText([]byte(a.Key)); err != nil {
		return nil, "", usage("", "%w", err)
	}
	f, err := a.folder()
	if err != nil {
		return nil, "", err
	}
	keys, err := f.keys()
	if err != nil {
		return nil, "", err
	}
	sealed, err = keys.Sealed(d.site, d.camera, d.day)
	return sealed, d.String(), err
}

// KeysShowCmd is "watchward keys show".
type KeysShowCmd struct {
	KeyArg
	Identity string `short:"i" placeholder:"FILE" help:"Also say whether this identity opens it."`
	JSON     bool   `help:"Print JSON."`
}

// Help is shown by --help.
func (KeysShowCmd) Help() string {
	return `Examples

    watchward keys show -d /srv/watchward town/gate/2026-11-24
    watchward keys show -i me.key /srv/watchward/keys/town/gate/2026-11-24.key.age`
}

// shownKey is what --json prints.
type shownKey struct {
	Name      string `json:"name"`
	Bytes     int    `json:"bytes"`
	Kind      string `json:"kind"`
	Readers   int    `json:"readers"`
	Recipient string `json:"recipient"`
	Opens     *bool  `json:"opens,omitempty"` // whether the identity given opens it
}

// Run shows one day key.
func (c *KeysShowCmd) Run(s *streams) error {
	sealed, name, err := c.read()
	if err != nil {
		return err
	}
	var l listedKey
	if err := l.describe(sealed); err != nil {
		return fmt.Errorf("day key %q: %w", name, err)
	}
	out := shownKey{Name: name, Bytes: len(sealed), Kind: l.Kind, Readers: l.Readers, Recipient: l.Recipient}
	if c.Identity != "" {
		id, err := IdentityFlag{Identity: c.Identity}.load(s)
		if err != nil {
			return err
		}
		_, err = seal.OpenDay(sealed, id)
		if err != nil && !errors.Is(err, seal.ErrWrongIdentity) {
			return fmt.Errorf("day key %q: %w", name, err)
		}
		opens := err == nil
		out.Opens = &opens
	}
	if c.JSON {
		return printJSON(s, out)
	}
	s.printf("day key    %s\nkind       %s\nsealed to  %s (age does not say whom)\nrecipient  %s\n",
		out.Name, out.Kind, count(int64(out.Readers), "reader"), out.Recipient)
	if out.Opens != nil {
		answer := "no"
		if *out.Opens {
			answer = "yes"
		}
		s.printf("opens with the identity given: %s\n", answer)
	}
	return nil
}

// KeysOpenCmd is "watchward keys open".
type KeysOpenCmd struct {
	KeyArg
	IdentityFlag
	Output string `short:"o" placeholder:"FILE" help:"Write the day's identity to FILE (mode 0600, never over another file). Default: standard output."`
}

// Help is shown by --help.
func (KeysOpenCmd) Help() string {
	return `What comes out is an identity for one camera and one UTC day. Hand it over with that day's segments:
it opens them, with "watchward unseal -i day" or "age -d -i day", and nothing else. Whoever has
it, has it for good.

Example

    watchward keys open -i me.key -d /srv/watchward -o gate-2026-11-24.key town/gate/2026-11-24`
}

// Run opens one day key.
func (c *KeysOpenCmd) Run(s *streams) error {
	id, err := c.load(s)
	if err != nil {
		return err
	}
	sealed, name, err := c.read()
	if err != nil {
		return err
	}
	day, err := openDay(sealed, id, name)
	if err != nil {
		return err
	}
	if c.Output == "" {
		return writeIdentity(s.Out, day, time.Now())
	}
	if err := writeIdentityFile(c.Output, day); err != nil {
		return err
	}
	s.notef("the identity of %s was written to %s\n", name, c.Output)
	return nil
}

// KeysResealCmd is "watchward keys reseal".
type KeysResealCmd struct {
	DataArg
	IdentityFlag
	To        []string     `placeholder:"RECIPIENT" sep:"none" help:"A recipient (age1…) who shall be able to open the day keys. Repeat it for each reader."`
	ToFile    []string     `placeholder:"FILE" sep:"none" help:"A file with recipients, one a line; # begins a comment."`
	Camera    streamFilter `short:"c" placeholder:"SITE/CAMERA" help:"Only this site or camera."`
	From      moment       `placeholder:"DAY" help:"Only from this day on."`
	Until     moment       `placeholder:"DAY" help:"Only up to this day, inclusive."`
	WithoutMe bool         `help:"Allow that the identity given is not among the new readers and will open these keys no more."`
}

// Help is shown by --help.
func (KeysResealCmd) Help() string {
	return `Those given with --to and --to-file are the readers afterwards: all of them, not more of them. So a
reader is added to the past by naming the old readers and the new, and removed by leaving him
out. (A removed reader may have kept copies of what he could open.) The readers of tomorrow's keys
are set on the page Archive.

The server need not be stopped. Each small file is replaced at once; after an interruption, run
the same command again.

Example

    watchward keys reseal -i me.key --to-file readers.txt -c town /srv/watchward`
}

// Run reseals.
func (c *KeysResealCmd) Run(ctx context.Context, s *streams) error {
	readers, err := c.readers()
	if err != nil {
		return err
	}
	id, err := c.load(s)
	if err != nil {
		return err
	}
	if !c.WithoutMe && !contains(readers, id.Recipient()) {
		return usage("add your own recipient with --to, or give --without-me if you mean it",
			"the identity given would not open these day keys any more")
	}
	keys, all, err := c.dayKeys()
	if err != nil {
		return err
	}
	done := 0
	for _, k := range all {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !c.takes(k) {
			continue
		}
		if err := resealOne(keys, k, id, readers); err != nil {
			return fmt.Errorf("after %s: %w", count(int64(done), "day key"), err)
		}
		done++
	}
	s.printf("%s sealed to %s\n", count(int64(done), "day key"), count(int64(readers.Len()), "reader"))
	return nil
}

// readers gathers the new readers from the flags.
func (c *KeysResealCmd) readers() (seal.Readers, error) {
	lines := c.To
	for _, name := range c.ToFile {
		b, err := os.ReadFile(name)
		if err != nil {
			return seal.Readers{}, fmt.Errorf("read recipients: %w", err)
		}
		lines = append(lines, strings.Split(string(b), "\n")...)
	}
	r, err := seal.ParseReaders(lines)
	if err != nil {
		return r, usage("give each reader with --to, or in a file with --to-file", "%w", err)
	}
	return r, nil
}

func (c *KeysResealCmd) takes(k seal.DayKey) bool {
	if !c.Camera.takes(archive.StreamID{Site: k.Site, Camera: k.Camera, Stream: c.Camera.stream}) {
		return false
	}
	day, err := time.Parse(time.DateOnly, k.Day)
	return err == nil && (c.From.IsZero() || !day.Before(c.From.Truncate(24*time.Hour))) &&
		(c.Until.IsZero() || !day.After(c.Until.Time))
}

func resealOne(keys *seal.DayKeys, k seal.DayKey, id seal.Identity, to seal.Readers) error {
	sealed, err := keys.Sealed(k.Site, k.Camera, k.Day)
	if err != nil {
		return err
	}
	anew, err := seal.Reseal(sealed, id, to)
	if err != nil {
		return fmt.Errorf("day key %s/%s/%s: %w", k.Site, k.Camera, k.Day, err)
	}
	return keys.Replace(k.Site, k.Camera, k.Day, anew)
}

func contains(r seal.Readers, recipient string) bool {
	for _, s := range r.Strings() {
		if s == recipient {
			return true
		}
	}
	return false
}

// KeysEraseCmd is "watchward keys erase".
type KeysEraseCmd struct {
	Day dayName `arg:"" placeholder:"SITE/CAMERA/DAY" help:"What to erase: SITE/CAMERA/DAY."`
	DataFlag
	Yes   bool `help:"Do it. Without it only says what would be erased."`
	Today bool `help:"Allow to erase today's key: what is recorded until midnight UTC, or until the server starts again, is then lost as well."`
}

// Help is shown by --help.
func (KeysEraseCmd) Help() string {
	return `Without its day key nobody can open that camera's that day again, in this archive or in any copy of
the video, as long as no copy of the key file is kept: think of backups, and of those whom the
opened key was given to. The sealed files stay until retention deletes them. A day under a hold
is refused.

Example

    watchward keys erase -d /srv/watchward --yes town/gate/2026-11-24`
}

// Run erases.
func (c *KeysEraseCmd) Run(ctx context.Context, s *streams) error {
	f, err := c.folder()
	if err != nil {
		return err
	}
	keys, err := f.keys()
	if err != nil {
		return err
	}
	if _, err := keys.Sealed(c.Day.site, c.Day.camera, c.Day.day); err != nil {
		return err
	}
	if !c.Today && c.Day.day >= time.Now().UTC().Format(time.DateOnly) {
		return withHint(fmt.Errorf("erase day key %s: the day is not over", c.Day),
			"a recorder may still be sealing to it; erase it tomorrow, or give --today")
	}
	if err := refuseHeld(ctx, f, c.Day); err != nil {
		return err
	}
	if !c.Yes {
		s.printf("would erase %s; give --yes to do it\n", c.Day)
		return nil
	}
	if err := keys.Erase(c.Day.site, c.Day.camera, c.Day.day); err != nil {
		return err
	}
	s.printf("erased %s\n", c.Day)
	return nil
}

// refuseHeld returns an error where a hold touches the day. Where there is no
// index there are no holds.
func refuseHeld(ctx context.Context, f dataFolder, d dayName) (err error) {
	if _, err := os.Stat(filepath.Join(string(f), "watchward.db")); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	a, done, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	holds, err := a.Holds(ctx)
	if err != nil {
		return err
	}
	begin, err := time.Parse(time.DateOnly, d.day)
	if err != nil {
		return err
	}
	for _, h := range holds {
		if h.Site == d.site && h.Camera == d.camera && h.From.Before(begin.AddDate(0, 0, 1)) && h.To.After(begin) {
			return withHint(fmt.Errorf("erase day key %s: held by %q: %q", d, h.By, h.Why),
				"\"watchward archive release %s\" ends the hold", h.ID)
		}
	}
	return nil
}

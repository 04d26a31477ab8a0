package seal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"filippo.io/age"
)

func identity(t testing.TB, k Kind) Identity {
	t.Helper()
	id, err := GenerateIdentity(k)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func readers(t testing.TB, ids ...Identity) Readers {
	t.Helper()
	var lines []string
	for _, id := range ids {
		lines = append(lines, id.Recipient())
	}
	r, err := ParseReaders(lines)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func sealTo(t testing.TB, to age.Recipient, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func recipient(t testing.TB, id Identity) age.Recipient {
	t.Helper()
	r, _, err := parseRecipient(id.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestParseReaders(t *testing.T) {
	h, c := identity(t, Hybrid), identity(t, Classic)
	for _, tt := range []struct {
		name  string
		lines []string
		want  error
		has   string
		len   int
	}{
		{"one", []string{h.Recipient()}, nil, "", 1},
		{"twice the same, comments", []string{"# me", "", " " + c.Recipient() + " ", c.Recipient()}, nil, "", 1},
		{"nobody", []string{"# nobody", ""}, ErrNoReaders, "at least one recipient", 0},
		{"nobody at all", nil, ErrNoReaders, "", 0},
		{"mixed", []string{h.Recipient(), c.Recipient()}, ErrMixedReaders, "reader 2", 0},
		{"identity pasted by mistake", []string{c.Reveal()}, ErrIdentityAsReader, "give its recipient", 0},
		{"hybrid identity pasted by mistake", []string{strings.ToLower(h.Reveal())}, ErrIdentityAsReader, "", 0},
		{"cut short", []string{h.Recipient()[:900]}, nil, "cut short", 0},
		{"mistyped", []string{c.Recipient()[:61] + "b"}, nil, "mistyped", 0},
		{"SSH key", []string{"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI"}, nil, "watchward keygen", 0},
		{"something else", []string{strings.Repeat("x", 1<<20)}, nil, "begins with age1", 0},
	} {
		r, err := ParseReaders(tt.lines)
		switch {
		case tt.len > 0 && (err != nil || r.Len() != tt.len):
			t.Errorf("%s: %d readers, %v, want %d", tt.name, r.Len(), err, tt.len)
		case tt.len == 0 && err == nil:
			t.Errorf("%s: was taken", tt.name)
		case tt.want != nil && !errors.Is(err, tt.want), err != nil && !strings.Contains(err.Error(), tt.has):
			t.Errorf("%s: %v, want %v that says %q", tt.name, err, tt.want, tt.has)
		}
		if err != nil {
			if len(err.Error()) > 500 || strings.Contains(strings.ToUpper(err.Error()), "AGE-SECRET-KEY-1Q") {
				t.Errorf("%s: the error says too much: %v", tt.name, err)
			}
			for _, secret := range []string{c.Reveal(), h.Reveal()} {
				if strings.Contains(strings.ToUpper(err.Error()), secret[20:40]) {
					t.Errorf("%s: the error holds a secret", tt.name)
				}
			}
		}
	}
}

func TestParseIdentity(t *testing.T) {
	h := identity(t, Hybrid)
	id, err := ParseIdentity("# created: today\n# public key: " + h.Recipient() + "\n\n" + h.Reveal() + "\r\n")
	if err != nil || id.Recipient() != h.Recipient() || id.Kind() != Hybrid {
		t.Errorf("got %v %v, want the identity", id.Recipient(), err)
	}
	c := identity(t, Classic)
	for text, has := range map[string]string{
		"":                              "no line begins with",
		c.Recipient():                   "public half",
		c.Reveal() + "\n" + h.Reveal():  "2 lines",
		c.Reveal()[:50]:                 "cut short",
		"age-encryption.org/v1\n-> X":   "age file",
		"AGE-PLUGIN-YUBIKEY-1QQQ":       "plugin",
		"hello":                         "want a line",
		strings.Repeat("A", 100_000):    "want a line",
		hybridSecret + "QQQQ":           "cut short",
		"-----BEGIN AGE ENCRYPTED FILE": "age file",
	} {
		if _, err := ParseIdentity(text); err == nil || !strings.Contains(err.Error(), has) {
			t.Errorf("ParseIdentity(%.20q…) = %v, want an error that says %q", text, err, has)
		} else if strings.Contains(err.Error(), c.Reveal()[20:40]) {
			t.Errorf("the error holds the secret")
		}
	}
}

func TestIdentityIsRedacted(t *testing.T) {
	id := identity(t, Classic)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "id", id)
	js, err := json.Marshal(map[string]any{"id": id})
	if err != nil {
		t.Fatal(err)
	}
	all := fmt.Sprintf("%v %+v %#v %s %q %v", id, id, id, id, id, struct{ X Identity }{id}) + log.String() + string(js)
	if strings.Contains(strings.ToUpper(all), id.Reveal()[16:30]) || strings.Contains(all, "0x") {
		t.Errorf("the secret is printed: %s", all)
	}
}

func TestSealAndOpen(t *testing.T) {
	plain := make([]byte, 3*chunkSize+1234)
	for i := range plain {
		plain[i] = byte(rand.Uint32())
	}
	for _, k := range []Kind{Hybrid, Classic} {
		id, other := identity(t, k), identity(t, k)
		file := sealTo(t, recipient(t, id), plain)
		r, err := Open(bytes.NewReader(file), id)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%s: %d bytes, %v", k, len(got), err)
		}
		at, size, err := OpenAt(bytes.NewReader(file), int64(len(file)), id)
		if err != nil || size != int64(len(plain)) {
			t.Fatalf("%s: OpenAt: %d, %v", k, size, err)
		}
		b := make([]byte, 70_000)
		if _, err := at.ReadAt(b, 60_000); err != nil || !bytes.Equal(b, plain[60_000:130_000]) {
			t.Errorf("%s: ReadAt: %v", k, err)
		}
		if _, err := Open(bytes.NewReader(file), other); !errors.Is(err, ErrWrongIdentity) {
			t.Errorf("%s: other identity: %v, want %v", k, err, ErrWrongIdentity)
		}
		if _, err := Open(bytes.NewReader(file), Identity{}); !errors.Is(err, ErrWrongIdentity) {
			t.Errorf("%s: no identity: %v, want %v", k, err, ErrWrongIdentity)
		}
		header, err := HeaderSize(bytes.NewReader(file))
		if err != nil || !Possible(header, int64(len(file))) {
			t.Errorf("%s: header %d, %v: want a possible size", k, header, err)
		}
	}
}

// What Held says is what a crash would cost; after a filler of Pad nothing
// written before it would be lost.
func TestWriterKnowsWhatItHolds(t *testing.T) {
	to := recipient(t, identity(t, Classic))
	for _, n := range []int{0, 1, 7, chunkSize - 9, chunkSize - 8, chunkSize - 1, chunkSize, chunkSize + 1, 2 * chunkSize, 200_000} {
		var b bytes.Buffer
		w, err := NewWriter(&b, to)
		if err != nil {
			t.Fatal(err)
		}
		header, err := HeaderSize(bytes.NewReader(b.Bytes()))
		if err != nil {
			t.Fatalf("after NewWriter the header is not there: %v", err)
		}
		if _, err := w.Write(make([]byte, n)); err != nil {
			t.Fatal(err)
		}
		there, _ := Whole(header, int64(b.Len()))
		if w.Plain() != int64(n) || there != int64(n-w.Held()) {
			t.Errorf("%d written: plain %d, held %d, and %d are there", n, w.Plain(), w.Held(), there)
		}
		pad := w.Pad()
		if n == 0 != (pad == 0) || pad != 0 && pad < 8 || pad > chunkSize+1 {
			t.Errorf("%d written: pad %d", n, pad)
		}
		if _, err := w.Write(make([]byte, pad)); err != nil {
			t.Fatal(err)
		}
		if there, _ := Whole(header, int64(b.Len())); there < int64(n) {
			t.Errorf("%d written, padded: %d are there", n, there)
		}
	}
}

// A file cut anywhere yields every whole chunk before the cut, and trimming it
// needs no identity.
func TestCutAnywhere(t *testing.T) {
	id := identity(t, Classic)
	plain := bytes.Repeat([]byte("watchward "), 40_000)
	file := sealTo(t, recipient(t, id), plain)
	header, err := HeaderSize(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	for range 200 {
		cut := header + nonceSize + rand.Int64N(int64(len(file))-header-nonceSize)
		want, trim := Whole(header, cut)
		for _, size := range []int64{cut, trim} {
			var out bytes.Buffer
			n, torn, err := Salvage(&out, bytes.NewReader(file[:size]), id)
			if err != nil || !torn || n != want || !bytes.Equal(out.Bytes(), plain[:want]) {
				t.Fatalf("cut at %d: %d bytes, torn %t, %v: want %d", size, n, torn, err, want)
			}
		}
		at, size, err := OpenTornAt(bytes.NewReader(file[:trim]), trim, id)
		if err != nil || size != want {
			t.Fatalf("OpenTornAt cut at %d: %d, %v: want %d", trim, size, err, want)
		}
		got := make([]byte, want)
		if n, err := at.ReadAt(got, 0); n != len(got) || err != nil && err != io.EOF || !bytes.Equal(got, plain[:want]) {
			t.Fatalf("OpenTornAt cut at %d: read %d, %v", trim, n, err)
		}
	}
	if n, torn, err := Salvage(io.Discard, bytes.NewReader(file), id); err != nil || torn || n != int64(len(plain)) {
		t.Errorf("whole: %d, torn %t, %v", n, torn, err)
	}
	bad := bytes.Clone(file)
	bad[header+nonceSize+sealedSize+100] ^= 1
	if n, torn, err := Salvage(io.Discard, bytes.NewReader(bad), id); !errors.Is(err, ErrDamaged) || torn || n != chunkSize {
		t.Errorf("a bit flipped in the second chunk: %d, torn %t, %v: want one chunk and %v", n, torn, err, ErrDamaged)
	}
	if p, trim := Whole(200, 100); p != 0 || trim != 0 {
		t.Errorf("Whole of a cut header = %d, %d", p, trim)
	}
}

func dayKeys(t *testing.T, dir string, r Readers) *DayKeys {
	t.Helper()
	d, err := NewDayKeys(Options{Dir: dir, Readers: r, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDayKeys(t *testing.T) {
	for _, k := range []Kind{Hybrid, Classic} {
		dir := filepath.Join(t.TempDir(), "keys")
		me, you, stranger := identity(t, k), identity(t, k), identity(t, k)
		d := dayKeys(t, dir, readers(t, me, you))
		first, err := d.Recipient("harbour", "gate", "2031-05-06")
		if err != nil {
			t.Fatal(err)
		}
		// After a restart, with other readers of the other kind, the day goes on.
		again := dayKeys(t, dir, readers(t, identity(t, Classic)))
		second, err := again.Recipient("harbour", "gate", "2031-05-06")
		if err != nil || fmt.Sprint(second) != fmt.Sprint(first) {
			t.Errorf("%s: after a restart %v, %v, want the same recipient", k, second, err)
		}
		if other, err := d.Recipient("harbour", "gate", "2031-05-07"); err != nil || fmt.Sprint(other) == fmt.Sprint(first) {
			t.Errorf("%s: the next day has the same key, or %v", k, err)
		}
		segment := sealTo(t, second, []byte("moving pictures"))
		sealed, err := d.Sealed("harbour", "gate", "2031-05-06")
		if err != nil {
			t.Fatal(err)
		}
		for _, reader := range []Identity{me, you} {
			day, err := OpenDay(sealed, reader)
			if err != nil {
				t.Fatalf("%s: %v", k, err)
			}
			r, err := Open(bytes.NewReader(segment), day)
			if err != nil {
				t.Fatalf("%s: %v", k, err)
			}
			if b, err := io.ReadAll(r); string(b) != "moving pictures" || err != nil {
				t.Errorf("%s: %q, %v", k, b, err)
			}
		}
		if _, err := OpenDay(sealed, stranger); !errors.Is(err, ErrWrongIdentity) {
			t.Errorf("%s: stranger: %v, want %v", k, err, ErrWrongIdentity)
		}
		// A reader takes another's place, for the past as well.
		resealed, err := Reseal(sealed, me, readers(t, stranger))
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Replace("harbour", "gate", "2031-05-06", resealed); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenDay(resealed, you); !errors.Is(err, ErrWrongIdentity) {
			t.Errorf("%s: removed reader: %v, want %v", k, err, ErrWrongIdentity)
		}
		if err := d.Replace("harbour", "gate", "2031-05-07", resealed); err == nil {
			t.Errorf("%s: one day's key took the place of another's", k)
		}
		r3, err := dayKeys(t, dir, Readers{}).Recipient("harbour", "gate", "2031-05-06")
		if err != nil || fmt.Sprint(r3) != fmt.Sprint(first) {
			t.Errorf("%s: after a reseal %v, %v, want the same recipient", k, r3, err)
		}
		if list, err := d.List(); err != nil || len(list) != 2 || list[1].Day != "2031-05-07" || list[0].Camera != "gate" {
			t.Errorf("%s: List = %+v, %v", k, list, err)
		}
		if err := errors.Join(d.Erase("harbour", "gate", "2031-05-06"), d.Erase("harbour", "gate", "2031-05-06")); err != nil {
			t.Errorf("%s: Erase twice: %v", k, err)
		}
		if _, err := d.Sealed("harbour", "gate", "2031-05-06"); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: erased: %v, want %v", k, err, ErrNotFound)
		}
		if files, _ := filepath.Glob(filepath.Join(dir, "*/*/*")); len(files) != 2 || filepath.Base(files[0]) != "2031-05-06.erased" {
			t.Errorf("%s: files %v, want the mark of the erased key and the other key", k, files)
		}
		// A recorder that goes on with an erased day gets another key, and the mark stays.
		if r4, err := d.Recipient("harbour", "gate", "2031-05-06"); err != nil || fmt.Sprint(r4) == fmt.Sprint(first) {
			t.Errorf("%s: after erasure %v, %v, want a new recipient", k, r4, err)
		}
		if files, _ := filepath.Glob(filepath.Join(dir, "*/*/*")); len(files) != 3 {
			t.Errorf("%s: files %v, want the new key beside the mark", k, files)
		}
		if err := errors.Join(d.Drop("harbour", "gate", "2031-05-06"), d.Drop("harbour", "gate", "2031-05-06")); err != nil {
			t.Errorf("%s: Drop twice: %v", k, err)
		}
		if files, _ := filepath.Glob(filepath.Join(dir, "*/*/*")); len(files) != 1 {
			t.Errorf("%s: files %v, want one key", k, files)
		}
	}
}

func TestNoReaderNoKey(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	d := dayKeys(t, dir, Readers{})
	if _, err := d.Recipient("harbour", "gate", "2031-05-06"); !errors.Is(err, ErrNoReaders) {
		t.Errorf("got %v, want %v", err, ErrNoReaders)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("something was written")
	}
	if err := d.SetReaders(Readers{}); !errors.Is(err, ErrNoReaders) {
		t.Errorf("SetReaders of nobody: %v", err)
	}
	if err := d.SetReaders(readers(t, identity(t, Classic))); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Recipient("harbour", "gate", "2031-05-06"); err != nil {
		t.Error(err)
	}
	for _, bad := range [][3]string{
		{"..", "gate", "2031-05-06"},
		{"harbour", "a/b", "2031-05-06"},
		{"harbour", "gate", "../../x"},
		{"harbour", "gate", "2031-5-6"},
		{"", "gate", "2031-05-06"},
	} {
		if _, err := d.Recipient(bad[0], bad[1], bad[2]); err == nil {
			t.Errorf("%v was taken", bad)
		}
		if _, err := d.Sealed(bad[0], bad[1], bad[2]); err == nil {
			t.Errorf("%v was read", bad)
		}
	}
}

func TestDamagedDayKeyIsKeptAside(t *testing.T) {
	dir := t.TempDir()
	d := dayKeys(t, dir, readers(t, identity(t, Classic)))
	path := filepath.Join(dir, "harbour", "gate", "2031-05-06.key.age")
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("torn"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Recipient("harbour", "gate", "2031-05-06"); err != nil {
		t.Fatal(err)
	}
	aside, _ := filepath.Glob(path + ".damaged-*")
	if len(aside) != 1 {
		t.Errorf("kept aside %v, want the old file", aside)
	}
}

// Many streams of a camera ask at once: one key is made.
func TestOneKeyForAll(t *testing.T) {
	d := dayKeys(t, t.TempDir(), readers(t, identity(t, Classic)))
	var mu sync.Mutex
	got := map[string]bool{}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			r, err := d.Recipient("harbour", "gate", "2031-05-06")
			mu.Lock()
			defer mu.Unlock()
			if got[fmt.Sprint(r)] = true; err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(got) != 1 {
		t.Errorf("%d keys, want one", len(got))
	}
}

// faulty loses or refuses one call.
type faulty struct {
	osFS
	n, at int
	done  bool
}

var errDisk = errors.New("disk fails")

func (f *faulty) do(call func() error) error {
	if f.n++; f.n != f.at {
		return call()
	}
	if f.done {
		if err := call(); err != nil {
			return err
		}
	}
	return errDisk
}

func (f *faulty) WriteNew(n string, b []byte) error {
	return f.do(func() error { return f.osFS.WriteNew(n, b) })
}

func (f *faulty) Rename(a, b string) error { return f.do(func() error { return f.osFS.Rename(a, b) }) }

func (f *faulty) MkdirAll(dir string) error {
	return f.do(func() error { return f.osFS.MkdirAll(dir) })
}

func (f *faulty) SyncDir(dir string) error { return f.do(func() error { return f.osFS.SyncDir(dir) }) }

func (f *faulty) Remove(name string) error { return f.do(func() error { return f.osFS.Remove(name) }) }

// Whatever call fails: the recipient that the next try gives is the one in the
// file, which the reader can open.
func TestDayKeySurvivesFaults(t *testing.T) {
	me := identity(t, Classic)
	for at := 1; at <= 6; at++ {
		for _, done := range []bool{false, true} {
			dir := filepath.Join(t.TempDir(), "keys")
			d, err := NewDayKeys(Options{Dir: dir, Readers: readers(t, me), FS: &faulty{at: at, done: done}})
			if err != nil {
				t.Fatal(err)
			}
			first, ferr := d.Recipient("harbour", "gate", "2031-05-06")
			again, err := d.Recipient("harbour", "gate", "2031-05-06")
			if err != nil || ferr == nil && fmt.Sprint(first) != fmt.Sprint(again) {
				t.Fatalf("call %d done=%t: %v, want a recipient", at, done, err)
			}
			sealed, err := d.Sealed("harbour", "gate", "2031-05-06")
			if err != nil {
				t.Fatal(err)
			}
			day, err := OpenDay(sealed, me)
			if err != nil || day.Recipient() != fmt.Sprint(again) {
				t.Errorf("call %d done=%t: the file holds another key: %v", at, done, err)
			}
		}
	}
}

// The promise of the documentation, kept by Debian's age.
func TestDebianAgeOpens(t *testing.T) {
	tool, err := exec.LookPath("age")
	if err != nil {
		t.Skip("age is not installed")
	}
	dir := t.TempDir()
	me := identity(t, Classic)
	d := dayKeys(t, filepath.Join(dir, "keys"), readers(t, me, identity(t, Classic)))
	to, err := d.Recipient("harbour", "gate", "2031-05-06")
	if err != nil {
		t.Fatal(err)
	}
	segment := filepath.Join(dir, "segment.mp4.age")
	mine := filepath.Join(dir, "me")
	if err := errors.Join(os.WriteFile(segment, sealTo(t, to, []byte("moving pictures")), 0o600),
		os.WriteFile(mine, []byte(me.Reveal()+"\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	day := filepath.Join(dir, "day")
	key := filepath.Join(dir, "keys/harbour/gate/2031-05-06.key.age")
	if out, err := exec.Command(tool, "-d", "-i", mine, "-o", day, key).CombinedOutput(); err != nil {
		t.Fatalf("age -d of the day key: %v: %s", err, out)
	}
	if out, err := exec.Command(tool, "-d", "-i", day, segment).CombinedOutput(); err != nil || string(out) != "moving pictures" {
		t.Errorf("age -d of the segment: %v: %s", err, out)
	}
}

func FuzzDayRecipient(f *testing.F) {
	me := identity(f, Classic)
	sealed, _, err := newDay(readers(f, me))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add([]byte("age-encryption.org/v1\n-> watchward-day\n" + "YQ\n--- AAAA\n"))
	f.Add([]byte("age-encryption.org/v1\n-> watchward-day\n\n--- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		text, err := DayRecipient(b)
		if err == nil {
			if _, _, perr := parseRecipient(text); perr != nil {
				t.Errorf("returned %q, which is no recipient", text)
			}
		}
		_, _ = OpenDay(b, me)
	})
}

func FuzzSalvage(f *testing.F) {
	id := identity(f, Classic)
	file := sealTo(f, recipient(f, id), make([]byte, 70_000))
	f.Add(file[:len(file)-9], 5)
	f.Add(file, 300)
	f.Add([]byte("age-encryption.org/v1\n"), 0)
	f.Fuzz(func(t *testing.T, b []byte, at int) {
		n, _, err := Salvage(io.Discard, bytes.NewReader(b), id)
		if err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrWrongIdentity) {
			t.Errorf("got %v, want it explained", err)
		}
		header, err := HeaderSize(bytes.NewReader(b))
		plain, trim := Whole(header, int64(len(b)))
		if trim > int64(len(b)) || plain > trim || err == nil && n > int64(len(b)) {
			t.Errorf("%d bytes: whole %d, %d, salvaged %d", len(b), plain, trim, n)
		}
		if r, size, err := OpenTornAt(bytes.NewReader(b), int64(len(b)), id); err == nil && at >= 0 {
			_, _ = r.ReadAt(make([]byte, 100), int64(at)%max(size, 1))
		}
		if r, size, err := OpenAt(bytes.NewReader(b), int64(len(b)), id); err == nil && at >= 0 {
			_, _ = r.ReadAt(make([]byte, 100), int64(at)%max(size, 1))
		}
	})
}

func FuzzParseText(f *testing.F) {
	f.Add(identity(f, Classic).Reveal())
	f.Add(identity(f, Hybrid).Recipient())
	f.Add("# comment\nage1xxx")
	f.Fuzz(func(t *testing.T, s string) {
		_, _ = ParseIdentity(s)
		_, _ = ParseReaders(strings.Split(s, "\n"))
	})
}

func BenchmarkWriter(b *testing.B) {
	to := recipient(b, identity(b, Hybrid))
	w, err := NewWriter(io.Discard, to)
	if err != nil {
		b.Fatal(err)
	}
	part := make([]byte, 100_000)
	b.SetBytes(int64(len(part)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Write(part); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNewWriter(b *testing.B) {
	for _, k := range []Kind{Hybrid, Classic} {
		b.Run(string(k), func(b *testing.B) {
			to := recipient(b, identity(b, k))
			for b.Loop() {
				if _, err := NewWriter(io.Discard, to); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

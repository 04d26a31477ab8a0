package ledger

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/transparency-dev/merkle/rfc6962"
)

// The vectors of docs/reference/ledger-format.md.
const (
	vectorKey        = "watchward/example+35da870a+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c"
	vectorCheckpoint = "watchward/example\n1\nInmLwrRURhWpdATVLXfEK9P/Sf8OcjbEwWFcJCyy1oU=\n\n— watchward/example NdqHCuXCSbyZOrauOtvip1FCGocmqvtJFmDnaZtGOvnvAf51OgpbOhxv6X8jw0ohOIYUXczoFJmrlCJ6LpDcmW2HqgE=\n"
	vectorBegan      = "watchward/leaf/v1\nseq 0\ntime 2026-11-25T10:00:00.000Z\nkind began\norigin watchward/example\nsoftware watchward\n"
	vectorLeaf       = `watchward/leaf/v1
seq 42
time 2026-11-25T10:15:00.123Z
kind segment
bytes 7340032
clock-error-ms 12
entered recorded
name town/gate/2026-11-25/10-14-00.000Z_60040.mp4.age
sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
state sealed
`
	vectorHash       = "0cf961f4df1ca93ad0301e8415771284f07d6f071f096548ac93d8f6110568b8"
	vectorCommitment = "eb6d6caf9f8db68d332b5c3fab222cee4872f4da3bd832561db8d73230f4aadc"
)

func TestLeafVector(t *testing.T) {
	l, err := ParseLeaf([]byte(vectorLeaf))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Check(); err != nil {
		t.Error(err)
	}
	if l.Seq != 42 || l.Kind != Recorded || l.Get("bytes") != "7340032" || !l.Time.Equal(time.Date(2026, 11, 25, 10, 15, 0, 123e6, time.UTC)) {
		t.Errorf("leaf %+v", l)
	}
	if got := string(l.Marshal()); got != vectorLeaf {
		t.Errorf("written again: %q", got)
	}
	if got := hex.EncodeToString(rfc6962.DefaultHasher.HashLeaf([]byte(vectorLeaf))); got != vectorHash {
		t.Errorf("hash of the leaf %s", got)
	}
	sum, err := Secret{Key: "who", Salt: strings.Repeat("01", 32), Value: "Ada Lovelace"}.Commitment()
	if err != nil || sum != vectorCommitment {
		t.Errorf("commitment %s, %v", sum, err)
	}
	c, err := ParseCheckpoint([]byte(vectorCheckpoint), vectorKey)
	if err != nil || c.Size != 1 || !bytes.Equal(c.Root[:], rfc6962.DefaultHasher.HashLeaf([]byte(vectorBegan))) {
		t.Errorf("checkpoint %+v, %v", c, err)
	}
	page := formatPage(t)
	for _, want := range []string{vectorLeaf, vectorHash, vectorCommitment, vectorKey, vectorCheckpoint, vectorBegan} {
		if !strings.Contains(page, want) {
			t.Errorf("docs/reference/ledger-format.md does not have the vector %q", want)
		}
	}
}

// TestFormatPageNamesEverything keeps the contract whole.
func TestFormatPageNamesEverything(t *testing.T) {
	page := formatPage(t)
	for kind, s := range shapes {
		if !strings.Contains(page, "| `"+string(kind)+"` |") {
			t.Errorf("no row for leaves of kind %s", kind)
		}
		for key := range s.must {
			if !strings.Contains(page, "`"+key+"`") {
				t.Errorf("%s: field %s is not named", kind, key)
			}
		}
		for key := range s.may {
			if !strings.Contains(page, "`"+key+"`") {
				t.Errorf("%s: field %s is not named", kind, key)
			}
		}
	}
}

func formatPage(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "reference", "ledger-format.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestParseLeafRefuses(t *testing.T) {
	change := func(old, now string) string { return strings.Replace(vectorLeaf, old, now, 1) }
	for _, tt := range []struct{ name, leaf, want string }{
		{"nothing", "", "four lines"},
		{"no end of line", strings.TrimSuffix(vectorLeaf, "\n"), "each ended"},
		{"another version", change("/v1", "/v2"), "version"},
		{"a number with a zero before", change("seq 42", "seq 042"), "want a number"},
		{"a negative number", change("seq 42", "seq -1"), "want a number"},
		{"a time without milliseconds", change("00.123Z", "00Z"), "time"},
		{"a time in another zone", change("123Z", "123+01:00"), "time"},
		{"a thirteenth month", change("2026-11", "2026-13"), "time"},
		{"a kind of capitals", change("kind segment", "kind Segment"), "word"},
		{"fields out of order", change("bytes 7340032\n", "") + "bytes 7340032\n", "in order"},
		{"a field twice", change("bytes 7340032\n", "bytes 7340032\nbytes 7340032\n"), "in order"},
		{"an empty value", change("state sealed", "state "), "want 1 to"},
		{"a value with a space at its end", change("state sealed", "state sealed "), "no space"},
		{"a terminal escape", change("state sealed", "state \x1b[2Jsealed"), "control"},
		{"a right-to-left override", change("state sealed", "state \u202esealed"), "control"},
		{"bytes that are not UTF-8", change("state sealed", "state \xff"), "UTF-8"},
		{"too large", change("state sealed", "state "+strings.Repeat("x", maxValue+1)), "want 1 to"},
		{"far too large", strings.Repeat("x", maxLeaf+1), "at most"},
		{"too many fields", change("bytes 7340032\n", strings.Repeat("a b\n", maxFields)), "fields"},
	} {
		if _, err := ParseLeaf([]byte(tt.leaf)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want one that says %q", tt.name, err, tt.want)
		}
	}
}

func TestEntryRefuses(t *testing.T) {
	good := viewing()
	with := func(f func(*Entry)) Entry {
		e := Entry{Kind: good.Kind, Fields: append([]Field(nil), good.Fields...), Private: append([]Field(nil), good.Private...)}
		f(&e)
		return e
	}
	for _, tt := range []struct {
		name string
		e    Entry
		want string
	}{
		{"a kind nobody knows", Entry{Kind: "rumour"}, "no such kind"},
		{"a missing field", with(func(e *Entry) { e.Fields = e.Fields[1:] }), "want a field"},
		{"a field of another kind", with(func(e *Entry) { e.Fields = append(e.Fields, Field{"bytes", "1"}) }), "no field"},
		{"a name in clear", with(func(e *Entry) { e.Fields = append(e.Fields, Field{"who", "Ada"}) }), "no field"},
		{"a secret of another kind", with(func(e *Entry) { e.Private = append(e.Private, Field{"birthday", "x"}) }), "nothing private"},
		{"a path that leads elsewhere", Gap("../../etc/passwd/x", "recorded"), "want site"},
		{"a path of too few parts", Gap("town/gate", "recorded"), "want site"},
		{"a forged line", Gap("town/gate/2026-11-25/x\nkind segment", "recorded"), "control"},
		{"a forged commitment", with(func(e *Entry) {
			e.Private = nil
			e.Fields = append(e.Fields, Field{"commit-who", "Ada"})
		}), "hexadecimal"},
	} {
		if _, err := tt.e.draft(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want one that says %q", tt.name, err, tt.want)
		}
	}
	// What a person typed is made to fit, not refused: the viewing must be noted.
	if _, err := with(func(e *Entry) { e.Private[1].Value = " a\nb\x1b" + strings.Repeat("ü", 2000) }).draft(); err != nil {
		t.Errorf("what a person typed: %v", err)
	}
}

func FuzzParseLeaf(f *testing.F) {
	f.Add([]byte(vectorLeaf))
	f.Add([]byte("watchward/leaf/v1\nseq 0\ntime 2026-11-25T10:15:00.123Z\nkind x\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := ParseLeaf(b)
		if err != nil {
			return
		}
		if got := l.Marshal(); !bytes.Equal(got, b) {
			t.Errorf("%q is written again as %q", b, got)
		}
		_ = l.Check()
	})
}

func FuzzParseCheckpoint(f *testing.F) {
	f.Add([]byte(vectorCheckpoint))
	f.Add([]byte("a\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parseCheckpointUnsigned(b)
		if err != nil {
			return
		}
		if c.Origin == "" || !bytes.Equal(c.Note, b) {
			t.Errorf("checkpoint %+v of %q", c, b)
		}
		if signed, err := ParseCheckpoint(b, vectorKey); err == nil && (signed.Size != 1 || signed.Origin != "watchward/example") {
			t.Errorf("somebody signed %q", b)
		}
	})
}

func FuzzParseAddCheckpoint(f *testing.F) {
	f.Add([]byte("old 0\n\n" + vectorCheckpoint))
	f.Add(addCheckpoint(256, [][]byte{make([]byte, 32), make([]byte, 32)}, []byte(vectorCheckpoint)))
	f.Fuzz(func(t *testing.T, b []byte) {
		old, proof, cp, err := parseAddCheckpoint(b)
		if err != nil {
			return
		}
		if len(proof) > 63 {
			t.Errorf("%d hashes", len(proof))
		}
		if got := addCheckpoint(old, proof, cp); !bytes.Equal(got, b) {
			t.Errorf("%q is written again as %q", b, got)
		}
	})
}

func FuzzReadRecord(f *testing.F) {
	f.Add(record{seq: 3, leaf: []byte(vectorLeaf), private: []byte(`[]`)}.marshal())
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, rest, ok := readRecord(b); ok {
			if got := append(r.marshal(), rest...); !bytes.Equal(got, b) {
				t.Errorf("%x is written again as %x", b, got)
			}
		}
	})
}

func FuzzParseRemembered(f *testing.F) {
	f.Add([]byte(rememberedVersion + "\n" + vectorKey + "\n\n" + vectorCheckpoint))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := ParseRemembered(b); err == nil && !bytes.Equal(r.Marshal(), b) {
			t.Errorf("%q is written again as %q", b, r.Marshal())
		}
	})
}

var keyForm = regexp.MustCompile(`^[^+ ]+\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+$`)

func TestKey(t *testing.T) {
	file := filepath.Join(t.TempDir(), "k")
	made, err := MakeKey(file, "example.org/ledger")
	if err != nil {
		t.Fatal(err)
	}
	read, err := LoadKey(file)
	if err != nil || read != made || !keyForm.MatchString(read.Public()) {
		t.Errorf("read %q, %v", read.Public(), err)
	}
	if _, err := MakeKey(file, ""); err == nil {
		t.Error("a key was written over")
	}
	if s := made.String() + made.LogValue().String(); strings.Contains(s, "PRIVATE") {
		t.Error("a key prints itself")
	}
	if _, err := MakeKey(filepath.Join(t.TempDir(), "k"), "two words"); err == nil {
		t.Error("took a name that no key can have")
	}
	for _, bad := range []string{"", "# nothing\n", "PRIVATE+KEY+a+b+c\n", "what is this\n"} {
		if err := os.WriteFile(file, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadKey(file); err == nil {
			t.Errorf("took %q for a key", bad)
		}
	}
}

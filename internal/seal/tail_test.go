package seal

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
)

// What lies in whole chunks and what a tail holds are together all that was
// written, at every moment.
func TestTailCompletesWhatIsWritten(t *testing.T) {
	for _, kind := range []Kind{Hybrid, Classic} {
		t.Run(string(kind), func(t *testing.T) {
			day, err := GenerateIdentity(kind)
			if err != nil {
				t.Fatal(err)
			}
			to, _, err := parseRecipient(day.Recipient())
			if err != nil {
				t.Fatal(err)
			}
			var file bytes.Buffer
			w, err := NewWriter(&file, to)
			if err != nil {
				t.Fatal(err)
			}
			tail, err := NewTail(to)
			if err != nil {
				t.Fatal(err)
			}
			var all []byte
			sizes := []int{1, 100, 65_000, chunkSize - 65_101, 1, chunkSize, 3*chunkSize - 1, 2, 200_000, 7}
			for i, n := range sizes {
				p := bytes.Repeat([]byte{byte(rand.Uint32()), byte(i)}, n)[:n]
				all = append(all, p...)
				if _, err := w.Write(p); err != nil {
					t.Fatal(err)
				}
				sealed, err := tail.Seal(w)
				if err != nil {
					t.Fatal(err)
				}
				header, err := HeaderSize(bytes.NewReader(file.Bytes()))
				if err != nil {
					t.Fatal(err)
				}
				whole, _ := Whole(header, int64(file.Len()))
				rest, err := OpenTail(bytes.NewReader(sealed), day, whole)
				if err != nil {
					t.Fatal(err)
				}
				if got := append(bytes.Clone(all[:whole]), rest...); !bytes.Equal(got, all) {
					t.Errorf("after write %d: %d bytes in chunks and %d in the tail, want %d together", i, whole, len(rest), len(all))
				}
			}
		})
	}
}

func TestOpenTailRefuses(t *testing.T) {
	day, _ := GenerateIdentity(Classic)
	other, _ := GenerateIdentity(Classic)
	to, _, err := parseRecipient(day.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewWriter(new(bytes.Buffer), to)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(w, "what was held back")
	tail, err := NewTail(to)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := tail.Seal(w)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenTail(bytes.NewReader(sealed), other, 0); !errors.Is(err, ErrWrongIdentity) {
		t.Errorf("a stranger's identity: %v, want %v", err, ErrWrongIdentity)
	}
	for cut := range sealed {
		if _, err := OpenTail(bytes.NewReader(sealed[:cut]), day, 0); err == nil {
			t.Errorf("a tail cut at %d of %d was taken", cut, len(sealed))
		}
	}
	if rest, err := OpenTail(bytes.NewReader(sealed), day, 100); err != nil || rest != nil {
		t.Errorf("a place behind the tail: %q, %v, want nothing", rest, err)
	}
}

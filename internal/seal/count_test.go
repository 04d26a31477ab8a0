package seal

import (
	"errors"
	"testing"
)

func TestCountReaders(t *testing.T) {
	for _, tt := range []struct {
		name string
		kind Kind
		n    int
	}{
		{"one classic reader", Classic, 1},
		{"three hybrid readers", Hybrid, 3},
	} {
		var lines []string
		for range tt.n {
			id, err := GenerateIdentity(tt.kind)
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, id.Recipient())
		}
		readers, err := ParseReaders(lines)
		if err != nil {
			t.Fatal(err)
		}
		sealed, _, err := newDay(readers)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := CountReaders(sealed); got != tt.n || err != nil {
			t.Errorf("%s: CountReaders = %d, %v", tt.name, got, err)
		}
	}
	if n, err := CountReaders([]byte("no age file")); !errors.Is(err, ErrDamaged) {
		t.Errorf("CountReaders of something else = %d, %v", n, err)
	}
}

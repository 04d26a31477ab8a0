package live

import (
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/watchward/watchward/internal/media"
)

// TestHostileOffers answers offers in which lines are missing, doubled, moved or
// garbled: whatever comes, it is answered or refused with a reason that is the
// viewer's, and nothing stays behind. WATCHWARD_HOSTILE_OFFERS sets how many.
func TestHostileOffers(t *testing.T) {
	noneLeft(t)
	n := 300
	if text := os.Getenv("WATCHWARD_HOSTILE_OFFERS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	src := newSource(t)
	src.audio = &media.Format{Codec: media.Opus, ClockRate: 48000, SampleRate: 48000, Channels: 2}
	src.pictures(2)
	h := run(t, Options{}, map[string]*media.Stream{"gate/main": &src.st})
	r := rand.New(rand.NewPCG(1, 2))
	answered := 0
	for range n {
		offer := garble(r, chromiumOffer)
		v, _, err := h.answer(&src.st, offer, "gate", "main", "")
		switch {
		case err == nil:
			answered++
			v.end(errEnded)
		case !errors.Is(err, errOffer) && !errors.Is(err, errNoMatch):
			t.Fatalf("%v\n%s", err, offer)
		}
		if h.Viewers() > 100 {
			eventually(t, "viewers leave", func() bool { return h.Viewers() < 10 })
		}
	}
	if answered == 0 || answered == n {
		t.Errorf("%d of %d answered: the offers are all harmless or all useless", answered, n)
	}
	eventually(t, "all are gone", func() bool { return h.Viewers() == 0 })
}

func garble(r *rand.Rand, text string) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	odd := []string{"", "0", "-1", "65536", "99999999999999999999", "x", " ", "\x00", "%s", strings.Repeat("9", 900), "BUNDLE", "sha-256", "active", "inactive"}
	for range 1 + r.IntN(4) {
		i := r.IntN(len(lines))
		switch r.IntN(6) {
		case 0:
			lines = append(lines[:i:i], lines[i+1:]...)
		case 1:
			lines = append(lines[:i+1:i+1], lines[i:]...)
		case 2:
			j := r.IntN(len(lines))
			lines[i], lines[j] = lines[j], lines[i]
		case 3:
			lines[i] = lines[i][:r.IntN(len(lines[i])+1)]
		case 4:
			words := strings.FieldsFunc(lines[i], func(c rune) bool { return strings.ContainsRune(" :;=/", c) })
			if len(words) > 0 {
				lines[i] = strings.Replace(lines[i], words[r.IntN(len(words))], odd[r.IntN(len(odd))], 1)
			}
		case 5:
			b := []byte(lines[i])
			if len(b) > 0 {
				b[r.IntN(len(b))] = byte(r.Uint32())
			}
			lines[i] = string(b)
		}
		if len(lines) == 0 {
			lines = []string{""}
		}
	}
	return strings.Join(lines, "\r\n") + "\r\n"
}

package archive

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// StreamID names one stream of one camera at one site. Each part is 1 to 63 of
// a-z, 0-9 and -, not - first. The stream "main" has no word in file names.
type StreamID struct{ Site, Camera, Stream string }

// Main is the stream whose name stands in no file name.
const Main = "main"

var nameRE = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// reserved words mean something else in the place of a stream's name.
var reserved = []string{"torn", "damaged", "mp4", "age", "part", "gap"}

// Valid refuses names that would not come back from a file name as they went in.
func (id StreamID) Valid() error {
	for _, n := range []struct{ what, name string }{{"site", id.Site}, {"camera", id.Camera}, {"stream", id.Stream}} {
		if !nameRE.MatchString(n.name) {
			return fmt.Errorf("%s %q: want 1 to 63 of a-z, 0-9 and -, not - first", n.what, n.name)
		}
	}
	if slices.Contains(reserved, id.Stream) {
		return fmt.Errorf("stream %q: this word has another meaning in file names", id.Stream)
	}
	return nil
}

func (id StreamID) String() string { return id.Site + "/" + id.Camera + "/" + id.Stream }

// word is the stream's part of a file name, with its dot.
func (id StreamID) word() string {
	if id.Stream == Main {
		return ""
	}
	return "." + id.Stream
}

// dir is the folder of a day, relative to the archive, with slashes.
func (id StreamID) dir(start time.Time) string {
	return path.Join(id.Site, id.Camera, start.UTC().Format(time.DateOnly))
}

const (
	clockLayout = "15-04-05.000"
	sealedEnd   = ".mp4.age"
	gapEnd      = ".gap"
	partEnd     = ".part"
)

// stamp is the first part of every file name: when it began, UTC.
func stamp(start time.Time) string { return start.UTC().Format(clockLayout) + "Z" }

// partName is the path of a segment that is being written.
func partName(id StreamID, start time.Time) string {
	return path.Join(id.dir(start), stamp(start)+id.word()+partEnd)
}

// Name is the segment's path relative to the archive, with slashes on every
// system. It says all that the index knows but the hash and the clock error.
func (s Segment) Name() string {
	word := ""
	switch s.kind() {
	case Torn, Damaged:
		word = "." + string(s.kind())
	}
	return path.Join(s.dir(s.Start), fmt.Sprintf("%s_%d%s%s%s", stamp(s.Start), s.Duration.Milliseconds(), s.word(), word, sealedEnd))
}

// Name is the path of the gap's empty file relative to the archive.
func (g Gap) Name() string {
	return path.Join(g.dir(g.Start), fmt.Sprintf("%s_%d%s.%s%s", stamp(g.Start), g.End.Sub(g.Start).Milliseconds(), g.word(), g.Reason, gapEnd))
}

var errName = errors.New("not a name of the archive")

// ParseName reads the path of a segment, as [Segment.Name] writes it.
func ParseName(rel string) (Segment, error) {
	n, err := parseName(rel)
	if err != nil {
		return Segment{}, err
	}
	if n.segment == nil {
		return Segment{}, fmt.Errorf("name %q: %w: want one that ends in %s", rel, errName, sealedEnd)
	}
	return *n.segment, nil
}

// parsed is what a path in the archive stands for: one of three things.
type parsed struct {
	segment *Segment
	gap     *Gap
	part    *partFile
}

// partFile is a segment that was being written.
type partFile struct {
	StreamID
	Start time.Time
}

// parseName reads any path that the archive makes. It takes exactly what the
// archive writes: a name that would be written otherwise is refused.
func parseName(rel string) (parsed, error) {
	bad := fmt.Errorf("name %q: %w", rel, errName)
	f := strings.Split(rel, "/")
	if len(f) != 4 || len(rel) > 400 {
		return parsed{}, bad
	}
	id := StreamID{Site: f[0], Camera: f[1], Stream: Main}
	clock, rest, ok := strings.Cut(f[3], "Z")
	if !ok {
		return parsed{}, bad
	}
	start, err := time.Parse(time.DateOnly+" "+clockLayout, f[2]+" "+clock)
	if err != nil {
		return parsed{}, bad
	}
	var n parsed
	if word, isPart := strings.CutSuffix(rest, partEnd); isPart {
		n, ok = parsePart(id, start, word)
	} else {
		n, ok = parseSpan(id, start, rest)
	}
	if !ok || n.name() != rel {
		return parsed{}, bad
	}
	return n, nil
}

func (n parsed) name() string {
	switch {
	case n.segment != nil:
		return n.segment.Name()
	case n.gap != nil:
		return n.gap.Name()
	default:
		return partName(n.part.StreamID, n.part.Start)
	}
}

func parsePart(id StreamID, start time.Time, word string) (parsed, bool) {
	if word != "" {
		id.Stream = word[1:]
	}
	return parsed{part: &partFile{id, start}}, id.Valid() == nil
}

// parseSpan reads what follows the Z: _<ms>, words, and what kind of file it is.
func parseSpan(id StreamID, start time.Time, rest string) (parsed, bool) {
	isGap := strings.HasSuffix(rest, gapEnd)
	body, ok := strings.CutSuffix(rest, sealedEnd)
	if isGap {
		body, ok = strings.CutSuffix(rest, gapEnd)
	}
	if !ok || !strings.HasPrefix(body, "_") {
		return parsed{}, false
	}
	words := strings.Split(body[1:], ".")
	ms, err := strconv.ParseInt(words[0], 10, 64)
	if err != nil || ms <= 0 || ms > maxSpan.Milliseconds() {
		return parsed{}, false
	}
	words = words[1:]
	span := time.Duration(ms) * time.Millisecond
	if isGap {
		return gapOf(id, start, span, words)
	}
	return segmentOf(id, start, span, words)
}

func gapOf(id StreamID, start time.Time, span time.Duration, words []string) (parsed, bool) {
	switch len(words) {
	case 1:
	case 2:
		id.Stream = words[0]
	default:
		return parsed{}, false
	}
	g := Gap{StreamID: id, Start: start, End: start.Add(span), Reason: words[len(words)-1]}
	return parsed{gap: &g}, id.Valid() == nil && nameRE.MatchString(g.Reason)
}

func segmentOf(id StreamID, start time.Time, span time.Duration, words []string) (parsed, bool) {
	s := Segment{StreamID: id, Start: start, Duration: span, State: Sealed}
	if n := len(words); n > 0 && (words[n-1] == string(Torn) || words[n-1] == string(Damaged)) {
		s.State, words = State(words[n-1]), words[:n-1]
	}
	switch len(words) {
	case 0:
	case 1:
		s.Stream = words[0]
	default:
		return parsed{}, false
	}
	return parsed{segment: &s}, s.Valid() == nil
}

// maxSpan is the longest segment or gap: far more than anyone keeps, and no
// overflow.
const maxSpan = 100 * 365 * 24 * time.Hour

// ms cuts a time to the millisecond, which is as fine as names are. Ends and
// the next beginning are cut alike, so that neither overlap nor sliver arises.
func ms(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

package ledger

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The kinds. A word, once used, keeps its meaning for ever.
const (
	Began     Kind = "began"     // the ledger's first leaf
	Clock     Kind = "clock"     // the recorder's clock was set back
	Recorded  Kind = "segment"   // a sealed segment is in the archive
	NoVideo   Kind = "gap"       // a stretch of time was not recorded
	Deleted   Kind = "deletion"  // a segment or gap goes, and why; noted before it does
	Held      Kind = "hold"      // kept beyond retention
	Released  Kind = "release"   // a hold ended
	Viewed    Kind = "viewing"   // somebody was given recordings, a day key or live video
	Exported  Kind = "export"    // a clip was taken out
	Adopted   Kind = "adoption"  // a device was adopted
	Refused   Kind = "refusal"   // a device was refused
	Waived    Kind = "waiver"    // a restriction was waived
	Rules     Kind = "rules"     // rule data changed
	Egress    Kind = "egress"    // a summary of what tried to leave
	Forgotten Kind = "forgotten" // the words behind a commitment were destroyed
)

// form is what a value must look like.
type form int

const (
	text form = iota
	word
	number
	hash
	moment
	path
)

// shape is what a kind's leaf holds: required fields, then optional ones, then
// what may only be committed to.
type shape struct {
	must, may map[string]form
	private   []string
}

func shapeOf(k Kind) (shape, bool) {
	s, ok := shapes[k]
	return s, ok
}

var shapes = map[Kind]shape{
	Began:    {must: map[string]form{"origin": text, "software": text}},
	Clock:    {must: map[string]form{"was": moment, "now": moment}},
	Recorded: {must: map[string]form{"name": path, "bytes": number, "sha256": hash, "state": word, "entered": word}, may: map[string]form{"clock-error-ms": number}},
	NoVideo:  {must: map[string]form{"name": path, "entered": word}},
	Deleted:  {must: map[string]form{"name": path, "reason": word}, may: map[string]form{"sha256": hash}},
	Held: {
		must: map[string]form{"id": text, "site": word, "camera": word, "from": moment, "to": moment}, may: map[string]form{"stream": word},
		private: []string{"who", "why"},
	},
	Released: {must: map[string]form{"id": text}, private: []string{"who"}},
	Viewed: {
		must: map[string]form{"what": word, "site": word, "camera": word, "from": moment, "to": moment, "session": hash}, may: map[string]form{"stream": word},
		private: []string{"who", "why"},
	},
	Exported: {
		must: map[string]form{"site": word, "camera": word, "from": moment, "to": moment, "sha256": hash}, may: map[string]form{"stream": word, "sealed-to": text},
		private: []string{"who", "why"},
	},
	Adopted: {must: map[string]form{"site": word, "device": text}, may: map[string]form{"maker": text, "verdict": word, "restriction": text}, private: []string{"who", "why"}},
	Refused: {must: map[string]form{"site": word, "device": text, "restriction": text}, may: map[string]form{"maker": text, "verdict": word}, private: []string{"who"}},
	Waived: {
		must:    map[string]form{"id": text, "site": word, "device": text, "restriction": text, "until": moment},
		private: []string{"who", "why"},
	},
	Rules:     {must: map[string]form{"what": text, "sha256": hash}, may: map[string]form{"was": hash, "source": text}, private: []string{"who"}},
	Egress:    {must: map[string]form{"from": moment, "to": moment, "level": word}, may: map[string]form{"attempts": number, "bytes": number, "escaped": number, "site": word, "sha256": hash}},
	Forgotten: {must: map[string]form{"leaf": number}, may: map[string]form{"reason": text}},
}

// Entry is what somebody wants noted.
type Entry struct {
	Kind   Kind
	Fields []Field // in any order
	// Private are facts about a person. The leaf holds a commitment under the
	// key "commit-" and theirs; the words lie where they can be forgotten. What
	// cannot be written on a line is cut down until it can.
	Private []Field
}

// Secret is what lies beside a commitment.
type Secret struct {
	Key   string `json:"key"`
	Salt  string `json:"salt"` // 32 bytes, hexadecimal
	Value string `json:"value"`
}

// Commitment returns what the leaf holds in place of the words.
func (s Secret) Commitment() (string, error) {
	salt, err := hex.DecodeString(s.Salt)
	if err != nil || len(salt) != 32 {
		return "", fmt.Errorf("salt of %q: want 32 bytes, hexadecimal", clip(s.Key))
	}
	h := sha256.New()
	fmt.Fprintf(h, "watchward/commitment/v1\n%s\n", s.Key)
	h.Write(salt)
	h.Write([]byte(s.Value))
	return hex.EncodeToString(h.Sum(nil)), nil
}

const commitPrefix = "commit-"

// draft is a leaf without number and time, and what lies beside it.
type draft struct {
	leaf    Leaf
	private []byte // JSON of []Secret, or nil
}

// draft checks an entry against its kind and makes its commitments.
func (e Entry) draft() (draft, error) {
	s, ok := shapeOf(e.Kind)
	if !ok {
		return draft{}, fmt.Errorf("entry of kind %q: there is no such kind", clip(string(e.Kind)))
	}
	d := draft{leaf: Leaf{Kind: e.Kind, Fields: slices.Clone(e.Fields)}}
	var secrets []Secret
	for _, p := range e.Private {
		if !slices.Contains(s.private, p.Key) {
			return draft{}, fmt.Errorf("%s: nothing private is called %q", e.Kind, clip(p.Key))
		}
		salt := make([]byte, 32)
		rand.Read(salt)
		secret := Secret{Key: p.Key, Salt: hex.EncodeToString(salt), Value: tidy(p.Value)}
		sum, err := secret.Commitment()
		if err != nil {
			return draft{}, err
		}
		secrets = append(secrets, secret)
		d.leaf.Fields = append(d.leaf.Fields, Field{commitPrefix + p.Key, sum})
	}
	sortFields(d.leaf.Fields)
	if err := checkFields(d.leaf.Fields); err != nil {
		return draft{}, fmt.Errorf("%s: %w", e.Kind, err)
	}
	if err := s.check(d.leaf); err != nil {
		return draft{}, err
	}
	if len(d.leaf.Marshal())+20 > maxLeaf { // the number is still to come
		return draft{}, fmt.Errorf("%s: more than %d bytes", e.Kind, maxLeaf)
	}
	if len(secrets) > 0 {
		var err error
		if d.private, err = json.Marshal(secrets); err != nil {
			return draft{}, err
		}
	}
	return d, nil
}

// tidy makes of what a person typed something that fits a line: what else it
// said is not evidence.
func tidy(s string) string {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if isControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd")))
	for len(s) > maxValue {
		s = s[:maxValue]
		s = strings.TrimSpace(strings.ToValidUTF8(s, ""))
	}
	return s
}

// check compares a leaf with the shape of its kind.
func (s shape) check(l Leaf) error {
	for key := range s.must {
		if l.Get(key) == "" {
			return fmt.Errorf("%s: want a field %q", l.Kind, key)
		}
	}
	for _, f := range l.Fields {
		if name, ok := strings.CutPrefix(f.Key, commitPrefix); ok && slices.Contains(s.private, name) {
			if err := hash.check(f.Value); err != nil {
				return fmt.Errorf("%s: field %q: %w", l.Kind, f.Key, err)
			}
			continue
		}
		want, ok := s.must[f.Key]
		if !ok {
			want, ok = s.may[f.Key]
		}
		if !ok {
			return fmt.Errorf("%s: there is no field %q", l.Kind, f.Key)
		}
		if err := want.check(f.Value); err != nil {
			return fmt.Errorf("%s: field %q: %w", l.Kind, f.Key, err)
		}
	}
	return nil
}

func (f form) check(v string) error {
	switch f {
	case word:
		if len(v) > 63 || strings.Trim(v, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return fmt.Errorf("%q: want a word of a-z, 0-9 and -", clip(v))
		}
	case number:
		_, err := readUint(v)
		return err
	case hash:
		b, err := hex.DecodeString(v)
		if err != nil || len(b) != 32 || hex.EncodeToString(b) != v {
			return fmt.Errorf("%q: want 32 bytes, hexadecimal", clip(v))
		}
	case moment:
		_, err := readTime(v)
		return err
	case path:
		return checkPath(v)
	}
	return nil
}

// checkPath wants a name of the archive: four parts, none of which leads
// elsewhere.
func checkPath(v string) error {
	parts := strings.Split(v, "/")
	if len(parts) != 4 || slices.ContainsFunc(parts, func(p string) bool { return p == "" || p[0] == '.' || strings.ContainsAny(p, `\:`) }) {
		return fmt.Errorf("%q: want site/camera/day/file", clip(v))
	}
	return nil
}

// Segment is a sealed segment that is in the archive.
type Segment struct {
	Name       string // path in the archive
	Bytes      int64
	SHA256     [32]byte // of the sealed bytes
	State      string   // sealed, torn or damaged
	Entered    string   // how it came into the archive: see [Entered]
	ClockError time.Duration
}

// Ways in which something came into the archive.
const (
	EnteredRecorded  = "recorded"  // the recorder committed it
	EnteredRecovered = "recovered" // found at start-up after a crash, or when an index was lost
	EnteredBefore    = "before"    // it was there when the ledger began
)

// Entry is the segment as the ledger takes it.
func (s Segment) Entry() Entry {
	e := Entry{Kind: Recorded, Fields: []Field{
		{"name", s.Name},
		{"bytes", strconv.FormatInt(s.Bytes, 10)},
		{"sha256", hex.EncodeToString(s.SHA256[:])},
		{"state", s.State},
		{"entered", s.Entered},
	}}
	if s.ClockError > 0 {
		e.Fields = append(e.Fields, Field{"clock-error-ms", strconv.FormatInt(s.ClockError.Milliseconds(), 10)})
	}
	return e
}

// Gap is an entry for a stretch that was not recorded; its name says which and why.
func Gap(name, entered string) Entry {
	return Entry{Kind: NoVideo, Fields: []Field{{"name", name}, {"entered", entered}}}
}

// Deletion is an entry for a segment or gap that is about to go. Sum is the
// segment's hash, zero for a gap.
func Deletion(name, reason string, sum [32]byte) Entry {
	e := Entry{Kind: Deleted, Fields: []Field{{"name", name}, {"reason", reason}}}
	if sum != ([32]byte{}) {
		e.Fields = append(e.Fields, Field{"sha256", hex.EncodeToString(sum[:])})
	}
	return e
}

// Hold is what keeps recordings beyond retention.
type Hold struct {
	ID, Site, Camera string
	Stream           string // "" means all streams of the camera
	From, To         time.Time
	Who, Why         string
}

// Entry is the hold as the ledger takes it.
func (h Hold) Entry() Entry {
	return Entry{Kind: Held, Fields: spanFields(h.Site, h.Camera, h.Stream, h.From, h.To, Field{"id", h.ID}), Private: who(h.Who, h.Why)}
}

// Release is an entry for the end of a hold.
func Release(id, by string) Entry {
	return Entry{Kind: Released, Fields: []Field{{"id", id}}, Private: who(by, "")}
}

func spanFields(site, camera, stream string, from, to time.Time, more ...Field) []Field {
	f := append(more, Field{"site", site}, Field{"camera", camera}, Field{"from", stamp(from)}, Field{"to", stamp(to)})
	if stream != "" {
		f = append(f, Field{"stream", stream})
	}
	return f
}

func who(name, why string) []Field {
	var p []Field
	if name != "" {
		p = append(p, Field{"who", name})
	}
	if why != "" {
		p = append(p, Field{"why", why})
	}
	return p
}

// Check compares a leaf with what its kind demands. A kind of a later version
// is taken as it is.
func (l Leaf) Check() error {
	s, ok := shapeOf(l.Kind)
	if !ok {
		return nil
	}
	if err := s.check(l); err != nil {
		return errors.Join(errLeaf, err)
	}
	return nil
}

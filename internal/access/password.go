package access

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

// Cost is what hashing one password takes. It is stored with every hash, so it
// may be raised: an old hash is made anew at the next login.
type Cost struct {
	Time    uint32 // passes
	Memory  uint32 // KiB
	Threads uint8
}

// DefaultCost is the second recommended option of RFC 9106, 4: 64 MiB, three
// passes; about 0.1 s on one core of a small server.
func DefaultCost() Cost { return Cost{Time: 3, Memory: 64 << 10, Threads: 1} }

const (
	saltSize    = 16
	hashSize    = 32
	minPassword = 10  // characters
	maxPassword = 512 // bytes
	maxName     = 64  // bytes
)

// hasher hashes few passwords at a time: each takes 64 MiB, and a recorder's
// memory is not an attacker's to fill.
type hasher struct {
	cost  Cost
	slots chan struct{}
	dummy string // a hash no password has, for accounts that do not exist
}

func newHasher(c Cost) *hasher {
	h := &hasher{cost: c, slots: make(chan struct{}, 2)}
	salt, sum := make([]byte, saltSize), make([]byte, hashSize)
	rand.Read(salt)
	rand.Read(sum)
	h.dummy = encode(c, salt, sum)
	return h
}

// derive waits for a slot.
func (h *hasher) derive(ctx context.Context, c Cost, password string, salt []byte, size int) ([]byte, error) {
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return argon2.IDKey([]byte(password), salt, c.Time, c.Memory, c.Threads, uint32(size)), nil
}

func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	salt := make([]byte, saltSize)
	rand.Read(salt)
	sum, err := h.derive(ctx, h.cost, password, salt, hashSize)
	if err != nil {
		return "", fmt.Errorf("hash password: %w", err)
	}
	return encode(h.cost, salt, sum), nil
}

// verify compares in constant time. An empty hash never matches, and takes as
// long as one that does.
func (h *hasher) verify(ctx context.Context, hash, password string) (good, stale bool, err error) {
	real := hash != ""
	if !real {
		hash = h.dummy
	}
	c, salt, want, err := decode(hash)
	if err != nil {
		return false, false, err
	}
	got, err := h.derive(ctx, c, password, salt, len(want))
	if err != nil {
		return false, false, fmt.Errorf("check password: %w", err)
	}
	good = subtle.ConstantTimeCompare(got, want) == 1 && real
	return good, c != h.cost, nil
}

// encode writes the usual form: $argon2id$v=19$m=65536,t=3,p=1$salt$hash.
func encode(c Cost, salt, sum []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.Memory, c.Time, c.Threads,
		b64.EncodeToString(salt), b64.EncodeToString(sum))
}

var errHashForm = errors.New("stored password hash has an unknown form")

func decode(hash string) (c Cost, salt, sum []byte, err error) {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return c, nil, nil, errHashForm
	}
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &c.Memory, &c.Time, &c.Threads); n != 3 || err != nil {
		return c, nil, nil, errHashForm
	}
	// Whoever can write the database could else make a login take all memory.
	if c.Memory > 1<<20 || c.Time < 1 || c.Time > 32 || c.Threads < 1 || c.Threads > 16 {
		return c, nil, nil, errHashForm
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	sum, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(salt) < 8 || len(sum) < 16 || len(sum) > 64 {
		return c, nil, nil, errHashForm
	}
	return c, salt, sum, nil
}

// CheckPassword refuses passwords that do not protect: short ones, the user's
// own name, and what attackers try first. There are no rules about digits or
// signs: length is what counts (NIST SP 800-63B, 3.1.1.2).
func CheckPassword(name, password string) error {
	switch {
	case utf8.RuneCountInString(password) < minPassword:
		return &WeakError{"password-short"}
	case len(password) > maxPassword:
		return &WeakError{"password-long"}
	case strings.Contains(fold(password), fold(name)) && len(fold(password)) < len(fold(name))+6 && name != "":
		return &WeakError{"password-name"}
	case common(password):
		return &WeakError{"password-common"}
	}
	return nil
}

// common reports whether the password is a word of the list below, however
// lengthened by digits, signs and repetition, or nothing but few characters.
func common(password string) bool {
	lower := strings.ToLower(password)
	distinct := map[rune]bool{}
	for _, r := range lower {
		distinct[r] = true
	}
	if len(distinct) < 5 {
		return true
	}
	for _, run := range []string{"01234567890123456789", "98765432109876543210", "abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm", "azertyuiopqsdfghjklmwxcvbn"} {
		if strings.Contains(run, lower) {
			return true
		}
	}
	plain := strings.NewReplacer("0", "o", "1", "i", "3", "e", "4", "a", "@", "a", "5", "s", "$", "s", "7", "t", "!", "i").Replace(lower)
	for _, s := range []string{lower, plain} {
		if rest := strip(s); len([]rune(rest)) < 4 {
			return true
		}
	}
	return false
}

// strip takes common words and everything that is no letter out.
func strip(s string) string {
	for _, w := range commonWords {
		s = strings.ReplaceAll(s, w, "")
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) {
			return r
		}
		return -1
	}, s)
}

// commonWords lead the lists of leaked passwords, with those of our trade and
// those found on keyboards; longer ones first where one holds another.
var commonWords = []string{
	"watchward", "administrator", "administrateur", "surveillance", "motdepasse", "changeme", "password", "passwort", "passwd", "welcome",
	"bienvenue", "camera", "recorder", "security", "securite", "hikvision", "dahua", "qwertyuiop", "azertyuiop", "qwerty", "azerty", "qwertz",
	"iloveyou", "jetaime", "letmein", "default", "monkey", "dragon", "football", "baseball", "princess", "sunshine", "superman", "batman", "master",
	"shadow", "soleil", "bonjour", "doudou", "loulou", "chouchou", "trustno", "whatever", "starwars", "computer", "internet", "abcdef", "abcd", "abc",
	"asdfgh", "asdf", "zxcvbn", "wxcvbn", "admin", "guest", "login", "hello", "secret", "access", "root", "user", "test", "pass", "demo", "video",
}

func checkName(name string) (string, error) {
	name = strings.Join(strings.Fields(name), " ")
	switch {
	case name == "":
		return "", &WeakError{"name-missing"}
	case len(name) > maxName:
		return "", &WeakError{"name-long"}
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "", &WeakError{"name-invisible"}
	}
	return name, nil
}

// fold makes the key under which a name is unique.
func fold(name string) string { return strings.ToLower(strings.Join(strings.Fields(name), " ")) }

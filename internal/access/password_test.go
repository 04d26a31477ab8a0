package access

import (
	"errors"
	"strings"
	"testing"
)

func TestCheckPassword(t *testing.T) {
	for _, tt := range []struct{ name, password, want string }{
		{"words", "correct horse battery", ""},
		{"ten letters", "tyrfgbnmqa", ""},
		{"other script", "синяя лошадь бежит", ""},
		{"short", "a1b2c3d4e", "password-short"},
		{"nothing", "", "password-short"},
		{"short in characters, long in bytes", "ééééé", "password-short"},
		{"endless", strings.Repeat("ab cd ef", 100), "password-long"},
		{"the usual", "password123", "password-common"},
		{"the usual, dressed up", "P@ssw0rd2024!", "password-common"},
		{"twice the usual", "adminadmin1", "password-common"},
		{"the product", "watchward2031", "password-common"},
		{"digits in a row", "1234567890", "password-common"},
		{"keyboard", "qwertyuiop", "password-common"},
		{"one letter", "aaaaaaaaaaaa", "password-common"},
		{"French", "motdepasse1", "password-common"},
		{"the name", "ada lovelace", "password-name"},
		{"the name and a year", "Ada Lovelace31", "password-name"},
	} {
		err := CheckPassword("Ada Lovelace", tt.password)
		var weak *WeakError
		switch {
		case tt.want == "" && err != nil, tt.want != "" && (!errors.As(err, &weak) || weak.Code != tt.want):
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestHashing(t *testing.T) {
	h := newHasher(cheap)
	hash, err := h.hash(t.Context(), goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := h.hash(t.Context(), goodPassword); again == hash {
		t.Error("no salt")
	}
	if good, stale, err := h.verify(t.Context(), hash, goodPassword); !good || stale || err != nil {
		t.Errorf("own hash: %t %t %v", good, stale, err)
	}
	if good, stale, _ := newHasher(Cost{2, 64, 1}).verify(t.Context(), hash, goodPassword); !good || !stale {
		t.Errorf("hash of lower cost: good %t, stale %t", good, stale)
	}
	if good, _, err := h.verify(t.Context(), "", "anything"); good || err != nil {
		t.Errorf("no hash: %t %v", good, err)
	}
}

func TestHostileHashes(t *testing.T) {
	for _, hash := range []string{
		"x", "$argon2id$v=19$m=64,t=1,p=1$$", "$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
		"$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA", // all memory
		"$argon2id$v=19$m=64,t=0,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",         // argon2 panics
		"$argon2id$v=19$m=64,t=1,p=0$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
		"$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$!",
	} {
		if _, _, err := newHasher(cheap).verify(t.Context(), hash, "x"); err == nil {
			t.Errorf("%q was taken", hash)
		}
	}
}

func TestCostIsRaisedAtLogin(t *testing.T) {
	a, _ := withAda(t)
	a.hasher = newHasher(Cost{Time: 2, Memory: 64, Threads: 1})
	if _, err := a.Login(t.Context(), "Ada", goodPassword, "192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	_, hash, err := a.store.userByName(t.Context(), "ada")
	if err != nil || !strings.Contains(hash, "t=2") {
		t.Errorf("%q, %v", hash, err)
	}
}

func TestDefaultCost(t *testing.T) {
	if c := DefaultCost(); c.Memory < 64<<10 || c.Time < 3 {
		t.Errorf("%+v is less than RFC 9106 recommends", c)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA")
	f.Fuzz(func(t *testing.T, hash string) {
		if c, _, _, err := decode(hash); err == nil && (c.Memory > 1<<20 || c.Time == 0 || c.Threads == 0) {
			t.Errorf("%q gives %+v", hash, c)
		}
	})
}

func BenchmarkHash(b *testing.B) {
	h := newHasher(DefaultCost())
	for b.Loop() {
		if _, err := h.hash(b.Context(), goodPassword); err != nil {
			b.Fatal(err)
		}
	}
}

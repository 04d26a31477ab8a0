package estate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/watchward/watchward/internal/db"
)

var testKey = bytes.Repeat([]byte{7}, 32)

func openEstate(t *testing.T) *Estate {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "test.db"), testKey)
}

func openAt(t *testing.T, path string, key []byte) *Estate {
	t.Helper()
	d, err := db.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	e, err := Open(t.Context(), Options{DB: d, Key: key, Gate: NoRules{}})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func withSite(t *testing.T) (*Estate, Site) {
	t.Helper()
	e := openEstate(t)
	s, err := e.AddSite(t.Context(), "Harbour")
	if err != nil {
		t.Fatal(err)
	}
	return e, s
}

func gate(site string) Camera {
	return Camera{
		Site: site, Name: "Front gate", Enabled: true, RecordAudio: true, Retention: Retention{MaxAge: 48 * time.Hour},
		Streams: []StreamConfig{{Name: "main", URL: "rtsp://admin:s3cret@10.0.0.1/main", Record: true}, {Name: "sub", URL: "rtsp://10.0.0.1/sub"}},
	}
}

func TestCameraSurvivesReopening(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	e := openAt(t, path, testKey)
	s, err := e.AddSite(t.Context(), "Harbour")
	if err != nil {
		t.Fatal(err)
	}
	added, err := e.AddCamera(t.Context(), gate(s.ID))
	if err != nil {
		t.Fatal(err)
	}
	if added.ID != "front-gate" || added.Username != "admin" || added.Password.Reveal() != "s3cret" {
		t.Fatalf("added %+v with password %q", added, added.Password.Reveal())
	}
	got, err := openAt(t, path, testKey).Camera(t.Context(), "front-gate")
	if err != nil {
		t.Fatal(err)
	}
	main, _ := got.Stream("main")
	sub, _ := got.Stream("sub")
	if main.URL != "rtsp://10.0.0.1/main" || !main.Record || sub.Record || got.Password.Reveal() != "s3cret" || !got.RecordAudio || got.Retention.MaxAge != 48*time.Hour {
		t.Errorf("read back %+v", got)
	}
}

func TestPinIsKeptAsOneWord(t *testing.T) {
	e, s := withSite(t)
	c := gate(s.ID)
	c.Pin = " " + strings.TrimSuffix(strings.Repeat("AB:", 32), ":") + "\n"
	c, err := e.AddCamera(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Repeat("ab", 32)
	if got, err := e.Camera(t.Context(), c.ID); err != nil || got.Pin != want {
		t.Fatalf("pin %q, %v; want %q", got.Pin, err, want)
	}
	c.Pin = ""
	if _, err := e.UpdateCamera(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if got, err := e.Camera(t.Context(), c.ID); err != nil || got.Pin != "" {
		t.Errorf("pin taken away: %q, %v", got.Pin, err)
	}
}

func TestPasswordsAreSealedAtRest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	e := openAt(t, path, testKey)
	s, _ := e.AddSite(t.Context(), "Harbour")
	if _, err := e.AddCamera(t.Context(), gate(s.ID)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + "-wal"} {
		if body, _ := os.ReadFile(name); bytes.Contains(body, []byte("s3cret")) {
			t.Errorf("%s holds the password in the clear", name)
		}
	}
	// Another key: the camera is listed, the password is said to be lost and
	// kept as it is by a change that does not touch it.
	other := openAt(t, path, bytes.Repeat([]byte{8}, 32))
	c, err := other.Camera(t.Context(), "front-gate")
	if err != nil || !c.PasswordLost || c.Password != "" {
		t.Fatalf("with another key: %+v, %v", c, err)
	}
	c.Name = "Back gate"
	if _, err := other.UpdateCamera(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if c, err := e.Camera(t.Context(), "front-gate"); err != nil || c.Password.Reveal() != "s3cret" || c.Name != "Back gate" {
		t.Errorf("with the first key again: %+v, %v", c, err)
	}
}

func TestSealedPasswordOpensForItsCameraOnly(t *testing.T) {
	b, err := newBox(testKey)
	if err != nil {
		t.Fatal(err)
	}
	sealed := b.seal("gate", "pw")
	if _, err := b.open("yard", sealed); err == nil {
		t.Error("opened for another camera")
	}
	sealed[len(sealed)-1] ^= 1
	if _, err := b.open("gate", sealed); err == nil {
		t.Error("opened though changed")
	}
	if p, err := b.open("gate", nil); p != "" || err != nil {
		t.Errorf("no password: %q, %v", p, err)
	}
	if _, err := b.open("gate", sealed[:4]); err == nil {
		t.Error("opened a stump")
	}
}

func TestSecretPrintsNothing(t *testing.T) {
	c := Camera{Password: "s3cret"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if text := fmt.Sprintf(verb, c); strings.Contains(text, "s3cret") {
			t.Errorf("%s prints %s", verb, text)
		}
	}
}

func TestIDsAreNeverUsedTwice(t *testing.T) {
	e, s := withSite(t)
	c, err := e.AddCamera(t.Context(), gate(s.ID))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.RemoveCamera(t.Context(), c.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Camera(t.Context(), c.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("removed camera: %v", err)
	}
	if err := e.RemoveCamera(t.Context(), c.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("removed twice: %v", err)
	}
	again, err := e.AddCamera(t.Context(), gate(s.ID)) // the same address is free again
	if err != nil || again.ID != "front-gate-2" {
		t.Errorf("added again as %q, %v", again.ID, err)
	}
}

func TestCameraIsRefused(t *testing.T) {
	e, s := withSite(t)
	if _, err := e.AddCamera(t.Context(), gate(s.ID)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name        string
		change      func(*Camera)
		field, code string
	}{
		{"no name", func(c *Camera) { c.Name = " " }, "name", "missing"},
		{"name of signs", func(c *Camera) { c.Name = "--" }, "name", "letters"},
		{"name that turns writing round", func(c *Camera) { c.Name = "a\u202eb" }, "name", "invisible"},
		{"long name", func(c *Camera) { c.Name = strings.Repeat("a", 81) }, "name", "too-long"},
		{"no such site", func(c *Camera) { c.Site = "nowhere" }, "site", "unknown"},
		{"no address", func(c *Camera) { c.Streams = nil }, "url", "missing"},
		{"web address", func(c *Camera) { c.Streams[0].URL = "http://10.0.0.9/" }, "url", "scheme"},
		{"bad sub address", func(c *Camera) { c.Streams[1].URL = "rtsp://a b/" }, "sub_url", "spaces"},
		{"same address twice", func(c *Camera) { c.Streams[1].URL = c.Streams[0].URL }, "sub_url", "same-as-main"},
		{"third stream", func(c *Camera) { c.Streams[1].Name = "third" }, "third_url", "unknown"},
		{"two main streams", func(c *Camera) { c.Streams[1].Name = "main" }, "url", "unknown"},
		{"address of another camera", func(c *Camera) { c.Streams[0].URL = "RTSP://10.0.0.1:554/main" }, "url", "duplicate"},
		{"transport", func(c *Camera) { c.Transport = "pigeon" }, "transport", "transport"},
		{"pin too short", func(c *Camera) { c.Pin = "ab:cd" }, "pin", "certificate"},
		{"pin in no hexadecimal", func(c *Camera) { c.Pin = strings.Repeat("xy", 32) }, "pin", "certificate"},
		{"kept for a minute", func(c *Camera) { c.Retention.MaxAge = time.Minute }, "retention", "retention"},
		{"line break in password", func(c *Camera) { c.Password = "a\nb" }, "password", "invisible"},
	} {
		c := gate(s.ID)
		c.Streams[0].URL, c.Streams[1].URL = "rtsp://10.0.0.2/main", "rtsp://10.0.0.2/sub"
		tt.change(&c)
		_, err := e.AddCamera(t.Context(), c)
		var inv *Invalid
		if !errors.As(err, &inv) || inv.Field != tt.field || inv.Code != tt.code {
			t.Errorf("%s: %v, want %s of %s", tt.name, err, tt.code, tt.field)
		}
		if inv != nil && strings.Contains(inv.Error(), "%!") {
			t.Errorf("%s: badly written: %s", tt.name, inv)
		}
	}
}

func TestUpdateKeepsSiteAndOwnAddress(t *testing.T) {
	e, s := withSite(t)
	other, _ := e.AddSite(t.Context(), "School")
	c, err := e.AddCamera(t.Context(), gate(s.ID))
	if err != nil {
		t.Fatal(err)
	}
	c.Site, c.Name = other.ID, "Gate, renamed"
	if c, err = e.UpdateCamera(t.Context(), c); err != nil || c.Site != s.ID || c.ID != "front-gate" {
		t.Errorf("updated to %+v, %v", c, err)
	}
	if _, err := e.UpdateCamera(t.Context(), Camera{ID: "nobody", Name: "x"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("update of nothing: %v", err)
	}
}

func TestReaders(t *testing.T) {
	e, s := withSite(t)
	good := "age1" + strings.Repeat("q", 58)
	if err := e.SetReaders(t.Context(), s.ID, []Reader{{Recipient: " " + good + "\n", Name: "Ada"}}); err != nil {
		t.Fatal(err)
	}
	if got, err := e.ReaderRecipients(t.Context(), s.ID); err != nil || len(got) != 1 || got[0] != good {
		t.Errorf("recipients %q, %v", got, err)
	}
	for _, tt := range []struct{ name, recipient, code string }{
		{"identity", "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQ", "identity"},
		{"identity in small letters", "age-secret-key-pq-1qqqqqqqqqqqqqqqqq", "identity"},
		{"nothing", "", "recipient"},
		{"SSH key", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI", "recipient"},
	} {
		err := e.SetReaders(t.Context(), s.ID, []Reader{{Recipient: tt.recipient}})
		var inv *Invalid
		if !errors.As(err, &inv) || inv.Code != tt.code {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.code)
		}
		if tt.code == "identity" && strings.Contains(err.Error(), tt.recipient) {
			t.Errorf("%s: the error repeats the secret", tt.name)
		}
	}
	if err := e.SetReaders(t.Context(), "nowhere", nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("readers of no site: %v", err)
	}
}

func TestLimits(t *testing.T) {
	e := openEstate(t)
	if l, err := e.Limits(t.Context()); err != nil || l != DefaultLimits() {
		t.Errorf("before anybody chose: %+v, %v", l, err)
	}
	want := Limits{Default: Retention{MaxAge: 24 * time.Hour, MaxBytes: 1e9}, Total: 5e9}
	if err := e.SetLimits(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	if l, err := e.Limits(t.Context()); err != nil || l != want {
		t.Errorf("read back %+v, %v", l, err)
	}
	if err := e.SetLimits(t.Context(), Limits{Total: 1}); err == nil {
		t.Error("one byte in all was taken")
	}
}

func TestSubscribe(t *testing.T) {
	e, s := withSite(t)
	changed, cancel := e.Subscribe()
	defer cancel()
	for range 3 { // nobody reads: nobody is blocked
		c, err := e.AddCamera(t.Context(), gate(s.ID))
		if err != nil {
			t.Fatal(err)
		}
		if err := e.RemoveCamera(t.Context(), c.ID); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-changed:
	default:
		t.Error("a change was not told")
	}
	cancel()
	if len(e.subs.all) != 0 {
		t.Error("still subscribed")
	}
}

func TestLoadKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server.key")
	first, err := LoadKey(path)
	if err != nil || len(first) != 32 {
		t.Fatal(first, err)
	}
	if again, err := LoadKey(path); err != nil || !bytes.Equal(first, again) {
		t.Errorf("another key the second time: %v", err)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKey(path); err == nil {
		t.Error("a key that others may read was taken")
	}
	short := filepath.Join(t.TempDir(), "server.key")
	if err := os.WriteFile(short, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKey(short); err == nil {
		t.Error("a short key was taken")
	}
}

func TestCanceledContextStops(t *testing.T) {
	e, s := withSite(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.AddCamera(ctx, gate(s.ID)); err == nil {
		t.Error("added though nobody waits")
	}
}

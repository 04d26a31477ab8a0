package watch

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/watchward/watchward/internal/camera"
	"github.com/watchward/watchward/internal/media"
)

// refuse has the camera's main stream show a certificate that is not taken.
func (b *bench) refuse(sum string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state["gate/main"] = camera.State{
		Phase: camera.Waiting, Reason: media.Untrusted, Since: noon,
		Certificate: &camera.Certificate{SHA256: sum, Subject: "CN=<b>IP camera", Issuer: "CN=<b>IP camera", NotBefore: noon, NotAfter: noon.AddDate(5, 0, 0)},
	}
}

func TestCertificateIsTrustedOnlyByAPerson(t *testing.T) {
	b := newBench(t)
	ada, vic := b.login(t, "Ada"), b.login(t, "Vic")
	const check, trust = "/cameras/gate/check", "/cameras/gate/trust"
	old, other := strings.Repeat("ab", 32), strings.Repeat("cd", 32)
	oldShown, otherShown := fingerprint(old), fingerprint(other)

	b.refuse(old)
	page := b.serve(ask("GET", check, "", ada)).Body.String()
	for _, want := range []string{oldShown, "CN=&lt;b&gt;IP camera", "itself", "2035", "Trust this certificate", "certificate is not trusted"} {
		if !strings.Contains(page, want) {
			t.Errorf("first look: %q is missing", want)
		}
	}
	checkMarkup(t, check, page)
	if page := b.serve(ask("GET", check, "", ada, with("Accept-Language", "fr"))).Body.String(); !strings.Contains(page, "Faire confiance à ce certificat") {
		t.Error("not in French")
	}
	if c, _ := b.estate.Camera(t.Context(), "gate"); c.Pin != "" {
		t.Fatalf("looking pinned %q", c.Pin)
	}

	for _, tt := range []struct {
		name, sum string
		who       func(*http.Request)
		status    int
		pin       string // afterwards
	}{
		{"a viewer", old, vic, 403, ""},
		{"nothing chosen", " ", ada, 422, ""},
		{"no fingerprint", "abc", ada, 422, ""},
		{"what was shown", old, ada, 303, old},
	} {
		rec := b.serve(form(trust, url.Values{"sha256": {tt.sum}}, tt.who))
		c, _ := b.estate.Camera(t.Context(), "gate")
		if rec.Code != tt.status || c.Pin != tt.pin {
			t.Errorf("%s: %d, pin %q; want %d, %q", tt.name, rec.Code, c.Pin, tt.status, tt.pin)
		}
	}

	b.refuse(other)
	page = b.serve(ask("GET", check, "", ada)).Body.String()
	for _, want := range []string{oldShown, otherShown, "another certificate than the trusted one", "Trust the new certificate"} {
		if !strings.Contains(page, want) {
			t.Errorf("changed certificate: %q is missing", want)
		}
	}
	if c, _ := b.estate.Camera(t.Context(), "gate"); c.Pin != old {
		t.Errorf("the pin became %q by itself", c.Pin)
	}
	if body := b.serve(ask("GET", "/api/cameras/gate", "", ada)).Body.String(); !strings.Contains(body, `"sha256":"`+other+`"`) || !strings.Contains(body, `"pin":"`+old+`"`) {
		t.Errorf("API: %s", body)
	}
	if page := b.serve(ask("GET", "/cameras/gate/edit", "", ada)).Body.String(); !strings.Contains(page, oldShown) {
		t.Error("the form does not show the pin")
	}
}

func TestTestWaitsForAChangeToArrive(t *testing.T) {
	b := newBench(t)
	ada := b.login(t, "Ada")
	c, err := b.estate.Camera(t.Context(), "gate")
	if err != nil {
		t.Fatal(err)
	}
	b.watch.now = time.Now
	b.mu.Lock()
	was := b.state["gate/main"]
	b.state["gate/main"] = camera.State{Phase: camera.Waiting, Reason: media.Refused, Since: c.Updated.Add(-time.Hour)}
	b.state["gate/sub"] = camera.State{Phase: camera.Live, Video: was.Video, Since: c.Updated.Add(time.Second)}
	b.mu.Unlock()
	time.AfterFunc(200*time.Millisecond, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		was.Since = c.Updated.Add(time.Second)
		b.state["gate/main"] = was
	})
	if page := b.serve(ask("GET", "/cameras/gate/check", "", ada)).Body.String(); strings.Contains(page, "does not answer") {
		t.Error("shows what the camera said before the change")
	}
}

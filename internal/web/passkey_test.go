package web

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

func TestPasskeyRoutesWithoutABrowser(t *testing.T) {
	w := newServer(t)
	ada := login(t, w, "Ada")
	named := func(r *http.Request) { r.Host = "localhost:8433" }
	post := func(path, body string, change ...func(*http.Request)) int {
		r := request("POST", path, nil, change...)
		r.Body = http.NoBody
		if body != "" {
			r.Body = readCloser{strings.NewReader(body)}
		}
		return serve(w, r).StatusCode
	}
	for _, tt := range []struct {
		name, path, body string
		as               []func(*http.Request)
		status           int
	}{
		{"asking under a name", "/api/passkeys/ask", "{}", []func(*http.Request){named}, 200},
		{"asking under an IP address", "/api/passkeys/ask", "{}", nil, 409},
		{"adding under a name", "/api/passkeys/new/ask", "{}", []func(*http.Request){named, ada}, 200},
		{"adding as nobody", "/api/passkeys/new/ask", "{}", []func(*http.Request){named}, 401},
		{"an answer to nothing", "/api/passkeys/login", `{"ceremony":"x","answer":{}}`, []func(*http.Request){named}, 410},
		{"a new key for nothing", "/api/passkeys/new", `{"ceremony":"x","answer":{}}`, []func(*http.Request){named, ada}, 410},
		{"no JSON", "/api/passkeys/login", `<`, []func(*http.Request){named}, 400},
		{"too much", "/api/passkeys/login", `"` + strings.Repeat("x", maxForm) + `"`, []func(*http.Request){named}, 413},
	} {
		if got := post(tt.path, tt.body, tt.as...); got != tt.status {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.status)
		}
	}
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

// virtualKey gives the tab an authenticator that says yes by itself.
func virtualKey(ctx context.Context, t *chromedp.Target) (none chromedp.Void, err error) {
	if _, err = cdp.Call(ctx, t, webauthn.Enable, webauthn.EnableParams{}); err != nil {
		return none, err
	}
	_, err = cdp.Call(ctx, t, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{
		Options: &webauthn.VirtualAuthenticatorOptions{
			Protocol: "ctap2", Transport: "internal", HasResidentKey: true, HasUserVerification: true,
			AutomaticPresenceSimulation: true, IsUserVerified: true,
		},
	})
	return none, err
}

// TestPasskeyInChromium adds a passkey and logs in with it, with an
// authenticator that Chromium makes up.
func TestPasskeyInChromium(t *testing.T) {
	if os.Getenv("WATCHWARD_BROWSER_TESTS") == "" {
		t.Skip("WATCHWARD_BROWSER_TESTS is not set")
	}
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("no chromium")
	}
	w := newServer(t)
	w.Handle("GET /{$}", View, func(rw http.ResponseWriter, r *http.Request) error {
		_, err := rw.Write([]byte("<!doctype html><p id=who>" + From(r).User().Name))
		return err
	})
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- w.Run(ctx) }()
	defer func() {
		stop()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	}()
	<-w.Ready()
	u, err := url.Parse(w.URL())
	if err != nil {
		t.Fatal(err)
	}
	base := "http://localhost:" + u.Port()

	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()))
	tab, done := chromedp.NewExecAllocator(t.Context(), opts...)
	defer done()
	tab, closeTab := chromedp.NewContext(tab)
	defer closeTab()
	tab, end := context.WithTimeout(tab, 60*time.Second)
	defer end()
	do := func(actions ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		for _, a := range actions {
			if err := chromedp.Do(tab, a); err != nil {
				t.Fatal(err)
			}
		}
	}
	until := func(what, expr string) {
		t.Helper()
		for {
			yes, err := chromedp.Run(tab, chromedp.Evaluate[bool]("!!("+expr+")"))
			if err == nil && yes {
				return
			}
			select {
			case <-tab.Done():
				body, _ := chromedp.Run(context.WithoutCancel(tab), chromedp.Evaluate[string]("document.body.innerText"))
				t.Fatalf("%s: never came; last error %v; page:\n%s", what, err, body)
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	do(chromedp.Navigate(base + "/login"))
	until("the login page", `document.querySelector("watch-passkey button")`)
	do(virtualKey)
	click := func(selector string) {
		t.Helper()
		if _, err := chromedp.Run(tab, chromedp.Evaluate[bool]("document.querySelector('"+selector+"').click(), true")); err != nil {
			t.Fatal(err)
		}
	}
	set := func(name, value string) {
		t.Helper()
		if _, err := chromedp.Run(tab, chromedp.Evaluate[bool]("document.querySelector('[name="+name+"]').value = '"+value+"', true")); err != nil {
			t.Fatal(err)
		}
	}
	set("name", "Ada")
	set("password", password)
	click("form[action=\"/login\"] button.primary")
	until("Ada, by her password", `document.getElementById("who")?.textContent === "Ada"`)
	do(chromedp.Navigate(base + "/account"))
	until("the button that adds", `document.querySelector("watch-passkey button")`)
	click("watch-passkey button")
	until("the passkey in the list", `document.querySelector("form[action='/account/passkeys/drop']")`)
	click("form[action=\"/logout\"] button")
	until("the login page again", `location.pathname === "/login" && document.querySelector("watch-passkey button")`)
	click("watch-passkey button")
	until("Ada, by her passkey", `document.getElementById("who")?.textContent === "Ada"`)
	do(chromedp.Navigate(base + "/account"))
	until("the passkey in the list once more", `document.querySelector("form[action='/account/passkeys/drop'] button")`)
	click("form[action=\"/account/passkeys/drop\"] button")
	until("no passkey", `!document.querySelector("form[action='/account/passkeys/drop']") && document.querySelector("watch-passkey button")`)
	click("form[action=\"/logout\"] button")
	until("the login page for the last time", `location.pathname === "/login" && document.querySelector("watch-passkey button")`)
	click("watch-passkey button")
	until("that a removed passkey does not let in", `document.querySelector("watch-passkey [role=alert]:not([hidden])")`)
}

package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/watchward/watchward/internal/seal"
	"github.com/watchward/watchward/internal/simulate"
)

// visitor uses the pages without a browser.
type visitor struct {
	*testing.T
	http   http.Client
	origin string
}

// post sends a form and returns the page it led to.
func (v *visitor) post(path string, fields ...string) string {
	v.Helper()
	values := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		values.Set(fields[i], fields[i+1])
	}
	return v.read(v.http.PostForm(v.origin+path, values))
}

func (v *visitor) read(resp *http.Response, err error) string {
	v.Helper()
	if err != nil {
		v.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		v.Fatalf("%s: %s, %v\n%s", resp.Request.URL.Path, resp.Status, err, body)
	}
	return string(body)
}

// aVisitor sets a server up and is its administrator.
func aVisitor(t *testing.T, s *serverProcess) *visitor {
	t.Helper()
	link, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := seal.GenerateIdentity(seal.Classic)
	if err != nil {
		t.Fatal(err)
	}
	v := &visitor{T: t, http: http.Client{Jar: jar}, origin: link.Scheme + "://" + link.Host}
	v.post(link.Path, "name", ownerName, "password", ownerPassword, "password_again", ownerPassword, "site", "Harbour", "recipient", reader.Recipient())
	return v
}

var shownPin = regexp.MustCompile(`name="sha256" value="([0-9a-f]{64})"`)

// fingerprintOf finds the certificate that the test of a camera offers to trust.
func (v *visitor) fingerprintOf(page string) string {
	v.Helper()
	m := shownPin.FindStringSubmatch(page)
	if m == nil {
		v.Fatalf("the page offers no certificate:\n%s", page)
	}
	return m[1]
}

// secureAddress is that of the town's camera with RTSPS.
func secureAddress(t *testing.T, cameras []simulate.CameraInfo) simulate.CameraInfo {
	t.Helper()
	for _, c := range cameras {
		if c.SecureURL != "" {
			return c
		}
	}
	t.Fatal("no camera of the town has RTSPS")
	return simulate.CameraInfo{}
}

// TestSelfSignedCamera adds a camera whose certificate nobody vouches for,
// trusts it, and then has another one answer in its place.
func TestSelfSignedCamera(t *testing.T) {
	t.Parallel()
	cam, other := secureAddress(t, aTown(t, 0)), secureAddress(t, aTown(t, 0))
	s := &serverProcess{dir: filepath.Join(t.TempDir(), "data")}
	s.start(t)
	t.Cleanup(func() { s.stop(t) })
	v := aVisitor(t, s)

	fields := func(address string, more ...string) []string {
		return append([]string{"name", "Gate", "site", "harbour", "url", address, "username", cam.Username, "password", cam.Password, "transport", "tcp", "enabled", "on", "record", "on"}, more...)
	}
	page := v.post("/cameras/-/new", fields(cam.SecureURL)...)
	first := v.fingerprintOf(page)
	if !strings.Contains(page, "IP camera") || !strings.Contains(page, "itself") {
		t.Error("the test does not say whose certificate it is")
	}
	if page = v.post("/cameras/gate/trust", "sha256", first); !strings.Contains(page, "H.264") || strings.Contains(page, "sha256") {
		t.Fatalf("not live after its certificate was trusted:\n%s", page)
	}
	if page = v.post("/cameras/gate/edit", fields(other.SecureURL, "pin", first)...); !strings.Contains(page, inPairs(first)) {
		t.Errorf("the test of another camera does not show the trusted fingerprint:\n%s", page)
	}
	second := v.fingerprintOf(page)
	if second == first || !strings.Contains(page, inPairs(second)) {
		t.Fatalf("both towns show certificate %s", first)
	}
	if page = v.post("/cameras/gate/trust", "sha256", second); strings.Contains(page, "sha256") {
		t.Errorf("still refused after the new certificate was trusted:\n%s", page)
	}
	if strings.Contains(s.log(), cam.Password) {
		t.Error("the log holds the camera's password")
	}
}

func inPairs(sum string) string {
	var pairs []string
	for i := 0; i+2 <= len(sum); i += 2 {
		pairs = append(pairs, fmt.Sprintf("%.2s", strings.ToUpper(sum[i:])))
	}
	return strings.Join(pairs, ":")
}

package onvif

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/watchward/watchward/internal/camera"
	"github.com/watchward/watchward/internal/camera/exchange"
	"github.com/watchward/watchward/internal/simulate"
)

func peers(t testing.TB) string {
	shared := os.Getenv("WATCHWARD_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "..", "..", "..", "shared")
	}
	dir := filepath.Join(shared, "onvif-peers")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no recorded answers: ", err)
	}
	return dir
}

// operationOf is what a recorded request asked: the element in its Body.
func operationOf(request []byte) string {
	_, body, _ := bytes.Cut(request, []byte("\r\n\r\n"))
	root, err := parse(body)
	if err != nil {
		return ""
	}
	for _, c := range root.child("Envelope", "Body").childrenOf() {
		return c.name
	}
	return ""
}

func (e *element) childrenOf() []*element {
	if e == nil {
		return nil
	}
	return e.children
}

// TestRecordedAnswers reads every answer that real servers gave: what succeeded
// is read, what failed is a fault that says why.
func TestRecordedAnswers(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(peers(t), "*", "*.response.http"))
	if err != nil || len(files) == 0 {
		t.Fatal("no answers", err)
	}
	for _, file := range files {
		name, _ := filepath.Rel(peers(t), file)
		t.Run(name, func(t *testing.T) {
			request, err := os.ReadFile(strings.TrimSuffix(file, "response.http") + "request.http")
			if err != nil {
				t.Fatal(err)
			}
			answer, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			a, err := exchange.Read(bufio.NewReader(bytes.NewReader(answer)), "POST", exchange.Limits{Body: maxDocument})
			if len(answer) == 0 { // it hung up
				if err == nil {
					t.Error("an answer of nothing was read")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			operation := operationOf(request)
			e, err := readAnswer(a.Status, a.Body, operation)
			var fault *Fault
			if a.Status != 200 {
				if !errors.As(err, &fault) || fault.Status != a.Status {
					t.Fatalf("error %v, want a fault with status %d", err, a.Status)
				}
				if bytes.Contains(a.Body, []byte("NotAuthorized")) != errors.Is(err, ErrLogin) {
					t.Errorf("%v: login refused is %t", err, errors.Is(err, ErrLogin))
				}
				if bytes.Contains(a.Body, []byte(":MustUnderstand<")) && fault.Code != "MustUnderstand" {
					t.Errorf("code %q", fault.Code)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			checkAnswer(t, operation, e)
		})
	}
}

func checkAnswer(t *testing.T, operation string, e *element) {
	switch operation {
	case "GetDeviceInformation":
		// One of the servers has no manufacturer; all have a model.
		if e.child("Manufacturer") == nil || e.value("Model") == "" {
			t.Error("no manufacturer or model")
		}
	case "GetSystemDateAndTime":
		if at, err := readClock(e); err != nil || at.Year() < 2026 {
			t.Errorf("clock %v, %v", at, err)
		}
	case "GetProfiles":
		all := readProfiles(e, false)
		if len(all) == 0 || all[0].Token == "" || all[0].Width == 0 || all[0].Codec == "" {
			t.Errorf("profiles %+v", all)
		}
	case "GetStreamUri":
		if !strings.HasPrefix(readURI(e), "rtsp://") {
			t.Errorf("stream %q", readURI(e))
		}
	case "GetSnapshotUri":
		// A server without pictures answers with an empty address.
		if uri := readURI(e); !strings.HasPrefix(uri, "http") && uri != "" {
			t.Errorf("snapshot %q", readURI(e))
		}
	case "GetServices":
		if len(e.all("Service")) == 0 {
			t.Error("no services")
		}
	}
}

// The town's cameras disagree with each other as real ones do: clocks that are
// off, HTTP digest, no security header, addresses that lead elsewhere. Their
// streams are found all the same.
func TestStreamsOfTheTown(t *testing.T) {
	town, err := simulate.New(simulate.Options{Cameras: 10, Faces: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- town.Run(ctx) }()
	defer func() { cancel(); <-done }()
	select {
	case <-town.Ready():
	case err := <-done:
		t.Fatal(err)
	}
	for _, d := range town.Devices() {
		if d.Camera == "" {
			continue
		}
		t.Run(d.Truth.Face, func(t *testing.T) {
			port := 0
			for _, p := range d.Ports {
				if p.Name == "onvif" || p.Name == "http" && port == 0 {
					port = p.Number
				}
			}
			o := Options{
				Dialer: &net.Dialer{Timeout: time.Second}, Address: net.JoinHostPort(d.IP.String(), strconv.Itoa(port)), User: d.Username, Password: camera.Secret(d.Password),
			}
			all, err := Streams(t.Context(), o)
			if err != nil || len(all) == 0 {
				t.Fatalf("streams %v, %v", all, err)
			}
			for _, s := range all {
				if !strings.HasPrefix(s.URL, "rtsp://"+d.IP.String()) || s.Width == 0 {
					t.Errorf("stream %+v", s)
				}
			}
			o.Password = "wrong"
			if d.Truth.Face != "xiongmai" { // which never asks for one
				if _, err := Streams(t.Context(), o); !errors.Is(err, ErrLogin) {
					t.Errorf("with a wrong password: %v, want %v", err, ErrLogin)
				}
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"a document type", `<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>`, "document type"},
		{"depth", strings.Repeat("<a>", 10000), "deep"},
		{"elements", "<a>" + strings.Repeat("<b/>", maxElements+1), "elements"},
		{"length", strings.Repeat("a", maxDocument+1), "at most"},
		{"nothing", "", "no element"},
	} {
		if _, err := parse([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestAddressesStayAtTheHost(t *testing.T) {
	c, err := New(Options{Dialer: &net.Dialer{}, Address: "192.0.2.7:80"})
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		"rtsp://10.0.0.1:8554/a?b=1":    "rtsp://192.0.2.7:8554/a?b=1",
		"rtsp://u:p@169.254.169.254/a":  "rtsp://192.0.2.7/a",
		"http://[fe80::1]:99999999/a":   "",
		"":                              "",
		"rtsp://host.example:554/x y#z": "rtsp://192.0.2.7:554/x%20y#z",
	} {
		if got, err := c.here(in); got != want || (err != nil) != (want == "") {
			t.Errorf("here(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
}

func TestOnlyGetCanBeBuilt(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("SystemReboot was built")
		}
	}()
	Get(Device, "SystemReboot")
}

func FuzzReadAnswer(f *testing.F) {
	f.Add(200, []byte(`<s:Envelope xmlns:s="x"><s:Body><a:GetProfilesResponse><a:Profiles token="1"/></a:GetProfilesResponse></s:Body></s:Envelope>`))
	f.Add(400, []byte(`<e:Envelope><e:Body><e:Fault><e:Code><e:Value>e:Sender</e:Value><e:Subcode><e:Value>ter:NotAuthorized</e:Value></e:Subcode></e:Code></e:Fault></e:Body></e:Envelope>`))
	f.Add(500, []byte("<html><br><p>no"))
	f.Fuzz(func(t *testing.T, status int, b []byte) {
		e, err := readAnswer(status, b, "GetProfiles")
		if (e == nil) != (err != nil) {
			t.Fatalf("%v, %v", e, err)
		}
		readProfiles(e, true)
		readProfiles(e, false)
		_, _ = readClock(e)
		readURI(e)
	})
}

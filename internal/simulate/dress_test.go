package simulate

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// rtspText is what comes back for one raw request.
func rtspText(t *testing.T, host, request string) string {
	t.Helper()
	c, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if b.WriteString(line); line == "\r\n" {
			return b.String()
		}
	}
}

var update = flag.Bool("update", false, "write the golden file anew")

// TestFacesOverRTSP compares the RTSP servers with testdata/rtsp.golden, which
// -update writes anew.
func TestFacesOverRTSP(t *testing.T) {
	t.Parallel()
	town := startTown(t, Options{Faces: true})
	var b strings.Builder
	for _, r := range town.residents {
		if r.cam == nil {
			continue
		}
		host := r.cam.Info().Host
		fmt.Fprintf(&b, "== %s\n", r.face.Name)
		b.WriteString(rtspText(t, host, "OPTIONS rtsp://"+host+"/ RTSP/1.0\r\nCSeq: 1\r\n\r\n"))
		b.WriteString(rtspText(t, host, "DESCRIBE rtsp://"+host+r.face.RTSP.Main[0]+" RTSP/1.0\r\nCSeq: 2\r\n\r\n"))
		if r.info.Camera == "" {
			continue
		}
		c := dial(t, r.cam.Info(), "rtsp://"+host+r.face.RTSP.Main[0])
		b.WriteString(c.do("DESCRIBE", c.url).body)
	}
	got := b.String()
	for pattern, by := range map[string]string{
		`(nonce=")[^"]*"`: `${1}NONCE"`,
		`\w{3}, (\d\d \w{3}|\w{3} \d\d) \d{4} [\d:]{8} GMT`: "DATE",
		`o=- \d+`:                   "o=- N",
		`sprop[^;\r\n]*|config=\w+`: "SETS",
		"\r":                        "",
	} {
		got = regexp.MustCompile(pattern).ReplaceAllString(got, by)
	}
	path := filepath.Join("testdata", "rtsp.golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("differs from %s; got:\n%s", path, got)
	}
}

// TestMakersPathsPlay plays every camera by the addresses that ONVIF tells.
func TestMakersPathsPlay(t *testing.T) {
	t.Parallel()
	town := startTownAt(t, Options{Faces: true}, 8)
	for _, r := range town.residents {
		if r.info.Camera == "" {
			continue
		}
		streams := r.cam.streams()
		if len(streams) != 2 || streams[0].Bitrate < 1_000_000 || streams[0].Width <= streams[1].Width {
			t.Errorf("%s: %+v", r.face.Name, streams)
			continue
		}
		for _, s := range streams {
			c := dial(t, r.cam.Info(), s.URL)
			c.play(false)
			c.next(0)
			c.do("TEARDOWN", c.url)
		}
		for _, path := range r.face.RTSP.Sub { // not the main stream, whose name may be the beginning of it
			if got := r.cam.source(strings.TrimPrefix(path, "/") + "/trackID=0"); got != r.cam.sub {
				t.Errorf("%s: path %q is %+v", r.face.Name, path, got)
			}
		}
	}
}

// TestTheTownsDevices: every camera has its own face, and others live beside them.
func TestTheTownsDevices(t *testing.T) {
	t.Parallel()
	town := startTown(t, Options{Faces: true, Control: "127.0.0.1:0"})
	worn, makers, kinds := map[string]bool{}, map[string]int{}, map[string]int{}
	for i, d := range town.Devices() {
		worn[d.Truth.Face] = true
		makers[d.Truth.Maker]++
		kinds[d.Truth.Kind]++
		if i < len(town.Cameras()) {
			if c := town.Cameras()[i]; c.ID != d.Camera || c.Truth != d.Truth || c.Password != d.Password {
				t.Errorf("device %+v is not camera %+v", d, c)
			}
		} else if d.Camera != "" {
			t.Errorf("%s shows no video, but camera %q", d.ID, d.Camera)
		}
		if silent := d.Truth.Face == "mute" || d.Truth.Face == "nobody"; d.Truth.Silent != silent || (d.Truth.Says != "") != (d.Truth.Face == "liar") {
			t.Errorf("%s: silent %t, says %q", d.ID, d.Truth.Silent, d.Truth.Says)
		}
		if !d.IP.IsLoopback() || d.Password == "" {
			t.Errorf("%s: %+v", d.ID, d)
		}
	}
	if len(worn) != len(town.Devices()) || len(worn) < 15 {
		t.Errorf("%d faces on %d devices", len(worn), len(town.Devices()))
	}
	if makers["Hikvision"] < 3 || makers["Dahua"] < 3 || kinds["other"] < 2 || kinds["recorder"] < 1 {
		t.Errorf("makers %v, kinds %v", makers, kinds)
	}
	a, err := http.Get(town.ControlURL() + "/devices")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	var told []deviceStatus
	if err := json.NewDecoder(a.Body).Decode(&told); err != nil || len(told) != len(town.Devices()) || told[0].Truth.Maker != "Hikvision" || len(told[0].Ports) < 4 {
		t.Errorf("%v: %+v", err, told)
	}
}

// TestTownPage keeps docs/reference/town.md in step with the faces.
func TestTownPage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "reference", "town.md"))
	if err != nil {
		t.Fatal(err)
	}
	town, err := New(Options{Faces: true, Bitrate: -1})
	if err != nil {
		t.Fatal(err)
	}
	none := func(s string) string { return cmp.Or(s, "–") }
	for i, d := range town.Devices() {
		row := fmt.Sprintf("| 127.0.10.%d | `%s` | %s | %s | %s |", i+1, d.Truth.Face, none(d.Truth.Brand), none(d.Truth.Maker), none(d.Truth.Model))
		if !strings.Contains(string(page), row) {
			t.Errorf("docs/reference/town.md does not say %q", row)
		}
	}
}

// TestFaultsReachTheWeb: a camera that refuses passwords, or reboots, does so at
// every door.
func TestFaultsReachTheWeb(t *testing.T) {
	t.Parallel()
	town := startTown(t, Options{Faces: true})
	d := town.Devices()[8] // its pages need no more than Basic, its ONVIF nothing
	i := slices.IndexFunc(d.Ports, func(p Port) bool { return p.Name == "http" })
	url := "http://" + netip.AddrPortFrom(d.IP, uint16(d.Ports[i].Number)).String() + "/"
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	status := func() int {
		a, err := client.Get(url)
		if err != nil {
			return 0
		}
		a.Body.Close()
		return a.StatusCode
	}
	if got := status(); got != 200 {
		t.Fatalf("status %d", got)
	}
	if err := town.Fault(d.Camera, Fault{Kind: Reboot, For: time.Minute}); err != nil {
		t.Fatal(err)
	}
	if got := status(); got != 0 {
		t.Errorf("status %d while it reboots", got)
	}
	if err := town.Clear(d.Camera); err != nil {
		t.Fatal(err)
	}
	if got := status(); got != 200 {
		t.Errorf("status %d after it did", got)
	}
}

func TestStreet(t *testing.T) {
	t.Parallel()
	network := netip.MustParsePrefix("127.0.21.0/26")
	if !bindable(t.Context(), network.Addr().Next()) {
		t.Skip("one loopback address only")
	}
	street, err := NewStreet(StreetOptions{Network: network, Devices: 20, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- street.Run(ctx) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	select {
	case <-street.Ready():
	case err := <-done:
		done <- nil
		t.Fatal(err)
	}
	seen := map[netip.Addr]bool{}
	for _, d := range street.Devices() {
		if !network.Contains(d.IP) || seen[d.IP] || d.IP == network.Addr() || len(d.Ports) == 0 {
			t.Errorf("%+v", d)
		}
		seen[d.IP] = true
		for _, p := range d.Ports {
			if p.Name != "rtsp" {
				continue
			}
			got := rtspText(t, net.JoinHostPort(d.IP.String(), strconv.Itoa(p.Number)), "DESCRIBE rtsp://x/ RTSP/1.0\r\nCSeq: 1\r\n\r\n")
			if !strings.HasPrefix(got, "RTSP/1.0 401 ") {
				t.Errorf("%s: %q", d.ID, got)
			}
		}
	}
}

func TestStreetsThatCannotBe(t *testing.T) {
	if _, err := NewStreet(StreetOptions{Network: netip.MustParsePrefix("127.0.20.0/24"), Faces: []string{"drip", "hostile", "poker"}}); err == nil || !strings.Contains(err.Error(), `face "poker"`) {
		t.Errorf("unknown face: %v", err)
	}
	for _, tt := range []struct {
		network string
		devices int
		want    string
	}{
		{"192.0.2.0/24", 1, "want a loopback network"},
		{"127.0.20.0/8", 1, "want a loopback network"},
		{"::1/128", 1, "want a loopback network"},
		{"127.0.20.0/24", 255, "want 1 to 254"},
		{"127.0.20.0/24", -1, "want 1 to 254"},
	} {
		_, err := NewStreet(StreetOptions{Network: netip.MustParsePrefix(tt.network), Devices: tt.devices})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}

func TestFacesStayHome(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", "192.0.2.1:554", ":8554"} {
		if _, err := New(Options{Faces: true, Addr: addr, Bitrate: -1}); err == nil || !strings.Contains(err.Error(), "must not pose") {
			t.Errorf("faces at %q: %v", addr, err)
		}
	}
}

// BenchmarkStreet starts and stops a street of two hundred devices.
func BenchmarkStreet(b *testing.B) {
	network := netip.MustParsePrefix("127.0.20.0/24")
	if !bindable(b.Context(), network.Addr().Next()) {
		b.Skip("one loopback address only")
	}
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		street, err := NewStreet(StreetOptions{Network: network, Devices: 200, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			b.Fatal(err)
		}
		ctx, stop := context.WithCancel(b.Context())
		done := make(chan error, 1)
		go func() { done <- street.Run(ctx) }()
		<-street.Ready()
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "heap-MB")
		stop()
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
}

// TestFacesBesidePlayers lets somebody else's program play what ONVIF tells.
func TestFacesBesidePlayers(t *testing.T) {
	if _, err := exec.LookPath("ffprobe"); err != nil {
		t.Skip("no ffprobe")
	}
	t.Parallel()
	town := startTown(t, Options{Faces: true})
	var players sync.WaitGroup
	defer players.Wait()
	for _, r := range town.residents {
		if !slices.Contains([]string{"hikvision", "dahua", "bosch", "xiongmai"}, r.face.Name) {
			continue
		}
		u := strings.Replace(r.cam.streams()[1].URL, "rtsp://", "rtsp://"+r.info.Username+":"+r.info.Password+"@", 1)
		players.Go(func() {
			ctx, stop := context.WithTimeout(context.Background(), 30*time.Second)
			defer stop()
			out, err := exec.CommandContext(ctx, "ffprobe", "-v", "error", "-rtsp_transport", "tcp", "-analyzeduration", "300000", "-show_entries", "stream=codec_name", "-of", "csv", u).CombinedOutput()
			if err != nil || !strings.Contains(string(out), "h264") {
				t.Errorf("%s: %v: %s", r.face.Name, err, out)
			}
		})
	}
}

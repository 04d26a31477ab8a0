package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"

	"github.com/watchward/watchward/internal/simulate"
)

// serverProcess is "watchward run" as a user runs it.
type serverProcess struct {
	cmd  *exec.Cmd
	dir  string // data folder
	url  string // what it printed after "ready"
	done chan error

	mu   sync.Mutex
	said bytes.Buffer // everything, of all its runs
}

func (s *serverProcess) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.said.Write(b)
}

func (s *serverProcess) log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.said.String()
}

// start runs the server, for the first time or again, until it is ready.
func (s *serverProcess) start(t testing.TB) {
	t.Helper()
	s.cmd = exec.Command("watchward", "run", "--data", s.dir, "--listen", "127.0.0.1:0")
	s.cmd.Stderr = s
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.done = make(chan error, 1)
	ready := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if at, ok := strings.CutPrefix(lines.Text(), "ready "); ok {
				ready <- at
			} else {
				fmt.Fprintln(s, lines.Text())
			}
		}
		s.done <- s.cmd.Wait()
	}()
	select {
	case s.url = <-ready:
	case err := <-s.done:
		t.Fatalf("server ended at once: %v\n%s", err, s.log())
	case <-time.After(30 * time.Second):
		t.Fatalf("server said no address\n%s", s.log())
	}
}

func (s *serverProcess) stop(t testing.TB) {
	t.Helper()
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-s.done:
		if err != nil {
			t.Errorf("server ended: %v\n%s", err, s.log())
		}
	case <-time.After(20 * time.Second):
		_ = s.cmd.Process.Signal(syscall.SIGQUIT) // it says what it waits for
		t.Errorf("server did not stop: %v\n%s", <-s.done, s.log())
	}
	s.cmd = nil
}

// holds reports the files of the data folder that hold a text.
func (s *serverProcess) holds(t testing.TB, text string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // files come and go while it records
		}
		if b, err := os.ReadFile(path); err == nil && bytes.Contains(b, []byte(text)) {
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// fill types into the fields of the page, by name.
func (p tab) fill(fields ...string) {
	p.Helper()
	for i := 0; i < len(fields); i += 2 {
		name, _ := json.Marshal(fields[i])
		value, _ := json.Marshal(fields[i+1])
		eval[bool](p, fmt.Sprintf(`(f => { f.value = %s; f.dispatchEvent(new Event("input", {bubbles: true})); return true })(document.getElementsByName(%s)[0])`, value, name))
	}
}

func (p tab) click(selector string) {
	p.Helper()
	name, _ := json.Marshal(selector)
	eval[bool](p, fmt.Sprintf(`(document.querySelector(%s).click(), true)`, name))
}

// at waits for a page whose path begins so.
func (p tab) at(path string) {
	p.Helper()
	p.eventually(fmt.Sprintf(`location.pathname.startsWith(%q) && document.readyState === "complete"`, path))
}

// says waits for a text on the page.
func (p tab) says(text string) {
	p.Helper()
	b, _ := json.Marshal(text)
	p.eventually(`document.body.innerText.includes(` + string(b) + `)`)
}

func (p tab) text() string { return eval[string](p, `document.body.innerText`) }

// window shows the page on another screen: a telephone or the desk.
func (p tab) window(width, height int64) {
	p.Helper()
	if err := chromedp.Do(p.ctx, chromedp.EmulateViewport(width, height)); err != nil {
		p.Fatal(err)
	}
}

func (p tab) login(name, password string) {
	p.Helper()
	p.fill("name", name, "password", password)
	p.click(`form[action="/login"] button`)
}

// aTown runs simulated cameras until the test ends.
func aTown(t *testing.T, cameras int) []simulate.CameraInfo {
	t.Helper()
	town, err := simulate.New(simulate.Options{Cameras: cameras, Bitrate: -1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, leave := context.WithCancel(context.Background())
	gone := make(chan error, 1)
	go func() { gone <- town.Run(ctx) }()
	t.Cleanup(func() {
		leave()
		if err := <-gone; err != nil {
			t.Errorf("town: %v", err)
		}
	})
	<-town.Ready()
	return town.Cameras()
}

const (
	ownerName     = "marthe"
	ownerPassword = "seven lanterns above the quay"
)

// newcomer is somebody who sets up a server of his own.
type newcomer struct {
	*testing.T
	tab      tab
	server   *serverProcess
	origin   string
	cameras  []simulate.CameraInfo
	identity string // file, as downloaded
	secret   string // what the file holds
}

// TestSetUp goes the way of a new user of "watchward run", from the printed
// link to playback, and looks for secrets where none may be.
func TestSetUp(t *testing.T) {
	n := &newcomer{T: t, tab: newTab(t), server: &serverProcess{dir: filepath.Join(t.TempDir(), "data")}}
	n.cameras = aTown(t, 4)
	n.server.start(t)
	t.Cleanup(func() { n.server.stop(t) })
	link := n.server.url
	at, err := url.Parse(link)
	if err != nil || !strings.HasPrefix(at.Path, "/setup/") {
		t.Fatalf("server printed %q, want a setup link", link)
	}
	n.origin = at.Scheme + "://" + at.Host
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"setup page", func() { n.lookAtSetup(link) }},
		{"set up", func() { n.setUp(link) }},
		{"nothing of the identity reaches the server", n.noIdentity},
		{"the link works once", func() { n.linkIsSpent(link) }},
		{"login", n.logIn},
		{"add a camera", n.addCamera},
		{"import cameras", n.importCameras},
		{"edit, disable, remove", n.change},
		{"play back in another browser", n.playBack},
		{"no password anywhere", n.noPassword},
		{"start again", n.startAgain},
	} {
		begun := time.Now()
		if !t.Run(step.name, func(t *testing.T) {
			n.T, n.tab.TB = t, t
			step.do()
		}) {
			return // what follows needs it
		}
		t.Logf("%s: %s", step.name, time.Since(begun).Round(time.Millisecond))
	}
}

func (n *newcomer) lookAtSetup(link string) {
	p := n.tab
	p.visit(link)
	p.eventually(`document.querySelector("watch-identity .ww-primary")`)
	p.shot("setup-en")
	eval[bool](p, `(document.cookie = "lang=fr; path=/", true)`)
	p.visit(link)
	p.eventually(`document.documentElement.lang === "fr" && document.querySelector("watch-identity .ww-primary")`)
	p.shot("setup-fr")
	p.window(390, 844)
	p.shot("setup-fr-phone")
	if wide := eval[bool](p, `document.documentElement.scrollWidth > innerWidth`); wide {
		n.Error("the setup page is wider than a telephone")
	}
	p.window(1440, 1000)
	eval[bool](p, `(document.cookie = "lang=en; path=/", true)`)
}

func (n *newcomer) setUp(link string) {
	p := n.tab
	folder := filepath.Join(filepath.Dir(n.server.dir), "downloads")
	if _, err := chromedp.Call(p.ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllow, DownloadPath: folder,
	}); err != nil {
		n.Fatal(err)
	}
	p.visit(link)
	p.eventually(`document.querySelector("watch-identity .ww-primary")`)
	p.fill("name", ownerName, "password", ownerPassword, "password_again", ownerPassword)
	if !eval[bool](p, `document.querySelector("form > button.primary").disabled`) {
		n.Error("the form can be sent before the identity was kept")
	}
	p.click(`watch-identity .ww-primary`)
	await(n.T, "the identity is downloaded", func() bool {
		files, _ := filepath.Glob(filepath.Join(folder, "watchward-identity-*.txt"))
		if len(files) == 1 {
			n.identity = files[0]
			b, _ := os.ReadFile(n.identity)
			n.secret = secretKey.FindString(string(b))
		}
		return n.secret != ""
	})
	p.eventually(`!document.querySelector("watch-identity input[type=checkbox]").disabled`)
	p.click(`watch-identity input[type=checkbox]`)
	p.click(`form > button.primary`)
	p.at("/cameras/-/new")
}

// noIdentity looks for the identity in all that the server has.
func (n *newcomer) noIdentity() {
	if files := n.server.holds(n, "AGE-SECRET-KEY"); len(files) > 0 {
		n.Errorf("an identity lies in %q", files)
	}
	if strings.Contains(n.server.log(), "AGE-SECRET-KEY") {
		n.Error("the log holds an identity")
	}
	if searchMemory(n, n.server.cmd.Process.Pid, n.secret) {
		n.Error("the server's memory holds the identity")
	}
}

func (n *newcomer) linkIsSpent(link string) {
	if status := eval[int](n.tab, fmt.Sprintf(`fetch(%q).then(r => r.status)`, link)); status < 400 {
		n.Errorf("the setup link answers %d a second time", status)
	}
	if status := eval[int](n.tab, fmt.Sprintf(`fetch(%q, {method: "POST", body: new URLSearchParams({name: "eve", password: "x".repeat(20), password_again: "x".repeat(20)})}).then(r => r.status)`, link)); status < 400 {
		n.Errorf("the setup form is taken a second time: %d", status)
	}
}

func (n *newcomer) logIn() {
	p := n.tab
	p.click(`form[action="/logout"] button`)
	p.at("/login")
	p.login(ownerName, "not the password at all")
	p.says("Name or password is wrong.")
	p.shot("login-wrong")
	var answers []int
	for range 10 {
		answers = append(answers, eval[int](p, `fetch("/login", {method: "POST", body: new URLSearchParams({name: "mallory", password: "guess guess guess"})}).then(r => r.status)`))
	}
	if answers[0] != 403 || answers[9] != 429 {
		n.Errorf("ten wrong passwords are answered %v, want 403 at first and 429 in the end", answers)
	}
	p.visit(n.origin + "/login")
	p.login(ownerName, ownerPassword)
	p.eventually(`location.pathname === "/"`)
}

// pasted is the address of a camera with its login, as people paste it.
func pasted(c simulate.CameraInfo) string {
	u, _ := url.Parse(c.MainURL)
	u.User = url.UserPassword(c.Username, c.Password)
	return u.String()
}

func (n *newcomer) addCamera() {
	p := n.tab
	p.visit(n.origin + "/cameras/-/new")
	p.fill("name", "Gate", "url", pasted(n.cameras[0]))
	begun := time.Now()
	p.click(`form.card button.primary`)
	p.eventually(`location.pathname.endsWith("/check") && document.readyState === "complete"`)
	n.Logf("test page after %s", time.Since(begun).Round(time.Millisecond))
	p.shot("camera-check")
	if !strings.Contains(p.text(), "H264") && !strings.Contains(p.text(), "H.264") && !strings.Contains(p.text(), "H265") && !strings.Contains(p.text(), "H.265") {
		n.Errorf("the test page says %q", p.text())
	}
	p.visit(n.origin + "/")
	p.eventually(`document.querySelector("watch-tile")?.dataset.phase === "playing"`)
	took := time.Since(begun)
	n.Logf("on the wall after %s", took.Round(time.Millisecond))
	if took > 10*time.Second {
		n.Errorf("live on the wall after %s, want seconds", took)
	}
}

func (n *newcomer) importCameras() {
	p := n.tab
	line := func(name string, c simulate.CameraInfo) string {
		return fmt.Sprintf("%s,,%s,,%s,%s,yes\n", name, c.MainURL, c.Username, c.Password)
	}
	good := "name,site,url,sub_url,username,password,audio\n" + line("Market", n.cameras[1]) + line("Street", n.cameras[2])
	p.visit(n.origin + "/cameras/-/import")
	p.fill("text", good+"Shed,,http://192.0.2.1/,,,,\n")
	p.click(`form.card button.primary`)
	p.says("Line 4")
	p.shot("import-bad")
	p.fill("text", good)
	p.click(`form.card button.primary`)
	p.eventually(`location.pathname === "/cameras" && document.readyState === "complete"`)
	if rows := eval[int](p, `document.querySelectorAll("tbody tr").length`); rows != 3 {
		n.Errorf("%d cameras after the import, want 3", rows)
	}
	p.visit(n.origin + "/")
	p.eventually(`document.querySelectorAll("watch-tile").length === 3 && [...document.querySelectorAll("watch-tile")].every(t => t.dataset.phase === "playing")`)
	p.shot("wall-three")
	p.window(390, 844)
	time.Sleep(300 * time.Millisecond) // the tiles lay themselves out
	p.shot("wall-phone")
	p.visit(n.origin + "/cameras")
	p.shot("cameras-phone")
	p.window(1440, 1000)
}

// edit opens the form of a camera by its name on the list.
func (n *newcomer) edit(name string) {
	n.Helper()
	p := n.tab
	p.visit(n.origin + "/cameras")
	eval[bool](p, fmt.Sprintf(`([...document.querySelectorAll("tbody tr")].find(r => r.innerText.includes(%q)).querySelector("a[href$='/edit']").click(), true)`, name))
	p.eventually(`location.pathname.endsWith("/edit") && document.readyState === "complete"`)
}

func (n *newcomer) change() {
	p := n.tab
	n.edit("Market")
	if html := eval[string](p, `document.documentElement.outerHTML`); strings.Contains(html, n.cameras[1].Password) {
		n.Error("the form gives the password away")
	}
	p.fill("name", "Market square")
	p.click(`form.card button.primary`)
	p.eventually(`location.pathname.endsWith("/check") && document.readyState === "complete"`)
	p.says("Market square")

	n.edit("Street")
	p.click(`input[name=enabled]`)
	p.click(`form.card button.primary`)
	p.eventually(`location.pathname.endsWith("/check") && document.readyState === "complete"`)
	p.shot("camera-disabled")

	n.edit("Market square")
	p.click(`a[href$="/remove"]`)
	p.eventually(`location.pathname.endsWith("/remove") && document.readyState === "complete"`)
	p.shot("remove")
	p.click(`button.danger`)
	p.eventually(`location.pathname === "/cameras" && document.readyState === "complete"`)
	if list := p.text(); strings.Contains(list, "Market") || !strings.Contains(list, "Street") || !strings.Contains(list, "Gate") {
		n.Errorf("after a removal the list says %q", list)
	}
}

// playBack opens what was recorded in a browser that never saw the identity
// before, with the file that was downloaded.
func (n *newcomer) playBack() {
	p := newTab(n.T)
	p.visit(n.origin + "/")
	p.at("/login")
	p.login(ownerName, ownerPassword)
	p.eventually(`location.pathname === "/" && document.querySelector("watch-tile")`)
	p.visit(n.origin + "/cameras")
	eval[bool](p, `([...document.querySelectorAll("tbody a")].find(a => a.innerText === "Gate").click(), true)`)
	p.eventually(thePlayer + `?.querySelector("watch-timeline")?.data?.first`)
	first := `(d => d.first + 500)(` + thePlayer + `.querySelector("watch-timeline").data)`
	eval[bool](p, fmt.Sprintf(`(%s.seek(%s), true)`, thePlayer, first))
	p.eventually(thePlayer + `.querySelector("watch-identity[mode=unlock] textarea")`)
	p.shot("player-locked")
	eval[bool](p, fmt.Sprintf(`(document.querySelector("watch-identity[mode=unlock] textarea").value = %q, true)`, n.secret))
	p.click(`watch-identity[mode=unlock] form button.ww-primary`)
	p.eventually(thePlayer + `.querySelector("watch-identity[mode=button]")?.dataset.state === "unlocked" || document.querySelector("watch-identity[mode=button]")?.dataset.state === "unlocked"`)
	n.Logf("first decrypted frame after %.0f ms", p.seek(first))
	p.shot("playback-unlocked")
}

// noPassword looks for passwords in files, log and pages.
func (n *newcomer) noPassword() {
	p := n.tab
	var pages string
	for _, path := range []string{"/", "/cameras", "/archive", "/cameras/-/new"} {
		p.visit(n.origin + path)
		pages += eval[string](p, `document.documentElement.outerHTML`)
	}
	n.edit("Gate")
	pages += eval[string](p, `document.documentElement.outerHTML`)
	secrets := map[string]string{"owner's password": ownerPassword}
	for _, c := range n.cameras[:3] {
		secrets["password of "+c.Name] = c.Password
		secrets["escaped password of "+c.Name] = url.QueryEscape(c.Password)
	}
	for what, secret := range secrets {
		if strings.Contains(pages, secret) {
			n.Errorf("%s stands on a page", what)
		}
		if strings.Contains(n.server.log(), secret) {
			n.Errorf("%s stands in the log", what)
		}
		if files := n.server.holds(n, secret); len(files) > 0 {
			n.Errorf("%s lies in %q", what, files)
		}
	}
	n.noIdentity()
}

// startAgain goes on in the same data folder.
func (n *newcomer) startAgain() {
	keysOf := func() map[string]string {
		all := map[string]string{}
		files, _ := filepath.Glob(filepath.Join(n.server.dir, "keys", "*", "*", "*"))
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				n.Fatal(err)
			}
			all[f] = string(b)
		}
		return all
	}
	segments := func() []string {
		files, _ := filepath.Glob(filepath.Join(n.server.dir, "archive", "*", "gate*", "*", "*.mp4.age"))
		return files
	}
	before := keysOf()
	if len(before) != 3 { // one day of three cameras; or the test ran over midnight
		n.Errorf("%d day keys, want one for each camera", len(before))
	}
	n.server.stop(n)
	old := len(segments())
	n.server.start(n)
	if strings.Contains(n.server.url, "/setup/") {
		n.Errorf("the second start prints %q", n.server.url)
	}
	n.tab.visit(n.server.url) // another port, and so not logged in
	n.tab.at("/login")
	n.tab.login(ownerName, ownerPassword)
	n.tab.eventually(`document.querySelector("watch-tile")?.dataset.phase === "playing"`)
	time.Sleep(2 * time.Second) // something to open
	n.server.stop(n)
	for file, b := range keysOf() {
		if before[file] != b {
			n.Errorf("day key %s is not what it was", file)
		}
	}
	all := segments()
	if len(all) <= old {
		n.Fatalf("%d segments after the second start, %d before", len(all), old)
	}
	d := demoProcess{dir: n.server.dir}
	d.check(n)
	for _, s := range []string{all[0], all[len(all)-1]} {
		out, err := exec.Command("watchward", "unseal", "-i", n.identity, "-o", filepath.Join(n.TempDir(), "clip.mp4"), s).CombinedOutput()
		if err != nil {
			n.Errorf("unseal %s: %v\n%s", s, err, out)
		}
	}
}

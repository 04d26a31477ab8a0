package watch

import (
	"bytes"
	"context"
	"io/fs"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/net/html"

	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/camera"
	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/media"
	"github.com/watchward/watchward/internal/seal"
)

var allPages = []string{"/", "/cameras", "/cameras/gate", "/cameras/-/new", "/cameras/-/import", "/cameras/gate/edit", "/cameras/gate/check", "/cameras/gate/remove", "/archive"}

func TestPagesAreWellMade(t *testing.T) {
	b := newBench(t)
	ada := b.login(t, "Ada")
	key := regexp.MustCompile(`\b[a-z]+(\.[a-z0-9-]+)+\b`)
	for _, lang := range []string{"en", "fr"} {
		for _, path := range append([]string{"/nowhere"}, allPages...) {
			rec := b.serve(ask("GET", path, "", ada, with("Accept-Language", lang)))
			page := rec.Body.String()
			if want := map[bool]int{true: 404, false: 200}[path == "/nowhere"]; rec.Code != want {
				t.Errorf("%s: %d", path, rec.Code)
				continue
			}
			if n := find(t, page, "html[lang="+lang+"]"); len(n) != 1 {
				t.Errorf("%s: not in %s", path, lang)
			}
			for tag, n := range map[string]int{"main": 1, "h1": 1, "title": 1, "header": 1, "nav": 1, "style": 0, "iframe": 0} {
				if got := len(find(t, page, tag)); got != n {
					t.Errorf("%s: %d <%s>, want %d", path, got, tag, n)
				}
			}
			if strings.Contains(page, "hunter2") {
				t.Errorf("%s shows a password", path)
			}
			checkMarkup(t, path, page)
			// A key that has no text shows as itself.
			for _, n := range find(t, page, "body") {
				for _, word := range key.FindAllString(words(n), -1) {
					if b.web.Texts().Has("en", word) || strings.HasPrefix(word, "error.") || strings.HasPrefix(word, "field.") {
						t.Errorf("%s: shows the key %q", path, word)
					}
				}
			}
		}
	}
}

// checkMarkup looks for what the content-security policy forbids and what a
// keyboard or a screen reader would trip over.
func checkMarkup(t *testing.T, path, page string) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		attr := map[string]string{}
		for _, a := range n.Attr {
			attr[a.Key] = a.Val
			if strings.HasPrefix(a.Key, "on") || a.Key == "style" {
				t.Errorf("%s: inline %s on <%s>", path, a.Key, n.Data)
			}
			if (a.Key == "href" || a.Key == "src" || a.Key == "action") && !strings.HasPrefix(a.Val, "/") && !strings.HasPrefix(a.Val, "#") {
				t.Errorf("%s: <%s %s=%q> leads away", path, n.Data, a.Key, a.Val)
			}
		}
		if id := attr["id"]; id != "" {
			if ids[id] {
				t.Errorf("%s: id %q twice", path, id)
			}
			ids[id] = true
		}
		switch n.Data {
		case "script":
			if attr["src"] == "" {
				t.Errorf("%s: inline script", path)
			}
		case "button", "a":
			if words(n) == "" && attr["aria-label"] == "" {
				t.Errorf("%s: <%s> without a name", path, n.Data)
			}
		case "th":
			if attr["scope"] == "" {
				t.Errorf("%s: <th> without scope", path)
			}
		case "input", "select", "textarea":
			if attr["type"] != "hidden" && !within(n, "label") {
				t.Errorf("%s: %s %q without a label", path, n.Data, attr["name"])
			}
		}
	}
	for n := range doc.Descendants() {
		for _, a := range n.Attr {
			if (a.Key == "aria-labelledby" || a.Key == "aria-describedby") && !ids[a.Val] {
				t.Errorf("%s: %s points at %q, which is not there", path, a.Key, a.Val)
			}
		}
	}
}

func within(n *html.Node, tag string) bool {
	for p := range n.Ancestors() {
		if p.Data == tag {
			return true
		}
	}
	return false
}

// No template holds a word of its own: all come from package locale.
func TestTemplatesHaveNoBareText(t *testing.T) {
	action := regexp.MustCompile(`(?s)\{\{.*?\}\}`)
	check := func(name string, body []byte) {
		plain := action.ReplaceAllString(string(body), " ")
		z := html.NewTokenizer(strings.NewReader(plain))
		quoted := 0
		for {
			kind := z.Next()
			if kind == html.ErrorToken {
				return
			}
			token := z.Token()
			if token.Data == "pre" || token.Data == "code" { // commands and addresses are the same in all languages
				if kind == html.StartTagToken {
					quoted++
				} else if kind == html.EndTagToken {
					quoted--
				}
			}
			if kind == html.TextToken && quoted == 0 && strings.ContainsFunc(token.Data, unicode.IsLetter) {
				t.Errorf("%s: bare text %q", name, strings.TrimSpace(token.Data))
			}
			for _, a := range token.Attr {
				spoken := a.Key == "title" || a.Key == "alt" || a.Key == "aria-label"
				if spoken && strings.ContainsFunc(a.Val, unicode.IsLetter) {
					t.Errorf("%s: bare %s %q", name, a.Key, a.Val)
				}
			}
		}
	}
	n := 0
	for _, root := range []fs.FS{files, os.DirFS("..")} {
		for _, pattern := range []string{"*/page.tmpl", "parts/*.tmpl"} {
			names, err := fs.Glob(root, pattern)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range names {
				body, err := fs.ReadFile(root, name)
				if err != nil {
					t.Fatal(err)
				}
				check(name, body)
				n++
			}
		}
	}
	if n < 12 {
		t.Errorf("looked at %d templates only", n)
	}
}

// Every key that a template or the code names has a text.
func TestEveryKeyHasAText(t *testing.T) {
	b := newBench(t)
	texts := b.web.Texts()
	need := map[string]bool{}
	for _, code := range estate.InvalidCodes() {
		need["invalid."+code] = true
	}
	for _, r := range []media.Reason{
		media.Connecting, media.Refused, media.WrongPassword, media.NotFound, media.Unsupported, media.ConnectionLost, media.NoVideo,
		media.NoKeyframe, media.PacketLoss, media.Corrupt, media.TimeJump, media.Stopped,
		"recorder-stopped", "disk-full", "disk-read-only", "disk-failing", "disk-stalled", "clock-step", "no-reader", archive.Expired,
	} {
		need["reason."+string(r)] = true
	}
	for _, s := range []camera.Phase{camera.Dialing, camera.Live, camera.Waiting, camera.Halted} {
		need["state."+string(s)] = true
	}
	for _, s := range []archive.DiskState{archive.DiskOK, archive.DiskLow, archive.DiskFull, archive.DiskReadOnly, archive.DiskFailing} {
		need["disk."+string(s)] = true
	}
	for _, k := range []seal.Kind{seal.Hybrid, seal.Classic} {
		need["kind."+string(k)] = true
	}
	for _, tr := range transports {
		need["transport."+tr] = true
	}
	for _, f := range []string{"name", "site", "url", "sub_url", "username", "password", "transport", "retention", "audio", "file", "recipient"} {
		need["field."+f] = true
	}
	for _, w := range []string{"password-short", "password-long", "password-common", "password-name", "password-differs", "name-missing", "name-long", "name-invisible", "name-taken"} {
		need["weak."+w] = true
	}
	named := regexp.MustCompile(`\.(T|N) "([a-z_]+\.[a-z0-9_.-]+)"|Code: "([a-z-]+)"`)
	for _, dir := range []fs.FS{os.DirFS("."), os.DirFS("..")} {
		_ = fs.WalkDir(dir, ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() && d.Name() == "node_modules" {
				return fs.SkipDir
			}
			if strings.HasSuffix(name, "_test.go") || !(strings.HasSuffix(name, ".tmpl") || strings.HasSuffix(name, ".go")) {
				return nil
			}
			body, err := fs.ReadFile(dir, name)
			if err != nil {
				return err
			}
			for _, m := range named.FindAllStringSubmatch(string(body), -1) {
				switch {
				case m[1] == "T":
					need[m[2]] = true
				case m[1] == "N":
					need[m[2]+".one"], need[m[2]+".other"] = true, true
				case strings.Contains(string(body), "web.Problem{") && strings.Contains(m[0], "Code:") && !texts.Has("en", "invalid."+m[3]) && !texts.Has("en", "weak."+m[3]):
					need["error."+m[3]+".title"], need["error."+m[3]+".hint"] = true, true
				}
			}
			return nil
		})
	}
	if len(need) < 150 {
		t.Errorf("found %d keys only", len(need))
	}
	for key := range need {
		for _, lang := range texts.Languages() {
			if !texts.Has(lang, key) {
				t.Errorf("%s has no text for %q", lang, key)
			}
		}
	}
}

func TestWallPage(t *testing.T) {
	b := newBench(t)
	page := b.serve(ask("GET", "/", "", b.login(t, "Vic"))).Body.String()
	tiles := find(t, page, "watch-tile")
	if len(tiles) != 1 || !strings.Contains(page, `<watch-tile camera="gate" stream="sub" name="Gate">`) || len(find(t, page, "a[href=/cameras/gate]")) != 1 {
		t.Error(page)
	}
	if text := words(tiles[0]); !strings.Contains(text, "Live, recording") {
		t.Errorf("without script the tile says %q", text)
	}
	if find(t, page, "a[href=/cameras/-/new]") != nil {
		t.Error("a viewer is offered what he may not do")
	}
	b.health.Disk = archive.DiskFull
	if page := b.serve(ask("GET", "/", "", b.login(t, "Vic"))).Body.String(); !strings.Contains(page, "Disk is full") {
		t.Error("a full disk is not told")
	}
}

func TestCameraPage(t *testing.T) {
	b := newBench(t)
	page := b.serve(ask("GET", "/cameras/gate", "", b.login(t, "Vic"), with("Accept-Language", "fr"))).Body.String()
	for _, want := range []string{
		`<watch-player camera="gate" name="Gate" streams="main,sub" lang="fr">`, "Grace", b.reader[:20], "1920×1080", "La caméra refuse le mot de passe",
		"401 Unauthorized", "La connexion à la caméra s’est rompue", "1 trou", "30 s",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("does not say %q", want)
		}
	}
}

func TestNamesAreEscaped(t *testing.T) {
	b := newBench(t)
	ada := b.login(t, "Ada")
	rec := b.serve(form("/cameras/-/new", url.Values{"name": {`<script>alert(1)</script>`}, "site": {"harbour"}, "url": {"rtsp://10.0.0.9/x"}}, ada))
	if rec.Code != http.StatusSeeOther {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	for _, path := range []string{"/", "/cameras", strings.TrimSuffix(rec.Header().Get("Location"), "/check")} {
		if page := b.serve(ask("GET", path, "", ada)).Body.String(); strings.Contains(page, "<script>alert") || !strings.Contains(page, "&lt;script&gt;") {
			t.Errorf("%s: not escaped", path)
		}
	}
}

func TestCameraForms(t *testing.T) {
	b := newBench(t)
	ada := b.login(t, "Ada")
	b.state["yard/main"] = camera.State{Phase: camera.Waiting, Reason: media.WrongPassword}
	rec := b.serve(form("/cameras/-/new", url.Values{"name": {"Yard"}, "site": {"harbour"}, "url": {"rtsp://u:topsecret@10.0.0.2/a"}, "enabled": {"on"}, "record": {"on"}, "days": {"1,5"}}, ada))
	if rec.Code != 303 || rec.Header().Get("Location") != "/cameras/yard/check" {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	c, err := b.estate.Camera(t.Context(), "yard")
	if err != nil || c.Username != "u" || c.Password.Reveal() != "topsecret" || c.Retention.MaxAge.Hours() != 36 || c.RecordAudio || len(c.Streams) != 1 {
		t.Fatalf("%+v, %v", c, err)
	}
	if page := b.serve(ask("GET", "/cameras/yard/check", "", ada)).Body.String(); !strings.Contains(page, "The camera refuses the password") || !strings.Contains(page, "Check user name and password") {
		t.Error("the test does not say what is wrong")
	}
	page := b.serve(ask("GET", "/cameras/yard/edit", "", ada)).Body.String()
	if strings.Contains(page, "topsecret") || len(find(t, page, "input[value=rtsp://10.0.0.2/a]")) != 1 || len(find(t, page, "input[value=1.5]")) != 1 {
		t.Error("the form is wrong")
	}
	// Nothing given as password: the old one stays.
	edit := url.Values{"name": {"Yard 2"}, "url": {"rtsp://10.0.0.2/a"}, "username": {"u"}, "enabled": {"on"}, "audio": {"on"}, "transport": {"udp"}}
	if rec := b.serve(form("/cameras/yard/edit", edit, ada)); rec.Code != 303 {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	if c, err = b.estate.Camera(t.Context(), "yard"); err != nil || c.Name != "Yard 2" || c.Password.Reveal() != "topsecret" || !c.RecordAudio || c.Transport != "udp" || c.Streams[0].Record {
		t.Errorf("%+v, %v", c, err)
	}
	for _, tt := range []struct {
		name   string
		values url.Values
		says   string
	}{
		{"address", url.Values{"name": {"X"}, "site": {"harbour"}, "url": {"http://u:topsecret@h/"}}, "It must begin with rtsp://"},
		{"name", url.Values{"name": {""}, "site": {"harbour"}, "url": {"rtsp://10.0.0.7/"}}, "Nothing was given"},
		{"twice", url.Values{"name": {"X"}, "site": {"harbour"}, "url": {"rtsp://10.0.0.1/main"}}, "The camera “Gate” already has this address"},
		{"days", url.Values{"name": {"X"}, "site": {"harbour"}, "url": {"rtsp://10.0.0.7/"}, "days": {"ages"}}, "keep for at least an hour"},
	} {
		rec := b.serve(form("/cameras/-/new", tt.values, ada))
		page := rec.Body.String()
		if rec.Code != 422 || !strings.Contains(page, tt.says) || strings.Contains(page, "topsecret") {
			t.Errorf("%s: %d", tt.name, rec.Code)
		}
		checkMarkup(t, tt.name, page)
	}
	if rec := b.serve(form("/cameras/yard/remove", nil, ada)); rec.Code != 303 {
		t.Errorf("remove: %d", rec.Code)
	}
	if rec := b.serve(ask("GET", "/cameras/yard", "", ada)); rec.Code != 404 {
		t.Errorf("removed: %d", rec.Code)
	}
}

func TestNewSiteSharesReaders(t *testing.T) {
	b := newBench(t)
	rec := b.serve(form("/cameras/-/new", url.Values{"name": {"Class"}, "site": {"harbour"}, "site_new": {"School"}, "url": {"rtsp://10.0.0.8/"}}, b.login(t, "Ada")))
	if rec.Code != 303 {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	if got, err := b.estate.ReaderRecipients(t.Context(), "school"); err != nil || len(got) != 1 || got[0] != b.reader {
		t.Errorf("%q, %v", got, err)
	}
}

func TestImportPage(t *testing.T) {
	b := newBench(t)
	ada := b.login(t, "Ada")
	send := func(file, text string) (int, string, string) {
		var body bytes.Buffer
		m := multipart.NewWriter(&body)
		f, err := m.CreateFormFile("file", "cameras.csv")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = f.Write([]byte(file))
		_ = m.WriteField("text", text)
		_ = m.Close()
		rec := b.serve(ask("POST", "/cameras/-/import", body.String(), ada, with("Content-Type", m.FormDataContentType())))
		return rec.Code, rec.Header().Get("Location"), rec.Body.String()
	}
	if code, to, body := send("name,site,url\nA,School,rtsp://10.1.0.1/\nB,School,rtsp://10.1.0.2/\n", ""); code != 303 || to != "/cameras?added=2" {
		t.Errorf("file: %d %s", code, body)
	}
	if page := b.serve(ask("GET", "/cameras?added=2", "", ada)).Body.String(); !strings.Contains(page, "2 cameras added.") {
		t.Error("not told how many")
	}
	if code, to, body := send("", "C,School,rtsp://10.1.0.3/\n"); code != 303 || to != "/cameras?added=1" {
		t.Errorf("text: %d %s", code, body)
	}
	code, _, page := send("", "D,School,rtsp://10.1.0.4/\nE,School,ftp://x/\n")
	if code != 422 || !strings.Contains(page, "Line 2:") || !strings.Contains(page, "Nothing was added") || !strings.Contains(page, "D,School") {
		t.Errorf("wrong: %d %s", code, page)
	}
	if code, _, _ := send(strings.Repeat("x", 3<<20), ""); code != http.StatusRequestEntityTooLarge {
		t.Errorf("too large: %d", code)
	}
	if rec := b.serve(form("/cameras/-/import", url.Values{"text": {"x"}}, ada)); rec.Code != 400 {
		t.Errorf("not a form with files: %d", rec.Code)
	}
}

func TestArchivePage(t *testing.T) {
	b := newBench(t)
	page := b.serve(ask("GET", "/archive", "", b.login(t, "Vic"))).Body.String()
	for _, want := range []string{"Disk is well", "4.0\u00a0GB free of 10.0\u00a0GB", "Grace", "The connection to the camera broke", "cd /srv/watchward", "age -d -i IDENTITY keys/harbour/gate/2030-06-01.key.age", "X25519"} {
		if !strings.Contains(page, want) {
			t.Errorf("does not say %q", want)
		}
	}
	if find(t, page, "form[action=/archive/readers]") != nil {
		t.Error("a viewer is offered what he may not do")
	}
}

func TestRetentionForm(t *testing.T) {
	b := newBench(t)
	ada := b.login(t, "Ada")
	if rec := b.serve(form("/archive/retention", url.Values{"days": {"7"}, "gigabytes": {""}, "total": {"500"}, "low_water": {"2"}}, ada)); rec.Code != 303 {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	l, err := b.estate.Limits(t.Context())
	if err != nil || l.Default.MaxAge.Hours() != 168 || l.Default.MaxBytes != 0 || l.Total != 500e9 || l.LowWater != 2e9 {
		t.Errorf("%+v, %v", l, err)
	}
	for _, days := range []string{"-1", "forever", "1e9", "NaN", "0.01"} {
		rec := b.serve(form("/archive/retention", url.Values{"days": {days}}, ada))
		if rec.Code != 422 || !strings.Contains(rec.Body.String(), "Leave it empty") {
			t.Errorf("%q days: %d", days, rec.Code)
		}
	}
}

func TestReaderForms(t *testing.T) {
	b := newBench(t)
	ada := b.login(t, "Ada")
	second, err := seal.GenerateIdentity(seal.Classic)
	if err != nil {
		t.Fatal(err)
	}
	hybrid, err := seal.GenerateIdentity(seal.Hybrid)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, recipient string
		status          int
		says            string
	}{
		{"identity by mistake", b.secret, 422, "This was an identity, not a recipient"},
		{"another kind", hybrid.Recipient(), 422, "do not go together"},
		{"mistyped", "age1qqqq", 422, "This is no recipient"},
		{"good", second.Recipient(), 303, ""},
		{"twice", second.Recipient(), 422, ""},
	} {
		rec := b.serve(form("/archive/readers", url.Values{"site": {"harbour"}, "name": {"Alan"}, "recipient": {tt.recipient}}, ada))
		if rec.Code != tt.status || !strings.Contains(rec.Body.String(), tt.says) || strings.Contains(rec.Body.String(), b.secret) {
			t.Errorf("%s: %d", tt.name, rec.Code)
		}
	}
	remove := func(recipient string) int {
		return b.serve(form("/archive/readers/remove", url.Values{"site": {"harbour"}, "recipient": {recipient}}, ada)).Code
	}
	if code := remove(b.reader); code != 303 {
		t.Errorf("remove the first: %d", code)
	}
	if code := remove(second.Recipient()); code != 422 {
		t.Errorf("remove the last: %d", code)
	}
	if got, _ := b.estate.ReaderRecipients(t.Context(), "harbour"); len(got) != 1 || got[0] != second.Recipient() {
		t.Errorf("%q", got)
	}
}

func TestSetup(t *testing.T) {
	b := emptyBench(t)
	for _, path := range []string{"/", "/login", "/cameras"} {
		if rec := b.serve(ask("GET", path, "")); rec.Header().Get("Location") != "/setup" {
			t.Errorf("%s leads to %q", path, rec.Header().Get("Location"))
		}
	}
	if rec := b.serve(ask("GET", "/setup", "")); rec.Code != 200 || strings.Contains(rec.Body.String(), "password") {
		t.Errorf("without a link: %d", rec.Code)
	}
	if rec := b.serve(ask("GET", "/setup/guess", "")); rec.Code != 403 {
		t.Errorf("guessed: %d", rec.Code)
	}
	path := "/setup/" + b.access.SetupToken().Reveal()
	for range 2 { // looking does not use it up
		page := b.serve(ask("GET", path, "")).Body.String()
		if len(find(t, page, "watch-identity[mode=setup]")) != 1 || len(find(t, page, "input[name=recipient]")) != 1 {
			t.Error("no place to make an identity")
		}
		checkMarkup(t, "setup", page)
	}
	values := func(change ...string) url.Values {
		v := url.Values{"name": {"Ada"}, "password": {password}, "password_again": {password}, "site": {"Harbour"}, "recipient": {b.reader}}
		for i := 0; i < len(change); i += 2 {
			v.Set(change[i], change[i+1])
		}
		return v
	}
	for _, tt := range []struct {
		name   string
		values url.Values
		says   string
	}{
		{"weak password", values("password", "password123", "password_again", "password123"), "one of the first an attacker tries"},
		{"two passwords", values("password_again", password+"x"), "The two passwords differ"},
		{"no name", values("name", " "), "A name is missing"},
		{"no recipient", values("recipient", ""), "A recipient is missing"},
		{"identity", values("recipient", b.secret), "This was an identity"},
		{"nonsense", values("recipient", "age1nonsense"), "This is no recipient"},
		{"no site", values("site", ""), "Nothing was given"},
	} {
		rec := b.serve(form(path, tt.values))
		page := rec.Body.String()
		if rec.Code != 422 || !strings.Contains(page, tt.says) || strings.Contains(page, b.secret) || strings.Contains(page, password) {
			t.Errorf("%s: %d", tt.name, rec.Code)
		}
	}
	if sites, _ := b.estate.Sites(context.Background()); len(sites) != 0 || !b.access.SetupPending() {
		t.Errorf("failed attempts left %v behind", sites)
	}
	rec := b.serve(form(path, values("recipient", "", "recipient_typed", b.reader)))
	if rec.Code != 303 || rec.Header().Get("Location") != "/cameras/-/new" || len(rec.Result().Cookies()) != 1 {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	if got, err := b.estate.ReaderRecipients(t.Context(), "harbour"); err != nil || len(got) != 1 || got[0] != b.reader {
		t.Errorf("readers %q, %v", got, err)
	}
	for _, method := range []string{"GET", "POST"} {
		if rec := b.serve(ask(method, path, "")); rec.Code != http.StatusGone {
			t.Errorf("%s again: %d", method, rec.Code)
		}
	}
	b.login(t, "Ada")
}

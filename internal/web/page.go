package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/web/locale"
)

//go:embed parts/layout.tmpl login/page.tmpl fault/page.tmpl users/page.tmpl user/page.tmpl account/page.tmpl invitation/page.tmpl recover/page.tmpl entering/page.tmpl
var frameFiles embed.FS

// Page is a template within the layout. It defines "title" and "main", and
// sees a [Sight].
type Page struct {
	w    *Server
	tmpl *template.Template
}

// Page parses a page's template, and the templates of the wing that it uses:
// parts names other files of the same tree.
func (w *Server) Page(files fs.FS, name string, parts ...string) (*Page, error) {
	layout, err := frameFiles.ReadFile("parts/layout.tmpl")
	if err != nil {
		return nil, err
	}
	t, err := template.New("layout").Option("missingkey=error").Parse(string(layout))
	if err != nil {
		return nil, fmt.Errorf("parse layout: %w", err)
	}
	for _, n := range append(parts, name) {
		body, err := fs.ReadFile(files, n)
		if err != nil {
			return nil, fmt.Errorf("read page %q: %w", n, err)
		}
		if t, err = t.Parse(string(body)); err != nil {
			return nil, fmt.Errorf("parse page %q: %w", n, err)
		}
	}
	return &Page{w: w, tmpl: t}, nil
}

// Render answers with the page. It is built in memory first: half a page with
// status 200 helps nobody.
func (p *Page) Render(rw http.ResponseWriter, r *http.Request, status int, data any) error {
	var b bytes.Buffer
	if err := p.tmpl.ExecuteTemplate(&b, "layout", &Sight{Visit: From(r), Path: r.URL.Path, Data: data, w: p.w}); err != nil {
		return fmt.Errorf("render page: %w", err)
	}
	rw.Header().Set("Content-Type", "text/html; charset=utf-8")
	rw.Header().Set("Vary", "Accept-Language, Cookie")
	rw.WriteHeader(status)
	_, _ = rw.Write(b.Bytes()) // whoever hung up will not read it
	return nil
}

// Sight is what a page's template sees: the visit, the page's own data, and
// ways to say things in the visitor's language.
type Sight struct {
	*Visit
	Path string
	Data any
	w    *Server
}

// T is a text; see [locale.Texts.T].
func (s *Sight) T(key string, args ...any) string { return s.w.texts.T(s.Lang, key, args...) }

// N is a text that counts.
func (s *Sight) N(key string, n int, args ...any) string {
	return s.w.texts.N(s.Lang, key, n, args...)
}

// Code is the text of a code under a prefix; a code without text shows itself.
func (s *Sight) Code(prefix, code string) string {
	if code == "" {
		return ""
	}
	if key := prefix + "." + code; s.w.texts.Has(s.Lang, key) {
		return s.T(key)
	}
	return code
}

// Asset is the address of an asset, or "".
func (s *Sight) Asset(name string) string { return s.w.Asset(name) }

// Demo is nil unless this is one.
func (s *Sight) Demo() *Demo { return s.w.o.Demo }

// Version is the program's.
func (s *Sight) Version() string { return s.w.o.Version }

// In reports whether the page is at or below a path: for the navigation.
func (s *Sight) In(path string) bool {
	return s.Path == path || path != "/" && strings.HasPrefix(s.Path, path+"/")
}

// Has reports whether a page is served: the navigation shows what wings there
// are.
func (s *Sight) Has(path string) bool {
	return slices.ContainsFunc(s.w.routes, func(r Route) bool { return r.Pattern == "GET "+path })
}

// Languages are those to switch to, each with its own name for itself.
func (s *Sight) Languages() []string { return s.w.texts.Languages() }

// NextTheme is what the theme switch turns to.
func (s *Sight) NextTheme() string {
	switch s.Theme {
	case "auto":
		return "dark"
	case "dark":
		return "light"
	}
	return "auto"
}

// Bytes writes a size with a decimal unit, as disks are sold.
func (s *Sight) Bytes(n int64) string { return FormatBytes(s.w.texts, s.Lang, n) }

// FormatBytes writes a size with a decimal unit.
func FormatBytes(t *locale.Texts, lang string, n int64) string {
	x, unit := float64(n), 0
	for x >= 1000 && unit < 5 {
		x, unit = x/1000, unit+1
	}
	key := "unit." + [...]string{"B", "kB", "MB", "GB", "TB", "PB"}[unit]
	if unit == 0 || x >= 100 {
		return locale.Number(lang, int64(x+0.5)) + "\u00a0" + t.T(lang, key)
	}
	return locale.Decimal(lang, x) + "\u00a0" + t.T(lang, key)
}

// Number writes a whole number.
func (s *Sight) Number(n int64) string { return locale.Number(s.Lang, n) }

// Count writes how many there are.
func (s *Sight) Count(n int) string { return locale.Number(s.Lang, int64(n)) }

// Span writes a length of time in at most two units.
func (s *Sight) Span(d time.Duration) string {
	d = max(d, 0).Round(time.Second)
	unit := func(n int64, key string) string { return s.T("span."+key, "n", n) }
	secs := int64(d / time.Second)
	var a, b string
	switch {
	case secs < 60:
		return unit(secs, "s")
	case secs < 3600:
		a = unit(secs/60, "min")
		if secs%60 > 0 && secs < 600 {
			b = unit(secs%60, "s")
		}
	case secs < 86400:
		a = unit(secs/3600, "h")
		if m := secs % 3600 / 60; m > 0 {
			b = unit(m, "min")
		}
	default:
		a = unit(secs/86400, "d")
		if h := secs % 86400 / 3600; h > 0 {
			b = unit(h, "h")
		}
	}
	return strings.TrimSpace(a + " " + b)
}

// Day writes a day of the calendar, as ISO 8601 has it in all languages.
func (s *Sight) Day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.DateOnly)
}

// Clock writes the time of a day, in UTC, without the day.
func (s *Sight) Clock(t time.Time) string { return t.UTC().Format("15:04:05") + "\u00a0UTC" }

// Time writes a point in time for people, in UTC: the server cannot know where
// its reader is; scripts show local time beside it.
func (s *Sight) Time(t time.Time) string {
	if t.IsZero() {
		return s.T("time.never")
	}
	return t.UTC().Format("2006-01-02 15:04:05") + "\u00a0UTC"
}

// Ago writes how long ago a point in time is.
func (s *Sight) Ago(t time.Time) string { return s.Span(s.w.o.Now().Sub(t)) }

// Machine writes a point in time for a datetime attribute.
func (s *Sight) Machine(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Row hands one thing to a template of its own, with the sight and, if it
// needs that, what the thing is part of.
type Row struct {
	Sight *Sight
	Item  any
	Of    any
}

// Row makes a [Row].
func (s *Sight) Row(item any, of ...any) Row {
	row := Row{Sight: s, Item: item}
	if len(of) > 0 {
		row.Of = of[0]
	}
	return row
}

// Short writes the two ends of a long key.
func (s *Sight) Short(key string) string {
	if len(key) <= 40 {
		return key
	}
	return key[:20] + "…" + key[len(key)-12:]
}

// Whole writes a rate without decimals.
func (s *Sight) Whole(x float64) string { return locale.Number(s.Lang, int64(x+0.5)) }

// Known reports whether there is a text for a code.
func (s *Sight) Known(prefix, code string) bool { return s.w.texts.Has(s.Lang, prefix+"."+code) }

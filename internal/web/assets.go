package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
)

// Built scripts lie in assets/dist; styles are put together here.
//
//go:embed assets
var assetFiles embed.FS

//go:embed parts/*.css
var styleFiles embed.FS

// assets are all files browsers may fetch without a login, in memory, each
// compressed once. Under /assets/<hash of all>/ they never change and are
// cached for a year; under /assets/ the browser asks each time.
type assets struct {
	version string
	files   map[string]asset
}

type asset struct {
	kind       string
	body, gzip []byte
	etag       string
}

var assetKinds = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
	".json": "application/json", ".png": "image/png", ".map": "application/json", ".wasm": "application/wasm", ".txt": "text/plain; charset=utf-8",
}

func (w *Server) buildAssets() *assets {
	a := &assets{files: map[string]asset{}}
	_ = fs.WalkDir(assetFiles, "assets", func(name string, d fs.DirEntry, err error) error { // embedded: cannot fail
		if err == nil && !d.IsDir() {
			body, _ := assetFiles.ReadFile(name)
			short := strings.TrimPrefix(strings.TrimPrefix(name, "assets/"), "dist/")
			a.add(short, body)
		}
		return nil
	})
	a.add("app.css", []byte(w.styleSheet()))
	for _, lang := range w.texts.Languages() {
		a.add("texts/"+lang+".json", w.texts.JSON(lang))
	}
	sum := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(a.files)) {
		sum.Write([]byte(name + "\x00" + a.files[name].etag + "\x00"))
	}
	a.version = hex.EncodeToString(sum.Sum(nil)[:8])
	return a
}

// styleSheet is the frame's parts in order of name, then the wings' pages.
func (w *Server) styleSheet() string {
	var b strings.Builder
	names, _ := fs.Glob(styleFiles, "parts/*.css")
	for _, name := range names {
		body, _ := styleFiles.ReadFile(name)
		b.Write(body)
	}
	for _, css := range w.styles {
		b.WriteString(css)
	}
	return b.String()
}

func (a *assets) add(name string, body []byte) {
	kind, ok := assetKinds[path.Ext(name)]
	if !ok {
		return
	}
	sum := sha256.Sum256(body)
	f := asset{kind: kind, body: body, etag: `"` + hex.EncodeToString(sum[:12]) + `"`}
	var z bytes.Buffer
	zw, _ := gzip.NewWriterLevel(&z, gzip.BestCompression)
	_, _ = zw.Write(body)
	_ = zw.Close() // into memory: cannot fail
	if z.Len() < len(body)*9/10 {
		f.gzip = z.Bytes()
	}
	a.files[name] = f
}

// Asset is the address of an asset, or "" when there is none of that name.
func (w *Server) Asset(name string) string {
	a := w.assets()
	if _, ok := a.files[name]; !ok {
		return ""
	}
	return "/assets/" + a.version + "/" + name
}

func (w *Server) serveAsset(rw http.ResponseWriter, r *http.Request) error {
	a := w.assets()
	name := r.PathValue("name")
	rest, fixed := strings.CutPrefix(name, a.version+"/")
	f, ok := a.files[rest]
	if !ok {
		return ErrNotFound
	}
	h := rw.Header()
	// The scripts name each other by the beginning of their SHA-256.
	if v := r.URL.Query().Get("v"); len(v) >= 8 && strings.HasPrefix(f.etag[1:], v) {
		fixed = true
	}
	if fixed {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		h.Set("Cache-Control", "no-cache")
	}
	h.Set("ETag", f.etag)
	h.Set("Vary", "Accept-Encoding")
	h.Set("Content-Type", f.kind)
	if strings.Contains(r.Header.Get("If-None-Match"), f.etag) {
		rw.WriteHeader(http.StatusNotModified)
		return nil
	}
	body := f.body
	if f.gzip != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = f.gzip
	}
	_, _ = rw.Write(body) // whoever hung up will not read it
	return nil
}

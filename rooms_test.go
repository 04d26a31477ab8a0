// Package watchward_test keeps the house in order: which room may import which,
// and what no room may do. The table below is the import table of
// ARCHITECTURE.md; change both together, after a record in docs/design.
package watchward_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

const module = "github.com/watchward/watchward"

// rooms says which rooms each room may import. A subpackage that is not named
// here belongs to its room, and may import it and what it may.
var rooms = map[string][]string{
	"internal/media":  {},
	"internal/seal":   {},
	"internal/db":     {},
	"internal/ledger": {},
	// simulate shares no code with what it tests; samples and boxes are media's.
	"internal/simulate":  {"internal/media"},
	"internal/camera":    {"internal/media"},
	"internal/live":      {"internal/media"},
	"internal/archive":   {"internal/db", "internal/seal"},
	"internal/record":    {"internal/archive", "internal/media", "internal/seal"},
	"internal/estate":    {"internal/db"},
	"internal/identify":  {"internal/estate"},
	"internal/discover":  {"internal/camera", "internal/estate", "internal/identify"},
	"internal/policy":    {"internal/db", "internal/estate", "internal/identify"},
	"internal/access":    {"internal/db", "internal/estate"},
	"internal/web":       {"internal/access"},
	"internal/web/watch": {"internal/web", "internal/access", "internal/archive", "internal/camera", "internal/estate", "internal/live", "internal/media", "internal/record", "internal/seal"},
	"internal/web/know":  {"internal/web", "internal/access", "internal/discover", "internal/estate", "internal/identify", "internal/policy"},
	"internal/web/prove": {"internal/web", "internal/access", "internal/archive", "internal/estate", "internal/ledger", "internal/policy", "internal/seal"},
	"cmd/watchward":      {anyRoom},
	"bench":              {anyRoom},
	// The root holds this test.
	".": {},
}

const anyRoom = "*"

// wings are subpackages of web that the frame may not import.
var wings = []string{"internal/web/watch", "internal/web/know", "internal/web/prove"}

// testing rooms may be imported by every room's tests.
var testRooms = []string{"internal/simulate", "internal/archive/archivetest", "internal/db"}

// doors says which rooms alone may use a library. Tests may use any.
var doors = map[string][]string{
	"filippo.io/age":                  {"internal/seal", "internal/record"}, // record only names the type that seal hands it
	"modernc.org/sqlite":              {"internal/db"},
	"database/sql":                    {"internal/db", "internal/access", "internal/archive", "internal/estate", "internal/policy"},
	"cel.dev/cel-go":                  {"internal/policy"},
	"go.yaml.in/yaml":                 {"internal/policy"},
	"github.com/pion/webrtc":          {"internal/live"},
	"github.com/coder/websocket":      {"internal/live"},
	"github.com/pion/sdp":             {"internal/camera", "internal/live", "internal/simulate"},
	"github.com/coreos/go-oidc":       {"internal/access"},
	"golang.org/x/oauth2":             {"internal/access"},
	"github.com/go-webauthn/webauthn": {"internal/access"},
	"github.com/alecthomas/kong":      {"cmd/watchward"},
	"github.com/transparency-dev":     {"internal/ledger"},
	"golang.org/x/mod/sumdb":          {"internal/ledger"},
	"k8s.io/klog":                     {"internal/ledger"}, // what tessera logs with
	"github.com/chromedp/chromedp":    {},
	"github.com/rogpeppe/go-internal": {},
}

// clients are ways to the network that no caller can see or bound.
var clients = []string{"DefaultClient", "DefaultTransport", "DefaultServeMux", "Get", "Post", "PostForm", "Head", "Handle", "HandleFunc", "ListenAndServe", "ListenAndServeTLS", "Serve"}

// bins are packages that hold what nobody found a place for.
var bins = []string{"util", "utils", "common", "helper", "helpers", "misc", "shared"}

func TestRooms(t *testing.T) {
	tree := os.DirFS(".")
	found, err := checkTree(tree)
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range found {
		t.Error(problem)
	}
}

// TestArchitectureNamesRooms keeps the map in step with the house.
func TestArchitectureNamesRooms(t *testing.T) {
	text, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir("internal")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.Contains(string(text), "`"+e.Name()+"`") {
			t.Errorf("ARCHITECTURE.md does not name the room `%s`", e.Name())
		}
		if _, ok := rooms["internal/"+e.Name()]; !ok {
			t.Errorf("internal/%s is a room, but not in the table of rooms_test.go", e.Name())
		}
	}
}

func TestCheckTreeFindsWhatIsForbidden(t *testing.T) {
	const doc = "// Package x does something.\n"
	for _, tt := range []struct {
		name, file, text, want string
	}{
		{"a lower room imports a higher one", "internal/media/media.go", doc + `package media; import _ "` + module + `/internal/archive"`, `internal/media may not import internal/archive`},
		{"a subpackage imports a higher room", "internal/media/fmp4/fmp4.go", doc + `package fmp4; import _ "` + module + `/internal/record"`, `internal/media/fmp4 may not import internal/record`},
		{"a test imports a room it may not know", "internal/seal/seal_test.go", `package seal; import _ "` + module + `/internal/web"`, `internal/seal may not import internal/web`},
		{"a room imports web", "internal/estate/estate.go", doc + `package estate; import _ "` + module + `/internal/web"`, `internal/estate may not import internal/web`},
		{"the frame imports a wing", "internal/web/web.go", doc + `package web; import _ "` + module + `/internal/web/watch"`, `internal/web may not import internal/web/watch`},
		{"somebody imports cmd", "bench/bench.go", doc + `package bench; import _ "` + module + `/cmd/watchward"`, `nothing may import cmd/watchward`},
		{"a room nobody planned", "internal/novel/novel.go", doc + `package novel`, `internal/novel is in no row of the table`},
		{"a library through another door", "internal/archive/archive.go", doc + `package archive; import _ "filippo.io/age"`, `internal/archive may not import filippo.io/age`},
		{"a newer major of it", "internal/camera/camera.go", doc + `package camera; import _ "github.com/pion/webrtc/v4/pkg/media"`, `internal/camera may not import github.com/pion/webrtc`},
		{"init", "internal/db/db.go", doc + `package db; func init() {}`, `func init`},
		{"a package for everything", "internal/web/utils/utils.go", doc + `package utils`, `package utils`},
		{"no package doc", "internal/db/db.go", `package db`, `no package doc`},
		{"two package docs", "internal/db/db.go", doc + `package db`, `package docs in`},
		{"the default client", "internal/live/live.go", doc + `package live; import web "net/http"; var c = web.DefaultClient`, `http.DefaultClient`},
		{"the default mux", "internal/live/live.go", doc + `package live; import "net/http"; func f() { http.HandleFunc("/", nil) }`, `http.HandleFunc`},
		{"state in a variable", "internal/db/db.go", doc + `package db; var n int; func f() { n++ }`, `package variable n holds state`},
		{"state in a map", "internal/db/db.go", doc + `package db; var m = map[string]int{}; func f() { m["x"] = 1 }`, `package variable m holds state`},
		{"state behind a lock", "internal/db/db.go", doc + `package db; import "sync"; var mu sync.Mutex`, `package variable mu holds state`},
		{"not Go", "internal/db/db.go", doc + `packag db`, `expected 'package'`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tree := fstest.MapFS{tt.file: {Data: []byte(tt.text)}}
			if tt.name == "two package docs" {
				tree["internal/db/other.go"] = &fstest.MapFile{Data: []byte(tt.text)}
			}
			found, err := checkTree(tree)
			if err != nil {
				found = append(found, err.Error())
			}
			if len(found) != 1 || !strings.Contains(found[0], tt.want) {
				t.Errorf("found %q, want one that says %q", found, tt.want)
			}
		})
	}
}

func TestCheckTreeAllows(t *testing.T) {
	const doc = "// Package x does something.\n"
	tree := fstest.MapFS{
		"internal/media/media.go":          {Data: []byte(doc + `package media; var table = map[string]int{"a": 1}; var _ = table; func f() { table := 1; table++; _ = table }`)},
		"internal/media/fmp4/fmp4.go":      {Data: []byte(doc + `package fmp4; import _ "` + module + `/internal/media"`)},
		"internal/camera/camera_test.go":   {Data: []byte(`package camera; import _ "` + module + `/internal/simulate"; var n int; func f() { n++ }`)},
		"internal/seal/seal.go":            {Data: []byte(doc + `package seal; import _ "filippo.io/age"`)},
		"internal/web/watch/watch.go":      {Data: []byte(doc + `package watch; import _ "` + module + `/internal/web/locale"`)},
		"cmd/watchward/main.go":            {Data: []byte(doc + `package main; import _ "` + module + `/internal/web/watch"`)},
		"internal/web/node_modules/x/x.go": {Data: []byte(`package utils; func init() {}`)},
		"internal/db/testdata/x.go":        {Data: []byte(`nothing`)},
		"tools/bundle/main.go":             {Data: []byte(`package main; func init() {}`)},
		"tools/go.mod":                     {Data: []byte(`module x`)},
	}
	found, err := checkTree(tree)
	if err != nil || len(found) > 0 {
		t.Errorf("found %q, %v", found, err)
	}
}

// checkTree returns what is wrong with the Go files of a module.
func checkTree(tree fs.FS) ([]string, error) {
	c := &checker{files: token.NewFileSet(), packages: make(map[string][]*source)}
	err := fs.WalkDir(tree, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			if skipFolder(tree, name) {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(c.files, name, text, parser.ParseComments)
		if err != nil {
			return err
		}
		dir := path.Dir(name)
		c.packages[dir] = append(c.packages[dir], &source{name, file})
		return nil
	})
	if err != nil {
		return nil, err
	}
	for dir, files := range c.packages {
		c.checkPackage(dir, files)
	}
	slices.Sort(c.found)
	return c.found, nil
}

// skipFolder leaves out what is not ours, and modules of their own.
func skipFolder(tree fs.FS, name string) bool {
	switch base := path.Base(name); {
	case name == ".":
		return false
	case base == "node_modules" || base == "testdata" || strings.HasPrefix(base, "."):
		return true
	}
	_, err := fs.Stat(tree, path.Join(name, "go.mod"))
	return err == nil
}

type source struct {
	name string
	*ast.File
}

func (s *source) test() bool { return strings.HasSuffix(s.name, "_test.go") }

type checker struct {
	files    *token.FileSet
	packages map[string][]*source // by folder
	found    []string
}

func (c *checker) problem(at token.Pos, format string, args ...any) {
	c.found = append(c.found, fmt.Sprintf("%s: ", c.files.Position(at))+fmt.Sprintf(format, args...))
}

func (c *checker) checkPackage(dir string, files []*source) {
	if _, ok := rooms[roomOf(dir)]; !ok {
		c.problem(files[0].Pos(), "%s is in no row of the table", dir)
	}
	if slices.Contains(bins, files[0].Name.Name) {
		c.problem(files[0].Pos(), "package %s: name it after what it holds", files[0].Name.Name)
	}
	c.checkDoc(dir, files)
	state := packageVars(files)
	for _, f := range files {
		for _, i := range f.Imports {
			c.checkImport(dir, f, i)
		}
		if !f.test() {
			c.checkCalls(f)
			c.checkInit(f)
			c.checkState(f, state)
		}
	}
}

// checkDoc wants one package doc, so that there is one place to begin.
func (c *checker) checkDoc(dir string, files []*source) {
	var code, docs []string
	for _, f := range files {
		if f.test() {
			continue
		}
		code = append(code, f.name)
		if f.Doc != nil && strings.TrimSpace(f.Doc.Text()) != "" {
			docs = append(docs, path.Base(f.name))
		}
	}
	switch {
	case len(code) > 0 && len(docs) == 0:
		c.problem(files[0].Pos(), "%s has no package doc", dir)
	case len(docs) > 1:
		c.problem(files[0].Pos(), "%s has package docs in %s", dir, strings.Join(docs, " and "))
	}
}

// roomOf is the row of the table that a folder belongs to.
func roomOf(dir string) string {
	for d := dir; ; d = path.Dir(d) {
		if _, ok := rooms[d]; ok {
			// Only what lies at the root belongs to it.
			if d == "." && dir != "." {
				return dir
			}
			return d
		}
		if d == "." {
			return dir
		}
	}
}

func (c *checker) checkImport(dir string, f *source, i *ast.ImportSpec) {
	name, err := strconv.Unquote(i.Path.Value)
	if err != nil {
		c.problem(i.Pos(), "import %s", i.Path.Value)
		return
	}
	from := roomOf(dir)
	if to, ours := strings.CutPrefix(name, module+"/"); ours {
		switch {
		case strings.HasPrefix(to, "cmd/"):
			c.problem(i.Pos(), "nothing may import %s", to)
		case !mayImport(from, to, f.test()):
			c.problem(i.Pos(), "%s may not import %s", dir, to)
		}
		return
	}
	for library, allowed := range doors {
		if (name == library || strings.HasPrefix(name, library+"/")) && !f.test() && !slices.Contains(allowed, from) && from != "bench" {
			c.problem(i.Pos(), "%s may not import %s: its door is %q", dir, library, allowed)
		}
	}
}

// mayImport says whether code of room from may import the package to.
func mayImport(from, to string, test bool) bool {
	room := roomOf(to)
	switch allowed := rooms[from]; {
	case room == from, slices.Contains(allowed, anyRoom), slices.Contains(allowed, room):
		return true
	case slices.Contains(wings, from) && to == "internal/web/locale":
		return true
	case test && slices.Contains(testRooms, to):
		return true
	}
	return false
}

// checkCalls finds the default client of net/http and its like.
func (c *checker) checkCalls(f *source) {
	local := ""
	for _, i := range f.Imports {
		if i.Path.Value == `"net/http"` {
			local = "http"
			if i.Name != nil {
				local = i.Name.Name
			}
		}
	}
	if local == "" {
		return
	}
	ast.Inspect(f.File, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		// Obj is set when the name means something else here.
		if x, ok := sel.X.(*ast.Ident); ok && x.Name == local && x.Obj == nil && slices.Contains(clients, sel.Sel.Name) {
			c.problem(sel.Pos(), "http.%s: a caller must choose the client, the server, its limits", sel.Sel.Name)
		}
		return true
	})
}

func (c *checker) checkInit(f *source) {
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
			c.problem(fn.Pos(), "func init: what happens before main is nobody's choice")
		}
	}
}

// packageVars collects the package's variables, tests aside.
func packageVars(files []*source) map[string]*ast.ValueSpec {
	vars := make(map[string]*ast.ValueSpec)
	for _, f := range files {
		for _, d := range f.Decls {
			gen, ok := d.(*ast.GenDecl)
			if !ok || gen.Tok != token.VAR || f.test() {
				continue
			}
			for _, s := range gen.Specs {
				spec := s.(*ast.ValueSpec)
				for _, n := range spec.Names {
					vars[n.Name] = spec
				}
			}
		}
	}
	return vars
}

// checkState finds package variables that change: those that a function
// assigns to, and those that are locks.
func (c *checker) checkState(f *source, vars map[string]*ast.ValueSpec) {
	reported := make(map[string]bool)
	changed := func(e ast.Expr) {
		id := rootIdent(e)
		if id == nil || id.Name == "_" || vars[id.Name] == nil || reported[id.Name] {
			return
		}
		// Without Obj the name is of another file of the package; with one, it
		// must be the package's variable and no local of the same name.
		if id.Obj == nil || id.Obj.Decl == vars[id.Name] {
			reported[id.Name] = true
			c.problem(e.Pos(), "package variable %s holds state", id.Name)
		}
	}
	for _, d := range f.Decls {
		if gen, ok := d.(*ast.GenDecl); ok && gen.Tok == token.VAR {
			c.checkLocks(gen)
		}
	}
	ast.Inspect(f.File, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				for _, e := range n.Lhs {
					changed(e)
				}
			}
		case *ast.IncDecStmt:
			changed(n.X)
		}
		return true
	})
}

func (c *checker) checkLocks(gen *ast.GenDecl) {
	for _, s := range gen.Specs {
		spec := s.(*ast.ValueSpec)
		sel, ok := spec.Type.(*ast.SelectorExpr)
		if !ok {
			continue
		}
		pkg, _ := sel.X.(*ast.Ident)
		if pkg == nil || pkg.Name != "sync" && pkg.Name != "atomic" || sel.Sel.Name == "Pool" {
			continue
		}
		for _, n := range spec.Names {
			c.problem(n.Pos(), "package variable %s holds state", n.Name)
		}
	}
}

// rootIdent is x of x, x.y, x[i] and *x.
func rootIdent(e ast.Expr) *ast.Ident {
	switch e := e.(type) {
	case *ast.Ident:
		return e
	case *ast.SelectorExpr:
		return rootIdent(e.X)
	case *ast.IndexExpr:
		return rootIdent(e.X)
	case *ast.StarExpr:
		return rootIdent(e.X)
	case *ast.ParenExpr:
		return rootIdent(e.X)
	}
	return nil
}

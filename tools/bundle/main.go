// Command bundle builds the browser's side: TypeScript from internal/web/parts
// becomes the files in internal/web/assets/dist, which are committed, so that
// nobody needs Node or npm to build or run Watchward.
//
// It needs node_modules in internal/web (npm ci). Run it with go generate
// ./internal/web/parts, or from this folder with go run ./bundle.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/evanw/esbuild/pkg/api"
)

func main() {
	web := flag.String("web", "../internal/web", "folder that holds parts and node_modules")
	out := flag.String("out", "", "folder to write to (default WEB/assets/dist)")
	tests := flag.String("tests", "", "bundle parts/*.test.ts for Node into this folder instead")
	flag.Parse()
	if *out == "" {
		*out = filepath.Join(*web, "assets", "dist")
	}
	err := run(*web, *out, *tests)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bundle: error:", err)
		os.Exit(1)
	}
}

func run(web, out, tests string) error {
	root, err := filepath.Abs(web)
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(root, "node_modules", "age-encryption")); err != nil {
		return fmt.Errorf("find npm packages: %w (run \"npm ci\" in %s)", err, web)
	}
	if tests != "" {
		return bundleTests(root, tests)
	}
	return bundleProduct(root, out)
}

// bundleProduct builds the page's script, which is a module and finds the
// worker beside itself, the worker, and the licences of what is in them.
func bundleProduct(root, out string) error {
	parts := filepath.Join(root, "parts")
	worker, err := build(root, filepath.Join(parts, "worker.ts"), api.FormatIIFE)
	if err != nil {
		return err
	}
	app, err := build(root, filepath.Join(parts, "app.ts"), api.FormatESModule)
	if err != nil {
		return err
	}
	licences, err := licences(root)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	for name, data := range map[string][]byte{"worker.js": worker, "app.js": app, "licences.txt": licences} {
		if err := os.WriteFile(filepath.Join(out, name), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// licences puts together what the authors of the bundled packages ask to be
// passed on. Packages for development only are not in the bundle.
func licences(root string) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("The scripts in this folder contain these packages.\n")
	for _, pattern := range []string{"age-encryption", "@noble/*", "@scure/*"} {
		dirs, err := filepath.Glob(filepath.Join(root, "node_modules", pattern))
		if err != nil {
			return nil, err
		}
		for _, dir := range dirs {
			text, err := os.ReadFile(filepath.Join(dir, "LICENSE"))
			if err != nil {
				return nil, err
			}
			name, err := filepath.Rel(filepath.Join(root, "node_modules"), dir)
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(&b, "\n%s\n\n%s\n", filepath.ToSlash(name), bytes.TrimSpace(text))
		}
	}
	return b.Bytes(), nil
}

// build bundles one entry point, minified, for browsers of the last years.
func build(root, entry string, format api.Format) ([]byte, error) {
	o := api.BuildOptions{EntryPoints: []string{entry}, Format: format}
	o.AbsWorkingDir = root
	o.Outdir = "out" // names only: nothing is written
	o.Bundle = true
	o.MinifyWhitespace, o.MinifySyntax, o.MinifyIdentifiers = true, true, true
	o.Engines = []api.Engine{
		{Name: api.EngineChrome, Version: "120"},
		{Name: api.EngineFirefox, Version: "121"},
		{Name: api.EngineSafari, Version: "17"},
	}
	o.Charset = api.CharsetUTF8
	o.LegalComments = api.LegalCommentsEndOfFile
	o.LogLevel = api.LogLevelWarning
	r := api.Build(o)
	if len(r.Errors) > 0 {
		return nil, fmt.Errorf("bundle %q: %d errors", entry, len(r.Errors))
	}
	if len(r.OutputFiles) != 1 {
		return nil, fmt.Errorf("bundle %q: want one file, got %d", entry, len(r.OutputFiles))
	}
	return r.OutputFiles[0].Contents, nil
}

// bundleTests makes files that "node --test" can run.
func bundleTests(root, out string) error {
	entries, err := filepath.Glob(filepath.Join(root, "parts", "*.test.ts"))
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		return errors.New("no *.test.ts in parts")
	}
	abs, err := filepath.Abs(out)
	if err != nil {
		return err
	}
	r := api.Build(api.BuildOptions{
		AbsWorkingDir: root,
		EntryPoints:   entries,
		Outdir:        abs,
		OutExtension:  map[string]string{".js": ".mjs"},
		Bundle:        true,
		Format:        api.FormatESModule,
		Platform:      api.PlatformNode,
		Target:        api.ES2022,
		Write:         true,
		LogLevel:      api.LogLevelWarning,
	})
	if len(r.Errors) > 0 {
		return fmt.Errorf("bundle tests: %d errors", len(r.Errors))
	}
	return nil
}

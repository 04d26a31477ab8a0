package bundle

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/watchward/watchward/internal/identify"
	"github.com/watchward/watchward/internal/identify/fingerprints"
	"github.com/watchward/watchward/internal/identify/imports"
	"github.com/watchward/watchward/internal/identify/makers"
)

// Data returns what an engine should know here: the bundle in use, where its
// sections are missing what this program carries, and the operator's imports on
// top. An empty store gives what this program carries.
func (s Store) Data() (identify.Data, error) {
	b, err := s.Current()
	if err != nil {
		return identify.Data{}, err
	}
	data, err := b.Data()
	if err != nil {
		return identify.Data{}, err
	}
	data.Fingerprints, err = s.withImports(data.Fingerprints, data.Makers)
	return data, err
}

// Engine makes an engine of [Store.Data].
func (s Store) Engine() (*identify.Engine, error) {
	data, err := s.Data()
	if err != nil {
		return nil, err
	}
	return identify.New(data)
}

// Data returns the fingerprints and makers of a bundle; those that it does not
// have, and all of a nil bundle, are what this program carries.
func (b *Bundle) Data() (data identify.Data, err error) {
	load := func(name string, own func() error, from func(fs.FS) error) error {
		if b != nil {
			if section, ok := b.Section(name); ok {
				if err := from(section); err != nil {
					return fmt.Errorf("open data bundle %q: %w", b.Version, err)
				}
				return nil
			}
		}
		return own()
	}
	err = errors.Join(
		load(Fingerprints, func() (err error) { data.Fingerprints, err = fingerprints.Load(); return err },
			func(f fs.FS) (err error) { data.Fingerprints, err = fingerprints.LoadFS(f); return err }),
		load(Makers, func() (err error) { data.Makers, err = makers.Load(); return err },
			func(f fs.FS) (err error) { data.Makers, err = makers.LoadFS(f); return err }),
	)
	return data, err
}

// prefixImport is where imported prefixes are kept; fingerprints are in a file
// for each that was imported.
const prefixImport = "prefixes.csv"

// Keep stores what was imported. A file of the same name is replaced.
func (s Store) Keep(r imports.Result, name string) error {
	if len(r.Prefixes) > 0 {
		if err := s.write(filepath.Join("imports", prefixImport), fingerprints.WritePrefixes(r.Prefixes)); err != nil {
			return err
		}
	}
	if len(r.Prints) > 0 {
		file, _, _ := strings.Cut(r.Prints[0].ID, "/")
		return s.write(filepath.Join("imports", file+".txt"), fingerprints.Write("Imported from "+name+".", r.Prints))
	}
	return nil
}

// withImports adds the operator's imports. What names a maker that the graph
// has lost since is left out.
func (s Store) withImports(set *fingerprints.Set, graph *makers.Graph) (*fingerprints.Set, error) {
	lost := func(maker string) bool {
		_, ok := graph.Maker(maker)
		return !ok && maker != ""
	}
	entries, err := os.ReadDir(s.Imports())
	if errors.Is(err, fs.ErrNotExist) {
		return set, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read imports: %w", err)
	}
	for _, e := range entries {
		name, ext := strings.TrimSuffix(e.Name(), filepath.Ext(e.Name())), filepath.Ext(e.Name())
		if ext != ".txt" && e.Name() != prefixImport {
			continue
		}
		text, err := os.ReadFile(filepath.Join(s.Imports(), e.Name()))
		if err != nil {
			return nil, fmt.Errorf("read imports: %w", err)
		}
		if e.Name() == prefixImport {
			list, err := fingerprints.ParsePrefixes(e.Name(), text)
			if err != nil {
				return nil, fmt.Errorf("read imports: %w", err)
			}
			list = slices.DeleteFunc(list, func(p fingerprints.Prefix) bool { return lost(p.Maker) })
			set = set.With("imported prefixes", nil, list)
			continue
		}
		prints, err := fingerprints.Parse(name, text)
		if err != nil {
			return nil, fmt.Errorf("read imports: %w", err)
		}
		prints = slices.DeleteFunc(prints, func(f fingerprints.Fingerprint) bool { return lost(f.Maker) })
		set = set.With(name, prints, nil)
	}
	return set, nil
}

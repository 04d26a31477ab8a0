package archive

import (
	"errors"
	"io/fs"
	"strings"
	"time"
)

// days lists all day folders of the archive, in order.
func (a *Archive) days() ([]folder, error) {
	var out []folder
	sites, err := a.folders1(a.root)
	if err != nil {
		return nil, err
	}
	for _, site := range sites {
		cams, err := a.folders1(a.path(site))
		if err != nil {
			return nil, err
		}
		for _, camera := range cams {
			days, err := a.folders1(a.path(site + "/" + camera))
			if err != nil {
				return nil, err
			}
			for _, day := range days {
				if _, err := time.Parse(time.DateOnly, day); err == nil {
					out = append(out, folder{site, camera, day})
				}
			}
		}
	}
	return out, nil
}

// folders1 names the folders in a folder. One that is not there has none.
func (a *Archive) folders1(dir string) ([]string, error) {
	list, err := a.fs.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []string
	for _, e := range list {
		if e.IsDir() && nameRE.MatchString(e.Name()) {
			out = append(out, e.Name())
		}
	}
	return out, err
}

// dayFiles is what lies in a day's folder.
type dayFiles struct {
	segments []found
	gaps     []Gap
	parts    []partFile
	strange  []string // names that are not ours
}

// found is a segment as its name says it; size and times come from entry.
type found struct {
	Segment
	entry fs.DirEntry
}

func (a *Archive) read(f folder) (dayFiles, error) {
	var d dayFiles
	list, err := a.fs.ReadDir(a.path(f.path()))
	if errors.Is(err, fs.ErrNotExist) {
		return d, nil
	}
	if err != nil {
		return d, err
	}
	for _, e := range list {
		n, err := parseName(f.path() + "/" + e.Name())
		switch {
		case err != nil || !e.Type().IsRegular():
			d.strange = append(d.strange, e.Name())
		case n.segment != nil:
			d.segments = append(d.segments, found{*n.segment, e})
		case n.gap != nil:
			d.gaps = append(d.gaps, *n.gap)
		default:
			d.parts = append(d.parts, *n.part)
		}
	}
	return d, nil
}

// strangers are names in the archive's upper folders that are not ours.
func (a *Archive) strangers() ([]string, error) {
	var out []string
	look := func(rel string, ok func(fs.DirEntry) bool) error {
		list, err := a.fs.ReadDir(a.path(rel))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		for _, e := range list {
			if !ok(e) {
				out = append(out, strings.TrimPrefix(rel+"/"+e.Name(), "/"))
			}
		}
		return err
	}
	named := func(e fs.DirEntry) bool { return e.IsDir() && nameRE.MatchString(e.Name()) }
	err := look("", func(e fs.DirEntry) bool { return named(e) || e.Name() == lockName || e.Name() == probeName })
	if err != nil {
		return nil, err
	}
	sites, err := a.folders1(a.root)
	for _, site := range sites {
		if err := look(site, named); err != nil {
			return nil, err
		}
		cams, err := a.folders1(a.path(site))
		if err != nil {
			return nil, err
		}
		for _, c := range cams {
			err := look(site+"/"+c, func(e fs.DirEntry) bool {
				_, err := time.Parse(time.DateOnly, e.Name())
				return e.IsDir() && err == nil
			})
			if err != nil {
				return nil, err
			}
		}
	}
	return out, err
}

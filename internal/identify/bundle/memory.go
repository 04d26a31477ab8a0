package bundle

import (
	"bytes"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// memory is a folder of plain files held in memory: a section after it was
// checked, so that what is read is what was checked.
type memory map[string][]byte

// Open returns a file, or the folder itself as ".".
func (m memory) Open(name string) (fs.File, error) {
	if name == "." {
		return &openFolder{folder: m}, nil
	}
	content, ok := m[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &openFile{info: memoryInfo{name, int64(len(content))}, Reader: bytes.NewReader(content)}, nil
}

type openFile struct {
	info memoryInfo
	*bytes.Reader
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *openFile) Close() error               { return nil }

type openFolder struct {
	folder memory
	at     int
}

func (f *openFolder) Stat() (fs.FileInfo, error) { return memoryInfo{".", -1}, nil }
func (f *openFolder) Close() error               { return nil }
func (f *openFolder) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: ".", Err: fs.ErrInvalid}
}

// ReadDir lists the files by name.
func (f *openFolder) ReadDir(n int) ([]fs.DirEntry, error) {
	var list []fs.DirEntry
	for name, content := range f.folder {
		list = append(list, fs.FileInfoToDirEntry(memoryInfo{name, int64(len(content))}))
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	list = list[min(f.at, len(list)):]
	if n > 0 {
		if len(list) == 0 {
			return nil, io.EOF
		}
		list = list[:min(n, len(list))]
	}
	f.at += len(list)
	return list, nil
}

// memoryInfo describes a file, or the folder where its size is negative.
type memoryInfo struct {
	name string
	size int64
}

func (i memoryInfo) Name() string { return path.Base(i.name) }
func (i memoryInfo) Size() int64  { return max(i.size, 0) }
func (i memoryInfo) Mode() fs.FileMode {
	if i.IsDir() {
		return fs.ModeDir | 0o555
	}
	return 0o444
}
func (i memoryInfo) ModTime() time.Time { return time.Time{} }
func (i memoryInfo) IsDir() bool        { return i.size < 0 }
func (i memoryInfo) Sys() any           { return nil }

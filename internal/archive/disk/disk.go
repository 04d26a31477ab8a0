// Package disk is the store of package archive on a local file system: the few
// calls that the archive makes, so that a test can make any of them fail.
//
// Use [OS]. Every path is a plain file path. What the calls promise about
// durability is in their comments; nothing is durable before it was synced.
package disk

import (
	"errors"
	"io"
	"io/fs"
	"time"
)

// ErrLocked means that another process holds the lock.
var ErrLocked = errors.New("in use by another process")

// File is an open file.
type File interface {
	io.Reader
	io.Writer
	io.Seeker
	io.ReaderAt
	io.Closer
	// Sync puts the file's data on the disk.
	Sync() error
	Truncate(size int64) error
	Stat() (fs.FileInfo, error)
}

// FS is what the archive needs of a file system.
type FS interface {
	// Create makes a file that must not exist, for writing and reading.
	Create(name string) (File, error)
	// Open opens a file for reading.
	Open(name string) (File, error)
	// OpenWrite opens an existing file for reading and writing.
	OpenWrite(name string) (File, error)
	Rename(from, to string) error
	// Remove removes a file or an empty folder.
	Remove(name string) error
	// MkdirAll makes a folder and those above it, and syncs each folder in
	// which it made one: when it returns, the folder survives a power cut.
	MkdirAll(dir string) error
	// SyncDir puts a folder's names on the disk.
	SyncDir(dir string) error
	// ReadDir lists a folder, sorted by name.
	ReadDir(dir string) ([]fs.DirEntry, error)
	Stat(name string) (fs.FileInfo, error)
	// SyncFS puts everything written to the file system of dir on the disk.
	// Its error wraps [errors.ErrUnsupported] where the system has no such call.
	SyncFS(dir string) error
	// Free says how much room the file system of dir has for us, and its size, in bytes.
	Free(dir string) (free, total int64, err error)
	// Lock takes the lock named by a file, made if need be, until the result is
	// closed or the process ends. The error wraps [ErrLocked] if it is taken.
	Lock(name string) (io.Closer, error)
	// SetTime sets a file's time of last change.
	SetTime(name string, t time.Time) error
}

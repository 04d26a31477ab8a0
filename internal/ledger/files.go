package ledger

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	logDir        = "log"
	spoolDir      = "spool"
	privateDir    = "private"
	indexDir      = "index"
	cosignedDir   = "cosigned"
	lockName      = ".lock"
	publicKeyName = "ledger.vkey"
)

// files are the writes of the ledger that are not the tree's own. A test can
// make any of them fail, before or after it happened.
type files struct {
	fault func(op, name string, done bool) error
}

// do runs one write.
func (f *files) do(op, name string, write func() error) error {
	if f.fault != nil {
		if err := f.fault(op, name, false); err != nil {
			return err
		}
	}
	if err := write(); err != nil {
		return err
	}
	if f.fault != nil {
		return f.fault(op, name, true)
	}
	return nil
}

// mkdirAll makes a folder, and syncs what it lies in if it made one.
func (f *files) mkdirAll(dir string) error {
	if st, err := os.Stat(dir); err == nil && st.IsDir() {
		return nil
	}
	return f.do("mkdir", dir, func() error {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		return syncFolder(filepath.Dir(dir))
	})
}

// create makes a file that must not be there, and its name durable.
func (f *files) create(name string) (*os.File, error) {
	var file *os.File
	err := f.do("create", name, func() (err error) {
		if file, err = os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600); err != nil {
			return err
		}
		return syncFolder(filepath.Dir(name))
	})
	if err != nil && file != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, err
}

func (f *files) write(file *os.File, b []byte) error {
	return f.do("write", file.Name(), func() error {
		_, err := file.Write(b)
		return err
	})
}

func (f *files) sync(file *os.File) error {
	return f.do("sync", file.Name(), file.Sync)
}

func (f *files) remove(name string) error {
	err := f.do("remove", name, func() error { return os.Remove(name) })
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// replace puts b in a file, whole or not at all, durably.
func (f *files) replace(name string, b []byte, mode fs.FileMode) error {
	return f.do("replace", name, func() error { return replaceFile(name, b, mode) })
}

func replaceFile(name string, b []byte, mode fs.FileMode) (err error) {
	dir := filepath.Dir(name)
	tmp, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(tmp.Name())
		}
	}()
	_, err = tmp.Write(b)
	if err = errors.Join(err, tmp.Chmod(mode), tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), name); err != nil {
		return err
	}
	return syncFolder(dir)
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// readSmall reads a file that must not be larger than most bytes.
func readSmall(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("read %q: more than %d bytes", name, most)
	}
	return b, err
}

package disk

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// syncFS reports since Linux 5.8 the errors of all that was written back since
// the file system was last asked through this kind of call.
func syncFS(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	if err := unix.Syncfs(int(d.Fd())); err != nil {
		return errors.Join(&os.PathError{Op: "syncfs", Path: dir, Err: err}, d.Close())
	}
	return d.Close()
}

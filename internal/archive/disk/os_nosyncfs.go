//go:build !linux

package disk

import (
	"errors"
	"os"
)

// syncFS is Linux's alone. The archive then syncs its open files one by one.
func syncFS(dir string) error {
	return &os.PathError{Op: "syncfs", Path: dir, Err: errors.ErrUnsupported}
}

//go:build unix

package rtsp

import (
	"golang.org/x/sys/unix"
)

// dup makes a second descriptor of a socket, closed on exec, never blocking.
func dup(fd int) (int, error) {
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.SetNonblock(n, true); err != nil {
		_ = unix.Close(n)
		return -1, err
	}
	return n, nil
}

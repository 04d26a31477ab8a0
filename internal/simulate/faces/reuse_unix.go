//go:build unix

package faces

import "syscall"

// reuseAddress lets a port be bound at several addresses, one of them any.
func reuseAddress(fd uintptr) error {
	return syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
}

//go:build unix

package main

import "golang.org/x/sys/unix"

// writable asks the system whether we may write to dir, without writing.
func writable(dir string) error { return unix.Access(dir, unix.W_OK|unix.X_OK) }

//go:build !linux

package main

import "time"

// clockError is one second where the kernel does not say how its clock is.
func clockError() time.Duration { return time.Second }

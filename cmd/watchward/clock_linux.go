package main

import (
	"time"

	"golang.org/x/sys/unix"
)

// clockError is how wrong the kernel believes its clock may be. A clock that
// nobody disciplines is reported as at least one second off: its drift since
// it was set is not known to anybody.
func clockError() time.Duration {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return time.Second
	}
	most := time.Duration(t.Maxerror) * time.Microsecond
	if state == unix.TIME_ERROR || t.Status&unix.STA_UNSYNC != 0 {
		return max(most, time.Second)
	}
	return most
}

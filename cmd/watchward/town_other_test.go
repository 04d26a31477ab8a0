//go:build !linux

package main

import (
	"strconv"
	"testing"
)

func itoa(n int) string { return strconv.Itoa(n) }

func atoi(s string) int {
	n, _ := strconv.Atoi(s) // what is no number is no process
	return n
}

func searchMemory(t testing.TB, _ int, _ string) bool {
	t.Skip("reading another process's memory needs Linux")
	return false
}

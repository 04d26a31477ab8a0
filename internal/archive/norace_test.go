//go:build !race

package archive_test

// stride is 1: every call fails once.
const stride = 1

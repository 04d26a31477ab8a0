//go:build race

package archive_test

// stride thins out the walks through failing calls: the race detector makes
// each step twenty times dearer, and they hold few goroutines.
const stride = 6

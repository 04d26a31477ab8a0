//go:build !unix

package faces

func reuseAddress(uintptr) error { return nil }

//go:build goexperiment.runtimesecret

package seal

import "runtime/secret"

// secretly runs f and clears the registers, stack and heap that it used.
func secretly(f func()) { secret.Do(f) }

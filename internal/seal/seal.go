// Package seal encrypts recordings so that the machine that makes them cannot
// read them.
//
// A segment is one age file (C2SP age.md) sealed to a day key: an identity made
// for one camera and one UTC day. [DayKeys] makes it, seals it at once to the
// readers as a small age file, and keeps only its recipient. So a reader is
// added or removed by sealing small files anew, never video:
//
//	age -d -i me DAY.key.age > day
//	age -d -i day SEGMENT
//
// A recorder needs [DayKeys.Recipient] and [NewWriter]; a reader [OpenDay], then
// [Open], [OpenAt] or [Salvage]. Whoever finds a file cut short by a crash trims
// it with [HeaderSize] and [Whole], which need no identity.
//
// # Kinds
//
// Identities are hybrid (ML-KEM-768 with X25519: still closed to a quantum
// computer) or classic (X25519 alone). age mixes no two kinds in one file, so
// the readers of an archive are all of one kind.
//
// # What hurts
//
// age seals a chunk of 64 KiB only when the first byte after it arrives: see
// [Writer.Held] and [Writer.Pad]. The open chunk must never be sealed twice
// with different contents, it would be the same key and nonce.
//
// age does not say who wrote a file: anyone who knows the recipient can make one.
//
// Go cannot promise that memory is wiped: strings cannot be overwritten, stacks
// are copied as they grow, and age keeps key material of its own. The identity
// of a day is therefore made, sealed and dropped within one call, our own
// copies are overwritten, and a build with GOEXPERIMENT=runtimesecret runs that
// call in [runtime/secret], which clears registers, stack and heap after it. Without
// that, what age copied lies in freed memory until it is used again.
package seal

import (
	"errors"
	"fmt"
)

var (
	// ErrNoReaders means that nobody could open what would be sealed: there is
	// no recording without a reader.
	ErrNoReaders = errors.New("no readers")
	// ErrMixedReaders means readers of different kinds.
	ErrMixedReaders = errors.New("readers are of different kinds")
	// ErrIdentityAsReader means that somebody gave a secret where its public
	// half is wanted. The secret is in no error text.
	ErrIdentityAsReader = errors.New("this is an identity, which is secret")
	// ErrWrongIdentity means that the file was not sealed to this identity.
	ErrWrongIdentity = errors.New("wrong identity: the file was not sealed to it")
	// ErrDamaged means that the bytes are not, or no longer, what was sealed.
	ErrDamaged = errors.New("damaged")
	// ErrNotFound means that there is no key for this camera and day: never
	// made, or erased.
	ErrNotFound = errors.New("day key not found")
)

// Kind is how identities are made.
type Kind string

// The kinds.
const (
	Hybrid  Kind = "hybrid"  // post-quantum, needs age 1.3; the default
	Classic Kind = "classic" // X25519, opened by any age
)

// ParseKind reads a kind; nothing means hybrid.
func ParseKind(s string) (Kind, error) {
	switch k := Kind(s); k {
	case Hybrid, Classic:
		return k, nil
	case "":
		return Hybrid, nil
	default:
		return "", fmt.Errorf("kind %q: want %q or %q", s, Hybrid, Classic)
	}
}

// The shape of age's payload (C2SP age.md, "Payload").
const (
	chunkSize  = 64 << 10       // plain bytes of a chunk
	sealedSize = chunkSize + 16 // with its tag
	nonceSize  = 16             // between header and first chunk
)

// headerLimit is the longest header that we read. The header of a segment has
// under 2 KiB, that of a day key 2 KiB for each hybrid reader.
const headerLimit = 1 << 20

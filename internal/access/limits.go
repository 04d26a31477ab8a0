package access

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Bounds of failed logins. A pair is one account tried from one source: an
// owner who mistypes. A source alone: one who tries many accounts. An account
// alone: one who tries from many sources; wide, because it is the one by which
// an attacker can slow the owner down.
const (
	pairBurst, pairEvery       = 5, 15 * time.Second
	sourceBurst, sourceEvery   = 20, 5 * time.Second
	accountBurst, accountEvery = 60, 2 * time.Second
	limitEntries               = 4096 // of each kind; the oldest goes
)

type limits struct {
	now func() time.Time

	mu      sync.Mutex
	pair    buckets[[2]string]
	source  buckets[string]
	account buckets[string]
}

func newLimits(now func() time.Time) *limits {
	return &limits{
		now:     now,
		pair:    newBuckets[[2]string](pairBurst, pairEvery),
		source:  newBuckets[string](sourceBurst, sourceEvery),
		account: newBuckets[string](accountBurst, accountEvery),
	}
}

// take spends one attempt, or says how long to wait. An attempt refused by one
// limit costs nothing at the others.
func (l *limits) take(account, source string) (time.Duration, bool) {
	if len(account) > maxName {
		account = account[:maxName] // keys are bounded like their number
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	all := []*rate.Limiter{
		l.pair.get([2]string{account, source}, now), l.source.get(source, now), l.account.get(account, now),
	}
	for _, b := range all {
		if tokens := b.TokensAt(now); tokens < 1 {
			wait := (1 - tokens) / float64(b.Limit())
			return time.Duration(wait*float64(time.Second)) + time.Second, false
		}
	}
	for _, b := range all {
		b.AllowN(now, 1)
	}
	return 0, true
}

// forgive clears the pair after a good login.
func (l *limits) forgive(account, source string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.pair.all, [2]string{account, source})
}

// buckets holds limiters by key, a bounded number of them.
type buckets[K comparable] struct {
	burst int
	every time.Duration
	all   map[K]*bucket
}

type bucket struct {
	*rate.Limiter
	used time.Time
}

func newBuckets[K comparable](burst int, every time.Duration) buckets[K] {
	return buckets[K]{burst: burst, every: every, all: map[K]*bucket{}}
}

func (b *buckets[K]) get(key K, now time.Time) *rate.Limiter {
	e := b.all[key]
	if e == nil {
		if len(b.all) >= limitEntries {
			b.shrink(now)
		}
		e = &bucket{Limiter: rate.NewLimiter(rate.Every(b.every), b.burst)}
		b.all[key] = e
	}
	e.used = now
	return e.Limiter
}

// shrink drops what is full again anyway or, when nothing is, the longest
// unused of a few taken at random: to look at all would let an attacker keep
// us busy under the lock.
func (b *buckets[K]) shrink(now time.Time) {
	const few = 16
	var oldest K
	var when time.Time
	looked := 0
	for k, e := range b.all { // in random order
		if e.TokensAt(now) >= float64(b.burst) {
			oldest = k
			break
		}
		if when.IsZero() || e.used.Before(when) {
			oldest, when = k, e.used
		}
		if looked++; looked == few {
			break
		}
	}
	delete(b.all, oldest)
}

// source is the address limits count by: IPv6 by /64, which is one subscriber.
func source(remote string) string {
	ip, ok := address(remote)
	if !ok {
		return "unknown"
	}
	if ip.Is6() && !ip.IsLoopback() {
		if p, err := ip.WithZone("").Prefix(64); err == nil {
			return p.String()
		}
	}
	return ip.String()
}

func address(remote string) (netip.Addr, bool) {
	if ap, err := netip.ParseAddrPort(remote); err == nil {
		return ap.Addr().Unmap(), true
	}
	ip, err := netip.ParseAddr(remote)
	return ip.Unmap(), err == nil
}

func loopback(remote string) bool {
	ip, ok := address(remote)
	return ok && ip.IsLoopback()
}

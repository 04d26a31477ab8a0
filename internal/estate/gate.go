package estate

import (
	"context"
	"errors"
	"fmt"
)

// Gate says whether a rule lets a device hang at a site. Every way to adopt a
// device, or to move one that is adopted, asks it; package policy fills it.
//
// It is asked while the estate's transaction is open, so that nothing can
// change between the answer and the row: it may read the database, never write
// to it. What is not committed yet, a site made by the same import for one, it
// sees only in its arguments. A refusal wraps [ErrRefused] and says who says
// so, since when, and what would change it; any other error stops the work.
type Gate interface {
	Allow(ctx context.Context, d Device, s Site) error
}

// Errors of adoption.
var (
	// ErrRefused means that a rule forbids the device on that site.
	ErrRefused = errors.New("refused by a rule")
	// ErrNoGate means that nobody was there to ask: nothing is adopted then.
	ErrNoGate = errors.New("no rules to ask: the program gave the estate no gate")
)

// NoRules is a gate for programs that have no rules at all, such as
// benchmarks. It lets everything pass.
type NoRules struct{}

// Allow lets the device pass.
func (NoRules) Allow(context.Context, Device, Site) error { return nil }

// SetGate gives the gate to an estate that was opened before the rules were.
func (e *Estate) SetGate(g Gate) {
	e.gateMu.Lock()
	defer e.gateMu.Unlock()
	e.gate = g
}

// ask stops d from being adopted at, or moved to, s without the gate's word.
func (e *Estate) ask(ctx context.Context, d Device, s Site) error {
	e.gateMu.RLock()
	g := e.gate
	e.gateMu.RUnlock()
	if g == nil {
		return ErrNoGate
	}
	if err := g.Allow(ctx, d, s); err != nil {
		return fmt.Errorf("device %q at site %q: %w", d.Name, s.Name, err)
	}
	return nil
}

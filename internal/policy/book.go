package policy

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/watchward/watchward/internal/db"
	"github.com/watchward/watchward/internal/estate"
)

// Options configures a [Book].
type Options struct {
	DB        *db.DB         // required
	Estate    *estate.Estate // required
	Catalogue *Catalogue     // required
	// Key signs waivers: see [WaiverKey]. Required.
	Key ed25519.PrivateKey
	Now func() time.Time // nil means [time.Now]
	// MaxWaiver bounds how long a waiver may hold; 0 means [MaxWaiver].
	MaxWaiver time.Duration
}

// Book keeps what follows from verdicts: findings, waivers, decisions, the
// plan. It is safe for use by many goroutines.
type Book struct {
	db      *db.DB
	estate  *estate.Estate
	key     ed25519.PrivateKey
	now     func() time.Time
	longest time.Duration

	mu        sync.RWMutex
	catalogue *Catalogue // guarded by mu; with the decisions made here

	refreshing sync.Mutex // one at a time

	plans         sync.Mutex
	whole         *wholePlan      // guarded by plans; nil: to be made
	groups        *caseGroups     // guarded by plans; nil: to be made
	times         *timeline       // guarded by plans; nil: to be made
	estateChanged <-chan struct{} // has a value when these are out of date

	subMu sync.Mutex
	subs  map[chan struct{}]struct{}
}

// Open applies the room's schema. Whoever opens the book gives it to the
// estate as its gate: [estate.Estate.SetGate].
func Open(ctx context.Context, o Options) (*Book, error) {
	switch {
	case o.DB == nil || o.Estate == nil || o.Catalogue == nil:
		return nil, errors.New("open book of findings: want a database, an estate and a catalogue")
	case len(o.Key) != ed25519.PrivateKeySize:
		return nil, errors.New("open book of findings: want the key that signs waivers")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxWaiver == 0 {
		o.MaxWaiver = MaxWaiver
	}
	if err := o.DB.Apply(ctx, "policy", schema); err != nil {
		return nil, fmt.Errorf("open book of findings: %w", err)
	}
	b := &Book{db: o.DB, estate: o.Estate, key: o.Key, now: o.Now, longest: o.MaxWaiver, subs: map[chan struct{}]struct{}{}}
	if err := b.SetCatalogue(ctx, o.Catalogue); err != nil {
		return nil, fmt.Errorf("open book of findings: %w", err)
	}
	b.estateChanged, _ = o.Estate.Subscribe() // for as long as the estate is there
	return b, nil
}

// Catalogue is what the book judges by, with the decisions made here.
func (b *Book) Catalogue() *Catalogue {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.catalogue
}

// SetCatalogue judges by another one from now on, such as a new data bundle's.
// Call [Book.Refresh] afterwards.
func (b *Book) SetCatalogue(ctx context.Context, c *Catalogue) error {
	decisions, err := selectDecisions(ctx, pool{b.db})
	if err != nil {
		return fmt.Errorf("read decisions: %w", err)
	}
	b.mu.Lock()
	b.catalogue = c.WithDecisions(decisions)
	b.mu.Unlock()
	b.tell()
	return nil
}

// Decide records what the organisation decided of a maker whose subjection to
// a law is disputed or needs a legal view. Earlier decisions stay on record.
func (b *Book) Decide(ctx context.Context, d Decision) error {
	if err := d.check(); err != nil {
		return fmt.Errorf("decide: %w", invalid("decision", err.Error()))
	}
	c := b.Catalogue()
	if c.makers.Name(d.Maker) == "" {
		return fmt.Errorf("decide: %w", invalid("maker", fmt.Sprintf("%q is described nowhere", clipped(d.Maker))))
	}
	if _, ok := c.Restriction(d.Law); !ok || len(d.Reason) > maxText || len(d.By) > maxName {
		return fmt.Errorf("decide: %w", invalid("law", "want a law of the catalogue, a name, and a reason of at most 4000 bytes"))
	}
	err := b.db.Tx(ctx, func(tx *sql.Tx) error { return insertDecision(ctx, tx, newID(), d, b.now()) })
	if err != nil {
		return fmt.Errorf("decide: %w", err)
	}
	return b.SetCatalogue(ctx, c)
}

// Decisions returns all decisions made here, the oldest first.
func (b *Book) Decisions() []Decision { return b.Catalogue().Decisions() }

// Subscribe returns a channel that has a value whenever findings, waivers or
// decisions changed since it was last read. Call cancel when done.
func (b *Book) Subscribe() (changed <-chan struct{}, cancel func()) {
	c := make(chan struct{}, 1)
	b.subMu.Lock()
	defer b.subMu.Unlock()
	b.subs[c] = struct{}{}
	return c, sync.OnceFunc(func() {
		b.subMu.Lock()
		defer b.subMu.Unlock()
		delete(b.subs, c)
	})
}

func (b *Book) tell() {
	b.plans.Lock()
	b.whole, b.times = nil, nil
	b.plans.Unlock()
	b.subMu.Lock()
	defer b.subMu.Unlock()
	for c := range b.subs {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// CaseOf is the case of a device that hangs at a site of an organisation.
func CaseOf(d estate.Device, s estate.Site, o estate.Organisation, on time.Time) Case {
	cs := Case{
		Maker: d.Identification.Maker, Brand: d.Identification.Brand, Confidence: d.Identification.Confidence,
		BadgeOnly: d.Identification.BadgeOnly, Model: d.Identification.Model, Kind: d.Kind,
		Body: o.Body, SiteClass: s.Class, Network: d.Network, Deployed: d.Deployed, There: true, On: on,
	}
	if cs.Kind == estate.KindUnknown {
		cs.Kind = d.Identification.Kind
	}
	if d.Purpose != "" {
		cs.Purposes = []string{d.Purpose}
		if d.Purpose == "none" {
			cs.Purposes = []string{}
		}
	}
	return cs
}

// Judge returns what each clause asks of a device where it hangs, today.
func (b *Book) Judge(ctx context.Context, id estate.DeviceID) ([]Verdict, error) {
	d, err := b.estate.Device(ctx, id)
	if err != nil {
		return nil, err
	}
	var s estate.Site
	var o estate.Organisation
	if d.Site != "" {
		if s, err = b.estate.Site(ctx, d.Site); err != nil {
			return nil, err
		}
		if o, err = b.organisation(ctx, s); err != nil && !errors.Is(err, estate.ErrNotFound) {
			return nil, err
		}
	}
	return b.Catalogue().Judge(CaseOf(d, s, o, b.now())), nil
}

// organisation is whose a site is: the nearest above it that says what body it
// is.
func (b *Book) organisation(ctx context.Context, s estate.Site) (estate.Organisation, error) {
	if s.Organisation == "" {
		return estate.Organisation{}, nil
	}
	return b.bodyOf(s.Organisation, func(id string) (estate.Organisation, error) { return b.estate.Organisation(ctx, id) })
}

// bodyOf walks up to the first organisation of a known body.
func (b *Book) bodyOf(id string, get func(string) (estate.Organisation, error)) (estate.Organisation, error) {
	first, err := get(id)
	o := first
	for range maxDepth {
		if err != nil || o.Body != "" || o.Parent == "" {
			break
		}
		o, err = get(o.Parent)
	}
	if err != nil {
		return first, err
	}
	first.Body = o.Body
	return first, nil
}

package know

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/watchward/watchward/internal/estate"
)

// Network looks for devices. Package discover does the looking and package
// identify says who made what was seen; cmd puts them together.
type Network interface {
	// Addresses is how many addresses ranges have, as people type them; an
	// [estate.Invalid] names the one that cannot be read.
	Addresses(ranges []string) (int, error)
	// Scan calls found for each device that answers and told now and then, until
	// all were asked or ctx ends.
	Scan(ctx context.Context, r Request, found func(estate.Sighting), told func(Progress)) error
}

// Import reads what another program found: nmap's XML, NetBox's JSON, a table,
// an ARP cache. What it cannot read it names, and goes on; of a file that is none
// of these it says so with an [estate.Invalid].
type Import func(name string, body []byte) (seen []estate.Sighting, bad []string, err error)

// Request is a scan that a person asks for.
type Request struct {
	By     string
	Ranges []string
	Rate   int // packets a second for each range, at most
}

// Progress is how far a scan is.
type Progress struct {
	Addresses, Done, Answered int
	Sent                      map[string]int // by what; "tcp" counts attempts to connect
}

// DefaultRate is how many packets a second leave for each range unless the
// operator says otherwise; MaxRate is the most he may say.
const (
	DefaultRate = 50
	MaxRate     = 1000
)

// scans runs what was asked for, one after the other: two at once would double
// the rate on a network that both touch.
type scans struct {
	k     *Know
	queue chan estate.Scan

	mu      sync.Mutex
	running string // ID
	stop    context.CancelFunc
	now     map[string]Progress // of scans that wait or run
	waiting map[string]bool
	dropped map[string]bool // stopped before they began
}

// maxWaiting bounds the scans that wait for their turn.
const maxWaiting = 32

func newScans(k *Know) *scans {
	return &scans{k: k, queue: make(chan estate.Scan, maxWaiting), now: map[string]Progress{}, waiting: map[string]bool{}, dropped: map[string]bool{}}
}

// Run runs the scans that people ask for until ctx ends, and returns after the
// last packet. Scans that an earlier run left behind are marked as stopped.
func (k *Know) Run(ctx context.Context) error {
	if k.scans == nil {
		<-ctx.Done()
		return nil
	}
	if err := k.scans.sweep(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			k.scans.drain()
			return nil
		case s := <-k.scans.queue:
			k.scans.run(ctx, s)
		}
	}
}

// sweep marks what a stopped server left as running.
func (s *scans) sweep(ctx context.Context) error {
	all, err := s.k.o.Estate.Scans(ctx, time.Time{}, estate.MaxPage)
	if err != nil {
		return err
	}
	for _, scan := range all {
		if scan.State == estate.ScanRunning && !s.known(scan.ID) {
			scan.State, scan.Trouble = estate.ScanStopped, "the server was stopped"
			if _, err := s.k.o.Estate.UpdateScan(ctx, scan); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *scans) known(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting[id] || s.running == id
}

// drain puts on record that what still waited never began.
func (s *scans) drain() {
	for {
		select {
		case scan := <-s.queue:
			s.finish(scan, Progress{}, estate.ScanStopped, "the server was stopped")
		default:
			return
		}
	}
}

// begin puts a scan on record and in line.
func (s *scans) begin(ctx context.Context, r Request, site string) (estate.Scan, error) {
	n, err := s.k.o.Network.Addresses(r.Ranges)
	if err != nil {
		return estate.Scan{}, err
	}
	s.mu.Lock()
	full := len(s.waiting) >= maxWaiting
	s.mu.Unlock()
	if full {
		return estate.Scan{}, &estate.Invalid{Field: "ranges", Code: "scans-waiting", Value: fmt.Sprint(maxWaiting)}
	}
	scan, err := s.k.o.Estate.BeginScan(ctx, estate.Scan{By: r.By, Site: site, Ranges: r.Ranges, Rate: r.Rate})
	if err != nil {
		return scan, err
	}
	s.mu.Lock()
	s.waiting[scan.ID] = true
	s.now[scan.ID] = Progress{Addresses: n}
	s.mu.Unlock()
	s.queue <- scan
	s.k.log.Info("scan asked for", "scan", scan.ID, "ranges", strings.Join(scan.Ranges, " "), "rate", scan.Rate, "user", scan.By)
	return scan, nil
}

// Scan is a scan as people start it, for a program that waits for its end. The
// answer says how it ended. [Know.Run] must be running.
func (k *Know) Scan(ctx context.Context, r Request, site string) (estate.Scan, error) {
	changed, cancel := k.o.Estate.Subscribe()
	defer cancel()
	scan, err := k.scans.begin(ctx, r, site)
	for err == nil && scan.State == estate.ScanRunning {
		select {
		case <-ctx.Done():
			return scan, ctx.Err()
		case <-changed:
			scan, err = k.o.Estate.Scan(ctx, scan.ID)
		}
	}
	return scan, err
}

// progress is how far a scan that waits or runs is.
func (s *scans) progress(id string) (p Progress, waits, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok = s.now[id]
	return p, s.waiting[id], ok
}

// end stops a scan that waits or runs.
func (s *scans) end(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.running == id:
		s.stop()
	case s.waiting[id]:
		s.dropped[id] = true
	}
}

func (s *scans) run(ctx context.Context, scan estate.Scan) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s.mu.Lock()
	delete(s.waiting, scan.ID)
	dropped := s.dropped[scan.ID]
	delete(s.dropped, scan.ID)
	s.running, s.stop = scan.ID, stop
	s.mu.Unlock()
	if dropped {
		s.finish(scan, Progress{}, estate.ScanStopped, "")
		return
	}
	counts := map[string]int{}
	var trouble error
	err := s.k.o.Network.Scan(ctx, Request{By: scan.By, Ranges: scan.Ranges, Rate: scan.Rate}, func(seen estate.Sighting) {
		if err := s.k.propose(context.WithoutCancel(ctx), scan.ID, []estate.Sighting{seen}, counts); err != nil && trouble == nil {
			trouble = err
			stop() // what is found could not be kept
		}
	}, func(p Progress) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.now[scan.ID] = p
	})
	last, _, _ := s.progress(scan.ID)
	scan.Counts = counts
	switch {
	case trouble != nil:
		s.finish(scan, last, estate.ScanFailed, trouble.Error())
	case errors.Is(err, context.Canceled):
		s.finish(scan, last, estate.ScanStopped, "")
	case err != nil:
		s.finish(scan, last, estate.ScanFailed, err.Error())
	default:
		s.finish(scan, last, estate.ScanDone, "")
	}
}

// propose puts sightings into the estate and counts what became of them.
func (k *Know) propose(ctx context.Context, scan string, seen []estate.Sighting, counts map[string]int) error {
	outcomes, err := k.o.Estate.Propose(ctx, scan, seen)
	if err != nil {
		return err
	}
	for _, o := range outcomes {
		if o.Err != nil {
			counts["refused"]++
			continue
		}
		counts[o.What]++
	}
	return nil
}

// finish puts the end of a scan on record. It must not be lost because
// somebody stopped the scan, or the server.
func (s *scans) finish(scan estate.Scan, p Progress, state, trouble string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	scan.State, scan.Trouble = state, trouble
	counts := map[string]int{"addresses": p.Addresses, "asked": p.Done, "answered": p.Answered}
	maps.Copy(counts, scan.Counts)
	for what, n := range p.Sent {
		counts["sent-"+what] = n
	}
	scan.Counts = counts
	if _, err := s.k.o.Estate.UpdateScan(ctx, scan); err != nil {
		s.k.log.Error("record the end of a scan", "scan", scan.ID, "err", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.now, scan.ID)
	delete(s.waiting, scan.ID)
	if s.running == scan.ID {
		s.running = ""
	}
}

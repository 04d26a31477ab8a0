// Package discover finds devices on a network and gathers evidence of who made
// them. It asks, and changes nothing: no request that could is anywhere in it.
//
// Begin with [Scan] for what is at a range of addresses, [Probe] for one device
// with its own login, and [Import] for what another program found. All yield
// [Found]; package identify says what follows from its evidence.
//
// # Before it hurts
//
// Whoever scans a network that is not theirs may break a law, and whoever scans
// one too fast may stop what hangs on it. So only addresses that somebody typed
// are asked; a limit of packets a second holds for each range; a device is asked
// by few connections at once, and never for a login it was not given. What was
// sent is counted in [Record], and a test holds every byte of it against a list.
//
// Everything a device says is hostile. What one may cost is bounded in bytes and
// in time, whatever it does.
package discover

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/watchward/watchward/internal/estate"
)

// Dialer is the only way from here to the network.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
	// ListenPacket opens a UDP socket at an address; multicast leaves it by the
	// interface on, which is nil where none is sent.
	ListenPacket(ctx context.Context, address netip.Addr, on *net.Interface) (net.PacketConn, error)
	// ListenGroup hears what is said to a multicast group on an interface.
	ListenGroup(ctx context.Context, on *net.Interface, group netip.AddrPort) (net.PacketConn, error)
}

// Defaults of [Options].
const (
	DefaultRate    = 50
	DefaultTimeout = 1500 * time.Millisecond
)

// DefaultPorts are the TCP ports that a device is asked at. 80, 443 and 554 are
// the standards'; 8080 and 8554 where those are taken; 8899 and 2020 are where
// Xiongmai and TP-Link keep ONVIF. The other four belong to makers' own
// protocols (Hikvision, Dahua, Xiongmai, Reolink): nothing is sent there, that
// they are open is evidence enough.
func DefaultPorts() []int {
	return []int{80, 554, 443, 8080, 8554, 8899, 2020, 8000, 37777, 34567, 9000}
}

// quiet are ports to which nothing is sent.
func quiet(port int) bool { return slices.Contains([]int{8000, 37777, 34567, 9000}, port) }

// Options configures a [Scan].
type Options struct {
	Ranges []Range // required: what the operator typed, and nothing else is asked
	By     string  // who scans, for the record

	// Rate is how many packets or attempts to connect leave for each range in a
	// second, at most. Zero means [DefaultRate].
	Rate  int
	Ports []int // TCP; none means [DefaultPorts]. The first two are tried first
	// Timeout is how long an address may take to answer. Zero means [DefaultTimeout].
	Timeout time.Duration

	// Multicast goes out by an interface only where a range lies in its network,
	// so that routers and neighbours hear nothing. Interfaces narrows it to those
	// named; NoMulticast sends none.
	Interfaces  []string
	NoMulticast bool

	Dialer Dialer // nil means [System]
	// Neighbours returns the hardware addresses of this machine's neighbours;
	// nil means the system's table.
	Neighbours func() map[netip.Addr]string

	Source string           // of the evidence; "" means "scan"
	Resume *Record          // goes on where that scan stopped
	Record func(Record)     // told now and then how far it is, and at the end; may be nil
	Now    func() time.Time // nil means [time.Now]
}

// Found is one address that answered, or one device that an import names.
type Found struct {
	Address    netip.Addr        `json:"address,omitzero"`
	MACs       []string          `json:"macs,omitempty"`
	Hostname   string            `json:"hostname,omitempty"`
	CertSHA256 string            `json:"cert_sha256,omitempty"` // of its certificate, hexadecimal
	Evidence   []estate.Evidence `json:"evidence"`
	At         time.Time         `json:"at"`
	// Partial says why not everything was asked or kept, "" for all was.
	Partial string `json:"partial,omitempty"`
}

// Record is what a scan did, for whoever must answer for it.
type Record struct {
	By      string         `json:"by"`
	Ranges  []string       `json:"ranges"` // as typed
	Rate    int            `json:"rate"`   // packets a second for each range, at most
	Ports   []int          `json:"ports"`
	State   string         `json:"state"` // as [estate.Scan]
	Trouble string         `json:"trouble,omitempty"`
	Started time.Time      `json:"started"`
	Ended   time.Time      `json:"ended,omitzero"`
	Sent    map[string]int `json:"sent"` // by what: "tcp" counts attempts to connect, the others datagrams
	// Addresses is how many there are, Done how many were asked, Answered how many did.
	Addresses int `json:"addresses"`
	Done      int `json:"done"`
	Answered  int `json:"answered"`
	// Next is, for each range, the first address that was not asked to its end.
	Next []int `json:"next"`
}

// Scan looks for devices until every address was asked or ctx ends, and calls
// found for each that answered, one at a time. It returns after its last packet;
// the error of an ended ctx is ctx's, and [Record.Next] tells where to go on.
func Scan(ctx context.Context, o Options, found func(Found)) error {
	s, err := newScan(o, found)
	if err != nil {
		return err
	}
	return s.run(ctx)
}

var errNoRanges = errors.New("scan: want at least one range of addresses")

type scan struct {
	o      Options
	found  func(Found)
	ranges []*stretch
	ears   *ears

	mu       sync.Mutex // guards record, told and calls of found and o.Record
	record   Record
	toldAt   time.Time
	mac      map[netip.Addr]string
	macAt    time.Time
	answered map[netip.Addr]bool
	// unsent are attempts of this run that did not leave this machine, and why
	// the last did not; tried are all of them.
	tried, unsent int
	unsentWhy     error
}

func newScan(o Options, found func(Found)) (*scan, error) {
	if len(o.Ranges) == 0 {
		return nil, errNoRanges
	}
	if o.Rate <= 0 {
		o.Rate = DefaultRate
	}
	if len(o.Ports) == 0 {
		o.Ports = DefaultPorts()
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Dialer == nil {
		o.Dialer = System{}
	}
	if o.Neighbours == nil {
		o.Neighbours = neighbours
	}
	if o.Source == "" {
		o.Source = "scan"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &scan{o: o, found: found, answered: map[netip.Addr]bool{}}
	s.record = Record{By: o.By, Rate: o.Rate, Ports: o.Ports, State: estate.ScanRunning, Started: o.Now().UTC(), Sent: map[string]int{}}
	for _, r := range o.Ranges {
		s.ranges = append(s.ranges, newStretch(r, o.Rate))
		s.record.Ranges = append(s.record.Ranges, r.Text)
		s.record.Addresses += r.Len()
	}
	if o.Resume != nil {
		if err := s.resume(*o.Resume); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *scan) resume(old Record) error {
	if !slices.Equal(old.Ranges, s.record.Ranges) || len(old.Next) != len(s.ranges) {
		return errors.New("resume scan: its ranges are others")
	}
	s.record.Started, s.record.Answered = old.Started, old.Answered
	for what, n := range old.Sent {
		s.record.Sent[what] = n
	}
	for i, n := range old.Next {
		s.record.Done += s.ranges[i].skip(n)
	}
	return nil
}

// sent counts what leaves.
func (s *scan) sent(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.record.Sent[what]++
	s.tellNowAndThen()
}

// dialled counts an attempt to connect that came to nothing on this machine: it
// says nothing of whoever lives at the address.
func (s *scan) dialled(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tried++
	if stayedHere(err) {
		s.unsent++
		s.unsentWhy = err
	}
}

// stayedHere says whether an error is of this machine: it has no way to the
// address, or nothing left to go there with.
func stayedHere(err error) bool {
	for _, e := range []syscall.Errno{
		syscall.ENETUNREACH, syscall.ENETDOWN, syscall.EADDRNOTAVAIL, syscall.EPERM, syscall.EACCES,
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// UnsentError means that nothing of a scan left this machine, so that it found
// nothing out.
type UnsentError struct{ cause error }

func (e *UnsentError) Error() string {
	return "scan: nothing could be asked: " + e.cause.Error()
}

func (e *UnsentError) Unwrap() error { return e.cause }

// Hint names the way out.
func (e *UnsentError) Hint() string {
	return "see whether the network is up and a route leads to these addresses"
}

// unsentTrouble says in the record how much was never asked; where nothing was,
// the scan has failed.
func (s *scan) unsentTrouble() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unsent == 0 {
		return nil
	}
	if s.unsent == s.tried && s.record.Answered == 0 {
		return &UnsentError{s.unsentWhy}
	}
	s.record.Trouble = fmt.Sprintf("%d of %d attempts to connect could not leave this machine, so nothing is known of what they asked: %s", s.unsent, s.tried, s.unsentWhy)
	return nil
}

// finished marks an address as asked to its end and tells what it showed.
func (s *scan) finished(r *stretch, i int, f *Found) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.finish(i)
	s.record.Done++
	if f != nil && !s.answered[f.Address] {
		s.answered[f.Address] = true
		s.record.Answered++
		s.found(*f)
	}
	s.tellNowAndThen()
}

// tellNowAndThen tells if that was a while ago; the caller holds mu.
func (s *scan) tellNowAndThen() {
	if now := s.o.Now(); now.Sub(s.toldAt) >= 200*time.Millisecond {
		s.toldAt = now
		s.tell()
	}
}

// begin puts on record what is about to be done, before it is.
func (s *scan) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.toldAt = s.o.Now()
	s.tell()
}

// tell hands out a copy of the record; the caller holds mu.
func (s *scan) tell() {
	if s.o.Record == nil {
		return
	}
	r := s.record
	r.Sent = map[string]int{}
	for k, v := range s.record.Sent {
		r.Sent[k] = v
	}
	r.Next = nil
	for _, st := range s.ranges {
		r.Next = append(r.Next, st.next)
	}
	s.o.Record(r)
}

func (s *scan) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.record.Ended, s.record.State = s.o.Now().UTC(), estate.ScanDone
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		s.record.State = estate.ScanStopped
	case err != nil:
		s.record.State, s.record.Trouble = estate.ScanFailed, err.Error()
	}
	s.tell()
}

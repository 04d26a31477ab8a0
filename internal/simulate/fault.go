package simulate

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

// FaultKind names a way to misbehave.
type FaultKind string

// What cameras can do wrong. Amount is explained where it has a meaning.
const (
	Drop           FaultKind = "drop"            // close every connection at once; For is not used
	Stall          FaultKind = "stall"           // keep the connection, send nothing; what was due is not sent later
	RefusePassword FaultKind = "refuse-password" // answer every request 401, and hang up on those who play
	Resolution     FaultKind = "resolution"      // send the other stream's pictures in mid-session, from its next keyframe on
	TimeJump       FaultKind = "time-jump"       // add Amount seconds (default 3600) to video and audio timestamps
	Loss           FaultKind = "loss"            // leave out Amount percent of packets (default 5), over TCP too
	CorruptNAL     FaultKind = "corrupt-nal"     // spoil Amount percent of video frames (default 20): random bytes, bad fragments
	NoKeyframe     FaultKind = "no-keyframe"     // leave out every keyframe
	Reboot         FaultKind = "reboot"          // close connections and the listener; be gone for For (default 5 s)
)

var faultKinds = []FaultKind{Drop, Stall, RefusePassword, Resolution, TimeJump, Loss, CorruptNAL, NoKeyframe, Reboot}

// Fault is one way to misbehave, for some time.
type Fault struct {
	Kind   FaultKind
	For    time.Duration // zero means until cleared
	Amount float64       // zero means the kind's default
}

// Check refuses what makes no sense.
func (f Fault) Check() error {
	_, err := f.check()
	return err
}

// check refuses what makes no sense and fills in defaults.
func (f Fault) check() (Fault, error) {
	if !slices.Contains(faultKinds, f.Kind) {
		names := make([]string, len(faultKinds))
		for i, k := range faultKinds {
			names[i] = string(k)
		}
		return f, fmt.Errorf("fault %q: want one of %s", f.Kind, strings.Join(names, ", "))
	}
	if f.For < 0 {
		return f, fmt.Errorf("fault duration %v: want 0 or more", f.For)
	}
	if f.Amount == 0 {
		f.Amount = map[FaultKind]float64{TimeJump: 3600, Loss: 5, CorruptNAL: 20}[f.Kind]
	}
	if (f.Kind == Loss || f.Kind == CorruptNAL) && (f.Amount < 0 || f.Amount > 100) {
		return f, fmt.Errorf("amount %v of fault %q: want 0 to 100 percent", f.Amount, f.Kind)
	}
	if f.Kind == TimeJump && (f.Amount < -1e6 || f.Amount > 1e6) {
		return f, fmt.Errorf("amount %v of fault %q: want seconds up to a million", f.Amount, f.Kind)
	}
	if f.Kind == Reboot && f.For == 0 {
		f.For = 5 * time.Second
	}
	return f, nil
}

// faultSet is what is wrong with a camera just now.
type faultSet struct {
	mu     sync.Mutex
	active map[FaultKind]activeFault
}

type activeFault struct {
	Fault
	until time.Time // zero: until cleared
}

func (s *faultSet) set(f Fault, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.active == nil {
		s.active = map[FaultKind]activeFault{}
	}
	a := activeFault{Fault: f}
	if f.For > 0 {
		a.until = now.Add(f.For)
	}
	s.active[f.Kind] = a
}

func (s *faultSet) clear(kinds []FaultKind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(kinds) == 0 {
		clear(s.active)
	}
	for _, k := range kinds {
		delete(s.active, k)
	}
}

// get returns the fault of one kind if it is on.
func (s *faultSet) get(k FaultKind, now time.Time) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.active[k]
	if ok && !a.until.IsZero() && now.After(a.until) {
		delete(s.active, k)
		return Fault{}, false
	}
	return a.Fault, ok
}

func (s *faultSet) on(k FaultKind, now time.Time) bool {
	_, ok := s.get(k, now)
	return ok
}

// any reports whether the sending of frames has to look at faults at all.
func (s *faultSet) any() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.active) > 0
}

// list returns what is on, by kind.
func (s *faultSet) list(now time.Time) []Fault {
	var out []Fault
	for _, k := range faultKinds {
		if f, ok := s.get(k, now); ok {
			out = append(out, f)
		}
	}
	return out
}

// spoil damages the RTP payloads of one frame, which it owns, in a way picked
// at random. Headers and lengths stay right: what is wrong is for a
// depacketizer or a decoder to find.
func spoil(buf []byte, h265 bool) {
	var packets [][]byte
	for rest := buf; len(rest) >= frameHeader+rtpHeader; {
		n := frameHeader + int(rest[2])<<8 + int(rest[3])
		packets = append(packets, rest[frameHeader+rtpHeader:n])
		rest = rest[n:]
	}
	if len(packets) == 0 {
		return
	}
	p := packets[rand.IntN(len(packets))]
	switch rand.IntN(4) {
	case 0: // random bytes in the coded picture
		for i := min(4, len(p)); i < len(p); i++ {
			p[i] = byte(rand.Uint32())
		}
	case 1: // a reserved NAL unit type
		if h265 {
			p[0] = 63 << 1
		} else {
			p[0] = p[0]&0xe0 | 31
		}
	case 2: // fragments that begin twice, or never end
		for _, p := range packets {
			if len(p) < 3 {
				continue
			}
			if h265 && p[0]>>1&0x3f == 49 {
				p[2] = p[2]&0x3f | 0x80
			} else if !h265 && p[0]&0x1f == 28 {
				p[1] = p[1]&0x3f | 0x80
			}
		}
	case 3: // an aggregation whose lengths lie
		if h265 {
			p[0] = 48 << 1
		} else {
			p[0] = p[0]&0xe0 | 24
		}
		for i := 1; i < min(6, len(p)); i++ {
			p[i] = 0xff
		}
	}
}

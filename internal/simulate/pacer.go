package simulate

import (
	"container/heap"
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/watchward/watchward/internal/media"
)

const reportEvery = 5 * time.Second

// feed sends one track to one viewer. Once the pacer has it, only the pacer
// touches it, except for closed.
type feed struct {
	k      *conn
	source *source
	track  int
	rtp    rtpStream
	udp    *udpPair // nil: interleaved

	plan    *plan // what is sent: the source's, or another's while Resolution is on
	loop    int64 // how many times the plan has been through
	next    int   // the frame due next
	due     time.Time
	report  time.Time // when the next sender report is due
	waitKey bool      // frames were thrown away: go on with a keyframe

	mu     sync.Mutex
	closed bool
}

// udpPair is a track's two ports and where they send to.
type udpPair struct {
	port          int
	rtp, rtcp     *net.UDPConn
	rtpTo, rtcpTo netip.AddrPort
}

func newFeed(k *conn, s *source, track int) *feed {
	f := &feed{k: k, source: s, track: track, plan: s.plans()[track]}
	f.rtp = rtpStream{payload: payloadType(f.plan.format, track), seq: uint16(rand.Uint32()), ssrc: rand.Uint32(), base: rand.Uint32()}
	return f
}

// close ends the feed; nil is fine.
func (f *feed) close() {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed && f.udp != nil {
		f.udp.rtp.Close()
		f.udp.rtcp.Close()
	}
	f.closed = true
}

// seek goes to the first keyframe from now on and returns its RTP timestamp.
func (f *feed) seek(now time.Time) uint32 {
	p := f.plan
	ticks := scale(int64(now.Sub(f.k.cam.epoch)), p.clock, int64(time.Second))
	f.loop = ticks / p.dur
	at := ticks % p.dur
	f.next = slices.IndexFunc(p.frames, func(fr frame) bool { return fr.key && fr.dts >= at })
	if f.next < 0 {
		f.next = 0
		f.loop++
	}
	f.due = f.time(f.next)
	return f.timestamp()
}

// ticks is a time of the current loop as units of the clock since the epoch.
func (f *feed) ticks(at int64) int64 { return f.loop*f.plan.dur + at }

// time is when a frame is to be sent.
func (f *feed) time(frame int) time.Time {
	t := f.ticks(f.plan.frames[frame].dts)
	return f.k.cam.epoch.Add(time.Duration(scale(t, int64(time.Second), f.plan.clock)))
}

// timestamp is the RTP timestamp of the next frame.
func (f *feed) timestamp() uint32 {
	return f.rtp.base + uint32(f.ticks(f.plan.frames[f.next].pts))
}

// advance goes to the next frame.
func (f *feed) advance() {
	if f.next++; f.next == len(f.plan.frames) {
		f.next = 0
		f.loop++
	}
	f.due = f.time(f.next)
}

// pacer sends every frame of the town at its time, from one goroutine: a timer
// a frame, a write a frame, and nothing while nobody looks.
type pacer struct {
	mu    sync.Mutex
	added []*feed
	wake  chan struct{}

	feeds   feedHeap // owned by run
	scratch []byte   // the frame being sent
	ones    []byte   // for filler
}

func newPacer() *pacer { return &pacer{wake: make(chan struct{}, 1)} }

func (p *pacer) add(f *feed) {
	p.mu.Lock()
	p.added = append(p.added, f)
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *pacer) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		p.mu.Lock()
		for _, f := range p.added {
			heap.Push(&p.feeds, f)
		}
		p.added = p.added[:0]
		p.mu.Unlock()
		wait := time.Hour
		for len(p.feeds) > 0 {
			f := p.feeds[0]
			now := time.Now()
			if wait = f.due.Sub(now); wait > 500*time.Microsecond {
				break
			}
			if !p.step(f, now) {
				heap.Pop(&p.feeds)
				f.close()
				continue
			}
			heap.Fix(&p.feeds, 0)
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		case <-timer.C:
		}
	}
}

// step sends the frame that is due and finds the next. It reports false when
// the feed has come to its end.
func (p *pacer) step(f *feed, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || f.k.gone.Load() {
		return false
	}
	cam := f.k.cam
	if now.Sub(f.due) > 5*time.Second { // the machine slept
		f.seek(now)
		return true
	}
	if now.Sub(time.Unix(0, f.k.heard.Load())) > cam.timeout+cam.timeout/4 {
		cam.log.Info("camera ends a session nobody kept alive", "remote", f.k.nc.RemoteAddr())
		f.k.hangUp()
		return false
	}
	p.send(f, now)
	f.advance()
	f.change(now)
	return true
}

// send builds the frame's packets and hands them to the connection.
func (p *pacer) send(f *feed, now time.Time) {
	fr := &f.plan.frames[f.next]
	video := f.plan.format.Codec.Video()
	faults := &f.k.cam.faults
	faulty := faults.any()
	count := &f.k.count
	if faulty && (faults.on(Stall, now) || video && fr.key && faults.on(NoKeyframe, now)) {
		if video {
			count.leftOut.Add(1)
		}
		return
	}
	if f.waitKey && !fr.key || video && !f.waitKey && f.udp == nil && f.k.out.backlog() > maxBacklog-1<<20 {
		f.waitKey = true
		count.discarded.Add(1)
		return
	}
	f.waitKey = false
	ts := f.timestamp()
	if faulty {
		if j, on := faults.get(TimeJump, now); on {
			ts += uint32(int64(j.Amount * float64(f.plan.clock)))
		}
	}
	// A report first: who has one at hand before the first picture can tell at
	// once when it was taken.
	buf := p.scratch[:0]
	if now.After(f.report) {
		f.report = now.Add(reportEvery)
		buf = f.rtp.senderReport(buf, now, f.clockAt(now)+ts-f.timestamp())
	}
	head := len(buf)
	buf = append(buf, fr.buf...)
	if fr.filler > 0 {
		buf = appendFiller(buf, fr.filler, f.plan.format.Codec == media.H265, head+lastPacket(buf[head:]), &p.ones)
	}
	f.rtp.stamp(buf[head:], ts)
	p.scratch = buf
	if faulty {
		buf = buf[:head+len(f.damage(buf[head:], now))]
	}
	if !f.deliver(buf, head) {
		if video {
			f.waitKey = true
			count.discarded.Add(1)
		}
		return
	}
	count.bytes.Add(uint64(len(buf)))
	if video {
		count.first.CompareAndSwap(0, now.UnixNano())
		count.frames.Add(1)
		count.last.Store(now.UnixNano())
	}
}

// clockAt is the RTP time of a moment.
func (f *feed) clockAt(now time.Time) uint32 {
	return f.rtp.base + uint32(scale(int64(now.Sub(f.k.cam.epoch)), f.plan.clock, int64(time.Second)))
}

// damage applies the faults that change a frame's packets.
func (f *feed) damage(buf []byte, now time.Time) []byte {
	faults := &f.k.cam.faults
	hurt := false
	if j, on := faults.get(CorruptNAL, now); on && f.plan.format.Codec.Video() && rand.Float64()*100 < j.Amount {
		spoil(buf, f.plan.format.Codec == media.H265)
		hurt = true
	}
	if j, on := faults.get(Loss, now); on {
		kept := buf[:0]
		for rest := buf; len(rest) > 0; {
			n := frameHeader + int(rest[2])<<8 + int(rest[3])
			if rand.Float64()*100 >= j.Amount {
				kept = append(kept, rest[:n]...)
			} else {
				hurt = true
			}
			rest = rest[n:]
		}
		buf = kept
	}
	if hurt && f.plan.format.Codec.Video() {
		f.k.count.leftOut.Add(1)
	}
	return buf
}

// change follows the Resolution fault at keyframes: to the pictures of the
// other stream and back. Parameter sets come in band before every keyframe.
func (f *feed) change(now time.Time) {
	if !f.plan.format.Codec.Video() {
		return
	}
	want := f.source.video
	if f.k.cam.faults.on(Resolution, now) {
		if o := f.k.cam.other(f.source); o != nil {
			want = o.video
		}
	}
	if f.plan == want {
		return
	}
	plan, loop, next, due := f.plan, f.loop, f.next, f.due
	f.plan = want
	f.seek(due)
	if plan.frames[next].key || f.due.Before(due.Add(20*time.Millisecond)) {
		return
	}
	// The other stream's keyframe is still to come: go on with this one until then.
	f.plan, f.loop, f.next, f.due = plan, loop, next, due
}

// deliver sends a report, up to head, and packets over the feed's transport.
func (f *feed) deliver(buf []byte, head int) bool {
	if len(buf) == 0 {
		return true
	}
	if f.udp == nil {
		return f.k.out.send(buf)
	}
	for at := 0; at < len(buf); {
		n := int(buf[at+2])<<8 + int(buf[at+3])
		packet := buf[at+frameHeader : at+frameHeader+n]
		// A viewer whose port is shut is not our trouble: that is UDP.
		if at < head {
			_, _ = f.udp.rtcp.WriteToUDPAddrPort(packet, f.udp.rtcpTo)
		} else {
			_, _ = f.udp.rtp.WriteToUDPAddrPort(packet, f.udp.rtpTo)
		}
		at += frameHeader + n
	}
	return true
}

// lastPacket is where the last packet in buf begins.
func lastPacket(buf []byte) int {
	for at := 0; ; {
		n := at + frameHeader + int(buf[at+2])<<8 + int(buf[at+3])
		if n >= len(buf) {
			return at
		}
		at = n
	}
}

// feedHeap orders feeds by what is due first.
type feedHeap []*feed

func (h feedHeap) Len() int           { return len(h) }
func (h feedHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h feedHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *feedHeap) Push(x any)        { *h = append(*h, x.(*feed)) }
func (h *feedHeap) Pop() any {
	old := *h
	f := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return f
}

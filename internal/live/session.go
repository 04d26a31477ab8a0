package live

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"

	"github.com/watchward/watchward/internal/media"
)

const (
	// sendRate paces what a viewer is sent, in bytes a second: a keyframe at
	// once would overflow the buffers on its way.
	sendRate  = 8 << 20
	sendBurst = 48 << 10 // bytes that may go at once

	// resendPause is the least time between two groups of pictures sent anew.
	resendPause = 2 * time.Second
	// soonKeyframe is how near the next keyframe must be to wait for it instead.
	soonKeyframe = 400 * time.Millisecond
	// takeLimit is what one turn takes from the queue, in bytes, so that a
	// resend or the end is noticed soon.
	takeLimit = 256 << 10
)

// session is one viewer by WebRTC. Its fields belong to run's goroutine unless
// the comment says otherwise.
type session struct {
	v           *viewer
	patience    patience
	st          *media.Stream
	pc          *webrtc.PeerConnection
	senders     []*webrtc.RTPSender
	video       *outTrack
	audio       *outTrack // nil: no sound
	audioFormat *media.Format

	connected chan struct{} // closed when secured packets can flow
	once      sync.Once     // closes connected

	loss   lossMeter     // belongs to the goroutine that listens for the video track
	thin   atomic.Bool   // the network loses too much: send keyframes only
	lost   atomic.Bool   // the viewer asks for a keyframe
	asking chan struct{} // has one element when lost was set

	pack     packer
	pace     pacer
	pictures rtpClock
	sound    rtpClock
	batch    []item
	thinning bool // no picture until the next keyframe

	lastKey  time.Time     // when the last keyframe was sent
	interval time.Duration // between the last two
	resent   time.Time
}

// state is called by package webrtc whenever the connection changes.
func (s *session) state(state webrtc.PeerConnectionState) {
	switch state {
	case webrtc.PeerConnectionStateConnected:
		s.once.Do(func() { close(s.connected) })
	case webrtc.PeerConnectionStateFailed, webrtc.PeerConnectionStateClosed:
		s.v.end(errLost)
	}
}

// run serves the viewer until he or the server ends it. Nothing of the session
// is left when it returns.
func (s *session) run() {
	s.asking = make(chan struct{}, 1)
	var listening sync.WaitGroup
	defer func() {
		_ = s.pc.GracefulClose() // nobody is left to tell
		listening.Wait()
	}()
	for i, sender := range s.senders {
		listening.Go(func() { s.listen(sender, i == 0) })
	}
	timeout := time.NewTimer(s.patience.connect)
	defer timeout.Stop()
	select {
	case <-s.v.ctx.Done():
		return
	case <-timeout.C:
		s.v.end(errNeverCame)
		return
	case <-s.connected:
	}
	s.pictures = newRTPClock(int(s.video.codec.ClockRate))
	if s.audio != nil {
		s.sound = newRTPClock(int(s.audio.codec.ClockRate))
	}
	if err := s.send(); err != nil {
		s.v.end(err)
	}
}

// send forwards samples until the viewer ends or the stream becomes something
// that WebRTC does not carry.
func (s *session) send() error {
	q := watch(s.st, &s.v.skipped)
	defer func() { q.close() }()
	for {
		select {
		case <-s.v.ctx.Done():
			return context.Cause(s.v.ctx)
		case <-s.asking:
			if s.lost.Swap(false) && s.worthResending() {
				// What waits in the old queue lies also in the new one, after
				// the keyframe it belongs to.
				q.close()
				q = watch(s.st, &s.v.skipped)
				s.resent = time.Now()
				s.v.resent.Add(1)
			}
			continue
		case <-q.wake:
		}
		s.batch = q.take(s.batch[:0], takeLimit)
		err := s.forward(s.batch)
		release(s.batch)
		if err != nil {
			return err
		}
	}
}

// worthResending reports whether a viewer who lost the picture gets it back
// sooner by the last keyframe than by the next.
func (s *session) worthResending() bool {
	now := time.Now()
	if now.Sub(s.resent) < resendPause {
		return false
	}
	return s.interval == 0 || s.lastKey.Add(s.interval).Sub(now) > soonKeyframe
}

func (s *session) forward(items []item) error {
	n := slices.IndexFunc(items, func(it item) bool { return !it.cached })
	if n < 0 {
		n = len(items)
	}
	if n > 0 {
		if err := s.forwardPast(items[:n]); err != nil {
			return err
		}
	}
	for _, it := range items[n:] {
		now := time.Now()
		switch {
		case it.sample == nil:
			s.pictures.adrift, s.sound.adrift = true, true
			s.interval = 0
		case it.sample.Format.Codec.Video():
			if it.sample.Format.Codec != media.H264 {
				return errChanged
			}
			if s.thinned(it.sample) {
				s.v.skipped.Add(1)
				continue
			}
			if err := s.picture(it.sample, s.pictures.live(it.sample.PTS, now)); err != nil {
				return err
			}
		case s.audio != nil && sameSound(it.sample.Format, s.audioFormat):
			if err := s.hear(it.sample, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// thinned reports whether to leave a sample out. Who has begun to leave out goes
// on to the next keyframe.
func (s *session) thinned(sample *media.Sample) bool {
	if sample.Keyframe {
		s.thinning = s.thin.Load()
		return false
	}
	s.thinning = s.thinning || s.thin.Load()
	return s.thinning
}

func sameSound(f, g *media.Format) bool {
	return f == g || f.Codec == g.Codec && f.ClockRate == g.ClockRate && f.Channels == g.Channels
}

// forwardPast sends the samples that were at hand, as close together as they can
// go, so that the viewer is in the present when the last is there.
func (s *session) forwardPast(items []item) error {
	steps := make([]int64, len(items))
	for i, it := range items {
		if it.sample.Format.Codec != media.H264 {
			return errChanged
		}
		steps[i] = max(int64(len(it.sample.Data))*s.pictures.rate/sendRate, s.pictures.tick())
	}
	stamps := s.pictures.burst(items[len(items)-1].sample.PTS, steps, time.Now())
	for i, it := range items {
		if err := s.picture(it.sample, stamps[i]); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) picture(sample *media.Sample, stamp uint32) error {
	if now := time.Now(); sample.Keyframe {
		if !s.lastKey.IsZero() && now.Sub(s.resent) > resendPause {
			s.interval = now.Sub(s.lastKey)
		}
		s.lastKey = now
	}
	err := s.pack.pack(sample, func(payload []byte, last bool) error {
		if err := s.pace.wait(s.v.ctx, len(payload)); err != nil {
			return err
		}
		return s.video.write(payload, stamp, last)
	})
	if err == nil {
		s.v.count(sample)
	}
	return err
}

// hear sends sound as it is: an Opus packet in one piece, G.711 in pieces of at
// most 100 ms.
func (s *session) hear(sample *media.Sample, now time.Time) error {
	stamp, data := s.sound.live(sample.PTS, now), sample.Data
	if sample.Format.Codec == media.Opus {
		if len(data) > payloadSize {
			return nil // no Opus packet is that long, RFC 6716, 3.2.1
		}
		s.v.count(sample)
		return s.audio.write(data, stamp, false)
	}
	for piece := range slices.Chunk(data, 800) {
		if err := s.audio.write(piece, stamp, false); err != nil {
			return err
		}
		stamp += uint32(len(piece))
	}
	s.v.count(sample)
	return nil
}

// listen reads what the viewer reports of one track until the connection closes.
func (s *session) listen(sender *webrtc.RTPSender, video bool) {
	for {
		packets, _, err := sender.ReadRTCP()
		if err != nil {
			return
		}
		if !video {
			continue
		}
		for _, p := range packets {
			switch p := p.(type) {
			case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
				s.lost.Store(true)
				select {
				case s.asking <- struct{}{}:
				default:
				}
			case *rtcp.ReceiverReport:
				for _, r := range p.Reports {
					s.v.loss.Store(uint32(r.FractionLost))
					s.thin.Store(s.loss.tooMuch(r.FractionLost))
				}
			}
		}
	}
}

// lossMeter tells from receiver reports (RFC 3550, 6.4.1) when a network loses
// more than resending makes good, with some patience either way.
type lossMeter struct {
	much bool
	runs int // reports in a row that say otherwise
}

// tooMuch takes the share lost since the last report, of 256.
func (m *lossMeter) tooMuch(share uint8) bool {
	const worse, better = 64, 13 // a quarter; a twentieth
	switch {
	case !m.much && share > worse, m.much && share < better:
		m.runs++
	default:
		m.runs = 0
	}
	if m.runs == 3 {
		m.much, m.runs = !m.much, 0
	}
	return m.much
}

// pacer lets bytes through at sendRate with bursts up to sendBurst.
type pacer struct {
	budget float64
	last   time.Time
}

func (p *pacer) wait(ctx context.Context, n int) error {
	now := time.Now()
	p.budget = min(p.budget+now.Sub(p.last).Seconds()*sendRate, sendBurst)
	p.last = now
	if p.budget -= float64(n); p.budget >= 0 {
		return nil
	}
	// Sleep a little longer than needed and make up for it in bytes: timers
	// are too coarse for single packets.
	need := time.Duration((-p.budget + sendBurst/4) / sendRate * float64(time.Second))
	t := time.NewTimer(need)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

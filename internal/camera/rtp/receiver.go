package rtp

import (
	"time"

	"github.com/watchward/watchward/internal/media"
)

// Stats are counts since the receiver was made.
type Stats struct {
	Pictures uint64 // published
	Dropped  uint64 // pictures given up: damaged, or depending on what was lost
	Lost     uint64 // packets missing
	Bytes    uint64 // of RTP, both tracks
	Bad      uint64 // packets that could not be read
}

// Receiver makes samples of the packets of one session: at most one video and
// one audio track. It belongs to one goroutine.
type Receiver struct {
	sink  Sink
	video *track
	audio *track
	line  timeline
	stats Stats

	offset   time.Duration // camera's clock minus ours
	goodbye  time.Time     // when the camera said BYE
	lastData time.Time
	lastSeen time.Time // of video
	packet   packet
}

// track is one track of a receiver.
type track struct {
	source
	config Config
	depacketizer
	sr senderReport
}

// depacketizer makes samples of one track's payloads.
type depacketizer interface {
	// push takes the next packet. Its payload is valid during the call only.
	push(p *packet, now time.Time)
	// lose drops what is open: packets are missing.
	lose(reason media.Reason, now time.Time)
	// close lets go of all memory.
	close()
}

// NewReceiver makes a receiver; audio may be nil.
func NewReceiver(video, audio *Config, sink Sink) *Receiver {
	r := &Receiver{sink: sink}
	if video != nil {
		r.line.learnt = video.Reordered
		r.video = &track{config: *video, source: source{kind: video.PayloadType}}
		if video.Codec == media.MJPEG {
			r.video.depacketizer = newJPEG(r, *video)
		} else {
			r.video.depacketizer = newPictures(r, *video)
		}
	}
	if audio != nil {
		r.audio = &track{config: *audio, source: source{kind: audio.PayloadType}}
		r.audio.depacketizer = newSound(r, *audio)
	}
	return r
}

func (r *Receiver) track(i int) *track {
	switch i {
	case 0:
		return r.video
	case 1:
		return r.audio
	}
	return nil
}

// RTP takes one packet of track 0 (video) or 1 (audio) that arrived at now. The
// packet is not kept.
func (r *Receiver) RTP(i int, b []byte, now time.Time) {
	t := r.track(i)
	if t == nil {
		return
	}
	r.stats.Bytes += uint64(len(b))
	p := &r.packet
	if err := p.parse(b); err != nil {
		r.stats.Bad++
		return
	}
	v, missing := t.accept(p)
	switch v {
	case drop:
		return
	case gap:
		r.stats.Lost += uint64(missing)
		t.lose(media.PacketLoss, now)
	case restart:
		t.lose(media.TimeJump, now)
	}
	r.lastData = now
	if t == r.video {
		r.lastSeen = now
	}
	t.push(p, now)
}

// Stats returns the counts so far.
func (r *Receiver) Stats() Stats { return r.stats }

// LastVideo is when the last video packet came, whether or not a picture could be
// made of it.
func (r *Receiver) LastVideo() time.Time { return r.lastSeen }

// Unreadable reports whether pictures come whose parameter sets are missing or
// make no sense.
func (r *Receiver) Unreadable() bool {
	v, ok := r.video.depacketizer.(*pictures)
	return ok && (v.broken || v.inspected > 0 && v.format == nil)
}

// Reordered reports whether pictures come in another order than they are shown
// in though nothing says so; see [Config].
func (r *Receiver) Reordered() bool { return r.line.learnt }

// Formats returns the tracks of which something came; nil where nothing did, or
// nothing that tells.
func (r *Receiver) Formats() (video, audio *media.Format) {
	if r.video != nil {
		switch d := r.video.depacketizer.(type) {
		case *pictures:
			video = d.format
		case *jpeg:
			video = d.format
		}
	}
	if r.audio != nil && r.audio.received > 0 { // some cameras offer sound and send none
		audio = r.audio.depacketizer.(*sound).format
	}
	return video, audio
}

// ClockOffset is the camera's clock minus ours by its last sender report; 0
// while unknown.
func (r *Receiver) ClockOffset() time.Duration { return r.offset }

// Ended reports whether the camera said goodbye and has been silent since. A
// goodbye alone is not believed: some cameras say it of a track they go on with.
func (r *Receiver) Ended(now time.Time) bool {
	return !r.goodbye.IsZero() && now.Sub(r.goodbye) > 2*time.Second && !r.lastData.After(r.goodbye)
}

// Close lets go of the samples that are not whole.
func (r *Receiver) Close() {
	for i := range 2 {
		if t := r.track(i); t != nil {
			t.close()
		}
	}
}

// output publishes the pictures of a receiver and keeps the rule that a run
// begins with a keyframe.
type output struct {
	r       *Receiver
	arena   media.Arena
	running bool      // a picture was published since the last break
	waiting bool      // for a keyframe
	jumped  bool      // time stepped: the next keyframe begins a run
	last    time.Time // when the last picture published was received
}

// lost gives up everything until the next keyframe.
func (o *output) lost(reason media.Reason, now time.Time) {
	o.arena.Truncate(0)
	if o.running {
		o.r.sink.Break(reason, now)
	}
	o.running, o.waiting, o.jumped = false, true, false
	o.r.line.endRun()
}

// publish stamps the open sample and hands it over.
func (o *output) publish(f *media.Format, key bool, timestamp uint32, now time.Time) {
	if o.waiting && !key {
		o.arena.Truncate(0)
		o.r.stats.Dropped++
		return
	}
	if key && o.jumped && o.running {
		o.r.sink.Break(media.TimeJump, o.last)
		o.r.line.endRun()
		o.jumped = false
	}
	pts, dts, step := o.r.line.stamp(timestamp, now)
	switch step {
	case stepped:
		o.jumped = true
	case reordered:
		// B-frames that nobody announced: what was published has decoding times
		// that leave no room for them. Once in the life of a session.
		o.lost(media.TimeJump, now)
		o.r.stats.Dropped++
		return
	}
	s := o.arena.Take()
	s.Track, s.Format, s.Keyframe = 0, f, key
	s.PTS, s.DTS, s.Received = pts, dts, now
	o.waiting, o.running, o.last = false, true, now
	o.r.stats.Pictures++
	o.r.sink.Sample(s)
}

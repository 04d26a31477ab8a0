package camera

import (
	"context"
	"fmt"
	"time"

	"github.com/watchward/watchward/internal/camera/rtp"
	"github.com/watchward/watchward/internal/camera/rtsp"
	"github.com/watchward/watchward/internal/media"
)

// How often a live session is looked at.
const (
	// watchedTick is how long packets lie in the socket while somebody watches:
	// a fifth of a frame. Looking that often costs less than being woken for
	// each segment.
	watchedTick = 5 * time.Millisecond
	// datagramTick is shorter than a batch, because nothing slows a sender of
	// datagrams down while they fill the kernel's buffer.
	datagramTick = 20 * time.Millisecond

	reportEvery  = 5 * time.Second
	provenAfter  = 10 * time.Second // of live video, before failures are forgotten
	setupTimeout = 40 * time.Second // from the first packet out to the first in
)

// session is one connection to a camera.
type session struct {
	c        *Camera
	client   *rtsp.Client
	receiver *rtp.Receiver
	tracks   int

	begun      time.Time
	last       time.Time // when the last picture was published
	nextSecond time.Time
	nextReport time.Time
	live       bool
	before     rtp.Stats // at the last second
	beforeAt   time.Time
	total      State // counts of earlier sessions
	report     []byte
}

// session connects and publishes until something ends it.
func (c *Camera) session(ctx context.Context) error {
	s := &session{c: c, total: c.state}
	c.state.ClockOffset, c.state.Video, c.state.Audio = 0, nil, nil
	if err := s.open(ctx); err != nil {
		if s.client != nil {
			s.client.Close(true)
		}
		return err
	}
	defer s.receiver.Close()
	err := s.run(ctx)
	c.reordered = s.receiver.Reordered()
	s.client.Close(true)
	s.count(time.Now())
	return err
}

// open does everything up to the first packet.
func (s *session) open(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, setupTimeout)
	defer cancel()
	c := s.c
	s.client, err = rtsp.Connect(ctx, rtsp.Config{
		URL: c.o.URL, Username: c.o.Username, Password: c.o.Password.Reveal(), UserAgent: c.o.UserAgent,
		Transport: c.ways[0], Dial: c.o.Dial, TLS: c.tls.config,
	})
	if err != nil {
		return err
	}
	description, err := s.client.Describe(ctx)
	if err != nil {
		return err
	}
	video, audio := description.Tracks()
	if video == nil {
		return errUnsupported
	}
	if err := s.client.Setup(ctx, video.Media); err != nil {
		return err
	}
	s.tracks = 1
	var sound *rtp.Config
	if audio != nil {
		// A camera that offers audio and then refuses it still has its pictures.
		if err := s.client.Setup(ctx, audio.Media); err == nil {
			sound, s.tracks = &audio.Config, 2
		} else if ctx.Err() != nil {
			return err
		} else {
			c.log.Info("camera refuses its own audio track", "cause", err)
		}
	}
	video.Config.Reordered = c.reordered
	s.receiver = rtp.NewReceiver(&video.Config, sound, s)
	s.begun = time.Now()
	s.last, s.beforeAt, s.nextSecond, s.nextReport = s.begun, s.begun, s.begun.Add(time.Second), s.begun.Add(time.Second)
	c.state.Transport = string(c.ways[0])
	if c.secure() {
		c.state.Transport += "+tls"
	}
	if err := s.client.Play(ctx, s.receiver); err != nil {
		s.receiver.Close()
		return err
	}
	return nil
}

func (c *Camera) secure() bool { return len(c.o.URL) > 5 && c.o.URL[:6] == "rtsps:" }

// run reads until the session ends. It sleeps between reads instead of waiting
// for the socket, see package rtsp.
func (s *session) run(ctx context.Context) error {
	for ctx.Err() == nil {
		// Taken before the read: a reader of the stream may hold us up, and that
		// is no silence of the camera's.
		start := time.Now()
		if err := s.client.Poll(); err != nil {
			return err
		}
		if !start.Before(s.nextSecond) {
			if err := s.second(start); err != nil {
				return err
			}
		}
		sleep(time.Now(), s.tick())
	}
	return nil
}

// tick is how long to let packets gather.
func (s *session) tick() time.Duration {
	switch {
	case s.c.o.Stream.Watched():
		return min(watchedTick, s.c.o.Batch)
	case s.c.ways[0] == rtsp.UDP:
		return min(datagramTick, s.c.o.Batch)
	}
	return s.c.o.Batch
}

// sleep waits for the next multiple of tick on the wall clock, where all other
// cameras wake too.
func sleep(now time.Time, tick time.Duration) {
	time.Sleep(tick - time.Duration(now.UnixNano())%tick)
}

// second does what has to be done about once a second.
func (s *session) second(now time.Time) error {
	s.nextSecond = now.Add(time.Second - time.Duration(now.UnixNano())%s.c.o.Batch)
	if err := s.client.KeepAlive(now); err != nil {
		return err
	}
	if !now.Before(s.nextReport) {
		s.nextReport = now.Add(reportEvery)
		for i := range s.tracks {
			s.report = s.receiver.AppendReport(s.report[:0], i, now)
			if err := s.client.SendRTCP(i, s.report); err != nil {
				return fmt.Errorf("send receiver report: %w", err)
			}
		}
	}
	s.count(now)
	if s.live {
		s.c.report()
		if now.Sub(s.begun) > provenAfter {
			s.c.failure = 0
		}
	}
	return s.judge(now)
}

// judge ends a session that brings nothing.
func (s *session) judge(now time.Time) error {
	seen := s.receiver.LastVideo()
	stats := s.receiver.Stats()
	switch {
	case s.receiver.Ended(now):
		return rtsp.ErrEnded
	case seen.IsZero() && now.Sub(s.begun) > s.c.o.NoVideoAfter && stats.Bytes == 0:
		return fmt.Errorf("%w for %s", errNoData, s.c.o.NoVideoAfter)
	case now.Sub(latest(seen, s.begun)) > s.c.o.NoVideoAfter:
		return fmt.Errorf("%w for %s", errNoVideo, s.c.o.NoVideoAfter)
	case now.Sub(s.last) <= s.c.o.NoVideoAfter:
		return nil
	case s.receiver.Unreadable():
		return errUnreadable
	}
	return errNoKeyframe
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// count brings the numbers of the state up to date.
func (s *session) count(now time.Time) {
	stats := s.receiver.Stats()
	st := &s.c.state
	st.Frames = s.total.Frames + stats.Pictures
	st.Lost = s.total.Lost + stats.Lost
	st.Bytes = s.total.Bytes + stats.Bytes
	st.ClockOffset = s.receiver.ClockOffset()
	st.Video, st.Audio = s.receiver.Formats()
	if d := now.Sub(s.beforeAt).Seconds(); d > 0.1 {
		st.FPS = float64(stats.Pictures-s.before.Pictures) / d
		st.Kbps = float64(stats.Bytes-s.before.Bytes) * 8 / 1000 / d
		s.before, s.beforeAt = stats, now
	}
}

// Sample publishes what the receiver made; see [rtp.Sink].
func (s *session) Sample(m *media.Sample) {
	if m.Track == 0 {
		s.last = m.Received
		if !s.live {
			s.golive(m)
		}
		s.c.broken = ""
	}
	s.c.o.Stream.Publish(m)
}

func (s *session) golive(m *media.Sample) {
	s.live = true
	c := s.c
	c.proven = true
	c.ways = c.ways[:1]
	c.state.Video = m.Format
	// Sound that came before the first picture belongs to none, but tells
	// recorders that there will be some.
	if _, audio := s.receiver.Formats(); audio != nil {
		c.o.Stream.Announce(1, audio)
	}
	c.log.Info("camera is live", "transport", c.state.Transport, "codec", m.Format.Codec.String(),
		"width", m.Format.Width, "height", m.Format.Height)
	c.enter(Live, "", "")
}

// Break passes on the end of a run.
func (s *session) Break(reason media.Reason, at time.Time) {
	s.c.broken = reason
	s.c.o.Stream.Break(reason, at)
}

package record

import (
	"errors"
	"fmt"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/media"
	"github.com/watchward/watchward/internal/seal"
)

// The bubble's clock begins at midnight UTC, 2000-01-01.

func TestSegments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, func(o *Options) { o.Target = 10 * time.Second }, &shelf{})
		g.pictures(7) // joined in mid-stream would be the same: no keyframe, no recording
		g.seconds(40)
		g.stop()
		got := g.timeline()
		next := 0
		for i, s := range got {
			if s.what != "sealed" || s.frames[0] != next || len(s.frames) != s.frames[len(s.frames)-1]-next+1 {
				t.Errorf("segment %d: %s, pictures %v", i, s.what, s.frames)
			}
			next = s.frames[len(s.frames)-1] + 1
			if i > 0 && i < len(got)-1 && s.end.Sub(s.start) != 10*time.Second {
				t.Errorf("segment %d lasts %v, want 10 s", i, s.end.Sub(s.start))
			}
		}
		if next != g.frame {
			t.Errorf("recorded up to picture %d of %d", next, g.frame)
		}
		if st := g.rec.State(); st.Lost != 0 || int(st.Samples) != g.frame || int(st.Segments) != len(got) || st.Recording {
			t.Errorf("state %+v", st)
		}
	})
}

func TestBreaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, nil, &shelf{before: time.Now().Add(-90 * time.Second).UTC()})
		time.Sleep(10 * time.Second)
		g.stream.Break(media.Refused, time.Now())
		time.Sleep(20 * time.Second)
		g.seconds(4)
		g.quiet(media.ConnectionLost, 3*time.Second)
		g.stream.Break(media.Refused, time.Now()) // within the gap, too soon to be told apart
		time.Sleep(2 * time.Second)
		g.seconds(4)
		g.quiet(media.ConnectionLost, 15*time.Second)
		g.stream.Break(media.WrongPassword, time.Now())
		time.Sleep(5 * time.Second)
		g.seconds(2)
		g.quiet(media.NoVideo, 5*time.Second)
		g.stop()
		wantStory(t, g.timeline(), `
			recorder-stopped 100.00s
			refused 20.00s
			sealed 4.00s 0-99
			connection-lost 5.00s
			sealed 4.00s 100-199
			connection-lost 15.00s
			wrong-password 5.00s
			sealed 2.00s 200-249
			no-video 5.00s`)
	})
}

func TestNothingEverRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, nil, &shelf{})
		g.stream.Break(media.Refused, time.Now())
		time.Sleep(3 * time.Hour)
		g.seconds(2)
		g.stop()
		wantStory(t, g.timeline(), `sealed 2.00s 0-49`)
	})
}

// A long gap is on disk in pieces, so that a crash does not make it all
// "recorder-stopped".
func TestLongGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, nil, &shelf{})
		g.seconds(2)
		g.quiet(media.NoVideo, 2*time.Hour+30*time.Minute)
		g.shelf.set(func(s *shelf) {
			if n := len(s.gaps); n != 2 {
				t.Errorf("%d pieces of the gap are stored, want 2", n)
			}
		})
		g.seconds(2)
		g.stop()
		wantStory(t, g.timeline(), `
			sealed 2.00s 0-49
			no-video 3600.00s
			no-video 3600.00s
			no-video 1800.00s
			sealed 2.00s 50-99`)
	})
}

func TestClock(t *testing.T) {
	for _, tt := range []struct {
		name string
		step time.Duration
		want string
		err  time.Duration // clock error of the segment after the step, at least
	}{
		{"forward a second", time.Second, "sealed 4.00s 0-99\nclock-step 1.00s\nsealed 6.00s 100-249\nno-video 3.00s\nsealed 2.00s 250-299", 0},
		{"forward an hour", time.Hour, "sealed 4.00s 0-99\nclock-step 3600.00s\nsealed 6.00s 100-249\nno-video 3.00s\nsealed 2.00s 250-299", 0},
		{"a little", 300 * time.Millisecond, "sealed 4.00s 0-99\nsealed 6.00s 100-249\nno-video 3.30s\nsealed 2.00s 250-299", 0},
		// The pause of three seconds lets a second be caught up, an hour not.
		{"back a second", -time.Second, "sealed 4.00s 0-99\nsealed 6.00s 100-249\nno-video 2.00s\nsealed 2.00s 250-299", time.Second},
		{"back an hour", -time.Hour, "sealed 4.00s 0-99\nsealed 6.00s 100-249\nsealed 2.00s 250-299", time.Hour},
		{"to 1970", -30 * 365 * 24 * time.Hour, "sealed 4.00s 0-99\nsealed 6.00s 100-249\nsealed 2.00s 250-299", time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(5 * time.Hour) // away from midnight
				g := newRig(t, func(o *Options) { o.Target = 6 * time.Second }, &shelf{})
				g.pictures(75)
				g.setClock(tt.step)
				g.pictures(175)
				g.quiet(media.NoVideo, 3*time.Second)
				g.seconds(2)
				g.stop()
				got := g.timeline()
				wantStory(t, got, tt.want)
				for _, s := range got {
					if len(s.frames) > 0 && s.frames[0] == 100 && s.clockErr < tt.err-50*time.Millisecond {
						t.Errorf("clock error %v, want at least %v", s.clockErr, tt.err)
					}
				}
			})
		})
	}
}

// A process that starts with a clock from before what it recorded goes on after
// that, and says how far ahead it is.
func TestStartInThePast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := time.Now().Add(24 * time.Hour).UTC()
		g := newRig(t, nil, &shelf{before: end})
		g.seconds(2)
		g.stop()
		got := g.timeline()
		wantStory(t, got, `sealed 2.00s 0-49`)
		if !got[0].start.Equal(end) || got[0].clockErr < 24*time.Hour-time.Millisecond {
			t.Errorf("begins at %v with clock error %v, want %v and a day", got[0].start, got[0].clockErr, end)
		}
	})
}

func TestMidnight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(24*time.Hour - 5*time.Second)
		g := newRig(t, nil, &shelf{})
		g.seconds(8)
		g.stop()
		wantStory(t, g.timeline(), "sealed 6.00s 0-149\nsealed 2.00s 150-199")
		if got := fmt.Sprint(g.keys.days); got != "[2000-01-01 2000-01-02]" {
			t.Errorf("days of the keys: %s", got)
		}
	})
}

func TestFormatChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, nil, &shelf{})
		g.seconds(4)
		g.video = h264(640, 360) // another pointer, nothing new
		g.seconds(2)
		g.video = h264(1280, 720)
		g.seconds(2)
		g.pictures(10)
		g.video = h264(640, 360) // in mid-group: nothing to decode until the next keyframe
		g.pictures(90)
		g.stop()
		wantStory(t, g.timeline(), `
			sealed 6.00s 0-149
			sealed 2.40s 150-209
			no-keyframe 1.60s
			sealed 2.00s 250-299`)
	})
}

func TestTimeJump(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, nil, &shelf{})
		g.seconds(3)
		g.dts += 90000 * 3600 // the camera's clock leaps, and its session says nothing
		g.seconds(3)
		g.stop()
		wantStory(t, g.timeline(), "sealed 3.00s 0-74\ntime-jump 1.00s\nsealed 2.00s 100-149")
	})
}

// A camera whose clock runs a thousandth fast neither drifts away nor leaves
// holes between segments.
func TestDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, nil, &shelf{})
		for range 60 * 25 * 5 {
			g.picture()
			g.dts += 4 // 1.1 per mille
		}
		g.stop()
		got := g.timeline()
		if len(got) < 5 {
			t.Fatalf("%d segments", len(got))
		}
		last := got[len(got)-1]
		if off := time.Since(last.end).Abs(); off > 300*time.Millisecond {
			t.Errorf("after five minutes the timeline is %v off", off)
		}
	})
}

func TestStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sh := &shelf{}
		g := newRig(t, func(o *Options) { o.Queue = 400_000 }, sh) // 4 s at 100 kB/s
		g.seconds(4)
		free := make(chan struct{})
		sh.set(func(s *shelf) { s.stall = free })
		time.AfterFunc(8*time.Second, func() {
			sh.set(func(s *shelf) { s.stall = nil })
			close(free)
		})
		before := time.Now()
		g.seconds(6) // the camera is held up, nothing is lost
		if took := time.Since(before); took < 7*time.Second {
			t.Errorf("the camera was not slowed: %v", took)
		}
		g.seconds(6)
		g.stop()
		frames := 0
		for _, s := range g.timeline() {
			frames += len(s.frames)
			if s.what != "sealed" {
				t.Errorf("%s for %v", s.what, s.end.Sub(s.start))
			}
		}
		if st := g.rec.State(); frames != g.frame || st.Lost != 0 || st.Stalls != 0 {
			t.Errorf("%d pictures of %d, state %+v", frames, g.frame, st)
		}
	})
}

func TestStallTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sh := &shelf{}
		g := newRig(t, func(o *Options) { o.Queue = 400_000; o.Stall = 3 * time.Second }, sh)
		g.seconds(4)
		free := make(chan struct{})
		sh.set(func(s *shelf) { s.stall = free })
		time.AfterFunc(20*time.Second, func() {
			sh.set(func(s *shelf) { s.stall = nil })
			close(free)
		})
		g.seconds(30)
		g.stop()
		got := g.timeline()
		frames, gaps := 0, 0
		for _, s := range got {
			frames += len(s.frames)
			if s.what == DiskStalled {
				gaps++
			}
		}
		st := g.rec.State()
		if gaps != 1 || st.Stalls != 1 || frames+int(st.Lost) != g.frame || st.Lost == 0 || st.Queued != 0 {
			t.Errorf("%d gaps, %d recorded of %d, state %+v", gaps, frames, g.frame, st)
		}
	})
}

func TestFaults(t *testing.T) {
	broken := errors.New("input/output error")
	for _, tt := range []struct {
		name, reason string
		breakIt      func(*shelf)
		mend         func(*shelf)
		first        string // what becomes of the segment that was open
	}{
		{"writes fail", DiskFailing, func(s *shelf) { s.write = broken }, func(s *shelf) { s.write = nil }, "torn"},
		{
			"full while writing", DiskFull, func(s *shelf) { s.write, s.full = fmt.Errorf("write: %w", syscall.ENOSPC), archive.ErrFull },
			func(s *shelf) { s.write, s.full = nil, nil }, "torn",
		},
		{
			"read-only while writing", DiskReadOnly, func(s *shelf) { s.write, s.full = syscall.EROFS, archive.ErrReadOnly },
			func(s *shelf) { s.write, s.full = nil, nil }, "torn",
		},
		// A segment that can still be written is written to its end.
		{"under the low-water mark", DiskFull, func(s *shelf) { s.full = archive.ErrFull }, func(s *shelf) { s.full = nil }, "sealed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t, func(o *Options) { o.Target = 9 * time.Second }, &shelf{})
				g.size = 8000
				g.seconds(5)
				g.shelf.set(tt.breakIt)
				g.seconds(6)
				if st := g.rec.State(); st.Recording || st.Reason != tt.reason || st.Detail == "" {
					t.Errorf("state %+v, want %s", st, tt.reason)
				}
				g.shelf.set(tt.mend)
				g.seconds(6)
				if st := g.rec.State(); !st.Recording || st.Reason != "" {
					t.Errorf("state %+v, want recording", st)
				}
				g.stop()
				got := g.timeline()
				if len(got) != 3 || got[0].what != tt.first || got[1].what != tt.reason || got[2].what != "sealed" {
					t.Fatalf("want %s, %s, sealed; got\n%s", tt.first, tt.reason, story(got))
				}
				if lost := 125 - len(got[0].frames); lost > 20 {
					t.Errorf("the first segment lacks %d pictures", lost)
				}
				if st := g.rec.State(); len(got[0].frames)+len(got[2].frames)+int(st.Lost) < g.frame-60 || st.Lost == 0 {
					t.Errorf("%d and %d pictures of %d are recorded, %d counted as lost", len(got[0].frames), len(got[2].frames), g.frame, st.Lost)
				}
			})
		})
	}
}

// Sound runs a little behind the picture, and is complete across cuts.
func TestSound(t *testing.T) {
	for _, tt := range []struct {
		name   string
		offset int64         // of the sound's times against the picture's, in its units
		late   time.Duration // of its arrival
	}{
		{"counted from the same moment", 0, 0},
		{"arrives late", 0, 100 * time.Millisecond},
		{"counted from another moment", 8000 * 1000, 0},
		{"counted from an earlier moment", -8000 * 1000, 60 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t, func(o *Options) { o.Audio = true; o.Target = 4 * time.Second }, &shelf{})
				g.dts = 90000 * 5000
				g.audio = &media.Format{Codec: media.PCMU, ClockRate: 8000, SampleRate: 8000, Channels: 1}
				behind := int64(tt.late / time.Millisecond * 8)
				for range 25 * 20 {
					now := g.dts*8000/90000 + tt.offset - behind
					g.chirps(now, now+160)
					g.picture()
				}
				g.stop()
				got := g.timeline()
				next := -1
				for i, s := range got {
					if len(s.chirps) == 0 && i > 0 {
						t.Fatalf("segment %d has no sound", i)
					}
					for _, n := range s.chirps {
						if next >= 0 && n != next {
							t.Errorf("segment %d: sound %d where %d should be", i, n, next)
						}
						next = n + 1
					}
				}
				// The first segment may end early, because sound was heard only after it began.
				if st := g.rec.State(); next < g.chirp-10 || st.Lost > 110 {
					t.Errorf("sound up to %d of %d, state %+v", next, g.chirp, st)
				}
			})
		})
	}
}

func TestNoSoundUnlessAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, nil, &shelf{})
		g.audio = &media.Format{Codec: media.PCMU, ClockRate: 8000, SampleRate: 8000, Channels: 1}
		for range 100 {
			g.chirps(g.dts*8000/90000, g.dts*8000/90000+160)
			g.picture()
		}
		g.stop()
		if got := g.timeline(); len(got) != 1 || len(got[0].chirps) != 0 || len(got[0].frames) != 100 {
			t.Errorf("%s", story(got))
		}
	})
}

// What the archive could not finish at once is the archive's to finish: it is
// said, and recording goes on without a gap.
func TestCommitFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, func(o *Options) { o.Target = 4 * time.Second }, &shelf{commit: archive.ErrUnfinished})
		g.seconds(20)
		st := g.rec.State()
		g.stop()
		if !st.Recording || st.Detail == "" || st.Segments != 0 || len(g.shelf.gaps) != 0 {
			t.Errorf("state %+v, gaps %v", st, g.shelf.gaps)
		}
	})
}

func TestKeyFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, nil, &shelf{before: time.Now().UTC()})
		g.keys.mu.Lock()
		g.keys.err = errors.New("permission denied")
		g.keys.mu.Unlock()
		g.seconds(3)
		if st := g.rec.State(); st.Recording || st.Reason != KeyFailing {
			t.Errorf("state %+v", st)
		}
		g.stop()
	})
}

// A slow camera's pictures are written as they come, not held for more.
func TestOneFrameASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, nil, &shelf{})
		g.gop = 5
		for range 10 {
			g.picture()
			g.dts += 90000 - 3600
			time.Sleep(960 * time.Millisecond)
			// How long the first lasts is not known before the second.
			if o, _ := g.rec.Open(); len(o.Parts) != g.frame && g.frame > 1 {
				t.Errorf("after picture %d there are %d parts", g.frame, len(o.Parts))
			}
		}
		g.stop()
		wantStory(t, g.timeline(), "sealed 10.00s 0-9")
	})
}

func TestOptions(t *testing.T) {
	id := archive.StreamID{Site: "home", Camera: "Gate!", Stream: "main"}
	for name, o := range map[string]Options{
		"no stream": {}, "bad name": {ID: id, Stream: &media.Stream{}}, "negative": {ID: gate, Target: -1},
	} {
		if _, err := build(o, &shelf{}, &oneKey{}, realSealer); err == nil && name != "no stream" {
			t.Errorf("%s: taken", name)
		}
		if _, err := New(o); err == nil {
			t.Errorf("%s: New took it", name)
		}
	}
}

func TestNoReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sh := &shelf{before: time.Now().Add(-time.Minute).UTC()}
		g := newRig(t, nil, sh)
		g.keys.mu.Lock()
		g.keys.err = fmt.Errorf("day key: %w", seal.ErrNoReaders)
		g.keys.mu.Unlock()
		g.seconds(5)
		sh.set(func(s *shelf) {
			if st := g.rec.State(); st.Recording || st.Reason != NoReader || s.creates != 0 {
				t.Errorf("state %+v, %d files made", st, s.creates)
			}
		})
		g.keys.mu.Lock()
		g.keys.err = nil
		g.keys.mu.Unlock()
		g.seconds(5)
		g.stop()
		wantStory(t, g.timeline(), "recorder-stopped 60.00s\nno-reader 6.00s\nsealed 4.00s 150-249")
	})
}

func TestNameTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, nil, &shelf{exists: 2})
		g.seconds(2)
		g.stop()
		got := g.timeline()
		if len(got) != 1 || got[0].start.Nanosecond() != 2e6 {
			t.Errorf("%v, want one segment 2 ms after midnight", got)
		}
	})
}

// Of a quiet stream, nothing that came is older than about two seconds before it
// is in the file.
func TestQuietStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, nil, &shelf{})
		g.size = 400 // 80 kbit/s
		g.seconds(20)
		time.Sleep(3 * time.Second) // not even a picture
		o, ok := g.rec.Open()
		if !ok || len(o.Parts) < 90 {
			t.Fatalf("open segment: %t, %d parts", ok, len(o.Parts))
		}
		if last := o.Parts[len(o.Parts)-1]; last.Offset >= o.Plain {
			t.Errorf("the last part at %d is not in the file, which has %d", last.Offset, o.Plain)
		}
		if o.Plain > 15*chunk {
			t.Errorf("filled up to %d bytes for 200,000", o.Plain)
		}
		g.stop()
		wantStory(t, g.timeline(), "sealed 20.00s 0-499")
	})
}

func TestOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, nil, &shelf{})
		if _, ok := g.rec.Open(); ok {
			t.Error("open before anything came")
		}
		g.size = 20_000
		g.seconds(4)
		o, ok := g.rec.Open()
		if !ok || o.Codecs != "avc1.42c016" || len(o.Parts) != 20 || !o.Parts[0].Key || o.Parts[1].Key || !o.Parts[10].Key {
			t.Fatalf("%+v", o)
		}
		for i, p := range o.Parts {
			if p.At != time.Duration(i)*200*time.Millisecond {
				t.Errorf("part %d at %v", i, p.At)
			}
		}
		if behind := o.Parts[19].Offset + 100_000 - o.Plain; behind > chunk+5000 {
			t.Errorf("%d bytes are not in the file", behind)
		}
		g.stop()
		if _, ok := g.rec.Open(); ok {
			t.Error("open after the end")
		}
	})
}

func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sh := &shelf{}
		g := newRig(t, nil, sh)
		g.seconds(3)
		g.stop()
		sh.before = sh.segments[0].end
		time.Sleep(7 * time.Second)
		var err error
		if g.rec, err = build(g.rec.o, sh, g.keys, realSealer); err != nil {
			t.Fatal(err)
		}
		g.start()
		g.seconds(3)
		g.stop()
		wantStory(t, g.timeline(), "sealed 3.00s 0-74\nrecorder-stopped 8.00s\nsealed 2.00s 100-149")
	})
}

package live

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchward/watchward/internal/media"
)

func TestQueueSkipsToTheNextKeyframe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newSource(t)
		src.gop, src.size = 10, 1<<20 // a keyframe has 4 MiB
		var skipped atomic.Uint64
		q := watch(&src.st, &skipped)
		defer q.close()
		src.pictures(7) // of which four more than the queue holds
		if got := q.take(nil, 1<<30); len(got) != 0 || skipped.Load() != 7 {
			t.Errorf("overfull: %d wait, %d skipped; want none and all 7", len(got), skipped.Load())
		}
		src.pictures(4)
		got := q.take(nil, 1<<30)
		if len(got) != 1 || !got[0].sample.Keyframe || !got[0].gap || skipped.Load() != 10 {
			t.Errorf("after the next keyframe: %d wait, %d skipped; want the keyframe, after a gap, and 10", len(got), skipped.Load())
		}
		release(got)
	})
}

func TestQueueDropsWhatIsStaleAtAKeyframe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newSource(t)
		src.gop = 10
		var skipped atomic.Uint64
		q := watch(&src.st, &skipped)
		defer q.close()
		src.pictures(9)
		time.Sleep(queueLag + time.Millisecond)
		src.pictures(2)
		got := q.take(nil, 1<<30)
		if len(got) != 1 || !got[0].sample.Keyframe || !got[0].gap {
			t.Errorf("%d wait, want the new keyframe only", len(got))
		}
		release(got)
	})
}

func TestQueueAtTheBeginning(t *testing.T) {
	src := newSource(t)
	src.audio = &media.Format{Codec: media.PCMU, ClockRate: 8000, SampleRate: 8000, Channels: 1}
	src.pictures(55)
	var skipped atomic.Uint64
	q := watch(&src.st, &skipped)
	src.picture()
	src.st.Break(media.NoVideo, time.Now())
	src.st.Break(media.ConnectionLost, time.Now())
	got := q.take(nil, 1)
	if len(got) != 5 || !got[0].sample.Keyframe || !got[4].cached {
		t.Errorf("first %d, want the five pictures since the keyframe and no sound", len(got))
	}
	release(got)
	got = q.take(nil, 1<<20)
	if len(got) != 3 || got[0].cached || got[2].reason != media.ConnectionLost {
		t.Errorf("then %d, want a picture, its sound and one break", len(got))
	}
	release(got)
	q.close()
	src.picture() // nobody takes it any more
	if skipped.Load() != 0 {
		t.Errorf("%d skipped", skipped.Load())
	}
}

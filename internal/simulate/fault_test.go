package simulate

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"
)

// playing is a client that gets the sub stream of a town of one camera.
func playing(t *testing.T) (*Town, *client) {
	t.Helper()
	town := startTownAt(t, Options{Cameras: 1}, 8)
	info := first(t, town)
	c := dial(t, info, info.SubURL)
	c.play(false)
	c.next(0)
	return town, c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestFaultDrop(t *testing.T) {
	t.Parallel()
	town, c := playing(t)
	must(t, town.Fault(c.info.ID, Fault{Kind: Drop}))
	_, _ = io.Copy(io.Discard, c.r) // ends, or the deadline would be an hour of silence
	if a := dial(t, c.info, c.url).try("OPTIONS", c.url); a.status != 200 {
		t.Errorf("after a drop: %d, %v", a.status, a.problem)
	}
}

func TestFaultStall(t *testing.T) {
	t.Parallel()
	town, c := playing(t)
	must(t, town.Fault(c.info.ID, Fault{Kind: Stall}))
	c.do("GET_PARAMETER", c.url) // what was under way has come when this is answered
	c.packets = nil
	_ = c.c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	if p, err := c.find(0); err == nil {
		t.Errorf("packet %d during a stall", p.seq())
	}
	_ = c.c.SetReadDeadline(time.Now().Add(5 * time.Second))
	must(t, town.Clear(c.info.ID, Stall))
	c.next(0)
}

func TestFaultRefusePassword(t *testing.T) {
	t.Parallel()
	town, c := playing(t)
	must(t, town.Fault(c.info.ID, Fault{Kind: RefusePassword, For: 200 * time.Millisecond}))
	_, _ = io.Copy(io.Discard, c.r)
	again := dial(t, c.info, c.url)
	again.auth = again.try("DESCRIBE", c.url).get("WWW-Authenticate")
	if a := again.try("DESCRIBE", c.url); a.status != 401 {
		t.Errorf("right password while refused: %d, want 401", a.status)
	}
	time.Sleep(250 * time.Millisecond)
	again.do("DESCRIBE", c.url)
}

func TestFaultResolution(t *testing.T) {
	t.Parallel()
	town, c := playing(t)
	cam := town.byID[c.info.ID]
	mainSPS, subSPS := cam.main.video.format.ParameterSets[0], cam.sub.video.format.ParameterSets[0]
	wait := func(want []byte) {
		t.Helper()
		for range 5000 {
			if p := c.next(0); p.kind264() == 7 && bytes.Equal(p.body(), want) {
				return
			}
		}
		t.Error("the parameter sets never changed")
	}
	wait(subSPS)
	must(t, town.Fault(c.info.ID, Fault{Kind: Resolution}))
	wait(mainSPS)
	must(t, town.Clear(c.info.ID))
	wait(subSPS)
}

func TestFaultTimeJump(t *testing.T) {
	t.Parallel()
	town, c := playing(t)
	before := c.next(0)
	must(t, town.Fault(c.info.ID, Fault{Kind: TimeJump, Amount: 100}))
	for range 200 {
		if d := c.next(0).time() - before.time(); d > 90000*100 && d < 90000*103 {
			return
		}
	}
	t.Error("the timestamps never jumped")
}

func TestFaultLoss(t *testing.T) {
	t.Parallel()
	town, c := playing(t)
	must(t, town.Fault(c.info.ID, Fault{Kind: Loss, Amount: 50}))
	lost := 0
	last := c.next(0).seq()
	for range 60 {
		p := c.next(0)
		lost += int(p.seq() - last - 1)
		last = p.seq()
	}
	if lost < 15 {
		t.Errorf("%d packets of about 120 lost at 50 %%", lost)
	}
}

func TestFaultCorrupt(t *testing.T) {
	t.Parallel()
	town, c := playing(t)
	must(t, town.Fault(c.info.ID, Fault{Kind: CorruptNAL, Amount: 100}))
	for range 20 {
		c.next(0) // the framing stays right
	}
	v, err := town.Viewers(c.info.ID)
	must(t, err)
	if len(v) != 1 || v[0].LeftOut == 0 {
		t.Errorf("viewers %+v, want frames not whole", v)
	}
}

func TestFaultNoKeyframe(t *testing.T) {
	t.Parallel()
	town, c := playing(t)
	must(t, town.Fault(c.info.ID, Fault{Kind: NoKeyframe}))
	c.do("GET_PARAMETER", c.url)
	c.packets = nil
	seen := map[uint32]bool{}
	for len(seen) < 20 { // more than a group of pictures
		p := c.next(0)
		seen[p.time()] = true
		if k := p.kind264(); k == 5 || k == 7 {
			t.Fatalf("NAL unit of type %d", k)
		}
	}
}

func TestFaultReboot(t *testing.T) {
	t.Parallel()
	town, c := playing(t)
	must(t, town.Fault(c.info.ID, Fault{Kind: Reboot, For: 300 * time.Millisecond}))
	_, _ = io.Copy(io.Discard, c.r)
	if nc, err := net.Dial("tcp", c.info.Host); err == nil {
		nc.Close()
		t.Error("a camera that reboots answers the door")
	}
	for deadline := time.Now().Add(5 * time.Second); ; {
		nc, err := net.Dial("tcp", c.info.Host)
		if err == nil {
			nc.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// TestSlowReader: what cannot be sent is held up to a bound, then refused; the
// caller never waits.
func TestSlowReader(t *testing.T) {
	a, b := net.Pipe()
	defer b.Close()
	o := newOutbox(a)
	done := make(chan struct{})
	go func() { o.drain(); close(done) }()
	sent := 0
	for frame := make([]byte, 1<<20); o.send(frame); {
		sent += len(frame)
	}
	if sent < maxBacklog || sent > 2*maxBacklog {
		t.Errorf("held %d bytes, want about %d", sent, maxBacklog)
	}
	got := make(chan int64)
	go func() {
		n, _ := io.CopyN(io.Discard, b, int64(sent))
		got <- n
	}()
	if n := <-got; n != int64(sent) {
		t.Errorf("reader got %d of %d", n, sent)
	}
	o.close()
	a.Close()
	<-done
}

package live

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	rtpcodecs "github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"

	"github.com/watchward/watchward/internal/media"
)

func contextWithCancel(t testing.TB) (context.Context, context.CancelFunc) {
	return context.WithCancel(context.WithoutCancel(t.Context()))
}

// peer is a viewer by WebRTC: another implementation's client in this process.
type peer struct {
	pc       *webrtc.PeerConnection
	location string
	joined   time.Time
	frames   chan frame
	sound    chan *rtp.Packet
	video    chan uint32 // the video track's SSRC
	gone     chan struct{}
}

// frame is one access unit as received, Annex B.
type frame struct {
	data  []byte
	stamp uint32
	at    time.Time
}

// number is what source wrote into the picture.
func (f frame) number() int {
	for nal := range strings.SplitSeq(string(f.data), "\x00\x00\x00\x01") {
		if len(nal) > 5 && (nal[0] == 0x65 || nal[0] == 0x41) {
			return int(binary.BigEndian.Uint32([]byte(nal[1:5])) ^ numberMask)
		}
	}
	return -1
}

func client(t testing.TB, how ...func(*webrtc.SettingEngine)) *webrtc.PeerConnection {
	t.Helper()
	var m webrtc.MediaEngine
	if err := m.RegisterDefaultCodecs(); err != nil {
		t.Fatal(err)
	}
	var e webrtc.SettingEngine
	e.SetIncludeLoopbackCandidate(true)
	for _, f := range how {
		f(&e)
	}
	pc, err := webrtc.NewAPI(webrtc.WithMediaEngine(&m), webrtc.WithSettingEngine(e)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	return pc
}

func offerOf(t testing.TB, pc *webrtc.PeerConnection, kinds ...webrtc.RTPCodecType) string {
	t.Helper()
	for _, kind := range kinds {
		if _, err := pc.AddTransceiverFromKind(kind, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
			t.Fatal(err)
		}
	}
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := pc.SetLocalDescription(offer); err != nil {
		t.Fatal(err)
	}
	return offer.SDP
}

func post(t testing.TB, url, kind, body string) *http.Response {
	t.Helper()
	res, err := http.Post(url, kind, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

// join watches by WebRTC, asking for sound before the picture as browsers may.
func join(t testing.TB, h *house, path string, how ...func(*webrtc.SettingEngine)) *peer {
	t.Helper()
	p := &peer{pc: client(t, how...), frames: make(chan frame, 4096), sound: make(chan *rtp.Packet, 4096), video: make(chan uint32, 1), gone: make(chan struct{})}
	p.pc.OnTrack(p.track)
	p.pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateClosed || s == webrtc.PeerConnectionStateFailed {
			select {
			case <-p.gone:
			default:
				close(p.gone)
			}
		}
	})
	offer := offerOf(t, p.pc, webrtc.RTPCodecTypeAudio, webrtc.RTPCodecTypeVideo)
	p.joined = time.Now()
	res := post(t, h.url+path, "application/sdp", offer)
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusCreated || res.Header.Get("Content-Type") != "application/sdp" {
		t.Fatalf("offer: %s %q %v", res.Status, answer, err)
	}
	p.location = h.url + res.Header.Get("Location")
	if err := p.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(answer)}); err != nil {
		t.Fatalf("answer refused: %v\n%s", err, answer)
	}
	t.Cleanup(p.close)
	return p
}

func (p *peer) close() { _ = p.pc.GracefulClose() }

func (p *peer) track(t *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
	if t.Kind() == webrtc.RTPCodecTypeAudio {
		for {
			packet, _, err := t.ReadRTP()
			if err != nil {
				return
			}
			p.sound <- packet
		}
	}
	p.video <- uint32(t.SSRC())
	var depacketizer rtpcodecs.H264Packet
	var f frame
	for {
		packet, _, err := t.ReadRTP()
		if err != nil {
			close(p.frames)
			return
		}
		data, err := depacketizer.Unmarshal(packet.Payload)
		if err != nil {
			continue
		}
		f.data = append(f.data, data...)
		if packet.Marker {
			f.stamp, f.at = packet.Timestamp, time.Now()
			p.frames <- f
			f = frame{}
		}
	}
}

// frame is the next picture.
func (p *peer) frame(t testing.TB) frame {
	t.Helper()
	select {
	case f := <-p.frames:
		return f
	case <-time.After(5 * time.Second):
		t.Fatal("no picture within 5 s")
		return frame{}
	}
}

func TestWHEPJoinsBetweenKeyframes(t *testing.T) {
	noneLeft(t)
	src := newSource(t)
	src.audio = &media.Format{Codec: media.PCMU, ClockRate: 8000, SampleRate: 8000, Channels: 1}
	src.pictures(80) // the last keyframe was picture 50
	h := run(t, Options{}, map[string]*media.Stream{"gate/main": &src.st})
	src.play(t)
	p := join(t, h, "/gate/main/whep")
	first := p.frame(t)
	if took := first.at.Sub(p.joined); took > time.Second {
		t.Errorf("first picture after %s, want less than 1s", took)
	} else {
		t.Logf("first picture after %s", took)
	}
	if first.number() != 50 {
		t.Errorf("first picture is %d, want 50", first.number())
	}
	sets := "\x00\x00\x00\x01" + string(src.video.ParameterSets[0]) + "\x00\x00\x00\x01" + string(src.video.ParameterSets[1])
	if !strings.HasPrefix(string(first.data), sets) {
		t.Errorf("first picture begins with %x, want the parameter sets", first.data[:40])
	}
	last := first
	for range 60 {
		f := p.frame(t)
		if f.number() != last.number()+1 {
			t.Fatalf("picture %d after %d", f.number(), last.number())
		}
		if step := int32(f.stamp - last.stamp); step <= 0 {
			t.Fatalf("picture %d: timestamp runs backwards by %d", f.number(), -step)
		}
		last = f
	}
	// The thirty pictures of the past took no more time than they needed.
	age := last.at.Sub(first.at).Seconds()
	if span := float64(last.stamp-first.stamp) / 90000; span > age+0.2 {
		t.Errorf("timestamps span %.2f s, but only %.2f s have passed", span, age)
	}
	select {
	case packet := <-p.sound:
		if len(packet.Payload) != 160 {
			t.Errorf("sound of %d bytes, want 160", len(packet.Payload))
		}
	case <-time.After(time.Second):
		t.Error("no sound")
	}
	p.end(t)
	eventually(t, "the viewer is gone", func() bool { return h.Viewers() == 0 })
	select {
	case <-p.gone:
	case <-time.After(5 * time.Second):
		t.Error("the viewer was not told")
	}
}

func (p *peer) end(t testing.TB) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, p.location, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("DELETE: %s", res.Status)
	}
}

func TestWHEPSendsLostPicturesAnew(t *testing.T) {
	noneLeft(t)
	src := newSource(t)
	src.gop = 1000
	src.pictures(10)
	h := run(t, Options{}, map[string]*media.Stream{"gate/main": &src.st})
	src.play(t)
	p := join(t, h, "/gate/main/whep")
	p.frame(t)
	ssrc := <-p.video
	if err := p.pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: ssrc}}); err != nil {
		t.Fatal(err)
	}
	last := uint32(0)
	for i := range 100 {
		f := p.frame(t)
		if i > 0 && int32(f.stamp-last) <= 0 {
			t.Fatalf("timestamp runs backwards at picture %d", f.number())
		}
		if last = f.stamp; f.number() == 0 {
			return // the keyframe came again
		}
	}
	t.Error("no keyframe after the viewer asked for one")
}

func TestWHEPGoesOnWithNewParameterSets(t *testing.T) {
	noneLeft(t)
	src := newSource(t)
	src.gop = 5
	src.pictures(3)
	h := run(t, Options{}, map[string]*media.Stream{"gate/main": &src.st})
	p := join(t, h, "/gate/main/whep")
	p.frame(t)
	eventually(t, "the viewer has all that was at hand", func() bool { s := h.Stats(); return s[0].Frames == 3 })
	src.mu.Lock()
	src.video = h264(t, highSPS, highPPS)
	src.mu.Unlock()
	src.st.Break(media.ConnectionLost, time.Now())
	src.pictures(4)
	for range 10 {
		if f := p.frame(t); f.number() == 5 {
			if !strings.Contains(string(f.data), string(src.video.ParameterSets[0])) {
				t.Error("new keyframe without the new parameter sets")
			}
			return
		}
	}
	t.Error("new keyframe never came")
}

func TestWHEPEndsWhenCodecChanges(t *testing.T) {
	noneLeft(t)
	src := newSource(t)
	src.pictures(3)
	h := run(t, Options{}, map[string]*media.Stream{"gate/main": &src.st})
	p := join(t, h, "/gate/main/whep")
	p.frame(t)
	src.mu.Lock()
	src.video, src.n = &media.Format{Codec: media.H265, ClockRate: 90000}, 50
	src.mu.Unlock()
	src.picture()
	eventually(t, "the viewer is sent away", func() bool { return h.Viewers() == 0 })
}

func TestWHEPRefuses(t *testing.T) {
	noneLeft(t)
	src, mjpeg, silent := newSource(t), newSource(t), newSource(t)
	src.picture()
	mjpeg.video = &media.Format{Codec: media.MJPEG, ClockRate: 90000}
	mjpeg.picture()
	h := run(t, Options{}, map[string]*media.Stream{"gate/main": &src.st, "yard/main": &mjpeg.st, "roof/main": &silent.st})
	pc := client(t)
	defer pc.GracefulClose()
	offer := offerOf(t, pc, webrtc.RTPCodecTypeVideo)
	for _, tt := range []struct {
		name, path, kind, body string
		want                   int
	}{
		{"no offer", "/gate/main/whep", "application/sdp", "", http.StatusBadRequest},
		{"not SDP", "/gate/main/whep", "application/sdp", "GET / HTTP/1.1\r\n", http.StatusBadRequest},
		{"wrong type", "/gate/main/whep", "text/plain", offer, http.StatusUnsupportedMediaType},
		{"too long", "/gate/main/whep", "application/sdp", offer + strings.Repeat("a=x\r\n", offerLimit), http.StatusRequestEntityTooLarge},
		{"no such stream", "/gate/third/whep", "application/sdp", offer, http.StatusNotFound},
		{"pictures", "/yard/main/whep", "application/sdp", offer, http.StatusNotAcceptable},
		{"nothing yet", "/roof/main/whep", "application/sdp", offer, http.StatusConflict},
		{"no H.264", "/gate/main/whep", "application/sdp", strings.ReplaceAll(offer, "H264", "VP9"), http.StatusNotAcceptable},
		{"no fingerprint", "/gate/main/whep", "application/sdp", strings.ReplaceAll(offer, "a=fingerprint", "a=finger"), http.StatusBadRequest},
		{"no credentials", "/gate/main/whep", "application/sdp", strings.ReplaceAll(offer, "a=ice-", "a=nice-"), http.StatusBadRequest},
	} {
		res := post(t, h.url+tt.path, tt.kind, tt.body)
		if res.StatusCode != tt.want {
			body, _ := io.ReadAll(res.Body)
			t.Errorf("%s: %s %s, want %d", tt.name, res.Status, body, tt.want)
		}
		_ = res.Body.Close()
	}
	if n := h.Viewers(); n != 0 {
		t.Errorf("%d viewers after nothing but refusals", n)
	}
}

func TestWHEPByTCP(t *testing.T) {
	noneLeft(t)
	src := newSource(t)
	src.pictures(3)
	h := run(t, Options{}, map[string]*media.Stream{"gate/main": &src.st})
	p := join(t, h, "/gate/main/whep", func(e *webrtc.SettingEngine) {
		e.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeTCP4})
	})
	for i := range 3 {
		if f := p.frame(t); f.number() != i {
			t.Errorf("picture %d, want %d", f.number(), i)
		}
	}
}

// deaf is a socket that falls silent on request.
type deaf struct {
	net.PacketConn
	silent atomic.Bool
}

func (d *deaf) WriteTo(p []byte, to net.Addr) (int, error) {
	if d.silent.Load() {
		return len(p), nil
	}
	return d.PacketConn.WriteTo(p, to)
}

func TestWHEPEndsWhenTheViewerFallsSilent(t *testing.T) {
	noneLeft(t)
	src := newSource(t)
	src.pictures(3)
	h := run(t, Options{}, map[string]*media.Stream{"gate/main": &src.st})
	h.patience = patience{connect: 5 * time.Second, silent: 300 * time.Millisecond, gone: 200 * time.Millisecond}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &deaf{PacketConn: conn}
	mux := ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: d})
	defer mux.Close()
	p := join(t, h, "/gate/main/whep", func(e *webrtc.SettingEngine) {
		e.SetICEUDPMux(mux)
		e.SetICETimeouts(time.Second, time.Second, 50*time.Millisecond)
	})
	p.frame(t)
	d.silent.Store(true)
	eventually(t, "the silent viewer is dropped", func() bool { return h.Viewers() == 0 })
}

func TestWHEPEndsWhenNobodyComes(t *testing.T) {
	noneLeft(t)
	src := newSource(t)
	src.pictures(3)
	h := run(t, Options{}, map[string]*media.Stream{"gate/main": &src.st})
	h.patience.connect = 50 * time.Millisecond
	if res := post(t, h.url+"/gate/main/whep", "application/sdp", chromiumOffer); res.StatusCode != http.StatusCreated {
		t.Fatal(res.Status)
	}
	eventually(t, "who never comes is dropped", func() bool { return h.Viewers() == 0 })
}

func TestWHEPSendsKeyframesOnlyThroughABadNetwork(t *testing.T) {
	noneLeft(t)
	src := newSource(t)
	src.gop = 4
	src.pictures(1)
	h := run(t, Options{}, map[string]*media.Stream{"gate/main": &src.st})
	p := join(t, h, "/gate/main/whep")
	p.frame(t)
	ssrc := <-p.video
	report := func(lost uint8) {
		t.Helper()
		for range 3 {
			if err := p.pc.WriteRTCP([]rtcp.Packet{&rtcp.ReceiverReport{Reports: []rtcp.ReceptionReport{{SSRC: ssrc, FractionLost: lost}}}}); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "the report has come", func() bool { return h.Stats()[0].Loss == float64(lost)/256 })
		time.Sleep(20 * time.Millisecond) // three reports look like one
	}
	numbers := func(n int) (got []int) {
		for range n {
			got = append(got, p.frame(t).number())
		}
		return got
	}
	report(100)
	src.pictures(8) // 1 to 8
	if got := numbers(2); !slices.Equal(got, []int{4, 8}) {
		t.Errorf("bad network: pictures %v, want 4 and 8", got)
	}
	report(0)
	src.pictures(6) // 9 to 14
	if got := numbers(3); !slices.Equal(got, []int{12, 13, 14}) {
		t.Errorf("good again: pictures %v, want 12, 13 and 14", got)
	}
}

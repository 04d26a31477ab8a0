package live

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/nack"
	"github.com/pion/interceptor/pkg/report"
	"github.com/pion/webrtc/v4"

	"github.com/watchward/watchward/internal/media"
)

const (
	gatherTimeout = 2 * time.Second // sockets are open already: it is a matter of milliseconds
	resendPackets = 1024            // kept for a viewer who missed some; a power of two
)

// patience is how long a viewer by WebRTC may take.
type patience struct {
	connect time.Duration // from the answer to the first secured packet
	silent  time.Duration // without a word from him: disconnected
	gone    time.Duration // after that: gone
}

func usualPatience() patience {
	return patience{connect: 15 * time.Second, silent: 3 * time.Second, gone: 5 * time.Second}
}

var (
	errNotForWebRTC = errors.New("stream cannot be shown by WebRTC")
	errNoMatch      = errors.New("viewer offers no format that the stream has")
	errLost         = errors.New("connection to the viewer lost")
	errNeverCame    = errors.New("viewer never connected")
	errChanged      = errors.New("stream changed to another codec")
)

// WHEP answers a viewer's offer (WHEP, draft-ietf-wish-whep, after RFC 9725): 201
// with the answer, and in Location the resource that [Live.WHEPDelete] ends.
func (l *Live) WHEP(w http.ResponseWriter, r *http.Request, camera, stream string) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/sdp" {
		problem(w, http.StatusUnsupportedMediaType, "An offer has the type application/sdp", "")
		return
	}
	st, ok := l.o.Streams(camera, stream)
	if !ok {
		problem(w, http.StatusNotFound, "No such stream", "")
		return
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, offerLimit))
	if err != nil {
		problem(w, http.StatusRequestEntityTooLarge, "Offer too long", fmt.Sprintf("at most %d bytes", offerLimit))
		return
	}
	v, answer, err := l.answer(st, string(text), camera, stream, r.RemoteAddr)
	if err != nil {
		l.refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/sdp")
	w.Header().Set("Location", strings.TrimSuffix(r.URL.Path, "/")+"/"+v.id)
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, answer) // if it does not arrive, the viewer never connects and is dropped
}

// WHEPDelete ends the viewer that a WHEP answer's Location named.
func (l *Live) WHEPDelete(w http.ResponseWriter, _ *http.Request, id string) {
	l.mu.Lock()
	v, ok := l.viewers[id]
	l.mu.Unlock()
	if !ok || v.way != WayWebRTC {
		problem(w, http.StatusNotFound, "No such viewer", "it may have ended already")
		return
	}
	v.end(errEnded)
	w.WriteHeader(http.StatusOK)
}

// refuse is the table from what can go wrong with a viewer to what he is told.
func (l *Live) refuse(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, errOffer):
		problem(w, http.StatusBadRequest, "Offer cannot be read", err.Error())
	case errors.Is(err, errNoMatch), errors.Is(err, errNotForWebRTC):
		problem(w, http.StatusNotAcceptable, "Not to be had by WebRTC", err.Error())
	case errors.Is(err, errOffline):
		w.Header().Set("Retry-After", "2")
		problem(w, http.StatusConflict, "Camera sends nothing yet", "")
	case errors.Is(err, errFull), errors.Is(err, errStopped):
		w.Header().Set("Retry-After", "5")
		problem(w, http.StatusServiceUnavailable, "No room for another viewer", err.Error())
	default:
		l.o.Log.Warn("live: viewer refused", "err", err)
		problem(w, http.StatusInternalServerError, "Internal error", "")
	}
}

// problem answers with a problem document (RFC 9457).
func problem(w http.ResponseWriter, status int, title, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"type": "about:blank", "title": title, "status": status, "detail": detail})
}

// answer reads the offer, admits the viewer and starts serving him.
func (l *Live) answer(st *media.Stream, text, camera, stream, remote string) (_ *viewer, sdp string, err error) {
	o, err := readOffer(text)
	if err != nil {
		return nil, "", err
	}
	video, audio := tracks(st.Formats())
	switch {
	case video == nil:
		return nil, "", errOffline
	case video.Codec != media.H264:
		return nil, "", fmt.Errorf("%w: it is %s", errNotForWebRTC, video.Codec)
	}
	pick, ok := o.pickVideo(video)
	if !ok {
		return nil, "", fmt.Errorf("%w: want H264 with packetization-mode=1", errNoMatch)
	}
	v, p, err := l.enter(WayWebRTC, camera, stream, remote)
	if err != nil {
		return nil, "", err
	}
	s := &session{v: v, st: st, patience: l.patience, video: newOutTrack("video", webrtc.RTPCodecTypeVideo, videoCodec(pick))}
	sound, heard := o.pickAudio(audio)
	if heard {
		s.audio = newOutTrack("audio", webrtc.RTPCodecTypeAudio, audioCodec(sound))
		s.audioFormat = audio
	} else {
		sound, _ = o.anyAudio()
	}
	if text, err = o.reduce(pick, sound, heard); err == nil {
		sdp, err = s.connect(p, l.o, text, sound)
	}
	if err != nil {
		l.leave(v)
		return nil, "", err
	}
	go func() {
		defer l.leave(v)
		s.run()
	}()
	return v, sdp, nil
}

func videoCodec(p payload) webrtc.RTPCodecParameters {
	return webrtc.RTPCodecParameters{PayloadType: webrtc.PayloadType(p.number), RTPCodecCapability: webrtc.RTPCodecCapability{
		MimeType: webrtc.MimeTypeH264, ClockRate: 90000, SDPFmtpLine: p.fmtp,
		RTCPFeedback: []webrtc.RTCPFeedback{{Type: "nack"}, {Type: "nack", Parameter: "pli"}, {Type: "ccm", Parameter: "fir"}},
	}}
}

func audioCodec(p payload) webrtc.RTPCodecParameters {
	c := webrtc.RTPCodecCapability{MimeType: "audio/" + p.name, ClockRate: p.clock, SDPFmtpLine: p.fmtp}
	if p.channels > 1 {
		c.Channels = p.channels
	}
	return webrtc.RTPCodecParameters{PayloadType: webrtc.PayloadType(p.number), RTPCodecCapability: c}
}

// connect makes the connection and its answer. It closes what it made if it fails.
func (s *session) connect(p *ports, o Options, offer string, sound payload) (_ string, err error) {
	api, err := s.api(p, o, sound)
	if err != nil {
		return "", err
	}
	if s.pc, err = api.NewPeerConnection(webrtc.Configuration{}); err != nil {
		return "", fmt.Errorf("make connection: %w", err)
	}
	defer func() {
		if err != nil {
			_ = s.pc.GracefulClose()
		}
	}()
	s.connected = make(chan struct{})
	s.pc.OnConnectionStateChange(s.state)
	for _, t := range []*outTrack{s.video, s.audio} {
		if t == nil {
			continue
		}
		tr, err := s.pc.AddTransceiverFromTrack(t, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
		if err != nil {
			return "", fmt.Errorf("add track: %w", err)
		}
		s.senders = append(s.senders, tr.Sender())
	}
	if err := s.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		return "", fmt.Errorf("%w: %w", errOffer, err)
	}
	answer, err := s.pc.CreateAnswer(nil)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errOffer, err)
	}
	gathered := webrtc.GatheringCompletePromise(s.pc)
	if err := s.pc.SetLocalDescription(answer); err != nil {
		return "", fmt.Errorf("%w: %w", errOffer, err)
	}
	select {
	case <-gathered:
	case <-time.After(gatherTimeout):
		return "", errors.New("list our addresses: no answer in time")
	}
	return s.pc.LocalDescription().SDP, nil
}

// api is the WebRTC library with what this viewer is to be sent and nothing else.
func (s *session) api(p *ports, o Options, sound payload) (*webrtc.API, error) {
	if err := p.refresh(); err != nil {
		return nil, err
	}
	var m webrtc.MediaEngine
	if err := m.RegisterCodec(s.video.codec, webrtc.RTPCodecTypeVideo); err != nil {
		return nil, fmt.Errorf("%w: %w", errOffer, err)
	}
	if sound.name != "" {
		if err := m.RegisterCodec(audioCodec(sound), webrtc.RTPCodecTypeAudio); err != nil {
			return nil, fmt.Errorf("%w: %w", errOffer, err)
		}
	}
	resend, err := nack.NewResponderInterceptor(nack.ResponderSize(resendPackets))
	if err != nil {
		return nil, err
	}
	reports, err := report.NewSenderInterceptor()
	if err != nil {
		return nil, err
	}
	var around interceptor.Registry
	around.Add(resend)
	around.Add(reports)

	var e webrtc.SettingEngine
	e.LoggerFactory = p.log
	e.SetLite(true)
	e.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6, webrtc.NetworkTypeTCP4, webrtc.NetworkTypeTCP6})
	e.SetICEUDPMux(p)
	if tcp := p.byTCP(); tcp != nil {
		e.SetICETCPMux(tcp)
	}
	e.SetIPFilter(p.offered)
	e.SetIncludeLoopbackCandidate(o.Loopback)
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	e.DisableActiveTCP(true)
	e.SetICETimeouts(s.patience.silent, s.patience.gone, time.Second)
	return webrtc.NewAPI(webrtc.WithMediaEngine(&m), webrtc.WithInterceptorRegistry(&around), webrtc.WithSettingEngine(e)), nil
}

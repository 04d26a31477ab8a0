package live

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/watchward/watchward/internal/media"
)

// chromiumOffer has what Chromium 156 offers to receive, shortened: sound first,
// H.264 in four profiles by two modes, other codecs between.
const chromiumOffer = `v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
a=extmap-allow-mixed
a=msid-semantic: WMS
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=ice-ufrag:5h4H
a=ice-pwd:XMoVyXsbjWxN5MDS6pYp4r8q
a=ice-options:trickle
a=fingerprint:sha-256 0F:74:31:25:CB:A2:13:EC:28:6F:6D:2C:61:FF:5D:C2:BC:B9:DB:3D:98:14:8D:1A:BB:EA:33:0C:A4:60:A8:8E
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=recvonly
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:13 CN/8000
a=rtpmap:110 telephone-event/48000
a=rtpmap:126 telephone-event/8000
m=video 9 UDP/TLS/RTP/SAVPF 96 97 103 104 107 108 109 114 115 116 117 118 39 40
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=candidate:1 1 udp 2113937151 10.0.0.7 9 typ host
a=candidate:2 1 tcp 1518280447 169.254.169.254 80 typ host tcptype passive
a=ice-ufrag:5h4H
a=ice-pwd:XMoVyXsbjWxN5MDS6pYp4r8q
a=fingerprint:sha-256 0F:74:31:25:CB:A2:13:EC:28:6F:6D:2C:61:FF:5D:C2:BC:B9:DB:3D:98:14:8D:1A:BB:EA:33:0C:A4:60:A8:8E
a=setup:actpass
a=mid:1
a=recvonly
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 nack
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=rtpmap:103 H264/90000
a=rtcp-fb:103 goog-remb
a=rtcp-fb:103 transport-cc
a=rtcp-fb:103 ccm fir
a=rtcp-fb:103 nack
a=rtcp-fb:103 nack pli
a=fmtp:103 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f
a=rtpmap:104 rtx/90000
a=fmtp:104 apt=103
a=rtpmap:107 H264/90000
a=fmtp:107 level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42001f
a=rtpmap:109 H264/90000
a=rtcp-fb:109 nack pli
a=fmtp:109 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
a=rtpmap:115 H264/90000
a=fmtp:115 level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f
a=rtpmap:117 H264/90000
a=fmtp:117 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=4d001f
a=rtpmap:39 AV1/90000
a=rtpmap:118 H264/90000
a=fmtp:118 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=64001f
`

func crlf(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") }

func TestPickVideo(t *testing.T) {
	firefox := crlf(strings.NewReplacer("42001f", "zz001f", "4d001f", "4d1f", "64001f", "").Replace(chromiumOffer))
	for _, tt := range []struct {
		name, offer, sps string
		want             uint8
	}{
		{"Constrained Baseline", chromiumOffer, "6742c01e", 109},
		{"Baseline", chromiumOffer, "6742001e", 103},
		{"Main that is Constrained Baseline", chromiumOffer, "674d801e", 109},
		{"Main", chromiumOffer, "674d0028", 117},
		{"Main, flag 1 set as most cameras do", chromiumOffer, "674d4028", 117},
		{"High", chromiumOffer, "67640028", 118},
		{"Constrained High", chromiumOffer, "67640c28", 118},
		{"High 4:2:2", chromiumOffer, "677a0028", 118},
		{"no parameter set", chromiumOffer, "", 118},
		// Firefox offers one profile and shows all.
		{"High where only Constrained Baseline is offered", firefox, "67640028", 109},
	} {
		o, err := readOffer(tt.offer)
		if err != nil {
			t.Fatal(err)
		}
		f := &media.Format{Codec: media.H264}
		if tt.sps != "" {
			f.ParameterSets = [][]byte{unhex(t, tt.sps)}
		}
		if p, ok := o.pickVideo(f); !ok || p.number != tt.want {
			t.Errorf("%s: format %d %t, want %d", tt.name, p.number, ok, tt.want)
		}
	}
}

func TestPickAudio(t *testing.T) {
	o, err := readOffer(chromiumOffer)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		f    *media.Format
		want int // -1: none
	}{
		{"Opus", &media.Format{Codec: media.Opus, ClockRate: 48000, Channels: 1}, 111},
		{"µ-law", &media.Format{Codec: media.PCMU, ClockRate: 8000, Channels: 1}, 0},
		{"A-law", &media.Format{Codec: media.PCMA, ClockRate: 8000, Channels: 1}, 8},
		{"A-law at 16 kHz", &media.Format{Codec: media.PCMA, ClockRate: 16000, Channels: 1}, -1},
		{"µ-law, two channels", &media.Format{Codec: media.PCMU, ClockRate: 8000, Channels: 2}, -1},
		{"AAC", &media.Format{Codec: media.AAC, ClockRate: 16000}, -1},
		{"none", nil, -1},
	} {
		p, ok := o.pickAudio(tt.f)
		if ok != (tt.want >= 0) || ok && int(p.number) != tt.want {
			t.Errorf("%s: format %d %t, want %d", tt.name, p.number, ok, tt.want)
		}
	}
}

func TestReduceKeepsOnlyWhatIsNeeded(t *testing.T) {
	o, err := readOffer(crlf(chromiumOffer))
	if err != nil {
		t.Fatal(err)
	}
	video, _ := o.pickVideo(h264(t, baseSPS, basePPS))
	sound, _ := o.anyAudio()
	text, err := o.reduce(video, sound, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, gone := range []string{"candidate", "169.254", "extmap", "VP8", "red/", "trickle", "4611731400430051336"} {
		if strings.Contains(text, gone) {
			t.Errorf("%q is still in it:\n%s", gone, text)
		}
	}
	for _, there := range []string{
		"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n", "a=inactive\r\n", "m=video 9 UDP/TLS/RTP/SAVPF 109\r\n", "a=recvonly\r\n",
		"a=rtpmap:109 H264/90000\r\n", "a=group:BUNDLE 0 1\r\n", "a=rtcp-fb:109 nack pli\r\n",
		"a=fmtp:109 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n",
	} {
		if !strings.Contains(text, there) {
			t.Errorf("%q is not in it:\n%s", there, text)
		}
	}
}

func TestReadOfferRefuses(t *testing.T) {
	for _, tt := range []struct{ name, offer string }{
		{"empty", ""},
		{"no media", "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"},
		{"too long", chromiumOffer + strings.Repeat("a=x\n", offerLimit)},
		{"data channel", strings.Replace(chromiumOffer, "m=audio 9 UDP/TLS/RTP/SAVPF", "m=application 9 UDP/TLS/RTP/SAVPF", 1)},
		{"two video sections", strings.Replace(chromiumOffer, "m=audio", "m=video", 1)},
		{"not secured", strings.Replace(chromiumOffer, "UDP/TLS/RTP/SAVPF", "RTP/AVP", 1)},
		{"long attribute", chromiumOffer + "a=ice-pwd:" + strings.Repeat("x", valueLimit+1) + "\n"},
		{"many attributes", chromiumOffer + strings.Repeat("a=recvonly\n", attrLimit)},
		{"many formats", strings.Replace(chromiumOffer, " 96 ", strings.Repeat(" 96", payloadsLimit)+" ", 1)},
	} {
		if _, err := readOffer(tt.offer); !errors.Is(err, errOffer) {
			t.Errorf("%s: %v, want a refusal", tt.name, err)
		}
	}
}

// FuzzOffer reads offers and, where one can be answered, writes it anew: what is
// written must be read again, the same and no longer.
func FuzzOffer(f *testing.F) {
	f.Add(chromiumOffer)
	f.Add(crlf(chromiumOffer))
	f.Add("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 0 8 200 x\r\na=rtpmap:0\r\na=rtpmap:8 H264/\r\n")
	stream := h264(f, highSPS, highPPS)
	f.Fuzz(func(t *testing.T, text string) {
		o, err := readOffer(text)
		if err != nil {
			return
		}
		video, ok := o.pickVideo(stream)
		if !ok {
			return
		}
		sound, _ := o.anyAudio()
		written, err := o.reduce(video, sound, false)
		if err != nil {
			return
		}
		again, err := readOffer(written)
		if err != nil {
			t.Fatalf("%v\n%q", err, written)
		}
		if p, ok := again.pickVideo(stream); !ok || fmt.Sprint(p) != fmt.Sprint(video) {
			t.Fatalf("read again: %v %t, want %v\n%q", p, ok, video, written)
		}
	})
}

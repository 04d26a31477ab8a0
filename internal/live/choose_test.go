package live

import (
	"fmt"
	"strings"
	"testing"

	"github.com/watchward/watchward/internal/media"
)

// offered makes a stream that has published samples of the given formats, in
// the order of coding if shuffled is false.
func offered(t testing.TB, shuffled bool, formats ...*media.Format) *media.Stream {
	st := new(media.Stream)
	order := []int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
	if shuffled {
		order = []int64{0, 3, 1, 2, 6, 4, 5, 9, 7, 8, 12, 10}
	}
	for i, pts := range order {
		for track, f := range formats {
			if f == nil {
				continue
			}
			s := media.NewSample([]byte{0, 0, 0, 1, 0x65})
			s.Track, s.Format, s.Keyframe = track, f, i == 0
			s.DTS, s.PTS = int64(i)*3600, (pts+2)*3600
			st.Publish(s)
		}
	}
	return st
}

func hevc() *media.Format {
	return &media.Format{Codec: media.H265, ClockRate: 90000, Width: 640, Height: 360}
}

func TestChoose(t *testing.T) {
	avc := h264(t, baseSPS, basePPS)
	high := h264(t, highSPS, highPPS)
	jpeg := &media.Format{Codec: media.MJPEG, ClockRate: 90000}
	aac := &media.Format{Codec: media.AAC, ClockRate: 16000, SampleRate: 16000, Channels: 1, Config: []byte{0x14, 0x08}}
	opus := &media.Format{Codec: media.Opus, ClockRate: 48000, SampleRate: 48000, Channels: 2}
	ulaw := &media.Format{Codec: media.PCMU, ClockRate: 8000, SampleRate: 8000, Channels: 1}
	wide := &media.Format{Codec: media.PCMA, ClockRate: 16000, SampleRate: 16000, Channels: 1}
	streams := map[string]*media.Stream{
		"avc/main":        offered(t, false, avc),
		"avc-aac/main":    offered(t, false, avc, aac),
		"avc-opus/main":   offered(t, false, avc, opus),
		"avc-ulaw/main":   offered(t, false, avc, ulaw),
		"avc-wide/main":   offered(t, false, avc, wide),
		"bframes/main":    offered(t, true, high),
		"bframes-aac/sub": offered(t, true, high, aac),
		"hevc/main":       offered(t, false, hevc()),
		"hevc/sub":        offered(t, false, avc, ulaw),
		"hevc-aac/main":   offered(t, false, hevc(), aac),
		"hevc-ulaw/main":  offered(t, false, hevc(), ulaw),
		"hevc-both/main":  offered(t, false, hevc()),
		"hevc-both/sub":   offered(t, false, hevc()),
		"hevc-wait/main":  offered(t, false, hevc()),
		"hevc-wait/sub":   new(media.Stream),
		"hevc-sub/main":   offered(t, false, avc),
		"hevc-sub/sub":    offered(t, false, hevc()),
		"hevc-jpeg/main":  offered(t, false, hevc()),
		"hevc-jpeg/sub":   offered(t, false, jpeg),
		"jpeg/main":       offered(t, false, jpeg, ulaw),
		"waiting/main":    new(media.Stream),
	}
	l, err := New(Options{Streams: func(camera, stream string) (*media.Stream, bool) {
		st, ok := streams[camera+"/"+stream]
		return st, ok
	}})
	if err != nil {
		t.Fatal(err)
	}
	l.networked = func() bool { return true }
	const all, chromium = "webrtc,h264,h265,aac,opus", "webrtc,h264,aac,opus"
	for _, tt := range []struct{ camera, want, can, way, stream, codec, why string }{
		{"avc", "main", all, "webrtc", "main", "avc1.42c01e", ""},
		{"avc", "sub", all, "webrtc", "main", "avc1.42c01e", ""}, // it has no other
		{"avc", "main", "h264", "fmp4", "main", "avc1.42c01e", ""},
		{"avc", "main", "", "none", "main", "avc1.42c01e", "no-h264"},
		{"avc", "main", "h265,aac,teleport", "none", "main", "avc1.42c01e", "no-h264"},

		{"avc-aac", "main", all, "fmp4", "main", "avc1.42c01e,mp4a.40.2", "audio-fmp4"},
		{"avc-aac", "main", "h264,aac", "fmp4", "main", "avc1.42c01e,mp4a.40.2", ""},
		{"avc-aac", "main", all + ",mute", "webrtc", "main", "avc1.42c01e", ""},
		{"avc-aac", "main", "webrtc,h264", "webrtc", "main", "avc1.42c01e", "no-audio"},
		{"avc-aac", "main", "h264", "fmp4", "main", "avc1.42c01e", "no-audio"},
		{"avc-opus", "main", all, "webrtc", "main", "avc1.42c01e,opus", ""},
		{"avc-opus", "main", "h264,opus", "fmp4", "main", "avc1.42c01e,opus", ""},
		{"avc-ulaw", "main", all, "webrtc", "main", "avc1.42c01e", ""},
		{"avc-ulaw", "main", "h264,aac", "fmp4", "main", "avc1.42c01e", "no-audio"},
		{"avc-wide", "main", all, "webrtc", "main", "avc1.42c01e", "no-audio"}, // G.711 at 16 kHz

		{"bframes", "main", all, "fmp4", "main", "avc1.64001e", "b-frames"},
		{"bframes", "main", "webrtc", "none", "main", "avc1.64001e", "no-h264"},
		{"bframes-aac", "main", all, "fmp4", "sub", "avc1.64001e,mp4a.40.2", "b-frames"},
		{"bframes-aac", "sub", "webrtc,h264", "fmp4", "sub", "avc1.64001e", "no-audio"},

		{"hevc", "main", all, "fmp4", "main", "", ""},
		{"hevc", "main", chromium, "webrtc", "sub", "avc1.42c01e", "h265-sub"},
		{"hevc", "main", "h264", "fmp4", "sub", "avc1.42c01e", "h265-sub"},
		{"hevc", "sub", chromium, "webrtc", "sub", "avc1.42c01e", ""},
		{"hevc", "main", "", "none", "main", "", "no-h265"},
		{"hevc-aac", "main", all, "fmp4", "main", "mp4a.40.2", ""},
		{"hevc-aac", "main", "h265", "fmp4", "main", "", "no-audio"},
		{"hevc-ulaw", "main", all, "fmp4", "main", "", "no-audio"},
		{"hevc-aac", "main", chromium, "none", "main", "", "no-h265"},
		{"hevc-both", "main", chromium, "none", "main", "", "no-h265"},
		{"hevc-wait", "main", chromium, "none", "main", "", "offline"},
		{"hevc-sub", "sub", chromium, "webrtc", "main", "avc1.42c01e", "h265-main"},
		{"hevc-jpeg", "main", chromium, "pictures", "sub", "jpeg", "h265-sub"},

		{"jpeg", "main", all, "pictures", "main", "jpeg", "pictures"},
		{"jpeg", "main", "", "pictures", "main", "jpeg", "pictures"},
		{"waiting", "main", all, "none", "main", "", "offline"},
		{"nowhere", "main", all, "none", "main", "", "offline"},
	} {
		got := l.Choose(tt.camera, tt.want, ParseCan(tt.can))
		// H.265 names need parameter sets that these streams do not have.
		got.Codec = strings.Trim(strings.ReplaceAll(got.Codec, "hvc1", ""), ",")
		if want := (Choice{tt.way, tt.stream, tt.codec, Why(tt.why)}); got != want {
			t.Errorf("%s/%s in a browser with %q: %+v, want %+v", tt.camera, tt.want, tt.can, got, want)
		}
	}
}

// TestChooseAlways tries every stream in every browser: no answer may be one
// that the browser cannot show, and none may be refused that it can.
func TestChooseAlways(t *testing.T) {
	avc := h264(t, baseSPS, basePPS)
	aac := &media.Format{Codec: media.AAC, ClockRate: 16000, SampleRate: 16000, Channels: 1, Config: []byte{0x14, 0x08}}
	opus := &media.Format{Codec: media.Opus, ClockRate: 48000, SampleRate: 48000, Channels: 2}
	alaw := &media.Format{Codec: media.PCMA, ClockRate: 8000, SampleRate: 8000, Channels: 1}
	type made struct {
		st         *media.Stream
		codec      media.Codec // 0: nothing yet
		shuffled   bool
		audio      *media.Format
		configured bool
	}
	cases := []made{{}, {st: new(media.Stream), configured: true}}
	for _, audio := range []*media.Format{nil, aac, opus, alaw} {
		for _, video := range []*media.Format{avc, hevc(), {Codec: media.MJPEG, ClockRate: 90000}} {
			cases = append(cases, made{offered(t, false, video, audio), video.Codec, false, audio, true})
		}
		cases = append(cases, made{offered(t, true, avc, audio), media.H264, true, audio, true})
	}
	shows := func(m made, way string, can Can) bool {
		switch way {
		case WayWebRTC:
			return m.codec == media.H264 && !m.shuffled && can.WebRTC
		case WayFMP4:
			return m.codec == media.H264 && can.H264 || m.codec == media.H265 && can.H265
		case WayPictures:
			return m.codec == media.MJPEG
		}
		return false
	}
	for i, main := range cases {
		for j, sub := range cases {
			l, err := New(Options{Streams: func(_, stream string) (*media.Stream, bool) {
				if stream == "main" {
					return main.st, main.configured
				}
				return sub.st, sub.configured
			}})
			if err != nil {
				t.Fatal(err)
			}
			l.networked = func() bool { return true }
			for bits := range 64 {
				on := func(n int) bool { return bits>>n&1 == 1 }
				can := Can{WebRTC: on(0), H264: on(1), H265: on(2), AAC: on(3), Opus: on(4), Mute: on(5)}
				for _, want := range []string{"main", "sub"} {
					got := l.Choose("gate", want, can)
					what := fmt.Sprintf("main %d, sub %d, %s, %+v: %+v", i, j, want, can, got)
					m := main
					if got.Stream == "sub" {
						m = sub
					}
					if got.Way != WayNone {
						if !shows(m, got.Way, can) {
							t.Fatalf("%s: cannot be shown", what)
						}
						if got.Stream != want && got.Why == "" && main.configured && sub.configured {
							t.Fatalf("%s: another stream, and nothing said", what)
						}
						continue
					}
					if got.Why == "" {
						t.Fatalf("%s: nothing, and no reason", what)
					}
					wanted := main
					if want == "sub" && sub.configured || !main.configured {
						wanted = sub
					}
					for _, way := range []string{WayWebRTC, WayFMP4, WayPictures} {
						if shows(wanted, way, can) {
							t.Fatalf("%s: could be shown by %s", what, way)
						}
					}
				}
			}
		}
	}
}

func TestChooseWithoutNetwork(t *testing.T) {
	st := offered(t, false, h264(t, baseSPS, basePPS))
	l, err := New(Options{Streams: func(string, string) (*media.Stream, bool) { return st, true }})
	if err != nil {
		t.Fatal(err)
	}
	l.networked = func() bool { return false }
	if got := l.Choose("gate", "main", ParseCan("webrtc,h264")); got.Way != WayFMP4 || got.Why != "" {
		t.Errorf("%+v, want fMP4 and nothing to say", got)
	}
}

func TestParseCan(t *testing.T) {
	if got := ParseCan(strings.Repeat("h264,", 100)); got != (Can{}) {
		t.Errorf("overlong: %+v", got)
	}
	if got, want := ParseCan("webrtc,h265,mute,"), (Can{WebRTC: true, H265: true, Mute: true}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

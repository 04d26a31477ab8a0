package live

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/watchward/watchward/internal/media"
	"github.com/watchward/watchward/internal/media/h26x"
)

// Can is what a browser is able to show.
type Can struct {
	WebRTC bool // WebRTC with H.264, and with it Opus and G.711

	// The codecs of its Media Source Extensions.
	H264, H265, AAC, Opus bool

	Mute bool // sound is not wanted, as on a wall of many tiles
}

// ParseCan reads the words of the query "can=webrtc,h264,h265,aac,opus,mute".
// Words it does not know are left aside: a newer page may say more.
func ParseCan(query string) Can {
	if len(query) > 256 {
		return Can{}
	}
	has := func(word string) bool { return slices.Contains(strings.Split(query, ","), word) }
	return Can{WebRTC: has("webrtc"), H264: has("h264"), H265: has("h265"), AAC: has("aac"), Opus: has("opus"), Mute: has("mute")}
}

// Why is a code for what a tile has to tell about a [Choice]; the words are the
// page's. Empty means that there is nothing to tell.
type Why string

// The codes.
const (
	WhyH265Sub   Why = "h265-sub"     // the browser has no H.265: this is the H.264 sub stream
	WhyH265Main  Why = "h265-main"    // likewise the main stream instead of an H.265 sub stream
	WhyOther     Why = "other-stream" // the browser cannot show the stream wanted: this is the camera's other one
	WhyNoH265    Why = "no-h265"      // the browser has no H.265 and the camera nothing else
	WhyNoH264    Why = "no-h264"      // the browser has no H.264 by any way
	WhyAudioFMP4 Why = "audio-fmp4"   // fMP4, a little later than WebRTC, for the sake of AAC
	WhyOrder     Why = "b-frames"     // fMP4, because the pictures are coded out of order
	WhyNoAudio   Why = "no-audio"     // the camera's sound cannot be had by this way
	WhyPictures  Why = "pictures"     // the camera makes JPEG pictures
	WhyOffline   Why = "offline"      // nothing has come from the camera yet
)

// Choice is the way to show a camera.
type Choice struct {
	Way    string // one of the Way constants
	Stream string // the stream to ask for, which may not be the one wanted
	Codec  string // RFC 6381 names as far as there are any, "jpeg" for pictures
	Why    Why
}

// Choose picks the way to show camera's stream want in a browser that can do
// what can says: WebRTC where it carries everything, as it is the quickest; fMP4
// where only that does; another stream of the camera when the browser cannot
// show the one wanted at all.
func (l *Live) Choose(camera, want string, can Can) Choice {
	can.WebRTC = can.WebRTC && l.networked()
	other := "sub"
	if want == other {
		other = "main"
	}
	st, ok := l.o.Streams(camera, want)
	if !ok {
		// A camera with one stream shows that, whatever the page asks for.
		if st, ok = l.o.Streams(camera, other); !ok {
			return Choice{Way: WayNone, Stream: want, Why: WhyOffline}
		}
		want, other = other, ""
	}
	first := l.way(st, can)
	first.Stream = want
	if first.Way != WayNone || first.Why == WhyOffline || other == "" {
		return first
	}
	st, ok = l.o.Streams(camera, other)
	if !ok {
		return first
	}
	switch second := l.way(st, can); {
	case second.Why == WhyOffline:
		return Choice{Way: WayNone, Stream: want, Codec: first.Codec, Why: WhyOffline}
	case second.Way == WayNone:
		return first
	default:
		second.Stream = other
		// That it is another stream is worth more than what else there is to say.
		switch {
		case first.Why != WhyNoH265:
			second.Why = WhyOther
		case other == "main":
			second.Why = WhyH265Main
		default:
			second.Why = WhyH265Sub
		}
		return second
	}
}

// way picks the way for one stream.
func (l *Live) way(st *media.Stream, can Can) Choice {
	video, audio := tracks(st.Formats())
	if video == nil {
		return Choice{Way: WayNone, Why: WhyOffline}
	}
	if can.Mute {
		audio = nil
	}
	switch video.Codec {
	case media.MJPEG:
		return Choice{Way: WayPictures, Codec: "jpeg", Why: WhyPictures}
	case media.H265:
		if !can.H265 {
			return Choice{Way: WayNone, Codec: codecs(video, nil), Why: WhyNoH265}
		}
		return byFMP4(video, audio, can, "")
	}
	ordered := !l.orders.shuffled(st, video)
	heard := audio == nil || byRTP(audio)
	switch {
	case can.WebRTC && ordered && heard:
		return Choice{Way: WayWebRTC, Codec: codecs(video, audio)}
	case can.WebRTC && ordered && !(can.H264 && inMSE(audio, can)):
		// A picture without sound by the quicker way.
		return Choice{Way: WayWebRTC, Codec: codecs(video, nil), Why: WhyNoAudio}
	case !can.H264:
		return Choice{Way: WayNone, Codec: codecs(video, nil), Why: WhyNoH264}
	case !ordered:
		return byFMP4(video, audio, can, WhyOrder)
	case can.WebRTC:
		return byFMP4(video, audio, can, WhyAudioFMP4)
	default:
		return byFMP4(video, audio, can, "")
	}
}

func byFMP4(video, audio *media.Format, can Can, why Why) Choice {
	if audio != nil && !inMSE(audio, can) {
		audio, why = nil, WhyNoAudio
	}
	return Choice{Way: WayFMP4, Codec: codecs(video, audio), Why: why}
}

// inMSE reports whether the browser takes the audio in fMP4.
func inMSE(audio *media.Format, can Can) bool {
	return audio.Codec == media.AAC && can.AAC || audio.Codec == media.Opus && can.Opus
}

// byRTP reports whether WebRTC carries the audio as it is: Opus, and G.711 only
// as of old, one channel at 8 kHz (RFC 7874, 3).
func byRTP(audio *media.Format) bool {
	switch audio.Codec {
	case media.Opus:
		return audio.ClockRate == 48000
	case media.PCMU, media.PCMA:
		return audio.ClockRate == 8000 && audio.Channels <= 1
	}
	return false
}

// tracks finds the first video and the first audio track, nil where there is none.
func tracks(formats []*media.Format) (video, audio *media.Format) {
	for _, f := range formats {
		switch {
		case f == nil:
		case f.Codec.Video() && video == nil:
			video = f
		case !f.Codec.Video() && audio == nil:
			audio = f
		}
	}
	return video, audio
}

// codecs lists the RFC 6381 names of the tracks that have one.
func codecs(video, audio *media.Format) string {
	var names []string
	for _, f := range []*media.Format{video, audio} {
		if f == nil {
			continue
		}
		if name := h26x.CodecString(f); name != "" {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}

// enoughSamples is how many samples in order prove that a stream does not
// shuffle, whatever its parameter sets allow. Encoders use no more than a few
// B-frames in a row.
const enoughSamples = 10

// orders remembers whether streams were seen to code pictures out of order.
type orders struct {
	mu   sync.Mutex
	seen map[*media.Stream]order
}

type order struct {
	format   *media.Format
	shuffled bool
}

// shuffled reports whether pictures of the stream are coded in another order
// than they are shown. What was seen counts more than what the parameter sets
// allow: many cameras leave the sentence out that would promise order, and send
// no B-frame in their lives.
func (o *orders) shuffled(st *media.Stream, video *media.Format) bool {
	o.mu.Lock()
	known, ok := o.seen[st]
	o.mu.Unlock()
	if ok && known.format == video {
		return known.shuffled
	}
	var p orderProbe
	st.Watch(&p)()
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.shuffled, p.count >= enoughSamples:
		o.mu.Lock()
		if o.seen == nil || len(o.seen) > 1<<12 { // streams come and go; no more is kept than an estate has
			o.seen = map[*media.Stream]order{}
		}
		o.seen[st] = order{video, p.shuffled}
		o.mu.Unlock()
		return p.shuffled
	default:
		return mayShuffle(video)
	}
}

func mayShuffle(video *media.Format) bool {
	if video.Codec != media.H264 || len(video.ParameterSets) == 0 {
		return false
	}
	info, err := h26x.ParseSPS264(video.ParameterSets[0])
	return err == nil && info.Reorder > 0
}

// orderProbe looks at the samples a stream has at hand.
type orderProbe struct {
	mu       sync.Mutex // a publisher may still call after the probe let go
	count    int
	last     int64
	shuffled bool
}

// Sample looks at one sample.
func (p *orderProbe) Sample(s *media.Sample) {
	if !s.Format.Codec.Video() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.count > 0 && s.PTS <= p.last {
		p.shuffled = true
	}
	p.count++
	p.last = max(p.last, s.PTS)
}

// Break is of no interest.
func (p *orderProbe) Break(media.Reason, time.Time) {}

package rtsp

import (
	"bytes"
	"encoding/csv"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchward/watchward/internal/camera/rtp"
	"github.com/watchward/watchward/internal/media"
)

// sharedFolder is the folder of shared material, or skips the test.
func sharedFolder(t testing.TB, name string) string {
	t.Helper()
	root := os.Getenv("WATCHWARD_SHARED")
	if root == "" {
		root = filepath.Join("..", "..", "..", "..", "shared")
	}
	p := filepath.Join(root, name)
	if _, err := os.Stat(p); err != nil {
		t.Skipf("no shared material: %v", err)
	}
	return p
}

// quirkFiles lists the files that the index of quirks names.
func quirkFiles(t testing.TB) (dir string, files []string) {
	t.Helper()
	dir = sharedFolder(t, "rtsp-quirks")
	f, err := os.Open(filepath.Join(dir, "index.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows[1:] {
		files = append(files, row[0])
	}
	if len(files) == 0 {
		t.Fatal("the index lists no file")
	}
	return dir, files
}

// messagesOf reads all messages of a quirk file: whole ones, or lone headers.
func messagesOf(t testing.TB, text []byte) []*Message {
	t.Helper()
	text = bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
	var all []*Message
	for rest := append(text, "\r\n\r\n"...); len(bytes.TrimSpace(rest)) > 0; {
		first, _, _ := bytes.Cut(bytes.TrimLeft(rest, "\r\n"), []byte("\r\n"))
		if !bytes.Contains(first, []byte("RTSP/1.0")) { // headers alone, or notes like "SETUP response: Transport: ..."
			line := string(first)
			if _, after, ok := strings.Cut(line, "response:"); ok {
				line = after
			}
			name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			all = append(all, &Message{Code: 200, Header: Header{{name, strings.TrimSpace(value)}}})
			rest = bytes.TrimLeft(rest, "\r\n")[len(first):]
			continue
		}
		m, after, err := ParseMessage(rest)
		if err != nil {
			// Fixtures fetched as text lost the carriage returns that their
			// Content-Length counts: the body is then what is left.
			head, body, _ := bytes.Cut(rest, []byte("\r\n\r\n"))
			head = removeLength(head)
			if m, _, err = ParseMessage(append(head, "\r\n\r\n"...)); err != nil {
				t.Fatalf("message %q: %v", clip(string(first), 60), err)
			}
			m.Body, after = body, nil
		}
		all = append(all, m)
		rest = after
	}
	return all
}

func removeLength(head []byte) []byte {
	var out [][]byte
	for _, l := range bytes.Split(head, []byte("\r\n")) {
		if !bytes.HasPrefix(bytes.ToLower(l), []byte("content-length")) {
			out = append(out, l)
		}
	}
	return bytes.Join(out, []byte("\r\n"))
}

// TestQuirks reads every oddity collected from real cameras. Of files it knows,
// it wants the exact meaning; any other must at least be understood.
func TestQuirks(t *testing.T) {
	dir, files := quirkFiles(t)
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil {
				t.Fatal(err)
			}
			switch filepath.Ext(file) {
			case ".sdp":
				d, err := ParseDescription(text)
				if err != nil {
					t.Fatal(err)
				}
				checkDescription(t, file, d)
			case ".hex":
				checkHex(t, file, text)
			case ".rtsp":
				for _, m := range messagesOf(t, text) {
					checkMessage(t, file, m)
				}
			}
		})
	}
}

// wantTracks is what the descriptions of known files hold: video codec, whether
// parameter sets are whole, picture size announced, audio codec and clock.
var wantTracks = map[string]struct {
	video    media.Codec
	sets     int
	control  string // of the video track, under rtsp://cam/base
	audio    media.Codec
	rate     int
	channels int
}{
	"anjvision_describe.rtsp":            {media.H265, 3, "rtsp://cam:554/stream0/trackID=1", 0, 0, 0},
	"anpviz_sdp.sdp":                     {media.H264, 2, "rtsp://cam/base/trackID=1", media.AAC, 16000, 1},
	"avigilon_501.sdp":                   {media.H264, 0, "rtsp://cam/defaultPr", media.PCMU, 8000, 1},
	"bosch_632.sdp":                      {media.H264, 2, "rtsp://cam:554/?inst=2&h26x=4&stream=video", 0, 0, 0},
	"dahua_describe_h264_aac_onvif.rtsp": {media.H264, 2, "rtsp://cam:554/cam/realmonitor?channel=1&subtype=1&unicast=true&proto=Onvif/trackID=0", media.AAC, 48000, 1},
	"dahua_describe_h265_pcma.rtsp":      {media.H265, 3, "rtsp://cam/cam/realmonitor?channel=1&subtype=2/trackID=0", media.PCMA, 8000, 1},
	"flir_timing.sdp":                    {media.H264, 2, "rtsp://cam/sid=96&overlay=on", 0, 0, 0},
	"gw_main_describe.rtsp":              {media.H264, 2, "rtsp://cam:5050/H264?channel=1&subtype=0&unicast=true&proto=Onvif/video", media.PCMU, 8000, 1},
	"gw_sub_describe.rtsp":               {media.H264, 2, "rtsp://cam:5049/H264?channel=1&subtype=1&unicast=true&proto=Onvif/video", 0, 0, 0},
	"wisenet_nvr.sdp":                    {media.H264, 2, "rtsp://cam/base/trackID=0", 0, 0, 0},
	"hik_pcm_48k.sdp":                    {media.H264, 2, "rtsp://cam:554/Streaming/channels/101/trackID=1", 0, 0, 0},
	"hikvision_describe.rtsp":            {media.H264, 2, "rtsp://cam:554/Streaming/Channels/101/trackID=1?transportmode=unicast&profile=Profile_1", 0, 0, 0},
	"hik_media_server.sdp":               {media.H264, 2, "rtsp://cam/base/trackID=video", 0, 0, 0},
	"hik_playback_clock_range.sdp":       {media.H264, 0, "rtsp://cam/base/trackID=video", media.AAC, 32000, 1},
	"ids_ueye_sendonly.sdp":              {media.H264, 2, "rtsp://cam/video=video1", 0, 0, 0},
	"ioi_trk101.sdp":                     {0, 0, "", 0, 0, 0},
	"livereporter_75.sdp":                {media.H264, 2, "rtsp://cam/base/streamid=0", media.AAC, 48000, 1},
	"ipcam_describe.rtsp":                {media.H264, 2, "rtsp://cam/base/trackID=1", 0, 0, 0},
	"decimal_origin.sdp":                 {media.H264, 2, "rtsp://cam/base", 0, 0, 0},
	"reolink_backchannel.sdp":            {media.H264, 2, "rtsp://cam/base/track1", media.AAC, 16000, 1},
	"rbslive_origin.sdp":                 {media.H264, 2, "rtsp://cam/base/track1", media.AAC, 48000, 2},
	"tplink_509.sdp":                     {0, 0, "", 0, 0, 0},
	"tplink_h265_describe.rtsp":          {media.H265, 3, "rtsp://cam:554/stream1/track1", media.PCMA, 8000, 1},
	"tplink_sdp.sdp":                     {media.H265, 3, "rtsp://cam/base/track1", media.PCMA, 8000, 1},
	"vcp_ipc_no_address.sdp":             {media.H264, 2, "rtsp://cam/media/video1/video", 0, 0, 0},
	"no_v0.sdp":                          {media.H264, 0, "rtsp://cam/base/trackID=0", 0, 0, 0},
	"rr_bitrate.sdp":                     {media.H264, 2, "rtsp://cam/base", media.AAC, 22050, 1},
	"ycam_2708.sdp":                      {0, 0, "", 0, 0, 0},
	"mjpeg_vana.sdp":                     {media.MJPEG, 0, "rtsp://cam/base/track1", media.PCMU, 8000, 1},
}

func checkDescription(t *testing.T, file string, d *Description) {
	t.Helper()
	if d.Medias == nil {
		t.Fatal("no media section")
	}
	base, _ := parseAddress("rtsp://cam/base")
	checkTracks(t, file, d, base)
}

func checkTracks(t *testing.T, file string, d *Description, base address) {
	t.Helper()
	video, audio := d.Tracks()
	want, known := wantTracks[file]
	if !known {
		return
	}
	if (video != nil) != (want.video != 0) || (audio != nil) != (want.audio != 0) {
		t.Fatalf("video %v, audio %v: want %v and %v", video, audio, want.video, want.audio)
	}
	if video != nil {
		if c := video.Config; c.Codec != want.video || len(c.ParameterSets) != want.sets || c.ClockRate != 90000 {
			t.Errorf("video %v, %d parameter sets, %d Hz: want %v, %d", c.Codec, len(c.ParameterSets), c.ClockRate, want.video, want.sets)
		}
		control := base.join(video.Media.Control)
		if video.Media.Control == "" {
			control = base.join(d.Control)
		}
		// The fixtures' cameras live elsewhere: only the place on the camera counts.
		got := control.String()
		if want.control != "" && strings.ReplaceAll(got, "rtsp://cam:554", "rtsp://cam") != stripPort(want.control) {
			t.Errorf("video is asked for at %q, want %q", got, want.control)
		}
		if video.Config.ParameterSets != nil {
			r := rtp.NewReceiver(&video.Config, nil, nil)
			if f, _ := r.Formats(); f == nil || f.Width < 100 || f.Height < 100 {
				t.Errorf("format from the description: %+v", f)
			}
		}
	}
	if audio != nil {
		if c := audio.Config; c.Codec != want.audio || c.ClockRate != want.rate || c.Channels != want.channels {
			t.Errorf("audio %v, %d Hz, %d channels: want %v, %d, %d", c.Codec, c.ClockRate, c.Channels, want.audio, want.rate, want.channels)
		}
	}
}

// stripPort drops the port of an address at host cam: a camera's own port says
// nothing about where we reach it.
func stripPort(s string) string {
	a, err := parseAddress(s)
	if err != nil {
		return s
	}
	a.port = ""
	return a.String()
}

func checkMessage(t *testing.T, file string, m *Message) {
	t.Helper()
	if len(m.Body) > 0 {
		d, err := ParseDescription(m.Body)
		if err != nil {
			t.Fatal(err)
		}
		base, _ := parseAddress("rtsp://cam/base")
		if b, ok := base.at(m.Header.Get("Content-Base")); ok {
			base = b
		}
		if base.host != "cam" {
			t.Errorf("Content-Base leads to host %q", base.host)
		}
		checkTracks(t, file, d, base)
	}
	if m.Code == 401 {
		checkChallenges(t, file, m)
	}
	checkHeaders(t, file, m.Header)
}

func checkChallenges(t *testing.T, file string, m *Message) {
	t.Helper()
	offers := ParseChallenges(m.Header.Values("WWW-Authenticate"))
	if file == "tplink_uri_credentials.rtsp" { // quoted without its challenge
		return
	}
	if len(offers) == 0 || offers[0].Scheme != "digest" || offers[0].Nonce == "" || offers[0].Realm == "" {
		t.Errorf("challenges %+v: want a digest first", offers)
	}
	if file == "hik_basic_and_digest.rtsp" && (len(offers) != 2 || offers[0].Realm != "IP Camera(C1214)" || offers[0].Stale) {
		t.Errorf("challenges %+v", offers)
	}
}

// checkHeaders compares single headers of known files, and reads those of all.
func checkHeaders(t *testing.T, file string, h Header) {
	t.Helper()
	if v := h.Get("WWW-Authenticate"); v != "" && len(ParseChallenges([]string{v})) == 0 {
		t.Errorf("no challenge in %q", v)
	}
	if v := h.Get("Session"); v != "" {
		s, ok := ParseSession(v)
		if !ok || strings.ContainsAny(s.ID, "; ") {
			t.Errorf("session %q of %q", s.ID, v)
		}
		want, known := map[string]time.Duration{
			"gw_main_play.rtsp": 120 * time.Second, "gw_main_setup_video.rtsp": 60 * time.Second, "gw_sub_play.rtsp": 120 * time.Second,
			"hikvision_setup.rtsp": 60 * time.Second, "dahua_setup.rtsp": 60 * time.Second, "dahua_play.rtsp": 0,
			"session_header_echoed_with_timeout.rtsp": 64 * time.Second,
		}[file]
		if known && s.Timeout != want {
			t.Errorf("timeout %s, want %s", s.Timeout, want)
		}
	}
	if v := h.Get("Transport"); v != "" {
		checkTransport(t, file, ParseTransport(v))
	}
	if v := h.Get("RTP-Info"); v != "" {
		checkInfo(t, file, ParseRTPInfo(v))
	}
}

func checkTransport(t *testing.T, file string, got TransportHeader) {
	t.Helper()
	none := [2]int{-1, -1}
	want, known := map[string]TransportHeader{
		"dahua_setup.rtsp":                {TCP: true, Interleaved: [2]int{0, 1}, SSRC: 0x30A98EE7, HasSSRC: true},
		"dahua_ssrc_spaces.rtsp":          {TCP: true, Interleaved: [2]int{0, 1}, SSRC: 0xD93FF, HasSSRC: true},
		"hikvision_setup.rtsp":            {TCP: true, Interleaved: [2]int{0, 1}, SSRC: 0x4cacc3d1, HasSSRC: true},
		"gw_main_setup_audio.rtsp":        {TCP: true, Interleaved: [2]int{2, 3}, Source: "192.168.1.110"},
		"luckfox_rkipc_setup_tcp.rtsp":    {TCP: true, Interleaved: [2]int{0, 1}, SSRC: 0x22345684, HasSSRC: true},
		"luckfox_rkipc_setup_udp.rtsp":    {Interleaved: none, ClientPort: [2]int{54060, 54061}, ServerPort: [2]int{49152, 49153}, SSRC: 0x22345685, HasSSRC: true},
		"transport_decimal_ssrc.rtsp":     {Interleaved: none, ClientPort: [2]int{14236, 14237}, ServerPort: [2]int{56002, 56003}, Source: "172.16.8.2", SSRC: 1449463210, HasSSRC: true},
		"server_changes_interleaved.rtsp": {TCP: true, Interleaved: [2]int{4, 5}},
	}[file]
	if known && got != want {
		t.Errorf("transport %+v, want %+v", got, want)
	}
	if !got.TCP && got.ServerPort[0] == 0 {
		t.Errorf("transport %+v: neither channels nor ports", got)
	}
}

func checkInfo(t *testing.T, file string, got []RTPInfo) {
	t.Helper()
	want, known := map[string][]RTPInfo{
		"axis_rtp_info.rtsp": {
			{"rtsp://10.13.146.53/axis-media/media.amp/trackID=1", 58477, true, 1020884293, true},
			{"rtsp://10.13.146.53/axis-media/media.amp/trackID=2", 15727, true, 1171661503, true},
		},
		"laureii_play.rtsp":    {{"rtsp://192.168.1.19:554/0/main/trackID=0", 0, true, 0, true}},
		"rtp_info_no_seq.rtsp": {{"rtsp://127.0.0.1/test.mkv/track1", 0, false, 717574556, true}},
		"hikvision_play.rtsp":  {{"rtsp://192.168.5.106:554/Streaming/Channels/101/trackID=1?transportmode=unicast&profile=Profile_1", 24104, true, 1270711678, true}},
		"dahua_play.rtsp":      {{"trackID=0", 47121, true, 3475222385, true}, {"trackID=1", 45186, true, 2234446919, true}, {"trackID=4", 36583, true, 816418535, true}},
	}[file]
	if known && !slices.Equal(got, want) {
		t.Errorf("RTP-Info %+v, want %+v", got, want)
	}
	if len(got) == 0 {
		t.Error("RTP-Info without an entry")
	}
}

// sampleSink keeps the samples of a receiver.
type sampleSink struct{ samples [][]byte }

func (s *sampleSink) Sample(m *media.Sample) {
	s.samples = append(s.samples, bytes.Clone(m.Data))
	m.Release()
}
func (s *sampleSink) Break(media.Reason, time.Time) {}

// checkHex feeds packets, one a line, to a receiver of H.264.
func checkHex(t *testing.T, file string, text []byte) {
	t.Helper()
	sets := decodeSets([]string{"Z2QAFqyyAYBvTUGBgZAAAAMAEAAAAwFA8WLkgA==", "aOvBMsiw"})
	var sink sampleSink
	r := rtp.NewReceiver(&rtp.Config{Codec: media.H264, PayloadType: 96, ClockRate: 90000, ParameterSets: sets}, nil, &sink)
	seq, now := 0x49a5-1, time.Now()
	feed := func(b []byte) { now = now.Add(40 * time.Millisecond); r.RTP(0, b, now) }
	// A keyframe first, or nothing would be published.
	feed([]byte{0x80, 0xe0, byte(seq >> 8), byte(seq), 0x56, 0x73, 0x68, 0, 0x46, 0x6b, 0, 0, 0x65, 0x88, 0x84})
	n := 0
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		b, err := hex.DecodeString(line)
		if err != nil {
			t.Fatal(err)
		}
		feed(b)
		n++
	}
	if n == 0 || r.Stats().Bad > 0 {
		t.Errorf("%d packets, %d of them bad", n, r.Stats().Bad)
	}
	if file == "costarhd_fua_start_end.hex" {
		want, _ := hex.DecodeString("0000000521e700cafe")
		if len(sink.samples) != 2 || !bytes.Equal(sink.samples[1], want) {
			t.Errorf("samples %x, want the second to be %x", sink.samples, want)
		}
	}
}

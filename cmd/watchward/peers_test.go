package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/seal"
)

// clip is one file of the shared footage, as ffprobe sees it.
type clip struct {
	path         string
	codec        string
	size         string // WIDTHxHEIGHT
	audio        string // codec, "" for none
	length       time.Duration
	camera, site string // in our estate
	frames       []string
}

func (c clip) name() string { return filepath.Base(c.path) }

// TestPeersPlayForUs records what a third party's RTSP server plays, all codecs
// at once, and opens it with other people's programs: age, ffprobe, ffmpeg. The
// pictures must be the source's, each of them, bit for bit.
//
// GStreamer plays a clip once from its beginning and ends the session with a
// BYE, on which we come back and it begins anew: what was recorded before the
// first gap is one whole clip, or the beginning of a long one.
func TestPeersPlayForUs(t *testing.T) {
	if testing.Short() {
		t.Skip("plays footage for half a minute")
	}
	for _, program := range []string{"age", "ffprobe", "ffmpeg"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
	python := peerPython(t)
	clips := sharedClips(t)
	id, err := seal.GenerateIdentity(seal.Classic) // Debian's age knows no hybrid
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{cfg: DefaultConfig(), seed: demoSeed{Recipient: id.Recipient()}}
	r.cfg.Data, r.cfg.Listen, r.cfg.Log.Level = filepath.Join(t.TempDir(), "data"), "127.0.0.1:0", "error"
	for _, c := range clips {
		r.seed.Cameras = append(r.seed.Cameras, demoCamera{
			Site: "Peers", Name: c.name(), Main: "rtsp://127.0.0.1:" + startPeer(t, python, c) + "/cam",
			Username: "cam", Password: "watch-test", Audio: c.audio != "",
		})
	}
	r.start(t)
	begun := time.Now()
	known, err := r.estate.Cameras(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range clips {
		for _, k := range known {
			if k.Name == clips[i].name() {
				clips[i].site, clips[i].camera = k.Site, k.ID
			}
		}
		clips[i].frames = frames(t, clips[i].path) // while they play
	}
	for _, c := range clips {
		if c.length < 32*time.Second {
			await(t, c.name()+" was played to its end", func() bool {
				_, whole := firstRun(t, r.archive, c.id())
				return whole
			})
		}
	}
	t.Logf("recorded for %s", time.Since(begun).Round(time.Second))
	r.end()

	d := demoProcess{dir: r.cfg.Data}
	d.check(t)
	identity := filepath.Join(t.TempDir(), "identity")
	if err := os.WriteFile(identity, []byte(id.Reveal()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := d.open(t)
	for _, c := range clips {
		t.Run(c.name(), func(t *testing.T) {
			t.Parallel()
			c.compare(t, a, d.dir, identity)
		})
	}
}

func (c clip) id() archive.StreamID {
	return archive.StreamID{Site: c.site, Camera: c.camera, Stream: archive.Main}
}

// firstRun is what was recorded up to the first gap after it, and whether there
// is such a gap.
func firstRun(t *testing.T, a *archive.Archive, id archive.StreamID) (run []archive.Segment, whole bool) {
	t.Helper()
	tl := everything(t, a, id)
	all, err := a.List(t.Context(), id, time.Unix(0, 0), time.Now().Add(time.Hour), 100)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		return nil, false
	}
	for _, g := range tl.Gaps {
		if g.Start.After(all[0].Start) {
			i := slices.IndexFunc(all, func(s archive.Segment) bool { return !s.Start.Before(g.Start) })
			if i < 0 {
				i = len(all)
			}
			return all[:i], true
		}
	}
	return all, false
}

// compare opens the first run of a clip and holds it against the source.
func (c clip) compare(t *testing.T, a *archive.Archive, dir, identity string) {
	run, whole := firstRun(t, a, c.id())
	if len(run) == 0 {
		t.Fatal("nothing was recorded")
	}
	var got []string
	var sound, span time.Duration
	for _, s := range run {
		file := ageOpen(t, dir, identity, s.Name())
		seen := probe(t, file)
		if seen.codec != c.codec || seen.size != c.size || seen.audio != c.audio {
			t.Errorf("recorded %s %s %s, want %s %s %s", seen.codec, seen.size, seen.audio, c.codec, c.size, c.audio)
		}
		got = append(got, frames(t, file)...)
		span += s.Duration
		if c.audio != "" {
			sound += soundLength(t, file)
		}
	}
	want := c.frames
	if !whole {
		want = want[:min(len(got), len(want))]
		if span < 20*time.Second {
			t.Errorf("recorded %s, want 20s at least", span)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d frames recorded, want %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Errorf("frame %d is not the source's", i)
			break
		}
	}
	if c.audio != "" && (sound < span-time.Second || sound > span+time.Second) {
		t.Errorf("%s of sound to %s of pictures", sound, span)
	}
	t.Logf("%s %s %s: %d of %d frames in %s, %s of sound", c.codec, c.size, c.audio, len(got), len(c.frames), span, sound)
}

// ageOpen opens a segment with Debian's age, as the documentation says.
func ageOpen(t *testing.T, dir, identity, segment string) string {
	t.Helper()
	tmp := t.TempDir()
	day, plain := filepath.Join(tmp, "day"), filepath.Join(tmp, "segment.mp4")
	key := filepath.Join(dir, "keys", filepath.FromSlash(filepath.ToSlash(filepath.Dir(segment)))+".key.age")
	for _, args := range [][]string{
		{"-d", "-i", identity, "-o", day, key},
		{"-d", "-i", day, "-o", plain, filepath.Join(dir, "archive", filepath.FromSlash(segment))},
	} {
		if out, err := exec.Command("age", args...).CombinedOutput(); err != nil {
			t.Fatalf("age %q: %v\n%s", args, err, out)
		}
	}
	return plain
}

// sharedClips are the files of the shared footage that its index names.
func sharedClips(t *testing.T) []clip {
	t.Helper()
	dir := filepath.Join(cmp.Or(os.Getenv("WATCHWARD_SHARED"), filepath.Join("..", "..", "..", "shared")), "video")
	index, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Skipf("no shared footage: %v", err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.*"))
	if err != nil {
		t.Fatal(err)
	}
	var clips []clip
	for _, f := range files {
		if bytes.Contains(index, []byte("| "+filepath.Base(f)+" |")) {
			clips = append(clips, probe(t, f))
		}
	}
	if len(clips) == 0 {
		t.Skipf("no footage in %s", dir)
	}
	return clips
}

func probe(t *testing.T, file string) clip {
	t.Helper()
	out, err := exec.Command("ffprobe", "-v", "error", "-show_entries", "stream=codec_type,codec_name,width,height:format=duration", "-of", "json", file).CombinedOutput()
	if err != nil {
		t.Fatalf("ffprobe %s: %v\n%s", file, err, out)
	}
	var found struct {
		Streams []struct {
			Type          string `json:"codec_type"`
			Name          string `json:"codec_name"`
			Width, Height int
		}
		Format struct{ Duration string }
	}
	if err := json.Unmarshal(out, &found); err != nil {
		t.Fatal(err)
	}
	c := clip{path: file}
	for _, s := range found.Streams {
		if s.Type == "video" {
			c.codec, c.size = s.Name, fmt.Sprintf("%dx%d", s.Width, s.Height)
		} else if s.Type == "audio" {
			c.audio = s.Name
		}
	}
	seconds, _ := strconv.ParseFloat(found.Format.Duration, 64)
	c.length = time.Duration(seconds * float64(time.Second))
	return c
}

// frames are the hashes of a file's decoded pictures. That ffmpeg decodes
// pictures and sound without a word of complaint is part of it.
func frames(t *testing.T, file string) []string {
	t.Helper()
	var out, said bytes.Buffer
	cmd := exec.Command("ffmpeg", "-v", "error", "-i", file, "-map", "0:v:0", "-fps_mode", "passthrough", "-f", "framemd5", "-", "-map", "0:a?", "-f", "null", "-")
	if p := probe(t, file); p.audio == "" {
		cmd.Args = cmd.Args[:len(cmd.Args)-5]
	}
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil || said.Len() > 0 {
		t.Errorf("ffmpeg finds fault with %s: %v\n%s", file, err, &said)
	}
	var list []string
	for line := range strings.Lines(out.String()) {
		if fields := strings.Split(line, ","); !strings.HasPrefix(line, "#") && len(fields) == 6 {
			list = append(list, strings.TrimSpace(fields[5]))
		}
	}
	return list
}

func soundLength(t *testing.T, file string) time.Duration {
	t.Helper()
	out, err := exec.Command("ffprobe", "-v", "error", "-select_streams", "a", "-show_entries", "packet=duration_time", "-of", "csv=p=0", file).Output()
	if err != nil {
		t.Fatalf("ffprobe %s: %v", file, err)
	}
	var sum float64
	for line := range strings.Lines(string(out)) {
		seconds, _ := strconv.ParseFloat(strings.Trim(line, ",\n"), 64)
		sum += seconds
	}
	return time.Duration(sum * float64(time.Second))
}

// peerPython is a Python that has GStreamer's RTSP server, or skips the test.
func peerPython(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(name, "-c", "import gi; gi.require_version('GstRtspServer','1.0'); from gi.repository import GstRtspServer").Run() == nil {
			return name
		}
	}
	t.Skip("python3 with gi and GstRtspServer is not installed")
	return ""
}

// startPeer plays a clip from GStreamer's RTSP server, with Digest, to whoever
// asks, each time from the beginning. It returns the port.
func startPeer(t *testing.T, python string, c clip) string {
	t.Helper()
	demux := map[string]string{".mp4": "qtdemux", ".mkv": "matroskademux", ".avi": "avidemux"}[filepath.Ext(c.path)]
	video := map[string]string{
		"h264":  "h264parse config-interval=-1 ! rtph264pay name=pay0 pt=96",
		"hevc":  "h265parse config-interval=-1 ! rtph265pay name=pay0 pt=96",
		"mjpeg": "jpegparse ! rtpjpegpay name=pay0 pt=26",
	}[c.codec]
	if demux == "" || video == "" {
		t.Fatalf("%s: no pipeline for %s", c.name(), c.codec)
	}
	launch := fmt.Sprintf(`( filesrc location="%s" ! %s ! %s )`, c.path, demux, video)
	if c.audio != "" {
		audio := map[string]string{
			"aac": "aacparse ! rtpmp4gpay name=pay1 pt=97", "pcm_alaw": "rtppcmapay name=pay1 pt=8", "pcm_mulaw": "rtppcmupay name=pay1 pt=0",
		}[c.audio]
		if audio == "" {
			t.Fatalf("%s: no pipeline for %s", c.name(), c.audio)
		}
		launch = fmt.Sprintf(`( filesrc location="%s" ! %s name=d d. ! queue ! %s d. ! queue ! %s )`, c.path, demux, video, audio)
	}
	cmd := exec.Command(python, filepath.Join("..", "..", "internal", "camera", "testdata", "peer.py"), "digest", launch)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	port, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("GStreamer's server says no port: %v", err)
	}
	return strings.TrimSpace(port)
}

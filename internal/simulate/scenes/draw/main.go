// Command draw paints the scenes that the simulated town's cameras show.
//
// It needs ffmpeg with libx264 and libx265, and is run by hand after a scene
// was changed, in its own folder:
//
//	go run . -out ../media -list ../movement.csv            all scenes
//	go run . -out ../media -list ../movement.csv lobby      one of them
//	go run . -still /tmp/lobby.png -at 4.5 lobby            one picture, to look at
//
// What moves when is written once, in the scene's own moves: they drive the
// drawing and make the list.
package main

import (
	"encoding/csv"
	"flag"
	"fmt"
	"image"
	"image/png"
	"log"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
)

const (
	width, height = 1280, 720
	fps           = 15
)

// scene is one loop. Back is painted once, frame on top of a copy of it.
type scene struct {
	name, title string
	seconds     float64
	h265        bool   // main stream
	audio       string // "", "aac" or "ulaw"
	crf         int    // 0: the usual
	bframes     int
	night       bool
	moves       []move
	back        func(c *canvas)
	frame       func(c *canvas, t float64)
}

// move is something that moves from start to end.
type move struct {
	start, end  float64
	label, what string // label: motion, or minor for what need not count
}

func scenes() []*scene {
	return []*scene{
		harbourGate(), marketSquare(), highStreet(), schoolCrossing(), carPark(),
		lobby(), corridor(), loadingBay(), riverBridge(), schoolYard(),
	}
}

func main() {
	log.SetFlags(0)
	out := flag.String("out", "", "folder for the encoded scenes")
	list := flag.String("list", "", "file for the list of movements")
	still := flag.String("still", "", "write one picture here instead")
	at := flag.Float64("at", 0, "second of that picture")
	flag.Parse()
	for _, s := range scenes() {
		if flag.NArg() > 0 && !slices.Contains(flag.Args(), s.name) {
			continue
		}
		if *still != "" {
			if err := s.still(*still, *at); err != nil {
				log.Fatal(err)
			}
			continue
		}
		if *out != "" {
			if err := s.encode(*out); err != nil {
				log.Fatalf("scene %q: %v", s.name, err)
			}
		}
	}
	if *list != "" {
		if err := writeList(*list); err != nil {
			log.Fatal(err)
		}
	}
}

// painter draws the frames of one scene.
type painter struct {
	s    *scene
	c    *canvas
	back *image.RGBA
}

func newPainter(s *scene) *painter {
	p := &painter{s: s, c: newCanvas()}
	s.back(p.c)
	grain(p.c.img)
	for i := 3; i < len(p.c.img.Pix); i += 4 {
		p.c.img.Pix[i] = 255 // rounding of many layers leaves 254 here and there
	}
	p.back = image.NewRGBA(p.c.img.Rect)
	copy(p.back.Pix, p.c.img.Pix)
	return p
}

func (p *painter) paint(t float64) *image.RGBA {
	copy(p.c.img.Pix, p.back.Pix)
	p.c.t = t
	p.s.frame(p.c, t)
	p.overlay(t)
	return p.c.img
}

// overlay burns in the camera's name and the loop's clock.
func (p *painter) overlay(t float64) {
	c := p.c
	w := c.text(-2000, 0, 24, p.s.title, white)
	c.round(24, 22, w+44, 42, 10, alpha(hex(0x10141c), .58))
	c.disc(43, 43, 5, hex(0xff5b4d))
	c.text(57, 51, 24, p.s.title, hex(0xf5f7fa))
	clock := fmt.Sprintf("%02d:%04.1f", int(t)/60, math.Mod(t, 60))
	c.round(width-136, 22, 112, 42, 10, alpha(hex(0x10141c), .58))
	for i, r := range clock { // each in a place of its own, so that nothing jitters
		x := float64(width-121) + float64(i)*13.2
		if r == ':' || r == '.' {
			x += 4
		}
		c.text(x, 51, 24, string(r), hex(0xf5f7fa))
	}
}

// grain lays a fine, unmoving texture over a background: paper, not plastic.
func grain(img *image.RGBA) {
	seed := uint32(7)
	for y := 0; y < height; y += 2 {
		for x := 0; x < width; x += 2 {
			seed = seed*1664525 + 1013904223
			d := int(seed>>29) - 3
			for k := range 4 {
				o := img.PixOffset(x+k%2, y+k/2)
				for i := range 3 {
					img.Pix[o+i] = byte(max(0, min(255, int(img.Pix[o+i])+d/3)))
				}
			}
		}
	}
}

func (s *scene) still(path string, at float64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return png.Encode(f, newPainter(s).paint(at))
}

// encode pipes the frames to ffmpeg, which makes main and sub stream at once.
func (s *scene) encode(dir string) error {
	ext := ".mp4"
	args := []string{
		"-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgba", "-s", fmt.Sprintf("%dx%d", width, height),
		"-r", strconv.Itoa(fps), "-i", "-",
	}
	if s.audio != "" {
		wav, err := s.sound()
		if err != nil {
			return err
		}
		defer os.Remove(wav)
		args = append(args, "-i", wav)
	}
	common := []string{
		"-pix_fmt", "yuv420p", "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv",
		"-movflags", "+faststart", "-map_metadata", "-1", "-fflags", "+bitexact",
	}
	crf := s.crf
	if crf == 0 {
		crf = 30
	}
	main := []string{
		"-map", "0:v", "-vf", "scale=out_color_matrix=bt709:out_range=tv", "-c:v", "libx264", "-profile:v", "high", "-preset", "slow", "-tune", "animation",
		"-x264-params", "sliced-threads=0:open-gop=0", "-bf", strconv.Itoa(s.bframes), "-g", "30", "-keyint_min", "30", "-sc_threshold", "0", "-crf", strconv.Itoa(crf),
	}
	if s.h265 {
		main = []string{
			"-map", "0:v", "-vf", "scale=out_color_matrix=bt709:out_range=tv", "-c:v", "libx265", "-preset", "slow", "-tag:v", "hvc1",
			"-x265-params", "log-level=error:keyint=30:min-keyint=30:scenecut=0:bframes=0:open-gop=0:repeat-headers=0", "-crf", strconv.Itoa(crf),
		}
	}
	switch s.audio {
	case "aac":
		main = append(main, "-map", "1:a", "-c:a", "aac", "-b:a", "32k", "-ar", "16000", "-ac", "1")
	case "ulaw":
		main = append(main, "-map", "1:a", "-c:a", "pcm_mulaw", "-ar", "8000", "-ac", "1")
		ext = ".mkv"
	}
	sub := []string{
		"-map", "0:v", "-vf", "scale=640:360:flags=area:out_color_matrix=bt709:out_range=tv", "-c:v", "libx264", "-profile:v", "main", "-preset", "slow", "-tune", "animation",
		"-bf", "0", "-g", "15", "-keyint_min", "15", "-sc_threshold", "0", "-crf", strconv.Itoa(crf + 3),
	}
	args = append(append(args, main...), common...)
	args = append(args, filepath.Join(dir, s.name+"-main"+ext))
	args = append(append(args, sub...), common...)
	args = append(args, filepath.Join(dir, s.name+"-sub.mp4"))
	return s.pipe(args)
}

func (s *scene) pipe(args []string) error {
	cmd := exec.Command("ffmpeg", args...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	p := newPainter(s)
	for i := range int(s.seconds * fps) {
		if _, err := in.Write(p.paint(float64(i) / fps).Pix); err != nil {
			break
		}
	}
	in.Close()
	return cmd.Wait()
}

// writeList makes movement.csv: every move, and as "none" the time in which
// there is no motion (there may be minor movement then).
func writeList(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := csv.NewWriter(f)
	_ = w.Write([]string{"scene", "start_s", "end_s", "label", "what"})
	num := func(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }
	for _, s := range scenes() {
		moves := slices.Clone(s.moves)
		slices.SortStableFunc(moves, func(a, b move) int { return int(math.Copysign(1, a.start-b.start)) })
		till := 0.0
		rows := moves
		for _, m := range moves {
			if m.label != "motion" {
				continue
			}
			if m.start > till {
				rows = append(rows, move{till, m.start, "none", "nobody about"})
			}
			till = max(till, m.end)
		}
		if till < s.seconds {
			rows = append(rows, move{till, s.seconds, "none", "nobody about"})
		}
		slices.SortStableFunc(rows, func(a, b move) int {
			if a.start == b.start {
				return 0
			}
			return int(math.Copysign(1, a.start-b.start))
		})
		for _, m := range rows {
			_ = w.Write([]string{s.name, num(m.start), num(m.end), m.label, m.what})
		}
	}
	w.Flush()
	return w.Error()
}

// during says how far a move is at t, from 0 to 1, and whether it is on.
func (s *scene) during(i int, t float64) (float64, bool) {
	m := s.moves[i]
	return (t - m.start) / (m.end - m.start), t >= m.start && t <= m.end
}

// span is how far t is between a and b, held at 0 and 1.
func span(t, a, b float64) float64 { return max(0, min(1, (t-a)/(b-a))) }

// ease starts and stops gently.
func ease(k float64) float64 { return k * k * (3 - 2*k) }

func lerp(a, b, k float64) float64 { return a + (b-a)*k }

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/watchward/watchward/internal/media"
	"github.com/watchward/watchward/internal/media/fmp4"
)

// makeSample has ffmpeg make the clip once, the very one of the MediaMTX
// baseline: 60 s, 1080p25, H.264 High, 4 Mbit/s, a keyframe every 2 s, no B pictures.
func makeSample(ctx context.Context, out string) (string, error) {
	clip, parts := filepath.Join(out, "sample.mp4"), filepath.Join(out, "sample-parts.mp4")
	if _, err := os.Stat(parts); err == nil {
		return parts, nil
	}
	fmt.Fprintln(os.Stderr, "making the sample, once")
	for _, args := range [][]string{
		{
			"-f", "lavfi", "-i", "testsrc2=size=1920x1080:rate=25:duration=60,noise=alls=12:allf=t",
			"-c:v", "libx264", "-preset", "veryfast", "-profile:v", "high", "-pix_fmt", "yuv420p", "-bf", "0", "-g", "50",
			"-keyint_min", "50", "-sc_threshold", "0", "-b:v", "4M", "-minrate", "4M", "-maxrate", "4M", "-bufsize", "4M",
			"-x264-params", "nal-hrd=cbr:force-cfr=1", "-movflags", "+faststart", clip,
		},
		{"-i", clip, "-c", "copy", "-movflags", "frag_keyframe+empty_moov+default_base_moof", parts},
	} {
		cmd := exec.CommandContext(ctx, "ffmpeg", append([]string{"-hide_banner", "-loglevel", "error", "-y"}, args...)...)
		if text, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("ffmpeg: %w: %s", err, text)
		}
	}
	return parts, nil
}

// loop is the sample, ready to be sent: for each picture its packets, each
// after the four bytes of RTSP's interleaving, with sequence numbers and times from 0.
type loop struct {
	format *media.Format
	frames []looped
}

type looped struct {
	wire    []byte
	packets []int // offsets in wire
	size    int   // of the NAL units with their lengths: how it will be recorded
}

const payload = 1400

func loadLoop(path string) (*loop, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r, err := fmp4.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, err
	}
	l := &loop{format: r.Formats()[0]}
	for {
		p, err := r.Next()
		if errors.Is(err, io.EOF) {
			return l, nil
		}
		if err != nil {
			return nil, err
		}
		for _, s := range p.Samples {
			data, err := r.Data(s)
			if err != nil {
				return nil, err
			}
			if len(l.frames) == 0 && !s.Key {
				return nil, errors.New("sample does not begin with a keyframe")
			}
			l.frames = append(l.frames, packetize(data))
		}
	}
}

// packetize cuts a picture into RTP packets (RFC 6184, single NAL unit and FU-A).
func packetize(data []byte) (f looped) {
	f.size = len(data)
	packet := func(last bool, parts ...[]byte) {
		f.packets = append(f.packets, len(f.wire))
		n := 12
		for _, p := range parts {
			n += len(p)
		}
		kind := byte(96)
		if last {
			kind |= 0x80
		}
		f.wire = append(f.wire, '$', 0, byte(n>>8), byte(n), 0x80, kind, 0, 0, 0, 0, 0, 0, 0x57, 0x57, 0x57, 0x57)
		for _, p := range parts {
			f.wire = append(f.wire, p...)
		}
	}
	for len(data) > 4 {
		n := int(binary.BigEndian.Uint32(data))
		nal := data[4 : 4+n]
		data = data[4+n:]
		if len(nal) <= payload {
			packet(len(data) == 0, nal)
			continue
		}
		head, rest := nal[0], nal[1:]
		for first := true; len(rest) > 0; first = false {
			cut := min(len(rest), payload-2)
			fu := head & 0x1f
			if first {
				fu |= 0x80
			}
			if cut == len(rest) {
				fu |= 0x40
			}
			packet(len(data) == 0 && cut == len(rest), []byte{head&0xe0 | 28, fu}, rest[:cut])
			rest = rest[cut:]
		}
	}
	return f
}

// source serves the loop to any number of connections, each at its own place.
type source struct {
	loop *loop
	mu   sync.Mutex
	sent map[string]int64 // pictures wholly written, by path
	next int              // connections so far: staggers them
}

func serveSource(ctx context.Context, c config) error {
	l, err := loadLoop(c.address)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s := &source{loop: l, sent: map[string]int64{}}
	fmt.Printf("%q\n", ln.Addr())
	go func() { // ends with the parent
		_, _ = io.Copy(io.Discard, os.Stdin)
		ln.Close()
	}()
	context.AfterFunc(ctx, func() { ln.Close() })
	for {
		conn, err := ln.Accept()
		if err != nil {
			return nil
		}
		go s.serve(conn)
	}
}

func startSource(ctx context.Context, c config, sample string) (*process, string, error) {
	p, err := child(ctx, c, "source", "-address", sample)
	if err != nil {
		return nil, "", err
	}
	var address string
	if err := p.answer(&address); err != nil {
		return nil, "", fmt.Errorf("source: %w", err)
	}
	return p, address, nil
}

// sentFrames asks the source how many pictures went to each path.
func sentFrames(address string) (sent map[string]int64, err error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "COUNT * RTSP/1.0\r\n\r\n"); err != nil {
		return nil, err
	}
	return sent, json.NewDecoder(conn).Decode(&sent)
}

// serve speaks just enough RTSP (RFC 2326) for one player on TCP.
func (s *source) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	playing := false
	for {
		if b, err := in.Peek(1); err == nil && b[0] == '$' { // a receiver report
			head := make([]byte, 4)
			if _, err := io.ReadFull(in, head); err != nil {
				return
			}
			if _, err := in.Discard(int(binary.BigEndian.Uint16(head[2:]))); err != nil {
				return
			}
			continue
		}
		method, uri, seq, err := request(in)
		if err != nil {
			return
		}
		answer := fmt.Sprintf("RTSP/1.0 200 OK\r\nCSeq: %s\r\nSession: 1;timeout=60\r\n", seq)
		switch method {
		case "COUNT":
			s.mu.Lock()
			b, _ := json.Marshal(s.sent)
			s.mu.Unlock()
			_, _ = conn.Write(b)
			return
		case "OPTIONS":
			answer += "Public: OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN\r\n\r\n"
		case "DESCRIBE":
			sdp := s.sdp()
			answer += fmt.Sprintf("Content-Type: application/sdp\r\nContent-Base: %s/\r\nContent-Length: %d\r\n\r\n%s", uri, len(sdp), sdp)
		case "SETUP":
			answer += "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n"
		default:
			answer += "\r\n"
		}
		if playing && method != "TEARDOWN" {
			continue // answers would have to be interleaved with pictures; a keepalive needs none here
		}
		if _, err := io.WriteString(conn, answer); err != nil || method == "TEARDOWN" {
			return
		}
		if method == "PLAY" && !playing {
			playing = true
			s.mu.Lock()
			place := s.next
			s.next++
			s.mu.Unlock()
			go s.play(conn, strings.TrimSuffix(uri[strings.LastIndex(strings.TrimSuffix(uri, "/"), "/")+1:], "/"), place)
		}
	}
}

func request(in *bufio.Reader) (method, uri, seq string, err error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return "", "", "", err
	}
	f := strings.Fields(line)
	if len(f) < 2 {
		return "", "", "", errors.New("not a request")
	}
	for {
		h, err := in.ReadString('\n')
		if err != nil {
			return "", "", "", err
		}
		if h = strings.TrimSpace(h); h == "" {
			return f[0], f[1], seq, nil
		}
		if k, v, _ := strings.Cut(h, ":"); strings.EqualFold(k, "CSeq") {
			seq = strings.TrimSpace(v)
		}
	}
}

func (s *source) sdp() string {
	var sets []string
	for _, nal := range s.loop.format.ParameterSets {
		sets = append(sets, base64.StdEncoding.EncodeToString(nal))
	}
	return "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=bench\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n" +
		"a=fmtp:96 packetization-mode=1;sprop-parameter-sets=" + strings.Join(sets, ",") + "\r\na=control:trackID=0\r\n"
}

// play sends a picture every 40 ms in one write. Connections are spread over
// the 40 ms and over the group of pictures, so that neither bursts nor keyframes
// coincide; each begins with a keyframe. A receiver that is slow gets everything,
// later.
func (s *source) play(conn net.Conn, path string, place int) {
	defer conn.Close()
	const frame = 40 * time.Millisecond
	groups := len(s.loop.frames) / 50
	at := 50 * (place % groups)
	next := time.Now().Truncate(frame).Add(frame + time.Duration(place*7919%4000)*10*time.Microsecond).
		Add(time.Duration(place%50) * frame)
	seq, rtp := uint16(place), uint32(place)*90000
	var buf []byte
	for {
		time.Sleep(time.Until(next))
		next = next.Add(frame)
		f := &s.loop.frames[at]
		at = (at + 1) % len(s.loop.frames)
		buf = append(buf[:0], f.wire...)
		for _, p := range f.packets {
			binary.BigEndian.PutUint16(buf[p+6:], seq)
			binary.BigEndian.PutUint32(buf[p+8:], rtp)
			seq++
		}
		rtp += 3600
		if _, err := conn.Write(buf); err != nil {
			return
		}
		s.mu.Lock()
		s.sent[path]++
		s.mu.Unlock()
	}
}

package simulate

import (
	"bufio"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// startTown runs a town on ports of its own until the test ends.
func startTown(t *testing.T, o Options) *Town {
	t.Helper()
	return startTownAt(t, o, 1)
}

// startTownAt runs a town in which everything happens speed times as fast.
func startTownAt(t *testing.T, o Options, speed int64) *Town {
	t.Helper()
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	o.Log = slog.New(slog.DiscardHandler)
	town, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range town.cameras {
		for _, s := range []*source{c.main, c.sub} {
			for _, p := range s.plans() {
				if speed == 1 || p.clock%speed != 0 || p.dur%speed != 0 {
					continue
				}
				p.dur /= speed
				for i := range p.frames {
					p.frames[i].dts /= speed
					p.frames[i].pts /= speed
					p.frames[i].filler /= int(speed)
				}
			}
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- town.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	select {
	case <-town.Ready():
	case err := <-done:
		t.Fatalf("Run ended: %v", err)
	}
	return town
}

// client is a scripted RTSP client that does just what it is told.
type client struct {
	t       *testing.T
	c       net.Conn // requests
	in      net.Conn // answers; the same but for a tunnel
	r       *bufio.Reader
	info    CameraInfo
	url     string
	seq     int
	session string
	auth    string // the challenge last seen
	tunnel  bool
	packets []packet // seen while waiting for an answer
}

// packet is an interleaved packet.
type packet struct {
	channel byte
	data    []byte
}

func (p packet) seq() uint16   { return binary.BigEndian.Uint16(p.data[2:]) }
func (p packet) time() uint32  { return binary.BigEndian.Uint32(p.data[4:]) }
func (p packet) marker() bool  { return p.data[1]&0x80 != 0 }
func (p packet) body() []byte  { return p.data[12:] }
func (p packet) kind264() byte { return p.data[12] & 31 }

func dial(t *testing.T, info CameraInfo, url string) *client {
	t.Helper()
	host, _, _ := strings.Cut(strings.SplitN(url, "//", 2)[1], "/")
	c, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(url, "rtsps:") {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true}) // a camera's own certificate
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	return &client{t: t, c: c, in: c, r: bufio.NewReader(c), info: info, url: url}
}

type answer struct {
	status  int
	header  map[string][]string
	body    string
	problem error
}

func (a answer) get(key string) string { return strings.Join(a.header[strings.ToLower(key)], "\n") }

// do sends one request, with the login if asked for, and fails unless it is answered 200.
func (c *client) do(method, url string, headers ...string) answer {
	c.t.Helper()
	a := c.try(method, url, headers...)
	if a.status == 401 && c.auth == "" {
		c.auth = a.get("WWW-Authenticate")
		a = c.try(method, url, headers...)
	}
	if a.problem != nil || a.status != 200 {
		c.t.Fatalf("%s %s = %d, %v", method, url, a.status, a.problem)
	}
	return a
}

func (c *client) try(method, url string, headers ...string) answer {
	c.seq++
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s RTSP/1.0\r\nCSeq: %d\r\n", method, url, c.seq)
	if c.session != "" {
		fmt.Fprintf(&b, "Session: %s\r\n", c.session)
	}
	if c.auth != "" {
		fmt.Fprintf(&b, "Authorization: %s\r\n", authorize(c.auth, method, url, c.info.Username, c.info.Password))
	}
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	b.WriteString("\r\n")
	text := b.String()
	if c.tunnel {
		text = base64.StdEncoding.EncodeToString([]byte(text))
	}
	if _, err := io.WriteString(c.c, text); err != nil {
		return answer{problem: err}
	}
	return c.answer()
}

func (c *client) answer() answer {
	for {
		p, err := c.packet()
		if err == errAnswer {
			break
		}
		if err != nil {
			return answer{problem: err}
		}
		c.packets = append(c.packets, p)
	}
	line, err := c.r.ReadString('\n')
	if err != nil {
		return answer{problem: err}
	}
	fields := strings.Fields(line)
	a := answer{header: map[string][]string{}}
	a.status, _ = strconv.Atoi(fields[1])
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return answer{problem: err}
		}
		if line = strings.TrimSpace(line); line == "" {
			break
		}
		key, value, _ := strings.Cut(line, ":")
		key = strings.ToLower(key)
		a.header[key] = append(a.header[key], strings.TrimSpace(value))
	}
	if n, _ := strconv.Atoi(a.get("content-length")); n > 0 {
		body := make([]byte, n)
		if _, err := io.ReadFull(c.r, body); err != nil {
			return answer{problem: err}
		}
		a.body = string(body)
	}
	if s := a.get("session"); s != "" {
		c.session, _, _ = strings.Cut(s, ";")
	}
	return a
}

var errAnswer = fmt.Errorf("an answer comes")

// packet reads the next interleaved packet, or errAnswer before an answer.
func (c *client) packet() (packet, error) {
	first, err := c.r.Peek(1)
	if err != nil {
		return packet{}, err
	}
	if first[0] != '$' {
		return packet{}, errAnswer
	}
	var head [4]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		return packet{}, err
	}
	p := packet{channel: head[1], data: make([]byte, binary.BigEndian.Uint16(head[2:]))}
	_, err = io.ReadFull(c.r, p.data)
	return p, err
}

// next is the next packet of a channel.
func (c *client) next(channel byte) packet {
	c.t.Helper()
	p, err := c.find(channel)
	if err != nil {
		c.t.Fatalf("next packet: %v", err)
	}
	return p
}

func (c *client) find(channel byte) (packet, error) {
	for {
		var p packet
		var err error
		if len(c.packets) > 0 {
			p, c.packets = c.packets[0], c.packets[1:]
		} else if p, err = c.packet(); err != nil {
			return p, err
		}
		if p.channel == channel && len(p.data) > 12 {
			return p, nil
		}
	}
}

// play takes a stream's first track over TCP, and its second if there is one and both is set.
func (c *client) play(both bool) answer {
	c.t.Helper()
	c.do("OPTIONS", c.url)
	c.do("DESCRIBE", c.url)
	c.do("SETUP", c.url+"/trackID=0", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
	if both {
		c.do("SETUP", c.url+"/trackID=1", "Transport: RTP/AVP/TCP;unicast;interleaved=2-3")
	}
	return c.do("PLAY", c.url+"/", "Range: npt=0.000-")
}

// authorize answers a challenge, written from RFC 7616 and 7617.
func authorize(challenge, method, uri, user, password string) string {
	for line := range strings.SplitSeq(challenge, "\n") {
		if !strings.HasPrefix(line, "Digest ") {
			continue
		}
		field := func(name string) string {
			_, rest, _ := strings.Cut(line, name+`="`)
			value, _, _ := strings.Cut(rest, `"`)
			return value
		}
		sum := func(s string) string { h := md5.Sum([]byte(s)); return hex.EncodeToString(h[:]) }
		extra := ""
		if strings.Contains(line, "SHA-256") {
			sum = func(s string) string { h := sha256.Sum256([]byte(s)); return hex.EncodeToString(h[:]) }
			extra = ", algorithm=SHA-256"
		}
		a1, a2 := sum(user+":"+field("realm")+":"+password), sum(method+":"+uri)
		response := sum(a1 + ":" + field("nonce") + ":" + a2)
		if strings.Contains(line, "qop") {
			response = sum(a1 + ":" + field("nonce") + ":00000001:abc:auth:" + a2)
			extra += `, qop=auth, nc=00000001, cnonce="abc"`
		}
		return fmt.Sprintf(`Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s"%s`,
			user, field("realm"), field("nonce"), uri, response, extra)
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

package rtsp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// Config says whom to talk to, and how.
type Config struct {
	URL                string // rtsp:// or rtsps://; credentials in it are ignored
	Username, Password string
	UserAgent          string
	Transport          Transport

	// Dial opens every connection; nil means a plain net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	TLS  *tls.Config // for rtsps; nil means the system's authorities

	// Patience is how long an answer may take; zero means 10 s.
	Patience time.Duration
}

// Transport is how media travels.
type Transport string

// Transports.
const (
	TCP  Transport = "tcp"  // interleaved in the control connection
	UDP  Transport = "udp"  // datagrams
	HTTP Transport = "http" // everything inside two HTTP requests
)

// Client is one session with a camera. It belongs to one goroutine.
type Client struct {
	c       Config
	address address // of the camera; never changes host
	base    address // what controls are relative to
	control address // of the whole stream
	stream  stream
	login   login

	sequence int
	session  string
	timeout  time.Duration
	methods  string // of the Public header
	tracks   []*clientTrack
	playing  bool

	awaited int      // sequence number of the answer awaited, or -1
	answer  *Message // when it came
	stray   int

	aliveAt      time.Time // when the last keepalive was sent
	aliveSeq     int
	aliveOptions bool // OPTIONS keeps alive, since GET_PARAMETER does not
	ended        error
	scratch      []byte
}

type clientTrack struct {
	uri     address
	session string
	udp     *datagrams // nil over TCP
	channel byte       // of RTP; RTCP's is rtcp
	rtcp    byte
}

// defaultTimeout is how long a session lives without a sign of life where the
// camera does not say (RFC 2326, 12.37).
const defaultTimeout = 60 * time.Second

// Connect opens a connection to the camera. Nothing is asked yet.
func Connect(ctx context.Context, c Config) (*Client, error) {
	a, err := parseAddress(c.URL)
	if err != nil {
		return nil, err
	}
	if c.Patience == 0 {
		c.Patience = patience
	}
	if c.Dial == nil {
		c.Dial = (&net.Dialer{}).DialContext
	}
	if c.UserAgent == "" {
		c.UserAgent = "Watchward"
	}
	cl := &Client{c: c, address: a, base: a, control: a, timeout: defaultTimeout, awaited: -1, aliveSeq: -1}
	cl.login = login{user: c.Username, password: c.Password}
	cl.stream.channels = make(map[byte]int)
	cl.stream.messages = cl.message
	if err := cl.dial(ctx); err != nil {
		return nil, err
	}
	return cl, nil
}

// dial opens the control connection.
func (c *Client) dial(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.c.Patience)
	defer cancel()
	c.stream.records = c.address.secure
	if c.c.Transport == HTTP {
		t, err := openTunnel(ctx, c)
		if err != nil {
			return err
		}
		c.stream.conn = t
		return nil
	}
	conn, err := c.connect(ctx, c.address.dial())
	if err != nil {
		return err
	}
	c.stream.conn = conn
	return nil
}

// connect dials, with TLS where the address says so.
func (c *Client) connect(ctx context.Context, to string) (net.Conn, error) {
	conn, err := c.c.Dial(ctx, "tcp", to)
	if err != nil {
		return nil, fmt.Errorf("connect to %q: %w", to, err)
	}
	s := newSocket(conn)
	if !c.address.secure {
		return s, nil
	}
	config := c.c.TLS
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if config.ServerName == "" {
		config = config.Clone()
		config.ServerName = c.address.host
	}
	t := &secure{Conn: tls.Client(s, config), socket: s}
	if err := t.HandshakeContext(ctx); err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("agree on TLS with %q: %w", to, err)
	}
	return t, nil
}

// secure is TLS above a socket.
type secure struct {
	*tls.Conn
	socket *socket
}

func (s *secure) quiet() error { return s.socket.quiet() }

// Close closes the socket without a TLS goodbye, which could block.
func (s *secure) Close() error { return s.socket.Close() }

// Session is how the camera's session is to be described in a log.
func (c *Client) Session() (timeout time.Duration, methods string) { return c.timeout, c.methods }

// Describe asks what the camera offers. It asks for the methods first; a camera
// that does not know OPTIONS is asked on all the same.
func (c *Client) Describe(ctx context.Context) (*Description, error) {
	if m, err := c.ask(ctx, "OPTIONS", c.address, nil); err == nil {
		c.methods = strings.ToUpper(strings.Join(m.Header.Values("Public"), ","))
	} else if status := (*StatusError)(nil); !errors.As(err, &status) {
		return nil, err
	}
	m, err := c.describe(ctx)
	if err != nil {
		return nil, err
	}
	d, err := ParseDescription(m.Body)
	if err != nil {
		return nil, err
	}
	c.base = c.address
	for _, name := range []string{"Content-Base", "Content-Location"} {
		if b, ok := c.address.at(m.Header.Get(name)); ok {
			c.base = b
			break
		}
	}
	c.control = c.base.join(d.Control)
	return d, nil
}

// maxRedirects is how often a camera may send us elsewhere.
const maxRedirects = 3

func (c *Client) describe(ctx context.Context) (*Message, error) {
	for n := 0; ; n++ {
		m, err := c.ask(ctx, "DESCRIBE", c.address, Header{{"Accept", "application/sdp"}})
		var status *StatusError
		if err == nil || !errors.As(err, &status) || status.Code != 301 && status.Code != 302 {
			return m, err
		}
		if n == maxRedirects {
			return nil, fmt.Errorf("camera redirects more than %d times: %w", maxRedirects, err)
		}
		if err := c.redirect(ctx, m.Header.Get("Location")); err != nil {
			return nil, err
		}
	}
}

// redirect goes where the camera says, but never to another host: whoever owns
// a camera could have us knock at any door of our network. A path on another
// host is looked for on the camera itself, which helps behind address
// translation; TLS is never given up.
func (c *Client) redirect(ctx context.Context, location string) error {
	to, err := parseAddress(location)
	if err != nil {
		return fmt.Errorf("%w: redirect to %q", ErrMessage, clip(location, 80))
	}
	next := c.address
	next.rest = to.rest
	if strings.EqualFold(to.host, c.address.host) {
		next.port = to.port
		next.secure = to.secure || c.address.secure
	}
	moved := next.dial() != c.address.dial() || next.secure != c.address.secure
	if !moved && next.rest == c.address.rest {
		return fmt.Errorf("%w: camera redirects to the address it was asked at", ErrMessage)
	}
	c.address, c.base, c.control = next, next, next
	if !moved {
		return nil
	}
	_ = c.stream.conn.Close()
	c.stream.rest, c.stream.open, c.session = nil, nil, ""
	return c.dial(ctx)
}

// Setup asks for a track; its number is the count of calls before.
func (c *Client) Setup(ctx context.Context, m *Media) error {
	t := &clientTrack{uri: c.base.join(m.Control)}
	if m.Control == "" {
		t.uri = c.control
	}
	i := len(c.tracks)
	want := fmt.Sprintf("RTP/AVP/TCP;unicast;interleaved=%d-%d", 2*i, 2*i+1)
	if c.c.Transport == UDP {
		var err error
		if t.udp, err = newDatagrams(c.stream.conn); err != nil {
			return err
		}
		want = fmt.Sprintf("RTP/AVP;unicast;client_port=%d-%d", t.udp.port, t.udp.port+1)
	}
	answer, err := c.ask(ctx, "SETUP", t.uri, Header{{"Transport", want}})
	if err == nil {
		err = c.accept(t, i, ParseTransport(answer.Header.Get("Transport")))
	}
	if err != nil {
		t.udp.close()
		var status *StatusError
		if errors.As(err, &status) && status.Code == 461 {
			return fmt.Errorf("%w: %w", ErrTransport, err)
		}
		return err
	}
	t.session = c.session
	c.tracks = append(c.tracks, t)
	return nil
}

// accept takes what the camera made of the transport asked for: it may choose
// other channels.
func (c *Client) accept(t *clientTrack, i int, got TransportHeader) error {
	if t.udp != nil {
		if got.TCP {
			return fmt.Errorf("%w: asked for UDP, got TCP", ErrTransport)
		}
		t.udp.server(got.ServerPort)
		return nil
	}
	if !got.TCP && got.ServerPort[0] != 0 {
		return fmt.Errorf("%w: asked for TCP, got UDP", ErrTransport)
	}
	t.channel, t.rtcp = byte(2*i), byte(2*i+1)
	if got.Interleaved[0] >= 0 {
		t.channel, t.rtcp = byte(got.Interleaved[0]), byte(got.Interleaved[1])
	}
	c.stream.channels[t.channel] = 2 * i
	if t.rtcp != t.channel {
		c.stream.channels[t.rtcp] = 2*i + 1
	}
	return nil
}

// Play starts the media; h takes it, from now on and until Close. Packets may
// come before Play returns.
func (c *Client) Play(ctx context.Context, h Handler) error {
	if len(c.tracks) == 0 {
		return errors.New("play: no track was set up")
	}
	c.stream.handler = h
	for _, t := range c.tracks {
		t.udp.punch()
	}
	from := Header{{"Range", "npt=0.000-"}}
	_, err := c.ask(ctx, "PLAY", c.control, from)
	var status *StatusError
	if errors.As(err, &status) && status.Code == 457 { // live: there is no beginning
		_, err = c.ask(ctx, "PLAY", c.control, nil)
	}
	if errors.As(err, &status) && (status.Code == 454 || status.Code == 459 || status.Code == 460) {
		err = c.playEach(ctx)
	}
	if err != nil {
		return err
	}
	c.playing, c.aliveAt = true, time.Now()
	if q, ok := c.stream.conn.(interface{ quiet() error }); ok {
		if err := q.quiet(); err != nil {
			return err
		}
	}
	for _, t := range c.tracks {
		if err := t.udp.quiet(); err != nil {
			return err
		}
	}
	return nil
}

// playEach starts the tracks one by one: Xiongmai gives each a session.
func (c *Client) playEach(ctx context.Context) error {
	for _, t := range c.tracks {
		c.session = t.session
		if _, err := c.ask(ctx, "PLAY", t.uri, nil); err != nil {
			return err
		}
	}
	return nil
}

// ask sends a request and waits for its answer, logging in where the camera
// wants it. On a status other than 200 it returns the answer and a [StatusError].
func (c *Client) ask(ctx context.Context, method string, uri address, extra Header) (*Message, error) {
	for range maxRedirects + 1 {
		m, err := c.exchange(ctx, method, uri, extra)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", method, err)
		}
		if h, ok := ParseSession(m.Header.Get("Session")); ok && m.Code == 200 && method != "OPTIONS" {
			c.session = h.ID
			if h.Timeout > 0 {
				c.timeout = h.Timeout
			}
		}
		switch {
		case m.Code == 200:
			return m, nil
		case m.Code != 401:
			return m, &StatusError{method, m.Code, m.Status}
		case !c.login.challenged(ParseChallenges(m.Header.Values("WWW-Authenticate"))):
			return m, c.refused(&StatusError{method, m.Code, m.Status})
		}
	}
	return nil, fmt.Errorf("%w: it asks again and again", ErrLogin)
}

// refused says what is wrong with the login, without the password.
func (c *Client) refused(err error) error {
	if c.c.Username == "" && c.c.Password == "" {
		return fmt.Errorf("%w: it wants a user name and password, none is set: %w", ErrLogin, err)
	}
	if c.login.use == nil {
		return fmt.Errorf("%w: it offers no way to log in that we know (Digest, Basic): %w", ErrLogin, err)
	}
	return fmt.Errorf("%w: wrong user name or password for user %q: %w", ErrLogin, c.c.Username, err)
}

// send writes a request and returns its number.
func (c *Client) send(method string, uri address, extra Header) (int, error) {
	c.sequence++
	text := uri.String()
	h := Header{{"CSeq", strconv.Itoa(c.sequence)}}
	if a := c.login.authorization(method, text); a != "" {
		h = append(h, Field{"Authorization", a})
	}
	if c.session != "" && method != "DESCRIBE" {
		h = append(h, Field{"Session", c.session})
	}
	h = append(h, extra...)
	h = append(h, Field{"User-Agent", c.c.UserAgent})
	c.scratch = appendRequest(c.scratch[:0], method, text, h)
	_, err := c.stream.conn.Write(c.scratch)
	return c.sequence, err
}

// exchange sends one request and reads until its answer is there, for as long as
// patience lasts in all: a byte now and then buys no more time.
func (c *Client) exchange(ctx context.Context, method string, uri address, extra Header) (*Message, error) {
	deadline := time.Now().Add(c.c.Patience)
	_ = c.stream.conn.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { _ = c.stream.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	n, err := c.send(method, uri, extra)
	if err != nil {
		return nil, err
	}
	c.awaited, c.answer, c.stray = n, nil, 0
	defer func() { c.awaited = -1 }()
	for c.answer == nil {
		if _, err := c.stream.fill(); err != nil {
			switch {
			case ctx.Err() != nil:
				return nil, ctx.Err()
			case isNothing(err):
				return nil, fmt.Errorf("no answer within %s: %w", c.c.Patience, err)
			}
			return nil, err
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("no answer within %s", c.c.Patience)
		}
	}
	return c.answer, nil
}

// message takes whatever the camera says: answers to what we asked, answers to
// keepalives, and requests of its own.
func (c *Client) message(m *Message) error {
	if m.Code == 0 {
		return c.requested(m)
	}
	n := m.Sequence()
	switch {
	case c.awaited >= 0 && (n == c.awaited || n < 0):
		c.answer = m // some leave out the number
	case c.playing && n == c.aliveSeq:
		c.alive(m)
	default:
		if c.stray++; c.stray > maxStray {
			return fmt.Errorf("%w: answers to requests that were never made", ErrMessage)
		}
	}
	return nil
}

// requested answers what the camera asks of us.
func (c *Client) requested(m *Message) error {
	if m.Method == "TEARDOWN" {
		c.ended = ErrEnded
		return nil
	}
	if c.stray++; c.stray > maxStray {
		return fmt.Errorf("%w: too many requests of the camera's own", ErrMessage)
	}
	n := m.Sequence()
	if n < 0 {
		return nil
	}
	status := "501 Not Implemented"
	if m.Method == "OPTIONS" || m.Method == "GET_PARAMETER" || m.Method == "SET_PARAMETER" {
		status = "200 OK"
	}
	_, err := fmt.Fprintf(c.stream.conn, "RTSP/1.0 %s\r\nCSeq: %d\r\n\r\n", status, n)
	return err
}

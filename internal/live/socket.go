package live

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"github.com/watchward/watchward/internal/media"
)

const (
	writeTimeout = 20 * time.Second // for one message; a viewer who takes longer is gone
	quietTimeout = 15 * time.Second // without a message: ask whether he is still there
	// socketBuffer is what the kernel may hold for a viewer, in bytes. Left to
	// itself it would hold seconds of video, which a slow viewer would then see late.
	socketBuffer = 256 << 10
)

// message is the text that says what the binary messages after it are.
type message struct {
	// Kind is "fmp4": an initialization segment follows, then parts;
	// "pictures": JPEG pictures follow; "break": the camera's run ended, for
	// Reason, and what comes next may be long in coming.
	Kind   string       `json:"kind"`
	Codecs string       `json:"codecs,omitempty"` // RFC 6381
	Width  int          `json:"width,omitempty"`
	Height int          `json:"height,omitempty"`
	Why    Why          `json:"why,omitempty"` // WhyNoAudio: the camera has sound that is not sent
	Reason media.Reason `json:"reason,omitempty"`
}

// Socket serves a viewer by WebSocket: a text [message], then an initialization
// segment and parts of fragmented MP4, or JPEG pictures. Another text announces
// that the parameters change. Times in the MP4 begin at 0 and have no holes,
// whatever the viewer missed. Sound is left out with the query "audio=0".
func (l *Live) Socket(w http.ResponseWriter, r *http.Request, camera, stream string) {
	st, ok := l.o.Streams(camera, stream)
	if !ok {
		problem(w, http.StatusNotFound, "No such stream", "")
		return
	}
	way := WayFMP4
	if video, _ := tracks(st.Formats()); video != nil && video.Codec == media.MJPEG {
		way = WayPictures
	}
	v, _, err := l.enter(way, camera, stream, r.RemoteAddr)
	if err != nil {
		l.refuse(w, err)
		return
	}
	defer l.leave(v)
	// Only pages of this server may open it: Accept compares Origin and Host.
	conn, err := websocket.Accept(shallow{w}, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		v.end(err)
		return // Accept has answered
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(1 << 10) // nothing is expected but control frames
	ctx := conn.CloseRead(v.ctx)
	s := &socket{v: v, st: st, conn: conn, mux: muxer{sound: r.URL.Query().Get("audio") != "0"}}
	v.end(s.run(ctx))
}

// shallow is a response whose connection, once taken over, buffers little.
type shallow struct{ http.ResponseWriter }

// Hijack takes over the connection.
func (s shallow) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(s.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	below := conn
	if t, ok := conn.(*tls.Conn); ok {
		below = t.NetConn()
	}
	if t, ok := below.(interface{ SetWriteBuffer(int) error }); ok {
		_ = t.SetWriteBuffer(socketBuffer) // without it a slow viewer is later, not worse
	}
	return conn, rw, nil
}

// socket is one viewer by WebSocket. It belongs to one goroutine.
type socket struct {
	v    *viewer
	st   *media.Stream
	conn *websocket.Conn
	mux  muxer

	batch    []item
	pictures bool // announced
}

// run sends until the viewer or the server ends it.
func (s *socket) run(ctx context.Context) error {
	q := watch(s.st, &s.v.skipped)
	defer q.close()
	quiet := time.NewTimer(quietTimeout)
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-quiet.C:
			if err := s.ping(ctx); err != nil {
				return err
			}
		case <-q.wake:
			s.batch = q.take(s.batch[:0], takeLimit)
			err := s.forward(ctx, s.batch)
			release(s.batch)
			if err != nil {
				return err
			}
		}
		quiet.Reset(quietTimeout)
	}
}

func (s *socket) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return s.conn.Ping(ctx)
}

// forward sends one batch: the newest picture, or all the samples as parts.
func (s *socket) forward(ctx context.Context, items []item) error {
	for len(items) > 0 {
		n := 0
		for n < len(items) && items[n].sample != nil {
			n++
		}
		if err := s.samples(ctx, items[:n]); err != nil {
			return err
		}
		if n == len(items) {
			return nil
		}
		s.mux.drift()
		if err := s.tell(ctx, message{Kind: "break", Reason: items[n].reason}); err != nil {
			return err
		}
		items = items[n+1:]
	}
	return nil
}

func (s *socket) samples(ctx context.Context, items []item) error {
	for i, it := range items {
		switch f := it.sample.Format; {
		case f.Codec == media.MJPEG:
			// Of several pictures that wait only the last is of use.
			if newer(items[i+1:]) {
				s.v.skipped.Add(1)
				continue
			}
			if err := s.picture(ctx, it.sample); err != nil {
				return err
			}
			continue
		case f.Codec.Video() && s.mux.changed(f):
			if err := s.flush(ctx); err != nil {
				return err
			}
			if err := s.announce(ctx, f, items[i:]); err != nil {
				return err
			}
		}
		s.mux.add(it, items[i+1:])
		if s.mux.full() {
			if err := s.flush(ctx); err != nil {
				return err
			}
		}
	}
	return s.flush(ctx)
}

func newer(items []item) bool {
	for _, it := range items {
		if it.sample.Format.Codec == media.MJPEG {
			return true
		}
	}
	return false
}

func (s *socket) picture(ctx context.Context, sample *media.Sample) error {
	if !s.pictures {
		s.pictures = true
		s.mux.video = nil
		if err := s.tell(ctx, message{Kind: WayPictures, Width: sample.Format.Width, Height: sample.Format.Height}); err != nil {
			return err
		}
	}
	if err := s.send(ctx, websocket.MessageBinary, sample.Data); err != nil {
		return err
	}
	s.v.count(sample)
	return nil
}

// announce says what follows and sends the initialization segment.
func (s *socket) announce(ctx context.Context, video *media.Format, items []item) error {
	_, audio := tracks(s.st.Formats())
	init, m, err := s.mux.begin(video, audio, items)
	if err != nil {
		return fmt.Errorf("make initialization segment: %w", err)
	}
	s.pictures = false
	if err := s.tell(ctx, m); err != nil {
		return err
	}
	return s.send(ctx, websocket.MessageBinary, init)
}

func (s *socket) flush(ctx context.Context) error {
	if s.mux.empty() {
		return nil
	}
	header, samples := s.mux.part()
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	w, err := s.conn.Writer(ctx, websocket.MessageBinary)
	if err != nil {
		return err
	}
	_, err = w.Write(header)
	for _, sample := range samples {
		if err == nil {
			_, err = w.Write(sample.Data)
			s.v.count(sample)
		}
	}
	return errors.Join(err, w.Close())
}

func (s *socket) tell(ctx context.Context, m message) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return s.send(ctx, websocket.MessageText, text)
}

func (s *socket) send(ctx context.Context, kind websocket.MessageType, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return s.conn.Write(ctx, kind, data)
}

package discover

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/identify"
)

// streamPaths are where makers keep their streams. They are asked for only at a
// device that says "not found" to a stream that nobody has: at one that asks
// everybody for a login first, they tell nothing.
func streamPaths() []string {
	return []string{
		"/Streaming/Channels/101", "/cam/realmonitor?channel=1&subtype=0", "/unicast/c1/s0/live",
		"/axis-media/media.amp", "/h264Preview_01_main", "/profile2/media.smp", "/rtsp_tunnel",
	}
}

// nobodysPath is a stream that no device has.
const nobodysPath = "/watchward-asks-what-nobody-has"

const (
	maxRTSPHead = 8 << 10
	maxRTSPBody = 32 << 10
	rtspTime    = 3 * time.Second
)

// askRTSP asks a server for its methods and, without a login, for descriptions.
func (h *host) askRTSP(ctx context.Context, port int, c net.Conn) {
	q := &rtspAsker{h: h, port: port, c: c, r: bufio.NewReaderSize(c, 4<<10)}
	defer func() { q.c.Close() }()
	head, _, err := q.ask(ctx, "OPTIONS", "/")
	if len(head) == 0 {
		return
	}
	h.keep(identify.KindRTSPResponse, port, head)
	if err != nil && !q.again(ctx) {
		return
	}
	answer, _, err := q.ask(ctx, "DESCRIBE", "/")
	if len(answer) > 0 {
		h.keep(identify.KindRTSPResponse, port, answer)
	}
	if err != nil && !q.again(ctx) {
		return
	}
	_, nobody, err := q.ask(ctx, "DESCRIBE", nobodysPath)
	if err != nil || nobody != 404 {
		return
	}
	for _, path := range streamPaths() {
		answer, status, err := q.ask(ctx, "DESCRIBE", path)
		if err != nil {
			return
		}
		if status == 200 || status == 401 {
			h.keep(identify.KindRTSPPath, port, []byte(path))
			h.keep(identify.KindRTSPResponse, port, answer)
			return
		}
	}
}

// rtspAsker asks on one connection.
type rtspAsker struct {
	h    *host
	port int
	c    net.Conn
	r    *bufio.Reader
	n    int
}

// again connects anew, for servers that hang up after each answer.
func (q *rtspAsker) again(ctx context.Context) bool {
	c, err := q.h.dial(ctx, q.port)
	if err != nil {
		return false
	}
	q.c.Close()
	q.c, q.r = c, bufio.NewReaderSize(c, 4<<10)
	return true
}

func (q *rtspAsker) ask(ctx context.Context, method, path string) (answer []byte, status int, err error) {
	if err := q.c.SetDeadline(time.Now().Add(rtspTime)); err != nil {
		return nil, 0, err
	}
	stop := context.AfterFunc(ctx, func() { _ = q.c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	q.n++
	accept := ""
	if method == "DESCRIBE" {
		accept = "Accept: application/sdp\r\n"
	}
	address := net.JoinHostPort(q.h.addr.WithZone("").String(), strconv.Itoa(q.port))
	_, err = fmt.Fprintf(q.c, "%s rtsp://%s%s RTSP/1.0\r\nCSeq: %d\r\n%sUser-Agent: Watchward\r\n\r\n", method, address, path, q.n, accept)
	if err != nil {
		return nil, 0, err
	}
	return readRTSP(q.r)
}

var errNotRTSP = errors.New("no answer of RTSP")

// readRTSP reads one answer, as it came; beside an error, what had come.
func readRTSP(r *bufio.Reader) (answer []byte, status int, err error) {
	length := 0
	for {
		line, err := r.ReadSlice('\n')
		first := len(answer) == 0
		answer = append(answer, line...)
		switch {
		case first && !bytes.HasPrefix(line, []byte("RTSP/")):
			return nil, 0, errNotRTSP
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return answer, status, err
		case len(answer) > maxRTSPHead:
			return answer[:maxRTSPHead], status, fmt.Errorf("head of more than %d bytes", maxRTSPHead)
		}
		if first {
			if f := strings.Fields(string(line)); len(f) > 1 {
				status, _ = strconv.Atoi(f[1])
			}
		}
		if name, value, ok := strings.Cut(string(line), ":"); ok && strings.EqualFold(strings.TrimSpace(name), "Content-Length") {
			length, _ = strconv.Atoi(strings.TrimSpace(value))
		}
		if err == nil && len(bytes.TrimRight(line, "\r\n")) == 0 {
			break
		}
	}
	if length <= 0 {
		return answer, status, nil
	}
	body, err := io.ReadAll(io.LimitReader(r, int64(min(length, maxRTSPBody))))
	if err == nil && len(body) < length {
		err = io.ErrUnexpectedEOF
	}
	return append(answer, body...), status, err
}

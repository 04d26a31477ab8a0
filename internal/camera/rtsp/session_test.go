package rtsp

import (
	"bufio"
	"bytes"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/watchward/watchward/internal/camera/rtsp/rtsptest"
)

// counting is a handler that counts.
type counting struct{ rtp, rtcp [2]int }

func (h *counting) RTP(track int, _ []byte, _ time.Time)  { h.rtp[track]++ }
func (h *counting) RTCP(track int, _ []byte, _ time.Time) { h.rtcp[track]++ }

// sessionFiles lists the recorded sessions with real servers.
func sessionFiles(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(sharedFolder(t, "rtsp-quirks/servers"), "*.rtsp"))
	if err != nil || len(files) == 0 {
		t.Skip("no recorded sessions")
	}
	return files
}

// recording is a session as it was: what the server said to each method, in order.
func recording(t *testing.T, text []byte) map[string][]*Message {
	t.Helper()
	answers := map[string][]*Message{}
	method := ""
	for rest := text; len(bytes.TrimSpace(rest)) > 0; {
		rest = bytes.TrimLeft(rest, "\r\n")
		line, _, _ := bytes.Cut(rest, []byte("\n"))
		if !bytes.HasPrefix(rest, []byte("RTSP/")) && !bytes.Contains(line, []byte("RTSP/1.0")) {
			rest = rest[len(line):]
			continue
		}
		m, after, err := ParseMessage(rest)
		if err != nil { // text files lost the carriage returns that a body's length counts
			head, body, _ := bytes.Cut(bytes.ReplaceAll(rest, []byte("\r\n"), []byte("\n")), []byte("\n\n"))
			r, err := textproto.NewReader(bufio.NewReader(bytes.NewReader(append(head, "\n\n"...)))).ReadLine()
			t.Fatalf("session %q, body %d: %v %v", r, len(body), err, m)
		}
		rest = after
		if m.Code == 0 {
			method = m.Method
		} else if method != "" {
			answers[method] = append(answers[method], m)
		}
	}
	return answers
}

// TestRecordedSessions plays whole sessions of other servers back to the client.
func TestRecordedSessions(t *testing.T) {
	for _, file := range sessionFiles(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			answers := recording(t, text)
			s := rtsptest.Serve(t, func(c *rtsptest.Conn) {
				given := map[string]int{}
				for {
					r, err := c.Next()
					if err != nil {
						return
					}
					all := answers[r.Method]
					if len(all) == 0 {
						return // hangs up, as go2rtc does
					}
					m := all[min(given[r.Method], len(all)-1)]
					given[r.Method]++
					var lines []string
					for _, f := range m.Header {
						if !strings.EqualFold(f.Name, "CSeq") && !strings.EqualFold(f.Name, "Content-Length") {
							lines = append(lines, f.Name+": "+f.Value)
						}
					}
					c.Reply(r, strings.TrimSpace(m.statusLine()), string(m.Body), lines...)
					if r.Method == "PLAY" {
						_, _ = c.Write(rtsptest.Frame(0, rtsptest.Packet(96, true, 1, 1, 1, []byte{0x65, 1, 2})))
					}
				}
			})
			c, err := Connect(t.Context(), Config{URL: s.URL("/x"), Username: "cam", Password: "watch-test", Patience: 5 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close(false)
			d, err := c.Describe(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			video, audio := d.Tracks()
			if video == nil {
				t.Fatal("no video")
			}
			err = c.Setup(t.Context(), video.Media)
			if strings.HasPrefix(filepath.Base(file), "vlc") {
				if err == nil || !strings.Contains(err.Error(), "461") {
					t.Errorf("Setup = %v, want 461", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if audio != nil {
				if err := c.Setup(t.Context(), audio.Media); err != nil {
					t.Fatal(err)
				}
			}
			var h counting
			if err := c.Play(t.Context(), &h); err != nil {
				t.Fatal(err)
			}
			for range 200 {
				if err := c.Poll(); err != nil {
					t.Fatal(err)
				}
				if h.rtp[0] > 0 {
					break
				}
				time.Sleep(5 * time.Millisecond)
			}
			if h.rtp[0] != 1 {
				t.Errorf("%d packets, want 1", h.rtp[0])
			}
			wantAlive := "GET_PARAMETER"
			if strings.HasPrefix(filepath.Base(file), "go2rtc") { // hangs up on what it did not list
				wantAlive = "OPTIONS"
			}
			if err := c.KeepAlive(time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			for range 200 {
				if err := c.Poll(); err != nil {
					t.Fatal(err)
				}
				if c.aliveSeq < 0 {
					break
				}
				time.Sleep(5 * time.Millisecond)
			}
			if c.aliveSeq >= 0 {
				t.Error("keepalive was not answered")
			}
			all := s.Requests()
			if got := all[len(all)-1].Method; got != wantAlive {
				t.Errorf("kept alive by %s, want %s", got, wantAlive)
			}
		})
	}
}

func (m *Message) statusLine() string {
	return strings.TrimSpace(string(rune('0'+m.Code/100)) + string(rune('0'+m.Code/10%10)) + string(rune('0'+m.Code%10)) + " " + m.Status)
}

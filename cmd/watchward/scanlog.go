package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
	"unicode/utf8"

	"github.com/watchward/watchward/internal/discover"
)

// logLine is one line of a scan's log: how far it was, or what it found. Lines
// are only ever appended, so a scan that is killed has its log up to then.
type logLine struct {
	Record *discover.Record `json:"record,omitempty"`
	Found  *discover.Found  `json:"found,omitempty"`
	// Binary are the values of evidence that are no text, which JSON would bend,
	// by the evidence's ID.
	Binary map[string][]byte `json:"binary,omitempty"`
}

// logFound is the line of a device.
func logFound(f discover.Found) logLine {
	line := logLine{Found: &f}
	for _, e := range f.Evidence {
		if !utf8.ValidString(e.Value) {
			if line.Binary == nil {
				line.Binary = map[string][]byte{}
			}
			line.Binary[e.ID] = []byte(e.Value)
		}
	}
	return line
}

type scanLog struct {
	name string
	f    *os.File
	at   time.Time
}

// openScanLog opens a log to append to; "" makes one of its own.
func openScanLog(name string) (*scanLog, error) {
	if name == "" {
		dir := os.Getenv("XDG_STATE_HOME")
		if dir == "" {
			home, err := os.UserHomeDir()
			if err != nil {
				return nil, withHint(fmt.Errorf("keep log of scan: %w", err), "name a file with --log")
			}
			dir = filepath.Join(home, ".local", "state")
		}
		dir = filepath.Join(dir, "watchward", "scans")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, withHint(fmt.Errorf("keep log of scan: %w", err), "name a file with --log")
		}
		name = filepath.Join(dir, time.Now().UTC().Format("2006-01-02T15-04-05.000Z")+".jsonl")
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, withHint(fmt.Errorf("keep log of scan: %w", err), "a scan is not done without a record; name a file with --log")
	}
	return &scanLog{name: name, f: f}, nil
}

// write appends a line. Of how far it is, a line a second is enough; the last
// is always written.
func (l *scanLog) write(line logLine) error {
	if r := line.Record; r != nil && r.Ended.IsZero() {
		if time.Since(l.at) < time.Second {
			return nil
		}
		l.at = time.Now()
	}
	b, err := json.Marshal(line)
	if err != nil {
		return err
	}
	_, err = l.f.Write(append(b, '\n'))
	return err
}

func (l *scanLog) close() error { return errors.Join(l.f.Sync(), l.f.Close()) }

// maxLogLine is far above a device with all its evidence.
const maxLogLine = 64 << 20

// readScanLog reads a log: each device it found, and the last it says of itself;
// nil for what is no log. A line cut short at the end is what a crash leaves.
func readScanLog(r io.Reader, found func(discover.Found)) (*discover.Record, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxLogLine)
	var last *discover.Record
	for n := 1; lines.Scan(); n++ {
		var line logLine
		err := json.Unmarshal(lines.Bytes(), &line)
		switch {
		case n == 1 && (err != nil || line.Record == nil && line.Found == nil):
			return nil, nil
		case err != nil:
			continue
		case line.Record != nil:
			last = line.Record
		case line.Found != nil:
			for i, e := range line.Found.Evidence {
				if b, ok := line.Binary[e.ID]; ok {
					line.Found.Evidence[i].Value = string(b)
				}
			}
			found(*line.Found)
		}
	}
	if last == nil && lines.Err() == nil {
		return nil, nil
	}
	return last, lines.Err()
}

// scanProgress tells a person how far a scan is: a line that changes on a
// screen, a line every ten seconds otherwise.
type scanProgress struct {
	s    *streams
	live bool
	r    discover.Record
	at   time.Time
}

func (p *scanProgress) tell(r discover.Record) {
	p.r = r
	switch {
	case !r.Ended.IsZero():
	case p.live:
		p.s.notef("\r\x1b[K%s", p.last())
	case p.at.IsZero():
		p.at = time.Now()
	case time.Since(p.at) > 10*time.Second:
		p.at = time.Now()
		p.s.notef("watchward: %s\n", p.last())
	}
}

// clear takes the line away before something else is printed.
func (p *scanProgress) clear() {
	if p.live {
		p.s.notef("\r\x1b[K")
	}
}

func (p *scanProgress) last() string {
	packets := 0
	for _, n := range p.r.Sent {
		packets += n
	}
	until := time.Now()
	if !p.r.Ended.IsZero() {
		until = p.r.Ended
	}
	return fmt.Sprintf("%d of %d addresses asked, %d answered, %d packets, %s", p.r.Done, p.r.Addresses, p.r.Answered, packets, until.Sub(p.r.Started).Round(100*time.Millisecond))
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/media"
	"github.com/watchward/watchward/internal/media/fmp4"
	"github.com/watchward/watchward/internal/seal"
	"github.com/watchward/watchward/internal/simulate"
)

// The scripts in testdata run the test binary as the command watchward.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"watchward": main,
		"recorded":  recorded,
		"cut":       cut,
		"begins":    begins,
		"briefly":   briefly,
	})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("XDG_DATA_HOME", filepath.Join(e.WorkDir, ".data"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exitcode": exitCode,
			"value":    value,
			"spoil":    spoil,
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// briefly is a command of the scripts: "briefly DIR" starts a server on a data
// folder and stops it at once, in good order.
func briefly() {
	cfg := DefaultConfig()
	cfg.Data, cfg.Listen, cfg.Log.Level = os.Args[1], "127.0.0.1:0", "error"
	h, err := build(context.Background(), cfg, nil)
	if err == nil {
		over, stop := context.WithCancel(context.Background())
		stop()
		err = h.serve(over, io.Discard, false)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// spoil is "spoil FILE": one bit changes; twice, and it is as it was.
func spoil(ts *testscript.TestScript, _ bool, args []string) {
	name := ts.MkAbs(args[0])
	b, err := os.ReadFile(name)
	ts.Check(err)
	b[len(b)/2] ^= 1
	ts.Check(os.WriteFile(name, b, 0o600))
}

// exitCode is "exitcode N command args…": the command must end with that code.
func exitCode(ts *testscript.TestScript, neg bool, args []string) {
	got := 0
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if fmt.Sprint(got) != args[0] || neg {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
}

// value is "value NAME FILE": the file's text becomes an environment variable.
func value(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
}

// recorded is a command of the scripts: "recorded DIR RECIPIENTS" makes a data
// folder as a recorder leaves it, without an index: camera town/gate, two days,
// two segments of a second each, and a gap.
func recorded() {
	if err := makeRecorded(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func makeRecorded(dir, recipients string) error {
	text, err := os.ReadFile(recipients)
	if err != nil {
		return err
	}
	readers, err := seal.ParseReaders(strings.Split(string(text), "\n"))
	if err != nil {
		return err
	}
	keys, err := seal.NewDayKeys(seal.Options{Dir: filepath.Join(dir, "keys"), Readers: readers, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	id := archive.StreamID{Site: "town", Camera: "gate", Stream: archive.Main}
	for day := range 2 {
		start := time.Date(2026, 3, 1+day, 10, 0, 0, 0, time.UTC)
		for i := range 2 {
			s := archive.Segment{StreamID: id, Start: start.Add(time.Duration(i) * time.Second), Duration: time.Second, State: archive.Sealed}
			if err := makeSegment(dir, keys, s); err != nil {
				return err
			}
		}
		gap := archive.Gap{StreamID: id, Start: start.Add(2 * time.Second), End: start.Add(24 * time.Hour), Reason: "camera-silent"}
		if day == 0 {
			if err := os.WriteFile(filepath.Join(dir, "archive", filepath.FromSlash(gap.Name())), nil, 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}

// makeSegment writes one sealed segment: ten parts of a tenth of a second of
// sound, and padding so that it has several chunks.
func makeSegment(dir string, keys *seal.DayKeys, s archive.Segment) error {
	day, err := keys.Recipient(s.Site, s.Camera, s.Start.Format(time.DateOnly))
	if err != nil {
		return err
	}
	name := filepath.Join(dir, "archive", filepath.FromSlash(s.Name()))
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	w, err := seal.NewWriter(f, day)
	if err != nil {
		return err
	}
	plain, err := plainSegment()
	if err != nil {
		return err
	}
	if _, err := w.Write(plain); err != nil {
		return err
	}
	return w.Close()
}

func plainSegment() ([]byte, error) {
	format := &media.Format{Codec: media.PCMU, ClockRate: 8000, SampleRate: 8000, Channels: 1}
	b, err := fmp4.Init([]*media.Format{format})
	if err != nil {
		return nil, err
	}
	var parts fmp4.PartWriter
	var index []fmp4.RandomAccess
	for i := range 10 {
		sample := &media.Sample{Format: format, DTS: int64(i * 800), PTS: int64(i * 800), Keyframe: true, Data: make([]byte, 800)}
		for j := range sample.Data {
			sample.Data[j] = byte(i)
		}
		parts.Reset()
		parts.Add(0, sample)
		index = append(index, fmp4.RandomAccess{Track: 1, Time: uint64(i * 800), Offset: uint64(len(b))})
		b = parts.AppendPart(b, uint32(i+1))
		b = append(b, sample.Data...)
		b = fmp4.AppendFree(b, 20000)
	}
	return append(b, fmp4.Mfra(index)...), nil
}

// cut is a command of the scripts: "cut FILE BYTES" does to a file what a crash
// does.
func cut() {
	var size int64
	_, err := fmt.Sscan(os.Args[2], &size)
	if err == nil {
		err = os.Truncate(os.Args[1], size)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// begins is a command of the scripts: "begins WHOLE BEGINNING" wants the second
// file to be a beginning of the first, not all of it and not empty.
func begins() {
	whole, err := os.ReadFile(os.Args[1])
	if err == nil {
		var beginning []byte
		beginning, err = os.ReadFile(os.Args[2])
		if err == nil && (len(beginning) == 0 || len(beginning) >= len(whole) || !bytes.HasPrefix(whole, beginning)) {
			err = fmt.Errorf("%q is no proper beginning of %q", os.Args[2], os.Args[1])
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func TestPlanFaults(t *testing.T) {
	town, err := simulate.New(simulate.Options{Cameras: 3})
	if err != nil {
		t.Fatal(err)
	}
	id := town.Cameras()[1].ID
	number, name, _ := strings.Cut(strings.TrimPrefix(id, "cam-"), "-")
	for _, word := range []string{id, name, number, "cam-" + number} {
		plan, err := planFaults([]string{word + "=stall@20s/5s"}, town)
		if err != nil || len(plan) != 1 || plan[0].camera != id || plan[0].start != 20*time.Second {
			t.Errorf("%q: plan %+v, %v, want a stall of %q", word, plan, err, id)
		}
	}
	for _, text := range []string{"nobody=stall@20s", "cam-=stall", name + "=explode@20s", name + "=loss:300@1h", name, "=stall", name + "=stall@soon", name + "=stall/-1s"} {
		if plan, err := planFaults([]string{text}, town); err == nil {
			t.Errorf("%q: plan %+v, want it refused before anything starts", text, plan)
		}
	}
}

func TestDemoAddress(t *testing.T) {
	usual := DefaultConfig().Listen
	l, err := net.Listen("tcp", usual)
	if err == nil {
		defer l.Close()
	} // else somebody else holds it, which serves as well
	if got := (&DemoCmd{}).address(); got != "127.0.0.1:0" {
		t.Errorf("usual address is taken: demo listens on %q, want a free port", got)
	}
	if got := (&DemoCmd{Listen: usual}).address(); got != usual {
		t.Errorf("asked for %q: demo listens on %q", usual, got)
	}
}

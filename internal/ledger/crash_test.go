package ledger

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// appenderEnv tells the test binary to be that process, and where.
const appenderEnv = "WATCHWARD_TEST_APPENDER"

// appender is the process that TestKillAppender kills: it appends for ever, and
// prints the name of each gap that was acknowledged.
func appender(dir string) {
	o := Options{
		Dir: filepath.Join(dir, "ledger"), Key: filepath.Join(dir, "ledger.key"), Log: slog.New(slog.DiscardHandler),
		Every: 5 * time.Millisecond, batchAge: 20 * time.Millisecond, publishEvery: 100 * time.Millisecond,
	}
	l, err := Open(context.Background(), o)
	if err != nil {
		fmt.Println("error", err)
		return
	}
	go func() { _ = l.Run(context.Background()) }()
	for i := 0; ; i++ {
		name := fmt.Sprintf("town/gate/2026-11-25/00-00-00.000Z_%d.stopped.gap", time.Now().UnixNano())
		if _, err := l.Append(context.Background(), Gap(name, EnteredRecorded), viewing()); err == nil {
			fmt.Println(name)
		}
	}
}

// TestKillAppender kills a process that appends, with SIGKILL, again and again.
// WATCHWARD_FAULT_ROUNDS says how often, as "make fault" does.
func TestKillAppender(t *testing.T) {
	rounds := 3
	if n, err := strconv.Atoi(os.Getenv("WATCHWARD_FAULT_ROUNDS")); err == nil {
		rounds = n
	}
	dir := scratch(t)
	var acknowledged []string
	for range rounds {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), appenderEnv+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		last := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
		most := 1 + rand.N(400)
		for n := 0; lines.Scan(); n++ {
			if strings.HasPrefix(lines.Text(), "error") {
				t.Fatal(lines.Text())
			}
			acknowledged = append(acknowledged, lines.Text())
			if n == most {
				_ = cmd.Process.Kill()
			}
		}
		last.Stop()
		_ = cmd.Wait() // it was killed
	}
	// A line may have been cut short by the kill.
	if n := len(acknowledged); n > 0 && !strings.HasSuffix(acknowledged[n-1], ".gap") {
		acknowledged = acknowledged[:n-1]
	}
	l, err := Open(t.Context(), Options{Dir: filepath.Join(dir, "ledger"), Key: filepath.Join(dir, "ledger.key"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range acknowledged {
		if _, err := l.Find(t.Context(), NoVideo, name); err != nil {
			t.Errorf("acknowledged and lost: %v", err)
		}
	}
	over, stop := context.WithCancel(t.Context())
	stop()
	if err := errors.Join(l.Run(over), l.Close()); err != nil {
		t.Fatal(err)
	}
	r, err := Verify(t.Context(), VerifyOptions{Dir: filepath.Join(dir, "ledger")})
	if err != nil || !r.OK() {
		t.Errorf("after %d kills: %+v, %v", rounds, r.Lies, err)
	}
	t.Logf("%d kills, %d entries acknowledged, %d leaves", rounds, len(acknowledged), r.Leaves)
}

package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/simulate"
)

// plannedFault is a camera's misbehaviour as written on the command line.
type plannedFault struct {
	camera string
	fault  simulate.Fault
	start  time.Duration // after the town is ready
}

// parseFault reads CAMERA=KIND[:AMOUNT][@START][/FOR].
func parseFault(text string) (plannedFault, error) {
	var p plannedFault
	bad := func(what string) (plannedFault, error) {
		return p, withHint(fmt.Errorf("fault %q: %s", text, what), "write CAMERA=KIND[:AMOUNT][@START][/FOR], such as cam-02=drop@20s/5s")
	}
	camera, rest, ok := strings.Cut(text, "=")
	if !ok || camera == "" {
		return bad("no camera before \"=\"")
	}
	rest, lasting, hasFor := strings.Cut(rest, "/")
	rest, start, hasStart := strings.Cut(rest, "@")
	kind, amount, hasAmount := strings.Cut(rest, ":")
	p.camera, p.fault.Kind = camera, simulate.FaultKind(kind)
	var err error
	if hasAmount {
		if p.fault.Amount, err = strconv.ParseFloat(amount, 64); err != nil {
			return bad("amount " + strconv.Quote(amount) + " is no number")
		}
	}
	if hasStart {
		if p.start, err = time.ParseDuration(start); err != nil || p.start < 0 {
			return bad("start " + strconv.Quote(start) + " is no duration such as 20s")
		}
	}
	if hasFor {
		if p.fault.For, err = time.ParseDuration(lasting); err != nil || p.fault.For <= 0 {
			return bad("length " + strconv.Quote(lasting) + " is no duration such as 5s")
		}
	}
	return p, nil
}

func joinLines(lines []string) string { return strings.Join(lines, "\n") }

func splitLines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

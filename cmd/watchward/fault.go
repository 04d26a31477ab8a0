package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
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
		return p, withHint(fmt.Errorf("fault %q: %s", text, what), "write CAMERA=KIND[:AMOUNT][@START][/FOR], such as harbour-gate=drop@20s/5s")
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

// planFaults reads what was asked for on the command line, and refuses what
// this town cannot do before anything starts.
func planFaults(texts []string, town *simulate.Town) ([]plannedFault, error) {
	var plan []plannedFault
	for _, text := range texts {
		p, err := parseFault(text)
		if err != nil {
			return nil, err
		}
		if err := p.fault.Check(); err != nil {
			return nil, fmt.Errorf("fault %q: %w", text, err)
		}
		if p.camera, err = findCamera(town.Cameras(), p.camera); err != nil {
			return nil, fmt.Errorf("fault %q: %w", text, err)
		}
		plan = append(plan, p)
	}
	return plan, nil
}

// strike makes the camera misbehave when its time has come.
func (p plannedFault) strike(ctx context.Context, town *simulate.Town, log *slog.Logger) {
	select {
	case <-ctx.Done():
	case <-time.After(p.start):
		if err := town.Fault(p.camera, p.fault); err != nil {
			log.Error("fault not started", "camera", p.camera, "kind", p.fault.Kind, "error", err)
		}
	}
}

// findCamera returns the id of the camera meant by word: an id such as
// cam-01-harbour-gate, or what is left of one, without cam or without the rest.
func findCamera(cameras []simulate.CameraInfo, word string) (string, error) {
	var ids []string
	for _, c := range cameras {
		number, name, _ := strings.Cut(strings.TrimPrefix(c.ID, "cam-"), "-")
		if slices.Contains([]string{c.ID, "cam-" + number, number, name, number + "-" + name}, word) {
			return c.ID, nil
		}
		ids = append(ids, c.ID)
	}
	if len(ids) > 12 {
		ids = append(ids[:12], "...")
	}
	return "", withHint(fmt.Errorf("camera %q: %w", word, simulate.ErrNoCamera), "this town has %s", strings.Join(ids, ", "))
}

func joinLines(lines []string) string { return strings.Join(lines, "\n") }

func splitLines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

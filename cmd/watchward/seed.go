package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/watchward/watchward/internal/access"
	"github.com/watchward/watchward/internal/estate"
)

// seedLimit bounds what a demo may say on standard input.
const seedLimit = 8 << 20

// readSeed reads the demo's one line from in.
func readSeed(in *bufio.Reader) (demoSeed, error) {
	var seed demoSeed
	line, err := bufio.NewReader(io.LimitReader(in, seedLimit)).ReadBytes('\n')
	if err != nil {
		return seed, fmt.Errorf("read demo's seed: %w", err)
	}
	if err := json.Unmarshal(line, &seed); err != nil {
		return seed, fmt.Errorf("read demo's seed: %w", err)
	}
	return seed, nil
}

// plant does what a person would do on the pages of a new server: readers,
// limits, cameras. A folder used by an earlier demo keeps its recordings; its
// cameras get their new addresses and passwords.
func (seed demoSeed) plant(ctx context.Context, e *estate.Estate, a *access.Access) (access.Token, error) {
	sites, err := e.Sites(ctx)
	if err != nil {
		return "", err
	}
	siteID := make(map[string]string)
	for _, s := range sites {
		siteID[s.Name] = s.ID
	}
	for _, c := range seed.Cameras {
		if siteID[c.Site] != "" {
			continue
		}
		s, err := e.AddSite(ctx, c.Site)
		if err != nil {
			return "", fmt.Errorf("add site %q: %w", c.Site, err)
		}
		siteID[c.Site] = s.ID
	}
	if err := plantBodies(ctx, e, siteID); err != nil {
		return "", err
	}
	for _, id := range siteID {
		if err := e.SetReaders(ctx, id, []estate.Reader{{Recipient: seed.Recipient, Name: "Demo"}}); err != nil {
			return "", fmt.Errorf("set readers: %w", err)
		}
	}
	limits := estate.DefaultLimits()
	limits.Total = seed.MaxBytes
	if err := e.SetLimits(ctx, limits); err != nil {
		return "", fmt.Errorf("set limits: %w", err)
	}
	if err := seed.plantCameras(ctx, e, siteID); err != nil {
		return "", err
	}
	return a.Welcome(ctx, "demo")
}

func (seed demoSeed) plantCameras(ctx context.Context, e *estate.Estate, siteID map[string]string) error {
	known, err := e.Cameras(ctx)
	if err != nil {
		return err
	}
	earlier := make(map[[2]string]estate.Camera)
	for _, c := range known {
		earlier[[2]string{c.Site, c.Name}] = c
	}
	for _, c := range seed.Cameras {
		cam, again := earlier[[2]string{siteID[c.Site], c.Name}]
		if !again {
			cam = estate.Camera{Site: siteID[c.Site], Name: c.Name, Transport: "auto"}
		}
		cam.Enabled, cam.RecordAudio = true, c.Audio
		cam.Username, cam.Password = c.Username, estate.Secret(c.Password)
		cam.Streams = []estate.StreamConfig{{Name: "main", URL: c.Main, Record: true}}
		if c.Sub != "" {
			cam.Streams = append(cam.Streams, estate.StreamConfig{Name: "sub", URL: c.Sub, Record: true})
		}
		if again {
			_, err = e.UpdateCamera(ctx, cam)
		} else {
			_, err = e.AddCamera(ctx, cam)
		}
		if err != nil {
			return fmt.Errorf("add camera %q: %w", c.Name, err)
		}
	}
	// Cameras of an earlier, larger town stay as they are, switched off.
	for _, c := range known {
		if c.Enabled && !seed.has(siteID, c) {
			c.Enabled = false
			if _, err := e.UpdateCamera(ctx, c); err != nil {
				return fmt.Errorf("switch camera %q off: %w", c.Name, err)
			}
		}
	}
	return nil
}

func (seed demoSeed) has(siteID map[string]string, c estate.Camera) bool {
	for _, s := range seed.Cameras {
		if siteID[s.Site] == c.Site && s.Name == c.Name {
			return true
		}
	}
	return false
}

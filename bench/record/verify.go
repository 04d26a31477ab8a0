package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/archive"
	"github.com/watchward/watchward/internal/media/fmp4"
	"github.com/watchward/watchward/internal/seal"
)

// inFlight is how many pictures may have been sent and not yet read when a
// camera was told to stop: what socket buffers of a few megabytes hold.
const inFlight = 250

// makeReaders makes identities, and for the recorder the file of their recipients.
func makeReaders(dir string, c config) (seal.Identity, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return seal.Identity{}, err
	}
	var first seal.Identity
	var lines []string
	for i := range max(c.readers, 1) {
		id, err := seal.GenerateIdentity(seal.Kind(c.kind))
		if err != nil {
			return seal.Identity{}, err
		}
		if i == 0 {
			first = id
		}
		lines = append(lines, id.Recipient())
	}
	return first, os.WriteFile(filepath.Join(dir, "recipients"), []byte(strings.Join(lines, "\n")), 0o600)
}

// count opens everything that was recorded. A camera's pictures must be those
// that were sent, from the first to the last that arrived: the time in each segment
// without a hole, and no fewer than were sent but for what was in flight.
func (r *result) count(dir string, who seal.Identity, sent map[string]int64) error {
	r.counted = true
	segments := map[string][]archive.Segment{}
	root := filepath.Join(dir, "archive")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		switch {
		case strings.HasSuffix(path, ".gap"):
			r.Gaps++
			fmt.Fprintln(os.Stderr, "gap:", rel)
		case strings.HasSuffix(path, ".age"):
			s, err := archive.ParseName(filepath.ToSlash(rel))
			if err != nil {
				return err
			}
			segments[s.Camera] = append(segments[s.Camera], s)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for camera, n := range sent {
		list := segments[camera]
		slices.SortFunc(list, func(a, b archive.Segment) int { return a.Start.Compare(b.Start) })
		var got, holes int64
		for i, s := range list {
			pictures, missing, err := countSegment(dir, s, who)
			if err != nil {
				return fmt.Errorf("%s: %w", s.Name(), err)
			}
			got, holes = got+pictures, holes+missing
			if i > 0 && !list[i-1].End().Equal(s.Start) {
				holes += int64(s.Start.Sub(list[i-1].End()) / (40 * time.Millisecond))
			}
		}
		r.recorded += got
		r.lost += holes
		r.unsent += n - got
		if n-got-holes > inFlight {
			r.lost += n - got - holes
		}
	}
	if len(segments) < r.N || len(sent) < r.N {
		return fmt.Errorf("%d cameras were served and %d recorded: want %d", len(sent), len(segments), r.N)
	}
	return nil
}

// countSegment counts the pictures of a segment, and those that are missing
// between the first and the last by their times.
func countSegment(dir string, s archive.Segment, who seal.Identity) (pictures, missing int64, err error) {
	keyFile, err := os.ReadFile(filepath.Join(dir, "keys", s.Site, s.Camera, s.Start.Format(time.DateOnly)+".key.age"))
	if err != nil {
		return 0, 0, err
	}
	day, err := seal.OpenDay(keyFile, who)
	if err != nil {
		return 0, 0, err
	}
	f, err := os.Open(filepath.Join(dir, "archive", filepath.FromSlash(s.Name())))
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	src, err := seal.Open(f, day)
	if err != nil {
		return 0, 0, err
	}
	plain, err := io.ReadAll(src)
	if err != nil {
		return 0, 0, err
	}
	mp4, err := fmp4.NewReader(bytes.NewReader(plain), int64(len(plain)))
	if err != nil {
		return 0, 0, err
	}
	next := int64(0)
	for {
		p, err := mp4.Next()
		if errors.Is(err, io.EOF) {
			return pictures, missing, nil
		}
		if err != nil {
			return 0, 0, err
		}
		for _, sample := range p.Samples {
			missing += (sample.DTS - next) / 3600
			next = sample.DTS + 3600
			pictures++
		}
	}
}

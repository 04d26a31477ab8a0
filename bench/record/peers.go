package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// measurePeers records the same source with others, in the clear.
func measurePeers(ctx context.Context, c config, sample string) error {
	if _, err := exec.LookPath("ffmpeg"); err == nil {
		r, err := measureCommands(ctx, c, sample, "ffmpeg -c copy -f segment", 10, func(address, dir string, n int) ([]*exec.Cmd, error) {
			var cmds []*exec.Cmd
			for i := range n {
				out := filepath.Join(dir, fmt.Sprint("cam", i))
				if err := os.MkdirAll(out, 0o755); err != nil {
					return nil, err
				}
				cmds = append(cmds, exec.CommandContext(ctx, "ffmpeg", "-hide_banner", "-loglevel", "error", "-rtsp_transport", "tcp",
					"-i", fmt.Sprintf("rtsp://%s/cam-%d", address, i), "-c", "copy", "-f", "segment", "-segment_time", "60",
					"-segment_format", "mp4", "-reset_timestamps", "1", "-strftime", "1", filepath.Join(out, "%Y%m%d%H%M%S.mp4")))
			}
			return cmds, nil
		})
		if err != nil {
			return err
		}
		fmt.Println(r)
	}
	peer := os.Getenv("PEER")
	if peer == "" {
		return nil
	}
	for _, n := range []int{10, 50, 100} {
		r, err := measureCommands(ctx, c, sample, filepath.Base(peer), n, func(address, dir string, n int) ([]*exec.Cmd, error) {
			conf := filepath.Join(dir, "peer.yml")
			return []*exec.Cmd{exec.CommandContext(ctx, peer, conf)}, os.WriteFile(conf, []byte(mediamtx(address, dir, n)), 0o644)
		})
		if err != nil {
			return err
		}
		fmt.Println(r)
	}
	return nil
}

// mediamtx is a configuration of MediaMTX 1.x that pulls n cameras and records
// them in segments of a minute.
func mediamtx(address, dir string, n int) string {
	var b strings.Builder
	b.WriteString("logLevel: warn\nrtspAddress: 127.0.0.1:18754\nrtspTransports: [tcp]\nrtmp: no\nhls: no\nwebrtc: no\nsrt: no\napi: no\nmetrics: no\nplayback: no\npaths:\n")
	for i := range n {
		fmt.Fprintf(&b, "  cam%03d:\n    source: rtsp://%s/cam-%d\n    rtspTransport: tcp\n    record: yes\n    recordPath: %s/%%path/%%Y-%%m-%%d_%%H-%%M-%%S-%%f\n    recordSegmentDuration: 60s\n", i, address, i, dir)
	}
	return b.String()
}

// measureCommands measures processes that record into a folder.
func measureCommands(ctx context.Context, c config, sample, label string, n int, commands func(address, dir string, n int) ([]*exec.Cmd, error)) (result, error) {
	r := result{Label: label, N: n}
	dir, err := filepath.Abs(filepath.Join(c.out, "peer"))
	if err != nil {
		return r, err
	}
	if err := os.RemoveAll(dir); err != nil {
		return r, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return r, err
	}
	defer os.RemoveAll(dir)
	source, address, err := startSource(ctx, c, sample)
	if err != nil {
		return r, err
	}
	defer source.stop()
	cmds, err := commands(address, dir, n)
	if err != nil {
		return r, err
	}
	for _, cmd := range cmds {
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			return r, err
		}
		defer func() {
			_ = cmd.Process.Signal(os.Interrupt)
			_ = cmd.Wait()
		}()
	}
	total := func() (u usage) {
		for _, cmd := range cmds {
			one := usageOf(cmd.Process.Pid)
			u.CPU, u.Wakes, u.RSS = u.CPU+one.CPU, u.Wakes+one.Wakes, u.RSS+one.RSS
		}
		return u
	}
	if !sleep(ctx, c.warm+5*time.Second) { // ffmpeg looks at its input for some seconds first
		return r, ctx.Err()
	}
	before, had, began := total(), folderSize(dir), time.Now()
	if !sleep(ctx, c.window) {
		return r, ctx.Err()
	}
	after := total()
	r.Seconds, r.Bytes = time.Since(began).Seconds(), folderSize(dir)-had
	r.CPU, r.Wakes, r.RSS, r.Peak = (after.CPU - before.CPU).Seconds(), after.Wakes-before.Wakes, after.RSS, after.RSS
	return r, nil
}

func folderSize(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // a file that went away counts as nothing
		}
		if info, err := d.Info(); err == nil {
			n += info.Size()
		}
		return nil
	})
	return n
}

// Command scan measures a scan of a /24 on which a simulated street lives: how
// long it takes with identification, how many devices it finds and names right,
// and, where nmap is installed, how long that takes at the same ports with its
// scripts, in the same run. See docs/reference/benchmarks.md.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/discover"
	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/identify"
	"github.com/watchward/watchward/internal/simulate"
)

// bars are what the scan must reach.
const (
	maxScan  = 15 * time.Second
	minRatio = 10
)

func main() {
	network := flag.String("network", "127.0.90.0/24", "loopback network to scan")
	devices := flag.Int("devices", 15, "how many live there")
	rate := flag.Int("rate", discover.DefaultRate, "packets a second")
	peer := flag.Bool("nmap", true, "measure nmap as well, where it is installed")
	flag.Parse()
	if err := run(*network, *devices, *rate, *peer); err != nil {
		fmt.Fprintln(os.Stderr, "bench-scan:", err)
		os.Exit(1)
	}
}

func run(network string, devices, rate int, peer bool) error {
	prefix, err := netip.ParsePrefix(network)
	if err != nil {
		return err
	}
	street, err := simulate.NewStreet(simulate.StreetOptions{Network: prefix, Devices: devices, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- street.Run(ctx) }()
	defer func() { stop(); <-done }()
	select {
	case <-street.Ready():
	case err := <-done:
		done <- nil
		return fmt.Errorf("open street: %w (ports below 1024 take root)", err)
	}
	took, err := scan(network, rate, street.Devices())
	if err != nil {
		return err
	}
	missed := took > maxScan
	fmt.Printf("scan took %.1f s; bar: under %.0f s\n", took.Seconds(), maxScan.Seconds())
	if !peer {
		return verdict(missed)
	}
	slow, err := nmap(network)
	if err != nil {
		fmt.Println("nmap skipped:", err)
		return verdict(missed)
	}
	ratio := slow.Seconds() / took.Seconds()
	fmt.Printf("nmap took %.1f s, %.1f times as long; bar: %d times\n", slow.Seconds(), ratio, minRatio)
	return verdict(missed || ratio < minRatio)
}

func verdict(missed bool) error {
	if missed {
		return fmt.Errorf("a bar was missed")
	}
	return nil
}

// scan measures ours, with identification, and compares it with the truth.
func scan(network string, rate int, devices []simulate.DeviceInfo) (time.Duration, error) {
	engine, err := identify.Default()
	if err != nil {
		return 0, err
	}
	ranges, err := discover.ParseRanges([]string{network}, 0)
	if err != nil {
		return 0, err
	}
	truth := map[netip.Addr]simulate.Truth{}
	for _, d := range devices {
		truth[d.IP] = d.Truth
	}
	var named, wrong, strangers, found int
	var record discover.Record
	began := time.Now()
	err = discover.Scan(context.Background(), discover.Options{Ranges: ranges, Rate: rate, By: "bench", Record: func(r discover.Record) { record = r }}, func(f discover.Found) {
		id := engine.From(f.Evidence, time.Time{})
		t, lives := truth[f.Address]
		switch {
		case !lives:
			strangers++
		case id.Confidence.Rank() > estate.Hint.Rank() && id.MakerName == t.Maker:
			named++
		case id.Confidence.Rank() > estate.Hint.Rank():
			wrong++
		}
		found++
	})
	took := time.Since(began)
	fmt.Printf("%d addresses, %d devices: %d found, %d of them named above a hint, %d named wrong, %d where nobody lives\n",
		record.Addresses, len(devices), found, named, wrong, strangers)
	fmt.Printf("at %d packets a second; sent %v\n", rate, record.Sent)
	return took, err
}

// nmap measures the peer at the same ports. Its own pace is left to it, which is
// faster than ours: -T4, no name look-ups, and no ping first, since on loopback
// each address answers one.
func nmap(network string) (time.Duration, error) {
	path, err := exec.LookPath("nmap")
	if err != nil {
		return 0, err
	}
	var ports []string
	for _, p := range discover.DefaultPorts() {
		ports = append(ports, strconv.Itoa(p))
	}
	args := []string{"-n", "-Pn", "-T4", "-sV", "--open", "--script", "http-title,http-headers,http-server-header,http-favicon,rtsp-methods,rtsp-url-brute,ssl-cert", "-p", strings.Join(ports, ","), "-oX", os.DevNull, network}
	fmt.Println("nmap " + strings.Join(args, " "))
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute)
	defer cancel()
	began := time.Now()
	if out, err := exec.CommandContext(ctx, path, args...).CombinedOutput(); err != nil {
		return 0, fmt.Errorf("%w: %s", err, out[max(0, len(out)-300):])
	}
	return time.Since(began), nil
}

// Command judge measures what judging costs: one million pairs of device and
// site, against every clause of the catalogue, on one core.
//
//	go run ./bench/judge                 a million pairs
//	go run ./bench/judge -n 100000       fewer
//
// The estate is made up as estates are: every maker of the graph, a thousand
// models, two classes of sites and those nobody classed, three networks, days of
// deployment over ten years, four bodies. It prints the bars of the project, and
// ends with 1 when one is missed.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/identify/makers"
	"github.com/watchward/watchward/internal/policy"
)

// The bars.
const (
	maxTime   = time.Second
	maxMemory = 200 << 20
)

func main() {
	n := flag.Int("n", 1_000_000, "pairs of device and site")
	flag.Parse()
	if err := run(*n); err != nil {
		fmt.Fprintln(os.Stderr, "judge:", err)
		os.Exit(1)
	}
}

func run(n int) error {
	runtime.GOMAXPROCS(1)
	start := time.Now()
	catalogue, err := policy.Load()
	if err != nil {
		return err
	}
	graph, err := makers.Load()
	if err != nil {
		return err
	}
	load := time.Since(start)
	next := devices(graph.Makers())
	cache := catalogue.NewCache()
	var verdicts, broken, undetermined int
	busy := processor()
	start = time.Now()
	for i := range n {
		for _, v := range cache.Judge(next(i)) {
			verdicts++
			switch {
			case v.Force == policy.Undetermined:
				undetermined++
			case v.Broken && v.Force == policy.Must:
				broken++
			}
		}
	}
	took := time.Since(start)
	busy = processor() - busy
	memory := peak()
	fmt.Printf("catalogue   %s, makers %s, %d instruments, loaded in %v\n", catalogue.Version(), catalogue.MakersVersion(), len(catalogue.Restrictions()), load.Round(time.Millisecond))
	fmt.Printf("judged      %d pairs, %d verdicts: %d broken musts, %d undetermined; %d distinct cases\n", n, verdicts, broken, undetermined, cache.Len())
	fmt.Printf("processor   %v of that: the rest went to other programs\n", busy.Round(time.Millisecond))
	ok := bar("time", took.Round(time.Millisecond).String(), maxTime.String(), took < maxTime)
	ok = bar("memory", fmt.Sprintf("%d MiB", memory>>20), fmt.Sprintf("%d MiB", maxMemory>>20), memory < maxMemory) && ok
	if verdicts == 0 || broken == 0 {
		return fmt.Errorf("%d verdicts, %d broken: the estate asks nothing", verdicts, broken)
	}
	if !ok {
		return fmt.Errorf("a bar was missed")
	}
	return nil
}

func bar(name, got, want string, ok bool) bool {
	word := "ok"
	if !ok {
		word = "MISSED"
	}
	fmt.Printf("%-11s %s (bar: under %s) %s\n", name, got, want, word)
	return ok
}

// devices returns the i-th device of an estate that is the same each time.
func devices(all []makers.Maker) func(int) policy.Case {
	bodies := []string{"uk.central-department", "uk.local-authority", "us.federal-contractor", "au.commonwealth-body"}
	sites := []policy.SiteClass{policy.SiteSensitive, policy.SiteOrdinary, policy.SiteUndetermined}
	networks := []policy.Network{policy.NetworkCore, policy.NetworkIsolated, policy.NetworkUnknown}
	confidences := []estate.Confidence{estate.Identified, estate.Identified, estate.VeryLikely, estate.Hint}
	purposes := [][]string{nil, {"public-safety"}}
	models := make([]string, 1000)
	for i := range models {
		models[i] = "model-" + strconv.Itoa(i)
	}
	on := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	state := uint64(1)
	pick := func(n int) int {
		state = state*6364136223846793005 + 1442695040888963407
		return int((state >> 33) % uint64(n))
	}
	return func(int) policy.Case {
		m := 0 // half of an estate is of few makers
		if pick(2) == 0 {
			m = pick(len(all))
		} else {
			m = pick(8)
		}
		body := pick(len(bodies))
		return policy.Case{
			Maker: all[m].ID, Brand: all[m].Name, Confidence: confidences[pick(4)], Model: models[pick(len(models))], Kind: estate.KindCamera,
			// Most sites are of one body and one network.
			Body: bodies[body], SiteClass: sites[pick(3)], Network: networks[body%3], Purposes: purposes[body/2],
			Deployed: on.AddDate(0, 0, -pick(3650)), On: on,
		}
	}
}

// processor is how much of it the process has used.
func processor() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peak is the most memory the process ever held, where the system says, else
// what the runtime took from it.
func peak() uint64 {
	if text, err := os.ReadFile("/proc/self/status"); err == nil {
		for line := range strings.SplitSeq(string(text), "\n") {
			if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
				if kb, err := strconv.ParseUint(strings.Fields(rest)[0], 10, 64); err == nil {
					return kb << 10
				}
			}
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Sys
}

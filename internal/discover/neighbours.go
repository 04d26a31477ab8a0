package discover

import (
	"io"
	"net/netip"
	"os"
	"strings"
)

// neighbours reads the system's table of hardware addresses. Linux shows that
// of IPv4 as text; other systems keep theirs, and MACs come by other ways.
func neighbours() map[netip.Addr]string {
	f, err := os.Open("/proc/net/arp")
	if err != nil {
		return nil
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 8<<20))
	if err != nil {
		return nil
	}
	return readNeighbours(string(text))
}

// readNeighbours reads lines of "address type flags MAC mask device".
func readNeighbours(text string) map[netip.Addr]string {
	all := map[netip.Addr]string{}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 6 || f[3] == "00:00:00:00:00:00" {
			continue
		}
		if a, err := netip.ParseAddr(f[0]); err == nil {
			all[a] = f[3]
		}
	}
	return all
}

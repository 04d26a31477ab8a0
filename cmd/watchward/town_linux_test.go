package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

func itoa(n int) string { return strconv.Itoa(n) }

func atoi(s string) int {
	n, _ := strconv.Atoi(s) // what is no number is no process
	return n
}

// searchMemory looks for text in all that a process may write to.
func searchMemory(t testing.TB, pid int, text string) bool {
	t.Helper()
	maps, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer maps.Close()
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Skipf("memory of a process: %v", err)
	}
	defer mem.Close()
	read := 0
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		var from, to int64
		var rights string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &to, &rights); err != nil || !strings.HasPrefix(rights, "rw") || to-from > 1<<28 {
			continue
		}
		b := make([]byte, to-from)
		n, _ := mem.ReadAt(b, from) // pages come and go while it runs
		read += n
		if bytes.Contains(b[:n], []byte(text)) {
			return true
		}
	}
	if read < 1<<20 {
		t.Fatalf("read only %d bytes of the process", read)
	}
	return false
}

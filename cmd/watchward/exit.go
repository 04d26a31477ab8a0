package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

// The exit codes, as docs/reference/cli.md promises them to scripts.
const (
	exitOK       = 0
	exitError    = 1 // the work could not be done
	exitUsage    = 2 // the command line makes no sense; nothing was done
	exitProblems = 3 // a check ran to its end and found something
)

// exitErr carries a code and a hint with an error.
type exitErr struct {
	error
	code int
	hint string
}

func (e *exitErr) Unwrap() error { return e.error }
func (e *exitErr) Hint() string  { return e.hint }

// withHint adds what a person can do about err.
func withHint(err error, format string, args ...any) error {
	return &exitErr{error: err, code: exitError, hint: fmt.Sprintf(format, args...)}
}

// hintAtPort says what to do about a port that somebody else holds.
func hintAtPort(err error) error {
	if !errors.Is(err, syscall.EADDRINUSE) {
		return err
	}
	return withHint(err, "another program has this port, perhaps another Watchward: stop it, or choose a port with --listen; port 0 takes any free one")
}

// usage returns an error about the command line itself.
func usage(hint, format string, args ...any) error {
	return &exitErr{error: fmt.Errorf(format, args...), code: exitUsage, hint: hint}
}

// errProblems ends a check that found something and has already said what.
var errProblems = errors.New("problems found")

// usageError dresses what the parser says about a command line.
func usageError(err error) error {
	command := "watchward"
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context != nil {
		if node := parse.Context.Selected(); node != nil {
			command = node.FullPath()
		}
	}
	return usage(fmt.Sprintf("see %q", command+" --help"), "%w", err)
}

// report prints err, if any, and returns the exit code. It is the only place
// where an error of a command is shown.
func report(w io.Writer, err error) int {
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errProblems):
		return exitProblems
	case errors.Is(err, context.Canceled):
		// The operator pressed Ctrl-C: he knows why it stopped.
		fmt.Fprintln(w, "watchward: stopped")
		return exitError
	}
	fmt.Fprintf(w, "watchward: error: %s\n", oneLine(err.Error()))
	// Any room may give a hint by this one method; the outermost knows best.
	var hinter interface{ Hint() string }
	if errors.As(err, &hinter) && hinter.Hint() != "" {
		fmt.Fprintf(w, "watchward: hint: %s\n", oneLine(hinter.Hint()))
	}
	var coded *exitErr
	if errors.As(err, &coded) {
		return coded.code
	}
	return exitError
}

// oneLine keeps what a camera or a file wrote into an error from forging lines
// or moving the terminal's cursor.
func oneLine(s string) string {
	s = strings.ReplaceAll(s, "\n", "; ") // how errors.Join separates
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r < 0x20 || r == 0x7f || (r >= 0x80 && r < 0xa0):
			return -1
		case r == 0x2028 || r == 0x2029 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069:
			return -1 // would turn the order of what stands beside it
		}
		return r
	}, s)
}

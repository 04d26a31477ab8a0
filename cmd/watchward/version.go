package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
)

// support is the promise that comes with every version.
const support = "security fixes for the newest minor version and the one before it, see SECURITY.md"

// VersionCmd is "watchward version".
type VersionCmd struct {
	JSON bool `help:"Print JSON."`
}

// Help is shown by --help.
func (VersionCmd) Help() string {
	return `Examples

    watchward version
    watchward version --json | jq -r .commit`
}

// versionInfo is what --json prints.
type versionInfo struct {
	Version  string   `json:"version"`
	Commit   string   `json:"commit"`
	Modified bool     `json:"modified"` // built from a tree with changes of its own
	Go       string   `json:"go"`
	Platform string   `json:"platform"`
	Formats  []string `json:"formats"`
	Support  string   `json:"support"`
}

// Run prints the version.
func (c *VersionCmd) Run(s *streams) error {
	v := readVersion()
	if c.JSON {
		return printJSON(s, v)
	}
	commit := v.Commit
	if v.Modified {
		commit += ", with changes"
	}
	s.printf("watchward %s (%s)\n", v.Version, commit)
	s.printf("built with %s for %s\n", v.Go, v.Platform)
	s.printf("writes and reads:\n")
	for _, f := range v.Formats {
		s.printf("  %s\n", f)
	}
	s.printf("support: %s\n", v.Support)
	return nil
}

// readVersion asks the binary itself: the module version of a released build,
// else the commit it was built from.
func readVersion() versionInfo {
	v := versionInfo{
		Version: "development", Commit: "commit unknown",
		Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Formats: []string{
			"archive layout 1 (docs/reference/archive-format.md)",
			"age v1 files, recipients X25519 and MLKEM768-X25519 (c2sp.org/age)",
			"fragmented MP4 (ISO/IEC 14496-12)",
		},
		Support: support,
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

// printJSON writes v for a script: indented, one document, a line break at the
// end.
func printJSON(s *streams, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	s.printf("%s\n", b)
	return nil
}

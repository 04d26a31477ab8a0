package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/seal"
	"github.com/watchward/watchward/internal/simulate"
)

// DemoCmd shows the whole product alive with a simulated town.
//
// Two processes run: this one is the town and holds the archive identity, only
// to hand it to the browser in the part of the address that browsers never
// send. The other is the recorder, the same server as "watchward run": it is
// given the recipient and nothing else.
type DemoCmd struct {
	Listen      string        `help:"Address of the web page; port 0 picks a free one. Default: 127.0.0.1:8470, or a free port where that is taken." placeholder:"ADDRESS"`
	Data        string        `help:"Folder for what is recorded (DIR/archive, DIR/keys). Default: a temporary one, removed at the end." placeholder:"DIR" type:"path"`
	For         time.Duration `help:"Stop by itself after this long, everything committed. Default: at Ctrl-C." placeholder:"DURATION"`
	IdentityOut string        `help:"Also write the archive identity to this file, for scripts that open what was recorded." placeholder:"FILE" type:"path"`
	Cameras     int           `default:"10" help:"How many cameras the town has." placeholder:"N"`
	Footage     string        `help:"Play your own MP4 and MKV files from this folder instead of the drawn town." placeholder:"DIR" type:"existingdir"`
	Fault       []string      `help:"Make a camera misbehave: CAMERA=KIND[:AMOUNT][@START][/FOR], such as harbour-gate=drop@20s/5s. CAMERA is an id such as cam-01-harbour-gate, its number (01) or its name (harbour-gate). Kinds: drop, stall, refuse-password, resolution, time-jump, loss, corrupt-nal, no-keyframe, reboot." placeholder:"FAULT"`
	Control     string        `help:"Serve the town's control API (faults on request) at this loopback address." placeholder:"ADDRESS"`
	Classic     bool          `help:"Seal with X25519, which Debian's age 1.1 opens, instead of the post-quantum hybrid."`
	Keep        bool          `help:"Keep the temporary folder."`
}

// demoSeed is what the demo tells the recorder on its standard input: what a
// person would type into the pages, and never an identity.
type demoSeed struct {
	Recipient string       `json:"recipient"`
	Cameras   []demoCamera `json:"cameras"`
	MaxBytes  int64        `json:"maxBytes"`
	Town      int          `json:"town"`   // process id of the demo, for the page that says where to look
	Ranges    []string     `json:"ranges"` // addresses of the town's devices, for a scan
}

type demoCamera struct {
	Site, Name, Main, Sub, Username, Password string
	Audio                                     bool
}

// recorderReady is what the recorder prints once it listens.
type recorderReady struct {
	URL     string `json:"url"`     // of the page, with a slash at the end
	Welcome string `json:"welcome"` // token of the address that logs in, demo only
}

// Run shows the demo until ctx ends or its time is up.
func (c *DemoCmd) Run(ctx context.Context, s *streams) (err error) {
	dir, remove, err := c.folder()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	identity, err := c.identity(dir)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	town, err := simulate.New(simulate.Options{Cameras: c.Cameras, Footage: c.Footage, Control: c.Control, Faces: true, Log: log})
	if err != nil {
		return fmt.Errorf("build town: %w", err)
	}
	faults, err := planFaults(c.Fault, town)
	if err != nil {
		return err
	}
	townCtx, leave := context.WithCancel(context.WithoutCancel(ctx))
	townDone := make(chan error, 1)
	go func() { townDone <- town.Run(townCtx) }()
	defer func() {
		leave()
		err = errors.Join(err, <-townDone)
	}()
	select {
	case <-town.Ready():
	case e := <-townDone:
		townDone <- nil
		return fmt.Errorf("start town: %w", e)
	}
	for _, f := range faults {
		go f.strike(townCtx, town, log)
	}
	return c.record(ctx, s.Out, dir, identity, town)
}

// folder is where the demo records, and how to tidy up after it.
func (c *DemoCmd) folder() (dir string, remove func() error, err error) {
	none := func() error { return nil }
	if c.Data != "" {
		if err := os.MkdirAll(c.Data, 0o700); err != nil {
			return "", none, fmt.Errorf("make data folder %q: %w", c.Data, err)
		}
		return c.Data, none, nil
	}
	dir, err = os.MkdirTemp("", "watchward-demo-")
	if err != nil {
		return "", none, fmt.Errorf("make temporary folder: %w", err)
	}
	if c.Keep {
		return dir, none, nil
	}
	return dir, func() error { return os.RemoveAll(dir) }, nil
}

// address is where the pages are shown. Only an address that was asked for has
// to be free: a second demo, or "watchward run", may hold the usual one.
func (c *DemoCmd) address() string {
	if c.Listen != "" {
		return c.Listen
	}
	usual := DefaultConfig().Listen
	l, err := net.Listen("tcp", usual)
	if err != nil {
		return "127.0.0.1:0"
	}
	_ = l.Close()
	return usual
}

// identity makes the archive identity. A data folder used before is opened
// again only with the identity file it was made with.
func (c *DemoCmd) identity(dir string) (seal.Identity, error) {
	if c.IdentityOut != "" {
		if text, err := os.ReadFile(c.IdentityOut); err == nil {
			id, err := seal.ParseIdentity(string(text))
			if err != nil {
				return seal.Identity{}, fmt.Errorf("read identity %q: %w", c.IdentityOut, err)
			}
			return id, nil
		}
	}
	kind := seal.Hybrid
	if c.Classic {
		kind = seal.Classic
	}
	id, err := seal.GenerateIdentity(kind)
	if err != nil {
		return seal.Identity{}, err
	}
	if c.IdentityOut == "" {
		return id, nil
	}
	if rel, err := filepath.Rel(dir, c.IdentityOut); err == nil && filepath.IsLocal(rel) {
		return seal.Identity{}, withHint(fmt.Errorf("write identity %q: it would lie in the recorder's own data folder", c.IdentityOut),
			"name a file outside %q: the recorder must never hold the identity", dir)
	}
	f, err := os.OpenFile(c.IdentityOut, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return seal.Identity{}, fmt.Errorf("write identity: %w", err)
	}
	_, err = fmt.Fprintf(f, "# watchward demo, %s\n# public key: %s\n%s\n", time.Now().UTC().Format(time.RFC3339), id.Recipient(), id.Reveal())
	if err = errors.Join(err, f.Close()); err != nil {
		return seal.Identity{}, fmt.Errorf("write identity %q: %w", c.IdentityOut, err)
	}
	return id, nil
}

// record starts the recorder process, says where to look, and waits.
func (c *DemoCmd) record(ctx context.Context, out io.Writer, dir string, id seal.Identity, town *simulate.Town) error {
	seed := demoSeed{Recipient: id.Recipient(), MaxBytes: 8_000_000_000, Town: os.Getpid(), Ranges: townRanges(town.Devices())}
	for _, cam := range town.Cameras() {
		seed.Cameras = append(seed.Cameras, demoCamera{
			Site: siteName(cam.Site), Name: cam.Name, Main: cam.MainURL, Sub: cam.SubURL,
			Username: cam.Username, Password: cam.Password, Audio: cam.Audio != 0,
		})
	}
	child, ready, err := startRecorder(c.address(), dir, seed)
	if err != nil {
		return err
	}
	c.say(out, dir, ready.URL+"welcome/"+ready.Welcome+"#key="+id.Reveal(), child.cmd.Process.Pid, len(seed.Cameras))
	timeUp := make(<-chan time.Time)
	if c.For > 0 {
		timeUp = time.After(c.For)
	}
	select {
	case <-ctx.Done():
	case <-timeUp:
	case err := <-child.exited:
		return fmt.Errorf("recorder ended by itself: %w", errors.Join(err, errors.New("see its messages above")))
	}
	if err := child.stop(); err != nil {
		return fmt.Errorf("stop recorder: %w", err)
	}
	fmt.Fprintln(out, "stopped: every segment is committed")
	return nil
}

func (c *DemoCmd) say(out io.Writer, dir, address string, pid, cameras int) {
	fmt.Fprintf(out, "Watchward demo: %d cameras of a simulated town, recorded into %s\n\n", cameras, dir)
	fmt.Fprintf(out, "ready %s\n\n", address)
	fmt.Fprintf(out, "The recorder is process %d. It was given the recipient, never the identity: that is the part of\n", pid)
	fmt.Fprintln(out, "the address after #, which browsers do not send. See for yourself:")
	fmt.Fprintf(out, "  ls %s       sealed day keys; the recorder forgot what is in them\n", filepath.Join(dir, "keys", "*", "*"))
	fmt.Fprintf(out, "  head -c 60 %s   sealed video\n", filepath.Join(dir, "archive", "*", "*", "*", "*.age"))
	if c.IdentityOut != "" {
		fmt.Fprintf(out, "  watchward unseal -i %s SEGMENT   opens it, with the identity\n", c.IdentityOut)
	}
	fmt.Fprintln(out, "\nCtrl-C stops.")
}

// siteName is how a person would write a site's id: "Town hall" for "town-hall".
func siteName(id string) string {
	name := strings.ReplaceAll(id, "-", " ")
	if name == "" {
		return name
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

// recorderProcess is the running "watchward run" of the demo.
type recorderProcess struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	exited chan error
}

// startRecorder runs this same program as recorder and waits until it listens.
// Its standard input stays open as long as the demo lives: when it closes, for
// whatever reason, the recorder stops in good order.
func startRecorder(listen, dir string, seed demoSeed) (*recorderProcess, recorderReady, error) {
	var ready recorderReady
	self, err := os.Executable()
	if err != nil {
		return nil, ready, fmt.Errorf("find own program: %w", err)
	}
	cmd := exec.Command(self, "run", "--data", dir, "--listen", listen, "--demo-seed")
	cmd.Args[0] = "watchward" // a test binary goes by its name
	cmd.Stderr = os.Stderr
	ownGroup(cmd) // Ctrl-C reaches the demo, which stops the recorder
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, ready, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, ready, err
	}
	if err := cmd.Start(); err != nil {
		return nil, ready, fmt.Errorf("start recorder: %w", err)
	}
	p := &recorderProcess{cmd: cmd, stdin: stdin, exited: make(chan error, 1)}
	line := make(chan string, 1)
	go func() {
		r := bufio.NewReader(stdout)
		text, _ := r.ReadString('\n')
		line <- text
		_, _ = io.Copy(io.Discard, r)
		p.exited <- cmd.Wait()
	}()
	if err := json.NewEncoder(stdin).Encode(seed); err != nil {
		return nil, ready, errors.Join(fmt.Errorf("brief recorder: %w", err), p.stop())
	}
	text := <-line
	if err := json.Unmarshal([]byte(text), &ready); err != nil {
		return nil, ready, errors.Join(errors.New("recorder did not start: see its message above"), ignoreExit(p.stop()))
	}
	return p, ready, nil
}

// stop closes the recorder's standard input and waits until it has committed
// what it holds.
func (p *recorderProcess) stop() error {
	_ = p.stdin.Close()
	select {
	case err := <-p.exited:
		return err
	case <-time.After(30 * time.Second):
		_ = p.cmd.Process.Kill()
		return errors.Join(errors.New("recorder did not stop within 30 s and was killed"), ignoreExit(<-p.exited))
	}
}

// ignoreExit drops an exit status that only repeats what was said already.
func ignoreExit(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil
	}
	return err
}

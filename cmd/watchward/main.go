// Command watchward is the whole recorder in one program: the server, the demo,
// and the tools that check and open what it recorded.
//
// A file holds one command: its flags are the fields of a struct, its work is
// the struct's Run method. Begin with [CLI], which lists them; config.go holds
// what the server reads from a file. Exit codes are in exit.go and in
// docs/reference/cli.md, which a test compares with the flags.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// CLI lists the commands. The order is the order of the help page.
type CLI struct {
	Run      RunCmd      `cmd:"" help:"Record cameras and serve the pages."`
	Demo     DemoCmd     `cmd:"" help:"A simulated town, recorded and watched, in one command."`
	Check    CheckCmd    `cmd:"" help:"Read a configuration file and say what run would do. Starts nothing."`
	Keygen   KeygenCmd   `cmd:"" help:"Make an identity: what opens recordings."`
	Unseal   UnsealCmd   `cmd:"" help:"Open sealed segments with an identity."`
	Archive  ArchiveCmd  `cmd:"" help:"Check, list, hold and reindex what was recorded."`
	Keys     KeysCmd     `cmd:"" help:"List day keys, seal them to other readers, erase a day."`
	Verify   VerifyCmd   `cmd:"" help:"Compare the ledger with itself, with what others saw of it, and with the archive; name the first lie."`
	Ledger   LedgerCmd   `cmd:"" help:"Show the record of what was recorded, deleted, held and watched; its key; forget words in it."`
	Witness  WitnessCmd  `cmd:"" help:"Cosign other servers' ledgers, on another machine, if they only ever grew."`
	Users    UsersCmd    `cmd:"" help:"List accounts; let somebody in again who is locked out."`
	Scan     ScanCmd     `cmd:"" help:"Find the devices at some addresses, and say who really made each."`
	Estate   EstateCmd   `cmd:"" help:"List, import and export organisations, sites and devices."`
	Judge    JudgeCmd    `cmd:"" help:"Say what each rule asks of each device of a list."`
	Rules    RulesCmd    `cmd:"" help:"List, show and check the rules that devices are judged by."`
	Identify IdentifyCmd `cmd:"" help:"Say who made a device, from what it answered. Asks no network."`
	Makers   MakersCmd   `cmd:"" help:"List makers; say what a badge can mean, and since when."`
	Data     DataCmd     `cmd:"" help:"Import, sign and show the data that conclusions rest on."`
	Version  VersionCmd  `cmd:"" help:"Say which Watchward this is and which formats it writes."`
}

// Help is shown below the list of commands.
func (CLI) Help() string {
	return `Start with

    watchward demo       a simulated town, recorded and watched, in one command
    watchward run        the same server for your own cameras

Exit codes: 0 done, 1 error, 2 wrong usage, 3 a check found problems.`
}

// streams is where a command reads and writes. Results go to Out, everything
// said to a person to Err, so that a script can take the one without the other.
type streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// printf writes to Out.
func (s *streams) printf(format string, args ...any) {
	fmt.Fprintf(s.Out, format, args...)
}

// notef writes to Err.
func (s *streams) notef(format string, args ...any) {
	fmt.Fprintf(s.Err, format, args...)
}

func main() {
	// The second interrupt kills: whoever presses twice does not want to wait.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	code := execute(ctx, os.Args[1:], &streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	stop()
	os.Exit(code)
}

// execute runs one command and returns the exit code.
func execute(ctx context.Context, args []string, s *streams) int {
	var cli CLI
	parser, err := newParser(ctx, &cli, s)
	if err != nil {
		return report(s.Err, err)
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	k, err := parser.Parse(args)
	if err != nil {
		return report(s.Err, usageError(err))
	}
	return report(s.Err, k.Run(s))
}

// newParser makes the command line of cli. It exits the process after --help.
func newParser(ctx context.Context, cli *CLI, s *streams) (*kong.Kong, error) {
	return kong.New(cli,
		kong.Name("watchward"),
		kong.Description("A video recorder whose maker, and whose own server, can see nothing."),
		kong.Writers(s.Out, s.Err),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: false, WrapUpperBound: 100}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.BindTo(s.Out, (*io.Writer)(nil)),
	)
}

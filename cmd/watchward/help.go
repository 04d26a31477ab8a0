package main

// Help is shown by --help.
func (RunCmd) Help() string {
	return `The first start makes the data folder and prints a link that works once: behind it you make the first
administrator, and the identity that opens your recordings. Cameras, users, readers and retention are
set in the pages. What needs a restart may stand in a file, see docs/reference/config.md; "watchward
check FILE" reads it first.

It prints "ready URL" when the pages can be opened. Ctrl-C (or SIGTERM) commits what is being recorded,
then stops; a second one stops at once.

Examples

    watchward run
    watchward run --data /srv/watchward/data
    watchward run --config /etc/watchward.json`
}

// Help is shown by --help.
func (DemoCmd) Help() string {
	return `Starts a town of cameras that speak real RTSP, and a recorder, as two processes. The identity that
opens the recordings goes to your browser, in the part of the address after #, which browsers do not
send; the recorder is given the recipient only. It prints "ready URL" on a line of its own.

With --for it stops by itself and ends with 0 when everything is committed. With --identity-out a
script can open what was recorded; --classic makes it a kind that Debian's age opens.

Examples

    watchward demo
    watchward demo --footage ~/videos --cameras 4
    watchward demo --listen 127.0.0.1:0 --data /tmp/town --for 1m --identity-out /tmp/me.key
    watchward demo --fault cam-01-harbour-gate=stall@10s/5s`
}

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/watchward/watchward/internal/ledger"
)

// WitnessCmd is "watchward witness".
type WitnessCmd struct {
	Data    string   `short:"d" required:"" placeholder:"DIR" help:"Folder for its key and for what it remembers; made if missing." type:"path"`
	Log     []string `short:"l" required:"" placeholder:"KEY" help:"Verifier key of a ledger to watch, as \"ledger keys\" prints it; may be given again."`
	Listen  string   `default:"127.0.0.1:8471" placeholder:"ADDRESS" help:"Address to listen at."`
	Name    string   `placeholder:"NAME" help:"Name of its key, such as witness.example.org/w1. Only for the first start. Default: one made by chance."`
	TLSCert string   `name:"tls-cert" placeholder:"FILE" help:"PEM certificate. Without one it speaks plain HTTP: what it is told is signed, and no secret." type:"existingfile"`
	TLSKey  string   `name:"tls-key" placeholder:"FILE" help:"PEM key of the certificate." type:"existingfile"`
}

// Help is shown by --help.
func (WitnessCmd) Help() string {
	return `Run it on a machine that whoever runs the server does not control: an auditor's, another office's, a
customer's. It keeps the newest checkpoint of each ledger and cosigns the next only if it proves
that the ledger grew and nothing in it changed. It needs some kilobytes, and sees neither leaves nor
video. Its answers follow C2SP tlog-witness, so other tile logs can use it, and other witnesses can
cosign yours.

Back its folder up: a witness that has lost it must be given a new name and key.

Example

    watchward ledger keys /srv/watchward                          on the server
    watchward witness -d /srv/witness --name witness.example.org/w1 --log KEY     elsewhere

then on the server, in the configuration

    {"ledger": {"witnesses": [{"url": "https://witness.example.org", "key": "KEY OF THE WITNESS"}]}}`
}

// Run serves until ctx ends.
func (c *WitnessCmd) Run(ctx context.Context, s *streams) (err error) {
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return usage("", "want --tls-cert and --tls-key together")
	}
	log := slog.New(slog.NewTextHandler(s.Err, nil))
	w, err := ledger.OpenWitness(ledger.WitnessOptions{Dir: c.Data, Name: c.Name, Logs: c.Log, Log: log})
	if errors.Is(err, ledger.ErrInUse) {
		return withHint(err, "another witness uses this folder: stop it first")
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	server, err := c.server(w)
	if err != nil {
		return err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return hintAtPort(err)
	}
	scheme := "http"
	if server.TLSConfig != nil {
		scheme, l = "https", tls.NewListener(l, server.TLSConfig)
	}
	s.printf("ready %s://%s\nkey %s\n", scheme, l.Addr(), w.VerifierKey())
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		last, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		err := server.Shutdown(last)
		if err != nil { // who opened a connection and asks nothing is not waited for
			err = server.Close()
		}
		stopped <- err
	}()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return <-stopped
}

// server is bounded in every way: anybody may knock.
func (c *WitnessCmd) server(w *ledger.Witness) (*http.Server, error) {
	server := &http.Server{
		Handler: w, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(slog.NewTextHandler(os.Stderr, nil), slog.LevelDebug),
	}
	if c.TLSCert == "" {
		return server, nil
	}
	pair, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	return server, nil
}

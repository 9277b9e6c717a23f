// Command campuskeepd is the appliance: one process that records, deletes on time, answers the pages,
// reads cards and ships its ledger. This file reads flags, environment and the configuration file; everything
// else is firmware/appliance.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	_ "time/tzdata" // boards are often without a time zone database

	"campuskeep/firmware/appliance"
	"campuskeep/shared/lib/config"
)

//go:embed campuskeep.example.toml
var example string

//go:embed campuskeepd.service
var unit string

const usage = `campuskeepd keeps a school's camera footage for a set time (30 days by default), deletes it when due, and logs every access through it.

  campuskeepd run -c campuskeep.toml            start; stops cleanly on SIGTERM
  campuskeepd init -c campuskeep.toml           make the data directory, print the set-up code, write the label sheet
  campuskeepd enrol -c campuskeep.toml -token T  enrol at the centre with a one-time token
  campuskeepd check -c campuskeep.toml [-full]   verify the invariants, running or stopped
  campuskeepd rotate-root -c campuskeep.toml     put all keys under a new root key, running or stopped
  campuskeepd give-up -c campuskeep.toml -file F enter that one of the box's own files is lost for good; the next start makes a new one
  campuskeepd export-log -c campuskeep.toml [-o file]   the whole log, for any RFC 6962 implementation
  campuskeepd example [-unit] [-o file]         print a commented configuration, or the unit file for systemd
  campuskeepd version
`

// Exit statuses: 0 done, 1 failed, 2 wrong use or configuration, 3 check found something.
const (
	exitFailed = 1
	exitUsage  = 2
	exitFound  = 3
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(errOut, usage)
		return exitUsage
	}
	flags := flag.NewFlagSet("campuskeepd "+args[0], flag.ContinueOnError)
	flags.SetOutput(errOut)
	file := flags.String("c", "/etc/campuskeep/campuskeep.toml", "configuration file")
	token := flags.String("token", "", "enrol: one-time token that the centre printed")
	full := flags.Bool("full", false, "check: decrypt every fragment, not only headers, indexes and ends")
	lost := flags.String("file", "", "give-up: the file, e.g. keys/footage.ring")
	sheet := flags.String("label", "", "init: file for the label sheet, an HTML page to print; <data>/label.html when empty")
	to := flags.String("o", "-", "export-log, example: file to write, - for standard output")
	asUnit := flags.Bool("unit", false, "example: the unit file for systemd")
	verbose := flags.Bool("v", false, "log more")
	if err := flags.Parse(args[1:]); err != nil {
		return exitUsage
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(errOut, "campuskeepd %s: %q is not understood\n\n%s", args[0], flags.Arg(0), usage)
		return exitUsage
	}
	switch args[0] {
	case "version":
		fmt.Fprintln(out, "campuskeepd", appliance.Version)
		return 0
	case "example":
		text := example
		if *asUnit {
			text = unit
		}
		if err := writeExample(*to, text, out); err != nil {
			fmt.Fprintf(errOut, "campuskeepd example: %v\n", err)
			return exitFailed
		}
		return 0
	case "run", "init", "enrol", "check", "rotate-root", "give-up", "export-log":
	default:
		fmt.Fprintf(errOut, "campuskeepd: there is no command %q\n\n%s", args[0], usage)
		return exitUsage
	}
	cfg, err := read(*file)
	if err != nil {
		fmt.Fprintln(errOut, err)
		return exitUsage
	}
	level := slog.LevelInfo
	if *verbose {
		level = slog.LevelDebug
	}
	options := &slog.HandlerOptions{Level: level}
	log := slog.New(slog.NewTextHandler(errOut, options))
	if cfg.Log.Format == "json" {
		log = slog.New(slog.NewJSONHandler(errOut, options))
	}
	switch args[0] {
	case "run":
		err = appliance.Serve(ctx, cfg, log)
	case "init":
		err = appliance.Init(ctx, cfg, log, *sheet, out)
	case "enrol":
		if *token == "" {
			fmt.Fprintln(errOut, "campuskeepd enrol: -token is missing: the centre prints it (campuskeep-cloud token)")
			return exitUsage
		}
		err = appliance.Enrol(ctx, cfg, *token, log)
	case "check":
		var found int
		found, err = appliance.Check(ctx, cfg, *full, out)
		if err == nil && found > 0 {
			return exitFound
		}
	case "rotate-root":
		err = appliance.RotateRoot(ctx, cfg, out)
	case "give-up":
		err = appliance.GiveUp(ctx, cfg, *lost, log, out)
	case "export-log":
		err = export(ctx, cfg, *to, out)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintf(errOut, "campuskeepd %s: %v\n", args[0], err)
		return exitFailed
	}
	return 0
}

func read(file string) (appliance.Config, error) {
	cfg := appliance.Default()
	text, err := os.ReadFile(file)
	if err != nil {
		return cfg, fmt.Errorf("read the configuration: %w (campuskeepd example prints one)", err)
	}
	return cfg, config.Decode(file, text, &cfg)
}

// writeExample writes a new file, and the folder that it lies in.
func writeExample(to, text string, out io.Writer) (err error) {
	if to == "-" {
		_, err = io.WriteString(out, text)
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = io.WriteString(f, text)
	return err
}

func export(ctx context.Context, cfg appliance.Config, to string, out io.Writer) (err error) {
	if to == "-" {
		return appliance.ExportLog(ctx, cfg, out)
	}
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write the export: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return appliance.ExportLog(ctx, cfg, f)
}

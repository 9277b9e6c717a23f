// Command campuskeep-cloud is the central office: it takes the ledgers of many schools, witnesses them, and shows
// who falls short. This file reads flags and the configuration file; everything else is cloud/centre.
package main

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	_ "time/tzdata" // machines are often without a time zone database

	"campuskeep/cloud/centre"
	"campuskeep/cloud/centredb"
	"campuskeep/cloud/console"
	"campuskeep/shared/account"
	"campuskeep/shared/lib/config"
	"campuskeep/shared/wire"
)

//go:embed campuskeep-cloud.example.toml
var example string

const usage = `campuskeep-cloud witnesses the ledgers of many schools.

  campuskeep-cloud run -c campuskeep-cloud.toml      start; stops cleanly on SIGTERM
  campuskeep-cloud init -c … [-user U -name N]       make keys and database, print the authority's fingerprint and, while
                                                     there is nobody, a one-time code for https://…/setup;
                                                     with -user, a first administrator as "person" makes one
  campuskeep-cloud person -c … -id c002 -user U -name N [-roles centre_staff]   add or reset a person; prints a one-time
                                                     password, or takes a password on standard input and prints the
                                                     second factor
  campuskeep-cloud token -c … -appliance ck-0417 -school NAME   one-time token to enrol with, 24 hours
  campuskeep-cloud check -c … -appliance ck-0417 [-export FILE] verify I8 against what "campuskeepd export-log" wrote;
                                                     without -export, what the centre holds by itself
  campuskeep-cloud restored -c …                     say that the database was restored from a copy
  campuskeep-cloud certificate -c … -names HOST,… -o DIR   certificate of our authority for an external broker, 90 days
  campuskeep-cloud example                           print a commented configuration
  campuskeep-cloud version
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
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// options are what the flags say.
type options struct {
	file, appliance, school, export string
	id, user, name, roles           string
	names, dir                      string
	verbose                         bool
}

func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(errOut, usage)
		return exitUsage
	}
	var o options
	flags := flag.NewFlagSet("campuskeep-cloud "+args[0], flag.ContinueOnError)
	flags.SetOutput(errOut)
	flags.StringVar(&o.file, "c", "/etc/campuskeep/campuskeep-cloud.toml", "configuration file")
	flags.StringVar(&o.appliance, "appliance", "", "token, check: id of an appliance, e.g. ck-0417")
	flags.StringVar(&o.school, "school", "", "token: name of its school")
	flags.StringVar(&o.export, "export", "", "check: file written by campuskeepd export-log, - for standard input")
	flags.StringVar(&o.id, "id", "c001", "person: id")
	flags.StringVar(&o.user, "user", "", "init, person: log-in name")
	flags.StringVar(&o.name, "name", "", "init, person: name")
	flags.StringVar(&o.roles, "roles", string(account.RoleCentreStaff), "person: centre_staff, centre_administrator, or both with a comma")
	flags.StringVar(&o.names, "names", "", "certificate: host names and addresses of the broker, with commas")
	flags.StringVar(&o.dir, "o", "", "certificate: directory for broker.pem, broker.key and ca.pem")
	flags.BoolVar(&o.verbose, "v", false, "log more")
	if err := flags.Parse(args[1:]); err != nil {
		return exitUsage
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(errOut, "campuskeep-cloud %s: %q is not understood\n\n%s", args[0], flags.Arg(0), usage)
		return exitUsage
	}
	switch args[0] {
	case "version":
		fmt.Fprintln(out, "campuskeep-cloud", centre.Version)
		return 0
	case "example":
		fmt.Fprint(out, example)
		return 0
	}
	command, ok := commands[args[0]]
	if !ok {
		fmt.Fprintf(errOut, "campuskeep-cloud: there is no command %q\n\n%s", args[0], usage)
		return exitUsage
	}
	if fault := o.missing(args[0]); fault != "" {
		fmt.Fprintf(errOut, "campuskeep-cloud %s: %s\n", args[0], fault)
		return exitUsage
	}
	cfg, err := read(o.file)
	if err != nil {
		fmt.Fprintln(errOut, err)
		return exitUsage
	}
	level := slog.LevelInfo
	if o.verbose {
		level = slog.LevelDebug
	}
	c, err := centre.Open(ctx, cfg, centre.Deps{Log: slog.New(slog.NewTextHandler(errOut, &slog.HandlerOptions{Level: level}))})
	if err == nil {
		err = errors.Join(command(ctx, c, o, in, out), c.Close())
	}
	switch {
	case errors.Is(err, errFound):
		return exitFound
	case err != nil && !errors.Is(err, context.Canceled):
		fmt.Fprintf(errOut, "campuskeep-cloud %s: %v\n", args[0], err)
		return exitFailed
	}
	return 0
}

// missing says which flag a command cannot do without.
func (o options) missing(command string) string {
	switch {
	case command == "token" && (!wire.ApplianceID(o.appliance) || strings.TrimSpace(o.school) == ""):
		return `-appliance (3 to 32 of a-z, 0-9 and inner "-") and -school are needed`
	case command == "check" && !wire.ApplianceID(o.appliance):
		return "-appliance is needed, e.g. -appliance ck-0417"
	case command == "person" && (o.user == "" || o.name == ""):
		return "-user and -name are needed; a password is read from standard input, an empty one makes a one-time password"
	case command == "certificate" && (o.names == "" || o.dir == ""):
		return "-names and -o are needed"
	case command == "init" && (o.user == "") != (o.name == ""):
		return "-user and -name go together"
	}
	return ""
}

func read(file string) (centre.Config, error) {
	cfg := centre.Default()
	text, err := os.ReadFile(file)
	if err != nil {
		return cfg, fmt.Errorf("read the configuration: %w (campuskeep-cloud example prints one)", err)
	}
	return cfg, config.Decode(file, text, &cfg)
}

type command func(ctx context.Context, c *centre.Centre, o options, in io.Reader, out io.Writer) error

var commands = map[string]command{"run": serve, "init": initialise, "person": person, "token": token, "check": check, "restored": restored, "certificate": certificate}

// errFound: the check has printed what is wrong.
var errFound = errors.New("the check found something")

func serve(ctx context.Context, c *centre.Centre, _ options, _ io.Reader, out io.Writer) error {
	a, err := c.Listen()
	if err != nil {
		return err
	}
	// One line each, so that scripts can read where it listens.
	fmt.Fprintf(out, "console %s\nenrol %s\nbroker %s\nca %s\n", a.Console, a.Enrol, a.Broker, c.Fingerprint())
	return c.Run(ctx)
}

func initialise(ctx context.Context, c *centre.Centre, o options, in io.Reader, out io.Writer) error {
	statements, cosignatures := c.WitnessKeys()
	fmt.Fprintf(out, "ca %s\nkey %s\ncosigner %s\n", c.Fingerprint(), statements, cosignatures)
	if o.user == "" {
		code, err := c.SetUpCode(ctx)
		if err != nil || code == "" {
			return err
		}
		fmt.Fprintf(out, "code %s\n", code)
		return nil
	}
	o.roles = string(account.RoleCentreAdmin)
	return person(ctx, c, o, in, out)
}

func person(ctx context.Context, c *centre.Centre, o options, in io.Reader, out io.Writer) error {
	password, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the password: %w", err)
	}
	var roles []account.Role
	for r := range strings.SplitSeq(o.roles, ",") {
		roles = append(roles, account.Role(strings.TrimSpace(r)))
	}
	added, err := console.Add(ctx, c.Store, c.Key(), centredb.Person{ID: o.id, User: o.user, Name: o.name, Roles: roles}, strings.TrimRight(password, "\r\n"), c.Now())
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "person %s\n", o.id)
	if added.Password != "" {
		fmt.Fprintf(out, "one-time-password %s\n", added.Password)
	}
	if added.Factor != "" {
		fmt.Fprintf(out, "second-factor %s\n", added.Factor)
	}
	return nil
}

func token(ctx context.Context, c *centre.Centre, o options, _ io.Reader, out io.Writer) error {
	t, until, err := c.Enrol.Token(ctx, o.appliance, strings.TrimSpace(o.school))
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "token %s\nuntil %s\nca %s\n", t, until.Format("2006-01-02T15:04:05Z07:00"), c.Fingerprint())
	return nil
}

func check(ctx context.Context, c *centre.Centre, o options, in io.Reader, out io.Writer) (err error) {
	found := 0
	report := func(f centre.Finding) {
		found++
		fmt.Fprintln(out, f)
	}
	var n centre.Compared
	if o.export == "" {
		hashes, err := centre.CheckStored(ctx, c.Store, o.appliance, report)
		if err != nil {
			return err
		}
		n.Leaves = uint64(len(hashes))
	} else {
		if o.export != "-" {
			f, err := os.Open(o.export)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, f.Close()) }()
			in = f
		}
		if n, err = centre.CheckBox(ctx, c.Store, o.appliance, in, report); err != nil {
			return err
		}
	}
	if found > 0 {
		return errFound
	}
	fmt.Fprintf(out, "I8 holds: %d leaves of %s\n", n.Leaves, o.appliance)
	if n.Later > 0 {
		fmt.Fprintf(out, "%d leaves came after the export: export again to compare them\n", n.Later)
	}
	return nil
}

func restored(ctx context.Context, c *centre.Centre, _ options, _ io.Reader, out io.Writer) error {
	inc, err := c.Restored(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "incarnation %s\n", inc)
	return nil
}

func certificate(_ context.Context, c *centre.Centre, o options, _ io.Reader, out io.Writer) error {
	until, err := c.BrokerCertificate(strings.Split(o.names, ","), o.dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "until %s\n", until.Format("2006-01-02T15:04:05Z07:00"))
	return nil
}

package appliance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"campuskeep/firmware/evidence"
	"campuskeep/firmware/store"
)

// Serve opens the box and runs it until ctx ends.
func Serve(ctx context.Context, cfg Config, log *slog.Logger) (err error) {
	a, err := Open(ctx, cfg, Deps{Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	if err := a.Listen(); err != nil {
		return err
	}
	log.Info("campuskeepd is up", "version", Version, "appliance", cfg.Appliance.ID, "office", a.Address().String(), "entries", a.Store.Size())
	err = a.Run(ctx)
	log.Info("campuskeepd has stopped", "entries", a.Store.Size())
	return err
}

// Init makes the data directory and prints what the installer writes on the label sheet: the set-up code of the
// first administrator, and the fingerprint of the office root.
func Init(ctx context.Context, cfg Config, log *slog.Logger, out io.Writer) (err error) {
	a, err := Open(ctx, cfg, Deps{Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	stop := a.Ground(ctx)
	defer func() { err = errors.Join(err, stop()) }()
	fmt.Fprintf(out, "appliance   %s  %s\n", cfg.Appliance.ID, cfg.Appliance.School)
	fmt.Fprintf(out, "log key     %s\n", a.Store.VerifierKey())
	fmt.Fprintf(out, "office root SHA-256 %s\n", a.certs.Fingerprint())
	if !a.People.NeedsSetUp() {
		fmt.Fprintln(out, "set-up      done: there is an administrator already")
		return nil
	}
	code, err := a.People.SetUpCode(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "set-up code %s  (once, at https://%s.local/setup)\n", code, cfg.Appliance.ID)
	return nil
}

// Ground runs the ledger and the vault alone, for commands and tools that work on a stopped box. The returned
// function ends them.
func (a *Appliance) Ground(ctx context.Context) (stop func() error) {
	ground, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 2)
	go func() { done <- a.Store.Run(ground) }()
	go func() { done <- a.Vault.Run(ground) }()
	return func() error {
		cancel()
		return errors.Join(<-done, <-done)
	}
}

// Finding is one thing that check found wrong.
type Finding struct {
	Invariant string `json:"invariant"`
	What      string `json:"what"`
	Where     string `json:"where"`
	Detail    string `json:"detail,omitempty"`
}

func (f Finding) String() string {
	s := f.Invariant + "  " + f.What + "  " + f.Where
	if f.Detail != "" {
		s += ": " + f.Detail
	}
	return s
}

// Check verifies the invariants of a running or stopped box, prints what it finds, and returns how much.
func Check(ctx context.Context, cfg Config, full bool, out io.Writer) (found int, err error) {
	report := func(f Finding) {
		found++
		fmt.Fprintln(out, f)
	}
	running, err := askCheck(ctx, cfg, full, report)
	if !running && err == nil {
		err = checkStopped(ctx, cfg, full, report)
	}
	if err != nil {
		return found, err
	}
	if found == 0 {
		how := "headers, indexes and ends of all segments; -full decrypts them"
		if full {
			how = "every fragment decrypted"
		}
		fmt.Fprintf(out, "clean: I1 I2 I3 I4 I5 I6 (%s)\n", how)
	}
	return found, nil
}

func checkStopped(ctx context.Context, cfg Config, full bool, report func(Finding)) (err error) {
	a, err := Open(ctx, cfg, Deps{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	// What a power cut left unindexed is recovered first, as at every start: it is not yet a fault.
	stop := a.Ground(ctx)
	defer func() { err = errors.Join(err, stop()) }()
	select {
	case <-a.Vault.Recovered():
	case <-ctx.Done():
		return ctx.Err()
	}
	return a.check(ctx, full, report)
}

// check asks every room that keeps an invariant.
func (a *Appliance) check(ctx context.Context, full bool, report func(Finding)) error {
	fromStore := func(f store.Finding) { report(Finding{f.Invariant, f.What, f.Where, f.Detail}) }
	if err := a.Store.Check(ctx, fromStore); err != nil {
		return fmt.Errorf("check the ledger: %w", err)
	}
	if err := a.checkKeeping(ctx, full, report); err != nil {
		return err
	}
	if err := evidence.Check(ctx, a.Store, fromStore); err != nil {
		return fmt.Errorf("check the register of access: %w", err)
	}
	return nil
}

// ExportLog writes the whole log in the documented format, from a running or a stopped box.
func ExportLog(ctx context.Context, cfg Config, w io.Writer) (err error) {
	running, err := askExport(ctx, cfg, w)
	if running || err != nil {
		return err
	}
	a, err := Open(ctx, cfg, Deps{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	_, err = a.Store.Export(ctx, w)
	return err
}

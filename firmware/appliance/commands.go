package appliance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/site"
	"campuskeep/firmware/timekeeper"
	"campuskeep/firmware/usage"
	"campuskeep/firmware/vault"
	"campuskeep/shared/design"
	"campuskeep/shared/footage"
)

// Serve opens the box and runs it until ctx ends.
func Serve(ctx context.Context, cfg Config, log *slog.Logger) (err error) {
	if err := checkCreated(cfg); err != nil {
		return err
	}
	a, err := Open(ctx, cfg, Deps{Log: log, RecordOnDamage: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	if err := a.Listen(); err != nil {
		return err
	}
	log.Info("campuskeepd is up", "version", Version, "appliance", cfg.Appliance.ID, "office", a.Address().String(), "entries", a.Store.Size())
	stop := a.notifySystemd(ctx)
	err = a.Run(ctx)
	stop()
	log.Info("campuskeepd has stopped", "entries", a.Store.Size())
	return err
}

// checkCreated refuses a data directory in which nothing was created, without creating it: the disk may not be
// mounted.
func checkCreated(cfg Config) error {
	list, err := os.ReadDir(cfg.Appliance.Data)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look into the data directory: %w", err)
	}
	for _, e := range list {
		if n := e.Name(); n != "lost+found" && n != "vault" && n != "campuskeepd.lock" {
			return nil
		}
	}
	return fmt.Errorf("the data directory %s is empty: %w", cfg.Appliance.Data, errUnmade)
}

// Init makes the data directory, prints the set-up code of the first administrator and the fingerprint of the office
// root, and writes both on a label sheet for printing; sheet is its file, "" for the usual place.
func Init(ctx context.Context, cfg Config, log *slog.Logger, sheet string, out io.Writer) (err error) {
	a, err := Open(ctx, cfg, Deps{Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	stop := a.Base(ctx)
	defer func() { err = errors.Join(err, stop()) }()
	if err := a.markFiles(ctx); err != nil {
		return err
	}
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
	fmt.Fprintf(out, "set-up code %s  (once, at %s/setup)\n", code, webURL(cfg))
	if sheet == "" {
		sheet = filepath.Join(cfg.Appliance.Data, labelFile)
	}
	if err := writeLabel(sheet, label{ID: cfg.Appliance.ID, School: cfg.Appliance.School, Address: webURL(cfg), Code: code,
		Fingerprint: groupFingerprint(a.certs.Fingerprint()), LogKey: a.Store.VerifierKey()}); err != nil {
		return err
	}
	fmt.Fprintf(out, "label sheet %s  (print it, then delete it: it holds the set-up code)\n", sheet)
	return nil
}

// webURL is the address of the pages: by the box's name where it answers for it, else by the first other one of
// the certificate.
func webURL(cfg Config) string {
	host := cfg.Appliance.ID + ".local"
	if _, answers := cfg.nameOn(); !answers {
		for _, n := range cfg.Web.Names {
			if !strings.HasSuffix(n, ".local") {
				host = n
				break
			}
		}
	}
	if _, port, err := net.SplitHostPort(cfg.Web.Listen); err == nil && port != "443" {
		host = net.JoinHostPort(host, port)
	}
	return "https://" + host
}

// Base runs the ledger and the vault alone, for commands and tools that work on a stopped box. The returned
// function ends them.
func (a *Appliance) Base(ctx context.Context) (stop func() error) {
	return baseOf(ctx, a.Store.Run, a.Vault.Run)
}

func baseOf(ctx context.Context, runs ...func(context.Context) error) (stop func() error) {
	baseCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, len(runs))
	for _, run := range runs {
		go func() { done <- run(baseCtx) }()
	}
	return func() error {
		cancel()
		var err error
		for range runs {
			err = errors.Join(err, <-done)
		}
		return err
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

// Check verifies the invariants of a running or stopped box, prints what it finds with the sentence of each invariant
// that is broken, and returns how much.
func Check(ctx context.Context, cfg Config, full bool, out io.Writer) (found int, err error) {
	broken := map[string]bool{}
	report := func(f Finding) {
		found++
		fmt.Fprintln(out, f)
		for number := range strings.FieldsSeq(f.Invariant) {
			broken[number] = true
		}
	}
	running, err := askCheck(ctx, cfg, full, report)
	if !running && err == nil {
		err = checkStopped(ctx, cfg, full, report, out)
	}
	if err != nil {
		return found, err
	}
	if found == 0 {
		how := "headers, indexes and ends of all segments; -full decrypts them"
		if full {
			how = "every fragment decrypted"
		}
		fmt.Fprintf(out, "clean: I1 I2 I3 I4 I5 I6, the box's own files (%s)\n", how)
	}
	for _, i := range design.Invariants {
		if broken[i.Number] {
			fmt.Fprintf(out, "%s: %s\n", i.Number, i.Sentence)
		}
	}
	return found, nil
}

// openToRead opens the base of a stopped appliance; on a file system that is mounted read-only it makes and changes nothing.
func openToRead(cfg Config) (a *Appliance, host timekeeper.HostClock, err error) {
	if err := checkCreated(cfg); err != nil {
		return nil, host, err
	}
	if a, err = newAppliance(cfg, Deps{}); err != nil {
		return nil, host, err
	}
	if host, err = a.openBase(Deps{toRead: true}); err != nil {
		return nil, host, errors.Join(err, a.Close())
	}
	return a, host, nil
}

// checkStopped opens what can be opened and checks that: one damaged part does not keep the others from being checked.
// On a file system that is mounted read-only it makes and changes nothing.
func checkStopped(ctx context.Context, cfg Config, full bool, report func(Finding), out io.Writer) (err error) {
	a, host, err := openToRead(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	if err := a.openLedger(Deps{Sources: []timekeeper.Source{}}, host); err != nil {
		report(unreadable("I1", "ledger.db and its keys", err))
	}
	if a.readOnly {
		fmt.Fprintln(out, "read-only: nobody can be writing here, no lock taken")
	}
	runs := []func(context.Context) error{}
	if a.Store != nil && !a.readOnly {
		runs = append(runs, a.Store.Run)
	}
	if a.root != nil {
		if err := a.openVault(); err != nil {
			report(unreadable("I3", "the vault and its keys", err))
		} else if !a.seenOnly {
			runs = append(runs, a.Vault.Run)
		} else if err := reportUnindexed(ctx, a.Vault, out); err != nil {
			report(unreadable("I3", "files without a row", err))
		}
	}
	if a.Store != nil {
		if err := a.openFiles(); err != nil {
			report(unreadable("I3", "attached files", err))
		}
	}
	if a.Store != nil && a.Vault != nil {
		if a.Site, err = site.Open(ctx, site.Options{Store: a.Store, Clock: a.Timekeeper, Log: a.log}); err != nil {
			report(unreadable("I2", "the register of cameras", err))
		} else {
			a.Retention = a.newRetention()
		}
	}
	// What a power cut left unindexed is recovered first, as at every start: it is not yet a fault.
	stop := baseOf(ctx, runs...)
	defer func() { err = errors.Join(err, stop()) }()
	if a.Vault != nil {
		select {
		case <-a.Vault.Recovered():
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return a.check(ctx, full, report)
}

// reportUnindexed says how many files a start would index first; on a read-only file system they stay as they are.
func reportUnindexed(ctx context.Context, v *vault.Vault, out io.Writer) error {
	n, err := v.Unindexed(ctx)
	if err == nil && n > 0 {
		fmt.Fprintf(out, "read-only: %d footage files were being written when the box stopped and are not in index.db yet; they are not checked\n", n)
	}
	return err
}

func unreadable(invariant, where string, err error) Finding {
	return Finding{invariant, "unreadable", where, err.Error()}
}

// check asks every package that keeps an invariant, as far as it is open. Its error is that ctx ended.
func (a *Appliance) check(ctx context.Context, full bool, report func(Finding)) error {
	if a.Store != nil {
		fromStore := func(f ledgerdb.Finding) { report(Finding{f.Invariant, f.What, f.Where, f.Detail}) }
		faults, err := a.fileFaults()
		if err != nil {
			report(unreadable("files", "marks of the box's files", err))
		}
		for _, f := range faults {
			report(Finding{"files", f.fault, f.file.name, f.file.remedy})
		}
		if err := a.Store.Check(ctx, fromStore); err != nil {
			report(unreadable("I1", "ledger.db", err))
		}
		if err := usage.Check(ctx, a.Store, fromStore); err != nil {
			report(unreadable("I5", "the register of access", err))
		}
		if a.Files != nil {
			if err := a.Files.Check(ctx, full, fromStore); err != nil {
				report(unreadable("I3", "attached files", err))
			}
		}
	}
	a.checkPorts(report)
	if a.root != nil {
		if err := a.checkRings(report); err != nil {
			report(unreadable("files", "keys", err))
		}
	}
	fromVault := func(f vault.Finding) { report(Finding{f.Invariant, f.What, f.Where, ""}) }
	switch {
	case a.Retention != nil:
		if err := a.Retention.Check(ctx, full, fromVault); err != nil {
			report(unreadable("I3 I4 I6", "the footage", err))
		}
	case a.Vault != nil:
		report(Finding{"I4 I6", "unchecked", "deletion and keys", "they are checked against the ledger"})
		none := func(footage.Segment, bool) bool { return false }
		if err := a.Vault.Check(ctx, vault.CheckOptions{Full: full, Condemned: none}, fromVault); err != nil {
			report(unreadable("I3", "the footage", err))
		}
	}
	return ctx.Err()
}

// ExportLog writes the whole log in the documented format, from a running or a stopped box.
func ExportLog(ctx context.Context, cfg Config, w io.Writer) (err error) {
	running, err := askExport(ctx, cfg, w)
	if running || err != nil {
		return err
	}
	// The ledger alone: nothing else need be whole.
	a, host, err := openToRead(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	if err := a.openLedger(Deps{Sources: []timekeeper.Source{}}, host); err != nil {
		return err
	}
	_, err = a.Store.Export(ctx, w)
	return err
}

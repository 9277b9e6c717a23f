package appliance

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path"
	"slices"
	"strings"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/vault"
	"campuskeep/shared/ledger"
)

// The box's own files beside its databases. Each is made once; from then on the ledger has a mark of it, and a box
// whose file is missing, empty or another one says so instead of beginning again: what was sealed, signed or hashed
// under the old one would be lost in silence.

// ownFile is a file that the box cannot do without.
type ownFile struct {
	name   string
	fixed  bool   // its content never changes
	remedy string // what people do when it is lost
}

const fromBackup = "restore it from the backup of the keys"

var ownFiles = []ownFile{
	{"keys/log", true, fromBackup},
	{"keys/site", true, fromBackup + "; without one, \"campuskeepd give-up\" makes a new one, and every card has to be handed out again"},
	{"keys/people.ring", false, fromBackup + "; without one, all names and credentials are lost"},
	{"keys/footage.ring", false, "it is in no backup: put the disk back that it lay on; if it is lost, so is all footage, and \"campuskeepd give-up\" enters that and begins a new one"},
	{"identity/office-root.pem", true, fromBackup + "; without one, \"campuskeepd give-up\" makes a new one, which every computer has to install"},
	{"identity/office-root.key", true, fromBackup + "; without one, \"campuskeepd give-up\" makes a new one, which every computer has to install"},
	{"identity/appliance.key", true, fromBackup + ", or \"campuskeepd give-up\" and enrol again"},
	{"identity/centre.json", false, fromBackup + ", or \"campuskeepd give-up\" and enrol again"},
}

// fileFault says what is wrong with one of them.
type fileFault struct {
	file  ownFile
	fault string
}

func (f fileFault) Error() string {
	return fmt.Sprintf("%s %s: %s", f.file.name, f.fault, f.file.remedy)
}

// errUnmade: there is no box in the data directory.
var errUnmade = errors.New("there is no box here yet: run \"campuskeepd init\" first (is the data disk mounted?)")

// checkLedgerThere refuses to begin a new log beside what an old one left: under the same identity it would be a
// second history. What a first start that was cut short leaves is no such trace.
func (a *Appliance) checkLedgerThere() error {
	if _, err := a.data.Stat("ledger.db"); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var traces []string
	for _, f := range ownFiles {
		if f.name == signerFile {
			continue // the first start makes it before the ledger
		}
		if _, err := a.data.Stat(f.name); err == nil {
			traces = append(traces, f.name)
		}
	}
	if _, err := a.data.Stat("index.db"); err == nil {
		traces = append(traces, "index.db")
	}
	if some, err := hasFootage(a.footage); err != nil {
		return err
	} else if some {
		traces = append(traces, "footage")
	}
	if len(traces) == 0 {
		return nil
	}
	return fmt.Errorf("ledger.db is missing in %s, although its %s is there: restore it from the backup, or mount the disk that it lies on; a new log is not begun beside an old one",
		a.Config.Appliance.Data, strings.Join(traces, ", "))
}

// hasFootage says whether a vault directory holds days of cameras.
func hasFootage(fsys disk.FS) (bool, error) {
	list, err := fsys.ReadDir(".")
	if err != nil {
		return false, fmt.Errorf("look into the vault: %w", err)
	}
	for _, e := range list {
		if !e.IsDir() || e.Name() == "quarantine" || e.Name() == "lost+found" {
			continue
		}
		days, err := fsys.ReadDir(e.Name())
		if err != nil {
			return false, fmt.Errorf("look into the vault: %w", err)
		}
		if slices.ContainsFunc(days, fs.DirEntry.IsDir) {
			return true, nil
		}
	}
	return false, nil
}

// fileFaults compares the box's own files with their marks. A directory of a program that did not mark yet is judged
// by what the ledger holds.
func (a *Appliance) fileFaults() ([]fileFault, error) {
	marks, err := a.Store.Marks()
	if err != nil {
		return nil, err
	}
	var out []fileFault
	for _, f := range ownFiles {
		mark, marked := marks[f.name]
		b, err := disk.ReadFile(a.data, f.name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if !marked && len(marks) == 0 {
				if marked, err = a.mustExist(f.name); err != nil {
					return nil, err
				}
			}
			if marked {
				out = append(out, fileFault{f, "is missing"})
			}
		case err != nil:
			out = append(out, fileFault{f, fmt.Sprintf("cannot be read (%v)", err)})
		case len(b) == 0:
			out = append(out, fileFault{f, "is empty"})
		case strings.HasSuffix(f.name, ".ring"):
			if _, err := a.root.Ring(strings.TrimSuffix(path.Base(f.name), ".ring")); err != nil {
				out = append(out, fileFault{f, fmt.Sprintf("cannot be opened (%v)", err)})
			}
		case marked && f.fixed && mark != sumOf(f.name, b):
			out = append(out, fileFault{f, "is not the one that belongs to this box: it was damaged or exchanged"})
		}
	}
	return out, nil
}

// mustExist says whether an unmarked file must have been there, going by the ledger and the vault.
func (a *Appliance) mustExist(name string) (bool, error) {
	if a.Store.Size() == 0 {
		return false, nil // a first start that was cut short
	}
	switch name {
	case "keys/people.ring":
		return a.Store.Seals()
	case "keys/footage.ring":
		return hasFootage(a.footage)
	case "identity/appliance.key", "identity/centre.json":
		return a.Store.WitnessKey() != "", nil
	}
	return true, nil
}

// sumOf is the mark of a file's content. It tells nothing of a key: keys are of 256 bits.
func sumOf(name string, content []byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "campuskeep file\n%s\n%d\n", name, len(content))
	h.Write(content)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// markFiles marks what is there and has no mark, rings included, which it makes when they have no file yet.
func (a *Appliance) markFiles(ctx context.Context) error {
	for _, name := range []string{"people", "footage"} {
		ring, err := a.root.Ring(name)
		if err == nil {
			err = ring.Make()
		}
		if err != nil {
			return err
		}
	}
	marks, err := a.Store.Marks()
	if err != nil {
		return err
	}
	fresh := map[string]string{}
	for _, f := range ownFiles {
		if _, marked := marks[f.name]; marked {
			continue
		}
		b, err := disk.ReadFile(a.data, f.name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("mark the box's files: %w", err)
		}
		fresh[f.name] = ""
		if f.fixed {
			fresh[f.name] = sumOf(f.name, b)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	return a.Store.Mark(ctx, fresh)
}

// givenUp lists with a file those that are worth nothing without it.
var givenUp = map[string][]string{
	"keys/site":                {"keys/site"},
	"keys/footage.ring":        {"keys/footage.ring"},
	"identity/office-root.pem": {"identity/office-root.pem", "identity/office-root.key"},
	"identity/office-root.key": {"identity/office-root.pem", "identity/office-root.key"},
	"identity/appliance.key":   {"identity/appliance.key", "identity/centre.json"},
	"identity/centre.json":     {"identity/centre.json"},
	"index.db":                 {"index.db"}, // with the disk that its footage lay on
}

// GiveUp accepts that one of the box's own files is lost: it enters that, and the next start begins a new one.
func GiveUp(ctx context.Context, cfg Config, file string, log *slog.Logger, out io.Writer) (err error) {
	files := givenUp[file]
	if files == nil {
		return fmt.Errorf("%q cannot be given up; these can: keys/site, keys/footage.ring, identity/office-root.pem, identity/appliance.key, identity/centre.json, index.db", file)
	}
	if err := checkCreated(cfg); err != nil {
		return err
	}
	a, err := newAppliance(cfg, Deps{Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	host, err := a.openBase(Deps{})
	if err != nil {
		return err
	}
	if err := a.openLedger(Deps{}, host); err != nil {
		return err
	}
	faults, err := a.fileFaults()
	if err != nil {
		return err
	}
	lost := slices.ContainsFunc(faults, func(f fileFault) bool { return slices.Contains(files, f.file.name) })
	if file == "index.db" {
		lost = errors.Is(a.openVault(), vault.ErrWrongVault)
	}
	if !lost {
		return fmt.Errorf("%s is whole: it is not given up", file)
	}
	stop := baseOf(ctx, a.Store.Run)
	defer func() { err = errors.Join(err, stop()) }()
	for _, name := range files {
		entry := ledger.Draft{Actor: ledger.System, Via: ledger.ViaSystem, Kind: "config.change",
			Data: map[string]any{"what": "file.given_up", "key": strings.ReplaceAll(name, "/", ".")}}
		if err := a.Store.Unmark(ctx, name, entry); err != nil {
			return err
		}
		if err := setAside(a.data, name); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "%s is given up; that is entry %d of the log. The next start begins a new one.\n", file, a.Store.Size()-1)
	return nil
}

// setAside renames what is left of a file.
func setAside(fsys disk.FS, name string) error {
	err := fsys.Rename(name, name+".given-up")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("set %s aside: %w", name, err)
	}
	return fsys.SyncDir(path.Dir(name))
}

// checkRings reports rings that were set aside because nothing opens them.
func (a *Appliance) checkRings(report func(Finding)) error {
	aside, err := a.root.Aside()
	if err != nil {
		return err
	}
	for _, name := range aside {
		report(Finding{"files", "ring", "keys/" + name + ".ring", "it could not be opened and was set aside: " + fromBackup + ", or let its hold end"})
	}
	rings, err := a.root.Rings()
	if err != nil {
		return err
	}
	for _, name := range rings {
		if _, err := a.root.Ring(name); err != nil {
			report(Finding{"files", "ring", "keys/" + name + ".ring", err.Error()})
		}
	}
	return nil
}

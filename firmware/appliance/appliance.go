// Package appliance puts the packages of the box together: it opens them in layer order, hands each the
// few things it needs of the others, runs them as one, and stops them in the opposite order.
//
// It owns the data directory's lock, the listeners and the order of start and stop. It must never hold a
// rule or a table of its own: between packages it only translates.
package appliance

import (
	"campuskeep/firmware/web/frame"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"campuskeep/firmware/absence"
	"campuskeep/firmware/disk"
	"campuskeep/firmware/emergency"
	"campuskeep/firmware/extraction"
	"campuskeep/firmware/gate"
	"campuskeep/firmware/health"
	"campuskeep/firmware/keyring"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/mdns"
	"campuskeep/firmware/nvr"
	"campuskeep/firmware/oversight"
	"campuskeep/firmware/people"
	"campuskeep/firmware/playback"
	"campuskeep/firmware/reader"
	"campuskeep/firmware/recorder"
	"campuskeep/firmware/records"
	"campuskeep/firmware/retention"
	"campuskeep/firmware/rootkey"
	"campuskeep/firmware/sealedfiles"
	"campuskeep/firmware/site"
	"campuskeep/firmware/timekeeper"
	"campuskeep/firmware/uplink"
	"campuskeep/firmware/usage"
	"campuskeep/firmware/vault"
	"campuskeep/firmware/viewing"
	"campuskeep/firmware/web"
	absencerules "campuskeep/shared/absence"
	"campuskeep/shared/design"
	"campuskeep/shared/footage"
	"campuskeep/shared/student"
	rules "campuskeep/shared/usage"

	"github.com/prometheus/client_golang/prometheus"
)

// Version of this build.
var Version = design.Version()

// Deps are what a test or a tool replaces; zero values are the real machine.
type Deps struct {
	Host    timekeeper.HostClock // the machine's clocks
	Sources []timekeeper.Source  // in place of those that the configuration declares
	Disk    disk.FS              // the data directory
	Footage disk.FS              // the vault directory
	Log     *slog.Logger

	// RecordOnDamage opens a box that records and does nothing else, when a part of its ledger is damaged that a
	// room needs.
	RecordOnDamage bool

	// toRead opens what lies on a file system that is mounted read-only for reading, instead of refusing it.
	toRead bool
}

// Appliance is the box, opened. The fields are exported for tools that work on a stopped box.
type Appliance struct {
	Config     Config
	Timekeeper *timekeeper.Keeper
	Store      *ledgerdb.Store
	Vault      *vault.Vault
	Site       *site.Site
	NVR        *nvr.Supervisor
	Health     *health.Monitor
	People     *people.People
	Retention  *retention.Retention
	Usage      *usage.Register
	Gate       *gate.Gate
	Absence    *absence.Absence
	Files      *sealedfiles.Store
	Records    *records.Records
	Oversight  *oversight.Office
	Emergency  *emergency.Register

	log         *slog.Logger
	zone        *time.Location
	data        disk.FS
	footage     disk.FS // the vault directory
	lock        io.Closer
	toRead      bool  // see Deps
	readOnly    bool  // the data directory lies on a file system that is mounted read-only
	seenOnly    bool  // …so does the vault: it is open for reading
	reduced     error // why the box only records; nil: it does all
	certs       *certificates
	source      footage.Source
	watched     footage.Source // …with what is being recorded
	recorder    *recorder.Recorder
	player      *playback.Player
	web         *web.Server
	viewings    *viewing.Viewings
	extractions *extraction.Extractions
	ingest      *prometheus.HistogramVec // how long footage is on its way to the disk
	name        *mdns.Responder          // nil: nobody answers for the name
	uplink      *uplink.Uplink           // to the centre; nil when the box works alone
	gateSource  gateSource
	lines       readerLines
	cards       *reader.Recent
	terminals   terminalPort
	panel       *readerPanel // nil: no panel
	listen      net.Listener
	control     net.Listener
	events      eventQueue
	gaps        *retention.Gaps
	root        *keyring.Root
	rootKey     *rootkey.Keeper
	running     atomic.Bool // the packages are at work
}

// Open opens every package. It starts nothing: [Appliance.Run] does. Opening the same data directory twice
// is refused.
func Open(ctx context.Context, cfg Config, d Deps) (*Appliance, error) {
	a, err := newAppliance(cfg, d)
	if err == nil {
		err = a.open(ctx, d)
	}
	if err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// newAppliance is an appliance of which nothing is open.
func newAppliance(cfg Config, d Deps) (a *Appliance, err error) {
	a = &Appliance{Config: cfg, log: d.Log, lines: newReaderLines(), events: newEventQueue(), ingest: newIngest()}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	if a.zone, err = time.LoadLocation(cfg.Appliance.Timezone); err != nil {
		return a, fmt.Errorf("appliance.timezone: %w", err)
	}
	return a, nil
}

func (a *Appliance) open(ctx context.Context, d Deps) error {
	host, err := a.openBase(d)
	if err != nil {
		return err
	}
	if err := a.openLedger(d, host); err != nil {
		return err
	}
	faults, err := a.fileFaults()
	if err != nil {
		return err
	}
	if len(faults) > 0 {
		return faults[0]
	}
	if err := a.openVault(); err != nil {
		return err
	}
	err = a.openServices(ctx)
	if errors.Is(err, ledgerdb.ErrDamaged) && d.RecordOnDamage && a.Site != nil {
		a.reduced = err
		return a.openRecorder()
	}
	if err != nil {
		return err
	}
	return a.openDevices()
}

// openBase opens what everything rests on: the directory, its lock, the machine's clocks.
func (a *Appliance) openBase(d Deps) (timekeeper.HostClock, error) {
	a.data = d.Disk
	if a.data == nil {
		var err error
		if a.data, err = disk.Real(a.Config.Appliance.Data); err != nil {
			return nil, fmt.Errorf("open the data directory: %w", err)
		}
	}
	var err error
	a.toRead = d.toRead
	a.lock, err = a.data.Lock("campuskeepd.lock")
	switch {
	case a.toRead && errors.Is(err, syscall.EROFS):
		a.readOnly = true // no program can be writing there, so nothing has to be kept out
	case errors.Is(err, disk.ErrLocked):
		return nil, fmt.Errorf("the data directory %s is in use by another campuskeepd: %w", a.Config.Appliance.Data, err)
	case errors.Is(err, syscall.EROFS):
		return nil, fmt.Errorf("the data directory %s is on a file system that is mounted read-only (after an error the kernel does that by itself: see dmesg): %w", a.Config.Appliance.Data, err)
	case err != nil:
		return nil, fmt.Errorf("lock the data directory %s: %w", a.Config.Appliance.Data, err)
	}
	if a.footage = d.Footage; a.footage == nil {
		if a.footage, err = disk.Real(a.vaultPath()); err != nil {
			return nil, fmt.Errorf("open the vault directory: %w", err)
		}
	}
	if d.Host != nil {
		return d.Host, nil
	}
	return timekeeper.NewMachine()
}

func (a *Appliance) openLedger(d Deps, host timekeeper.HostClock) error {
	if err := a.checkLedgerThere(); err != nil {
		return err
	}
	var slots []keyring.Slot
	if a.Config.Keys.TPM != "" {
		slots = keyring.TPMSlots(a.data, a.Config.Keys.TPM)
	}
	root, err := keyring.OpenRoot(a.data, slots...)
	if err != nil {
		return fmt.Errorf("open the keys: %w", err)
	}
	a.root = root
	ring, err := root.Ring("people")
	if err != nil {
		return fmt.Errorf("open the people ring: %w", err)
	}
	signer, err := openSigner(a.data)
	if err != nil {
		return err
	}
	sources := d.Sources
	if sources == nil {
		sources = a.sources(host)
	}
	a.Timekeeper = timekeeper.New(timekeeper.Options{Host: host, Sources: sources, Log: a.log})
	open := ledgerdb.Open
	if a.readOnly {
		open = ledgerdb.OpenReadOnly
	}
	a.Store, err = open(ledgerdb.Options{Dir: a.Config.Appliance.Data, Origin: "campuskeep/" + a.Config.Appliance.ID, Clock: a.Timekeeper, People: ring,
		Signer: signer, Damaged: a.events.ledger, Log: a.log})
	if err != nil {
		return fmt.Errorf("open the ledger: %w", err)
	}
	if err := a.Timekeeper.Attach(a.Store); err != nil {
		return fmt.Errorf("open the clock's record: %w", err)
	}
	a.rootKey = rootkey.New(rootkey.Options{Root: root, Store: a.Store, Clock: a.Timekeeper, Log: a.log})
	return nil
}

// vaultPath is the directory of the footage.
func (a *Appliance) vaultPath() string {
	if a.Config.Vault.Path != "" {
		return a.Config.Vault.Path
	}
	return filepath.Join(a.Config.Appliance.Data, "vault")
}

func (a *Appliance) openVault() error {
	keys, err := a.root.Ring("footage")
	if err != nil {
		return fmt.Errorf("open the footage ring: %w", err)
	}
	path := a.vaultPath()
	o := vault.Options{FS: a.footage, IndexPath: filepath.Join(a.Config.Appliance.Data, "index.db"), Keys: keys, Holds: a.root,
		SyncEvery: time.Duration(a.Config.Vault.Sync), Alarm: a.events.vault, Log: a.log, Sealed: a.ingested}
	if !a.readOnly {
		a.Vault, err = vault.Open(o)
	}
	if a.readOnly || a.toRead && errors.Is(err, syscall.EROFS) {
		a.seenOnly = true
		a.Vault, err = vault.OpenReadOnly(o)
	}
	if err != nil {
		if errors.Is(err, disk.ErrLocked) {
			return fmt.Errorf("the footage in %s is in use by another campuskeepd: %w", path, err)
		}
		if errors.Is(err, vault.ErrWrongVault) {
			return fmt.Errorf("the vault %s is not the one that index.db speaks of, is its disk mounted? Mount it and start again; if it is lost for good, \"campuskeepd give-up -file index.db\" enters that and begins anew: %w", path, err)
		}
		return fmt.Errorf("open the vault %s: %w", path, err)
	}
	return nil
}

// openServices opens the packages that know the school.
func (a *Appliance) openServices(ctx context.Context) (err error) {
	if a.Site, err = site.Open(ctx, site.Options{Store: a.Store, Clock: a.Timekeeper, CheckCapacity: a.checkCapacity, Log: a.log}); err != nil {
		return err
	}
	if a.People, err = people.Open(ctx, people.Options{Store: a.Store, Data: a.data, Clock: a.Timekeeper, Zone: a.zone, Policy: a.policy, Schooling: a.schooling, Log: a.log}); err != nil {
		return err
	}
	if err = a.openFiles(); err != nil {
		return err
	}
	if err = a.openNVRs(); err != nil {
		return err
	}
	if err = a.openRetention(); err != nil {
		return err
	}
	a.Usage, err = usage.Open(usage.Options{Store: a.Store, Clock: a.Timekeeper, Cameras: a.Site.Cameras, Footage: a.source, SchoolDay: a.schoolDay, Anchors: a.Timekeeper.Anchors,
		Rules: func() rules.Rules { return a.Site.Settings().Register }, Capacity: a.capacity, Independent: a.People.Independent, Fetcher: fetcher{a.NVR}, Log: a.log})
	if err != nil {
		return err
	}
	if a.Oversight, err = oversight.Open(oversight.Options{Store: a.Store, Clock: a.Timekeeper, Zone: a.zone, Allow: a.Usage.Allow, Applications: a.Usage.List, Log: a.log}); err != nil {
		return err
	}
	if err = a.openRecords(); err != nil {
		return err
	}
	a.gateSource, a.cards = gateSource{a}, reader.NewRecent(a.Timekeeper)
	a.Gate, err = gate.New(gate.Options{Store: a.Store, Students: a.gateSource, Site: a.gateSource, Clock: a.Timekeeper, CardKey: a.People.CardKey(), Show: a.show, Log: a.log})
	if err != nil {
		return err
	}
	a.Absence, err = absence.Open(absence.Options{Store: a.Store, People: a.People, Gate: a.Gate, Calendar: a.Site.Calendar, Clock: a.Timekeeper, Log: a.log,
		Rules: func() absencerules.Rules { return a.Site.Settings().Absence.Or() }})
	if err != nil {
		return err
	}
	a.Emergency, err = emergency.Open(emergency.Options{Store: a.Store, People: a.People, Gate: a.Gate, Clock: a.Timekeeper, Zone: a.zone, Log: a.log})
	return err
}

// openFiles opens what people attach.
func (a *Appliance) openFiles() error {
	ring, err := a.root.Ring("people")
	if err != nil {
		return fmt.Errorf("open the people ring: %w", err)
	}
	a.Files, err = sealedfiles.Open(sealedfiles.Options{Store: a.Store, Data: a.data, Keys: ring, Clock: a.Timekeeper, Log: a.log})
	return err
}

// openRecords opens pupils' safety records.
func (a *Appliance) openRecords() error {
	ring, err := a.root.Ring("people")
	if err != nil {
		return fmt.Errorf("open the people ring: %w", err)
	}
	a.Records, err = records.Open(records.Options{Store: a.Store, Files: a.Files, Keys: ring, People: a.People, Clock: a.Timekeeper, Zone: a.zone, Log: a.log})
	return err
}

// schoolDay says whether the calendar has school on a date (2006-01-02).
func (a *Appliance) schoolDay(date string) bool {
	day, _, err := a.Site.Calendar().Day(date)
	if err != nil {
		a.log.Error("the calendar does not know the day", "date", date, "err", err)
		return true // a deadline in school days then comes early rather than never
	}
	return day.School
}

// policy is what the school's settings say about log-ins.
func (a *Appliance) policy() people.Policy {
	s := a.Site.Settings()
	return people.Policy{Session: s.SessionRules(), PasswordDays: s.PasswordDays}
}

// schooling is which stages the school has.
func (a *Appliance) schooling() student.Schooling {
	s, _ := student.ParseSchooling(a.Site.Settings().Schooling) // checked when it was set
	return s
}

// capacity is the size of the vault's disk: holds are capped to a part of it.
func (a *Appliance) capacity() (uint64, error) {
	_, total, err := a.Vault.Free()
	return total, err
}

// openDevices opens what talks to the outside.
func (a *Appliance) openDevices() (err error) {
	if err = a.openRecorder(); err != nil {
		return err
	}
	if err = a.openHealth(); err != nil {
		return err
	}
	a.player = playback.New(a.watched, liveSource{a}, a.Timekeeper, a.log)
	if err = a.openUplink(); err != nil {
		return err
	}
	if a.certs, err = openCertificates(a.data, a.Timekeeper, a.Config.Appliance.ID, a.Config.Web.Names); err != nil {
		return err
	}
	if err := a.openName(); err != nil {
		return err
	}
	token, err := metricsToken(a.Config.Web.MetricsToken)
	if err != nil {
		return err
	}
	figures, answered := a.metrics()
	if err = a.openExtractions(); err != nil {
		return err
	}
	a.viewings = viewing.New(viewing.Options{Register: a.Usage, People: a.People, Player: a.player, Clock: a.Timekeeper, Subscribe: a.Store.Subscribe, Log: a.log})
	a.web, err = web.New(web.Deps{
		Log: a.log, Clock: a.Timekeeper, Zone: a.zone,
		Info:   frame.Info{School: a.Config.Appliance.School, Appliance: a.Config.Appliance.ID, Version: Version, Root: a.certs.root.Raw, Ports: a.Config.ports()},
		Ledger: a.Store, People: a.People, Site: a.Site, Usage: a.Usage, Footage: a.source, Watched: a.watched, Viewings: a.viewings, Player: a.player,
		Oversight:   a.Oversight,
		Extractions: a.extractions,
		Records:     a.Records,
		Emergency:   a.Emergency,
		Gate:        a.Gate,
		Absence:     a.Absence,
		Time:        a.Timekeeper,
		NVRs:        nvr.NewRegistry(a.NVR, a.Site),
		Readers:     readerService{a},
		Cards:       a.cards,
		Health:      a.Health, Certificates: a.certificates(), Status: status{a}, Metrics: figures, MetricsToken: token, Alive: a.checkAlive, Answered: answered,
	})
	return err
}

func (a *Appliance) openRecorder() error {
	a.gaps = retention.NewGaps(retention.GapsOptions{Store: a.Store, Vault: a.Vault, Clock: a.Timekeeper, Anchors: a.Timekeeper.Anchors})
	a.recorder = recorder.New(recorder.Options{Vault: a.Vault, Clock: a.Timekeeper, Zone: a.zone, Gap: a.events.gap, Noted: a.gaps.NotedUntil, Log: a.log})
	return nil
}

// Close releases everything. A running appliance is stopped by ending Run's context first.
func (a *Appliance) Close() error {
	var errs []error
	if a.listen != nil {
		errs = append(errs, ignoreClosed(a.listen.Close()))
	}
	if a.control != nil {
		errs = append(errs, ignoreClosed(a.control.Close()))
	}
	errs = append(errs, a.terminals.close())
	if a.Vault != nil {
		errs = append(errs, a.Vault.Close())
	}
	if a.Store != nil {
		errs = append(errs, a.Store.Close())
	}
	if a.lock != nil {
		errs = append(errs, a.lock.Close())
	}
	return errors.Join(errs...)
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

package appliance

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/recorder"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
)

// Listen opens the listener of the pages, the control socket and the panel's pins. Run does it when nobody did.
func (a *Appliance) Listen() (err error) {
	if a.panel == nil {
		if a.panel, err = openPanel(a.Config.Panel, a.log); err != nil {
			return err
		}
	}
	if a.listen == nil {
		if a.listen, err = net.Listen("tcp", a.Config.Web.Listen); err != nil {
			return fmt.Errorf("office.listen: %w", err)
		}
	}
	if err = a.terminals.listen(a.Config.Terminals.Listen); err != nil {
		return err
	}
	if a.control == nil {
		a.control, err = listenControl(a.Config)
	}
	return err
}

// Address is where the pages listen.
func (a *Appliance) Address() net.Addr { return a.listen.Addr() }

// Run runs the box until ctx ends or a part of it fails. The ledger and the vault outlive everyone who
// writes to them, so that the last entries and fragments are kept.
func (a *Appliance) Run(ctx context.Context) error {
	if err := a.Listen(); err != nil {
		return err
	}
	baseCtx, stopBase := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBase()
	upper, stopUpper := context.WithCancel(ctx)
	defer stopUpper()
	var base errgroup.Group
	for _, run := range []func(context.Context) error{a.Store.Run, a.Vault.Run} {
		base.Go(func() error {
			defer stopUpper() // without its base nothing above may go on
			return run(baseCtx)
		})
	}
	telling, stopNotes := context.WithCancel(baseCtx)
	defer stopNotes()
	noted := make(chan error, 1)
	go func() { noted <- a.events.run(telling, a) }()
	err := a.startUp(baseCtx)
	switch {
	case err == nil && a.reduced != nil:
		err = a.runReduced(upper)
	case err == nil:
		err = a.runServices(upper)
	}
	stopUpper()
	stopNotes() // after the recorder, which reports its last gaps when it stops
	err = errors.Join(err, <-noted)
	if e := a.tolerateDamage("enter the stop", a.enter(baseCtx, "system.stop", "", nil)); e != nil {
		err = errors.Join(err, e)
	}
	stopBase()
	return errors.Join(err, base.Wait())
}

// startUp enters the start.
func (a *Appliance) startUp(ctx context.Context) error {
	clean, err := a.endedCleanly(ctx)
	if err == nil {
		err = a.enter(ctx, "system.start", "", map[string]any{"version": Version, "clean": clean})
	}
	if err = a.tolerateDamage("enter the start", err); err == nil {
		err = a.tolerateDamage("confirm the root key", a.rootKey.Confirm(ctx))
	}
	if err == nil {
		err = a.tolerateDamage("mark the box's files", a.markFiles(ctx))
	}
	return err
}

// tolerateDamage logs an error of a damaged part of the ledger and returns nil: recording needs none of it.
func (a *Appliance) tolerateDamage(what string, err error) error {
	if errors.Is(err, ledgerdb.ErrDamaged) {
		a.log.Error("a damaged part of the ledger is in the way; the rest goes on", "what", what, "err", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// endedCleanly says whether the last run, if there was one, came to its stop.
func (a *Appliance) endedCleanly(ctx context.Context) (bool, error) {
	page, err := a.Store.Search(ctx, ledgerdb.Query{Kinds: []ledger.Kind{"system.start", "system.stop"}, Limit: 1})
	if err != nil {
		return false, fmt.Errorf("look for the end of the last run: %w", err)
	}
	return len(page.Entries) == 0 || page.Entries[0].Kind == "system.stop", nil
}

// newGroup runs services side by side. A service that cannot work because a part of the ledger is damaged stops alone;
// any other failure stops all.
func (a *Appliance) newGroup(ctx context.Context) (start func(name string, run func(context.Context) error), wait func() error) {
	g, gctx := errgroup.WithContext(ctx)
	start = func(name string, run func(context.Context) error) {
		g.Go(func() error {
			if err := run(gctx); err != nil && !errors.Is(err, context.Canceled) {
				return a.tolerateDamage(name, err)
			}
			return nil
		})
	}
	return start, g.Wait
}

// runReduced records, and answers the commands. Nothing is deleted, shown or read at the gate.
func (a *Appliance) runReduced(ctx context.Context) error {
	a.log.Error("a part of the ledger is damaged that the office page and deletion need: this box only records. "+
		"Run check, and restore ledger.db from the backup", "err", a.reduced)
	if err := errors.Join(a.listen.Close(), a.terminals.close()); err != nil { // better refused than never answered
		return fmt.Errorf("close the listeners: %w", err)
	}
	a.events.fault("store.reduced", "ledger.db")
	start, wait := a.newGroup(ctx)
	start("clock", a.Timekeeper.Run)
	start("cameras", a.followCameras)
	start("recorder", a.recorder.Run)
	start("control", a.serveControl)
	return wait()
}

func (a *Appliance) runServices(ctx context.Context) error {
	start, wait := a.newGroup(ctx)
	a.running.Store(true)
	defer a.running.Store(false)
	start("clock", a.Timekeeper.Run)
	start("anchors", a.pruneAnchors)
	start("people", a.People.Run)
	start("evidence", a.Usage.Run)
	start("oversight", a.Oversight.Run)
	start("retention", a.Retention.Run)
	start("gate", a.Gate.Run)
	start("records", a.Records.Run)
	start("absence", a.Absence.Run)
	start("cameras", a.followCameras)
	start("health", a.Health.Run)
	start("NVRs", a.NVR.Run)
	start("NVR clocks", a.followNVRs)
	start("storage", a.Retention.Watch)
	start("root key", a.rootKey.Run)
	start("recorder", a.recorder.Run)
	start("viewings", a.viewings.Run)
	start("extractions", a.extractions.Run)
	start("office", a.web.Run)
	start("office page", func(ctx context.Context) error { return a.serveWeb(ctx) })
	start("control", a.serveControl)
	if a.name != nil {
		start("name", a.name.Run)
	}
	start("card readers", a.serveReaders)
	if a.panel != nil {
		start("panel", a.panel.Run)
	}
	if a.uplink != nil {
		start("centre", a.uplink.Run)
	}
	return wait()
}

// followCameras gives the recorder the cameras of the register, again after every change, and when room on
// the disk asks them to record less.
func (a *Appliance) followCameras(ctx context.Context) error {
	changed, cancel := a.Site.Subscribe()
	defer cancel()
	for {
		streams, err := a.streams()
		if err != nil {
			return err
		}
		var cams []recorder.Camera
		for _, c := range a.Site.Cameras() {
			if c.Retired || c.Custody != footage.CustodyVault {
				continue
			}
			login, err := a.Site.Credentials(c.ID)
			if err != nil {
				return err
			}
			r := recorder.Camera{Camera: c, User: login.User, Password: login.Password, UDP: c.Transport == "udp", Pin: c.Pin, Basic: c.Basic}
			switch streams[c.ID] {
			case footage.StreamSub:
				r.Thin = true
			case footage.StreamNone:
				r.Stopped = footage.CauseFull
			}
			cams = append(cams, r)
		}
		a.recorder.SetCameras(cams)
		var shifted <-chan struct{}
		if a.Retention != nil {
			shifted = a.Retention.Shifted()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-shifted:
		}
	}
}

// streams says what is recorded of each camera, as room on the disk allows; of those not named, all.
func (a *Appliance) streams() (map[string]footage.Stream, error) {
	if a.Retention == nil {
		return nil, nil
	}
	streams, err := a.Retention.Streams()
	return streams, a.tolerateDamage("which streams are recorded", err)
}

// serveWeb answers the pages until ctx ends; requests under way get a moment.
func (a *Appliance) serveWeb(ctx context.Context) error {
	srv := &http.Server{
		Handler:           a.web.Handler(),
		TLSConfig:         a.certs.TLS(),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	return serve(ctx, srv, tls.NewListener(a.listen, withHTTP2(srv.TLSConfig)))
}

func withHTTP2(c *tls.Config) *tls.Config {
	c.NextProtos = []string{"h2", "http/1.1"}
	return c
}

func serve(ctx context.Context, srv *http.Server, l net.Listener) error {
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if err := srv.Shutdown(end); err != nil {
		return srv.Close() // live pages stay open until they are cut
	}
	return nil
}

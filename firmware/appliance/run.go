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

	"campuskeep/firmware/recorder"
	"campuskeep/firmware/store"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
)

// Listen opens the office listener and the control socket. Run does it when nobody did.
func (a *Appliance) Listen() (err error) {
	if a.listen == nil {
		if a.listen, err = net.Listen("tcp", a.Config.Office.Listen); err != nil {
			return fmt.Errorf("office.listen: %w", err)
		}
	}
	if a.control == nil {
		a.control, err = listenControl(a.Config)
	}
	return err
}

// Address is where the office page listens.
func (a *Appliance) Address() net.Addr { return a.listen.Addr() }

// Run runs the box until ctx ends or a room fails. The ledger and the vault outlive everyone who writes to
// them, so that the last entries and fragments are kept.
func (a *Appliance) Run(ctx context.Context) error {
	if err := a.Listen(); err != nil {
		return err
	}
	ground, stopGround := context.WithCancel(context.WithoutCancel(ctx))
	defer stopGround()
	upper, stopUpper := context.WithCancel(ctx)
	defer stopUpper()
	var base errgroup.Group
	for _, run := range []func(context.Context) error{a.Store.Run, a.Vault.Run} {
		base.Go(func() error {
			defer stopUpper() // without its ground nothing above may go on
			return run(ground)
		})
	}
	telling, stopNotes := context.WithCancel(ground)
	defer stopNotes()
	noted := make(chan error, 1)
	go func() { noted <- a.notes.run(telling, a) }()
	clean, err := a.endedCleanly(ground)
	if err == nil {
		err = a.enter(ground, "system.start", "", map[string]any{"version": Version, "clean": clean})
	}
	if err == nil {
		err = a.confirmRoot(ground)
	}
	if err == nil {
		err = a.runRooms(upper)
	}
	stopUpper()
	stopNotes() // after the recorder, which reports its last gaps when it stops
	err = errors.Join(err, <-noted)
	if e := a.enter(ground, "system.stop", "", nil); e != nil {
		err = errors.Join(err, fmt.Errorf("enter the stop: %w", e))
	}
	stopGround()
	return errors.Join(err, base.Wait())
}

// endedCleanly says whether the last run, if there was one, came to its stop.
func (a *Appliance) endedCleanly(ctx context.Context) (bool, error) {
	page, err := a.Store.Search(ctx, store.Query{Kinds: []ledger.Kind{"system.start", "system.stop"}, Limit: 1})
	if err != nil {
		return false, fmt.Errorf("look for the end of the last run: %w", err)
	}
	return len(page.Entries) == 0 || page.Entries[0].Kind == "system.stop", nil
}

func (a *Appliance) runRooms(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	start := func(name string, run func(context.Context) error) {
		g.Go(func() error {
			if err := run(gctx); err != nil && !errors.Is(err, context.Canceled) {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		})
	}
	a.running.Store(true)
	defer a.running.Store(false)
	start("clock", a.Keeper.Run)
	start("anchors", a.pruneAnchors)
	start("people", a.People.Run)
	start("evidence", a.Evidence.Run)
	start("retention", a.Keeping.Run)
	start("gate", a.Gate.Run)
	start("cameras", a.followCameras)
	start("health", a.Health.Run)
	start("NVRs", a.NVR.Run)
	start("NVR clocks", a.followNVRs)
	start("storage", a.Keeping.Watch)
	start("root key", a.turnRoot)
	start("recorder", a.recorder.Run)
	start("office", a.office.Run)
	start("office page", func(ctx context.Context) error { return a.serveOffice(ctx) })
	start("control", a.serveControl)
	for _, b := range a.Config.Bus {
		start("line "+b.Port, func(ctx context.Context) error { return a.serveLine(ctx, b) })
	}
	if a.lamps != nil {
		start("panel", a.lamps.Run)
	}
	if a.line != nil {
		start("centre", a.line.Run)
	}
	return g.Wait()
}

// followCameras gives the recorder the cameras of the register, again after every change, and when room on
// the disk asks them to record less.
func (a *Appliance) followCameras(ctx context.Context) error {
	changed, cancel := a.Site.Subscribe()
	defer cancel()
	for {
		streams, err := a.Keeping.Streams()
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
			r := recorder.Camera{Camera: c, User: login.User, Password: login.Password, UDP: c.Transport == "udp", Pin: c.Pin}
			switch streams[c.ID] {
			case footage.StreamSub:
				r.Thin = true
			case footage.StreamNone:
				r.Stopped = footage.CauseFull
			}
			cams = append(cams, r)
		}
		a.recorder.SetCameras(cams)
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-a.Keeping.Shifted():
		}
	}
}

// serveOffice answers the office page until ctx ends; requests under way get a moment.
func (a *Appliance) serveOffice(ctx context.Context) error {
	srv := &http.Server{
		Handler:           a.office.Handler(),
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

package appliance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"campuskeep/firmware/uplink"
	"campuskeep/firmware/web"
	"campuskeep/shared/clock"
)

// openLine opens the link to the centre, where one is configured.
func (a *Appliance) openLine() error {
	c := a.Config
	if c.Centre.Enrol == "" {
		return nil
	}
	var onTime func(clock.Observation)
	if slices.Contains(c.Clock.Sources, "centre") {
		onTime = a.Keeper.Observe
	}
	var err error
	a.line, err = uplink.New(uplink.Options{ID: c.Appliance.ID, Enrol: c.Centre.Enrol, CA: c.Centre.CA, Disk: a.data, Store: a.Store,
		Clock: a.Keeper, OnTime: onTime, Highest: a.Keeper.Highest, Release: Version, Log: a.log})
	return err
}

func (s status) Sync() web.Sync {
	if s.a.line == nil {
		return web.Sync{}
	}
	u := s.a.line.Status()
	if !u.Enrolled {
		return web.Sync{}
	}
	return web.Sync{Centre: u.Centre, Connected: u.Connected && u.InStep, Acked: u.Acknowledged, Since: u.LastContact}
}

// Enrol enrols a stopped box at the centre: its keys and certificate are written, the centre's keys are pinned.
func Enrol(ctx context.Context, cfg Config, token string, log *slog.Logger) (err error) {
	if cfg.Centre.Enrol == "" {
		return errors.New("the configuration has no [centre] table: nothing to enrol at")
	}
	if err := made(cfg); err != nil {
		return err
	}
	a, err := Open(ctx, cfg, Deps{Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	stop := a.Ground(ctx)
	defer func() { err = errors.Join(err, stop()) }()
	if err := a.line.Enrol(ctx, token); err != nil {
		return fmt.Errorf("enrol at %s: %w", cfg.Centre.Enrol, err)
	}
	if err := a.markFiles(ctx); err != nil {
		return err
	}
	log.Info("enrolled", "appliance", cfg.Appliance.ID, "centre", a.line.Status().Centre)
	return nil
}

package appliance

import (
	"campuskeep/firmware/web/frame"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"campuskeep/firmware/uplink"
	"campuskeep/shared/clock"
)

// openUplink opens the link to the centre, where one is configured.
func (a *Appliance) openUplink() error {
	c := a.Config
	if c.Centre.Enrol == "" {
		return nil
	}
	var onTime func(clock.Observation)
	if slices.Contains(c.Clock.Sources, "centre") {
		onTime = a.Timekeeper.Observe
	}
	var err error
	a.uplink, err = uplink.New(uplink.Options{ID: c.Appliance.ID, Enrol: c.Centre.Enrol, CA: c.Centre.CA, Disk: a.data, Store: a.Store,
		Clock: a.Timekeeper, OnTime: onTime, Highest: a.Timekeeper.Highest, Release: Version, Log: a.log})
	return err
}

func (s status) Sync() frame.Sync {
	if s.a.uplink == nil {
		return frame.Sync{}
	}
	u := s.a.uplink.Status()
	if !u.Enrolled {
		return frame.Sync{}
	}
	return frame.Sync{Centre: u.Centre, Connected: u.Connected && u.InStep, Acked: u.Acknowledged, Since: u.LastContact}
}

// Enrol enrols a stopped box at the centre: its keys and certificate are written, the centre's keys are pinned.
func Enrol(ctx context.Context, cfg Config, token string, log *slog.Logger) (err error) {
	if cfg.Centre.Enrol == "" {
		return errors.New("the configuration has no [centre] table: nothing to enrol at")
	}
	if err := checkCreated(cfg); err != nil {
		return err
	}
	a, err := Open(ctx, cfg, Deps{Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	stop := a.Base(ctx)
	defer func() { err = errors.Join(err, stop()) }()
	if err := a.uplink.Enrol(ctx, token); err != nil {
		return fmt.Errorf("enrol at %s: %w", cfg.Centre.Enrol, err)
	}
	if err := a.markFiles(ctx); err != nil {
		return err
	}
	log.Info("enrolled", "appliance", cfg.Appliance.ID, "centre", a.uplink.Status().Centre)
	return nil
}

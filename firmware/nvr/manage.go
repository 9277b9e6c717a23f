package nvr

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"campuskeep/firmware/store"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
)

// Discovery is what an NVR tells before it is registered.
type Discovery struct {
	Info     Info
	Channels []Channel
	Tracks   []Track
	Zone     string
	Offset   time.Duration // its clock is ahead of ours by this
	Known    bool          // Offset means something: ours was trusted, and its digits are certain
}

// Discover asks an NVR that is not registered yet, for the installer's wizard. It connects once and stops at the first
// refusal.
func (r *Room) Discover(ctx context.Context, t Target) (d Discovery, err error) {
	if err := r.validate(t.Device, &t.Login); err != nil {
		return d, err
	}
	return r.discover(ctx, t, func(string) {})
}

// discover tells before each question what it is.
func (r *Room) discover(ctx context.Context, t Target, step func(string)) (d Discovery, err error) {
	driver, err := r.o.Drivers[t.Driver](t)
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, driver.Close()) }()
	if d.Info, err = driver.Info(ctx); err != nil {
		return d, err
	}
	step("channels")
	if d.Channels, err = driver.Channels(ctx); err != nil {
		return d, err
	}
	step("tracks")
	if d.Tracks, err = driver.Tracks(ctx); err != nil {
		return d, err
	}
	step("clock")
	dc, err := driver.Clock(ctx)
	if err != nil {
		return d, err
	}
	d.Zone = dc.Zone
	c, _, err := readClock(dc, r.o.Clock.Now())
	if errors.Is(err, errZone) {
		return d, nil
	}
	d.Offset, d.Known = c.Offset, c.Known && err == nil
	return d, err
}

// SetExpiry makes the NVR keep each of its cameras as long as its policy says (F3). Whether it does is shown by later
// checks; see [Expiry].
func (r *Room) SetExpiry(ctx context.Context, by account.Who, id string) error {
	role := account.Role("")
	if !by.IsSystem() {
		may := account.May(by.Actor, account.ActNVRsEdit, account.Subject{}, r.o.Clock.Now().Wall)
		if !may.Allowed {
			return may.Err(account.ActNVRsEdit)
		}
		role = may.Role
	}
	return r.with(ctx, id, func(ctx context.Context, l *link) error {
		tracks, err := l.driver.Tracks(ctx)
		if err != nil {
			return err
		}
		for channel, camera := range l.target.Cameras {
			i := slices.IndexFunc(r.o.Cameras(), func(c footage.Camera) bool { return c.ID == camera })
			t := slices.IndexFunc(tracks, func(t Track) bool { return t.ID == mainTrack(channel) })
			if i < 0 || t < 0 {
				return fmt.Errorf("camera %s: no track on NVR %s: %w", camera, id, ErrNotOffered)
			}
			days := r.o.Cameras()[i].Policy.Days
			if tracks[t].Expires && tracks[t].Keep == time.Duration(days)*24*time.Hour {
				continue
			}
			if err := l.driver.SetExpiry(ctx, tracks[t].ID, days); err != nil {
				return fmt.Errorf("camera %s: %w", camera, err)
			}
			if err := r.expirySet(ctx, by, role, l, camera, channel, tracks[t], days); err != nil {
				return err
			}
		}
		return nil
	})
}

func (r *Room) expirySet(ctx context.Context, by account.Who, role account.Role, l *link, camera string, channel int, t Track, days int) error {
	rep, _, err := r.Report(camera)
	if err != nil {
		return err
	}
	rep.Camera, rep.NVR, rep.Channel, rep.Track = camera, l.target.ID, channel, t.ID
	rep.Expiry = Expiry{Keep: time.Duration(days) * 24 * time.Hour, On: true, Asked: days, At: r.o.Clock.Now().Wall.UTC()}
	data := map[string]any{"nvr": l.target.ID, "result": "set", "days": days}
	if t.Expires {
		data["before"] = int(t.Keep / (24 * time.Hour))
	}
	ch := store.Change{Puts: []store.Put{reports.Put(camera, rep)}, Entries: []ledger.Draft{by.Draft("nvr.expiry", role, camera, data)}}
	if _, err := r.o.Store.Commit(ctx, ch); err != nil {
		return fmt.Errorf("expiry of camera %s: %w", camera, err)
	}
	return nil
}

package nvr

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"campuskeep/firmware/nvr/driver"
	"campuskeep/firmware/nvr/nvrtime"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
)

// Findings is what an NVR reports before it is registered.
type Findings struct {
	Info     driver.Info
	Channels []driver.Channel
	Tracks   []driver.Track
	Zone     string
	Offset   time.Duration // its clock is ahead of ours by this
	Known    bool          // Offset means something: ours was trusted, and its digits are certain
}

// Discover asks an NVR that is not registered yet, for the installer's wizard. It connects once and stops at the first
// refusal.
func (r *Supervisor) Discover(ctx context.Context, t Target) (d Findings, err error) {
	if err := r.validate(t.Device, &t.Login); err != nil {
		return d, err
	}
	return r.discover(ctx, t, func(string) {})
}

// discover calls step before each question.
func (r *Supervisor) discover(ctx context.Context, t Target, step func(string)) (d Findings, err error) {
	driver, err := r.Kind(t.Device).Open(t.connection())
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
	c, _, err := nvrtime.ReadClock(dc, r.o.Clock.Now())
	if errors.Is(err, nvrtime.ErrClock) {
		return d, nil
	}
	d.Offset, d.Known = c.Offset, c.Known && err == nil
	return d, err
}

// SetExpiry makes the NVR keep each of its cameras as long as its policy says (F3). Whether it does is shown by later
// checks; see [Expiry].
func (r *Supervisor) SetExpiry(ctx context.Context, by account.Who, id string) error {
	role := account.Role("")
	if !by.IsSystem() {
		may := account.May(by.Actor, account.ActNVRsEdit, account.Subject{}, r.o.Clock.Now().Wall)
		if !may.Allowed {
			return may.Err(account.ActNVRsEdit)
		}
		role = may.Role
	}
	return r.connected(ctx, id, func(ctx context.Context, l *connection) error {
		tracks, err := l.driver.Tracks(ctx)
		if err != nil {
			return err
		}
		for channel, camera := range l.target.Cameras {
			i := slices.IndexFunc(r.o.Cameras(), func(c footage.Camera) bool { return c.ID == camera })
			t := slices.IndexFunc(tracks, func(t driver.Track) bool { return t.ID == r.Kind(l.target.Device).Track(channel) })
			if i < 0 || t < 0 {
				return fmt.Errorf("camera %s: no track on NVR %s: %w", camera, id, driver.ErrNotOffered)
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

func (r *Supervisor) expirySet(ctx context.Context, by account.Who, role account.Role, l *connection, camera string, channel int, t driver.Track, days int) error {
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
	ch := ledgerdb.Change{Puts: []ledgerdb.Put{reports.Put(camera, rep)}, Entries: []ledger.Draft{by.Draft("nvr.expiry", role, camera, data)}}
	if _, err := r.o.Store.Commit(ctx, ch); err != nil {
		return fmt.Errorf("expiry of camera %s: %w", camera, err)
	}
	return nil
}

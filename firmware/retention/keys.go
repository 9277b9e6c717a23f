package retention

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"campuskeep/firmware/store"
	"campuskeep/firmware/vault"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/packet"
)

const (
	footageRing = "footage"
	holdRing    = "hold-"
	wholeRing   = "all" // stands for the keys of a ring that is dropped
	perIntent   = 32    // keys in one entry
)

// settle finishes what a crash left between a durable step and the next: rows of files that an entry already
// accounts for, and keys whose erasure was announced.
func (r *Retention) settle(ctx context.Context) error {
	last := map[string]map[footage.FileID]bool{}
	var announced []dyingKey
	clear(r.accounts)
	err := r.o.Store.View(func(tx store.Tx) error {
		for key, a := range accounts.All(tx) {
			camera, _, _ := strings.Cut(key, "/")
			if last[camera] == nil {
				last[camera] = map[footage.FileID]bool{}
			}
			for _, f := range a.Files {
				last[camera][f] = true
			}
			r.accounts[camera]++
		}
		for _, k := range dying.All(tx) {
			announced = append(announced, k)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("settle: %w", err)
	}
	places, err := r.Places()
	if err != nil {
		return err
	}
	for camera, files := range last {
		var drop []footage.Segment
		err := r.o.Vault.Rows(camera, func(seg footage.Segment) bool {
			if files[seg.File] {
				drop = append(drop, seg)
			}
			return len(drop) < len(files)
		})
		if err == nil {
			err = r.usage.drop(drop, places, r.o.Vault.DropRows)
		}
		if err != nil {
			return fmt.Errorf("settle: %w", err)
		}
	}
	return r.erase(ctx, announced)
}

// keys destroys the keys that nothing needs any more: those of empty camera-days, after the file keys of held
// segments were kept, and those of holds that have ended. In the last round after a start it looks at every
// camera-day that has a key.
func (r *Retention) keys(ctx context.Context, list []due, lost map[string]map[string]bool, s state, last bool, res *Result) error {
	if s.now.State != clock.Trusted {
		return nil
	}
	all := last && res.Settled && !r.lookedAll
	kept, err := r.keepHeld(ctx, list, s)
	if err != nil {
		return err
	}
	var doomed []dyingKey
	var skipped []error
	for _, d := range list {
		if !all && len(lost[d.camera])+len(kept[d.camera]) == 0 {
			continue
		}
		for _, day := range r.o.Vault.Days(d.camera) {
			if d.liveDays[day] || !all && !lost[d.camera][day] && !kept[d.camera][day] {
				continue
			}
			empty, err := r.o.Vault.DayEmpty(d.camera, day)
			if err != nil {
				skipped = append(skipped, err)
			}
			if empty {
				doomed = append(doomed, dyingKey{footageRing, packet.KeyID(d.camera, day)})
			}
		}
	}
	ended, err := r.endedHolds(s)
	if err != nil {
		return err
	}
	for _, id := range ended {
		doomed = append(doomed, dyingKey{holdRing + id, wholeRing})
	}
	r.lookedAll = r.lookedAll || all
	if err := r.announce(ctx, doomed); err != nil {
		return err
	}
	res.Keys += len(doomed)
	err = r.erase(ctx, doomed)
	if err != nil {
		r.settled = false // what was announced is finished by the next sweep
	}
	return errors.Join(append(skipped, err)...)
}

// keepHeld puts the file keys of held segments under the keys of all holds that cover them, once their
// camera-day holds nothing else: then the day key can die on time. It returns the camera-days concerned.
func (r *Retention) keepHeld(ctx context.Context, list []due, s state) (map[string]map[string]bool, error) {
	days := map[string]map[string]bool{}
	byHold := map[string][]footage.Segment{}
	for _, d := range list {
		for _, seg := range d.held {
			if d.liveDays[seg.Day] {
				continue
			}
			if days[d.camera] == nil {
				days[d.camera] = map[string]bool{}
			}
			days[d.camera][seg.Day] = true
			p := s.places.Place(seg)
			for _, h := range s.holds {
				if footage.HeldBy([]footage.Hold{h}, p, s.now) != "" {
					byHold[h.ID] = append(byHold[h.ID], seg)
				}
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(byHold)) {
		if err := r.o.Vault.Keep(ctx, id, byHold[id]); err != nil {
			return nil, err
		}
	}
	return days, nil
}

// endedHolds lists the holds that have keys and are not in force any more. What they kept was condemned by the
// sweep that saw them end.
func (r *Retention) endedHolds(s state) ([]string, error) {
	kept, err := r.o.Vault.Kept()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(kept, func(id string) bool {
		return slices.ContainsFunc(s.holds, func(h footage.Hold) bool {
			return h.ID == id && h.Released.IsZero() && h.Active(s.now.Earliest())
		})
	}), nil
}

// announce commits the intent to erase, so that an erasure cut short is finished and confirmed.
func (r *Retention) announce(ctx context.Context, keys []dyingKey) error {
	var c store.Change
	for _, k := range keys {
		c.Puts = append(c.Puts, dying.Put(k.Ring+"/"+k.Key, k))
	}
	for _, e := range erasures(keys) {
		c.Entries = append(c.Entries, draft("key.erase.intent", e.camera, e.data))
	}
	if len(c.Puts) == 0 {
		return nil
	}
	if _, err := r.o.Store.Commit(ctx, c); err != nil {
		return fmt.Errorf("announce the erasure of keys: %w", err)
	}
	return nil
}

// erase destroys announced keys and confirms it. One that turns out to be needed after all stays, and its
// announcement is taken back.
func (r *Retention) erase(ctx context.Context, keys []dyingKey) error {
	if len(keys) == 0 {
		return nil
	}
	var c store.Change
	var gone []dyingKey
	for _, k := range keys {
		var err error
		if hold, ok := strings.CutPrefix(k.Ring, holdRing); ok {
			err = r.o.Vault.DropHold(hold)
		} else {
			camera, day, _ := strings.Cut(k.Key, ":")
			err = r.o.Vault.EraseDay(camera, day)
		}
		switch {
		case err == nil:
			gone = append(gone, k)
		case errors.Is(err, vault.ErrDayInUse):
			r.o.Log.Warn("a key that was to be erased is needed again", "ring", k.Ring, "key", k.Key)
		default:
			return fmt.Errorf("erase key %s in ring %s: %w", k.Key, k.Ring, err)
		}
		c.Deletes = append(c.Deletes, dying.Delete(k.Ring+"/"+k.Key))
	}
	for _, e := range erasures(gone) {
		c.Entries = append(c.Entries, draft("key.erased", e.camera, e.data))
	}
	if _, err := r.o.Store.Commit(ctx, c); err != nil {
		return fmt.Errorf("confirm the erasure of keys: %w", err)
	}
	return nil
}

type erasure struct {
	camera string // "" for a hold
	data   map[string]any
}

// erasures groups keys into the data of entries: by ring and camera.
func erasures(keys []dyingKey) (out []erasure) {
	type group struct{ ring, camera string }
	byGroup := map[group][]string{}
	for _, k := range keys {
		g := group{ring: k.Ring}
		if k.Ring == footageRing {
			g.camera, _, _ = strings.Cut(k.Key, ":")
		}
		byGroup[g] = append(byGroup[g], k.Key)
	}
	groups := slices.SortedFunc(maps.Keys(byGroup), func(a, b group) int { return strings.Compare(a.ring+" "+a.camera, b.ring+" "+b.camera) })
	for _, g := range groups {
		for part := range slices.Chunk(byGroup[g], perIntent) {
			out = append(out, erasure{g.camera, map[string]any{"ring": g.ring, "keys": part}})
		}
	}
	return out
}

package retention

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/vault"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/packet"
)

const (
	footageRing = "footage"
	holdRing    = "hold-"
	wholeRing   = "all" // represents the keys of a ring that is dropped
	perIntent   = 32    // keys in one entry
)

// settle finishes what a crash, or a fault that lasts, left between a durable step and the next: rows of files that an
// entry already accounts for, and keys whose erasure was announced. What still cannot be done is left for the next sweep.
func (r *Retention) settle(ctx context.Context, res *Result) error {
	if !r.settled {
		if err := r.readAccounts(); err != nil {
			return err
		}
		r.settled = true
	}
	places, err := r.Places()
	if err != nil {
		return err
	}
	for camera, files := range r.undropped {
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
			r.faults.add(camera, "retention.camera", fmt.Errorf("drop the rows of what was deleted: %w", err))
			continue
		}
		delete(r.undropped, camera)
	}
	var announced []dyingKey
	err = r.o.Store.View(func(tx ledgerdb.Tx) error {
		for _, k := range dying.All(tx) {
			announced = append(announced, k)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("settle: %w", err)
	}
	res.Keys, err = r.erase(ctx, announced)
	return err
}

// readAccounts reads what the last entries account for: a power cut may have left its rows.
func (r *Retention) readAccounts() error {
	clear(r.accounts)
	clear(r.undropped)
	err := r.o.Store.View(func(tx ledgerdb.Tx) error {
		for key, a := range accounts.All(tx) {
			camera, _, _ := strings.Cut(key, "/")
			if r.undropped[camera] == nil {
				r.undropped[camera] = map[footage.FileID]bool{}
			}
			for _, f := range a.Files {
				r.undropped[camera][f] = true
			}
			r.accounts[camera]++
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("settle: %w", err)
	}
	return nil
}

// keys destroys the keys that nothing needs any more: those of empty camera-days, after the file keys of held
// segments were kept, and those of holds that have ended. In the last round after a start it looks at every
// camera-day that has a key.
func (r *Retention) keys(ctx context.Context, list []due, lost map[string]map[string]bool, s state, last bool, res *Result) error {
	if s.now.State != clock.Trusted {
		return nil
	}
	all := last && res.Settled && !r.sawAll
	kept, unserved := r.keepHeld(ctx, list, s)
	var doomed []dyingKey
	looked := true
	for _, d := range list {
		if !all && len(lost[d.camera])+len(kept[d.camera]) == 0 {
			continue
		}
		days := r.o.Vault.Days(d.camera)
		for day := range lost[d.camera] {
			if slices.Contains(days, day) {
				continue
			}
			// Its key died on time and a hold kept files: with the last of them the directory goes.
			if err := r.o.Vault.ClearDay(d.camera, day); err != nil {
				r.faults.add(d.camera, "retention.left_over", err)
			}
		}
		for _, day := range days {
			if d.liveDays[day] || !all && !lost[d.camera][day] && !kept[d.camera][day] {
				continue
			}
			empty, err := r.o.Vault.DayEmpty(d.camera, day)
			if err != nil {
				r.faults.add(d.camera, "retention.camera", err)
				looked = false
			}
			if empty {
				doomed = append(doomed, dyingKey{Ring: footageRing, Key: packet.KeyID(d.camera, day)})
			}
		}
	}
	var ended []string
	if r.checkedHeld(list, s) {
		ended = r.endedHolds(s, unserved)
	}
	for _, id := range ended {
		doomed = append(doomed, dyingKey{Ring: holdRing + id, Key: wholeRing})
	}
	doomed = slices.DeleteFunc(doomed, func(k dyingKey) bool { // announced before, and tried at the beginning of the sweep
		_, known := s.dying[k.row()]
		return known
	})
	for part := range slices.Chunk(doomed, perChange) {
		if err := r.announce(ctx, part); err != nil {
			return err
		}
	}
	r.sawAll = looked && (r.sawAll || all)
	n, err := r.erase(ctx, doomed)
	res.Keys += n
	return err
}

// keepHeld puts the file keys of held segments under the keys of all holds that cover them, once their
// camera-day holds nothing else: then the day key can die on time. It returns the camera-days concerned, and the
// segments of holds whose ring does not take them.
func (r *Retention) keepHeld(ctx context.Context, list []due, s state) (days map[string]map[string]bool, unserved []footage.Segment) {
	days = map[string]map[string]bool{}
	byHold := map[string][]footage.Segment{}
	serve := func(seg footage.Segment) {
		p := s.places.Place(seg)
		for _, h := range s.holds {
			if footage.HeldBy([]footage.Hold{h}, p, s.now) != "" {
				byHold[h.ID] = append(byHold[h.ID], seg)
			}
		}
	}
	var later []footage.Segment // their camera-day has live footage: its key, or that of a label come again, is there
	for _, d := range list {
		for _, seg := range d.held {
			if d.liveDays[seg.Day] {
				later = append(later, seg)
				continue
			}
			if days[d.camera] == nil {
				days[d.camera] = map[string]bool{}
			}
			days[d.camera][seg.Day] = true
			serve(seg)
		}
	}
	if len(later) > 0 { // what only the ring of a hold can open needs a place in the rings of all that cover it
		held, err := r.o.Vault.InHolds(later)
		if err != nil {
			r.faults.add("", "retention.hold", err)
			unserved = append(unserved, later...)
		}
		for _, seg := range held {
			serve(seg)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(byHold)) {
		if err := r.o.Vault.Keep(ctx, id, byHold[id]); err != nil {
			r.faults.hold(id, err)
			unserved = append(unserved, byHold[id]...)
		}
	}
	return days, unserved
}

// checkedHeld says whether a round has looked at all footage of every camera that a hold in force names. Before that
// no ring of a hold may go: a hold that changed goes on under another id, and the only keys of what it keeps may lie in
// the ring of the former.
func (r *Retention) checkedHeld(list []due, s state) bool {
	whole := map[string]bool{}
	for _, d := range list {
		whole[d.camera] = !d.more
	}
	known := r.cameras(s)
	for _, h := range s.holds {
		for _, c := range h.Cameras {
			if h.Active(s.now) && !whole[c] && slices.Contains(known, c) {
				return false
			}
		}
	}
	return true
}

// endedHolds lists the holds that have keys and are not in force any more. What they kept was condemned by the
// sweep that saw them end; but what another hold keeps, and has no key of yet, needs theirs.
func (r *Retention) endedHolds(s state, unserved []footage.Segment) []string {
	kept, err := r.o.Vault.Kept()
	if err != nil {
		r.faults.add("", "retention.hold", err)
		return nil
	}
	return slices.DeleteFunc(kept, func(id string) bool {
		if slices.ContainsFunc(s.holds, func(h footage.Hold) bool { return h.ID == id && h.Active(s.now) }) {
			return true
		}
		if len(unserved) == 0 {
			return false
		}
		needed, err := r.o.Vault.KeepsAny(id, unserved)
		return err == nil && needed // a ring that cannot be opened has nothing for anybody
	})
}

// announce commits the intent to erase, so that an erasure cut short is finished and confirmed.
func (r *Retention) announce(ctx context.Context, keys []dyingKey) error {
	var c ledgerdb.Change
	for _, k := range keys {
		c.Puts = append(c.Puts, dying.Put(k.row(), k))
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

// erase destroys announced keys, each on its own, and confirms it. One that turns out to be needed after all stays, and
// its announcement is taken back. One that cannot be destroyed, or leaves files behind, is entered once and tried again
// by every sweep.
func (r *Retention) erase(ctx context.Context, keys []dyingKey) (erased int, err error) {
	for part := range slices.Chunk(keys, perChange) {
		var c ledgerdb.Change
		var gone []dyingKey
		failed := map[string][]dyingKey{} // reason → those that fail for the first time
		left := map[string]bool{}         // cameras of which files are left
		errs := r.destroy(part)
		for i, k := range part {
			was, err := k, errs[i]
			if k.Erased = k.Erased || err == nil; k.Erased && k.Ring == footageRing {
				camera, day, _ := strings.Cut(k.Key, ":")
				err = r.o.Vault.ClearDay(camera, day)
			}
			if k.Erased && !was.Erased {
				gone = append(gone, k)
			}
			switch {
			case err == nil:
				c.Deletes = append(c.Deletes, dying.Delete(k.row()))
				continue
			case errors.Is(err, vault.ErrDayInUse):
				r.o.Log.Warn("a key that was to be erased is needed again", "ring", k.Ring, "key", k.Key)
				c.Deletes = append(c.Deletes, dying.Delete(k.row()))
				continue
			}
			r.faults.add("", "", fmt.Errorf("erase key %s in ring %s: %w", k.Key, k.Ring, err))
			if was.Reason != "" && was.Erased == k.Erased {
				continue // the entry is there
			}
			k.Since, k.Reason = r.o.Clock.Now().Wall.UTC(), reasonOf(err)
			c.Puts = append(c.Puts, dying.Put(k.row(), k))
			if k.Erased {
				camera, _, _ := strings.Cut(k.Key, ":")
				left[camera] = true
			} else {
				failed[k.Reason] = append(failed[k.Reason], k)
			}
		}
		for _, e := range erasures(gone) {
			c.Entries = append(c.Entries, draft("key.erased", e.camera, e.data))
		}
		for _, reason := range slices.Sorted(maps.Keys(failed)) {
			for _, e := range erasures(failed[reason]) {
				e.data["reason"] = reason
				c.Entries = append(c.Entries, draft("key.erasefailed", e.camera, e.data))
			}
		}
		for _, camera := range slices.Sorted(maps.Keys(left)) {
			c.Entries = append(c.Entries, draftFault("retention.left_over", camera, ""))
		}
		if len(c.Puts)+len(c.Deletes) == 0 {
			continue
		}
		if _, err := r.o.Store.Commit(ctx, c); err != nil {
			return erased, fmt.Errorf("confirm the erasure of keys: %w", err)
		}
		erased += len(gone)
	}
	return erased, nil
}

// destroy destroys keys, and answers for each. Those that are gone already are passed over.
func (r *Retention) destroy(keys []dyingKey) []error {
	errs := make([]error, len(keys))
	var days []vault.Day
	var at []int
	for i, k := range keys {
		if hold, ok := strings.CutPrefix(k.Ring, holdRing); ok {
			errs[i] = r.o.Vault.DropHold(hold)
		} else if !k.Erased {
			camera, day, _ := strings.Cut(k.Key, ":")
			days, at = append(days, vault.Day{Camera: camera, Label: day}), append(at, i)
		}
	}
	for i, err := range r.o.Vault.EraseDays(days) {
		errs[at[i]] = err
	}
	return errs
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

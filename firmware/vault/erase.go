package vault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/keyring"
	"campuskeep/shared/footage"
	"campuskeep/shared/packet"
)

// The steps of deletion. Retention takes them in this order, after its watermark has condemned the segments:
// Unlink, its ledger entry, DropRows, and for a camera-day that is empty EraseDays and ClearDay. Every step may be repeated.

// Failure is a segment that could not be unlinked.
type Failure struct {
	Segment footage.Segment
	Err     error
}

// perUnlink is how many camera-days are open at a time.
const perUnlink = 128

// Unlink removes the files of segments and makes that durable per directory. A file that is not there any
// more counts as removed. What it returns is still there, or may come back with a power cut.
func (v *Vault) Unlink(ctx context.Context, segments []footage.Segment) (failed []Failure) {
	byDay := map[dayID][]footage.Segment{}
	var order []dayID
	for _, s := range segments {
		id := dayID{s.Camera, s.Day}
		if byDay[id] == nil {
			order = append(order, id)
		}
		byDay[id] = append(byDay[id], s)
	}
	for part := range slices.Chunk(order, perUnlink) {
		// All are unlinked before the first is synced: one commit of the file system's journal serves them all.
		var open []unlinking
		for _, id := range part {
			u := unlinking{segments: byDay[id]}
			failed = append(failed, u.start(ctx, v.o.FS, id)...)
			if u.dir != nil {
				open = append(open, u)
			}
		}
		for _, u := range open {
			failed = append(failed, u.finish()...)
		}
	}
	return failed
}

// unlinking is a camera-day that loses files.
type unlinking struct {
	dir      disk.Dir
	segments []footage.Segment // after start: those whose name is gone, not yet durably
}

func (u *unlinking) start(ctx context.Context, fsys disk.FS, id dayID) (failed []Failure) {
	var err error
	if u.dir, err = fsys.Dir(id.path()); err != nil {
		u.dir = nil
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return failures(u.segments, err)
	}
	removed := u.segments[:0:0]
	for _, s := range u.segments {
		err := ctx.Err()
		if err == nil {
			err = u.dir.Remove(s.File.String() + fileExt)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = append(failed, Failure{s, err})
			continue
		}
		removed = append(removed, s)
	}
	u.segments = removed
	return failed
}

func (u *unlinking) finish() []Failure {
	var err error
	if len(u.segments) > 0 {
		err = u.dir.Sync()
	}
	if err = errors.Join(err, u.dir.Close()); err != nil {
		return failures(u.segments, err)
	}
	return nil
}

func failures(segments []footage.Segment, err error) (out []Failure) {
	for _, s := range segments {
		out = append(out, Failure{s, err})
	}
	return out
}

// HasFile says whether a segment's file is there; in doubt it is.
func (v *Vault) HasFile(s footage.Segment) bool {
	_, err := v.o.FS.Stat(filePath(dayID{s.Camera, s.Day}, s.File))
	return !errors.Is(err, fs.ErrNotExist)
}

// dropBatch bounds one transaction, so that recorders are not kept waiting for theirs.
const dropBatch = 16384

// DropRows takes segments out of the index; those not in it are fine.
func (v *Vault) DropRows(segments []footage.Segment) error {
	for part := range slices.Chunk(segments, dropBatch) {
		if err := v.index.drop(part); err != nil {
			return fmt.Errorf("drop index rows: %w", err)
		}
	}
	return nil
}

// Days lists the camera-days of a camera that have a key.
func (v *Vault) Days(camera string) (days []string) {
	for _, id := range v.o.Keys.IDs() {
		if c, day, ok := strings.Cut(id, ":"); ok && c == camera {
			days = append(days, day)
		}
	}
	return days
}

// DayEmpty says whether nothing needs the key of a camera-day any more: no writer, and no file, with a row
// or without, but those whose own key a hold keeps.
func (v *Vault) DayEmpty(camera, day string) (bool, error) {
	id := dayID{camera, day}
	v.mu.Lock()
	busy := v.busy(id)
	v.mu.Unlock()
	if busy {
		return false, nil
	}
	_, free, err := v.unneeded(id)
	if err != nil {
		return false, fmt.Errorf("look into camera-day: %w", err)
	}
	return free, nil
}

// unneeded says whether no file needs the key of a camera-day, and how many files there are all the same,
// kept by holds.
func (v *Vault) unneeded(id dayID) (files int, free bool, err error) {
	list, err := v.o.FS.ReadDir(id.path())
	if errors.Is(err, fs.ErrNotExist) {
		return 0, true, nil
	}
	if err != nil {
		return 0, false, err
	}
	for _, e := range list {
		file, ok := fileID(e.Name())
		if !ok {
			return len(list), false, nil
		}
		if _, held, err := v.heldKey(file); err != nil || !held { // in doubt it needs the camera-day's key
			return len(list), false, nil
		}
	}
	return len(list), true, nil
}

// busy says whether this process uses a camera-day; mu is held.
func (v *Vault) busy(id dayID) bool {
	use := v.days[id]
	return use != nil && (use.files > 0 || use.abandoned > 0 || use.unread || use.erasing)
}

// Day is a camera-day.
type Day struct{ Camera, Label string }

// EraseDays destroys the keys of camera-days for which DayEmpty says yes, in one write of the ring, and answers for each:
// ErrDayInUse when it is needed after all. What is left of the directories is for ClearDay.
func (v *Vault) EraseDays(days []Day) []error {
	errs := make([]error, len(days))
	var keys []string
	var writing []int
	for i, d := range days {
		id := dayID{d.Camera, d.Label}
		release, err := v.closed(id)
		if err != nil {
			errs[i] = err
			continue
		}
		defer release()
		switch _, free, err := v.unneeded(id); {
		case err != nil:
			errs[i] = fmt.Errorf("erase camera-day: %w", err)
		case !free:
			errs[i] = ErrDayInUse
		default:
			keys, writing = append(keys, id.key()), append(writing, i)
		}
	}
	if err := v.o.Keys.Erase(keys...); err != nil {
		for _, i := range writing {
			errs[i] = fmt.Errorf("erase camera-day: %w", err)
		}
	}
	return errs
}

// ClearDay removes what is left of a camera-day whose key is gone: what was set aside of it, which is noise now, and
// its directory when no held file lies there. One that has a key again stays as it is.
func (v *Vault) ClearDay(camera, day string) error {
	id := dayID{camera, day}
	release, err := v.closed(id)
	if errors.Is(err, ErrDayInUse) {
		return nil
	}
	if err != nil {
		return err
	}
	defer release()
	if _, again := v.o.Keys.Key(id.key()); again {
		return nil
	}
	if err := v.removeQuarantined(id); err != nil {
		return fmt.Errorf("clear camera-day: %w", err)
	}
	if err := v.removeEmpty(id.path()); err != nil {
		return fmt.Errorf("clear camera-day: %w", err)
	}
	return nil
}

// closed keeps everybody from beginning in a camera-day until release. ErrDayInUse when somebody uses it.
func (v *Vault) closed(id dayID) (release func(), err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.busy(id) {
		return nil, ErrDayInUse
	}
	use := v.days[id]
	if use == nil {
		use = &dayUse{}
		v.days[id] = use
	}
	use.erasing = true // Begin refuses it meanwhile
	return func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		use.erasing, use.ready = false, false // anyone who begins there again makes a new key
	}, nil
}

// removeQuarantined removes what was set aside of a camera-day. One file that stays keeps none of the others.
func (v *Vault) removeQuarantined(id dayID) error {
	dir := path.Join(quarantine, id.path())
	list, err := v.o.FS.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var failed []error
	for _, e := range list {
		if err := v.o.FS.Remove(path.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = append(failed, err)
		}
	}
	if len(failed) > 0 {
		return errors.Join(failed...)
	}
	return v.removeDir(dir)
}

// removeEmpty removes a directory in which nothing lies.
func (v *Vault) removeEmpty(dir string) error {
	list, err := v.o.FS.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(list) > 0 {
		return nil
	}
	if err != nil {
		return err
	}
	return v.removeDir(dir)
}

func (v *Vault) removeDir(dir string) error {
	err := v.o.FS.Remove(dir)
	if err == nil {
		err = v.o.FS.SyncDir(path.Dir(dir))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove empty directory: %w", err)
	}
	return nil
}

const holdPrefix = "hold-"

// heldKey finds the key of a file in the rings of the holds.
func (v *Vault) heldKey(file footage.FileID) (key [32]byte, ok bool, err error) {
	if v.o.Holds == nil {
		return key, false, nil
	}
	rings, err := v.o.Holds.Rings()
	if err != nil {
		return key, false, err
	}
	var unread []error
	for _, name := range rings {
		if !strings.HasPrefix(name, holdPrefix) {
			continue
		}
		ring, err := v.o.Holds.Ring(name)
		if err != nil { // the others may have it
			unread = append(unread, err)
			continue
		}
		if key, ok = ring.Key(file.String()); ok {
			return key, true, nil
		}
	}
	return key, false, errors.Join(unread...)
}

// Keep puts the file keys of segments into the ring of a hold, durably, so that they can be read after the
// key of their camera-day has died on time (design §5). Segments already there are fine; one that has no key
// any more cannot be kept and is only logged.
func (v *Vault) Keep(ctx context.Context, hold string, segments []footage.Segment) error {
	ring, err := v.o.Holds.Ring(holdPrefix + hold)
	if err != nil {
		return fmt.Errorf("keep footage for hold %s: %w", hold, err)
	}
	keys := map[string]keyring.Key{}
	var failed []error // one segment keeps none of the others
	for _, s := range segments {
		if _, ok := ring.Key(s.File.String()); ok {
			continue
		}
		key, err := v.provenKey(s)
		if errors.Is(err, ErrKeyErased) || errors.Is(err, fs.ErrNotExist) {
			v.o.Log.Error("a held segment has no key or no file", "hold", hold, "camera", s.Camera, "file", s.File)
			continue
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("keep segment %s for hold %s: %w", s.File, hold, err))
			continue
		}
		keys[s.File.String()] = key
	}
	if err := ring.Adopt(ctx, keys); err != nil {
		failed = append(failed, fmt.Errorf("keep footage for hold %s: %w", hold, err))
	}
	return errors.Join(failed...)
}

// provenKey finds the key that opens a file. Of one whose first record is damaged nobody can tell: then it is the one
// that a hold keeps, and else that of its camera-day.
func (v *Vault) provenKey(s footage.Segment) (key [32]byte, err error) {
	id := dayID{s.Camera, s.Day}
	f, err := v.o.FS.Open(filePath(id, s.File))
	if err != nil {
		return key, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return key, err
	}
	_, err = v.unseal(id, func(of packet.KeyOf) (*packet.Reader, error) {
		return packet.OpenTorn(f, info.Size(), func(h packet.Header) (k [32]byte, err error) { key, err = of(h); return key, err }, 0)
	})
	if err == nil || !errors.Is(err, packet.ErrDamaged) {
		return key, err
	}
	if held, ok, err := v.heldKey(s.File); err != nil || ok {
		return held, err
	}
	if of, ok := v.dayFileKey(id, s.File); ok {
		return of, nil
	}
	return key, ErrKeyErased
}

// InHolds gives those of the segments whose key the ring of some hold has.
func (v *Vault) InHolds(segments []footage.Segment) (held []footage.Segment, err error) {
	holds, err := v.Kept()
	if err != nil || len(holds) == 0 {
		return nil, err
	}
	for _, s := range segments {
		_, ok, err := v.heldKey(s.File)
		if err != nil {
			return nil, err
		}
		if ok {
			held = append(held, s)
		}
	}
	return held, nil
}

// Kept lists the holds that have a ring.
func (v *Vault) Kept() (holds []string, err error) {
	if v.o.Holds == nil {
		return nil, nil
	}
	rings, err := v.o.Holds.Rings()
	for _, name := range rings {
		if id, ok := strings.CutPrefix(name, holdPrefix); ok {
			holds = append(holds, id)
		}
	}
	return holds, err
}

// KeepsAny says whether the ring of a hold has the key of one of these segments.
func (v *Vault) KeepsAny(hold string, segments []footage.Segment) (bool, error) {
	ring, err := v.o.Holds.Ring(holdPrefix + hold)
	if err != nil {
		return false, fmt.Errorf("look into the ring of hold %s: %w", hold, err)
	}
	return slices.ContainsFunc(segments, func(s footage.Segment) bool { _, ok := ring.Key(s.File.String()); return ok }), nil
}

// DropHold destroys the keys that a hold kept.
func (v *Vault) DropHold(hold string) error { return v.o.Holds.Drop(holdPrefix + hold) }

func fileID(name string) (footage.FileID, bool) {
	base, ok := strings.CutSuffix(name, fileExt)
	if !ok {
		return footage.FileID{}, false
	}
	id, err := footage.ParseFileID(base)
	return id, err == nil
}

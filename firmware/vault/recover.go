package vault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/disk"
	"campuskeep/shared/footage"
	"campuskeep/shared/packet"
)

// quarantine takes files that are not footage that can be read; nothing is thrown away because it is odd.
const quarantine = "quarantine"

// recoverBatch is how many recovered rows go into one transaction.
const recoverBatch = 1000

// markAll notes every camera-day there is, for an index that is new.
func (v *Vault) markAll() error {
	var days []dayID
	err := v.walk(func(id dayID) error {
		days = append(days, id)
		return nil
	})
	if err != nil {
		return err
	}
	return v.index.markAll(days)
}

// walk visits the camera-days that have a directory.
func (v *Vault) walk(f func(dayID) error) error {
	cameras, err := v.o.FS.ReadDir(".")
	if err != nil {
		return err
	}
	for _, c := range cameras {
		if !c.IsDir() || !cameraRule.MatchString(c.Name()) || c.Name() == quarantine {
			continue
		}
		days, err := v.o.FS.ReadDir(c.Name())
		if err != nil {
			return err
		}
		for _, d := range days {
			if !d.IsDir() || !dayRule.MatchString(d.Name()) {
				continue
			}
			if err := f(dayID{c.Name(), d.Name()}); err != nil {
				return err
			}
		}
	}
	return nil
}

// recover indexes what an earlier run left in the marked camera-days, newest first.
func (v *Vault) recover(ctx context.Context) error {
	marks, err := v.index.marks()
	if err != nil {
		return fmt.Errorf("recover footage: %w", err)
	}
	ids := make([]dayID, 0, len(marks))
	for id := range marks {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b dayID) int { return strings.Compare(b.day, a.day) })
	start := time.Now()
	var total Report
	for _, id := range ids {
		r, err := v.recoverDay(ctx, id, marks[id])
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil { // recording does not wait for it; the mark stays for the next start
			v.alarm(Alarm{Code: "unreadable", Camera: id.camera, Err: fmt.Errorf("recover %s: %w", id.path(), err)})
			r.Unreadable = append(r.Unreadable, id.path())
		}
		total.add(r)
		v.mu.Lock()
		if v.days[id] == nil {
			v.days[id] = &dayUse{} // the writer goroutine takes the mark away, unless somebody begins there
		}
		v.days[id].unread = v.days[id].unread || len(r.Unreadable) > 0
		v.mu.Unlock()
	}
	close(v.recovered)
	v.o.Log.Info("footage of earlier runs is indexed", "camera_days", len(ids), "segments", len(total.Recovered),
		"quarantined", len(total.Quarantined), "unreadable", len(total.Unreadable), "took", time.Since(start))
	return nil
}

// recoverDay indexes the files of one camera-day that have no row.
func (v *Vault) recoverDay(ctx context.Context, id dayID, m mark) (Report, error) {
	files, err := v.unindexedFiles([]dayID{id}, func(f func(footage.Segment) bool) error {
		return v.index.scan(id.camera, m.ordinal, m.mono, func(_ uint32, s footage.Segment) bool { return f(s) })
	})
	if err != nil {
		return Report{}, err
	}
	return v.adopt(ctx, files)
}

// unindexed is a name in a camera-day without a row.
type unindexed struct {
	id   dayID
	name string
	kind fs.FileMode // type bits
}

func (s unindexed) path() string { return s.id.path() + "/" + s.name }

// unindexedFiles lists the names in camera-days of one camera that have no row and are not being written by this
// process. The order of the three looks matters: a file seen first is either still ours or has its row by
// the time the rows are read.
func (v *Vault) unindexedFiles(ids []dayID, rows func(func(footage.Segment) bool) error) ([]unindexed, error) {
	var names []unindexed
	for _, id := range ids {
		list, err := v.o.FS.ReadDir(id.path())
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			names = append(names, unindexed{id, e.Name(), e.Type()})
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	known := map[footage.FileID]struct{}{}
	v.mu.Lock()
	for f := range v.own {
		known[f] = struct{}{}
	}
	v.mu.Unlock()
	if err := rows(func(s footage.Segment) bool { known[s.File] = struct{}{}; return true }); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(names, func(n unindexed) bool {
		file, ok := fileID(n.name)
		_, has := known[file]
		return ok && has
	}), nil
}

// allUnindexed lists the strays of the whole vault, camera by camera.
func (v *Vault) allUnindexed(ctx context.Context, f func([]unindexed) error) error {
	byCamera := map[string][]dayID{}
	err := v.walk(func(id dayID) error {
		byCamera[id.camera] = append(byCamera[id.camera], id)
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	var broken []error // rows of one camera that cannot be read keep none of the others
	for camera, ids := range byCamera {
		list, err := v.unindexedFiles(ids, func(f func(footage.Segment) bool) error { return v.Rows(camera, f) })
		if errors.Is(err, ErrIndex) {
			broken = append(broken, fmt.Errorf("rows of %s: %w", camera, err))
			continue
		}
		if err == nil {
			err = f(list)
		}
		if err != nil {
			return err
		}
	}
	return errors.Join(broken...)
}

// adopt reads files without rows: what is whole, or has whole records in front, gets its row; the rest goes
// to quarantine. One bad file never keeps the others from being indexed.
func (v *Vault) adopt(ctx context.Context, files []unindexed) (r Report, err error) {
	var batch []footage.Segment
	commit := func() error {
		batch = v.named(batch, &r)
		if err := v.index.add(batch, nil); err != nil {
			return err
		}
		for _, s := range batch {
			v.indexFound(s.File)
		}
		r.Recovered = append(r.Recovered, batch...)
		batch = batch[:0]
		return nil
	}
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		s, err := v.readUnindexed(f)
		switch {
		case err == nil:
			batch = append(batch, s)
		case errors.Is(err, fs.ErrNotExist): // unlinked meanwhile
			if file, ok := fileID(f.name); ok {
				v.indexFound(file)
			}
		case errors.Is(err, packet.ErrFormat), errors.Is(err, packet.ErrDamaged), errors.Is(err, ErrKeyErased):
			if serr := v.setAside(f, err); errors.Is(serr, fs.ErrNotExist) {
				continue // gone meanwhile
			} else if serr != nil {
				v.alarm(Alarm{Code: "unreadable", Camera: f.id.camera, Err: errors.Join(err, serr)})
				r.Unreadable = append(r.Unreadable, f.path())
				continue
			}
			r.Quarantined = append(r.Quarantined, f.path())
		default: // the disk may have recovered by the next reconcile
			v.alarm(Alarm{Code: "unreadable", Camera: f.id.camera, Err: err})
			r.Unreadable = append(r.Unreadable, f.path())
		}
		if len(batch) == recoverBatch {
			if err := commit(); err != nil {
				return r, err
			}
		}
	}
	return r, commit()
}

// named makes the names of files durable before they get their rows, and leaves those out of which it cannot.
func (v *Vault) named(batch []footage.Segment, r *Report) []footage.Segment {
	synced := map[dayID]error{}
	return slices.DeleteFunc(batch, func(s footage.Segment) bool {
		id := dayID{s.Camera, s.Day}
		err, done := synced[id]
		if !done {
			err = v.o.FS.SyncDir(id.path())
			synced[id] = err
		}
		if err != nil {
			v.alarm(Alarm{Code: "unreadable", Camera: id.camera, Segment: s, Err: err})
			r.Unreadable = append(r.Unreadable, filePath(id, s.File))
		}
		return err != nil
	})
}

// readUnindexed makes the row of a file. Of a whole file the footer and index are proof enough; of a torn one
// every record is verified.
func (v *Vault) readUnindexed(in unindexed) (s footage.Segment, err error) {
	id := in.id
	file, ok := fileID(in.name)
	if !ok {
		return s, fmt.Errorf("%w: its name is not that of a segment", packet.ErrFormat)
	}
	if in.kind != 0 { // not even opened: a pipe would keep us waiting, a link leads elsewhere
		return s, fmt.Errorf("%w: %w", packet.ErrFormat, errNotRegular)
	}
	f, err := v.o.FS.Open(in.path())
	if err != nil {
		return s, err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	v.mu.Lock()
	_, orphan := v.abandoned[file]
	v.mu.Unlock()
	if orphan { // what counts is what the disk holds, not what the cache remembers of a failed write
		if err := disk.Uncached(f); err != nil {
			return s, err
		}
	}
	// A killed process leaves bytes that only the cache has: a row must not promise what a power cut can still take.
	if err := f.Sync(); err != nil {
		return s, err
	}
	info, err := f.Stat()
	if err != nil {
		return s, err
	}
	r, err := v.unseal(id, func(key packet.KeyOf) (*packet.Reader, error) {
		r, err := packet.Open(f, info.Size(), key)
		if errors.Is(err, packet.ErrFormat) || errors.Is(err, packet.ErrDamaged) {
			r, err = packet.Salvage(f, info.Size(), key)
		}
		return r, err
	})
	if err != nil {
		return s, err
	}
	frags := r.Fragments()
	if len(frags) == 0 {
		return s, fmt.Errorf("%w: no whole fragment", packet.ErrFormat)
	}
	if r.Header.File != file {
		return s, fmt.Errorf("%w: its header names another file", packet.ErrFormat)
	}
	h := r.Header
	if !nameRule.MatchString(h.Boot) || frags[0].From < 0 {
		return s, fmt.Errorf("%w: boot %q", packet.ErrFormat, h.Boot)
	}
	return footage.Segment{
		Camera: id.camera, File: file, Custody: footage.CustodyVault, Day: id.day,
		Boot: h.Boot, From: frags[0].From, To: frags[len(frags)-1].To, Wall: r.Wall(0),
		Session: h.Session, Bytes: info.Size(), Frags: len(frags), Codec: h.Codec, Hash: r.Hash, Recovered: r.Torn,
	}, nil
}

var errNotRegular = errors.New("not a regular file")

// indexFound takes a file off the books of what was abandoned.
func (v *Vault) indexFound(file footage.FileID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if id, ok := v.abandoned[file]; ok {
		delete(v.abandoned, file)
		v.days[id].abandoned--
	}
}

// The pace of Repair while something stays abandoned.
const (
	firstRepairWait = 10 * time.Second
	maxRepairWait   = 10 * time.Minute
)

// diskRecovered is called when the disk takes everything.
func (v *Vault) diskRecovered() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.abandoned) == 0 || time.Since(v.repaired) < v.retryDelay {
		return
	}
	select {
	case v.repairable <- struct{}{}:
	default:
	}
}

// Repairable has a value when segments were abandoned after a disk error and the disk takes everything again.
func (v *Vault) Repairable() <-chan struct{} { return v.repairable }

// Abandoned is how many segments of a camera were abandoned after a disk error and have no row yet.
func (v *Vault) Abandoned(camera string) (n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, id := range v.abandoned {
		if id.camera == camera {
			n++
		}
	}
	return n
}

// Repair gives abandoned segments their rows: what the disk holds of them is read again.
func (v *Vault) Repair(ctx context.Context) (Report, error) {
	v.adopting.Lock()
	defer v.adopting.Unlock()
	v.mu.Lock()
	var files []unindexed
	for file, id := range v.abandoned {
		files = append(files, unindexed{id: id, name: file.String() + fileExt})
	}
	v.mu.Unlock()
	r, err := v.adopt(ctx, files)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.repaired = time.Now()
	if v.retryDelay = min(max(2*v.retryDelay, firstRepairWait), maxRepairWait); len(v.abandoned) == 0 {
		v.retryDelay = 0
	}
	if err != nil {
		return r, fmt.Errorf("index what was abandoned: %w", err)
	}
	return r, nil
}

// setAside moves a file to quarantine and says so.
func (v *Vault) setAside(in unindexed, why error) error {
	dir := path.Join(quarantine, in.id.path())
	if err := v.o.FS.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := v.o.FS.Rename(in.path(), path.Join(dir, in.name)); err != nil {
		return err
	}
	file, _ := fileID(in.name)
	v.indexFound(file)
	v.alarm(Alarm{Code: "quarantined", Camera: in.id.camera, Segment: footage.Segment{Camera: in.id.camera, Day: in.id.day, File: file}, Err: why})
	return nil
}

// Report is what a reconcile found.
type Report struct {
	Recovered   []footage.Segment // had no row, have one now
	Quarantined []string          // not footage that can be read, set aside
	Unreadable  []string          // the disk failed; tried again next time
	Missing     []footage.Segment // had a row but no file; the row is gone now
	Stopped     bool              // too many were missing: no row was touched
}

func (r *Report) add(o Report) {
	r.Recovered = append(r.Recovered, o.Recovered...)
	r.Quarantined = append(r.Quarantined, o.Quarantined...)
	r.Unreadable = append(r.Unreadable, o.Unreadable...)
}

// Reconcile compares every file with every row. condemned looks at what is being deleted at that
// moment, before and after the files of a camera are looked for: what it names is left to its deletion. Rows without a
// file are taken out with an alarm, once missing (nil: nobody) has put them on record, unless they are more than a small part: then something is wrong with the disk and not with the rows, nothing
// is touched, and nothing more is looked at. Malformed rows go; their files get new ones.
func (v *Vault) Reconcile(ctx context.Context, condemned func() func(footage.Segment) bool, missing func([]footage.Segment) error) (r Report, err error) {
	select {
	case <-v.recovered:
	default:
		return r, nil // the start's recovery is still at it
	}
	total := 0
	cameras, err := v.index.cameras()
	if err != nil {
		return r, fmt.Errorf("reconcile: %w", err)
	}
	for _, camera := range cameras {
		bad, err := v.index.malformed(camera)
		if err == nil {
			err = v.index.remove(camera, bad)
		}
		here := 0
		if err == nil {
			err = v.Rows(camera, func(footage.Segment) bool { here++; return ctx.Err() == nil })
		}
		if err != nil {
			return r, fmt.Errorf("reconcile: %w", err)
		}
		total += here
		if _, err := v.o.FS.Stat(camera); here > 0 && errors.Is(err, fs.ErrNotExist) {
			return v.brakeReconcile(r, fmt.Errorf("camera %s has %d segments and no directory: is the disk mounted?", camera, here)), nil
		}
	}
	most := max(brakeLeast, total/brakePart)
	for _, camera := range cameras {
		lacking, err := v.missing(ctx, camera, condemned, most-len(r.Missing))
		if err != nil {
			return r, fmt.Errorf("reconcile %s: %w", camera, err)
		}
		if r.Missing = append(r.Missing, lacking...); len(r.Missing) > most {
			return v.brakeReconcile(r, fmt.Errorf("more than %d of %d segments have no file: is the disk mounted?", most, total)), nil
		}
	}
	if missing != nil && len(r.Missing) > 0 {
		if err := missing(r.Missing); err != nil {
			return r, fmt.Errorf("reconcile: %w", err)
		}
	}
	for _, s := range r.Missing {
		v.alarm(Alarm{Code: "missing", Camera: s.Camera, Segment: s, Err: fs.ErrNotExist})
	}
	if err := v.DropRows(r.Missing); err != nil {
		return r, fmt.Errorf("reconcile: %w", err)
	}
	v.adopting.Lock()
	defer v.adopting.Unlock()
	err = v.allUnindexed(ctx, func(files []unindexed) error {
		part, err := v.adopt(ctx, files)
		r.add(part)
		return err
	})
	if err != nil {
		return r, fmt.Errorf("reconcile: %w", err)
	}
	v.allRead(r.Unreadable)
	return r, nil
}

func (v *Vault) brakeReconcile(r Report, why error) Report {
	r.Stopped = true
	v.alarm(Alarm{Code: "brake", Err: why})
	return r
}

// allRead is called when every file without a row was looked at: the camera-days that the start could not read are
// read now, but for those where something still cannot be.
func (v *Vault) allRead(unreadable []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for id, use := range v.days {
		use.unread = use.unread && slices.ContainsFunc(unreadable, func(name string) bool { return path.Dir(name) == id.path() })
	}
}

// The brake of a reconcile: it takes out at most this many rows, or this part of them.
const (
	brakeLeast = 16
	brakePart  = 200
)

// missing lists the rows of a camera whose file is not there; when they are more than most, it stops looking.
func (v *Vault) missing(ctx context.Context, camera string, condemned func() func(footage.Segment) bool, most int) (out []footage.Segment, err error) {
	var day string // rows lie in the order of recording: one directory at a time is enough
	names := map[string]bool{}
	var dying func(footage.Segment) bool
	look := func(s footage.Segment) (more bool) {
		if s.Day != day {
			list, derr := v.o.FS.ReadDir(camera + "/" + s.Day)
			if derr != nil && !errors.Is(derr, fs.ErrNotExist) {
				err = derr
				return false
			}
			day = s.Day
			clear(names)
			for _, e := range list {
				names[e.Name()] = true
			}
		}
		if names[s.File.String()+fileExt] {
			return ctx.Err() == nil
		}
		if dying == nil {
			dying = condemned()
		}
		if !dying(s) {
			out = append(out, s)
		}
		return len(out) <= most && ctx.Err() == nil
	}
	rerr := v.Rows(camera, look)
	if err := errors.Join(rerr, err, ctx.Err()); err != nil || len(out) == 0 {
		return nil, err
	}
	// Written after its directory was read, or condemned and unlinked since: look again.
	dying = condemned()
	out = slices.DeleteFunc(out, func(s footage.Segment) bool {
		_, serr := v.o.FS.Stat(filePath(dayID{camera, s.Day}, s.File))
		if serr != nil && !errors.Is(serr, fs.ErrNotExist) {
			err = serr
		}
		return serr == nil || dying(s)
	})
	return out, err
}

// Quarantined counts the files that were set aside.
func (v *Vault) Quarantined(ctx context.Context) (n int, err error) {
	cameras, err := v.o.FS.ReadDir(quarantine)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("look into quarantine: %w", err)
	}
	for _, c := range cameras {
		days, err := v.o.FS.ReadDir(path.Join(quarantine, c.Name()))
		if err != nil {
			return n, fmt.Errorf("look into quarantine: %w", err)
		}
		for _, d := range days {
			files, err := v.o.FS.ReadDir(path.Join(quarantine, c.Name(), d.Name()))
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return n, fmt.Errorf("look into quarantine: %w", err)
			}
			n += len(files)
		}
	}
	return n, nil
}

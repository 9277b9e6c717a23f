package vault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"campuskeep/shared/footage"
	"campuskeep/shared/packet"
)

// Finding is a broken invariant (design §9).
type Finding struct {
	Invariant string // "I3"
	What      string
	Where     string // file and record, or row
}

// CheckOptions says how thorough a check is.
type CheckOptions struct {
	// Full decrypts every fragment; otherwise sizes, headers, init records and indexes are verified.
	Full bool
	// Condemned is about rows that are being deleted: their file may be gone or still there. What was true when the
	// check began is good enough, except for a row that looks broken: then again is true, and the state of this moment
	// counts.
	Condemned func(s footage.Segment, again bool) bool
}

// Check verifies I3: every live row has its file, whole and decryptable; every file has a row, is being
// written, or is in quarantine. It returns an error only when it could not look.
func (v *Vault) Check(ctx context.Context, o CheckOptions, report func(Finding)) error {
	select {
	case <-v.recovered:
	default:
		report(Finding{"I3", "the files of an earlier run are still being indexed", "index.db"})
		return nil
	}
	if v.unindexed != nil {
		n := 0
		err := v.allUnindexed(ctx, func(files []unindexed) error { n += len(files); return nil })
		if err != nil {
			return fmt.Errorf("check files: %w", err)
		}
		if n > 0 || !errors.Is(v.unindexed, fs.ErrNotExist) {
			report(Finding{"I3", fmt.Sprintf("%v; the next start rebuilds it from the %d files there are", v.unindexed, n), "index.db"})
		}
		return nil
	}
	later, err := v.unrecovered()
	if errors.Is(err, ErrIndex) {
		report(Finding{"I3", err.Error(), "index.db"})
	} else if err != nil {
		return fmt.Errorf("check files: %w", err)
	}
	err = v.allUnindexed(ctx, func(files []unindexed) error {
		for _, f := range files {
			if later[f.id] {
				continue
			}
			if _, err := v.o.FS.Stat(f.path()); errors.Is(err, fs.ErrNotExist) {
				continue // deleted, its row too, since the directory was read
			}
			file, _ := fileID(f.name)
			what := "the file has no row"
			v.mu.Lock()
			if _, ok := v.abandoned[file]; ok {
				what = "the file was abandoned after a disk error and waits for the disk to take everything again"
			}
			v.mu.Unlock()
			report(Finding{"I3", what, f.path()})
		}
		return nil
	})
	if err != nil && !errors.Is(err, ErrIndex) { // that is reported with the rows
		return fmt.Errorf("check files: %w", err)
	}
	cameras, err := v.Cameras()
	if errors.Is(err, ErrIndex) {
		report(Finding{"I3", err.Error(), "index.db"})
		return nil
	}
	if err != nil {
		return fmt.Errorf("check rows: %w", err)
	}
	for _, camera := range cameras {
		err := v.checkCamera(ctx, camera, o, report)
		if errors.Is(err, ErrIndex) { // the others may be whole
			report(Finding{"I3", err.Error(), "index.db, camera " + camera})
			continue
		}
		if err != nil {
			return fmt.Errorf("check rows of %s: %w", camera, err)
		}
	}
	return nil
}

// unrecovered lists the camera-days in which a vault that is open for reading may have files without a row: the next
// start indexes them. One that is open for writing has done so.
func (v *Vault) unrecovered() (map[dayID]bool, error) {
	days := map[dayID]bool{}
	if v.lock != nil {
		return days, nil
	}
	marks, err := v.index.marks()
	for id := range marks {
		days[id] = true
	}
	return days, err
}

// Unindexed counts the files that a vault which is open for reading leaves to the next start; see [Vault.Check].
func (v *Vault) Unindexed(ctx context.Context) (n int, err error) {
	later, err := v.unrecovered()
	if err != nil && !errors.Is(err, ErrIndex) { // Check reports that
		return 0, fmt.Errorf("count the files without a row: %w", err)
	}
	err = v.allUnindexed(ctx, func(files []unindexed) error {
		for _, f := range files {
			if later[f.id] {
				n++
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, ErrIndex) {
		return 0, fmt.Errorf("count the files without a row: %w", err)
	}
	return n, nil
}

func (v *Vault) checkCamera(ctx context.Context, camera string, o CheckOptions, report func(Finding)) error {
	bad, err := v.index.malformed(camera)
	if err != nil {
		return err
	}
	for _, k := range bad {
		report(Finding{"I3", "the row is malformed", fmt.Sprintf("index.db, camera %s, key %x", camera, k)})
	}
	var rows []footage.Segment
	if err := v.Rows(camera, func(s footage.Segment) bool { rows = append(rows, s); return true }); err != nil {
		return err
	}
	for _, s := range rows {
		if err := ctx.Err(); err != nil {
			return err
		}
		if o.Condemned != nil && o.Condemned(s, false) {
			continue
		}
		if err := v.checkRow(s, o.Full); err != nil {
			if o.Condemned != nil && o.Condemned(s, true) {
				continue
			}
			if there, err := v.hasRow(s); err != nil {
				return err
			} else if !there {
				continue
			}
			where := filePath(dayID{s.Camera, s.Day}, s.File)
			if d, ok := errors.AsType[*packet.DamageError](err); ok && d.Record >= 0 {
				where = fmt.Sprintf("%s, record %d", where, d.Record)
			}
			report(Finding{"I3", err.Error(), where})
		}
	}
	return nil
}

// hasRow says whether a segment still has its row.
func (v *Vault) hasRow(s footage.Segment) (there bool, err error) {
	err = v.RowsFrom(s.Camera, s.Boot, s.From, func(x footage.Segment) bool {
		there = x.File == s.File
		return !there && x.Boot == s.Boot && x.From <= s.From
	})
	return there, err
}

func (v *Vault) checkRow(s footage.Segment, full bool) (err error) {
	r, err := v.openRow(s)
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("the row has no file")
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	info, err := r.f.Stat()
	if err != nil {
		return err
	}
	if info.Size() != s.Bytes || len(r.Reader.Fragments()) != s.Frags {
		return fmt.Errorf("%d bytes and %d fragments, the row has %d and %d", info.Size(), len(r.Reader.Fragments()), s.Bytes, s.Frags)
	}
	if full {
		return r.Verify()
	}
	return nil
}

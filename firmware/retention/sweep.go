package retention

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"reflect"
	"slices"
	"syscall"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/vault"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/packet"
)

// The way of a segment to its deletion, in the order in which things become durable:
//
//	1. watermark of its camera in ledger.db, holds looked at again inside that commit: it is condemned,
//	   nobody is shown it any more
//	2. unlink, directory synced; what cannot be unlinked stays condemned, with a row, an entry and an alarm
//	3. `footage.deleted` entry of its camera-hour, with the files it accounts for
//	4. its row leaves index.db
//	5. when nothing needs the camera-day's key any more: `key.erase.intent` entry, ring, `key.erased` entry
//
// Every step may be repeated; after a crash the sweep goes on from the watermark.

// Result says what a sweep did.
type Result struct {
	Settled  bool      // the vault has indexed everything of earlier runs, nothing of a crash is left
	Bound    int       // `footage.recorded` entries
	Deleted  int       // segments accounted for in `footage.deleted` entries
	Unlinked int       // segments whose file went in this sweep
	Failed   int       // segments that could not be unlinked
	Held     int       // segments past their time that holds keep
	Keys     int       // keys destroyed
	Waiting  int       // keys whose destruction has failed, or left files behind
	Skipped  []string  // cameras that could not be looked at
	Rotten   []string  // holds in force whose ring of keys cannot be opened or written
	Complete bool      // it went through everything; what could not be done is in the figures above
	Next     time.Time // when the next segment falls due; zero when none is known
}

const (
	// perRound is how many segments go in one round: bounded by the memory for their rows.
	perRound = 30_000
	// perRetry is how many condemned segments are tried again in one round.
	perRetry = 1000
	// longestDay is the longest that a camera-day lasts, when clocks are put back.
	longestDay = 25 * time.Hour
	// perAccount is how many file ids fit one row of what is accounted for.
	perAccount = 6000
	// perChange is how many rows of one kind go into a Change: well below what the store allows.
	perChange = 1000
)

// Sweep makes one pass: binds what was recorded, deletes what is due, destroys keys that nothing needs. It
// deletes nothing while the clock is not trusted. A key, file or camera that cannot be dealt with keeps none of the
// others: it is an entry, once, the next sweep tries it again, and the error names it. Only a failing log ends a sweep.
func (r *Retention) Sweep(ctx context.Context) (res Result, err error) {
	r.sweeping.Lock()
	defer r.sweeping.Unlock()
	r.faults = faults{}
	err = r.sweep(ctx, &res)
	if ctx.Err() != nil {
		return res, errors.Join(err, r.faults.all())
	}
	if res.Complete = err == nil; res.Complete {
		err = r.enterFaults(ctx)
	}
	res.Skipped, res.Rotten = r.faults.cameras(), r.faults.holds()
	return res, errors.Join(err, r.faults.all())
}

func (r *Retention) sweep(ctx context.Context, res *Result) error {
	if err := r.settle(ctx, res); err != nil {
		return err
	}
	select {
	case <-r.o.Vault.Recovered():
		res.Settled = true
	default:
	}
	s, err := r.readState()
	if err != nil {
		return err
	}
	if res.Settled { // before that, an hour may still get segments that a power cut left without a row
		if res.Bound, err = r.bind(ctx, s); err != nil {
			return err
		}
	}
	if s.now.State == clock.Trusted {
		if err := r.lowerMarks(ctx, s); err != nil {
			return err
		}
		if err := r.boundBoots(ctx, &s, res.Settled); err != nil {
			return err
		}
		for more := true; more; {
			if more, err = r.round(ctx, res); err != nil {
				return err
			}
		}
	}
	if s, err = r.readState(); err != nil {
		return err
	}
	for _, k := range s.dying {
		if k.Reason != "" {
			res.Waiting++
		}
	}
	return nil
}

// due is what a camera has to give up, as far as one round goes.
type due struct {
	camera    string
	rows      []footage.Segment // must go; some may be unlinked already
	retries   int               // how many of them could not be unlinked before
	fresh     bool              // some are not yet condemned
	held      []footage.Segment
	openHours map[time.Time]bool // hours with segments that are not due
	liveDays  map[string]bool    // camera-days with such
	more      bool
	next      time.Time
}

// round deletes up to perRound segments.
func (r *Retention) round(ctx context.Context, res *Result) (more bool, err error) {
	s, err := r.readState()
	if err != nil {
		return false, err
	}
	cameras := r.cameras(s)
	var list []due
	total, retries, before := 0, 0, res.Unlinked
	res.Held, res.Next = 0, time.Time{}
	for _, camera := range cameras {
		if total >= perRound {
			more = true
			break
		}
		if r.undropped[camera] != nil { // what is accounted for must not be counted again
			continue
		}
		d, err := r.collect(camera, s, perRound-total, perRetry-retries)
		if err != nil {
			r.faults.add(camera, "retention.camera", err)
			continue
		}
		total, retries = total+len(d.rows)-d.retries, retries+d.retries
		more = more || d.more
		res.Held += len(d.held)
		if !d.next.IsZero() && (res.Next.IsZero() || d.next.Before(res.Next)) {
			res.Next = d.next
		}
		list = append(list, d)
	}
	if err := r.condemn(ctx, list, s); err != nil {
		if errors.Is(err, errHoldsChanged) {
			return true, ctx.Err() // look again
		}
		return false, err
	}
	gone, err := r.unlink(ctx, list, s, res)
	if err != nil {
		return false, err
	}
	days, accounted, err := r.account(ctx, list, gone, s)
	if err != nil {
		return false, err
	}
	res.Deleted += accounted
	progress := accounted > 0 || res.Unlinked > before // without any the disk refuses; the next sweep tries again
	more = more && progress
	return more, r.keys(ctx, list, days, s, !more, res)
}

// cameras lists those of the index and those of the register, which may have keys and no rows.
func (r *Retention) cameras(s state) []string {
	ids, err := r.o.Vault.Cameras()
	if err != nil { // the keys of cameras in the register may die all the same
		r.faults.add("", "retention.index", err)
	}
	ids = slices.AppendSeq(ids, maps.Keys(s.policies))
	slices.Sort(ids)
	return slices.Compact(ids)
}

// collect finds the segments of a camera that are due. Within a boot the rows lie in order, so it reads
// little more than what is due: up to most new ones, and some that failed before.
func (r *Retention) collect(camera string, s state, most, retries int) (due, error) {
	d := due{camera: camera, openHours: map[time.Time]bool{}, liveDays: map[string]bool{}}
	policy := policyOf(s.policies, camera)
	watermark := footage.Watermark(policy, s.now)
	if s.marks[camera].After(watermark) { // a policy was raised since: what was condemned stays so
		watermark = s.marks[camera]
	}
	boots, err := r.o.Vault.Boots(camera)
	if err != nil {
		return d, err
	}
	gone := r.unlinked[camera]
	for _, boot := range boots {
		if s.places.Unplaced(boot) {
			continue
		}
		err := r.o.Vault.RowsFrom(camera, boot, 0, func(seg footage.Segment) bool {
			if seg.Boot != boot {
				return false
			}
			verdict, last := footage.Judge(seg, s.places, s.holds, watermark, s.now)
			_, known := s.condemned[seg.File]
			_, done := gone[seg.File]
			switch {
			case verdict == footage.Live:
				d.openHours[hourOf(s.places.Place(seg))] = true
				d.liveDays[seg.Day] = true
				if at := last.Add(policy.Keep()); d.next.IsZero() || at.Before(d.next) {
					d.next = at
				}
				return false
			case known && !done:
				if d.retries < retries {
					d.retries++
					d.rows = append(d.rows, seg)
				}
			case verdict == footage.HeldBack && !done:
				d.held = append(d.held, seg)
			case len(d.rows)-d.retries >= most:
				d.more = true
				h := hourOf(s.places.Place(seg))
				// An hour with more segments than fit one round is accounted for in parts.
				d.openHours[h] = !h.Equal(hourOf(s.places.Place(d.rows[0])))
				d.liveDays[seg.Day] = true
				return false
			default:
				d.rows = append(d.rows, seg)
				d.fresh = d.fresh || !done
			}
			return true
		})
		if err != nil {
			return d, err
		}
	}
	return d, nil
}

func hourOf(p footage.Placed) time.Time { return p.Span.From.UTC().Truncate(time.Hour) }

// condemn raises the watermarks of the cameras that have something to delete. The holds are read again in
// the same transaction: one that was registered since the look makes the round start over.
func (r *Retention) condemn(ctx context.Context, list []due, s state) error {
	var c ledgerdb.Change
	for _, d := range list {
		at := footage.Watermark(policyOf(s.policies, d.camera), s.now)
		if d.fresh && at.After(s.marks[d.camera]) {
			c.Puts = append(c.Puts, watermarks.Put(d.camera, Watermark{At: at}))
		}
	}
	if len(c.Puts) == 0 {
		return nil
	}
	c.Check = func(tx ledgerdb.Tx) error {
		if now := r.o.Clock.Now(); now.State != clock.Trusted || now.Latest().Before(s.now.Earliest()) {
			return errHoldsChanged // the clock was corrected since: look again
		}
		return r.sameHolds(s)(tx)
	}
	if _, err := r.o.Store.Commit(ctx, c); err != nil {
		return fmt.Errorf("raise watermarks: %w", err)
	}
	return nil
}

// sameHolds is the look at the holds inside the commit that condemns.
func (r *Retention) sameHolds(s state) func(ledgerdb.Tx) error {
	return func(tx ledgerdb.Tx) error {
		holds, err := r.o.Holds(tx)
		if err != nil {
			return err
		}
		if !reflect.DeepEqual(holds, s.holds) {
			return errHoldsChanged
		}
		return nil
	}
}

// unlink removes the files of condemned segments and says which are gone. What fails stays condemned: it
// gets a row, and an entry when it is new.
func (r *Retention) unlink(ctx context.Context, list []due, s state, res *Result) (gone map[footage.FileID]bool, err error) {
	gone = map[footage.FileID]bool{}
	var todo []footage.Segment // of all cameras: their directories are made durable together
	for _, d := range list {
		if r.unlinked[d.camera] == nil {
			r.unlinked[d.camera] = map[footage.FileID]struct{}{}
		}
		for _, seg := range d.rows {
			if _, done := r.unlinked[d.camera][seg.File]; done {
				gone[seg.File] = true
			} else {
				todo = append(todo, seg)
			}
		}
	}
	if len(todo) == 0 {
		return gone, nil
	}
	failures := map[string][]vault.Failure{}
	failed := map[footage.FileID]bool{}
	for _, f := range r.o.Vault.Unlink(ctx, todo) {
		failures[f.Segment.Camera] = append(failures[f.Segment.Camera], f)
		failed[f.Segment.File] = true
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for _, seg := range todo {
		if !failed[seg.File] {
			gone[seg.File] = true
			r.unlinked[seg.Camera][seg.File] = struct{}{}
			res.Unlinked++
		}
	}
	res.Failed += len(failed)
	for _, d := range list {
		if err := r.noteUnlinkFailed(ctx, d.camera, failures[d.camera], s); err != nil {
			return nil, err
		}
	}
	return gone, nil
}

// noteUnlinkFailed notes segments that could not be unlinked.
func (r *Retention) noteUnlinkFailed(ctx context.Context, camera string, failures []vault.Failure, s state) error {
	failures = slices.DeleteFunc(failures, func(f vault.Failure) bool { _, known := s.condemned[f.Segment.File]; return known })
	for part := range slices.Chunk(failures, 1000) {
		var c ledgerdb.Change
		reasons := map[string]int{}
		for _, f := range part {
			reason := reasonOf(f.Err)
			reasons[reason]++
			c.Puts = append(c.Puts, condemned.Put(camera+"/"+f.Segment.File.String(), Condemned{f.Segment, s.now.Wall, reason}))
			r.o.Log.Error("condemned footage cannot be unlinked", "camera", camera, "file", f.Segment.File, "err", f.Err)
		}
		for _, reason := range slices.Sorted(maps.Keys(reasons)) {
			c.Entries = append(c.Entries, draft("footage.unlinkfailed", camera, map[string]any{"count": reasons[reason], "reason": reason}))
		}
		if _, err := r.o.Store.Commit(ctx, c); err != nil {
			return fmt.Errorf("note what cannot be unlinked: %w", err)
		}
	}
	return nil
}

func reasonOf(err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "permission"
	case errors.Is(err, syscall.EROFS):
		return "read_only"
	case errors.Is(err, syscall.EIO):
		return "io"
	case errors.Is(err, syscall.EBUSY):
		return "busy"
	case errors.Is(err, syscall.ENOSPC):
		return "no_space"
	case errors.Is(err, syscall.ENOTEMPTY):
		return "not_empty"
	}
	return "other"
}

// account writes the `footage.deleted` entries of the camera-hours that are complete, and then drops their
// rows. It returns the camera-days that lost segments.
func (r *Retention) account(ctx context.Context, list []due, gone map[footage.FileID]bool, s state) (days map[string]map[string]bool, n int, err error) {
	days = map[string]map[string]bool{}
	var c ledgerdb.Change
	drop := map[string][]footage.Segment{}
	for _, d := range list {
		var hours []time.Time
		groups := map[time.Time]*hourGroup{}
		for _, seg := range d.rows {
			p := s.places.Place(seg)
			h := hourOf(p)
			if !gone[seg.File] || d.openHours[h] {
				continue
			}
			if groups[h] == nil {
				groups[h] = &hourGroup{hour: h}
				hours = append(hours, h)
			}
			last, _ := s.places.LastFrame(seg)
			groups[h].add(seg, p.Span.From, last)
		}
		var files []footage.FileID
		for _, h := range hours {
			g := groups[h]
			data := g.data()
			data["assurance"] = r.o.Assurance(g.first.Add(-longestDay)) // no key of its camera-day is older
			c.Entries = append(c.Entries, draft("footage.deleted", d.camera, data))
			for _, seg := range g.rows {
				files = append(files, seg.File)
				if _, known := s.condemned[seg.File]; known {
					c.Deletes = append(c.Deletes, condemned.Delete(d.camera+"/"+seg.File.String()))
				}
				if days[d.camera] == nil {
					days[d.camera] = map[string]bool{}
				}
				days[d.camera][seg.Day] = true
			}
			drop[d.camera] = append(drop[d.camera], g.rows...)
		}
		n += len(files)
		if len(files) > 0 {
			r.accountRows(&c, d.camera, files)
		}
	}
	if len(drop) == 0 {
		return days, 0, nil
	}
	if _, err := r.o.Store.Commit(ctx, c); err != nil {
		return nil, 0, fmt.Errorf("account for deletions: %w", err)
	}
	for camera, rows := range drop {
		if err := r.usage.drop(rows, s.places, r.o.Vault.DropRows); err != nil {
			r.undropped[camera] = filesOf(rows) // the next sweep drops them before the camera is counted again
			r.faults.add(camera, "retention.camera", err)
		}
		for _, seg := range rows {
			delete(r.unlinked[camera], seg.File)
		}
	}
	return days, n, nil
}

func filesOf(rows []footage.Segment) map[footage.FileID]bool {
	out := make(map[footage.FileID]bool, len(rows))
	for _, s := range rows {
		out[s.File] = true
	}
	return out
}

// accountRows replaces the rows of what a camera's last entries account for.
func (r *Retention) accountRows(c *ledgerdb.Change, camera string, files []footage.FileID) {
	n := 0
	for part := range slices.Chunk(files, perAccount) {
		c.Puts = append(c.Puts, accounts.Put(accountKey(camera, n), accounted{part}))
		n++
	}
	for i := n; i < r.accounts[camera]; i++ {
		c.Deletes = append(c.Deletes, accounts.Delete(accountKey(camera, i)))
	}
	r.accounts[camera] = n // if the commit fails, a row too many is deleted again or overwritten
}

func accountKey(camera string, n int) string { return fmt.Sprintf("%s/%d", camera, n) }

// hourGroup gathers the segments of one camera-hour for an entry.
type hourGroup struct {
	hour        time.Time
	rows        []footage.Segment
	leaves      []packet.Hash
	first, last time.Time
	bytes       int64
}

func (g *hourGroup) add(seg footage.Segment, first, last time.Time) {
	g.rows = append(g.rows, seg)
	g.leaves = append(g.leaves, packet.SegmentLeaf(seg))
	if g.first.IsZero() || first.Before(g.first) {
		g.first = first
	}
	if last.After(g.last) {
		g.last = last
	}
	g.bytes += seg.Bytes
}

// data of the entry: the root binds file id, content hash, first and last frame of every segment, in the
// order of recording; days are the labels of the camera-days whose keys the files are under.
func (g *hourGroup) data() map[string]any {
	root := packet.TreeRoot(g.leaves)
	var days []string
	for _, seg := range g.rows {
		if !slices.Contains(days, seg.Day) {
			days = append(days, seg.Day)
		}
	}
	return map[string]any{"hour": g.hour, "count": len(g.rows), "root": root[:], "first": g.first.UTC(), "last": g.last.UTC(), "bytes": g.bytes,
		"days": days[:min(len(days), 64)]}
}

// boundBoots gives every boot of which there is footage and no anchor its upper bound: this instant, the
// first trusted one that we know to lie after it. A bound stays as it is until nothing of its boot is left; that can
// be said only of an index that is complete (settled).
func (r *Retention) boundBoots(ctx context.Context, s *state, settled bool) error {
	cameras, err := r.o.Vault.Cameras()
	if err != nil {
		r.faults.add("", "retention.index", err)
		return nil
	}
	var puts []ledgerdb.Put
	var deletes []ledgerdb.Delete
	used := map[string]bool{}
	for _, camera := range cameras {
		boots, err := r.o.Vault.Boots(camera)
		if err != nil {
			r.faults.add(camera, "retention.camera", err)
			settled = false
			continue
		}
		for _, boot := range boots {
			if !used[boot] && boot != s.now.Boot && s.places.Unplaced(boot) {
				puts = append(puts, bounds.Put(boot, bootBound{s.now.Latest().UTC()}))
			}
			used[boot] = true
		}
	}
	for boot, at := range s.places.Bounds {
		switch latest := s.now.Latest().UTC(); {
		case !used[boot] && settled:
			deletes = append(deletes, bounds.Delete(boot))
		case used[boot] && at.After(latest): // set by a wrong time: that boot was before this instant
			puts = append(puts, bounds.Put(boot, bootBound{latest}))
		}
	}
	for part := range slices.Chunk(puts, perChange) {
		if _, err := r.o.Store.Commit(ctx, ledgerdb.Change{Puts: part}); err != nil {
			return fmt.Errorf("bound the boots without an anchor: %w", err)
		}
	}
	for part := range slices.Chunk(deletes, perChange) {
		if _, err := r.o.Store.Commit(ctx, ledgerdb.Change{Deletes: part}); err != nil {
			return fmt.Errorf("drop the bounds of boots that left nothing: %w", err)
		}
	}
	return nil
}

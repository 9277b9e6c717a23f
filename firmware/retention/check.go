package retention

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/vault"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
)

// lateAfter is how long after its time a segment may still be there without being a finding: a sweep's pace
// and its work (design §5: 60 s), doubled for a disk that is busy.
const lateAfter = 2 * time.Minute

// Check verifies I3, I4 and I6: the files behind the index, nothing past its ceiling outside a hold, nothing
// deleted before its floor without a breach entry, no erased key there again. full decrypts all footage.
func (r *Retention) Check(ctx context.Context, full bool, report func(vault.Finding)) error {
	s, err := r.readState()
	if err != nil {
		return err
	}
	var blind error
	err = r.o.Vault.Check(ctx, vault.CheckOptions{Full: full, Condemned: func(seg footage.Segment, again bool) bool {
		lately := s
		if again { // a sweep may have condemned it meanwhile
			var err error
			if lately, err = r.readState(); err != nil {
				blind = err
				return false
			}
		}
		return errors.Is(lately.refuses(seg), footage.ErrCondemned)
	}}, report)
	if err = errors.Join(err, blind); err != nil {
		return err
	}
	if err := r.checkCeiling(s, report); err != nil {
		return err
	}
	erased, err := r.checkFloor(ctx, s, report)
	if err != nil {
		return err
	}
	return r.checkErased(erased, s.holds, report)
}

// checkErased looks for keys that the log says were destroyed: an older copy of a ring was put back. A camera-day that
// was begun again has a new key, and something that needs it; so has a hold that was registered again.
func (r *Retention) checkErased(erased map[dyingKey]bool, holds []footage.Hold, report func(vault.Finding)) error {
	kept, err := r.o.Vault.Kept()
	if err != nil {
		return err
	}
	for _, id := range kept {
		again := slices.ContainsFunc(holds, func(h footage.Hold) bool { return h.ID == id })
		if erased[dyingKey{Ring: holdRing + id, Key: wholeRing}] && !again {
			report(vault.Finding{Invariant: "I6", What: "a ring that was erased is there again", Where: holdRing + id})
		}
	}
	for k := range erased {
		camera, day, ok := strings.Cut(k.Key, ":")
		if k.Ring != footageRing || !ok || !slices.Contains(r.o.Vault.Days(camera), day) {
			continue
		}
		empty, err := r.o.Vault.DayEmpty(camera, day)
		if err != nil {
			return err
		}
		if empty {
			report(vault.Finding{Invariant: "I6", What: "a key that was erased is there again", Where: "ring footage, " + k.Key})
		}
	}
	return nil
}

// checkCeiling looks for rows that should be gone. Without a trusted clock nobody can tell.
func (r *Retention) checkCeiling(s state, report func(vault.Finding)) error {
	cameras, err := r.o.Vault.Cameras()
	if err != nil && !errors.Is(err, vault.ErrIndex) { // the vault has reported that
		return err
	}
	for _, camera := range cameras {
		late := footage.Watermark(policyOf(s.policies, camera), s.now).Add(-lateAfter)
		err := r.o.Vault.Rows(camera, func(seg footage.Segment) bool {
			where := fmt.Sprintf("%s/%s/%s", seg.Camera, seg.Day, seg.File)
			if c, ok := s.condemned[seg.File]; ok {
				report(vault.Finding{Invariant: "I4", What: "condemned, cannot be unlinked: " + c.Reason, Where: where})
				return true
			}
			if s.now.State != clock.Trusted {
				return true
			}
			if v, _ := footage.Judge(seg, s.places, s.holds, late, s.now); v != footage.Expired {
				return true
			}
			// Below an up-to-date watermark a row waits for its hour to be accounted for; its file must be gone.
			if s.marks[camera].Before(late) || r.o.Vault.HasFile(seg) {
				report(vault.Finding{Invariant: "I4", What: "past its last day and not deleted", Where: where})
			}
			return true
		})
		if err != nil && !errors.Is(err, vault.ErrIndex) { // the vault has reported that
			return err
		}
	}
	return nil
}

// floors is what the ledger says about one camera: how long it was to be kept at each time, and what was entered to
// go early.
type floors struct {
	since    []policySince
	breaches []footage.Span // united where they touch
}

type policySince struct {
	at   time.Time
	days int
}

var aboutFloors = []ledger.Kind{"camera.registered", "camera.changed", "footage.breach", "footage.deleted", "footage.damaged", "key.erased"}

// checkFloor reads the ledger for deletions that came too early, and gives the keys that it says were destroyed. The
// order of entries counts: a breach excuses only what goes after it.
func (r *Retention) checkFloor(ctx context.Context, s state, report func(vault.Finding)) (erased map[dyingKey]bool, err error) {
	erased = map[dyingKey]bool{}
	cameras := map[string]*floors{}
	for e, err := range r.o.Store.Entries(0, r.o.Store.Size()) {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			continue // I1 reports damaged leaves
		}
		if !slices.Contains(aboutFloors, e.Kind) {
			continue
		}
		f := cameras[e.Subject]
		if f == nil {
			f = &floors{}
			cameras[e.Subject] = f
		}
		switch e.Kind {
		case "key.erased":
			var d struct {
				Ring string
				Keys []string
			}
			if json.Unmarshal(e.Data, &d) == nil {
				for _, k := range d.Keys {
					erased[dyingKey{Ring: d.Ring, Key: k}] = true
				}
			}
		case "camera.registered", "camera.changed":
			var d struct{ Days int }
			if json.Unmarshal(e.Data, &d) == nil && d.Days > 0 {
				f.since = append(f.since, policySince{e.At, d.Days})
			}
		case "footage.damaged":
			if seg, vanished := r.missingFile(e, s); vanished {
				report(vault.Finding{Invariant: "I3", What: fmt.Sprintf("the file vanished before its last day (ledger entry %d)", e.Seq), Where: fmt.Sprintf("%s/%s/%s", seg.Camera, seg.Day, seg.File)})
			}
		case "footage.breach":
			var d struct{ From, To time.Time }
			if json.Unmarshal(e.Data, &d) == nil {
				f.breaches = unite(f.breaches, footage.Span{From: d.From, To: d.To})
			}
		case "footage.deleted":
			var d struct{ First, Last time.Time }
			if err := json.Unmarshal(e.Data, &d); err != nil {
				return nil, fmt.Errorf("entry %d: %w", e.Seq, err)
			}
			if f.tooEarly(e, d.Last) && !f.excused(footage.Span{From: d.First, To: d.Last}) {
				report(vault.Finding{Invariant: "I4", What: "deleted before its floor without a breach", Where: fmt.Sprintf("ledger entry %d, camera %s", e.Seq, e.Subject)})
			}
		}
	}
	return erased, nil
}

// missingFile says whether an entry is about a file that a reconcile missed, that is not back, and that would still
// have to be there: its row has gone, so that nothing else remembers it.
func (r *Retention) missingFile(e ledger.Entry, s state) (seg footage.Segment, is bool) {
	var d struct{ File, Reason, Day string }
	if json.Unmarshal(e.Data, &d) != nil || d.Reason != "missing" {
		return seg, false
	}
	file, err := footage.ParseFileID(d.File)
	begin, derr := time.Parse(time.DateOnly, d.Day)
	if err != nil || derr != nil {
		return seg, false
	}
	seg = footage.Segment{Camera: e.Subject, Day: d.Day, File: file}
	until := begin.Add(policyOf(s.policies, e.Subject).Keep())
	return seg, s.now.Wall.Before(until) && !r.o.Vault.HasFile(seg)
}

func unite(list []footage.Span, s footage.Span) []footage.Span {
	var out []footage.Span
	for _, x := range list {
		if x.To.Before(s.From) || s.To.Before(x.From) {
			out = append(out, x)
			continue
		}
		if x.From.Before(s.From) {
			s.From = x.From
		}
		if x.To.After(s.To) {
			s.To = x.To
		}
	}
	return append(out, s)
}

func (f *floors) excused(s footage.Span) bool {
	for _, b := range f.breaches {
		if !b.From.After(s.From) && !b.To.Before(s.To) {
			return true
		}
	}
	return false
}

// tooEarly says whether a deletion entry was made before its floor, or without a trusted clock. Footage may have been
// condemned under any policy that was in force from the floor of them all up to the entry: what is condemned stays
// so when the policy is raised later.
func (f *floors) tooEarly(e ledger.Entry, last time.Time) bool {
	age := func(at time.Time, days int) bool {
		return at.Sub(last) >= footage.Policy{Days: max(days, footage.MinDays)}.Keep()
	}
	switch {
	case e.Clock.State != clock.Trusted:
		return true
	case len(f.since) == 0:
		return !age(e.At, footage.MinDays)
	}
	for i, p := range f.since {
		until := e.At
		if i+1 < len(f.since) && f.since[i+1].at.Before(until) {
			until = f.since[i+1].at
		}
		if age(until, p.days) {
			return false
		}
	}
	return true
}

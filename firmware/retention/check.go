package retention

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"campuskeep/firmware/vault"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
)

// lateAfter is how long after its time a segment may still be there without being a finding: a sweep's pace
// and its work (design §5: 60 s), doubled for a disk that is busy.
const lateAfter = 2 * time.Minute

// Check verifies I3 and I4: the files behind the index, nothing past its ceiling outside a hold, nothing
// deleted before its floor without a breach entry. full decrypts all footage.
func (r *Retention) Check(ctx context.Context, full bool, report func(vault.Finding)) error {
	s, err := r.look()
	if err != nil {
		return err
	}
	err = r.o.Vault.Check(ctx, vault.CheckOptions{Full: full, Condemned: func(seg footage.Segment) bool {
		return errors.Is(s.refuses(seg), footage.ErrCondemned)
	}}, report)
	if err != nil {
		return err
	}
	if err := r.checkCeiling(s, report); err != nil {
		return err
	}
	return r.checkFloor(ctx, report)
}

// checkCeiling looks for rows that should be gone. Without a trusted clock nobody can tell.
func (r *Retention) checkCeiling(s state, report func(vault.Finding)) error {
	cameras, err := r.o.Vault.Cameras()
	if err != nil {
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
		if err != nil {
			return err
		}
	}
	return nil
}

// checkFloor reads the ledger for deletions that came too early.
func (r *Retention) checkFloor(ctx context.Context, report func(vault.Finding)) error {
	breaches := map[string][]footage.Span{}
	type deletion struct {
		seq    uint64
		camera string
		span   footage.Span
	}
	var early []deletion
	for e, err := range r.o.Store.Entries(0, r.o.Store.Size()) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			continue // I1 reports damaged leaves
		}
		switch e.Kind {
		case "footage.breach":
			var d struct{ From, To time.Time }
			if json.Unmarshal(e.Data, &d) == nil {
				breaches[e.Subject] = append(breaches[e.Subject], footage.Span{From: d.From, To: d.To})
			}
		case "footage.deleted":
			var d struct{ First, Last time.Time }
			if err := json.Unmarshal(e.Data, &d); err != nil {
				return fmt.Errorf("entry %d: %w", e.Seq, err)
			}
			if tooEarly(e, d.Last) {
				early = append(early, deletion{e.Seq, e.Subject, footage.Span{From: d.First, To: d.Last}})
			}
		}
	}
	for _, d := range early {
		excused := false
		for _, b := range breaches[d.camera] {
			excused = excused || !b.From.After(d.span.From) && !b.To.Before(d.span.To)
		}
		if !excused {
			report(vault.Finding{Invariant: "I4", What: "deleted before its floor without a breach", Where: fmt.Sprintf("ledger entry %d, camera %s", d.seq, d.camera)})
		}
	}
	return nil
}

// tooEarly says whether a deletion entry was made before the floor of every policy, or without a trusted clock.
func tooEarly(e ledger.Entry, last time.Time) bool {
	floor := footage.Policy{Days: footage.MinDays}
	return e.Clock.State != clock.Trusted || e.At.Sub(last) < floor.Keep()
}

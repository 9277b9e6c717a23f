package nvr

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
)

// Misassigned footage was fetched from a channel that the camera, as is known now, was not on. It stays in the vault for
// as long as anything else does, under a hold that covers it too, and is no footage of the camera any more.

// misassignedRow names fetched footage that is not of the camera it was fetched for.
type misassignedRow struct {
	Fetch  string         `json:"fetch"`
	Camera string         `json:"camera"`
	Spans  []footage.Span `json:"spans"`
}

// reassigned is the reason of a fetch whose camera was on another channel.
const reassigned = "rewired"

// setAside gives a change for each fetch from a channel that a camera was not on: what it brought is set aside, and it
// is over if it was under way.
func (r *Supervisor) setAside(by account.Who, role account.Role, old, d Device) (ended []ledgerdb.Change, err error) {
	for _, camera := range old.everAssigned() {
		list, err := r.fetchesOf(camera)
		if err != nil {
			return nil, err
		}
		for _, f := range list {
			if f.NVR != d.ID || !misplaced(old, d, f.Camera, f.Span) {
				continue
			}
			var wrong []footage.Span
			for _, s := range f.Done {
				wrong = append(wrong, misassignedPart(old, d, camera, s)...)
			}
			if f.State.Ended() && len(wrong) == 0 {
				continue
			}
			c, err := r.setAsideOf(by, role, f, mergeSpans(wrong))
			if err != nil {
				return nil, err
			}
			ended = append(ended, c)
		}
	}
	return ended, nil
}

func (r *Supervisor) setAsideOf(by account.Who, role account.Role, f Fetch, wrong []footage.Span) (ch ledgerdb.Change, err error) {
	var kept []footage.Span
	for _, s := range f.Done {
		kept = append(kept, subtract(s, wrong, 0)...)
	}
	f.Done, f.Empty = kept, nil
	f.State, f.Reason, f.Next, f.Ended = FetchFailed, reassigned, time.Time{}, r.o.Clock.Now().Wall.UTC()
	if len(kept) > 0 {
		f.State = FetchPartial
	}
	ch.Puts = append(ch.Puts, fetches.Put(f.ID, f))
	if len(wrong) > 0 {
		var row misassignedRow
		err := r.o.Store.View(func(tx ledgerdb.Tx) (err error) {
			row, _, _, err = misassigned.Get(tx, f.Camera+"/"+f.ID)
			return err
		})
		if err != nil {
			return ch, fmt.Errorf("what is set aside of camera %s: %w", f.Camera, err)
		}
		row.Fetch, row.Camera, row.Spans = f.ID, f.Camera, mergeSpans(append(row.Spans, wrong...))
		ch.Puts = append(ch.Puts, misassigned.Put(f.Camera+"/"+f.ID, row))
	}
	ch.Entries = append(ch.Entries, by.Draft("nvr.fetched", role, f.NVR, map[string]any{
		"fetch": f.ID, "camera": f.Camera, "result": "aside", "spans": nonNil(wrong[:min(len(wrong), entrySpans)]), "bytes": 0, "reason": reassigned,
	}))
	return ch, nil
}

// misplaced says whether the register has a camera on another channel than before at any time of a span.
func misplaced(old, d Device, camera string, s footage.Span) bool {
	return len(misassignedPart(old, d, camera, s)) > 0
}

// misassignedPart is the part of a span in which a camera was thought to be on a channel, and was not.
func misassignedPart(old, d Device, camera string, s footage.Span) (out []footage.Span) {
	for _, w := range old.assignments(camera) {
		part := w.clip(s)
		if !part.From.Before(part.To) {
			continue
		}
		var right []footage.Span
		for _, now := range d.assignments(camera) {
			if q := now.clip(part); now.Channel == w.Channel && q.From.Before(q.To) {
				right = append(right, q)
			}
		}
		out = append(out, subtract(part, right, 0)...)
	}
	return out
}

// withoutMisassigned leaves out what is set aside.
func (r *Supervisor) withoutMisassigned(camera string, list []footage.Placed) ([]footage.Placed, error) {
	wrong := map[string][]footage.Span{}
	err := r.o.Store.View(func(tx ledgerdb.Tx) error {
		for _, row := range misassigned.Prefix(tx, camera+"/") {
			wrong[row.Fetch] = row.Spans
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("what is set aside of camera %s: %w", camera, err)
	}
	if len(wrong) == 0 {
		return list, nil
	}
	return slices.DeleteFunc(list, func(p footage.Placed) bool {
		fetch, _, _ := strings.Cut(p.Boot, "-")
		return slices.ContainsFunc(wrong[fetch], func(s footage.Span) bool { return s.Overlaps(p.Span) })
	}), nil
}

// inVault is what the vault has of a camera's span, and was fetched from where the camera was.
func (r *Supervisor) inVault(ctx context.Context, camera string, span footage.Span) (out []footage.Span, err error) {
	list, err := r.o.Vault.Source(r.o.Places).Segments(ctx, camera, span)
	if err == nil {
		list, err = r.withoutMisassigned(camera, list)
	}
	if err != nil {
		return nil, fmt.Errorf("what the vault has of camera %s: %w", camera, err)
	}
	for _, p := range list {
		out = append(out, p.Span)
	}
	return out, nil
}

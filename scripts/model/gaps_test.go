package model

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"campuskeep/firmware/retention"
	"campuskeep/shared/footage"
)

// causeWithin is what stopped the camera between two segments of one boot.
const causeWithin = footage.CauseCameraOff

// missed notes, as the recorder does, the hole between the last footage and what begins at an instant.
func (b *box) missed(ctx context.Context, begins footage.Instant) error {
	last := b.last
	if last.Boot == "" || last.Boot == begins.Boot && begins.Mono-last.Mono < time.Second {
		return nil
	}
	m := footage.Missed{Camera: "c01", From: last, To: begins, Cause: causeWithin}
	if last.Boot != begins.Boot {
		m.Cause = footage.CausePowerOff
	}
	b.holes = append(b.holes, m)
	return b.gaps.Note(ctx, m)
}

func (b *box) openGaps() {
	b.gaps = retention.NewGaps(retention.GapsOptions{Store: b.store, Vault: b.vault, Clock: b.keeper, Anchors: b.keeper.Anchors})
}

// lookAtGaps checks that the log has every hole once, with its cause, and nothing else. Holes that meet in a boot nobody
// can place are one.
func (b *box) lookAtGaps() error {
	left, anchors := b.holes, b.keeper.Anchors()
	for len(left) > 0 && !anchors.Has(left[0].From.Boot) { // when the first footage was nobody can say
		left = left[1:]
	}
	for e, err := range b.store.Entries(0, b.store.Size()) {
		if err != nil {
			return err
		}
		if e.Kind != "footage.gap" {
			continue
		}
		var d struct {
			Cause    footage.Cause
			FromBoot string        `json:"from_boot"`
			FromMono time.Duration `json:"from_mono"`
			ToBoot   string        `json:"to_boot"`
			ToMono   time.Duration `json:"to_mono"`
		}
		if err := json.Unmarshal(e.Data, &d); err != nil {
			return err
		}
		from, to := footage.Instant{Boot: d.FromBoot, Mono: d.FromMono}, footage.Instant{Boot: d.ToBoot, Mono: d.ToMono}
		if len(left) == 0 || left[0].From != from {
			return fmt.Errorf("entry %s: the next hole of %d is not it", e.Data, len(left))
		}
		cause := left[0].Cause
		for len(left) > 1 && left[0].To != to {
			if at := left[0].To.Boot; anchors.Has(at) || left[1].From.Boot != at {
				return fmt.Errorf("entry %s goes over footage of boot %s, which has a place", e.Data, at)
			}
			left, cause = left[1:], footage.CausePowerOff
		}
		if left[0].To != to || d.Cause != cause {
			return fmt.Errorf("entry %s, for a hole that is %+v", e.Data, left[0])
		}
		left = left[1:]
		done["hole noted"]++
	}
	if len(left) > 0 {
		return fmt.Errorf("%d holes are noted nowhere, the first is %+v", len(left), left[0])
	}
	return nil
}

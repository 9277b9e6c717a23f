package recorder

import (
	"context"
	"slices"
	"time"

	"campuskeep/firmware/vault"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

// noteGapBefore notes what is missing between the footage of an earlier run and this one, and then what was held back until
// then. It waits until that run's footage is indexed, and until the first picture of this one or until that takes too
// long to count as the same gap.
func (f *feed) noteGapBefore(ctx context.Context, began clock.Reading) {
	gap, ok, err := f.missedBefore(ctx, began)
	if err != nil {
		f.r.o.Log.Error("look for the last footage of an earlier run", "camera", f.id, "err", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if ok && len(f.held) > 0 { // what this run misses before its first picture is a gap of its own
		gap.To.Mono = min(gap.To.Mono, f.held[0].From.Mono)
	}
	if ok && (gap.From.Boot != gap.To.Boot || gap.To.Mono-gap.From.Mono >= smallest) {
		f.r.gaps.put(gap)
	}
	f.begun = true
	f.flushHeld()
}

func (f *feed) missedBefore(ctx context.Context, began clock.Reading) (gap Gap, ok bool, err error) {
	select {
	case <-ctx.Done():
		return gap, false, nil
	case <-f.r.o.Vault.Recovered():
	}
	to := began.Mono
	wait := time.NewTimer(slowStart)
	defer wait.Stop()
	select {
	case <-ctx.Done():
	case <-wait.C:
	case to = <-f.first:
	}
	from, ok, err := f.knownUntil(began)
	if !ok || err != nil {
		return gap, false, err
	}
	gap = Gap{Camera: f.id, From: from, To: footage.Instant{Boot: began.Boot, Mono: to}, Cause: CausePower}
	if from.Boot == began.Boot {
		if gap.Cause = CauseRestart; from.Mono >= f.r.began { // the program ran on: the camera was not in its charge
			gap.Cause = CauseSetup
		}
	}
	return gap, ok, nil
}

// knownUntil is the last instant of the time before this run of which it is known what became of it: a row or a noted
// gap ends there.
func (f *feed) knownUntil(began clock.Reading) (at footage.Instant, ok bool, err error) {
	noted, ok, err := f.r.o.Noted(f.id)
	if err != nil {
		return at, false, err
	}
	boots, err := f.r.o.Vault.Boots(f.id)
	if err != nil {
		return at, false, err
	}
	last, found, err := lastBefore(f.r.o.Vault, f.id, boots, began)
	if !found || err != nil {
		return noted, ok, err
	}
	row := footage.Instant{Boot: last.Boot, Mono: last.To}
	switch {
	case !ok:
		return row, true, nil
	case noted.Boot == row.Boot:
		row.Mono = max(row.Mono, noted.Mono)
		return row, true, nil
	case noted.Boot != began.Boot && slices.Contains(boots, noted.Boot): // the boot with the last rows came after it
		return row, true, nil
	}
	return noted, true, nil
}

// lastBefore finds the last row of a camera that began before an instant.
func lastBefore(v *vault.Vault, camera string, boots []string, limit clock.Reading) (last footage.Segment, ok bool, err error) {
	for i := len(boots) - 1; i >= 0 && !ok; i-- {
		last, ok, err = lastOf(v, camera, boots[i], limit)
		if err != nil {
			return last, false, err
		}
	}
	return last, ok, nil
}

// lastOf finds the last row of one boot: in leaps, because a boot may have a month of rows and only the way forward
// is quick.
func lastOf(v *vault.Vault, camera, boot string, limit clock.Reading) (last footage.Segment, ok bool, err error) {
	next := func(from time.Duration) (found bool, err error) {
		err = v.RowsFrom(camera, boot, from, func(s footage.Segment) bool {
			if s.Boot == boot && (boot != limit.Boot || s.From < limit.Mono) {
				last, found = s, true
			}
			return false
		})
		return found, err
	}
	if ok, err = next(0); !ok || err != nil {
		return last, false, err
	}
	for leap := time.Hour; leap > 0; {
		found, err := next(last.From + leap)
		switch {
		case err != nil:
			return last, false, err
		case found:
			leap *= 2
		case leap > time.Second:
			leap /= 2
		default:
			leap = 0
		}
	}
	return last, true, nil
}

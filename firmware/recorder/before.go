package recorder

import (
	"context"
	"time"

	"campuskeep/firmware/vault"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

// before tells what is missing between the footage of an earlier run and this one. It waits until that run's footage
// is indexed, and until the first picture of this one or until that takes too long to count as the same gap.
func (f *feed) before(ctx context.Context, began clock.Reading) {
	select {
	case <-ctx.Done():
		return
	case <-f.r.o.Vault.Recovered():
	}
	to := began
	wait := time.NewTimer(slowStart)
	defer wait.Stop()
	select {
	case <-ctx.Done():
	case <-wait.C:
	case at := <-f.first:
		to = f.r.reading(at)
	}
	last, ok, err := lastBefore(f.r.o.Vault, f.id, began)
	if err != nil {
		f.r.o.Log.Error("looking for the last footage of an earlier run", "camera", f.id, "err", err)
		return
	}
	if !ok {
		return
	}
	cause := CausePower
	if last.Boot == began.Boot {
		cause = CauseRestart
		if to.Mono-last.To < smallest {
			return
		}
	}
	from := clock.Reading{Wall: last.Wall.Add(last.To - last.From), Boot: last.Boot, Mono: last.To}
	f.r.gaps.put(Gap{Camera: f.id, From: from, To: to, Cause: cause})
}

// lastBefore finds the last row of a camera that began before an instant.
func lastBefore(v *vault.Vault, camera string, limit clock.Reading) (last footage.Segment, ok bool, err error) {
	boots, err := v.Boots(camera)
	if err != nil {
		return last, false, err
	}
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

package nvr

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"campuskeep/firmware/nvr/driver"
	"campuskeep/firmware/nvr/nvrtime"

	"campuskeep/shared/footage"
)

const (
	// recalibrate is how long a calibration holds; a new firmware or zone ends it at once.
	recalibrate = 7 * 24 * time.Hour
	// farBack is how far a listing looks: whatever an NVR still holds has to be seen.
	farBack = 400 * 24 * time.Hour
	// groupTime is how far the first picture of a playback may lie from what was asked for: a group of pictures.
	groupTime = 30 * time.Second
)

// calibrate finds out what this NVR's times mean, or takes over what was found before and still fits.
func (r *Supervisor) calibrate(ctx context.Context, l *connection, prev nvrtime.Calibration, firmware string) (nvrtime.Calibration, nvrtime.Instant, error) {
	dc, err := l.driver.Clock(ctx)
	if err != nil {
		return nvrtime.Calibration{}, nvrtime.Instant{}, err
	}
	c, at, err := nvrtime.ReadClock(dc, r.o.Clock.Now())
	if err != nil {
		return c, at, err
	}
	c.Firmware = firmware
	if prev.Firmware == firmware && prev.ZoneText == c.ZoneText && c.At.Sub(prev.At).Abs() < recalibrate && prev.Search != nvrtime.Unknown && prev.Play != nvrtime.Unknown {
		// The clock is read at every check; what its digits mean elsewhere was found out.
		c.At, c.Search, c.Play, c.Log, c.PlayStated = prev.At, prev.Search, prev.Play, prev.Log, prev.PlayStated
		c.FalseZ = c.FalseZ || prev.FalseZ
		return c, at, nil
	}
	if prev.Firmware != firmware || prev.ZoneText != c.ZoneText {
		prev = nvrtime.Calibration{}
	}
	return c, at, r.probe(ctx, l, &c, at, prev.Search)
}

// probe compares the NVR's clock with what it lists and with what it plays. before is what its list meant at the last
// probe, if nothing has changed since.
func (r *Supervisor) probe(ctx context.Context, l *connection, c *nvrtime.Calibration, at nvrtime.Instant, before nvrtime.Meaning) error {
	oldest, newest, err := span(ctx, r.Kind(l.target.Device), l, at, 3*24*time.Hour)
	if err == nil && newest.Track == "" {
		oldest, newest, err = span(ctx, r.Kind(l.target.Device), l, at, farBack)
	}
	if err != nil || newest.Track == "" {
		return err // nothing is recorded: nothing can be compared, and nothing has to be
	}
	c.Search = nvrtime.MeansUTC
	if newest.To.Mark != driver.MarkOffset {
		c.Search = c.Meaning(newest.To.Digits, at)
		c.FalseZ = c.FalseZ || newest.To.Mark == driver.MarkZ && c.Search == nvrtime.Local
	}
	if c.Search == nvrtime.Unknown {
		return nil
	}
	unsure := newest.To.Mark != driver.MarkOffset && c.Ambiguous(newest.To.Digits, at)
	if unsure && before != nvrtime.Unknown {
		c.Search = before
	}
	c.Play = c.PlayMeaning(oldest)
	if err := r.probePlay(ctx, l, c, at, oldest); err != nil {
		return err
	}
	// Only an NVR at work shows what its digits mean, and this one says that it is not.
	if online, said := l.online[newest.Track]; unsure && before == nvrtime.Unknown && !c.PlayStated && said && !online {
		c.Search, c.Play = nvrtime.Unknown, nvrtime.Unknown
	}
	return nil
}

// span finds the first and the last record within a time before the NVR's present, whatever its digits mean. The last
// one is what an NVR writes just now, on whichever channel.
func span(ctx context.Context, k driver.Kind, l *connection, at nvrtime.Instant, back time.Duration) (oldest, newest driver.Record, err error) {
	from, to := at.UTC, at.Local
	if to.Before(from) {
		from, to = to, from
	}
	var odd partialFailure
	ask := func(d time.Time) driver.Stamp {
		return driver.Stamp{Digits: d.Truncate(time.Second), Mark: driver.MarkZ}
	}
	for channel := range l.target.Cameras {
		err := l.driver.Search(ctx, k.Track(channel), ask(from.Add(-back)), ask(to.Add(time.Hour)), func(rec driver.Record) error {
			if nvrtime.InFuture(rec.To, at) {
				return nil
			}
			if oldest.Track == "" || rec.From.Digits.Before(oldest.From.Digits) {
				oldest = rec
			}
			if newest.Track == "" || rec.To.Digits.After(newest.To.Digits) {
				newest = rec
			}
			return nil
		})
		if odd.fatal(l.target.Cameras[channel], err) {
			return oldest, newest, err
		}
	}
	if len(l.target.Cameras) > 0 && odd.cameras == len(l.target.Cameras) {
		return oldest, newest, odd.err
	}
	return oldest, newest, nil
}

// errPlayTime is a playback of another time than was asked for.
var errPlayTime = errors.New("nvr: the NVR plays another time than was asked for")

// probePlay compares what a playback says of its own time with what was asked for. Where the NVR does not say how it
// would ask itself, both meanings are tried, and only one that is confirmed counts.
func (r *Supervisor) probePlay(ctx context.Context, l *connection, c *nvrtime.Calibration, at nvrtime.Instant, rec driver.Record) error {
	from, _ := c.Place(rec.From, c.Search)
	to, _ := c.Place(rec.To, c.Search)
	middle := from.Add(to.Sub(from) / 2)
	try, need := []nvrtime.Meaning{c.Play}, false
	if c.Play == nvrtime.Unknown {
		try, need = []nvrtime.Meaning{nvrtime.MeansUTC, nvrtime.Local}, true
	}
	for _, m := range try {
		stated, err := firstClock(ctx, l, *c, rec.Track, middle, m)
		if errors.Is(err, driver.ErrBusy) || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		switch {
		case stated.IsZero(), stated.Sub(at.UTC).Abs() < 10*time.Minute && middle.Sub(at.UTC).Abs() > time.Hour:
			// It says nothing of the recorded time.
		case stated.Sub(middle).Abs() <= groupTime:
			c.Play, c.PlayStated = m, true
			return nil
		default:
			c.Play, need = nvrtime.Unknown, true // it plays another time: nothing is fetched from it
		}
	}
	if need {
		c.Play = nvrtime.Unknown
	}
	return nil
}

// firstClock plays until the NVR states a time, and gives that of the first picture.
func firstClock(ctx context.Context, l *connection, c nvrtime.Calibration, track driver.TrackID, at time.Time, m nvrtime.Meaning) (stated time.Time, err error) {
	digits := func(t time.Time) driver.Stamp {
		if m == nvrtime.Local {
			t = c.Zone.Local(t)
		}
		return driver.Stamp{Digits: t.Truncate(time.Second), Mark: driver.MarkZ}
	}
	var first uint32
	n := 0
	err = l.driver.Play(ctx, track, digits(at), digits(at.Add(20*time.Second)), func(a driver.AccessUnit) error {
		if n++; n == 1 {
			first = a.Ticks
		}
		if !a.Clock.IsZero() {
			stated = a.Clock.Add(-fromTicks(int64(a.Ticks - first)))
			return driver.ErrEnough
		}
		if n > 200 {
			return driver.ErrEnough
		}
		return nil
	})
	return stated, err
}

// listing is everything that an NVR lists of a channel. It is asked for so widely that it does not matter what the
// digits of the question mean to the NVR. What was recorded while the camera was not on it is left out.
func (r *Supervisor) listing(ctx context.Context, l *connection, c nvrtime.Calibration, at nvrtime.Instant, nvr, camera string, track driver.TrackID, w ChannelAssignment) ([]footage.Placed, int, error) {
	from, to := driver.Stamp{Digits: at.UTC.Add(-farBack).Truncate(time.Second), Mark: driver.MarkZ}, driver.Stamp{Digits: at.UTC.Add(24 * time.Hour).Truncate(time.Second), Mark: driver.MarkZ}
	var out []footage.Placed
	locked, all, late := 0, 0, 0
	seen := map[[2]time.Time]bool{}
	err := l.driver.Search(ctx, track, from, to, func(rec driver.Record) error {
		if c.Search == nvrtime.Unknown && rec.From.Mark != driver.MarkOffset {
			return nvrtime.ErrUncalibrated
		}
		a, da, _ := c.UTC(rec.From, c.Search)
		b, db, _ := c.UTC(rec.To, c.Search)
		all++
		if b.Sub(r.o.Clock.Now().Wall) > nvrtime.Ahead+max(da, db) { // written while the clock was wrong
			late++
			return nil
		}
		key := [2]time.Time{a, b}
		if !a.Before(b) || seen[key] {
			return nil
		}
		seen[key] = true
		s := w.clip(footage.Span{From: a, To: b})
		if !s.From.Before(s.To) {
			return nil
		}
		if rec.Locked {
			locked++
		}
		out = append(out, piece(nvr, camera, track, rec.Codec, s, max(da, db)))
		return nil
	})
	if late > 0 && err == nil {
		if 2*late > all {
			return nil, 0, fmt.Errorf("%w: %d of %d records lie in the future", nvrtime.ErrUncalibrated, late, all)
		}
		r.o.Log.Warn("records of an NVR lie in the future and are left out", "nvr", nvr, "track", track, "records", late, "of", all)
	}
	return out, locked, err
}

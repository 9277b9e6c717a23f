package nvr

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

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
func (r *Room) calibrate(ctx context.Context, l *link, prev Calibration, firmware string) (Calibration, instant, error) {
	dc, err := l.driver.Clock(ctx)
	if err != nil {
		return Calibration{}, instant{}, err
	}
	c, at, err := readClock(dc, r.o.Clock.Now())
	if err != nil {
		return c, at, err
	}
	c.Firmware = firmware
	if prev.Firmware == firmware && prev.ZoneText == c.ZoneText && c.At.Sub(prev.At).Abs() < recalibrate && prev.Search != Unknown && prev.Play != Unknown {
		// The clock is read at every check; what its digits mean elsewhere was found out.
		c.At, c.Search, c.Play, c.Log, c.PlayTold = prev.At, prev.Search, prev.Play, prev.Log, prev.PlayTold
		c.FalseZ = c.FalseZ || prev.FalseZ
		return c, at, nil
	}
	if prev.Firmware != firmware || prev.ZoneText != c.ZoneText {
		prev = Calibration{}
	}
	return c, at, r.probe(ctx, l, &c, at, prev.Search)
}

// probe compares the NVR's clock with what it lists and with what it plays. before is what its list meant at the last
// probe, if nothing has changed since.
func (r *Room) probe(ctx context.Context, l *link, c *Calibration, at instant, before Meaning) error {
	oldest, newest, err := span(ctx, l, at, 3*24*time.Hour)
	if err == nil && newest.Track == 0 {
		oldest, newest, err = span(ctx, l, at, farBack)
	}
	if err != nil || newest.Track == 0 {
		return err // nothing is recorded: nothing can be compared, and nothing has to be
	}
	c.Search = MeansUTC
	if newest.To.Mark != MarkOffset {
		c.Search = c.judge(newest.To.Digits, at)
		c.FalseZ = c.FalseZ || newest.To.Mark == MarkZ && c.Search == Local
	}
	if c.Search == Unknown {
		return nil
	}
	unsure := newest.To.Mark != MarkOffset && c.unsure(newest.To.Digits, at)
	if unsure && before != Unknown {
		c.Search = before
	}
	c.Play = c.playMeaning(oldest)
	if err := r.probePlay(ctx, l, c, at, oldest); err != nil {
		return err
	}
	// Nothing but that it works tells what its digits mean, and it says that it does not.
	if online, said := l.online[newest.Track/100]; unsure && before == Unknown && !c.PlayTold && said && !online {
		c.Search, c.Play = Unknown, Unknown
	}
	return nil
}

// span finds the first and the last record within a time before the NVR's present, whatever its digits mean. The last
// one is what an NVR writes just now, on whichever channel.
func span(ctx context.Context, l *link, at instant, back time.Duration) (oldest, newest Record, err error) {
	from, to := at.utc, at.local
	if to.Before(from) {
		from, to = to, from
	}
	var odd trouble
	ask := func(d time.Time) Stamp { return Stamp{Digits: d.Truncate(time.Second), Mark: MarkZ} }
	for channel := range l.target.Cameras {
		err := l.driver.Search(ctx, mainTrack(channel), ask(from.Add(-back)), ask(to.Add(time.Hour)), func(rec Record) error {
			if ahead(rec.To, at) {
				return nil
			}
			if oldest.Track == 0 || rec.From.Digits.Before(oldest.From.Digits) {
				oldest = rec
			}
			if newest.Track == 0 || rec.To.Digits.After(newest.To.Digits) {
				newest = rec
			}
			return nil
		})
		if odd.stops(l.target.Cameras[channel], err) {
			return oldest, newest, err
		}
	}
	if len(l.target.Cameras) > 0 && odd.cameras == len(l.target.Cameras) {
		return oldest, newest, odd.err
	}
	return oldest, newest, nil
}

// ahead says whether a stamp lies in the NVR's future whatever it means: it was written while the clock was wrong, and
// tells nothing of what the others mean.
func ahead(s Stamp, at instant) bool {
	if s.Mark == MarkOffset {
		return s.Digits.Add(-s.Offset).After(at.utc.Add(future))
	}
	return s.Digits.After(at.utc.Add(future)) && s.Digits.After(at.local.Add(future))
}

func mainTrack(channel int) int { return channel*100 + 1 }

// errPlayTime is a playback of another time than was asked for.
var errPlayTime = errors.New("nvr: the NVR plays another time than was asked for")

// probePlay compares what a playback says of its own time with what was asked for. Where the NVR does not say how it
// would ask itself, both meanings are tried, and only one that is confirmed counts.
func (r *Room) probePlay(ctx context.Context, l *link, c *Calibration, at instant, rec Record) error {
	from, _ := c.place(rec.From, c.Search)
	to, _ := c.place(rec.To, c.Search)
	middle := from.Add(to.Sub(from) / 2)
	try, need := []Meaning{c.Play}, false
	if c.Play == Unknown {
		try, need = []Meaning{MeansUTC, Local}, true
	}
	for _, m := range try {
		stated, err := firstClock(ctx, l, *c, rec.Track, middle, m)
		if errors.Is(err, ErrBusy) || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		switch {
		case stated.IsZero(), stated.Sub(at.utc).Abs() < 10*time.Minute && middle.Sub(at.utc).Abs() > time.Hour:
			// It says nothing of the recorded time.
		case stated.Sub(middle).Abs() <= groupTime:
			c.Play, c.PlayTold = m, true
			return nil
		default:
			c.Play, need = Unknown, true // it plays another time: nothing is fetched from it
		}
	}
	if need {
		c.Play = Unknown
	}
	return nil
}

// firstClock plays until the NVR states a time, and gives that of the first picture.
func firstClock(ctx context.Context, l *link, c Calibration, track int, at time.Time, m Meaning) (stated time.Time, err error) {
	digits := func(t time.Time) Stamp {
		if m == Local {
			t = c.Zone.Local(t)
		}
		return Stamp{Digits: t.Truncate(time.Second), Mark: MarkZ}
	}
	var first uint32
	n := 0
	err = l.driver.Play(ctx, track, digits(at), digits(at.Add(20*time.Second)), func(a AccessUnit) error {
		if n++; n == 1 {
			first = a.Ticks
		}
		if !a.Clock.IsZero() {
			stated = a.Clock.Add(-fromTicks(int64(a.Ticks - first)))
			return ErrEnough
		}
		if n > 200 {
			return ErrEnough
		}
		return nil
	})
	return stated, err
}

// listing is everything that an NVR lists of a channel. It is asked for so widely that it does not matter what the
// digits of the question mean to the NVR. What was recorded while the camera was not on it is left out.
func (r *Room) listing(ctx context.Context, l *link, c Calibration, at instant, nvr, camera string, track int, w Wire) ([]footage.Placed, int, error) {
	from, to := Stamp{Digits: at.utc.Add(-farBack).Truncate(time.Second), Mark: MarkZ}, Stamp{Digits: at.utc.Add(24 * time.Hour).Truncate(time.Second), Mark: MarkZ}
	var out []footage.Placed
	locked, all, late := 0, 0, 0
	seen := map[[2]time.Time]bool{}
	err := l.driver.Search(ctx, track, from, to, func(rec Record) error {
		if c.Search == Unknown && rec.From.Mark != MarkOffset {
			return errUncalibrated
		}
		a, da, _ := c.UTC(rec.From, c.Search)
		b, db, _ := c.UTC(rec.To, c.Search)
		all++
		if b.Sub(r.o.Clock.Now().Wall) > future+max(da, db) { // written while the clock was wrong
			late++
			return nil
		}
		key := [2]time.Time{a, b}
		if !a.Before(b) || seen[key] {
			return nil
		}
		seen[key] = true
		s := w.cut(footage.Span{From: a, To: b})
		if !s.From.Before(s.To) {
			return nil
		}
		if rec.Locked {
			locked++
		}
		out = append(out, piece(nvr, camera, track, codecName(rec.Codec), s, max(da, db)))
		return nil
	})
	if late > 0 && err == nil {
		if 2*late > all {
			return nil, 0, fmt.Errorf("%w: %d of %d records lie in the future", errUncalibrated, late, all)
		}
		r.o.Log.Warn("records of an NVR lie in the future and are left out", "nvr", nvr, "track", track, "records", late, "of", all)
	}
	return out, locked, err
}

// errUncalibrated: records are there, and what their times mean is not certain.
var errUncalibrated = errors.New("nvr: what the times of the NVR mean is not certain")

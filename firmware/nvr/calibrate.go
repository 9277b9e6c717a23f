package nvr

import (
	"errors"
	"time"

	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

// Meaning is what an NVR's digits mean, whatever stands behind them.
type Meaning string

// The meanings. Unknown means that nothing is decided, and then nothing that depends on it is done.
const (
	Unknown  Meaning = ""
	MeansUTC Meaning = "utc"
	Local    Meaning = "local"
)

// Calibration is what is known of an NVR's times: found by comparing its clock, its list of recordings and its
// playback, not by what it says of itself.
type Calibration struct {
	At       time.Time     `json:"at"`
	Firmware string        `json:"firmware"`
	ZoneText string        `json:"zone"`
	Zone     Zone          `json:"-"`
	Offset   time.Duration `json:"offset"`    // the NVR's clock is ahead by this
	Error    time.Duration `json:"error"`     // of Offset
	Known    bool          `json:"known"`     // Offset was measured against a trusted clock
	Search   Meaning       `json:"search"`    // digits in what it finds
	Play     Meaning       `json:"play"`      // digits in the address of a playback
	Log      Meaning       `json:"log"`       // digits in its log
	FalseZ   bool          `json:"false_z"`   // a Z that means local was seen
	BadZone  bool          `json:"bad_zone"`  // the clock is right but for whole zones: the zone is set wrong
	PlayTold bool          `json:"play_told"` // playback states absolute times, and they fit
}

const (
	// future is how far ahead of its own clock an NVR's newest digits may lie: it tells whole seconds.
	future = 2 * time.Minute
	// zoneStep is what all zones differ by.
	zoneStep = 15 * time.Minute
)

// errZone is an NVR whose clock contradicts itself.
var errZone = errors.New("nvr: the clock of the NVR cannot be read with certainty")

// instant is an NVR's present moment as it believes it.
type instant struct{ utc, local time.Time }

// readClock takes the NVR's clock and compares it with ours.
func readClock(d DeviceClock, now clock.Reading) (c Calibration, at instant, err error) {
	c.ZoneText = d.Zone
	if c.Zone, err = ParseZone(d.Zone); err != nil {
		return c, at, err
	}
	c.At = now.Wall
	at.local = d.Now.Digits
	at.utc, _ = c.Zone.UTC(d.Now.Digits)
	switch {
	case d.Now.Mark == MarkOffset:
		at.utc = d.Now.Digits.Add(-d.Now.Offset)
		if c.Zone.offset(at.utc) != d.Now.Offset { // what it does counts for more than what it says
			c.Zone = Zone{East: d.Now.Offset}
		}
	case d.Now.Mark == MarkZ && c.Zone.offset(at.utc) != 0:
		asLocal, asUTC := at.utc.Sub(now.Wall).Abs(), d.Now.Digits.Sub(now.Wall).Abs()
		switch {
		case now.State != clock.Trusted:
			return c, at, errZone
		case asLocal < zoneStep && asUTC >= zoneStep:
			c.FalseZ = true
		case asUTC < zoneStep && asLocal >= zoneStep:
			at.utc, at.local = d.Now.Digits, c.Zone.Local(d.Now.Digits)
		default:
			return c, at, errZone
		}
	}
	c.Offset = at.utc.Sub(now.Wall)
	c.Error = d.Delay/2 + time.Second + now.Uncertainty
	c.Known = now.State == clock.Trusted
	off := c.Offset.Abs()
	c.BadZone = c.Known && off >= zoneStep-future && (off-off.Round(zoneStep)).Abs() <= future
	return c, at, nil
}

// near says whether what is so far behind an NVR's present is what an NVR at work lists last.
func near(lag time.Duration) bool { return lag >= -future && lag < footage.NVRLag }

// unsure says whether digits are near the present by one meaning and possible by the other: of an NVR at work they mean
// the first, of one that stopped recording as long ago as its zone is wide the second.
func (c Calibration) unsure(newest time.Time, at instant) bool {
	asUTC, asLocal := at.utc.Sub(newest), at.local.Sub(newest)
	return near(asUTC) && !near(asLocal) && asLocal >= 0 || near(asLocal) && !near(asUTC) && asUTC >= 0
}

// judge says what digits mean that cannot lie in the NVR's future, and that lie near its present if it works.
func (c Calibration) judge(newest time.Time, at instant) Meaning {
	if at.utc.Equal(at.local) {
		return MeansUTC // the same
	}
	asUTC, asLocal := at.utc.Sub(newest), at.local.Sub(newest)
	switch {
	case near(asUTC) && !near(asLocal):
		return MeansUTC
	case near(asLocal) && !near(asUTC):
		return Local
	case asUTC < -future && asLocal >= -future:
		return Local
	case asLocal < -future && asUTC >= -future:
		return MeansUTC
	}
	return Unknown
}

// playMeaning follows from how the NVR itself would ask for a record.
func (c Calibration) playMeaning(r Record) Meaning {
	d := r.PlayFrom.Digits
	local, _ := c.place(r.From, c.Search)
	if d.IsZero() || c.Search == Unknown {
		return Unknown
	}
	switch {
	case c.Zone.offset(local) == 0:
		return MeansUTC
	case d.Equal(local):
		return MeansUTC
	case d.Equal(c.Zone.Local(local)):
		return Local
	}
	return Unknown
}

// place gives the instant of a stamp by the NVR's own clock.
func (c Calibration) place(s Stamp, m Meaning) (at time.Time, doubt time.Duration) {
	switch {
	case s.Mark == MarkOffset:
		return s.Digits.Add(-s.Offset), 0
	case m == Local:
		return c.Zone.UTC(s.Digits)
	}
	return s.Digits, 0
}

// UTC gives the true instant of a stamp. The NVR's clock may have been set since it wrote the stamp: the whole offset
// is therefore part of the doubt.
func (c Calibration) UTC(s Stamp, m Meaning) (at time.Time, doubt time.Duration, ok bool) {
	if m == Unknown && s.Mark != MarkOffset {
		return time.Time{}, 0, false
	}
	at, doubt = c.place(s, m)
	if c.Known {
		at = at.Add(-c.Offset)
		doubt += c.Error + c.Offset.Abs()
		if c.BadZone { // a zone is set once and is right or wrong for everything
			doubt = c.Error + (c.Offset - c.Offset.Round(zoneStep)).Abs()
		}
	}
	return at, doubt, true
}

// Stamp gives the digits to ask for a true instant, rounded down to the second.
func (c Calibration) Stamp(at time.Time, m Meaning) Stamp {
	if c.Known {
		at = at.Add(c.Offset)
	}
	at = at.UTC()
	if m == Local {
		at = c.Zone.Local(at)
	}
	return Stamp{Digits: at.Truncate(time.Second), Mark: MarkZ}
}

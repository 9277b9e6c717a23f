// Package nvrtime finds out what the times of an NVR mean, from its clock, its list of recordings and its playback.
//
// It is pure: it asks no device and reads no clock. It must never decide a meaning that the digits leave open.
package nvrtime

import (
	"errors"
	"time"

	"campuskeep/firmware/nvr/driver"

	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

// Meaning is the time scale of an NVR's digits, whatever mark they carry.
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
	At         time.Time     `json:"at"`
	Firmware   string        `json:"firmware"`
	ZoneText   string        `json:"zone"`
	Zone       Zone          `json:"-"`
	Offset     time.Duration `json:"offset"`    // the NVR's clock is ahead by this
	Error      time.Duration `json:"error"`     // of Offset
	Known      bool          `json:"known"`     // Offset was measured against a trusted clock
	Search     Meaning       `json:"search"`    // digits in what it finds
	Play       Meaning       `json:"play"`      // digits in the address of a playback
	Log        Meaning       `json:"log"`       // digits in its log
	FalseZ     bool          `json:"false_z"`   // a Z that means local was seen
	BadZone    bool          `json:"bad_zone"`  // the clock is right but for whole zones: the zone is set wrong
	PlayStated bool          `json:"play_told"` // playback states absolute times, and they fit
}

// East is how far east of UTC the NVR's zone lies outside summer time; 0 when it cannot be read.
func (c Calibration) East() time.Duration {
	z, err := ParseZone(c.ZoneText)
	if err != nil {
		return 0
	}
	return z.East
}

const (
	// Ahead is how far ahead of its own clock an NVR's newest digits may lie: it reports whole seconds.
	Ahead = 2 * time.Minute
	// zoneStep is what all zones differ by.
	zoneStep = 15 * time.Minute
)

// ErrClock is an NVR whose clock contradicts itself.
var ErrClock = errors.New("nvr: the clock of the NVR cannot be read with certainty")

// Instant is an NVR's present moment as it believes it.
type Instant struct{ UTC, Local time.Time }

// ReadClock takes the NVR's clock and compares it with ours.
func ReadClock(d driver.DeviceClock, now clock.Reading) (c Calibration, at Instant, err error) {
	c.ZoneText = d.Zone
	if c.Zone, err = ParseZone(d.Zone); err != nil {
		return c, at, err
	}
	c.At = now.Wall
	at.Local = d.Now.Digits
	at.UTC, _ = c.Zone.UTC(d.Now.Digits)
	switch {
	case d.Now.Mark == driver.MarkOffset:
		at.UTC = d.Now.Digits.Add(-d.Now.Offset)
		if c.Zone.offset(at.UTC) != d.Now.Offset { // what it does counts for more than what it says
			c.Zone = Zone{East: d.Now.Offset}
		}
	case d.Now.Mark == driver.MarkZ && c.Zone.offset(at.UTC) != 0:
		asLocal, asUTC := at.UTC.Sub(now.Wall).Abs(), d.Now.Digits.Sub(now.Wall).Abs()
		switch {
		case now.State != clock.Trusted:
			return c, at, ErrClock
		case asLocal < zoneStep && asUTC >= zoneStep:
			c.FalseZ = true
		case asUTC < zoneStep && asLocal >= zoneStep:
			at.UTC, at.Local = d.Now.Digits, c.Zone.Local(d.Now.Digits)
		default:
			return c, at, ErrClock
		}
	}
	c.Offset = at.UTC.Sub(now.Wall)
	c.Error = d.Delay/2 + time.Second + now.Uncertainty
	c.Known = now.State == clock.Trusted
	off := c.Offset.Abs()
	c.BadZone = c.Known && off >= zoneStep-Ahead && (off-off.Round(zoneStep)).Abs() <= Ahead
	return c, at, nil
}

// recent says whether what is so far behind an NVR's present is what an NVR at work lists last.
func recent(lag time.Duration) bool { return lag >= -Ahead && lag < footage.NVRLag }

// Ambiguous says whether digits are near the present by one meaning and possible by the other: of an NVR at work they mean
// the first, of one that stopped recording as long ago as its zone is wide the second.
func (c Calibration) Ambiguous(newest time.Time, at Instant) bool {
	asUTC, asLocal := at.UTC.Sub(newest), at.Local.Sub(newest)
	return recent(asUTC) && !recent(asLocal) && asLocal >= 0 || recent(asLocal) && !recent(asUTC) && asUTC >= 0
}

// Meaning says what digits mean that cannot lie in the NVR's future, and that lie near its present if it works.
func (c Calibration) Meaning(newest time.Time, at Instant) Meaning {
	if at.UTC.Equal(at.Local) {
		return MeansUTC // the same
	}
	asUTC, asLocal := at.UTC.Sub(newest), at.Local.Sub(newest)
	switch {
	case recent(asUTC) && !recent(asLocal):
		return MeansUTC
	case recent(asLocal) && !recent(asUTC):
		return Local
	case asUTC < -Ahead && asLocal >= -Ahead:
		return Local
	case asLocal < -Ahead && asUTC >= -Ahead:
		return MeansUTC
	}
	return Unknown
}

// PlayMeaning follows from how the NVR itself would ask for a record.
func (c Calibration) PlayMeaning(r driver.Record) Meaning {
	d := r.PlayFrom.Digits
	local, _ := c.Place(r.From, c.Search)
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

// Place gives the instant of a stamp by the NVR's own clock.
func (c Calibration) Place(s driver.Stamp, m Meaning) (at time.Time, doubt time.Duration) {
	switch {
	case s.Mark == driver.MarkOffset:
		return s.Digits.Add(-s.Offset), 0
	case m == Local:
		return c.Zone.UTC(s.Digits)
	}
	return s.Digits, 0
}

// UTC gives the true instant of a stamp. The NVR's clock may have been set since it wrote the stamp: the whole offset
// is therefore part of the doubt.
func (c Calibration) UTC(s driver.Stamp, m Meaning) (at time.Time, doubt time.Duration, ok bool) {
	if m == Unknown && s.Mark != driver.MarkOffset {
		return time.Time{}, 0, false
	}
	at, doubt = c.Place(s, m)
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
func (c Calibration) Stamp(at time.Time, m Meaning) driver.Stamp {
	if c.Known {
		at = at.Add(c.Offset)
	}
	at = at.UTC()
	if m == Local {
		at = c.Zone.Local(at)
	}
	return driver.Stamp{Digits: at.Truncate(time.Second), Mark: driver.MarkZ}
}

// InFuture says whether a stamp lies in the NVR's future whatever it means: it was written while the clock was wrong, and
// shows nothing of what the others mean.
func InFuture(s driver.Stamp, at Instant) bool {
	if s.Mark == driver.MarkOffset {
		return s.Digits.Add(-s.Offset).After(at.UTC.Add(Ahead))
	}
	return s.Digits.After(at.UTC.Add(Ahead)) && s.Digits.After(at.Local.Add(Ahead))
}

// ErrUncalibrated: records are there, and what their times mean is not certain.
var ErrUncalibrated = errors.New("nvr: what the times of the NVR mean is not certain")

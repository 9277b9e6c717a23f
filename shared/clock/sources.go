package clock

import (
	"time"
)

// Origin is where a source has its time from. Sources of one [Origin.Witness] are one witness.
type Origin string

// The origins (design §5).
const (
	OriginNTP    Origin = "ntp"
	OriginRTC    Origin = "rtc" // as read at boot, before any sync; the kernel copies NTP into it later
	OriginNVR    Origin = "nvr" // a recorder beside us that is not set from us
	OriginCentre Origin = "centre"
	OriginHost   Origin = "host"   // the machine's own clock, only where the configuration declares it
	OriginPeople Origin = "people" // two people who confirmed it on the page: a witness that is alone
)

// Witness is who speaks through the origin. The machine's clock is set from the battery clock at boot and by NTP
// later, and the kernel writes what NTP says back into the battery clock, so that at the next boot it is NTP's word of
// yesterday: what can be set from each other is one witness, whatever the configuration declares.
func (o Origin) Witness() Origin {
	switch o {
	case OriginHost, OriginRTC, OriginNTP:
		return "machine"
	}
	return o
}

// Observation is what one source said: at Mono of this boot it was UTC ± Uncertainty.
type Observation struct {
	Source      string        `json:"source"` // code, e.g. "host", "ntp.ntsc.ac.cn"
	Origin      Origin        `json:"origin"`
	Mono        time.Duration `json:"mono"`
	UTC         time.Time     `json:"utc"`
	Uncertainty time.Duration `json:"uncertainty"`
}

// at carries the observation to another instant of the same boot; uncertainty grows by DriftPPM.
func (o Observation) at(mono time.Duration) interval {
	away := mono - o.Mono
	mid, u := o.UTC.Add(away), o.Uncertainty+Drift(away)
	return interval{mid.Add(-u), mid.Add(u)}
}

// Agree says whether both can be true: their intervals overlap when brought to one instant.
func Agree(a, b Observation) bool {
	mono := max(a.Mono, b.Mono)
	return a.at(mono).overlaps(b.at(mono))
}

// Hull is what several servers of one origin say together at mono: wide enough for each of them. list is not empty.
func Hull(list []Observation, mono time.Duration) Observation {
	span := list[0].at(mono)
	for _, o := range list[1:] {
		span = span.hull(o.at(mono))
	}
	return Observation{list[0].Source, list[0].Origin, mono, span.mid(), span.width() - span.width()/2}
}

// interval is what now can be, [from, to].
type interval struct{ from, to time.Time }

func (i interval) overlaps(j interval) bool { return !i.to.Before(j.from) && !j.to.Before(i.from) }

func (i interval) hull(j interval) interval {
	if j.from.Before(i.from) {
		i.from = j.from
	}
	if j.to.After(i.to) {
		i.to = j.to
	}
	return i
}

func (i interval) width() time.Duration { return i.to.Sub(i.from) }

func (i interval) mid() time.Time { return i.from.Add(i.width() / 2) }

// anchor ties the interval to the instant.
func (i interval) anchor(boot string, mono time.Duration) Anchor {
	half := i.width() / 2
	return Anchor{Boot: boot, Mono: mono, UTC: i.from.Add(half).UTC(), Uncertainty: i.width() - half}
}

// Limit is how far two sources may move the time forward, over all boots together, without monotonic time to explain
// it; beyond it the centre or two people must be among them, and their word begins the count again.
const Limit = 24 * time.Hour

// Plausible is an instant before which this product did not exist: a source that claims an earlier time is not
// set at all, and is no witness for or against anything.
var Plausible = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

package footage

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"campuskeep/shared/clock"
)

// aYear is the world of the model below: true time, boots with monotonic clocks that drift, sources of time of which
// one may lie, and footage that is placed and deleted by nothing but what those sources allow.
type aYear struct {
	t     *rapid.T
	truth time.Time

	boot    string
	booted  time.Time
	ppm     int64
	trust   clock.Trust
	spoke   map[clock.Origin]bool // witnesses, in this boot
	unsaid  bool                  // the battery clock has not been read yet
	past    clock.Record          // on record
	anchors clock.Anchors         // on record
	bounds  map[string]time.Time

	liar   clock.Origin
	kept   []recorded
	number byte
}

type recorded struct {
	Segment
	last time.Time // when its last frame was in truth
}

func (y *aYear) mono() time.Duration {
	d := y.truth.Sub(y.booted)
	return d + time.Duration(int64(d)/1_000_000*y.ppm)
}

func (y *aYear) reboot(n int) {
	y.boot, y.booted = fmt.Sprintf("b%d", n), y.truth
	y.ppm = rapid.Int64Range(-clock.DriftPPM+1, clock.DriftPPM-1).Draw(y.t, "ppm")
	y.trust = clock.NewTrust(y.boot, y.past, y.anchors)
	y.spoke, y.unsaid = map[clock.Origin]bool{}, true
}

// say lets a source speak, and keeps what the keeper keeps.
func (y *aYear) say(o clock.Origin, lie time.Duration) {
	unc := time.Duration(rapid.Int64Range(int64(time.Millisecond), int64(2*time.Minute)).Draw(y.t, "unc"))
	off := time.Duration(rapid.Int64Range(int64(-unc), int64(unc)).Draw(y.t, "err")) + lie
	t, r := y.trust.Observe(clock.Observation{Source: string(o), Origin: o, Mono: y.mono(), UTC: y.truth.Add(off), Uncertainty: unc})
	y.trust = t
	if lie == 0 {
		y.spoke[o.Witness()] = true
	}
	if r.Replaces {
		y.anchors = y.anchors.Without(y.boot)
	}
	if r.Anchor != nil {
		y.anchors = y.anchors.With(*r.Anchor)
	}
	y.past = y.trust.Record(y.mono())
}

// record keeps an hour of footage up to now.
func (y *aYear) record() {
	m := y.mono()
	if m < time.Hour {
		return
	}
	y.number++
	s := Segment{Camera: "c01", Boot: y.boot, From: m - time.Hour, To: m, Wall: time.Unix(0, 0)}
	s.File[0], s.File[1] = y.number, byte(len(y.kept))
	y.kept = append(y.kept, recorded{s, y.truth})
}

// sweep deletes what the plan says, and fails when that is early or late.
func (y *aYear) sweep() {
	now := y.trust.Reading(y.mono(), time.Unix(0, 0))
	if now.State == clock.Trusted {
		if off := now.Wall.Sub(y.truth).Abs(); off > now.Uncertainty+time.Millisecond {
			y.t.Fatalf("trusted, and wrong by %v at ± %v", off, now.Uncertainty)
		}
		for _, k := range y.kept {
			if !y.anchors.Has(k.Boot) && y.bounds[k.Boot].IsZero() && k.Boot != y.boot {
				y.bounds[k.Boot] = now.Latest()
			}
		}
	}
	places := Places{Anchors: y.anchors, Bounds: y.bounds}
	policy := Policy{Days: 30}
	var segments []Segment
	for _, k := range y.kept {
		segments = append(segments, k.Segment)
	}
	gone := map[FileID]bool{}
	for _, s := range plan(segments, places, nil, policy, now).delete {
		gone[s.File] = true
	}
	var rest []recorded
	for _, k := range y.kept {
		age := y.truth.Sub(k.last)
		if gone[k.File] {
			if age < policy.Keep()-time.Millisecond {
				y.t.Fatalf("deleted %v early: %+v, clock %s %v ± %v, truth %v", policy.Keep()-age, k.Segment, now.State, now.Wall, now.Uncertainty, y.truth)
			}
			continue
		}
		rest = append(rest, k)
		_, unc, placed := y.anchors.UTC(k.Boot, k.To)
		if late := age - policy.Keep(); now.State == clock.Trusted && placed && late > 2*(unc+now.Uncertainty)+time.Millisecond {
			y.t.Fatalf("%v late with a trusted clock: %+v ± %v, now ± %v", late, k.Segment, unc, now.Uncertainty)
		}
	}
	y.kept = rest
}

// expectTrust: once two that tell the truth have spoken and nobody lies, the clock is trusted; after a gap that
// monotonic time does not explain one of them must be the centre or two people.
func (y *aYear) expectTrust() {
	authority := y.spoke[clock.OriginCentre] || y.spoke[clock.OriginPeople]
	short := y.past.Highest.IsZero() || y.past.Stepped+y.truth.Sub(y.past.Highest) < clock.Limit-10*time.Minute
	if (len(y.spoke) >= 2 || y.spoke[clock.OriginPeople]) && (authority || short) && y.trust.State() != clock.Trusted {
		y.t.Fatalf("%v have spoken true, and the clock is %s: %s", y.spoke, y.trust.State(), y.trust.Reason())
	}
}

// Covers F3: over months, with any set of sources, drift up to 50 ppm, steps of one witness by up to years, reboots and
// weeks without power: nothing is ever deleted early, what a trusted clock can place is deleted on time, and two
// sources that tell the truth are enough for that.
func TestNothingEarlyNothingLateWhateverOneClockSays(t *testing.T) {
	all := []clock.Origin{clock.OriginNTP, clock.OriginRTC, clock.OriginNVR, clock.OriginHost, clock.OriginCentre, clock.OriginPeople}
	rapid.Check(t, func(t *rapid.T) {
		y := &aYear{t: t, truth: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), bounds: map[string]time.Time{}}
		here := rapid.SliceOfNDistinct(rapid.SampledFrom(all), 1, len(all), rapid.ID[clock.Origin]).Draw(t, "sources")
		y.liar = rapid.SampledFrom([]clock.Origin{"", clock.OriginHost, clock.OriginNVR, clock.OriginCentre}).Draw(t, "liar").Witness()
		y.reboot(0)
		for i := range rapid.IntRange(5, 60).Draw(t, "steps") {
			y.truth = y.truth.Add(time.Duration(rapid.Int64Range(int64(time.Minute), int64(3*24*time.Hour)).Draw(t, "pass")))
			if rapid.IntRange(0, 7).Draw(t, "reboot") == 0 {
				y.truth = y.truth.Add(time.Duration(rapid.Int64Range(0, int64(20*24*time.Hour)).Draw(t, "off")))
				y.reboot(i + 1)
				y.truth = y.truth.Add(time.Minute)
			}
			y.record()
			for range rapid.IntRange(0, 3).Draw(t, "asked") {
				o := rapid.SampledFrom(here).Draw(t, "who")
				if o == clock.OriginRTC {
					if !y.unsaid || y.mono() > 10*time.Minute {
						continue
					}
					y.unsaid = false
				}
				lie := time.Duration(0)
				if o.Witness() == y.liar {
					lie = time.Duration(rapid.Int64Range(int64(-700*24*time.Hour), int64(700*24*time.Hour)).Draw(t, "lie"))
				}
				y.say(o, lie)
			}
			if y.liar == "" {
				y.expectTrust()
			}
			y.sweep()
		}
	})
}

// Covers F3: when everything on the school's own network jumps 31 days or more ahead together, still nothing goes:
// that needs the centre or two people, who know better.
func TestAForwardStepOfAllClocksOf31DaysDeletesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		y := &aYear{t: t, truth: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), bounds: map[string]time.Time{}}
		y.reboot(0)
		y.truth = y.truth.Add(time.Hour)
		y.say(clock.OriginNTP, 0)
		y.say(clock.OriginNVR, 0)
		jump := time.Duration(rapid.Int64Range(int64(31*24*time.Hour), int64(900*24*time.Hour)).Draw(t, "jump"))
		for range rapid.IntRange(1, 29).Draw(t, "days") {
			y.truth = y.truth.Add(24*time.Hour - time.Minute)
			y.record()
			for _, o := range []clock.Origin{clock.OriginNTP, clock.OriginNVR, clock.OriginHost} {
				y.say(o, jump)
			}
			was := len(y.kept)
			y.sweep()
			if len(y.kept) != was || y.trust.State() == clock.Trusted {
				t.Fatalf("after a jump of %v the clock is %s and %d of %d are left", jump, y.trust.State(), len(y.kept), was)
			}
		}
		y.say(clock.OriginCentre, 0)
		y.sweep()
		if y.trust.State() != clock.Trusted {
			t.Fatalf("the centre speaks, and the clock is %s: %s", y.trust.State(), y.trust.Reason())
		}
	})
}

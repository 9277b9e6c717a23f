// Package model plays years of one box in which everything outside goes wrong: boots, power cuts of minutes to months,
// sources of time that lie, corrections, holds and sweeps. rules_test.go plays them over the pure rules, fast enough
// for a hundred thousand lives; box_test.go over the packages that run in a school.
//
// More lives than the suite plays: go test ./scripts/model -rapid.checks=100000.
package model

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

const day = 24 * time.Hour

// hold is what an application asks to keep, for a term from the act.
type hold struct {
	footage.Hold
	stamp  clock.Stamp
	acted  time.Time // in truth
	term   time.Duration
	ended  bool
	spoilt bool // its boot ended under a wrong statement
}

// segment is an hour of footage, with when its last frame was in truth.
type segment struct {
	footage.Segment
	last   time.Time
	spoilt bool // it was there when people stated a wrong time: what is theirs to answer for is not the rules'
}

// gap is a hole between two boots as the recorder notes it: both ends by (boot, mono).
type gap struct {
	boot, next     string
	end, begin     time.Duration
	ended, resumed time.Time // in truth
}

// life is one box and the world around it.
type life struct {
	t      *rapid.T
	truth  time.Time
	policy footage.Policy

	boots  int
	boot   string
	booted time.Time
	ppm    int64
	trust  clock.Trust
	read   bool // the battery clock, in this boot

	liar clock.Origin  // the one witness that may lie
	rtc  time.Duration // how far each is off
	host time.Duration
	off  map[clock.Origin]time.Duration

	// What is on record, and survives a power cut.
	record  clock.Record
	anchors clock.Anchors
	bounds  map[string]time.Time
	holds   []*hold
	kept    []segment
	gaps    []gap
	frame   time.Duration // of the last frame of this boot
	number  uint32
	wrong   map[string]bool // boots that ended under a wrong statement: their anchors stay wrong, and footage up to that much too long
	spoilt  bool            // people stated a wrong time, and nobody has corrected it
}

func (l *life) mono() time.Duration {
	d := l.truth.Sub(l.booted)
	return d + time.Duration(int64(d)/1_000_000*l.ppm)
}

func (l *life) now() clock.Reading { return l.trust.Reading(l.mono(), l.truth.Add(l.host)) }

func (l *life) draw(name string, least, most time.Duration) time.Duration {
	return time.Duration(rapid.Int64Range(int64(least), int64(most)).Draw(l.t, name))
}

func (l *life) one(name string, of int) bool { return rapid.IntRange(1, of).Draw(l.t, name) == 1 }

// power cuts the power for a while: the clock chip goes on, and sets the machine's clock.
func (l *life) power(off time.Duration) {
	if l.spoilt {
		l.wrong[l.boot] = true
		for i := range l.kept {
			l.kept[i].spoilt = l.kept[i].spoilt || l.kept[i].Boot == l.boot
		}
		for _, h := range l.holds {
			h.spoilt = h.spoilt || h.stamp.Boot == l.boot
		}
	}
	was, frame, ended := l.boot, l.frame, l.truth.Add(l.frame-l.mono())
	l.truth = l.truth.Add(off)
	l.boots++
	l.boot, l.booted, l.frame = fmt.Sprintf("b%03d", l.boots), l.truth, 0
	l.ppm = rapid.Int64Range(-clock.DriftPPM+1, clock.DriftPPM-1).Draw(l.t, "ppm")
	l.rtc += time.Duration(int64(off) / 1_000_000 * rapid.Int64Range(-20, 20).Draw(l.t, "chip"))
	if l.liar == "machine" && l.one("battery", 4) {
		l.rtc = time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC).Sub(l.truth) // what the chip begins with
	}
	if l.one("no battery", 6) {
		l.rtc = time.Unix(0, 0).Sub(l.truth)
	}
	l.host, l.read = l.rtc, false
	l.run()
	l.truth = l.truth.Add(time.Minute)
	if frame > 0 {
		l.gaps = append(l.gaps, gap{was, l.boot, frame, l.mono(), ended, l.truth})
	}
}

// run begins a run of the program: what was not on record is gone.
func (l *life) run() { l.trust = clock.NewTrust(l.boot, l.record, l.anchors) }

// say lets somebody state the time, and records what the keeper records.
func (l *life) say(o clock.Origin, off, unc time.Duration) {
	l.tell(o, off+l.draw("err", -unc, unc), unc)
}

func (l *life) tell(o clock.Origin, off, unc time.Duration) {
	was := l.trust.State()
	t, r := l.trust.Observe(clock.Observation{Source: string(o), Origin: o, Mono: l.mono(), UTC: l.truth.Add(off), Uncertainty: unc})
	l.trust = t
	if r.Replaces {
		l.anchors = l.anchors.Without(l.boot)
	}
	if r.Anchor != nil {
		l.anchors = l.anchors.With(*r.Anchor)
		l.anchors = l.anchors.Minus(l.anchors.Spare(l.boot))
	}
	if r.Anchor != nil || was != t.State() || l.one("lag", 3) {
		l.record = t.Record(l.mono())
	}
	if r.Correction != nil && r.Correction.Origin == "" {
		l.t.Fatal("the highest trusted time was lowered without authority")
	}
}

// ask asks a source as it is now.
func (l *life) ask(o clock.Origin) {
	if o.Witness() == l.liar && l.one("lies", 2) {
		lie := l.draw("lie", -400*day, 400*day)
		if l.one("small lie", 2) {
			lie = l.draw("small", -23*time.Hour, 23*time.Hour)
		}
		if l.off[o] = lie; l.liar == "machine" {
			l.host = lie
		}
	}
	switch o {
	case clock.OriginRTC:
		if l.read || l.mono() > 10*time.Minute {
			return
		}
		l.read = true
		if off := l.rtc; off.Abs() > 30*time.Second && l.liar != "machine" && l.truth.Add(off).After(clock.Plausible) {
			return // a chip that drifted this far lies, and only one witness may
		}
		l.tell(o, l.rtc, 30*time.Second)
	case clock.OriginHost:
		if l.liar != "machine" && l.truth.Add(l.host).After(clock.Plausible) {
			l.host = 0 // chrony has set it; what is left is within what it claims
		}
		l.say(o, l.host, 50*time.Millisecond)
		l.rtc = l.host // the kernel keeps the chip in step
	case clock.OriginPeople:
		l.say(o, 0, 2*time.Minute)
		l.spoilt = false
	default:
		l.say(o, l.off[o], l.draw("unc", time.Millisecond, time.Minute))
		if o == clock.OriginNTP {
			l.host, l.rtc = l.off[o], l.off[o]
		}
	}
}

// footage keeps up to an hour of footage up to now.
func (l *life) footage() {
	m := l.mono()
	from := max(l.frame, m-time.Hour)
	if m-from < time.Minute {
		return
	}
	l.number++
	now := l.now()
	s := footage.Segment{Camera: "c01", Boot: l.boot, From: from, To: m, Wall: now.Wall.Add(from - m)}
	s.File = footage.FileID{byte(l.number >> 16), byte(l.number >> 8), byte(l.number)}
	l.kept = append(l.kept, segment{Segment: s, last: l.truth})
	l.frame = m
}

// apply makes somebody ask to keep a segment that he can see at its place.
func (l *life) apply() {
	if len(l.kept) == 0 {
		return
	}
	s := rapid.SampledFrom(l.kept).Draw(l.t, "which")
	if s.spoilt || !l.anchors.Has(s.Boot) || (l.trust.State() != clock.Trusted && s.Boot == l.boot) {
		return
	}
	now := l.now()
	h := &hold{stamp: now.Stamp(), acted: l.truth, term: l.draw("term", day, 40*day)}
	p := footage.Places{Anchors: l.anchors}.Place(s.Segment)
	h.ID, h.Cameras, h.Span, h.Since = fmt.Sprintf("h%d", len(l.holds)), []string{"c01"}, p.Span, now.Wall
	l.holds = append(l.holds, h)
}

// terms ends the holds whose term is over.
func (l *life) terms() {
	now := l.now()
	for _, h := range l.holds {
		if h.ended {
			continue
		}
		h.stamp = h.stamp.Settled(now, l.anchors)
		if h.stamp.Passed(h.term, now, l.anchors) {
			if h.ended = true; l.truth.Sub(h.acted) < h.term-clock.Drift(h.term)-time.Minute*5 && !l.spoilt && !h.spoilt {
				l.t.Fatalf("hold %s ended %v early by a clock that is %s", h.ID, h.term-l.truth.Sub(h.acted), now.State)
			}
		}
	}
}

// inForce is what deletion sees. A hold whose end nobody knows has none.
func (l *life) inForce() (out []footage.Hold) {
	for _, h := range l.holds {
		if !h.ended {
			x := h.Hold
			x.Until = l.truth.AddDate(100, 0, 0)
			out = append(out, x)
		}
	}
	return out
}

// sweep deletes what is due.
func (l *life) sweep() {
	now := l.now()
	trusted := now.State == clock.Trusted
	if trusted && !l.spoilt {
		if off := now.Wall.Sub(l.truth).Abs(); off > now.Uncertainty+time.Millisecond {
			l.t.Fatalf("trusted, and wrong by %v at ± %v (%s)", off, now.Uncertainty, l.trust.Reason())
		}
	}
	if trusted {
		for _, k := range l.kept {
			if _, known := l.bounds[k.Boot]; !known && k.Boot != l.boot && !l.anchors.Has(k.Boot) {
				l.bounds[k.Boot] = now.Latest()
			}
		}
	}
	gone := map[footage.FileID]bool{}
	places, holds, watermark := footage.Places{Anchors: l.anchors, Bounds: l.bounds}, l.inForce(), footage.Watermark(l.policy, now)
	for _, k := range l.kept {
		if v, _ := footage.Judge(k.Segment, places, holds, watermark, now); v == footage.Expired {
			gone[k.File] = true
		}
	}
	l.kept = slices.DeleteFunc(l.kept, func(k segment) bool {
		age := l.truth.Sub(k.last)
		if !gone[k.File] {
			_, unc, placed := l.anchors.UTC(k.Boot, k.To)
			if late := age - l.policy.Keep(); trusted && placed && !l.spoilt && !l.wrong[k.Boot] && late > 2*(unc+now.Uncertainty)+time.Millisecond && footage.HeldBy(l.inForce(), footage.Places{Anchors: l.anchors}.Place(k.Segment), now) == "" {
				l.t.Fatalf("%v late with a trusted clock: %+v", late, k.Segment)
			}
			return false
		}
		if age < l.policy.Keep()-time.Millisecond && !k.spoilt {
			l.t.Fatalf("deleted %v early: %+v, clock %s %v ± %v, truth %v", l.policy.Keep()-age, k.Segment, now.State, now.Wall, now.Uncertainty, l.truth)
		}
		for _, h := range l.holds {
			if l.truth.Sub(h.acted) < h.term-clock.Drift(h.term)-5*time.Minute && !k.spoilt && !h.spoilt && h.Span.Overlaps(footage.Span{From: k.last.Add(-30 * time.Second), To: k.last.Add(-30*time.Second + 1)}) && l.placedTrue(k) {
				l.t.Fatalf("deleted under hold %s, which has %v to go", h.ID, h.term-l.truth.Sub(h.acted))
			}
		}
		return true
	})
}

// placedTrue says whether the anchors put a segment where it was.
func (l *life) placedTrue(k segment) bool {
	at, unc, ok := l.anchors.UTC(k.Boot, k.To)
	return ok && at.Sub(k.last).Abs() <= unc+time.Millisecond
}

// mistake lets two people state a wrong time, which takes the guarantee from what is there; it is corrected later.
func (l *life) mistake() {
	for i := range l.kept {
		l.kept[i].spoilt = true
	}
	l.spoilt = true
	off := l.draw("month", time.Hour, 40*day)
	if l.one("behind", 2) {
		off = -off
	}
	l.say(clock.OriginPeople, off, 2*time.Minute)
}

// told checks the gaps: a hole between two boots that both know the time is where it was.
func (l *life) told() {
	for _, g := range l.gaps {
		from, u, ok := l.anchors.UTC(g.boot, g.end)
		to, v, ok2 := l.anchors.UTC(g.next, g.begin)
		if !ok || !ok2 {
			continue
		}
		if from.Sub(g.ended).Abs() > u+time.Second || to.Sub(g.resumed).Abs() > v+time.Second {
			l.t.Fatalf("a gap from %v to %v is told as %v to %v", g.ended, g.resumed, from, to)
		}
	}
}

// Covers F3, F14: over years of boots, power cuts, lies, corrections, holds and sweeps: nothing is deleted early, no hold
// is lost, every hole is where it was, and once the time is known nothing is kept for ever.
func TestNothingEarlyNothingForEver(t *testing.T) {
	all := []clock.Origin{clock.OriginNTP, clock.OriginRTC, clock.OriginHost, clock.OriginNVR, clock.OriginCentre}
	rapid.Check(t, func(t *rapid.T) {
		l := &life{t: t, truth: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), bounds: map[string]time.Time{}, wrong: map[string]bool{}, off: map[clock.Origin]time.Duration{},
			policy: footage.Policy{Days: rapid.SampledFrom([]int{30, 30, 90}).Draw(t, "days")}}
		here := rapid.SliceOfNDistinct(rapid.SampledFrom(all), 1, len(all), rapid.ID[clock.Origin]).Draw(t, "sources")
		l.liar = rapid.SampledFrom([]clock.Origin{"", "machine", clock.OriginNVR, clock.OriginCentre}).Draw(t, "liar")
		l.power(0)
		mistaken, erred := l.one("mistaken", 5), false
		for range rapid.IntRange(5, 60).Draw(t, "steps") {
			l.truth = l.truth.Add(l.draw("pass", time.Minute, 2*day))
			l.footage()
			switch rapid.IntRange(0, 11).Draw(t, "event") {
			case 0:
				l.power(l.draw("off", time.Minute, 12*time.Hour))
			case 1:
				l.power(l.draw("long off", 12*time.Hour, 70*day))
			case 2:
				l.run()
				l.trust, _ = l.trust.Settle(l.mono())
			case 3, 4:
				l.apply()
			case 5:
				if l.trust.State() != clock.Trusted {
					l.ask(clock.OriginPeople)
				}
			case 6:
				if mistaken && !erred {
					erred = true
					l.mistake()
				}
			}
			for range rapid.IntRange(0, 3).Draw(t, "asked") {
				l.ask(rapid.SampledFrom(here).Draw(t, "who"))
			}
			if erred && l.spoilt && l.one("noticed", 4) {
				l.ask(clock.OriginPeople)
			}
			l.terms()
			l.sweep()
		}
		// In the end people state the time, twice, a term and the days of keeping apart: all that was there is gone.
		old := map[footage.FileID]bool{}
		for range 2 {
			l.ask(clock.OriginPeople)
			if l.trust.State() != clock.Trusted {
				t.Fatalf("people have stated the time, and the clock is %s: %s", l.trust.State(), l.trust.Reason())
			}
			l.terms()
			l.sweep()
			if !l.spoilt && !erred {
				l.told()
			}
			if len(old) == 0 {
				for _, k := range l.kept {
					old[k.File] = true
				}
			}
			l.truth = l.truth.Add(max(l.policy.Keep(), 40*day) + day)
			l.terms()
			l.sweep()
		}
		for _, h := range l.holds {
			if !h.ended {
				t.Fatalf("hold %s of %v is in force for ever: %+v", h.ID, h.acted, h.stamp)
			}
		}
		for _, k := range l.kept {
			if old[k.File] {
				t.Fatalf("%+v of %v is kept for ever", k.Segment, k.last)
			}
		}
	})
}

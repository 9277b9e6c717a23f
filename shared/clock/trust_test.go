package clock

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var day = 24 * time.Hour

// noon is when the tests' boot began.
var noon = time.Date(2026, 5, 20, 4, 0, 0, 0, time.UTC)

// world makes observations of a boot that began at start, read off by a source that errs.
type world struct {
	Trust
	start time.Time
}

func (w *world) say(o Origin, mono, off, unc time.Duration) Result {
	t, r := w.Observe(Observation{Source: string(o), Origin: o, Mono: mono, UTC: w.start.Add(mono + off), Uncertainty: unc})
	w.Trust = t
	return r
}

func boot(highest time.Time) *world {
	return &world{NewTrust("b1", Record{Highest: highest}, nil), noon}
}

func (w *world) want(t *testing.T, s State, why Reason) {
	t.Helper()
	if w.State() != s || w.Reason() != why {
		t.Fatalf("clock is %s (%s), want %s (%s)", w.State(), w.Reason(), s, why)
	}
}

func TestTwoOriginsMakeTrustAndOneDoesNot(t *testing.T) {
	w := boot(time.Time{})
	w.want(t, Untrusted, ReasonNoSource)
	w.say(OriginHost, 0, 0, time.Second)
	w.want(t, Untrusted, ReasonOneSource)
	w.say(OriginHost, time.Minute, 0, time.Second)
	w.want(t, Untrusted, ReasonOneSource)
	// A second server of the same origin is the same witness.
	tr, _ := w.Observe(Observation{"host2", OriginHost, time.Minute, noon.Add(time.Minute), time.Second})
	if tr.State() != Untrusted {
		t.Fatal("one origin twice is trusted")
	}
	w.say(OriginCentre, time.Minute, time.Hour, time.Second)
	w.want(t, Untrusted, ReasonDisagree)
	r := w.say(OriginCentre, 2*time.Minute, 0, time.Second)
	w.want(t, Trusted, ReasonNone)
	if r.Anchor == nil || r.Anchor.Boot != "b1" || r.From != Untrusted || r.To != Trusted {
		t.Fatalf("%+v", r)
	}
	at := w.Reading(time.Hour, time.Time{})
	if !contains(at, noon.Add(time.Hour)) || at.Uncertainty > 3*time.Second {
		t.Fatalf("%+v", at)
	}
}

// Covers F3: a step of 31 days by one source is not believed, whichever it is; deletion waits, and comes back
// when another source has been asked.
func TestStepOf31DaysByOneSource(t *testing.T) {
	w := boot(time.Time{})
	w.say(OriginHost, 0, 0, time.Second)
	w.say(OriginCentre, time.Second, 0, time.Second)
	w.want(t, Trusted, ReasonNone)
	for i := range 100 {
		w.say(OriginHost, time.Hour+time.Duration(i)*time.Minute, 31*day, time.Second)
		w.want(t, Suspect, ReasonContradiction)
	}
	at := w.Reading(3*time.Hour, noon.Add(31*day))
	if !contains(at, noon.Add(3*time.Hour)) {
		t.Fatalf("the reading follows the liar: %v", at.Wall)
	}
	w.say(OriginCentre, 4*time.Hour, 0, time.Second)
	w.want(t, Trusted, ReasonNone)
	w.say(OriginHost, 5*time.Hour, 31*day, time.Second)
	w.want(t, Trusted, ReasonNone) // outvoted, and still known as a liar
	if fits := w.Witnesses(5 * time.Hour); fits[1].Source != "host" || fits[1].Fits {
		t.Fatalf("%+v", fits)
	}
}

// Two sources that agree on a jump over a day still need the centre or two people.
func TestForwardJumpOverADayNeedsAuthority(t *testing.T) {
	for _, running := range []bool{true, false} {
		w := boot(noon.Add(-time.Minute))
		if running {
			w.say(OriginHost, 0, 0, time.Second)
			w.say(OriginNVR, 0, 0, time.Second)
			w.want(t, Trusted, ReasonNone)
		}
		w.say(OriginNTP, time.Hour, 31*day, time.Second)
		w.say(OriginNVR, time.Hour, 31*day, time.Second)
		w.say(OriginHost, time.Hour, 31*day, time.Second)
		w.want(t, Suspect, ReasonForward)
		if h := w.Highest(time.Hour); h.After(noon.Add(time.Hour)) {
			t.Fatalf("an unconfirmed jump raised the highest trusted time to %v", h)
		}
		r := w.say(OriginCentre, 2*time.Hour, 31*day, time.Second)
		w.want(t, Trusted, ReasonNone)
		if r.Replaces != running || (r.Step > 30*day) != running {
			t.Fatalf("running %v: %+v", running, r)
		}
	}
}

// Covers F3: the battery clock, the machine's clock that is set from it and NTP that sets both are one witness, whatever
// is configured: a clock chip 20 hours ahead is not believed because the machine says the same.
func TestWhatIsSetFromEachOtherIsOneWitness(t *testing.T) {
	machine := []Origin{OriginRTC, OriginHost, OriginNTP}
	for _, a := range machine {
		for _, b := range machine {
			w := boot(noon.Add(-time.Minute))
			w.say(a, 0, 20*time.Hour, time.Second)
			w.say(b, 0, 20*time.Hour, time.Second)
			w.want(t, Untrusted, ReasonOneSource)
			w.say(OriginCentre, time.Minute, 0, time.Second)
			w.want(t, Untrusted, ReasonDisagree)
			w.say(OriginNVR, time.Minute, 0, time.Second)
			w.want(t, Trusted, ReasonNone)
			if at := w.Reading(time.Hour, time.Time{}); !contains(at, noon.Add(time.Hour)) {
				t.Fatalf("%s and %s: %v", a, b, at.Wall)
			}
		}
	}
}

// Covers F3: if others agree, a centre that contradicts holds deletion back, before there is a line and after, and
// two people settle it.
func TestACentreThatContradictsHoldsBack(t *testing.T) {
	for _, first := range []bool{true, false} {
		w := boot(time.Time{})
		if first {
			w.say(OriginCentre, 0, 0, time.Second)
		}
		w.say(OriginHost, 0, 20*time.Minute, time.Second)
		w.say(OriginNVR, 0, 20*time.Minute, time.Second)
		if !first {
			w.want(t, Trusted, ReasonNone)
			w.say(OriginCentre, 0, 0, time.Second)
		}
		for m := time.Minute; m < 3*time.Hour; m += time.Minute {
			w.want(t, Suspect, ReasonContradiction)
			w.say(OriginHost, m, 20*time.Minute, time.Second)
			w.say(OriginNVR, m, 20*time.Minute, time.Second)
		}
		w.say(OriginPeople, 3*time.Hour, 20*time.Minute, 2*time.Minute)
		w.want(t, Trusted, ReasonNone)
		if at := w.Reading(3*time.Hour, time.Time{}); !contains(at, noon.Add(3*time.Hour+20*time.Minute)) {
			t.Fatal(at.Wall)
		}
	}
	// What it said days ago contradicts nothing.
	old := boot(time.Time{})
	old.say(OriginCentre, 0, 0, time.Second)
	old.say(OriginHost, 0, 0, time.Second)
	for m := time.Hour; m < 10*day; m += time.Hour {
		off := Drift(2 * m) // a crystal twice as bad as assumed
		old.say(OriginHost, m, off, time.Second)
		old.say(OriginNVR, m, off, time.Second)
	}
	if old.State() != Trusted {
		t.Fatalf("%s: %s", old.State(), old.Reason())
	}
	// Nor do two others take a line away that the centre keeps.
	w := boot(time.Time{})
	w.say(OriginHost, 0, 0, time.Second)
	w.say(OriginCentre, 0, 0, time.Second)
	w.say(OriginHost, time.Hour, 20*time.Minute, time.Second)
	w.say(OriginNVR, time.Hour, 20*time.Minute, time.Second)
	w.want(t, Suspect, ReasonContradiction)
}

// Covers F3: what one boot may move the time by is not allowed again to the next; the centre's word begins the count
// again.
func TestStepsOfManyBootsAddUp(t *testing.T) {
	previous, off := Record{Highest: noon}, time.Duration(0)
	start := noon
	for i := range 10 {
		w := &world{NewTrust(fmt.Sprintf("b%d", i), previous, nil), start}
		off += 10 * time.Hour
		for m := time.Duration(0); m <= time.Hour; m += 30 * time.Minute {
			w.say(OriginHost, m, off, time.Second)
			w.say(OriginNVR, m, off, time.Second)
		}
		if i < 2 {
			w.want(t, Trusted, ReasonNone)
		} else {
			w.want(t, Suspect, ReasonForward)
		}
		previous, start = w.Record(time.Hour), start.Add(time.Hour)
	}
	if early := previous.Highest.Sub(start); early > Limit {
		t.Fatalf("%v ahead", early)
	}
	w := &world{NewTrust("last", previous, nil), start}
	w.say(OriginHost, 0, 0, time.Second)
	w.say(OriginCentre, 0, 0, time.Second)
	if w.want(t, Trusted, ReasonNone); w.Record(0).Stepped != 0 {
		t.Fatal("the centre has spoken")
	}
}

// A boot that waits longer than a day for its second source has monotonic time to explain it.
func TestAFirstPairAfterTwoDaysNeedsNobody(t *testing.T) {
	w := boot(noon)
	w.say(OriginHost, 50*time.Hour, 0, time.Second)
	w.say(OriginNVR, 50*time.Hour, 0, time.Second)
	w.want(t, Trusted, ReasonNone)
	if s := w.Record(50 * time.Hour).Stepped; s > time.Minute {
		t.Fatalf("%v count as moved", s)
	}
}

// A source that claims a time before this product existed is no witness against anything: an empty battery, the
// network away and a restart of the program within a boot that was trusted.
func TestAnEmptyBatteryContradictsNothing(t *testing.T) {
	w := &world{NewTrust("b1", Record{Highest: noon}, NewAnchors(Anchor{"b1", time.Minute, noon.Add(time.Minute), time.Second})), noon}
	w.Trust, _ = w.Observe(Observation{"rtc", OriginRTC, 5 * time.Minute, time.Unix(300, 0), time.Minute})
	w.want(t, Trusted, ReasonContinued)
	w.Trust, _ = w.Observe(Observation{"host", OriginHost, 6 * time.Minute, time.Unix(360, 0), time.Second})
	w.want(t, Trusted, ReasonContinued)
}

// Small steps must not add up to what a large one may not do.
func TestManySmallForwardStepsNeedAuthorityToo(t *testing.T) {
	w := boot(time.Time{})
	w.say(OriginHost, 0, 0, time.Second)
	w.say(OriginNVR, 0, 0, time.Second)
	off := time.Duration(0)
	for i := range 40 {
		off += 20 * time.Hour
		mono := time.Duration(i+1) * time.Hour
		w.say(OriginHost, mono, off, time.Second)
		w.say(OriginNVR, mono, off, time.Second)
	}
	if moved := w.Reading(41*time.Hour, time.Time{}).Wall.Sub(noon.Add(41 * time.Hour)); moved > Limit {
		t.Fatalf("moved by %v", moved)
	}
	w.want(t, Suspect, ReasonForward)
}

// Covers F3: 1970 for five hours, then right: the five hours get their true place.
func TestBootIn1970ThenCorrected(t *testing.T) {
	w := boot(noon.Add(-3 * time.Hour))
	back := time.Unix(0, 0).Sub(noon)
	for h := range 5 {
		w.say(OriginHost, time.Duration(h)*time.Hour, back, time.Second)
		w.say(OriginNVR, time.Duration(h)*time.Hour, back, time.Second)
		w.want(t, Untrusted, ReasonNoSource)
	}
	if at := w.Reading(time.Hour, time.Unix(3600, 0)); at.Wall.Before(noon.Add(-3 * time.Hour)) {
		t.Fatalf("the reading is before what was trusted once: %v", at.Wall)
	}
	w.say(OriginHost, 5*time.Hour, 0, time.Second)
	w.want(t, Untrusted, ReasonOneSource)
	r := w.say(OriginCentre, 5*time.Hour+time.Minute, 0, time.Second)
	w.want(t, Trusted, ReasonNone)
	at, _, ok := NewAnchors(*r.Anchor).UTC("b1", time.Hour)
	if !ok || at.Sub(noon.Add(time.Hour)).Abs() > time.Minute {
		t.Fatalf("the first hour lies at %v", at)
	}
}

// Covers F3: a board without a clock chip, without a network: the reading rests on what was trusted last, and moves on
// with monotonic time.
func TestAReadingInDoubtMovesForward(t *testing.T) {
	w := boot(noon)
	last := time.Time{}
	for _, m := range []time.Duration{0, time.Minute, time.Hour, 7 * day} {
		at := w.Reading(m, time.Unix(0, 0).Add(m))
		if at.State != Untrusted || at.Wall.Sub(noon.Add(m)).Abs() > Drift(m) || !at.Wall.After(last) {
			t.Fatalf("after %v it is %v", m, at.Wall)
		}
		last = at.Wall
	}
}

// A clock that goes back an hour is not followed by one source, nor by two; authority lowers the highest trusted time
// and that is a correction of its own.
func TestBackAnHour(t *testing.T) {
	w := boot(time.Time{})
	w.say(OriginHost, 0, 0, time.Second)
	w.say(OriginNVR, 0, 0, time.Second)
	w.say(OriginHost, time.Hour, -time.Hour, time.Second)
	w.want(t, Suspect, ReasonContradiction)
	w.say(OriginNVR, time.Hour, -time.Hour, time.Second)
	w.want(t, Suspect, ReasonBackward)
	high := w.Highest(time.Hour)
	r := w.say(OriginPeople, 2*time.Hour, -time.Hour, time.Minute)
	w.want(t, Trusted, ReasonNone)
	if r.Correction == nil || r.Correction.Origin != OriginPeople || !r.Correction.After.Before(r.Correction.Before) || !r.Replaces {
		t.Fatalf("%+v, highest was %v", r, high)
	}
	if !contains(w.Reading(3*time.Hour, time.Time{}), noon.Add(2*time.Hour)) {
		t.Fatal("the line did not go back")
	}
}

func TestBootBehindTheHighestTrustedTime(t *testing.T) {
	w := boot(noon.Add(day))
	w.say(OriginHost, 0, 0, time.Second)
	w.say(OriginNVR, 0, 0, time.Second)
	w.want(t, Suspect, ReasonBackward)
	r := w.say(OriginCentre, time.Minute, 0, time.Second)
	w.want(t, Trusted, ReasonNone)
	if r.Correction == nil || !r.Correction.Before.Equal(noon.Add(day)) {
		t.Fatalf("%+v", r)
	}
}

// Covers F3: two months without internet, one battery clock read at boot and the host's: deletion stays possible and
// says how late it may be. And with nothing but what was known when the network went.
func TestTwoMonthsWithoutInternet(t *testing.T) {
	w := boot(noon.Add(-time.Hour))
	w.say(OriginRTC, time.Minute, 3*time.Second, 30*time.Second)
	for m := 2 * time.Minute; m < 60*day; m += time.Hour {
		w.say(OriginNVR, m, 0, time.Second)
		w.want(t, Trusted, ReasonNone)
	}
	at := w.Reading(60*day, time.Time{})
	if !contains(at, noon.Add(60*day)) || at.Uncertainty > 10*time.Minute {
		t.Fatalf("±%v after two months", at.Uncertainty)
	}

	w = boot(noon.Add(-time.Hour))
	w.say(OriginNTP, 0, 0, time.Second)
	w.say(OriginCentre, 0, 0, time.Second)
	at = w.Reading(60*day, time.Time{})
	if at.State != Trusted || !contains(at, noon.Add(60*day)) || at.Uncertainty > 5*time.Minute {
		t.Fatalf("%+v", at)
	}
}

// Off for the summer: the gap is nothing that monotonic time explains, so two people say that it is September.
func TestLongPowerOffWithoutNetwork(t *testing.T) {
	w := boot(noon.Add(-60 * day))
	w.say(OriginRTC, 0, 0, time.Minute)
	w.say(OriginNVR, 0, 0, time.Minute)
	w.want(t, Suspect, ReasonForward)
	w.say(OriginPeople, time.Hour, 0, 2*time.Minute)
	w.want(t, Trusted, ReasonNone)
}

// Another run in the same boot goes on from the anchor on record, once the sources were asked.
func TestRestartWithinABoot(t *testing.T) {
	a := Anchor{"b1", time.Hour, noon.Add(time.Hour), time.Second}
	other := Anchor{"b0", time.Hour, noon.Add(-day), time.Second}
	tr := NewTrust("b1", Record{Highest: noon}, NewAnchors(other, a))
	if tr.State() != Untrusted {
		t.Fatal("trusted before anybody was asked")
	}
	silent, _ := tr.Settle(2 * time.Hour)
	if silent.State() != Trusted || silent.Reason() != ReasonContinued || !contains(silent.Reading(2*time.Hour, time.Time{}), noon.Add(2*time.Hour)) {
		t.Fatalf("%s %s", silent.State(), silent.Reason())
	}
	w := &world{tr, noon}
	w.say(OriginHost, 2*time.Hour, 31*day, time.Second)
	w.want(t, Suspect, ReasonContradiction)
}

// While at most one witness lies, in whatever way (the battery clock, NTP and the machine's clock are one), a trusted
// reading contains the truth; one witness alone is never trusted; and no trusted instant is lost from the highest one
// without a correction.
func TestTrustedReadingContainsTheTruth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		origins := []Origin{OriginNTP, OriginRTC, OriginNVR, OriginHost, OriginCentre}
		liar := rapid.SampledFrom(origins).Draw(t, "liar").Witness()
		w := boot(time.Time{})
		mono := time.Duration(0)
		drift := rapid.Int64Range(-DriftPPM, DriftPPM).Draw(t, "ppm")
		truth := func(m time.Duration) time.Time { return noon.Add(m + time.Duration(int64(m)/1_000_000*drift)) }
		spoke := map[Origin]bool{}
		var high time.Time
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			mono += time.Duration(rapid.Int64Range(1, int64(2*day)).Draw(t, "pass"))
			o := rapid.SampledFrom(origins).Draw(t, "origin")
			unc := time.Duration(rapid.Int64Range(int64(time.Millisecond), int64(time.Minute)).Draw(t, "unc"))
			err := time.Duration(rapid.Int64Range(int64(-unc), int64(unc)).Draw(t, "err"))
			if o.Witness() == liar {
				err = time.Duration(rapid.Int64Range(int64(-400*day), int64(400*day)).Draw(t, "lie"))
			}
			tr, r := w.Observe(Observation{Source: string(o), Origin: o, Mono: mono, UTC: truth(mono).Add(err), Uncertainty: unc})
			w.Trust = tr
			spoke[o.Witness()] = true
			now := w.Reading(mono, time.Time{})
			if now.State != Trusted {
				continue
			}
			if len(spoke) < 2 {
				t.Fatal("one origin alone is trusted")
			}
			if !contains(now, truth(mono)) {
				t.Fatalf("truth %v is outside %v ± %v", truth(mono), now.Wall, now.Uncertainty)
			}
			if r.Correction != nil && r.Correction.Origin == "" {
				t.Fatal("corrected without authority")
			}
			if h := w.Highest(mono); h.Before(high) && r.Correction == nil {
				t.Fatalf("highest trusted time fell from %v to %v", high, h)
			} else {
				high = h
			}
		}
	})
}

// Anyone who lies, by however much, in one sweep from trusted: nobody alone moves the line by more than it was
// unsure.
func TestNoSingleOriginMovesTheLine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := boot(time.Time{})
		w.say(OriginNTP, 0, 0, time.Second)
		w.say(OriginCentre, 0, 0, time.Second)
		liar := rapid.SampledFrom([]Origin{OriginNTP, OriginCentre, OriginHost, OriginRTC, OriginNVR}).Draw(t, "liar")
		mono := time.Duration(0)
		for range rapid.IntRange(1, 30).Draw(t, "n") {
			mono += time.Duration(rapid.Int64Range(1, int64(day)).Draw(t, "pass"))
			w.say(liar, mono, time.Duration(rapid.Int64Range(int64(-40*day), int64(40*day)).Draw(t, "lie")), time.Second)
			if now := w.Reading(mono, time.Time{}); !contains(now, noon.Add(mono)) {
				t.Fatalf("%s alone moved the clock to %v", liar, now.Wall)
			}
		}
	})
}

func contains(r Reading, at time.Time) bool {
	return !at.Before(r.Earliest().Add(-time.Microsecond)) && !at.After(r.Latest().Add(time.Microsecond))
}

func ExampleTrust() {
	t := NewTrust("b1", Record{}, nil)
	t, _ = t.Observe(Observation{"host", OriginHost, 0, noon, time.Second})
	fmt.Println(t.State(), t.Reason())
	t, _ = t.Observe(Observation{"centre", OriginCentre, time.Minute, noon.Add(time.Minute), time.Second})
	fmt.Println(t.State(), t.Reason())
	// Output:
	// untrusted one_source
	// trusted agreed
}

// Covers F3: a record that was restored to a machine that has run for days says nothing of those days.
func TestARestoredRecordBoundsOnlyWhatCameAfter(t *testing.T) {
	w := &world{NewTrust("b1", Record{Highest: noon.Add(120 * time.Hour), Read: 120 * time.Hour}, nil), noon}
	at := 120*time.Hour + time.Minute
	w.say(OriginHost, at, 0, time.Second)
	w.say(OriginNVR, at, 0, time.Second)
	w.want(t, Trusted, ReasonNone)
}

// A doubt takes nothing back of what was trusted until then: a power cut in it must not begin at the time of weeks ago.
func TestADoubtKeepsTheHighestTrustedTime(t *testing.T) {
	w := boot(noon)
	w.say(OriginHost, time.Minute, 0, time.Second)
	w.say(OriginNVR, time.Minute, 0, time.Second)
	const weeks = 20 * 24 * time.Hour
	w.say(OriginHost, weeks, 0, time.Second)
	high := w.Highest(weeks)
	if high.Before(noon.Add(weeks - time.Hour)) {
		t.Fatalf("%v", high)
	}
	w.say(OriginNVR, weeks+time.Second, -time.Hour, time.Second)
	w.want(t, Suspect, ReasonContradiction)
	if h := w.Record(weeks + time.Second).Highest; h.Before(high) {
		t.Errorf("%v is on record after %v", h, high)
	}
	next := &world{NewTrust("b2", w.Record(weeks+time.Second), nil), noon.Add(weeks + time.Hour)}
	next.say(OriginHost, time.Minute, 0, time.Second)
	next.say(OriginNVR, time.Minute, 0, time.Second)
	next.want(t, Trusted, ReasonNone)
}

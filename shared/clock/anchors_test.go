package clock

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestAnchorsPlaceByTheNearerOne(t *testing.T) {
	a := NewAnchors(
		Anchor{Boot: "b", Mono: 100 * time.Hour, UTC: t0.Add(100*time.Hour + time.Second), Uncertainty: time.Second},
		Anchor{Boot: "b", Mono: 0, UTC: t0, Uncertainty: 10 * time.Second},
		Anchor{Boot: "a", Mono: 0, UTC: t0.Add(-1000 * time.Hour)},
	)
	for _, c := range []struct {
		boot    string
		mono    time.Duration
		at      time.Time
		unc     time.Duration
		nothing bool
	}{
		{boot: "b", mono: 0, at: t0, unc: 10 * time.Second},
		{boot: "b", mono: 99 * time.Hour, at: t0.Add(99*time.Hour + time.Second), unc: time.Second + Drift(time.Hour)},
		{boot: "b", mono: time.Hour, at: t0.Add(time.Hour), unc: 10*time.Second + Drift(time.Hour)},
		{boot: "b", mono: 200 * time.Hour, at: t0.Add(200*time.Hour + time.Second), unc: time.Second + Drift(100*time.Hour)},
		{boot: "a", mono: 5 * time.Hour, at: t0.Add(-995 * time.Hour), unc: Drift(5 * time.Hour)},
		{boot: "c", nothing: true},
	} {
		at, unc, ok := a.UTC(c.boot, c.mono)
		if ok == c.nothing || !at.Equal(c.at) || unc != c.unc {
			t.Errorf("%s %v: %v ± %v, %v", c.boot, c.mono, at, unc, ok)
		}
		if a.Has(c.boot) == c.nothing {
			t.Errorf("Has(%s) is %v", c.boot, !c.nothing)
		}
	}
}

// Whatever the anchors, an instant lies within the uncertainty that is claimed for it.
func TestAnchorsNeverClaimTooMuch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := float64(rapid.IntRange(-DriftPPM, DriftPPM).Draw(t, "ppm")) / 1e6
		truth := func(m time.Duration) time.Time { return t0.Add(m + time.Duration(rate*float64(m))) }
		var a Anchors
		for range rapid.IntRange(1, 5).Draw(t, "anchors") {
			mono := time.Duration(rapid.Int64Range(0, int64(2000*time.Hour)).Draw(t, "mono"))
			unc := time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "unc"))
			off := time.Duration(rapid.Int64Range(-int64(unc), int64(unc)).Draw(t, "off"))
			a = a.With(Anchor{Boot: "b", Mono: mono, UTC: truth(mono).Add(off), Uncertainty: unc})
		}
		m := time.Duration(rapid.Int64Range(0, int64(3000*time.Hour)).Draw(t, "at"))
		at, unc, ok := a.UTC("b", m)
		if d := at.Sub(truth(m)).Abs(); !ok || d > unc+time.Microsecond {
			t.Fatalf("off by %v, %v claimed", d, unc)
		}
	})
}

func TestWithReplacesTheSameInstantOnly(t *testing.T) {
	a := NewAnchors(Anchor{Boot: "b", Mono: time.Hour, UTC: t0})
	b := a.With(Anchor{Boot: "b", Mono: time.Hour, UTC: t0.Add(time.Second)})
	if len(b) != 1 || !b[0].UTC.Equal(t0.Add(time.Second)) || !a[0].UTC.Equal(t0) {
		t.Errorf("%v from %v", b, a)
	}
	if c := b.With(Anchor{Boot: "b", Mono: 2 * time.Hour, UTC: t0}); len(c) != 2 || len(b) != 1 {
		t.Errorf("%v from %v", c, b)
	}
}

// Thinning leaves every instant of the boot placed, at most a second less sure, and few anchors for years of one boot.
func TestThinnedAnchorsPlaceAsWell(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all Anchors
		end := time.Duration(rapid.Int64Range(1, int64(190*day)).Draw(t, "end"))
		for range rapid.IntRange(1, 60).Draw(t, "n") {
			m := time.Duration(rapid.Int64Range(0, int64(end)).Draw(t, "mono"))
			all = all.With(Anchor{"b1", m, noon.Add(m), time.Duration(rapid.Int64Range(1, int64(time.Minute)).Draw(t, "unc"))})
		}
		all = all.With(Anchor{"b0", 0, noon, 1}).With(Anchor{"b2", 0, noon, 1})
		few := all.Minus(all.Spare("b1"))
		if !few.Has("b0") || !few.Has("b2") || len(few) > int(end/(12*time.Hour))+5 {
			t.Fatalf("%d of %d", len(few), len(all))
		}
		if again := few.Spare("b1"); len(again) != 0 {
			t.Fatalf("%d more are spare at once", len(again))
		}
		m := time.Duration(rapid.Int64Range(0, int64(end)).Draw(t, "at"))
		_, before, _ := all.UTC("b1", m)
		at, after, ok := few.UTC("b1", m)
		if !ok || !at.Equal(noon.Add(m)) || after > before+2*Drift(12*time.Hour) {
			t.Fatalf("±%v, was ±%v", after, before)
		}
	})
	var years Anchors
	for m := time.Duration(0); m < 10*365*day; m += day {
		years = append(years, Anchor{"b1", m, noon.Add(m), time.Second})
	}
	if n := len(years.Minus(years.Spare("b1"))); n > 1000 {
		t.Fatalf("%d anchors for ten years", n)
	}
}

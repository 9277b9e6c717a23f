package footage

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"campuskeep/shared/clock"
)

// Covers F3: an NVR that keeps exactly what it must is never accused, whatever the clocks and wherever its files end;
// one that keeps much more or less always is.
func TestAttestNeverAccusesAndNeverOverlooks(t *testing.T) {
	now := time.Date(2026, 5, 20, 4, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		cam := Camera{ID: "c01", Policy: Policy{Days: rapid.SampledFrom([]int{30, 90}).Draw(t, "days")}}
		keep := cam.Policy.Keep()
		unc := time.Duration(rapid.Int64Range(0, int64(5*time.Minute)).Draw(t, "unc"))
		file := time.Duration(rapid.Int64Range(int64(20*time.Minute), int64(FloorSlack)).Draw(t, "file"))
		off := time.Duration(rapid.Int64Range(-int64(unc), int64(unc)).Draw(t, "off"))
		excess := time.Duration(rapid.Int64Range(int64(-20*24*time.Hour), int64(20*24*time.Hour)).Draw(t, "excess"))
		from := now.Add(-keep - excess)
		var pieces []Placed
		for at := from; at.Before(now); at = at.Add(file) {
			end := at.Add(file)
			if end.After(now) {
				end = now
			}
			pieces = append(pieces, Placed{Segment: Segment{Camera: "c01"}, Span: Span{at.Add(off), end.Add(off)}, Uncertainty: unc, Anchored: true})
		}
		reading := clock.Reading{Wall: now, Uncertainty: time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "clock")), State: clock.Trusted}
		a := Attest(cam, pieces, nil, now.Add(-2*keep), reading)
		slack := 2*unc + reading.Uncertainty
		switch {
		case excess >= 0 && a.Floor():
			t.Fatalf("accused of deleting early: %+v", a.Short)
		case excess <= CeilingSlack && a.Ceiling():
			t.Fatalf("accused of keeping: %+v", a.Over)
		case excess < -FloorSlack-2*slack-NVRJoined && !a.Floor():
			t.Fatalf("%v too little overlooked", -excess)
		case excess > CeilingSlack+file+2*slack && !a.Ceiling():
			t.Fatalf("%v too much overlooked", excess)
		}
		if reading.State = clock.Suspect; Attest(cam, pieces, nil, now.Add(-2*keep), reading).Floor() || Attest(cam, pieces, nil, now.Add(-2*keep), reading).Ceiling() {
			t.Fatal("accused without a trusted clock")
		}
	})
}

// A hole that was known while it was young is not an early deletion when it grows old; what goes beside it is.
func TestAttestTellsHolesFromDeletions(t *testing.T) {
	now := time.Date(2026, 5, 20, 4, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	cam := Camera{ID: "c01", Policy: Policy{Days: 30}}
	reading := clock.Reading{Wall: now, State: clock.Trusted}
	piece := func(from, to time.Duration) Placed {
		return Placed{Span: Span{now.Add(from), now.Add(to)}, Anchored: true}
	}
	known := []Gap{{Span: Span{now.Add(-31 * day), now.Add(-28 * day)}, Cause: CauseCameraOff}}
	if a := Attest(cam, []Placed{piece(-28*day, 0)}, known, now.Add(-60*day), reading); a.Floor() || len(a.Gaps) != 1 || a.Gaps[0].Cause != CauseCameraOff {
		t.Errorf("%+v", a)
	}
	a := Attest(cam, []Placed{piece(-20*day, 0)}, known, now.Add(-60*day), reading)
	if !a.Floor() || a.Short != (Span{now.Add(-28 * day), now.Add(-20 * day)}) || len(a.Gaps) != 2 || a.Gaps[1].Cause != CauseBreach {
		t.Errorf("%+v", a)
	}
	if a := Attest(cam, nil, nil, now.Add(-60*day), reading); !a.Floor() || !a.Silent || a.Recorded != 0 {
		t.Errorf("nothing at all: %+v", a)
	}
	if a := Attest(cam, nil, nil, now, reading); a.Floor() {
		t.Errorf("a camera of today: %+v", a)
	}
}

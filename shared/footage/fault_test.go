package footage

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Covers F1: whatever a camera does, faults open and close in turn, never sooner than stated, and a flapping one makes
// few of them.
func TestFaultsOfAnyCamera(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		code := rapid.SampledFrom(FaultCodes).Draw(t, "code")
		p := PatienceWith(code)
		var w FaultWatch
		var at, ill, well time.Duration // ill, well: for how long at least nothing else was seen
		var opened []time.Duration
		for range rapid.IntRange(50, 600).Draw(t, "steps") {
			d := time.Duration(rapid.SampledFrom([]int{1, 15, 60, 300, 300, 900, 3600}).Draw(t, "pause")) * time.Second
			f := rapid.SampledFrom([]Finding{Unsure, Well, Well, Ill, Ill}).Draw(t, "finding")
			at += d
			switch f {
			case Ill:
				ill, well = ill+d, 0
			case Well:
				ill, well = 0, well+d
			case Unsure:
				ill, well = ill+d, well+d
			}
			was := w
			var step FaultStep
			w, step = w.Step(code, f, at)
			switch step {
			case FaultOpens:
				if was.Open || f != Ill || ill < p.Ill {
					t.Fatalf("opened at %v: open before %v, finding %d, ill for %v", at, was.Open, f, ill)
				}
				opened = append(opened, at)
			case FaultCloses:
				if !was.Open || f != Well || well < p.Well {
					t.Fatalf("closed at %v: open before %v, finding %d, well for %v", at, was.Open, f, well)
				}
			default:
				if w.Open != was.Open {
					t.Fatal("changed without a step")
				}
			}
		}
		for i := range opened {
			n := 0
			for _, o := range opened[i:] {
				if o-opened[i] < FlapMemory {
					n++
				}
			}
			if n > 13 {
				t.Fatalf("%d faults within a day", n)
			}
		}
	})
}

// A camera that comes and goes at the worst pace for the rule makes a dozen entries a day, not hundreds; once it is
// well for good the fault closes.
func TestAFlappingCameraIsAFewFaults(t *testing.T) {
	var w FaultWatch
	n, at := 0, time.Duration(0)
	observe := func(f Finding, d time.Duration) (steps int) {
		for end := at + d; at < end; at += 15 * time.Second {
			var s FaultStep
			if w, s = w.Step(FaultOffline, f, at); s != FaultStays {
				steps++
			}
		}
		return steps
	}
	for at < 24*time.Hour {
		n += observe(Ill, 3*time.Minute)
		n += observe(Well, w.WellFor(FaultOffline)+time.Minute)
	}
	if n < 4 || n > 20 {
		t.Errorf("%d entries in a day of flapping", n)
	}
	observe(Ill, 3*time.Minute)
	observe(Well, FlapMost+time.Minute)
	if w.Open {
		t.Error("the fault of a camera that is well again stays open")
	}
	if observe(Well, 2*FlapMemory); w.WellFor(FaultOffline) != PatienceWith(FaultOffline).Well {
		t.Error("old faults are held against it")
	}
}

// Steady observations open and close a fault in exactly the stated time; one that says nothing stops the count, and so
// does silence.
func TestFaultsInSteadyTime(t *testing.T) {
	for _, code := range FaultCodes {
		p := PatienceWith(code)
		var w FaultWatch
		var step FaultStep
		at := time.Duration(0)
		for ; step != FaultOpens; at += 30 * time.Second {
			w, step = w.Step(code, Ill, at)
		}
		if got := at - 30*time.Second; got < p.Ill || got >= p.Ill+30*time.Second { // by the next look
			t.Errorf("%s opened after %v", code, got)
		}
		from := at
		for ; step != FaultCloses; at += 30 * time.Second {
			w, step = w.Step(code, Well, at)
		}
		if got := at - 30*time.Second - from; got != p.Well {
			t.Errorf("%s closed after %v", code, got)
		}
	}
	var w FaultWatch
	at := time.Duration(0)
	for range 100 { // seen for an instant each time, with silence between
		var s FaultStep
		if w, s = w.Step(FaultOffline, Ill, at); s != FaultStays {
			t.Fatal("silence counted")
		}
		at += time.Hour
		if w, s = w.Step(FaultOffline, Unsure, at); s != FaultStays {
			t.Fatal("an observation that says nothing opened a fault")
		}
		at += time.Second
	}
}

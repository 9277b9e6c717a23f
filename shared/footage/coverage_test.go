package footage

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func at(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }

func span(from, to int) Span { return Span{at(from), at(to)} }

// Covers F1, F3: a hole is shown with the cause that was noted, or as unknown; nothing is silent.
func TestCoverExplainsHoles(t *testing.T) {
	segments := []Placed{
		{Span: span(20, 30), Anchored: true},
		{Span: span(0, 10), Anchored: true},
		{Span: Span{at(10).Add(time.Second), at(15)}, Anchored: true},
		{Span: span(40, 50)},
	}
	gaps := []Gap{{Camera: "c01", Span: span(14, 19), Cause: CauseCameraOff}, {Camera: "c01", Span: span(19, 20), Cause: CausePowerOff}}
	c := Cover(span(0, 60), segments, gaps)
	want := []Piece{
		{Span: span(0, 15), Recorded: true},
		{Span: span(15, 19), Cause: CauseCameraOff},
		{Span: span(19, 20), Cause: CausePowerOff},
		{Span: span(20, 30), Recorded: true},
		{Span: span(30, 40), Cause: CauseUnknown},
		{Span: span(40, 50), Recorded: true, Unsure: true},
		{Span: span(50, 60), Cause: CauseUnknown},
	}
	if len(c.Pieces) != len(want) {
		t.Fatalf("pieces %+v", c.Pieces)
	}
	for i, p := range c.Pieces {
		if p != want[i] {
			t.Errorf("piece %d is %+v, want %+v", i, p, want[i])
		}
	}
	if c.Recorded != 35*time.Minute || c.Missing != 25*time.Minute {
		t.Errorf("recorded %v, missing %v", c.Recorded, c.Missing)
	}
	parts := c.ByPart(20 * time.Minute)
	for i, w := range []float64{0.75, 0.5, 0.5} {
		if math.Abs(parts[i]-w) > 1e-9 {
			t.Errorf("part %d is %v complete, want %v", i, parts[i], w)
		}
	}
}

func TestCoverHasNoHoleOfItsOwn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var segments []Placed
		for range rapid.IntRange(0, 12).Draw(t, "n") {
			from := rapid.IntRange(-30, 90).Draw(t, "from")
			segments = append(segments, Placed{Span: span(from, from+rapid.IntRange(0, 20).Draw(t, "length")), Anchored: rapid.Bool().Draw(t, "anchored")})
		}
		c := Cover(span(0, 60), segments, nil)
		next := c.Span.From
		var recorded, missing time.Duration
		for _, p := range c.Pieces {
			if !p.Span.From.Equal(next) || !p.Span.From.Before(p.Span.To) {
				t.Fatalf("pieces do not join: %+v", c.Pieces)
			}
			next = p.Span.To
			if p.Recorded {
				recorded += p.Span.Duration()
			} else {
				missing += p.Span.Duration()
			}
		}
		if !next.Equal(c.Span.To) || recorded != c.Recorded || missing != c.Missing {
			t.Fatalf("coverage %+v", c)
		}
		for m := range 60 { // minute by minute against the plain definition
			mid := at(m).Add(30 * time.Second)
			want := false
			for _, s := range segments {
				want = want || s.Span.Contains(mid)
			}
			for _, p := range c.Pieces {
				if p.Span.Contains(mid) && p.Recorded != want {
					t.Fatalf("minute %d is recorded: %v, want %v", m, p.Recorded, want)
				}
			}
		}
		var sum float64
		for _, x := range c.ByPart(7 * time.Minute) {
			if x < 0 || x > 1+1e-9 {
				t.Fatalf("completeness %v", x)
			}
			sum += x
		}
	})
}

// The times of the causes add up to the holes, and the holes with the footage to the span, however the noted gaps
// overlap. No cause is where nobody noted it.
func TestCausesAddUpToTheHoles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var segments []Placed
		for range rapid.IntRange(0, 8).Draw(t, "segments") {
			from := rapid.IntRange(-30, 90).Draw(t, "from")
			segments = append(segments, Placed{Span: span(from, from+rapid.IntRange(1, 20).Draw(t, "length")), Anchored: true})
		}
		var gaps []Gap
		for range rapid.IntRange(0, 12).Draw(t, "gaps") {
			from := rapid.IntRange(-30, 90).Draw(t, "gap")
			gaps = append(gaps, Gap{Span: span(from, from+rapid.IntRange(0, 90).Draw(t, "lasts")),
				Cause: rapid.SampledFrom([]Cause{CausePowerOff, CauseCameraOff, CauseRestart, CauseUnknown}).Draw(t, "cause")})
		}
		c := Cover(span(0, 60), segments, gaps)
		var holes time.Duration
		for _, p := range c.Pieces {
			if p.Recorded {
				continue
			}
			holes += p.Span.Duration()
			covered := []Span{p.Span}
			for _, g := range gaps {
				if g.Cause == p.Cause {
					covered = Without(covered, g.Span)
				}
			}
			if p.Cause != CauseUnknown && len(covered) > 0 {
				t.Fatalf("%v is put down to %s, which nobody noted for %v", p.Span, p.Cause, covered)
			}
		}
		if holes != c.Missing || c.Recorded+c.Missing != c.Span.Duration() {
			t.Fatalf("pieces without footage %v, missing %v, recorded %v, of %v", holes, c.Missing, c.Recorded, c.Span.Duration())
		}
	})
}

// Ten days without a camera, noted by the hour, and one long gap told over them at a restart: the camera was away.
func TestWhatWasNotedByTheHourStands(t *testing.T) {
	long := Gap{Span: span(0, 60*240), Cause: CauseRestart}
	gaps := []Gap{long}
	for h := range 239 {
		gaps = append(gaps, Gap{Span: span(60*h, 60*(h+1)), Cause: CauseCameraOff})
	}
	c := Cover(long.Span, nil, gaps)
	if len(c.Pieces) != 2 || c.Pieces[0].Cause != CauseCameraOff || c.Pieces[0].Span != span(0, 60*239) || c.Pieces[1].Cause != CauseRestart {
		t.Errorf("pieces %+v", c.Pieces)
	}
}

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
		{Span: span(15, 20), Cause: CauseCameraOff},
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

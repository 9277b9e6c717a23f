package timeline

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// At no width from a small phone's to a wall's do two texts lie on one another, or off the strip.
func TestLabelsNeverCollide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tiers := rapid.SampledFrom([][]float64{tiersMonth, tiersWeek, tiersDay, {280, 560, 1010}}).Draw(t, "tiers")
		labels := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Label {
			a := rapid.Float64Range(0, 1).Draw(t, "a")
			return Label{a, min(1, a+rapid.Float64Range(0, 0.3).Draw(t, "long")), rapid.Float64Range(8, 260).Draw(t, "px"),
				rapid.SampledFrom([][]Side{{after, before}, {Centre}, {fromStart, before}, {before}, {after}, {Centre, after, before}}).Draw(t, "sides")}
		}), 0, 24).Draw(t, "labels")
		spots := Place(labels, tiers...)
		for width := float64(280); width <= widestLabel; width += rapid.Float64Range(1, 61).Draw(t, "step") {
			type box struct{ l, r float64 }
			var boxes []box
			for _, s := range spots {
				if s.Visible && s.least <= width {
					l, r := s.box(width)
					if l < 0 || r > width+1e-9 {
						t.Fatalf("at %g px a text covers %g to %g", width, l, r)
					}
					boxes = append(boxes, box{l, r})
				}
			}
			slices.SortFunc(boxes, func(a, b box) int { return int(a.l - b.l) })
			for i := 1; i < len(boxes); i++ {
				if boxes[i].l < boxes[i-1].r {
					t.Fatalf("at %g px two texts cover %+v and %+v", width, boxes[i-1], boxes[i])
				}
			}
		}
	})
}

// A wider strip shows what a narrower one showed, and more; what there is room for is shown.
func TestLabelsThatHaveRoomAreShown(t *testing.T) {
	apart := []Label{{0.1, 0.12, 100, []Side{after}}, {0.5, 0.52, 100, []Side{after}}, {0.98, 1, 100, []Side{after, before}}}
	for i, s := range Place(apart, tiersMonth...) {
		if !s.Visible || s.least != tiersMonth[0] {
			t.Errorf("label %d: %+v", i, s)
		}
	}
	near := []Label{{0.5, 0.5, 12, []Side{Centre}}, {0.513, 0.513, 12, []Side{Centre}}}
	s := Place(near, tiersMonth...)
	if !s[0].Visible || !s[1].Visible || s[1].least != 1240 {
		t.Errorf("two that only fit on a wide strip: %+v", s)
	}
}

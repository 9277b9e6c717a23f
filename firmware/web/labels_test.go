package web

import (
	"regexp"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// At no width from a small phone's to a wall's do two texts lie on one another, or off the strip.
func TestLabelsNeverCollide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tiers := rapid.SampledFrom([][]float64{tiersMonth, tiersWeek, tiersDay, {280, 560, 1010}}).Draw(t, "tiers")
		labels := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) label {
			a := rapid.Float64Range(0, 1).Draw(t, "a")
			return label{a, min(1, a+rapid.Float64Range(0, 0.3).Draw(t, "long")), rapid.Float64Range(8, 260).Draw(t, "px"),
				rapid.SampledFrom([][]side{{after, before}, {centre}, {fromStart, before}, {before}, {after}, {centre, after, before}}).Draw(t, "sides")}
		}), 0, 24).Draw(t, "labels")
		spots := place(labels, tiers...)
		for width := float64(280); width <= widestLabel; width += rapid.Float64Range(1, 61).Draw(t, "step") {
			type box struct{ l, r float64 }
			var boxes []box
			for _, s := range spots {
				if s.shown && s.least <= width {
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
	apart := []label{{0.1, 0.12, 100, []side{after}}, {0.5, 0.52, 100, []side{after}}, {0.98, 1, 100, []side{after, before}}}
	for i, s := range place(apart, tiersMonth...) {
		if !s.shown || s.least != tiersMonth[0] {
			t.Errorf("label %d: %+v", i, s)
		}
	}
	near := []label{{0.5, 0.5, 12, []side{centre}}, {0.513, 0.513, 12, []side{centre}}}
	s := place(near, tiersMonth...)
	if !s[0].shown || !s[1].shown || s[1].least != 1240 {
		t.Errorf("two that only fit on a wide strip: %+v", s)
	}
}

// An id is once on a page: a second field of the same id would be without its label and its fault.
func TestEveryIDStandsOnce(t *testing.T) {
	h := newEnv(t)
	ids := h.scene()
	id := regexp.MustCompile(`<[a-z][^>]*? id="([^"]+)"`)
	people := map[string]*visitor{}
	for _, p := range append(h.pagesOf(ids), h.dutyPages()...) {
		v := people[p.who]
		if v == nil {
			if v = h.visit(); p.who != "" {
				v = h.as(p.who)
			}
			people[p.who] = v
		}
		seen := map[string]bool{}
		for _, m := range id.FindAllStringSubmatch(v.get(p.path).body, -1) {
			if seen[m[1]] {
				t.Errorf("%s has %q twice", p.name, m[1])
			}
			seen[m[1]] = true
		}
	}
}

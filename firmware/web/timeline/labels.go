package timeline

import (
	"strconv"

	"campuskeep/shared/lib/ui"
)

// Texts beside marks must never lie on one another. Where they stand is decided here, for any width that a strip may
// be drawn at: a mark's place grows with the width, a text's size does not. What has no room on a narrow strip is
// shown from the width on at which it has.

// widestLabel is the widest strip that is drawn, in pixels.
const widestLabel = 2560

// gapPx is kept free between two texts.
const gapPx = 4

// Label is a text that wants a place beside the mark [a, b] of a strip, both as parts of its width.
type Label struct {
	From, To float64
	Width    float64 // width of the text with its icon
	Sides    []Side  // where it may be, the best first
}

// Side is where a label may lie beside what it names.
type Side int

const (
	after     Side = iota // begins at the mark's end
	before                // ends at the mark's beginning
	Centre                // over the mark's middle
	fromStart             // begins at the mark's beginning
)

// spot is where a text is. The zero value is nowhere.
type spot struct {
	Visible bool
	side    Side
	x       float64 // of its anchor, as a part of the width
	least   float64 // width of the strip from which on it is shown
	later   bool    // not at the first tier: the style sheet must know
	px      float64
}

// sidePx is the distance of a text from the mark that it is beside.
const sidePx = 6

func (s spot) extent() (l, r float64) {
	switch s.side {
	case after:
		return sidePx, sidePx + s.px
	case before:
		return -sidePx - s.px, -sidePx
	case fromStart:
		return 0, s.px
	}
	return -s.px / 2, s.px / 2
}

// box is what the text covers on a strip of some width.
func (s spot) box(width float64) (l, r float64) {
	a, b := s.extent()
	return s.x*width + a, s.x*width + b
}

func (l Label) spot(sd Side, least float64) spot {
	x := l.To
	switch sd {
	case before, fromStart:
		x = l.From
	case Centre:
		x = (l.From + l.To) / 2
	}
	return spot{Visible: true, side: sd, x: x, least: least, px: l.Width}
}

// fits says whether the text stays on the strip and clear of another from its least width on. Distances change
// evenly with the width: what holds at both ends holds between.
func (s spot) fits(others []spot) bool {
	if l, r := s.box(s.least); l < 0 || r > s.least {
		return false
	}
	for _, o := range others {
		from := max(s.least, o.least)
		a, b := s.clear(o, from), s.clear(o, widestLabel)
		if a == 0 || a != b {
			return false
		}
	}
	return true
}

// clear is −1 when the text lies left of the other, 1 when right of it, 0 when they touch.
func (s spot) clear(o spot, width float64) int {
	l, r := s.box(width)
	ol, or := o.box(width)
	switch {
	case r+gapPx <= ol:
		return -1
	case l >= or+gapPx:
		return 1
	}
	return 0
}

// Place finds a spot for each label, the first of the list first; tiers are the widths, ascending, at which more may
// be shown. Labels that find none at any width stay out: what they say is in the name of the cell as well.
func Place(labels []Label, tiers ...float64) []spot {
	out := make([]spot, len(labels))
	var placed []spot
	for _, t := range tiers {
		for i, l := range labels {
			if out[i].Visible {
				continue
			}
			for _, sd := range l.Sides {
				if s := l.spot(sd, t); s.fits(placed) {
					s.later = t > tiers[0]
					out[i] = s
					placed = append(placed, s)
					break
				}
			}
		}
	}
	return out
}

// TextPx is about how wide a text of 12 px is; a little more rather than less.
func TextPx(s string) (px float64) {
	for _, r := range s {
		if r >= 0x1100 {
			px += 12.4
		} else {
			px += 7.4
		}
	}
	return px
}

// Words for templates.

// X is the anchor as an attribute.
func (s spot) X() string { return ui.Pct(s.x) }

// Dx moves the text away from its mark.
func (s spot) Dx() int {
	switch s.side {
	case after:
		return sidePx
	case before:
		return -sidePx
	}
	return 0
}

// Class aligns the text and says from which width on it is shown.
func (s spot) Class() string {
	return map[Side]string{before: "te", Centre: "tm"}[s.side] + s.Tier()
}

// Tier says from which width on it is shown, for what is aligned by itself.
func (s spot) Tier() string {
	if s.later {
		return " l" + strconv.Itoa(int(s.least))
	}
	return ""
}

// Shown says whether it is anywhere.
func (s spot) Shown() bool { return s.Visible }

// Left is where an icon before the text begins, from the anchor.
func (s spot) Left() int {
	l, _ := s.extent()
	return int(l)
}

// TextLeft is where the text begins after an icon, from the anchor.
func (s spot) TextLeft() int { return s.Left() + lockPx }

// The widths of strips as the style sheet draws them (campuskeep.css, "Footage"). A ribbon of thirty days is never
// narrower than 760 px: on a phone it scrolls.
var (
	tiersMonth = []float64{760, 1010, 1240, 1480}
	tiersWeek  = []float64{280, 560, 760, 1010, 1480}
	tiersDay   = []float64{630, 880, 1240, 1480}
)
